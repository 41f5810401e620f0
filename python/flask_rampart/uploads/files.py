"""A file that was judged, as a view gets it."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from werkzeug.datastructures import FileStorage, MultiDict

from .._native import safe_filename

if TYPE_CHECKING:
    from _typeshed import StrPath

_PIECE = 64 * 1024


class UploadedFile:
    """A file of a form that is what ``validate(files=...)`` says it may be."""

    __slots__ = ("_digest", "_file", "extension", "size", "type")

    def __init__(self, file: FileStorage, type_: str, extension: str, size: int) -> None:
        self._file = file
        self._digest: str | None = None
        #: Its media type, by what is in it.
        self.type = type_
        #: How the name of a file of this type ends, such as ``".png"``.
        self.extension = extension
        #: In bytes.
        self.size = size

    @property
    def filename(self) -> str:
        """As its sender calls it, cleaned by :func:`~flask_rampart.safe_filename`; ``"file"`` if nothing is left. It is
        not unique, and its end may say another type than ``type``: for a name of your own, use ``extension``."""
        return safe_filename(self.unsafe_filename, fallback="file", limit=255)

    @property
    def unsafe_filename(self) -> str:
        """As its sender calls it: may lead to another folder, hide its end, or be empty."""
        return self._file.filename or ""

    @property
    def stream(self) -> IO[bytes]:
        """Its bytes, from the first one when the view begins. It is closed when the request ends."""
        return self._file.stream

    @property
    def sha256(self) -> str:
        """The SHA-256 of its bytes, in hexadecimal."""
        if self._digest is None:
            digest = hashlib.sha256()
            stream = self.stream
            at = stream.tell()
            stream.seek(0)
            while piece := stream.read(_PIECE):
                digest.update(piece)
            stream.seek(at)
            self._digest = digest.hexdigest()
        return self._digest

    def save(self, path: StrPath) -> Path:
        """Writes it to a new file, which only this user can read and nobody can run (mode 0600).

        :param path: of the file; take its name from your own store of names, and not from the sender.
        :raises FileExistsError: if there is something of this name, a link too; nothing is ever overwritten.
        :raises OSError: if it cannot be written; nothing is left then.
        """
        target = Path(path)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
        stream = self.stream
        at = stream.tell()
        with os.fdopen(os.open(target, flags, 0o600), "wb") as written:
            try:
                stream.seek(0)
                shutil.copyfileobj(stream, written, _PIECE)
                written.flush()
            except BaseException:
                target.unlink(missing_ok=True)
                raise
            finally:
                stream.seek(at)
        return target

    def __repr__(self) -> str:
        # Nothing that its sender has written.
        return f"<UploadedFile {self.type}, {self.size} bytes>"


def names_of_chosen(files: MultiDict[str, FileStorage]) -> set[str]:
    """The names under which there is a file. Where nobody chose one, a form sends one without name and bytes."""
    return {name for name, file in files.items(multi=True) if file.filename or measured(file)}


def measured(file: FileStorage) -> int:
    """How many bytes a file has; its stream is at its beginning then."""
    stream: Any = file.stream
    size: int = stream.seek(0, os.SEEK_END)
    if size is None:  # some streams of Python 3.10 do not say
        size = stream.tell()
    stream.seek(0)
    return size
