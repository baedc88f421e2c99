"""DatabaseSyncExecutions → rows, through outages and deletions: on a real API server and a real PostgreSQL."""

from __future__ import annotations

from dataguardian.domain.naming import sync_backup_id, sync_backup_name
from dataguardian.kube.client import objects_path
from dataguardian.resources.sync import DATABASE_SYNC_EXECUTION, DatabaseSyncExecution
from dataguardian.workers import recorder, run_logs

from .ended import a_moment_ago, backup_run, finished_job, sync_run
from .kubelet import Kubelet
from .recording import LOG, SEEN, SYNC, Place

SYNCS = "database_sync_executions"


async def test_a_sync_that_ended_while_history_was_away_has_its_row_and_log_after_a_restart(
    place: Place, node: Kubelet
) -> None:
    node.logs["sync-first"] = LOG
    before = place.operator()
    await finished_job(place.kube, await sync_run(place.kube, place.namespace, "first"), node.name, operation="sync")
    place.server.stop()
    await before.see_end(place.namespace)
    await before.write()
    held = await place.job("sync-first")

    place.server.start()
    await place.operator().write()

    assert "ttlSecondsAfterFinished" not in held["spec"]
    assert place.recorded(SEEN, SYNCS) == [("first", "completed", "[BACKUP] Stored")]
    assert place.recorded("job, source, target, trigger, strategy", SYNCS) == [
        ("refresh", "orders", "staging", "manual", "swap")
    ]
    assert (await place.job("sync-first"))["spec"]["ttlSecondsAfterFinished"] == run_logs.TTL_SECONDS


async def test_the_backup_that_a_sync_has_kept_is_linked_with_its_row(place: Place) -> None:
    run = await sync_run(place.kube, place.namespace, "first", phase="Completed", completionTime=a_moment_ago())
    uid = run["metadata"]["uid"]
    await place.operator().write()
    unlinked = place.recorded("backup_execution_id", SYNCS)

    name = sync_backup_name(uid)
    path = objects_path(DATABASE_SYNC_EXECUTION, place.namespace, "first") + "/status"
    await place.kube.patch(path, {"status": {"backupExecution": name}})
    source = {"storageLocationRef": {"name": "primary"}, "key": "a/manifest.json"}
    ended = {"phase": "Completed", "completionTime": a_moment_ago(), "executionId": sync_backup_id(uid)}
    await backup_run(place.kube, place.namespace, name, spec={"trigger": "Sync", "source": source}, **ended)
    await place.operator().write()

    joined = (
        SYNCS + " JOIN (SELECT id AS backup, trigger AS why FROM backup_executions) b ON backup_execution_id = backup"
    )
    assert unlinked == [(None,)]
    assert place.recorded("name, why", joined) == [("first", "sync")]


async def test_a_row_has_the_figures_of_its_sync(place: Place) -> None:
    digest = "sha256:" + "b" * 64
    figures = {"dumpBytes": 2**40, "tables": 3, "rows": 2**40, "maskingDigest": digest}
    done = {"removed": 0, "maskedColumns": 2, "switchMilliseconds": 80}
    ended = {"phase": "Completed", "completionTime": a_moment_ago()}
    await sync_run(place.kube, place.namespace, "first", **ended, **figures, **done)

    await place.operator().write()

    assert place.recorded("dump_bytes, tables, rows, masking_digest, metadata", SYNCS) == [
        (2**40, 3, 2**40, digest, {"removed": 0, "masked_columns": 2, "switch_milliseconds": 80})
    ]


async def test_a_comparison_that_finds_no_difference_writes_no_row_of_a_sync(place: Place) -> None:
    await sync_run(place.kube, place.namespace, "first", phase="Completed", completionTime=a_moment_ago(),
                   backupExecution="sync-1")  # fmt: skip
    await place.operator().write()
    written = place.recorded("xmin::text", SYNCS)

    await place.operator().write()

    assert len(written) == 1
    assert place.recorded("xmin::text", SYNCS) == written


async def test_the_row_of_a_sync_whose_object_is_deleted_ends_as_cancelled_seen_or_not(place: Place) -> None:
    runs = {name: await sync_run(place.kube, place.namespace, name) for name in ("seen", "stays", "unseen")}
    operator = place.operator()
    await operator.write()

    for name in ("seen", "unseen"):
        await place.kube.delete(objects_path(DATABASE_SYNC_EXECUTION, place.namespace, name))
    recorder.record_deleted(operator.context, SYNC, DatabaseSyncExecution.read(runs["seen"]))
    await operator.write()
    seen = place.recorded("name, status", SYNCS)
    await place.operator().write()

    assert seen == [("seen", "cancelled"), ("stays", "running"), ("unseen", "running")]
    assert place.recorded("name, status, error_message", SYNCS) == [
        ("seen", "cancelled", "The run object was deleted."),
        ("stays", "running", None),
        ("unseen", "cancelled", "The run object was deleted."),
    ]
