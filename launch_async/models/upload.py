"""Signed URLs: where a ZIP is sent to, and where one is fetched from."""

from __future__ import annotations

from datetime import datetime

import attrs

from launch_async.models.base import LOCAL, SECRET, OpenEnum, WireModel


class UploadMethod(OpenEnum):
    """HTTP method of an upload.

    Attributes:
        POST: A form: its fields, and then the file.
        PUT: The raw bytes.
    """

    POST = "POST"
    PUT = "PUT"


@attrs.frozen(slots=False, kw_only=True)
class FormField(WireModel):
    """One field of a form upload, sent before the file in the given order.

    Attributes:
        form_field_key: Name of the field.
        form_field_value: Its value; a secret, never shown by `repr`.
    """

    form_field_key: str
    form_field_value: str = attrs.field(default="", repr=False, metadata=SECRET)


@attrs.frozen(slots=False, kw_only=True)
class UploadHeader(WireModel):
    """One header of a raw upload.

    Attributes:
        key: Name of the header.
        value: Its value; a secret, never shown by `repr`.
    """

    key: str
    value: str = attrs.field(default="", repr=False, metadata=SECRET)


@attrs.frozen(slots=False, kw_only=True)
class SignedUploadUrl(WireModel):
    """Where to send a ZIP (`SignedUploadUrl` in `openapi.yaml`). The URL is a secret and valid for ten minutes.

    Attributes:
        upload_url: Address at the storage service.
        upload_uid: What the call that creates a project, an environment or a deployment takes as `upload_uid`.
        method: POST for a form, PUT for the raw bytes; None where the service does not say.
        expires_in: As the service sends it, in seconds or as an epoch; do not compute with it (FACTS §11 row 7).
        fields: Form fields; empty for a raw upload.
        headers: Headers of a raw upload.
        received_at: When the client got it; ten minutes count from here.
    """

    upload_url: str = attrs.field(repr=False, metadata=SECRET)
    upload_uid: str
    method: UploadMethod | None = None
    expires_in: int | None = None
    fields: tuple[FormField, ...] = ()
    headers: tuple[UploadHeader, ...] = ()
    received_at: datetime | None = attrs.field(default=None, metadata=LOCAL)


@attrs.frozen(slots=False, kw_only=True)
class DownloadUrl(WireModel):
    """Where to fetch a deployment's ZIP (`DownloadUrl` in `openapi.yaml`). The URL is a secret.

    Attributes:
        url: Address at the storage service, under whichever name the service gave it (FACTS §11 row 3).
        expires_in: As the service sends it, in seconds or as an epoch; do not compute with it (FACTS §11 row 7).
    """

    url: str = attrs.field(repr=False, metadata=SECRET)
    expires_in: int | None = None
