"""Count, mean and standard deviation of every feature, over all organizations.

Each part is (n, mean, M2), with M2 the sum of squared deviations from the part's own mean. Parts are merged by the
formula of Chan, Golub and LeVeque (1979), which does not subtract large sums from each other.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np

from algorithm_base import AlgorithmError, Peers, Rows, inputs, method, progress, source
from vestal_statistics.table import Matrix, numbers, numeric_columns, require_enough


@dataclass(frozen=True)
class Moments:
    """Per column: how many values, their mean, their squared deviations from it."""

    columns: tuple[str, ...]
    n: Matrix
    mean: Matrix
    m2: Matrix

    @classmethod
    def of(cls, table: Matrix, columns: Sequence[str]) -> "Moments":
        n = np.sum(~np.isnan(table), axis=0).astype(np.float64)
        require_enough(int(n.min()))
        mean = np.nanmean(table, axis=0)
        return cls(tuple(columns), n, mean, np.nansum((table - mean) ** 2, axis=0))

    @classmethod
    def from_answer(cls, answer: dict[str, Any]) -> "Moments":
        arrays = (np.array(answer[name], dtype=np.float64) for name in ("n", "mean", "m2"))
        return cls(tuple(answer["columns"]), *arrays)

    def as_answer(self) -> dict[str, Any]:
        return {"columns": self.columns, "n": self.n.astype(np.int64), "mean": self.mean, "m2": self.m2}

    def only(self, columns: Sequence[str]) -> "Moments":
        """These columns, in this order."""
        places = [self.columns.index(name) for name in columns]
        return Moments(tuple(columns), self.n[places], self.mean[places], self.m2[places])

    def merged(self, other: "Moments") -> "Moments":
        if set(self.columns) != set(other.columns):
            raise AlgorithmError("the organizations have different numeric columns: name the columns to use")
        other = other.only(self.columns)
        n, step = self.n + other.n, other.mean - self.mean
        mean = self.mean + step * (other.n / n)
        return Moments(self.columns, n, mean, self.m2 + other.m2 + step**2 * (self.n * other.n / n))

    @property
    def std(self) -> Matrix:
        """With n - 1 in the denominator."""
        return np.sqrt(self.m2 / (self.n - 1))


@method
def partial_moments(data: Rows = source(rows=True), *, columns: list[str] | None = None) -> dict[str, Any]:
    """One organization's moments of these columns (all numeric ones, if not told)."""
    chosen = numeric_columns(data) if columns is None else columns
    if not chosen:
        raise AlgorithmError("there is no numeric column here")
    return Moments.of(numbers(data, chosen), chosen).as_answer()


@method
def combine_moments(parts: list[dict[str, Any]] = inputs("parts")) -> dict[str, Any]:
    """The federated moments, from what `partial_moments` gave in an earlier step."""
    return summary(parts)


@method
def central_moments(
    peers: Peers, columns: list[str] | None = None, organizations: list[int] | None = None
) -> dict[str, Any]:
    """The federated moments, asked for from here."""
    progress(0)
    parts = peers.call(partial_moments, columns=columns, organizations=organizations, name="moments")
    progress(90)
    return summary(parts)


def summary(parts: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Merge the organizations' answers: `columns`, and for each its `n`, `mean` and `std`."""
    total = combined(parts)
    return {
        "columns": total.columns,
        "n": total.n.astype(np.int64),
        "mean": total.mean,
        "std": total.std,
        "organizations": len(parts),
    }


def combined(parts: Sequence[dict[str, Any]]) -> Moments:
    return reduce(Moments.merged, map(Moments.from_answer, parts))
