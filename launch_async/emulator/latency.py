"""How long requests and answers are under way: no time, always the same, or a time drawn from a distribution."""

import math
import random

from attrs import field, frozen
from attrs.validators import ge

from launch_async.emulator.options import Latency


@frozen
class LogNormal:
    """One-way delays of a log-normal distribution, as networks have them: draw one by calling it.

    Attributes:
        median: half of all delays are shorter; seconds.
        sigma: standard deviation of the delay's natural logarithm; 0.2 is a good network, 0.9 a bad one.
        seed: makes the delays the same from run to run.
    """

    median: float = field(validator=ge(0))
    sigma: float = field(default=0.0, validator=ge(0))
    seed: int | None = None
    _dice: random.Random = field(init=False, repr=False, eq=False)

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "_dice", random.Random(self.seed))  # noqa: S311

    def __call__(self) -> float:
        """Draw a delay in seconds."""
        return self.median * math.exp(self._dice.gauss(0.0, self.sigma))


class LatencyModel:
    """The time that a request takes to arrive, and an answer to come back."""

    def __init__(self, latency: Latency) -> None:
        self._latency = latency

    def set(self, median: float, *, sigma: float = 0.0, seed: int | None = None) -> None:
        """Draw delays from another distribution from now on; see `LogNormal`.

        Raises:
            ValueError: a negative figure.
        """
        self._latency = LogNormal(median, sigma, seed)

    def draw(self) -> float:
        """Seconds for one way."""
        return self._latency() if callable(self._latency) else self._latency
