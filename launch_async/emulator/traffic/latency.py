"""Latency of requests and answers: none, a constant, or drawn from a distribution."""

import math
import random

from launch_async.emulator.options import EmulatorOptions


class LatencyModel:
    """Draws the one-way delay of a request or an answer, as the options say."""

    def __init__(self, options: EmulatorOptions) -> None:
        self._options = options
        self.restart()

    def restart(self) -> None:
        """Start again with the first delay of the seed."""
        self._dice = random.Random(self._options.seed)  # noqa: S311

    def draw(self) -> float:
        """Return the seconds for one way."""
        latency = self._options.latency
        if callable(latency):
            return latency()
        sigma = self._options.latency_sigma
        return latency * math.exp(self._dice.gauss(0.0, sigma)) if sigma else latency
