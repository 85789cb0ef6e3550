"""The scratch project of a probe, which is always deleted at the end.

The probe knows the project by its UID. If the answer to the creation is lost, the probe recognizes the project by the
random name of its first environment.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from collections.abc import AsyncGenerator, Coroutine
from typing import Final

from launch_async.client import LaunchClient
from launch_async.errors import InvalidArgumentError, NotFoundError
from launch_async.http.operation import is_uid
from launch_async.http.recording import record_responses
from launch_async.probe.exchanges import Exchange, as_object
from launch_async.probe.findings import Findings
from launch_async.probe.judging import text

__all__ = ["Scratch", "scratch_project"]

_LOG: Final = logging.getLogger(__name__)
_PROJECTS_READ: Final = 100
_LOOK_UPS_S: Final = (0.0, 2.0, 4.0, 8.0, 16.0)
"""Seconds before each search for the project after the answer to its creation was lost."""


class Scratch:
    """The scratch project of one probe.

    Args:
        client: The client for look-ups and the deletion. These requests do not count as requests of the probe.
        findings: Collects the verdict about the deletion.
        name: Name of the project.

    Attributes:
        name: Name of the project.
        mark: Random name of the first environment.
        uid: UID of the project; empty before it is known.
        leftover: How to delete the project if the probe could not; empty otherwise.
    """

    def __init__(self, client: LaunchClient, findings: Findings, name: str) -> None:
        self.name: str = name
        self.mark: str = f"probe-{secrets.token_hex(8)}"
        self.uid: str = ""
        self.leftover: str = ""
        self._client = client
        self._found = findings
        self._is_sent = False

    def will_be_created(self) -> None:
        """Record that the creation is about to be sent. From now on, the project may exist."""
        self._is_sent = True

    def was_answered(self, exchange: Exchange) -> None:
        """Record the answer to the creation."""
        uid = text(as_object(exchange.member("project")), "uid")
        if exchange.is_success and is_uid(uid):
            self.uid = uid
        elif exchange.status is not None and 400 <= exchange.status < 500 and exchange.status != 408:
            self._is_sent = False

    async def check_name(self) -> None:
        """Make sure that no project has this name.

        Raises:
            InvalidArgumentError: A project of this name exists.
        """
        async for project in self._client.projects.list(limit=_PROJECTS_READ):
            if (project.name or "").strip().casefold() == self.name.strip().casefold():
                raise InvalidArgumentError(
                    "project",
                    f"A project with the name {self.name!r} already exists. The probe creates a project and deletes "
                    "it at the end, so pass a name that is not in use",
                )

    async def remove(self) -> None:
        """Delete the project. If the answer to its creation was lost, find it by its first environment."""
        if not self._is_sent:
            return
        try:
            if not self.uid:
                self.uid = await self._look_up()
            if self.uid:
                await self._delete()
        except Exception as error:
            self.leftover = (
                f"The scratch project {self.name!r} could not be deleted ({type(error).__name__}). Delete it in the "
                "console."
            )
        if self.leftover:
            # The report does not reach the caller if the probe was cancelled or failed.
            _LOG.warning("%s", self.leftover)

    async def _delete(self) -> None:
        with record_responses() as answers:
            try:
                await self._client.projects.delete(self.uid)
            except NotFoundError:
                self._found.leave_undecided("delete", "The scratch project had already been deleted.")
                return
        if answers and 200 <= answers[-1].status < 300:
            self._found.decide("delete", answers[-1].status, "The probe deleted the scratch project.")

    async def _look_up(self) -> str:
        """Return the UID of the project with the random environment name; empty if there is none."""
        for delay in _LOOK_UPS_S:
            await asyncio.sleep(delay)
            async for project in self._client.projects.list(limit=_PROJECTS_READ):
                if project.name != self.name:
                    continue
                async for environment in self._client.environments.list(project.uid):
                    if environment.name == self.mark:
                        return project.uid
        self.leftover = (
            f"The answer to the creation of the scratch project {self.name!r} was lost, and the project has not "
            "appeared. Check the console later."
        )
        return ""


@contextlib.asynccontextmanager
async def scratch_project(client: LaunchClient, findings: Findings, name: str) -> AsyncGenerator[Scratch]:
    """Provide a scratch project to a block, and delete it at the end of the block, also after an error.

    Raises:
        InvalidArgumentError: A project of this name exists; nothing was changed.
    """
    scratch = Scratch(client, findings, name)
    await scratch.check_name()
    try:
        yield scratch
    finally:
        await _to_its_end(scratch.remove())


async def _to_its_end(work: Coroutine[object, object, None]) -> None:
    """Finish some work, even if this task is cancelled in the meantime."""
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled
    task.result()
