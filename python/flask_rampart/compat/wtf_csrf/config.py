"""The settings ``WTF_CSRF_*`` of an app, and what they come to.

They are read anew where one of them changed: apps, and their tests above all, change them between requests.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Collection, Mapping
from typing import Any

from ...errors import ConfigError
from ..values import refuse_unmet, switch

DEFAULTS: dict[str, Any] = {
    "WTF_CSRF_ENABLED": True,
    "WTF_CSRF_CHECK_DEFAULT": True,
    "WTF_CSRF_METHODS": ["POST", "PUT", "PATCH", "DELETE"],
    "WTF_CSRF_FIELD_NAME": "csrf_token",
    "WTF_CSRF_HEADERS": ["X-CSRFToken", "X-CSRF-Token"],
    "WTF_CSRF_META_NAME": "csrf-token",
    "WTF_CSRF_TIME_LIMIT": 3600,
    "WTF_CSRF_SSL_STRICT": True,
}
"""Each setting, and what it is where an app says nothing."""

OWN_KEY = "WTF_CSRF_SECRET_KEY"
_ITEMS = tuple(DEFAULTS.items())


class Rules:
    """What holds for one app.

    :raises ConfigError: for a setting that could not be meant.
    """

    def __init__(self, said: Mapping[str, Any]) -> None:
        self.enabled = switch(said, "WTF_CSRF_ENABLED")
        self.check_default = switch(said, "WTF_CSRF_CHECK_DEFAULT")
        self.ssl_strict = switch(said, "WTF_CSRF_SSL_STRICT")
        self.methods = frozenset(_names(said, "WTF_CSRF_METHODS", "POST"))
        refuse_unmet("WTF_CSRF_METHODS", self.methods)
        self.headers = tuple(_names(said, "WTF_CSRF_HEADERS", "X-CSRFToken"))
        self.field_name: str | None = _text(said, "WTF_CSRF_FIELD_NAME")
        self.meta_name: str | None = _text(said, "WTF_CSRF_META_NAME")
        self.time_limit = said["WTF_CSRF_TIME_LIMIT"]
        if self.time_limit is not None and (
            isinstance(self.time_limit, bool)
            or not isinstance(self.time_limit, (int, float))
            or math.isnan(self.time_limit)  # of which nothing is older
        ):
            raise ConfigError(f"WTF_CSRF_TIME_LIMIT is seconds, or None for no limit, not {self.time_limit!r}.")
        refuse_empty(said[OWN_KEY])


def refuse_empty(secret: Any) -> None:
    """:raises ConfigError: for ``WTF_CSRF_SECRET_KEY`` that is empty, or a list of none or with an empty one in it."""
    if secret is None:
        return
    several = isinstance(secret, (list, tuple))
    if not secret or (several and any(not isinstance(key, (str, bytes)) or not key for key in secret)):
        what = "has a key that is" if several and secret else "is"
        raise ConfigError(f"{OWN_KEY} {what} empty: anybody could sign with it. Leave it out to sign with SECRET_KEY.")


def picked(config: Mapping[str, Any]) -> tuple[Any, ...]:
    """Of an app's settings, those that are read here: cheap, since it is asked in each request."""
    get = config.get
    return (*[get(key, otherwise) for key, otherwise in _ITEMS], get(OWN_KEY))


def kept(values: tuple[Any, ...]) -> tuple[Any, ...]:
    """A copy that does not change where a list in a setting does."""
    return tuple(copy.copy(value) if isinstance(value, (list, set)) else value for value in values)


def named(values: tuple[Any, ...]) -> dict[str, Any]:
    """The settings by their names again."""
    return dict(zip((*DEFAULTS, OWN_KEY), values, strict=True))


def _names(said: Mapping[str, Any], name: str, example: str) -> Collection[str]:
    values = said[name]
    if not isinstance(values, (list, tuple, set, frozenset)) or not all(isinstance(value, str) for value in values):
        # Of a text each letter would be one, and none of them is ever met.
        raise ConfigError(f"{name} is a list such as [{example!r}], not {values!r}.")
    return values


def _text(said: Mapping[str, Any], name: str) -> str | None:
    value = said[name]
    if value is not None and (not isinstance(value, str) or not value):
        raise ConfigError(f"{name} is a name such as {DEFAULTS[name]!r}, not {value!r}.")
    return value
