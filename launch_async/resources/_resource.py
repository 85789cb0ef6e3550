"""The base of all resources: send an operation, take the response out of its envelope, build the model."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Protocol, TypeVar, cast

import attrs

from launch_async.errors import DecodeError
from launch_async.http.base import Response
from launch_async.http.operation import Operation, is_uid
from launch_async.http.pipeline import Call, Pipeline
from launch_async.models.base import IdentifiedModel, JSONValue, RequestModel, WireModel
from launch_async.resources.pager import Pager
from launch_async.wire.documents import structure, structure_list
from launch_async.wire.json_body import load_json
from launch_async.wire.readers import Mismatch

if TYPE_CHECKING:
    from launch_async.models.page import Page
    from launch_async.resources._create.proof import Proof
    from launch_async.resources._create.reconciling import Created, CreationOptions, ReconcilingCreate
    from launch_async.resources._create.sending import SendRecord

__all__ = ["Resource"]

M = TypeVar("M", bound=WireModel)
N = TypeVar("N", bound=IdentifiedModel)
C = TypeVar("C", bound="Created")
U = TypeVar("U")
_REPEATABLE: Final = frozenset({"GET", "PUT"})
_NONE: Final[Mapping[str, str | int | None]] = MappingProxyType({})
_NO_HEADERS: Final[Mapping[str, str]] = MappingProxyType({})


class Resource:
    """Base of the resources of a client."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline

    def __repr__(self) -> str:
        return with_methods(self, self._pipeline.base_url)

    def _send(self, operation: Operation, uids: Mapping[str, str]) -> Coroutine[object, object, Response]:
        return self._pipeline.call(_call(operation, uids, None, None, None, False))

    def _read(
        self,
        operation: Operation,
        uids: Mapping[str, str],
        reader: Callable[[Response], U],
        *,
        body: RequestModel | Mapping[str, JSONValue] | None = None,
        query: Mapping[str, str | int | None] | None = None,
        headers: Mapping[str, str] = _NO_HEADERS,
        collect: Callable[[], Callable[[bytes], object]] | None = None,
    ) -> Coroutine[object, object, U]:
        """Return the result of a reader for the response. If the reader fails, the call fails.

        `collect` takes the parts of the body while they arrive; see `Call`.
        """
        call = _call(operation, uids, body, query, None, False, headers)
        if collect is not None:
            call = attrs.evolve(call, collect=collect)
        return self._pipeline.read(call, partial(undisclosed, reader))

    def _one(
        self,
        operation: Operation,
        kind: type[M],
        uids: Mapping[str, str] | None = None,
        *,
        key: str | None = None,
        body: RequestModel | Mapping[str, JSONValue] | None = None,
        query: Mapping[str, str | int | None] | None = None,
        timeout: float | None = None,
        user_only: bool = False,
        check: Callable[[M], str | None] | None = None,
        named: list[str] | None = None,
    ) -> Coroutine[object, object, M]:
        """Return the model in an operation's response, either under `key` of the envelope or as the bare object.

        `check` returns a problem if the response belongs to another request. `named` takes the UID from a response that
        cannot be read, such as a response that was cut off.
        """

        def read(response: Response) -> M:
            try:
                # The calls are nested without local variables, so that no traceback shows the response.
                if key is None:
                    model = built(operation, response, parsed(operation, response), kind)
                else:
                    model = built(
                        operation, response, member(operation, response, parsed(operation, response), key), kind, key
                    )
            except DecodeError as error:
                if named is not None and key is not None:
                    named.extend(_uids_in(response.body, key))
                raise error.with_traceback(None) from None
            if check is not None and (problem := check(model)) is not None:
                raise foreign_answer(operation, response, f"{'$' if key is None else f'$.{key}'}: {problem}")
            return model

        return self._pipeline.read(_call(operation, uids, body, query, timeout, user_only), read)

    def _once(
        self,
        operation: Operation,
        what: str,
        *,
        parent: str = "",
        request: object = None,
        proof: Proof[C],
        send: Callable[[float], Awaitable[C]],
        look_up: Callable[[], Awaitable[Sequence[C]]],
        number_of: Callable[[C], int | None] = lambda _: None,
        learn: Callable[[SendRecord], object] = lambda _: None,
        named: Sequence[str] = (),
        options: CreationOptions[C] | None = None,
    ) -> ReconcilingCreate[C]:
        """Return a creation that happens once, even if the response is lost; see `ReconcilingCreate`."""
        from launch_async.resources._create.reconciling import CreationOptions, ReconcilingCreate
        from launch_async.resources._create.sending import SendRecord

        options = options or CreationOptions(timeout=self._pipeline.timeout)
        return ReconcilingCreate(
            operation=operation.name,
            what=what,
            place=f"{self._pipeline.base_url} {self._pipeline.organization_uid} {parent} {what}",
            request=request or object(),
            proof=proof,
            send=send,
            look_up=look_up,
            number_of=number_of,
            learn=learn,
            named=named,
            clock=self._pipeline.clock,
            retry=self._pipeline.retry,
            send_timeout=self._pipeline.timeout,
            record=options.record or SendRecord(sha256=options.sha256),
            options=options,
        )

    def _list(
        self,
        operation: Operation,
        kind: type[N],
        uids: Mapping[str, str],
        key: str,
        finish: Callable[[N], N] | None = None,
        *,
        limit: int | None,
        skip: int,
        check: Callable[[N], str | None] | None = None,
        headers: Mapping[str, str] = _NO_HEADERS,
    ) -> Pager[N]:
        """Return a pager. `check` returns a problem if an item shows that the response belongs to another request."""
        from launch_async.models.page import Page

        operation.render(uids)

        async def fetch(size: int, position: int) -> Page[N]:
            # skip=0 is the default, and the service answers with null in both cases (FACTS §4).
            query = {"limit": size, "skip": position or None}

            def read(response: Response) -> Page[N]:
                document = parsed(operation, response)
                entries = member(operation, response, document, key)
                if not isinstance(entries, list):
                    raise mismatch(operation, response, [f"$.{key}: expected a list"])
                try:
                    items = structure_list(entries, kind)
                except Mismatch as error:
                    problems = error.problems
                else:
                    if check is not None and (problem := next(filter(None, map(check, items)), None)) is not None:
                        raise foreign_answer(operation, response, f"$.{key}: {problem}")
                    return Page(items if finish is None else tuple(map(finish, items)), position, _total(document))
                raise mismatch(operation, response, [f"$.{key}{problem}" for problem in problems])

            return await self._read(operation, uids, read, query=query, headers=headers)

        return Pager(fetch, limit=limit, skip=skip)


def with_methods(owner: object, place: str = "") -> str:
    """Return a repr for an object that has only methods. The repr contains the names of the methods.

    Args:
        owner: The object.
        place: URL of the API that the object calls; empty if it is not known.
    """
    methods = [name for name, value in vars(type(owner)).items() if callable(value) and not name.startswith("_")]
    return f"<{type(owner).__name__}{f' of {place}' if place else ''}: {', '.join(methods)}>"


def _call(
    operation: Operation,
    uids: Mapping[str, str] | None,
    body: RequestModel | Mapping[str, JSONValue] | None,
    query: Mapping[str, str | int | None] | None,
    timeout: float | None,
    user_only: bool,
    headers: Mapping[str, str] = _NO_HEADERS,
) -> Call:
    return Call(
        operation=operation,
        path=operation.render(uids) if uids else operation.path,
        query=query or _NONE,
        headers=headers,
        # The document is in no local variable, so that a traceback does not show its secrets.
        body=None if body is None else _document(body),
        secrets=_secrets(body) if isinstance(body, RequestModel) else (),
        timeout=timeout,
        user_only=user_only,
    )


def _document(body: RequestModel | Mapping[str, JSONValue]) -> JSONValue:
    if not isinstance(body, RequestModel):
        return cast("JSONValue", body)
    from launch_async.wire.converter import encode

    return cast("JSONValue", encode(body))


def _secrets(body: RequestModel) -> tuple[str, ...]:
    from launch_async.wire.converter import secrets_of

    return secrets_of(body)


def undisclosed(reader: Callable[[Response], U], response: Response) -> U:
    """Return the result of a reader. Remove its frames from errors, because the frames contain the response.

    Raises:
        DecodeError: The response does not have the documented format.
    """
    try:
        return reader(response)
    except DecodeError as error:
        raise error.with_traceback(None) from None


def _uids_in(body: bytes, key: str) -> list[str]:
    """Return the UID of the object under a key of an envelope that may be cut off; an empty list if there is none."""
    found = re.match(rb'\s*\{\s*"%b"\s*:\s*\{[^{}\[\]]*?"uid"\s*:\s*"([0-9a-f]{24})"' % key.encode(), body)
    return [] if found is None else [found[1].decode()]


def parsed(operation: Operation, response: Response) -> JSONValue:
    """Return the JSON document of a successful response.

    Raises:
        DecodeError: The body is empty or not JSON.
    """
    try:
        return load_json(response.body)
    except ValueError:
        problem = "is empty" if not response.body.strip() else "is not JSON"
    # Raised outside the `except` block, because the parser's error contains the response.
    raise mismatch(operation, response, [f"$: the body {problem}"])


def parsed_if_any(operation: Operation, response: Response) -> JSONValue:
    """Return the JSON document of a successful response; None for an empty body.

    Raises:
        DecodeError: The body is not JSON.
    """
    return parsed(operation, response) if response.body.strip() else None


def member(operation: Operation, response: Response, document: JSONValue, key: str) -> JSONValue:
    """Return one member of an envelope.

    Raises:
        DecodeError: The member is missing.
    """
    if not isinstance(document, dict) or key not in document:
        raise mismatch(operation, response, [f"$.{key}: the required field is missing"])
    return document[key]


def built(
    operation: Operation, response: Response, document: JSONValue, kind: type[U], place: str | int | None = None
) -> U:
    """Build a model from a document, or from the part at one place of a document.

    Raises:
        DecodeError: The document does not have the model's format.
    """
    try:
        return structure(document, kind)
    except Mismatch as error:
        problems = error.problems
    path = "$" if place is None else f"$[{place}]" if isinstance(place, int) else f"$.{place}"
    raise mismatch(operation, response, [f"{path}{problem}" for problem in problems])


def mismatch(operation: Operation, response: Response, problems: list[str]) -> DecodeError:
    """Return the error for a successful response without the documented format, and close the connection.

    The response may belong to another request, and the right response may still arrive on this connection.
    """
    if response.drop_connection is not None:
        response.drop_connection()
    return DecodeError(
        f"The response to {operation.name} does not have the documented format: {'; '.join(problems[:5])}. "
        "Check base_url and the proxies: another server may have answered",
        problems=problems,
        operation=operation.name,
        status=response.status,
        ambiguous=operation.method != "GET",
    )


def foreign_answer(operation: Operation, response: Response, problem: str) -> DecodeError:
    """Return the error for a response that belongs to another request, and close the connection."""
    if response.drop_connection is not None:
        response.drop_connection()
    error = DecodeError(
        f"The response to {operation.name} belongs to another request: {problem}. A proxy may have sent a response "
        "twice. The SDK closed the connection",
        problems=[problem],
        operation=operation.name,
        status=response.status,
        ambiguous=operation.method != "GET",
    )
    error.retryable = operation.method in _REPEATABLE
    return error


def has_uid(uid: str) -> Callable[[IdentifiedModel], str | None]:
    """Return a check that a response has the requested UID. The check ignores a UID that is not valid."""

    def check(model: IdentifiedModel) -> str | None:
        if model.uid == uid or not is_uid(model.uid):
            return None
        return f"its UID is {model.uid}, but the request was about {uid}"

    return check


def has_name(name: str) -> Callable[[_Named], str | None]:
    """Return a check that a response has the name of the object to create."""

    def check(model: _Named) -> str | None:
        if model.name is None or model.name.strip() == name.strip():
            return None
        return f"its name is {model.name!r}, but the request was about {name!r}"

    return check


class _Named(Protocol):
    @property
    def name(self) -> str | None: ...


def _total(document: JSONValue) -> int | None:
    """Return the total of a page; None if it is missing or malformed, because the items are still usable."""
    from launch_async.models.page import Pagination

    pagination = document.get("pagination") if isinstance(document, dict) else None
    try:
        total = structure(pagination, Pagination).count if pagination is not None else None
    except Mismatch:
        return None
    return total if total is not None and total >= 0 else None
