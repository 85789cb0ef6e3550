"""The cost of a script with one call as a whole process, compared with aiohttp by hand and widely used clients.

The benchmark measures processor time from the start of the interpreter to its end: imports, one GET, and closing.
Modules are read from `__pycache__`. The server answers immediately.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile

from benchmarks._report import Mark, Report, Row, present, ratios
from benchmarks._service import ORGANIZATION, UID, service

AIOHTTP, SYNC, CLOUDFLARE = "aiohttp + json by hand", "launch_sync", "cloudflare (sync)"
SCRIPTS = {
    AIOHTTP: f"""
import asyncio, json, sys
import aiohttp

async def main():
    headers = {{"authtoken": "a-token", "organization_uid": "{ORGANIZATION}"}}
    url = f"{{sys.argv[1]}}/projects/{UID}"
    async with aiohttp.ClientSession() as session, session.get(url, headers=headers) as answer:
        answer.raise_for_status()
        return json.loads(await answer.read())["project"]["name"]

asyncio.run(main())
""",
    SYNC: f"""
import sys
from launch_sync import Authtoken, LaunchClient

with LaunchClient(Authtoken("a-token"), base_url=sys.argv[1], organization_uid="{ORGANIZATION}") as launch:
    launch.projects.get("{UID}")
""",
    "launch_async": f"""
import asyncio, sys
from launch_async import Authtoken, LaunchClient

async def main():
    async with LaunchClient(Authtoken("a-token"), base_url=sys.argv[1], organization_uid="{ORGANIZATION}") as launch:
        await launch.projects.get("{UID}")

asyncio.run(main())
""",
    "httpx.Client by hand": f"""
import json, sys
import httpx

headers = {{"authtoken": "a-token", "organization_uid": "{ORGANIZATION}"}}
with httpx.Client() as client:
    json.loads(client.get(f"{{sys.argv[1]}}/projects/{UID}", headers=headers).raise_for_status().content)
""",
    CLOUDFLARE: """
import sys
from cloudflare import Cloudflare

with Cloudflare(api_token="a-token", base_url=sys.argv[1]) as client:
    client.pages.projects.get("site-0", account_id="a" * 32)
""",
}


def measure(rounds: int) -> Report:
    """Run each script in every round."""
    found: dict[str, list[float]] = {name: [] for name in SCRIPTS}
    with service() as address, tempfile.TemporaryDirectory() as compiled:
        for script in SCRIPTS.values():
            milliseconds(script, address, compiled)
        for _ in range(rounds):
            for name, script in SCRIPTS.items():
                found[name].append(milliseconds(script, address, compiled))
    return Report(
        "A script with one call, processor time of the process",
        [Row(name, "ms", samples, "less", name == AIOHTTP) for name, samples in found.items()],
        [
            Mark("launch_sync / aiohttp by hand", ratios(found[SYNC], found[AIOHTTP]), 1.2, "less"),
            Mark("launch_sync / cloudflare", ratios(found[SYNC], found[CLOUDFLARE]), 0.5, "less"),
        ],
    )


def milliseconds(script: str, address: str, compiled: str) -> float:
    """Return the processor time of an interpreter that runs one script. It does not depend on other work."""
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": compiled}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", script, address], check=True, env=environment)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return 1000 * (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


if __name__ == "__main__":
    present(measure, __doc__, rounds=15)
