"""Organizations and collaborations."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "organization",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=True),
        sa.Column("key_log", sa.JSON(), nullable=True),
        sa.Column("key_log_number", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_organization"),
        sa.UniqueConstraint("fingerprint", name="uq_organization_fingerprint"),
        sa.UniqueConstraint("name", name="uq_organization_name"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "collaboration",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=32), nullable=False),
        sa.Column("display_name", sa.String(length=200), nullable=False),
        sa.Column("encrypted", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_collaboration"),
        sa.UniqueConstraint("display_name", name="uq_collaboration_display_name"),
        sa.UniqueConstraint("name", name="uq_collaboration_name"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "membership",
        sa.Column("collaboration_id", sa.Integer(), nullable=False),
        sa.Column("organization_id", sa.Integer(), nullable=False),
        sa.Column("since", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(
            ["collaboration_id"],
            ["collaboration.id"],
            name="fk_membership_collaboration_id_collaboration",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["organization_id"],
            ["organization.id"],
            name="fk_membership_organization_id_organization",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("collaboration_id", "organization_id", name="pk_membership"),
    )
    op.create_index("ix_membership_organization_id", "membership", ["organization_id"])
