"""Parquet: read by groups of rows in batches, written in order, in memory that does not grow with the file.

1. The schema is held against the plan before the first value is read: a column that the plan refuses ends the run
   there.
2. A piece is a batch of rows of one group, by what they take in memory. Which rows those are depends on the file and
   the size asked for alone. A row that is longer there than a record may be is refused (``long``).
3. The part is a stream of Arrow (IPC), a batch for each piece; the file is made of it at the end, in groups of rows of
   its own. Nothing of the input's file is in it: statistics, indexes, Bloom filters, dictionaries and notes (those of
   pandas and of Spark too) are of the result, or are not there.
4. A piece is known by the bytes of its group in the file, and by the file's footer.

It does not read encrypted files. A group of rows is read page by page, so a file with one large group needs no more
memory than one with many; a single page that is large does, and a single row of many small values that are long.

Sources: Apache Parquet's and Arrow's format specifications.
"""

from __future__ import annotations

import functools
import hashlib
import io
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any, BinaryIO, NamedTuple

from ..._native import AnonymizeRefused
from ...errors import ConfigError
from ..arrow import Treatment
from ..arrow.counting import Counts as Found
from ..arrow.measuring import Measuring
from ..arrow.outline import members_of
from ..measuring import Privacy
from ..plan import Plan
from . import Counts, Measured, Options, Piece, Refusal, Tally, Treated

try:
    import pyarrow as pa
    import pyarrow.parquet as pq
except ImportError:
    raise ConfigError("Parquet needs pyarrow: pip install 'flask-rampart[anonymize]'") from None

from .steps import longest_of, size_of, smaller, step_of


class Batch(NamedTuple):
    """What a piece is of."""

    rows: pa.RecordBatch
    digest: bytes
    too_long: bool = False
    """Whether it is one row that is longer than allowed."""


def open_reader(source: BinaryIO, plan: Plan, options: Options) -> Parquet:
    return Parquet(source, plan, options)


class Parquet:
    """An input of Parquet."""

    first_line: int | None = None

    def __init__(self, source: BinaryIO, plan: Plan, options: Options) -> None:
        self.source = source
        self._plan, self._options = plan, options
        self._file = _opened(source)
        self._schema = self._file.schema_arrow
        self._treatment, self._made = _planned(plan, self._schema)
        self._stream = pa.ipc.IpcWriteOptions(compression="lz4" if pa.Codec.is_available("lz4") else None)
        self._head = _schema_message(self._made, self._stream)
        self._before, self._after = _Side(plan, options), _Side(plan, options)
        self._footer = _footer_digest(source)
        self.columns: tuple[str, ...] | None = tuple(self._schema.names)
        meta = self._file.metadata
        self.total: int | None = sum(_bytes(meta.row_group(group)) for group in range(meta.num_row_groups))

    def head(self) -> bytes:
        return self._head

    def pieces(self, start: int) -> Iterator[Piece]:
        before, meta = 0, self._file.metadata
        for group in range(meta.num_row_groups):
            about = meta.row_group(group)
            if before + about.num_rows > start:
                digest, size, at = self._group_digest(about), _bytes(about), 0
                longest_in = functools.partial(self._longest_in, group)
                step = step_of(about, self._options.piece, longest_in)
                for batch, too_long in self._cut(self._batches(group, step)):
                    after = at + batch.num_rows
                    if after > about.num_rows:
                        raise ConfigError(f"group {group} of the file has more rows than its footer says")
                    if before + at >= start:
                        own = hashlib.sha256(digest + at.to_bytes(8, "big") + after.to_bytes(8, "big")).digest()
                        share = size * after // about.num_rows - size * at // about.num_rows
                        yield Piece(Batch(batch, own, too_long), before + after, share)
                    at = after
            before += about.num_rows

    def _cut(self, batches: Iterator[pa.RecordBatch]) -> Iterator[tuple[pa.RecordBatch, bool]]:
        """The same rows in batches of about a piece, by what they take in memory; and which is one row too long."""
        most = self._options.piece
        held, size, rows = list[pa.RecordBatch](), 0, 0
        for batch in (small for step in batches for small in smaller(step, most)):
            more = size_of(batch)
            too_long = batch.num_rows == 1 and more > self._options.longest
            if held and (too_long or size + more > most or rows >= _PIECE_ROWS):
                yield _whole(held), False
                held, size, rows = [], 0, 0
            if too_long:
                yield batch, True
            else:
                held.append(batch)
                size += more
                rows += batch.num_rows
        if held:
            yield _whole(held), False

    def treat(self, piece: Piece) -> Treated:
        rows, digest, too_long = piece.data
        if too_long:
            refused = Tally(read=1, refused={"long": 1})
            return Treated(b"", digest, refused, (Refusal(0, "long", ""),))
        tally, refusals = Tally(read=rows.num_rows), list[Refusal]()
        found: Found = {}
        if self._options.skip:
            made = list(self._passed_on(rows, 0, found, refusals))
        else:
            made = self._all_or_first(rows, found, refusals)
        for refusal in refusals:
            _refused(tally, refusal, self._rule_of(refusal.column))
        tally.written = sum(batch.num_rows for batch in made)
        for path, count in found.items():
            own = tally.columns.setdefault(path, Counts(count.rule))
            for name in ("values", "nulls", "kept", "changed", "dropped", "suppressed"):
                setattr(own, name, getattr(count, name))
            own.found.update(count.found)
        self._before.add([rows])
        self._after.add(made)
        data = b"" if refusals and not self._options.skip else self._messages(made)
        return Treated(data, digest, tally, tuple(refusals[:_TOLD]))

    def recount(self, piece: Piece) -> bytes:
        if not piece.data.too_long:
            self._before.add([piece.data.rows])
        digest: bytes = piece.data.digest
        return digest

    def recount_part(self, part: BinaryIO, length: int) -> None:
        for batch in _stream_of(_Upto(part, length)):
            self._after.add([batch])

    @property
    def finish(self) -> Callable[[BinaryIO, BinaryIO], None]:
        return self._finish

    def measured(self) -> Measured | None:
        if not self._plan.quasi_identifiers:
            return None
        return Measured(self._before.privacy(), self._after.privacy(self._before.had()))

    def _finish(self, part: BinaryIO, out: BinaryIO) -> None:
        part.seek(0)
        compression = _compression(self._file.metadata)
        with pq.ParquetWriter(_Open(out), self._made, compression=compression) as writer:
            held, size, rows = list[pa.RecordBatch](), 0, 0
            for batch in _stream_of(part):
                held.append(batch)
                size += batch.nbytes
                rows += batch.num_rows
                if size >= _GROUP_BYTES or rows >= _GROUP_ROWS:
                    writer.write_table(pa.Table.from_batches(held, self._made))
                    held, size, rows = [], 0, 0
            if held:
                writer.write_table(pa.Table.from_batches(held, self._made))

    def _batches(self, group: int, rows: int) -> Iterator[pa.RecordBatch]:
        failed = False
        batches = self._file.iter_batches(rows, [group], use_threads=False)
        while not failed:
            try:
                batch = next(batches)
            except StopIteration:
                return
            except (pa.ArrowException, OSError, ValueError):
                failed = True
            else:
                yield batch
        raise ConfigError(f"group {group} of the file cannot be read as Parquet")

    def _longest_in(self, group: int, path: str) -> int | None:
        """Bytes of the longest value in the dictionary of a column, if it is read as one."""
        try:
            file = pq.ParquetFile(
                _Open(self.source),
                metadata=self._file.metadata,
                read_dictionary=[path],
                pre_buffer=False,
                buffer_size=1 << 20,
            )
            (column,) = next(file.iter_batches(1, [group], [path], use_threads=False)).columns
        except (StopIteration, pa.ArrowException, OSError, ValueError):
            return None
        return longest_of(column)

    def _all_or_first(self, rows: pa.RecordBatch, found: Found, refusals: list[Refusal]) -> list[pa.RecordBatch]:
        """The batch, if nothing of it is refused; else the first row that is, found by halves."""
        code = _refusal(lambda: self._treatment.apply(rows, found))
        if isinstance(code, pa.RecordBatch):
            return [code]
        good, bad = 0, rows.num_rows
        while bad - good > 1:
            middle = (good + bad) // 2
            of = rows.slice(good, middle - good)
            made = _refusal(lambda of=of: self._treatment.apply(of))  # type: ignore[misc]
            if isinstance(made, pa.RecordBatch):
                good = middle
            else:
                bad, code = middle, made
        refusals.append(Refusal(good, *code))
        return []

    def _passed_on(
        self, rows: pa.RecordBatch, at: int, found: Found, refusals: list[Refusal]
    ) -> Iterator[pa.RecordBatch]:
        """The rows that are not refused."""
        made = _refusal(lambda: self._treatment.apply(rows, found))
        if isinstance(made, pa.RecordBatch):
            yield made
        elif rows.num_rows == 1:
            refusals.append(Refusal(at, *made))
        else:
            middle = rows.num_rows // 2
            yield from self._passed_on(rows.slice(0, middle), at, found, refusals)
            yield from self._passed_on(rows.slice(middle), at + middle, found, refusals)

    def _messages(self, batches: list[pa.RecordBatch]) -> bytes:
        """One batch, as it is in a stream behind its schema."""
        if not batches:
            return b""
        whole = _whole(batches)
        out = io.BytesIO()
        with pa.ipc.new_stream(out, self._made, options=self._stream) as stream:
            stream.write_batch(whole)
        return out.getvalue()[len(self._head) : -len(_END)]

    def _group_digest(self, group: Any) -> bytes:
        digest = hashlib.sha256(self._footer)
        for column in range(group.num_columns):
            about = group.column(column)
            starts = [about.data_page_offset, about.dictionary_page_offset or about.data_page_offset]
            self.source.seek(min(starts))
            left = about.total_compressed_size
            while left > 0 and (data := self.source.read(min(left, 1 << 20))):
                digest.update(data)
                left -= len(data)
        return digest.digest()

    def _rule_of(self, path: str) -> str:
        default = f"default: {self._treatment.default}"
        return next((word for of, word, *_ in self._plan.met() if of == path), default)


class _Side:
    """What is measured of input or result; or why it is not."""

    def __init__(self, plan: Plan, options: Options) -> None:
        self._lock, self._why = threading.Lock(), ""
        quasi, sensitive = ({path: members_of(path) for path in of} for of in (plan.quasi_identifiers, plan.sensitive))
        self._counted = Measuring(quasi, sensitive, os.urandom(16), options.max_entries) if quasi else None

    def add(self, batches: Iterable[pa.RecordBatch]) -> None:
        with self._lock:
            if self._counted is None or self._why:
                return
            try:
                for batch in batches:
                    self._counted.add(batch)
            except AnonymizeRefused as refused:
                code, column = refused.args
                self._why = f"{column + ': ' if column else ''}a value that cannot be told from others ({code})"
            except (OverflowError, ConfigError) as error:
                self._why = str(error)

    def had(self) -> set[str]:
        """Paths that rows had, also where the measure was given up."""
        with self._lock:
            return set() if self._counted is None else self._counted.had()

    def privacy(self, earlier: Iterable[str] = ()) -> Privacy | str:
        """:param earlier: paths that rows had before: where none has one any more, the plan dropped it."""
        with self._lock:
            if self._why or self._counted is None:
                return self._why
            try:
                return self._counted.privacy(sorted(earlier))
            except (OverflowError, ConfigError) as error:
                return str(error)


class _Open(io.RawIOBase):
    """A file that whoever is given this does not close."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        return self._file.read(size)

    def write(self, data: Any) -> int:
        return self._file.write(data)

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()


class _Upto(_Open):
    """The first bytes of a file."""

    def __init__(self, file: BinaryIO, length: int) -> None:
        super().__init__(file)
        file.seek(0)
        self._left = length

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(self._left if size < 0 else min(size, self._left))
        self._left -= len(data)
        return data


def _opened(source: BinaryIO) -> pq.ParquetFile:
    file = None
    try:
        # Page by page: without this, Arrow holds the bytes of a whole group.
        file = pq.ParquetFile(_Open(source), pre_buffer=False, buffer_size=1 << 20, page_checksum_verification=True)
    except (pa.ArrowException, OSError, ValueError):
        pass
    if file is None:
        raise ConfigError(
            "the input is no file of Parquet, or one that cannot be read: encrypted, cut short, or broken"
        )
    return file


def _planned(plan: Plan, schema: pa.Schema) -> tuple[Treatment, pa.Schema]:
    """The plan for a file, and the schema of what is written.

    :raises ConfigError: for a column that the plan refuses or that Parquet does not hold.
    """
    if any(word == "custom" for _, word, *_ in plan.met()):
        raise ConfigError(
            'a function for the rule "custom" does not say of which type a column becomes: for Parquet, '
            "flask_rampart.anonymize.arrow.Treatment takes types="
        )
    treatment = Treatment(plan)
    refused = None
    try:
        made = treatment.output_schema(schema)
    except AnonymizeRefused as error:
        refused = error.args
    if refused is not None:
        code, column = refused
        why = "no rule of the plan names this column, or two have this name" if code == "column" else code
        raise ConfigError(f"{column}: {why}")
    if not made.names:
        # Rows of no columns could not even be counted.
        raise ConfigError("nothing is left of this table: the plan drops each column")
    kept = True
    try:
        pq.write_table(made.empty_table(), io.BytesIO())
    except pa.ArrowException:
        kept = False
    if not kept:
        raise ConfigError("a column that the plan keeps has a type that Parquet is not written with")
    return treatment, made


def _schema_message(schema: pa.Schema, options: Any) -> bytes:
    out = io.BytesIO()
    with pa.ipc.new_stream(out, schema, options=options):
        pass
    return out.getvalue()[: -len(_END)]


def _stream_of(part: Any) -> Iterator[pa.RecordBatch]:
    with pa.ipc.open_stream(part if isinstance(part, _Open) else _Open(part)) as stream:
        yield from stream


def _refusal(call: Callable[[], pa.RecordBatch]) -> Any:
    """What a call returns, or code and column of what it refused."""
    try:
        return call()
    except AnonymizeRefused as refused:
        return refused.args


def _refused(tally: Tally, refusal: Refusal, rule: str) -> None:
    tally.refused[refusal.code] = tally.refused.get(refusal.code, 0) + 1
    if refusal.column:
        codes = tally.columns.setdefault(refusal.column, Counts(rule)).refused
        codes[refusal.code] = codes.get(refusal.code, 0) + 1


def _whole(batches: list[pa.RecordBatch]) -> pa.RecordBatch:
    if len(batches) == 1:
        return batches[0]
    return pa.Table.from_batches(batches).combine_chunks().to_batches()[0]


def _bytes(group: Any) -> int:
    return sum(group.column(column).total_compressed_size for column in range(group.num_columns))


def _compression(meta: Any) -> str:
    """That of the input, if this Arrow writes it."""
    if not meta.num_row_groups or not meta.num_columns:
        return "snappy"
    name = str(meta.row_group(0).column(0).compression).lower()
    name = "none" if name == "uncompressed" else name
    return name if name == "none" or pa.Codec.is_available(name) else "snappy"


def _footer_digest(source: BinaryIO) -> bytes:
    """Of the footer, which says what all other bytes are; the file's last eight say how long it is."""
    end = source.seek(-8, os.SEEK_END)
    length = int.from_bytes(source.read(4), "little")
    source.seek(max(end - length, 0))
    return hashlib.sha256(source.read(min(length, end))).digest()


_END = b"\xff\xff\xff\xff\0\0\0\0"
"""The end of a stream of Arrow."""

_GROUP_BYTES = 32 << 20
_GROUP_ROWS = 1 << 17
_PIECE_ROWS = 1 << 16
_TOLD = 100
