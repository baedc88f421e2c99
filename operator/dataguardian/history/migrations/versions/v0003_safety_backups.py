"""Backups that a restore asks for before it starts."""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

TRIGGERS = """
ALTER TABLE backup_executions
    DROP CONSTRAINT backup_executions_trigger_check,
    ADD CONSTRAINT backup_executions_trigger_check
        CHECK (trigger IN ('schedule', 'manual', 'retry', 'sync', 'import', 'safety'))
"""


def upgrade() -> None:
    """Allow one more trigger."""
    op.execute(TRIGGERS)
