"""The control endpoint ``/__emulator__/...``: what `LaunchEmulator` offers in Python, for tests in other languages.

It is off unless asked for. What it is sent is an object with the parameters of the Python method of the same name.
"""

import hmac
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, Literal, TypeVar, cast, get_args, get_origin
from urllib.parse import urlsplit

import cattrs
from aiohttp import web
from attrs import AttrsInstance, asdict, field, fields, frozen
from cattrs.gen import make_dict_structure_fn

from launch_async.emulator import errors
from launch_async.emulator.auth.credentials import MANAGE, TokenKind
from launch_async.emulator.builds.script import LogLine
from launch_async.emulator.control.controls import EmulatorControls
from launch_async.emulator.control.faults import FaultKind
from launch_async.emulator.options import NAMES, TYPES, EmulatorKeywords
from launch_async.emulator.service import Answer, Service, read_object
from launch_async.emulator.state import Record

Order = TypeVar("Order", bound=AttrsInstance)
Known = TypeVar("Known")
HEADER: Final = "Emulator-Secret"
LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")
EVERYWHERE: Final = ("0.0.0.0", "::")  # noqa: S104 - nothing is bound here


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

    def __init__(self, controls: EmulatorControls, service: Service) -> None:
        self._controls = controls
        self._service = service
        self._converter = _converter()
        self._shown: dict[str, Callable[[], Record]] = {
            "state": self._summary,
            "options": self._options,
            "ledger": self._ledger,
        }
        self._cleared: dict[str, Callable[[], None]] = {
            "ledger": controls.ledger.clear,
            "faults": controls.faults.clear,
            "scripts": controls.scripts.clear,
        }
        self._ordered: dict[str, Callable[[Record], Answer]] = {
            "options": self._change_options,
            "faults": self._reading(FaultOrder, self._add_fault),
            "scripts": self._reading(ScriptOrder, self._add_script),
            "advance": self._reading(AdvanceOrder, self._advance),
            "tokens": self._reading(TokenOrder, self._issue_token),
            "revocations": self._reading(RevocationOrder, self._revoke),
            "apps": self._reading(AppOrder, self._add_app),
            "codes": self._reading(CodeOrder, self._issue_code),
            "server_logs": self._reading(ServerLogOrder, self._add_server_log),
            "pushes": self._reading(PushOrder, self._push),
            "domains": self._reading(DomainOrder, self._add_domain),
            "organizations": self._reading(OrganizationOrder, self._add_organization),
            "projects": self._reading(ProjectOrder, self._add_project),
            "deployments": self._reading(DeploymentOrder, self._add_deployment),
        }

    async def answer(self, request: web.BaseRequest, name: str) -> Answer:
        """Carry out one order.

        Raises:
            Refusal: 403 without the secret or from a page of another site, 404 for an order there is none of, 400 for
                one that makes no sense.
        """
        self._admit(request)
        try:
            if request.method == "POST":
                return _named(self._ordered, name)(await read_object(request))
            if request.method == "DELETE":
                _named(self._cleared, name)()
                return Answer(204)
            return Answer(200, _named(self._shown, name)())
        except cattrs.BaseValidationError as error:
            raise _nonsense("; ".join(cattrs.transform_error(error))) from None
        except (TypeError, ValueError, cattrs.errors.CattrsError) as error:
            # A validator's error holds more than its text.
            raise _nonsense(str(error.args[0])) from None
        except KeyError as error:
            raise _nonsense(f"there is no {error.args[0]!r}") from None

    def _admit(self, request: web.BaseRequest) -> None:
        """Let in only who knows the secret, and no page of a browser: with real builds, orders run commands."""
        own = urlsplit(self._controls.url)
        origin = request.headers.get("Origin")
        if origin not in (None, f"{own.scheme}://{own.netloc}"):
            raise _not_admitted(f"Orders are not taken from the origin {origin}.")
        if self._service.options.host not in EVERYWHERE and _host(request) not in {*LOOPBACK, own.hostname}:
            raise _not_admitted("Orders are not taken for another host than the emulator's.")
        given = request.headers.get(HEADER, "")
        if not hmac.compare_digest(given.encode("utf-8", "replace"), self._controls.control_secret.encode()):
            raise _not_admitted(f"Orders need the header {HEADER} with the control_secret of the first line.")

    def _ledger(self) -> Record:
        ledger = self._controls.ledger
        return {
            "requests": [asdict(entry) for entry in ledger.requests],
            "created": [asdict(made) for made in ledger.created],
            "purged": [asdict(purge) for purge in ledger.purged],
        }

    def _advance(self, order: AdvanceOrder) -> Answer:
        self._controls.advance(order.seconds)
        return Answer(200, self._summary())

    def _revoke(self, order: RevocationOrder) -> Answer:
        return Answer(200, {"revoked": self._controls.revoke_token(order.token)})

    def _push(self, order: PushOrder) -> Answer:
        return Answer(200, {"deployment_uid": self._controls.push(order.environment_uid, order.commit_hash)})

    def _reading(self, kind: type[Order], carry_out: Callable[[Order], Answer]) -> Callable[[Record], Answer]:
        """Carry out an order of some kind, read from its body."""

        def read(body: Record) -> Answer:
            names = [one.name for one in fields(kind)]
            if unknown := sorted(body.keys() - set(names)):
                raise ValueError(f"there is no {', '.join(unknown)} here; there is {', '.join(names)}")
            return carry_out(self._converter.structure(body, kind))

        return read

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
        self._controls.faults.add(
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
        return Answer(201, {"faults": len(self._controls.faults.active)})

    def _add_script(self, order: ScriptOrder) -> Answer:
        self._controls.script(
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

    def _change_options(self, body: Record) -> Answer:
        # JSON cannot hold the function that a latency may be.
        types = {**TYPES, "latency": float}
        changes: Record = {
            name: self._converter.structure(value, cast("type[object]", types[name])) if name in types else value
            for name, value in body.items()
        }
        self._controls.change(**cast("EmulatorKeywords", changes))
        return Answer(200, self._options())

    def _options(self) -> Record:
        """Every option that JSON can say, as it is now."""
        shown = {name: getattr(self._service.options, name) for name in NAMES}
        return {
            name: str(value) if isinstance(value, Path) else value
            for name, value in shown.items()
            if name not in ("tls", "clock") and not callable(value)
        }

    def _issue_token(self, order: TokenOrder) -> Answer:
        token = self._controls.issue_token(
            scopes=order.scopes, kind=order.kind, seconds=order.seconds, organization_uid=order.organization_uid
        )
        return Answer(201, {"access_token": token})

    def _add_app(self, order: AppOrder) -> Answer:
        client_id, client_secret = self._controls.add_app(
            machine_to_machine=order.machine_to_machine, organization_uid=order.organization_uid
        )
        return Answer(201, {"client_id": client_id, "client_secret": client_secret})

    def _issue_code(self, order: CodeOrder) -> Answer:
        code = self._controls.authorize(
            order.client_id,
            order.redirect_uri,
            scopes=order.scopes,
            code_challenge=order.code_challenge,
            code_challenge_method=order.code_challenge_method,
        )
        return Answer(201, {"code": code})

    def _add_server_log(self, order: ServerLogOrder) -> Answer:
        self._controls.add_server_log(
            order.deployment_uid, order.message, source=order.source, at=order.at, late=order.late
        )
        return Answer(201, {})

    def _add_domain(self, order: DomainOrder) -> Answer:
        return Answer(201, {"uid": self._controls.add_domain(order.environment_uid, order.url)})

    def _add_organization(self, order: OrganizationOrder) -> Answer:
        made = self._controls.add_organization(
            order.name, rate_limit=order.rate_limit, second_factor=order.second_factor
        )
        return Answer(201, asdict(made))

    def _add_deployment(self, order: DeploymentOrder) -> Answer:
        uid = self._controls.add_deployment(
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
        project = self._controls.add_project(
            order.name,
            environments=order.environments,
            git=order.git,
            framework_preset=order.framework_preset,
            variables=order.variables.items(),
            deployments=order.deployments,
            organization_uid=order.organization_uid,
        )
        environments = {
            environment.name: {
                "uid": environment.uid,
                "deploy_hook_url": self._controls.deploy_hook_url(environment.uid),
            }
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


def _named(known: Mapping[str, Known], name: str) -> Known:
    """Return what a name stands for.

    Raises:
        Refusal: 404, with the names that there are.
    """
    if name not in known:
        told = f"There is no such order for this method; there are {', '.join(known)}."
        raise errors.coded(404, "emulator.NO_SUCH_ORDER", told)
    return known[name]


def _host(request: web.BaseRequest) -> str | None:
    """The host that a request is for, without its port."""
    try:
        return urlsplit(f"//{request.headers.get('Host', '')}").hostname
    except ValueError:
        return None


def _not_admitted(reason: str) -> errors.Refusal:
    return errors.coded(403, "emulator.FORBIDDEN", reason)


def _nonsense(reason: str) -> errors.Refusal:
    return errors.coded(400, "emulator.INVALID", reason)
