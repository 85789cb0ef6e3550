"""Signed upload URLs, and uploads to them: `File Upload` in the API reference."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final
from urllib.parse import unquote_plus, urlsplit

import attrs

from launch_async.errors import InvalidArgumentError, StorageError, TransportError
from launch_async.http.base import Request, Response
from launch_async.http.bodies.file_body import FileBody
from launch_async.http.operation import WRITE, Operation, check_callback
from launch_async.http.pipeline import Pipeline
from launch_async.models.upload import SignedUploadUrl
from launch_async.resources._resource import Resource
from launch_async.resources._signed_urls import SignedUrls
from launch_async.settings import plain_http_host
from launch_async.wire.error_bodies import read_envelope, redact
from launch_async.wire.header_values import parse_retry_after
from launch_async.wire.secret import hidden_json, kind_of

__all__ = ["LARGEST_ARCHIVE", "Uploads", "is_too_old"]

_PROJECT: Final = Operation("getProjectUploadUrl", "GET", "/projects/upload/signed_url", WRITE)
_ENVIRONMENT: Final = Operation(
    "getEnvironmentUploadUrl", "GET", "/projects/{project_uid}/environments/upload/signed_url", WRITE
)
_DEPLOYMENT: Final = Operation(
    "getDeploymentUploadUrl",
    "GET",
    "/projects/{project_uid}/environments/{environment_uid}/deployments/upload/signed_url",
    WRITE,
)
_SEND: Final = "upload"
_SMALLEST_ARCHIVE: Final = 1024
"""Minimum size of a ZIP in bytes."""
LARGEST_ARCHIVE: Final = 104_857_600
"""Maximum size of a ZIP in bytes."""
_USABLE: Final = timedelta(minutes=9)
"""Age up to which the SDK uses a signed URL, which is valid for ten minutes."""


class Uploads(Resource):
    """Signed URLs for ZIPs, and the upload itself."""

    def __init__(self, pipeline: Pipeline, *, allow_http: bool = False) -> None:
        super().__init__(pipeline)
        self._allow_http = allow_http
        self._signed = SignedUrls[SignedUploadUrl](lambda signed: signed.upload_uid or signed.upload_url)

    async def url_for_project(self) -> SignedUploadUrl:
        """Return a signed URL for the ZIP of a new project. The URL is valid for ten minutes.

        API: `getProjectUploadUrl`; scope `launch.projects:write` or `launch:manage`.
        """
        return await self._url(_PROJECT, {})

    async def url_for_environment(self, project_uid: str) -> SignedUploadUrl:
        """Return a signed URL for the ZIP of a new environment. The URL is valid for ten minutes.

        Raises:
            InvalidArgumentError: The UID is malformed.
            NotFoundError: The organization has no such project (404).

        API: `getEnvironmentUploadUrl`; scope `launch.projects:write` or `launch:manage`.
        """
        return await self._url(_ENVIRONMENT, {"project_uid": project_uid})

    async def url_for_deployment(self, project_uid: str, environment_uid: str) -> SignedUploadUrl:
        """Return a signed URL for the ZIP of a new deployment. The URL is valid for ten minutes.

        Raises:
            InvalidArgumentError: A UID is malformed.
            NotFoundError: The organization has no such environment (404).

        API: `getDeploymentUploadUrl`; scope `launch.projects:write` or `launch:manage`.
        """
        return await self._url(_DEPLOYMENT, {"project_uid": project_uid, "environment_uid": environment_uid})

    async def send(
        self,
        upload_url: SignedUploadUrl,
        file: str | os.PathLike[str],
        *,
        on_progress: Callable[[int], object] | None = None,
    ) -> None:
        """Send a ZIP to the storage, streamed from disk.

        The SDK sends no credentials to the storage, and the upload does not count against the rate limit.

        Args:
            upload_url: The signed URL from one of the other methods. Use each URL for one upload only.
            file: Path of the ZIP, which must have 1,024 bytes to 100 MiB.
            on_progress: The SDK calls it with the number of bytes sent so far, during the upload and at the end.

        Raises:
            InvalidArgumentError: The file does not exist, is too small or is too large.
            StorageError: The storage refused the file, closed the connection, or accepted no data for 120 s. Or the
                file became shorter during the upload. Or the SDK sent nothing, because the URL is more than nine
                minutes old, or uses plain http to another machine.
        """
        # Rebind the name, so that a traceback with local variables does not show a signed URL that is a plain string.
        upload_url = hidden_json(upload_url)
        _check_signed(upload_url)
        check_callback(on_progress=on_progress)
        path = Path(file)
        request = _upload_request(upload_url, FileBody(path, _checked_size(path), on_progress=on_progress))
        if is_too_old(upload_url):
            raise StorageError(
                "The signed URL is more than nine minutes old, and is valid for only ten minutes. Request a new URL",
                operation=_SEND,
                retryable=True,
            )
        if not self._allow_http and (host := plain_http_host(upload_url.upload_url)):
            raise StorageError(
                f"The signed URL uses http, so the upload to {host} would not be encrypted. To allow this, pass "
                "allow_http=True to the client",
                operation=_SEND,
            )
        try:
            response = await self._pipeline.send_file(request)
        except TransportError as error:
            # A redirect is a failure, and the SDK must not retry the upload with the same URL (FACTS §5).
            raise StorageError(
                f"The upload failed. {error.message}", operation=_SEND, retryable=error.retryable
            ) from error
        if not 200 <= response.status < 300:
            raise _refusal(response, upload_url)

    async def _url(self, operation: Operation, uids: dict[str, str]) -> SignedUploadUrl:
        # Two uploads to one URL would overwrite each other.
        signed = await self._signed.get(
            object(), lambda check: self._one(operation, SignedUploadUrl, uids, check=check)
        )
        return attrs.evolve(signed, received_at=datetime.now(UTC))


def is_too_old(upload_url: SignedUploadUrl) -> bool:
    """Return whether a signed URL is too old for an upload; the unit of `expiresIn` is not known."""
    return upload_url.received_at is not None and datetime.now(UTC) - upload_url.received_at > _USABLE


def _check_signed(upload_url: object) -> None:
    if not isinstance(upload_url, SignedUploadUrl):
        problem = f"must be a SignedUploadUrl, such as the result of url_for_project(), not {kind_of(upload_url)}"
        raise InvalidArgumentError("upload_url", problem)


def _checked_size(path: Path) -> int:
    try:
        size = path.stat().st_size
    except OSError as error:
        raise InvalidArgumentError("file", f"{str(path)!r} cannot be read: {error.strerror}") from error
    if not path.is_file():
        raise InvalidArgumentError("file", f"{str(path)!r} is not a file. To deploy a folder, call deploy()")
    if not _SMALLEST_ARCHIVE <= size <= LARGEST_ARCHIVE:
        raise InvalidArgumentError(
            "file",
            f"{str(path)!r} must have {_SMALLEST_ARCHIVE:,} to {LARGEST_ARCHIVE:,} bytes (100 MiB), not {size:,}",
            rule="reference/facts.md#5-upload-flow",
        )
    return size


def _upload_request(upload_url: SignedUploadUrl, body: FileBody) -> Request:
    """Return the upload request: a form if the signed URL has form fields, otherwise the raw bytes (FACTS §5)."""
    if upload_url.fields:
        fields = tuple((field.form_field_key, field.form_field_value) for field in upload_url.fields)
        form = attrs.evolve(body, form=True, fields=fields)
        return Request("POST", upload_url.upload_url, body=form, operation=_SEND)
    headers = {header.key: header.value for header in upload_url.headers}
    if not any(name.lower() == "content-type" and value.strip() for name, value in headers.items()):
        headers = {name: value for name, value in headers.items() if name.lower() != "content-type"}
        headers["Content-Type"] = "application/zip"
    headers = {name: value for name, value in headers.items() if name.lower() != "content-length"}
    headers["Content-Length"] = str(body.size)
    method = str(upload_url.method or "PUT")
    return Request(method, upload_url.upload_url, headers, body, operation=_SEND)


def _refusal(response: Response, upload_url: SignedUploadUrl) -> StorageError:
    query = urlsplit(upload_url.upload_url).query
    secrets = [
        upload_url.upload_url,
        query,
        *(
            value
            for pair in query.split("&")
            for value in (pair.partition("=")[2], unquote_plus(pair.partition("=")[2]))
        ),
        *(field.form_field_value for field in upload_url.fields),
        *(header.value for header in upload_url.headers),
    ]
    message = redact(read_envelope(response.body).message, [value for value in secrets if len(value) > 8])
    message = " ".join(message.split())[:300]
    retry_after = parse_retry_after(response.header("Retry-After"), date=response.header("Date"))
    later = "" if retry_after is None else f" in {retry_after:.0f} s"
    return StorageError(
        f"The storage refused the upload{f': {message}' if message else ''}. Request a new URL and send the file "
        f"again{later}",
        operation=_SEND,
        status=response.status,
        retryable=True,
        retry_after=retry_after,
    )
