"""One request's passage through one app: what is known of it, and what was decided.

The :class:`Exchange` is opened by the WSGI edge, or by the first guard that runs where there is no
edge (``test_request_context``). It belongs to one app and one request object, so an app mounted in
another, or called with the other's environ, has its own.

It decides nothing.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping
from os import urandom
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from .signals import access_denied, authentication_failed, emit_refusal, request_refused

if TYPE_CHECKING:
    from .errors import Denied
    from .refusals import Challenge

EXTENSION = "rampart"
"""Where an app keeps what is ours, in ``app.extensions``."""

ENVIRON_KEY = "flask_rampart.exchange"
"""Where the edge leaves the exchange for the app that it wraps, which takes it out."""

BUILT_IN = frozenset(("jwt", "api_key"))
"""The kinds of credentials that Rampart itself checks."""

SCOPE = re.compile(r"[\x21\x23-\x5B\x5D-\x7E]+")
"""What a scope is made of (RFC 6749 section 3.3)."""


def has_no_body(environ: Mapping[str, Any]) -> bool:
    """Whether a request of no length has no body: a server that shows how it is sent says so (RFC 9112 section 6.3)."""
    return (
        "gunicorn.socket" in environ
        and "HTTP_TRANSFER_ENCODING" not in environ
        and environ.get("SERVER_PROTOCOL") == "HTTP/1.1"
    )


class Principal(Protocol):
    """Who is calling, whatever the kind of credential."""

    @property
    def id(self) -> str:
        """Names the caller, such as a token's ``sub``; never empty."""

    @property
    def kind(self) -> str:
        """The scheme that checked the credential, such as ``"jwt"``."""

    @property
    def scopes(self) -> frozenset[str]:
        """What the credential may be used for."""

    @property
    def roles(self) -> frozenset[str]:
        """What the caller is."""

    @property
    def claims(self) -> dict[str, Any]:
        """All that the credential states, a fresh copy each time."""

    @property
    def issuer(self) -> str | None:
        """Who vouches for it."""

    @property
    def token_id(self) -> str | None:
        """Names the credential, such as a token's ``jti``."""


class Renamed:
    """A principal of another kind, such as ``rampart.tokens.verify(...)`` gives, as a scheme of the app's found it."""

    __slots__ = ("_found", "kind", "origin")

    def __init__(self, found: Any, kind: str) -> None:
        self._found = found
        self.kind = kind
        #: The kind of the credential itself: what asks what it is, and not who found it, goes by that.
        origin = found.origin if isinstance(found, Renamed) else getattr(found, "kind", None)
        self.origin: str = origin if origin in BUILT_IN else kind

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)  # a copy that is being made has nothing yet to ask
        return getattr(self._found, name)


def origin_of(principal: Principal) -> str:
    """The kind of the credential itself, whichever scheme found it: an API key that a scheme of the app's took from
    another place stays an API key, without an age and with its own quota."""
    return principal.origin if isinstance(principal, Renamed) else principal.kind


class Reply(NamedTuple):
    """An answer of the edge's own that is no refusal, such as a redirect."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes = b""


class Scheme(Protocol):
    """A kind of credential that a room can check, offered to ``require`` by name."""

    #: What a refusal of it says in ``WWW-Authenticate`` (RFC 9110 section 11.6.1).
    challenge: Challenge

    def authenticate(self, exchange: Exchange) -> Principal | Denied | None:
        """Whose credential the request carries; None if it carries none of this kind."""

    def carries(self, exchange: Exchange) -> bool:
        """Whether the request carries a credential of this kind, right or wrong. Cheap: nothing is verified."""


class _NotChecked:
    def __repr__(self) -> str:
        return "NOT_CHECKED"


NOT_CHECKED: Any = _NotChecked()

# Request ids are drawn from the system in batches: a system call for each costs as much as a token's check.
_ids: list[str] = []
_BATCH = 128


def _more_ids() -> str:
    drawn = urandom(16 * _BATCH).hex()
    _ids.extend(drawn[at : at + 32] for at in range(32, len(drawn), 32))
    return drawn[:32]


if hasattr(os, "register_at_fork"):
    # What was drawn before a fork would be used by parent and child.
    os.register_at_fork(after_in_child=_ids.clear)


class Exchange:
    """A request as the guards see it."""

    # What most requests never change stands on the class: an exchange is made for each request.

    request: Callable[[], Any] = staticmethod(lambda: None)
    """Gives the framework's request object, once a guard has seen it. It is not held: what a request and its exchange
    hold of each other would outlive the answer, body and all, until the collector of garbage comes by."""
    ran: frozenset[object] = frozenset()
    """The guards that have run for this request."""
    route: str | None = None
    """The rule that matched, such as ``/users/<id>``."""
    principal: Principal | None = None
    """Who is calling, once a guard has found out."""
    elsewhere: bool = False
    """Whether the principal was proved by something else than ``Authorization``, whatever came as that."""
    deliberate: bool = False
    """Whether the principal was proved by a token that no browser adds by itself, in the query say: a page of another
    site can have one sent only if it has it."""
    codes: tuple[str, ...] = ()
    """The codes of the refusals, in order."""
    refusal: Denied | None = None
    """The last refusal."""
    nonce: str | None = None
    """The CSP nonce, once a template asked for it."""
    limits: tuple[tuple[Any, str | None], ...] = ()
    """What each phase of limits said, and its policy: for the RateLimit and RateLimit-Policy fields. Without a policy
    it is counted, and told to nobody: how far others have come, or what a limit in report mode would have done."""
    headers: Any = None
    """The policy of headers that the view declares, or what gives it when called with the exchange; None where the
    app's holds."""
    sends: tuple[tuple[str, str], ...] = ()
    """Header fields that the answer gets beside those of the app's policy, each unless the app set one of that name.
    ``Vary``, which adds up, is sent in any case."""
    crossing: Any = None
    """What decides whether pages of other origins may read the answer, where the edge says so in ``sends``. The app's
    own ``Access-Control-*`` fields are then dropped."""
    at_status: tuple[Callable[[int], None], ...] = ()
    """Called with the answer's status, before it leaves; again if the server is given another one, or answers 500 since
    the body failed before its first chunk."""
    at_leaving: tuple[Callable[[int], None], ...] = ()
    """Called once, with the status that the client gets: before the first chunk of the answer goes to the server, or at
    its end, if there is none."""
    has_begun: bool = False
    """Whether the answer has been given to the server, as the edge notes it: what a stream does after that changes no
    header."""
    sees_answer: bool = True
    """Whether the edge sees the answer. If not, nobody calls what is in ``at_status`` and ``at_leaving``."""
    at_end: tuple[Callable[[], None], ...] = ()
    """Called once, when the answer has been sent, or the client has gone."""
    outcome: tuple[int, int | None, bool, int] | None = None
    """How the answer ended, for what is in ``at_end``: its status, bytes of its body (None where they are not known),
    whether all of it was sent, and microseconds since it was begun."""
    user: tuple[Principal, Any] | None = None
    """The app's own user, or the refusal if there is none, and the principal that it was loaded for, once somebody
    asked for it."""
    tried: tuple[str, bool] | None = None
    """The account that a login named, and whether it succeeded, once that is known."""
    attempts: Any = None
    """The attempts to log in of this request that are not settled yet."""
    metered: bool = False
    """Whether the quota that the credential has of its own was charged."""
    looking: bool = False
    """Whether it was answered with what is counted: of that the rates of the last hour have nothing."""
    telling: bool = False
    """Whether receivers of a signal are being called: what is refused to them is not a refusal of the request."""
    put_off: Callable[[Exchange, Iterable[object]], Denied | None] | None = None
    """What decides, once it is known which guards stand on the route, of a request that is over the app's own bounds
    and within those of some route."""
    body: Any = NOT_CHECKED
    """The checked body, once a guard has set it."""
    parts: Mapping[str, Any] = MappingProxyType({})
    """The checked parts that are text, by name, once a guard has set them."""

    def __init__(self, owner: object, environ: dict[str, Any]) -> None:
        #: 128 random bits as hex; names the request in the answer and in every log line.
        self.id = _ids.pop() if _ids else _more_ids()
        #: The app's state object: what tells one app's exchange from another's.
        self.owner = owner
        self.environ = environ

    def refuse(self, denied: Denied) -> Denied:
        """Notes a refusal, once, and marks it with the request's id. What a receiver of a signal ran into is not
        noted and not told: it decides nothing, and telling of it would call the same receiver again."""
        if denied is self.refusal:
            return denied
        denied.request_id = self.id
        if self.telling:
            return denied
        self.codes += (denied.problem.code,)
        self.refusal = denied
        record = getattr(self.owner, "record_refusal", None)
        if record is not None:
            record(self, denied)
        if request_refused.receivers or authentication_failed.receivers or access_denied.receivers:
            emit_refusal(self, denied)
        return denied
