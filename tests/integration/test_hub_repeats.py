"""Every call may happen twice: Idempotency-Key, ETag and If-Match, rate limits, pages."""

from tests.hub_world import HubWorld, error, ok
from vserver.config import Limits


def test_a_repeated_call_gets_the_first_answer_and_creates_nothing(world: HubWorld) -> None:
    admin, key = world.administrator(), {"Idempotency-Key": "abc"}
    first = admin.post("/organization", {"name": "A"}, headers=key)
    again = admin.post("/organization", {"name": "A"}, headers=key)
    assert ok(first, 201) == ok(again, 201)
    assert again.headers["Idempotent-Replay"] == "true"
    assert again.headers["Location"] == first.headers["Location"] == first.json["self"]
    assert ok(admin.get("/organization"))["total"] == 1


def test_a_key_belongs_to_one_request_and_one_caller(world: HubWorld) -> None:
    admin, key = world.administrator(), {"Idempotency-Key": "abc"}
    ok(admin.post("/organization", {"name": "A"}, headers=key), 201)
    error(admin.post("/organization", {"name": "B"}, headers=key), 409, "idempotency_mismatch")
    error(admin.post("/collaboration", {"name": "B"}, headers=key), 409, "idempotency_mismatch")
    other = world.user(None, "Administrator")
    ok(other.post("/organization", {"name": "B"}, headers=key), 201)


def test_a_refused_call_uses_up_no_key(world: HubWorld) -> None:
    admin, key = world.administrator(), {"Idempotency-Key": "abc"}
    error(admin.post("/organization", {"name": ""}, headers=key), 400, "bad_message")
    ok(admin.post("/organization", {"name": "A"}, headers=key), 201)


def test_a_key_must_be_printable(world: HubWorld) -> None:
    answer = world.administrator().post("/organization", {"name": "A"}, headers={"Idempotency-Key": "x" * 129})
    assert "Idempotency-Key" in error(answer, 400, "bad_request")["fields"]


def test_a_repeated_registration_does_not_show_the_api_key_again(world: HubWorld) -> None:
    home, admin, key = world.organization(), world.administrator(), {"Idempotency-Key": "abc"}
    first = ok(admin.post("/node", {"name": "n", "organization_id": home}, headers=key), 201)
    again = ok(admin.post("/node", {"name": "n", "organization_id": home}, headers=key), 201)
    assert first["api_key"].startswith("vestal-node-")
    assert again == {**first, "api_key": None}


def test_a_user_is_made_once_by_a_repeated_call(world: HubWorld) -> None:
    admin, key = world.administrator(), {"Idempotency-Key": "abc"}
    body = {"username": "ada", "password": "correct horse battery"}
    assert ok(admin.post("/user", body, headers=key), 201) == ok(admin.post("/user", body, headers=key), 201)


def test_old_answers_are_forgotten(world: HubWorld) -> None:
    admin, key = world.administrator(), {"Idempotency-Key": "abc"}
    ok(admin.post("/organization", {"name": "A"}, headers=key), 201)
    world.clock.advance(25 * 3600)
    for chore in world.hub.chores:
        chore.do(world.hub)
    again = world.login("root")
    error(again.post("/organization", {"name": "A"}, headers=key), 409, "already_exists")


def test_an_edit_of_what_has_changed_is_refused(world: HubWorld) -> None:
    home, admin = world.organization(), world.administrator()
    path = f"/organization/{home}"
    seen = admin.get(path).headers["ETag"]
    changed = admin.patch(path, {"name": "first"}, headers={"If-Match": seen})
    assert ok(changed)["name"] == "first"
    assert changed.headers["ETag"] == admin.get(path).headers["ETag"] != seen
    late = error(admin.patch(path, {"name": "second"}, headers={"If-Match": seen}), 412, "precondition_failed")
    assert late["fields"]["etag"] == changed.headers["ETag"]
    ok(admin.patch(path, {"name": "second"}, headers={"If-Match": "*"}))


def test_what_has_not_changed_is_not_sent_again(world: HubWorld) -> None:
    home, admin = world.organization(), world.administrator()
    seen = admin.get(f"/organization/{home}").headers["ETag"]
    answer = admin.get(f"/organization/{home}", headers={"If-None-Match": seen})
    assert (answer.status_code, answer.data, answer.headers["ETag"]) == (304, b"", seen)


def test_pages_walk_forth_and_back_while_things_come_and_go(world: HubWorld) -> None:
    admin = world.administrator()
    ids = [world.organization(f"o{number}") for number in range(7)]
    first = ok(admin.get("/organization?limit=3&sort=-name"))
    assert ([one["name"] for one in first["data"]], first["total"]) == (["o6", "o5", "o4"], 7)
    assert first["links"]["prev"] is None
    ok(admin.delete(f"/organization/{ids[4]}"), 204)
    second = ok(admin.get(first["links"]["next"]))
    assert [one["name"] for one in second["data"]] == ["o3", "o2", "o1"]
    third = ok(admin.get(second["links"]["next"]))
    assert ([one["name"] for one in third["data"]], third["links"]["next"]) == (["o0"], None)
    back = ok(admin.get(third["links"]["prev"]))
    assert back["data"] == second["data"]
    assert ok(admin.get(back["links"]["first"]))["data"][0]["name"] == "o6"
    assert ok(admin.get(second["links"]["self"]))["data"] == second["data"]


def test_fields_choose_what_is_sent(world: HubWorld) -> None:
    world.organization("A")
    assert set(ok(world.administrator().get("/organization?fields=name"))["data"][0]) == {"id", "self", "name"}


def test_too_many_logins_have_to_wait(tmp_path) -> None:
    world = HubWorld(tmp_path, limits=Limits(login_burst=3, logins_per_s=0.5))
    body = {"username": "ada", "password": "wrong"}
    for _ in range(3):
        error(world.nobody.post("/token/user", body), 401, "login_failed")
    answer = world.nobody.post("/token/user", body)
    assert error(answer, 429, "rate_limited")["fields"] == {"retry_after_s": 2}
    world.clock.advance(2)
    error(world.nobody.post("/token/user", body), 401, "login_failed")
    world.close()


def test_too_many_writes_have_to_wait_and_reads_do_not(tmp_path) -> None:
    world = HubWorld(tmp_path, limits=Limits(write_burst=2, writes_per_s=1))
    admin = world.administrator()
    for number in range(2):
        ok(admin.post("/organization", {"name": f"o{number}"}), 201)
    error(admin.post("/organization", {"name": "o3"}), 429, "rate_limited")
    assert ok(admin.get("/organization"))["total"] == 2
    world.close()
