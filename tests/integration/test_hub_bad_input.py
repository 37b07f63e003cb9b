"""Every wrong request ends in its own clear error, in the one shape, and never says a value back."""

from typing import Any

import pytest

from tests.hub_world import PASSWORD, HubWorld, error, ok

GOOD_USER = {"username": "ada", "password": PASSWORD, "organization_id": None, "roles": []}

CASES: list[tuple[str, str, dict[str, Any], int, str, str]] = [
    # verb, path, request, status, code, a word of the message or of a field
    ("GET", "/nothing", {}, 404, "not_found", "nothing at"),
    ("GET", "/organization/0", {}, 404, "not_found", "nothing at"),
    ("GET", "/organization/99999999999999999999", {}, 404, "not_found", "nothing at"),
    ("GET", "/organization/abc", {}, 404, "not_found", "nothing at"),
    ("GET", "/organization/77", {}, 404, "not_found", "no organization 77"),
    ("PUT", "/organization", {}, 405, "method_not_allowed", "does not take PUT"),
    ("POST", "/organization", {"data": "name=x"}, 415, "unsupported_media_type", "not of the kind"),
    ("POST", "/organization", {"data": "{", "content_type": "application/json"}, 400, "bad_message", "not JSON"),
    ("POST", "/organization", {"data": b"\xff\xfe", "content_type": "application/json"}, 400, "bad_message", "JSON"),
    ("POST", "/organization", {"json": []}, 400, "bad_message", "/"),
    ("POST", "/organization", {"json": {}}, 400, "bad_message", "/name"),
    ("POST", "/organization", {"json": {"name": ""}}, 400, "bad_message", "/name"),
    ("POST", "/organization", {"json": {"name": 7}}, 400, "bad_message", "/name"),
    ("POST", "/organization", {"json": {"name": "x" * 201}}, 400, "bad_message", "/name"),
    ("POST", "/organization", {"json": {"name": "a\x00b"}}, 400, "bad_message", "/name"),
    ("POST", "/organization", {"json": {"name": "x" * 3_000_000}}, 413, "too_large", "larger"),
    ("POST", "/collaboration", {"json": {"name": "short", "display_name": "x"}}, 400, "bad_message", "/name"),
    (
        "POST",
        "/collaboration",
        {"json": {"name": "A" * 32, "display_name": "x", "organizations": ["1"]}},
        400,
        "bad_message",
        "/organizations/0",
    ),
    ("POST", "/user", {"json": {**GOOD_USER, "password": "short"}}, 400, "bad_message", "/password"),
    ("POST", "/user", {"json": {**GOOD_USER, "username": "a b"}}, 400, "bad_message", "/username"),
    ("POST", "/user", {"json": {**GOOD_USER, "roles": ["King"]}}, 400, "bad_request", "/roles"),
    ("POST", "/user", {"json": {**GOOD_USER, "organization_id": 77}}, 404, "not_found", "no organization 77"),
    ("POST", "/user", {"json": {**GOOD_USER, "organization_id": 2**63}}, 400, "bad_message", "/organization_id"),
    ("POST", "/node", {"json": {"name": "../x", "organization_id": 1}}, 400, "bad_message", "/name"),
    ("POST", "/token/user", {"json": {"username": "root"}}, 400, "bad_message", "/password"),
    ("PUT", "/organization/1/public_key", {"json": {"entries": []}}, 400, "bad_message", "/entries"),
    ("PUT", "/organization/1/public_key", {"json": {"entries": [{}]}}, 422, "key_log_invalid", ""),
    ("GET", "/organization?colour=red", {}, 400, "bad_request", "colour"),
    ("GET", "/organization?limit=0", {}, 400, "bad_request", "limit"),
    ("GET", "/organization?limit=many", {}, 400, "bad_request", "limit"),
    ("GET", "/organization?sort=colour", {}, 400, "bad_request", "sort"),
    ("GET", "/organization?cursor=%00%01", {}, 400, "bad_request", "cursor"),
    ("GET", "/organization?cursor=W251bGwsMSwwXQ", {}, 400, "bad_request", "cursor"),
    ("GET", "/organization?cursor=WyJhIiwxLDBd", {}, 400, "bad_request", "cursor"),
    ("GET", "/organization?fields=id,colour", {}, 400, "bad_request", "fields"),
    ("GET", "/organization?collaboration_id=x", {}, 400, "bad_request", "collaboration_id"),
    ("GET", "/organization?name=a&name=b", {}, 400, "bad_request", "name"),
    ("GET", "/organization?name=%00", {}, 400, "bad_request", "name"),
    ("GET", "/collaboration?encrypted=yes", {}, 400, "bad_request", "encrypted"),
    ("PATCH", "/node/1", {"json": {"tags": ["a b"]}}, 400, "bad_message", "/tags/0"),
]


@pytest.mark.parametrize(("verb", "path", "request_", "status", "code", "word"), CASES, ids=lambda v: str(v)[:40])
def test_a_wrong_request_is_told_what_is_wrong(
    world: HubWorld, verb: str, path: str, request_: dict[str, Any], status: int, code: str, word: str
) -> None:
    world.app.config["MAX_CONTENT_LENGTH"] = 2_000_000
    world.node(world.organization())
    answer = error(world.administrator().call(verb, path, **request_), status, code)
    assert word in answer["message"] + " ".join(answer["fields"])


@pytest.mark.parametrize(
    "header", [{}, {"Authorization": "Bearer"}, {"Authorization": "Basic cm9vdDpyb290"}, {"Authorization": "Bearer x"}]
)
def test_without_a_token_that_holds_nothing_is_shown(world: HubWorld, header: dict[str, str]) -> None:
    answer = world.nobody.get("/organization", headers=header)
    error(answer, 401, "not_authenticated")
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_a_wrong_password_is_never_said_back(world: HubWorld) -> None:
    body = {"username": 5, "password": ["hunter2-hunter2"]}
    assert b"hunter2" not in world.nobody.post("/token/user", body).data
    body = {"username": "ada", "password": "hunter2"}
    assert b"hunter2" not in world.administrator().post("/user", {**body, "roles": []}).data


def test_an_unforeseen_error_says_only_its_request_id(
    world: HubWorld, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from vserver.organizations import service

    admin = world.administrator()

    def broken(*_: object) -> None:
        raise ZeroDivisionError("a secret of the inside")

    monkeypatch.setattr(service, "create", broken)
    answer = admin.post("/organization", {"name": "A"})
    assert error(answer, 500, "internal_error")["message"] == "The hub made a mistake."
    assert b"secret" not in answer.data
    assert "ZeroDivisionError" in caplog.text


def test_what_fails_half_way_leaves_nothing(world: HubWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    from vserver.organizations.resource import Organizations

    admin = world.administrator()

    def broken(*_: object) -> None:
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setattr(Organizations, "view", broken)
        error(admin.post("/organization", {"name": "A"}, headers={"Idempotency-Key": "k"}), 500, "internal_error")
    assert ok(admin.get("/organization"))["total"] == 0
    ok(admin.post("/organization", {"name": "A"}, headers={"Idempotency-Key": "k"}), 201)


def test_unknown_fields_are_ignored(world: HubWorld) -> None:
    ok(world.administrator().post("/organization", {"name": "A", "colour": "red"}), 201)


def test_headers_close_the_door_to_browsers_of_other_sites(world: HubWorld) -> None:
    answer = world.nobody.get("/health", headers={"Origin": "https://evil.example"})
    assert ok(answer) == {"status": "ok"}
    assert "Access-Control-Allow-Origin" not in answer.headers
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cache-Control"] == "no-store"
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]


def test_a_request_id_is_kept_if_it_is_one(world: HubWorld) -> None:
    kept = world.nobody.get("/health", headers={"X-Request-Id": "abcdef0123456789"})
    assert kept.headers["X-Request-Id"] == "abcdef0123456789"
    replaced = world.nobody.get("/health", headers={"X-Request-Id": "<script>"})
    assert replaced.headers["X-Request-Id"] != "<script>"


def test_a_405_says_what_is_allowed(world: HubWorld) -> None:
    assert "POST" in world.administrator().put("/organization").headers["Allow"]
