"""The report of a probe: a verdict for each question, and the differences from the service's API document."""

from __future__ import annotations

import json
from collections.abc import Mapping
from html import escape
from typing import Final, Literal, TypeAlias, cast

import attrs

from launch_async._text import printable
from launch_async.emulator.options import EmulatorKeywords
from launch_async.models.base import JSONValue

__all__ = ["DocumentDifference", "ProbeReport", "ProbeRow"]

Verdict: TypeAlias = Literal["decided", "undecided"]
DifferenceKind: TypeAlias = Literal["new", "gone", "different"]

_CELL: Final = 300


@attrs.frozen(kw_only=True)
class ProbeRow:
    """The verdict about one question.

    Attributes:
        number: Number of the question in section 11 of the facts; None for a documented fact.
        name: The number as text, or the name of the documented fact.
        question: The question.
        verdict: `decided`, or `undecided` if the answers of the service prove nothing.
        value: The answer, if the question is decided.
        reason: Why the question is undecided; for a decided question, which part of it remains open.
        how: The answers of the service that prove the verdict.
        evidence: Details of the answers: statuses, names of fields and counts. There is no UID, no name and no value
            of a customer.
        default: The behaviour of the SDK's emulator without options; None if there is no default.
        contradicts_default: Whether the answer differs from the default.
        affects: The part of the SDK that depends on the answer.
    """

    number: int | None
    name: str
    question: str
    verdict: Verdict
    value: JSONValue = None
    reason: str = ""
    how: str = ""
    evidence: tuple[str, ...] = ()
    default: JSONValue = None
    contradicts_default: bool = False
    affects: str = ""

    @property
    def is_decided(self) -> bool:
        """Whether the question is decided."""
        return self.verdict == "decided"

    def __str__(self) -> str:
        answer = _text(self.value) if self.is_decided else f"undecided: {self.reason}"
        mark = " (differs from the default)" if self.contradicts_default else ""
        return f"{self.name}. {self.question}: {answer}{mark}"


@attrs.frozen(kw_only=True)
class DocumentDifference:
    """One difference between the API document of the service and the operations that the SDK knows.

    Attributes:
        kind: `new` (only in the service's document), `gone` (only in the SDK) or `different` (in both).
        where: The operation, and the parameter or field.
        ours: The assumption of the SDK.
        theirs: The statement of the document.
    """

    kind: DifferenceKind
    where: str
    ours: str = ""
    theirs: str = ""

    def __str__(self) -> str:
        both = f": {self.theirs}, and the SDK assumes {self.ours}" if self.kind == "different" else ""
        return f"{self.kind}: {self.where}{both}"


@attrs.frozen(kw_only=True)
class ProbeReport:
    """The result of a probe. The report contains no secrets, UIDs or names, so users can share it.

    Attributes:
        rows: The open questions in section 11 of the facts, by number.
        checks: Documented facts that the probe also checked.
        openapi: Differences from the service's API document, if the probe could compare it.
        openapi_problem: Why the probe could not compare the document; empty if it could.
        requests: Requests that the probe sent to decide questions. The check of the scratch project's name, its uploads
            and its deletion are not counted.
        wrote: Whether the probe created a scratch project.
        leftover: The scratch project that the probe could not delete, and how to delete it; empty if nothing is left.
    """

    rows: tuple[ProbeRow, ...]
    checks: tuple[ProbeRow, ...] = ()
    openapi: tuple[DocumentDifference, ...] = ()
    openapi_problem: str = ""
    requests: int = 0
    wrote: bool = False
    leftover: str = ""
    _options: Mapping[str, object] = attrs.field(factory=dict[str, object], alias="options")

    @property
    def decided(self) -> tuple[ProbeRow, ...]:
        """The decided questions."""
        return tuple(row for row in self.rows if row.is_decided)

    @property
    def undecided(self) -> tuple[ProbeRow, ...]:
        """The undecided questions. Their `reason` says why."""
        return tuple(row for row in self.rows if not row.is_decided)

    @property
    def contradicted(self) -> tuple[ProbeRow, ...]:
        """The questions and documented facts whose answer differs from the default."""
        return tuple(row for row in (*self.rows, *self.checks) if row.contradicts_default)

    def __getitem__(self, question: int | str) -> ProbeRow:
        """Return the row of a question by its number, or of a documented fact by its name."""
        for row in (*self.rows, *self.checks):
            if question in (row.number, row.name):
                return row
        raise KeyError(question)

    def __str__(self) -> str:
        summary = [self._summary()]
        if self.leftover:
            summary.append(f"LEFT BEHIND: {self.leftover}")
        rows = map(str, (*self.rows, *self.checks))
        document = [f"API document: {self.openapi_problem}"] if self.openapi_problem else map(str, self.openapi)
        return _lines([*summary, *rows, *document])

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td>{row.name}</td><td>{escape(row.question)}</td>"
            f"<td>{escape(_text(row.value)) if row.is_decided else 'undecided'}</td>"
            f"<td>{'yes' if row.contradicts_default else ''}</td><td>{escape(row.reason)}</td></tr>"
            for row in (*self.rows, *self.checks)
        )
        heads = "".join(f"<th>{head}</th>" for head in ("#", "Question", "Answer", "Differs", "Open"))
        leftover = f"<p><b>{escape(self.leftover)}</b></p>" if self.leftover else ""
        return f"<p>{escape(self._summary())}</p>{leftover}<table><tr>{heads}</tr>{rows}</table>"

    def _summary(self) -> str:
        scratch = " and a scratch project" if self.wrote else ""
        return (
            f"{len(self.decided)} of {len(self.rows)} questions decided with {self.requests} requests{scratch}. "
            f"{len(self.contradicted)} answers differ from the defaults."
        )

    def to_emulator_options(self) -> EmulatorKeywords:
        """Return the `LaunchEmulator` options for the decided questions. The emulator then behaves like the service.

        Pass them as in `LaunchEmulator(**report.to_emulator_options())`.
        """
        return cast("EmulatorKeywords", dict(self._options))

    def to_dict(self) -> dict[str, JSONValue]:
        """Return the report as data for JSON."""
        return {
            "format": "contentstack-launch probe 1",
            "requests": self.requests,
            "wrote": self.wrote,
            "leftover": self.leftover,
            "rows": [_row(row) for row in self.rows],
            "checks": [_row(row) for row in self.checks],
            "openapi": {
                "problem": self.openapi_problem,
                "differences": [
                    {"kind": one.kind, "where": one.where, "ours": one.ours, "theirs": one.theirs}
                    for one in self.openapi
                ],
            },
            "emulator_options": cast("JSONValue", json.loads(json.dumps(self._options))),
        }

    def to_json(self) -> str:
        """Return the report as JSON."""
        return json.dumps(self.to_dict(), indent=2, ensure_ascii=False)

    def to_markdown(self) -> str:
        """Return the report as Markdown for an issue."""
        lines = [
            "## Probe of Contentstack Launch",
            "",
            self._summary(),
            "",
        ]
        if self.leftover:
            lines += [f"**Left behind:** {_cell(self.leftover)}", ""]
        lines += _table("Differs from the default", self.contradicted)
        lines += _table("Decided", self.decided)
        lines += _table("Documented facts", self.checks)
        lines += _table("Undecided", self.undecided)
        lines += ["### API document", ""]
        if self.openapi_problem:
            lines.append(_cell(self.openapi_problem))
        elif not self.openapi:
            lines.append("The document agrees with the operations of the SDK.")
        else:
            lines += ["| Kind | Where | SDK | Document |", "|---|---|---|---|"]
            lines += [
                f"| {one.kind} | {_cell(one.where)} | {_cell(one.ours)} | {_cell(one.theirs)} |" for one in self.openapi
            ]
        options = json.dumps(self._options, indent=2)
        lines += ["", "### Emulator options", "", "```json", options, "```", ""]
        return "\n".join(lines)


def _lines(lines: list[str]) -> str:
    """Return lines as one text without control characters."""
    return "\n".join(printable(line) for line in lines)


def _table(title: str, rows: tuple[ProbeRow, ...]) -> list[str]:
    if not rows:
        return []
    lines = [f"### {title}", "", "| # | Question | Answer | Evidence | In the SDK |", "|---|---|---|---|---|"]
    for row in rows:
        answer = f"`{_text(row.value)}`" if row.is_decided else "undecided"
        if row.reason:
            answer += f". {row.reason}"
        if row.contradicts_default:
            answer += f" Default: `{_text(row.default)}`."
        evidence = " ".join(part for part in (row.how, *row.evidence) if part)
        cells = (row.name, row.question, answer, evidence, row.affects)
        lines.append(f"| {' | '.join(map(_cell, cells))} |")
    return [*lines, ""]


def _cell(text: str) -> str:
    shown = printable(text).replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")
    return shown if len(shown) <= _CELL else f"{shown[:_CELL]}..."


def _text(value: JSONValue) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _row(row: ProbeRow) -> JSONValue:
    return {
        "number": row.number,
        "name": row.name,
        "question": row.question,
        "verdict": row.verdict,
        "value": row.value,
        "reason": row.reason,
        "how": row.how,
        "evidence": [*row.evidence],
        "default": row.default,
        "contradicts_default": row.contradicts_default,
        "affects": row.affects,
    }
