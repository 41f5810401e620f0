"""A fake issuer's metadata and keys by HTTP, on this host alone."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol

_METADATA = "/.well-known/openid-configuration"
_KEYS = "/keys"


class Publisher(Protocol):
    """Who has something to serve."""

    available: bool
    fetches: Counter[str]

    def jwks(self) -> dict[str, Any]:
        """A JWK set."""


@contextmanager
def served(publisher: Publisher) -> Iterator[str]:
    """Serves *publisher* until the block ends; gives the address, which is the issuer's name."""
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            what = {_METADATA: "metadata", _KEYS: "keys"}.get(self.path)
            if what is None:
                self._answer(404, {})
                return
            with lock:
                publisher.fetches[what] += 1
            if not publisher.available:
                self._answer(503, {})
            elif what == "keys":
                self._answer(200, publisher.jwks())
            else:
                self._answer(200, {"issuer": address, "jwks_uri": address + _KEYS})

        def _answer(self, status: int, document: dict[str, Any]) -> None:
            body = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Says nothing: it is a test's."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    address = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield address
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
