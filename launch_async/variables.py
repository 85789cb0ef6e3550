"""Safe changes of an environment's variables: compare, read again, merge, write and verify the whole list.

The service replaces the whole list and does not protect it against two writers. So `apply` reads the list again
directly before it writes. It keeps the changes of other programs to variables that it does not set or remove, and
refuses to overwrite their changes to variables that it sets or removes. Then it reads the list back. If two programs
write at the same moment, the read-back detects the conflict.

Values are never shown: not in the `repr`, `str` or JSON of any object in this module, not in logs and not in errors.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import json
import logging
import os
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final, NoReturn

import attrs

from launch_async._views import Displayable
from launch_async.errors import ConcurrentChangeError, InvalidArgumentError, LaunchError
from launch_async.models.environment import Environment
from launch_async.resources._inputs import check_variables
from launch_async.resources._resource import with_methods
from launch_async.resources.environments import Environments
from launch_async.wire.dotenv import DotenvError, read_dotenv
from launch_async.wire.secret import hidden, hidden_json, kind_of

__all__ = ["VariableValues", "Variables", "VariablesDiff"]

_LOG: Final = logging.getLogger(__name__)
_KEY: Final = secrets.token_bytes(32)
"""Key of this process's fingerprints. Without a key, a fingerprint would allow a guess of short values."""


class VariableValues(Mapping[str, str]):
    """The variables of an environment, by name; neither `repr` nor `str` shows a value.

    Args:
        values: Values by name.
    """

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = MappingProxyType(dict(values))

    def __getitem__(self, name: str) -> str:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"<VariableValues {', '.join(self)}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("VariableValues hold secrets and cannot be pickled. Read them again instead")


@attrs.frozen(kw_only=True)
class VariablesDiff(Displayable):
    """The changes that `apply` would make to an environment's variables. Only names are shown; the values stay hidden.

    Attributes:
        project_uid: The project.
        environment_uid: The environment.
        added: Names that are new.
        changed: Names whose value changes.
        removed: Names that are removed.
        unchanged: Names that keep their value.
        remove: Whether `apply` removes variables that are not in `desired`.
        fingerprint: Equal for equal variables within this process. It reveals no value.
        read: The variables that the environment had.
        desired: The variables that it should have.
    """

    project_uid: str
    environment_uid: str
    added: tuple[str, ...]
    changed: tuple[str, ...]
    removed: tuple[str, ...]
    unchanged: tuple[str, ...]
    remove: bool
    fingerprint: str
    read: VariableValues = attrs.field(repr=False, eq=False)
    desired: VariableValues = attrs.field(repr=False, eq=False)

    @property
    def has_changes(self) -> bool:
        """Whether applying would change anything."""
        return bool(self.added or self.changed or self.removed)

    def to_dict(self) -> dict[str, object]:
        """Return the difference as plain data for JSON, without values."""
        return attrs.asdict(self, filter=attrs.filters.exclude("fingerprint", "read", "desired"))

    def __str__(self) -> str:
        signs = {"+": self.added, "~": self.changed, "-": self.removed, " ": self.unchanged}
        lines = sorted((name, sign) for sign, names in signs.items() for name in names)
        counts = f"{len(self.added)} to add, {len(self.changed)} to change, {len(self.removed)} to remove"
        return "\n".join(
            [f"Environment {self.environment_uid}: {counts}", *(f"  {sign} {name}" for name, sign in lines)]
        )

    def __reduce__(self) -> NoReturn:
        raise TypeError("A VariablesDiff holds secret values and cannot be pickled. Store its to_dict() instead")


class Variables:
    """Reads, compares and changes the variables of environments; the next deployment applies them."""

    def __init__(self, environments: Environments) -> None:
        self._environments = environments

    def __repr__(self) -> str:
        return with_methods(self)

    async def read(self, project_uid: str, environment_uid: str) -> VariableValues:
        """Return an environment's variables.

        Raises:
            InvalidArgumentError: A UID is malformed.
            NotFoundError: No such environment in this organization (404).

        API: `getEnvironment`; scope `launch.projects:read` or `launch:manage`.
        """
        return values_of(await self._environments.get(project_uid, environment_uid))

    async def diff(
        self,
        project_uid: str,
        environment_uid: str,
        desired: Mapping[str, str] | str | os.PathLike[str],
        *,
        remove: bool = False,
    ) -> VariablesDiff:
        """Compare an environment's variables with the desired variables, without writing.

        Args:
            project_uid: The project.
            environment_uid: The environment.
            desired: Values by name, or the path of a dotenv file in the format of npm's `dotenv`.
            remove: Whether to remove variables that are not in `desired`; otherwise they stay.

        Returns:
            The changes that `apply` would make.

        Raises:
            InvalidArgumentError: A UID is malformed, the file cannot be read, or the list would break a limit of the
                service: at most 128 variables and 14 KB, and no empty value. With Cloud Functions the service allows
                only 4 KB, which the SDK does not check.
            NotFoundError: No such environment in this organization (404).

        API: `getEnvironment`; scope `launch.projects:read` or `launch:manage`.
        """
        desired = hidden(desired) if isinstance(desired, Mapping) else hidden_json(desired)
        wanted = await _desired_values(desired)
        check_variables(wanted)
        read = await self.read(project_uid, environment_uid)
        target = merged(read, wanted, remove=remove)
        check_variables(target)
        return VariablesDiff(
            project_uid=project_uid,
            environment_uid=environment_uid,
            added=tuple(name for name in wanted if name not in read),
            changed=tuple(name for name in wanted if name in read and wanted[name] != read[name]),
            removed=tuple(name for name in read if name not in target),
            unchanged=tuple(name for name in read if target.get(name) == read[name]),
            remove=remove,
            fingerprint=_fingerprint(read),
            read=read,
            desired=wanted,
        )

    async def apply(self, diff: VariablesDiff) -> Environment:
        """Make the changes of a difference: read again, merge, write the whole list, read back and verify.

        The SDK keeps the changes of other programs since the comparison, unless they changed a variable that `apply`
        sets or removes. A second `apply` of the same difference changes nothing.

        Args:
            diff: The result of `diff`.

        Returns:
            The environment after the write, as the SDK read it back.

        Raises:
            ConcurrentChangeError: Another program changed the same variables since the comparison, and the SDK wrote
                nothing. Or another program wrote at the same time, and the read-back differs. `keys` names the
                variables.
            InvalidArgumentError: The merged list would break a limit of the service; nothing was written.
            NotFoundError: No such environment in this organization (404).

        API: `getEnvironment`, `updateEnvironment`; scope `launch.projects:write` or `launch:manage`.
        """
        diff = hidden_json(diff)
        if not isinstance(diff, VariablesDiff):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise InvalidArgumentError("diff", f"must be the result of diff(), not {kind_of(diff)}")
        uids = diff.project_uid, diff.environment_uid
        environment = await self._environments.get(*uids)
        now, read, wanted = values_of(environment), diff.read, diff.desired
        if clashes := collisions(read, now, wanted, remove=diff.remove):
            raise ConcurrentChangeError(
                f"Another program changed {', '.join(clashes)} of environment {diff.environment_uid} after diff() read "
                "the variables, so the SDK wrote nothing. Call diff() again and check its result before apply()",
                keys=clashes,
            )
        target = merged(now, wanted, remove=diff.remove)
        if not diff.remove and (others := differing(read, now, but=wanted)):
            _LOG.warning(
                "Another program has changed variables since the comparison; the SDK keeps its changes: %s",
                ", ".join(others),
                extra={"keys": others},
            )
        if target == now:
            return environment
        check_variables(target)
        try:
            await self._environments.update(*uids, environment_variables=target)
        except LaunchError as error:
            if not error.ambiguous:
                raise
            return await self._written_all_the_same(*uids, target, error)
        written = await self._environments.get(*uids)
        if differences := differing(target, values_of(written)):
            raise ConcurrentChangeError(
                f"The SDK wrote the variables of environment {diff.environment_uid}, but read back other values of "
                f"{', '.join(differences)}. Another program wrote at the same time. Check them and call diff() again",
                keys=differences,
            )
        return written

    async def _written_all_the_same(
        self, project_uid: str, environment_uid: str, target: Mapping[str, str], lost: LaunchError
    ) -> Environment:
        """Return the environment if the service carried out the write whose response was lost.

        Raises:
            LaunchError: `lost`, if the read-back fails or shows other variables.
        """
        with contextlib.suppress(LaunchError):
            written = await self._environments.get(project_uid, environment_uid)
            if values_of(written) == target:
                _LOG.warning(
                    "The response to a write of variables was lost, but the SDK read back the desired variables"
                )
                return written
        raise lost


def merged(current: Mapping[str, str], desired: Mapping[str, str], *, remove: bool) -> VariableValues:
    """Return the new list. Existing variables keep their position, and new variables come last."""
    kept = {name: value for name, value in current.items() if not remove or name in desired}
    return VariableValues({**kept, **desired})


def collisions(
    read: Mapping[str, str], now: Mapping[str, str], desired: Mapping[str, str], *, remove: bool
) -> tuple[str, ...]:
    """Return the names that another program changed and that `apply` would set or remove.

    A change to the desired value is not a collision.
    """
    ours = desired.keys() | read.keys() | now.keys() if remove else desired.keys()
    return tuple(name for name in differing(read, now) if name in ours and now.get(name) != desired.get(name))


def differing(
    one: Mapping[str, str], other: Mapping[str, str], *, but: Mapping[str, str] = MappingProxyType({})
) -> tuple[str, ...]:
    """Return the sorted names that only one list contains, or that have different values."""
    return tuple(
        sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name) and name not in but)
    )


def values_of(environment: Environment) -> VariableValues:
    """Return the variables that an environment has."""
    return VariableValues({variable.key: variable.value for variable in environment.environment_variables})


async def _desired_values(desired: Mapping[str, str] | str | os.PathLike[str]) -> VariableValues:
    if isinstance(desired, Mapping):
        return VariableValues(desired)
    if not isinstance(desired, str | os.PathLike):  # pyright: ignore[reportUnnecessaryIsInstance]
        problem = f"must be a mapping or the path of a dotenv file, not {kind_of(desired)}"
        raise InvalidArgumentError("desired", problem)
    return VariableValues(await asyncio.to_thread(_read_dotenv, desired))


def _fingerprint(values: Mapping[str, str]) -> str:
    text = json.dumps(sorted(values.items()))
    return hmac.new(_KEY, text.encode(), hashlib.sha256).hexdigest()


def _read_dotenv(path: str | os.PathLike[str]) -> dict[str, str]:
    """Return the variables of a dotenv file.

    Raises:
        InvalidArgumentError: The file cannot be read, or a line is not an assignment.
    """
    try:
        return read_dotenv(Path(path).read_text("utf-8-sig"))
    except DotenvError as error:
        problem = f", {error}"
    except UnicodeDecodeError:
        problem = " cannot be read: it is not UTF-8"
    except OSError as error:
        problem = f" cannot be read: {error.strerror}"
    # Raised outside the `except` block, because the frames of the reader contain the values.
    raise InvalidArgumentError("desired", f"{os.fspath(path)}{problem}")
