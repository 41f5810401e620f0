"""Redaction: what is remembered of a request, without what must not be.

Two outlets, one redactor (``src/redaction``, linear in its input):

1. the access log: one JSON line for each request, written when its answer is complete or closed;
2. :class:`RedactingFormatter`, for the app's own logging: the message with its arguments, ``extra=``,
   tracebacks and stack dumps. ``Rampart(app)`` puts it on the handlers of the app's and the root logger.

It replaces what it knows by shape (addresses of mail, cards, tokens, keys) and by name (``password=``).
A secret that has neither shape nor name is not found: do not log it.
"""

from __future__ import annotations

import atexit
import copy
import logging
import os
import signal
import sys
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from flask import Flask

from ._native import AccessLine, AccessSink, Answers, Clock, CookiePolicy, HeaderPolicy, Redactor
from .config import Settings
from .errors import ConfigError
from .exchange import Exchange

_DEPTH = 8
_NODES = 1000
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class RedactingFormatter(logging.Formatter):
    """Formats a record by another formatter, then redacts the whole text.

    The text includes the traceback and the stack, which a ``logging.Filter`` never sees. Values in ``extra=`` and in
    arguments that are dicts or lists are redacted by name, deep, before they become text.

    :param inner: formats the record; the standard formatter if None.
    :param redactor: finds and replaces; the built-in rules if None.

    >>> formatter = RedactingFormatter(logging.Formatter("%(message)s"))
    >>> record = logging.makeLogRecord({"msg": "sent to %s", "args": ("ada@example.com",)})
    >>> formatter.format(record)
    'sent to [REDACTED:EMAIL_ADDRESS]'
    """

    def __init__(self, inner: logging.Formatter | None = None, redactor: Redactor | None = None) -> None:
        super().__init__()
        self.inner = inner or logging.Formatter()
        self.redactor = redactor or Redactor()

    def format(self, record: logging.LogRecord) -> str:
        # A copy: other handlers see the record as it was, and `exc_text` is not cached for them in clear.
        mine = copy.copy(record)
        try:
            if isinstance(mine.args, Mapping):
                mine.args = redact_value(self.redactor, mine.args)
            elif mine.args:
                mine.args = tuple(redact_value(self.redactor, arg) for arg in mine.args)
            for name in vars(mine).keys() - _STANDARD:
                setattr(mine, name, redact_value(self.redactor, getattr(mine, name), name))
            if mine.exc_info:
                mine.exc_text = None
            text = self.inner.format(mine)
        except Exception:
            # Logging would print the arguments themselves to standard error: a number that became a mark and
            # no longer fits its %d, an object that cannot be printed, a plain mistake. The line stays, and says of its
            # arguments what they are: without the form, nothing tells which of them is a secret.
            args = mine.args if isinstance(mine.args, tuple) else ()
            kinds = ", ".join(type(arg).__name__ for arg in args)
            text = f"{mine.levelname} {_shown(mine.msg)} (arguments that do not fit: {kinds or 'by name'})"
        return self.redactor.redact(text)


def _shown(value: Any) -> str:
    try:
        return repr(value)
    except Exception:
        return f"<unprintable {type(value).__name__}>"


def redact_value(redactor: Redactor, value: Any, name: str = "") -> Any:
    """A copy of a nested value without secrets: texts by shape, members by name.

    Deeper than 8 levels, or after 1,000 nodes, what is left becomes ``"[REDACTED:DEPTH]"``: what was not
    looked at is not shown. What is neither text nor container is left as it is, and redacted as text later.
    """
    left = _NODES

    def members(items: Iterable[Any]) -> Iterator[Any]:
        for item in items:
            if left <= 0:
                yield _UNSEEN
                return
            yield item

    def walk(value: Any, name: str, depth: int) -> Any:
        nonlocal left
        left -= 1
        if name and value is not None and redactor.is_secret_name(name):
            return f"[REDACTED:{name.upper()}]"
        if isinstance(value, str):
            return redactor.redact(value)
        if isinstance(value, (bytes, bytearray)):
            return redactor.redact_bytes(bytes(value))
        if isinstance(value, Mapping):
            if depth >= _DEPTH:
                return _UNSEEN
            # A copy of a dict keeps its kind: a defaultdict still has what is missing.
            result = copy.copy(value) if isinstance(value, dict) else {}
            result.clear()
            for key in members(value):
                if key is _UNSEEN:
                    result[_UNSEEN] = _UNSEEN
                else:
                    known = isinstance(key, str)
                    shown = redactor.redact(key) if known else key
                    result[shown] = walk(value[key], key if known else "", depth + 1)
            return result
        if isinstance(value, (list, tuple, set, frozenset)):
            if depth >= _DEPTH:
                return _UNSEEN
            fields = getattr(value, "_fields", ())  # a named tuple's
            items = [
                _UNSEEN if item is _UNSEEN else walk(item, fields[at] if at < len(fields) else "", depth + 1)
                for at, item in enumerate(members(value))
            ]
            if isinstance(value, tuple):
                return type(value)(*items) if fields and len(fields) == len(items) else tuple(items)
            return items
        return value

    return walk(value, name, 0)


_UNSEEN = "[REDACTED:DEPTH]"


def redactor_of(settings: Settings) -> Redactor:
    """The app's redactor.

    :raises ConfigError: for a name in ``RAMPART_REDACT`` that cannot be one.
    """
    try:
        return Redactor(names=settings.redact)
    except ValueError as error:
        raise ConfigError(f"RAMPART_REDACT: {error}") from None


def redact_logging(app: Flask, redactor: Redactor) -> None:
    """Puts the redactor on the handlers that the app's records reach. Again harmless."""
    handlers = [handler for logger in (app.logger, logging.getLogger()) for handler in logger.handlers]
    if logging.lastResort is not None:  # writes what reaches no other handler
        handlers.append(logging.lastResort)
    for handler in handlers:
        if not isinstance(handler.formatter, RedactingFormatter):
            handler.setFormatter(RedactingFormatter(handler.formatter, redactor))


class AccessLog:
    """Writes one line for each request.

    :param testing: asked at the first line: whether lines are to be written at once, for a test to read.
    """

    def __init__(
        self, settings: Settings, redactor: Redactor, clock: Clock, testing: Callable[[], bool] = lambda: False
    ) -> None:
        where = settings.access_log
        self.enabled = where != "off"
        self._where = where
        self._delay = settings.access_log_delay
        self._testing = testing
        self._redactor = redactor
        self._clock = clock
        self._line = AccessLine(redactor, clock)
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
    ) -> Answers:
        """What makes an app's answers: with these headers and cookies, each with a line here. Called at the
        first request.

        :param draft: whether they say what is left of quotas in the fields of the IETF's draft, and *legacy* in those
            that begin with ``X-RateLimit``.
        :param closed: told of answers that were closed to shared caches.
        """
        sink = self._sink
        clock = self._clock if legacy else None
        if sink is None:
            return Answers(headers, cookies=cookies, draft=draft, legacy=clock, closed=closed)
        testing, self._testing = self._testing, lambda: False  # asked once; it holds the app
        if self._delay and testing():
            sink = self._sink = self._open(0)
        own = None if self._stream is None else (self._stream, _own_stream(self._stream))
        return Answers(headers, cookies=cookies, sink=sink, log=self, own=own, draft=draft, legacy=clock, closed=closed)

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
        return stream if stream.fileno() == {"stdout": 1, "stderr": 2}[name] else _UNSEEN
    except (AttributeError, OSError, ValueError):
        return _UNSEEN


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
