"""Compare the files that the SDK sends with the files that git does not ignore."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

GIT = ["git", "-c", "core.excludesFile=/dev/null", "-c", "core.ignoreCase=false", "-c", "safe.directory=*"]
GIT_ENVIRONMENT = {"PATH": os.environ["PATH"], "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null"}


def lay_out(folder: Path, files: set[str]) -> None:
    """Create empty files below `folder`, except where an earlier file or folder has the name."""
    for name in sorted(files):
        path = folder / name
        if path.exists() or any(parent.is_file() for parent in path.parents if parent != folder):
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def sent_by_git(folder: Path, repository: Path) -> set[str]:
    """Return the files below `folder` that its `.gitignore` files do not exclude."""
    place = [f"--git-dir={repository}", f"--work-tree={folder}"]
    listed = subprocess.run(
        [*GIT, *place, "ls-files", "-z", "--others", "--exclude-per-directory=.gitignore"],
        cwd=folder,
        env=GIT_ENVIRONMENT,
        check=True,
        capture_output=True,
    )
    return set(listed.stdout.decode().split("\0")) - {""}
