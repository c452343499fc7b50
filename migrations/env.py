"""Alembic's entry: runs on the connection that penstock_shared.ledger.migrate hands over."""

from alembic import context

from penstock_shared.ledger.schema import Table

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Table.metadata,
    render_as_batch=True,
    compare_type=True,
)
context.run_migrations()
