import importlib
import json

import pytest

from benchmarks import __main__ as program
from benchmarks import bare
from benchmarks.hub import Slice
from benchmarks.options import Options
from benchmarks.report import Report


@pytest.mark.parametrize("name", program.BENCHES)
def test_every_bench_has_a_file_that_measures(name):
    assert callable(importlib.import_module(f"benchmarks.{name}").measure)


def _found(options):
    report = Report("seal")
    report.add("missed", 2.0, "s", 1.0, "<= 1")
    report.notes.append("quick" if options.quick else "in full")
    return report


def test_the_last_line_is_the_object_and_a_missed_expectation_is_no_error(monkeypatch, capsys):
    monkeypatch.setattr(importlib.import_module("benchmarks.seal"), "measure", _found)
    assert program.main(["seal", "--json"]) == 0
    said = capsys.readouterr()
    answer = json.loads(said.out.splitlines()[-1])
    assert answer["bench"] == "seal"
    assert answer["figures"]["missed"]["met"] is False
    assert "in full" in said.err


def test_without_json_it_is_a_table(monkeypatch, capsys):
    monkeypatch.setattr(importlib.import_module("benchmarks.seal"), "measure", _found)
    assert program.main(["seal", "--quick"]) == 0
    said = capsys.readouterr().out
    assert "missed" in said
    assert "quick" in said


def test_an_unknown_bench_is_refused(capsys):
    with pytest.raises(SystemExit, match="2"):
        program.main(["speed"])
    assert "invalid choice" in capsys.readouterr().err


def test_a_trial_is_short_and_never_a_single_round():
    assert Options(quick=True).times(30) == 3
    assert Options(quick=True).times(5) == 2
    assert Options().times(30) == 30


def test_the_bare_server_answers_every_path():
    client = bare.create_app().test_client()
    assert client.get("/api/v1/job").get_json() == {"path": "api/v1/job", "fields": 0}
    assert client.post("/api/v1/job", json={"a": 1, "b": 2}).get_json() == {"path": "api/v1/job", "fields": 2}


def test_a_rate_counts_the_time_in_which_anybody_worked():
    found = Slice(spent=[0.1] * 20, wall_s=0.5, cpu_s=0.2)
    assert found.rate == 40.0
    assert found.cpu_each_s == 0.01
