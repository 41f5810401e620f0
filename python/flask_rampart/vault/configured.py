"""The vault of an app, from ``RAMPART_VAULT_KEYSET``, ``_KMS`` and ``_PASSPHRASE``.

1. Before the first request, the files are looked at: they are there, nobody else can change or read them (in
   production), and they are in a form that the settings can open. Keysets in clear are opened.
2. The KMS is asked, and the passphrase stretched, when a keyset is first needed: an app that opens nothing does not
   wait for either, and a KMS that is away stops only what needs it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .._native import Keyset
from ..errors import ConfigError
from . import Vault
from .keysets import Kms, check_form, open_keyset, read_file, without_frames

if TYPE_CHECKING:
    from flask import Flask

    from ..config import Settings


def vault_of(settings: Settings, app: Flask) -> tuple[Vault, Callable[[Flask], None]]:
    """The app's vault, and what looks at its files before the first request.

    :raises ConfigError: for settings that have no effect.
    """
    if not settings.vault_keyset:
        given = [name for name in ("kms", "passphrase") if getattr(settings, f"vault_{name}") is not None]
        if given:
            raise ConfigError(f"RAMPART_VAULT_{given[0].upper()} opens keysets: set RAMPART_VAULT_KEYSET as well.")
        raise ConfigError("RAMPART_VAULT_KEYSET is not set.")
    root = Path(app.root_path)
    sealed_by = {"kms": settings.vault_kms is not None, "passphrase": settings.vault_passphrase is not None}

    def texts() -> dict[str, tuple[str, str]]:
        strict = not (app.debug or app.testing)
        found = {}
        for name, path in settings.vault_keyset.items():
            where = f"RAMPART_VAULT_KEYSET: {path}"
            try:
                text = read_file(root / path, strict=strict)
            except ConfigError as error:
                raise ConfigError(f"RAMPART_VAULT_KEYSET: {error}") from None
            check_form(text, where, **sealed_by)
            found[name] = (where, text)
        return found

    def opened() -> Mapping[str, Keyset]:
        kms = kms_of(settings.vault_kms)
        passphrase = passphrase_of(settings.vault_passphrase, root, strict=not (app.debug or app.testing))
        return {
            name: open_keyset(text, where, kms=kms, passphrase=passphrase) for name, (where, text) in texts().items()
        }

    def load() -> Mapping[str, Keyset]:
        # As in keysets.py: variables of what an error came through hold keysets in clear.
        try:
            return opened()
        except BaseException as error:
            failure = without_frames(error)
        raise failure from failure.__cause__

    def looked() -> None:
        found = texts()
        if not any(sealed_by.values()):
            for where, text in found.values():
                open_keyset(text, where, kms=None, passphrase=None)
        if isinstance(settings.vault_passphrase, str):
            _of_file(root / settings.vault_passphrase, strict=not (app.debug or app.testing))

    def check(_: Flask) -> None:
        try:
            looked()
            return
        except BaseException as error:
            failure = without_frames(error)
        raise failure from failure.__cause__

    vault = Vault(load)
    vault.app = app
    return vault, check


def kms_of(given: Any) -> Kms | None:
    made = given
    if given is not None and not hasattr(given, "decrypt"):
        made = given()
        if not (callable(getattr(made, "encrypt", None)) and callable(getattr(made, "decrypt", None))):
            raise ConfigError(
                "RAMPART_VAULT_KMS: the function gives an object with encrypt(plaintext, associated_data) and "
                f"decrypt(ciphertext, associated_data), not {type(made).__name__}."
            )
    kms: Kms | None = made
    return kms


def passphrase_of(given: Any, root: Path, *, strict: bool) -> Callable[[], str | bytes] | None:
    """A function that gives the passphrase; it is asked for once, however many keysets are under it."""
    if given is None:
        return None
    known: list[str | bytes] = []

    def passphrase() -> str | bytes:
        if not known:
            found = given() if callable(given) else _of_file(root / given, strict=strict)
            if not isinstance(found, (str, bytes)) or not found:
                raise ConfigError(
                    "RAMPART_VAULT_PASSPHRASE: the function returns a text or bytes, not empty; not "
                    f"{type(found).__name__}."
                )
            known.append(found)
        return known[0]

    return passphrase


def _of_file(path: Path, *, strict: bool) -> str:
    # Not even its name is quoted: somebody may have set the passphrase itself.
    try:
        text = read_file(path, strict=strict, keyset=False)
    except ConfigError as error:
        why = str(error).removeprefix(os.fspath(path)).strip()
        raise ConfigError(
            f"RAMPART_VAULT_PASSPHRASE is the path of a file that holds the passphrase, never itself. The file {why}"
        ) from None
    # An editor ends a line; a passphrase does not end in one.
    passphrase = text.removesuffix("\n").removesuffix("\r")
    if not passphrase:
        raise ConfigError("RAMPART_VAULT_PASSPHRASE: the file is empty.")
    return passphrase
