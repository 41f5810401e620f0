"""``flask rampart vault encrypt``, ``decrypt`` and ``reencrypt``: files, folders and pipes.

Sources are never changed or removed, nothing is overwritten unasked, and a file is there whole or not at all. What is
read from a pipe is another matter: see :func:`decrypt`.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

import click

from ...errors import ConfigError, IntegrityError
from ...vault import Keyset, decrypt_file, decrypt_stream, encrypt_file, encrypt_stream
from ...vault.files import unchanged
from ...vault.folders import PLACE, Counts, Work
from ...vault.reading import OpenedFile
from ...vault.replacing import NewFile
from .choosing import Given, Tampered, about_a_keyset, mode_of, shown, tell_left_over
from .progress import Progress

_STEP = 256 * 1024
_HALF = "of decrypt it holds plaintext"

_source, _target = click.argument("source"), click.argument("target")
_bound = click.option(
    "--associated-data",
    required=True,
    metavar="TEXT",
    help='What it is bound to; the same opens it. Of a folder, "{path}" in it is each file\'s path. "" is nothing.',
)
_resume = click.option("--resume", is_flag=True, help="Of a folder: go on with what an earlier run has begun.")
_skip_special = click.option(
    "--skip-special", is_flag=True, help="Links, pipes and devices that are left out are no reason for exit code 1."
)
_replace = click.option("--replace", is_flag=True, help="Of a file: replace a TARGET that is there.")


def _across(name: str, short: str) -> Callable[[Callable[..., None]], click.Command]:
    """A command from a source to a target."""

    def made(command: Callable[..., None]) -> click.Command:
        command = about_a_keyset(command)
        for parameter in (_replace, _skip_special, _resume, _bound, _target, _source):
            command = parameter(command)
        return click.command(name, short_help=short)(command)

    return made


@_across("encrypt", "Seal a file, a folder or a pipe.")
def encrypt(
    given: Given, source: str, target: str, associated_data: str, resume: bool, skip_special: bool, replace: bool
) -> None:
    """Seal the file, folder or pipe SOURCE as TARGET; "-" is standard input or output.

    SOURCE stays. In a folder, every file is sealed under its own name; what is no regular file is left out, and told.
    """
    _run(given, source, target, associated_data, resume, skip_special, replace, opens=False)


@_across("decrypt", "Open a sealed file, folder or pipe.")
def decrypt(
    given: Given, source: str, target: str, associated_data: str, resume: bool, skip_special: bool, replace: bool
) -> None:
    """Write what the sealed file, folder or pipe SOURCE says to TARGET; "-" is standard input or output.

    A file TARGET is there when all of SOURCE was authentic, and not before. What is written to standard output is
    authentic piece by piece and at its place; that nothing is missing is known at the end alone. Use it only after
    exit code 0.
    """
    _run(given, source, target, associated_data, resume, skip_special, replace, opens=True)


@click.command("reencrypt", short_help="Seal files and folders anew by the primary key.")
@click.argument("paths", nargs=-1, required=True)
@_bound
@_skip_special
@about_a_keyset
def reencrypt(given: Given, paths: tuple[str, ...], associated_data: str, skip_special: bool) -> None:
    """Seal files and folders anew by the primary key, each file in its place.

    What that key has sealed already is left as it is: after a stop, run it again. A file that another program writes
    meanwhile keeps what that program has written. Pause what writes there.
    """
    keyset = given.for_files()
    counts = Counts()
    total = 0
    for path in paths:
        work = _work(given, keyset, associated_data, counts)
        if os.path.isdir(path):
            total += work.measured(path)[1]
        else:
            _check_file(given, associated_data, path)
            # What is not there is told in its turn, and does not stop the others.
            with contextlib.suppress(FileNotFoundError):
                total += os.lstat(path).st_size
    for folder in sorted({os.path.dirname(path) for path in paths if not os.path.isdir(path)}):
        tell_left_over(folder, _HALF)
    with Progress(total) as progress:
        for path in paths:
            _work(given, keyset, associated_data, counts, progress).reencrypt(path)
    _tell(counts, "sealed anew", "by the primary key already", skip_special)


def _run(
    given: Given,
    source: str,
    target: str,
    associated_data: str,
    resume: bool,
    skip_special: bool,
    replace: bool,
    *,
    opens: bool,
) -> None:
    if source == given.passphrase_file == "-":
        raise click.UsageError("Standard input is SOURCE already: --passphrase-file FILE.")
    keyset = given.for_files()
    if source != "-" and os.path.isdir(source):
        if target == "-" or replace:
            raise ConfigError("A folder is written to a folder, and replaces none: name a TARGET, without --replace.")
        _folder(given, keyset, source, target, associated_data, resume, skip_special, opens=opens)
        return
    if resume:
        raise ConfigError("--resume is for folders: a file is there whole or not at all.")
    _check_file(given, associated_data, source, target)
    if "-" in (source, target):
        _pipe(keyset, source, target, associated_data, replace, opens=opens)
        return
    tell_left_over(os.path.dirname(target), _HALF)
    work = decrypt_file if opens else encrypt_file
    with Progress(os.stat(source).st_size) as progress:
        work(
            source,
            target,
            keyset=keyset,
            associated_data=os.fsencode(associated_data),
            replace=replace,
            progress=progress.add,
        )


def _folder(
    given: Given,
    keyset: Keyset,
    source: str,
    target: str,
    associated_data: str,
    resume: bool,
    skip_special: bool,
    *,
    opens: bool,
) -> None:
    if os.path.isdir(target):
        mode_of(target)
    counts = Counts()
    files, total = _work(given, keyset, associated_data, counts).measured(source)
    if files > 1 and PLACE not in associated_data and not opens:
        own = associated_data.rstrip("/") + "/" if associated_data else ""
        click.echo(
            f"Warning: all {files} files are bound to the same: one can be put in another's place unnoticed. Write "
            f'--associated-data "{shown(own)}{PLACE}".',
            err=True,
        )
    with Progress(total) as progress:
        work = _work(given, keyset, associated_data, counts, progress)
        (work.decrypt if opens else work.encrypt)(source, target, resume=resume)
    _tell(counts, "opened" if opens else "sealed", "done before", skip_special)


def _work(given: Given, keyset: Keyset, associated_data: str, counts: Counts, progress: Progress | None = None) -> Work:
    def told(path: str, what: str) -> None:
        if progress:
            progress.tell(f"{shown(path) or '.'}: {what}")

    return Work(
        keyset,
        associated_data,
        apart=given.secrets(),
        told=told,
        progress=progress.add if progress else None,
        counts=counts,
    )


def _tell(counts: Counts, done: str, already: str, skip_special: bool) -> None:
    said = [f"{counts.done} files {done}", f"{counts.already} {already}"]
    said += [f"{counts.left_out} left out"] if counts.left_out else []
    said += [f"{counts.failed} failed"] if counts.failed else []
    click.echo(", ".join(said) + ".")
    if counts.altered:
        raise Tampered(f"{counts.altered} files did not open: changed, or of another key or associated data.")
    if counts.failed or (counts.left_out and not skip_special):
        raise click.ClickException("not all of it was done: see above.")


def _check_file(given: Given, associated_data: str, *paths: str) -> None:
    if PLACE in associated_data:
        raise ConfigError(f"{PLACE} is for folders: write out what a single file is bound to.")
    apart = given.secrets()
    for path in paths:
        try:
            there = os.stat(path) if path != "-" else None
        except FileNotFoundError:
            continue
        if there is not None and any(os.path.samestat(there, each) for each in apart):
            raise ConfigError(f"{shown(path)} is the keyset itself, or its passphrase: it is not sealed by itself.")


def _pipe(keyset: Keyset, source: str, target: str, associated_data: str, replace: bool, *, opens: bool) -> None:
    if target == "-" and not opens and sys.stdout.isatty():
        raise ConfigError("Sealed bytes are not for a terminal: name a TARGET, or redirect the output.")
    if target != "-" and not replace and os.path.lexists(target):
        raise FileExistsError(errno.EEXIST, "is there already: --replace replaces it", target)
    bound: dict[str, Any] = {"keyset": keyset, "associated_data": os.fsencode(associated_data)}
    with Progress(None if source == "-" else os.stat(source).st_size) as progress:
        if source == "-":
            pieces: Iterator[bytes] = _pieces(sys.stdin.buffer, progress.add)
            pieces = (decrypt_stream if opens else encrypt_stream)(pieces, **bound)
        elif opens:
            # Its end is looked at first: what was cut or continued gives nothing at all.
            pieces = _opened(source, keyset, associated_data, progress.add)
        else:
            pieces = encrypt_stream(_plain(source, progress.add), **bound)
        if target == "-":
            _to_output(pieces, opens)
        else:
            tell_left_over(os.path.dirname(target), _HALF)
            _to_file(pieces, target, replace)


def _pieces(file: BinaryIO, progress: Callable[[int], object]) -> Iterator[bytes]:
    read: Any = getattr(file, "read1", file.read)
    while piece := read(_STEP):
        progress(len(piece))
        yield piece


def _plain(path: str, progress: Callable[[int], object]) -> Iterator[bytes]:
    with open(path, "rb", buffering=0) as file:
        last_look = unchanged(file.fileno(), path)
        yield from _pieces(file, progress)
        # Before the end is sealed: whoever reads what was written finds it cut.
        last_look()


def _opened(path: str, keyset: Keyset, associated_data: str, progress: Callable[[int], object]) -> Iterator[bytes]:
    with OpenedFile(path, keyset, os.fsencode(associated_data)) as sealed:
        for piece in sealed.runs():
            progress(len(piece))
            yield bytes(piece)


def _to_output(pieces: Iterator[bytes], opens: bool) -> None:
    out = sys.stdout.buffer
    written = 0
    try:
        for piece in pieces:
            out.write(piece)
            written += len(piece)
        out.flush()
    except IntegrityError as error:
        out.flush()
        raise Tampered(
            f"{error}. {written} bytes were written before: each is authentic, and the rest is missing. Do not use it."
            if written
            else str(error)
        ) from None


def _to_file(pieces: Iterator[bytes], target: str, replace: bool) -> None:
    file = NewFile(target, replace=replace)
    try:
        for piece in pieces:
            file.write(piece)
        file.commit()
    finally:
        file.discard()
