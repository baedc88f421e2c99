"""A masked copy of a database, made as a load makes it: what a dump holds before its rows, its rows, and the rest."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass

import msgspec

from dataguardian.domain.masking import Column, refusals
from dataguardian.domain.plan import MaskingPlan, MaskingRule
from dataguardian.engines import Engine
from dataguardian.errors import LoadFailed, MaskingFailed
from dataguardian.runner import login
from dataguardian.runner.lines import Lines
from dataguardian.runner.masking import Mask
from dataguardian.runner.run import Run
from dataguardian.runner.session import Session

from .runs import Pod
from .services import PostgresServer, postgres_bin

KEY = "0123456789abcdef-the-key"
DIGEST = "sha256:" + "0a" * 32
SECTIONS = ("pre-data", "data", "post-data")


def rule(path: str, how: str, text: str | None = None) -> MaskingRule:
    """A rule for a column of schema public, ``table.column``; the text is its value or its expression."""
    table, _, column = path.partition(".")
    given = {"fixed": {"value": text}, "sql": {"expression": text}}.get(how, {})
    return MaskingRule(schema="public", table=table, column=column, how=how, **given)  # type: ignore[arg-type]  # the runner's own check of texts


@dataclass
class Copying:
    """Copies from one server to another."""

    pod: Pod
    source: PostgresServer
    target: PostgresServer

    def plan(self, *rules: MaskingRule) -> MaskingPlan:
        """A plan with these rules and the key."""
        return MaskingPlan(digest=DIGEST, rules=list(rules), key_file=self.pod.secret("masking-key", KEY))

    def session(self, server: PostgresServer, database: str, owner: str = "") -> tuple[Engine, Session]:
        """A session of the runner's, as the server's superuser or as this role, whose password is ``owner``."""
        endpoint = Pod(self.pod.folder, server).endpoint(database)
        if owner:
            files = {
                "username_file": self.pod.secret("owner", owner),
                "password_file": self.pod.secret("owned", "owner"),
            }
            endpoint = msgspec.structs.replace(endpoint, **files)
        engine = login.engine_of(endpoint)
        return engine, Session(Run(Lines("sync")), engine, login.prepare(endpoint, engine, f"login-{server.port}"))

    def columns(self, database: str) -> tuple[list[Column], int]:
        """What the source says of its columns, and its large objects."""
        engine, session = self.session(self.source, database)
        with closing(session):
            session.ask(engine.describe_source())
            found = engine.columns(session.ask(engine.describe_columns()))
            return found.columns, found.large_objects

    def copy(
        self,
        database: str,
        *rules: MaskingRule,
        owner: str = "",
        beside: Callable[[str], object] = lambda copy: None,
    ) -> str:
        """The name of a new database on the target; ``beside`` is called before each step, and in the end."""
        plan, (columns, large_objects) = self.plan(*rules), self.columns(database)
        assert [str(refusal) for refusal in refusals(plan, columns, large_objects)] == []
        copy = self.target.database()
        if owner:
            self.target.sql("postgres", f"ALTER DATABASE {copy} OWNER TO {owner}")
        engine, session = self.session(self.target, copy, owner)
        mask = Mask(plan, engine, columns)
        before, rows, after = (self._dumped(database, section) for section in SECTIONS)
        with closing(session):
            for part in (b"BEGIN;\n" + before, mask.before_rows(), rows, mask.after_rows(), after):
                beside(copy)
                session.send(part)
                session.lines(MaskingFailed)
            beside(copy)
            session.ask("COMMIT;\n", LoadFailed)
            beside(copy)
        return copy

    def _dumped(self, database: str, section: str) -> bytes:
        command = [
            str(postgres_bin() / "pg_dump"),
            "--dbname",
            self.source.dsn(database),
            f"--section={section}",
            "--no-owner",
        ]
        env = {"PATH": os.defpath, "PGPASSWORD": self.source.password}
        return subprocess.run(command, env=env, check=True, stdout=subprocess.PIPE).stdout
