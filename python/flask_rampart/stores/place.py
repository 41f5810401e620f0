"""Where a store's files are: in a folder, and in files, that are this user's own."""

from __future__ import annotations

import grp
import os
import pwd
import stat
from contextlib import suppress
from pathlib import Path

from ..errors import ConfigError


def own_folder(folder: Path) -> None:
    """Makes the folder, with what is missing above it, for this user alone; or checks that nobody else may write there.

    Nor above it: who may write to a folder may put another in place of what is in it, but where it is sticky.

    :raises ConfigError: if others may write there, or it cannot be made.
    """
    try:
        missing = []
        there = folder
        while not there.exists():
            missing.append(there)
            there = there.parent
        _check(there, above=there != folder)
        for each in reversed(missing):
            with suppress(FileExistsError):  # another worker was faster
                each.mkdir(mode=0o700)
        if not stat.S_ISDIR(folder.stat().st_mode):
            raise _wrong(f"{folder} cannot be made: it is no folder.")
        _check(folder)
    except OSError as error:
        raise _wrong(f"{folder} cannot be made: {error.strerror}.") from None


def _check(folder: Path, *, above: bool = False) -> None:
    """Refuses a folder that others may write to, or put another in place of."""
    # Where it is in truth: the way by which links lead there has its own.
    parents = [*folder.absolute().parents, *folder.resolve(strict=True).parents]
    for place in dict.fromkeys((folder, *parents)):
        about = place.stat()
        open_to = about.st_mode & 0o022
        private = open_to == 0o020 and _is_private(about.st_gid, about.st_uid)
        if (place != folder or above) and (private or about.st_mode & stat.S_ISVTX):
            open_to = 0
        if about.st_uid not in (os.geteuid(), 0) or open_to:
            raise _wrong(f"others may write to {place}. Make it this user's own: chmod go-w, or name another place.")


def _is_private(group: int, user: int) -> bool:
    """Whether a group is of this user alone, as where people's files are made for user and group alike."""
    try:
        found, owner = grp.getgrgid(group), pwd.getpwuid(user)
    except KeyError:
        return False
    return found.gr_name == owner.pw_name and owner.pw_gid == group and set(found.gr_mem) <= {owner.pw_name}


def own_file(path: Path) -> None:
    """Makes an empty file for this user alone, or checks that it is that, and no link.

    :raises ConfigError: if it is not, or cannot be made.
    """
    flags = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        try:
            descriptor = os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            # Only looked at by name: closing a descriptor of the file would drop SQLite's locks of this process.
            about = path.lstat()
            if not stat.S_ISREG(about.st_mode) or about.st_nlink != 1:
                raise _wrong(f"{path} is a link, or no file.") from None
            if not is_own(about):
                raise _wrong(f"{path} is not this user's alone. Make it so: chown, and chmod 600.") from None
        else:
            os.fchmod(descriptor, 0o600)
            os.close(descriptor)
    except OSError as error:
        raise _wrong(f"{path} cannot be made: {error.strerror}.") from None


def is_own(about: os.stat_result) -> bool:
    """Whether a file is this user's, and no other user's to read or write."""
    return about.st_uid == os.geteuid() and not about.st_mode & 0o077


def _wrong(what: str) -> ConfigError:
    return ConfigError(f"RAMPART_STORE: {what}")
