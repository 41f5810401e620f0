"""Stages: when a guard runs, and whether it finds out who is calling. It decides nothing."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .guards import Guard


class Stage(enum.IntEnum):
    """When a guard runs, cheapest and least trusting first."""

    ARRIVAL = 0
    """By what the network says: address limits."""
    IDENTITY = 1
    """Who it is."""
    QUOTA = 2
    """How often, by who it is."""
    PERMISSION = 3
    """Whether they may."""
    PAYLOAD = 4
    """With what."""
    RECORD = 5
    """What is remembered: of what all others have admitted."""


def asks_who(guard: Guard) -> bool:
    """Whether a guard lets nobody through whom it does not know.

    What comes with a guard for another stage asks nobody by itself, nor does what is optional or opens alone.
    """
    return settles_who(guard) and not getattr(guard, "optional", False)


def settles_who(guard: Guard) -> bool:
    """Whether a guard finds out who is calling, and may let nobody's requests through (``optional``)."""
    return guard.stage is Stage.IDENTITY and guard.opens and not guard.only_opens
