"""A mark in memory that all processes of the host share: it is another after each change of a store.

Eight random bytes in a mapped file beside the store. Who changes the store writes others *after* the change is
durable and *before* it is confirmed; who reads the mark, and then the store, may keep what was read as long as the
mark stays.
Reading it costs no system call.

It is a hint of freshness, never a source: a process that is killed between change and mark leaves a change that
nobody was told of, and which is found when the store itself is polled.
"""

from __future__ import annotations

import mmap
import os
from pathlib import Path

from ..errors import ConfigError

_BYTES = 8


class Epoch:
    """The mark of the store at *path*.

    :raises ConfigError: if its file is not this user's alone.
    """

    def __init__(self, path: Path) -> None:
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        try:
            descriptor = os.open(path, flags, 0o600)
            try:
                about = os.fstat(descriptor)
                if about.st_uid != os.geteuid() or about.st_mode & 0o077 or about.st_nlink != 1:
                    raise ConfigError(
                        f"RAMPART_STORE: {path} is not this user's alone. Make it so: chown, and chmod 600."
                    )
                if about.st_size < _BYTES:
                    # Only ever longer: who has mapped it relies on its length.
                    os.ftruncate(descriptor, _BYTES)
                self._shared = mmap.mmap(descriptor, _BYTES)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise ConfigError(f"RAMPART_STORE: {path} cannot be used: {error.strerror}.") from None

    def read(self) -> bytes:
        """The mark. Read it before the store."""
        return self._shared[:_BYTES]

    def change(self) -> None:
        """Makes it another. After the change, before it is confirmed."""
        self._shared[:_BYTES] = os.urandom(_BYTES)
