"""What is around a file that is treated: files of others, files in the way, names without end, and what refers to what."""

from __future__ import annotations

import gc
import json
import os
import weakref
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from flask_rampart import Keyset, Vault, _native
from flask_rampart.anonymize import Plan
from flask_rampart.anonymize.files import Job
from flask_rampart.anonymize.files.part import Part
from flask_rampart.anonymize.formats import MOST_OTHERS, REST, Counts, Options, Tally
from flask_rampart.errors import ConfigError

PLAN = 'default = "keep"\n'
BESIDE = (".out.jsonl.part", ".out.jsonl.state", ".out.jsonl.made", ".out.jsonl.state.new", ".out.report.json.new")


@pytest.fixture(autouse=True)
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("in.jsonl").write_text('{"a":1}\n' * 50)


def job(**given: Any) -> Job:
    words: dict[str, Any] = {"source": "in.jsonl", "target": "out.jsonl", "plan": PLAN, "report": "out.report"} | given
    return Job(**words)


@pytest.mark.parametrize("name", BESIDE)
@pytest.mark.parametrize("force", [False, True])
def test_an_input_that_is_what_is_written_meanwhile_stays(name: str, force: bool) -> None:
    # As whoever looks at what a killed run left may do.
    Path("in.jsonl").rename(name)
    before = Path(name).read_bytes()
    with pytest.raises(ConfigError, match="which is written meanwhile: give it another name"):
        job(source=name, force=force).run()
    assert Path(name).read_bytes() == before and os.listdir() == [name]


@pytest.mark.parametrize("name", BESIDE)
def test_so_does_a_plan_or_a_key_of_that_name(name: str) -> None:
    for word in ("plan_file", "key_file", "kept"):
        Path(name).write_text("00ff" * 16)
        Path("other").write_text("x")
        # Each of several files is looked at.
        given = {word: (name, "other") if word == "kept" else name}
        with pytest.raises(ConfigError, match="which is written meanwhile"):
            job(**given, force=True).run()
        assert Path(name).read_text() == "00ff" * 16


def test_a_state_that_is_a_pipe_keeps_nobody_waiting() -> None:
    os.mkfifo(".out.jsonl.state")
    for given in ({}, {"resume": True}, {"force": True}):
        with pytest.raises(ConfigError, match="no file of yours: remove it first"):
            job(**given).run()
    os.unlink(".out.jsonl.state")
    os.unlink(".out.jsonl.part")
    os.mkfifo(".out.jsonl.part")
    with pytest.raises(ConfigError, match="no file of yours: remove it first"):
        job(force=True).run()


@pytest.mark.parametrize("kind", ["link", "folder"])
def test_a_state_that_is_no_file_is_refused(kind: str) -> None:
    if kind == "link":
        Path("elsewhere").write_text("{}")
        os.symlink("elsewhere", ".out.jsonl.state")
    else:
        os.mkdir(".out.jsonl.state")
    with pytest.raises((ConfigError, OSError)):
        job(resume=True).run()
    assert not Path("out.jsonl").exists()


@pytest.mark.parametrize("name", [".out.jsonl.state", ".out.jsonl.part"])
def test_what_another_user_left_is_not_gone_on_with(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    Path(name).write_text('{"identity": {}, "length": 0}')
    own, real = os.geteuid(), os.fstat
    with monkeypatch.context() as patched:
        patched.setattr(os, "geteuid", lambda: own + 1)
        with pytest.raises(ConfigError, match="no file of yours"):
            job(resume=True).run()
    assert real is os.fstat and Path(name).read_text() == '{"identity": {}, "length": 0}'


@pytest.mark.parametrize("text", ["[" * 100_000, '{"length": "x", "identity": {}}', "null", "{", "\xff"])
def test_a_state_that_cannot_be_read_says_so(text: str) -> None:
    Path(".out.jsonl.state").write_bytes(text.encode("latin-1"))
    with pytest.raises(Exception, match="cannot be read: remove it"):
        job(resume=True).run()


def test_names_without_end_take_no_memory_without_end() -> None:
    lines = [
        json.dumps({"name": "x", f"k{chr(97 + n % 26)}{'bcdefghijk'[n // 26 % 10]}{'m' * (n // 260)}": n})
        for n in range(3000)
    ]
    Path("in.jsonl").write_text("\n".join(lines) + "\n")
    plan = PLAN + '[columns]\nname = "drop"\n'
    outcome = job(plan=plan, options=Options(piece=2000)).run()
    columns = outcome.tally.columns
    assert len(columns) == MOST_OTHERS + 2
    assert columns["name"].dropped == 3000
    assert sum(of.values for of in columns.values()) == 6000
    assert columns[REST].values == 3000 - MOST_OTHERS
    assert len(Path("out.jsonl").read_bytes().splitlines()) == 3000
    # And it is the same for whoever goes on with it, since it is remembered.
    told = Tally()
    for number in range(3 * MOST_OTHERS):
        told.add(Tally(columns={f"k{number}": Counts("default: keep", 1, kept=1)}))
        told.add(Tally(columns={"own": Counts("drop", 1, dropped=1)}))
    assert len(asdict(told)["columns"]) == MOST_OTHERS + 2


def test_a_part_is_discarded_with_its_state_whoever_is_meanwhile_in_the_way() -> None:
    part = Part(Path("out.jsonl"), {}, resume=False, force=False)
    part.checkpoint({"length": 0})
    os.unlink(".out.jsonl.state")
    os.mkfifo(".out.jsonl.state")
    part.tidy()
    part.close()
    # What is not its own stays, and nobody was waited for.
    assert os.listdir() == [".out.jsonl.state", "in.jsonl"] or os.listdir() == ["in.jsonl", ".out.jsonl.state"]


class Owner:
    """Has what refers to itself by a function."""

    def __init__(self) -> None:
        self.vault = Vault({"default": Keyset.generate("AES256_SIV")})
        self.plan = Plan(
            {"columns": {"a": {"do": "custom", "function": "f"}, "b": {"do": "token", "scope": "s"}}},
            custom={"f": self.treat},
            sealer=self,
        )
        self.lines: Any = None

    def treat(self, value: Any) -> Any:
        return value

    def keyset(self, name: str = "default") -> Keyset:
        return self.vault.keyset(name)

    def keyset_for(self, primitive: str, name: str | None = None) -> Keyset:
        return self.vault.keyset("default")


@pytest.mark.parametrize("kind", ["plan", "lines", "table"])
def test_a_plan_that_refers_to_its_owner_is_collected_with_it(kind: str) -> None:
    owner = Owner()
    assert owner.plan.apply({"a": 1, "b": "x"})["a"] == 1
    if kind != "plan":
        owner.plan = Plan({"columns": {"b": {"do": "token", "scope": "s"}}}, sealer=owner)
        owner.lines = (
            _native.AnonymizeLines(owner.plan._native)
            if kind == "lines"
            else _native.AnonymizeTable(owner.plan._native, ["b"], delimiter=b",", quote=b'"')
        )
    gone = weakref.ref(owner)
    gc.collect()
    assert gone() is owner
    # What is in use is never taken for what is not, however often it is looked at.
    assert owner.plan.apply({"b": "x"})["b"] == owner.plan.apply({"b": "x"})["b"]
    del owner
    gc.collect()
    assert gone() is None
