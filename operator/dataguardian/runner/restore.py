"""A restore: fetch, load, check. The target changes as a whole, at the end, or not at all."""

from __future__ import annotations

import time
from contextlib import closing

import msgspec

from ..domain import manifest as manifests
from ..domain import preflight
from ..domain import report as reports
from ..domain.manifest import Manifest, Table
from ..domain.naming import human_bytes
from ..domain.plan import EphemeralServer, RestorePlan
from ..domain.preflight import TargetState
from ..domain.report import Report
from ..errors import ConfigInvalid, DataGuardianError, SpecInvalid
from . import temporary
from .copy_choice import ChosenCopy, first_readable
from .phases import Replaces
from .preview import preview
from .run import Run
from .session import Session
from .target import Target
from .trial import Trial


def restore(plan: RestorePlan, run: Run) -> Report:
    """Load the backup, verify it, or only tell what would happen.

    Whatever fails, the target is as it was; only with ``atomic`` False it may have the rows and lack indexes.
    """
    if isinstance(plan.target, EphemeralServer) and not plan.verify:
        raise SpecInvalid("A restore needs a datasource.", remedy="Set spec.targetDatasourceRef.")
    run.enter("fetch")
    with closing(Target(plan, run)) as target:
        state = target.connect()
        if plan.verify and not plan.dry_run:
            with closing(Session(run, target.engine, target.login)) as session:  # its failure ends no other one
                temporary.sweep(session, target.engine, run)
        return first_readable(plan, run, _Restore(plan, run, target, state).from_copy)


class _Restore:
    """One restore, from one copy or another."""

    def __init__(self, plan: RestorePlan, run: Run, target: Target, state: TargetState) -> None:
        self._plan, self._run, self._target, self._state = plan, run, target, state

    def from_copy(self, copy: ChosenCopy) -> Report:
        """All that the plan asks for. Raises the error of a copy that turns out corrupt or away."""
        plan, run, manifest = self._plan, self._run, copy.manifest
        run.found = Report(completed=False, read_from=copy.location)
        size = human_bytes(manifest.stored_bytes)
        run.say("info", f"Backup of {size} found in {copy.location!r}", "fetched", version=self._state.version)
        state = self._target.with_missing(
            self._state, manifest.fingerprint.roles, list(manifest.fingerprint.extensions)
        )
        obstacles = self._obstacles(state, manifest)
        if plan.dry_run:
            return self._previewed(copy, state, obstacles)
        if obstacles:
            raise obstacles[0]
        if plan.verify:
            return Trial(plan, run, self._target, state).of(copy)
        return self._loaded(copy)

    def _obstacles(self, state: TargetState, manifest: Manifest) -> list[DataGuardianError]:
        found = preflight.refusals(self._plan, manifest, state)
        try:
            self._target.client(state, manifests.dumped_by(manifest))
        except ConfigInvalid as error:
            found.append(error)
        return found

    def _previewed(self, copy: ChosenCopy, state: TargetState, obstacles: list[DataGuardianError]) -> Report:
        found = preview(self._plan, self._target, state, copy.manifest, obstacles)
        for obstacle in obstacles:
            self._run.say("warn", f"The restore would be refused: {obstacle.what}", "obstacle", code=obstacle.code)
        self._run.say("success", "Dry run completed: nothing was changed", "run_completed")
        figures = reports.completed(copy.manifest, self._run.warnings)
        return msgspec.structs.replace(figures, read_from=copy.location, preview=found)

    def _loaded(self, copy: ChosenCopy) -> Report:
        """Load and count. A copy that turns out corrupt in the middle has left nothing: it is not committed."""
        started = time.monotonic()
        self._run.enter("load")
        target, state, dump = self._target, self._state, copy.content(self._run)
        client = target.client(state, manifests.dumped_by(copy.manifest))
        replaces: Replaces = "contained" if self._plan.drop_existing else "nothing"
        load = target.load(target.login, client, state, replaces=replaces, settles=True)
        loaded = load.atomic(dump) if self._plan.atomic else load.parallel(dump, self._plan.jobs)
        self._run.enter("check")
        counted = self._checked(copy.manifest, loaded)
        tables, rows = (None, None) if counted is None else (len(counted), sum(table.rows for table in counted))
        self._run.say("success", "Restore completed", "run_completed", tables=tables, rows=rows)
        return msgspec.structs.replace(
            reports.completed(copy.manifest, self._run.warnings),
            tables=tables,
            rows=rows,
            read_from=copy.location,
            restore_seconds=round(time.monotonic() - started),
        )

    def _checked(self, manifest: Manifest, loaded: list[int]) -> list[Table] | None:
        """What was loaded, or else is in the target now. A difference is a warning: others may have written since."""
        engine, expected = self._target.engine, manifest.fingerprint.tables
        if sorted(loaded) == sorted(table.rows for table in expected):
            return expected  # the server has taken them all: to read them again would tell no more
        try:
            counted = engine.counted(self._target.session.ask(engine.count_rows_by_name(expected)))
        except DataGuardianError as error:  # the data is back; a failure here must not say that it is not
            self._run.warn(f"The rows were not counted: {error.what}", "count_failed")
            return None
        for message in _differences(expected, counted):
            self._run.warn(message, "count_differs")
        return counted


def _differences(expected: list[Table], counted: list[Table]) -> list[str]:
    """Sentences about tables with other row counts, three at most and then their number."""
    found = {(table.schema, table.name): table.rows for table in counted}
    messages = [
        f"Table {table.schema}.{table.name} has {found.get((table.schema, table.name), 'no')} rows; "
        f"the backup's fingerprint has {table.rows}"
        for table in expected
        if found.get((table.schema, table.name)) != table.rows
    ]
    return messages if len(messages) <= 3 else [*messages[:3], f"{len(messages) - 3} more tables differ"]
