"""What can be chosen about an emulator, most of it where nobody knows how the real service behaves (FACTS §11)."""

import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Literal, TypeAlias, get_args

from attrs import field, frozen
from attrs.validators import deep_iterable, ge, gt, in_, optional

from launch_async.emulator.clock import Clock

IN_MEMORY = "emulator.localhost"
"""The host in the URLs of an emulator without a socket."""

RateWindow: TypeAlias = Literal["sliding", "fixed", "bucket"]
UploadStyle: TypeAlias = Literal["aws", "azure", "gcp", "gcp_form"]
LogBound: TypeAlias = Literal["exclusive", "inclusive"]
UploadExpiry: TypeAlias = Literal["seconds", "epoch_ms"]
ServerLogsKey: TypeAlias = Literal["logs", "serverLogs", "bare"]
DownloadKey: TypeAlias = Literal["downloadUrl", "url", "signedUrl"]
WrongRegion: TypeAlias = Literal["json", "xml"]
RefusalBody: TypeAlias = Literal["coded", "html", "empty"]
OauthPath: TypeAlias = Literal["any", "/apps-api/apps/token", "/apps-api/token", "/token"]
ScopeParameter: TypeAlias = Literal["either", "scopes", "scope"]
UpdateMethod: TypeAlias = Literal["PUT", "PATCH", "either"]
VariablesUpdate: TypeAlias = Literal["replace", "merge"]
CommitForm: TypeAlias = Literal["short", "full"]
WhileBuilding: TypeAlias = Literal["queue", "refuse", "fail"]
ListOrder: TypeAlias = Literal["newest", "oldest", "uid"]
UsageReset: TypeAlias = Literal["iso", "epoch_ms"]
UsageScope: TypeAlias = Literal["any", "launch.projects:read", "launch:manage"]
UnsetFields: TypeAlias = Literal["omitted", "null"]
RequiredSetting: TypeAlias = Literal["outputDirectory", "environmentVariables", "buildCommand"]
Latency: TypeAlias = float | Callable[[], float]


@frozen(kw_only=True)
class EmulatorOptions:
    """The settings of one emulator; `LaunchEmulator` documents each."""

    host: str = "127.0.0.1"
    port: int | None = 0
    tls: ssl.SSLContext | None = None
    rate_limit: int | None = 10
    rate_window: RateWindow = field(default="sliding", validator=in_(get_args(RateWindow)))
    rate_headers: bool = False
    split_rate: bool = False
    count_refused: bool = False
    count_deletes: bool = True
    refusal_body: RefusalBody = field(default="coded", validator=in_(get_args(RefusalBody)))
    latency: Latency = 0.0
    upload_style: UploadStyle = field(default="aws", validator=in_(get_args(UploadStyle)))
    upload_expiry: UploadExpiry = field(default="seconds", validator=in_(get_args(UploadExpiry)))
    upload_seconds: float = field(default=600.0, validator=gt(0))
    download_key: DownloadKey = field(default="downloadUrl", validator=in_(get_args(DownloadKey)))
    build: bool = False
    build_seconds: float = field(default=0.3, validator=ge(0))
    queue_seconds: float = field(default=0.0, validator=ge(0))
    create_delay: float = field(default=0.0, validator=ge(0))
    create_status: int = field(default=201, validator=in_((200, 201, 202)))
    revalidate_status: int = field(default=200, validator=in_((200, 201, 204)))
    revalidate_body: bool = True
    quota_status: int = field(default=429, validator=in_((403, 429)))
    usage_reset: UsageReset = field(default="iso", validator=in_(get_args(UsageReset)))
    usage_scope: UsageScope = field(default="any", validator=in_(get_args(UsageScope)))
    revalidation_quota: int = field(default=500, validator=ge(0))
    log_bound: LogBound = field(default="exclusive", validator=in_(get_args(LogBound)))
    server_logs_key: ServerLogsKey = field(default="logs", validator=in_(get_args(ServerLogsKey)))
    static_server_logs_fail: bool = False
    server_logs_window_status: int = field(default=400, validator=in_((400, 500)))
    log_retention: float | None = field(default=None, validator=optional(gt(0)))
    token_seconds: float = field(default=3600.0, validator=gt(0))
    oauth_path: OauthPath = field(default="any", validator=in_(get_args(OauthPath)))
    scope_parameter: ScopeParameter = field(default="either", validator=in_(get_args(ScopeParameter)))
    machine_refresh_token: bool = False
    second_factor_status: int = field(default=422, validator=in_((400, 401, 422)))
    missing_organization_status: int = field(default=403, validator=in_((401, 403)))
    check_bearer_organization: bool = False
    app_token_git_status: int = field(default=403, validator=in_((401, 403)))
    git_connected: bool = True
    git_repository_status: int = field(default=200, validator=in_((200, 501)))
    git_needs_commit: bool = False
    commit_form: CommitForm = field(default="short", validator=in_(get_args(CommitForm)))
    environment_update: UpdateMethod = field(default="PUT", validator=in_(get_args(UpdateMethod)))
    wrong_method_status: int = field(default=405, validator=in_((404, 405)))
    variables_update: VariablesUpdate = field(default="replace", validator=in_(get_args(VariablesUpdate)))
    required_settings: tuple[RequiredSetting, ...] = field(
        default=(), validator=deep_iterable(in_(get_args(RequiredSetting)))
    )
    while_building: WhileBuilding = field(default="queue", validator=in_(get_args(WhileBuilding)))
    deployments_kept: int | None = field(default=None, validator=optional(ge(0)))
    list_order: ListOrder = field(default="newest", validator=in_(get_args(ListOrder)))
    unset_fields: UnsetFields = field(default="omitted", validator=in_(get_args(UnsetFields)))
    domains: bool = False
    wrong_region: WrongRegion | None = field(default=None, validator=optional(in_(get_args(WrongRegion))))
    project_limit: int | None = field(default=None, validator=optional(ge(0)))
    environment_limit: int | None = field(default=None, validator=optional(ge(0)))
    unpacked_limit: int = field(default=512 * 1024 * 1024, validator=gt(0))
    site_listeners: int = field(default=200, validator=ge(0))
    control: bool = False
    state: Path | None = None
    seed: int | None = None
    clock: Clock | None = None

    def __attrs_post_init__(self) -> None:
        if self.port is not None and not 0 <= self.port <= 65535:
            raise ValueError(f"port must be from 0 to 65535, or None for no socket, got {self.port}")
        if self.rate_limit is not None and self.rate_limit < 1:
            raise ValueError(f"rate_limit must be at least 1, or None for no limit, got {self.rate_limit}")
