"""Progress in a notebook: drawn once below the cell and then updated, and never outside a notebook."""

from __future__ import annotations

import sys
from types import ModuleType

import attrs
import pytest
from display_support import Reader

from launch_async import Deployment, DeploymentStatus, LogLine, LogStage
from launch_async.display.live.notebook import Progress
from launch_sync.display import Progress as SyncProgress

LINE = LogLine(message="Building <the> site", stage=LogStage.BUILD)


@attrs.define
class Frontend:
    """A front end of a notebook that records each drawing of its only display."""

    drawn: list[list[str]] = attrs.field(factory=list)

    def display(self, shown: Progress, *, display_id: bool) -> Frontend:
        assert display_id
        assert not self.drawn
        self.update(shown)
        return self

    def update(self, shown: Progress) -> None:
        read = Reader(shown._repr_html_())
        assert read.is_harmless
        self.drawn.append(read.lines)


@pytest.fixture
def frontend(monkeypatch: pytest.MonkeyPatch) -> Frontend:
    """The front end of a notebook with a kernel."""
    frontend = Frontend()
    install_ipython(monkeypatch, frontend, attrs.make_class("Shell", {"kernel": attrs.field(default="kernel")})())
    return frontend


def install_ipython(monkeypatch: pytest.MonkeyPatch, frontend: Frontend, shell: object) -> None:
    ipython, display = ModuleType("IPython"), ModuleType("IPython.display")
    ipython.get_ipython = lambda: shell  # type: ignore[attr-defined]
    display.display = frontend.display  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", display)


def test_each_step_of_a_deployment_is_shown(frontend: Frontend) -> None:
    with Progress("night-sky", every=0) as progress:
        progress.on_progress(2048)
        progress.on_log(LINE)
        progress.on_update(
            Deployment(uid="d", status=DeploymentStatus.DEPLOYING, deployment_url="moon.example.com", project_uid="p")
        )

    waiting, uploading, building, deploying, done = frontend.drawn
    assert waiting[0] == "night-sky"
    assert waiting[1].startswith("status … waiting after 0.")
    assert uploading[1].startswith("status … uploading after")
    assert uploading[2] == "uploaded 2.0 KiB"
    assert building[1].startswith("status … building after")
    assert building[-2:] == ["BUILD", "Building <the> site"]
    assert deploying[1].startswith("status … DEPLOYING after")
    assert "site https://moon.example.com" in deploying
    assert done[1].startswith("status ✓ done after")


def test_only_the_last_log_lines_are_shown_and_all_are_counted(frontend: Frontend) -> None:
    with Progress("night-sky") as progress:
        for number in range(1500):
            progress.on_log(LogLine(message=f"line {number}"))

    assert "log 1,500 lines" in frontend.drawn[-1]
    assert frontend.drawn[-1][-6:] == [f"line {number}" for number in range(1494, 1500)]


def test_a_fast_log_does_not_flood_the_front_end(frontend: Frontend) -> None:
    with Progress("night-sky", every=3600) as progress:
        for _ in range(100):
            progress.on_log(LINE)

    assert len(frontend.drawn) == 2
    assert "log 100 lines" in frontend.drawn[-1]


def test_an_error_is_shown_by_its_class_and_raised(frontend: Frontend) -> None:
    with pytest.raises(ValueError, match="secret"), Progress("night-sky"):
        raise ValueError("secret")

    assert frontend.drawn[-1][1].startswith("status ✗ ValueError after")
    assert "secret" not in "".join(frontend.drawn[-1])


def test_an_interruption_is_not_shown_as_a_failure(frontend: Frontend) -> None:
    with pytest.raises(KeyboardInterrupt), Progress("night-sky"):
        raise KeyboardInterrupt

    assert frontend.drawn[-1][1].startswith("status ! interrupted after")


def test_nothing_is_drawn_after_the_end(frontend: Frontend) -> None:
    with Progress("night-sky", every=0) as progress:
        pass
    progress.on_log(LINE)

    assert len(frontend.drawn) == 2


@pytest.mark.parametrize("shell", [None, "a terminal"])
def test_nothing_is_drawn_in_a_terminal(monkeypatch: pytest.MonkeyPatch, shell: object) -> None:
    frontend = Frontend()
    install_ipython(monkeypatch, frontend, shell)

    with Progress("night-sky", every=0) as progress:
        progress.on_log(LINE)

    assert frontend.drawn == []


def test_progress_works_without_ipython(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "IPython", raising=False)

    with Progress("night-sky", every=0) as progress:
        progress.on_log(LINE)

    assert "log 1 line" in Reader(progress._repr_html_()).lines


def test_both_packages_have_the_same_progress() -> None:
    assert SyncProgress is Progress
