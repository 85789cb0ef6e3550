"""The emulator gives a documented answer to every request, valid or not."""

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
# The document says nothing about these checks, or they need earlier requests. tests/emulator covers them.
STATEFUL = ("use_after_free", "ensure_resource_availability", "ignored_auth", "object_level_authorization")
CHECKED = {check.__name__: check for check in CHECKS.get_all() if check.__name__ not in STATEFUL}
SCHEMA = schemathesis.openapi.from_dict(copy.deepcopy(document_as_data()))
OPERATIONS = {found.ok().definition.raw["operationId"]: found.ok() for found in SCHEMA.get_all_operations()}
EMULATED = sorted(operation.id for operation in (*PUBLIC, *OPEN, *DOMAINS) if operation.id != "getOpenapi")
# A few examples are enough for the two other paths of oauthToken, and for operations that are not public.
FEW = ("oauthTokenAlt", "oauthTokenDevHub", *(operation.id for operation in DOMAINS))
# The document has no answer for an invalid page of domains.
WITH_INPUT = [name for name in EMULATED if (OPERATIONS[name].query or OPERATIONS[name].body) and name != "listDomains"]
# The operations whose answers a schema cannot describe, each with the check that fails.
DIFFERENT = {
    # The service has no upper bound, and `limit=0` means no limit (FACTS §4). The document has the values to send.
    "listProjects": "negative_data_rejection",
    "listEnvironments": "negative_data_rejection",
    "listDeployments": "negative_data_rejection",
    # The document has no answer for a refusal. The first two succeed, and the third answers 401.
    "listOrganizations": "negative_data_rejection",
    "oauthIntrospect": "negative_data_rejection",
    "logout": "status_code_conformance",
    # The document has these rules in prose only: a known password, an archive or a commit that suits the project,
    # a path that starts with /.
    "login": "positive_data_acceptance",
    "createEnvironment": "positive_data_acceptance",
    "createDeployment": "positive_data_acceptance",
    "revalidateCdnCache": "positive_data_acceptance",
    # The document describes the stream as one text, but schemathesis checks each event separately.
    "streamLiveServerLogs": "response_schema_conformance",
}


def problems_of(reply, name):
    """Return what is wrong with an answer of an operation."""
    document = answers_document()
    headers = {header.lower(): value for header, value in reply.headers.items()}
    return document.problems_of_answer(document.operations[name], reply.status_code, headers, reply.content)


@pytest.fixture
def emulator():
    with LaunchEmulator(rate_limit=None, build_seconds=0, upload_style="azure", live_log_cap=0.01, seed=1) as running:
        yield running


@pytest.fixture
def session(emulator):
    """An HTTP session with the credentials of a user."""
    with requests.Session() as opened:
        opened.headers.update({"authtoken": emulator.authtoken, "organization_uid": emulator.organization_uid})
        yield opened


@pytest.fixture
def references(emulator, session):
    """A function that creates a project and its parts, and returns their UIDs by the names of the document."""
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


def with_references(value, references):
    """Return a copy of generated data that refers to existing objects."""
    if isinstance(value, Mapping):
        return {name: references.get(name, with_references(member, references)) for name, member in value.items()}
    return value


def send_generated_requests(name, mode, emulator, session, references):
    """Send valid or invalid requests, and check every answer against the document."""
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
    def the_answer_is_documented(case, existing):
        if existing:
            there = references()
            case.path_parameters = with_references(case.path_parameters, there)
            case.headers = with_references(case.headers, there)
            if mode is GenerationMode.POSITIVE:
                case.body = with_references(case.body, there)
        case.validate_response(case.call(base_url=emulator.url, session=session), checks=checks)

    the_answer_is_documented()


@pytest.mark.parametrize("name", EMULATED)
def test_a_valid_request_gets_a_documented_answer(name, emulator, session, references):
    """The answer has a documented status and body, is no 5xx and does not refuse valid input."""
    send_generated_requests(name, GenerationMode.POSITIVE, emulator, session, references)

    assert emulator.ledger.count(name) >= 1


@pytest.mark.parametrize("name", WITH_INPUT)
def test_an_invalid_request_gets_a_documented_refusal(name, emulator, session, references):
    """The refusal is neither a success nor a 5xx."""
    before = len(emulator.ledger.requests)

    send_generated_requests(name, GenerationMode.NEGATIVE, emulator, session, references)

    assert len(emulator.ledger.requests) > before


def test_the_answers_to_the_client_are_documented(exchanges):
    """Check each answer to a call of all operations."""
    document = answers_document()
    answers = [(document.find(one.method, one.path), one) for one in exchanges]

    problems = {
        operation.id: found
        for operation, one in answers
        if operation is not None
        and (found := document.problems_of_answer(operation, one.status, one.answer_headers, one.answer))
    }

    assert problems == {}


def test_the_emulator_has_all_public_operations_and_the_logins():
    """Only operations outside the public API are missing, and the emulator has some of those too."""
    not_public = {
        name for name, one in answers_document().operations.items() if one.definition.get("x-public-api") is False
    }

    emulated_although_not_public = {"triggerDeployHook", *(operation.id for operation in DOMAINS)}
    assert set(OPERATIONS) - set(EMULATED) == not_public - emulated_although_not_public


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
def test_undocumented_answers_need_an_option_or_a_mistake(options, headers, name, path, problem):
    """FACTS has these answers and the document does not. Each needs an option of the emulator or a wrong request."""
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
