"""Who is calling, for views to ask: the principal, what they have, and the app's own user."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from werkzeug.exceptions import HTTPException
from werkzeug.local import LocalProxy

from ..checks import unreadable
from ..errors import ConfigError, Denied
from ..exchange import Exchange, Principal, Scheme
from ..guards import AppState, current_exchange
from ..stores import StoreError
from ..waiting import settle
from .roles import RoleBook
from .schemes import Schemes


def _current() -> Principal:
    principal = current_exchange().principal
    if principal is None:
        raise RuntimeError(
            "There is no principal here: the view does not have @require(...), or it is optional and nobody has said "
            "who they are; principal_or_none() gives None then."
        )
    return principal


current_principal: Principal = cast("Principal", LocalProxy(_current))
"""Who is calling, in a view that has ``@require(...)``. Where ``require(optional=True)`` let nobody in particular
through, it is false: ``if current_principal: ...``.

:raises RuntimeError: when read outside a request, or where there is no principal.
"""


def principal_or_none() -> Principal | None:
    """Who is calling; None for nobody in particular, in a view that has ``@require(optional=True)``.

    :raises RuntimeError: outside a request.
    """
    return current_exchange().principal


def has_scope(scope: str) -> bool:
    """Whether the current principal has this scope; False where there is none.

    :raises RuntimeError: outside a request.
    """
    principal = current_exchange().principal
    return principal is not None and scope in principal.scopes


def has_role(role: str) -> bool:
    """Whether the current principal has this role, by itself or by one that includes it (``RAMPART_ROLES``).

    :raises RuntimeError: outside a request.
    """
    exchange = current_exchange()
    principal = exchange.principal
    return principal is not None and role in _book(exchange).roles_of(principal)


def has_permission(permission: str) -> bool:
    """Whether the current principal has this permission, by a role or by a claim (``RAMPART_ROLES``,
    ``RAMPART_JWT_PERMISSIONS_CLAIM``).

    :raises RuntimeError: outside a request.
    """
    exchange = current_exchange()
    principal = exchange.principal
    return principal is not None and permission in _book(exchange).permissions_of(principal)


def _book(exchange: Exchange) -> RoleBook:
    book: RoleBook = exchange.owner.services[RoleBook]  # type: ignore[attr-defined]
    return book


class Users:
    """Loads the app's own user for a principal, once for each request."""

    def __init__(self) -> None:
        self._loader: Callable[..., Any] | None = None

    @property
    def declared(self) -> bool:
        """Whether there is a loader."""
        return self._loader is not None

    def declare(self, loader: Callable[..., Any]) -> None:
        """Sets the loader.

        :raises ConfigError: if there is one.
        """
        if not callable(loader):
            raise ConfigError("Write @rampart.user_loader above a function (principal) -> user, without parentheses.")
        if self._loader is not None:
            raise ConfigError("There are two user loaders; an app has one.")
        self._loader = loader

    def load(self, exchange: Exchange, schemes: Schemes) -> Denied | None:
        """Loads the user of the exchange's principal, unless that was done; a refusal if there is none."""
        principal = exchange.principal
        if principal is None:
            return None
        # A view that calls another one may have another principal than before.
        if exchange.user is None or exchange.user[0] is not principal:
            if self._loader is None:
                raise ConfigError("There is no user loader: declare one by @rampart.user_loader.")
            found = settle(self._loader, principal)
            # A loader that says "there is none" by False would else admit.
            if found is None or found is False:
                found = _gone(schemes.get(principal.kind))
            exchange.user = (principal, found)
        found = exchange.user[1]
        # The same at each read, so that it is noted and told once.
        return found if isinstance(found, Denied) else None


def _gone(scheme: Scheme | None) -> Denied:
    headers = scheme.challenge.refused(("auth.invalid", "no user")).extra_headers if scheme is not None else ()
    return Denied.of("auth.invalid", reason="no user", headers=headers)


def user_or_none() -> Any:
    """The app's own user; None for nobody in particular, in a view that has ``@require(optional=True)``.

    :raises Denied: ``auth.invalid``, if the credential is good and its user is gone; ``store.unavailable``, if records
        cannot be read; ``guard.failed``, if the loader fails otherwise.
    :raises ConfigError: without ``@rampart.user_loader``.
    :raises RuntimeError: outside a request.
    """
    exchange = current_exchange()
    state = cast("AppState", exchange.owner)
    try:
        denied = state.services[Users].load(exchange, state.services[Schemes])
    except (ConfigError, HTTPException):
        raise
    except StoreError as error:
        denied = unreadable(exchange, error)
    except Exception as error:
        # Not as it is: `if current_user:` takes a RuntimeError for "there is none" (werkzeug's LocalProxy).
        state.app.logger.exception("The user loader failed; the request is refused (request %s).", exchange.id)
        denied = Denied.of("guard.failed", reason=type(error).__name__)
    if denied is not None:
        # Without the way of an earlier read, which would grow with each.
        raise exchange.refuse(denied).with_traceback(None) from None
    return exchange.user[1] if exchange.principal is not None and exchange.user is not None else None


def _user() -> Any:
    user = user_or_none()
    if user is None:
        raise RuntimeError("There is no user here: nobody has said who they are; user_or_none() gives None then.")
    return user


current_user: Any = LocalProxy(_user)
"""What ``@rampart.user_loader`` gives for the current principal, loaded when it is first read, once for each request.
False where ``require(optional=True)`` let nobody in particular through.

:raises Denied: ``auth.invalid``, 401, when it is read and the loader gives None or False; ``store.unavailable``, 503,
    if records cannot be read; ``guard.failed``, if the loader fails otherwise.
:raises ConfigError: without a loader.
:raises RuntimeError: outside a request, or without a principal.
"""
