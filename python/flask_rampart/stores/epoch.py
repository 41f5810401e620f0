"""A mark in memory that all processes of the host share: a change is seen at the next look, and looks are cheap.

Eight random bytes in a mapped file. Their lowest bit says whether a change is under way:

1. who changes the store takes a shared lock on the file, writes an *odd* mark, and only then makes the change durable;
2. after it, whoever gets the lock for itself alone knows that no change is under way, and writes an *even* mark; who
   does not get it leaves the odd one to those who still write;
3. who reads an even mark, and then the store, may keep what was read as long as the mark stays, which costs no system
   call; who reads an odd one asks the store itself, each time.

So a change that is durable is seen at the next look, at whatever instruction its writer was killed: until an even
mark is written, everybody asks. The kernel lets go of a killed writer's lock; who has seen one odd mark for a second
therefore tries for the lock, and heals it.

It is a hint of freshness, never a source. The store is asked every few seconds in any case: for changes of other
hosts, of other programs, and for a mark that was deleted or overwritten, which is then made anew.

# Deployment caveat
Who empties the file (``truncate -s 0``) under running workers ends them with ``SIGBUS`` at their next look, as with
every mapped file; only this user can. Their successors make it long again.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from ..errors import ConfigError
from .place import is_own
from .protocol import StoreError

HEAL_SECONDS = 1.0
BUSY_SECONDS = 5.0
DOWN_SECONDS = 0.5
_BYTES = 8


class Epoch:
    """The mark at *path*.

    :raises ConfigError: if its file is not this user's alone.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._shared: mmap.mmap
        self._mapped: tuple[int, int] | None = None
        self._odd: tuple[bytes, float] | None = None
        try:
            with self._opened():
                pass
        except OSError as error:
            raise ConfigError(f"RAMPART_STORE: {path} cannot be used: {error.strerror}.") from None

    def read(self) -> bytes:
        """The mark. Read it before the store."""
        return self._shared[:_BYTES]

    @contextmanager
    def change(self) -> Iterator[None]:
        """Around what makes a change durable. What fails within it may have been done, and is left marked as under way.

        :raises StoreError: if the mark cannot be written; then nothing may be changed.
        """
        with ExitStack() as stack:
            try:
                descriptor = stack.enter_context(self._opened())
                _share(descriptor, self.path)
                os.pwrite(descriptor, _mark(odd=True), 0)
            except OSError as error:
                raise StoreError(f"{self.path} cannot be written, so nothing may change: {error.strerror}") from None
            yield
            # Written or not: the change is durable, and an odd mark lets everybody ask.
            with suppress(OSError):
                _settle(descriptor)

    def heal(self, mark: bytes, now: float) -> None:
        """Takes note of an odd mark at *now*, of ``time.monotonic``; one of a killed writer's is replaced in time."""
        if self._odd is None or self._odd[0] != mark:
            self._odd = (mark, now)
        elif now - self._odd[1] >= HEAL_SECONDS:
            self._odd = (mark, now)
            with suppress(OSError), self._opened() as descriptor:
                _settle(descriptor)

    def renew(self) -> bool:
        """Finds the file again, if it was deleted or replaced; whether it was."""
        with suppress(OSError):
            about = self.path.stat()
            if (about.st_dev, about.st_ino) == self._mapped and about.st_size >= _BYTES:
                return False
        try:
            with self._opened():
                return True
        except (OSError, ConfigError) as error:
            raise StoreError(f"{self.path} cannot be used: {getattr(error, 'strerror', None) or error}") from None

    @contextmanager
    def _opened(self) -> Iterator[int]:
        """A descriptor of its own for each use: locks belong to it, and go with it."""
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        with _guard:
            descriptor = os.open(self.path, flags, 0o600)
            _descriptors.add(descriptor)
        try:
            about = os.fstat(descriptor)
            if not is_own(about) or about.st_nlink > 1:
                raise ConfigError(
                    f"RAMPART_STORE: {self.path} is not this user's alone. Make it so: chown, and chmod 600."
                )
            if about.st_size < _BYTES:
                # Only ever longer: who has mapped it relies on its length.
                os.ftruncate(descriptor, _BYTES)
            if (about.st_dev, about.st_ino) != self._mapped:
                self._shared = mmap.mmap(descriptor, _BYTES)
                self._mapped = (about.st_dev, about.st_ino)
            yield descriptor
        finally:
            # Not in a child that was forked meanwhile: there it is closed, and its number may be another file's.
            if descriptor in _descriptors:
                with suppress(OSError):
                    fcntl.flock(descriptor, fcntl.LOCK_UN)
                _descriptors.discard(descriptor)
                os.close(descriptor)


class Hint(NamedTuple):
    """While the first bytes of *shared* are *mark*, before *until* (``time.monotonic``), the *sequence* stands."""

    shared: mmap.mmap
    mark: bytes
    until: float
    sequence: int


class Sequences:
    """What a store's ``sequence`` says, asked anew when the mark moves, and after *poll* seconds in any case.

    :param ask: asks the store itself.
    """

    def __init__(self, epoch: Epoch | None, poll: float, ask: Callable[[str], int]) -> None:
        self._epoch = epoch
        self._poll = poll
        self._ask = ask
        self._known: dict[str, tuple[bytes, float, int]] = {}
        self._down: tuple[float, str] | None = None

    def of(self, kind: str) -> int:
        """The sequence of a kind.

        :raises StoreError: if the store has to be asked and does not answer; for half a second then, without asking.
        """
        epoch, now = self._epoch, time.monotonic()
        if epoch is None:
            return self._asked(kind, now)
        mark = epoch.read()
        known = self._known.get(kind)
        if known is not None and known[0] == mark and now < known[1]:
            return known[2]
        if known is None or now >= known[1]:
            if epoch.renew():
                self._known.clear()
            mark = epoch.read()
        found = self._asked(kind, now)
        if mark[0] & 1:
            epoch.heal(mark, now)
        else:
            self._known[kind] = (mark, now + self._poll, found)
        return found

    def hint(self, kind: str) -> Hint | None:
        """How to see without asking that nothing changed since ``of`` said so; None where it has to be asked."""
        known = self._known.get(kind)
        return None if known is None or self._epoch is None else Hint(self._epoch._shared, *known)

    def _asked(self, kind: str, now: float) -> int:
        # Who waits for a store that is away keeps others waiting who do not need it.
        if self._down is not None and self._down[0] - DOWN_SECONDS <= now < self._down[0]:
            raise StoreError(self._down[1])
        try:
            found = self._ask(kind)
        except StoreError as error:
            self._down = (time.monotonic() + DOWN_SECONDS, str(error))
            raise
        self._down = None
        return found


def _mark(*, odd: bool) -> bytes:
    drawn = bytearray(os.urandom(_BYTES))
    drawn[0] = drawn[0] | 1 if odd else drawn[0] & 0xFE
    return bytes(drawn)


def _share(descriptor: int, path: Path) -> None:
    # The lock for one alone is held for two instructions. Not waited for in C: that would hold up a whole gevent hub.
    end = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > end:
                raise StoreError(f"{path} is locked by a process that was stopped") from None
        time.sleep(0.001)


def _settle(descriptor: int) -> None:
    """Writes an even mark if no change is under way."""
    try:
        # One that is refused has lost its shared lock as well (flock(2)): of several, the last to try gets it.
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return
    os.pwrite(descriptor, _mark(odd=False), 0)


# A lock belongs to what a forked child shares with its parent: it would outlive a parent that is killed.
_descriptors: set[int] = set()
_guard = threading.Lock()


def _in_child() -> None:
    _guard.release()
    while _descriptors:
        with suppress(OSError):
            os.close(_descriptors.pop())


os.register_at_fork(before=_guard.acquire, after_in_parent=_guard.release, after_in_child=_in_child)
