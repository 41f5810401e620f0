"""What a service has said, kept for some hours: in a file that is this user's alone.

Asked again within that time, about the same packages in the same versions, it is read from there, and how old it is is
told. What is older is asked anew; if the service then does not answer, the check fails, and the old answer does not
stand in for it. A file that others may write to, or that is not as it was written, is not read.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import stat
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from .osv import Advisory, Entry
from .packages import Package

HOURS = 6.0
_FORMAT = 1
_MOST_BYTES = 64 * 1024 * 1024

Found = dict[str, list[Advisory]]


class Cache:
    """Answers in *folder*, or in the user's own cache folder (``XDG_CACHE_HOME``).

    :param hours: for which an answer is kept.
    :param now: seconds since 1970.
    """

    def __init__(
        self, folder: Path | None = None, *, hours: float = HOURS, now: Callable[[], float] = time.time
    ) -> None:
        self._folder = folder if folder is not None else _own_folder()
        self._hours = hours
        self._now = now

    def read(self, source: str, packages: Sequence[Package]) -> tuple[Found, dict[str, str], float] | None:
        """What *source* has said of these packages, which of them it does not know, and how many seconds ago.

        None if nothing is kept.
        """
        try:
            descriptor = os.open(self._path(source, packages), os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError:
            return None
        with os.fdopen(descriptor, "rb") as file:
            about = os.fstat(descriptor)
            if not stat.S_ISREG(about.st_mode) or about.st_uid != os.geteuid() or about.st_mode & 0o077:
                return None
            text = file.read(_MOST_BYTES)
        try:
            kept = json.loads(text)
            age = self._now() - float(kept["asked"])
            if kept["format"] != _FORMAT or kept["about"] != _about(source, packages):
                return None
            if not 0 <= age < self._hours * 3600:
                return None
            found = {name: [_advisory(each) for each in listed] for name, listed in kept["found"].items()}
            return found, {str(name): str(why) for name, why in kept["unknown"].items()}, age
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return None

    def write(self, source: str, packages: Sequence[Package], found: Found, unknown: dict[str, str]) -> None:
        """Keeps an answer, if it can; one that cannot be kept is asked for again."""
        path = self._path(source, packages)
        kept = {"format": _FORMAT, "asked": self._now(), "about": _about(source, packages)}
        kept |= {"found": found, "unknown": unknown}
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
        with contextlib.suppress(OSError):
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            try:
                with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                    os.fchmod(descriptor, 0o600)
                    json.dump(kept, file)
                os.replace(temporary, path)
            except BaseException:
                os.unlink(temporary)
                raise

    def _path(self, source: str, packages: Sequence[Package]) -> Path:
        return self._folder / f"advisories-{_about(source, packages)[:32]}.json"


def _about(source: str, packages: Sequence[Package]) -> str:
    texts = [source, *(f"{package.name}=={package.version}" for package in packages)]
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()


def _advisory(kept: Any) -> Advisory:
    id_, aliases, summary, modified, withdrawn, entries = kept
    read = tuple(
        Entry(name, tuple(versions), tuple(tuple((kind, at) for kind, at in events) for events in ranges))
        for name, versions, ranges in entries
    )
    return Advisory(id_, tuple(aliases), summary, modified, bool(withdrawn), read)


def _own_folder() -> Path:
    given = os.environ.get("XDG_CACHE_HOME", "")
    # A relative one is to be ignored (XDG Base Directory Specification).
    base = Path(given) if given.startswith("/") else Path(os.path.expanduser("~"), ".cache")
    # Without a home, "~" stays as it is: then there is nowhere to keep anything.
    return (base if base.is_absolute() else Path(os.devnull)) / "flask-rampart"
