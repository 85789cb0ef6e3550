"""The emulator answers any input with a documented status, and never fails itself."""

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from launch_async.emulator.routes.operations import PUBLIC

DOCUMENTED = {200, 201, 204, 400, 401, 403, 404, 405, 409, 429}
NAMES = (
    "name description projectType FILEUPLOAD GITPROVIDER repository fileUpload uploadUid environment frameworkPreset "
    "OTHER NUXT environmentVariables key value outputDirectory passwordProtection isEnabled cachePath path / cacheTags "
    "hostnames commitHash abcdef0 ../.. <script>"
)
WORDS = st.sampled_from([*NAMES.split(), "", "\0", "\ud800", "é" * 300])
# A stream of live logs does not end.
ANSWERED = [
    operation for operation in PUBLIC if operation.method != "DELETE" and operation.id != "streamLiveServerLogs"
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | WORDS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS, inner, max_size=6),
    max_leaves=20,
)
SEGMENTS = st.sampled_from(
    ["projects", "environments", "deployments", "upload", "signed_url", "0" * 24, "%00", "..", ""]
)


@pytest.fixture
def service(long_lived):
    """An emulator with a file-upload project and a Git project."""
    emulator = long_lived.api.emulator
    projects = [emulator.add_project(f"p{git}", git=git, deployments=1) for git in (False, True)]
    environments = [next(iter(project.environments.values())) for project in projects]
    long_lived.places = [
        {
            "project_uid": environment.project.uid,
            "environment_uid": environment.uid,
            "deployment_uid": next(iter(environment.deployments)),
        }
        for environment in environments
    ]
    return long_lived


@settings(max_examples=150, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    operation=st.sampled_from(ANSWERED),
    place=st.integers(0, 1),
    body=st.dictionaries(WORDS, JSON, max_size=6),
)
def test_no_body_makes_the_emulator_fail(service, operation, place, body):
    path = operation.template.format(**service.places[place])

    options = {} if operation.method == "GET" else {"json": body}

    reply = service.run(service.api.call(operation.method, path, **options))

    assert reply.status in DOCUMENTED, reply.text
    assert reply.status < 400 or reply.json["status"] == reply.status


@settings(max_examples=100, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(method=st.sampled_from(["GET", "POST", "PUT", "PATCH", "DELETE"]), segments=st.lists(SEGMENTS, max_size=8))
def test_no_path_makes_the_emulator_fail(service, method, segments):
    reply = service.run(service.api.call(method, "/" + "/".join(segments)))

    assert reply.status in DOCUMENTED, reply.text
