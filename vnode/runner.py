"""One run, from assignment to acknowledged result, on one page.

    check → judge → open → accept (journal) → compile → start → watch → collect → seal (outbox) → deliver → clean up

Whatever happens ends in a signed receipt. Nothing in here decides: `checking`, `policy` and `compile` do.
"""

import hashlib
import io
import logging
import tempfile
import threading
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, cast

from proxy.desk import Caller
from vnode.audit import Audit
from vnode.checking import Checked, check, reason_for
from vnode.compile import LABEL_RUN, AcceptedRun, OpenedInput, sandbox_spec
from vnode.config import NodeSettings
from vnode.executors.base import Executor, Exit, Handle, ImageRef, ResolvedImage
from vnode.executors.errors import AlreadyStarted, ExecutorError
from vnode.gate import CapabilityGate, new_capability, token_file
from vnode.journal import Entry, Journal, Phase, run_key
from vnode.leases import Lease, Leases
from vnode.outbox import Outbox, Outgoing
from vnode.policy import Objection, full_objections, outer_objections
from vnode.reporter import Hub
from vnode.vault import Vault, suite_of
from vprotocol.envelope import Sealed, Suite
from vprotocol.errors import Superseded, TrustError, VestalError
from vprotocol.ids import NodeId
from vprotocol.messages.orders import ORDER_LIMIT_BYTES, Order
from vprotocol.messages.sync import Assignment
from vprotocol.paths import TaskPath
from vprotocol.plan import ExpectedOutput
from vprotocol.reasons import Reason
from vprotocol.receipt import OpenedInput as ReceiptInput
from vprotocol.receipt import Receipt, ReceiptOutput, ReceiptState, SignedReceipt
from vprotocol.signed import Signed
from vprotocol.subtask import RunName
from vprotocol.workflow.definition import DEFAULT_OUTPUT
from vruntime.clock import Clock
from vruntime.directory import Directory
from vruntime.logs import bound

log = logging.getLogger(__name__)

LOG_TAIL_BYTES = 64 * 1024
KEPT_S = 7 * 86_400  # a result that the hub does not take is offered again for so long
IN_MEMORY_BYTES = 8 * 1024 * 1024
SEALED_OVERHEAD = 1.01  # Cobblestone adds 0.1 %, headers a little


class RunEndedEarly(Exception):
    """The run is over before its sandbox gave an output; `reason` says why."""

    def __init__(self, reason: Reason, *, explanation: str | None = None) -> None:
        super().__init__(reason.value)
        self.reason, self.explanation = reason, explanation


@dataclass(frozen=True)
class Tools:
    """Everything a run needs, made once by `daemon.py`."""

    settings: NodeSettings
    hub: Hub
    vault: Vault
    directory: Directory
    executor: Executor
    journal: Journal
    outbox: Outbox
    leases: Leases
    gate: CapabilityGate
    audit: Audit
    clock: Clock
    workspace: Path
    node_id: NodeId


@dataclass
class Story:
    """What is known about a run so far; the receipt is written from it."""

    assignment: Assignment
    key: str
    entry: Entry | None = None  # once the replay key is used up, now or before a restart
    handle: Handle | None = None
    sealed: bool = False  # its result is in the outbox: nothing may replace it
    checked: Checked | None = None
    image: ResolvedImage | None = None
    opened: Sequence[ReceiptInput] = ()
    started_at: float | None = None
    exit: Exit | None = None

    @property
    def place(self) -> str:
        """Where its end stands in the outbox. A refusal used up no key: it must not touch the result of the run that
        did."""
        return self.key if self.entry is not None else f"{self.key}{_REFUSED}{self.assignment.run}"


class Runner:
    def __init__(self, tools: Tools) -> None:
        self.t = tools
        self.abandoned = threading.Event()  # the process ends: what still runs is found again at the next start

    # --- the story ----------------------------------------------------------------------------------------------
    def run(self, assignment: Assignment, lease: Lease, resumed: Entry | None = None) -> None:
        """Take a run to its end. Never raises: what goes wrong ends in a receipt, or in the log if even that fails."""
        story = Story(assignment, key_of(assignment), entry=resumed)
        with bound(run_id=assignment.run, job_id=assignment.job):
            try:
                self._tell(story, lease)
            except RunEndedEarly as early:
                self._report_end(story, early)
            except VestalError as error:
                log.warning("the run ends: %s", error)
                self._report_end(story, RunEndedEarly(reason_for(error), explanation=str(error)))
            except Exception:
                if not self.abandoned.is_set():
                    log.exception("the node made a mistake")
                self._report_end(story, RunEndedEarly(Reason.NODE_ERROR))
            finally:
                self._clean_up(story)

    def _tell(self, story: Story, lease: Lease) -> None:
        if self._deliver_held(story):
            return
        resumed = story.entry
        if resumed is not None:
            story.started_at, story.handle = resumed.started_at, self._find_sandbox(story)
        accepted_at = resumed.accepted_at if resumed else self.t.clock.now()
        story.checked = check(story.assignment, self.t.vault.fingerprint, self.t.directory, int(accepted_at))
        if story.handle is not None:
            self._attach(story)
        elif resumed is not None and resumed.phase is not Phase.ACCEPTED:
            raise RunEndedEarly(Reason.LOST, explanation="the sandbox was gone after the node had restarted")
        else:
            self._accept_and_start(story, lease)
        self._say_started(story, lease)
        self._watch(story, lease)
        self._judge_exit(story, lease)
        self._collect(story)

    def _accept_and_start(self, story: Story, lease: Lease) -> None:
        checked = story.checked
        assert checked is not None, "checked before"
        with ExitStack() as files:
            order, suite = self._open_order(checked)
            self._judge(checked, suite, Order.decode(order).method, accepted_before=story.entry is not None)
            inputs = self._open_inputs(story, checked, files)
            story.image = self.t.executor.resolve_image(_image_ref(checked))
            story.entry = entry = story.entry or self._accept(story, checked)
            caller = self._caller(story, checked)
            accepted = AcceptedRun(
                name=entry.sandbox,
                key=entry.key,
                job=entry.job,
                plan=checked.plan.plan,
                run=checked.run,
                order=order,
                inputs=inputs,
                token=token_file(caller, entry.capability),
            )
            spec = sandbox_spec(self.t.settings, accepted, story.image, self.t.executor.layout(entry.sandbox))
            if lease.cancelled.is_set():
                raise RunEndedEarly(Reason.CANCELLED)
            self.t.gate.open(entry.capability, caller)
            story.started_at = self.t.clock.now()
            try:
                story.handle = self.t.executor.start(spec)
            except AlreadyStarted:
                story.handle = self._find_sandbox(story)
                if story.handle is None:
                    raise
        self.t.gate.bind(entry.capability, story.handle.address)
        self.t.journal.mark(entry.key, Phase.STARTED, story.started_at)
        self.t.audit.write("started", story.key, image=checked.run.image.config_digest)

    def _clean_up(self, story: Story) -> None:
        """After the end is in the outbox, and never for a run that goes on without this process."""
        if story.entry is not None:
            self.t.gate.close(story.entry.capability)
        if story.started_at is not None and not self.abandoned.is_set():
            self._remove(story.handle, story)

    def _remove(self, handle: Handle | None, story: Story) -> None:
        """Without a handle what a start that failed may have left."""
        try:
            if (found := handle or self._find_sandbox(story)) is not None:
                self.t.executor.remove(found)
        except ExecutorError as error:
            log.warning("a sandbox could not be removed: %s", error)

    # --- check, judge, open -------------------------------------------------------------------------------------
    def _open_order(self, checked: Checked) -> tuple[bytes, Suite]:
        """Opened in memory only; sealed bytes, of whatever size the hub sends, are not held there."""
        content = io.BytesIO()
        limit = min(self.t.settings.policy.max.memory, ORDER_LIMIT_BYTES)
        with tempfile.SpooledTemporaryFile(IN_MEMORY_BYTES, dir=str(self.t.workspace)) as spooled:
            sealed = cast(BinaryIO, spooled)
            self.t.hub.fetch(checked.assignment.order, sealed, _sealed_limit(limit))
            suite = suite_of(sealed)
            self._refuse(outer_objections(self.t.settings, checked.question(suite)))
            self.t.vault.open_order(
                checked.run, checked.plan.hash, checked.assignment.generation, sealed, content, self._least()
            )
        return content.getvalue(), suite

    def _judge(self, checked: Checked, suite: Suite, method: str, *, accepted_before: bool) -> None:
        if not accepted_before:
            self._refuse(full_objections(self.t.settings, checked.question(suite), method))

    def _refuse(self, objections: Sequence[Objection]) -> None:
        if objections:
            sentences = "; ".join(objection.sentence for objection in objections)
            raise RunEndedEarly(objections[0].reason, explanation=sentences)

    def _open_inputs(self, story: Story, checked: Checked, files: ExitStack) -> list[OpenedInput]:
        """Upstream outputs, each opened into a file of the workspace, because they may be of any size."""
        opened, receipts = [], []
        folder = Path(files.enter_context(tempfile.TemporaryDirectory(dir=self.t.workspace)))
        for number, upstream in enumerate(checked.upstream):
            with (folder / f"{number}.sealed").open("w+b") as sealed, (folder / str(number)).open("w+b") as content:
                self.t.hub.fetch(upstream.delivery.payload, sealed, _sealed_limit(self.t.settings.policy.max.scratch))
                self.t.vault.open_output(
                    upstream.producer,
                    upstream.receipt,
                    checked.plan.hash,
                    upstream.payload,
                    sealed,
                    content,
                    self._least(),
                )
            (folder / f"{number}.sealed").unlink()
            producer = checked.plan.plan.organization(upstream.producer.organization)
            assert producer is not None, "the plan names every producer"
            opened.append(OpenedInput(upstream.name, upstream.many, producer.id, folder / str(number)))
            receipts.append(
                ReceiptInput(
                    name=upstream.name,
                    producer=upstream.producer,
                    payload=upstream.payload,
                    receipt=upstream.receipt.hash,
                )
            )
        story.opened = receipts
        return opened

    def _accept(self, story: Story, checked: Checked) -> Entry:
        """Use up the replay key. From here on this attempt happens once, or not at all."""
        entry = self.t.journal.accept(
            story.key,
            story.assignment,
            _sandbox_name(self.t.settings.name, story),
            new_capability(),
            self.t.clock.now(),
            checked.plan.plan.expires_at,
        )
        self.t.audit.write("accepted", story.key, image=checked.run.image.config_digest)
        return entry

    # --- watch --------------------------------------------------------------------------------------------------
    def _watch(self, story: Story, lease: Lease) -> None:
        handle = story.handle
        assert story.checked is not None and story.started_at is not None and handle is not None, "it was started"
        lease.stop = lambda: self.t.executor.kill(handle)
        if lease.cancelled.is_set():
            self.t.executor.kill(handle)
        left_s = story.started_at + story.checked.run.limits.time_s - self.t.clock.now()
        try:
            story.exit = self.t.executor.wait(handle, max(0.0, left_s))
        finally:
            lease.stop = None
        if story.exit is None:
            self.t.executor.kill(handle)
            raise RunEndedEarly(Reason.TIMEOUT, explanation=self._log_tail(handle))

    def _judge_exit(self, story: Story, lease: Lease) -> None:
        assert story.exit is not None and story.handle is not None, "it has ended"
        if lease.cancelled.is_set():
            raise RunEndedEarly(Reason.CANCELLED)
        if story.exit.out_of_memory and story.exit.code != 0:
            raise RunEndedEarly(Reason.OUT_OF_MEMORY, explanation=self._log_tail(story.handle))
        if story.exit.code != 0:
            raise RunEndedEarly(Reason.EXIT_CODE, explanation=self._log_tail(story.handle))

    def _log_tail(self, handle: Handle) -> str:
        try:
            return self.t.executor.logs(handle, LOG_TAIL_BYTES).decode("utf-8", "replace")
        except ExecutorError as error:
            log.warning("no log could be read: %s", error)
            return ""

    # --- collect and seal ---------------------------------------------------------------------------------------
    def _collect(self, story: Story) -> None:
        checked, handle = story.checked, story.handle
        assert checked is not None and handle is not None, "checked and started before"
        folder = self.t.outbox.prepare(story.place)
        left = checked.run.limits.output_bytes
        payloads: list[tuple[Path, Sealed]] = []
        outputs = []
        for number, output in enumerate(checked.run.outputs):
            with tempfile.SpooledTemporaryFile(IN_MEMORY_BYTES, dir=str(self.t.workspace)) as spooled:
                content = cast(BinaryIO, spooled)
                left -= self.t.executor.fetch(handle, self._place(handle, output), content, left)
                content.seek(0)
                path = folder / f"{number}.sealed"
                with path.open("xb") as sink:
                    sealed = self.t.vault.seal_output(
                        checked.name, checked.plan.hash, output, Suite(checked.plan.plan.suite), content, sink
                    )
            payloads.append((path, sealed))
            outputs.append(ReceiptOutput(name=output.name, payload=sealed.id))
        receipt = self._receipt(story, "completed", None, outputs=tuple(outputs))
        self._commit_and_deliver(story, receipt, payloads)

    def _place(self, handle: Handle, output: ExpectedOutput) -> str:
        layout = self.t.executor.layout(handle.name)
        return layout.output_file if output.name == DEFAULT_OUTPUT else f"{layout.outputs_folder}/{output.name}"

    def _receipt(
        self,
        story: Story,
        state: ReceiptState,
        reason: Reason | None,
        *,
        outputs: tuple[ReceiptOutput, ...] = (),
        log_payload: str | None = None,
    ) -> Receipt:
        assignment, exit_ = story.assignment, story.exit
        return Receipt(
            plan=_plan_hash(assignment),
            run=RunName(
                path=assignment.path,
                organization=assignment.organization,
                generation=assignment.generation,
                attempt=assignment.attempt,
            ),
            state=state,
            reason=reason,
            image=story.image.config_digest if story.image else None,
            executor=self.t.executor.name,
            trust=story.checked.weakest.value if story.checked else "first-contact",
            started_at=None if story.started_at is None else int(story.started_at),
            finished_at=int(self.t.clock.now()),
            exit_code=exit_.code if exit_ else None,
            order=assignment.order.id,
            inputs=tuple(story.opened),
            participants=len(story.opened) if story.checked and story.checked.run.needs else None,
            outputs=outputs,
            log=log_payload,
        )

    # --- report -------------------------------------------------------------------------------------------------
    def _report_end(self, story: Story, early: RunEndedEarly) -> None:
        """Every end that is not a completion: refused before it began, failed after. Never raises."""
        if self.abandoned.is_set() or story.sealed:
            return
        state = _end_state(story, early.reason)
        log.info("the run is %s: %s", state, early.reason.value)
        try:
            self.t.audit.write(state, story.key, reason=early.reason.value)
            folder = self.t.outbox.prepare(story.place)
            payloads, log_payload = self._sealed_log(story, early, folder)
            receipt = self._receipt(story, state, early.reason, log_payload=log_payload)
            self._commit_and_deliver(story, receipt, payloads)
        except VestalError as error:
            log.error("the end of the run could not be reported yet: %s", error)
        except Exception:  # a full disk, say: the journal still knows that the run has begun
            log.exception("the end of the run could not be reported yet")

    def _sealed_log(
        self, story: Story, early: RunEndedEarly, folder: Path
    ) -> tuple[list[tuple[Path, Sealed]], str | None]:
        """Why, in words, for the initiating people only; nothing if the plan was never believed or policy says no."""
        if story.checked is None or not early.explanation or self.t.settings.policy.logs == "never":
            return [], None
        path = folder / "log.sealed"
        checked = story.checked
        try:
            with path.open("xb") as sink:
                content = io.BytesIO(early.explanation.encode()[-LOG_TAIL_BYTES:])
                suite = Suite(checked.plan.plan.suite)
                sealed = self.t.vault.seal_log(
                    checked.name, checked.plan.hash, checked.run.log_readers, suite, content, sink
                )
        except TrustError as error:
            log.warning("the explanation could not be sealed: %s", error)
            path.unlink(missing_ok=True)
            return [], None
        return [(path, sealed)], sealed.id

    def _commit_and_deliver(self, story: Story, receipt: Receipt, payloads: list[tuple[Path, Sealed]]) -> None:
        signed = self.t.vault.sign_receipt(receipt)
        assignment = story.assignment
        self.t.outbox.commit(story.place, assignment.run, assignment.lease_token, signed.signed.to_wire(), payloads)
        story.sealed = True
        self.t.journal.mark(story.place, Phase.SEALED)
        self.t.audit.write("released", story.key, state=receipt.state, outputs=[o.payload for o in receipt.outputs])
        self.deliver(story.place)

    def deliver(self, place: str, lease_token: str | None = None) -> bool:
        """Bring a result from the outbox to the hub; it stays there when that fails. Returns whether it is gone.

        :param lease_token: a newer one for the same attempt.
        """
        outgoing = self.t.outbox.find(place)
        if outgoing is None:
            return True
        if lease_token is not None:
            outgoing = replace(outgoing, lease_token=lease_token)
        try:
            ended = self.t.hub.deliver(outgoing)
            log.info("delivered: %s%s", ended.state.value, " (superseded)" if ended.superseded else "")
        except Superseded:
            log.info("delivered: superseded")
        except VestalError as error:
            if self._offered_again(outgoing, error):
                log.warning("a result stays in the outbox: %s", error)
                return False
            log.error("the hub refuses a result for good: %s (%s)", error, error.code)
            self.t.audit.write("rejected", place, code=error.code)
        except Exception:
            log.exception("a result stays in the outbox")
            return False
        # In this order: what is marked and still there is offered once more, what is neither would be executed again.
        self.t.journal.mark(place, Phase.ENDED)
        self.t.outbox.drop(place)
        return True

    def _offered_again(self, outgoing: Outgoing, error: VestalError) -> bool:
        """Whether delivering later makes sense. What a run has made is worth days of patience: a hub that was restored
        or wrongly configured says `forbidden` or `not found` today and takes the result tomorrow."""
        if error.code in _PASSING:
            return True
        if error.code in _FOR_GOOD or self.t.journal.find(outgoing.key) is None:
            return False
        finished_at = SignedReceipt.from_wire(outgoing.receipt).receipt.finished_at
        return self.t.clock.now() < finished_at + KEPT_S

    # --- going on after a restart -------------------------------------------------------------------------------
    def _deliver_held(self, story: Story) -> bool:
        """A node that holds a result for a run, of whatever attempt and number, delivers it instead of executing
        again."""
        held = [outgoing for outgoing in self.t.outbox.waiting() if _is_result_of(outgoing, story)]
        story.sealed = bool(held)
        for outgoing in held:
            newer = story.assignment.lease_token if _is_same_attempt(outgoing, story) else None
            self.deliver(outgoing.key, newer)
            for handle in self.t.executor.find({LABEL_RUN: outgoing.key}):
                self._remove(handle, story)
        return story.sealed

    def _find_sandbox(self, story: Story) -> Handle | None:
        return next(iter(self.t.executor.find({LABEL_RUN: story.key})), None)

    def _attach(self, story: Story) -> None:
        entry, handle, checked = story.entry, story.handle, story.checked
        assert entry is not None and handle is not None and checked is not None, "begun before the restart"
        story.started_at = entry.started_at or entry.accepted_at
        story.image = self.t.executor.resolve_image(_image_ref(checked))
        story.opened = [
            ReceiptInput(name=u.name, producer=u.producer, payload=u.payload, receipt=u.receipt.hash)
            for u in checked.upstream
        ]
        self.t.gate.open(entry.capability, self._caller(story, checked))
        self.t.gate.bind(entry.capability, handle.address)
        self.t.journal.mark(entry.key, Phase.STARTED, story.started_at)
        log.info("attached to the sandbox that was started before the restart")

    def _say_started(self, story: Story, lease: Lease) -> None:
        try:
            self.t.hub.started(story.assignment.run, lease.token)
        except VestalError as error:
            log.info("the hub did not take the start: %s", error)  # the result tells it all the same

    def _caller(self, story: Story, checked: Checked) -> Caller:
        plan = checked.plan.plan
        own = plan.organization(checked.run.organization)
        assert own is not None, "the plan names this organization"
        return Caller(
            key=story.key,
            organization=own,
            members=plan.organizations,
            collaboration_id=story.assignment.collaboration,
            node_id=self.t.node_id,
            task_id=story.assignment.task,
            run_id=story.assignment.run,
            image=checked.run.image.name,
            labels=checked.run.data,
        )

    def _least(self) -> Suite:
        return Suite(self.t.settings.min_suite) if self.t.settings.policy.encrypted_only else Suite.OPEN


def key_of(assignment: Assignment) -> str:
    """The replay key.

    :raises DocumentInvalid: what the hub calls the plan is not even a signed document.
    """
    run = assignment
    return run_key(_plan_hash(run), run.path, run.organization, run.generation, run.attempt)


_REFUSED = "|refused as "


def _is_result_of(outgoing: Outgoing, story: Story) -> bool:
    """Of the same signed run, whatever its attempt; a refusal only under its own number. Numbers alone say nothing: a
    hub that was restored gives them out again."""
    everything_but_attempt = story.key.rpartition("|")[0] + "|"
    if not outgoing.key.startswith(everything_but_attempt):
        return False
    return outgoing.run == story.assignment.run or _REFUSED not in outgoing.key


def _is_same_attempt(outgoing: Outgoing, story: Story) -> bool:
    return outgoing.run == story.assignment.run and outgoing.key.partition(_REFUSED)[0] == story.key


def _plan_hash(assignment: Assignment) -> str:
    return Signed.from_wire(assignment.plan.to_wire()).hash


def _image_ref(checked: Checked) -> ImageRef:
    image = checked.run.image
    return ImageRef(image.name, image.config_digest, image.manifest_digest)


def _sandbox_name(node: str, story: Story) -> str:
    path = TaskPath.parse(story.assignment.path)
    digest = hashlib.sha256(story.key.encode()).hexdigest()[:12]  # numbers of the hub name nothing for certain
    return f"vnode-{node}-{story.assignment.run}-{path.step[:20]}-{story.assignment.attempt}-{digest}"


def _sealed_limit(content_bytes: int) -> int:
    return int(content_bytes * SEALED_OVERHEAD) + 2**20


def _end_state(story: Story, reason: Reason) -> ReceiptState:
    if reason is Reason.CANCELLED:
        return "cancelled"
    return "failed" if story.started_at is not None or reason in _FAILURES else "refused"


_FAILURES = frozenset({Reason.NODE_ERROR, Reason.EXECUTOR, Reason.LOST, Reason.IMAGE_MISSING, Reason.TIMEOUT})


# The same bytes will never be taken: the hub found fault with them.
_FOR_GOOD = frozenset({"receipt_invalid", "signature_invalid", "document_invalid", "bad_message"})
# Nothing was said about the result.
_PASSING = frozenset(
    {
        "unreachable", "tls_failed", "deadline_exceeded", "unavailable", "internal_error", "rate_limited",
        "not_authenticated", "login_failed", "unexpected_answer", "transfer_broken", "address_invalid",
    }
)  # fmt: skip
