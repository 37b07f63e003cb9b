import io
import json
import threading

import pytest
import requests
from requests.adapters import BaseAdapter
from requests.exceptions import ChunkedEncodingError

from tests.wsgi_adapter import WsgiAdapter
from vprotocol.errors import (
    Conflict,
    DeadlineExceeded,
    IllegalTransition,
    NotAuthenticated,
    NotFound,
    TlsFailed,
    Unavailable,
    VestalError,
)
from vruntime import logs
from vruntime.clock import ManualClock
from vruntime.http import AddressInvalid, Http, TransferBroken, UnexpectedAnswer, Unreachable, new_key


# --- a hub of a few lines ---------------------------------------------------------------------------------------------
class Hub:
    """A WSGI application that answers from a table and remembers what it was sent."""

    def __init__(self, **routes):
        self.routes = routes
        self.requests = []

    def __call__(self, environ, start_response):
        path = environ["PATH_INFO"].removeprefix("/api/v1/")
        body = environ["wsgi.input"].read()
        self.requests.append((environ, body))
        status, headers, answer = self.routes[path](environ, body)
        start_response(f"{status} X", list(headers))
        return answer

    def headers(self, name):
        return [environ.get(f"HTTP_{name}") for environ, _ in self.requests]


def says(value, status=200, **headers):
    given = [("Content-Type", "application/json"), *((key.replace("_", "-"), text) for key, text in headers.items())]
    return lambda environ, body: (status, given, [json.dumps(value).encode()])


def in_turn(*answers):
    left = list(answers)
    return lambda environ, body: left.pop(0)(environ, body)


def connect(app, **settings):
    session = requests.Session()
    session.mount("http://hub", WsgiAdapter(app))
    settings.setdefault("clock", ManualClock())
    return Http("http://hub/api/v1", session=session, jitter=lambda: 1.0, **settings)


def refusal(error, status=409):
    return says(error.to_wire("req-1"), status)


class Broken(BaseAdapter):
    """A network that answers from a script of exceptions and statuses."""

    def __init__(self, *script):
        super().__init__()
        self.script, self.sent, self.timeouts = list(script), [], []

    def send(self, request, timeout=None, **_):
        self.sent.append(request)
        self.timeouts.append(timeout)
        step = self.script.pop(0)
        if isinstance(step, Exception):
            raise step
        reply = requests.Response()
        reply.status_code, reply.request, reply.url = step, request, request.url
        reply.raw = io.BytesIO(b'{"ok": 1}' if step < 300 else b"<html>gateway</html>")
        return reply

    def close(self):
        pass


def broken(*script, **settings):
    session, adapter = requests.Session(), Broken(*script)
    session.mount("http://hub", adapter)
    settings.setdefault("clock", ManualClock())
    return Http("http://hub", session=session, jitter=lambda: 1.0, **settings), adapter


# --- JSON -------------------------------------------------------------------------------------------------------------
def test_a_call_sends_and_receives_json():
    hub = Hub(job=lambda environ, body: (201, [("Content-Type", "application/json"), ("ETag", '"7"')], [body]))
    answer = connect(hub).exchange("POST", "/job", json={"name": "é"}, params={"a": [1, 2], "b": True, "c": None})
    assert (answer.status, answer.body, answer.headers["etag"]) == (201, {"name": "é"}, '"7"')
    assert hub.requests[0][0]["QUERY_STRING"] == "a=1&a=2&b=true"
    assert hub.requests[0][0]["CONTENT_TYPE"] == "application/json"


def test_an_empty_answer_is_none():
    assert connect(Hub(job=lambda environ, body: (204, [], []))).delete("/job") is None


def test_links_are_followed_as_the_hub_writes_them():
    hub = connect(Hub(job=says(1)))
    assert [hub.get(path) for path in ("job", "/job", "/api/v1/job", "http://hub/api/v1/job")] == [1, 1, 1, 1]


def test_a_link_to_elsewhere_is_not_followed():
    with pytest.raises(UnexpectedAnswer, match="leads away"):
        connect(Hub()).get("http://evil/api/v1/job")


def test_the_client_raises_the_class_that_the_hub_raised():
    hub = connect(Hub(run=refusal(IllegalTransition("no", hint="wait", fields={"state": "failed"}))))
    with pytest.raises(IllegalTransition, match="no") as raised:
        hub.post("/run")
    error = raised.value
    assert (error.hint, error.fields, error.request_id) == ("wait", {"state": "failed"}, "req-1")
    assert isinstance(error, Conflict)


def test_an_error_that_this_version_does_not_know_is_still_readable():
    wire = {"error": {"code": "from_the_future", "message": "too new", "hint": None, "fields": {}, "request_id": None}}
    with pytest.raises(VestalError, match="too new"):
        connect(Hub(run=says(wire, 418))).get("/run")


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"error": "x"}', b"", b"[" * 100_000])
def test_an_answer_that_is_no_hubs_is_named(body):
    with pytest.raises(UnexpectedAnswer, match="not in a hub's words"):
        connect(Hub(run=lambda environ, _: (404, [], [body]))).get("/run")


def test_a_page_instead_of_json_is_named():
    with pytest.raises(UnexpectedAnswer, match="not JSON"):
        connect(Hub(run=lambda environ, _: (200, [], [b"<html>Please log in</html>"]))).get("/run")


def test_a_redirect_is_refused_and_its_target_named():
    hub = Hub(run=lambda environ, _: (302, [("Location", "https://other.example/run")], []))
    with pytest.raises(UnexpectedAnswer, match="https://other.example"):
        connect(hub).get("/run")
    assert len(hub.requests) == 1


def test_an_endless_answer_is_cut_off(monkeypatch):
    monkeypatch.setattr("vruntime.http.MAX_JSON_BYTES", 1000)
    with pytest.raises(UnexpectedAnswer, match="larger"):
        connect(Hub(run=lambda environ, _: (200, [], iter(lambda: b"x" * 100, b"")))).get("/run")


def test_the_request_id_travels():
    hub = Hub(run=says(1))
    with logs.bound(request_id="abc"):
        connect(hub).get("/run")
    assert hub.headers("X_REQUEST_ID") == ["abc"]


@pytest.mark.parametrize("address", ["hub", "ftp://hub", "http://", "http://u:p@hub", "http://hub:x", "http://hub?a=1"])
def test_an_address_that_is_none_is_refused_at_once(address):
    with pytest.raises(AddressInvalid):
        Http(address)


# --- repeating --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("method", "once", "script", "outcome"),
    [
        ("GET", None, [503, requests.ConnectionError("x"), 200], {"ok": 1}),
        ("PUT", None, [ChunkedEncodingError("x"), 200], {"ok": 1}),
        ("POST", "k1", [requests.ConnectionError("x"), requests.ReadTimeout("x"), 200], {"ok": 1}),
        ("POST", None, [requests.ConnectionError("x")], Unreachable),
        ("POST", None, [503], Unreachable),
        ("PATCH", None, [requests.ReadTimeout("x")], Unreachable),
        ("GET", None, [500], UnexpectedAnswer),
        ("GET", None, [requests.exceptions.SSLError("x")], TlsFailed),
    ],
)
def test_only_what_is_safe_is_repeated(method, once, script, outcome):
    http, network = broken(*script)
    if isinstance(outcome, dict):
        assert http.call(method, "/x", once=once) == outcome
    else:
        with pytest.raises(outcome):
            http.call(method, "/x", once=once)
    assert network.script == [], "every step of the script was used, and no more"
    assert {request.headers.get("Idempotency-Key") for request in network.sent} == {once}


def test_all_attempts_share_one_deadline():
    clock = ManualClock()
    http, network = broken(*[requests.ConnectionError("x")] * 100, clock=clock, deadline_s=30)
    with pytest.raises(Unreachable):
        http.get("/x")
    assert clock.monotonic() < 30
    assert clock.naps == [0.25, 0.5, 1, 2, 4, 8]
    assert len(network.sent) == 7


def test_the_last_attempt_may_not_take_longer_than_what_is_left():
    clock = ManualClock()
    http, network = broken(503, 200, clock=clock, deadline_s=10, timeout=(5, 60))
    http.get("/x")
    assert network.timeouts == [(5, 10), (5, 9.75)]


def test_retry_after_is_honoured():
    clock = ManualClock()
    hub = Hub(x=in_turn(says(Unavailable().to_wire(), 503, Retry_After="7"), says(1)))
    assert connect(hub, clock=clock).get("/x") == 1
    assert clock.naps == [7]


def test_retry_after_may_be_a_date():
    clock = ManualClock(now=784111777)  # Sun, 06 Nov 1994 08:49:37 GMT
    late = says(Unavailable().to_wire(), 503, Retry_After="Sun, 06 Nov 1994 08:49:47 GMT")
    assert connect(Hub(x=in_turn(late, says(1))), clock=clock).get("/x") == 1
    assert clock.naps == [10]


def test_a_retry_after_beyond_the_deadline_ends_it_now_with_the_hubs_own_error():
    clock = ManualClock()
    hub = Hub(x=says(Unavailable("maintenance").to_wire(), 503, Retry_After="3600"))
    with pytest.raises(Unavailable, match="maintenance"):
        connect(hub, clock=clock).get("/x")
    assert clock.naps == []


def test_a_body_that_drips_for_ever_meets_the_deadline():
    clock = ManualClock()

    def drip():
        while True:
            clock.advance(1)
            yield b" "

    with pytest.raises(DeadlineExceeded):
        connect(Hub(x=lambda environ, body: (200, [], drip())), clock=clock, deadline_s=20).get("/x")


@pytest.mark.parametrize(
    ("failure", "said"),
    [
        (requests.exceptions.ProxyError("x"), "proxy"),
        (requests.exceptions.ConnectTimeout("x"), "did not accept"),
        (requests.exceptions.ReadTimeout("x"), "stayed silent"),
        (requests.ConnectionError(ConnectionRefusedError(111, "refused")), "Nothing listens"),
        (requests.ConnectionError("x"), "broke"),
    ],
)
def test_a_failure_is_named_by_its_cause_and_has_a_remedy(failure, said):
    http, _ = broken(failure)
    with pytest.raises(Unreachable, match=said) as raised:
        http.post("/x")
    assert raised.value.hint
    assert raised.value.__cause__ is failure


# --- long polls -------------------------------------------------------------------------------------------------------
def test_a_long_poll_waits_as_long_as_the_hub_may_and_a_margin():
    http, network = broken(200, deadline_s=20)
    http.long_poll("POST", "/node/sync", json={}, wait_s=50, margin_s=10)
    assert network.timeouts == [(5.0, 60)]


def test_a_long_poll_is_answered_while_it_is_held():
    happened = threading.Event()

    def hold(environ, body):
        assert happened.wait(10)
        return says(["run"])(environ, body)

    def wake(environ, body):
        happened.set()
        return says("done")(environ, body)

    http, answers = connect(Hub(sync=hold, wake=wake)), []
    waiter = threading.Thread(target=lambda: answers.append(http.long_poll("POST", "/sync", wait_s=5)))
    waiter.start()
    http.post("/wake")
    waiter.join(10)
    assert answers == [["run"]]


# --- tokens -----------------------------------------------------------------------------------------------------------
class Tokens:
    def __init__(self, *fresh):
        self.present, self.fresh, self.refreshed = "old", list(fresh), 0

    def token(self):
        return self.present

    def refresh(self, rejected):
        assert rejected == self.present
        self.refreshed += 1
        if not self.fresh:
            raise NotAuthenticated
        self.present = self.fresh.pop(0)
        return self.present


def guarded(environ, body):
    if environ.get("HTTP_AUTHORIZATION") == "Bearer new":
        return says(body.decode() or "in")(environ, body)
    return refusal(NotAuthenticated("expired"), 401)(environ, body)


def test_an_expired_token_is_refreshed_once_and_the_call_repeated_even_if_it_is_not_safe():
    tokens, hub = Tokens("new"), Hub(x=guarded)
    assert connect(hub, tokens=tokens).post("/x", json=1) == "1"
    assert (tokens.refreshed, hub.headers("AUTHORIZATION")) == (1, ["Bearer old", "Bearer new"])


@pytest.mark.parametrize("fresh", [[], ["also wrong"]])
def test_if_that_does_not_help_the_hubs_refusal_comes_out(fresh):
    tokens = Tokens(*fresh)
    with pytest.raises(NotAuthenticated, match="expired"):
        connect(Hub(x=guarded), tokens=tokens).get("/x")
    assert tokens.refreshed == 1


def test_many_threads_with_an_expired_token_refresh_it_once():
    together, tokens = threading.Barrier(8), Tokens("new")

    def guarded_together(environ, body):
        if environ["HTTP_AUTHORIZATION"] == "Bearer old":
            together.wait(10)
        return guarded(environ, body)

    http, answers = connect(Hub(x=guarded_together), tokens=tokens), []
    threads = [threading.Thread(target=lambda: answers.append(http.get("/x"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert answers == ["in"] * 8
    assert tokens.refreshed == 1


def test_an_anonymous_call_carries_no_token():
    hub = Hub(x=says(1))
    connect(hub, tokens=Tokens()).post("/x", anonymous=True)
    assert hub.headers("AUTHORIZATION") == [None]


def test_a_password_in_netrc_never_replaces_the_token(tmp_path, monkeypatch):
    (tmp_path / "netrc").write_text("machine hub login a password b")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    hub = Hub(x=guarded)
    with pytest.raises(NotAuthenticated):
        connect(hub).get("/x")
    assert hub.headers("AUTHORIZATION") == [None]


def test_cookies_are_not_kept():
    hub = Hub(x=says(1, Set_Cookie="a=b; Path=/"))
    http = connect(hub)
    http.get("/x")
    http.get("/x")
    assert hub.headers("COOKIE") == [None, None]


# --- downloads --------------------------------------------------------------------------------------------------------
CONTENT = bytes(range(256)) * 400


@pytest.fixture
def small_chunks(monkeypatch):
    monkeypatch.setattr("vruntime.http.CHUNK_BYTES", 1000)


def ranged(environ, body, content=CONTENT, etag='"1"'):
    asked = environ.get("HTTP_RANGE")
    if asked is None:
        return 200, [("Content-Length", str(len(content))), ("ETag", etag)], [content]
    first, _, last = asked.removeprefix("bytes=").partition("-")
    part = content[int(first) : int(last) + 1 if last else None]
    where = f"bytes {first}-{int(first) + len(part) - 1}/{len(content)}"
    return 206, [("Content-Length", str(len(part))), ("Content-Range", where), ("ETag", etag)], [part]


def cut_after(count, answer=ranged):
    def cut(environ, body):
        status, headers, (whole,) = answer(environ, body)

        def until_it_breaks():
            yield whole[:count]
            raise OSError("the cable was pulled")

        return status, headers, until_it_breaks()

    return cut


def short_after(count):
    """The connection ends early without an exception."""

    def short(environ, body):
        status, headers, (whole,) = ranged(environ, body)
        return status, headers, [whole[:count]]

    return short


@pytest.mark.parametrize(("offset", "length"), [(0, None), (0, 10), (1000, None), (1000, 50_000), (0, len(CONTENT))])
def test_a_download_brings_the_range_that_was_asked_for(offset, length):
    sink = io.BytesIO()
    brought = connect(Hub(payload=ranged)).download("/payload", sink, offset=offset, length=length)
    expected = CONTENT[offset : None if length is None else offset + length]
    assert sink.getvalue() == expected
    assert brought.count_bytes == len(expected)


@pytest.mark.parametrize("breaking", [cut_after, short_after])
def test_a_download_that_breaks_is_taken_up_where_it_broke(breaking, small_chunks):
    sink, hub = io.BytesIO(), Hub(payload=in_turn(breaking(30_000), breaking(5000), ranged))
    connect(hub).download("/payload", sink, offset=100)
    assert sink.getvalue() == CONTENT[100:]
    assert hub.headers("RANGE") == ["bytes=100-", "bytes=30100-", "bytes=35100-"]


def test_a_download_that_makes_no_progress_gives_up():
    clock, hub = ManualClock(), Hub(payload=cut_after(0))
    with pytest.raises(TransferBroken):
        connect(hub, clock=clock).download("/payload", io.BytesIO())
    assert len(hub.requests) == 5


def test_content_that_changes_in_the_middle_is_refused(small_chunks):
    changed = lambda environ, body: ranged(environ, body, etag='"2"')  # noqa: E731
    with pytest.raises(TransferBroken, match="changed"):
        connect(Hub(payload=in_turn(cut_after(2000), changed))).download("/payload", io.BytesIO())


def test_a_server_without_ranges_is_understood():
    sink = io.BytesIO()
    whole = lambda environ, body: (200, [("Content-Length", str(len(CONTENT)))], [CONTENT])  # noqa: E731
    connect(Hub(payload=whole)).download("/payload", sink, offset=500, length=700)
    assert sink.getvalue() == CONTENT[500:1200]


def test_the_wrong_range_is_refused():
    wrong = lambda environ, body: (206, [("Content-Range", "bytes 0-9/100")], [b"x" * 10])  # noqa: E731
    with pytest.raises(UnexpectedAnswer, match="bytes from 0"):
        connect(Hub(payload=wrong)).download("/payload", io.BytesIO(), offset=50)


@pytest.mark.parametrize("announced", [True, False])
def test_more_than_was_expected_is_refused(announced):
    sink = io.BytesIO()
    headers = [("Content-Length", str(len(CONTENT)))] if announced else []
    with pytest.raises(UnexpectedAnswer, match="larger"):
        connect(Hub(payload=lambda environ, body: (200, headers, [CONTENT]))).download("/payload", sink, max_bytes=999)
    assert len(sink.getvalue()) <= 999


def test_an_error_of_a_download_is_the_hubs():
    with pytest.raises(NotFound):
        connect(Hub(payload=refusal(NotFound(), 404))).download("/payload", io.BytesIO())


# --- uploads ----------------------------------------------------------------------------------------------------------
def received(environ, body):
    return says([len(body), environ.get("CONTENT_LENGTH"), environ.get("HTTP_TRANSFER_ENCODING")])(environ, body)


def test_bytes_files_paths_and_chunks_can_be_uploaded(tmp_path):
    (tmp_path / "file").write_bytes(CONTENT)
    file = io.BytesIO(b"skipped" + CONTENT)
    file.seek(7)
    chunks = lambda: iter([CONTENT[:5], CONTENT[5:]])  # noqa: E731
    hub = Hub(segment=received)
    size = str(len(CONTENT))
    http = connect(hub)
    assert http.upload("/segment", CONTENT) == [len(CONTENT), size, None]
    assert http.upload("/segment", file) == [len(CONTENT), size, None]
    assert http.upload("/segment", tmp_path / "file") == [len(CONTENT), size, None]
    assert http.upload("/segment", chunks, length=len(CONTENT)) == [len(CONTENT), size, None]
    assert http.upload("/segment", chunks) == [len(CONTENT), None, "chunked"]
    assert http.upload("/segment", b"") == [0, "0", None]
    assert all(body == CONTENT for _, body in hub.requests[:-1])


def test_an_upload_that_fails_is_sent_again_from_its_beginning():
    file, hub = io.BytesIO(CONTENT), Hub(segment=in_turn(says({}, 503), received))
    assert connect(hub).upload("/segment", file)[0] == len(CONTENT)
    assert [body for _, body in hub.requests] == [CONTENT, CONTENT]


def test_an_upload_by_post_is_sent_again_only_with_a_key():
    with pytest.raises(Unreachable):
        connect(Hub(segment=says({}, 503))).upload("/segment", b"x", method="POST")
    hub = Hub(segment=in_turn(says({}, 503), received))
    connect(hub).upload("/segment", b"x", method="POST", once=new_key())
    assert len(set(hub.headers("IDEMPOTENCY_KEY"))) == 1


def test_a_file_that_shrinks_while_it_is_sent_is_named(tmp_path):
    class Shrinking(io.BytesIO):
        def read(self, size=-1):
            return b""

    with pytest.raises(TransferBroken, match="shorter"):
        connect(Hub(segment=received)).upload("/segment", Shrinking(b"abc"), length=3)
