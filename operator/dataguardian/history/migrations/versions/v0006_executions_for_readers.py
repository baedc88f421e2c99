"""What the API's readers need of executions: which changed since when, and which ended in the last days."""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

# By this server's clock, which all readers share; observed_at is by the operator's, and may be written much later. The
# default is constant, so that no row is rewritten: what is there was recorded long ago; the trigger sets all others.
RECORDED = """
ALTER TABLE {table} ADD COLUMN recorded_at timestamptz NOT NULL DEFAULT 'epoch'
"""
STAMP = """
CREATE FUNCTION dataguardian_stamp() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.recorded_at := clock_timestamp();
    RETURN NEW;
END
$$
"""
STAMPED = """
CREATE TRIGGER {table}_stamped BEFORE INSERT OR UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION dataguardian_stamp()
"""
BY_RECORDED = "CREATE INDEX {table}_by_recorded ON {table} (recorded_at, id)"
# What ended in the last days.
BY_END = "CREATE INDEX {table}_by_end ON {table} (finished_at) INCLUDE (namespace, status)"


def upgrade() -> None:
    """Add the column, what sets it, and the indexes."""
    op.execute(STAMP)
    for table in ("backup_executions", "database_sync_executions"):
        for statement in (RECORDED, STAMPED, BY_RECORDED, BY_END):
            op.execute(statement.format(table=table))
