"""``flask rampart migrate``: from five extensions to one, import by import.

Exit codes: 0, there is nothing to change, or it was shown or written; 1, ``--check`` found something to change; 2, a
file of Python that names one of the extensions, or of which nothing is known, could not be read or written, which is
told, or LibCST is missing.

It needs no app: nothing of the project is imported.
"""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .audit import safe

if TYPE_CHECKING:
    from ..migrate import Report
    from ..migrate.differences import Concerned
    from ..migrate.incumbents import Incumbent

_COULD_NOT = 2
_WIDEST, _NARROWEST = 100, 50


@click.command(
    "migrate",
    short_help="Move a project from five extensions to our faces.",
    help="Move a project to Flask-Rampart's faces of five other extensions. Needs no app.",
)
@click.option("--check", "is_check", is_flag=True, help="Write nothing; exit with 1 if there is something to change.")
@click.option("--write", "is_write", is_flag=True, help="Change the imports.")
@click.argument("path", type=click.Path(exists=True, path_type=Path), default=".")
def migrate(is_check: bool, is_write: bool, path: Path) -> None:
    if is_check and is_write:
        raise click.UsageError("--check writes nothing, and --write does: name one of them.")
    # Not above: no other command needs what this one does.
    from ..migrate import is_ready, look

    if not is_ready():
        click.echo("Not looked at: LibCST is missing. pip install flask-rampart[migrate]", err=True)
        raise SystemExit(_COULD_NOT)
    report = look(path)
    if is_check:
        for each in report.changed:
            click.echo(f"{safe(each.shown)}: {_count(len(each.imports.edits), 'import')} to change")
    elif not is_write:
        _print_diff(report)
    failed = _write(report) if is_write else 0
    # Lines are told as they are now.
    now = look(path) if is_write and report.changed else report
    _print_left(now)
    if not is_check:
        _print(now, report.moved())
    for shown, why in report.not_read:
        click.echo(f"{safe(shown)} names what this is about, and is not read: {safe(why)}.", err=True)
    for shown, why in report.unknown:
        click.echo(f"{safe(shown)} cannot be read, and may name what this is about: {safe(why)}.", err=True)
    for note in report.notes:
        click.echo(safe(note), err=True)
    _close(report, path, is_check=is_check, is_write=is_write, failed=failed)
    if is_check and report.changed:
        raise SystemExit(1)
    if failed or report.not_read or report.unknown:
        raise SystemExit(_COULD_NOT)


def _print_diff(report: Report) -> None:
    for changed in report.changed:
        for line in changed.diff():
            colour = {"-": "red", "+": "green", "@": "cyan"}.get(line[:1])
            # Tabs are what they look like, and hide nothing.
            text = "\t".join(map(safe, line.split("\t")))
            click.echo(click.style(text, fg=colour, bold=line.startswith(("---", "+++"))))
        click.echo()


def _write(report: Report) -> int:
    from ..migrate import NotWritten, write

    # Told after all is written: who reads may have had enough by then (`| head -1`).
    told: list[tuple[str, bool]] = []
    for changed in report.changed:
        try:
            write(changed.path, changed.before, changed.after)
            told.append((f"{safe(changed.shown)}: {_count(len(changed.imports.edits), 'import')} changed", False))
        except NotWritten as error:
            told.append((f"{safe(changed.shown)} is not written: {error}.", True))
    for line, is_failure in told:
        click.echo(line, err=is_failure)
    failed = sum(is_failure for _, is_failure in told)
    if report.changed:
        click.echo()
    return failed


def _print_left(report: Report) -> None:
    if report.left:
        _title("Stays, and is for you to change")
        _print_places([(str(place), left.why) for place, left in report.left])


def _print(report: Report, moved: list[Incumbent]) -> None:
    from ..migrate.differences import concerning, differences

    _print_settings(report, moved)
    if moved:
        _title("What will behave differently")
    for incumbent in moved:
        found = list(concerning(incumbent, report.facts))
        all_ = len(differences(incumbent))
        _say(f"{incumbent.name} -> {incumbent.face}")
        _print_differences(found)
        rest = f"; the other {all_ - len(found)} are about what was not found here" if len(found) < all_ else ""
        _say(f"{len(found)} of the {all_} differences in {incumbent.docs}{rest}.", "  ")
        click.echo()
    _print_requirements(report, moved)


def _print_settings(report: Report, moved: list[Incumbent]) -> None:
    from ..migrate.judging import options_of, settings_of

    rows, refused = [], []
    for incumbent in moved:
        for judged in settings_of(report.facts, incumbent):
            told = "read as before" if judged.is_judged else "not judged: its value is not written there"
            if not judged.is_known:
                told = f"none of {incumbent.name}'s. {judged.refused}".rstrip()
            elif judged.refused:
                told = "refused, see below"
            rows.append((judged.name, str(judged.place), told))
            refused += [judged] if judged.is_known and judged.refused else []
        refused += options_of(report.facts, incumbent)
    if rows:
        _title("Settings")
        first, second = (max(len(row[column]) for row in rows) for column in (0, 1))
        for name, place, told in rows:
            if first + second + 24 <= _width():
                _say(told, f"  {name:<{first}}  {safe(place):<{second}}  ")
            else:
                _say(f"{place}: {told}", f"  {name}  ", "      ")
        click.echo()
    if refused:
        _title("Stops the start-up, or the first use in production")
        for judged in sorted(refused, key=lambda each: (each.place.file, each.place.line)):
            _say(f"{judged.place}  {judged.name}", "  ")
            _say(judged.refused, "      ")
        click.echo()


def _print_differences(found: Iterable[Concerned]) -> None:
    from ..migrate.differences import plain

    rows = list(found)
    for each in rows:
        if each.place is not None:
            _say(f"{plain(each.difference.what)} ({each.place})", "  * ", "    ")
            row = each.difference
            for label, cell in (("theirs", row.theirs), ("ours", row.ours), ("to have theirs", row.switch)):
                if cell:
                    _say(plain(cell), f"      {label}: ", "        ")
    in_every = [each.difference for each in rows if each.place is None]
    if in_every:
        _say("In every app: what it is about, theirs -> ours", "  ")
    for row in in_every:
        switch = f" (to have theirs: {plain(row.switch)})" if row.switch else ""
        _say(f"{plain(row.what)}: {plain(row.theirs)} -> {plain(row.ours)}{switch}", "  * ", "    ")


def _print_requirements(report: Report, moved: list[Incumbent]) -> None:
    rows = []
    for each in report.required:
        needed = report.needed.get(each.incumbent)
        why = f"stays: {needed} needs it" if needed is not None else "can go, nothing here imports it"
        brings, by = each.incumbent.brings, report.brought.get(each.incumbent)
        if needed is None and brings is not None and by is not None and brings[1] not in report.named:
            why += f"; add {brings[1]} then, which it brings and {by} imports"
        rows.append((str(each.place), f"{each.line}: {why}"))
    if rows:
        _title("Requirements")
        _print_places(rows, gap=False)
    if moved and report.has_requirements and not report.names_rampart:
        _say("flask-rampart is in none of these files: add it.", "  ")
    if rows or (moved and report.has_requirements):
        click.echo()


def _close(report: Report, path: Path, *, is_check: bool, is_write: bool, failed: int) -> None:
    imports, files = _count(report.statements, "import"), _count(len(report.changed), "file")
    by_hand = f" {_count(len(report.left), 'place')} left to you." if report.left else ""
    if not report.changed:
        where = " in what was read" if report.not_read or report.unknown else ""
        _say(f"Nothing to change{where}.{by_hand}")
    elif is_write:
        _say(f"{_count(len(report.changed) - failed, 'file')} changed.{by_hand} Run your formatter, and your tests.")
        names = " ".join(changed.shown for changed in report.changed[:3])
        more = " ..." if len(report.changed) > 3 else ""
        _say(f"To undo, with git: git restore {names}{more}")
        _say("which takes back what you had not committed in these files before, too.")
    elif is_check:
        _say(f"{imports} in {files} to change.{by_hand}")
    else:
        _say(f"{imports} in {files} to change, and nothing is written.{by_hand}")
        _say(f"To write it: flask rampart migrate --write {path}")


def _title(text: str) -> None:
    click.echo(click.style(text, bold=True))


def _print_places(rows: list[tuple[str, str]], *, gap: bool = True) -> None:
    widest = max(len(place) for place, _ in rows)
    for place, text in rows:
        if widest <= _width() // 3:
            _say(text, f"  {safe(place):<{widest}}  ")
        else:
            _say(text, f"  {safe(place)}  ", "      ")
    if gap:
        click.echo()


def _say(text: str, begin: str = "", then: str | None = None) -> None:
    """Prints a text in lines as wide as the terminal; those after the first begin with *then*, or as far in."""
    lines = textwrap.wrap(
        safe(text),
        _width(),
        initial_indent=begin,
        subsequent_indent=" " * len(begin) if then is None else then,
        break_long_words=False,
        break_on_hyphens=False,
    )
    click.echo("\n".join(lines))


def _width() -> int:
    return max(_NARROWEST, min(_WIDEST, shutil.get_terminal_size((80, 24)).columns))


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
