"""The node's words to the hub. One place for every path of the API that a node uses."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from vnode.config import HubSettings
from vnode.outbox import Outgoing, OutgoingPayload
from vprotocol.envelope.format import Parts
from vprotocol.errors import BadMessage, NotAuthenticated
from vprotocol.keylog import KeyLog
from vprotocol.messages.documents import PayloadRef
from vprotocol.messages.organization import Organization
from vprotocol.messages.run import RunEnded, RunResult, RunStarted
from vprotocol.messages.sync import SyncAnswer, SyncRequest
from vprotocol.messages.task import SubtaskSubmit, TaskView
from vprotocol.messages.token import NodeLogin, TokenPair, TokenRefresh, Whoami
from vprotocol.messages.wire import Message
from vruntime import transfer
from vruntime.clock import Clock
from vruntime.http import Http, UnexpectedAnswer, new_key
from vruntime.logs import register_secret

log = logging.getLogger(__name__)

Answer = TypeVar("Answer", bound=Message)
LargeOrder = tuple[Path, Parts, Sequence[bytes]]  # a sealed file, its parts, the hashes of its segments


class NodeTokens:
    """Logs in with the API key, and stays logged in."""

    def __init__(self, api_key: str) -> None:
        register_secret(api_key)
        self._api_key = api_key
        self._pair: TokenPair | None = None
        self.http: Http | None = None

    def token(self) -> str | None:
        if self._pair is None and self.http is not None:
            self._login()
        return self._pair.access_token if self._pair else None

    def refresh(self, rejected: str) -> str | None:
        assert self.http is not None and self._pair is not None
        body = {"refresh_token": self._pair.refresh_token}
        try:
            TokenRefresh.from_wire(body)
            self._pair = _read(TokenPair, self.http.post("/token/refresh", body, anonymous=True))
        except NotAuthenticated:
            self._login()
        return self._pair.access_token

    def _login(self) -> None:
        assert self.http is not None
        NodeLogin.from_wire({"api_key": self._api_key})
        answer = self.http.post("/token/node", {"api_key": self._api_key}, anonymous=True, once=new_key())
        self._pair = _read(TokenPair, answer)


class Hub:
    """What a node asks of its hub."""

    def __init__(self, http: Http) -> None:
        self.http = http

    @classmethod
    def connect(cls, settings: HubSettings, clock: Clock, user_agent: str, session: Any = None) -> "Hub":
        """No request is made yet."""
        tokens = NodeTokens(settings.api_key)
        http = Http(
            settings.url.rstrip("/") + "/api/v1",
            tokens=tokens,
            clock=clock,
            ca_bundle=settings.ca_bundle,
            proxies=settings.proxies,
            user_agent=user_agent,
            session=session,
        )
        tokens.http = http
        return cls(http)

    def whoami(self) -> Whoami:
        return _read(Whoami, self.http.get("/whoami"))

    # --- identity -----------------------------------------------------------------------------------------------
    def key_log(self, organization_id: int) -> KeyLog | None:
        """What the hub shows as this organization's identity; none if it has none yet."""
        if _read(Organization, self.http.get(f"/organization/{organization_id}")).fingerprint is None:
            return None
        return KeyLog.from_wire(self.http.get(f"/organization/{organization_id}/public_key"))

    def upload_key_log(self, organization_id: int, log_: KeyLog) -> None:
        self.http.put(f"/organization/{organization_id}/public_key", log_.to_wire())

    # --- runs ---------------------------------------------------------------------------------------------------
    def sync(self, request: SyncRequest) -> SyncAnswer:
        answer = self.http.long_poll("POST", "/node/sync", wait_s=request.wait_s, json=request.to_wire(), once=None)
        return _read(SyncAnswer, answer)

    def started(self, run: int, lease_token: str) -> None:
        self.http.post(f"/run/{run}/start", RunStarted(lease_token=lease_token).to_wire(), once=new_key())

    def deliver(self, outgoing: Outgoing) -> RunEnded:
        """Bring payloads and receipt; repeating it is harmless. Superseded counts as acknowledged."""
        inline = []
        for payload in outgoing.payloads:
            parts = payload.parts()
            if transfer.is_small(parts):
                inline.append(payload.path.read_bytes())
            else:
                self._upload(payload, parts)
        message = RunResult.from_wire(
            {
                "lease_token": outgoing.lease_token,
                "receipt": outgoing.receipt,
                "payloads": [transfer.b64(data) for data in inline],
            }
        )
        answer = self.http.post(f"/run/{outgoing.run}/result", message.to_wire(), once=new_key())
        return _read(RunEnded, answer)

    def fetch(self, ref: PayloadRef, sink: BinaryIO, limit_bytes: int) -> None:
        transfer.fetch(self.http, ref, sink, limit_bytes=limit_bytes)

    def _upload(self, payload: OutgoingPayload, parts: Parts) -> None:
        transfer.upload(self.http, payload.path, parts, payload.leaves)

    # --- subtasks -----------------------------------------------------------------------------------------------
    def submit_subtask(self, submit: SubtaskSubmit, large: Sequence[LargeOrder]) -> TaskView:
        """`large`: sealed orders that do not fit into the message."""
        for path, parts, leaves in large:
            transfer.upload(self.http, path, parts, leaves)
        return _read(TaskView, self.http.post("/task", submit.to_wire(), once=new_key()))

    def task(self, task: int, *, wait_s: float = 0.0, include: str = "runs") -> TaskView:
        """`include`: `runs`, or `runs,payloads` for small payloads with them."""
        params: dict[str, Any] = {"include": include}
        if wait_s > 0:
            answer = self.http.long_poll("GET", f"/task/{task}", wait_s=wait_s, params={**params, "wait": wait_s})
        else:
            answer = self.http.get(f"/task/{task}", params=params)
        return _read(TaskView, answer)


def _read(kind: type[Answer], answer: Any) -> Answer:
    """:raises UnexpectedAnswer: it is the hub's fault. A `BadMessage` would say that it found fault with ours."""
    try:
        return kind.from_wire(answer)
    except BadMessage as fault:
        raise UnexpectedAnswer(f"The hub's answer is not readable: {fault}", fields=fault.fields) from None
