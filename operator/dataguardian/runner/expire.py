"""What was a target before a Swap is dropped when its time is over."""

from __future__ import annotations

from contextlib import closing

from ..domain.plan import ExpirePlan
from ..domain.report import PreviousFound, Report
from ..engines import Engine, MarkedPrevious
from . import login
from .run import Run
from .session import Session
from .temporary import sweep


def expire(plan: ExpirePlan, run: Run) -> Report:
    """Drop what was this database before a Swap and is over, and what syncs left that were killed.

    What cannot be dropped stays, and is a warning. Of the database that the plan names the report tells what became.
    """
    engine = login.engine_of(plan.target)
    access = login.prepare(plan.target, engine)
    with closing(Session(run, engine, access)) as session:
        identity = engine.target(session.ask(engine.describe_target())).identity
        was_there = engine.previous(session.ask(engine.find_previous(plan.previous))) is not None
        dropped = drop_expired(session, engine, run, plan.target.database)
        left = engine.previous(session.ask(engine.find_previous(plan.previous)))
        sweep(session, engine, run)
    run.say("success", "Previous databases looked through", "run_completed", dropped=dropped)
    found = PreviousFound(
        name=plan.previous,
        state="left" if left else "dropped" if was_there else "absent",
        reason=_why_left(left, plan.target.database) if left else None,
        server_identity=identity or None,
    )
    return Report(completed=True, warnings=run.warnings, previous=found)


def _why_left(left: MarkedPrevious, database: str) -> str:
    if left.database is None:
        return "Its comment no longer says that it was a target before a Swap. Drop it, or give it another name."
    if left.database != database:
        return (
            f"It was database {left.database!r} before, and not {database!r}. Correct spec.database of the Datasource."
        )
    if not left.over:
        return f"By the server's clock its time is over only at {left.until}."
    return "Somebody is in it, or the role may not drop it."


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
