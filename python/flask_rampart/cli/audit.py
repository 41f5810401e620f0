"""``flask rampart audit``: verify, read, export and prove the audit log; make its key.

1. What is wrong with a log is told with file, line, record and meaning, and the exit code is 1; 2 if there is no log.
2. Without ``--directory`` and ``--key-file``, they are the app's own; with both, a copy elsewhere is read.
3. What peers wrote reaches no terminal as it is: control characters, and those that turn the direction of a text or
   cannot be seen, are escaped.
"""

from __future__ import annotations

import json
import re
import sys
import time
import unicodedata
from pathlib import Path
from typing import Any, NoReturn

import click
from flask import current_app
from flask.cli import with_appcontext

from .._native import audit_check, audit_generate_key, audit_prove, audit_public_key
from ..audit import Audit
from ..audit.keyfile import name_of, write_key
from ..audit.log import newest_note
from ..audit.ocsf import event_of
from ..audit.reading import Log, Record, wanted
from ..audit.verifying import Verified, notes_of, verify
from ..errors import RampartError
from ..exchange import EXTENSION
from ..monitor import Monitor
from ..tables import changing
from .telling import only_looks

_NO_LOG = 2
_PATH = click.Path(path_type=Path)
_LEFT_OUT = frozenset(
    ("writer", "seq", "time", "event", "decision", "outcome", "code", "principal", "address", "method", "target")
)
_directory = click.option("--directory", type=_PATH, help="Of the log; the app's own without it.")
_key_file = click.option("--key-file", type=_PATH, help="A private or public key; the app's own without it.")


_POSTING = 15.0
"""Seconds for the webhook: a try takes at most ten."""


@click.group("audit", help="The audit log: verify, tail, search, export, prove.")
def audit() -> None:
    pass


@audit.command("verify", help="Say whether the log is what was written, and where it is not.")
@_directory
@_key_file
@click.option(
    "--anchors",
    "--known",
    "known",
    type=_PATH,
    multiple=True,
    help="A file of checkpoints that were kept elsewhere: notes, or the lines of a sink.",
)
@click.option("--log", "wanted_log", help="Which log it has to be: 32 digits, as its checkpoints say it.")
@click.option("--keep", type=click.FloatRange(0, min_open=True), help="Days; the app's RAMPART_AUDIT_KEEP without it.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@only_looks
@with_appcontext
def verify_(
    directory: Path | None,
    key_file: Path | None,
    known: tuple[Path, ...],
    wanted_log: str | None,
    keep: float | None,
    as_json: bool,
) -> None:
    if wanted_log is not None and not re.fullmatch("[0-9a-f]{32}", wanted_log):
        raise click.UsageError("--log takes 32 digits of 0 to f: those before the last / in a checkpoint's first line.")
    where = directory or _app().directory
    key = _key(key_file)
    read = [notes_of(_text(path)) for path in known]
    notes = list(dict.fromkeys(note for one in read for note in one.notes))
    if known and not notes:
        raise click.ClickException("there is no checkpoint in what --anchors names.")
    for path, one in zip(known, read, strict=True):
        if one.broken:
            click.echo(f"{safe(str(path))}: {_count(one.broken, 'checkpoint')} cannot be read: passed over.", err=True)
        if one.strange:
            click.echo(f"{safe(str(path))}: {_count(one.strange, 'line')} of no note or record: passed over.", err=True)
    try:
        found = verify(where, key, notes, keep or _app_keep(), wanted_log)
    except OSError as error:
        if directory is None:
            _gone()
        _no_log(where, error)
    except ValueError as error:
        raise click.ClickException(str(error)) from None
    if notes and not found.anchors:
        raise click.ClickException("no checkpoint in what --anchors names is signed by this key.")
    if directory is None:
        _app().note_verified(found.records, len(found.faults))
    if as_json:
        click.echo(json.dumps(found.document(), indent=2))
    else:
        _print_verified(found, public=not key.startswith("PRIVATE"))
    if found.faults and directory is None:
        _tell_monitor(len(found.faults))
    # Who has the key may have what was anchored look as if its time were over.
    if found.faults or found.refused or found.unsure or found.unheld or any(one.broken for one in read):
        raise SystemExit(1)


def _app_keep() -> float | None:
    """After how many days this app has files removed; None if never, or if it keeps no log."""
    state = current_app.extensions.get(EXTENSION)
    return state.settings.audit_keep if state else None


def _gone() -> None:
    """A log that was there when it was verified before, and is not, was removed."""
    before = _app().verified()
    if before is not None and (before["records"] or before["faults"]):
        _app().note_verified(0, 1)
        _tell_monitor(1)


def _tell_monitor(faults: int) -> None:
    """That the app's own log was changed is a finding: whoever is told of findings hears of it."""
    state = current_app.extensions.get(EXTENSION)
    monitor: Monitor | None = state.services.get(Monitor) if state else None
    if monitor is not None:
        # The finding is for the workers' book, whether or not one has made it.
        with changing():
            monitor.tampered(f"flask rampart audit verify found {faults} faults")
        # This process ends now, and with it what waits to be posted.
        if monitor.flush(_POSTING):
            click.echo(
                "The finding could not be posted to RAMPART_MONITOR_WEBHOOK: it was told elsewhere only.", err=True
            )


@audit.command("tail", help="Show the newest records; -f: and those that come.")
@_directory
@click.option("-n", "count", default=20, type=click.IntRange(0, 100_000), help="How many; 20 without it.")
@click.option("-f", "--follow", is_flag=True, help="Go on until interrupted.")
@click.option("--own", is_flag=True, help="The log's own records as well: files, checkpoints.")
@click.option("--interval", default=0.5, type=click.FloatRange(0.05, 60), help="Seconds between looks, with -f.")
@only_looks
@with_appcontext
def tail(directory: Path | None, count: int, follow: bool, own: bool, interval: float) -> None:
    log = _log(directory)
    is_wanted = wanted(own=own)
    # The log's own are few beside those that are looked for.
    newest = [record for record in log.last(count * 2 + 20) if is_wanted(record)]
    for record in newest[len(newest) - count :] if count < len(newest) else newest:
        click.echo(line_of(record))
    while follow:
        time.sleep(interval)
        for record in log.news():
            if is_wanted(record):
                click.echo(line_of(record))
        sys.stdout.flush()


def _criteria(command: Any) -> Any:
    for option in reversed(
        (
            click.option("--event", "events", multiple=True, help="A name, or its beginning and *; several are OR."),
            click.option("--principal", help="Who asked, or whom it is about."),
            click.option("--request", help="A request's id."),
            click.option("--code", help="Of a refusal, such as token.expired."),
            click.option("--since", help="A time such as 2026-11-29T10:00:00Z, or how long ago: 2h."),
            click.option("--until", help="Likewise."),
            click.option("--own", is_flag=True, help="The log's own records as well."),
        )
    ):
        command = option(command)
    return command


@audit.command("search", help="Show the records that are looked for.")
@_directory
@_criteria
@click.option("--json", "as_json", is_flag=True, help="Print each whole record as JSON.")
@only_looks
@with_appcontext
def search(directory: Path | None, as_json: bool, **criteria: Any) -> None:
    log = _log(directory)
    count = 0
    for record in _found(log, criteria):
        click.echo(json.dumps(record) if as_json else line_of(record))
        count += 1
    click.echo(_count(count, "record"), err=True)
    _tell_unread(log)


@audit.command("export", help="Write records as JSON, one on a line.")
@_directory
@_criteria
@click.option("--format", "form", type=click.Choice(["jsonl", "ocsf"]), default="jsonl", help="OCSF 1.8, or ours.")
@click.option("--out", type=click.File("w", encoding="ascii", lazy=False), default="-", help="A file.")
@only_looks
@with_appcontext
def export(directory: Path | None, form: str, out: Any, **criteria: Any) -> None:
    log = _log(directory)
    product = current_app.name
    for record in _found(log, criteria):
        try:
            written = json.dumps(event_of(record, product) if form == "ocsf" else record)
        except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
            # Somebody changed it, and it is not to keep the others from being read.
            log.unread += 1
            continue
        out.write(f"{written}\n")
    _tell_unread(log)


@audit.command("prove", help="Write a proof that a record was in the log.")
@click.argument("writer")
@click.argument("seq", type=click.IntRange(min=0))
@_directory
@_key_file
@click.option("--out", type=click.File("w", lazy=False), default="-", help="A file.")
@only_looks
@with_appcontext
def prove(writer: str, seq: int, directory: Path | None, key_file: Path | None, out: Any) -> None:
    where = directory or _app().directory
    key = _key(key_file)
    public = audit_public_key(key) if key.startswith("PRIVATE") else key
    try:
        proof = audit_prove(str(where), writer, seq, public)
    except OSError as error:
        _no_log(where, error)
    except ValueError as error:
        raise click.ClickException(str(error)) from None
    if proof is None:
        raise click.ClickException(
            "there is no such record, or not any more; or no checkpoint was signed since (audit checkpoint tells how "
            "far); or what stands between was changed (audit verify). search --json tells writer and seq."
        )
    out.write(proof + "\n")


@audit.command("check", help="Say whether a proof holds, and which record it shows.")
@click.argument("proof", type=_PATH)
@click.option("--key", required=True, help="The public key, or the file that it is in.")
def check(proof: Path, key: str) -> None:
    text = key if "+" in key and not Path(key).exists() else _text(Path(key)).strip()
    if text.startswith("PRIVATE"):
        raise click.ClickException("a proof is checked with the public key: flask rampart audit key")
    try:
        shown = audit_check(_text(proof), text)
    except ValueError as error:
        raise click.ClickException(str(error)) from None
    if shown is None:
        raise click.ClickException("the proof does not hold: of another key, or changed.")
    record, origin, size = shown
    click.echo(json.dumps(json.loads(record)))
    click.echo(f"was in {safe(origin)} when that had {size} records.", err=True)


@audit.command("keygen", help="Make a private key.")
@click.option("--name", help="Of the log, such as api.example.com/audit; from the app's name without it.")
@click.option("--out", type=_PATH, help="A new file, for this user alone; printed without it.")
@only_looks
@with_appcontext
def keygen(name: str | None, out: Path | None) -> None:
    try:
        text = audit_generate_key(name or name_of(current_app.name))
    except ValueError as error:
        raise click.ClickException(str(error)) from None
    if out is None:
        click.echo(text)
        return
    try:
        made = write_key(out, text)
    except OSError as error:
        raise click.ClickException(f"{out} cannot be made: {error.strerror}.") from None
    if not made:
        raise click.ClickException(f"{out} is there already, and stays as it is.")
    click.echo(audit_public_key(text))


@audit.command("key", help="Print the public key, for those who verify.")
@_key_file
@only_looks
@with_appcontext
def key(key_file: Path | None) -> None:
    text = _key(key_file)
    click.echo(audit_public_key(text) if text.startswith("PRIVATE") else text)


@audit.command("checkpoint", help="Print the newest checkpoints: keep them elsewhere.")
@_directory
@only_looks
@with_appcontext
def checkpoint(directory: Path | None) -> None:
    log = _log(directory)
    try:
        writers = sorted({path.name[:32] for path in log.files()})
    except LookupError as error:
        _no_log(log.directory, error)
    notes = [note for writer in writers if (note := newest_note(log.directory, writer)) is not None]
    if not notes:
        raise click.ClickException("nothing is signed yet.")
    click.echo("\n".join(map(safe_lines, notes)), nl=False)


def line_of(record: Record) -> str:
    """A record on one line, for people. A value that holds blanks, quotes or ``=`` stands in quotes, so that none looks
    like another.

    >>> line_of({"writer": "0" * 32, "seq": 7, "time": "2026-11-29T10:00:00.000000Z", "event": "x", "who": "a\\x1b[2J"})
    '2026-11-29T10:00:00.000Z x who=a\\\\u001b[2J'
    """
    words = [f"{record['time'][:23]}Z", _shown(record["event"])]
    words += [_shown(record[name]) for name in ("decision", "outcome", "code") if record.get(name) is not None]
    words += [f"{name}={_shown(record[name])}" for name in ("principal", "address") if record.get(name) is not None]
    if "target" in record:
        words.append(f"{_shown(record.get('method') or '-')} {_shown(record['target'])}")
    for name, value in record.items():
        if name not in _LEFT_OUT and value is not None:
            words.append(f"{name}={_shown(value)}")
    return safe(" ".join(words))


def _shown(value: object) -> str:
    if isinstance(value, str) and _WORD.fullmatch(value):
        return value
    return json.dumps(value, ensure_ascii=False)


def safe(text: str) -> str:
    """A text in which nothing moves a cursor, turns around or hides."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        f"\\u{ord(character):04x}" if unicodedata.category(character)[0] == "C" or character in _LINES else character
        for character in text
    )


def safe_lines(text: str) -> str:
    return "".join(f"{safe(line)}\n" for line in text.split("\n")[:-1])


_LINES = "\u2028\u2029"
_WORD = re.compile(r"""[^\s="'\\]+""")


def _print_verified(found: Verified, *, public: bool) -> None:
    for fault in found.faults:
        records = f" ({fault.records})" if fault.records else ""
        click.echo(f"{safe(fault.where)}: {fault.code}{records}: {fault.meaning}.")
    states: dict[str, int] = {}
    for writer in found.writers:
        states[writer["state"]] = states.get(writer["state"], 0) + 1
    told = ", ".join(f"{count} {_STATES[state]}" for state, count in sorted(states.items()))
    click.echo(
        f"{_count(found.records, 'record')}, {_count(found.checkpoints, 'checkpoint')}, "
        f"{_count(len(found.writers), 'writer')} ({told}): "
        + (f"{_count(len(found.faults), 'fault')}." if found.faults else "nothing is wrong.")
    )
    torn = sum(writer["torn"] > 0 for writer in found.writers)
    if torn:
        click.echo(f"{_count(torn, 'writer')} ended in the middle of a line, for which no answer had waited.")
    if public and found.unsigned:
        click.echo(
            f"{_count(found.unsigned, 'record')} behind the last checkpoint of a writer: with the public key, only "
            "the numbers of these are checked."
        )
    elsewhere = sum(found.elsewhere.values())
    if found.log and (found.anchors or found.is_named):
        click.echo(f"This is log {found.log}.")
    if found.anchors:
        click.echo(f"{_count(found.anchors - found.unchecked - elsewhere, 'anchor')} held against it.")
    for other, count in sorted(found.elsewhere.items()):
        click.echo(f"{_count(count, 'anchor')} of log {other}: not held against this one.")
    if found.unsure:
        click.echo(
            "It may have been put, or begun, in the place of another log: say by --log which one this has to be."
        )
    elif elsewhere and elsewhere == found.anchors:
        click.echo("None is of this log.")
    if found.unchecked:
        click.echo(
            f"{_count(found.unchecked, 'anchor')} could not be: of what was removed after its time"
            + (". Newer ones are needed." if found.unchecked == found.anchors else ".")
        )
    if found.refused:
        click.echo(
            f"{_count(found.refused, 'note')} of --anchors not signed by this key, or no checkpoint: passed over."
        )
    for other in found.others:
        click.echo(f"{safe(other)} is no file of the log's.")


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


_STATES = {"closed": "closed", "left": "killed", "lost": "killed and entered", "running": "running"}


def _found(log: Log, criteria: dict[str, Any]) -> Any:
    try:
        is_wanted = wanted(**criteria)
        log.files()
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    except LookupError as error:
        _no_log(log.directory, error)
    return filter(is_wanted, log.records())


def _log(directory: Path | None) -> Log:
    log = Log(directory or _app().directory)
    try:
        log.files()
    except LookupError as error:
        _no_log(log.directory, error)
    return log


def _tell_unread(log: Log) -> None:
    if log.unread:
        click.echo(f"{_count(log.unread, 'line')} that can be no record: flask rampart audit verify", err=True)


def _app() -> Audit:
    state = current_app.extensions.get(EXTENSION)
    found: Audit | None = state.services.get(Audit) if state else None
    if found is None or not found.enabled:
        raise click.ClickException('this app keeps no audit log: set RAMPART_AUDIT_LOG = "audit", or say --directory.')
    return found


def _key(path: Path | None) -> str:
    if path is not None:
        return _text(path).strip()
    try:
        return _app().key()
    except RampartError as error:
        raise click.ClickException(str(error)) from None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise click.ClickException(f"{path} cannot be read: {error.strerror}.") from None


def _no_log(where: Path, error: Exception) -> NoReturn:
    why = getattr(error, "strerror", None)
    click.echo(f"Error: there is no audit log to be read in {where}{f': {why}' if why else ''}.", err=True)
    raise SystemExit(_NO_LOG)
