"""The file of the key that signs the audit log.

1. A file that ``RAMPART_AUDIT_KEY`` names has to be there: a misspelt path must not make a second key.
2. Where nothing is said, it is ``audit.key`` in the app's instance folder, made at the first start: written whole
   under another name and linked to its own, so that of several workers that start at once all read the same key.
3. Where there is a log already and its key is gone, none is made: it would verify nothing of what is there.
4. It is this user's own, and nobody else may read it.

What can break it in deployment: an instance folder that each container has anew. Name a path that lasts, or the next
container cannot go on with the log.
"""

from __future__ import annotations

import os
import re
import secrets
import stat
from contextlib import suppress
from pathlib import Path

from .._native import audit_generate_key, audit_public_key
from ..errors import ConfigError
from ..stores.place import own_folder

FILE = "audit.key"
_HEADS = "heads.jsonl"
_MOST = 4096


def read_key(path: Path) -> str:
    """The private key in this file.

    :raises ConfigError: if it is not there, others may read it, or it is no key.
    """
    try:
        # Not O_NOFOLLOW: secrets are often mounted as links.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise ConfigError(
            f"RAMPART_AUDIT_KEY: {path} cannot be read ({error.strerror}). Make a key with: "
            f"flask rampart audit keygen --out {path}"
        ) from None
    with os.fdopen(descriptor, "rb") as file:
        about = os.fstat(descriptor)
        if not stat.S_ISREG(about.st_mode):
            raise ConfigError(f"RAMPART_AUDIT_KEY: {path} is no file.")
        # Root may read everybody's, to verify.
        is_own = about.st_uid in (os.geteuid(), 0) or os.geteuid() == 0
        if not is_own or about.st_mode & 0o077:
            raise ConfigError(
                f"RAMPART_AUDIT_KEY: others may read or write {path}, and could sign a log in its name. "
                "Make it this user's own: chown, and chmod 600."
            )
        text = file.read(_MOST).decode("utf-8", "replace").strip()
    try:
        audit_public_key(text)
    except ValueError:
        # Not quoted.
        raise ConfigError(
            f"RAMPART_AUDIT_KEY: {path} holds no private key of an audit log (PRIVATE+KEY+...)."
        ) from None
    return text


def write_key(path: Path, text: str) -> bool:
    """Makes the file of a key, for this user alone. False if there is one: then it stays.

    :raises OSError: if it cannot be made.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            os.fchmod(descriptor, 0o600)
            file.write(f"{text}\n")
            file.flush()
            os.fsync(descriptor)
        # Fails where there is one; a rename would put ours in its place.
        os.link(temporary, path)
    except FileExistsError:
        return False
    finally:
        with suppress(OSError):
            os.unlink(temporary)
    return True


def key_of(given: Path | None, folder: Path, directory: Path, app_name: str) -> str:
    """The app's key.

    :param given: the file that the app names.
    :param folder: where it is if it names none.
    :param directory: the log's.
    :raises ConfigError: if there is none and none is made.
    """
    if given is not None:
        return read_key(given)
    path = folder / FILE
    if not path.exists():
        own_folder(folder)
        # Looked for once more: the worker that made the key a moment ago may have begun its log by now.
        if (directory / _HEADS).exists() and not path.exists():
            raise ConfigError(
                f"RAMPART_AUDIT_KEY: there is an audit log in {directory}, and its key {path} is gone. Put it back; "
                "or begin a new log in another directory (RAMPART_AUDIT_LOG)."
            )
        try:
            write_key(path, audit_generate_key(name_of(app_name)))
        except OSError as error:
            raise ConfigError(f"RAMPART_AUDIT_KEY: {path} cannot be made: {error.strerror}.") from None
    return read_key(path)


def name_of(app_name: str) -> str:
    """The name of an app's log, which stands in its checkpoints: C2SP allows no spaces and no plus.

    >>> name_of("my shop+")
    'my-shop-/audit'
    """
    return f"{re.sub(r'[^A-Za-z0-9._/-]', '-', app_name)[:128] or 'app'}/audit"
