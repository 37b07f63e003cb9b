"""Alembic's entry point; always with the connection, and inside the transaction, of `vserver.migrations.migrate`."""

from alembic import context

from vserver.db import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    render_as_batch=True,
    compare_type=True,
)
context.run_migrations()
