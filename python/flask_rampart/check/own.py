"""Rules of an app's own."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from ..dependencies import CannotCheck
from ..errors import ConfigError
from .findings import Finding, Place, Rule, Severity

if TYPE_CHECKING:
    from flask import Flask

Told = Iterable["str | tuple[str, Place]"]
Look = Callable[["Flask"], Told]

_ID = re.compile(r"[A-Z][A-Z0-9]{0,15}-[0-9]{1,5}", re.ASCII)
_SEVERITIES = {each.word: each for each in Severity}


class Own(NamedTuple):
    """A rule, and the function that looks for it."""

    rule: Rule
    look: Look


_registered: dict[str, Own] = {}


def register(
    id: str, title: str, cure: str, *, severity: str = "warning", deploy: bool = False
) -> Callable[[Look], Look]:
    """Has ``flask rampart check`` look for something of the app's own.

    :param id: such as ``"SHOP-1"``; ``RMP-`` is ours.
    :param title: what is wrong, in a few words.
    :param cure: what to do about it.
    :param severity: ``"error"``, ``"warning"`` or ``"note"``.
    :param deploy: whether it matters in production alone.
    :raises ConfigError: for an id that cannot be meant, or that another function has.

    The function is called with the app, and gives a sentence for each thing that it finds, or such a sentence and a
    :class:`Place`.

    >>> @register("SHOP-1", "no payment provider", "Set PAYMENT_URL.")
    ... def payment(app):
    ...     if not app.config.get("PAYMENT_URL"):
    ...         yield "Orders cannot be paid."
    """
    if not isinstance(id, str) or not _ID.fullmatch(id) or id.startswith("RMP-"):
        raise ConfigError(f"register({id!r}): an id is capitals, a dash and a number, such as SHOP-1, and not RMP-.")
    if severity not in _SEVERITIES:
        raise ConfigError(f"register({id!r}, severity={severity!r}): one of {', '.join(map(repr, _SEVERITIES))}.")

    def add(look: Look) -> Look:
        known = _registered.get(id)
        name = (getattr(look, "__module__", ""), getattr(look, "__qualname__", ""))
        if known is not None and name != (known.look.__module__, known.look.__qualname__):
            raise ConfigError(f"register({id!r}): {known.look.__qualname__} has this id.")
        _registered[id] = Own(Rule(id, _SEVERITIES[severity], title, cure, deploy), look)
        return look

    return add


def rules() -> dict[str, Rule]:
    """The rules of the app's own, by id."""
    return {id: own.rule for id, own in _registered.items()}


def check(app: Flask) -> Iterator[Finding]:
    """What they find."""
    for rule, look in list(_registered.values()):
        try:
            for told in look(app) or ():
                message, place = (told, Place()) if isinstance(told, str) else told
                yield Finding(rule, message, place)
        except (Exception, SystemExit) as error:  # exit(0) of a rule would be a green
            raise CannotCheck(f"the rule {rule.id} of this app failed: {type(error).__name__}: {error}") from error
