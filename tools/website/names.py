"""The table of every public name of both packages, for the place of `<!-- names -->` in a page.

The names come from the packages, so the table is always complete. Each name links to its description in the reference,
and has the first sentence of the description. The strict build fails if a name has no description.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Final

import griffe

MARK: Final = "<!-- names -->"
PACKAGES: Final = ("launch_async", "launch_sync")
MODULES: Final = {
    "": "The packages",
    "emulator": "Emulator",
    "probe": "Probe",
    "display": "Notebooks and reports",
    "fleet": "Fleet",
    "rate_limit": "The rate limit",
    "rate_limit.redis": "A shared budget",
    "discovery": "Discovery",
    "settings": "Regions and addresses",
    "models": "Models",
    "resources": "Resources",
    "archive": "Archives",
    "deploy": "Deploying",
    "watch": "Waiting and logs",
    "variables": "Variables",
    "auth": "Credentials",
    "http": "Requests",
}
"""The modules below `launch_async` and `launch_sync` that users import from, and their titles on the page."""


def expand(markdown: str) -> str:
    """Return a page with the tables, if the page has the mark."""
    return markdown.replace(MARK, "\n".join(_sections())) if MARK in markdown else markdown


def home(value: object, name: str, module: str) -> str:
    """Return the dotted name under which the reference describes a public name.

    Args:
        value: The object behind the name.
        name: The name.
        module: A public module that exports the name.
    """
    if inspect.isclass(value) or inspect.isfunction(value):
        return f"{value.__module__}.{value.__qualname__}"
    # Constants and aliases do not store their module. The package that exports them documents them.
    return f"{module.replace('launch_sync', 'launch_async')}.{name}"


def offered(module: str) -> Iterator[tuple[str, str]]:
    """Return the public names of a module, each with the dotted name of its object.

    Args:
        module: Dotted name of the module.
    """
    loaded = import_module(module)
    for name in loaded.__all__:
        if not name.startswith("__"):
            yield name, home(getattr(loaded, name), name, module)


def _sections() -> Iterator[str]:
    seen: set[tuple[str, int]] = set()
    for module, title in MODULES.items():
        modules = [f"{package}.{module}".rstrip(".") for package in PACKAGES]
        sides = [dict(offered(one)) for one in modules]
        rows: list[str] = []
        for name in sorted({*sides[0], *sides[1]}, key=str.casefold):
            first = modules[0] if name in sides[0] else modules[1]
            # Two modules may export different objects under one name, and two modules may export one object.
            thing = name, id(getattr(import_module(first), name))
            if thing not in seen:
                rows.append(_row(name, [side.get(name) for side in sides], _summary(first, name)))
            seen.add(thing)
        if rows:
            heads = " | ".join(f"`{one}`" for one in modules)
            yield "\n".join(
                [f"## {title}\n", f"| {heads} | what it is {{ .what-it-is }} |", "|---|---|---|", *rows, ""]
            )


def _row(name: str, homes: Sequence[str | None], summary: str) -> str:
    plain, sync = homes
    twin = "the same" if plain == sync else _link(name, sync)
    return f"| {_link(name, plain)} | {twin} | {summary} |"


@cache
def _source(package: str) -> griffe.Object | griffe.Alias:
    return griffe.load(package, search_paths=[Path(__file__).parent.parent.parent])


def _summary(module: str, name: str) -> str:
    """Return the first paragraph of the description, from the source: constants and aliases have none at run time."""
    package, _, below = f"{module}.{name}".partition(".")
    docstring = _source(package)[below].docstring
    return " ".join(docstring.value.partition("\n\n")[0].split()) if docstring else ""


def _link(name: str, target: str | None) -> str:
    if target is None:
        return "none"
    value = getattr(import_module(target.rpartition(".")[0]), name)
    call = f"{name}(...)" if inspect.isfunction(value) else name
    words = f"await {call}" if inspect.iscoroutinefunction(value) else call
    return f"[`{words}`][{target}]"
