"""Reports and progress views state what happened in words, and escape the markup in names."""

from __future__ import annotations

import io
import json
import re
import sys
import threading
import types
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser

import attrs
import pytest
from hypothesis import given, settings, strategies as st

from launch_async import ConfigurationError, InvalidArgumentError
from launch_async.display import FleetProgress, ProgressMode
from launch_async.display.timeline import timeline
from launch_async.fleet import (
    FleetEvent,
    FleetEventKind,
    FleetReport,
    OperationState,
    Plan,
    PlannedSource,
    Redeploy,
    Target,
    TargetOutcome,
)

NASTY = "<b>\"&'|`[x](y)\x1b[31m\n\x00"
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


def _target(number: int, name: str = NASTY) -> Target:
    return Target(
        project_uid="a" * 24, environment_uid=f"{number:024x}", project_name=name, environment_name=f"{name}{number}"
    )


def _report(states: Sequence[OperationState], name: str = NASTY) -> FleetReport:
    targets = [_target(number, name) for number in range(len(states))]
    action = Redeploy(source=PlannedSource(kind="files", path=name))
    plan = Plan.make(action, targets, host="launch-api.example", organization_uid=None, rate=10.0)
    return FleetReport(
        plan=plan,
        outcomes=tuple(
            TargetOutcome(
                target=target,
                state=state,
                wave=number // 3,
                started_at=None if state is OperationState.PLANNED else BEGAN + timedelta(seconds=number),
                ended_at=BEGAN + timedelta(seconds=2 * number + 1) if state.is_final else None,
                deployment_uid="d" * 24,
                url="https://site.example",
                message="" if state is OperationState.SUCCEEDED else name * 20,
                report={"log_tail": [name]} if state is OperationState.FAILED else None,
            )
            for number, (target, state) in enumerate(zip(targets, states, strict=True))
        ),
        seconds=12.0,
        requests=7,
        waited=1.0,
        stopped="" if OperationState.PLANNED not in states else name,
    )


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found |= {tag, *(name for name, _ in attrs if name.startswith("on") or name in {"src", "href"})}


def _tags(text: str) -> set[str]:
    parser = _Tags()
    parser.feed(text)
    return parser.found


STATES = st.lists(st.sampled_from(OperationState), min_size=1, max_size=8)


@settings(max_examples=40)
@given(STATES, st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20))
def test_every_format_escapes_any_name(states: list[OperationState], name: str) -> None:
    report = _report(states, name)

    suite = ET.fromstring(report.to_junit())[0]
    assert len(suite.findall("testcase")) == len(states)
    assert len(suite.findall(".//failure")) == states.count(OperationState.FAILED) == int(suite.get("failures", ""))
    assert len(suite.findall(".//error")) == states.count(OperationState.AMBIGUOUS) == int(suite.get("errors", ""))
    plain = _report(states, "x")
    assert _tags(report.to_html()) == _tags(plain.to_html())
    assert _tags(report._repr_html_()) == _tags(plain._repr_html_())
    assert len(report.to_markdown().splitlines()) == len(plain.to_markdown().splitlines())
    assert report.to_json()
    for text in (str(report), str(report.plan), report.to_markdown()):
        assert all(line.isprintable() for line in text.split("\n"))
    assert len(str(report).split("\n")) == len(str(plain).split("\n"))


def test_targets_without_success_come_first_in_words() -> None:
    report = _report([OperationState.SUCCEEDED, OperationState.FAILED, OperationState.PLANNED], "shop")

    assert report.to_markdown().startswith(
        "### Fleet: redeploy from files of shop (busy environments: queue): not done"
    )
    assert "| shop/shop1 | failed | shopshop" in report.to_markdown()
    body = report.to_html()
    assert "1 of 3 targets succeeded" in body
    assert body.index("shop/shop1</td>") < body.index("shop/shop2</td>") < body.index("shop/shop0</td>")
    assert report.summary.endswith("; stopped: shop")
    assert _report([OperationState.SUCCEEDED]).to_html().count("The target is done") == 1


def test_the_chart_of_a_resumed_run_omits_the_time_between_the_runs() -> None:
    first, second = _report([OperationState.SUCCEEDED] * 2, "shop").outcomes
    night = timedelta(hours=9)
    second = attrs.evolve(second, started_at=BEGAN + night, ended_at=BEGAN + night + timedelta(seconds=8))

    shown = timeline([first, second])

    assert "no run for 8 h 59 min" in shown or "no run for 9 h 0 min" in shown
    widths = [float(width) for width in re.findall(r'<rect x="[^"]*" y="[^"]*" width="([^"]*)" height="11"', shown)]
    assert min(widths) > 20
    assert "no run" not in timeline([first, attrs.evolve(second, started_at=BEGAN, ended_at=BEGAN + night)])


def test_junit_contains_the_start_of_the_first_run() -> None:
    report = attrs.evolve(_report([OperationState.SUCCEEDED], "shop"), started_at=BEGAN)

    assert 'timestamp="2026-01-01T00:00:00+00:00"' in report.to_junit()


def test_json_and_rows_have_every_figure_of_every_target() -> None:
    report = _report([OperationState.SUCCEEDED, OperationState.FAILED], "shop")

    document = json.loads(report.to_json())

    assert document["totals"] == {"succeeded": 1, "failed": 1}
    assert (document["success"], document["requests"], document["waited"]) == (False, 7, 1.0)
    good, bad = document["targets"]
    assert (good["state"], good["seconds"], good["url"]) == ("succeeded", 1.0, "https://site.example")
    assert bad["report"] == {"log_tail": ["shop"]}
    assert [{**row, "report": target["report"]} for row, target in zip(report.rows(), (good, bad), strict=True)] == [
        good,
        bad,
    ]


def test_junit_contains_the_failure_of_each_target() -> None:
    states = [OperationState.SUCCEEDED, OperationState.FAILED, OperationState.AMBIGUOUS, OperationState.PLANNED]

    suite = ET.fromstring(_report(states, "shop").to_junit())[0]

    good, failed, unknown, planned = suite.findall("testcase")
    assert (failed.get("classname"), failed.get("name"), failed.get("time")) == ("shop", "shop1", "2.000")
    assert "deployment dddddddddddddddddddddddd" in (failed.findtext("failure") or "")
    assert (failed.findtext("failure") or "").endswith("shop")
    assert unknown.find("error") is not None
    assert planned.find("skipped") is not None
    assert len(good) == 0


def test_a_large_report_stays_short() -> None:
    report = _report([OperationState.FAILED] * 70 + [OperationState.SUCCEEDED] * 70, "shop")

    assert "20 more targets did not succeed" in report.to_markdown()
    assert "80 more targets" in report.to_html()
    assert "... and 90 more" in str(report)


def test_a_report_becomes_a_data_frame() -> None:
    report = _report([OperationState.SUCCEEDED, OperationState.PLANNED])

    frame = report.to_frame()

    assert list(frame["state"]) == ["succeeded", "planned"]
    assert frame["started_at"].notna().tolist() == [True, False]
    assert list(frame.columns) == list(report.rows()[0])


def test_a_data_frame_without_pandas_is_a_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)

    with pytest.raises(ConfigurationError, match=r"contentstack-launch\[notebook\]"):
        _report([OperationState.SUCCEEDED]).to_frame()


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def _events() -> list[FleetEvent]:
    def event(kind: FleetEventKind, done: int = 0, **more) -> FleetEvent:
        return FleetEvent(kind=kind, at=1.0, done=done, total=3, wave=1, **more)

    operation, one, two = FleetEventKind.OPERATION, _target(1), _target(2)
    return [
        event(FleetEventKind.RUN_STARTED, message=f"redeploy {NASTY}"),
        event(FleetEventKind.WAVE_STARTED),
        event(operation, target=one, state=OperationState.SENT),
        event(FleetEventKind.DEPLOYMENT, target=one, message="DEPLOYING"),
        event(FleetEventKind.DEPLOYMENT, target=two, message="QUEUED"),
        event(FleetEventKind.PAUSED),
        event(FleetEventKind.RESUMED),
        event(operation, 1, target=one, state=OperationState.FAILED, message=NASTY),
        event(FleetEventKind.STOPPING, 1, message="too many failed"),
    ]


def test_a_log_gets_one_plain_line_for_each_event() -> None:
    file = io.StringIO()
    progress = FleetProgress(file=file)

    for event in _events():
        progress(event)

    lines = file.getvalue().splitlines()
    assert progress.mode == "lines"
    assert len(lines) == len(_events())
    assert all(line.isprintable() for line in lines)


@pytest.mark.parametrize("mode", ["lines", "live"])
def test_all_progress_output_shows_sending_for_an_intent(mode: ProgressMode) -> None:
    file = _Terminal()
    target = _target(1)

    with FleetProgress(mode, file=file) as progress:
        progress(
            FleetEvent(
                kind=FleetEventKind.OPERATION, at=1.0, done=0, total=1, target=target, state=OperationState.INTENDED
            )
        )

    assert "sending" in file.getvalue()
    assert "intended" not in file.getvalue()


def test_a_terminal_gets_a_table_and_its_cursor_back() -> None:
    file = _Terminal()

    with FleetProgress(file=file) as progress:
        assert progress.mode == "live"
        for event in _events():
            progress(event)

    shown = file.getvalue()
    assert "1/3" in shown
    assert "stopping: too many failed" in shown
    assert "1 failed, 1 in progress" in re.sub(r"\x1b\[[0-9;]*m", "", shown)
    assert "\x1b[31m" not in shown
    assert shown.rstrip().endswith("\x1b[?25h"), "the cursor is still hidden"


def test_the_end_of_a_run_restores_the_terminal() -> None:
    file = _Terminal()
    progress = FleetProgress(file=file)
    progress(_events()[0])

    progress(FleetEvent(kind=FleetEventKind.RUN_ENDED, at=2.0, done=3, total=3, message="3 succeeded"))

    assert "3 succeeded" in file.getvalue()
    assert file.getvalue().rstrip().endswith("\x1b[?25h")


def test_a_small_terminal_shows_the_number_of_omitted_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LINES", "12")
    monkeypatch.setenv("COLUMNS", "80")
    file = _Terminal()

    with FleetProgress(file=file) as progress:
        for number in range(30):
            state = OperationState.FAILED if number < 10 else OperationState.SENT
            target = _target(number, "a-long-name-of-a-project-that-differs-at-its-end-")
            progress(FleetEvent(kind=FleetEventKind.OPERATION, at=0.0, done=0, total=30, target=target, state=state))

    assert "more failed and 20 more in progress" in file.getvalue()


def test_a_dumb_terminal_gets_plain_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")

    assert FleetProgress(file=_Terminal()).mode == "lines"


def test_quiet_writes_nothing() -> None:
    file = io.StringIO()
    progress = FleetProgress("quiet", file=file)

    for event in _events():
        progress(event)

    assert file.getvalue() == ""


def test_the_notebook_view_is_a_table_in_words() -> None:
    progress = FleetProgress("quiet", file=io.StringIO())

    for event in _events():
        progress(event)

    shown = progress._repr_html_()
    assert "1 of 3 done" in shown
    assert "<b>" not in shown
    assert "QUEUED" in shown


class _Notebook:
    """A front end that stores the tables it gets, and a kernel behind it."""

    kernel = "of a notebook"

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.shown: list[str] = []
        self.updated = threading.Semaphore(0)
        notebook = types.ModuleType("IPython")
        notebook.display = types.SimpleNamespace(display=self.display)  # type: ignore[attr-defined]
        notebook.get_ipython = lambda: self  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "IPython", notebook)
        monkeypatch.setitem(sys.modules, "IPython.display", notebook.display)

    def display(self, progress: FleetProgress, *, display_id: bool) -> _Notebook:
        assert display_id
        self.shown.append(progress._repr_html_())
        return self

    def update(self, progress: FleetProgress) -> None:
        self.shown.append(progress._repr_html_())
        self.updated.release()


def test_a_notebook_gets_one_table_that_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    notebook = _Notebook(monkeypatch)
    progress = FleetProgress()

    for event in [*_events(), FleetEvent(kind=FleetEventKind.RUN_ENDED, at=2.0, done=3, total=3, message="the end")]:
        progress(event)

    assert progress.mode == "notebook"
    assert len(notebook.shown) < len(_events())
    assert "the end" in notebook.shown[-1]
    assert "finished" in notebook.shown[-1]


def test_a_table_in_a_notebook_is_updated_without_another_event(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("launch_async.display.live.shown._TICK_S", 0.01)
    notebook = _Notebook(monkeypatch)

    with FleetProgress() as progress:
        for event in _events():
            progress(event)
        for _ in range(3):
            assert notebook.updated.acquire(timeout=30)
        assert "too many failed" in notebook.shown[-1]
        assert "interrupted" not in notebook.shown[-1]

    assert "interrupted" in notebook.shown[-1]


def test_an_unavailable_view_is_a_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "IPython.display", None)
    monkeypatch.setitem(sys.modules, "rich.live", None)
    monkeypatch.delitem(sys.modules, "launch_async.display.live.terminal", raising=False)

    with pytest.raises(ConfigurationError, match="needs IPython"):
        FleetProgress("notebook")
    with pytest.raises(ConfigurationError, match="needs rich"):
        FleetProgress("live")
    with pytest.raises(InvalidArgumentError, match="must be one of auto"):
        FleetProgress("loud")  # type: ignore[arg-type]
