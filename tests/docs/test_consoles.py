"""CI runs every shell command of the pages, and the shell of these runs behaves as expected."""

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


def test_ci_runs_every_shell_command_of_the_pages() -> None:
    pages = {block.page for block in blocks("sh", "console")} - {*VISITED, *ENGINES}
    steps = {f"python3 tools/run.py {step}" for step in STEPS}

    assert {"package", "engines"} <= STEPS
    assert [(page, line) for page in pages for line in typed(page) if line not in {*ELSEWHERE, *steps}] == []


def test_every_visited_page_has_a_command_or_a_pipeline() -> None:
    assert [page for page in VISITED if not typed(page) and not list(blocks("yaml", page=page))] == []


def test_every_excluded_command_is_still_on_a_page() -> None:
    shown = {line for block in blocks("sh", "console") for line in typed(block.page)}

    assert set(ELSEWHERE) - shown == set()


def test_contributing_lists_all_sessions_and_those_that_ci_leaves_out() -> None:
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


def test_commands_are_separated_from_their_output() -> None:
    (start,) = (line for line in lines_of(VISITED[0]) if line.output)

    assert start.text.startswith(".venv/bin/python -m launch_async.emulator")
    assert start.output.startswith('{"url"')
    assert Line("cd night-sky") in lines_of(VISITED[0])


def test_a_shell_keeps_its_folder_and_variables_between_lines(tmp_path: Path) -> None:
    with Shell(tmp_path, {"GREETING": "good night"}) as shell:
        shell.type("mkdir deep && cd deep")
        shell.type("read -r NAME && export NAME", answer="moon\n")

        assert shell.type('pwd; echo "$GREETING, $NAME"') == f"{tmp_path.resolve()}/deep\ngood night, moon\n"


def test_a_shell_has_no_settings_of_the_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONTENTSTACK_AUTHTOKEN", "of-a-person")

    with Shell(tmp_path, {}) as shell:
        assert shell.type("echo ${CONTENTSTACK_AUTHTOKEN-none}") == "none\n"


def test_the_error_about_a_failed_line_contains_its_output(tmp_path: Path) -> None:
    with Shell(tmp_path, {}) as shell, pytest.raises(LineFailed, match=r"^`echo no; false` ended with 1:\nno$"):
        shell.type("echo no; false")


SERVER = """
import os, signal, sys
# Block the signal until the wait, because it can come right after the printed line is read.
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


def test_a_started_program_ends_with_the_shell(tmp_path: Path, server: str) -> None:
    with Shell(tmp_path, {}) as shell:
        process = int(shell.start(f"{server} 0"))
        os.kill(process, 0)

    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)


def test_a_started_program_that_fails_is_reported(tmp_path: Path, server: str) -> None:
    with pytest.raises(LineFailed, match="ended with 3"), Shell(tmp_path, {}) as shell:
        shell.start(f"{server} 3")
    with pytest.raises(LineFailed, match="ended with 4"), Shell(tmp_path, {}) as shell:
        shell.start("sh -c 'exit 4'")
