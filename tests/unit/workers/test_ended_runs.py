"""What is known of ended runs."""

from __future__ import annotations

from dataguardian.domain.drills import drill_of
from dataguardian.resources.restore import RestoreRequest
from dataguardian.workers.ended_runs import EndedRuns
from tests.unit.objects import drill_request, restore_drill


def names(runs: EndedRuns) -> list[str]:
    return [run.name for run in runs.of_owner("shop", "weekly")]


def recreated(request: RestoreRequest) -> RestoreRequest:
    return request.model_copy(update={"metadata": request.metadata.model_copy(update={"uid": "another"})})


def test_a_request_is_known_once_from_its_end_to_its_deletion() -> None:
    runs, request = EndedRuns(drill_of), drill_request("a", "Failed")

    runs.put(drill_request("a", "Running"))
    assert names(runs) == []
    runs.put(request)
    runs.put(request)
    assert names(runs) == ["a"]
    runs.drop(request)
    assert names(runs) == []


def test_the_deletion_of_a_request_does_not_remove_its_successor_of_the_same_name() -> None:
    runs, request = EndedRuns(drill_of), drill_request("a", "Failed")
    runs.put(recreated(request))

    runs.drop(request)

    assert names(runs) == ["a"]


def late(runs: EndedRuns) -> list[str]:
    told = restore_drill(
        {"lastExecution": {"name": "b", "phase": "Completed", "completionTime": "2026-11-25T02:00:00Z"}}
    )
    return [run.name for run in runs.untold(told)]


def test_a_run_that_ended_before_the_one_that_was_told_last_is_told_once_if_it_was_seen_to_end() -> None:
    runs, ended = EndedRuns(drill_of), drill_request("a", "Failed")
    runs.put(ended)
    assert late(runs) == []  # an operator before this one has told it

    other = EndedRuns(drill_of)
    other.put(drill_request("a", "Running"))
    other.put(ended)
    assert late(other) == ["a"]
    assert late(other) == ["a"]
    other.tell(other.of_owner("shop", "weekly")[0])
    other.put(ended)
    assert late(other) == []


def test_what_is_gone_before_its_end_is_forgotten() -> None:
    runs = EndedRuns(drill_of)
    runs.put(drill_request("a", "Running"))
    runs.drop(drill_request("a", "Running"))

    runs.put(drill_request("a", "Failed"))

    assert late(runs) == []
