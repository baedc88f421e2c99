"""A backup: connect, dump, verify, finalize. It is complete once its manifest is stored, and only then."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from hashlib import sha256

from .. import __version__
from ..codec import CODECS
from ..domain import manifest as manifests
from ..domain.manifest import Fingerprint, Manifest, Segment
from ..domain.plan import BackupPlan
from ..domain.report import Report, StoredCopy
from ..engines import Contents
from ..errors import DataGuardianError, DumpFailed, SpecInvalid
from ..storage import opened
from . import login, stored
from .lines import now
from .retention import after_backup
from .run import Run
from .session import Session
from .stream import READ_BYTES, DumpStream, Head


def backup(plan: BackupPlan, run: Run) -> Report:
    """Make the backup; leave nothing in the store when that fails."""
    if len(plan.targets) != 1 or plan.codec not in CODECS:
        raise SpecInvalid(
            "A backup needs one storage location and a codec that is known.",
            remedy="Correct spec.storage and spec.compression.",
        )
    with closing(_Backup(plan, run)) as work:
        earlier = work.connect()
        if earlier is not None:
            return work.retain(work.report(earlier))
        try:
            work.dump()
            work.verify()
            report = work.report(work.finalize())
        except BaseException:
            work.discard()
            raise
        return work.retain(report)


class _Backup:
    """The state of one backup between its steps."""

    def __init__(self, plan: BackupPlan, run: Run) -> None:
        self._plan, self._run = plan, run
        self._started = now()
        self._engine = login.engine_of(plan.source)
        self._login = login.prepare(plan.source, self._engine)
        # The client starts while the store is opened.
        self._session = Session(run, self._engine, self._login)
        self._storage = opened(plan.targets[0])
        self._written: list[str] = []

    def close(self) -> None:
        """End the session."""
        self._session.close()

    def connect(self) -> Manifest | None:
        """Log in and clear the folder. Returns the manifest when an earlier try of this execution had completed."""
        self._session.send(self._engine.describe_source())
        leftovers = sorted(self._storage.keys(self._plan.folder), key=lambda key: key != self._manifest_key)
        self._source = self._engine.source(self._session.lines())
        self._major = self._engine.client(self._source.major)
        self._run.say("info", f"Connected to {self._plan.source.datasource}", "connected", version=self._source.version)
        if self._manifest_key in leftovers:
            earlier = stored.read_manifest(self._storage, self._manifest_key)
            if earlier.execution_id == self._plan.execution_id:
                stored.check_sizes(self._storage, self._plan.folder, earlier)
                self._run.warn("An earlier try of this execution had completed", "backup_found")
                return earlier
        for key in leftovers:
            self._storage.delete(key)
        return None

    def dump(self) -> None:
        """Dump, compress and store at once; what must see the same snapshot runs beside it."""
        plan, run = self._plan, self._run
        run.enter("dump")
        command = self._engine.dump(self._login, self._major, self._source.snapshot, plan)
        dump = run.start(command, stdout=subprocess.PIPE)
        # While the dump reads the catalogue: what an earlier try of this execution left half sent.
        self._storage.discard_partial(plan.folder)
        head = Head(run, self._engine, self._major, self._contents_seen)
        stream = DumpStream(run, dump, head, CODECS[plan.codec].compressor(plan.level), self._failure)
        self._segments: list[Segment] = []
        while stream.more():
            name = manifests.segment_name(plan.codec, len(self._segments))
            size = self._put(name, stream.segment(plan.segment_bytes))
            self._segments.append(Segment(name=name, bytes=size, sha256=stream.segment_sha256))
        self._dump_bytes, self._checksum = stream.dump_bytes, stream.checksum
        digest = sha256()
        size = self._put(manifests.SCHEMA_FILE_NAME, self._schema_chunks(digest.update))
        self._schema = Segment(name=manifests.SCHEMA_FILE_NAME, bytes=size, sha256=digest.hexdigest())
        self._fingerprint = Fingerprint(tables=self._counted(), extensions=self._source.extensions)
        self._session.close()  # its snapshot keeps the source from cleaning up

    def verify(self) -> None:
        """Compare what the store holds with what was sent. Raises BackupCorrupt."""
        plan = self._plan
        self._run.enter("verify")
        for segment in (*self._segments, self._schema):
            stored.check_size(self._storage, plan.folder, segment)
            if plan.verification == "ReadBack":
                stored.read_back(self._storage, plan.folder, segment, self._run.advance)
        self._run.say("info", "Stored bytes verified", "verified", verification=plan.verification)

    def finalize(self) -> Manifest:
        """Store the manifest, which makes the backup complete."""
        self._run.enter("finalize")
        manifest = self._manifest()
        self._run.settle()
        self._put(manifests.FILE_NAME, iter([manifests.encode(manifest)]))
        return manifest

    def report(self, manifest: Manifest) -> Report:
        """The report of a completed backup."""
        figures = {
            "dump_bytes": manifest.dump_bytes,
            "stored_bytes": manifest.stored_bytes,
            "checksum": manifest.checksum,
        }
        self._run.say("success", "Backup completed", "run_completed", key=self._manifest_key, **figures)
        return Report(
            completed=True,
            warnings=self._run.warnings,
            dump_bytes=manifest.dump_bytes,
            stored_bytes=manifest.stored_bytes,
            checksum=manifest.checksum,
            engine_version=manifest.engine_version,
            copies=[
                StoredCopy(location=target.location, key=self._manifest_key, stored=True)
                for target in self._plan.targets
            ],
            tables=len(manifest.fingerprint.tables),
            rows=sum(table.rows for table in manifest.fingerprint.tables),
        )

    def retain(self, report: Report) -> Report:
        """Apply the job's retention, now that there is one more backup."""
        return after_backup(report, self._plan, self._run, {self._plan.targets[0].location: self._storage})

    def discard(self) -> None:
        """Delete what this try stored, the manifest first; the error under way stays the one that is told."""
        try:
            for key in reversed(self._written):
                self._storage.delete(key)
        except DataGuardianError as error:
            self._run.warn(f"Objects of the failed run stay until its next try: {error.what}", "discard_failed")

    @property
    def _manifest_key(self) -> str:
        return f"{self._plan.folder}/{manifests.FILE_NAME}"

    def _put(self, name: str, chunks: Iterator[bytes]) -> int:
        key = f"{self._plan.folder}/{name}"
        self._written.append(key)
        return self._storage.put(key, chunks)

    def _failure(self, said: str) -> DataGuardianError:
        return self._engine.failure(said, self._login, DumpFailed)

    def _contents_seen(self, contents: Contents) -> None:
        # From here on the dump holds its locks.
        self._contents = contents
        self._session.send(self._engine.count_rows(contents.tables))
        command = self._engine.dump_schema(self._login, self._major, self._source.snapshot, self._plan)
        self._sidecar = self._run.start(command, stdout=subprocess.PIPE)

    def _schema_chunks(self, hashed: Callable[[bytes], None]) -> Iterator[bytes]:
        while chunk := self._sidecar.output.read(READ_BYTES):
            self._run.check()
            hashed(chunk)
            yield chunk
        if not self._sidecar.wait():
            raise self._failure(self._sidecar.said())

    def _counted(self) -> list[manifests.Table]:
        try:
            tables = self._engine.counted(self._session.lines(DumpFailed))
        except DataGuardianError as error:
            self._run.check()
            self._run.warn(f"Rows were not counted: {error.what}", "count_failed")
            return []
        if len(tables) < len(self._contents.tables):
            missing = len(self._contents.tables) - len(tables)
            self._run.warn(f"{missing} tables were not counted: another session waits for them", "count_incomplete")
        return tables

    def _manifest(self) -> Manifest:
        plan, source = self._plan, self._source
        load = self._engine.load_by_hand(plan.source.database)
        return Manifest(
            execution_id=plan.execution_id,
            execution_name=plan.execution_name,
            namespace=plan.namespace,
            backup_job=plan.job_name,
            backup_job_uid=plan.job_uid,
            engine=plan.source.engine,
            engine_version=source.version,
            database=plan.source.database,
            server_identity=source.identity,
            dump_arguments=self._engine.dump_arguments(plan),
            codec=plan.codec,
            level=plan.level,
            segments=self._segments,
            checksum=self._checksum,
            dump_bytes=self._dump_bytes,
            stored_bytes=sum(segment.bytes for segment in self._segments),
            schema_sidecar=self._schema,
            started_at=self._started,
            completed_at=now(),
            tools={"pg_dump": self._contents.tool_version, "dataguardian": __version__},
            fingerprint=self._fingerprint,
            restore_commands=manifests.restore_commands(plan.codec, self._segments, load),
        )
