"""Makes the options of a command from the signature and the docstring of the call that the command makes.

Each keyword argument of the call becomes an option with the same name and the same description.
"""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, Final, TypeAlias, cast, get_args

import click

from launch_async.archive.archive import SecretFiles
from launch_async.cli.values import CHECK, DURATION, MOMENT, SECONDS, TIMES, duration_text
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
"""Arguments that only a program can pass. The command has its own progress output and its own way to handle Ctrl-C."""

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
_CHECK_TEXT: Final = (
    "Check of the live site after the deployment: a path such as /health, or a path with conditions, such as "
    "/,status=200,contains=Welcome; repeatable. The command fails if the site fails a check."
)
_MANY: Final = re.compile(r"(?:Iterable|Sequence)\[(.*)\]")


def options_of(*calls: Call, without: Collection[str] = (), texts_of: Call | None = None) -> list[click.Option]:
    """Return an option for each keyword argument of some calls; if two have the same name, the first one counts.

    Args:
        calls: The calls of a command.
        without: Arguments that the command sets in another way.
        texts_of: A call whose docstring describes arguments that the docstrings of `calls` do not describe.
    """
    options: dict[str, click.Option] = {}
    described = {} if texts_of is None else texts_of_arguments(texts_of)
    for call in calls:
        texts = described | texts_of_arguments(call)
        names = inspect.signature(call).parameters.keys()
        for parameter in _keywords(call, {*without, *CALLBACKS}):
            text = _as_typed(texts.get(parameter.name, ""), parameter, names)
            options.setdefault(parameter.name, _option(parameter, text))
    return list(options.values())


def taken_by(call: Call, given: Mapping[str, object]) -> dict[str, Any]:
    """Return the options that a call accepts and that the user has typed."""
    known = {parameter.name for parameter in _keywords(call, ())}
    return {name: value for name, value in given.items() if name in known and value not in (None, ())}


def texts_of_arguments(call: Call) -> dict[str, str]:
    """Return the description of each argument from the docstring of a call."""
    section = re.search(r"^Args:\n(.*?)(?=^\S|\Z)", inspect.getdoc(call) or "", re.MULTILINE | re.DOTALL)
    if section is None:
        return {}
    found = re.findall(r"^    (\w+): (.*?)(?=^    \w|\Z)", section[1], re.MULTILINE | re.DOTALL)
    return {name: " ".join(text.split()) for name, text in found}


def _keywords(call: Call, without: Collection[str]) -> list[inspect.Parameter]:
    return [
        parameter
        for parameter in inspect.signature(call).parameters.values()
        if parameter.kind is parameter.KEYWORD_ONLY and parameter.name not in without
    ]


def _as_typed(text: str, parameter: inspect.Parameter, names: Collection[str]) -> str:
    """Return the description of an argument for a user who types options.

    Names of arguments become options, and seconds become a time. A user cannot type None or an object, so None becomes
    the default, and objects are left out.
    """
    kind = str(parameter.annotation)
    if "CheckLike" in kind:
        return _CHECK_TEXT
    if "| Journal" in kind:
        text = re.sub(r",? or a journal\b[^.]*", "", text)
    if "Deployment | str" in kind:
        text = re.sub(r", or a `Deployment` object", "", text)
    text = re.sub(r" [^.]*`\(\)`[^.]*\.", "", text)
    if parameter.default is None:
        text = re.sub(r"\bNone for\b", "the default is", text)
        text = re.sub(r"\bWith None\b", "Without this option", text)
        text = re.sub(r"\bNone\b", "no value", text)
    else:
        text = re.sub(r"[;,] [^.;,]*\bNone\b[^.]*|(?:(?<=\.) |^)[^.]*\bNone\b[^.]*\.", "", text)
    if _is_time(parameter):
        text = re.sub(r"^Seconds\b", "Time", text)
    for name in names:
        text = re.sub(rf"`{name}`" if "_" not in name else rf"`?\b{name}\b`?", f"--{name.replace('_', '-')}", text)
    text = re.sub(r"^Return\b", "Show", text.replace("`", ""))
    text = re.sub(r"\bLaunchClient\.(\w+)", r"the command \1", text)
    text = re.sub(r"\bresume_release\b", "the command resume-release", text)
    first, space, rest = text.partition(" ")
    is_choice = any(first in map(str, members) for name, members in _CHOICES.items() if name in kind)
    return f"'{first}'{space}{rest}" if is_choice else text[:1].upper() + text[1:]


def _is_time(parameter: inspect.Parameter) -> bool:
    return parameter.name.endswith("timeout")


def _option(parameter: inspect.Parameter, text: str) -> click.Option:
    flag = parameter.name.replace("_", "-")
    kind = _without(str(parameter.annotation), "None", "Unset")
    if kind == "bool":
        is_on = parameter.default is True
        name = f"--no-{flag}" if is_on else f"--{flag}"
        # A flag that the user has not typed is not passed, so that the default of the call applies.
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
    default = _shown(parameter)
    return click.Option(
        [f"--{flag}", parameter.name],
        type=_kind_of(parameter, single),
        multiple=many is not None,
        default=None,
        help=f"{text}{'' if not default else f'  [default: {default}]'}",
    )


def _flag_text(text: str, *, is_on: bool) -> str:
    """Return the description of a flag: `Whether to wait` becomes `Wait`, or `Do not wait` for a flag that is on."""
    what = text.removeprefix("Whether to ")
    if what == text:
        return text
    # The other sentences of the docstring describe the call without the flag, which would have the opposite meaning.
    return f"Do not {what.partition('. ')[0].rstrip('.')}." if is_on else what[:1].upper() + what[1:]


def _kind_of(parameter: inspect.Parameter, kind: str) -> click.ParamType[Any] | type:
    if _is_time(parameter):
        return SECONDS
    if kind.startswith("Literal["):
        choices: Iterable[str] = ast.literal_eval(f"({kind[len('Literal[') : -1]},)")
        return click.Choice([*choices])
    for name, members in _CHOICES.items():
        if name in kind.split(" | "):
            return click.Choice([str(member) for member in members], case_sensitive=False)
    if kind not in _KINDS:
        raise TypeError(f"no type of option is known for {parameter.name}: {kind}")
    return _KINDS[kind]


def _without(kind: str, *names: str) -> str:
    return " | ".join(part for part in kind.split(" | ") if part not in names)


def _shown(parameter: inspect.Parameter) -> str:
    default: object = parameter.default
    if default is inspect.Parameter.empty or default in (None, ()):
        return ""
    if isinstance(default, float) and _is_time(parameter):
        return duration_text(default)
    return ", ".join(map(str, cast("tuple[object, ...]", default))) if isinstance(default, tuple) else str(default)
