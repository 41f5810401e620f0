"""What is done about a finding, in ``"enforce"`` mode: for all workers of the host, for as long as the detector says.

1. ``ban``: an address or a network is refused by the edge, as by the limits' own bans. Who is in
   ``RAMPART_TRUSTED_PROXIES`` or ``RAMPART_BAN_EXEMPT`` is not.
2. ``throttle``: an address, a network, a principal or a token has one request a second, five at once: 429. Of an
   account, attempts to log in are throttled, for each network apart, and much less from where the account has logged
   in within 30 days: who tries it from elsewhere, or by a page, does not keep its owner out there. Beyond that, for
   each /48 of IPv6, and, but for the first attempt out of each /48 or /24 and a second factor, for all together, as
   all of those are where it has logged in: so networks are no supply of guesses.
3. ``step_up``: a principal is refused (401 ``auth.stale``) until it comes with a credential that was proved after the
   finding (``auth_time``); a token, until another one comes. A credential that cannot tell, such as an API key, is
   throttled instead. Of the host, attempts to log in say that a second factor is wanted.
4. ``slow``: what pages of other sites had browsers send (``"crossing"``), or what stands in pages of one's own
   (``"content"``), is answered to such requests alone, whatever the detector says: an address, a network or a
   principal has 30 of them at once, and one a second; of an address or a network, all kinds of them together have 60,
   and two a second. Attempts to log in that came so have five at once, and one in
   30 s, and those of an account that is known there, apart, as many. Pages of hosts beside the app's (``same-site``)
   have as much apart from those of other sites. The visitor's own requests have nothing done to them; and who only
   says that a page had them sent is as slow.

Whatever cannot be done to a subject becomes the next milder thing that can. Nothing here locks an account. A response
lasts from what was found, not from when that was counted: what is over by then is not put in force. One that a full
table has lost is put in force again by whoever goes on, within a second, and not told again.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from .._native import client_key
from ..checks import Check
from ..errors import Denied
from ..exchange import Exchange, Principal
from ..guards import AppState, Guard, Stage

if TYPE_CHECKING:
    from .detectors import Detector
    from .service import Monitor

Ban = Callable[[str, str, float], bool]
"""Bans an ``"address"`` or a ``"network"``, given its address, for so many seconds. False if it is exempt."""
Stale = Callable[[Principal, int], Denied]
"""The refusal of who must prove anew who they are, within so many seconds."""
EACH = 1.0
"""Seconds for one request of who is throttled."""
EACH_LOGIN = 30.0
"""Seconds for one attempt to log in to an account that is throttled, from one network."""
BURST = 5
WIDE_PACE = (10.0, 15)
"""The same from all prefixes of one /48 of IPv6 together: seconds for one attempt, and how many at once."""
PAGE_BURST = 30
"""How many requests at once, of those that pages had sent, and then one in ``EACH`` seconds: a page has many parts."""
PAGES_PACE = (0.5, 60)
"""The same of all of these together, of one address or network: seconds for one request, and how many at once."""
BY_PAGES = ("crossing", "content")
"""How a finding was counted that is of what pages had browsers send; and the throttles of that."""
ACCOUNT_BURST = 20
"""How many attempts at once an account that is throttled has for all networks together, and then one in ``EACH``
seconds, beside the first out of each /48 or /24."""
HOME_PACE = (5.0, 20)
"""The same from a network where the account is known: seconds for one attempt, and how many at once."""
HOMES_PACE = (2.0, 40)
"""The same from all of those together, beside the first in each."""


class Responses:
    """The responses of an app's monitor."""

    def __init__(self, monitor: Monitor) -> None:
        self._monitor = monitor
        #: Handed over at start-up.
        self.ban: Ban | None = None
        self.is_exempt: Callable[[str], bool] = lambda address: False
        self.stale: Stale = _stale

    def enforce(
        self,
        detector: Detector,
        kind: str,
        subject: str,
        issuer: str | None,
        *,
        age: float = 0.0,
        how: str = "",
        whose: int | None = None,
    ) -> tuple[str, bool]:
        """Does what the detector says, and tells what was done and whether it was.

        :param age: how many seconds ago it was found.
        :param how: one of ``BY_PAGES`` if it is of what pages had browsers send.
        :param whose: whose share of the table it takes, as the native core tells it.
        """
        response, seconds = detector.response, float(detector.lasts) - max(0.0, age)
        if seconds <= 0:
            return "slow" if how else response, False
        if how:
            return "slow", self._slow_pages(detector, (kind, subject, issuer), seconds, how, whose)
        state = self._monitor.state
        if kind in ("address", "network"):
            address = subject.partition("/")[0]
            if self.is_exempt(address):
                return response, False
            if response == "ban":
                if self.ban is None:
                    return response, False
                return response, self.ban(kind, address, seconds)
        elif response == "ban":
            # A caller that has a name: to ban it would keep its owner out for what a thief did.
            response = "throttle"
        if response == "step_up" and kind in ("address", "network"):
            response = "throttle"
        burst = ACCOUNT_BURST if kind == "account" else BURST
        paced: dict[str, Any] = {"each": EACH, "burst": burst}
        return response, state.mark(response, kind, subject, seconds, issuer=issuer, whose=whose, **paced)

    def step(self, environ: dict[str, Any], exchange: Exchange) -> Denied | None:
        """At the edge: the refusal of an address that is throttled. After what decides which pages are admitted."""
        state = self._monitor.state
        if not state.any_marked():
            return None
        address = environ.get("REMOTE_ADDR") or ""
        by = state.source_of(exchange)
        beside = _beside(by, environ)
        wait = self._paced("address", address, by, beside=beside) or self._paced("network", address, by, beside=beside)
        if not wait or self.is_exempt(address):
            return None
        return throttled(wait, "address")

    def _paced(self, kind: str, name: str, by: str, issuer: str | None = None, *, beside: bool = False) -> float:
        """Seconds to wait, of what a subject has. What pages have sent takes none of what a throttle leaves the
        visitor, and has as much."""
        state = self._monitor.state
        if not by:
            return state.try_now(kind, name, issuer=issuer)
        throttle = state.marked("throttle", kind, name, issuer=issuer)
        if throttle is not None and state.marked(by, kind, name, issuer=issuer) is None:
            state.mark(by, kind, name, throttle[0], issuer=issuer, each=EACH, burst=BURST)
        found = state.marked(by, kind, name, issuer=issuer)
        if found is None:
            return 0.0
        whose = f"{kind} {issuer!r} {self._key(kind, name)}"
        if beside:
            wait = self._apart(found, whose, EACH, PAGE_BURST if throttle is None else BURST)
        else:
            wait = state.try_now(kind, name, issuer=issuer, response=by)
        if kind == "principal":
            return wait
        # Who says in turn that it was this and that has not as much of each.
        return wait or self._apart(found, f"all {whose}", *PAGES_PACE)

    def _apart(self, found: tuple[float, int] | None, whose: str, each: float, burst: int) -> float:
        """Seconds to wait, of a pace beside that of what is in force: neither takes of the other."""
        if found is None:
            return 0.0
        # As no principal is called.
        state = self._monitor.state
        named: dict[str, Any] = {"issuer": _APART}
        if state.marked("crossing", "principal", whose, **named) is None:
            state.mark("crossing", "principal", whose, found[0], **named, each=each, burst=burst)
        return state.try_now("principal", whose, **named, response="crossing")

    def _key(self, kind: str, name: str) -> str:
        """What a subject is called where its pace stands beside that of what is in force on it."""
        if kind == "principal":
            return name
        key = client_key(name, self._monitor.ipv6_prefix)
        # In hexadecimal: of IPv4, whose network is the /24, eight digits.
        return key[:6] if kind == "network" and len(key) == 8 else key

    def heed(self, exchange: Exchange) -> Denied | None:
        """Once it is known who it is: the refusal of a principal or token under a response."""
        state = self._monitor.state
        principal = exchange.principal
        if principal is None or not state.any_marked():
            return None
        # One of a scheme of the app's own may have what is no text; nothing is in force on that.
        name, issuer = _text(principal.id) or "", _text(getattr(principal, "issuer", None))
        token = state.token_of(principal, "" if exchange.elsewhere else exchange.environ.get("HTTP_AUTHORIZATION", ""))
        # A token that no browser adds was sent by who has it, whichever page wrote it.
        by = "" if exchange.deliberate else state.source_of(exchange, principal=True)
        wait = self._paced("principal", name, by, issuer, beside=_beside(by, exchange.environ))
        marked = state.marked("step_up", "principal", name, issuer=issuer)
        if marked is not None and not _proved(principal, marked[1]):
            if _tells(principal):
                return self.stale(principal, max(1, math.ceil(self._monitor.now()) - marked[1]))
            wait = wait or self._slow(("principal", name, issuer), marked[0])
        if token is not None:
            token = _text(token) or ""
            if state.marked("step_up", "token", token, issuer=issuer) is not None:
                return self.stale(principal, 1)
            wait = wait or state.try_now("token", token, issuer=issuer)
        return throttled(wait, "principal") if wait else None

    def login_wait(self, account: str, address: str, exchange: Exchange) -> float:
        """Seconds that an attempt to log in has to wait which a page had sent; 0.0 of all others.

        An account that is known there has a pace of its own: what a page tries of others is not for its owner to pay,
        who may log in by a page beside the app's. Who is not known has none, or each name of a list had a first try.
        """
        state = self._monitor.state
        by = state.source_of(exchange)
        if not by:
            return 0.0
        marks = {kind: state.marked("crossing_login", kind, address) for kind in ("address", "network")}
        found = max((mark for mark in marks.values() if mark is not None), default=None)
        if found is None:
            return 0.0
        beside = _beside(by, exchange.environ)
        if state.knows(account, address):
            return self._apart(found, f"{'beside' if beside else by} login {account}", EACH_LOGIN, BURST)
        if beside:
            waits = (
                self._apart(mark, f"logins {kind} {self._key(kind, address)}", EACH_LOGIN, BURST)
                for kind, mark in marks.items()
            )
            return next((wait for wait in waits if wait), 0.0)
        wait = state.try_now("address", address, response="crossing_login")
        return wait or state.try_now("network", address, response="crossing_login")

    def _slow_pages(
        self, detector: Detector, subject: tuple[str, str, str | None], seconds: float, how: str, whose: int | None
    ) -> bool:
        """Throttles what pages have sent, of whom it is about. False if they are exempt."""
        kind, name, issuer = subject
        state = self._monitor.state
        if kind != "principal":
            name = name.partition("/")[0]
            if self.is_exempt(name):
                return False
            if not _LOGINS.isdisjoint(detector.counts):
                state.mark("crossing_login", kind, name, seconds, each=EACH_LOGIN, burst=BURST)
        return state.mark(how, kind, name, seconds, issuer=issuer, each=EACH, burst=PAGE_BURST, whose=whose)

    def _slow(self, subject: tuple[str, str, str | None], seconds: float) -> float:
        """Throttles who cannot step up; seconds to wait, 0.0 if it may go on."""
        kind, name, issuer = subject
        state = self._monitor.state
        if state.marked("throttle", kind, name, issuer=issuer) is None:
            state.mark("throttle", kind, name, seconds, issuer=issuer, each=EACH, burst=BURST)
            return state.try_now(kind, name, issuer=issuer)
        return 0.0  # its try was taken before


class Heeds(Guard):
    """Asks, of whoever a ``require`` has found, whether a response of the monitor is in force. Added by the monitor."""

    stage = Stage.QUOTA
    name = "monitor"

    def __init__(self, responses: Responses) -> None:
        self._responses = responses

    def __repr__(self) -> str:
        return "monitor"

    @classmethod
    def bind(cls, guards: Sequence[tuple[Any, str]], state: AppState, endpoint: str) -> Check:
        check: Check = guards[0][0]._responses.heed
        return check


def throttled(wait: float, what: str) -> Denied:
    """The refusal of who is to wait so many seconds."""
    seconds = max(1, math.ceil(wait))
    return Denied.of("limit.exceeded", f"monitor: {what} throttled", headers=(("Retry-After", str(seconds)),))


_APART = "\0apart"
_LOGINS = frozenset(("login", "login_failed"))


def _beside(by: str, environ: dict[str, Any]) -> bool:
    """Whether it was a page of a host beside the app's: pages of other sites take nothing of what that has."""
    return by == "crossing" and environ.get("HTTP_SEC_FETCH_SITE") == "same-site"


def _text(value: object) -> str | None:
    """A text as the table's keys take it: without lone surrogates."""
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else None


def _tells(principal: Principal) -> bool:
    """Whether the credential tells when somebody proved who they are."""
    return getattr(principal, "authenticated_at", None) is not None


def _proved(principal: Principal, since: int) -> bool:
    at = getattr(principal, "authenticated_at", None)
    return isinstance(at, (int, float)) and at >= since


def _stale(principal: Principal, age: int) -> Denied:
    return Denied.of("auth.stale", "monitor: must be proved anew")
