"""How datasources and storage locations were: a row for each change."""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

HEALTH_CHECKS = """
CREATE TABLE health_checks (
    id        uuid PRIMARY KEY,
    at        timestamptz NOT NULL,
    kind      text NOT NULL,
    namespace text NOT NULL,
    name      text NOT NULL,
    status    text NOT NULL CHECK (status IN ('up', 'degraded', 'down', 'unknown')),
    reason    text NOT NULL,
    message   text NOT NULL
)
"""
NEWEST = "CREATE INDEX health_checks_newest ON health_checks (at DESC, id)"
BY_OBJECT = "CREATE INDEX health_checks_by_object ON health_checks (kind, namespace, name, at DESC, id)"


def upgrade() -> None:
    """Make the table."""
    for statement in (HEALTH_CHECKS, NEWEST, BY_OBJECT):
        op.execute(statement)
