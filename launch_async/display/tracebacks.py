"""IPython's traceback of an SDK error: the caller's frames and the message. Plain Python shows all frames.

`traceback.print_last()` shows all frames, and `%debug` still stops in the frame that raised the error.
"""

from __future__ import annotations

import sys
import traceback
from types import FrameType
from typing import Final

from launch_async._text import count_of
from launch_async._views import TRACEBACK
from launch_async.errors import LaunchError

__all__: list[str] = []

_INSIDE: Final = frozenset(
    {
        "launch_async",
        "launch_sync",
        "IPython",
        "ipykernel",
        "aiohttp",
        "asyncio",
        "concurrent",
        "contextlib",
        "threading",
    }
)
"""Packages whose frames do not help the caller."""


def _of_the_caller(error: BaseException) -> list[str]:
    frames = [*traceback.walk_tb(error.__traceback__)]
    shown = [(frame, line) for frame, line in frames if not _is_inside(frame)]
    hidden = sum(_is_of_the_sdk(frame) for frame, _ in frames)
    summary = traceback.StackSummary.extract(iter(shown))
    summary = traceback.StackSummary.from_list([_in_a_cell(one) for one in summary])
    lines = [
        *(["Traceback (most recent call last):\n", *summary.format()] if summary else []),
        *traceback.format_exception_only(error),
    ]
    if hidden:
        lines.append(f"(without {count_of(hidden, 'frame')} of the SDK; traceback.print_last() shows all frames)\n")
    return "".join(lines).splitlines()


TRACEBACK.of(LaunchError)(_of_the_caller)
TRACEBACK.of(KeyboardInterrupt)(_of_the_caller)


def _in_a_cell(frame: traceback.FrameSummary) -> traceback.FrameSummary:
    """Return a frame with the name of its cell, such as `In[3]`, if IPython knows the cell. A cell has no file."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    name_of = getattr(getattr(shell, "compile", None), "format_code_name", None)
    name = None if name_of is None else name_of(frame.filename)
    if name is None:
        return frame
    return traceback.FrameSummary(" ".join(name), frame.lineno, frame.name, line=frame.line)


def _is_inside(frame: FrameType) -> bool:
    return _package(frame) in _INSIDE


def _is_of_the_sdk(frame: FrameType) -> bool:
    return _package(frame) in ("launch_async", "launch_sync")


def _package(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", "")).partition(".")[0]
