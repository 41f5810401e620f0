"""Stores: durable records, such as API keys, for all workers of the host.

``RAMPART_STORE`` says where: ``"sqlite:///name"`` in the app's instance folder (the default),
``"sqlite:////absolute"``, or ``"memory://"`` for tests, which is the default under ``app.testing``. A store that
cannot be used stops the start-up, and never becomes memory by itself.

A store is opened when a room first needs it: an app that keeps no records has no file.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ..config import Settings, nearest
from ..errors import ConfigError
from ..locks import Lock
from .memory import MemoryStore
from .protocol import Changes as Changes
from .protocol import Record as Record
from .protocol import Store as Store
from .protocol import StoreError as StoreError
from .sqlite import SqliteStore

__all__ = ["Changes", "MemoryStore", "Record", "Records", "SqliteStore", "Store", "StoreError", "open_store"]

_DEFAULT = "sqlite:///rampart.sqlite3"
_KNOWN = ("sqlite:///file", "sqlite:////absolute/file", "memory://")


def open_store(url: str, folder: str | Path) -> Store:
    """The store at *url*; relative paths are in *folder*.

    :raises ConfigError: if it cannot be used: says why, and the cure.

    >>> open_store("memory://", "/nowhere").sequence("kind")
    0
    """
    if url == "memory://":
        return MemoryStore()
    path = url[len("sqlite:///") :] if url.startswith("sqlite:///") else ""
    if not path or "?" in path or path == ":memory:" or "\0" in path:
        raise ConfigError(f"RAMPART_STORE: {url!r} is not one of {', '.join(_KNOWN)}.{nearest(url, _KNOWN)}")
    return SqliteStore(Path(folder) / path)


class Records:
    """An app's store of records, opened when a room first needs it.

    :raises ConfigError: for a URL that is not of a store; for one that cannot be used, when it is first needed.
    """

    def __init__(self, settings: Settings, folder: str, testing: Callable[[], bool] = lambda: False) -> None:
        self._url = settings.store
        self._folder = folder
        self._testing = testing
        self._store: Store | None = None
        self._lock = Lock()
        if self._url is not None and not (self._url == "memory://" or self._url.startswith("sqlite:///")):
            open_store(self._url, folder)  # says what is wrong with it

    def open(self) -> None:
        """Opens the store now, to find out what is wrong with it before the first request."""
        self.store  # noqa: B018 - for its effect

    @property
    def store(self) -> Store:
        """The store."""
        with self._lock:
            if self._store is not None:
                return self._store
            self._store = open_store(self._url or ("memory://" if self._testing() else _DEFAULT), self._folder)
            return self._store
