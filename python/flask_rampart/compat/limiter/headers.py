"""The headers that tell of a limit: ``X-RateLimit-*`` where the app wants them, ``Retry-After`` with each refusal.

They are added where Flask-Limiter adds them, in a function after the request. Where nobody looks at the answer between
that and the server, they are added when it leaves: what an answer has before, werkzeug copies one by one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, NamedTuple

from flask import Flask, request, request_finished
from flask.wrappers import Request, Response
from werkzeug.http import http_date, parse_date

from ..leaving import is_plain, is_unseen
from .requests import Asked

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

    from .config import Rules
    from .extension import Limiter
    from .face import Face
    from .requests import Passage

Fields = list[tuple[str, str]]


class Leaving:
    """Where the fields of one extension are added to answers, in one app.

    :param faces: those of the app; an extension that meets its app once more has another.
    :param after: the extension's function after the request.
    """

    def __init__(self, faces: Mapping[Limiter, Face], limiter: Limiter, app: Flask, after: Any) -> None:
        self._faces = faces
        self._limiter = limiter
        self._after = after
        #: Whether nothing sees the answer between that function and the server. Known when all is registered.
        self.is_unseen = False
        # What is wrapped round the app already, as a cache, is to see them.
        self._may_be_unseen = (
            faces[limiter].rules.headers_enabled and getattr(app.wsgi_app, "__func__", None) is Flask.wsgi_app
        )
        if self._may_be_unseen:
            app.wsgi_app = self._leave(app.wsgi_app)  # type: ignore[method-assign, assignment]

    def begin(self) -> None:
        """Notes that the answer to the current request leaves through here, unless another's does.

        A view may ask its app for another answer, by a request of its own, which is not the one that leaves.
        """
        slot = _slot.get()
        if slot is not None and slot[0] is self and slot[1] is None:
            slot[1] = request._get_current_object()  # type: ignore[attr-defined]

    def add(self, asked: Asked, this: Request, response: Response) -> None:
        """Adds what was said of the one limit that an answer tells of, now or when it leaves."""
        if self.is_unseen:
            slot = _slot.get()
            if slot is not None and slot[1] is this and not request_finished.receivers and is_plain(response):
                slot[2] = asked
                return
        elif self._may_be_unseen:
            self.is_unseen = self._may_be_unseen = is_unseen(self._faces[self._limiter].app, self._after)
        headers = response.headers
        headers[:] = self._with_fields(headers, asked)

    def _with_fields(self, headers: Iterable[tuple[str, str]], asked: Asked) -> Fields:
        # For each answer: what does not change was made before, and is taken apart at once.
        step, _, verdict, at = asked
        head, remaining_name, reset_name, told, is_date, longest, own, clock = step.fields  # type: ignore[misc]
        now = clock()
        # Who was admitted has spent something, so there is a time to wait.
        reset_at = int(at + verdict.reset) + 1
        for name, _ in headers:
            if len(name) <= longest and name.lower() in own:
                rules = self._faces[self._limiter].rules
                return settled(rules, headers, head, verdict.remaining, reset_at, now)
        return [
            *headers,
            head,
            (remaining_name, str(verdict.remaining)),
            (reset_name, str(reset_at)),
            (told, http_date(reset_at) if is_date else str(int(reset_at - now))),
        ]

    def _leave(self, inner: WSGIApplication) -> WSGIApplication:
        with_fields = self._with_fields

        def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
            slot: Slot = [self, None, None]

            def start(status: str, headers: Fields, exc_info: Any = None) -> Any:
                asked = slot[2]
                if asked is not None:
                    headers = with_fields(headers, asked)
                slot[1] = _LEFT
                return (
                    start_response(status, headers) if exc_info is None else start_response(status, headers, exc_info)
                )

            # Not in the environ: a request may have a copy of it, and a view may give it to another request.
            before = _slot.set(slot)
            try:
                return inner(environ, start)
            finally:
                _slot.reset(before)

        return app


Slot = list[Any]
"""Through whom an answer leaves, to which request it is, and what it is to tell then."""
_LEFT = object()
_slot: ContextVar[Slot | None] = ContextVar("flask_rampart.compat.limiter", default=None)


class StepFields(NamedTuple):
    """What does not change of the fields that tell of one limit."""

    head: tuple[str, str]
    """How much there is at most, as a field."""
    remaining: str
    reset: str
    told: str
    is_date: bool
    longest: int
    own: frozenset[str]
    """Names in lower case that the app may have set itself, and how long they are at most."""
    now: Callable[[], float]

    @classmethod
    def of(cls, rules: Rules, amount: int, now: Callable[[], float]) -> StepFields:
        limit, remaining, reset, told = rules.header_fields
        own = frozenset((told.lower(), _RETRY_AFTER))
        longest = max(map(len, own))
        return cls((limit, str(amount)), remaining, reset, told, rules.is_retry_date, longest, own, now)


def add(face: Face, passage: Passage, response: Response) -> None:
    """Adds the headers of the limit that says most."""
    rules = face.rules
    headers = response.headers
    now = face.counters.clock.now()
    if rules.headers_enabled and (limit := passage.limit) is not None:
        head = (rules.header_fields[0], str(limit.limit.amount))
        headers[:] = settled(rules, headers, head, limit.remaining, limit.reset_at, now)
    # Whoever words the answer, who was refused is told when to come back.
    elif passage.wait is not None and response.status_code == 429 and "Retry-After" not in headers:
        wait = passage.wait
        headers["Retry-After"] = http_date(math.ceil(now + wait)) if rules.is_retry_date else str(wait)


def settled(
    rules: Rules, headers: Iterable[tuple[str, str]], head: tuple[str, str], remaining: int, reset_at: int, now: float
) -> Fields:
    """The fields of an answer, and those that tell of a limit.

    :param head: how much there is at most, as a field.
    """
    _, remaining_name, reset_name, told = rules.header_fields
    present = [name.lower() for name, _ in headers]
    wait_until = reset_at
    if _RETRY_AFTER in present:
        own = next(value for name, value in headers if name.lower() == _RETRY_AFTER)
        wait_until = max(reset_at, _told(own, now))
    if (lower := told.lower()) in present:
        headers = [field for field in headers if field[0].lower() != lower]
    return [
        *headers,
        head,
        (remaining_name, str(remaining)),
        (reset_name, str(reset_at)),
        (told, http_date(wait_until) if rules.is_retry_date else str(int(wait_until - now))),
    ]


_RETRY_AFTER = "retry-after"


def _told(value: str, now: float) -> int:
    """The Unix second of a ``Retry-After`` that the app has set; 0 if it cannot be read."""
    date = parse_date(value)
    if date is not None:
        return int(date.timestamp())
    return int(now + int(value)) if value.isascii() and value.isdigit() else 0
