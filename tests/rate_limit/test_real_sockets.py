"""Two event loops and a thread pool share one budget over sockets. A server in a separate process counts.

The number of requests per second depends on the load of the machine, so `benchmarks/real_sockets.py` measures it. These
tests check the minimum time of a kept budget, which no load can shorten.
"""

import time

import pytest

from tests.support.emulator_process import call_from_loops_and_threads, emulator


@pytest.mark.parametrize(("window", "rate"), [("sliding", 10), ("fixed", 50), ("bucket", 50)])
def test_clients_on_several_loops_and_threads_share_one_budget(window: str, rate: int):
    requests = 2 * rate + 2
    with emulator(rate_limit=rate, window=window) as where:
        began = time.monotonic()
        call_from_loops_and_threads(where, rate_limit=rate, requests=requests)
        took = time.monotonic() - began
        arrivals = where.arrivals()
    assert sum(accepted for _, accepted in arrivals) == requests
    # With one shared limit, the requests need at least two seconds. Three separate limits would need one second.
    assert took >= 2.0
