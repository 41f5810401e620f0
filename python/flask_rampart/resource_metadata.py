"""Protected-resource metadata: tells clients where to get a token for this API (RFC 9728).

With ``RAMPART_RESOURCE``, the app answers at ``/.well-known/oauth-protected-resource``, followed by the path of the
resource (section 3.1), and every challenge for a bearer token names that address (``resource_metadata``, section 5.1).

Rules: the document is made before the first request and never from a request, so that no ``Host`` field gets into it;
everybody may read it, for GET and HEAD, and caches may keep it for an hour; it says what the settings say, the issuers
of ``RAMPART_ISSUERS``, and the scopes that ``require`` demands anywhere in the app, and nothing else. A route of the
app at the same place stops the start-up: clients would be sent to one document and find another.

It is not signed (``signed_metadata``), and asks no issuer anything.

Deployment: an app that is mounted below a path does not see requests for the host's ``/.well-known``. Whatever stands
in front must lead them to it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

from flask import Flask, Response

from .config import Settings
from .errors import ConfigError
from .exchange import SCOPE
from .readers import nearest, shown

WELL_KNOWN = "/.well-known/oauth-protected-resource"
LIFETIME = 3600
"""Seconds for which the document may be kept."""
_SETTING = "RAMPART_RESOURCE_METADATA"
_TEXTS = ("resource_name",)
_URLS = ("resource_documentation", "resource_policy_uri", "resource_tos_uri")
_MEMBERS = (*_TEXTS, *_URLS, "scopes_supported", "authorization_servers", "jwks_uri")
#: A language of one of the members for people (RFC 9728 section 2.1, BCP 47).
_LANGUAGE = re.compile(r"[A-Za-z]{2,8}(?:-[A-Za-z0-9]{1,8}){0,8}")


class ResourceMetadata:
    """What an app says about itself as a protected resource.

    :param resource: ``RAMPART_RESOURCE``.
    :param said: ``RAMPART_RESOURCE_METADATA``.
    :param issuers: the issuers whose tokens are taken.
    :raises ConfigError: for a member that is unknown or has the wrong type.

    >>> ResourceMetadata("https://api.example.com/orders").url
    'https://api.example.com/.well-known/oauth-protected-resource/orders'
    """

    endpoint = "rampart_resource_metadata"

    def __init__(self, resource: str, said: Mapping[str, Any] | None = None, issuers: Iterable[str] = ()) -> None:
        parts = urlsplit(resource)
        # A slash right after the host goes, any other stays (section 3.1).
        path = "" if parts.path == "/" else parts.path
        self.url = f"{parts.scheme}://{parts.netloc}{WELL_KNOWN}{path}"
        self.host = parts.netloc
        # As the server hands it over: decoded.
        self.path = WELL_KNOWN + unquote(path)
        if "<" in self.path or ">" in self.path or "//" in self.path:
            raise ConfigError("RAMPART_RESOURCE has '<', '>' or '//' in its path, where no route can be.")
        members = _members(said)
        self._members = {
            "resource": resource,
            "authorization_servers": members.pop("authorization_servers", None) or list(dict.fromkeys(issuers)),
            "bearer_methods_supported": ["header"],
            "scopes_supported": members.pop("scopes_supported", None),
            **members,
        }
        self.document = b""

    @classmethod
    def read(cls, settings: Settings) -> ResourceMetadata | None:
        """That of these settings; None without ``RAMPART_RESOURCE``.

        :raises ConfigError: for what cannot be said.
        """
        if settings.resource is None:
            if settings.resource_metadata is not None:
                raise ConfigError(f"{_SETTING} needs RAMPART_RESOURCE, this API's own address.")
            return None
        return cls(
            settings.resource, settings.resource_metadata, (str(entry.get("issuer")) for entry in settings.issuers)
        )

    def serve(self, app: Flask, mark: Callable[[Callable[[], Response]], Callable[[], Response]]) -> None:
        """Gives *app* the route.

        :param mark: marks the view as open.
        """
        # Without a host, a rule of an app that matches hosts would match none.
        options: dict[str, Any] = {"host": self.host} if app.url_map.host_matching else {}
        app.add_url_rule(self.path, self.endpoint, mark(self._answer), methods=["GET"], strict_slashes=False, **options)

    def seal(self, app: Flask, scopes: Iterable[str]) -> None:
        """Makes the document. Before the first request, when all views are known.

        :param scopes: those that views demand.
        :raises ConfigError: if the app has a route of its own there.
        """
        for rule in app.url_map.iter_rules():
            if rule.endpoint != self.endpoint and rule.rule.rstrip("/") == self.path.rstrip("/"):
                raise ConfigError(
                    f"{rule.endpoint} has the route {rule.rule}, where RAMPART_RESOURCE serves this API's metadata "
                    f"(RFC 9728). Remove it, and say what it said in {_SETTING}; or leave RAMPART_RESOURCE out."
                )
        members = dict(self._members)
        if members["scopes_supported"] is None:
            members["scopes_supported"] = sorted(scopes)
        # What has no elements is left out (section 3.2).
        self.document = json.dumps({name: value for name, value in members.items() if value != []}).encode()

    def _answer(self) -> Response:
        response = Response(self.document, mimetype="application/json")
        response.headers["Cache-Control"] = f"public, max-age={LIFETIME}"
        return response


def _members(said: Mapping[str, Any] | None) -> dict[str, Any]:
    if said is None:
        return {}
    if not said:
        raise ConfigError(f"{_SETTING} is empty. Leave it out to say nothing more.")
    found: dict[str, Any] = {}
    for name, value in said.items():
        if not isinstance(name, str):
            raise ConfigError(f"{_SETTING}: {name!r} is not a member of the metadata.")
        bare, mark, language = name.partition("#")
        if bare not in _MEMBERS or (mark and (bare not in (*_TEXTS, *_URLS) or not _LANGUAGE.fullmatch(language))):
            raise ConfigError(
                f"{_SETTING}: {name!r} is not a member that can be set.{nearest(bare, _MEMBERS)} (RFC 9728 section 2)"
            )
        if bare == "scopes_supported":
            found[name] = _scopes(value)
        elif bare == "authorization_servers":
            if not isinstance(value, (list, tuple)) or not value:
                raise ConfigError(f"{_SETTING}: {name!r} must be a list of issuers, not empty.")
            found[name] = [_url(name, item) for item in value]
        elif bare in _TEXTS:
            if not isinstance(value, str) or not value.strip():
                raise ConfigError(f"{_SETTING}: {name!r} must be a text that is not empty.")
            found[name] = value
        else:
            found[name] = _url(name, value)
    return found


def _scopes(value: Any) -> list[str]:
    words = value.split() if isinstance(value, str) else value
    if not isinstance(words, (list, tuple, set, frozenset)) or not all(
        isinstance(word, str) and SCOPE.fullmatch(word) for word in words
    ):
        raise ConfigError(f"{_SETTING}: 'scopes_supported' must be a list of scopes; empty to name none.")
    return sorted(set(words))


def _url(name: str, value: Any) -> str:
    plain = isinstance(value, str) and value.isascii() and value.isprintable() and " " not in value
    try:
        parts = urlsplit(value) if plain else None
    except ValueError:
        parts = None
    if parts is None or parts.scheme != "https" or not parts.hostname or parts.username:
        raise ConfigError(f"{_SETTING}: {name!r} must be an https URL, not {shown(value)}.")
    return str(value)
