"""Turn the examples in a docstring into synchronous examples. Its prose is almost unchanged."""

from __future__ import annotations

import re
import textwrap

__all__ = ["synchronous"]

_CODE_RULES = (
    (re.compile(r"\(await ([\w.]+\([^()]*\))\)"), r"\1"),
    (re.compile(r"\bawait (?=[\w(\[])"), ""),
    (re.compile(r"\basync (?=with\b|for\b|def\b)"), ""),
    (re.compile(r"\basyncio\.run\((\w+\(.*?\))\)"), r"\1"),
    (re.compile(r"\blaunch_async\b"), "launch_sync"),
)
_PROSE_RULES = (
    (re.compile(r"\b(?:async|asynchronous) (context manager|iterator)", re.IGNORECASE), r"\1"),
    (re.compile(r"`async (with|for)\b"), r"`\1"),
    (re.compile(r"`await (?=[^`]+`)"), "`"),
)
_DROPPED = re.compile(r"^\s*import asyncio\s*$")
_AN_BEFORE_CONSONANT = re.compile(r"\b([Aa])n (?=context manager)")


def synchronous(docstring: str, indent: str) -> str:
    """Return a docstring as a literal for the synchronous twin, indented by `indent`.

    Code follows `>>>` or `...`, is between code fences, or is indented after a line that ends in `::`. A line of prose
    with `async def` describes a function that users provide. This function is asynchronous in both packages, so the
    line and the indented lines below it are unchanged.
    """
    lines = _dedented(docstring).splitlines()
    result: list[str] = []
    fenced, dropped, literal, plugged_in = False, False, None, None
    for line in lines:
        stripped = line.lstrip()
        depth = len(line) - len(stripped)
        if stripped.startswith("```"):
            fenced = not fenced
        if literal is not None and stripped and depth <= literal:
            literal = None
        is_code = fenced or literal is not None or stripped.startswith((">>> ", "... "))
        if not is_code and stripped.endswith("::"):
            literal = depth
        if plugged_in is not None and stripped and depth <= plugged_in:
            plugged_in = None
        if not is_code and plugged_in is None and "`async def" in stripped:
            plugged_in = depth
        if is_code and _DROPPED.match(line):
            dropped = True
            continue
        if not stripped and dropped:
            continue
        dropped = False
        rules = () if plugged_in is not None else _CODE_RULES if is_code else _PROSE_RULES
        result.append(_rewritten(line, rules))
    return _literal(result, indent)


def _dedented(docstring: str) -> str:
    first, _, rest = docstring.partition("\n")
    return first.strip() + "\n" + textwrap.dedent(rest)


def _rewritten(line: str, rules: tuple[tuple[re.Pattern[str], str], ...]) -> str:
    for pattern, replacement in rules:
        line = pattern.sub(replacement, line)
    return _AN_BEFORE_CONSONANT.sub(r"\1 ", line)


def _literal(lines: list[str], indent: str) -> str:
    while lines and not lines[-1].strip():
        lines.pop()
    prefix = "r" if any("\\" in line for line in lines) else ""
    body = "\n".join((indent + line).rstrip() if number and line.strip() else line for number, line in enumerate(lines))
    ending = f"\n{indent}" if len(lines) > 1 else ""
    return f'{indent}{prefix}"""{body}{ending}"""'
