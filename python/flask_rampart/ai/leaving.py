"""Leaving: what a guarded view returns, and what of it leaves.

It stands around ``process_response``, which every answer of Flask's passes, before the app's own ``after_request``
functions see it:

1. a refusal of ours passes; where the guard says ``errors="openai"``, in the words of OpenAI's API, so that its
   clients raise what they raise there;
2. an answer of 400 and above is the app's or the model's server's: of JSON and text, each text passes through the
   output steps. Anything else is held back;
3. a stream is treated as it comes (``streaming``), anything else as a whole;
4. what is not of its shape does not leave: 500 ``response.invalid``, and the app's log says where;
5. what fails to be treated, for whatever reason, does not leave either.

Header fields are not looked at. What an ``after_request`` function or a middleware of the app's puts in the place of an
answer was not seen here.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from flask import Flask, Response, has_request_context, request
from werkzeug.wrappers import Response as BaseResponse

from ..answering import instead
from ..errors import Denied
from ..refusals import Refusal
from .calls import call_of
from .refusing import in_openais_words
from .shapes import Stop
from .streaming import EventStream, Source, TextStream, plain
from .treating import Treating
from .visiting import Unshaped, walked

if TYPE_CHECKING:
    from ..guards import AppState
    from .calls import Call
    from .guarding import guard

_MOST_WHOLE = 16 << 20


class Leaving:
    """Where answers of one app are treated."""

    def __init__(self, state: AppState) -> None:
        self._state = state
        #: The guards of endpoints, whether or not they were asked.
        self.guards: dict[str, guard] = {}
        _surround(state.app, self)

    @classmethod
    def of(cls, state: AppState) -> Leaving:
        """The app's. Made when the first of its guards is bound, before the first request."""
        found: Leaving | None = state.services.get(cls)
        if found is None:
            found = state.services[cls] = cls(state)
        return found

    def treated(self, response: BaseResponse) -> BaseResponse:
        """What leaves instead of *response*."""
        this = request._get_current_object()  # type: ignore[attr-defined]
        call = call_of(this)
        declared = call.declared if call is not None else self.guards.get(request.endpoint or "")
        if declared is None:
            return response
        exchange = self._state.exchange(this)
        refusal = exchange.refusal
        if refusal is not None and _is_ours(response, refusal):
            if call is not None:
                call.end("refused", refusal.problem.code)
            return in_openais_words(self._state.app, refusal) if declared.errors == "openai" else response
        if call is None:
            return response  # nobody has asked a model: OPTIONS, and what the app refused before
        try:
            return self._answer(call, response)
        except Unshaped as error:
            reason = str(error)
        except Exception as error:
            reason = f"failed with {type(error).__name__}"
        return self._held_back(call, response, reason)

    def _answer(self, call: Call, response: BaseResponse) -> BaseResponse:
        if response.status_code >= 400:
            return self._error(call, response)
        if response.status_code in (204, 304) or response.status_code < 200:
            call.end("answered")
            response.set_data(b"")
            return response
        items = response.response
        is_events = response.mimetype == "text/event-stream"
        if is_events or (response.is_streamed and not response.is_json):
            source = items if isinstance(items, Source) else Source(items)
            call.is_streamed = True
            kind = TextStream if call.shape.name == "paths" and not is_events else EventStream
            if kind is EventStream:
                response.mimetype = "text/event-stream"
                response.headers.setdefault("Cache-Control", "no-store")
                response.headers.setdefault("X-Accel-Buffering", "no")
            if response.headers.get("Content-Encoding", "identity").lower() != "identity":
                raise Unshaped("it is compressed, and nobody can look into it")
            response.headers.pop("Content-Length", None)
            response.direct_passthrough = False
            response.response = kind(call, source)
            return response
        data = _whole(response)
        treating = Treating(call)
        if not response.is_json:
            if call.shape.name != "paths":
                raise Unshaped("it is no JSON")
            made: bytes = _as_text(treating, data.decode("utf-8"))
        else:
            answer = call.shape.answer(_json(data), treating)
            # NaN is no JSON, and what reads it as some is somebody else's.
            made = json.dumps(answer, separators=(",", ":"), allow_nan=False).encode()
        response.set_data(made)
        _drop_validators(response)
        call.end("stopped" if treating.rule else "answered", treating.rule)
        return response

    def _error(self, call: Call, response: BaseResponse) -> BaseResponse:
        data = _whole(response)
        # No word of the model's: what was used is not known by it.
        treating = Treating(call, counts=False)

        def text(value: str) -> str:
            try:
                return treating.text(0, value)
            except Stop as stop:
                return stop.rest

        if response.is_json:
            made = json.dumps(walked(_json(data), text), separators=(",", ":")).encode()
        elif (response.mimetype or "").startswith("text/") or not data:
            made = text(data.decode("utf-8")).encode() if data else b""
        else:
            raise Unshaped("an error that is neither JSON nor text")
        response.set_data(made)
        _drop_validators(response)
        call.end("failed", str(response.status_code))
        return response

    def _held_back(self, call: Call, response: BaseResponse, reason: str) -> BaseResponse:
        app = self._state.app
        app.logger.error(
            "The answer of %s was held back: it is not of the shape %r that its ai.guard says: %s. The client got 500 "
            "(request %s).",
            call.endpoint,
            call.shape.name,
            reason,
            call.exchange.id,
        )
        try:
            response.close()
        except Exception as error:
            app.logger.error("An answer that was held back could not be closed: %s.", type(error).__name__)
        denied = call.exchange.refuse(Denied.of("response.invalid", reason=f"ai: {reason}"))
        call.end("failed", "response.invalid")
        return in_openais_words(app, denied) if call.declared.errors == "openai" else instead(app, denied)


def _as_text(treating: Treating, text: str) -> bytes:
    try:
        return treating.whole(0, "text", text).encode()
    except Stop as stop:
        return stop.rest.encode()


def _is_ours(response: BaseResponse, refusal: Denied) -> bool:
    if isinstance(response, Refusal) and response.response == [response._document]:
        return True
    return (
        response.status_code == refusal.problem.status
        and not response.is_streamed
        and response.get_data() == refusal.document()
    )


def _whole(response: BaseResponse) -> bytes:
    """The body of an answer that is no stream, or one of JSON that ends."""
    if not (response.is_streamed or response.direct_passthrough):
        return response.get_data()
    response.direct_passthrough = False
    pieces: list[bytes] = []
    length = 0
    for piece in response.iter_encoded():
        pieces.append(piece)
        length += len(piece)
        if length > _MOST_WHOLE:
            raise Unshaped("it is longer than an answer may be")
    close = getattr(response.response, "close", None)
    if close is not None:
        close()
    return b"".join(pieces)


def _json(data: bytes) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        raise Unshaped("it is no JSON") from None


def _drop_validators(response: BaseResponse) -> None:
    for name in ("ETag", "Last-Modified", "Content-MD5", "Content-Digest", "Repr-Digest", "Content-Encoding"):
        response.headers.pop(name, None)


def _surround(app: Flask, leaving: Leaving) -> None:
    process: Callable[..., Any] = app.process_response
    make = app.make_response

    def process_response(*args: Any, **kwargs: Any) -> Any:
        *before, response = args
        if isinstance(response, BaseResponse) and has_request_context():
            response = leaving.treated(response)
        return process(*before, response, **kwargs)

    def make_response(rv: Any) -> Any:
        if has_request_context() and call_of(request._get_current_object()) is not None:  # type: ignore[attr-defined]
            rv = _lent(rv)
        return make(rv)

    app.process_response = process_response  # type: ignore[method-assign]
    app.make_response = make_response  # type: ignore[method-assign]


def _lent(rv: Any) -> Any:
    """What a client library gave, as Flask takes it."""
    if isinstance(rv, tuple) and rv:
        return (_lent(rv[0]), *rv[1:])
    if isinstance(rv, (str, bytes, dict, list, BaseResponse)):
        return rv
    if callable(getattr(rv, "model_dump", None)):
        return plain(rv)
    if isinstance(rv, Source):
        return stream(rv)
    if isinstance(rv, Iterator):
        call = call_of(request._get_current_object())  # type: ignore[attr-defined]
        if call is not None and call.shape.name == "paths":
            return Response(Source(rv), mimetype="text/plain")
        return stream(rv)
    return rv


def stream(items: Any) -> BaseResponse:
    """A streamed answer of a guarded view, from what a client of a model gives.

    :param items: an iterable of events: dicts, a client library's objects, or bytes or text of server-sent events.
        If it has ``close``, that is called when the answer ends, or the client goes.

    .. code-block:: python

        return ai.stream(client.chat.completions.create(**ai.prompt))
    """
    source = items if isinstance(items, Source) else Source(items)
    return Response(source, mimetype="text/event-stream")
