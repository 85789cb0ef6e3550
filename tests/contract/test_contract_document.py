"""`ApiDocument` itself is tested: it reports each contradiction between an exchange and the document."""

import json

import attrs
import pytest

from contract.api_document import Exchange, answers_document, requests_document

PROJECT = "66c0ffee00000000000000a1"
GOOD = Exchange(
    method="PUT",
    path=f"/projects/{PROJECT}/environments/{PROJECT}",
    query="",
    headers={"authtoken": "t", "organization_uid": "o", "content-type": "application/json"},
    body=b'{"environmentVariables": [{"key": "K", "value": "V"}]}',
    status=200,
    answer_headers={"content-type": "application/json; charset=utf-8"},
    answer=json.dumps({"environment": {"uid": PROJECT}}).encode(),
)


def verdict(sent):
    document = requests_document()
    operation = document.find(sent.method, sent.path)
    assert operation is not None
    return document.problems_of_request(operation, sent)


def test_a_documented_request_has_no_problems():
    assert verdict(GOOD) == []


LOGS = {
    "method": "GET",
    "path": f"{GOOD.path}/deployments/{PROJECT}/logs/server-logs",
    "query": "startTime=1",
    "body": b"",
}


@pytest.mark.parametrize(
    ("wrong", "reported"),
    [
        ({"query": "force=true"}, "query parameter force is not documented"),
        ({"headers": {**GOOD.headers, "x-project-uid": PROJECT}}, "header parameter x-project-uid is not documented"),
        ({"headers": {"authtoken": "t", "content-type": "application/json"}}, "credentials are missing"),
        ({"headers": {**GOOD.headers, "content-type": "text/plain"}}, "media type 'text/plain'"),
        ({"body": b"{}"}, "body: "),
        ({"body": b'{"enviromentVariables": []}'}, "'enviromentVariables' was unexpected"),
        ({"body": b'{"environmentVariables": [{"key": "K", "value": "V", "secret": true}]}'}, "'secret'"),
        ({"body": b'{"name": null}'}, "body.name: "),
        ({"body": b'{"frameworkPreset": "NUXTJS"}'}, "body.frameworkPreset: "),
        ({"method": "DELETE"}, "a body is not documented"),
        ({"method": "DELETE", "body": b""}, "header parameter content-type is not documented"),
        ({"method": "GET", "path": "/projects", "query": "limit=0"}, "query parameter limit: 0 is less than"),
        ({"method": "POST", "path": "/manage/deploy/x"}, "the operation takes no credentials"),
        (LOGS, "query parameter endtime is missing"),
    ],
)
def test_an_undocumented_request_has_a_problem(wrong, reported):
    assert reported in "; ".join(verdict(attrs.evolve(GOOD, **wrong)))


@pytest.mark.parametrize(
    ("status", "media_type", "body", "passes"),
    [
        (200, "application/json", '{"environment": {"uid": "66c0ffee00000000000000a1", "new": 1}}', True),
        (404, "application/json", '{"errors": [{"code": "launch.X"}], "status": 404}', True),
        (200, "application/json", '{"environment": {"uid": "66c0ffee00000000000000a1", "name": "\\ud800"}}', True),
        (200, "application/json", '{"environment": {"uid": "66C0"}}', False),
        (200, "application/json", '{"uid": "66c0ffee00000000000000a1"}', False),
        (200, "application/json", '{"environment": {"uid": "66c0ffee00000000000000a1", "createdAt": "now"}}', False),
        (200, "text/html", "<h1>", False),
        (201, "application/json", "{}", False),
        (418, "application/json", "{}", False),
    ],
)
def test_documented_answers_pass_and_other_answers_do_not(status, media_type, body, passes):
    document = answers_document()
    operation = document.operations["getEnvironment"]

    problems = document.problems_of_answer(operation, status, {"content-type": media_type}, body.encode())

    assert (problems == []) is passes


def test_a_deletion_answers_without_a_body():
    document = answers_document()

    assert document.problems_of_answer(document.operations["deleteProject"], 204, {}, b"{}") == ["204 has a body"]
