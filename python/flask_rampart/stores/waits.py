"""A wait for PostgreSQL that ends also where its server, or a pooler before it, is silent but not gone.

``statement_timeout`` is the server's, and ``tcp_user_timeout`` the network's: neither helps where a machine in between
goes on confirming what it receives. So the client itself looks at the clock, within psycopg's own wait, which comes by
ten times a second; under gevent as under threads, and without a thread of its own.
"""

from __future__ import annotations

import time
from collections.abc import Generator
from typing import Any, TypeVar

import psycopg
import sqlalchemy as sa

T = TypeVar("T")

#: More than the server's own limit, so that its answer is heard where there is one.
WAIT_SECONDS = 7.0


class BoundedConnection(psycopg.Connection[Any]):
    """A connection that is closed when an answer takes longer than :data:`WAIT_SECONDS`."""

    def wait(self, gen: Generator[Any, Any, T], *given: Any, **more: Any) -> T:
        return super().wait(self._until(gen, time.monotonic() + WAIT_SECONDS), *given, **more)

    def _until(self, gen: Generator[Any, Any, T], end: float) -> Generator[Any, Any, T]:
        try:
            wanted = next(gen)
            while True:
                ready = yield wanted
                if not ready and time.monotonic() > end:
                    # Whatever comes now would be taken for the answer to something else.
                    self.close()
                    raise psycopg.OperationalError("no answer in time")
                wanted = gen.send(ready)
        except StopIteration as stop:
            found: T = stop.value
            return found


def bound(engine: sa.Engine) -> None:
    """Lets all connections of an *engine* of psycopg's be such."""

    def connect(dialect: Any, record: Any, arguments: Any, named: Any) -> Any:
        return BoundedConnection.connect(*arguments, **named)

    sa.event.listen(engine, "do_connect", connect)
