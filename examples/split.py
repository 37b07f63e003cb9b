"""Deal the rows of one table to several pretend hospitals: disjoint, and the same on every machine."""

import csv
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

Row = TypeVar("Row")

SEED = 1995


def split(rows: Sequence[Row], parts: int, seed: int = SEED) -> list[list[Row]]:
    """`parts` lists that hold every row exactly once, shuffled by `seed`; their lengths differ by one at most."""
    if not 1 <= parts <= len(rows):
        raise ValueError(f"{len(rows)} rows cannot be dealt to {parts} parts")
    # Ordered by a hash, not by `random`: no version of Python deals other rows.
    order = sorted(range(len(rows)), key=lambda number: hashlib.sha256(f"{seed}:{number}".encode()).digest())
    return [[rows[number] for number in order[part::parts]] for part in range(parts)]


def write_parts(table: Path, folder: Path, parts: int, seed: int = SEED) -> list[Path]:
    """Split a csv file into `folder/part-1.csv`, `part-2.csv`, ..., each with the header."""
    with table.open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"part-{number}.csv" for number in range(1, parts + 1)]
    for path, part in zip(paths, split(rows, parts, seed), strict=True):
        with path.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows([header, *part])
    return paths
