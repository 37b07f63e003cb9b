"""Federated answers held against those on the joined data. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from demo import pooled

MOMENTS_LIMIT = 1e-9  # relative
LOGISTIC_LIMIT = 1e-6  # absolute, of a coefficient


@dataclass(frozen=True)
class Line:
    """One number, twice."""

    name: str
    federated: float
    pooled: float


@dataclass(frozen=True)
class Comparison:
    title: str
    lines: tuple[Line, ...]
    difference: float  # the largest
    limit: float
    relative: bool

    @property
    def holds(self) -> bool:
        return self.difference <= self.limit  # false for NaN


def moments(title: str, answer: dict[str, Any], columns: Sequence[str], truth: pooled.Moments) -> Comparison:
    places = {name: number for number, name in enumerate(answer["columns"])}
    lines = []
    for number, name in enumerate(columns):
        lines.append(Line(f"mean of {name}", _number(answer["mean"][places[name]]), float(truth.mean[number])))
        lines.append(Line(f"std of {name}", _number(answer["std"][places[name]]), float(truth.std[number])))
    largest = _largest(abs(line.federated - line.pooled) / abs(line.pooled) for line in lines)
    return Comparison(title, tuple(lines), largest, MOMENTS_LIMIT, relative=True)


def logistic(title: str, answer: dict[str, Any], columns: Sequence[str], truth: pooled.Logistic) -> Comparison:
    places = {name: number for number, name in enumerate(answer["columns"])}
    lines = [Line("intercept", _number(answer["intercept"]), float(truth.coefficients[0]))]
    for number, name in enumerate(columns):
        lines.append(Line(name, _number(answer["coefficients"][places[name]]), float(truth.coefficients[number + 1])))
    largest = _largest(abs(line.federated - line.pooled) for line in lines)
    converged = answer["converged"] is True
    return Comparison(title, tuple(lines), largest if converged else float("inf"), LOGISTIC_LIMIT, relative=False)


def _largest(differences: Any) -> float:
    return float(np.max(np.fromiter(differences, dtype=np.float64)))  # NaN stays NaN


def _number(value: Any) -> float:
    return float(value)
