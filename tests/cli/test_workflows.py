"""Every workflow has a command, and every option is an argument of the call that its command makes."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from launch_async.cli import shell
from launch_async.cli.parameters import CALLBACKS, texts_of_arguments
from launch_async.cli.shell import for_the_shell
from launch_async.errors import InvalidArgumentError, LaunchError
from launch_sync import LaunchClient
from launch_sync.deploy import Previews
from launch_sync.fleet import Fleet
from launch_sync.probe import probe
from launch_sync.resources import Domains, Environments
from launch_sync.state import DeclaredState
from launch_sync.variables import Variables
from tools import command_page

COMMANDS = {name: command for name, command, _ in command_page.commands()}
# The calls of each command, and the arguments of each call that the command sets differently.
CALLS = {
    "site": ((LaunchClient.create_site,), {"environment_variables"}),
    "deploy": ((LaunchClient.deploy,), set[str]()),
    "restore": ((LaunchClient.restore,), set[str]()),
    "promote": ((LaunchClient.promote,), set[str]()),
    "preview create": ((Previews.create,), {"environment_variables"}),
    "preview list": ((Previews.list,), set[str]()),
    "preview extend": ((Previews.extend,), set[str]()),
    "preview delete": ((Previews.delete,), set[str]()),
    "preview sweep": ((Previews.sweep,), {"project_uid"}),
    "resume-release": ((LaunchClient.resume_release,), set[str]()),
    "wait": ((LaunchClient.wait,), set[str]()),
    "logs": ((LaunchClient.follow_logs,), set[str]()),
    "server-logs": ((LaunchClient.tail_server_logs,), set[str]()),
    "vars diff": ((Variables.diff,), set[str]()),
    "vars import": ((Variables.diff, Variables.apply), set[str]()),
    "state pull": ((DeclaredState.pull,), set[str]()),
    "state diff": ((DeclaredState.diff,), set[str]()),
    "state apply": ((DeclaredState.apply,), set[str]()),
    "state resume": ((DeclaredState.resume,), set[str]()),
    "fleet select": ((Fleet.select,), {"project_uids", "environment_uids"}),
    "fleet plan redeploy": ((Fleet.select, Fleet.plan_redeploy), {"project_uids", "environment_uids"}),
    "fleet plan variables": ((Fleet.select, Fleet.plan_variables), {"project_uids", "environment_uids"}),
    "fleet plan purge": ((Fleet.select, Fleet.plan_revalidate), {"project_uids", "environment_uids"}),
    "fleet plan delete": ((Fleet.plan_delete,), set[str]()),
    "fleet run": ((Fleet.run,), {"variables"}),
    "fleet report": ((Fleet.report,), set[str]()),
    "fleet resume": ((Fleet.resume,), {"variables"}),
    "probe": ((probe,), set[str]()),
    "purge": ((Environments.revalidate_cache,), set[str]()),
    "domains list": ((Domains.list,), {"limit", "skip"}),
    "domains update": ((Domains.update,), {"url"}),
}
# These commands do more than one call, so their options are not the arguments of a workflow.
MORE_THAN_A_CALL = {"vars set", "vars unset", "doctor", "login", "logout", "emulator"}
WITHOUT_COMMAND = {
    "as_completed": "wait waits for one",
    "close": "each command closes its client",
    "find": "every command takes names",
    "follow_all": "logs shows one",
    "openapi": "for programs",
    "poll_once": "wait does it",
    "request": "for programs: its body would stand on the command line",
    "wait_all": "wait waits for one",
    "with_options": "options stand before the command",
    "from_env": "every command does it",
}


def _workflows(owner: type) -> Iterator[tuple[str, object]]:
    for name, member in vars(owner).items():
        if not name.startswith("_") and (inspect.isfunction(member) or isinstance(member, classmethod)):
            yield name, getattr(owner, name)


@pytest.mark.parametrize("owner", [LaunchClient, Fleet, DeclaredState, Domains, Previews])
def test_every_workflow_has_a_command(owner: type) -> None:
    called = {inspect.unwrap(call) for calls, _ in CALLS.values() for call in calls}

    missing = [name for name, call in _workflows(owner) if inspect.unwrap(call) not in called]  # type: ignore[arg-type]

    assert [name for name in missing if owner is not LaunchClient or name not in WITHOUT_COMMAND] == []


def test_every_command_is_listed_in_this_test() -> None:
    assert COMMANDS.keys() == CALLS.keys() | MORE_THAN_A_CALL


@pytest.mark.parametrize("name", CALLS)
def test_every_argument_is_an_option(name: str) -> None:
    calls, given_otherwise = CALLS[name]
    wanted = {
        parameter.name
        for call in calls
        for parameter in inspect.signature(call).parameters.values()
        if parameter.kind is parameter.KEYWORD_ONLY
    } - CALLBACKS

    assert wanted - given_otherwise <= {parameter.name for parameter in COMMANDS[name].params}


@pytest.mark.parametrize("name", CALLS)
def test_every_option_has_a_description(name: str) -> None:
    options = [one for one in COMMANDS[name].params if isinstance(one, click.Option)]

    assert [one.name for one in options if not one.help] == []


@pytest.mark.parametrize("name", CALLS)
def test_descriptions_of_options_use_the_syntax_of_the_shell(name: str) -> None:
    texts = [one.help or "" for one in COMMANDS[name].params if isinstance(one, click.Option)]

    # JSON files have fields that are written with an underscore.
    python = r"\bNone\b|LaunchClient|\b(?!project_uid|environment_uid)[a-z]+_[a-z]+\b|\(\)|\bobject\b"
    broken = r"\.\.$|(^|\. )[a-z]"
    assert [text for text in texts if re.search(f"{python}|{broken}", text)] == []


def test_texts_of_arguments_come_from_docstrings() -> None:
    texts = texts_of_arguments(LaunchClient.create_site)

    assert texts["name"].startswith("Name of the project")
    assert texts_of_arguments(lambda: None) == {}


def test_the_help_file_equals_the_help_of_the_command() -> None:
    assert command_page.HELP.read_text("utf-8") == command_page.help_text(), "run: python -m tools.command_page"


def test_the_page_names_every_command() -> None:
    page = command_page.expand(Path("docs/reference/command.md").read_text("utf-8"))

    assert [name for name in COMMANDS if f"\n## {name}\n" not in page] == []
    assert command_page.expand("# Another page") == "# Another page"


def test_an_error_names_options_and_commands_instead_of_python() -> None:
    deploy, run = COMMANDS["deploy"], COMMANDS["fleet run"]
    needed = InvalidArgumentError("confirm", "is required, because the plan deletes environments. Pass confirm=2")
    unchecked = InvalidArgumentError("on_failure", '"restore" needs at least one check. Pass verify=Check("/")')
    waited = InvalidArgumentError("verify", "needs a live site. Leave out wait=False")
    protected = InvalidArgumentError("plan", "is old. Make a new plan, or pass protected=() to change them anyway")
    failed = LaunchError("Call launch.restore('66c0', 'ab') to try again. launch.fleet.run(plan) runs the plan")
    log = LaunchError("Full log: launch.deployments.logs('66c0', 'ab', 'cd')")
    unknown = LaunchError("Call launch.nothing('x'). The JSON has confirm=1")

    assert for_the_shell(needed, run) == (
        "--confirm is required, because the plan deletes environments. Pass --confirm 2"
    )
    assert for_the_shell(unchecked, deploy) == '--on-failure: "restore" needs at least one check. Pass --verify /'
    assert for_the_shell(waited, deploy) == "--verify needs a live site. Leave out --no-wait"
    assert for_the_shell(protected, run).endswith('or pass --protected "" to change them anyway')
    assert for_the_shell(failed, deploy) == (
        "Run contentstack-launch restore 66c0 ab to try again. contentstack-launch fleet run runs the plan"
    )
    assert for_the_shell(log, deploy) == "Full log: contentstack-launch logs 66c0 ab cd"
    assert for_the_shell(InvalidArgumentError("variables", "must contain A"), run) == "--set must contain A"
    assert for_the_shell(unknown, deploy) == "Call launch.nothing('x'). The JSON has confirm=1"


def test_the_commands_in_error_texts_exist() -> None:
    assert set(shell.COMMANDS.values()) <= {*COMMANDS}
