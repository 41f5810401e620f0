"""The API: register, sign in, stay signed in, sign out. ``docs/login.md`` walks through it.

    gunicorn --workers 4 "examples.login_api.app:create_app()"

It needs, as environment variables or in ``config``:

``LOGIN_SECRET``
    what signs the tokens, 32 random bytes at least (``python -c 'import secrets; print(secrets.token_hex(32))'``);
``LOGIN_ACCOUNTS``
    where the accounts are, a file that is made if it is not there.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from flask import Blueprint, Flask, Response, current_app, jsonify, request

from examples.login_api.accounts import Account, Accounts, written
from examples.login_api.passwords import Busy, Passwords
from flask_rampart import Rampart, current_principal, limit, public, require, validate, validated
from flask_rampart.tokens import TokenPair

FROM_ENVIRONMENT = ("LOGIN_SECRET", "LOGIN_ACCOUNTS", "RAMPART_ACCESS_LOG", "RAMPART_LIMIT_STORE", "RAMPART_STORE")

rampart = Rampart()
api = Blueprint("login_api", __name__)
rampart.serve_openapi("/openapi.json", title="Login", version="1")


@dataclass(slots=True)
class Service:
    """What the views of one app share."""

    accounts: Accounts
    passwords: Passwords


def create_app(config: Mapping[str, Any] | None = None, passwords: Passwords | None = None) -> Flask:
    """The app.

    :param config: settings that go before those of the environment.
    :param passwords: how passwords are hashed.
    :raises RuntimeError: if the secret or the place of the accounts is not given.
    """
    app = Flask(__name__)
    app.config.update(
        RAMPART_DEFAULT="deny",
        RAMPART_JWT_ISSUER="https://login.example",
        RAMPART_JWT_AUDIENCE="login-api",
        # For each address, whatever it asks for.
        RAMPART_LIMITS="1000/hour; 50/second burst 100",
        # No body here is larger.
        RAMPART_MAX_BODY=16 * 1024,
    )
    app.config.update({name: os.environ[name] for name in FROM_ENVIRONMENT if name in os.environ})
    app.config.update(config or {})
    for name in ("LOGIN_SECRET", "LOGIN_ACCOUNTS"):
        if not app.config.get(name):
            raise RuntimeError(f"{name} is not set: see the first lines of {__name__}.")
    app.config["RAMPART_JWT_KEYS"] = [{"kid": "login-1", "alg": "HS256", "secret": app.config["LOGIN_SECRET"]}]
    app.extensions["login_api"] = Service(Accounts(app.config["LOGIN_ACCOUNTS"]), passwords or Passwords())
    app.register_blueprint(api)
    app.register_error_handler(Busy, busy)
    rampart.init_app(app)
    return app


def service() -> Service:
    """The current app's service."""
    found: Service = current_app.extensions["login_api"]
    return found


def account_wanted() -> str | None:
    """Whose password is tried, however the address is written. Without one, the limit goes by the client."""
    body = request.get_json(silent=True)
    email = body.get("email") if isinstance(body, dict) else None
    return written(email) if isinstance(email, str) else None


@api.post("/register")
@public
@limit("10/hour burst 5", by="address")
@validate(body="schemas/registration.json")
def register() -> tuple[Response, int]:
    """Makes an account. Whether the address had one before is told to nobody but its owner, by mail."""
    # Hashed in any case, so that the delay tells nothing either.
    service().accounts.add(validated.body["email"], service().passwords.hash(validated.body["password"]))
    return jsonify(status="accepted"), 202


@api.post("/login")
@public
@limit("30/minute burst 10", by="address")  # one client that tries many passwords
@limit("20/hour burst 10", by=account_wanted)  # many clients that try one account's
@validate(body="schemas/credentials.json")
def login() -> Response:
    """Exchanges an address and a password for a pair of tokens."""
    password = validated.body["password"]
    account = proved(service().accounts.of(validated.body["email"]), password)
    if account is not None and service().passwords.is_outdated(account.password):
        account = hashed_anew(account, password)
    pair = None if account is None else begin(account)
    return refused() if pair is None else pair.response()


@api.post("/refresh")
@public  # the refresh token is the credential
@limit("60/minute burst 20", by="address")
def refresh() -> Response:
    """Exchanges the refresh token in the body for the next pair."""
    return rampart.tokens.refresh().response()


@api.get("/me")
@require()
def me() -> Response:
    """Who is calling."""
    account = service().accounts.named(current_principal.id)
    return jsonify(id=current_principal.id, email=account.email if account else None)


@api.post("/logout")
@require()
def logout() -> tuple[str, int]:
    """Ends this login: its refresh token, and its access tokens, at once and for all workers."""
    rampart.tokens.logout()
    return "", 204


@api.post("/logout-everywhere")
@require()
def logout_everywhere() -> tuple[str, int]:
    """Ends all logins of the caller, on all their devices."""
    rampart.tokens.revoke_subject(current_principal.id)
    return "", 204


@api.post("/password")
@require()
@limit("10/hour burst 5", by="principal")
@validate(body="schemas/change.json")
def change_password() -> Response:
    """Changes the password, ends all logins, and begins a new one here."""
    accounts = service().accounts
    account = proved(accounts.named(current_principal.id), validated.body["old"])
    if account is None:
        return refused()
    better = service().passwords.hash(validated.body["new"])
    if not accounts.replace_password(account, better):
        return refused()  # somebody else was faster; what was the old one is not any more
    # First the password, then the logins: one that begins in between finds in begin() that it came too late.
    rampart.tokens.revoke_subject(account.id)
    pair = begin(replace(account, password=better))
    return refused() if pair is None else pair.response()


@api.delete("/account")
@require(max_age=300)  # who signed in just now: not whoever finds a screen that was left
def close_account() -> tuple[str, int]:
    """Closes the caller's account, and ends all their logins."""
    service().accounts.remove(current_principal.id)
    rampart.tokens.revoke_subject(current_principal.id)
    return "", 204


def proved(account: Account | None, password: str) -> Account | None:
    """*account*, if the password is its own. Nobody's takes as long to refuse as somebody's."""
    kept = None if account is None else account.password
    return account if service().passwords.is_right(kept, password) else None


def hashed_anew(account: Account, password: str) -> Account | None:
    """The account with a hash by today's parameters; None if its password has been changed meanwhile."""
    accounts = service().accounts
    better = service().passwords.hash(password)
    # Only in the place of the hash that was just compared: the old password must not come back.
    if accounts.replace_password(account, better):
        return replace(account, password=better)
    # Or another sign-in has hashed it anew.
    return proved(accounts.named(account.id), password)


def begin(account: Account) -> TokenPair | None:
    """A login of *account*; None if its password has changed since it was compared."""
    pair = rampart.tokens.issue_pair(account.id)
    now = service().accounts.named(account.id)
    if now is None or now.password != account.password:
        rampart.tokens.revoke_family(pair.family)
        return None
    return pair


def refused() -> Response:
    """One answer for all that can be wrong with a name and a password."""
    return problem(401, "login.failed", "No account has this address and password.", ("WWW-Authenticate", "Bearer"))


def busy(error: Busy) -> Response:
    """Too many sign-ins at once."""
    return problem(503, "login.busy", "Too many sign-ins at this moment.", ("Retry-After", "2"))


def problem(status: int, code: str, detail: str, field: tuple[str, str]) -> Response:
    """A refusal of this app's own, in the form of Rampart's (RFC 9457)."""
    response = jsonify(type="about:blank", status=status, code=code, detail=detail)
    response.status_code = status
    response.content_type = "application/problem+json"
    response.headers[field[0]] = field[1]
    return response
