"""Writes a sealed file from its beginning to its end.

1. What is written is sealed by the segment, and goes to a file that has no name yet (``replacing.py``).
2. ``close`` seals the last segment and gives the file its name, on a clean end alone: an exception within ``with``, a
   write that failed, :meth:`SealedWriter.discard`, and an object that is dropped without ``close`` leave what was
   there. So does an exception that comes while ``close`` writes the rest, as a signal's handler may raise it.
3. The key that seals is the primary one when the file is begun. Where it was destroyed or disabled before ``close``,
   nothing could open the file: ``close`` raises, and what was there stays.
4. A process that was forked off cannot go on writing: two processes would seal different bytes under the same nonces.

There is no seeking, and no writing into a file that is there: what is sealed is sealed once.
"""

from __future__ import annotations

import codecs
import contextlib
import errno
import functools
import io
import os
import warnings
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, NoReturn

from .._native import Keyset, StreamSealer
from .replacing import NewFile

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

# Most plaintext that is sealed at once.
STEP = 1024 * 1024
_MARKS = {"utf-16": codecs.BOM_UTF16, "utf-32": codecs.BOM_UTF32}


class _Kept:
    """What a file does that is not there before its clean end, whichever of its layers the program holds.

    Each layer must do it: the garbage collector ends them in any order, and each of Python's own would close the next.
    """

    def __exit__(
        self: Any, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self.discard()
        self.close()

    def __del__(self: Any) -> None:
        try:
            if self.closed:
                return
        except (AttributeError, ValueError):
            return  # its making has failed
        # What is half closed is flushed no more.
        with contextlib.suppress(ValueError, OSError):
            self.discard()
            self.close()
        warnings.warn(f"{self!r} was not closed: nothing was written", ResourceWarning, stacklevel=2, source=self)

    def __reduce__(self) -> NoReturn:
        raise TypeError("an open file cannot be pickled or copied")


class SealedFile(_Kept, io.RawIOBase):
    """Seals what is written. ``open_file`` makes one, and puts a :class:`SealedWriter` around it."""

    def __init__(
        self,
        path: str | bytes | os.PathLike[str] | os.PathLike[bytes],
        keyset: Keyset,
        associated_data: bytes,
        *,
        replace: bool,
        instead_of: os.stat_result | None = None,
        last_look: Callable[[], object] = lambda: None,
        current: Callable[[], Keyset] | None = None,
    ) -> None:
        # No text: pandas 2 takes a writer whose name is one for a file of the system's, and writes there in clear.
        self.name = Path(os.fsdecode(path))
        self.mode = "wb" if replace else "xb"
        self._at = 0
        self._last_look = last_look
        self._current = current or (lambda: keyset)
        self._file: NewFile | None = None
        self._failed = False
        _keep_at_hand()
        try:
            # First, so that a keyset that is for something else leaves no trace.
            self._sealer = StreamSealer(keyset, associated_data)
            self._file = NewFile(path, replace=replace, instead_of=instead_of)
            self._file.write(self._sealer.header)
        except BaseException:
            self._drop()
            io.RawIOBase.close(self)
            raise

    def writable(self) -> bool:
        self._open()
        return True

    def write(self, data: ReadableBuffer, /) -> int:
        self._open()
        done = False
        try:
            if type(data) is bytes:
                # Sealed from where it is. Of anything else, a part at a time is copied: it may be changed meanwhile.
                length = len(data)
                for at in range(0, length, STEP):
                    self._seal(data, at, min(at + STEP, length))
            else:
                with memoryview(data) as given, given.cast("B") as view:
                    length = len(view)
                    for at in range(0, length, STEP):
                        self._seal(bytes(view[at : at + STEP]))
            self._at += length
            done = True
            return length
        finally:
            # Wherever an exception came: the layer above would write the same once more, or complete half of a file.
            if not done:
                self._failed = True
                self._drop()

    def tell(self) -> int:
        self._open()
        return self._at

    def discard(self) -> None:
        """Gives up: what is written from here on goes nowhere, and ``close`` leaves what was there."""
        self._drop()
        self._failed = False

    def close(self) -> None:
        if self.closed:
            return
        try:
            file = self._file
            if self._failed:
                raise _lost()
            if file is not None:
                # Before anything is sealed.
                file.mine()
                file.write(self._sealer.finish())
                # When nothing is written any more: what is changed later is younger than this file.
                self._last_look()
                check_key(self._current(), self._sealer)
                file.commit()
        finally:
            self._drop()
            io.RawIOBase.close(self)

    def _open(self) -> None:
        if self.closed:
            raise ValueError("I/O operation on closed file.")

    def _seal(self, data: bytes, start: int = 0, end: int | None = None) -> None:
        file = self._file
        if self._failed:
            raise _lost()
        if file is not None:
            file.mine()
            file.write(self._sealer.push(data, start, end))

    def _drop(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            file.discard()


def check_key(keyset: Keyset, sealer: StreamSealer) -> None:
    """Whether what *sealer* has sealed can be opened by *keyset*, which may have been changed since it began.

    :raises OSError: ``EKEYREVOKED``, if its key was destroyed or disabled meanwhile.
    """
    if not any(key.id == sealer.key_id and key.status == "ENABLED" for key in keyset.info()):
        raise OSError(
            getattr(errno, "EKEYREVOKED", errno.EACCES),
            f"the key {sealer.key_id}, which has sealed it, was destroyed or disabled meanwhile: it is not completed",
        )


@functools.cache
def _keep_at_hand() -> None:
    # glibc keeps what is freed up to twice the longest mapping that was freed once. Less than two steps, and each
    # mebibyte is given back and fetched again page by page, which takes longer than to seal it. None of it is touched.
    bytes(4 * STEP)


def _lost() -> OSError:
    return OSError(errno.EIO, "a write has failed: the file is not completed")


def _close(layer: Any, base: Any) -> None:
    # Python's own close ends the layer below even where what this one held did not get there.
    done = layer.closed
    try:
        if not done:
            layer.flush()
            done = True
    finally:
        if not done:
            layer.discard()
        base.close(layer)


class SealedWriter(_Kept, io.BufferedWriter):
    """A sealed file that is being written, as ``open_file`` gives it in a binary mode."""

    raw: SealedFile

    def discard(self) -> None:
        """Gives up: ``close`` leaves what was there."""
        self.raw.discard()

    def close(self) -> None:
        _close(self, io.BufferedWriter)


class SealedText(_Kept, io.TextIOWrapper):
    """A sealed file that is being written, as ``open_file`` gives it in a text mode."""

    buffer: Any

    def __init__(self, buffer: SealedWriter, encoding: str, errors: str | None, newline: str | None) -> None:
        super().__init__(buffer, encoding, errors, newline)
        # Where nothing can be sought, Python takes it that a text goes on, and says nothing of the order of its bytes.
        buffer.write(_MARKS.get(codecs.lookup(encoding).name, b""))

    def discard(self) -> None:
        """Gives up: ``close`` leaves what was there."""
        self.buffer.discard()

    def close(self) -> None:
        _close(self, io.TextIOWrapper)
