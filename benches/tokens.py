"""Who is calling: what it costs to know, and what it costs those who forge.

Run ``python benches/tokens.py``; ``make bench`` does. The rooms are asked as their guards ask them, revocation check
included; how it measures stands in ``common.py``.
"""

from __future__ import annotations

import hmac
import itertools
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import identities
import material
import peers
from common import (
    ADDRESS,
    Row,
    Subject,
    conclude,
    environ,
    figure,
    goal,
    heading,
    lacking,
    loop,
    mark,
    measure,
    options,
    run_requests,
    table,
    versions,
)
from operations import pyjwt_verify, verified

ALGORITHMS = ("HS256", "RS256", "ES256", "EdDSA")
TOKENS = 64
#: PyJWT's RS256 took 72 us where these were promised to take 1, 2 and 3.
SEEN, SEEN_WITH_CLAIMS, KEY = 72, 36, 24
FIRST_SIGHT = 4.0
FLOOD = 1_000
REVOKED = 1_000


def good(found: Any) -> Any:
    """What a room said, which must be that somebody is calling."""
    if not getattr(found, "id", None):
        raise SystemExit(f"a good credential is refused: {found!r}; it is not measured")
    return found


def refused(found: Any) -> Any:
    """What a room said, which must be a refusal."""
    if getattr(found, "id", None):
        raise SystemExit("a bad credential is accepted; it is not measured")
    return found


def yardstick() -> Subject:
    """PyJWT's RS256, its key prepared."""
    values = [material.token("RS256", number=number) for number in range(TOKENS)]
    return loop("PyJWT RS256", verified(pyjwt_verify("RS256"), "RS256"), values)


def faster(group: str, name: str, ours: Subject, target: float | None) -> Row:
    """A row that says how many times faster ours is."""
    assert ours.against is not None
    return Row(
        group,
        name,
        1 / ours.ratio,
        "times faster",
        target,
        at_least=True,
        micros=ours.median,
        peer=ours.against.median,
        note=ours.against.name,
    )


def exchanges(algorithm: str, count: int = TOKENS) -> list[Any]:
    """Requests with a token each."""
    tokens = [material.token(algorithm, number=number) for number in range(count)]
    return [identities.request(AUTHORIZATION=f"Bearer {token}") for token in tokens]


def seen(folder: Path, rounds: int) -> list[Row]:
    """Tokens that the app has seen before: the principal alone, and with its claims."""
    peer, ours = yardstick(), []
    for algorithm in ALGORITHMS:
        app = identities.app(folder, algorithm)
        tokens = identities.room(app, "Tokens")
        check, given = tokens.authenticate, exchanges(algorithm)
        good(check(given[0]))
        identities.revoke_many(app, REVOKED)

        def read_id(exchange: Any, check: Callable[[Any], Any] = check) -> Any:
            return check(exchange).id

        def read_claims(exchange: Any, check: Callable[[Any], Any] = check) -> Any:
            return check(exchange).claims

        for title, call, target in (
            (f"{algorithm}, principal read", read_id, SEEN),
            (f"{algorithm}, claims read", read_claims, SEEN_WITH_CLAIMS),
        ):
            subject = loop(title, call, given)
            subject.against = peer
            ours.append((subject, target))
    peer_hs = loop(
        "PyJWT HS256",
        verified(pyjwt_verify("HS256"), "HS256"),
        [material.token("HS256", number=number) for number in range(TOKENS)],
    )
    peer_hs.against = peer
    measure([subject for subject, _ in ours] + [peer_hs], rounds=rounds)
    group = "token seen before"
    rows = [faster(group, subject.name, subject, target) for subject, target in ours]
    return [*rows, faster(group, "(PyJWT HS256)", peer_hs, None)]


def first(folder: Path, rounds: int) -> list[Row]:
    """Tokens at first sight, beside nothing but their signature verified by ``cryptography``."""
    ours = []
    for algorithm in ALGORITHMS:
        app = identities.app(folder, algorithm)
        given = exchanges(algorithm, 4 * TOKENS)
        check = identities.first_sight(app, algorithm)
        good(check(given[0]))
        identities.revoke_many(app, REVOKED)
        signed = [material.parts(exchange.environ["HTTP_AUTHORIZATION"][7:]) for exchange in given]

        def bare(pair: tuple[bytes, bytes], algorithm: str = algorithm) -> object:
            if algorithm == "HS256":
                return hmac.compare_digest(hmac.digest(material.SECRET, pair[1], "sha256"), pair[0])
            return material.key_pair(algorithm).verify(*pair)

        subject = loop(algorithm, check, given)
        subject.against = loop("cryptography alone", bare, signed)
        ours.append(subject)
    measure(ours, rounds=rounds)
    return [
        Row(
            "token at first sight",
            subject.name,
            subject.added,
            "us more",
            FIRST_SIGHT,
            micros=subject.median,
            peer=subject.against.median if subject.against else None,
            note="cryptography alone",
        )
        for subject in ours
    ]


def forged(folder: Path, rounds: int) -> list[Row]:
    """ES384 tokens with made-up signatures, from one address: the dearest that a forger can ask for."""
    head, claims, _ = material.token("ES384").split(".")

    def requests(count: int) -> list[dict[str, Any]]:
        made = (material.base64url(os.urandom(96)) for _ in range(count))
        return [environ(b"", f"{head}.{claims}.{signature}", address=ADDRESS) for signature in made]

    variants = {
        "without a limit": identities.guarded(folder, "ES384"),
        f"limit({identities.QUOTA!r}) in front": identities.guarded(folder, "ES384", quota=identities.QUOTA),
        f"RAMPART_LIMITS = {identities.QUOTA!r}": identities.guarded(folder, "ES384", everywhere=identities.QUOTA),
    }
    statuses: list[str] = []
    good_one = environ(b"", material.token("ES384"), address="192.0.2.99")
    rows, subjects = [], []
    for name, app in variants.items():
        run_requests(app.wsgi_app, [dict(good_one)], statuses)
        if statuses.pop() != "200 OK":
            raise SystemExit("a good ES384 token is refused; it is not measured")
        run_requests(app.wsgi_app, requests(FLOOD), statuses)
        verified_ones = sum(status.startswith("401") for status in statuses)
        if verified_ones + sum(status.startswith("429") for status in statuses) != FLOOD:
            raise SystemExit(f"{name}: neither 401 nor 429 is answered; it is not measured")
        statuses.clear()
        # What refills during the flood is admitted too.
        most = None if name == "without a limit" else identities.PER_MINUTE + 5
        rows.append(Row("forged ES384", f"of 1,000 verified, {name}", verified_ones, "of 1,000", most))

        def run(given: list[dict[str, Any]], app: Any = app.wsgi_app) -> None:
            run_requests(app, given, [])

        subjects.append(Subject(f"a request, {name}", requests, run))
    for subject in subjects[1:]:
        subject.against = subjects[0]
    subjects[0].name = "without a limit"
    measure(subjects[1:], rounds=rounds)
    return [*rows, *(faster("forged ES384", subject.name, subject, None) for subject in subjects[1:])]


def api_keys(folder: Path, rounds: int, count: int) -> list[Row]:
    """API keys among a million: remembered, asked for, and mistyped."""
    begun = time.perf_counter()
    keys = identities.fill(folder, count, TOKENS)
    size = (folder / "records.sqlite3").stat().st_size / 1e6
    print(f"{count:,} API keys stored in {time.perf_counter() - begun:.0f} s, {size:,.0f} MB\n", flush=True)
    peer = yardstick()
    group = f"API key, {count:,} stored"
    ours = []
    for name, remembered, target in (("seen before", 16_384, KEY), ("read from the store", 8, None)):
        app = identities.app(folder, RAMPART_API_KEYS=True)
        room = identities.room(app, "ApiKeys")
        identities.remember(room, remembered)
        given = [identities.request(X_API_KEY=key) for key in keys]
        for exchange in given:
            good(room.authenticate(exchange))
        subject = loop(name, room.authenticate, given)
        subject.against = peer
        ours.append((subject, target))
    mistyped = [identities.request(X_API_KEY=key[:-1] + ("a" if key[-1] != "a" else "b")) for key in keys]
    app = identities.app(folder, RAMPART_API_KEYS=True)
    room, records = identities.room(app, "ApiKeys"), identities.room(app, "Records")
    counted = records._store = identities.Counted(records.store)
    for exchange in itertools.islice(itertools.cycle(mistyped), 10_000):
        refused(room.authenticate(exchange))
    wrong = loop("wrong checksum", room.authenticate, mistyped)
    wrong.against = peer
    measure([*(subject for subject, _ in ours), wrong], rounds=rounds)
    rows = [faster(group, subject.name, subject, target) for subject, target in ours]
    rows.append(faster(group, "wrong checksum", wrong, None))
    rows.append(Row(group, "look-ups of 10,000 with a wrong checksum", counted.calls, "look-ups", 0))
    return rows


def refreshes(folder: Path, rounds: int) -> list[Row]:
    """Rotation of refresh tokens in SQLite on this disk, beside one synced commit of SQLite. Time is the wall's."""
    # Without an overlap: within one, only so many rotations of a login are made.
    app = identities.app(folder, "HS256", RAMPART_JWT_REFRESH_OVERLAP=0)
    tokens = identities.room(app, "Tokens")
    token = tokens.issue_pair("ada", scopes=material.SCOPE).refresh

    def rotate(_: Any) -> None:
        nonlocal token
        following = tokens.refresh(token).refresh
        if following == token:
            raise SystemExit("a refresh gives the same token; it is not measured")
        token = following

    subjects = {rotate: [], identities.commit_alone(folder): []}  # type: ignore[var-annotated]
    for number in range(-1, rounds):
        for call, spent in reversed(subjects.items()) if number % 2 else subjects.items():
            begun = time.perf_counter_ns()
            for _ in range(5):
                call(None)
            if number >= 0:
                spent.append((time.perf_counter_ns() - begun) / 5000)
    mine, alone = subjects.values()
    ratio = statistics.median(a / b for a, b in zip(mine, alone, strict=True))
    group, median = "refresh, SQLite on disk", statistics.median(mine)
    return [
        Row(
            group,
            "rotation, time of the wall",
            ratio,
            "of a commit",
            micros=median,
            peer=statistics.median(alone),
            note="one synced commit",
        ),
        Row(group, "rotations by one worker", 1e6 / median, "a second"),
    ]


@contextmanager
def folder(where: str | None = None) -> Any:
    """A folder for one part's store."""
    made = Path(tempfile.mkdtemp(prefix="bench-", dir=where))
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


PARTS: dict[str, Callable[..., list[Row]]] = {
    "seen": seen,
    "first": first,
    "forged": forged,
    "keys": api_keys,
    "refreshes": refreshes,
}


def main() -> int:
    parser = options(__doc__, rounds=31, keys=1_000_000)
    parser.add_argument("--part", choices=PARTS, action="append", help="only these; again for more")
    parser.add_argument("--folder", help="where the stores are made, instead of the system's folder for such files")
    arguments = parser.parse_args()
    about = versions("pyjwt", "cryptography")
    heading("Who is calling", about)
    if absent := peers.missing("jwt", "cryptography"):
        lacking(f"all of it ({', '.join(absent)})", "bench")
        return 1
    rows: list[Row] = []
    for name in arguments.part or PARTS:
        made: AbstractContextManager[Path] = folder(arguments.folder)
        with made as place:
            more = (arguments.keys,) if name == "keys" else ()
            rows += PARTS[name](place, arguments.rounds, *more)
    lines: list[list[str]] = []
    for group, members in itertools.groupby(rows, key=lambda row: row.group):
        lines.append([group])
        for row in members:
            cells = [f"  {row.name}", row.note, figure(row.micros), figure(row.peer), figure(row.value), row.unit]
            lines.append([*cells, goal(row), mark(row.met)])
    print(table(("", "against", "ours us", "peer us", "ours is", "", "target", ""), lines, left=2))
    print(f"\n{arguments.rounds} rounds; medians.")
    return conclude(arguments, about, rows)


if __name__ == "__main__":
    sys.exit(main())
