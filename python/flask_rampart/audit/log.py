"""The app's audit log: opened when it is first needed, one writer for each process, closed at its end.

1. Nothing is opened before the first record, so a server that loads the app and then forks its workers has one writer
   in each worker. A process that is forked off later gets its own with its first record.
2. A record that is a decision is with the system when :meth:`Audit.write` returns: a killed process does not lose it.
   The others follow within ``RAMPART_AUDIT_SYNC``.
3. What cannot be written is counted, told in the app's log at most once a minute, and reported to the caller, who
   refuses or goes on as ``RAMPART_AUDIT_ON_FAILURE`` says. The native log keeps 1 MiB of such records and writes them
   when there is room again.
4. Where no thread can be had, which is told, a log is synced and signed with the next record that comes.
5. A log that cannot be opened is tried again after 1 s, then 2, 4, up to 15: each trial may leave a file.

What can break it in deployment: a directory that two hosts share over a network without locks. Give each its own.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import logging
import os
import signal
import socket
import threading
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from flask import Flask, current_app, has_request_context

from .._native import AuditLog, Clock, audit_is_of
from .._native import Redactor as NativeRedactor
from ..config import Settings
from ..errors import ConfigError, Denied, RampartError
from ..guards import current_exchange
from ..locks import Lock
from ..stores.place import own_folder
from .courier import Courier
from .events import check_name
from .facts import WINDOW, Facts, json_fields
from .keyfile import key_of
from .reading import Log
from .sinks import Anchor, opened
from .sinks import check as check_sinks

if TYPE_CHECKING:
    from ..exchange import Exchange

_logger = logging.getLogger("flask_rampart")
T = TypeVar("T")
_QUIET = 60.0
_ALLOWED = {"decision": "allowed"}
_LONGEST_WAIT = 15.0
_VERIFIED = "audit.verified"
_MOST_NOTE = 4096
_TENDING = 1.0


class AuditUnavailable(RampartError):
    """Something could not be recorded, outside a request, and ``RAMPART_AUDIT_ON_FAILURE`` is ``"refuse"``."""


class Audit:
    """The current app's audit log: ``rampart.audit``.

    Where ``RAMPART_AUDIT_LOG`` is ``"off"``, all calls do nothing.
    """

    def __init__(self, settings: Settings, clock: Clock, redactor: NativeRedactor, app: Flask) -> None:
        self.enabled = settings.audit_log != "off"
        self.refuses = settings.audit_on_failure == "refuse"
        #: So many bits of an IPv6 address are a client.
        self.ipv6_prefix = settings.ipv6_prefix
        folder = Path(app.instance_path)
        #: Where the files are; a relative path is one in the instance folder.
        self.directory = folder / settings.audit_log
        self._settings = settings
        self._anchors: list[Anchor] = []
        self._couriers: list[Courier] = []
        self._clock = clock
        self._redactor = redactor
        self._folder = folder
        self._app_name = app.name
        self._app = weakref.ref(app)
        self._log: AuditLog | None = None
        self._ready: AuditLog | None = None
        # Reentrant: the handler of a signal may record something while this thread opens the log.
        self._lock = Lock(reentrant=True)
        self._wait = 0.0
        self._next_trial = 0.0
        self._writer = ""
        self._is_tended_here = False
        self._next_tending = 0.0
        self._told = self._told_behind = -_QUIET
        self._untold = 0
        #: Told of each record whether it was written. Raises nothing.
        self.at_write: Callable[[bool], None] | None = None
        #: Told what of the log somebody has changed, if this process notices it first: once for each fact and host,
        #: by the log's own thread or by who signs. Without it, it is an error in the app's log.
        self.at_tampering: Callable[[str], object] | None = None
        #: The thread that closes the log: what it is told meanwhile is in no record, since none may follow.
        self._closing = 0
        #: Called before the log is closed: what is still to be said.
        self.at_close: Callable[[], None] | None = None
        #: Records that could not be written when they should have been, in this process.
        self.failures = 0
        if self.enabled:
            _open.add(self)
        elif settings.audit_sinks:
            raise ConfigError('RAMPART_AUDIT_SINKS has no effect while RAMPART_AUDIT_LOG is "off": set it to "audit".')

    def check(self, app: Flask) -> None:
        """Makes sure, before the first request, that there are a key and a directory.

        :raises ConfigError: with the cure.
        """
        if self.enabled:
            key = self.key()
            own_folder(self.directory)
            if not audit_is_of(str(self.directory), key):
                raise ConfigError(
                    f"RAMPART_AUDIT_KEY: the log in {self.directory} was begun with another key, and would take this "
                    "one's records for tampering. Put the key back; or begin a new directory (RAMPART_AUDIT_LOG)."
                )
            check_sinks(self._settings.audit_sinks)

    def anchor(self, anchor: Anchor) -> Anchor:
        """Has *anchor* called with each checkpoint of this process, a C2SP note, so that it is kept where this app
        cannot write. By a thread of its own; what it raises is told, and the newest checkpoint is brought again.

        :param anchor: ``anchor(note)``, with a time limit of its own. Also as a decorator.
        :raises ConfigError: if it cannot be called.
        :raises RuntimeError: once this process has recorded something.
        """
        if not callable(anchor):
            raise ConfigError(f"rampart.audit.anchor() takes a function of a note, not {anchor!r}.")
        if self._ready is not None:
            raise RuntimeError("rampart.audit.anchor() comes before the first record.")
        self._anchors.append(anchor)
        return anchor

    @property
    def dropped(self) -> dict[str, int]:
        """How many records of this process did not reach each sink and anchor, by its name. The file has them."""
        return {courier.sink.name: courier.dropped for courier in self._couriers}

    def key(self) -> str:
        """The private key, as text.

        :raises ConfigError: if there is none.
        """
        given = self._settings.audit_key
        return key_of(None if given is None else self._folder / given, self._folder, self.directory, self._app_name)

    def event(self, name: str, /, *, resource: str | None = None, **fields: Any) -> None:
        """Records something that the app did, now: when this returns, a killed process does not lose it.

        :param name: such as ``"invoice.sent"``, or a name of the OWASP Logging Vocabulary, ``"sensitive_read"``.
        :param resource: what it was done to.
        :param fields: texts, numbers, truth values, None, lists and dicts of these. They are redacted; large ones are
            cut.
        :raises ConfigError: for a name that no event can have.
        :raises Denied: ``audit.unavailable``, 503, in a request, if it cannot be written and
            ``RAMPART_AUDIT_ON_FAILURE`` is ``"refuse"``; outside one, :class:`AuditUnavailable`.

        In a request, who asked for it and from where stands beside it.
        """
        check_name(name, "rampart.audit.event()")
        if not self.enabled:
            return
        told: dict[str, Any] = {}
        exchange = self.here()
        if resource is not None:
            told["resource"] = resource[:WINDOW]
        if fields:
            told["fields"] = json_fields(fields)
        if not self.write(name, Facts(None, told), exchange=exchange) and self.refuses:
            if exchange is not None:
                raise exchange.refuse(unavailable())
            raise AuditUnavailable(f"the audit log cannot be written, so {name!r} was not recorded")

    def here(self) -> Exchange | None:
        """The request that is under way in this app, if one is."""
        if has_request_context() and current_app._get_current_object() is self._app():  # type: ignore[attr-defined]
            return current_exchange()
        return None

    def write(self, event: str, facts: Facts, *, exchange: Exchange | None = None) -> bool:
        """Writes a record: the system has it when this returns. False if it was not written; that was told. Raises
        nothing.

        :param exchange: the request that it is of; who asked and for what stands beside.
        """
        log = self._ready
        if log is None and self._closing == threading.get_ident():
            return False
        try:
            if log is None:
                log = self._open()
            log.append(event, facts.told, facts.plain, exchange=exchange)
            if self._is_tended_here:
                self._tend(log)
        except Exception as error:
            return self._failed(error)
        if self.at_write is not None:
            self.at_write(True)
        return True

    def admit(self, event: str, exchange: Exchange, told: dict[str, Any] | None) -> bool:
        """Records that a view was admitted, and has the end of its answer recorded: whether it was written."""
        log = self._ready
        try:
            if log is None:
                log = self._open()
            log.admit(event, exchange, _ALLOWED, told, self._note_failed, always=not self.refuses)
            if self._is_tended_here:
                self._tend(log)
        except Exception as error:
            return self._failed(error)
        if self.at_write is not None:
            self.at_write(True)
        return True

    def _tend(self, log: AuditLog) -> None:
        """Does what its thread would, where there is none: once a second, with a record that comes."""
        now = time.monotonic()
        if now < self._next_tending:
            return
        self._next_tending = now + _TENDING
        try:
            log.tend()
        except OSError as error:  # the record is written
            self._note_failed(error)

    def _failed(self, error: Exception) -> bool:
        """Tells that a record was not written: False."""
        self._note_failed(error)
        if self.at_write is not None:
            self.at_write(False)
        return False

    def verified(self) -> dict[str, Any] | None:
        """What ``flask rampart audit verify`` found last: ``time`` (seconds since 1970), ``records``, ``faults``; None
        if it never ran for this log. It is a note for people, which proves nothing."""
        try:
            with (self._folder / _VERIFIED).open("rb") as file:
                found = json.loads(file.read(_MOST_NOTE))
            return {"time": float(found["time"]), "records": int(found["records"]), "faults": int(found["faults"])}
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def note_verified(self, records: int, faults: int) -> None:
        """Remembers how a verification ended, for :meth:`verified`."""
        note = json.dumps({"time": self._clock.now(), "records": records, "faults": faults})
        new = self._folder / f"{_VERIFIED}.new"
        # Who may only read the log verifies all the same.
        with contextlib.suppress(OSError):
            new.write_text(note)
            new.replace(self._folder / _VERIFIED)

    def checkpoint(self) -> str | None:
        """Signs what this process has recorded, and gives the note: keep it elsewhere. None if nothing was recorded.

        :raises OSError: what the system said.
        """
        log = self._ready
        if log is None:
            return None
        log.checkpoint()
        return newest_note(self.directory, log.writer)

    @property
    def writer(self) -> str | None:
        """Which writer this process is: 32 hexadecimal digits; None if it has recorded nothing."""
        return None if self._ready is None else self._ready.writer

    def close(self) -> None:
        """Signs, and says that no more follows from this process."""
        if self._ready is not None and self.at_close is not None:
            self.at_close()
        log = self._ready
        if log is not None:
            for courier in self._couriers:
                courier.tell()
        self._ready = self._log = None
        if log is not None:
            self._closing = threading.get_ident()
            try:
                log.close()
            except OSError as error:
                self._note_failed(error)
            finally:
                self._closing = 0
            for courier in self._couriers:
                courier.hurry()
            for courier in self._couriers:
                courier.finish()

    def _lost(self, sink: str, records: int) -> None:
        log = self._ready
        if log is None:
            raise OSError("the audit log is closed")
        log.lost(sink, records)

    def _open(self) -> AuditLog:
        with self._lock:
            if self._ready is not None:
                return self._ready
            if time.monotonic() < self._next_trial:
                raise OSError("it could not be opened a moment ago")
            try:
                log = self._opened()
                # Its thread must not take the signals that are the process's.
                blocked = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
                try:
                    self._is_tended_here = not log.start()
                finally:
                    signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
            except Exception:
                self._wait = min(max(1.0, self._wait * 2), _LONGEST_WAIT)
                self._next_trial = time.monotonic() + self._wait
                raise
            self._wait = 0.0
            if self._is_tended_here:
                _logger.error(
                    "The audit log can have no thread of its own: it is signed and synced only when something is "
                    "recorded. Let this process have more threads."
                )
            self._writer = log.writer
            self._log = self._ready = log
            for courier in self._couriers:
                courier.start(log.writer)
            return log

    def _opened(self) -> AuditLog:
        settings = self._settings
        host = socket.gethostname()
        sinks = opened(settings.audit_sinks, self._anchors, self._app_name, host)
        self._couriers = [Courier(sink, self._lost) for sink in sinks]
        taps = [courier.tap for courier in self._couriers]
        if self._log is not None:
            # Of the process that this one was forked from.
            self._log.renew(taps)
            return self._log
        own_folder(self.directory)
        keep = settings.audit_keep
        return AuditLog(
            str(self.directory),
            self.key(),
            self._redactor,
            self._clock,
            host=host,
            max_file=settings.audit_max_file,
            sync=settings.audit_sync,
            checkpoint=settings.audit_checkpoint,
            keep=None if keep is None else keep * 86_400.0,
            taps=taps,
            noticed=_telling(self, Audit._noticed),
            failed=_telling(self, Audit._note_behind),
        )

    def _noticed(self, file: str) -> None:
        """Tells that somebody has changed a file. Raises nothing: there is nobody to catch it."""
        what = f"{file}, as a process noticed that writes it; flask rampart audit verify tells more"
        try:
            if self.at_tampering is not None:
                self.at_tampering(what)
                return
        except Exception:
            _logger.exception("It could not be told that the audit log was changed.")
        _logger.error("The audit log was changed: %s", what)

    def _note_behind(self, error: OSError) -> None:
        """Tells what the log's thread could not do, which it tries again; at most once a minute."""
        now = time.monotonic()
        if now - self._told_behind >= _QUIET:
            self._told_behind = now
            _logger.error(
                "The audit log's thread cannot write, sync, sign or enter it in its book at the moment, and tries "
                "again: %s",
                error,
            )

    def _note_failed(self, error: Exception) -> None:
        self.failures += 1
        self._untold += 1
        now = time.monotonic()
        if now - self._told < _QUIET:
            return
        self._told, untold = now, self._untold
        self._untold = 0
        action = "what asks for a record is refused" if self.refuses else "requests go on without a record"
        _logger.error(
            "The audit log cannot be written (%d records since this was last said); %s: %s", untold, action, error
        )

    def _forked(self) -> None:
        if self._ready is not None:
            _let_go(self._writer)
        self._ready = None
        self._couriers = []
        self._next_trial = self._wait = 0.0


def unavailable() -> Denied:
    """The refusal of what cannot be recorded."""
    return Denied.of("audit.unavailable", reason="the audit log cannot be written", headers=(("Retry-After", "1"),))


def newest_note(directory: Path, writer: str) -> str | None:
    """The last checkpoint that a writer has signed, as a C2SP note; None if none is there."""
    try:
        return Log(directory).newest_note(writer)
    except LookupError:
        return None


def _telling(audit: Audit, method: Callable[[Audit, T], None]) -> Callable[[T], None]:
    """What a native log has for whom to tell. Weak: it knows nothing of Python's garbage, and is the log's own."""
    found = weakref.ref(audit)

    def tell(what: T) -> None:
        log = found()
        if log is not None:
            method(log, what)

    return tell


def _let_go(writer: str) -> None:
    """Lets go of the file of the process that this one was forked from.

    Its lock says that its writer lives. It is one with the parent's, so a child that records nothing, and outlives it,
    would keep a killed parent from being entered in the book; and an end that is not entered can be cut off unseen. The
    descriptor is the native log's, and stays one: of nothing. Where there is no ``/proc``, nothing is done.
    """
    # As it was opened, it had another name, which is what the system tells.
    names = (f"{writer}-", f".new-{writer}-")
    with contextlib.suppress(OSError):
        nothing = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        try:
            for name in os.listdir("/proc/self/fd"):
                with contextlib.suppress(OSError):
                    if os.path.basename(os.readlink(f"/proc/self/fd/{name}")).startswith(names):
                        os.dup2(nothing, int(name), inheritable=False)
        finally:
            os.close(nothing)


_open: weakref.WeakSet[Audit] = weakref.WeakSet()


def _renew() -> None:
    for audit in list(_open):
        audit._forked()


def _close() -> None:
    for audit in list(_open):
        audit.close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)
atexit.register(_close)
