"""Asks a Redis server one thing, within a time, or says that it is away.

1. A call has one deadline, for all that it takes: connecting, sending, waiting.
2. Connections are kept in a stack of this process; a child of a fork begins with none.
3. One that the server has closed meanwhile is replaced once; whatever else fails is an outage.
4. A server that is loading, a replica, one out of memory or that does not know us is away as well.

It uses redis-py for what connections need (TLS, credentials, Sentinel) and packs its one command itself.
"""

from __future__ import annotations

import hashlib
import os
import time
import weakref
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from .address import Source

_MOST_IDLE = 64


class RemoteAway(Exception):
    """The store does not answer as it should, or not in time. Its text may be logged."""


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


class Client:
    """Connections to one store."""

    def __init__(self, source: Source, timeout: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._source = source
        self._timeout = timeout
        self._clock = clock
        self._idle: list[Any] = []
        _clients.add(self)

    @property
    def name(self) -> str:
        """As it may be shown."""
        return self._source.name

    def ask(self, script: Script, keys: Sequence[bytes], arguments: Sequence[bytes]) -> list[Any]:
        """What the script returns.

        :raises RemoteAway: if it does not answer in time, or otherwise than it should.
        """
        import redis

        deadline = self._clock() + self._timeout
        command = script.packed(keys, arguments)
        whole = False
        for _ in range(3):
            connection, is_new = self._take()
            try:
                answer = self._exchange(connection, command, deadline)
            except redis.exceptions.NoScriptError:
                # Its answer was read: the connection is as good as before.
                self._keep(connection)
                if whole:
                    self._fail("NoScriptError")
                whole, command = True, script.packed(keys, arguments, whole=True)
                continue
            except redis.ResponseError as error:
                self._drop(connection)
                if isinstance(error, redis.exceptions.MovedError):
                    self._source.lost()
                self._fail(type(error).__name__)
            except (redis.TimeoutError, TimeoutError):
                self._drop(connection)
                self._fail("no answer in time")
            except (redis.RedisError, OSError) as error:
                self._drop(connection)
                if not is_new and self._clock() < deadline:
                    # The server has closed it since it was last used, and perhaps all of its age.
                    self._forget()
                    continue
                self._fail(type(error).__name__)
            except BaseException:
                # Such as a greenlet's timeout in the middle of an answer: the rest of it is nobody's.
                self._drop(connection)
                raise
            self._keep(connection)
            if not isinstance(answer, list):
                self._fail("an answer that is none")
            return answer
        self._fail("no connection lasts")

    def forget(self) -> None:
        """Closes what is not in use."""
        self._forget()

    def renew(self) -> None:
        """In a child of a fork: the connections are the parent's."""
        self._idle = []

    def _exchange(self, connection: Any, command: bytes, deadline: float) -> Any:
        if connection._sock is None:
            connection.connect()
        left = deadline - self._clock()
        if left <= 0:
            raise TimeoutError
        connection._sock.settimeout(left)
        connection.send_packed_command((command,), check_health=False)
        return connection.read_response(disable_decoding=True)

    def _take(self) -> tuple[Any, bool]:
        try:
            return self._idle.pop(), False
        except IndexError:
            pass
        try:
            return self._source.make(), True
        except Exception as error:
            self._fail(type(error).__name__)

    def _keep(self, connection: Any) -> None:
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

    def _fail(self, why: str) -> NoReturn:
        # The error's own text may hold what was sent.
        raise RemoteAway(f"{self.name} does not answer as it should: {why}") from None


_clients: weakref.WeakSet[Client] = weakref.WeakSet()


def _renew() -> None:
    for client in list(_clients):
        client.renew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)
