"""Real services for tests: each is a process on 127.0.0.1 with a free port, gone when the tests are.

Every start waits for the service to answer; nothing here sleeps for luck.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import LiteralString

import psycopg
import psycopg.conninfo
import psycopg.sql
import redis

from .s3_admin import S3Admin

HOST = "127.0.0.1"
ROOT = Path(__file__).resolve().parents[2]


def free_port() -> int:
    """A port that nobody listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def wait_until(condition: Callable[[], object], *, what: str, seconds: float = 90) -> None:
    """Return when the condition holds. Raises TimeoutError, naming ``what``, when it never does."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {seconds} s: {what}")
        time.sleep(0.02)


@cache
def program(name: str) -> Path:
    """The folder of a program that ``hack/cluster`` builds, or has built."""
    command = [str(ROOT / "hack/cluster/cluster"), "programs", name]
    return Path(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.strip())


def versitygw() -> Path:
    """The S3 server's program: DATAGUARDIAN_VERSITYGW, else what ``hack/cluster`` builds."""
    named = os.environ.get("DATAGUARDIAN_VERSITYGW")
    return Path(named) if named else program("versitygw") / "versitygw"


def postgres_bin() -> Path:
    """The newest PostgreSQL server on this machine."""
    servers = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[4]))
    if not servers:
        raise FileNotFoundError("a PostgreSQL server: apt-get install postgresql")
    return servers[-1].parent


@dataclass
class Service(ABC):
    """One process. It ends with this process, even when that is killed."""

    host: str = field(default=HOST, init=False)
    port: int = field(default_factory=free_port, init=False)
    folder: Path = field(init=False)
    process: subprocess.Popen[bytes] | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="dg-test-"))
        self.prepare()

    def prepare(self) -> None:  # noqa: B027 - most need nothing
        """What is needed once, before the first start."""

    @abstractmethod
    def command(self) -> Sequence[str]:
        """The process's arguments."""

    @abstractmethod
    def answers(self) -> bool:
        """Whether a client is served."""

    def start(self) -> None:
        """Run it and wait for its first answer; a running one stays."""
        if self.process is not None and self.process.poll() is None:
            return
        with (self.folder / "log").open("ab") as log:
            argv = ["setpriv", *self.identity(), "--pdeathsig=INT", "--", *self.command()]
            self.process = subprocess.Popen(argv, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        wait_until(self._up, what=f"{type(self).__name__} answers; {self.folder}/log")

    def identity(self) -> Sequence[str]:
        """Who runs it, as arguments of setpriv."""
        return ()

    def stop(self) -> None:
        """End it in order."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """SIGKILL; data stays for the next ``start``."""
        self._end(signal.SIGKILL)

    def remove(self) -> None:
        """End it and forget its data."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _end(self, number: int) -> None:
        if self.process is not None:
            self.process.send_signal(number)
            self.process.wait(timeout=30)
            self.process = None

    def _up(self) -> bool:
        if self.process is not None and self.process.poll() is not None:
            raise RuntimeError((self.folder / "log").read_text(errors="replace")[-2000:])
        return self.answers()


@dataclass
class PostgresServer(Service):
    """A PostgreSQL server with password login; ``settings`` are its ``name=value`` settings.

    ``programs`` is the folder of its programs, which the user ``postgres`` must be allowed to run.
    """

    programs: Path = field(default_factory=postgres_bin)
    user: str = "postgres"
    password: str = "p:a\\ss'w\"ord"
    settings: tuple[str, ...] = ("fsync=off", "max_connections=200")

    def prepare(self) -> None:
        secret = self.folder / "password"
        secret.write_text(self.password)
        if os.geteuid() == 0:
            shutil.chown(self.folder, "postgres", "postgres")
            shutil.chown(secret, "postgres", "postgres")
        subprocess.run(
            ["setpriv", *self.identity(), str(self.programs / "initdb"), "--auth=scram-sha-256", "-N",
             f"--username={self.user}", f"--pwfile={secret}", "--encoding=UTF8", "--locale=C.UTF-8",
             f"--pgdata={self.data}"],
            check=True, capture_output=True, cwd=self.folder,
        )  # fmt: skip

    @property
    def data(self) -> Path:
        """The data folder."""
        return self.folder / "data"

    def identity(self) -> Sequence[str]:
        return ("--reuid=postgres", "--regid=postgres", "--init-groups") if os.geteuid() == 0 else ()

    def command(self) -> Sequence[str]:
        settings = [item for setting in self.settings for item in ("-c", setting)]
        where = [f"--listen_addresses={self.host}", f"--unix_socket_directories={self.folder}"]
        return [str(self.programs / "postgres"), "-D", str(self.data), "-p", str(self.port), *where, *settings]

    def answers(self) -> bool:
        try:
            psycopg.connect(self.dsn(), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def kill(self) -> None:
        """SIGKILL the postmaster; its children notice and end."""
        super().kill()
        (self.data / "postmaster.pid").unlink(missing_ok=True)

    def dsn(self, database: str = "postgres", *, user: str | None = None, password: str | None = None) -> str:
        """A libpq connection string."""
        return psycopg.conninfo.make_conninfo(
            host=self.host, port=self.port, dbname=database,
            user=user or self.user, password=password or self.password,
        )  # fmt: skip

    def database(self, name: str | None = None, *, like: str = "template1") -> str:
        """The name of a new database, empty or a copy of another one."""
        name = name or f"db_{uuid.uuid4().hex[:12]}"
        names = (psycopg.sql.Identifier(name), psycopg.sql.Identifier(like))
        with psycopg.connect(self.dsn(), autocommit=True) as connection:
            connection.execute(psycopg.sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(*names))
        return name

    def drop(self, database: str) -> None:
        """Remove a database, whoever uses it."""
        with psycopg.connect(self.dsn(), autocommit=True) as connection:
            name = psycopg.sql.Identifier(database)
            connection.execute(psycopg.sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))

    def sql(self, database: str, *statements: LiteralString) -> None:
        """Run statements, each in its own transaction."""
        with psycopg.connect(self.dsn(database), autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement)

    def rows(self, database: str, query: LiteralString) -> list[tuple[object, ...]]:
        """The answer to a query."""
        with psycopg.connect(self.dsn(database)) as connection:
            return connection.execute(query).fetchall()


@dataclass
class RedisServer(Service):
    """A Redis server with a password; ``appendonly`` keeps its data over a kill."""

    user: str = "default"
    password: str = "redis-secret"
    appendonly: bool = False

    def command(self) -> Sequence[str]:
        return [
            "redis-server", "--bind", self.host, "--port", str(self.port), "--dir", str(self.folder),
            "--requirepass", self.password, "--save", "", "--appendonly", "yes" if self.appendonly else "no",
        ]  # fmt: skip

    def answers(self) -> bool:
        with redis.Redis(host=self.host, port=self.port, password=self.password) as client:
            try:
                return bool(client.ping())
            except redis.ConnectionError:
                return False

    def url(self, database: int = 0) -> str:
        """A URL for ``redis.from_url``."""
        return f"redis://:{self.password}@{self.host}:{self.port}/{database}"


@dataclass
class S3Server(Service):
    """An S3 server on a folder."""

    user: str = "test-access-key"
    password: str = "test-secret-key"
    region: str = "us-east-1"

    def prepare(self) -> None:
        self.store.mkdir()

    @property
    def store(self) -> Path:
        """The folder whose children are the buckets."""
        return self.folder / "store"

    @property
    def endpoint(self) -> str:
        """The server's URL."""
        return f"http://{self.host}:{self.port}"

    @property
    def admin(self) -> S3Admin:
        """What the tests ask the server behind the program's back."""
        return S3Admin(self.endpoint, self.user, self.password, self.region)

    def command(self) -> Sequence[str]:
        address = f"{self.host}:{self.port}"
        keys = ["--access", self.user, "--secret", self.password, "--region", self.region]
        return [str(versitygw()), "--port", address, *keys, "--quiet", "posix", str(self.store)]

    def answers(self) -> bool:
        try:
            self.admin.request("GET", "/")
        except OSError:
            return False
        return True

    def bucket(self, name: str | None = None) -> str:
        """The name of a new, empty bucket."""
        name = name or f"bucket-{uuid.uuid4().hex[:12]}"
        self.admin.request("PUT", f"/{name}")
        return name

    def locked_bucket(self) -> str:
        """The same, and nobody can delete what is stored in it."""
        name = f"bucket-{uuid.uuid4().hex[:12]}"
        self.admin.request("PUT", f"/{name}", headers={"x-amz-bucket-object-lock-enabled": "true"})
        self.admin.lock(name)
        return name
