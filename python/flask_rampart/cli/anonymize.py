"""``flask rampart anonymize``: a file of records, treated by a plan. It needs no app."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

import click

from ..anonymize import AnonymizeRefused
from ..anonymize.files import FORMATS, FileRefused, Job, Outcome, read_plan
from ..anonymize.files.part import beside
from ..anonymize.formats import Options
from ..errors import RampartError
from .anonymize_keyset import sealer_of, with_keyset
from .anonymize_trial import sampled, show_trial
from .progress import Bar
from .vault.choosing import shown

_HELP = """Treat the records of INPUT by a plan, and write the same file without what tells people apart.

INPUT and OUTPUT are JSON Lines, CSV or Parquet, as their names say; - is the standard input or output. OUTPUT is
there whole or not at all, with mode 0600; beside it are OUTPUT.report.html and OUTPUT.report.json.

\b
Exit codes:
  0    all records were passed on
  1    it cannot be done: the plan, a file, a disk, another run
  2    the words on the command line
  3    done, but refused records were left out (--on-refusal skip)
  4    a record was refused, and nothing was written
  130  interrupted; --resume goes on with what is done
  143  terminated (SIGTERM); the same
"""


class _Stopped(click.ClickException):
    exit_code = 4


class _Interrupted(click.ClickException):
    exit_code = 130


class _Ended(click.ClickException):
    exit_code = 143


class _Terminated(KeyboardInterrupt):
    """SIGTERM: what a service manager sends. It ends a run as an interrupt does."""


@click.command("anonymize", help=_HELP, short_help="Treat a file of records by a plan.")
@click.argument("source", metavar="INPUT")
@click.option("-o", "--output", "target", metavar="OUTPUT", help="Where the result goes.")
@click.option("--plan", "plan_path", metavar="FILE", required=True, help="Which rule each column has, in TOML.")
@click.option(
    "--key-file",
    metavar="FILE",
    envvar="RAMPART_ANONYMIZE_KEY_FILE",
    show_envvar=True,
    help="Hexadecimal digits of the key, at least 64 (openssl rand -hex 32).",
)
@with_keyset
@click.option("--redact", multiple=True, metavar="NAME", help="A further name whose values are secret.")
@click.option("--format", "kind", type=click.Choice(sorted(FORMATS)), help="Not given: by the files' names.")
@click.option(
    "--on-refusal",
    type=click.Choice(("stop", "skip")),
    default="stop",
    show_default=True,
    help="What a refused record does: end the run, or be left out and counted.",
)
@click.option("--resume", is_flag=True, help="Go on with what a run did that was killed; begin if there is none.")
@click.option("--force", is_flag=True, help="Replace OUTPUT, or forget what an earlier run left.")
@click.option("--report", metavar="NAME", help="Write the reports to NAME.html and NAME.json.")
@click.option("--no-report", is_flag=True, help="Write none.")
@click.option("--dry-run", is_flag=True, help="Write nothing; tell what each rule would do.")
@click.option("--sample", type=click.IntRange(1, 100_000), metavar="N", help="The same, of the first N records.")
@click.option("--show-values", is_flag=True, help="With --dry-run or --sample: show some values before and after.")
@click.option("-j", "--jobs", type=click.IntRange(1, 512), metavar="N", help="Threads; not given: one for each core.")
@click.option("-q", "--quiet", is_flag=True, help="Tell nothing but errors.")
@click.option(
    "--max-record",
    type=click.IntRange(1, 1 << 20),
    default=16,
    show_default=True,
    metavar="MIB",
    help="Longest record.",
)
@click.option(
    "--max-entries",
    type=click.IntRange(1, 1_000_000_000),
    default=1_000_000,
    show_default=True,
    metavar="N",
    help="Most classes and values that are measured, some 50 bytes each.",
)
@click.option("--delimiter", default=None, metavar="CHAR", help="CSV: between fields; a comma, or a tab in .tsv.")
@click.option("--quote", default='"', metavar="CHAR", help="CSV: around fields.")
@click.option("--columns", metavar="NAMES", help="CSV: names of the columns, with commas; the file has none then.")
@click.option("--csv-safe", is_flag=True, help="CSV: a cell that a spreadsheet would compute gets an apostrophe.")
def anonymize(source: str, target: str | None, plan_path: str, **given: Any) -> None:
    trial = given["dry_run"] or given["sample"] is not None
    if trial and target is not None:
        raise click.UsageError("--dry-run and --sample write nothing: leave -o away.")
    if not trial and target is None:
        raise click.UsageError("Name the output with -o, or try the plan with --dry-run.")
    if given["show_values"] and not trial:
        raise click.UsageError("--show-values is for --dry-run and --sample.")
    if given["show_values"] and source == "-" and given["sample"] is None:
        raise click.UsageError("--show-values of a pipe, which is read once, needs --sample.")
    if given["report"] and given["no_report"]:
        raise click.UsageError("--report and --no-report: one of the two.")
    bar = None if given["quiet"] else Bar(sys.stderr)
    try:
        _end_by_exception()
        job = _job(source, target, plan_path, given)
        if bar is not None:
            job.progress = bar
        if given["sample"] is not None:
            sampled(job, given["sample"])
        outcome = job.run()
        if target == "-":
            sys.stdout.buffer.flush()
        if bar is not None:
            bar.close()
        if trial:
            show_trial(job, outcome, values=given["show_values"])
        if not given["quiet"]:
            _tell(job, outcome)
    except FileRefused as error:
        kept = " Records before it were written." if target == "-" else " Nothing was written." if target else ""
        # Where records have no ends, nothing can be left out.
        hint = "" if given["on_refusal"] == "skip" else " --on-refusal skip leaves such records out."
        name = "standard input" if source == "-" else shown(source)
        raise _ended(bar, _Stopped(f"{name}: {error}.{kept}{hint}")) from None
    except KeyboardInterrupt as stop:
        hint = " --resume goes on with what is done." if _is_left(target) else ""
        if isinstance(stop, _Terminated):
            raise _ended(bar, _Ended(f"terminated.{hint}")) from None
        raise _ended(bar, _Interrupted(f"interrupted.{hint}")) from None
    except BrokenPipeError:
        raise _ended(bar, click.ClickException("the reader of the output went away")) from None
    except OSError as error:
        why = f"{error.filename}: {error.strerror}" if error.filename else str(error.strerror or error)
        hint = ". --resume goes on with what is done, if there is room for more" if _is_left(target) else ""
        raise _ended(bar, click.ClickException(why + (hint if error.filename is None else ""))) from None
    except (RampartError, AnonymizeRefused, MemoryError, RuntimeError) as error:
        raise _ended(bar, click.ClickException(str(error) or "out of memory")) from None
    if sum(outcome.tally.refused.values()):
        raise SystemExit(3)


def _end_by_exception() -> None:
    """Lets SIGTERM end the run of this context as an interrupt."""

    def end(number: int, frame: FrameType | None) -> NoReturn:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise _Terminated

    try:
        before = signal.signal(signal.SIGTERM, end)
    except ValueError:
        return  # not the main thread: its signals are another's
    click.get_current_context().call_on_close(lambda: signal.signal(signal.SIGTERM, before))


def _is_left(target: str | None) -> bool:
    """Whether there is what can be gone on with: a run that ended before it first remembered has nothing."""
    return target not in (None, "-") and beside(Path(target or ""))[1].exists()


def _job(source: str, target: str | None, plan_path: str, given: dict[str, Any]) -> Job:
    tabs = any(name is not None and Path(name).suffix.lower() == ".tsv" for name in (source, target))
    names = given["columns"]
    options = Options(
        skip=given["on_refusal"] == "skip",
        longest=given["max_record"] << 20,
        max_entries=given["max_entries"],
        csv_delimiter=given["delimiter"] or ("\t" if tabs else ","),
        csv_quote=given["quote"],
        csv_columns=None if names is None else tuple(names.split(",")),
        csv_safe=given["csv_safe"],
    )
    sealer = sealer_of(given, source)
    report = given["report"] or (f"{target}.report" if target not in (None, "-") else None)
    return Job(
        source,
        target,
        read_plan(plan_path),
        key_file=given["key_file"],
        redact=given["redact"],
        format=given["kind"],
        options=options,
        jobs=given["jobs"],
        resume=given["resume"],
        force=given["force"],
        report=None if given["no_report"] else report,
        streams=(sys.stdin.buffer, sys.stdout.buffer),
        plan_file=plan_path,
        sealer=sealer,
        kept=() if sealer is None else sealer.files(),
    )


def _ended(bar: Bar | None, error: click.ClickException) -> click.ClickException:
    if bar is not None:
        bar.close()
    return error


def _tell(job: Job, outcome: Outcome) -> None:
    """What was done, in a few lines on standard error."""
    if outcome.already:
        click.echo(f"{job.target} is complete: an earlier run ended right behind that.", err=True)
        return
    tally = outcome.tally
    refused = sum(tally.refused.values())
    done = f"{tally.written:,} of {tally.read:,} records " + ("written" if job.target else "would be written")
    click.echo(f"{done}, {refused:,} refused.", err=True)
    if refused:
        codes = ", ".join(f"{code} {count:,}" for code, count in sorted(tally.refused.items()))
        click.echo(f"Refused: {codes}.", err=True)
        for where, code, column in outcome.refusals[:5]:
            click.echo(f"  {where}: {code}{f', column {shown(column)}' if column else ''}", err=True)
    for path in outcome.unmet:
        click.echo(f"Warning: no record has the column {shown(path)}, which the plan names. Is it mistyped?", err=True)
    if outcome.measured is not None:
        for name, side in (("before", outcome.measured.before), ("after", outcome.measured.after)):
            if isinstance(side, str):
                click.echo(f"Not measured {name}: {side}.", err=True)
            else:
                click.echo(f"k-anonymity {name}: {side.k} ({side.rows:,} rows in {side.classes:,} classes).", err=True)
    if job.report is not None and job.target not in (None, "-"):
        click.echo(f"Report: {job.report}.html and {job.report}.json", err=True)
