"""What was on the wire when the client did everything it can."""

import asyncio

import pytest

from contract.tour import take_the_tour


@pytest.fixture(scope="session")
def exchanges(tmp_path_factory):
    """Every exchange of the tour, in order."""
    return asyncio.run(take_the_tour(tmp_path_factory.mktemp("tour")))
