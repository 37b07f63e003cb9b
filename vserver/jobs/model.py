from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column, relationship

from vserver.db import Base


class Job(Base):
    """One execution of a workflow. `id` and everything below it is what the initiator signed; `plan` is verbatim.

    The state is derived from the runs. `finished_at` is no state but a fact, written by the same guarded step that ends
    the last run, so that "which have ended" needs no look at runs.
    """

    __tablename__ = "job"
    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    name: Mapped[str] = mapped_column(String(200), index=True)
    collaboration_id: Mapped[int] = mapped_column(ForeignKey("collaboration.id"), index=True)
    organization_id: Mapped[int] = mapped_column(ForeignKey("organization.id"), index=True)
    user_id: Mapped[int | None] = mapped_column(ForeignKey("user.id", ondelete="SET NULL"), index=True)
    plan: Mapped[dict[str, Any]] = mapped_column(JSON, deferred=True)
    plan_hash: Mapped[str] = mapped_column(String(64))
    images: Mapped[list[str]] = mapped_column(JSON)
    labels: Mapped[dict[str, str]] = mapped_column(JSON)
    priority: Mapped[int]
    created_at: Mapped[float] = mapped_column(index=True)
    expires_at: Mapped[float]
    cancelled_at: Mapped[float | None]
    finished_at: Mapped[float | None]
    deleted_at: Mapped[float | None]
    version: Mapped[int] = mapped_column(default=1)  # grows with every change of the job or anything in it

    __table_args__ = (Index("ix_job_unfinished", "finished_at", "expires_at"),)


class JobLabel(Base):
    """Labels once more, as rows that can be searched."""

    __tablename__ = "job_label"
    job_id: Mapped[str] = mapped_column(ForeignKey("job.id", ondelete="CASCADE"), primary_key=True)
    name: Mapped[str] = mapped_column(String(200), primary_key=True)
    value: Mapped[str] = mapped_column(String(1000))

    __table_args__ = (Index("ix_job_label_name", "name", "value"),)


class Task(Base):
    """One step, or one call of a running algorithm. `statements` lead down to it from the plan, verbatim."""

    __tablename__ = "task"
    id: Mapped[int] = mapped_column(primary_key=True)
    job_id: Mapped[str] = mapped_column(ForeignKey("job.id", ondelete="CASCADE"))
    path: Mapped[str] = mapped_column(String(1024))
    step: Mapped[str] = mapped_column(String(63))
    image: Mapped[str] = mapped_column(String(500))
    parent_run_id: Mapped[int | None] = mapped_column(index=True)  # no foreign key: runs refer to tasks already
    statements: Mapped[list[dict[str, Any]]] = mapped_column(JSON, deferred=True)
    statement_hash: Mapped[str | None] = mapped_column(String(64))
    created_at: Mapped[float]
    job: Mapped[Job] = relationship(lazy="joined", innerjoin=True)

    __table_args__ = (Index("uq_task_job_id_path", "job_id", "path", unique=True), {"sqlite_autoincrement": True})


class Run(Base):
    """One task at one organization: what a node leases.

    `precedence` and `turn_at` are the order of the queue (see `schedule.turn_at`), `ready_at` the time before which
    nobody may take it (back-off). `for_node_id`: only this node may take it, 0: any of the organization.
    """

    __tablename__ = "run"
    id: Mapped[int] = mapped_column(primary_key=True)
    job_id: Mapped[str] = mapped_column(ForeignKey("job.id", ondelete="CASCADE"))
    task_id: Mapped[int] = mapped_column(ForeignKey("task.id", ondelete="CASCADE"), index=True)
    organization_id: Mapped[int] = mapped_column(ForeignKey("organization.id"))
    collaboration_id: Mapped[int]
    fingerprint: Mapped[str] = mapped_column(String(64))
    depth: Mapped[int]  # 0: of a step; 1: of a subtask; ...
    order_id: Mapped[str] = mapped_column(String(64))
    state: Mapped[str] = mapped_column(String(10))
    reason: Mapped[str | None] = mapped_column(String(30))
    generation: Mapped[int] = mapped_column(default=0)
    attempt: Mapped[int] = mapped_column(default=1)
    attempts: Mapped[int]  # the limit
    tags: Mapped[str] = mapped_column(String(1000), default="")  # sorted, separated by commas
    tolerated: Mapped[bool] = mapped_column(default=False)  # its failure is not the job's
    children: Mapped[int] = mapped_column(default=0)  # subtasks that it asked for
    precedence: Mapped[int]
    turn_at: Mapped[float]
    ready_at: Mapped[float]
    for_node_id: Mapped[int] = mapped_column(default=0)
    node_id: Mapped[int | None] = mapped_column(ForeignKey("node.id", ondelete="SET NULL"))  # that holds or held it
    lease_expires_at: Mapped[float | None] = mapped_column(index=True)  # none unless a node holds it
    progress: Mapped[int | None]
    queued_at: Mapped[float | None]
    started_at: Mapped[float | None]
    finished_at: Mapped[float | None]
    receipt: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    log_id: Mapped[str | None] = mapped_column(String(64))
    task: Mapped[Task] = relationship(lazy="joined", innerjoin=True)

    __table_args__ = (
        Index("ix_run_queue", "organization_id", "state", "for_node_id", "precedence", "turn_at", "id"),
        Index("ix_run_ready", "organization_id", "state", "ready_at"),
        Index("ix_run_job", "job_id", "depth", "state"),
        Index("ix_run_held", "node_id", "state"),
        {"sqlite_autoincrement": True},
    )


class RunOutput(Base):
    __tablename__ = "run_output"
    run_id: Mapped[int] = mapped_column(ForeignKey("run.id", ondelete="CASCADE"), primary_key=True)
    name: Mapped[str] = mapped_column(String(63), primary_key=True)
    payload_id: Mapped[str] = mapped_column(String(64))


class Lease(Base):
    """The token of one attempt, known by its SHA-256; `answer_*` is what its first result was answered."""

    __tablename__ = "lease"
    token_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    run_id: Mapped[int] = mapped_column(ForeignKey("run.id", ondelete="CASCADE"))
    attempt: Mapped[int]
    node_id: Mapped[int | None] = mapped_column(ForeignKey("node.id", ondelete="SET NULL"))
    granted_at: Mapped[float]
    receipt_hash: Mapped[str | None] = mapped_column(String(64))
    answer_state: Mapped[str | None] = mapped_column(String(10))
    answer_superseded: Mapped[bool | None]

    __table_args__ = (Index("ix_lease_run_id", "run_id", "attempt"),)


class JobNode(Base):
    """All runs of a job at an organization go to this node."""

    __tablename__ = "job_node"
    job_id: Mapped[str] = mapped_column(ForeignKey("job.id", ondelete="CASCADE"), primary_key=True)
    organization_id: Mapped[int] = mapped_column(primary_key=True)
    node_id: Mapped[int] = mapped_column(ForeignKey("node.id", ondelete="CASCADE"), index=True)


class NodeSession(Base):
    """What is known of a node since its last sync. `serial` counts its syncs: only the newest one claims."""

    __tablename__ = "node_session"
    node_id: Mapped[int] = mapped_column(ForeignKey("node.id", ondelete="CASCADE"), primary_key=True)
    organization_id: Mapped[int] = mapped_column(index=True)
    session: Mapped[str] = mapped_column(String(64))
    serial: Mapped[int]
    tags: Mapped[list[str]] = mapped_column(JSON)
    online: Mapped[bool]
    last_sync_at: Mapped[float] = mapped_column(index=True)
