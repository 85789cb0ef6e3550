"""The table of every public name, both packages side by side: what the site shows where a page has `<!-- names -->`.

The names come from the packages themselves, so that the page cannot forget one. Each links to where the reference
describes it; a name that nothing describes fails the strict build.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from importlib import import_module
from typing import Final

MARK: Final = "<!-- names -->"
PACKAGES: Final = ("launch_async", "launch_sync")
MODULES: Final = {
    "": "The packages",
    "emulator": "Emulator",
    "notebook": "Notebooks",
    "redis": "A shared budget",
    "sizing": "Sizing",
    "discovery": "Discovery",
    "settings": "Regions and addresses",
    "auth": "Credentials",
    "oauth": "OAuth",
    "sessions": "Sessions",
    "system_keyring": "Keyring",
}
"""What users import from, below `launch_async` and `launch_sync` alike, and what the page calls it."""


def on_page_markdown(markdown: str, **_: object) -> str:
    """Put the tables into a page that asks for them, as mkdocs calls it."""
    return markdown.replace(MARK, "\n".join(_sections())) if MARK in markdown else markdown


def home(value: object, name: str, module: str) -> str:
    """Return the dotted name under which the reference describes a public name.

    Args:
        value: What it stands for.
        name: The name.
        module: A public module that offers it.
    """
    if inspect.isclass(value) or inspect.isfunction(value):
        return f"{value.__module__}.{value.__qualname__}"
    # Constants and aliases do not know where they come from: the module that offers them documents them.
    return f"{module.replace('launch_sync', 'launch_async')}.{name}"


def offered(module: str) -> Iterator[tuple[str, str]]:
    """Give the public names of a module and the dotted name of what each stands for.

    Args:
        module: Its dotted name.
    """
    loaded = import_module(module)
    for name in loaded.__all__:
        if not name.startswith("__"):
            yield name, home(getattr(loaded, name), name, module)


def _sections() -> Iterator[str]:
    seen: set[str] = set()
    for module, title in MODULES.items():
        sides = [dict(offered(f"{package}.{module}".rstrip("."))) for package in PACKAGES]
        names = [name for name in sorted({*sides[0], *sides[1]}, key=str.casefold) if name not in seen]
        seen.update(names)
        if names:
            dot = f".{module}" if module else ""
            yield f"## {title}\n\n| name | from `launch_async{dot}` | from `launch_sync{dot}` |\n|---|---|---|"
            yield from (_row(name, [side.get(name) for side in sides]) for name in names)
            yield ""


def _row(name: str, homes: Sequence[str | None]) -> str:
    plain, sync = homes
    if plain == sync and plain is not None:
        return f"| `{name}` | {_link(name, plain)} | the same |"
    return f"| `{name}` | {_link(name, plain)} | {_link(name, sync)} |"


def _link(name: str, target: str | None) -> str:
    if target is None:
        return "none"
    value = getattr(import_module(target.rpartition(".")[0]), name)
    call = f"{name}(...)" if inspect.isfunction(value) else name
    words = f"await {call}" if inspect.iscoroutinefunction(value) else call
    return f"[`{words}`][{target}]"
