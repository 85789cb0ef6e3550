"""A FastAPI service that deploys. It has one client for the whole process, and requests do not wait for deployments.

    uvicorn --app-dir examples fastapi_service:app

`POST /deployments` starts a deployment and answers immediately. `GET /deployments` with the reference of the deployment
returns its progress. The service uses an emulator, or your organization if `CONTENTSTACK_*` variables contain
credentials. It needs fastapi and uvicorn.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Annotated, Self

from cloud import open_cloud
from fastapi import Depends, FastAPI, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from launch_async import Deployment, DeploymentRef, LaunchClient, LaunchError, NotFoundError, PreviousUpload
from launch_async.emulator import LaunchEmulator


class Progress(BaseModel):
    """The progress of a deployment."""

    deployment_uid: str
    status: str
    is_final: bool
    url: str | None

    @classmethod
    def of(cls, deployment: Deployment) -> Self:
        """Return the progress of a deployment."""
        status = deployment.status
        return cls(deployment_uid=deployment.uid, status=status, is_final=status.is_final, url=deployment.url)


def prepare(emulator: LaunchEmulator) -> None:
    emulator.add_project("night-sky", deployments=1)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncGenerator[None, None]:
    async with open_cloud(prepare) as launch:
        app.state.launch = launch
        yield


def current_client(request: Request) -> LaunchClient:
    launch: LaunchClient = request.app.state.launch
    return launch


Launch = Annotated[LaunchClient, Depends(current_client)]
app = FastAPI(title="Deployments", lifespan=lifespan)


@app.exception_handler(LaunchError)
async def report_error(_: Request, error: LaunchError) -> JSONResponse:
    """Answer with the text of the error, which contains no secret, and with the time after which to retry."""
    status = 404 if isinstance(error, NotFoundError) else 503 if error.retryable else 502
    headers = {"Retry-After": f"{error.retry_after:.0f}"} if error.retry_after else None
    return JSONResponse({"error": type(error).__name__, "message": str(error)}, status, headers)


@app.get("/environments")
async def environments(launch: Launch) -> list[dict[str, str]]:
    return [
        {"name": target.label, "project_uid": target.project_uid, "environment_uid": target.environment_uid}
        for target in await launch.fleet.select()
    ]


@app.post("/deployments", status_code=202)
async def start(project_uid: str, environment_uid: str, launch: Launch) -> Progress:
    return Progress.of(await launch.deploy(project_uid, environment_uid, PreviousUpload(), wait=False))


@app.get("/deployments")
async def progress(project_uid: str, environment_uid: str, deployment_uid: str, launch: Launch) -> Progress:
    return Progress.of(await launch.poll_once(DeploymentRef(project_uid, environment_uid, deployment_uid)))
