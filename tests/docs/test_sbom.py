"""The SBOM of the wheel lists the dependencies with their version ranges, and is reproducible."""

from __future__ import annotations

import json
import tomllib

import pytest

from tools.pages import ROOT
from tools.sbom import sbom

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


def _sbom(dependencies: list[str], extras: dict[str, list[str]]) -> str:
    return sbom(
        name="Some.Package", version="1.2", licence="MIT", description="It.", dependencies=dependencies, extras=extras
    )


def test_a_dependency_has_its_version_range_and_its_scope() -> None:
    text = _sbom(["aiohttp<4,>=3.14", "attrs"], {"b": ["rich>=13"], "a": ["rich>=13", "attrs"]})
    document = json.loads(text)

    assert document["metadata"]["component"]["purl"] == "pkg:pypi/some-package@1.2"
    assert [(part["name"], part["versionRange"], part["scope"]) for part in document["components"]] == [
        ("aiohttp", "vers:pypi/>=3.14|<4", "required"),
        ("attrs", "vers:pypi/*", "required"),
        ("rich", "vers:pypi/>=13", "optional"),
    ]
    assert [each["value"] for each in document["components"][2]["properties"]] == ["a", "b"]
    assert document["dependencies"][0]["dependsOn"] == ["pkg:pypi/aiohttp", "pkg:pypi/attrs", "pkg:pypi/rich"]


def test_the_same_dependencies_give_the_same_bytes() -> None:
    extras = PROJECT["optional-dependencies"]

    text = _sbom(PROJECT["dependencies"], extras)

    assert text == _sbom(PROJECT["dependencies"][::-1], dict(reversed(extras.items())))


def test_extras_with_different_ranges_are_refused() -> None:
    with pytest.raises(ValueError, match="rich"):
        _sbom([], {"a": ["rich>=13"], "b": ["rich>=14"]})
