"""Alembic's entry: runs on the connection it is given."""

from alembic import context

from incidentd.store.tables import METADATA

context.configure(connection=context.config.attributes["connection"], target_metadata=METADATA)
with context.begin_transaction():
    context.run_migrations()
