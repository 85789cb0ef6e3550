"""The control endpoint ``/__emulator__/...``: the methods of `LaunchEmulator` for tests in other languages.

The option ``control`` turns the endpoint on. A request to it is called an order. The body of an order is an object with
the parameters of the Python method.
"""

import hmac
import inspect
from collections import abc
from collections.abc import Callable, Mapping
from pathlib import Path
from types import GenericAlias, NoneType, UnionType
from typing import Any, Final, Optional, TypeVar, Union, cast, get_args, get_origin, get_type_hints
from urllib.parse import urlsplit

import cattrs
from aiohttp import web
from attrs import asdict
from cattrs.gen import make_dict_structure_fn

from launch_async.emulator import errors
from launch_async.emulator.builds.script import LogLine
from launch_async.emulator.control.controls import EmulatorControls
from launch_async.emulator.options import NAMES, TYPES
from launch_async.emulator.service import JsonResponse, Service, read_object
from launch_async.emulator.state import Project, Record

Known = TypeVar("Known")
HEADER: Final = "Emulator-Secret"
LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")
EVERYWHERE: Final = ("0.0.0.0", "::")  # noqa: S104 - nothing is bound here


class Control:
    """Handles the orders: the requests to ``/__emulator__/...``."""

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
        # For each order: the method, the status of the response, and a function that converts the result.
        self._ordered: dict[str, tuple[Callable[..., Any], int, Callable[[Any], Record]]] = {
            "options": (controls.change, 200, lambda _: self._options()),
            "faults": (controls.faults.add, 201, lambda _: {"faults": len(controls.faults.active)}),
            "scripts": (controls.script, 201, lambda _: {}),
            "advance": (controls.advance, 200, lambda _: self._summary()),
            "tokens": (controls.issue_token, 201, lambda token: {"access_token": token}),
            "revocations": (controls.revoke_token, 200, lambda revoked: {"revoked": revoked}),
            "apps": (controls.add_app, 201, lambda app: {"client_id": app[0], "client_secret": app[1]}),
            "codes": (controls.authorize, 201, lambda code: {"code": code}),
            "server_logs": (controls.add_server_log, 201, lambda _: {}),
            "live_log_breaks": (controls.break_live_logs, 200, lambda broken: {"broken": broken}),
            "pushes": (controls.push, 200, lambda uid: {"deployment_uid": uid}),
            "domains": (controls.add_domain, 201, lambda uid: {"uid": uid}),
            "organizations": (controls.add_organization, 201, asdict),
            "projects": (controls.add_project, 201, self._project),
            "rollbacks": (controls.roll_back, 200, lambda _: self._summary()),
            "deployments": (controls.add_deployment, 201, lambda uid: {"deployment_uid": uid}),
        }

    async def answer(self, request: web.BaseRequest, name: str) -> JsonResponse:
        """Carry out one order.

        Raises:
            Refusal: 403 without the secret or from a page of another site, 404 for an unknown order, 400 for an order
                with invalid parameters.
        """
        self._check_access(request)
        try:
            if request.method == "POST":
                carry_out, status, shown = _entry_of(self._ordered, name)
                return JsonResponse(status, shown(carry_out(**self._arguments(carry_out, await read_object(request)))))
            if request.method == "DELETE":
                _entry_of(self._cleared, name)()
                return JsonResponse(204)
            return JsonResponse(200, _entry_of(self._shown, name)())
        except cattrs.BaseValidationError as error:
            raise _invalid("; ".join(cattrs.transform_error(error))) from None
        except (TypeError, ValueError, cattrs.errors.CattrsError) as error:
            raise _invalid(str(error.args[0])) from None
        except KeyError as error:
            raise _invalid(f"The emulator does not have {error.args[0]!r}") from None

    def _arguments(self, carry_out: Callable[..., object], body: Record) -> Record:
        """Return the parameters of a method from the body of an order.

        Raises:
            ValueError: A parameter is unknown or missing.
        """
        if carry_out == self._controls.change:
            # A latency may be a function, which JSON cannot contain.
            types, needed = {**TYPES, "latency": float}, set[str]()
        else:
            parameters = inspect.signature(carry_out).parameters.values()
            hints = get_type_hints(carry_out)
            types = {one.name: hints[one.name] for one in parameters}
            needed = {one.name for one in parameters if one.default is one.empty}
        if unknown := sorted(body.keys() - types.keys()):
            raise ValueError(f"Unknown parameters: {', '.join(unknown)}. The parameters are {', '.join(types)}")
        if missing := sorted(needed - body.keys()):
            raise ValueError(f"Missing parameters: {', '.join(missing)}")
        return {name: self._read(value, types[name]) for name, value in body.items()}

    def _read(self, value: object, kind: object) -> object:
        """Convert a JSON value to the type that a method expects. In JSON, a list of pairs is written as an object."""
        if get_origin(kind) is abc.Iterable and get_origin(get_args(kind)[0]) is tuple:
            return self._converter.structure(value, dict[str, str]).items()
        return self._converter.structure(value, cast("type[object]", _json_type(kind)))

    def _check_access(self, request: web.BaseRequest) -> None:
        """Check the secret, and refuse web pages, because an order for a real build runs commands.

        Raises:
            Refusal: 403.
        """
        own = urlsplit(self._controls.url)
        origin = request.headers.get("Origin")
        if origin not in (None, f"{own.scheme}://{own.netloc}"):
            raise _forbidden(f"The emulator refuses orders from web pages. This order comes from {origin}.")
        if self._service.options.host not in EVERYWHERE and _host(request) not in {*LOOPBACK, own.hostname}:
            raise _forbidden("The Host header names another host. Send the order to the emulator's own address.")
        given = request.headers.get(HEADER, "")
        if not hmac.compare_digest(given.encode("utf-8", "replace"), self._controls.control_secret.encode()):
            raise _forbidden(
                f"The header {HEADER} is missing or wrong. Send the control_secret that the emulator printed."
            )

    def _ledger(self) -> Record:
        ledger = self._controls.ledger
        return {
            "requests": [asdict(entry) for entry in ledger.requests],
            "created": [asdict(made) for made in ledger.created],
            "purged": [asdict(purge) for purge in ledger.purged],
        }

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

    def _options(self) -> Record:
        """Return the current value of every option that JSON can contain."""
        shown = {name: getattr(self._service.options, name) for name in NAMES}
        return {
            name: str(value) if isinstance(value, Path) else value
            for name, value in shown.items()
            if name not in ("tls", "clock") and not callable(value)
        }

    def _project(self, project: Project) -> Record:
        hook_url = self._controls.deploy_hook_url
        environments = {
            environment.name: {"uid": environment.uid, "deploy_hook_url": hook_url(environment.uid)}
            for environment in project.environments.values()
        }
        return {"project_uid": project.uid, "environments": environments}


def _json_type(kind: object) -> object:
    """Return the type in JSON for the type of a parameter: a list for an iterable, a `LogLine` for a line."""
    parts = get_args(kind)
    if get_origin(kind) is abc.Iterable:
        return GenericAlias(list, (_json_type(parts[0]),))
    if get_origin(kind) not in (Union, UnionType):
        return kind
    if LogLine in parts:
        return LogLine
    (only,) = [part for part in parts if part is not NoneType]
    return Optional[_json_type(only)]  # noqa: UP045 - a type at run time, not an annotation


def _converter() -> cattrs.Converter:
    converter = cattrs.Converter(forbid_extra_keys=True)
    for primitive in (str, int, float, bool):
        converter.register_structure_hook(primitive, _unconverted)

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


def _unconverted(value: object, kind: type[object]) -> object:
    # By default, cattrs converts "5" to a number, 5 to a text, and true to the number 1.
    if kind is float and type(value) is int:
        value = float(value)
    if type(value) is not kind:
        raise ValueError(f"expected {kind.__name__}, got {value!r}")
    return value


def _entry_of(known: Mapping[str, Known], name: str) -> Known:
    """Return the entry of an order.

    Raises:
        Refusal: 404, with the names of all orders.
    """
    if name not in known:
        message = f"There is no order {name!r} for this method. The orders are {', '.join(known)}."
        raise errors.coded(404, "emulator.NO_SUCH_ORDER", message)
    return known[name]


def _host(request: web.BaseRequest) -> str | None:
    """Return the host of the Host header, without the port."""
    try:
        return urlsplit(f"//{request.headers.get('Host', '')}").hostname
    except ValueError:
        return None


def _forbidden(reason: str) -> errors.Refusal:
    return errors.coded(403, "emulator.FORBIDDEN", reason)


def _invalid(reason: str) -> errors.Refusal:
    return errors.coded(400, "emulator.INVALID", reason)
