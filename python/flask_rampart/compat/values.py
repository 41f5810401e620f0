"""Values of settings that would turn a check off unseen: what is no switch, and methods that no request has."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..errors import ConfigError


def switch(said: Mapping[str, Any], name: str) -> bool:
    """A setting that is True or False, or 1 or 0.

    :raises ConfigError: for another value: an empty text is false, and ``"False"`` is true.
    """
    value = said[name]
    if value not in (True, False):
        raise ConfigError(f"{name} is True or False, not {value!r}.")
    return bool(value)


def refuse_unmet(name: str, methods: Iterable[str]) -> None:
    """:raises ConfigError: for a method that no request has, as in lower case or with spaces."""
    for method in methods:
        right = method.strip().upper()
        if method != right or not right:
            raise ConfigError(f"{name}: no request has the method {method!r}. Write {right or 'POST'!r}.")
