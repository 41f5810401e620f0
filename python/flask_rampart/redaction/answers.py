"""``redact(...)``: what a view answers leaves redacted, or not at all.

It is a guard that refuses nobody: it runs first, at arrival, and notes that the answer of this request is to be
redacted, whoever makes it then: the view, another view that calls it, an error handler of the app's. In order:

1. what a GET, HEAD or QUERY asks about the answer (``If-None-Match``, ``Range`` and their kin) is kept from the view:
   a 304 would tell who sends the hash of a guess that it was right, and a piece may be half of a secret. Of the
   codings that a client takes, everybody sees those that are read here, and of a stream none;
2. as soon as there is a response, before any ``after_request`` function sees it, it is redacted: JSON by value, path
   and name, text by text. What these functions compute of a body (an ETag, a compressed one) is then of the redacted
   one. Where the view itself has computed an ETag, another takes its place, and what was asked is answered by that;
   ranges are not (RFC 9110 section 14.2 leaves that open);
3. when they are done, the body is looked at once more. If it is still the redacted one, or a piece of it, or that in a
   coding that is read here, it leaves. Else it is redacted like the first;
4. a stream of text, of events or of JSON Lines whose length is not known, or large, is redacted as it runs
   (``running``), and its first byte leaves as early as it can;
5. what cannot be redacted does not leave: a stream of anything else, a piece of a whole (206), a coding that is not
   read here, a media type that is neither JSON nor text, JSON that is none, and, where paths or keys were declared, a
   2xx that is not JSON. The client gets 500 ``response.invalid``, and the app's log says what is wrong and the cure;
6. so does what fails to be redacted, for whatever reason. Refusals of ours pass as they are: they hold no values.

Header fields are not redacted, nor is what a WSGI middleware of the app's does to an answer.
"""

from __future__ import annotations

import codecs
import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal

from flask import Flask, Response, has_request_context, request
from werkzeug.http import generate_etag

from .._native import Clock
from ..answering import ask_readable, decoded, instead, is_whole
from ..checks import Check
from ..errors import ConfigError, Denied
from ..exchange import Exchange
from ..guards import AppState, Guard, Stage
from ..locks import Lock
from ..readers import nearest
from ..refusals import Refusal
from .events import EventStream
from .nested import Walk
from .places import Places
from .redactor import MAX_DEPTH, Redactor, built_in
from .running import Running, TextStream, is_json, kind_of
from .streams import Feeds

_MAX_NODES = 1_000_000
_ATTRIBUTE = "_rampart_redacted"
_MINUTE = 60.0


class redact(Guard):  # noqa: N801 - read as a verb above a view
    """Redacts what a view answers: secrets and personal data in JSON, deep, and in text.

    :param response: True: by the app's redactor (``RAMPART_REDACT``); a :class:`~flask_rampart.Redactor` instead of
        it; or a dict of ``"paths"`` and ``"keys"``, which say what becomes of members whatever they hold (see
        ``Redactor.redact_json``), ``"fields"``, which say where pieces of texts stand in streamed events (see
        ``Redactor.stream``), and ``"redactor"``.
    :raises ConfigError: at import, for a path or field that cannot be read, or no operator.

    A stream of text, events or JSON Lines is redacted as it runs. The client receives 500 instead of what cannot be
    redacted: a stream of JSON, an image, a coding that is not read here.

    >>> redact(response=True)
    redact(response=True)
    >>> redact(response={"paths": {"/user/email": "redact"}})
    redact(response={'paths': ...})
    """

    stage = Stage.ARRIVAL
    name = "redact"

    def __init__(self, *, response: Literal[True] | Redactor | Mapping[str, Any] = True) -> None:
        self.redactor: Redactor | None = None
        self.places = Places()
        self.fields: Sequence[str] | None = None
        self._told = "True"
        if isinstance(response, Redactor):
            self.redactor, self._told = response, repr(response)
        elif isinstance(response, Mapping) and response:
            for name in response:
                if name not in _SAID:
                    raise ConfigError(
                        f"redact(response={{{name!r}: ...}}): it takes {', '.join(map(repr, _SAID))}."
                        f"{nearest(str(name), _SAID)}"
                    )
            self.places = Places(response.get("paths"), response.get("keys"))
            self.redactor = response.get("redactor")
            self.fields = response.get("fields")
            if self.fields is not None:
                built_in().stream(events="sse", fields=self.fields)
            if self.redactor is not None and not isinstance(self.redactor, Redactor):
                raise ConfigError(
                    f"redact(response={{'redactor': ...}}) takes a Redactor, not {type(self.redactor).__name__}."
                )
            self._told = f"{{{', '.join(f'{name!r}: ...' for name in response)}}}"
        elif response is not True:
            raise ConfigError(
                "redact(response=...) is True, a Redactor, or a dict with paths, keys, fields or redactor, not "
                f"{response!r}. An answer that is not to be redacted has no redact above its view."
            )

    def __repr__(self) -> str:
        return f"redact(response={self._told})"

    @classmethod
    def bind(cls, guards: Sequence[tuple[redact, str]], state: AppState, endpoint: str) -> Check:
        outgoing = Outgoing.of(state)
        own: Redactor = state.services[Redactor]
        rules = tuple(Rules(guard.redactor or own, guard.places, guard.fields) for guard, _ in guards)

        def note(exchange: Exchange) -> None:
            outgoing.note(exchange, rules)

        return note


_SAID = ("paths", "keys", "fields", "redactor")


class Rules:
    """How one declaration wants answers redacted."""

    __slots__ = ("fields", "places", "redactor")

    def __init__(self, redactor: Redactor, places: Places, fields: Sequence[str] | None = None) -> None:
        self.redactor = redactor
        self.places = places
        self.fields = fields


def _each_once(rules: Iterable[Rules]) -> tuple[Rules, ...]:
    """Those that add something: a find that was hashed by a blueprint's declaration is not hashed again by a view's."""
    rules = tuple(dict.fromkeys(rules))
    placed = {id(one.redactor) for one in rules if one.places or one.fields}
    found: dict[object, Rules] = {}
    for one in rules:
        if one.places or one.fields:
            found[one] = one
        elif id(one.redactor) not in placed:
            found.setdefault(id(one.redactor), one)
    return tuple(found.values())


class _Cannot(Exception):
    """An answer cannot be redacted; says why in a word of :data:`_CURES`."""


class _Noted:
    """What is to happen to the answer of one request."""

    __slots__ = ("asked", "made", "rules", "running")

    def __init__(self) -> None:
        #: The stream that is redacted as it runs.
        self.running: Running | None = None
        self.rules: tuple[Rules, ...] = ()
        #: What the client asked about the answer, until there is one.
        self.asked: dict[str, str] = {}
        self.made = b""


class Outgoing:
    """Where answers of one app are redacted: around ``process_response``, which every answer of Flask's passes."""

    def __init__(self, state: AppState) -> None:
        self._state = state
        self._lock = Lock()
        self._told: dict[tuple[str, str], float] = {}
        _surround(state.app, self)

    @classmethod
    def of(cls, state: AppState) -> Outgoing:
        """The app's. Made when the first of its guards is bound, before the first request."""
        found: Outgoing | None = state.services.get(cls)
        if found is None:
            found = state.services[cls] = cls(state)
        return found

    def note(self, exchange: Exchange, rules: Iterable[Rules]) -> None:
        """The answer of this request is to be redacted so as well."""
        this = exchange.request()
        if this is None:
            raise RuntimeError("redact() was met outside a request.")
        noted: _Noted = this.__dict__.setdefault(_ATTRIBUTE, _Noted())
        if this.method in _READING:
            for field in _ASKED:
                if field in exchange.environ:
                    noted.asked[field] = exchange.environ.pop(field)
        ask_readable(exchange.environ)
        # Views that call views may each say something: all of it holds.
        noted.rules = _each_once((*noted.rules, *rules))

    def first(self, noted: _Noted, response: Response) -> Response:
        """*response* redacted, or what leaves instead."""
        noted.asked.pop("HTTP_RANGE", None)
        noted.asked.pop("HTTP_IF_RANGE", None)
        request.environ.update(noted.asked)
        return self._guarded(noted, response, self._redacted, instead)

    def last(self, noted: _Noted, response: Response) -> Response:
        """*response* as it is, if it holds nothing but what was redacted before; else as :meth:`first`."""
        # Without the app's words for it, which nobody would look at any more.
        return self._guarded(noted, response, self._still, _in_our_words)

    def _guarded(
        self,
        noted: _Noted,
        response: Response,
        work: Callable[[_Noted, Response], Response],
        otherwise: Callable[[Flask, Denied], Response],
    ) -> Response:
        try:
            if self._is_ours(response):
                return response
            return work(noted, response)
        except _Cannot as error:
            reason = str(error)
        except Exception as error:
            # Its message may quote what it failed at.
            reason = f"failed with {type(error).__name__}"
        return otherwise(self._state.app, self._refused(response, reason))

    def _is_ours(self, response: Response) -> bool:
        if isinstance(response, Refusal) and response.response == [response._document]:
            return True
        refusal = self._exchange().refusal
        return (
            refusal is not None
            and response.status_code == refusal.problem.status
            and not response.is_streamed
            and response.get_data() == refusal.document()
        )

    def _redacted(self, noted: _Noted, response: Response) -> Response:
        if response.status_code == 206:
            raise _Cannot("range")
        if not is_whole(response):
            return self._run(noted, response)
        data = response.get_data()
        if not data:
            return _untold(response)
        plain = self._decoded(data, response)
        made = plain
        for rules in noted.rules:
            made = self._by(rules, made, response)
        noted.made = made
        if made != plain:
            self._put(response, made)
        response.headers.pop("Accept-Ranges", None)
        if noted.asked and response.status_code == 200 and any(name in response.headers for name in _VALIDATORS):
            response.make_conditional(request)
        return response

    def _still(self, noted: _Noted, response: Response) -> Response:
        if noted.running is not None and response.response is noted.running:
            return response
        if not is_whole(response):
            return self._run(noted, response)
        data = response.get_data()
        if data in noted.made or self._decoded(data, response) in noted.made:
            return response
        return self._redacted(noted, response)

    def _run(self, noted: _Noted, response: Response) -> Response:
        """*response* as a stream that is redacted as it runs."""
        if response.headers.get("Content-Encoding", "identity").strip().lower() not in ("", "identity"):
            raise _Cannot("encoding")
        kind = kind_of(response)
        if kind is None:
            raise _Cannot("stream")
        charset = response.mimetype_params.get("charset", "utf-8")
        streams: list[Feeds] = []
        for rules in noted.rules:
            if kind != "text":
                streams.append(self._events(rules, kind, charset))
            elif rules.places and 200 <= response.status_code < 300:
                raise _Cannot("not_json")
            else:
                streams.append(TextStream(rules.redactor, charset))
        endpoint, identifier = request.endpoint or "?", self._exchange().id
        logger = self._state.app.logger

        def failed(error: str) -> None:
            logger.error(
                "The answer of %s was cut off while it ran, since redact(response=...) failed with %s (request %s).",
                endpoint,
                error,
                identifier,
            )

        # Nobody looks into it once it is coded: an after_request function that would do so is asked not to.
        request.environ.pop("HTTP_ACCEPT_ENCODING", None)
        response.direct_passthrough = False
        source = response.response
        running = Running(response.iter_encoded(), source, streams, failed)
        response.response = noted.running = running
        for name in (*_ABOUT_THE_BODY, *_VALIDATORS, "Content-Length", "Accept-Ranges"):
            response.headers.pop(name, None)
        return response

    @staticmethod
    def _events(rules: Rules, kind: Literal["sse", "lines"], charset: str, *, bounded: bool = True) -> EventStream:
        if codecs.lookup(charset).name != "utf-8":
            raise _Cannot("charset")
        return EventStream(rules.redactor, kind, rules.fields, rules.places, bounded=bounded)

    @staticmethod
    def _decoded(data: bytes, response: Response) -> bytes:
        encoding = response.headers.get("Content-Encoding", "")
        try:
            return decoded(data, encoding)
        except Exception:
            raise _Cannot("encoding") from None

    def _by(self, rules: Rules, data: bytes, response: Response) -> bytes:
        if is_json(response):
            return self._json(rules, data)
        charset = response.mimetype_params.get("charset", "utf-8")
        kind = kind_of(response)
        if kind in ("sse", "lines"):
            # Also where they are there at once: a secret may be spread over them. The whole is bounded as it is.
            stream = self._events(rules, kind, charset, bounded=False)
            made: bytes = stream.feed(data) + stream.finish()
            return made
        if rules.places and 200 <= response.status_code < 300:
            raise _Cannot("not_json")
        if kind is None:
            raise _Cannot("media_type")
        try:
            text = data.decode(charset)
            if "\0" in text:
                raise _Cannot("charset")  # UTF-16 that does not say so reads as UTF-8 full of these
            clean = rules.redactor.redact(text)
            return data if clean == text else clean.encode(charset, "replace")
        except (LookupError, UnicodeError):
            raise _Cannot("charset") from None

    def _json(self, rules: Rules, data: bytes) -> bytes:
        twice = False

        def members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
            nonlocal twice
            found = dict(pairs)
            twice = twice or len(found) < len(pairs)
            return found

        try:
            value = json.loads(data, object_pairs_hook=members)
        except (ValueError, RecursionError):
            raise _Cannot("json") from None
        walk = Walk(rules.redactor, rules.places, max_nodes=_MAX_NODES, max_depth=MAX_DEPTH)
        made = walk(value)
        if walk.cut:
            self._tell("cut")
        # Of a member that is there twice, the other one was not looked at: it must not leave with the old text.
        return data if _same(made, value) and not twice else json.dumps(made, separators=(",", ":")).encode() + b"\n"

    @staticmethod
    def _put(response: Response, made: bytes) -> None:
        tag, is_weak = response.get_etag()
        headers = response.headers
        for name in _ABOUT_THE_BODY:
            headers.pop(name, None)
        response.set_data(made)
        if is_json(response):
            # What json.dumps writes is ASCII, whatever the text was in before.
            response.mimetype_params.pop("charset", None)
        if tag is not None:
            response.set_etag(generate_etag(made), bool(is_weak))

    def empty(self, *responses: Response) -> None:
        """Takes all out of an error handler's answer: where an ``after_request`` function fails for it, Flask sends
        what it had before, with all that was done to it.

        Any other answer is let go, and left as it is: the app may have made it once, for all its views.
        """
        if sys.exc_info()[0] is None:
            return
        for response in responses:
            response.direct_passthrough = False
            response.response = []
            for name in (*_ABOUT_THE_BODY, *_VALIDATORS, "Content-Length", "Content-Range"):
                response.headers.pop(name, None)
            response.status_code = 500

    def _refused(self, response: Response, reason: str) -> Denied:
        """What leaves instead."""
        self._tell(reason)
        app = self._state.app
        try:
            response.close()
        except Exception:
            app.logger.error("An answer of %s that was held back could not be closed.", request.endpoint)
        self.empty(response)
        return self._exchange().refuse(Denied.of("response.invalid", f"redaction: {reason}"))

    def _exchange(self) -> Exchange:
        return self._state.exchange(request._get_current_object())  # type: ignore[attr-defined]

    def _tell(self, reason: str) -> None:
        """Once a minute for each endpoint and reason."""
        endpoint = request.endpoint or "?"
        now = self._state.services[Clock].now()
        with self._lock:
            if 0 <= now - self._told.get((endpoint, reason), -_MINUTE) < _MINUTE:
                return
            self._told[(endpoint, reason)] = now
        if reason == "cut":
            self._state.app.logger.warning(
                "An answer of %s is larger than what redaction looks at (%d members, %d levels); the rest is left out.",
                endpoint,
                _MAX_NODES,
                MAX_DEPTH,
            )
            return
        self._state.app.logger.error(
            "The answer of %s was held back, since redact(response=...) cannot redact it: %s. The client got 500 "
            "(request %s).",
            endpoint,
            _CURES.get(reason, reason),
            self._exchange().id,
        )


def _in_our_words(app: Flask, denied: Denied) -> Response:
    made: Any = denied.to_response(app.response_class)
    response: Response = made
    return response


def _surround(app: Flask, outgoing: Outgoing) -> None:
    former: Callable[..., Response] = app.process_response

    def process_response(*args: Any, **kwargs: Any) -> Response:
        noted = None
        if has_request_context():
            noted = request._get_current_object().__dict__.get(_ATTRIBUTE)  # type: ignore[attr-defined]
        if noted is None:
            return former(*args, **kwargs)
        *before, response = args
        of_an_error = sys.exc_info()[0] is not None  # Flask words the answer while it handles the error
        first = outgoing.first(noted, response)
        try:
            made = former(*before, first, **kwargs)
        except BaseException:
            if of_an_error:
                outgoing.empty(response, first)
            raise
        return outgoing.last(noted, made)

    app.process_response = process_response  # type: ignore[method-assign]


def _untold(response: Response) -> Response:
    """An answer without a body, without what may be told of one: the hash and length that a HEAD is answered with."""
    for name in (*_ABOUT_THE_BODY, *_VALIDATORS):
        response.headers.pop(name, None)
    if request.method == "HEAD":
        response.headers.pop("Content-Length", None)
    return response


def _same(made: Any, value: Any) -> bool:
    """Whether a walk has changed nothing; without comparing texts with numbers, or True with 1."""
    if type(made) is not type(value):
        return False
    if isinstance(made, dict):
        return made.keys() == value.keys() and all(_same(one, value[key]) for key, one in made.items())
    if isinstance(made, list):
        return len(made) == len(value) and all(map(_same, made, value))
    return bool(made == value) or made is value


_READING = ("GET", "HEAD", "QUERY")
_ASKED = (
    "HTTP_IF_MATCH",
    "HTTP_IF_MODIFIED_SINCE",
    "HTTP_IF_NONE_MATCH",
    "HTTP_IF_RANGE",
    "HTTP_IF_UNMODIFIED_SINCE",
    "HTTP_RANGE",
)
_VALIDATORS = ("ETag", "Last-Modified")
_ABOUT_THE_BODY = ("Content-MD5", "Content-Digest", "Repr-Digest", "Digest", "Content-Encoding")
_CURES: Mapping[str, str] = {
    "charset": "its text is in a charset that Python does not read, or not in the one that it names; answer in UTF-8",
    "encoding": "its body is in a content coding that is not read here, or not in the one that it names; leave coding "
    "to a proxy, or to gzip or br in an after_request function",
    "json": "it says that it is JSON and is none, or is nested beyond what Python reads",
    "media_type": "it is neither JSON nor text; take redact off this view, or answer as JSON or text",
    "not_json": "paths and keys were declared, and it is not JSON; answer with a dict or a list",
    "range": "it is a piece of a whole (206), and a secret can lie across its ends",
    "stream": "it is a stream of what is no text, or of one JSON value, whose end is not known; answer with the whole, "
    "or with text, events or JSON Lines",
}
