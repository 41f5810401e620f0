"""``JWTManager``: what an app says once about its tokens.

Each loader takes the place of what holds without it. A loader may be ``async``: it is run and waited for, so that what
it returns is asked and not the coroutine, which would always be true.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from flask import Flask, current_app

from ..._native import Clock
from ...errors import ConfigError
from ...waiting import settle
from . import answers
from .config import encode_key
from .exceptions import (
    OF_PYJWT,
    CSRFError,
    ExpiredSignatureError,
    FreshTokenRequired,
    InvalidHeaderError,
    InvalidQueryParamError,
    JWTDecodeError,
    NoAuthorizationError,
    RevokedTokenError,
    UserClaimsVerificationError,
    UserLookupError,
    WrongTokenError,
    registered,
)
from .face import install
from .utils import current_user_context_processor

F = TypeVar("F", bound=Callable[..., Any])


class JWTManager:
    """Holds an app's loaders, and answers its refusals.

    :param app: the app; or call :meth:`init_app` later, for each app.
    :param add_context_processor: whether templates have ``current_user``.
    :param clock: what time it is; that of the app's ``Rampart``, or the system's, if not given.
    """

    def __init__(
        self, app: Flask | None = None, add_context_processor: bool = False, *, clock: Clock | None = None
    ) -> None:
        self._clock = clock
        self.additional_claims: Callable[[Any], dict[str, Any]] = _nothing
        self.additional_headers: Callable[[Any], dict[str, Any]] = _nothing
        self.identity: Callable[[Any], Any] = _as_it_is
        self.encode_key: Callable[[Any], Any] = _encode_key
        self.own_decode_key: Callable[..., Any] | None = None
        self.lookup: Callable[..., Any] | None = None
        self.is_revoked: Callable[..., Any] | None = None
        self.is_admitted: Callable[..., Any] | None = None
        self._answers: dict[str, Callable[..., Any]] = {
            "expired": answers.expired,
            "invalid": answers.invalid,
            "not_admitted": answers.not_admitted,
            "revoked": answers.revoked,
            "stale": answers.stale,
            "unauthorized": answers.unauthorized,
            "unknown_user": answers.unknown_user,
        }
        if app is not None:
            self.init_app(app, add_context_processor)

    def init_app(self, app: Flask, add_context_processor: bool = False) -> None:
        """Puts this manager, the defaults of the settings and the error handlers into *app*."""
        install(self, app, self._clock)
        if add_context_processor:
            app.context_processor(current_user_context_processor)
        self._answer_errors(app)

    # Loaders.

    def additional_claims_loader(self, callback: F) -> F:
        """``(identity) -> dict``: claims of each token that is made."""
        self.additional_claims = _waited_for(callback)
        return callback

    def additional_headers_loader(self, callback: F) -> F:
        """``(identity) -> dict``: members of the header of each token that is made."""
        self.additional_headers = _waited_for(callback)
        return callback

    def decode_key_loader(self, callback: F) -> F:
        """``(header, claims) -> key``: what a token is verified with. Both are whatever its sender wrote."""
        self.own_decode_key = _waited_for(callback)
        return callback

    def encode_key_loader(self, callback: F) -> F:
        """``(identity) -> key``: what a token is signed with."""
        self.encode_key = _waited_for(callback)
        return callback

    def user_identity_loader(self, callback: F) -> F:
        """``(identity) -> str``: what a token says of whom it is made for."""
        self.identity = _waited_for(callback)
        return callback

    def user_lookup_loader(self, callback: F) -> F:
        """``(header, claims) -> user``: for ``current_user``; None refuses."""
        self.lookup = _waited_for(callback)
        return callback

    def token_in_blocklist_loader(self, callback: F) -> F:
        """``(header, claims) -> bool``: whether a token was taken back."""
        self.is_revoked = _waited_for(callback)
        return callback

    def token_verification_loader(self, callback: F) -> F:
        """``(header, claims) -> bool``: whether the app admits the claims."""
        self.is_admitted = _waited_for(callback)
        return callback

    # Loaders of answers.

    def expired_token_loader(self, callback: F) -> F:
        """``(header, claims) -> response``: for a token that is over."""
        return self._answered_by("expired", callback)

    def invalid_token_loader(self, callback: F) -> F:
        """``(message) -> response``: for a token that is not trusted."""
        return self._answered_by("invalid", callback)

    def needs_fresh_token_loader(self, callback: F) -> F:
        """``(header, claims) -> response``: for a token that is not fresh, and has to be."""
        return self._answered_by("stale", callback)

    def revoked_token_loader(self, callback: F) -> F:
        """``(header, claims) -> response``: for a token that is on the blocklist."""
        return self._answered_by("revoked", callback)

    def token_verification_failed_loader(self, callback: F) -> F:
        """``(header, claims) -> response``: for claims that the app does not admit."""
        return self._answered_by("not_admitted", callback)

    def unauthorized_loader(self, callback: F) -> F:
        """``(message) -> response``: for a request without a token, or a cookie without proof."""
        return self._answered_by("unauthorized", callback)

    def user_lookup_error_loader(self, callback: F) -> F:
        """``(header, claims) -> response``: for a token of nobody whom the app knows."""
        return self._answered_by("unknown_user", callback)

    def _answered_by(self, name: str, callback: F) -> F:
        self._answers[name] = _waited_for(callback)
        return callback

    def _answer_errors(self, app: Flask) -> None:
        def by_text(name: str, *kinds: type[Exception]) -> None:
            for kind in kinds:
                app.register_error_handler(registered(kind), lambda error: self._answers[name](str(error)))

        def by_token(name: str, kind: type[Exception]) -> None:
            def answer(error: Any) -> Any:
                return self._answers[name](error.jwt_header, error.jwt_data)

            app.register_error_handler(registered(kind), answer)

        def forged(error: Exception) -> Any:
            # The app's words for a missing token are those for a missing proof, too.
            own = self._answers["unauthorized"]
            return (answers.forged if own is answers.unauthorized else own)(str(error))

        by_text("invalid", *OF_PYJWT, InvalidHeaderError, InvalidQueryParamError, JWTDecodeError, WrongTokenError)
        by_text("unauthorized", NoAuthorizationError)
        app.register_error_handler(CSRFError, forged)
        by_token("expired", ExpiredSignatureError)
        by_token("stale", FreshTokenRequired)
        by_token("revoked", RevokedTokenError)
        by_token("not_admitted", UserClaimsVerificationError)
        by_token("unknown_user", UserLookupError)


def _waited_for(callback: Callable[..., Any]) -> Callable[..., Any]:
    if not callable(callback):
        raise ConfigError(f"A loader of a JWTManager is a function, not {callback!r}.")
    # What is async is told by what it returns: an object, a wrapper or a lambda does not look it.
    return partial(settle, callback)


def _nothing(identity: Any) -> dict[str, Any]:
    return {}


def _as_it_is(identity: Any) -> Any:
    return identity


def _encode_key(identity: Any) -> Any:
    return encode_key(current_app.config)
