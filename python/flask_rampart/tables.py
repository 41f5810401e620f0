"""Where the tables are that the workers of a host share, and what an app's are called.

All of an app's tables are in one directory, that of ``RAMPART_LIMIT_STORE`` if it names one; the native side checks
that it is this user's alone. A table's name comes from its purpose and from the app's module and folder, so all
workers of an app find the same, and no other app does.

A command of ``flask rampart`` is no worker, and may have other settings than those: it takes the tables as they are,
whatever their size. Who only looks makes none (:func:`looking`); who changes something makes those that nobody has made
(:func:`changing`). Both hold from before the app is loaded.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import NamedTuple

import click
from flask.cli import ScriptInfo

_mode: ContextVar[str] = ContextVar("flask_rampart_tables", default="works")


def looking() -> AbstractContextManager[None]:
    """In here, tables are opened as they are; one that nobody has made is an empty one of this process."""
    return _in("looks")


def changing() -> AbstractContextManager[None]:
    """In here, tables are opened as they are; one that nobody has made is made as a worker would."""
    return _in("changes")


def is_looking() -> bool:
    """Whether tables are only looked at."""
    return _mode.get() == "looks"


def is_changing() -> bool:
    """Whether something in tables is changed by who is no worker."""
    return _mode.get() == "changes"


@contextmanager
def _in(mode: str) -> Iterator[None]:
    before = _mode.set(mode)
    try:
        yield
    finally:
        _mode.reset(before)


def is_command() -> bool:
    """Whether a command of ``flask`` has the app loaded that serves nobody: any but ``run``."""
    context = click.get_current_context(silent=True)
    if context is None or context.find_object(ScriptInfo) is None:
        return False
    return context.command.name != "run"


class Place(NamedTuple):
    """A table's file."""

    directory: str
    name: str

    def __str__(self) -> str:
        return f"{self.directory}/{self.name}"


def place_of(purpose: str, app_name: str, limit_store: str | None, *, testing: bool) -> Place | None:
    """Where an app's table for *purpose* is; None where each process is to have its own, in its memory.

    So it is under ``RAMPART_LIMIT_STORE = "memory://"``, and in tests that do not say otherwise. Where counters of
    limits are shared by hosts, what is about this host is in the user's own directory.

    :param purpose: names the kind of table, and its version if an older release may still map another.
    :param limit_store: what ``RAMPART_LIMIT_STORE`` says.
    :param testing: whether the app is under test.

    >>> place_of("limits", "shop", "shm:///run/shop", testing=False)
    Place(directory='/run/shop', name='limits-8d9001d32c6a703d95921a77115050f3')
    """
    url = limit_store or ""
    if url.startswith("shm://"):
        directory = url[len("shm://") :] or private_directory()
    elif testing or url == "memory://":
        return None
    else:
        directory = private_directory()
    return Place(directory, f"{purpose}-{hashlib.sha256(app_name.encode()).hexdigest()[:32]}")


def private_directory() -> str:
    """A directory of this user's own, the same for all workers. The native side checks owner and mode.

    No variable of the environment says where: a service's differs from that of a shell, whose commands would work on
    another table.
    """
    memory = Path("/dev/shm")  # noqa: S108 - the native side refuses what is not ours there
    base = memory if memory.is_dir() else Path("/tmp")  # noqa: S108 - as above
    return str(base / f"flask-rampart-{os.geteuid()}")
