"""Write the contract that the probe compares with the service's API document: `python -m tools.probe_contract`.

The source is the project's description of the API in `tests/contract/openapi.yaml`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

import yaml

from launch_async.probe.openapi import operations_of

ROOT: Final = Path(__file__).resolve().parent.parent
SOURCE: Final = ROOT / "tests" / "contract" / "openapi.yaml"
CONTRACT: Final = ROOT / "launch_async" / "probe" / "contract.json"


def contract_text() -> str:
    """Return the text of the file."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    operations = operations_of(yaml.load(SOURCE.read_text("utf-8"), loader))
    lines = [f"  {json.dumps(name)}: {json.dumps(operation, sort_keys=True)}" for name, operation in operations.items()]
    return "{\n" + ",\n".join(lines) + "\n}\n"


if __name__ == "__main__":
    CONTRACT.write_text(contract_text(), "utf-8")
