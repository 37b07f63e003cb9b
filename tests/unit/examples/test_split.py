"""Dealing one table to several hospitals."""

import csv
from pathlib import Path

import pytest

from examples.split import split, write_parts

WDBC = Path(__file__).parents[3] / "examples/data/wdbc.csv"


def rows_of(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def test_the_data_are_whole():
    header, *rows = rows_of(WDBC)
    assert len(header) == 31
    assert len(set(header)) == 31
    assert header[0] == "mean_radius"
    assert header[-1] == "diagnosis"
    diagnoses = [row[-1] for row in rows]
    assert (len(rows), diagnoses.count("benign"), diagnoses.count("malignant")) == (569, 357, 212)
    assert all(float(value) >= 0 for row in rows for value in row[:-1])


@pytest.mark.parametrize("parts", [1, 3, 5, 569])
def test_every_row_is_dealt_exactly_once_and_evenly(parts):
    dealt = split(range(569), parts)
    assert sorted(row for part in dealt for row in part) == list(range(569))
    assert max(map(len, dealt)) - min(map(len, dealt)) <= 1


def test_the_deal_is_pinned_and_shuffled():
    assert split(range(10), 3) == [[2, 0, 6, 3], [9, 8, 5], [4, 1, 7]]
    assert split(range(10), 3) != split(range(10), 3, seed=2)


@pytest.mark.parametrize("parts", [0, 4])
def test_empty_parts_are_refused(parts):
    with pytest.raises(ValueError, match=f"3 rows cannot be dealt to {parts} parts"):
        split([1, 2, 3], parts)


def test_files_carry_the_header_and_the_rows_as_they_were(tmp_path):
    paths = write_parts(WDBC, tmp_path / "parts", 3)
    header, *rows = rows_of(WDBC)
    dealt = [rows_of(path) for path in paths]
    assert all(part[0] == header for part in dealt)
    assert sorted(row for part in dealt for row in part[1:]) == sorted(rows)
