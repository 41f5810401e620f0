"""What a face takes from the app that it stands in: its ``RAMPART_*`` settings and its clock. It decides nothing.

Settings may still come after a face, so what it is told at once is not kept; but what could not be meant stops the
start-up.
"""

from __future__ import annotations

from collections.abc import Callable

from flask import Flask

from .._native import Clock
from ..config import Settings
from ..exchange import EXTENSION

SYSTEM = Clock.system()
"""The clock of an app without a ``Rampart``, for as long as it has none."""


class Standing:
    """A face in one app.

    :param clock: instead of that of the app's ``Rampart``, or the system's.
    :raises ConfigError: for a ``RAMPART_*`` setting that could not be meant.
    """

    def __init__(self, app: Flask, clock: Clock | None) -> None:
        self.app = app
        self._clock = clock
        self._settings: Settings | None = None
        Settings.read(app.config)

    @property
    def settings(self) -> Settings:
        """The ``RAMPART_*`` settings, read once."""
        if self._settings is None:
            self._settings = Settings.read(self.app.config)
        return self._settings

    @property
    def clock(self) -> Clock:
        """That of the app's ``Rampart``, if nobody gave another; the system's until there is one."""
        if self._clock is None:
            state = self.app.extensions.get(EXTENSION)
            if state is None:
                return SYSTEM
            self._clock = state.services[Clock]
        return self._clock


def at_first_request(app: Flask, then: Callable[[], None]) -> None:
    """Calls *then* before the first request, and costs the others nothing."""

    def once() -> None:
        # Another list: Flask goes through this one.
        before = app.before_request_funcs[None]
        app.before_request_funcs[None] = [each for each in before if each is not once]
        then()

    app.before_request(once)
