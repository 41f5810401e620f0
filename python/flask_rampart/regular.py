"""Reads a file of a project that somebody else has made: a regular one, and no more of it than is asked for.

A name says nothing of what is behind it. A pipe under it would be waited for, a device may never end, and a file may
grow between a look at its size and the reading. So it is opened without waiting, looked at when it is open, and read
within a bound.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path


def read(path: str | Path, most: int) -> bytes:
    """What is in the file.

    :param most: bytes that it may have.
    :raises OSError: if it cannot be read, is no regular file, or is larger; ``strerror`` says which.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "it is a pipe, a socket, a device or a folder", str(path))
        with open(descriptor, "rb", closefd=False) as file:
            found = file.read(most + 1)
    finally:
        os.close(descriptor)
    if len(found) > most:
        raise OSError(errno.EFBIG, f"it is larger than {most} bytes", str(path))
    return found
