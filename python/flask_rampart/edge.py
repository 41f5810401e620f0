"""The edge: a WSGI middleware around the app.

For each request, in order:

1. it opens the :class:`~flask_rampart.exchange.Exchange`;
2. it refuses what is known to be wrong whatever the route: a body declared larger than ``RAMPART_MAX_BODY``,
   a malformed ``Content-Length``, an address over the application-wide limits (which therefore count 404s
   and 405s too); such an answer costs a hundredth of a Flask view;
3. the app runs; a body without a declared length is cut off where the bound is reached;
4. the answer gets the secure headers, the rate-limit fields and ``X-Request-Id``, whoever made it: a view,
   an error handler, a mounted app, a stream;
5. when the body is exhausted or closed, whichever comes first, the access-log line is written (``Answer``, in
   ``src/bindings/answer.rs``, does 4 and 5).

It decides nothing by principal or route. An app that sits behind werkzeug's ``ProxyFix`` has the edge
inside it, so that addresses are the clients'.
"""

from __future__ import annotations

import io
import weakref
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from ._native import Answer, Answers, Clock, HeaderPolicy, Verdict
from .config import Settings
from .errors import PROBLEM_JSON, STATUS_LINES, Denied
from .exchange import ENVIRON_KEY, Exchange
from .headers import header_policy
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
from .redaction import AccessLog, redactor_of

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


class EdgePolicy:
    """What the edge holds an app to. Made by ``Rampart``, or by :meth:`of` for any WSGI app."""

    def __init__(
        self,
        *,
        headers: HeaderPolicy,
        max_body: int,
        access_log: AccessLog,
        limits: Counting | None,
        exempt: Exempt | None = None,
        limit_headers: str = "draft",
        watch: Watch | None = None,
        bans: Bans | None = None,
        penalty: Penalty | None = None,
        owner: object = None,
        before_first: Callable[[], None] | None = None,
    ) -> None:
        self.headers = headers
        self.max_body = max_body
        self.access_log = access_log
        self.limits = limits
        self.exempt = exempt
        self.limit_headers = limit_headers
        self.watch = watch
        self.bans = bans
        #: When refusals by ``limits`` ban.
        self.penalty = penalty
        self.owner = owner
        #: Called before the first request, or by each of the first ones that come at once.
        self.before_first = before_first

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
        return cls(
            headers=header_policy(settings),
            max_body=settings.max_body,
            access_log=AccessLog(settings, redactor_of(settings), clock),
            limits=application_limits(settings, limits),
            bans=limits.bans,
            penalty=application_penalty(settings),
            exempt=Exempt.of(settings),
            limit_headers=settings.limit_headers,
        )


class Exempt:
    """What the application-wide limits do not count."""

    def __init__(self, paths: tuple[str, ...], networks: Networks) -> None:
        self._paths = frozenset(paths)
        self._networks = networks

    @classmethod
    def of(cls, settings: Settings) -> Exempt | None:
        """None if they count everything."""
        if not settings.limits_exempt_paths and not settings.limits_exempt_networks:
            return None
        return cls(settings.limits_exempt_paths, Networks(settings.limits_exempt_networks))

    def has(self, environ: WSGIEnvironment) -> bool:
        """Whether a request is not counted."""
        path = f"{environ.get('SCRIPT_NAME', '')}{environ.get('PATH_INFO', '')}"
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
        self._logs = policy.access_log.enabled
        self._answers: Answers | None = None

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        answers = self._answers
        if answers is None:
            answers = self._begin()
        if self._watch is not None:
            self._look(self._watch, environ)
        exchange = Exchange(self._owner, environ)
        bans = self._bans
        # Nobody can be banned before there are counters.
        if bans is not None and bans.ask is not None:
            left = bans.ask(environ.get("REMOTE_ADDR") or "")
            if left and not bans.exempts(exchange):
                return _refuse(Answer(answers, exchange, start_response), exchange, bans.refusal(left))
        declared = environ.get("CONTENT_LENGTH")
        # The usual request needs no second look: not limited here, of a length that is a number below a billion.
        if self._limits is None and declared and len(declared) < 10 and declared.isdigit() and declared.isascii():
            denied = None if int(declared) <= self._max_body else self._screen(environ, exchange)
        else:
            denied = self._screen(environ, exchange)
        answer = Answer(answers, exchange, start_response)
        if denied is not None:
            return _refuse(answer, exchange, denied)
        environ[ENVIRON_KEY] = exchange
        try:
            body = self.app(environ, answer)
            if not self._logs and not exchange.at_end:
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

    def _begin(self) -> Answers:
        """Before the first request, or by each of the first ones that come at once."""
        policy = self.policy
        if policy.before_first is not None:
            policy.before_first()
        told = policy.limit_headers
        self._answers = policy.access_log.answers(
            policy.headers, draft=told in ("draft", "both"), legacy=told in ("legacy", "both")
        )
        return self._answers

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

    def _screen(self, environ: WSGIEnvironment, exchange: Exchange) -> Denied | None:
        limits = self._limits
        if limits is not None and (self._exempt is None or not self._exempt.has(environ)):
            # Always answers: while a store elsewhere is away, this host counts.
            verdict = limits.check((environ.get("REMOTE_ADDR") or "",))
            exchange.limits = ((verdict, limits.policy),)
            if not verdict.admitted:
                return self._over(exchange, verdict)
        declared = environ.get("CONTENT_LENGTH")
        if declared:
            # Digits and nothing else (RFC 9110 section 8.6).
            if not (declared.isascii() and declared.isdigit()):
                return Denied.of("request.malformed", reason="Content-Length")
            if len(declared) > 18 or int(declared) > self._max_body:
                return Denied.of("body.too_large", reason="declared length")
        elif environ.get("wsgi.input_terminated"):
            # Of undeclared length, and the server says that it ends. Without that, werkzeug reads nothing.
            environ["wsgi.input"] = BoundedInput(environ["wsgi.input"], self._max_body, exchange)
        return None


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


class BoundedInput(io.RawIOBase):
    """A request body of undeclared length that refuses where it passes its bound, whoever reads it."""

    def __init__(self, stream: Any, bound: int, exchange: Exchange) -> None:
        self._stream = stream
        self._left = bound
        self._exchange = weakref.ref(exchange)
        #: Bytes read so far: tells whether somebody read the body before it was checked.
        self.rampart_taken = 0

    def _room(self) -> int:
        # One byte more than the bound is enough to know.
        if self._left < 0:
            denied, exchange = Denied.of("body.too_large", reason="undeclared length"), self._exchange()
            raise denied if exchange is None else exchange.refuse(denied)
        return self._left + 1

    def _count(self, data: bytes) -> bytes:
        self.rampart_taken += len(data)
        self._left -= len(data)
        if self._left < 0:
            self._room()
        return data

    def readable(self) -> bool:
        return True

    def read(self, size: int | None = -1) -> bytes:
        if size is not None and size >= 0:
            return self._count(self._stream.read(min(size, self._room())))
        parts = []
        while part := self._stream.read(self._room()):
            parts.append(self._count(part))
        return b"".join(parts)

    def readall(self) -> bytes:
        return self.read()

    def readinto(self, buffer: Any) -> int:
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def readline(self, size: int | None = -1) -> bytes:
        room = self._room()
        return self._count(self._stream.readline(room if size is None or size < 0 else min(size, room)))
