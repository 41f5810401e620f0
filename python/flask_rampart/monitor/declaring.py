"""``rampart.monitor``: what an app says to its monitor, and asks of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..guards import current_exchange
from .catalogue import Detectors
from .detectors import Detector
from .findings import Finding
from .logins import Login, begin
from .service import Monitor

Declared = list[tuple[str, dict[str, Any]]]


class Monitoring:
    """An extension's monitor. What is about one app asks for the current one.

    :param current: gives the current app's monitor.
    :param each: gives the monitors of all apps that there are already.
    """

    def __init__(self, declared: Declared, current: Callable[[], Monitor], each: Callable[[], list[Monitor]]) -> None:
        self._declared = declared
        self._current = current
        self._each = each

    def rule(self, name: str | Detector, /, **members: Any) -> Detector:
        """Changes a detector of the package, or adds one of the app's own. Before the first request.

        :param name: of the detector; or a :class:`~flask_rampart.Detector`, which takes the place of one of its name.
        :param members: those of :class:`~flask_rampart.Detector` that are to be otherwise.
        :raises ConfigError: for what cannot be meant; after the first request.

        What it gives is the detector as the code declares it; a file (``RAMPART_MONITOR_RULES``) is read before.

        >>> from flask_rampart import Rampart
        >>> Rampart().monitor.rule("path_scanning", threshold=60, response="throttle").window
        300
        """
        if isinstance(name, Detector):
            if members:
                raise TypeError("rule(detector) takes nothing else: say it in the detector.")
            members = {member: value for member, value in vars(name).items() if member != "name"}
            name = name.name
        where = "rampart.monitor.rule()"
        made = Detectors()
        for other, said in self._declared:
            made.change(other, said, where)
        detector = made.change(name, members, where)
        for monitor in self._each():
            detector = monitor.change(name, members)
        self._declared.append((name, members))
        return detector

    @property
    def detectors(self) -> tuple[Detector, ...]:
        """The current app's detectors that are on."""
        return self._current().detectors

    def recent(self, limit: int = 100) -> list[Finding]:
        """The last findings of the current app on this host, of all of its workers, the newest first.

        :param limit: at most so many; 1,000 are kept.
        """
        return self._current().recent(limit)

    def login(self, account: str) -> Login:
        """Says that the current request tries to log in to *account*. In a login view, before the password is checked.

        :param account: such as an e-mail address; counted without spaces around it, in lower case.
        :returns: the attempt: ``step_up`` says whether more than a password should be asked for; ``failed()`` and
            ``succeeded()`` how it ended. Where they do not, the answer's status does; but only ``succeeded()`` makes
            the account known where this comes from.
        :raises Denied: ``limit.exceeded``, 429, in ``"enforce"`` mode, if attempts on this account are throttled where
            this one comes from.

        .. code-block:: python

            @app.post("/login")
            def login():
                attempt = rampart.monitor.login(request.json["email"])
                if not right(request.json):
                    abort(401)
                attempt.succeeded()
        """
        return begin(self._current(), current_exchange(), account)

    def lift(self, kind: str, subject: str, *, issuer: str | None = None) -> bool:
        """Ends what the monitor has put in force on a subject: throttles and step-ups. Bans are lifted as all bans are.

        :param kind: ``"address"``, ``"network"``, ``"principal"``, ``"token"``, ``"account"`` or ``"host"``.
        :returns: whether there was anything.
        :raises ValueError: for another kind.
        """
        return self._current().lift(kind, subject, issuer=issuer)

    def tampered(self, what: str = "") -> None:
        """Says that the audit log was found to be changed: by a job that verifies it, say."""
        self._current().tampered(what)
