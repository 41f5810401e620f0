"""A file that is there whole, or not at all.

1. What is written goes to a temporary file of mode 0600 in the same folder.
2. :meth:`NewFile.commit` flushes it to the disk (``fsync``), and then gives it the name: whoever opens the name sees
   the old file or the new one. A file that is replaced keeps its permissions; a new one has 0600.
3. Where nothing may be replaced, the name is given by a link, which fails if there is something.
4. :meth:`NewFile.discard` leaves what was there.

A symbolic link is refused as target: following it would write where its maker wants, and replacing it would leave what
it stands for as it was. So is what is no regular file.

A process that is killed leaves its temporary file, ``.vault-….part``. One that was forked off has no say: its parent's
file is neither completed nor removed by it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import tempfile


class NewFile:
    """A file that is being written.

    :param replace: whether it may take the place of a file that is there.
    :raises OSError: if it could not take its place.
    """

    def __init__(self, path: str | bytes | os.PathLike[str] | os.PathLike[bytes], *, replace: bool) -> None:
        self._descriptor, self._temporary = -1, ""
        self._process = os.getpid()
        self._replace = replace
        given = os.fsdecode(path)
        if not os.path.basename(given):
            number = errno.EISDIR if given else errno.ENOENT
            raise OSError(number, os.strerror(number), given)
        self._mode = 0o600
        with contextlib.suppress(FileNotFoundError):
            self._mode = _checked(given, os.lstat(given), replace=replace)
        # Of now: the process may be in another folder when it is done.
        self._target = os.path.abspath(given)
        folder = os.path.dirname(self._target)
        self._descriptor, self._temporary = tempfile.mkstemp(prefix=".vault-", suffix=".part", dir=folder)

    def write(self, data: bytes | memoryview) -> None:
        """Appends *data*.

        :raises OSError: if the disk is full, say. The file is to be discarded then.
        """
        self.mine()
        written = os.write(self._descriptor, data)
        if written < len(data):
            rest = memoryview(data)
            while written < len(data):
                written += os.write(self._descriptor, rest[written:])

    def commit(self) -> None:
        """Gives it its name.

        :raises OSError: if that fails; nothing is left of it then.
        """
        self.mine()
        try:
            if self._mode != 0o600:
                os.fchmod(self._descriptor, self._mode)
            os.fsync(self._descriptor)
            if self._replace:
                os.replace(self._temporary, self._target)
            else:
                os.link(self._temporary, self._target)
                os.unlink(self._temporary)
            self._temporary = ""
        finally:
            self.discard()
        folder = os.open(os.path.dirname(self._target), os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def discard(self) -> None:
        """Removes it, unless it has its name. Again harmless."""
        descriptor, self._descriptor = self._descriptor, -1
        temporary, self._temporary = self._temporary, ""
        if descriptor >= 0:
            os.close(descriptor)
        if temporary and os.getpid() == self._process:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)

    def mine(self) -> None:
        """:raises RuntimeError: in a process that was forked off since it was begun."""
        if os.getpid() != self._process:
            raise RuntimeError("this file is being written by another process, of which this one is a fork")


def _checked(path: str, status: os.stat_result, *, replace: bool) -> int:
    """The permissions of what is there, if it may be replaced."""
    if not replace:
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), path)
    if stat.S_ISLNK(status.st_mode):
        raise OSError(errno.ELOOP, "a symbolic link is not written through: name the file itself", path)
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "not a regular file", path)
    return stat.S_IMODE(status.st_mode) & 0o777
