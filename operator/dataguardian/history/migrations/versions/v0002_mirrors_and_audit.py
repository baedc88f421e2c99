"""The mirrors of the scheduled kinds, the audit log, and what a stored backup's row learns after its end."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# An object's UID is the key: a job that was deleted and made again under its name is another job.
BACKUP_JOBS = """
CREATE TABLE backup_jobs (
    uid                   uuid PRIMARY KEY,
    namespace             text NOT NULL,
    name                  text NOT NULL,
    datasource            text NOT NULL,
    schedule              text,
    time_zone             text NOT NULL,
    suspended             boolean NOT NULL,
    next_execution_at     timestamptz,
    last_execution_name   text,
    last_execution_status text CHECK (last_execution_status IN ('completed', 'failed', 'cancelled')),
    last_execution_at     timestamptz,
    last_successful_at    timestamptz,
    deleted_at            timestamptz,
    updated_at            timestamptz NOT NULL DEFAULT now()
)
"""
BACKUP_JOBS_BY_NAME = "CREATE INDEX backup_jobs_by_name ON backup_jobs (namespace, name)"

DATABASE_SYNC_JOBS = """
CREATE TABLE database_sync_jobs (
    uid                   uuid PRIMARY KEY,
    namespace             text NOT NULL,
    name                  text NOT NULL,
    source                text NOT NULL,
    target                text NOT NULL,
    schedule              text,
    time_zone             text NOT NULL,
    suspended             boolean NOT NULL,
    next_execution_at     timestamptz,
    last_execution_name   text,
    last_execution_status text CHECK (last_execution_status IN ('completed', 'failed', 'cancelled')),
    last_execution_at     timestamptz,
    last_successful_at    timestamptz,
    deleted_at            timestamptz,
    updated_at            timestamptz NOT NULL DEFAULT now()
)
"""
DATABASE_SYNC_JOBS_BY_NAME = "CREATE INDEX database_sync_jobs_by_name ON database_sync_jobs (namespace, name)"

AUDIT_LOGS = """
CREATE TABLE audit_logs (
    id          uuid PRIMARY KEY,
    at          timestamptz NOT NULL,
    who         text NOT NULL,
    action      text NOT NULL,
    namespace   text NOT NULL,
    object_kind text NOT NULL,
    object_name text NOT NULL,
    outcome     text NOT NULL,
    detail      jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(detail) = 'object'),
    request_id  text
)
"""
AUDIT_LOGS_NEWEST = "CREATE INDEX audit_logs_newest ON audit_logs (at DESC, id)"

# Columns of their own: inside metadata, reading them would unpack the log of each row.
LATER = "ALTER TABLE backup_executions ADD COLUMN kept_by text[], ADD COLUMN observed_at timestamptz"


def upgrade() -> None:
    """Make the tables and columns."""
    for statement in (
        BACKUP_JOBS,
        BACKUP_JOBS_BY_NAME,
        DATABASE_SYNC_JOBS,
        DATABASE_SYNC_JOBS_BY_NAME,
        AUDIT_LOGS,
        AUDIT_LOGS_NEWEST,
        LATER,
    ):
        op.execute(statement)
