"""A typed call, compared with the same call by hand and with the typed client of another service, 50 calls at a time.

The limit is aiohttp with `json.loads`: a program without types, pacing and retries. Another contestant is aiohttp with
its default settings and `await answer.json()`. Most SDKs use httpx. The nearest typed client is the async client of the
`cloudflare` package with its aiohttp backend. This client reads Pages projects with the same number of fields. The SDK
has no rate limit here, the server answers immediately, and each contestant is a process. The benchmark also shows the
processor time, which does not depend on other work of the machine.
"""

from __future__ import annotations

from benchmarks._contest import Contest, Task, Turn, contest
from benchmarks._contestants import ASYNC
from benchmarks._report import Mark, Report, Row, present, ratios
from benchmarks._service import service

LIMIT, OURS, FAST, PEER = "aiohttp + json by hand", "launch_async", "launch_async + orjson", "cloudflare (aiohttp)"
PLAIN, HTTPX, PEER_TOO = "aiohttp with defaults", "httpx by hand", "cloudflare (httpx)"
CALLS = {
    "get": {LIMIT: 2000, PLAIN: 2000, OURS: 2000, FAST: 2000, HTTPX: 400, PEER: 300, PEER_TOO: 200},
    "list": {LIMIT: 500, PLAIN: 500, OURS: 400, FAST: 500, HTTPX: 200, PEER: 50, PEER_TOO: 50},
}


def measure(rounds: int) -> Report:
    """Measure one project and a page of a hundred."""
    with service() as address, contest(address, [*ASYNC]) as players:
        one, many = _turns(players, "get", rounds), _turns(players, "list", rounds)
    return Report(
        "Calls per second, 50 at a time",
        [*_rows("get", one), *_rows("list of 100", many)],
        [
            *_marks("get / aiohttp", one, OURS, LIMIT, 0.70),
            *_marks("list / aiohttp", many, OURS, LIMIT, 0.50),
            *_marks("list with orjson / aiohttp", many, FAST, LIMIT, None),
            *_marks("get / aiohttp with defaults", one, OURS, PLAIN, None),
            *_marks("list / aiohttp with defaults", many, OURS, PLAIN, None),
            *_marks("get / cloudflare", one, OURS, PEER, 5),
            *_marks("list / cloudflare", many, OURS, PEER, 15),
            *_marks("list with orjson / cloudflare", many, FAST, PEER, 15),
        ],
    )


def _turns(players: Contest, what: str, rounds: int) -> dict[str, list[Turn]]:
    return players.turns({name: Task(what, calls, 50) for name, calls in CALLS[what].items()}, rounds)


def _rows(what: str, found: dict[str, list[Turn]]) -> list[Row]:
    rates = [
        Row(f"{what}, {name}", "calls/s", [turn.rate for turn in turns], reference=name == LIMIT)
        for name, turns in found.items()
    ]
    processor = [
        Row(f"{what}, {name}, CPU", "s per 1000", [turn.cpu for turn in turns], "less", reference=name == LIMIT)
        for name, turns in found.items()
    ]
    return [*rates, *processor]


def _marks(what: str, found: dict[str, list[Turn]], ours: str, theirs: str, goal: float | None) -> list[Mark]:
    """Return the ratio of calls per second, and the ratio of processor time."""
    rates = ratios([turn.rate for turn in found[ours]], [turn.rate for turn in found[theirs]])
    processor = ratios([turn.cpu for turn in found[theirs]], [turn.cpu for turn in found[ours]])
    return [Mark(what, rates, goal), Mark(f"{what}, by CPU", processor, goal)]


if __name__ == "__main__":
    present(measure, __doc__, rounds=9)
