"""What is known of ended drills."""

from __future__ import annotations

from dataguardian.resources.restore import RestoreRequest
from dataguardian.workers.drill_runs import DrillRuns
from tests.unit.objects import drill_request


def names(runs: DrillRuns) -> list[str]:
    return [run.name for run in runs.of_drill("shop", "weekly")]


def recreated(request: RestoreRequest) -> RestoreRequest:
    return request.model_copy(update={"metadata": request.metadata.model_copy(update={"uid": "another"})})


def test_a_request_is_known_once_from_its_end_to_its_deletion() -> None:
    runs, request = DrillRuns(), drill_request("a", "Failed")

    runs.put(drill_request("a", "Running"))
    assert names(runs) == []
    runs.put(request)
    runs.put(request)
    assert names(runs) == ["a"]
    runs.drop(request)
    assert names(runs) == []


def test_the_deletion_of_a_request_does_not_remove_its_successor_of_the_same_name() -> None:
    runs, request = DrillRuns(), drill_request("a", "Failed")
    runs.put(recreated(request))

    runs.drop(request)

    assert names(runs) == ["a"]
