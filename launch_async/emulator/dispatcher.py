"""The steps of every request: latency, ledger, credentials, rate limit, faults, operation.

A request with a valid credential counts against the rate limit on arrival, before any other check.
"""

import asyncio
import contextlib
import json
import logging
import socket
import struct
from collections.abc import Mapping
from typing import Final, cast
from weakref import WeakKeyDictionary

from aiohttp import web

from launch_async.emulator import errors
from launch_async.emulator.auth.credentials import Caller
from launch_async.emulator.clock import http_date
from launch_async.emulator.control.faults import Fault
from launch_async.emulator.control.orders import Control
from launch_async.emulator.ledger import LedgerEntry
from launch_async.emulator.options import RefusalBody
from launch_async.emulator.routes.operations import Match, Router
from launch_async.emulator.service import Call, JsonResponse, Operation, Service
from launch_async.emulator.tape.replay import Replay, ReplayedResponse

_LOG: Final = logging.getLogger(__name__)
# Names of the two operations of storage, in the ledger and in faults.
STORAGE = ("uploadArchive", "downloadArchive")
CREDENTIAL_HEADERS = ("authtoken", "authorization", "organization_uid")
INTERNAL = ("/manage/", "/logs/")
# The operations that an emulator handles even if it replays a tape, because a tape never contains logins.
NEVER_TAPED: Final = frozenset(
    {"oauthToken", "oauthTokenAlt", "oauthTokenDevHub", "oauthIntrospect", "login", "logout", "listOrganizations"}
)
BAD_GATEWAY_PAGE = "<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>\n"
TOO_MANY_REQUESTS_PAGE = "<html><head><title>429 Too Many Requests</title></head><body></body></html>\n"


class Dispatcher:
    """Handles the requests on the main port and on the ports of the sites."""

    def __init__(self, service: Service, router: Router, control: Control | None) -> None:
        self._service = service
        self._router = router
        self._control = control
        self._idle: WeakKeyDictionary[asyncio.BaseTransport, asyncio.TimerHandle] = WeakKeyDictionary()
        self._late: set[asyncio.Task[None]] = set()

    async def stop(self) -> None:
        """Cancel all actions that faults have delayed."""
        for task in self._late:
            task.cancel()
        await asyncio.gather(*self._late, return_exceptions=True)

    async def main(self, request: web.BaseRequest) -> web.StreamResponse:
        """Handle a request on the main port."""
        self._cancel_idle_timer(request.transport)
        await self._delay()
        await _send_continue(request)
        raw_path = request.rel_url.raw_path
        head, _, rest = raw_path[1:].partition("/")
        if head == "sites":
            return self._site_on_main_port(request, rest)
        if head == "__emulator__" and self._control is not None:
            answer = await _controlled(request, self._control, rest)
            if self._service.changed is not None:
                self._service.changed()
            return answer
        if head == "storage":
            match, name = Match(None, {}), STORAGE[request.method == "GET"]
        else:
            match = self._router.match(request.method, raw_path)
            name = match.operation.id if match.operation else "unknown"
        entry = self._service.ledger.record(name, request.method, request.path, _credential_names(request))
        response = await self._respond(request, entry, match, head == "storage")
        if name == STORAGE[0]:
            self._close_when_idle(request.transport)
        if self._service.changed is not None and (request.method != "GET" or name.endswith("UploadUrl")):
            self._service.changed()
        await self._delay()
        if request.transport is None or request.transport.is_closing():
            return response
        return self._with_date(entry, response)

    async def site(self, request: web.BaseRequest) -> web.StreamResponse:
        """Handle a request on the port of a site."""
        self._service.builds.apply_due_events(self._service.clock.now())
        transport = request.transport
        port = transport.get_extra_info("sockname")[1] if transport is not None else 0
        entry = self._service.ledger.record("site", request.method, request.path, _credential_names(request))
        response = self._service.sites.answer(request, self._service.sites.on_port(port))
        return self._with_date(entry, response)

    def _site_on_main_port(self, request: web.BaseRequest, rest: str) -> web.StreamResponse:
        self._service.builds.apply_due_events(self._service.clock.now())
        uid, _, _ = rest.partition("/")
        entry = self._service.ledger.record("site", request.method, request.path, _credential_names(request))
        environment = self._service.state.environments.get(uid)
        response = self._service.sites.answer(request, environment, f"/sites/{uid}")
        return self._with_date(entry, response)

    def _close_when_idle(self, transport: asyncio.Transport | None) -> None:
        """Close the connection of an upload after some idle seconds, as real storage does."""
        if transport is not None and not transport.is_closing():
            seconds = self._service.options.storage_idle_seconds
            self._idle[transport] = asyncio.get_running_loop().call_later(seconds, transport.close)

    def _cancel_idle_timer(self, transport: asyncio.Transport | None) -> None:
        timer = None if transport is None else self._idle.pop(transport, None)
        if timer is not None:
            timer.cancel()

    def _with_date(self, entry: LedgerEntry, response: web.StreamResponse) -> web.StreamResponse:
        """Record the status, and set the Date header from the emulator's clock, which a test may have moved."""
        entry.status = response.status
        if isinstance(response, ReplayedResponse):
            return response
        response.headers["Date"] = http_date(int(self._service.clock.now()))
        return response

    async def _respond(
        self, request: web.BaseRequest, entry: LedgerEntry, match: Match, storage: bool
    ) -> web.StreamResponse:
        """Count the request, apply faults, and carry out the operation. Convert every error to an error response."""
        headers: dict[str, str] = {}
        fault: Fault | None = None
        replay = None if entry.operation in NEVER_TAPED else self._service.replay
        caller = None if storage or replay else self._identify(request, match)
        try:
            headers = self._count(entry, match, caller)
            fault = self._service.faults.pick(entry.operation, request.method)
            if fault is not None and fault.kind == "late":
                return await self._act_later(request, match, caller, fault)
            early = await _fail_before(request, fault, acts=self._service.options.failures_act)
            if early is not None:
                return early
            if replay is not None:
                response = await _replayed(request, replay)
            elif storage:
                response = await self._storage(request)
            else:
                response = await self._act(request, match, caller)
        except errors.Refusal as refusal:
            response = _refused(refusal)
        except (ConnectionError, asyncio.CancelledError):
            raise
        except web.RequestPayloadError:  # the body cannot be decompressed
            response = _refused(errors.coded(400, "launch.MALFORMED_BODY", "The body does not match its headers."))
        except Exception:
            _LOG.exception("%s failed inside the emulator. The emulator returns 500", entry.operation)
            response = _refused(errors.coded(500, "launch.INTERNAL_ERROR", "Internal error."))
        response.headers.update(headers)
        return await _fail_after(request, fault, response)

    async def _act_later(
        self, request: web.BaseRequest, match: Match, caller: Caller | errors.Refusal | None, fault: Fault
    ) -> web.Response:
        """Respond immediately, and carry out the operation after the fault's delay."""
        await request.read()

        async def act() -> None:
            await asyncio.sleep(fault.delay)
            with contextlib.suppress(errors.Refusal):
                await self._act(request, match, caller)
            if self._service.changed is not None:
                self._service.changed()

        task = asyncio.get_running_loop().create_task(act())
        self._late.add(task)
        task.add_done_callback(self._late.discard)
        return _fault_response(fault)

    def _identify(self, request: web.BaseRequest, match: Match) -> Caller | errors.Refusal | None:
        if match.operation is not None and match.operation.access == "open":
            return None
        return self._service.credentials.identify(request.headers)

    def _count(self, entry: LedgerEntry, match: Match, caller: Caller | errors.Refusal | None) -> dict[str, str]:
        """Count a request against the rate limit, and return the headers about the limit.

        Raises:
            Refusal: 429, in the form that the options choose.
        """
        if not isinstance(caller, Caller) or match.operation is None or not match.operation.counted:
            return {}
        if entry.method == "DELETE" and not self._service.options.count_deletes:
            return {}
        entry.organization = caller.organization.uid
        verdict = self._service.budget.count(caller.organization, write=entry.method not in ("GET", "HEAD"))
        if verdict is None:
            return {}
        headers = verdict.headers() if self._service.budget.headers else {}
        if not verdict.granted:
            entry.refused = True
            raise _rate_limited(self._service.options.refusal_body, headers)
        return headers

    async def _act(
        self, request: web.BaseRequest, match: Match, caller: Caller | errors.Refusal | None
    ) -> web.StreamResponse:
        operation = match.operation
        if operation is None:
            raise _no_route(request.path, match, self._service.options.wrong_method_status)
        if isinstance(caller, errors.Refusal):
            raise caller
        if caller is not None:
            _check_permission(operation, caller, self._service.options.app_token_git_status)
        _check_bodyless_delete(request)
        now = self._service.clock.now()
        self._service.builds.apply_due_events(now)
        call = Call(service=self._service, request=request, parameters=match.parameters, now=now, known_caller=caller)
        answer = await operation.handler(call)
        return _web_response(answer) if isinstance(answer, JsonResponse) else answer

    async def _storage(self, request: web.BaseRequest) -> web.StreamResponse:
        return await self._service.storage.answer(request, request.path.split("/")[2:])

    async def _delay(self) -> None:
        """Wait for the time that a request or a response takes on the network."""
        seconds = self._service.latency.draw()
        if seconds > 0:
            await asyncio.sleep(seconds)


async def _replayed(request: web.BaseRequest, replay: Replay) -> web.StreamResponse:
    """Return the response that the tape has for a request.

    If the exchange was recorded without a response, the client gets half of a response. Without any data, some HTTP
    clients would send the request again and receive the next response from the tape.
    """
    exchange = replay.next(request.method, request.rel_url.raw_path, request.query.items())
    return ReplayedResponse(exchange) if exchange.status is not None else await _truncated(request, web.Response())


async def _send_continue(request: web.BaseRequest) -> None:
    """Ask a client that expects ``100 Continue``, as curl does for large files, to send the body."""
    if request.headers.get("Expect", "").lower() == "100-continue":
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0  # the final response must not count the bytes of the interim response


async def _controlled(request: web.BaseRequest, control: Control, order: str) -> web.Response:
    """Handle an order to the emulator. Ledger, rate limit and faults do not apply to orders."""
    try:
        return _web_response(await control.answer(request, order))
    except errors.Refusal as refusal:
        return _refused(refusal)


def _web_response(answer: JsonResponse) -> web.Response:
    if answer.body is None:
        return web.Response(status=answer.status)
    body = json.dumps(answer.body).encode()
    return web.Response(status=answer.status, body=body, content_type="application/json", charset="utf-8")


def _credential_names(request: web.BaseRequest) -> tuple[str, ...]:
    return tuple(name for name in CREDENTIAL_HEADERS if name in request.headers)


def _too_many_requests(headers: Mapping[str, str]) -> errors.Refusal:
    return errors.coded(429, "launch.TOO_MANY_REQUESTS", "Too many requests.", headers=headers)


def _rate_limited(body: RefusalBody, headers: Mapping[str, str]) -> errors.Refusal:
    """Return a 429 with the body that an option chooses. The real service's body is not known."""
    if body == "coded":
        return _too_many_requests(headers)
    page = TOO_MANY_REQUESTS_PAGE if body == "html" else ""
    return errors.Refusal(429, page, content_type="text/html", headers=headers)


def _no_route(path: str, match: Match, wrong_method_status: int) -> errors.Refusal:
    if path.startswith(INTERNAL):
        message = (
            f"The emulator has no operation at {path}. The paths below /manage and /logs are an internal API of the "
            "console and the command line tools. The emulator offers only deploy hooks there. Use the public API."
        )
        return errors.coded(501, "launch.NOT_IMPLEMENTED", message)
    if match.allowed and wrong_method_status == 405:
        headers = {"Allow": ", ".join(match.allowed)}
        return errors.coded(405, "launch.METHOD_NOT_ALLOWED", "Method not allowed.", headers=headers)
    return errors.coded(404, "launch.ROUTE_NOT_FOUND", "No such route.")


def _check_permission(operation: Operation, caller: Caller, app_token_git_status: int) -> None:
    if not caller.has_scope(operation.scope):
        raise errors.forbidden(f"The token lacks the scope {operation.scope}.")
    if operation.users_only and caller.kind == "app":
        raise errors.no_git_for_apps(app_token_git_status)


def _check_bodyless_delete(request: web.BaseRequest) -> None:
    """Refuse a DELETE that declares JSON and has no body, as the service does."""
    if request.method == "DELETE" and request.content_type == "application/json" and not request.body_exists:
        raise errors.coded(400, "launch.BODY_EMPTY", "Body cannot be empty when content-type is 'application/json'.")


def _refused(refusal: errors.Refusal) -> web.Response:
    headers = {"Content-Type": f"{refusal.content_type}; charset=utf-8", **refusal.headers}
    return web.Response(status=refusal.status, body=refusal.body, headers=headers)


async def _fail_before(request: web.BaseRequest, fault: Fault | None, *, acts: bool) -> web.StreamResponse | None:
    """Return the response of a fault that replaces the operation; None if the operation must be carried out."""
    match None if fault is None else fault.kind:
        case "status_before":
            return _fault_response(cast("Fault", fault))
        case "status" if not acts:
            return _fault_response(cast("Fault", fault))
        case "html":
            return web.Response(status=502, text=BAD_GATEWAY_PAGE, content_type="text/html")
        case "retry_after":
            return _retry_later(cast("Fault", fault))
        case "reset_before":
            return _drop(request)
        case "delay":
            await asyncio.sleep(cast("Fault", fault).delay)
            return None
        case _:
            return None


async def _fail_after(
    request: web.BaseRequest, fault: Fault | None, response: web.StreamResponse
) -> web.StreamResponse:
    """Return the response, changed by a fault that applies after the server has carried out the operation."""
    match None if fault is None else fault.kind:
        case "status_after" | "status":
            return _fault_response(cast("Fault", fault))
        case "reset_after":
            return _drop(request)
        case "empty":
            return web.Response(status=200)
        case "truncate":
            return await _truncated(request, response)
        case _:
            return response


def _fault_response(fault: Fault) -> web.Response:
    body = fault.body
    if body is None:
        body = json.dumps({"errors": [{"code": "launch.FAULT", "message": "Injected fault."}], "status": fault.status})
    return web.Response(
        status=fault.status, body=body.encode(), headers={"Content-Type": "application/json", **fault.headers}
    )


def _retry_later(fault: Fault) -> web.Response:
    refusal = _too_many_requests({"Retry-After": f"{fault.delay:g}", **fault.headers})
    if fault.body is not None:
        refusal.body = fault.body.encode()
    return _refused(refusal)


def _drop(request: web.BaseRequest) -> web.StreamResponse:
    """Reset the connection; the returned response is not sent.

    A linger time of 0 s makes the operating system send a reset instead of a normal close.
    """
    transport = request.transport
    if transport is not None:
        sock = cast("socket.socket | None", transport.get_extra_info("socket"))
        if sock is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
    return web.Response()


async def _truncated(request: web.BaseRequest, response: web.StreamResponse) -> web.StreamResponse:
    """Announce the whole body, send half of it, and close the connection."""
    body = response.body if isinstance(response, web.Response) and isinstance(response.body, bytes) else b""
    cut = web.StreamResponse(status=response.status, headers={"Content-Type": response.content_type})
    cut.content_length = max(2, len(body))
    cut.force_close()
    await cut.prepare(request)
    await cut.write(body[: len(body) // 2] or b"{")
    if request.transport is not None:
        request.transport.close()
    return cut
