"""What may be said of a store's address, and where its mark lies."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*)://", re.ASCII)
_OPTION = re.compile(r"[a-z_]+", re.ASCII)


def without_password(url: str) -> str:
    """The address as it may be shown: without user, password and options, also where it is misspelt.

    A password that was not percent-encoded may end anywhere for who reads the address by its grammar. So only what
    follows the last ``@`` is shown, and nothing where a ``#`` or ``?`` leaves open which one that is.

    >>> without_password("postgresql://ada:secret@db.example/app?sslmode=require")
    'postgresql://db.example/app'
    >>> without_password("redis://:se/cret@db.example/0")
    'redis://db.example/0'
    >>> without_password("redis://:se?cret@db.example/0")
    'redis://...'
    """
    found = _SCHEME.match(url)
    if found is None:
        return "..."
    front, _, behind = url[found.end() :].partition("?")
    if "#" in url or "@" in behind:
        return f"{found[1]}://..."
    return f"{found[1]}://{front.rpartition('@')[2]}"


def is_misplaced(url: str) -> bool:
    """Whether an ``@`` or ``#`` says that a password was not percent-encoded, so that a host may be a part of it.

    >>> is_misplaced("redis://:se/cret@db.example/0"), is_misplaced("redis://:se%2Fcret@db.example/0")
    (True, False)
    """
    behind = re.split("[/?]", url.partition("://")[2], maxsplit=1)
    return "#" in url or "@" in "".join(behind[1:]) or behind[0].count("@") > 1


def option_shown(name: str) -> str:
    """The name of an option as it may be shown: perhaps it is a part of a password."""
    return repr(name) if _OPTION.fullmatch(name) else "an option"


def file_for(folder: str | Path, name: str) -> Path:
    """The file of the mark for the store with this *name*, which all workers of the host write alike."""
    return Path(folder) / f"rampart-{hashlib.sha256(name.encode()).hexdigest()[:16]}-epoch"
