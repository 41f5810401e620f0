"""Time that stands still, for apps that a factory makes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from flask import Flask

from .._native import Clock
from ..exchange import EXTENSION
from ..extension import Rampart
from .state import under_test


@contextmanager
def frozen(rampart: Rampart, at: float | None = None) -> Iterator[Clock]:
    """Gives the apps that *rampart* secures within the block a clock that stands until it is advanced.

    It is for ``rampart = Rampart()`` beside an app factory; elsewhere, ``Rampart(app, clock=Clock.manual(...))`` does
    the same. An app keeps its clock for good, so one that was made before is not touched; and one that turns out to be
    in production refuses its requests, for by its clock no token would ever end.

    :param at: seconds since 1970-01-01 UTC; now, if not given.
    :raises ValueError: unless *at* is between 1 and 2**33.

    >>> from flask import Flask
    >>> rampart = Rampart()
    >>> with frozen(rampart, at=1_800_000_000) as clock:
    ...     app = Flask("shop")
    ...     rampart.init_app(app)
    >>> clock.advance(60)
    >>> clock.now()
    1800000060.0
    """
    clock = Clock.manual(float(int(time.time())) if at is None else float(at))
    own_clock, own_init = rampart._given.clock, rampart.init_app

    def init_app(app: Flask) -> None:
        own_init(app)
        app.extensions[EXTENSION].at_seal.append(under_test)

    rampart._given.clock = clock
    rampart.init_app = init_app  # type: ignore[method-assign]
    try:
        yield clock
    finally:
        rampart._given.clock = own_clock
        rampart.init_app = own_init  # type: ignore[method-assign]
