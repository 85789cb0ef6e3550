"""Report what the public interface has gained and lost since a tag: `python -m tools.api_differences v1.2.3`.

The tool fails if a change could break a program and the version does not announce a break. A new first number announces
a break; before 1.0, a new second number does.
"""

from __future__ import annotations

import argparse
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import griffe

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    """Print the differences of both packages, and return 1 if the version does not allow one of them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition(":")[0])
    parser.add_argument("tag", help="the tag of the release to compare with, as in v1.2.3")
    tag: str = parser.parse_args().tag
    version = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    breaks = False
    for package in ("launch_async", "launch_sync"):
        gained, broken = differences(ROOT, package, tag)
        print(f"{package}: {len(gained)} new names and {len(broken)} breaks since {tag}")
        for line in [*(f"new: {name}" for name in gained), *(f"break: {change}" for change in broken)]:
            print(f"  {line}")
        breaks = breaks or bool(broken)
    if breaks and not may_break(tag, version):
        sys.exit(
            f"Version {version} must not break the interface of {tag}. Raise the version, and list the breaks in "
            "CHANGELOG.md."
        )


def differences(root: Path, package: str, tag: str) -> tuple[list[str], list[str]]:
    """Return the public names that a package has gained since a tag, and the changes that could break a program.

    Args:
        root: The repository.
        package: Name of the package and of its folder.
        tag: The tag to compare with.
    """
    old = griffe.load_git(package, ref=tag, repo=root, resolve_aliases=True)
    new = griffe.load(package, search_paths=[root], resolve_aliases=True)
    assert isinstance(old, griffe.Module)
    assert isinstance(new, griffe.Module)
    breaks = griffe.find_breaking_changes(old, new)
    return (
        sorted({*_public_names(new)} - {*_public_names(old)}),
        # griffe writes colours even if the output is not a terminal.
        [re.sub(r"\x1b\[\d+m", "", change.explain(griffe.ExplanationStyle.ONE_LINE)) for change in breaks],
    )


def may_break(tag: str, version: str) -> bool:
    """Return whether semantic versioning allows a version to break the interface of a tag.

    Args:
        tag: As in `v1.2.3`.
        version: As in `2.0.0`.
    """
    before, now = ([int(number) for number in text.split(".")[:2]] for text in (tag.removeprefix("v"), version))
    return now[0] > before[0] or (now[0] == before[0] == 0 and now[1] > before[1])


def _public_names(place: griffe.Module | griffe.Class) -> Iterator[str]:
    """Yield every public name that is defined in a module or a class."""
    for member in place.members.values():
        if member.is_alias or not member.is_public:
            continue
        yield member.path
        if isinstance(member, griffe.Module | griffe.Class):
            yield from _public_names(member)


if __name__ == "__main__":
    main()
