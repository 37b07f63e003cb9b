"""Every phase names a function that exists: who renames one finds out here, not in a table with a hole."""

import importlib
import json
import sys
from types import ModuleType

import pytest

from benchmarks import phases
from benchmarks.phases import CLIENT, NODE, Phase, Stopwatch, read_phases


@pytest.mark.parametrize("phase", [*NODE, *CLIENT], ids=lambda phase: phase.function)
def test_a_phase_is_a_function_that_exists(phase):
    found = importlib.import_module(phase.module)
    for name in phase.function.split("."):
        found = getattr(found, name)
    assert callable(found)


@pytest.fixture
def module(monkeypatch):
    made = ModuleType("measured")

    class Thing:
        def work(self, value):
            return value + 1

    def fail():
        raise KeyError("no")

    made.Thing, made.fail = Thing, fail
    monkeypatch.setitem(sys.modules, "measured", made)
    return made


def test_a_watched_function_does_what_it_did_and_its_time_is_kept(module):
    stopwatch = Stopwatch()
    stopwatch.watch([Phase("work", "measured", "Thing.work"), Phase("fail", "measured", "fail")])
    assert module.Thing().work(1) == 2
    with pytest.raises(KeyError):
        module.fail()
    found = stopwatch.take()
    assert [len(found["work"]), len(found["fail"])] == [1, 1]
    assert min(found["work"] + found["fail"]) >= 0
    assert stopwatch.take() == {}


def test_what_a_node_writes_is_read_again(tmp_path, module, monkeypatch):
    monkeypatch.setattr(phases, "NODE", (Phase("work", "measured", "Thing.work"), Phase("fail", "measured", "fail")))
    file = tmp_path / "trace"
    phases.record_node_phases(file)
    module.Thing().work(1)
    module.Thing().work(2)
    assert [json.loads(line)[0] for line in file.read_text().splitlines()] == ["work", "work"]
    found = read_phases(file)
    assert len(found["work"]) == 2
    assert found["fail"] == []
