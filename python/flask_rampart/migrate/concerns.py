"""By which words each difference concerns a project: those of :mod:`.facts`.

A row that is not here concerns every app that has the extension. What is told too often costs a line; what is not told
costs a surprise: a word that is used for something else as well is taken for the extension's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class When:
    """A row concerns whoever has one of these *words*, or a text that *text* is found in, or a value of one of *open*
    that is not written in the project; and whoever has none of *unset*; but nobody who has one of *unless*. For
    these two, tests do not count: what they set is not what production has."""

    words: tuple[str, ...] = ()
    text: str = ""
    unset: tuple[str, ...] = ()
    unless: tuple[str, ...] = ()
    open: tuple[str, ...] = ()


def _words(*words: str) -> When:
    return When(words)


_COOKIES = ("JWT_TOKEN_LOCATION=cookies", "JWT_TOKEN_LOCATION=?", "set_access_cookies", "set_refresh_cookies")
_PEM = ("JWT_PUBLIC_KEY", "JWT_PRIVATE_KEY", "decode_key_loader", "encode_key_loader")
_MADE = ("create_access_token", "create_refresh_token")
_CLAIMS = ("additional_claims=", "additional_claims_loader")
_SWITCHES = tuple(
    f"JWT_{name}"
    for name in (
        *("COOKIE_CSRF_PROTECT", "CSRF_CHECK_FORM", "CSRF_IN_COOKIES"),
        *("ENCODE_NBF", "SESSION_COOKIE", "VERIFY_SUB"),
    )
)
_JWT: Mapping[str, When] = {
    "`JWT_COOKIE_SECURE`, not set": When(_COOKIES, unless=("JWT_COOKIE_SECURE",)),
    "`JWT_COOKIE_SAMESITE`, not set": When(_COOKIES, unless=("JWT_COOKIE_SAMESITE",)),
    "a token with `aud`, and `JWT_DECODE_AUDIENCE` is not set": When(unless=("JWT_DECODE_AUDIENCE",)),
    "a secret shorter than 32, 48, 64 bytes for HS256, HS384, HS512": When(unless=_PEM[:2]),
    "`JWT_VERIFY_SUB = False`": _words("JWT_VERIFY_SUB=False"),
    "an identity that is no text": _words(*_MADE),
    "`ES512`, `ES256K`": When(text=r"\A(?:ES512|ES256K)\Z"),
    "an RSA key below 2048 bits": _words(*_PEM),
    "keys as objects of `cryptography`, as JWK or SSH": _words(*_PEM),
    "a private RSA key above 4096 bits, or of a length that is no multiple of 512, or with an exponent below 65537": (
        _words("JWT_PRIVATE_KEY", "encode_key_loader")
    ),
    "a secret with `-----BEGIN` in it": When(text="-----BEGIN"),
    "`iss`, `aud`, `cnf` or `sid` as null, `iss` as a number": _words(*_CLAIMS, "JWT_ENCODE_ISSUER"),
    "`sid` or `auth_time` of another type": When(_CLAIMS, text=r"\A(?:sid|auth_time)\Z"),
    "one key for HS* and others (`JWT_DECODE_ALGORITHMS`)": _words("JWT_DECODE_ALGORITHMS"),
    "members of the header beside `alg`, `kid`, `typ`, for a private key": _words(
        "additional_headers=", "additional_headers_loader"
    ),
    "a number that is not finite, in a claim": _words(*_CLAIMS),
    "`JWT_DECODE_LEEWAY` above a day, or with a fraction": _words("JWT_DECODE_LEEWAY"),
    '`JWT_CSRF_METHODS` as a text, such as `"POST"`': _words("JWT_CSRF_METHODS"),
    "`JWT_CSRF_METHODS` in lower case or with spaces, or empty": _words("JWT_CSRF_METHODS"),
    "`JWT_COOKIE_CSRF_PROTECT`, or another switch, that is neither True nor False": _words(*_SWITCHES),
    "`JWT_COOKIE_SECURE` that is neither True, False nor None": _words("JWT_COOKIE_SECURE"),
    "`JWT_ACCESS_TOKEN_EXPIRES` or `JWT_REFRESH_TOKEN_EXPIRES` of no time: `0`, `timedelta(0)`": _words(
        *(f"JWT_{kind}_TOKEN_EXPIRES={end}" for kind in ("ACCESS", "REFRESH") for end in ("?", "0", "0:00:00"))
    ),
    "an empty list as `JWT_DECODE_AUDIENCE` or `JWT_DECODE_ISSUER`": _words("JWT_DECODE_AUDIENCE", "JWT_DECODE_ISSUER"),
    "`X-CSRF-TOKEN` that is not ASCII": _words(*_COOKIES),
    "a `csrf` claim that is no text": _words(*_COOKIES),
    "a JSON body that is no object": _words("JWT_TOKEN_LOCATION=json", "JWT_TOKEN_LOCATION=?"),
    "a `fresh` claim that is neither a number nor true or false": _words("fresh="),
    "an `async` loader, whatever its form": _words("async def"),
    "a loader that raises `NoAuthorizationError`, under `optional=True`": _words("optional=True"),
    "a blueprint's error handler for `HTTPException`": _words("HTTPException"),
    "a view that answers `OPTIONS` itself": When(
        ("def options", "provide_automatic_options="), text=r"\A(?i:OPTIONS)\Z"
    ),
    "its exceptions": _words("flask_restful", "flask_restx", "flask_smorest", "apiflask", "flask_rebar"),
}

_ELSEWHERE = r"\A(?:async\+)?(?:redis|rediss|valkey|valkeys|memcached|mongodb|mongodb\+srv|etcd)(?:\+\w+)?://"
_STORE = ("RATELIMIT_STORAGE_URI", "storage_uri=")
_LIMITS = (".limit", ".shared_limit")
_COSTS = (
    "cost=",
    "default_limits_cost=",
    "application_limits_cost=",
    "RATELIMIT_DEFAULTS_COST",
    "RATELIMIT_APPLICATION_COST",
)
_DEDUCTS = (
    *("deduct_when=", "default_limits_deduct_when=", "application_limits_deduct_when="),
    *("RATELIMIT_DEFAULTS_DEDUCT_WHEN", "RATELIMIT_APPLICATION_DEDUCT_WHEN"),
)
_IDENTIFIERS = ("request_identifier=", "RATELIMIT_REQUEST_IDENTIFIER")
_LIMITER: Mapping[str, When] = {
    "`memory://`, with several workers": When(text=r"\Amemory://", unset=_STORE),
    "an IPv6 address, by `get_remote_address`": _words("get_remote_address", "get_ipaddr"),
    "`swallow_errors`": _words("swallow_errors=", "RATELIMIT_SWALLOW_ERRORS"),
    "a limit within a view, or above what the view itself calls": _words(*_LIMITS),
    "a key that is `0` or `False`": _words("key_func="),
    "a negative cost, or one that is no whole number": _words(*_COSTS),
    "`sliding-window-counter`": When(text=r"\Asliding-window-counter\Z"),
    "a limit that cannot be read, above a view": _words(*_LIMITS),
    "`0 per minute`": When(text=r"(?:\A|[;,|])\s*0\s*(?:/|per)\s*\d*\s*(?:second|minute|hour|day|month|year)"),
    "`deduct_when`, and many requests at once": _words(*_DEDUCTS),
    '`methods=["GET"]`, and `per_method`': _words(
        *("limit.methods=", "shared_limit.methods=", "per_method=", "default_limits_per_method="),
        *("application_limits_per_method=", "RATELIMIT_DEFAULTS_PER_METHOD", "RATELIMIT_APPLICATION_PER_METHOD"),
    ),
    "a view of yours that is called `static`": _words("def static"),
    "`exempt(flags=...)` with some of the flags, on a view or blueprint with limits of its own": _words(
        "flags=", "ExemptionScope"
    ),
    "`meta_limits` of a blueprint's limit": _words("meta_limits=", "RATELIMIT_META"),
    "`request_identifier` that returns an empty text": _words(*_IDENTIFIERS),
    "`RATELIMIT_ENABLED` that is neither True nor False": _words("RATELIMIT_ENABLED"),
    "`fixed-window`": When(text=r"\Afixed-window\Z", unset=("RATELIMIT_STRATEGY", "strategy=")),
    "`moving-window`": When(text=r"\Amoving-window\Z"),
    "a function that is limited, and called by a view": _words(*_LIMITS),
    "limits of several blueprints with one unit of time": _words("Blueprint"),
    "`request_identifier`": _words(*_IDENTIFIERS),
    "two limits with key functions of two names": _words("key_func="),
    "`deduct_when` and an answer that a limit has refused": _words(*_DEDUCTS),
    "`RATELIMIT_DEFAULT`, `RATELIMIT_APPLICATION` or `RATELIMIT_META` as a list": _words(
        "RATELIMIT_DEFAULT", "RATELIMIT_APPLICATION", "RATELIMIT_META"
    ),
    "a cost of 0, from a function, while all is spent": _words(*_COSTS),
    "`storage_options` for Redis": _words("storage_options=", "RATELIMIT_STORAGE_OPTIONS"),
    "`memcached://`, `mongodb://` and others": When(text=r"\A(?:async\+)?(?:memcached|mongodb|etcd)(?:\+\w+)?://"),
    "`redis://`": When(text=r"\A(?:async\+)?(?:redis|rediss|valkey|valkeys)(?:\+\w+)?://"),
    "one Redis for two services": When(text=r"\A(?:async\+)?(?:redis|rediss|valkey|valkeys)(?:\+\w+)?://"),
    "a limit above one method of a view class": _words("MethodView"),
    "one `Limiter` in two apps, and `RATELIMIT_ENABLED = False` in the second": _words("RATELIMIT_ENABLED"),
    "a store that is away": When(_STORE, text=_ELSEWHERE),
    "`limiter.reset()`": _words(".reset"),
}

_PLAIN_HTTP = When(unless=("force_https=False",))
_CSP = _words("content_security_policy=", ".content_security_policy")
_TALISMAN: Mapping[str, When] = {
    "`X-Forwarded-Proto: https`": _PLAIN_HTTP,
    "plain HTTP, for a host that nobody named": _PLAIN_HTTP,
    "plain HTTP, and neither GET nor HEAD": _PLAIN_HTTP,
    "`self`, `none` and other keywords without quotes": _CSP,
    "`;` in the value of a directive": _CSP,
    "a directive that browsers do not know or have left": _CSP,
    "`'none'` beside other sources, a fixed nonce, a hash of the wrong length, `'strict-dynamic'` alone": _CSP,
    "a directive that takes no value, with one": _CSP,
    "a line break, or what is not ASCII, in a field": _words(
        *_CSP.words, "permissions_policy=", "feature_policy=", "document_policy=", "referrer_policy="
    ),
    "`strict_transport_security_max_age` that is no whole number": _words("strict_transport_security_max_age="),
    "a policy as text that ends in `;`": _CSP,
    "`referrer_policy=None`": _words("referrer_policy=None"),
    "a dict that is changed after `Talisman(app)`": _words(
        *_CSP.words, "permissions_policy=", "feature_policy=", "document_policy="
    ),
    "`report-uri` as a part of some other value of the policy": _words("content_security_policy_report_uri="),
    "a set of sources": _CSP,
    'a directive without sources (`"script-src": []`), or with a `,` in a source': _CSP,
    "a dict of `view.talisman_view_options` that is changed after the view's first request": _words(
        ".talisman_view_options"
    ),
    "`view.talisman_view_options` that is written by hand after the app's first request, where no view had any": _words(
        ".talisman_view_options"
    ),
    "`get_wsgi_headers` of a `Response` class that is not the app's `response_class`": _words("get_wsgi_headers"),
    "`content_security_policy_nonce_in` that names a feature of `feature_policy`": _words("feature_policy="),
}

_ORIGINS = ("origins=", "CORS_ORIGINS")
_CREDENTIALS = ("supports_credentials=", "CORS_SUPPORTS_CREDENTIALS")
_PRIVATE = ("allow_private_network=", "CORS_ALLOW_PRIVATE_NETWORK")
_METHODS = ("CORS.methods=", "cross_origin.methods=", "CORS_METHODS")
_EXPOSE = ("expose_headers=", "CORS_EXPOSE_HEADERS")
_PATTERNS = When(text=r"\A\^?(?:https?|\(|\.\*.).*[*\\\]?$^\[()]", open=_ORIGINS)
_NULL = When(text=r"\Anull\Z")
_CORS: Mapping[str, When] = {
    "every origin with `supports_credentials`": _words(*_CREDENTIALS),
    "every origin with `allow_private_network`": _words(*_PRIVATE),
    "a pattern that matches an origin that anybody can have, with either: `https://.*`, `https?://\\w+\\.\\w+`, "
    "`.*example.*`, `https://app\\.example\\.com.*`": _words(*_CREDENTIALS, *_PRIVATE),
    "a pattern that repeats what reads one text in two ways, with either: `([a-z0-9-]+\\.?)+`": _words(
        *_CREDENTIALS, *_PRIVATE
    ),
    "a pattern whose dot lets other names in, with either: `https://.*.example.com` is also "
    "`https://evilexample.com`": _words(*_CREDENTIALS, *_PRIVATE),
    "a pattern of an origin": _PATTERNS,
    "a pattern in `allow_headers`": _words("allow_headers=", "CORS_ALLOW_HEADERS"),
    "`null` in `origins`": _NULL,
    "`null`, and a pattern that matches it": _PATTERNS,
    "`null`, where every origin is meant": When(unset=_ORIGINS),
    'a text as a switch, such as `CORS_SUPPORTS_CREDENTIALS = "False"`': _words(
        *_CREDENTIALS, *_PRIVATE, "CORS_ALWAYS_SEND", "CORS_SEND_WILDCARD", "CORS_VARY_HEADER"
    ),
    "an origin that is neither text nor pattern": _words(*_ORIGINS),
    "a line break in `methods`, `expose_headers` or `max_age`": _words(*_METHODS, *_EXPOSE, "max_age=", "CORS_MAX_AGE"),
    'methods in one text without commas, such as `methods="GET POST"`': _words(*_METHODS),
    "a method that is a part of another's name, such as `PO`": _words(*_METHODS),
    "a field that the view set, under `@cross_origin`": _words("cross_origin"),
    "an `async` view under `@cross_origin`": When(("async def",)),
    "a `CORS_*` setting that changes after the first request": _words("cross_origin"),
    "an origin above 300 characters": _PATTERNS,
}

_REFERERS = When(unless=("WTF_CSRF_SSL_STRICT=False",))
_CSRF: Mapping[str, When] = {
    "two views of one name in one module: lambdas, functions of one factory, what a decorator without "
    "`functools.wraps` made, methods of two objects": _words(".exempt"),
    "a decorator above `csrf.exempt` that copies `__name__` and not `__wrapped__`": _words(".exempt"),
    "`WTF_CSRF_METHODS` as a text, in lower case or with spaces": _words("WTF_CSRF_METHODS"),
    "`WTF_CSRF_HEADERS` as a text": _words("WTF_CSRF_HEADERS"),
    "`WTF_CSRF_METHODS` or `WTF_CSRF_HEADERS` as a dict": _words("WTF_CSRF_METHODS", "WTF_CSRF_HEADERS"),
    "a switch that is neither True nor False": _words(
        "WTF_CSRF_ENABLED", "WTF_CSRF_CHECK_DEFAULT", "WTF_CSRF_SSL_STRICT"
    ),
    "`WTF_CSRF_TIME_LIMIT` that is no number": _words("WTF_CSRF_TIME_LIMIT"),
    "an empty `WTF_CSRF_SECRET_KEY`, or a list with an empty one, or of none": _words("WTF_CSRF_SECRET_KEY"),
    "an empty `WTF_CSRF_FIELD_NAME`": _words("WTF_CSRF_FIELD_NAME"),
    "an empty `WTF_CSRF_META_NAME`": _words("WTF_CSRF_META_NAME"),
    "`WTF_CSRF_ENABLED = False` or an empty `WTF_CSRF_METHODS` in production": _words(
        "WTF_CSRF_ENABLED=False", "WTF_CSRF_ENABLED=?", "WTF_CSRF_METHODS"
    ),
    "`_error_response` of a subclass that returns": _words("def _error_response"),
    "a `Referer` that cannot be read, such as `https://localhost:x/`": _REFERERS,
    "`same_origin` of what cannot be read": _words("same_origin"),
    "a form's token that is no text, from JSON, with `csrf_class = FlaskFormCSRF`": _words("FlaskFormCSRF"),
    "no `Referer` over HTTPS, where the browser says that the page is one's own, and the request has neither a token "
    "in `Authorization` nor `X-API-Key`": _REFERERS,
    "a `Referer` of an origin in `RAMPART_CSRF_TRUSTED_ORIGINS`": _words("RAMPART_CSRF_TRUSTED_ORIGINS="),
    "a token signed with a key in `SECRET_KEY_FALLBACKS`": When(
        ("SECRET_KEY_FALLBACKS", "SECRET_KEY_FALLBACKS="), text=r"\ASECRET_KEY_FALLBACKS\Z"
    ),
    "a view without a name, such as a `functools.partial`": _words("partial"),
    "the logger that is told why": When(text=r"\Aflask_wtf"),
}

CONCERNS: Mapping[str, Mapping[str, When]] = {
    "jwt-extended": _JWT,
    "limiter": _LIMITER,
    "talisman": _TALISMAN,
    "cors": _CORS,
    "wtf-csrf": _CSRF,
}
_ALL = [when for of_page in CONCERNS.values() for when in of_page.values()]
VOCABULARY = frozenset(word for when in _ALL for word in (*when.words, *when.unset, *when.unless, *when.open))
"""All words that are asked for."""
TEXTS = re.compile("|".join(f"(?:{when.text})" for when in _ALL if when.text), re.IGNORECASE)
"""All texts that are."""
