"""CI types every shell command of the pages, and the shell that types them behaves as expected."""

from __future__ import annotations

import os
import re
import shlex
import sys
from pathlib import Path

import pytest

from tools.pages import ROOT, Line, blocks, lines_of
from tools.shell import LineFailed, Shell
from tools.try_consoles import ELSEWHERE, VISITED

ENGINES = ("docs/how-to/dask.md", "docs/how-to/prefect.md")
NOXFILE = (ROOT / "noxfile.py").read_text("utf-8")
SESSIONS = set(re.findall(r"^@nox\.session\ndef (\w+)", NOXFILE, re.MULTILINE))
STEPS = set(
    re.findall(r"^ *(?:\[\[.*)?step .* tools/run\.py (\w+)", (ROOT / ".ci/run").read_text("utf-8"), re.MULTILINE)
)


def typed(page: str) -> list[str]:
    """Return the commands of a page, without their comments."""
    return [re.sub(r" +#.*", "", line.text) for line in lines_of(page)]


def test_every_line_for_a_shell_is_typed_for_each_change() -> None:
    pages = {block.page for block in blocks("sh", "console")} - {*VISITED, *ENGINES}
    steps = {f"python3 tools/run.py {step}" for step in STEPS}

    assert {"package", "engines"} <= STEPS
    assert [(page, line) for page in pages for line in typed(page) if line not in {*ELSEWHERE, *steps}] == []


def test_a_page_that_is_visited_has_something_to_do() -> None:
    assert [page for page in VISITED if not typed(page) and not list(blocks("yaml", page=page))] == []


def test_what_is_not_typed_is_still_shown_somewhere() -> None:
    shown = {line for block in blocks("sh", "console") for line in typed(block.page)}

    assert set(ELSEWHERE) - shown == set()


def test_sessions_are_listed_and_all_but_some_are_steps_of_every_change() -> None:
    contributing = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    listed = set(re.findall(r"^\| `(\w+)` \|", contributing, re.MULTILINE))
    left_out = re.search(r"`\.ci/run` runs all but ([^.]+)\.", contributing)

    assert left_out
    assert listed == SESSIONS
    assert set(re.findall(r"`(\w+)`", left_out[1])) == SESSIONS - STEPS


def test_sessions_that_pages_name_exist() -> None:
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]
    named = {name for page in pages for name in re.findall(r"tools/run\.py (\w+)", page.read_text("utf-8"))}

    assert named - {"SESSION"} <= SESSIONS
    assert {"demo", "tests", "docs", "engines"} <= named


def test_lines_are_told_from_what_they_print() -> None:
    (start,) = (line for line in lines_of(VISITED[0]) if line.output)

    assert start.text.startswith(".venv/bin/python -m launch_async.emulator")
    assert start.output.startswith('{"url"')
    assert Line("cd night-sky") in lines_of(VISITED[0])


def test_a_shell_goes_on_where_the_last_line_left_it(tmp_path: Path) -> None:
    with Shell(tmp_path, {"GREETING": "good night"}) as shell:
        shell.type("mkdir deep && cd deep")
        shell.type("read -r NAME && export NAME", answer="moon\n")

        assert shell.type('pwd; echo "$GREETING, $NAME"') == f"{tmp_path.resolve()}/deep\ngood night, moon\n"


def test_a_shell_knows_nothing_of_settings_of_the_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONTENTSTACK_AUTHTOKEN", "of-a-person")

    with Shell(tmp_path, {}) as shell:
        assert shell.type("echo ${CONTENTSTACK_AUTHTOKEN-none}") == "none\n"


def test_a_line_that_fails_is_shown_with_what_it_printed(tmp_path: Path) -> None:
    with Shell(tmp_path, {}) as shell, pytest.raises(LineFailed, match=r"^`echo no; false` ended with 1:\nno$"):
        shell.type("echo no; false")


SERVER = """
import os, signal, sys
# Blocked until it is waited for: it may come right after the line that somebody reads.
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
print(os.getpid(), flush=True)
signal.sigwait({signal.SIGTERM})
sys.exit(int(sys.argv[1]))
"""


@pytest.fixture
def server(tmp_path: Path) -> str:
    """Return a command that starts a server. The exit status follows the command."""
    (tmp_path / "server.py").write_text(SERVER)
    return f"{shlex.quote(sys.executable)} server.py"


def test_what_is_started_ends_with_the_terminal(tmp_path: Path, server: str) -> None:
    with Shell(tmp_path, {}) as shell:
        process = int(shell.start(f"{server} 0"))
        os.kill(process, 0)

    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)


def test_what_is_started_and_ends_badly_is_told_of(tmp_path: Path, server: str) -> None:
    with pytest.raises(LineFailed, match="ended with 3"), Shell(tmp_path, {}) as shell:
        shell.start(f"{server} 3")
    with pytest.raises(LineFailed, match="ended with 4"), Shell(tmp_path, {}) as shell:
        shell.start("sh -c 'exit 4'")
