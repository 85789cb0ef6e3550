"""Check the prose of the project against the rules in `tools/styles`: `python -m tools.prose [PATHS]`.

The rules and `.vale.ini` are in the format of vale, so vale can also use them. vale is not a dependency, because its
packages download a program during their installation. This checker supports the kinds of rules in use (`existence`,
`substitution`, `occurrence`). It also checks string literals, because they contain the error messages.
It reads Markdown without code and addresses, and the comments, docstrings and string literals of Python.
"""

from __future__ import annotations

import argparse
import ast
import configparser
import fnmatch
import io
import re
import subprocess
import sys
import tokenize
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
# The texts of launch_sync come from launch_async. Only its bridge is written by hand.
GENERATED = re.compile(r"launch_sync/(?!_bridge/)")
# In tests and benchmarks, most strings are data and not prose.
STRINGS_IN = ("launch_async/", "launch_sync/_bridge/", "tools/", "noxfile.py")
PUBLIC = "launch_async/"


@dataclass(frozen=True)
class Block:
    """A piece of prose: a paragraph, a heading, a table cell, a comment, a docstring or a string."""

    start: int
    end: int
    scope: str


@dataclass(frozen=True)
class Rule:
    """One rule file of vale."""

    name: str
    scope: str
    finds: Callable[[str], Iterator[tuple[int, str]]]


@dataclass(frozen=True)
class Finding:
    """A place that breaks a rule."""

    path: str
    line: int
    column: int
    rule: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}:{self.column}: {self.rule}: {self.message}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the findings, and return 1 if there are any."""
    parser = argparse.ArgumentParser(prog="python -m tools.prose", description="Check prose against tools/styles.")
    parser.add_argument("paths", nargs="*", metavar="PATH", help="files and folders; the whole project by default")
    parser.add_argument("--rule", action="append", metavar="NAME", help="only this rule, such as Launch.Words")
    options = parser.parse_args(arguments)
    settings = Settings.read(ROOT / ".vale.ini")
    count = 0
    for path in _files(options.paths):
        for finding in check(path, settings):
            if not options.rule or finding.rule in options.rule:
                count += 1
                sys.stdout.write(f"{finding}\n")
    sys.stdout.write(f"{count} findings\n" if count else "The prose follows the rules.\n")
    return 1 if count else 0


def check(path: Path, settings: Settings) -> list[Finding]:
    """Return the findings in a file, in the order of the file."""
    name = path.resolve().relative_to(ROOT).as_posix() if path.resolve().is_relative_to(ROOT) else path.as_posix()
    text = path.read_text(encoding="utf-8")
    return check_text(name, text, settings)


def check_text(name: str, text: str, settings: Settings) -> list[Finding]:
    """Return the findings in `text`, by the rules for a file called `name`."""
    rules = settings.rules_for(name)
    masked, blocks = (_markdown if name.endswith(".md") else _python)(name, text)
    silent = list(_switched_off(text)) if name.endswith(".md") else []
    found: dict[tuple[int, str], str] = {}
    for block in blocks:
        flat = masked[block.start : block.end].replace("\n", " ")
        for rule in rules:
            if not _applies(rule.scope, block.scope):
                continue
            pieces = _sentences(flat) if rule.scope == "sentence" else [(0, flat)]
            for offset, piece in pieces:
                for at, message in rule.finds(piece):
                    place = block.start + offset + at
                    if not any(low <= place < high and which in ("", rule.name) for low, high, which in silent):
                        found.setdefault((place, rule.name), message)
    return [
        Finding(name, text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at), rule, message)
        for (at, rule), message in sorted(found.items())
    ]


# Settings and rules


@dataclass(frozen=True)
class Settings:
    """The content of `.vale.ini`: the rules for each file."""

    rules: dict[str, Rule]
    sections: list[tuple[list[str], dict[str, str]]]

    @classmethod
    def read(cls, file: Path) -> Settings:
        """Read `.vale.ini` and the rules that it names."""
        parser = configparser.ConfigParser(interpolation=None, delimiters=("=",))
        parser.optionxform = str  # type: ignore[assignment, method-assign]  # Names of rules have capitals.
        parser.read_string("[vale]\n" + file.read_text(encoding="utf-8"))
        styles = file.parent / parser["vale"]["StylesPath"]
        rules = [_rule(found) for found in sorted(styles.glob("*/*.yml"))]
        sections = [(_globs(name), dict(parser[name])) for name in parser.sections() if name != "vale"]
        return cls({rule.name: rule for rule in rules}, sections)

    def rules_for(self, name: str) -> list[Rule]:
        """Return the rules for a file."""
        chosen: dict[str, Rule] = {}
        for globs, settings in self.sections:
            if not any(fnmatch.fnmatch(name, glob) for glob in globs):
                continue
            for key, value in settings.items():
                if key == "BasedOnStyles":
                    styles = [style.strip() for style in value.split(",")]
                    chosen = {rule: found for rule, found in self.rules.items() if rule.partition(".")[0] in styles}
                elif value == "NO":
                    chosen.pop(key, None)
                elif value == "YES":
                    chosen[key] = self.rules[key]
        return list(chosen.values())


def _globs(pattern: str) -> list[str]:
    """Return `*.{md,py}` as `*.md` and `*.py`."""
    match = re.fullmatch(r"(.*)\{(.*)\}(.*)", pattern)
    return [match[1] + each + match[3] for each in match[2].split(",")] if match else [pattern]


def _rule(file: Path) -> Rule:
    definition: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))
    kinds = {"existence": _existence, "substitution": _substitution, "occurrence": _occurrence}
    kind = definition["extends"]
    if kind not in kinds:
        raise SystemExit(f"{file}: tools/prose.py supports the rules {', '.join(kinds)}, but not {kind!r}")
    return Rule(f"{file.parent.name}.{file.stem}", definition.get("scope", "text"), kinds[kind](definition))


def _existence(definition: dict[str, Any]) -> Callable[[str], Iterator[tuple[int, str]]]:
    pattern = _pattern("|".join(f"(?:{token})" for token in definition["tokens"]), definition)
    allowed = definition.get("exceptions", [])

    def finds(text: str) -> Iterator[tuple[int, str]]:
        for match in pattern.finditer(text):
            if match[0] in allowed:
                continue
            yield match.start(), definition["message"].replace("%s", _plain(match[0]))

    return finds


def _substitution(definition: dict[str, Any]) -> Callable[[str], Iterator[tuple[int, str]]]:
    every = [(_pattern(f"(?:{bad})", definition), str(good)) for bad, good in definition["swap"].items()]
    any_of_them = _pattern("|".join(f"(?:{bad})" for bad in definition["swap"]), definition)

    def finds(text: str) -> Iterator[tuple[int, str]]:
        for match in any_of_them.finditer(text):
            good = next(good for pattern, good in every if pattern.fullmatch(match[0]))
            wanted = definition["message"].replace("%s", good.replace("|", "' or '"), 1)
            yield match.start(), wanted.replace("%s", _plain(match[0]), 1)

    return finds


def _occurrence(definition: dict[str, Any]) -> Callable[[str], Iterator[tuple[int, str]]]:
    token = re.compile(definition["token"])

    def finds(text: str) -> Iterator[tuple[int, str]]:
        if len(token.findall(text)) > definition["max"]:
            yield len(text) - len(text.lstrip()), definition["message"]

    return finds


def _pattern(body: str, definition: dict[str, Any]) -> re.Pattern[str]:
    # A line break may be between any two words.
    body = body.replace(" ", r"\s+")
    bounded = body if definition.get("nonword") else rf"\b(?:{body})\b"
    return re.compile(bounded, re.IGNORECASE if definition.get("ignorecase") else 0)


def _plain(text: str) -> str:
    return " ".join(text.split())


def _applies(wanted: str, scope: str) -> bool:
    if wanted.startswith("~"):
        return not _applies(wanted[1:], scope)
    return wanted == "text" or wanted in scope.split(".") or (wanted == "sentence" and scope != "heading")


def _sentences(text: str) -> Iterator[tuple[int, str]]:
    start = 0
    for end in re.finditer(r"[.!?:]['\")*_]*\s+(?=['\"(*_]*[A-Z`\[])", text):
        yield from _trimmed(text, start, end.end())
        start = end.end()
    yield from _trimmed(text, start, len(text))


def _trimmed(text: str, start: int, end: int) -> Iterator[tuple[int, str]]:
    piece = text[start:end]
    indent = len(piece) - len(piece.lstrip(" *_\"'("))
    if piece.strip():
        yield start + indent, piece[indent:].rstrip()


# Markdown


_FENCE = re.compile(r"^([ \t]*)(`{3,}|~{3,}).*?\n(?:.*\n)*?\1\2[`~]*[ \t]*$", re.MULTILINE)
_TAG = re.compile(r"<[/!]?[A-Za-z][^>\n]*>")
_NOT_PROSE = [
    re.compile(r"\A---\n.*?\n---\n", re.DOTALL),
    _FENCE,
    re.compile(r"<!--.*?-->", re.DOTALL),
    re.compile(r"^[ \t]*--8<--.*$|^[ \t]*::: .*(?:\n[ \t]+.*)*|^\[[^\]]+\]: .*$", re.MULTILINE),
    re.compile(r"(?<=\])\([^)\s]*(?:\s\"[^\"]*\")?\)|<https?:[^>]*>|https?://[^\s`]+|\{[:#.][^}\n]*\}"),
    _TAG,
]
_CODE = re.compile(r"(`+)(?!`)(.+?)(?<!`)\1(?!`)", re.DOTALL)
_ITEM = re.compile(r"[ \t]*(?:[-*+]|\d+[.)]|:|\[\^[^\]]+\]:|[!?]{3}\+?(?: \w+)?|===\+?)[ \t]+")


def _markdown(name: str, text: str) -> tuple[str, list[Block]]:
    masked = _mask_code(_mask(text, *_NOT_PROSE))
    blocks: list[Block] = []
    for start, line in _lines(masked):
        end = start + len(line)
        if not line.strip():
            blocks.append(Block(end, end, "blank"))
        elif heading := re.match(r"#+\s+", line):
            blocks += [Block(start + heading.end(), end, "heading"), Block(end, end, "blank")]
        elif line.lstrip().startswith("|"):
            blocks += [
                Block(start + cell.start(), start + cell.end(), "table.cell")
                for cell in re.finditer(r"(?:\\\||[^|])+", line)
            ]
            blocks.append(Block(end, end, "blank"))
        elif item := _ITEM.match(line):
            blocks.append(Block(start + item.end(), end, "list"))
        elif blocks and blocks[-1].scope in ("paragraph", "list"):
            blocks[-1] = Block(blocks[-1].start, end, blocks[-1].scope)
        else:
            blocks.append(Block(start, end, "paragraph"))
    return masked, [block for block in blocks if block.scope != "blank"]


def _switched_off(text: str) -> Iterator[tuple[int, int, str]]:
    """Yield the parts that `<!-- vale off -->` or `<!-- vale Launch.Words = NO -->` excludes: start, end and rule."""
    open_: dict[str, int] = {}
    for match in re.finditer(r"<!--\s*vale (off|on|([\w.]+)\s*=\s*(NO|YES))\s*-->", text):
        rule = match[2] or ""
        if match[1] == "off" or match[3] == "NO":
            open_.setdefault(rule, match.start())
        elif rule in open_:
            yield open_.pop(rule), match.end(), rule
    yield from ((start, len(text), rule) for rule, start in open_.items())


def _mask(text: str, *patterns: re.Pattern[str]) -> str:
    for pattern in patterns:
        text = pattern.sub(lambda match: re.sub(r"[^\n]", " ", match[0]), text)
    return text


def _mask_code(text: str) -> str:
    # Replace code by a word, so that sentences keep their beginning and their length.
    return _CODE.sub(lambda match: "`" + re.sub(r"[^\n]", "x", match[0][1:-1]) + "`", text)


def _lines(text: str) -> Iterator[tuple[int, str]]:
    start = 0
    for line in text.splitlines(keepends=True):
        yield start, line.rstrip("\n")
        start += len(line)


# Python


_ART = re.compile(r"^.*\S[ ]{3,}\S.*$|^[ ]{12,}\w+$", re.MULTILINE)
_DOCTEST = re.compile(r"^[ \t]*(?:>>>|\.\.\.).*$", re.MULTILINE)
_LITERAL = re.compile(r"^([ \t]*)\S.*::[ \t]*\n(?:[ \t]*\n)*(?:\1[ \t]+.*\n|[ \t]*\n)+", re.MULTILINE)
_HASHES = re.compile(r"^[ \t]*#+", re.MULTILINE)
_PRAGMA = re.compile(r"#\s*(?:noqa|type:|pyright:|pragma|fmt:|ty:|pyrefly:|--8<--|!|mypy:|ruff:).*")


def _python(name: str, text: str) -> tuple[str, list[Block]]:
    starts = [start for start, _ in _lines(text)] + [len(text)]
    masked = list(text)
    blocks: list[Block] = []
    public = set(_public_docstrings(text)) if _is_public(name) else set()
    for kind, first, last in _pieces(tokenize.generate_tokens(io.StringIO(text).readline)):
        start, end = starts[first[0] - 1] + first[1], starts[last[0] - 1] + last[1]
        piece = text[start:end]
        if kind == "comment":
            masked[start:end] = _mask(piece, _PRAGMA, _HASHES)
            blocks.append(Block(start, end, "comment.line"))
        elif kind == "docstring":
            masked[start:end] = _mask(piece, _DOCTEST, _LITERAL, _ART, re.compile(r"^\w*\"{3}|\"{3}$"))
            scope = "docstring" if first[0] in public else "comment.block"
            blocks += _paragraphs("".join(masked[start:end]), start, scope)
        elif name.startswith(STRINGS_IN) and '"""' not in piece and len(re.findall(r"[^\W\d_]{2,}", piece)) >= 4:
            # Triple quotes that are not a docstring contain code: Lua, HTML, CSS.
            inner = re.sub(r"\{[^{}\n]*\}", lambda match: "x" * len(match[0]), _mask(piece, _TAG))
            masked[start:end] = re.sub(r"\b[rbfRBF]{0,2}\"|\"", lambda match: " " * len(match[0]), inner)
            blocks.append(Block(start, end, "string"))
    return _mask_code("".join(masked)), blocks


def _paragraphs(text: str, offset: int, scope: str) -> Iterator[Block]:
    """Split a docstring at empty lines, at list items and at the entries of its sections."""
    start = 0
    for at, line in _lines(text):
        entry = re.match(
            r"\s*(?:[-*]\s+|\d+\.\s+|(?:Args|Raises|Returns|Yields|Attributes|Example|Note):\s*$|\*{0,2}[\w.]+:\s)",
            line,
        )
        if not line.strip() or entry:
            if text[start:at].strip():
                yield Block(offset + start, offset + at, scope)
            start = at + (entry.end() if entry else 0)
    if text[start:].strip():
        yield Block(offset + start, offset + len(text), scope)


def _pieces(tokens: Iterable[tokenize.TokenInfo]) -> Iterator[tuple[str, tuple[int, int], tuple[int, int]]]:
    """Yield comments, docstrings and strings with their places. Join adjacent comment lines and parts of strings."""
    fresh, depth, column = True, 0, 0
    pending: tuple[str, tuple[int, int], tuple[int, int]] | None = None
    for token in tokens:
        name = tokenize.tok_name[token.type]
        if name in ("NL", "ENCODING", "INDENT", "DEDENT"):
            continue
        if name == "COMMENT":
            alone = not token.line[: token.start[1]].strip()
            if pending and pending[0] == "comment" and alone and token.start == (pending[2][0] + 1, column):
                pending = ("comment", pending[1], token.end)
                continue
            if pending:
                yield pending
            pending, column = ("comment", token.start, token.end), token.start[1]
            continue
        string = name == "STRING" or name.startswith("FSTRING") or depth
        depth += {"FSTRING_START": 1, "FSTRING_END": -1}.get(name, 0)
        if string and pending and pending[0] == "string":
            pending = ("string", pending[1], token.end)
        elif string:
            if pending:
                yield pending
            pending = ("docstring" if fresh and name == "STRING" else "string", token.start, token.end)
        elif pending:
            yield pending
            pending = None
        fresh = name == "NEWLINE" or token.string == ":"
    if pending:
        yield pending


def _is_public(name: str) -> bool:
    return name.startswith(PUBLIC) and not any(
        part.startswith("_") and part != "__init__.py" for part in name.split("/")
    )


def _public_docstrings(text: str) -> Iterator[int]:
    """Yield the lines where docstrings of public modules, classes and functions begin."""

    def walk(node: ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[int]:
        for child in node.body:
            if (
                isinstance(child, ast.Expr)
                and isinstance(child.value, ast.Constant)
                and isinstance(child.value.value, str)
            ):
                yield child.lineno
            elif isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and not child.name.startswith(
                "_"
            ):
                yield from walk(child)

    yield from walk(ast.parse(text))


def _files(paths: Sequence[str]) -> Iterator[Path]:
    """Yield the files to check: the named files, the files of named folders, or all files in git."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--deduplicate", "--", "*.md", "*.py"]
    known = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines()
    wanted = [Path(path).resolve() for path in paths]
    yield from (path for path in wanted if path.is_file())
    for name in known:
        path = ROOT / name
        if not path.exists() or GENERATED.match(name):
            continue
        if not wanted or any(each in path.parents for each in wanted):
            yield path


if __name__ == "__main__":
    sys.exit(main())
