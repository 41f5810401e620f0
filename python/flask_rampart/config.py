"""Settings: the ``RAMPART_*`` keys of ``app.config``, read once into one frozen object.

Rules, in order:

1. a key that begins with ``RAMPART_`` and is not a setting stops the start-up, with the nearest right
   spelling, so that no check is off because its name was mistyped;
2. a value of the wrong type, out of range or empty stops the start-up: nothing is off by being empty;
3. what is not set has the default that ``docs/defaults.md`` gives a reason for;
4. a key that changes after it was read, and before the first request, is an error then.

What needs more than a type (keys, quotas, a policy) is checked by the room that it belongs to.
"""

from __future__ import annotations

import copy
import difflib
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from ipaddress import IPv6Network, ip_network
from typing import Any
from urllib.parse import urlsplit

from .errors import ConfigError

PREFIX = "RAMPART_"


@dataclass(frozen=True, slots=True)
class Settings:
    """What an app runs by. Each field is the setting ``RAMPART_<FIELD>``."""

    default: str = "open"
    """``"open"``: only declared guards refuse. ``"deny"``: a view that declares neither ``require`` nor
    ``public`` is refused."""

    profile: str = "api"
    """Which secure headers are sent: ``"api"``, ``"html"``, or ``"mixed"`` by the answer's media type."""

    csp: Mapping[str, Any] | None = None
    """The Content-Security-Policy as directives; None keeps the profile's own."""

    jwt_keys: tuple[Mapping[str, Any], ...] = field(default=(), repr=False)
    """Each a JWK, or ``{"kid", "alg", "secret" | "pem" | "path", "verify_only"}``. The first that can sign signs."""

    jwt_issuer: str | None = None
    """``iss`` of the tokens that are issued, and required of those that are verified."""

    jwt_audience: tuple[str, ...] = ()
    """``aud``: a token must name one of these. The first is written into issued tokens."""

    jwt_leeway: int = 30
    """Clock skew tolerated either way, in seconds."""

    jwt_lifetime: int = 900
    """How long an issued token lives, in seconds."""

    jwt_refresh_lifetime: int = 30 * 86400
    """How long a refresh token lives, in seconds; each refresh begins it anew."""

    jwt_family_lifetime: int = 90 * 86400
    """How long a login lasts at most, however often it is refreshed, in seconds."""

    jwt_refresh_overlap: int = 10
    """Seconds for which a refresh token that was replaced still gives its successor: for answers that were lost, and
    for tabs that refresh at once."""

    jwt_revocation: bool | None = None
    """Whether tokens can be revoked, which needs the ``RAMPART_STORE``. Not set: where a key can sign."""

    jwt_locations: tuple[str, ...] = ("header",)
    """Where tokens are looked for: ``"header"``, ``"cookie"``, ``"json"``, ``"query"``."""

    jwt_cookie_domain: str | None = None
    """``Domain`` of the cookies. Not set: this host alone, and they are named ``__Host-``."""

    jwt_cookie_samesite: str = "Lax"
    """``"Strict"``, ``"Lax"``, or ``"None"`` for pages of other sites."""

    jwt_cookie_secure: bool = True
    """Whether cookies go over HTTPS only. False is for ``app.debug`` and ``app.testing``."""

    jwt_refresh_path: str = "/"
    """``Path`` of the cookie with the refresh token: that of the view that refreshes."""

    jwks_path: str | None = None
    """Where the public keys are served, such as ``"/.well-known/jwks.json"``. Not set: nowhere."""

    jwt_require_exp: bool = True
    """Whether a token without ``exp`` is refused."""

    jwt_types: tuple[str, ...] = ("JWT", "at+jwt")
    """``typ`` header values that are accepted; a token without ``typ`` is too."""

    jwt_scopes_claim: tuple[str, ...] = ("scope", "scp")
    """Claims that hold scopes: a string of words, or a list. A dot descends: ``"a.b"``."""

    jwt_roles_claim: tuple[str, ...] = ("roles",)
    """Claims that hold roles, such as ``"realm_access.roles"``."""

    jwt_permissions_claim: tuple[str, ...] = ()
    """Claims that hold permissions, written as the claims of roles are. None: a credential states no permissions."""

    roles: Mapping[str, Any] | None = None
    """What roles include and may do: ``{"editor": {"includes": ["reader"], "permissions": ["doc.edit"]}}``."""

    user_loading: str = "lazy"
    """When ``rampart.user_loader`` is called: ``"lazy"``, when ``current_user`` is first read, or ``"eager"``, as soon
    as the credential was accepted."""

    resource: str | None = None
    """This API's own address as its clients write it, such as ``"https://api.example.com"``: its resource identifier
    (RFC 9728 section 1.2)."""

    resource_metadata: Mapping[str, Any] | None = None
    """What the metadata of this API says beside the rest (RFC 9728 section 2), such as ``{"resource_name": "Orders"}``;
    needs ``RAMPART_RESOURCE``."""

    dpop: str = "off"
    """Whether tokens may be bound to a key of their sender's (DPoP, RFC 9449): ``"off"``, ``"allowed"`` beside bearer
    tokens, or ``"required"``."""

    dpop_max_age: int = 60
    """How far the ``iat`` of a DPoP proof may be from now, either way, in seconds."""

    dpop_nonce: bool = False
    """Whether a DPoP proof needs a nonce of ours (RFC 9449 section 9)."""

    client_cert: str = "off"
    """Where the certificate of a client is, for tokens that are bound to it (RFC 8705): ``"off"``, ``"server"``, or
    ``"header:Client-Cert"`` from a trusted proxy."""

    trusted_proxies: tuple[str, ...] = ()
    """Networks of the proxies in front of this app, such as ``"10.0.0.0/8"``; ``"unix"`` for a Unix socket."""

    issuers: tuple[Mapping[str, Any], ...] = field(default=(), repr=False)
    """Whose tokens are taken beside our own: each ``{"issuer", "audience", "jwks_uri" | "jwks", ...}``, see
    ``docs/issuers.md``."""

    api_keys: bool = False
    """Whether API keys are taken: the scheme ``"api_key"``. They are kept in the ``RAMPART_STORE``."""

    api_key_prefix: str = "rk"
    """What API keys begin with: 1 to 16 lower-case letters and digits."""

    api_key_environment: str = "live"
    """``"live"`` or ``"test"``: stands in the keys; one environment refuses the other's."""

    store: str | None = field(default=None, repr=False)
    """Where records are: ``"sqlite:///file"`` in the app's instance folder, ``"sqlite:////absolute/file"``,
    ``"redis://..."``, ``"rediss://..."``, ``"unix://..."``, an address that SQLAlchemy knows, or ``"memory://"``.
    Not set: ``"sqlite:///rampart.sqlite3"``, and ``"memory://"`` under ``app.testing``."""

    store_prefix: str = "rampart"
    """What the names of all records' keys begin with, in a Redis server that other apps use too."""

    limits: str | None = None
    """Limits on the whole application, per address, such as ``"1000/hour; 20/second burst 40"``."""

    limits_ban: str | None = None
    """When who exceeds ``RAMPART_LIMITS`` is banned, such as ``"15 minutes after 10 in 1 minute"``: scanners, who
    otherwise go on at the rate of the quota. See ``docs/bans.md``."""

    limits_exempt_paths: tuple[str, ...] = ()
    """Paths that ``RAMPART_LIMITS`` does not count, such as ``"/health"``; each exactly as it is written."""

    limits_exempt_networks: tuple[str, ...] = ()
    """Networks that ``RAMPART_LIMITS`` does not count, such as ``"10.0.0.0/8"``."""

    limit_store: str | None = field(default=None, repr=False)
    """``"shm://"`` (shared by the workers of the host), ``"shm:///directory"``, ``"memory://"``, or for all hosts
    ``"redis://..."``, ``"rediss://..."``, ``"unix://..."``, ``"redis+sentinel://..."``, ``"redis+cluster://..."``.
    Not set: ``"shm://"``, and ``"memory://"`` under ``app.testing``."""

    limit_store_timeout: float = 0.05
    """Seconds that a request waits at most for a ``RAMPART_LIMIT_STORE`` that is elsewhere."""

    limit_lease: float | None = None
    """Seconds for which a host takes quota from such a store in advance, 0.1 to 60; the same as ``?lease=`` in its
    address. Not set: each request asks. See ``docs/limits-leases.md``."""

    limit_secret: str | None = field(default=None, repr=False)
    """What callers are hashed with before their counters leave this host: the same text on all hosts. Not set:
    ``SECRET_KEY``."""

    ban_exempt: tuple[str, ...] = ()
    """Networks that are never banned, such as ``"10.0.0.0/8"``."""

    limit_headers: str = "draft"
    """What answers say of quotas: ``"draft"`` (``RateLimit``, ``RateLimit-Policy``), ``"legacy"``
    (``X-RateLimit-Limit``, ``-Remaining``, ``-Reset``), ``"both"``, or ``"off"``."""

    limit_table: int = 8 * 1024 * 1024
    """Bytes of the shared table of counters; fixed at its creation."""

    ipv6_prefix: int = 64
    """Bits of an IPv6 address that name one client."""

    max_body: int = 1024 * 1024
    """Largest request body, in bytes. ``MAX_CONTENT_LENGTH``, where it is stricter, wins."""

    json_max_depth: int = 64
    """Deepest nesting of a JSON body."""

    json_max_keys: int = 10_000
    """Most members in a JSON body, all objects together."""

    json_max_digits: int = 309
    """Longest number in a JSON body, in characters."""

    access_log: str = "stderr"
    """``"stderr"``, ``"stdout"``, ``"off"``, or a file's path: one JSON line for each request."""

    access_log_delay: float = 0.05
    """Seconds that a line of the access log waits at most, to be written with others; 0 writes each at once.
    Not under ``app.testing``, where none waits."""

    redact: tuple[str, ...] = ()
    """Further names whose values are secret in logs, beside the built-in ones."""

    @classmethod
    def read(cls, config: Mapping[str, Any]) -> Settings:
        """The settings of this ``app.config``.

        :raises ConfigError: names the setting, what was wrong and what would be right.

        >>> Settings.read({"RAMPART_JWT_LEEWAY": 5}).jwt_leeway
        5
        """
        given: dict[str, Any] = {}
        for key, value in config.items():
            if not key.startswith(PREFIX):
                continue
            name = key[len(PREFIX) :].lower()
            reader = _READERS.get(name)
            if reader is None or key != key.upper():
                raise ConfigError(f"{key} is not a setting.{_nearest(key)}")
            given[name] = reader(key, value)
        return cls(**given)


def snapshot(config: Mapping[str, Any]) -> dict[str, Any]:
    """The ``RAMPART_`` part of a configuration, to tell later whether it was changed, also inside a list."""
    return {key: copy.deepcopy(value) for key, value in config.items() if key.startswith(PREFIX)}


def nearest(word: str, known: Sequence[str]) -> str:
    """`` Did you mean X?``, or nothing if no known word is close."""
    folded = {name.lower(): name for name in known}
    close = difflib.get_close_matches(word.lower(), folded, n=1, cutoff=0.6)
    return f" Did you mean {folded[close[0]]}?" if close else ""


def _nearest(key: str) -> str:
    return nearest(key.upper(), [PREFIX + name.upper() for name in _READERS])


# Readers: (key, value) -> value, or ConfigError.

Reader = Callable[[str, Any], Any]


def shown(value: object) -> str:
    """*value* as an error may quote it; its type alone where a secret may be in it: in a collection, or in a URL that
    has a user or a query.

    >>> shown("yes"), shown("redis://:hunter2@host"), shown({"secret": "hunter2"})
    ("'yes'", 'str', 'dict')
    """
    if isinstance(value, str):
        plain = "@" not in value and not ("://" in value and "?" in value)
    else:
        plain = value is None or isinstance(value, (int, float))
    return repr(value) if plain else type(value).__name__


def _wrong(key: str, value: object, wanted: str) -> ConfigError:
    what = shown(value)
    kind = type(value).__name__
    return ConfigError(f"{key} must be {wanted}, not {kind if what == kind else f'{kind} {what}'}.")


def _integer(low: int, high: int, unit: str) -> Reader:
    def read(key: str, value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise _wrong(key, value, f"a whole number of {unit} from {low} to {high}")
        return value

    return read


def _seconds(low: int, high: float) -> Reader:
    whole = _integer(low, int(high), "seconds")

    def read(key: str, value: Any) -> int:
        total = getattr(value, "total_seconds", None)
        if callable(total):
            value = math.floor(total())
        result: int = whole(key, value)
        return result

    return read


def _fraction(low: float, high: float, unit: str) -> Reader:
    def read(key: str, value: Any) -> float:
        total = getattr(value, "total_seconds", None)
        number = total() if callable(total) else value
        if isinstance(number, bool) or not isinstance(number, (int, float)) or not low <= number <= high:
            raise _wrong(key, value, f"a number of {unit} from {low} to {high}")
        return float(number)

    return read


def _boolean(key: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise _wrong(key, value, "True or False")
    return value


def _choice(*words: str) -> Reader:
    def read(key: str, value: Any) -> str:
        if not isinstance(value, str) or value not in words:
            hint = nearest(value, words) if isinstance(value, str) else ""
            raise ConfigError(f"{key} must be one of {', '.join(map(repr, words))}, not {shown(value)}.{hint}")
        return value

    return read


def _words(*known: str) -> Reader:
    one = _choice(*known)

    def read(key: str, value: Any) -> tuple[str, ...]:
        return tuple(dict.fromkeys(one(key, word) for word in _texts(key, value)))

    return read


def _path(key: str, value: Any) -> str:
    text = _text(key, value)
    if not text.startswith("/") or not text.isascii() or not text.isprintable() or set(text) & set(" ;?#<>"):
        raise _wrong(key, value, "a path that begins with /")
    return text


def _paths(key: str, value: Any) -> tuple[str, ...]:
    return tuple(_path(key, text) for text in _texts(key, value))


def _only_networks(key: str, value: Any) -> tuple[str, ...]:
    networks = _networks(key, value)
    if "unix" in networks:
        raise _wrong(key, value, "networks such as '10.0.0.0/8'")
    return networks


def _secret(key: str, value: Any) -> str:
    # The value is never quoted.
    if not isinstance(value, str) or len(value) < 16:
        raise ConfigError(f"{key} must be a text of at least 16 characters, the same on all hosts.")
    return value


def _text(key: str, value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise _wrong(key, value, "a text that is not empty")
    return value


def _address(key: str, value: Any) -> str:
    # The value is never quoted: a password may be in it.
    if not isinstance(value, str) or not value.strip():
        raise ConfigError(f"{key} must be a text that is not empty, not {type(value).__name__}.")
    return value


def _texts(key: str, value: Any) -> tuple[str, ...]:
    values = (value,) if isinstance(value, str) else value
    if not isinstance(values, (list, tuple, set, frozenset)) or not values:
        raise _wrong(key, value, "a text or a list of texts, not empty")
    return tuple(_text(key, item) for item in values)


def _quotas(key: str, value: Any) -> str:
    return "; ".join(_texts(key, value))


def _keys(key: str, value: Any) -> tuple[Mapping[str, Any], ...]:
    # The value is never quoted: it holds key material.
    entries = (value,) if isinstance(value, Mapping) else value
    if not isinstance(entries, (list, tuple)) or not entries:
        raise ConfigError(f"{key} must be a list of keys, not empty.")
    if not all(isinstance(entry, Mapping) for entry in entries):
        raise ConfigError(f"{key}: each key is a JWK as a dict, or a dict with 'alg' and 'secret', 'pem' or 'path'.")
    return tuple(dict(entry) for entry in entries)


def _issuers(key: str, value: Any) -> tuple[Mapping[str, Any], ...]:
    entries = (value,) if isinstance(value, Mapping) else value
    if not isinstance(entries, (list, tuple)) or not entries:
        raise ConfigError(f"{key} must be a list of issuers, not empty.")
    for index, entry in enumerate(entries):
        if not isinstance(entry, Mapping):
            raise ConfigError(
                f"{key}[{index}] must be a dict with 'issuer' and 'audience', not {type(entry).__name__}."
            )
    return tuple(dict(entry) for entry in entries)


def _resource(key: str, value: Any) -> str:
    text = _text(key, value)
    try:
        parts = urlsplit(text)
        bare = not (parts.username or parts.fragment or parts.query) and parts.port != 0
        plain = parts.scheme == "https" and parts.hostname and bare
    except ValueError:
        plain = False
    if not plain or not text.isascii() or not text.isprintable() or " " in text:
        raise ConfigError(f"{key} must be an https URL without query and fragment (RFC 9728), not {shown(value)}.")
    return text


def _roles(key: str, value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping) or not value:
        raise _wrong(key, value, "a dict of roles, not empty")
    return dict(value)


def _client_cert(key: str, value: Any) -> str:
    if not isinstance(value, str) or not (value in ("off", "server") or _FIELD.fullmatch(value)):
        hint = nearest(value, ("off", "server", "header:Client-Cert")) if isinstance(value, str) else ""
        raise ConfigError(
            f"{key} must be 'off', 'server', or 'header:' and the name of a header field (letters, digits, hyphens), "
            f"not {shown(value)}.{hint}"
        )
    return value


_FIELD = re.compile(r"header:[A-Za-z0-9]+(-[A-Za-z0-9]+)*")


def _networks(key: str, value: Any) -> tuple[str, ...]:
    found = []
    for text in _texts(key, value):
        if text != "unix":
            try:
                network = ip_network(text)
            except ValueError as error:
                raise ConfigError(
                    f"{key}: {shown(text)} is no network such as '10.0.0.0/8', and not 'unix'"
                    f"{'' if '@' in text else f': {error}'}."
                ) from None
            if isinstance(network, IPv6Network) and network.network_address.ipv4_mapped is not None:
                raise ConfigError(
                    f"{key}: {text!r} would match nobody: who connects by IPv4 is known by that address. "
                    "Write it as IPv4."
                )
            if network.prefixlen == 0:
                raise ConfigError(f"{key}: {text!r} is everybody. Name the addresses of your proxies.")
        found.append(text)
    return tuple(found)


def _mapping(key: str, value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise _wrong(key, value, "a dict")
    return dict(value)


_READERS: dict[str, Reader] = {
    "default": _choice("open", "deny"),
    "profile": _choice("api", "html", "mixed"),
    "csp": _mapping,
    "jwt_keys": _keys,
    "jwt_issuer": _text,
    "jwt_audience": _texts,
    "jwt_leeway": _seconds(0, 600),
    "jwt_lifetime": _seconds(1, 366 * 86400),
    "jwt_refresh_lifetime": _seconds(60, 10 * 366 * 86400),
    "jwt_family_lifetime": _seconds(60, 10 * 366 * 86400),
    "jwt_refresh_overlap": _seconds(0, 120),
    "jwt_revocation": _boolean,
    "jwt_locations": _words("header", "cookie", "json", "query"),
    "jwt_cookie_domain": _text,
    "jwt_cookie_samesite": _choice("Strict", "Lax", "None"),
    "jwt_cookie_secure": _boolean,
    "jwt_refresh_path": _path,
    "jwks_path": _path,
    "jwt_require_exp": _boolean,
    "jwt_types": _texts,
    "jwt_scopes_claim": _texts,
    "jwt_roles_claim": _texts,
    "jwt_permissions_claim": _texts,
    "roles": _roles,
    "user_loading": _choice("lazy", "eager"),
    "resource": _resource,
    "resource_metadata": _mapping,
    "dpop": _choice("off", "allowed", "required"),
    "dpop_max_age": _seconds(1, 600),
    "dpop_nonce": _boolean,
    "client_cert": _client_cert,
    "trusted_proxies": _networks,
    "issuers": _issuers,
    "api_keys": _boolean,
    "api_key_prefix": _text,
    "api_key_environment": _choice("live", "test"),
    "store": _address,
    "store_prefix": _text,
    "limits": _quotas,
    "limits_ban": _text,
    "limits_exempt_paths": _paths,
    "limits_exempt_networks": _only_networks,
    "limit_store": _address,
    "limit_store_timeout": _fraction(0.001, 10, "seconds"),
    "limit_lease": _fraction(0.1, 60, "seconds"),
    "limit_secret": _secret,
    "ban_exempt": _only_networks,
    "limit_headers": _choice("draft", "legacy", "both", "off"),
    "limit_table": _integer(64 * 1024, 4 * 1024**3, "bytes"),
    "ipv6_prefix": _integer(32, 128, "bits"),
    "max_body": _integer(1, 1024**3, "bytes"),
    "json_max_depth": _integer(1, 255, "levels"),
    "json_max_keys": _integer(1, 100_000_000, "members"),
    "json_max_digits": _integer(1, 4300, "characters"),
    "access_log": _text,
    "access_log_delay": _fraction(0, 60, "seconds"),
    "redact": _texts,
}

if set(_READERS) != {field.name for field in fields(Settings)}:  # pragma: no cover
    raise AssertionError("each setting has one reader")
