"""What pages of other origins may do with an answer, by the options of Flask-Cors.

A text with one of the signs of a regular expression in it is one, as there; it has to match the whole origin, so that
``https://app.example.com`` is not also ``https://app.example.com.evil.example``. ``null`` is no origin: each page in a
sandbox has it, and each ``data:`` URL.

The fields for an origin, and for what its page asks to send, are made once and kept: a thousand of them, none of them
long.

Patterns are the app's own, of Python's ``re``. No origin is longer than a host name, so what is longer is not matched.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Mapping
from datetime import timedelta
from difflib import get_close_matches
from typing import Any

from ...errors import ConfigError
from .patterns import is_ambiguous

Fields = tuple[tuple[str, str], ...]
Pattern = str | re.Pattern[str]

ALL_METHODS = ["GET", "HEAD", "POST", "OPTIONS", "PUT", "PATCH", "DELETE"]
DEFAULT_OPTIONS: dict[str, Any] = {
    "origins": "*",
    "methods": ALL_METHODS,
    "allow_headers": "*",
    "expose_headers": None,
    "supports_credentials": False,
    "max_age": None,
    "send_wildcard": False,
    "automatic_options": True,
    "vary_header": True,
    "resources": r"/*",
    "intercept_exceptions": True,
    "always_send": True,
    "allow_private_network": False,
}
CONFIG_OPTIONS = [f"CORS_{name.upper()}" for name in DEFAULT_OPTIONS]

ALLOW_ORIGIN = "Access-Control-Allow-Origin"


def merged(app: Any, *given: Mapping[str, Any]) -> dict[str, Any]:
    """The options that hold: those of *given*, the last one first, over the settings of *app* and the defaults.

    :raises ConfigError: for one that is none.
    """
    options = dict(DEFAULT_OPTIONS)
    config = getattr(app, "config", {})
    for name in DEFAULT_OPTIONS:
        value = config.get(f"CORS_{name.upper()}")
        if value is not None:
            options[name] = value
    for more in given:
        known(more)
        options.update(more)
    return options


def known(options: Mapping[str, Any]) -> None:
    """:raises ConfigError: for an option that is none: without it, a default would hold that allows everything."""
    for name in options:
        if name not in DEFAULT_OPTIONS:
            near = get_close_matches(name, DEFAULT_OPTIONS, 1, 0.5)
            raise ConfigError(f"CORS: {name!r} is no option.{f' Did you mean {near[0]!r}?' if near else ''}")


class Policy:
    """Options, read.

    :raises ConfigError: for what could not be meant.
    """

    def __init__(self, options: Mapping[str, Any]) -> None:
        given = [".*" if text == "*" else text for text in _listed("origins", options["origins"])]
        #: Whether every origin is meant.
        self.any = ".*" in given
        self.credentials = switch(options, "supports_credentials")
        self._send_wildcard = switch(options, "send_wildcard")
        self._always = switch(options, "always_send")
        self._private = switch(options, "allow_private_network")
        self.automatic_options = switch(options, "automatic_options")
        origins = [resolved(text, ignore_case=True) for text in given]
        self._check(given, origins)
        self._patterns = [origin for origin in origins if isinstance(origin, re.Pattern)]
        #: Patterns that would have matched a beginning, and match the whole.
        self.anchored = _anchored(self._patterns)
        #: Patterns that would have matched the origin of a sandbox.
        self.sandboxed = [] if self.any else [p.pattern for p in self._patterns if p.match("null")]
        #: Patterns that lend a login to sites of other names: dots in them match any character.
        self.loose = self._loose() if self.credentials or self._private else []
        literals = [origin for origin in origins if isinstance(origin, str)]
        self._literals = frozenset(origin.casefold() for origin in literals)
        self._first = min(literals, default=None)
        self._varies = switch(options, "vary_header") and bool(len(origins) > 1 or self._patterns)
        headers = [".*" if text == "*" else text for text in _listed("allow_headers", options["allow_headers"])]
        allowed = [resolved(text, ignore_case=True) for text in headers]
        self._allowed_patterns = [header for header in allowed if isinstance(header, re.Pattern)]
        self.anchored += _anchored(self._allowed_patterns)
        self._allowed = frozenset(header.casefold() for header in allowed if isinstance(header, str))
        methods = _joined("methods", options["methods"])
        self._methods = None if methods is None else methods.upper()
        self._granted = frozenset(method.strip() for method in (self._methods or "").split(","))
        exposed = _joined("expose_headers", options["expose_headers"])
        self._after: Fields = ((_EXPOSE, exposed),) if exposed else ()
        if self.credentials:
            self._after += (("Access-Control-Allow-Credentials", "true"),)
        age = options["max_age"]
        age = str(int(age.total_seconds())) if isinstance(age, timedelta) else age
        self._age = _joined("max_age", str(age)) if age else None
        #: By origin, or none, and what is asked.
        self._known: dict[tuple[str | None, bool, tuple[str, str] | None], Fields] = {}

    @property
    def unnamed(self) -> list[str]:
        """The patterns, each of which is many origins."""
        return [pattern.pattern for pattern in self._patterns]

    def fields(self, environ: Mapping[str, Any]) -> Fields:
        """What the answer to a request says; nothing where its page may not read it."""
        is_private = environ.get("HTTP_ACCESS_CONTROL_REQUEST_PRIVATE_NETWORK") == "true"
        asked: tuple[str, str] | None = None
        if environ["REQUEST_METHOD"] == "OPTIONS":
            asked = (
                environ.get("HTTP_ACCESS_CONTROL_REQUEST_METHOD") or "",
                environ.get("HTTP_ACCESS_CONTROL_REQUEST_HEADERS") or "",
            )
        key = (environ.get("HTTP_ORIGIN") or None, is_private, asked)
        found = self._known.get(key)
        if found is None:
            found = self._all(*key)
            # Whoever asks with much would have much of it kept.
            if len(self._known) < _MOST_KNOWN and sum(map(len, (key[0] or "", *(asked or ())))) <= _LONGEST_KNOWN:
                self._known[key] = found
        return found

    def _all(self, origin: str | None, is_private: bool, asked: tuple[str, str] | None) -> Fields:
        fields = self._of(origin)
        if fields and is_private:
            fields += (("Access-Control-Allow-Private-Network", "true" if self._private else "false"),)
        return fields + self._preflight(*asked) if fields and asked else fields

    def _of(self, origin: str | None) -> Fields:
        sent = self._sent(origin)
        if sent is None:
            return ()
        # A page in a sandbox gets what no other page does.
        varies = self._varies and (sent != "*" or (origin == "null" and not self._send_wildcard))
        return ((ALLOW_ORIGIN, sent), *self._after, *((("Vary", "Origin"),) if varies else ()))

    def _sent(self, origin: str | None) -> str | None:
        if origin is None:
            return ("*" if self.any else self._first) if self._always else None
        if self.any:
            return "*" if self._send_wildcard or origin == "null" else origin
        return origin if self._has(origin) else None

    def _has(self, origin: str) -> bool:
        if origin == "null" or len(origin) > _LONGEST:
            return False
        return origin.casefold() in self._literals or any(pattern.fullmatch(origin) for pattern in self._patterns)

    def _preflight(self, method: str, asked: str) -> Fields:
        wanted = method.upper()
        if not wanted or self._methods is None or wanted not in self._granted:
            return ()
        headers = ", ".join(sorted(name for part in asked.split(",") if self._allows(name := part.strip())))
        return (
            *((("Access-Control-Allow-Headers", headers),) if headers else ()),
            *((("Access-Control-Max-Age", self._age),) if self._age else ()),
            ("Access-Control-Allow-Methods", self._methods),
        )

    def _allows(self, name: str) -> bool:
        if not _TOKEN.fullmatch(name):
            return False
        return name.casefold() in self._allowed or any(pattern.fullmatch(name) for pattern in self._allowed_patterns)

    def _check(self, given: list[Pattern], origins: list[Pattern]) -> None:
        if "null" in given:
            raise ConfigError(
                "CORS: origins: 'null' is the origin of every page in a sandbox, whoever wrote it. List the origins."
            )
        is_lent = self.credentials or self._private
        for origin in origins if is_lent else ():
            # What is tried below would never end.
            if isinstance(origin, re.Pattern) and is_ambiguous(origin):
                raise ConfigError(
                    f"CORS: origins: {origin.pattern!r} repeats what reads one text in two ways, so an origin that "
                    "somebody made for it keeps a worker busy for ever. Write a repeated part so that it ends: "
                    r"([a-z0-9-]+\.)+, not ([a-z0-9-]+\.?)+."
                )
        wide = self.any or (is_lent and any(isinstance(origin, re.Pattern) and _is_wide(origin) for origin in origins))
        for name, is_on in (("supports_credentials", self.credentials), ("allow_private_network", self._private)):
            if wide and is_on:
                raise ConfigError(
                    f"CORS: origins that mean every origin, with {name}, would let every page in the world act as "
                    "whoever is logged in, or reach into your network. List the origins."
                )

    def _loose(self) -> list[str]:
        return [
            pattern.pattern
            for pattern in self._patterns
            if any(pattern.fullmatch(f"{near}{host}") for near in _NEXT_TO for host in _hosts(pattern))
        ]


def tell(policies: Iterable[Policy]) -> None:
    """Where we are stricter, and how theirs is to be had; and what is as loose as theirs."""
    known = list(policies)
    told = []
    if patterns := _named(pattern for policy in known for pattern in policy.anchored):
        told.append(
            "a pattern matches the whole of an origin or name, not its beginning alone (to have theirs, end it in .*): "
            f"{patterns}"
        )
    if patterns := _named(pattern for policy in known for pattern in policy.sandboxed):
        told.append(f"'null', the origin of every page in a sandbox, is not allowed by {patterns}")
    log = logging.getLogger("flask_rampart")
    if told:
        log.warning(
            "flask_rampart.compat.cors: stricter than Flask-Cors: %s; see docs/migrate/cors.md.", "; ".join(told)
        )
    if patterns := _named(pattern for policy in known for pattern in policy.loose):
        log.warning(
            "flask_rampart.compat.cors: these patterns lend a login to sites of other names, as to evilexample.com: a "
            "dot matches any character: %s. Write \\. before your domain; see docs/migrate/cors.md.",
            patterns,
        )


def _named(patterns: Iterable[str]) -> str:
    return ", ".join(map(repr, sorted(set(patterns))))


def _anchored(patterns: Iterable[re.Pattern[str]]) -> list[str]:
    return [p.pattern for p in patterns if not p.pattern.endswith(("$", r"\Z", ".*"))]


def _hosts(pattern: re.Pattern[str]) -> list[str]:
    """The names that stand in a pattern, with dots or without: whose sites it is written for."""
    found = _NAME.findall(pattern.pattern.replace("\\", ""))
    return [name for name in found if name not in ("http", "https")]


def _is_wide(pattern: re.Pattern[str]) -> bool:
    """Whether it matches an origin that anybody can have."""
    # A name below somebody else's.
    near = (
        f"{scheme}://{before}{name}{after}"
        for scheme in ("https", "http")
        for name in _hosts(pattern)
        for before, after in _AROUND
    )
    return any(pattern.fullmatch(probe) for probe in (*_PROBES, *near))


def resolved(pattern: Pattern, *, ignore_case: bool) -> Pattern:
    """A text that reads like a regular expression, compiled.

    :raises ConfigError: for one that is none.
    """
    if isinstance(pattern, str) and is_regex(pattern):
        try:
            return re.compile(pattern, re.IGNORECASE if ignore_case else 0)
        except re.error as error:
            raise ConfigError(f"CORS: {pattern!r} is no regular expression: {error}.") from None
    return pattern


def is_regex(text: str) -> bool:
    """Whether a text has one of the signs of a regular expression in it."""
    return not _SIGNS.isdisjoint(text)


def _listed(name: str, given: Any) -> list[Pattern]:
    values = [given] if isinstance(given, str) or not isinstance(given, Iterable) else list(given)
    for value in values:
        if not isinstance(value, (str, re.Pattern)) or not isinstance(getattr(value, "pattern", ""), str):
            raise ConfigError(f"CORS: {name} is a text, re.compile(...) of one, or a list of them, not {value!r}.")
    return values


def _joined(name: str, given: Any) -> str | None:
    text = ", ".join(map(str, sorted(given))) if _is_list(given) else None if given is None else str(given)
    if text is not None and not (text.isprintable() and text.isascii()):
        raise ConfigError(f"CORS: {name} would be {text!r}. A field is plain text on one line.")
    return text


def _is_list(given: Any) -> bool:
    return isinstance(given, Iterable) and not isinstance(given, str)


def switch(options: Mapping[str, Any], name: str) -> bool:
    value = options[name]
    if isinstance(value, str):
        raise ConfigError(f"CORS: {name} is True or False, not the text {value!r}, which would count as True.")
    return bool(value)


_EXPOSE = "Access-Control-Expose-Headers"
_LONGEST = 300
_LONGEST_KNOWN = 512
_MOST_KNOWN = 1024
_SIGNS = frozenset("*\\]?$^[]()")
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,128}")
_NAME = re.compile(r"[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*")
_AROUND = (("", ".evil.com"), ("", ".x7q9-unlikely.net"), ("x.", ".evil.com"), ("x", "x.com"))
_NEXT_TO = ("https://evil", "https://evil-", "http://evil", "http://evil-")
# Anybody can have one of these, so a pattern that matches one of them matches everybody.
_SUFFIXES = (
    "com",
    "net",
    "org",
    "io",
    "dev",
    "app",
    "de",
    "co.uk",
    "github.io",
    "herokuapp.com",
    "netlify.app",
    "vercel.app",
)
_PROBES = (
    "https://x7q9.zz-unlikely.invalid",
    "http://x7q9.zz-unlikely.invalid:81",
    "x7q9-unlikely://zz",
    *(f"https://{name}.{suffix}" for suffix in _SUFFIXES for name in ("x7q9-unlikely", "evil", "www.evil", "x7q9")),
    *(
        f"{scheme}://{name}.com{port}"
        for scheme in ("http", "https")
        for name in ("evil", "a.b")
        for port in ("", ":8443")
    ),
    *(f"https://{'e' * length}.com" for length in range(1, 17)),
)
