"""The software bill of materials of the wheel (PEP 770), as CycloneDX 1.7.

The wheel contains no code of other projects. The SBOM therefore lists the dependencies as external components with the
accepted versions. Dependencies that are always installed are `required`, those of an extra are `optional`. The SBOM has
neither a time nor a serial number, so the same source always produces the same bytes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version


def sbom(
    *,
    name: str,
    version: str,
    licence: str,
    description: str,
    dependencies: Sequence[str],
    extras: Mapping[str, Sequence[str]],
) -> str:
    """Return the SBOM as JSON.

    Args:
        name: Name of the distribution.
        version: Version of the distribution.
        licence: Licence as an SPDX expression.
        description: One sentence.
        dependencies: Requirements that are always installed.
        extras: Requirements of each extra.
    """
    itself = f"pkg:pypi/{canonicalize_name(name)}@{version}"
    components = sorted(_components(dependencies, extras), key=lambda component: str(component["bom-ref"]))
    document = {
        "$schema": "http://cyclonedx.org/schema/bom-1.7.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.7",
        "version": 1,
        "metadata": {
            "component": {
                "type": "library",
                "bom-ref": itself,
                "name": name,
                "version": version,
                "description": description,
                "licenses": [{"license": {"id": licence}}],
                "purl": itself,
            }
        },
        "components": components,
        "dependencies": [
            {"ref": itself, "dependsOn": [component["bom-ref"] for component in components]},
            *({"ref": component["bom-ref"]} for component in components),
        ],
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _components(dependencies: Sequence[str], extras: Mapping[str, Sequence[str]]) -> Iterator[dict[str, Any]]:
    required = {_name(requirement): requirement for requirement in map(Requirement, dependencies)}
    for name, requirement in required.items():
        yield _component(name, requirement, "required", [])
    optional: dict[str, Requirement] = {}
    needed_by: dict[str, list[str]] = {}
    for extra, requirements in sorted(extras.items()):
        for requirement in map(Requirement, requirements):
            name = _name(requirement)
            if optional.setdefault(name, requirement).specifier != requirement.specifier:
                raise ValueError(f"the extras accept different versions of {name}")
            needed_by.setdefault(name, []).append(extra)
    for name, requirement in optional.items():
        if name not in required:
            yield _component(name, requirement, "optional", needed_by[name])


def _name(requirement: Requirement) -> str:
    return canonicalize_name(requirement.name)


def _component(name: str, requirement: Requirement, scope: str, extras: Sequence[str]) -> dict[str, Any]:
    purl = f"pkg:pypi/{name}"
    component: dict[str, Any] = {
        "type": "library",
        "bom-ref": purl,
        "name": name,
        "versionRange": _range(requirement),
        "isExternal": True,
        "scope": scope,
        "purl": purl,
    }
    if extras:
        component["properties"] = [{"name": "contentstack-launch:extra", "value": extra} for extra in extras]
    return component


def _range(requirement: Requirement) -> str:
    """Return the accepted versions in the notation of package URLs: `vers:pypi/>=3.14.4|<4`."""
    parts = sorted(requirement.specifier, key=lambda part: Version(part.version))
    return "vers:pypi/" + ("|".join(f"{part.operator}{part.version}" for part in parts) or "*")
