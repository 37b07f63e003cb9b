"""A run to its end, whatever happens on the way: nothing lost, nothing executed twice, no result replaced."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.unit.vnode.twins import NodeTwin, assignment, coded
from vnode.executors.errors import ExecutorError
from vnode.executors.scripted import Sandbox
from vnode.journal import Phase
from vnode.runner import KEPT_S, key_of
from vprotocol.errors import Unreachable
from vprotocol.reasons import Reason


class Killed(BaseException):
    """The process dies here: nothing after this line happens."""


def answer(sandbox: Sandbox) -> int:
    sandbox.write_output(b'{"n": 3}')
    return 0


@pytest.fixture
def node(tmp_path: Path) -> NodeTwin:
    return NodeTwin(tmp_path, answer)


def dies(node: NodeTwin, of: Any, name: str, *, after: bool = False) -> None:
    """The next call of this method is the last thing that the process does."""
    honest = getattr(of, name)

    def dying(*given: Any, **named: Any) -> Any:
        setattr(of, name, honest)
        node.runner.abandoned.set()  # a killed process runs no `finally`
        if after:
            honest(*given, **named)
        raise Killed

    setattr(of, name, dying)


def test_a_run_ends_in_a_receipt_and_leaves_nothing_behind(node: NodeTwin) -> None:
    given = assignment()
    node.run(given)
    assert [receipt.state for receipt in node.hub.delivered] == ["completed"]
    assert node.executor.find({}) == [] and node.outbox.waiting() == []
    assert [decision for decision, _ in node.decisions()] == ["accepted", "started", "released"]
    entry = node.journal.find(key_of(given))
    assert entry is not None and entry.phase is Phase.ENDED


# --- kill -9 --------------------------------------------------------------------------------------------------------
KILLS: dict[str, Callable[[NodeTwin], tuple[Any, str, bool]]] = {
    "before the key is used": lambda n: (n.journal, "accept", False),
    "after the key is used": lambda n: (n.journal, "accept", True),
    "before the start": lambda n: (n.executor, "start", False),
    "after the start": lambda n: (n.executor, "start", True),
    "before the start is written down": lambda n: (n.journal, "mark", False),
    "after the start is written down": lambda n: (n.journal, "mark", True),
    "before the hub hears of the start": lambda n: (n.hub, "started", False),
    "while it is watched": lambda n: (n.executor, "wait", True),
    "before the output is fetched": lambda n: (n.executor, "fetch", False),
    "before the outbox has it": lambda n: (n.outbox, "commit", False),
    "after the outbox has it": lambda n: (n.outbox, "commit", True),
    "before the hub has it": lambda n: (n.hub, "deliver", False),
    "after the hub has it": lambda n: (n.hub, "deliver", True),
    "before the outbox drops it": lambda n: (n.outbox, "drop", False),
    "after the outbox drops it": lambda n: (n.outbox, "drop", True),
    "before the sandbox is removed": lambda n: (n.executor, "remove", False),
    "after the sandbox is removed": lambda n: (n.executor, "remove", True),
}


@pytest.mark.parametrize("moment", KILLS)
def test_a_kill_at_any_moment_loses_nothing_and_executes_nothing_twice(node: NodeTwin, moment: str) -> None:
    given = assignment()
    place, name, after = KILLS[moment](node)
    dies(node, place, name, after=after)
    with pytest.raises(Killed):
        node.run(given)
    node.journal.close()
    node.open()
    begun = node.journal.find(key_of(given))
    if begun is None or begun.phase is not Phase.ENDED:
        node.run(given)
    for outgoing in node.outbox.waiting():
        node.runner.deliver(outgoing.key)
    assert node.executions == 1
    assert {receipt.state for receipt in node.hub.delivered} == {"completed"}
    assert node.outbox.waiting() == []


def test_a_result_that_is_neither_in_the_outbox_nor_in_a_sandbox_is_lost_and_not_executed_again(node: NodeTwin) -> None:
    given = assignment()
    node.run(given)
    node.journal.mark(key_of(given), Phase.SEALED)  # as if the disk had forgotten what came after
    node.hub.delivered.clear()
    node.run(given)
    assert node.executions == 1
    assert [receipt.reason for receipt in node.hub.delivered] == [Reason.LOST]


# --- nothing replaces a result --------------------------------------------------------------------------------------
def test_a_mistake_after_the_result_is_in_the_outbox_does_not_replace_it(node: NodeTwin) -> None:
    def broken(*_: Any) -> None:
        raise RuntimeError("disk full")

    node.audit.write = _failing_at(node.audit.write, "released", broken)  # type: ignore[method-assign]
    node.run(assignment())
    (held,) = node.outbox.waiting()
    assert node.runner.deliver(held.key)
    assert [receipt.state for receipt in node.hub.delivered] == ["completed"]


def _failing_at(write: Any, decision: str, fail: Callable[..., None]) -> Any:
    def writing(what: str, *given: Any, **facts: Any) -> None:
        if what == decision:
            fail()
        write(what, *given, **facts)

    return writing


def test_an_engine_that_fails_while_a_held_result_is_offered_does_not_replace_it(node: NodeTwin) -> None:
    given = assignment()
    node.hub.refuse = Unreachable()
    node.run(given)
    (held,) = node.outbox.waiting()

    def gone(_labels: Any) -> None:
        raise ExecutorError("the engine is away")

    node.executor.find = gone  # type: ignore[method-assign]
    node.run(given)
    assert [outgoing.receipt for outgoing in node.outbox.waiting()] == [held.receipt]


def test_a_replay_under_another_number_touches_no_result(node: NodeTwin) -> None:
    node.hub.refuse = Unreachable()
    given = assignment(1)
    node.run(given)
    (held,) = node.outbox.waiting()
    again = given.model_copy(update={"run": 2})
    lease = node.leases.take(again)
    assert lease is not None
    node.runner.run(again, lease, None)  # the held result is offered, and nothing else happens
    assert node.executions == 1
    assert [outgoing.receipt for outgoing in node.outbox.waiting()] == [held.receipt]


def test_a_replay_is_refused_without_using_the_place_of_the_honest_run(node: NodeTwin) -> None:
    given = assignment(1)
    node.run(given)
    lease = node.leases.take(again := given.model_copy(update={"run": 2}))
    assert lease is not None
    node.runner.run(again, lease, None)
    assert node.executions == 1
    assert [(r.state, r.reason) for r in node.hub.delivered] == [("completed", None), ("refused", Reason.REPLAYED)]
    entry = node.journal.find(key_of(given))
    assert entry is not None and entry.phase is Phase.ENDED


def test_a_sandbox_that_cannot_be_removed_does_not_fail_the_run(node: NodeTwin) -> None:
    def stuck(_handle: Any) -> None:
        raise ExecutorError()

    node.executor.remove = stuck  # type: ignore[method-assign]
    node.run(assignment())
    assert [receipt.state for receipt in node.hub.delivered] == ["completed"]


def test_a_start_that_cannot_be_written_down_leaves_no_sandbox_and_no_token(node: NodeTwin) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError("no space left")

    node.journal.mark = full  # type: ignore[method-assign]
    node.run(assignment())
    assert node.executor.find({}) == []
    assert node.gate._admitted == {}


# --- what the hub says about a result -------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "code",
    [
        "unreachable", "unavailable", "internal_error", "not_authenticated", "login_failed", "unexpected_answer",
        "rate_limited", "forbidden", "not_found", "lease_invalid", "bad_request", "key_unknown", "head_too_old",
        "method_not_allowed", "too_large", "version_mismatch", "conflict", "no_such_code",
    ],
)  # fmt: skip
def test_a_result_outlives_a_hub_that_does_not_take_it_today(node: NodeTwin, code: str) -> None:
    node.hub.refuse = coded(code)
    node.run(assignment())
    (held,) = node.outbox.waiting()
    node.hub.refuse = None
    assert node.runner.deliver(held.key) and node.hub.delivered


@pytest.mark.parametrize("code", ["receipt_invalid", "signature_invalid", "document_invalid", "bad_message"])
def test_a_result_that_the_hub_finds_fault_with_is_given_up_and_that_is_audited(node: NodeTwin, code: str) -> None:
    node.hub.refuse = coded(code)
    node.run(assignment())
    assert node.outbox.waiting() == []
    assert ("rejected", code) in node.decisions()


def test_after_a_week_of_no_a_result_is_given_up(node: NodeTwin) -> None:
    node.hub.refuse = coded("forbidden")
    node.run(assignment())
    (held,) = node.outbox.waiting()
    node.clock.advance(KEPT_S + 1)
    assert node.runner.deliver(held.key)
    assert node.outbox.waiting() == [] and ("rejected", "forbidden") in node.decisions()


def test_a_held_result_goes_out_under_the_newest_lease_token(node: NodeTwin) -> None:
    node.hub.refuse = coded("lease_invalid")
    given = assignment()
    node.run(given)
    tokens: list[str] = []
    node.hub.refuse, node.hub.on_delivery = None, lambda outgoing: tokens.append(outgoing.lease_token)
    node.run(given.model_copy(update={"lease_token": "newer"}))
    assert tokens == ["newer"] and node.executions == 1 and node.outbox.waiting() == []


def test_a_held_result_does_not_stand_in_the_way_of_another_run_of_the_same_number(node: NodeTwin) -> None:
    """A hub that was restored from a backup gives its numbers out again."""
    node.hub.refuse = coded("lease_invalid")
    node.run(assignment(1))
    node.hub.refuse = None
    node.run(assignment(1))
    assert node.executions == 2 and len(node.hub.delivered) == 1


def test_what_a_failed_start_left_is_removed(node: NodeTwin) -> None:
    honest = node.executor.start

    def half(spec: Any) -> Any:
        honest(spec)
        raise ExecutorError("the engine went away in the middle")

    node.executor.start = half  # type: ignore[method-assign]
    node.run(assignment())
    assert node.executor.find({}) == []
    assert [receipt.reason for receipt in node.hub.delivered] == [Reason.EXECUTOR]


def test_a_refusal_is_not_offered_for_a_week(node: NodeTwin) -> None:
    node.hub.refuse = coded("forbidden")
    node.run(assignment(path="other[0]"))
    assert node.outbox.waiting() == []


def test_a_mistake_while_delivering_keeps_the_result(node: NodeTwin) -> None:
    node.hub.refuse = RuntimeError("a bug")
    node.run(assignment())
    assert len(node.outbox.waiting()) == 1


# --- the end of the process -----------------------------------------------------------------------------------------
def test_a_run_that_outlives_the_process_is_neither_reported_nor_removed(tmp_path: Path) -> None:
    running = threading.Event()

    def long(sandbox: Sandbox) -> int:
        running.set()
        sandbox.killed.wait(20)
        return 0

    node = NodeTwin(tmp_path, long)
    given = assignment()
    honest = node.executor.wait

    def engine_gone(handle: Any, timeout_s: float) -> Any:
        assert running.wait(20)
        node.runner.abandoned.set()
        node.journal.close()
        node.audit.close()
        raise ExecutorError("closed")

    node.executor.wait = engine_gone  # type: ignore[method-assign]
    node.run(given)
    assert len(node.executor.find({})) == 1
    assert node.outbox.waiting() == [] and node.hub.delivered == []
    node.executor.wait = honest  # type: ignore[method-assign]
    node.open()
    (handle,) = node.executor.find({})
    node.executor.kill(handle)
    node.run(given)
    assert [receipt.reason for receipt in node.hub.delivered] == [Reason.EXIT_CODE]


# --- reasons --------------------------------------------------------------------------------------------------------
def test_an_order_that_is_none_is_called_damaged(node: NodeTwin) -> None:
    node.run(assignment(order=b"[]"))
    assert [(r.state, r.reason) for r in node.hub.delivered] == [("refused", Reason.DAMAGED)]
    assert node.executions == 0


def test_a_hub_that_does_not_give_the_order_is_tried_again(node: NodeTwin) -> None:
    def gone(*_: Any) -> None:
        raise coded("not_found")

    node.hub.fetch = gone  # type: ignore[method-assign]
    node.run(assignment())
    assert [r.reason for r in node.hub.delivered] == [Reason.UPSTREAM_UNAVAILABLE]


def test_sandboxes_are_named_after_what_was_signed(node: NodeTwin) -> None:
    """Numbers of the hub repeat after a restore; the name must not."""
    from vnode.runner import Story, _sandbox_name

    names = {
        _sandbox_name("n", Story(given, key_of(given))) for given in (assignment(1), assignment(1))
    }  # two jobs, one number
    assert len(names) == 2
