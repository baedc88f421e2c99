"""What the tests of verifications look at: temporary databases, and servers beside the source's."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg.sql import SQL, Identifier

from dataguardian.domain.plan import FilesystemTarget

from .runs import folder_of
from .services import PostgresServer


def temporary_databases(server: PostgresServer, database: str) -> list[str]:
    """The names of those of a database, or of what a database is a copy of."""
    rows = server.rows("postgres", "SELECT datname FROM pg_database WHERE datname LIKE 'dg_verify_%' ORDER BY 1")
    return [str(name) for (name,) in rows if str(name).startswith(f"dg_verify_{database}_")]


def aged(server: PostgresServer, name: str) -> str:
    """The temporary database under the name that it would have had, had it been made long ago."""
    old = f"{name[:-14]}20200101000000"
    rename = SQL("ALTER DATABASE {} RENAME TO {}").format(Identifier(name), Identifier(old))
    with psycopg.connect(server.dsn(), autocommit=True) as connection:
        connection.execute(rename)
    return old


def proofs(backup: FilesystemTarget) -> list[dict[str, Any]]:
    """What is proven beside a backup."""
    return [json.loads(file.read_text()) for file in sorted(folder_of(backup).glob("proofs/*.json"))]


@dataclass
class SocketServer(PostgresServer):
    """A server as in the pod of a verification: no address, no password, a socket."""

    def prepare(self) -> None:
        super().prepare()
        self.port = 5432
        (self.data / "pg_hba.conf").write_text("local all all trust\n")
        if os.geteuid() == 0:
            shutil.chown(self.data / "pg_hba.conf", "postgres", "postgres")

    @property
    def sockets(self) -> Path:
        """The folder of the socket."""
        return self.folder

    def command(self) -> Sequence[str]:
        return [*super().command(), "-c", "listen_addresses="]

    def dsn(self, database: str = "postgres", *, user: str | None = None, password: str | None = None) -> str:
        return psycopg.conninfo.make_conninfo(host=str(self.sockets), port=self.port, dbname=database, user=self.user)
