"""The report of a benchmark: rows of samples and goals, as a table and as JSON."""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal

import attrs


@attrs.frozen
class Row:
    """The result of one contestant, with a sample for each round.

    Attributes:
        name: The contestant and its task.
        unit: Unit of the samples.
        samples: One figure for each round.
        better: Whether more or less is better.
        reference: Whether the report compares the other rows with this row.
        note: A text next to the figure. The report does not compare it.
    """

    name: str
    unit: str
    samples: Sequence[float]
    better: Literal["more", "less"] = "more"
    reference: bool = False
    note: str = ""

    @property
    def median(self) -> float:
        """Median of the samples."""
        return statistics.median(self.samples)


@attrs.frozen
class Mark:
    """A figure with a goal.

    Attributes:
        what: The measured quantity.
        samples: One figure for each round, usually the ratio of two contestants in that round.
        goal: The goal, or None if the report only shows the figure.
        better: Whether the goal is a minimum or a maximum.
        unit: Unit of the figure; empty for a ratio.
    """

    what: str
    samples: Sequence[float]
    goal: float | None = None
    better: Literal["more", "less"] = "more"
    unit: str = ""

    @property
    def median(self) -> float:
        """Median of the samples."""
        return statistics.median(self.samples)

    @property
    def reached(self) -> bool:
        """Whether the median meets the goal."""
        if self.goal is None:
            return True
        return self.median >= self.goal if self.better == "more" else self.median <= self.goal


@attrs.frozen
class Report:
    """The result of one benchmark.

    Attributes:
        title: The subject of the benchmark.
        rows: The results of the contestants.
        marks: The figures with a goal.
        details: More figures, only for the JSON.
    """

    title: str
    rows: Sequence[Row]
    marks: Sequence[Mark]
    details: Mapping[str, object] = attrs.field(factory=dict)

    def table(self) -> str:
        """Return the report as text."""
        wide = max(len(entry) for entry in [row.name for row in self.rows] + [mark.what for mark in self.marks])
        lines = [self.title, f"{'':{wide}}  {'median':>10}  {'spread':>19}  {'ratio':>6}"]
        references = [row for row in self.rows if row.reference]
        for row in self.rows:
            like = next(
                (one for one in reversed(references) if one.unit == row.unit and _before(self.rows, one, row)), None
            )
            ratio = f"{row.median / like.median:6.2f}" if like and like.median else f"{'':6}"
            lines.append(
                f"{row.name:{wide}}  {figure(row.median):>10}  {_spread(row.samples):>19}  {ratio}  {row.unit}"
                + (row.note and f", {row.note}")
            )
        for mark in self.marks:
            verdict = (
                "" if mark.goal is None else f"goal {figure(mark.goal)}: {'reached' if mark.reached else 'MISSED'}"
            )
            middle = f"{figure(mark.median):>10}  {_spread(mark.samples):>19}"
            lines.append(f"{mark.what:{wide}}  {middle}  {'':6}  {f'{mark.unit} {verdict}'.strip()}")
        return "\n".join(lines)

    def document(self) -> dict[str, object]:
        """Return the report as a JSON document."""
        return {
            "title": self.title,
            "machine": f"Python {platform.python_version()}, {platform.machine()}, {os.cpu_count()} cores",
            "rows": [
                {**attrs.asdict(row), "median": row.median, "samples": _rounded(row.samples)} for row in self.rows
            ],
            "marks": [
                {
                    **attrs.asdict(mark),
                    "median": mark.median,
                    "reached": mark.reached,
                    "samples": _rounded(mark.samples),
                }
                for mark in self.marks
            ],
            **({"details": self.details} if self.details else {}),
        }


def ratios(ours: Sequence[float], theirs: Sequence[float]) -> list[float]:
    """Return the ratio of each round. Both samples of a round were measured under the same load of the machine."""
    return [one / other for one, other in zip(ours, theirs, strict=True)]


def present(measure: Callable[[int], Report], doc: str | None, *, rounds: int) -> None:
    """Run a benchmark as a program: measure, print the table, and write the JSON if requested.

    Args:
        measure: Measures the given number of rounds.
        doc: The description of the program.
        rounds: Default number of rounds.
    """
    options = arguments(doc, rounds=rounds).parse_args()
    write_report(measure(options.rounds), options.json)


def arguments(doc: str | None, *, rounds: int) -> argparse.ArgumentParser:
    """Return a parser with the options of every benchmark. A benchmark can add more options.

    Args:
        doc: The description of the program.
        rounds: Default number of rounds.
    """
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=rounds, help=f"samples of each figure; default {rounds}")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures to this file")
    return parser


def write_report(report: Report, file: Path | None) -> None:
    """Print the table, and write the JSON if a file is given."""
    print(report.table())
    if file:
        file.write_text(json.dumps(report.document(), indent=1) + "\n")


def _before(rows: Sequence[Row], one: Row, other: Row) -> bool:
    return rows.index(one) <= rows.index(other)


def _rounded(samples: Sequence[float]) -> list[float]:
    return [float(f"{sample:.5g}") for sample in samples]


def _spread(samples: Sequence[float]) -> str:
    return f"{figure(min(samples))} - {figure(max(samples))}" if len(samples) > 1 else ""


def figure(value: float) -> str:
    """Return a figure as text for tables and pictures."""
    if abs(value) >= 100 or value == int(value):
        return f"{value:,.0f}".replace(",", " ")
    return f"{value:.{2 if abs(value) >= 1 else 3 if abs(value) >= 0.1 else 4}f}"
