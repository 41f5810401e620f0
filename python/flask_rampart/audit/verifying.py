"""Verifies a log, and says in a sentence what each fault means.

The verification is in Rust (``src/audit/verify``); what it finds is put into words here, and into exit codes by the
command line. It decides nothing.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

from .._native import audit_verify
from .removals import too_soon

_SEQ = re.compile(rb'\{"seq":([0-9]{1,19}),')
MEANINGS = {
    "added": "there is more than the log had when its writer ended: somebody wrote behind its end",
    "changed": "the record is not what was written: it was changed, or it was written without the key",
    "checkpoint": "the signed checkpoint is not of this key, or not of the records before it",
    "file_missing": "the file was entered in the book of writers and is gone",
    "missing": "records were removed from here",
    "no_file": "what has a file's name is none: a link, a pipe or a directory",
    "noticed": "a process noticed while it ran that somebody had changed the log, and wrote that down",
    "opening": "the file does not begin as its name says: it is empty, another file, or of another log or key",
    "other_log": "this is another log than the one that was asked for, or its book is of another than the checkpoint",
    "out_of_place": "the record belongs elsewhere, or stands here for the second time",
    "removed": "a file was entered as removed, and its time was not over",
    "rewritten": "the book of writers is, up to this line, not as the writers told: it was changed or cut back",
    "truncated": "the end was cut off: records that were signed or entered are gone",
    "unreadable": "this is no record",
    "unsigned": "the writer has closed without its last checkpoint: without the private key, anybody may be it",
}
"""What a fault of each code means."""


@dataclass(frozen=True)
class Fault:
    """Something that is wrong with a log, and where."""

    file: str
    line: int | None
    code: str
    first: int | None
    last: int | None
    #: What the line itself says that its number is, if there is a line that says one.
    seq: int | None = None

    @property
    def where(self) -> str:
        """File and line."""
        return self.file if self.line is None else f"{self.file}:{self.line}"

    @property
    def meaning(self) -> str:
        """A sentence without its full stop."""
        return MEANINGS.get(self.code, self.code)

    @property
    def records(self) -> str:
        """Which records, by number, if that is known."""
        if self.last is None:
            return "" if self.seq is None else f"record {self.seq}"
        if self.first is None:
            return f"up to record {self.last}"
        if self.code == "file_missing":
            return f"files {self.first} to {self.last}"
        return f"record {self.first}" if self.first == self.last else f"records {self.first} to {self.last}"


@dataclass(frozen=True)
class Verified:
    """What a verification found."""

    records: int
    checkpoints: int
    writers: list[dict[str, Any]]
    others: list[str]
    faults: list[Fault]
    unsigned: int
    """Records behind the last checkpoint of their writer: with the public key alone, these are only numbered."""
    anchors: int
    """Checkpoints that were kept elsewhere."""
    unchecked: int
    """Those of them that cover only what was removed after its time."""
    refused: int
    """Notes that are none, or that this key has not signed: they hold nothing."""
    log: str | None
    """Which log it is, as the origin of its checkpoints says; None if its book does not say it."""
    elsewhere: dict[str, int]
    """By log, how many of the notes are of others, and were not held against this one."""
    is_named: bool
    """Whether it was said which log it has to be."""

    @property
    def unsure(self) -> bool:
        """Whether notes are of other logs, and nobody has said which this one has to be: it may have been put, or
        begun, in the place of one of those."""
        return bool(self.elsewhere) and not self.is_named

    @property
    def unheld(self) -> bool:
        """Whether there are notes, and none of them could be held against it."""
        return 0 < self.anchors == self.unchecked + sum(self.elsewhere.values())

    def document(self) -> dict[str, Any]:
        """All of it, for JSON."""
        faults = [{**asdict(fault), "meaning": fault.meaning} for fault in self.faults]
        return {**asdict(self), "faults": faults, "sound": not (self.faults or self.refused or self.unsure)}


def verify(directory: Path, key: str, known: list[str], keep: float | None = None, log: str | None = None) -> Verified:
    """Verifies the log in *directory*.

    :param key: the private or the public key, as text.
    :param known: checkpoints that were kept elsewhere, as C2SP notes.
    :param keep: days after which files may be removed; None if none may. Where *known* are given, a removal that
        cannot have been of this is a fault.
    :param log: which log it has to be: another is a fault, and what *known* holds of others is none.
    :raises ValueError: for a key that cannot be read.
    :raises OSError: if there is no log.
    """
    told = audit_verify(str(directory), key, known, log)
    writers, refused = told["writers"], len(told["refused"])
    faults = _numbered(directory, [Fault(*fault) for fault in told["faults"]])
    if known:
        faults += [Fault(file, line, "removed", None, None) for file, line in too_soon(directory, keep)]
    return Verified(
        records=told["records"],
        checkpoints=sum(writer["checkpoints"] for writer in writers),
        writers=writers,
        others=told["others"],
        faults=faults,
        unsigned=sum(max(0, writer["records"] - writer["signed"]) for writer in writers),
        anchors=len(known) - refused,
        unchecked=told["unchecked"],
        refused=refused,
        log=told["log"],
        elsewhere=told["elsewhere"],
        is_named=log is not None,
    )


def _numbered(directory: Path, faults: list[Fault]) -> list[Fault]:
    """The faults, each with the number of the record that stands in its line."""
    wanted: dict[str, dict[int, int | None]] = {}
    for fault in faults:
        if fault.line is not None:
            wanted.setdefault(fault.file, {})[fault.line] = None
    for file, lines in wanted.items():
        try:
            with (directory / file).open("rb") as text:
                last = max(lines)
                for number, line in enumerate(islice(text, last), 1):
                    if number in lines:
                        found = _SEQ.match(line)
                        lines[number] = None if found is None else int(found[1])
        except OSError:
            continue
    return [fault if fault.line is None else replace(fault, seq=wanted[fault.file][fault.line]) for fault in faults]


# Origin, size, root, what else is signed, an empty line, signatures (C2SP tlog-checkpoint, signed-note). Few lines
# more, so that no text is gone through again from each of its lines.
_NOTE = re.compile(
    "^[^\n]{1,1024}\n[0-9]{1,20}\n[A-Za-z0-9+/]{1,64}={0,2}\n"
    "(?:[^\n]{1,4096}\n){0,16}\n(?:\u2014 [^ \n]{1,1024} [A-Za-z0-9+/]{1,8192}={0,2}\n){1,16}",
    re.M,
)


@dataclass(frozen=True)
class Notes:
    """The checkpoints of a file."""

    notes: list[str]
    strange: int
    """Lines that are neither a note's nor a record."""
    broken: int
    """Signatures without a note before them, and checkpoints of a sink that cannot be read."""


def notes_of(text: str) -> Notes:
    """The checkpoints of a file: C2SP notes, one after the other, and those in the lines of a sink, in any mixture.
    Nothing that stands in it keeps what else does from being read.

    >>> notes_of("log/w\\n1\\nroot\\n\\n\u2014 log sig\\nno note")
    Notes(notes=['log/w\\n1\\nroot\\n\\n\u2014 log sig\\n'], strange=1, broken=0)
    """
    notes: list[str] = []
    lines: list[str] = []
    broken = 0
    # Not splitlines(): a sink's lines hold characters that it takes for their ends.
    for line in text.replace("\r\n", "\n").split("\n"):
        start = line.find("{")
        if start < 0 or '"link":"' not in line:
            lines.append(line)
        elif '"event":"audit_checkpoint"' in line:
            note = _note_in(line[start:])
            notes += [note] if note else []
            broken += note is None
    rest = "\n".join(lines) + "\n"
    notes += _NOTE.findall(rest)
    left = [line for line in _NOTE.sub("", rest).split("\n") if line]
    signatures = sum(line.startswith("\u2014 ") for line in left)
    return Notes(notes, len(left) - signatures, broken + signatures)


def _note_in(line: str) -> str | None:
    """The note of a record; empty if it is of another event, None if there is none to be read."""
    try:
        record, _ = json.JSONDecoder().raw_decode(line)
        event, note = record["event"], record.get("note")
    except (ValueError, RecursionError, KeyError, TypeError):
        return None
    if event != "audit_checkpoint":
        return ""
    return note if isinstance(note, str) else None
