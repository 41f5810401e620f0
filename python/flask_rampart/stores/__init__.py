"""Stores: durable records, such as API keys, for all workers of the host, or of several.

``RAMPART_STORE`` says where: ``"sqlite:///name"`` in the app's instance folder (the default), ``"sqlite:////absolute"``,
``"redis://..."``, ``"rediss://..."``, ``"unix://..."``, an address that SQLAlchemy knows such as
``"postgresql+psycopg://..."``, or ``"memory://"`` for tests, which is the default under ``app.testing``. ``Rampart(app,
store=...)`` takes one of your own making. A store that cannot be used stops the start-up, and never becomes memory by
itself.

A store is opened when a room first needs it: an app that keeps no records has no file.
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..config import Settings
from ..errors import ConfigError
from ..locks import Lock
from ..readers import nearest
from .memory import MemoryStore
from .protocol import Changes as Changes
from .protocol import Record as Record
from .protocol import Store as Store
from .protocol import StoreError as StoreError
from .sqlite import SqliteStore
from .urls import without_password

if TYPE_CHECKING:
    from flask import Flask

    from .redis import RedisStore
    from .sqlalchemy import SqlAlchemyStore

__all__ = [
    "Changes",
    "MemoryStore",
    "Record",
    "Records",
    "RedisStore",
    "SqlAlchemyStore",
    "SqliteStore",
    "Store",
    "StoreError",
    "open_store",
]

KEEP = 86400.0
"""Seconds for which what is over is kept."""
TIDY_EVERY = 3600.0
_TIDY_CHANCE = 1 / 512
_DEFAULT = "sqlite:///rampart.sqlite3"
_KNOWN = (
    "sqlite:///file",
    "sqlite:////absolute/file",
    "redis://host",
    "rediss://host",
    "unix:///socket",
    "postgresql+psycopg://host/name",
    "mysql+pymysql://host/name",
    "memory://",
)
_REDIS = re.compile(r"(redis|rediss|unix)://.")
_DATABASE = re.compile(r"(postgresql|mysql|mariadb)(\+[a-z0-9]+)?://.|sqlite\+[a-z0-9]+:///.")


def open_store(url: str, folder: str | Path, *, prefix: str = "rampart") -> Store:
    """The store at *url*; relative paths, and the mark that workers share, are in *folder*.

    :param prefix: what the names of its keys begin with, in a Redis server.
    :raises ConfigError: if it cannot be used: says why, and the cure.

    >>> open_store("memory://", "/nowhere").sequence("kind")
    0
    """
    if url == "memory://":
        return MemoryStore()
    _check(url)
    if _REDIS.match(url):
        from .redis import RedisStore

        return RedisStore(url, folder=folder, prefix=prefix)
    if _DATABASE.match(url):
        from .sqlalchemy import SqlAlchemyStore

        return SqlAlchemyStore(url, folder=folder)
    return SqliteStore(Path(folder) / url[len("sqlite:///") :])


def _check(url: str) -> None:
    """Whether an address is one of a store; without opening it."""
    path = url[len("sqlite:///") :] if url.startswith("sqlite:///") else ""
    known = (path and "?" not in path and path != ":memory:") or _REDIS.match(url) or _DATABASE.match(url)
    if known and "\0" not in url:
        return
    # Another's spelling may hide a password anywhere.
    shown = without_password(url) if any(sign in url for sign in "@?#") else url
    raise ConfigError(f"RAMPART_STORE: {shown!r} is not one of {', '.join(_KNOWN)}.{nearest(shown, _KNOWN)}")


def __getattr__(name: str) -> Any:
    # Their libraries are not installed everywhere.
    if name == "RedisStore":
        from .redis import RedisStore

        return RedisStore
    if name == "SqlAlchemyStore":
        from .sqlalchemy import SqlAlchemyStore

        return SqlAlchemyStore
    raise AttributeError(name)


class Records:
    """An app's store of records, opened when a room first needs it.

    :param store: one that is open already; then ``RAMPART_STORE`` is not set.
    :raises ConfigError: for a URL that is not of a store; for one that cannot be used, when it is first needed.
    """

    def __init__(
        self,
        settings: Settings,
        folder: str,
        testing: Callable[[], bool] = lambda: False,
        store: Store | None = None,
    ) -> None:
        if store is not None and settings.store is not None:
            raise ConfigError("Give the store to Rampart(store=...) or name it in RAMPART_STORE, not both.")
        self._url = settings.store
        self._prefix = settings.store_prefix
        self._folder = folder
        self._testing = testing
        self._store = store
        self._lock = Lock()
        self._tidied = time.monotonic()
        if self._url is not None and self._url != "memory://":
            _check(self._url)  # says what is wrong with it

    @property
    def given(self) -> bool:
        """Whether the developer said which store it is."""
        return self._url is not None or self._store is not None

    def open(self) -> None:
        """Opens the store now, to find out what is wrong with it before the first request."""
        self.store  # noqa: B018 - for its effect

    def check(self, app: Flask) -> None:
        """Refuses to start in production with what a restart forgets.

        :raises ConfigError: if records are in memory, and the app is neither in debug mode nor tested.
        """
        if app.debug or app.testing:
            return
        if self._url == "memory://" or isinstance(self._store, MemoryStore):
            raise ConfigError(
                'RAMPART_STORE: "memory://" forgets what was revoked when a worker ends, and no other worker knows it. '
                'Leave it out for "sqlite:///rampart.sqlite3", or name another; it is for tests (app.testing) and '
                "debug mode."
            )

    def tidy(self, now: float) -> None:
        """Drops what has been over for a day, now and then: whoever adds to the store also takes away.

        Not sooner: a clock that runs ahead for a while, on any host, would bring back what was revoked.
        """
        moment = time.monotonic()
        # By chance as well: a worker that lives for minutes only would never come to it.
        if moment - self._tidied < TIDY_EVERY and random.random() > _TIDY_CHANCE:  # noqa: S311
            return
        self._tidied = moment
        # What was done does not fail because something else could not be tidied up.
        with suppress(StoreError):
            self.store.sweep(now - KEEP)

    @property
    def store(self) -> Store:
        """The store."""
        with self._lock:
            if self._store is None:
                url = self._url or ("memory://" if self._testing() else _DEFAULT)
                self._store = open_store(url, self._folder, prefix=self._prefix)
            return self._store
