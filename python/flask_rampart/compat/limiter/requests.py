"""What one request met: its limits, for views, callbacks and headers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from .items import RateLimitItem

if TYPE_CHECKING:
    from ..._native import Verdict
    from ...limits.counters import Settling
    from .definitions import RuntimeLimit
    from .extension import Limiter
    from .face import Face, Step


Asked = tuple["Step", str, "Verdict", float]
"""What most requests met, as little as tells it: limits by address alone, by which address, and what was said, when."""


class WindowStats(NamedTuple):
    """When a window is over, in Unix seconds, and what is left of it."""

    reset_time: float
    remaining: int


def reset_time(verdict: Verdict, now: float) -> float:
    """When the window is over of which a verdict tells that was given *now*."""
    # The wait is rounded up, and windows of the calendar end at whole seconds.
    return now if verdict.remaining == verdict.limit else float(int(now + verdict.reset))


class Line(NamedTuple):
    """One quota, as one request is counted by it."""

    limit: RuntimeLimit
    #: The counter's name, of the developer's words alone.
    scope: str
    #: ``"address"`` or ``"text"``.
    kind: str
    #: What is counted by.
    key: str
    #: The same and the scope, as the app knows them.
    shown: tuple[str, ...]
    #: Whether it is counted on this host, because a store elsewhere is away.
    here: bool = False

    def moved(self, address: str) -> Line:
        """The same of another address."""
        shown = (*self.shown[:-2], address or "127.0.0.1", self.shown[-1])
        return Line(self.limit, self.scope, self.kind, address, shown, self.here)


class RequestLimit:
    """One quota that the current request met."""

    def __init__(self, face: Face, line: Line, breached: bool, window: WindowStats | None = None) -> None:
        self._face = face
        self._line = line
        self._window = window
        #: Whether it refused this request.
        self.breached = breached

    @property
    def extension(self) -> Limiter:
        return self._face.limiter

    @property
    def limit(self) -> RateLimitItem:
        """The quota."""
        return self._line.limit.limit

    @property
    def request_args(self) -> list[str]:
        """By what it counts: the prefix if there is one, the key, the scope."""
        return list(self._line.shown)

    @property
    def key(self) -> str:
        """What Flask-Limiter calls the counter."""
        return self.limit.key_for(*self._line.shown)

    @property
    def shared(self) -> bool:
        """Whether several views have it in common."""
        return self._line.limit.shared

    @property
    def window(self) -> WindowStats:
        """As it was when it was first looked at."""
        if self._window is None:
            self._window = self._face.counters.window(self._line)
        return self._window

    @property
    def reset_at(self) -> int:
        """The Unix second at which the window is over."""
        return int(self.window.reset_time + 1)

    @property
    def remaining(self) -> int:
        """What is left, this request taken off."""
        return self.window.remaining


class Passage:
    """What one extension knows of one request."""

    #: Whose the lines are, if they were made for somebody else.
    _address: str | None = None
    _found: list[RequestLimit] | None = None
    #: What was said of the only line, if answers tell it.
    verdict: Verdict | None = None
    #: When that was said.
    asked_at = 0.0
    #: Which of the lines refused.
    breached: tuple[int, ...] = ()
    #: Seconds after which who was refused may come again, if anything refused.
    wait: int | None = None
    #: What was charged and is settled by the answer.
    settling: tuple[tuple[Settling, tuple[Line, ...], list[int]], ...] = ()
    #: Whether the limits that hold while a store is away were asked for this request.
    fell_back = False

    def __init__(self, face: Face) -> None:
        self._face = face
        self.lines: tuple[Line, ...] = ()

    @classmethod
    def of(cls, face: Face, asked: Asked | None) -> Passage:
        """What is known of a request, from as little as was noted."""
        passage = cls(face)
        if asked is not None:
            step, address, verdict, asked_at = asked
            passage.met(step.lines, (), address)
            if step.fields is not None:
                passage.verdict, passage.asked_at = verdict, asked_at
        return passage

    def met(
        self,
        lines: tuple[Line, ...],
        breached: tuple[int, ...] = (),
        address: str | None = None,
    ) -> None:
        """Notes the limits that were asked last.

        :param address: of whom, if the lines are somebody else's.
        """
        self.lines, self.breached, self._found = lines, breached, None
        self._address, self.verdict = address, None

    @property
    def limits(self) -> list[RequestLimit]:
        """Those that were asked last, those of shorter units first."""
        if self._found is None:
            lines: Iterable[Line] = self.lines
            if self._address is not None:
                lines = [line.moved(self._address) for line in lines]
            face, breached, verdict = self._face, self.breached, self.verdict
            window = None if verdict is None else WindowStats(reset_time(verdict, self.asked_at), verdict.remaining)
            self._found = [RequestLimit(face, line, nth in breached, window) for nth, line in enumerate(lines)]
        return self._found

    @property
    def limit(self) -> RequestLimit | None:
        """The one that says most: the last that refused, else the first that is not shared, else the first."""
        found = self.limits
        if self.breached:
            return found[self.breached[-1]]
        return next((limit for limit in found if not limit.shared), found[0] if found else None)
