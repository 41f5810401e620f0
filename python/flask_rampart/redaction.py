"""Redaction: what is remembered of a request, without what must not be.

Two outlets, one redactor (``src/redaction``, linear in its input):

1. the access log: one JSON line for each request, written when its answer is complete or closed;
2. :class:`RedactingFormatter`, for the app's own logging: the message with its arguments, ``extra=``,
   tracebacks and stack dumps. ``Rampart(app)`` puts it on the handlers of the app's and the root logger.

It replaces what it knows by shape (addresses of mail, cards, tokens, keys) and by name (``password=``).
A secret that has neither shape nor name is not found: do not log it.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Mapping
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
        copy = logging.makeLogRecord(vars(record))
        if isinstance(copy.args, Mapping):
            copy.args = redact_value(self.redactor, copy.args)
        elif copy.args:
            copy.args = tuple(
                redact_value(self.redactor, arg) if isinstance(arg, (Mapping, list, tuple)) else arg
                for arg in copy.args
            )
        for name in vars(copy).keys() - _STANDARD:
            setattr(copy, name, redact_value(self.redactor, getattr(copy, name), name))
        copy.exc_text = None
        return self.redactor.redact(self.inner.format(copy))


def redact_value(redactor: Redactor, value: Any, name: str = "") -> Any:
    """A copy of a nested value without secrets: texts by shape, members by name.

    Deeper than 8 levels, or after 1,000 nodes, what is left becomes ``"[REDACTED:DEPTH]"``: what was not
    looked at is not shown.
    """
    budget = [_NODES]

    def walk(value: Any, name: str, depth: int) -> Any:
        budget[0] -= 1
        if name and redactor.is_secret_name(name) and value is not None:
            return f"[REDACTED:{name.upper()}]"
        if isinstance(value, str):
            return redactor.redact(value)
        if isinstance(value, (bytes, bytearray)):
            return redactor.redact_bytes(bytes(value))
        if isinstance(value, (Mapping, list, tuple, set, frozenset)):
            if depth >= _DEPTH or budget[0] <= 0:
                return "[REDACTED:DEPTH]"
            if isinstance(value, Mapping):
                return {
                    walk(key, "", depth + 1) if isinstance(key, str) else key: walk(
                        item, key if isinstance(key, str) else "", depth + 1
                    )
                    for key, item in value.items()
                }
            return (
                type(value)(walk(item, "", depth + 1) for item in value)
                if type(value) in _PLAIN
                else [walk(item, "", depth + 1) for item in value]
            )
        return value

    return walk(value, name, 0)


_PLAIN = (list, tuple, set, frozenset)


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
    handlers = {id(handler): handler for logger in (app.logger, logging.getLogger()) for handler in logger.handlers}
    for handler in handlers.values():
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
