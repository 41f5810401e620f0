"""What routes have no protection that they should have."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator

from ..guards import asks_who
from ..limits import limit
from .findings import Finding, Place, Severity
from .matrix import Row, changing, is_bounded_by_app
from .subject import Subject, found, settings_found

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
        yield from _unlimited(row, is_bounded_by_app(subject.settings, row.path))
        if row.has_body and row.schema == "-" and row.who != "refused":
            yield found("RMP-403", "The view sees whatever a client sends, as long as it is JSON or a form.", row.place)
        yield from _limits(row)
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


def _unlimited(row: Row, app_wide: bool) -> Iterator[Finding]:
    own = [guard for guard in row.guards if isinstance(guard, limit)]
    most = _MOST_TRIES if is_login(row) else _MOST_AT_ALL
    if not row.changes or row.who == "refused" or any(_bounds(guard, row, most) for guard in own):
        return
    if own and not is_login(row) and app_wide:
        return
    if own:
        texts = ", ".join(f"limit({guard.text!r})" for guard in own)
        message = f"{texts} does not stop it: it counts other methods, not everybody, too much, or only reports."
        yield found("RMP-404" if is_login(row) else "RMP-402", message, row.place)
        return
    if is_login(row):
        also = (
            "" if row.limit == "-" else " RAMPART_LIMITS bounds what one address asks for, and not who is guessed at."
        )
        yield found(
            "RMP-404",
            f"Who tries passwords or codes here is not stopped.{also}",
            row.place,
            None if row.limit == "-" else Severity.WARNING,
        )
    elif row.limit == "-":
        yield found("RMP-402", "It can be called as often as the machine can take.", row.place)


def _limits(row: Row) -> Iterator[Finding]:
    for guard in row.guards:
        if not isinstance(guard, limit):
            continue
        if guard.mode == "report":
            yield found("RMP-406", f"limit({guard.text!r}) only writes down whom it would refuse.", row.place)
        if guard.on_store_error == "open":
            severity = Severity.ERROR if is_login(row) and row.changes else None
            message = f"limit({guard.text!r}) lets everybody in while its store is away."
            yield found("RMP-407", message, row.place, severity)


def _bounds(guard: limit, row: Row, most: float) -> bool:
    """Whether a limit holds for all that change something here, and for everybody."""
    if guard.mode == "report" or callable(guard.unless):
        return False
    if any(guard.counted_as(method) is None for method in changing(row.methods)):
        return False
    # A function's quota is not known before it is asked.
    return not guard.quotas or any(
        quota.rule != "concurrent" and quota.count <= most * max(quota.period, 1.0) for quota in guard.quotas
    )


def is_login(row: Row) -> bool:
    """Whether it looks like a place where something secret is tried out: by its path and its view's name."""
    if any(map(asks_who, row.guards)):
        return False
    segments = [_words(segment) for segment in row.path.split("/") if segment and not segment.startswith("<")]
    name = _words(row.endpoint.rpartition(".")[2])
    said = [*segments, name]
    pairs = {"_".join(pair) for words in said for pair in itertools.pairwise(words)}
    every = {word for words in said for word in words} | pairs
    if not _NOT_LOGIN.isdisjoint(every) and "password" not in every:
        return False
    before = ["_".join(words) for words in segments[:-1]]
    stands_alone = bool(segments) and "_".join(segments[-1]) in _ALONE and all(map(_AROUND.fullmatch, before))
    return not _LOGIN.isdisjoint(every) or stands_alone


def _words(text: str) -> list[str]:
    return re.findall("[a-z0-9]+", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", text).lower())


def _place(package: str, rows: list[Row]) -> Place:
    more = f", and {len(rows) - 1} more" if len(rows) > 1 else ""
    return Place(route=f"{rows[0].label}{more}", package=package)
