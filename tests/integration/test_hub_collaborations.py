"""Collaborations and their members."""

import secrets

from tests.hub_world import HubWorld, error, ok


def test_a_collaboration_keeps_the_name_its_creator_chose(world: HubWorld) -> None:
    a, b = world.organization(), world.organization()
    name = secrets.token_hex(16)
    body = {"name": name, "display_name": "Stroke", "organizations": [b, a, a]}
    made = ok(world.administrator().post("/collaboration", body), 201)
    assert (made["name"], made["encrypted"], made["organization_ids"]) == (name, True, [a, b])
    assert ok(world.administrator().get(f"/collaboration?name={name}"))["data"] == [made]
    error(world.administrator().post("/collaboration", {**body, "display_name": "Other"}), 409, "already_exists")
    other = {**body, "name": secrets.token_hex(16)}
    error(world.administrator().post("/collaboration", other), 409, "already_exists")


def test_an_unknown_member_stops_it_all(world: HubWorld) -> None:
    body = {"name": secrets.token_hex(16), "display_name": "Stroke", "organizations": [77]}
    error(world.administrator().post("/collaboration", body), 404, "not_found")
    assert ok(world.administrator().get("/collaboration"))["total"] == 0


def test_members_come_and_go_and_doing_it_twice_changes_nothing(world: HubWorld) -> None:
    a, b = world.organization(), world.organization()
    study, admin = world.collaboration(a), world.administrator()
    place = f"{study['self']}/organization/{b}"
    bert = world.user(b, "Researcher")
    error(bert.get(study["self"]), 403, "forbidden")
    since = ok(admin.put(place))["since"]
    world.clock.advance(5)
    assert ok(admin.put(place))["since"] == since
    assert ok(bert.get(study["self"]))["organization_ids"] == [a, b]
    ok(admin.delete(place), 204)
    ok(admin.delete(place), 204)
    error(admin.get(place), 404, "not_found")
    error(bert.get(study["self"]), 403, "forbidden")


def test_a_collaboration_admin_edits_its_own_only(world: HubWorld) -> None:
    a, b = world.organization(), world.organization()
    mine, other = world.collaboration(a), world.collaboration(b)
    boss = world.user(a, "Collaboration admin")
    assert ok(boss.patch(mine["self"], {"display_name": "Renamed"}))["display_name"] == "Renamed"
    ok(boss.put(f"{mine['self']}/organization/{b}"))
    denied = error(boss.patch(other["self"], {"display_name": "Mine"}), 403, "forbidden")
    assert denied["fields"] == {"permission": "collaboration:edit:global"}
    error(boss.delete(mine["self"]), 403, "forbidden")


def test_ending_a_collaboration_leaves_its_members(world: HubWorld) -> None:
    a = world.organization()
    study = world.collaboration(a)
    ok(world.administrator().delete(study["self"]), 204)
    error(world.administrator().get(study["self"]), 404, "not_found")
    ok(world.administrator().get(f"/organization/{a}"))


def test_encryption_is_never_switched_off_later(world: HubWorld) -> None:
    study = world.collaboration(world.organization())
    body = {"display_name": "x", "encrypted": False}
    assert ok(world.administrator().patch(study["self"], body))["encrypted"] is True


def test_members_are_listed_by_the_links(world: HubWorld) -> None:
    a, b = world.organization(), world.organization()
    world.organization()
    study = world.collaboration(a, b)
    world.node(a)
    admin = world.administrator()
    assert [one["id"] for one in ok(admin.get(study["organizations"]))["data"]] == [a, b]
    assert ok(admin.get(study["nodes"]))["total"] == 1
    assert ok(admin.get(f"/collaboration?organization_id={b}"))["total"] == 1
    assert ok(admin.get("/collaboration?encrypted=false"))["total"] == 0
