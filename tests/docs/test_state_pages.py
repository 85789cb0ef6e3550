"""The state files on the pages are valid."""

from __future__ import annotations

import json
import tomllib

import jsonschema_rs
import pytest

from launch_async import State
from tests.support.programs import ROOT
from tools.pages import Block, blocks

SCHEMA = json.loads((ROOT / "docs/reference/launch.schema.json").read_text("utf-8"))


@pytest.mark.parametrize("block", [pytest.param(block, id=block.name) for block in blocks("toml")])
def test_every_state_file_of_the_documentation_can_be_loaded(block: Block) -> None:
    assert State.from_toml(block.text)
    assert jsonschema_rs.is_valid(SCHEMA, tomllib.loads(block.text))
