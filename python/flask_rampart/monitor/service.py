"""An app's monitor: counts what requests were, and does what is to be done about what is found.

1. Each answer is noted as it ends (``Answer``, in ``src/bindings/answer.rs``); they are counted in batches, by the
   request that fills one or that ends a second after the first of it, each as of when it ended. So what a worker saw in
   the last second before it fell silent is counted with its next request, and what waits is lost with a worker that is
   killed: at most 31 requests. Under ``app.testing`` each is counted at once.
2. A finding is told once for the host, by the worker that counted the last request: in the book, in the audit log, in
   the app's log, by the signal ``anomaly_detected`` and the webhook. None of them can keep the others from being told.
3. In ``"enforce"`` mode its response is then in force, for all workers (``responses``). In ``"report"`` mode nothing
   is refused that would not be refused otherwise.
4. What pages had a visitor's browser do, of other sites or of one's own, is told of, and answered to such requests
   alone: nobody can be banned by it. What several did together who found no place in the table is told of, and not
   answered.

It trusts the addresses, as the edge has settled them: behind a proxy that nobody tells it of, everybody is the proxy.
"""

from __future__ import annotations

import logging
import os
import weakref
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .._native import Clock, Sight
from .._native import Monitor as NativeMonitor
from ..config import Settings
from ..errors import ConfigError
from ..locks import Lock
from ..opening import TableInUse, opened
from ..signals import anomaly_detected, emit, refresh_reused
from ..tables import Place, is_changing, is_command, is_looking, place_of
from .catalogue import Detectors
from .detectors import DONE, Detector
from .findings import Finding, written
from .logins import HOME, Repeats, counted_as
from .reading import read_file
from .replaying import REPEATABLE
from .responses import BY_PAGES, Responses
from .webhooks import Admit, Webhook

if TYPE_CHECKING:
    from flask import Flask

    from .._native import MonitorFound, MonitorState
    from ..exchange import Exchange

Record = Callable[[str, "dict[str, Any]", "dict[str, Any]"], None]
"""Writes an audit record: its name, what of it is ours, and what a peer wrote, which is redacted. Raises nothing."""
_logger = logging.getLogger("flask_rampart")
_BATCH = 32
_HOW = {
    "content": " It was asked for as parts of pages, such as images: such requests alone are slowed.",
    "crossing": " Pages of other sites had the browser do it, or it came by plain HTTP, where that is not told: "
    "such requests alone are slowed.",
    "shared": " The table is full: several were counted together.",
}
_OWN_TABLE = 1024 * 1024
"""Bytes of a table of one process alone."""
_PURPOSE = "monitor5"
"""The number is that of the table's version: workers of two releases may run side by side."""


class Monitor:
    """An app's monitor; ``rampart.monitor`` speaks for it.

    :param record: writes audit records, if the app keeps any.
    :param admit: judges the webhook's URL before each call.
    :param events: the names that audit records of findings may have.
    :param trusted: origins whose pages are taken for one's own.
    """

    def __init__(
        self,
        app: Flask,
        settings: Settings,
        clock: Clock,
        *,
        detectors: Iterable[tuple[str, Mapping[str, Any]]] = (),
        record: Record | None = None,
        admit: Admit | None = None,
        events: Collection[str] = (),
        trusted: frozenset[str] = frozenset(),
    ) -> None:
        self.mode = settings.monitor
        self.enabled = settings.monitor != "off"
        self._app = weakref.ref(app)
        self._name = f"{app.import_name}\0{app.root_path}"
        self._settings = settings
        #: Bits of an IPv6 address that are one client's.
        self.ipv6_prefix = settings.ipv6_prefix
        self._clock = clock
        self._record = record
        self._trusted = trusted
        self._rules = Detectors(events)
        if settings.monitor_rules is not None:
            read_file(Path(app.root_path) / settings.monitor_rules, self._rules)
        for name, members in detectors:
            self.change(name, members)
        self.webhook = self._webhook_of(settings, admit)
        self._lock = Lock(reentrant=True)
        self._native: NativeMonitor | None = None
        self._state: MonitorState | None = None
        self._detectors: tuple[Detector, ...] = ()
        self._cannot = False
        #: The WSGI names of the fields that carry credentials, beside ``X-API-Key`` and ``Authorization``. Handed over
        #: at start-up.
        self.fields: set[str] = set()
        #: Told of logins that succeed by their status alone.
        self.repeats = Repeats()
        #: What refuses, in ``"enforce"`` mode.
        self.responses = Responses(self)
        if self.enabled:
            refresh_reused.connect(self._on_refresh_reused, sender=app)
            _open.add(self)
            self._prove()

    def change(self, name: str, members: Mapping[str, Any]) -> Detector:
        """Changes a detector, or adds one.

        :raises ConfigError: for what cannot be meant, or after the first request.
        """
        if getattr(self, "_native", None) is not None:
            raise ConfigError(f"The detector {name!r} comes too late: the monitor has begun.")
        return self._rules.change(name, members, "rampart.monitor.rule()")

    @property
    def detectors(self) -> tuple[Detector, ...]:
        """Those that are on."""
        return self._detectors or self._rules.enabled()

    @property
    def native(self) -> NativeMonitor:
        """The counters, opened when they are first needed."""
        if self._native is None:
            with self._lock:
                if self._native is None:
                    self._native = self._opened()
        return self._native

    def look_again(self) -> None:
        """For who only looks: had nobody made the table, it is asked again whether there is one."""
        with self._lock:
            if self._native is not None and self._native.path is None:
                self._native = self._state = None

    @property
    def state(self) -> MonitorState:
        """What lasts: responses in force, and the book."""
        if self._state is None:
            self._state = self.native.state
        return self._state

    @property
    def enforces(self) -> bool:
        """Whether responses are made."""
        return self.mode == "enforce"

    def begin(self) -> NativeMonitor | None:
        """Before the first request: what answers are told to; None where the monitor is off."""
        if not self.enabled:
            return None
        return self.native

    def recent(self, limit: int = 100) -> list[Finding]:
        """The last findings of the host, the newest first: at most 1,000."""
        if not self.enabled:
            return []
        self.native.fold()
        return [Finding.of_native(told) for told in self.state.recent(max(0, limit))]

    def note(self, **sight: Any) -> None:
        """Counts something that was no request, such as that the audit log was changed: ``signs=["audit_tampered"]``.

        Does what is to be done about what is found.
        """
        if self.enabled:
            self._found(self.native.note(Sight(**sight)))

    def lift(self, kind: str, subject: str, *, issuer: str | None = None) -> bool:
        """Ends throttles and step-ups of a subject. Says whether there was any. What was counted of it is forgotten, so
        it begins anew.

        :param subject: an account in any spelling that is counted as one. A name that the book had no place for (it
            ends in ``...``) must be given in full: the audit log has it.
        :param issuer: of a principal or a token: who vouches for it. None: nobody, or this app itself
            (``RAMPART_JWT_ISSUER``).
        :raises ValueError: for a kind of subject that there is none of.
        """
        state = self.state
        if kind == "account":
            subject = counted_as(subject)
        issuers = {issuer}
        if kind in ("principal", "token") and issuer is None:
            issuers.add(self._settings.jwt_issuer)
        pairs = [(response, each) for response in ("step_up", "throttle") for each in issuers]
        if kind in ("address", "network", "principal"):
            pairs += [(response, each) for response in BY_PAGES for each in issuers]
        if kind in ("address", "network"):
            pairs.append(("crossing_login", None))
        lifted = [state.unmark(response, kind, subject, issuer=each) for response, each in pairs]
        return any(lifted)

    def flush(self, seconds: float) -> int:
        """Waits until what was found has been posted to the webhook, at most so long. What was not is counted."""
        if self._native is not None:
            self._native.fold()
        return 0 if self.webhook is None else self.webhook.flush(seconds)

    def apart(self) -> str:
        """Why this process does not see what the workers find; empty if it does."""
        if not self.enabled:
            return 'the monitor is off: RAMPART_MONITOR is "off"'
        app = self._app()
        if self.native.path is None and not (app is not None and app.testing) and not self._is_unmade():
            return (
                "each process counts for itself, so nothing of the workers can be seen or lifted from here: "
                'RAMPART_LIMIT_STORE is "memory://", or the shared table cannot be had'
            )
        return ""

    def _is_unmade(self) -> bool:
        """For who only looks: whether no worker has made the table yet, so that there is nothing in it."""
        return is_looking() and not self._cannot and self.place is not None

    @property
    def place(self) -> str | None:
        """Where the table is or would be that the workers of this host share; None where each process has its own."""
        app = self._app()
        testing = app is not None and app.testing
        place = place_of(_PURPOSE, self._name, self._settings.limit_store, testing=testing)
        return None if place is None else str(place)

    def tampered(self, what: str = "") -> None:
        """Tells that the audit log was changed."""
        if what:
            _logger.error("The audit log was changed: %s", what)
        self.note(signs=["audit_tampered"])

    def now(self) -> float:
        """Seconds since 1970-01-01 UTC, by the app's clock."""
        return self._clock.now()

    def login_ended(self, exchange: Exchange, account: str, ok: bool, status: int, *, known: bool) -> None:
        """Records how an attempt to log in ended, and remembers, where *known* says so, from where the account logs
        in."""
        address = exchange.environ.get("REMOTE_ADDR") or ""
        if known:
            self.state.know(account, address, HOME)
        if self._record is not None:
            facts: dict[str, Any] = {
                "request_id": exchange.id,
                "address": address,
                "login": ok,
            }
            if status:
                facts["status"] = status
            if exchange.route is not None:
                facts["route"] = exchange.route
            self._record("authn_login_success" if ok else "authn_login_fail", facts, {"subject": account})

    def close(self) -> None:
        """Counts what waits, and ends the webhook's thread."""
        if self._native is not None:
            self._native.fold()
        if self.webhook is not None:
            self.webhook.close(1.0)

    def _opened(self) -> NativeMonitor:
        app = self._app()
        testing = app is not None and app.testing
        self._detectors = self._rules.enabled()
        place = place_of(_PURPOSE, self._name, self._settings.limit_store, testing=testing)
        try:
            return self._made(place, 1 if testing else _BATCH, REPEATABLE if testing else None)
        except ValueError as error:
            if self.enforces:
                raise error if isinstance(error, ConfigError) else ConfigError(f"RAMPART_MONITOR: {error}") from None
            # It is on without anybody having asked for it: loud, but no reason not to start.
            _logger.error("The monitor counts for each worker apart, so it sees less: %s", error)
            self._cannot = True
            return self._made(None, _BATCH, None)

    def _prove(self) -> None:
        """Has a table that cannot be had stop the start-up, where responses need it.

        Detectors may still be changed, so it is opened for good with the first request. A command makes none: it looks
        at the one that is there.
        """
        app = self._app()
        testing = app is not None and app.testing
        place = place_of(_PURPOSE, self._name, self._settings.limit_store, testing=testing)
        if not self.enforces or place is None:
            return
        as_is = is_looking() or is_changing() or is_command()

        def make(*, as_is: bool = as_is) -> NativeMonitor:
            return NativeMonitor([], self._clock, bytes=self._settings.monitor_table, file=place, as_is=as_is)

        def join() -> NativeMonitor | None:
            return _shared(make(as_is=True))

        try:
            opened(place, "RAMPART_MONITOR", make=make, join=make if as_is else join)
        except TableInUse as error:
            # Those who have it may end before the first request: that meets it again.
            _logger.warning("%s", error)

    def _made(self, place: Place | None, batch: int, seed: bytes | None) -> NativeMonitor:
        if place is None:
            return self._native_of(None, batch, seed, as_is=False)

        def join() -> NativeMonitor | None:
            return _shared(self._native_of(place, batch, seed, as_is=True))

        def make() -> NativeMonitor:
            if is_looking():
                return self._native_of(place, batch, seed, as_is=True)
            found = join() if is_changing() else None
            return found or self._native_of(place, batch, seed, as_is=False)

        return opened(place, "RAMPART_MONITOR", make=make, join=make if is_looking() else join)

    def _native_of(self, place: Place | None, batch: int, seed: bytes | None, *, as_is: bool) -> NativeMonitor:
        return NativeMonitor(
            [self._rule_of(detector) for detector in self._detectors],
            self._clock,
            bytes=_OWN_TABLE if place is None else self._settings.monitor_table,
            batch=batch,
            ipv6_prefix=self._settings.ipv6_prefix,
            seed=seed,
            file=place,
            as_is=as_is,
            found=self._found,
            trusted=self._trusted,
            fields=self.fields,
            https_only=self._settings.https in ("redirect", "refuse"),
        )

    def _rule_of(self, detector: Detector) -> dict[str, Any]:
        """What the native core counts by; and what is in force then, so that it asks for that again if it is not."""
        rule = detector.native()
        return {**rule, "response": detector.response} if self.enforces else rule

    def _found(self, found: Iterable[MonitorFound]) -> None:
        """Does what is to be done. Raises nothing."""
        for each in found:
            try:
                self._tell(each)
            except Exception:
                _logger.exception("A finding of the monitor could not be told.")

    def _tell(self, each: MonitorFound) -> None:
        number, kind, subject, issuer, count, time, route, request_id, address, how, whose, is_again = each
        detector = self._detectors[number]
        response = detector.response
        if how and response != "log":
            response = "slow" if how in BY_PAGES else "log"
        enforced = False
        if self.enforces and response != "log":
            try:
                age = self._clock.now() - time
                response, enforced = self.responses.enforce(
                    detector, kind, subject, issuer, age=age, how=how, whose=whose
                )
            except Exception:
                # Bans may be kept elsewhere, where they cannot be written at the moment. It is told all the same.
                _logger.exception("A response of the monitor could not be put in force.")
        if is_again:
            return  # it was told when it was found
        finding = Finding(
            time=time,
            rule=detector.name,
            severity=detector.severity,
            subject_kind=kind,
            subject=subject,
            count=count,
            threshold=detector.threshold,
            response=response,
            enforced=enforced,
            route=route or "",
            request_id=request_id or "",
        )
        for tell in (self._to_book, self._to_audit, self._to_log, self._to_signal, self._to_webhook):
            try:
                tell(finding, detector, address, how)
            except Exception:
                _logger.exception("A finding of the monitor could not be told everywhere.")

    def _to_book(self, finding: Finding, detector: Detector, address: str | None, how: str) -> None:
        self.state.write(
            finding.time,
            finding.rule,
            detector.severity_id,
            finding.subject_kind,
            written(finding.subject),
            finding.count,
            finding.threshold,
            DONE.index(finding.response),
            finding.enforced,
            finding.route,
            finding.request_id,
        )

    def _to_audit(self, finding: Finding, detector: Detector, address: str | None, how: str) -> None:
        if self._record is None:
            return
        facts: dict[str, Any] = {
            "finding": finding.rule,
            "detection_point": detector.point,
            "severity": finding.severity,
            "subject_kind": finding.subject_kind,
            "count": finding.count,
            "threshold": finding.threshold,
            "window": detector.window,
            "response": finding.response,
            "enforced": finding.enforced,
        }
        if how:
            facts["counted"] = how
        told: dict[str, Any] = {}
        if finding.subject_kind == "principal":
            facts["subject"] = finding.subject[:256]
        elif finding.subject_kind == "account":
            told["subject"] = finding.subject
        elif finding.subject_kind == "token":
            facts["of_token"] = finding.subject[:256]
        elif finding.subject_kind == "network":
            facts["network"] = finding.subject
        if address and finding.subject_kind != "host":
            facts["address"] = address
        for name in ("route", "request_id"):
            if getattr(finding, name):
                facts[name] = getattr(finding, name)
        self._record(detector.event, facts, told)

    def _to_log(self, finding: Finding, detector: Detector, address: str | None, how: str) -> None:
        # Not who: logs go to more people than the book does.
        _logger.warning(
            "The monitor found %s: %d of one %s, where %d in %d s are too many; %s. Whose they are tells "
            "flask rampart monitor recent.%s",
            finding.rule,
            finding.count,
            finding.subject_kind,
            finding.threshold,
            detector.window,
            finding.response if finding.enforced else f"reported only ({finding.response})",
            _HOW.get(how, ""),
        )

    def _to_signal(self, finding: Finding, detector: Detector, address: str | None, how: str) -> None:
        app = self._app()
        if app is not None and anomaly_detected.receivers:
            emit(anomaly_detected, app, finding=finding)

    def _to_webhook(self, finding: Finding, detector: Detector, address: str | None, how: str) -> None:
        if self.webhook is not None:
            app = self._app()
            more = {"app": app.name if app is not None else "", "about": detector.about, "point": detector.point}
            if how:
                more["counted"] = how
            self.webhook.put(finding, more)

    def _on_refresh_reused(self, app: Flask, *, subject: Any = None, exchange: Any = None, **_: Any) -> None:
        environ = {} if exchange is None else exchange.environ
        self.note(
            signs=["refresh_reused"],
            principal=None if subject is None else str(subject),
            issuer=self._settings.jwt_issuer,
            address=environ.get("REMOTE_ADDR"),
            route=None if exchange is None else exchange.route,
            request_id=None if exchange is None else exchange.id,
        )

    def _webhook_of(self, settings: Settings, admit: Admit | None) -> Webhook | None:
        if settings.monitor_webhook is None:
            if settings.monitor_webhook_secret is not None:
                raise ConfigError("RAMPART_MONITOR_WEBHOOK_SECRET is for RAMPART_MONITOR_WEBHOOK, which is not set.")
            return None
        if settings.monitor_webhook_secret is None:
            raise ConfigError(
                "RAMPART_MONITOR_WEBHOOK needs RAMPART_MONITOR_WEBHOOK_SECRET: whoever receives findings must be able "
                "to tell that they are yours."
            )
        if admit is None:
            raise ConfigError("RAMPART_MONITOR_WEBHOOK: nothing judges its URL.")
        return Webhook(settings.monitor_webhook, settings.monitor_webhook_secret, admit)

    def _forked(self) -> None:
        if self._native is not None:
            self._native.forget()
        if self.webhook is not None:
            self.webhook.renew()


def _shared(native: NativeMonitor) -> NativeMonitor | None:
    """What was taken as it is, if it is what others have."""
    return None if native.path is None else native


_open: weakref.WeakSet[Monitor] = weakref.WeakSet()


def _renew() -> None:
    for monitor in list(_open):
        monitor._forked()


def close_all() -> None:
    """Counts what waits, in all monitors of this process."""
    for monitor in list(_open):
        try:
            monitor.close()
        except Exception:
            _logger.exception("The monitor could not count what waits.")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)
