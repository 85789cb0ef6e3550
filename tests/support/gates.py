"""Skip tests on machines without a program or IPv6. In CI, a missing program is a failure."""

from __future__ import annotations

import os
import socket
from typing import NoReturn

import pytest


def lacking(what: str, remedy: str) -> NoReturn:
    """Skip the test, or fail it if the environment variable CI is set."""
    reason = f"{what} is not installed ({remedy})"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


def has_ipv6() -> bool:
    """Whether a program can listen on the IPv6 loopback address of this machine."""
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")
