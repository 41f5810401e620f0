"""Reads a sealed file at any place, as if it were not sealed.

A file is opened when all of these hold, checked in this order:

1. it is a regular file;
2. a key of the keyset opens its first segment, for these associated data;
3. its last segment opens as the last: so that a file that was cut or continued, also at a segment's border, is refused
   before anything of it is read.

What is read later is authentic at its place, or raises :class:`~flask_rampart.errors.IntegrityError`: a changed segment
is noticed by whoever reads of it, and what is whole beside it is read.

It reads with ``pread``, some segments at a time: memory does not grow with the file, and processes that share one after
a fork do not disturb each other. It has no descriptor to give away (``fileno``): whoever asked for it would read what
is sealed.
"""

from __future__ import annotations

import errno
import io
import operator
import os
import stat
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NoReturn

from .._native import Keyset, StreamOpener
from ..errors import IntegrityError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

# Most plaintext that is opened at once, unless one segment has more.
RUN = 256 * 1024
# What is opened at least where reading goes on behind what was read.
_AHEAD = 64 * 1024


def open_regular(path: str | bytes | os.PathLike[str] | os.PathLike[bytes], *, follow: bool = True) -> int:
    """A descriptor of a regular file, for reading. A pipe is refused, and not waited for.

    :param follow: whether it may be a symbolic link to one.
    :raises OSError: if there is none.
    """
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK
    try:
        descriptor = os.open(path, flags if follow else flags | os.O_NOFOLLOW)
    except OSError as error:
        if follow or error.errno != errno.ELOOP:
            raise
        raise OSError(errno.ELOOP, "a symbolic link is not followed: name the file itself", os.fspath(path)) from None
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), os.fspath(path))
        raise OSError(errno.EINVAL, "not a regular file", os.fspath(path))
    return descriptor


class OpenedFile(io.RawIOBase):
    """What a sealed file says. ``open_file`` makes one, and puts an ``io.BufferedReader`` around it."""

    mode = "rb"

    def __init__(
        self,
        path: str | bytes | os.PathLike[str] | os.PathLike[bytes],
        keyset: Keyset,
        associated_data: bytes,
        alarm: Callable[[IntegrityError], object] | None = None,
        *,
        follow: bool = True,
    ) -> None:
        self._descriptor = -1
        self._alarm = None
        self.name = os.fspath(path)
        head = StreamOpener.head(keyset)
        self._descriptor = open_regular(path, follow=follow)
        self._at, self._plain, self._start = 0, b"", 0
        try:
            # Its length is what it is here: what is appended later is not read, and what is cut off later is missed.
            length = os.fstat(self._descriptor).st_size
            self._opener = StreamOpener(keyset, self._read(0, min(head, length)), length, associated_data)
            self.length = self._opener.length
            """Bytes that can be read."""
            self.by_primary = self._opener.by_primary
            """Whether the keyset's primary key sealed it."""
            self._fetch(self.length, 1)
        except BaseException:
            self.close()
            raise
        self._alarm = alarm

    @property
    def descriptor(self) -> int:
        """Of what is sealed: to ask which file it is, not to read from."""
        return self._descriptor

    def readable(self) -> bool:
        return self._open()

    def seekable(self) -> bool:
        return self._open()

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        self._open()
        with memoryview(buffer) as given, given.cast("B") as view:
            plain = self._next(len(view))
            view[: len(plain)] = plain
            return len(plain)

    def readall(self) -> bytes:
        return b"".join(self.runs())

    def runs(self) -> Iterator[memoryview]:
        """All from here on, in parts of a size that is easy to handle."""
        self._open()
        while plain := self._next(RUN):
            yield plain

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        self._open()
        bases = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self.length}
        if whence not in bases:
            raise ValueError(f"whence is 0, 1 or 2, not {whence!r}")
        at: int = bases[whence] + operator.index(offset)
        if not 0 <= at < 1 << 63:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        self._at = at
        return at

    def tell(self) -> int:
        self._open()
        return self._at

    def close(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        self._plain = b""
        if descriptor >= 0:
            os.close(descriptor)
        super().close()

    def __reduce__(self) -> NoReturn:
        raise TypeError("an open file cannot be pickled or copied")

    def _open(self) -> bool:
        if self.closed:
            raise ValueError("I/O operation on closed file.")
        return True

    def _next(self, most: int) -> memoryview:
        """At most *most* bytes from here on: what is at hand, or else the next run."""
        at = self._at
        if most <= 0 or at >= self.length:
            return memoryview(b"")
        end = self._start + len(self._plain)
        if not self._start <= at < end:
            self._fetch(at, min(max(most, _AHEAD if at == end else 1), RUN))
        begin = at - self._start
        plain = memoryview(self._plain)[begin : begin + most]
        self._at = at + len(plain)
        return plain

    def _fetch(self, at: int, most: int) -> None:
        first, offset, length, start = self._opener.span(at, most)
        try:
            self._plain, self._start = self._opener.open(first, self._read(offset, length)), start
        except IntegrityError as error:
            if most <= 1:
                if self._alarm is not None:
                    self._alarm(error)
                raise
            # A layer above asks for more than it was asked for: what lies behind may be changed, and this be whole.
            self._fetch(at, 1)

    def _read(self, offset: int, length: int) -> bytes:
        data = os.pread(self._descriptor, length, offset)
        while len(data) < length:
            more = os.pread(self._descriptor, length - len(data), offset + len(data))
            if not more:
                # It became shorter since it was opened.
                raise IntegrityError("altered")
            data += more
        return data
