"""The policy that cookies go through: the settings' rules, those of rooms, and what custom knows.

``RAMPART_COOKIES`` has the last word on each name, rooms the one before. What may be in a rule is judged in
``src/cookies/rules.rs``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from .._native import CookiePolicy
from ..config import Settings
from ..errors import ConfigError

READABLE = ("XSRF-TOKEN", "csrf_access_token", "csrf_refresh_token", "csrftoken")
"""Cookies that a script copies into a header, by the custom of Angular and axios, Flask-JWT-Extended, and Django."""

Rules = Mapping[str, Mapping[str, Any]]
"""What is otherwise of cookies, by name, as in ``RAMPART_COOKIES``."""


class _Rule(NamedTuple):
    """What is otherwise of one cookie; None leaves it open."""

    http_only: bool | None = None
    same_site: str | None = None
    secure: bool | None = None
    partitioned: bool | None = None


def cookie_policy(
    settings: Settings, own: Rules = MappingProxyType({}), tell: Callable[[str, str], None] | None = None
) -> CookiePolicy:
    """The policy of these settings.

    :param own: rules of rooms, for cookies of theirs; ``RAMPART_COOKIES`` may say more, and has the last word.
    :raises ConfigError: if ``RAMPART_COOKIES`` has a rule that browsers would answer by dropping the cookie.
    """
    rules = {name: _Rule(http_only=False) for name in READABLE}
    for source in (own, settings.cookies):
        for name, given in source.items():
            rules[name] = rules.get(name, _Rule())._replace(**given)
    try:
        return CookiePolicy([(name, *rule) for name, rule in rules.items()], tell)
    except ValueError as error:
        raise ConfigError(f"RAMPART_COOKIES: {error}.") from None
