"""The node's words to the hub, and what it takes for an answer."""

import json
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.unit.vnode.twins import NodeTwin, assignment
from tests.wsgi_adapter import WsgiAdapter
from vnode.config import HubSettings
from vnode.reporter import Hub
from vprotocol.errors import BadMessage, LoginFailed, NotAuthenticated, Unreachable
from vprotocol.messages.sync import SyncRequest
from vruntime.clock import ManualClock
from vruntime.http import UnexpectedAnswer

PAIR = {
    "access_token": "a" * 40,
    "refresh_token": "r" * 40,
    "access_expires_at": 2e9,
    "refresh_expires_at": 2e9,
    "principal": {"id": 1, "link": "/node/1", "methods": []},
}


class Scripted:
    """A WSGI application that answers by path; remembers what was asked."""

    def __init__(self, **answers: Any) -> None:
        self.answers, self.asked = answers, list[tuple[str, str, Any]]()

    def __call__(self, environ: Any, start_response: Any) -> list[bytes]:
        name = environ["PATH_INFO"].removeprefix("/api/v1/")
        body = environ["wsgi.input"].read()
        self.asked.append((environ["REQUEST_METHOD"], name, json.loads(body) if body else None))
        answer = self.answers[name]
        status, content = answer(environ) if callable(answer) else answer
        start_response(f"{status} X", [("Content-Type", "application/json")])
        return [content if isinstance(content, bytes) else json.dumps(content).encode()]


def error(status: int, code: str) -> tuple[int, Any]:
    return status, {"error": {"code": code, "message": code}}


def hub(adapter: Scripted) -> Hub:
    session = requests.Session()
    session.mount("http://hub", WsgiAdapter(adapter))
    settings = HubSettings.model_validate({"url": "http://hub", "api_key": "k" * 40})
    return Hub.connect(settings, ManualClock(), "test", session)


LOGIN = {"token/node": (200, PAIR)}


def test_it_logs_in_once_and_carries_the_token() -> None:
    adapter = Scripted(**LOGIN, **{"whoami": error(403, "forbidden")})
    asked = hub(adapter)
    for _ in range(2):
        with pytest.raises(Exception, match="forbidden"):
            asked.whoami()
    assert [path for _, path, _ in adapter.asked] == ["token/node", "whoami", "whoami"]


def test_a_refused_token_is_traded_and_a_refused_trade_is_a_new_login() -> None:
    seen: list[str] = []

    def whoami(request: Any) -> tuple[int, Any]:
        seen.append(request["HTTP_AUTHORIZATION"])
        return error(401, "not_authenticated") if len(seen) == 1 else error(404, "not_found")

    adapter = Scripted(**LOGIN, whoami=whoami, **{"token/refresh": error(401, "not_authenticated")})
    with pytest.raises(Exception, match="not_found"):
        hub(adapter).whoami()
    assert [path for _, path, _ in adapter.asked] == ["token/node", "whoami", "token/refresh", "token/node", "whoami"]


def test_a_wrong_key_is_said_so() -> None:
    with pytest.raises(LoginFailed):
        hub(Scripted(**{"token/node": error(401, "login_failed")})).whoami()


@pytest.mark.parametrize("body", [b"", b"null", b"[]", b"7", b'"x"', b"{}", b"<html>", b'{"settings": 3}'])
def test_an_answer_that_is_none_is_the_hubs_fault(body: bytes) -> None:
    adapter = Scripted(
        **LOGIN,
        **{"node/sync": (200, body), "whoami": (200, body), "task/1": (200, body), "organization/1": (200, body)},
    )
    asked = hub(adapter)
    for ask in (
        lambda: asked.sync(SyncRequest(session="s" * 8, wait_s=0)),
        asked.whoami,
        lambda: asked.task(1),
        lambda: asked.key_log(1),
    ):
        with pytest.raises(UnexpectedAnswer):
            ask()


def delivering(folder: Path, answer: Any) -> Any:
    node = NodeTwin(folder, lambda sandbox: 0)
    node.hub.refuse = Unreachable()
    node.run(assignment())
    (held,) = node.outbox.waiting()
    scripted = Scripted(**LOGIN, **{"run/1/result": answer})
    return scripted, hub(scripted), held


def test_an_unreadable_acknowledgement_is_none(tmp_path: Path) -> None:
    """It must not look like the hub's fault-finding with the result, or the result would be given up."""
    _, asked, held = delivering(tmp_path, (200, {"id": "x"}))
    with pytest.raises(UnexpectedAnswer):
        asked.deliver(held)


def test_fault_finding_with_a_result_comes_through_as_it_is(tmp_path: Path) -> None:
    _, asked, held = delivering(tmp_path, error(422, "bad_message"))
    with pytest.raises(BadMessage):
        asked.deliver(held)


def test_a_result_travels_whole(tmp_path: Path) -> None:
    scripted, asked, held = delivering(tmp_path, (200, {"id": 1, "state": "completed", "superseded": True}))
    assert asked.deliver(held).superseded
    _, _, body = scripted.asked[-1]
    assert body["lease_token"] == held.lease_token and body["receipt"] == held.receipt
    assert len(body["payloads"]) == len(held.payloads)


def test_the_key_is_in_no_error(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(NotAuthenticated) as caught:
        hub(Scripted(**{"token/node": error(401, "not_authenticated")})).whoami()
    assert "k" * 40 not in str(caught.value) + repr(caught.value.fields) + caplog.text
