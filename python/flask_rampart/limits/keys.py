"""By whom a limit counts: how a request's key is read.

In order:

1. an address, a principal, an API key, a claim, a field of the body, a function's text, or several of them together;
2. a part that comes out empty falls back to the address, in a name space of its own, so that no key of a peer's making
   can pose as one; an address that cannot be read shares one key with all others of its kind;
3. what a peer wrote (a field of JSON or of a form) is counted by what it means: case, width, white space at its
   ends and characters that are not shown make no other key (``Ada@example.com`` and ``ada@EXAMPLE.com ``);
4. what an issuer wrote (a claim) is counted to the letter: it says one tenant in one way;
5. a body that cannot be read names nobody, so it counts by the address. Whoever reads it then refuses it.

Keys are hashed with a secret of the store's before they are kept: no identifier stands in memory or in Redis.

It does not decide which address is the client's: that is ``REMOTE_ADDR``, as the edge has settled it.
"""

from __future__ import annotations

import io
import re
import unicodedata
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from flask import request
from werkzeug.exceptions import HTTPException

from .._native import client_key
from ..errors import ConfigError, Denied
from ..exchange import BUILT_IN, Exchange, origin_of
from ..readers import nearest

if TYPE_CHECKING:
    from .counters import Limits

KeyFunction = Callable[[], "str | None"]
By = "str | KeyFunction | tuple[str | KeyFunction, ...]"
Reader = Callable[[Exchange], str]

NAMES = ("address", "principal", "api_key", "global")
FIELDS = ("claim", "json", "form")


def check(by: Any) -> None:
    """Refuses a ``by=`` that cannot be meant.

    :raises ConfigError: with what would be right.
    """
    for part in parts(by):
        if callable(part) or part in NAMES:
            continue
        kind, _, name = part.partition(":") if isinstance(part, str) else ("", "", "")
        if kind in FIELDS and name.strip():
            continue
        known = (*NAMES, *(f"{field}:<name>" for field in FIELDS))
        raise ConfigError(
            f"limit(by={by!r}): by is one of {', '.join(known)}, a function, or a tuple of these."
            f"{nearest(str(part), NAMES)}"
        )


def parts(by: Any) -> tuple[Any, ...]:
    """What a key is made of."""
    if isinstance(by, (tuple, list)):
        if not by:
            raise ConfigError("limit(by=()) names nobody. Leave it out to count by address.")
        return tuple(by)
    return (by,)


def plain(by: Any) -> Any:
    """The same *by*: one part alone is that part, several are a tuple."""
    found = parts(by)
    return found[0] if len(found) == 1 else found


def at_arrival(by: Any) -> bool:
    """Whether the network alone says who it is."""
    return all(part in ("address", "global") for part in parts(by))


def is_own(by: Any) -> bool:
    """Whether a key says whose it is. All may count to ``"global"``, and a peer may write anybody's name into a field:
    whoever asks is then not told what others have done.
    """
    return any(callable(part) or part.partition(":")[0] not in ("global", "json", "form") for part in parts(by))


def shown(by: Any) -> str:
    """The name of a key, the same in every worker."""
    names = [part if isinstance(part, str) else getattr(part, "__qualname__", "function") for part in parts(by)]
    return "+".join(names)


def reader(by: Any, ipv6_prefix: int, limits: Limits) -> Reader:
    """What reads the key from a request.

    An address alone is read as it is: counters by address know all its spellings.
    """
    by = plain(by)
    if by == "address":
        return address
    readers = tuple(_reader(part, ipv6_prefix, limits) for part in parts(by))
    if len(readers) == 1:
        return readers[0]

    def combined(exchange: Exchange) -> str:
        return joined([read(exchange) for read in readers])

    return combined


def joined(texts: Sequence[str]) -> str:
    """One key of the keys of several parts; that of one part alone is itself."""
    if len(texts) == 1:
        return texts[0]
    # Each with its length: no two parts together read as two others.
    return "".join(f"{len(text)}:{text}" for text in texts)


def of_address(address: str, ipv6_prefix: int) -> str:
    """The key of an address that is one part of several, or stands for one that came out empty."""
    return f"address:{client_key(address, ipv6_prefix)}"


def of_api_key(line: str) -> str:
    """The key of an API key.

    :param line: the id of the first key of its line.
    """
    return f"api_key:{line}"


def of_principal(origin: str, issuer: str | None, name: str) -> str:
    """The key of a principal.

    :param origin: the kind of its credential.
    """
    if origin == "api_key" and name.startswith("key:"):
        # It is nobody's: whoever is named so by a token does not share its quota.
        return f"api_key:{name}"
    issuer = issuer or ""
    # With its length, so that no issuer and id together read as another pair.
    # Whom a scheme of the app's names is not known to be whom a token names so.
    space = "principal" if origin in BUILT_IN else f"scheme:{origin}"
    return f"{space}:{len(issuer)}:{issuer}:{name}"


def of_value(part: str | KeyFunction, value: str, issuer: str | None = None) -> str:
    """The key of a claim, a field or a function that says *value*; empty if that names nobody.

    >>> of_value("json:email", " ADA@example.com"), of_value("claim:tenant", "aB3", "us")
    ('json:email:ada@example.com', 'claim:tenant:2:us:aB3')
    """
    if callable(part):
        return f"key:{value}" if value.strip() else ""
    return _of_field(part, claimed(issuer, value) if part.startswith("claim:") else meant(value))


def _of_field(part: str, text: str) -> str:
    return f"{part}:{text}" if text else ""


def address(exchange: Exchange) -> str:
    """The peer's address, as the edge has settled it."""
    return exchange.environ.get("REMOTE_ADDR") or ""


def _reader(by: str | KeyFunction, ipv6_prefix: int, limits: Limits) -> Reader:
    if by == "global":
        return lambda exchange: "global"

    def fallback(exchange: Exchange) -> str:
        return of_address(address(exchange), ipv6_prefix)

    if by == "address":
        return fallback

    if by == "principal":
        return lambda exchange: _principal(exchange) or fallback(exchange)
    if by == "api_key":

        def api_key(exchange: Exchange) -> str:
            who = exchange.principal
            if who is None or origin_of(who) != "api_key" or not who.token_id:
                return fallback(exchange)
            return of_api_key(limits.terms(who.token_id)[0])

        return api_key
    if callable(by):
        function = by

        def key(exchange: Exchange) -> str:
            value = function()
            if value is not None and not isinstance(value, str):
                raise TypeError(f"limit(by=...) must return a text, not {type(value).__name__}")
            return of_value(function, value or "") or fallback(exchange)

        return key
    kind, _, name = by.partition(":")
    read = {"claim": _claim, "json": _json, "form": _form}[kind]

    def field(exchange: Exchange) -> str:
        return _of_field(by, read(exchange, name)) or fallback(exchange)

    return field


def _principal(exchange: Exchange) -> str:
    who = exchange.principal
    if who is None:
        return ""
    return of_principal(origin_of(who), who.issuer, who.id)


def _claim(exchange: Exchange, name: str) -> str:
    who = exchange.principal
    value: Any = None if who is None else who.claims
    for step in name.split("."):
        value = value.get(step) if isinstance(value, dict) else None
    return "" if who is None else claimed(who.issuer, value)


def claimed(issuer: str | None, value: Any) -> str:
    """What an issuer says, as a key; empty if it names nobody."""
    text = _text(value)
    # Two issuers may use one word for two tenants.
    return f"{len(issuer or '')}:{issuer or ''}:{text}" if text.strip() else ""


def _json(exchange: Exchange, name: str) -> str:
    value: Any
    try:
        value = request.get_json(silent=True)
    except Denied:
        return ""  # whoever reads the body refuses it
    except HTTPException as error:
        _unreadable(error)
        return ""
    for step in name.split("."):
        value = value.get(step) if isinstance(value, dict) else None
    return meant(value)


def _form(exchange: Exchange, name: str) -> str:
    try:
        return meant(request.form.get(name))
    except HTTPException as error:
        _unreadable(error)
        return ""


def meant(value: Any) -> str:
    """What a peer wrote, as one key for all ways to write it; empty if it names nobody.

    >>> meant(" ADA@example.com"), meant("a\\u200bda\\0"), meant(["ada"])
    ('ada@example.com', 'ada', '')
    """
    # First, or what nobody sees would push what is meant over the edge of what is looked at.
    text = _UNSEEN.sub("", _text(value)).strip()
    if len(text) <= _LONGEST_FIELD:
        text = unicodedata.normalize("NFKC", text)
    return text.casefold().strip()


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, float) and value.is_integer():
        # 7.0 and 7e0 are 7: to JSON Schema, and to whoever looks it up.
        value = int(value)
    # Python refuses to write numbers of more than 4,300 digits.
    is_number = isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**_DIGITS
    return str(value) if is_number else ""


def _unreadable(error: HTTPException) -> None:
    """Half of the body is gone: whoever reads it next is told what was wrong, and not that it is empty."""
    request.__dict__["stream"] = _Unreadable(error)


class _Unreadable(io.RawIOBase):
    def __init__(self, error: HTTPException) -> None:
        self._error = error

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> NoReturn:
        raise self._error


#: Control and format characters, and what else is not shown (Unicode's Cc, Cf and Default_Ignorable_Code_Point):
#: databases compare without them (MySQL's collations do), so each would be another key for one account. White space is
#: not among them.
_UNSEEN = re.compile(
    "[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\xad\u034f\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u115f"
    "\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0"
    "\ufff0-\ufffb\U000110bd\U000110cd\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    "\U000e0000-\U000e0fff]+"
)
_DIGITS = 300
#: Characters. Beyond it, a text counts as it is written, but for its case and its ends: no account is named so, and to
#: put its marks in order takes time that grows with its square.
_LONGEST_FIELD = 1024
