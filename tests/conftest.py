"""What every test may rely on: no setting of the machine reaches it."""

from __future__ import annotations

import contextlib
import gc
import os
from pathlib import Path

import pytest

with contextlib.suppress(ImportError):  # the session `engines` has no hypothesis
    import hypothesis

    # A busy machine takes its time; no test measures any.
    hypothesis.settings.register_profile("unhurried", deadline=None)
    hypothesis.settings.load_profile("unhurried")

_PREFIXES = ("CONTENTSTACK_", "LAUNCH_")
_SUFFIXES = ("_PROXY",)
_NAMES = {"NETRC", "SSL_CERT_DIR", "SSL_CERT_FILE"}


@pytest.fixture(scope="session")
def runtime_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where budgets are shared with other processes of the same run, and with no others."""
    folder = tmp_path_factory.mktemp("runtime")
    folder.chmod(0o700)
    return folder


@pytest.fixture(autouse=True)
def scrubbed_environment(monkeypatch: pytest.MonkeyPatch, runtime_folder: Path) -> None:
    """Remove credentials, proxies and certificate settings of the machine, and its budgets."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime_folder))
    for name in os.environ:
        upper = name.upper()
        if upper.startswith(_PREFIXES) or upper.endswith(_SUFFIXES) or upper in _NAMES:
            monkeypatch.delenv(name)


def pytest_collection_finish() -> None:
    """Set what is there to stay aside: collecting garbage around a test then looks at that test's objects alone."""
    gc.collect()
    gc.freeze()
