"""One budget for two event loops and a thread pool, counted by a server in a process of its own."""

import pytest

from benchmarks.real_sockets import emulator, most_in_any_second, use


def test_a_sliding_second_never_sees_more_than_ten_and_refuses_nobody():
    with emulator(rate_limit=10, window="sliding") as where:
        use(where, rate_limit=10, requests=32)
        arrivals = where.arrivals()
    assert len(arrivals) == 32
    assert all(accepted for _, accepted in arrivals)
    assert most_in_any_second([when for when, _ in arrivals]) <= 10


@pytest.mark.parametrize("window", ["fixed", "bucket"])
def test_a_larger_plan_is_kept_however_the_server_counts(window):
    with emulator(rate_limit=50, window=window) as where:
        use(where, rate_limit=50, requests=70)
        arrivals = where.arrivals()
    assert sum(accepted for _, accepted in arrivals) == 70
    assert most_in_any_second([when for when, _ in arrivals]) <= 50
