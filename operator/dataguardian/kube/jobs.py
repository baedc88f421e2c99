"""A run → the Kubernetes Job that does it. Pure: nothing is sent here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..domain import plan as plans
from ..domain.naming import CONTAINER, DATASOURCE, MANAGED_BY, OPERATION, OWNER_NAME, OWNER_UID, PROGRAM, Operation
from ..domain.planning import Run
from ..errors import ConfigInvalid, every_error
from ..resources.common import API_VERSION, Kind, Resource
from ..resources.run_template import RunTemplate
from ..settings import RunnerSettings
from . import servers

JSON = dict[str, Any]
USER = 65532
PLAN = "DATAGUARDIAN_PLAN"  # the variable
# Errors that another try cannot cure end the Kubernetes Job at once.
FINAL_STATUSES = sorted(
    {error.exit_status for error in every_error() if not error.retryable and error.exit_status < 128}
)
DEFAULT_RESOURCES = {"requests": {"cpu": "100m", "memory": "64Mi"}, "limits": {"memory": "512Mi"}}
# Whoever may make pods may write one label of ours on them; without the others they are none of ours.
SELECTOR = f"{MANAGED_BY}={PROGRAM},{OPERATION},{OWNER_UID}"


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How long and how often a Kubernetes Job may try."""

    active_deadline_seconds: int
    backoff_limit: int
    ttl_seconds: int | None = None  # None: kept until its result is recorded


def job_manifest(
    *,
    name: str,
    operation: Operation,
    owner: Resource[Any, Any],
    kind: Kind[Any],
    run: Run,
    limits: Limits,
    settings: RunnerSettings,
    template: RunTemplate,
) -> JSON:
    """The Kubernetes Job of one run, owned by its run object."""
    labels = {
        **template.labels,
        MANAGED_BY: PROGRAM,
        OPERATION: operation,
        OWNER_UID: owner.metadata.uid,
    }
    spec: JSON = {
        "backoffLimit": limits.backoff_limit,
        "activeDeadlineSeconds": limits.active_deadline_seconds,
        "podReplacementPolicy": "Failed",
        "podFailurePolicy": {"rules": _failure_rules(operation)},
        "template": {
            "metadata": {"labels": labels, "annotations": template.annotations},
            "spec": _pod(operation, run, settings, template),
        },
    }
    if limits.ttl_seconds is not None:
        spec["ttlSecondsAfterFinished"] = limits.ttl_seconds
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": name,
            "namespace": owner.metadata.namespace,
            "labels": labels,
            "annotations": {
                **template.annotations,
                OWNER_NAME: owner.metadata.name,
                DATASOURCE: _datasource(run),
            },
            "ownerReferences": [
                {
                    "apiVersion": API_VERSION,
                    "kind": kind.name,
                    "name": owner.metadata.name,
                    "uid": owner.metadata.uid,
                    "controller": True,
                    "blockOwnerDeletion": False,
                }
            ],
        },
        "spec": spec,
    }


def planned(job: JSON) -> str:
    """The plan that a Kubernetes Job was made with, as JSON. Raises ConfigInvalid for one that has none."""
    for container in job["spec"]["template"]["spec"]["containers"]:
        for variable in container.get("env", []) if container["name"] == CONTAINER else []:
            if variable["name"] == PLAN:
                return str(variable.get("value", ""))
    raise ConfigInvalid(f"The Kubernetes Job {job['metadata']['name']!r} has no plan.", remedy="It is not one of ours.")


def _failure_rules(operation: Operation) -> list[JSON]:
    # A restore may have committed before its pod was evicted: a second one would undo what was written since.
    evicted = "FailJob" if operation == "restore" else "Ignore"
    return [
        {"action": evicted, "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
        {
            "action": "FailJob",
            "onExitCodes": {"containerName": CONTAINER, "operator": "In", "values": FINAL_STATUSES},
        },
    ]


def _pod(operation: Operation, run: Run, settings: RunnerSettings, template: RunTemplate) -> JSON:
    pod: JSON = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 30,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "fsGroup": USER,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [_container(operation, run, settings, template)],
        "volumes": _volumes(run),
    }
    if run.server:
        beside = servers.settings_of(run.server, settings.servers)
        pod["initContainers"] = [servers.container(run.server, beside, settings.image_pull_policy)]
        pod["volumes"] += servers.volumes(beside)
    wishes: JSON = {
        "imagePullSecrets": [{"name": name} for name in settings.image_pull_secrets],
        "nodeSelector": template.node_selector,
        "tolerations": template.tolerations,
        "affinity": template.affinity,
        "priorityClassName": template.priority_class_name,
        "serviceAccountName": template.service_account_name,
    }
    return pod | {key: value for key, value in wishes.items() if value}


def _container(operation: Operation, run: Run, settings: RunnerSettings, template: RunTemplate) -> JSON:
    return {
        "name": CONTAINER,
        "image": settings.image,
        "imagePullPolicy": settings.image_pull_policy,
        "args": ["run", operation],
        "env": [
            {"name": PLAN, "value": plans.encode(run.plan)},
            {"name": "HOME", "value": plans.WORK_DIR},
        ],
        "resources": template.resources or DEFAULT_RESOURCES,
        "terminationMessagePolicy": "File",
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [
            {"name": "work", "mountPath": plans.WORK_DIR},
            {"name": "secrets", "mountPath": plans.SECRETS_DIR, "readOnly": True},
            *(
                {"name": f"volume-{index}", "mountPath": volume.path, "readOnly": volume.read_only}
                for index, volume in enumerate(run.volumes)
            ),
            *(servers.mounts() if run.server else []),
        ],
    }


def _volumes(run: Run) -> list[JSON]:
    # Optional: with a missing Secret the runner starts, and says which key of which Secret is missing.
    sources = [
        {
            "secret": {
                "name": file.secret,
                "optional": True,
                "items": [{"key": file.key, "path": file.path, "mode": 0o440}],
            }
        }
        for file in run.secret_files
    ]
    return [
        {"name": "work", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}},
        {"name": "secrets", "projected": {"sources": sources, "defaultMode": 0o440}},
        *(
            {
                "name": f"volume-{index}",
                "persistentVolumeClaim": {"claimName": volume.claim, "readOnly": volume.read_only},
            }
            for index, volume in enumerate(run.volumes)
        ),
    ]


def _datasource(run: Run) -> str:
    match run.plan:
        case plans.BackupPlan() | plans.DatasourceProbe():
            return run.plan.source.datasource
        case plans.RestorePlan() | plans.SyncPlan() | plans.ExpirePlan():
            return getattr(run.plan.target, "datasource", "")
    return ""
