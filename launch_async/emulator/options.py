"""The options of an emulator. Most of them choose between behaviours, because the real service's behaviour is unknown.

Every option is defined in this module only: `EmulatorOptions` describes it, and `EmulatorKeywords` makes it a keyword
for type checkers. The arguments of `LaunchEmulator`, the command, the order ``options`` and the pytest marker are
derived from these two classes.
"""

import inspect
import os
import re
import ssl
from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias, TypedDict, get_args, get_origin, get_type_hints

import attrs
from attrs import define, field
from attrs.validators import deep_iterable, ge, gt, optional

from launch_async.emulator.clock import Clock

IN_MEMORY = "emulator.localhost"
"""Host in the URLs of an emulator without a socket."""
AT_START: Final[Mapping[str, bool]] = {"at_start": True}
"""Metadata of an option that cannot be changed while an emulator runs."""

RateWindow: TypeAlias = Literal["sliding", "fixed", "bucket"]
UploadStyle: TypeAlias = Literal["aws", "azure", "gcp", "gcp_form"]
LogBound: TypeAlias = Literal["exclusive", "inclusive"]
UploadExpiry: TypeAlias = Literal["seconds", "epoch_ms"]
ServerLogsKey: TypeAlias = Literal["logs", "serverLogs", "bare"]
DownloadKey: TypeAlias = Literal["downloadUrl", "url", "signedUrl"]
WrongRegion: TypeAlias = Literal["json", "xml"]
ZeroLimit: TypeAlias = Literal["everything", "refused"]
RefusalBody: TypeAlias = Literal["coded", "html", "empty"]
OauthPath: TypeAlias = Literal["any", "/apps-api/apps/token", "/apps-api/token", "/token"]
ScopeParameter: TypeAlias = Literal["either", "scopes", "scope"]
UpdateMethod: TypeAlias = Literal["PUT", "PATCH", "either"]
VariablesUpdate: TypeAlias = Literal["replace", "merge"]
CommitForm: TypeAlias = Literal["short", "full"]
WhileBuilding: TypeAlias = Literal["queue", "refuse", "fail"]
ListOrder: TypeAlias = Literal["newest", "oldest", "uid"]
SupersededStatus: TypeAlias = Literal["ARCHIVED", "DEPLOYED"]
UsageReset: TypeAlias = Literal["iso", "epoch_ms"]
UsageScope: TypeAlias = Literal["any", "launch.projects:read", "launch:manage"]
DomainUpdateBody: TypeAlias = Literal["empty", "domain"]
LiveLogEntries: TypeAlias = Literal["object", "list"]
LiveLogHeartbeat: TypeAlias = Literal["comment", "event"]
UnsetFields: TypeAlias = Literal["omitted", "null"]
RequiredSetting: TypeAlias = Literal["outputDirectory", "environmentVariables", "buildCommand"]
Latency: TypeAlias = float | Callable[[], float]


def _resolved(path: str | os.PathLike[str] | None) -> Path | None:
    return None if path is None else Path(path).resolve()


def _tuple(names: Iterable[RequiredSetting]) -> tuple[RequiredSetting, ...]:
    return tuple(names)


def one_of(choices: tuple[object, ...]) -> Callable[[object, "attrs.Attribute[Any]", object], None]:
    """Return a validator for a fixed choice of values. Unlike that of attrs, the text of its error is one sentence."""

    def check(_instance: object, attribute: "attrs.Attribute[Any]", value: object) -> None:
        if value not in choices:
            raise ValueError(f"{attribute.name} is {value!r}: choose {', '.join(map(str, choices))}")

    return check


def _with_validators(owner: type, fields: "list[attrs.Attribute[object]]") -> "list[attrs.Attribute[object]]":
    """Give each option with a fixed choice of values a validator."""
    return [
        one
        if one.validator or get_origin(one.type) is not Literal
        else one.evolve(validator=one_of(get_args(one.type)))
        for one in fields
    ]


@define(kw_only=True, field_transformer=_with_validators)
class EmulatorOptions:
    """The options of an emulator.

    Many options choose between behaviours, because the real service's behaviour is unknown. Their descriptions contain
    the number of the question in the table "Undocumented behaviour" on the documentation page of the emulator.

    Attributes:
        host: Address to listen on.
        port: Port to listen on. 0 chooses a free port. None opens no socket: use `LaunchEmulator.transport` instead.
        tls: TLS context for https, also for the sites; on the command line ``--tls-cert`` and ``--tls-key``.
        control: Accept orders under ``/__emulator__/``, with which other languages call methods of `LaunchEmulator`.
        build: Run the build command of an environment, as the user who runs the emulator.
        state: File for the emulator's state. The next emulator that starts with this file continues with the state.
        tape: Tape that a `Recorder` has written. The emulator then responds only from the tape.
        seed: Seed of the random UIDs, tokens and delays, which are then the same in every run.
        clock: Clock of builds, tokens and logs; by default the clock of this machine.
        rate_limit: Requests per second that an organization may send; None for no limit (question 8).
        rate_window: How requests are counted: in any second, in a second of the clock, or by a token bucket
            (question 8).
        rate_headers: Send the headers ``X-RateLimit-*``, and ``Retry-After`` with a 429 (question 8).
        split_rate: Count reads and writes separately (question 8).
        count_refused: Also count refused requests against the rate limit (question 8).
        count_deletes: Count DELETE requests against the rate limit (question 8).
        refusal_body: Body of a 429: a coded error, the page of a gateway, or nothing (question 8).
        latency: Median one-way delay in seconds, or a function that returns a delay. A request and its response each
            have a delay.
        latency_sigma: Standard deviation of the logarithm of the delays: 0.2 is a good network, 0.9 is a bad network.
        build_seconds: Length of a build without a script, in seconds.
        queue_seconds: Seconds for which a deployment is QUEUED, even if no other deployment is running.
        create_delay: Seconds after which lists show the first environment of a new project. Its deployment appears
            after twice this time.
        token_seconds: Lifetime of bearer tokens in seconds.
        upload_seconds: Lifetime of signed URLs in seconds.
        unpacked_limit: Maximum size of an unpacked archive in bytes.
        site_cold_seconds: Seconds for which a site returns 503 after a deployment has gone live.
        site_stale_seconds: Seconds for which a site still shows the previous deployment after a new one has gone live.
        site_listeners: Number of environments that get a separate port. Further environments get a path on the main
            port.
        revalidation_quota: Maximum number of revalidations per organization and day.
        project_limit: Maximum number of projects of an organization; None for no limit (question 30).
        environment_limit: Maximum number of environments of a project; None for no limit (question 30).
        create_status: Status of environment and deployment creation: 200, 201 or 202 (question 1).
        revalidate_status: Status of revalidations: 200, 201 or 204 (question 1).
        revalidate_body: Send ``{}`` as the body of responses to revalidations (question 2).
        download_key: Field name of the URL in the response to the download operation (question 3).
        server_logs_key: Field name of the list of server logs. ``bare`` sends the list without an object around it
            (question 4).
        server_logs_window_status: Status if a request for server logs lacks an end of the time window: 400 or 500
            (question 5).
        static_server_logs_fail: Return 500 for requests for the server logs of a static site (question 5).
        log_bound: Whether ``timestamp`` excludes or includes the lines at that instant (question 6).
        upload_expiry: Form of ``expiresIn``: seconds, or the time in milliseconds since 1970 (question 7).
        oauth_path: The only path that issues tokens; the other two return 404. ``any`` accepts all three (question 9).
        scope_parameter: Name of the parameter for scopes in token requests. ``either`` accepts both names
            (question 10).
        machine_refresh_token: Also issue refresh tokens to M2M apps (question 11).
        check_bearer_organization: Refuse a bearer token if ``organization_uid`` names another organization
            (question 12).
        missing_organization_status: Status for an authtoken without ``organization_uid``: 403 or 401 (question 13).
        app_token_git_status: Status if an app token creates something from Git: 403 ``launch.FORBIDDEN_RESOURCE``, or
            401 ``launch.GIT_PROVIDER.UNAUTHORIZED_ACCESS`` (question 14).
        git_repository_status: Status of the undocumented PATCH of a project's repository: 200 with the body of the
            request, or 501 (question 15).
        environment_update: Method that changes an environment (question 16).
        wrong_method_status: Status for a method that a path does not have: 405 or 404 (question 16).
        variables_update: Replace the old variables with those of an update, or merge both by key (question 17).
        required_settings: Additional fields that a new environment must have, under their wire names (question 18).
        commit_form: Accepted commit hashes: ``short`` for seven hex digits or more, ``full`` for all 40 digits
            (question 19).
        git_needs_commit: Refuse a deployment of a Git project without a commit hash (question 19).
        while_building: Effect of a new deployment while another deployment is building: ``queue`` lets the new one
            wait, ``refuse`` returns 400, and ``fail`` makes the running one FAILED (question 20).
        superseded_status: Status of the LIVE deployment after another one has gone live (question 21).
        rollback_retention: Number of the newest superseded deployments to which the console can roll back. Launch's
            plans have 1 (Free), 3 (Self-Serve) and 5 (Enterprise) (question 21).
        list_order: Order of lists: newest first, oldest first, or by UID (question 22).
        usage_reset: Form of ``usageReset``: an ISO date, or the time in milliseconds since 1970 (question 23).
        usage_scope: Scope that the usage operation requires (question 23).
        quota_status: Status of a revalidation beyond the quota: 429 or 403 (question 24).
        unset_fields: Leave out unset fields, or send them as null (question 26).
        domains: Offer the operations on domains: list, update and recheck. The recheck is not a public operation
            (question 27).
        domain_header: Require ``x-project-uid`` for operations on domains, as in an older example of the vendor
            (question 27).
        domain_update_body: Body of the response to an update of a domain: ``{}``, or the domain (question 27).
        dns_records_key: Name of the field of ``domainInfo`` that contains DNS records; None sends no records
            (question 27).
        upload_style: Cloud that stores the uploads; ``gcp_form`` is the multipart form of GCP (question 28).
        storage_idle_seconds: Seconds after which storage closes an idle connection that was used for an upload.
        zero_limit: Response to ``limit=0`` in a listing: all items, or 400 (question 32).
        build_log_lines: Maximum number of build log lines in a response, which then contains the newest lines; None for
            all lines (question 33).
        failures_act: Let the server act before a fault of the kind ``status`` (question 34).
        listing_delay: Seconds after which lists show a new project, environment or deployment (question 35).
        log_retention: Seconds after which log lines disappear; None keeps them permanently (question 29).
        live_logs_status: Status of the live server log: 200, or 404, 405 or 501 for a service without live logs
            (question 31).
        live_log_event: Type of the events with log lines; an empty text sends no type (question 31).
        live_log_entries: Send each line as an object, or all lines that are due as a list (question 31).
        live_log_heartbeat: Send heartbeats as comments or as events (question 31).
        live_log_heartbeat_seconds: Seconds between heartbeats. The first heartbeat is sent immediately (question 31).
        live_log_cap: Seconds after which a session ends (question 31).
        live_log_resume: Number the lines, and continue after ``Last-Event-ID`` (question 31).
        live_log_delay: Seconds after which a line reaches the live log (question 31).
        second_factor_status: Status of a login that requires a second factor: 400, 401 or 422.
        wrong_region: Refuse every credential as a credential of another region, in JSON (error 105) or in XML.
        git_connected: Give the organizations a usable Git connection.

    Raises:
        ValueError: An option is out of its range.
    """

    host: str = field(default="127.0.0.1", metadata=AT_START)
    port: int | None = field(default=0, metadata=AT_START)
    tls: ssl.SSLContext | None = field(default=None, metadata=AT_START)
    control: bool = field(default=False, metadata=AT_START)
    build: bool = field(default=False, metadata=AT_START)
    state: Path | None = field(default=None, converter=_resolved, metadata=AT_START)
    tape: Path | None = field(default=None, converter=_resolved, metadata=AT_START)
    seed: int | None = field(default=None, metadata=AT_START)
    clock: Clock | None = field(default=None, metadata=AT_START)
    rate_limit: int | None = 10
    rate_window: RateWindow = "sliding"
    rate_headers: bool = False
    split_rate: bool = False
    count_refused: bool = False
    count_deletes: bool = True
    refusal_body: RefusalBody = "coded"
    latency: Latency = 0.0
    latency_sigma: float = field(default=0.0, validator=ge(0.0))
    build_seconds: float = field(default=0.3, validator=ge(0.0))
    queue_seconds: float = field(default=0.0, validator=ge(0.0))
    create_delay: float = field(default=0.0, validator=ge(0.0))
    token_seconds: float = field(default=3600.0, validator=gt(0))
    upload_seconds: float = field(default=600.0, validator=gt(0))
    unpacked_limit: int = field(default=512 * 1024 * 1024, validator=gt(0))
    site_cold_seconds: float = field(default=0.0, validator=ge(0.0))
    site_stale_seconds: float = field(default=0.0, validator=ge(0.0))
    site_listeners: int = field(default=200, validator=ge(0))
    revalidation_quota: int = field(default=500, validator=ge(0))
    project_limit: int | None = field(default=None, validator=optional(ge(0)))
    environment_limit: int | None = field(default=None, validator=optional(ge(0)))
    create_status: int = field(default=201, validator=one_of((200, 201, 202)))
    revalidate_status: int = field(default=200, validator=one_of((200, 201, 204)))
    revalidate_body: bool = True
    download_key: DownloadKey = "downloadUrl"
    server_logs_key: ServerLogsKey = "logs"
    server_logs_window_status: int = field(default=400, validator=one_of((400, 500)))
    static_server_logs_fail: bool = False
    log_bound: LogBound = "exclusive"
    upload_expiry: UploadExpiry = "seconds"
    oauth_path: OauthPath = field(default="any", metadata=AT_START)
    scope_parameter: ScopeParameter = "either"
    machine_refresh_token: bool = False
    check_bearer_organization: bool = False
    missing_organization_status: int = field(default=403, validator=one_of((401, 403)))
    app_token_git_status: int = field(default=403, validator=one_of((401, 403)))
    git_repository_status: int = field(default=200, validator=one_of((200, 501)))
    environment_update: UpdateMethod = field(default="PUT", metadata=AT_START)
    wrong_method_status: int = field(default=405, validator=one_of((404, 405)))
    variables_update: VariablesUpdate = "replace"
    required_settings: tuple[RequiredSetting, ...] = field(
        default=(), converter=_tuple, validator=deep_iterable(one_of(get_args(RequiredSetting)))
    )
    commit_form: CommitForm = "short"
    git_needs_commit: bool = False
    while_building: WhileBuilding = "queue"
    superseded_status: SupersededStatus = "ARCHIVED"
    rollback_retention: int = field(default=3, validator=ge(0))
    list_order: ListOrder = "newest"
    usage_reset: UsageReset = "iso"
    usage_scope: UsageScope = field(default="any", metadata=AT_START)
    quota_status: int = field(default=429, validator=one_of((403, 429)))
    unset_fields: UnsetFields = "omitted"
    domains: bool = field(default=True, metadata=AT_START)
    domain_header: bool = False
    domain_update_body: DomainUpdateBody = "empty"
    dns_records_key: str | None = None
    upload_style: UploadStyle = "aws"
    storage_idle_seconds: float = field(default=5.0, validator=gt(0))
    zero_limit: ZeroLimit = "everything"
    build_log_lines: int | None = field(default=None, validator=optional(ge(1)))
    failures_act: bool = False
    listing_delay: float = field(default=0.0, validator=ge(0.0))
    log_retention: float | None = field(default=None, validator=optional(gt(0)))
    live_logs_status: int = field(default=200, validator=one_of((200, 404, 405, 501)))
    live_log_event: str = "log"
    live_log_entries: LiveLogEntries = "object"
    live_log_heartbeat: LiveLogHeartbeat = "comment"
    live_log_heartbeat_seconds: float = field(default=15.0, validator=gt(0))
    live_log_cap: float = field(default=900.0, validator=gt(0))
    live_log_resume: bool = False
    live_log_delay: float = field(default=0.0, validator=ge(0.0))
    second_factor_status: int = field(default=422, validator=one_of((400, 401, 422)))
    wrong_region: WrongRegion | None = field(default=None, validator=optional(one_of(get_args(WrongRegion))))
    git_connected: bool = True

    def __attrs_post_init__(self) -> None:
        if self.port is not None and not 0 <= self.port <= 65535:
            raise ValueError(f"port is {self.port}: choose a port from 0 to 65535, or None to open no socket")
        if self.rate_limit is not None and self.rate_limit < 1:
            raise ValueError(f"rate_limit is {self.rate_limit}: choose at least 1, or None for no limit")
        if self.tape is not None and self.state is not None:
            raise ValueError(
                "tape and state cannot be combined, because an emulator that answers from a tape has no state"
            )
        if not callable(self.latency) and not self.latency >= 0:
            raise ValueError(f"latency is {self.latency}: choose 0 seconds or more, or a function that returns seconds")


class EmulatorKeywords(TypedDict, total=False):
    """The options as keywords; `EmulatorOptions` explains them."""

    host: str
    port: int | None
    tls: ssl.SSLContext | None
    control: bool
    build: bool
    state: str | os.PathLike[str] | None
    tape: str | os.PathLike[str] | None
    seed: int | None
    clock: Clock | None
    rate_limit: int | None
    rate_window: RateWindow
    rate_headers: bool
    split_rate: bool
    count_refused: bool
    count_deletes: bool
    refusal_body: RefusalBody
    latency: Latency
    latency_sigma: float
    build_seconds: float
    queue_seconds: float
    create_delay: float
    token_seconds: float
    upload_seconds: float
    unpacked_limit: int
    site_cold_seconds: float
    site_stale_seconds: float
    site_listeners: int
    revalidation_quota: int
    project_limit: int | None
    environment_limit: int | None
    create_status: int
    revalidate_status: int
    revalidate_body: bool
    download_key: DownloadKey
    server_logs_key: ServerLogsKey
    server_logs_window_status: int
    static_server_logs_fail: bool
    log_bound: LogBound
    upload_expiry: UploadExpiry
    oauth_path: OauthPath
    scope_parameter: ScopeParameter
    machine_refresh_token: bool
    check_bearer_organization: bool
    missing_organization_status: int
    app_token_git_status: int
    git_repository_status: int
    environment_update: UpdateMethod
    wrong_method_status: int
    variables_update: VariablesUpdate
    required_settings: Iterable[RequiredSetting]
    commit_form: CommitForm
    git_needs_commit: bool
    while_building: WhileBuilding
    superseded_status: SupersededStatus
    rollback_retention: int
    list_order: ListOrder
    usage_reset: UsageReset
    usage_scope: UsageScope
    quota_status: int
    unset_fields: UnsetFields
    domains: bool
    domain_header: bool
    domain_update_body: DomainUpdateBody
    dns_records_key: str | None
    upload_style: UploadStyle
    storage_idle_seconds: float
    zero_limit: ZeroLimit
    build_log_lines: int | None
    failures_act: bool
    listing_delay: float
    log_retention: float | None
    live_logs_status: int
    live_log_event: str
    live_log_entries: LiveLogEntries
    live_log_heartbeat: LiveLogHeartbeat
    live_log_heartbeat_seconds: float
    live_log_cap: float
    live_log_resume: bool
    live_log_delay: float
    second_factor_status: int
    wrong_region: WrongRegion | None
    git_connected: bool


NAMES: Final[tuple[str, ...]] = tuple(one.name for one in attrs.fields(EmulatorOptions))
TYPES: Final[Mapping[str, object]] = get_type_hints(EmulatorOptions)
FIXED: Final[frozenset[str]] = frozenset(one.name for one in attrs.fields(EmulatorOptions) if one.metadata)


def with_changes(options: EmulatorOptions, changes: EmulatorKeywords) -> EmulatorOptions:
    """Return a copy of options with some of them changed.

    Raises:
        TypeError: An option does not exist.
        ValueError: An option is out of its range.
    """
    if not attrs.has(type(options)):
        raise TypeError(
            f"options must be EmulatorOptions, not {type(options).__name__}. Pass single options by keyword."
        )
    for name in changes:
        if name not in NAMES:
            close = get_close_matches(name, NAMES, n=1)
            hint = f" Did you mean {close[0]}?" if close else ""
            raise TypeError(f"There is no option {name!r}.{hint} The options are {', '.join(NAMES)}.")
    return attrs.evolve(options, **changes)


def explanations() -> dict[str, str]:
    """Return the description of each option, from the docstring of the class."""
    text = (inspect.getdoc(EmulatorOptions) or "").partition("Raises:")[0]
    entries = re.findall(r"^    (\w+): (.*(?:\n {8}.*)*)", text, re.MULTILINE)
    return {name: re.sub(r"\s+", " ", text).replace("`", "") for name, text in entries}
