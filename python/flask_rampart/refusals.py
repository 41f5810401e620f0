"""A refusal as a response of the app's.

Most of what a response can do, a refusal does not need: it is one document, its length is known, nobody
closes it. Where the app's ``response_class`` is Flask's own, :func:`response_to` therefore makes one that leaves
out what was not asked for. To the app it is a response like any other: an ``after_request`` function may
read it, change it or give another in its place, and whatever was touched takes the usual way.

It decides nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from flask import Response
from werkzeug.datastructures import Headers
from werkzeug.utils import cached_property

from .errors import PROBLEM_JSON, STATUS_LINES, Denied

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment
    from werkzeug.wrappers import Response as BaseResponse


class Refusal(Response):
    """A refusal that is on its way out. Made by :func:`response_to`."""

    _line: str
    _document: bytes
    _extra: Sequence[tuple[str, str]]

    @cached_property
    def headers(self) -> Headers:
        """Made when somebody asks for it."""
        return Headers(self._fields())

    def _fields(self) -> list[tuple[str, str]]:
        return [
            ("Content-Type", PROBLEM_JSON),
            *self._extra,
            ("Content-Length", str(len(self._document))),
        ]

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        state = self.__dict__
        body = state["response"]
        status = state["_status"]
        if (
            "headers" in state
            or state["_on_close"]
            or status != self._line
            or type(body) is not list
            or len(body) != 1
            or body[0] is not self._document
            or environ.get("REQUEST_METHOD") == "HEAD"
        ):
            return super().__call__(environ, start_response)
        start_response(status, self._fields())
        return [self._document]


def response_to(denied: Denied, response_class: type[BaseResponse]) -> BaseResponse:
    """The refusal as the app's own kind of response."""
    state = _STATES.get(denied.problem.status) if response_class is Response else None
    if state is None:
        return denied.to_response(response_class)
    refusal = Refusal.__new__(Refusal)
    document = denied.document()
    own = refusal.__dict__
    own.update(state)
    own["_on_close"] = []
    own["_document"] = document
    own["_extra"] = denied.extra_headers
    own["response"] = [document]
    return refusal


def _state(status: int) -> dict[str, Any] | None:
    """What werkzeug's constructor leaves in a response of this status; None if it is more than we know."""
    made = vars(Response(b"", status, [("Content-Type", PROBLEM_JSON)]))
    if made.keys() != {"headers", "_status", "_status_code", "direct_passthrough", "_on_close", "response"}:
        return None
    kept = {name: made[name] for name in ("_status", "_status_code", "direct_passthrough")}
    return {**kept, "_line": made["_status"]}


_STATES = {status: state for status in STATUS_LINES if (state := _state(status)) is not None}


Fields = tuple[tuple[str, str], ...]


class Challenge:
    """What refusals of one kind of credential say in ``WWW-Authenticate``: RFC 9110 section 11.6.1, RFC 6750 section 3.

    :param scheme: such as ``"Bearer"``.
    :param parameters: what every challenge says, such as ``resource_metadata`` (RFC 9728 section 5.1).
    :param beside: the challenge of another scheme by which the same kind may come, such as ``DPoP`` (RFC 9449 section
        7.1).

    >>> Challenge("Bearer").fields("invalid_token")
    (('WWW-Authenticate', 'Bearer realm="api", error="invalid_token"'),)
    """

    def __init__(
        self, scheme: str, parameters: Mapping[str, str] | None = None, *, beside: Challenge | None = None
    ) -> None:
        self.scheme = scheme
        self._offers: dict[str, dict[str, str]] = {scheme: {"realm": "api", **(parameters or {})}}
        if beside is not None:
            self._offers.update(beside._offers)
        self._refused = {
            by: {code: self.fields(error, by=by) for code, error in _ERRORS.items()} for by in self._offers
        }
        self._otherwise = {
            # The word is RFC 6750's and RFC 9449's: other schemes do not have it.
            by: self.fields("invalid_token", by=by) if by in ("Bearer", "DPoP") else self.fields()
            for by in self._offers
        }

    def fields(self, error: str = "", *, by: str = "", **more: str) -> Fields:
        """The header fields of a challenge with this *error*, if there was a credential, and *more* parameters.

        :param by: the scheme that it is told to; all of them, if none is named.
        """
        made = []
        for scheme, parameters in self._offers.items():
            told = dict(parameters)
            if by in ("", scheme):
                told.update({"error": error} if error else {}, **more)
            text = ", ".join(f'{name}="{_quoted(value)}"' for name, value in told.items())
            made.append(("WWW-Authenticate", f"{scheme} {text}"))
        return tuple(made)

    def refused(self, verdict: tuple[str, str], *, by: str = "", more: Fields = ()) -> Denied:
        """A refusal of a credential: *verdict* is its code, and the reason for the log.

        :param by: the scheme that the credential came by, if that is not the first.
        :param more: further header fields.
        """
        code, reason = verdict
        if by not in self._offers:
            by = self.scheme
        fields = self._refused[by].get(code, self._otherwise[by])
        return Denied.of(code, reason, headers=(*fields, *more) if more else fields)


_ERRORS = {
    "auth.ambiguous": "invalid_request",
    "proof.invalid": "invalid_dpop_proof",
    "proof.nonce": "use_dpop_nonce",
}


def _quoted(value: str) -> str:
    """The inside of a quoted string. What is set by a developer may have quotes, never line ends."""
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\r", " ").replace("\n", " ")
