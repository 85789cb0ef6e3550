"""The recorded exchanges of a client that calls every operation."""

import asyncio

import pytest

from contract.all_operations import call_all_operations


@pytest.fixture(scope="session")
def exchanges(tmp_path_factory):
    """The exchanges of all operations, in order."""
    return asyncio.run(call_all_operations(tmp_path_factory.mktemp("operations")))
