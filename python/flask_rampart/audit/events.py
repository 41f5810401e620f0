"""Which name a record has, and which class of OCSF it becomes when it is exported.

1. What we refuse has the name that the OWASP Logging Vocabulary has for it, by the code of the refusal
   (:data:`REFUSALS`).
2. What we do otherwise (tokens, keys, bans, models, the vault) has one too, by the signal that tells of it
   (:data:`SIGNALS`).
3. What the app records itself has the app's own name, or one of :data:`OWASP`.
4. What begins with ``audit_`` is the log's own.

Every code of ``errors.PROBLEMS`` has a row here. It decides nothing else.

Sources: OWASP Logging Vocabulary Cheat Sheet (49 names); OCSF 1.8, classes 2004, 3001, 3002, 3003, 4002, 6002, 6003.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from ..errors import ConfigError

OWASP = frozenset(
    (
        *("authn_login_success", "authn_login_successafterfail", "authn_login_fail", "authn_login_fail_max"),
        *("authn_login_lock", "authn_password_change", "authn_password_change_fail", "authn_impossible_travel"),
        *("authn_token_created", "authn_token_revoked", "authn_token_reuse", "authn_token_delete"),
        *("authz_fail", "authz_change", "authz_admin", "crypt_decrypt_fail", "crypt_encrypt_fail"),
        *("excess_rate_limit_exceeded", "upload_complete", "upload_stored", "upload_validation", "upload_delete"),
        *("input_validation_fail", "input_validation_discrete_fail", "malicious_excess_404", "malicious_extraneous"),
        *("malicious_attack_tool", "malicious_cors", "malicious_direct_reference", "privilege_permissions_changed"),
        *("sensitive_create", "sensitive_read", "sensitive_update", "sensitive_delete", "sequence_fail"),
        *("session_created", "session_renewed", "session_expired", "session_use_after_expire"),
        *("sys_startup", "sys_shutdown", "sys_restart", "sys_crash", "sys_monitor_disabled", "sys_monitor_enabled"),
        *("user_created", "user_updated", "user_archived", "user_deleted"),
    )
)
"""The names of the OWASP Logging Vocabulary."""


class Kind(NamedTuple):
    """A class of OCSF, and what was done in it."""

    class_uid: int
    class_name: str
    activity_id: int
    activity_name: str


LOGON = Kind(3002, "Authentication", 1, "Logon")
TICKET = Kind(3002, "Authentication", 3, "Authentication Ticket")
RENEWED = Kind(3002, "Authentication", 5, "Service Ticket Renew")
OTHER_AUTHENTICATION = Kind(3002, "Authentication", 99, "Other")
PRIVILEGES = Kind(3003, "Authorize Session", 1, "Assign Privileges")
ACCOUNT_CREATED = Kind(3001, "Account Change", 1, "Create")
ACCOUNT_PASSWORD = Kind(3001, "Account Change", 3, "Password Change")
ACCOUNT_DELETED = Kind(3001, "Account Change", 6, "Delete")
ACCOUNT_LOCKED = Kind(3001, "Account Change", 9, "Lock")
ACCOUNT_OTHER = Kind(3001, "Account Change", 99, "Other")
CREATED = Kind(6003, "API Activity", 1, "Create")
READ = Kind(6003, "API Activity", 2, "Read")
UPDATED = Kind(6003, "API Activity", 3, "Update")
DELETED = Kind(6003, "API Activity", 4, "Delete")
CALLED = Kind(6003, "API Activity", 99, "Other")
HTTP = Kind(4002, "HTTP Activity", 99, "Other")
FINDING = Kind(2004, "Detection Finding", 1, "Create")
STARTED = Kind(6002, "Application Lifecycle", 3, "Start")
STOPPED = Kind(6002, "Application Lifecycle", 4, "Stop")
RESTARTED = Kind(6002, "Application Lifecycle", 5, "Restart")
LIFE = Kind(6002, "Application Lifecycle", 99, "Other")

_NAMES: Mapping[str, Kind] = {
    "authn_impossible_travel": FINDING,
    "authn_login_lock": ACCOUNT_LOCKED,
    "authn_password_change": ACCOUNT_PASSWORD,
    "authn_password_change_fail": ACCOUNT_PASSWORD,
    "authn_token_created": TICKET,
    "authn_token_delete": OTHER_AUTHENTICATION,
    "authn_token_reuse": FINDING,
    "authn_token_revoked": OTHER_AUTHENTICATION,
    "authz_change": PRIVILEGES,
    "crypt_decrypt_fail": FINDING,
    "excess_rate_limit_exceeded": HTTP,
    "privilege_permissions_changed": PRIVILEGES,
    "sensitive_create": CREATED,
    "sensitive_delete": DELETED,
    "sensitive_read": READ,
    "sensitive_update": UPDATED,
    "sequence_fail": FINDING,
    "session_created": LOGON,
    "session_renewed": RENEWED,
    "session_expired": OTHER_AUTHENTICATION,
    "session_use_after_expire": LOGON,
    "sys_startup": STARTED,
    "sys_shutdown": STOPPED,
    "sys_restart": RESTARTED,
    "upload_complete": CREATED,
    "upload_delete": DELETED,
    "upload_stored": CREATED,
    "user_created": ACCOUNT_CREATED,
    "user_deleted": ACCOUNT_DELETED,
    "user_archived": ACCOUNT_OTHER,
    "user_updated": ACCOUNT_OTHER,
    "audit_tampered": FINDING,
    "monitor.audit_tampering": FINDING,
}
_FAMILIES = {
    "audit": LIFE,
    "authn": LOGON,
    "crypt": CALLED,
    "excess": HTTP,
    "input": HTTP,
    "malicious": FINDING,
    "sys": LIFE,
    "upload": HTTP,
}


def kind_of(event: str) -> Kind:
    """The class of OCSF that a record of this name becomes: ``API Activity`` for all that are the app's own.

    >>> kind_of("authn_login_fail").class_name, kind_of("model.predict").class_name
    ('Authentication', 'API Activity')
    """
    known = event in OWASP or event.startswith("audit_")
    return _NAMES.get(event) or (_FAMILIES.get(event.partition("_")[0]) if known else None) or CALLED


REFUSALS: Mapping[str, str] = {
    "ai.model": "authz_fail",
    "ai.part": "input_validation_fail",
    "ai.refused": "input_validation_fail",
    "ai.role": "input_validation_fail",
    "ai.shape": "input_validation_fail",
    "ai.too_long": "input_validation_fail",
    "ai.tool": "input_validation_fail",
    "app.uninitialised": "sys_monitor_disabled",
    "audit.unavailable": "sys_monitor_disabled",
    "auth.ambiguous": "authn_login_fail",
    "auth.audience": "authz_fail",
    "auth.invalid": "authn_login_fail",
    "auth.issuer": "authz_fail",
    "auth.missing": "authn_login_fail",
    "auth.permission": "authz_fail",
    "auth.policy": "authz_fail",
    "auth.role": "authz_fail",
    "auth.scope": "authz_fail",
    "auth.stale": "authn_login_fail",
    "auth.unavailable": "sys_crash",
    "body.coding": "input_validation_fail",
    "body.consumed": "sys_crash",
    "body.incomplete": "input_validation_fail",
    "body.invalid": "input_validation_fail",
    "body.media_type": "input_validation_fail",
    "body.too_large": "input_validation_fail",
    "body.undecodable": "input_validation_fail",
    "cookies.invalid": "input_validation_fail",
    "cors.refused": "malicious_cors",
    "csrf.invalid": "authz_fail",
    "csrf.origin": "malicious_cors",
    "expectation.refused": "input_validation_fail",
    "files.invalid": "upload_validation",
    "form.invalid": "input_validation_fail",
    "guard.failed": "sys_crash",
    "head.too_large": "malicious_extraneous",
    "headers.invalid": "input_validation_fail",
    "host.unknown": "malicious_extraneous",
    "https.required": "authz_fail",
    "json.duplicate_key": "input_validation_fail",
    "json.encoding": "input_validation_fail",
    "json.malformed": "input_validation_fail",
    "json.non_finite": "input_validation_fail",
    "json.number_too_long": "input_validation_fail",
    "json.surrogate": "input_validation_fail",
    "json.too_deep": "input_validation_fail",
    "json.too_large": "input_validation_fail",
    "json.too_many_keys": "input_validation_fail",
    "key.invalid": "authn_login_fail",
    "limit.banned": "excess_rate_limit_exceeded",
    "limit.exceeded": "excess_rate_limit_exceeded",
    "limit.too_costly": "excess_rate_limit_exceeded",
    "method.refused": "malicious_extraneous",
    "path.invalid": "input_validation_fail",
    "path.malformed": "malicious_extraneous",
    "path.too_long": "malicious_extraneous",
    "proof.invalid": "authn_login_fail",
    "proof.nonce": "authn_login_fail",
    "query.invalid": "input_validation_fail",
    "query.too_long": "input_validation_fail",
    "request.malformed": "malicious_extraneous",
    "response.invalid": "sys_crash",
    "route.undeclared": "authz_fail",
    "store.unavailable": "sys_crash",
    "token.expired": "session_use_after_expire",
    "token.invalid": "authn_login_fail",
    "url.refused": "malicious_extraneous",
}
"""The name of the record of a refusal, by its code."""

SIGNALS: Mapping[str, str] = {
    "ai-called": "ai.called",
    "api-key-created": "authn_token_created",
    "api-key-revoked": "authn_token_revoked",
    "api-key-rotated": "authn_token_created",
    "banned": "authn_login_lock",
    "integrity-failed": "crypt_decrypt_fail",
    "refresh-reused": "authn_token_reuse",
    "token-issued": "authn_token_created",
    "token-refreshed": "session_renewed",
    "token-revoked": "authn_token_revoked",
}
"""The name of the record of what a signal tells. A token that begins a login is ``session_created`` instead, and what
ends one ``session_expired``. The vocabulary has no name for a call of a model: ``ai.called`` is ours."""


def check_name(name: object, where: str) -> str:
    """The name of an event of the app's own.

    :raises ConfigError: for what is none, or is the log's own.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ConfigError(
            f'{where} takes a name of letters, digits, ".", "_", ":" and "-", at most 64 of them, such as '
            f'"model.predict", not {name!r}.'
        )
    if name.startswith("audit_"):
        raise ConfigError(f"{where}: {name!r} would look like a record of the log's own; choose another name.")
    return name


_NAME = re.compile(r"[A-Za-z][A-Za-z0-9._:-]{0,63}")
