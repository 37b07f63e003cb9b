"""The form of an answer: named figures, each with its floor and what was expected; as a table or as one JSON object."""

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.table import Table

_EXPECTATION = re.compile(r"(?P<sign><=|>=) (?P<number>[0-9.]+)(?P<of_floor> x floor)?")


@dataclass(frozen=True)
class Figure:
    """One measured value beside its floor, in the same unit and of the same run.

    :param expected: `<= 0.1`, `>= 0.8 x floor`; none where nothing was promised.
    """

    value: float
    unit: str
    floor: float
    expected: str | None = None

    def __post_init__(self) -> None:
        if not (math.isfinite(self.value) and math.isfinite(self.floor)):
            raise ValueError(f"a figure is a number: {self.value} beside {self.floor}")
        if self.expected is not None and _EXPECTATION.fullmatch(self.expected) is None:
            raise ValueError(f"`{self.expected}` is no expectation; write `<= 0.1` or `>= 0.8 x floor`")

    @property
    def met(self) -> bool | None:
        """None where nothing was expected."""
        if self.expected is None:
            return None
        found = _EXPECTATION.fullmatch(self.expected)
        assert found is not None
        limit = float(found["number"]) * (self.floor if found["of_floor"] else 1.0)
        return self.value <= limit if found["sign"] == "<=" else self.value >= limit

    def to_wire(self) -> dict[str, Any]:
        return {
            "value": _rounded(self.value),
            "unit": self.unit,
            "floor": _rounded(self.floor),
            "expected": self.expected,
            "met": self.met,
        }


@dataclass(frozen=True)
class Breakdown:
    """Where the time goes: a table that explains a figure and is no figure itself."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass
class Report:
    """What one bench has found. Figures keep the order in which they were measured."""

    bench: str
    figures: dict[str, Figure] = field(default_factory=dict)
    breakdowns: list[Breakdown] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, key: str, value: float, unit: str, floor: float, expected: str | None = None) -> None:
        if key in self.figures:
            raise ValueError(f"there are two figures `{key}`")
        self.figures[key] = Figure(value, unit, floor, expected)

    def to_wire(self) -> dict[str, Any]:
        return {"bench": self.bench, "figures": {key: figure.to_wire() for key, figure in self.figures.items()}}

    def json_line(self) -> str:
        return json.dumps(self.to_wire(), allow_nan=False)

    def show(self, console: Console) -> None:
        table = Table(title=f"bench {self.bench}", title_justify="left")
        for name in ("figure", "value", "floor", "unit", "expected", "met"):
            table.add_column(name, justify="right" if name in ("value", "floor") else "left")
        for key, figure in self.figures.items():
            met = {True: "yes", False: "NO", None: ""}[figure.met]
            table.add_row(
                key, _text(figure.value), _text(figure.floor), figure.unit, figure.expected or "", met,
                style="bold red" if figure.met is False else None,
            )  # fmt: skip
        console.print(table)
        self.explain(console)

    def explain(self, console: Console) -> None:
        """The breakdowns and notes."""
        for breakdown in self.breakdowns:
            table = Table(title=breakdown.title, title_justify="left")
            for at, name in enumerate(breakdown.columns):
                table.add_column(name, justify="right" if at else "left")
            for row in breakdown.rows:
                table.add_row(*row)
            console.print(table)
        for note in self.notes:
            console.print(f"- {note}", highlight=False)


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest of `values` that at least `percent` % of them do not exceed (nearest rank: always one of them)."""
    if not values:
        raise ValueError("no values have no percentile")
    if not 0 <= percent <= 100:
        raise ValueError(f"{percent} is no percentage")
    rank = max(1, math.ceil(percent / 100 * len(values)))
    return sorted(values)[rank - 1]


def milliseconds_table(title: str, phases: Mapping[str, Sequence[float]]) -> Breakdown:
    """Median, 95th percentile and number of each phase's durations, which are given in seconds."""
    rows = [
        (name, f"{percentile(spent, 50) * 1e3:.1f}", f"{percentile(spent, 95) * 1e3:.1f}", str(len(spent)))
        for name, spent in phases.items()
        if spent
    ]
    return Breakdown(title, ("phase", "p50 ms", "p95 ms", "times"), rows)


def _rounded(value: float) -> float:
    return float(f"{value:.5g}")


def _text(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}" if abs(value) < 10 else f"{value:.1f}"
