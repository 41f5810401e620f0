"""Who has an account: a table in SQLite, a stand-in for yours.

Each change says what it expects to find, and does nothing otherwise. So of two requests at once, none undoes what the
other has done.
"""

from __future__ import annotations

import sqlite3
import unicodedata
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4


@dataclass(frozen=True, slots=True)
class Account:
    """One person. Tokens and logs know them by ``id``, never by address."""

    id: str
    email: str
    password: str
    """Its hash."""


class Accounts:
    """All accounts, in the file at *path*."""

    def __init__(self, path: str | Path) -> None:
        self._path = path
        with self._open() as table:
            table.execute("CREATE TABLE IF NOT EXISTS account (id TEXT PRIMARY KEY, email TEXT UNIQUE, password TEXT)")

    def add(self, email: str, password: str) -> bool:
        """Adds an account, unless the address has one; whether it did.

        :param password: its hash.
        """
        with self._open() as table:
            row = (uuid4().hex, written(email), password)
            return table.execute("INSERT OR IGNORE INTO account VALUES (?, ?, ?)", row).rowcount == 1

    def of(self, email: str) -> Account | None:
        """The account of an address."""
        return self._find("email", written(email))

    def named(self, id: str) -> Account | None:
        """The account that a token's ``sub`` names."""
        return self._find("id", id)

    def replace_password(self, account: Account, password: str) -> bool:
        """Keeps another hash for *account*, unless it has changed meanwhile; whether it did."""
        with self._open() as table:
            change = "UPDATE account SET password = ? WHERE id = ? AND password = ?"
            return table.execute(change, (password, account.id, account.password)).rowcount == 1

    def remove(self, id: str) -> None:
        """Removes an account, if it is there."""
        with self._open() as table:
            table.execute("DELETE FROM account WHERE id = ?", (id,))

    def _find(self, column: str, value: str) -> Account | None:
        with self._open() as table:
            found = table.execute(f"SELECT id, email, password FROM account WHERE {column} = ?", (value,)).fetchone()
        return None if found is None else Account(*found)

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        # A connection each time: simple, and right in every thread and worker.
        with closing(sqlite3.connect(self._path, timeout=5)) as connection, connection:
            yield connection


def written(email: str) -> str:
    """An address as it is looked up: whoever counts tries by address must count all ways of writing it as one."""
    return unicodedata.normalize("NFKC", email).strip().casefold()
