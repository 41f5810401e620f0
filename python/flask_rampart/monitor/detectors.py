"""Detectors: what is too much of what, by whom, in which time, and what is then done.

Rules:

1. A detector is a frozen value.
2. What no detector can mean is a :class:`ConfigError` at the start-up, with the member and what would be right.
3. What is answered is answered for at least the window: a finding is made once in each, and who goes on must not have
   the rest of it free.
4. A response never keeps an account's owner out for what somebody else did: only addresses and networks can be banned.

The names of signs and measures are the native core's (``src/monitor``); the detection points are those of OWASP
AppSensor.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from .._native import Monitor as NativeMonitor
from ..errors import ConfigError
from ..readers import nearest

RESPONSES = ("log", "step_up", "throttle", "ban")
"""What can be done about a finding, from the mildest."""
DONE = (*RESPONSES, "slow")
"""What is told of a finding. The last one is of what pages had browsers send: such requests alone are throttled."""
SEVERITIES = ("informational", "low", "medium", "high", "critical")
"""As in OCSF: the first has the ``severity_id`` 1."""
_TEXTS = {
    "event": (
        re.compile(r"[A-Za-z][A-Za-z0-9._:-]{0,63}"),
        'a name of letters, digits, ".", "_", ":" and "-", at most 64 of them',
    ),
    "point": (re.compile(r"[A-Za-z0-9._-]{0,16}"), 'letters, digits, ".", "_" and "-", at most 16 of them'),
    "about": (re.compile(r"[ -~]{0,200}"), "a sentence of at most 200 characters of ASCII"),
}
_UNITS = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400, "week": 604_800}


@dataclass(frozen=True)
class Detector:
    """A detector of the monitor.

    :param name: of 1 to 32 characters, without spaces.
    :param counts: requests with any of these signs count: ``"login_failed"``, ``"not_found"``, ...; see
        ``docs/monitor.md``.
    :param by: whose requests are counted together: ``"address"``, ``"network"``, ``"principal"``, ``"caller"`` (the
        principal, else the address), ``"token"``, ``"account"`` (that a login names), or ``"host"`` for all.
    :param threshold: how many are too many, or how many bytes.
    :param window: seconds, or a text such as ``"10 minutes"``. Of what is unusual it is always an hour, of evictions
        ten minutes.
    :param measure: ``"count"``, ``"bytes"``, ``"switches"`` (of the network), different ``"accounts"``,
        ``"addresses"``, ``"networks"``, ``"places"`` (paths), ``"objects"`` (paths with their queries) or ``"kinds"``
        (of refusals), ``"evictions"`` (of the table), or what is ``"unusual_requests"``, ``"unusual_errors"``,
        ``"unusual_bytes"`` or ``"unusual_hours"`` for a principal.
    :param among: with *share*: those that count must be at least this share of the requests with any of these signs.
    :param alone: with *share*: so many times *threshold* are too many whatever their share is, so that nobody evades it
        by doing as much that is right; at most 20, and 0 always asks for the share.
    :param deviations: of what is unusual: how many standard deviations above the mean.
    :param learned: of what is unusual: active hours that must have been learned before.
    :param response: what is done in ``"enforce"`` mode: ``"log"``, ``"step_up"``, ``"throttle"`` or ``"ban"``.
    :param lasts: for how many seconds, or a text. With a response other than ``"log"``, at least the window.
    :param severity: ``"informational"``, ``"low"``, ``"medium"``, ``"high"`` or ``"critical"``.
    :param event: the name of the audit record, of the OWASP Logging Vocabulary; or one of your own, with a point in it.
    :param point: the detection point of OWASP AppSensor.
    :param enabled: False switches it off.
    :raises ConfigError: for what cannot be meant.

    >>> Detector("login_flood", counts=("login",), by="host", threshold=1000, window="1 minute").window
    60
    """

    name: str
    counts: tuple[str, ...] = ()
    by: str = "address"
    threshold: int = 1
    window: int | str = 600
    measure: str = "count"
    among: tuple[str, ...] = ()
    share: float = 0.0
    alone: int = 0
    deviations: float = 8.0
    learned: int = 48
    response: str = "log"
    lasts: int | str = 900
    severity: str = "medium"
    event: str = "malicious_extraneous"
    point: str = ""
    enabled: bool = True
    about: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        for name in ("counts", "among"):
            value = getattr(self, name)
            if isinstance(value, str) or not isinstance(value, (tuple, list)):
                raise self._wrong(name, f"a list of signs, not {value!r}")
            object.__setattr__(self, name, tuple(value))
        for name in ("window", "lasts"):
            object.__setattr__(self, name, self._seconds(name))
        for name, known in (("response", RESPONSES), ("severity", SEVERITIES)):
            value = getattr(self, name)
            if value not in known:
                raise self._wrong(name, f"one of {', '.join(known)}, not {value!r}.{nearest(str(value), known)}")
        for name, kinds in (
            ("threshold", int),
            ("learned", int),
            ("alone", int),
            ("share", (int, float)),
            ("deviations", (int, float)),
        ):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, kinds) or value < 0:
                raise self._wrong(name, f"a number that is not negative, not {value!r}")
        if not isinstance(self.enabled, bool):
            raise self._wrong("enabled", f"True or False, not {self.enabled!r}")
        if self.response == "ban" and self.by not in ("address", "network", "caller"):
            raise self._wrong(
                "response", f'"log", "step_up" or "throttle": to ban by {self.by} would keep the owner out'
            )
        if self.response in ("throttle", "step_up") and self.by == "host" and self.response == "throttle":
            raise self._wrong("response", '"log" or "step_up": to throttle the host would keep everybody out')
        if self.response == "step_up" and self.by in ("address", "network"):
            raise self._wrong("response", '"log", "throttle" or "ban": an address cannot prove who it is')
        for name in ("event", "point", "about"):
            value, form, what = getattr(self, name), *_TEXTS[name]
            if not isinstance(value, str) or not form.fullmatch(value):
                raise self._wrong(name, f"{what}, not {value!r}")
        if self.response != "log":
            object.__setattr__(self, "lasts", max(int(self.lasts), int(self.window)))
        self._prove()

    @property
    def severity_id(self) -> int:
        """As OCSF numbers severities: 1 to 5."""
        return SEVERITIES.index(self.severity) + 1

    def native(self) -> dict[str, Any]:
        """What the native core counts by."""
        names = (
            *("name", "counts", "among", "by", "measure", "threshold", "window"),
            *("share", "alone", "deviations", "learned"),
        )
        made = {name: getattr(self, name) for name in names}
        return {**made, "counts": list(self.counts), "among": list(self.among), "share": float(self.share)}

    def _prove(self) -> None:
        """Has the native core read it, which knows the signs and measures."""
        try:
            NativeMonitor.check(self.native())
        except (ValueError, TypeError, OverflowError) as error:
            raise ConfigError(f"The detector {self.name!r} cannot be meant: {error}.") from None

    def _seconds(self, name: str) -> int:
        value = getattr(self, name)
        if isinstance(value, str):
            count, _, unit = value.strip().lower().partition(" ")
            seconds = _UNITS.get(unit.strip().removesuffix("s"))
            if not (count.isascii() and count.isdigit()) or len(count) > 6 or seconds is None:
                raise self._wrong(name, f'seconds, or a text such as "10 minutes", not {value!r}')
            value = int(count) * seconds
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 30 * 86_400:
            raise self._wrong(name, f"1 second to 30 days, not {value!r}")
        return value

    def _wrong(self, member: str, what: str) -> ConfigError:
        return ConfigError(f"The detector {self.name!r}: {member} must be {what}")
