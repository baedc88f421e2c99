"""The order in which the API's readers page through the executions of some namespaces."""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

BY_NAMESPACE = "CREATE INDEX {table}_by_namespace ON {table} (namespace, queued_at DESC, id)"


def upgrade() -> None:
    """Add the index to both tables."""
    for table in ("backup_executions", "database_sync_executions"):
        op.execute(BY_NAMESPACE.format(table=table))
