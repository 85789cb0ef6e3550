"""The command: its actions, its output and its exit codes."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from launch_async.cli.exit_codes import ExitCode
from launch_sync.emulator import LaunchEmulator
from tests.cli.conftest import Command


@pytest.fixture(scope="module", autouse=True)
def _project(emulator: LaunchEmulator) -> None:
    emulator.add_project("shop", environments=["production", "preview"], deployments=1)
    emulator.add_project("shop-b", environments=["production"], deployments=1)
    emulator.add_project("broken", environments=["production"], deployments=1)
    emulator.add_project("empty", environments=["production"])


def test_a_folder_becomes_a_site(command: Command, folder: Path) -> None:
    ended = command("site", folder)

    assert ended.code == ExitCode.DONE
    assert ended.out.startswith("LIVE  http://127.0.0.1:")
    assert "Deployment is live" in ended.err
    assert command("logs", "my site", "production").out.splitlines()[-1].endswith("Deployment is live")


def test_the_name_of_a_project_that_exists_is_refused_by_the_service(command: Command, folder: Path) -> None:
    ended = command("site", folder, "--name", "shop")

    assert ended.code == ExitCode.REFUSED
    assert ended.out == ""
    assert ended.err.startswith("error: ")


def test_json_is_one_document_with_the_option_in_any_place(command: Command, folder: Path) -> None:
    before = command("--json", "deploy", "shop", "preview", folder)
    behind = command("deploy", "shop", "preview", folder, "--json")

    for ended in (before, behind):
        assert (ended.code, ended.document["status"]) == (0, "LIVE")
        assert ended.document["url"].startswith("http://")


def test_names_globs_and_uids_name_an_environment(command: Command, emulator: LaunchEmulator) -> None:
    by_name = command("wait", "shop-b", "production", "--json").document
    uids = by_name["project_uid"], by_name["environment_uid"]

    assert command("wait", "shop-?", "prod*", "--json").document == by_name
    assert command("wait", *uids, by_name["uid"], "--json").document == by_name


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        (("wait", "shpo", "production"), "Similar names: 'shop'"),
        (("wait", "shop*", "production"), "shop-b"),
        (("wiat", "shop", "production"), "Did you mean wait?"),
        (("deploy", "shop", "preview", "no-such-folder"), "latest, previous and commit:HASH"),
        (("deploy", "shop", "preview", "latest", "--timeout", "soon"), "90s, 15m, 2h or 7d"),
        (("wait", "empty", "production"), "has no deployment yet"),
        (("--region", "mars", "fleet", "select"), "The region 'mars' does not exist"),
        (("vars", "set", "shop", "preview", "KEY=secret"), "cannot be an argument"),
        (("vars", "set", "shop", "preview", "KEY=env:NO_SUCH"), "NO_SUCH is not set"),
        (("purge", "shop", "preview"), "exactly one"),
        (("domains", "update", "shop", "preview", "example.com"), "has no domain example.com"),
    ],
)
def test_a_wrong_argument_is_a_usage_error(command: Command, typed: tuple[str, ...], words: str) -> None:
    ended = command(*typed)

    assert (ended.code, ended.out) == (ExitCode.USAGE, "")
    assert words in ended.err


def test_a_failed_build_ends_with_1_and_says_why(
    command: Command, emulator: LaunchEmulator, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    emulator.script(outcome="FAILED")

    ended = command("deploy", "broken", "production", folder, "--json")

    assert ended.code == ExitCode.FAILED
    assert ended.document["error"] == "DeploymentFailed"
    assert "::group::Build log of broken/production" in ended.err
    assert "::error title=DeploymentFailed::" in ended.err


def test_gitlab_folds_the_build_log(command: Command, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITLAB_CI", "true")

    ended = command("deploy", "shop", "preview", folder)

    assert "section_start:" in ended.err
    assert "section_end:" in ended.err


def test_a_refused_token_ends_with_5(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONTENTSTACK_AUTHTOKEN", "blt0000000000000000")

    assert command("fleet", "select").code == ExitCode.REFUSED


def test_no_credentials_end_with_4(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CONTENTSTACK_AUTHTOKEN")
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.null.Keyring")

    ended = command("fleet", "select")

    assert ended.code == ExitCode.USAGE
    assert "CONTENTSTACK_ACCESS_TOKEN" in ended.err


def test_variables_are_compared_set_and_removed_without_being_shown(
    command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "a.env").write_text("COLOUR=night-blue\nTOKEN=t0p-secret\n")
    monkeypatch.setenv("THE_TOKEN", "t0p-secret")
    monkeypatch.setattr("sys.stdin", io.StringIO("night-blue\n"))
    place = "shop-b", "production"

    drift = command("vars", "diff", *place, "a.env")
    typed = command("vars", "set", *place, "COLOUR", "TOKEN=env:THE_TOKEN")
    same = command("vars", "diff", *place, "a.env", "--json")
    dry = command("vars", "unset", *place, "TOKEN", "--dry-run")
    removed = command("vars", "unset", *place, "TOKEN", "NO_SUCH")
    imported = command("vars", "import", *place, "a.env")

    assert [one.code for one in (drift, typed, same, dry, removed, imported)] == [ExitCode.DRIFT, 0, 0, 0, 0, 0]
    assert same.document["unchanged"] == ["COLOUR", "TOKEN"]
    assert dry.out == removed.out
    assert "+ TOKEN" in imported.out
    for ended in (drift, typed, same, dry, removed, imported):
        assert "night-blue" not in ended.out + ended.err
        assert "t0p-secret" not in ended.out + ended.err


def test_a_fleet_is_planned_run_and_reported(command: Command, tmp_path: Path) -> None:
    chosen = "--project", "shop*", "--environment", "production"
    selected = command("fleet", "select", *chosen)
    planned = command("fleet", "plan", "redeploy", "previous", *chosen, "-o", "plan.json")
    refused = command("fleet", "run", "plan.json")
    ran = command("fleet", "run", "plan.json", "--confirm", "2", "--json")
    again = command("fleet", "resume", "plan.json.journal", "--json")
    reported = command("fleet", "report", "plan.json.journal", "--json")
    page, junit, markdown = (
        command("fleet", "report", "plan.json.journal", "--format", form).out for form in ("html", "junit", "markdown")
    )

    assert selected.out.startswith("2 of ")
    assert all(len(line) <= 80 for line in selected.out.splitlines())
    assert "shop/production" in planned.out
    assert (refused.code, refused.err.startswith("error: --confirm is ")) == (ExitCode.USAGE, True)
    assert (ran.code, ran.document["totals"]) == (0, {"succeeded": 2})
    assert (again.code, again.document["totals"]) == (0, {"succeeded": 2})
    assert reported.document["targets"] == ran.document["targets"]
    assert [page[:15], junit[:5], markdown[:1]] == ["<!DOCTYPE html>", "<?xml", "#"]


def test_a_fleet_with_a_failed_target_ends_with_1(command: Command, emulator: LaunchEmulator) -> None:
    command("fleet", "plan", "redeploy", "previous", "--project", "broken", "-o", "broken.json")
    emulator.script(outcome="FAILED")

    ended = command("fleet", "run", "broken.json", "--confirm", "1")

    assert ended.code == ExitCode.FAILED


def test_running_a_plan_of_variables_needs_the_values_again(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THE_TOKEN", "t0p-secret")
    planned = command(
        "fleet", "plan", "variables", "TOKEN=env:THE_TOKEN", "--project", "shop", "--environment", "preview",
        "-o", "vars.json",
    )  # fmt: skip
    without = command("fleet", "run", "vars.json")
    ran = command("fleet", "run", "vars.json", "--set", "TOKEN=env:THE_TOKEN")

    assert (planned.code, without.code, ran.code) == (0, ExitCode.USAGE, 0)
    assert "t0p-secret" not in Path("vars.json").read_text() + planned.out + ran.out + ran.err


def test_domains_are_changed_and_the_cache_is_revalidated(command: Command) -> None:
    listed = command("domains", "list", "shop", "preview", "--json")
    purged = command("purge", "shop", "preview", "--path", "/", "--is-prefix")

    assert listed.code == 0
    assert (purged.code, "Revalidated." in purged.out) == (0, True)


def test_doctor_names_the_fault_and_the_fix(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    healthy = command("doctor")
    monkeypatch.setenv("CONTENTSTACK_AUTHTOKEN", "blt0000000000000000")
    ill = command("doctor", "--json")

    assert healthy.code == 0
    assert "FAIL" not in healthy.out
    assert ill.code == ExitCode.FAILED
    wrong = {one["check"]: one["cure"] for one in ill.document if not one["is_ok"]}
    assert wrong.keys() == {"organization"}
    assert "credentials" in wrong["organization"]


def test_server_logs_are_printed_as_lines(command: Command, emulator: LaunchEmulator) -> None:
    newest = command("wait", "shop", "production", "--json").document
    emulator.add_server_log(newest["uid"], "started\x1b[31m")

    text = command("server-logs", "shop", "production", "--since", "1h")
    lines = command("server-logs", "shop", "production", "--json")

    assert text.out.endswith("started\n")
    assert [json.loads(line)["message"] for line in lines.out.splitlines()] == ["started\x1b[31m"]


def test_login_is_stored_in_the_keyring(
    command: Command, emulator: LaunchEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    import keyring
    from keyring.backend import KeyringBackend

    class Memory(KeyringBackend):
        priority = 1  # type: ignore[assignment]
        kept: dict[tuple[str, str], str] = {}  # noqa: RUF012 - one for the process

        def get_password(self, service: str, username: str) -> str | None:
            return self.kept.get((service, username))

        def set_password(self, service: str, username: str, password: str) -> None:
            self.kept[service, username] = password

        def delete_password(self, service: str, username: str) -> None:
            del self.kept[service, username]

    before = keyring.get_keyring()
    keyring.set_keyring(Memory())
    user = emulator.add_organization()
    monkeypatch.delenv("CONTENTSTACK_AUTHTOKEN")
    monkeypatch.delenv("CONTENTSTACK_ORGANIZATION_UID")
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{user.password}\n"))
    try:
        logged_in = command("--base-url", emulator.url, "login", "--email", user.email)
        selected = command("fleet", "select", "--json")
        logged_out = command("--base-url", emulator.url, "logout")
        without_login = command("logout")
        refused = command("fleet", "select")
    finally:
        keyring.set_keyring(before)

    assert (logged_in.code, logged_in.out) == (0, "Logged in.\n")
    assert (selected.code, selected.document) == (0, [])
    assert (logged_out.out, without_login.out) == ("Logged out.\n", "There is no stored login.\n")
    assert refused.code == ExitCode.USAGE
    assert user.password not in logged_in.out + logged_in.err


def test_a_state_file_is_pulled_compared_and_applied(
    command: Command, emulator: LaunchEmulator, tmp_path: Path
) -> None:
    emulator.add_project("stateful", environments=["preview"], git=True, variables=[("API_TOKEN", "hunter2")])
    pulled = command("state", "pull", "--project", "stateful")
    path = tmp_path / "launch.toml"
    path.write_text(path.read_text().replace('git_branch = "main"', 'git_branch = "develop"'))

    drift = command("--json", "state", "diff")
    applied = command("--json", "state", "apply", "--redeploy", "changed")
    again = command("state", "apply")

    assert (pulled.code, drift.code, applied.code, again.code) == (0, 2, 0, 0), applied.err
    assert [one["after"] for one in drift.document["changes"]] == ["develop"]
    assert [one["what"][:8] for one in applied.document["targets"]] == ["update e", "redeploy"]
    assert "no changes" in again.out
    assert [one.name for one in tmp_path.iterdir() if one.suffix == ".journal"] == []
    assert command("state", "resume").code == 4


def test_state_is_pulled_compared_and_applied(command: Command, tmp_path: Path) -> None:
    pulled = command("state", "pull", "--project", "shop-b")
    again = command("state", "pull", "--project", "shop-b")
    same = command("state", "diff")
    text = Path("launch.toml").read_text()
    Path("launch.toml").write_text(text.replace('framework_preset = "OTHER"', 'framework_preset = "ASTRO"'))
    drift = command("state", "diff", "--json")
    markdown = command("state", "diff", "--markdown")
    refused = command("state", "apply")
    applied = command("state", "apply", "--confirm", "1")
    settled = command("state", "apply")

    assert [one.code for one in (pulled, again, same)] == [0, ExitCode.USAGE, 0]
    assert (drift.code, drift.document["changes"][0]["after"]) == (ExitCode.DRIFT, "ASTRO")
    assert markdown.code == ExitCode.DRIFT
    assert (refused.code, refused.err.startswith("error: --confirm is ")) == (ExitCode.USAGE, True)
    assert (applied.code, settled.out) == (0, same.out)
    assert not Path("launch.toml.journal").exists()
    assert command("state", "resume").code == ExitCode.USAGE


def test_a_deployment_is_promoted_and_rolled_back(command: Command, folder: Path) -> None:
    command("deploy", "shop", "preview", folder)
    promoted = command("promote", "shop", "preview", "shop", "production", "--json")
    restored = command("restore", "shop", "production", "--json")

    assert (promoted.code, promoted.document["status"]) == (0, "LIVE")
    assert (restored.code, restored.document["status"]) == (0, "LIVE")
    assert command("promote", "shop", "preview", "shop", "preview").code == ExitCode.USAGE


def test_a_check_that_fails_ends_with_1(command: Command, folder: Path) -> None:
    healthy = command(
        "deploy", "shop", "preview", folder, "--verify", "/", "--verify", "/,contains=night sky,status=200"
    )
    ill = command("deploy", "shop", "preview", folder, "--verify", "/no,grace=0,attempts=1", "--json")
    odd = command("deploy", "shop", "preview", folder, "--verify", "/,status=ok")

    unknown = command("deploy", "shop", "preview", folder, "--verify", "/,colour=red")

    assert [one.code for one in (healthy, ill, odd, unknown)] == [0, ExitCode.FAILED, ExitCode.USAGE, ExitCode.USAGE]
    assert ill.document["error"] == "DeploymentUnhealthy"


def test_a_preview_is_created_listed_extended_and_deleted(
    command: Command, emulator: LaunchEmulator, folder: Path
) -> None:
    made = command("preview", "create", "shop", "--source", folder, "--ttl", "1h", "--name", "preview-moon", "--json")
    extended = command("preview", "extend", "shop", "preview-moon", "2h")
    listed = command("preview", "list", "shop")
    early = command("preview", "sweep", "--json")
    emulator.advance(3 * 3600)
    dry = command("preview", "sweep", "--project", "shop", "--dry-run", "--json")
    swept = command("preview", "sweep", "--json")
    gone = command("preview", "delete", "shop", "--name", "preview-moon")

    assert [one.code for one in (made, extended, listed, early, dry, swept, gone)] == [0] * 7
    assert made.document["name"] == "preview-moon"
    assert "preview-moon" in listed.out
    assert all(len(line) <= 80 for line in listed.out.splitlines())
    assert early.document == []
    assert [one["name"] for one in dry.document] == [one["name"] for one in swept.document] == ["preview-moon"]
    assert gone.out == "The preview does not exist.\n"
