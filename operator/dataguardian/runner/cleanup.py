"""A cleanup: retention without a backup, because a policy changed, a backup became too old or a location is back."""

from __future__ import annotations

import msgspec

from ..domain.plan import CleanupPlan
from ..domain.report import Report
from .retention import apply
from .run import Run


def cleanup(plan: CleanupPlan, run: Run) -> Report:
    """Judge the backups of one job and delete those that no rule keeps; what must wait is told, and is no failure."""
    run.enter("cleanup")
    applied = apply(plan.folder, plan.targets, plan.policy, run, read_only=plan.read_only)
    run.say("success", "Cleanup completed", "run_completed", backups=applied.backups, expired=applied.expired)
    return Report(completed=True, warnings=run.warnings, **msgspec.structs.asdict(applied))
