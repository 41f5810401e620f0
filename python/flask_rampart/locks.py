"""A lock for what is held while a thread may wait: for a store, for a thread to begin, for a network.

A server may load the app, fork its workers, and only then decide what a thread is (``gunicorn --preload -k gevent``).
A lock from before that moment knows nothing of greenlets: the first one that waits for it blocks its whole worker, also
the greenlet that would give it back. And a lock that some thread held at the fork is never given back in the child.

So a lock is made when it is first taken, and anew in every child.
"""

from __future__ import annotations

import os
import threading
import weakref
from typing import Any


class Lock:
    """``threading.Lock``, or ``RLock`` if *reentrant*, of the process and the kind of thread that take it.

    >>> lock = Lock()
    >>> with lock:
    ...     pass
    """

    __slots__ = ("__weakref__", "_made", "_reentrant")

    def __init__(self, *, reentrant: bool = False) -> None:
        self._reentrant = reentrant
        #: A dict, for its ``setdefault``: two threads that come at once get the same lock.
        self._made: dict[str, Any] = {}
        _locks.add(self)

    def __enter__(self) -> None:
        found = self._made.get("lock")
        if found is None:
            # Looked up now: gevent puts its own there.
            found = self._made.setdefault("lock", threading.RLock() if self._reentrant else threading.Lock())
        found.acquire()

    def __exit__(self, *error: object) -> None:
        found = self._made.get("lock")
        # None in a child that was forked while this thread held it.
        if found is not None:
            found.release()

    def locked(self) -> bool:
        """Whether somebody holds it. Not for a reentrant one."""
        found = self._made.get("lock")
        return found is not None and bool(found.locked())

    def _forget(self) -> None:
        self._made = {}


_locks: weakref.WeakSet[Lock] = weakref.WeakSet()


def _after_fork() -> None:
    for lock in list(_locks):
        lock._forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
