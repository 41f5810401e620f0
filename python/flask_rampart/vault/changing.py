"""Changes the keys in a file, so that nothing is lost whoever else does so.

1. The file is locked (``locking.py``): of two changes at once, the second is made to what the first has left.
2. The keyset is read (``keysets.py``), changed, and written in the form and with the costs of Argon2id that it had.
3. It takes the place of the file that was read, and of no other (``replacing.py``): what a program that does not take
   the lock has written meanwhile stays, and this fails. Mode, group, owner and access list are kept, or it fails.
4. An exception, and ``kill -9`` at any moment, leave the old keyset or the new one, whole.

A keyset behind a symbolic link is not changed: name the file itself. Nor is one of another user, which would be this
user's afterwards.

Processes that have read the file before know nothing of the change: they read it again by ``Vault.reload``, or when
they are started.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable
from types import TracebackType
from typing import Any

from .._native import Keyset
from ..errors import ConfigError
from .keysets import (
    Kms,
    check_form,
    open_keyset,
    passphrase_bytes,
    read_file,
    text_of,
    without_frames,
    write_text,
)
from .locking import locked
from .replacing import resolved

_COSTS = re.compile(r'"kdf"\s*:\s*"\$argon2id\$v=19\$m=([0-9]{1,7}),t=([0-9]{1,2}),p=([0-9]{1,2})\$')


class change_keyset:  # noqa: N801
    """The keyset in a file, to be changed: what was done to it is written at the end of ``with``.

    :param kms: what it was sealed by, and is sealed by again.
    :param passphrase: what it is under; or a function that gives it, called only if the file needs one.
    :param new_passphrase: what it is put under from now on, whatever it was sealed by.
    :param new_kms: what it is sealed by from now on instead.
    :param associated_data: what the KMS has sealed it with.
    :param strict: whether owner and mode are looked at, as in production.
    :raises ConfigError: as :func:`~flask_rampart.vault.read_keyset`; if the file stays locked for half a minute.
    :raises IntegrityError: if it was changed, or the passphrase is another.
    :raises OSError: if it cannot be written, is a symbolic link, belongs to another user, or was written meanwhile by a
        program that does not take the lock. What is there stays.

    >>> import os, tempfile
    >>> from flask_rampart.vault import read_keyset, write_keyset
    >>> path = os.path.join(tempfile.mkdtemp(), "keyset.json")
    >>> write_keyset(path, Keyset.generate("AES256_GCM"), cleartext=True)
    >>> with change_keyset(path) as keyset:
    ...     new = keyset.rotate("AES256_GCM")
    >>> read_keyset(path).primary == new
    True
    """

    # An object and no generator: variables of a frame go to services that collect errors (keysets.py).
    __slots__ = (
        "_ad",
        "_costs",
        "_form",
        "_given",
        "_keyset",
        "_kms",
        "_lock",
        "_new",
        "_new_kms",
        "_path",
        "_strict",
        "_there",
    )

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        kms: Kms | None = None,
        passphrase: str | bytes | Callable[[], str | bytes] | None = None,
        new_passphrase: str | bytes | Callable[[], str | bytes] | None = None,
        new_kms: Kms | None = None,
        associated_data: bytes = b"",
        strict: bool = True,
    ) -> None:
        if new_passphrase is not None and new_kms is not None:
            raise ConfigError("change_keyset(...) takes one of new_passphrase= and new_kms=.")
        self._path, self._kms, self._given = os.fspath(path), kms, passphrase
        self._new, self._new_kms = new_passphrase, new_kms
        self._ad, self._strict = associated_data, strict
        self._lock = contextlib.ExitStack()
        self._costs: dict[str, int] = {}
        self._form = ""
        self._keyset: Keyset | None = None
        self._there: os.stat_result | None = None

    def __enter__(self) -> Keyset:
        try:
            return self._entered()
        except BaseException as error:
            failure = without_frames(error)
        raise failure from failure.__cause__

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            keyset = self._keyset
            if kind is not None or keyset is None:
                return
            try:
                # What a KMS has sealed may be for others to read; that stays so.
                most = 0o644 if self._sealed_by() == "kms" else 0o640
                write_text(self._path, self._text(keyset), replace=True, most=most, instead_of=self._there)
                return
            except BaseException as raised:
                failure = without_frames(raised)
            raise failure from failure.__cause__

    def _entered(self) -> Keyset:
        with contextlib.ExitStack() as stack:
            stack.enter_context(locked(resolved(self._path)))
            # Before it is read: what comes in between is another file at the end.
            self._there = _stat(self._path)
            text = read_file(self._path, strict=self._strict)
            given = self._given is not None
            self._form = check_form(text, self._path, kms=self._kms is not None, passphrase=given)
            if self._form == "passphrase":
                # Asked for once: the same opens it and seals it again.
                self._given = passphrase_bytes(self._given() if callable(self._given) else self._given)
                self._costs = _costs(text)
            self._keyset = open_keyset(
                text, self._path, kms=self._kms, passphrase=self._given, associated_data=self._ad
            )
            self._lock = stack.pop_all()
        return self._keyset

    def _sealed_by(self) -> str:
        if self._new_kms is not None:
            return "kms"
        return "passphrase" if self._new is not None else self._form

    def _text(self, keyset: Keyset) -> bytes:
        by: dict[str, Any] = {"kms": None, "passphrase": None, "cleartext": False}
        form = self._sealed_by()
        if form == "kms":
            by["kms"] = self._kms if self._new_kms is None else self._new_kms
        elif form == "passphrase":
            by["passphrase"] = self._given if self._new is None else self._new
        else:
            by["cleartext"] = True
        return text_of(self._path, keyset, associated_data=self._ad, costs=self._costs, **by)


def _stat(path: str) -> os.stat_result:
    try:
        return os.lstat(path)
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}.") from None


def _costs(text: str) -> dict[str, int]:
    found = _COSTS.search(text)
    return dict(zip(("memory", "passes", "lanes"), map(int, found.groups()), strict=True)) if found else {}
