import itertools
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vprotocol.errors import IllegalTransition
from vprotocol.states import AT_A_NODE, FINAL, TRANSITIONS, UNSUCCESSFUL, RunEvent, RunState, after, derived, sources_of

S, E = RunState, RunEvent
AT_A_NODE_LEAD_TO = {
    "complete": "completed",
    "fail": "failed",
    "refuse": "refused",
    "lose": "queued",
    "cancel": "cancelled",
}
# The whole table once more, by hand: a change of states.py has to be meant.
LEGAL = {
    ("blocked", "unblock"): "queued",
    ("blocked", "cancel"): "cancelled",
    ("blocked", "skip"): "skipped",
    ("queued", "claim"): "leased",
    ("queued", "complete"): "completed",
    ("queued", "fail"): "failed",
    ("queued", "refuse"): "refused",
    ("queued", "cancel"): "cancelled",
    ("queued", "skip"): "skipped",
    ("leased", "start"): "running",
    ("leased", "hold"): "held",
    ("held", "start"): "running",
    **{(state, event): to for state in ("leased", "held", "running") for event, to in AT_A_NODE_LEAD_TO.items()},
}


@pytest.mark.parametrize(("state", "event"), list(itertools.product(RunState, RunEvent)), ids=lambda v: v.value)
def test_every_pair(state, event):
    to = LEGAL.get((state.value, event.value))
    assert (state in sources_of(event)) == (to is not None)
    if to is not None:
        assert after(state, event) is RunState(to)
        return
    with pytest.raises(IllegalTransition, match=f"{state.value} does not accept {event.value}") as refused:
        after(state, event)
    assert refused.value.fields == {"state": state.value, "event": event.value}


def test_what_has_ended_stays_as_it_is():
    assert FINAL == {S.COMPLETED, S.FAILED, S.REFUSED, S.CANCELLED, S.SKIPPED}
    assert UNSUCCESSFUL == FINAL - {S.COMPLETED}
    assert AT_A_NODE == {S.LEASED, S.HELD, S.RUNNING}
    assert set(TRANSITIONS) == set(RunState)


def test_every_state_is_reached_and_can_end():
    reached = {S.BLOCKED}
    for _ in RunState:
        reached |= {to for state in reached for to in TRANSITIONS[state].values()}
    assert reached == set(RunState)
    for state in set(RunState) - FINAL:
        assert set(TRANSITIONS[state].values()) & FINAL


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        ([], S.BLOCKED),
        ([S.BLOCKED, S.BLOCKED], S.BLOCKED),
        ([S.BLOCKED, S.QUEUED], S.QUEUED),
        ([S.QUEUED, S.LEASED], S.LEASED),
        ([S.LEASED, S.HELD], S.HELD),
        ([S.HELD, S.RUNNING], S.RUNNING),
        ([S.COMPLETED, S.QUEUED], S.RUNNING),
        ([S.COMPLETED, S.BLOCKED], S.RUNNING),
        ([S.FAILED, S.QUEUED], S.RUNNING),
        ([S.COMPLETED, S.HELD], S.HELD),
        ([S.COMPLETED, S.LEASED], S.LEASED),
        ([S.COMPLETED, S.COMPLETED], S.COMPLETED),
        ([S.COMPLETED, S.SKIPPED], S.SKIPPED),
        ([S.SKIPPED, S.CANCELLED], S.CANCELLED),
        ([S.CANCELLED, S.REFUSED], S.REFUSED),
        ([S.REFUSED, S.FAILED, S.COMPLETED], S.FAILED),
    ],
)
def test_a_task_is_what_its_most_telling_run_is(states, expected):
    assert derived(states) is expected


@given(st.lists(st.sampled_from(RunState), min_size=1))
def test_a_task_has_ended_when_all_its_runs_have(states):
    found = derived(states)
    assert (found in FINAL) == all(state in FINAL for state in states)
    assert (found is S.COMPLETED) == (set(states) == {S.COMPLETED})
    assert derived(reversed(states)) is found
    assert derived([found]) is found


def table() -> str:
    lines = ["| in state | event | next state |", "|---|---|---|"]
    lines += [f"| {s.value} | {e.value} | {to.value} |" for s, out in TRANSITIONS.items() for e, to in out.items()]
    return "\n".join(lines)


def test_the_table_in_the_documentation_is_current():
    document = (Path(__file__).parents[3] / "docs/protocol/states.md").read_text()
    assert table() in document, f"put this into docs/protocol/states.md:\n{table()}"
