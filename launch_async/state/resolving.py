"""Read the values of sources, each source once."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from launch_async.state.declarations import DeclaredSettings
from launch_async.state.values import Delete, UnresolvedError, VariableSource, resolved
from launch_async.wire.secret import Secret

__all__ = ["resolve", "sources_of"]


def sources_of(settings: Iterable[DeclaredSettings]) -> list[VariableSource]:
    """Return the sources of all values in some settings."""
    found: list[VariableSource] = []
    for one in settings:
        password = None if one.password_protection is None else one.password_protection.password
        sources = [*one.variables.values(), *([] if password is None else [password])]
        found += [source for source in sources if not isinstance(source, Delete)]
    return found


async def resolve(sources: Iterable[VariableSource], folder: Path) -> dict[VariableSource, Secret | UnresolvedError]:
    """Return the value of each source, or the reason why it has none."""
    found: dict[VariableSource, Secret | UnresolvedError] = {}
    for source in sources:
        if source not in found:
            try:
                found[source] = await resolved(source, folder)
            except UnresolvedError as error:
                found[source] = error
    return found
