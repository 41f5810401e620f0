"""Which functions Flask calls before and after a request: not the face's own, where these have nothing to do.

To call a function that returns at once costs a request more than the fields of its answer do: Flask asks of each
whether it is ``async``. This saves that, and nothing hangs on it: the functions themselves ask the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextvars import ContextVar
from typing import Any

from flask import request_finished

Hook = Callable[..., Any]

met: ContextVar[object] = ContextVar("flask_rampart.compat.talisman", default=None)
"""What the request meets that is under way: a mark of a face that leaves its fields to where the answer leaves."""


def without(own: Hook, functions: Iterable[Hook], marks: tuple[object, ...]) -> list[Hook]:
    """A list that leaves out *own*, where a request meets one of *marks* and nobody hears of its end.

    >>> hooks = without(len, [len, max], ("mark",))
    >>> before = met.set("mark")
    >>> list(hooks)
    [<built-in function max>]
    >>> met.reset(before)
    >>> len(list(hooks))
    2
    """
    get = met.get

    class Hooks(list[Hook]):
        # What each request passes: names of this function are found at once, those of an object are not.
        def __iter__(self) -> Iterator[Hook]:
            if get() not in marks or request_finished.receivers:
                return forward(self)
            return nothing if len(self) == 1 else (each for each in forward(self) if each != own)

        def __reversed__(self) -> Iterator[Hook]:
            if get() not in marks or request_finished.receivers:
                return backward(self)
            return nothing if len(self) == 1 else (each for each in backward(self) if each != own)

    forward, backward = list.__iter__, list.__reversed__
    nothing: Iterator[Hook] = iter(())
    return Hooks(functions)
