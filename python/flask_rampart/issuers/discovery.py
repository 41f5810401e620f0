"""Finds what an issuer publishes: where it is said to be, or where its metadata says.

Rules, in order: the metadata is at the place of OpenID Connect Discovery section 4 or, if that answers with an error,
of RFC 8414 section 3; it is one JSON object without duplicate members; its ``issuer`` is the configured one, to the
letter (RFC 8414 section 3.3, CVE-2026-104056); its ``jwks_uri`` or ``introspection_endpoint`` is a URL that may be
called. All of it is done again at each refresh, so that what the metadata says today is checked today.
"""

from __future__ import annotations

import json
from typing import Any

from .settings import Entry
from .transport import Fetched, FetchFailed, Transport

_OPENID = "/.well-known/openid-configuration"
_OAUTH = "/.well-known/oauth-authorization-server"


def metadata_urls(issuer: str) -> tuple[str, str]:
    """Where the metadata of *issuer* may be, the likelier place first.

    >>> metadata_urls("https://id.example/tenant/")[0]
    'https://id.example/tenant/.well-known/openid-configuration'
    >>> metadata_urls("https://id.example/tenant/")[1]
    'https://id.example/.well-known/oauth-authorization-server/tenant'
    """
    bare = issuer.rstrip("/")
    scheme, _, rest = bare.partition("://")
    authority, slash, path = rest.partition("/")
    return bare + _OPENID, f"{scheme}://{authority}{_OAUTH}{slash}{path}"


def load(entry: Entry, transport: Transport, deadline: float, *, production: bool) -> Fetched:
    """The issuer's JWK set, before *deadline*.

    :raises FetchFailed: with the reason, for the log.
    """
    uri = entry.jwks_uri
    if uri is None:
        uri = find(entry, "jwks_uri", transport, deadline, production=production)
    try:
        return transport(uri, allow_private=entry.allow_private, allow_http=entry.allow_http, deadline=deadline)
    except FetchFailed as error:
        raise FetchFailed(f"{uri}: {error}") from None


def find(entry: Entry, member: str, transport: Transport, deadline: float, *, production: bool) -> str:
    """The URL that the issuer's metadata has as *member*, before *deadline*.

    :raises FetchFailed: with the reason, for the log.
    """

    def fetch(url: str) -> Fetched:
        return transport(url, allow_private=entry.allow_private, allow_http=entry.allow_http, deadline=deadline)

    first, second = metadata_urls(entry.issuer)
    try:
        document = fetch(first)
    except FetchFailed as error:
        # Only an issuer that answers, and has nothing there, is asked at the second place.
        if not 400 <= error.status < 500:
            raise FetchFailed(f"{first}: {error}") from None
        try:
            document = fetch(second)
        except FetchFailed as other:
            raise FetchFailed(f"{first}: {error}; {second}: {other}") from None
    return _url(entry, member, document.body, production)


def _url(entry: Entry, member: str, body: bytes, production: bool) -> str:
    try:
        metadata = json.loads(body.decode(), object_pairs_hook=_once)
    except (ValueError, RecursionError):
        raise FetchFailed("the metadata is not JSON") from None
    if not isinstance(metadata, dict) or metadata.get("issuer") != entry.issuer:
        raise FetchFailed("the metadata names another issuer than the configured one; they must be equal to the letter")
    uri = metadata.get(member)
    if not isinstance(uri, str):
        raise FetchFailed(f"the metadata has no {member}")
    try:
        # It may be http only where the issuer itself may: a document decides nothing about that.
        if not entry.may_call(uri, production):
            raise FetchFailed("it is not https")
    except FetchFailed as error:
        raise FetchFailed(f"the {member} of the metadata cannot be called: {error}") from None
    return uri


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("duplicate member")
    return members
