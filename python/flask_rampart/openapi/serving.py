"""The document over HTTP, and where it is kept.

It is made when it is first asked for and kept; made anew when a guard was declared since. A view serves it where the
app says so, behind the guards that it names; nothing serves it unasked.

1. ``application/vnd.oai.openapi+json;version=3.1`` for who names that, ``application/json`` for everybody else.
2. ``ETag`` (RFC 9110 section 8.8.3); five minutes in any cache where it is open to all, else in the caller's own, which
   asks each time. Who comes with a credential gets none that others may be given: the app may have a guard of its own.

The document leaves itself out, where browsers report, the metrics and the dashboard: that is nothing for clients.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flask import Flask, Response, request

from .. import declarations
from ..access import public, require
from ..errors import ConfigError
from ..guards import AppState, Guard
from ..locks import Lock
from ..reports import ENDPOINT as REPORTS
from .document import Told, build, written
from .keywords import Object

if TYPE_CHECKING:
    from werkzeug.wrappers import Response as BaseResponse

ENDPOINT = "rampart_openapi"
JSON = "application/json"
OPENAPI = "application/vnd.oai.openapi+json"
_HIDDEN = frozenset((ENDPOINT, REPORTS))
FRESH = 300
"""Seconds for which a cache may keep a document that is open to all."""


@dataclass(frozen=True)
class Place:
    """Where the document is served, and to whom."""

    path: str
    guards: tuple[Guard, ...]
    told: Told


class OpenApi:
    """The document of one app."""

    def __init__(self, state: AppState) -> None:
        self._state = state
        self._lock = Lock(reentrant=True)
        #: What is told where nothing else is asked for: as it is served.
        self.told = Told()
        self._made: tuple[int, bytes, str] | None = None

    def document(self, told: Told | None = None) -> Object:
        """The document, as dicts and lists of the caller's own.

        :param told: what it says that no route does; what is served, if not given.
        """
        if told is None:
            made: Object = json.loads(self._kept()[0])
            return made
        return build(self._state, told, self._hidden())

    def serve(self, place: Place) -> None:
        """Serves it.

        :raises ConfigError: at start-up, if the app has a route of its own there.
        """
        app = self._state.app
        if ENDPOINT in app.view_functions:
            raise ConfigError("serve_openapi() is called once for each app.")
        self.told = place.told
        self._state.own_endpoints.add(ENDPOINT)
        view: Any = self._answer
        # What no guard opens is open to all, on purpose: also under RAMPART_DEFAULT = "deny".
        opened = any(guard.opens for guard in place.guards)
        for guard in place.guards if opened else (*place.guards, public):
            view = guard(view)
        # Without a host, a rule of an app that matches hosts would match none.
        options: dict[str, Any] = {"host": "<rampart_host>"} if app.url_map.host_matching else {}
        app.add_url_rule(place.path, ENDPOINT, view, methods=["GET"], **options)
        self._state.at_seal.append(lambda app: _has_place(app, place.path))

    def _answer(self, **_: str) -> BaseResponse:
        text, tag = self._kept()
        kind = OPENAPI if _wants_openapi() else JSON
        response = Response(text, content_type=f"{kind};version=3.1" if kind == OPENAPI else kind)
        response.set_etag(tag if kind == JSON else f"{tag}-oai")
        response.vary.add("Accept")
        is_open = not any(isinstance(guard, require) for guard, _ in self._state.guards_of(ENDPOINT, "GET"))
        told = f"public, max-age={FRESH}" if is_open else "private, no-cache"
        if is_open and ("Authorization" in request.headers or "Cookie" in request.headers):
            told = f"private, max-age={FRESH}"
        response.headers["Cache-Control"] = told
        return response.make_conditional(request)

    def _hidden(self) -> frozenset[str]:
        """The endpoints that are ours: they are no part of the app's API."""
        return _HIDDEN | self._state.own_endpoints

    def _kept(self) -> tuple[bytes, str]:
        epoch = declarations.epoch()
        made = self._made
        if made is None or made[0] != epoch or not self._state.sealed:
            with self._lock:
                made = self._made
                if made is None or made[0] != epoch or not self._state.sealed:
                    text = written(build(self._state, self.told, self._hidden()))
                    made = self._made = (epoch, text, hashlib.sha256(text).hexdigest()[:32])
        return made[1], made[2]


def place_of(path: str, guards: Iterable[Guard], told: Told) -> Place:
    """Where the document shall be served.

    :raises ConfigError: for a path or guard that is none.
    """
    if not isinstance(path, str) or not path.startswith("/") or set(path) & set("<>?# "):
        raise ConfigError(f"serve_openapi({path!r}): a path that begins with /, such as '/openapi.json'.")
    found = (guards,) if isinstance(guards, Guard) else tuple(guards)
    if not all(isinstance(guard, Guard) for guard in found):
        raise ConfigError("serve_openapi(guards=...) is a list of guards, such as [require(roles='staff')].")
    return Place(path, found, told)


def _wants_openapi() -> bool:
    """Whether OpenAPI's own media type is named, and no less wanted than JSON."""
    accepted = request.accept_mimetypes
    named = [quality for kind, quality in accepted if kind.partition(";")[0].strip().lower() == OPENAPI]
    return bool(named) and max(named) > 0 and max(named) >= accepted.quality(JSON)


def _has_place(app: Flask, path: str) -> None:
    """Refuses another route at *path*: whichever was added first would win."""
    (ours,) = app.url_map.iter_rules(ENDPOINT)
    for rule in app.url_map.iter_rules():
        served = "GET" in (rule.methods or ("GET",)) and not rule.build_only
        if (
            rule is not ours
            and served
            and rule.rule == path
            and (rule.host, rule.subdomain) == (ours.host, ours.subdomain)
        ):
            raise ConfigError(
                f"{rule.endpoint} has the route {rule.rule}, where serve_openapi() serves the document. Remove it, or "
                "choose another path."
            )
