"""The open questions about the service that the probe asks, by their numbers in the facts (section 11)."""

from __future__ import annotations

from typing import Final

import attrs

from launch_async.models.base import JSONValue

__all__ = ["CHECKS", "QUESTIONS", "Question"]


@attrs.frozen
class Question:
    """One open question.

    Attributes:
        key: Number of the question in the facts, as text; or the name of a documented fact that the probe also checks.
        text: The question.
        default: The emulator's behaviour without options; None if there is nothing to compare with.
        affects: The part of the SDK that depends on the answer.
        never: Why the probe never asks the question; empty if the probe asks it.
        needed: For a question with several parts, the parts that a verdict requires.
    """

    key: str
    text: str
    default: JSONValue
    affects: str
    never: str = ""
    needed: tuple[str, ...] = ()

    @property
    def number(self) -> int | None:
        """Its number in the facts; None for a documented fact."""
        return int(self.key) if self.key.isdecimal() else None


_NO_TOKENS: Final = "The probe sends no request to a token endpoint."
_NO_GIT: Final = "The probe deploys nothing from Git."

QUESTIONS: Final = (
    Question(
        "1",
        "Success statuses of environment creation, deployment creation and revalidation",
        {"environment": 201, "deployment": 201, "revalidation": 200},
        "Every creation accepts any 2xx.",
        needed=("environment", "deployment"),
    ),
    Question(
        "2",
        "Body of the answer to a revalidation",
        "object",
        "`environments.revalidate_cache` ignores the body.",
    ),
    Question(
        "3",
        "Name of the field that contains the download URL",
        "downloadUrl",
        "`deployments.download_url`, `restore` and `promote` read downloadUrl, url, signedUrl, then any https URL.",
    ),
    Question(
        "4",
        "Name of the list in the answer of the server logs",
        "logs",
        "`deployments.server_logs` and `tail_server_logs` read logs, serverLogs and a bare list.",
    ),
    Question(
        "5",
        "Statuses of server logs without a time window, and of server logs of a static site",
        {"without_window": 400, "static": 200},
        "`deployments.server_logs` always sends the start and the end of the time window.",
        needed=("without_window",),
    ),
    Question(
        "6",
        "Does the parameter timestamp of a build log exclude or include the line with this timestamp?",
        "exclusive",
        "`follow_logs` overlaps its reads by 1 ms and removes duplicates, so both answers work.",
    ),
    Question(
        "7",
        "Unit of expiresIn of a signed upload URL",
        "seconds",
        "`uploads` uses a URL for ten minutes after it receives the URL, and ignores expiresIn.",
    ),
    Question(
        "8",
        "Body and headers of a 429",
        {"body": "coded", "headers": False},
        "The limiter reads Retry-After and X-RateLimit-* if they are present, and also pauses without them.",
    ),
    Question("9", "Path of the token endpoint", None, "`AppCredentials` tries a second path after a 404.", _NO_TOKENS),
    Question(
        "10",
        "Name of the parameter for scopes at the token endpoint",
        None,
        "`AppCredentials` sends scopes.",
        _NO_TOKENS,
    ),
    Question(
        "11",
        "Does an M2M app get a refresh token?",
        None,
        "`AppCredentials` asks for a new token instead of a refresh.",
        _NO_TOKENS,
    ),
    Question(
        "12",
        "Does organization_uid matter if there is a bearer token?",
        {"without": 200, "other": 200},
        "The SDK sends organization_uid with a bearer token when it knows the UID.",
        needed=("without", "other"),
    ),
    Question(
        "13",
        "Status for an authtoken without organization_uid",
        403,
        "The client refuses these credentials before it sends a request.",
    ),
    Question(
        "14",
        "Error for an app token that deploys from Git",
        None,
        "The SDK raises the error of the service.",
        _NO_GIT,
    ),
    Question(
        "15",
        "Answer to PATCH of a project's Git repository",
        200,
        "`projects.update_git_repository` sends the body unchanged.",
    ),
    Question(
        "16",
        "HTTP methods that change an environment, and the status for the other method",
        {"methods": "PUT", "other": 405},
        "`environments.update` sends PUT.",
        needed=("methods",),
    ),
    Question(
        "17",
        "Does a list of variables in an update replace the old list, or does the service merge the two lists?",
        "replace",
        "`variables.apply` always sends the whole list.",
    ),
    Question(
        "18",
        "Further settings that a new environment requires",
        [],
        "The SDK always sends outputDirectory and environmentVariables.",
    ),
    Question("19", "Form of commitHash in a new deployment", None, "`Commit` sends the hash unchanged.", _NO_GIT),
    Question(
        "20",
        "Outcome of a deployment that is created during another build",
        "queue",
        "`deploy` waits for the UID that the service returned, and ignores other deployments.",
    ),
    Question(
        "21",
        "Status of a deployment that is no longer LIVE",
        "ARCHIVED",
        "`DeploymentStatus.is_superseded` counts ARCHIVED and DEPLOYED as success.",
    ),
    Question(
        "22",
        "Order of listings",
        {"deployments": "newest", "projects": "newest", "environments": "newest"},
        "The SDK never relies on the order; it sorts by deploymentNumber and createdAt.",
        needed=("deployments",),
    ),
    Question(
        "23",
        "Type of usageReset",
        "iso",
        "`usage.cache_revalidations` keeps the raw value.",
    ),
    Question(
        "24",
        "Status of a revalidation beyond the quota",
        429,
        "The SDK raises `RevalidationQuotaExceeded` for 403 and 429 if the usage confirms it, and does not retry.",
    ),
    Question(
        "25",
        "Names of the stages in build logs",
        ["INSTALLING_DEPENDENCIES", "BUILD"],
        "`LogStage` accepts unknown names.",
    ),
    Question(
        "26",
        "Are unset fields of projects, environments and deployments null or absent?",
        {"unset": "omitted"},
        "All models accept both.",
    ),
    Question(
        "27",
        "Domains: whether x-project-uid is required, the answer to an update, and the field of the DNS records",
        {"header_needed": False, "update_body": "empty", "dns_records_key": None},
        "`domains` sends x-project-uid and keeps unknown fields.",
        needed=("header_needed",),
    ),
    Question(
        "28",
        "How uploads are sent to storage",
        "aws",
        "`uploads.send` follows fields, method and headers of the signed URL.",
    ),
    Question(
        "29",
        "How long logs are kept",
        {"gone_after_days": None},
        "The SDK assumes nothing.",
    ),
    Question(
        "30",
        "Limits on the numbers of projects and environments",
        None,
        "The SDK raises the service's error with the code LIMIT_REACHED.",
        "The probe does not fill an organization up to its limits.",
    ),
    Question(
        "31",
        "Live log: status, form of heartbeats, events, length of a session",
        {"status": 200, "heartbeat": "comment", "session_s": 900},
        "`tail_server_logs` reads every event as an entry, except session, session-ended and heartbeats.",
    ),
    Question(
        "32",
        "Meaning of limit=0 in a listing",
        "everything",
        "The SDK never sends limit=0.",
    ),
    Question(
        "33",
        "Does one answer contain the whole of a long build log?",
        "whole",
        "`follow_logs` reports if the beginning of a log is missing.",
    ),
    Question(
        "34",
        "Does a POST that ends in 500, 520, 522 or 524 take effect?",
        None,
        "The SDK checks listings after such an answer.",
        "Only the service can produce such a failure.",
    ),
    Question(
        "35",
        "How late a creation appears in a listing",
        None,
        "The SDK checks listings for at least 30 s before it sends a creation again.",
    ),
)
"""The open questions, by their numbers."""

CHECKS: Final = (
    Question(
        "pagination",
        "Pages: count is the total, skip is null on the first page, limit is 10 by default",
        {"count": "total", "first_skip": None, "default_limit": 10},
        "Pagers read count, and also work without it.",
        needed=("count", "first_skip"),
    ),
    Question(
        "not_found",
        "Answer for a project that does not exist",
        {"status": 404, "envelope": "coded"},
        "The SDK raises `NotFoundError` with the code as `error.code`.",
    ),
    Question(
        "conflict",
        "Answer to a name that is in use",
        {"status": 409, "envelope": "coded"},
        "The SDK raises `ConflictError`, and expects this answer when it repeats a lost creation.",
    ),
    Question(
        "empty_update",
        "Answer to an update without fields",
        {"project": 400, "environment": 400},
        "The SDK refuses an empty update before it sends a request.",
        needed=("project", "environment"),
    ),
    Question(
        "delete",
        "Status of a deletion",
        204,
        "`projects.delete`.",
    ),
    Question(
        "date",
        "Header Date of answers",
        {"present": True, "precision_s": 1},
        "The SDK compares its clock with the service's, for example for time ranges of logs and lost creations.",
    ),
    Question(
        "identifiers",
        "UIDs are 24 lower-case hex digits, times are ISO 8601 with milliseconds and Z",
        {"uids": "hex24", "times": "iso_ms_z"},
        "Every call checks UIDs before it sends them. The SDK also reads times without milliseconds.",
    ),
    Question(
        "retention",
        "How many superseded deployments are eligible for a rollback",
        3,
        "`Deployment.is_rollback_eligible`. The SDK has no call for a rollback.",
    ),
)
"""Documented facts that the probe also checks."""
