"""Convert every error response to an `APIError`, even if its body has an unknown format.

The service, its gateways and its storage use different formats: `errors` as a list of entries with codes, as an object
keyed by field, or both; `error_message` with `error_code`; OAuth's `error`; XML or HTML; an empty body. The functions
in this module never raise. For a response with an unreadable body, they return an error with the status.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterable, Mapping
from typing import Final, cast
from urllib.parse import quote, quote_plus

import attrs

from launch_async._text import without_escapes
from launch_async.errors import (
    APIError,
    BadGatewayError,
    BadRequestError,
    ConflictError,
    FieldError,
    ForbiddenError,
    GatewayTimeoutError,
    GitProviderError,
    InternalServerError,
    InvalidTokenError,
    NotFoundError,
    RateLimitError,
    ServerError,
    ServiceUnavailableError,
    UnauthorizedError,
)
from launch_async.wire.json_body import load_json

__all__ = ["Envelope", "error_from_response", "read_envelope", "redact"]

_BY_STATUS: Final[Mapping[int, type[APIError]]] = {
    400: BadRequestError,
    401: UnauthorizedError,
    403: ForbiddenError,
    404: NotFoundError,
    409: ConflictError,
    422: BadRequestError,
    429: RateLimitError,
    500: InternalServerError,
    502: BadGatewayError,
    503: ServiceUnavailableError,
    504: GatewayTimeoutError,
}
_MAX_TEXT_LENGTH: Final = 2000
_MAX_DEPTH: Final = 4
_REDACTED: Final = "[redacted]"
_MIN_SECRET_LENGTH: Final = 8
_SIGNED_URL: Final = re.compile(r"(https?:(?:\\?/){2}[^\s\"'<>?]+)\?[^\s\"'<>]+")
_INVALID_TOKEN: Final = "105"  # noqa: S105
_NAMING: Final = frozenset({"createProject", "createEnvironment", "updateProject", "updateEnvironment"})
"""Operations that set a name."""


@attrs.frozen
class Envelope:
    """The content of an error body.

    Attributes:
        message: The messages of the service, joined; empty if there are none.
        codes: The error codes as text, in the order of the body.
        field_errors: The errors of single fields.
        is_xml: Whether the body is an XML ``<Error>``, which the Launch API itself never sends.
    """

    message: str = ""
    codes: tuple[str, ...] = ()
    field_errors: tuple[FieldError, ...] = ()
    is_xml: bool = False


def redact(text: str, secrets: Iterable[str]) -> str:
    """Return a text without the given values, in all usual encodings, and without the queries of URLs."""
    written = {form for value in secrets if value.strip() for form in _forms(value)}
    if written:
        # One pass, longest first, because a value may be part of another value or of `[redacted]`.
        text = re.sub("|".join(map(re.escape, sorted(written, key=len, reverse=True))), _REDACTED, text)
    return _SIGNED_URL.sub(rf"\1?{_REDACTED}", text)


def _forms(value: str) -> set[str]:
    """Return the forms that a value has in JSON, URLs, HTML and plain text."""
    ascii_only, with_unicode = json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1]
    escaped = {ascii_only, with_unicode, ascii_only.replace("/", "\\/"), with_unicode.replace("/", "\\/")}
    # If a response quotes the JSON of the request in a JSON string, the value is escaped twice.
    twice = {json.dumps(text, ensure_ascii=plain)[1:-1] for text in escaped for plain in (True, False)}
    in_urls = {
        quote(value, errors="replace"),
        quote(value, safe="", errors="replace"),
        quote_plus(value, errors="replace"),
    }
    # A server that reads the body as a form turns plus signs into spaces.
    return {value, html.escape(value), " ".join(value.split()), value.replace("+", " "), *in_urls, *escaped, *twice}


def read_envelope(body: bytes, secrets: Iterable[str] = ()) -> Envelope:
    """Read an error body of any shape.

    Args:
        body: Body of the response.
        secrets: Values to redact in a body that is not JSON. The function redacts them before it removes the markup,
            because the removal could change the values.
    """
    try:
        document = load_json(body)
    except ValueError:
        text = redact(body[:65536].decode("utf-8", "replace"), secrets)
        return Envelope(_text_of_markup(text), is_xml="<Error>" in text)
    if isinstance(document, list):
        return _from_entries(document)
    if not isinstance(document, dict):
        return Envelope(document if isinstance(document, str) else "")
    entries = document.get("errors")
    listed = _from_entries(entries if isinstance(entries, list) else [entries])
    words = [_text(document.get(name)) for name in ("error_message", "error_description", "message", "error")]
    code = _code(document.get("error_code", document.get("code")))
    return Envelope(
        listed.message or next((word for word in words if word), ""),
        (*listed.codes, *([code] if code else [])),
        listed.field_errors,
    )


def _text(value: object) -> str:
    """Return a message. Some frameworks send a list of messages; the function joins them."""
    if isinstance(value, list):
        return "; ".join([word for word in cast("list[object]", value) if isinstance(word, str)])
    return value if isinstance(value, str) else ""


def _from_entries(entries: list[object] | object) -> Envelope:
    messages: list[str] = []
    codes: list[str] = []
    fields: list[FieldError] = []
    for entry in cast("list[object]", entries):
        if isinstance(entry, str):
            messages.append(entry)
        elif isinstance(entry, dict):
            _read_entry(cast("dict[str, object]", entry), messages, codes, fields)
    return Envelope("; ".join(messages), tuple(codes), tuple(fields))


def _read_entry(entry: Mapping[str, object], messages: list[str], codes: list[str], fields: list[FieldError]) -> None:
    """Read one entry: `{code, message}`, or `{field: {code, message}}` for any number of fields."""
    code, message = _code(entry.get("code")), entry.get("message")
    if code:
        codes.append(code)
    if isinstance(message, str) and message:
        named = entry.get("field")
        if isinstance(named, str):
            fields.append(FieldError(named, code, message))
        messages.append(f"{named}: {message}" if isinstance(named, str) else message)
    for field, fault in entry.items():
        is_coded = field in {"code", "message", "field"} or "code" in entry
        has_words = fault.__class__ is str or (fault.__class__ is list and message is None)
        if not _holds_objects(fault) and (is_coded or not has_words):
            continue
        for one in _field_errors(field, fault):
            fields.append(one)
            codes.extend([one.code] if one.code else [])
            messages.append(f"{one.field}: {one.message or one.code or 'refused'}")


def _field_errors(field: str, fault: object, depth: int = 0) -> list[FieldError]:
    """Return the errors of a field. Its entry is text, `{code, message}`, a list of these, or an object of fields."""
    if isinstance(fault, str):
        return [FieldError(field, "", fault)]
    if isinstance(fault, list):
        parts = cast("list[object]", fault)
        if not _holds_objects(parts):
            return [FieldError(field, "", _text(parts))]
        return [
            found for part in parts for found in _field_errors(field, part, depth + 1) if not isinstance(part, list)
        ]
    if not isinstance(fault, dict):
        return []
    details = cast("dict[str, object]", fault)
    nested = {name: part for name, part in details.items() if _holds_objects(part)}
    if not nested or depth >= _MAX_DEPTH or "code" in details or "message" in details:
        return [FieldError(field, _code(details.get("code")), _text(details.get("message")))]
    return [found for name, part in nested.items() for found in _field_errors(f"{field}.{name}", part, depth + 1)]


def _holds_objects(value: object) -> bool:
    return isinstance(value, dict) or (
        isinstance(value, list) and any(isinstance(part, dict) for part in cast("list[object]", value))
    )


def _code(value: object) -> str:
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""


def _text_of_markup(text: str) -> str:
    """Return the text of an XML or HTML body: its message or title, or else all of its text."""
    named = re.search(r"<(Message|title|h1)[^>]*>(.*?)</\1>", text, re.IGNORECASE | re.DOTALL)
    words = named.group(2) if named else re.sub(r"<(script|style).*?</\1>|<[^>]*>", " ", text, flags=re.DOTALL)
    return " ".join(words.split())


def error_from_response(
    status: int,
    body: bytes,
    *,
    operation: str,
    secrets: Iterable[str] = (),
    request_id: str | None = None,
    retry_after: float | None = None,
    region_hint: str = "",
) -> APIError:
    """Return the error for a response.

    Args:
        status: HTTP status, 400 or more.
        body: Body of the response.
        operation: Name of the operation.
        secrets: Secret values of the request, which no text of the error may contain.
        request_id: Id of the request.
        retry_after: Seconds that the service asked to wait.
        region_hint: Sentence about the region. If the service refuses the token, the advice in the error contains it.
    """
    known_secrets = tuple(secrets)
    envelope = read_envelope(body, known_secrets)
    kind = _kind(status, envelope)
    message = (
        " ".join(redact(envelope.message, known_secrets).split())[:_MAX_TEXT_LENGTH]
        or f"The service answered with status {status} and sent no error message"
    )
    # Do not redact short secrets in codes and field names: redacting a secret such as `1` would make them unreadable.
    long_secrets = [value for value in known_secrets if len(value) >= _MIN_SECRET_LENGTH]
    error = kind(
        f"{message.rstrip('.')}. {advice}" if (advice := _advice(kind, operation, envelope, region_hint)) else message,
        operation=operation,
        status=status,
        codes=[without_escapes(redact(code, long_secrets)) for code in envelope.codes],
        field_errors=[
            FieldError(
                without_escapes(redact(fault.field, long_secrets)),
                without_escapes(redact(fault.code, long_secrets)),
                without_escapes(redact(fault.message, known_secrets)),
            )
            for fault in envelope.field_errors
        ],
        request_id=request_id,
        retryable=True if status == 408 else None,
        retry_after=retry_after,
    )
    error.body = redact(body.decode("utf-8", "replace"), known_secrets)[:_MAX_TEXT_LENGTH]
    return error


def _kind(status: int, envelope: Envelope) -> type[APIError]:
    if _is_invalid_token(envelope):
        return InvalidTokenError
    if status == 401 and any(code.startswith("launch.GIT_PROVIDER.") for code in envelope.codes):
        return GitProviderError
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    return ServerError if status >= 500 else APIError


def _is_invalid_token(envelope: Envelope) -> bool:
    # The status does not count, because gateways use several statuses for an invalid token (FACTS §9, retry policy).
    words = envelope.message.lower()
    return _INVALID_TOKEN in envelope.codes or (
        "access token" in words and any(state in words for state in ("invalid", "expired", "revoked"))
    )


def _advice(kind: type[APIError], operation: str, envelope: Envelope, region_hint: str) -> str:
    if kind is InvalidTokenError:
        return f"Renew the token, or check the region: {region_hint}" if region_hint else "Renew the token"
    if envelope.is_xml and region_hint and not issubclass(kind, ServerError):
        return f"This response does not come from the Launch API. Check the region: {region_hint}"
    if kind is GitProviderError:
        return "Reconnect the Git account in the console. Your own credentials are valid"
    if kind is UnauthorizedError:
        return "Check the token, the organization UID and the region"
    if kind is RateLimitError:
        return "Other programs share the rate limit of the organization. Try again later"
    if kind is NotFoundError:
        return "Check that the UIDs are correct, and belong to the organization and the region of this client"
    if any(code.endswith("LIMIT_REACHED") for code in envelope.codes):
        return "Delete objects that you do not need, or ask Contentstack for a larger plan"
    if kind is ConflictError:
        # The vendor documents only one kind of conflict: a name that is already in use.
        if any("DUPLICATE" in code for code in envelope.codes) or (not envelope.codes and operation in _NAMING):
            return "Use another name, or use the existing object"
        return "The call conflicts with the current state. Read the state again, then decide whether to repeat the call"
    if kind is ForbiddenError:
        return (
            "Check that the token has access to the organization, and that its scopes and its kind allow this "
            "operation. Creation from Git needs a user's token, because an app (M2M) token cannot reach the Git account"
        )
    return ""
