"""Whole files treated by a plan: killed, resumed, raced, cut short, replaced meanwhile."""

from __future__ import annotations

import io
import json
import os
import pickle
import signal
import stat
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from flask_rampart.anonymize import Plan
from flask_rampart.anonymize.files import FileRefused, InputChanged, Job, OutputBusy, Progress, ResumeRefused
from flask_rampart.anonymize.files.part import Part
from flask_rampart.anonymize.formats import Options
from flask_rampart.errors import ConfigError

KEY = "00ff" * 16
PLAN = """
default = "keep"
quasi_identifiers = ["born"]
sensitive = ["ill"]
[columns]
name = "drop"
[columns.id]
do = "pseudonym"
scope = "id"
[columns.born]
do = "date"
to = "decade"
"""


def record(number: int) -> dict[str, Any]:
    return {
        "id": number,
        "name": f"n{number}",
        "born": f"19{30 + number % 50}-01-01",
        "ill": "abc"[number % 3],
        "pad": "x" * (number % 37),
    }


def lines(count: int) -> bytes:
    return b"".join(json.dumps(record(number)).encode() + b"\n" for number in range(count))


def table(count: int) -> bytes:
    rows = [f'{of["id"]},{of["name"]},{of["born"]},{of["ill"]},"{of["pad"]}\n,"\n' for of in map(record, range(count))]
    return ("id,name,born,ill,pad\n" + "".join(rows)).encode()


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Job:
    monkeypatch.chdir(tmp_path)
    Path("in.jsonl").write_bytes(lines(400))
    return Job(
        "in.jsonl",
        "out.jsonl",
        PLAN,
        key=KEY,
        jobs=2,
        options=Options(piece=1000),
        report="out.report",
        checkpoint=2000,
    )


def left() -> set[str]:
    return set(os.listdir()) - {"in.jsonl", "in.csv"}


WHOLE = {"out.jsonl", "out.report.json", "out.report.html"}


def test_the_output_is_each_record_by_the_plan_in_its_order(job: Job) -> None:
    outcome = job.run()
    plan = Plan.parse(PLAN, key=KEY)
    made = [json.loads(line) for line in Path("out.jsonl").read_bytes().splitlines()]
    assert made == [plan.apply(record(number)) for number in range(400)]
    assert (outcome.tally.read, outcome.tally.written, outcome.unmet) == (400, 400, ())
    assert left() == WHOLE
    assert {stat.S_IMODE(os.stat(name).st_mode) for name in WHOLE} == {0o600}


@pytest.mark.parametrize("kind", ["jsonl", "csv"])
def test_the_result_does_not_depend_on_threads_or_pieces(job: Job, kind: str) -> None:
    Path("in.csv").write_bytes(table(200))
    made = set()
    for number, (jobs, piece) in enumerate(((1, 1 << 20), (2, 700), (5, 64))):
        job = replace(job, source=f"in.{kind}", target=f"out{number}.{kind}", jobs=jobs, report=f"r{number}")
        job.options = Options(piece=piece)
        job.run()
        report = json.loads(Path(f"r{number}.json").read_text())
        report.pop("output")
        made.add((Path(f"out{number}.{kind}").read_bytes(), json.dumps(report)))
    assert len(made) == 1


class Killed(BaseException):
    """As if by a signal: nothing is tidied up."""


def killed_after(job: Job, pieces: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs until so many pieces were treated, and leaves what a killed process leaves."""
    seen = 0

    def count(progress: Progress) -> None:
        nonlocal seen
        seen += progress.phase == "treat"
        if seen >= pieces:
            raise Killed

    with monkeypatch.context() as patched:
        # A process that is killed does not close its part: the kernel does.
        patched.setattr(Part, "close", lambda part: part._file and part._file.close())
        with pytest.raises(Killed):
            replace(job, progress=count).run()


@pytest.mark.parametrize("skip", [False, True], ids=["all", "skipping"])
@pytest.mark.parametrize("kind", ["jsonl", "csv"])
def test_a_run_that_was_killed_again_and_again_ends_as_one_that_was_not(
    job: Job, monkeypatch: pytest.MonkeyPatch, kind: str, skip: bool
) -> None:
    Path("in.csv").write_bytes(table(300))
    if skip:
        for name, bad in (("in.jsonl", b'{"born":"soon"}\n[]\n'), ("in.csv", b"1,2\n1,2,soon,3,4\n")):
            Path(name).write_bytes(Path(name).read_bytes() + bad + Path(name).read_bytes().split(b"\n", 1)[1])
    job = replace(job, source=f"in.{kind}", target=f"whole.{kind}", report="whole")
    job.options = Options(piece=1000, skip=skip)
    whole = job.run()
    assert sum(whole.tally.refused.values()) == (2 if skip else 0)
    again = replace(job, target=f"out.{kind}", report="out.report", resume=True)
    resumed = []
    for pieces in (1, 4, 3, 2, 5):
        killed_after(again, pieces, monkeypatch)
    outcome = replace(again, progress=lambda progress: resumed.append(progress)).run()
    assert outcome.resumed_at > 0
    assert {progress.phase for progress in resumed} == {"check", "treat"}
    assert Path(f"out.{kind}").read_bytes() == Path(f"whole.{kind}").read_bytes()
    reports = [json.loads(Path(name).read_text()) for name in ("out.report.json", "whole.json")]
    for report in reports:
        del report["output"]
    assert reports[0] == reports[1]
    assert outcome.measured == whole.measured


RUN = """
import sys
from flask_rampart.anonymize.files import Job
from flask_rampart.anonymize.formats import Options
plan = open("plan.toml").read()
job = Job("in.jsonl", "out.jsonl", plan, key="00ff" * 16, options=Options(piece=4000), checkpoint=8000, resume=True, report="out.report")
job.progress = lambda progress: print(progress.phase, flush=True)
job.run()
print("done", flush=True)
"""


def test_kill_minus_nine_at_any_moment_leaves_what_can_be_gone_on_with(job: Job) -> None:
    Path("in.jsonl").write_bytes(lines(800))
    Path("plan.toml").write_text(PLAN)
    replace(job, target="whole.jsonl", report="whole").run()
    rounds = 0
    for told_before_death in (0, 5, 9, 1000):
        with subprocess.Popen([sys.executable, "-c", RUN], stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            treated = 0
            for line in iter(process.stdout.readline, b""):
                treated += line == b"treat\n"
                if treated > told_before_death:
                    process.send_signal(signal.SIGKILL)
            process.wait()
        rounds += 1
        if process.returncode == 0:
            break
        assert process.returncode == -signal.SIGKILL
        assert not Path("out.jsonl").exists()
    assert rounds > 2
    assert Path("out.jsonl").read_bytes() == Path("whole.jsonl").read_bytes()
    assert left() == WHOLE | {"whole.jsonl", "whole.json", "whole.html", "plan.toml"}


@pytest.mark.parametrize("call", ["link", "unlink", "fsync", "replace"])
def test_whoever_is_killed_at_the_very_end_is_finished_by_the_next_run(
    job: Job, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    replace(job, target="whole.jsonl", report=None).run()
    real: Callable[..., Any] = getattr(os, call)
    for fatal in range(1, 40):
        calls = 0

        def dies(*given: Any, fatal: int = fatal, **named: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == fatal:
                raise Killed
            return real(*given, **named)

        died = False
        with monkeypatch.context() as patched:
            patched.setattr(os, call, dies)
            patched.setattr(Part, "close", lambda part: part._file and part._file.close())
            try:
                replace(job, checkpoint=1 << 20).run()
            except Killed:
                died = True
        if not died:
            assert fatal > 1
            break
        try:
            replace(job, checkpoint=1 << 20, resume=True).run()
        except FileExistsError:
            # All was done but to end.
            assert {name for name in left() if "out" in name} == WHOLE
        assert Path("out.jsonl").read_bytes() == Path("whole.jsonl").read_bytes()
        assert {name for name in left() if "out" in name} == WHOLE
        for name in WHOLE:
            os.unlink(name)
    else:
        pytest.fail("it never came to an end")


def changed_input(job: Job) -> Job:
    os.utime("in.jsonl", ns=(1, 1))
    return job


def changed_bytes(job: Job) -> Job:
    there = os.stat("in.jsonl")
    data = bytearray(Path("in.jsonl").read_bytes())
    data[7:8] = b"7"
    Path("in.jsonl").write_bytes(data)
    os.utime("in.jsonl", ns=(there.st_atime_ns, there.st_mtime_ns))
    return job


def changed_part(job: Job) -> Job:
    with open(".out.jsonl.part", "r+b") as part:
        part.write(b"~")
    return job


def cut_part(job: Job) -> Job:
    os.truncate(".out.jsonl.part", 10)
    return job


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (changed_input, "the input changed"),
        (changed_bytes, "treated of the input is not what it was"),
        (lambda job: replace(job, plan=PLAN + "# new"), "the plan changed"),
        (lambda job: replace(job, key="11ff" * 16), "the key changed"),
        (lambda job: replace(job, options=Options(piece=1000, skip=True)), "an option changed"),
        (lambda job: replace(job, redact=("licence_key",)), "an option changed"),
        (changed_part, "what was written is not what it was"),
        (cut_part, "shorter than it was"),
        (lambda job: replace(job, resume=False), "--resume goes on with that"),
    ],
    ids=["time", "bytes", "plan", "key", "skip", "redact", "part", "cut", "unasked"],
)
def test_what_is_not_the_same_is_not_gone_on_with(
    job: Job, monkeypatch: pytest.MonkeyPatch, change: Callable[[Job], Job], why: str
) -> None:
    killed_after(job, 8, monkeypatch)
    job = change(replace(job, resume=True))
    # With --force or without: what is asked to go on is not begun anew, and says what to leave out.
    for force in (False, True) if job.resume else (False,):
        with pytest.raises(ResumeRefused, match=why) as told:
            replace(job, force=force).run()
        assert "--force without --resume" in str(told.value) or not job.resume
    assert ".out.jsonl.state" in left()
    # Nothing of the key or of any value is in what is remembered.
    state = Path(".out.jsonl.state").read_text()
    assert KEY not in state and "-01-01" not in state
    replace(job, resume=False, force=True).run()
    assert left() == WHOLE


def test_nothing_is_replaced_unasked_and_with_force_it_is_closed_to_others(job: Job) -> None:
    Path("out.jsonl").write_text("mine")
    os.chmod("out.jsonl", 0o644)
    for resume in (False, True):
        with pytest.raises(FileExistsError):
            replace(job, resume=resume).run()
    assert left() == {"out.jsonl"}
    assert Path("out.jsonl").read_text() == "mine"
    Path("out.jsonl").rename("old.jsonl")
    Path("out.report.html").write_text("mine, too")
    with pytest.raises(FileExistsError):
        job.run()
    assert left() == {"old.jsonl", "out.report.html"}
    Path("old.jsonl").rename("out.jsonl")
    replace(job, force=True).run()
    assert stat.S_IMODE(os.stat("out.jsonl").st_mode) == 0o600
    assert len(Path("out.jsonl").read_bytes().splitlines()) == 400


def test_what_came_while_the_run_was_at_work_is_not_replaced(job: Job) -> None:
    def come(progress: Progress) -> None:
        Path("out.jsonl").write_text("somebody else's")

    with pytest.raises(FileExistsError):
        replace(job, progress=come).run()
    assert Path("out.jsonl").read_text() == "somebody else's"


@pytest.mark.parametrize("force", [False, True])
def test_a_symbolic_link_is_not_written_through(job: Job, tmp_path: Path, force: bool) -> None:
    (tmp_path / "precious").write_text("precious")
    os.symlink(tmp_path / "precious", "out.jsonl")
    with pytest.raises(OSError, match="symbolic link"):
        replace(job, force=force).run()
    assert (tmp_path / "precious").read_text() == "precious"
    os.unlink("out.jsonl")
    os.symlink(tmp_path / "precious", ".out.jsonl.part")
    with pytest.raises(OSError):
        replace(job, force=force).run()
    assert (tmp_path / "precious").read_text() == "precious"


def test_two_runs_never_write_one_output(job: Job) -> None:
    refused = []

    def second(progress: Progress) -> None:
        with pytest.raises(OutputBusy) as told:
            replace(job, force=True).run()
        refused.append(told.value)

    replace(job, progress=second).run()
    assert refused
    assert left() == WHOLE


def test_the_output_is_never_the_input(job: Job) -> None:
    os.link("in.jsonl", "same.jsonl")
    for target in ("in.jsonl", "same.jsonl"):
        with pytest.raises(ConfigError, match="the output is the input"):
            replace(job, target=target, force=True).run()
    assert Path("in.jsonl").read_bytes() == lines(400)


def grown(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b'{"id":1}\n')


def swapped(path: Path) -> None:
    Path("other").write_bytes(path.read_bytes())
    os.replace("other", path)


@pytest.mark.parametrize("change", [grown, swapped, Path.unlink], ids=["grown", "swapped", "removed"])
def test_an_input_that_changes_while_it_is_read_gives_no_output(job: Job, change: Callable[[Path], None]) -> None:
    done = []

    def once(progress: Progress) -> None:
        if not done:
            change(Path("in.jsonl"))
            done.append(progress)

    with pytest.raises(InputChanged):
        replace(job, progress=once).run()
    assert left() == set()


def test_a_full_disk_leaves_what_can_be_gone_on_with(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    replace(job, target="whole.jsonl", report=None).run()

    class Full(io.FileIO):
        def write(self, data: Any) -> int:
            if self.tell() + len(data) > 9000:
                raise OSError(28, "No space left on device")
            return super().write(data)

    with monkeypatch.context() as patched:
        patched.setattr(
            Part, "file", property(lambda part: full.setdefault(part, Full(part._file.fileno(), "r+b", False)))
        )
        full: dict[Part, Full] = {}
        with pytest.raises(OSError, match="No space"):
            job.run()
    assert left() == {"whole.jsonl", ".out.jsonl.part", ".out.jsonl.state"}
    replace(job, resume=True).run()
    assert Path("out.jsonl").read_bytes() == Path("whole.jsonl").read_bytes()


def test_a_new_column_far_behind_ends_the_run_and_nothing_is_left(job: Job) -> None:
    data = lines(300) + b'{"id":1,"surprise":"ann@example.org"}\n' + lines(100)
    Path("in.jsonl").write_bytes(data)
    plan = PLAN.replace('"keep"', '"refuse"').replace("[columns]", '[columns]\nill = "keep"\npad = "keep"')
    with pytest.raises(FileRefused) as told:
        replace(job, plan=plan).run()
    assert (told.value.where, told.value.code, told.value.column) == ("line 301", "column", "surprise")
    assert left() == set()
    outcome = replace(job, plan=plan, options=Options(piece=1000, skip=True)).run()
    assert outcome.refusals == [("line 301", "column", "surprise")]
    assert (outcome.tally.read, outcome.tally.written, outcome.tally.refused) == (401, 400, {"column": 1})


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"source": "in.csv"}, "formats are not changed"),
        ({"source": "-", "target": "-"}, "what format is it"),
        ({"source": "-", "resume": True}, "a pipe cannot be read"),
        ({"format": "parquet", "source": "-"}, "not read from a pipe"),
        ({"key": None}, "needs a key"),
    ],
    ids=["two", "none", "resume", "parquet", "key"],
)
def test_what_cannot_be_is_said_at_once(job: Job, given: dict[str, Any], why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        replace(job, **given).run()
    assert left() == set()


def test_parquet_without_its_library_says_what_to_install(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("pyarrow", "pyarrow.parquet"):
        monkeypatch.setitem(sys.modules, name, None)
    Path("in.parquet").write_bytes(b"PAR1")
    with pytest.raises(ConfigError, match=r"flask-rampart\[anonymize\]"):
        replace(job, source="in.parquet", target="out.parquet").run()


@pytest.mark.parametrize("how", [{}, {"force": True}, {"resume": True}], ids=["plain", "force", "resume"])
@pytest.mark.parametrize("name", ["in", "plan", "key", "out", ".out.jsonl"])
def test_a_report_never_replaces_what_is_read_or_made(job: Job, how: dict[str, bool], name: str) -> None:
    kept = {"in.html": lines(9), "plan.html": PLAN.encode(), "key.json": KEY.encode()}
    for path, data in kept.items():
        Path(path).write_bytes(data)
    os.link("in.html", "in.json")
    job = replace(job, source="in.html", key=None, key_file="key.json", plan_file="plan.html", format="jsonl", **how)
    target = {"out": "out.html", ".out.jsonl": "out.jsonl"}.get(name, "out.jsonl")
    if name == ".out.jsonl":
        os.symlink("in.html", ".out.jsonl.html")
    with pytest.raises(ConfigError, match="a report is"):
        replace(job, target=target, report=name).run()
    assert {path: Path(path).read_bytes() for path in kept} == kept
    assert not Path(target).exists()


def test_a_report_of_another_run_is_not_replaced_where_nothing_is_gone_on_with(job: Job) -> None:
    Path("out.report.html").write_text("mine")
    with pytest.raises(FileExistsError):
        replace(job, resume=True).run()
    assert left() == {"out.report.html"} and Path("out.report.html").read_text() == "mine"


def test_a_run_that_is_gone_on_with_replaces_its_own_reports_and_no_others(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed_after(job, 8, monkeypatch)
    Path("notes.json").write_text("mine")
    # Neither a name that is new to it, nor its own, which somebody else has taken before it had come so far.
    for name in ("notes", "out.report"):
        Path("out.report.json").write_text("mine as well")
        with pytest.raises(FileExistsError):
            replace(job, resume=True, report=name).run()
    assert Path("notes.json").read_text() == "mine" and Path("out.report.json").read_text() == "mine as well"
    os.unlink("out.report.json")
    # It is killed when one report is there, and again before it comes to the next.
    real = os.replace

    def dies(source: Any, target: Any) -> None:
        if str(target).endswith(".html"):
            raise Killed
        real(source, target)

    with monkeypatch.context() as patched:
        patched.setattr(Part, "close", lambda part: part._file and part._file.close())
        patched.setattr(os, "replace", dies)
        with pytest.raises(Killed):
            replace(job, resume=True).run()
    assert Path("out.report.json").exists()

    def dies_before(part: Part, name: str) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(Part, "close", lambda part: part._file and part._file.close())
        patched.setattr(Part, "report", dies_before)
        with pytest.raises(Killed):
            replace(job, resume=True).run()
    with pytest.raises(FileExistsError):
        replace(job, resume=True, report="notes").run()
    replace(job, resume=True).run()
    assert left() == WHOLE | {"notes.json"} and Path("notes.json").read_text() == "mine"


def test_a_report_that_came_while_the_run_was_at_work_is_not_replaced(job: Job) -> None:
    def came(progress: Progress) -> None:
        Path("out.report.html").write_text("mine")

    with pytest.raises(FileExistsError):
        replace(job, progress=came).run()
    assert Path("out.report.html").read_text() == "mine" and not Path("out.jsonl").exists()
    os.unlink("out.report.html")
    replace(job, resume=True).run()
    assert left() == WHOLE


def test_a_job_shows_no_key_and_carries_none(job: Job) -> None:
    assert KEY not in repr(job)
    with pytest.raises(TypeError, match="never pickled"):
        pickle.dumps(job)
    assert b"key_file" in pickle.dumps(replace(job, key=None, key_file="key", progress=print))


def test_a_part_that_was_given_away_is_not_taken_from_the_next_run(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    first = Part(Path("out.jsonl"), {}, resume=False, force=True)
    first.file.write(b"whole")
    first.checkpoint({"length": 5})
    tidy, other = Part.tidy, list[Part]()

    def slowly(part: Part) -> None:
        # The part's name is free, and the second run has it.
        if part is first:
            other.append(Part(Path("out.jsonl"), {}, resume=False, force=True))
            other[0].file.write(b"half")
            other[0].checkpoint({"length": 4})
        tidy(part)

    monkeypatch.setattr(Part, "tidy", slowly)
    first.commit()
    first.close()
    assert {".out.jsonl.part", ".out.jsonl.state"} <= left()
    with pytest.raises(OutputBusy):
        Part(Path("out.jsonl"), {}, resume=False, force=True)
    # Somebody takes it away all the same.
    os.unlink(".out.jsonl.part")
    Path(".out.jsonl.part").write_bytes(b"a third's half")
    with pytest.raises(OutputBusy, match="replaced"):
        other[0].commit()
    other[0].close()
    assert Path("out.jsonl").read_bytes() == b"whole"


def test_a_head_of_csv_that_does_not_end_makes_no_names_of_records(job: Job) -> None:
    Path("in.csv").write_bytes(b'name,"note\nAnn,1\nBob,2\n')
    with pytest.raises(ConfigError, match="does not end"):
        replace(job, source="in.csv", target="out.csv").run()
    assert left() == set()


@pytest.mark.parametrize(
    ("rows", "out"),
    [
        (b'Zed,x\n5" nail,"unclosed\nAnn,1\nBob,2\n', None),
        (b'6" nail,c\n', b'name,note\n"6"" nail",c\n'),
        (b'6" nail,c', b'name,note\n"6"" nail",c\n'),
    ],
    ids=["even and open", "odd and closed", "without a line end"],
)
def test_a_quotation_mark_that_is_a_letter_closes_nothing_and_opens_nothing(
    job: Job, rows: bytes, out: bytes | None
) -> None:
    Path("in.csv").write_bytes(b"name,note\n" + rows)
    job = replace(job, source="in.csv", target="out.csv", plan='default = "keep"', report=None)
    if out is None:
        with pytest.raises(FileRefused, match="quote"):
            job.run()
        assert left() == set()
    else:
        job.run()
        assert Path("out.csv").read_bytes() == out
