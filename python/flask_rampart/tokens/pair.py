"""What a login gives its client: an access token, and a refresh token to renew it with."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from flask import Response, current_app


@dataclass(frozen=True)
class TokenPair:
    """An access token and the refresh token of the same login. Give them to the client, and keep neither."""

    access: str = field(repr=False)
    refresh: str = field(repr=False)
    expires_in: int
    """Seconds for which the access token is valid."""
    refresh_expires_in: int
    """Seconds for which the refresh token is valid."""
    scopes: frozenset[str]
    family: str
    """Names the login; for :meth:`Tokens.revoke_family`."""
    csrf: str = field(repr=False)
    """What a page sends as ``X-CSRF-Token`` where the tokens are in cookies."""

    def document(self) -> dict[str, Any]:
        """The answer of a token endpoint (RFC 6749 section 5.1)."""
        document = {
            "access_token": self.access,
            "token_type": "Bearer",
            "expires_in": self.expires_in,
            "refresh_token": self.refresh,
        }
        if self.scopes:
            document["scope"] = " ".join(sorted(self.scopes))
        return document

    def response(self) -> Response:
        """The same as a response that nobody stores."""
        answer: Response = current_app.json.response(self.document())  # type: ignore[assignment]
        answer.headers["Cache-Control"] = "no-store"
        return answer
