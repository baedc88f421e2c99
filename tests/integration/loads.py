"""Loads in the test's own process, of dumps that ``pg_dump`` has just written."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from dataguardian.runner import login
from dataguardian.runner.lines import Lines
from dataguardian.runner.load import Load
from dataguardian.runner.run import Run

from .runs import Pod
from .services import PostgresServer, postgres_bin


class Masked:
    """A mask of plain statements."""

    def __init__(self, before: str = "", after: str = "") -> None:
        self._before, self._after = before, after

    def before_rows(self) -> bytes:
        return self._before.encode()

    def after_rows(self) -> bytes:
        return self._after.encode()


def dump_of(postgres: PostgresServer, database: str) -> bytes:
    """A dump of a database, as its load gets it."""
    env = {"PATH": os.defpath, "PGPASSWORD": postgres.password}
    command = [str(postgres_bin() / "pg_dump"), "-Fc", "-Z0", "--dbname", postgres.dsn(database)]
    return subprocess.run(command, env=env, check=True, stdout=subprocess.PIPE).stdout


def pieces(dump: bytes, size: int = 4096) -> Iterator[bytes]:
    """The dump, as it comes from a pipe."""
    return (dump[at : at + size] for at in range(0, len(dump), size))


class Loads:
    """Makes loads into databases of the test's server; ``run`` is that of the last one."""

    def __init__(self, pod: Pod, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("DATAGUARDIAN_WORK_DIR", str(pod.folder))
        self._pod = pod

    def into(self, database: str, *, user: str | None = None, **changes: Any) -> Load:
        """A load that replaces everything, and that is not of a stored dump; a ``user`` has its name as password."""
        files: dict[str, Any] = {}
        if user is not None:
            files = {key: self._pod.secret(f"{user}-{key}", user) for key in ("username_file", "password_file")}
        endpoint = self._pod.endpoint(database, **files)
        engine = login.engine_of(endpoint)
        major = engine.client(0)
        self.run = Run(Lines("sync"))
        options = {"replaces": "everything", "proves": False, "lock_timeout_seconds": 60, **changes}
        application = "dataguardian-test"
        return Load(self.run, engine, login.prepare(endpoint, engine), major, major, application=application, **options)
