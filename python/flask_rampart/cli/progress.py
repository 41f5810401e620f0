"""How far a long command is: a bar on a terminal, a line now and then elsewhere. To standard error alone."""

from __future__ import annotations

import shutil
from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import TextIO

from ..anonymize.files import Progress

_EVERY = 0.1
_LINE_EVERY = 10.0
_WINDOW = 5.0
_WORDS = {"check": "checking what is done", "treat": "treating"}


class Bar:
    """Tells how far a run is.

    :param stream: a terminal, or anything else, which gets lines instead of a bar.
    :param clock: seconds that never go back.
    """

    def __init__(self, stream: TextIO, *, clock: Callable[[], float] = monotonic, width: int | None = None) -> None:
        self._stream, self._clock = stream, clock
        self._is_terminal = stream.isatty()
        self._width = width
        self._phase = ""
        self._seen: deque[tuple[float, int]] = deque()
        self._told = clock()
        self._drawn = False

    def __call__(self, progress: Progress) -> None:
        now = self._clock()
        if progress.phase != self._phase:
            self._phase = progress.phase
            self._seen.clear()
        self._seen.append((now, progress.done))
        # Of the last seconds, not of the whole: what is left is done at that speed, if at any.
        while len(self._seen) > 2 and now - self._seen[0][0] > _WINDOW:
            self._seen.popleft()
        if now - self._told < (_EVERY if self._is_terminal else _LINE_EVERY):
            return
        self._told = now
        if self._is_terminal:
            width = self._width or shutil.get_terminal_size().columns
            self._stream.write("\r" + self._line(progress, width - 1).ljust(width - 1))
            self._drawn = True
        else:
            self._stream.write(self._line(progress, 0) + "\n")
        self._stream.flush()

    def close(self) -> None:
        """Wipes the bar off, so that what is told next has the line."""
        if self._drawn:
            width = self._width or shutil.get_terminal_size().columns
            self._stream.write("\r" + " " * (width - 1) + "\r")
            self._stream.flush()
            self._drawn = False

    def _line(self, progress: Progress, width: int) -> str:
        """What is told, in *width* columns; 0 for a line without a bar."""
        parts = [size(progress.done) + (f" of {size(progress.total)}" if progress.total else "")]
        rate = self._rate()
        if rate:
            parts.append(f"{size(int(rate))}/s")
            if progress.total and progress.done <= progress.total:
                parts.append(f"{duration((progress.total - progress.done) / rate)} left")
        if progress.refused:
            parts.append(f"{progress.refused:,} refused")
        told = ", ".join(parts)
        word = _WORDS[progress.phase]
        if not progress.total:
            return _cut(f"{word}: {told}", width)
        share = min(progress.done / progress.total, 1.0)
        room = width - len(word) - len(told) - 10
        if room < 10:
            return _cut(f"{word}: {share:4.0%}, {told}", width)
        room = min(room, 40)
        full = int(share * room)
        return f"{word} [{'#' * full}{'.' * (room - full)}] {share:4.0%} {told}"

    def _rate(self) -> float:
        if len(self._seen) < 2:
            return 0.0
        (begun, first), (now, last) = self._seen[0], self._seen[-1]
        return (last - first) / (now - begun) if now > begun else 0.0


def size(count: int) -> str:
    """A number of bytes in decimal units: ``"1.5 MB"``."""
    if count < 1000:
        return f"{count} B"
    number = float(count)
    for unit in ("kB", "MB", "GB"):
        number /= 1000
        if number < 999.5:
            return f"{number:.3g} {unit}"
    return f"{number / 1000:,.3g} TB"


def duration(seconds: float) -> str:
    """Hours, minutes and seconds: ``"0:07"``, ``"1:02:03"``."""
    whole = int(seconds + 0.5)
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"


def _cut(text: str, width: int) -> str:
    return text[:width] if width > 0 else text
