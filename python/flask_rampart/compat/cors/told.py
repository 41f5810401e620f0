"""Which pages may read what, for those who look: ``flask rampart check``."""

from __future__ import annotations

from collections.abc import Callable

from flask import Flask, current_app

from ...errors import ConfigError
from ...guards import Guard, Stage
from .core import Policy


class Told(Guard):
    """A policy of the face's. The face adds its fields when the view has answered."""

    name = "cors"
    stage = Stage.ARRIVAL
    asks_itself = True

    def __init__(self, policy: Callable[[Flask], Policy], *, is_everywhere: bool) -> None:
        self._policy_in = policy
        self.is_everywhere = is_everywhere

    @property
    def policy(self) -> Policy | None:
        """What the options come to in the current app; None if they could not be meant, which stops its start-up."""
        try:
            return self._policy_in(current_app._get_current_object())  # type: ignore[attr-defined]
        except ConfigError:
            return None

    def ready(self, app: Flask) -> None:
        """Reads the options."""
        self._policy_in(app)

    def answers_options(self, app: Flask) -> bool:
        """Whether ``cross_origin`` leaves OPTIONS to Flask, and not to the view."""
        try:
            return self._policy_in(app).automatic_options
        except ConfigError:
            return False

    def __repr__(self) -> str:
        return "CORS" if self.is_everywhere else "cross_origin"
