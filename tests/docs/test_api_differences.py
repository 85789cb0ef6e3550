"""The report lists added and removed public names since a tag. A breaking change needs a matching version number."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tools.api_differences import differences, may_break

BEFORE = """
def buy(fruit: str) -> None: ...
def sell(fruit: str) -> None: ...
def _count() -> int: ...
"""
NOW = """
def buy(item: str) -> None: ...
def lend(fruit: str) -> None: ...
def _weigh() -> int: ...
"""


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    package = tmp_path / "shop"
    package.mkdir()
    (package / "__init__.py").write_text(BEFORE, "utf-8")
    git = ("git", "-c", "user.name=shop", "-c", "user.email=shop@localhost", "-c", "commit.gpgsign=false")
    for command in (("init", "-q"), ("add", "."), ("commit", "-q", "-m", "Open the shop"), ("tag", "v0.1.0")):
        subprocess.run([*git, *command], cwd=tmp_path, check=True)
    return tmp_path


def test_nothing_is_reported_without_a_change(shop: Path) -> None:
    assert differences(shop, "shop", "v0.1.0") == ([], [])


def test_additions_and_breaking_changes_of_public_names_are_reported(shop: Path) -> None:
    (shop / "shop" / "__init__.py").write_text(NOW, "utf-8")

    gained, broken = differences(shop, "shop", "v0.1.0")

    assert gained == ["shop.lend"]
    assert [change.partition(": ")[2] for change in broken] == [
        "buy(fruit): Parameter was removed",
        "buy(item): Parameter was added as required",
        "sell: Public object was removed",
    ]


@pytest.mark.parametrize(
    ("tag", "version", "allowed"),
    [
        ("v0.1.0", "0.1.0", False),
        ("v0.1.0", "0.1.1", False),
        ("v0.1.9", "0.2.0", True),
        ("v0.9.0", "1.0.0", True),
        ("v1.2.0", "1.3.0", False),
        ("v1.9.3", "2.0.0", True),
        ("v2.0.0", "1.9.0", False),
    ],
)
def test_a_breaking_change_needs_a_new_major_version_or_a_new_minor_version_before_1(
    tag: str, version: str, allowed: bool
) -> None:
    assert may_break(tag, version) is allowed
