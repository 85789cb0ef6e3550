"""Verdicts as pure functions. Each returns a value from raw answers, or None if the answers prove nothing."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final, Literal, TypeAlias

import attrs

from launch_async.models.base import JSONValue
from launch_async.probe.exchanges import Exchange, as_list, as_object
from launch_async.wire.event_stream import EventDecoder, EventTooLarge
from launch_async.wire.timestamps import format_iso, parse_iso

__all__ = [
    "Heartbeat",
    "LiveFrames",
    "Record",
    "envelope",
    "expiry_unit",
    "is_older",
    "is_service_time",
    "list_order",
    "live_frames",
    "log_bound",
    "missing_beginning",
    "moment",
    "text",
    "unset_fields",
    "upload_style",
    "usage_reset",
    "waited",
]

Record: TypeAlias = Mapping[str, JSONValue]
Heartbeat: TypeAlias = Literal["comment", "event"]

HEARTBEATS: Final = frozenset({"heartbeat", "ping"})
_MIN_ITEMS: Final = 2
MIN_POSSIBLE_ORDERS: Final = 24
"""Minimum number of possible orders of all items: those of one listing with four items, or of two with three."""
_DAY: Final = 86_400.0
_NULLABLE: Final[Mapping[str, tuple[str, ...]]] = {
    "project": ("description", "cmsStackApiKey"),
    "environment": (
        "description",
        "buildCommand",
        "outputDirectory",
        "serverCommand",
        "gitBranch",
        "autoDeployOnPush",
        "passwordProtection",
    ),
    "deployment": ("previewUrl", "gitBranch", "commitHash", "commitUrl"),
}
"""Fields that may be unset according to the project's description of the API."""


def text(record: Record, name: str) -> str:
    """Return the field if it is a text, otherwise an empty text."""
    value = record.get(name)
    return value if isinstance(value, str) else ""


def moment(value: JSONValue) -> datetime | None:
    """Return the time of an ISO 8601 text, or None for another value."""
    if not isinstance(value, str):
        return None
    try:
        return parse_iso(value)
    except ValueError:
        return None


def envelope(exchange: Exchange) -> str | None:
    """Return the form of an error's body: `coded`, `fields`, `other_json`, `html`, `empty` or `text`."""
    if exchange.status is None or exchange.is_success:
        return None
    if not exchange.body.strip():
        return "empty"
    if exchange.document is None:
        return "html" if re.match(rb"\s*<", exchange.body) else "text"
    entries = [as_object(entry) for entry in as_list(exchange.member("errors"))]
    if entries and all(isinstance(entry.get("code"), str) for entry in entries):
        return "coded"
    if entries and all(any("code" in as_object(member) for member in entry.values()) for entry in entries):
        return "fields"
    return "other_json"


def log_bound(whole: Sequence[JSONValue], since: str, answer: Sequence[JSONValue]) -> str | None:
    """Return whether a read from the timestamp of a line excludes or includes that line.

    Args:
        whole: Lines of the finished log.
        since: The requested timestamp. At least one line has it, but the first line does not.
        answer: Lines of the answer.
    """
    bound = moment(since)
    dated = [(moment(as_object(line).get("timestamp")), _line(line)) for line in whole]
    if bound is None or any(at is None for at, _ in dated):
        return None
    got = Counter(_line(line) for line in answer)
    at_or_after = Counter(line for at, line in dated if at is not None and at >= bound)
    after = Counter(line for at, line in dated if at is not None and at > bound)
    if at_or_after == after or at_or_after.total() == len(whole):
        return None
    return "inclusive" if got == at_or_after else "exclusive" if got == after else None


def _line(line: JSONValue) -> tuple[str, str, str]:
    record = as_object(line)
    return text(record, "timestamp"), text(record, "stage"), text(record, "message")


def waited(record: Record, before: Sequence[JSONValue], own: Sequence[JSONValue]) -> bool:
    """Return whether a deployment was created during another build, and began only after that build had ended.

    Args:
        record: The deployment.
        before: The log of the other deployment.
        own: The log of this deployment.
    """
    ended = [moment(as_object(line).get("timestamp")) for line in before[-1:]]
    began = [moment(as_object(line).get("timestamp")) for line in own[:1]]
    created = moment(record.get("createdAt"))
    if created is None or not ended or not began or ended[0] is None or began[0] is None:
        return False
    return created < ended[0] <= began[0]


def missing_beginning(early: Sequence[JSONValue], late: Sequence[JSONValue]) -> list[JSONValue]:
    """Return the lines of an early read that a later read lacks, if they are the first lines of the log."""
    kept = {_line(line) for line in late}
    missing = [line for line in early if _line(line) not in kept]
    return missing if late and all(is_older(line, late[0]) for line in missing) else []


def is_older(line: JSONValue, other: JSONValue) -> bool:
    """Return whether a line of a log is not newer than another line; False if a timestamp is malformed."""
    at, limit = (moment(as_object(one).get("timestamp")) for one in (line, other))
    return at is not None and limit is not None and at <= limit


def list_order(listings: Iterable[Sequence[Record]]) -> str | None:
    """Return the order of listings of one kind: `newest`, `oldest` or `uid`; None if the listings prove no order.

    All listings must fit this order and no other order. Together they must be too long to fit it by chance.
    """
    fitting: set[str] | None = None
    possible_orders = 1
    for records in listings:
        if len(records) >= _MIN_ITEMS:
            orders = _orders(records)
            fitting = orders if fitting is None else fitting & orders
            possible_orders *= math.factorial(min(len(records), MIN_POSSIBLE_ORDERS))
    if fitting is None or len(fitting) != 1 or possible_orders < MIN_POSSIBLE_ORDERS:
        return None
    return fitting.pop() if fitting <= {"newest", "oldest", "uid"} else None


def _orders(records: Sequence[Record]) -> set[str]:
    """Return every order that a listing fits."""
    numbers = [record.get("deploymentNumber") for record in records]
    created: list[float] | None = [
        float(number) for number in numbers if isinstance(number, int) and not isinstance(number, bool)
    ]
    if len(created or ()) < len(records):
        created = _times(records)
    uids, names = ([text(record, field) for record in records] for field in ("uid", "name"))
    fitting: set[str] = set()
    if created is not None and len({*created}) == len(created):
        fitting |= {"newest"} if created == sorted(created, reverse=True) else set()
        fitting |= {"oldest"} if created == sorted(created) else set()
    if all(uids) and not _holds_time(records):
        fitting |= {"uid"} if uids == sorted(uids) else set()
        fitting |= {"uid_reversed"} if uids == sorted(uids, reverse=True) else set()
    if all(names):
        folded = [name.casefold() for name in names]
        fitting |= {"name"} if names == sorted(names) or folded == sorted(folded) else set()
        fitting |= {"name_reversed"} if folded == sorted(folded, reverse=True) else set()
    return fitting


def _times(records: Iterable[Record]) -> list[float] | None:
    moments = [moment(record.get("createdAt")) for record in records]
    times = [at.timestamp() for at in moments if at is not None]
    return times if len(times) == len(moments) else None


def _holds_time(records: Iterable[Record]) -> bool:
    """Return whether UIDs begin with the time of their creation, so that their order is the order of creation."""
    for record in records:
        at = moment(record.get("createdAt"))
        uid = text(record, "uid")
        if at is None or not re.fullmatch("[0-9a-f]{24}", uid) or abs(int(uid[:8], 16) - at.timestamp()) > _DAY:
            return False
    return True


def expiry_unit(value: JSONValue, now: datetime) -> str | None:
    """Return the unit of `expiresIn`: `seconds` or `epoch_ms`."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    if 1 <= value <= _DAY:
        return "seconds"
    return "epoch_ms" if abs(value / 1000 - now.timestamp()) < _DAY else None


def usage_reset(value: JSONValue, now: datetime) -> str | None:
    """Return the type of `usageReset`: `iso`, `epoch_ms`, `epoch_s` or `seconds`."""
    if isinstance(value, str):
        return "iso" if (at := moment(value)) is not None and abs(at - now) < timedelta(days=40) else None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    near = 40 * _DAY
    if abs(value / 1000 - now.timestamp()) < near:
        return "epoch_ms"
    return "epoch_s" if abs(value - now.timestamp()) < near else None


def upload_style(target: Record) -> str | None:
    """Return how a signed upload URL expects its file: `aws`, `azure`, `gcp` or `gcp_form`."""
    fields = [text(as_object(field), "formFieldKey").lower() for field in as_list(target.get("fields"))]
    headers = [text(as_object(header), "key").lower() for header in as_list(target.get("headers"))]
    if fields:
        return _only({"aws": "x-amz-signature" in fields, "gcp_form": "x-goog-signature" in fields})
    return _only({"azure": "x-ms-blob-type" in headers, "gcp": "x-goog-content-length-range" in headers})


def _only(choices: Mapping[str, bool]) -> str | None:
    fitting = [name for name, fits in choices.items() if fits]
    return fitting[0] if len(fitting) == 1 else None


def unset_fields(records: Mapping[str, Sequence[Record]]) -> tuple[str, list[str], list[str]] | None:
    """Return whether unset fields are `null`, `omitted` or `mixed`, with the null fields and the absent fields.

    Args:
        records: Records by their kind: project, environment, deployment.
    """
    null: set[str] = set()
    absent: set[str] = set()
    for kind, found in records.items():
        for name in _NULLABLE[kind]:
            if any(name in record and record[name] is None for record in found):
                null.add(f"{kind}.{name}")
            if any(name not in record for record in found):
                absent.add(f"{kind}.{name}")
    if not null and not absent:
        return None
    return "mixed" if null and absent else "null" if null else "omitted", sorted(null), sorted(absent)


@attrs.frozen
class LiveFrames:
    """The beginning of a live log.

    Attributes:
        events: Type and data of each event.
        comments: Whether the stream had comments.
    """

    events: tuple[tuple[str, JSONValue], ...]
    comments: bool

    @property
    def heartbeat(self) -> Heartbeat | None:
        """The form of heartbeats; None if there were none or both forms."""
        as_event = any(name in HEARTBEATS for name, _ in self.events)
        if as_event == self.comments:
            return None
        return "event" if as_event else "comment"

    @property
    def entries(self) -> tuple[tuple[str, JSONValue], ...]:
        """The events that contain lines of the log."""
        return tuple(one for one in self.events if one[0] not in {*HEARTBEATS, "session", "session-ended"})

    def session_end(self) -> datetime | None:
        """The time at which the session will end, if the stream announced it."""
        ends = [moment(as_object(data).get("expiresAt")) for name, data in self.events if name == "session"]
        return ends[0] if ends else None


def live_frames(body: bytes) -> LiveFrames:
    """Parse the beginning of a live log, with the comments that readers of events ignore."""
    decoder = EventDecoder()
    try:
        found = decoder.feed(body)
    except EventTooLarge:
        found = []
    comments = any(line.startswith(b":") for line in body.splitlines())
    return LiveFrames(tuple((one.event, _json(one.data)) for one in found), comments)


def _json(data: str) -> JSONValue:
    return Exchange("", "", body=data.encode()).document


def is_service_time(value: JSONValue) -> bool:
    """Return whether a value is a time as the service writes it: ISO 8601 in UTC with milliseconds."""
    at = moment(value)
    return at is not None and format_iso(at) == value
