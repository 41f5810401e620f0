"""What pages of other origins may do with an app, or with one view of it: checked once, then constants.

A preflight (Fetch, "CORS-preflight request") is granted when all of these hold, looked at in this order:

1. its origin is one of ``origins``, in the one form in which browsers send it;
2. it asks for no private network, or ``private_network`` is on;
3. its method is GET, HEAD or POST, or one of ``methods``; without ``methods``, any that a view can have;
4. each of its header fields is one of ``headers``, whatever the case.

It is an error to make a policy that could not be meant: ``"*"`` with credentials (who is logged in would be read by
everybody), ``null``, plain HTTP with credentials (whoever is on the way is that origin), a star where the Fetch
standard takes it for a name, what browsers never let a page send or read.

Nothing that a peer sent leaves again but its origin, once it is known to be one of those listed, and its method, once
it is known to be plain letters.

It says nothing of who may call: a program that is no browser asks nobody.

Sources: Fetch (CORS protocol); Private Network Access; CVE-2024-6221; github.com/jub0bs/cors, whose start-up errors
are the measure for ours.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from .._native import Origins, parse_origin
from ..errors import ConfigError

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

Fields = tuple[tuple[str, str], ...]

DEFAULT_HEADERS = ("Authorization", "Content-Type")
"""What a page needs for JSON and a token."""

DEFAULT_EXPOSE = ("RateLimit", "RateLimit-Policy", "Retry-After", "WWW-Authenticate", "X-Request-Id")
"""What a page needs to understand a refusal of ours."""

DEFAULT_MAX_AGE = 600
"""Seconds."""

VARY = ("Vary", "Origin")
PREFLIGHT_VARY = (
    "Vary",
    "Origin, Access-Control-Request-Method, Access-Control-Request-Headers, Access-Control-Request-Private-Network",
)


class Policy:
    """What pages of the listed origins may do.

    :param where: names what a parameter is called, for errors: ``"cors({}=...)"`` or ``"RAMPART_CORS_{}"``.
    :raises ConfigError: for what could not be meant.
    """

    def __init__(
        self,
        where: str,
        origins: Any,
        *,
        credentials: Any = False,
        methods: Any = None,
        headers: Any = DEFAULT_HEADERS,
        expose: Any = DEFAULT_EXPOSE,
        max_age: Any = DEFAULT_MAX_AGE,
        private_network: Any = False,
    ) -> None:
        def name(parameter: str) -> str:
            return where.format(parameter.upper() if where.startswith("RAMPART_") else parameter)

        for parameter, value in (("credentials", credentials), ("private_network", private_network)):
            if not isinstance(value, bool):
                raise ConfigError(f"{name(parameter)} is True or False, not {value!r}.")
        if isinstance(max_age, bool) or not isinstance(max_age, int) or not 0 <= max_age <= _LONGEST_AGE:
            raise ConfigError(
                f"{name('max_age')} is whole seconds from 0 to {_LONGEST_AGE}, not {max_age!r}: no browser keeps a "
                "preflight for longer than a day."
            )
        listed, patterns = _split(name("origins"), origins)
        #: Whether every origin is meant.
        self.any = "*" in listed
        if self.any and (len(listed) > 1 or patterns):
            raise ConfigError(f"{name('origins')}: '*' is every origin, and stands alone.")
        if self.any and (credentials or private_network):
            raise ConfigError(
                f"{name('origins')}: '*' with {name('credentials' if credentials else 'private_network')} would let "
                "every page in the world act as whoever is logged in, or reach into your network. List the origins."
            )
        try:
            self._origins = Origins([] if self.any else listed, patterns)
        except ValueError as error:
            raise ConfigError(f"{name('origins')}: {error}.") from None
        insecure = self._origins.insecure
        if insecure is not None and (credentials or private_network):
            raise ConfigError(
                f"{name('origins')}: {insecure!r} is plain HTTP, and goes with "
                f"{name('credentials' if credentials else 'private_network')}: whoever is on the way could be that "
                "page. Write https://; only localhost needs none."
            )
        #: Whether there is an origin that is meant.
        self.is_off = not listed and not patterns
        #: Whether these pages act as whoever is logged in.
        self.credentials = credentials
        #: Origins that are named in full, as browsers send them; and what else was given.
        self.named = tuple(origin for text in listed if (origin := parse_origin(text)) is not None)
        self.unnamed = (*(text for text in listed if parse_origin(text) is None), *patterns)
        self._private_network = private_network
        self._methods = None if methods is None else _methods(name("methods"), methods)
        allowed = _allowed(name("headers"), headers, credentials)
        self._headers = frozenset(header.lower() for header in allowed)
        self._any_header = "*" in self._headers
        exposed = _exposed(name("expose"), expose, credentials)
        with_credentials: Fields = (("Access-Control-Allow-Credentials", "true"),) if credentials else ()
        self._after_origin: Fields = (
            *with_credentials,
            *((("Access-Control-Expose-Headers", ", ".join(exposed)),) if exposed else ()),
        )
        self._granted: Fields = (
            *with_credentials,
            ("Access-Control-Max-Age", str(max_age)),
            PREFLIGHT_VARY,
        )
        self._granted_headers: Fields = (("Access-Control-Allow-Headers", ", ".join(allowed)),)
        #: What an answer says to any page; only if every origin is meant.
        self.constant: Fields = (("Access-Control-Allow-Origin", "*"), *self._after_origin)
        self._known: dict[str, Fields] = {}

    def fields(self, origin: str) -> Fields | None:
        """What an answer says to a page of *origin*; None if that is not one of those meant."""
        if self.any:
            return self.constant
        found = self._known.get(origin)
        if found is None and self._origins.has(origin):
            found = (("Access-Control-Allow-Origin", origin), *self._after_origin, VARY)
            # Below a starred domain there are more names than memory.
            if len(self._known) < _MOST_KNOWN:
                self._known[origin] = found
        return found

    def preflight(self, environ: WSGIEnvironment) -> Fields | str:
        """What the answer to a preflight says; or why it is refused, in words without anything of the peer's."""
        fields = self.fields(environ["HTTP_ORIGIN"])
        if fields is None:
            return "origin"
        private = environ.get("HTTP_ACCESS_CONTROL_REQUEST_PRIVATE_NETWORK") == "true"
        if private and not self._private_network:
            return "private network"
        method: str = environ["HTTP_ACCESS_CONTROL_REQUEST_METHOD"]
        if not self._has_method(method):
            return "method"
        asked = environ.get("HTTP_ACCESS_CONTROL_REQUEST_HEADERS")
        if asked is not None and not self._has_headers(asked):
            return "header"
        return (
            fields[0],
            ("Access-Control-Allow-Methods", method),
            *(self._granted_headers if asked else ()),
            *((("Access-Control-Allow-Private-Network", "true"),) if private else ()),
            *self._granted,
        )

    def _has_method(self, method: str) -> bool:
        # Browsers grant the safelisted ones whatever a server says.
        if method in _SAFELISTED:
            return True
        if self._methods is not None:
            return method in self._methods
        return _PLAIN.fullmatch(method) is not None and method not in _FORBIDDEN_METHODS

    def _has_headers(self, asked: str) -> bool:
        if len(asked) > _LONGEST_ASKED:
            return False
        allowed, any_other = self._headers, self._any_header
        for part in asked.split(","):
            name = part.strip(" \t").lower()
            # Proxies that join lines leave empty members (RFC 9110 section 5.6.1).
            if name and name not in allowed and not (any_other and name != "authorization" and _TOKEN.fullmatch(name)):
                return False
        return True


def _split(where: str, origins: Any) -> tuple[list[str], list[str]]:
    """The texts, and the patterns of the regular expressions."""
    values = (origins,) if isinstance(origins, (str, re.Pattern)) else origins
    if not isinstance(values, (list, tuple, set, frozenset)):
        raise ConfigError(f"{where} is a list of origins such as 'https://example.com', not {type(origins).__name__}.")
    listed: list[str] = []
    patterns: list[str] = []
    for value in values:
        if isinstance(value, str):
            listed.append(value)
        elif isinstance(value, re.Pattern) and isinstance(value.pattern, str):
            if value.flags & ~(re.UNICODE | re.ASCII):
                quoted = "re.compile(...)" if "@" in value.pattern else repr(value)
                raise ConfigError(
                    f"{where}: {quoted} has flags. An origin is in lower case and on one line: leave them out."
                )
            patterns.append(value.pattern)
        else:
            raise ConfigError(f"{where}: an origin is a text, or re.compile(...) of one, not {type(value).__name__}.")
    return listed, patterns


def _names(where: str, given: Any, example: str) -> tuple[str, ...]:
    values = (given,) if isinstance(given, str) else given
    if not isinstance(values, (list, tuple, set, frozenset)):
        raise ConfigError(f"{where} is a list of names such as {example!r}, not {type(given).__name__}.")
    if isinstance(values, (set, frozenset)):
        values = sorted(map(str, values))  # the same answer from every worker
    for value in values:
        if not isinstance(value, str) or not _TOKEN.fullmatch(value):
            raise ConfigError(f"{where}: {value!r} is no name such as {example!r}.")
    # By name, whatever the case: the first spelling stays.
    return tuple({value.lower(): value for value in reversed(values)}.values())[::-1]


def _methods(where: str, given: Any) -> frozenset[str]:
    methods = _names(where, given, "PUT")
    for method in methods:
        if method.upper() in _FORBIDDEN_METHODS:
            raise ConfigError(f"{where}: no browser lets a page send {method}. Leave it out.")
        if method == "*":
            raise ConfigError(f"{where}: leave it out for every method that a view has; '*' is the name of none.")
        if method != method.upper():
            raise ConfigError(f"{where}: methods are told apart by case. Write {method.upper()!r}.")
    return frozenset(methods)


def _allowed(where: str, given: Any, credentials: bool) -> tuple[str, ...]:
    headers = _names(where, given, "Content-Type")
    for header in headers:
        name = header.lower()
        if name == "*" and credentials:
            raise ConfigError(f"{where}: with credentials, browsers read '*' as a header of that name. List the names.")
        if name in _UNSENDABLE or name.startswith(("access-control-", "proxy-", "sec-")):
            raise ConfigError(f"{where}: no browser lets a page set {header}. Leave it out.")
    return headers


def _exposed(where: str, given: Any, credentials: bool) -> tuple[str, ...]:
    headers = _names(where, given, "X-Total-Count")
    for header in headers:
        name = header.lower()
        if name == "*" and credentials:
            raise ConfigError(f"{where}: with credentials, browsers read '*' as a header of that name. List the names.")
        if name == "*" and len(headers) > 1:
            raise ConfigError(f"{where}: '*' is every header, and stands alone.")
        if name in ("set-cookie", "set-cookie2"):
            raise ConfigError(f"{where}: no browser lets a page read {header}. Leave it out.")
        if name.startswith("access-control-"):
            raise ConfigError(f"{where}: {header} is for the browser, not for the page. Leave it out.")
    return headers


def shown(text: Iterable[str] | str) -> str:
    """What a peer sent, as a log line may have it: short, on one line, in ASCII (CVE-2024-1681)."""
    text = str(text)
    return ascii(text[:_LONGEST_SHOWN]) + ("..." if len(text) > _LONGEST_SHOWN else "")


_LONGEST_AGE = 86_400
_LONGEST_ASKED = 4096
_LONGEST_SHOWN = 100
_MOST_KNOWN = 1024
_SAFELISTED = frozenset(("GET", "HEAD", "POST"))
_FORBIDDEN_METHODS = frozenset(("CONNECT", "TRACE", "TRACK"))
_PLAIN = re.compile(r"[A-Z]{1,20}")
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,128}")
# Fetch, "forbidden request-header".
_UNSENDABLE = frozenset(
    (
        "accept-charset", "accept-encoding", "connection", "content-length", "cookie", "cookie2", "date", "dnt",
        "expect", "host", "keep-alive", "origin", "referer", "set-cookie", "te", "trailer", "transfer-encoding",
        "upgrade", "via",
    )
)  # fmt: skip
