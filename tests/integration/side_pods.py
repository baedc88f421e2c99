"""What the job controller and a kubelet do with a Kubernetes Job: its pod, its end, and its log."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime

from dataguardian.domain import report as reports
from dataguardian.domain import told as lines
from dataguardian.domain.naming import CONTAINER
from dataguardian.domain.report import Report
from dataguardian.domain.told import Told
from dataguardian.kube.client import JSON, Kubernetes, jobs_path, pods_path
from dataguardian.resources.common import timestamp

from .kubelet import Kubelet


async def end(kube: Kubernetes, kubelet: Kubelet, job: JSON, report: Report, told: Iterable[Told] = ()) -> JSON:
    """Its pod has run on the node, and has ended with this report and these lines in its log."""
    pod = await create_pod(kube, job, kubelet.name)
    kubelet.logs[pod["metadata"]["name"]] = "".join(json.dumps(lines.fields(line)) + "\n" for line in told)
    exit_code = 0 if report.completed else 75
    terminated = {"exitCode": exit_code, "message": reports.encode(report).decode()}
    container = {
        "name": CONTAINER,
        "state": {"terminated": terminated},
        "ready": False,
        "restartCount": 0,
        "image": "unused",
        "imageID": "",
    }
    phase = "Succeeded" if report.completed else "Failed"
    await set_pod_status(kube, pod, {"phase": phase, "containerStatuses": [container]})
    return await finish(kube, job, succeeded=report.completed)


async def finish(kube: Kubernetes, job: JSON, *, succeeded: bool) -> JSON:
    """The job controller says that it has ended."""
    moment = timestamp(datetime.now(UTC))
    first, last = ("SuccessCriteriaMet", "Complete") if succeeded else ("FailureTarget", "Failed")
    conditions = [{"type": each, "status": "True", "lastTransitionTime": moment} for each in (first, last)]
    status: JSON = {"startTime": moment, "conditions": conditions}
    if succeeded:
        status |= {"completionTime": moment, "succeeded": 1}
    path = jobs_path(job["metadata"]["namespace"], job["metadata"]["name"])
    return await kube.patch(path + "/status", {"status": status})


async def create_pod(kube: Kubernetes, job: JSON, node: str | None = None, *, name: str | None = None) -> JSON:
    """The pod of a Kubernetes Job, on a node or not yet."""
    meta = job["metadata"]
    spec = {"restartPolicy": "Never", "containers": [{"name": CONTAINER, "image": "unused"}]}
    body = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name or f"{meta['name']}-{meta['uid'][:5]}",
            "labels": {
                **meta["labels"],
                "batch.kubernetes.io/job-name": meta["name"],
                "batch.kubernetes.io/controller-uid": meta["uid"],
            },
        },
        "spec": spec | ({"nodeName": node} if node else {}),
    }
    return await kube.create(pods_path(meta["namespace"]), body)


async def set_pod_status(kube: Kubernetes, pod: JSON, status: JSON) -> JSON:
    """What a kubelet or the scheduler says of a pod."""
    path = pods_path(pod["metadata"]["namespace"], pod["metadata"]["name"]) + "/status"
    return await kube.patch(path, {"status": status})
