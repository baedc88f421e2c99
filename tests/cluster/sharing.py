"""How the processes of a test run share the cluster: the first one prepares it, the last one takes it down."""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO


@contextmanager
def shared(prepare: Callable[[], None], take_down: Callable[[], None]) -> Iterator[None]:
    """A cluster that is prepared when the first process comes, and taken down when the last one goes."""
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID", "")  # the same in all processes of a test run
    with _opened("users") as users:
        try:
            with _locked("prepared", fcntl.LOCK_EX) as prepared:
                fcntl.flock(users, fcntl.LOCK_SH)
                if not run or prepared.read() != run:
                    prepare()
                    _write(prepared, run)
            yield
        finally:
            with _locked("prepared", fcntl.LOCK_EX) as prepared:
                if _is_last(users):
                    _write(prepared, "")
                    take_down()


@contextmanager
def turn(*, alone: bool) -> Iterator[None]:
    """Nobody is ``alone`` while another process has a turn; who waits for it lets no other one go before."""
    with ExitStack() as held:
        with _locked("next", fcntl.LOCK_EX):
            held.enter_context(_locked("turn", fcntl.LOCK_EX if alone else fcntl.LOCK_SH))
        yield


@contextmanager
def _locked(what: str, operation: int) -> Iterator[IO[str]]:
    with _opened(what) as file:
        fcntl.flock(file, operation)
        yield file


def _opened(what: str) -> IO[str]:
    path = Path(tempfile.gettempdir()) / f"dataguardian-cluster-{os.environ['DATAGUARDIAN_CLUSTER']}.{what}"
    path.touch()
    return path.open("r+")


def _write(file: IO[str], text: str) -> None:
    file.seek(0)
    file.truncate()
    file.write(text)
    file.flush()


def _is_last(users: IO[str]) -> bool:
    try:
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
