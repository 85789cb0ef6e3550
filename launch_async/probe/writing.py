"""Decide questions by writes to the scratch project. The probe changes nothing else."""

from __future__ import annotations

import asyncio
import tempfile
import zipfile
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from launch_async.client import LaunchClient
from launch_async.errors import LaunchError
from launch_async.http.operation import is_uid
from launch_async.models.base import JSONValue
from launch_async.models.upload import SignedUploadUrl
from launch_async.probe import judging
from launch_async.probe.exchanges import Asker, Exchange, OutOfRequests, as_list, as_object
from launch_async.probe.findings import Findings, codes_of, field_names, plain_name
from launch_async.probe.judging import Record, text
from launch_async.probe.scratch import Scratch
from launch_async.probe.survey import environment_path

__all__ = ["Writer"]

_BUILD_TIMEOUT_S: Final = 900.0
_FAILURES: Final = 3
"""Maximum number of failed polls in a row."""
_APPEARS_WITHIN_S: Final = 60.0
_IN_FLIGHT: Final = ("QUEUED", "DEPLOYING")
_REQUIRABLE: Final[Mapping[str, JSONValue]] = {
    "outputDirectory": "./",
    "environmentVariables": [],
    "buildCommand": "true",
}
_DOUBTED_S: Final = 30.0
"""Seconds for which the SDK checks listings before it sends a creation again."""
_POLL_EVERY_S: Final = 10.0
_WRONG_METHOD: Final = (404, 405, 501)
_WITH_A_PROJECT: Final = (1, 2, 15, 16, 17, 18, 20, 24, 35)
_LOG: Final = "logs/deployment-logs"
_PADDING: Final = 1024
"""Bytes of padding, because storage refuses smaller archives."""
_SITE: Final = "<!doctype html><title>probe</title><p>This site was made by contentstack-launch probe.</p>\n"


class Writer:
    """Creates and changes the scratch project, and records the answers to questions.

    Args:
        client: The client that uploads the site.
        asker: Sends the requests.
        findings: Collects the verdicts.
        scratch: The project to create.
        on_step: Called with each step before it begins.
    """

    def __init__(
        self,
        client: LaunchClient,
        asker: Asker,
        findings: Findings,
        scratch: Scratch,
        *,
        on_step: Callable[[str], object],
    ) -> None:
        self._client = client
        self._ask = asker
        self._found = findings
        self._scratch = scratch
        self._on_step = on_step
        self._method = "PUT"
        self._created: dict[str, int] = {}

    async def explore(self) -> None:
        """Create the project and everything in it, and record the answers to questions."""
        try:
            self._on_step("Create the scratch project")
            first = await self._create()
            if first is None:
                return
            self._on_step("Update its environment")
            await self._update(first)
            self._on_step("Create a second environment")
            second = await self._create_environment()
            if second is not None:
                await self._conflict(second)
                await self._variables(second)
            self._on_step("Update its domain and revalidate a path")
            await self._domains(first)
            await self._revalidate(first)
            self._on_step("Deploy it twice and wait for the builds")
            await self._deploy_twice(first)
        except OutOfRequests:
            self._found.stopped(f"The probe stopped its writes at its maximum of {self._ask.most} requests.")

    async def _upload(self, target: Callable[[], Awaitable[SignedUploadUrl]]) -> str | None:
        """Send the site to storage, and return the UID of the upload."""
        try:
            signed = await self._ask.paced(target)
        except OutOfRequests:
            raise
        except LaunchError as error:
            self._found.leave_undecided(28, f"The request for a signed upload URL ended with {type(error).__name__}.")
            self._found.leave_undecided(7, f"The request for a signed upload URL ended with {type(error).__name__}.")
            return None
        self._judge_upload_url(self._ask.exchanges[-1])
        try:
            with tempfile.TemporaryDirectory(prefix="launch-probe-") as folder:
                await self._client.uploads.send(signed, _write_site(Path(folder, "site.zip")))
        except LaunchError as error:
            # The service will refuse the creation with a reason.
            self._found.note(28, f"The upload ended with {type(error).__name__}.")
        return signed.upload_uid or None

    def _judge_upload_url(self, exchange: Exchange) -> None:
        target = as_object(exchange.document)
        style = judging.upload_style(target)
        if style is not None:
            self._found.decide(
                28,
                style,
                "The fields and headers of a signed upload URL belong to this cloud.",
                contradicts=style == "gcp_form",
                options={"upload_style": style},
            )
        else:
            self._found.leave_undecided(28, f"A signed upload URL has these members: {', '.join(field_names(target))}.")
        unit = judging.expiry_unit(target.get("expiresIn"), self._ask.now)
        if unit is not None:
            self._found.decide(
                7,
                unit,
                "expiresIn of a signed upload URL makes sense in this unit only.",
                options={"upload_expiry": unit},
            )
        else:
            self._found.leave_undecided(7, "expiresIn of a signed upload URL makes sense in no unit.")

    async def _create(self) -> Record | None:
        """Create the project, and return its first environment."""
        upload_uid = await self._upload(self._ask.client.uploads.url_for_project)
        if upload_uid is None:
            return None
        environment: dict[str, JSONValue] = {
            "name": self._scratch.mark,
            "frameworkPreset": "CSR",
            "outputDirectory": "./",
            "environmentVariables": [],
        }
        body: dict[str, JSONValue] = {
            "name": self._scratch.name,
            "projectType": "FILEUPLOAD",
            "fileUpload": {"uploadUid": upload_uid},
            "environment": environment,
        }
        self._scratch.will_be_created()
        exchange, _ = await self._posted("/projects", body, environment)
        self._scratch.was_answered(exchange)
        if not self._scratch.uid:
            codes = ", ".join(map(plain_name, exchange.codes))
            reason = (
                f"The creation of the scratch project ended with {exchange.outcome}{f' ({codes})' if codes else ''}."
            )
            for key in (*_WITH_A_PROJECT, "delete", "conflict", "empty_update"):
                self._found.leave_undecided(key, reason)
            return None
        return await self._first_environment()

    async def _first_environment(self) -> Record | None:
        clock = asyncio.get_running_loop().time
        began = missing = clock()
        path = f"/projects/{self._scratch.uid}/environments"
        while True:
            exchange = await self._ask.ask("GET", path)
            for environment in map(as_object, as_list(exchange.member("environments"))):
                # The project has no other environment yet.
                if is_uid(text(environment, "uid")):
                    self._judge_delay(missing - began, clock() - began)
                    return environment
            missing = clock()
            if exchange.status == 404:
                self._found.leave_undecided(35, "The new project no longer exists.")
                return None
            if missing - began > _APPEARS_WITHIN_S:
                self._found.leave_undecided(
                    35, f"The first environment had not appeared after {_APPEARS_WITHIN_S:.0f} s."
                )
                return None
            await asyncio.sleep(1.0)

    def _judge_delay(self, earliest: float, latest: float) -> None:
        self._found.decide(
            35,
            {"later_than_s": round(earliest, 1), "within_s": round(latest + 0.05, 1)},
            "The probe read a listing until the first environment of a new project appeared.",
            still_open="One creation cannot show the longest delay.",
            contradicts=earliest > _DOUBTED_S,
        )

    async def _update(self, environment: Record) -> None:
        path = self._path(environment)
        for name, target in {"project": f"/projects/{self._scratch.uid}", "environment": path}.items():
            exchange = await self._ask.ask("PUT", target, json={})
            if exchange.status is not None and (exchange.is_success or exchange.status in (400, 422)):
                evidence = f"An update of the {name} with an empty object ended with {exchange.outcome}."
                self._found.part("empty_update", name, exchange.status, evidence)
            else:
                self._found.leave_undecided(
                    "empty_update", f"An empty update of the {name} ended with {exchange.outcome}."
                )
        put, patch = [
            await self._ask.ask(method, path, json={"name": self._scratch.mark}) for method in ("PUT", "PATCH")
        ]
        self._judge_methods(put, patch)
        exchange = await self._ask.ask("PATCH", f"/projects/{self._scratch.uid}/git-repository", json={})
        if exchange.status is not None and (exchange.is_success or exchange.status in (400, 404, 405, 422, 501)):
            self._found.decide(
                15,
                exchange.status,
                "The probe sent an empty object for a project that has no repository.",
                evidence=codes_of(exchange),
                still_open="The fields of the body.",
                options={"git_repository_status": exchange.status},
            )
        else:
            self._found.leave_undecided(15, f"PATCH with an empty object ended with {exchange.outcome}.")

    def _judge_methods(self, put: Exchange, patch: Exchange) -> None:
        works = {name: one.is_success for name, one in {"PUT": put, "PATCH": patch}.items()}
        other = next((one for one in (put, patch) if not one.is_success), None)
        if all(works.values()):
            methods = "either"
        elif other is not None and any(works.values()) and other.status in _WRONG_METHOD:
            methods = "PUT" if works["PUT"] else "PATCH"
            self._method = methods
        else:
            self._found.leave_undecided(16, f"PUT ended with {put.outcome}, and PATCH with {patch.outcome}.")
            return
        self._found.part(
            16,
            "methods",
            methods,
            f"An environment got its current name again: PUT ended with {put.outcome}, PATCH with {patch.outcome}.",
            options={"environment_update": methods},
        )
        if other is not None:
            self._found.part(16, "other", other.status, "", options={"wrong_method_status": other.status})

    async def _create_environment(self) -> Record | None:
        """Create a second environment with as few settings as the service accepts."""
        path = f"/projects/{self._scratch.uid}/environments"
        upload_uid = await self._upload(lambda: self._ask.client.uploads.url_for_environment(self._scratch.uid))
        if upload_uid is None:
            return None
        body: dict[str, JSONValue] = {
            "name": f"{self._scratch.mark}-2",
            "frameworkPreset": "CSR",
            "uploadUid": upload_uid,
        }
        exchange, required = await self._posted(path, body, body)
        environment = as_object(exchange.member("environment"))
        if not exchange.is_success:
            reason = f"The creation of an environment ended with {exchange.outcome}."
            self._found.leave_undecided(18, reason)
            self._found.leave_undecided(1, reason)
            self._found.leave_undecided(17, reason)
            return None
        self._found.part(
            1, "environment", exchange.status, f"The creation of an environment ended with {exchange.outcome}."
        )
        self._created["environment"] = exchange.status or 0
        self._found.decide(
            18,
            required,
            "The service created an environment with only name, frameworkPreset and uploadUid."
            if not required
            else "The service named these fields as required, and accepted the environment with them.",
            options={"required_settings": required},
        )
        return environment if is_uid(text(environment, "uid")) else None

    async def _posted(
        self, path: str, body: dict[str, JSONValue], environment: dict[str, JSONValue]
    ) -> tuple[Exchange, list[JSONValue]]:
        """Send a creation, and add the settings that the service names as required. Return these settings."""
        required: list[JSONValue] = []
        while True:
            exchange = await self._ask.ask("POST", path, json=body)
            fields = [name.removeprefix("environment.") for name in _required_fields(exchange)]
            wanted = [name for name in fields if name in _REQUIRABLE and name not in environment]
            if not wanted:
                return exchange, required
            required += wanted
            environment |= {name: _REQUIRABLE[name] for name in wanted}

    async def _conflict(self, second: Record) -> None:
        exchange = await self._ask.ask(self._method, self._path(second), json={"name": self._scratch.mark})
        if exchange.status is None or exchange.status >= 500:
            self._found.leave_undecided("conflict", f"A rename to a name that is in use ended with {exchange.outcome}.")
            return
        self._found.decide(
            "conflict",
            {"status": exchange.status, "envelope": judging.envelope(exchange)},
            "The probe renamed an environment to the name of the other environment in its project.",
            evidence=codes_of(exchange),
        )

    async def _variables(self, environment: Record) -> None:
        path = self._path(environment)
        names: list[set[str]] = []
        for variables in ({"PROBE_A": "1", "PROBE_B": "2"}, {"PROBE_B": "3", "PROBE_C": "4"}):
            listed: list[JSONValue] = [{"key": key, "value": value} for key, value in variables.items()]
            exchange = await self._ask.ask(self._method, path, json={"environmentVariables": listed})
            if not exchange.is_success:
                self._found.leave_undecided(17, f"An update of variables ended with {exchange.outcome}.")
                return
            shown = await self._ask.ask("GET", path)
            entries = map(as_object, as_list(as_object(shown.member("environment")).get("environmentVariables")))
            names.append({text(entry, "key") for entry in entries})
        before, after = names
        # Compare sizes instead of names, because a tape masks names and must lead to the same verdict.
        sizes = len(before), len(before & after), len(after)
        meaning = {(2, 1, 2): "replace", (2, 2, 3): "merge"}.get(sizes)
        if meaning is None:
            self._found.leave_undecided(
                17, f"There were {sizes[0]} variables, and then {sizes[2]}, {sizes[1]} of them old."
            )
            return
        self._found.decide(
            17,
            meaning,
            "The probe set two variables, and then two variables of which one has an old name.",
            evidence=[f"Afterwards there were {len(after)} variables, {sizes[1]} of them old."],
            options={"variables_update": meaning},
        )

    async def _domains(self, environment: Record) -> None:
        place = (self._scratch.uid, text(environment, "uid"))
        path = f"{self._path(environment)}/domains"
        listing = await self._ask.watch("GET", path, self._ask.client.domains.list(*place).page)
        domains = [as_object(domain) for domain in as_list(listing.member("domains"))]
        domain = next((one for one in domains if is_uid(text(one, "uid")) and text(one, "url")), None)
        if domain is None:
            return
        uid, url = text(domain, "uid"), text(domain, "url")
        before = len(self._ask.exchanges)
        await self._ask.watch(
            "PUT",
            f"{path}/{uid}",
            lambda: self._ask.client.domains.update(*place, uid, url=url, ssl_method="AUTOMATIC"),
        )
        exchange = next((one for one in self._ask.exchanges[before:] if one.method == "PUT"), None)
        if exchange is None or not exchange.is_success:
            outcome = "no request" if exchange is None else exchange.outcome
            self._found.note(27, f"An update of a domain ended with {outcome}.")
            return
        document = exchange.document
        body = "empty" if document in ({}, None) else "domain" if "domain" in as_object(document) else "other"
        self._found.part(
            27,
            "update_body",
            body,
            f"An update of a domain ended with {exchange.outcome}.",
            options={"domain_update_body": body},
        )

    async def _revalidate(self, environment: Record) -> None:
        path = f"{self._path(environment)}/revalidate-cdn-cache"
        exchange = await self._ask.ask("POST", path, json={"cachePath": {"path": "/probe", "isPrefix": False}})
        if exchange.is_success:
            self._found.part(
                1,
                "revalidation",
                exchange.status,
                f"A revalidation ended with {exchange.outcome}.",
                options={"revalidate_status": exchange.status},
            )
            empty = not exchange.body.strip()
            body = "none" if empty else "object" if exchange.document == {} else "other"
            self._found.decide(
                2,
                body,
                "The probe revalidated a path of the scratch project's site.",
                contradicts=body == "other" or (empty and exchange.status != 204),
                options={"revalidate_body": not empty} if exchange.status != 204 else {},
            )
            self._found.leave_undecided(24, "The quota is not exhausted, and the probe does not exhaust it.")
            return
        self._found.leave_undecided(2, f"A revalidation ended with {exchange.outcome}.")
        self._found.leave_undecided(24, f"A revalidation ended with {exchange.outcome}.")
        usage = await self._ask.ask("GET", "/usage-analytics/revalidate-cdn-cache")
        current, most = (usage.member(f"{name}CacheRevalidations") for name in ("current", "max"))
        is_used_up = isinstance(current, int) and isinstance(most, int) and current >= most
        if is_used_up and exchange.status is not None and any(code.startswith("launch.") for code in exchange.codes):
            self._found.decide(
                24,
                exchange.status,
                "The service refused a revalidation, and the usage shows that the quota is exhausted.",
                evidence=codes_of(exchange),
                options={"quota_status": exchange.status},
            )

    async def _deploy_twice(self, environment: Record) -> None:
        """Deploy twice without waiting in between, and watch both deployments and the previous one."""
        path = f"{self._path(environment)}/deployments"
        for key in (20, 21):
            self._found.leave_undecided(key, "The first deployment of the scratch project did not go live.")
        before = await self._settled(path, 1)
        first = [uid for uid, record in before.items() if record.get("status") == "LIVE"]
        if len(first) != 1:
            return
        one, other = [await self._ask.ask("POST", path, json={}) for _ in range(2)]
        if not one.is_success:
            self._found.leave_undecided(1, f"The creation of a deployment ended with {one.outcome}.")
            self._found.leave_undecided(20, f"The creation of a deployment ended with {one.outcome}.")
            return
        self._found.part(1, "deployment", one.status, f"The creation of a deployment ended with {one.outcome}.")
        if one.status == self._created.get("environment"):
            self._found.offer(create_status=one.status)
        records = [as_object(exchange.member("deployment")) for exchange in (one, other)]
        uids = [text(record, "uid") for record in records if is_uid(text(record, "uid"))]
        seen = [tuple(text(record, "status") for record in records)]
        log_path = f"{path}/{uids[0]}/{_LOG}" if uids else ""
        early = await self._log(log_path)
        end = await self._settled(path, len(before) + len(uids), watched=uids, seen=seen)
        late = await self._log(log_path)
        if missing := judging.missing_beginning(early, late):
            await self._judge_whole_log(missing, len(late), f"{path}/{first[0]}/{_LOG}")
        self._judge_previous(first[0], end)
        if len(uids) > 1 and judging.waited(end.get(uids[1], {}), late, await self._log(f"{path}/{uids[1]}/{_LOG}")):
            seen.append(("DEPLOYING", "QUEUED"))
        await self._judge_side_by_side(path, other, seen, end, uids)

    async def _log(self, path: str) -> list[JSONValue]:
        exchange = await self._ask.ask("GET", path) if path else None
        return [] if exchange is None or not exchange.is_success else [*as_list(exchange.member("deploymentLogs"))]

    async def _judge_whole_log(self, missing: Sequence[JSONValue], length: int, older: str) -> None:
        """Decide from lines that the probe read during a build and that are missing at its end.

        The service may have deleted them because of their age, unless an older log still exists.
        """
        kept = await self._log(older)
        if kept and judging.is_older(kept[0], missing[0]):
            self._found.decide(
                33,
                length,
                "Lines of a build are missing from its log at the end, although an older log still exists.",
                contradicts=True,
                options={"build_log_lines": length},
            )

    async def _judge_side_by_side(
        self,
        path: str,
        other: Exchange,
        seen: Sequence[tuple[str, ...]],
        end: Mapping[str, Record],
        uids: Sequence[str],
    ) -> None:
        outcome = [text(end[uid], "status") for uid in uids if uid in end]
        meaning = None
        if other.status is not None and 400 <= other.status < 500 and other.status != 429:
            again = await self._ask.ask("POST", path, json={})
            meaning = "refuse" if again.is_success else None
        elif any(pair == ("DEPLOYING", "DEPLOYING") for pair in seen):
            meaning = "parallel"
        elif any(pair == ("DEPLOYING", "QUEUED") for pair in seen):
            meaning = "queue"
        elif outcome[:1] in (["FAILED"], ["CANCELLED"]) and outcome[1:] == ["LIVE"]:
            meaning = "fail"
        if meaning is None:
            self._found.leave_undecided(20, "The probe did not see the two deployments build at the same time.")
            return
        states = " ".join(dict.fromkeys("/".join(map(plain_name, pair)) for pair in seen))
        self._found.decide(
            20,
            meaning,
            "The probe created two deployments of the scratch project without waiting in between.",
            evidence=[f"Statuses seen: {states}. The second creation ended with {other.outcome}."],
            options={"while_building": meaning},
        )

    def _judge_previous(self, uid: str, end: Mapping[str, Record]) -> None:
        status = text(end.get(uid, {}), "status")
        newer = [record for other, record in end.items() if other != uid and record.get("status") == "LIVE"]
        if newer and status in ("ARCHIVED", "DEPLOYED"):
            self._found.decide(
                21,
                status,
                "The probe watched a LIVE deployment of the scratch project until a newer deployment was LIVE.",
                options={"superseded_status": status},
            )
        else:
            self._found.leave_undecided(
                21, f"The scratch project's first deployment ended as {plain_name(status) or 'nothing'}."
            )

    async def _settled(
        self,
        path: str,
        count: int,
        *,
        watched: Sequence[str] = (),
        seen: list[tuple[str, ...]] | None = None,
    ) -> Mapping[str, Record]:
        """Wait until an environment has `count` deployments that have all ended. Return them by UID.

        Args:
            path: Path of the environment's deployments.
            count: Number of deployments.
            watched: UIDs of deployments whose statuses are collected during the wait.
            seen: Receives their statuses.
        """
        clock = asyncio.get_running_loop().time
        ends, delay, failures = clock() + _BUILD_TIMEOUT_S, 0.5, 0
        while True:
            exchange = await self._ask.ask("GET", path)
            failures = 0 if exchange.is_success else failures + 1
            records = {text(one, "uid"): one for one in map(as_object, as_list(exchange.member("deployments")))}
            if seen is not None and all(uid in records for uid in watched):
                seen.append(tuple(text(records[uid], "status") for uid in watched))
            if len(records) >= count and not any(one.get("status") in _IN_FLIGHT for one in records.values()):
                return records
            if clock() > ends or failures == _FAILURES:
                return {}
            await asyncio.sleep(delay)
            delay = min(2 * delay, _POLL_EVERY_S)

    def _path(self, environment: Record) -> str:
        return environment_path({"uid": self._scratch.uid}, environment)


def _required_fields(exchange: Exchange) -> list[str]:
    """Return the fields that a refusal names as required."""
    if exchange.status not in (400, 422):
        return []
    return [
        field
        for entry in as_list(exchange.member("errors"))
        for field, problem in as_object(entry).items()
        if "REQUIRED" in text(as_object(problem), "code").upper()
    ]


def _write_site(path: Path) -> Path:
    """Write a ZIP with the smallest site that storage accepts."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("index.html", _SITE + f"<!-- {' ' * _PADDING} -->\n")
    return path
