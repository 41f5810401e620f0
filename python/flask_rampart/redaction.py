"""Redaction: what is remembered of a request, without what must not be.

Two outlets, one redactor (``src/redaction``, linear in its input):

1. the access log: one JSON line for each request, written when its answer is complete or closed;
2. :class:`RedactingFormatter`, for the app's own logging: the message with its arguments, ``extra=``,
   tracebacks and stack dumps. ``Rampart(app)`` puts it on the handlers of the app's and the root logger.

It replaces what it knows by shape (addresses of mail, cards, tokens, keys) and by name (``password=``).
A secret that has neither shape nor name is not found: do not log it.
"""

from __future__ import annotations

import copy
import logging
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from flask import Flask

from ._native import AccessLine, Clock, Redactor
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
    """Writes one line for each request."""

    def __init__(self, settings: Settings, redactor: Redactor, clock: Clock) -> None:
        self._line = AccessLine(redactor, clock)
        self._write = _writer(settings.access_log)
        self.enabled = self._write is not None

    def record(self, exchange: Exchange, status: int, micros: int, size: int | None, complete: bool) -> None:
        """Notes how a request ended. Never raises: the answer has left, or is about to."""
        if self._write is None:
            return
        environ = exchange.environ
        query = environ.get("QUERY_STRING")
        # WSGI hands paths as bytes in latin-1 (PEP 3333): the line shows them as they came.
        target = f"{environ.get('SCRIPT_NAME', '')}{environ.get('PATH_INFO', '')}"
        principal = exchange.principal
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
        try:
            self._write(line)
        except OSError:
            # A full disk or a closed pipe must not take the service down; standard error is all that is left.
            logging.getLogger("flask_rampart").exception("The access log cannot be written.")


def _writer(where: str) -> Callable[[bytes], Any] | None:
    if where == "off":
        return None
    if where in ("stderr", "stdout"):
        stream = where

        def write_stream(line: bytes) -> None:
            # By name at each call: servers and test runners replace the streams.
            target = getattr(sys, stream)
            buffer = getattr(target, "buffer", None)
            if buffer is not None:
                buffer.write(line)
                buffer.flush()
            else:
                target.write(line.decode("utf-8", "replace"))

        return write_stream
    return _FileWriter(where).write


class _FileWriter:
    """Appends whole lines to a file, also with several workers: one write each, in append mode."""

    def __init__(self, path: str) -> None:
        if os.path.isdir(path) or not os.path.isdir(os.path.dirname(os.path.abspath(path))):
            raise ConfigError(f"RAMPART_ACCESS_LOG: {path!r} is not a file in a folder that exists.")
        try:
            self._fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
        except OSError as error:
            raise ConfigError(f"RAMPART_ACCESS_LOG: {path!r} cannot be written: {error.strerror}.") from None

    def write(self, line: bytes) -> None:
        written = os.write(self._fd, line)
        while written < len(line):
            written += os.write(self._fd, line[written:])
