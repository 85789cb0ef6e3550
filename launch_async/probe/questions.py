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
        key: Its number in the facts, as text; or the name of a documented fact that the probe checks as well.
        text: The question.
        default: The emulator's behaviour without options; None if there is nothing to compare with.
        affects: The part of the SDK that depends on the answer.
        never: Why the probe never asks the question; empty if it does.
        needed: For a question of several parts, the parts without which it is undecided.
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
        "Name of the field that holds the download URL",
        "downloadUrl",
        "`deployments.download_url`, `restore` and `promote` read downloadUrl, url, signedUrl, then any https text.",
    ),
    Question(
        "4",
        "Name of the list in the answer of the server logs",
        "logs",
        "`deployments.server_logs` and `tail_server_logs` read logs, serverLogs and a bare list.",
    ),
    Question(
        "5",
        "Server logs without a window, and of a static site",
        {"without_window": 400, "static": 200},
        "`deployments.server_logs` always sends both ends of the window.",
        needed=("without_window",),
    ),
    Question(
        "6",
        "Does the parameter timestamp of a build log exclude the line at that instant, or include it?",
        "exclusive",
        "`follow_logs` overlaps its reads by 1 ms and removes duplicates, so that both work.",
    ),
    Question(
        "7",
        "Unit of expiresIn of a signed upload URL",
        "seconds",
        "`uploads` counts ten minutes from the receipt of the URL and ignores expiresIn.",
    ),
    Question(
        "8",
        "Body and headers of a 429",
        {"body": "coded", "headers": False},
        "The rate limit reads Retry-After and X-RateLimit-* where they are, and pauses without them.",
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
        "Does organization_uid matter next to a bearer token?",
        {"without": 200, "other": 200},
        "The SDK sends organization_uid with a bearer token when it knows the UID.",
        needed=("without", "other"),
    ),
    Question(
        "13",
        "Status for an authtoken without organization_uid",
        403,
        "The client refuses such credentials before it sends anything.",
    ),
    Question(
        "14",
        "Error for an app token that deploys from Git",
        None,
        "The SDK passes the error on.",
        _NO_GIT,
    ),
    Question(
        "15",
        "Answer to PATCH of a project's Git repository",
        200,
        "`projects.update_git_repository` passes the body through.",
    ),
    Question(
        "16",
        "Methods that change an environment, and the status for the other method",
        {"methods": "PUT", "other": 405},
        "`environments.update` sends PUT.",
        needed=("methods",),
    ),
    Question(
        "17",
        "Does a list of variables in an update replace the old list, or is it merged into it?",
        "replace",
        "`variables.apply` always sends the whole list.",
    ),
    Question(
        "18",
        "Further settings that a new environment needs",
        [],
        "The SDK always sends outputDirectory and environmentVariables.",
    ),
    Question("19", "Form of commitHash in a new deployment", None, "`Commit` passes the hash through.", _NO_GIT),
    Question(
        "20",
        "Outcome of a deployment that is created while another one builds",
        "queue",
        "`deploy` waits for the UID that the service returned, and ignores other deployments.",
    ),
    Question(
        "21",
        "Status of the deployment that was LIVE before",
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
        "`RevalidationQuotaExceeded` is raised for 403 and 429 if the usage confirms it; the SDK does not retry.",
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
        "Domains: need of x-project-uid, answer to an update, field of the DNS records",
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
        "A refusal with LIMIT_REACHED reaches the caller.",
        "The probe does not fill an organization.",
    ),
    Question(
        "31",
        "Live log: status, form of heartbeats, events, length of a session",
        {"status": 200, "heartbeat": "comment", "session_s": 900},
        "`tail_server_logs` reads any event as an entry but session, session-ended and heartbeats.",
    ),
    Question(
        "32",
        "Meaning of limit=0 in a listing",
        "everything",
        "The SDK never sends limit=0.",
    ),
    Question(
        "33",
        "Does one answer hold the whole of a long build log?",
        "whole",
        "`follow_logs` reports where the beginning of a log is missing.",
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
        "The SDK doubts for at least 30 s before it sends a creation again.",
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
        "Answer about a project that does not exist",
        {"status": 404, "envelope": "coded"},
        "`NotFoundError`, `error.code`.",
    ),
    Question(
        "conflict",
        "Answer to a name that is in use",
        {"status": 409, "envelope": "coded"},
        "`ConflictError`, and the look-ups after a lost creation.",
    ),
    Question(
        "empty_update",
        "Answer to an update without a field",
        {"project": 400, "environment": 400},
        "The SDK refuses an empty update before it sends anything.",
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
        "The SDK compares its clock with the service's, as for the bounds of logs and lost creations.",
    ),
    Question(
        "identifiers",
        "UIDs are 24 lower-case hex digits, times are ISO 8601 with milliseconds and Z",
        {"uids": "hex24", "times": "iso_ms_z"},
        "Every call checks UIDs before it sends them; times without milliseconds are read, too.",
    ),
    Question(
        "retention",
        "How many superseded deployments are eligible for a rollback",
        3,
        "`Deployment.is_rollback_eligible`; the SDK has no rollback.",
    ),
)
"""Documented facts that the probe checks as well."""
