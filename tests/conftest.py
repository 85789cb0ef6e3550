"""What every test may rely on: no setting of the machine reaches it."""

from __future__ import annotations

import contextlib
import gc
import os

import pytest

with contextlib.suppress(ImportError):  # the session `engines` has no hypothesis
    import hypothesis

    # A busy machine takes its time; no test measures any.
    hypothesis.settings.register_profile("unhurried", deadline=None)
    hypothesis.settings.load_profile("unhurried")

_PREFIXES = ("CONTENTSTACK_", "LAUNCH_")
_SUFFIXES = ("_PROXY",)
_NAMES = {"NETRC", "SSL_CERT_DIR", "SSL_CERT_FILE"}


@pytest.fixture(autouse=True)
def scrubbed_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove credentials, proxies and certificate settings of the machine."""
    for name in os.environ:
        upper = name.upper()
        if upper.startswith(_PREFIXES) or upper.endswith(_SUFFIXES) or upper in _NAMES:
            monkeypatch.delenv(name)


def pytest_collection_finish() -> None:
    """Set what is there to stay aside: collecting garbage around a test then looks at that test's objects alone."""
    gc.collect()
    gc.freeze()
