"""`peers` against a real HTTP server that answers as the container contract says."""

import base64
import json
import threading

import pytest

from algorithm_base import AlgorithmError, Organization, Peers, SubtaskFailed, method
from algorithm_base.environment import ProxyAddress
from algorithm_base.errors import ContractError, OrderError
from algorithm_base.peers import SubtaskTimeout
from algorithm_base.proxy_door import Patience, ProxyDoor, ProxyHttp, ProxyRefused, ProxyUnreachable, send_progress

from .pretend_proxy import SUBJECT, PretendProxy, pretend_proxy, token


@pytest.fixture
def proxy(tmp_path):
    with pretend_proxy(tmp_path) as proxy:
        yield proxy


def peers_of(proxy: PretendProxy, pauses: list[float] | None = None, **patience: float) -> Peers:
    pauses = [] if pauses is None else pauses
    http = ProxyHttp(proxy.address, Patience(**patience), pause=pauses.append)
    return Peers(ProxyDoor(http, proxy.address.token_file), pause=pauses.append)


@method
def some_partial(column: str) -> str:
    return column


def test_organizations_are_asked_for_with_the_collaboration_of_the_token(proxy):
    assert peers_of(proxy).organizations() == [Organization(n, f"hospital-{n}") for n in (1, 2, 3)]
    assert proxy.requests[-1].query == {"collaboration_id": "5"}
    assert proxy.requests[-1].headers["Authorization"] == f"Bearer {token()}"


def test_own_organization_comes_from_the_token(proxy):
    assert peers_of(proxy).organization_id == 2


def test_a_call_sends_the_contracts_task_and_returns_results_in_the_order_asked(proxy):
    proxy.answer = lambda organization_id, order: json.dumps([organization_id, order]).encode()
    results = peers_of(proxy).call("partial", 4, organizations=[3, 1], name="sums", column="age")
    order = {"method": "partial", "args": [4], "kwargs": {"column": "age"}}
    assert results == [[3, order], [1, order]]
    (task,) = proxy.tasks.values()
    text = base64.b64encode(json.dumps(order, separators=(",", ":")).encode()).decode()
    assert task == {
        "name": "sums",
        "description": "",
        "image": SUBJECT["image"],
        "collaboration_id": 5,
        "organizations": [{"id": 3, "input": text}, {"id": 1, "input": text}],
        "databases": [{"label": "default"}],
    }


def test_everybody_is_asked_if_nobody_is_named(proxy):
    assert len(peers_of(proxy).call("partial")) == 3


def test_a_marked_function_can_stand_for_its_name(proxy):
    assert peers_of(proxy).call(some_partial, "age", organizations=[1])[0]["method"] == "some_partial"


def test_a_function_that_is_not_marked_is_refused(proxy):
    with pytest.raises(OrderError, match="not marked with @method"):
        peers_of(proxy).call(token)


def test_numpy_arguments_travel_as_json(proxy):
    np = pytest.importorskip("numpy")
    (order,) = peers_of(proxy).call("partial", organizations=[1], beta=np.array([0.1, 2.0]), k=np.int64(3))
    assert order["kwargs"] == {"beta": [0.1, 2.0], "k": 3}


def test_the_data_of_a_subtask_can_be_chosen(proxy):
    peers_of(proxy).call("partial", organizations=[1], data=["scans", "visits"])
    assert next(iter(proxy.tasks.values()))["databases"] == [{"label": "scans"}, {"label": "visits"}]


def test_results_that_do_not_name_their_organization_are_mapped_through_their_runs(proxy):
    proxy.results_name_their_organization = False
    proxy.answer = lambda organization_id, _: str(organization_id).encode()
    assert peers_of(proxy).call("partial", organizations=[2, 3, 1]) == [2, 3, 1]
    assert any(request.path == "/api/run" for request in proxy.requests)


def test_bytes_that_are_not_json_stay_bytes(proxy):
    proxy.answer = lambda *_: b"\xff\x00PAR1"
    assert peers_of(proxy).call("partial", organizations=[1]) == [b"\xff\x00PAR1"]


def test_waits_until_the_status_is_final_and_slows_down_if_answers_are_not_held(proxy):
    proxy.statuses = ["pending", "initializing", "active", "active", "completed"]
    pauses: list[float] = []
    peers_of(proxy, pauses).call("partial", organizations=[1])
    assert len(pauses) == 4
    assert pauses == sorted(pauses)


def test_a_failed_organization_is_named(proxy):
    proxy.statuses = ["active", "failed"]
    proxy.answer = lambda organization_id, _: None if organization_id == 3 else b"1"
    with pytest.raises(SubtaskFailed, match="ended as 'failed': organization 3 gave no result"):
        peers_of(proxy).call("partial", organizations=[1, 3])


def test_the_lower_level_gives_the_answers_of_those_who_did_not_fail(proxy):
    proxy.statuses = ["failed"]
    proxy.answer = lambda organization_id, _: None if organization_id == 3 else b'{"n": 4}'
    peers = peers_of(proxy)
    subtask = peers.start("partial", kwargs={"name": "a keyword that call() keeps for itself"}, organizations=[3, 1])
    assert peers.wait(subtask) == "failed"
    failed, good = peers.results(subtask)
    assert good.value == {"n": 4}
    assert failed.content is None
    with pytest.raises(SubtaskFailed, match="organization 3"):
        _ = failed.value


def test_a_wait_ends_at_its_deadline(proxy):
    proxy.statuses = ["active"]
    times = iter(range(0, 10_000, 10))
    http = ProxyHttp(proxy.address)
    peers = Peers(ProxyDoor(http, proxy.address.token_file), clock=lambda: next(times), pause=lambda _: None)
    with pytest.raises(SubtaskTimeout, match="within 100 s"):
        peers.call("partial", organizations=[1], timeout_s=100)


@pytest.mark.parametrize("organizations", [[], [1, 1]])
def test_nobody_or_one_twice_is_refused_before_anything_is_sent(proxy, organizations):
    with pytest.raises(OrderError, match="at least one organization, and each only once"):
        peers_of(proxy).call("partial", organizations=organizations)
    assert proxy.requests == []


def test_a_refusal_is_shown_with_the_proxys_own_words(proxy):
    proxy.interrupt = [(403, {"msg": "the plan does not let this image be delegated"})]
    with pytest.raises(ProxyRefused, match=r"POST /task: the plan does not let this .* \(HTTP 403\)") as caught:
        peers_of(proxy).start("partial", organizations=[1])
    assert caught.value.status == 403
    assert isinstance(caught.value, AlgorithmError)
    assert len(proxy.requests) == 1


def test_a_refusal_without_a_readable_body_is_still_a_clear_error(proxy):
    proxy.interrupt = [(400, b"<html>")]
    with pytest.raises(ProxyRefused, match="no reason was given"):
        peers_of(proxy).organizations()


def test_a_repeated_post_carries_the_same_key_and_makes_one_task(proxy):
    proxy.interrupt = ["drop after work", (503, {"msg": "starting"}), "drop"]
    subtask = peers_of(proxy).start("partial", organizations=[1])
    posts = [request for request in proxy.requests if request.method == "POST"]
    assert len(posts) == 4
    assert len({post.headers["Idempotency-Key"] for post in posts}) == 1
    assert list(proxy.tasks) == [subtask.id]


def test_two_questions_have_two_keys(proxy):
    peers = peers_of(proxy)
    assert peers.start("partial", organizations=[1]).id != peers.start("partial", organizations=[1]).id


def test_a_get_is_repeated_after_a_lost_connection(proxy):
    proxy.interrupt = ["drop", (502, {"msg": "?"})]
    assert len(peers_of(proxy).organizations()) == 3


def test_an_unreachable_proxy_is_given_up_in_the_end(tmp_path):
    with pretend_proxy(tmp_path) as proxy:
        pass  # stopped again: its port refuses connections
    with pytest.raises(ProxyUnreachable, match="cannot be reached"):
        peers_of(proxy, unreachable_s=0).organizations()


def test_a_status_that_is_held_longer_than_a_request_may_take_is_asked_for_again(proxy):
    release = threading.Event()
    reply = proxy.reply

    def held(request):
        if request.path.endswith("/status") and not release.is_set():
            release.wait(20)
        return reply(request)

    proxy.reply = held
    door = ProxyDoor(ProxyHttp(proxy.address), proxy.address.token_file)
    task_id = door.create(b"{}", [1], "held", None, None)
    assert door.status(task_id, 0.0) == "active"  # one second is the shortest wait
    release.set()
    assert door.status(task_id, 5.0) == "completed"


def test_an_answer_that_is_not_json_is_a_clear_error(proxy):
    proxy.interrupt = [(200, b"<html>")]
    with pytest.raises(ContractError, match="not JSON"):
        peers_of(proxy).organizations()


def test_a_part_of_a_list_is_never_taken_for_the_whole(proxy):
    proxy.interrupt = [(200, {"data": [{"id": 1}], "links": {"next": "/organization?page=2"}})]
    with pytest.raises(ContractError, match="only a part of the list of organizations"):
        peers_of(proxy).organizations()


@pytest.mark.parametrize("text", ["", "a.b.c", "only-one-part", token({"organization_id": 2})])
def test_a_token_that_is_no_nodes_is_refused(tmp_path, text):
    file = tmp_path / "token"
    file.write_text(text)
    with pytest.raises(ContractError, match="TOKEN_FILE"):
        ProxyDoor(ProxyHttp(ProxyAddress("http://127.0.0.1:1", file)), file)


def test_progress_is_put_with_the_token(proxy):
    send_progress(ProxyHttp(proxy.address), 40)
    assert proxy.percents == [40]
    assert proxy.requests[-1].headers["Authorization"].startswith("Bearer ")


def test_proxies_of_the_environment_are_not_used(proxy, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert len(peers_of(proxy, unreachable_s=0).organizations()) == 3
