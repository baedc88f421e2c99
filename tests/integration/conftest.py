"""One of each real service for the whole test session; a test takes its own database, bucket or key space."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import TypeVar

import msgspec
import pytest

from dataguardian import settings
from dataguardian.domain.plan import S3Target
from dataguardian.history import History
from dataguardian.history.migrate import migrate
from dataguardian.kube.client import Kubernetes
from dataguardian.queue import Queue
from dataguardian.workers.catalog import Catalog
from dataguardian.workers.context import Context

from .apiserver import ApiServer
from .clients import postgres_settings, redis_settings
from .kubelet import Kubelet, running_kubelet
from .majors import NEWER, OLDER, server_of
from .people import People, people
from .recording import LOG, Place
from .runs import Pod
from .services import PostgresServer, RedisServer, S3Server, Service
from .shelves import Shelf
from .shop import big
from .swaps import Site
from .valve import Valve
from .workers import Counting
from .world import World

NewContext = Callable[..., Context]
ServiceT = TypeVar("ServiceT", bound=Service)


def _running(service: ServiceT) -> Iterator[ServiceT]:
    try:
        service.start()
        yield service
    finally:
        service.remove()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A PostgreSQL server; ``database()`` gives an empty database."""
    yield from _running(PostgresServer())


@pytest.fixture(scope="session")
def older_postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL server of an older major than ``postgres_server``."""
    with server_of(OLDER) as server:
        yield server


@pytest.fixture(scope="session")
def newer_postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL server of a newer major than ``postgres_server`` and the installed client programs."""
    with server_of(NEWER) as server:
        yield server


@pytest.fixture(scope="module")
def fragile_postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL server that the tests of one module may stop, freeze and kill; ``start`` it before each."""
    yield from _running(PostgresServer())


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """A Redis server with a password and no persistence."""
    yield from _running(RedisServer())


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    """An S3 server; ``bucket()`` gives an empty bucket."""
    yield from _running(S3Server())


@pytest.fixture
def own_s3() -> Iterator[S3Server]:
    """An S3 server that a test may kill or freeze."""
    yield from _running(S3Server())


@pytest.fixture(scope="session")
def apiserver() -> Iterator[ApiServer]:
    """A Kubernetes API server with our CRDs; ``namespace()`` gives an empty namespace."""
    yield from _running(ApiServer())


@pytest.fixture
async def kube(apiserver: ApiServer) -> AsyncIterator[Kubernetes]:
    """Our own client of the API server, as its administrator."""
    async with apiserver.connect() as opened:
        yield opened


@pytest.fixture
def namespace(apiserver: ApiServer) -> str:
    """An empty namespace."""
    return apiserver.namespace()


@pytest.fixture(scope="module")
def callers(apiserver: ApiServer) -> Iterator[People]:
    """Two namespaces, and who may do what in them, by the chart's roles and admission policies."""
    with people(apiserver) as made:
        yield made


@pytest.fixture
async def history(postgres_server: PostgresServer, tmp_path: Path) -> AsyncIterator[History]:
    """A history without its tables."""
    async with History(postgres_settings(postgres_server, "postgres", tmp_path)) as opened:
        yield opened


@pytest.fixture
async def queue(redis_server: RedisServer, tmp_path: Path) -> AsyncIterator[Queue]:
    """The queues, as other tests left them."""
    async with Queue(redis_settings(redis_server, tmp_path)) as opened:
        yield opened


@pytest.fixture
async def context(kube: Kubernetes, history: History, queue: Queue) -> Context:
    """What the operator's workers share."""
    runner = settings.RunnerSettings(image="unused", image_pull_policy="Never", image_pull_secrets=())
    return Context(kube=kube, queue=queue, history=history, runner=runner, catalog=Catalog(kube))


@pytest.fixture(scope="session")
def migrated(postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A history database with its tables."""
    name = postgres_server.database()
    migrate(postgres_settings(postgres_server, name, tmp_path_factory.mktemp("migrate")), deadline_s=10)
    return name


@pytest.fixture
async def recorded(migrated: str, postgres_server: PostgresServer, tmp_path: Path) -> AsyncIterator[History]:
    """That history."""
    async with History(postgres_settings(postgres_server, migrated, tmp_path)) as opened:
        yield opened


@pytest.fixture
async def world(kube: Kubernetes, namespace: str) -> AsyncIterator[World]:
    """A namespace with everything that acts in it but the operator."""
    made = World(kube, namespace)
    await made.clear_others()
    yield made
    await made.clear()


@pytest.fixture
def own_redis() -> Iterator[RedisServer]:
    """A Redis of the test's own, which it may stop and flush."""
    yield from _running(RedisServer())


@pytest.fixture
async def new_context(
    apiserver: ApiServer, postgres_server: PostgresServer, migrated: str, own_redis: RedisServer, tmp_path: Path
) -> AsyncIterator[NewContext]:
    """Makes what the workers of one operator share; the clients live as long as the test."""
    runner = settings.RunnerSettings(image="unused", image_pull_policy="Never", image_pull_secrets=())
    async with (
        apiserver.connect(make=Counting) as kube,
        History(postgres_settings(postgres_server, migrated, tmp_path)) as history,
        Queue(redis_settings(own_redis, tmp_path)) as queue,
    ):

        def make(max_concurrent: int = 10, start_deadline_seconds: int = 600) -> Context:
            limits = settings.RunLimits(max_concurrent=max_concurrent, start_deadline_seconds=start_deadline_seconds)
            catalog = Catalog(kube)
            return Context(kube=kube, queue=queue, history=history, runner=runner, catalog=catalog, limits=limits)

        yield make


@pytest.fixture(scope="session")
def big_database(postgres_server: PostgresServer) -> str:
    """A database whose dump takes several parts of an upload; only to be read."""
    return big(postgres_server)


@pytest.fixture
def pod(tmp_path: Path, postgres_server: PostgresServer) -> Pod:
    """What the runner finds in its pod: files of secrets, a folder to work in, a plan."""
    return Pod(tmp_path, postgres_server)


@pytest.fixture
def valve(postgres_server: PostgresServer) -> Iterator[Valve]:
    """The way to the database server, which a test can hold in the middle of a dump."""
    with Valve(postgres_server.host, postgres_server.port) as way:
        yield way


@pytest.fixture
def bucket(pod: Pod, s3_server: S3Server) -> S3Target:
    """An empty bucket."""
    return pod.s3(s3_server, s3_server.bucket())


@pytest.fixture
async def node(kube: Kubernetes) -> AsyncIterator[Kubelet]:
    """A node whose pods have all written the same log."""
    with running_kubelet() as started:
        started.logs.update({"backup-first": LOG, "backup-second": LOG})
        await kube.create("/api/v1/nodes", started.node)
        yield started


@pytest.fixture
async def place(
    kube: Kubernetes, queue: Queue, fragile_postgres: PostgresServer, namespace: str, tmp_path: Path
) -> AsyncIterator[Place]:
    """A namespace, and a history of its own on a server that the test may stop and freeze."""
    fragile_postgres.start()
    found = postgres_settings(fragile_postgres, fragile_postgres.database(), tmp_path)
    migrate(found, deadline_s=10)
    async with History(found) as opened:
        yield Place(kube, queue, opened, fragile_postgres, found.database, namespace)


@pytest.fixture
def primary(pod: Pod, s3_server: S3Server) -> Shelf:
    """A bucket, from outside."""
    return Shelf(pod.s3(s3_server, s3_server.bucket()), s3_server)


@pytest.fixture
def offsite(pod: Pod) -> Shelf:
    """A volume, from outside."""
    return Shelf(msgspec.structs.replace(pod.volume(), location="offsite"))


@pytest.fixture
def site(pod: Pod, postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A role on the server that syncs."""
    monkeypatch.setenv("DATAGUARDIAN_WORK_DIR", str(pod.folder))
    made = Site(pod, postgres_server)
    yield made
    for name in made.ours():
        made.run("ALTER DATABASE {} IS_TEMPLATE false", name)
        postgres_server.drop(name)
