"""One file, replaced whole or not at all: its mode stays, its owner too, where that may be said.

A file that may not be written (no bit of its mode says so) is not, also where whoever runs this could. Nor is one that
somebody changed since it was read.
"""

from __future__ import annotations

import os
import stat
import tempfile
from contextlib import suppress
from pathlib import Path


class NotWritten(OSError):
    """A file stays as it was; says why."""


def write(path: Path, before: bytes, after: bytes) -> None:
    """Replaces a file's content.

    :param before: what was read.
    :raises NotWritten: if it is another by now, may not be written, or the disk says so.
    """
    try:
        about = path.lstat()
        if not stat.S_ISREG(about.st_mode):
            raise NotWritten("it is no file any more")
        if not about.st_mode & 0o222:
            raise NotWritten("it is read-only")
        if path.read_bytes() != before:
            raise NotWritten("it was changed since it was read")
        _replace(path, after, about)
    except NotWritten:
        raise
    except OSError as error:
        raise NotWritten(error.strerror or str(error)) from None


def _replace(path: Path, content: bytes, about: os.stat_result) -> None:
    handle, name = tempfile.mkstemp(prefix=f".{path.name[:100]}.", suffix=".tmp", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            with suppress(PermissionError):
                os.fchown(file.fileno(), about.st_uid, about.st_gid)
            # After the owner, which takes some bits away.
            os.fchmod(file.fileno(), stat.S_IMODE(about.st_mode))
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(name)
        raise
