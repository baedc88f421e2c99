"""A restore: fetch, load, check. The target changes as a whole, at the end, or not at all."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing

from ..codec import CODECS
from ..domain.manifest import Manifest, Table
from ..domain.naming import human_bytes
from ..domain.plan import EphemeralServer, RestorePlan
from ..domain.report import Report
from ..errors import BackupCorrupt, DataGuardianError, SpecInvalid, TargetNotEmpty
from ..storage import opened
from . import login, stored
from .load import Load
from .run import Run
from .session import Session


def restore(plan: RestorePlan, run: Run) -> Report:
    """Load the backup; on any failure the target is as it was."""
    run.enter("fetch")
    with closing(_Restore(plan, run)) as work:
        manifest = work.fetch()
        work.load(manifest)
        return work.check(manifest)


class _Restore:
    """The state of one restore between its steps."""

    def __init__(self, plan: RestorePlan, run: Run) -> None:
        self._plan, self._run = plan, run
        self._folder = plan.sources[0].manifest_key.rpartition("/")[0]
        if isinstance(plan.target, EphemeralServer):
            raise SpecInvalid("A restore needs a datasource.", remedy="Set spec.targetDatasourceRef.")
        self._target = plan.target
        self._engine = login.engine_of(self._target)
        self._login = login.prepare(self._target, self._engine)
        self._session = Session(run, self._engine, self._login)
        self._storage = opened(plan.sources[0].target)

    def close(self) -> None:
        """End the session."""
        self._session.close()

    def fetch(self) -> Manifest:
        """Prove, before the target is touched, that the backup is there, is the right one and fits the target."""
        self._session.send(self._engine.describe_target())
        manifest = stored.read_manifest(self._storage, self._plan.sources[0].manifest_key)
        self._matches(manifest)
        stored.check_sizes(self._storage, self._folder, manifest)
        target = self._engine.target(self._session.lines())
        name = self._target.datasource
        if target.relations and not self._plan.drop_existing:
            raise TargetNotEmpty(
                f"The database of datasource {name!r} is not empty: it has {target.relations} tables, views "
                f"or sequences, such as {', '.join(target.examples)}.",
                remedy="Restore into an empty database, or set spec.dropExisting to replace what the backup contains.",
            )
        made_by = _major(manifest.engine_version)
        if target.major < made_by:
            raise SpecInvalid(
                f"The backup comes from {manifest.engine} {made_by}; datasource {name!r} has {target.major}.",
                remedy="Restore into a server of the same major version or a newer one.",
            )
        dumped_by = _major(manifest.tools.get("pg_dump", "0"))
        self._server = target.major
        self._client = self._engine.client(target.major, at_least=dumped_by, dumps=False)
        self._run.say(
            "info", f"Backup of {human_bytes(manifest.stored_bytes)} found", "fetched", version=target.version
        )
        return manifest

    def load(self, manifest: Manifest) -> None:
        """Stream the dump into the target."""
        self._run.enter("load")
        load = Load(
            self._run,
            self._engine,
            self._login,
            self._client,
            self._server,
            drop_existing=self._plan.drop_existing,
            lock_timeout_seconds=self._plan.lock_timeout_seconds,
            application=f"dataguardian-{self._plan.execution_id[:8]}",
        )
        if self._plan.atomic:
            load.atomic(self._content(manifest))
        else:
            load.parallel(self._content(manifest), self._plan.jobs)

    def check(self, manifest: Manifest) -> Report:
        """Count what is in the target now. A difference is a warning: others may have written since."""
        self._run.enter("check")
        expected = manifest.fingerprint.tables
        counted = self._counted(expected)
        tables = rows = None
        if counted is not None:
            tables, rows = len(counted), sum(table.rows for table in counted)
            for message in _differences(expected, counted):
                self._run.warn(message, "count_differs")
        self._run.say("success", "Restore completed", "run_completed", tables=tables, rows=rows)
        return Report(
            completed=True,
            warnings=self._run.warnings,
            dump_bytes=manifest.dump_bytes,
            stored_bytes=manifest.stored_bytes,
            checksum=manifest.checksum,
            engine_version=manifest.engine_version,
            tables=tables,
            rows=rows,
        )

    def _counted(self, expected: list[Table]) -> list[Table] | None:
        try:
            return self._engine.counted(self._session.ask(self._engine.count_rows_by_name(expected)))
        except DataGuardianError as error:  # the data is back; a failure here must not say that it is not
            self._run.warn(f"The rows were not counted: {error.what}", "count_failed")
            return None

    def _matches(self, manifest: Manifest) -> None:
        if self._plan.backup_execution_id not in (None, manifest.execution_id):
            raise BackupCorrupt(
                f"The manifest is of execution {manifest.execution_id}, not {self._plan.backup_execution_id}.",
                remedy="Restore another backup, or another copy of this one.",
            )
        if manifest.engine != self._target.engine or manifest.codec not in CODECS:
            raise SpecInvalid(
                f"The backup is of {manifest.engine} by {manifest.codec}; the target is {self._target.engine}.",
                remedy="Restore into a database of the same engine, with the release that made the backup.",
            )

    def _content(self, manifest: Manifest) -> Iterator[bytes]:
        """The dump. At its end all stored bytes have proven to be the right ones; else BackupCorrupt."""
        decompressor = CODECS[manifest.codec].decompressor()
        for segment in manifest.segments:
            for chunk in stored.checked(self._storage, self._folder, segment, self._run.advance):
                yield from decompressor.decompress(chunk)
        decompressor.finish()


def _major(version: str) -> int:
    found = re.match("[0-9]+", version)  # 18beta2 is of major 18
    return int(found[0]) if found else 0


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
