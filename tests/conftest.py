"""The environment of every test: no setting of the machine reaches a test."""

from __future__ import annotations

import contextlib
import gc
import os
from pathlib import Path

import pytest

with contextlib.suppress(ImportError):  # The session `engines` has no hypothesis.
    import hypothesis

    # A test may be slow on a busy machine, and no test asserts a time.
    hypothesis.settings.register_profile("without_deadline", deadline=None)
    hypothesis.settings.load_profile("without_deadline")

_PREFIXES = ("CONTENTSTACK_", "LAUNCH_")
_SUFFIXES = ("_PROXY",)
_NAMES = {"NETRC", "SSL_CERT_DIR", "SSL_CERT_FILE"}


@pytest.fixture(scope="session")
def runtime_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the budgets that processes of this test run share, and no other process."""
    folder = tmp_path_factory.mktemp("runtime")
    folder.chmod(0o700)
    return folder


@pytest.fixture(autouse=True)
def scrubbed_environment(monkeypatch: pytest.MonkeyPatch, runtime_folder: Path) -> None:
    """Remove the credentials, proxies, certificate settings and shared budgets of the machine."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime_folder))
    for name in os.environ:
        upper = name.upper()
        if upper.startswith(_PREFIXES) or upper.endswith(_SUFFIXES) or upper in _NAMES:
            monkeypatch.delenv(name)


def pytest_collection_finish() -> None:
    """Exclude the objects that exist now from garbage collection, so that `gc.collect` in a test is fast."""
    gc.collect()
    gc.freeze()
