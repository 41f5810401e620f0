"""What needs a key: pseudonyms, tokens, format-preserving encryption; and how a key is given.

A key is at least 32 random bytes (``openssl rand -hex 32``): bytes, a text of hexadecimal digits, or a function that
returns either, which is called once. From it a key of their own is derived for each use and scope (HKDF-SHA-256, RFC
5869), so that two scopes cannot be joined.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal, NoReturn, Protocol, TypeAlias
from uuid import UUID

from .. import _native
from ..errors import ConfigError

Key: TypeAlias = "bytes | str | Callable[[], bytes | str]"
"""A master key: bytes, their hexadecimal digits, or a function that returns either."""


class Keysets(Protocol):
    """What has keysets by name: a ``Vault``."""

    def keyset_for(self, primitive: str, name: str | None = None) -> _native.Keyset:
        """The keyset of this name, or else the one for this primitive."""

    def keyset(self, name: str = "default") -> _native.Keyset:
        """The keyset of this name."""


Sealer: TypeAlias = "_native.Keyset | Keysets"
"""What seals tokens: a keyset, or a vault."""

Named: TypeAlias = "str | int | date | Decimal | UUID"
"""A value that has one text: a pseudonym of ``7`` is that of ``"7"``."""


def read_key(key: Key | None = None, key_file: str | Path | None = None) -> bytes | None:
    """The bytes of a key that is given in one of these ways; None if it is given in neither.

    :param key_file: a file with the hexadecimal digits of the key; white space at its ends is nothing.
    :raises ConfigError: for both, for a file that cannot be read, and for what is no key.

    >>> len(read_key("00ff" * 16))
    32
    """
    if key is not None and key_file is not None:
        raise ConfigError("key and key_file: one of the two")
    if key_file is not None:
        try:
            # Far more than any key, so that a wrong name does not read a disk into memory.
            with open(key_file, encoding="ascii") as file:
                key = file.read(4096).strip()
        except (OSError, UnicodeDecodeError):
            raise ConfigError(f"key_file: {str(key_file)!r} cannot be read as a file of hexadecimal digits") from None
    elif callable(key):
        key = key()
    if key is None or isinstance(key, bytes):
        return key
    if not isinstance(key, str):
        raise ConfigError(f"a key is bytes or hexadecimal digits, not {type(key).__name__}")
    try:
        return bytes.fromhex(key)
    except ValueError:
        # The error of `fromhex` says where, and so shows a little of it.
        raise ConfigError("the key is not hexadecimal digits, two for each byte") from None


def keysets_of(sealer: Sealer | None) -> Callable[[str | None], _native.Keyset] | None:
    """What gives the keyset of the name that a rule says, or of none.

    :raises ConfigError: for what is neither a keyset nor a vault; later, if a rule names a keyset and one was given.
    """
    if sealer is None:
        return None
    if isinstance(sealer, _native.Keyset):
        only = sealer

        def one(name: str | None) -> _native.Keyset:
            if name is not None:
                raise ConfigError(f"keyset: {name!r} is one of a vault's, and one keyset alone was given as sealer=.")
            return only

        return one
    if not (callable(getattr(sealer, "keyset_for", None)) and callable(getattr(sealer, "keyset", None))):
        raise ConfigError(f"sealer= is a Keyset or a Vault, not {type(sealer).__name__}")
    vault = sealer
    return lambda name: vault.keyset_for("deterministic AEAD") if name is None else vault.keyset(name)


def needed_key(key: Key | None, key_file: str | Path | None = None) -> bytes:
    found = read_key(key, key_file)
    if found is None:
        raise ConfigError("a key is needed: at least 32 random bytes")
    return found


class _OneRule:
    """A plan of one column, for the classes that are one rule."""

    def __init__(self, rule: dict[str, Any], key: bytes | None, sealer: Sealer | None = None) -> None:
        try:
            self._plan = _native.AnonymizePlan({"columns": {"value": rule}}, key=key, sealer=keysets_of(sealer))
        except ValueError as error:
            raise ConfigError(str(error).replace('columns."value".', "").replace('columns."value": ', "")) from None

    def _apply(self, value: object) -> Any:
        return self._plan.apply_row({"value": value})["value"]

    def apply_column(self, values: Sequence[Any]) -> list[Any]:
        """The same of many values, while other threads run. None stays None."""
        return self._plan.apply_column("value", list(values)) or []

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"a {type(self).__name__} has a key and is never pickled: make it where it is used")


class Pseudonymizer(_OneRule):
    """Gives the same value the same pseudonym: HMAC-SHA-256 of its text, under a key for the *scope*.

    Without the key nobody can tell whose pseudonym it is by trying; with it, everybody can. Equal values stay equal.

    :param key: at least 32 random bytes, see :mod:`flask_rampart.anonymize.keyed`.
    :param scope: within which pseudonyms can be joined: ``"mail"``, ``"tenant-7/mail"``.
    :param form: ``"hex"``; ``"base32"``; ``"email"`` for ``user-...@example.invalid`` (RFC 2606), of mail addresses
        alone; ``"integer"`` from *low* to *high*.
    :param bits: how long; 128, 130 or 80 by default. Two of n values share one with a chance of n**2 / 2 ** (bits + 1):
        :func:`collision_chance`.
    :param normalise: what is made equal before: of ``"nfc"``, ``"nfkc"``, ``"lower"``, ``"blanks"`` (runs to one
        space), ``"strip"``. Nothing that is not said.
    :raises ConfigError: for what cannot be.

    RFC 2104, RFC 5869, RFC 4648. The value is a text, an integer, a date, a decimal or a UUID.

    >>> pseudonyms = Pseudonymizer(bytes(range(32)), scope="mail", normalise=["lower"])
    >>> pseudonyms("Ann@example.org") == pseudonyms("ann@example.org")
    True
    >>> Pseudonymizer(bytes(range(32)), scope="id", form="integer", low=1, high=9)("ann") in range(1, 10)
    True
    """

    def __init__(
        self,
        key: Key,
        *,
        scope: str,
        form: Literal["hex", "base32", "email", "integer"] = "hex",
        bits: int | None = None,
        low: int | None = None,
        high: int | None = None,
        normalise: Sequence[str] = (),
    ) -> None:
        rule: dict[str, Any] = {"do": "pseudonym", "scope": scope, "form": form, "normalise": list(normalise)}
        given = {"bits": bits, "low": low, "high": high}
        super().__init__(rule | {name: value for name, value in given.items() if value is not None}, needed_key(key))

    def __call__(self, value: Named) -> str | int:
        """The pseudonym of a value.

        :raises AnonymizeRefused: ``kind`` for a value that has no text of its own, ``mail`` for no mail address.
        """
        pseudonym: str | int = self._apply(value)
        return pseudonym


class Tokenizer(_OneRule):
    """Puts a token in the place of a value, and the value in the place of the token.

    AES-SIV (RFC 5297) with a key for the *scope*, and the scope's name as associated data: what Tink's deterministic
    AEAD writes without a prefix, in base 64 for URLs. Equal values have equal tokens; the length shows; a changed
    token is refused.

    :param key: at least 32 random bytes; or *sealer* instead.
    :param sealer: a ``Keyset``, or a ``Vault`` that has one for deterministic AEAD: its keys are rotated, and old
        tokens are opened by old keys. By a keyset for AEAD, equal values have other tokens each time.
    :raises ConfigError: for what cannot be.

    >>> tokens = Tokenizer(bytes(range(32)), scope="mail")
    >>> tokens.open(tokens("ann@example.org"))
    'ann@example.org'
    >>> keyset = _native.Keyset.generate("AES256_SIV")
    >>> tokens = Tokenizer(sealer=keyset, scope="mail")
    >>> old, new = tokens("ann@example.org"), keyset.rotate("AES256_SIV")
    >>> tokens("ann@example.org") == old, tokens.open(old)
    (False, 'ann@example.org')
    """

    def __init__(self, key: Key | None = None, *, scope: str, sealer: Sealer | None = None) -> None:
        if key is not None and sealer is not None:
            raise ConfigError("key and sealer: one of the two")
        found = needed_key(key) if sealer is None else None
        super().__init__({"do": "token", "scope": scope}, found, sealer)

    def __call__(self, value: Named) -> str:
        """The token of a value.

        :raises AnonymizeRefused: ``kind`` for a value that has no text of its own.
        """
        token: str = self._apply(value)
        return token

    def open(self, token: str) -> str:
        """The text of the value.

        :raises AnonymizeRefused: ``token`` for what was not made with this key and scope.
        """
        return self._plan.reverse("value", token)


class FF1:
    """Encrypts a text into one of the same length and alphabet: FF1 of NIST SP 800-38G.

    It is not authenticated: a changed text decrypts to another, and nothing tells. Lengths and separators show. A
    domain of fewer than a million texts is refused (SP 800-38G Rev. 1), and so are more than 256 characters. No check
    digit stays right.

    :param key: with a *scope* the master key, at least 32 bytes, from which one is derived; without it an AES key
        itself, of 16, 24 or 32 bytes.
    :param alphabet: ``"digits"``, ``"hex"``, ``"HEX"``, ``"lower"``, ``"alphanumeric"``, ``"base62"``, or the
        characters, in their order.
    :param separators: characters that stay where they are.
    :param tweak: public bytes, at most 256, by which the same texts become others.
    :raises ConfigError: for what cannot be.

    >>> cards = FF1(bytes(range(32)), scope="card", separators="-")
    >>> cards.decrypt(cards.encrypt("4111-1111-1111-1111"))
    '4111-1111-1111-1111'
    """

    def __init__(
        self, key: Key, *, scope: str | None = None, alphabet: str = "digits", separators: str = "", tweak: bytes = b""
    ) -> None:
        try:
            self._native = _native.FF1(
                needed_key(key), scope=scope, alphabet=alphabet, separators=separators, tweak=tweak
            )
        except ValueError as error:
            raise ConfigError(str(error)) from None

    @property
    def shortest(self) -> int:
        """Fewest characters of a text, without separators."""
        return self._native.shortest

    def encrypt(self, text: str) -> str:
        """The text that *text* becomes.

        :raises AnonymizeRefused: ``alphabet`` or ``length``.
        """
        return self._native.encrypt(text)

    def decrypt(self, text: str) -> str:
        """The text that became *text*.

        :raises AnonymizeRefused: ``alphabet`` or ``length``.
        """
        return self._native.decrypt(text)

    def __reduce__(self) -> NoReturn:
        raise TypeError("an FF1 has a key and is never pickled: make it where it is used")
