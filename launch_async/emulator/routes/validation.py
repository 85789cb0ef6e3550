"""The rules for request bodies, as tables. An invalid body gets envelope B with every invalid field."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Literal, TypeAlias

from attrs import evolve, frozen

from launch_async.emulator import errors
from launch_async.emulator.shapes import as_list, as_object

Kind: TypeAlias = Literal["string", "boolean", "object", "strings", "variables"]
Problem: TypeAlias = tuple[str, str, str]

PRESETS = ("GATSBY", "NEXTJS", "CRA", "CSR", "ANALOG", "ANGULAR", "NUXT", "ASTRO", "VUEJS", "REMIX", "OTHER")
MAX_VARIABLES = 128
MAX_VARIABLE_BYTES = 14 * 1024
MAX_PEM_CHARACTERS = 32 * 1024


@frozen
class Field:
    """One field of a request body."""

    name: str
    kind: Kind = "string"
    required: bool = False
    min_length: int = 0
    max_length: int | None = None
    choices: tuple[str, ...] = ()
    fields: tuple["Field", ...] = ()
    pattern: str | None = None
    nullable: bool = False


_ENVIRONMENT = (
    Field("description"),
    Field("buildCommand"),
    Field("outputDirectory"),
    Field("serverCommand"),
    Field("gitBranch"),
    Field("autoDeployOnPush", "boolean"),
    Field("environmentVariables", "variables"),
    Field("isStreamingEnabled", "boolean"),
    Field("isContentstackAuthenticationEnabled", "boolean"),
)
NEW_ENVIRONMENT = (
    Field("name", required=True, min_length=1, max_length=200),
    Field("frameworkPreset", required=True, choices=PRESETS),
    *_ENVIRONMENT,
    Field("uploadUid"),
)
_NULLABLE = ("description", "buildCommand", "outputDirectory", "serverCommand", "gitBranch", "autoDeployOnPush")
CHANGED_ENVIRONMENT = (
    Field("name", min_length=1, max_length=200),
    Field("frameworkPreset", choices=PRESETS),
    *(evolve(rule, nullable=rule.name in _NULLABLE) for rule in _ENVIRONMENT),
    Field(
        "passwordProtection",
        "object",
        fields=(Field("isEnabled", "boolean"), Field("username"), Field("password")),
        nullable=True,
    ),
    Field("hasLyticsEnabled", "boolean"),
    Field("isCachePrimingEnabled", "boolean"),
)
_REPOSITORY = (
    Field("repositoryName", required=True),
    Field("username", required=True),
    Field("repositoryUrl", required=True),
    Field(
        "gitProviderMetadata",
        "object",
        required=True,
        fields=(Field("gitProvider", required=True, choices=("GitHub", "ExternalGitProvider")),),
    ),
)
NEW_PROJECT = (
    Field("name", required=True, min_length=1, max_length=200),
    Field("description", max_length=255),
    Field("projectType", required=True, choices=("GITPROVIDER", "FILEUPLOAD")),
    Field("repository", "object", fields=_REPOSITORY),
    Field("fileUpload", "object", fields=(Field("uploadUid", required=True),)),
    Field("environment", "object", required=True, fields=NEW_ENVIRONMENT),
)
CHANGED_PROJECT = (Field("name", min_length=1, max_length=200), Field("description", max_length=255, nullable=True))
NEW_DEPLOYMENT = (Field("commitHash", pattern=r"[0-9a-fA-F]{7,64}"), Field("uploadUid"))
CHANGED_DOMAIN = (
    Field("url", required=True),
    Field("sslMethod", choices=("CUSTOM", "AUTOMATIC")),
    *(
        Field(name, max_length=MAX_PEM_CHARACTERS)
        for name in ("customCertificate", "customPrivateKey", "intermediateCertificates")
    ),
)
REVALIDATION = (
    Field(
        "cachePath",
        "object",
        fields=(Field("path", required=True, pattern=r"/.*"), Field("isPrefix", "boolean")),
    ),
    Field("cacheTags", "strings", max_length=100),
    Field("hostnames", "strings"),
)


def check(body: Mapping[str, object], fields: tuple[Field, ...], family: str) -> None:
    """Check ``body`` by its table.

    Args:
        body: The decoded object.
        fields: The table.
        family: Noun in error codes, such as PROJECTS.

    Raises:
        Refusal: 400, envelope B.
    """
    problems = list(_object(body, fields, family, ""))
    if problems:
        raise errors.invalid_fields(problems)


def check_required(body: Mapping[str, object], names: Iterable[str], family: str, prefix: str = "") -> None:
    """Check that ``body`` has the fields that an option requires. The refusal names them with ``prefix``.

    Raises:
        Refusal: 400, envelope B.
    """
    absent = [name for name in names if name not in body]
    if absent:
        raise errors.invalid_fields(
            [
                (f"{prefix}{name}", f"launch.{family}.{_upper_snake(name)}.REQUIRED", f"{prefix}{name} is required.")
                for name in absent
            ]
        )


def _object(body: Mapping[str, object], fields: tuple[Field, ...], family: str, prefix: str) -> Iterator[Problem]:
    for rule in fields:
        path = f"{prefix}{rule.name}"
        code = f"launch.{family}.{_upper_snake(rule.name)}"
        if rule.name not in body:
            if rule.required:
                yield path, f"{code}.REQUIRED", f"{path} is required."
        elif body[rule.name] is not None or not rule.nullable:
            yield from _value(body[rule.name], rule, family, path, code)


def _value(value: object, rule: Field, family: str, path: str, code: str) -> Iterator[Problem]:
    members, entries = as_object(value), as_list(value)
    if rule.kind == "string" and isinstance(value, str):
        yield from _string(value, rule, path, code)
    elif rule.kind == "object" and members is not None:
        yield from _object(members, rule.fields, family, f"{path}.")
    elif rule.kind == "strings" and entries is not None:
        yield from _strings(entries, rule, path, code)
    elif rule.kind == "variables" and entries is not None:
        yield from _variables(entries, path, code)
    elif rule.kind != "boolean" or not isinstance(value, bool):
        yield path, f"{code}.INVALID", f"{path} has the wrong type."


def _string(value: str, rule: Field, path: str, code: str) -> Iterator[Problem]:
    if len(value) < rule.min_length:
        yield path, f"{code}.NOT_EMPTY", f"{path} must not be empty."
    elif rule.max_length is not None and len(value) > rule.max_length:
        yield path, f"{code}.TOO_LONG", f"{path} must not be longer than {rule.max_length} characters."
    elif rule.choices and value not in rule.choices:
        yield path, f"{code}.INVALID", f"{path} must be one of {', '.join(rule.choices)}."
    elif rule.pattern is not None and not re.fullmatch(rule.pattern, value, re.DOTALL):
        yield path, f"{code}.INVALID", f"{path} is not valid."


def _strings(values: list[object], rule: Field, path: str, code: str) -> Iterator[Problem]:
    if not values:
        yield path, f"{code}.NOT_EMPTY", f"{path} must not be empty."
    if rule.max_length is not None and len(values) > rule.max_length:
        yield path, f"{code}.TOO_MANY", f"{path} must not have more than {rule.max_length} entries."
    for index, value in enumerate(values):
        if not isinstance(value, str):
            yield f"{path}.{index}", f"{code}.INVALID", f"{path}.{index} must be a string."


def _variables(values: list[object], path: str, code: str) -> Iterator[Problem]:
    if len(values) > MAX_VARIABLES:
        yield path, f"{code}.TOO_MANY", f"{path} must not have more than {MAX_VARIABLES} variables."
    size = 0
    for index, value in enumerate(values):
        variable = as_object(value)
        if variable is None:
            yield f"{path}.{index}", f"{code}.INVALID", f"{path}.{index} must be an object."
            continue
        for name in ("key", "value"):
            text = variable.get(name)
            if not isinstance(text, str):
                yield f"{path}.{index}.{name}", f"{code}.{name.upper()}.INVALID", f"{name} must be a string."
            elif not text:
                yield f"{path}.{index}.{name}", f"{code}.{name.upper()}.NOT_EMPTY", f"{name} must not be empty."
            else:
                size += len(text.encode("utf-8", "replace"))
    if size > MAX_VARIABLE_BYTES:
        yield path, f"{code}.TOO_LARGE", f"All variables together must not exceed {MAX_VARIABLE_BYTES} bytes."


def _upper_snake(name: str) -> str:
    """Return ``environmentVariables`` as ``ENVIRONMENT_VARIABLES``."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).upper()
