"""What a load runs in its transaction: it clears the way, makes tables, brings rows, builds what is built from them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, nullcontext
from typing import Literal, Protocol

from ..engines import Command
from ..errors import LoadFailed, MaskingFailed, SyncRefused
from .contents import Memory
from .locks import LOOK_SECONDS
from .programs import Programs
from .script import Script
from .session import Session
from .written import Written

# What goes from the target: nothing, what the dump contains, or all that a dump of the target would contain.
Replaces = Literal["nothing", "contained", "everything"]


class Mask(Protocol):
    """What changes rows on their way, so that nobody sees them as they are in the dump. Its statements are whole lines.

    An error in its statements, or in the load from then on, is what ``Engine.failure`` tells with MaskingFailed.
    """

    def before_rows(self) -> bytes:
        """Statements that are run once the tables exist and have no rows."""

    def after_rows(self) -> bytes:
        """Statements that are run when all rows are in, before anything is built from them."""


class Phases:
    """All that happens in one transaction, of which somebody else makes the begin and the end.

    ``written`` is what is known of a dump's head, if it is. ``look`` is called while the server lets us wait.
    """

    def __init__(
        self, programs: Programs, session: Session, look: Callable[[], object], written: Written | None
    ) -> None:
        self._programs, self._loading, self._session = programs, programs.loading, session
        self._look, self._written = look, written
        self._failing: type[LoadFailed] = LoadFailed

    def run(
        self, dump: Iterator[bytes | memoryview], replaces: Replaces, mask: Mask | None, *, apart: bool
    ) -> list[int]:
        """Bring it all, or (``apart``) all but what is built from rows; how many rows each table has got.

        When it returns, the dump has come to its end.
        """
        written = self._written
        if replaces == "everything":
            self._clear()
            if written:
                self._do(written.kept())
                self._do(written.moving())
        drops = written.drops() if written and replaces == "contained" else b""
        listing = written.cleared() if written and replaces == "everything" else None
        with closing(listing) if listing else nullcontext():
            if written and mask:
                loaded = self._masked(dump, written, mask, drops, listing, apart=apart)
            else:
                clean = replaces == "contained" and not written
                command = self._loading.script(
                    ["tables", "rows"] if apart else [], listing=listing.path if listing else None, clean=clean
                )
                loaded = self._stream(dump, command, drops, listing)
        if written and apart:
            self._do(written.hiding())
        if not mask:
            self._do(self._programs.engine.mark_masked(None).encode())
        return loaded

    def _clear(self) -> None:
        """Drop everything. Raises SyncRefused when other servers write into the target."""
        self._session.send(self._loading.subscriptions())
        if names := self._loading.names(self._answer()):
            raise SyncRefused(
                f"The target gets rows by subscriptions, too: {', '.join(names)}.",
                remedy="In the target: ALTER SUBSCRIPTION … DISABLE; ALTER SUBSCRIPTION … SET (slot_name = NONE); then "
                "DROP SUBSCRIPTION, which leaves the publisher's slot to you. "
                "Or set spec.targetRef to a Datasource without any.",
            )
        self._do(self._loading.clear().encode())

    def _masked(
        self,
        dump: Iterator[bytes | memoryview],
        written: Written,
        mask: Mask,
        drops: bytes,
        listing: Memory | None,
        *,
        apart: bool,
    ) -> list[int]:
        self._do(written.tables(drops, listing))
        self._failing = MaskingFailed
        self._do(mask.before_rows())
        loaded = self._stream(dump, self._loading.script(["rows"], rights=False))
        self._do(mask.after_rows())
        self._do(written.rights())
        if not apart:
            self._do(written.built())
        return loaded

    def _stream(
        self,
        dump: Iterator[bytes | memoryview],
        command: Command,
        before: bytes = b"",
        listing: Memory | None = None,
    ) -> list[int]:
        """Run a script that is made of the dump while it comes."""
        run, session, files = self._programs.run, self._session, [listing.file] if listing else []
        with Script(run, self._loading, command, session, stalled=self._look, before=before, files=files) as script:
            end = self._end_of(script, dump)
        session.send(end)
        return self._loading.loaded(self._answer())

    def _end_of(self, script: Script, dump: Iterator[bytes | memoryview]) -> bytes:
        """Run all of the script but its end, which is returned once the dump has proven to be whole and right."""
        whole = script.take(dump)
        try:
            tail = script.end()
        except BrokenPipeError:
            self._answer()  # it has ended, and says why
            raise
        self._programs.succeeded(script.tool)
        try:
            if whole:
                return self._loading.closing(tail)
        except ValueError:
            pass
        raise LoadFailed(
            "The dump was taken for complete before its end.",
            remedy="Restore another backup or sync again, and keep this run's log.",
        )

    def _do(self, script: bytes) -> None:
        if script:
            self._session.send(script)
            self._answer()

    def _answer(self) -> list[str]:
        """Wait until the session has run all that it was given, and has answered."""
        while not self._session.answers_within(LOOK_SECONDS):
            self._look()
        return self._session.lines(self._failing)
