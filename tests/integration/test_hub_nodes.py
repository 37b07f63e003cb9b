"""Nodes: registered by people, known by a key that is shown once."""

from tests.hub_world import Caller, HubWorld, error, ok
from vserver.nodes import service


def test_the_api_key_is_shown_once_and_opens_the_door(world: HubWorld) -> None:
    home = world.organization()
    made = ok(world.administrator().post("/node", {"name": "a", "organization_id": home}), 201)
    assert "api_key" not in ok(world.administrator().get(made["self"]))
    pair = ok(world.nobody.post("/token/node", {"api_key": made["api_key"]}))
    me = ok(Caller(world.app, "a", pair).get("/whoami"))
    assert (me["kind"], me["id"], me["organization"]["id"]) == ("node", made["id"], home)


def test_a_wrong_api_key_is_refused(world: HubWorld) -> None:
    error(world.nobody.post("/token/node", {"api_key": "vestal-node-wrong"}), 401, "login_failed")


def test_a_new_api_key_ends_the_old_one_and_what_it_opened(world: HubWorld) -> None:
    node = world.node(world.organization())
    new = ok(world.administrator().post(f"/node/{node.id}/api_key"))["api_key"]
    error(node.get("/whoami"), 401, "not_authenticated")
    error(world.nobody.post("/token/node", {"api_key": node.pair["api_key"]}), 401, "login_failed")
    ok(world.nobody.post("/token/node", {"api_key": new}))


def test_a_node_tells_its_tags_and_version_but_not_its_name(world: HubWorld) -> None:
    node = world.node(world.organization())
    changed = ok(node.patch(f"/node/{node.id}", {"tags": ["gpu", "gpu", "big"], "software_version": "0.1.0"}))
    assert (changed["tags"], changed["software_version"]) == (["gpu", "big"], "0.1.0")
    error(node.patch(f"/node/{node.id}", {"name": "other"}), 403, "forbidden")
    other = world.node(node.organization_id or 0)
    denied = error(other.patch(f"/node/{node.id}", {"tags": []}), 403, "forbidden")
    assert denied["fields"] == {"permission": "node:edit:organization"}


def test_online_is_having_synced_lately_and_seeing_it_is_no_edit(world: HubWorld) -> None:
    node = world.node(world.organization())
    path = f"/node/{node.id}"
    before = node.get(path)
    assert ok(before)["online"] is False
    with world.database.write() as session:
        service.seen(session, node.id, world.hub.now())
    after = node.get(path)
    assert ok(after)["online"] is True
    assert after.headers["ETag"] == before.headers["ETag"]
    world.clock.advance(world.settings.node_online_s + 1)
    assert ok(node.get(path))["online"] is False


def test_an_organization_admin_makes_and_removes_nodes_of_its_own(world: HubWorld) -> None:
    a, b = world.organization(), world.organization()
    world.collaboration(a, b)
    boss = world.user(a, "Organization admin")
    made = ok(boss.post("/node", {"name": "a1", "organization_id": a}), 201)
    denied = error(boss.post("/node", {"name": "b1", "organization_id": b}), 403, "forbidden")
    assert denied["fields"] == {"permission": "node:create:global"}
    theirs = world.node(b)
    assert ok(boss.get(f"/node/{theirs.id}"))["methods"] == ["GET"]
    error(boss.delete(f"/node/{theirs.id}"), 403, "forbidden")
    ok(boss.delete(made["self"]), 204)


def test_a_removed_node_is_nobody(world: HubWorld) -> None:
    node = world.node(world.organization())
    ok(world.administrator().delete(f"/node/{node.id}"), 204)
    error(node.get("/whoami"), 401, "not_authenticated")
    error(world.nobody.post("/token/node", {"api_key": node.pair["api_key"]}), 401, "login_failed")
