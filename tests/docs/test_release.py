"""A release without addresses, or with different versions in its files, is refused with instructions."""

from __future__ import annotations

import tomllib

import pytest

from tools.addresses import with_site, with_urls, with_whole_links
from tools.pages import ROOT
from tools.release import LINKS, missing_addresses, other_versions, relative_links

COMPLETE = """
[project.urls]
"Contentstack Launch" = "https://www.contentstack.com/docs/launch"
Source = "https://git.some-company.com/launch"
Issues = "https://git.some-company.com/launch/issues"
Documentation = "https://launch.some-company.com/"
Changelog = "https://launch.some-company.com/changes/"
"""
MODULE = '"""The version."""\n\n__version__ = "1.2.3"\n'
ADDRESSES = {name: address for name, address in tomllib.loads(COMPLETE)["project"]["urls"].items() if name in LINKS}
CHANGES = "# Changes\n\n## 1.2.3 (2027-01-31)\n\n- news\n\n## 1.2.2 (2026-12-24)\n"


def urls(text: str) -> dict[str, str]:
    return tomllib.loads(text)["project"].get("urls", {})


def test_a_project_with_all_addresses_is_complete() -> None:
    assert list(missing_addresses(urls(COMPLETE))) == []


def test_each_missing_address_is_reported_with_its_place() -> None:
    complaints = list(missing_addresses(urls("[project]\n")))

    assert [complaint.split()[2] for complaint in complaints] == ["Source", "Issues", "Documentation", "Changelog"]
    assert complaints[0].startswith("pyproject.toml, [project.urls]: Source is ''. Write the https address of")


@pytest.mark.parametrize("address", ["http://git.some-company.com/launch", "https://example.com/launch", "TODO"])
def test_a_placeholder_address_is_refused(address: str) -> None:
    (complaint,) = missing_addresses({**urls(COMPLETE), "Source": address})

    assert address in complaint


def test_the_same_version_in_all_files_is_accepted() -> None:
    assert list(other_versions("v1.2.3", "1.2.3", MODULE, CHANGES)) == []


@pytest.mark.parametrize(
    ("tag", "version", "module", "changes", "complaint"),
    [
        ("v1.2.4", "1.2.3", MODULE, CHANGES, "pyproject.toml, [project]: version is '1.2.3', but the tag is v1.2.4"),
        ("1.2.3", "1.2.3", MODULE, CHANGES, "pyproject.toml, [project]: version is '1.2.3', but the tag is 1.2.3"),
        ("v1.2.3", "1.2.3", MODULE.replace("3", "2"), CHANGES, "launch_async/_version.py: write __version__"),
        ("v1.2.3", "1.2.3", MODULE, "# Changes\n", "CHANGELOG.md: the newest heading is None"),
        ("v1.2.3", "1.2.3", MODULE, CHANGES.replace("1.2.3", "1.3.0"), "CHANGELOG.md: the newest heading is '## 1.3.0"),
        ("v1.2.3", "1.2.3", MODULE, CHANGES.replace("2027-01-31", "not released yet"), "has no date"),
    ],
)
def test_a_different_version_is_reported_with_its_file(
    tag: str, version: str, module: str, changes: str, complaint: str
) -> None:
    (found,) = other_versions(tag, version, module, changes)

    assert complaint in found


def test_relative_links_are_reported_once() -> None:
    readme = "[a](docs/a.md) [again](docs/a.md) ![picture](docs/b.svg) [c](https://some-company.com) [d](#here)"

    (complaint,) = relative_links(readme)

    assert complaint.endswith("for the links to docs/a.md, docs/b.svg")
    assert list(relative_links("[c](https://some-company.com)")) == []


def test_the_release_checklist_names_the_session_and_all_addresses() -> None:
    checklist = (ROOT / "CONTRIBUTING.md").read_text("utf-8").partition("## Release checklist")[2]

    assert "`python3 tools/run.py release -- v1.2.3`" in checklist
    assert [name for name in LINKS if f"`{name}`" not in checklist] == []


def test_with_the_addresses_the_project_is_complete() -> None:
    pyproject = with_urls((ROOT / "pyproject.toml").read_text("utf-8"), ADDRESSES)
    readme = with_whole_links((ROOT / "README.md").read_text("utf-8"), ADDRESSES)
    site = with_site((ROOT / "mkdocs.yml").read_text("utf-8"), ADDRESSES)

    assert list(missing_addresses(urls(pyproject))) == []
    assert list(relative_links(readme)) == []
    assert site.startswith("site_url: https://launch.some-company.com/\n")
    assert "name: Source, link: https://git.some-company.com/launch }" in site


@pytest.mark.parametrize(
    ("link", "address"),
    [
        ("docs/how-to/ci.md", "https://launch.some-company.com/how-to/ci/"),
        ("docs/images/fleet.svg", "https://launch.some-company.com/images/fleet.svg"),
        ("CHANGELOG.md", "https://launch.some-company.com/changes/"),
        ("SECURITY.md", "https://git.some-company.com/launch/blob/HEAD/SECURITY.md"),
        ("https://www.contentstack.com/docs/launch", "https://www.contentstack.com/docs/launch"),
        ("#here", "#here"),
    ],
)
def test_a_link_of_the_readme_leads_to_the_site_or_the_repository(link: str, address: str) -> None:
    assert with_whole_links(f"[some words]({link})", ADDRESSES) == f"[some words]({address})"
