"""Organizations and the identities that their nodes upload."""

import pytest

from tests.hub_world import NOW, HubWorld, Identity, error, ok
from vprotocol.keylog import KeyLog
from vprotocol.keys import KeyKind, PrivateKey


def test_make_find_rename_remove(world: HubWorld) -> None:
    admin = world.administrator()
    made = ok(admin.post("/organization", {"name": "Hospital A"}), 201)
    assert made["fingerprint"] is None
    assert ok(admin.get("/organization?name=Hospital*"))["total"] == 1
    assert ok(admin.patch(made["self"], {"name": "Hospital B"}))["name"] == "Hospital B"
    ok(admin.delete(made["self"]), 204)
    error(admin.get(made["self"]), 404, "not_found")


def test_an_id_is_never_given_twice(world: HubWorld) -> None:
    admin, first = world.administrator(), world.organization()
    ok(admin.delete(f"/organization/{first}"), 204)
    assert world.organization() > first


def test_a_name_is_taken_once(world: HubWorld) -> None:
    world.organization("A")
    answer = world.administrator().post("/organization", {"name": "A"})
    assert error(answer, 409, "already_exists")["fields"] == {"/name": "taken"}


def test_an_organization_that_something_belongs_to_stays(world: HubWorld) -> None:
    home = world.organization()
    world.node(home)
    error(world.administrator().delete(f"/organization/{home}"), 409, "organization_in_use")


def test_members_see_each_other_and_nobody_else(world: HubWorld) -> None:
    a, b, c = world.organization(), world.organization(), world.organization()
    study = world.collaboration(a, b)
    ada = world.user(a, "Researcher")
    assert [one["id"] for one in ok(ada.get("/organization"))["data"]] == [a, b]
    assert ok(ada.get(f"/organization?collaboration_id={study['id']}"))["total"] == 2
    assert ok(ada.get(f"/organization/{b}"))["methods"] == ["GET"]
    denied = error(ada.get(f"/organization/{c}"), 403, "forbidden")
    assert denied["fields"] == {"permission": "organization:view:global"}
    assert "organization:view:global" in denied["message"]


def test_a_node_uploads_its_organizations_identity(world: HubWorld) -> None:
    home, identity = world.organization(), Identity()
    node = world.node(home)
    path = f"/organization/{home}/public_key"
    error(node.get(path), 404, "not_found")
    ok(node.put(path, identity.log.to_wire()))
    assert KeyLog.from_wire(ok(node.get(path))).fingerprint == identity.log.fingerprint
    found = ok(world.administrator().get(f"/organization?fingerprint={identity.log.fingerprint}"))
    assert [one["id"] for one in found["data"]] == [home]


def test_uploading_again_is_the_same_and_appending_goes_on(world: HubWorld) -> None:
    home, identity = world.organization(), Identity()
    node, path = world.node(home), f"/organization/{home}/public_key"
    ok(node.put(path, identity.log.to_wire()))
    ok(node.put(path, identity.log.to_wire()))
    device = PrivateKey.generate(KeyKind.USER)
    longer = identity.log.certify(identity.root, device.public, "ada@laptop", NOW + 5, NOW + 10**8)
    longer = longer.sign_head(identity.node, NOW + 5)
    ok(node.put(path, longer.to_wire()))
    assert KeyLog.from_wire(ok(node.get(path))).certificate(device.public.id, KeyKind.USER, NOW + 6)


def test_a_newer_head_is_taken_and_an_older_one_refused(world: HubWorld) -> None:
    home, identity = world.organization(), Identity()
    node, path = world.node(home), f"/organization/{home}/public_key"
    newer = identity.log.sign_head(identity.node, NOW + 86_400)
    ok(node.put(path, newer.to_wire()))
    error(node.put(path, identity.log.to_wire()), 422, "key_log_rolled_back")
    error(node.put(path, {**newer.to_wire(), "head": None}), 422, "key_log_rolled_back")


def test_a_shorter_log_is_a_rollback(world: HubWorld) -> None:
    home, identity = world.organization(), Identity()
    node, path = world.node(home), f"/organization/{home}/public_key"
    ok(node.put(path, identity.log.to_wire()))
    shorter = KeyLog.verify(identity.log.entries[:-1])
    error(node.put(path, shorter.to_wire()), 422, "key_log_rolled_back")


def test_another_history_or_another_identity_is_refused(world: HubWorld) -> None:
    home, identity = world.organization(), Identity()
    node, path = world.node(home), f"/organization/{home}/public_key"
    ok(node.put(path, identity.log.to_wire()))
    fork = KeyLog.verify(identity.log.entries[:1])
    for _ in range(3):
        fork = fork.certify(identity.root, PrivateKey.generate(KeyKind.NODE).public, "fork", NOW, NOW + 10**8)
    error(node.put(path, fork.to_wire()), 422, "identity_changed")
    error(node.put(path, Identity().log.to_wire()), 422, "identity_changed")


def test_two_appends_at_the_same_place_let_one_win(world: HubWorld) -> None:
    home, identity = world.organization(), Identity()
    node, path = world.node(home), f"/organization/{home}/public_key"
    ok(node.put(path, identity.log.to_wire()))
    one, two = (
        identity.log.certify(identity.root, PrivateKey.generate(KeyKind.USER).public, "device", NOW, NOW + 10**8)
        for _ in range(2)
    )
    ok(node.put(path, one.to_wire()))
    error(node.put(path, two.to_wire()), 422, "identity_changed")


def _broken(identity: Identity, how: str) -> object:
    wire = identity.log.to_wire()
    entries = wire["entries"]
    return {
        "chain": {**wire, "entries": [entries[0], entries[2]]},
        "order": {**wire, "entries": [entries[1], entries[0], entries[2]]},
        "head of another": {**wire, "head": Identity().log.to_wire()["head"]},
        "not signed": {**wire, "entries": [*entries[:2], {**entries[2], "sig": entries[1].get("sig", "AA")}]},
    }[how]


@pytest.mark.parametrize("how", ["chain", "order", "head of another", "not signed"])
def test_a_broken_log_is_refused(world: HubWorld, how: str) -> None:
    home = world.organization()
    node = world.node(home)
    answer = node.put(f"/organization/{home}/public_key", _broken(Identity(), how))
    error(answer, 422, "key_log_invalid")
    error(node.get(f"/organization/{home}/public_key"), 404, "not_found")


def test_one_identity_belongs_to_one_organization(world: HubWorld) -> None:
    a, b, identity = world.organization(), world.organization(), Identity()
    ok(world.node(a).put(f"/organization/{a}/public_key", identity.log.to_wire()))
    answer = world.node(b).put(f"/organization/{b}/public_key", identity.log.to_wire())
    error(answer, 409, "already_exists")


def test_nobody_uploads_for_others(world: HubWorld) -> None:
    a, b = world.organization(), world.organization()
    world.collaboration(a, b)
    path = f"/organization/{b}/public_key"
    denied = error(world.node(a).put(path, Identity().log.to_wire()), 403, "forbidden")
    assert denied["fields"] == {"permission": "organization:edit:collaboration"}
    error(world.user(b, "Researcher").put(path, Identity().log.to_wire()), 403, "forbidden")
