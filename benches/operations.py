"""One operation at a time, called from Python: ours against the fastest peers, as ratios of one run.

Run ``python benches/operations.py``. The rows against ``ryjwt`` need Python 3.12 and the group ``bench312``; the
others need the group ``bench``. ``make bench`` runs it in both environments.
"""

from __future__ import annotations

import importlib
import importlib.util
import itertools
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import apps
import material
import peers
from common import (
    Row,
    Subject,
    WSGIApp,
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

TOKENS = 64


@dataclass
class Comparison:
    """Ours beside a peer. *how* says what the figure is: a ratio of times, of speeds, or a difference."""

    group: str
    name: str
    ours: Subject
    peer: Subject
    target: float | None = None
    how: str = "of peer"

    def __post_init__(self) -> None:
        self.ours.against = self.peer

    def row(self) -> Row:
        """The figures."""
        if self.how == "us more":
            value, unit = self.ours.added, "us more"
        elif self.how == "times faster":
            value, unit = 1 / self.ours.ratio, "times faster"
        else:
            value, unit = self.ours.ratio, "of peer"
        return Row(
            self.group,
            self.name,
            value,
            unit,
            self.target,
            at_least=self.how == "times faster",
            micros=self.ours.median,
            peer=self.peer.median,
            note=self.peer.name,
        )


def pyjwt_verify(algorithm: str) -> Callable[[str], dict[str, Any]]:
    """PyJWT with its key prepared."""
    import jwt

    key: Any = material.SECRET
    if algorithm != "HS256":
        from cryptography.hazmat.primitives.serialization import load_pem_public_key

        key = load_pem_public_key(material.public_key(algorithm))

    def call(token: str) -> dict[str, Any]:
        return jwt.decode(token, key, algorithms=[algorithm], audience=material.AUDIENCE, issuer=material.ISSUER)

    return call


def ryjwt_verify(algorithm: str) -> Callable[[str], dict[str, Any]]:
    """The fastest peer."""
    # By name: the package needs a newer Python than the benches are checked with.
    module: Any = importlib.import_module("ryjwt")
    bound = {"algorithms": [algorithm], "audience": material.AUDIENCE, "issuer": material.ISSUER}
    if algorithm == "HS256":
        key = module.SecretKey(material.SECRET, **bound)
    else:
        key = module.PublicKey(material.public_key(algorithm).decode(), **bound)
    call: Callable[[str], dict[str, Any]] = key.decode
    return call


def verified(call: Callable[[str], Any], algorithm: str) -> Callable[[str], Any]:
    """The same function, after it was seen to accept a good token and refuse a tampered and an expired one."""
    good = material.token(algorithm)
    call(good)
    for bad in (material.tampered(good), material.token(algorithm, lifetime=-3600)):
        try:
            call(bad)
        except Exception:
            continue
        raise SystemExit(f"{algorithm}: a verifier accepts a tampered or expired token; it is not measured")
    return call


def tokens(ours: apps.Ours) -> list[Comparison]:
    """Tokens at first sight against PyJWT and ryjwt (both sides end with a dict), and seen before."""
    rows = []
    has_pyjwt, has_ryjwt = not peers.missing("jwt"), not peers.missing("ryjwt")
    for algorithm in ("HS256", "RS256", "ES256", "EdDSA"):
        values = [material.token(algorithm, number=number) for number in range(TOKENS)]
        first = verified(ours.verify_to_dict(algorithm), algorithm)
        check = verified(ours.verify(algorithm), algorithm)
        seen = verified(ours.verify(algorithm, seen=4 * TOKENS), algorithm)

        def mine(call: Callable[[str], Any], values: Sequence[str] = values) -> Subject:
            return loop("ours", call, values)

        if has_pyjwt:
            theirs = loop("PyJWT", verified(pyjwt_verify(algorithm), algorithm), values)
            # For the others the cryptography is the most of it: shown, and judged against ryjwt.
            target = 1 / 15 if algorithm == "HS256" else None
            rows.append(Comparison("token, first sight", algorithm, mine(first), theirs, target))
            rows.append(Comparison("token, seen before", algorithm, mine(seen), theirs, 1 / 50))
            again = verified(ours.verify_to_dict(algorithm, seen=4 * TOKENS), algorithm)
            rows.append(Comparison("token, seen before", f"{algorithm}, claims as a dict", mine(again), theirs))
        if has_ryjwt:
            theirs = loop("ryjwt", verified(ryjwt_verify(algorithm), algorithm), values)
            target = None if algorithm == "HS256" else 1.4
            rows.append(Comparison("token, first sight", algorithm, mine(first), theirs, target))
            rows.append(Comparison("token, first sight", f"{algorithm}, check alone", mine(check), theirs))
    return sorted(rows, key=lambda row: row.group)


def limits(ours: apps.Ours) -> list[Comparison]:
    """A limit by address: the table shared by workers, against a dict of one process."""
    from limits import parse
    from limits.storage import MemoryStorage
    from limits.strategies import FixedWindowRateLimiter

    hit, item = FixedWindowRateLimiter(MemoryStorage()).hit, parse("10000000/hour")
    check = ours.limit(apps.AMPLE)
    refusing, refusing_item = ours.limit("1/hour"), parse("1/hour")
    asked = [(refusing("203.0.113.9").admitted, hit(refusing_item, "try", "203.0.113.9")) for _ in range(2)]
    if asked != [(True, True), (False, False)]:
        raise SystemExit(f"limits: a quota of one admits {asked}; it is not measured")
    values = apps.addresses(256)
    mine = loop("ours", check, values)
    theirs = loop("limits, fixed window in memory", lambda address: hit(item, "view", address), values)
    return [Comparison("limit", "check, 256 addresses, shared store", mine, theirs, 1 / 10)]


def bodies(ours: apps.Ours) -> list[Comparison]:
    """From bytes to validated objects."""
    import jsonschema_rs
    import orjson

    loads = orjson.loads
    is_valid = jsonschema_rs.validator_for(material.ORDER_SCHEMA, validate_formats=True).is_valid
    check = ours.validate(material.ORDER_SCHEMA)

    def peer(body: bytes) -> object:
        value = loads(body)
        if not is_valid(value):
            raise ValueError("the body does not have the schema's shape")
        return value

    for call in (check, peer):
        if call(material.BODY) != material.order(1_000):
            raise SystemExit("validation: the objects are not those that were sent; it is not measured")
        try:
            call(material.mistyped())
        except Exception:
            continue
        raise SystemExit("validation: a wrong type is accepted; it is not measured")
    name = "orjson + jsonschema-rs"
    return [
        Comparison("body", title, loop("ours", check, [body]), loop(name, peer, [body]), 1.3)
        for title, body in (
            ("1 KB, bytes to objects", material.BODY),
            ("20 KB, bytes to objects", material.BODY_LARGE),
        )
    ]


def headers(ours: apps.Ours) -> list[Comparison]:
    """What secure headers add to the barest WSGI app."""

    def nothing(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", "2")])
        return [b"{}"]

    def subject(name: str, app: WSGIApp) -> Subject:
        # A new environ for each call, as a server makes it: the middleware keeps its exchange there.
        return Subject(
            name,
            lambda count: [environ(b"{}") for _ in range(count)],
            lambda given: run_requests(app, given, []),
        )

    sent: list[Any] = []
    protected = ours.headers(nothing)
    protected(environ(b"{}"), lambda status, headers: sent.extend(headers))
    added = len(sent) - 2
    if added < 7 or "X-Content-Type-Options" not in dict(sent):
        raise SystemExit(f"headers: only {sent} are sent; it is not measured")
    bare, how = "bare WSGI app", "us more"
    edge = apps.at_the_edge(nothing, "headers", log=False)
    return [
        Comparison("headers", f"{added} headers", subject("ours", protected), subject(bare, nothing), 1.0, how),
        Comparison("headers", "the whole middleware", subject("ours", edge), subject(bare, nothing), None, how),
    ]


def redaction(ours: apps.Ours) -> list[Comparison]:
    """Mixed log lines, one in eight with something secret."""
    lines = material.log_lines()
    redact = ours.redact()
    for call in (redact, peers.redact):
        for line, (_, secret) in zip(lines[::8], itertools.cycle(material.PLANTED), strict=False):
            if secret in call(line):
                raise SystemExit(f"redaction: {secret!r} is left in {call(line)!r}; it is not measured")
    if not any(redact(line) == line for line in lines):
        raise SystemExit("redaction: every line is changed; it is not measured")
    mine, theirs = loop("ours", redact, lines), loop("loop of 20 re patterns", peers.redact, lines)
    return [Comparison("redaction", "log lines of 200 bytes", mine, theirs, 50, "times faster")]


PARTS: dict[str, tuple[Callable[[apps.Ours], list[Comparison]], tuple[str, ...]]] = {
    "tokens": (tokens, ("cryptography",)),
    "limits": (limits, ("limits",)),
    "bodies": (bodies, ("orjson", "jsonschema_rs")),
    "headers": (headers, ()),
    "redaction": (redaction, ()),
}


def main() -> int:
    parser = options(__doc__, rounds=31)
    parser.add_argument("--part", choices=PARTS, action="append", help="only these; again for more")
    arguments = parser.parse_args()
    about = versions("pyjwt", "ryjwt", "cryptography", "limits", "orjson", "jsonschema-rs")
    heading("One operation, called from Python", about)
    if sys.version_info < (3, 12):
        print("The rows against ryjwt need Python 3.12; `make bench` runs them there.\n")
    elif importlib.util.find_spec("ryjwt") is None:
        lacking("rows against ryjwt", "bench312")
    ours = apps.Ours()
    comparisons: list[Comparison] = []
    for name in arguments.part or PARTS:
        part, needed = PARTS[name]
        absent = peers.missing(*needed) if needed else []
        if absent:
            lacking(f"{name} ({', '.join(absent)})", "bench")
        else:
            comparisons += part(ours)
    measure([comparison.ours for comparison in comparisons], rounds=arguments.rounds)
    rows = [comparison.row() for comparison in comparisons]
    show(rows)
    print(f"\n{arguments.rounds} rounds; medians.")
    return conclude(arguments, about, rows)


def show(rows: list[Row]) -> None:
    """Prints the table."""
    lines: list[list[str]] = []
    for group, members in itertools.groupby(rows, key=lambda row: row.group):
        lines.append([group])
        for row in members:
            lines.append(
                [
                    f"  {row.name}",
                    row.note,
                    figure(row.micros),
                    figure(row.peer),
                    figure(row.value),
                    row.unit,
                    goal(row),
                    mark(row.met),
                ]
            )
    print(table(("", "against", "ours us", "peer us", "ours is", "", "target", ""), lines, left=2))


if __name__ == "__main__":
    sys.exit(main())
