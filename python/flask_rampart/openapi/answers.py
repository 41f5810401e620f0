"""The answers of an operation: what its guards refuse it with, and what its view says.

1. Each guard adds the codes of :data:`~flask_rampart.errors.PROBLEMS` that it can refuse this operation with, and no
   other. They become one answer for each status, a reference to a component, with the codes in its description and
   in ``x-rampart-codes``.
2. An app that has an error handler for a refusal words it itself: its answer is described without content.
3. What ``describe`` and ``validate(response=...)`` say of the view's own answers comes beside that.
4. A view that says nothing of its own answers has ``default``: anything. What it says nothing of is not made up.
5. A path that takes something may lead nowhere: 404, as Flask gives it.

Faults of the server (500) are nobody's contract, and not told; but for ``response.invalid``, where ``"enforce"`` is
said.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from flask import Flask
from werkzeug.http import HTTP_STATUS_CODES

from ..access import CustomScheme, Schemes, require
from ..codings import AS_IS
from ..config import Settings
from ..errors import PROBLEM_JSON, PROBLEMS, Denied
from ..guards import AppState
from ..issuers import Issuers
from ..limits import is_limited, limit
from ..tokens import Tokens
from .keywords import Object
from .schemas import Schemas

_JSON = tuple(code for code in PROBLEMS if code.startswith("json."))
#: What is refused before there is a route, whatever the operation.
EDGE = ("head.too_large", "path.malformed", "path.too_long", "query.too_long")
_CODED = frozenset(("body.coding", "body.undecodable"))
_READ = ("body.incomplete", "body.too_large")
_WITH_BODY = frozenset(("POST", "PUT", "PATCH", "DELETE"))
_SECONDS: Object = {"type": "integer", "minimum": 0}
_LEGACY = ("X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset")


class Answers:
    """What the operations of one app can be refused with."""

    def __init__(self, state: AppState, schemas: Schemas) -> None:
        self._state = state
        self._settings: Settings = state.settings
        self._schemes: Schemes = state.services[Schemes]
        self._schemas = schemas
        self._is_limited = is_limited(state)
        self._responses: Object = {}
        self._headers: Object = {}
        self._problem = ""

    @property
    def responses(self) -> Object:
        """The components that operations refer to."""
        return dict(sorted(self._responses.items()))

    @property
    def headers(self) -> Object:
        """Fields of answers that operations refer to."""
        return dict(sorted(self._headers.items()))

    def codes(
        self,
        path: str,
        method: str,
        *,
        demands: Sequence[require],
        kinds: Sequence[str],
        limits: Sequence[limit],
        parts: Iterable[str],
        of_types: bool = False,
        enforced: bool = False,
        more: Iterable[str] = (),
    ) -> dict[str, list[str]]:
        """The codes that an operation can be refused with, by status.

        :param kinds: the schemes that the view takes.
        :param parts: what of the request has a schema.
        :param of_types: whether a body has to be of certain media types.
        :param enforced: whether an answer that is not what it should be is held back.
        :param more: codes that the view itself says.
        """
        parts = frozenset(parts)
        found: set[str] = {*more, *EDGE}
        has_body = method in _WITH_BODY or of_types or not parts.isdisjoint(("body", "form", "files"))
        if has_body:
            found |= {"request.malformed", "body.too_large"}
            found |= frozenset() if AS_IS in self._settings.request_codings else _CODED
        if of_types:
            found.add("body.media_type")
        if enforced:
            found.add("response.invalid")
        if self._is_limited:
            found.add("limit.banned")
            if self._settings.limits is not None and path not in self._settings.limits_exempt_paths:
                found.add("limit.exceeded")
        if demands:
            found |= self._of_callers(demands, kinds, method)
        for guard in limits:
            found |= _of_limit(guard)
        found |= _of_parts(parts)
        by_status: dict[str, list[str]] = {}
        for code in sorted(found):
            by_status.setdefault(str(PROBLEMS[code].status), []).append(code)
        return dict(sorted(by_status.items()))

    def of_problems(self, by_status: Mapping[str, Sequence[str]], blueprints: list[str]) -> Object:
        """The answers for these codes."""
        made: Object = {}
        for status, codes in by_status.items():
            told = f"{HTTP_STATUS_CODES[int(status)]}: {', '.join(codes)}."
            if any(_is_worded(self._state.app, code, blueprints) for code in codes):
                fields = self._fields(status, certain=False)
                made[status] = {"description": told, **({"headers": fields} if fields else {})}
            else:
                made[status] = {"$ref": f"#/components/responses/{self._component(status)}", "description": told}
        return made

    def content(self, **more: Any) -> Object:
        """The content of a refusal.

        :param more: keywords beside the schema of problems.
        """
        if not self._problem:
            self._problem = self._schemas.put("Problem", _PROBLEM)
        return {PROBLEM_JSON: {"schema": {"$ref": f"#/components/schemas/{self._problem}", **more}}}

    def _component(self, status: str) -> str:
        """The component for a status: the same for all operations."""
        name = HTTP_STATUS_CODES[int(status)].replace(" ", "")
        if name not in self._responses:
            fields = self._fields(status, certain=True)
            self._responses[name] = {
                "description": HTTP_STATUS_CODES[int(status)],
                **({"headers": fields} if fields else {}),
                "content": self.content(properties={"status": {"const": int(status)}}),
            }
        return name

    def _fields(self, status: str, *, certain: bool) -> Object:
        """The fields of the head that an answer has beside its content.

        :param certain: whether one that we always send is sent: who words an answer instead of us may leave it out.
        """
        if status == "429":
            names = {"Retry-After": certain}
            told = self._settings.limit_headers
            if told in ("draft", "both"):
                names |= {"RateLimit": False, "RateLimit-Policy": False}
            if told in ("legacy", "both"):
                names |= dict.fromkeys(_LEGACY, False)
        elif status == "503":
            names = {"Retry-After": certain}
        elif status == "401":
            names = {"WWW-Authenticate": certain}
            if self._settings.dpop_nonce:
                names["DPoP-Nonce"] = False
        elif status == "403":
            names = {"WWW-Authenticate": False}
        elif status == "415":
            names = {"Accept": False, "Accept-Encoding": False}
        else:
            return {}
        made = {}
        for name, required in names.items():
            key = f"{name}-always" if required else name
            self._headers[key] = {**_FIELDS[name], **({"required": True} if required else {})}
            made[name] = {"$ref": f"#/components/headers/{key}"}
        return made

    def _of_callers(self, demands: Sequence[require], kinds: Sequence[str], method: str) -> set[str]:
        settings, known = self._settings, self._schemes
        found: set[str] = set()
        optional = all(demand.optional for demand in demands)
        found.add("auth.invalid" if optional else "auth.missing")
        if settings.user_loading == "eager":
            found.add("auth.invalid")
        # A bearer token is one of two also beside another in the query (RFC 6750 section 2).
        if len(known) > 1 or not all(isinstance(scheme, CustomScheme) for scheme in known.values()):
            found.add("auth.ambiguous")
        for kind in kinds:
            if isinstance(known[kind], CustomScheme):
                found.add("auth.invalid")
            elif kind == "api_key":
                # A key may have a quota of its own.
                found |= {"key.invalid", "store.unavailable", "limit.exceeded"}
            else:
                found |= self._of_tokens(method)
        if any(demand.scopes or demand.any_scopes for demand in demands):
            found.add("auth.scope")
        if any(demand.roles or demand.any_roles for demand in demands):
            found.add("auth.role")
        if any(demand.permissions or demand.any_permissions for demand in demands):
            found.add("auth.permission")
        if any(demand.issuers for demand in demands):
            found.add("auth.issuer")
        if any(demand.audiences for demand in demands):
            found.add("auth.audience")
        if any(demand.fresh or demand.max_age is not None for demand in demands):
            found.add("auth.stale")
        if any(demand.policy for demand in demands):
            found.add("auth.policy")
        return found

    def _of_tokens(self, method: str) -> set[str]:
        settings, services = self._settings, self._state.services
        found = {"token.expired", "token.invalid"}
        tokens: Tokens | None = services.get(Tokens)
        issuers: Issuers | None = services.get(Issuers)
        if issuers is not None and any(entry.keys is None or entry.introspection for entry in issuers.entries):
            found.add("auth.unavailable")
        if settings.jwt_revocation or (tokens is not None and tokens.revocations is not None):
            found.add("store.unavailable")
        if settings.dpop != "off":
            found |= {"proof.invalid", "limit.exceeded"}
            if settings.dpop_nonce:
                found.add("proof.nonce")
        if settings.client_cert != "off":
            found.add("proof.invalid")
        if tokens is not None and "cookie" in settings.jwt_locations and method in _WITH_BODY:
            found.add("csrf.invalid")
        if tokens is not None and "json" in settings.jwt_locations and method in _WITH_BODY:
            found |= {*_JSON, *_READ}
        return found


def status_text(status: str) -> str:
    """What a status is called.

    >>> status_text("404"), status_text("2XX")
    ('Not Found', 'Success')
    """
    if status.isdigit():
        return HTTP_STATUS_CODES.get(int(status), "Another answer")
    return {"1": "Information", "2": "Success", "3": "Elsewhere", "4": "Refused", "5": "Failed"}.get(
        status[:1], "Any other answer"
    )


def _of_limit(guard: limit) -> set[str]:
    found = {"limit.exceeded"}
    if callable(guard.cost) or callable(guard.quota):
        found.add("limit.too_costly")
    if guard.on_store_error == "closed":
        found.add("store.unavailable")
    return found


def _of_parts(parts: frozenset[str]) -> set[str]:
    found = {f"{part}.invalid" for part in parts if part != "response"}
    if "body" in parts:
        found |= {*_JSON, *_READ, "body.media_type"}
    if "query" in parts:
        found.add("request.malformed")
    if "form" in parts or "files" in parts:
        found |= {*_READ, "body.media_type", "request.malformed"}
    return found


def _is_worded(app: Flask, code: str, blueprints: list[str]) -> bool:
    """Whether the app has an error handler of its own for a refusal."""
    if not any(any(by_code.values()) for by_code in app.error_handler_spec.values()):
        return False
    return app._find_error_handler(Denied.of(code), blueprints) is not None


_PROBLEM: Object = {
    "type": "object",
    "description": "A refusal (RFC 9457). It never says what was sent.",
    "required": ["type", "status", "detail", "code"],
    "properties": {
        "type": {"type": "string", "format": "uri-reference"},
        "title": {"type": "string"},
        "status": {"type": "integer", "minimum": 400, "maximum": 599},
        "detail": {"type": "string"},
        "code": {"type": "string", "description": "What programs go by; it is stable."},
        "request_id": {"type": "string", "description": "Finds the line in the log."},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["pointer", "rule"],
                "properties": {
                    "in": {"type": "string"},
                    "pointer": {"type": "string", "description": "The place (RFC 6901)."},
                    "rule": {"type": "string", "description": "The keyword of the schema that is broken."},
                },
            },
        },
        "violated-policies": {"type": "array", "items": {"type": "string"}},
    },
}

_FIELDS: dict[str, Object] = {
    "Accept": {"description": "The media types that a body may have here.", "schema": {"type": "string"}},
    "Accept-Encoding": {
        "description": "The content codings that a body may have (RFC 9110 section 12.5.3).",
        "schema": {"type": "string"},
    },
    "DPoP-Nonce": {"description": "A nonce for the next proof (RFC 9449 section 9).", "schema": {"type": "string"}},
    "RateLimit": {"description": "What is left of the quotas.", "schema": {"type": "string"}},
    "RateLimit-Policy": {"description": "The quotas.", "schema": {"type": "string"}},
    "Retry-After": {"description": "Seconds until a request may be admitted.", "schema": _SECONDS},
    "WWW-Authenticate": {
        "description": "Which credentials are taken, and what was wrong (RFC 9110 section 11.6.1).",
        "schema": {"type": "string"},
    },
    "X-RateLimit-Limit": {"description": "The quota.", "schema": _SECONDS},
    "X-RateLimit-Remaining": {"description": "What is left of it.", "schema": _SECONDS},
    "X-RateLimit-Reset": {"description": "When it is whole again.", "schema": {"type": "string"}},
}


def blueprints_of(endpoint: str) -> list[str]:
    """The blueprints of a view, the innermost first, as Flask looks for error handlers.

    >>> blueprints_of("api.v1.orders")
    ['api.v1', 'api']
    """
    words = endpoint.split(".")[:-1]
    return [".".join(words[:length]) for length in range(len(words), 0, -1)]
