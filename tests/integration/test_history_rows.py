"""What a run's row is told, and when: on a real API server and a real PostgreSQL."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import timedelta

import pytest

from dataguardian.kube.client import objects_path
from dataguardian.resources.backup import BACKUP_EXECUTION
from dataguardian.workers import recorder, rows, run_logs

from .clients import frozen
from .ended import as_backup, backup_run, finished_job, set_status
from .kubelet import Kubelet
from .recording import BACKUP, ENDED, LOG, SEEN, WHOLE, Place, end_two


async def test_an_imported_backup_keeps_the_id_of_its_manifest_and_what_is_known_of_it(place: Place) -> None:
    old = "5b3c9b1e-7c0e-4f6b-9a53-1d2f6f3f7a10"
    moments = {"startTime": "2026-01-02T02:00:00Z", "completionTime": ENDED, "queuedTime": None}
    spec = {"trigger": "Import", "source": {"storageLocationRef": {"name": "primary"}, "key": "a/manifest.json"}}
    await backup_run(place.kube, place.namespace, "old", spec=spec, phase="Completed", executionId=old, **moments)

    await place.operator().write()

    assert place.recorded("id::text, trigger, status, queued_at = started_at") == [(old, "import", "completed", True)]


async def test_a_stored_backups_row_follows_its_copies_whatever_order_the_news_come_in(place: Place) -> None:
    operator = place.operator()
    lost = [{"location": "primary", "key": "a/manifest.json", "state": "Missing"}]
    run = await backup_run(
        place.kube, place.namespace, "first", phase="Completed", completionTime="2026-01-02T02:09:00Z"
    )
    recorder.record_state(operator.context, BACKUP, as_backup(run))
    late = operator.context.unwritten[run["metadata"]["uid"]]
    await operator.write()

    changed = await set_status(place.kube, BACKUP_EXECUTION, run, {"copies": lost, "keptBy": ["maxBackups 1"]})
    recorder.record_state(operator.context, BACKUP, as_backup(changed))
    await operator.write()
    learnt = place.recorded("copies, kept_by")
    rows.keep(operator.context, late)
    await operator.write()
    unwritten = await set_status(place.kube, BACKUP_EXECUTION, changed, {"keptBy": []})
    await place.operator().write()

    assert unwritten["status"]["phase"] == "Completed"
    assert learnt == [(lost, ["maxBackups 1"])]
    assert place.recorded("copies, kept_by") == [(lost, [])]


async def test_a_log_that_waits_to_be_written_is_not_lost_to_later_news(place: Place) -> None:
    operator = place.operator()
    run = await backup_run(place.kube, place.namespace, "first", phase="Completed", completionTime=ENDED)
    recorder.record_state(operator.context, BACKUP, as_backup(run), [run_logs.as_line(LOG.encode())])
    recorder.record_state(operator.context, BACKUP, as_backup(run))

    await operator.write()

    assert place.recorded(SEEN) == [("first", "completed", "[BACKUP] Stored")]


async def test_a_log_that_cannot_be_read_yet_holds_the_job_and_is_read_when_the_node_is_back(
    place: Place, node: Kubelet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_logs, "RETRY", timedelta(0))
    operator = place.operator()
    await end_two(place, node)
    node.stop()
    await operator.see_end(place.namespace)
    await operator.write()
    ended, held = place.recorded(SEEN), await place.job("backup-first")

    node.start()
    await operator.write()

    assert ended == [("first", "completed", None), ("of-nothing", "failed", None)]
    assert "ttlSecondsAfterFinished" not in held["spec"]
    assert place.recorded(SEEN) == WHOLE
    assert (await place.job("backup-first"))["spec"]["ttlSecondsAfterFinished"] == run_logs.TTL_SECONDS


async def test_a_log_that_stays_unreadable_is_given_up_and_the_row_says_so(
    place: Place, node: Kubelet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_logs, "GIVE_UP", timedelta(0))
    operator = place.operator()
    await end_two(place, node)
    node.stop()

    await operator.see_end(place.namespace)
    await operator.write()

    (_, _, message), _ = place.recorded(SEEN)
    assert message.startswith("[BACKUP] The log of pod backup-first could not be read")
    (line,) = place.recorded("metadata -> 'execution_logs' -> 0 ->> 'id'")[0]
    assert line.endswith("000-1")  # of its pod, whose time is in ms
    assert (await place.job("backup-first"))["spec"]["ttlSecondsAfterFinished"] == run_logs.TTL_SECONDS
    assert operator.context.unlogged == {}


async def test_a_frozen_history_holds_up_no_status(place: Place, node: Kubelet) -> None:
    operator = place.operator()
    await place.history.check()
    runs = [await backup_run(place.kube, place.namespace, name) for name in ("first", "second")]
    for run in runs:
        await finished_job(place.kube, run, node.name)

    with frozen(place.server):
        begun = time.monotonic()
        await operator.see_end(place.namespace)
        seconds = time.monotonic() - begun

    ended = [
        await place.kube.get(objects_path(BACKUP_EXECUTION, place.namespace, name)) for name in ("first", "second")
    ]
    await operator.write()
    assert seconds < 2
    assert [run["status"]["phase"] for run in ended] == ["Completed", "Completed"]
    assert place.recorded("name, status") == [("first", "completed"), ("second", "completed")]


async def test_a_row_that_is_refused_holds_up_no_other(place: Place) -> None:
    operator = place.operator()
    for name in ("bad", "good"):
        run = await backup_run(place.kube, place.namespace, name)
        recorder.record_state(operator.context, BACKUP, as_backup(run))
    first, *_ = operator.context.unwritten
    operator.context.unwritten[first] = replace(operator.context.unwritten[first], dump_bytes=-1)

    await rows.write_waiting(operator.context)

    assert place.recorded("name") == [("good",)]
    assert operator.context.unwritten == {}
