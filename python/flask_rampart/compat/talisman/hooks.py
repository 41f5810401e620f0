"""Which functions Flask calls before and after a request: not the face's own, where these have nothing to do.

To call a function that returns at once costs a request more than the fields of its answer do: Flask asks of each
whether it is ``async``. So they are left out of the list for the one request whose answer leaves through the face, and
for no other that a view makes meanwhile. Where another list takes the place of this one, they are called as ever, and
the fields are sent once all the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextvars import ContextVar
from typing import Any

from flask import request_finished

Hook = Callable[..., Any]


Slot = list[Any]
"""An answer that is to leave through a face, and what has come of it:

1. a mark of the face: for requests that need none of its functions, or for those that need the first;
2. how many requests have begun, and have not ended: more than one where a view makes others;
3. the request, where the first function was called; else None.

A list: to make an object of a class costs as much as the rest of what is done with it.
"""

met: ContextVar[Slot | None] = ContextVar("flask_rampart.compat.talisman", default=None)
"""What the request meets that is under way; None where the face has its functions called."""


def without(own: Hook, functions: Iterable[Hook], idle: object, busy: object) -> list[Hook]:
    """A list that leaves out *own*, for the request whose answer leaves through the face.

    :param idle: the face's mark of requests that need it neither before nor after.
    :param busy: of those that need it before.
    """
    get = met.get

    class Hooks(list[Hook]):
        # What each request passes: names of this function are found at once, those of an object are not.
        def __iter__(self) -> Iterator[Hook]:
            slot = get()
            if slot is None or (slot[0] is not idle and slot[0] is not busy):
                return forward(self)
            slot[1] += 1
            if slot[0] is busy or slot[1] > 1:
                return forward(self)
            return nothing if len(self) == 1 else (each for each in forward(self) if each != own)

        def __reversed__(self) -> Iterator[Hook]:
            slot = get()
            if slot is None or (slot[0] is not idle and slot[0] is not busy):
                return backward(self)
            slot[1] -= 1
            if slot[1] > 0 or request_finished.receivers:
                return backward(self)
            return nothing if len(self) == 1 else (each for each in backward(self) if each != own)

    forward, backward = list.__iter__, list.__reversed__
    nothing: Iterator[Hook] = iter(())
    return Hooks(functions)
