"""Attempts to log in: which account each names, and how it ended.

The app says in its login view which account is tried, once for each attempt, and how it ended; where it does not, the
answer's status says it. From then on, attempts are counted by account, and from where an account logs in is known.

1. Where a response of the monitor throttles an account, an attempt from a network in which the account has not logged
   in within 30 days is refused (429 ``limit.exceeded``) beyond five, and then one in 30 s, for each network apart. From
   one in which it has, beyond 20, and then one in 5 s: who shares a network with the owner need not be the owner; and
   out of all of those together, but for the first in each, beyond 40, and then one in 2 s. So it is out of one /48 of
   IPv6 beyond 15, and then one in 10 s; and out of all networks in which it has not, beyond 20, and then one a second,
   but for the first out of each /48 or /24: that one is the owner's, wherever they are; and but for three more within
   ten minutes from where an attempt was ``pending()``: the second factor is the next one.
   Attempts that a page had a browser send take nothing of these: of each account five, and then one in 30 s, in each
   network where it is known, and in all others together; and so for each address, where many failed. That keeps
   nobody from logging in by a page of one's own.
2. Where an account, or all of them, are under attack, the attempt says that a second factor is wanted
   (``step_up``); the app decides which.
3. What the app says (``failed``, ``succeeded``, ``pending``) holds, whatever the status. Else 2xx and 3xx are success
   and 4xx failure; 5xx say nothing: an outage is nobody's wrong password. It is the status that the client gets, after
   all of the app's ``after_request``; but a 4xx of the view is a failure whatever they, or a middleware, make of it.
4. Only ``succeeded()`` makes a place known. A form that is shown again after a wrong password is a 200, with a cookie
   if a message is flashed, or a redirect to itself; and so is the page that asks for the second factor. What a status
   says may be counted, but not trusted. An attempt that was told to step up has succeeded only if the app says so.
5. Of several attempts in one request each is counted. Of those about which nothing is said, the last goes by the
   status and the others have failed. Beyond 16, the oldest is settled at once, and so is each of which the app has said
   how it ended: what comes after it in the same request meets the response.
6. Where one account succeeds ten times in a minute, by the status alone, the log says once what may be wrong.
7. The end of an attempt is in the audit log: ``authn_login_success`` or ``authn_login_fail``.

It checks no password.
"""

from __future__ import annotations

import logging
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from flask import Flask, Response, after_this_request, current_app, request_finished, request_tearing_down

from ..exchange import Exchange
from ..guards import current_exchange
from .findings import LONGEST
from .responses import BURST, EACH_LOGIN, HOME_PACE, HOMES_PACE, WIDE_PACE, throttled

if TYPE_CHECKING:
    from .service import Monitor

HOME = 30 * 86_400.0
"""Seconds for which an account is known where it has logged in."""
GRANTED, GRANT = 3, 600.0
"""How many attempts follow one that was pending, beside what an account that is throttled has, and within how many
seconds."""
REPEATED = (
    "%d logins to one account have succeeded within a minute, by the status of the answer alone. If the view answers a "
    "wrong password with 2xx or 3xx, as a form that is shown again, the monitor sees no guesses: say failed() and "
    "succeeded() of what rampart.monitor.login() gave."
)
_MANY, _MINUTE = 10, 60.0
_logger = logging.getLogger("flask_rampart")
_MOST = 256
_MOST_OPEN = 16
FAILED, SUCCEEDED, PENDING = "failed", "succeeded", "pending"


class Login:
    """An attempt to log in, as ``rampart.monitor.login(account)`` gives it."""

    def __init__(self, account: str, step_up: bool) -> None:
        self._said: str | None = None
        self.account = account
        """The account, as it is counted: without spaces around it, in lower case."""
        self.step_up = step_up
        """Whether more than a password should be asked for: the account is under attack, or many are, and it is not
        known where the attempt comes from. False in ``"report"`` mode."""

    def failed(self) -> None:
        """Says that it failed, whatever the answer's status will be."""
        self._said = FAILED

    def succeeded(self) -> None:
        """Says that it succeeded, whatever the answer's status will be: all that was asked for was right, the second
        factor as well. The account is then known where this comes from; nothing else makes it so."""
        self._said = SUCCEEDED

    def pending(self) -> None:
        """Says that it has not ended: the password was right, and a second factor is asked for. It is then neither
        success nor failure, whatever the answer's status will be. A throttled account has a few more attempts from this
        network then: so say it of nobody whose password was not right."""
        self._said = PENDING

    @property
    def _is_said(self) -> bool:
        return self._said is not None

    def _ended(self, status: int, *, last: bool) -> bool | None:
        """Whether it succeeded; None if that is not known."""
        if self._said is not None:
            return None if self._said == PENDING else self._said == SUCCEEDED
        if status >= 500:
            return None
        if not last or status >= 400:
            return False
        # Halfway through, or one of several: a status does not say that this very attempt was right.
        return None if self.step_up or not 200 <= status < 400 else True


class Attempts:
    """The attempts of one request that are not settled yet."""

    def __init__(self, monitor: Monitor, exchange: Exchange) -> None:
        self._monitor = monitor
        self._exchange = exchange
        self._open: list[Login] = []

    def add(self, login: Login) -> None:
        """Takes another one."""
        self._open.append(login)

    def settle(self) -> None:
        """Counts those of which the app has said how they ended, and the oldest ones where there are too many."""
        for login in [login for login in self._open if login._is_said]:
            self._count(login, 0)
        while len(self._open) >= _MOST_OPEN:
            self._count(self._open[0], 0)

    def end(self, status: int) -> None:
        """Settles all of them by the answer's status, as the client gets it."""
        while self._open:
            self._count(self._open[0], status)

    def answered(self, response: Response) -> Response:
        """Settles those of an answer that is a failure already: a middleware within the edge may make a 200 of it. What
        a 5xx is, the client's status says: a hook or a middleware may make a 401 of what a directory raised."""
        if 400 <= response.status_code < 500:
            self.end(response.status_code)
        return response

    def _grant(self, login: Login) -> None:
        """Gives whose password was right attempts for the second factor, which guesses at the account do not use up."""
        monitor = self._monitor
        if login._said == PENDING and monitor.enforces and monitor.state.any_marked():
            address = self._exchange.environ.get("REMOTE_ADDR") or ""
            monitor.state.grant(login.account, address, GRANTED, GRANT)

    def _count(self, login: Login, status: int) -> None:
        last = len(self._open) == 1 and status > 0
        self._open.remove(login)
        ok = login._ended(status, last=last)
        if ok is None:
            self._grant(login)
            return
        if ok and not login._is_said:
            self._monitor.repeats.note(login.account, self._monitor.now())
        if last and self._exchange.sees_answer:
            # It is counted with its request.
            self._exchange.tried = (login.account, ok)
        else:
            self._monitor.note(
                signs=["login"] if ok else ["login", "login_failed"],
                account=login.account,
                address=self._exchange.environ.get("REMOTE_ADDR"),
                route=self._exchange.route,
                request_id=self._exchange.id,
                source=self._monitor.state.source_of(self._exchange),
            )
        self._monitor.login_ended(self._exchange, login.account, ok, status, known=ok and login._is_said)


class Repeats:
    """Tells, once in a process, of an account that succeeds again and again by the status alone: either a program logs
    in for each call, or the view answers a wrong password with 200, and no guess is ever seen."""

    def __init__(self) -> None:
        self._begun: dict[str, tuple[float, int]] = {}
        self._is_told = False

    def note(self, account: str, now: float) -> None:
        """One more, at a time."""
        if self._is_told:
            return
        since, count = self._begun.get(account, (now, 0))
        if not 0 <= now - since < _MINUTE:
            since, count = now, 0
        if len(self._begun) >= _MOST:
            self._begun.clear()
        self._begun[account] = since, count + 1
        if count + 1 >= _MANY:
            self._is_told = True
            self._begun.clear()
            _logger.warning(REPEATED, _MANY)


def begin(monitor: Monitor, exchange: Exchange, account: object) -> Login:
    """Notes that a request tries to log in to *account*.

    :raises Denied: ``limit.exceeded``, 429, if attempts on it are throttled where this one comes from.
    """
    name = counted_as(account)
    address = exchange.environ.get("REMOTE_ADDR") or ""
    attempts: Attempts | None = exchange.attempts
    if attempts is not None:
        attempts.settle()
    step_up = False
    if monitor.enabled and monitor.enforces and monitor.state.any_marked():
        state = monitor.state
        wait = monitor.responses.login_wait(name, address, exchange)
        wait = wait or state.try_account(
            name,
            address,
            each=EACH_LOGIN,
            burst=BURST,
            home=HOME_PACE,
            homes=HOMES_PACE,
            wide=WIDE_PACE,
            source=state.source_of(exchange),
        )
        if wait and not monitor.responses.is_exempt(address):
            raise exchange.refuse(throttled(wait, "account"))
        attacked = (("step_up", "host", ""), ("throttle", "account", name), ("step_up", "account", name))
        step_up = any(state.marked(*each) is not None for each in attacked) and not state.knows(name, address)
    login = Login(name, step_up)
    if monitor.enabled and name:
        if attempts is None:
            exchange.attempts = attempts = Attempts(monitor, exchange)
            if exchange.sees_answer:
                exchange.at_leaving += (attempts.end,)
                after_this_request(attempts.answered)
            else:
                # One of several requests that a middleware within the edge makes of one.
                _hear(current_app._get_current_object())  # type: ignore[attr-defined]
        attempts.add(login)
    return login


def counted_as(account: object) -> str:
    """The account as it is counted, and told of: without spaces around it, in lower case, at most 128 bytes of UTF-8,
    as many as the book has for a name. Of a longer one, the end is a hash of it.

    >>> counted_as(" Ada@Example.com "), len(counted_as("a" * 999))
    ('ada@example.com', 128)
    """
    # What is no text, such as a lone surrogate that JSON can write, is none in the table's keys either.
    name = str(account).strip().casefold().encode("utf-8", "replace")
    if len(name) > LONGEST:
        ending = sha256(name).hexdigest()[:16]
        name = name[: LONGEST - len(ending) - 1].decode("utf-8", "ignore").encode() + f"#{ending}".encode()
    return name.decode()


def _hear(app: Flask) -> None:
    """From now on hears from Flask how requests end. Not before there is one that the edge does not see: it would cost
    each request."""
    request_finished.connect(_on_finished, sender=app)
    request_tearing_down.connect(_on_tearing_down, sender=app)


def _on_finished(app: Flask, response: Response, **_: Any) -> None:
    """After all ``after_request``: what they make of an answer is what the client gets."""
    _end(response.status_code)


def _on_tearing_down(app: Flask, **_: Any) -> None:
    """Of a request that had no answer: what the app has said of its attempts holds all the same."""
    _end(500)


def _end(status: int) -> None:
    exchange = current_exchange()
    if exchange.attempts is not None and not exchange.sees_answer:
        exchange.attempts.end(status)
