"""All that is looked for, in one table. An id is never given to something else, also when a rule is gone.

The hundreds are rooms: 0 the app, 1 secrets, 2 the way to it (hosts, proxies, HTTPS, cookies), 3 browsers (CSP, CORS,
CSRF), 4 routes, 5 stores, limits and bounds, 6 what is remembered, 7 files, 8 packages and servers. Rules of an app's
own have a prefix of its own.

``docs/check-rules.md`` has a section for each; ``tests/test_check.py`` holds the two together.
"""

from __future__ import annotations

from .findings import Rule, Severity

_E, _W, _N = Severity.ERROR, Severity.WARNING, Severity.NOTE
_RANDOM = "python -c 'import secrets; print(secrets.token_urlsafe(48))'"

_RULES = (
    # The app ----------------------------------------------------------------------------------------------------------
    Rule("RMP-001", _E, "the app does not start", "Mend what the message names: each request is refused until then."),
    Rule("RMP-002", _E, "debug mode is on", "Unset FLASK_DEBUG, and leave DEBUG out of the configuration.", True),
    Rule("RMP-003", _E, "testing mode is on", "Leave TESTING out of the configuration of what is deployed.", True),
    Rule("RMP-004", _W, "the app warns when it starts", "Do what the warning says."),
    Rule(
        "RMP-005",
        _E,
        "a guard that no request meets",
        "Put the route on top of all decorators, or add functools.wraps to the decorator in between.",
    ),
    Rule(
        "RMP-006",
        _W,
        "exceptions reach the server",
        "Leave PROPAGATE_EXCEPTIONS, TRAP_HTTP_EXCEPTIONS and TRAP_BAD_REQUEST_ERRORS unset in production.",
        True,
    ),
    Rule("RMP-007", _E, "the source starts a debugger", "Leave debug=True out: start it by `flask run --debug`."),
    Rule(
        "RMP-008",
        _W,
        "a development server is what starts in production",
        "Start a production server: gunicorn --workers 4 'app:create_app()'.",
        True,
    ),
    Rule(
        "RMP-009",
        _W,
        "something was not looked at",
        "Look at it yourself, and leave this out with --ignore RMP-009:PLACE; or mend what keeps the check from it.",
    ),
    # Secrets ----------------------------------------------------------------------------------------------------------
    Rule("RMP-101", _E, "a secret that is too short", f"Make one of 32 random bytes or more: {_RANDOM}", True),
    Rule("RMP-102", _E, "a secret that can be guessed", f"Make one at random: {_RANDOM}", True),
    Rule(
        "RMP-103",
        _E,
        "a secret that is public",
        f"Whoever has read the same documentation has it. Make your own: {_RANDOM}",
    ),
    Rule("RMP-104", _E, "one secret for several uses", "Give each use its own: what breaks one then breaks no other."),
    Rule(
        "RMP-105",
        _E,
        "a secret in the source",
        "Whoever reads the code or its history has it: read it from the environment or a file, and make a new one.",
    ),
    Rule("RMP-106", _W, "a password in an address in the source", "Read the address from the environment."),
    Rule(
        "RMP-107",
        _W,
        "each worker makes a secret of its own",
        f"Make it once, and read it from the environment: {_RANDOM}",
    ),
    # The way to it ----------------------------------------------------------------------------------------------------
    Rule(
        "RMP-201",
        _E,
        "a cookie travels in clear",
        "Remove the exception in RAMPART_COOKIES, SESSION_COOKIE_SECURE or RAMPART_JWT_COOKIE_SECURE.",
        True,
    ),
    Rule(
        "RMP-202",
        _W,
        "a script can read a cookie",
        "Remove the exception in RAMPART_COOKIES, unless a script needs to read this cookie.",
    ),
    Rule(
        "RMP-203",
        _W,
        "a cookie goes along with other sites' requests",
        "Leave SameSite at Lax, unless the app is embedded in pages of other sites.",
    ),
    Rule(
        "RMP-204",
        _N,
        "a neighbour can set the session's cookie",
        'Set RAMPART_SESSION_PREFIX = "host": browsers then hold the cookie to this host.',
        True,
    ),
    Rule(
        "RMP-205",
        _W,
        "a token is taken from the address",
        'Addresses are logged and sent on as Referer: leave "query" out of RAMPART_JWT_LOCATIONS.',
    ),
    Rule(
        "RMP-211",
        _E,
        "any host is answered",
        'List the names that the app is called by: RAMPART_TRUSTED_HOSTS = ["api.example.com"].',
        True,
    ),
    Rule(
        "RMP-221",
        _N,
        "no proxy is trusted",
        "If a proxy or load balancer stands in front, list its networks in RAMPART_TRUSTED_PROXIES.",
        True,
    ),
    Rule(
        "RMP-222",
        _E,
        "strangers are taken for proxies",
        "List the addresses of your own proxies in RAMPART_TRUSTED_PROXIES, and no more than these.",
    ),
    Rule(
        "RMP-223",
        _E,
        "ProxyFix believes everybody",
        "Remove ProxyFix, and list your proxies in RAMPART_TRUSTED_PROXIES: it looks at who sends the header.",
    ),
    Rule("RMP-231", _E, "plain HTTP is answered", 'Set RAMPART_HTTPS = "redirect", or "refuse" for an API.', True),
    Rule(
        "RMP-232",
        _W,
        "browsers are not held to HTTPS",
        "Leave RAMPART_HSTS unset for two years with subdomains; RAMPART_HSTS_SINCE climbs there by steps.",
        True,
    ),
    Rule(
        "RMP-233",
        _W,
        "a store is reached without TLS",
        "Use rediss:// or the database's sslmode=verify-full: records and passwords travel in clear otherwise.",
        True,
    ),
    # Browsers ---------------------------------------------------------------------------------------------------------
    Rule(
        "RMP-301",
        _W,
        "the Content-Security-Policy lets injected scripts run",
        "Give scripts a nonce ('nonce', csp_nonce()) or a hash (flask rampart csp-hash), and take the source out.",
    ),
    Rule(
        "RMP-302",
        _W,
        "the Content-Security-Policy leaves a way open",
        "Add the directive: base-uri 'none', object-src 'none', frame-ancestors 'none', form-action 'self'.",
    ),
    Rule("RMP-303", _W, "an answer without a Content-Security-Policy", "Say which sources the page needs instead."),
    Rule("RMP-304", _W, "a secure header was taken off", "Leave it out of headers(...): the default is safe."),
    Rule(
        "RMP-311",
        _W,
        "pages of every origin may read answers",
        "List the origins whose pages need it, unless this is for everybody in the world.",
    ),
    Rule(
        "RMP-312",
        _N,
        "pages of many origins act as whoever is logged in",
        "Name the origins in full: whoever takes over one subdomain is all of them.",
    ),
    Rule("RMP-313", _W, "refused pages are told why", "Leave RAMPART_CORS_DEBUG out in production.", True),
    Rule(
        "RMP-321",
        _E,
        "other sites' pages can act as whoever is logged in",
        'Leave RAMPART_CSRF at "fetch-metadata", and list the origins that may in RAMPART_CSRF_TRUSTED_ORIGINS.',
    ),
    # Routes -----------------------------------------------------------------------------------------------------------
    Rule(
        "RMP-401",
        _W,
        "a route is open and does not say so",
        "Put @require(...) on it, or @public if it is for everybody.",
    ),
    Rule(
        "RMP-402",
        _W,
        "a route changes things without a limit",
        'Put @limit("60/minute") on it, or set RAMPART_LIMITS for the whole app.',
    ),
    Rule(
        "RMP-403",
        _N,
        "a route takes a body that nothing describes",
        "Put @validate(body=...) on it: what has no shape is the view's to check.",
    ),
    Rule(
        "RMP-404",
        _E,
        "passwords can be tried without end",
        'Put @limit("5/minute", count="failures", ban="15 minutes after 3") on it.',
    ),
    Rule("RMP-405", _W, "what is not declared is open", 'Set RAMPART_DEFAULT = "deny": forgetting is then safe.'),
    Rule(
        "RMP-406",
        _W,
        "a limit that refuses nobody",
        'Remove mode="report" when its log shows whom it would refuse.',
        True,
    ),
    Rule(
        "RMP-407",
        _W,
        "a limit that ends with its store",
        'Write on_store_error="local": it then goes on counting on this host.',
    ),
    Rule(
        "RMP-408", _E, "a debugging tool has routes", "Do not install or register it where the app is deployed.", True
    ),
    Rule(
        "RMP-409",
        _N,
        "routes of another package",
        "Look at what they do; guard them with rampart.protect(blueprint, ...).",
    ),
    # Stores, limits, bounds -------------------------------------------------------------------------------------------
    Rule(
        "RMP-501",
        _E,
        "each worker counts for itself",
        'Leave RAMPART_LIMIT_STORE out for "shm://", which the workers of a host share.',
        True,
    ),
    Rule("RMP-502", _E, "records are forgotten", 'Leave RAMPART_STORE out for "sqlite:///rampart.sqlite3".', True),
    Rule(
        "RMP-503",
        _W,
        "records are kept where they do not last",
        "Put the instance folder, or RAMPART_STORE, on a disk that outlives the machine or container.",
        True,
    ),
    Rule(
        "RMP-504",
        _E,
        "records are on a network's file system",
        "SQLite's locks do not hold there: use a local disk, or a database or Redis in RAMPART_STORE.",
        True,
    ),
    Rule("RMP-505", _E, "the store of records does not answer", "Start it, or correct RAMPART_STORE."),
    Rule(
        "RMP-511",
        _W,
        "requests may be larger than they need to be",
        "Lower the setting; raise it for a view by @bounds(...).",
    ),
    Rule("RMP-512", _W, "a request may pass for another", "Leave the setting at its default."),
    # What is remembered -----------------------------------------------------------------------------------------------
    Rule("RMP-601", _W, "nothing is remembered for later", 'Set RAMPART_AUDIT_LOG = "audit", a directory.', True),
    Rule(
        "RMP-602",
        _N,
        "what cannot be recorded is done all the same",
        'Leave RAMPART_AUDIT_ON_FAILURE at "refuse" where the record matters.',
        True,
    ),
    Rule("RMP-603", _W, "requests are not logged", 'Set RAMPART_ACCESS_LOG = "stderr", or a file.', True),
    Rule(
        "RMP-604",
        _W,
        "secrets are kept in logs",
        "Take the operator keep out of RAMPART_REDACT, or narrow what it is for.",
    ),
    Rule("RMP-605", _W, "nobody looks for attacks", 'Set RAMPART_MONITOR = "report", or "enforce".', True),
    # Files ------------------------------------------------------------------------------------------------------------
    Rule("RMP-701", _E, "others can read a key", "chmod 600 it, and make it the app's user's own (chown)."),
    Rule("RMP-702", _E, "others can change the app", "chmod go-w it.", True),
    Rule("RMP-703", _W, "others can read records or logs", "chmod 600 it; chmod 700 the folder."),
    Rule(
        "RMP-704", _E, "a secret is served to everybody", "Move it out of the static folder, and make a new one.", False
    ),
    # Packages and servers ---------------------------------------------------------------------------------------------
    Rule(
        "RMP-801", _E, "a package with a known weakness", "Install the version that the message names, or a later one."
    ),
    Rule("RMP-802", _E, "this Python gets no security fixes", "Move to a Python that does."),
    Rule("RMP-803", _W, "a release line gets no security fixes", "Move to the line that the message names."),
    Rule("RMP-804", _W, "what this check knows of versions is old", "Install a newer flask-rampart."),
    Rule(
        "RMP-805", _N, "no production server is installed", "Install one, such as gunicorn, and lock its version.", True
    ),
    Rule(
        "RMP-811",
        _E,
        "an installed package has a known advisory",
        "Install a version that fixes it, or leave the package.",
    ),
    Rule(
        "RMP-812", _W, "it is not known whether a package is affected", "Look at it: the message says what is missing."
    ),
    Rule("RMP-813", _W, "the advisories are old", "Fetch them anew: what became known since is not in there."),
)

CATALOGUE = {rule.id: rule for rule in _RULES}
"""Every rule, by its id."""

if len(CATALOGUE) != len(_RULES):  # pragma: no cover
    raise AssertionError("each rule has an id of its own")
