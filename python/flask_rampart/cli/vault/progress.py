"""How far a command is, on a terminal: the part that is done, the rate, and the time that is left.

Where the output is no terminal, nothing is printed. The line is on standard error, is drawn ten times a second at most,
and is gone at the end.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import TextIO

_EVERY = 0.1


class Progress:
    """The line, while ``with`` lasts.

    :param total: bytes that there are to do; None if nobody knows.
    """

    def __init__(
        self, total: int | None, *, out: TextIO | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._total, self._out, self._clock = total, out or sys.stderr, clock
        self._is_shown = self._out.isatty()
        self._done = 0
        self._began = self._drawn = clock()

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._clear()

    def add(self, done: int) -> None:
        """So many bytes more are done."""
        self._done += done
        now = self._clock()
        if self._is_shown and now - self._drawn >= _EVERY:
            self._drawn = now
            self._out.write(f"\r\x1b[K{self.line(now - self._began)}")
            self._out.flush()

    def tell(self, text: str) -> None:
        """A line that stays."""
        self._clear()
        self._out.write(f"{text}\n")
        self._out.flush()

    def line(self, seconds: float) -> str:
        """What is shown after so many seconds."""
        rate = self._done / seconds if seconds > 0 else 0.0
        said = f"{amount(self._done)}  {amount(rate)}/s"
        if not self._total:
            return said
        part = min(100, 100 * self._done // self._total)
        left = f"{_duration((self._total - self._done) / rate)} left" if 0 < self._done < self._total else ""
        return f"{part:3d} %  {amount(self._done)} of {amount(self._total)}  {amount(rate)}/s  {left}".rstrip()

    def _clear(self) -> None:
        if self._is_shown:
            self._out.write("\r\x1b[K")
            self._out.flush()


def amount(count: float) -> str:
    """Bytes for a reader.

    >>> amount(999), amount(1_500_000), amount(2e9)
    ('999 B', '1.5 MB', '2.0 GB')
    """
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} B" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {seconds:02d} s" if minutes else f"{seconds} s"
