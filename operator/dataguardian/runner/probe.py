"""Probes: whether a database or a storage location serves, with the same code and credentials as a run."""

from __future__ import annotations

import secrets
import time
from contextlib import closing

from ..domain.plan import DatasourceProbe, StorageProbe
from ..domain.report import Report
from ..engines import Engine
from ..errors import DataGuardianError, StorageUnavailable
from ..storage import opened
from . import login
from .expire import drop_expired
from .run import Run
from .session import Session
from .temporary import sweep

# A folder's name that no namespace can have: backups never mix with it.
PROBE = ".dataguardian-probe-"


def probe(plan: DatasourceProbe | StorageProbe, run: Run) -> Report:
    """Log in, ask for the version and remove what other runs left; or write, read and delete a small object."""
    return _datasource(plan, run) if isinstance(plan, DatasourceProbe) else _storage(plan, run)


def _datasource(plan: DatasourceProbe, run: Run) -> Report:
    engine = login.engine_of(plan.source)
    access = login.prepare(plan.source, engine)
    started = time.monotonic()
    with closing(Session(run, engine, access)) as session:
        target = engine.target(session.ask(engine.describe_target()))
        latency = round((time.monotonic() - started) * 1000)
        _clean(session, engine, run, plan.source.database)
    run.say("success", "The database serves", "run_completed", version=target.version, latency_ms=latency)
    return Report(completed=True, engine_version=target.version, latency_ms=latency)


def _clean(session: Session, engine: Engine, run: Run, database: str) -> None:
    """Remove what runs left behind and nobody else removes; whatever speaks against that, another probe comes."""
    sweep(session, engine, run)
    try:
        drop_expired(session, engine, run, database)
    except DataGuardianError as error:
        run.say("debug", f"Previous databases were not looked for: {error.what}", "expiry_failed")


def _storage(plan: StorageProbe, run: Run) -> Report:
    storage = opened(plan.target)
    started = time.monotonic()
    name = PROBE + secrets.token_hex(8)
    list(storage.keys(name))
    if not plan.read_only:
        content = secrets.token_bytes(64)
        storage.put(name, [content])
        try:
            read = b"".join(storage.get(name))
        finally:
            storage.delete(name)
        if read != content:
            raise StorageUnavailable(
                f"Storage location {plan.target.location!r} gives back other bytes than it was given.",
                remedy="Check the server; it must not be used for backups.",
            )
    latency = round((time.monotonic() - started) * 1000)
    run.say("success", "The storage location serves", "run_completed", latency_ms=latency)
    return Report(completed=True, latency_ms=latency)
