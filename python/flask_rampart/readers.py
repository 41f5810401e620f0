"""Readers: what one setting's value may be, and how what it may not be is refused.

A reader takes the name of a setting and the value that it was given, and returns the value that the app runs by, or
raises :class:`ConfigError`. Rules, in order:

1. a value of the wrong type is refused, also where Python would take it, as it takes True for 1;
2. so is one that is empty or out of range (an empty :func:`mapping` is for its room to judge), and a network that
   would match nobody or everybody;
3. the refusal names the setting and what would be right, with the nearest word where there are few;
4. it quotes the value as :func:`shown` does, and nothing of one that is a secret.

Which setting is read by which reader stands in ``config``. No file is opened, and no key, quota or policy is parsed:
that is for the rooms.
"""

from __future__ import annotations

import difflib
import math
import os
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from ipaddress import IPv4Network, IPv6Network, collapse_addresses, ip_network
from typing import Any
from urllib.parse import urlsplit

from ._native import HeadBounds
from .addresses import NEVER, kind_of
from .errors import ConfigError
from .hostnames import Authority, ascii_authority, is_address
from .weburl import NotReadable, read_host, read_url

Reader = Callable[[str, Any], Any]
REDACTION = ("names", "entities", "operators", "allow", "deny", "detectors", "context")
"""What ``RAMPART_REDACT`` may say."""


def nearest(word: str, known: Sequence[str]) -> str:
    """`` Did you mean X?``, or nothing if no known word is close."""
    folded = {name.lower(): name for name in known}
    close = difflib.get_close_matches(word.lower(), folded, n=1, cutoff=0.6)
    return f" Did you mean {folded[close[0]]}?" if close else ""


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


def integer(low: int, high: int, unit: str) -> Reader:
    """A whole number of *unit* from *low* to *high*."""

    def read(key: str, value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise _wrong(key, value, f"a whole number of {unit} from {low} to {high}")
        return value

    return read


def seconds(low: int, high: float) -> Reader:
    """Whole seconds from *low* to *high*, or a ``timedelta``, rounded down."""
    whole = integer(low, int(high), "seconds")

    def read(key: str, value: Any) -> int:
        total = getattr(value, "total_seconds", None)
        if callable(total):
            value = math.floor(total())
        result: int = whole(key, value)
        return result

    return read


def fraction(low: float, high: float, unit: str) -> Reader:
    """A number of *unit* from *low* to *high*, or a ``timedelta``."""

    def read(key: str, value: Any) -> float:
        total = getattr(value, "total_seconds", None)
        number = total() if callable(total) else value
        if isinstance(number, bool) or not isinstance(number, (int, float)) or not low <= number <= high:
            raise _wrong(key, value, f"a number of {unit} from {low} to {high}")
        return float(number)

    return read


def boolean(key: str, value: Any) -> bool:
    """True or False, and nothing that Python takes for one of them."""
    if not isinstance(value, bool):
        raise _wrong(key, value, "True or False")
    return value


def choice(*known: str) -> Reader:
    """One of the words that are *known*."""

    def read(key: str, value: Any) -> str:
        if not isinstance(value, str) or value not in known:
            hint = nearest(value, known) if isinstance(value, str) else ""
            raise ConfigError(f"{key} must be one of {', '.join(map(repr, known))}, not {shown(value)}.{hint}")
        return value

    return read


def words(*known: str) -> Reader:
    """Some of the words that are *known*, each once, in their order."""
    one = choice(*known)

    def read(key: str, value: Any) -> tuple[str, ...]:
        return tuple(dict.fromkeys(one(key, word) for word in texts(key, value)))

    return read


def codings(key: str, value: Any) -> tuple[str, ...]:
    """Content codings; or ``"as-is"`` alone, since a body is either decoded or left."""
    found: tuple[str, ...] = words("gzip", "deflate", "br", "as-is")(key, value)
    if "as-is" in found and len(found) > 1:
        raise ConfigError(f"{key}: 'as-is' stands alone. A body is decoded, or left as it came.")
    return found


def path(key: str, value: Any) -> str:
    """The path of a URL on this host."""
    found = text(key, value)
    if not found.startswith("/") or not found.isascii() or not found.isprintable() or set(found) & set(" ;?#<>"):
        raise _wrong(key, value, "a path that begins with /")
    return found


def paths(key: str, value: Any) -> tuple[str, ...]:
    """One path or more."""
    return tuple(path(key, item) for item in texts(key, value))


def reports(key: str, value: Any) -> str:
    """Where browsers report to: a path on this host, or an https URL."""
    found = text(key, value)
    if _REPORTS.fullmatch(found) and "/./" not in f"{found}/" and "/../" not in f"{found}/":
        return found
    if found.startswith("https://") and _URL.fullmatch(found):
        try:
            read_url(found)
        except NotReadable as wrong:
            raise ConfigError(f"{key} must be a path such as '/reports' or an https URL: {wrong}.") from None
        return found
    raise _wrong(key, value, "a path of letters, digits and - . _ ~ such as '/reports', or an https URL")


def secret(key: str, value: Any) -> str:
    """A secret that all hosts share."""
    # The value is never quoted.
    if not isinstance(value, str) or len(value) < 16:
        raise ConfigError(f"{key} must be a text of at least 16 characters, the same on all hosts.")
    return value


def keyset_paths(key: str, value: Any) -> Mapping[str, str]:
    """Keysets by name, each the path of a file; a single path is the keyset called ``default``."""
    given = {"default": value} if isinstance(value, (str, os.PathLike)) else value
    if not isinstance(given, Mapping) or not given:
        raise _wrong(key, value, "the path of a keyset, or a dict of paths by name, not empty")
    found = {}
    for name, path in given.items():
        if not isinstance(name, str) or not _KEYSET_NAME.fullmatch(name):
            raise ConfigError(f"{key}: a keyset is called by lower-case letters, digits, '-' and '_', not {name!r}.")
        path = os.fspath(path) if isinstance(path, os.PathLike) else path
        found[name] = text(f"{key}[{name!r}]", path)
    return found


def kms(key: str, value: Any) -> Any:
    """What seals keysets: an object with ``encrypt`` and ``decrypt``, or a function that gives one."""
    if isinstance(value, type) or not (
        callable(value) or (callable(getattr(value, "encrypt", None)) and callable(getattr(value, "decrypt", None)))
    ):
        raise ConfigError(
            f"{key} must be an object with encrypt(plaintext, associated_data) and decrypt(ciphertext, "
            "associated_data), such as Tink's Aead of a KMS, or a function that returns one; not "
            f"{type(value).__name__}."
        )
    return value


def passphrase(key: str, value: Any) -> Any:
    """Where a passphrase is: a file's path, or a function that returns it."""
    path = os.fspath(value) if isinstance(value, os.PathLike) else value
    if callable(path) and not isinstance(path, type):
        return path
    # Never quoted: it may be the passphrase itself.
    if not isinstance(path, str) or not path.strip():
        raise ConfigError(f"{key} must be the path of a file that holds the passphrase, or a function that returns it.")
    return path


def text(key: str, value: Any) -> str:
    """A text that is not empty."""
    if not isinstance(value, str) or not value.strip():
        raise _wrong(key, value, "a text that is not empty")
    return value


def address(key: str, value: Any) -> str:
    """Where a store is."""
    # The value is never quoted: a password may be in it.
    if not isinstance(value, str) or not value.strip():
        raise ConfigError(f"{key} must be a text that is not empty, not {type(value).__name__}.")
    return value


def texts(key: str, value: Any) -> tuple[str, ...]:
    """One text or more; a single one may stand without a list."""
    values = (value,) if isinstance(value, str) else value
    if not isinstance(values, (list, tuple, set, frozenset)) or not values:
        raise _wrong(key, value, "a text or a list of texts, not empty")
    return tuple(text(key, item) for item in values)


def redaction(key: str, value: Any) -> tuple[str, ...] | Mapping[str, Any]:
    """Names alone, or a dict of what a redactor takes; what the dict's members may be is for their room to judge."""
    if not isinstance(value, Mapping):
        if not isinstance(value, (str, list, tuple, set, frozenset)):
            raise _wrong(key, value, 'names, or a dict such as {"names": ["license_key"], "operators": {...}}')
        return texts(key, value)
    if not value:
        raise _wrong(key, value, "a dict that says something; leave the setting out for the built-in rules")
    for name in value:
        if name not in REDACTION:
            raise ConfigError(f"{key} has no {name!r}.{nearest(str(name), REDACTION)} It has {', '.join(REDACTION)}.")
    # A copy: what is said later to the dict is no setting.
    return {**value, **({"names": texts(f"{key}['names']", value["names"])} if "names" in value else {})}


def origins(key: str, value: Any) -> tuple[Any, ...]:
    """Origins as texts and compiled regular expressions; a single one may stand without a list."""
    values = (value,) if isinstance(value, (str, re.Pattern)) else value
    if not isinstance(values, (list, tuple, set, frozenset)) or not values:
        raise _wrong(key, value, "a list of origins such as 'https://app.example.com', not empty")
    return tuple(item if isinstance(item, re.Pattern) else text(key, item) for item in values)


def methods(key: str, value: Any) -> tuple[str, ...]:
    """Methods that may be answered; several may stand in one text: ``"GET HEAD"``."""
    found = texts(key, value.split() or value if isinstance(value, str) else value)
    try:
        HeadBounds(max_headers=1, max_header_bytes=1, max_query=1, max_path=1, methods=found)
    except ValueError as error:
        raise ConfigError(f"{key}: {error}.") from None
    return tuple(dict.fromkeys(found))


def quotas(key: str, value: Any) -> str:
    """Quotas as one text, from one text or several."""
    return "; ".join(texts(key, value))


def keys(key: str, value: Any) -> tuple[Mapping[str, Any], ...]:
    """Keys as dicts; a single one may stand without a list."""
    # The value is never quoted: it holds key material.
    entries = (value,) if isinstance(value, Mapping) else value
    if not isinstance(entries, (list, tuple)) or not entries:
        raise ConfigError(f"{key} must be a list of keys, not empty.")
    if not all(isinstance(entry, Mapping) for entry in entries):
        raise ConfigError(f"{key}: each key is a JWK as a dict, or a dict with 'alg' and 'secret', 'pem' or 'path'.")
    return tuple(dict(entry) for entry in entries)


def issuers(key: str, value: Any) -> tuple[Mapping[str, Any], ...]:
    """Issuers as dicts; a single one may stand without a list."""
    entries = (value,) if isinstance(value, Mapping) else value
    if not isinstance(entries, (list, tuple)) or not entries:
        raise ConfigError(f"{key} must be a list of issuers, not empty.")
    for index, entry in enumerate(entries):
        if not isinstance(entry, Mapping):
            raise ConfigError(
                f"{key}[{index}] must be a dict with 'issuer' and 'audience', not {type(entry).__name__}."
            )
    return tuple(dict(entry) for entry in entries)


def resource(key: str, value: Any) -> str:
    """A resource identifier (RFC 9728 section 1.2), without a query too."""
    url = text(key, value)
    try:
        parts = urlsplit(url)
        bare = not (parts.username or parts.fragment or parts.query) and parts.port != 0
        plain = parts.scheme == "https" and parts.hostname and bare
    except ValueError:
        plain = False
    if not plain or not url.isascii() or not url.isprintable() or " " in url:
        raise ConfigError(f"{key} must be an https URL without query and fragment (RFC 9728), not {shown(value)}.")
    return url


def roles(key: str, value: Any) -> Mapping[str, Any]:
    """Roles as a dict that is not empty."""
    if not isinstance(value, Mapping) or not value:
        raise _wrong(key, value, "a dict of roles, not empty")
    return dict(value)


def client_cert(key: str, value: Any) -> str:
    """Where the certificate of a client is: ``off``, ``server``, or the name of a header field."""
    if not isinstance(value, str) or not (value in ("off", "server") or _FIELD.fullmatch(value)):
        hint = nearest(value, ("off", "server", "header:Client-Cert")) if isinstance(value, str) else ""
        raise ConfigError(
            f"{key} must be 'off', 'server', or 'header:' and the name of a header field (letters, digits, hyphens), "
            f"not {shown(value)}.{hint}"
        )
    return value


def cookies(key: str, value: Any) -> Mapping[str, Mapping[str, Any]]:
    """Rules for cookies by name; what a name may be is for the policy to judge."""
    if not isinstance(value, Mapping) or not value:
        raise _wrong(key, value, 'a dict of names of cookies, such as {"theme": {"http_only": False}}, not empty')
    found: dict[str, Mapping[str, Any]] = {}
    for name, rule in value.items():
        if not isinstance(name, str):
            raise _wrong(key, name, "a dict whose keys are names of cookies")
        if not isinstance(rule, Mapping) or not rule:
            raise _wrong(f"{key}[{name!r}]", rule, f"a dict of {', '.join(_OF_COOKIES)}, not empty")
        for word, what in rule.items():
            if word not in _OF_COOKIES:
                hint = nearest(word, tuple(_OF_COOKIES)) if isinstance(word, str) else ""
                raise ConfigError(f"{key}[{name!r}] has no {shown(word)}, but {', '.join(_OF_COOKIES)}.{hint}")
            _OF_COOKIES[word](f"{key}[{name!r}][{word!r}]", what)
        found[name] = dict(rule)
    return found


def networks(key: str, value: Any) -> tuple[str, ...]:
    """Networks of IP addresses, and ``"unix"``."""
    found = []
    for item in texts(key, value):
        if item != "unix":
            try:
                network = ip_network(item)
            except ValueError as error:
                raise ConfigError(
                    f"{key}: {shown(item)} is no network such as '10.0.0.0/8', and not 'unix'"
                    f"{'' if '@' in item else f': {error}'}."
                ) from None
            if isinstance(network, IPv6Network) and network.network_address.ipv4_mapped is not None:
                raise ConfigError(
                    f"{key}: {item!r} would match nobody: who connects by IPv4 is known by that address. "
                    "Write it as IPv4."
                )
            if network.prefixlen == 0:
                raise ConfigError(f"{key}: {item!r} is everybody. Name the addresses of your proxies.")
        found.append(item)
    # 0.0.0.0/1 and 128.0.0.0/1 are everybody too.
    listed = [ip_network(item) for item in found if item != "unix"]
    together: list[IPv4Network | IPv6Network] = [
        *collapse_addresses(network for network in listed if isinstance(network, IPv4Network)),
        *collapse_addresses(network for network in listed if isinstance(network, IPv6Network)),
    ]
    if any(network.prefixlen == 0 for network in together):
        raise ConfigError(f"{key}: these networks together are everybody. Name the addresses of your proxies.")
    return tuple(found)


def forwarded(key: str, value: Any) -> tuple[str, ...]:
    """Fields that proxies write; or ``"forwarded"`` alone, since a proxy that writes one kind passes the other on."""
    found: tuple[str, ...] = words("for", "proto", "host", "port", "prefix", "forwarded")(key, value)
    if "forwarded" in found and len(found) > 1:
        raise ConfigError(
            f"{key}: 'forwarded' stands alone. A proxy that writes Forwarded passes on what a client wrote into "
            "X-Forwarded-*."
        )
    return found


def only_networks(key: str, value: Any) -> tuple[str, ...]:
    """Networks, without ``"unix"``."""
    found = networks(key, value)
    if "unix" in found:
        raise _wrong(key, value, "networks such as '10.0.0.0/8'")
    return found


def outbound_networks(key: str, value: Any) -> tuple[str, ...]:
    """Networks that may be called although they are not public."""
    found = only_networks(key, value)
    for item in found:
        network = ip_network(item)
        if network.prefixlen < (8 if network.version == 4 else 7):
            raise ConfigError(
                f"{key}: {item!r} is more than any private network (10.0.0.0/8, fc00::/7). List your own."
            )
        ends = {kind_of(str(network[0])), kind_of(str(network[-1]))}
        if ends <= NEVER:
            raise ConfigError(
                f"{key}: {item!r} is never called: link-local addresses, and where clouds keep a machine's credentials."
            )
    return found


def host_patterns(key: str, value: Any) -> tuple[str, ...]:
    """Hosts, and ``"*.example.com"`` for all names below one."""
    found = []
    for item in texts(key, value):
        name = item[2:] if item.startswith("*.") else item
        try:
            host = read_host(f"[{name}]" if name.count(":") > 1 and not name.startswith("[") else name)
        except NotReadable:
            raise _wrong(
                key, item, "hosts such as 'api.example.com' or '*.example.com', without scheme and port"
            ) from None
        if name is not item and kind_of(host) != "unreadable":
            raise _wrong(key, item, "hosts: there is nothing below an address")
        found.append(f"*.{host}" if name is not item else host)
    return tuple(found)


def trusted_hosts(key: str, value: Any) -> tuple[str, ...]:
    """Hosts, ``".example.com"`` or ``"*.example.com"`` for all names below one, each perhaps with a port."""
    found = []
    for item in texts(key, value):
        below = item.startswith((".", "*."))
        name = item.removeprefix("*").removeprefix(".") if below else item
        if item in ("*", ".", "*."):
            raise ConfigError(f"{key}: {item!r} is everybody. List the names that this app is called by.")
        authority = _authority(key, item, name)
        if below and is_address(authority.host):
            raise _wrong(key, item, "hosts: there is nothing below an address")
        found.append(f"{'*.' if below else ''}{authority.written()}")
    return tuple(found)


def host(key: str, value: Any) -> str:
    """One host, perhaps with a port."""
    item = text(key, value)
    return _authority(key, item, item).written()


def _authority(key: str, item: str, name: str) -> Authority:
    try:
        return ascii_authority(name)
    except NotReadable as error:
        raise ConfigError(
            f"{key} takes hosts such as 'api.example.com' or 'api.example.com:8443', without scheme and path, not "
            f"{shown(item)}: {error}."
        ) from None


def hsts(key: str, value: Any) -> str:
    """``Strict-Transport-Security`` from its parts; empty for none."""
    if value is False:
        return ""
    if not isinstance(value, Mapping):
        raise _wrong(key, value, 'False, or a dict such as {"max_age": 63072000, "subdomains": True, "preload": False}')
    known = ("max_age", "subdomains", "preload")
    for name in value:
        if name not in known:
            raise ConfigError(f"{key}: {name!r} is no part of it.{nearest(str(name), known)}")
    age = seconds(0, 10 * 366 * 86400)(f'{key}["max_age"]', value.get("max_age", 63072000))
    subdomains = boolean(f'{key}["subdomains"]', value.get("subdomains", True))
    if boolean(f'{key}["preload"]', value.get("preload", False)) and not (subdomains and age >= _PRELOADABLE):
        raise ConfigError(
            f"{key}: the browsers' list takes no 'preload' without subdomains and a max_age of {_PRELOADABLE} seconds "
            "(a year) or more. Leave it False until you serve all subdomains by HTTPS."
        )
    return f"max-age={age}{'; includeSubDomains' if subdomains else ''}{'; preload' if value.get('preload') else ''}"


def day(key: str, value: Any) -> date:
    """A day, as a text such as ``"2026-11-29"`` or a ``date``."""
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    if isinstance(value, str) and _DAY.fullmatch(value):
        try:
            return date.fromisoformat(value)
        except ValueError:
            pass
    raise _wrong(key, value, "a day such as '2026-11-29'")


def mapping(key: str, value: Any) -> Mapping[str, Any]:
    """A dict."""
    if not isinstance(value, Mapping):
        raise _wrong(key, value, "a dict")
    return dict(value)


def _wrong(key: str, value: object, wanted: str) -> ConfigError:
    what = shown(value)
    kind = type(value).__name__
    return ConfigError(f"{key} must be {wanted}, not {kind if what == kind else f'{kind} {what}'}.")


_PRELOADABLE = 31_536_000
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_KEYSET_NAME = re.compile(r"[a-z][a-z0-9_-]{0,63}", re.ASCII)
_REPORTS = re.compile(r"(?:/[A-Za-z0-9._~-]+)+")
_URL = re.compile(r"[^\s\"',;<>#\\]+")
"""What ends no directive, no policy and no quoted string of a header field."""
_OF_COOKIES: Mapping[str, Reader] = {
    "http_only": boolean,
    "same_site": choice("Lax", "Strict", "None"),
    "secure": boolean,
    "partitioned": boolean,
}
_FIELD = re.compile(r"header:[A-Za-z0-9]+(-[A-Za-z0-9]+)*")
