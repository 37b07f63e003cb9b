"""What follows from how runs ended, with plain values."""

from typing import Any

import pytest

from vprotocol.plan import Party, Plan, PlanConnection, PlanImage, PlanOrder, PlanOrganization, PlanStep
from vprotocol.states import RunState
from vprotocol.workflow.patterns import Pattern
from vserver.jobs import schedule
from vserver.jobs.schedule import Place

A, B, C = "a" * 64, "b" * 64, "c" * 64
ALL = (A, B, C)
S = RunState


def step(name: str, on: tuple[str, ...] = ALL, **changes: Any) -> PlanStep:
    orders = (PlanOrder(organizations=on, payload="0" * 64),)
    return PlanStep(**{"name": name, "image": "mean", "on": on, "orders": orders, **changes})


def plan(*steps: PlanStep, edges: tuple[tuple[str, str], ...] = (("part", "finish"),)) -> Plan:
    by_name = {found.name: found for found in steps}
    return Plan(
        job="1" * 32,
        collaboration="2" * 32,
        name="x",
        issuer=Party(organization=A, key="3" * 32),
        issued_at=1,
        expires_at=100,
        organizations=tuple(PlanOrganization(fingerprint=f, id=n, name=f[:1]) for n, f in enumerate(ALL, 1)),
        images={"mean": PlanImage(name="mean", config_digest="sha256:" + "4" * 64)},
        steps=steps,
        connections=tuple(
            PlanConnection(
                from_step=source,
                from_output="output",
                to_step=target,
                to_input=source,
                pattern=Pattern.GATHER,
                recipients=by_name[target].on,
            )
            for source, target in edges
        ),
        readers=(Party(organization=A, key="3" * 32),),
    )


def states(part: tuple[S, S, S], finish: S = S.BLOCKED) -> dict[Place, S]:
    return {**{Place("part", f): state for f, state in zip(ALL, part, strict=True)}, Place("finish", A): finish}


FINISH = frozenset({Place("finish", A)})
TWO_STEPS = (step("part"), step("finish", (A,)))


def test_the_last_producer_unblocks() -> None:
    two = plan(*TWO_STEPS)
    waiting = schedule.consequences(two, states((S.COMPLETED, S.RUNNING, S.COMPLETED)))
    assert waiting == schedule.Consequences()
    assert schedule.consequences(two, states((S.COMPLETED,) * 3)).unblock == FINISH


@pytest.mark.parametrize("end", [S.FAILED, S.REFUSED, S.CANCELLED])
def test_one_bad_end_stops_the_rest_at_once(end: S) -> None:
    found = schedule.consequences(plan(*TWO_STEPS), states((end, S.RUNNING, S.COMPLETED)))
    assert found.skip == FINISH and found.cancel == {Place("part", B)} and not found.unblock


def test_with_continue_others_go_on_and_what_needs_it_is_skipped() -> None:
    two = plan(step("part", fail="continue"), step("finish", (A,), fail="continue"))
    found = schedule.consequences(two, states((S.FAILED, S.RUNNING, S.COMPLETED)))
    assert found == schedule.Consequences(skip=FINISH)


@pytest.mark.parametrize(
    ("part", "unblocked", "skipped"),
    [
        ((S.FAILED, S.RUNNING, S.COMPLETED), False, False),
        ((S.FAILED, S.COMPLETED, S.COMPLETED), True, False),
        ((S.FAILED, S.REFUSED, S.QUEUED), False, True),
        ((S.COMPLETED, S.COMPLETED, S.RUNNING), False, False),
        ((S.COMPLETED, S.COMPLETED, S.COMPLETED), True, False),
    ],
)
def test_a_quorum_waits_for_all_that_may_come(part: tuple[S, S, S], unblocked: bool, skipped: bool) -> None:
    found = schedule.consequences(plan(step("part"), step("finish", (A,), needs=2)), states(part))
    assert (found.unblock == FINISH, found.skip >= FINISH) == (unblocked, skipped)


@pytest.mark.parametrize(
    ("trigger", "part", "decided"),
    [
        ("all_done", (S.FAILED, S.FAILED, S.FAILED), "unblock"),
        ("all_done", (S.FAILED, S.RUNNING, S.FAILED), None),
        ("any_success", (S.FAILED, S.COMPLETED, S.FAILED), "unblock"),
        ("any_success", (S.FAILED, S.FAILED, S.FAILED), "skip"),
    ],
)
def test_triggers(trigger: str, part: tuple[S, S, S], decided: str | None) -> None:
    found = schedule.consequences(plan(step("part"), step("finish", (A,), trigger=trigger)), states(part))
    assert found.unblock == (FINISH if decided == "unblock" else frozenset())
    assert (found.skip == FINISH) == (decided == "skip")


def test_skipping_goes_down_the_whole_chain() -> None:
    chain = plan(
        step("part", fail="continue"),
        step("finish", (A,), fail="continue"),
        step("last", (B,), fail="continue"),
        edges=(("part", "finish"), ("finish", "last")),
    )
    now = {**states((S.FAILED, S.COMPLETED, S.COMPLETED)), Place("last", B): S.BLOCKED}
    assert schedule.consequences(chain, now).skip == {Place("finish", A), Place("last", B)}


def test_a_diamond_waits_for_both_arms() -> None:
    diamond = plan(
        step("top", (A,)),
        step("left", (A,)),
        step("right", (B,)),
        step("bottom", (C,)),
        edges=(("top", "left"), ("top", "right"), ("left", "bottom"), ("right", "bottom")),
    )
    now = {
        Place("top", A): S.COMPLETED,
        Place("left", A): S.COMPLETED,
        Place("right", B): S.RUNNING,
        Place("bottom", C): S.BLOCKED,
    }
    assert not schedule.consequences(diamond, now).unblock
    now[Place("right", B)] = S.COMPLETED
    assert schedule.consequences(diamond, now).unblock == {Place("bottom", C)}


def test_nothing_follows_when_all_has_ended() -> None:
    done = states((S.FAILED, S.CANCELLED, S.COMPLETED), S.SKIPPED)
    assert schedule.consequences(plan(*TWO_STEPS), done) == schedule.Consequences()


def test_back_off_doubles_up_to_a_minute() -> None:
    assert [schedule.back_off_s(attempt) for attempt in (1, 2, 3, 7, 100)] == [1.0, 2.0, 4.0, 60.0, 60.0]


def test_state_of_a_job_leaves_out_subtasks_and_tolerated_ends() -> None:
    assert schedule.job_state([(S.COMPLETED, 0, False), (S.FAILED, 1, True)]) is S.COMPLETED
    assert schedule.job_state([(S.COMPLETED, 0, False), (S.FAILED, 0, True)]) is S.COMPLETED
    assert schedule.job_state([(S.COMPLETED, 0, False), (S.FAILED, 0, False)]) is S.FAILED
    assert schedule.job_state([(S.RUNNING, 0, True), (S.BLOCKED, 0, False)]) is S.RUNNING


def test_a_large_job_lets_others_in_between_and_waits_not_for_ever() -> None:
    large = [schedule.turn_at(0.0, ahead) for ahead in range(100)]
    assert large[1] > schedule.turn_at(1.0, 0) > large[0]
    assert schedule.turn_at(1000.0, 0) > large[-1]
