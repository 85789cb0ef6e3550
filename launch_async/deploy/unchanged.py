"""`DeployedFiles`: a small file that records deployed files by their hash, so that equal files are not deployed twice.

The service does not return the content of an upload (`openapi.yaml`), so the caller keeps this record. It contains
UIDs and content hashes and no secrets. Without the record, the next call deploys the same files again.
"""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from typing import Final, cast

import attrs

from launch_async.archive.archive import Archive
from launch_async.errors import InvalidArgumentError
from launch_async.models.deployment import Deployment, DeploymentRef
from launch_async.models.environment import Environment

__all__ = ["DeployedFiles", "is_unchanged"]

_ARGUMENT: Final = "skip_unchanged"
_VERSION: Final = 1
_writing: Final = threading.Lock()
"""Deployments to several environments may share a file."""


@attrs.frozen
class DeployedFiles:
    """A JSON file that records the deployed files of each environment. The file does not need to exist yet."""

    path: Path

    @classmethod
    def at(cls, path: str | os.PathLike[str]) -> DeployedFiles:
        """Return the record at a path, after a check of its content."""
        memory = cls(Path(path))
        memory._entries()
        return memory

    def check_not_sent(self, archive: Archive) -> None:
        """Refuse a record inside the deployed files: it would change the files with each deployment."""
        try:
            name = self.path.resolve().relative_to(archive.listing.folder.resolve()).as_posix()
        except ValueError:
            return
        if any(entry.path == name for entry in archive.listing.entries):
            raise InvalidArgumentError(
                _ARGUMENT,
                f"cannot be {self.path}, because this file is one of the files to deploy, and each deployment changes "
                "it. Add the file to .launchignore",
            )

    def of(self, project_uid: str, environment_uid: str, content_hash: str) -> DeploymentRef | None:
        """Return the last deployment of an environment if its files had this hash; None otherwise."""
        entry = self._entries().get(environment_uid, {})
        if entry.get("project_uid") != project_uid or entry.get("content_hash") != content_hash:
            return None
        return DeploymentRef(project_uid, environment_uid, entry["deployment_uid"])

    def remember(self, deployment: Deployment, content_hash: str) -> None:
        """Record the hash of a deployment's files in place of the environment's earlier entry."""
        entry = {
            "project_uid": deployment.project_uid,
            "deployment_uid": deployment.uid,
            "content_hash": content_hash,
        }
        with _writing:
            document = {"v": _VERSION, "environments": {**self._entries(), deployment.environment_uid: entry}}
            draft = self.path.with_name(f"{self.path.name}.{os.getpid()}.tmp")
            try:
                draft.write_text(json.dumps(document, indent=2), "utf-8")
                draft.replace(self.path)
            except OSError as error:
                raise InvalidArgumentError(
                    _ARGUMENT, f"cannot be {self.path}, because writing the file failed: {error.strerror}"
                ) from None

    def _entries(self) -> dict[str, dict[str, str]]:
        try:
            document = json.loads(self.path.read_text("utf-8"))
            if document["v"] != _VERSION:
                raise ValueError("a later version")
            return {
                uid: {name: str(entry[name]) for name in ("project_uid", "deployment_uid", "content_hash")}
                for uid, entry in cast("dict[str, dict[str, object]]", document["environments"]).items()
            }
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise InvalidArgumentError(
                _ARGUMENT, f"cannot be {self.path}, because reading the file failed: {error.strerror}"
            ) from None
        except (ValueError, TypeError, KeyError, AttributeError):
            raise InvalidArgumentError(
                _ARGUMENT,
                f"cannot be {self.path}, because deploy() did not write this file. Pass another path, or delete the "
                "file",
            ) from None


def is_unchanged(deployment: Deployment, environment: Environment) -> bool:
    """Return whether a deployment is live or in progress, and its environment has not changed since its creation.

    Variables and settings take effect with the next deployment, so a change needs a new one. Without both
    times, the result is False.
    """
    created, changed = deployment.created_at, environment.updated_at
    is_current = deployment.status.is_serving or deployment.status.is_in_flight
    return is_current and created is not None and changed is not None and changed < created
