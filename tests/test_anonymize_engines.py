"""A plan on its way to workers: what travels, what does not, and one engine for real."""

from __future__ import annotations

import doctest
import importlib
import os
import pickle
import sys
from pathlib import Path
from typing import Any

import cloudpickle
import dask.dataframe as dd
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from examples.anonymize_engines import __main__ as example
from examples.anonymize_engines import engines
from examples.anonymize_engines.people import people
from flask_rampart import ConfigError, Keyset, Vault
from flask_rampart.anonymize import AnonymizeRefused, Plan, Privacy, measure
from flask_rampart.anonymize.arrow import FRAGMENT, ArrowPlan
from flask_rampart.anonymize.arrow import engines as module

KEY = bytes(range(32))
PLAN: dict[str, Any] = {
    "default": "drop",
    "quasi_identifiers": ["born", "home.zip"],
    "sensitive": ["illness"],
    "columns": {
        "id": {"do": "pseudonym", "scope": "id"},
        "born": {"do": "date", "to": "decade"},
        "home.zip": {"do": "postcode", "keep": 1},
        "illness": "keep",
        "cost": {"do": "number", "round": 10},
    },
}


TOKENS = {"columns": {"id": {"do": "token", "scope": "id"}}}
SEALED = {"columns": {"id": {"do": "token", "scope": "id", "keyset": "tokens"}}}
VAULT = Vault({"tokens": Keyset.generate("AES256_SIV")})


def this_key() -> bytes:
    return KEY


def this_vault() -> Vault:
    return VAULT


def this_keyset() -> Keyset:
    return VAULT.keyset("tokens")


def no_keyset() -> None:
    return None


@pytest.fixture(autouse=True)
def keyed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLAN_KEY", KEY.hex())
    monkeypatch.setattr(module, "_LOADED", type(module._LOADED)())


def table(rows: int) -> pa.Table:
    return pa.Table.from_pylist(
        [
            {
                "id": number,
                "born": f"19{50 + number % 40}-05-09",
                "home": {"zip": f"{10 + number % 3}115"},
                "illness": ["flu", "cold", None][number % 3],
                "cost": number if number % 5 else None,
            }
            for number in range(rows)
        ]
    )


# What travels


@pytest.mark.parametrize("how", ["key_env", "key_file", "key"])
def test_no_key_is_in_what_travels_or_is_shown(how: str, tmp_path: Path) -> None:
    file = tmp_path / "plan.key"
    file.write_text(KEY.hex())
    given: dict[str, Any] = {"key_env": "PLAN_KEY", "key_file": file, "key": this_key}
    plan = ArrowPlan(PLAN, **{how: given[how]})
    rows = table(20)
    result = plan(rows)
    expected = Plan(PLAN, key=KEY)
    assert result.to_pylist() == [expected.apply(row) for row in rows.to_pylist()]
    for sent in (pickle.dumps(plan), cloudpickle.dumps(plan), cloudpickle.dumps(plan.batches)):
        assert KEY not in sent and KEY.hex().encode() not in sent
        back = pickle.loads(sent)
        made = (
            next(back(iter(rows.to_batches())))
            if callable(back) and sent == cloudpickle.dumps(plan.batches)
            else back(rows)
        )
        assert pa.Table.from_batches([made]) == result if isinstance(made, pa.RecordBatch) else made == result
    told = f"{plan!r} {vars(plan)} {plan.__dask_tokenize__()}"
    assert KEY.hex() not in told and repr(KEY) not in told
    graph = dd.from_pandas(pd.DataFrame({"illness": ["a", "b"]}), npartitions=2).map_partitions(
        plan, meta={"illness": str}
    )
    sent = cloudpickle.dumps(graph.__dask_graph__())
    assert KEY not in sent and KEY.hex().encode() not in sent


def test_a_key_that_would_travel_is_refused() -> None:
    for key in (KEY, KEY.hex()):
        with pytest.raises(ConfigError, match="would travel"):
            ArrowPlan(PLAN, key=key)  # type: ignore[arg-type]

    def own() -> bytes:
        return KEY

    main = type(own)(own.__code__, {"__name__": "__main__"}, "own")
    main.__module__ = "__main__"
    for function in (own, lambda: KEY, Path("x").read_bytes, main):
        with pytest.raises(ConfigError, match="would travel"):
            ArrowPlan(PLAN, key=function)
    with pytest.raises(ConfigError, match="one of the three"):
        ArrowPlan(PLAN, key=this_key, key_env="PLAN_KEY")
    with pytest.raises(ConfigError, match="needs a key"):
        ArrowPlan(PLAN)


@pytest.mark.parametrize("sealer", [this_vault, this_keyset])
def test_tokens_are_sealed_by_what_a_function_returns_which_travels_by_its_name(sealer: Any) -> None:
    said = SEALED if sealer is this_vault else TOKENS
    plan = ArrowPlan(said, sealer=sealer)
    rows = pa.table({"id": ["7", "8", None]})
    sent = cloudpickle.dumps(plan)
    secret = VAULT.keyset("tokens").to_cleartext_binary()
    assert secret not in sent and sealer.__name__.encode() in sent and sealer.__name__ in repr(plan)
    made = pickle.loads(sent)(rows)
    assert made == plan(rows) and made.schema == plan.output_schema(rows.schema)
    whole = Plan(said, sealer=VAULT)
    assert [whole.reverse("id", token) for token in made["id"].to_pylist()[:2]] == ["7", "8"]
    assert plan.__dask_tokenize__() != ArrowPlan(said, sealer=this_vault, key=this_key).__dask_tokenize__()


def test_a_keyset_that_would_travel_or_is_none_is_refused() -> None:
    for sealer in (VAULT, VAULT.keyset("tokens"), lambda: VAULT, Path("x").read_bytes):
        with pytest.raises(ConfigError, match="would travel"):
            ArrowPlan(SEALED, sealer=sealer)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="sealer"):
        ArrowPlan(SEALED)
    nobody: Any = no_keyset
    with pytest.raises(ConfigError, match="returned no Keyset"):
        ArrowPlan(SEALED, sealer=nobody)(pa.table({"id": ["7"]}))
    with pytest.raises(ConfigError, match="a Keyset or a Vault"):
        ArrowPlan(SEALED, sealer=this_key)(pa.table({"id": ["7"]}))  # type: ignore[arg-type]


def asking_vault() -> Vault:
    # Code of others: it may load a plan of its own, fork, or take its time.
    assert module._LOADING.acquire(blocking=False)
    module._LOADING.release()
    ArrowPlan(TOKENS, key=this_key)(pa.table({"id": ["7"]}))
    return VAULT


def test_a_sealer_is_asked_for_while_nothing_is_locked() -> None:
    made = ArrowPlan(SEALED, sealer=asking_vault)(pa.table({"id": ["7"]}))
    assert made.equals(ArrowPlan(SEALED, sealer=this_vault)(pa.table({"id": ["7"]})))


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_process_that_was_forked_while_plans_were_looked_up_loads_its_own() -> None:
    with module._LOADING:
        child = os.fork()
        if child == 0:
            os._exit(0 if module._LOADING.acquire(blocking=False) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_a_program_without_the_key_has_the_schema_and_no_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PLAN_KEY")
    for given, said in (
        ({"key_env": "PLAN_KEY"}, "no PLAN_KEY"),
        ({"key_file": "/nowhere/plan.key"}, "cannot be read"),
    ):
        plan = ArrowPlan(PLAN, **given)
        assert plan.output_schema(table(1).schema).names == ["id", "born", "home", "illness", "cost"]
        with pytest.raises(ConfigError, match=said):
            plan(table(1))
        # Not a result under the key that schemas are asked with, either.
        with pytest.raises(ConfigError, match=said):
            list(plan.batches(table(1).to_batches()))
        assert len(plan.meta(table(3).to_pandas())) == 0


def test_a_plan_is_loaded_once_for_a_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "plan.key"
    file.write_text(KEY.hex())
    sent = pickle.dumps(ArrowPlan(PLAN, key_file=file))
    first = pickle.loads(sent)(table(3))
    # The file is gone, and so is the plan's: neither is read again.
    file.unlink()
    assert pickle.loads(sent)(table(3)) == first
    # Another plan, or the same by another key, is another.
    with pytest.raises(ConfigError, match="cannot be read"):
        ArrowPlan({**PLAN, "default": "keep"}, key_file=file)(table(3))
    monkeypatch.setenv("OTHER_KEY", bytes(range(1, 33)).hex())
    assert ArrowPlan(PLAN, key_env="OTHER_KEY")(table(3)) != first


def test_the_plan_of_a_file_is_the_one_that_was_there_when_it_was_made(tmp_path: Path) -> None:
    file = tmp_path / "plan.toml"
    file.write_text('default = "drop"\n[columns]\nillness = "keep"\n')
    plan = ArrowPlan(file)
    file.write_text('default = "keep"\n')
    assert pickle.loads(pickle.dumps(plan))(table(1)).schema.names == ["illness"]
    with pytest.raises(ConfigError, match="cannot be read"):
        ArrowPlan(tmp_path / "none.toml")
    file.write_text('defualt = "keep"\n')
    with pytest.raises(ConfigError, match="Did you mean default"):
        ArrowPlan(file)


def test_a_refusal_travels_back_as_it_is() -> None:
    with pytest.raises(AnonymizeRefused) as caught:
        ArrowPlan({"columns": {"x": {"do": "date", "to": "year"}}})(pa.table({"x": ["secret"]}))
    back = pickle.loads(pickle.dumps(caught.value))
    assert type(back) is AnonymizeRefused and back.args == ("date", "x")


# What it takes


def test_iterators_of_batches_have_one_schema() -> None:
    plan = ArrowPlan(PLAN, key_env="PLAN_KEY")
    rows = table(10)
    batches = list(plan.batches(rows.to_batches(max_chunksize=3)))
    assert len(batches) == 4 and {batch.schema for batch in batches} == {plan.output_schema(rows.schema)}
    assert pa.Table.from_batches(batches).to_pylist() == plan(rows).to_pylist()
    assert list(plan.batches([])) == []
    kept = ArrowPlan({"default": "keep", "columns": {}})
    differ = [pa.record_batch({"x": ["a"]}), pa.record_batch({"x": [None]})]
    with pytest.raises(ConfigError, match="several schemas"):
        list(kept.batches(differ))
    said = ArrowPlan({"default": "keep", "columns": {}}, schema=differ[0].schema)
    assert [batch.to_pylist() for batch in said.batches(differ)] == [[{"x": "a"}], [{"x": None}]]
    assert said.output_schema() == differ[0].schema
    for other in (pa.record_batch({"y": ["a"]}), pa.record_batch({"x": [1]})):
        with pytest.raises(ConfigError, match="a batch has"):
            said(other)
    with pytest.raises(ConfigError, match="needs the schema"):
        kept.output_schema()


def test_tables_batches_and_frames_come_back_as_such() -> None:
    plan = ArrowPlan(PLAN, key_env="PLAN_KEY")
    rows = table(6)
    assert isinstance(plan(rows), pa.Table) and isinstance(plan(rows.to_batches()[0]), pa.RecordBatch)
    frame = plan(rows.to_pandas(types_mapper=pd.ArrowDtype))
    assert isinstance(frame, pd.DataFrame) and frame["id"].tolist() == plan(rows)["id"].to_pylist()
    empty = plan(rows.slice(0, 0))
    assert empty.schema == plan.output_schema(rows.schema) and empty.num_rows == 0
    for wrong in ([{"id": 1}], {"id": [1]}, None):
        with pytest.raises(TypeError, match="is expected, not"):
            plan(wrong)
    with pytest.raises(ConfigError, match="several kinds") as caught:
        ArrowPlan({"default": "keep", "columns": {}})(pd.DataFrame({"x": pd.Series(["secret", 1], dtype=object)}))
    assert "secret" not in str(caught.value) and caught.value.__context__ is None


def test_an_empty_frame_says_the_types_of_all_parts() -> None:
    plan = ArrowPlan(PLAN, key_env="PLAN_KEY")
    frame = table(30).to_pandas(types_mapper=pd.ArrowDtype)
    meta = plan.meta(frame)
    for part in (frame.iloc[:10], frame.iloc[:0], frame[frame["cost"].isna()]):
        assert plan(part).dtypes.equals(meta.dtypes)


def test_large_tables_are_treated_in_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    plan = ArrowPlan(PLAN, key_env="PLAN_KEY")
    whole = plan(table(50))
    monkeypatch.setattr(module, "_ROWS", 7)
    assert plan(table(50)).to_pylist() == whole.to_pylist()
    assert plan._treatment().counts["id"].values == 100


# Measures


def test_fragments_of_workers_say_what_the_whole_says() -> None:
    plan = ArrowPlan(PLAN, key_env="PLAN_KEY")
    rows = plan(table(200))
    expected = measure(rows.to_pylist(), PLAN["quasi_identifiers"], PLAN["sensitive"])
    sent = pickle.dumps(plan)
    fragments = [pickle.loads(sent).measure_batch(rows.slice(start, 30)) for start in range(0, 200, 30)]
    assert {fragment.schema for fragment in fragments} == {FRAGMENT}
    assert plan.measured(fragments) == expected
    # In any order, in one table, as batches and as frames.
    assert plan.measured([pa.concat_tables(reversed(fragments))]) == expected
    assert plan.measured(batch for fragment in fragments for batch in fragment.to_batches()) == expected
    frames = [plan.measure_batch(rows.slice(start, 100).to_pandas(types_mapper=pd.ArrowDtype)) for start in (0, 100)]
    assert plan.measured(frames) == expected
    assert next(plan.measure_batches([])).num_rows == 3


def test_no_value_is_in_a_fragment_and_other_keys_make_others(monkeypatch: pytest.MonkeyPatch) -> None:
    plan = ArrowPlan(PLAN, key_env="PLAN_KEY")
    fragment = plan.measure_batch(table(20))
    assert all(value is None or len(value) == 16 for name in ("class", "value") for value in fragment[name].to_pylist())
    assert plan.measure_batch(table(20)) == fragment
    monkeypatch.setenv("PLAN_KEY", bytes(range(1, 33)).hex())
    assert plan.measure_batch(table(20)) != fragment
    # Without a key of the plan's, it is one that the plan drew, the same on all workers.
    bare = ArrowPlan({**PLAN, "columns": {"born": "keep", "home.zip": "keep", "illness": "keep"}})
    assert pickle.loads(pickle.dumps(bare)).measure_batch(table(20)) == bare.measure_batch(table(20)) != fragment


def test_what_a_plan_drops_is_not_measured_by() -> None:
    plan = ArrowPlan({"columns": {"zip": "drop"}, "quasi_identifiers": ["born", "zip"], "default": "keep"})
    result = plan(pa.table({"born": ["1980s", "1980s"], "zip": ["1", "2"]}))
    fragments = [plan.measure_batch(result)]
    with pytest.raises(ConfigError, match="no row has it"):
        plan.measured(fragments)
    privacy = plan.measured(fragments, dropped=["zip"])
    assert (privacy.k, privacy.dropped) == (2, ("zip",))


def test_what_is_no_measure_is_refused() -> None:
    plan = ArrowPlan(PLAN, key_env="PLAN_KEY")
    with pytest.raises(ConfigError, match=r'"home\.zip": no row has it'):
        plan.measured([plan.measure_batch(pa.table({"born": ["1980s"], "illness": ["flu"]}))])
    with pytest.raises(AnonymizeRefused):
        plan.measure_batch(pa.table({"born": ["1980s"], "home": ["Ulm"]}))
    with pytest.raises(AnonymizeRefused):
        plan.measure_batch(pa.table({"born": [["1980s"]], "home": [{"zip": "1"}]}))
    with pytest.raises(OverflowError, match="max_entries"):
        ArrowPlan(PLAN, key_env="PLAN_KEY", max_entries=10).measure_batch(table(100))
    torn = plan.measure_batch(table(10))
    with pytest.raises(ConfigError, match="not the counts"):
        plan.measured([torn.filter(pa.compute.is_valid(torn["value"]))])
    with pytest.raises(ConfigError, match="names none"):
        ArrowPlan({"columns": {}}).measure_batch(table(1))


# Dask, for real


def test_dask_anonymises_in_processes_of_its_own_as_the_example_shows(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    met: list[tuple[pa.Table, Privacy]] = []

    def watched(plan: ArrowPlan, source: Path) -> tuple[pa.Table, Privacy]:
        assert pq.ParquetFile(source).num_row_groups == 8
        met.append(engines.dask(plan, source))
        return met[0]

    monkeypatch.setitem(engines.ENGINES, "dask", watched)
    monkeypatch.setattr(sys, "argv", ["anonymize_engines", "--engine", "dask", "--rows", "800"])
    # What the workers load, they find where it is here.
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    example.main()
    plan = ArrowPlan(example.PLAN, key_env="PLAN_KEY")
    made, privacy = met[0]
    expected = plan(people(800))
    assert made.to_pylist() == expected.to_pylist()
    assert privacy == measure(expected.to_pylist(), plan.quasi_identifiers, plan.sensitive)
    said = capsys.readouterr().out
    assert "dask: 800 rows" in said and f"k before 1, after {privacy.k}" in said
    assert "@example.org" not in said and "Dr. " not in said and "Ulm" not in said
    pq.write_table(made, tmp_path / "made.parquet")
    assert pd.read_parquet(tmp_path / "made.parquet")["id"].tolist() == expected["id"].to_pylist()


# Without pyarrow


def test_without_pyarrow_the_cure_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("flask_rampart.anonymize.arrow")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ConfigError, match=r"pip install 'flask-rampart\[anonymize\]'"):
        importlib.import_module("flask_rampart.anonymize.arrow")


# The page


def test_the_page_runs_and_says_what_the_example_does() -> None:
    page = Path(__file__).parent.parent / "docs" / "anonymize-engines.md"
    failed, ran = doctest.testfile(str(page), module_relative=False, encoding="utf-8")
    assert failed == 0 and ran >= 8
    text, example_text = page.read_text(), Path(engines.__file__).read_text()
    for call in (
        "frame.mapInArrow(plan.batches,",
        'map_batches(plan, batch_format="pyarrow")',
        "meta=plan.meta(frame), clear_divisions=True",
    ):
        assert call in text and call in example_text
