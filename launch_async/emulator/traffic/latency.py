"""How long requests and answers take: no time, always the same, or a time drawn from a distribution."""

import math
import random

from launch_async.emulator.options import EmulatorOptions


class LatencyModel:
    """The time that a request takes to arrive, and an answer to come back, as the options say."""

    def __init__(self, options: EmulatorOptions) -> None:
        self._options = options
        self.restart()

    def restart(self) -> None:
        """Draw the delays of the seed again from the first."""
        self._dice = random.Random(self._options.seed)  # noqa: S311

    def draw(self) -> float:
        """Seconds for one way."""
        latency = self._options.latency
        if callable(latency):
            return latency()
        sigma = self._options.latency_sigma
        return latency * math.exp(self._dice.gauss(0.0, sigma)) if sigma else latency
