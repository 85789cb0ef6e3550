"""The generator writes the golden package, and refuses constructs that it cannot translate."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tools.generate_sync import differences, generated, write
from tools.sync_facade.docstrings import synchronous
from tools.sync_facade.facade import Facade, modules_of
from tools.sync_facade.source import UnmappedError

HERE = Path(__file__).parent
MINI = Facade(
    source=HERE / "mini_async",
    target="mini_sync",
    shared=frozenset({"mini_async.plugs"}),
    constructed=frozenset({"Client"}),
    fork_aware=frozenset({"Client"}),
    on_loop=frozenset({"Client.draw"}),
    extra={"BridgeThreadError": "launch_sync._bridge.loop"},
)


def package(folder: Path, source: str) -> Facade:
    root = folder / "tiny_async"
    root.mkdir()
    (root / "__init__.py").write_text('"""Tiny."""\n')
    (root / "thing.py").write_text(f'__all__ = ["Thing"]\n{source}')
    return Facade(source=root, target="tiny_sync")


def test_every_construct_is_generated_as_in_the_golden_package() -> None:
    assert differences(HERE / "mini_sync", generated(MINI, HERE / "mini_sync")) == []


def test_check_reports_outdated_missing_and_superfluous_files(tmp_path: Path) -> None:
    wanted = {Path("a.py"): "A = 1\n", Path("b.py"): "B = 1\n"}
    (tmp_path / "a.py").write_text("A = 2\n")
    (tmp_path / "c.py").write_text("C = 1\n")
    (tmp_path / "_bridge").mkdir()
    (tmp_path / "_bridge" / "loop.py").write_text("written by hand\n")
    assert differences(tmp_path, wanted) == ["b.py: missing", "c.py: no longer needed", "a.py: out of date"]


def test_writing_replaces_handwritten_files_and_leaves_nothing_for_check(tmp_path: Path) -> None:
    wanted = {Path("a.py"): "A = 1\n", Path("deep/b.py"): "B = 1\n"}
    (tmp_path / "c.py").write_text("C = 1\n")
    (tmp_path / "_bridge").mkdir()
    (tmp_path / "_bridge" / "loop.py").write_text("written by hand\n")
    write(tmp_path, wanted)
    assert differences(tmp_path, wanted) == []
    assert (tmp_path / "_bridge" / "loop.py").read_text() == "written by hand\n"


@pytest.mark.parametrize(
    ("members", "problem"),
    [
        ("    async def go(self): ...", "go has no return type"),
        ("    async def go(self, x) -> int: ...", "x has no type"),
        ("    def go(self) -> Awaitable[int]: ...", "write it as `async def`"),
        ("    async def go(self, f: Callable[[], int]) -> int: ...", "f is a callback whose result is used"),
        ("    async def go(self, f: Callable[[], Awaitable[int]]) -> int: ...", "Awaitable has no synchronous form"),
        ("    async def go(self, xs: AsyncIterator[int]) -> int: ...", "cannot pass on xs"),
        ("    async def go(self, xs: list[Thing]) -> int: ...", "cannot wrap list[Thing]"),
        ("    async def go(self, x: int = Thing()) -> int: ...", "the default uses the asynchronous Thing"),
        ("    async def go(self) -> list[Thing]: ...", "cannot wrap list[Thing]"),
        ("    async def go(self) -> int | str | Thing: ...", "cannot wrap int | str | Thing"),
        ("    async def go(self) -> AsyncIterator[Thing]:\n        yield self", "cannot wrap AsyncIterator[Thing]"),
        ("    def __init__(self) -> None:\n        self.x = []\n    async def go(self) -> int: ...", "x is public"),
        ("    async def __anext__(self) -> int: ...", "__anext__ has no synchronous form"),
        ("    async def __aenter__(self) -> int: ...", "can be entered, but not closed"),
        ("    @property\n    def x(self): ...\n    async def go(self) -> int: ...", "x has no type"),
    ],
)
def test_a_construct_without_a_synchronous_form_stops_the_generator(tmp_path: Path, members: str, problem: str) -> None:
    imports = "from collections.abc import AsyncIterator, Awaitable, Callable\n"
    with pytest.raises(UnmappedError) as caught:
        modules_of(package(tmp_path, f"{imports}\n\nclass Thing:\n{members}\n"))
    assert problem in str(caught.value)
    assert "thing.py:" in str(caught.value)


def test_data_with_a_callback_inside_stops_the_generator(tmp_path: Path) -> None:
    source = (
        "from collections.abc import Callable\n\n\nOnStep = Callable[[int], object] | None\n\n\n"
        "class Options:\n    on_step: OnStep = None\n\n\n"
        "class Thing:\n    async def go(self, *, options: Options | None = None) -> int: ...\n"
    )
    with pytest.raises(UnmappedError, match=r"options contains the callback Options\.on_step: make it an argument"):
        modules_of(package(tmp_path, source))


def test_a_name_in_all_that_does_not_exist_stops_the_generator(tmp_path: Path) -> None:
    with pytest.raises(UnmappedError, match="Thing, which is not defined"):
        modules_of(package(tmp_path, ""))


def test_examples_become_synchronous_and_prose_stays() -> None:
    text = synchronous(
        "Use `async with`; we await rain.\n\n    Example::\n\n        import asyncio\n"
        "        async with x as y:\n            await y.z()\n\n    Await more.\n    ",
        "    ",
    )
    assert text.splitlines() == [
        '    """Use `with`; we await rain.',
        "",
        "    Example::",
        "",
        "        with x as y:",
        "            y.z()",
        "",
        "    Await more.",
        '    """',
    ]


def test_the_docstring_of_a_users_coroutine_function_stays_asynchronous() -> None:
    text = synchronous(
        "Do.\n\nArgs:\n    layer: `async def layer(x)` gets it\n        and returns `await x`.\n"
        "    other: See `await go()`.\n",
        "",
    )

    assert "`async def layer(x)` gets it\n        and returns `await x`" in text
    assert "See `go()`" in text


def test_an_option_of_launch_async_alone_is_omitted_from_signature_and_docstring(tmp_path: Path) -> None:
    facade = package(
        tmp_path,
        "class Thing:\n"
        '    """A thing.\n\n    Args:\n        size: How large.\n'
        '        session: Which\n            one.\n        end: When.\n    """\n'
        "    def __init__(self, *, size: int = 1, session: object = None, end: int = 2) -> None: ...\n"
        "    async def go(self) -> None: ...\n",
    )

    (text,) = (
        text
        for path, text in modules_of(
            replace(facade, constructed=frozenset({"Thing"}), absent=frozenset({"Thing.session"}))
        ).items()
        if path.name == "thing.py"
    )

    assert "session" not in text
    assert "size: How large.\n        end: When." in text
    assert "size=size, end=end" in text
