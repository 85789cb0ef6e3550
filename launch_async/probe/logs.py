"""Decide questions about build logs, server logs and live logs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from itertools import islice
from typing import Final

from launch_async.models.base import JSONValue
from launch_async.probe import judging
from launch_async.probe.exchanges import Asker, Exchange, as_list, as_object
from launch_async.probe.findings import Findings, codes_of, field_names, plain_name
from launch_async.probe.judging import text
from launch_async.probe.survey import Place, Survey, live_first

__all__ = ["Logs"]

_LOGS: Final = 3
_OLD_LOGS: Final = 3
_GONE_LOGS: Final = 2
"""Minimum number of empty logs for a verdict, because a single deployment may have written no lines."""
_DAY_S: Final = 86_400.0
_LONG_LOG: Final = 5000
"""Lines per page of the newer log query, according to public sources. A longer answer has no such pages."""
_NOT_OFFERED: Final = frozenset({404, 405, 501})


class Logs:
    """Reads logs of deployments.

    Args:
        asker: Sends the requests.
        findings: Collects the verdicts.
        survey: The deployments.
    """

    def __init__(self, asker: Asker, findings: Findings, survey: Survey) -> None:
        self._ask = asker
        self._found = findings
        self._survey = survey

    async def read_build_logs(self) -> None:
        """Read the logs of some new and old deployments that have ended."""
        stages: dict[str, None] = {}
        lengths: list[int] = []
        ages: dict[bool, list[float]] = {True: [], False: []}
        for reason in (6, 25, 29, 33):
            self._found.leave_undecided(reason, "There is no finished deployment with a build log.")
        for place in self._logs_to_read():
            exchange = await self._ask.ask("GET", f"{place.path}/logs/deployment-logs")
            lines = as_list(exchange.member("deploymentLogs"))
            if not exchange.is_success or "deploymentLogs" not in as_object(exchange.document):
                continue
            if (age := self._age_of_log(place, lines)) is not None:
                ages[bool(lines)].append(age)
            if lines:
                lengths.append(len(lines))
            stages.update(dict.fromkeys(stage for line in lines if (stage := text(as_object(line), "stage"))))
            if lines and not self._found.is_decided(6):
                await self._read_log_bound(place, lines)
        self._judge_stages(stages, len(lengths))
        self._judge_length(max(lengths, default=0))
        self._judge_retention(kept=ages[True], gone=ages[False])

    def _logs_to_read(self) -> Iterator[Place]:
        """Yield the newest and the oldest deployments that have succeeded."""
        finished = [one for one in self._survey.places if one.is_finished]
        newest = list(islice(live_first(finished), _LOGS))
        oldest = sorted(finished, key=lambda one: text(one.deployment, "createdAt"))[:_OLD_LOGS]
        yield from newest
        yield from (place for place in oldest if place not in newest)

    def _age_of_log(self, place: Place, lines: Sequence[JSONValue]) -> float | None:
        """Return the age of a log's last line in seconds. For an empty log, return the age of its deployment."""
        stamps = [judging.moment(as_object(line).get("timestamp")) for line in lines[-1:]]
        at = stamps[0] if stamps else judging.moment(place.deployment.get("createdAt"))
        now = self._ask.date
        return None if at is None or now is None else (now - at).total_seconds()

    def _judge_stages(self, stages: Iterable[str], read: int) -> None:
        names = [plain_name(name) for name in stages]
        if names:
            self._found.decide(
                25,
                [*names],
                f"The build logs of {read} finished deployments name these stages.",
                still_open="There may be other stages.",
                contradicts=any(name not in ("INSTALLING_DEPENDENCIES", "BUILD") for name in names),
            )

    def _judge_length(self, longest: int) -> None:
        if longest > _LONG_LOG:
            self._found.decide(
                33,
                "whole",
                f"An answer had {longest} lines, more than the {_LONG_LOG} lines per page of other interfaces of "
                "Launch.",
                still_open=f"A limit above {longest} lines.",
            )
        elif longest:
            self._found.leave_undecided(33, f"The longest log that the probe read has {longest} lines.")

    def _judge_retention(self, *, kept: Sequence[float], gone: Sequence[float]) -> None:
        """Decide from the ages of the oldest log with lines and of the newest empty log."""
        if not kept:
            return
        oldest, days = max(kept), max(kept) / _DAY_S
        if len(gone) >= _GONE_LOGS and min(gone) > oldest:
            self._found.decide(
                29,
                {"kept_for_days": round(days, 3), "gone_after_days": round(min(gone) / _DAY_S, 3)},
                f"{len(gone)} logs are empty, and their deployments are older than all logs with lines.",
                still_open="The exact period.",
                options={"log_retention": (oldest + min(gone)) / 2},
            )
        elif not gone and days >= 1:
            self._found.decide(
                29,
                {"kept_for_days": round(days, 3)},
                "The oldest log that the probe read has this age.",
                still_open="Whether older logs are kept.",
            )
        else:
            self._found.leave_undecided(29, f"The oldest log is {days:.1f} days old, and {len(gone)} logs are empty.")

    async def _read_log_bound(self, place: Place, lines: Sequence[JSONValue]) -> None:
        """Read the rest of a finished log from the timestamps of two of its lines."""
        stamps = list(dict.fromkeys(text(as_object(line), "timestamp") for line in lines))
        if len(stamps) < 2:
            self._found.leave_undecided(6, "All lines of the log have the same timestamp.")
            return
        verdicts: set[str | None] = set()
        for since in {stamps[len(stamps) // 2]: None, stamps[-1]: None}:
            exchange = await self._ask.ask("GET", f"{place.path}/logs/deployment-logs", query={"timestamp": since})
            rest = as_list(exchange.member("deploymentLogs"))
            verdicts.add(judging.log_bound(lines, since, rest) if exchange.is_success else None)
        verdict = verdicts.pop()
        if verdicts or verdict is None:
            self._found.leave_undecided(
                6, "A read from a line's timestamp returned neither all lines since then nor only the later lines."
            )
            return
        self._found.decide(
            6,
            verdict,
            "The probe read the whole log of a finished deployment, and read it again from timestamps of its lines.",
            evidence=[f"{len(lines)} lines with {len(stamps)} timestamps."],
            options={"log_bound": verdict},
        )

    async def read_server_logs(self) -> None:
        """Read server logs with and without a time window, of sites with a server and of static sites."""
        live = [place for place in self._survey.places if place.is_live]
        rendered = sorted(
            (place for place in live if not place.is_static), key=lambda place: not place.is_server_rendered
        )
        self._found.leave_undecided(4, "There is no LIVE deployment that may have server logs.")
        self._found.leave_undecided(5, "There is no LIVE deployment that may have server logs.")
        window = self._window()
        answered: Place | None = None
        for place in rendered[:3]:
            exchange = await self._ask.confirmed(f"{place.path}/logs/server-logs", window)
            if exchange.is_success and self._judge_server_logs(exchange):
                answered = place
                break
            if exchange.is_success:
                continue
            self._found.leave_undecided(4, f"The read of server logs ended with {exchange.outcome}.")
            self._found.leave_undecided(5, f"The read of server logs ended with {exchange.outcome}.")
        static = next((place for place in live if place.is_static), None)
        if static is not None:
            exchange = await self._ask.confirmed(f"{static.path}/logs/server-logs", window)
            self._judge_static(exchange, compared=answered is not None)
            if answered is None and exchange.is_success and self._judge_server_logs(exchange):
                answered = static
        if answered is not None:
            exchange = await self._ask.confirmed(f"{answered.path}/logs/server-logs")
            if exchange.status is not None and (exchange.is_success or exchange.status in (400, 422, 500)):
                self._found.part(
                    5,
                    "without_window",
                    exchange.status,
                    f"Server logs: {exchange.outcome} without startTime and endTime, status 200 with them.",
                    options={"server_logs_window_status": exchange.status},
                )

    def _window(self) -> dict[str, str | int | None]:
        end = self._ask.now
        return {
            "startTime": str(int((end - timedelta(minutes=10)).timestamp() * 1000)),
            "endTime": str(int(end.timestamp() * 1000)),
        }

    def _judge_server_logs(self, exchange: Exchange) -> bool:
        """Decide the name of the list, and return whether the answer has exactly one list."""
        if isinstance(exchange.document, list):
            key = "bare"
        else:
            lists = [name for name, value in as_object(exchange.document).items() if isinstance(value, list)]
            if len(lists) != 1:
                self._found.leave_undecided(4, f"The answer has {len(lists)} members that are lists.")
                return False
            key = lists[0]
        self._found.decide(
            4,
            plain_name(key),
            "The answer is a list." if key == "bare" else "Exactly one member of the answer is a list.",
            options={"server_logs_key": key},
        )
        return True

    def _judge_static(self, exchange: Exchange, *, compared: bool) -> None:
        if exchange.is_success or (exchange.status == 500 and compared):
            self._found.part(
                5,
                "static",
                exchange.status,
                f"The read of a static site's server logs ended with {exchange.outcome}.",
                options={"static_server_logs_fail": not exchange.is_success},
            )
        else:
            self._found.note(5, f"The read of a static site's server logs ended with {exchange.outcome}.")

    async def read_live_log(self) -> None:
        """Read the beginning of one live log."""
        live = [place for place in self._survey.places if place.is_live and not place.is_static]
        live.sort(key=lambda place: not place.is_server_rendered)
        if not live:
            self._found.leave_undecided(31, "There is no LIVE deployment that may have a server.")
            return
        exchange = await self._ask.confirmed(f"{live[0].path}/logs/live")
        if exchange.status in _NOT_OFFERED:
            self._found.decide(
                31,
                {"status": exchange.status},
                "The probe opened the live log of a LIVE deployment.",
                evidence=codes_of(exchange),
                options={"live_logs_status": exchange.status},
            )
            return
        frames = judging.live_frames(exchange.body)
        if exchange.status != 200 or frames.heartbeat is None:
            self._found.leave_undecided(
                31, f"The live log ended with {exchange.outcome}, without heartbeats of a single form."
            )
            return
        value: dict[str, JSONValue] = {"status": 200, "heartbeat": frames.heartbeat}
        options: dict[str, object] = {"live_logs_status": 200, "live_log_heartbeat": frames.heartbeat}
        end = frames.session_end()
        if end is not None and (seconds := _rounded((end - self._ask.now).total_seconds())) > 0:
            value["session_s"] = seconds
            options["live_log_cap"] = float(seconds)
        names = {name for name, _ in frames.entries}
        if len(names) == 1:
            name, data = frames.entries[0]
            value["entries"] = {"event": plain_name(name), "form": "list" if isinstance(data, list) else "object"}
            options |= {"live_log_event": name, "live_log_entries": "list" if isinstance(data, list) else "object"}
        self._found.decide(
            31,
            value,
            "The probe read the beginning of a live log.",
            evidence=[f"Events: {', '.join(field_names(name for name, _ in frames.events)) or 'none'}."],
            still_open="Resumption with Last-Event-ID." if names else "Name and form of entries, and resumption.",
            options=options,
        )


def _rounded(seconds: float) -> int:
    """Round the length of a session, because it is measured from the header Date, which has whole seconds."""
    return 5 * round(seconds / 5) if seconds >= 30 else round(seconds)
