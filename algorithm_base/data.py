"""Data sources: tables as pandas frames, or as lists of dictionaries where the image has no pandas.

pandas is imported when the first table is read, never before: a method that reads nothing starts in milliseconds.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from algorithm_base.errors import SourceError

if TYPE_CHECKING:
    from pandas import DataFrame as DataFrame
else:
    DataFrame = Any  # for annotations: a pandas frame if the image has pandas, else a list of dictionaries

Rows = list[dict[str, Any]]

_SQLITE_PREFIX = "sqlite:///"
_WAL_MARK = b"\x02\x02"


@dataclass(frozen=True)
class DataSource:
    """One data set of this node, not read yet."""

    label: str
    type: str
    uri: str = field(repr=False)  # may carry a password
    query: str | None = None
    sheet: str | None = None
    params: dict[str, str] = field(default_factory=dict, repr=False)

    def read(self) -> Any:
        """A frame (or rows) for a table; a `Path` for a folder."""
        reader = _READERS.get(self.type)
        if reader is None:
            raise SourceError(
                f"the data source '{self.label}' is of type '{self.type}', which has no reader: "
                "take it with source(..., read=False) and open its uri yourself"
            )
        return reader(self)

    def rows(self) -> Rows:
        """A table as a list of dictionaries; a missing value is None. csv and tsv are read without pandas."""
        reader = _ROW_READERS.get(self.type)
        return as_rows(self.read()) if reader is None else reader(self)

    @property
    def path(self) -> Path:
        return Path(unquote(self.uri.removeprefix("file://")) if self.uri.startswith("file://") else self.uri)


def has_pandas() -> bool:
    return importlib.util.find_spec("pandas") is not None


def _read_delimited(source: DataSource, delimiter: str) -> Any:
    if has_pandas():
        return _pandas().read_csv(source.path, sep=delimiter)
    return _delimited_rows(source, delimiter)


def _delimited_rows(source: DataSource, delimiter: str) -> Rows:
    import csv

    with source.path.open(encoding="utf-8-sig", newline="") as file:
        return typed_rows(csv.DictReader(file, delimiter=delimiter))


def _read_csv(source: DataSource) -> Any:
    return _read_delimited(source, ",")


def _read_tsv(source: DataSource) -> Any:
    return _read_delimited(source, "\t")


def _read_parquet(source: DataSource) -> Any:
    return _only_with_pandas(source).read_parquet(source.path)


def _read_excel(source: DataSource) -> Any:
    return _only_with_pandas(source).read_excel(source.path, sheet_name=source.sheet or 0)


def _read_sql(source: DataSource) -> Any:
    if not source.query:
        raise SourceError(f"the data source '{source.label}' is a database and has no query")
    if source.uri.startswith(_SQLITE_PREFIX) or "://" not in source.uri:
        return _read_sqlite(source, Path(source.uri.removeprefix(_SQLITE_PREFIX).partition("?")[0]), source.query)
    return _read_sqlalchemy(source, source.query)


def _read_sqlite(source: DataSource, path: Path, query: str) -> Any:
    import sqlite3
    from contextlib import closing

    if not path.is_file():
        raise SourceError(f"the data source '{source.label}' has no database file at its place")
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?{_sqlite_mode(path)}", uri=True)) as connection:
        if has_pandas():
            return _pandas().read_sql_query(query, connection)
        cursor = connection.execute(query)
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor]


def _sqlite_mode(path: Path) -> str:
    """A database in WAL mode needs a shared-memory file beside it; where none can be made, read it as it lies."""
    with path.open("rb") as file:
        in_wal_mode = file.read(20)[18:] == _WAL_MARK
    return "immutable=1" if in_wal_mode and not os.access(path.parent, os.W_OK) else "mode=ro"


def _read_sqlalchemy(source: DataSource, query: str) -> Any:
    try:
        sqlalchemy = importlib.import_module("sqlalchemy")
    except ImportError:
        raise SourceError(
            f"the data source '{source.label}' needs sqlalchemy: add it to the algorithm's image"
        ) from None
    engine = sqlalchemy.create_engine(source.uri)
    try:
        with engine.connect() as connection:
            if has_pandas():
                return _pandas().read_sql_query(sqlalchemy.text(query), connection)
            return [dict(row) for row in connection.execute(sqlalchemy.text(query)).mappings()]
    finally:
        engine.dispose()


def _read_folder(source: DataSource) -> Path:
    return source.path


_ROW_READERS: dict[str, Callable[[DataSource], Rows]] = {
    "csv": lambda source: _delimited_rows(source, ","),
    "tsv": lambda source: _delimited_rows(source, "\t"),
}
_READERS = {
    "csv": _read_csv,
    "tsv": _read_tsv,
    "parquet": _read_parquet,
    "excel": _read_excel,
    "sql": _read_sql,
    "folder": _read_folder,
}


def _pandas() -> Any:
    return importlib.import_module("pandas")


def _only_with_pandas(source: DataSource) -> Any:
    if not has_pandas():
        raise SourceError(
            f"the data source '{source.label}' ({source.type}) needs pandas: add it to the algorithm's image"
        )
    return _pandas()


def as_rows(table: Any) -> Rows:
    """A frame as a list of dictionaries, a missing value as None; rows as they are."""
    if isinstance(table, list):
        return table
    chosen = table.astype(object)
    rows: Rows = chosen.where(table.notna(), None).to_dict("records")
    return rows


def typed_rows(rows: Iterable[dict[str, str]]) -> Rows:
    """Texts of a csv file as values: a column whose every value is a number becomes numbers; empty becomes None."""
    table: Rows = [{name: value or None for name, value in row.items() if name is not None} for row in rows]
    for name in table[0] if table else ():
        for convert in (int, float):
            try:
                numbers = [None if row[name] is None else convert(_numeral(row[name])) for row in table]
            except ValueError:
                continue
            for row, number in zip(table, numbers, strict=True):
                row[name] = number
            break
    return table


def _numeral(text: str) -> str:
    if "_" in text:  # Python reads 1_000 as a number; a csv file means a text
        raise ValueError
    return text
