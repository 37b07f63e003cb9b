"""The life of a run, as data.

Everything that decides whether a run may change state lives in this file. The hub enforces it, node and client read it,
docs/protocol/states.md draws it. Task and job states are derived from their runs and never stored.
"""

from collections.abc import Iterable
from enum import StrEnum

from vprotocol.errors import IllegalTransition


class RunState(StrEnum):
    BLOCKED = "blocked"  # waits for the outputs of others
    QUEUED = "queued"  # a node may take it
    LEASED = "leased"  # one node holds it
    HELD = "held"  # a data holder decides
    RUNNING = "running"  # its sandbox was started
    COMPLETED = "completed"  # its sealed outputs are at the hub
    FAILED = "failed"  # the algorithm or the node gave up
    REFUSED = "refused"  # a check or the data holder's policy said no
    CANCELLED = "cancelled"  # a person said stop
    SKIPPED = "skipped"  # something it needed did not come


class RunEvent(StrEnum):
    UNBLOCK = "unblock"
    CLAIM = "claim"
    HOLD = "hold"
    START = "start"
    COMPLETE = "complete"
    FAIL = "fail"
    REFUSE = "refuse"
    LOSE = "lose"  # the lease ran out: again, with the next attempt
    CANCEL = "cancel"
    SKIP = "skip"


S, E = RunState, RunEvent
_AT_A_NODE = {E.COMPLETE: S.COMPLETED, E.FAIL: S.FAILED, E.REFUSE: S.REFUSED, E.LOSE: S.QUEUED, E.CANCEL: S.CANCELLED}
# A queued run accepts results too: the first valid result of any attempt ends the run, even after its lease was lost.
TRANSITIONS: dict[RunState, dict[RunEvent, RunState]] = {
    S.BLOCKED: {E.UNBLOCK: S.QUEUED, E.CANCEL: S.CANCELLED, E.SKIP: S.SKIPPED},
    S.QUEUED: {
        E.CLAIM: S.LEASED,
        E.COMPLETE: S.COMPLETED,
        E.FAIL: S.FAILED,
        E.REFUSE: S.REFUSED,
        E.CANCEL: S.CANCELLED,
        E.SKIP: S.SKIPPED,
    },
    S.LEASED: {**_AT_A_NODE, E.START: S.RUNNING, E.HOLD: S.HELD},
    S.HELD: {**_AT_A_NODE, E.START: S.RUNNING},
    S.RUNNING: {**_AT_A_NODE},
    S.COMPLETED: {},
    S.FAILED: {},
    S.REFUSED: {},
    S.CANCELLED: {},
    S.SKIPPED: {},
}
FINAL = frozenset(state for state, out in TRANSITIONS.items() if not out)
AT_A_NODE = frozenset({S.LEASED, S.HELD, S.RUNNING})
UNSUCCESSFUL = FINAL - {S.COMPLETED}


def after(state: RunState, event: RunEvent) -> RunState:
    """The state that `event` leads to.

    :raises IllegalTransition: the table has no such pair.
    """
    try:
        return TRANSITIONS[state][event]
    except KeyError:
        raise IllegalTransition(
            f"a run that is {state.value} does not accept {event.value}",
            fields={"state": state.value, "event": event.value},
        ) from None


def sources_of(event: RunEvent) -> frozenset[RunState]:
    """The states in which `event` is legal: the guard of the one UPDATE that performs it."""
    return frozenset(state for state, out in TRANSITIONS.items() if event in out)


# From the most to the least telling: a task is what its most telling run is.
_WORST_FIRST = (S.FAILED, S.REFUSED, S.CANCELLED, S.SKIPPED)
_ACTIVE_FIRST = (S.RUNNING, S.HELD, S.LEASED, S.QUEUED, S.BLOCKED)


def derived(states: Iterable[RunState]) -> RunState:
    """State of a task, from its runs; of a job, from its tasks. Of nothing: blocked.

    While anything goes on, the most advanced activity shows (a task with one run completed and one queued is running);
    when all have ended, the worst end shows.
    """
    found = set(states)
    if not found:
        return S.BLOCKED
    active = found - FINAL
    if active:
        if found & FINAL and not active & AT_A_NODE:
            return S.RUNNING
        return next(state for state in _ACTIVE_FIRST if state in active)
    return next((state for state in _WORST_FIRST if state in found), S.COMPLETED)
