"""What follows from how runs ended: decided with plain values, done by `progress.py`."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from vprotocol.plan import Plan, PlanStep
from vprotocol.states import FINAL, UNSUCCESSFUL, RunState, derived

FIRST_BACK_OFF_S = 1.0
LONGEST_BACK_OFF_S = 60.0
TURN_S = 5.0
MOST_TAGS = 10  # of a node or a step; each set of them is a value that is looked for


class Place(NamedTuple):
    """A run of a step: where it stands in the plan."""

    step: str
    organization: str  # fingerprint


@dataclass(frozen=True)
class Consequences:
    """Runs that change because others ended."""

    unblock: frozenset[Place] = field(default_factory=frozenset)
    skip: frozenset[Place] = field(default_factory=frozenset)
    cancel: frozenset[Place] = field(default_factory=frozenset)


def back_off_s(attempt: int) -> float:
    """How long the attempt after this one waits."""
    return min(LONGEST_BACK_OFF_S, FIRST_BACK_OFF_S * 2.0 ** min(attempt - 1, 16))


def turn_at(ready_at: float, ahead: int) -> float:
    """The place in the queue: a run waits in line `TURN_S` longer for each one of the same job that waits at the same
    organization already. So jobs take turns, and yet nothing waits for ever: time moves everybody forward."""
    return ready_at + TURN_S * ahead


FIRST_STEP_PRECEDENCE = 0  # below it stand subtasks


def precedence(priority: int) -> int:
    """Small goes first; priority 9 is the highest."""
    return 9 - priority


def subtask_precedence(precedence: int) -> int:
    """Before every step of a plan: whoever asked holds its place and waits."""
    return precedence if precedence < FIRST_STEP_PRECEDENCE else precedence - 10


def consumers(plan: Plan, step: str) -> list[PlanStep]:
    names = dict.fromkeys(c.to_step for c in plan.connections if c.from_step == step)
    return [found for name in names if (found := plan.step(name)) is not None]


def producers(plan: Plan, step: str) -> list[PlanStep]:
    names = dict.fromkeys(c.from_step for c in plan.connections if c.to_step == step)
    return [found for name in names if (found := plan.step(name)) is not None]


def is_tolerated(plan: Plan, step: PlanStep) -> bool:
    """Whether a failure of this step is judged by those that it feeds: each has a quorum or a trigger for it."""
    fed = consumers(plan, step.name)
    return bool(fed) and all(target.needs is not None or target.trigger != "all_success" for target in fed)


def is_first(plan: Plan, step: PlanStep) -> bool:
    """Whether nothing comes before it."""
    return not producers(plan, step.name)


def consequences(plan: Plan, states: Mapping[Place, RunState]) -> Consequences:
    """All that must change now that the runs of the plan's steps are in these states."""
    now = dict(states)
    unblock: set[Place] = set()
    skip: set[Place] = set()
    if _fails_fast(plan, now):
        return _stop(now)
    changed = True
    while changed:
        changed = False
        for step in plan.steps:
            for place in _blocked(step, now):
                decision = _decide(plan, step, now)
                if decision is None:
                    continue
                now[place] = decision
                (unblock if decision is RunState.QUEUED else skip).add(place)
                changed = True
        if _fails_fast(plan, now):
            stop = _stop({place: state for place, state in now.items() if place not in unblock})
            return Consequences(skip=frozenset(skip) | stop.skip | unblock, cancel=stop.cancel)
    return Consequences(frozenset(unblock), frozenset(skip))


def job_state(runs: Iterable[tuple[RunState, int, bool]]) -> RunState:
    """State of a job from (state, depth, tolerated) of its runs.

    What an algorithm's subtasks come to is the algorithm's business; what a tolerated step's failure comes to shows in
    those that it feeds. Everything else counts.
    """
    return derived(
        state for state, depth, tolerated in runs if depth == 0 and not (tolerated and state in UNSUCCESSFUL)
    )


def _blocked(step: PlanStep, now: Mapping[Place, RunState]) -> list[Place]:
    places = [Place(step.name, organization) for organization in step.on]
    return [place for place in places if now.get(place) is RunState.BLOCKED]


def _decide(plan: Plan, step: PlanStep, now: Mapping[Place, RunState]) -> RunState | None:
    """QUEUED: go. SKIPPED: never. None: wait."""
    verdicts = [_judge(step, source, now) for source in producers(plan, step.name)]
    if RunState.SKIPPED in verdicts:
        return RunState.SKIPPED
    return None if None in verdicts else RunState.QUEUED


def _judge(step: PlanStep, source: PlanStep, now: Mapping[Place, RunState]) -> RunState | None:
    states = [now[Place(source.name, organization)] for organization in source.on]
    completed = sum(state is RunState.COMPLETED for state in states)
    open_ = sum(state not in FINAL for state in states)
    if step.trigger == "all_done":
        needed = 0
    elif step.needs is not None:
        needed = min(step.needs, len(states))
    elif step.trigger == "any_success":
        needed = 1
    else:
        needed = len(states)
    if completed + open_ < needed:
        return RunState.SKIPPED
    # Those that may still come are waited for: who takes part must not depend on who was faster.
    return None if open_ else RunState.QUEUED


def _fails_fast(plan: Plan, now: Mapping[Place, RunState]) -> bool:
    return any(
        now.get(Place(step.name, organization)) in UNSUCCESSFUL
        for step in plan.steps
        if step.fail == "fast" and not is_tolerated(plan, step)
        for organization in step.on
    )


def _stop(now: Mapping[Place, RunState]) -> Consequences:
    return Consequences(
        skip=frozenset(place for place, state in now.items() if state is RunState.BLOCKED),
        cancel=frozenset(place for place, state in now.items() if state not in FINAL and state is not RunState.BLOCKED),
    )
