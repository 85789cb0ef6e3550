"""The emulator answers any input with a documented kind of error, and never fails itself."""

import asyncio

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
# A stream of live logs has no end that a caller could wait for.
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


class LongLived:
    """One emulator with projects, on a loop that outlives the examples of a property."""

    def __init__(self, start):
        self._loop = asyncio.new_event_loop()
        self._started = start()
        self._api = self._loop.run_until_complete(self._started.__aenter__())
        projects = [self._api.emulator.add_project(f"p{git}", git=git, deployments=1) for git in (False, True)]
        environments = [next(iter(project.environments.values())) for project in projects]
        self.places = [
            {
                "project_uid": environment.project.uid,
                "environment_uid": environment.uid,
                "deployment_uid": next(iter(environment.deployments)),
            }
            for environment in environments
        ]

    def send(self, method, path, **options):
        return self._loop.run_until_complete(self._api.call(method, path, **options))

    def close(self):
        self._loop.run_until_complete(self._started.__aexit__(None, None, None))
        self._loop.close()


@pytest.fixture
def service(start):
    long_lived = LongLived(start)
    yield long_lived
    long_lived.close()


@settings(max_examples=150, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    operation=st.sampled_from(ANSWERED),
    place=st.integers(0, 1),
    body=st.dictionaries(WORDS, JSON, max_size=6),
)
def test_no_body_makes_it_fail(service, operation, place, body):
    path = operation.template.format(**service.places[place])

    reply = service.send(operation.method, path, **({} if operation.method == "GET" else {"json": body}))

    assert reply.status in DOCUMENTED, reply.text
    assert reply.status < 400 or reply.json["status"] == reply.status


@settings(max_examples=100, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(method=st.sampled_from(["GET", "POST", "PUT", "PATCH", "DELETE"]), segments=st.lists(SEGMENTS, max_size=8))
def test_no_path_makes_it_fail(service, method, segments):
    reply = service.send(method, "/" + "/".join(segments))

    assert reply.status in DOCUMENTED, reply.text
