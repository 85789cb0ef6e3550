"""Check a wheel: `python -m tools.check_wheel FIRST SECOND` compares two builds byte for byte, and checks the SBOM.

The second build was made in another folder, at another time and with other permissions for new files.
"""

from __future__ import annotations

import hashlib
import json
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    """Return 0 if both wheels are the same and their SBOM is correct."""
    first, second = map(Path, sys.argv[1:3])
    complaints = [*differences(first, second), *sbom_complaints(first)]
    for complaint in complaints:
        print(complaint, file=sys.stderr)
    if complaints:
        sys.exit(1)
    print(f"{first.name}: two builds have the same bytes ({_digest(first.read_bytes())}), and the SBOM is valid.")


def differences(first: Path, second: Path) -> Iterator[str]:
    """Yield the differences between two wheels."""
    if first.name != second.name:
        yield f"{first.name} and {second.name} have different names"
    if first.read_bytes() == second.read_bytes():
        return
    sides = [{entry.filename: entry for entry in zipfile.ZipFile(wheel).infolist()} for wheel in (first, second)]
    for name in sorted({*sides[0], *sides[1]}):
        facts = [
            (entry.CRC, entry.date_time, entry.external_attr >> 16) if entry else None for entry in _pair(sides, name)
        ]
        if facts[0] != facts[1]:
            yield f"{name}: {facts[0]} in the first wheel, {facts[1]} in the second (checksum, time, mode)"
    yield f"{first.name}: the bytes of two builds differ"


def sbom_complaints(wheel: Path) -> Iterator[str]:
    """Yield the mistakes in the SBOM of a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if ".dist-info/sboms/" in name]
        if [name.rpartition("/")[2] for name in names] != ["contentstack-launch.cdx.json"]:
            yield f"the SBOMs are {names}"
            return
        text = archive.read(names[0]).decode("utf-8")
    if error := JsonStrictValidator(SchemaVersion.V1_7).validate_str(text):
        yield f"{names[0]} is not valid CycloneDX 1.7: {error}"
    project: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    document = json.loads(text)
    itself = document["metadata"]["component"]
    stated = (itself["name"], itself["version"], itself["licenses"], itself["purl"])
    name, version = project["name"], project["version"]
    if stated != (name, version, [{"license": {"id": project["license"]}}], f"pkg:pypi/{name}@{version}"):
        yield f"the SBOM describes {stated}"
    scopes = {component["name"]: component["scope"] for component in document["components"]}
    required = {_name(each) for each in project["dependencies"]}
    optional = {_name(each) for extra in project["optional-dependencies"].values() for each in extra} - required
    if scopes != {**dict.fromkeys(required, "required"), **dict.fromkeys(optional, "optional")}:
        yield f"the SBOM lists {scopes}"


def _name(requirement: str) -> str:
    return requirement.partition(">=")[0].partition("[")[0].strip()


def _pair(sides: list[dict[str, zipfile.ZipInfo]], name: str) -> list[zipfile.ZipInfo | None]:
    return [side.get(name) for side in sides]


def _digest(content: bytes) -> str:
    return f"SHA-256 {hashlib.sha256(content).hexdigest()[:16]}..."


if __name__ == "__main__":
    main()
