"""The file that is being made, and what is remembered of it for a run that goes on.

Beside ``out.jsonl`` are, while it is made, ``.out.jsonl.part`` (what is done) and ``.out.jsonl.state`` (how far that
is), both of mode 0600.

1. The part is locked (``flock``) as long as a run has it: a second run for the same output is refused.
2. At a checkpoint the part is on the disk (``fsync``) before the state says so; the state is replaced whole. What is
   behind it in the part is cut off by a run that goes on.
3. At the end the state says which file is to be the output, then that file gets its name. Whoever is killed between
   the two is finished by the next run, and finds the output complete if it has its name already.
4. Nothing is replaced unless that is wanted, also not what came meanwhile. A symbolic link is not written through.
5. The output has mode 0600, also where it replaces another file: what is in it is still about people.

Two machines that share a folder need a file system with locks between them.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Any, BinaryIO

from ...errors import ConfigError
from .errors import OutputBusy, ResumeRefused

ANEW = "begin anew, give --force without --resume"
"""What helps where a run cannot be gone on with, whatever was given."""

_VERSION = 2
_LONGEST_STATE = 64 << 20


class Part:
    """The part of *target*, locked.

    :param identity: what must be the same for a run to go on, by what it is called: ``{"the plan": "9f..."}``.
    :param resume: whether what an earlier run left is gone on with.
    :param force: whether an output that is there may be replaced, and what an earlier run left forgotten.
    :raises FileExistsError: for an output that is there.
    :raises ResumeRefused: for what an earlier run left, if it is neither to be resumed nor forgotten, or is another's.
    :raises OutputBusy: if another run has it.
    """

    def __init__(self, target: Path, identity: dict[str, Any], *, resume: bool, force: bool) -> None:
        folder = Path(os.path.realpath(target.parent, strict=True))
        if target.name in ("", ".", ".."):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(target))
        self._target = folder / target.name
        self._path, self._state_path, self._made_path = beside(self._target)
        self._identity = {"version": _VERSION, **identity}
        self._force = force
        self.complete = False
        """Whether an earlier run gave the output its name already."""
        self.state: dict[str, Any] | None = None
        """What was remembered at the last checkpoint; None for a run that begins."""
        self.reported: str | None = None
        """Where an earlier run wrote its reports, or was about to."""
        self._own_state = b""
        self._folder = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._file: BinaryIO | None = None
        self._begun = False
        try:
            self._open(resume)
            self._begun = True
        except BaseException:
            self.close()
            raise

    def _open(self, resume: bool) -> None:
        there = _regular(self._target)
        if there is not None and not self._force and not self._state_path.exists():
            raise _exists(self._target)
        descriptor = self._locked()
        self._file = os.fdopen(descriptor, "r+b", buffering=0)
        state = self._read_state()
        if state is not None and state.get("complete") is not None and there is not None:
            self.complete = state["complete"] == [there.st_ino, there.st_size] and resume
            if self.complete:
                self._check(state)
                return
        if there is not None and not self._force:
            raise _exists(self._target)
        if state is not None and resume:
            self._check(state)
            if os.fstat(descriptor).st_size < state["length"]:
                raise ResumeRefused(f"{self._path.name} is shorter than it was: {ANEW}")
            self.state = state
            self.reported = state.get("report")
            return
        if state is not None and not self._force:
            raise ResumeRefused(
                f"an earlier run left {self._path.name} beside it: --resume goes on with that, --force begins anew"
            )
        self._forget_state()
        if os.fstat(descriptor).st_nlink > 1:
            # It has the output's name as well, since a run was killed between the two: that stays as it is.
            os.unlink(self._path)
            self.file.close()
            self._file = os.fdopen(self._locked(), "r+b", buffering=0)
        self.file.truncate(0)

    def _locked(self) -> int:
        while True:
            flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
            descriptor = os.open(self._path, flags, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                own = _own(descriptor, self._path)
                os.fchmod(descriptor, 0o600)
                # Whoever had the lock may have given the file another name, or removed it.
                with contextlib.suppress(FileNotFoundError):
                    if os.path.samestat(own, os.lstat(self._path)):
                        return descriptor
            except BlockingIOError:
                os.close(descriptor)
                raise OutputBusy(f"another run is writing {self._target.name}") from None
            except BaseException:
                os.close(descriptor)
                raise
            os.close(descriptor)

    def _check(self, state: dict[str, Any]) -> None:
        left = state["identity"]
        changed = [name for name in self._identity if left.get(name) != self._identity[name]]
        if changed:
            raise ResumeRefused(
                f"it cannot be gone on with: {', '.join(changed)} changed since the run began. To {ANEW}"
            )

    @property
    def file(self) -> BinaryIO:
        """What is done, open for reading and writing."""
        if self._file is None:
            raise ValueError("the part is closed")
        return self._file

    def checkpoint(self, state: dict[str, Any]) -> None:
        """Remembers how far this is: ``state["length"]`` bytes of the part, which is on the disk then."""
        os.fsync(self.file.fileno())
        self._write_state({**state, "complete": None})
        self.state = state

    def report(self, name: str) -> None:
        """Remembers that reports are written there, so that a run that goes on knows them for its own."""
        if self.reported != name:
            self.reported = name
            self.checkpoint(self.state or {})

    def make(self) -> BinaryIO:
        """An empty file beside, for a format whose part is not the result."""
        return os.fdopen(_fresh(self._made_path), "w+b")

    def commit(self, made: BinaryIO | None = None) -> None:
        """Gives the part, or what was made of it, the output's name.

        :raises FileExistsError: if something has it that may not be replaced.
        :raises OutputBusy: if what has the part's name is not the file that this run wrote.
        """
        if made is not None:
            made.flush()
        file: BinaryIO = made or self.file
        path = self._made_path if made is not None else self._path
        os.fsync(file.fileno())
        own = os.fstat(file.fileno())
        self._write_state({**(self.state or {}), "complete": [own.st_ino, own.st_size]})
        _regular(self._target)
        if not (_is(own, path) and _is(os.fstat(self.file.fileno()), self._path)):
            raise OutputBusy(f"{path.name} was removed or replaced by another: nothing has its name")
        if self._force:
            os.replace(path, self._target)
        else:
            os.link(path, self._target, follow_symlinks=False)
            os.unlink(path)
        os.fsync(self._folder)
        self.complete = True
        self.tidy()

    def tidy(self) -> None:
        """Removes all but the output; not what another run made of these names since this one gave its part away."""
        locked = _is(os.fstat(self.file.fileno()), self._path)
        for path, own in (
            (self._made_path, locked),
            (self._path, locked),
            # The last: whoever is killed before is finished by the next run, which asks it.
            (self._state_path, self._is_own_state()),
        ):
            if own:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(path)
        os.fsync(self._folder)

    def close(self) -> None:
        """Lets others have it. What is there stays, unless it is of no use. Again harmless."""
        if self._file is not None:
            with contextlib.suppress(FileNotFoundError):
                # Nobody else may have it while it is locked.
                if (
                    self._begun
                    and self.state is None
                    and os.path.samestat(os.fstat(self.file.fileno()), os.lstat(self._path))
                ):
                    self._forget_state()
                    os.unlink(self._path)
            self._file.close()
            self._file = None
        if self._folder >= 0:
            os.close(self._folder)
            self._folder = -1

    def discard(self) -> None:
        """Removes what is done: it is not to be gone on with."""
        self.state = None

    def _read_state(self) -> dict[str, Any] | None:
        found = _read(self._state_path)
        if found is None:
            return None
        self._own_state = found
        try:
            state: dict[str, Any] = json.loads(self._own_state)
            if isinstance(state["length"], int) and isinstance(state["identity"], dict):
                return state
        except (ValueError, LookupError, TypeError, RecursionError):
            pass
        raise ResumeRefused(f"{self._state_path.name} cannot be read: remove it, and begin anew")

    def _is_own_state(self) -> bool:
        # By what is in it: the number of a file that was removed is soon another's.
        try:
            return _read(self._state_path) == self._own_state
        except (ConfigError, OSError):
            return False

    def _write_state(self, state: dict[str, Any]) -> None:
        temporary = f"{self._state_path}.new"
        with os.fdopen(_fresh(temporary), "wb") as file:
            self._own_state = json.dumps({**state, "identity": self._identity, "report": self.reported}).encode()
            file.write(self._own_state)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, self._state_path)
        os.fsync(self._folder)

    def _forget_state(self) -> None:
        for path in (self._state_path, Path(f"{self._state_path}.new"), self._made_path):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)


def meanwhile(target: Path, reports: Iterable[Path]) -> tuple[Path, ...]:
    """All that is written, or removed, before *target* and the reports have their names."""
    part, state, made = beside(target)
    return part, state, made, Path(f"{state}.new"), *(_new(report) for report in reports)


def beside(target: Path) -> tuple[Path, Path, Path]:
    """What is beside an output while it is made: the part, the state, and what is made of the part."""
    part, state, made = (target.with_name(f".{target.name}.{word}") for word in ("part", "state", "made"))
    return part, state, made


def _own(descriptor: int, path: Path) -> os.stat_result:
    """:raises ConfigError: for what is no regular file of this user."""
    own = os.fstat(descriptor)
    if not stat.S_ISREG(own.st_mode) or own.st_uid != os.geteuid():
        raise ConfigError(f"{path.name} is there, and is no file of yours: remove it first")
    return own


def _read(path: Path) -> bytes | None:
    """What is in a file of this user; None if there is none. Nobody is waited for, as who opens a pipe would be."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        _own(descriptor, path)
    except BaseException:
        os.close(descriptor)
        raise
    with os.fdopen(descriptor, "rb") as file:
        return file.read(_LONGEST_STATE)


def _exists(path: Path) -> FileExistsError:
    return FileExistsError(errno.EEXIST, "it is there already: --force replaces it", str(path))


def _regular(path: Path) -> os.stat_result | None:
    """What has this name now; None if nothing has.

    :raises OSError: for what is no regular file.
    """
    try:
        there = os.lstat(path)
    except FileNotFoundError:
        return None
    if stat.S_ISLNK(there.st_mode):
        raise OSError(errno.ELOOP, "a symbolic link is not written through: name the file itself", str(path))
    if stat.S_ISDIR(there.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(there.st_mode):
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    return there


def _is(own: os.stat_result, path: Path) -> bool:
    """Whether this name is this file's."""
    try:
        return os.path.samestat(own, os.lstat(path))
    except FileNotFoundError:
        return False


def _fresh(path: str | Path) -> int:
    """A new file: what has this name may be somebody else's, who could read on."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)


def _new(path: Path) -> Path:
    return path.with_name(f".{path.name}.new")


def unused(path: Path) -> None:
    """:raises FileExistsError: for a name that something has."""
    if _regular(path) is not None:
        raise _exists(path)


def write_whole(path: Path, data: bytes) -> None:
    """Writes a small file of mode 0600, which is there whole or not at all; it replaces one of its name."""
    _regular(path)
    folder = Path(os.path.realpath(path.parent, strict=True))
    temporary = _new(folder / path.name)
    with os.fdopen(_fresh(temporary), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, folder / path.name)
