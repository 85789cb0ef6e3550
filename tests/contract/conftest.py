"""The recorded exchanges of a client that calls every operation."""

import asyncio

import pytest

from contract.tour import take_the_tour


@pytest.fixture(scope="session")
def exchanges(tmp_path_factory):
    """All exchanges of the tour, in order."""
    return asyncio.run(take_the_tour(tmp_path_factory.mktemp("tour")))
