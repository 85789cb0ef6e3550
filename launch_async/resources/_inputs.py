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
            "framework_preset", f"{preset!r} is not one of {known}", rule="reference/facts.md#4-resources"
        )
    return checked


def check_variables(variables: Mapping[str, str]) -> None:
    """Check a whole list of environment variables. No error text repeats a value.

    Raises:
        InvalidArgumentError: There are more than 128 variables, their names and values have more than 14 KB in total,
            or a name or a value is empty.
    """
    name, variables = "environment_variables", hidden(variables)
    if not isinstance(variables, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise InvalidArgumentError(name, f"expected a mapping of names to values, got {kind_of(variables)}")
    if len(variables) > _MAX_VARIABLES:
        raise InvalidArgumentError(
            name, f"has {len(variables)} variables, {_MAX_VARIABLES} are allowed", rule="reference/facts.md#4-resources"
        )
    for key, value in variables.items():
        if not isinstance(key, str):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise InvalidArgumentError(name, "a variable's name is not a string", rule="openapi.yaml")
        if not isinstance(value, str):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise InvalidArgumentError(name, f"the value of {key!r} is not a string", rule="openapi.yaml")
        if not (is_encodable(key) and is_encodable(value)):
            problem = f"the name or the value of {key!a} cannot be encoded as UTF-8"
            raise InvalidArgumentError(name, problem, rule="openapi.yaml")
        if not key or not value:
            problem = "a variable has an empty name" if not key else f"the value of {key!r} is empty"
            raise InvalidArgumentError(
                name, f"{problem}, and the service refuses that", rule="reference/facts.md#4-resources"
            )
    size = sum(len(key.encode()) + len(value.encode()) for key, value in variables.items())
    if size > _MAX_VARIABLE_BYTES:
        raise InvalidArgumentError(
            name,
            f"has {size} bytes in all, {_MAX_VARIABLE_BYTES} are allowed (14 KB)",
            rule="reference/facts.md#4-resources",
        )


def variable_inputs(variables: Mapping[str, str]) -> tuple[VariableInput, ...]:
    """Check variables and return them in the form of the request."""
    check_variables(variables)
    from launch_async.models.requests import VariableInput

    return tuple(VariableInput(key=key, value=value) for key, value in variables.items())


def given(value: V | None) -> V | Unset:
    """Return UNSET for None, so that the request leaves out an argument that was not given."""
    return UNSET if value is None else value


def changed(parameter: str, value: V | Unset) -> V | Unset:
    """Return the new value of a field that cannot be null.

    Raises:
        InvalidArgumentError: The value is None, which would be sent as null.
    """
    if value is None:
        raise InvalidArgumentError(parameter, "cannot be None; leave it out to keep its value", rule="openapi.yaml")
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
