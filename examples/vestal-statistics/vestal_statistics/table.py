"""A data source as numbers: from a pandas frame, or from a list of dictionaries."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from algorithm_base import AlgorithmError, setting

Matrix = NDArray[np.float64]

DEFAULT_MINIMUM_ROWS = 10


class TooFewRows(AlgorithmError):
    """There are too few rows here to answer without saying something about single people."""


class UnknownColumn(AlgorithmError):
    """A column is missing or is not numeric here. Compare the columns of all organizations."""


def minimum_rows() -> int:
    """Fewest rows that an answer may be about: the data holder's MINIMUM_ROWS, or 10."""
    return int(setting("MINIMUM_ROWS") or DEFAULT_MINIMUM_ROWS)


def require_enough(count: int) -> None:
    if count < minimum_rows():
        raise TooFewRows(f"an answer needs at least {minimum_rows()} rows with values; some column here has fewer")


def numeric_columns(data: Any) -> list[str]:
    """Names of the columns that hold nothing but numbers, in the table's order."""
    if isinstance(data, list):
        return [name for name in (data[0] if data else ()) if all(_is_number(row[name]) for row in data)]
    return [str(name) for name in data.select_dtypes("number").columns]


def numbers(data: Any, columns: Sequence[str]) -> Matrix:
    """Rows by columns; a missing value is NaN."""
    numeric = set(numeric_columns(data))
    if missing := [name for name in columns if name not in numeric]:
        raise UnknownColumn(f"there is no numeric column '{missing[0]}' here")
    if isinstance(data, list):
        rows = [[np.nan if row[name] is None else row[name] for name in columns] for row in data]
        return np.array(rows, dtype=np.float64).reshape(len(data), len(columns))
    matrix: Matrix = data[list(columns)].to_numpy(dtype=np.float64, na_value=np.nan)
    return matrix


def values(data: Any, column: str) -> list[Any]:
    """One column of any type; a missing value is None."""
    if isinstance(data, list):
        if data and column not in data[0]:
            raise UnknownColumn(f"there is no column '{column}' here")
        return [row[column] for row in data]
    if column not in data.columns:
        raise UnknownColumn(f"there is no column '{column}' here")
    chosen = data[column].astype(object)
    return list(chosen.where(chosen.notna(), None))


def _is_number(value: Any) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))
