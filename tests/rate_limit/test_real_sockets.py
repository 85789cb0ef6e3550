"""One budget for two event loops and a thread pool, over sockets, and a server in a process of its own that counts.

How many requests a server sees in a second depends on how busy its machine is, so that is measured by
`benchmarks/real_sockets.py`. What no load can shorten is the time that a kept budget takes at least.
"""

import time

import pytest

from tests.support.emulator_process import emulator, use


@pytest.mark.parametrize(("window", "rate"), [("sliding", 10), ("fixed", 50), ("bucket", 50)])
def test_clients_on_several_loops_and_threads_share_one_budget(window: str, rate: int):
    requests = 2 * rate + 2
    with emulator(rate_limit=rate, window=window) as where:
        began = time.monotonic()
        use(where, rate_limit=rate, requests=requests)
        took = time.monotonic() - began
        arrivals = where.arrivals()
    assert sum(accepted for _, accepted in arrivals) == requests
    # However the slots lie, a third second must have begun: three budgets side by side would need one second.
    assert took >= 2.0
