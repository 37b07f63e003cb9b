"""The chain: whatever is edited, removed, added or moved before the last line is found."""

import json
from pathlib import Path

import pytest

from vnode.audit import FIRST, Audit, broken_line
from vruntime.clock import ManualClock


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "audit.jsonl"
    audit = Audit(path, ManualClock())
    for number in range(1, 6):
        audit.write("accepted", f"run {number}", image=f"sha256:{number}")
    audit.close()
    return path


def lines(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines(keepends=True)


def test_an_honest_file_is_whole(path: Path) -> None:
    assert broken_line(path) is None
    first, second = (json.loads(line) for line in lines(path)[:2])
    assert first["after"] == FIRST
    assert (second["decision"], second["run"], second["image"]) == ("accepted", "run 2", "sha256:2")


def test_an_empty_file_is_whole(tmp_path: Path) -> None:
    Audit(tmp_path / "audit.jsonl", ManualClock()).close()
    assert broken_line(tmp_path / "audit.jsonl") is None


def test_the_chain_goes_on_after_a_restart(path: Path) -> None:
    audit = Audit(path, ManualClock())
    audit.write("released", "run 5")
    audit.close()
    assert len(lines(path)) == 6
    assert broken_line(path) is None


@pytest.mark.parametrize("number", [1, 2, 4])
def test_an_edit_shows_in_the_next_line(path: Path, number: int) -> None:
    changed = lines(path)
    changed[number - 1] = changed[number - 1].replace(b"accepted", b"refused ")
    path.write_bytes(b"".join(changed))
    assert broken_line(path) == number + 1


def test_a_removed_line_shows(path: Path) -> None:
    kept = lines(path)
    del kept[2]
    path.write_bytes(b"".join(kept))
    assert broken_line(path) == 3


def test_lines_that_changed_places_show(path: Path) -> None:
    one, two, *rest = lines(path)
    path.write_bytes(b"".join((two, one, *rest)))
    assert broken_line(path) == 1


def test_an_inserted_line_shows(path: Path) -> None:
    added = lines(path)
    added.insert(3, added[2])
    path.write_bytes(b"".join(added))
    assert broken_line(path) == 4


@pytest.mark.parametrize("line", [b"{}\n", b"[1]\n", b"not JSON\n", b"\n", b"\xff\n"])
def test_what_is_no_entry_shows(path: Path, line: bytes) -> None:
    path.write_bytes(b"".join([*lines(path), line]))
    assert broken_line(path) == 6


def test_only_its_owner_reads_it(path: Path) -> None:
    assert path.stat().st_mode & 0o077 == 0


def test_a_line_that_a_power_cut_tore_is_cut_off_and_the_chain_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    first = Audit(path, ManualClock())
    first.write("accepted", "run 1")
    first.close()
    with path.open("ab") as file:
        file.write(b'{"at":1,"decis')
    second = Audit(path, ManualClock())
    second.write("accepted", "run 2")
    second.close()
    assert broken_line(path) is None
    assert len(path.read_text().splitlines()) == 2
