"""Logs: the outlets through which an app says what it did.

1. :class:`RedactingFormatter`, for ``logging``: the message with its arguments, ``extra=``, tracebacks and stacks.
   ``Rampart(app)`` puts it on the handlers of the app's and the root logger. It is a formatter, because no
   ``logging.Filter`` ever sees the text of a traceback;
2. :func:`structlog_processor`, for structlog: last before the renderer;
3. :func:`redact_event`, for what is sent to an error tracker: Sentry's ``before_send``;
4. :func:`redact_excepthook`, for what nothing has caught.

What fails here is not shown: a line stays, and says that it could not be redacted.
"""

from __future__ import annotations

import copy
import logging
import sys
import threading
import traceback
from collections.abc import Callable, Mapping, MutableMapping
from typing import Any

from flask import Flask

from .._native import Redactor as NativeRedactor
from .nested import Walk
from .places import Places
from .redactor import Redactor, built_in, redactor_over

_DEPTH = 8
_NODES = 1000
_EVENT_DEPTH = 64
_EVENT_NODES = 50_000
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_NOWHERE = Places()

Processor = Callable[[Any, str, MutableMapping[str, Any]], MutableMapping[str, Any]]


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

    def __init__(
        self, inner: logging.Formatter | None = None, redactor: Redactor | NativeRedactor | None = None
    ) -> None:
        super().__init__()
        self.inner = inner or logging.Formatter()
        self.redactor = redactor_over(redactor)

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
        return _redacted(self.redactor, text)


def redact_value(redactor: Redactor | NativeRedactor, value: Any, name: str = "") -> Any:
    """A copy of a nested value without secrets: texts by shape, members by name.

    Deeper than 8 levels, or after 1,000 nodes, what is left becomes ``"[REDACTED:DEPTH]"``: what was not
    looked at is not shown. What is neither text, number nor container is left as it is, and redacted as text later.
    """
    return Walk(redactor_over(redactor), _NOWHERE, max_nodes=_NODES, max_depth=_DEPTH)(value, name)


def redact_logging(app: Flask, redactor: Redactor | NativeRedactor) -> None:
    """Puts the redactor on the handlers that the app's records reach. Again harmless."""
    handlers = [handler for logger in (app.logger, logging.getLogger()) for handler in logger.handlers]
    if logging.lastResort is not None:  # writes what reaches no other handler
        handlers.append(logging.lastResort)
    for handler in handlers:
        if not isinstance(handler.formatter, RedactingFormatter):
            handler.setFormatter(RedactingFormatter(handler.formatter, redactor))


def structlog_processor(redactor: Redactor | NativeRedactor | None = None) -> Processor:
    """A processor for structlog that redacts event dicts: nested values, names, tracebacks, objects.

    :param redactor: the built-in rules if None.

    Put it last before the renderer, so that it sees what the others add: ``processors=[merge_contextvars,
    add_log_level, structlog_processor(redactor), JSONRenderer()]``. An ``exc_info`` that no other processor has made
    a text becomes one here, ``exception``: renderers would write the traceback themselves. An object whose text has a
    secret becomes that text, redacted.

    >>> process = structlog_processor()
    >>> process(None, "info", {"event": "login of ada@example.com", "user": {"password": "hunter2"}})
    {'event': 'login of [REDACTED:EMAIL_ADDRESS]', 'user': {'password': '[REDACTED:PASSWORD]'}}
    """
    mine = redactor_over(redactor)

    def process(logger: Any, method_name: str, event_dict: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        try:
            return _processed(mine, event_dict)
        except Exception as error:
            return {"event": "An event could not be redacted.", "error": type(error).__name__, "level": method_name}

    return process


def rampart_redact(logger: Any, method_name: str, event_dict: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """:func:`structlog_processor` with the built-in rules, as a function to name.

    >>> rampart_redact(None, "info", {"event": "started", "api_key": "k-1"})
    {'event': 'started', 'api_key': '[REDACTED:API_KEY]'}
    """
    return structlog_processor()(logger, method_name, event_dict)


def _processed(redactor: Redactor, event_dict: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    event = dict(event_dict)
    # structlog's bridge to `logging` hands its own objects on; their formatter takes them out again.
    own: dict[str, Any] = {
        name: event.pop(name)
        for name, kind in (("_record", logging.LogRecord), ("_from_structlog", bool))
        if isinstance(event.get(name), kind)
    }
    told = event.pop("exc_info", None)
    if told and "exception" not in event:
        text = _traceback(told)
        if text:
            event["exception"] = text
    walk = Walk(redactor, _NOWHERE, max_nodes=_EVENT_NODES, max_depth=_EVENT_DEPTH, objects="text")
    made: MutableMapping[str, Any] = walk(event)
    made.update(own)
    return made


def _traceback(told: Any) -> str:
    """As text, from all that may stand behind ``exc_info=``."""
    if isinstance(told, BaseException):
        told = (type(told), told, told.__traceback__)
    elif not isinstance(told, tuple):
        told = sys.exc_info()
    if len(told) != 3 or told[1] is None:
        return ""
    return "".join(traceback.format_exception(*told)).rstrip("\n")


def redact_event(
    event: Any, hint: Any = None, *, redactor: Redactor | NativeRedactor | None = None
) -> dict[str, Any] | None:
    """A redacted copy of an event for an error tracker, deep: frames' local variables, breadcrumbs, headers, bodies.

    :param hint: not looked at; it is there so that this function can be ``before_send`` and ``before_send_transaction``
        of Sentry's ``init``.
    :param redactor: the built-in rules if None.
    :return: None where it cannot be redacted: then nothing is sent.

    Sentry's own scrubber stops below the first level by default.

    >>> redact_event({"request": {"headers": {"Authorization": "Bearer abc"}}, "level": "error"})
    {'request': {'headers': {'Authorization': '[REDACTED:AUTHORIZATION]'}}, 'level': 'error'}
    """
    try:
        walk = Walk(redactor_over(redactor), _NOWHERE, max_nodes=_EVENT_NODES, max_depth=_EVENT_DEPTH, objects="text")
        made = walk(event)
    except Exception as error:
        logging.getLogger("flask_rampart").error(
            "An event for an error tracker could not be redacted (%s), and is not sent.", type(error).__name__
        )
        return None
    return made if isinstance(made, dict) else None


def redact_excepthook(redactor: Redactor | NativeRedactor | None = None) -> Callable[[], None]:
    """Redacts the tracebacks of what nothing has caught, in the main program and in threads; standard error gets them.

    :param redactor: the built-in rules if None.
    :return: a function that puts the former hooks back.

    Call it once, when a program begins, if it is asked for: it takes the place of ``sys.excepthook``,
    ``threading.excepthook`` and ``sys.unraisablehook``, of which an error tracker may have hooks of its own; let that
    one come later, with :func:`redact_event`.
    """
    mine = redactor_over(redactor)

    def write(before: str, told: tuple[Any, Any, Any]) -> None:
        if sys.stderr is not None:
            text = before + "".join(traceback.format_exception(*told))
            sys.stderr.write(_redacted(mine, text))
            sys.stderr.flush()

    def caught(kind: Any, error: Any, trace: Any) -> None:
        write("", (kind, error, trace))

    def in_thread(args: Any) -> None:
        if args.exc_type is not SystemExit:
            name = args.thread.name if args.thread is not None else "?"
            write(f"Exception in thread {name}:\n", (args.exc_type, args.exc_value, args.exc_traceback))

    def unraisable(args: Any) -> None:
        # Without the object itself, whose repr may be anything and may raise.
        about = args.err_msg or "Exception ignored"
        write(f"{about} in {type(args.object).__name__}:\n", (args.exc_type, args.exc_value, args.exc_traceback))

    former = (sys.excepthook, threading.excepthook, sys.unraisablehook)
    sys.excepthook, threading.excepthook, sys.unraisablehook = caught, in_thread, unraisable

    def restore() -> None:
        sys.excepthook, threading.excepthook, sys.unraisablehook = former

    return restore


def _redacted(redactor: Redactor, text: str) -> str:
    """By the operators; by marks, if one of these fails."""
    try:
        return redactor.redact(text)
    except Exception:
        return built_in().redact(redactor.native.redact(text))


def _shown(value: Any) -> str:
    try:
        return repr(value)
    except Exception:
        return f"<unprintable {type(value).__name__}>"
