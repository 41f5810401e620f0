"""A whole request in process: a JSON POST of 1 KB through ``app.wsgi_app``, ours and the peers against bare Flask.

Run ``python benches/request.py``; ``make bench`` does. How it measures stands in ``common.py``, how to read it
in ``README.md``.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Iterator
from typing import Any

import apps
import material
import peers
from common import (
    ADDRESS,
    Row,
    Subject,
    WSGIApp,
    answer,
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
from flask import request, request_started

ACCEPTED_TARGET = 1.15
CRYPTOGRAPHY_TARGET = 1.2
REFUSED_TARGET = 0.75
EDGE_TARGET = 0.1
FIRST_SIGHT = "RS256, token at first sight"
HEADERS = ("X-Content-Type-Options", "Content-Security-Policy")

Tokens = Iterator["str | None"]
Make = Callable[[], "tuple[WSGIApp, Tokens]"]


class Variant:
    """One row: an app of its own, what it is sent and what it must answer."""

    def __init__(
        self,
        group: str,
        name: str,
        make: Callable[[str], Any],
        *,
        tokens: Tokens | None = None,
        body: bytes = material.BODY,
        status: int = 200,
        target: float | None = None,
        spend: bool = False,
        headers: bool = False,
        alone: bool = False,
    ) -> None:
        """*spend*: a first request uses up the quota; *headers*: the answer must have secure headers.

        *alone*: as if no extension were imported: ours listens to the start of all requests, whoever's.
        """
        self._alone = alone
        self.group, self.name, self.target = group, name, target
        self._tokens = itertools.repeat(None) if tokens is None else tokens
        self._body, self._status = body, status
        app: Any = make(f"bench {group} {name}")
        self._app: WSGIApp = getattr(app, "wsgi_app", app)
        if spend:
            self._answer(200)
        for _ in range(3):
            sent = self._answer(status)
        if headers and not all(name in sent for name in HEADERS):
            raise SystemExit(f"{group}: {name}: the answer lacks the secure headers it is measured with: {sent}")
        self._statuses: list[str] = []
        self.subject = Subject(name, self._prepare, self._run, self._finish)

    def _answer(self, status: int) -> dict[str, str]:
        got, headers, content = answer(self._app, environ(self._body, next(self._tokens)))
        if got != status:
            raise SystemExit(f"{self.group}: {self.name}: answered {got}, not {status}: {content[:300]!r}")
        return headers

    def _prepare(self, count: int) -> list[dict[str, Any]]:
        return [environ(self._body, next(self._tokens)) for _ in range(count)]

    def _run(self, requests: list[dict[str, Any]]) -> None:
        self._statuses = []
        if self._alone:
            with request_started.muted():
                run_requests(self._app, requests, self._statuses)
        else:
            run_requests(self._app, requests, self._statuses)

    def _finish(self, requests: list[dict[str, Any]]) -> None:
        wrong = [status for status in self._statuses if int(status[:3]) != self._status]
        if wrong or len(self._statuses) != len(requests):
            raise SystemExit(f"{self.group}: {self.name}: answered {wrong[:1]} in a round, not {self._status}")


def same(token: str) -> Tokens:
    """The same token each time."""
    return itertools.repeat(token)


def distinct(algorithm: str) -> Tokens:
    """Another token each time, signed off the clock."""
    return (material.token(algorithm, number=number) for number in itertools.count())


def ours() -> list[Variant]:
    """Ours: everything, each guard alone, each refusal."""
    hs256, rs256 = material.token(), material.token("RS256")

    def all_of(algorithm: str) -> Callable[[str], Any]:
        return lambda name: apps.everything(algorithm, name=name)

    def only(**guards: Any) -> Callable[[str], Any]:
        return lambda name: apps.guarded(name, **guards)

    def edge(*, log: bool) -> Callable[[str], Any]:
        return lambda name: apps.at_the_edge(apps.bare(name).wsgi_app, name, log=log)

    everything, alone, refused = "ours, all five guards", "ours, one guard", "ours, refused"
    none, most = apps.AMPLE, ACCEPTED_TARGET
    rows = [
        Variant(everything, "HS256", all_of("HS256"), tokens=same(hs256), target=most, headers=True),
        Variant(everything, "RS256, token seen before", all_of("RS256"), tokens=same(rs256), target=most),
        Variant(everything, FIRST_SIGHT, all_of("RS256"), tokens=distinct("RS256")),
        Variant(alone, "headers", edge(log=False), headers=True),
        Variant(alone, "headers + access log", edge(log=True)),
        Variant(alone, "headers + bounded JSON", only()),
        Variant(alone, "  + limit", only(quota=none)),
        Variant(alone, "  + token HS256", only(algorithm="HS256"), tokens=same(hs256)),
        Variant(alone, "  + schema", only(schema=True)),
    ]
    expired, bad = material.token(lifetime=-3600), material.tampered(hs256)
    unscoped, wrong = material.token(scope="orders:read"), material.mistyped()
    for name, status, token, body in (
        ("401 no token", 401, None, material.BODY),
        ("401 expired", 401, expired, material.BODY),
        ("401 bad signature", 401, bad, material.BODY),
        ("403 missing scope", 403, unscoped, material.BODY),
        ("400 malformed JSON", 400, hs256, material.MALFORMED),
        ("422 wrong type", 422, hs256, wrong),
    ):
        tokens: Tokens = itertools.repeat(token)
        rows.append(
            Variant(refused, name, all_of("HS256"), tokens=tokens, body=body, status=status, target=REFUSED_TARGET)
        )
    rows.append(
        Variant(
            refused,
            "429 over the quota",
            lambda name: apps.everything(quota="1/hour", name=name),
            tokens=same(hs256),
            status=429,
            target=REFUSED_TARGET,
            spend=True,
        )
    )
    rows.append(
        Variant(
            refused,
            "429 address over the application's limit",
            only(algorithm="HS256", quota=none, schema=True, log=True, application="1/hour"),
            tokens=same(hs256),
            status=429,
            target=EDGE_TARGET,
            spend=True,
        )
    )
    return rows


def theirs() -> list[Variant]:
    """The peers: the whole stack, one by one, each refusal."""
    hs256, rs256 = material.token(), material.token("RS256")
    everything, alone, refused = "peers, whole stack", "peers, one by one", "peers, refused"

    def all_of(algorithm: str) -> Callable[[str], Any]:
        return lambda name: peers.everything(algorithm, name=name)

    def only(**parts: Any) -> Callable[[str], Any]:
        return lambda name: peers.stacked(name, **parts)

    rows = [
        Variant(everything, "HS256", all_of("HS256"), tokens=same(hs256), headers=True),
        Variant(everything, "RS256", all_of("RS256"), tokens=same(rs256)),
        Variant(alone, "Flask-Talisman", only(headers=True), headers=True),
        Variant(alone, "Flask-Limiter, memory", only(quota=apps.AMPLE)),
        Variant(alone, "Flask-JWT-Extended HS256", only(algorithm="HS256"), tokens=same(hs256)),
        Variant(alone, "Flask-JWT-Extended RS256", only(algorithm="RS256"), tokens=same(rs256)),
        Variant(alone, "jsonschema-rs", only(schema=True)),
        Variant(alone, "access log + 20 patterns", only(log=True)),
    ]
    bad = material.tampered(hs256)
    for name, status, token, body in (
        ("401 no token", 401, None, material.BODY),
        ("401 expired", 401, material.token(lifetime=-3600), material.BODY),
        # Flask-JWT-Extended answers 422 to a signature that does not hold.
        ("422 bad signature", 422, bad, material.BODY),
        ("403 missing scope", 403, material.token(scope="orders:read"), material.BODY),
        ("400 malformed JSON", 400, hs256, material.MALFORMED),
        ("422 wrong type", 422, hs256, material.mistyped()),
    ):
        tokens: Tokens = itertools.repeat(token)
        rows.append(Variant(refused, name, all_of("HS256"), tokens=tokens, body=body, status=status))
    rows.append(
        Variant(
            refused,
            "429 over the quota",
            lambda name: peers.everything(quota="1/hour", name=name),
            tokens=same(hs256),
            status=429,
            spend=True,
        )
    )
    return rows


def bare_verification() -> Subject:
    """RS256 by ``cryptography`` and nothing else, again and again."""
    verify = material.key_pair("RS256").verify
    values = [material.parts(material.token("RS256", number=number)) for number in range(64)]
    return loop("RS256 verification in a loop, cryptography", lambda given: verify(*given), values)


def verifying(name: str) -> Any:
    """Bare Flask whose view verifies the signature of its token by ``cryptography``, and looks at nothing else.

    What it adds to bare Flask is what the bare cryptography costs a request: more than in a loop, where caches hold
    nothing but the key, and after it the rest of the request finds its own caches cold.
    """
    verify = material.key_pair("RS256").verify

    def before() -> None:
        verify(*material.parts(request.headers["Authorization"][7:]))

    app = apps.bare(name)
    app.before_request(before)
    return app


def main() -> int:
    parser = options(__doc__, rounds=31, calls=40)
    parser.add_argument("--only", choices=("ours", "peers"), help="leave the other side out")
    arguments = parser.parse_args()
    about = versions(*peers.PACKAGES, "pyjwt", "limits")
    heading("A whole request, in process: a JSON POST of 1 KB, against bare Flask", about)

    floor: Subject | None = None
    within: Variant | None = None
    variants: list[Variant] = []
    if arguments.only != "peers":
        if peers.missing("cryptography"):
            lacking("ours (its RS256 keys are made by cryptography)", "bench")
        else:
            floor = bare_verification()
            within = Variant(
                "floor", "bare Flask + RS256 verification", verifying, tokens=distinct("RS256"), alone=True
            )
            variants += [*ours(), within]
    if arguments.only != "ours":
        absent = peers.missing()
        if absent:
            lacking(f"peers ({', '.join(absent)})", "bench")
        else:
            variants += theirs()
    plain, again = (
        Variant("bare Flask", name, apps.bare, alone=True) for name in ("bare Flask", "bare Flask again (control)")
    )
    compared = [variant.subject for variant in (again, *variants)] + ([floor] if floor else [])
    for subject in compared:
        subject.against = plain.subject
    measure(compared, rounds=arguments.rounds, calls=arguments.calls)
    rows = results([plain, again, *variants], floor, within)
    show(rows)
    print(f"\n{arguments.rounds} rounds of {arguments.calls} calls, each request from {ADDRESS}; medians.")
    return conclude(arguments, about, rows)


def results(variants: list[Variant], floor: Subject | None, within: Variant | None) -> list[Row]:
    """The figures, in units of bare Flask."""
    rows = []
    for variant in variants:
        subject, target, note = variant.subject, variant.target, ""
        if variant.name == FIRST_SIGHT and within is not None:
            target = ACCEPTED_TARGET + CRYPTOGRAPHY_TARGET * (within.subject.ratio - 1)
            note = f"{ACCEPTED_TARGET} + {CRYPTOGRAPHY_TARGET} x what the verification adds to bare Flask"
        rows.append(
            Row(
                variant.group,
                variant.name,
                subject.ratio,
                target=target,
                micros=subject.median,
                added=subject.added,
                note=note,
            )
        )
    if floor is not None:
        rows.append(Row("floor", floor.name, floor.ratio, micros=floor.median))
    return rows


def show(rows: list[Row]) -> None:
    """Prints the table."""
    lines: list[list[str]] = []
    for group, members in itertools.groupby(rows, key=lambda row: row.group):
        lines.append([group])
        for row in members:
            added = "" if row.added is None else f"{row.added:+.1f}"
            lines.append(
                [
                    f"  {row.name}",
                    figure(row.value),
                    figure(row.micros),
                    added,
                    goal(row),
                    f"{mark(row.met)}  {row.note}",
                ]
            )
    print(table(("", "x bare", "us", "added us", "target", ""), lines))


if __name__ == "__main__":
    sys.exit(main())
