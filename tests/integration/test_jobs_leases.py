"""Who holds a run, and what happens when an answer, a node or the hub is lost."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.federation import Edge, Federation, Refused, Step
from vprotocol.reasons import Reason
from vruntime.clock import ManualClock, SystemClock
from vserver.jobs.model import Lease, Run


@pytest.fixture
def live(tmp_path: Path, database_url: str | None) -> Iterator[Federation]:
    """With the machine's own clock, for threads that really wait."""
    made = Federation(tmp_path, SystemClock(), database_url)
    yield made
    made.hub.signals.close()
    made.hub.database.dispose()


# --- lost answers ----------------------------------------------------------------------------------------------------
def test_a_lost_answer_is_given_again_with_the_same_token_and_attempt(federation: Federation) -> None:
    federation.submit(federation.simple())
    node = federation.node()
    (lost,) = node.claim()
    (again,) = node.claim()
    assert (again["run"], again["attempt"], again["lease_token"]) == (
        lost["run"],
        lost["attempt"],
        lost["lease_token"],
    )
    assert node.claim(leases=[again]) == []
    assert node.claim(want=0) == [again]  # also when nothing new is wanted


def test_a_new_process_of_the_node_gets_what_the_old_one_held(federation: Federation) -> None:
    federation.submit(federation.simple())
    (held,) = federation.node(session="first-process").claim()
    newer = federation.node(session="second-process")
    (again,) = newer.claim()
    assert (again["run"], again["attempt"], again["lease_token"]) == (held["run"], 1, held["lease_token"])
    assert newer.finish(again)["superseded"] is False


def test_a_wrong_token_does_not_renew_a_lease(federation: Federation) -> None:
    federation.submit(federation.simple())
    node = federation.node()
    (held,) = node.claim()
    (again,) = node.claim(leases=[{**held, "lease_token": "vestal-lease-guessed"}])
    assert again["lease_token"] == held["lease_token"]


def test_the_database_knows_tokens_only_by_their_hash(federation: Federation) -> None:
    federation.submit(federation.simple())
    (held,) = federation.node().claim()
    with federation.hub.database.read() as session:
        (lease,) = session.query(Lease).all()
    assert held["lease_token"] not in vars(lease).values()


# --- expiry ----------------------------------------------------------------------------------------------------------
def test_a_lease_that_is_renewed_does_not_expire(federation: Federation, clock: ManualClock) -> None:
    federation.submit(federation.simple())
    node = federation.node()
    (held,) = node.claim()
    for _ in range(5):
        clock.advance(40)
        assert node.claim(leases=[held]) == []
    assert federation.person().get(f"/run/{held['run']}")["attempt"] == 1


def test_an_expired_lease_is_the_next_attempt_and_the_first_result_wins(
    federation: Federation, clock: ManualClock
) -> None:
    federation.submit(federation.simple())
    node = federation.node()
    (first,) = node.claim()
    clock.advance(61)
    assert federation.person().get(f"/run/{first['run']}")["attempt"] == 2
    clock.advance(2)
    (second,) = node.claim()
    assert (second["run"], second["attempt"]) == (first["run"], 2)
    late = node.result(first, content=b"late but first")
    path = f"/run/{first['run']}/result"
    assert node.post(path, late) == {"id": first["run"], "state": "completed", "superseded": False}
    run = federation.person().get(f"/run/{first['run']}")
    assert (run["attempt"], run["state"]) == (1, "completed")
    message = node.result(second, content=b"second")
    assert node.post(path, message)["superseded"] is True
    assert node.post(path, message)["superseded"] is True  # answered like the first time
    assert node.post(path, late)["superseded"] is False
    assert federation.person().get(f"/run/{first['run']}")["outputs"] == run["outputs"]
    assert node.sync([second])["cancel"] == [second["run"]]


def test_an_old_attempts_transient_failure_does_not_end_the_new_one(federation: Federation, clock: ManualClock) -> None:
    federation.submit(federation.simple())
    node = federation.node()
    (first,) = node.claim()
    clock.advance(63)
    federation.person().get(f"/run/{first['run']}")
    clock.advance(2)
    (second,) = node.claim()
    answer = node.finish(first, state="failed", reason=Reason.UPSTREAM_UNAVAILABLE)
    assert answer == {"id": first["run"], "state": "leased", "superseded": True}
    assert node.finish(second)["superseded"] is False


def test_a_node_at_work_on_an_old_attempt_is_not_given_the_next_one(federation: Federation, clock: ManualClock) -> None:
    federation.submit(federation.simple())
    node = federation.node()
    (first,) = node.claim()
    clock.advance(70)
    assert node.sync([first]) == {**node.sync([first]), "runs": [], "cancel": []}
    assert node.finish(first)["superseded"] is False


def test_a_run_that_is_lost_on_every_attempt_fails(federation: Federation, clock: ManualClock) -> None:
    job = federation.submit(federation.simple())
    node = federation.node()
    for attempt in (1, 2, 3):
        (held,) = node.claim(wait_s=20)
        assert held["attempt"] == attempt
        clock.advance(61)
        federation.person().get("/job/" + job["id"])
    found = federation.person().get("/job/" + job["id"], include="runs")
    assert found["state"] == "failed" and found["runs"][0]["reason"] == "lost"
    kinds = [event["kind"] for event in federation.person().get("/event")["data"]]
    assert kinds.count("run.lost") == 3


# --- two nodes, two syncs --------------------------------------------------------------------------------------------
def test_all_runs_of_a_job_at_an_organization_go_to_one_node(federation: Federation, clock: ManualClock) -> None:
    steps = [Step("a", [0], final=("output",)), Step("b", [0], final=("output",))]
    federation.submit(federation.draft(steps))
    first = federation.node(0)
    second = federation.node(0, node_id=federation.another_node(0))
    (one,) = first.claim(want=1)
    assert second.claim() == []
    (two,) = first.claim(leases=[one])
    assert {one["path"], two["path"]} == {"a[0]", "b[0]"}


def test_a_node_that_is_gone_for_good_loses_its_jobs_to_another(federation: Federation, clock: ManualClock) -> None:
    federation.submit(federation.simple())
    gone, other = federation.node(0), federation.node(0, node_id=federation.another_node(0))
    (held,) = gone.claim()
    clock.advance(70)
    assert other.claim() == []  # offered first to the node that last held it
    clock.advance(70)
    assert other.claim() == []
    clock.advance(60)
    (again,) = other.claim()
    assert (again["run"], again["attempt"]) == (held["run"], 2)


def test_of_two_racing_nodes_exactly_one_gets_each_run(live: Federation) -> None:
    for _ in range(25):
        steps = [Step("a", [0], final=("output",))]
        live.submit(live.draft(steps))
    for _ in range(25):
        live.submit(live.draft([Step(name, [0], final=("output",)) for name in ("a", "b", "c")]))
    nodes = [live.node(0), live.node(0, node_id=live.another_node(0))]
    taken: list[list[dict]] = [[], []]
    start = threading.Barrier(2)

    def work(number: int) -> None:
        start.wait(10)
        empty = 0
        while empty < 3:
            found = nodes[number].claim(leases=taken[number], want=3)
            empty = 0 if found else empty + 1
            taken[number] += found

    run_all(work, 2)
    runs = [assignment["run"] for mine in taken for assignment in mine]
    assert len(runs) == len(set(runs)) == 100
    jobs = [{assignment["job"] for assignment in mine} for mine in taken]
    assert not jobs[0] & jobs[1]
    assert all(mine for mine in taken)


def test_a_newer_sync_ends_the_older_one_which_claims_nothing(live: Federation) -> None:
    node, answers = live.node(), []
    older = threading.Thread(target=lambda: answers.append(node.sync(wait_s=20)))
    older.start()
    until_held(live, 1)
    newer = live.node(0, session=node.session_name)
    newer.sync(wait_s=0)
    older.join(10)
    assert answers[0]["ended_by_newer"] is True and answers[0]["runs"] == []


def test_a_held_sync_gets_a_job_at_once(live: Federation) -> None:
    node, answers = live.node(), []
    waiting = threading.Thread(target=lambda: answers.append(node.sync(wait_s=20)))
    waiting.start()
    until_held(live, 1)
    draft = live.simple()
    began = SystemClock().monotonic()
    live.submit(draft)
    waiting.join(10)
    assert SystemClock().monotonic() - began < 2.0
    assert [assignment["job"] for assignment in answers[0]["runs"]] == [draft.plan.plan.job]


def test_a_held_sync_hears_of_a_cancellation(live: Federation) -> None:
    job = live.submit(live.simple())
    node, answers = live.node(), []
    held = node.claim()
    waiting = threading.Thread(target=lambda: answers.append(node.sync(held, wait_s=20)))
    waiting.start()
    until_held(live, 1)
    live.person().call("PATCH", f"/job/{job['id']}", {"cancel": True})
    waiting.join(10)
    assert answers[0]["cancel"] == [held[0]["run"]]


def test_while_syncs_are_held_no_database_connection_is(live: Federation) -> None:
    threads = [threading.Thread(target=live.node(number).sync, kwargs={"wait_s": 20}) for number in range(3)]
    for thread in threads:
        thread.start()
    until_held(live, 3)
    assert live.hub.database.engine.pool.checkedout() == 0
    live.hub.signals.close()
    for thread in threads:
        thread.join(10)


def test_two_results_at_once_end_the_run_once_and_unblock_once(live: Federation) -> None:
    steps = [Step("part", [0, 1, 2]), Step("finish", [0], final=("output",))]
    for _ in range(5):
        live.submit(live.draft(steps, [Edge("part", "finish")]))
    work = [[(node, a) for a in node.claim()] for node in (live.node(0), live.node(1), live.node(2))]
    start = threading.Barrier(3)

    def finish(number: int) -> None:
        start.wait(10)
        for node, assignment in work[number]:
            node.finish(assignment)

    run_all(finish, 3)
    last = live.node(0).claim()
    assert len(last) == 5 and all(len(assignment["inputs"]) == 3 for assignment in last)


# --- restart ---------------------------------------------------------------------------------------------------------
def test_after_a_restart_leases_are_fresh_and_tokens_hold(federation: Federation, clock: ManualClock) -> None:
    federation.submit(federation.simple())
    (held,) = federation.node().claim()
    federation.hub.database.dispose()
    clock.advance(600)  # nobody could renew
    federation.open()
    node = federation.node()
    clock.advance(50)
    (again,) = node.claim()
    assert again["lease_token"] == held["lease_token"] and again["attempt"] == 1
    with federation.hub.database.read() as session:
        assert session.get(Run, held["run"]).lease_expires_at == clock.now() + 60
    assert node.finish(held)["superseded"] is False


def test_what_was_told_is_not_told_again_at_once(federation: Federation, clock: ManualClock) -> None:
    job = federation.submit(federation.simple())
    node = federation.node()
    held = node.claim()
    federation.person().call("PATCH", f"/job/{job['id']}", {"cancel": True})
    before = clock.now()
    assert node.sync(held, wait_s=10)["cancel"] and clock.now() == before
    assert node.sync(held, wait_s=10)["cancel"]
    assert clock.now() == before + 10  # the same again was held, and is still in the answer


def test_progress_is_shown(federation: Federation) -> None:
    federation.submit(federation.simple())
    node = federation.node()
    held = node.claim()
    node.sync(held, progress={held[0]["run"]: 40})
    assert federation.person().get(f"/run/{held[0]['run']}")["progress"] == 40


def test_start_of_an_attempt_that_was_lost_is_refused(federation: Federation, clock: ManualClock) -> None:
    federation.submit(federation.simple())
    node = federation.node()
    (held,) = node.claim()
    clock.advance(61)
    federation.person().get(f"/run/{held['run']}")
    with pytest.raises(Refused) as refused:
        node.start(held)
    assert (refused.value.status, refused.value.code) == (409, "lease_invalid")


# --- threads ---------------------------------------------------------------------------------------------------------
def run_all(work, count: int) -> None:
    faults: list[BaseException] = []

    def guarded(number: int) -> None:
        try:
            work(number)
        except BaseException as fault:
            faults.append(fault)

    threads = [threading.Thread(target=guarded, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not faults, faults


def until_held(federation: Federation, count: int) -> None:
    """Until so many requests are held, looked at every few milliseconds, ten seconds at most."""
    clock, turn = SystemClock(), threading.Event()
    deadline = clock.monotonic() + 10
    while federation.hub.signals.listeners() < count or federation.hub.database.engine.pool.checkedout():
        assert clock.monotonic() < deadline, "nobody is held"
        clock.wait(turn, 0.005)
