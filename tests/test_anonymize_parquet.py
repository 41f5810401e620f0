"""Files of Parquet, treated by a plan: the same rows as one by one, and nothing of the input's file."""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, BinaryIO

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flask_rampart import ConfigError
from flask_rampart.anonymize import Plan
from flask_rampart.anonymize.files.run import Job
from flask_rampart.anonymize.formats import Options, Piece, Reader, Refusal, Treated, steps
from flask_rampart.anonymize.formats import parquet as module
from flask_rampart.anonymize.formats.parquet import open_reader
from flask_rampart.anonymize.formats.steps import FEWEST, step_of

KEY = bytes(range(32))
PLAN: dict[str, Any] = {
    "default": "keep",
    "quasi_identifiers": ["born", "home.zip"],
    "sensitive": ["illness"],
    "columns": {
        "id": {"do": "pseudonym", "scope": "id"},
        "born": {"do": "date", "to": "decade"},
        "home.zip": {"do": "postcode", "keep": 2},
        "name": "drop",
    },
}
SMALL = Options(piece=2000)


def plan(**rest: Any) -> Plan:
    return Plan({**PLAN, **rest}, key=KEY)


def table(rows: int) -> pa.Table:
    return pa.Table.from_pylist(
        [
            {
                "id": f"patient-{number}",
                "name": f"Ann-{number}",
                "born": f"19{50 + number % 40}-05-09",
                "home": {"zip": f"10{number % 7}15", "town": "Ulm"},
                "illness": ["flu", "cold", None][number % 3],
                "tags": ["a"] * (number % 3),
            }
            for number in range(rows)
        ]
    )


def file(rows: pa.Table, **rest: Any) -> io.BytesIO:
    out = io.BytesIO()
    pq.write_table(rows, out, **{"row_group_size": 300, **rest})
    out.seek(0)
    return out


def run(reader: Reader, treated: list[Treated] | None = None) -> pq.ParquetFile:
    """Treats all, as a run does."""
    part, out = io.BytesIO(reader.head()), io.BytesIO()
    part.seek(0, io.SEEK_END)
    for made in treated if treated is not None else map(reader.treat, reader.pieces(0)):
        part.write(made.data)
    assert reader.finish is not None
    reader.finish(part, out)
    out.seek(0)
    return pq.ParquetFile(out)


def test_rows_are_treated_as_one_by_one_and_in_order() -> None:
    rows = table(1000)
    reader = open_reader(file(rows), plan(), SMALL)
    pieces = list(reader.pieces(0))
    assert len(pieces) > 10 and pieces[-1].after == 1000
    assert reader.columns == tuple(rows.schema.names) and reader.total is not None
    assert 0.9 * reader.total <= sum(piece.size for piece in pieces) <= reader.total
    with ThreadPoolExecutor(4) as threads:
        treated = list(threads.map(reader.treat, pieces))
    made = run(reader, treated)
    one = plan()
    assert made.read().to_pylist() == [one.apply(row) for row in rows.to_pylist()]
    assert made.schema_arrow == pa.schema([field for field in rows.schema if field.name != "name"])
    assert sum(each.tally.read for each in treated) == sum(each.tally.written for each in treated) == 1000
    measured = reader.measured()
    assert measured is not None and not isinstance(measured.after, str) and not isinstance(measured.before, str)
    assert measured.before.k < measured.after.k and measured.after == one.measure(made.read().to_pylist())


def test_pandas_reads_what_is_written_and_dictionaries_stay_such(tmp_path: Path) -> None:
    frame = pd.DataFrame({"id": pd.Categorical(["a", "b", None, "a"]), "illness": ["flu", None, "x", "y"]})
    frame.to_parquet(tmp_path / "in.parquet")
    with open(tmp_path / "in.parquet", "rb") as source:
        reader = open_reader(
            source, Plan({"columns": {"id": PLAN["columns"]["id"]}, "default": "keep"}, key=KEY), SMALL
        )
        made = run(reader)
    assert made.schema_arrow.field("id").type == pa.dictionary(pa.int8(), pa.string())
    pq.write_table(made.read(), tmp_path / "out.parquet")
    back = pd.read_parquet(tmp_path / "out.parquet")
    assert back["illness"].tolist()[0] == "flu" and back["id"].dtype == "category"
    assert back["id"].iloc[0] == back["id"].iloc[3] != "a" and back["id"].isna().tolist() == [False, False, True, False]
    # Dictionaries of several pieces.
    many = pa.table({"id": pa.array([f"{number % 90}" for number in range(900)]).dictionary_encode()})
    reader = open_reader(file(many), Plan({"columns": {"id": PLAN["columns"]["id"]}}, key=KEY), Options(piece=200))
    assert len(list(reader.pieces(0))) > 3
    expected = Plan({"columns": {"id": PLAN["columns"]["id"]}}, key=KEY).apply_column("id", many["id"].to_pylist())
    assert run(reader).read()["id"].to_pylist() == expected


def test_nothing_of_the_inputs_file_is_in_the_output() -> None:
    frame = table(900).to_pandas()
    frame.index = pd.RangeIndex(7_654_321, 7_654_321 + 900, name="Secret-index")
    rows = pa.Table.from_pandas(frame)
    assert b"7654321" in rows.schema.metadata[b"pandas"]
    rows = rows.replace_schema_metadata({**rows.schema.metadata, "more": "Secret-note"})
    # Uncompressed, so that bytes can be looked for.
    source = file(rows, compression="none", write_page_index=True, bloom_filter_options={"id": {"ndv": 900}})
    assert pq.read_metadata(source).row_group(0).column(0).statistics.min == "patient-0"
    out = _bytes_of(source, plan())
    made = pq.ParquetFile(io.BytesIO(out))
    for secret in (b"patient-", b"Ann-", b"Secret-", b"7654321", b"1950-05-09", b"10115"):
        assert secret in source.getvalue() and secret not in out
    assert made.metadata.metadata is None or set(made.metadata.metadata) == {b"ARROW:schema"}


def _bytes_of(source: BinaryIO, by: Plan) -> bytes:
    source.seek(0)
    reader = open_reader(source, by, SMALL)
    part, out = io.BytesIO(), io.BytesIO()
    part.write(reader.head())
    for piece in reader.pieces(0):
        part.write(reader.treat(piece).data)
    reader.finish(part, out)
    return out.getvalue()


def test_the_same_part_gives_the_same_file_and_the_same_file_the_same_pieces() -> None:
    source = file(table(700))
    assert _bytes_of(source, plan()) == _bytes_of(source, plan())
    first, second = (open_reader(source, plan(), SMALL) for _ in range(2))
    before = [(piece.after, first.treat(piece)) for piece in first.pieces(0)]
    for start in (0, 1, 3, len(before) - 1, len(before)):
        begun = before[start - 1][0] if start else 0
        after = [(piece.after, second.treat(piece)) for piece in second.pieces(begun)]
        assert [(at, made.digest, made.data) for at, made in after] == [
            (at, made.digest, made.data) for at, made in before[start:]
        ]
    assert len({made.digest for _, made in before}) == len(before)


def test_a_changed_value_changes_the_digest() -> None:
    rows = table(200).to_pylist()
    one = [open_reader(file(pa.Table.from_pylist(rows)), plan(), SMALL).recount(piece) for piece in _pieces(rows)]
    rows[7]["illness"] = "asthma"
    other = [open_reader(file(pa.Table.from_pylist(rows)), plan(), SMALL).recount(piece) for piece in _pieces(rows)]
    assert one[0] != other[0]


def _pieces(rows: list[dict[str, Any]]) -> list[Piece]:
    return list(open_reader(file(pa.Table.from_pylist(rows)), plan(), SMALL).pieces(0))


def test_a_run_that_goes_on_measures_as_one_that_never_stopped() -> None:
    source = file(table(700))
    whole = open_reader(source, plan(), SMALL)
    treated = [whole.treat(piece) for piece in whole.pieces(0)]
    part = io.BytesIO(whole.head() + b"".join(made.data for made in treated[:4]))
    again = open_reader(source, plan(), SMALL)
    for number, piece in enumerate(again.pieces(0)):
        if number < 4:
            assert again.recount(piece) == treated[number].digest
        else:
            again.treat(piece)
    # What is behind was not finished.
    length = part.seek(0, io.SEEK_END)
    part.write(treated[4].data[:50])
    again.recount_part(part, length)
    assert again.measured() == whole.measured()


@pytest.mark.parametrize("bad", [[0], [299], [5, 6, 250], list(range(300))], ids=["first", "last", "some", "all"])
def test_refused_rows_end_the_run_or_are_left_out(bad: list[int]) -> None:
    rows = table(300).to_pylist()
    for number in bad:
        rows[number]["born"] = "secret"
    source = file(pa.Table.from_pylist(rows))
    strict = open_reader(source, plan(), Options())
    (made,) = [strict.treat(piece) for piece in strict.pieces(0)]
    assert made.refusals == (Refusal(bad[0], "date", "born"),) and made.data == b""
    lenient = open_reader(source, plan(), Options(skip=True))
    (made,) = [lenient.treat(piece) for piece in lenient.pieces(0)]
    assert [refusal.record for refusal in made.refusals] == bad[:100]
    assert made.tally.refused == {"date": len(bad)} and made.tally.written == 300 - len(bad)
    assert made.tally.columns["born"].refused == {"date": len(bad)}
    assert made.tally.columns["born"].rule == "date" and made.tally.columns["born"].values == 300 - len(bad)
    kept = [row for number, row in enumerate(rows) if number not in bad]
    one = plan()
    assert run(lenient, [made]).read().to_pylist() == [one.apply(row) for row in kept]


def test_what_was_met_is_told_by_column() -> None:
    reader = open_reader(file(table(30)), plan(), Options())
    (made,) = [reader.treat(piece) for piece in reader.pieces(0)]
    columns = made.tally.columns
    assert columns["id"].rule == "pseudonym" and columns["id"].changed == 30
    assert columns["illness"].rule == "default: keep" and (columns["illness"].kept, columns["illness"].nulls) == (
        20,
        10,
    )
    assert columns["name"].dropped == 30 and columns["home.zip"].changed == 30


def test_what_cannot_be_treated_is_told_before_the_first_value() -> None:
    for source, by, said in (
        (io.BytesIO(b""), plan(), "no file of Parquet"),
        (io.BytesIO(b"PAR1" + b"x" * 100 + b"PAR1"), plan(), "no file of Parquet"),
        (io.BytesIO(file(table(10)).getvalue()[:-20]), plan(), "no file of Parquet"),
        (file(table(1)), plan(default="refuse", sensitive=[]), "home.town: no rule"),
        (file(pa.table({"x": pa.array([1], pa.duration("s"))})), Plan({"columns": {}, "default": "keep"}), None),
        (file(table(1)), Plan({"columns": {"id": {"do": "custom", "function": "f"}}}, custom={"f": str}), "types="),
    ):
        if said is None:
            assert run(open_reader(source, by, SMALL)).read().num_rows == 1
            continue
        with pytest.raises(ConfigError, match=said) as caught:
            open_reader(source, by, SMALL)
        assert caught.value.__context__ is None


def test_a_broken_group_ends_the_run_and_nothing_of_it_is_quoted() -> None:
    raw = bytearray(file(table(300), compression="none", use_dictionary=False).getvalue())
    at = raw.index(b"patient-7")
    raw[at - 3000 : at + 3000] = b"\xff" * 6000
    reader = open_reader(io.BytesIO(bytes(raw)), plan(), SMALL)
    with pytest.raises(ConfigError, match="group 0 of the file cannot be read") as caught:
        for piece in reader.pieces(0):
            reader.treat(piece)
    assert caught.value.__context__ is None and "patient" not in str(caught.value)


def test_files_without_rows_or_groups_are_files() -> None:
    empty = table(1).slice(0, 0)
    reader = open_reader(file(empty), plan(), SMALL)
    made = run(reader)
    assert made.read().num_rows == 0 and made.schema_arrow.names == ["id", "born", "home", "illness", "tags"]
    out = io.BytesIO()
    with pq.ParquetWriter(out, empty.schema):
        pass
    out.seek(0)
    assert run(open_reader(out, plan(), SMALL)).read().num_rows == 0


def test_a_measure_that_cannot_be_says_why_and_stops_nothing() -> None:
    reader = open_reader(file(table(300)), plan(), Options(max_entries=5))
    made = run(reader)
    measured = reader.measured()
    assert measured is not None and "max_entries" in str(measured.before) and "max_entries" in str(measured.after)
    assert made.read().num_rows == 300
    reader = open_reader(file(table(3)), plan(quasi_identifiers=["tags"], sensitive=[]), SMALL)
    run(reader)
    measured = reader.measured()
    assert measured is not None and str(measured.after) == "a value that cannot be told from others (kind)"
    reader = open_reader(file(table(3)), plan(quasi_identifiers=[], sensitive=[]), SMALL)
    run(reader)
    assert reader.measured() is None


def test_groups_of_the_output_are_of_a_size_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_GROUP_ROWS", 400)
    made = run(open_reader(file(table(1000), row_group_size=7), plan(), SMALL))
    sizes = [made.metadata.row_group(group).num_rows for group in range(made.num_row_groups)]
    assert sum(sizes) == 1000 and len(sizes) == 3 and min(sizes[:-1]) >= 400


def test_one_large_group_is_read_page_by_page(tmp_path: Path) -> None:
    rows = 400_000
    wide = pa.table({"id": [f"patient-{number:012}" * 8 for number in range(rows)]})
    pq.write_table(wide, tmp_path / "large.parquet", row_group_size=rows, compression="none", use_dictionary=False)
    del wide
    by = Plan({"columns": {"id": "null"}})
    with open(tmp_path / "large.parquet", "rb") as source:
        reader = open_reader(source, by, Options())
        before, most = pa.total_allocated_bytes(), 0
        for number, piece in enumerate(reader.pieces(0)):
            reader.treat(piece)
            most = max(most, pa.total_allocated_bytes() - before)
            if number == 20:
                break
    assert most < 20 << 20 < (tmp_path / "large.parquet").stat().st_size // 3


def test_a_small_file_that_is_large_in_memory_is_cut_by_what_it_is_there() -> None:
    # One long value of a dictionary: 20 kB, 400 times in memory.
    bomb = file(pa.table({"note": ["x" * 20_000] * 400, "id": [str(number) for number in range(400)]}))
    assert len(bomb.getvalue()) < 100_000
    by = Plan({"default": "keep"})
    pieces = list(open_reader(bomb, by, Options(piece=100_000)).pieces(0))
    assert len(pieces) >= 80 and pieces[-1].after == 400
    assert max(piece.data.rows.nbytes for piece in pieces) <= 100_000
    assert run(open_reader(bomb, by, Options(piece=100_000))).read().column("id").to_pylist() == [
        str(number) for number in range(400)
    ]


@pytest.mark.parametrize("encoding", ["dictionary", "DELTA_BYTE_ARRAY"])
def test_values_that_are_long_in_each_row_and_once_in_the_file_are_read_few_at_once(encoding: str) -> None:
    how = {} if encoding == "dictionary" else {"use_dictionary": False, "column_encoding": {"note": encoding}}
    rows = pa.table({"note": ["x" * 2_000_000] * 100})
    made = pq.ParquetFile(file(rows, compression="zstd", **how)).metadata.row_group(0)
    assert step_of(made, 1 << 20) == FEWEST
    plain = pa.table({"number": list(range(100_000))})
    assert step_of(pq.ParquetFile(file(plain, row_group_size=100_000)).metadata.row_group(0), 1 << 20) > 10_000


def test_a_value_that_is_very_long_and_once_in_the_file_is_not_read_many_times_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(steps, "ROOM", 4 << 20)
    monkeypatch.setattr(steps, "_BUDGET", 4 << 20)
    source = file(pa.table({"note": ["x" * 1_000_000] * 30 + ["y"]}), compression="zstd")
    assert len(source.getvalue()) < 100_000
    reader = open_reader(source, Plan({"columns": {"note": "null"}}), Options(piece=2_000_000))
    before, most, rows = pa.total_allocated_bytes(), 0, 0
    for piece in reader.pieces(0):
        most, rows = max(most, pa.total_allocated_bytes() - before), piece.after
    del piece
    assert rows == 31 and most < 14 << 20


# What is known of a column before it is read is all of it, if it is compressed.
@pytest.mark.parametrize(
    "value", [lambda text: text, lambda text: [text, None], lambda text: {"in": [text]}], ids=["text", "list", "struct"]
)
def test_many_rows_are_read_at_once_where_a_dictionary_has_short_values_alone(value: Any) -> None:
    rows = pa.table({"note": [value(f"{number % 2000:>400}") for number in range(20_000)]})
    source = file(rows, compression="zstd", row_group_size=20_000)
    asked: list[int] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "step_of", lambda *given: asked.append(step_of(*given)) or asked[0])
        made = run(open_reader(source, Plan({"default": "keep"}), Options()))
    assert made.read().equals(rows) and asked == [16_384]
    assert step_of(pq.ParquetFile(source).metadata.row_group(0), 1 << 20) < 200


def test_a_row_that_is_too_long_is_refused_alone() -> None:
    rows = pa.table({"note": ["a", "x" * 5000, "b"]})
    reader = open_reader(file(rows), Plan({"default": "keep"}), Options(piece=1000, longest=4000, skip=True))
    treated = list(map(reader.treat, reader.pieces(0)))
    assert [(made.tally.read, made.tally.refused) for made in treated] == [(1, {}), (1, {"long": 1}), (1, {})]
    assert run(reader, treated).read().column("note").to_pylist() == ["a", "b"]


def test_what_the_redactor_found_in_parquet_is_counted_in_each_row() -> None:
    rows = pa.table({"note": ["write to ann@example.org", "tea", None, "write to ann@example.org"]})
    reader = open_reader(file(rows), Plan({"default": "redact"}), SMALL)
    (made,) = map(reader.treat, reader.pieces(0))
    assert made.tally.columns["note"].found == {"EMAIL_ADDRESS": 2}


# As a whole run


TOML = """
default = "keep"
quasi_identifiers = ["born", "home.zip"]
[columns]
name = "drop"
[columns.id]
do = "pseudonym"
scope = "id"
[columns.born]
do = "date"
to = "decade"
[columns."home.zip"]
do = "postcode"
keep = 2
"""


def test_a_file_is_there_whole_or_not_at_all_and_a_killed_run_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target, other = tmp_path / "in.parquet", tmp_path / "out.parquet", tmp_path / "other.parquet"
    source.write_bytes(file(table(1000)).getvalue())

    def job(to: Path, **rest: Any) -> Job:
        return Job(str(source), str(to), TOML, key=KEY, options=SMALL, jobs=2, checkpoint=1, **rest)

    outcome = job(target).run()
    assert outcome.tally.written == 1000 and outcome.unmet == ()
    one = Plan.parse(TOML, key=KEY)
    assert pq.read_table(target).to_pylist() == [one.apply(row) for row in table(1000).to_pylist()]
    with pytest.raises(FileExistsError):
        job(target).run()

    treat, treated = module.Parquet.treat, list[Piece]()

    def killed(reader: module.Parquet, piece: Piece) -> Treated:
        treated.append(piece)
        if len(treated) > 8:
            raise KeyboardInterrupt
        return treat(reader, piece)

    monkeypatch.setattr(module.Parquet, "treat", killed)
    with pytest.raises(KeyboardInterrupt):
        job(other).run()
    monkeypatch.undo()
    assert not other.exists()
    resumed = job(other, resume=True).run()
    assert resumed.resumed_at > 0 and resumed.measured == outcome.measured
    assert other.read_bytes() == target.read_bytes()
