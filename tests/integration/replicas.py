"""A replica of a PostgreSQL server."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from .services import PostgresServer, postgres_bin


@dataclass
class _Replica(PostgresServer):
    """Follows the primary by its WAL, and answers to readers."""

    primary: PostgresServer | None = None

    def prepare(self) -> None:
        assert self.primary is not None
        if os.geteuid() == 0:
            shutil.chown(self.folder, "postgres", "postgres")
        subprocess.run(
            ["setpriv", *self.identity(), str(postgres_bin() / "pg_basebackup"), "--write-recovery-conf",
             "--checkpoint=fast", "--no-sync", f"--dbname={self.primary.dsn()}", f"--pgdata={self.data}"],
            check=True, capture_output=True, cwd=self.folder,
        )  # fmt: skip


# A primary that other tests use as well may have tablespaces inside of its folder.
SETTINGS = ("fsync=off", "max_connections=200", "allow_in_place_tablespaces=on")


@contextmanager
def replica_of(primary: PostgresServer) -> Iterator[PostgresServer]:
    """A replica that has all that the primary has by now."""
    replica = _Replica(primary=primary, settings=SETTINGS)
    try:
        replica.start()
        yield replica
    finally:
        replica.remove()
