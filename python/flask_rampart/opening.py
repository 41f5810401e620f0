"""Opens the tables that workers share, and goes on where one cannot be had *yet*.

1. A table that others have is waited for: by the native side, for five seconds, in which the last process of another
   release may end, or who makes it may finish. So it is the first time that a process opens one in a directory.
2. Where that was in vain, nobody is made to wait again: later looks at that directory take what they find, at once.
3. What passes by itself is :class:`TableAway`: requests are refused with 503 meanwhile, and it is tried again
   (:class:`Tries`). Where others have the table it is :class:`TableInUse`, which stops no start-up either: the workers
   that it would stop are those that are to take over.
4. Everything else is a :class:`ConfigError`: it stays as it is until somebody does something, and stops the start-up.

It trusts the native side to say in its text what it found; ``tests/test_opening.py`` holds the two together.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, TypeVar

from .errors import ConfigError
from .stores import StoreError
from .tables import Place

if TYPE_CHECKING:
    from types import TracebackType

T = TypeVar("T")

BETWEEN_SECONDS = 1.0
"""How long what is away is not asked for again."""
PASSING = (
    "is locked by another program, for longer than it takes to make it",
    "is of another release, and a process that runs uses it",
    "is empty or was never finished, and another program holds it",
)
"""What the native side says of a table that may yet be to be had: those of ``Why`` that pass (``src/shared``)."""
_PASSING_ERRORS = frozenset(
    (errno.EAGAIN, errno.EDQUOT, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOSPC, errno.EINTR)
)
_LONGEST_TRY = 10.0

_in_vain: set[str] = set()
"""Directories in which a table was waited for, to no avail. A process names few."""


class TableAway(ConfigError, StoreError):
    """A table that cannot be had now, and may be a moment later: the disk is full, say."""


class TableInUse(TableAway):
    """A table that others have, until they end: processes of another release, or who makes it."""


def opened(place: Place, setting: str, *, make: Callable[[], T], join: Callable[[], T | None]) -> T:
    """The table at *place*.

    :param setting: what errors begin with, such as ``"RAMPART_LIMIT_STORE"``.
    :param make: opens it, making it if need be. It may wait.
    :param join: takes it as it is, if it can be used; else None. It does not wait for a table that others use.
    :raises TableAway: if it may be to be had later.
    :raises ConfigError: if it cannot be had; says the cure.
    """
    try:
        if place.directory in _in_vain and not _is_free(place):
            found = join()
            if found is None:
                raise TableInUse(
                    f"{setting}: {place} is in use by processes of another release, or by who makes it. It is tried "
                    f"again with later requests. If it lasts, end those processes: `fuser {place}` tells which."
                )
            return found
        return make()
    except TableAway:
        raise
    except ValueError as error:
        raise _told(place, setting, str(error)) from None


def _told(place: Place, setting: str, what: str) -> ConfigError:
    text = f"{setting}: {what}"
    if any(each in what for each in PASSING):
        _in_vain.add(place.directory)
        return TableInUse(text)
    number = re.search(r"\(os error (\d+)\)", what)
    return TableAway(text) if number and int(number[1]) in _PASSING_ERRORS else ConfigError(text)


def _is_free(place: Place) -> bool:
    """Whether nobody uses a table, or it is not there: then opening it waits for nobody.

    :raises ValueError: if somebody has it alone, which is no time to join.
    """
    try:
        # Not what a link leads to, nor a pipe: the native side says what is wrong with those.
        file = os.open(str(place), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
    except BlockingIOError:
        raise ValueError(f"{place} {PASSING[0]}.") from None
    except OSError:
        return True  # the native side says what is wrong with it
    finally:
        with suppress(OSError):
            # Said, and not left to the closing: a child that is forked now has the descriptor too.
            fcntl.flock(file, fcntl.LOCK_UN)
        os.close(file)


class Tries:
    """How often something is tried that may be away: after a failure once in a second, by one at a time.

    Whoever comes in between gets the failure at once, and waits for nobody.

    :param now: seconds, of a clock that is never set back.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._failed: StoreError | None = None
        self._failed_at: TracebackType | None = None
        self._again = 0.0
        self._failures = 0

    @contextmanager
    def one(self) -> Iterator[int]:
        """Around one try. Gives how many have failed.

        :raises StoreError: what the last try raised, if this one comes too early, or another is under way.
        """
        if self._failed is not None:
            if self._now() < self._again:
                # Without the frames of those who met it before, which would grow with each request.
                raise self._failed.with_traceback(self._failed_at)
            # Others are kept out while this one tries: not for ever, since a child may be forked meanwhile.
            self._again = self._now() + _LONGEST_TRY
        failed: StoreError | None = None
        try:
            yield self._failures
        except StoreError as error:
            failed = error
            self._failures += 1
            raise
        finally:
            self._again = self._now() + BETWEEN_SECONDS
            self._failed, self._failed_at = failed, None if failed is None else failed.__traceback__

    def check(self, failures: int) -> None:
        """For who has waited for its turn: raises what another has met since *failures* were counted."""
        if self._failed is not None and self._failures != failures:
            raise self._failed.with_traceback(self._failed_at)
