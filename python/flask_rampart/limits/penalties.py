"""Reads a penalty: ``"15 minutes after 3 in 1 hour growing to 7 days by network"``.

``<duration> after <n> [in <duration>] [growing [to <duration>]] [by address|network|key]``, in any case. A duration
is a whole number
and a unit, from second to week.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from ..errors import ConfigError
from ..readers import nearest

_UNITS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400, "week": 7 * 86400}
LONGEST = 10 * 366 * 86400
_GROWN = 30 * 86400
_WORDS = ("after", "in", "growing", "to", "by")
_BY = ("address", "network", "key")
_EXAMPLE = "'15 minutes after 3', or '1 hour after 10 in 10 minutes growing to 7 days by network'"


class Penalty(NamedTuple):
    """When strikes ban, and for how long; times in seconds."""

    length: int
    after: int
    within: int
    longest: int
    by: str

    @classmethod
    def read(cls, text: str, by: str = "address") -> Penalty:
        """Reads a penalty.

        :param by: what is banned, if *text* does not say.
        :raises ConfigError: if it cannot be read; says what would be right.

        >>> Penalty.read("15 minutes after 3")
        Penalty(length=900, after=3, within=900, longest=900, by='address')
        """
        if not isinstance(text, str):
            raise ConfigError(f"A ban is a text such as {_EXAMPLE}, not {type(text).__name__}.")
        words = _Words(text)
        length = words.duration()
        words.take("after", needed=True)
        after = words.number()
        within = words.duration() if words.take("in") else length
        longest = length
        if words.take("growing"):
            longest = words.duration() if words.take("to") else max(_GROWN, length)
        by = words.one_of(_BY) if words.take("by") else by
        words.end()
        if longest < length:
            raise words.wrong("it cannot grow to less than it begins with")
        return cls(length, after, within, longest, by)


def duration(text: str) -> int:
    """Seconds of a text such as ``"15 minutes"``.

    :raises ConfigError: if it cannot be read.

    >>> duration("2 hours")
    7200
    """
    words = _Words(text)
    seconds = words.duration()
    words.end()
    return seconds


class _Words:
    def __init__(self, text: str) -> None:
        self._text = text
        self._words = re.findall(r"[0-9]+|[a-z]+|[^0-9a-z\s]+", text.lower())
        self._at = 0

    def wrong(self, why: str) -> ConfigError:
        return ConfigError(f"The ban {self._text[:80]!r} cannot be read: {why}. Write {_EXAMPLE}.")

    def _next(self) -> str:
        word = self._words[self._at] if self._at < len(self._words) else ""
        self._at += 1
        return word

    def take(self, word: str, *, needed: bool = False) -> bool:
        found = self._words[self._at] if self._at < len(self._words) else ""
        if found == word:
            self._at += 1
            return True
        if needed:
            raise self.wrong(f"{word!r} is missing after {' '.join(self._words[: self._at])!r}")
        return False

    def number(self) -> int:
        word = self._next()
        if not word.isdigit() or not 1 <= len(word) <= 9 or int(word) < 1:
            raise self.wrong(f"{word or 'nothing'!r} is not a number of at least 1")
        return int(word)

    def duration(self) -> int:
        count = self.number()
        word = self._next()
        unit = _UNITS.get(word.removesuffix("s"))
        if unit is None:
            raise self.wrong(f"{word or 'nothing'!r} is not a unit of time.{nearest(word, tuple(_UNITS))}".rstrip("."))
        if count * unit > LONGEST:
            raise self.wrong("ten years is the longest")
        return count * unit

    def one_of(self, known: tuple[str, ...]) -> str:
        word = self._next()
        if word not in known:
            raise self.wrong(
                f"{word or 'nothing'!r} is not one of {', '.join(known)}.{nearest(word, known)}".rstrip(".")
            )
        return word

    def end(self) -> None:
        if self._at < len(self._words):
            word = self._words[self._at]
            if word in _WORDS:
                raise self.wrong(f"{word!r} is left over where it stands: the order is {', '.join(_WORDS)}")
            raise self.wrong(f"{word!r} is left over.{nearest(word, _WORDS)}".rstrip("."))
