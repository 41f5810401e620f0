"""Who may sign in: accounts from a JSON file, with hashed passwords.

A real service keeps accounts in a database; what matters here is the same there. A password is stored as
a scrypt hash alone (slow on purpose, salted), and an unknown address takes as long as a wrong password,
so that the answer's delay does not tell who has an account.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from werkzeug.security import check_password_hash, generate_password_hash


@dataclass(frozen=True, slots=True)
class Account:
    """One person. Tokens and logs know them by ``id``, never by address."""

    id: str
    email: str
    password_hash: str
    scopes: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()


class Accounts:
    """All accounts, in memory."""

    def __init__(self, accounts: Iterable[Account]) -> None:
        self._by_email = {account.email.casefold(): account for account in accounts}
        # What a password is compared with when nobody has the address: a hash of nothing known.
        self._nobody = generate_password_hash("", salt_length=32)

    @classmethod
    def load(cls, path: str | Path) -> Accounts:
        """The accounts in a file that :func:`save` wrote."""
        entries = json.loads(Path(path).read_text(encoding="utf-8"))
        return cls(
            Account(e["id"], e["email"], e["password_hash"], tuple(e["scopes"]), tuple(e["roles"])) for e in entries
        )

    def check(self, email: str, password: str) -> Account | None:
        """The account that has this address and password, or None."""
        account = self._by_email.get(email.casefold())
        stored = self._nobody if account is None else account.password_hash
        # Always hash, then decide: both answers take the same time.
        matches = check_password_hash(stored, password)
        return account if matches else None


def new_account(id: str, email: str, password: str, scopes: Iterable[str] = (), roles: Iterable[str] = ()) -> Account:
    """A new account; the password is hashed here and not kept."""
    return Account(id, email, generate_password_hash(password, method="scrypt"), tuple(scopes), tuple(roles))


def save(path: str | Path, accounts: Iterable[Account]) -> None:
    """Writes the file that :meth:`Accounts.load` reads."""
    Path(path).write_text(json.dumps([asdict(each) for each in accounts], indent=2), encoding="utf-8")
