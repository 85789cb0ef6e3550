"""The converter: strict if a wrong value would go unnoticed, tolerant of everything that the service may change."""

from __future__ import annotations

import copy
import json
import pickle
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, strategies as st

from launch_async import (
    UNSET,
    CacheRevalidationUsage,
    Deployment,
    DeploymentRef,
    DeploymentStatus,
    Environment,
    FrameworkPreset,
    InvalidArgumentError,
    LogLine,
    LogStage,
    Page,
    Project,
    ProjectType,
    ServerLogLine,
    SignedUploadUrl,
)
from launch_async.models import EnvironmentVariable, Pagination
from launch_async.models.requests import (
    PasswordProtectionInput,
    UpdateEnvironmentRequest,
    UpdateProjectRequest,
    VariableInput,
)
from launch_async.wire import json_body
from launch_async.wire.converter import encode, secrets_of
from launch_async.wire.documents import structure
from launch_async.wire.json_body import dump_json, load_json
from launch_async.wire.readers import Mismatch
from tests.support.core import DEPLOYMENT, ENVIRONMENT, PROJECT

PROJECT_EXAMPLE = {
    "uid": PROJECT,
    "name": "storefront",
    "organizationUid": "blt0123456789abcdef",
    "projectType": "GITPROVIDER",
    "repository": {
        "repositoryName": "acme/storefront",
        "username": "acme",
        "repositoryUrl": "https://github.com/acme/storefront",
    },
    "createdAt": "2026-05-04T09:00:00.000Z",
    "updatedAt": "2026-05-04T09:02:31.480Z",
    "createdBy": "bltfedcba9876543210",
    "updatedBy": "bltfedcba9876543210",
    "deletedAt": None,
    "deletedBy": None,
}
ENVIRONMENT_EXAMPLE = {
    "uid": ENVIRONMENT,
    "name": "Default",
    "frameworkPreset": "NEXTJS",
    "buildCommand": "npm run build",
    "outputDirectory": "./.next",
    "environmentVariables": [{"key": "API_HOST", "value": "cdn.example.com"}],
    "domains": [{"url": "landing.contentstackapps.com"}],
}
DEPLOYMENT_EXAMPLE = {
    "uid": DEPLOYMENT,
    "status": "LIVE",
    "deploymentNumber": 7,
    "deploymentUrl": "landing.contentstackapps.com",
    "commitMessage": "File upload",
    "createdAt": "2026-05-04T09:00:00.000Z",
    "updatedAt": "2026-05-04T09:00:00.000Z",
}
AWS_EXAMPLE = {
    "uploadUrl": "https://storage.example.com/bucket",
    "uploadUid": "66c0ffee00000000000000d1",
    "expiresIn": 600,
    "method": "POST",
    "fields": [{"formFieldKey": "bucket", "formFieldValue": "..."}, {"formFieldKey": "key", "formFieldValue": "..."}],
}
AZURE_EXAMPLE = {
    "uploadUrl": "https://storage.example.com/container/blob?sig=...",
    "uploadUid": "66c0ffee00000000000000d1",
    "expiresIn": 1777886400000,
    "method": "PUT",
    "fields": None,
    "headers": [{"key": "x-ms-blob-type", "value": "BlockBlob"}, {"key": "Content-Type", "value": "application/zip"}],
}
ODD_VALUES = (True, 7, 7.9, "text", [], {}, ["a"], {"a": "b"})
MODELS = (
    Project,
    Environment,
    Deployment,
    LogLine,
    ServerLogLine,
    SignedUploadUrl,
    Pagination,
    CacheRevalidationUsage,
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


def _field_names(example: dict[str, Any]) -> st.SearchStrategy[str]:
    return st.sampled_from(sorted(example))


def _model_or_problems(document: object, kind: type[Any]) -> Any:
    try:
        return structure(document, kind)
    except Mismatch as mismatch:
        return mismatch.problems


# Examples of the specification


def test_the_projects_of_the_specification_decode() -> None:
    project = structure(PROJECT_EXAMPLE, Project)

    assert project.name == "storefront"
    assert project.project_type is ProjectType.GITPROVIDER
    assert project.repository is not None
    assert project.repository.repository_name == "acme/storefront"
    assert project.created_at == datetime(2026, 5, 4, 9, tzinfo=UTC)
    assert project.updated_at == datetime(2026, 5, 4, 9, 2, 31, 480_000, tzinfo=UTC)
    assert project.created_by == "bltfedcba9876543210"
    assert project.extra == {}


def test_a_file_upload_project_has_neither_repository_nor_description() -> None:
    document = {key: value for key, value in PROJECT_EXAMPLE.items() if key != "repository"}

    project = structure({**document, "projectType": "FILEUPLOAD"}, Project)

    assert (project.project_type, project.repository, project.description) == (ProjectType.FILEUPLOAD, None, None)


def test_the_environments_of_the_specification_decode() -> None:
    environment = structure(ENVIRONMENT_EXAMPLE, Environment)

    assert environment.framework_preset is FrameworkPreset.NEXTJS
    assert environment.environment_variables == (EnvironmentVariable(key="API_HOST", value="cdn.example.com"),)
    assert [domain.url for domain in environment.domains] == ["landing.contentstackapps.com"]
    assert environment.output_directory == "./.next"


def test_the_whole_of_an_environment_decodes() -> None:
    environment = structure(
        {
            **ENVIRONMENT_EXAMPLE,
            "passwordProtection": {"isEnabled": True, "username": "preview", "password": "hidden-password"},
            "isCachePrimingEnabled": True,
            "hasLyticsEnabled": False,
            "isStreamingEnabled": True,
            "isContentstackAuthenticationEnabled": False,
            "autoDeployOnPush": True,
            "gitBranch": "main",
            "serverCommand": "npm start",
            "domains": [
                {
                    "uid": "d",
                    "url": "x",
                    "isCustomDomain": True,
                    "sslMethod": "CUSTOM",
                    "customCertificateExpiresAt": "2027-01-01T00:00:00Z",
                    "domainInfo": {"status": "ACTIVE", "domainStatusDescription": "ok", "sslStatus": "ACTIVE"},
                }
            ],
        },
        Environment,
    )

    protection, domain = environment.password_protection, environment.domains[0]
    assert protection is not None
    assert (protection.is_enabled, protection.username, protection.password) == (True, "preview", "hidden-password")
    assert domain.domain_info is not None
    assert domain.domain_info.ssl_status == "ACTIVE"
    assert domain.custom_certificate_expires_at == datetime(2027, 1, 1, tzinfo=UTC)
    assert (environment.is_cache_priming_enabled, environment.has_lytics_enabled) == (True, False)
    assert (environment.is_streaming_enabled, environment.is_contentstack_authentication_enabled) == (True, False)
    assert (environment.auto_deploy_on_push, environment.git_branch) == (True, "main")


def test_the_deployments_of_the_specification_decode() -> None:
    deployment = structure(DEPLOYMENT_EXAMPLE, Deployment)

    assert (deployment.status, deployment.deployment_number) == (DeploymentStatus.LIVE, 7)
    assert deployment.commit_message == "File upload"


def test_a_signed_form_upload_decodes() -> None:
    signed = structure(AWS_EXAMPLE, SignedUploadUrl)

    assert [(field.form_field_key, field.form_field_value) for field in signed.fields] == [
        ("bucket", "..."),
        ("key", "..."),
    ]
    assert (signed.method, signed.headers, signed.expires_in) == ("POST", (), 600)


def test_a_signed_raw_upload_decodes_with_its_unused_list_null() -> None:
    signed = structure(AZURE_EXAMPLE, SignedUploadUrl)

    assert [header.key for header in signed.headers] == ["x-ms-blob-type", "Content-Type"]
    assert [header.value for header in signed.headers] == ["BlockBlob", "application/zip"]
    assert (signed.method, signed.fields) == ("PUT", ())


def test_log_lines_of_the_specification_decode() -> None:
    line = structure({"message": "Build finished", "stage": "BUILD", "timestamp": "2026-05-04T09:01:40.002Z"}, LogLine)

    assert (str(line), line.stage) == ("Build finished", LogStage.BUILD)
    assert line.timestamp == datetime(2026, 5, 4, 9, 1, 40, 2000, tzinfo=UTC)


def test_usage_of_the_specification_decodes() -> None:
    usage = structure(
        {"currentCacheRevalidations": 12, "maxCacheRevalidations": 500, "usageReset": "2026-05-05T00:00:00.000Z"},
        CacheRevalidationUsage,
    )

    assert (usage.remaining, usage.usage_reset) == (488, "2026-05-05T00:00:00.000Z")


@pytest.mark.parametrize("reset", [1777939200, "tomorrow", None, {"at": 1}, [1], True])
def test_the_reset_of_a_quota_is_kept_unchanged(reset: object) -> None:
    usage = structure({"currentCacheRevalidations": 1, "usageReset": reset}, CacheRevalidationUsage)

    assert usage.usage_reset == reset
    assert usage.remaining is None


def test_an_exceeded_quota_has_nothing_left() -> None:
    usage = CacheRevalidationUsage(current_cache_revalidations=501, max_cache_revalidations=500)

    assert usage.remaining == 0


# Strict checks


@pytest.mark.parametrize("wrong", [value for value in ODD_VALUES if not isinstance(value, str)], ids=repr)
def test_only_a_string_is_a_string(wrong: object) -> None:
    with pytest.raises(Mismatch, match=r"^\.name: expected a string, got "):
        structure({**PROJECT_EXAMPLE, "name": wrong}, Project)


@pytest.mark.parametrize("wrong", ["false", "true", 0, 1, 7.9, [], {}], ids=repr)
def test_only_true_and_false_are_booleans(wrong: object) -> None:
    with pytest.raises(Mismatch, match=r"^\.autoDeployOnPush: expected true or false, got "):
        structure({**ENVIRONMENT_EXAMPLE, "autoDeployOnPush": wrong}, Environment)


@pytest.mark.parametrize("wrong", ["7", 7.9, True, [], {}], ids=repr)
def test_only_a_whole_number_is_a_whole_number(wrong: object) -> None:
    with pytest.raises(Mismatch, match=r"^\.deploymentNumber: expected a whole number, got "):
        structure({**DEPLOYMENT_EXAMPLE, "deploymentNumber": wrong}, Deployment)


@pytest.mark.parametrize("wrong", ["7.5", True, None, [], 10**400], ids=lambda value: type(value).__name__)
def test_only_a_number_is_a_number(wrong: object) -> None:
    with pytest.raises(Mismatch, match=r"expected a number( of reasonable size|, got .*)$"):
        structure(wrong, float)


def test_a_whole_number_is_a_number() -> None:
    assert structure(7, float) == 7.0


@pytest.mark.parametrize("wrong", ["abc", 7, True, {"0": "a"}], ids=repr)
def test_only_a_list_is_a_list(wrong: object) -> None:
    with pytest.raises(Mismatch, match=r"^\.domains: expected a list, got "):
        structure({**ENVIRONMENT_EXAMPLE, "domains": wrong}, Environment)


@pytest.mark.parametrize("wrong", [7, True, [], {}], ids=repr)
def test_only_a_string_is_a_status(wrong: object) -> None:
    with pytest.raises(Mismatch, match=r"^\.status: expected a string, got "):
        structure({**DEPLOYMENT_EXAMPLE, "status": wrong}, Deployment)


@pytest.mark.parametrize("wrong", ["soon", "", "2026-13-01", "2026-05-04T25:00:00Z"])
def test_only_iso_8601_is_a_time(wrong: str) -> None:
    with pytest.raises(Mismatch, match=r"^\.createdAt: expected an ISO 8601 time$"):
        structure({**PROJECT_EXAMPLE, "createdAt": wrong}, Project)


def test_a_number_is_no_time_of_creation() -> None:
    with pytest.raises(Mismatch, match=r"^\.createdAt: expected a string, got a number$"):
        structure({**PROJECT_EXAMPLE, "createdAt": 1777885200}, Project)


@pytest.mark.parametrize(
    "document", [None, "project", 7, [], [PROJECT_EXAMPLE]], ids=lambda value: type(value).__name__
)
def test_only_an_object_is_a_model(document: object) -> None:
    with pytest.raises(Mismatch, match=r"^: expected an object, got "):
        structure(document, Project)


def test_every_fault_is_reported_with_its_path() -> None:
    document = {
        "name": 7,
        "environmentVariables": [{"key": "A"}, {"value": "x"}, "B"],
        "domains": [{"domainInfo": {"status": 1}}],
    }

    with pytest.raises(Mismatch) as caught:
        structure(document, Environment)

    assert sorted(caught.value.problems) == [
        ".domains[0].domainInfo.status: expected a string, got a number",
        ".environmentVariables[1].key: the field is required, but missing",
        ".environmentVariables[2]: expected an object, got a string",
        ".name: expected a string, got a number",
        ".uid: the field is required, but missing",
    ]


def test_a_required_null_is_reported_differently_from_an_absent_field() -> None:
    with pytest.raises(Mismatch, match=r"^\.uid: the field is required, but null$"):
        structure({"uid": None}, Project)


def test_a_required_field_of_the_wrong_type_is_reported_once() -> None:
    with pytest.raises(Mismatch) as caught:
        structure({"uid": 7}, Project)

    assert caught.value.problems == [".uid: expected a string, got a number"]


@pytest.mark.parametrize("kind", MODELS)
@given(document=JSON)
def test_any_json_raises_only_a_mismatch(kind: type[Any], document: object) -> None:
    outcome = _model_or_problems(document, kind)

    assert isinstance(outcome, kind) or all(": " in problem for problem in outcome)


@given(field=_field_names(ENVIRONMENT_EXAMPLE), value=JSON)
def test_a_fault_in_a_known_field_names_that_field(field: str, value: object) -> None:
    outcome = _model_or_problems({**ENVIRONMENT_EXAMPLE, field: value}, Environment)

    assert isinstance(outcome, Environment) or all(problem.startswith(f".{field}") for problem in outcome)


# Tolerance


def test_unknown_fields_are_kept_unchanged() -> None:
    project = structure({**PROJECT_EXAMPLE, "shinyNewThing": {"nested": [1, None]}}, Project)

    assert project.extra == {"shinyNewThing": {"nested": [1, None]}}


def test_unknown_fields_cannot_be_changed() -> None:
    project = structure({**PROJECT_EXAMPLE, "shinyNewThing": 1}, Project)

    with pytest.raises(TypeError):
        project.extra["shinyNewThing"] = 2  # type: ignore[index]


@given(extra=st.dictionaries(st.text().map(lambda name: f"new-{name}"), JSON, max_size=3))
def test_any_unknown_field_is_kept(extra: dict[str, Any]) -> None:
    assert structure({**DEPLOYMENT_EXAMPLE, **extra}, Deployment).extra == extra


def test_fields_that_the_client_fills_in_are_not_read_from_the_wire() -> None:
    deployment = structure({**DEPLOYMENT_EXAMPLE, "scheme": "ftp", "projectUid": "evil"}, Deployment)

    assert (deployment.scheme, deployment.project_uid) == ("https", "")
    assert deployment.extra == {"scheme": "ftp", "projectUid": "evil"}


def test_null_differs_from_absent() -> None:
    project = structure({"uid": PROJECT, "deletedAt": None}, Project)

    assert (project.deleted_at, project.deleted_by) == (None, None)
    assert project.nulls == {"deleted_at"}


def test_a_null_list_is_an_empty_one() -> None:
    environment = structure({"uid": ENVIRONMENT, "environmentVariables": None}, Environment)

    assert environment.environment_variables == ()
    assert environment.nulls == {"environment_variables"}


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-05-04T09:00:00.123Z", datetime(2026, 5, 4, 9, 0, 0, 123_000, tzinfo=UTC)),
        ("2026-05-04T09:00:00+02:00", datetime(2026, 5, 4, 7, tzinfo=UTC)),
        ("2026-05-04T09:00:00", datetime(2026, 5, 4, 9, tzinfo=UTC)),
        ("2026-05-04", datetime(2026, 5, 4, tzinfo=UTC)),
    ],
)
def test_a_time_is_aware_in_every_spelling(text: str, moment: datetime) -> None:
    project = structure({"uid": PROJECT, "createdAt": text}, Project)

    assert project.created_at == moment
    assert project.created_at is not None
    assert project.created_at.tzinfo is not None


@pytest.mark.parametrize("stamp", ["soon", "", [], {}, True, 10**30, float("inf")], ids=repr)
def test_a_line_with_an_unreadable_time_stamp_is_kept(stamp: object) -> None:
    line = structure({"message": "hello", "timestamp": stamp, "worker": 3}, LogLine)

    assert (line.message, line.timestamp) == ("hello", None)
    assert line.extra == {"timestamp": stamp, "worker": 3}


@pytest.mark.parametrize("stamp", [1777885501120, 1777885501120.0, "2026-05-04T09:05:01.120Z"], ids=repr)
def test_a_server_line_may_have_either_kind_of_time_stamp(stamp: object) -> None:
    line = structure({"source": "server", "message": "GET / 200", "timestamp": stamp}, ServerLogLine)

    assert line.timestamp == datetime(2026, 5, 4, 9, 5, 1, 120_000, tzinfo=UTC)
    assert (line.source, str(line), line.extra) == ("server", "GET / 200", {})


def test_a_line_without_a_time_stamp_is_a_line() -> None:
    assert structure({"message": "hello"}, LogLine).timestamp is None


@pytest.mark.parametrize(
    ("message", "text"),
    [({"text": "an object"}, '{"text": "an object"}'), (42, "42"), (["é"], '["é"]'), (False, "false"), ("", "")],
)
def test_a_message_that_is_no_text_is_shown_as_json(message: object, text: str) -> None:
    line = structure({"message": message, "stage": "BUILD"}, LogLine)

    assert (line.message, line.stage) == (text, "BUILD")
    assert line.extra == ({} if isinstance(message, str) else {"message": message})


def test_a_line_whose_message_is_nested_too_deeply_is_kept() -> None:
    nested: object = "x"
    for _ in range(100_000):
        nested = [nested]

    assert structure({"message": nested}, LogLine).message == "(nested too deeply to be shown)"


def test_a_message_of_null_is_an_empty_line() -> None:
    assert structure({"message": None, "stage": "BUILD"}, LogLine).message == ""


@pytest.mark.parametrize(("entry", "text"), [("a bare string", "a bare string"), (7, "7"), ([], "[]")])
def test_a_line_that_is_no_object_is_its_message(entry: object, text: str) -> None:
    assert structure(entry, LogLine).message == text
    assert structure(entry, ServerLogLine).message == text


def test_a_line_with_an_unreadable_field_is_kept() -> None:
    line = structure({"message": "hello", "stage": 3, "deploymentUid": ["x"], "worker": 1}, LogLine)

    assert (line.message, line.stage, line.deployment_uid) == ("hello", None, None)
    assert line.extra == {"stage": 3, "deploymentUid": ["x"], "worker": 1}


@given(entry=JSON)
def test_any_entry_of_a_log_is_a_line(entry: object) -> None:
    assert isinstance(structure(entry, LogLine).message, str)
    assert isinstance(structure(entry, ServerLogLine).message, str)


# Open enums


@given(value=st.text())
def test_an_unknown_status_keeps_its_text_and_counts_as_running(value: str) -> None:
    status = structure({"uid": DEPLOYMENT, "status": value}, Deployment).status

    assert status == value
    assert status.is_known == (value in set(DeploymentStatus))
    if not status.is_known:
        assert status.is_in_flight
        assert (status.is_final, status.is_success) == (False, False)


@pytest.mark.parametrize("status", ["ROLLING_OUT", "LIVE"])
def test_a_status_survives_pickling_and_copying(status: str) -> None:
    original = DeploymentStatus(status)

    for twin in (pickle.loads(pickle.dumps(original)), copy.deepcopy(original), DeploymentStatus(status)):
        assert twin == original
        assert hash(twin) == hash(original)
        assert (twin.name, twin.value, twin.is_known) == (original.name, original.value, original.is_known)


def test_only_text_can_be_a_status() -> None:
    with pytest.raises(ValueError, match="7 is not a valid DeploymentStatus"):
        DeploymentStatus(7)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("status", "true"),
    [
        ("QUEUED", {"is_in_flight"}),
        ("DEPLOYING", {"is_in_flight"}),
        ("LIVE", {"is_final", "is_success", "is_serving"}),
        ("DEPLOYED", {"is_final", "is_success", "is_superseded"}),
        ("FAILED", {"is_final"}),
        ("SKIPPED", {"is_final"}),
        ("CANCELLED", {"is_final"}),
        ("ARCHIVED", {"is_final", "is_success", "is_superseded"}),
        ("NOVEL", {"is_in_flight"}),
    ],
)
def test_each_status_has_its_class(status: str, true: set[str]) -> None:
    member = DeploymentStatus(status)

    asked = ("is_in_flight", "is_final", "is_success", "is_serving", "is_superseded")
    assert {name for name in asked if getattr(member, name)} == true


@pytest.mark.parametrize(
    ("preset", "directory"),
    [
        ("GATSBY", "./public"),
        ("NEXTJS", "./.next"),
        ("CRA", "./build"),
        ("REMIX", "./build"),
        ("CSR", "./"),
        ("OTHER", "./"),
        ("ANALOG", "./dist/analog/public"),
        ("ANGULAR", "./dist"),
        ("ASTRO", "./dist"),
        ("VUEJS", "./dist"),
        ("NUXT", "./.output"),
    ],
)
def test_each_preset_has_its_output_directory(preset: str, directory: str) -> None:
    assert FrameworkPreset(preset).default_output_directory == directory


# Models as values


@pytest.mark.parametrize(
    "model",
    [
        structure({**PROJECT_EXAMPLE, "new": [1]}, Project),
        structure(ENVIRONMENT_EXAMPLE, Environment),
        structure({**DEPLOYMENT_EXAMPLE, "status": "NEW"}, Deployment),
        structure(AWS_EXAMPLE, SignedUploadUrl),
    ],
    ids=lambda model: type(model).__name__,
)
def test_a_model_survives_pickling_and_copying(model: Any) -> None:
    for twin in (pickle.loads(pickle.dumps(model)), copy.copy(model), copy.deepcopy(model)):
        assert twin == model
        assert hash(twin) == hash(model)
        assert twin.extra == model.extra
        assert twin.nulls == model.nulls


@pytest.mark.parametrize("document", [AWS_EXAMPLE | {"uploadUrl": "https://s/?sig=hidden"}, AZURE_EXAMPLE])
def test_a_signed_url_is_not_shown(document: dict[str, Any]) -> None:
    shown = repr(structure({**document, "unknown": "hidden"}, SignedUploadUrl))

    assert "sig=" not in shown
    assert "BlockBlob" not in shown
    assert "hidden" not in shown


def test_values_of_variables_and_passwords_are_not_shown() -> None:
    document = {
        **ENVIRONMENT_EXAMPLE,
        "environmentVariables": [{"key": "API_KEY", "value": "hidden-value"}],
        "passwordProtection": {"username": "preview", "password": "hidden-password"},
    }

    shown = repr(structure(document, Environment))

    assert "API_KEY" in shown
    assert "hidden" not in shown


@pytest.mark.parametrize(
    ("wire_url", "scheme", "url"),
    [
        ("site.example.com", "https", "https://site.example.com"),
        ("127.0.0.1:8080/x", "http", "http://127.0.0.1:8080/x"),
        ("https://site.example.com", "http", "https://site.example.com"),
        ("", "https", None),
        (None, "https", None),
    ],
)
def test_the_url_of_a_deployment_is_absolute(wire_url: str | None, scheme: str, url: str | None) -> None:
    assert Deployment(uid=DEPLOYMENT, deployment_url=wire_url, scheme=scheme).url == url


def test_a_reference_survives_json() -> None:
    deployment = Deployment(uid=DEPLOYMENT, project_uid=PROJECT, environment_uid=ENVIRONMENT)

    assert DeploymentRef.from_json(deployment.ref.to_json()) == deployment.ref


@pytest.mark.parametrize("text", ["null", "[]", "7", "{}", '{"project_uid": 1}', "{", '{"project_uid":"a"}'])
def test_a_text_that_is_no_reference_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"deployment reference|Expecting"):
        DeploymentRef.from_json(text)


def test_a_page_is_a_sequence() -> None:
    page = Page((1, 2, 3), 10, 30)

    assert (len(page), list(page), page[0], page[1:]) == (3, [1, 2, 3], 1, (2, 3))


# Request bodies


def test_an_unset_field_is_not_sent() -> None:
    assert encode(UpdateProjectRequest(name="new")) == {"name": "new"}
    assert encode(UpdateProjectRequest()) == {}


def test_nested_requests_are_written_in_camel_case() -> None:
    request = UpdateEnvironmentRequest(
        framework_preset=FrameworkPreset.OTHER,
        environment_variables=(VariableInput(key="A", value="1"),),
        password_protection=PasswordProtectionInput(is_enabled=True),
        is_cache_priming_enabled=False,
    )

    assert json.loads(dump_json(encode(request))) == {
        "frameworkPreset": "OTHER",
        "environmentVariables": [{"key": "A", "value": "1"}],
        "passwordProtection": {"isEnabled": True},
        "isCachePrimingEnabled": False,
    }


def test_secrets_are_found_at_any_depth() -> None:
    request = UpdateEnvironmentRequest(
        name="not one",
        environment_variables=(VariableInput(key="A", value="one"), VariableInput(key="B", value="two")),
        password_protection=PasswordProtectionInput(username="nobody", password="three"),
    )

    assert sorted(secrets_of(request)) == ["one", "three", "two"]
    assert "one" not in repr(request).replace("not one", "")
    assert "three" not in repr(request)


def test_unset_is_false_and_shows_its_name() -> None:
    assert not UNSET
    assert repr(UNSET) == "UNSET"


# With and without orjson


@pytest.fixture(params=["orjson", "json"])
def codec(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run the test once with each JSON library."""
    if request.param == "json":
        monkeypatch.setattr(json_body, "_fast_parser", lambda: None)
    else:
        monkeypatch.setattr(json_body, "_LARGE_BYTES", 0)
        assert json_body._fast_parser() is not None, "orjson, a dependency of the tests, is missing"
    return str(request.param)


@pytest.mark.usefixtures("codec")
def test_each_codec_reads_its_own_output() -> None:
    document = {"name": "ü", "list": [1, 2.5, None, True]}

    assert load_json(dump_json(document)) == document
    assert dump_json({"name": "ü"}) == '{"name":"ü"}'.encode()


@pytest.mark.usefixtures("codec")
@pytest.mark.parametrize("body", [b"", b"<html>", b"{", b"\xff", b"[" * 100_000], ids=lambda body: repr(body[:8]))
def test_each_codec_reports_a_body_that_is_not_json(body: bytes) -> None:
    with pytest.raises(ValueError):
        load_json(body)


@pytest.mark.usefixtures("codec")
@pytest.mark.parametrize(
    ("body", "document"),
    [
        (rb'{"cut":"\ud83d!","l\uDE00":["\udc00"]}', {"cut": "\ufffd!", "l\ufffd": ["\ufffd"]}),
        (rb'{"whole":"\ud83d\ude00"}', {"whole": "😀"}),
        (b'\xef\xbb\xbf{"marked":1}', {"marked": 1}),
    ],
    ids=["half a character", "a pair", "byte order mark"],
)
def test_both_codecs_read_the_same(body: bytes, document: object) -> None:
    assert load_json(body) == document


@pytest.mark.parametrize(
    "document",
    [{"name": "hidden\ud800"}, {"x": object()}, {"x": float("nan")}, {"x": datetime.now(UTC)}],
    ids=["surrogate", "object", "nan", "time"],
)
def test_a_value_that_json_cannot_contain_is_an_invalid_argument(document: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="cannot be written as JSON") as caught:
        dump_json(document)

    assert "hidden" not in str(caught.value)
    assert caught.value.__cause__ is None
