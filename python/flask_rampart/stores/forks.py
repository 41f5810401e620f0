"""A fork while files of SQLite are open: nobody is within one while it happens, as far as that can be waited for.

SQLite's locks belong to a process, and its memory of them is copied by a fork (``sqlite.org/howtocorrupt.html``,
section 2.6). So before a fork nobody begins to use a store, and when all are done, connections are closed. Whoever
forks waits five seconds at most; where somebody was still within a transaction then, the child is told never to use
that store.

Several threads may fork at once: one after the other. No lock is held while one waits, since a lock from before gevent
came would hold up its whole hub.
"""

from __future__ import annotations

import os
import threading
import time
import weakref
from typing import Any, Protocol

BUSY_SECONDS = 5.0


class Forked(Protocol):
    """What has to be still over a fork."""

    guard: Any
    """A lock, without which nothing is opened."""

    def still(self) -> bool:
        """Whether nobody uses a connection; asked, as all below, by who holds the guard."""

    def before_fork(self) -> None:
        """Closes the connections that nobody uses."""

    def strand(self) -> None:
        """In a child: never to be used here."""


def register(store: Forked) -> None:
    """Looks after *store* as long as it is there."""
    _stores[id(store)] = store


def pause() -> None:
    """Waits while another thread waits to fork; not for ever, and not for itself."""
    if _whose is None or _whose == threading.get_ident():
        return
    end = time.monotonic() + BUSY_SECONDS
    while _whose is not None and time.monotonic() < end:
        time.sleep(0.001)


_stores: weakref.WeakValueDictionary[int, Forked] = weakref.WeakValueDictionary()
_turn = threading.Lock()
_whose: int | None = None
_held: list[Forked] = []


def _known() -> list[Forked]:
    # References first, in one step: other threads make stores meanwhile.
    return [store for reference in _stores.valuerefs() if (store := reference()) is not None]


def _before() -> None:
    global _whose
    end = time.monotonic() + BUSY_SECONDS
    while not _turn.acquire(blocking=False):
        if time.monotonic() > end:
            return
        time.sleep(0.001)
    _whose = threading.get_ident()
    stores = _known()
    while True:
        for store in stores:
            if store.guard.acquire(blocking=False):
                _held.append(store)
        if (len(_held) == len(stores) and all(store.still() for store in stores)) or time.monotonic() > end:
            break
        _let_go()
        time.sleep(0.001)
    for store in _held:
        store.before_fork()


def _in_parent() -> None:
    # Not by who waited for its turn in vain: that is another's.
    if _whose == threading.get_ident():
        _end()


def _in_child() -> None:
    global _turn, _whose
    mine = _whose == threading.get_ident()
    for store in _known():
        if not mine or store not in _held:
            # Held by a thread that is not here.
            store.guard = threading.Lock()
            store.strand()
        elif not store.still():
            # What another thread still used has locks in memory that this process would believe in.
            store.strand()
    if mine:
        _end()
    else:
        _held.clear()
        _turn, _whose = threading.Lock(), None


def _end() -> None:
    global _whose
    _let_go()
    _whose = None
    _turn.release()


def _let_go() -> None:
    while _held:
        _held.pop().guard.release()


os.register_at_fork(before=_before, after_in_parent=_in_parent, after_in_child=_in_child)
