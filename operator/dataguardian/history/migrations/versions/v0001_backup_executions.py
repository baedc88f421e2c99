"""The table of executions."""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TABLE = """
CREATE TABLE backup_executions (
    id            uuid PRIMARY KEY,
    operation     text NOT NULL CHECK (operation IN ('backup', 'restore', 'verify')),
    namespace     text NOT NULL,
    job           text,
    name          text NOT NULL,
    datasource    text,
    trigger       text NOT NULL CHECK (trigger IN ('schedule', 'manual', 'retry', 'sync', 'import')),
    status        text NOT NULL CHECK (status IN ('queued', 'running', 'completed', 'failed', 'cancelled')),
    queued_at     timestamptz NOT NULL,
    started_at    timestamptz,
    finished_at   timestamptz,
    dump_bytes    bigint CHECK (dump_bytes >= 0),
    stored_bytes  bigint CHECK (stored_bytes >= 0),
    checksum      text CHECK (checksum ~ '^sha256:[0-9a-f]{64}$'),
    error_code    text,
    error_message text,
    metadata      jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(metadata) = 'object'),
    copies        jsonb CHECK (jsonb_typeof(copies) = 'array'),
    manifest      jsonb CHECK (jsonb_typeof(manifest) = 'object'),
    CONSTRAINT a_terminal_state_has_an_end
        CHECK ((status IN ('completed', 'failed', 'cancelled')) = (finished_at IS NOT NULL))
)
"""

# Lists are newest first; the id makes their order total, so that a page can begin where another ended.
NEWEST = "CREATE INDEX backup_executions_newest ON backup_executions (queued_at DESC, id)"
BY_JOB = "CREATE INDEX backup_executions_by_job ON backup_executions (namespace, job, queued_at DESC, id)"
BY_DATASOURCE = """
CREATE INDEX backup_executions_by_datasource ON backup_executions (namespace, datasource, queued_at DESC, id)
"""
UNFINISHED = """
CREATE INDEX backup_executions_unfinished ON backup_executions (status, queued_at) WHERE finished_at IS NULL
"""


def upgrade() -> None:
    """Make the table and its indexes."""
    for statement in (TABLE, NEWEST, BY_JOB, BY_DATASOURCE, UNFINISHED):
        op.execute(statement)
