"""A client can walk the whole API from the root, and every answer says what its caller may do."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.hub_world import Caller, HubWorld, Identity, ok
from vserver.web.links import Endpoint, link


def links_in(value: Any) -> Iterator[str]:
    if isinstance(value, str) and value.startswith("/api/v1"):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from links_in(item)
    elif isinstance(value, list):
        for item in value:
            yield from links_in(item)


def relations_in(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        if set(value) == {"id", "link", "methods"}:
            yield value
        elif "self" in value and "methods" in value:
            yield {"link": value["self"], "methods": value["methods"]}
        for item in value.values():
            yield from relations_in(item)
    elif isinstance(value, list):
        for item in value:
            yield from relations_in(item)


def walked(caller: Caller, start: str = "/api/v1") -> dict[str, Any]:
    """Every answer that can be reached by GET, by its link."""
    waiting, answers = [start], {}
    while waiting:
        path = waiting.pop()
        if path in answers:
            continue
        answer = caller.get(path)
        answers[path] = answer.get_json(silent=True) if answer.status_code == 200 else answer.status_code
        if isinstance(answers[path], dict) and "openapi" not in answers[path]:
            waiting.extend(links_in(answers[path]))
    return answers


@pytest.fixture
def peopled(world: HubWorld) -> HubWorld:
    a, b = world.organization("A"), world.organization("B")
    world.collaboration(a, b)
    node = world.node(a)
    ok(node.put(f"/organization/{a}/public_key", Identity().log.to_wire()))
    world.user(a, "Researcher", username="ada")
    return world


def test_everything_is_reached_from_the_root(peopled: HubWorld) -> None:
    answers = walked(peopled.administrator())
    for place in ("/organization/1", "/organization/1/public_key", "/collaboration/1", "/node/1", "/user/2", "/role/1"):
        assert isinstance(answers[f"/api/v1{place}"], dict), place
    broken = {path: answer for path, answer in answers.items() if not isinstance(answer, dict)}
    # B has uploaded no identity, metrics are text, and some places are not for reading at all.
    assert broken.pop("/api/v1/organization/2/public_key") == 404
    assert broken.pop("/api/v1/metrics") is None
    assert {path for path, answer in broken.items() if answer != 405} == set()
    unreadable = {link(place, user_id=1, node_id=1, run_id=1) for place in _without_get(peopled) if "hex" not in place}
    assert {path.replace("/user/2/", "/user/1/") for path in broken} <= unreadable


def _without_get(world: HubWorld) -> list[Endpoint]:
    return [place for place, verbs in world.hub.operations.items() if "GET" not in verbs]


@pytest.mark.parametrize("who", ["root", "ada", "node"])
def test_methods_tell_the_truth(peopled: HubWorld, who: str) -> None:
    caller = peopled.node(1) if who == "node" else peopled.login(who)
    seen = 0
    answers = walked(caller)
    answers.pop("/api/v1/openapi.json")
    for answer in answers.values():
        for relation in relations_in(answer):
            for verb in ("PATCH", "DELETE", "PUT", "POST"):
                # A body that nobody accepts, so that an allowed verb changes nothing; a condition that never holds.
                reply = caller.call(verb, relation["link"], json=[], headers={"If-Match": '"never"'})
                allowed = reply.status_code not in (403, 405)
                if "api_key" in relation["link"] or "password" in relation["link"]:
                    continue  # judged by more than the permission
                assert allowed == (verb in relation["methods"]), (verb, relation, reply.json)
                seen += 1
    assert seen > 20


def test_a_researcher_sees_only_what_it_may(peopled: HubWorld) -> None:
    peopled.organization("C")
    peopled.collaboration(3)
    answers = walked(peopled.login("ada"))
    assert isinstance(answers["/api/v1/organization/2"], dict)
    assert "/api/v1/organization/3" not in answers
    assert "/api/v1/collaboration/2" not in answers
    assert not [path for path, answer in answers.items() if answer == 403]


def test_the_description_lists_every_resource_error_and_permission(peopled: HubWorld) -> None:
    described = ok(peopled.nobody.get("/openapi.json"))
    assert described["openapi"] == "3.1.0"
    rules = {rule.rule.replace("<id:", "{").replace(">", "}") for rule in peopled.app.url_map.iter_rules()}
    assert {path for path in rules if "<" not in path} <= set(described["paths"])
    assert described["paths"]["/api/v1/node"]["post"]["x-permission"] == "node:create"
    codes = described["components"]["schemas"]["Error"]["x-codes"]
    assert codes["precondition_failed"]["status"] == 412
    references = set(_references(described))
    known = {f"#/components/schemas/{name}" for name in described["components"]["schemas"]}
    assert references <= known


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for item in value.values():
            yield from _references(item)
    elif isinstance(value, list):
        for item in value:
            yield from _references(item)


def test_ready_version_metrics(world: HubWorld) -> None:
    assert ok(world.nobody.get("/ready")) == {"status": "ready"}
    assert ok(world.nobody.get("/version"))["api"] == "v1"
    assert b"vestal_requests_total" in world.nobody.get("/metrics").data
    world.hub.signals.close()
    assert world.nobody.get("/ready").status_code == 503
