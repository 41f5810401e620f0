"""Every kind of change that a file of the audit log can have, made at random: ``audit.py`` makes 100,000, a test some.

Each change gives another text, or the same where nothing could be changed.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from flask_rampart._native import audit_verify


def tamper(folder: Path, key: str, count: int, seed: int) -> tuple[Counter[str], list[tuple[str, str]]]:
    """How many changes of each kind were made to the log in *folder*; those that were not found, each with its file."""
    assert not audit_verify(str(folder), key)["faults"]
    files = {path: path.read_bytes() for path in sorted(folder.iterdir())}
    # Without its last line alone, the book is as a process leaves it that was killed at its very end: no fault until
    # another begins, and nothing of any record is gone. docs/audit.md has it among what is not seen.
    book = folder / "heads.jsonl"
    *before_last, _ = files[book].splitlines(keepends=True)
    unended = b"".join(before_last)
    dice = random.Random(seed)
    made: Counter[str] = Counter()
    unseen: list[tuple[str, str]] = []
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
            _put(path, changed)
        made[kind] += 1
        if not audit_verify(str(folder), key)["faults"]:
            unseen.append((kind, path.name))
        _put(path, text)
    return made, unseen


def _put(path: Path, text: bytes) -> None:
    # As a new file: what is emptied and written again, some file systems write to the disk at once.
    path.unlink(missing_ok=True)
    path.write_bytes(text)


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
