"""Checks on the arguments of creations and updates, before the SDK sends a request (rules marked H in FACTS)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, TypeVar

from launch_async.errors import InvalidArgumentError
from launch_async.http.operation import check_text, is_encodable
from launch_async.models.base import UNSET, Unset
from launch_async.models.framework_preset import FrameworkPreset
from launch_async.wire.secret import hidden, kind_of

if TYPE_CHECKING:
    from launch_async.models.requests import EnvironmentInput, VariableInput

__all__ = ["changed", "check_preset", "check_variables", "environment_input", "given", "variable_inputs"]

V = TypeVar("V")

MAX_NAME: Final = 200
MAX_DESCRIPTION: Final = 255
_MAX_VARIABLES: Final = 128
_MAX_VARIABLE_BYTES: Final = 14 * 1024


def check_preset(preset: FrameworkPreset | str) -> FrameworkPreset:
    """Return a framework preset that the service knows.

    Raises:
        InvalidArgumentError: The preset is not one of the eleven known presets.
    """
    checked = FrameworkPreset(check_text("framework_preset", preset))
    if not checked.is_known:
        known = ", ".join(FrameworkPreset)
        raise InvalidArgumentError(
            "framework_preset", f"must be one of {known}, not {preset!r}", rule="reference/facts.md#4-resources"
        )
    return checked


def check_variables(variables: Mapping[str, str]) -> None:
    """Check a whole list of environment variables. No error message contains a value.

    Raises:
        InvalidArgumentError: There are more than 128 variables, their names and values have more than 14 KB in total,
            or a name or a value is empty.
    """
    name, variables = "environment_variables", hidden(variables)
    if not isinstance(variables, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise InvalidArgumentError(name, f"must be a mapping of names to values, not {kind_of(variables)}")
    if len(variables) > _MAX_VARIABLES:
        raise InvalidArgumentError(
            name,
            f"must have at most {_MAX_VARIABLES} variables, not {len(variables)}",
            rule="reference/facts.md#4-resources",
        )
    for key, value in variables.items():
        if not isinstance(key, str):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise InvalidArgumentError(name, f"each name must be a string, not {kind_of(key)}", rule="openapi.yaml")
        if not isinstance(value, str):  # pyright: ignore[reportUnnecessaryIsInstance]
            problem = f"the value of {key!r} must be a string, not {kind_of(value)}"
            raise InvalidArgumentError(name, problem, rule="openapi.yaml")
        if not (is_encodable(key) and is_encodable(value)):
            problem = f"the name or the value of {key!a} cannot be encoded as UTF-8"
            raise InvalidArgumentError(name, problem, rule="openapi.yaml")
        if not key or not value:
            problem = f"the value of {key!r} is empty" if key else "the name of a variable is empty"
            raise InvalidArgumentError(
                name,
                f"{problem}. The service accepts no empty names and values",
                rule="reference/facts.md#4-resources",
            )
    size = sum(len(key.encode()) + len(value.encode()) for key, value in variables.items())
    if size > _MAX_VARIABLE_BYTES:
        raise InvalidArgumentError(
            name,
            f"must have at most {_MAX_VARIABLE_BYTES:,} bytes (14 KB) in all names and values, not {size:,}",
            rule="reference/facts.md#4-resources",
        )


def variable_inputs(variables: Mapping[str, str]) -> tuple[VariableInput, ...]:
    """Check variables and return them in the form of the request."""
    check_variables(variables)
    from launch_async.models.requests import VariableInput

    return tuple(VariableInput(key=key, value=value) for key, value in variables.items())


def given(value: V | None) -> V | Unset:
    """Return UNSET for None, so that the request leaves out an argument that the caller did not pass."""
    return UNSET if value is None else value


def changed(parameter: str, value: V | Unset) -> V | Unset:
    """Return the new value of a field that cannot be null.

    Raises:
        InvalidArgumentError: The value is None, which would be sent as null.
    """
    if value is None:
        problem = "must not be None. To keep the current value, leave out the argument"
        raise InvalidArgumentError(parameter, problem, rule="openapi.yaml")
    return value


def environment_input(
    parameter: str,
    name: str,
    framework_preset: FrameworkPreset | str,
    output_directory: str | None,
    build_command: str | None,
    server_command: str | None,
    environment_variables: Mapping[str, str] | None,
    is_streaming_enabled: bool | None,
    is_contentstack_authentication_enabled: bool | None,
    *,
    git_branch: str | Unset = UNSET,
    auto_deploy_on_push: bool | Unset = UNSET,
    upload_uid: str | Unset = UNSET,
    description: str | None = None,
) -> EnvironmentInput:
    """Return the input of a new environment, with the fields that the vendor's tools always send (FACTS §11 row 18)."""
    preset = check_preset(framework_preset)
    from launch_async.models.requests import EnvironmentInput

    return EnvironmentInput(
        name=check_text(parameter, name, longest=MAX_NAME),
        framework_preset=preset,
        output_directory=preset.default_output_directory if output_directory is None else output_directory,
        build_command=given(build_command),
        server_command=given(server_command),
        environment_variables=variable_inputs({} if environment_variables is None else environment_variables),
        is_streaming_enabled=given(is_streaming_enabled),
        is_contentstack_authentication_enabled=given(is_contentstack_authentication_enabled),
        git_branch=git_branch,
        auto_deploy_on_push=auto_deploy_on_push,
        upload_uid=upload_uid,
        description=given(description),
    )
