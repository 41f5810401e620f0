"""What a face takes from the app that it stands in: its ``RAMPART_*`` settings and its clock. It decides nothing."""

from __future__ import annotations

from flask import Flask

from .._native import Clock
from ..config import Settings
from ..exchange import EXTENSION


class Standing:
    """A face in one app.

    :param clock: instead of that of the app's ``Rampart``, or the system's.
    """

    def __init__(self, app: Flask, clock: Clock | None) -> None:
        self.app = app
        self._clock = clock
        self._settings: Settings | None = None

    @property
    def settings(self) -> Settings:
        """The ``RAMPART_*`` settings, read once."""
        if self._settings is None:
            self._settings = Settings.read(self.app.config)
        return self._settings

    @property
    def clock(self) -> Clock:
        """That of the app's ``Rampart``, if nobody gave another."""
        if self._clock is None:
            state = self.app.extensions.get(EXTENSION)
            self._clock = Clock.system() if state is None else state.services[Clock]
        return self._clock
