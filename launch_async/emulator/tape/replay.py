"""Replay a tape: respond to requests with its recorded responses."""

from __future__ import annotations

import json
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Final, TypeAlias
from urllib.parse import urlencode

from aiohttp import hdrs, web

from launch_async.emulator import errors
from launch_async.emulator.shapes import as_list
from launch_async.emulator.tape.tape import Body, Tape, TapedExchange

NOT_ON_TAPE: Final = 421
"""A status that Launch does not use. No client retries it or treats it as a missing resource."""
_NEAREST: Final = 3
_BODY_HEADERS: Final = frozenset(
    {"content-length", "content-encoding", "transfer-encoding", "connection", "keep-alive"}
)
"""Headers about the connection or the encoding of the recorded body."""
_ADDED: Final = (hdrs.DATE, hdrs.SERVER, hdrs.CONTENT_TYPE)
"""Headers that aiohttp adds."""

_Key: TypeAlias = tuple[str, str, tuple[tuple[str, str], ...]]


class ReplayedResponse(web.Response):
    """The recorded response of an exchange, without the headers that aiohttp would add."""

    def __init__(self, exchange: TapedExchange) -> None:
        kept = {name: value for name, value in exchange.headers.items() if name not in _BODY_HEADERS}
        super().__init__(status=exchange.status or 0, headers=kept, body=_content(exchange.body))
        self._added = tuple(name for name in _ADDED if name.lower() not in kept)

    async def _prepare_headers(self) -> None:
        await super()._prepare_headers()
        for name in self._added:
            self.headers.popall(name, None)


class Replay:
    """The responses of a tape.

    Requests are equal if their methods, paths and queries are equal, regardless of the order of the query. The k-th of
    several equal requests gets the k-th recorded response. After the last response, this response is repeated.
    """

    def __init__(self, tape: Tape) -> None:
        self.tape: Tape = tape
        self._recorded: dict[_Key, list[TapedExchange]] = {}
        self._asked: dict[_Key, int] = {}
        for exchange in tape.exchanges:
            self._recorded.setdefault(_key(exchange.method, exchange.path, exchange.query), []).append(exchange)

    def next(self, method: str, path: str, query: Iterable[tuple[str, str]]) -> TapedExchange:
        """Return the exchange with the response to a request.

        Raises:
            Refusal: 421, if the tape has no response to the request.
        """
        key = _key(method, path, query)
        recorded = self._recorded.get(key)
        if recorded is None:
            raise self._not_on_tape(key)
        asked = self._asked.get(key, 0)
        self._asked[key] = asked + 1
        return recorded[min(asked, len(recorded) - 1)]

    def _not_on_tape(self, key: _Key) -> errors.Refusal:
        wanted = _shown(key)
        shown = {_shown(one): one for one in self._recorded}
        nearest = get_close_matches(wanted, [text for text, one in shown.items() if one[0] == key[0]], _NEAREST, 0.0)
        hint = f"The nearest recorded requests are {'; '.join(nearest)}." if nearest else f"The tape has no {key[0]}."
        message = (
            f"The tape {self.tape.path.name} has no response for {wanted}. {hint} Send a recorded request, with UIDs "
            "from the tape's listings, or record a new tape."
        )
        body = {
            "errors": [{"code": "emulator.NOT_ON_TAPE", "message": message}],
            "status": NOT_ON_TAPE,
            "request": wanted,
            "nearest": nearest,
        }
        return errors.Refusal(NOT_ON_TAPE, json.dumps(body))


def _content(body: Body) -> bytes | None:
    """Return the bytes of a recorded body."""
    if "json" in body:
        return json.dumps(body["json"]).encode()
    if "events" in body:
        return "".join(str(event) for event in as_list(body["events"]) or ()).encode()
    return str(body["text"]).encode() if "text" in body else None


def _key(method: str, path: str, query: Iterable[tuple[str, str]]) -> _Key:
    return method, path, tuple(sorted(query))


def _shown(key: _Key) -> str:
    method, path, query = key
    return f"{method} {path}{f'?{urlencode(query)}' if query else ''}"
