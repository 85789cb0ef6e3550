"""The service's own API document is compared with the SDK's operations, parameters and fields."""

from __future__ import annotations

import json
from typing import Any

import pytest

from launch_async.probe.exchanges import Exchange
from launch_async.probe.openapi import compared, operations_of
from tests.contract.api_document import document_as_data
from tools import probe_contract


def _document(**changes: Any) -> dict[str, Any]:
    """Return the project's own description as a document of the service."""
    document: dict[str, Any] = json.loads(json.dumps(document_as_data()))
    return document | changes


def _compared(document: object) -> tuple[list[str], str]:
    differences, problem = compared(Exchange("GET", "/openapi", 200, body=json.dumps(document).encode()))
    return [str(one) for one in differences], problem


def test_the_packaged_contract_is_that_of_the_description() -> None:
    assert probe_contract.CONTRACT.read_text("utf-8") == probe_contract.contract_text(), (
        "run: python -m tools.probe_contract"
    )


def test_the_project_s_own_description_has_no_difference() -> None:
    assert _compared(_document()) == ([], "")


def test_new_missing_and_different_parts_are_found() -> None:
    document = _document()
    paths = document["paths"]
    paths["/projects/{project_uid}/rollback"] = {"post": {"responses": {}}}
    paths["/projects/{project_uid}"].pop("delete")
    deployments = paths["/projects/{project_uid}/environments/{environment_uid}/deployments"]
    deployments["get"]["parameters"] += [{"name": "status", "in": "query", "schema": {"type": "string"}}]
    logs = paths["/projects/{project_uid}/environments/{environment_uid}/deployments/{deployment_uid}/logs/server-logs"]
    logs["get"]["parameters"] = [
        {"name": "startTime", "in": "query", "required": True, "schema": {"type": "integer"}},
        {"name": "x-cs-api-version", "in": "header", "schema": {"type": "string"}},
    ]
    document["components"]["schemas"]["CreateDeploymentRequest"]["properties"] = {
        "uploadUid": {"type": "string"},
        "dryRun": {"type": "boolean"},
    }
    document["components"]["schemas"]["CreateDeploymentRequest"]["required"] = ["uploadUid"]

    found, problem = _compared(document)

    path = "/projects/{}/environments/{}/deployments"
    assert problem == ""
    assert sorted(found) == sorted(
        [
            "new: POST /projects/{}/rollback",
            "gone: DELETE /projects/{}",
            f"new: GET {path}: query status",
            f"gone: GET {path}/{{}}/logs/server-logs: query endTime",
            f"different: GET {path}/{{}}/logs/server-logs: query startTime: integer, and the SDK assumes string",
            f"new: POST {path}: body dryRun",
            f"gone: POST {path}: body commitHash",
            f"different: POST {path}: body uploadUid: required, and the SDK assumes optional",
        ]
    )


def test_names_of_path_parameters_and_private_operations_are_ignored() -> None:
    document = _document()
    document["paths"] = {
        path.replace("project_uid", "projectUid"): item
        for path, item in document["paths"].items()
        if "/domains/{domain_uid}/revalidate" not in path
    }

    assert _compared(document) == ([], "")


def test_a_document_without_schemas_has_no_difference_in_fields() -> None:
    document = _document()
    for item in document["paths"].values():
        for method, operation in item.items():
            if method in ("get", "post", "put", "patch", "delete"):
                operation.pop("requestBody", None)
                operation["responses"] = {"default": {"description": "See the reference."}}

    assert _compared(document) == ([], "")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "not an OpenAPI document"),
        (b"<html></html>", "not an OpenAPI document"),
        (b"[1, 2]", "not an OpenAPI document"),
        (b'{"paths": []}', "not an OpenAPI document"),
        (b'{"paths": {"/pets": {"get": {}}}}', "another API"),
        (b"[" * 100_000, "not an OpenAPI document"),
    ],
)
def test_a_document_of_another_format_is_a_problem(body: bytes, words: str) -> None:
    differences, problem = compared(Exchange("GET", "/openapi", 200, body=body))

    assert differences == ()
    assert words in problem


def test_a_missing_document_is_a_problem() -> None:
    assert compared(Exchange("GET", "/openapi", 404)) == ((), "GET /openapi ended with status 404.")


def test_circular_references_are_read_once() -> None:
    schema = {"$ref": "#/components/schemas/A"}
    document: dict[str, Any] = {
        "paths": {
            "/projects": {
                "get": {
                    "parameters": [{"$ref": "#/nowhere"}, 7],
                    "responses": {"200": {"content": {"application/json": {"schema": schema}}}},
                }
            }
        },
        "components": {
            "schemas": {
                "A": {"properties": {"a": schema, "b": {"$ref": "#/components/schemas/B"}}},
                "B": {"$ref": "#/components/schemas/B"},
            }
        },
    }

    assert "GET /projects" in operations_of(document)  # type: ignore[arg-type]
