"""A WSGI application that gunicorn loads before it forks, so that workers use a client that the master has used."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable

from launch_sync import Authtoken, LaunchClient, RateLimit

LAUNCH = LaunchClient(
    Authtoken(os.environ["EMULATOR_TOKEN"]),
    base_url=os.environ["EMULATOR_URL"],
    organization_uid=os.environ["EMULATOR_ORGANIZATION"],
    rate_limit=RateLimit(1000, per=1.0),
)
MASTER = os.getpid()
LAUNCH.projects.list().first()


def application(environ: object, start_response: Callable[[str, list[tuple[str, str]]], object]) -> Iterable[bytes]:
    """Answer with the process, the organization, and the projects that the client has found."""
    names = [project.name for project in LAUNCH.projects.list()]
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps({"master": MASTER, "worker": os.getpid(), "works": "first" in names}).encode()]
