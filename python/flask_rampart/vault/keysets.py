"""Files of keysets: which form one has, whether it may be believed, and how it is written.

A file is read when all of these hold, checked in this order:

1. it is a regular file of 256 KiB at most, in UTF-8;
2. *strict*: it is this user's or root's, and nobody else can write it; nor, unless a KMS has sealed it, read it (its
   group may: that is how orchestrators hand secrets over);
3. where a KMS or a passphrase is given, the keyset is sealed by it. One in clear is refused then: whoever can write the
   file would otherwise choose the key;
4. it opens, and is sound (``src/vault/keyset.rs``).

The three forms: Tink's JSON keyset in clear, Tink's encrypted keyset, and the latter within an object that says how a
passphrase becomes a key (``src/vault/passphrase.rs``).

A file is written as ``replacing.py`` does it, and never through a symbolic link: the link would be replaced, and what
it leads to would keep the old keys. What is written can be read again: it is not longer than 1. allows.

Errors come without the frames in which they arose: their variables hold the passphrase and keys in clear, and reporters
of errors (Sentry, say) send variables away.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from .._native import Keyset
from ..errors import ConfigError, IntegrityError
from .locking import locked
from .replacing import NewFile, resolved

Failure = TypeVar("Failure", bound=BaseException)

MOST_BYTES = 256 * 1024


class Kms(Protocol):
    """What seals keysets. Tink's ``Aead`` is one, as its KMS clients give it."""

    def encrypt(self, plaintext: bytes, associated_data: bytes, /) -> bytes:
        """*plaintext*, sealed."""

    def decrypt(self, ciphertext: bytes, associated_data: bytes, /) -> bytes:
        """What was sealed; raises if it was changed."""


def read_keyset(
    path: str | os.PathLike[str],
    *,
    kms: Kms | None = None,
    passphrase: str | bytes | Callable[[], str | bytes] | None = None,
    associated_data: bytes = b"",
    strict: bool = True,
) -> Keyset:
    """The keyset in a file.

    :param kms: what it was sealed by.
    :param passphrase: what it is under; or a function that gives it, called only if the file needs one.
    :param associated_data: what the KMS has sealed it with; Tink's own default is none.
    :param strict: whether owner and mode are looked at, as in production.
    :raises ConfigError: says why, and nothing of the content.
    :raises IntegrityError: if it was changed, or the passphrase is another.

    What the KMS and the function raise is passed on.
    """
    try:
        text = read_file(path, strict=strict)
        return open_keyset(text, os.fspath(path), kms=kms, passphrase=passphrase, associated_data=associated_data)
    except BaseException as error:
        failure = without_frames(error)
    text, passphrase = "", None
    raise failure from failure.__cause__


def open_keyset(
    text: str,
    where: str,
    *,
    kms: Kms | None,
    passphrase: str | bytes | Callable[[], str | bytes] | None,
    associated_data: bytes = b"",
) -> Keyset:
    """The keyset in the text of a file. *where* is for errors."""
    try:
        return _opened(text, where, kms, passphrase, associated_data)
    except BaseException as error:
        failure = without_frames(error)
    text, passphrase = "", None
    raise failure from failure.__cause__


def without_frames(error: Failure) -> Failure:
    """*error* as if it arose where it is raised next: without the variables of what it came through."""
    error.__context__ = None
    return error.with_traceback(None)


def _opened(
    text: str,
    where: str,
    kms: Kms | None,
    passphrase: str | bytes | Callable[[], str | bytes] | None,
    associated_data: bytes,
) -> Keyset:
    form = check_form(text, where, kms=kms is not None, passphrase=passphrase is not None)
    # Outside of what follows, which takes a ValueError for one about the keyset, and quotes it.
    given = passphrase_bytes(passphrase() if callable(passphrase) else passphrase) if form == "passphrase" else b""
    asked = _Asked(kms)
    try:
        if form == "kms":
            return Keyset.from_encrypted_json(text, asked, associated_data=associated_data)
        if form == "passphrase":
            return Keyset.from_passphrase_json(text, given)
        return Keyset.from_cleartext_json(text)
    except IntegrityError:
        raise
    except ValueError as error:
        if error is asked.failure:
            raise
        raise ConfigError(f"{where}: {error}.") from None


class _Asked:
    """A KMS whose own errors are told from those about what it gave."""

    def __init__(self, kms: Any) -> None:
        self._kms = kms
        self.failure: ValueError | None = None

    def encrypt(self, plaintext: bytes, associated_data: bytes) -> Any:
        try:
            return self._kms.encrypt(plaintext, associated_data)
        except ValueError as error:
            self.failure = error
            raise

    def decrypt(self, ciphertext: bytes, associated_data: bytes) -> Any:
        try:
            return self._kms.decrypt(ciphertext, associated_data)
        except ValueError as error:
            self.failure = error
            raise


def check_form(text: str, where: str, *, kms: bool, passphrase: bool) -> str:
    """Which form a file has, ``"kms"``, ``"passphrase"`` or ``"clear"``, without opening it.

    :raises ConfigError: if it is none, or none that can be opened by what is given.
    """
    form = form_of(text)
    if form is None:
        raise ConfigError(f"{where} is no keyset in JSON.")
    if form == "passphrase" and not passphrase:
        raise ConfigError(f"{where} is under a passphrase, and none is given.")
    if form == "kms" and not kms:
        raise ConfigError(f"{where} was sealed by a KMS, and none is given.")
    if form == "none":
        raise ConfigError(f"{where} is no keyset of Tink's.")
    if form == "clear" and (kms or passphrase):
        raise ConfigError(
            f"{where} is a keyset in clear, and was to be sealed: whoever can write it would choose the key. Seal it: "
            "flask rampart vault passphrase --cleartext, or kms --cleartext; or write it anew by write_keyset(...)."
        )
    return form


def form_of(text: str) -> str | None:
    """``"kms"``, ``"passphrase"``, ``"clear"``; ``"none"`` for other JSON, and None for what is none."""
    try:
        members = json.loads(text)
    except (ValueError, RecursionError):
        return None
    names = set(members) if isinstance(members, dict) else set()
    if "kdf" in names:
        return "passphrase"
    if names & {"encryptedKeyset", "encrypted_keyset"}:
        return "kms"
    return "clear" if "key" in names else "none"


def read_file(path: str | os.PathLike[str], *, strict: bool, keyset: bool = True) -> str:
    """The text of a file that holds keys.

    :param keyset: False for any other secret, which is never one that a KMS has sealed.
    :raises ConfigError: if it cannot be read, or others can read or change it.
    """
    where = os.fspath(path)
    try:
        # Not waiting: a pipe may have nobody who writes.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            # The descriptor is asked, not the path, which may be another file a moment later.
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise ConfigError(f"{where} is no regular file.")
            with open(descriptor, "rb", closefd=False) as file:
                data = file.read(MOST_BYTES + 1)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise ConfigError(f"{where} cannot be read: {error.strerror}.") from None
    if len(data) > MOST_BYTES:
        raise ConfigError(f"{where} is longer than {MOST_BYTES} bytes.")
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise ConfigError(f"{where} is not UTF-8.") from None
    if strict:
        # By what it is read as, not by a word in it.
        _check_mode(where, status, sealed=keyset and form_of(text) == "kms")
    return text


def _check_mode(where: str, status: os.stat_result, *, sealed: bool) -> None:
    mode = stat.S_IMODE(status.st_mode)
    if status.st_uid not in (os.geteuid(), 0):
        raise ConfigError(f"{where} belongs to another user, who could change it.")
    if mode & 0o022:
        raise ConfigError(f"{where} can be changed by others (mode {mode:04o}): chmod 0600.")
    if mode & 0o004 and not sealed:
        raise ConfigError(f"{where} can be read by others (mode {mode:04o}): chmod 0600.")


def write_keyset(
    path: str | os.PathLike[str],
    keyset: Keyset,
    *,
    kms: Kms | None = None,
    passphrase: str | bytes | Callable[[], str | bytes] | None = None,
    associated_data: bytes = b"",
    cleartext: bool = False,
    replace: bool = False,
) -> None:
    """Writes a keyset to a file of mode 0600, whole or not at all.

    :param kms: what seals it.
    :param passphrase: what it is put under, at least 12 bytes; or a function that gives it.
    :param cleartext: True to write it as it is: whoever reads the file reads all that it has sealed.
    :param replace: whether a file that is there is replaced. Its keys are lost, unless they are in *keyset*.
    :raises ConfigError: unless exactly one of *kms*, *passphrase* and *cleartext* is given; if there is a file; if
        what is to be written is longer than what :func:`read_keyset` reads.
    :raises OSError: if it cannot be written; if *path* is a symbolic link.

    A file that is replaced keeps its group, and of its permissions what the owner has and that the group may read. It
    is locked meanwhile, as :class:`change_keyset` does: within that, do not write the same file.
    What the KMS raises is passed on.
    """
    try:
        with contextlib.ExitStack() as stack:
            if replace and os.path.lexists(path):
                stack.enter_context(locked(resolved(path)))
            write_text(
                os.fspath(path), text_of(path, keyset, kms, passphrase, associated_data, cleartext), replace=replace
            )
        return
    except BaseException as error:
        failure = without_frames(error)
    passphrase = None
    raise failure from failure.__cause__


def text_of(
    path: str | os.PathLike[str],
    keyset: Keyset,
    kms: Kms | None,
    passphrase: str | bytes | Callable[[], str | bytes] | None,
    associated_data: bytes,
    cleartext: bool,
    costs: dict[str, int] | None = None,
) -> bytes:
    where = os.fspath(path)
    if (kms is not None) + (passphrase is not None) + cleartext != 1:
        raise ConfigError("write_keyset(...) takes one of kms=, passphrase= and cleartext=True.")
    asked = _Asked(kms)
    try:
        if kms is not None:
            text = keyset.to_encrypted_json(asked, associated_data=associated_data)
        elif passphrase is not None:
            given = passphrase() if callable(passphrase) else passphrase
            text = keyset.to_passphrase_json(passphrase_bytes(given), **costs or {})
        else:
            text = keyset.to_cleartext_json()
    except ConfigError:
        raise
    except ValueError as error:
        if error is asked.failure:
            raise
        raise ConfigError(f"{where}: {error}.") from None
    data = text.encode()
    if len(data) > MOST_BYTES:
        raise ConfigError(f"{where}: the keyset is longer than {MOST_BYTES} bytes, and would not be read again.")
    return data


def write_text(
    where: str, data: bytes, *, replace: bool, most: int = 0o640, instead_of: os.stat_result | None = None
) -> None:
    try:
        # Who may read keys may be its group, and nobody but the owner writes them.
        file = NewFile(where, replace=replace, most=most, instead_of=instead_of)
        try:
            file.write(data)
            file.commit()
        finally:
            file.discard()
    except FileExistsError:
        raise ConfigError(
            f"{where} is there already. Its keys may be all that opens some data: replace=True if they are in this "
            "keyset."
        ) from None


def passphrase_bytes(given: Any) -> bytes:
    """A passphrase as it is stretched."""
    try:
        data = given.encode() if isinstance(given, str) else given
    except UnicodeEncodeError:
        raise ConfigError("A passphrase that is a text can be written as UTF-8.") from None
    if not isinstance(data, bytes):
        raise ConfigError(f"A passphrase is a text or bytes, not {type(given).__name__}.")
    return data
