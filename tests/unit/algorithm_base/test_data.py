"""Reading data sources, with and without pandas."""

import sqlite3
from contextlib import closing

import pytest

from algorithm_base import data
from algorithm_base.data import DataSource, as_rows
from algorithm_base.errors import SourceError

ROWS = [{"name": "a,b", "age": 40, "bmi": 21.5}, {"name": "ç", "age": 51, "bmi": None}]


@pytest.fixture(params=["pandas", "standard library"])
def rows_of(request, monkeypatch):
    """Reads a source and gives its rows, however the image would hold them."""
    if request.param == "pandas":
        pd = pytest.importorskip("pandas")

        def read(source):
            frame = source.read()
            assert isinstance(frame, pd.DataFrame)
            return frame.astype(object).where(frame.notna(), None).to_dict("records")

        return read
    monkeypatch.setattr(data, "has_pandas", lambda: False)
    return lambda source: source.read()


@pytest.mark.parametrize(("kind", "delimiter"), [("csv", ","), ("tsv", "\t")])
def test_delimited_files(tmp_path, rows_of, kind, delimiter):
    path = tmp_path / "table"
    lines = [["name", "age", "bmi"], ['"a,b"', "40", "21.5"], ["ç", "51", ""]]
    path.write_text("\n".join(delimiter.join(line) for line in lines) + "\n", encoding="utf-8")
    assert rows_of(DataSource("default", kind, str(path))) == ROWS


@pytest.mark.parametrize("prefix", ["", "sqlite:///"])
def test_sqlite_is_read_with_its_query_and_never_written(tmp_path, rows_of, prefix):
    path = tmp_path / "clinic.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE patient (name TEXT, age INTEGER, bmi REAL)")
        connection.executemany("INSERT INTO patient VALUES (:name, :age, :bmi)", ROWS)
        connection.commit()
    assert rows_of(DataSource("default", "sql", f"{prefix}{path}", query="SELECT * FROM patient ORDER BY age")) == ROWS
    assert [p.name for p in tmp_path.iterdir()] == ["clinic.db"]


def test_other_databases_are_read_through_sqlalchemy(tmp_path, rows_of):
    pytest.importorskip("sqlalchemy")
    path = tmp_path / "clinic.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE patient (age INTEGER)")
        connection.execute("INSERT INTO patient VALUES (40)")
        connection.commit()
    uri = f"sqlite+pysqlite:///{path}"  # a name that the standard library's own reader does not take
    assert rows_of(DataSource("default", "sql", uri, query="SELECT age FROM patient")) == [{"age": 40}]


def test_a_write_in_a_query_fails(tmp_path, monkeypatch):
    monkeypatch.setattr(data, "has_pandas", lambda: False)
    path = tmp_path / "clinic.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE patient (age INTEGER)")
    with pytest.raises(sqlite3.OperationalError):
        DataSource("default", "sql", str(path), query="DELETE FROM patient").read()


def test_a_folder_is_a_path(tmp_path):
    assert DataSource("images", "folder", str(tmp_path)).read() == tmp_path


def test_columns_of_texts_stay_texts():
    rows = data.typed_rows([{"code": "1_000", "zip": "01", "x": "1"}, {"code": "2", "zip": "02", "x": "n/a"}])
    assert rows == [{"code": "1_000", "zip": 1, "x": "1"}, {"code": "2", "zip": 2, "x": "n/a"}]


@pytest.mark.parametrize("kind", ["parquet", "excel"])
def test_formats_that_need_pandas_say_so(monkeypatch, kind):
    monkeypatch.setattr(data, "has_pandas", lambda: False)
    with pytest.raises(SourceError, match=rf"'default' \({kind}\) needs pandas"):
        DataSource("default", kind, "/x").read()


def test_an_unknown_type_says_what_to_do():
    with pytest.raises(
        SourceError, match=r"of type 'sparql', which has no reader: take it with source\(..., read=False\)"
    ):
        DataSource("graph", "sparql", "http://x").read()


def test_a_database_without_a_query_or_a_file_is_refused(tmp_path):
    with pytest.raises(SourceError, match="has no query"):
        DataSource("default", "sql", str(tmp_path / "x.db")).read()
    with pytest.raises(SourceError, match="no database file"):
        DataSource("default", "sql", str(tmp_path / "x.db"), query="SELECT 1").read()
    assert list(tmp_path.iterdir()) == []


def test_rows_are_dictionaries_also_where_pandas_is_there_and_it_is_not_even_imported(tmp_path, monkeypatch):
    table = tmp_path / "table.csv"
    table.write_text("age,name\n40,ada\n,bob\n")
    monkeypatch.setattr("algorithm_base.data._pandas", lambda: pytest.fail("pandas was imported"))
    source = DataSource("default", "csv", str(table))
    assert source.rows() == [{"age": 40, "name": "ada"}, {"age": None, "name": "bob"}]


def test_a_frame_becomes_rows_with_none_for_what_is_missing():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"age": [40.0, None], "name": ["ada", None]})
    assert as_rows(frame) == [{"age": 40.0, "name": "ada"}, {"age": None, "name": None}]
    assert as_rows([{"age": 1}]) == [{"age": 1}]
