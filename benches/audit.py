"""The audit log: what a record costs a request, how fast a log is verified, and whether any change of it goes unseen.

Run ``python benches/audit.py``; ``--tamperings 0`` leaves the last part out. How times are measured stands in
``common.py``: they are the processor's, the kernel's part of a write included. Files are in the
folder for temporary ones.
"""

from __future__ import annotations

import random
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from common import (
    Row,
    Subject,
    conclude,
    environ,
    figure,
    goal,
    heading,
    loop,
    mark,
    measure,
    options,
    run_requests,
    table,
    versions,
)
from flask import Flask

from flask_rampart import Rampart, audit, public
from flask_rampart._native import AuditLog, Clock, Redactor, audit_generate_key, audit_verify
from flask_rampart.audit import Audit

APPEND_TARGET = 2.0
REQUEST_TARGET = 8.0
VERIFY_TARGET = 1_000_000
KEY = audit_generate_key("bench/audit")
FIELDS = {"method": "POST", "target": "/models/big"}
PLAIN = {
    "request_id": "f" * 32,
    "address": "192.0.2.7",
    "principal": "ada",
    "token_id": "0d3c8b8b841d41ef85de0675015ea614",
    "route": "/models/<name>",
    "decision": "allowed",
}


def opened(folder: Path, max_file: int = 64 << 20) -> AuditLog:
    return AuditLog(
        str(folder), KEY, Redactor(), Clock.system(), host="h", max_file=max_file, sync=1.0, checkpoint=60.0
    )


def app_of(folder: Path, where: str) -> Flask:
    app = Flask("bench", instance_path=str(folder))
    app.config.update(RAMPART_ACCESS_LOG="off", RAMPART_AUDIT_LOG=where, RAMPART_HTTPS="off")
    app.config["RAMPART_TRUSTED_HOSTS"] = ["api.example.com"]
    Rampart(app)
    app.post("/orders")(public(audit("order.make")(lambda: "x")))
    return app


def requests_of(name: str, app: Flask, statuses: list[str]) -> Subject:
    return Subject(
        name,
        prepare=lambda count: [environ(b"") for _ in range(count)],
        run=lambda given: run_requests(app.wsgi_app, given, statuses),
        finish=lambda given: None,
    )


def verified(folder: Path, records: int) -> float:
    """Records verified in a second of the processor, by the private key."""
    log = opened(folder)
    for _ in range(records):
        log.append("order.make", FIELDS, PLAIN, now=False)
    log.close()
    rates = []
    for _ in range(5):
        begun = time.process_time()
        told = audit_verify(str(folder), KEY)
        rates.append(told["records"] / (time.process_time() - begun))
        assert not told["faults"]
    return statistics.median(rates)


# Every kind of change that a file can have. Each gives another text, or the same where nothing could be changed.


def flip(text: bytes, dice: random.Random, other: bytes) -> bytes:
    at = dice.randrange(len(text))
    return text[:at] + bytes([text[at] ^ (1 << dice.randrange(8))]) + text[at + 1 :]


def digit(text: bytes, dice: random.Random, other: bytes) -> bytes:
    places = [at for at, byte in enumerate(text) if 48 <= byte <= 57]
    at = dice.choice(places)
    return text[:at] + bytes([48 + (text[at] - 47) % 10]) + text[at + 1 :]


def remove_lines(text: bytes, dice: random.Random, other: bytes) -> bytes:
    lines = text.splitlines(keepends=True)
    at = dice.randrange(len(lines))
    return b"".join(lines[:at] + lines[at + dice.randint(1, 3) :])


def repeat_line(text: bytes, dice: random.Random, other: bytes) -> bytes:
    lines = text.splitlines(keepends=True)
    lines.insert(dice.randrange(len(lines) + 1), dice.choice(lines))
    return b"".join(lines)


def swap_lines(text: bytes, dice: random.Random, other: bytes) -> bytes:
    lines = text.splitlines(keepends=True)
    i, j = dice.randrange(len(lines)), dice.randrange(len(lines))
    lines[i], lines[j] = lines[j], lines[i]
    return b"".join(lines)


def foreign_line(text: bytes, dice: random.Random, other: bytes) -> bytes:
    lines, others = text.splitlines(keepends=True), other.splitlines(keepends=True)
    lines[dice.randrange(len(lines))] = dice.choice(others)
    return b"".join(lines)


def insert_line(text: bytes, dice: random.Random, other: bytes) -> bytes:
    lines = text.splitlines(keepends=True)
    at = dice.randrange(len(lines) + 1)
    forged = dice.choice(lines).replace(b'"ada"', b'"eve"')
    return b"".join([*lines[:at], forged, *lines[at:]])


def cut_bytes(text: bytes, dice: random.Random, other: bytes) -> bytes:
    return text[: dice.randrange(len(text))]


def cut_lines(text: bytes, dice: random.Random, other: bytes) -> bytes:
    lines = text.splitlines(keepends=True)
    return b"".join(lines[: dice.randrange(len(lines))])


def append_line(text: bytes, dice: random.Random, other: bytes) -> bytes:
    # A line without its end says nothing: in the book of heads, any killed process leaves one.
    return text + (dice.choice(other.splitlines(keepends=True)) if dice.random() < 0.5 else dice.randbytes(5) + b"\n")


def replace_file(text: bytes, dice: random.Random, other: bytes) -> bytes:
    return other


CHANGES: tuple[Callable[[bytes, random.Random, bytes], bytes], ...] = (
    flip,
    digit,
    remove_lines,
    repeat_line,
    swap_lines,
    foreign_line,
    insert_line,
    cut_bytes,
    cut_lines,
    append_line,
    replace_file,
)


def tamper(folder: Path, count: int, seed: int) -> tuple[Counter[str], Counter[str]]:
    """How many changes of each kind were made to a log of three writers, and how many of them were not found."""
    for _ in range(3):
        log = opened(folder)
        for i in range(6):
            log.append("order.make", FIELDS, {**PLAIN, "i": i})
            if i == 3:
                log.checkpoint()
        log.close()
    assert not audit_verify(str(folder), KEY)["faults"]
    files = {path: path.read_bytes() for path in sorted(folder.iterdir())}
    # Without its last line alone, the book is as a process leaves it that was killed at its very end: no fault until
    # another begins, and nothing of any record is gone. docs/audit.md has it among what is not seen.
    book = folder / "heads.jsonl"
    *before_last, _ = files[book].splitlines(keepends=True)
    unended = b"".join(before_last)
    dice = random.Random(seed)
    made: Counter[str] = Counter()
    unseen: Counter[str] = Counter()
    while made.total() < count:
        path, text = dice.choice(list(files.items()))
        other = dice.choice([one for one in files.values() if one is not text])
        if dice.random() < 0.02:
            kind = "remove_file"
            path.unlink()
        else:
            change = dice.choice(CHANGES)
            kind, changed = change.__name__, change(text, dice, other)
            if changed == text or (path == book and changed[: changed.rfind(b"\n") + 1] == unended):
                continue
            path.write_bytes(changed)
        made[kind] += 1
        if not audit_verify(str(folder), KEY)["faults"]:
            unseen[kind] += 1
            print(f"  NOT FOUND: {kind} of {path.name}", flush=True)
        path.write_bytes(text)
    return made, unseen


def main() -> int:
    arguments = options(__doc__, rounds=41, records=300_000, tamperings=100_000, seed=8).parse_args()
    about = versions("flask", "flask-rampart")
    heading("The audit log", about)
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        log = opened(folder / "append")
        now = loop("now", lambda _: log.append("order.make", FIELDS, PLAIN), [None])
        soon = loop("soon", lambda _: log.append("order.make", FIELDS, PLAIN, now=False), [None])
        statuses: list[str] = []
        app = app_of(folder, "audit")
        plain = requests_of("off", app_of(folder, "off"), statuses)
        audited = requests_of("on", app, statuses)
        audited.against = plain
        measure([now, soon, plain, audited], rounds=arguments.rounds, span=0.03)
        assert set(statuses) <= {"200 OK"}, set(statuses)
        for name, subject in (("a record that is written at once", now), ("a record that may wait", soon)):
            value = statistics.median(subject.rounds) / 1000
            rows.append(Row("record", name, value, "us", APPEND_TARGET))
        app.extensions["rampart"].services[Audit].close()
        added = statistics.median(a - b for a, b in zip(audited.rounds, audited.beside, strict=True)) / 1000
        off = statistics.median(plain.rounds) / 1000
        rows.append(Row("request", "a guarded request without the log", off, "us"))
        rows.append(Row("request", "what @audit adds: its decision and its end", added, "us", REQUEST_TARGET))
        rate = verified(folder / "verify", arguments.records)
        rows.append(Row("verify", "records a second, one core", rate, "/s", VERIFY_TARGET, at_least=True))
        shown = [[row.name, figure(row.value), row.unit, goal(row), mark(row.met)] for row in rows]
        print(table(["", "median", "", "target", ""], shown))
        if arguments.tamperings:
            made, unseen = tamper(folder / "tamper", arguments.tamperings, arguments.seed)
            kinds = [[kind, f"{made[kind]:,}", f"{made[kind] - unseen[kind]:,}"] for kind in sorted(made)]
            total = [["all", f"{made.total():,}", f"{made.total() - unseen.total():,}"]]
            print("\n" + table(["change", "made", "found"], [*kinds, *total]))
            rows.append(Row("tampering", "not found", float(unseen.total()), "", 0.0))
    return conclude(arguments, about, rows)


if __name__ == "__main__":
    sys.exit(main())
