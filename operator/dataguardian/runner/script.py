"""The statements of a dump on their way from the program that writes them to the session that runs them.

The kernel moves them from pipe to pipe; Python sees their head and their tail.
"""

from __future__ import annotations

import array
import fcntl
import os
import select
import subprocess
import termios
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType

from ..engines import Command, Loading
from ..errors import LoadFailed
from .locks import LOOK_SECONDS
from .run import Run
from .session import Session

HEAD_LIMIT = 64 * 1024
# The end of the script stays here until all is proven: without it nothing is committed.
TAIL_BYTES = 4096
# Both programs work by pages of 4 KiB. To be woken for each would cost more than to move what a moment brings. A pipe's
# 1 MiB each time makes 1 GB/s at this pace; at 250 MB/s, wide rows were loaded a third slower than without us.
PACE_SECONDS = 0.001
_FAILED = select.POLLERR | select.POLLHUP


class Script:
    """Makes statements of a dump and moves them into a session, in a thread; what it holds is in pipes.

    ``command`` makes them of a dump, with the descriptors ``files``; ``before`` is run after the script's settings,
    before its statements. ``stalled`` is called while the session takes nothing.
    """

    def __init__(
        self,
        run: Run,
        loading: Loading,
        command: Command,
        session: Session,
        *,
        stalled: Callable[[], object],
        before: bytes = b"",
        files: Sequence[int] = (),
    ) -> None:
        self._loading, self._session, self._before, self._stalled = loading, session, before, stalled
        self._target = session.tool.input.fileno()
        self._tail = b""
        self._failure: BaseException | None = None
        self.tool = run.start(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, files=files)
        self._source = self.tool.output.fileno()
        self._thread = threading.Thread(target=self._work, name="script", daemon=True)

    def __enter__(self) -> Script:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self.tool.kill()
            self._session.tool.kill()  # the thread may be writing to it
        self._thread.join()
        self.tool.wait()
        self.tool.close()

    def take(self, dump: Iterator[bytes | memoryview]) -> bool:
        """Read the dump to its end. False when the program has stopped reading before."""
        try:
            for piece in dump:
                self.tool.write(piece)
        except BrokenPipeError:
            return False
        return True

    def end(self) -> bytes:
        """Wait until the session has been given all but the tail, which is returned.

        Raises BrokenPipeError when the session has ended.
        """
        self.tool.end_input()
        self._thread.join()
        if self._failure is not None:
            raise self._failure
        return self._tail

    def _work(self) -> None:
        try:
            self._open()
            self._tail = self._moved()
        except BaseException as error:
            self._failure = error
            self.tool.kill()  # whoever writes to it learns of it so

    def _open(self) -> None:
        """Move the head: byte by byte, so that nothing behind it is taken out of the pipe."""
        head = b""
        while byte := os.read(self._source, 1):
            head += byte
            if byte == b"\n" and (opening := self._loading.opening(head)) is not None:
                self._session.tool.write(opening + self._before)
                return
            if len(head) > HEAD_LIMIT:
                raise LoadFailed("The script begins otherwise than is known.", remedy="Report it with the run's log.")

    def _moved(self) -> bytes:
        """Move all but the tail."""
        poll = select.poll()
        poll.register(self._source, select.POLLIN)
        poll.register(self._target, 0)
        active = time.monotonic()
        while True:
            events = dict(poll.poll(0))
            if events.get(self._target, 0) & _FAILED:
                raise BrokenPipeError
            waiting = _readable(self._source) - TAIL_BYTES
            if waiting > 0 and self._splice(waiting):
                active = time.monotonic()
            elif waiting <= 0 and events.get(self._source, 0) & select.POLLHUP:
                return os.read(self._source, TAIL_BYTES)
            elif waiting > 0 and time.monotonic() - active > LOOK_SECONDS:
                self._stalled()
                active = time.monotonic()
            time.sleep(PACE_SECONDS)

    def _splice(self, size: int) -> int:
        try:
            return os.splice(self._source, self._target, size, flags=os.SPLICE_F_NONBLOCK)
        except BlockingIOError:  # the session's pipe is full
            return 0


def _readable(pipe: int) -> int:
    count = array.array("i", [0])
    fcntl.ioctl(pipe, termios.FIONREAD, count)
    return count[0]
