"""`LaunchClient.from_env` finds settings in a fixed order, and lists all missing settings in one error."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

from launch_async import AccessToken, AppCredentials, Authtoken, ConfigurationError, LaunchClient
from launch_async.discovery import discover, find_project_file
from launch_async.emulator import LaunchEmulator

ORGANIZATION, ELSEWHERE = "blt0123456789abcdef", "bltfedcba9876543210"
PROJECT = "66c0ffee00000000000000a1"
CANARY = "canary-of-the-environment"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, which is the working directory of the test."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def set_variables(monkeypatch: pytest.MonkeyPatch, **variables: str) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(f"CONTENTSTACK_{name}", value)


def project_file(folder: Path, document: object) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / ".cs-launch.json"
    path.write_text(document if isinstance(document, str) else json.dumps(document), "utf-8")
    return path.resolve()


async def test_a_client_finds_everything_in_the_environment(
    emulator: LaunchEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_variables(
        monkeypatch, CLIENT_ID=emulator.client_id, CLIENT_SECRET=emulator.client_secret, LAUNCH_URL=emulator.url
    )

    async with LaunchClient.from_env() as launch:
        assert [project.name async for project in launch.projects.list()] == ["landing"]

    assert launch.settings_sources == {
        "credentials": "environment (CONTENTSTACK_CLIENT_ID, CONTENTSTACK_CLIENT_SECRET)",
        "region": "default",
        "base_url": "environment (CONTENTSTACK_LAUNCH_URL)",
        "app_url": "default",
        "organization_uid": "default",
        "share_budget": "default",
    }


def test_the_names_in_the_examples_of_the_vendor_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    set_variables(monkeypatch, REGION="AZURE_NA", CLIENT_ID="client", CLIENT_SECRET="secret")

    found = discover()

    assert found.credentials == AppCredentials("client", "secret")
    assert found.region == "AZURE_NA"


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"ACCESS_TOKEN": "a", "CLIENT_ID": "b", "CLIENT_SECRET": "c", "AUTHTOKEN": "d"}, AccessToken("a")),
        ({"CLIENT_ID": "b", "CLIENT_SECRET": "c", "AUTHTOKEN": "d"}, AppCredentials("b", "c")),
        ({"CLIENT_ID": "b", "CLIENT_SECRET": "", "AUTHTOKEN": " d "}, Authtoken("d")),
    ],
)
def test_the_first_complete_credentials_are_used(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], expected: object
) -> None:
    set_variables(monkeypatch, ORGANIZATION_UID=ORGANIZATION, **variables)

    assert discover().credentials == expected


def test_an_argument_wins_over_the_environment_and_the_environment_over_the_file(
    monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    path = project_file(folder, {"project": {"uid": PROJECT, "organizationUid": ORGANIZATION}})
    set_variables(monkeypatch, AUTHTOKEN="token")
    by_file = discover()
    set_variables(monkeypatch, ORGANIZATION_UID=ELSEWHERE)
    by_environment = discover()
    by_argument = discover(organization_uid=ORGANIZATION, credentials=AccessToken("other"), region="eu")

    assert (by_file.organization_uid, by_file.project_uid) == (ORGANIZATION, PROJECT)
    assert by_file.sources["organization_uid"] == str(path)
    assert by_environment.organization_uid == ELSEWHERE
    assert by_environment.sources["organization_uid"] == "environment (CONTENTSTACK_ORGANIZATION_UID)"
    assert by_argument.organization_uid == ORGANIZATION
    assert by_argument.credentials == AccessToken("other")
    assert [by_argument.sources[name] for name in ("organization_uid", "credentials", "region")] == ["argument"] * 3


@pytest.mark.parametrize(
    ("document", "project", "organization"),
    [
        ({"uid": PROJECT, "organizationUid": ORGANIZATION, "name": "landing"}, PROJECT, ORGANIZATION),
        (
            {"main": {"uid": PROJECT, "organizationUid": ORGANIZATION}, "project": {"uid": PROJECT}},
            PROJECT,
            ORGANIZATION,
        ),
        ({"main": {"organizationUid": ORGANIZATION}, "next": {"organizationUid": ELSEWHERE}}, None, None),
        ({"main": 1, "uid": 2}, None, None),
        ({}, None, None),
        ('\ufeff{"uid": "' + PROJECT + '"}', PROJECT, None),
    ],
)
def test_a_project_file_is_used_if_it_names_one_project(
    folder: Path, document: object, project: str | None, organization: str | None
) -> None:
    project_file(folder, document)

    found = find_project_file()

    assert found is not None
    assert (found.project_uid, found.organization_uid) == (project, organization)


def test_the_nearest_project_file_above_the_folder_is_used(folder: Path) -> None:
    project_file(folder, {"uid": "outer"})
    nearest = project_file(folder / "site", {"uid": "inner"})
    (folder / "site" / "pages").mkdir()

    found = find_project_file(folder / "site" / "pages")

    assert found is not None
    assert (found.path, found.project_uid) == (nearest, "inner")


@pytest.mark.parametrize("document", ["{", "[]", "null"])
def test_a_malformed_project_file_is_an_error_that_names_the_file(
    folder: Path, document: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = project_file(folder, document)
    set_variables(monkeypatch, ACCESS_TOKEN="token")

    with pytest.raises(ConfigurationError, match="Correct or remove the file") as caught:
        discover()

    assert str(path) in str(caught.value)


def test_all_missing_and_malformed_settings_are_in_one_error(monkeypatch: pytest.MonkeyPatch) -> None:
    set_variables(monkeypatch, CLIENT_ID="client", REGION="mars", ORGANIZATION_UID="nonsense")

    with pytest.raises(ConfigurationError) as caught:
        LaunchClient.from_env()

    for part in (
        "CONTENTSTACK_CLIENT_SECRET",
        "mars",
        "CONTENTSTACK_REGION",
        "nonsense",
        "CONTENTSTACK_ORGANIZATION_UID",
    ):
        assert part in str(caught.value)


def test_the_error_about_an_empty_environment_lists_every_variable() -> None:
    with pytest.raises(ConfigurationError) as caught:
        LaunchClient.from_env()

    for name in ("ACCESS_TOKEN", "CLIENT_ID", "CLIENT_SECRET", "AUTHTOKEN", "ORGANIZATION_UID"):
        assert f"CONTENTSTACK_{name}" in str(caught.value)


def test_the_error_about_a_secret_without_its_id_names_the_id(monkeypatch: pytest.MonkeyPatch) -> None:
    set_variables(monkeypatch, CLIENT_SECRET=CANARY)

    with pytest.raises(
        ConfigurationError, match="CONTENTSTACK_CLIENT_SECRET is set without CONTENTSTACK_CLIENT_ID"
    ) as caught:
        discover()

    assert CANARY not in str(caught.value)


def test_an_authtoken_needs_an_organization(monkeypatch: pytest.MonkeyPatch) -> None:
    set_variables(monkeypatch, AUTHTOKEN="token")

    with pytest.raises(ConfigurationError, match=r"CONTENTSTACK_ORGANIZATION_UID.*\.cs-launch\.json"):
        discover()


def test_the_error_about_a_malformed_token_does_not_contain_the_token(monkeypatch: pytest.MonkeyPatch) -> None:
    set_variables(monkeypatch, ACCESS_TOKEN=f"{CANARY} {CANARY}")

    with pytest.raises(ConfigurationError, match="white space") as caught:
        discover()

    assert CANARY not in str(caught.value)


def test_a_token_as_a_string_is_refused_and_not_in_the_error() -> None:
    with pytest.raises(ConfigurationError, match=r"must be an object such as AccessToken\(\.\.\.\)") as caught:
        LaunchClient.from_env(CANARY)  # type: ignore[arg-type]

    assert CANARY not in str(caught.value)


def test_the_log_contains_the_sources_of_settings_and_no_values(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    set_variables(monkeypatch, ACCESS_TOKEN=CANARY)

    with caplog.at_level(logging.DEBUG, "launch_async.discovery"):
        found = discover()

    assert "CONTENTSTACK_ACCESS_TOKEN" in caplog.text
    assert CANARY not in caplog.text
    assert CANARY not in repr(found)


def test_a_client_without_discovery_has_no_sources() -> None:
    assert LaunchClient(AccessToken("token")).settings_sources == {}
