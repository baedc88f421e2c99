"""A TCP way to a server that stops after so many bytes: a dump is held in its middle for as long as a test wants."""

from __future__ import annotations

import itertools
import socket
import threading
from contextlib import suppress
from types import TracebackType
from typing import Self

READ_BYTES = 64 * 1024


class Valve:
    """Listens on ``host``:``port`` and passes on; what one side sends on a connection counts against ``limit``."""

    def __init__(self, server_host: str, server_port: int) -> None:
        self._server = (server_host, server_port)
        self._change = threading.Condition()
        self._held = False
        self._limit: int | None = None
        self._counts_server = True
        self._admitted: int | None = None
        self._over = False
        self._sockets: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.host, self.port = self._listener.getsockname()
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def hold_after(self, size: int, *, of_server: bool = True) -> None:
        """Pass this many bytes of the server, or of the client, on each connection, then hold it."""
        with self._change:
            self._limit, self._counts_server = size, of_server

    def admit(self, connections: int) -> None:
        """Serve so many connections; hold those that come after them."""
        with self._change:
            self._admitted = connections

    def open(self) -> None:
        """Hold no longer."""
        with self._change:
            self._limit = self._admitted = None
            self._held = False
            self._change.notify_all()

    def cut(self) -> None:
        """Break all connections; new ones are served."""
        for connection in list(self._sockets):
            _shut(connection)
        self.open()

    @property
    def holds(self) -> bool:
        """Whether a connection's bytes wait now."""
        with self._change:
            return self._held

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._change:
            self._over = True
            self._change.notify_all()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._sockets:
            _shut(connection)
        for thread in self._threads:
            thread.join()

    def _accept(self) -> None:
        for number in itertools.count():
            try:
                client = self._listener.accept()[0]
            except OSError:
                return
            server = socket.create_connection(self._server)
            self._sockets += [client, server]
            thread = threading.Thread(target=self._join, args=(number, client, server))
            self._threads.append(thread)
            thread.start()

    def _join(self, number: int, client: socket.socket, server: socket.socket) -> None:
        with self._change:
            self._change.wait_for(lambda: self._over or self._admitted is None or number < self._admitted)
        back = threading.Thread(target=self._pump, args=(server, client, True))
        back.start()
        self._pump(client, server, False)
        back.join()
        # Only a closed socket tells a server that still sends; shutdown would let it wait for ever.
        client.close()
        server.close()

    def _pump(self, source: socket.socket, sink: socket.socket, from_server: bool) -> None:
        passed = 0
        with suppress(OSError):
            while data := source.recv(READ_BYTES):
                passed += len(data)
                self._wait(passed, from_server)
                sink.sendall(data)
        _shut(sink)
        _shut(source)

    def _wait(self, passed: int, from_server: bool) -> None:
        with self._change:
            if from_server is self._counts_server and self._limit is not None and passed >= self._limit:
                self._held = True
                self._change.wait_for(lambda: self._over or self._limit is None)


def _shut(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
