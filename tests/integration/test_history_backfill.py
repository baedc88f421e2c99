"""Run objects → rows, through outages, restarts and wipes: on a real API server and a real PostgreSQL."""

from __future__ import annotations

from dataguardian.kube.client import objects_path
from dataguardian.resources.backup import BACKUP_EXECUTION
from dataguardian.workers import recorder, rows, run_logs

from .ended import CHECKSUM, as_backup, as_restore, backup_run, refused_restore, set_status
from .kubelet import Kubelet
from .recording import BACKUP, RESTORE, SEEN, WHOLE, Place, end_two


async def test_runs_that_ended_while_history_was_away_have_their_rows_and_logs_after_a_restart(
    place: Place, node: Kubelet
) -> None:
    before = place.operator()
    await end_two(place, node)
    place.server.stop()
    await before.see_end(place.namespace)
    await before.write()
    run = await place.kube.get(objects_path(BACKUP_EXECUTION, place.namespace, "first"))
    held = await place.job("backup-first")

    place.server.start()
    after = place.operator()
    await after.see_end(place.namespace)
    await after.write()

    assert run["status"]["phase"] == "Completed"
    assert "ttlSecondsAfterFinished" not in held["spec"]
    assert place.recorded(SEEN) == WHOLE
    assert place.recorded("checksum, error_code, trigger") == [
        (CHECKSUM, None, "manual"),
        (None, "not-found", "manual"),
    ]
    assert (await place.job("backup-first"))["spec"]["ttlSecondsAfterFinished"] == run_logs.TTL_SECONDS


async def test_a_wiped_history_has_all_rows_again_and_the_logs_of_jobs_that_are_still_there(
    place: Place, node: Kubelet
) -> None:
    operator = place.operator()
    await end_two(place, node)
    await operator.see_end(place.namespace)
    await operator.write()
    place.server.stop()
    await operator.write()
    place.server.start()
    place.server.sql(place.database, "TRUNCATE backup_executions")

    await operator.write()

    assert place.recorded(SEEN) == WHOLE


async def test_a_comparison_that_finds_no_difference_writes_nothing(place: Place, node: Kubelet) -> None:
    await end_two(place, node)
    before = place.operator()
    await before.see_end(place.namespace)
    await before.write()
    written = place.recorded("xmin::text, xmax::text")

    await place.operator().write()

    assert place.recorded("xmin::text, xmax::text") == written


async def test_what_history_answers_is_not_compared_again_before_it_was_away(place: Place) -> None:
    operator = place.operator()
    await operator.write()
    await refused_restore(place.kube, place.namespace, "unseen")
    await operator.write()
    quiet = place.recorded("name")

    place.server.stop()
    await operator.write()
    recorder.record_state(
        operator.context, RESTORE, as_restore(await refused_restore(place.kube, place.namespace, "seen"))
    )
    await operator.write()
    place.server.start()
    await operator.write()

    assert quiet == []
    assert place.recorded("name") == [("seen",), ("unseen",)]


async def test_the_row_of_a_run_that_was_deleted_while_nobody_looked_ends_as_cancelled(place: Place) -> None:
    gone = await backup_run(place.kube, place.namespace, "gone")
    stays = await backup_run(place.kube, place.namespace, "stays")
    before = place.operator()
    for run in (gone, stays):
        recorder.record_state(before.context, BACKUP, as_backup(run))
    await before.write()

    await place.kube.delete(objects_path(BACKUP_EXECUTION, place.namespace, "gone"))
    await place.operator().write()

    assert place.recorded("name, status, error_message") == [
        ("gone", "cancelled", "The run object was deleted."),
        ("stays", "running", None),
    ]


async def test_an_end_that_waits_to_be_written_is_not_taken_for_a_deleted_run(place: Place) -> None:
    operator = place.operator()
    run = await backup_run(place.kube, place.namespace, "first")
    recorder.record_state(operator.context, BACKUP, as_backup(run))
    await rows.write_waiting(operator.context)
    ended = await set_status(
        place.kube, BACKUP_EXECUTION, run, {"phase": "Completed", "completionTime": run["status"]["startTime"]}
    )
    recorder.record_state(operator.context, BACKUP, as_backup(ended))
    await place.kube.delete(objects_path(BACKUP_EXECUTION, place.namespace, "first"))

    await operator.backfill.step()
    await operator.write()

    assert place.recorded("status") == [("completed",)]
