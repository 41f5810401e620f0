"""Sealed columns in Alembic's migrations: they are bytes there, and say so without this package.

In ``env.py``: ``context.configure(..., render_item=render_item)``. A migration then has ``sa.LargeBinary()``, and runs
in ten years as it does today. Without it, Alembic writes
``flask_rampart.vault.columns.types.EncryptedString()``, for which ``script.py.mako`` has to import that module.
"""

from __future__ import annotations

from typing import Any, Literal

from .blind import BlindIndex
from .types import Encrypted


def render_item(kind: str, item: Any, context: Any) -> str | Literal[False]:
    """What Alembic writes for a sealed column or blind index; False (Alembic's own way) for anything else."""
    if kind == "type" and isinstance(item, Encrypted):
        return "sa.LargeBinary()"
    if kind == "type" and isinstance(item, BlindIndex):
        return "sa.LargeBinary(length=16)"
    return False
