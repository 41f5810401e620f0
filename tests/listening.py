"""A port of this host, and what is said there: it stands in for a server, or in front of one."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable


class Listening:
    """Listens until it is closed, and has each peer talked to in a thread of its own."""

    def __init__(self, talk: Callable[[socket.socket], None], port: int = 0) -> None:
        self._talk = talk
        self._listener = socket.create_server(("127.0.0.1", port))
        self.port: int = self._listener.getsockname()[1]
        self._peers: list[socket.socket] = []
        self._talking: list[threading.Thread] = []
        self._accepting = threading.Thread(target=self._accept)
        self._accepting.start()

    def _accept(self) -> None:
        while True:
            try:
                peer, _ = self._listener.accept()
            except OSError:
                return
            self._peers.append(peer)
            self._talking.append(threading.Thread(target=self._begin, args=(peer,)))
            self._talking[-1].start()

    def _begin(self, peer: socket.socket) -> None:
        with peer, contextlib.suppress(OSError):
            self._talk(peer)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._accepting.join()
        for peer in self._peers:
            with contextlib.suppress(OSError):
                peer.shutdown(socket.SHUT_RDWR)
        for thread in self._talking:
            thread.join()
