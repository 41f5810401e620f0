"""What ``RAMPART_ISSUERS`` says, checked at start-up.

Rules, in order: no unknown field; ``issuer`` is an https URL without query and fragment (RFC 8414 section 2);
``audience`` names one at least; of ``jwks`` and ``jwks_uri`` not both; algorithms are asymmetric ones; no issuer
twice, and none that is ours; of several issuers that are asked about opaque tokens, each has a ``prefix`` that tells
its own from the others'. Every error names its place, such as ``RAMPART_ISSUERS[0]``, and quotes no secret.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .._native import Clock, Key, KeySet, Revoked, Verifier
from ..config import Settings
from ..errors import ConfigError
from ..readers import nearest
from .transport import FetchFailed, Target

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA")
_FIELDS = (
    "issuer",
    "audience",
    "jwks",
    "jwks_uri",
    "algorithms",
    "typ",
    "scopes_claim",
    "roles_claim",
    "leeway",
    "max_stale",
    "introspection",
    "allow_private",
    "allow_http",
    "testing_only",
)
_INTROSPECTION = (
    "endpoint",
    "client_id",
    "client_secret",
    "method",
    "tokens",
    "prefix",
    "cache",
    "negative",
    "timeout",
    "in_flight",
    "require_audience",
    "client_subject",
)
_MAX_STALE = 24 * 3600
_LOOPBACK = frozenset(("localhost", "127.0.0.1", "::1"))


@dataclass(frozen=True)
class Introspection:
    """How an issuer is asked about a token (RFC 7662), as configured."""

    place: str
    #: Where; None for what the issuer's metadata says.
    endpoint: str | None
    client_id: str
    client_secret: str = field(repr=False)
    #: ``"client_secret_basic"`` or ``"client_secret_post"`` (RFC 6749 section 2.3.1).
    method: str
    #: Whether it is asked about JWTs too.
    all_tokens: bool
    #: What opaque tokens of this issuer begin with; ``""`` for anything.
    prefix: str
    #: Seconds for which a good answer and a bad one are believed.
    cache: int
    negative: int
    #: Seconds that a question may take.
    timeout: int
    #: Most questions at one time, and most requests that wait for the answer to another's.
    in_flight: int
    require_audience: bool
    #: Whether a token without ``sub`` speaks for its client.
    client_subject: bool


@dataclass(frozen=True)
class Entry:
    """One issuer, as configured."""

    place: str
    issuer: str
    audience: tuple[str, ...]
    algorithms: tuple[str, ...]
    types: tuple[str, ...]
    require_type: bool
    scopes_claim: tuple[str, ...]
    roles_claim: tuple[str, ...]
    permissions_claim: tuple[str, ...]
    leeway: int
    #: Seconds that keys are used beyond their time, while they cannot be fetched anew.
    max_stale: int
    allow_private: bool
    allow_http: bool
    jwks_uri: str | None
    #: The keys, where they are configured and nothing is ever fetched.
    keys: KeySet | None
    #: How the issuer is asked about tokens, if it is.
    introspection: Introspection | None = None
    #: Whether it is for app.debug and app.testing alone.
    testing_only: bool = False

    def verifier(self, keys: KeySet | Sequence[Key], clock: Clock, listed: Revoked | None = None) -> Verifier:
        """Judges tokens of this issuer by *keys*, and refuses those that are *listed*.

        :raises ConfigError: for a claim's path that cannot be read.
        """
        try:
            return Verifier(
                keys,
                clock,
                issuers=(self.issuer,),
                audiences=self.audience,
                types=self.types,
                require_type=self.require_type,
                leeway=self.leeway,
                scopes_claims=self.scopes_claim,
                roles_claims=self.roles_claim,
                revoked=listed,
            )
        except ValueError as error:
            raise ConfigError(f"{self.place}: {error}") from None

    def check_place(self, production: bool) -> None:
        """Refuses in production what is for tests alone.

        :raises ConfigError: if it is.
        """
        if self.testing_only and production:
            raise ConfigError(
                f"{self.place}: {self.issuer!r} is 'testing_only', and this app is neither app.debug nor app.testing: "
                "whoever has the tests could make tokens for it. Take it out of RAMPART_ISSUERS."
            )

    def check_http(self, production: bool) -> None:
        """Refuses http in production, but to this very host.

        :raises ConfigError: if keys would be fetched, or secrets sent, over a network without TLS.
        """
        asked = self.introspection
        urls = (self.issuer, self.jwks_uri) if self.keys is None else ()
        if asked is not None:
            urls = (*urls, asked.endpoint or self.issuer)
        for url in urls:
            if url and not self.may_call(url, production):
                raise ConfigError(
                    f"{self.place}: {url!r} is http. 'allow_http' is for app.debug and app.testing, and for this host "
                    "itself: whoever stands on the way could give you keys of their own, and read what is asked. Use "
                    "https, or 'jwks'."
                )

    def may_call(self, url: str, production: bool) -> bool:
        """Whether *url* is https, or http where that is allowed: never in production, but to this very host.

        :raises FetchFailed: if it is no URL that may be called at all.
        """
        target = Target.read(url, allow_http=self.allow_http)
        return target.tls or not production or target.host in _LOOPBACK


def read(settings: Settings) -> list[Entry]:
    """The entries of ``RAMPART_ISSUERS``.

    :raises ConfigError: for the first one that cannot be used.
    """
    entries: list[Entry] = []
    for index, spec in enumerate(settings.issuers):
        entry = _entry(f"RAMPART_ISSUERS[{index}]", spec, settings)
        if any(entry.issuer == other.issuer for other in entries):
            raise ConfigError(f"{entry.place}: {entry.issuer!r} stands there twice. Give it several audiences instead.")
        if entry.issuer == settings.jwt_issuer:
            raise ConfigError(f"{entry.place}: {entry.issuer!r} is RAMPART_JWT_ISSUER too; its tokens need one place.")
        entries.append(entry)
    asked = [entry.introspection for entry in entries if entry.introspection is not None]
    for index, one in enumerate(asked):
        for other in asked[:index]:
            if one.prefix.startswith(other.prefix) or other.prefix.startswith(one.prefix):
                raise ConfigError(
                    f"{one.place} and {other.place} are both asked about opaque tokens: give each a 'prefix' that its "
                    "tokens begin with, none the beginning of another, so that no issuer is shown another's tokens."
                )
    return entries


def _entry(place: str, spec: Mapping[str, Any], settings: Settings) -> Entry:
    for name in spec:
        if name not in _FIELDS:
            hint = nearest(name, _FIELDS) if isinstance(name, str) else ""
            raise ConfigError(f"{place}: {name!r} is not a field of an issuer.{hint}")
    for name in ("issuer", "audience"):
        if name not in spec:
            raise ConfigError(f"{place} needs {name!r}.")
    if "jwks" in spec and "jwks_uri" in spec:
        raise ConfigError(f"{place} has both 'jwks' and 'jwks_uri': keys come from one place.")
    allow_http = _flag(place, spec, "allow_http")
    issuer = _url(place, spec, "issuer", allow_http)
    if "?" in issuer:
        raise ConfigError(f"{place}: 'issuer' has no query (RFC 8414 section 2).")
    algorithms = _algorithms(place, spec)
    return Entry(
        place=place,
        issuer=issuer,
        audience=_texts(place, spec, "audience"),
        algorithms=algorithms,
        types=_texts(place, spec, "typ") if "typ" in spec else settings.jwt_types,
        require_type="typ" in spec,
        scopes_claim=_texts(place, spec, "scopes_claim") if "scopes_claim" in spec else settings.jwt_scopes_claim,
        roles_claim=_texts(place, spec, "roles_claim") if "roles_claim" in spec else settings.jwt_roles_claim,
        permissions_claim=settings.jwt_permissions_claim,
        leeway=_seconds(place, spec, "leeway", settings.jwt_leeway, 600),
        max_stale=_seconds(place, spec, "max_stale", _MAX_STALE, 7 * 86400),
        allow_private=_flag(place, spec, "allow_private"),
        allow_http=allow_http,
        testing_only=_flag(place, spec, "testing_only"),
        jwks_uri=_url(place, spec, "jwks_uri", allow_http) if "jwks_uri" in spec else None,
        keys=_keys(place, spec["jwks"], algorithms) if "jwks" in spec else None,
        introspection=_introspection(f"{place}['introspection']", spec["introspection"], allow_http)
        if "introspection" in spec
        else None,
    )


def _introspection(place: str, spec: Any, allow_http: bool) -> Introspection:
    # Values are not quoted where one of them may be the secret.
    if not isinstance(spec, Mapping):
        raise ConfigError(f"{place} must be a dict with 'client_id' and 'client_secret', not {type(spec).__name__}.")
    for name in spec:
        if name not in _INTROSPECTION:
            hint = nearest(name, _INTROSPECTION) if isinstance(name, str) else ""
            raise ConfigError(f"{place}: {name!r} is not a field of it.{hint}")
    for name in ("client_id", "client_secret"):
        if not isinstance(spec.get(name), str) or not spec[name].strip():
            raise ConfigError(f"{place} needs {name!r}, a text that is not empty (RFC 7662 section 2.1).")
    prefix = spec.get("prefix", "")
    if "prefix" in spec and (not isinstance(prefix, str) or not _PREFIX.fullmatch(prefix)):
        raise ConfigError(f"{place}: 'prefix' must be 1 to 64 of the characters that a token has (RFC 6750).")
    return Introspection(
        place=place,
        endpoint=_url(place, spec, "endpoint", allow_http) if "endpoint" in spec else None,
        client_id=spec["client_id"],
        client_secret=spec["client_secret"],
        method=_choice(place, spec, "method", ("client_secret_basic", "client_secret_post")),
        all_tokens=_choice(place, spec, "tokens", ("opaque", "all")) == "all",
        prefix=prefix,
        cache=_seconds(place, spec, "cache", 30, 3600),
        negative=_seconds(place, spec, "negative", 5, 600),
        timeout=_seconds(place, spec, "timeout", 3, 30, least=1),
        in_flight=_seconds(place, spec, "in_flight", 16, 1024, least=1, unit="questions"),
        require_audience=_flag(place, spec, "require_audience", True),
        client_subject=_flag(place, spec, "client_subject"),
    )


def _choice(place: str, spec: Mapping[str, Any], name: str, words: tuple[str, ...]) -> str:
    """One of *words*; the first if none is given."""
    value = spec.get(name, words[0])
    if not isinstance(value, str) or value not in words:
        hint = nearest(value, words) if isinstance(value, str) else ""
        raise ConfigError(f"{place}: {name!r} must be one of {', '.join(map(repr, words))}.{hint}")
    return value


_PREFIX = re.compile(r"[A-Za-z0-9._~+/-]{1,64}")


def _url(place: str, spec: Mapping[str, Any], name: str, allow_http: bool) -> str:
    value = spec[name]
    if not isinstance(value, str):
        raise ConfigError(f"{place}: {name!r} must be an https URL, not {type(value).__name__}.")
    try:
        Target.read(value, allow_http=allow_http)
    except FetchFailed as error:
        # What is before an @ may be a password.
        quoted = "" if "@" in value else f"; {value!r}"
        raise ConfigError(f"{place}: {name!r} must be an https URL{quoted}: {error}.") from None
    return value


def _algorithms(place: str, spec: Mapping[str, Any]) -> tuple[str, ...]:
    if "algorithms" not in spec:
        return ALGORITHMS
    names = _texts(place, spec, "algorithms")
    for name in names:
        if name.upper().startswith("HS"):
            raise ConfigError(f"{place}: {name!r} needs a shared secret, and published keys are none (RFC 8725).")
        if name not in ALGORITHMS:
            raise ConfigError(f"{place}: {name!r} is not one of {', '.join(ALGORITHMS)}.{nearest(name, ALGORITHMS)}")
    return tuple(dict.fromkeys(names))


def _keys(place: str, jwks: Any, algorithms: Sequence[str]) -> KeySet:
    # The value is never quoted: somebody may have put private keys there.
    if not isinstance(jwks, Mapping):
        raise ConfigError(f"{place}: 'jwks' must be a JWK set as a dict, not {type(jwks).__name__}.")
    try:
        found = KeySet.read(json.dumps(jwks).encode(), algorithms)
    except (TypeError, ValueError, RecursionError) as error:
        raise ConfigError(f"{place}: 'jwks': {error}.") from None
    if found.skipped:
        raise ConfigError(f"{place}: 'jwks' has keys that cannot be used: {'; '.join(found.skipped)}.")
    return found


def _texts(place: str, spec: Mapping[str, Any], name: str) -> tuple[str, ...]:
    value = spec[name]
    values = (value,) if isinstance(value, str) else value
    if (
        not isinstance(values, (list, tuple, set, frozenset))
        or not values
        or not all(isinstance(item, str) and item.strip() for item in values)
    ):
        raise ConfigError(f"{place}: {name!r} must be a text or a list of texts, not empty.")
    return tuple(values)


def _seconds(
    place: str, spec: Mapping[str, Any], name: str, default: int, most: int, *, least: int = 0, unit: str = "seconds"
) -> int:
    value = spec.get(name, default)
    total = getattr(value, "total_seconds", None)
    value = int(total()) if callable(total) else value
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise ConfigError(f"{place}: {name!r} must be a whole number of {unit} from {least} to {most}.")
    return value


def _flag(place: str, spec: Mapping[str, Any], name: str, default: bool = False) -> bool:
    value = spec.get(name, default)
    if not isinstance(value, bool):
        raise ConfigError(f"{place}: {name!r} must be True or False.")
    return value
