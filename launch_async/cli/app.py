"""The command and its options. The module of a sub-command is loaded when the sub-command is used."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any, Final

import click

from launch_async._version import __version__
from launch_async.cli.exit_codes import ExitCode, exit_code_of
from launch_async.cli.output import Output
from launch_async.cli.session import Session, log_to_standard_error
from launch_async.cli.shell import CommandError
from launch_async.errors import LaunchError

__all__ = ["COMMANDS", "command_line", "run"]

COMMANDS: Final[dict[str, tuple[str, str]]] = {
    "site": ("sites", "Create a project from a folder or ZIP, and deploy it."),
    "deploy": ("sites", "Deploy to an environment, and wait until the site is live."),
    "restore": ("sites", "Deploy the previous version again."),
    "promote": ("sites", "Deploy the version of one environment to another environment."),
    "preview": ("previews", "Create, list, extend and delete preview environments."),
    "resume-release": ("sites", "Finish a deploy or promote command whose process was killed."),
    "wait": ("logs", "Wait until a deployment has ended."),
    "logs": ("logs", "Show the build log of a deployment."),
    "server-logs": ("logs", "Show the server log of a deployment."),
    "vars": ("variables", "Compare and change environment variables."),
    "state": ("state", "Declare projects and environments in a file, and apply the file."),
    "fleet": ("fleet", "Run bulk operations on many environments."),
    "purge": ("domains", "Revalidate the CDN cache of an environment."),
    "domains": ("domains", "List domains and change their certificates."),
    "doctor": ("doctor", "Check credentials, network, clock and rate limit."),
    "probe": ("probe", "Check the SDK's assumptions about Launch in your organization."),
    "login": ("login", "Log in and store the token in the system's keyring."),
    "logout": ("login", "Log out and remove the token from the keyring."),
    "emulator": ("emulator", "Run a Launch server for tests on this machine."),
}
"""Each command with its module in `commands`, and a description of one line."""


class _Commands(click.Group):
    """A group that loads the module of a command when the command is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*COMMANDS]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f"launch_async.cli.commands.{COMMANDS[cmd_name][0]}")
        found: click.Command = getattr(module, cmd_name.replace("-", "_"))
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name not in COMMANDS:
            import difflib

            close = difflib.get_close_matches(name, COMMANDS, n=1)
            hint = f" Did you mean {close[0]}?" if close else ""
            raise click.UsageError(f"There is no command {name!r}.{hint} Use --help for a list of all commands.", ctx)
        return super().resolve_command(ctx, args)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 80})
@click.option("--region", help="Region of the organization: na, eu, au, azure-na, azure-eu, gcp-na or gcp-eu.")
@click.option("--organization", "organization_uid", metavar="UID", help="UID of the organization.")
@click.option(
    "--base-url",
    metavar="URL",
    help="Address of the API, instead of the region's address.",
)
@click.option("--rate-limit", type=int, metavar="N", help="Requests per second that your plan allows; 10 by default.")
@click.option("--json", "is_json", is_flag=True, help="Write JSON. You can also type this option after the command.")
@click.option(
    "--log",
    type=click.Choice(["debug", "info", "warning"], case_sensitive=False),
    help="Write the SDK's log messages of this level and higher to standard error.",
)
@click.version_option(__version__, prog_name="contentstack-launch")
@click.pass_context
def command_line(
    ctx: click.Context,
    region: str | None,
    organization_uid: str | None,
    base_url: str | None,
    rate_limit: int | None,
    is_json: bool,
    log: str | None,
) -> None:
    """Deploy sites to Contentstack Launch, follow builds, and run bulk operations.

    Credentials come from environment variables or from `login`. Set
    CONTENTSTACK_ACCESS_TOKEN, or CONTENTSTACK_CLIENT_ID and
    CONTENTSTACK_CLIENT_SECRET, or CONTENTSTACK_AUTHTOKEN.

    PROJECT and ENVIRONMENT are names, globs or UIDs.

    Exit codes: 0 done, 1 failed, 2 differences found, 3 outcome unknown,
    4 wrong usage or configuration, 5 refused by the service, 130 interrupted.
    """
    session = Session(
        region=region, organization_uid=organization_uid, base_url=base_url, requests_per_second=rate_limit
    )
    session.output.is_json = is_json
    ctx.obj = session
    ctx.call_on_close(session.close)
    if log is not None:
        log_to_standard_error(log)


def run(arguments: Sequence[str]) -> int:
    """Run the command with some arguments, and return the exit code."""
    typed = [*arguments]
    rest = typed.index("--") if "--" in typed else len(typed)
    if "--json" in typed[:rest]:
        # click accepts the option only before a command. Users also type it after the command.
        typed = ["--json", *(one for one in typed[:rest] if one != "--json"), *typed[rest:]]
    return _run(typed)


def _run(arguments: list[str]) -> int:
    output = Output()
    output.is_json = "--json" in arguments[:1]
    try:
        returned: Any = command_line.main(arguments, "contentstack-launch", standalone_mode=False)
    except click.exceptions.Exit as ended:
        return ended.exit_code
    except click.UsageError as error:
        if error.ctx is not None:
            output.note(error.ctx.get_usage())
        output.failure("UsageError", error.format_message())
        return ExitCode.USAGE
    except (click.Abort, KeyboardInterrupt) as error:
        output.note("Interrupted.")
        return exit_code_of(error)
    except CommandError as failed:
        output.failure(type(failed.error).__name__, failed.text)
        return exit_code_of(failed.error)
    except (LaunchError, click.ClickException, OSError) as error:
        words = error.format_message() if isinstance(error, click.ClickException) else str(error)
        output.failure(type(error).__name__, words)
        return exit_code_of(error)
    return int(returned) if isinstance(returned, int) else ExitCode.DONE
