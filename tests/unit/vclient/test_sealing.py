"""The user key: what it seals only its readers open, and it opens only what is in its place."""

import io

import pytest

from vclient.errors import NoUserKey
from vclient.sealing import UserKey
from vprotocol import places
from vprotocol.envelope import PayloadKind, Suite, open_bytes, seal_bytes
from vprotocol.errors import EnvelopeError, KeyFileInvalid, NotForThisKey, TrustError, WrongContext
from vprotocol.keys import KeyKind, PrivateKey
from vprotocol.messages.orders import Order
from vprotocol.paths import TaskPath
from vprotocol.plan import Party
from vprotocol.receipt import Receipt, ReceiptOutput
from vprotocol.subtask import RunName

OWN, SITE = "a" * 64, "b" * 64
ORDER = Order("average", ["age"], {"bins": 10})


@pytest.fixture
def key(tmp_path) -> UserKey:
    return UserKey.new(tmp_path / "keys" / "user.key", "ada")


def sealed_order(key: UserKey, readers, suite=Suite.XWING) -> bytes:
    sink = io.BytesIO()
    key.seal_order(ORDER, "main", OWN, [reader.public for reader in readers], suite, sink)
    return sink.getvalue()


def opened(data: bytes, key: UserKey, reader: PrivateKey, path: str = "main", suite=Suite.XWING) -> Order:
    context = places.root_order(TaskPath(path), Party(organization=OWN, key=key.id), suite)
    return Order.decode(open_bytes(data, reader=reader, sender=key.public, expected=context, min_suite=suite))


def test_one_sealed_order_opens_at_every_organization_it_is_for(key):
    sites = [PrivateKey.generate(KeyKind.ORGANIZATION) for _ in range(3)]
    data = sealed_order(key, sites)
    for site in sites:
        assert opened(data, key, site) == ORDER
    with pytest.raises(NotForThisKey):
        opened(data, key, PrivateKey.generate(KeyKind.ORGANIZATION))


def test_an_order_belongs_to_its_step(key):
    site = PrivateKey.generate(KeyKind.ORGANIZATION)
    with pytest.raises(WrongContext):
        opened(sealed_order(key, [site]), key, site, path="other")


def test_an_open_order_is_readable_and_signed_all_the_same(key):
    site = PrivateKey.generate(KeyKind.ORGANIZATION)
    data = sealed_order(key, [site], Suite.OPEN)
    assert b"average" in data
    assert opened(data, key, site, suite=Suite.OPEN) == ORDER
    with pytest.raises(EnvelopeError):
        opened(data.replace(b"average", b"maximum"), key, site, suite=Suite.OPEN)


def receipt(**changes) -> Receipt:
    return Receipt(
        plan="c" * 64,
        run=RunName(path="main[0]", organization=SITE, **changes),
        state="completed",
        image="sha256:" + "d" * 64,
        executor="scripted",
        finished_at=1,
        order="e" * 64,
        outputs=(ReceiptOutput(name="output", payload="f" * 64),),
    )


def outcome(key: UserKey, node: PrivateKey, about: Receipt):
    context = places.produced(PayloadKind.OUTCOME, about.run, about.plan, node.id, Suite.XWING)
    return seal_bytes(b"42", context, [key.public], node)


def open_outcome(key: UserKey, node: PrivateKey, about: Receipt, data: bytes, payload: str, kind=PayloadKind.OUTCOME):
    sink = io.BytesIO()
    key.open(
        io.BytesIO(data),
        sink,
        kind=kind,
        receipt=about,
        node=node.public,
        payload=payload,
        min_suite=Suite.XWING,
    )
    return sink.getvalue()


def test_an_outcome_opens_in_its_place_only(key):
    node = PrivateKey.generate(KeyKind.NODE)
    data, sealed = outcome(key, node, receipt())
    assert open_outcome(key, node, receipt(), data, sealed.id) == b"42"
    for elsewhere in (receipt(attempt=2), receipt(generation=1)):
        with pytest.raises(WrongContext):
            open_outcome(key, node, elsewhere, data, sealed.id)
    with pytest.raises(WrongContext):
        open_outcome(key, node, receipt(), data, sealed.id, PayloadKind.LOG)
    with pytest.raises(WrongContext):
        open_outcome(key, node, receipt(), data, "0" * 64)
    with pytest.raises(WrongContext):
        open_outcome(key, PrivateKey.generate(KeyKind.NODE), receipt(), data, sealed.id)


def test_every_changed_byte_is_refused(key):
    node = PrivateKey.generate(KeyKind.NODE)
    data, sealed = outcome(key, node, receipt())
    for at in range(0, len(data), 97):
        changed = bytearray(data)
        changed[at] ^= 1
        with pytest.raises(TrustError):
            open_outcome(key, node, receipt(), bytes(changed), sealed.id)


def test_a_key_is_made_once_and_read_by_its_owner_only(tmp_path, key):
    path = tmp_path / "keys" / "user.key"
    assert UserKey.read(path).id == key.id
    with pytest.raises(KeyFileInvalid, match="never overwritten"):
        UserKey.new(path, "ada")
    path.chmod(0o644)
    with pytest.raises(KeyFileInvalid, match="others can read"):
        UserKey.read(path)
    with pytest.raises(NoUserKey):
        UserKey.read(tmp_path / "nothing")


def test_a_key_never_shows_its_secret(tmp_path, key):
    secret = (tmp_path / "keys" / "user.key").read_text().splitlines()[-1]
    assert secret.split("-")[-1] not in repr(key)
    assert repr(key._private.seed) not in repr(key)
