"""Temporary databases of verifications: made, entered, removed; and swept when their run could not do it."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing, contextmanager

from ..domain.manifest import Manifest
from ..domain.naming import VERIFICATION, database_beside, verification_comment
from ..engines import Engine, Login
from ..errors import DataGuardianError, LoadFailed
from . import login
from .run import Run
from .session import Session
from .target import Target


class Temporary:
    """An empty database on the target's server; ``session`` is in it for as long as the run lives."""

    def __init__(self, name: str, login: Login, session: Session) -> None:
        self.name, self.login, self.session = name, login, session
        self.kept = False  # set it when the database shall stay


@contextmanager
def temporary(target: Target, run: Run, manifest: Manifest, execution_id: str) -> Generator[Temporary]:
    """A database for this backup, gone at the end whatever happens, unless it was ``kept``."""
    engine = target.engine
    digits = engine.digits(target.session.ask(engine.name_database(VERIFICATION, manifest.database)))
    name = database_beside(VERIFICATION, manifest.database, digits)
    mark = verification_comment(execution_id)
    kept = False
    try:
        here, encoding = target.login.endpoint.database, manifest.fingerprint.encoding
        target.session.ask(engine.create_database(name, mark, like=here, encoding=encoding), LoadFailed)
        run.say("info", f"Temporary database {name} made", "database_made", database=name)
        access = login.elsewhere(target.login, name)
        with closing(Session(run, engine, access)) as session:
            session.ask(engine.describe_target())
            made = Temporary(name, access, session)
            yield made
            kept = made.kept
            if kept:  # marked while a session is in it, so that no sweep takes it for a leftover
                _keep(target, run, name, verification_comment(execution_id, kept=True))
    finally:
        if not kept:
            _drop(target, run, name, mark)


def sweep(session: Session, engine: Engine, run: Run) -> None:
    """Remove databases of verifications and syncs that are over; whatever speaks against that, another sweep comes."""
    try:
        for name in engine.names(session.ask(engine.find_leftovers())):
            if engine.names(session.ask(engine.drop_leftover(name))):
                run.say("info", f"Temporary database {name} removed: its run is over", "database_swept", database=name)
    except DataGuardianError as error:
        run.say("debug", f"Temporary databases were not looked for: {error.what}", "sweep_failed")


def _keep(target: Target, run: Run, name: str, mark: str) -> None:
    """Mark it as a person's; a failure is a warning."""
    try:
        _last(target, run, target.engine.mark_database(name, mark))
    except DataGuardianError as error:
        run.warn(f"Database {name} was not marked as kept, so that it will be removed: {error.what}", "mark_failed")


def _drop(target: Target, run: Run, name: str, mark: str) -> None:
    """Remove it; a failure is a warning, and the error under way stays the one that is told."""
    try:
        dropped = target.engine.names(_last(target, run, target.engine.drop_database(name, mark)))
    except DataGuardianError as error:
        run.warn(
            f"The temporary database {name} stays until the next check of the datasource: {error.what}",
            "database_left",
            database=name,
        )
    else:
        for gone in dropped:
            run.say("info", f"Temporary database {gone} removed", "database_removed", database=gone)


def _last(target: Target, run: Run, statements: str) -> list[str]:
    """Ask this, also when somebody has asked for the end of the run."""
    with closing(Session(run, target.engine, target.login, last=True)) as session:
        return session.ask(statements)
