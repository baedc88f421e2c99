"""Counts that only go up, kept by the server as rows are written: what ended, and what retention removed."""

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

# The name is the job's, of a restore that of the Datasource that was restored into; empty where it was never known.
EXECUTIONS = """
CREATE TABLE execution_totals (
    operation      text NOT NULL,
    namespace      text NOT NULL,
    name           text NOT NULL,
    result         text NOT NULL,
    reason         text NOT NULL,
    within_seconds double precision NOT NULL,
    runs           bigint NOT NULL,
    seconds        double precision NOT NULL,
    PRIMARY KEY (operation, namespace, name, result, reason, within_seconds)
)
"""
REMOVALS = """
CREATE TABLE removal_totals (
    namespace text NOT NULL,
    name      text NOT NULL,
    copies    bigint NOT NULL,
    PRIMARY KEY (namespace, name)
)
"""

# Bounds of the histograms: what ended within one is never counted within another later, so they stay as they are.
BOUNDS = "'{1,5,15,60,300,900,3600,10800,28800,86400,Infinity}'::double precision[]"

# One insert counts all that a statement ended, in the order of the key: two statements never wait for each other. What
# was imported, and the backup that a sync kept, was no attempt of its own; a dry run changes nothing.
COUNT_EXECUTIONS = """
INSERT INTO execution_totals AS kept
SELECT run.operation, run.namespace, run.name, run.status, run.reason,
       (SELECT min(bound) FROM unnest({bounds}) AS bound WHERE run.took <= bound) AS within_seconds,
       count(*), sum(run.took)
  FROM (SELECT {operation} AS operation, namespace, coalesce({name}, '') AS name, status,
               coalesce(error_code, '') AS reason,
               greatest(coalesce(extract(epoch FROM finished_at - started_at), 0), 0)::double precision AS took
          FROM {ended} AS ended
         WHERE {counts}) AS run
 GROUP BY 1, 2, 3, 4, 5, 6
 ORDER BY 1, 2, 3, 4, 5, 6
    ON CONFLICT (operation, namespace, name, result, reason, within_seconds)
    DO UPDATE SET runs = kept.runs + excluded.runs, seconds = kept.seconds + excluded.seconds
"""
TABLES = {
    "backup_executions": {
        "operation": "operation",
        "name": "CASE WHEN operation = 'restore' THEN datasource ELSE job END",
        # Looked for in restores alone: the metadata of the others need not be unpacked.
        "counts": "trigger NOT IN ('import', 'sync') AND CASE operation WHEN 'restore' THEN "
        "NOT metadata ? 'dry_run' ELSE true END",
    },
    "database_sync_executions": {"operation": "'sync'", "name": "job", "counts": "true"},
}
ENDED = {
    "insert": "(SELECT * FROM recorded WHERE finished_at IS NOT NULL)",
    "update": "(SELECT recorded.* FROM recorded JOIN known USING (id) "
    "WHERE known.finished_at IS NULL AND recorded.finished_at IS NOT NULL)",
}
ENDED_BEFORE = "(SELECT * FROM {table} WHERE finished_at IS NOT NULL)"
REFERENCING = {"insert": "NEW TABLE AS recorded", "update": "OLD TABLE AS known NEW TABLE AS recorded"}

COUNT_REMOVALS = """
INSERT INTO removal_totals AS kept
SELECT removed.namespace, coalesce({job}, ''), count(*)
  FROM {removed}
 WHERE removed.action = 'backup.removed' AND removed.outcome = 'success'
 GROUP BY 1, 2
 ORDER BY 1, 2
    ON CONFLICT (namespace, name) DO UPDATE SET copies = kept.copies + excluded.copies
"""
NEW_REMOVALS = {"job": "removed.detail ->> 'backup_job'", "removed": "recorded AS removed"}
# What earlier releases wrote does not name the job; the row of the execution does, which a column or the detail names.
OLD_REMOVALS = {
    "job": "execution.job",
    "removed": "audit_logs AS removed LEFT JOIN backup_executions AS execution "
    "ON execution.id::text = coalesce(to_jsonb(removed) ->> 'execution_id', removed.detail ->> 'execution_id')",
}

FUNCTION = """
CREATE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    {count};
    RETURN NULL;
END
$$
"""
TRIGGER = """
CREATE TRIGGER {function} AFTER {event} ON {table} REFERENCING {referencing}
    FOR EACH STATEMENT EXECUTE FUNCTION {function}()
"""


def upgrade() -> None:
    """Make the tables, let each statement count, and count what there is; a writer waits meanwhile."""
    for statement in (EXECUTIONS, REMOVALS):
        op.execute(statement)
    for table, parts in TABLES.items():
        for event, ended in ENDED.items():
            _count(table, event, COUNT_EXECUTIONS.format(**parts, bounds=BOUNDS, ended=ended))
        before = ENDED_BEFORE.format(table=table)
        op.execute(COUNT_EXECUTIONS.format(**parts, bounds=BOUNDS, ended=before))
    _count("audit_logs", "insert", COUNT_REMOVALS.format(**NEW_REMOVALS))
    op.execute(COUNT_REMOVALS.format(**OLD_REMOVALS))


def _count(table: str, event: str, count: str) -> None:
    names = {"function": f"{table}_counted_on_{event}", "table": table, "event": event}
    op.execute(FUNCTION.format(**names, count=count))
    op.execute(TRIGGER.format(**names, referencing=REFERENCING[event]))
