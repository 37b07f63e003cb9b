"""Logistic regression over several organizations by Newton's method (iteratively reweighted least squares).

The log loss and its derivatives are sums over rows, so the organizations' sums add up to those of the joined data:
the federated coefficients are the pooled ones, not an approximation.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from algorithm_base import AlgorithmError, Peers, Rows, method, progress, source
from vestal_statistics.moments import combined, partial_moments
from vestal_statistics.table import Matrix, numbers, require_enough, values

_SLACK = 1e-12  # of the objective: less is rounding, not a step in the wrong direction


@dataclass(frozen=True)
class Derivatives:
    """The objective at one point, its gradient and its Hessian; the intercept comes first."""

    objective: float
    gradient: Matrix
    hessian: Matrix

    def penalised(self, beta: Matrix, ridge: float) -> "Derivatives":
        """With a ridge penalty on every coefficient but the intercept."""
        weights = np.full(len(beta), ridge)
        weights[0] = 0.0
        return Derivatives(
            self.objective + 0.5 * float(weights @ beta**2),
            self.gradient + weights * beta,
            self.hessian + np.diag(weights),
        )


@dataclass(frozen=True)
class Fit:
    beta: Matrix
    rounds: int
    converged: bool
    objective: float


def log_loss(design: Matrix, outcome: Matrix, beta: Matrix) -> Derivatives:
    """Sum of the log losses, without overflow at any size of the coefficients."""
    eta = design @ beta
    chance = 0.5 * (1.0 + np.tanh(0.5 * eta))
    return Derivatives(
        float(np.sum(np.logaddexp(0.0, eta) - outcome * eta)),
        design.T @ (chance - outcome),
        (design * (chance * (1.0 - chance))[:, np.newaxis]).T @ design,
    )


def newton(
    at: Callable[[Matrix], Derivatives],
    size: int,
    tolerance: float,
    max_rounds: int,
    after_round: Callable[[float], None] = lambda step: None,
) -> Fit:
    """Minimise a convex function. A round is one look at it; a step that makes it worse is halved."""
    beta: Matrix = np.zeros(size)
    step: Matrix = np.zeros(size)
    best = at(beta)
    for rounds in range(1, max_rounds + 1):
        if rounds > 1:
            found = at(beta + step)
            if found.objective > best.objective + _SLACK * max(1.0, abs(best.objective)):
                step = step / 2
                continue
            beta, best = beta + step, found
        step = np.asarray(-np.linalg.solve(best.hessian, best.gradient), dtype=np.float64)
        largest = float(np.max(np.abs(step)))
        after_round(largest)
        if largest <= tolerance:
            return Fit(beta + step, rounds, True, best.objective)
    return Fit(beta, max_rounds, False, best.objective)


@method
def partial_newton(
    data: Rows = source(rows=True),
    *,
    beta: list[float],
    mean: list[float],
    std: list[float],
    columns: list[str],
    target: str,
    positive: Any,
) -> dict[str, Any]:
    """One organization's log loss, gradient and Hessian at `beta` (intercept first), over its complete rows."""
    raw, answers = numbers(data, columns), values(data, target)
    complete = ~np.isnan(raw).any(axis=1) & np.array([answer is not None for answer in answers], dtype=bool)
    require_enough(int(complete.sum()))
    scaled = (raw[complete] - np.array(mean)) / np.array(std)
    outcome = np.array([answer == positive for answer in answers], dtype=np.float64)[complete]
    found = log_loss(np.column_stack([np.ones(len(scaled)), scaled]), outcome, np.array(beta))
    return {"n": len(scaled), "loss": found.objective, "gradient": found.gradient, "hessian": found.hessian}


@method
def central_logistic(
    peers: Peers,
    target: str,
    positive: Any,
    columns: list[str] | None = None,
    ridge: float = 1.0,
    tolerance: float = 1e-10,
    max_rounds: int = 50,
    organizations: list[int] | None = None,
) -> dict[str, Any]:
    """Coefficients of `target == positive` on the standardised columns (all numeric ones but the target by default)."""
    moments = combined(peers.call(partial_moments, columns=columns, organizations=organizations, name="moments"))
    features = moments.only([name for name in moments.columns if name != target])
    names, mean, std = features.columns, features.mean, features.std
    if np.any(std == 0):
        raise AlgorithmError("a column is the same in every row everywhere: leave it out")
    rows = 0

    def at(beta: Matrix) -> Derivatives:
        nonlocal rows
        asked = {"beta": beta, "mean": mean, "std": std, "columns": names, "target": target, "positive": positive}
        answers = peers.call(partial_newton, organizations=organizations, name="newton", **asked)
        rows = sum(answer["n"] for answer in answers)
        return total(answers).penalised(beta, ridge)

    fit = newton(at, len(names) + 1, tolerance, max_rounds, lambda step: progress(_percent(step, tolerance)))
    return {
        "columns": names,
        "intercept": float(fit.beta[0]),
        "coefficients": fit.beta[1:],
        "mean": mean,
        "std": std,
        "n": rows,
        "rounds": fit.rounds,
        "converged": fit.converged,
        "objective": fit.objective,
    }


def total(answers: Sequence[dict[str, Any]]) -> Derivatives:
    """The organizations' sums, added."""
    return Derivatives(
        float(sum(answer["loss"] for answer in answers)),
        np.sum([answer["gradient"] for answer in answers], axis=0),
        np.sum([answer["hessian"] for answer in answers], axis=0),
    )


def _percent(step: float, tolerance: float) -> float:
    """How many of the digits asked for are settled: a guess, as the number of rounds is not known before."""
    if step <= tolerance or not 0 < tolerance < 1:
        return 99.0
    return 99.0 * min(max(math.log10(step) / math.log10(tolerance), 0.0), 1.0)
