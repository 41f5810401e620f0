"""What one request met: its limits, for views, callbacks and headers."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from .items import RateLimitItem

if TYPE_CHECKING:
    from ...limits.counters import Settling
    from .definitions import RuntimeLimit
    from .extension import Limiter
    from .face import Face


class WindowStats(NamedTuple):
    """When a window is over, in Unix seconds, and what is left of it."""

    reset_time: float
    remaining: int


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


class RequestLimit:
    """One quota that the current request met."""

    def __init__(self, face: Face, line: Line, breached: bool) -> None:
        self._face = face
        self._line = line
        self._window: WindowStats | None = None
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
            self._window = self._face.window(self._line)
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

    __slots__ = ("_face", "_found", "_lines", "breached", "settling", "wait")

    def __init__(self, face: Face) -> None:
        self._face = face
        self._lines: tuple[Line, ...] = ()
        self._found: list[RequestLimit] | None = []
        #: Which of the lines refused.
        self.breached: tuple[int, ...] = ()
        #: Seconds after which who was refused may come again, if anything refused.
        self.wait: int | None = None
        #: What was charged and is settled by the answer.
        self.settling: list[tuple[Settling, tuple[Line, ...], list[int]]] = []

    def met(self, lines: tuple[Line, ...], breached: tuple[int, ...] = ()) -> None:
        """Notes the limits that were asked last."""
        self._lines, self.breached, self._found = lines, breached, None

    @property
    def limits(self) -> list[RequestLimit]:
        """Those that were asked last, those of shorter units first."""
        if self._found is None:
            self._found = [RequestLimit(self._face, line, nth in self.breached) for nth, line in enumerate(self._lines)]
        return self._found

    @property
    def limit(self) -> RequestLimit | None:
        """The one that says most: the last that refused, else the first that is not shared, else the first."""
        found = self.limits
        if self.breached:
            return found[self.breached[-1]]
        return next((limit for limit in found if not limit.shared), found[0] if found else None)
