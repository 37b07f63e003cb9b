import json
import shutil
from pathlib import Path

import pytest

from tests.vectors.make import FOLDER, make
from tests.vectors.replay import KINDS, outcome

VECTORS = sorted(FOLDER.glob("*/*.json"))


@pytest.mark.parametrize("path", VECTORS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_this_program_agrees(path: Path):
    vector = json.loads(path.read_text("utf-8"))
    assert set(vector) == {"description", "kind", "inputs", "expect"} | (
        {"outputs"} if vector["expect"] == "ok" else set()
    )
    assert vector["kind"] == path.parent.name and vector["description"]
    assert outcome(vector) == (vector["expect"], vector.get("outputs", {}))


def test_there_are_vectors_of_every_kind_and_most_are_ways_to_be_wrong():
    assert {path.parent.name for path in VECTORS} == set(KINDS)
    wrong = [path for path in VECTORS if json.loads(path.read_text("utf-8"))["expect"] != "ok"]
    assert len(VECTORS) >= 60 and len(wrong) > len(VECTORS) / 2


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    return Path(shutil.copytree(FOLDER, tmp_path / "vectors"))


def test_the_generator_has_nothing_to_add_and_would_change_nothing(copied: Path):
    """A vector that is missing or would come out differently: the format has changed, or the generator has."""
    found = make(copied)
    assert (found.added, found.differing) == ([], [])
    assert {f"{path.parent.name}/{path.stem}" for path in VECTORS} == found.wanted


def test_the_generator_reports_a_difference_and_leaves_the_file(copied: Path):
    tampered, absent = copied / "words" / "zeros.json", copied / "words" / "ones.json"
    tampered.write_text(tampered.read_text("utf-8").replace("ten words", "twelve words"), "utf-8")
    before, original = tampered.read_bytes(), absent.read_bytes()
    absent.unlink()
    found = make(copied)
    assert (found.added, found.differing) == (["words/ones"], ["words/zeros"])
    assert (tampered.read_bytes(), absent.read_bytes()) == (before, original)
