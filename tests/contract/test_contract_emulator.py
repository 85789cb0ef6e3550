"""The emulator is judged: whatever is sent to it, allowed or not, it answers in the document's terms."""

from __future__ import annotations

import copy
from collections.abc import Mapping

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings, strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS, load_all_checks

from contract.api_document import answers_document, document_as_data
from launch_async.emulator.routes.operations import DOMAINS, OPEN, PUBLIC
from launch_sync.emulator import LaunchEmulator

load_all_checks()
# Of these nothing is said by the document, or they need a history: tests/emulator has them.
STATEFUL = ("use_after_free", "ensure_resource_availability", "ignored_auth", "object_level_authorization")
CHECKED = {check.__name__: check for check in CHECKS.get_all() if check.__name__ not in STATEFUL}
SCHEMA = schemathesis.openapi.from_dict(copy.deepcopy(document_as_data()))
OPERATIONS = {found.ok().definition.raw["operationId"]: found.ok() for found in SCHEMA.get_all_operations()}
EMULATED = sorted(operation.id for operation in (*PUBLIC, *OPEN, *DOMAINS) if operation.id != "getOpenapi")
# Two more paths to what answers oauthToken, and what is not public: few examples tell as much.
FEW = ("oauthTokenAlt", "oauthTokenDevHub", *(operation.id for operation in DOMAINS))
# The document has no answer to an unlawful page of domains.
WITH_INPUT = [name for name in EMULATED if (OPERATIONS[name].query or OPERATIONS[name].body) and name != "listDomains"]
# Where the emulator differs from what a schema can say, and by which check it shows.
DIFFERENT = {
    # The service checks no upper bound and takes 0 for everything (FACTS §4); the document says what to send.
    "listProjects": "negative_data_rejection",
    "listEnvironments": "negative_data_rejection",
    "listDeployments": "negative_data_rejection",
    # The document has no answer for a refusal: two are answered kindly, the third is a 401 all the same.
    "listOrganizations": "negative_data_rejection",
    "oauthIntrospect": "negative_data_rejection",
    "logout": "status_code_conformance",
    # Rules in the document's prose: a known password, an archive or a commit where the project is of that kind, a path
    # that starts with /.
    "login": "positive_data_acceptance",
    "createEnvironment": "positive_data_acceptance",
    "createDeployment": "positive_data_acceptance",
    "revalidateCdnCache": "positive_data_acceptance",
    # The document describes the stream as one text; schemathesis holds each of its events against that.
    "streamLiveServerLogs": "response_schema_conformance",
}


def problems_of(reply, name):
    """What the document says against an answer of an operation."""
    document = answers_document()
    headers = {header.lower(): value for header, value in reply.headers.items()}
    return document.problems_of_answer(document.operations[name], reply.status_code, headers, reply.content)


@pytest.fixture
def emulator():
    with LaunchEmulator(rate_limit=None, build_seconds=0, upload_style="azure", live_log_cap=0.01, seed=1) as running:
        yield running


@pytest.fixture
def session(emulator):
    """Connections to the emulator, with the credentials of a user."""
    with requests.Session() as opened:
        opened.headers.update({"authtoken": emulator.authtoken, "organization_uid": emulator.organization_uid})
        yield opened


@pytest.fixture
def references(emulator, session):
    """UIDs of things that are there, by the names of the document; made anew at each call."""
    target = session.get(f"{emulator.url}/projects/upload/signed_url").json()
    headers = {header["key"]: header["value"] for header in target["headers"]}
    requests.put(target["uploadUrl"], data=bytes(2048), headers=headers).raise_for_status()

    def references():
        project = emulator.add_project(f"p{len(emulator.ledger.requests)}", deployments=1)
        (environment,) = project.environments.values()
        (deployment,) = environment.deployments
        return {
            "project_uid": project.uid,
            "environment_uid": environment.uid,
            "deployment_uid": deployment,
            "deploy_hook_uid": environment.hook_uid,
            "domain_uid": emulator.add_domain(environment.uid, "www.example.com"),
            "x-project-uid": project.uid,
            "uploadUid": target["uploadUid"],
        }

    return references


def referring(value, references):
    """A copy of generated data that speaks of things that are there."""
    if isinstance(value, Mapping):
        return {name: references.get(name, referring(member, references)) for name, member in value.items()}
    return value


def drive(name, mode, emulator, session, references):
    """Send what the document allows, or what it forbids, and hold every answer against it."""
    operation = OPERATIONS[name]
    checks = [check for check_name, check in CHECKED.items() if DIFFERENT.get(name) != check_name]
    few = settings(
        max_examples=2 if name in FEW else 8,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )

    @few
    @given(case=operation.as_strategy(generation_mode=mode), existing=st.sampled_from([True, True, False]))
    def answered_in_terms_of_the_document(case, existing):
        if existing:
            there = references()
            case.path_parameters = referring(case.path_parameters, there)
            case.headers = referring(case.headers, there)
            if mode is GenerationMode.POSITIVE:
                case.body = referring(case.body, there)
        case.validate_response(case.call(base_url=emulator.url, session=session), checks=checks)

    answered_in_terms_of_the_document()


@pytest.mark.parametrize("name", EMULATED)
def test_what_the_document_allows_is_answered_as_it_says(name, emulator, session, references):
    """Judges the emulator: no undocumented status, no body beside its schema, no 5xx, no refusal of lawful input."""
    drive(name, GenerationMode.POSITIVE, emulator, session, references)

    assert emulator.ledger.count(name) >= 1


@pytest.mark.parametrize("name", WITH_INPUT)
def test_what_the_document_forbids_is_refused_as_it_says(name, emulator, session, references):
    """Judges the emulator: unlawful input gets a documented refusal, never a success and never a 5xx."""
    before = len(emulator.ledger.requests)

    drive(name, GenerationMode.NEGATIVE, emulator, session, references)

    assert len(emulator.ledger.requests) > before


def test_the_client_is_answered_as_the_document_says(exchanges):
    """Judges the emulator: every answer that the client's tour got."""
    document = answers_document()
    answers = [(document.find(one.method, one.path), one) for one in exchanges]

    problems = {
        operation.id: found
        for operation, one in answers
        if operation is not None
        and (found := document.problems_of_answer(operation, one.status, one.answer_headers, one.answer))
    }

    assert problems == {}


def test_the_emulator_has_the_public_operations_and_those_that_give_credentials():
    """Judges the emulator: nothing of the document is missing but what is not public, and what is listed above."""
    beyond = {
        name for name, one in answers_document().operations.items() if one.definition.get("x-public-api") is False
    }

    offered_all_the_same = {"triggerDeployHook", *(operation.id for operation in DOMAINS)}
    assert set(OPERATIONS) - set(EMULATED) == beyond - offered_all_the_same


@pytest.mark.parametrize(
    ("options", "headers", "name", "path", "problem"),
    [
        (
            {"server_logs_key": "bare"},
            {},
            "getServerLogs",
            "{one}/logs/server-logs?startTime=0&endTime=1",
            "not of type",
        ),
        ({"wrong_region": "xml"}, {}, "getDeployment", "{one}", "403 has the media type 'application/xml'"),
        ({"create_status": 202}, {}, "createDeployment", "{all}", "status 202 is not documented"),
        ({}, {"authtoken": "ended"}, "listOrganizations", "/v3/organizations", "status 401 is not documented"),
        ({}, {"authtoken": "ended"}, "logout", "/v3/user-session", "status 401 is not documented"),
    ],
)
def test_what_the_document_does_not_know_is_answered_only_on_purpose(options, headers, name, path, problem):
    """Judges the emulator: the answers that FACTS has and the document has not, each behind its option or mistake."""
    with LaunchEmulator(**options) as emulator:
        project = emulator.add_project("p", deployments=1)
        (environment,) = project.environments.values()
        (deployment,) = environment.deployments
        deployments = f"/projects/{project.uid}/environments/{environment.uid}/deployments"
        reply = requests.request(
            OPERATIONS[name].method,
            emulator.url + path.format(all=deployments, one=f"{deployments}/{deployment}"),
            headers={"authtoken": emulator.authtoken, "organization_uid": emulator.organization_uid, **headers},
            json={},
        )

    assert problem in "; ".join(problems_of(reply, name))
