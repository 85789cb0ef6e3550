"""Several processes learn one capacity: from the counts of all, with one change at a time."""

import itertools

from launch_async.rate_limit.shared.learning import SharedLearning
from launch_async.rate_limit.shared.messages import Learnt
from launch_async.rate_limit.types import RateLimit


class Counts:
    """A store that counts answers and takes the first proposal for a version."""

    def __init__(self) -> None:
        self.learnt = Learnt()

    def count(self, *, accepted: int = 0, refused: int = 0) -> None:
        now = self.learnt
        self.learnt = Learnt(now.version, now.figure, now.accepted + accepted, now.refused + refused)

    def call(self, process: SharedLearning, now: float) -> None:
        """One call of a process at a time."""
        proposal, known = process.proposal, self.learnt
        if proposal is not None and proposal.version == known.version:
            self.learnt = Learnt(known.version + 1, proposal.figure, known.accepted, known.refused)
        process.take_in(self.learnt, now, 0.0)


def test_refusals_that_processes_met_one_each_count_together() -> None:
    counts, processes = Counts(), [SharedLearning(RateLimit(10)) for _ in range(3)]
    for process in processes:
        counts.call(process, 0.0)

    for now in (0.1, 0.2, 0.3):
        counts.count(accepted=2, refused=1)
        for process in processes:
            counts.call(process, now)

    assert all(process.proposal is not None for process in processes)


def test_of_several_proposals_one_is_taken_and_the_others_adopt_it() -> None:
    counts, one, other = Counts(), SharedLearning(RateLimit(10)), SharedLearning(RateLimit(10))
    for now, process in [(0.0, one), (0.0, other)]:
        counts.call(process, now)
    counts.count(accepted=6, refused=3)
    for now, process in [(0.1, one), (0.1, other), (0.2, one), (0.2, other)]:
        counts.call(process, now)

    assert counts.learnt.version == 1
    assert counts.learnt.figure is not None
    assert counts.learnt.figure < 10
    assert (one.proposal, other.proposal) == (None, None)


def test_the_whole_budget_is_found_again_step_by_step() -> None:
    counts, one, other = Counts(), SharedLearning(RateLimit(10)), SharedLearning(RateLimit(10))
    figures, now = [], 0.0
    while now < 200.0:
        counts.count(accepted=1, refused=int(1.0 < now < 1.35))
        for process in (one, other):
            counts.call(process, now)
        figures.append(counts.learnt.figure or 10)
        now += 0.1

    assert min(figures) < 10
    assert figures[-1] == 10
    assert max(later - earlier for earlier, later in itertools.pairwise(figures)) == 1


def test_counts_of_a_long_time_are_not_judged() -> None:
    counts, process = Counts(), SharedLearning(RateLimit(10))
    counts.call(process, 0.0)
    counts.count(accepted=1000, refused=30)

    counts.call(process, 3600.0)

    assert process.proposal is None


def test_a_store_that_forgot_its_counts_is_no_news() -> None:
    counts, process = Counts(), SharedLearning(RateLimit(10))
    counts.count(accepted=1000, refused=30)
    counts.call(process, 0.0)
    counts.learnt = Learnt()

    counts.call(process, 0.1)

    assert process.proposal is None
