"""The schema of the history database, brought to this release's state before the operator starts."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg

from ..errors import HistoryUnavailable
from ..settings import PostgresSettings
from .pool import login

if TYPE_CHECKING:
    from sqlalchemy import Connection

log = logging.getLogger(__name__)

SCRIPTS = Path(__file__).parent / "migrations"
LOCK_KEY = 0x6461746167756172  # "dataguar": any number that no other program locks in this database
_PAUSE_S = 1.0


def migrate(settings: PostgresSettings, deadline_s: float) -> None:
    """Bring the schema to this release's state: all of it or nothing, in one transaction.

    Waits for the server, and for another one that migrates, until the deadline. A schema that is newer than
    this release stays as it is: steps only add, and a release that is rolled back must start. Raises
    HistoryUnavailable when the deadline passes, ConfigInvalid when the secret files cannot be read.
    """
    deadline = time.monotonic() + deadline_s
    _wait(settings, deadline)
    _upgrade(settings, max(1.0, deadline - time.monotonic()))


def _wait(settings: PostgresSettings, deadline: float) -> None:
    """Return once a login works."""
    where = {"host": settings.host, "port": settings.port, "database": settings.database}
    while True:
        try:
            psycopg.connect(**login(settings)).close()
        except psycopg.OperationalError as error:
            left_s = deadline - time.monotonic()
            reason = " ".join(str(error).split())
            if left_s <= 0:
                raise HistoryUnavailable(
                    f"Postgres at {settings.host}:{settings.port} did not answer: {reason}",
                    remedy="Look at the server, its Service and the Secret with its credentials.",
                ) from error
            fields = {"action": "postgres_awaited", **where, "reason": reason, "seconds_left": round(left_s)}
            log.info("Waiting for Postgres", extra=fields)
            time.sleep(min(_PAUSE_S, left_s))
        else:
            return


def _upgrade(settings: PostgresSettings, wait_s: float) -> None:
    # Here, not above: alembic and SQLAlchemy take tens of megabytes that the operator need not carry.
    from sqlalchemy import URL, create_engine, exc, pool, text

    engine = create_engine(
        URL.create("postgresql+psycopg"),
        connect_args=login(settings),
        poolclass=pool.NullPool,
        hide_parameters=True,
    )
    try:
        with engine.begin() as connection:
            connection.execute(text("SELECT set_config('lock_timeout', :limit, true)"), {"limit": f"{wait_s:.0f}s"})
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": LOCK_KEY})
            _run_steps(connection)
    except exc.OperationalError as error:
        raise HistoryUnavailable(
            f"Postgres ended the migration: {' '.join(str(error.orig).split())}",
            remedy="Nothing was changed; it is tried again when the pod's init container starts again.",
        ) from error


def _run_steps(connection: Connection) -> None:
    from alembic import command
    from alembic.config import Config
    from alembic.runtime.migration import MigrationContext
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))
    config.attributes["connection"] = connection
    before = MigrationContext.configure(connection).get_current_revision()
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if before is not None and before not in known:
        fields = {"action": "schema_newer", "revision": before}
        log.warning("The history schema is newer than this release and stays as it is", extra=fields)
        return
    command.upgrade(config, "head")
    after = MigrationContext.configure(connection).get_current_revision()
    log.info("History schema is ready", extra={"action": "schema_ready", "from": before, "to": after})
