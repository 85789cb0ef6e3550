"""List projects, environments and deployments, and decide questions about listings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import attrs

from launch_async.http.operation import is_uid
from launch_async.probe import judging
from launch_async.probe.exchanges import Asker, Exchange, as_list, as_object
from launch_async.probe.findings import Findings, field_names
from launch_async.probe.judging import Record, text

__all__ = ["Place", "Survey", "environment_path", "live_first"]

_PAGE: Final = 20
_PROJECTS: Final = 8
_ENVIRONMENTS: Final = 10
_SUPERSEDED: Final = ("ARCHIVED", "DEPLOYED")
_STATIC: Final = frozenset({"GATSBY", "CRA", "CSR", "VUEJS"})
_SERVER_RENDERED: Final = frozenset({"NEXTJS", "NUXT", "REMIX", "ASTRO", "ANALOG", "ANGULAR"})


@attrs.frozen
class Place:
    """A deployment with its project and environment."""

    project: Record
    environment: Record
    deployment: Record

    @property
    def path(self) -> str:
        """Path of the deployment."""
        return f"{environment_path(self.project, self.environment)}/deployments/{text(self.deployment, 'uid')}"

    @property
    def is_live(self) -> bool:
        """Whether the deployment is live."""
        return self.deployment.get("status") == "LIVE"

    @property
    def is_finished(self) -> bool:
        """Whether the deployment has succeeded, so its log no longer changes."""
        return self.deployment.get("status") in ("LIVE", *_SUPERSEDED)

    @property
    def is_server_rendered(self) -> bool:
        """Whether the site certainly has a server process."""
        return text(self.environment, "frameworkPreset") in _SERVER_RENDERED or bool(
            text(self.environment, "serverCommand")
        )

    @property
    def is_static(self) -> bool:
        """Whether the site certainly has no server process."""
        preset = text(self.environment, "frameworkPreset")
        return preset in _STATIC and not text(self.environment, "serverCommand")


class Survey:
    """Lists some projects, environments and deployments.

    Args:
        asker: Sends the requests.
        findings: Collects the verdicts.
        first: UID of a project to read first.

    Attributes:
        projects: The projects that the probe has read.
        environments: Environments, each with its project.
        places: Deployments, each with its environment and project.
        longest: Path of the listing with the most items, and their number.
    """

    def __init__(self, asker: Asker, findings: Findings, first: str) -> None:
        self.projects: list[Record] = []
        self.environments: list[tuple[Record, Record]] = []
        self.places: list[Place] = []
        self.longest: tuple[str, int] = ("", 0)
        self._ask = asker
        self._found = findings
        self._first = first
        self._orders: dict[str, str] = {}
        self._singles: dict[str, list[Record]] = {"project": [], "environment": [], "deployment": []}

    def judge(self) -> None:
        """Decide the questions that need all records."""
        if len({*self._orders.values()}) == 1:
            self._found.offer(list_order=next(iter(self._orders.values())))
        self._judge_unset_fields()
        self._judge_identifiers()

    async def _list(self, path: str, key: str, **query: int) -> tuple[list[Record], Exchange]:
        exchange = await self._ask.ask("GET", path, query=query)
        records = [as_object(item) for item in as_list(exchange.member(key))] if exchange.is_success else []
        records = [record for record in records if is_uid(text(record, "uid"))]
        count = as_object(exchange.member("pagination")).get("count")
        if exchange.is_success and isinstance(count, int) and count > self.longest[1]:
            self.longest = (path, count)
        return records, exchange

    async def read_projects(self) -> None:
        """List projects, and decide the format of pages."""
        self.projects, exchange = await self._list("/projects", "projects", limit=_PAGE)
        if not exchange.is_success:
            reason = f"The listing of projects ended with {exchange.outcome}."
            for key in (3, 4, 5, 6, 21, 22, 25, 26, 27, 31, "pagination"):
                self._found.leave_undecided(key, reason)
            return
        self._judge_order("projects", [self.projects])
        default = await self._ask.ask("GET", "/projects")
        second = await self._ask.ask("GET", "/projects", query={"limit": 1, "skip": 1})
        self._judge_pages(exchange, default, second)

    def _judge_pages(self, first: Exchange, default: Exchange, second: Exchange) -> None:
        page, plain, later = (as_object(one.member("pagination")) for one in (first, default, second))
        count = page.get("count")
        if not isinstance(count, int) or "skip" not in page:
            self._found.leave_undecided("pagination", f"The page has these members: {', '.join(field_names(page))}.")
            return
        shown = len(as_list(first.member("projects")))
        consistent = shown == min(count, _PAGE) and later.get("count") == count and later.get("skip") == 1
        if not consistent:
            self._found.leave_undecided("pagination", "The numbers of three pages are inconsistent.")
            return
        self._found.part("pagination", "count", "total", "On each of three pages, count is the number of all projects.")
        self._found.part(
            "pagination",
            "first_skip",
            page["skip"],
            "first_skip is skip of the first page. skip of the second page is 1.",
        )
        if isinstance(limit := plain.get("limit"), int):
            self._found.part(
                "pagination",
                "default_limit",
                limit,
                "default_limit is limit of a page that the probe requested without limit.",
            )

    async def read_environments(self) -> None:
        """List the environments of some projects."""
        uploads = [one for one in self.projects if one.get("projectType") == "FILEUPLOAD"]
        others = [one for one in self.projects if one.get("projectType") != "FILEUPLOAD"]
        # Read old and new environments. Old environments have more deployments.
        first_ones = _spread(uploads, _PROJECTS - 1)
        chosen = [*first_ones, *others, *(one for one in uploads if one not in first_ones)]
        chosen.sort(key=lambda project: text(project, "uid") != self._first)
        if self._first and all(text(project, "uid") != self._first for project in chosen):
            chosen.insert(0, {"uid": self._first, "projectType": "FILEUPLOAD"})
        listings: list[list[Record]] = []
        for project in chosen[:_PROJECTS]:
            found, _ = await self._list(f"/projects/{text(project, 'uid')}/environments", "environments", limit=_PAGE)
            listings.append(found)
            self.environments += [(project, environment) for environment in found]
        self._judge_order("environments", listings)

    async def read_deployments(self) -> None:
        """List the deployments of some environments."""
        listings: list[list[Record]] = []
        for project, environment in _one_of_each(self.environments, _ENVIRONMENTS):
            path = f"{environment_path(project, environment)}/deployments"
            found, _ = await self._list(path, "deployments", limit=_PAGE)
            listings.append(found)
            self.places += [Place(project, environment, deployment) for deployment in found]
        self._judge_order("deployments", listings)
        self._judge_superseded(listings)

    def _judge_order(self, kind: str, listings: Iterable[Sequence[Record]]) -> None:
        order = judging.list_order(listings)
        if order is None:
            self._found.leave_undecided(
                22, f"The listings of {kind} are too short, or they fit no order or several orders."
            )
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
                "Deployments older than the LIVE deployment of their environment all have this status, or never "
                "were LIVE.",
                options={"superseded_status": status},
            )
        elif statuses:
            self._found.leave_undecided(21, "Deployments older than the LIVE deployment have both statuses.")
        else:
            self._found.leave_undecided(21, "No environment has a superseded deployment.")
        if len(retentions) == 1:
            retention = retentions.pop()
            self._found.decide(
                "retention",
                retention,
                "The newest superseded deployments are eligible, and older ones are not.",
                options={"rollback_retention": retention},
            )
        else:
            self._found.leave_undecided("retention", "No environment shows where eligibility ends.")

    async def read_single_ones(self) -> None:
        """Read one project, environment and deployment, because their answers may have more fields than listings."""
        if not self.places:
            return
        place = self.places[0]
        paths = {
            "project": f"/projects/{text(place.project, 'uid')}",
            "environment": environment_path(place.project, place.environment),
            "deployment": place.path,
        }
        for kind, path in paths.items():
            exchange = await self._ask.ask("GET", path)
            if exchange.is_success and (record := as_object(exchange.member(kind))):
                self._singles[kind].append(record)

    def _judge_unset_fields(self) -> None:
        records = self._records()
        found = judging.unset_fields(records) if all(records.values()) else None
        if found is None:
            self._found.leave_undecided(26, "No field is unset.")
            return
        kind, null, absent = found
        if kind == "mixed":
            self._found.note(26, f"Null: {', '.join(null)}.")
            self._found.note(26, f"Absent: {', '.join(absent)}.")
            self._found.leave_undecided(26, "Some unset fields are null, and others are absent.")
            return
        self._found.decide(
            26,
            {"unset": kind, "null": [*null], "absent": [*absent]},
            f"The probe read {sum(map(len, records.values()))} projects, environments and deployments.",
            options={"unset_fields": kind},
        )

    def _records(self) -> dict[str, list[Record]]:
        """Return all records that the probe has read, by kind."""
        return {
            "project": [*self.projects, *self._singles["project"]],
            "environment": [*(one for _, one in self.environments), *self._singles["environment"]],
            "deployment": [*(place.deployment for place in self.places), *self._singles["deployment"]],
        }

    def are_known(self) -> bool:
        """Return whether all records have times in the service's format, so that their other fields can be trusted."""
        records = [record for found in self._records().values() for record in found]
        return bool(self.places) and all(judging.is_service_time(record.get("createdAt")) for record in records)

    def _judge_identifiers(self) -> None:
        records = [*self.projects, *(one for _, one in self.environments), *(one.deployment for one in self.places)]
        times = [record["createdAt"] for record in records if record.get("createdAt") is not None]
        if not times:
            self._found.leave_undecided("identifiers", "No record has a UID and a time.")
            return
        self._found.decide(
            "identifiers",
            {"uids": "hex24", "times": "iso_ms_z" if all(map(judging.is_service_time, times)) else "other"},
            f"The probe read {len(records)} records.",
        )


def environment_path(project: Record, environment: Record) -> str:
    """Return the path of an environment."""
    return f"/projects/{text(project, 'uid')}/environments/{text(environment, 'uid')}"


def live_first(places: Iterable[Place]) -> Iterator[Place]:
    """Return deployments, the live ones first."""
    return iter(sorted(places, key=lambda place: not place.is_live))


def _spread(records: Sequence[Record], most: int) -> list[Record]:
    """Return some records, evenly spread over a listing."""
    if len(records) <= most:
        return [*records]
    return [records[round(number * (len(records) - 1) / (most - 1))] for number in range(most)]


def _one_of_each(pairs: Sequence[tuple[Record, Record]], most: int) -> Iterator[tuple[Record, Record]]:
    """Return environments, those of different projects and presets first."""
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
