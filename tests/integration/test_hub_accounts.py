"""Logging in, staying logged in, and who may do what with users."""

import pytest
from sqlalchemy import event

from tests.hub_world import PASSWORD, Caller, HubWorld, error, ok


def test_the_first_administrator_is_made_with_the_code_and_the_code_works_once(world: HubWorld) -> None:
    body = {"code": world.first_code(), "username": "root", "password": PASSWORD}
    assert ok(world.nobody.post("/user/first", body), 201)["roles"] == ["Administrator"]
    error(world.nobody.post("/user/first", {**body, "username": "eve"}), 404, "not_found")
    second = {"code": world.first_code(), "username": "eve", "password": PASSWORD}
    error(world.nobody.post("/user/first", second), 409, "already_exists")


def test_the_code_of_the_first_administrator_expires(world: HubWorld) -> None:
    code = world.first_code()
    world.clock.advance(3601)
    body = {"code": code, "username": "root", "password": PASSWORD}
    error(world.nobody.post("/user/first", body), 404, "not_found")


def test_a_login_answers_a_pair_that_whoami_knows(world: HubWorld) -> None:
    home = world.organization("A")
    study = world.collaboration(home)
    ada = world.user(home, "Researcher")
    me = ok(ada.get("/whoami"))
    assert (me["kind"], me["id"], me["organization"]["id"]) == ("user", ada.id, home)
    assert [one["id"] for one in me["collaborations"]] == [study["id"]]
    assert "job:create:collaboration" in me["permissions"]
    assert ok(ada.get(me["self"]))["username"] == ada.name


@pytest.mark.parametrize("username", ["root", "nobody-of-this-name"])
def test_a_wrong_password_and_an_unknown_user_look_the_same(world: HubWorld, username: str) -> None:
    world.administrator()
    answer = world.nobody.post("/token/user", {"username": username, "password": "wrong"})
    assert error(answer, 401, "login_failed")["message"] == "User name or password (or API key) is wrong."


def test_wrong_passwords_lock_the_user_for_longer_and_longer(world: HubWorld) -> None:
    world.administrator()
    wrong = {"username": "root", "password": "wrong"}
    right = {"username": "root", "password": PASSWORD}
    for _ in range(5):
        error(world.nobody.post("/token/user", wrong), 401, "login_failed")
    answer = world.nobody.post("/token/user", right)
    assert error(answer, 429, "rate_limited")["fields"]["retry_after_s"] == 3
    assert answer.headers["Retry-After"] == "3"
    world.clock.advance(3)
    error(world.nobody.post("/token/user", wrong), 401, "login_failed")
    assert error(world.nobody.post("/token/user", right), 429, "rate_limited")["fields"]["retry_after_s"] == 5
    world.clock.advance(5)
    ok(world.nobody.post("/token/user", right))
    error(world.nobody.post("/token/user", wrong), 401, "login_failed")
    ok(world.nobody.post("/token/user", right))


def test_an_access_token_ends(world: HubWorld) -> None:
    admin = world.administrator()
    world.clock.advance(world.settings.access_token_s - 1)
    ok(admin.get("/whoami"))
    world.clock.advance(1)
    error(admin.get("/whoami"), 401, "not_authenticated")


def test_refreshing_rotates_and_presenting_a_token_twice_ends_the_whole_login(world: HubWorld) -> None:
    first = world.administrator()
    pair = ok(world.nobody.post("/token/refresh", {"refresh_token": first.pair["refresh_token"]}))
    second = Caller(world.app, "root", pair)
    ok(second.get("/whoami"))
    error(first.get("/whoami"), 401, "not_authenticated")
    again = world.nobody.post("/token/refresh", {"refresh_token": first.pair["refresh_token"]})
    error(again, 401, "not_authenticated")
    error(second.get("/whoami"), 401, "not_authenticated")
    stolen = world.nobody.post("/token/refresh", {"refresh_token": pair["refresh_token"]})
    error(stolen, 401, "not_authenticated")


def test_a_refresh_token_opens_nothing_and_an_access_token_refreshes_nothing(world: HubWorld) -> None:
    admin = world.administrator()
    swapped = Caller(world.app, "root", {**admin.pair, "access_token": admin.pair["refresh_token"]})
    error(swapped.get("/whoami"), 401, "not_authenticated")
    error(world.nobody.post("/token/refresh", {"refresh_token": admin.pair["access_token"]}), 401, "not_authenticated")
    ok(admin.get("/whoami"))


def test_logging_out_ends_this_login_and_no_other(world: HubWorld) -> None:
    here, there = world.administrator(), world.login("root")
    ok(here.delete("/token"), 204)
    error(here.get("/whoami"), 401, "not_authenticated")
    error(world.nobody.post("/token/refresh", {"refresh_token": here.pair["refresh_token"]}), 401, "not_authenticated")
    ok(there.get("/whoami"))


def test_tokens_and_keys_are_not_in_the_database(world: HubWorld) -> None:
    home = world.organization()
    node = world.node(home)
    secrets = [world.administrator().pair["access_token"], node.pair["refresh_token"], node.pair["api_key"], PASSWORD]
    with world.database.engine.connect() as connection:
        from vserver.db import Base

        rows = [str(row) for table in Base.metadata.sorted_tables for row in connection.execute(table.select())]
    assert rows
    assert not [secret for secret in secrets for row in rows if secret in row]


def test_knowing_the_caller_takes_one_statement(world: HubWorld) -> None:
    admin = world.administrator()
    statements: list[str] = []
    event.listen(world.database.engine, "before_cursor_execute", lambda *a: statements.append(a[2]))
    ok(admin.get("/whoami"))
    assert len([one for one in statements if not one.startswith("BEGIN")]) == 1, statements


def test_switching_a_user_off_ends_every_token(world: HubWorld) -> None:
    ada = world.user(world.organization(), "Researcher")
    ok(world.administrator().patch(f"/user/{ada.id}", {"enabled": False}))
    error(ada.get("/whoami"), 401, "not_authenticated")
    error(world.nobody.post("/token/user", {"username": ada.name, "password": PASSWORD}), 401, "login_failed")


def test_a_new_password_needs_the_current_one_and_ends_other_logins(world: HubWorld) -> None:
    ada = world.user(world.organization(), "Researcher")
    other = world.login(ada.name)
    path, new = f"/user/{ada.id}/password", "a whole new password"
    error(ada.put(path, {"new": new}), 401, "login_failed")
    error(ada.put(path, {"current": "wrong", "new": new}), 401, "login_failed")
    ok(ada.put(path, {"current": PASSWORD, "new": new}), 204)
    ok(ada.get("/whoami"))
    error(other.get("/whoami"), 401, "not_authenticated")
    world.login(ada.name, new)


def test_nobody_hands_out_more_than_they_hold(world: HubWorld) -> None:
    home = world.organization()
    boss = world.user(home, "Organization admin")
    body = {"username": "mole", "password": PASSWORD, "organization_id": home, "roles": ["Administrator"]}
    denied = error(boss.post("/user", body), 403, "forbidden")
    assert denied["fields"]["permission"].endswith(":global")
    made = ok(boss.post("/user", {**body, "roles": ["Viewer"]}), 201)
    error(boss.patch(f"/user/{made['id']}", {"roles": ["Administrator"]}), 403, "forbidden")
    elsewhere = world.organization()
    denied = error(boss.post("/user", {**body, "organization_id": elsewhere, "roles": []}), 403, "forbidden")
    assert denied["fields"] == {"permission": "user:create:global"}


def test_somebody_above_is_out_of_reach(world: HubWorld) -> None:
    home = world.organization()
    boss, chief = world.user(home, "Organization admin"), world.user(home, "Administrator")
    error(boss.patch(f"/user/{chief.id}", {"enabled": False}), 403, "forbidden")
    error(boss.delete(f"/user/{chief.id}"), 403, "forbidden")
    error(boss.put(f"/user/{chief.id}/password", {"new": "a whole new password"}), 403, "forbidden")


def test_the_last_administrator_stays(world: HubWorld) -> None:
    admin = world.administrator()
    error(admin.delete(f"/user/{admin.id}"), 409, "last_administrator")
    error(admin.patch(f"/user/{admin.id}", {"roles": []}), 409, "last_administrator")
    error(admin.patch(f"/user/{admin.id}", {"enabled": False}), 409, "last_administrator")
    assert ok(admin.get(f"/user/{admin.id}"))["roles"] == ["Administrator"]
    other = world.user(None, "Administrator")
    ok(other.delete(f"/user/{admin.id}"), 204)


def test_users_see_themselves_or_their_organization_or_all(world: HubWorld) -> None:
    a, b = world.organization(), world.organization()
    ada, boss, stranger = world.user(a, "Researcher"), world.user(a, "Organization admin"), world.user(b, "Viewer")
    assert [one["id"] for one in ok(ada.get("/user"))["data"]] == [ada.id]
    assert {one["id"] for one in ok(boss.get("/user"))["data"]} == {ada.id, boss.id}
    assert ok(world.administrator().get("/user"))["total"] == 4
    assert error(ada.get(f"/user/{stranger.id}"), 403, "forbidden")["fields"] == {"permission": "user:view:global"}
    assert error(ada.get(f"/user/{boss.id}"), 403, "forbidden")["fields"] == {"permission": "user:view:organization"}


def test_roles_say_what_they_permit(world: HubWorld) -> None:
    roles = {one["name"]: one for one in ok(world.administrator().get("/role"))["data"]}
    assert set(roles) == {"Administrator", "Organization admin", "Collaboration admin", "Researcher", "Viewer"}
    assert "user:create:organization" in roles["Organization admin"]["permissions"]
    assert ok(world.administrator().get(roles["Viewer"]["self"]))["name"] == "Viewer"
