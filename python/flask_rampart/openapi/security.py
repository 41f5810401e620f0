"""Who may call: what ``require`` demands, as security schemes and requirements.

1. Each kind of credential that the app takes is a security scheme: a token in ``Authorization`` (RFC 6750, or DPoP by
   RFC 9449), in a cookie or in the query; the provider behind an issuer that publishes its metadata; an API key in
   ``X-API-Key``; a scheme of the app's own in the field that it reads.
2. A view's requirement names each that it takes, one of which is enough, with its scopes; ``any_scopes`` are
   alternatives too. ``optional=True`` adds the empty requirement.
3. A cookie that comes with a method that changes something needs ``X-CSRF-Token`` beside it.
4. Roles, permissions, audiences and how recent a sign-in has to be, which OpenAPI has no words for, stand in the
   description and in ``x-rampart-access``.

Not told: keys, clients' secrets, addresses of issuers that are not on the public network, and what a scheme that reads
what it likes reads.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

from ..access import CustomScheme, Schemes, require
from ..guards import AppState
from ..issuers import Issuers
from ..tokens import Tokens
from .keywords import Object
from .schemas import component_name

_MOST = 16
_CHANGES = frozenset(("POST", "PUT", "PATCH", "DELETE"))
_DISCOVERY = "/.well-known/openid-configuration"
CSRF = "csrf_token"
_ANSWERED = frozenset(("basic", "digest", "negotiate", "ntlm"))
"""Schemes of ``Authorization`` that browsers answer by themselves."""


class Security:
    """The security schemes of one app, and what its views demand by them."""

    def __init__(self, state: AppState) -> None:
        self._settings = state.settings
        self._known: Schemes = state.services[Schemes]
        self._tokens: Tokens | None = state.services.get(Tokens)
        self._issuers: Issuers | None = state.services.get(Issuers)
        self._schemes: Object = {}
        self._used: set[str] = set()
        #: The names in the document of each scheme of the app's, with the issuer of those that stand for one.
        self._names: dict[str, list[tuple[str, str | None]]] = {}
        for name in self._known.in_order(self._known):
            self._describe(name)

    @property
    def components(self) -> Object:
        """The schemes that views demand."""
        return {name: scheme for name, scheme in sorted(self._schemes.items()) if name in self._used}

    def kinds(self, demands: Sequence[require]) -> list[str]:
        """The app's schemes that a view takes."""
        names = list(self._known)
        for demand in demands:
            if demand.schemes:
                names = [name for name in names if name in demand.schemes]
        return self._known.in_order(names)

    def by_browsers(self, kinds: Sequence[str]) -> bool:
        """Whether one of these schemes may go by what a browser, or a proxy in front of the app, adds by itself."""
        return any(self._by_browsers(kind) for kind in kinds)

    def _by_browsers(self, kind: str) -> bool:
        scheme = self._known[kind]
        if isinstance(scheme, CustomScheme):
            return not scheme.in_authorization or scheme.challenge.scheme.lower() in _ANSWERED
        return kind == "jwt" and self._tokens is not None and "cookie" in self._settings.jwt_locations

    def requirements(self, demands: Sequence[require], method: str) -> list[dict[str, list[str]]]:
        """What a view demands; each of them is enough."""
        if not demands:
            return []
        scopes = sorted(frozenset[str]().union(*(demand.scopes or () for demand in demands)))
        choices = [sorted(demand.any_scopes) for demand in demands if demand.any_scopes]
        several = list(itertools.islice(itertools.product(*choices), _MOST + 1))
        if len(several) > _MOST:
            several = [()]  # they stand in x-rampart-access
        found: list[dict[str, list[str]]] = []
        offered = [(kind, name, issuer) for kind in self.kinds(demands) for name, issuer in self._names[kind]]
        # Where none is left, nobody can call the view: that must not read as if everybody could.
        taken = [offer for offer in offered if _takes(demands, offer[2])] or offered
        for kind, name, _ in taken:
            for one in several:
                wanted = {name: list(dict.fromkeys((*scopes, *one)))}
                if name == f"{kind}_cookie" and method in _CHANGES:
                    wanted[CSRF] = []
                if wanted not in found:
                    found.append(wanted)
        self._used.update(name for each in found for name in each)
        if all(demand.optional for demand in demands):
            found.append({})
        return found

    def _describe(self, name: str) -> None:
        scheme = self._known[name]
        if isinstance(scheme, CustomScheme):
            self._put(name, name, _custom(scheme))
        elif name == "api_key":
            told = 'An API key. Also taken as "Authorization: ApiKey <key>".'
            self._put(name, name, {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": told})
        else:
            self._describe_tokens(name)

    def _describe_tokens(self, kind: str) -> None:
        """Tokens, ours and those of others."""
        settings = self._settings
        bearer: Object = {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
        if settings.client_cert != "off":
            bearer["description"] = "A token that is bound to a certificate needs it on the connection (RFC 8705)."
        proof: Object = {
            "type": "http",
            "scheme": "DPoP",
            "description": "A token that is bound to a key, and beside it a proof of that key in DPoP (RFC 9449).",
        }
        alone = self._issuers is not None and self._tokens is None
        published = self._published()
        everybody = not (alone and len(published) == len(self._entries()))
        # An issuer without metadata has no scheme of its own, so what is its stands for anybody.
        own = settings.jwt_issuer if not self._issuers else None
        if "header" in settings.jwt_locations or alone:
            if settings.dpop != "required" and everybody:
                self._put(kind, kind, bearer, own)
            if settings.dpop != "off":
                self._put(kind, f"{kind}_dpop", proof, own)
        for issuer, url in published:
            self._put(
                kind, f"{kind}_{component_name(issuer)}", {"type": "openIdConnect", "openIdConnectUrl": url}, issuer
            )
        if self._tokens is not None and "cookie" in settings.jwt_locations:
            cookie = self._tokens.access_cookie
            self._put(kind, f"{kind}_cookie", {"type": "apiKey", "in": "cookie", "name": cookie})
            told = "What the cookie beside the token's says: proof that the request is from a page of this site."
            self._schemes[CSRF] = {"type": "apiKey", "in": "header", "name": "X-CSRF-Token", "description": told}
        if self._tokens is not None and "query" in settings.jwt_locations:
            self._put(kind, f"{kind}_query", {"type": "apiKey", "in": "query", "name": "access_token"})
        if not self._names.get(kind):
            told = "The member access_token of a JSON body."
            self._put(kind, kind, {**bearer, "description": told})

    @property
    def hidden(self) -> frozenset[str]:
        """The issuers that are nobody's business outside."""
        return frozenset(entry.issuer for entry in self._entries() if _is_inside(entry))

    def _entries(self) -> Sequence[Any]:
        return self._issuers.entries if self._issuers is not None else ()

    def _published(self) -> list[tuple[str, str]]:
        """The issuers whose metadata anybody may read, with its address."""
        return [
            (entry.issuer, entry.issuer.rstrip("/") + _DISCOVERY)
            for entry in self._entries()
            if entry.jwks_uri is None and entry.keys is None and not _is_inside(entry)
        ]

    def _put(self, kind: str, name: str, scheme: Object, issuer: str | None = None) -> None:
        taken = component_name(name)
        while taken in self._schemes:
            taken += "_"
        self._schemes[taken] = scheme
        self._names.setdefault(kind, []).append((taken, issuer))


def access_of(demands: Sequence[require], hidden: frozenset[str] = frozenset()) -> Object:
    """What is demanded of a caller beside a credential, of all guards together.

    :param hidden: issuers that are not told of.
    """
    told: Object = {}
    for word in ("scopes", "roles", "permissions"):
        every = sorted(frozenset[str]().union(*(getattr(demand, word) or () for demand in demands)))
        some = [sorted(found) for demand in demands if (found := getattr(demand, f"any_{word}"))]
        told.update({word: every} if every else {})
        told.update({f"any_{word}": some} if some else {})
    for word in ("issuers", "audiences"):
        some = [sorted(found) for demand in demands if (found := (getattr(demand, word) or frozenset()) - hidden)]
        told.update({word: some} if some else {})
    if any(demand.fresh for demand in demands):
        told["fresh"] = True
    ages = [demand.max_age for demand in demands if demand.max_age is not None]
    told.update({"max_age": min(ages)} if ages else {})
    policies = sorted({demand.policy for demand in demands if demand.policy})
    told.update({"policies": policies} if policies else {})
    return told


def sentences(told: Object) -> list[str]:
    """The same for people."""
    found = []
    for word in ("scopes", "roles", "permissions"):
        if word in told:
            of = word if len(told[word]) > 1 else word[:-1]
            found.append(f"Needs the {of} {_listed(told[word], 'and')}.")
        found += [f"Needs one of the {word} {_listed(some, 'or')}." for some in told.get(f"any_{word}", ())]
    found += [f"Takes credentials of {_listed(some, 'or')} alone." for some in told.get("issuers", ())]
    found += [f"Takes credentials that were made for {_listed(some, 'or')}." for some in told.get("audiences", ())]
    if told.get("fresh"):
        found.append("Needs a fresh credential.")
    if "max_age" in told:
        found.append(f"Needs a sign-in that is at most {told['max_age']} s old.")
    if "policies" in told:
        found.append("A policy decides on each object.")
    return found


def _custom(scheme: CustomScheme) -> Object:
    if scheme.field is None or scheme.in_authorization:
        told = {} if scheme.field else {"description": "Checked by the application."}
        return {"type": "http", "scheme": scheme.challenge.scheme, **told}
    name = scheme.field.removeprefix("HTTP_").replace("_", "-").title()
    return {"type": "apiKey", "in": "header", "name": name}


def _is_inside(entry: Any) -> bool:
    """Whether an issuer is one that nobody outside can ask."""
    return bool(entry.allow_private or entry.allow_http or entry.testing_only)


def _takes(demands: Sequence[require], issuer: str | None) -> bool:
    return issuer is None or all(not demand.issuers or issuer in demand.issuers for demand in demands)


def _listed(words: Sequence[str], last: str) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} {last} {words[-1]}"
