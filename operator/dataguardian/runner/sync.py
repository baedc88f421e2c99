"""A sync: connect, load, switch. The dump goes straight from the source into the target, and is staged nowhere.

The target becomes a copy as a whole, at the end, or it stays as it was.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Sequence
from contextlib import closing

import msgspec

from ..domain import masking, sync_guards
from ..domain.plan import SyncPlan
from ..domain.report import Report, Synced
from ..domain.sync_guards import Both
from ..engines import Login, PreviousOfRun
from ..errors import DataGuardianError, DumpFailed, LoadFailed
from .masking import Mask
from .phases import Replaces
from .run import Run
from .source import SourceDatabase
from .swap import Swap, Switched
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
        if (before := self._switched_before()) is not None:
            return self._report_of(before, both)
        self._refuse(sync_guards.refusals(self._plan, both))
        mask = self._mask()
        if self._plan.strategy == "Transaction":
            loaded = self._loaded(both, self._target.login, mask)
            return self._report(both, loaded, mask)
        with closing(self._swap()) as swap:
            loaded = self._loaded(both, swap.prepare(), mask)
            self._run.enter("switch")
            self._target.close()
            return self._report(both, loaded, mask, swap.switch())

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

    def _switched_before(self) -> PreviousOfRun | None:
        """What an earlier try of this execution left that has switched, and whose end nobody has heard of."""
        if self._plan.strategy != "Swap":
            return None
        engine, plan = self._target.engine, self._plan
        question = engine.find_previous_of(plan.execution_id, plan.target.database)
        return engine.previous_of(self._target.session.ask(question, LoadFailed))

    def _report_of(self, before: PreviousOfRun, both: Both) -> Report:
        """The report of that try, without the figures that went with it."""
        self._backup()
        self._run.warn("An earlier try of this execution has switched; its figures are lost", "switch_found")
        self._run.say("success", "Sync completed", "run_completed")
        return self._completed(both, {}, previous=before.name, previous_until=before.until)

    def _refuse(self, refusals: Sequence[DataGuardianError]) -> None:
        """Raise the gravest; the others are in the log."""
        for refusal in refusals[1:]:
            self._run.say("warn", f"This is in the way, too: {refusal.what}", "obstacle", code=refusal.code)
        if refusals:
            raise refusals[0]

    def _mask(self) -> Mask | None:
        """What masks the load. Raises what speaks against it: rules and columns are compared in the dump's snapshot."""
        plan, source = self._plan.masking, self._source
        if plan is None:
            return None
        found = source.engine.columns(source.session.ask(source.engine.describe_columns(), DumpFailed))
        self._refuse(masking.refusals(plan, found.columns, found.large_objects))
        return Mask(plan, source.engine, found.columns)

    def _swap(self) -> Swap:
        plan, source = self._plan, self._source
        brought = source.engine.brought(source.session.ask(source.engine.describe_brought(), DumpFailed))
        return Swap(
            self._run,
            self._target.engine,
            self._target.login,
            execution_id=plan.execution_id,
            brought=brought,
            keep_previous_seconds=plan.keep_previous_seconds,
            patience_seconds=plan.lock_timeout_seconds,
            must_be_empty=not plan.drop_existing,
        )

    def _loaded(self, both: Both, login: Login, mask: Mask | None) -> list[int]:
        """Bring the dump into this database: how many rows each table has got."""
        plan, in_place = self._plan, self._plan.strategy == "Transaction"
        client = self._target.client(both.target, self._source.major)
        replaces: Replaces = "everything" if in_place and plan.drop_existing else "nothing"
        load = self._target.load(login, client, both.target, replaces=replaces, settles=in_place, mask=mask)
        backup = self._backup()
        self._tell_removed(both)
        self._run.enter("load")
        with closing(self._dump(backup)) as dump:
            return load.atomic(dump) if in_place else load.parallel(dump, plan.jobs)

    def _backup(self) -> SyncBackup | None:
        """What else becomes of the dump; None when nothing does, or an earlier try has made it."""
        if self._plan.backup is None:
            return None
        backup = SyncBackup(self._plan.backup, self._run, self._source)
        return None if backup.found() else backup

    def _tell_removed(self, both: Both) -> None:
        """Name in the log what goes for good."""
        names = sync_guards.removed(both)
        for first in range(0, len(names), NAMED):
            part = names[first : first + NAMED]
            message = f"{len(names)} tables that the source does not have go from the target: {', '.join(part)}"
            self._run.say("warn", message, "tables_removed", tables=len(names))

    def _dump(self, backup: SyncBackup | None) -> Generator[bytes]:
        """The pieces of the dump. They end once it is whole, and is stored where it is to be kept."""
        with closing(self._source.dump(self._plan.backup)) as pieces:
            yield from pieces if backup is None else backup.beside(pieces)
        if backup is not None:
            self._run.enter("load")  # what the target still does
        self._source.close()

    def _report(self, both: Both, loaded: list[int], mask: Mask | None, switched: Switched | None = None) -> Report:
        tables, rows = len(loaded), sum(loaded)
        self._run.say("success", "Sync completed", "run_completed", tables=tables, rows=rows)
        return self._completed(
            both,
            {"dump_bytes": self._source.dumped_bytes, "tables": tables, "rows": rows},
            removed=len(sync_guards.removed(both)),
            masked_columns=mask.columns_masked if mask else 0,
            switch_ms=switched.milliseconds if switched else None,
            previous=switched.previous if switched else None,
            previous_until=switched.previous_until if switched else None,
        )

    def _completed(self, both: Both, figures: dict[str, int], **did: object) -> Report:
        """The report, with these figures and what the sync did; what a backup beside it has told stays."""
        run, rules = self._run, self._plan.masking
        return msgspec.structs.replace(
            run.found,
            completed=True,
            warnings=run.warnings,
            copies=run.copies,
            engine_version=self._source.state.version,
            synced=msgspec.structs.replace(
                run.found.synced or Synced(),
                masking_digest=rules.digest if rules else None,
                server_identity=both.target.identity or None,
                **did,
            ),
            **figures,
        )
