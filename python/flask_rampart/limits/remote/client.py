"""Asks a server one thing, within a time, or says that it is away.

1. A call has one deadline, for all that it takes: a connection, sending, every byte of the answer.
2. Connections are made by threads of their own: who needs one waits for it no longer than the deadline, whatever
   names, addresses, handshakes or sentinels take. What comes too late is kept for who comes next.
3. They are kept in a stack of this process; a child of a fork begins with none.
4. One that the server has closed meanwhile is replaced, and what was sent is sent again if it may be executed twice.
   Whatever else fails is an outage.
5. A server that is loading, a replica, one out of memory or that does not know us is away as well.

It uses redis-py to connect (TLS, credentials, Sentinel), and packs and reads its one command itself.
"""

from __future__ import annotations

import hashlib
import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from ...locks import Lock
from .address import Source
from .wire import Garbled, Refused, Silence, exchange, is_closed

_MOST_IDLE = 64
_MOST_AT_ONCE = 8
_TRIES = 4


class RemoteAway(Exception):
    """The store does not answer as it should, or not in time. Its text may be logged.

    :param was_sent: whether it may be executed all the same, now or later.
    :param is_outage: whether others would fare no better.
    """

    def __init__(self, text: str, *, was_sent: bool = False, is_outage: bool = True) -> None:
        super().__init__(text)
        self.was_sent = was_sent
        self.is_outage = is_outage


class Script:
    """A script, packed but for what differs between calls."""

    def __init__(self, text: str) -> None:
        self._text = text.encode()
        sha = hashlib.sha1(self._text, usedforsecurity=False).hexdigest().encode()
        self._by_hash = b"$7\r\nEVALSHA\r\n$40\r\n%b\r\n" % sha
        self._by_text = b"$4\r\nEVAL\r\n$%d\r\n%b\r\n" % (len(self._text), self._text)

    def packed(self, keys: Sequence[bytes], arguments: Sequence[bytes], *, whole: bool = False) -> bytes:
        """The command as it goes over the wire (RESP)."""
        words = [b"%d" % len(keys), *keys, *arguments]
        parts = [b"*%d\r\n" % (len(words) + 2), self._by_text if whole else self._by_hash]
        parts += [b"$%d\r\n%b\r\n" % (len(word), word) for word in words]
        return b"".join(parts)


class _Wish:
    """Who waits for a connection."""

    __slots__ = ("connection", "is_new", "told", "why")

    def __init__(self) -> None:
        self.connection: Any = None
        self.is_new = True
        self.why = "no connection in time"
        self.told = threading.Event()


class Client:
    """Connections to one store."""

    def __init__(self, source: Source, timeout: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._source = source
        self._timeout = timeout
        self._clock = clock
        # Reentrant: the collector may run in here, and what it collects may ask too.
        self._lock = Lock(reentrant=True)
        self._idle: list[Any] = []
        self._wishes: deque[_Wish] = deque()
        self._connecting = 0
        _clients.add(self)

    @property
    def name(self) -> str:
        """As it may be shown."""
        return self._source.name

    def ask(
        self,
        script: Script,
        keys: Sequence[bytes],
        arguments: Sequence[bytes],
        *,
        numbers: int | None = None,
        twice: bool = True,
        patience: float = 0.0,
    ) -> list[Any]:
        """What the script returns.

        :param numbers: so many integers, or what else begins with one.
        :param twice: whether it may be executed twice, if the server closes the connection at the wrong moment.
        :param patience: seconds that a connection may take beyond the timeout.
        :raises RemoteAway: if it does not answer in time, or otherwise than it should.
        """
        deadline = self._clock() + self._timeout
        command = script.packed(keys, arguments)
        is_whole = was_sent = False
        for _ in range(_TRIES):
            connection, is_new = self._take(deadline + patience, was_sent=was_sent)
            if patience:
                deadline = self._clock() + self._timeout
            if not twice and not is_new and is_closed(connection._sock):
                self._drop(connection)
                self._forget()
                continue
            try:
                was_sent = True
                answer = exchange(connection._sock, command, deadline, self._clock)
            except Refused as refused:
                if refused.code == "NOSCRIPT" and not is_whole:
                    # Its answer was read: the connection is as good as before.
                    self._keep(connection)
                    is_whole, was_sent = True, False
                    command = script.packed(keys, arguments, whole=True)
                    continue
                self._refused(connection, refused)
            except Silence:
                self._drop(connection)
                if twice and not is_new and self._clock() < deadline:
                    # The server has closed it since it was last used, and perhaps all of its age.
                    self._forget()
                    continue
                self._fail("the connection was closed", was_sent=was_sent)
            except TimeoutError:
                self._drop(connection)
                self._fail("no answer in time", was_sent=was_sent)
            except (Garbled, OSError, ValueError) as error:
                self._drop(connection)
                self._fail("an answer that is none" if isinstance(error, Garbled) else "a broken answer", was_sent=True)
            except BaseException:
                # Such as a greenlet's timeout in the middle of an answer: the rest of it is nobody's.
                self._drop(connection)
                raise
            if not _is_meant(answer, numbers):
                self._drop(connection)
                self._fail("an answer that is none", was_sent=True)
            self._keep(connection)
            return answer  # type: ignore[no-any-return]
        self._fail("no connection lasts", was_sent=was_sent)

    def forget(self) -> None:
        """Closes what is not in use."""
        self._forget()

    def renew(self) -> None:
        """In a child of a fork: the connections are the parent's, and so is who makes them."""
        self._idle = []
        self._wishes = deque()
        self._connecting = 0

    def _take(self, until: float, *, was_sent: bool) -> tuple[Any, bool]:
        try:
            return self._idle.pop(), False
        except IndexError:
            pass
        wish = _Wish()
        with self._lock:
            self._wishes.append(wish)
            starts = self._connecting < min(_MOST_AT_ONCE, len(self._wishes))
            self._connecting += starts
        if starts:
            self._begin()
        is_taken = False
        try:
            wish.told.wait(max(until - self._clock(), 0))
            is_taken = True
        finally:
            with self._lock:
                if wish in self._wishes:
                    self._wishes.remove(wish)
                if wish.connection is not None and not is_taken:
                    self._keep(wish.connection)
        if wish.connection is None:
            self._fail(wish.why, was_sent=was_sent)
        return wish.connection, wish.is_new

    def _begin(self) -> None:
        try:
            threading.Thread(target=self._connect, name="rampart-connect", daemon=True).start()
        except RuntimeError as error:  # no more threads, or the interpreter ends
            self._give_up(error)

    def _connect(self) -> None:
        """Makes connections as long as somebody waits for one."""
        try:
            while True:
                connection = self._source.make()
                connection.connect()
                with self._lock:
                    self._keep(connection, is_new=True)
                    if not self._wishes:
                        self._connecting -= 1
                        return
        except BaseException as error:
            self._source.lost()
            self._give_up(error)
            if not isinstance(error, Exception):
                raise

    def _give_up(self, error: BaseException) -> None:
        with self._lock:
            self._connecting -= 1
            while self._wishes:
                wish = self._wishes.popleft()
                wish.why = type(error).__name__
                wish.told.set()

    def _keep(self, connection: Any, *, is_new: bool = False) -> None:
        if self._wishes:
            with self._lock:
                if self._wishes:
                    wish = self._wishes.popleft()
                    wish.connection, wish.is_new = connection, is_new
                    wish.told.set()
                    return
        if len(self._idle) < _MOST_IDLE and connection.pid == os.getpid():
            self._idle.append(connection)
        else:
            self._drop(connection)

    def _drop(self, connection: Any) -> None:
        try:
            connection.disconnect()
        except Exception:  # noqa: S110 - it is gone, one way or the other
            pass

    def _forget(self) -> None:
        while self._idle:
            try:
                self._drop(self._idle.pop())
            except IndexError:  # another thread was faster
                return

    def _refused(self, connection: Any, refused: Refused) -> NoReturn:
        if b"WRONGTYPE" in refused.said:
            # One key that is somebody else's: other keys are answered.
            self._keep(connection)
            raise self._away("a key that is none of ours", was_sent=True, is_outage=False)
        self._drop(connection)
        self._fail(refused.code, was_sent=True)

    def _fail(self, why: str, *, was_sent: bool = False) -> NoReturn:
        # Whatever it was: perhaps another node is the right one now.
        self._source.lost()
        raise self._away(why, was_sent=was_sent) from None

    def _away(self, why: str, **how: bool) -> RemoteAway:
        # The error's own text may hold what was sent.
        return RemoteAway(f"{self.name} does not answer as it should: {why}", **how)


def _is_meant(answer: Any, numbers: int | None) -> bool:
    if not isinstance(answer, list) or not answer:
        return False
    if numbers is None:
        return isinstance(answer[0], int)
    return len(answer) == numbers and set(map(type, answer)) == {int}


_clients: weakref.WeakSet[Client] = weakref.WeakSet()


def _renew() -> None:
    for client in list(_clients):
        client.renew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)
