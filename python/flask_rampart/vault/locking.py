"""One at a time changes a keyset's file.

1. The file itself is locked (``flock``), not its folder: who may only look into the folder cannot hold changes up. Who
   may read the file can; that is its owner, its group where the group has it, and anybody where a KMS has sealed it and
   its mode says so.
2. A change puts another file in its place. Whoever has waited for the old one has the lock of nothing then: it begins
   again with the new one.
3. Nobody waits longer than half a minute.

A lock is gone with its process. On a network's file system that has no ``flock``, nothing is changed.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import time
from collections.abc import Iterator

from ..errors import ConfigError

MOST_SECONDS = 30.0


@contextlib.contextmanager
def locked(path: str) -> Iterator[None]:
    """Nobody else who asks changes this file meanwhile.

    :raises ConfigError: if it stays locked, or cannot be.
    :raises OSError: if it is a symbolic link.
    """
    until = time.monotonic() + MOST_SECONDS
    descriptor = -1
    try:
        while True:
            if descriptor < 0:
                descriptor = _open(path)
            if _taken(descriptor, path):
                if _is_there(descriptor, path):
                    break
                os.close(descriptor)
                descriptor = -1
            if time.monotonic() >= until:
                raise ConfigError(f"Another program is changing {path}, and does not come to an end.")
            if descriptor >= 0:
                time.sleep(0.02)
        yield
    finally:
        if descriptor >= 0:
            os.close(descriptor)


def _open(path: str) -> int:
    flags = os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW
    try:
        try:
            # Where a network stands in for flock, the lock is for those who may write.
            return os.open(path, os.O_RDWR | flags)
        except (PermissionError, IsADirectoryError):
            return os.open(path, os.O_RDONLY | flags)
        except OSError as error:
            if error.errno != errno.EROFS:
                raise
            return os.open(path, os.O_RDONLY | flags)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise OSError(errno.ELOOP, "a symbolic link is not written through: name the file itself", path) from None
        raise ConfigError(f"{path} cannot be read: {error.strerror}.") from None


def _taken(descriptor: int, path: str) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES, errno.EINTR):
            return False
        raise ConfigError(f"{path} cannot be locked: {error.strerror}. It is not changed.") from None
    return True


def _is_there(descriptor: int, path: str) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.lstat(path))
    except FileNotFoundError:
        return False
