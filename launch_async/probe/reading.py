"""Decide questions by reads. These requests change and delete nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Final

from launch_async.probe import judging
from launch_async.probe.exchanges import Asker, Exchange, OutOfRequests, as_list, as_object
from launch_async.probe.findings import Findings, codes_of, field_names, plain_name
from launch_async.probe.judging import Record, text
from launch_async.probe.logs import Logs
from launch_async.probe.survey import Survey, environment_path, live_first
from launch_async.wire.timestamps import parse_http_date

__all__ = ["Reader"]

_ENOUGH_SUCCESSES: Final = 10
_NOBODY: Final = "0" * 24
_OTHER_ORGANIZATION: Final = "blt" + "0" * 16
_REFUSED: Final = frozenset({400, 422})
_NOT_OFFERED: Final = frozenset({404, 405, 501})


class Reader:
    """Reads existing data, and decides the questions that the data answers.

    Args:
        asker: Sends the requests.
        findings: Collects the verdicts.
        daring: Whether to ask for a listing with limit=0.
        on_step: Called with each step before it begins.
        first: UID of a project to read first.
    """

    def __init__(
        self, asker: Asker, findings: Findings, *, daring: bool, on_step: Callable[[str], object], first: str = ""
    ) -> None:
        self._ask = asker
        self._on_step = on_step
        self._found = findings
        self._is_daring = daring
        self._survey = Survey(asker, findings, first)
        self._logs = Logs(asker, findings, self._survey)

    async def read(self) -> None:
        """Send the reads one at a time, until the steps or the requests are used up."""
        steps = {
            "Read projects": self._survey.read_projects,
            "Read a project that does not exist": self._read_not_found,
            "Read environments": self._survey.read_environments,
            "Read deployments": self._survey.read_deployments,
            "Read a listing without the organization's UID": self._read_organization_header,
            "Read the usage of revalidations": self._read_usage,
            "Read a download URL": self._read_download_url,
            "Read build logs": self._logs.read_build_logs,
            "Read server logs": self._logs.read_server_logs,
            "Read domains": self._read_domains,
            "Read the beginning of a live log": self._logs.read_live_log,
            "Read a project, an environment and a deployment": self._survey.read_single_ones,
        }
        if self._is_daring:
            steps["Read a listing with limit=0"] = self._read_limit_0
        else:
            self._found.leave_undecided(
                32, "limit=0 may return the whole organization. The probe sends it only with daring=True."
            )
        try:
            for title, step in steps.items():
                self._on_step(title)
                await step()
        except OutOfRequests:
            self._found.stopped(f"The probe stopped at its maximum of {self._ask.spent} requests.")
        self._judge_what_was_read()

    async def _read_not_found(self) -> None:
        exchange = await self._ask.ask("GET", f"/projects/{_NOBODY}")
        form = judging.envelope(exchange)
        if exchange.status == 404 and form is not None:
            self._found.decide(
                "not_found",
                {"status": exchange.status, "envelope": form},
                "The probe read a project that does not exist.",
                evidence=codes_of(exchange),
            )
        else:
            self._found.leave_undecided(
                "not_found", f"A read of a project that does not exist ended with {exchange.outcome}."
            )

    async def _read_organization_header(self) -> None:
        usual = await self._ask.ask("GET", "/projects", query={"limit": 1})
        if not usual.is_success or usual.is_bearer is None:
            return
        without = await self._ask.ask("GET", "/projects", query={"limit": 1}, organization="")
        if usual.is_bearer:
            self._found.leave_undecided(13, "The client has a bearer token. The question needs an authtoken.")
            other = await self._ask.ask("GET", "/projects", query={"limit": 1}, organization=_OTHER_ORGANIZATION)
            for name, exchange in {"without": without, "other": other}.items():
                if exchange.status in (200, 401, 403):
                    what = "without organization_uid" if name == "without" else "with another organization_uid"
                    self._found.part(12, name, exchange.status, f"A listing {what} ended with {exchange.outcome}.")
            if other.status in (200, 401, 403) and without.is_success:
                self._found.offer(check_bearer_organization=other.status != 200)
            return
        self._found.leave_undecided(12, "The client has an authtoken. The question needs a bearer token.")
        if without.status in (401, 403):
            self._found.decide(
                13,
                without.status,
                "The probe read a listing with the header, and then without it.",
                evidence=codes_of(without),
                options={"missing_organization_status": without.status},
            )
        else:
            self._found.leave_undecided(13, f"A listing without organization_uid ended with {without.outcome}.")

    async def _read_usage(self) -> None:
        exchange = await self._ask.ask("GET", "/usage-analytics/revalidate-cdn-cache")
        if not exchange.is_success:
            self._found.leave_undecided(23, f"The read of the usage ended with {exchange.outcome}.")
            return
        kind = judging.usage_reset(exchange.member("usageReset"), self._ask.now)
        if kind is None:
            self._found.leave_undecided(
                23, f"The usage has these members: {', '.join(field_names(as_object(exchange.document)))}."
            )
            return
        self._found.decide(
            23,
            kind,
            "With this type, usageReset is a time near the present.",
            still_open="The scope that the call needs.",
            options={"usage_reset": kind},
        )

    async def _read_download_url(self) -> None:
        places = [
            one for one in self._survey.places if one.project.get("projectType") == "FILEUPLOAD" and one.is_finished
        ]
        self._found.leave_undecided(3, "There is no finished deployment of an uploaded archive.")
        for place in islice(live_first(places), 2):
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
                    "Exactly one field of the answer contains a URL.",
                    evidence=[f"Fields: {', '.join(field_names(as_object(exchange.document)))}."],
                    options={"download_key": links[0]},
                )
                return
            self._found.leave_undecided(
                3, f"The answer with {exchange.outcome} has {len(links)} fields that contain a URL."
            )

    async def _read_domains(self) -> None:
        if not self._survey.environments:
            self._found.leave_undecided(27, "There is no environment.")
            return
        live = [(place.project, place.environment) for place in live_first(self._survey.places)]
        project, environment = (live or self._survey.environments)[0]
        path = f"{environment_path(project, environment)}/domains"
        plain = await self._ask.ask("GET", path)
        exchange = plain
        if not plain.is_success:
            uids = text(project, "uid"), text(environment, "uid")
            exchange = await self._ask.watch("GET", path, self._ask.client.domains.list(*uids).page)
        if exchange.is_success:
            needed = not plain.is_success
            evidence = f"A listing without x-project-uid: {plain.outcome}. With the header: {exchange.outcome}."
            without = "A listing without x-project-uid ended with status 200."
            self._found.part(
                27,
                "header_needed",
                needed,
                evidence if needed else without,
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
            self._found.leave_undecided(27, f"The listing of domains ended with {exchange.outcome}.")

    def _judge_domains(self, domains: Sequence[Record]) -> None:
        if not domains:
            return
        infos = [as_object(domain.get("domainInfo")) for domain in domains]
        self._found.note(27, f"Fields: {', '.join(field_names(name for domain in domains for name in domain))}.")
        self._found.note(
            27, f"Fields of domainInfo: {', '.join(field_names(name for info in infos for name in info))}."
        )
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

    async def _read_limit_0(self) -> None:
        path, count = self._survey.longest
        if not path:
            self._found.leave_undecided(32, "The probe has read no listing.")
            return
        exchange = await self._ask.ask("GET", path, query={"limit": 0})
        key = path.rpartition("/")[2]
        got = len(as_list(exchange.member(key)))
        if exchange.status in _REFUSED:
            meaning = "refused"
        elif exchange.is_success and count > 10 and got in (0, 10, count):
            meaning = {0: "nothing", 10: "default", count: "everything"}[got]
        else:
            self._found.leave_undecided(
                32,
                f"A listing of {count} items: {exchange.outcome} and {got} items with limit=0, too few to decide.",
            )
            return
        self._found.decide(
            32,
            meaning,
            f"A listing of {count} items: {exchange.outcome} and {got} items with limit=0.",
            evidence=codes_of(exchange),
            options={"zero_limit": meaning},
        )

    def _judge_what_was_read(self) -> None:
        self._survey.judge()
        self._judge_dates()
        self._judge_rate_limit()

    def _judge_dates(self) -> None:
        answers = [one for one in self._ask.exchanges if one.status is not None]
        dates = [one.headers.get("date") for one in answers]
        if answers and all(parse_http_date(date) is not None for date in dates):
            self._found.decide(
                "date",
                {"present": True, "precision_s": 1},
                f"All {len(answers)} answers have a Date in the HTTP format, with whole seconds.",
            )
        elif answers and not any(dates):
            self._found.decide("date", {"present": False}, f"None of {len(answers)} answers has a Date.")
        else:
            self._found.leave_undecided("date", "Some answers have no readable Date.")

    def _judge_rate_limit(self) -> None:
        answers = [one for one in self._ask.exchanges if one.status is not None]
        announced = any(name.startswith("x-ratelimit-") for one in answers for name in one.headers)
        refused = [one for one in answers if one.status == 429]
        if not refused:
            self._found.leave_undecided(
                8, "The service refused no request with 429, and the probe does not provoke a 429."
            )
            successes = [one for one in answers if one.is_success]
            if len(successes) >= _ENOUGH_SUCCESSES and self._survey.are_known():
                self._found.decide(
                    8,
                    {"headers": announced},
                    f"{len(successes)} successful answers had {'' if announced else 'no '}X-RateLimit headers.",
                    still_open="The body and Retry-After of a 429, which the probe does not provoke, and how requests "
                    "are counted.",
                    options={"rate_headers": True} if announced else {},
                )
            return
        forms = Counter(_refusal_form(one) for one in refused)
        retry_after = any("retry-after" in one.headers for one in refused)
        form = forms.most_common(1)[0][0]
        self._found.decide(
            8,
            {"body": form if len(forms) == 1 else "mixed", "headers": announced or retry_after},
            f"The service refused {len(refused)} requests with 429. The probe did not provoke them.",
            evidence=[
                f"Retry-After: {'present' if retry_after else 'absent'}.",
                f"X-RateLimit headers: {'present' if announced else 'absent'}.",
            ],
            still_open="How requests are counted.",
            options={"refusal_body": form, "rate_headers": announced or retry_after} if len(forms) == 1 else {},
        )


def _refusal_form(exchange: Exchange) -> str:
    form = judging.envelope(exchange)
    return form if form in ("coded", "html", "empty") else "other"
