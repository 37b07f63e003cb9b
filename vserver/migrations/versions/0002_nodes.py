"""Nodes."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "node",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("organization_id", sa.Integer(), nullable=False),
        sa.Column("api_key_hash", sa.String(length=64), nullable=False),
        sa.Column("tags", sa.JSON(), nullable=False),
        sa.Column("software_version", sa.String(length=40), nullable=True),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("last_sync_at", sa.Double(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["organization_id"], ["organization.id"], name="fk_node_organization_id_organization"),
        sa.PrimaryKeyConstraint("id", name="pk_node"),
        sa.UniqueConstraint("api_key_hash", name="uq_node_api_key_hash"),
        sa.UniqueConstraint("name", name="uq_node_name"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_node_organization_id", "node", ["organization_id"])
