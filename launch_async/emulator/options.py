"""What can be chosen about an emulator, most of it where nobody knows how the real service behaves (FACTS §11)."""

import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Literal, TypeAlias

from attrs import field, frozen
from attrs.validators import ge, gt, in_, optional

RateWindow: TypeAlias = Literal["sliding", "fixed", "bucket"]
UploadStyle: TypeAlias = Literal["aws", "azure", "gcp"]
LogBound: TypeAlias = Literal["exclusive", "inclusive"]
UploadExpiry: TypeAlias = Literal["seconds", "epoch_ms"]
ServerLogsKey: TypeAlias = Literal["logs", "serverLogs", "bare"]
DownloadKey: TypeAlias = Literal["downloadUrl", "url", "signedUrl"]
WrongRegion: TypeAlias = Literal["json", "xml"]
Latency: TypeAlias = float | Callable[[], float]


@frozen(kw_only=True)
class EmulatorOptions:
    """The settings of one emulator; `LaunchEmulator` documents each."""

    host: str = "127.0.0.1"
    port: int = 0
    tls: ssl.SSLContext | None = None
    rate_limit: int | None = 10
    rate_window: RateWindow = field(default="sliding", validator=in_(("sliding", "fixed", "bucket")))
    rate_headers: bool = False
    split_rate: bool = False
    count_refused: bool = False
    latency: Latency = 0.0
    upload_style: UploadStyle = field(default="aws", validator=in_(("aws", "azure", "gcp")))
    upload_expiry: UploadExpiry = field(default="seconds", validator=in_(("seconds", "epoch_ms")))
    upload_seconds: float = field(default=600.0, validator=gt(0))
    download_key: DownloadKey = field(default="downloadUrl", validator=in_(("downloadUrl", "url", "signedUrl")))
    build: bool = False
    build_seconds: float = field(default=0.3, validator=ge(0))
    queue_seconds: float = field(default=0.0, validator=ge(0))
    create_delay: float = field(default=0.0, validator=ge(0))
    create_status: int = field(default=201, validator=in_((200, 201, 202)))
    revalidate_status: int = field(default=200, validator=in_((200, 201, 204)))
    revalidation_quota: int = field(default=500, validator=ge(0))
    log_bound: LogBound = field(default="exclusive", validator=in_(("exclusive", "inclusive")))
    server_logs_key: ServerLogsKey = field(default="logs", validator=in_(("logs", "serverLogs", "bare")))
    static_server_logs_fail: bool = False
    token_seconds: float = field(default=3600.0, validator=gt(0))
    second_factor_status: int = field(default=422, validator=in_((400, 401, 422)))
    git_connected: bool = True
    wrong_region: WrongRegion | None = field(default=None, validator=optional(in_(("json", "xml"))))
    project_limit: int | None = field(default=None, validator=optional(ge(0)))
    environment_limit: int | None = field(default=None, validator=optional(ge(0)))
    unpacked_limit: int = field(default=512 * 1024 * 1024, validator=gt(0))
    site_listeners: int = field(default=200, validator=ge(0))
    control: bool = False
    state: Path | None = None
    seed: int | None = None

    def __attrs_post_init__(self) -> None:
        if self.rate_limit is not None and self.rate_limit < 1:
            raise ValueError(f"rate_limit must be at least 1, or None for no limit, got {self.rate_limit}")
