"""A file that is there whole, or not at all.

1. What is written goes to a temporary file of mode 0600 in the same folder.
2. :meth:`NewFile.commit` flushes it to the disk (``fsync``), and then gives it the name: whoever opens the name sees
   the old file or the new one.
3. Where nothing may be replaced, the name is given by a link, which fails if there is something.
4. :meth:`NewFile.discard` leaves what was there.
5. A new file has mode 0600. One that is replaced keeps its group and the permissions that it has had from the beginning
   to the end. Where the group cannot be given, nobody but the owner gets what the group had: it is another group then.
   Its access list (POSIX.1e) is kept as well: what looks like the group's permissions is the list's mask, and would be
   the group's without it. A list that the folder would give is none that the old file had.
6. What is written *instead of* a file that was read takes the place of that file alone, and keeps its owner and group:
   if another file has the name meanwhile, or they cannot be kept, it fails. It is looked at for the last time when all
   is on the disk.

Folders are found as the system finds them, through symbolic links: ``link/..`` is what is above the link's end. The
file itself must be none: following it would write where its maker wants, and replacing it would leave what it stands
for as it was. What is no regular file is refused as well; so is a folder that cannot be read, before anything is
written: that the name is on the disk could not be made sure of.

A process that is killed leaves its temporary file, ``.vault-….part``, which :func:`left_over` finds. One that was
forked off has no say: its parent's file is neither completed nor removed by it. Forks are counted, since process ids
repeat in namespaces.

Other extended attributes of what is replaced are not kept; nor is its owner, but for 6.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
import tempfile
from typing import NamedTuple

PART = re.compile(r"\.vault-[^/]*\.part")
_ACCESS_LIST = "system.posix_acl_access"
_forks = 0


def _forked() -> None:
    global _forks
    _forks += 1


os.register_at_fork(after_in_child=_forked)


def _process() -> tuple[int, int]:
    # Both: a fork that a library in C makes is not counted.
    return os.getpid(), _forks


def resolved(path: str | bytes | os.PathLike[str] | os.PathLike[bytes]) -> str:
    """Where a new file of this name will be: its folder without symbolic links, and the name in it.

    :raises OSError: if there is no such folder, or the name is none of a file.
    """
    given = os.fsdecode(path)
    folder, name = os.path.split(given)
    if not name:
        number = errno.EISDIR if given else errno.ENOENT
        raise OSError(number, os.strerror(number), given)
    return os.path.join(os.path.realpath(folder or ".", strict=True), name)


class NewFile:
    """A file that is being written.

    :param replace: whether it may take the place of a file that is there.
    :param most: the permissions that it keeps at most.
    :param instead_of: the file whose place it takes, and whose owner it keeps.
    :raises OSError: if it could not take its place.
    """

    def __init__(
        self,
        path: str | bytes | os.PathLike[str] | os.PathLike[bytes],
        *,
        replace: bool,
        most: int = 0o777,
        instead_of: os.stat_result | None = None,
    ) -> None:
        self._descriptor, self._folder, self._temporary = -1, -1, ""
        self._process = _process()
        self._replace, self._instead_of = replace, instead_of
        # Of now: the process may be in another folder when it is done.
        self._target = resolved(path)
        self._mode, self._group = most, -1
        there = self._there()
        if there is not None:
            self._mode, self._group = there.st_mode & most, there.st_gid
            if instead_of is not None and there.st_uid != os.geteuid() != 0:
                raise OSError(errno.EPERM, "it belongs to another user, and would not any more", self._target)
        folder = os.path.dirname(self._target)
        self._folder = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            self._descriptor, self._temporary = tempfile.mkstemp(prefix=".vault-", suffix=".part", dir=folder)
        except BaseException:
            self.discard()
            raise

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
            if self._group >= 0 or self._instead_of is not None:
                self._permit()
            os.fsync(self._descriptor)
            if self._instead_of is not None:
                # The disk may have taken long.
                self._there()
            if self._replace:
                os.replace(self._temporary, self._target)
            else:
                os.link(self._temporary, self._target)
                os.unlink(self._temporary)
            self._temporary = ""
            os.fsync(self._folder)
        finally:
            self.discard()

    def discard(self) -> None:
        """Removes it, unless it has its name. Again harmless."""
        descriptors = self._descriptor, self._folder
        self._descriptor = self._folder = -1
        temporary, self._temporary = self._temporary, ""
        for descriptor in descriptors:
            if descriptor >= 0:
                os.close(descriptor)
        if temporary and self._process == _process():
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)

    def mine(self) -> None:
        """:raises RuntimeError: in a process that was forked off since it was begun."""
        if self._process != _process():
            raise RuntimeError("this file is being written by another process, of which this one is a fork")

    def _there(self) -> os.stat_result | None:
        """What has the name now.

        :raises OSError: if it may not be replaced.
        """
        try:
            there = os.lstat(self._target)
        except FileNotFoundError:
            if self._instead_of is not None:
                raise
            return None
        _check(self._target, there.st_mode, replace=self._replace)
        if self._instead_of is not None and _identity(there) != _identity(self._instead_of):
            raise OSError(errno.EBUSY, "it was changed by another program meanwhile", self._target)
        return there

    def _permit(self) -> None:
        there = self._there()
        if there is None:
            return
        # Whoever took a permission away meanwhile meant what is here.
        mode, is_kept = self._mode & there.st_mode, True
        if os.fstat(self._descriptor).st_gid != self._group:
            try:
                os.fchown(self._descriptor, -1, self._group)
            except OSError:
                if self._instead_of is not None:
                    raise
                mode, is_kept = _without_group(mode), False
        if there.st_gid != self._group:
            mode, is_kept = _without_group(mode), False
        if self._instead_of is not None and os.fstat(self._descriptor).st_uid != there.st_uid:
            os.fchown(self._descriptor, there.st_uid, -1)
        # The list says for whom its mask is: of another group it is not that.
        _give_list(self._descriptor, _list_of(self._target) if is_kept else None)
        os.fchmod(self._descriptor, mode)


def _identity(status: os.stat_result) -> tuple[int, ...]:
    return status.st_dev, status.st_ino, status.st_uid, status.st_gid, status.st_size, status.st_mtime_ns


class LeftOver(NamedTuple):
    """A temporary file, of a run that was killed or that writes now."""

    path: str
    is_own: bool
    """Whether it is this user's, who may know which of the two."""


def left_over(folder: str) -> list[LeftOver]:
    """Temporary files in a folder."""
    try:
        with os.scandir(folder) as found:
            parts = [each for each in found if PART.fullmatch(each.name)]
            return sorted(LeftOver(each.path, is_own(each.stat(follow_symlinks=False))) for each in parts)
    except OSError:
        return []


def is_own(status: os.stat_result) -> bool:
    """Whether a file is this user's."""
    return status.st_uid == os.geteuid()


def _list_of(path: str) -> bytes | None:
    try:
        return os.getxattr(path, _ACCESS_LIST, follow_symlinks=False)
    except OSError as error:
        if error.errno in _NO_LIST:
            return None
        raise


def _give_list(descriptor: int, entries: bytes | None) -> None:
    if entries is not None:
        os.setxattr(descriptor, _ACCESS_LIST, entries)
        return
    try:
        # The folder may have given it one (its default list), under the mask of 0600: more would let that one in.
        os.removexattr(descriptor, _ACCESS_LIST)
    except OSError as error:
        if error.errno not in _NO_LIST:
            raise


# No list, and no lists on this file system.
_NO_LIST = (errno.ENODATA, errno.ENOTSUP, errno.EOPNOTSUPP)


def _without_group(mode: int) -> int:
    """Permissions for a file whose group is another one: who was of the group is one of the others now."""
    return mode & (0o700 | mode >> 3 & 0o007)


def _check(path: str, mode: int, *, replace: bool) -> None:
    if not replace:
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), path)
    if stat.S_ISLNK(mode):
        raise OSError(errno.ELOOP, "a symbolic link is not written through: name the file itself", path)
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "not a regular file", path)
