"""Settings from environment variables and from `.cs-launch.json`.

An argument takes precedence over the environment, and the environment takes precedence over the file. `discover`
returns the source of each setting, without its value. If settings are missing or malformed, one error lists all of
them. An empty environment variable counts as not set.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Final, cast

import attrs

from launch_async.auth.access_token import AccessToken
from launch_async.auth.oauth import AppCredentials
from launch_async.auth.tokens import Authtoken, check_credentials
from launch_async.errors import ConfigurationError
from launch_async.http.credentials import Credentials
from launch_async.rate_limit.registry import ShareBudget, check_share_budget
from launch_async.settings import check_organization_uid, find_region
from launch_async.wire.secret import Secret

__all__ = ["PROJECT_FILE", "Discovery", "ProjectFile", "discover", "find_project_file"]

PROJECT_FILE: Final = ".cs-launch.json"
"""Name of the file that the vendor's CLI writes into the folder of a project."""

_LOG: Final = logging.getLogger(__name__)
_PREFIX: Final = "CONTENTSTACK_"
_SECRETS: Final = frozenset({"ACCESS_TOKEN", "AUTHTOKEN", "CLIENT_SECRET"})


@attrs.frozen(kw_only=True)
class ProjectFile:
    """The content of a `.cs-launch.json`. It contains no secret.

    Attributes:
        path: Path of the file.
        project_uid: UID of the project; None if the file names several projects or none.
        organization_uid: UID of the organization; None if the file names several organizations or none.
    """

    path: Path
    project_uid: str | None = None
    organization_uid: str | None = None


@attrs.frozen(kw_only=True)
class Discovery:
    """The complete and valid settings of a client.

    Attributes:
        credentials: The credentials.
        region: Name of the region.
        base_url: Address of the API; None for the address of the region.
        app_url: Address of the app host; None for the address of the region.
        organization_uid: UID of the organization; None if the credentials contain it.
        share_budget: The clients that share the rate limit: `machine` or `process`, as for `LaunchClient`.
        project_uid: UID of the project in `.cs-launch.json`; None if there is none.
        sources: Source of each setting, by name: `argument`, `environment (NAME)`, the path of a file, or `default`.
    """

    credentials: Credentials
    region: str
    base_url: str | None
    app_url: str | None
    organization_uid: str | None
    share_budget: ShareBudget
    project_uid: str | None
    sources: Mapping[str, str]


def discover(
    *,
    credentials: Credentials | None = None,
    region: str | None = None,
    base_url: str | None = None,
    app_url: str | None = None,
    organization_uid: str | None = None,
    share_budget: ShareBudget | None = None,
    folder: str | os.PathLike[str] | None = None,
) -> Discovery:
    """Return the settings of a client. Arguments take precedence over the environment and the file.

    If the environment contains several credentials, the first complete ones are used, in this order:
    `CONTENTSTACK_ACCESS_TOKEN`, `CONTENTSTACK_CLIENT_ID` with `CONTENTSTACK_CLIENT_SECRET`, `CONTENTSTACK_AUTHTOKEN`.

    The search for `.cs-launch.json` starts in `folder`, by default the working directory, and continues in the folders
    above it. All other arguments are as in `LaunchClient`.

    Raises:
        ConfigurationError: Settings are missing or malformed; the text lists all of them.
    """
    check_credentials(credentials)
    search = _Search()
    found = credentials or search.credentials()
    search.note("credentials", "argument" if credentials else search.found_credentials)
    file = None
    with search.noting_problems():
        file = find_project_file(folder)
    region = search.setting("region", region, "REGION") or "na"
    base_url = search.setting("base_url", base_url, "LAUNCH_URL")
    app_url = search.setting("app_url", app_url, "APP_URL")
    organization_uid = search.setting("organization_uid", organization_uid, "ORGANIZATION_UID", file)
    share_budget = search.share_budget(share_budget)
    with search.noting_problems("region"):
        find_region(region)
    with search.noting_problems("organization_uid"):
        check_organization_uid(organization_uid)
    if organization_uid is None and found is not None and found.needs_organization:
        search.problems.append(
            f"An authtoken needs the UID of the organization. Set {_PREFIX}ORGANIZATION_UID, or work in a folder with "
            f"{PROJECT_FILE}"
        )
    if found is None or search.problems:
        raise ConfigurationError(f"Settings are missing or malformed. {'. '.join(search.problems)}")
    _LOG.debug("The settings came from %s", dict(search.sources))
    return Discovery(
        credentials=found,
        region=region,
        base_url=base_url,
        app_url=app_url,
        organization_uid=organization_uid,
        share_budget=share_budget,
        project_uid=file.project_uid if file else None,
        sources=MappingProxyType(search.sources),
    )


def find_project_file(folder: str | os.PathLike[str] | None = None) -> ProjectFile | None:
    """Return the nearest `.cs-launch.json` in a folder or in a folder above it; None if there is none.

    Args:
        folder: Folder to start from; by default the working directory.

    Raises:
        ConfigurationError: The nearest file cannot be read.
    """
    start = Path(folder or Path.cwd()).resolve()
    for place in (start, *start.parents):
        path = place / PROJECT_FILE
        if path.is_file():
            return _read(path)
    return None


def _read(path: Path) -> ProjectFile:
    """Read a file: one project, or one for each branch (`{"project": {"uid", "organizationUid"}}`)."""
    try:
        document: object = json.loads(path.read_text("utf-8-sig"))
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"The file {path} cannot be read ({type(error).__name__}). Correct or remove the file"
        ) from None
    if not isinstance(document, dict):
        raise ConfigurationError(f"The file {path} is not a JSON object. Correct or remove the file")
    whole = cast("dict[str, object]", document)
    entries = [cast("dict[str, object]", entry) for entry in (whole, *whole.values()) if isinstance(entry, dict)]
    return ProjectFile(
        path=path, project_uid=_agreed(entries, "uid"), organization_uid=_agreed(entries, "organizationUid")
    )


def _agreed(entries: list[dict[str, object]], name: str) -> str | None:
    """Return the value of a name if all entries that have the name have the same value."""
    values = {value for entry in entries if isinstance(value := entry.get(name), str) and value}
    return values.pop() if len(values) == 1 else None


class _Search:
    """The settings that one search has found so far, and their sources."""

    def __init__(self) -> None:
        self.sources: dict[str, str] = {}
        self.problems: list[str] = []
        self.found_credentials = ""

    def setting(self, name: str, given: str | None, variable: str, file: ProjectFile | None = None) -> str | None:
        if given is not None:
            self.note(name, "argument")
            return given
        if (value := _variable(variable)) is not None:
            self.note(name, f"environment ({_PREFIX}{variable})")
            return value
        if file is not None and file.organization_uid is not None:
            self.note(name, str(file.path))
            return file.organization_uid
        self.note(name, "default")
        return None

    def share_budget(self, given: ShareBudget | None) -> ShareBudget:
        found = self.setting("share_budget", given, "LAUNCH_SHARE_BUDGET") or "machine"
        with self.noting_problems("share_budget"):
            return check_share_budget(found)
        return "machine"

    def note(self, name: str, source: str) -> None:
        self.sources[name] = source

    @contextmanager
    def noting_problems(self, name: str = "") -> Generator[None]:
        """Collect problems, with the source of the setting, so that one error can list all of them."""
        try:
            yield
        except ConfigurationError as error:
            source = f". Source of {name}: {self.sources[name]}" if name else ""
            self.problems.append(f"{error.message.removesuffix('.')}{source}")

    def credentials(self) -> Credentials | None:
        """Return the first complete credentials of the environment."""
        token, authtoken = _variable("ACCESS_TOKEN"), _variable("AUTHTOKEN")
        client_id, client_secret = _variable("CLIENT_ID"), _variable("CLIENT_SECRET")
        with self.noting_problems():
            if token:
                return self._from(AccessToken(token), "ACCESS_TOKEN")
            if client_id and client_secret:
                return self._from(AppCredentials(client_id, client_secret), "CLIENT_ID", "CLIENT_SECRET")
            if authtoken:
                return self._from(Authtoken(authtoken), "AUTHTOKEN")
            if client_id:
                raise ConfigurationError(f"{_PREFIX}CLIENT_ID is set without {_PREFIX}CLIENT_SECRET. Set both")
            if client_secret:
                raise ConfigurationError(f"{_PREFIX}CLIENT_SECRET is set without {_PREFIX}CLIENT_ID. Set both")
            raise ConfigurationError(
                f"There are no credentials. Set {_PREFIX}ACCESS_TOKEN, or {_PREFIX}CLIENT_ID and "
                f"{_PREFIX}CLIENT_SECRET, or {_PREFIX}AUTHTOKEN and {_PREFIX}ORGANIZATION_UID"
            )
        return None

    def _from(self, credentials: Credentials, *variables: str) -> Credentials:
        names = ", ".join(f"{_PREFIX}{name}" for name in variables)
        self.found_credentials = f"environment ({names})"
        return credentials


def _variable(name: str) -> str | None:
    value = Secret(os.environ.get(f"{_PREFIX}{name}", "").strip())
    return (value if name in _SECRETS else str(value)) or None
