"""Collect the verdicts of a probe with their evidence, and the emulator options that follow from them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import attrs

from launch_async.emulator.options import EmulatorOptions
from launch_async.models.base import JSONValue
from launch_async.probe.exchanges import Exchange, as_object
from launch_async.probe.questions import CHECKS, QUESTIONS, Question
from launch_async.probe.report import ProbeRow

__all__ = ["Findings", "codes_of", "field_names", "plain_name"]

_PLAIN: Final = re.compile(r"[A-Za-z_$@-]{1,40}(?:\.[A-Za-z_$@-]{1,40}){0,4}")
_NO_MATERIAL: Final = "This organization contains no data that shows the answer."
_MAX_NAMES: Final = 40


@attrs.define
class _Verdict:
    value: JSONValue
    how: str
    evidence: tuple[str, ...]
    open: str
    contradicts: bool | None


class Findings:
    """The verdicts so far. The first verdict about a question counts."""

    def __init__(self) -> None:
        self._verdicts: dict[str, _Verdict] = {}
        self._reasons: dict[str, str] = {}
        self._notes: dict[str, list[str]] = {}
        self._parts: dict[str, dict[str, JSONValue]] = {}
        self._stopped = ""
        self.options: dict[str, object] = {}

    def decide(
        self,
        key: int | str,
        value: JSONValue,
        how: str,
        *,
        evidence: Iterable[str] = (),
        still_open: str = "",
        contradicts: bool | None = None,
        options: Mapping[str, object] | None = None,
    ) -> None:
        """Record an answer that the evidence proves.

        Args:
            key: Number of the question, or name of the documented fact.
            value: The answer.
            how: How the answers of the service prove it.
            evidence: Details of these answers.
            still_open: The part of the question that remains open.
            contradicts: Whether the answer differs from the default; None to compare the values.
            options: Emulator options for this answer. Options that the emulator does not have are ignored.
        """
        self._verdicts[str(key)] = _Verdict(value, how, tuple(evidence), still_open, contradicts)
        self.offer(**(options or {}))

    def part(
        self,
        key: int | str,
        name: str,
        value: JSONValue,
        evidence: str,
        *,
        options: Mapping[str, object] | None = None,
    ) -> None:
        """Record a part of an answer. The question is decided when all its needed parts are known."""
        self._parts.setdefault(str(key), {})[name] = value
        if evidence:
            self.note(key, evidence)
        self.offer(**(options or {}))

    def is_decided(self, key: int | str) -> bool:
        """Whether a question already has an answer."""
        return str(key) in self._verdicts

    def leave_undecided(self, key: int | str, reason: str) -> None:
        """Record why a question cannot be decided. An answer takes precedence, whether earlier or later."""
        self._reasons[str(key)] = reason

    def stopped(self, reason: str) -> None:
        """Record why the probe did not ask the questions that have no other reason."""
        self._stopped = reason

    def note(self, key: int | str, evidence: str) -> None:
        """Record an observation that does not decide a question."""
        notes = self._notes.setdefault(str(key), [])
        if evidence not in notes:
            notes.append(evidence)

    def offer(self, **options: object) -> None:
        """Record emulator options. Choices that the emulator does not have are ignored."""
        for name, choice in options.items():
            if _is_offered(name, choice):
                self.options[name] = choice

    def rows(self) -> tuple[ProbeRow, ...]:
        """Return the verdicts about the open questions."""
        return tuple(self._row(question) for question in QUESTIONS)

    def checks(self) -> tuple[ProbeRow, ...]:
        """Return the verdicts about documented facts."""
        return tuple(self._row(question) for question in CHECKS)

    def _composed(self, question: Question) -> _Verdict | None:
        """Return the verdict that follows from the parts of an answer."""
        parts = self._parts.get(question.key, {})
        if not question.needed or not parts.keys() >= {*question.needed}:
            return None
        missing = [name for name in as_object(question.default) if name not in parts]
        still_open = f"Not decided: {', '.join(missing)}." if missing else ""
        return _Verdict(dict(parts), "", (), still_open, None)

    def _row(self, question: Question) -> ProbeRow:
        verdict = self._verdicts.get(question.key) or self._composed(question)
        notes = tuple(self._notes.get(question.key, ()))
        if verdict is None:
            return ProbeRow(
                number=question.number,
                name=question.key,
                question=question.text,
                verdict="undecided",
                reason=self._reasons.get(question.key) or question.never or self._stopped or _NO_MATERIAL,
                evidence=notes,
                default=question.default,
                affects=question.affects,
            )
        contradicts = verdict.contradicts
        return ProbeRow(
            number=question.number,
            name=question.key,
            question=question.text,
            verdict="decided",
            value=verdict.value,
            reason=verdict.open,
            how=verdict.how,
            evidence=(*verdict.evidence, *notes),
            default=question.default,
            contradicts_default=_differs(verdict.value, question.default) if contradicts is None else contradicts,
            affects=question.affects,
        )


def _differs(value: JSONValue, default: JSONValue) -> bool:
    """Return whether an answer differs from the default. Objects differ if a member of both has different values."""
    if isinstance(value, dict) and isinstance(default, dict):
        return any(value[name] != default[name] for name in value.keys() & default.keys())
    return default is not None and value != default


def _is_offered(name: str, choice: object) -> bool:
    try:
        EmulatorOptions(**{name: choice})  # type: ignore[arg-type]
    except (ValueError, TypeError):
        return False
    return True


def plain_name(name: str) -> str:
    """Return the name of a field. Hide a name with digits, because it may be an identifier of a customer."""
    return name if _PLAIN.fullmatch(name) else "(hidden name)"


def field_names(names: Iterable[str]) -> list[str]:
    """Return the sorted names of fields. Names that may be identifiers of a customer are hidden."""
    shown: Sequence[str] = sorted({plain_name(name) for name in names})
    return [*shown[:_MAX_NAMES], *(["..."] if len(shown) > _MAX_NAMES else [])]


def codes_of(exchange: Exchange) -> list[str]:
    """Return the codes of an error as evidence."""
    return [f"Code: {plain_name(code)}." for code in dict.fromkeys(exchange.codes)]
