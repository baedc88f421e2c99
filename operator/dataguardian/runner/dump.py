"""One dump of the source, and all that its manifest tells: snapshot, contents, schema, fingerprint."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from hashlib import sha256

from .. import __version__
from ..codec import CODECS
from ..domain import manifest as manifests
from ..domain.manifest import Fingerprint, Manifest, Segment
from ..domain.plan import BackupPlan
from ..engines import Contents
from ..errors import DataGuardianError, DumpFailed
from .copies import Copies
from .lines import now
from .run import Run
from .source import SourceDatabase
from .stream import DumpStream, Head


class Dump:
    """One dump on its way into stores; ``source`` logs in at once, while the stores are opened."""

    def __init__(self, plan: BackupPlan, run: Run, source: SourceDatabase) -> None:
        self._plan, self._run, self._source = plan, run, source
        self._engine = source.engine

    def close(self) -> None:
        """End the session, and what still runs."""
        self._run.stop_tools()
        self._source.close()

    def connect(self) -> None:
        """Wait for the login."""
        self._source.connect()

    def into(self, copies: Copies, pieces: Iterator[bytes] | None = None) -> Manifest:
        """Dump, compress and store at once; what must see the same snapshot runs beside it.

        ``pieces`` are those of a dump that somebody else has begun.
        """
        plan, run, started = self._plan, self._run, now()
        pieces = self._source.dump(plan) if pieces is None else pieces
        copies.discard_partial()  # while the dump reads the catalogue
        head = Head(run, self._engine, self._source.major, self._contents_seen)
        stream = DumpStream(pieces, head, CODECS[plan.codec].compressor(plan.level))
        segments: list[Segment] = []
        while stream.more():
            name = manifests.segment_name(plan.codec, len(segments))
            size = copies.put(name, stream.segment(plan.segment_bytes))
            segments.append(Segment(name=name, bytes=size, sha256=stream.segment_sha256))
        digest = sha256()
        size = copies.put(manifests.SCHEMA_FILE_NAME, self._schema_chunks(digest.update))
        schema = Segment(name=manifests.SCHEMA_FILE_NAME, bytes=size, sha256=digest.hexdigest())
        fingerprint = self._fingerprint()
        self._source.close()
        return self._manifest(stream, segments, schema, fingerprint, started)

    def _contents_seen(self, contents: Contents) -> None:
        # From here on the dump holds its locks.
        self._contents = contents
        self._source.session.send(self._engine.describe_dumped(contents))
        self._sidecar = self._source.dump_schema(self._plan)

    def _schema_chunks(self, hashed: Callable[[bytes], None]) -> Iterator[bytes]:
        for chunk in self._sidecar:
            hashed(chunk)
            yield chunk

    def _fingerprint(self) -> Fingerprint:
        """What the source held. What cannot be read is left out with a warning: the dump is whole without it."""
        session = self._source.session
        try:
            lines = [*session.lines(DumpFailed), *session.ask(self._engine.describe_sequences())]
            fingerprint, missing = self._engine.fingerprint(self._source.state, self._contents, lines)
        except DataGuardianError as error:
            self._run.check()
            self._run.warn(f"Rows were not counted: {error.what}", "count_failed")
            return Fingerprint()
        for sentence in missing:
            self._run.warn(sentence, "count_incomplete")
        return fingerprint

    def _manifest(
        self, stream: DumpStream, segments: list[Segment], schema: Segment, fingerprint: Fingerprint, started: str
    ) -> Manifest:
        plan, source = self._plan, self._source.state
        return Manifest(
            execution_id=plan.execution_id,
            execution_name=plan.execution_name,
            namespace=plan.namespace,
            backup_job=plan.job_name,
            backup_job_uid=plan.job_uid,
            datasource=plan.source.datasource,
            engine=plan.source.engine,
            engine_version=source.version,
            database=plan.source.database,
            server_identity=source.identity,
            dump_arguments=self._engine.dump_arguments(plan),
            codec=plan.codec,
            level=plan.level,
            segments=segments,
            checksum=stream.checksum,
            dump_bytes=stream.dump_bytes,
            stored_bytes=sum(segment.bytes for segment in segments),
            schema_sidecar=schema,
            started_at=started,
            completed_at=now(),
            tools={"pg_dump": self._contents.tool_version, "dataguardian": __version__},
            fingerprint=fingerprint,
            restore_commands=manifests.restore_commands(
                plan.codec, segments, self._engine.load_by_hand(plan.source.database)
            ),
        )
