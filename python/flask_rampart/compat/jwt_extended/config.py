"""The settings ``JWT_*`` of an app, with Flask-JWT-Extended's names and defaults, and what they come to.

They may change at any time, as tests do: each request compares them with what was last read, and :class:`Rules` is made
anew if one differs. The few ``RAMPART_*`` settings that a face knows are read once, as everywhere.

Two defaults are not theirs. ``JWT_COOKIE_SECURE`` that nobody set is True but under ``app.debug``, and
``JWT_COOKIE_SAMESITE`` that nobody set is ``Lax``.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta, timezone
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from flask import current_app

from ...errors import ConfigError
from ..values import refuse_unmet, switch

if TYPE_CHECKING:
    from ...tokens import Key, Verifier

LOCATIONS = ("headers", "cookies", "query_string", "json")
EXEMPT = frozenset(("OPTIONS",))

DEFAULTS: Mapping[str, Any] = {
    "JWT_ACCESS_COOKIE_NAME": "access_token_cookie",
    "JWT_ACCESS_COOKIE_PATH": "/",
    "JWT_ACCESS_CSRF_COOKIE_NAME": "csrf_access_token",
    "JWT_ACCESS_CSRF_COOKIE_PATH": "/",
    "JWT_ACCESS_CSRF_FIELD_NAME": "csrf_token",
    "JWT_ACCESS_CSRF_HEADER_NAME": "X-CSRF-TOKEN",
    "JWT_ACCESS_TOKEN_EXPIRES": timedelta(minutes=15),
    "JWT_ALGORITHM": "HS256",
    "JWT_COOKIE_CSRF_PROTECT": True,
    "JWT_COOKIE_DOMAIN": None,
    "JWT_COOKIE_SAMESITE": "Lax",
    "JWT_COOKIE_SECURE": None,
    "JWT_CSRF_CHECK_FORM": False,
    "JWT_CSRF_IN_COOKIES": True,
    "JWT_CSRF_METHODS": ("POST", "PUT", "PATCH", "DELETE"),
    "JWT_DECODE_ALGORITHMS": None,
    "JWT_DECODE_AUDIENCE": None,
    "JWT_DECODE_ISSUER": None,
    "JWT_DECODE_LEEWAY": 0,
    "JWT_ENCODE_AUDIENCE": None,
    "JWT_ENCODE_ISSUER": None,
    "JWT_ENCODE_NBF": True,
    "JWT_ERROR_MESSAGE_KEY": "msg",
    "JWT_HEADER_NAME": "Authorization",
    "JWT_HEADER_TYPE": "Bearer",
    "JWT_IDENTITY_CLAIM": "sub",
    "JWT_JSON_KEY": "access_token",
    "JWT_PRIVATE_KEY": None,
    "JWT_PUBLIC_KEY": None,
    "JWT_QUERY_STRING_NAME": "jwt",
    "JWT_QUERY_STRING_VALUE_PREFIX": "",
    "JWT_REFRESH_COOKIE_NAME": "refresh_token_cookie",
    "JWT_REFRESH_COOKIE_PATH": "/",
    "JWT_REFRESH_CSRF_COOKIE_NAME": "csrf_refresh_token",
    "JWT_REFRESH_CSRF_COOKIE_PATH": "/",
    "JWT_REFRESH_CSRF_FIELD_NAME": "csrf_token",
    "JWT_REFRESH_CSRF_HEADER_NAME": "X-CSRF-TOKEN",
    "JWT_REFRESH_JSON_KEY": "refresh_token",
    "JWT_REFRESH_TOKEN_EXPIRES": timedelta(days=30),
    "JWT_SECRET_KEY": None,
    "JWT_SESSION_COOKIE": True,
    "JWT_TOKEN_LOCATION": ("headers",),
    "JWT_VERIFY_SUB": True,
}
"""What holds where the app sets nothing. Lists are tuples here: nobody changes what another app has, too."""

_PICKED = (*DEFAULTS, "SECRET_KEY", "DEBUG", "TESTING")
_pick = itemgetter(*_PICKED)


def picked(config: Mapping[str, Any]) -> tuple[Any, ...]:
    """All that :class:`Rules` go by."""
    return _pick(config)  # type: ignore[no-any-return]


def named(values: tuple[Any, ...]) -> dict[str, Any]:
    """The same by name."""
    return dict(zip(_PICKED, values, strict=True))


def kept(values: tuple[Any, ...]) -> tuple[Any, ...]:
    """The same, with copies of what may change in place."""
    return tuple(type(value)(value) if type(value) in (list, set) else value for value in values)


class Rules:
    """What the settings come to, for the code that runs in each request."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        #: What the keys are made of, as it was when these rules were.
        self.keys = {name: config[name] for name in _KEYS}
        #: Whether a secret may be shorter than it should be, whatever the settings of Rampart say.
        self.is_no_production = bool(config["DEBUG"] or config["TESTING"])
        self.locations = locations_of(config["JWT_TOKEN_LOCATION"])
        header = self.header_name = _text(config, "JWT_HEADER_NAME")
        if not header:
            raise ConfigError("JWT_HEADER_NAME cannot be empty.")
        self.header_type = _text(config, "JWT_HEADER_TYPE") if config["JWT_HEADER_TYPE"] else ""
        self.header_start = f"{self.header_type} ".lower()
        #: What a header has in the environ of WSGI.
        self.header_key = "HTTP_" + header.upper().replace("-", "_")
        self.query_name = _text(config, "JWT_QUERY_STRING_NAME")
        self.query_prefix = _text(config, "JWT_QUERY_STRING_VALUE_PREFIX")
        self.access = Names(config, "ACCESS", _text(config, "JWT_JSON_KEY"))
        self.refresh = Names(config, "REFRESH", _text(config, "JWT_REFRESH_JSON_KEY"))
        self.csrf_protect = switch(config, "JWT_COOKIE_CSRF_PROTECT")
        self.csrf_methods = _methods(config["JWT_CSRF_METHODS"])
        if self.csrf_protect and not self.csrf_methods:
            raise ConfigError(
                "JWT_CSRF_METHODS is empty: no cookie needs a proof. To mean that: JWT_COOKIE_CSRF_PROTECT = False."
            )
        self.csrf_form = switch(config, "JWT_CSRF_CHECK_FORM")
        for name in ("JWT_CSRF_IN_COOKIES", "JWT_ENCODE_NBF", "JWT_SESSION_COOKIE"):
            switch(config, name)
        self.identity_claim = _text(config, "JWT_IDENTITY_CLAIM")
        self.algorithm = _text(config, "JWT_ALGORITHM")
        self.algorithms = tuple(dict.fromkeys((*_texts(config, "JWT_DECODE_ALGORITHMS"), self.algorithm)))
        self.audiences = _texts(config, "JWT_DECODE_AUDIENCE")
        self.own_audiences = _texts(config, "JWT_ENCODE_AUDIENCE")
        self.names_audience = config["JWT_DECODE_AUDIENCE"] is not None
        self.issuers = _texts(config, "JWT_DECODE_ISSUER")
        if self.names_audience and not self.audiences:
            raise ConfigError(
                "JWT_DECODE_AUDIENCE is empty, so nobody's token could be taken; leave it out, or name one."
            )
        if config["JWT_DECODE_ISSUER"] is not None and not self.issuers:
            raise ConfigError(
                "JWT_DECODE_ISSUER is empty, so nobody's token could be taken; leave it out, or name one."
            )
        self.leeway = _leeway(config["JWT_DECODE_LEEWAY"])
        #: Whether `sub` may be a whole number, too.
        self.numeric_subject = not switch(config, "JWT_VERIFY_SUB")
        #: The types of tokens that this app lets live for ever.
        self.endless = frozenset(
            kind
            for kind, delta in (("access", expires_of(config, "ACCESS")), ("refresh", expires_of(config, "REFRESH")))
            # A delta of nothing is false, too, and is no end that never comes.
            if delta is False
        )
        secure = config["JWT_COOKIE_SECURE"]
        # Of anything but True, False and None, Flask-JWT-Extended writes `Secure=...`, which browsers take for Secure.
        if secure is not None and secure is not False and secure != True:  # noqa: E712 - 1 is meant as True
            raise ConfigError(f"JWT_COOKIE_SECURE is True or False, not {secure!r}.")
        self.cookie_secure = not config["DEBUG"] if secure is None else bool(secure)
        self.cookie_samesite = _samesite(config["JWT_COOKIE_SAMESITE"])
        # What was made by these rules goes with them: a setting that changes leaves none of it.
        self.verifiers: tuple[Verifier, ...] | None = None
        self.verifiers_of_loaders: OrderedDict[bytes, tuple[Verifier, ...]] = OrderedDict()
        self.signers: OrderedDict[tuple[bytes, str, str | None], Key] = OrderedDict()


_KEYS = ("JWT_ALGORITHM", "JWT_PRIVATE_KEY", "JWT_PUBLIC_KEY", "JWT_SECRET_KEY", "SECRET_KEY")


class Names:
    """Where tokens of one type, and what proves a page, are."""

    def __init__(self, config: Mapping[str, Any], kind: str, json_key: str) -> None:
        self.cookie = _text(config, f"JWT_{kind}_COOKIE_NAME")
        self.csrf_header = _text(config, f"JWT_{kind}_CSRF_HEADER_NAME")
        self.csrf_field = _text(config, f"JWT_{kind}_CSRF_FIELD_NAME")
        self.json_key = json_key


def locations_of(given: Any) -> tuple[str, ...]:
    """``JWT_TOKEN_LOCATION`` as a tuple."""
    if isinstance(given, str):
        given = (given,)
    if not isinstance(given, Iterable) or not (found := tuple(given)):
        raise ConfigError(f"JWT_TOKEN_LOCATION is one or more of {', '.join(map(repr, LOCATIONS))}.")
    for location in found:
        if location not in LOCATIONS:
            raise ConfigError(
                f"JWT_TOKEN_LOCATION is one or more of {', '.join(map(repr, LOCATIONS))}, not {location!r}."
            )
    return found


def _text(config: Mapping[str, Any], name: str) -> str:
    given = config[name]
    if not isinstance(given, str):
        raise ConfigError(f"{name} is a text, not {given!r}.")
    return given


def _texts(config: Mapping[str, Any], name: str) -> tuple[str, ...]:
    given = config[name]
    if given is None:
        return ()
    found = _list((given,) if isinstance(given, str) else given)
    if found is None:
        raise ConfigError(f"{name} is a text or a list of texts, not {given!r}.")
    return found


def _methods(given: Any) -> frozenset[str]:
    # A text would be taken letter by letter, and no method be protected.
    found = None if isinstance(given, str) else _list(given)
    if found is None:
        raise ConfigError(f'JWT_CSRF_METHODS is a list of methods, such as ["POST"], not {given!r}.')
    refuse_unmet("JWT_CSRF_METHODS", found)
    return frozenset(found)


def _list(given: Any) -> tuple[str, ...] | None:
    """The texts that *given* has, if it has nothing else."""
    found = tuple(given) if isinstance(given, Iterable) else (None,)
    return found if all(isinstance(one, str) for one in found) else None


def _samesite(given: Any) -> str | None:
    if given is None or (isinstance(given, str) and given.title() in ("Lax", "None", "Strict")):
        return given
    raise ConfigError(f"JWT_COOKIE_SAMESITE is 'Lax', 'Strict', 'None' or None, not {given!r}.")


def _leeway(given: Any) -> int:
    seconds = given.total_seconds() if isinstance(given, timedelta) else given
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not 0 <= seconds <= 86400:
        raise ConfigError("JWT_DECODE_LEEWAY is a number of seconds from 0 to 86400.")
    return int(seconds)


def expires_of(config: Mapping[str, Any], kind: str) -> Any:
    """How long tokens of a type live: something that can be added to a time, or False."""
    key = f"JWT_{kind}_TOKEN_EXPIRES"
    delta = config[key]
    if type(delta) is int:
        delta = timedelta(seconds=delta)
    if delta is not False:
        try:
            delta + datetime.now(timezone.utc)
        except TypeError:
            raise ConfigError(f"{key} is a timedelta, whole seconds, or False for no end.") from None
    return delta


class _Config:
    """The settings of the current app, by the names that Flask-JWT-Extended's ``config`` has. Read only."""

    @property
    def is_asymmetric(self) -> bool:
        return not self.algorithm.startswith("HS")

    @property
    def algorithm(self) -> str:
        return str(_value("ALGORITHM"))

    @property
    def encode_key(self) -> Any:
        return encode_key(current_app.config)

    @property
    def decode_key(self) -> Any:
        return decode_key(current_app.config)

    @property
    def token_location(self) -> Sequence[str]:
        return locations_of(_value("TOKEN_LOCATION"))

    @property
    def jwt_in_cookies(self) -> bool:
        return "cookies" in self.token_location

    @property
    def jwt_in_headers(self) -> bool:
        return "headers" in self.token_location

    @property
    def jwt_in_query_string(self) -> bool:
        return "query_string" in self.token_location

    @property
    def jwt_in_json(self) -> bool:
        return "json" in self.token_location

    @property
    def access_expires(self) -> Any:
        return expires_of(current_app.config, "ACCESS")

    @property
    def refresh_expires(self) -> Any:
        return expires_of(current_app.config, "REFRESH")

    @property
    def decode_algorithms(self) -> list[str]:
        return list(Rules(current_app.config).algorithms)

    @property
    def cookie_secure(self) -> bool:
        return Rules(current_app.config).cookie_secure

    @property
    def cookie_max_age(self) -> int | None:
        return None if self.session_cookie else _YEAR

    @property
    def exempt_methods(self) -> Iterable[str]:
        return set(EXEMPT)

    def __getattr__(self, name: str) -> Any:
        # The others are a setting as it stands.
        key = _PLAIN.get(name, name.upper())
        if f"JWT_{key}" not in DEFAULTS:
            raise AttributeError(name)
        return _value(key)


_PLAIN = {
    "error_msg_key": "ERROR_MESSAGE_KEY",
    "identity_claim_key": "IDENTITY_CLAIM",
    "csrf_request_methods": "CSRF_METHODS",
    "leeway": "DECODE_LEEWAY",
}
_YEAR = 31_540_000


def _value(key: str) -> Any:
    return current_app.config[f"JWT_{key}"]


def encode_key(config: Mapping[str, Any]) -> Any:
    """What tokens are signed with.

    :raises ConfigError: if it is not set.
    """
    return _key(config, "JWT_PRIVATE_KEY")


def decode_key(config: Mapping[str, Any]) -> Any:
    """What tokens are verified with.

    :raises ConfigError: if it is not set.
    """
    return _key(config, "JWT_PUBLIC_KEY")


def _key(config: Mapping[str, Any], name: str) -> Any:
    algorithm = config["JWT_ALGORITHM"]
    if str(algorithm).startswith("HS"):
        found = config["JWT_SECRET_KEY"] or config.get("SECRET_KEY")
        name = "JWT_SECRET_KEY, or SECRET_KEY"
    else:
        found = config[name]
    if not found:
        raise ConfigError(f"Set {name}: JWT_ALGORITHM is {algorithm!r}.")
    return found


config = _Config()
