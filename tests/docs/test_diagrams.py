"""The documentation's sequence diagrams: what the text says is in the picture, and nothing else is accepted."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from tools.diagrams import on_config, sequence

TEXT = """
program, SDK
program -> SDK: deploy <a & b>
SDK -x program: the answer
SDK: looks it up
"""


class Config:
    def __init__(self) -> None:
        self.mdx_configs: dict[str, dict[str, list[dict[str, object]]]] = {}


def test_a_picture_holds_everybody_and_every_step() -> None:
    picture = ElementTree.fromstring(sequence(TEXT))

    texts = [element.text for element in picture.iter("{http://www.w3.org/2000/svg}text")]
    assert texts == ["program", "SDK", "deploy <a & b>", "the answer", "looks it up"]


def test_a_picture_loads_nothing() -> None:
    assert "http" not in sequence(TEXT).replace("http://www.w3.org/2000/svg", "")


@pytest.mark.parametrize("line", ["SDK -> nobody: hello", "nobody: waits", "just words"])
def test_what_makes_no_sense_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match=r"does not take part|neither a message nor a note"):
        sequence(f"program, SDK\n{line}")


def test_the_fence_is_registered() -> None:
    config = Config()

    on_config(config)

    assert [fence["name"] for fence in config.mdx_configs["pymdownx.superfences"]["custom_fences"]] == ["sequence"]
