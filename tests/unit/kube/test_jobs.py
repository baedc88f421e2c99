"""The Kubernetes Job of a run: what its pod may and may not."""

import json
from dataclasses import replace
from typing import Any

import pytest

from dataguardian.domain.naming import DATASOURCE, Operation
from dataguardian.domain.planning import Run, Server, backup_run, datasource_probe, storage_probe
from dataguardian.domain.restores import CopyAt, restore_run
from dataguardian.domain.sync_jobs import Kept
from dataguardian.domain.syncs import sync_run
from dataguardian.errors import ConfigInvalid
from dataguardian.kube.jobs import Limits, job_manifest
from dataguardian.resources import backup
from dataguardian.resources.run_template import RunTemplate
from dataguardian.settings import RunnerSettings, ServerSettings
from tests.unit.objects import (
    backup_job,
    bucket,
    datasource,
    execution,
    restore_request,
    sync_execution,
    sync_job,
    volume,
)

SETTINGS = RunnerSettings(
    image="dataguardian:1",
    image_pull_policy="IfNotPresent",
    image_pull_secrets=("pull",),
    servers={"postgresql": ServerSettings(image="postgres:{major}", user=999, size_limit="5Gi")},
)
RULES = [{"table": "customers", "column": "email", "how": "email"}]
RUNS: dict[str, Run] = {
    "backup to a bucket": backup_run(execution(), backup_job(), datasource(), [bucket()]),
    "backup to a volume": backup_run(execution(), backup_job(), datasource(), [volume()]),
    "backup through a staging volume": backup_run(
        execution(), backup_job(staging={"claimName": "spool"}), datasource(), [bucket(), volume()]
    ),
    "restore": restore_run(restore_request(), execution(), [CopyAt(volume(), "a/manifest.json")], datasource()),
    "sync": sync_run(
        sync_execution(),
        sync_job(storageLocationRef={"name": "local"}, masking={"rules": RULES, "keySecretRef": {"name": "key"}}),
        datasource(),
        datasource("staging", tls={"mode": "verify-ca", "caSecretRef": {"name": "ca"}}),
        [],
        Kept(backup_job(storage={"locations": [{"name": "local"}]}), volume()),
    ),
    "datasource probe": datasource_probe(datasource()),
    "storage probe": storage_probe(bucket()),
}


def manifest(run: Run, template: RunTemplate | None = None, *, operation: Operation = "backup") -> dict[str, Any]:
    return job_manifest(
        name="backup-nightly-1",
        operation=operation,
        owner=execution(),
        kind=backup.BACKUP_EXECUTION,
        run=run,
        limits=Limits(active_deadline_seconds=60, backoff_limit=2),
        settings=SETTINGS,
        template=template or RunTemplate(),
    )


@pytest.mark.parametrize("run", RUNS.values(), ids=RUNS.keys())
def test_a_runners_pod_is_restricted_and_has_no_token(run: Run) -> None:
    pod = manifest(run)["spec"]["template"]["spec"]
    (container,) = pod["containers"]

    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


@pytest.mark.parametrize("run", RUNS.values(), ids=RUNS.keys())
def test_secrets_reach_the_pod_as_files_only(run: Run) -> None:
    pod = manifest(run)["spec"]["template"]["spec"]
    (container,) = pod["containers"]

    assert "valueFrom" not in json.dumps(container["env"])
    assert "envFrom" not in container
    projected = next(volume["projected"] for volume in pod["volumes"] if volume["name"] == "secrets")
    mounted = {item["path"] for source in projected["sources"] for item in source["secret"]["items"]}
    assert mounted == {file.path for file in run.secret_files}
    assert len(mounted) == len(run.secret_files)


def test_a_restore_cannot_write_to_the_volume_it_reads() -> None:
    pod = manifest(RUNS["restore"])["spec"]["template"]["spec"]

    mounts = {mount["name"]: mount.get("readOnly") for mount in pod["containers"][0]["volumeMounts"]}
    assert mounts["volume-0"] is True


def test_a_staging_volume_can_be_written() -> None:
    pod = manifest(RUNS["backup through a staging volume"])["spec"]["template"]["spec"]

    claims = {
        volume["name"]: volume["persistentVolumeClaim"]
        for volume in pod["volumes"]
        if "persistentVolumeClaim" in volume
    }
    mounts = {mount["name"]: mount for mount in pod["containers"][0]["volumeMounts"]}
    assert claims["volume-1"] == {"claimName": "spool", "readOnly": False}
    assert mounts["volume-1"]["mountPath"] == "/run/dataguardian/volumes/staging"
    assert mounts["volume-1"]["readOnly"] is False


@pytest.mark.parametrize(("operation", "run"), [("backup", "backup to a bucket"), ("sync", "sync")])
def test_errors_that_a_retry_cannot_cure_end_the_job_and_evictions_do_not_count_where_a_second_run_does_the_same(
    operation: Operation, run: str
) -> None:
    evicted, fail = manifest(RUNS[run], operation=operation)["spec"]["podFailurePolicy"]["rules"]

    assert (evicted["action"], fail["action"]) == ("Ignore", "FailJob")
    assert fail["onExitCodes"]["values"] == [64, 65, 66, 70, 77, 78]


def test_a_restore_whose_pod_is_evicted_is_not_done_again() -> None:
    evicted, _ = manifest(RUNS["restore"], operation="restore")["spec"]["podFailurePolicy"]["rules"]

    assert evicted["action"] == "FailJob"


def test_a_sync_is_known_by_its_target() -> None:
    assert manifest(RUNS["sync"], operation="sync")["metadata"]["annotations"][DATASOURCE] == "staging"


def test_a_job_is_kept_until_its_result_is_recorded() -> None:
    assert "ttlSecondsAfterFinished" not in manifest(RUNS["restore"])["spec"]


def test_the_run_template_adds_and_never_takes_away() -> None:
    template = RunTemplate(
        labels={"team": "shop", "dataguardian.io/owner-uid": "forged"},
        resources={"limits": {"memory": "1Gi"}},
        node_selector={"disk": "fast"},
        priority_class_name="backups",
    )

    job = manifest(RUNS["backup to a bucket"], template)

    labels, pod = job["spec"]["template"]["metadata"]["labels"], job["spec"]["template"]["spec"]
    assert labels["team"] == "shop"
    assert labels["dataguardian.io/owner-uid"] == execution().metadata.uid
    assert pod["nodeSelector"] == {"disk": "fast"}
    assert pod["priorityClassName"] == "backups"
    assert pod["containers"][0]["resources"] == {"limits": {"memory": "1Gi"}}
    assert pod["imagePullSecrets"] == [{"name": "pull"}]


def with_server(engine: str = "postgresql") -> Run:
    return replace(RUNS["restore"], server=Server(engine, 16))


def test_a_throw_away_server_of_the_major_runs_beside_the_runner_and_ends_with_it() -> None:
    pod = manifest(with_server(), operation="restore")["spec"]["template"]["spec"]
    (server,) = pod["initContainers"]

    # A container of this kind starts before the others, and does not keep the pod alive.
    assert server["restartPolicy"] == "Always"
    assert server["image"] == "postgres:16"
    assert [container["name"] for container in pod["containers"]] == ["runner"]


def test_a_throw_away_server_is_restricted_and_reached_by_its_socket_only() -> None:
    pod = manifest(with_server(), operation="restore")["spec"]["template"]["spec"]
    (server,), (runner,) = pod["initContainers"], pod["containers"]

    assert server["securityContext"] == {
        "runAsUser": 999,
        "runAsGroup": 999,
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert "listen_addresses=" in server["args"]
    assert "ports" not in server
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    assert volumes["server-data"] == {"name": "server-data", "emptyDir": {"sizeLimit": "5Gi"}}
    seen = {mount["name"]: mount for mount in runner["volumeMounts"]}
    assert seen["server-sockets"]["mountPath"] == "/run/dataguardian/server"
    assert seen["server-data"]["readOnly"] is True
    secrets = [mount for mount in server["volumeMounts"] if mount["name"] in ("secrets", "work")]
    assert secrets == []


def test_a_throw_away_server_has_room_for_the_locks_of_many_tables_in_one_transaction() -> None:
    """By default PostgreSQL has room for some 7,000 locks, and each table that is made takes four."""
    (server,) = manifest(with_server(), operation="restore")["spec"]["template"]["spec"]["initContainers"]

    assert "max_locks_per_transaction=1024" in server["args"]


def test_an_engine_without_an_image_is_refused() -> None:
    with pytest.raises(ConfigInvalid, match="no image for a throw-away server of mariadb"):
        manifest(with_server("mariadb"), operation="restore")
