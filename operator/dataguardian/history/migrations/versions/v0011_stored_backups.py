"""What is known of a stored backup beside its run, and the order in which the API's readers page through them."""

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

COLUMNS = """
ALTER TABLE backup_executions
    ADD COLUMN dumped_at       timestamptz,
    ADD COLUMN engine_version  text,
    ADD COLUMN verification    text CHECK (verification IN ('passed', 'failed')),
    ADD COLUMN verification_at timestamptz
"""
# A small part of the rows: most backups are removed before long, and their rows stay.
INDEX = """
CREATE INDEX backup_executions_stored{name}
    ON backup_executions ({first}(COALESCE(dumped_at, started_at, finished_at)) DESC, id)
 WHERE operation = 'backup' AND status = 'completed' AND copies @> '[{{"state": "Stored"}}]'
"""


def upgrade() -> None:
    """Add the columns and the indexes."""
    op.execute(COLUMNS)
    op.execute(INDEX.format(name="", first=""))
    op.execute(INDEX.format(name="_by_namespace", first="namespace, "))
