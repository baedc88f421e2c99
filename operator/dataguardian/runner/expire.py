"""What was a target before a Swap is dropped when its time is over."""

from __future__ import annotations

from contextlib import closing

from ..domain.plan import ExpirePlan
from ..domain.report import Report
from ..engines import Engine
from . import login
from .run import Run
from .session import Session
from .temporary import sweep


def expire(plan: ExpirePlan, run: Run) -> Report:
    """Drop what was this database before a Swap and is over, and what syncs left that were killed.

    What cannot be dropped stays, and is a warning.
    """
    engine = login.engine_of(plan.target)
    access = login.prepare(plan.target, engine)
    with closing(Session(run, engine, access)) as session:
        dropped = drop_expired(session, engine, run, plan.target.database)
        sweep(session, engine, run)
    run.say("success", "Previous databases looked through", "run_completed", dropped=dropped)
    return Report(completed=True, warnings=run.warnings)


def drop_expired(session: Session, engine: Engine, run: Run, database: str) -> int:
    """Drop what was this database and is over, unless somebody is in it; the number of those dropped."""
    dropped = 0
    for name in engine.names(session.ask(engine.find_expired(database))):
        if engine.names(session.ask(engine.drop_leftover(name))):
            dropped += 1
            run.say("info", f"Previous database {name} dropped: its time is over", "previous_dropped", database=name)
        else:
            run.warn(
                f"The previous database {name} stays: somebody is in it, or the role may not drop it.",
                "previous_left",
                database=name,
            )
    return dropped
