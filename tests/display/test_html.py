"""The HTML for notebooks: all text is escaped, long content is cut, and no information depends on colour or theme."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from display_support import Reader
from hypothesis import given, strategies as st

from launch_async._text import duration, file_size, listed
from launch_async.display import html as _html
from launch_async.display.html import Markup, Severity, TextLine

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOSTILE = st.one_of(
    st.text(),
    st.text(alphabet="<>&\"'/=`! -", max_size=30),
    st.sampled_from(
        [
            "<script>alert(1)</script>",
            "'\" onclick=x",
            "<!--",
            "-->",
            "&lt;b&gt;",
            "\x1b[31mred\x1b[0m",
            "\ud800",
            "\u202e",
        ]
    ),
)


@given(HOSTILE, HOSTILE)
def test_any_value_is_escaped(name: str, value: str) -> None:
    for shown in (
        _html.card(name, {name: value}),
        _html.table(name, [value], cells=lambda item: {name: item}),
        _html.log([TextLine(NOW, name, value)]),
        _html.details(name, _html.text(value)),
        _html.badge(value, Severity.BAD),
        _html.code(value),
        _html.faint(value),
        _html.link(value, name),
        _html.link(f"https://example.com/{value}", name),
        _html.links([value, name]),
        _html.text(listed([name, value], 10)),
    ):
        read = Reader(shown)
        assert read.is_harmless
        shown.encode()


@given(st.text(alphabet=st.characters(categories=["L", "N", "P", "S"]), max_size=300))
def test_a_printable_text_is_shown_unchanged(value: str) -> None:
    assert Reader(_html.text(value)).words == value


def test_terminal_colours_are_removed_and_control_characters_are_replaced() -> None:
    assert _html.text("\x1b[1;31mError\x1b[0m \x1b]8;;https://x\x07here\x00") == "Error here\N{REPLACEMENT CHARACTER}"


def test_a_text_cannot_reverse_the_direction_of_later_text() -> None:
    assert "\u202e" not in _html.text("safe\u202etxt.exe")


def test_a_long_text_is_cut() -> None:
    assert len(_html.text("x" * 5000)) == 301


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "data:text/html,x",
        "file:///etc/passwd",
        "//example.com",
        "https://",
        "http://[",
        "",
        None,
    ],
)
def test_only_a_web_address_becomes_a_link(url: str | None) -> None:
    assert Reader(_html.link(url, "name")).links == []


def test_a_link_contains_no_credentials() -> None:
    shown = _html.link("https://user:token@example.com/repository?a=1&b=2")

    assert Reader(shown).links == ["https://example.com/repository?a=1&b=2"]
    assert "token" not in shown


def test_addresses_without_a_scheme_use_https_except_on_this_machine() -> None:
    shown = Reader(_html.links(["moon.example.com", "127.0.0.1:80", None, "http://sun.example.com", "a", "b"]))

    assert shown.links == ["https://moon.example.com", "http://127.0.0.1:80", "http://sun.example.com"]
    assert shown.words.endswith(" and 2 more")


def test_a_long_table_is_cut_and_shows_the_number_of_further_rows() -> None:
    read = Reader(_html.table("Numbers", range(1234), cells=lambda number: {"n": f"row-{number}"}))

    assert read.words.count("row-") == 20
    assert read.lines[-1] == "… and 1,214 more"


def test_rows_that_are_not_shown_are_not_rendered() -> None:
    made: list[int] = []

    def cells(number: int) -> dict[str, _html.Cell]:
        made.append(number)
        return {"n": number}

    _html.table("Numbers", range(1000), cells=cells)

    assert made == list(range(20))


def test_a_short_table_has_no_line_about_further_rows() -> None:
    assert Reader(_html.table("Numbers", [1, 2], cells=lambda n: {"n": n})).lines == ["Numbers", "n", "1", "2"]


def test_a_long_log_shows_its_end() -> None:
    lines = [TextLine(None, "BUILD", f"line {number}") for number in range(2000)]

    read = Reader(_html.log(lines))

    assert read.lines[:3] == ["… 1,960 earlier lines", "BUILD", "line 1960"]
    assert read.lines[-1] == "line 1999"


def test_a_log_shows_each_change_of_the_stage_and_times_in_utc() -> None:
    berlin = timezone(timedelta(hours=1))
    lines = [
        TextLine(datetime(2026, 3, 1, 13, 0, 1, tzinfo=berlin), "INSTALL", "a"),
        TextLine(None, "INSTALL", "b"),
        TextLine(NOW, "BUILD", "c"),
        TextLine(NOW, None, "d"),
    ]

    assert Reader(_html.log(lines)).lines == ["INSTALL", "12:00:01 a", "b", "BUILD", "12:00:00 c", "12:00:00 d"]


def test_many_names_are_cut() -> None:
    assert listed("abcdefghijklm", 10) == "a, b, c, d, e, f, g, h, i, j and 3 more"


def test_unknown_values_are_left_out() -> None:
    assert Reader(_html.card("Thing", {"a": None, "b": "", "c": 0, "d": False})).lines == ["Thing", "c 0", "d no"]
    table = _html.table("", [{"a": None, "b": 1}, {"c": ""}], cells=lambda row: row)
    assert Reader(table).lines == ["b", "1"]


@pytest.mark.parametrize(
    ("distance", "words"),
    [
        (timedelta(seconds=2), "just now"),
        (timedelta(seconds=-4), "just now"),
        (timedelta(seconds=41), "41 s ago"),
        (timedelta(minutes=59, seconds=59), "59 min ago"),
        (timedelta(hours=23), "23 h ago"),
        (timedelta(days=400), "400 d ago"),
        (timedelta(hours=-3), "in 3 h"),
    ],
)
def test_a_time_is_shown_relative_to_now(distance: timedelta, words: str) -> None:
    assert Reader(_html.ago(NOW - distance, NOW)).words == words


def test_the_exact_time_is_shown_too() -> None:
    berlin = datetime(2026, 3, 1, 11, tzinfo=timezone(timedelta(hours=1)))

    assert Reader(_html.when(berlin, NOW)).words == "2 h ago (2026-03-01 10:00:00 UTC)"
    assert 'title="2026-03-01 10:00:00 UTC"' in _html.ago(berlin, NOW)
    assert _html.when(None) == ""


def test_a_time_in_a_table_is_relative_to_now() -> None:
    assert Reader(_html.text(datetime.now(UTC) - timedelta(days=3, hours=1))).words == "3 d ago"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(None, ""), (0.42, "0.4 s"), (41.2, "41 s"), (185, "3 min 5 s"), (59.9, "1 min 0 s"), (7800, "2 h 10 min")],
)
def test_a_duration_is_shown_with_its_unit(seconds: float | None, words: str) -> None:
    assert duration(seconds) == words


@pytest.mark.parametrize(("count", "words"), [(800, "800 B"), (1536, "1.5 KiB"), (20 * 1024**2, "20.0 MiB")])
def test_a_size_is_shown_with_its_unit(count: int, words: str) -> None:
    assert file_size(count) == words


@pytest.mark.parametrize("severity", Severity)
def test_a_status_is_shown_by_a_word_and_a_mark(severity: Severity) -> None:
    assert Reader(_html.badge("LIVE", severity)).words.split() == [severity.mark, "LIVE"]
    assert len({each.mark for each in Severity}) == len(Severity)


@pytest.mark.parametrize("severity", Severity)
@pytest.mark.parametrize("page", ["#ffffff", "#111111"])
def test_the_colours_have_enough_contrast_in_light_and_dark_themes(severity: Severity, page: str) -> None:
    # WCAG 2.2, 1.4.11 requires a contrast of 3:1 for elements that are not text.
    assert contrast(severity.colour, page) >= 3


@pytest.mark.parametrize("severity", Severity)
def test_no_text_is_coloured(severity: Severity) -> None:
    assert f"{severity.colour};color:" not in _html.badge("x", severity)
    assert 'style="color:#' not in _html.badge("x", severity)


def test_html_is_not_escaped_again() -> None:
    assert _html.text(Markup("<b>x</b>")) == "<b>x</b>"


def test_an_item_of_a_class_without_a_view_is_shown_as_text() -> None:
    assert Reader(_html.table("Paths", [object])).lines == ["Paths", "type", "<class 'object'>"]


def contrast(one: str, other: str) -> float:
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def luminance(colour: str) -> float:
    parts = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
