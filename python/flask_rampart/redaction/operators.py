"""Operators: what becomes of what the redactor found.

An operator is given the text of one find and the name of its entity, and returns the text that takes its place. Their
names and parameters are Presidio's, with these differences, each for a reason:

1. ``Hash`` needs a key (HMAC-SHA-256, RFC 2104). A telephone number has few values: its plain hash is that number,
   and one with a salt that is drawn anew each time compares with nothing;
2. ``Encrypt`` encrypts with a vault that authenticates what it seals; Presidio's is AES-CBC, which does not;
3. ``Mask`` hides all of a value of which it would show more than half;
4. what ``Replace`` writes by default is a mark that the redactor knows again: what is replaced stays as it is;
5. ``Pseudonymize`` is new: one name for one value, the same in all processes that have the key.

All are frozen, checked when they are made, and show no key. What a :class:`Custom` function raises hides the value, and
is logged without it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, NoReturn, Protocol

from ..errors import ConfigError
from ..readers import nearest

MARK = "[REDACTED:{entity}]"
_KEY_BYTES = 32
_PSEUDONYM_CHARS = 16
_REPORT_SECONDS = 60.0


class Seals(Protocol):
    """What :class:`Encrypt` encrypts with: a vault, or a keyset of it."""

    def seal(self, plaintext: bytes, /, *, associated_data: bytes) -> bytes:
        """*plaintext* encrypted and authenticated, together with *associated_data*."""

    def open(self, ciphertext: bytes, /, *, associated_data: bytes) -> bytes:
        """The way back; raises for what was not sealed with the same *associated_data*."""


class Operator(ABC):
    """What becomes of a find. One of the classes below."""

    __slots__ = ()
    name: ClassVar[str] = ""

    @abstractmethod
    def apply(self, value: str, entity: str) -> str:
        """What takes the place of *value*."""

    def __deepcopy__(self, memo: Any) -> Operator:
        return self  # immutable, and what it holds (a vault) may allow no copy


@dataclass(frozen=True)
class Replace(Operator):
    """Puts a text in the place of the value.

    :param text: ``{entity}`` in it stands for the entity's name.

    >>> Replace().apply("ada@example.com", "EMAIL_ADDRESS")
    '[REDACTED:EMAIL_ADDRESS]'
    >>> Replace("<{entity}>").apply("ada@example.com", "EMAIL_ADDRESS")
    '<EMAIL_ADDRESS>'
    """

    name: ClassVar[str] = "replace"
    text: str = MARK

    def __post_init__(self) -> None:
        if not isinstance(self.text, str):
            raise ConfigError(f"Replace(text=...) is a text, not {type(self.text).__name__}.")

    def apply(self, value: str, entity: str) -> str:
        return self.text.replace("{entity}", entity)


@dataclass(frozen=True)
class Redact(Operator):
    """Leaves nothing.

    >>> Redact().apply("ada@example.com", "EMAIL_ADDRESS")
    ''
    """

    name: ClassVar[str] = "redact"

    def apply(self, value: str, entity: str) -> str:
        return ""


@dataclass(frozen=True)
class Keep(Operator):
    """Leaves the value as it is; it is still among the findings.

    >>> Keep().apply("ada@example.com", "EMAIL_ADDRESS")
    'ada@example.com'
    """

    name: ClassVar[str] = "keep"

    def apply(self, value: str, entity: str) -> str:
        return value


@dataclass(frozen=True)
class Mask(Operator):
    """Puts a character in the place of each of the value's.

    :param char: what is written; neither letter nor digit, which would look like a value, nor a blank, quote,
        backslash, bracket or one of ``=:&;,@%``, which would end the value or its place in JSON, a URL or a header.
    :param keep_first: characters that stay at the beginning.
    :param keep_last: characters that stay at the end. Of a value that would show more than half, none stays.
    :param most: characters that are masked at most, as Presidio's ``chars_to_mask``: the first ones, or the last with
        *from_end*. Instead of the two above.

    >>> Mask(keep_last=4).apply("4111111111111111", "CREDIT_CARD")
    '************1111'
    >>> Mask(keep_last=4).apply("1234", "PIN")
    '****'
    """

    name: ClassVar[str] = "mask"
    char: str = "*"
    keep_first: int = 0
    keep_last: int = 0
    most: int | None = None
    from_end: bool = False

    def __post_init__(self) -> None:
        char = self.char
        if not isinstance(char, str) or len(char) != 1 or not _is_mask(char):
            raise ConfigError(
                "Mask(char=...) is one visible character that is no letter, digit, quote, backslash or bracket, nor "
                f"one of = : & ; , @ %, not {char!r}."
            )
        for name in ("keep_first", "keep_last", "most"):
            count = getattr(self, name)
            if (count is not None or name != "most") and (type(count) is not int or count < 0):
                raise ConfigError(f"Mask({name}=...) is a number of characters, 0 or more, not {count!r}.")
        if not isinstance(self.from_end, bool):
            raise ConfigError(f"Mask(from_end=...) is True or False, not {self.from_end!r}.")
        if self.most is not None and (self.keep_first or self.keep_last):
            raise ConfigError("Mask(most=...) says how many are masked, keep_first and keep_last how many are not.")
        if self.from_end and self.most is None:
            raise ConfigError("Mask(from_end=True) needs most=: how many characters are masked.")

    def apply(self, value: str, entity: str) -> str:
        if self.most is not None:
            masked = min(self.most, len(value))
            hidden = self.char * masked
            return value[: len(value) - masked] + hidden if self.from_end else hidden + value[masked:]
        kept = self.keep_first + self.keep_last
        if kept * 2 > len(value):
            return self.char * len(value)
        return value[: self.keep_first] + self.char * (len(value) - kept) + value[len(value) - self.keep_last :]


class _Keyed(Operator):
    """An operator whose key is nobody's to see."""

    __slots__ = ()

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"{type(self).__name__} holds a key, which is not written down: make another from the key.")


@dataclass(frozen=True, eq=False)
class Hash(_Keyed):
    """Puts the HMAC-SHA-256 (RFC 2104) of the value in its place, as 64 hexadecimal digits.

    :param key: 32 bytes or more, or a text of so many. Who has it can try values; so keep it as you keep a password.

    The same value has the same hash wherever the key is the same: what is computed elsewhere can be compared.

    >>> operator = Hash(key=b"an example's key, thirty-two long")
    >>> operator.apply("+44 20 7946 0000", "PHONE_NUMBER")[:16]
    'c30d95f103812a85'
    """

    name: ClassVar[str] = "hash"
    key: bytes | str = field(repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "key", _key("Hash", self.key))

    def apply(self, value: str, entity: str) -> str:
        return hmac.new(self.key, _bytes(value), hashlib.sha256).hexdigest()  # type: ignore[arg-type]


@dataclass(frozen=True, eq=False)
class Pseudonymize(_Keyed):
    """Gives each value a name that is always the same: the entity's, and 80 bits of an HMAC in base32 (RFC 4648).

    :param key: 32 bytes or more, or a text of so many.
    :param scope: values have one name in one scope, and another in each other: a tenant, a data set. What is published
        of two scopes can then not be joined.

    The names of values of different entities have nothing to do with each other. Two values share a name with a
    probability below one in a million, up to a billion values.

    >>> operator = Pseudonymize(key=b"an example's key, thirty-two long", scope="shop-7")
    >>> operator.apply("ada@example.com", "EMAIL_ADDRESS")
    'EMAIL_ADDRESS_jsjio5jzekbpjfns'
    """

    name: ClassVar[str] = "pseudonymize"
    key: bytes | str = field(repr=False)
    scope: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "key", _key("Pseudonymize", self.key))
        if not isinstance(self.scope, str):
            raise ConfigError(f"Pseudonymize(scope=...) is a text, not {type(self.scope).__name__}.")

    def apply(self, value: str, entity: str) -> str:
        message = _parts(b"rampart.pseudonym", _bytes(self.scope), _bytes(entity), _bytes(value))
        digest = hmac.new(self.key, message, hashlib.sha256).digest()  # type: ignore[arg-type]
        return f"{entity}_{base64.b32encode(digest).decode().lower()[:_PSEUDONYM_CHARS]}"


@dataclass(frozen=True, eq=False)
class Encrypt(_Keyed):
    """Puts the value's ciphertext in its place, as base64url without padding (RFC 4648 section 5).

    :param vault: what has ``seal(data, associated_data=...)`` and ``open``. The associated data are the entity's name:
        a ciphertext that is moved to another entity's place does not open.
    :param scope: is bound as well: a tenant, a data set. What was encrypted for one opens for no other, though both are
        of one vault.

    :meth:`reveal` is the way back.
    """

    name: ClassVar[str] = "encrypt"
    vault: Seals = field(repr=False)
    scope: str = ""

    def __post_init__(self) -> None:
        if not all(callable(getattr(self.vault, name, None)) for name in ("seal", "open")):
            raise ConfigError(
                "Encrypt(vault=...) takes an object with seal(data, associated_data=...) and open(...): a vault. A "
                "bare key is none; what it encrypted alone would not be authenticated."
            )
        if not isinstance(self.scope, str):
            raise ConfigError(f"Encrypt(scope=...) is a text, not {type(self.scope).__name__}.")

    def apply(self, value: str, entity: str) -> str:
        sealed = self.vault.seal(_bytes(value), associated_data=self._bound(entity))
        return base64.urlsafe_b64encode(sealed).rstrip(b"=").decode()

    def reveal(self, text: str, entity: str) -> str:
        """What was encrypted to *text*.

        :raises ValueError: for what is no base64url; and what the vault's ``open`` raises.
        """
        sealed = base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True)
        return bytes(self.vault.open(sealed, associated_data=self._bound(entity))).decode("utf-8", "surrogatepass")

    def _bound(self, entity: str) -> bytes:
        if not self.scope:
            return entity.encode()
        return _parts(b"rampart.encrypt", _bytes(self.scope), _bytes(entity))


@dataclass(frozen=True)
class Custom(Operator):
    """Puts what a function returns in the place of the value.

    :param function: ``(value) -> str``.

    If it raises, or returns no text, the value is hidden by a mark, and that is logged: the entity and the kind of
    error, once a minute, never the value.

    >>> Custom(lambda value: value.split("@")[1]).apply("ada@example.com", "EMAIL_ADDRESS")
    'example.com'
    """

    name: ClassVar[str] = "custom"
    function: Callable[[str], str]

    def __post_init__(self) -> None:
        if not callable(self.function):
            raise ConfigError(f"Custom(...) takes a function, not {type(self.function).__name__}.")

    def apply(self, value: str, entity: str) -> str:
        try:
            made = self.function(value)
        except Exception as error:
            failed = type(error).__name__
        else:
            if isinstance(made, str):
                return made
            failed = f"{type(made).__name__} instead of a text"
        # Here, and not where it was caught: the report must not carry the error, whose text and frames have the value.
        _report(entity, failed)
        return MARK.replace("{entity}", entity)


OPERATORS: Mapping[str, type[Operator]] = {
    kind.name: kind for kind in (Replace, Redact, Keep, Mask, Hash, Pseudonymize, Encrypt, Custom)
}
"""The operators by Presidio's names, and our own."""


def operator_of(given: object, where: str) -> Operator:
    """An operator, or what Presidio's ``OperatorConfig`` says: ``{"type": "mask", "masking_char": "*", ...}``.

    :param where: what it is given for, for the message.
    :raises ConfigError: for what is none.

    >>> operator_of({"type": "mask", "keep_last": 4}, "CREDIT_CARD")
    Mask(char='*', keep_first=0, keep_last=4, most=None, from_end=False)
    >>> operator_of("redact", "CREDIT_CARD")
    Redact()
    """
    if isinstance(given, Operator):
        return given
    if isinstance(given, type) and issubclass(given, Operator):
        raise ConfigError(f"{where}: write {given.__name__}(...), with parentheses.")
    if isinstance(given, str):
        given = {"type": given}
    else:
        name, params = getattr(given, "operator_name", None), getattr(given, "params", None)
        if name is not None and isinstance(params, Mapping):
            given = {**params, "type": name}
    if not isinstance(given, Mapping) or not isinstance(given.get("type"), str):
        raise ConfigError(
            f'{where} takes an operator, such as Mask(keep_last=4) or {{"type": "mask", "keep_last": 4}}, not '
            f"{type(given).__name__}."
        )
    kind = OPERATORS.get(given["type"])
    if kind is None:
        known = ", ".join(OPERATORS)
        close = nearest(given["type"], [*OPERATORS])
        raise ConfigError(f"{where}: there is no operator {given['type']!r}.{close} There are {known}.")
    said = {str(name): value for name, value in given.items() if name != "type"}
    return _made(kind, _translated(kind, said, where), where)


def _translated(kind: type[Operator], params: dict[str, Any], where: str) -> dict[str, Any]:
    """Presidio's parameters as ours."""
    if kind is Hash and "salt" in params:
        raise ConfigError(
            f"{where}: hash takes a key instead of a salt: an HMAC, of 32 bytes or more that stay secret."
        )
    if kind is Hash and str(params.pop("hash_type", "sha256")).lower() != "sha256":
        raise ConfigError(f"{where}: hash is HMAC-SHA-256; leave hash_type out.")
    if kind is Encrypt and "key" in params:
        raise ConfigError(f"{where}: encrypt takes a vault instead of a key: {{'type': 'encrypt', 'vault': vault}}.")
    for theirs, ours in _PRESIDIO.get(kind, {}).items():
        if theirs in params:
            params[ours] = params.pop(theirs)
    if kind is Mask and not params.get("from_end", True) and "most" not in params:
        del params["from_end"]
    return params


def _made(kind: type[Operator], params: dict[str, Any], where: str) -> Operator:
    known = [name for name in getattr(kind, "__dataclass_fields__", ()) if name != "name"]
    for name in params:
        if name not in known:
            raise ConfigError(f"{where}: {kind.name} has no {name!r}.{nearest(name, known)}")
    try:
        return kind(**params)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from None
    except TypeError:
        raise ConfigError(f"{where}: {kind.name} needs {', '.join(known[:1])}.") from None


def _is_mask(char: str) -> bool:
    return char.isprintable() and not char.isalnum() and not char.isspace() and char not in "\"'\\=:&;,@%<>[]{}()"


def _key(kind: str, given: object) -> bytes:
    if isinstance(given, (bytes, bytearray, str)):
        key = given.encode() if isinstance(given, str) else bytes(given)
        if len(key) >= _KEY_BYTES:
            return key
    raise ConfigError(
        f"{kind}(key=...) is a secret of {_KEY_BYTES} bytes or more, such as secrets.token_bytes(32), kept where your "
        "other secrets are. Without one, whoever guesses a value sees that the guess was right."
    )


def _parts(*parts: bytes) -> bytes:
    # Each part with its length before it: no two lists of parts make one message.
    return b"".join(len(part).to_bytes(8, "big") + part for part in parts)


def _bytes(value: str) -> bytes:
    return value.encode("utf-8", "surrogatepass")


def _report(entity: str, failed: str) -> None:
    now = time.monotonic()
    if now - _told.get(entity, -_REPORT_SECONDS) < _REPORT_SECONDS:
        return
    if len(_told) < _MOST_TOLD:
        _told[entity] = now
    logging.getLogger("flask_rampart").error(
        "The operator of %s failed (%s); what it was given was replaced by a mark.", entity, failed
    )


_PRESIDIO: Mapping[type[Operator], Mapping[str, str]] = {
    Replace: {"new_value": "text"},
    Mask: {"masking_char": "char", "chars_to_mask": "most"},
    Custom: {"lambda": "function"},
}
_MOST_TOLD = 1024
_told: dict[str, float] = {}
