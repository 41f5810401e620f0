"""Whole folders of files, sealed, opened and sealed anew.

1. A folder is walked without following symbolic links. What is neither a file nor a folder is left out, and told of.
2. Each file is there whole or not at all (``replacing.py``): a run that was killed is resumed, and what is done already
   is not done again. Sealed is what opens, is as long as its source, and is not older than the last change of that, in
   content or otherwise (``ctime``: the time of the content is whatever a program says). Opened is what is the same
   byte for byte.
3. Each file is bound to associated data of its own, where these say ``{path}``: the path within the folder, in the
   bytes of the file system, with ``/``. Two files cannot be exchanged then.
4. A folder in which the keyset itself is, or the file of its passphrase, is refused: it would be sealed by itself.
   So is a folder within the other one.
5. What fails with one file is told, counted, and does not stop the others.

Names, lengths and the tree are not hidden. Owners, modes and times are not kept: what is made is this user's alone.
What a run that was killed has not completed is told of, in source and target; of ``decrypt`` it is plaintext.
Who can change the folder while it is walked can have other files sealed: run it as the user to whom the files belong.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from .._native import Keyset
from ..errors import ConfigError, IntegrityError
from .files import Progress, decrypt_file, encrypt_file, reencrypt_file
from .reading import OpenedFile, open_regular
from .replacing import PART, is_own, left_over

_MOST_DEPTH = 256
PLACE = "{path}"


class Entry(NamedTuple):
    """What is in a folder."""

    path: str
    """Within it."""

    kind: str
    """``"file"``, ``"folder"``, ``"part"`` (what an earlier run was killed at) or ``"other"``."""

    size: int


@dataclass
class Counts:
    """What became of the files of a folder."""

    done: int = 0
    already: int = 0
    left_out: int = 0
    """Neither files nor folders, and what an earlier run was killed at."""

    failed: int = 0
    altered: int = 0
    """Of these, files that did not open: somebody changed them, or they are of other keys or places."""


@dataclass
class Work:
    """What is done to all files of a folder.

    :param keyset: one for streaming AEAD.
    :param associated_data: of each file; ``{path}`` in it is the file's path within the folder.
    :param apart: files that must not be in it: the keyset's own.
    :param told: called with a path and what is to be told of it.
    :param progress: called with the bytes that were done since it was called last.
    """

    keyset: Keyset
    associated_data: str
    apart: Sequence[os.stat_result] = ()
    told: Callable[[str, str], object] = lambda path, what: None
    progress: Progress = None
    counts: Counts = field(default_factory=Counts)

    def bound(self, path: str) -> bytes:
        """What the file at this path within the folder is bound to."""
        return os.fsencode(self.associated_data).replace(PLACE.encode(), os.fsencode(path))

    def measured(self, root: str) -> tuple[int, int]:
        """How many files there are, and their bytes. Nothing is done to them.

        :raises ConfigError: if a file is among them that must be apart.
        """
        files = size = 0
        for entry in walked(root, lambda path, error: None):
            if entry.kind == "file":
                files, size = files + 1, size + entry.size
                self._apart(os.path.join(root, entry.path))
        return files, size

    def encrypt(self, source: str, target: str, *, resume: bool = False) -> Counts:
        """Seals every file of *source* as one of the same name in *target*."""
        return self._across(source, target, resume, encrypt_file, _is_sealed)

    def decrypt(self, source: str, target: str, *, resume: bool = False) -> Counts:
        """Writes what every sealed file of *source* says to one of the same name in *target*."""
        return self._across(source, target, resume, decrypt_file, _is_opened)

    def reencrypt(self, root: str) -> Counts:
        """Seals every file anew by the primary key, in its place, unless that key has sealed it already.

        *root* may be a single file.
        """

        def file(entry: Entry, path: str) -> bool:
            names = os.lstat(path).st_nlink
            is_done = reencrypt_file(
                path, keyset=self.keyset, associated_data=self.bound(entry.path), progress=self.progress
            )
            if is_done and names > 1:
                self.told(entry.path, f"has {names - 1} other names (hard links), which keep what the old key sealed")
            return is_done

        if not os.path.isdir(root):
            self._attempt(Entry(root, "file", 0), root, file, lambda path: None)
            return self.counts
        return self._each(root, file, lambda path: None)

    def _across(self, source: str, target: str, resume: bool, work: Any, is_done: Any) -> Counts:
        _separate(source, target)
        try:
            os.mkdir(target, 0o700)
        except FileExistsError:
            with os.scandir(target) as found:
                if not resume and next(found, None) is not None:
                    raise ConfigError(
                        f"{target} is there, and not empty: nothing is overwritten. --resume goes on with a run that "
                        "was stopped."
                    ) from None
            self._tell_parts(target, "")

        def file(entry: Entry, path: str) -> bool:
            goal, bound = os.path.join(target, entry.path), self.bound(entry.path)
            there = os.path.lexists(goal)
            if there and is_done(path, goal, self.keyset, bound):
                return False
            work(
                path,
                goal,
                keyset=self.keyset,
                associated_data=bound,
                replace=there and work is encrypt_file,
                follow=False,
                progress=self.progress,
            )
            return True

        def folder(path: str) -> None:
            made = os.path.join(target, path)
            try:
                os.mkdir(made, 0o700)
            except FileExistsError:
                if not stat.S_ISDIR(os.lstat(made).st_mode):
                    raise
                self._tell_parts(made, path)

        return self._each(source, file, folder)

    def _each(self, root: str, file: Callable[[Entry, str], bool], folder: Callable[[str], None]) -> Counts:
        for entry in walked(root, self._failed):
            self._attempt(entry, os.path.join(root, entry.path), file, folder)
        return self.counts

    def _attempt(
        self, entry: Entry, path: str, file: Callable[[Entry, str], bool], folder: Callable[[str], None]
    ) -> None:
        try:
            if entry.kind == "folder":
                folder(entry.path)
            elif entry.kind == "file":
                self._apart(path)
                if file(entry, path):
                    self.counts.done += 1
                else:
                    self.counts.already += 1
                    if self.progress:
                        self.progress(entry.size)
            else:
                self.counts.left_out += 1
                is_theirs = entry.kind == "part" and not is_own(os.lstat(path))
                self.told(entry.path, f"left out: {_THEIRS if is_theirs else _LEFT_OUT[entry.kind]}")
        except (IntegrityError, OSError) as error:
            self._failed(entry.path, error)

    def _tell_parts(self, folder: str, path: str) -> None:
        for part, is_ours in left_over(folder):
            name = os.path.join(path, os.path.basename(part))
            self.told(name, f"in the target: {_LEFT_OUT['part'] if is_ours else _THEIRS}")

    def _failed(self, path: str, error: Exception) -> None:
        self.counts.failed += 1
        self.counts.altered += isinstance(error, IntegrityError)
        self.told(path, str(error.strerror if isinstance(error, OSError) and error.strerror else error))

    def _apart(self, path: str) -> None:
        there = os.lstat(path)
        if any(os.path.samestat(there, each) for each in self.apart):
            raise ConfigError(
                f"{path} is the keyset itself, or its passphrase: what is sealed by itself is never opened again. Keep "
                "it elsewhere."
            )


_LEFT_OUT = {
    "other": "neither a file nor a folder (symbolic links are not followed)",
    "part": "what a run that was killed has not completed. It can be removed",
}
_THEIRS = "what a run of another user has not completed, which may go on"


def walked(root: str, failed: Callable[[str, OSError], object]) -> Iterator[Entry]:
    """What is in a folder, at any depth, each folder before what is in it. Names of one folder are held at a time.

    :param failed: called with the path and the error of a folder that cannot be read.
    """
    pending = [""]
    while pending:
        at = pending.pop()
        try:
            if at.count("/") >= _MOST_DEPTH:
                raise OSError(errno.ELOOP, "nested too deeply")
            with os.scandir(os.path.join(root, at)) as found:
                entries = sorted(((each.name, _kind(each)) for each in found), reverse=True)
        except OSError as error:
            failed(at, error)
            continue
        for name, kind in reversed(entries):
            path = os.path.join(at, name)
            yield Entry(path, kind, _size(os.path.join(root, path)) if kind == "file" else 0)
        # The first of them last, where it is taken.
        pending += [os.path.join(at, name) for name, kind in entries if kind == "folder"]


def _kind(entry: os.DirEntry[str]) -> str:
    if entry.is_dir(follow_symlinks=False):
        return "folder"
    if not entry.is_file(follow_symlinks=False):
        return "other"
    return "part" if PART.fullmatch(entry.name) else "file"


def _size(path: str) -> int:
    try:
        return os.lstat(path).st_size
    except OSError:
        return 0  # it is told of when it is opened


def _separate(source: str, target: str) -> None:
    here, there = os.path.realpath(source), os.path.realpath(target)
    if os.path.commonpath([here, there]) in (here, there):
        raise ConfigError(f"{source} and {target} are one within the other: name a folder elsewhere.")


def _is_sealed(source: str, target: str, keyset: Keyset, bound: bytes) -> bool:
    """Whether *target* is the seal of *source* as it is now.

    :raises OSError: if something else is there, which is not to be overwritten.
    """
    there = os.lstat(source)
    try:
        with OpenedFile(target, keyset, bound, follow=False) as sealed:
            changed = max(there.st_mtime_ns, there.st_ctime_ns)
            return sealed.length == there.st_size and os.fstat(sealed.descriptor).st_mtime_ns >= changed
    except IntegrityError:
        raise _occupied(target) from None


def _is_opened(source: str, target: str, keyset: Keyset, bound: bytes) -> bool:
    """Whether *target* is what *source* says.

    :raises OSError: if it is something else, which is not to be overwritten.
    """
    with (
        OpenedFile(source, keyset, bound, follow=False) as sealed,
        open(open_regular(target, follow=False), "rb") as there,
    ):
        # Its times are no proof: whoever writes in the target's folder says what they are.
        is_as_long = os.fstat(there.fileno()).st_size == sealed.length
        if is_as_long and all(there.read(len(said)) == said for said in sealed.runs()):
            return True
    raise _occupied(target)


def _occupied(target: str) -> OSError:
    return FileExistsError(errno.EEXIST, "something else has this name in the target, and is not overwritten", target)
