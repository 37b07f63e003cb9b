"""The answers on the joined data, by code of its own: what the federated ones are compared with."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class Table:
    """A csv file: its numeric columns as a matrix, and one column of texts."""

    columns: tuple[str, ...]
    values: Matrix
    texts: tuple[str, ...]


@dataclass(frozen=True)
class Moments:
    """Per column; the standard deviation has n - 1 in its denominator. `m2`: squared deviations from the mean."""

    mean: Matrix
    std: Matrix
    m2: Matrix


@dataclass(frozen=True)
class Logistic:
    """Intercept first; `first_round` are the coefficients after one step of Newton from zero."""

    coefficients: Matrix
    first_round: Matrix


def read(path: Path, text_column: str) -> Table:
    with path.open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    place = header.index(text_column)
    numbers = [[float(value) for number, value in enumerate(row) if number != place] for row in rows]
    columns = tuple(name for number, name in enumerate(header) if number != place)
    return Table(columns, np.array(numbers), tuple(row[place] for row in rows))


def joined(tables: Sequence[Table]) -> Table:
    texts = tuple(text for table in tables for text in table.texts)
    return Table(tables[0].columns, np.vstack([table.values for table in tables]), texts)


def moments(values: Matrix) -> Moments:
    mean, std = values.mean(axis=0), values.std(axis=0, ddof=1)
    return Moments(mean, std, ((values - mean) ** 2).sum(axis=0))


def logistic(values: Matrix, outcome: Sequence[bool], ridge: float, rounds: int = 100) -> Logistic:
    """Ridge-penalised logistic regression on standardised columns, by plain Newton steps until nothing moves.

    Minimises sum(log(1 + exp(x b)) - y x b) + ridge / 2 * |b without intercept|^2.
    """
    scaled = (values - values.mean(axis=0)) / values.std(axis=0, ddof=1)
    design = np.column_stack([np.ones(len(scaled)), scaled])
    truth = np.asarray(outcome, dtype=np.float64)
    penalty = np.diag([0.0, *[ridge] * values.shape[1]])
    beta, first_round = np.zeros(design.shape[1]), None
    for _ in range(rounds):
        chance = 1.0 / (1.0 + np.exp(-np.clip(design @ beta, -500, 500)))
        gradient = design.T @ (chance - truth) + penalty @ beta
        hessian = design.T @ (design * (chance * (1 - chance))[:, None]) + penalty
        step = np.linalg.solve(hessian, gradient)
        beta = beta - step
        first_round = beta if first_round is None else first_round
        if np.abs(step).max() < 1e-13:
            break
    assert first_round is not None
    return Logistic(beta, first_round)
