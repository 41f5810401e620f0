"""Passwords: hashed with Argon2id, compared in constant work, never more at once than memory allows.

1. A password is kept as its hash alone: slow and hungry for memory on purpose, salted (RFC 9106). The work is
   ``argon2-cffi``'s; nothing of it is written here.
2. Somebody who does not exist costs as much as somebody who does: there is a hash that nobody knows the password of,
   and it is what an unknown name is compared with (CVE-2021-29621, CVE-2022-21659: names told by the answer's delay).
3. Each hash takes 64 MiB for a moment, so a few run at once, and whoever would wait longer than a while is sent away.
"""

from __future__ import annotations

import secrets
import threading
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError


class Busy(Exception):
    """Too many passwords are being hashed right now."""


class Passwords:
    """Hashes and compares passwords.

    :param hasher: the parameters; the defaults are RFC 9106's second choice, for machines that have other work too.
    :param at_once: how many are hashed at a time, in one worker.
    :param wait: seconds that a request waits for its turn.
    """

    def __init__(self, hasher: PasswordHasher | None = None, *, at_once: int = 4, wait: float = 2.0) -> None:
        self._hasher = hasher or PasswordHasher()
        self._turns = threading.BoundedSemaphore(at_once)
        self._wait = wait
        self._nobodys = self._hasher.hash(secrets.token_hex())

    def hash(self, password: str) -> str:
        """The hash to keep.

        :raises Busy: if there is no turn for it.
        """
        with self._turn():
            return self._hasher.hash(_written(password))

    def is_right(self, kept: str | None, password: str) -> bool:
        """Whether *password* is the one of the hash *kept*; None for somebody who does not exist, which takes as long.

        :raises Busy: if there is no turn for it.
        """
        with self._turn():
            try:
                self._hasher.verify(self._nobodys if kept is None else kept, _written(password))
            except InvalidHashError:
                # What is in the database is no hash: that is nobody's password, and nobody's business.
                return self._compare_with_nobodys(password)
            except VerificationError:
                return False
            # Nobody knows this password; should somebody guess it all the same, there is still no account.
            return kept is not None

    def is_outdated(self, kept: str) -> bool:
        """Whether it was made with other parameters than today's."""
        return self._hasher.check_needs_rehash(kept)

    def _compare_with_nobodys(self, password: str) -> bool:
        try:
            self._hasher.verify(self._nobodys, _written(password))
        except VerificationError:
            pass
        return False

    @contextmanager
    def _turn(self) -> Iterator[None]:
        if not self._turns.acquire(timeout=self._wait):
            raise Busy
        try:
            yield
        finally:
            self._turns.release()


def _written(password: str) -> str:
    """As every keyboard writes it: an accent may be one character or two (NIST SP 800-63B section 3.1.1.2)."""
    return unicodedata.normalize("NFKC", password)
