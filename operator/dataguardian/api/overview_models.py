"""The parts of the overview."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ..domain.conditions import ConditionStatus
from ..domain.executions import Attempt
from ..resources.common import ObjectName
from .executions import ExecutionPart, Progress
from .models import Answer, Asked, Moment

Half = Literal["history", "kubernetes"]


class OverviewQuery(Asked):
    """Of what."""

    namespace: ObjectName | None = Field(default=None, description="Only of this namespace.")


class Unfinished(Answer):
    """What of one operation has not ended."""

    operation: Attempt = Field(description="What is done.")
    queued: int = Field(description="Executions that wait.")
    running: int = Field(description="Executions that run.")


class Ended(Answer):
    """What of one operation ended in a time."""

    operation: Attempt = Field(description="What was done.")
    completed: int = Field(description="Executions that completed.")
    failed: int = Field(description="Executions that failed.")
    cancelled: int = Field(description="Executions that were cancelled.")


class Executions(Answer):
    """Numbers of executions."""

    now: list[Unfinished] = Field(description="Those that have not ended, by operation.")
    last_24_hours: list[Ended] = Field(description="Those that ended in the last 24 hours, by operation.")
    last_7_days: list[Ended] = Field(description="Those that ended in the last 7 days, by operation.")
    as_of: Moment = Field(description="When those that ended were counted; what has not ended is as of now.")


class Running(ExecutionPart):
    """An execution that runs."""

    queued_at: Moment = Field(description="When it was accepted.")
    started_at: Moment | None = Field(description="When its Kubernetes Job was made.")
    progress: Progress | None = Field(description="How far it is; null where that is not recorded.")


class Failure(ExecutionPart):
    """An execution that failed."""

    finished_at: Moment = Field(description="When it ended.")
    error_code: str | None = Field(description="Kind of failure; docs/errors.md has all.")
    error_message: str | None = Field(description="What happened.")


class LocationUse(Answer):
    """What a storage location holds."""

    namespace: str = Field(description="Namespace of the StorageLocation.")
    location: str = Field(description="Its name.")
    copies: int = Field(description="Backups with a stored copy there.")
    bytes: int = Field(description="Bytes of their stored dumps.")


class Storage(Answer):
    """What all storage locations hold, by the rows of history."""

    copies: int = Field(description="Stored copies in all of them.")
    bytes: int = Field(description="Bytes of their stored dumps.")
    locations: list[LocationUse] = Field(description="The fullest, 100 at most.")


class JobPart(Answer):
    """A job."""

    operation: Literal["backup", "sync"] = Field(description="`backup` of a BackupJob, `sync` of a DatabaseSyncJob.")
    namespace: str = Field(description="Its namespace.")
    name: str = Field(description="Its name.")


class FailingJob(JobPart):
    """A job whose last run failed."""

    execution: str | None = Field(description="Name of the run object.")
    failed_at: Moment | None = Field(description="When it ended.")
    reason: str = Field(description="Reason of the job's condition Ready.")
    message: str = Field(description="Its message.")


class OverdueJob(JobPart):
    """A job whose slot has passed without a run."""

    due_at: Moment | None = Field(description="The slot.")


class NextRun(JobPart):
    """A job's next run."""

    at: Moment | None = Field(description="The slot.")


class Jobs(Answer):
    """Numbers of BackupJobs and DatabaseSyncJobs, and those to look at."""

    total: int = Field(description="All.")
    suspended: int = Field(description="Those that are suspended.")
    failing: int = Field(description="Those whose last run failed.")
    overdue: int = Field(description="Those whose slot has passed for more than a minute without a run.")
    newest_failing: list[FailingJob] = Field(description="The 20 that failed last.")
    newest_overdue: list[OverdueJob] = Field(description="The 20 that became overdue last.")


class UnrecoverableJob(JobPart):
    """A BackupJob that does not meet its objectives, or is not known to."""

    status: ConditionStatus = Field(description="Status of its condition Recoverable.")
    reason: str = Field(description="Reason of that condition; empty while it was not judged.")
    message: str = Field(description="Its message.")
    recoverable_to: Moment | None = Field(description="Moment of the data in its newest good backup.")


class RecoverabilityCounts(Answer):
    """Whether databases can be brought back as their BackupJobs ask."""

    recoverable: int = Field(description="BackupJobs that meet their objectives.")
    not_recoverable: int = Field(description="BackupJobs that do not.")
    unknown: int = Field(description="BackupJobs of which that is not known.")
    worst: list[UnrecoverableJob] = Field(description="The 20 worst of those that do not, or are not known to.")


class Overview(Answer):
    """How everything is. What cannot be asked for now is null, and its source is in `unavailable`."""

    unavailable: list[Half] = Field(
        description="`history`: Postgres did not answer; `kubernetes`: the API server did not."
    )
    executions: Executions | None = Field(description="Numbers of executions, from history.")
    running: list[Running] | None = Field(description="What runs now, newest first, 50 at most, from history.")
    failures: list[Failure] | None = Field(description="The latest 20 failures, from history.")
    storage: Storage | None = Field(description="What the storage locations hold, from history.")
    jobs: Jobs | None = Field(description="Numbers of jobs, from the cluster.")
    recoverability: RecoverabilityCounts | None = Field(
        description="Recoverability of the BackupJobs, from the cluster."
    )
    next_runs: list[NextRun] | None = Field(description="The next 20 scheduled runs, from the cluster.")
