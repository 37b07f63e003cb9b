"""How an attempt starts and ends.

The first valid result of any attempt ends the run, even if its lease ran out meanwhile: it is proven by that attempt's
token. Later ones are acknowledged as superseded; a repeated one is answered like the first.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session

from vprotocol.errors import BadRequest, LeaseInvalid, ReceiptInvalid
from vprotocol.ids import PayloadId
from vprotocol.keys import KeyKind
from vprotocol.plan import expected_root_run
from vprotocol.reasons import TRANSIENT
from vprotocol.receipt import Receipt, SignedReceipt
from vprotocol.roles import Action, Resource
from vprotocol.signed import DocumentType
from vprotocol.states import RunEvent, RunState
from vprotocol.subtask import OUTPUT
from vserver import authz
from vserver.authz import Principal
from vserver.jobs import documents, queries, schedule
from vserver.jobs.leases import hashed
from vserver.jobs.model import Lease, Run, RunOutput
from vserver.jobs.progress import AT_A_NODE_VALUES, Change, Moved, Notify
from vserver.payloads import service as payloads
from vserver.payloads.service import Whole

_EVENTS = {
    "completed": RunEvent.COMPLETE,
    "failed": RunEvent.FAIL,
    "refused": RunEvent.REFUSE,
    "cancelled": RunEvent.CANCEL,
}


@dataclass(frozen=True)
class Ended:
    """What a result is answered."""

    state: RunState
    superseded: bool


@dataclass(frozen=True)
class Attempt:
    """An attempt that was handed out, proven by its token."""

    run: Run
    lease: Lease


def attempt(session: Session, principal: Principal, run_id: int, token: str) -> Attempt:
    """:raises LeaseInvalid: the token is of no attempt of this run."""
    row = session.execute(
        select(Lease, Run).join(Run, Run.id == Lease.run_id).where(Lease.token_hash == hashed(token))
    ).one_or_none()
    if row is None or row.Run.id != run_id:
        raise LeaseInvalid(fields={"run": run_id})
    authz.require(principal, Resource.RUN, Action.EDIT, queries.own_target(row.Run))
    return Attempt(row.Run, row.Lease)


def start(session: Session, notify: Notify, found: Attempt, now: float) -> None:
    """The sandbox of this attempt runs. Saying it twice changes nothing.

    :raises LeaseInvalid: the run is no longer this attempt's.
    """
    change = Change(session, notify, now, found.run.job_id)
    moved = change.move([found.run.id], RunEvent.START, Run.attempt == found.lease.attempt, started_at=now)
    if moved:
        return
    state, current = session.execute(select(Run.state, Run.attempt).where(Run.id == found.run.id)).one()
    if state != RunState.RUNNING.value or current != found.lease.attempt:
        raise LeaseInvalid(
            "This run is no longer this attempt's.", fields={"run": found.run.id, "state": state, "attempt": current}
        )


def answered_before(found: Attempt, receipt: SignedReceipt) -> Ended | None:
    """The answer that this very result was given before."""
    lease = found.lease
    if lease.receipt_hash != receipt.hash or lease.answer_state is None:
        return None
    return Ended(RunState(lease.answer_state), bool(lease.answer_superseded))


def check(
    session: Session,
    principal: Principal,
    found: Attempt,
    signed: SignedReceipt,
    inline: Sequence[Whole],
    now: float,
) -> None:
    """:raises ReceiptInvalid: it is about something else. :raises BadRequest: it names payloads that are not here."""
    run, receipt = found.run, signed.receipt
    job = run.task.job
    if receipt.plan != job.plan_hash:
        raise ReceiptInvalid("the receipt is about another plan", fields={"field": "plan"})
    told = {
        "path": run.task.path,
        "organization": run.fingerprint,
        "generation": run.generation,
        "attempt": found.lease.attempt,
    }
    for name, value in told.items():
        if getattr(receipt.run, name) != value:
            raise ReceiptInvalid(f"the receipt names another {name} than this attempt's", fields={"field": name})
    if receipt.order != run.order_id:
        raise ReceiptInvalid("the receipt names another order than this run's", fields={"field": "order"})
    if receipt.state == "completed":
        _check_outputs(session, run, receipt)
    key = documents.signer(session, run.organization_id, signed.signed.key, KeyKind.NODE, now)
    signed.signed.check(DocumentType.RECEIPT, key)
    _check_payloads(session, principal, receipt, inline)


def end(
    session: Session,
    notify: Notify,
    principal: Principal,
    found: Attempt,
    signed: SignedReceipt,
    inline: Sequence[Whole],
    now: float,
) -> Ended:
    """Take the result, in one guarded step, and do all that follows from it."""
    run, receipt = found.run, signed.receipt
    change = Change(session, notify, now, run.job_id)
    if _is_transient(receipt) and (again := _try_again(change, found, receipt, now)) is not None:
        return _remember(session, found, signed, again)
    moved = change.move(
        [run.id],
        _EVENTS[receipt.state],
        reason=None if receipt.reason is None else receipt.reason.value,
        attempt=found.lease.attempt,
        receipt=signed.signed.to_wire(),
        log_id=receipt.log,
    )
    if not moved:
        return _too_late(session, found, signed)
    payloads.store_whole(session, inline, principal, now)
    payloads.use(session, payload_ids(receipt), run.job_id, run.collaboration_id)
    if receipt.outputs:
        session.execute(
            insert(RunOutput),
            [{"run_id": run.id, "name": o.name, "payload_id": o.payload} for o in receipt.outputs],
        )
    change.settle(moved)
    return _remember(session, found, signed, Ended(RunState(receipt.state), False))


def payload_ids(receipt: Receipt) -> tuple[PayloadId, ...]:
    """What the receipt says the attempt left behind."""
    outputs = [output.payload for output in receipt.outputs]
    return tuple(dict.fromkeys([*outputs, receipt.log] if receipt.log else outputs))


def _is_transient(receipt: Receipt) -> bool:
    return receipt.state in ("failed", "refused") and receipt.reason in TRANSIENT


def _try_again(change: Change, found: Attempt, receipt: Receipt, now: float) -> Ended | None:
    """Queue the next attempt instead of ending; None if there is none left. An attempt that lost its lease says
    nothing about the one that goes on."""
    run, number = found.run, found.lease.attempt
    current = change.session.execute(
        select(Run.attempt, Run.attempts, Run.state, Run.children).where(Run.id == run.id)
    ).one()
    if current.attempt != number:
        return Ended(RunState(current.state), True)
    if number >= current.attempts:
        return None
    moved = requeue(change, [run.id], number, now, Run.attempt == number, Run.state.in_(AT_A_NODE_VALUES))
    return Ended(RunState.QUEUED, False) if moved else None


def requeue(change: Change, run_ids: list[int], number: int, now: float, *guards: object) -> list[Moved]:
    """These runs of attempt `number` again, as the next attempt, after a while; their children are wanted no longer."""
    ready_at = now + schedule.back_off_s(number)
    moved = change.move(
        run_ids,
        RunEvent.LOSE,
        *guards,
        attempt=number + 1,
        ready_at=ready_at,
        turn_at=schedule.turn_at(ready_at, 0),
        queued_at=now,
        started_at=None,
    )
    change.cancel_children(moved)
    return moved


def _check_outputs(session: Session, run: Run, receipt: Receipt) -> None:
    if run.depth > 0:
        expected = {OUTPUT}
    else:
        plan = documents.plan_of(session, run.job_id, run.task.job.plan_hash).plan
        path = documents.path_of(run.task.path)
        expected = {output.name for output in expected_root_run(plan, path, run.fingerprint).outputs}
    named = {output.name for output in receipt.outputs}
    if named != expected:
        raise ReceiptInvalid(
            "the outputs are not those that the plan names",
            fields={"expected": sorted(expected), "named": sorted(named)},
        )


def _check_payloads(session: Session, principal: Principal, receipt: Receipt, inline: Sequence[Whole]) -> None:
    wanted, here = set(payload_ids(receipt)), {whole.id for whole in inline}
    if extra := here - wanted:
        raise BadRequest("A payload came that the receipt does not name.", fields={"payload": min(extra)})
    missing = wanted - here
    missing -= payloads.complete(session, missing, principal)
    if missing:
        raise BadRequest(
            "The receipt names a payload that is not here completely.",
            hint="Send small payloads with the result; upload larger ones before.",
            fields={"missing": sorted(missing)},
        )


def _too_late(session: Session, found: Attempt, signed: SignedReceipt) -> Ended:
    """Somebody was faster; perhaps this very call, a moment ago."""
    session.refresh(found_lease := session.get_one(Lease, found.lease.token_hash))
    before = answered_before(Attempt(found.run, found_lease), signed)
    if before is not None:
        return before
    state = session.scalars(select(Run.state).where(Run.id == found.run.id)).one()
    return _remember(session, found, signed, Ended(RunState(state), True))


def _remember(session: Session, found: Attempt, signed: SignedReceipt, answer: Ended) -> Ended:
    session.execute(
        update(Lease)
        .where(Lease.token_hash == found.lease.token_hash)
        .values(receipt_hash=signed.hash, answer_state=answer.state.value, answer_superseded=answer.superseded)
        .execution_options(synchronize_session=False)
    )
    return answer
