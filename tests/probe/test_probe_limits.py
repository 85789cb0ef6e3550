"""A probe sends few requests, leaves half of the budget to others, and always removes its scratch project."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import Counter
from collections.abc import Callable

import pytest

from launch_async import AccessToken, ConfigurationError, InvalidArgumentError, LaunchClient, LaunchError, ResponseLost
from launch_async.emulator import LaunchEmulator
from launch_async.http import Request, Response, Send
from launch_async.probe import ProbeReport, probe, probe_steps
from tests.support.probed import SCRATCH, client_of, emulator_with_content, in_virtual_time, probed


def test_a_read_only_probe_sends_at_most_60_get_requests() -> None:
    emulator = emulator_with_content()

    report = probed(emulator, write=False)

    sent = emulator.ledger.requests
    assert {entry.method for entry in sent} == {"GET"}
    assert len(sent) == report.requests <= 60
    assert not any(entry.operation.endswith("UploadUrl") for entry in sent)
    assert not report.wrote


def test_only_a_daring_probe_sends_limit_0() -> None:
    def zeros(*, daring: bool) -> int:
        queries: list[str] = []

        async def watch(request: Request, send: Send) -> Response:
            queries.append(request.url.partition("?")[2])
            return await send(request)

        probed(emulator_with_content(), write=False, daring=daring, middleware=(watch,))
        return sum("limit=0" in query.split("&") for query in queries)

    assert (zeros(daring=False), zeros(daring=True)) == (0, 1)


def test_60_requests_are_a_hard_limit() -> None:
    emulator = LaunchEmulator(port=None, rate_limit=None)
    for number in range(30):
        emulator.add_project(f"project {number}", environments=[f"{one}" for one in range(5)], deployments=3)

    async def refuse(request: Request, send: Send) -> Response:
        answer = await send(request)
        return answer if "/logs/" not in request.url else Response(429, answer.headers)

    report = probed(emulator, write=False, middleware=(refuse,))

    assert report.requests == len(emulator.ledger.requests) <= 60


def test_a_probe_uses_at_most_half_of_a_budget_that_another_program_saturates() -> None:
    emulator = emulator_with_content(rate_limit=10, seed=11)
    at: list[float] = []

    async def note(request: Request, send: Send) -> Response:
        at.append(asyncio.get_running_loop().time())
        return await send(request)

    async def saturate(client: LaunchClient) -> None:
        while True:
            await asyncio.gather(*(client.projects.list(limit=1).page() for _ in range(3)))

    async def main() -> ProbeReport:
        async with (
            emulator,
            client_of(emulator, middleware=(note,), rate_limit=10) as mine,
            client_of(emulator, rate_limit=10) as other,
        ):
            busy = asyncio.ensure_future(saturate(other))
            try:
                return await probe(mine)
            finally:
                busy.cancel()

    report = in_virtual_time(main())

    total = Counter(entry.refused for entry in emulator.ledger.requests)
    assert report.requests == len(at) > 30
    assert total[True] == 0
    assert total[False] > 2 * len(at)
    assert max(sum(1 for one in at if begin <= one < begin + 2) for begin in at) <= 10


Interrupt = Callable[[Request, "asyncio.Task[ProbeReport]"], object]


def _left_after(before: Interrupt | None = None, after: Interrupt | None = None) -> list[str | None]:
    """Probe with a scratch project, disturb its requests before or after the service acts, and return all projects."""
    emulator = LaunchEmulator(port=None, rate_limit=None, build_seconds=1.0)
    probing: asyncio.Task[ProbeReport] | None = None

    async def disturb(request: Request, send: Send) -> Response:
        assert probing is not None
        if before is not None:
            before(request, probing)
        answer = await send(request)
        if after is not None:
            after(request, probing)
            await asyncio.sleep(0)
        return answer

    async def main() -> list[str | None]:
        nonlocal probing
        async with emulator, client_of(emulator, middleware=(disturb,)) as client:
            probing = asyncio.ensure_future(probe(client, write=True, project=SCRATCH))
            with contextlib.suppress(asyncio.CancelledError, LaunchError, RuntimeError):
                await probing
        async with client_of(emulator) as client:
            return [project.name async for project in client.projects.list()]

    return in_virtual_time(main())


def _at(number: int, act: Interrupt) -> Interrupt:
    """Return a function that disturbs only the request with this number."""
    count = 0

    def disturb(request: Request, probing: asyncio.Task[ProbeReport]) -> None:
        nonlocal count
        count += 1
        if count == number:
            act(request, probing)

    return disturb


def _fail(_: Request, __: object) -> None:
    raise RuntimeError("a fault of the program")


@pytest.mark.parametrize("number", [*range(1, 9), 15, 25, 40])
def test_a_cancelled_probe_leaves_no_project(number: int) -> None:
    assert _left_after(before=_at(number, lambda _, probing: probing.cancel())) == []
    assert _left_after(after=_at(number, lambda _, probing: probing.cancel())) == []


@pytest.mark.parametrize("number", [4, 6, 20])
def test_a_probe_that_fails_leaves_no_project(number: int) -> None:
    assert _left_after(after=_at(number, _fail)) == []


def test_a_second_cancellation_does_not_stop_the_deletion() -> None:
    def cancel(request: Request, probing: asyncio.Task[ProbeReport]) -> None:
        if request.method in ("DELETE", "PATCH"):
            probing.cancel()

    assert _left_after(before=cancel, after=cancel) == []


def test_a_project_whose_creation_lost_its_answer_is_found_and_deleted() -> None:
    def lose(request: Request, _: object) -> None:
        if request.method == "POST" and request.url.endswith("/projects"):
            raise ResponseLost("the connection broke")

    assert _left_after(after=lose) == []


def test_an_existing_project_with_the_name_is_not_changed() -> None:
    emulator = emulator_with_content()
    emulator.add_project(SCRATCH)

    with pytest.raises(InvalidArgumentError, match="exists"):
        probed(emulator)

    assert {entry.method for entry in emulator.ledger.requests} == {"GET"}


def test_a_project_with_the_name_that_appears_during_the_probe_is_not_deleted() -> None:
    emulator = emulator_with_content()

    async def overtake(request: Request, send: Send) -> Response:
        if request.method == "POST" and request.url.endswith("/projects"):
            emulator.add_project(SCRATCH)
        return await send(request)

    report = probed(emulator, middleware=(overtake,))

    assert "DELETE" not in {entry.method for entry in emulator.ledger.requests}
    assert "DUPLICATE_NAME" in report[17].reason
    assert report.leftover == ""


def test_a_project_that_cannot_be_deleted_is_reported(caplog: pytest.LogCaptureFixture) -> None:
    emulator = emulator_with_content()
    emulator.faults.add("status_before", operation="deleteProject", status=403)

    report = probed(emulator)

    assert SCRATCH in report.leftover
    assert report.leftover in caplog.text
    assert "LEFT BEHIND" in str(report)
    assert "Left behind" in report.to_markdown()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"write": True}, "project"),
        ({"project": "mine"}, "write=True"),
        ({"write": True, "project": ""}, "empty"),
        ({"write": True, "project": "x" * 201}, "200"),
    ],
)
def test_wrong_arguments_are_refused_before_anything_is_sent(arguments: dict[str, object], words: str) -> None:
    emulator = emulator_with_content()

    async def main() -> None:
        async with client_of(emulator) as client:
            await probe(client, **arguments)  # type: ignore[arg-type]

    with pytest.raises(InvalidArgumentError, match=words):
        in_virtual_time(main())
    assert emulator.ledger.requests == []
    with pytest.raises(InvalidArgumentError):
        probe_steps(**arguments)  # type: ignore[arg-type]


def test_the_steps_are_shown_without_a_request() -> None:
    reads, writes = probe_steps(), probe_steps(write=True, project="mine", daring=True)

    assert any("60 requests" in step for step in reads)
    assert any("Delete the project 'mine'" in step for step in writes)
    assert any("limit=0" in step for step in writes)
    assert not any("limit=0" in step for step in reads)


def test_each_step_is_reported_before_it_begins() -> None:
    emulator, reported = emulator_with_content(), list[str]()

    async def main() -> None:
        async with emulator, client_of(emulator) as client:
            await probe(client, write=True, project=SCRATCH, on_step=reported.append)

    in_virtual_time(main())

    assert reported[:2] == ["Read the API document", "Make sure that the name of the scratch project is not in use"]
    assert reported[-1] == "Delete the scratch project"


def test_an_empty_organization_and_a_token_without_permission_leave_questions_undecided() -> None:
    empty = probed(LaunchEmulator(port=None, rate_limit=None), write=False)
    emulator = emulator_with_content()

    async def main() -> ProbeReport:
        token = emulator.issue_token(scopes=["launch.projects:delete"])
        async with LaunchClient(
            AccessToken(token), base_url=emulator.url, transport=emulator.transport(), share_budget="process"
        ) as client:
            return await probe(client)

    forbidden = in_virtual_time(main())

    assert {row.number for row in empty.decided} <= {13, 23}
    assert {row.number for row in forbidden.decided} <= {23}
    assert all(row.reason for report in (empty, forbidden) for row in report.undecided)


def test_a_report_contains_no_name_no_uid_and_no_secret() -> None:
    emulator = emulator_with_content()
    texts = "\n".join(
        text
        for report in [probed(emulator)]
        for text in (str(report), report.to_markdown(), report.to_json(), repr(report))
    )
    state = emulator._service.state
    uids = [*state.environments, *state.deployments, emulator.organization_uid, emulator.authtoken]
    uids += [project for one in state.organizations.values() for project in one.projects]

    assert [uid for uid in uids if uid in texts] == []
    assert [name for name in (SCRATCH, "landing", "atlas", "example.com", "emulator.localhost") if name in texts] == []


def test_the_writes_end_soon_if_a_colleague_deletes_the_scratch_project() -> None:
    emulator = emulator_with_content()
    began = emulator.clock.now()

    async def delete_meanwhile(request: Request, send: Send) -> Response:
        answer = await send(request)
        if request.url.endswith("/revalidate-cdn-cache"):
            scratch = next(one for one in emulator.ledger.created if one.name == SCRATCH)
            async with client_of(emulator) as colleague:
                with contextlib.suppress(LaunchError):
                    await colleague.projects.delete(scratch.uid)
        return answer

    report = probed(emulator, middleware=(delete_meanwhile,))

    assert emulator.clock.now() - began < 60
    assert report.leftover == ""
    assert not report[20].is_decided
    assert report[17].is_decided


def test_a_client_without_credentials_is_refused() -> None:
    emulator = emulator_with_content()

    async def main() -> None:
        async with LaunchClient(base_url=emulator.url, transport=emulator.transport()) as client:
            await probe(client)

    with pytest.raises(ConfigurationError, match="credentials"):
        in_virtual_time(main())


def test_a_notebook_shows_the_report_as_a_table() -> None:
    html = probed(emulator_with_content(), write=False)._repr_html_()

    assert html.count("<tr>") == 1 + 35 + 8
    assert "<td>downloadUrl</td>" in html


def test_a_report_as_json_has_all_rows_and_options() -> None:
    report = probed(emulator_with_content(), write=False)
    document = json.loads(report.to_json())

    assert [row["number"] for row in document["rows"]] == [*range(1, 36)]
    assert document["emulator_options"] == dict(report.to_emulator_options())
    assert {row["verdict"] for row in document["rows"]} == {"decided", "undecided"}
    assert report.to_markdown().count("\n| ") >= len(report.rows)


def test_a_single_failure_of_the_service_does_not_change_the_verdict() -> None:
    failed: set[str] = set()

    async def fail_once(request: Request, send: Send) -> Response:
        if "/logs/" in request.url and request.url not in failed:
            failed.add(request.url)
            return Response(500, {}, b"{}")
        return await send(request)

    report = probed(emulator_with_content(), middleware=(fail_once,))

    assert report[5].value == {"static": 200, "without_window": 400}
    assert report[31].value == {"status": 200, "heartbeat": "comment", "session_s": 900}


def test_a_log_with_deleted_old_lines_is_not_reported_as_a_short_log() -> None:
    report = probed(emulator_with_content(log_retention=6.0))

    assert not report[33].is_decided
    assert "build_log_lines" not in report.to_emulator_options()
