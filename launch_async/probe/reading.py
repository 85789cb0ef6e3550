"""What the probe decides by reading. Nothing here changes anything, and nothing is deleted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Final

import attrs

from launch_async.models.base import JSONValue
from launch_async.probe import judging
from launch_async.probe.exchanges import Asker, Exchange, OutOfRequests, as_list, as_object
from launch_async.probe.findings import Findings, field_names, plain_name
from launch_async.probe.judging import Record, text
from launch_async.wire.moments import parse_http_date

__all__ = ["Reader"]

_PAGE: Final = 20
_PROJECTS: Final = 6
_ENVIRONMENTS: Final = 8
_LOGS: Final = 3
_OLD_LOGS: Final = 3
_ENOUGH_SUCCESSES: Final = 10
_GONE_LOGS: Final = 2
"""Empty logs that are needed: a single deployment may have written nothing."""
_DAY_S: Final = 86_400.0
_LONG_LOG: Final = 5000
"""Lines on a page of the newer log query, by public sources: a longer answer shows that this page does not apply."""
_NOBODY: Final = "0" * 24
_OTHER_ORGANIZATION: Final = "blt" + "0" * 16
_SUPERSEDED: Final = ("ARCHIVED", "DEPLOYED")
_STATIC: Final = frozenset({"GATSBY", "CRA", "CSR", "VUEJS"})
_SERVER_RENDERED: Final = frozenset({"NEXTJS", "NUXT", "REMIX", "ASTRO", "ANALOG", "ANGULAR"})
_REFUSED: Final = frozenset({400, 422})
_NOT_OFFERED: Final = frozenset({404, 405, 501})


@attrs.frozen
class Place:
    """A deployment with what it belongs to."""

    project: Record
    environment: Record
    deployment: Record

    @property
    def path(self) -> str:
        """Path of the deployment."""
        return f"{environment_path(self.project, self.environment)}/deployments/{text(self.deployment, 'uid')}"

    @property
    def is_live(self) -> bool:
        """Whether it serves now."""
        return self.deployment.get("status") == "LIVE"

    @property
    def is_finished(self) -> bool:
        """Whether it has ended with success, so that its log does not change any more."""
        return self.deployment.get("status") in ("LIVE", *_SUPERSEDED)

    @property
    def is_server_rendered(self) -> bool:
        """Whether a server process certainly answers for it."""
        return text(self.environment, "frameworkPreset") in _SERVER_RENDERED or bool(
            text(self.environment, "serverCommand")
        )

    @property
    def is_static(self) -> bool:
        """Whether certainly no server process answers for it."""
        preset = text(self.environment, "frameworkPreset")
        return preset in _STATIC and not text(self.environment, "serverCommand")


class Reader:
    """Reads what is there, and decides what that proves.

    Args:
        asker: Sends the requests.
        findings: Takes the verdicts.
        daring: Whether to ask for a listing with limit=0.
        tell: Called with each step before it begins.
        first: UID of a project to read first.
    """

    def __init__(
        self, asker: Asker, findings: Findings, *, daring: bool, tell: Callable[[str], object], first: str = ""
    ) -> None:
        self._ask = asker
        self._tell = tell
        self._found = findings
        self._is_daring = daring
        self._first = first
        self._projects: list[Record] = []
        self._environments: list[tuple[Record, Record]] = []
        self._places: list[Place] = []
        self._longest: tuple[str, int] = ("", 0)
        self._orders: dict[str, str] = {}
        self._singles: dict[str, list[Record]] = {"project": [], "environment": [], "deployment": []}

    async def read(self) -> None:
        """Send the reads one after the other, until there is nothing left to decide or to send."""
        steps = {
            "Read projects": self._read_projects,
            "Read a project that does not exist": self._read_not_found,
            "Read environments": self._read_environments,
            "Read deployments": self._read_deployments,
            "Read a listing without the organization's UID": self._read_organization_header,
            "Read the usage of revalidations": self._read_usage,
            "Read a download URL": self._read_download_url,
            "Read build logs": self._read_build_logs,
            "Read server logs": self._read_server_logs,
            "Read domains": self._read_domains,
            "Read the beginning of a live log": self._read_live_log,
            "Read a project, an environment and a deployment": self._read_single_ones,
        }
        if self._is_daring:
            steps["Read a listing with limit=0"] = self._read_limit_0
        else:
            self._found.leave(32, "limit=0 may return the whole organization. Only a daring probe sends it.")
        try:
            for title, step in steps.items():
                self._tell(title)
                await step()
        except OutOfRequests:
            self._found.note("pagination", f"The probe stopped after {self._ask.most} requests.")
        self._judge_what_was_read()

    @property
    def _now(self) -> datetime:
        return judging.date_of(self._ask.exchanges[-20:]) or datetime.now(UTC)

    async def _list(self, path: str, key: str, **query: int) -> tuple[list[Record], Exchange]:
        exchange = await self._ask.ask("GET", path, query=query)
        records = [as_object(item) for item in as_list(exchange.member(key))] if exchange.is_success else []
        records = [record for record in records if is_uid(text(record, "uid"))]
        count = as_object(exchange.member("pagination")).get("count")
        if exchange.is_success and isinstance(count, int) and count > self._longest[1]:
            self._longest = (path, count)
        return records, exchange

    async def _read_projects(self) -> None:
        self._projects, exchange = await self._list("/projects", "projects", limit=_PAGE)
        if not exchange.is_success:
            reason = f"The listing of projects ended with {exchange.outcome}."
            for key in (3, 4, 5, 6, 21, 22, 25, 26, 27, 31, "pagination"):
                self._found.leave(key, reason)
            return
        self._judge_order("projects", [self._projects])
        default = await self._ask.ask("GET", "/projects")
        second = await self._ask.ask("GET", "/projects", query={"limit": 1, "skip": 1})
        self._judge_pages(exchange, default, second)

    def _judge_pages(self, first: Exchange, default: Exchange, second: Exchange) -> None:
        page, plain, later = (as_object(one.member("pagination")) for one in (first, default, second))
        count = page.get("count")
        if not isinstance(count, int) or "skip" not in page:
            self._found.leave("pagination", f"The page has these members: {', '.join(field_names(page))}.")
            return
        shown = len(as_list(first.member("projects")))
        consistent = shown == min(count, _PAGE) and later.get("count") == count and later.get("skip") == 1
        if not consistent:
            self._found.leave("pagination", "The figures of three pages do not fit together.")
            return
        self._found.part("pagination", "count", "total", "count is that of all projects, on each of three pages.")
        self._found.part("pagination", "first_skip", page["skip"], "skip of the first page, and 1 of the second.")
        if isinstance(limit := plain.get("limit"), int):
            self._found.part("pagination", "default_limit", limit, "limit of a page that was asked for without limit.")

    async def _read_not_found(self) -> None:
        exchange = await self._ask.ask("GET", f"/projects/{_NOBODY}")
        form = judging.envelope(exchange)
        if exchange.status == 404 and form is not None:
            self._found.decide(
                "not_found",
                {"status": exchange.status, "envelope": form},
                "A project was read that does not exist.",
                evidence=_codes(exchange),
            )
        else:
            self._found.leave("not_found", f"A project that does not exist was answered with {exchange.outcome}.")

    async def _read_environments(self) -> None:
        uploads = [one for one in self._projects if one.get("projectType") == "FILEUPLOAD"]
        others = [one for one in self._projects if one.get("projectType") != "FILEUPLOAD"]
        chosen = [*uploads[: _PROJECTS - 1], *others, *uploads[_PROJECTS - 1 :]]
        chosen.sort(key=lambda project: text(project, "uid") != self._first)
        if self._first and all(text(project, "uid") != self._first for project in chosen):
            chosen.insert(0, {"uid": self._first, "projectType": "FILEUPLOAD"})
        listings: list[list[Record]] = []
        for project in chosen[:_PROJECTS]:
            found, _ = await self._list(f"/projects/{text(project, 'uid')}/environments", "environments", limit=_PAGE)
            listings.append(found)
            self._environments += [(project, environment) for environment in found]
        self._judge_order("environments", listings)

    async def _read_deployments(self) -> None:
        listings: list[list[Record]] = []
        for project, environment in _one_of_each(self._environments, _ENVIRONMENTS):
            path = f"{environment_path(project, environment)}/deployments"
            found, _ = await self._list(path, "deployments", limit=_PAGE)
            listings.append(found)
            self._places += [Place(project, environment, deployment) for deployment in found]
        self._judge_order("deployments", listings)
        self._judge_superseded(listings)

    def _judge_order(self, kind: str, listings: Iterable[Sequence[Record]]) -> None:
        order = judging.list_order(listings)
        if order is None:
            self._found.leave(22, f"The listings of {kind} are too short, or fit no order or several.")
            return
        self._orders[kind] = order
        self._found.part(22, kind, order, f"The listings of {kind} fit no other order.")

    def _judge_superseded(self, listings: Iterable[Sequence[Record]]) -> None:
        statuses: set[str] = set()
        retentions: set[int] = set()
        for records in listings:
            numbered = [one for one in records if isinstance(one.get("deploymentNumber"), int)]
            numbered.sort(key=lambda one: -int(str(one["deploymentNumber"])))
            live = [index for index, one in enumerate(numbered) if one.get("status") == "LIVE"]
            if len(live) != 1:
                continue
            older = [one for one in numbered[live[0] + 1 :] if one.get("status") in _SUPERSEDED]
            statuses |= {text(one, "status") for one in older}
            eligible = [one.get("isRollbackEligible") for one in older]
            count = eligible.count(True)
            if False in eligible and eligible == [True] * count + [False] * (len(eligible) - count):
                retentions.add(count)
        if len(statuses) == 1:
            status = statuses.pop()
            self._found.decide(
                21,
                status,
                "Deployments that are older than the LIVE one of their environment all have this status, or never "
                "were LIVE.",
                options={"superseded_status": status},
            )
        elif statuses:
            self._found.leave(21, "Deployments that are older than the LIVE one have both statuses.")
        else:
            self._found.leave(21, "No environment has a deployment that was superseded.")
        if len(retentions) == 1:
            retention = retentions.pop()
            self._found.decide(
                "retention",
                retention,
                "The newest superseded deployments are eligible, and older ones are not.",
                options={"rollback_retention": retention},
            )
        else:
            self._found.leave("retention", "No environment shows where eligibility ends.")

    async def _read_organization_header(self) -> None:
        usual = await self._ask.ask("GET", "/projects", query={"limit": 1})
        if not usual.is_success or usual.is_bearer is None:
            return
        without = await self._ask.ask("GET", "/projects", query={"limit": 1}, organization="")
        if usual.is_bearer:
            self._found.leave(13, "The client has a bearer token. The question needs an authtoken.")
            other = await self._ask.ask("GET", "/projects", query={"limit": 1}, organization=_OTHER_ORGANIZATION)
            for name, exchange in {"without": without, "other": other}.items():
                if exchange.status in (200, 401, 403):
                    what = "without organization_uid" if name == "without" else "with another organization_uid"
                    self._found.part(12, name, exchange.status, f"A listing {what} ended with {exchange.outcome}.")
            if other.status in (200, 401, 403) and without.is_success:
                self._found.offer(check_bearer_organization=other.status != 200)
            return
        self._found.leave(12, "The client has an authtoken. The question needs a bearer token.")
        if without.status in (401, 403):
            self._found.decide(
                13,
                without.status,
                "A listing was read without the header, and with it before.",
                evidence=_codes(without),
                options={"missing_organization_status": without.status},
            )
        else:
            self._found.leave(13, f"A listing without organization_uid ended with {without.outcome}.")

    async def _read_usage(self) -> None:
        exchange = await self._ask.ask("GET", "/usage-analytics/revalidate-cdn-cache")
        if not exchange.is_success:
            self._found.leave(23, f"The usage ended with {exchange.outcome}.")
            return
        kind = judging.usage_reset(exchange.member("usageReset"), self._now)
        if kind is None:
            self._found.leave(
                23, f"The usage has these members: {', '.join(field_names(as_object(exchange.document)))}."
            )
            return
        self._found.decide(
            23,
            kind,
            "usageReset of the usage is a moment near the present.",
            still_open="The scope that the call needs is not tested.",
            options={"usage_reset": kind},
        )

    async def _read_download_url(self) -> None:
        places = [one for one in self._places if one.project.get("projectType") == "FILEUPLOAD" and one.is_finished]
        self._found.leave(3, "There is no finished deployment of an uploaded archive.")
        for place in islice(_live_first(places), 2):
            exchange = await self._ask.ask("GET", f"{place.path}/download/signed_url")
            links = [
                name
                for name, value in as_object(exchange.document).items()
                if isinstance(value, str) and value.startswith(("https://", "http://"))
            ]
            if exchange.is_success and len(links) == 1:
                self._found.decide(
                    3,
                    plain_name(links[0]),
                    "Exactly one field of the answer holds a URL.",
                    evidence=[f"Fields: {', '.join(field_names(as_object(exchange.document)))}."],
                    options={"download_key": links[0]},
                )
                return
            self._found.leave(3, f"The answer with {exchange.outcome} has {len(links)} fields that hold a URL.")

    async def _read_build_logs(self) -> None:
        stages: dict[str, None] = {}
        lengths: list[int] = []
        ages: dict[bool, list[float]] = {True: [], False: []}
        for reason in (6, 25, 29, 33):
            self._found.leave(reason, "There is no finished deployment with a build log.")
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
        """Give the newest and the oldest of the deployments that have succeeded."""
        finished = [one for one in self._places if one.is_finished]
        newest = list(islice(_live_first(finished), _LOGS))
        oldest = sorted(finished, key=lambda one: text(one.deployment, "createdAt"))[:_OLD_LOGS]
        yield from newest
        yield from (place for place in oldest if place not in newest)

    def _age_of_log(self, place: Place, lines: Sequence[JSONValue]) -> float | None:
        """Return the age of a log's last line in seconds; of an empty log, that of its deployment."""
        stamps = [judging.moment(as_object(line).get("timestamp")) for line in lines[-1:]]
        at = stamps[0] if stamps else judging.moment(place.deployment.get("createdAt"))
        now = judging.date_of(self._ask.exchanges)
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
                f"An answer held {longest} lines, which is more than the page of {_LONG_LOG} lines that other "
                "interfaces of Launch have.",
                still_open=f"A limit above {longest} lines.",
            )
        elif longest:
            self._found.leave(33, f"The longest log that was read has {longest} lines.")

    def _judge_retention(self, *, kept: Sequence[float], gone: Sequence[float]) -> None:
        """Decide by the oldest log that is there and the newest one that is not."""
        if not kept:
            return
        oldest, days = max(kept), max(kept) / _DAY_S
        if len(gone) >= _GONE_LOGS and min(gone) > oldest:
            self._found.decide(
                29,
                {"kept_for_days": round(days, 3), "gone_after_days": round(min(gone) / _DAY_S, 3)},
                f"{len(gone)} logs are empty, and their deployments are older than all others whose logs were read.",
                still_open="The exact period.",
                options={"log_retention": (oldest + min(gone)) / 2},
            )
        elif not gone and days >= 1:
            self._found.decide(
                29,
                {"kept_for_days": round(days, 3)},
                "The oldest log that was read is so old.",
                still_open="Whether older logs are kept.",
            )
        else:
            self._found.leave(29, f"The oldest log that was read is {days:.1f} days old, and {len(gone)} are empty.")

    async def _read_log_bound(self, place: Place, lines: Sequence[JSONValue]) -> None:
        """Read the rest of a finished log from the timestamps of two of its lines."""
        stamps = list(dict.fromkeys(text(as_object(line), "timestamp") for line in lines))
        if len(stamps) < 2:
            self._found.leave(6, "The lines of the log all have one timestamp.")
            return
        verdicts: set[str | None] = set()
        for since in {stamps[len(stamps) // 2]: None, stamps[-1]: None}:
            exchange = await self._ask.ask("GET", f"{place.path}/logs/deployment-logs", query={"timestamp": since})
            rest = as_list(exchange.member("deploymentLogs"))
            verdicts.add(judging.log_bound(lines, since, rest) if exchange.is_success else None)
        verdict = verdicts.pop()
        if verdicts or verdict is None:
            self._found.leave(
                6, "A read from the timestamp of a line holds neither all lines since then nor the later ones."
            )
            return
        self._found.decide(
            6,
            verdict,
            "The log of a finished deployment was read whole, and then from the timestamps of lines in it.",
            evidence=[f"{len(lines)} lines with {len(stamps)} timestamps."],
            options={"log_bound": verdict},
        )

    async def _read_server_logs(self) -> None:
        live = [place for place in self._places if place.is_live]
        rendered = sorted(
            (place for place in live if not place.is_static), key=lambda place: not place.is_server_rendered
        )
        self._found.leave(4, "There is no LIVE deployment whose server logs could be read.")
        self._found.leave(5, "There is no LIVE deployment whose server logs could be read.")
        window = self._window()
        answered: Place | None = None
        for place in rendered[:3]:
            exchange = await self._ask.ask("GET", f"{place.path}/logs/server-logs", query=window)
            if exchange.is_success and self._judge_server_logs(exchange):
                answered = place
                break
            if exchange.is_success:
                continue
            self._found.leave(4, f"The server logs ended with {exchange.outcome}.")
            self._found.leave(5, f"The server logs ended with {exchange.outcome}.")
        static = next((place for place in live if place.is_static), None)
        if static is not None:
            exchange = await self._ask.ask("GET", f"{static.path}/logs/server-logs", query=window)
            self._judge_static(exchange, compared=answered is not None)
            if answered is None and exchange.is_success and self._judge_server_logs(exchange):
                answered = static
        if answered is not None:
            exchange = await self._ask.ask("GET", f"{answered.path}/logs/server-logs")
            if exchange.status is not None and (exchange.is_success or exchange.status in (400, 422, 500)):
                self._found.part(
                    5,
                    "without_window",
                    exchange.status,
                    f"Server logs without startTime and endTime ended with {exchange.outcome}, and with them with 200.",
                    options={"server_logs_window_status": exchange.status},
                )

    def _window(self) -> dict[str, str | int | None]:
        end = self._now
        return {
            "startTime": str(int((end - timedelta(minutes=10)).timestamp() * 1000)),
            "endTime": str(int(end.timestamp() * 1000)),
        }

    def _judge_server_logs(self, exchange: Exchange) -> bool:
        """Decide by the name of the list, and return whether the answer has exactly one."""
        if isinstance(exchange.document, list):
            key = "bare"
        else:
            lists = [name for name, value in as_object(exchange.document).items() if isinstance(value, list)]
            if len(lists) != 1:
                self._found.leave(4, f"The answer has {len(lists)} members that are lists.")
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
                f"Server logs of a static site ended with {exchange.outcome}.",
                options={"static_server_logs_fail": not exchange.is_success},
            )
        else:
            self._found.note(5, f"Server logs of a static site ended with {exchange.outcome}.")

    async def _read_domains(self) -> None:
        if not self._environments:
            self._found.leave(27, "There is no environment.")
            return
        live = [(place.project, place.environment) for place in _live_first(self._places)]
        project, environment = (live or self._environments)[0]
        path = f"{environment_path(project, environment)}/domains"
        plain = await self._ask.ask("GET", path)
        exchange = plain
        if not plain.is_success:
            uids = text(project, "uid"), text(environment, "uid")
            exchange = await self._ask.watch("GET", path, self._ask.client.domains.list(*uids).page)
        if exchange.is_success:
            needed = not plain.is_success
            told = f"A listing without x-project-uid ended with {plain.outcome}, and with it with {exchange.outcome}."
            without = "A listing without x-project-uid ended with status 200."
            self._found.part(
                27,
                "header_needed",
                needed,
                told if needed else without,
                options={"domain_header": needed, "domains": True},
            )
            self._judge_domains([as_object(domain) for domain in as_list(exchange.member("domains"))])
        elif plain.status in _NOT_OFFERED and exchange.status in _NOT_OFFERED:
            self._found.decide(
                27,
                {"offered": False},
                f"The listing of an environment that exists ended with {plain.outcome}.",
                contradicts=True,
                options={"domains": False},
            )
        else:
            self._found.leave(27, f"The listing of domains ended with {exchange.outcome}.")

    def _judge_domains(self, domains: Sequence[Record]) -> None:
        if not domains:
            return
        infos = [as_object(domain.get("domainInfo")) for domain in domains]
        self._found.note(27, f"Fields: {', '.join(field_names(name for domain in domains for name in domain))}.")
        self._found.note(27, f"Of domainInfo: {', '.join(field_names(name for info in infos for name in info))}.")
        lists = {name for info in infos for name, value in info.items() if isinstance(value, list)}
        records = {
            name
            for info in infos
            for name, value in info.items()
            if isinstance(value, list) and value and all("type" in as_object(one) for one in value)
        }
        if len(records) == 1:
            key = records.pop()
            self._found.part(
                27,
                "dns_records_key",
                plain_name(key),
                "One member of domainInfo is a list of objects with a type.",
                options={"dns_records_key": key},
            )
        elif not lists and any(domain.get("isCustomDomain") is True for domain in domains):
            self._found.part(27, "dns_records_key", None, "No member of a custom domain's domainInfo is a list.")

    async def _read_live_log(self) -> None:
        live = [place for place in self._places if place.is_live and not place.is_static]
        live.sort(key=lambda place: not place.is_server_rendered)
        if not live:
            self._found.leave(31, "There is no LIVE deployment that may have a server.")
            return
        exchange = await self._ask.ask("GET", f"{live[0].path}/logs/live")
        if exchange.status in _NOT_OFFERED:
            self._found.decide(
                31,
                {"status": exchange.status},
                "The live log of a LIVE deployment was opened.",
                evidence=_codes(exchange),
                options={"live_logs_status": exchange.status},
            )
            return
        frames = judging.live_frames(exchange.body)
        if exchange.status != 200 or frames.heartbeat is None:
            self._found.leave(31, f"The live log ended with {exchange.outcome}, and sent no heartbeat of one form.")
            return
        value: dict[str, JSONValue] = {"status": 200, "heartbeat": frames.heartbeat}
        options: dict[str, object] = {"live_logs_status": 200, "live_log_heartbeat": frames.heartbeat}
        end = frames.session_end()
        if end is not None and (seconds := _rounded((end - self._now).total_seconds())) > 0:
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
            "The beginning of a live log was read.",
            evidence=[f"Events: {', '.join(field_names(name for name, _ in frames.events)) or 'none'}."],
            still_open="Resumption with Last-Event-ID." if names else "Name and form of entries, and resumption.",
            options=options,
        )

    async def _read_single_ones(self) -> None:
        """Read one project, environment and deployment each: a single answer may have more fields than a listing."""
        if not self._places:
            return
        place = self._places[0]
        paths = {
            "project": f"/projects/{text(place.project, 'uid')}",
            "environment": environment_path(place.project, place.environment),
            "deployment": place.path,
        }
        for kind, path in paths.items():
            exchange = await self._ask.ask("GET", path)
            if exchange.is_success and (record := as_object(exchange.member(kind))):
                self._singles[kind].append(record)

    async def _read_limit_0(self) -> None:
        path, count = self._longest
        if not path:
            self._found.leave(32, "There is no listing.")
            return
        exchange = await self._ask.ask("GET", path, query={"limit": 0})
        key = path.rpartition("/")[2]
        got = len(as_list(exchange.member(key)))
        if exchange.status in _REFUSED:
            meaning = "refused"
        elif exchange.is_success and count > 10 and got in (0, 10, count):
            meaning = {0: "nothing", 10: "default", count: "everything"}[got]
        else:
            self._found.leave(
                32, f"A listing of {count} items was answered with {exchange.outcome} and {got} items: too few to tell."
            )
            return
        self._found.decide(
            32,
            meaning,
            f"A listing of {count} items was answered with {exchange.outcome} and {got} items.",
            evidence=_codes(exchange),
            options={"zero_limit": meaning},
        )

    def _judge_what_was_read(self) -> None:
        if len({*self._orders.values()}) == 1:
            self._found.offer(list_order=next(iter(self._orders.values())))
        self._judge_unset_fields()
        self._judge_dates()
        self._judge_identifiers()
        self._judge_rate_limit()

    def _judge_unset_fields(self) -> None:
        records = self._records()
        found = judging.unset_fields(records) if all(records.values()) else None
        if found is None:
            self._found.leave(26, "No field is unset.")
            return
        kind, null, absent = found
        if kind == "mixed" and not self._are_known(records):
            self._found.leave(26, "The records do not look like those of the service.")
            return
        self._found.decide(
            26,
            {"unset": kind, "null": [*null], "absent": [*absent]},
            f"{sum(map(len, records.values()))} projects, environments and deployments were read.",
            options={} if kind == "mixed" else {"unset_fields": kind},
        )

    def _records(self) -> dict[str, list[Record]]:
        """Return everything that was read, by its kind."""
        return {
            "project": [*self._projects, *self._singles["project"]],
            "environment": [*(one for _, one in self._environments), *self._singles["environment"]],
            "deployment": [*(place.deployment for place in self._places), *self._singles["deployment"]],
        }

    @staticmethod
    def _are_known(records: Mapping[str, Sequence[Record]]) -> bool:
        """Return whether all records have the times of the service, so that their fields can be trusted."""
        return all(judging.is_service_time(record.get("createdAt")) for found in records.values() for record in found)

    def _judge_dates(self) -> None:
        answers = [one for one in self._ask.exchanges if one.status is not None]
        dates = [one.headers.get("date") for one in answers]
        if answers and all(parse_http_date(date) is not None for date in dates):
            self._found.decide(
                "date",
                {"present": True, "precision_s": 1},
                f"All {len(answers)} answers have a Date in the form of HTTP, which has whole seconds.",
            )
        elif answers and not any(dates):
            self._found.decide("date", {"present": False}, f"None of {len(answers)} answers has a Date.")
        else:
            self._found.leave("date", "Some answers have no Date that can be read.")

    def _judge_identifiers(self) -> None:
        records = [*self._projects, *(one for _, one in self._environments), *(one.deployment for one in self._places)]
        times = [record["createdAt"] for record in records if record.get("createdAt") is not None]
        if not times:
            self._found.leave("identifiers", "No record has a UID and a time.")
            return
        self._found.decide(
            "identifiers",
            {"uids": "hex24", "times": "iso_ms_z" if all(map(judging.is_service_time, times)) else "other"},
            f"{len(records)} records were read.",
        )

    def _judge_rate_limit(self) -> None:
        answers = [one for one in self._ask.exchanges if one.status is not None]
        announced = any(name.startswith("x-ratelimit-") for one in answers for name in one.headers)
        refused = [one for one in answers if one.status == 429]
        if not refused:
            self._found.leave(8, "No request was refused with 429, and the probe provokes none.")
            successes = [one for one in answers if one.is_success]
            if len(successes) >= _ENOUGH_SUCCESSES and self._places and self._are_known(self._records()):
                self._found.decide(
                    8,
                    {"headers": announced},
                    f"{len(successes)} successes came {'with' if announced else 'without'} X-RateLimit headers.",
                    still_open="Body and Retry-After of a 429, which the probe does not provoke; how requests count.",
                    options={"rate_headers": announced},
                )
            return
        forms = Counter(_refusal_form(one) for one in refused)
        retry_after = any("retry-after" in one.headers for one in refused)
        form = forms.most_common(1)[0][0]
        self._found.decide(
            8,
            {"body": form if len(forms) == 1 else "mixed", "headers": announced or retry_after},
            f"{len(refused)} requests were refused without being provoked.",
            evidence=[
                f"Retry-After: {'present' if retry_after else 'absent'}.",
                f"X-RateLimit headers: {'present' if announced else 'absent'}.",
            ],
            still_open="How requests are counted.",
            options={"refusal_body": form, "rate_headers": announced or retry_after} if len(forms) == 1 else {},
        )


def is_uid(uid: str) -> bool:
    """Return whether a text can be put into a path: the UID of a project, environment or deployment."""
    return len(uid) == len(_NOBODY) and all(letter in "0123456789abcdef" for letter in uid)


def environment_path(project: Record, environment: Record) -> str:
    """Return the path of an environment."""
    return f"/projects/{text(project, 'uid')}/environments/{text(environment, 'uid')}"


def _rounded(seconds: float) -> int:
    """Round the length of a session: the header Date that it is counted from has whole seconds."""
    return 5 * round(seconds / 5) if seconds >= 30 else round(seconds)


def _refusal_form(exchange: Exchange) -> str:
    form = judging.envelope(exchange)
    return form if form in ("coded", "html", "empty") else "other"


def _codes(exchange: Exchange) -> list[str]:
    return [f"Code: {plain_name(code)}." for code in dict.fromkeys(exchange.codes)]


def _live_first(places: Iterable[Place]) -> Iterator[Place]:
    return iter(sorted(places, key=lambda place: not place.is_live))


def _one_of_each(pairs: Sequence[tuple[Record, Record]], most: int) -> Iterator[tuple[Record, Record]]:
    """Give environments of different projects and presets first."""
    seen: Counter[str] = Counter()
    ranked: list[tuple[int, int, tuple[Record, Record]]] = []
    for place, (project, environment) in enumerate(pairs):
        kind = f"{text(environment, 'frameworkPreset')} {bool(text(environment, 'serverCommand'))}"
        owner = text(project, "uid")
        ranked.append((seen[kind] + seen[owner], place, (project, environment)))
        seen[kind] += 1
        seen[owner] += 1
    ranked.sort(key=lambda one: one[:2])
    return (pair for _, _, pair in ranked[:most])
