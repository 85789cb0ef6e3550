"""Run examples/launch.ipynb in a kernel and check its output: `python tools/check_notebook.py [--html FILE]`.

The notebook runs twice: with the emulator that it starts, and with environment variables that name an organization,
which is another emulator here.

The event loop of a kernel runs during a cell, and its stop button is a Ctrl-C. A second kernel therefore checks that
calls without await work there, cause no warning, and leave the client usable after a stop. A third kernel
checks that long calls show their progress, that tracebacks contain only frames of the caller, and that an error after a
stop says how to continue.

`--html` writes the notebook with its output as a page. `--theme dark` uses a dark theme for the page.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from pathlib import Path

import nbformat
from jupyter_client.manager import start_new_kernel
from nbclient import NotebookClient
from nbconvert import HTMLExporter
from nbformat import NotebookNode

from launch_sync.emulator import LaunchEmulator

NOTEBOOK = Path(__file__).resolve().parent.parent / "examples" / "launch.ipynb"

SHOWN = {
    "list_archive(folder)": ("6 files to send", "images/sky.png", "1 excluded", "node_modules"),
    "site": ("night-sky", "✓&nbsp;done", "7 lines", "Site night-sky", "✓&nbsp;LIVE", 'href="http://127.0.0.1:'),
    "site.project": ("Project night-sky", "FILEUPLOAD"),
    "site.environment": ("Environment production", "GREETING, API_KEY"),
    "Log(launch.follow_logs(site.deployment))": ("INSTALLING_DEPENDENCIES", "Deployment is live"),
    "diff": ("1 to add, 1 to change, 0 to remove", "+ add", "MOON", "1 unchanged"),
    "launch.deploy(site.project.uid, site.environment.uid, folder)": ("Deployment #2", "✓&nbsp;LIVE"),
    "ended": ("✗&nbsp;FAILED", "TypeError: moon is not defined", "The previous version is live", "npm ERR!"),
    "deployments": ("All 3", "✗&nbsp;FAILED", "✓&nbsp;LIVE", "✓&nbsp;ARCHIVED"),
    'frame[["deployment_number", "status", "created_at", "url"]]': ("<table", "FAILED", "ARCHIVED"),
    "launch.budget": ("Rate limit of the organization", "requests per second"),
}
"""The words that the output of a cell must contain, by the last line of the cell."""

SHOWN_OF_AN_ORGANIZATION = {
    **SHOWN,
    "ended": ("Deployment #3", "✓&nbsp;LIVE"),
    "deployments": ("All 3", "✓&nbsp;LIVE", "✓&nbsp;ARCHIVED"),
    'frame[["deployment_number", "status", "created_at", "url"]]': ("<table", "LIVE", "ARCHIVED"),
}
"""The same words if no build is set up to fail."""

BEFORE_THE_STOP = """
import asyncio, pathlib, tempfile, warnings
from launch_sync import Authtoken, LaunchClient, LaunchSyncInAsyncWarning
from launch_sync.emulator import LaunchEmulator

warnings.simplefilter("error", LaunchSyncInAsyncWarning)
emulator = LaunchEmulator(build_seconds=3600.0).__enter__()
launch = LaunchClient(
    Authtoken(emulator.authtoken), base_url=emulator.url, organization_uid=emulator.organization_uid
).__enter__()
folder = pathlib.Path(tempfile.mkdtemp())
(folder / "index.html").write_text("hello " * 1000)
assert asyncio.get_running_loop().is_running()
launch.create_site("endless", folder, on_log=lambda line: print(line.message))
"""
AFTER_THE_STOP = """
print([project.name for project in launch.projects.list()])
launch.__exit__(None, None, None)
emulator.__exit__(None, None, None)
"""

AT_THE_PROMPT = (
    """
import os, signal, threading
from launch_sync import Authtoken, LaunchClient, LatestCommit
from launch_sync.emulator import LaunchEmulator

emulator = LaunchEmulator(rate_limit=None, build_seconds=1.5).__enter__()
launch = LaunchClient(
    Authtoken(emulator.authtoken), base_url=emulator.url, organization_uid=emulator.organization_uid
).__enter__()
project = emulator.add_project("shop", environments=["one", "two", "three"], git=True, deployments=1)
plan = launch.fleet.plan_redeploy(launch.fleet.select())
""",
    'launch.environments.get("a" * 24, "b" * 24)',
    "launch.fleet.run(plan, stop_on_failures=None)",
    "launch.deploy(project.uid, next(iter(project.environments)), LatestCommit())",
    """
emulator.script(seconds=3600, times=None)
plan = launch.fleet.plan_redeploy(launch.fleet.select())
threading.Timer(1.5, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
launch.fleet.run(plan, journal="stopped.journal")
""",
    "launch.__exit__(None, None, None); emulator.__exit__(None, None, None)",
)
"""Cells without any display options."""
PROMPT_SHOWS = (
    (),
    ("In[2]", "NotFoundError: ", "frames of the SDK; traceback.print_last() shows all frames"),
    ("3 of 3 done", "✓&nbsp;finished", "3 succeeded", "All 3 targets are done"),
    ("Deployment to environment", "✓&nbsp;LIVE"),
    ("!&nbsp;interrupted", "launch.fleet.resume(&#x27;stopped.journal&#x27;) to finish the run", "KeyboardInterrupt"),
    (),
)
LONGEST_TRACEBACK = 8

SECRETS = ("not for your eyes", "good evening", "good night")


def main() -> int:
    """Run the notebook, check it, and return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--html", type=Path, help="file for the notebook with its output")
    parser.add_argument("--theme", choices=("light", "dark"), default="light")
    options = parser.parse_args()
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    problems = list(stored_outputs(notebook))
    problems += trouble_at_an_organization(deepcopy(notebook))
    run(notebook, {})
    problems += wrong_outputs(notebook, SHOWN)
    problems += trouble_when_stopped()
    problems += trouble_at_the_prompt()
    if options.html:
        page, _ = HTMLExporter(theme=options.theme).from_notebook_node(notebook)
        options.html.write_text(page, "utf-8")
    for problem in problems:
        print(problem, file=sys.stderr)
    print(f"{2 * len(SHOWN)} outputs of {NOTEBOOK.name} a stopped call and a prompt checked, {len(problems)} problems")
    return int(bool(problems))


def run(notebook: NotebookNode, settings: Mapping[str, str]) -> None:
    """Execute every cell in the folder of the notebook, with these settings and no others from the environment.

    An exception in a cell ends this program.
    """
    here = {"metadata": {"path": str(NOTEBOOK.parent)}}
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CONTENTSTACK_")}
    NotebookClient(notebook, timeout=60, kernel_name="python3", resources=here).execute(env={**environment, **settings})


def trouble_at_an_organization(notebook: NotebookNode) -> Iterator[str]:
    """Return the problems if the environment names an organization."""
    with LaunchEmulator() as organization:
        settings = {
            "CONTENTSTACK_LAUNCH_URL": organization.url,
            "CONTENTSTACK_AUTHTOKEN": organization.authtoken,
            "CONTENTSTACK_ORGANIZATION_UID": organization.organization_uid,
        }
        run(notebook, settings)
        made, deleted = (organization.ledger.count(operation) for operation in ("createProject", "deleteProject"))
    for problem in wrong_outputs(notebook, SHOWN_OF_AN_ORGANIZATION):
        yield f"at an organization {problem}"
    if (made, deleted) != (1, 1):
        yield f"at an organization the notebook makes {made} projects and deletes {deleted}"


def stored_outputs(notebook: NotebookNode) -> Iterator[str]:
    """Return the cells that are stored with output, which belongs to one run and not to the repository."""
    for cell in notebook.cells:
        if cell.cell_type == "code" and (cell.outputs or cell.execution_count is not None):
            yield f"cell {cell.id} is stored with output: clear all outputs before you commit"


def wrong_outputs(notebook: NotebookNode, expected: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """Return the words that cells do not show, and the secrets that they do show."""
    shown = {cell.source.splitlines()[-1]: outputs(cell) for cell in notebook.cells if cell.cell_type == "code"}
    for line, phrases in expected.items():
        missing = [phrase for phrase in phrases if phrase not in shown.get(line, "")]
        if missing:
            yield f"the cell that ends with `{line}` does not show {missing}"
    for line, text in shown.items():
        found = [secret for secret in SECRETS if secret in text]
        if found:
            yield f"the cell that ends with `{line}` shows the secrets {found}"


def trouble_when_stopped() -> Iterator[str]:
    """Return the problems after a press of the stop button during a call, after the call has shown its first line."""
    manager, client = start_new_kernel(kernel_name="python3")
    printed: list[str] = []

    def stop(message: Mapping[str, Mapping[str, str]]) -> None:
        if "text" in message["content"]:
            printed.append(message["content"]["text"])
            if len(printed) == 1:
                manager.interrupt_kernel()

    try:
        stopped = client.execute_interactive(BEFORE_THE_STOP, timeout=60, output_hook=stop)["content"]
        if stopped.get("ename") != "KeyboardInterrupt":
            yield f"a call that was stopped ended as {stopped}"
        printed.append("")
        usable = client.execute_interactive(AFTER_THE_STOP, timeout=60, output_hook=stop)["content"]
        if usable["status"] != "ok" or "['endless']" not in printed[-1]:
            yield f"after a stop the client says {printed[-1]!r} and {usable}"
    finally:
        client.stop_channels()
        manager.shutdown_kernel()


def trouble_at_the_prompt() -> Iterator[str]:
    """Yield the cells that show no progress, too many frames of a traceback, or no hint how to continue."""
    cells = [nbformat.v4.new_code_cell(source) for source in AT_THE_PROMPT]
    with tempfile.TemporaryDirectory() as folder:
        notebook, here = nbformat.v4.new_notebook(cells=cells), {"metadata": {"path": folder}}
        NotebookClient(notebook, timeout=60, kernel_name="python3", resources=here, allow_errors=True).execute(
            env={**os.environ, "PYTHONPATH": str(NOTEBOOK.parent.parent)}
        )
    for cell, phrases in zip(notebook.cells, PROMPT_SHOWS, strict=True):
        tracebacks = ["\n".join(output.traceback) for output in cell.outputs if output.output_type == "error"]
        text, last = "\n".join([outputs(cell), *tracebacks]), cell.source.splitlines()[-1]
        missing = [phrase for phrase in phrases if phrase not in text]
        if missing or (tracebacks and not phrases):
            yield f"at the prompt, `{last}` does not show {missing}, but {text}"
        if any(len(one.splitlines()) > LONGEST_TRACEBACK for one in tracebacks):
            yield f"at the prompt, `{last}` shows a long traceback: {tracebacks}"


def outputs(cell: NotebookNode) -> str:
    """Return the output of a cell: the richest form of each result, and the text of its streams."""
    forms = (output.get("data", {}) for output in cell.outputs)
    rich = [form.get("text/html") or form.get("text/plain", "") for form in forms]
    return "\n".join([*rich, *(output.text for output in cell.outputs if output.output_type == "stream")])


if __name__ == "__main__":
    sys.exit(main())
