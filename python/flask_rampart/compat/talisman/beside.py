"""Two policies for one answer: that of the face, and what ``Rampart(app)`` or the view says. The stricter of each field
is sent.

What a view says stays where it is stricter than what is said for all, and is overwritten where it is not, or where
nobody can tell. Of two ``Content-Security-Policy`` both are sent, and a browser holds a page to each.

The edge leaves a field that the app set. So the face sets what is stricter than Rampart's, and leaves out what is not:
the edge then sends its own.

``Content-Security-Policy`` has no order. One that was written for Talisman is sent instead of a profile's own; where
``RAMPART_CSP`` says another, both are sent, in one field, and a browser holds a page to each. Talisman's default gives
way.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from flask import Flask
from werkzeug.datastructures import Headers

from ...config import Settings
from ...headers import header_policy, new_nonce
from .policies import CSP, REPORT_ONLY, Text

Fields = tuple[tuple[str, str], ...]

_FRAMES = ("DENY", "SAMEORIGIN")
_REFERRERS = (
    "no-referrer",
    "same-origin",
    "strict-origin",
    "strict-origin-when-cross-origin",
    "origin",
    "origin-when-cross-origin",
    "no-referrer-when-downgrade",
    "unsafe-url",
)
_HSTS = "Strict-Transport-Security"
_PERMISSIONS = "Permissions-Policy"


class Beside:
    """What ``Rampart(app)`` sends of itself."""

    def __init__(self, app: Flask, settings: Settings) -> None:
        nonce = new_nonce()
        policy = header_policy(settings)
        page = [("Content-Type", "text/html; charset=utf-8")]
        self._sent = {name.title(): value for name, value in policy.apply(page, True, nonce)}
        self._nonce = nonce
        self._said = {CSP: settings.csp is not None, REPORT_ONLY: settings.csp_report_only is not None}
        self._climbs = settings.hsts_since is not None
        #: Whether the edge decides what comes by plain HTTP.
        self.decides_https = settings.https in ("redirect", "refuse")

    def csp(self, field: str, mine: Text | None, *, is_default: bool) -> Text | None:
        """What the face sends of a Content-Security-Policy; None if it sends none."""
        if mine is None or (is_default and field == CSP):
            return None
        if not self._said[field]:
            return mine
        return mine.beside(Text(tuple(self._sent[field].split(f" 'nonce-{self._nonce}'"))))

    def stricter(self, name: str, value: str) -> str | None:
        """What the face sends of a field; None to leave it to the edge."""
        if name == _HSTS and self._climbs:
            return None
        other = self._sent.get(name.title())
        if other is None:
            return value
        if name == "X-Frame-Options":
            return _first(_FRAMES, value, other)
        if name == "Referrer-Policy":
            return _first(_REFERRERS, value, other)
        if name == _HSTS:
            return _longer(value, other)
        if name == _PERMISSIONS:
            return _narrower(value, other)
        return None


def settled(headers: Headers | list[tuple[str, str]], fields: Fields, mine: Mapping[str, str]) -> list[tuple[str, str]]:
    """The fields of an answer: those that it has, and *fields*.

    :param mine: what is said for all, by lower names, also where it is left to the edge.
    """
    for name, _ in headers:
        if name.lower() in mine:
            break
    else:
        return [*headers, *fields]
    present = [name.lower() for name, _ in headers]
    kept: list[tuple[str, str]] = []
    stays: set[str] = set()
    for name, value in headers:
        lower = name.lower()
        said = mine.get(lower)
        if said is None or (lower in _POLICIES and value != said):
            kept.append((name, value))
        elif _is_stricter(lower, value, said):
            kept.append((name, value))
            stays.add(lower)
    added = [field for field in fields if field[0].lower() not in stays]
    # The edge would leave the view's alone.
    lacking = (_POLICIES.keys() & mine.keys()).intersection(present) - {name.lower() for name, _ in added}
    return [*kept, *added, *((_POLICIES[name], mine[name]) for name in lacking)]


def _is_stricter(name: str, value: str, than: str) -> bool:
    if name == "x-frame-options":
        return _first(_FRAMES, value.strip().upper(), than) is not None
    if name == "referrer-policy":
        return _first(_REFERRERS, value.strip().lower(), than) is not None
    if name != "strict-transport-security":
        return False
    ages = [
        re.fullmatch("max-age=([0-9]{1,10})((?:; ?(?:includeSubDomains|preload))*)", text) for text in (value, than)
    ]
    own, other = ages
    if own is None or other is None:
        return False
    return int(own[1]) >= int(other[1]) and all(word in own[2] for word in re.findall("[A-Za-z]+", other[2]))


def _first(order: tuple[str, ...], mine: str, other: str) -> str | None:
    """*mine* if it stands before *other*. What no browser knows stands last."""
    rank = {value: at for at, value in enumerate(order)}
    return mine if rank.get(mine, len(order)) < rank.get(other, len(order)) else None


def _longer(mine: str, other: str) -> str | None:
    """The longer age, and whatever either has beside."""
    ages = [int(found[1]) if (found := re.match("max-age=([0-9]+)", text)) else 0 for text in (mine, other)]
    more = [word for word in ("includeSubDomains", "preload") if word in mine or word in other]
    joined = "; ".join((f"max-age={max(ages)}", *more))
    return None if joined == other else joined


def _narrower(mine: str, other: str) -> str | None:
    """Each feature of either; one that either forbids is forbidden."""
    found = _features(other)
    before = dict(found)
    for name, value in _features(mine).items():
        if found.get(name) != "()":
            found[name] = value
    return None if found == before else ", ".join(f"{name}={value}" for name, value in found.items())


def _features(text: str) -> dict[str, str]:
    parts = (part.strip().partition("=") for part in text.split(","))
    return {name: value for name, _, value in parts if name}


_POLICIES = {CSP.lower(): CSP, REPORT_ONLY.lower(): REPORT_ONLY}
