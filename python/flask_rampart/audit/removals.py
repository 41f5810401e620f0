"""Whether the files that the book of writers calls removed can have been old enough.

``RAMPART_AUDIT_KEEP`` removes a file so many days after its last record, and enters that. Who has the key may enter the
same of a file of yesterday: then nothing is missing, and an anchor covers nothing that is there. What the book said
of the file while it lived shows it, and that part of the book an anchor holds fast.

1. Where nothing may be removed, any removal is too soon.
2. A file that a line of the book named at some time had a record of about then. So its removal comes no sooner than
   ``keep`` days after the newest such line, by the removal's own time.
3. A removal of a later time than now is none of ours: who waits with the date does not wait with the file.

It sees no more than the book tells: of a page that was removed too, only that it was (rule 1). Lines are taken as they
stand, since verification follows their links. A book of any size is read once, and no line of more than 64 KiB.
"""

from __future__ import annotations

import json
import os
import re
import stat
import time
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

_PAGE = re.compile(r"heads-[0-9]{6,10}\.jsonl")
_LONGEST = 64 << 10
_MOST = 100
#: What the clocks of two processes, or a record and its entry, may be apart: seconds.
_SLACK = 120.0
_REMOVED = ("audit_file_removed", "audit_book_removed")
#: A page's own lines: they are of the time of the page, not of the file's.
_CARRIED = "audit_writer_carried"


def too_soon(directory: Path, keep: float | None, now: float | None = None) -> list[tuple[str, int]]:
    """File and line of each removal that came too soon: at most 100.

    :param keep: days; None if nothing may be removed.
    :param now: seconds since 1970.
    """
    now = time.time() if now is None else now
    found: list[tuple[str, int]] = []
    #: By writer and file: when it was last spoken of.
    lived: dict[tuple[str, int], float] = {}
    for page in _pages(directory):
        for number, line in _lines(page):
            read = _read(line)
            if read is None:
                continue
            event, at, writer, file = read
            if event in _REMOVED:
                last = lived.pop((writer, file), 0.0)
                is_over = keep is not None and at - last >= keep * 86_400.0 - _SLACK and at <= now + _SLACK
                if not is_over and len(found) < _MOST:
                    found.append((page.name, number))
            elif event != _CARRIED and writer:
                lived[writer, file] = max(at, lived.get((writer, file), 0.0))
    return found


def _pages(directory: Path) -> Iterator[Path]:
    try:
        pages = sorted((path for path in directory.iterdir() if _PAGE.fullmatch(path.name)), key=lambda path: path.name)
    except OSError:
        return
    yield from pages
    yield directory / "heads.jsonl"


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        return
    with os.fdopen(descriptor, "rb") as file:
        number, is_begun = 0, False
        while line := file.readline(_LONGEST):
            number += not is_begun
            was_begun, is_begun = is_begun, not line.endswith(b"\n")
            if not was_begun and not is_begun:
                yield number, line


def _read(line: bytes) -> tuple[str, float, str, int] | None:
    """Event, time, writer and file."""
    try:
        told = json.loads(line)
        at = datetime.strptime(told["time"], "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=timezone.utc).timestamp()
        writer, file = told.get("writer", ""), told.get("file", 0)
        if isinstance(writer, str) and isinstance(file, int):
            return str(told["event"]), at, writer, file
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError):
        pass
    return None
