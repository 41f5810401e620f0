"""The access log: one JSON line for each request, written when its answer is complete or closed.

Lines are made and redacted in Rust (``src/redaction/access_line.rs``): whatever operators an app has, what is found is
a mark here. A thread that is none of Python's writes them (``src/redaction/sink.rs``).
"""

from __future__ import annotations

import atexit
import logging
import os
import signal
import sys
import weakref
from collections.abc import Callable
from typing import Any

from .._native import AccessLine, AccessSink, Answers, Clock, CookiePolicy, HeaderPolicy, MetricTable, Monitor
from .._native import Redactor as NativeRedactor
from ..config import Settings
from ..errors import ConfigError
from ..exchange import Exchange
from .redactor import Redactor


class AccessLog:
    """Writes one line for each request.

    :param testing: asked at the first line: whether lines are to be written at once, for a test to read.
    """

    def __init__(
        self,
        settings: Settings,
        redactor: Redactor | NativeRedactor,
        clock: Clock,
        testing: Callable[[], bool] = lambda: False,
    ) -> None:
        where = settings.access_log
        self.enabled = where != "off"
        self._where = where
        self._delay = settings.access_log_delay
        self._testing = testing
        self._redactor = redactor.native if isinstance(redactor, Redactor) else redactor
        self._clock = clock
        self._line = AccessLine(self._redactor, clock)
        self._stream = where if where in ("stderr", "stdout") else None
        self._sink = self._open(self._delay) if self.enabled else None

    def answers(
        self,
        headers: HeaderPolicy,
        cookies: CookiePolicy | None = None,
        *,
        draft: bool = True,
        legacy: bool = False,
        closed: object = None,
        metrics: MetricTable | None = None,
        monitor: Monitor | None = None,
    ) -> Answers:
        """What makes an app's answers: with these headers and cookies, each with a line here. Called at the
        first request.

        :param draft: whether they say what is left of quotas in the fields of the IETF's draft, and *legacy* in those
            that begin with ``X-RateLimit``.
        :param closed: told of answers that were closed to shared caches.
        :param metrics: where requests are counted.
        :param monitor: told of answers that have ended.
        """
        sink = self._sink
        clock = self._clock if legacy else None
        if sink is None:
            return Answers(
                headers,
                cookies=cookies,
                draft=draft,
                legacy=clock,
                closed=closed,
                metrics=metrics,
                monitor=monitor,
            )
        testing, self._testing = self._testing, lambda: False  # asked once; it holds the app
        if self._delay and testing():
            sink = self._sink = self._open(0)
        own = None if self._stream is None else (self._stream, _own_stream(self._stream))
        return Answers(
            headers,
            cookies=cookies,
            sink=sink,
            log=self,
            own=own,
            draft=draft,
            legacy=clock,
            closed=closed,
            metrics=metrics,
            monitor=monitor,
        )

    def start(self) -> None:
        """Starts the thread that writes, with all signals blocked: they are the process's, not its."""
        if self._sink is None:
            return
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        try:
            self._sink.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)

    def failed(self, error: BaseException) -> None:
        """Says that lines were lost: a full disk or a closed pipe must not take the service down."""
        log = logging.getLogger("flask_rampart")
        if self._stream == "stderr" and not log.hasHandlers():
            return  # it would be said to the same standard error, and wait for its reader for ever
        try:
            log.error("The access log cannot be written: %s", error, exc_info=error)
        except Exception:
            # Standard error is closed as well: there is nobody left to tell.
            return

    def _open(self, delay: float) -> AccessSink:
        try:
            sink = AccessSink(self._redactor, self._clock, self._where, delay)
        except OSError as error:
            raise ConfigError(
                f"RAMPART_ACCESS_LOG: {self._where!r} is no file that can be written, in a folder that exists: {error}."
            ) from None
        _sinks[sink] = self._where
        return sink

    def say(self, exchange: Exchange, status: int, micros: int, size: int | None, complete: bool) -> None:
        """Writes a line at once, to what a server or a test runner put in the place of the process's own stream."""
        principal = exchange.principal
        environ = exchange.environ
        query = environ.get("QUERY_STRING")
        target = f"{environ.get('SCRIPT_NAME', '')}{environ.get('PATH_INFO', '')}"
        line = self._line.render(
            exchange.id,
            environ.get("REMOTE_ADDR"),
            environ.get("REQUEST_METHOD", ""),
            exchange.route,
            f"{target}?{query}" if query else target,
            status,
            micros,
            size,
            None if principal is None else principal.id,
            exchange.codes,
            complete,
        )
        stream = getattr(sys, self._stream or "stderr")
        buffer = getattr(stream, "buffer", None)
        if buffer is not None:
            buffer.write(line)
            buffer.flush()
        else:
            stream.write(line.decode("utf-8", "replace"))


def _own_stream(name: str) -> Any:
    """``sys.stderr`` or ``sys.stdout`` as the process began; if that one is not its descriptor, what is neither."""
    stream = getattr(sys, f"__{name}__")
    try:
        return stream if stream.fileno() == {"stdout": 1, "stderr": 2}[name] else _NONE
    except (AttributeError, OSError, ValueError):
        return _NONE


_NONE = object()
_sinks: weakref.WeakKeyDictionary[AccessSink, str] = weakref.WeakKeyDictionary()


def _renew() -> None:
    for sink in list(_sinks):
        sink.renew()


def _flush() -> None:
    for sink, where in list(_sinks.items()):
        try:
            sink.flush()
        except OSError as error:
            if where != "stderr":
                sys.stderr.write(f"The access log cannot be written: {error}\n")


# A process that was forked off has its parent's lines, but not the thread that writes them.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)
atexit.register(_flush)
