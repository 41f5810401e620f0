"""What a guard checks that stands for several ``validate``: for those who tell of it, as ``openapi`` does.

It checks nothing itself.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import NamedTuple

from ..guards import Guard
from .declared import validate


class Offered(NamedTuple):
    """What a request to one route meets."""

    always: tuple[validate, ...]
    """Whatever its body is."""
    bodies: Mapping[str, validate | None]
    """By media type, what is checked of a body; None for one that passes as it is. Empty: nothing is said of bodies."""
    body_required: bool


class Offering(Guard, ABC):
    """A guard of which what it checks can be told."""

    @abstractmethod
    def offered(self, rule: str) -> Offered | None:
        """What it checks of a request that this rule matched; None if nothing."""
