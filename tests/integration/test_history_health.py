"""The history of health: a row for each change, whatever is away and whoever starts again."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from dataguardian.errors import HistoryUnavailable
from dataguardian.history import health_checks
from dataguardian.kube.client import JSON, jobs_path
from dataguardian.resources import datasource
from dataguardian.resources.datasource import Datasource
from dataguardian.workers import health_history, side_jobs
from dataguardian.workers.context import Context
from dataguardian.workers.health import CHECK, check_all
from dataguardian.workers.health_history import HealthHistory, note
from tests.unit.objects import datasource as new_datasource

from . import side_pods, stored
from .recording import Place

AT = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(hours=1)  # old rows are pruned
UID = "5ba7b810-9dad-11d1-80b4-00c04fd430c8"


def checked(place: Place, health: str, minute: int = 0, name: str = "orders") -> Datasource:
    """A Datasource whose check found this, so many minutes later."""
    at = (AT + timedelta(minutes=minute)).isoformat()
    ready = {"type": "Ready", "status": "True", "reason": health.title(), "message": "m\x00", "lastTransitionTime": at}
    body = new_datasource().wire()
    body["metadata"] |= {"namespace": place.namespace, "name": name, "uid": UID}
    body["status"] = {"health": health, "lastCheckedTime": at, "conditions": [ready]}
    return Datasource.read(body)


def told(context: Context, place: Place, *healths: str, since: int = 0) -> None:
    """Checks end, one after the other, a minute apart."""
    for minute, health in enumerate(healths, since):
        note(context, datasource.KIND, checked(place, health, minute))


def rows(place: Place) -> list[tuple[object, ...]]:
    """By time: the minute, and what is told."""
    query = "SELECT extract(epoch FROM at)::bigint, status, reason, message FROM health_checks ORDER BY at"
    found = place.server.rows(place.database, query)
    return [((int(str(at)) - int(AT.timestamp())) // 60, *rest) for at, *rest in found]


async def test_a_change_makes_one_row_and_a_check_that_finds_the_same_makes_none(place: Place) -> None:
    context = place.operator().context
    told(context, place, "healthy", "healthy", "critical", "critical", "warning")

    await HealthHistory(context).step()

    assert rows(place) == [
        (0, "up", "Healthy", "m\ufffd"),
        (2, "down", "Critical", "m\ufffd"),
        (4, "degraded", "Warning", "m\ufffd"),
    ]


async def test_changes_while_history_is_away_are_written_once_it_is_back(place: Place) -> None:
    context = place.operator().context
    history = HealthHistory(context)
    await asyncio.to_thread(place.server.stop)
    told(context, place, "healthy", "critical", "healthy")
    with pytest.raises(HistoryUnavailable):
        await history.step()

    place.server.start()
    await history.step()
    await history.step()

    assert [status for _, status, *_ in rows(place)] == ["up", "down", "up"]
    assert context.unnoted == {}


async def test_an_operator_that_starts_again_repeats_no_row_and_finds_what_was_lost(place: Place) -> None:
    first = place.operator().context
    told(first, place, "healthy")
    await HealthHistory(first).step()
    told(first, place, "critical", since=1)  # and is gone with the process

    second = place.operator().context
    told(second, place, "critical", since=2)
    await HealthHistory(second).step()
    third = place.operator().context
    told(third, place, "critical", since=3)
    await HealthHistory(third).step()

    assert [(minute, status) for minute, status, *_ in rows(place)] == [(0, "up"), (2, "down")]


async def test_what_waits_for_history_is_bounded(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health_history, "WAITING", 3)
    context = place.operator().context

    told(context, place, *["healthy", "critical"] * 5)

    assert [row.at for row in context.unnoted.values()] == [AT + timedelta(minutes=minute) for minute in (7, 8, 9)]


async def test_old_rows_go_but_the_newest_of_an_object_that_is_there(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health_history, "KEPT_FOR", timedelta(seconds=1))
    context = place.operator().context
    context.catalog.put(datasource.KIND, checked(place, "healthy"))
    told(context, place, "healthy", "critical", "healthy")
    note(context, datasource.KIND, checked(place, "warning", name="gone"))
    context.healths["gone"] = "down"

    await HealthHistory(context).step()

    assert [(minute, status) for minute, status, *_ in rows(place)] == [(2, "up")]
    assert context.healths.keys() == {UID}


async def test_an_object_that_goes_up_and_down_all_the_time_keeps_its_newest_rows(place: Place) -> None:
    context = place.operator().context
    told(context, place, *["healthy", "critical"] * 3)
    await HealthHistory(context).step()

    async with place.history.connection() as connection:
        deleted = await health_checks.prune(connection, age=timedelta(days=36500), most=2, present=[])

    assert deleted == 4
    assert [minute for minute, *_ in rows(place)] == [4, 5]


async def test_the_end_of_a_check_is_noted(context: Context, namespace: str) -> None:
    await stored.location(context, namespace)
    await check_all(context)
    ((job,), _) = await context.kube.list(jobs_path(namespace))
    ended: JSON = await side_pods.finish(context.kube, job, succeeded=False)
    side_jobs.observe(context, "MODIFIED", ended)

    await side_jobs.settle(context, CHECK)

    (row,) = context.unnoted.values()
    assert (row.kind, row.namespace, row.name, row.status) == ("StorageLocation", namespace, "primary", "down")
