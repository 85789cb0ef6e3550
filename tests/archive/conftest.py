"""Folders whose permissions matter, and an empty git repository."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from tests.support.gates import lacking
from tests.support.git_ignore import GIT, GIT_ENVIRONMENT

NOBODY = 65534
SHARED = tempfile.gettempdir()


@pytest.fixture
def as_ordinary_user() -> Callable[[], AbstractContextManager[None]]:
    """Root can read every file, so the tests of permissions run as another user."""

    @contextmanager
    def drop_privileges() -> Iterator[None]:
        root = os.geteuid() == 0
        if root:
            os.seteuid(NOBODY)
        try:
            yield
        finally:
            if root:
                os.seteuid(0)

    return drop_privileges


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user of the machine can open, unlike the folders below `tmp_path`."""
    with tempfile.TemporaryDirectory(dir=SHARED) as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty bare repository, which git can use with any folder as the work tree."""
    if not shutil.which("git"):
        lacking("git", "apt-get install git")
    folder = tmp_path_factory.mktemp("repository")
    subprocess.run([*GIT, "init", "-q", "--bare"], cwd=folder, env=GIT_ENVIRONMENT, check=True)
    return folder
