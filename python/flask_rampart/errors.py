"""What can go wrong, sorted by who is to blame.

* :class:`ConfigError` is the developer's. It is raised at start-up, may quote what was configured,
  and suggests the cure.
* :class:`Denied` is the peer's. The peer learns a stable code, as an RFC 9457 problem, and never a
  value; the detail goes to the log.
* :class:`IntegrityError` is somebody's who tampered, or mixed up keys or places. It is loud: nothing catches it on the
  way.

Every code that a peer can receive stands in :data:`PROBLEMS`, and in ``docs/problems.md``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from werkzeug.exceptions import HTTPException, default_exceptions
from werkzeug.http import HTTP_STATUS_CODES
from werkzeug.wrappers import Response

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

__all__ = ["PROBLEMS", "ConfigError", "Denied", "IntegrityError", "Problem", "RampartError"]


class RampartError(Exception):
    """The base of what Flask-Rampart raises for the developer."""


class ConfigError(RampartError, ValueError):
    """A setting, key, quota, schema or decorator that cannot be used; says what would be right."""


class IntegrityError(RampartError):
    """What was sealed was changed or cut, or is not what it is taken for: of another place, of another key.

    Nothing of the content is in it, and nothing was given out.

    :param reason: ``"altered"``: a key was tried, and did not seal this for this place; ``"no_key"``: no key that may
        open it bears the id that it begins with; ``"passphrase"``: a passphrase did not open a keyset.

    >>> error = IntegrityError("no_key")
    >>> error.reason, error.code
    ('no_key', 'vault.no_key')
    """

    place: str | None = None
    """What it was to be opened for, such as the column, where that is known. It is not in the error's text."""

    def __init__(self, reason: str = "altered") -> None:
        super().__init__(reason)
        self.reason = reason

    @property
    def code(self) -> str:
        """For alarms and logs: ``"vault."`` and the reason."""
        return f"vault.{self.reason}"

    def __str__(self) -> str:
        return f"what was sealed cannot be opened: {_UNOPENED.get(self.reason, self.reason)}"


_UNOPENED = {
    "altered": "it was changed, or is of another key, or of another place (associated data)",
    "no_key": "no key that may open it bears its id",
    "passphrase": "the passphrase is another, or the keyset was changed",
}


class Problem(NamedTuple):
    """One kind of refusal: its stable *code*, HTTP *status* and a sentence for whoever reads the answer."""

    code: str
    status: int
    detail: str
    type: str = "about:blank"


_TABLE = (
    Problem("ai.model", 404, "There is no such model for this caller."),
    Problem("ai.part", 422, "The prompt has a part that this resource does not take."),
    Problem("ai.refused", 422, "The prompt has something in it that this resource does not take."),
    Problem("ai.role", 422, "The prompt has a message of a role that this resource does not take."),
    Problem("ai.shape", 422, "The body does not have the shape that this resource reads."),
    Problem("ai.too_long", 413, "The prompt is longer than this resource takes."),
    Problem("ai.tool", 422, "The prompt names a tool that this resource does not take."),
    Problem("app.uninitialised", 503, "This service is not ready to answer."),
    Problem("audit.unavailable", 503, "The request cannot be recorded right now; see Retry-After."),
    Problem("auth.ambiguous", 400, "The request carries more than one credential."),
    Problem("auth.audience", 403, "The credential was not made for this resource."),
    Problem("auth.invalid", 401, "The credential is not valid here."),
    Problem("auth.issuer", 403, "This resource does not take credentials of this issuer."),
    Problem("auth.missing", 401, "This resource needs a credential."),
    Problem("auth.permission", 403, "The caller does not have a permission that this resource needs."),
    Problem("auth.policy", 403, "The caller may not do this."),
    Problem("auth.role", 403, "The credential does not have a role that this resource needs."),
    Problem("auth.scope", 403, "The credential does not have a scope that this resource needs."),
    Problem("auth.stale", 401, "This resource needs a more recent authentication."),
    Problem("auth.unavailable", 503, "The credential cannot be checked right now; see Retry-After."),
    Problem("body.coding", 415, "The body is not in a content coding that this resource reads; see Accept-Encoding."),
    Problem("body.consumed", 500, "The request could not be checked."),
    Problem("body.incomplete", 400, "The body is shorter than its declared length."),
    Problem("body.invalid", 422, "The body does not have the shape that this resource needs."),
    Problem("body.media_type", 415, "The body is not of a media type that this resource reads."),
    Problem("body.too_large", 413, "The body is larger than this resource reads."),
    Problem("body.undecodable", 400, "The body cannot be decoded as its Content-Encoding says."),
    Problem("cookies.invalid", 422, "The cookies are not what this resource needs."),
    Problem("cors.refused", 403, "Pages of this origin may not send this request."),
    Problem("csrf.invalid", 403, "The request does not prove that it is from a page of this site."),
    Problem("csrf.origin", 403, "The request is from a page of another site, of which this resource takes none."),
    Problem("expectation.refused", 417, "The request expects what this service does not do."),
    Problem("files.invalid", 422, "The files are not what this resource needs."),
    Problem("form.invalid", 422, "The form is not what this resource needs."),
    Problem("guard.failed", 500, "The request could not be checked."),
    Problem("head.too_large", 431, "The header fields are more than this service reads."),
    Problem("headers.invalid", 422, "The header fields are not what this resource needs."),
    Problem("host.unknown", 421, "This service does not answer for the host that the request names."),
    Problem("https.required", 403, "This service is to be had by HTTPS alone."),
    Problem("json.duplicate_key", 400, "The body names a member twice."),
    Problem("json.encoding", 400, "The body is not UTF-8 text without a byte order mark."),
    Problem("json.malformed", 400, "The body is not JSON."),
    Problem("json.non_finite", 400, "The body holds a number that is not finite."),
    Problem("json.number_too_long", 400, "The body holds a number with too many digits."),
    Problem("json.surrogate", 400, "The body holds half of a surrogate pair."),
    Problem("json.too_deep", 400, "The body is nested too deeply."),
    Problem("json.too_large", 413, "The body is larger than this resource reads."),
    Problem("json.too_many_keys", 400, "The body has too many members."),
    Problem("key.invalid", 401, "The API key is not valid here."),
    Problem(
        "limit.banned",
        429,
        "Requests from here are refused for a while; see Retry-After.",
        "https://iana.org/assignments/http-problem-types#abnormal-usage-detected",
    ),
    Problem(
        "limit.exceeded",
        429,
        "Too many requests; see Retry-After.",
        "https://iana.org/assignments/http-problem-types#quota-exceeded",
    ),
    Problem("limit.too_costly", 400, "The request costs more than its quota can ever hold."),
    Problem("method.refused", 501, "This service does not know the method."),
    Problem("path.invalid", 422, "The path is not what this resource needs."),
    Problem("path.malformed", 400, "The path can be read in more than one way."),
    Problem("path.too_long", 414, "The path is longer than this service reads."),
    Problem("proof.invalid", 401, "The DPoP proof is not valid for this request."),
    Problem("proof.nonce", 401, "The DPoP proof needs the nonce in DPoP-Nonce."),
    Problem("query.invalid", 422, "The query is not what this resource needs."),
    Problem("query.too_long", 414, "The query is longer than this resource reads."),
    Problem("request.malformed", 400, "The request is not well formed."),
    Problem("response.invalid", 500, "The service made an answer that it may not send."),
    Problem("route.undeclared", 403, "This resource is not open."),
    Problem("store.unavailable", 503, "The request cannot be checked right now; see Retry-After."),
    Problem("token.expired", 401, "The token has expired."),
    Problem("token.invalid", 401, "The token is not valid here."),
    Problem("url.refused", 422, "The request names a URL that this service does not call."),
)

PROBLEMS: Mapping[str, Problem] = {problem.code: problem for problem in _TABLE}
"""Every refusal that a peer can receive, by code."""

PROBLEM_JSON = "application/problem+json"


_encode = json.JSONEncoder(separators=(",", ":")).encode


def _prefix(problem: Problem) -> str:
    """The constant part of the document, open at its end."""
    document = {
        "type": problem.type,
        "title": HTTP_STATUS_CODES[problem.status],
        "status": problem.status,
        "detail": problem.detail,
        "code": problem.code,
    }
    return json.dumps(document, separators=(",", ":"))[:-1]


_PREFIXES = {code: _prefix(problem) for code, problem in PROBLEMS.items()}
STATUS_LINES = {status: f"{status} {HTTP_STATUS_CODES[status].upper()}" for status in {p.status for p in _TABLE}}


class Denied(HTTPException):
    """A refusal. It is an ``HTTPException`` of its status, so that the app's own error handlers see it.

    :param code: one of :data:`PROBLEMS`.
    :param reason: for the log only, never sent: which rule refused, in a word or two.
    :param headers: added to the answer, such as ``("Retry-After", "3")``.
    :param members: further members of the problem document (RFC 9457 section 3.2), as a dict or as the JSON of them
        without its braces; no peer's value in them.

    >>> refusal = Denied.of("token.expired")
    >>> refusal.code, refusal.problem.code
    (401, 'token.expired')
    """

    problem: Problem
    reason: str
    request_id = ""

    @staticmethod
    def of(
        code: str,
        reason: str = "",
        *,
        headers: Sequence[tuple[str, str]] = (),
        members: Mapping[str, Any] | str | None = None,
    ) -> Denied:
        """A refusal of this code, in the exception class of its status."""
        problem = PROBLEMS[code]
        kind, defaults = _CLASSES[problem.status]
        # Without the constructors of werkzeug's classes, which do no more than store these.
        denied = kind.__new__(kind)
        state = denied.__dict__
        state.update(defaults)
        state["problem"] = problem
        state["reason"] = reason
        state["extra_headers"] = headers
        state["_members"] = members
        return denied

    extra_headers: Sequence[tuple[str, str]]
    _members: Mapping[str, Any] | str | None

    @property
    def description(self) -> str:  # type: ignore[override]
        """The sentence for whoever reads the answer: what an error handler finds in any ``HTTPException``."""
        return self.problem.detail

    @property
    def data(self) -> dict[str, Any]:
        """The problem as a dict of the caller's own: what Flask-RESTful and Flask-RESTX answer with."""
        found: dict[str, Any] = json.loads(self.document())
        return found

    @property
    def members(self) -> Mapping[str, Any]:
        """Further members of the document, such as ``errors``."""
        members = self._members
        if isinstance(members, str):
            found: dict[str, Any] = json.loads(f"{{{members}}}")
            return found
        return members or {}

    def document(self) -> bytes:
        """The problem as JSON (RFC 9457)."""
        members = self._members
        if members and not isinstance(members, str):
            members = _encode(members)[1:-1]
        text = _PREFIXES[self.problem.code]
        if members:
            text = f"{text},{members}"
        if self.request_id:
            return f'{text},"request_id":"{self.request_id}"}}'.encode()
        return f"{text}}}".encode()

    def get_body(self, environ: WSGIEnvironment | None = None, scope: Any = None) -> str:
        return self.document().decode()

    def get_headers(self, environ: WSGIEnvironment | None = None, scope: Any = None) -> list[tuple[str, str]]:
        return [("Content-Type", PROBLEM_JSON), *self.extra_headers]

    def get_response(  # type: ignore[override]
        self, environ: WSGIEnvironment | None = None, scope: Any = None
    ) -> Response:
        return self.to_response(Response)

    def to_response(self, response_class: type[Response]) -> Response:
        """The refusal as the app's own kind of response."""
        return response_class(self.document(), self.problem.status, self.get_headers())

    def __str__(self) -> str:
        return f"{self.problem.status} {self.problem.code}"


# Flask finds a handler by exception class, so a handler of the app for 403 or for `Forbidden` must
# find ours: each status gets a class that is both.
def _class_of(status: int) -> tuple[type[Denied], dict[str, Any]]:
    kind = type(f"Denied{status}", (Denied, default_exceptions[status]), {"__module__": __name__})
    return kind, vars(kind())


_CLASSES = {status: _class_of(status) for status in STATUS_LINES}
