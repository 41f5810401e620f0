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
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
import tempfile
from collections.abc import Callable
from typing import Any, Protocol

from .._native import Keyset
from ..errors import ConfigError, IntegrityError

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
    """
    text = read_file(path, strict=strict)
    return open_keyset(text, os.fspath(path), kms=kms, passphrase=passphrase, associated_data=associated_data)


def open_keyset(
    text: str,
    where: str,
    *,
    kms: Kms | None,
    passphrase: str | bytes | Callable[[], str | bytes] | None,
    associated_data: bytes = b"",
) -> Keyset:
    """The keyset in the text of a file. *where* is for errors."""
    form = check_form(text, where, kms=kms is not None, passphrase=passphrase is not None)
    try:
        if form == "kms":
            return Keyset.from_encrypted_json(text, kms, associated_data=associated_data)
        if form == "passphrase":
            assert passphrase is not None  # noqa: S101 -- check_form has seen to it
            given = passphrase() if callable(passphrase) else passphrase
            return Keyset.from_passphrase_json(text, _passphrase(given))
        return Keyset.from_cleartext_json(text)
    except IntegrityError:
        raise
    except ValueError as error:
        raise ConfigError(f"{where}: {error}.") from None


def check_form(text: str, where: str, *, kms: bool, passphrase: bool) -> str:
    """Which form a file has, ``"kms"``, ``"passphrase"`` or ``"clear"``, without opening it.

    :raises ConfigError: if it is none, or none that can be opened by what is given.
    """
    try:
        members = json.loads(text)
    except (ValueError, RecursionError):
        raise ConfigError(f"{where} is no keyset in JSON.") from None
    names = set(members) if isinstance(members, dict) else set()
    if "kdf" in names:
        if not passphrase:
            raise ConfigError(f"{where} is under a passphrase, and none is given.")
        return "passphrase"
    if names & {"encryptedKeyset", "encrypted_keyset"}:
        if not kms:
            raise ConfigError(f"{where} was sealed by a KMS, and none is given.")
        return "kms"
    if "key" not in names:
        raise ConfigError(f"{where} is no keyset of Tink's.")
    if kms or passphrase:
        raise ConfigError(
            f"{where} is a keyset in clear, and was to be sealed: whoever can write it would choose the key. Write it "
            "anew by write_keyset(...)."
        )
    return "clear"


def read_file(path: str | os.PathLike[str], *, strict: bool) -> str:
    """The text of a file that holds keys.

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
        _check_mode(where, status, sealed='"encryptedKeyset"' in text and '"kdf"' not in text)
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
    passphrase: str | bytes | None = None,
    associated_data: bytes = b"",
    cleartext: bool = False,
    replace: bool = False,
) -> None:
    """Writes a keyset to a file of mode 0600, whole or not at all.

    :param kms: what seals it.
    :param passphrase: what it is put under, at least 12 bytes.
    :param cleartext: True to write it as it is: whoever reads the file reads all that it has sealed.
    :param replace: whether a file that is there is replaced. Its keys are lost, unless they are in *keyset*.
    :raises ConfigError: unless exactly one of *kms*, *passphrase* and *cleartext* is given; if there is a file.
    :raises OSError: if it cannot be written.
    """
    where = os.fspath(path)
    if (kms is not None) + (passphrase is not None) + cleartext != 1:
        raise ConfigError("write_keyset(...) takes one of kms=, passphrase= and cleartext=True.")
    try:
        if kms is not None:
            text = keyset.to_encrypted_json(kms, associated_data=associated_data)
        elif passphrase is not None:
            text = keyset.to_passphrase_json(_passphrase(passphrase))
        else:
            text = keyset.to_cleartext_json()
    except ValueError as error:
        raise ConfigError(f"{where}: {error}.") from None
    _write(where, text.encode(), replace=replace)


def _write(where: str, data: bytes, *, replace: bool) -> None:
    folder = os.path.dirname(where) or "."
    # mkstemp makes files of mode 0600, whatever the umask.
    descriptor, temporary = tempfile.mkstemp(prefix=".keyset-", dir=folder)
    try:
        with open(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if replace:
            os.replace(temporary, where)
        else:
            # Unlike a rename, a link does not replace what somebody else has just written.
            try:
                os.link(temporary, where)
            except FileExistsError:
                raise ConfigError(
                    f"{where} is there already. Its keys may be all that opens some data: replace=True if they are in "
                    "this keyset."
                ) from None
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
    directory = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _passphrase(given: Any) -> bytes:
    try:
        data = given.encode() if isinstance(given, str) else given
    except UnicodeEncodeError:
        raise ConfigError("A passphrase that is a text can be written as UTF-8.") from None
    if not isinstance(data, bytes):
        raise ConfigError(f"A passphrase is a text or bytes, not {type(given).__name__}.")
    return data
