"""Databases of earlier releases."""

from __future__ import annotations

import psycopg
from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine

from dataguardian.history.migrate import SCRIPTS

from .services import PostgresServer


def upgrade(server: PostgresServer, database: str, revision: str) -> None:
    """Bring a database to the schema of a revision, as an earlier release did."""
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS))
    engine = create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(server.dsn(database)))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
    engine.dispose()
