"""A cleanup: the one operation that deletes stored data, because no rule of the job keeps it any more."""

from __future__ import annotations

from ..domain.plan import CleanupPlan
from ..domain.report import Report
from .retention import apply
from .run import Run


def cleanup(plan: CleanupPlan, run: Run) -> Report:
    """Judge the backups of one job and delete those that no rule keeps; what must wait is told, and is no failure."""
    run.enter("cleanup")
    report = apply(plan, run)
    run.say("success", "Cleanup completed", "run_completed", backups=report.backups, expired=report.expired)
    return report
