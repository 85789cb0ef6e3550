"""The parts of an emulator, and the request that an operation handles."""

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Literal, TypeAlias

from aiohttp import web
from attrs import define, field, frozen

from launch_async.emulator import errors
from launch_async.emulator.auth.credentials import Caller, Credentials
from launch_async.emulator.builds.builds import Builds
from launch_async.emulator.builds.sites import Sites
from launch_async.emulator.clock import Clock
from launch_async.emulator.control.faults import Faults
from launch_async.emulator.ledger import Creation, Ledger, Noun
from launch_async.emulator.live_logs import LiveLogs
from launch_async.emulator.options import EmulatorOptions
from launch_async.emulator.shapes import as_object
from launch_async.emulator.state import (
    Deployment,
    Environment,
    Organization,
    Project,
    Record,
    Shown,
    State,
    Uids,
    in_order,
)
from launch_async.emulator.tape.replay import Replay
from launch_async.emulator.traffic.budget import Budget
from launch_async.emulator.traffic.latency import LatencyModel
from launch_async.emulator.uploads.storage import Storage

Access: TypeAlias = Literal["caller", "open"]
DEFAULT_LIMIT = 10
# Fields that may be null in the API document, and that the emulator does not always have.
NULLABLE: Mapping[type[object], tuple[str, ...]] = {
    Project: ("description", "cmsStackApiKey"),
    Environment: (
        "description",
        "buildCommand",
        "outputDirectory",
        "serverCommand",
        "gitBranch",
        "autoDeployOnPush",
        "passwordProtection",
    ),
    Deployment: ("previewUrl", "gitBranch", "commitHash", "commitUrl"),
}


@define(eq=False, kw_only=True)
class Service:
    """All parts of an emulator that an operation can use."""

    options: EmulatorOptions
    clock: Clock
    uids: Uids
    state: State
    builds: Builds
    credentials: Credentials
    budget: Budget
    storage: Storage
    sites: Sites
    latency: LatencyModel
    faults: Faults
    ledger: Ledger
    live_logs: LiveLogs
    replay: Replay | None = None
    changed: Callable[[], None] | None = None
    openapi: Record = field(factory=Record)

    def created(self, noun: Noun, uid: str, name: str, parent: str) -> None:
        """Record in the ledger that a resource was created."""
        self.ledger.created.append(Creation(noun, uid, name, parent))


@frozen
class JsonResponse:
    """A successful response: the status, and the JSON of the body; None for no body."""

    status: int
    body: object = None


@define(eq=False, kw_only=True)
class Call:
    """One request for a known operation."""

    service: Service
    request: web.BaseRequest
    parameters: Mapping[str, str]
    now: float
    known_caller: Caller | None

    @property
    def caller(self) -> Caller:
        """The caller. Operations that need no credentials have none.

        Raises:
            Refusal: 401, if there is none.
        """
        if self.known_caller is None:
            raise errors.unauthorized()
        return self.known_caller

    @property
    def organization(self) -> Organization:
        """Organization of the caller."""
        return self.caller.organization

    def project(self) -> Project:
        """Return the project of the path.

        Raises:
            Refusal: 404, also for a project of another organization.
        """
        project = self.organization.projects.get(self.parameters["project_uid"])
        if project is None or project.visible_at > self.now:
            raise errors.not_found("project")
        return project

    def environment(self) -> Environment:
        """Return the environment of the path.

        Raises:
            Refusal: 404.
        """
        environment = self.project().environments.get(self.parameters["environment_uid"])
        if environment is None or environment.visible_at > self.now:
            raise errors.not_found("environment")
        return environment

    def deployment(self) -> Deployment:
        """Return the deployment of the path.

        Raises:
            Refusal: 404.
        """
        deployment = self.environment().deployments.get(self.parameters["deployment_uid"])
        if deployment is None or deployment.visible_at > self.now:
            raise errors.not_found("deployment")
        return deployment

    async def json(self) -> dict[str, object]:
        """Return the body, a JSON object.

        Raises:
            Refusal: 400, for any other body.
        """
        return await read_object(self.request)

    def shown(self, item: Shown) -> Record:
        """Return the wire form of ``item``. An option decides whether unset fields are null."""
        if self.service.options.unset_fields == "omitted":
            return item.to_json()
        return {**dict.fromkeys(NULLABLE.get(type(item), ())), **item.to_json()}

    def page(self, noun: str, items: Sequence[Shown]) -> JsonResponse:
        """Return one page of a list.

        As in the service, a skip of 0 is shown as null, and the default limit is 10. An option chooses whether a limit
        of 0 returns all items or 400.

        Raises:
            Refusal: 400, for a limit or skip that is not a whole number of 0 or more.
        """
        limit = self.whole_number("limit", DEFAULT_LIMIT)
        skip = self.whole_number("skip", 0)
        options = self.service.options
        if not limit and options.zero_limit == "refused":
            raise errors.invalid_fields([("limit", "launch.LIMIT.INVALID", "limit must be at least 1.")])
        visible = in_order(items, self.now, options.list_order, late=options.listing_delay)
        cut = visible[skip : skip + limit] if limit else visible[skip:]
        pagination = {"count": len(visible), "limit": limit, "skip": skip or None}
        return JsonResponse(200, {"pagination": pagination, noun: [self.shown(item) for item in cut]})

    def whole_number(self, name: str, default: int) -> int:
        """Return a parameter of the query that is a whole number of 0 or more.

        Raises:
            Refusal: 400, for any other text.
        """
        text = self.request.query.get(name)
        if text is None:
            return default
        if not (text.isascii() and text.isdigit() and len(text) <= 4000):
            raise errors.invalid_fields([(name, f"launch.{name.upper()}.INVALID", f"{name} must be a whole number.")])
        return int(text)


OperationHandler: TypeAlias = Callable[[Call], Awaitable[JsonResponse | web.StreamResponse]]


@frozen
class Operation:
    """One operation of the API.

    Attributes:
        id: OperationId of the API document.
        method: HTTP method.
        template: Path with ``{parameters}``.
        handler: Function that handles a call.
        scope: Scope that a bearer token needs; None for any scope.
        users_only: Whether app tokens are refused.
        access: ``caller`` if the operation needs credentials, ``open`` if it does not.
        counted: Whether the operation counts against the rate limit of the organization.
    """

    id: str
    method: str
    template: str
    handler: OperationHandler
    scope: str | None = None
    users_only: bool = False
    access: Access = "caller"
    counted: bool = True


async def read_object(request: web.BaseRequest) -> Record:
    """Return the body of a request, a JSON object.

    Raises:
        Refusal: 400, for any other body.
    """
    try:
        decoded: object = json.loads(await request.read(), parse_constant=_refuse_constant)
    except web.HTTPRequestEntityTooLarge:
        raise errors.coded(400, "launch.BODY_TOO_LARGE", "The body is too large.") from None
    except (ValueError, RecursionError):
        raise errors.coded(400, "launch.MALFORMED_JSON", "The body is not valid JSON.") from None
    members = as_object(decoded)
    if members is None:
        raise errors.coded(400, "launch.MALFORMED_JSON", "The body must be a JSON object.")
    return members


def _refuse_constant(name: str) -> object:
    raise ValueError(name)
