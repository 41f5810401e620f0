"""Settings: the ``RAMPART_*`` keys of ``app.config``, read once into one frozen object.

Rules, in order:

1. a key that begins with ``RAMPART_`` and is not a setting stops the start-up, with the nearest right
   spelling, so that no check is off because its name was mistyped;
2. a value of the wrong type, out of range or empty stops the start-up: nothing is off by being empty;
3. what is not set has the default that ``docs/defaults.md`` gives a reason for;
4. a key that changes after it was read, and before the first request, is an error then.

What needs more than a type (keys, quotas, a policy) is checked by the room that it belongs to.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import date
from typing import Any

from . import readers
from .errors import ConfigError
from .setting_types import READERS
from .sinks import SinkAddress

PREFIX = "RAMPART_"


@dataclass(frozen=True, slots=True)
class Settings:
    """What an app runs by. Each field is the setting ``RAMPART_<FIELD>``."""

    default: str = "open"
    """``"open"``: only declared guards refuse. ``"deny"``: a view that declares neither ``require`` nor
    ``public`` is refused."""

    profile: str = "api"
    """Which secure headers are sent: ``"api"``, ``"html"``, or ``"mixed"`` by the answer's media type."""

    csp: Mapping[str, Any] | None = None
    """The Content-Security-Policy as directives; None keeps the profile's own."""

    cors_origins: tuple[Any, ...] | None = None
    """Origins whose pages may read answers: ``"https://app.example.com"``, ``"https://*.example.com"``, a
    ``re.Pattern``, or ``"*"``. None: no other origin's."""

    cors_credentials: bool | None = None
    """Whether these pages act as whoever is logged in."""

    cors_methods: tuple[str, ...] | None = None
    """Methods that they may use beside GET, HEAD and POST; None: those that the views have."""

    cors_headers: tuple[str, ...] | None = None
    """Header fields that they may send; None: ``Authorization`` and ``Content-Type``."""

    cors_expose: tuple[str, ...] | None = None
    """Header fields that they may read; None: those of a refusal."""

    cors_max_age: int | None = None
    """For how long browsers keep the answer to a preflight, in seconds; None: 600."""

    cors_private_network: bool | None = None
    """Whether pages of public sites may reach this app in a private network."""

    cors_debug: bool = False
    """Whether a refusal says why, in ``X-Rampart-CORS`` and in the log."""

    csp_report_only: Mapping[str, Any] | None = None
    """A policy beside the enforced one, as directives: what it would block is reported and not blocked."""

    reports: str | None = None
    """Where browsers report violations to: a path such as ``"/reports"``, where they are collected, or the https URL of
    another collector. Not set: nowhere."""

    reports_hosts: tuple[str, ...] = ()
    """Hosts beside its own whose pages' reports the collector takes: ``"www.example.com"``, ``"*.example.com"``."""

    reports_keep: int = 30
    """Days after which a group of reports that came no more is dropped."""

    cookies: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """What is otherwise of some cookies, by name or ``"beginning*"``: ``{"theme": {"http_only": False}}``; see
    ``docs/cookies.md``."""

    session_prefix: str | None = None
    """What the name of the session's cookie begins with: ``"host"`` (``__Host-``), ``"host-http"``, ``"http"``, or
    ``"secure"``. Not set: nothing. Under ``app.debug`` nothing either."""

    jwt_keys: tuple[Mapping[str, Any], ...] = field(default=(), repr=False)
    """Each a JWK, or ``{"kid", "alg", "secret" | "pem" | "path", "verify_only"}``. The first that can sign signs."""

    jwt_issuer: str | None = None
    """``iss`` of the tokens that are issued, and required of those that are verified."""

    jwt_audience: tuple[str, ...] = ()
    """``aud``: a token must name one of these. The first is written into issued tokens."""

    jwt_leeway: int = 30
    """Clock skew tolerated either way, in seconds."""

    jwt_lifetime: int = 900
    """How long an issued token lives, in seconds."""

    jwt_refresh_lifetime: int = 30 * 86400
    """How long a refresh token lives, in seconds; each refresh begins it anew."""

    jwt_family_lifetime: int = 90 * 86400
    """How long a login lasts at most, however often it is refreshed, in seconds."""

    jwt_refresh_overlap: int = 10
    """Seconds for which a refresh token that was replaced still gives its successor: for answers that were lost, and
    for tabs that refresh at once."""

    jwt_revocation: bool | None = None
    """Whether tokens can be revoked, which needs the ``RAMPART_STORE``. Not set: where a key can sign."""

    jwt_locations: tuple[str, ...] = ("header",)
    """Where tokens are looked for: ``"header"``, ``"cookie"``, ``"json"``, ``"query"``."""

    jwt_cookie_domain: str | None = None
    """``Domain`` of the cookies. Not set: this host alone, and they are named ``__Host-``."""

    jwt_cookie_samesite: str = "Lax"
    """``"Strict"``, ``"Lax"``, or ``"None"`` for pages of other sites."""

    jwt_cookie_secure: bool = True
    """Whether cookies go over HTTPS only. False is for ``app.debug`` and ``app.testing``."""

    jwt_refresh_path: str = "/"
    """``Path`` of the cookie with the refresh token: that of the view that refreshes."""

    jwks_path: str | None = None
    """Where the public keys are served, such as ``"/.well-known/jwks.json"``. Not set: nowhere."""

    jwt_require_exp: bool = True
    """Whether a token without ``exp`` is refused."""

    jwt_weak_secret: bool = False
    """Whether ``flask_rampart.compat.jwt_extended`` takes a secret that is shorter than its algorithm asks for in
    production too. Nothing else takes one."""

    error_format: str | None = None
    """How the drop-in faces of ``flask_rampart.compat`` word a refusal: ``"problem"`` (RFC 9457), or ``"incumbent"``,
    by the body and status of what they stand in for. None: each as its incumbent does. All else answers by problems."""

    jwt_types: tuple[str, ...] = ("JWT", "at+jwt")
    """``typ`` header values that are accepted; a token without ``typ`` is too."""

    jwt_scopes_claim: tuple[str, ...] = ("scope", "scp")
    """Claims that hold scopes: a string of words, or a list. A dot descends: ``"a.b"``."""

    jwt_roles_claim: tuple[str, ...] = ("roles",)
    """Claims that hold roles, such as ``"realm_access.roles"``."""

    jwt_permissions_claim: tuple[str, ...] = ()
    """Claims that hold permissions, written as the claims of roles are. None: a credential states no permissions."""

    roles: Mapping[str, Any] | None = None
    """What roles include and may do: ``{"editor": {"includes": ["reader"], "permissions": ["doc.edit"]}}``."""

    user_loading: str = "lazy"
    """When ``rampart.user_loader`` is called: ``"lazy"``, when ``current_user`` is first read, or ``"eager"``, as soon
    as the credential was accepted."""

    resource: str | None = None
    """This API's own address as its clients write it, such as ``"https://api.example.com"``: its resource identifier
    (RFC 9728 section 1.2)."""

    resource_metadata: Mapping[str, Any] | None = None
    """What the metadata of this API says beside the rest (RFC 9728 section 2), such as ``{"resource_name": "Orders"}``;
    needs ``RAMPART_RESOURCE``."""

    csrf: str = "fetch-metadata"
    """How requests that another site's page made a browser send are told: ``"fetch-metadata"``, ``"strict"``,
    ``"token"`` or ``"off"``. See ``docs/csrf.md``."""

    csrf_trusted_origins: tuple[str, ...] = ()
    """Origins whose pages may send what changes something, in their visitor's name, such as
    ``"https://app.example.com"``."""

    csrf_token_lifetime: int = 12 * 3600
    """How long a page's token of ``csrf_token()`` is taken, in seconds."""

    dpop: str = "off"
    """Whether tokens may be bound to a key of their sender's (DPoP, RFC 9449): ``"off"``, ``"allowed"`` beside bearer
    tokens, or ``"required"``."""

    dpop_max_age: int = 60
    """How far the ``iat`` of a DPoP proof may be from now, either way, in seconds."""

    dpop_nonce: bool = False
    """Whether a DPoP proof needs a nonce of ours (RFC 9449 section 9)."""

    client_cert: str = "off"
    """Where the certificate of a client is, for tokens that are bound to it (RFC 8705): ``"off"``, ``"server"``, or
    ``"header:Client-Cert"`` from a trusted proxy."""

    trusted_proxies: tuple[str, ...] = ()
    """Networks of the proxies in front of this app, such as ``"10.0.0.0/8"``; ``"unix"`` for a Unix socket."""

    proxy_hops: int | None = None
    """How many of these proxies a request comes through at most; None is as many as are listed."""

    forwarded: tuple[str, ...] = ("for", "proto")
    """Which fields of trusted proxies are read: some of ``"for"``, ``"proto"``, ``"host"``, ``"port"``, ``"prefix"`` of
    ``X-Forwarded-*``, or ``"forwarded"`` alone for RFC 7239."""

    issuers: tuple[Mapping[str, Any], ...] = field(default=(), repr=False)
    """Whose tokens are taken beside our own: each ``{"issuer", "audience", "jwks_uri" | "jwks", ...}``, see
    ``docs/issuers.md``."""

    api_keys: bool = False
    """Whether API keys are taken: the scheme ``"api_key"``. They are kept in the ``RAMPART_STORE``."""

    api_key_prefix: str = "rk"
    """What API keys begin with: 1 to 16 lower-case letters and digits."""

    api_key_environment: str = "live"
    """``"live"`` or ``"test"``: stands in the keys; one environment refuses the other's."""

    store: str | None = field(default=None, repr=False)
    """Where records are: ``"sqlite:///file"`` in the app's instance folder, ``"sqlite:////absolute/file"``,
    ``"redis://..."``, ``"rediss://..."``, ``"unix://..."``, an address that SQLAlchemy knows, or ``"memory://"``.
    Not set: ``"sqlite:///rampart.sqlite3"``, and ``"memory://"`` under ``app.testing``."""

    store_prefix: str = "rampart"
    """What the names of all records' keys begin with, in a Redis server that other apps use too."""

    limits: str | None = None
    """Limits on the whole application, per address, such as ``"1000/hour; 20/second burst 40"``."""

    limits_ban: str | None = None
    """When who exceeds ``RAMPART_LIMITS`` is banned, such as ``"15 minutes after 10 in 1 minute"``: scanners, who
    otherwise go on at the rate of the quota. See ``docs/bans.md``."""

    limits_exempt_paths: tuple[str, ...] = ()
    """Paths that ``RAMPART_LIMITS`` does not count, such as ``"/health"``; each exactly as it is written."""

    limits_exempt_networks: tuple[str, ...] = ()
    """Networks that ``RAMPART_LIMITS`` does not count, such as ``"10.0.0.0/8"``."""

    limit_store: str | None = field(default=None, repr=False)
    """``"shm://"`` (shared by the workers of the host), ``"shm:///directory"``, ``"memory://"``, or for all hosts
    ``"redis://..."``, ``"rediss://..."``, ``"unix://..."``, ``"redis+sentinel://..."``, ``"redis+cluster://..."``.
    Not set: ``"shm://"``, and ``"memory://"`` under ``app.testing``."""

    limit_store_timeout: float = 0.05
    """Seconds that a request waits at most for a ``RAMPART_LIMIT_STORE`` that is elsewhere."""

    limit_lease: float | None = None
    """Seconds for which a host takes quota from such a store in advance, 0.1 to 60; the same as ``?lease=`` in its
    address. Not set: each request asks. See ``docs/limits-leases.md``."""

    limit_secret: str | None = field(default=None, repr=False)
    """What callers are hashed with before their counters leave this host: the same text on all hosts. Not set:
    ``SECRET_KEY``."""

    ban_exempt: tuple[str, ...] = ()
    """Networks that are never banned, such as ``"10.0.0.0/8"``."""

    limit_headers: str = "draft"
    """What answers say of quotas: ``"draft"`` (``RateLimit``, ``RateLimit-Policy``), ``"legacy"``
    (``X-RateLimit-Limit``, ``-Remaining``, ``-Reset``), ``"both"``, or ``"off"``."""

    limit_table: int = 8 * 1024 * 1024
    """Bytes of the shared table of counters; fixed at its creation."""

    ipv6_prefix: int = 64
    """Bits of an IPv6 address that name one client."""

    trusted_hosts: tuple[str, ...] = ()
    """Names that this app is called by, such as ``"api.example.com"``, ``"*.example.com"`` for all below one, each
    perhaps with a port. Not set: any. Flask's ``TRUSTED_HOSTS`` holds beside it."""

    canonical_host: str | None = None
    """The name, and perhaps the port, that requests by plain HTTP are sent on to."""

    https: str | None = None
    """What becomes of a request by plain HTTP: ``"redirect"``, ``"refuse"``, or ``"off"``: it is answered. Not set:
    as ``"off"``, with a warning. See ``docs/https.md``."""

    https_exempt: tuple[str, ...] = ()
    """Paths that are answered by plain HTTP whatever ``RAMPART_HTTPS`` says, such as ``"/health"``; each exactly as it
    is written, for GET and HEAD without a credential."""

    hsts: str | None = None
    """``Strict-Transport-Security`` as it is sent, from ``{"max_age": seconds, "subdomains": True, "preload": False}``;
    empty, from False, for none. Not set: two years, with subdomains."""

    hsts_since: date | None = None
    """The day from which it climbs from five minutes to its ``max_age``. Not set: it is sent as it is."""

    max_body: int = 1024 * 1024
    """Largest request body, in bytes. ``MAX_CONTENT_LENGTH``, where it is stricter, wins."""

    max_headers: int = 100
    """Most header fields of a request, as WSGI shows them."""

    max_header_bytes: int = 32 * 1024
    """Most bytes of all header fields' names and values together."""

    max_query: int = 8192
    """Longest query, in bytes."""

    max_path: int = 8192
    """Longest path, in bytes, as it reads without escapes."""

    methods: tuple[str, ...] | None = None
    """Methods that are answered, in capitals; never ``"TRACE"``, ``"TRACK"``, ``"CONNECT"``. Not set: ``"GET"``,
    ``"HEAD"``, ``"POST"``, ``"PUT"``, ``"PATCH"``, ``"DELETE"``, ``"OPTIONS"``, and those of the app's routes."""

    method_override: bool = False
    """Whether ``X-HTTP-Method-Override`` and its like reach the app, which may then take a request for one of another
    method."""

    encoded_slashes: bool = False
    """Whether ``%2f``, ``%5c`` and backslashes in a path are data. Dot segments are refused all the same."""

    request_codings: tuple[str, ...] = ()
    """Content codings of request bodies that are taken: of ``"gzip"``, ``"deflate"``, ``"br"``; or ``"as-is"`` alone,
    which leaves coded bodies as they came. Not set: none."""

    coding_ratio: int = 100
    """Most times its size that a coded body may decode to, beyond 64 KiB."""
    form_max_fields: int = 1000
    """Most fields of a form."""

    form_max_field: int = 64 * 1024
    """Longest field of a form, in bytes."""

    max_files: int = 20
    """Most files of a form."""

    max_file: int | None = None
    """Largest file of a form, in bytes. Not set: what a body may have."""

    upload_memory: int = 256 * 1024
    """Bytes of memory that the files of one form may take, all together; what is more is on disk."""

    json_max_depth: int = 64
    """Deepest nesting of a JSON body."""

    json_max_keys: int = 10_000
    """Most members in a JSON body, all objects together."""

    json_max_digits: int = 309
    """Longest number in a JSON body, in characters."""

    response_mode: str | None = None
    """What becomes of an answer that is not what ``validate(response=...)`` says: ``"off"``, ``"log"``, or
    ``"enforce"``. Not set: ``"off"``; ``"enforce"`` under ``app.testing``, ``"log"`` under ``app.debug``."""
    schema_lint: str = "warn"
    """What becomes of a schema that lets strangers send strings, arrays or objects without a bound of their own:
    ``"warn"`` (once, in the app's log), ``"error"`` (the start-up ends) or ``"off"``."""

    audit_log: str = "off"
    """The directory of the audit log, or ``"off"``; relative to the app's instance folder. See ``docs/audit.md``."""

    audit_key: str | None = None
    """The file of the key that signs it, relative to the instance folder. Not set: ``audit.key``, made at the first
    start."""

    audit_on_failure: str = "refuse"
    """What becomes of a request that ``@audit`` cannot record: ``"refuse"`` (503 ``audit.unavailable``) or
    ``"continue"``."""

    audit_sync: float = 1.0
    """Seconds for which a record may be lost to a power failure; none is lost to a killed process, but the ends of
    answers."""

    audit_checkpoint: float = 60.0
    """Seconds between signed checkpoints, while there is something new."""

    audit_max_file: int = 64 * 1024 * 1024
    """Bytes after which a file of the audit log is closed and the next one begun."""

    audit_keep: int | None = None
    """Days after which such a file is removed, which is recorded. Not set: never."""

    audit_sinks: tuple[SinkAddress, ...] = ()
    """Where records go beside their file: ``"stdout"``, ``"otlp"``, ``"syslog://host:514"``, ``"syslog+tcp://host:601"``,
    ``"syslog+tls://host:6514"``, ``"syslog+unix:///dev/log"``. No request waits for them."""

    metrics: bool = False
    """Whether requests are counted although nobody serves or shows the counts yet; ``RAMPART_METRICS_PATH``,
    ``rampart.metrics.serve`` and a dashboard do so by themselves. See ``docs/metrics.md``."""

    metrics_path: str | None = None
    """Where a scraper that bears ``RAMPART_METRICS_TOKEN`` finds the metrics, such as ``"/metrics"``. Not set:
    nowhere."""

    metrics_token: str | None = field(default=None, repr=False)
    """The bearer token of that scraper, at least 16 characters."""

    metrics_series: int = 4096
    """Counters that the table has room for, and a quarter as many histograms: 352 bytes for each. Fixed at its
    creation."""

    monitor: str = "report"
    """What becomes of what the monitor finds: ``"report"`` (an event, a signal, a webhook), ``"enforce"`` (the response
    of the rule, too), or ``"off"``. See ``docs/monitor.md``."""

    monitor_rules: str | None = None
    """A TOML file of rules, relative to the app's folder. Not set: those of the package and of the code."""

    monitor_table: int = 8 * 1024 * 1024
    """Bytes of the table that all workers of the host count in."""

    monitor_webhook: str | None = field(default=None, repr=False)
    """The URL that findings are posted to."""

    monitor_webhook_secret: str | None = field(default=None, repr=False)
    """What they are signed with, as Standard Webhooks writes it: ``"whsec_"`` and base64 of 24 to 64 bytes."""

    access_log: str = "stderr"
    """``"stderr"``, ``"stdout"``, ``"off"``, or a file's path: one JSON line for each request."""

    access_log_delay: float = 0.05
    """Seconds that a line of the access log waits at most, to be written with others; 0 writes each at once.
    Not under ``app.testing``, where none waits."""

    outbound_allow: tuple[str, ...] = ()
    """Networks that ``flask_rampart.outbound`` may call although they are not public, such as ``"10.1.0.0/16"``."""

    outbound_hosts: tuple[str, ...] = ()
    """The only hosts that ``flask_rampart.outbound`` may call: ``"api.example.com"``, ``"*.example.com"`` for all below
    one. Not set: any with public addresses."""

    redact: tuple[str, ...] | Mapping[str, Any] = ()
    """Further names whose values are secret, beside the built-in ones; or a dict of what ``Redactor`` takes:
    ``{"names": [...], "entities": [...], "operators": {...}, "allow": ..., "deny": ..., "detectors": ...,
    "context": ...}``."""

    vault_keyset: Mapping[str, str] = field(default_factory=dict)
    """Files of Tink keysets, by name; a single path is the keyset called ``"default"``. See ``docs/vault.md``."""

    vault_kms: Any = field(default=None, repr=False)
    """What keysets are sealed by: an object with ``encrypt(plaintext, associated_data)`` and ``decrypt(ciphertext,
    associated_data)``, or a function that gives one, called when a keyset is first needed."""

    vault_passphrase: Any = field(default=None, repr=False)
    """Where the passphrase is that keysets are under: a file's path, or a function that returns it. Never itself."""

    @classmethod
    def read(cls, config: Mapping[str, Any]) -> Settings:
        """The settings of this ``app.config``.

        :raises ConfigError: names the setting, what was wrong and what would be right.

        >>> Settings.read({"RAMPART_JWT_LEEWAY": 5}).jwt_leeway
        5
        """
        given: dict[str, Any] = {}
        for key, value in config.items():
            if not key.startswith(PREFIX):
                continue
            name = key[len(PREFIX) :].lower()
            reader = READERS.get(name)
            if reader is None or key != key.upper():
                raise ConfigError(f"{key} is not a setting.{_nearest(key)}")
            given[name] = reader(key, value)
        return cls(**given)


def snapshot(config: Mapping[str, Any]) -> dict[str, Any]:
    """The ``RAMPART_`` part of a configuration, to tell later whether it was changed, also inside a list."""
    return {
        # A KMS' client is compared as the object that it is: its copy would be another, if it can be copied at all.
        key: value if key in _OBJECTS else copy.deepcopy(value)
        for key, value in config.items()
        if key.startswith(PREFIX)
    }


def _nearest(key: str) -> str:
    return readers.nearest(key.upper(), [PREFIX + name.upper() for name in READERS])


_OBJECTS = frozenset({"RAMPART_VAULT_KMS", "RAMPART_VAULT_PASSPHRASE"})

if set(READERS) != {field.name for field in fields(Settings)}:  # pragma: no cover
    raise AssertionError("each setting has one reader")
