"""A file in, the same file out as a plan says: by all cores, in bounded memory, and in one piece.

In order:
1. The plan is read, and the output locked (``part.py``). A run that goes on reads again what is done, and holds it to
   what was remembered: of both input and part.
2. Threads treat pieces, which the format cuts; at most two for each thread are held. What comes out is written in the
   order of the input, so the result does not depend on how many threads there are or how the run was cut.
3. From time to time how far it is is remembered.
4. At the end the input must be the file that it was. The report is written, then the output gets its name.

A refused record ends the run with the first, unless refused records are skipped; then nothing of the output stays.

What it does not do: it does not tell two inputs apart that agree in length, time stamp and all that was read, and
differ in what was not.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import stat
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, TypeVar

from ...errors import ConfigError
from ..formats import Counts, Measured, Options, Piece, Reader, Refusal, Tally, Treated
from ..keyed import Key, Sealer, read_key
from ..plan import Plan
from . import report as reports
from .errors import FileRefused, InputChanged, ResumeRefused
from .known import format_of, opener
from .part import ANEW, Part, beside, meanwhile, unused, write_whole

_LABEL = b"flask-rampart anonymize: is it the same key, v1"
_MAX_PLAN = 1 << 20
_MAX_TOLD = 20

T = TypeVar("T")


class Progress(NamedTuple):
    """How far a run is."""

    phase: str
    """``"check"`` while what an earlier run did is read again, then ``"treat"``."""

    done: int
    """Bytes of the input."""

    total: int | None
    """Bytes of the whole input; None if nobody knows."""

    read: int
    """Records so far."""

    refused: int
    """Of these, refused."""


@dataclass
class Outcome:
    """What a run did."""

    tally: Tally
    measured: Measured | None
    refusals: list[tuple[str, str, str]]
    """The first refused records: where, code, column."""

    unmet: tuple[str, ...]
    """Paths of rules that met no value; perhaps they are mistyped."""

    already: bool = False
    """The output was complete: an earlier run was killed after it had its name. Nothing is in the tally then."""

    resumed_at: int = 0
    """Bytes of the input that an earlier run had treated."""


@dataclass
class Job:
    """What is to be treated, and how.

    :param source: a path, or ``"-"`` for the standard input.
    :param target: a path, or ``"-"`` for the standard output, or None if nothing is to be written.
    :param plan: the plan's text, in TOML.
    :param plan_file: where that is from, if it is from a file, which nothing is written over.
    :param sealer: what tokens are sealed by, as for a plan. It is in no ``repr``, as the key is.
    :param kept: further files that nothing is written over.
    :param format: ``"jsonl"``, ``"csv"``, ``"parquet"``, or None for that of the names.
    :param jobs: threads; as many as there are cores if None.
    :param report: where the reports go, without ``.json`` and ``.html``; None for none.
    :param checkpoint: bytes of the input after which it is remembered how far this is.
    :param records: the first so many alone, of an output that is not written.
    """

    source: str
    target: str | None
    plan: str
    key: Key | None = field(default=None, repr=False)
    key_file: str | Path | None = None
    redact: tuple[str, ...] = ()
    format: str | None = None
    options: Options = field(default_factory=Options)
    jobs: int | None = None
    resume: bool = False
    force: bool = False
    report: str | None = None
    checkpoint: int = 64 << 20
    progress: Callable[[Progress], None] = lambda progress: None
    streams: tuple[BinaryIO, BinaryIO] | None = None
    """What stands for the standard input and output."""
    plan_file: str | Path | None = None
    sealer: Sealer | None = field(default=None, repr=False)
    kept: tuple[str | Path, ...] = ()

    def run(self) -> Outcome:
        """Treats the file.

        :raises ConfigError: for a plan, an option or a format that cannot be.
        :raises FileRefused: for a refused record.
        :raises InputChanged: if the input is not what it was.
        :raises ResumeRefused, OutputBusy, FileExistsError: for what is there already.
        :raises OSError: if a file cannot be read or written.
        """
        if self.resume and "-" in (self.source, self.target):
            raise ConfigError("--resume: a pipe cannot be read or written again; name files")
        key = read_key(self.key, self.key_file)
        plan = self.plan_by(key)
        name = self.format or format_of(self.source, self.target)
        with ExitStack() as stack:
            source = _opened(self.source, self.streams)
            if self.source != "-":
                stack.enter_context(source)
            found = Found.of(self.source, source)
            reader = opener(name, "-" in (self.source, self.target))(source, plan, self.options)
            run = _Run(self, plan, reader, found, name)
            if self.target is None:
                return run.into(None)
            if self.target == "-":
                return run.into(self.streams[1] if self.streams else open(1, "wb", buffering=0, closefd=False))
            identity = self._identity(key, plan, found, name)
            return self._into_file(Path(self.target), run, identity, found)

    def plan_by(self, key: bytes | None = None) -> Plan:
        """The plan; without *key*, with the one of this job."""
        key = read_key(self.key, self.key_file) if key is None else key
        return Plan.parse(self.plan, key=key, redact=self.redact, sealer=self.sealer)

    def __getstate__(self) -> dict[str, Any]:
        if self.key is not None or self.sealer is not None:
            raise TypeError("a Job with a key is never pickled or copied: give it key_file=, or make it where it runs")
        return dict(self.__dict__)

    def _apart(self, target: Path, found: Found) -> None:
        """:raises ConfigError: if what is written is a file that is read, or two of them are one."""
        kept = [("the plan", self.plan_file), ("the key", self.key_file), *(("a key", of) for of in self.kept)]
        read = [(name, os.stat(path)) for name, path in kept if path is not None and os.path.exists(path)]
        if found.stat is not None:
            read.append(("the input", found.stat))
        names = [] if self.report is None else [Path(self.report + suffix) for suffix in reports.SUFFIXES]
        own = {_resolved(target), *map(_resolved, beside(target))}
        for what, path in (("the output", target), *(("a report", path) for path in names)):
            for name, stat_of in [*read, *_there("the output", target)]:
                if name != what and path.exists() and os.path.samestat(stat_of, os.stat(path)):
                    raise ConfigError(f"{what} is {name}: it would be written over. Give another name")
            if what == "a report" and _resolved(path) in own:
                raise ConfigError("a report is the output, or what is made of it meanwhile: give another --report")
        for path in meanwhile(target, names):
            for name, stat_of in read:
                if path.exists() and os.path.samestat(stat_of, os.stat(path)):
                    raise ConfigError(f"{name} is {path.name}, which is written meanwhile: give it another name")

    def _identity(self, key: bytes | None, plan: Plan, found: Found, name: str) -> dict[str, Any]:
        """What must be the same for a run to go on with what an earlier one did."""
        return {
            "the input": [found.size, found.stat.st_mtime_ns] if found.stat is not None else None,
            "the plan": hashlib.sha256(self.plan.encode()).hexdigest(),
            "the key": hmac.new(key or b"", _LABEL, hashlib.sha256).hexdigest(),
            # After a rotation, equal values would have two tokens in one file.
            "the keyset (the key of it that seals)": [list(sealed) for sealed in plan._native.sealed_by()],
            "an option": [name, list(self.redact), _plain(self.options)],
            "the version": _version(),
        }

    def _into_file(self, target: Path, run: _Run, identity: dict[str, Any], found: Found) -> Outcome:
        self._apart(target, found)
        part = Part(target, identity, resume=self.resume, force=self.force)
        try:
            if part.complete:
                part.tidy()
                return Outcome(Tally(), None, [], (), already=True)
            self._reports_unused(part)
            outcome = run.into_part(part)
            if self.report is not None:
                made = reports.made(run.facts(outcome, self.source, target.name))
                # What came meanwhile stays as well.
                self._reports_unused(part)
                part.report(_name(self.report))
                for suffix, data in made.items():
                    write_whole(Path(self.report + suffix), data)
            run.commit(part)
            return outcome
        except (FileRefused, InputChanged):
            part.discard()
            raise
        finally:
            part.close()

    def _reports_unused(self, part: Part) -> None:
        """Reports of a run that is gone on with are written again; no others are replaced, but by force.

        :raises FileExistsError: for what is there.
        """
        if self.report is None or self.force or part.reported == _name(self.report):
            return
        for suffix in reports.SUFFIXES:
            unused(Path(self.report + suffix))


class Found(NamedTuple):
    """An input as it was found."""

    path: str | None
    stat: os.stat_result | None
    size: int | None

    @classmethod
    def of(cls, path: str, source: BinaryIO) -> Found:
        try:
            there = os.fstat(source.fileno())
        except OSError:
            return cls(None, None, None)
        if not stat.S_ISREG(there.st_mode):
            return cls(None, None, None)
        return cls(None if path == "-" else path, there, there.st_size)

    def check(self, source: BinaryIO) -> None:
        """:raises InputChanged: if it is another file now, or was written to."""
        if self.stat is None:
            return
        now = [os.fstat(source.fileno())]
        if self.path is not None:
            try:
                now.append(os.stat(self.path))
            except FileNotFoundError:
                raise InputChanged("the input was removed while it was read; nothing was written") from None
        for other in now:
            if not os.path.samestat(self.stat, other) or any(
                getattr(self.stat, name) != getattr(other, name) for name in ("st_size", "st_mtime_ns")
            ):
                raise InputChanged("the input was changed or replaced while it was read; nothing was written")


class _Run:
    """One way through an input."""

    def __init__(self, job: Job, plan: Plan, reader: Reader, found: Found, name: str) -> None:
        self._job, self._plan, self._reader, self._found, self._name = job, plan, reader, found, name
        self._threads = job.jobs or _cores()
        self._tally = Tally()
        self._refusals: list[tuple[str, str, str]] = []
        self._done = 0
        self._position = 0
        self._chain = b""
        self._written = hashlib.sha256()
        self._length = 0
        self._made: BinaryIO | None = None

    def into(self, out: BinaryIO | None) -> Outcome:
        """Into a stream, or into nothing."""
        self._write(out, self._reader.head())
        self._treat(out, lambda: None)
        return self._outcome()

    def into_part(self, part: Part) -> Outcome:
        resumed = 0
        if part.state is not None:
            self._go_on(part, part.state)
            resumed = self._done
        else:
            self._write(part.file, self._reader.head())
        since = self._done

        def remember() -> None:
            nonlocal since
            if self._done - since >= self._job.checkpoint:
                part.checkpoint(self._state())
                since = self._done

        self._treat(part.file, remember)
        part.checkpoint(self._state())
        outcome = self._outcome()
        outcome.resumed_at = resumed
        return outcome

    def commit(self, part: Part) -> None:
        """Gives the part its name, made into a file of its format where it is none yet."""
        if self._reader.finish is None:
            part.commit()
            return
        with part.make() as made:
            part.file.seek(0)
            self._reader.finish(part.file, made)
            part.commit(made)

    def facts(self, outcome: Outcome, source: str, target: str) -> reports.Facts:
        name = "(standard input)" if source == "-" else Path(source).name
        plan = hashlib.sha256(self._job.plan.encode()).hexdigest()
        written = self._written.hexdigest() if self._reader.finish is None else None
        return reports.Facts(name, target, self._name, plan, written, outcome, self._plan.quasi_identifiers)

    def _treat(self, out: BinaryIO | None, between: Callable[[], None]) -> None:
        pieces = self._reader.pieces(self._position)
        for piece, treated in self._in_order(pieces, self._reader.treat):
            base = self._tally.lines if self._reader.first_line is not None else self._tally.read
            self._refuse(base, treated)
            self._write(out, treated.data)
            self._tally.add(treated.tally)
            self._advance(piece, treated.digest)
            self._tell("treat")
            between()

    def _refuse(self, base: int, treated: Treated) -> None:
        first, word = self._reader.first_line, "line"
        if first is None:
            first, word = 1, "record"
        for refusal in treated.refusals:
            told = (_where(refusal, first + base, word), refusal.code, refusal.column)
            if not self._job.options.skip:
                raise FileRefused(*told)
            if len(self._refusals) < _MAX_TOLD:
                self._refusals.append(told)
        if treated.fatal:
            raise FileRefused(*_last(treated.refusals, first + base, word))

    def _go_on(self, part: Part, state: dict[str, Any]) -> None:
        """Reads again what an earlier run did."""
        changed = f"what was treated of the input is not what it was: {ANEW}"
        for piece, digest in self._in_order(self._reader.pieces(0), self._reader.recount, state["position"]):
            self._advance(piece, digest)
            self._tell("check", state["done"])
        if self._position != state["position"] or self._chain.hex() != state["chain"]:
            raise ResumeRefused(changed)
        self._length = state["length"]
        part.file.seek(0)
        left = self._length
        while left and (data := part.file.read(min(left, 1 << 20))):
            self._written.update(data)
            left -= len(data)
        if self._written.hexdigest() != state["written"]:
            raise ResumeRefused(f"what was written is not what it was: {ANEW}")
        part.file.seek(0)
        self._reader.recount_part(part.file, self._length)
        part.file.seek(self._length)
        part.file.truncate(self._length)
        self._tally = _tally(state["tally"])
        self._refusals = [(where, code, column) for where, code, column in state["refusals"]]

    def _state(self) -> dict[str, Any]:
        return {
            "position": self._position,
            "done": self._done,
            "chain": self._chain.hex(),
            "length": self._length,
            "written": self._written.hexdigest(),
            "tally": asdict(self._tally),
            "refusals": self._refusals,
        }

    def _advance(self, piece: Piece, digest: bytes) -> None:
        self._position = piece.after
        self._chain = hashlib.sha256(self._chain + digest).digest()
        self._done += piece.size

    def _write(self, out: BinaryIO | None, data: bytes) -> None:
        self._length += len(data)
        if out is None:
            return
        self._written.update(data)
        rest = memoryview(data)
        while rest:
            rest = rest[out.write(rest) :]

    def _tell(self, phase: str, total: int | None = None) -> None:
        if total is None:
            total = self._found.size if self._reader.total is None else self._reader.total
        refused = sum(self._tally.refused.values())
        self._job.progress(Progress(phase, self._done, total, self._tally.read, refused))

    def _outcome(self) -> Outcome:
        if self._job.source != "-" or self._found.stat is not None:
            self._found.check(self._reader.source)
        counts = self._tally.columns
        met = (column.path for column in self._plan.met() if column.path not in counts or not _met(counts[column.path]))
        return Outcome(self._tally, self._reader.measured(), self._refusals, tuple(met))

    def _in_order(
        self, pieces: Iterator[Piece], treat: Callable[[Piece], T], until: int | None = None
    ) -> Iterator[tuple[Piece, T]]:
        """What *treat* makes of each piece, by all threads, in the order of the pieces; a bounded number is held."""
        waiting: deque[tuple[Piece, Future[T]]] = deque()
        with ThreadPoolExecutor(self._threads, thread_name_prefix="anonymize") as pool:
            try:
                for piece in pieces if until != 0 else ():
                    waiting.append((piece, pool.submit(treat, piece)))
                    if len(waiting) > 2 * self._threads:
                        yield _popped(waiting)
                    if until is not None and piece.after >= until:
                        break
                while waiting:
                    yield _popped(waiting)
            finally:
                for _, future in waiting:
                    future.cancel()


def _popped(waiting: deque[tuple[Piece, Future[T]]]) -> tuple[Piece, T]:
    piece, future = waiting.popleft()
    return piece, future.result()


def _where(refusal: Refusal, line: int, word: str) -> str:
    said = f"{word} {line + refusal.record}"
    if refusal.at is None:
        return said
    below, letter = refusal.at
    return f"{said} (text behind a closing quotation mark: line {line + below}, character {letter})"


def _last(refusals: tuple[Refusal, ...], line: int, word: str) -> tuple[str, str, str]:
    if not refusals:
        return f"{word} {line}", "quote", ""
    return _where(refusals[-1], line, word), refusals[-1].code, refusals[-1].column


def _met(counts: Counts) -> bool:
    return bool(counts.values or counts.refused)


def _tally(state: dict[str, Any]) -> Tally:
    columns = {path: Counts(**counts) for path, counts in state.pop("columns").items()}
    return Tally(**state, columns=columns)


def _plain(options: Options) -> dict[str, Any]:
    plain = asdict(options)
    plain["csv_columns"] = None if options.csv_columns is None else list(options.csv_columns)
    return plain


def _cores() -> int:
    # Of this process, which may have fewer than the machine.
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _opened(path: str, streams: tuple[BinaryIO, BinaryIO] | None) -> BinaryIO:
    if path != "-":
        return open(path, "rb", buffering=0)
    if streams is not None:
        return streams[0]
    return open(0, "rb", buffering=0, closefd=False)


def read_plan(path: str | Path) -> str:
    """The text of a plan in a file.

    :raises ConfigError: if there is no such file of UTF-8.
    """
    try:
        with open(path, encoding="utf-8") as file:
            return file.read(_MAX_PLAN + 1)
    except (OSError, UnicodeDecodeError):
        raise ConfigError(f"{str(path)!r} cannot be read as a plan in TOML") from None


def _resolved(path: Path) -> Path:
    return Path(os.path.realpath(path.parent)) / path.name


def _name(report: str) -> str:
    return str(_resolved(Path(report)))


def _there(name: str, path: Path) -> list[tuple[str, os.stat_result]]:
    return [(name, os.stat(path))] if path.exists() else []


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("flask-rampart")
    except PackageNotFoundError:
        return "unknown"
