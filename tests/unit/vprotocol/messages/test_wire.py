import pytest

from vprotocol.errors import BadMessage
from vprotocol.messages import Message, Page
from vprotocol.messages.documents import PayloadRef, SignedMessage
from vprotocol.messages.job import JobSubmit
from vprotocol.messages.run import RunResult
from vprotocol.messages.sync import SyncAnswer, SyncRequest

SIGNED = {"type": "vestal/plan/v1", "body": "AAAA", "key": "0" * 32, "signature": "AAAA"}


def test_unknown_fields_are_ignored_on_reading_and_never_written():
    read = SignedMessage.from_wire({**SIGNED, "from_the_future": 1})
    assert read.to_wire() == SIGNED
    assert SignedMessage.from_json(read.to_json()) == read


def test_messages_are_frozen():
    with pytest.raises(ValueError, match="frozen"):
        SignedMessage.from_wire(SIGNED).body = "BBBB"


def test_defaults_of_a_sync():
    request = SyncRequest.from_wire({"session": "12345678"})
    assert (request.want, request.wait_s, request.leases) == (0, 20.0, ())


@pytest.mark.parametrize(
    ("message", "raw", "place"),
    [
        (SignedMessage, b"", "/"),
        (SignedMessage, b"{", "/"),
        (SignedMessage, b"[]", "/"),
        (SignedMessage, b"[" * 10_000, "/"),
        (SignedMessage, b"{}", "/type"),
        (JobSubmit, b'{"plan":{}}', "/plan/type"),
        (
            JobSubmit,
            b'{"plan":{"type":"t","body":"!","key":"00000000000000000000000000000000","signature":""}}',
            "/plan/body",
        ),
        (PayloadRef, b'{"id":"AB","bytes_total":1}', "/id"),
        (PayloadRef, b'{"id":"' + b"0" * 64 + b'","bytes_total":-1}', "/bytes_total"),
        (PayloadRef, b'{"id":"' + b"0" * 64 + b'","bytes_total":"1"}', "/bytes_total"),
        (SyncRequest, b'{"session":"short"}', "/session"),
        (SyncRequest, b'{"session":"12345678","wait_s":1e9}', "/wait_s"),
        (SyncRequest, b'{"session":"12345678","wait_s":NaN}', "/wait_s"),
        (SyncRequest, b'{"session":"12345678","want":-1}', "/want"),
        (SyncRequest, b'{"session":"12345678","leases":[{"run":"1","token":"t"}]}', "/leases/0/run"),
        (SyncRequest, b'{"session":"12345678","leases":[{"run":1,"token":"t","progress":101}]}', "/leases/0/progress"),
        (SyncAnswer, b"{}", "/settings"),
        (RunResult, b'{"lease_token":"t"}', "/receipt"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(message, raw, place):
    with pytest.raises(BadMessage) as refused:
        message.from_json(raw)
    assert place in refused.value.fields


def test_a_refused_value_is_not_repeated():
    with pytest.raises(BadMessage) as refused:
        PayloadRef.from_wire({"id": "secret value", "bytes_total": 1})
    assert "secret value" not in str(refused.value) + str(refused.value.fields)


def test_a_page_is_typed_by_its_items():
    links = {"self": "/x", "first": "/x", "prev": None, "next": None}
    page = Page[SignedMessage].from_wire({"data": [SIGNED], "links": links, "total": 1})
    assert isinstance(page.data[0], Message) and page.to_wire()["links"] == links
