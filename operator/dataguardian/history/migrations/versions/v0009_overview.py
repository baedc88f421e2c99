"""What one look at everything needs: counts of what ended, the latest failures, and what each location holds."""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

# With the operation too, so that what ended is counted from the index alone.
BY_END = (
    "DROP INDEX backup_executions_by_end",
    """
    CREATE INDEX backup_executions_by_end ON backup_executions (finished_at) INCLUDE (namespace, operation, status)
    """,
)
FAILURES = """
CREATE INDEX {table}_failures ON {table} (finished_at DESC, id) INCLUDE (namespace) WHERE status = 'failed'
"""

# A total for each location, kept by the rows themselves: a sum over the copies of 100,000 rows takes half a second.
STORED_COPIES = """
CREATE TABLE stored_copies (
    namespace text NOT NULL,
    location  text NOT NULL,
    copies    bigint NOT NULL,
    bytes     bigint NOT NULL,
    PRIMARY KEY (namespace, location)
)
"""
# Locations in one order, so that two writers never wait for each other.
COUNT = """
CREATE FUNCTION dataguardian_count_copies() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO stored_copies AS kept (namespace, location, copies, bytes)
    SELECT namespace, location, sum(copies), sum(bytes)
      FROM (SELECT NEW.namespace, copy ->> 'location', 1, COALESCE(NEW.stored_bytes, 0)
              FROM jsonb_array_elements(NEW.copies) AS copy
             WHERE copy ->> 'state' = 'Stored' AND copy ? 'location'
             UNION ALL
            SELECT OLD.namespace, copy ->> 'location', -1, -COALESCE(OLD.stored_bytes, 0)
              FROM jsonb_array_elements(OLD.copies) AS copy
             WHERE copy ->> 'state' = 'Stored' AND copy ? 'location') AS change (namespace, location, copies, bytes)
     GROUP BY namespace, location
    HAVING sum(copies) <> 0 OR sum(bytes) <> 0
     ORDER BY namespace, location
        ON CONFLICT (namespace, location)
        DO UPDATE SET copies = kept.copies + excluded.copies, bytes = kept.bytes + excluded.bytes;
    RETURN NULL;
END
$$
"""
FORGET = """
CREATE FUNCTION dataguardian_forget_copies() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM stored_copies;
    RETURN NULL;
END
$$
"""
# These lock the table until the end of the transaction, so that no row comes between them and the first sum.
COUNTED = (
    """
    CREATE TRIGGER backup_executions_added AFTER INSERT ON backup_executions FOR EACH ROW
        WHEN (NEW.copies IS NOT NULL) EXECUTE FUNCTION dataguardian_count_copies()
    """,
    """
    CREATE TRIGGER backup_executions_changed AFTER UPDATE ON backup_executions FOR EACH ROW
        WHEN ((OLD.copies, OLD.stored_bytes) IS DISTINCT FROM (NEW.copies, NEW.stored_bytes))
        EXECUTE FUNCTION dataguardian_count_copies()
    """,
    """
    CREATE TRIGGER backup_executions_removed AFTER DELETE ON backup_executions FOR EACH ROW
        WHEN (OLD.copies IS NOT NULL) EXECUTE FUNCTION dataguardian_count_copies()
    """,
    """
    CREATE TRIGGER backup_executions_emptied AFTER TRUNCATE ON backup_executions FOR EACH STATEMENT
        EXECUTE FUNCTION dataguardian_forget_copies()
    """,
)
FIRST_SUM = """
INSERT INTO stored_copies (namespace, location, copies, bytes)
SELECT namespace, copy ->> 'location', count(*), COALESCE(sum(stored_bytes), 0)
  FROM backup_executions, jsonb_array_elements(copies) AS copy
 WHERE copy ->> 'state' = 'Stored' AND copy ? 'location'
 GROUP BY namespace, copy ->> 'location'
"""


def upgrade() -> None:
    """Make the indexes, and the totals with what keeps them."""
    tables = ("backup_executions", "database_sync_executions")
    failures = [FAILURES.format(table=table) for table in tables]
    for statement in (*BY_END, *failures, STORED_COPIES, COUNT, FORGET, *COUNTED, FIRST_SUM):
        op.execute(statement)
