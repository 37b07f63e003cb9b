"""Whoever waits on a terminal hears for whom, and once."""

import io
from types import SimpleNamespace
from typing import Any

from vclient.cli._showing import watch
from vprotocol.states import RunState
from vruntime.cli import Out

A, B = "a" * 64, "b" * 64
OFFLINE = "unroutable: no node of the organization that could take it is online"


def run(fingerprint: str, note: str | None, state: RunState = RunState.QUEUED) -> Any:
    return SimpleNamespace(fingerprint=fingerprint, note=note, state=state, path="main[0]")


class SlowJob:
    """Two hospitals; B's node is offline for a while."""

    name = "mean"
    plan = SimpleNamespace(
        plan=SimpleNamespace(
            steps=[SimpleNamespace(on=(A, B))],
            organizations=[
                SimpleNamespace(fingerprint=A, name="Hospital A"),
                SimpleNamespace(fingerprint=B, name="B \x1b[2J"),
            ],
        )
    )

    def status(self) -> Any:
        return SimpleNamespace(name="mean", state=RunState.QUEUED, runs=[run(A, None), run(B, OFFLINE)])

    def wait(self, timeout_s: float | None, progress: Any) -> RunState:
        progress(self.status())
        done = [run(A, None, RunState.COMPLETED), run(B, None, RunState.COMPLETED)]
        progress(SimpleNamespace(name="mean", state=RunState.COMPLETED, runs=done))
        return RunState.COMPLETED


def test_who_is_waited_for_in_vain_is_named_once_and_cannot_draw_on_the_screen() -> None:
    said = io.StringIO()
    job: Any = SlowJob()
    assert watch(Out(stdout=io.StringIO(), stderr=said), job) is RunState.COMPLETED
    lines = [line for line in said.getvalue().splitlines() if "waiting for" in line]
    assert len(lines) == 1 and "is online" in lines[0]
    assert "\x1b" not in said.getvalue()
