"""The node's proxy over HTTP: the container contract's calls, as far as subtasks and progress need them."""

import base64
import binascii
import http.client
import json
import secrets
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from algorithm_base.environment import ProxyAddress
from algorithm_base.errors import AlgorithmError, ContractError
from algorithm_base.peers import Organization

MAY_PASS = frozenset({429, 502, 503, 504})
_STILL_WAITING = "active"
_READ_AT_ONCE_BYTES = 1 << 20


class ProxyRefused(AlgorithmError):
    """The node's proxy refused a call. The plan may not allow it: ask the initiator what may be delegated."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class ProxyUnreachable(AlgorithmError):
    """The node's proxy does not answer. The node may be stopping: the run is repeated when it is back."""


class ProxyHeld(AlgorithmError):
    """The node's proxy took the call and did not answer in time."""


@dataclass(frozen=True)
class Patience:
    """How long one request may take, and how long an unreachable proxy is asked again (a node may restart)."""

    request_s: float = 60.0
    unreachable_s: float = 300.0


class ProxyHttp:
    """Requests with a deadline, an error with a name, and repeats where a repeat is safe."""

    def __init__(
        self,
        address: ProxyAddress,
        patience: Patience | None = None,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._address, self._patience = address, patience or Patience()
        self._clock, self._pause = clock, pause
        # Nothing but the proxy can be reached from a container, whatever http_proxy says.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def get(self, path: str, **query: Any) -> Any:
        return self._repeated("GET", _with_query(path, query), None, {})

    def get_held(self, path: str, timeout_s: float) -> Any:
        """A GET that the proxy answers when something has changed. Raises `ProxyHeld` after `timeout_s`."""
        return self._repeated("GET", path, None, {}, timeout_s=timeout_s, repeat_when_slow=False)

    def post(self, path: str, body: dict[str, Any]) -> Any:
        """One key for all repeats: the proxy answers a repeat like the first."""
        return self._repeated("POST", path, body, {"Idempotency-Key": secrets.token_hex(16)})

    def put_once(self, path: str, body: dict[str, Any], timeout_s: float) -> Any:
        return self._once("PUT", path, body, {}, timeout_s)

    def _repeated(
        self,
        method: str,
        path: str,
        body: dict[str, Any] | None,
        headers: dict[str, str],
        timeout_s: float | None = None,
        repeat_when_slow: bool = True,
    ) -> Any:
        give_up_at = self._clock() + self._patience.unreachable_s
        pause_s = 0.05
        while True:
            try:
                return self._once(method, path, body, headers, timeout_s or self._patience.request_s)
            except (ProxyUnreachable, ProxyHeld, ProxyRefused) as error:
                may_pass = error.status in MAY_PASS if isinstance(error, ProxyRefused) else True
                too_slow = isinstance(error, ProxyHeld) and not repeat_when_slow
                if not may_pass or too_slow or self._clock() + pause_s > give_up_at:
                    raise
            self._pause(pause_s)
            pause_s = min(pause_s * 2, 5.0)

    def _once(
        self, method: str, path: str, body: dict[str, Any] | None, headers: dict[str, str], timeout_s: float
    ) -> Any:
        request = urllib.request.Request(  # noqa: S310 - the address comes from the node
            self._address.url + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={
                **headers,
                "Authorization": f"Bearer {_token(self._address.token_file)}",
                "Accept": "application/json",
            }
            | ({} if body is None else {"Content-Type": "application/json"}),
        )
        what, deadline = f"{method} {path.partition('?')[0]}", self._clock() + timeout_s
        try:
            with self._opener.open(request, timeout=timeout_s) as reply:
                return _parsed(self._read(reply, deadline), what)
        except urllib.error.HTTPError as error:
            raise ProxyRefused(f"{what}: {_refusal(error)}", error.code) from None
        except TimeoutError:
            raise ProxyHeld(f"{what}: no answer from the node's proxy within {timeout_s:g} s") from None
        except (OSError, http.client.HTTPException) as error:
            raise ProxyUnreachable(f"{what}: the node's proxy cannot be reached ({type(error).__name__})") from None

    def _read(self, reply: http.client.HTTPResponse, deadline: float) -> bytes:
        parts: list[bytes] = []
        while part := reply.read(_READ_AT_ONCE_BYTES):
            if self._clock() > deadline:
                raise TimeoutError
            parts.append(part)
        return b"".join(parts)


class ProxyDoor:
    """Subtasks in the words of the container contract."""

    def __init__(self, http_: ProxyHttp, token_file: Path) -> None:
        self._http = http_
        self._subject = subject_of(_token(token_file))
        self.organization_id = int(self._subject["organization_id"])

    def organizations(self) -> list[Organization]:
        page = self._http.get("/organization", collaboration_id=self._subject["collaboration_id"])
        return [Organization(int(each["id"]), str(each.get("name", ""))) for each in _whole_list(page, "organizations")]

    def create(
        self, order: bytes, organization_ids: Sequence[int], name: str, data: Sequence[str] | None, image: str | None
    ) -> int:
        databases = self._subject.get("databases") or [] if data is None else [{"label": label} for label in data]
        text = base64.b64encode(order).decode()
        body: dict[str, Any] = {
            "name": name,
            "description": "",
            "image": image or self._subject["image"],
            "collaboration_id": self._subject["collaboration_id"],
            "organizations": [{"id": each, "input": text} for each in organization_ids],
            "databases": databases,
        }
        if self._subject.get("study_id") is not None:
            body["study_id"] = self._subject["study_id"]
        return int(self._http.post("/task", body)["id"])

    def status(self, task_id: int, wait_s: float) -> str:
        try:
            reply = self._http.get_held(f"/task/{task_id}/status", timeout_s=min(max(wait_s, 1.0), 120.0))
        except ProxyHeld:
            return _STILL_WAITING
        return str(reply["status"])

    def contents(self, task_id: int) -> dict[int, bytes | None]:
        items = _whole_list(self._http.get("/result", task_id=task_id), "results")
        if all("organization_id" in item for item in items):
            organization_of = {int(item["id"]): int(item["organization_id"]) for item in items}
        else:
            organization_of = self._organizations_of_results(task_id, items)
        found: dict[int, bytes | None] = {}
        for item in items:  # newest first: an older attempt never replaces a newer one
            found.setdefault(organization_of[int(item["id"])], _content(item))
        return found

    def _organizations_of_results(self, task_id: int, items: list[dict[str, Any]]) -> dict[int, int]:
        runs = _whole_list(self._http.get("/run", task_id=task_id), "runs")
        organization_of_run = {int(run["id"]): int(run["organization"]["id"]) for run in runs}
        try:
            return {int(item["id"]): organization_of_run[int((item.get("run") or item)["id"])] for item in items}
        except KeyError:
            raise ContractError("the node's proxy gave a result without saying whose it is") from None


PROGRESS_TIMEOUT_S = 5.0


def send_progress(http_: ProxyHttp, percent: int) -> None:
    http_.put_once("/progress", {"percent": percent}, PROGRESS_TIMEOUT_S)


def subject_of(token: str) -> dict[str, Any]:
    """Who this run is, as its token says. The token is for the proxy to verify, not for us."""
    try:
        payload = token.split(".")[1]
        subject = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["sub"]
        int(subject["organization_id"]), subject["collaboration_id"], subject["image"]
    except (IndexError, KeyError, TypeError, ValueError):
        raise ContractError("the token in TOKEN_FILE is not one of a node") from None
    return dict(subject)


def _token(token_file: Path) -> str:
    return token_file.read_text(encoding="ascii").strip()  # read each time: a node may renew it


def _with_query(path: str, query: dict[str, Any]) -> str:
    return f"{path}?{urllib.parse.urlencode(query)}" if query else path


def _parsed(content: bytes, what: str) -> Any:
    if not content:
        return None
    try:
        return json.loads(content)
    except ValueError:
        raise ContractError(f"{what}: the node's proxy gave an answer that is not JSON") from None


def _refusal(error: urllib.error.HTTPError) -> str:
    try:
        with error:
            message = json.loads(error.read(64 * 1024))["msg"]
    except (OSError, http.client.HTTPException, KeyError, TypeError, ValueError):
        message = "no reason was given"
    return f"{message} (HTTP {error.code})"


def _whole_list(page: Any, what: str) -> list[dict[str, Any]]:
    if not isinstance(page, dict) or not isinstance(page.get("data"), list):
        raise ContractError(f"the node's proxy gave no list of {what}")
    if (page.get("links") or {}).get("next"):
        raise ContractError(f"the node's proxy gave only a part of the list of {what}")
    return list(page["data"])


def _content(item: dict[str, Any]) -> bytes | None:
    if item.get("blob_storage_used"):
        raise ContractError("a result lies in a blob store, which the container contract of this node does not have")
    if item.get("result") is None:
        return None
    try:
        return base64.b64decode(item["result"], validate=True)
    except (binascii.Error, TypeError, ValueError):
        raise ContractError("the node's proxy gave a result that is not base64") from None
