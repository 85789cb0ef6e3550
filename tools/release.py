"""Report the problems that prevent a release of a commit, and where to fix them: `tools/release.py v1.2.3`.

The project cannot be released until `tools/addresses.py` has written its real addresses.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
LINKS: Final = {
    "Source": "the repository",
    "Issues": "the page for bug reports",
    "Documentation": "the site of `docs/`",
    "Changelog": "the site's page of changes, or CHANGELOG.md in the repository",
}
_RESERVED: Final = ("example.", "localhost", "127.0.0.1", ".invalid", ".test/")


def main() -> None:
    """Return 0 if nothing is missing. Otherwise print what is missing and where to write it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("tag", help="the tag of the release, as in v1.2.3")
    tag: str = parser.parse_args().tag
    project = tomllib.loads(_read("pyproject.toml"))["project"]
    complaints = [
        *missing_addresses(project.get("urls", {})),
        *other_versions(tag, project["version"], _read("launch_async/_version.py"), _read("CHANGELOG.md")),
        *relative_links(_read("README.md")),
        *_not_committed(),
    ]
    for complaint in complaints:
        print(complaint, file=sys.stderr)
    if complaints:
        sys.exit(f"{tag} cannot be released. Fix the {len(complaints)} problems above.")
    print(f"{tag}: addresses, versions and links are complete.")


def missing_addresses(urls: Mapping[str, str]) -> Iterator[str]:
    """Return the addresses that are missing or cannot be real.

    Args:
        urls: The table `project.urls`.
    """
    for name, what in LINKS.items():
        address = urls.get(name, "")
        if not address.startswith("https://") or any(one in address for one in _RESERVED):
            yield f"pyproject.toml, [project.urls]: {name} is {address!r}. Write the https address of {what}"


def other_versions(tag: str, version: str, module: str, changelog: str) -> Iterator[str]:
    """Return the files with another version than the tag, and whether the changes have no date.

    Args:
        tag: The tag of the release.
        version: Version in `pyproject.toml`.
        module: The text of `launch_async/_version.py`.
        changelog: The text of `CHANGELOG.md`.
    """
    if tag != f"v{version}":
        wanted = tag.removeprefix("v")
        yield f"pyproject.toml, [project]: version is {version!r}, but the tag is {tag}. Write {wanted!r}"
    if f'__version__ = "{version}"' not in module:
        yield f"launch_async/_version.py: write __version__ = {version!r}, as in pyproject.toml"
    newest = re.search(r"^## (\S+) ?(.*)$", changelog, re.MULTILINE)
    if newest is None or newest[1] != version:
        yield f"CHANGELOG.md: the newest heading is {newest and newest[0]!r}. Add a heading for {version}"
    elif not re.fullmatch(r"\(\d{4}-\d\d-\d\d\)", newest[2]):
        yield f"CHANGELOG.md: {newest[0]!r} has no date. Write '## {version} (YYYY-MM-DD)'"


def relative_links(readme: str) -> Iterator[str]:
    """Return the links and pictures that do not work if an index shows the README.

    Args:
        readme: Text of the README.
    """
    targets = dict.fromkeys(re.findall(r"\]\(([^)\s]+)\)", readme))
    relative = [target for target in targets if not target.startswith(("https://", "#"))]
    if relative:
        yield f"README.md: write complete addresses for the links to {', '.join(relative)}"


def _not_committed() -> Iterator[str]:
    """Return the files that a build would include and that are not committed."""
    status = subprocess.run(["git", "status", "--short"], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    for line in status.stdout.splitlines():
        yield f"{line[3:]}: not committed"


def _read(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


if __name__ == "__main__":
    main()
