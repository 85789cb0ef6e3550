"""Signed URLs for the upload and the download of a ZIP."""

from __future__ import annotations

from datetime import datetime

import attrs

from launch_async.models.base import LOCAL, SECRET, OpenEnum, WireModel


class UploadMethod(OpenEnum):
    """HTTP method of an upload.

    Attributes:
        POST: The upload is a form: first its fields, then the file.
        PUT: The upload consists of the raw bytes.
    """

    POST = "POST"
    PUT = "PUT"


@attrs.frozen(slots=False, kw_only=True)
class FormField(WireModel):
    """One field of a form upload. The fields are sent before the file, in the order of the service.

    Attributes:
        form_field_key: Name of the field.
        form_field_value: Value of the field, a secret that `repr` never shows.
    """

    form_field_key: str
    form_field_value: str = attrs.field(default="", repr=False, metadata=SECRET)


@attrs.frozen(slots=False, kw_only=True)
class UploadHeader(WireModel):
    """One header of a raw upload.

    Attributes:
        key: Name of the header.
        value: Value of the header, a secret that `repr` never shows.
    """

    key: str
    value: str = attrs.field(default="", repr=False, metadata=SECRET)


@attrs.frozen(slots=False, kw_only=True)
class SignedUploadUrl(WireModel):
    """A signed URL to which a ZIP is uploaded (`SignedUploadUrl` in `openapi.yaml`).

    The URL is a secret. It is valid for ten minutes.

    Attributes:
        upload_url: URL at the storage service.
        upload_uid: UID of the upload. Pass it as `upload_uid` to create a project, an environment or a deployment.
        method: POST for a form, PUT for the raw bytes; None if the service does not send it.
        expires_in: Expiry as the service sends it: seconds, or a time since 1970. Use `received_at` instead.
        fields: Form fields; empty for a raw upload.
        headers: Headers of a raw upload.
        received_at: Time at which the client received the URL. The ten minutes begin at this time.
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
    """A signed URL from which the ZIP of a deployment is downloaded (`DownloadUrl` in `openapi.yaml`).

    The URL is a secret.

    Attributes:
        url: URL at the storage service. The service does not document the name of this field, so the SDK accepts
            several names.
        expires_in: Expiry as the service sends it: seconds, or a time since 1970. Do not calculate with this number.
    """

    url: str = attrs.field(repr=False, metadata=SECRET)
    expires_in: int | None = None
