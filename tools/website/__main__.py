"""Build the documentation: `python -m tools.website FOLDER [--serve]`.

The tool writes every page as plain Markdown, builds the site with Zensical and with mkdocs, adds a Markdown twin of
each page, and checks the result. The site is in FOLDER/site. FOLDER/site-mkdocs is the site of the other builder.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tools.website import check
from tools.website.pages import ROOT, texts, write

SOURCES: Final = ("docs", "launch_async", "launch_sync", "examples", "tools/website", "mkdocs.yml", "CHANGELOG.md")
POLL_S: Final = 1.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Build and check the site, or show it. Return 1 if the site has a problem."""
    parser = argparse.ArgumentParser(prog="python -m tools.website", description="Build the documentation.")
    parser.add_argument("folder", type=Path, help="folder for the build; the site is in its folder `site`")
    parser.add_argument("--serve", action="store_true", help="show the site in a browser, and follow changes")
    parser.add_argument("--pages", action="store_true", help="only write the pages")
    options = parser.parse_args(arguments)
    folder: Path = options.folder.resolve()
    write(folder, texts())
    if options.pages:
        return 0
    return serve(folder) if options.serve else build(folder)


def build(folder: Path) -> int:
    """Build the site with both builders, and check it."""
    settings = folder / "mkdocs.yml"
    site, other = folder / "site", folder / "site-mkdocs"
    _run("zensical", "build", "--strict", "--clean", "--config-file", str(settings))
    _run("mkdocs", "build", "--strict", "--quiet", "--config-file", str(settings), "--site-dir", str(other))
    twins = [path.relative_to(folder / "twins").as_posix() for path in (folder / "twins").rglob("*.md")]
    shutil.copytree(folder / "twins", site, dirs_exist_ok=True)
    problems = [
        *check.dead_links(site),
        *check.dead_links(other),
        *check.loaded_from_elsewhere(site),
        *check.different_words(site, other),
        *check.missing_twins(site, twins),
        *_search_problems(site),
    ]
    for problem in problems:
        sys.stderr.write(f"{problem}\n")
    sys.stdout.write(f"{len(twins)} pages and their twins are in {site}\n")
    return 1 if problems else 0


def serve(folder: Path) -> int:
    """Show the site in a browser until Ctrl-C, and write pages again when their sources change."""
    server = subprocess.Popen([_program("zensical"), "serve", "--config-file", str(folder / "mkdocs.yml")])
    seen = _newest()
    try:
        while server.poll() is None:
            time.sleep(POLL_S)
            if (newest := _newest()) != seen:
                seen = newest
                # A separate process reads the current source code.
                subprocess.run([sys.executable, "-m", "tools.website", str(folder), "--pages"], cwd=ROOT, check=False)
    except KeyboardInterrupt:
        pass
    finally:
        server.terminate()
        server.wait()
    return 0


def _newest() -> float:
    files = (
        file for name in SOURCES for file in ([ROOT / name] if (ROOT / name).is_file() else (ROOT / name).rglob("*"))
    )
    return max(file.stat().st_mtime for file in files if file.is_file())


def _search_problems(site: Path) -> list[str]:
    node = shutil.which("node") or shutil.which("nodejs")
    if node:
        return list(check.poor_searches(site, node))
    if os.environ.get("CI"):
        return ["Node.js is not installed, so the search of the site was not tested"]
    sys.stdout.write("The search of the site was not tested, because Node.js is not installed.\n")
    return []


def _run(program: str, *arguments: str) -> None:
    subprocess.run([_program(program), *arguments], cwd=ROOT, check=True)


def _program(name: str) -> str:
    """Return the path of a program of this environment."""
    found = shutil.which(name, path=str(Path(sys.executable).parent))
    if found is None:
        raise SystemExit(f"{name} is not installed. python3 tools/run.py docs installs it")
    return found


if __name__ == "__main__":
    sys.exit(main())
