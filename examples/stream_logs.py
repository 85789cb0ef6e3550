"""A FastAPI service that streams a build log to a browser, as Server-Sent Events.

    uvicorn --app-dir examples stream_logs:app

Open `/` in a browser. After a lost connection, the page reconnects automatically and continues with the next line. The
service uses an emulator, or your organization if `CONTENTSTACK_*` variables contain credentials. It needs fastapi and
uvicorn.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from cloud import open_cloud
from fastapi import FastAPI, Header, HTTPException, Request
from fastapi.responses import HTMLResponse, StreamingResponse

from launch_async import DeploymentRef, InvalidArgumentError, LaunchClient, LogCursor
from launch_async.emulator import LaunchEmulator

PAGE = """<!doctype html><title>Build log</title><pre id="log"></pre><script>
const log = document.getElementById("log"), source = new EventSource("/logs" + location.search);
source.onmessage = (event) => { log.textContent += event.data + "\\n"; };
source.addEventListener("end", (event) => { log.textContent += event.data + "\\n"; source.close(); });
</script>"""


def prepare(emulator: LaunchEmulator) -> None:
    emulator.add_project("night-sky", deployments=1)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncGenerator[None, None]:
    async with open_cloud(prepare) as launch:
        app.state.launch = launch
        yield


app = FastAPI(title="Build logs", lifespan=lifespan)


@app.get("/", response_class=HTMLResponse)
async def page() -> str:
    return PAGE


@app.get("/logs")
async def logs(
    request: Request,
    project_uid: str | None = None,
    environment_uid: str | None = None,
    deployment_uid: str | None = None,
    last_event_id: Annotated[str | None, Header()] = None,
) -> StreamingResponse:
    """Stream the log of one deployment; without UIDs, of the newest deployment of the first environment."""
    launch: LaunchClient = request.app.state.launch
    try:
        cursor = LogCursor.from_json(last_event_id) if last_event_id else LogCursor()
    except InvalidArgumentError as error:
        raise HTTPException(400, str(error)) from error
    if project_uid and environment_uid and deployment_uid:
        ref = DeploymentRef(project_uid, environment_uid, deployment_uid)
    else:
        (target, *_) = await launch.fleet.select()
        newest = await launch.deployments.list(target.project_uid, target.environment_uid, limit=1).page()
        ref = newest[0].ref
    return StreamingResponse(events(launch, ref, cursor), media_type="text/event-stream")


async def events(launch: LaunchClient, ref: DeploymentRef, cursor: LogCursor) -> AsyncIterator[str]:
    """Yield each line as one event. The id of an event is the cursor after its line, for reconnects."""
    async for line in launch.follow_logs(ref, cursor=cursor):
        data = "".join(f"data: {part}\n" for part in line.message.splitlines() or [""])
        yield f"id: {cursor.to_json()}\n{data}\n"
    deployment = await launch.deployments.get(ref)
    yield f"event: end\ndata: {deployment.status}\n\n"
