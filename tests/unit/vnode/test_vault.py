"""The node's keys: whom it seals for, and what it opens."""

import io
from pathlib import Path

import pytest

from tests.unit.vnode.twins import Everybody, plan_of
from tests.unit.vprotocol.world import NOW, A, B, private
from vnode.vault import Vault, new_keys, suite_of
from vprotocol import places
from vprotocol.envelope import PayloadKind, Suite, inspect, seal
from vprotocol.errors import (
    Damaged,
    EnvelopeError,
    KeyFileInvalid,
    KeyUnknown,
    NotForThisKey,
    PlanMismatch,
    SuiteRefused,
    VestalError,
)
from vprotocol.keys import KeyKind
from vprotocol.paths import TaskPath
from vprotocol.plan import ExpectedOutput, Limits, Party, expected_root_run
from vprotocol.subtask import RunName, Subtask, SubtaskTarget
from vruntime.keyfiles import write_key

PARTY = Party(organization=A.fingerprint, key=A.user.id)


@pytest.fixture
def vault() -> Vault:
    return Vault(A.organization, A.node, A.log, Everybody())  # type: ignore[arg-type]


def order(suite: Suite = Suite.XWING, reader=A.organization.public, sender=A.user) -> tuple[str, io.BytesIO]:
    sink = io.BytesIO()
    party = Party(organization=A.fingerprint, key=A.user.id)
    context = places.root_order(TaskPath("main"), party, suite)
    sealed = seal(io.BytesIO(b"order"), sink, context, [] if suite is Suite.OPEN else [reader], sender)
    sink.seek(0)
    return sealed.id, sink


def opened(vault: Vault, order_id: str, sealed: io.BytesIO, least: Suite = Suite.XWING) -> bytes:
    plan, content = plan_of(order_id), io.BytesIO()
    run = expected_root_run(plan.plan, TaskPath("main"), A.fingerprint)
    try:
        vault.open_order(run, plan.hash, 0, sealed, content, least)
    except VestalError:
        assert content.getvalue() == b"", "nothing leaves it before everything was checked"
        raise
    return content.getvalue()


def test_an_order_is_opened_from_whom_the_plan_names(vault: Vault) -> None:
    assert opened(vault, *order()) == b"order"


def test_an_order_for_another_key_is_not_opened(vault: Vault) -> None:
    with pytest.raises(NotForThisKey):
        opened(vault, *order(reader=B.organization.public))


def test_an_unsealed_order_is_refused_unless_the_nodes_own_file_allows_it(vault: Vault) -> None:
    with pytest.raises(SuiteRefused):
        opened(vault, *order(Suite.OPEN))
    assert opened(vault, *order(Suite.OPEN), least=Suite.OPEN) == b"order"


def test_another_payload_under_the_name_of_this_is_refused(vault: Vault) -> None:
    order_id, _ = order()
    _, other = order()
    with pytest.raises(EnvelopeError):
        opened(vault, order_id, other)


@pytest.mark.parametrize("sealed", [b"", b"x", b"\0" * 10_000])
def test_what_is_no_payload_has_no_suite(sealed: bytes) -> None:
    with pytest.raises(Damaged):
        suite_of(io.BytesIO(sealed))


def test_an_output_is_sealed_for_exactly_the_readers_of_the_plan(vault: Vault) -> None:
    sink = io.BytesIO()
    output = ExpectedOutput(name="output", organizations=(B.fingerprint,), parties=(PARTY,))
    run = RunName(path="main[0]", organization=A.fingerprint)
    vault.seal_output(run, "0" * 64, output, Suite.XWING, io.BytesIO(b"1"), sink)
    header = inspect(io.BytesIO(sink.getvalue())).header
    assert header.kind is PayloadKind.OUTCOME and header.sender == A.node.id
    assert {one.key for one in header.recipients} == {B.organization.id, A.user.id}


def test_a_log_is_sealed_for_people_only(vault: Vault) -> None:
    sink = io.BytesIO()
    run = RunName(path="main[0]", organization=A.fingerprint)
    vault.seal_log(run, "0" * 64, [PARTY], Suite.XWING, io.BytesIO(b"oops"), sink)
    header = inspect(io.BytesIO(sink.getvalue())).header
    assert header.kind is PayloadKind.LOG and [one.key for one in header.recipients] == [A.user.id]
    assert b"oops" not in sink.getvalue()


def test_a_node_signs_for_its_own_runs_only(vault: Vault) -> None:
    subtask = Subtask(
        plan="0" * 64,
        parent=RunName(path="main[0]", organization=B.fingerprint),
        counter=1,
        image="mean",
        targets=(SubtaskTarget(organization=B.fingerprint, order="0" * 64),),
        limits=Limits(),
        recipients=(B.fingerprint,),
        issued_at=NOW,
    )
    with pytest.raises(PlanMismatch):
        vault.sign_subtask(subtask)


# --- files ----------------------------------------------------------------------------------------------------------
def test_keys_are_made_in_files_that_only_their_owner_reads(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("root.key", "organization.key", "node.key")]
    new_keys(*paths, "A")
    assert [path.stat().st_mode & 0o777 for path in paths] == [0o600] * 3


def test_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    organization, node = tmp_path / "organization.key", tmp_path / "node.key"
    write_key(organization, A.organization, "A")
    write_key(node, A.node, "A")
    assert Vault.open(organization, node, A.log, Everybody()).fingerprint == A.fingerprint  # type: ignore[arg-type]
    node.chmod(0o644)
    with pytest.raises(KeyFileInvalid):
        Vault.open(organization, node, A.log, Everybody())  # type: ignore[arg-type]


def test_a_key_that_the_log_does_not_certify_is_refused(tmp_path: Path) -> None:
    organization, node = tmp_path / "organization.key", tmp_path / "node.key"
    write_key(organization, A.organization, "A")
    write_key(node, private(KeyKind.NODE, "nobody"), "A")
    with pytest.raises(KeyUnknown, match="node key"):
        Vault.open(organization, node, A.log, Everybody())  # type: ignore[arg-type]
