"""The table of syncs."""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

# No foreign key: the row of a sync may be written before that of the backup that its dump was kept as.
TABLE = """
CREATE TABLE database_sync_executions (
    id                  uuid PRIMARY KEY,
    namespace           text NOT NULL,
    job                 text,
    name                text NOT NULL,
    source              text,
    target              text,
    trigger             text NOT NULL CHECK (trigger IN ('schedule', 'manual')),
    status              text NOT NULL CHECK (status IN ('queued', 'running', 'completed', 'failed', 'cancelled')),
    queued_at           timestamptz NOT NULL,
    started_at          timestamptz,
    finished_at         timestamptz,
    observed_at         timestamptz,
    strategy            text CHECK (strategy IN ('transaction', 'swap')),
    dump_bytes          bigint CHECK (dump_bytes >= 0),
    tables              bigint CHECK (tables >= 0),
    rows                bigint CHECK (rows >= 0),
    error_code          text,
    error_message       text,
    masking_digest      text,
    backup_execution_id uuid,
    metadata            jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(metadata) = 'object'),
    CONSTRAINT a_terminal_state_has_an_end
        CHECK ((status IN ('completed', 'failed', 'cancelled')) = (finished_at IS NOT NULL))
)
"""

# The same lists as those of ``backup_executions``.
NEWEST = "CREATE INDEX database_sync_executions_newest ON database_sync_executions (queued_at DESC, id)"
BY_JOB = """
CREATE INDEX database_sync_executions_by_job ON database_sync_executions (namespace, job, queued_at DESC, id)
"""
BY_TARGET = """
CREATE INDEX database_sync_executions_by_target ON database_sync_executions (namespace, target, queued_at DESC, id)
"""
UNFINISHED = """
CREATE INDEX database_sync_executions_unfinished ON database_sync_executions (status, queued_at)
 WHERE finished_at IS NULL
"""


def upgrade() -> None:
    """Make the table and its indexes."""
    for statement in (TABLE, NEWEST, BY_JOB, BY_TARGET, UNFINISHED):
        op.execute(statement)
