"""What the tests of Swaps have: a role that syncs, its Swap of a target, a look at all that belongs to a database."""

from __future__ import annotations

import os
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg.sql import SQL, Identifier, Literal

from dataguardian.domain.plan import Endpoint
from dataguardian.engines import Brought, Login
from dataguardian.runner import login
from dataguardian.runner.lines import Lines
from dataguardian.runner.run import Run
from dataguardian.runner.session import Session
from dataguardian.runner.swap import Swap

from .runs import Pod
from .services import PostgresServer, postgres_bin

NOTHING = Brought(schemas=[], extensions=[])
OURS = "SELECT datname FROM pg_database WHERE datname ~ '^dg_(sync|previous)_' ORDER BY 1"


@dataclass
class Site:
    """A server, and a role on it that may create databases and no more."""

    pod: Pod
    server: PostgresServer
    user: str = field(init=False)

    def __post_init__(self) -> None:
        self.user = self.role("LOGIN PASSWORD 'sync' CREATEDB")

    def role(self, *options: str) -> str:
        """A new role."""
        name = f"role_{uuid.uuid4().hex[:8]}"
        self.run("CREATE ROLE {} " + " ".join(options), name)
        return name

    def run(self, statement: str, *names: str, database: str = "postgres") -> None:
        """Run a statement as the superuser, with these names in it."""
        with psycopg.connect(self.server.dsn(database), autocommit=True) as connection:
            connection.execute(SQL(statement).format(*map(Identifier, names)))

    def place(self) -> str:
        """A new tablespace that the role may use."""
        name = f"place_{uuid.uuid4().hex[:8]}"
        with psycopg.connect(self.server.dsn(), autocommit=True) as connection:
            connection.execute("SET allow_in_place_tablespaces = true")
            connection.execute(SQL("CREATE TABLESPACE {} LOCATION ''").format(Identifier(name)))
        self.run("GRANT CREATE ON TABLESPACE {} TO {}", name, self.user)
        return name

    def target(self, name: str | None = None) -> str:
        """A database of the role: 1000 old rows."""
        database = self.server.database(name)
        self.run("ALTER DATABASE {} OWNER TO {}", database, self.user)
        self.fill(database, "old", 1000)
        return database

    def fill(self, database: str, text: str, rows: int) -> None:
        """Make a table of these rows, as the role."""
        with psycopg.connect(self.dsn(database)) as connection:
            connection.execute("CREATE TABLE copied (text text)")
            insert = SQL("INSERT INTO copied SELECT {} FROM generate_series(1, {})")
            connection.execute(insert.format(Literal(text), Literal(rows)))

    def dsn(self, database: str) -> str:
        """How the role connects."""
        return self.server.dsn(database, user=self.user, password="sync")

    def previous(self, target: str, digits: str) -> str:
        """A database that was this target before a Swap, and is over."""
        name = f"dg_previous_{target}_{digits}"
        self.run("CREATE DATABASE {} OWNER {}", name, self.user)
        mark = f"dataguardian-previous 1 2020-01-01T00:00:00Z {target}"
        with psycopg.connect(self.server.dsn(), autocommit=True) as connection:
            connection.execute(SQL("COMMENT ON DATABASE {} IS {}").format(Identifier(name), Literal(mark)))
        return name

    def text(self, database: str) -> tuple[Any, ...]:
        """The first and the last text of the table, and how many there are."""
        query = "SELECT min(text), max(text), count(*) FROM copied"
        return self.server.rows(database, query)[0]

    def ours(self) -> list[str]:
        """The databases of syncs."""
        return [str(name) for (name,) in self.server.rows("postgres", OURS)]

    def endpoint(self, database: str) -> Endpoint:
        """The target as a plan names it."""
        return self.pod.endpoint(
            database,
            username_file=self.pod.secret("sync-user", self.user),
            password_file=self.pod.secret("sync-password", "sync"),
        )

    def login(self, database: str) -> Login:
        """The role's login."""
        endpoint = self.endpoint(database)
        return login.prepare(endpoint, login.engine_of(endpoint))

    def brought(self, source: str) -> Brought:
        """What a dump of the source brings."""
        access = self.login(source)
        engine = login.engine_of(access.endpoint)
        with closing(Session(Run(Lines("sync")), engine, access)) as session:
            return engine.brought(session.ask(engine.describe_brought()))

    @contextmanager
    def swap(self, database: str, brought: Brought = NOTHING, run: Run | None = None, **changes: Any) -> Iterator[Swap]:
        """A Swap of this target by the role."""
        access = self.login(database)
        engine = login.engine_of(access.endpoint)
        swap = Swap(
            run or Run(Lines("sync")),
            engine,
            access,
            execution_id=str(uuid.uuid4()),
            brought=brought,
            **{"patience_seconds": 0, **changes},
        )
        with closing(swap):
            yield swap

    def load(self, source: str, access: Login) -> None:
        """Bring a dump of the source into the new database, by the server's own programs."""
        environment = {"PATH": os.defpath, "LANG": "C.UTF-8"}
        dumping = [str(postgres_bin() / "pg_dump"), "-Fc", "-Z0", self.server.dsn(source)]
        dump = subprocess.run(dumping, check=True, capture_output=True, env=environment).stdout
        into = {**environment, "PGDATABASE": access.endpoint.database, "PGPASSWORD": "sync", "PGUSER": self.user}
        where = [f"--host={self.server.host}", f"--port={self.server.port}"]
        database = (
            "--dbname=dbname=" + psycopg.conninfo.make_conninfo(dbname=access.endpoint.database).partition("=")[2]
        )
        loading = [str(postgres_bin() / "pg_restore"), "--exit-on-error", "--no-owner", *where, database]
        subprocess.run(loading, check=True, input=dump, env=into)


def belongings(server: PostgresServer, database: str) -> dict[str, list[tuple[object, ...]]]:
    """All that belongs to a database and is not in a dump of it."""
    questions = {
        "itself": "SELECT to_jsonb(d) - array['oid', 'datname', 'datacl', 'datfrozenxid', 'datminmxid']"
        " FROM pg_database AS d WHERE datname = current_database()",
        "comment": "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = current_database()",
        "grants": "SELECT grantee::regrole::text, privilege_type, is_grantable FROM pg_database,"
        " aclexplode(coalesce(datacl, acldefault('d', datdba))) WHERE datname = current_database() ORDER BY 1, 2",
        "settings": "SELECT setrole::regrole::text, unnest(setconfig) FROM pg_db_role_setting JOIN pg_database d"
        " ON setdatabase = d.oid WHERE datname = current_database() ORDER BY 1, 2",
        "extensions": "SELECT extname, nspname, extversion, array(SELECT split_part(x::text, '/', 1)"
        " FROM unnest(nspacl) AS x WHERE x::text !~ '=UC' ORDER BY 1)"
        " FROM pg_extension JOIN pg_namespace n ON n.oid = extnamespace ORDER BY 1",
        "default privileges": "SELECT defaclrole::regrole::text, defaclnamespace::regnamespace::text, defaclobjtype,"
        " grantee::regrole::text, privilege_type, is_grantable FROM pg_default_acl,"
        " aclexplode(defaclacl) ORDER BY 1, 2, 3, 4, 5",
    }
    return {name: server.rows(database, query) for name, query in questions.items()}
