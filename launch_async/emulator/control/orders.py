"""The control endpoint ``/__emulator__/...``: what `LaunchEmulator` offers in Python, for tests in other languages.

It is off unless asked for. What it is sent is an object with the parameters of the Python method of the same name.
"""

from collections.abc import Callable
from typing import Literal, TypeVar, cast, get_args, get_origin

import cattrs
from aiohttp import web
from attrs import asdict, field, frozen
from cattrs.gen import make_dict_structure_fn

from launch_async.emulator import errors
from launch_async.emulator.control.controls import EmulatorControls
from launch_async.emulator.control.faults import FaultKind
from launch_async.emulator.control.script import LogLine
from launch_async.emulator.credentials import MANAGE, TokenKind
from launch_async.emulator.options import RateWindow
from launch_async.emulator.service import Answer, Service, read_object
from launch_async.emulator.state import Record

Order = TypeVar("Order")


@frozen(kw_only=True)
class FaultOrder:
    """Parameters of `Faults.add`."""

    kind: FaultKind
    operation: str | None = None
    method: str | None = None
    nth: int | None = None
    times: int | None = None
    probability: float = 1.0
    seed: int | None = None
    status: int | None = None
    delay: float | None = None
    body: str | None = None
    headers: dict[str, str] = field(factory=dict[str, str])


@frozen(kw_only=True)
class ScriptOrder:
    """Parameters of `LaunchEmulator.script`."""

    outcome: str = "LIVE"
    seconds: float | None = None
    queue_seconds: float | None = None
    lines: list[LogLine] | None = None
    running_status: str = "DEPLOYING"
    times: int | None = 1
    project_uid: str | None = None
    environment_uid: str | None = None


@frozen(kw_only=True)
class BudgetOrder:
    """Parameters of `Budget.set`."""

    limit: int | None
    window: RateWindow = "sliding"
    headers: bool = False
    split: bool = False
    count_refused: bool = False


@frozen(kw_only=True)
class LatencyOrder:
    """Parameters of `LatencyModel.set`."""

    median: float
    sigma: float = 0.0
    seed: int | None = None


@frozen(kw_only=True)
class AdvanceOrder:
    """Parameters of `LaunchEmulator.advance`."""

    seconds: float


@frozen(kw_only=True)
class TokenOrder:
    """Parameters of `LaunchEmulator.issue_token`."""

    scopes: list[str] = field(factory=lambda: [MANAGE])
    kind: TokenKind = "user"
    seconds: float | None = None
    organization_uid: str | None = None


@frozen(kw_only=True)
class OrganizationOrder:
    """Parameters of `LaunchEmulator.add_organization`."""

    name: str = "Organization"
    rate_limit: int | None = -1
    second_factor: str | None = None


@frozen(kw_only=True)
class ProjectOrder:
    """Parameters of `LaunchEmulator.add_project`; ``variables`` as an object."""

    name: str
    environments: list[str] = field(factory=lambda: ["production"])
    git: bool = False
    framework_preset: str = "OTHER"
    variables: dict[str, str] = field(factory=dict[str, str])
    deployments: int = 0
    organization_uid: str | None = None


@frozen(kw_only=True)
class DeploymentOrder:
    """Parameters of `LaunchEmulator.add_deployment`."""

    environment_uid: str
    outcome: str = "LIVE"
    seconds: float | None = None
    queue_seconds: float | None = None
    lines: list[LogLine] | None = None
    running_status: str = "DEPLOYING"
    at: float | None = None


@frozen(kw_only=True)
class AppOrder:
    """Parameters of `LaunchEmulator.add_app`."""

    machine_to_machine: bool = False
    organization_uid: str | None = None


@frozen(kw_only=True)
class CodeOrder:
    """Parameters of `LaunchEmulator.authorize`."""

    client_id: str
    redirect_uri: str
    scopes: list[str] = field(factory=lambda: [MANAGE])
    code_challenge: str | None = None
    code_challenge_method: Literal["plain", "S256"] = "S256"


@frozen(kw_only=True)
class RevocationOrder:
    """Parameters of `LaunchEmulator.revoke_token`."""

    token: str = field(repr=False)


@frozen(kw_only=True)
class ServerLogOrder:
    """Parameters of `LaunchEmulator.add_server_log`."""

    deployment_uid: str
    message: str
    source: str = "server"
    at: float | None = None
    late: float = 0.0


@frozen(kw_only=True)
class PushOrder:
    """Parameters of `LaunchEmulator.push`."""

    environment_uid: str
    commit_hash: str


@frozen(kw_only=True)
class DomainOrder:
    """Parameters of `LaunchEmulator.add_domain`."""

    environment_uid: str
    url: str


class Control:
    """Answers ``/__emulator__/...``."""

    def __init__(self, bench: EmulatorControls, service: Service) -> None:
        self._bench = bench
        self._service = service
        self._converter = _converter()

    async def answer(self, request: web.BaseRequest, name: str) -> Answer:
        """Carry out one order.

        Raises:
            Refusal: 404 for an order there is none of, 400 for one that makes no sense.
        """
        try:
            if request.method == "POST":
                return self._order(name, await read_object(request))
            if request.method == "DELETE":
                return self._clear(name)
            return self._show(name)
        except cattrs.BaseValidationError as error:
            raise _nonsense("; ".join(cattrs.transform_error(error))) from None
        except ValueError as error:
            # A validator's error holds more than its text.
            raise _nonsense(str(error.args[0])) from None
        except KeyError as error:
            raise _nonsense(f"there is no {error.args[0]!r}") from None

    def _show(self, name: str) -> Answer:
        match name:
            case "state":
                return Answer(200, self._summary())
            case "ledger":
                ledger = self._bench.ledger
                told = {
                    "requests": [asdict(entry) for entry in ledger.requests],
                    "created": [asdict(made) for made in ledger.created],
                    "purged": [asdict(purge) for purge in ledger.purged],
                }
                return Answer(200, told)
            case _:
                raise _no_order()

    def _clear(self, name: str) -> Answer:
        clear: dict[str, Callable[[], None]] = {
            "ledger": self._bench.ledger.clear,
            "faults": self._bench.faults.clear,
            "scripts": self._bench.scripts.clear,
        }
        if name not in clear:
            raise _no_order()
        clear[name]()
        return Answer(204)

    def _order(self, name: str, body: Record) -> Answer:
        match name:
            case "faults":
                return self._add_fault(self._read(FaultOrder, body))
            case "scripts":
                return self._add_script(self._read(ScriptOrder, body))
            case "advance":
                self._bench.advance(self._read(AdvanceOrder, body).seconds)
                return Answer(200, self._summary())
            case "budget":
                return self._set_budget(self._read(BudgetOrder, body))
            case "latency":
                return self._set_latency(self._read(LatencyOrder, body))
            case "tokens":
                return self._issue_token(self._read(TokenOrder, body))
            case "revocations":
                return Answer(200, {"revoked": self._bench.revoke_token(self._read(RevocationOrder, body).token)})
            case "apps":
                return self._add_app(self._read(AppOrder, body))
            case "codes":
                return self._issue_code(self._read(CodeOrder, body))
            case "server_logs":
                return self._add_server_log(self._read(ServerLogOrder, body))
            case "pushes":
                order = self._read(PushOrder, body)
                return Answer(200, {"deployment_uid": self._bench.push(order.environment_uid, order.commit_hash)})
            case "domains":
                return self._add_domain(self._read(DomainOrder, body))
            case "organizations":
                return self._add_organization(self._read(OrganizationOrder, body))
            case "deployments":
                return self._add_deployment(self._read(DeploymentOrder, body))
            case "projects":
                return self._add_project(self._read(ProjectOrder, body))
            case _:
                raise _no_order()

    def _read(self, kind: type[Order], body: Record) -> Order:
        return self._converter.structure(body, kind)

    def _summary(self) -> Record:
        state = self._service.state
        statuses: dict[str, int] = {}
        for deployment in state.deployments.values():
            statuses[deployment.status] = statuses.get(deployment.status, 0) + 1
        return {
            "organizations": len(state.organizations),
            "projects": sum(len(organization.projects) for organization in state.organizations.values()),
            "environments": len(state.environments),
            "deployments": statuses,
            "now": self._service.clock.now(),
        }

    def _add_fault(self, order: FaultOrder) -> Answer:
        self._bench.faults.add(
            order.kind,
            operation=order.operation,
            method=order.method,
            nth=order.nth,
            times=order.times,
            probability=order.probability,
            seed=order.seed,
            status=order.status,
            delay=order.delay,
            body=order.body,
            headers=order.headers,
        )
        return Answer(201, {"faults": len(self._bench.faults.active)})

    def _add_script(self, order: ScriptOrder) -> Answer:
        self._bench.script(
            order.outcome,
            seconds=order.seconds,
            queue_seconds=order.queue_seconds,
            lines=order.lines,
            running_status=order.running_status,
            times=order.times,
            project_uid=order.project_uid,
            environment_uid=order.environment_uid,
        )
        return Answer(201, {})

    def _set_budget(self, order: BudgetOrder) -> Answer:
        self._bench.budget.set(
            order.limit,
            window=order.window,
            headers=order.headers,
            split=order.split,
            count_refused=order.count_refused,
        )
        return Answer(200, asdict(order))

    def _set_latency(self, order: LatencyOrder) -> Answer:
        self._bench.travel.set(order.median, sigma=order.sigma, seed=order.seed)
        return Answer(200, asdict(order))

    def _issue_token(self, order: TokenOrder) -> Answer:
        token = self._bench.issue_token(
            scopes=order.scopes, kind=order.kind, seconds=order.seconds, organization_uid=order.organization_uid
        )
        return Answer(201, {"access_token": token})

    def _add_app(self, order: AppOrder) -> Answer:
        client_id, client_secret = self._bench.add_app(
            machine_to_machine=order.machine_to_machine, organization_uid=order.organization_uid
        )
        return Answer(201, {"client_id": client_id, "client_secret": client_secret})

    def _issue_code(self, order: CodeOrder) -> Answer:
        code = self._bench.authorize(
            order.client_id,
            order.redirect_uri,
            scopes=order.scopes,
            code_challenge=order.code_challenge,
            code_challenge_method=order.code_challenge_method,
        )
        return Answer(201, {"code": code})

    def _add_server_log(self, order: ServerLogOrder) -> Answer:
        self._bench.add_server_log(
            order.deployment_uid, order.message, source=order.source, at=order.at, late=order.late
        )
        return Answer(201, {})

    def _add_domain(self, order: DomainOrder) -> Answer:
        return Answer(201, {"uid": self._bench.add_domain(order.environment_uid, order.url)})

    def _add_organization(self, order: OrganizationOrder) -> Answer:
        made = self._bench.add_organization(order.name, rate_limit=order.rate_limit, second_factor=order.second_factor)
        return Answer(201, asdict(made))

    def _add_deployment(self, order: DeploymentOrder) -> Answer:
        uid = self._bench.add_deployment(
            order.environment_uid,
            order.outcome,
            seconds=order.seconds,
            queue_seconds=order.queue_seconds,
            lines=order.lines,
            running_status=order.running_status,
            at=order.at,
        )
        return Answer(201, {"deployment_uid": uid})

    def _add_project(self, order: ProjectOrder) -> Answer:
        project = self._bench.add_project(
            order.name,
            environments=order.environments,
            git=order.git,
            framework_preset=order.framework_preset,
            variables=order.variables.items(),
            deployments=order.deployments,
            organization_uid=order.organization_uid,
        )
        environments = {
            environment.name: {"uid": environment.uid, "deploy_hook_url": self._bench.deploy_hook_url(environment.uid)}
            for environment in project.environments.values()
        }
        return Answer(201, {"project_uid": project.uid, "environments": environments})


def _converter() -> cattrs.Converter:
    converter = cattrs.Converter(forbid_extra_keys=True)
    for primitive in (str, int, float, bool):
        converter.register_structure_hook(primitive, _as_it_is)

    def each(value: object, kind: type[list[object]]) -> list[object]:
        if not isinstance(value, list):
            raise TypeError(f"expected a list, got {value!r}")
        (item,) = get_args(kind)
        return [converter.structure(one, item) for one in cast("list[object]", value)]

    converter.register_structure_hook_func(_is_list, each)
    from_object = make_dict_structure_fn(LogLine, converter)

    def line(value: str | dict[str, object], kind: type[LogLine]) -> LogLine:
        return LogLine(value) if isinstance(value, str) else from_object(value, kind)

    converter.register_structure_hook(LogLine, line)
    return converter


def _is_list(kind: object) -> bool:
    return get_origin(kind) is list


def _as_it_is(value: object, kind: type[object]) -> object:
    # cattrs would make "5" a number, 5 a text, and true the number 1.
    if kind is float and type(value) is int:
        value = float(value)
    if type(value) is not kind:
        raise ValueError(f"expected {kind.__name__}, got {value!r}")
    return value


def _no_order() -> errors.Refusal:
    return errors.coded(404, "emulator.NO_SUCH_ORDER", "The control endpoint has no such order.")


def _nonsense(reason: str) -> errors.Refusal:
    return errors.coded(400, "emulator.INVALID", reason)
