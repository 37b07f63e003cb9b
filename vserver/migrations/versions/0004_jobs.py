"""Jobs, tasks, runs, leases; payloads; events."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "event",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.Column("kind", sa.String(length=80), nullable=False),
        sa.Column("collaboration_id", sa.Integer(), nullable=True),
        sa.Column("job_id", sa.String(length=32), nullable=True),
        sa.Column("task_id", sa.Integer(), nullable=True),
        sa.Column("run_id", sa.Integer(), nullable=True),
        sa.Column("organization_id", sa.Integer(), nullable=True),
        sa.Column("node_id", sa.Integer(), nullable=True),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_event"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_event_at", "event", ["at"], unique=False)
    op.create_index("ix_event_collaboration_id", "event", ["collaboration_id"], unique=False)
    op.create_table(
        "payload",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("suite", sa.Integer(), nullable=False),
        sa.Column("total_bytes", sa.BigInteger(), nullable=False),
        sa.Column("body_bytes", sa.BigInteger(), nullable=False),
        sa.Column("body_offset", sa.Integer(), nullable=False),
        sa.Column("segments", sa.Integer(), nullable=False),
        sa.Column("leaves", sa.LargeBinary(), nullable=True),
        sa.Column("inline", sa.LargeBinary(), nullable=True),
        sa.Column("uploader", sa.String(length=40), nullable=False),
        sa.Column("organization_id", sa.Integer(), nullable=True),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("completed_at", sa.Double(), nullable=True),
        sa.Column("deleted_at", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_payload"),
    )
    op.create_index("ix_payload_created_at", "payload", ["created_at"], unique=False)
    op.create_index("ix_payload_deleted_at", "payload", ["deleted_at"], unique=False)
    op.create_table(
        "payload_segment",
        sa.Column("payload_id", sa.String(length=64), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["payload_id"], ["payload.id"], name="fk_payload_segment_payload_id_payload", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("payload_id", "number", name="pk_payload_segment"),
    )
    op.create_table(
        "job",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("collaboration_id", sa.Integer(), nullable=False),
        sa.Column("organization_id", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=True),
        sa.Column("plan", sa.JSON(), nullable=False),
        sa.Column("plan_hash", sa.String(length=64), nullable=False),
        sa.Column("images", sa.JSON(), nullable=False),
        sa.Column("labels", sa.JSON(), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("expires_at", sa.Double(), nullable=False),
        sa.Column("cancelled_at", sa.Double(), nullable=True),
        sa.Column("finished_at", sa.Double(), nullable=True),
        sa.Column("deleted_at", sa.Double(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["collaboration_id"], ["collaboration.id"], name="fk_job_collaboration_id_collaboration"
        ),
        sa.ForeignKeyConstraint(["organization_id"], ["organization.id"], name="fk_job_organization_id_organization"),
        sa.ForeignKeyConstraint(["user_id"], ["user.id"], name="fk_job_user_id_user", ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("id", name="pk_job"),
    )
    op.create_index("ix_job_collaboration_id", "job", ["collaboration_id"], unique=False)
    op.create_index("ix_job_created_at", "job", ["created_at"], unique=False)
    op.create_index("ix_job_name", "job", ["name"], unique=False)
    op.create_index("ix_job_organization_id", "job", ["organization_id"], unique=False)
    op.create_index("ix_job_unfinished", "job", ["finished_at", "expires_at"], unique=False)
    op.create_index("ix_job_user_id", "job", ["user_id"], unique=False)
    op.create_table(
        "node_session",
        sa.Column("node_id", sa.Integer(), nullable=False),
        sa.Column("organization_id", sa.Integer(), nullable=False),
        sa.Column("session", sa.String(length=64), nullable=False),
        sa.Column("serial", sa.Integer(), nullable=False),
        sa.Column("tags", sa.JSON(), nullable=False),
        sa.Column("online", sa.Boolean(), nullable=False),
        sa.Column("last_sync_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["node_id"], ["node.id"], name="fk_node_session_node_id_node", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("node_id", name="pk_node_session"),
    )
    op.create_index("ix_node_session_last_sync_at", "node_session", ["last_sync_at"], unique=False)
    op.create_index("ix_node_session_organization_id", "node_session", ["organization_id"], unique=False)
    op.create_table(
        "job_label",
        sa.Column("job_id", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("value", sa.String(length=1000), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name="fk_job_label_job_id_job", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("job_id", "name", name="pk_job_label"),
    )
    op.create_index("ix_job_label_name", "job_label", ["name", "value"], unique=False)
    op.create_table(
        "job_node",
        sa.Column("job_id", sa.String(length=32), nullable=False),
        sa.Column("organization_id", sa.Integer(), nullable=False),
        sa.Column("node_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name="fk_job_node_job_id_job", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["node_id"], ["node.id"], name="fk_job_node_node_id_node", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("job_id", "organization_id", name="pk_job_node"),
    )
    op.create_index("ix_job_node_node_id", "job_node", ["node_id"], unique=False)
    op.create_table(
        "payload_use",
        sa.Column("payload_id", sa.String(length=64), nullable=False),
        sa.Column("job_id", sa.String(length=32), nullable=False),
        sa.Column("collaboration_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name="fk_payload_use_job_id_job", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["payload_id"], ["payload.id"], name="fk_payload_use_payload_id_payload", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("payload_id", "job_id", name="pk_payload_use"),
    )
    op.create_index("ix_payload_use_job_id", "payload_use", ["job_id"], unique=False)
    op.create_table(
        "task",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("job_id", sa.String(length=32), nullable=False),
        sa.Column("path", sa.String(length=1024), nullable=False),
        sa.Column("step", sa.String(length=63), nullable=False),
        sa.Column("image", sa.String(length=500), nullable=False),
        sa.Column("parent_run_id", sa.Integer(), nullable=True),
        sa.Column("statements", sa.JSON(), nullable=False),
        sa.Column("statement_hash", sa.String(length=64), nullable=True),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name="fk_task_job_id_job", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_task"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_task_parent_run_id", "task", ["parent_run_id"], unique=False)
    op.create_index("uq_task_job_id_path", "task", ["job_id", "path"], unique=True)
    op.create_table(
        "run",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("job_id", sa.String(length=32), nullable=False),
        sa.Column("task_id", sa.Integer(), nullable=False),
        sa.Column("organization_id", sa.Integer(), nullable=False),
        sa.Column("collaboration_id", sa.Integer(), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("depth", sa.Integer(), nullable=False),
        sa.Column("order_id", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("reason", sa.String(length=30), nullable=True),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("tags", sa.String(length=1000), nullable=False),
        sa.Column("tolerated", sa.Boolean(), nullable=False),
        sa.Column("children", sa.Integer(), nullable=False),
        sa.Column("precedence", sa.Integer(), nullable=False),
        sa.Column("turn_at", sa.Double(), nullable=False),
        sa.Column("ready_at", sa.Double(), nullable=False),
        sa.Column("for_node_id", sa.Integer(), nullable=False),
        sa.Column("node_id", sa.Integer(), nullable=True),
        sa.Column("lease_expires_at", sa.Double(), nullable=True),
        sa.Column("progress", sa.Integer(), nullable=True),
        sa.Column("queued_at", sa.Double(), nullable=True),
        sa.Column("started_at", sa.Double(), nullable=True),
        sa.Column("finished_at", sa.Double(), nullable=True),
        sa.Column("receipt", sa.JSON(), nullable=True),
        sa.Column("log_id", sa.String(length=64), nullable=True),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name="fk_run_job_id_job", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["node_id"], ["node.id"], name="fk_run_node_id_node", ondelete="SET NULL"),
        sa.ForeignKeyConstraint(["organization_id"], ["organization.id"], name="fk_run_organization_id_organization"),
        sa.ForeignKeyConstraint(["task_id"], ["task.id"], name="fk_run_task_id_task", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_run"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_run_held", "run", ["node_id", "state"], unique=False)
    op.create_index("ix_run_job", "run", ["job_id", "depth", "state"], unique=False)
    op.create_index("ix_run_lease_expires_at", "run", ["lease_expires_at"], unique=False)
    op.create_index(
        "ix_run_queue", "run", ["organization_id", "state", "for_node_id", "precedence", "turn_at", "id"], unique=False
    )
    op.create_index("ix_run_ready", "run", ["organization_id", "state", "ready_at"], unique=False)
    op.create_index("ix_run_task_id", "run", ["task_id"], unique=False)
    op.create_table(
        "lease",
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("node_id", sa.Integer(), nullable=True),
        sa.Column("granted_at", sa.Double(), nullable=False),
        sa.Column("receipt_hash", sa.String(length=64), nullable=True),
        sa.Column("answer_state", sa.String(length=10), nullable=True),
        sa.Column("answer_superseded", sa.Boolean(), nullable=True),
        sa.ForeignKeyConstraint(["node_id"], ["node.id"], name="fk_lease_node_id_node", ondelete="SET NULL"),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name="fk_lease_run_id_run", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("token_hash", name="pk_lease"),
    )
    op.create_index("ix_lease_run_id", "lease", ["run_id", "attempt"], unique=False)
    op.create_table(
        "run_output",
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("payload_id", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name="fk_run_output_run_id_run", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run_id", "name", name="pk_run_output"),
    )
