"""Runs one operation in a thread, and watches: signals, progress lines, the report and the exit status."""

from __future__ import annotations

import os
import signal
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from types import FrameType

from ..domain import plan as plans
from ..domain import report as reports
from ..errors import ConfigInvalid, DataGuardianError
from .lines import Lines
from .report import leave
from .run import Run

PLAN = "DATAGUARDIAN_PLAN"
PROGRESS_SECONDS = 5.0
# A cancelled run cleans up for this long; the kubelet's patience is 30 s, what we promise is 10.
CLEANUP_SECONDS = 8.0
INTERNAL_STATUS = 70

Operation = Callable[[str, Run], reports.Report]


def _backup(text: str, run: Run) -> reports.Report:
    from .backup import backup

    return backup(plans.decode(text, plans.BackupPlan), run)


def _copy(text: str, run: Run) -> reports.Report:
    from .copy import copy

    return copy(plans.decode(text, plans.CopyPlan), run)


def _restore(text: str, run: Run) -> reports.Report:
    from .restore import restore

    plan = plans.decode(text, plans.RestorePlan)
    if plan.verify:
        run.named("verify")
    return restore(plan, run)


def _sync(text: str, run: Run) -> reports.Report:
    from .sync import sync

    return sync(plans.decode(text, plans.SyncPlan), run)


def _cleanup(text: str, run: Run) -> reports.Report:
    from .cleanup import cleanup

    return cleanup(plans.decode(text, plans.CleanupPlan), run)


def _index(text: str, run: Run) -> reports.Report:
    from .index import index

    return index(plans.decode(text, plans.IndexPlan), run)


def _expire(text: str, run: Run) -> reports.Report:
    from .expire import expire

    return expire(plans.decode(text, plans.ExpirePlan), run)


def _probe(text: str, run: Run) -> reports.Report:
    from .probe import probe

    return probe(plans.decode_probe(text), run)


# Each imports what it needs when it runs: a pod does one of them, and its first byte is waited for.
OPERATIONS: Mapping[str, Operation] = {
    "backup": _backup,
    "copy": _copy,
    "restore": _restore,
    "sync": _sync,
    "cleanup": _cleanup,
    "index": _index,
    "expire": _expire,
    "probe": _probe,
}


class _Outcome:
    """What the working thread leaves."""

    def __init__(self) -> None:
        self.done = threading.Event()
        self.report: reports.Report | None = None
        self.status = INTERNAL_STATUS


def main(operation: str) -> int:
    """Run the operation of the plan in the environment; return the exit status.

    The report is left as the pod's termination message, lines go to stdout. SIGTERM ends the run within 10 s.
    """
    run, outcome = Run(Lines(operation)), _Outcome()
    cancelled_at: list[float] = []

    def cancel(number: int, frame: FrameType | None) -> None:
        if not cancelled_at:
            cancelled_at.append(time.monotonic())
            run.cancel()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, cancel)
    worker = threading.Thread(target=_work, args=(operation, run, outcome), name="work", daemon=True)
    worker.start()
    _watch(run, outcome, cancelled_at)
    if not outcome.done.is_set():
        outcome.report, outcome.status = _unfinished(operation, run)
    if outcome.report is not None:
        leave(outcome.report)
    if not outcome.done.is_set():
        os._exit(outcome.status)  # the thread waits for a server that does not answer
    return outcome.status


SILENT: Mapping[str, str] = {  # who is asked to clean up
    "backup": "The store",
    "copy": "The store",
    "restore": "The database server",
    "sync": "The database server, or the store of the kept backup,",
    "cleanup": "The store",
    "index": "The store",
    "expire": "The database server",
    "probe": "The server",
}


def _unfinished(operation: str, run: Run) -> tuple[reports.Report, int]:
    """What is known of a run whose thread hangs."""
    stuck = "did not answer the clean-up; the next try of the same run removes what is left, or delete it by hand."
    return _told(run, run.ended(remedy=f"{SILENT[operation]} {stuck}"))


def _watch(run: Run, outcome: _Outcome, cancelled_at: list[float]) -> None:
    """Return when the work is done, or its time to clean up is over."""
    spoken = time.monotonic()
    while not outcome.done.wait(0.25):
        moment = time.monotonic()
        if run.cancelled and moment > cancelled_at[0] + CLEANUP_SECONDS:
            return
        if moment > spoken + PROGRESS_SECONDS:
            spoken = moment
            run.say("info", f"Step {run.step}: {run.bytes} bytes so far", "progress", bytes=run.bytes)


def _work(operation: str, run: Run, outcome: _Outcome) -> None:
    try:
        outcome.report, outcome.status = OPERATIONS[operation](_plan(), run), 0
    except BaseException as error:
        outcome.report, outcome.status = _ended(run, error)
    finally:
        run.stop_tools()
        outcome.done.set()


def _plan() -> str:
    text = os.environ.get(PLAN)
    if text is None:
        raise ConfigInvalid(f"{PLAN} is not set.", remedy="Let the operator start the runner.")
    return text


def _ended(run: Run, error: BaseException) -> tuple[reports.Report, int]:
    if run.cancelled:  # what failed did so because its program was killed
        return _told(run, run.ended())
    if isinstance(error, DataGuardianError):
        return _told(run, error)
    return _bug(run, error)


def _told(run: Run, error: DataGuardianError) -> tuple[reports.Report, int]:
    run.say("error", error.what, "run_failed", code=error.code, remedy=error.remedy)
    return reports.failed(error, run.step, run.warnings, run.copies, run.found), error.exit_status


def _bug(run: Run, error: BaseException) -> tuple[reports.Report, int]:
    trace = "".join(traceback.format_exception(error))
    run.say("error", f"A bug in DataGuardian: {error!r}", "run_failed", code="internal", traceback=trace)
    told = DataGuardianError(f"A bug in DataGuardian: {error!r}", remedy="Report it with the run's log.")
    return reports.failed(told, run.step, run.warnings, run.copies, run.found), INTERNAL_STATUS
