"""What routes have no protection that they should have."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Set

from ..errors import ConfigError
from ..guards import asks_who
from ..limits import limit, quotas_of
from .findings import Finding, Place, Severity
from .matrix import Row, changing, is_counted_by_app
from .subject import Subject, found, listed, settings_found
from .tried import READING, Tried, tried, words

_LOGIN = frozenset(
    (
        *("login", "signin", "signup", "registration", "password", "passwd", "forgot", "otp", "2fa", "mfa", "totp"),
        *("authenticate", "authorize", "authorise", "auth", "sso", "credentials", "unlock", "recover", "redeem", "pin"),
        *("log_in", "sign_in", "sign_up", "confirm_email", "verify_email", "verify_code", "magic_link"),
    )
)
# Words that say it only where they stand alone: /sessions, and not /checkout/sessions.
_ALONE = frozenset(
    ("register", "reset", "verify", "token", "tokens", "session", "sessions", "activate", "confirm", "connect", "enter")
)
# Of these, those that say it of what is only read: /tokens/<token> may be anything's.
_ALONE_AND_READ = frozenset(("reset", "verify", "activate", "confirm"))
_AROUND = re.compile(r"api|v[0-9]+|auth|oauth2?|users?|accounts?|jwt")
_NOT_LOGIN = frozenset(("logout", "signout", "revoke", "delete", "log_out", "sign_out"))
_MOST_TRIES = 100 / 60  # a second: who guesses passwords faster than that is not stopped
_MOST_AT_ALL = 1000.0
_TOOLS = frozenset(
    ("flask_debugtoolbar", "flask_profiler", "flask_monitoringdashboard", "werkzeug", "pyinstrument", "wdb")
)


def check(subject: Subject, rows: list[Row]) -> Iterator[Finding]:
    """What each route lacks."""
    settings = subject.settings
    if settings.default != "deny":
        yield settings_found(
            "RMP-405", "A view on which somebody forgets @require answers everybody.", "RAMPART_DEFAULT"
        )
    app_wide = _bounds_at_all(settings.limits)
    others: dict[str, list[Row]] = {}
    for row in rows:
        if row.kind == "other":
            others.setdefault(row.module.partition(".")[0], []).append(row)
        if row.kind not in ("app", "other"):
            continue
        if row.is_open and row.kind == "app":
            yield found("RMP-401", "Anybody may call it, and nothing says that this is meant.", row.place)
        if row.is_optional and row.kind == "app":
            asks = row.who.removeprefix("OPTIONAL ")
            message = f"Who has no credential gets in: {asks} closes nothing, and public does not stand there."
            yield found("RMP-401", message, row.place)
        is_counted = is_counted_by_app(settings, row.path)
        is_bounded = is_counted and app_wide
        unlimited = [*_unlimited(row, is_bounded, settings.limits if is_counted else None)]
        yield from unlimited
        of_address = None if row.who == "refused" else _tried(subject, row)
        if of_address is not None and not any(each.rule.id == "RMP-404" for each in unlimited):
            yield from _tried_without_end(row, of_address, is_bounded)
        if row.has_body and row.schema == "-" and row.who != "refused":
            yield found("RMP-403", "The view sees whatever a client sends, as long as it is JSON or a form.", row.place)
        yield from _limits(row, is_tried=of_address is not None or (is_login(row) and row.changes))
    for package, of_it in others.items():
        if package in _TOOLS:
            yield found("RMP-408", f"{package} shows the app's inside to whoever finds it.", _place(package, of_it))
        elif any(row.is_open for row in of_it):
            yield found(
                "RMP-409",
                f"{package} has {len(of_it)} route{'' if len(of_it) == 1 else 's'} here, and not all are guarded.",
                _place(package, of_it),
                Severity.WARNING if any(row.is_open and row.changes for row in of_it) else None,
            )


def _unlimited(row: Row, is_bounded: bool, app_wide: str | None) -> Iterator[Finding]:
    """What changes something and has no limit.

    :param is_bounded: whether ``RAMPART_LIMITS`` stops somebody here.
    :param app_wide: it, if it counts here at all.
    """
    own = [guard for guard in row.guards if isinstance(guard, limit)]
    most = _MOST_TRIES if is_login(row) else _MOST_AT_ALL
    if not row.changes or row.who == "refused" or any(_bounds(guard, changing(row.methods), most) for guard in own):
        return
    if own and not is_login(row) and is_bounded:
        return
    if own:
        yield found("RMP-404" if is_login(row) else "RMP-402", _stops_nobody(own), row.place)
    elif is_login(row):
        yield _without_end(row, "passwords or codes", is_bounded)
    elif not is_bounded and app_wide is not None:
        yield found("RMP-402", f"RAMPART_LIMITS = {app_wide!r} does not stop it: it allows too much.", row.place)
    elif not is_bounded:
        yield found("RMP-402", "It can be called as often as the machine can take.", row.place)


def _tried_without_end(row: Row, what: Tried, is_bounded: bool) -> Iterator[Finding]:
    """Passwords and codes that are tried by reading."""
    own = [guard for guard in row.guards if isinstance(guard, limit)]
    if any(_bounds(guard, READING.intersection(row.methods), _MOST_TRIES) for guard in own):
        return
    if not what.is_short and is_bounded:
        # A token that somebody has made to be guessed by no one: what one address may ask is bounded.
        return
    if own:
        yield found("RMP-404", _stops_nobody(own), row.place, None if what.is_short else Severity.WARNING)
    else:
        yield _without_end(row, listed(map(repr, what.names)), is_bounded, is_long=not what.is_short)


def _without_end(row: Row, what: str, is_bounded: bool, *, is_long: bool = False) -> Finding:
    also = " RAMPART_LIMITS bounds what one address asks for, and not who is guessed at." if is_bounded else ""
    severity = Severity.WARNING if is_bounded or is_long else None
    return found("RMP-404", f"Who tries {what} here is not stopped.{also}", row.place, severity)


def _stops_nobody(own: list[limit]) -> str:
    texts = ", ".join(f"limit({guard.text!r})" for guard in own)
    return f"{texts} does not stop it: it counts other methods, not everybody, too much, or only reports."


def _limits(row: Row, *, is_tried: bool) -> Iterator[Finding]:
    for guard in row.guards:
        if not isinstance(guard, limit):
            continue
        if guard.mode == "report":
            yield found("RMP-406", f"limit({guard.text!r}) only writes down whom it would refuse.", row.place)
        if guard.on_store_error == "open":
            message = f"limit({guard.text!r}) lets everybody in while its store is away."
            yield found("RMP-407", message, row.place, Severity.ERROR if is_tried else None)


def _bounds(guard: limit, methods: Set[str], most: float) -> bool:
    """Whether a limit holds for all these methods, and for everybody."""
    if guard.mode == "report" or callable(guard.unless):
        return False
    if any(guard.counted_as(method) is None for method in methods):
        return False
    # A function's quota is not known before it is asked.
    return not guard.quotas or any(
        quota.rule != "concurrent" and quota.count <= most * max(quota.period, 1.0) for quota in guard.quotas
    )


def _bounds_at_all(limits: str | None) -> bool:
    """Whether the app's own limits stop somebody."""
    try:
        quotas = [] if limits is None else quotas_of(limits)
    except ConfigError:  # which is why the app does not start
        return False
    return any(quota.count <= _MOST_AT_ALL * max(quota.period, 1.0) for quota in quotas)


def _tried(subject: Subject, row: Row) -> Tried | None:
    if _asks_first(row):
        return None
    return tried(subject, row, _words_of_login(row, _ALONE_AND_READ))


def _asks_first(row: Row) -> bool:
    return any(map(asks_who, row.guards))


def is_login(row: Row) -> bool:
    """Whether it looks like a place where something secret is tried out: by its path and its view's name."""
    return not _asks_first(row) and bool(_words_of_login(row, _ALONE))


def _words_of_login(row: Row, alone: Set[str]) -> Set[str]:
    """The words of a path and its view's name that say that something secret is tried there."""
    segments = [words(segment) for segment in row.path.split("/") if segment and not segment.startswith("<")]
    said = [*segments, words(row.endpoint.rpartition(".")[2])]
    pairs = {"_".join(pair) for each in said for pair in itertools.pairwise(each)}
    every = {word for each in said for word in each} | pairs
    if not _NOT_LOGIN.isdisjoint(every) and "password" not in every:
        return frozenset()
    before = ["_".join(each) for each in segments[:-1]]
    last = "_".join(segments[-1]) if segments else ""
    stands_alone = last in alone and all(map(_AROUND.fullmatch, before))
    return (_LOGIN & every) | ({last} if stands_alone else frozenset())


def _place(package: str, rows: list[Row]) -> Place:
    more = f", and {len(rows) - 1} more" if len(rows) > 1 else ""
    return Place(route=f"{rows[0].label}{more}", package=package)
