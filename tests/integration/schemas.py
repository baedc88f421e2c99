"""The schemas of earlier releases."""

from __future__ import annotations

from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine

from dataguardian.history.migrate import SCRIPTS
from dataguardian.history.pool import login
from dataguardian.settings import PostgresSettings


def steps() -> Config:
    """What alembic goes by."""
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS))
    return config


def migrate_to(settings: PostgresSettings, revision: str) -> None:
    """Bring a database to the schema of an earlier release."""
    config = steps()
    engine = create_engine("postgresql+psycopg://", connect_args=login(settings))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
    engine.dispose()
