"""Schemes: the kinds of credentials that an app takes, and those that it checks itself.

A function of the app's becomes a scheme by ``rampart.scheme``. What holds for it, in order:

1. with ``header=``, a field that is absent, blank, or of another scheme carries nothing, and the function is not
   called: an empty credential never reaches it (CVE-2026-34531); nor does one that is not ASCII, which refuses;
2. it returns who it is; None refuses, where there was a field, and otherwise says that there is no credential;
3. what it raises refuses: ``Denied`` with its own code, an ``HTTPException`` such as ``abort(404)`` as it is, a store
   that cannot be read as ``store.unavailable``, anything else as ``guard.failed``;
4. what it returns and is not a principal refuses.

A scheme with ``header=`` can collide with other credentials (``auth.ambiguous``). One without reads what it likes, a
client certificate say, which stands on every request: it is asked last, and never makes another one ambiguous.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterable
from typing import Any, cast

from ..checks import Check
from ..errors import ConfigError, Denied
from ..exchange import BUILT_IN, Exchange, Principal, Renamed, Scheme
from ..refusals import Challenge
from ..waiting import settle
from .identity import Identity

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110 section 5.6.2
# WSGI has the first two under other names, so they would never be there; the third always is.
_NO_CREDENTIAL = frozenset(("content-type", "content-length", "host"))
_AUTHORIZATION = "HTTP_AUTHORIZATION"


class Schemes(dict[str, Scheme]):
    """The kinds of credentials that an app takes, by name."""

    def __init__(self) -> None:
        super().__init__()
        #: What counts the use of credentials of a kind that may have a quota of their own. Handed over at start-up.
        self.meters: dict[str, Check] = {}
        #: The WSGI names of the fields that schemes of the app's own read, but ``Authorization``. Handed over as it is:
        #: more may be added.
        self.fields: set[str] = set()

    def add(self, scheme: CustomScheme) -> None:
        """Takes a scheme of the app's own.

        :raises ConfigError: if it reads what another one reads, so that the two would always be ambiguous.
        """
        if scheme.field == "HTTP_X_API_KEY" and "api_key" in self:
            raise ConfigError(f"The scheme {scheme.name!r} reads the same credential as 'api_key' (RAMPART_API_KEYS).")
        for name, other in self.items():
            word = not scheme.in_authorization or other.challenge.scheme.lower() == scheme.challenge.scheme.lower()
            field = other.field == scheme.field if isinstance(other, CustomScheme) else scheme.in_authorization
            if scheme.field is not None and field and word:
                raise ConfigError(f"The scheme {scheme.name!r} reads the same credential as {name!r}.")
        if scheme.field is not None and not scheme.in_authorization:
            self.fields.add(scheme.field)
        self[scheme.name] = scheme

    def in_order(self, names: Iterable[str]) -> list[str]:
        """Those that read a field of their own first."""
        return sorted(names, key=self.is_ambient)

    def is_ambient(self, name: str) -> bool:
        """Whether a scheme reads what it likes, which may stand on every request."""
        return bool(getattr(self[name], "ambient", False))


class CustomScheme:
    """A scheme whose credentials a function of the app's checks."""

    def __init__(self, name: str, function: Callable[..., Any], challenge: str | None, header: str | None) -> None:
        self.name = name
        self.challenge = Challenge(challenge or name)
        #: The WSGI name of the field that it reads; None if it reads what it likes.
        self.field = None if header is None else f"HTTP_{header.upper().replace('-', '_')}"
        self.ambient = header is None
        self.in_authorization = self.field == _AUTHORIZATION
        self._function = function

    def carries(self, exchange: Exchange) -> bool:
        """Whether the request has its field, with something in it."""
        return not self.ambient and bool(self._value(exchange.environ))

    def authenticate(self, exchange: Exchange) -> Principal | Denied | None:
        """Whom the function says that the request is from."""
        if self.ambient:
            arguments: tuple[str, ...] = ()
        else:
            value = self._value(exchange.environ)
            if not value:
                return None
            if not value.isascii():
                # RFC 9110 section 5.5. `hmac.compare_digest` would raise for it, at each request of a peer's choice.
                return self._challenged(Denied.of("auth.invalid", reason="not ASCII"))
            arguments = (value,)
        try:
            found = settle(self._function, *arguments)
        except Denied as denied:
            return self._challenged(denied)
        if found is None:
            # There was a credential, and it is nobody's: it must not become "no credential".
            return None if self.ambient else self._challenged(Denied.of("auth.invalid", reason=self.name))
        return self._checked(found)

    def _value(self, environ: dict[str, Any]) -> str:
        field: str = environ.get(self.field or "", "").strip()
        if not self.in_authorization:
            return field
        scheme, _, value = field.partition(" ")
        value = value.strip()
        if scheme.lower() != self.challenge.scheme.lower():
            return ""
        return "" if scheme.lower() == "basic" and _says_nothing(value) else value

    def _checked(self, found: Any) -> Principal:
        if isinstance(found, Identity):
            return found.of_kind(self.name)
        who = getattr(found, "id", None)
        if not isinstance(who, str) or not who.strip():
            raise TypeError(f"the scheme {self.name!r} returned {type(found).__name__}, which has no id; see Identity")
        for name in ("scopes", "roles"):
            if not isinstance(getattr(found, name, None), frozenset):
                raise TypeError(f"the scheme {self.name!r}: {name} of a principal is a frozenset of texts")
        if getattr(found, "kind", None) == self.name:
            return cast("Principal", found)
        return cast("Principal", Renamed(found, self.name))

    def _challenged(self, denied: Denied) -> Denied:
        # RFC 9110 section 15.5.2: every 401 says how to do better.
        if denied.problem.status == 401 and not any(
            name.lower() == "www-authenticate" for name, _ in denied.extra_headers
        ):
            denied.extra_headers = (*denied.extra_headers, *self.challenge.fields())
        return denied


def check_names(name: str, challenge: str | None, header: str | None) -> None:
    """Refuses what cannot be a scheme, before it decorates anything.

    :raises ConfigError: says what would be right.
    """
    if not isinstance(name, str) or not _TOKEN.fullmatch(name):
        raise ConfigError(f'Write @rampart.scheme("name"): letters, digits and "-_.", not {name!r}.')
    if name in BUILT_IN:
        raise ConfigError(f"{name!r} is a scheme of Rampart's own; give yours another name.")
    if challenge is not None and (not isinstance(challenge, str) or not _TOKEN.fullmatch(challenge)):
        raise ConfigError(
            f'rampart.scheme({name!r}, challenge=...) is one word for WWW-Authenticate, such as "Signature" '
            f"(RFC 9110 section 11.1), not {challenge!r}."
        )
    if header is not None and (not isinstance(header, str) or not _TOKEN.fullmatch(header) or "_" in header):
        raise ConfigError(
            f'rampart.scheme({name!r}, header=...) is the name of a header field, such as "X-Signature", '
            f"not {header!r}."
        )
    if header is not None and header.lower() == "cookie":
        raise ConfigError(f"rampart.scheme({name!r}): leave header= out, and read request.cookies in the function.")

    if header is not None and header.lower() in _NO_CREDENTIAL:
        raise ConfigError(
            f"rampart.scheme({name!r}): {header} is about the message, not about who sent it; take a field of your own."
        )


def _says_nothing(value: str) -> bool:
    """Whether a Basic credential has neither a name nor a password (RFC 7617)."""
    try:
        return base64.b64decode(value, validate=True).strip() in (b"", b":")
    except (binascii.Error, ValueError):
        return False
