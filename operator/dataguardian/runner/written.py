"""What the engine's program writes about parts of a dump whose head is in memory."""

from __future__ import annotations

from contextlib import closing

from ..engines import Command
from ..errors import LoadFailed
from .contents import Head, Memory
from .programs import Programs
from .tool import MEMORY


class Written:
    """Scripts and statements for a session of this load; empty where there is nothing to do.

    Each raises LoadFailed when the head cannot be read.
    """

    def __init__(self, programs: Programs, head: Head) -> None:
        self._programs, self._loading, self._head = programs, programs.loading, head
        self._listing: bytes | None = None

    def drops(self) -> bytes:
        """Statements, to be run after a script's settings, that drop what is in the dump, where it exists."""
        with closing(Memory(self._loading.dropped(self._contents()))) as chosen:
            command = self._loading.dropping(self._head.memory.path, chosen.path)
            return self._loading.drops(self._printed(command, chosen))

    def kept(self) -> bytes:
        """A script that makes what may have stayed where all else was dropped."""
        return self._whole(self._loading.where_absent(self._about(self._loading.kept(self._contents()))))

    def moving(self) -> bytes:
        """Statements that move extensions, which have stayed, to where the dump has them."""
        script = self._about(self._loading.extensions(self._contents()))
        return self._loading.moving(script).encode() if script else b""

    def cleared(self) -> Memory:
        """The list of all but what ``kept`` makes."""
        return Memory(self._loading.cleared(self._contents()))

    def tables(self, before: bytes, listing: Memory | None) -> bytes:
        """A script that makes tables, without rows and grants; with a ``listing`` only what is in it."""
        path = listing.path if listing else None
        command = self._loading.script(["tables"], head=self._head.memory.path, listing=path, rights=False)
        return self._whole(self._printed(command, listing), before)

    def rights(self) -> bytes:
        """A script with the grants that ``tables`` lacks. It comes after the rows: a grant may be one less."""
        command = self._loading.contents_of(self._head.memory.path, ["tables", "rows"])
        return self._whole(self._about(self._loading.granted(self._printed(command))))

    def hiding(self) -> bytes:
        """A script that hides rows from those who may not see all of them, until policies let them."""
        return self._whole(self._about(self._loading.hidden(self._contents())))

    def built(self) -> bytes:
        """A script that makes what is built from rows, with its grants."""
        return self._whole(self._printed(self._loading.script(["built"], head=self._head.memory.path)))

    def _contents(self) -> bytes:
        if self._listing is None:
            self._programs.succeeded(self._head.tool)
            self._listing = self._head.tool.printed()
        return self._listing

    def _about(self, chosen: bytes) -> bytes:
        """What is written about a part of the table of contents; nothing about nothing."""
        if not chosen:
            return b""
        with closing(Memory(chosen)) as listing:
            return self._printed(self._loading.script(head=self._head.memory.path, listing=listing.path), listing)

    def _whole(self, script: bytes, before: bytes = b"") -> bytes:
        """The script as it is to be run."""
        try:
            return self._loading.whole(script, before) if script else b""
        except ValueError as error:
            raise LoadFailed("A script is otherwise than is known.", remedy="Report it with the run's log.") from error

    def _printed(self, command: Command, listing: Memory | None = None) -> bytes:
        files = [memory.file for memory in (self._head.memory, listing) if memory]
        with closing(self._programs.run.start(command, stdout=MEMORY, files=files)) as tool:
            self._programs.succeeded(tool)
            return tool.printed()
