"""Latency of requests and responses: none, a constant, or drawn from a distribution."""

import math
import random

from launch_async.emulator.options import EmulatorOptions


class LatencyModel:
    """Draws the one-way delay of a request or a response from the distribution in the options."""

    def __init__(self, options: EmulatorOptions) -> None:
        self._options = options
        self.restart()

    def restart(self) -> None:
        """Restart the sequence of delays, with the current options."""
        self._random = random.Random(self._options.seed)  # noqa: S311

    def draw(self) -> float:
        """Return the next one-way delay in seconds."""
        latency = self._options.latency
        if callable(latency):
            return latency()
        sigma = self._options.latency_sigma
        return latency * math.exp(self._random.gauss(0.0, sigma)) if sigma else latency
