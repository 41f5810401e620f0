"""The edge: a WSGI middleware around the app.

For each request, in order:

1. it makes the environ true (who the peer is, ``network``), judges the head (``hygiene``), and opens the
   :class:`~flask_rampart.exchange.Exchange`;
2. it answers what is known whatever the route, in this order: an address that is banned; a host that is not ours, plain
   HTTP (``network``), a browser that asks for leave (``origins``); an address over the application-wide limits, which
   therefore count 404s and 405s too; a head, path or query beyond its bound or that two readers would read in two ways;
   a body declared larger than ``RAMPART_MAX_BODY``; a content coding that is not taken. Such an answer costs a
   hundredth of a Flask view. What is within the bounds that some route has of its own goes on, until the route is
   known;
3. the app runs; a body without a declared length is cut off where the bound is reached, and a coded one is decoded as
   it is read;
4. the answer gets the secure headers, the rate-limit fields and ``X-Request-Id``, and its cookies what they lack,
   whoever made it: a view, an error handler, a mounted app, a stream;
5. when the body is exhausted or closed, whichever comes first, the access-log line is written (``Answer``, in
   ``src/bindings/answer.rs``, does 4 and 5).

It decides nothing by principal or route. An app that sits behind werkzeug's ``ProxyFix`` has the edge
inside it, so that addresses are the clients'; with ``RAMPART_TRUSTED_PROXIES`` the edge finds them itself
(``network``).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from werkzeug.http import HTTP_STATUS_CODES

from ._native import Answer, Answers, Clock, CookiePolicy, HeadBounds, HeaderPolicy, MetricTable, Monitor, Verdict
from .codings import Codings
from .config import Settings
from .cookies import Telling, cookie_policy
from .errors import PROBLEM_JSON, STATUS_LINES, Denied
from .exchange import ENVIRON_KEY, PUT_OFF_KEY, Exchange, Reply, has_no_body
from .headers import Closings, header_policy
from .hygiene import head_bounds
from .inputs import BoundedInput
from .limits import (
    Bans,
    Counting,
    Limits,
    Networks,
    Penalty,
    Watch,
    announce,
    application_limits,
    application_penalty,
    refused,
)
from .locks import Lock
from .network.peers import Peers
from .network.transport import Transport
from .opening import TableInUse, Tries
from .origins import Cors
from .redaction import AccessLog, redactor_of
from .stores import StoreError

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


class OwnBounds(Protocol):
    """The bounds that routes have of their own, for an edge that knows no routes."""

    @property
    def most_body(self) -> int:
        """Bytes of the largest body that any route takes."""

    @property
    def most_query(self) -> int:
        """Bytes of the longest query that any route takes."""

    def settle(self, exchange: Exchange, guards: Iterable[object]) -> Denied | None:
        """Whether a request is beyond the bounds of its route, on which these guards stand; of none, the app's."""


Step = Callable[["WSGIEnvironment", Exchange], "Denied | Reply | None"]
"""Decides something of a request whatever its route: whether it is answered here, or goes on (None)."""


class EdgePolicy:
    """What the edge holds an app to. Made by ``Rampart``, or by :meth:`of` for any WSGI app."""

    def __init__(
        self,
        *,
        headers: HeaderPolicy,
        max_body: int,
        access_log: AccessLog,
        limits: Counting | None = None,
        open_limits: Callable[[], Counting | None] | None = None,
        exempt: Exempt | None = None,
        limit_headers: str = "draft",
        watch: Watch | None = None,
        bans: Bans | None = None,
        penalty: Penalty | None = None,
        owner: object = None,
        before_first: Callable[[], object] | None = None,
        head: HeadBounds | None = None,
        codings: Codings | None = None,
        own_bounds: OwnBounds | None = None,
        peers: Peers | None = None,
        cookies: Callable[[], CookiePolicy] | None = None,
        steps: tuple[Step, ...] = (),
        cross: Callable[[WSGIEnvironment, Exchange], None] | None = None,
        metrics: Callable[[], MetricTable | None] | None = None,
        monitor: Callable[[], Monitor | None] | None = None,
    ) -> None:
        #: Comes first: what of the environ is true (who the peer is), everything after goes by. Nobody is believed
        #: unless it says so.
        self.peers = peers or Peers(Settings(), _LOGGER)
        #: Called before the first request: what is told of each answer that has ended, if anybody is.
        self.monitor = monitor
        #: In order, after bans and the bounds of the head, before limits and the app.
        self.steps = steps
        #: Called for a page of another origin that is refused before ``steps``, or by plain HTTP: says whether it may
        #: read why.
        self.cross = cross
        self.head = head or head_bounds(Settings())
        self.codings = codings or Codings((), 1)
        self.own_bounds = own_bounds
        #: Called before the first request: with which attributes cookies leave.
        self.cookies = cookies or _cookies_of(Settings())
        self.headers = headers
        self.max_body = max_body
        self.access_log = access_log
        self.limits = limits
        self._open_limits = open_limits
        self._opening = Lock()
        try:
            self.find_limits()
        except TableInUse as error:
            # Those who have the table may end before the first request, which asks again.
            _LOGGER.warning("%s", error)
        self.exempt = exempt
        self.limit_headers = limit_headers
        self.watch = watch
        self.bans = bans
        #: When refusals by ``limits`` ban.
        self.penalty = penalty
        self.owner = owner
        #: Called before the first request, or by each of the first ones that come at once.
        self.before_first = before_first
        #: Called then: where requests are counted, if anywhere.
        self.metrics = metrics

    def find_limits(self) -> None:
        """Has the application-wide limits, if there are any. Of first requests that come at once, one opens them.

        :raises ConfigError: if their table cannot be had; ``TableAway``, if it may be later.
        """
        if self._open_limits is None:
            return
        with self._opening:
            if self._open_limits is not None:
                self.limits = self._open_limits()
                self._open_limits = None

    @classmethod
    def of(cls, config: Mapping[str, Any], *, name: str, clock: Clock | None = None) -> EdgePolicy:
        """A policy for a WSGI app that is not Flask's.

        :param config: ``RAMPART_*`` settings, as in ``app.config``; those of guards have no effect.
        :param name: tells the counters of this app from another's on the same host.
        :raises ConfigError: for a setting that cannot be used.

        >>> app = RampartMiddleware(lambda environ, start: [], EdgePolicy.of({"RAMPART_PROFILE": "api"}, name="docs"))
        """
        settings = Settings.read(config)
        clock = clock or Clock.system()
        limits = Limits(settings, clock, name)
        # Nobody collects here: a path leads into the app that is wrapped.
        headers = header_policy(settings, reports=settings.reports)
        hosts = config.get("TRUSTED_HOSTS")
        transport = Transport(settings, clock, headers, logging.getLogger(name), flask_hosts=lambda: hosts)
        crossing = Cors(settings)
        return cls(
            headers=headers,
            max_body=settings.max_body,
            access_log=AccessLog(settings, redactor_of(settings), clock),
            open_limits=lambda: application_limits(settings, limits),
            bans=limits.bans,
            penalty=application_penalty(settings),
            exempt=Exempt.of(settings),
            limit_headers=settings.limit_headers,
            head=head_bounds(settings),
            codings=Codings(settings.request_codings, settings.coding_ratio),
            before_first=transport.open,
            steps=(*transport.steps, crossing),
            cross=crossing.tell,
            peers=Peers(settings, _LOGGER),
            cookies=_cookies_of(settings),
        )


def _cookies_of(settings: Settings) -> Callable[[], CookiePolicy]:
    policy = cookie_policy(settings, tell=Telling(logging.getLogger("flask_rampart")))
    return lambda: policy


class Exempt:
    """What the application-wide limits do not count."""

    def __init__(self, paths: tuple[str, ...], networks: Networks, reports: str | None = None) -> None:
        self._paths = frozenset(paths)
        self._networks = networks
        self._reports = reports

    @classmethod
    def of(cls, settings: Settings, reports: str | None = None) -> Exempt | None:
        """None if they count everything.

        :param reports: where browsers report to, on their own account: that has a limit of its own, and takes
            nothing of what their users may do.
        """
        if not settings.limits_exempt_paths and not settings.limits_exempt_networks and reports is None:
            return None
        return cls(settings.limits_exempt_paths, Networks(settings.limits_exempt_networks), reports)

    def has(self, environ: WSGIEnvironment, *, goes_on: bool) -> bool:
        """Whether a request is not counted.

        :param goes_on: whether the app will see it: what is refused before, no limit of a view counts.
        """
        path = f"{environ.get('SCRIPT_NAME', '')}{environ.get('PATH_INFO', '')}"
        if goes_on and environ.get("PATH_INFO") == self._reports and environ["REQUEST_METHOD"] in ("POST", "OPTIONS"):
            return True  # other methods are not answered there, and nothing else counts them
        return path in self._paths or (environ.get("REMOTE_ADDR") or "") in self._networks


class RampartMiddleware:
    """A WSGI app behind the edge: ``app.wsgi_app = RampartMiddleware(app.wsgi_app, policy)``."""

    def __init__(self, app: WSGIApplication, policy: EdgePolicy) -> None:
        self.app = app
        self.policy = policy
        self._owner = policy.owner
        self._limits = policy.limits
        self._exempt = policy.exempt
        self._watch = policy.watch
        self._bans = policy.bans
        self._max_body = policy.max_body
        self._arrive = policy.head.arrive
        self._peers = policy.peers
        self._rule = policy.peers.rule
        self._steps = policy.steps
        self._cross = policy.cross
        #: Whether anybody wants to know how answers end.
        self._sees_ends = policy.access_log.enabled
        self._answers: Answers | None = None
        self._tries = Tries()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        answers, away = self._answers, None
        if answers is None:
            answers, away = self._begin()
        # Bans, steps and limits of the edge are of the time that a request takes.
        arrived = answers.arrived()
        # Makes the environ true, and judges what it then is, in one pass over it: what is refused, bans answer first.
        found = self._arrive(environ, self._rule)
        beyond = None if found is None else self._heed(*found)
        if self._watch is not None:
            self._look(self._watch, environ)
        exchange = Exchange(self._owner, environ)
        if away is not None:
            return _refuse(Answer(answers, exchange, start_response, arrived), exchange, away)
        bans = self._bans
        # Nobody can be banned before there are counters.
        if bans is not None and bans.ask is not None:
            left = bans.ask(environ.get("REMOTE_ADDR") or "")
            if left and not bans.exempts(exchange):
                if self._cross is not None and "HTTP_ORIGIN" in environ:
                    self._cross(environ, exchange)
                return _refuse(Answer(answers, exchange, start_response, arrived), exchange, bans.refusal(left))
        # A long query may yet be within the bounds of its route.
        if beyond is None or beyond[0] == "query.too_long":
            for step in self._steps:
                reply = step(environ, exchange)
                if reply is not None:
                    if isinstance(reply, Denied):
                        # A page of ours may read what to do about it; at a host that is not ours, no policy is.
                        if self._cross is not None and reply.problem.code in _READABLE and "HTTP_ORIGIN" in environ:
                            self._cross(environ, exchange)
                        # Whoever tries out hosts and origins spends what whoever tries out paths does.
                        reply = self._count(environ, exchange, reply) or reply
                    return _stop(Answer(answers, exchange, start_response, arrived), exchange, reply)
        elif self._cross is not None and "HTTP_ORIGIN" in environ:
            self._cross(environ, exchange)
        declared = environ.get("CONTENT_LENGTH")
        # The usual request needs no second look: not limited here, not coded, of a length that is a number below a
        # billion; or, by a server that shows how a body is sent and says so, without one (RFC 9112 section 6.3).
        if (
            beyond is None
            and self._limits is None
            and "HTTP_CONTENT_ENCODING" not in environ
            and (len(declared) < 10 and int(declared) <= self._max_body if declared else has_no_body(environ))
        ):
            denied = None
        else:
            denied = self._screen(environ, exchange, beyond)
        answer = Answer(answers, exchange, start_response, arrived)
        if denied is not None:
            return _refuse(answer, exchange, denied)
        environ[ENVIRON_KEY] = exchange
        try:
            body = self.app(environ, answer)
            if not (self._sees_ends or exchange.at_end or exchange.at_status or exchange.at_leaving):
                return body
            wrapper = environ.get("wsgi.file_wrapper")
            if wrapper is not None and isinstance(wrapper, type) and isinstance(body, wrapper) and not exchange.at_end:
                # The server sends the file itself, if it gets it as it is: its end is not seen.
                answer.end(True, -1)
                return body
            return answer.of(body)
        except BaseException:
            # The server will answer 500, or nothing.
            answer.end(False)
            raise

    def _begin(self) -> tuple[Answers, Denied | None]:
        """Before the first request, or by each of the first ones that come at once.

        With a refusal, where a table is away that others have: the next requests ask again.
        """
        try:
            with self._tries.one():
                try:
                    self._answers = self._prepared()
                except StoreError as error:
                    _LOGGER.error("Requests are refused, since what they are counted in cannot be had: %s", error)
                    raise
        except StoreError:
            refused = Denied.of("store.unavailable", reason="StoreError", headers=(("Retry-After", "1"),))
            return self._answers_of(None, None), refused
        return self._answers, None

    def _prepared(self) -> Answers:
        policy = self.policy
        policy.find_limits()
        if policy.before_first is not None:
            policy.before_first()
        # It may know by now which methods the routes declare.
        self._arrive = policy.head.arrive
        if self._limits is None:
            self._limits = policy.limits
        metrics = None if policy.metrics is None else policy.metrics()
        monitor = None if policy.monitor is None else policy.monitor()
        self._sees_ends = self._sees_ends or metrics is not None or monitor is not None
        return self._answers_of(metrics, monitor)

    def _answers_of(self, metrics: MetricTable | None, monitor: Monitor | None) -> Answers:
        policy, told = self.policy, self.policy.limit_headers
        return policy.access_log.answers(
            policy.headers,
            policy.cookies(),
            draft=told in ("draft", "both"),
            legacy=told in ("legacy", "both"),
            closed=Closings(),
            metrics=metrics,
            monitor=monitor,
        )

    def _heed(self, told: tuple[str, str] | None, refused: tuple[str, str] | None) -> tuple[str, str] | None:
        """What is told of where a request came from goes to people; what is refused of it, or of its head, is given."""
        code = None if told is None else self._peers.tell(*told)
        return refused if code is None else (code, "how it was forwarded")

    def _look(self, watch: Watch, environ: WSGIEnvironment) -> None:
        watch.look(environ)
        if watch.is_over:
            self._watch = None

    def _over(self, exchange: Exchange, verdict: Verdict) -> Denied:
        announce(exchange, verdict, enforced=True)
        penalty = self.policy.penalty
        # In a flood who shares a counter is refused for what others have spent.
        if penalty is None or self._bans is None or not verdict.striking:
            return refused(verdict)
        return refused(verdict, self._bans.strike(exchange, "application", penalty, verdict.violated or ""))

    def _spares(self, exempt: Exempt, environ: WSGIEnvironment, beyond: object) -> bool:
        declared = environ.get("CONTENT_LENGTH") or "0"
        goes_on = beyond is None and "HTTP_CONTENT_ENCODING" not in environ
        # Digits and nothing else: so it was judged.
        return exempt.has(environ, goes_on=goes_on and len(declared) < 10 and int(declared) <= self._max_body)

    def _count(self, environ: WSGIEnvironment, exchange: Exchange, beyond: object) -> Denied | None:
        """Counts a request against the application-wide limits, unless it is exempt."""
        limits = self._limits
        if limits is None or (self._exempt is not None and self._spares(self._exempt, environ, beyond)):
            return None
        # Always answers: while a store elsewhere is away, this host counts.
        verdict = limits.check((environ.get("REMOTE_ADDR") or "",))
        exchange.limits = ((verdict, limits.policy),)
        return None if verdict.admitted else self._over(exchange, verdict)

    def _screen(self, environ: WSGIEnvironment, exchange: Exchange, beyond: tuple[str, str] | None) -> Denied | None:
        over = self._count(environ, exchange, beyond)
        if over is not None:
            return over
        own = self.policy.own_bounds
        if beyond is not None:
            code, reason = beyond
            if code != "query.too_long" or own is None or len(environ["QUERY_STRING"]) > own.most_query:
                return Denied.of(code, reason=reason)
            _put_off(environ, exchange, own)
        declared = environ.get("CONTENT_LENGTH")
        if declared:
            # Digits and nothing else: so it was judged.
            length = int(declared) if len(declared) <= 18 else _ENDLESS
            if length > self._max_body:
                if own is None or length > own.most_body:
                    return Denied.of("body.too_large", reason="declared length")
                _put_off(environ, exchange, own)
                # Until its route has said that it takes so much, nobody reads any of it.
                environ["wsgi.input"] = BoundedInput(environ["wsgi.input"], self._max_body, exchange, declared=length)
        elif environ.get("wsgi.input_terminated"):
            # Of undeclared length, and the server says that it ends. Without that, werkzeug reads nothing.
            environ["wsgi.input"] = BoundedInput(environ["wsgi.input"], self._max_body, exchange)
        if "HTTP_CONTENT_ENCODING" in environ:
            return self.policy.codings.open(environ, exchange, self._max_body)
        return None


def _put_off(environ: WSGIEnvironment, exchange: Exchange, own: OwnBounds) -> None:
    exchange.put_off = own.settle
    environ[PUT_OFF_KEY] = (exchange.owner, own.settle)


def _stop(answer: Answer, exchange: Exchange, found: Denied | Reply) -> Iterable[bytes]:
    if isinstance(found, Denied):
        return _refuse(answer, exchange, found)
    headers = list(found.headers)
    if found.status not in (204, 304):
        headers.append(("Content-Length", str(len(found.body))))
    answer(f"{found.status} {HTTP_STATUS_CODES[found.status]}", headers)
    body = b"" if exchange.environ.get("REQUEST_METHOD") == "HEAD" else found.body
    answer.end(True, len(body))
    return (body,) if body else ()


def _refuse(answer: Answer, exchange: Exchange, denied: Denied) -> Iterable[bytes]:
    """Answers without the app."""
    document = exchange.refuse(denied).document()
    headers = [
        ("Content-Type", PROBLEM_JSON),
        ("Content-Length", str(len(document))),
        *denied.extra_headers,
    ]
    answer(STATUS_LINES[denied.problem.status], headers)
    if exchange.environ.get("REQUEST_METHOD") == "HEAD":
        document = b""
    answer.end(True, len(document))
    return (document,)


_READABLE = frozenset(("https.required",))
"""Refusals of steps that stand before CORS, which pages may read all the same."""
_ENDLESS = 10**18
_LOGGER = logging.getLogger("flask_rampart")
