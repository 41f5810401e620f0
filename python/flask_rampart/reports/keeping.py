"""Keeps the table of groups in the app's records, for all workers and the command line, and writes it seldom.

1. A report is counted in the memory of its worker, in at most twice as many groups as the table has.
2. That is written at the first report, and then at most once a second, however many come: by a thread of its own, so
   that nobody who reports waits for the store, and by one at a time, however long the store takes.
3. A write reads the table, adds and compares: another worker's write in between makes it begin again.
4. A table that a newer version has written in another way is left as it is.

Lost in a crash: the reports of a worker's last second. While the store is away, they wait in memory, in a bounded
number of groups; it is asked every ten seconds, and nobody who reports is told.

Deployment: a worker that is killed, and never ends by itself, writes nothing at its end. uWSGI runs no thread between
requests unless it has ``--enable-threads``: where the thread comes too late, the next report writes.
"""

from __future__ import annotations

import atexit
import os
import threading
import time
import weakref
from collections.abc import Callable
from logging import Logger

from ..locks import Lock
from ..stores import Record, Records, StoreError
from .reading import Apart, Seen
from .table import MOST_GROUPS, Group, NewerTable, Sender, Table, noted

KIND = "reports"
EVERY = 1.0
"""Seconds between two writes of one worker, at least."""
MOST_TOLD = 20
"""New groups that one worker tells of in a minute."""
_MINUTE = 60.0
_TRIES = 20
_TABLE = "table"
_SALT = "salt"
_DAY = 86400.0
_AWAY = 10.0
"""Seconds after which a store that was away is asked again."""
_SILENCE = 60.0
"""Seconds between two lines of log about a store that is away."""
_LATE = 2.0
"""Seconds after its time at which a thread that has not come is not waited for."""


class Keeper:
    """The groups of one app.

    :param now: seconds since 1970-01-01 UTC.
    :param keep: days after which a group that nobody reported is dropped.
    :param at_once: whether each report is written before it is answered, as in tests.
    :param tell: called with each group that was not there before, after it was written.
    """

    def __init__(
        self,
        records: Records,
        now: Callable[[], float],
        keep: int,
        *,
        at_once: Callable[[], bool] = lambda: False,
        tell: Callable[[str, Group], None] = lambda key, group: None,
        logger: Logger | None = None,
    ) -> None:
        self._records = records
        self._now = now
        self._keep = keep * _DAY
        self._at_once = at_once
        self._tell = tell
        self._logger = logger
        self._pending = _waiting()
        self._lock = Lock()
        self._writing = Lock()
        self._salt = b""
        # What came before it was known what senders are hashed with.
        self._early: list[tuple[list[Seen | Apart], str, float]] = []
        self._next = 0.0
        self._complained = -_SILENCE
        self._told_since, self._told = -_MINUTE, 0
        self._timer: threading.Timer | None = None
        self._due = 0.0
        self._process = os.getpid()
        _keepers.add(self)

    def count(self, seen: list[Seen | Apart], address: str) -> None:
        """Counts the reports of one request.

        :param address: of whom they came from, one for all that belong to one client.
        """
        now = self._now()
        with self._lock:
            if self._process != os.getpid():
                # What the parent has counted, the parent writes.
                self._process, self._pending, self._early, self._timer = os.getpid(), _waiting(), [], None
            if self._salt:
                self._add(seen, address, now)
            elif sum(len(found) for found, _, _ in self._early) < 2 * MOST_GROUPS:
                self._early.append((seen, address, now))
            if not self._at_once() and self._is_awaited():
                return
        self.flush()

    def flush(self) -> None:
        """Writes what was counted since the last time. A store that is away is complained of, and waited for."""
        with self._writing:
            self._next = time.monotonic() + EVERY
            try:
                self._know()
            except StoreError as error:
                self._complain(error)
                return
            with self._lock:
                mine, self._pending = self._pending, _waiting()
            if not mine.groups and not mine.apart:
                return
            try:
                new = self._merge(mine)
            except StoreError as error:
                self._give_back(mine)
                self._complain(error)
                return
        for key in new[: self._may_tell(len(new))]:
            self._tell(key, mine.groups[key])
        self._records.tidy(self._now())

    def table(self) -> Table:
        """The groups as they are now, those of this worker's memory too.

        :raises StoreError: if they cannot be read.
        """
        self.flush()
        record = self._records.store.get(KIND, _TABLE)
        found = Table() if record is None else _read(record)
        found.expire(self._now(), self._keep)
        return found

    def clear(self) -> None:
        """Forgets all groups.

        :raises StoreError: if the store cannot be written.
        """
        with self._lock:
            self._pending, self._early = _waiting(), []
        self._records.store.delete(KIND, _TABLE)

    def at_exit(self) -> None:
        """Writes what is left."""
        if self._process == os.getpid():
            self._logger = None  # what it writes to may be closed
            self.flush()

    def _add(self, seen: list[Seen | Apart], address: str, now: float) -> None:
        sender = Sender.of(address, self._salt)
        self._pending.apart.update(one for one in seen if isinstance(one, str))
        self._pending.add([noted(one, sender, now) for one in seen if not isinstance(one, str)])

    def _is_awaited(self) -> bool:
        """Whether a thread will write; begins one, if there is none."""
        moment = time.monotonic()
        if self._timer is not None:
            # Whoever is writing may wait for the store for long: nobody else waits with them.
            return moment < self._due + _LATE or self._writing.locked()
        self._due = max(moment, self._next)
        self._timer = threading.Timer(self._due - moment, self._later)
        self._timer.daemon = True
        try:
            self._timer.start()
        except RuntimeError:
            # No more threads, or the end of the process: the next report comes here again, or the end writes.
            self._timer = None
        return True

    def _later(self) -> None:
        try:
            self.flush()
        finally:
            with self._lock:
                # Not before: while it waits for the store, no other thread begins to wait.
                self._timer = None
                if self._early or self._pending.groups or self._pending.apart:
                    self._is_awaited()

    def _merge(self, mine: Table) -> list[str]:
        store = self._records.store
        for tried in range(_TRIES):
            now = self._now()
            record = store.get(KIND, _TABLE)
            found = Table() if record is None else _read(record)
            found.expire(now, self._keep)
            new = found.add((key, _copied(group)) for key, group in mine.groups.items())
            found.apart.update(mine.apart)
            value, ends = found.written(), now + self._keep
            if record is None:
                done = store.insert(KIND, _TABLE, value, expires=ends)
            else:
                done = store.replace(KIND, _TABLE, value, record.version, expires=ends)
            if done:
                return new
            time.sleep(0.002 * tried)  # many workers at once: each of them has written when it comes here again
        raise StoreError("the table of reports is written by too many at once")

    def _may_tell(self, many: int) -> int:
        """How many new groups may be told of: what is made up must not become as many mails."""
        moment = time.monotonic()
        if moment - self._told_since >= _MINUTE:
            self._told_since, self._told = moment, 0
        allowed = min(many, MOST_TOLD - self._told)
        self._told += allowed
        return allowed

    def _give_back(self, mine: Table) -> None:
        with self._lock:
            later, self._pending = self._pending, mine
            self._pending.add(later.groups.items())
            self._pending.apart.update(later.apart)

    def _know(self) -> None:
        """Learns what senders are hashed with, which is the same in all workers, and counts what came before."""
        if not self._salt:
            store = self._records.store
            store.insert(KIND, _SALT, os.urandom(32))
            record = store.get(KIND, _SALT)
            if record is None or not record.value:
                raise StoreError("what reports are hashed with was written and is not there")
            salt = record.value[:32]
            with self._lock:
                self._salt, early, self._early = salt, self._early, []
                for seen, address, now in early:
                    self._add(seen, address, now)

    def _complain(self, error: StoreError) -> None:
        moment = time.monotonic()
        self._next = moment + _AWAY
        if self._logger is not None and moment - self._complained >= _SILENCE:
            self._complained = moment
            self._logger.warning("reports of browsers are not written: %s", error)


def _waiting() -> Table:
    return Table(slack=MOST_GROUPS)


def _read(record: Record) -> Table:
    try:
        return Table.of(record.value)
    except NewerTable:
        # Workers of two versions, side by side: to begin it anew would throw away what the others keep.
        raise StoreError("the table of reports was written by a newer version of flask-rampart") from None


def _copied(group: Group) -> Group:
    return Group(**vars(group))


def _at_exit() -> None:
    for keeper in list(_keepers):
        keeper.at_exit()


_keepers: weakref.WeakSet[Keeper] = weakref.WeakSet()
atexit.register(_at_exit)
