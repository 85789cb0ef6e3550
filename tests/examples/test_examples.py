"""The examples run against the emulator, and do what they say."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import Future

import aiohttp
import pytest
import uvicorn

from tests.support.programs import ROOT, Ended, Programs

EXAMPLES = ROOT / "examples"
COMMANDS = {
    "deploy": ("deploy_folder.py",),
    "plan": ("roll_out_variable.py",),
    "roll out": ("roll_out_variable.py", "--yes"),
    "tail": ("tail_running_builds.py",),
    "consider": ("clean_up.py",),
    "clean up": ("clean_up.py", "--yes"),
    "revalidate": ("revalidate_after_publish.py", "--gather", "0.2"),
}


@pytest.fixture(scope="module")
def started() -> Iterator[dict[str, Future[Ended]]]:
    """All the examples, under way at the same time."""
    with Programs() as programs:
        yield {
            title: programs.start(
                (EXAMPLES / name).read_text("utf-8"),
                name=str(EXAMPLES / name),
                arguments=arguments,
                folder=EXAMPLES,
            )
            for title, (name, *arguments) in COMMANDS.items()
        }


def output(ended: Future[Ended]) -> str:
    program = ended.result()
    assert (program.returncode, program.stderr) == (0, "")
    return program.stdout


def test_a_folder_is_deployed(started: dict[str, Future[Ended]]) -> None:
    assert "LIVE at http://127.0.0.1:" in output(started["deploy"])


def test_a_roll_out_is_shown_before_it_is_made(started: dict[str, Future[Ended]]) -> None:
    assert "blog/staging  +FEATURE_FLAG" in output(started["plan"])
    assert "succeeded" not in output(started["plan"])
    assert "set FEATURE_FLAG: 3 succeeded" in output(started["roll out"])


def test_every_running_build_is_tailed_to_its_end(started: dict[str, Future[Ended]]) -> None:
    lines = [line.split(maxsplit=1) for line in output(started["tail"]).splitlines()[1:]]

    assert sorted(text for name, text in lines if name == "shop/production") == ["LIVE", "compiling", "done"]
    assert len(lines) == 9


def test_only_old_previews_are_cleaned_up_and_only_if_told_to(started: dict[str, Future[Ended]]) -> None:
    assert output(started["consider"]) == "Would delete shop/preview-17, shop/preview-18\n"
    assert "delete environments: 2 succeeded" in output(started["clean up"])


def test_what_is_published_at_once_costs_one_revalidation(started: dict[str, Future[Ended]]) -> None:
    assert "Purged article, moonrise, eclipse\n1 revalidations today, 499 left" in output(started["revalidate"])


@pytest.fixture
async def service(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[str]:
    monkeypatch.syspath_prepend(EXAMPLES)
    fastapi_service = __import__("fastapi_service")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(fastapi_service.app, log_level="warning"))
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(server.serve([listener]))
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
            server.should_exit = True


async def test_the_service_starts_deployments_and_says_how_far_they_are(service: str) -> None:
    async with aiohttp.ClientSession(service) as session:
        async with session.get("/environments") as answer:
            (environment,) = await answer.json()
        uids = {name: environment[name] for name in ("project_uid", "environment_uid")}
        async with session.post("/deployments", params=uids) as answer:
            started = await answer.json()
            assert (answer.status, started["is_final"]) == (202, False)
        async with session.get("/deployments", params={**uids, "deployment_uid": started["deployment_uid"]}) as answer:
            assert (await answer.json())["deployment_uid"] == started["deployment_uid"]


async def test_the_service_passes_on_what_the_error_says(service: str) -> None:
    nowhere = {"project_uid": "0" * 24, "environment_uid": "0" * 24}
    async with aiohttp.ClientSession(service) as session, session.post("/deployments", params=nowhere) as answer:
        assert answer.status == 404
        assert (await answer.json())["error"] == "NotFoundError"
