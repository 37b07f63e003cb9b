import copy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.unit.vprotocol.world import NOW, YEAR_S, A, B, private
from vprotocol import strict_json
from vprotocol.errors import HeadTooOld, IdentityChanged, KeyLogInvalid, KeyLogRolledBack, KeyRevoked, KeyUnknown
from vprotocol.keylog import CLOCK_SKEW_S, ENTRY_LIMIT_BYTES, CertifyEntry, HeadBody, IdentityEntry, KeyLog
from vprotocol.keys import KeyKind
from vprotocol.signed import DocumentType, Signed

NEW_ROOT = private(KeyKind.ROOT, "the next root of A")
SECOND_NODE = private(KeyKind.NODE, "a second node of A")


def entry(body, root=A.root, kind=DocumentType.KEY_LOG_ENTRY):
    raw = body if isinstance(body, bytes) else strict_json.canonical(body)
    return Signed.sign(kind, raw, root)


def identity(**changes):
    body = {
        "entry": "identity",
        "version": 1,
        "number": 0,
        "previous": None,
        "issued_at": NOW,
        "name": "Hospital A",
        "root": A.root.public.record(),
        "extensions": {},
    }
    return {**body, **changes}


def certify(log=A.log, **changes):
    body = {
        "entry": "certify",
        "version": 1,
        "number": len(log.entries),
        "previous": log.entries[-1].hash,
        "issued_at": NOW,
        "subject": "node 2",
        "key": SECOND_NODE.public.record(),
        "not_after": NOW + YEAR_S,
        "extensions": {},
    }
    return {**body, **changes}


def test_it_travels_and_comes_back_equal():
    assert KeyLog.from_wire(A.log.to_wire()) == A.log


def test_the_fingerprint_never_changes():
    log = A.log.certify(A.root, SECOND_NODE.public, "node 2", NOW, NOW + 1)
    log = log.append(
        entry(
            {
                "entry": "rotate-root",
                "version": 1,
                "number": log.number + 1,
                "previous": log.entries[-1].hash,
                "issued_at": NOW,
                "root": NEW_ROOT.public.record(),
                "extensions": {},
            }
        )
    )
    assert log.fingerprint == A.log.fingerprint == A.log.entries[0].hash
    with pytest.raises(KeyLogInvalid, match="not signed by the root"):
        log.revoke(A.root, SECOND_NODE.id, NOW)
    assert log.revoke(NEW_ROOT, SECOND_NODE.id, NOW).certificates[SECOND_NODE.id].revoked_at == NOW
    with pytest.raises(KeyLogInvalid, match="node key or the root"):
        log.sign_head(A.root, NOW)
    assert log.sign_head(NEW_ROOT, NOW).head is not None


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (identity(entry="certify"), "Extra inputs|Field required|extra"),
        (identity(entry="unknown"), "unknown kind"),
        (identity(entry=None), "unknown kind"),
        ([], "unknown kind"),
        (b"\xff", "UTF-8"),
        (identity(version=2), "version"),
        (identity(version=True), "one form"),
        (identity(number=1), "number"),
        (identity(number=False), "one form"),
        (identity(previous="0" * 64), "previous"),
        (identity(issued_at=-1), "issued_at"),
        (identity(name=""), "name"),
        (identity(name="x" * 201), "name"),
        (identity(name="Hospital\x1b[2J"), "control characters"),
        (identity(name="Hospital \u202eA"), "control characters"),
        (identity(name="Hospital\nwords: zebra"), "control characters"),
        (identity(root=A.node.public.record()), "no place"),
        (identity(root={"kind": "root"}), "has the fields"),
        (identity(root=[]), "root"),
        (identity(more=1), "more"),
        (strict_json.canonical(identity()) + b"\n", "canonical"),
        (strict_json.canonical({k: v for k, v in identity().items() if k != "version"}), "one form"),
        (identity(extensions={"x": "y" * ENTRY_LIMIT_BYTES}), "allowed"),
    ],
)
def test_an_identity_that_we_would_not_have_written_is_refused(body, says):
    with pytest.raises(KeyLogInvalid, match=says):
        KeyLog.verify([entry(body)])


@pytest.mark.parametrize("name", ["", "x" * 201, "two\nlines", "\x1b[2J", "\u202eA"])
def test_a_name_that_cannot_be_shown_is_refused_when_it_is_given(name):
    with pytest.raises(KeyLogInvalid, match="name"):
        KeyLog.create(A.root, name, NOW)
    with pytest.raises(KeyLogInvalid, match="subject"):
        A.log.certify(A.root, SECOND_NODE.public, name, NOW, NOW + 1)
    if name:
        with pytest.raises(KeyLogInvalid, match="reason"):
            A.log.revoke(A.root, A.user.id, NOW, name)


def test_an_identity_signed_by_another_is_refused():
    with pytest.raises(KeyLogInvalid, match="not signed by the root"):
        KeyLog.verify([entry(identity(), root=B.root)])
    forged = Signed(DocumentType.KEY_LOG_ENTRY, A.log.entries[0].body, A.root.id, bytes(64))
    with pytest.raises(KeyLogInvalid, match="not signed by the root"):
        KeyLog.verify([forged])


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (certify(number=9), "carries the number"),
        (certify(number=0), "number"),
        (certify(previous="0" * 64), "does not follow"),
        (certify(previous=None), "previous"),
        (certify(key=A.node.public.record()), "second time"),
        (certify(key=NEW_ROOT.public.record()), "no place"),
        (certify(key={}), "not the record"),
        (certify(subject="\x07"), "control characters"),
        (certify(not_after=2**60), "not_after|beyond"),
        (identity(), "carries the number"),
        (certify(entry="revoke", key_id="0" * 32, reason=""), "subject"),
    ],
)
def test_a_further_entry_that_does_not_fit_is_refused(body, says):
    with pytest.raises(KeyLogInvalid, match=says):
        A.log.append(entry(body))


def test_a_further_entry_signed_by_another_key_is_refused():
    for key in (B.root, A.node, NEW_ROOT):
        with pytest.raises(KeyLogInvalid, match="not signed by the root"):
            A.log.append(entry(certify(), root=key))
    with pytest.raises(KeyLogInvalid, match="not signed by the root"):
        A.log.append(entry(certify(), kind=DocumentType.KEY_LOG_HEAD))


def test_revoking_what_was_never_certified_is_refused():
    with pytest.raises(KeyUnknown):
        A.log.revoke(A.root, "0" * 32, NOW)
    body = {"entry": "revoke", "version": 1, "number": 4, "previous": A.log.entries[-1].hash}
    with pytest.raises(KeyLogInvalid, match="never certified"):
        A.log.append(entry({**body, "issued_at": NOW, "key_id": "0" * 32, "reason": "", "extensions": {}}))


def test_a_log_without_an_entry_or_that_begins_elsewhere_is_refused():
    with pytest.raises(KeyLogInvalid, match="at least"):
        KeyLog.verify([])
    with pytest.raises(KeyLogInvalid, match="must be the identity"):
        KeyLog.verify(A.log.entries[1:])


@pytest.mark.parametrize("order", [(0, 2, 1, 3), (0, 1, 3), (0, 1, 1, 2), (0, 0), (1, 0), (0, 3, 2, 1)])
def test_removed_doubled_and_reordered_entries_are_refused(order):
    with pytest.raises(KeyLogInvalid):
        KeyLog.verify([A.log.entries[number] for number in order])


def test_entries_of_two_logs_do_not_mix():
    with pytest.raises(KeyLogInvalid, match="does not follow"):
        KeyLog.verify([A.log.entries[0], *B.log.entries[1:]])


@pytest.mark.parametrize("wire", [None, [], {}, {"entries": {}}, {"entries": [1]}, {"entries": []}, {"entries": [{}]}])
def test_malformed_wire_is_refused(wire):
    with pytest.raises(KeyLogInvalid):
        KeyLog.from_wire(wire)


@settings(max_examples=300)
@given(number=st.integers(0, 4), position=st.integers(0, 2**31), change=st.integers(1, 255))
def test_any_changed_byte_of_an_entry_or_head_is_refused(number, position, change):
    def changed(signed):
        data = bytearray(signed.body + signed.signature)
        data[position % len(data)] ^= change
        return Signed(signed.type, bytes(data[: len(signed.body)]), signed.key, bytes(data[len(signed.body) :]))

    documents = [*A.log.entries, A.log.head]
    documents[number] = changed(documents[number])
    with pytest.raises(KeyLogInvalid):
        KeyLog.verify(documents[:4], documents[4])


# --- heads -----------------------------------------------------------------------------------------------------------
def head(key=A.node, kind=DocumentType.KEY_LOG_HEAD, **changes):
    body = {"version": 1, "fingerprint": A.fingerprint, "number": 3, "entry_hash": A.log.entries[-1].hash}
    return Signed.sign(kind, strict_json.canonical({**body, "issued_at": NOW, **changes}), key)


@pytest.mark.parametrize("key", [A.node, A.root], ids=["node", "root"])
def test_node_keys_and_the_root_sign_heads(key):
    A.log.sign_head(key, NOW).check_fresh(NOW + 7 * 86_400)


@pytest.mark.parametrize(
    ("signed", "error", "says"),
    [
        (head(key=A.user), KeyLogInvalid, "node key or the root"),
        (head(key=B.node), KeyLogInvalid, "node key or the root"),
        (head(key=B.root), KeyLogInvalid, "node key or the root"),
        (head(kind=DocumentType.RECEIPT), KeyLogInvalid, "is needed"),
        (head(fingerprint=B.fingerprint), KeyLogInvalid, "another key log"),
        (head(number=2), KeyLogRolledBack, "entry 2"),
        (head(number=4), KeyLogRolledBack, "entry 4"),
        (head(entry_hash="0" * 64), KeyLogRolledBack, "entry 3"),
        (head(version=2), KeyLogInvalid, "version"),
        (head(more=1), KeyLogInvalid, "more"),
        (head(issued_at=NOW - CLOCK_SKEW_S - 1), KeyLogInvalid, "older than the entry"),
        (head(issued_at=NOW + YEAR_S), KeyLogInvalid, "expired"),
    ],
)
def test_a_head_that_does_not_fit_is_refused(signed, error, says):
    with pytest.raises(error, match=says):
        A.log.with_head(signed)


def test_a_revoked_node_key_cannot_sign_a_head_over_its_own_revocation():
    log = A.log.revoke(A.root, A.node.id, NOW + 10_000)
    for issued_at in (NOW, NOW + 9_000, NOW + 9_800, NOW + 10_000, NOW + 50_000):
        with pytest.raises(KeyLogInvalid, match="older than the entry|was revoked"):
            log.sign_head(A.node, issued_at)
    assert log.sign_head(A.root, NOW + 10_000).head


@pytest.mark.parametrize("late_s", [7 * 86_400 + 1, -CLOCK_SKEW_S - 1])
def test_a_head_is_fresh_for_a_week(late_s):
    A.log.check_fresh(NOW)
    with pytest.raises(HeadTooOld):
        A.log.check_fresh(NOW + late_s)
    with pytest.raises(HeadTooOld, match="no signed head"):
        KeyLog.verify(A.log.entries).check_fresh(NOW)


# --- what was seen before --------------------------------------------------------------------------------------------
def test_a_log_continues_what_was_seen():
    seen = (A.fingerprint, 3, A.log.entries[3].hash)
    longer = A.log.certify(A.root, SECOND_NODE.public, "node 2", NOW, NOW + 1)
    longer.check_continues(*seen)
    with pytest.raises(IdentityChanged):
        B.log.check_continues(*seen)
    with pytest.raises(KeyLogRolledBack):
        KeyLog.verify(A.log.entries[:3]).check_continues(*seen)


def test_another_history_of_the_same_identity_is_refused():
    one = A.log.certify(A.root, SECOND_NODE.public, "node 2", NOW, NOW + 1)
    other = A.log.revoke(A.root, A.user.id, NOW)
    with pytest.raises(IdentityChanged, match="not the one that was seen"):
        other.check_continues(one.fingerprint, one.number, one.entries[-1].hash)


# --- certificates ----------------------------------------------------------------------------------------------------
def test_a_key_counts_as_its_kind_until_its_end():
    assert A.log.certificate(A.node.id, KeyKind.NODE, NOW + YEAR_S - 1).key == A.node.public
    for kind in set(KeyKind) - {KeyKind.NODE}:
        with pytest.raises(KeyUnknown, match="not certified as"):
            A.log.certificate(A.node.id, kind, NOW)
    with pytest.raises(KeyUnknown):
        A.log.certificate(B.node.id, KeyKind.NODE, NOW)
    with pytest.raises(KeyRevoked, match="expired"):
        A.log.certificate(A.node.id, KeyKind.NODE, NOW + YEAR_S)


def test_a_revoked_key_is_refused_even_by_a_slow_clock():
    log = A.log.revoke(A.root, A.user.id, NOW + 1000)
    log.certificate(A.user.id, KeyKind.USER, NOW + 1000 - CLOCK_SKEW_S - 1)
    with pytest.raises(KeyRevoked, match="was revoked"):
        log.certificate(A.user.id, KeyKind.USER, NOW + 1000 - CLOCK_SKEW_S)
    assert not log.valid(KeyKind.USER, NOW + 1000)


def test_a_later_revocation_does_not_postpone_the_first():
    log = A.log.revoke(A.root, A.user.id, NOW).revoke(A.root, A.user.id, NOW + 10**6)
    assert log.certificates[A.user.id].revoked_at == NOW


def test_sealing_is_for_the_newest_organization_key():
    newer = private(KeyKind.ORGANIZATION, "a newer one of A")
    log = A.log.certify(A.root, newer.public, "organization", NOW, NOW + 100)
    assert log.organization_key(NOW) == newer.public
    assert log.organization_key(NOW + 100) == A.organization.public
    with pytest.raises(KeyUnknown, match="no valid organization key"):
        log.organization_key(NOW + YEAR_S)


class LogMachine(RuleBasedStateMachine):
    """Any history of certifying, revoking and rotating, beside the simplest model: two dictionaries."""

    @initialize()
    def create(self):
        self.roots = [private(KeyKind.ROOT, "model 0")]
        self.log = KeyLog.create(self.roots[0], "Model", NOW)
        self.fingerprint = self.log.fingerprint
        self.kinds, self.revoked, self.now = {}, {}, NOW

    @rule(kind=st.sampled_from([KeyKind.ORGANIZATION, KeyKind.NODE, KeyKind.USER]), wait=st.integers(0, 1000))
    def certify(self, kind, wait):
        self.now += wait
        key = private(kind, f"model {len(self.kinds)}").public
        self.log = self.log.certify(self.roots[-1], key, "somebody", self.now, self.now + YEAR_S)
        self.kinds[key.id] = kind

    @precondition(lambda self: self.kinds)
    @rule(which=st.integers(0, 10**6), wait=st.integers(0, 1000))
    def revoke(self, which, wait):
        self.now += wait
        key_id = list(self.kinds)[which % len(self.kinds)]
        self.log = self.log.revoke(self.roots[-1], key_id, self.now)
        self.revoked.setdefault(key_id, self.now)

    @rule()
    def rotate(self):
        self.roots.append(private(KeyKind.ROOT, f"model {len(self.roots)}"))
        body = {"entry": "rotate-root", "version": 1, "number": len(self.log.entries), "issued_at": self.now}
        body |= {"previous": self.log.entries[-1].hash, "root": self.roots[-1].public.record(), "extensions": {}}
        self.log = self.log.append(entry(body, self.roots[-2]))

    @precondition(lambda self: len(self.roots) > 1)
    @rule(which=st.integers(0, 10**6))
    def an_old_root_is_refused(self, which):
        old = self.roots[which % (len(self.roots) - 1)]
        with pytest.raises(KeyLogInvalid):
            self.log.certify(old, SECOND_NODE.public, "intruder", self.now, self.now + 1)

    @invariant()
    def the_log_agrees_with_the_model(self):
        assert self.log.fingerprint == self.fingerprint
        assert {key: found.key.kind for key, found in self.log.certificates.items()} == self.kinds
        assert {k: c.revoked_at for k, c in self.log.certificates.items() if c.revoked_at is not None} == self.revoked

    def teardown(self):
        if hasattr(self, "log"):
            assert KeyLog.from_wire(copy.deepcopy(self.log.to_wire())) == self.log


LogMachine.TestCase.settings = settings(max_examples=15, stateful_step_count=12, deadline=None)
test_any_history = LogMachine.TestCase


def test_entries_are_pinned_to_their_fields():
    assert set(IdentityEntry.model_fields) == {
        "entry", "version", "number", "previous", "issued_at", "name", "root", "extensions",
    }  # fmt: skip
    assert set(CertifyEntry.model_fields) == set(certify())
    assert set(HeadBody.model_fields) == {"version", "fingerprint", "number", "entry_hash", "issued_at"}
