"""Object storage of three clouds. Each signed URL is for one archive. Storage checks its signature and its expiry.

AWS accepts a multipart POST with a policy. Azure and GCP accept a raw PUT. They also store a form, but no deployment
can use the form. Storage refuses a request with a credential of Contentstack, because clients must never send it there.
"""

import asyncio
import base64
import functools
import hashlib
import hmac
import io
import json
import zipfile
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlencode

from aiohttp import BodyPartReader, web
from aiohttp.http_exceptions import BadHttpMessage

from launch_async.emulator import errors
from launch_async.emulator.clock import Clock, iso, milliseconds, parse_iso
from launch_async.emulator.options import EmulatorOptions
from launch_async.emulator.shapes import as_list, as_object
from launch_async.emulator.state import Organization, Record, State, Uids, Upload
from launch_async.emulator.uploads.unpacking import BrokenArchive, unpack

MIN_BYTES = 1024
MAX_BYTES = 104_857_600
LENGTH_RANGE = "x-goog-content-length-range"
FORM = "multipart/form-data"
CHUNK_BYTES = 256 * 1024
MAX_FIELD_BYTES = 64 * 1024
BUCKET = "launch-uploads"
SAMPLE = "sample"
# In the order of the response. The last two fields are the policy and its signature. The fields of GCP come from GCP's
# documentation of signed policy documents. It is not known whether Launch ever sends them.
POLICY_FIELDS: Mapping[str, tuple[str, ...]] = {
    "aws": (
        "bucket",
        "X-Amz-Algorithm",
        "X-Amz-Credential",
        "X-Amz-Date",
        "X-Amz-Security-Token",
        "key",
        "Policy",
        "X-Amz-Signature",
    ),
    "gcp": (
        "key",
        "x-goog-algorithm",
        "x-goog-credential",
        "x-goog-date",
        "policy",
        "x-goog-signature",
    ),
}
FORM_CLOUDS: Mapping[str, str] = {"aws": "aws", "gcp_form": "gcp"}
REFUSED_HEADERS = (
    "Authorization",
    "authtoken",
    "organization_uid",
    "x-cs-api-version",
    "x-organization-uid",
    "x-project-uid",
)


class StoredFile(web.FileResponse):
    """A response with a stored file as its body.

    Attributes:
        path: The file.
    """

    def __init__(self, path: Path, *, status: int = 200, headers: Mapping[str, str]) -> None:
        super().__init__(path, status=status, headers=headers)
        self.path: Path = path


class Storage:
    """Issues signed URLs, receives archives and returns them."""

    def __init__(self, options: EmulatorOptions, state: State, uids: Uids, clock: Clock) -> None:
        self._origin = ""
        self._options = options
        self._state = state
        self._uids = uids
        self._clock = clock
        self._folder = Path()
        self._key = uids.secret("").encode()
        self._unpacking: dict[str, asyncio.Lock] = {}

    def open(self, origin: str, folder: Path) -> None:
        """Keep archives in ``folder``, and issue URLs below ``origin``."""
        self._origin = origin
        self._folder = folder

    def new_upload(self, organization: Organization) -> Upload:
        """Return a new upload, without an archive yet."""
        if not self._origin:
            raise RuntimeError("The emulator has no folder for archives yet: start the emulator first")
        uid = self._uids.launch()
        upload = Upload(
            uid=uid,
            organization=organization,
            archive=self._folder / f"{uid}.zip",
            expires_at=self._clock.now() + self._options.upload_seconds,
        )
        self._state.add(upload)
        return upload

    def upload_target(self, upload: Upload) -> Record:
        """Return the wire form of ``SignedUploadUrl``, in the style of the chosen cloud."""
        expires_in = int(self._options.upload_seconds)
        if self._options.upload_expiry == "epoch_ms":
            expires_in = milliseconds(upload.expires_at)
        shared: Record = {"uploadUid": upload.uid, "expiresIn": expires_in}
        cloud = FORM_CLOUDS.get(self._options.upload_style)
        if cloud is not None:
            signed = self._policy(cloud, upload)
            fields = [{"formFieldKey": key, "formFieldValue": value} for key, value in signed.items()]
            url = f"{self._origin}/storage/{cloud}/{BUCKET}"
            return {"uploadUrl": url, **shared, "method": "POST", "fields": fields}
        headers = [{"key": "Content-Type", "value": "application/zip"}]
        if self._options.upload_style == "azure":
            headers.insert(0, {"key": "x-ms-blob-type", "value": "BlockBlob"})
        else:
            headers.append({"key": LENGTH_RANGE, "value": f"{MIN_BYTES},{MAX_BYTES}"})
        path = f"/storage/{self._options.upload_style}/{BUCKET}/{upload.uid}"
        url = self._signed("PUT", path, upload.expires_at)
        return {"uploadUrl": url, **shared, "method": "PUT", "fields": None, "headers": headers}

    def download_target(self, upload: Upload | None) -> Record:
        """Return the wire form of ``DownloadUrl``. Without an upload, the URL leads to a sample archive."""
        name = SAMPLE if upload is None else upload.uid
        url = self._signed("GET", f"/storage/archive/{name}", self._clock.now() + self._options.upload_seconds)
        return {self._options.download_key: url, "expiresIn": int(self._options.upload_seconds)}

    async def answer(self, request: web.BaseRequest, segments: list[str]) -> web.StreamResponse:
        """Handle a request to storage.

        Raises:
            Refusal: An error in XML, as real storage returns it.
        """
        for name in REFUSED_HEADERS:
            if name in request.headers:
                raise errors.xml(400, "InvalidArgument", f"Storage does not accept the header {name}.")
        match request.method, segments:
            case "POST", [cloud, bucket] if bucket == BUCKET and cloud in POLICY_FIELDS:
                return await self._take_form(cloud, request)
            case "PUT" | "POST", ["azure" | "gcp", bucket, uid] if bucket == BUCKET and request.content_type == FORM:
                return await self._take_body(request, uid, 201)
            case "PUT", ["azure", bucket, uid] if bucket == BUCKET:
                if request.headers.get("x-ms-blob-type") != "BlockBlob":
                    raise errors.xml(400, "MissingRequiredHeader", "x-ms-blob-type must be BlockBlob.")
                return await self._take_body(request, uid, 201)
            case "PUT", ["gcp", bucket, uid] if bucket == BUCKET:
                _check_length_range(request)
                return await self._take_body(request, uid, 200)
            case "GET", ["archive", name] if name == SAMPLE:
                self._check_signature(request)
                return web.Response(body=sample_archive(), content_type="application/zip")
            case "GET", ["archive", uid]:
                upload = self._state.uploads.get(uid)
                self._check_signature(request)
                if upload is None or not upload.received:
                    raise errors.xml(404, "NoSuchKey", "No such object.")
                return StoredFile(upload.archive, headers={"Content-Type": "application/zip"})
            case _:
                raise errors.xml(404, "NoSuchBucket", "No such bucket or method.")

    async def unpacked(self, upload: Upload) -> None:
        """Unpack an archive once, and set the folder or the problem of the upload."""
        async with self._unpacking.setdefault(upload.uid, asyncio.Lock()):
            if upload.folder is not None or upload.problem is not None:
                return
            folder = self._folder / upload.uid
            try:
                await asyncio.to_thread(unpack, upload.archive, folder, self._options.unpacked_limit)
                upload.folder = folder
            except BrokenArchive as broken:
                upload.problem = str(broken)

    def _policy(self, cloud: str, upload: Upload) -> dict[str, str]:
        date = f"{datetime.fromtimestamp(self._clock.now(), UTC):%Y%m%dT%H%M%SZ}"
        values = {
            "bucket": BUCKET,
            "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
            "X-Amz-Credential": f"EMULATOR/{date[:8]}/us-east-1/s3/aws4_request",
            "X-Amz-Date": date,
            "X-Amz-Security-Token": self._uids.secret("session"),
            "x-goog-algorithm": "GOOG4-RSA-SHA256",
            "x-goog-credential": f"emulator@example.com/{date[:8]}/auto/storage/goog4_request",
            "x-goog-date": date,
            "key": f"{upload.organization.uid}/{upload.uid}.zip",
        }
        *names, policy_name, signature_name = POLICY_FIELDS[cloud]
        fields = {name: values[name] for name in names}
        conditions: list[object] = [{name: value} for name, value in fields.items()]
        conditions.append(["content-length-range", MIN_BYTES, MAX_BYTES])
        policy = json.dumps({"expiration": iso(upload.expires_at), "conditions": conditions})
        fields[policy_name] = base64.b64encode(policy.encode()).decode()
        fields[signature_name] = self._sign(fields[policy_name])
        return fields

    async def _take_form(self, cloud: str, request: web.BaseRequest) -> web.Response:
        declared = _declared_length(request)
        if declared > MAX_BYTES + MAX_FIELD_BYTES:
            raise errors.xml(400, "EntityTooLarge", "Your proposed upload exceeds the maximum size.")
        if request.content_type != FORM:
            raise errors.xml(412, "PreconditionFailed", "The body must be multipart/form-data.")
        fields: dict[str, str] = {}
        upload: Upload | None = None
        try:
            async for part in await request.multipart():
                if not isinstance(part, BodyPartReader):
                    raise errors.xml(400, "MalformedPOSTRequest", "Nested multipart body.")
                if upload is not None:
                    raise errors.xml(400, "InvalidArgument", "The file must be the last part.")
                if part.name == "file":
                    upload = self._check_policy(cloud, fields)
                    await self._receive(upload, _part_chunks(part))
                elif part.name in fields:
                    raise errors.xml(400, "InvalidArgument", f"The field {part.name} occurs twice.")
                else:
                    fields[part.name or ""] = await _field_text(part)
        except (ValueError, BadHttpMessage) as error:
            raise errors.xml(400, "MalformedPOSTRequest", "The body is not well-formed multipart/form-data.") from error
        if upload is None:
            raise errors.xml(400, "InvalidArgument", "POST requires exactly one file upload per request.")
        upload.received, upload.is_form = True, False
        return web.Response(status=204)

    def _check_policy(self, cloud: str, fields: Mapping[str, str]) -> Upload:
        """Check the fields before the file against their policy. Their order and the type of the file do not matter."""
        *_, policy_name, signature_name = POLICY_FIELDS[cloud]
        wanted = frozenset(POLICY_FIELDS[cloud])
        if wrong := ", ".join(sorted(wanted ^ fields.keys())):
            raise errors.xml(403, "AccessDenied", f"Invalid according to Policy: fields missing or added: {wrong}")
        if not hmac.compare_digest(fields[signature_name].encode(), self._sign(fields[policy_name]).encode()):
            raise errors.xml(403, "SignatureDoesNotMatch", "The signature does not match.")
        policy = as_object(json.loads(base64.b64decode(fields[policy_name]))) or {}
        if milliseconds(self._clock.now()) >= (parse_iso(str(policy["expiration"])) or 0):
            raise errors.xml(403, "AccessDenied", "Invalid according to Policy: Policy expired.")
        for condition in as_list(policy["conditions"]) or []:
            exact = as_object(condition) or {}
            if any(fields.get(name) != value for name, value in exact.items()):
                raise errors.xml(
                    403, "AccessDenied", f"Invalid according to Policy: Policy Condition failed: {condition}"
                )
        upload = self._state.uploads.get(fields["key"].rpartition("/")[2].removesuffix(".zip"))
        if upload is None:
            raise errors.xml(404, "NoSuchKey", "No such object.")
        return upload

    async def _take_body(self, request: web.BaseRequest, uid: str, success: int) -> web.Response:
        is_form = request.content_type == FORM
        self._check_signature(request, "PUT")
        declared = _declared_length(request)
        if not is_form and request.content_type != "application/zip":
            raise errors.xml(400, "InvalidHeaderValue", "Content-Type must be application/zip.")
        if declared > MAX_BYTES:
            raise errors.xml(413, "RequestBodyTooLarge", "The request body is too large.")
        upload = self._state.uploads.get(uid)
        if upload is None:
            raise errors.xml(404, "BlobNotFound", "No such object.")
        await self._receive(upload, request.content.iter_chunked(CHUNK_BYTES))
        upload.received, upload.is_form = True, is_form
        return web.Response(status=success)

    async def _receive(self, upload: Upload, chunks: AsyncIterator[bytes]) -> None:
        """Write an archive to disk as it arrives. If its size is valid, it replaces an earlier archive."""
        partial = upload.archive.with_suffix(f".{self._uids.launch()}")
        try:
            with _create(partial) as sink:
                size = 0
                async for chunk in chunks:
                    size += len(chunk)
                    if size > MAX_BYTES:
                        raise errors.xml(
                            400, "EntityTooLarge", "Your proposed upload exceeds the maximum allowed size."
                        )
                    sink.write(chunk)
            if size < MIN_BYTES:
                raise errors.xml(
                    400, "EntityTooSmall", "Your proposed upload is smaller than the minimum allowed size."
                )
            _move(partial, upload.archive)
        finally:
            _remove(partial)
        upload.folder = upload.problem = None

    def _signed(self, method: str, path: str, expires_at: float) -> str:
        expires = str(milliseconds(expires_at))
        signature = self._sign(f"{method} {path} {expires}")
        return f"{self._origin}{path}?{urlencode({'se': expires, 'sig': signature})}"

    def _check_signature(self, request: web.BaseRequest, method: str = "GET") -> None:
        expires = request.query.get("se", "")
        expected = self._sign(f"{method} {request.path} {expires}")
        if not hmac.compare_digest(request.query.get("sig", "").encode(), expected.encode()):
            raise errors.xml(403, "SignatureDoesNotMatch", "The signature does not match.")
        if milliseconds(self._clock.now()) >= int(expires):
            raise errors.xml(403, "AccessDenied", "The signed URL has expired.")

    def _sign(self, text: str) -> str:
        return hmac.new(self._key, text.encode("utf-8", "replace"), hashlib.sha256).hexdigest()


@functools.cache
def sample_archive() -> bytes:
    """Return the sample ZIP, which is the archive of deployments that a test has added without an archive."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr(zipfile.ZipInfo("index.html"), "<!doctype html><title>A sample</title>\n" + " " * MIN_BYTES)
    return content.getvalue()


def _check_length_range(request: web.BaseRequest) -> None:
    """Check the header that a signed URL of GCP needs.

    Raises:
        Refusal: 400 without the header, 403 for another range.
    """
    given = request.headers.get(LENGTH_RANGE)
    if given is None:
        raise errors.xml(400, "MalformedSecurityHeader", f"The signed URL requires the header {LENGTH_RANGE}.")
    if given.replace(" ", "") != f"{MIN_BYTES},{MAX_BYTES}":
        raise errors.xml(403, "SignatureDoesNotMatch", f"{LENGTH_RANGE} differs from the signed value.")


def _declared_length(request: web.BaseRequest) -> int:
    if request.content_length is None:
        raise errors.xml(411, "MissingContentLength", "You must provide the Content-Length HTTP header.")
    return request.content_length


async def _part_chunks(part: BodyPartReader) -> AsyncIterator[bytes]:
    while chunk := await part.read_chunk(CHUNK_BYTES):
        yield bytes(chunk)


async def _field_text(part: BodyPartReader) -> str:
    text = bytearray()
    while chunk := await part.read_chunk():
        text += chunk
        if len(text) > MAX_FIELD_BYTES:
            raise errors.xml(400, "MaxPostPreDataLengthExceeded", "The fields before the file are too large.")
    return text.decode("utf-8", "replace")


def _create(path: Path) -> BinaryIO:
    return path.open("wb")


def _move(source: Path, target: Path) -> None:
    source.replace(target)


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)
