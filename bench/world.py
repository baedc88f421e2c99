"""The control plane, the servers and the operator of the bench, and the objects in it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from dataguardian.history.migrate import migrate
from dataguardian.kube.client import JSON, Kubernetes, objects_path
from dataguardian.kube.listing import pages
from dataguardian.resources import datasource, storage_location
from dataguardian.resources.backup import BACKUP_JOB
from dataguardian.resources.common import API_VERSION, Kind
from tests.integration.clients import postgres_settings, redis_settings
from tests.integration.services import PostgresServer, RedisServer

from .control_plane import ControlPlane
from .operator_process import Operator

NAMESPACE = "shop"
DATASOURCES = 20
LOCATION = "primary"
AT_ONCE = 24  # requests of the bench


class Meta(msgspec.Struct, rename="camel"):
    """What tells one version of an object from another."""

    name: str
    resource_version: str
    generation: int


class JobStatus(msgspec.Struct, rename="camel"):
    """What the operator writes as soon as it has seen a job."""

    observed_generation: int = 0
    next_schedule_time: str = ""
    last_schedule_time: str = ""
    last_successful_time: str = ""
    missed_schedules: int = 0


class Job(msgspec.Struct):
    """A BackupJob, as little of it as is looked at."""

    metadata: Meta
    status: JobStatus = msgspec.field(default_factory=JobStatus)

    @property
    def is_settled(self) -> bool:
        """Whether the operator has said all that it says of this version of the spec."""
        return self.status.observed_generation == self.metadata.generation and self.status.next_schedule_time != ""


@dataclass
class World:
    """All that runs."""

    control_plane: ControlPlane
    postgres: PostgresServer
    redis: RedisServer
    operator: Operator
    kube: Kubernetes  # as the administrator

    async def jobs(self) -> list[Job]:
        """All BackupJobs."""
        return [job async for page in pages(self.kube, BACKUP_JOB, Job, silence_s=30) for job in page]

    async def create(self, kind: Kind[Any], name: str, spec: JSON) -> None:
        """Create one object."""
        body = {"apiVersion": API_VERSION, "kind": kind.name, "metadata": {"name": name}, "spec": spec}
        await self.kube.create(objects_path(kind, NAMESPACE), body)


@asynccontextmanager
async def running(folder: Path, settings: Mapping[str, object]) -> AsyncIterator[World]:
    """Everything but the operator is started; all of it is gone afterwards. The settings are the operator's."""
    control_plane, postgres, redis = ControlPlane(), PostgresServer(), RedisServer()
    history = postgres_settings(postgres, "postgres", folder)
    queue = redis_settings(redis, folder)
    variables = {
        "RUNNER_IMAGE": "stand-in",
        "NAMESPACE": NAMESPACE,
        "POSTGRES_HOST": history.host,
        "POSTGRES_PORT": history.port,
        "POSTGRES_DATABASE": history.database,
        "POSTGRES_USERNAME_FILE": history.username_file,
        "POSTGRES_PASSWORD_FILE": history.password_file,
        "REDIS_HOST": queue.host,
        "REDIS_PORT": queue.port,
        "REDIS_PASSWORD_FILE": queue.password_file,
        **settings,
    }
    operator = Operator(variables=variables, kubeconfig=control_plane.operators_kubeconfig)
    async with AsyncExitStack() as stack:
        for service in (operator, redis, postgres, control_plane):
            stack.callback(service.remove)
        for service in (control_plane, postgres, redis):
            service.start()
        await asyncio.to_thread(migrate, history, deadline_s=30)
        control_plane.kubectl("create", "namespace", NAMESPACE)
        kube = await stack.enter_async_context(control_plane.connect())
        yield World(control_plane, postgres, redis, operator, kube)


async def add_references(world: World, *, at_once: int) -> None:
    """What the jobs refer to: some Datasources, and one StorageLocation for all."""
    for number in range(DATASOURCES):
        spec = {
            "engine": "postgresql",
            "host": f"orders-{number}.shop.svc",
            "database": "orders",
            "credentialsSecretRef": {"name": "orders"},
            "maxConcurrentExecutions": at_once,
        }
        await world.create(datasource.KIND, source_name(number), spec)
    bucket = {"bucket": "backups", "credentialsSecretRef": {"name": "s3"}}
    await world.create(storage_location.KIND, LOCATION, {"s3": bucket})


def source_name(number: int) -> str:
    """The Datasource of a job."""
    return f"orders-{number % DATASOURCES}"


def job_name(number: int) -> str:
    """A BackupJob."""
    return f"nightly-{number:05}"


def job_spec(number: int) -> JSON:
    """A job that is not due for the next hours."""
    due = datetime.now(UTC) + timedelta(hours=3 + number % 18)
    return {
        "datasourceRef": {"name": source_name(number)},
        "storage": {"locations": [{"name": LOCATION}]},
        "schedule": f"{number % 60} {due.hour} * * *",
        "retention": {"maxBackups": 7},
    }


async def all_of(work: Iterable[Awaitable[object]]) -> None:
    """Do all of it, some at once."""
    room = asyncio.Semaphore(AT_ONCE)

    async def one(step: Awaitable[object]) -> None:
        async with room:
            await step

    await asyncio.gather(*map(one, work))
