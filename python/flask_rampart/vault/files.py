"""Sealed files as file objects, and whole files sealed and opened.

The format is Tink's streaming AEAD (``src/vault/streaming``): a file of any length in segments, each of which is
authentic at its place. What reads is in ``reading.py``, what writes in ``writing.py``.

It does not hide how long a file is or what it is called, and does not notice that a whole file was put back to what it
once was under the same associated data.
"""

from __future__ import annotations

import errno
import io
import os
import shutil
import stat
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Literal, TypeAlias, overload

from .._native import Keyset, StreamFollower, StreamSealer
from ..errors import IntegrityError
from .reading import OpenedFile, open_regular
from .replacing import NewFile, resolved
from .writing import STEP, SealedFile, SealedText, SealedWriter, check_key

__all__ = [
    "SealedText",
    "SealedWriter",
    "decrypt_file",
    "decrypt_stream",
    "encrypt_file",
    "encrypt_stream",
    "open_file",
    "reencrypt_file",
]

Path: TypeAlias = "str | bytes | os.PathLike[str] | os.PathLike[bytes]"
Progress: TypeAlias = "Callable[[int], object] | None"
"""Called with the bytes of plaintext that were done since it was called last."""
Alarm: TypeAlias = "Callable[[IntegrityError], object]"


@overload
def open_file(
    path: Path, mode: Literal["rb", "br"] = "rb", *, keyset: Keyset, associated_data: str | bytes
) -> io.BufferedReader: ...
@overload
def open_file(
    path: Path, mode: Literal["wb", "bw", "xb", "bx"], *, keyset: Keyset, associated_data: str | bytes
) -> SealedWriter: ...
@overload
def open_file(
    path: Path,
    mode: Literal["r", "rt", "tr"],
    *,
    keyset: Keyset,
    associated_data: str | bytes,
    encoding: str = "utf-8",
    errors: str = "strict",
    newline: str | None = None,
) -> io.TextIOWrapper: ...
@overload
def open_file(
    path: Path,
    mode: Literal["w", "wt", "tw", "x", "xt", "tx"],
    *,
    keyset: Keyset,
    associated_data: str | bytes,
    encoding: str = "utf-8",
    errors: str = "strict",
    newline: str | None = None,
) -> SealedText: ...
@overload
def open_file(
    path: Path,
    mode: str = "rb",
    *,
    keyset: Keyset,
    associated_data: str | bytes,
    encoding: str | None = None,
    errors: str | None = None,
    newline: str | None = None,
    alarm: Alarm | None = None,
    current: Callable[[], Keyset] | None = None,
) -> io.BufferedReader | io.TextIOWrapper | SealedWriter: ...


def open_file(
    path: Path,
    mode: str = "rb",
    *,
    keyset: Keyset,
    associated_data: str | bytes,
    encoding: str | None = None,
    errors: str | None = None,
    newline: str | None = None,
    alarm: Alarm | None = None,
    current: Callable[[], Keyset] | None = None,
) -> io.BufferedReader | io.TextIOWrapper | SealedWriter:
    """Opens a sealed file, as ``open`` opens one that is not.

    :param mode: ``"rb"`` reads at any place; ``"wb"`` writes from the beginning, in place of what may be there, and
        ``"xb"`` where nothing is. ``"r"``, ``"w"`` and ``"x"`` read and write text.
    :param keyset: one for streaming AEAD, such as ``Keyset.generate("AES256_GCM_HKDF_1MB")``; its primary key seals,
        and any enabled one opens.
    :param associated_data: what the file is bound to, such as its name: the same must be given to read it. A text is
        taken as UTF-8; ``""`` binds it to nothing.
    :param alarm: called with an ``IntegrityError`` that comes after the file was opened, before it is raised.
    :param current: gives the keyset that the key of a file that was written is looked for in when it is closed;
        *keyset* if None.
    :param encoding: of text, UTF-8 if None; *errors* and *newline* as of ``open``.
    :raises IntegrityError: if the file was changed, cut, continued, sealed for other *associated_data* or by another
        key. What cannot be seen at once is noticed by ``read``, which then gives nothing of what it was asked for.
    :raises ValueError: for another mode, or a keyset that is for something else.
    :raises OSError: as ``open``. A symbolic link is not written through. From ``close``, if the key that was primary
        when the file was begun has been destroyed or disabled: what was there stays.

    A file that is written gets its name when it is closed. Leave ``with`` by an exception, call ``discard()`` or drop
    it without ``close``, and what was there is still there. It has no ``fileno``, and is not sought in while it is
    written.

    >>> import os, tempfile
    >>> keyset = Keyset.generate("AES256_GCM_HKDF_4KB")
    >>> path = os.path.join(tempfile.mkdtemp(), "notes")
    >>> with open_file(path, "w", keyset=keyset, associated_data="notes") as file:
    ...     count = file.write("not for everybody")
    >>> with open_file(path, keyset=keyset, associated_data="notes") as file:
    ...     place = file.seek(8)
    ...     file.read()
    b'everybody'
    """
    letters = sorted(mode.replace("t", "", 1) if "b" not in mode else mode)
    if letters not in (["b", "r"], ["b", "w"], ["b", "x"], ["r"], ["w"], ["x"]):
        raise ValueError(f"mode is 'rb', 'wb' or 'xb', or 'r', 'w' or 'x' for text; not {mode!r}")
    text = "b" not in letters
    if not text and (encoding, errors, newline) != (None, None, None):
        raise ValueError("encoding, errors and newline are for text")
    bound = associated(associated_data)
    if "r" in letters:
        reader: io.BufferedReader = io.BufferedReader(OpenedFile(path, keyset, bound, alarm))
        return io.TextIOWrapper(reader, encoding or "utf-8", errors, newline) if text else reader
    writer = SealedWriter(SealedFile(path, keyset, bound, replace="w" in letters, current=current))
    if not text:
        return writer
    try:
        return SealedText(writer, encoding or "utf-8", errors, newline)
    except BaseException:  # an encoding that there is not
        writer.discard()
        writer.close()
        raise


def encrypt_file(
    source: Path,
    target: Path,
    *,
    keyset: Keyset,
    associated_data: str | bytes,
    replace: bool = False,
    follow: bool = True,
    progress: Progress = None,
) -> None:
    """Seals the file *source* as *target*, of which it then is a copy that only the keyset's holders read.

    :param replace: whether a file *target* that is there is replaced. *source* stays in any case.
    :param follow: whether *source* may be a symbolic link.
    :param progress: called with the bytes that were sealed since it was called last.
    :raises OSError: if *target* is there, or is *source* by another name; if *source* is changed meanwhile: half of the
        old and half of the new is what nobody has written.

    Memory does not grow with the file, and *target* is there whole or not at all. See :func:`open_file`.
    """
    descriptor = open_regular(source, follow=follow)
    with open(descriptor, "rb", buffering=0) as plain:
        target = resolved(target)
        _apart(descriptor, source, target)
        last_look = unchanged(descriptor, source)
        with SealedFile(target, keyset, associated(associated_data), replace=replace, last_look=last_look) as sealed:
            while data := plain.read(STEP):
                sealed.write(data)
                if progress:
                    progress(len(data))


def decrypt_file(
    source: Path,
    target: Path,
    *,
    keyset: Keyset,
    associated_data: str | bytes,
    replace: bool = False,
    follow: bool = True,
    progress: Progress = None,
) -> None:
    """Writes what the sealed file *source* says to *target*, of mode 0600 if it is new.

    :param replace: whether a file *target* that is there is replaced.
    :param follow: whether *source* may be a symbolic link.
    :param progress: called with the bytes that were opened since it was called last.
    :raises IntegrityError: if *source* was changed or cut, or is not of this keyset or these associated data. No
        *target* is made then, and what was there stays.
    :raises OSError: if *target* is there, or is *source* by another name.
    """
    with OpenedFile(source, keyset, associated(associated_data), follow=follow) as sealed:
        target = resolved(target)
        _apart(sealed.descriptor, source, target)
        file = NewFile(target, replace=replace)
        try:
            for data in sealed.runs():
                file.write(data)
                if progress:
                    progress(len(data))
            file.commit()
        finally:
            file.discard()


def reencrypt_file(path: Path, *, keyset: Keyset, associated_data: str | bytes, progress: Progress = None) -> bool:
    """Seals a sealed file anew by the primary key, in its place; False if that key has sealed it already.

    :param progress: called with the bytes that were sealed since it was called last.
    :raises IntegrityError: if it was changed or cut, or is not of this keyset or these associated data. It stays as it
        was then.
    :raises OSError: if it is a symbolic link; if another program has written it meanwhile, whose work stays; if its
        owner cannot be kept.

    Whoever opens it sees the old file or the new one, which say the same. Of a file with several hard links, the other
    names keep the old one.

    >>> import os, tempfile
    >>> keyset = Keyset.generate("AES256_GCM_HKDF_4KB")
    >>> path = os.path.join(tempfile.mkdtemp(), "notes")
    >>> with open_file(path, "w", keyset=keyset, associated_data="notes") as file:
    ...     count = file.write("not for everybody")
    >>> old, new = keyset.primary, keyset.rotate("AES256_GCM_HKDF_4KB")
    >>> reencrypt_file(path, keyset=keyset, associated_data="notes")
    True
    >>> reencrypt_file(path, keyset=keyset, associated_data="notes")
    False
    >>> keyset.destroy(old)
    >>> open_file(path, keyset=keyset, associated_data="notes").read()
    b'not for everybody'
    """
    bound = associated(associated_data)
    with OpenedFile(path, keyset, bound, follow=False) as sealed:
        if sealed.by_primary:
            return False
        there = os.fstat(sealed.descriptor)
        with SealedFile(path, keyset, bound, replace=True, instead_of=there) as file:
            for data in sealed.runs():
                file.write(data)
                if progress:
                    progress(len(data))
    return True


def encrypt_stream(data: Iterable[bytes], *, keyset: Keyset, associated_data: str | bytes) -> Iterator[bytes]:
    """Seals what comes in pieces: the same as a file of it.

    :raises OSError: at the end, if the key was destroyed or disabled since it began: nothing would open the stream.

    >>> keyset = Keyset.generate("AES256_GCM_HKDF_4KB")
    >>> sealed = encrypt_stream([b"some", b"thing"], keyset=keyset, associated_data="pipe")
    >>> b"".join(decrypt_stream(sealed, keyset=keyset, associated_data="pipe"))
    b'something'
    """
    sealer = StreamSealer(keyset, associated(associated_data))
    yield sealer.header
    for piece in data:
        if sealed := sealer.push(piece):
            yield sealed
    check_key(keyset, sealer)
    yield sealer.finish()


def decrypt_stream(sealed: Iterable[bytes], *, keyset: Keyset, associated_data: str | bytes) -> Iterator[bytes]:
    """What a sealed stream says that comes in pieces.

    :raises IntegrityError: if a segment was changed, or at the end, if the stream was cut or continued.

    Every piece that it gives is authentic and at its place. **That nothing is missing is known at the end alone**: who
    acts on what has come takes it back if this raises.
    """
    follower = StreamFollower(keyset, associated(associated_data))
    for piece in sealed:
        if plain := follower.push(piece):
            yield plain
    if plain := follower.finish():
        yield plain


def associated(data: Any) -> bytes:
    """Associated data as bytes."""
    if isinstance(data, str):
        return data.encode()
    if isinstance(data, bytes):
        return data
    raise TypeError(f"associated data is a text or bytes, not {type(data).__name__}")


def unchanged(descriptor: int, path: Path) -> Callable[[], None]:
    """What looks, when all of a regular file was read, whether it is still as it is now.

    What it returns raises OSError if not: half of the old and half of the new is what nobody has written.
    """
    before = os.fstat(descriptor)

    def look() -> None:
        if stat.S_ISREG(before.st_mode) and _written(before) != _written(os.fstat(descriptor)):
            raise OSError(errno.EBUSY, "it was changed by another program meanwhile", os.fsdecode(path))

    return look


def _written(status: os.stat_result) -> tuple[int, ...]:
    # The time of the change as well: that of the content is whatever a program says (utime).
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _apart(descriptor: int, source: Path, target: str) -> None:
    # By what is there, not by name: a hard link is the same file, and so is what a symbolic link leads to.
    try:
        there = os.stat(target)
    except OSError:
        return
    if os.path.samestat(os.fstat(descriptor), there):
        raise shutil.SameFileError(f"{os.fsdecode(source)!r} and {target!r} are the same file")
