"""The one way Vestal speaks HTTP: one session, one deadline, retries where they are safe, errors with names.

What the hub raises comes out of here as the same class (`vprotocol.errors`). A call is repeated only if it is safe to
execute twice: a safe or idempotent verb, or one that carries an idempotency key. All attempts, pauses and reading the
answer share one deadline. Redirects are not followed: they could carry a token elsewhere.
"""

import json as json_codec
import logging
import random
import socket
import ssl
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from http.cookiejar import DefaultCookiePolicy
from pathlib import Path
from typing import Any, BinaryIO, Protocol, TypeVar
from urllib.parse import urlencode, urlsplit

import requests
from requests.adapters import HTTPAdapter

from vprotocol.errors import (
    DeadlineExceeded,
    NotAuthenticated,
    TlsFailed,
    UsageError,
    VestalError,
    error_from_wire,
)
from vprotocol.errors import Unreachable as Unreachable  # part of what this module raises
from vruntime.clock import Clock, Deadline, SystemClock
from vruntime.logs import current_fields

log = logging.getLogger(__name__)

RETRY_STATUS = frozenset({429, 502, 503, 504})
SAFE_TO_REPEAT = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})
FIRST_PAUSE_S = 0.25
LONGEST_PAUSE_S = 15.0
LONG_POLL_MARGIN_S = 15.0
MAX_JSON_BYTES = 64 * 1024 * 1024
CHUNK_BYTES = 64 * 1024  # what has not filled one when a connection breaks is asked for again
# Each chunk must leave within one connect time-out (that is how the socket is set while sending): small for slow lines.
SENT_CHUNK_BYTES = 64 * 1024
POOL_SIZE = 32
MAX_RESUMES_WITHOUT_PROGRESS = 5


class UnexpectedAnswer(VestalError):
    """The answer does not come from a Vestal hub."""

    code = "unexpected_answer"
    hint = "Check the hub's address; a proxy or a login page may be answering in its place."


class AddressInvalid(UsageError):
    """The hub's address is not a web address."""

    code = "address_invalid"
    hint = "Write it like https://hub.example.org."


class TransferBroken(Unreachable):
    """The transfer broke off and could not be resumed."""

    code = "transfer_broken"
    hint = "Repeat it; what has arrived is kept where the command says so."


class TokenProvider(Protocol):
    """Whoever holds the token that goes with each call."""

    def token(self) -> str | None:
        """The present token; None to call without one."""

    def refresh(self, rejected: str) -> str | None:
        """A new token in place of `rejected`, which the hub refused; None if there is none to be had.

        Called by one thread at a time. Calls made from here must be `anonymous`.
        """


@dataclass(frozen=True, slots=True)
class Timeout:
    """How long one attempt may take to connect, and may stay silent."""

    connect_s: float = 5.0
    read_s: float = 60.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: status, headers (names in any case) and the decoded JSON body."""

    status: int
    headers: Mapping[str, str]
    body: Any


@dataclass(frozen=True, slots=True)
class Downloaded:
    """What a download brought: `count_bytes` written to the sink."""

    count_bytes: int
    headers: Mapping[str, str]


T = TypeVar("T")
Content = bytes | BinaryIO | Path | Callable[[], Iterable[bytes]]


@dataclass(frozen=True)
class _Call:
    """One request as it goes out with each attempt."""

    method: str
    path: str
    headers: Mapping[str, str]
    deadline: Deadline
    read_s: float
    anonymous: bool
    repeatable: bool
    body: "Callable[[], bytes | _Body | None]"


class Http:
    """A connection to one hub, usable by many threads at once.

    `base_url` may have a path (`https://hub/api/v1`). The methods take paths below it (`/job`), links as the hub writes
    them (`/api/v1/job/3`) and whole addresses at the same hub; an address elsewhere is refused.
    """

    def __init__(
        self,
        base_url: str,
        *,
        session: requests.Session | None = None,
        tokens: TokenProvider | None = None,
        clock: Clock | None = None,
        ca_bundle: Path | str | None = None,
        proxies: Mapping[str, str] | None = None,
        timeout: Timeout | tuple[float, float] = Timeout(),
        deadline_s: float = 60.0,
        transfer_deadline_s: float = 6 * 3600.0,
        user_agent: str = "vestal",
        pool_size: int = POOL_SIZE,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.base_url = _checked_base(base_url)
        self.tokens = tokens
        self._clock = clock or SystemClock()
        self._timeout = timeout if isinstance(timeout, Timeout) else Timeout(*timeout)
        self._deadline_s = deadline_s
        self._transfer_deadline_s = transfer_deadline_s
        self._verify: str | bool = str(ca_bundle) if ca_bundle else True
        self._proxies = dict(proxies or {})
        self._jitter = jitter
        self._refreshing = threading.Lock()
        self._session = session or _new_session(pool_size)
        self._session.headers["User-Agent"] = user_agent
        # Cookies are the one part of a session that threads would trample on, and the hub sets none.
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))

    def __enter__(self) -> "Http":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections that are kept open."""
        self._session.close()

    # --- JSON ---------------------------------------------------------------------------------------------------
    def get(self, path: str, **options: Any) -> Any:
        return self.call("GET", path, **options)

    def post(self, path: str, json: Any = None, **options: Any) -> Any:
        return self.call("POST", path, json=json, **options)

    def put(self, path: str, json: Any = None, **options: Any) -> Any:
        return self.call("PUT", path, json=json, **options)

    def patch(self, path: str, json: Any = None, **options: Any) -> Any:
        return self.call("PATCH", path, json=json, **options)

    def delete(self, path: str, **options: Any) -> Any:
        return self.call("DELETE", path, **options)

    def call(self, method: str, path: str, **options: Any) -> Any:
        """Like `exchange`, and return the JSON body alone."""
        return self.exchange(method, path, **options).body

    def exchange(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        once: str | None = None,
        anonymous: bool = False,
        deadline_s: float | None = None,
        read_s: float | None = None,
    ) -> Answer:
        """Send JSON (or nothing), receive JSON (or nothing).

        `once` is an idempotency key (`new_key()`), which makes any verb safe to repeat. Raises what the hub raised,
        `Unreachable`, `TlsFailed`, `DeadlineExceeded`, `UnexpectedAnswer`.
        """
        body = None if json is None else json_codec.dumps(json, ensure_ascii=False, allow_nan=False).encode()
        sent = {"Accept": "application/json", **(headers or {})}
        if body is not None:
            sent["Content-Type"] = "application/json"
        if once is not None:
            sent["Idempotency-Key"] = once
        call = _Call(
            method.upper(),
            _with_query(path, params),
            sent,
            Deadline.after(self._clock, self._deadline_s if deadline_s is None else deadline_s),
            self._timeout.read_s if read_s is None else read_s,
            anonymous,
            method.upper() in SAFE_TO_REPEAT or once is not None,
            lambda: body,
        )
        return self._with_retries(call, lambda reply: self._read_json(reply, call))

    def long_poll(
        self,
        method: str,
        path: str,
        *,
        wait_s: float,
        margin_s: float = LONG_POLL_MARGIN_S,
        deadline_s: float | None = None,
        **options: Any,
    ) -> Any:
        """A call that the hub may hold for `wait_s` before it answers; silence is an error `margin_s` later."""
        patience_s = wait_s + margin_s
        longest_s = max(patience_s, self._deadline_s) if deadline_s is None else deadline_s
        return self.call(method, path, read_s=patience_s, deadline_s=longest_s, **options)

    # --- bytes --------------------------------------------------------------------------------------------------
    def download(
        self,
        path: str,
        sink: BinaryIO | Callable[[bytes], object],
        *,
        offset: int = 0,
        length: int | None = None,
        params: Mapping[str, Any] | None = None,
        anonymous: bool = False,
        deadline_s: float | None = None,
        max_bytes: int | None = None,
    ) -> Downloaded:
        """Write bytes `offset` to `offset + length` (the end without it) to `sink` at constant memory.

        A connection that breaks is taken up again where it broke. `max_bytes` refuses what is larger.
        """
        write = sink if callable(sink) else sink.write
        transfer = _Download(write, offset, length, max_bytes)
        deadline = Deadline.after(self._clock, self._transfer_deadline_s if deadline_s is None else deadline_s)
        whole = _with_query(path, params)
        idle = 0
        while True:
            before = transfer.count_bytes
            call = _Call(
                "GET", whole, transfer.headers(), deadline, self._timeout.read_s, anonymous, True, lambda: None
            )
            try:
                self._with_retries(call, lambda reply, call=call: self._receive(reply, transfer, call))  # type: ignore[misc]
                return Downloaded(transfer.count_bytes, transfer.answer_headers)
            except _Broken as broken:
                idle = 0 if transfer.count_bytes > before else idle + 1
                if idle >= MAX_RESUMES_WITHOUT_PROGRESS or deadline.passed():
                    raise TransferBroken(
                        f"The download broke off after {transfer.count_bytes} bytes."
                    ) from broken.cause
                self._pause(idle, None, deadline)

    def upload(
        self,
        path: str,
        content: Content,
        *,
        method: str = "PUT",
        length: int | None = None,
        media_type: str = "application/octet-stream",
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, Any] | None = None,
        once: str | None = None,
        anonymous: bool = False,
        deadline_s: float | None = None,
    ) -> Any:
        """Send bytes, a file (from where it stands), a path or chunks at constant memory; return the JSON answer.

        Chunks are given as a function that starts them from the beginning, so that a repeat can send them again.
        """
        start, size = _replayable(content, length)
        sent = {"Accept": "application/json", "Content-Type": media_type, **(headers or {})}
        if once is not None:
            sent["Idempotency-Key"] = once
        deadline = Deadline.after(self._clock, self._transfer_deadline_s if deadline_s is None else deadline_s)
        call = _Call(
            method.upper(),
            _with_query(path, params),
            sent,
            deadline,
            self._timeout.read_s,
            anonymous,
            method.upper() in SAFE_TO_REPEAT or once is not None,
            lambda: b"" if size == 0 else _Body(start(), size, deadline),
        )
        return self._with_retries(call, lambda reply: self._read_json(reply, call)).body

    # --- one attempt after the other ------------------------------------------------------------------------------
    def _with_retries(self, call: _Call, read: Callable[[requests.Response], T]) -> T:
        attempt = 0
        while True:
            try:
                reply = self._send(call)
                try:
                    if reply.status_code < 300:
                        return read(reply)
                    error, retry_after_s = self._error(reply, call), self._retry_after_s(reply)
                    passing = reply.status_code in RETRY_STATUS
                finally:
                    reply.close()
            except requests.RequestException as failure:
                error, retry_after_s = _named(failure, self.base_url), None
                passing = _may_pass(failure)
                error.__cause__ = failure
            if not (passing and call.repeatable) or not self._pause(attempt, retry_after_s, call.deadline):
                raise error
            attempt += 1
            log.debug("repeating a call", extra={"method": call.method, "attempt": attempt, "after": error.code})

    def _pause(self, attempt: int, retry_after_s: float | None, deadline: Deadline) -> bool:
        """Wait before the next attempt; False if that would go beyond the deadline."""
        longest = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(attempt, 16))
        pause_s = longest * (0.5 + self._jitter() / 2)  # many nodes must not come back in the same instant
        if retry_after_s is not None:
            pause_s = max(pause_s, retry_after_s)
        if pause_s >= deadline.remaining_s():
            return False
        self._clock.sleep(pause_s)
        return True

    def _send(self, call: _Call) -> requests.Response:
        token = None if call.anonymous or self.tokens is None else self.tokens.token()
        reply = self._attempt(call, token)
        if reply.status_code != 401 or token is None:
            return reply
        fresh = self._refreshed(token)
        if fresh is None:
            return reply
        reply.close()  # a 401 was not executed, so repeating it is safe for every verb
        return self._attempt(call, fresh)

    def _refreshed(self, rejected: str) -> str | None:
        assert self.tokens is not None
        with self._refreshing:
            present = self.tokens.token()
            if present != rejected:  # another thread was faster
                return present
            try:
                return self.tokens.refresh(rejected)
            except NotAuthenticated:
                return None  # the hub's own words about the first call tell more

    def _attempt(self, call: _Call, token: str | None) -> requests.Response:
        remaining_s = call.deadline.remaining_s()
        if remaining_s <= 0:
            raise DeadlineExceeded(f"{call.method} {_without_query(call.path)} was not done in time.")
        headers = dict(call.headers)
        if request_id := current_fields().get("request_id"):
            headers["X-Request-Id"] = str(request_id)
        return self._session.request(
            call.method,
            self._address(call.path),
            data=call.body(),
            headers=headers,
            auth=_Bearer(token),
            timeout=(min(self._timeout.connect_s, remaining_s), min(call.read_s, remaining_s)),
            # Both per call: the session's own would lose against the environment's variables.
            verify=self._verify,
            proxies=self._proxies,
            allow_redirects=False,
            stream=True,
        )

    def _address(self, path: str) -> str:
        if "://" not in path.split("?", 1)[0]:
            base = urlsplit(self.base_url)
            if base.path and path.startswith(f"{base.path}/"):  # a link as the hub writes it, from its root
                return f"{base.scheme}://{base.netloc}{path}"
            return f"{self.base_url}/{path.removeprefix('/')}" if path else self.base_url
        ours, given = urlsplit(self.base_url), urlsplit(path)
        if (given.scheme, given.netloc) != (ours.scheme, ours.netloc):
            raise UnexpectedAnswer(f"A link leads away from the hub, to {given.netloc}.", hint="It was not followed.")
        return path

    # --- reading answers --------------------------------------------------------------------------------------------
    def _chunks(self, reply: requests.Response, call: _Call) -> Iterator[bytes]:
        for chunk in reply.iter_content(CHUNK_BYTES):
            # A peer that sends a byte a minute never times out by itself.
            if call.deadline.passed():
                raise DeadlineExceeded(f"{call.method} {_without_query(call.path)} was not done in time.")
            yield chunk

    def _body(self, reply: requests.Response, call: _Call) -> bytes:
        body = bytearray()
        for chunk in self._chunks(reply, call):
            body += chunk
            if len(body) > MAX_JSON_BYTES:
                raise UnexpectedAnswer(f"The answer is larger than {MAX_JSON_BYTES} bytes.")
        return bytes(body)

    def _read_json(self, reply: requests.Response, call: _Call) -> Answer:
        raw = self._body(reply, call)
        try:
            body = json_codec.loads(raw) if raw else None
        except (ValueError, RecursionError) as error:
            raise UnexpectedAnswer(f"{self.base_url} answered with something that is not JSON.") from error
        return Answer(reply.status_code, reply.headers, body)

    def _error(self, reply: requests.Response, call: _Call) -> VestalError:
        if 300 <= reply.status_code < 400:
            target = urlsplit(reply.headers.get("Location", ""))
            elsewhere = f"{target.scheme}://{target.netloc}" if target.netloc else "another address"
            return UnexpectedAnswer(
                f"{self.base_url} redirects to {elsewhere}.", hint="Configure the hub's own address."
            )
        raw = self._body(reply, call)
        try:
            body = json_codec.loads(raw)
        except (ValueError, RecursionError):
            body = None
        if not isinstance(body, dict) or not isinstance(body.get("error"), dict):
            return self._foreign(reply.status_code)
        return error_from_wire(reply.status_code, body)

    def _foreign(self, status: int) -> VestalError:
        if status in RETRY_STATUS:  # a gateway speaking for a hub that is away
            return Unreachable(f"The gateway in front of {self.base_url} answered HTTP {status}: no hub behind it.")
        return UnexpectedAnswer(f"{self.base_url} answered HTTP {status}, and not in a hub's words.")

    def _retry_after_s(self, reply: requests.Response) -> float | None:
        text = reply.headers.get("Retry-After", "").strip()
        if not text:
            return None
        if text.isascii() and text.isdigit():
            return float(text[:9])
        try:
            return max(0.0, parsedate_to_datetime(text).timestamp() - self._clock.now())
        except (ValueError, OverflowError):
            return None

    def _receive(self, reply: requests.Response, transfer: "_Download", call: _Call) -> None:
        skip = transfer.begin(reply)
        try:
            for chunk in self._chunks(reply, call):
                dropped = min(skip, len(chunk))
                skip -= dropped
                if transfer.take(chunk[dropped:]):
                    return
        except requests.RequestException as error:
            raise _Broken(error) from error
        transfer.finish()


class _Broken(Exception):
    """A body ended early; internal, it never leaves this module."""

    def __init__(self, cause: BaseException) -> None:
        super().__init__(str(cause))
        self.cause = cause


@dataclass
class _Download:
    """How far a download is, over all the connections that it takes."""

    write: Callable[[bytes], object]
    offset: int
    length: int | None
    max_bytes: int | None
    count_bytes: int = 0
    etag: str | None = None
    answer_headers: Mapping[str, str] = field(default_factory=dict)
    expected_bytes: int | None = None

    def headers(self) -> dict[str, str]:
        # No compression: ranges count the bytes that are stored.
        headers = {"Accept": "*/*", "Accept-Encoding": "identity"}
        first = self.offset + self.count_bytes
        if first or self.length is not None:
            last = "" if self.length is None else str(self.offset + self.length - 1)
            headers["Range"] = f"bytes={first}-{last}"
        return headers

    def begin(self, reply: requests.Response) -> int:
        """Check that this answer continues what has come so far; return how many bytes of it to skip."""
        etag = reply.headers.get("ETag")
        if self.count_bytes and self.etag and etag != self.etag:
            raise TransferBroken("The content changed while it was downloaded.", hint="Start the download again.")
        self.etag, self.answer_headers = etag, reply.headers
        first = self.offset + self.count_bytes
        if reply.status_code != 206:
            self._expect(_content_length(reply), whole=True)
            return first
        start = _range_start(reply.headers.get("Content-Range", ""))
        if start != first:
            raise UnexpectedAnswer(f"The hub sent bytes from {start} where {first} was asked for.")
        self._expect(_content_length(reply), whole=False)
        return 0

    def _expect(self, content_length: int | None, *, whole: bool) -> None:
        if content_length is not None:
            total = content_length - self.offset if whole else content_length + self.count_bytes
            self.expected_bytes = max(0, total if self.length is None else min(total, self.length))
        if self.max_bytes is not None and (self.expected_bytes or 0) > self.max_bytes:
            raise self._too_large()

    def take(self, chunk: bytes) -> bool:
        """Write what is wanted of `chunk`; True when that was all."""
        if self.length is not None:
            chunk = chunk[: self.length - self.count_bytes]
        if self.max_bytes is not None and self.count_bytes + len(chunk) > self.max_bytes:
            raise self._too_large()
        if chunk:
            self.write(chunk)
            self.count_bytes += len(chunk)
        return self.length is not None and self.count_bytes >= self.length

    def finish(self) -> None:
        if self.expected_bytes is not None and self.count_bytes < self.expected_bytes:
            raise _Broken(EOFError(f"{self.count_bytes} of {self.expected_bytes} bytes"))

    def _too_large(self) -> VestalError:
        return UnexpectedAnswer(f"The content is larger than the {self.max_bytes} bytes that were expected.", hint="")


class _Body:
    """Chunks with a known length (or none), in the shape that requests streams."""

    def __init__(self, chunks: Iterable[bytes], length: int | None, deadline: Deadline) -> None:
        self._chunks = chunks
        self._deadline = deadline
        if length is not None:
            self.len = length  # what requests looks at for Content-Length; without it the body goes out chunked

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._chunks:
            if self._deadline.passed():
                raise DeadlineExceeded("The upload was not done in time.")
            yield chunk


class _Bearer(requests.auth.AuthBase):
    """Sets our token. Always given, also without a token: requests would take a password from ~/.netrc otherwise."""

    def __init__(self, token: str | None) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._token is not None:
            request.headers["Authorization"] = f"Bearer {self._token}"
        return request


def new_key() -> str:
    """A fresh idempotency key: make one for each undertaking and keep it over repeats."""
    return str(uuid.uuid4())


def _new_session(pool_size: int) -> requests.Session:
    session = requests.Session()
    # Retries are made here, not below: only here is known what may be repeated, and until when.
    adapter = HTTPAdapter(pool_connections=4, pool_maxsize=pool_size, max_retries=0)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return session


def _checked_base(base_url: str) -> str:
    try:
        parts = urlsplit(base_url.strip())
        port_is_valid = parts.port is None or parts.port > 0
    except ValueError:
        raise AddressInvalid(f"{base_url!r} is not a web address.") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or not port_is_valid:
        raise AddressInvalid(f"{base_url!r} is not a web address.")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise AddressInvalid("The hub's address holds a password, a query or a fragment.", hint="Leave that away.")
    return base_url.strip().rstrip("/")


def _with_query(path: str, params: Mapping[str, Any] | None) -> str:
    given = [(key, value) for key, value in (params or {}).items() if value is not None]
    if not given:
        return path
    query = urlencode([(key, _query_value(value)) for key, value in given], doseq=True)
    return f"{path}{'&' if '?' in path else '?'}{query}"


def _query_value(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    return [_query_value(item) for item in value] if isinstance(value, list | tuple) else str(value)


def _without_query(path: str) -> str:
    return path.split("?", 1)[0]


def _content_length(reply: requests.Response) -> int | None:
    text = reply.headers.get("Content-Length", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else None


def _range_start(content_range: str) -> int | None:
    unit, _, rest = content_range.partition(" ")
    first = rest.partition("-")[0].strip()
    return int(first) if unit == "bytes" and first.isascii() and first.isdigit() and len(first) < 20 else None


def _replayable(content: Content, length: int | None) -> tuple[Callable[[], Iterable[bytes]], int | None]:
    """A function that starts the chunks from the beginning, and how many bytes they are together."""
    if isinstance(content, bytes | bytearray | memoryview):
        whole = bytes(content)
        return lambda: _slices(whole), len(whole)
    if isinstance(content, Path):
        size = content.stat().st_size
        return lambda: _file_chunks(content.open("rb"), 0, size, close=True), size
    if callable(content):
        return content, length
    start = content.tell()
    if length is None:
        length = content.seek(0, 2) - start
    size = length
    return lambda: _file_chunks(content, start, size), size


def _slices(whole: bytes) -> Iterator[bytes]:
    view = memoryview(whole)
    for at in range(0, len(view), SENT_CHUNK_BYTES):
        yield bytes(view[at : at + SENT_CHUNK_BYTES])


def _file_chunks(file: BinaryIO, start: int, length: int, *, close: bool = False) -> Iterator[bytes]:
    try:
        file.seek(start)
        left = length
        while left > 0:
            chunk = file.read(min(SENT_CHUNK_BYTES, left))
            if not chunk:
                raise TransferBroken(f"The file became {left} bytes shorter while it was sent.", hint="Send it again.")
            left -= len(chunk)
            yield chunk
    finally:
        if close:
            file.close()


def _causes(error: BaseException) -> Iterator[BaseException]:
    """`error` and everything inside it: requests and urllib3 wrap the true cause several times."""
    pending: list[BaseException] = [error]
    seen: set[int] = set()
    while pending:
        one = pending.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        inner = (one.__cause__, one.__context__, getattr(one, "reason", None), *one.args)
        pending += [cause for cause in inner if isinstance(cause, BaseException)]


def _may_pass(failure: requests.RequestException) -> bool:
    """Whether the same request may succeed a moment later."""
    if isinstance(failure, requests.exceptions.SSLError):
        return False
    transport = (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError)
    return isinstance(failure, transport)


def _named(failure: requests.RequestException, base_url: str) -> VestalError:
    """The failure of a connection in our words, with the remedy that fits its cause."""
    host = urlsplit(base_url).hostname or base_url
    if isinstance(failure, requests.exceptions.SSLError):
        return _tls(failure, host)
    if isinstance(failure, requests.exceptions.ProxyError):
        return Unreachable(
            f"The proxy on the way to {host} did not let us through.",
            hint="Check the proxy in the configuration or in HTTPS_PROXY, and NO_PROXY.",
        )
    if isinstance(failure, requests.exceptions.ConnectTimeout):
        return Unreachable(f"{host} did not accept a connection in time.", hint="A firewall may be dropping packets.")
    if isinstance(failure, requests.Timeout):
        return Unreachable(f"{host} accepted the call and stayed silent.", hint="The hub may be overloaded; repeat it.")
    causes = list(_causes(failure))
    if any(isinstance(cause, socket.gaierror) for cause in causes) or "NameResolution" in repr(causes):
        return Unreachable(
            f"The name {host} cannot be resolved.", hint="Check the hub's address and this machine's DNS."
        )
    if any(isinstance(cause, ConnectionRefusedError) for cause in causes):
        return Unreachable(f"Nothing listens at {base_url}.", hint="Check the port, and whether the hub is running.")
    if isinstance(failure, requests.ConnectionError | requests.exceptions.ChunkedEncodingError):
        return Unreachable(f"The connection to {host} broke.")
    return UnexpectedAnswer(f"{host} answered in a way that HTTP does not know ({type(failure).__name__}).")


def _tls(failure: requests.exceptions.SSLError, host: str) -> TlsFailed:
    for cause in _causes(failure):
        if isinstance(cause, ssl.SSLCertVerificationError):
            reason = (cause.verify_message or "not valid").rstrip(".")
            return TlsFailed(f"The certificate of {host} could not be verified: {reason}.")
    if "WRONG_VERSION_NUMBER" in str(failure):
        return TlsFailed(f"{host} does not speak TLS at this port.", hint="Check the port, or whether it is http://.")
    return TlsFailed(f"No encrypted connection to {host} could be made.")
