"""An application that goes on while its database is replaced."""

from __future__ import annotations

import threading
import time
from contextlib import suppress

import psycopg


class Reader(threading.Thread):
    """An application that reads the target in a loop, and comes back at once when it is turned away."""

    def __init__(self, dsn: str) -> None:
        super().__init__(daemon=True)
        self.dsn, self.seen, self.longest, self.over = dsn, list[object](), 0.0, threading.Event()

    def run(self) -> None:
        last = time.monotonic()
        while not self.over.is_set():
            with suppress(psycopg.OperationalError), psycopg.connect(self.dsn, autocommit=True) as connection:
                while not self.over.is_set():
                    found = connection.execute("SELECT min(text), max(text), count(*) FROM copied").fetchone()
                    now = time.monotonic()
                    self.longest, last = max(self.longest, now - last), now
                    if self.seen[-1:] != [found]:
                        self.seen.append(found)

    def sees_the_new_copy(self) -> bool:
        """Whether it has come back."""
        return self.seen[-1:] == [("new", "new", 2000)]

    def has_read(self) -> bool:
        """Whether it has begun."""
        return bool(self.seen)
