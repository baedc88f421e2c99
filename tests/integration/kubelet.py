"""The one thing that a node does for the recorder: serve the logs of its pods to the API server."""

from __future__ import annotations

import shutil
import ssl
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from .services import HOST, free_port


class Kubelet:
    """A node's HTTPS port. ``stop`` and ``start`` it as often as needed; its port stays the same."""

    def __init__(self) -> None:
        self.name = f"node-{free_port()}"
        self.port = free_port()
        self.logs: dict[str, str] = {}  # by pod
        self._server: ThreadingHTTPServer | None = None
        self._folder = Path(tempfile.mkdtemp(prefix="dg-test-"))
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={HOST}", "-days", "2",
             "-keyout", str(self._folder / "key"), "-out", str(self._folder / "certificate")],
            check=True, capture_output=True,
        )  # fmt: skip

    def start(self) -> None:
        """Serve."""
        logs = self.logs

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                text = logs.get(self.path.split("/")[3], "").encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, format: str, *args: object) -> None:
                return

        self._server = ThreadingHTTPServer((HOST, self.port), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self._folder / "certificate", self._folder / "key")
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def remove(self) -> None:
        """End it and forget its key."""
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def stop(self) -> None:
        """Refuse connections."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    @property
    def node(self) -> dict[str, object]:
        """The Node object."""
        return {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": self.name},
            "status": {
                "addresses": [{"type": "InternalIP", "address": HOST}],
                "daemonEndpoints": {"kubeletEndpoint": {"Port": self.port}},
            },
        }


@contextmanager
def running_kubelet() -> Iterator[Kubelet]:
    """A kubelet that answers."""
    kubelet = Kubelet()
    kubelet.start()
    try:
        yield kubelet
    finally:
        kubelet.remove()
