"""By whom: what apps pass as ``key_func``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import request


def get_remote_address() -> str:
    """The peer's address. Limits by this function count IPv6 by network (``RAMPART_IPV6_PREFIX``)."""
    return request.remote_addr or "127.0.0.1"


def get_qualified_name(callable: Callable[..., Any]) -> str:
    """The name of a function with that of its module and of what it is in. Nothing here goes by it."""
    return f"{callable.__module__}.{callable.__name__}.{callable.__qualname__}"
