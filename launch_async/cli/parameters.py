"""Options of a command, from the signature and the docstring of the call that it makes.

So each keyword argument of a workflow is an option of its command under the same name, with the same text.
"""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, Final, TypeAlias, cast, get_args

import click

from launch_async.archive.archive import SecretFiles
from launch_async.cli.values import CHECK, DURATION, MOMENT, SECONDS, TIMES
from launch_async.deploy.release.check import OnFailure
from launch_async.fleet.plan.actions import WhenBusy
from launch_async.models.deployment import DeploymentStatus
from launch_async.models.domain import SslMethod
from launch_async.models.framework_preset import FrameworkPreset
from launch_async.models.log import LogStage
from launch_async.state.run.applying import RedeployWhen

__all__ = ["CALLBACKS", "Call", "options_of", "taken_by", "texts_of_arguments"]

Call: TypeAlias = Callable[..., object]

CALLBACKS: Final = frozenset(
    {"on_log", "on_progress", "on_update", "on_event", "on_step", "control", "cursor", "progress"}
)
"""Parameters that only a program can give. The command shows progress and handles Ctrl-C by itself."""

_CHOICES: Final[Mapping[str, Iterable[str]]] = {
    "SecretFiles": get_args(SecretFiles),
    "OnFailure": get_args(OnFailure),
    "WhenBusy": get_args(WhenBusy),
    "RedeployWhen": get_args(RedeployWhen),
    "FrameworkPreset": FrameworkPreset,
    "DeploymentStatus": DeploymentStatus,
    "LogStage": LogStage,
    "SslMethod": SslMethod,
}
_KINDS: Final[Mapping[str, click.ParamType[Any] | type]] = {
    "CheckLike": CHECK,
    "int": int,
    "float": float,
    "str": str,
    "Deployment | str": str,
    "timedelta": DURATION,
    "datetime": MOMENT,
    "datetime | timedelta": TIMES,
    "str | os.PathLike[str]": click.Path(),
    "str | os.PathLike[str] | Journal": click.Path(dir_okay=False),
}
_MANY: Final = re.compile(r"(?:Iterable|Sequence)\[(.*)\]")


def options_of(*calls: Call, without: Collection[str] = (), texts_of: Call | None = None) -> list[click.Option]:
    """Return an option for each keyword argument of some calls; of two with one name, the first counts.

    Args:
        calls: The calls of a command.
        without: Arguments that the command gives in another way.
        texts_of: A call that describes the arguments which the calls themselves do not describe.
    """
    options: dict[str, click.Option] = {}
    described = {} if texts_of is None else texts_of_arguments(texts_of)
    for call in calls:
        texts = described | texts_of_arguments(call)
        for parameter in _keywords(call, {*without, *CALLBACKS}):
            options.setdefault(parameter.name, _option(parameter, texts.get(parameter.name, "")))
    return list(options.values())


def taken_by(call: Call, given: Mapping[str, object]) -> dict[str, Any]:
    """Return those of the given options that a call takes and that somebody has typed."""
    known = {parameter.name for parameter in _keywords(call, ())}
    return {name: value for name, value in given.items() if name in known and value not in (None, ())}


def texts_of_arguments(call: Call) -> dict[str, str]:
    """Return what the docstring of a call says about each argument."""
    section = re.search(r"^Args:\n(.*?)(?=^\S|\Z)", inspect.getdoc(call) or "", re.MULTILINE | re.DOTALL)
    if section is None:
        return {}
    found = re.findall(r"^    (\w+): (.*?)(?=^    \w|\Z)", section[1], re.MULTILINE | re.DOTALL)
    return {name: " ".join(text.replace("`", "").split()) for name, text in found}


def _keywords(call: Call, without: Collection[str]) -> list[inspect.Parameter]:
    return [
        parameter
        for parameter in inspect.signature(call).parameters.values()
        if parameter.kind is parameter.KEYWORD_ONLY and parameter.name not in without
    ]


def _option(parameter: inspect.Parameter, text: str) -> click.Option:
    flag = parameter.name.replace("_", "-")
    kind = _without(str(parameter.annotation), "None", "Unset")
    if kind == "bool":
        is_on = parameter.default is True
        name = f"--no-{flag}" if is_on else f"--{flag}"
        # A flag that is not typed is not given, so that the call's own default holds.
        return click.Option(
            [name, parameter.name],
            is_flag=True,
            flag_value=not is_on,
            type=bool,
            default=None,
            help=_flag_text(text, is_on=is_on),
        )
    many = _MANY.search(kind)
    single = _without(re.sub(r" \| (?:Iterable|Sequence)\[.*\]", "", kind) if many is None else many[1])
    default = _shown(parameter.default)
    return click.Option(
        [f"--{flag}", parameter.name],
        type=_kind_of(parameter, single),
        multiple=many is not None,
        default=None,
        help=f"{text}{'' if not default else f'  [default: {default}]'}",
    )


def _flag_text(text: str, *, is_on: bool) -> str:
    """Return the text of a flag: `Whether to wait` becomes `Do not wait` where waiting is the default."""
    what = text.removeprefix("Whether to ")
    if what == text:
        return text
    return f"Do not {what}" if is_on else what[:1].upper() + what[1:]


def _kind_of(parameter: inspect.Parameter, kind: str) -> click.ParamType[Any] | type:
    if parameter.name.endswith("timeout"):
        return SECONDS
    if kind.startswith("Literal["):
        choices: Iterable[str] = ast.literal_eval(f"({kind[len('Literal[') : -1]},)")
        return click.Choice([*choices])
    for name, members in _CHOICES.items():
        if name in kind.split(" | "):
            return click.Choice([str(member) for member in members], case_sensitive=False)
    if kind not in _KINDS:
        raise TypeError(f"no option is known for {parameter.name}: {kind}")
    return _KINDS[kind]


def _without(kind: str, *names: str) -> str:
    return " | ".join(part for part in kind.split(" | ") if part not in names)


def _shown(default: object) -> str:
    if default is inspect.Parameter.empty or default in (None, ()):
        return ""
    return ", ".join(map(str, cast("tuple[object, ...]", default))) if isinstance(default, tuple) else str(default)
