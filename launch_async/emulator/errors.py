"""The error responses of the service, as exceptions. The functions return the known kinds of error bodies, A to F."""

import json
from collections.abc import Mapping, Sequence
from xml.sax.saxutils import escape


class Refusal(Exception):
    """An error response. Any code that handles a request can raise it.

    Attributes:
        status: HTTP status.
        body: The encoded body.
        content_type: Media type of the body.
        headers: Further headers of the response.
    """

    def __init__(
        self,
        status: int,
        body: str,
        *,
        content_type: str = "application/json",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(status)
        self.status = status
        self.body: bytes = body.encode("utf-8", "replace")
        self.content_type = content_type
        self.headers: dict[str, str] = dict(headers or {})


def coded(status: int, code: str, message: str, *, headers: Mapping[str, str] | None = None) -> Refusal:
    """Return envelope A: ``{"errors": [{"code", "message"}], "status"}``."""
    body = {"errors": [{"code": code, "message": message}], "status": status}
    return Refusal(status, json.dumps(body), headers=headers)


def not_found(noun: str) -> Refusal:
    """Return envelope A, 404, for a project, an environment, a deployment or a domain."""
    return coded(404, f"launch.{noun.upper()}.NOT_FOUND", f"{noun.capitalize()} not found.")


def invalid_fields(problems: Sequence[tuple[str, str, str]]) -> Refusal:
    """Return envelope B: one entry for each ``(dotted field, code, message)``."""
    errors = [{field: {"code": code, "message": message}} for field, code, message in problems]
    return Refusal(400, json.dumps({"errors": errors, "status": 400}))


def unauthorized() -> Refusal:
    """Return envelope C: like A, but with a code without a prefix."""
    return coded(401, "Unauthorized", "Unauthorized")


def forbidden(message: str = "Forbidden.") -> Refusal:
    """Return envelope A, 403 launch.FORBIDDEN_RESOURCE."""
    return coded(403, "launch.FORBIDDEN_RESOURCE", message)


def no_git_for_apps(status: int) -> Refusal:
    """Return the refusal of an app token for a Git repository. An option chooses its status."""
    if status == 401:
        return coded(401, "launch.GIT_PROVIDER.UNAUTHORIZED_ACCESS", "Git account not reachable.")
    return forbidden("App tokens cannot be used with Git repositories.")


def platform(status: int, error_code: int, error_message: str, **extra: str) -> Refusal:
    """Return envelope D, which the platform's gateways send: ``{"error_message", "error_code", ...}``."""
    body: dict[str, object] = {"error_message": error_message, "error_code": error_code, "errors": [], **extra}
    return Refusal(status, json.dumps(body))


def invalid_token() -> Refusal:
    """Return envelope D, 401, error 105, which is also the response to a token of another region."""
    return platform(401, 105, "The access token is invalid or expired or revoked.")


def xml(status: int, code: str, message: str) -> Refusal:
    """Return envelope E: the XML of object storage and of a wrong host."""
    error = f"<Error><Code>{escape(code)}</Code><Message>{escape(message)}</Message></Error>"
    return Refusal(status, f'<?xml version="1.0" encoding="UTF-8"?>\n{error}', content_type="application/xml")


def oauth(status: int, error: str, description: str) -> Refusal:
    """Return envelope F: ``{"error", "error_description"}``."""
    return Refusal(status, json.dumps({"error": error, "error_description": description}))
