"""The drawings of the documentation show their text, and invalid drawings are refused."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from tools.pages import blocks
from tools.website.charts import chart
from tools.website.diagrams import sequence
from tools.website.flows import flow

TEXT = """
program, SDK
program -> SDK: deploy <a & b>
SDK -x program: the answer
SDK: looks it up
"""


SVG = "{http://www.w3.org/2000/svg}"


def words(picture: str) -> list[str | None]:
    return [element.text for element in ElementTree.fromstring(picture).iter(f"{SVG}text")]


def test_a_picture_contains_all_participants_and_steps() -> None:
    picture = ElementTree.fromstring(sequence(TEXT))

    texts = [element.text for element in picture.iter(f"{SVG}text")]
    assert texts == ["program", "SDK", "deploy <a & b>", "the answer", "looks it up"]


def test_a_picture_loads_nothing() -> None:
    assert "http" not in sequence(TEXT).replace("http://www.w3.org/2000/svg", "")


@pytest.mark.parametrize("line", ["SDK -> nobody: hello", "nobody: waits", "just words"])
def test_an_invalid_line_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match=r"is not one of the participants|neither a message nor a note"):
        sequence(f"program, SDK\n{line}")


def test_every_picture_of_the_documentation_can_be_drawn() -> None:
    draw = {"sequence": sequence, "flow": flow, "chart": chart}

    pictures = [draw[block.language](block.text) for block in blocks(*draw)]

    assert len(pictures) >= 8
    for picture in pictures:
        ElementTree.fromstring(picture)


def test_a_box_is_below_the_boxes_that_point_to_it() -> None:
    picture = flow("a -> b: first\nb -> c\na -> c\nlate -> c")

    boxes = ElementTree.fromstring(picture).iter(f"{SVG}rect")
    rows = dict(zip(words(picture)[-4:], (float(box.attrib["y"]) for box in boxes), strict=True))
    assert rows["a"] < rows["b"] == rows["late"] < rows["c"]
    assert "first" in words(picture)


@pytest.mark.parametrize("text", ["just words", "a -> b\nb -> a", "a -> a"])
def test_a_text_without_arrows_or_with_a_circle_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"not an arrow|circle"):
        flow(text)


FIGURES = "accepted per second; seconds\nx: 1 2 4\nours: 8 9.5 10\ntheirs: 2 0 1"


def test_a_chart_has_a_line_and_a_name_for_each_row() -> None:
    picture = chart(FIGURES)

    lines = [line.attrib["points"].split() for line in ElementTree.fromstring(picture).iter(f"{SVG}polyline")]
    assert [len(points) for points in lines] == [3, 3]
    assert {"accepted per second", "seconds", "ours", "theirs"} <= set(words(picture))


def test_a_chart_has_larger_values_higher_and_a_linear_time_axis() -> None:
    (line, _) = ElementTree.fromstring(chart(FIGURES)).iter(f"{SVG}polyline")

    (x1, y1), (x2, y2), (x3, y3) = (map(float, point.split(",")) for point in line.attrib["points"].split())
    assert y1 > y2 > y3
    assert x3 - x2 == pytest.approx(2 * (x2 - x1), abs=0.2)


@pytest.mark.parametrize("row", ["short: 1 2", "long: 1 2 3 4"])
def test_a_line_with_another_number_of_figures_is_refused(row: str) -> None:
    with pytest.raises(ValueError, match="3 figures"):
        chart(f"{FIGURES}\n{row}")
