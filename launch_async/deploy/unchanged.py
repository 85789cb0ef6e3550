"""`DeployedFiles`: a small file that remembers what was deployed where, so that the same is not deployed twice.

The service tells nothing about the content of what was uploaded (`openapi.yaml`), so the caller's file has to. It holds
UIDs and content hashes, no secret, and may be lost: then the next deployment is one too many. Pure apart from the file.
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

__all__ = ["DeployedFiles", "serves_unchanged"]

_ARGUMENT: Final = "skip_unchanged"
_VERSION: Final = 1
_writing: Final = threading.Lock()
"""Deployments to several environments may share a file."""


@attrs.frozen
class DeployedFiles:
    """What was deployed to which environment, as a JSON file says; it need not exist yet."""

    path: Path

    @classmethod
    def at(cls, path: str | os.PathLike[str]) -> DeployedFiles:
        """Return the memory at a path, whose content is checked."""
        memory = cls(Path(path))
        memory._entries()
        return memory

    def check_not_sent(self, archive: Archive) -> None:
        """Make sure that the file is not part of what is deployed, which it would change each time."""
        try:
            name = self.path.resolve().relative_to(archive.listing.folder.resolve()).as_posix()
        except ValueError:
            return
        if any(entry.path == name for entry in archive.listing.entries):
            raise InvalidArgumentError(
                _ARGUMENT, f"{self.path} would be sent, and be another one each time: list it in .launchignore"
            )

    def of(self, project_uid: str, environment_uid: str, content_hash: str) -> DeploymentRef | None:
        """Return the last deployment of an environment if it was of files of this hash; None otherwise."""
        entry = self._entries().get(environment_uid, {})
        if entry.get("project_uid") != project_uid or entry.get("content_hash") != content_hash:
            return None
        return DeploymentRef(project_uid, environment_uid, entry["deployment_uid"])

    def remember(self, deployment: Deployment, content_hash: str) -> None:
        """Write down what a deployment was made of, in place of what its environment had before."""
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
                raise InvalidArgumentError(_ARGUMENT, f"{self.path} cannot be written: {error.strerror}") from None

    def _entries(self) -> dict[str, dict[str, str]]:
        try:
            document = json.loads(self.path.read_text("utf-8"))
            if document["v"] != _VERSION:
                raise ValueError("a version of the future")
            return {
                uid: {name: str(entry[name]) for name in ("project_uid", "deployment_uid", "content_hash")}
                for uid, entry in cast("dict[str, dict[str, object]]", document["environments"]).items()
            }
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise InvalidArgumentError(_ARGUMENT, f"{self.path} cannot be read: {error.strerror}") from None
        except (ValueError, TypeError, KeyError, AttributeError):
            raise InvalidArgumentError(
                _ARGUMENT, f"{self.path} is not what deploy() writes: name another file, or delete it"
            ) from None


def serves_unchanged(deployment: Deployment, environment: Environment) -> bool:
    """Whether a deployment serves, or is about to, and its environment has not been changed since it was created.

    Variables and settings apply with the next deployment only (FACTS §4), so that a change calls for one. Where a time
    is missing, nothing is sure.
    """
    created, changed = deployment.created_at, environment.updated_at
    stands = deployment.status.is_serving or deployment.status.is_in_flight
    return stands and created is not None and changed is not None and changed < created
