"""Answers: whether they are what a view has promised, and how a model that it returns becomes one.

``validate(response=...)`` names a shape by status. An answer is judged after the view and all of the app's own
``after_request`` functions, before anything of it leaves:

1. the status is looked for as itself, then as ``"2XX"``, then as ``"default"``; a 2xx that is in none breaks the
   contract; any other status that is in none is not judged: errors have shapes of their own;
2. None, and a schema that is empty, promise no shape: the body is not looked at;
3. a shape needs JSON: another media type, a stream whose length is not said, and an encoding that is not read here
   break the contract, since nothing can be said of what they hold;
4. no body is looked for where HTTP has none: 204, 304, and an answer to HEAD that is empty.

``enforce`` answers 500 ``response.invalid`` instead; ``log`` says so, once a minute for each status of an endpoint, by
place and rule, never by value. An answer to a request that was refused before its view is not judged.

It sees what Flask sees: what a WSGI middleware does to an answer comes later, and so does what another extension puts
in front of the first ``after_request`` function after the first request.
"""

from __future__ import annotations

import functools
import json
import re
import zlib
from collections.abc import Callable, Hashable, Iterator, Mapping
from http import HTTPStatus
from typing import Any

from flask import Flask, Response, has_request_context, request
from werkzeug.wrappers import Response as BaseResponse

from .. import signals
from .._native import Clock, JsonBounds, JsonRejected, Schema, SchemaRejected
from ..answering import ask_readable, decoded, instead, is_whole
from ..checks import Check
from ..errors import ConfigError, Denied
from ..exchange import Exchange
from ..guards import AppState
from ..locks import Lock
from ..signals import emit
from .bodies import Bounds
from .generated import Errors
from .models import Model, answering_schema, check_given, has_instance, is_instance, is_model, model_of, name_of

MODES = ("off", "log", "enforce")


def by_status(given: object) -> dict[str, Any]:
    """The shapes of ``validate(response=...)``, each by its status.

    :raises ConfigError: for what is no status, or no shape.

    >>> by_status({201: {"type": "object"}, "4xx": None})
    {'201': {'type': 'object'}, '4XX': None}
    >>> by_status({"type": "object"})
    {'2XX': {'type': 'object'}}
    """
    shapes: dict[str, Any] = {"2XX": given}
    if isinstance(given, Mapping) and any(_is_status(key) for key in given):
        strange = [key for key in given if not _is_status(key)]
        if strange:
            raise ConfigError(f'validate(response=...): {strange[0]!r} is no status; write 200, "2XX" or "default".')
        shapes = {str(key).upper() if key != "default" else "default": shape for key, shape in given.items()}
        if len(shapes) < len(given):
            raise ConfigError("validate(response=...) names a status twice.")
    for status, shape in shapes.items():
        if shape is not None:
            check_given(f"response={{{status}: ...}}" if len(shapes) > 1 else "response", shape)
    return {status: None if shape == {} else shape for status, shape in shapes.items()}


def _is_status(key: object) -> bool:
    return not isinstance(key, bool) and _STATUS.fullmatch(str(key)) is not None


class Contract:
    """What the answers of one endpoint are."""

    def __init__(self, endpoint: str, given: Mapping[str, Any], mode: str, bounds: Bounds, compile_: _Compile) -> None:
        self.endpoint = endpoint
        self.mode = mode
        self._shapes: dict[str, Schema | None] = {}
        self._models: dict[str, Model] = {}
        for status, shape in given.items():
            if is_model(shape):
                self._models[status] = model_of(shape)
                where, text = f"validate(response={name_of(shape)})", json.dumps(answering_schema(shape))
            else:
                where, text = bounds.text("response", shape) if shape is not None else ("", "")
            self._shapes[status] = compile_(where, text) if text else None
        self._told: dict[int, float] = {}

    @property
    def is_idle(self) -> bool:
        """Whether there is nothing to do for a request."""
        return self.mode == "off" and not self._models

    def _key(self, status: int) -> str | None:
        for key in (str(status), f"{status // 100}XX", "default"):
            if key in self._shapes:
                return key
        return None

    def broken(self, response: Response, method: str) -> Errors:
        """What is wrong with an answer: (JSON Pointer, rule)."""
        status = response.status_code
        key = self._key(status)
        if key is None:
            return [("", "status")] if 200 <= status < 300 else []
        shape = self._shapes[key]
        if shape is None or status in (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED):
            return []
        if not is_whole(response):
            return [("", "stream")]
        data = response.get_data()
        if not data and method == "HEAD":
            return []
        if not response.is_json:
            return [("", "media_type")]
        try:
            plain = decoded(data, response.headers.get("Content-Encoding", ""))
        except (ValueError, zlib.error):
            return [("", "encoding")]
        said = shape.judge(plain)
        if isinstance(said, JsonRejected):
            return [("", said.code)]
        if isinstance(said, SchemaRejected):
            return said.errors or [("", "schema")]
        return []

    def dumped(self, value: Any, status: int) -> Any:
        """What a view returned, as JSON, if a model made it; else *value* itself."""
        model = self._models.get(self._key(status) or "")
        if isinstance(value, _FLASKS) or (callable(value) and not is_instance(value)):
            return value
        if model is not None and model.takes(value):
            return model.dump(value)
        if not has_instance(value):
            return value
        if model is not None and not isinstance(value, dict):
            # Of another class: written whole, it would tell what nobody promised, a password say.
            raise TypeError(
                f"{self.endpoint} returned a {type(value).__name__} that is not the model of its "
                "validate(response=...): make one of that."
            )
        return _plain(value)

    def is_news(self, status: int, now: float) -> bool:
        """Whether a break of the contract is to be logged: once a minute for each status."""
        if 0 <= now - self._told.get(status, -_MINUTE) < _MINUTE:
            return False
        self._told[status] = now
        return True


_Compile = Callable[[str, str], Schema]


class Responses:
    """The contracts of one app, and where they are held: around ``make_response``, and last in ``after_request``."""

    def __init__(self, state: AppState) -> None:
        self._state = state
        self._lock = Lock()
        self._lends = self._watches = False
        settings = state.settings
        # An answer is the app's own: bounded in depth as all that is judged, and hardly in length.
        self._bounds = JsonBounds(
            max_bytes=1 << 30, max_depth=settings.json_max_depth, max_keys=100_000_000, max_digits=4300
        )
        self._compiled: dict[str, Schema] = {}

    @classmethod
    def of(cls, state: AppState) -> Responses:
        """The app's."""
        found: Responses = state.services.setdefault(cls, cls(state))
        return found

    def contract(self, given: Mapping[str, Any], mode: str | None, endpoint: str) -> Contract:
        """:raises ConfigError: for a shape that cannot be used."""
        app = self._state.app
        # Where nobody but the developer waits for the answer, a break is shown.
        otherwise = "enforce" if app.testing else "log" if app.debug else "off"
        chosen = mode or self._state.settings.response_mode or otherwise
        contract = Contract(endpoint, given, chosen, self._state.services[Bounds], self._schema)
        with self._lock:
            if contract._models and not self._lends:
                _lend(app)
                self._lends = True
            if chosen != "off" and not self._watches:
                # The first one is called last. One assignment: no other thread sees a list without it.
                app.after_request_funcs[None] = [self._last, *app.after_request_funcs.get(None, [])]
                self._watches = True
        return contract

    def _schema(self, where: str, text: str) -> Schema:
        if text not in self._compiled:
            try:
                self._compiled[text] = Schema(text, self._bounds)
            except ValueError as error:
                raise ConfigError(f"{where}: {error}") from None
        return self._compiled[text]

    def armed(self, contract: Contract, check: Check | None) -> Check:
        """*check*, and then the contract holds for what the view answers."""
        if contract.is_idle:
            return check or _admit
        views = self._state.app.view_functions

        def checked(exchange: Exchange) -> Denied | None:
            denied = check(exchange) if check is not None else None
            if denied is None:
                this = exchange.request()
                if contract.mode != "off":
                    ask_readable(exchange.environ)
                # Of a view that another view calls, the answer is not what leaves.
                if this.endpoint == contract.endpoint:
                    this.__dict__[_CONTRACT] = contract
                elif contract.endpoint not in views:
                    # Of a function without a route: hidden below one that promises something, it does not undo that.
                    this.__dict__.setdefault(_CONTRACT, contract)
            return denied

        return checked

    def _last(self, response: Response) -> Response:
        this = request._get_current_object()  # type: ignore[attr-defined]
        contract: Contract | None = this.__dict__.get(_CONTRACT)
        if contract is None or contract.mode == "off":
            return response
        app = self._state.app
        try:
            errors = contract.broken(response, this.method)
        except Exception:
            app.logger.exception("An answer of %s could not be judged.", contract.endpoint)
            errors = [("", "failed")]
        return self._broken(contract, response, errors) if errors else response

    def _broken(self, contract: Contract, response: Response, errors: Errors) -> Response:
        app, exchange = self._state.app, self._state.exchange(request._get_current_object())  # type: ignore[attr-defined]
        enforced, status = contract.mode == "enforce", response.status_code
        (pointer, rule), *_ = errors
        if contract.is_news(status, self._state.services[Clock].now()):
            app.logger.warning(
                "The answer of %s with status %d is not what its contract says: %s at %r (request %s)%s.",
                contract.endpoint,
                status,
                rule,
                pointer,
                exchange.id,
                "; the client got 500 instead" if enforced else "",
            )
        facts = {"endpoint": contract.endpoint, "status": status, "errors": list(errors), "enforced": enforced}
        emit(signals.response_invalid, app, exchange=exchange, **facts)
        if not enforced:
            return response
        try:
            # It will not be iterated: what it holds (a file, a generator) is given back here.
            response.close()
        except Exception:
            app.logger.exception("An answer of %s that was held back could not be closed.", contract.endpoint)
        denied = exchange.refuse(Denied.of("response.invalid", f"{rule} at {pointer!r}"))
        return instead(app, denied)


def _lend(app: Flask) -> None:
    """Lets views return models: what ``make_response`` is given goes through the contract first."""
    make = app.make_response

    def make_response(rv: Any) -> Response:
        contract: Contract | None = None
        if has_request_context():
            contract = request._get_current_object().__dict__.get(_CONTRACT)  # type: ignore[attr-defined]
        return make(rv if contract is None else _made(app, contract, rv))

    app.make_response = make_response  # type: ignore[method-assign]


def _made(app: Flask, contract: Contract, rv: Any) -> Any:
    """*rv* with its body made, if that is a model's."""
    body, *rest = rv if isinstance(rv, tuple) and 2 <= len(rv) <= 3 else (rv,)
    status = rest[0] if rest and isinstance(rest[0], (int, str)) else 200
    try:
        number = int(status) if isinstance(status, int) else int(status.split(None, 1)[0])
    except (ValueError, IndexError):
        return rv
    made = contract.dumped(body, number)
    if made is body:
        return rv
    body = app.json.response(made)
    return (body, *rest) if rest else body


def _own(value: Any) -> Model:
    kind: Any = type(value)
    return _of_class(kind)


@functools.lru_cache(256)
def _of_class(kind: Hashable) -> Model:
    return model_of(kind)


def _plain(value: Any) -> Any:
    """A list or dict with the instances in it dumped, each by its own library."""
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    return _own(value).dump(value) if is_instance(value) else value


def _admit(exchange: Exchange) -> Denied | None:
    return None


_CONTRACT = "_rampart_contract"
_STATUS = re.compile(r"[1-5][0-9]{2}|[1-5][xX]{2}|default")
_MINUTE = 60.0
_FLASKS = (str, bytes, bytearray, Iterator, BaseResponse)
"""What Flask makes a response of by itself; as of what can be called, a WSGI app."""
