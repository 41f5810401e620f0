"""Reads the records of an audit log, of all its writers, in the order of time.

1. Each file is a stream that is in order, read by pieces from the time of its first record on; none stays open, so that
   a log may have any number of writers.
2. A line that is no record, such as the unfinished one of a killed process, is counted and left out: whether it may
   be there is for verification to say. So is a line of more than 1 MiB, with all behind it; and what has a file's name
   and is none: nothing is followed or waited for.
3. Following a log looks at the ends of its files every so often, and at files that are new.

It verifies nothing.
"""

from __future__ import annotations

import errno
import heapq
import json
import os
import re
import stat
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, BinaryIO

_FILE = re.compile(r"([0-9a-f]{32})-([0-9]{6,10})\.jsonl")
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z")
_BLOCK = 1 << 16
_PIECE = 1 << 15
_LONGEST = 1 << 20
_MOST = 64 << 20
_OWN = "audit_"
Record = dict[str, Any]


@dataclass
class Log:
    """The files of a log."""

    directory: Path
    #: Lines that were no records, so far.
    unread: int = 0
    _ends: dict[Path, int] = field(default_factory=dict)

    def files(self) -> list[Path]:
        """The writers' files.

        :raises LookupError: if there is no log.
        """
        try:
            found = sorted(path for path in self.directory.iterdir() if _FILE.fullmatch(path.name))
        except OSError as error:
            raise LookupError(f"there is no audit log in {self.directory}: {error.strerror}") from None
        if not found:
            raise LookupError(f"there is no audit log in {self.directory}")
        return found

    def records(self) -> Iterator[Record]:
        """All records, each with its ``writer``, in the order of time."""
        waiting = []
        for path in self.files():
            first = next(self._of(path), None)
            if first is not None:
                waiting.append((first["time"], path.name, path))
        waiting.sort(reverse=True)
        heap: list[tuple[str, str, int, Record, Iterator[Record]]] = []
        while waiting or heap:
            while waiting and (not heap or waiting[-1][0] <= heap[0][0]):
                _push(heap, self._of(waiting.pop()[2]))
            if heap:
                _, _, _, record, rest = heapq.heappop(heap)
                yield record
                _push(heap, rest)

    def last(self, count: int) -> list[Record]:
        """The newest *count* records."""
        found: list[Record] = []
        for path in self.files():
            file = _opened(path)
            if file is None:
                self.unread += 1
                continue
            with file:
                end = file.seek(0, 2)
                start, lines, block = end, b"", _BLOCK
                while start > 0 and lines.count(b"\n") <= count and block <= _MOST:
                    start, block = max(0, end - block), block * 2
                    file.seek(start)
                    lines = file.read(end - start)
            whole = lines if start == 0 else lines.partition(b"\n")[2]
            # What is not a whole line yet is read with the next look.
            self._ends[path] = end - len(whole.rpartition(b"\n")[2])
            found += self._parse(path, whole.rpartition(b"\n")[0].split(b"\n")[-count:] if whole else ())
        return sorted(found, key=_place)[-count:] if count else []

    def news(self) -> list[Record]:
        """What was written since :meth:`last` or the last call of this."""
        found: list[Record] = []
        for path in self.files():
            file = _opened(path)
            if file is None:
                continue
            with file:
                file.seek(self._ends.get(path, 0))
                # What is more comes with the next look.
                whole, line_end, _ = file.read(_MOST).rpartition(b"\n")
            if line_end:
                self._ends[path] = self._ends.get(path, 0) + len(whole) + 1
                found += self._parse(path, whole.split(b"\n"))
        return sorted(found, key=_place)

    def newest_note(self, writer: str) -> str | None:
        """The last checkpoint that a writer has signed, as a C2SP note."""
        for path in reversed([path for path in self.files() if path.name.startswith(writer)]):
            signed = (line for line in self._lines(path) if b'"event":"audit_checkpoint"' in line)
            for record in reversed(list(self._parse(path, deque(signed, 16)))):
                if record["event"] == "audit_checkpoint" and isinstance(record.get("note"), str):
                    return str(record["note"])
        return None

    def _of(self, path: Path) -> Iterator[Record]:
        yield from self._parse(path, self._lines(path))

    def _lines(self, path: Path) -> Iterator[bytes]:
        place, rest = 0, b""
        while True:
            file = _opened(path)
            if file is None:
                self.unread += 1
                return
            with file:
                file.seek(place)
                piece = file.read(_PIECE)
            place += len(piece)
            *whole, rest = (rest + piece).split(b"\n")
            yield from whole
            if not piece or len(rest) > _LONGEST:
                if rest:
                    yield rest[:_LONGEST]
                return

    def _parse(self, path: Path, lines: Iterable[bytes]) -> Iterator[Record]:
        writer = path.name[:32]
        for line in lines:
            try:
                record = json.loads(line)
                is_right = _TIME.fullmatch(record["time"]) and isinstance(record["event"], str)
                if not is_right or type(record["seq"]) is not int:
                    raise ValueError
            except (ValueError, TypeError, KeyError, RecursionError):
                self.unread += 1
                continue
            record.pop("link", None)
            yield {"writer": writer, **record}


def wanted(
    *,
    events: Iterable[str] = (),
    principal: str | None = None,
    request: str | None = None,
    code: str | None = None,
    since: str | None = None,
    until: str | None = None,
    own: bool = False,
    now: Callable[[], datetime] = lambda: datetime.now(timezone.utc),
) -> Callable[[Record], bool]:
    """What tells whether a record is looked for.

    :param events: names, or their beginnings with ``*`` behind.
    :param since: a time (``2026-11-29`` or ``2026-11-29T10:00:00Z``) or how long ago (``2h``); *until* likewise.
    :param own: whether the log's own records (``audit_...``) are, where *events* names none of them.
    :raises ValueError: for a time that cannot be read.
    """
    names = tuple(events)
    exact = {name for name in names if not name.endswith("*")}
    starts = tuple(name[:-1] for name in names if name.endswith("*"))
    after = None if since is None else _time(since, now())
    before = None if until is None else _time(until, now())

    def is_wanted(record: Record) -> bool:
        event = record["event"]
        if names:
            if event not in exact and not (starts and event.startswith(starts)):
                return False
        elif not own and event.startswith(_OWN):
            return False
        return (
            (principal is None or principal in (record.get("principal"), record.get("subject")))
            and (request is None or record.get("request_id") == request)
            and (code is None or record.get("code") == code)
            and (after is None or record["time"] >= after)
            and (before is None or record["time"] < before)
        )

    return is_wanted


def _opened(path: Path) -> BinaryIO | None:
    """A file to read. None for what is none: a pipe would wait for ever, and a link would lead elsewhere."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        # Removed since it was listed; a link; a socket or a device that nobody is behind.
        if error.errno in (errno.ENOENT, errno.ELOOP, errno.ENXIO):
            return None
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        return None
    return os.fdopen(descriptor, "rb")


def _push(heap: list[tuple[str, str, int, Record, Iterator[Record]]], rest: Iterator[Record]) -> None:
    record = next(rest, None)
    if record is not None:
        heapq.heappush(heap, (*_place(record), record, rest))


def _place(record: Record) -> tuple[str, str, int]:
    return record["time"], record["writer"], record["seq"]


def _time(text: str, now: datetime) -> str:
    ago = re.fullmatch(r"([0-9]{1,6})([smhdw])", text.strip(), re.ASCII)
    if ago is not None:
        found = now - timedelta(seconds=int(ago[1]) * _UNITS[ago[2]])
    else:
        try:
            # Python 3.10 does not read "Z".
            found = datetime.fromisoformat(re.sub("[zZ]$", "+00:00", text.strip()))
        except ValueError:
            raise ValueError(f"{text!r} is no time such as 2026-11-29T10:00:00Z, 2026-11-29 or 2h.") from None
        if found.tzinfo is None:
            found = found.replace(tzinfo=timezone.utc)
    return found.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}
