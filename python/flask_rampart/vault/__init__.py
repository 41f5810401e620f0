"""The vault: seals data at rest, in the formats of Google's Tink, and finds out when it was changed.

Four things, each by keysets of its own (``src/vault``):

1. :meth:`Vault.seal` and :meth:`Vault.open`: authenticated encryption. What is sealed can be bound to its place by
   *associated data*, and opens nowhere else;
2. :meth:`Vault.seal_deterministic`: the same value is sealed to the same, so that a column can be searched;
3. :meth:`Vault.blind_index`: what a value is looked up by, without being there;
4. :meth:`Vault.open_file`: files of any length, read at any place.

``flask_rampart.vault.columns`` seals columns of SQLAlchemy by the first and looks them up by the third.

What was changed, cut, moved or sealed by a stranger raises :class:`~flask_rampart.errors.IntegrityError`, and nothing
of it is given out.

It does not hide lengths, does not stop somebody from putting an older value back into its place, and opens nothing for
whoever has lost the keyset.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, overload

from .._native import Keyset as Keyset
from .._native import KeysetKey as KeysetKey
from .._native import keyset_templates as keyset_templates
from ..errors import ConfigError, IntegrityError
from . import files
from .changing import change_keyset as change_keyset
from .files import SealedText as SealedText
from .files import SealedWriter as SealedWriter
from .files import decrypt_file as decrypt_file
from .files import decrypt_stream as decrypt_stream
from .files import encrypt_file as encrypt_file
from .files import encrypt_stream as encrypt_stream
from .files import open_file as open_file
from .files import reencrypt_file as reencrypt_file
from .keysets import Kms as Kms
from .keysets import read_keyset as read_keyset
from .keysets import write_keyset as write_keyset
from .telling import telling, told
from .tensors import Tensor as Tensor
from .tensors import Tensors as Tensors
from .tensors import load_safetensors as load_safetensors

if TYPE_CHECKING:
    from flask import Flask

__all__ = [
    "Keyset",
    "KeysetKey",
    "Kms",
    "SealedText",
    "SealedWriter",
    "Tensor",
    "Tensors",
    "Vault",
    "change_keyset",
    "decrypt_file",
    "decrypt_stream",
    "encrypt_file",
    "encrypt_stream",
    "keyset_templates",
    "load_safetensors",
    "open_file",
    "read_keyset",
    "reencrypt_file",
    "write_keyset",
]

Bytes: TypeAlias = "bytes | bytearray | memoryview"

AEAD, DETERMINISTIC, PRF, STREAMING = "AEAD", "deterministic AEAD", "PRF", "streaming AEAD"


class Vault:
    """Seals and opens by keysets, which have names. ``rampart.vault`` is the current app's; this is one without Flask.

    :param keysets: one keyset, or several by name; or a function that gives them by name, called when they are first
        needed, and again by :meth:`reload`. It cannot use the vault itself.
    :raises ConfigError: if there is none.

    Each method takes the *name* of a keyset. Without it, it takes the one called ``"default"`` if that is for what the
    method does, or else the only one that is.

    >>> vault = Vault({"default": Keyset.generate("AES256_GCM"), "lookup": Keyset.generate("HKDF_SHA256")})
    >>> sealed = vault.seal(b"42 Main Street", associated_data="users.address:7")
    >>> vault.open(sealed, associated_data="users.address:7")
    b'42 Main Street'
    >>> len(vault.blind_index("ada@example.com", purpose="users.email"))
    16
    """

    app: Flask | None = None
    """The app whose vault this is: the sender of ``signals.integrity_failed``. Without one, it is the current app."""

    def __init__(self, keysets: Keyset | Mapping[str, Keyset] | Callable[[], Mapping[str, Keyset]]) -> None:
        self._lock = threading.Lock()
        self._attempt: _Attempt | None = None
        self._source: Callable[[], Mapping[str, Keyset]] | None = None
        self._keysets: dict[str, Keyset] | None = None
        if isinstance(keysets, Keyset):
            self._keysets = {"default": keysets}
        elif isinstance(keysets, Mapping):
            self._keysets = _checked(keysets)
        elif callable(keysets):
            self._source = keysets
        else:
            raise ConfigError(f"Vault(...) takes a Keyset, or Keysets by name, not {type(keysets).__name__}.")

    def seal(self, data: Bytes, *, associated_data: str | bytes, name: str | None = None) -> bytes:
        """*data*, sealed: other bytes each time, some 33 longer.

        :param associated_data: what it is bound to, such as ``"users.address:7"``: the same must be given to open it. A
            text is taken as UTF-8. ``""`` binds it to nothing: it then opens wherever it is put.
        :param name: of the keyset.
        :raises ConfigError: if there is no keyset for this.
        """
        return self._for(AEAD, name).seal(_bytes(data), _associated(associated_data))

    def open(self, sealed: Bytes, *, associated_data: str | bytes, name: str | None = None) -> bytes:
        """What *sealed* says.

        :raises IntegrityError: if it was changed or cut, was sealed for other *associated_data*, or by no key that may
            open it. Nothing of it is given out.
        :raises ConfigError: if there is no keyset for this.
        """
        keyset, given = self._for(AEAD, name), _associated(associated_data)
        try:
            return keyset.open(_bytes(sealed), given)
        except IntegrityError as error:
            told(error, given, self.app)
            raise

    def seal_deterministic(self, data: Bytes, *, associated_data: str | bytes, name: str | None = None) -> bytes:
        """*data*, sealed to the same bytes each time, as long as no other key is primary.

        Who sees a column sees which rows agree. Give all rows the same *associated_data*, such as ``"users.email"``.

        :raises ConfigError: if there is no keyset for this.
        """
        return self._for(DETERMINISTIC, name).seal_deterministic(_bytes(data), _associated(associated_data))

    def open_deterministic(self, sealed: Bytes, *, associated_data: str | bytes, name: str | None = None) -> bytes:
        """What was sealed by :meth:`seal_deterministic` says.

        :raises IntegrityError: as :meth:`open`.
        :raises ConfigError: if there is no keyset for this.
        """
        keyset, given = self._for(DETERMINISTIC, name), _associated(associated_data)
        try:
            return keyset.open_deterministic(_bytes(sealed), given)
        except IntegrityError as error:
            told(error, given, self.app)
            raise

    def blind_index(self, value: str | Bytes, *, purpose: str, name: str | None = None) -> bytes:
        """What *value* is looked up by: 16 bytes, the same each time, from which it cannot be computed.

        :param value: a text is taken as UTF-8, as it is: bring it into one form first (case, Unicode).
        :param purpose: such as ``"users.email"``; the same value has another index for another purpose.
        :raises ConfigError: if there is no keyset for this.
        """
        return self._for(PRF, name).blind_index(_purpose(purpose), _value(value))

    def blind_indexes(self, value: str | Bytes, *, purpose: str, name: str | None = None) -> list[bytes]:
        """The indexes of *value* by all enabled keys, the primary's first: what to look for while rows of an older key
        are not yet written anew."""
        return self._for(PRF, name).blind_indexes(_purpose(purpose), _value(value))

    @overload
    def open_file(
        self, path: files.Path, mode: Literal["rb"] = "rb", *, associated_data: str | bytes, name: str | None = None
    ) -> io.BufferedReader: ...
    @overload
    def open_file(
        self, path: files.Path, mode: Literal["wb", "xb"], *, associated_data: str | bytes, name: str | None = None
    ) -> SealedWriter: ...
    @overload
    def open_file(
        self, path: files.Path, mode: str = "rb", *, associated_data: str | bytes, name: str | None = None, **text: Any
    ) -> io.BufferedReader | io.TextIOWrapper | SealedWriter: ...

    def open_file(
        self, path: files.Path, mode: str = "rb", *, associated_data: str | bytes, name: str | None = None, **text: Any
    ) -> io.BufferedReader | io.TextIOWrapper | SealedWriter:
        """Opens a sealed file, as ``open`` opens one that is not: see :func:`open_file`.

        :param mode: ``"rb"``, ``"wb"`` and ``"xb"``, or ``"r"``, ``"w"`` and ``"x"`` for text, with *encoding*,
            *errors* and *newline*.
        :raises IntegrityError: if it was changed or cut, or is not of this keyset or these *associated_data*.
        :raises ConfigError: if there is no keyset for this.
        """
        keyset = self._for(STREAMING, name)
        return telling(
            lambda: files.open_file(
                path,
                mode,
                keyset=keyset,
                associated_data=associated_data,
                alarm=self._alarm(associated_data),
                # After a reload it is another one.
                current=lambda: self._for(STREAMING, name),
                **text,
            ),
            associated_data,
            self.app,
        )

    def encrypt_file(
        self,
        source: files.Path,
        target: files.Path,
        *,
        associated_data: str | bytes,
        name: str | None = None,
        replace: bool = False,
    ) -> None:
        """Seals the file *source* as *target*: see :func:`encrypt_file`."""
        keyset = self._for(STREAMING, name)
        files.encrypt_file(source, target, keyset=keyset, associated_data=associated_data, replace=replace)

    def decrypt_file(
        self,
        source: files.Path,
        target: files.Path,
        *,
        associated_data: str | bytes,
        name: str | None = None,
        replace: bool = False,
    ) -> None:
        """Writes what the sealed file *source* says to *target*: see :func:`decrypt_file`.

        :raises IntegrityError: if it was changed or cut, or is not of this keyset or these *associated_data*. No
            *target* is made then.
        """
        keyset = self._for(STREAMING, name)
        telling(
            lambda: files.decrypt_file(source, target, keyset=keyset, associated_data=associated_data, replace=replace),
            associated_data,
            self.app,
        )

    def reencrypt_file(self, path: files.Path, *, associated_data: str | bytes, name: str | None = None) -> bool:
        """Seals a sealed file anew by the primary key, in its place: see :func:`reencrypt_file`.

        :raises IntegrityError: if it was changed or cut, or is not of this keyset or these *associated_data*. It stays
            as it was then.
        """
        keyset = self._for(STREAMING, name)
        return telling(
            lambda: files.reencrypt_file(path, keyset=keyset, associated_data=associated_data),
            associated_data,
            self.app,
        )

    def load_safetensors(self, path: files.Path, *, associated_data: str | bytes, name: str | None = None) -> Tensors:
        """The tensors of a sealed safetensors file by name, each read when it is asked for: see :class:`Tensors`.

        :raises IntegrityError: as :meth:`open_file`; also later, for a tensor that was changed.
        :raises ValueError: if it is no safetensors file.
        """
        file = self.open_file(path, associated_data=associated_data, name=name)
        try:
            return load_safetensors(file)
        except BaseException:
            file.close()
            raise

    def keyset(self, name: str = "default") -> Keyset:
        """The keyset of this name.

        :raises ConfigError: if there is none.
        """
        keysets = self._all()
        found = keysets.get(name)
        if found is None:
            raise ConfigError(f"There is no keyset called {name!r}; there are {_list(keysets)}.")
        return found

    def keyset_for(self, primitive: str, name: str | None = None) -> Keyset:
        """The keyset that a method takes for *primitive*: ``"AEAD"``, ``"deterministic AEAD"``, ``"PRF"`` or
        ``"streaming AEAD"``.

        :raises ConfigError: if there is none; if there are several, and neither *name* nor ``"default"`` says which.
        """
        return self._for(primitive, name)

    @property
    def names(self) -> tuple[str, ...]:
        """What the keysets are called."""
        return tuple(self._all())

    def reload(self) -> None:
        """Reads the keysets anew, where they were given as a function or by settings, and replaces all of them at once.

        :raises ConfigError: if one of them cannot be used; those before stay.
        """
        if self._source is not None:
            # One that began before this call may have read what was there before.
            while self._read(self._source, anew=True) is not None:
                pass

    def _alarm(self, place: str | bytes) -> Callable[[IntegrityError], object]:
        return lambda error: told(error, place, self.app)

    def _all(self) -> dict[str, Keyset]:
        while self._keysets is None and self._source is not None:
            # What fails is tried again at the next use: a KMS may be away for a moment. Whoever has waited meanwhile
            # does not try on its own: threads would queue behind a KMS that is away, one attempt after the other.
            other = self._read(self._source, anew=False)
            if other is not None and other.failure is not None:
                raise other.failure
        return self._keysets or {}

    def _read(self, source: Callable[[], Mapping[str, Keyset]], *, anew: bool) -> _Attempt | None:
        """Reads the keysets; or waits for the attempt of another thread to do so, and returns that."""
        with self._lock:
            if self._keysets is not None and not anew:
                return None
            other = self._attempt
            if other is None:
                own = self._attempt = _Attempt()
        if other is not None:
            if other.thread == threading.get_ident():
                raise ConfigError("The function that gives a vault's keysets cannot use the vault itself.")
            other.wait()
            return other
        try:
            found = _checked(source())
            with self._lock:
                self._keysets = found
        except Exception as error:
            own.failure = error
            raise
        finally:
            with self._lock:
                self._attempt = None
            own.done.set()
        return None

    def _for(self, primitive: str, name: str | None) -> Keyset:
        if name is not None:
            found = self.keyset(name)
            if found.primitive != primitive:
                raise ConfigError(
                    f"The keyset {name!r} is for {found.primitive}, and this is done by one for {primitive}."
                )
            return found
        keysets = self._all()
        default = keysets.get("default")
        if default is not None and default.primitive == primitive:
            return default
        fitting = [keyset for keyset in keysets.values() if keyset.primitive == primitive]
        if len(fitting) == 1:
            return fitting[0]
        if not fitting:
            raise ConfigError(
                f"There is no keyset for {primitive}: there are {_list(keysets)}. Make one by "
                f"Keyset.generate({_TEMPLATES[primitive]!r}), and name it in RAMPART_VAULT_KEYSET."
            )
        several = ", ".join(repr(each) for each, keyset in keysets.items() if keyset.primitive == primitive)
        raise ConfigError(f"There are several keysets for {primitive}: say which by name=, one of {several}.")

    def __repr__(self) -> str:
        known = "not opened yet" if self._keysets is None else ", ".join(self._keysets)
        return f"<Vault: {known}>"

    def __reduce__(self) -> str:
        raise TypeError("a vault cannot be pickled or copied")


class _Attempt:
    """A thread's attempt to read the keysets."""

    def __init__(self) -> None:
        self.thread = threading.get_ident()
        self.done = threading.Event()
        # Of the source. A thread that was told to end itself (SystemExit, say) has not failed for the others.
        self.failure: Exception | None = None

    def wait(self) -> None:
        self.done.wait()


_TEMPLATES = {AEAD: "AES256_GCM", DETERMINISTIC: "AES256_SIV", PRF: "HKDF_SHA256", STREAMING: "AES256_GCM_HKDF_1MB"}


def _checked(keysets: Mapping[str, Keyset]) -> dict[str, Keyset]:
    if not keysets:
        raise ConfigError("A vault has one keyset or more.")
    for name, keyset in keysets.items():
        if not isinstance(name, str) or not isinstance(keyset, Keyset):
            raise ConfigError(f"Vault(...) takes Keysets by name; {name!r} is {type(keyset).__name__}.")
    return dict(keysets)


def _list(keysets: Mapping[str, Keyset]) -> str:
    return ", ".join(f"{name!r} (for {keyset.primitive})" for name, keyset in keysets.items())


def _bytes(data: Bytes) -> bytes:
    if isinstance(data, bytes):
        return data
    if isinstance(data, (bytearray, memoryview)):
        return bytes(data)
    # bytes(7) would be seven zeros, and a text has more than one encoding.
    raise TypeError(f"a vault takes bytes, not {type(data).__name__}: encode a text first")


def _value(value: str | Bytes) -> bytes:
    return value.encode() if isinstance(value, str) else _bytes(value)


def _associated(data: str | bytes) -> bytes:
    if isinstance(data, str):
        return data.encode()
    if isinstance(data, bytes):
        return data
    raise TypeError(f"associated data is a text or bytes, not {type(data).__name__}")


def _purpose(purpose: str) -> str:
    if not isinstance(purpose, str) or not purpose:
        raise TypeError("a purpose is a text that is not empty, such as 'users.email'")
    return purpose
