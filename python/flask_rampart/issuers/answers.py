"""Reads what an issuer answers about a token (RFC 7662 section 2.2), as strictly as a token itself is read.

An answer is believed when all of these hold, in this order:

1. it is one JSON object within bounds, without duplicate members, whose ``active`` is a boolean; anything else is no
   answer at all, and nobody knows anything;
2. ``active`` is true;
3. what is there has its type, by the rules of ``src/tokens/claims.rs``: a wrong type refuses, and is never taken for
   absent, since that would turn the check of it off (CVE-2026-25537). ``null``, which some issuers write for what a
   token has not, is absent, but in members that decide whether it is good, and until when;
4. it is about an access token to be borne: ``token_type``, ``token_use`` and ``typ`` say nothing else. An issuer is as
   glad to call a refresh token or an ID token active (RFC 7662 section 2.1 knows only tokens);
5. ``iss``, if present, is the issuer that was asked; ``aud`` names one of our audiences; the times are right;
6. it says whom the token speaks for;
7. about a JWT, it says the same as that, or less: who, which client, which token, which key. Scopes, roles and
   permissions are those of both.

It asks nobody and remembers nothing. Whether somebody may *bear* a token that is bound to a key (``cnf``, RFC 7800) is
for whoever takes the request: see :attr:`IntrospectedToken.confirmation`.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from .._native import JsonBounds, JsonRejected, VerifiedToken, parse_json
from .settings import Entry
from .transport import FetchFailed

LARGEST = 64 * 1024
"""Bytes of an answer."""
_BOUNDS = JsonBounds(max_bytes=LARGEST, max_depth=32, max_keys=4096)
_LAST_SECOND = 2**53
_REGISTERED = frozenset(("aud", "auth_time", "exp", "iat", "iss", "jti", "nbf", "sub"))
#: What is never absent by being null.
_DECISIVE = frozenset(("active", "act", "aud", "auth_time", "cnf", "exp", "iat", "iss", "nbf", "sub"))
#: Values that make a token one to be borne at an API; of Hydra and Cognito, and of Keycloak.
_USES = frozenset(("access_token", "access"))
_TYPES = frozenset(("bearer", "jwt", "at+jwt", "application/at+jwt"))

Refused = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True, repr=False, eq=False)
class IntrospectedToken:
    """A token for which its issuer vouched when it was asked; a :class:`~flask_rampart.Principal`.

    Times are seconds since 1970-01-01 UTC. It is shared by the requests that bring the token, so nothing in it can be
    changed.
    """

    id: str
    issuer: str
    """The issuer that was asked."""
    scopes: frozenset[str]
    roles: frozenset[str]
    token_id: str | None
    """``jti``, if the answer has one."""
    client_id: str | None
    expires_at: float | None
    issued_at: float | None
    not_before: float | None
    authenticated_at: float | None
    """``auth_time``: when the user last proved who they are."""
    _bound: Mapping[str, Any] | None
    _source: bytes | VerifiedToken
    #: Of a JWT, the places of permissions of which the issuer said something, and what both say.
    _permissions: Mapping[str, frozenset[str]] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        """The scheme that checked the credential: the one for bearer tokens, ``"jwt"``."""
        return "jwt"

    @property
    def subject(self) -> str:
        """As ``id``."""
        return self.id

    @property
    def is_bound(self) -> bool:
        """Whether the token is bound to a key, so that to bear it is not enough (RFC 7800)."""
        return self._bound is not None

    @property
    def confirmation(self) -> dict[str, Any] | None:
        """``cnf``: the key that the token is bound to; empty if only its type says that it is. A copy."""
        return None if self._bound is None else copy.deepcopy(dict(self._bound))

    @property
    def claims(self) -> dict[str, Any]:
        """All that the issuer said, without what it said to be null; or the token itself if it is a JWT, with no more
        permissions (``RAMPART_JWT_PERMISSIONS_CLAIM``) than the issuer said. Made anew each time."""
        source = self._source
        if isinstance(source, bytes):
            return _without_nulls(parse_json(source, _BOUNDS))
        found: dict[str, Any] = source.claims
        for path, permissions in self._permissions.items():
            _narrow(found, path, permissions)
        return found

    def __repr__(self) -> str:
        return f"<IntrospectedToken {self.id!r}>"

    def __reduce__(self) -> Any:
        raise TypeError("an IntrospectedToken cannot be copied: only its issuer's answer makes one")


def read(entry: Entry, body: bytes, now: float, jwt: VerifiedToken | None = None) -> IntrospectedToken | Refused:
    """What *body*, the answer of *entry*'s issuer, says about a token; ``(code, reason)`` if it is refused.

    :param jwt: the token itself, where it is a JWT that was verified: then the answer may say less, and nothing else.
    :raises FetchFailed: if it is no answer.
    """
    try:
        answer = parse_json(body, _BOUNDS)
    except JsonRejected:
        raise FetchFailed("its answer is not JSON within bounds") from None
    if not isinstance(answer, dict) or not isinstance(answer.get("active"), bool):
        raise FetchFailed("its answer does not say whether the token is active (RFC 7662 section 2.2)")
    answer = _without_nulls(answer)
    if answer["active"] is not True:
        return ("token.invalid", "inactive")
    try:
        return _believe(entry, body, answer, now, jwt)
    except _Wrong as wrong:
        return wrong.verdict


def check_times(token: IntrospectedToken, now: float, leeway: float) -> Refused | None:
    """Why *token* may not be trusted at this moment, if so. By the rules of ``src/tokens/rules.rs``."""
    if token.not_before is not None and token.not_before - leeway > now:
        return ("token.invalid", "not-yet-valid")
    if token.issued_at is not None and token.issued_at > now + leeway:
        return ("token.invalid", "issued-in-future")
    if token.expires_at is not None and now >= token.expires_at + leeway:
        return ("token.expired", "expired")
    return None


class _Wrong(Exception):
    def __init__(self, reason: str, code: str = "token.invalid") -> None:
        self.verdict = (code, reason)


def _believe(
    entry: Entry, body: bytes, answer: dict[str, Any], now: float, jwt: VerifiedToken | None
) -> IntrospectedToken:
    asked = entry.introspection
    assert asked is not None  # noqa: S101 - who is not asked does not answer
    issuer, subject, client = _text(answer, "iss"), _text(answer, "sub"), _text(answer, "client_id")
    audience = _names(answer["aud"]) if "aud" in answer else None
    # Typed, also where nothing here reads it.
    _names(answer.get("scope", ""))
    _text(answer, "username")
    bound = _binding(answer)
    if _is_dpop(answer) and bound is None:
        # RFC 9449 section 6.2: bound to a key, though the answer forgets to say to which.
        bound = {}
    token = IntrospectedToken(
        id=(subject or (client if asked.client_subject and subject is None else None) or "") if jwt is None else jwt.id,
        issuer=entry.issuer,
        scopes=_found(entry.scopes_claim, answer, split=True),
        roles=_found(entry.roles_claim, answer, split=False),
        token_id=_text(answer, "jti"),
        client_id=client,
        expires_at=_seconds(answer, "exp"),
        issued_at=_seconds(answer, "iat"),
        not_before=_seconds(answer, "nbf"),
        authenticated_at=_seconds(answer, "auth_time"),
        _bound=bound,
        _source=body,
    )
    if issuer is not None and issuer != entry.issuer:
        raise _Wrong("issuer")
    if audience is None:
        # The signed token has named ours already.
        if asked.require_audience and jwt is None:
            raise _Wrong("audience")
    elif set(audience).isdisjoint(entry.audience):
        raise _Wrong("audience")
    if not token.id or (jwt is not None and subject not in (None, jwt.id)):
        raise _Wrong("subject")
    if jwt is not None:
        token = _join(token, answer, jwt, entry)
    wrong = check_times(token, now, entry.leeway)
    if wrong is not None:
        raise _Wrong(wrong[1], wrong[0])
    return token


def _join(token: IntrospectedToken, answer: dict[str, Any], jwt: VerifiedToken, entry: Entry) -> IntrospectedToken:
    """A JWT says what it is for; its issuer may have narrowed that since, and never widens it or says another thing."""
    claims = jwt.claims
    client = _text(_without_nulls(claims), "client_id")
    for ours, theirs in ((client, token.client_id), (jwt.token_id, token.token_id)):
        if None not in (ours, theirs) and ours != theirs:
            raise _Wrong("contradiction")
    bound = _binding(claims)
    if token._bound is not None:
        # RFC 7800: no other key than the JWT's, and none where that has none. Of type DPoP (RFC 9449), one of DPoP.
        kinds = ("jkt",) if _is_dpop(answer) else ()
        if bound is None or any(name not in bound for name in kinds):
            raise _Wrong("confirmation")
        if any(name not in bound or bound[name] != value for name, value in token._bound.items()):
            raise _Wrong("confirmation")
    ends = [end for end in (token.expires_at, jwt.expires_at) if end is not None]
    return replace(
        token,
        scopes=jwt.scopes & token.scopes if _has(entry.scopes_claim, answer) else jwt.scopes,
        roles=jwt.roles & token.roles if _has(entry.roles_claim, answer) else jwt.roles,
        token_id=jwt.token_id,
        client_id=client if token.client_id is None else token.client_id,
        expires_at=min(ends, default=None),
        issued_at=jwt.issued_at,
        authenticated_at=jwt.authenticated_at,
        _bound=bound,
        _source=jwt,
        _permissions={
            path: frozenset(_named(claims, path)) & frozenset(_named(answer, path))
            for path in entry.permissions_claim
            if _states(answer, path)
        },
    )


def _without_nulls(answer: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in answer.items() if value is not None or name in _DECISIVE}


def _is_dpop(answer: dict[str, Any]) -> bool:
    """Whether the token is of DPoP's type. What is no access token at all is refused."""
    use = _text(answer, "token_use")
    said = [text.lower() for text in (_text(answer, "token_type"), _text(answer, "typ")) if text is not None]
    if (use is not None and use.lower() not in _USES) or not set(said) <= {*_TYPES, "dpop"}:
        raise _Wrong("type")
    return "dpop" in said


def _binding(answer: Mapping[str, Any]) -> Mapping[str, Any] | None:
    if "cnf" not in answer:
        return None
    if not isinstance(answer["cnf"], dict):
        raise _Wrong("claims")
    return answer["cnf"]


# Types. What is there and has another one refuses.


def _text(answer: Mapping[str, Any], name: str) -> str | None:
    if name not in answer:
        return None
    if not isinstance(answer[name], str):
        raise _Wrong("claims")
    text: str = answer[name]
    return text


def _seconds(answer: Mapping[str, Any], name: str) -> float | None:
    if name not in answer:
        return None
    value = answer[name]
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise _Wrong("claims")
    # Strictly below for a fraction: 2^53 + 1 written with a point rounds down to 2^53.
    if not (0 <= value <= _LAST_SECOND if isinstance(value, int) else 0 <= value < _LAST_SECOND):
        raise _Wrong("claims")
    return float(value)


def _names(value: Any) -> list[str]:
    """A text as one name, or a list of texts."""
    if isinstance(value, str):
        return [value]
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise _Wrong("claims")
    return value


# Where scopes and roles are: the rules of src/tokens/paths.rs. That a path can be read, the verifier saw at start-up.


def _found(paths: Sequence[str], answer: dict[str, Any], *, split: bool) -> frozenset[str]:
    found: list[str] = []
    for value in _at(paths, answer):
        names = _names(value)
        if split and isinstance(value, str):
            names = value.split(" ")
        found.extend(name for name in names if name)
    return frozenset(found)


def _has(paths: Sequence[str], answer: dict[str, Any]) -> bool:
    return any(True for _ in _at(paths, answer))


def _at(paths: Sequence[str], answer: dict[str, Any]) -> Iterable[Any]:
    """The values that any of *paths* leads to, each once."""
    walks = [(path if not path.startswith("/") else None, _steps(path)) for path in paths]
    for name, value in answer.items():
        if name in _REGISTERED:
            continue
        if any(whole == name for whole, _ in walks):
            yield value
        else:
            yield from _below(name, value, [steps for _, steps in walks])


def _below(name: str, value: Any, walks: list[list[str]]) -> Iterable[Any]:
    on = [steps[1:] for steps in walks if steps[0] == name]
    if any(not steps for steps in on):
        yield value
    elif on:
        if not isinstance(value, dict):
            raise _Wrong("claims")
        for inner, held in value.items():
            yield from _below(inner, held, on)


def _steps(path: str) -> list[str]:
    """A claim's place as names: a dot descends, or a JSON Pointer (RFC 6901) says it."""
    if path.startswith("/"):
        return [step.replace("~1", "/").replace("~0", "~") for step in path[1:].split("/")]
    return path.split(".")


# Where permissions are: both the claim of that name and what the path descends to, as they are read for a guard.


def _states(claims: Mapping[str, Any], path: str) -> bool:
    """Whether *claims* say something at *path*, be it of a wrong type, which names nothing."""
    return any(True for _ in _places(claims, path))


def _named(claims: Mapping[str, Any], path: str) -> Iterable[str]:
    for holder, name in _places(claims, path):
        value = holder[name]
        values = [value] if isinstance(value, str) else value
        if isinstance(values, list) and all(isinstance(item, str) for item in values):
            yield from values


def _narrow(claims: dict[str, Any], path: str, permissions: frozenset[str]) -> None:
    """Takes out of *claims*, at *path*, what is not in *permissions*."""
    for holder, name in list(_places(claims, path)):
        holder[name] = [item for item in _named({name: holder[name]}, _pointer(name)) if item in permissions]


def _pointer(name: str) -> str:
    return "/" + name.replace("~", "~0").replace("/", "~1")


def _places(claims: Any, path: str) -> Iterable[tuple[Any, str]]:
    """Each object in *claims* that has what *path* leads to, and under which name."""
    if not path.startswith("/") and path in claims:
        yield claims, path
    *way, last = _steps(path)
    if not way and not path.startswith("/"):
        return
    holder = claims
    for step in way:
        holder = holder.get(step) if isinstance(holder, Mapping) else None
    if isinstance(holder, Mapping) and last in holder:
        yield holder, last
