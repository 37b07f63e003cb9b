"""/job, /task, /run and /node/sync.

Most of these declare `Work.OWN`: they wait, or parse and check signatures before they take their turn to write.
"""

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from flask import Response
from sqlalchemy import exists
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from vprotocol import messages as m
from vprotocol.errors import (
    AlreadyExists,
    BadMessage,
    BadRequest,
    Conflict,
    Damaged,
    DelegationExceeded,
    DocumentInvalid,
    Forbidden,
    KeyUnknown,
    LeaseInvalid,
    NotFound,
    PlanExpired,
    PlanInvalid,
    PlanMismatch,
    ReceiptInvalid,
    SignatureInvalid,
    SuiteRefused,
    TooLarge,
)
from vprotocol.messages.job import JobCancel, JobSubmit, JobView
from vprotocol.messages.run import RunEnded, RunResult, RunStarted, RunView
from vprotocol.messages.sync import SyncAnswer, SyncRequest
from vprotocol.messages.task import SubtaskSubmit, TaskView
from vprotocol.plan import SignedPlan
from vprotocol.receipt import SignedReceipt
from vprotocol.roles import Action, Resource
from vprotocol.states import FINAL, RunState
from vprotocol.subtask import SignedSubtask
from vruntime.clock import Deadline
from vserver import authz
from vserver.jobs import claim, control, deadlines, queries, results, submit, subtasks
from vserver.jobs.model import Job, JobLabel, Run, Task
from vserver.jobs.views import Views
from vserver.payloads import service as payloads
from vserver.payloads.service import Whole
from vserver.web import held
from vserver.web.links import Endpoint, Links
from vserver.web.operation import Work, operation
from vserver.web.paging import Filter, Listing, by_choice, by_id, by_text
from vserver.web.resource import HubResource

Answer = TypeVar("Answer")
_STATES = tuple(state.value for state in RunState)
_HEX = {"type": "string", "pattern": "^[0-9a-f]{32}$"}
_BAD_PAYLOADS = (Damaged, TooLarge, BadRequest)


def _job_id(text: str) -> str:
    if len(text) != 32 or set(text) - set("0123456789abcdef"):
        raise ValueError("a job's id is 32 hex digits")
    return text


def _label(text: str) -> tuple[str, str]:
    name, separator, value = text.partition(":")
    if not separator or not name or "\x00" in text or len(text) > 400:
        raise ValueError("NAME:VALUE, where `*` in the value stands for anything")
    return name, value


def _has_label(wanted: tuple[str, str]) -> Any:
    pattern = wanted[1].replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_").replace("*", "%")
    return exists().where(
        JobLabel.job_id == Job.id, JobLabel.name == wanted[0], JobLabel.value.like(pattern, escape="\\")
    )


JOBS = Listing(
    key=Job.id,
    view=JobView,
    sorts={"created_at": Job.created_at, "name": Job.name},
    default_sort="-created_at",
    filters={
        "state": by_choice(lambda state: queries.job_is(RunState(state)), _STATES),
        "collaboration": by_id(lambda wanted: Job.collaboration_id == wanted),
        "label": Filter(_label, _has_label, {"type": "string"}, "NAME:VALUE; `*` stands for anything in the value"),
        "name": by_text(Job.name),
    },
)
TASKS = Listing(
    key=Task.id,
    view=TaskView,
    filters={
        "job": Filter(_job_id, lambda wanted: Task.job_id == wanted, _HEX),
        "parent_run": by_id(lambda wanted: Task.parent_run_id == wanted, "subtasks that this run asked for"),
        "state": by_choice(lambda state: queries.task_is(RunState(state)), _STATES),
    },
)
RUNS = Listing(
    key=Run.id,
    view=RunView,
    filters={
        "job": Filter(_job_id, lambda wanted: Run.job_id == wanted, _HEX),
        "task": by_id(lambda wanted: Run.task_id == wanted),
        "organization": by_id(lambda wanted: Run.organization_id == wanted),
        "state": by_choice(lambda state: Run.state == state, _STATES),
    },
)


def decoded(texts: Sequence[str]) -> list[Whole]:
    """Sealed payloads that came inside a message, checked."""
    found = []
    for at, text in enumerate(texts):
        try:
            data = base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            raise BadMessage(f"payload {at} is not base64", fields={f"/{at}": "not base64"}) from None
        found.append(payloads.read_whole(data))
    return found


class _JobsResource(HubResource):
    def views(self, session: Session) -> Views:
        links = Links(self.hub.operations, self.principal)
        return Views(session, links, self.hub.now(), self.hub.settings.node_online_s)

    def count_write(self) -> None:
        self.hub.writes.take(self.principal.label)

    def held(self, topic: str, wait_s: float, look: Callable[[], tuple[Answer, bool]]) -> Answer:
        """What `look` finds, as soon as it says that this is worth an answer, or when the time is up."""
        if wait_s <= 0:
            return look()[0]
        deadline = Deadline.after(self.hub.clock, wait_s)
        with self.hub.signals.listen([topic]) as ear:
            while True:
                answer, good = look()
                if good or deadline.passed() or self.hub.signals.closed:
                    return answer
                ear.wait(deadline)

    def longest_wait_s(self) -> float:
        return max(self.hub.settings.longest_wait_s, held.LONGEST_WAIT_S)


# --- jobs ------------------------------------------------------------------------------------------------------------
_JOB_VIEW = (Resource.JOB, Action.VIEW)


class Jobs(_JobsResource):
    place = Endpoint.JOBS

    @operation("List jobs, newest first", listing=JOBS, needs=_JOB_VIEW)
    def get(self) -> dict[str, object]:
        return self.page(JOBS, queries.visible_jobs(self.principal), self.views(self.session).jobs)

    @operation(
        "Submit a signed plan with its sealed orders; the same bytes again get the same answer (200)",
        body=JobSubmit,
        answer=JobView,
        status=201,
        needs=(Resource.JOB, Action.CREATE),
        work=Work.OWN,
        errors=(
            AlreadyExists,
            PlanInvalid,
            PlanExpired,
            SignatureInvalid,
            KeyUnknown,
            SuiteRefused,
            NotFound,
            *_BAD_PAYLOADS,
        ),
    )
    def post(self) -> m.Message | Response:
        self.count_write()
        asked = self.body(JobSubmit)
        plan = SignedPlan.from_wire(asked.plan.to_wire())
        now = self.hub.now()
        with self.hub.database.read() as session:
            known = self._known(session, plan)
            if known is None:
                checked = submit.check(session, self.principal, plan, decoded(asked.orders), now)
        if known is None:
            try:
                with self.hub.database.write() as session:
                    known = self._known(session, plan)
                    if known is None:
                        row = submit.create(session, self.hub.signals.notify, self.principal, checked, now)
                        return self.views(session).job(row)
            except IntegrityError:  # the same plan came twice at the same moment: one of them made the job
                with self.hub.database.read() as session:
                    known = self._known(session, plan)
                if known is None:
                    raise
        return Response(known.to_json(), 200, mimetype="application/json")

    def _known(self, session: Session, plan: SignedPlan) -> JobView | None:
        row = submit.existing(session, plan)
        if row is None:
            return None
        authz.require(self.principal, *_JOB_VIEW, queries.job_target(row))
        return self.views(session).job(row)


class JobById(_JobsResource):
    place = Endpoint.JOB

    @operation(
        "One job; `?wait=S&since=VERSION` is held until its version has grown; `?include=runs,payloads,plan`",
        answer=JobView,
        needs=_JOB_VIEW,
        work=Work.OWN,
        errors=(BadRequest,),
    )
    def get(self, job_id: str) -> m.Message:
        held.only("wait", "since", "include")
        wait_s, since = held.wait_s(self.longest_wait_s()), held.since()
        include = held.include("runs", "payloads", "plan")
        deadlines.apply_due(self.hub)

        def look() -> tuple[JobView, bool]:
            with self.hub.database.read() as session:
                row = queries.job(session, job_id)
                authz.require(self.principal, *_JOB_VIEW, queries.job_target(row))
                news = row.finished_at is not None if since is None else row.version > since
                return self.views(session).job(row, include=include), news

        return self.held(f"job:{job_id}", wait_s, look)

    @operation("Cancel a job", body=JobCancel, answer=JobView, needs=(Resource.JOB, Action.EDIT), errors=(BadRequest,))
    def patch(self, job_id: str) -> m.Message:
        asked = self.body(JobCancel)
        row = self._allowed(self.session, job_id, Action.EDIT)
        if not asked.cancel:
            raise BadRequest("A cancelled job does not go on.", hint="Submit it again.", fields={"/cancel": "true"})
        control.cancel(self.session, self.hub.signals.notify, job_id, self.hub.now())
        self.session.refresh(row)
        return self.views(self.session).job(row)

    @operation(
        "Cancel a job and remove its payloads; plan, receipts and digests stay",
        status=204,
        needs=(Resource.JOB, Action.DELETE),
        work=Work.OWN,
    )
    def delete(self, job_id: str) -> None:
        self.count_write()
        with self.hub.database.write() as session:
            self._allowed(session, job_id, Action.DELETE)
            gone = control.delete(session, self.hub.signals.notify, job_id, self.hub.now())
        for payload_id in gone:
            self.hub.files.run(self.hub.payloads.remove, payload_id)

    def _allowed(self, session: Session, job_id: str, action: Action) -> Job:
        row = queries.job(session, job_id)
        authz.require(self.principal, Resource.JOB, action, queries.job_target(row))
        return row


# --- tasks -----------------------------------------------------------------------------------------------------------
_TASK_VIEW = (Resource.TASK, Action.VIEW)


class Tasks(_JobsResource):
    place = Endpoint.TASKS

    @operation("List tasks", listing=TASKS, needs=_TASK_VIEW)
    def get(self) -> dict[str, object]:
        return self.page(TASKS, queries.visible_tasks(self.principal), self.views(self.session).tasks)

    @operation(
        "Ask other organizations in the name of a run; the same statement again gets the same answer (200)",
        body=SubtaskSubmit,
        answer=TaskView,
        status=201,
        needs=(Resource.TASK, Action.CREATE),
        work=Work.OWN,
        errors=(
            AlreadyExists,
            LeaseInvalid,
            DocumentInvalid,
            PlanMismatch,
            DelegationExceeded,
            SignatureInvalid,
            KeyUnknown,
            *_BAD_PAYLOADS,
        ),
    )
    def post(self) -> m.Message | Response:
        self.count_write()
        asked = self.body(SubtaskSubmit)
        statement, orders = SignedSubtask.from_wire(asked.statement.to_wire()), decoded(asked.orders)
        now, tokens = self.hub.now(), self.hub.lease_tokens
        with self.hub.database.read() as session:
            parent = subtasks.parent(session, tokens, self.principal, asked.parent_run, asked.lease_token)
            made = subtasks.existing(session, parent, statement)
            if made is not None:
                return self._again(session, made)
            subtasks.check(session, self.principal, parent, statement, orders, now)
        notify = self.hub.signals.notify
        with self.hub.database.write() as session:
            made, new = subtasks.create(session, notify, self.principal, parent, statement, orders, now)
            return self._view(session, made) if new else self._again(session, made)

    def _view(self, session: Session, row: Task) -> TaskView:
        return self.views(session).task(row, include=frozenset({"runs"}))

    def _again(self, session: Session, row: Task) -> Response:
        return Response(self._view(session, row).to_json(), 200, mimetype="application/json")


class TaskById(_JobsResource):
    place = Endpoint.TASK

    @operation(
        "One task; `?wait=S` is held until it has ended; `?include=runs,payloads`",
        answer=TaskView,
        needs=_TASK_VIEW,
        work=Work.OWN,
        errors=(BadRequest,),
    )
    def get(self, task_id: int) -> m.Message:
        held.only("wait", "include")
        wait_s, include = held.wait_s(self.longest_wait_s()), held.include("runs", "payloads")
        deadlines.apply_due(self.hub)

        def look() -> tuple[TaskView, bool]:
            with self.hub.database.read() as session:
                row = queries.task(session, task_id)
                authz.require(self.principal, *_TASK_VIEW, queries.job_target(row.job))
                view = self.views(session).task(row, include=include)
                return view, view.state in FINAL

        return self.held(f"task:{task_id}", wait_s, look)


# --- runs ------------------------------------------------------------------------------------------------------------
_RUN_VIEW = (Resource.RUN, Action.VIEW)


class Runs(_JobsResource):
    place = Endpoint.RUNS

    @operation("List runs", listing=RUNS, needs=_RUN_VIEW)
    def get(self) -> dict[str, object]:
        return self.page(RUNS, queries.visible_runs(self.principal), self.views(self.session).runs)


class RunById(_JobsResource):
    place = Endpoint.RUN

    @operation(
        "One run; `?wait=S` is held until it has ended; `?include=payloads`",
        answer=RunView,
        needs=_RUN_VIEW,
        work=Work.OWN,
        errors=(BadRequest,),
    )
    def get(self, run_id: int) -> m.Message:
        held.only("wait", "include")
        wait_s, include = held.wait_s(self.longest_wait_s()), held.include("payloads")
        deadlines.apply_due(self.hub)

        def look() -> tuple[RunView, bool]:
            with self.hub.database.read() as session:
                row = queries.run(session, run_id)
                authz.require(self.principal, *_RUN_VIEW, queries.run_target(row))
                view = self.views(session).runs([row], with_bytes="payloads" in include)[0]
                return view, view.state in FINAL

        return self.held(f"run:{run_id}", wait_s, look)


class RunStart(_JobsResource):
    place = Endpoint.RUN_START

    @operation(
        "Say that the sandbox of an attempt was started",
        body=RunStarted,
        status=204,
        needs=(Resource.RUN, Action.EDIT),
        work=Work.OWN,
        errors=(LeaseInvalid,),
    )
    def post(self, run_id: int) -> None:
        self.count_write()
        asked = self.body(RunStarted)
        with self.hub.database.write() as session:
            found = results.attempt(session, self.principal, run_id, asked.lease_token)
            results.start(session, self.hub.signals.notify, found, self.hub.now())


class RunResultResource(_JobsResource):
    place = Endpoint.RUN_RESULT

    @operation(
        "End an attempt: its receipt says how",
        body=RunResult,
        answer=RunEnded,
        needs=(Resource.RUN, Action.EDIT),
        work=Work.OWN,
        errors=(LeaseInvalid, ReceiptInvalid, SignatureInvalid, KeyUnknown, *_BAD_PAYLOADS),
    )
    def post(self, run_id: int) -> m.Message:
        self.count_write()
        asked = self.body(RunResult)
        receipt, inline = SignedReceipt.from_wire(asked.receipt.to_wire()), decoded(asked.payloads)
        now = self.hub.now()
        with self.hub.database.read() as session:
            found = results.attempt(session, self.principal, run_id, asked.lease_token)
            answer = results.answered_before(found, receipt)
            if answer is None:
                results.check(session, self.principal, found, receipt, inline, now)
        if answer is None:
            notify = self.hub.signals.notify
            with self.hub.database.write() as session:
                answer = results.end(session, notify, self.principal, found, receipt, inline, now)
        return RunEnded(id=run_id, state=answer.state, superseded=answer.superseded)


class NodeSync(_JobsResource):
    place = Endpoint.NODE_SYNC

    @operation(
        "A node's one long-poll: leases renewed, runs claimed, runs to stop, jobs that have ended",
        body=SyncRequest,
        answer=SyncAnswer,
        needs=(Resource.RUN, Action.EDIT),
        work=Work.OWN,
        errors=(Forbidden, BadRequest, Conflict),
    )
    def post(self) -> m.Message:
        return claim.sync(self.hub, self.principal, self.body(SyncRequest))


RESOURCES = (Jobs, JobById, Tasks, TaskById, Runs, RunById, RunStart, RunResultResource, NodeSync)
