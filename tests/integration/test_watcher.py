"""The watch on pods of runs, against a real API server."""

from __future__ import annotations

import asyncio
import json

from dataguardian.domain.naming import MANAGED_BY, OPERATION, OWNER_UID, PROGRAM
from dataguardian.workers.context import Context
from dataguardian.workers.watcher import watch_pods

from .apiserver import ApiServer
from .services import wait_until


def create_pod(apiserver: ApiServer, namespace: str, name: str, labels: dict[str, str]) -> None:
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "labels": labels},
        "spec": {"containers": [{"name": "runner", "image": "unused"}]},
    }
    apiserver.kubectl("create", "--filename=-", stdin=json.dumps(pod))


async def test_a_strangers_pod_that_bears_our_name_does_not_end_the_watch(
    context: Context, apiserver: ApiServer, namespace: str
) -> None:
    create_pod(apiserver, namespace, "stranger", {MANAGED_BY: PROGRAM})
    create_pod(apiserver, namespace, "ours", {MANAGED_BY: PROGRAM, OPERATION: "backup", OWNER_UID: "uid-1"})

    watch = asyncio.create_task(watch_pods(context))
    await asyncio.to_thread(wait_until, lambda: "uid-1" in context.pods or watch.done(), what="the pod is seen")
    create_pod(apiserver, namespace, "later", {MANAGED_BY: PROGRAM, OPERATION: "backup", OWNER_UID: "uid-2"})
    await asyncio.to_thread(wait_until, lambda: "uid-2" in context.pods or watch.done(), what="the pod is seen")

    assert not watch.done()
    assert context.pods.keys() >= {"uid-1", "uid-2"}
    watch.cancel()
