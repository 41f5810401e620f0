"""``flask rampart anonymize``: what is typed, what is told, and with which code it ends."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from flask_rampart.anonymize.files import Job, Progress
from flask_rampart.cli import commands
from flask_rampart.cli.progress import Bar, duration, size

PLAN = """
default = "redact"
quasi_identifiers = ["born"]
[columns.born]
do = "date"
to = "decade"
[columns.id]
do = "pseudonym"
scope = "id"
"""
LINES = (
    '{"id": 1, "born": "1984-05-09", "note": "write to ann@example.org"}\n'
    '{"id": 2, "born": "1986-01-02", "note": "likes tea"}\n'
)


@pytest.fixture(autouse=True)
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RAMPART_ANONYMIZE_KEY_FILE", "plan.key")
    Path("plan.toml").write_text(PLAN)
    Path("plan.key").write_text("00ff" * 16)
    Path("in.jsonl").write_text(LINES)


def run(*words: str, stdin: bytes | None = None) -> Result:
    return CliRunner().invoke(commands, ["anonymize", "--plan", "plan.toml", *words], input=stdin)


def test_a_file_is_treated_and_it_is_told_what_was_done() -> None:
    told = run("in.jsonl", "-o", "out.jsonl")
    assert told.exit_code == 0
    assert told.stdout == ""
    assert told.stderr == (
        "2 of 2 records written, 0 refused.\n"
        "k-anonymity before: 1 (2 rows in 2 classes).\n"
        "k-anonymity after: 2 (2 rows in 1 classes).\n"
        "Report: out.jsonl.report.html and out.jsonl.report.json\n"
    )
    first, second = map(json.loads, Path("out.jsonl").read_text().splitlines())
    assert (first["born"], first["note"]) == ("1980s", "write to [REDACTED:EMAIL_ADDRESS]")
    assert (second["born"], second["note"]) == ("1980s", "likes tea")


def test_quiet_tells_nothing_and_a_plan_may_ask_for_no_report() -> None:
    told = run("in.jsonl", "-o", "out.jsonl", "--quiet", "--no-report")
    assert (told.exit_code, told.output) == (0, "")
    assert sorted(os.listdir()) == ["in.jsonl", "out.jsonl", "plan.key", "plan.toml"]


def test_a_trial_tells_what_each_rule_does_and_shows_values_only_if_asked() -> None:
    told = run("in.jsonl", "--dry-run")
    assert told.exit_code == 0
    assert told.stdout == (
        "COLUMN  RULE             VALUES  NULLS  KEPT  CHANGED  DROPPED  SUPPRESSED  REFUSED  FOUND\n"
        "born    date             2       0      0     2        0        0           0        -\n"
        "id      pseudonym        2       0      0     2        0        0           0        -\n"
        "note    default: redact  2       0      1     1        0        0           0        EMAIL_ADDRESS 1\n"
    )
    assert "2 of 2 records would be written" in told.stderr
    assert "1984" not in told.output
    shown = run("in.jsonl", "--sample", "1", "--show-values").stdout
    assert 'born    "1984-05-09"                ->  "1980s"' in shown
    assert "1986" not in shown
    assert sorted(os.listdir()) == ["in.jsonl", "plan.key", "plan.toml"]


def test_a_trial_of_a_table_shows_its_values() -> None:
    Path("in.csv").write_text("id,born,note\n1,1984-05-09,x\n,1986-01-02,\x1b[2J\n3,soon,y\n")
    shown = run("in.csv", "--sample", "2", "--show-values")
    assert shown.exit_code == 0
    assert "born    1984-05-09  ->  1980s" in shown.stdout
    # What is shown does not command the terminal.
    assert "\x1b" not in shown.stdout and "note    ?[2J" in shown.stdout


def test_the_pages_console_is_what_is_told() -> None:
    page = (Path(__file__).parent.parent / "docs" / "anonymize-files.md").read_text()
    for name, kind in (("plan.toml", "toml"), ("people.jsonl", "json")):
        Path(name).write_text(page.split(f"```{kind}\n")[1].split("```")[0])
    shown = re.findall(r"```console\n\$ flask rampart (.*?)\n(.*?)```", page, re.S)
    assert len(shown) == 2
    for words, output in shown:
        told = CliRunner().invoke(commands, words.split())
        assert told.stdout + told.stderr == output


def test_a_pipe_is_treated_from_standard_input_to_standard_output() -> None:
    told = run("-", "-o", "-", "--format", "jsonl", stdin=LINES.encode())
    assert told.exit_code == 0
    assert [json.loads(line)["born"] for line in told.stdout.splitlines()] == ["1980s", "1980s"]
    assert "2 of 2 records written" in told.stderr


def test_a_refused_record_ends_it_with_four_or_is_left_out_with_three() -> None:
    Path("in.jsonl").write_text(LINES + '{"id": 3, "born": "soon"}\nnot JSON\n')
    told = run("in.jsonl", "-o", "out.jsonl")
    assert told.exit_code == 4
    assert told.stderr == (
        "Error: in.jsonl: line 3 is refused: date, column 'born'. Nothing was written. "
        "--on-refusal skip leaves such records out.\n"
    )
    assert sorted(os.listdir()) == ["in.jsonl", "plan.key", "plan.toml"]
    told = run("in.jsonl", "-o", "out.jsonl", "--on-refusal", "skip")
    assert told.exit_code == 3
    assert "2 of 4 records written, 2 refused.\nRefused: date 1, json 1.\n" in told.stderr
    assert "  line 3: date, column born\n  line 4: json\n" in told.stderr
    assert "soon" not in told.stderr


def test_a_rule_that_meets_nothing_is_told() -> None:
    Path("plan.toml").write_text(PLAN + '[columns."home.zpi"]\ndo = "drop"\n')
    told = run("in.jsonl", "-o", "out.jsonl")
    assert "Warning: no record has the column home.zpi, which the plan names. Is it mistyped?\n" in told.stderr
    assert json.loads(Path("out.jsonl.report.json").read_text())["unmet"] == ["home.zpi"]


@pytest.mark.parametrize(
    ("words", "code", "why"),
    [
        (["in.jsonl"], 2, "Name the output with -o"),
        (["in.jsonl", "-o", "x.jsonl", "--dry-run"], 2, "leave -o away"),
        (["in.jsonl", "-o", "x.jsonl", "--show-values"], 2, "--show-values is for"),
        (["-", "--format", "jsonl", "--dry-run", "--show-values"], 2, "needs --sample"),
        (["in.jsonl", "-o", "x.jsonl", "--report", "r", "--no-report"], 2, "one of the two"),
        (["gone.jsonl", "-o", "x.jsonl"], 1, "gone.jsonl: No such file"),
        (["in.jsonl", "-o", "in.jsonl", "--force"], 1, "the output is the input"),
        (["in.jsonl", "-o", "plan.toml", "--force"], 1, "the output is the plan"),
        (["in.jsonl", "-o", "in.csv", "--format", "jsonl"], 1, "it is there already: --force replaces it"),
        (["in.jsonl", "-o", "no/where.jsonl"], 1, "No such file"),
        (["in.jsonl", "-o", "x.csv"], 1, "formats are not changed"),
        (["in.jsonl", "-o", "x.jsonl", "--key-file", "gone"], 1, "cannot be read as a file of hexadecimal digits"),
        (["in.jsonl", "-o", "x.jsonl", "--plan", "gone"], 1, "cannot be read as a plan"),
        (["-", "-o", "x.jsonl", "--resume"], 1, "a pipe cannot be read"),
        (["in.csv", "-o", "x.csv", "--delimiter", ",,"], 1, "one byte each"),
    ],
    ids=lambda given: str(given).replace(" ", "")[:40] if isinstance(given, list) else "",
)
def test_what_cannot_be_is_said_in_one_line(words: list[str], code: int, why: str) -> None:
    Path("in.csv").write_text("id,born\n")
    told = run(*words)
    assert told.exit_code == code
    assert why in told.stderr
    assert "Traceback" not in told.output


def test_it_runs_where_no_app_can_be_loaded() -> None:
    words = [sys.executable, "-m", "flask", "--app", "nowhere", "rampart", "anonymize", "in.jsonl", "-o", "out.jsonl"]
    done = subprocess.run([*words, "--plan", "plan.toml"], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert "2 of 2 records written" in done.stderr


INTERRUPTED = """
import os, signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever runs the tests in the background ignores it
from flask_rampart.anonymize import files
from flask_rampart.cli import anonymize, commands
import flask_rampart.cli.anonymize as command
make = command._job
def job(*given):
    made = make(*given)
    made.checkpoint, made.options = 100, type(made.options)(piece=200)
    return made
command._job = job
class Interrupting(command.Bar):
    def __call__(self, progress):
        if progress.done > 1000 and progress.phase == "treat":
            os.kill(os.getpid(), signal.SIGINT)
        super().__call__(progress)
command.Bar = Interrupting
commands(["anonymize", "in.jsonl", "-o", "out.jsonl", "--plan", "plan.toml", "--resume"])
"""


def test_an_interrupted_run_says_how_to_go_on_and_goes_on() -> None:
    Path("in.jsonl").write_text(LINES * 30)
    script = INTERRUPTED.replace(
        "import flask_rampart.cli.anonymize as command",
        "import sys\ncommand = sys.modules['flask_rampart.cli.anonymize']",
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert done.returncode == 130, done.stderr
    assert "interrupted. --resume goes on with what is done." in done.stderr
    assert {".out.jsonl.part", ".out.jsonl.state"} <= set(os.listdir())


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_bar_on_a_terminal_tells_share_rate_and_time_left() -> None:
    now = [0.0]
    screen = Terminal()
    bar = Bar(screen, clock=lambda: now[0], width=90)
    for second in range(1, 7):
        now[0] = float(second)
        bar(Progress("treat", second * 100_000_000, 1_000_000_000, second * 10, 3 if second > 5 else 0))
    lines = screen.getvalue().split("\r")
    assert lines[5].rstrip() == "treating [" + "#" * 18 + "." * 18 + "]  50% 500 MB of 1 GB, 100 MB/s, 0:05 left"
    assert lines[6].rstrip().endswith("60% 600 MB of 1 GB, 100 MB/s, 0:04 left, 3 refused")
    assert {len(line) for line in lines[1:]} == {89}
    bar.close()
    assert screen.getvalue().endswith("\r" + " " * 89 + "\r")


@pytest.mark.parametrize("width", [20, 40, 60, 80, 200])
def test_a_bar_never_breaks_its_line(width: int) -> None:
    now = [0.0]
    screen = Terminal()
    bar = Bar(screen, clock=lambda: now[0], width=width)
    for total in (None, 10**12):
        for step in range(5):
            now[0] += 1
            bar(Progress("check", step * 10**11, total, step, 10**6))
    assert {len(line) for line in screen.getvalue().split("\r")[1:]} == {width - 1}


def test_elsewhere_a_line_is_told_now_and_then() -> None:
    now = [0.0]
    log = io.StringIO()
    bar = Bar(log, clock=lambda: now[0])
    for second in range(25):
        now[0] = float(second)
        bar(Progress("treat", second * 1_500_000, None, second, 0))
    bar.close()
    assert log.getvalue() == "treating: 15 MB, 1.5 MB/s\ntreating: 30 MB, 1.5 MB/s\n"


def test_sizes_and_durations_are_short() -> None:
    assert [size(count) for count in (0, 999, 1000, 1_550_000, 999_600_000, 10**12)] == [
        "0 B",
        "999 B",
        "1 kB",
        "1.55 MB",
        "1 GB",
        "1 TB",
    ]
    assert [duration(of) for of in (0.4, 59.6, 3599, 3723)] == ["0:00", "1:00", "59:59", "1:02:03"]


def test_values_are_shown_beside_their_own_record_where_others_are_left_out() -> None:
    Path("in.csv").write_text("id,born,note\n1,soon,a\n2,1984-05-09,b\n3,1,2,3\n4,1986-01-02,c\n")
    told = run("in.csv", "--dry-run", "--show-values", "--on-refusal", "skip")
    assert told.exit_code == 3
    shown = [line.split() for line in told.stdout.partition("BEFORE")[2].splitlines()]
    assert [line for line in shown if line[:1] == ["note"]] == [["note", "b", "->", "b"], ["note", "c", "->", "c"]]
    assert [line[1:] for line in shown if line[:1] == ["born"]] == [
        ["1984-05-09", "->", "1980s"],
        ["1986-01-02", "->", "1980s"],
    ]


def test_skipping_is_not_advised_to_whoever_skips() -> None:
    Path("in.csv").write_text('id,born,note\n1,1984-05-09,"open\n')
    told = run("in.csv", "-o", "out.csv", "--on-refusal", "skip")
    assert (told.exit_code, "--on-refusal" in told.stderr) == (4, False)
    told = run("in.csv", "-o", "out.csv")
    assert (told.exit_code, "--on-refusal skip" in told.stderr) == (4, True)


@pytest.fixture
def _interruptible() -> Iterator[None]:
    """As in a terminal: whoever runs the tests in the background ignores this signal."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_interruptible")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_going_on_is_advised_only_where_something_is_left(
    monkeypatch: pytest.MonkeyPatch, number: signal.Signals, code: int
) -> None:
    before = signal.getsignal(signal.SIGTERM)

    def ended(job: Job) -> None:
        os.kill(os.getpid(), number)
        for _ in range(100):
            time.sleep(0.01)

    monkeypatch.setattr(Job, "run", ended)
    told = run("in.jsonl", "-o", "out.jsonl")
    assert (told.exit_code, "--resume" in told.stderr) == (code, False)
    Path(".out.jsonl.state").write_text("{}")
    told = run("in.jsonl", "-o", "out.jsonl")
    assert (told.exit_code, "--resume" in told.stderr) == (code, True)
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_report_named_as_the_plan_does_not_replace_it() -> None:
    Path("plan.toml").rename("plan.json")
    told = CliRunner().invoke(
        commands, ["anonymize", "--plan", "plan.json", "in.jsonl", "-o", "out.jsonl", "--report", "plan", "--force"]
    )
    assert told.exit_code == 1 and "a report is the plan" in told.stderr
    assert Path("plan.json").read_text() == PLAN


def test_a_path_of_a_plan_commands_no_terminal() -> None:
    Path("plan.toml").write_text(
        PLAN + '[columns."a\\u001bc"]\ndo = "drop"\n[columns."b\\u001bc"]\ndo = "date"\nto = "year"\n'
    )
    Path("in.jsonl").write_text('{"a\\u001bc": 1}\n{"b\\u001bc": "soon"}\n')
    for words in (("--dry-run",), ("-o", "out.jsonl"), ("--dry-run", "--on-refusal", "skip")):
        told = run("in.jsonl", *words)
        assert "\x1b" not in told.output and "\\x1bc" in told.output, words
