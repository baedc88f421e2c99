"""What the operator's client keeps back, and how fast it asks, against a real API server."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest
import yaml

from dataguardian.domain.token_bucket import TokenBucket
from dataguardian.errors import LeadershipLost
from dataguardian.kube.client import JSON, Kubernetes
from dataguardian.kube.connection import connect

from .apiserver import ApiServer
from .clients import frozen, until
from .valve import Valve

LEVELS = "/debug/api_priority_and_fairness/dump_priority_levels"
CONFIG_MAP: JSON = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "written"}}


def manifest(version: str, kind: str, name: str, **fields: object) -> JSON:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name}, **fields}


class Fence:
    """Open, until it is closed."""

    closed = False

    def __call__(self) -> None:
        if self.closed:
            raise LeadershipLost("Another one leads.", remedy="None.")


@pytest.fixture
def fence() -> Fence:
    return Fence()


@pytest.fixture
def way(apiserver: ApiServer) -> Iterator[Valve]:
    """The way to the API server."""
    with Valve(apiserver.host, apiserver.port) as opened:
        yield opened


@pytest.fixture
async def fenced(
    apiserver: ApiServer, way: Valve, fence: Fence, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Kubernetes]:
    """A client whose writes stand behind the fence."""
    config = yaml.safe_load(apiserver.kubeconfig.read_text())
    config["clusters"][0]["cluster"]["server"] = f"https://{way.host}:{way.port}"
    (tmp_path / "kubeconfig").write_text(yaml.safe_dump(config))
    # KUBECONFIG is read by the import.
    monkeypatch.setattr("kubernetes.aio.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(tmp_path / "kubeconfig"))
    before = sockets()
    async with connect(fence=fence) as api:
        yield Kubernetes(api)

    # A broken connection is closed in the background, and the loop must not end before.
    async def are_closed() -> bool:
        return sockets() <= before

    await until(are_closed, what="all connections are closed")


def sockets() -> set[str]:
    """Those that this process has open."""
    found = set()
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):
            found.add(str(descriptor.readlink()))
    return {name for name in found if name.startswith("socket:")}


@pytest.fixture
def path(namespace: str) -> str:
    return f"/api/v1/namespaces/{namespace}/configmaps"


async def names(kube: Kubernetes, path: str) -> list[str]:
    return [found["metadata"]["name"] for found in (await kube.list(path))[0]]


async def test_behind_a_closed_fence_nothing_is_written_and_all_is_read(
    fenced: Kubernetes, fence: Fence, path: str
) -> None:
    await fenced.create(path, CONFIG_MAP)
    fence.closed = True

    with pytest.raises(LeadershipLost):
        await fenced.create(path, {**CONFIG_MAP, "metadata": {"name": "late"}})
    with pytest.raises(LeadershipLost):
        await fenced.patch(f"{path}/written", {"data": {"changed": "yes"}})
    with pytest.raises(LeadershipLost):
        await fenced.delete(f"{path}/written")

    assert await names(fenced, path) == ["written"]
    assert "data" not in await fenced.get(f"{path}/written")


async def test_a_write_that_waited_for_its_connection_is_kept_back_when_the_lead_is_lost_meanwhile(
    fenced: Kubernetes, fence: Fence, way: Valve, kube: Kubernetes, path: str
) -> None:
    way.admit(0)
    writing = asyncio.create_task(fenced.create(path, CONFIG_MAP))
    await asyncio.sleep(0)
    fence.closed = True
    way.open()

    with pytest.raises(LeadershipLost):
        await writing
    assert await names(kube, path) == []


async def test_a_deletion_is_not_sent_again_when_the_lead_is_lost_meanwhile(
    fenced: Kubernetes, fence: Fence, way: Valve, kube: Kubernetes, path: str
) -> None:
    await fenced.create(path, CONFIG_MAP)
    way.hold_after(0)
    deleting = asyncio.create_task(fenced.delete(f"{path}/written"))

    async def is_deleted() -> bool:
        return await names(kube, path) == []

    await until(is_deleted, what="the first request arrived")
    await kube.create(path, CONFIG_MAP)  # by the one that leads now
    fence.closed = True
    way.cut()

    with pytest.raises(LeadershipLost):
        await deleting
    assert await names(kube, path) == ["written"]


async def test_requests_are_paced_by_the_bucket(apiserver: ApiServer, path: str) -> None:
    async with apiserver.connect(bucket=TokenBucket(per_second=20, burst=5)) as paced:
        started = time.monotonic()
        await asyncio.gather(*(paced.list(path) for _ in range(25)))
        took = time.monotonic() - started

    assert took > 0.9 * (25 - 5) / 20


@pytest.fixture
def crowd(apiserver: ApiServer, namespace: str) -> Iterator[str]:
    """A user whose requests the API server takes one at a time, and refuses beyond that."""
    rbac, flow = "rbac.authorization.k8s.io", "flowcontrol.apiserver.k8s.io"
    everything = {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "namespaces": ["*"], "clusterScope": True}
    room = {"nominalConcurrencyShares": 0, "lendablePercent": 0, "borrowingLimitPercent": 0}
    rule = {"subjects": [{"kind": "User", "user": {"name": namespace}}], "resourceRules": [everything]}
    objects = [
        manifest(
            f"{rbac}/v1", "ClusterRoleBinding", namespace,
            subjects=[{"kind": "User", "apiGroup": rbac, "name": namespace}],
            roleRef={"apiGroup": rbac, "kind": "ClusterRole", "name": "cluster-admin"},
        ),
        manifest(
            f"{flow}/v1", "PriorityLevelConfiguration", namespace,
            spec={"type": "Limited", "limited": {**room, "limitResponse": {"type": "Reject"}}},
        ),
        manifest(
            f"{flow}/v1", "FlowSchema", namespace,
            spec={"matchingPrecedence": 10, "priorityLevelConfiguration": {"name": namespace}, "rules": [rule]},
        ),
    ]  # fmt: skip
    apiserver.kubectl("create", "--filename=-", stdin=json.dumps(manifest("v1", "List", "", items=objects)))
    yield namespace
    apiserver.kubectl("delete", "flowschema,prioritylevelconfiguration,clusterrolebinding", namespace)


async def test_a_request_that_the_server_has_no_room_for_is_made_again_when_it_says(
    apiserver: ApiServer, crowd: str, path: str
) -> None:
    async def counted(column: str) -> bool:
        table = await asyncio.to_thread(apiserver.kubectl, "get", "--raw", LEVELS)
        header, *rows = [[cell.strip() for cell in line.split(",")] for line in table.splitlines()]
        return any(row[0] == crowd and row[header.index(column)] not in ("", "0") for row in rows)

    async with apiserver.connect(user=crowd) as kube:
        with frozen(apiserver.etcd):
            # The server always takes one request, and has room for no second one.
            first = asyncio.create_task(kube.create(path, CONFIG_MAP))
            await until(partial(counted, "ExecutingRequests"), what="the first one has begun")
            started = time.monotonic()
            second = asyncio.create_task(kube.create(path, {**CONFIG_MAP, "metadata": {"name": "second"}}))
            await until(partial(counted, "RejectedRequests"), what="the second one was refused")
        await asyncio.gather(first, second)

        assert time.monotonic() - started >= 1
        assert sorted(await names(kube, path)) == ["second", "written"]
