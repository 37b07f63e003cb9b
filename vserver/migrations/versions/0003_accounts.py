"""Users, roles, tokens, stored answers of repeated calls."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

BUILT_IN = ("Administrator", "Organization admin", "Collaboration admin", "Researcher", "Viewer")


def upgrade() -> None:
    op.create_table(
        "role",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("permissions", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_role"),
        sa.UniqueConstraint("name", name="uq_role_name"),
    )
    op.create_table(
        "user",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("username", sa.String(length=80), nullable=False),
        sa.Column("password_hash", sa.String(length=200), nullable=False),
        sa.Column("organization_id", sa.Integer(), nullable=True),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("failed_logins", sa.Integer(), nullable=False),
        sa.Column("locked_until", sa.Double(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["organization_id"], ["organization.id"], name="fk_user_organization_id_organization"),
        sa.PrimaryKeyConstraint("id", name="pk_user"),
        sa.UniqueConstraint("username", name="uq_user_username"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_user_organization_id", "user", ["organization_id"])
    op.create_table(
        "user_role",
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("role_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["role_id"], ["role.id"], name="fk_user_role_role_id_role"),
        sa.ForeignKeyConstraint(["user_id"], ["user.id"], name="fk_user_role_user_id_user", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("user_id", "role_id", name="pk_user_role"),
    )
    op.create_index("ix_user_role_role_id", "user_role", ["role_id"])
    op.create_table(
        "token",
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("use", sa.String(length=10), nullable=False),
        sa.Column("family", sa.String(length=32), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=True),
        sa.Column("node_id", sa.Integer(), nullable=True),
        sa.Column("issued_at", sa.Double(), nullable=False),
        sa.Column("expires_at", sa.Double(), nullable=False),
        sa.Column("rotated_at", sa.Double(), nullable=True),
        sa.ForeignKeyConstraint(["node_id"], ["node.id"], name="fk_token_node_id_node", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["user_id"], ["user.id"], name="fk_token_user_id_user", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("hash", name="pk_token"),
    )
    op.create_index("ix_token_expires_at", "token", ["expires_at"])
    op.create_index("ix_token_family", "token", ["family"])
    op.create_index("ix_token_node_id", "token", ["node_id"])
    op.create_index("ix_token_user_id", "token", ["user_id"])
    op.create_table(
        "one_time_code",
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("purpose", sa.String(length=40), nullable=False),
        sa.Column("expires_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("hash", name="pk_one_time_code"),
    )
    op.create_index("ix_one_time_code_purpose", "one_time_code", ["purpose"])
    op.create_table(
        "stored_answer",
        sa.Column("principal", sa.String(length=40), nullable=False),
        sa.Column("key", sa.String(length=128), nullable=False),
        sa.Column("request_hash", sa.String(length=64), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("location", sa.String(length=200), nullable=True),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("principal", "key", name="pk_stored_answer"),
    )
    op.create_index("ix_stored_answer_created_at", "stored_answer", ["created_at"])
    role = sa.table("role", sa.column("name"), sa.column("permissions"))
    op.bulk_insert(role, [{"name": name, "permissions": "@" + name.replace(" ", "_")} for name in BUILT_IN])
