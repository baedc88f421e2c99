"""A sync: connect, load, switch. The dump goes straight from the source into the target, and is staged nowhere.

The target becomes a copy as a whole, at the end, or it stays as it was.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import closing

import msgspec

from ..domain import sync_guards
from ..domain.plan import SyncPlan
from ..domain.report import Report, Synced
from ..domain.sync_guards import Both
from ..errors import DumpFailed, LoadFailed
from .run import Run
from .source import SourceDatabase
from .sync_backup import SyncBackup
from .target import Target

NAMED = 50  # tables in one line of the log


def sync(plan: SyncPlan, run: Run) -> Report:
    """Make the target a copy of the source.

    Whatever fails, the target is as it was. What fails on a side names its datasource. A backup that was stored before
    a failure stays, and ``run.found`` tells of it.
    """
    if other := sync_guards.of_other_engines(plan):
        raise other
    with closing(SourceDatabase(plan.source, run)) as source, closing(Target(plan, run)) as target:
        return _Sync(plan, run, source, target).make()


class _Sync:
    """One sync between its steps."""

    def __init__(self, plan: SyncPlan, run: Run, source: SourceDatabase, target: Target) -> None:
        self._plan, self._run, self._source, self._target = plan, run, source, target

    def make(self) -> Report:
        """The whole sync."""
        both = self._connected()
        if refusals := sync_guards.refusals(self._plan, both):
            raise refusals[0]
        client = self._target.client(both.target, self._source.major)
        backup = self._backup()
        removed = self._told_removed(both)
        self._run.enter("load")
        with closing(self._dump(backup)) as dump:
            load = self._target.load(
                self._target.login, client, both.target, drop_existing=self._plan.drop_existing, settles=True
            )
            loaded = load.atomic(dump)
        return self._report(loaded, removed)

    def _connected(self) -> Both:
        """Log in to both sides, and ask them."""
        source, target, engine = self._source, self._target, self._source.engine
        key = int.from_bytes(os.urandom(8)) >> 1
        found = source.connect()
        described = engine.sync_source(found, source.session.ask(engine.describe_sync_source(key), DumpFailed))
        state = target.connect()
        name = self._plan.target.datasource
        self._run.say("info", f"Connected to {name}", "connected", version=state.version)
        state = target.with_missing(state, described.roles, described.extensions)
        sync = engine.sync_target(target.session.ask(engine.describe_sync_target(key), LoadFailed))
        return Both(source=described, target=state, sync=sync)

    def _backup(self) -> SyncBackup | None:
        """What else becomes of the dump; None when nothing does, or an earlier try has made it."""
        if self._plan.backup is None:
            return None
        backup = SyncBackup(self._plan.backup, self._run, self._source)
        return None if backup.found() else backup

    def _told_removed(self, both: Both) -> int:
        """Name in the log what goes for good; how many tables that are."""
        names = sync_guards.removed(both)
        for first in range(0, len(names), NAMED):
            part = names[first : first + NAMED]
            message = f"{len(names)} tables that the source does not have go from the target: {', '.join(part)}"
            self._run.say("warn", message, "tables_removed", tables=len(names))
        return len(names)

    def _dump(self, backup: SyncBackup | None) -> Generator[bytes]:
        """The pieces of the dump. They end once it is whole, and is stored where it is to be kept."""
        with closing(self._source.dump(self._plan.backup)) as pieces:
            yield from pieces if backup is None else backup.beside(pieces)
        if backup is not None:
            self._run.enter("load")  # what the target still does
        self._source.close()

    def _report(self, loaded: list[int], removed: int) -> Report:
        run = self._run
        run.say("success", "Sync completed", "run_completed", tables=len(loaded), rows=sum(loaded))
        synced = msgspec.structs.replace(run.found.synced or Synced(), removed=removed)
        return msgspec.structs.replace(
            run.found,
            completed=True,
            warnings=run.warnings,
            copies=run.copies,
            dump_bytes=self._source.dumped_bytes,
            engine_version=self._source.state.version,
            tables=len(loaded),
            rows=sum(loaded),
            synced=synced,
        )
