"""The way from the name of a run object to its execution: a request that is sent again names it."""

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

BY_NAME = "CREATE INDEX {table}_by_name ON {table} (namespace, name, queued_at DESC)"


def upgrade() -> None:
    """Add the index to both tables."""
    for table in ("backup_executions", "database_sync_executions"):
        op.execute(BY_NAME.format(table=table))
