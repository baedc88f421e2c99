"""History limits: which run objects may be deleted."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from dataguardian.domain.catalogue import Entry
from dataguardian.domain.ended_runs import EndedRun
from dataguardian.domain.limits import superseded, superseded_runs
from dataguardian.resources.drill import RestoreDrill
from tests.unit.entries import NOW, CopyState, entry
from tests.unit.objects import backup_job, restore_drill


def run(number: int, phase: str, copies: dict[str, CopyState] | None = None) -> Entry:
    return entry(number, phase=phase, copies=copies or {}, age=timedelta(hours=number))


def names(entries: list[Entry]) -> list[str]:
    return [each.name for each in entries]


def test_the_oldest_runs_beyond_each_limit_go() -> None:
    failed = [run(1, "Failed"), run(2, "Cancelled"), run(3, "Failed")]
    gone = [run(4, "Completed", {"primary": "Removed"}), run(5, "Completed", {"primary": "Missing"})]
    job = backup_job(failedHistoryLimit=2, successfulHistoryLimit=1)

    assert names(superseded(job, [*failed, *gone])) == ["nightly-5", "nightly-3"]


def test_a_limit_of_none_keeps_none() -> None:
    job = backup_job(failedHistoryLimit=0, successfulHistoryLimit=0)

    assert names(superseded(job, [run(1, "Failed"), run(2, "Completed")])) == ["nightly-2", "nightly-1"]


states = st.dictionaries(
    st.sampled_from(["primary", "offsite"]), st.sampled_from(["Stored", "Failed", "Missing", "Removed"])
)
runs = st.lists(
    st.builds(run, st.integers(1, 99), st.sampled_from(["Completed", "Failed", "Cancelled"]), states), max_size=20
)


@given(runs, st.integers(0, 3), st.integers(0, 3))
def test_no_stored_backup_and_no_run_of_another_job_is_ever_deleted(
    entries: list[Entry], successful: int, failed: int
) -> None:
    job = backup_job(failedHistoryLimit=failed, successfulHistoryLimit=successful)
    other = job.model_copy(update={"metadata": job.metadata.model_copy(update={"name": "weekly"})})

    deleted = superseded(job, entries)

    assert not any(each.stored for each in deleted)
    assert superseded(other, entries) == []
    kept = [each for each in entries if each not in deleted and not each.stored]
    for phases, limit in ((("Completed",), successful), (("Failed", "Cancelled"), failed)):
        assert len([each for each in kept if each.phase in phases]) <= limit


def drilled(hours_ago: int, phase: str) -> EndedRun:
    ended = NOW - timedelta(hours=hours_ago)
    return EndedRun(namespace="shop", name=f"weekly-{hours_ago}", uid="u", owner="weekly", phase=phase, ended=ended)


def drill_that_told_of(run: EndedRun | None, **limits: int) -> RestoreDrill:
    told = run and {"name": run.name, "phase": run.phase, "completionTime": run.ended.isoformat()}
    return restore_drill({"lastExecution": told} if told else None, **limits)


def test_the_oldest_drills_beyond_each_limit_go() -> None:
    runs = [drilled(hours, phase) for hours, phase in enumerate(["Completed", "Failed", "Cancelled", "Completed"])]
    drill = drill_that_told_of(runs[0], successfulHistoryLimit=1, failedHistoryLimit=1)

    assert [run.name for run in superseded_runs(drill, runs)] == ["weekly-3", "weekly-2"]


def test_neither_the_drill_that_the_status_names_goes_nor_one_that_it_does_not_know_yet() -> None:
    new, told, old = runs = [drilled(1, "Failed"), drilled(2, "Failed"), drilled(3, "Failed")]
    limits = {"successfulHistoryLimit": 0, "failedHistoryLimit": 0}

    assert superseded_runs(drill_that_told_of(told, **limits), runs) == [old]
    assert superseded_runs(drill_that_told_of(None, **limits), runs) == []
    assert new not in superseded_runs(drill_that_told_of(new, **limits), runs)
