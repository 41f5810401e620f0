"""Which keyset a command is about, and what opens it.

1. ``--keyset FILE`` names a file; ``--name NAME`` one of ``RAMPART_VAULT_KEYSET``. Without both it is the one of these
   that fits: the only one, or the one called ``default``.
2. What a KMS has sealed is opened by the app's ``RAMPART_VAULT_KMS``. What is under a passphrase, by that of
   ``--passphrase-file``, of ``--ask-passphrase``, of ``RAMPART_VAULT_PASSPHRASE``, or it is asked for on a terminal.
3. A keyset in clear is refused where the app has a KMS or a passphrase, or one is given: whoever can write the file
   would choose the key. ``--cleartext`` says that it is meant.
4. Owner and mode of all these files are looked at as in production, in debug mode too.

Where no app can be found, 1. and 2. have the files alone.
"""

from __future__ import annotations

import getpass
import os
import signal
import stat
import sys
import warnings
from collections.abc import Callable
from contextlib import ExitStack
from functools import wraps
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple, NoReturn

import click
from flask import Flask
from flask.cli import NoAppException, ScriptInfo

from ...errors import ConfigError, IntegrityError, RampartError
from ...exchange import EXTENSION
from ...vault import Keyset, read_keyset
from ...vault.configured import kms_of, passphrase_of
from ...vault.keysets import form_of, passphrase_bytes, read_file
from ...vault.replacing import PART, left_over

TAMPERED = 3
_MOST_BYTES = 64 * 1024
_STDIN = f"{__name__}.stdin"


class Tampered(click.ClickException):
    """An integrity failure: told apart from a mistake, for whoever is called at night."""

    exit_code = TAMPERED


class Passphrase:
    """A passphrase that is in no ``repr``: variables of a frame go to services that collect errors."""

    __slots__ = ("_value",)

    def __init__(self, value: bytes) -> None:
        self._value = value

    def __call__(self) -> bytes:
        return self._value

    def __reduce__(self) -> NoReturn:
        raise TypeError("a passphrase is not pickled")


class OfApp(NamedTuple):
    """What an app's settings say of the vault."""

    keysets: dict[str, str]
    kms: Any = None
    passphrase: Callable[[], str | bytes] | None = None
    passphrase_path: str | None = None


class Given(NamedTuple):
    """What a command was told of its keyset."""

    keyset: str | None
    name: str | None
    passphrase_file: str | None
    ask_passphrase: bool
    cleartext: bool
    app: OfApp

    @property
    def paths(self) -> dict[str, str]:
        """The files that it may be about, by name; a file that was named has its path for name."""
        if self.keyset is not None:
            return {self.keyset: self.keyset}
        if self.name is not None:
            if self.name not in self.app.keysets:
                known = ", ".join(self.app.keysets) or "none"
                raise ConfigError(f"RAMPART_VAULT_KEYSET has no keyset called {self.name!r}: there are {known}.")
            return {self.name: self.app.keysets[self.name]}
        if not self.app.keysets:
            raise ConfigError("Say which keyset: --keyset FILE, or set RAMPART_VAULT_KEYSET in the app (--app).")
        return self.app.keysets

    @property
    def path(self) -> str:
        """The one file that is to be changed."""
        paths = self.paths
        if len(paths) > 1:
            raise ConfigError(f"There are several keysets: say which by --name, one of {', '.join(paths)}.")
        return next(iter(paths.values()))

    def opening(self, path: str) -> dict[str, Any]:
        """What opens the keyset in this file, as ``kms=`` and ``passphrase=``. What must be asked for is asked now."""
        form = form_of(read_file(path, strict=True))
        if form == "clear" and self.cleartext:
            return {"kms": None, "passphrase": None}
        passphrase: Callable[[], str | bytes] | None
        if self.passphrase_file is not None:
            passphrase = passphrase_in(self.passphrase_file)
        elif self.ask_passphrase or (form == "passphrase" and self.app.passphrase is None):
            passphrase = asked(f"Passphrase of {shown(path)}")
        else:
            passphrase = self.app.passphrase
        return {"kms": self.app.kms, "passphrase": passphrase}

    def opened(self, path: str) -> Keyset:
        """The keyset in this file."""
        return read_keyset(path, **self.opening(path))

    def for_files(self) -> Keyset:
        """The keyset that seals files.

        :raises ConfigError: if there is none, or more than one.
        """
        opened = {name: self.opened(path) for name, path in self.paths.items()}
        fitting = {name: keyset for name, keyset in opened.items() if keyset.primitive == "streaming AEAD"}
        if "default" in fitting:
            return fitting["default"]
        if len(fitting) > 1:
            raise ConfigError(f"There are several keysets for files: say which by --name, one of {', '.join(fitting)}.")
        if not fitting:
            found = ", ".join(f"{shown(name)} is for {keyset.primitive}" for name, keyset in opened.items())
            raise ConfigError(
                f"Files are sealed by a keyset for streaming AEAD; {found}. Make one: flask rampart vault keygen FILE "
                "--template AES256_GCM_HKDF_1MB"
            )
        return next(iter(fitting.values()))

    def secrets(self) -> list[os.stat_result]:
        """The files that must not be sealed by what they open."""
        paths = [*self.paths.values(), *self.app.keysets.values()]
        paths += [path for path in (self.passphrase_file, self.app.passphrase_path) if path is not None]
        found = []
        for path in paths:
            try:
                found.append(os.stat(path))
            except OSError:
                continue
        return found


def about_a_keyset(command: Callable[..., None]) -> Callable[..., None]:
    """A command with the options that say which keyset, whose first argument is :class:`Given`."""
    for option in (
        click.option("--cleartext", is_flag=True, help="The keyset may be in clear, though the app has what seals it."),
        click.option("--ask-passphrase", is_flag=True, help="Ask for the passphrase on the terminal."),
        click.option(
            "--passphrase-file", metavar="FILE", help="The file that holds the passphrase; - is standard input."
        ),
        click.option("--name", help="Which keyset of RAMPART_VAULT_KEYSET."),
        click.option("--keyset", metavar="FILE", help="The keyset's file, instead of the app's."),
    ):
        command = option(command)

    @wraps(command)
    def chosen(app: OfApp, **given: Any) -> None:
        words = {word: given.pop(word) for word in ("keyset", "name", "passphrase_file", "ask_passphrase", "cleartext")}
        one_of(**{"--keyset": words["keyset"], "--name": words["name"]})
        one_of(**{"--passphrase-file": words["passphrase_file"], "--ask-passphrase": words["ask_passphrase"]})
        command(Given(app=app, **words), **given)

    return with_app(chosen)


def with_app(command: Callable[..., None]) -> Callable[..., None]:
    """A command whose first argument is the app's :class:`OfApp`. What is wrong becomes a sentence and an exit code."""

    @click.pass_context
    @wraps(command)
    def told(context: click.Context, /, **given: Any) -> None:
        with ExitStack() as stack:
            try:
                _end_by_exception(stack)
                command(of_app(context, stack), **given)
            except IntegrityError as error:
                raise Tampered(shown(str(error))) from None
            except RampartError as error:
                raise click.ClickException(shown(str(error.args[0] if error.args else error))) from None
            except BrokenPipeError:
                raise click.ClickException("nobody reads what is written: it is not complete.") from None
            except OSError as error:
                raise click.ClickException(_os_error(error)) from None
            except ValueError as error:
                raise click.ClickException(shown(str(error))) from None

    return told


def of_app(context: click.Context, stack: ExitStack) -> OfApp:
    """What the app of this command says of the vault; nothing where there is none. *stack* has its context."""
    app = _app(context.ensure_object(ScriptInfo))
    if app is not None:
        stack.enter_context(app.app_context())
    return _settings(app)


def one_of(**given: Any) -> None:
    """:raises click.UsageError: if more than one of these options was given."""
    said = [name for name, value in given.items() if value]
    if len(said) > 1:
        raise click.UsageError(f"{' and '.join(said)}: one of them.")


def passphrase_in(path: str) -> Passphrase:
    """The passphrase in a file, whose owner and mode are looked at; ``-`` is standard input."""
    if path == "-":
        # Once: it is empty for the second keyset.
        known = click.get_current_context().meta
        if _STDIN in known:
            given: Passphrase = known[_STDIN]
            return given
        if sys.stdin.isatty():
            raise ConfigError("A terminal would show the passphrase: --ask-passphrase.")
        text = sys.stdin.buffer.read(_MOST_BYTES + 1)
        if len(text) > _MOST_BYTES:
            raise ConfigError(f"Standard input is longer than {_MOST_BYTES} bytes: a passphrase was expected.")
    else:
        text = read_file(path, strict=True, keyset=False).encode()
    # An editor ends a line; a passphrase does not end in one.
    text = text.removesuffix(b"\n").removesuffix(b"\r")
    if not text:
        raise ConfigError(f"{shown(path)} is empty: a passphrase was expected.")
    found = Passphrase(text)
    if path == "-":
        known[_STDIN] = found
    return found


def asked(what: str, *, twice: bool = False, otherwise: str = "") -> Passphrase:
    """A passphrase that is typed in and not shown.

    :param otherwise: what else can be done where nobody can be asked.
    :raises ConfigError: if there is no terminal, or one that would show it.
    """
    if not _is_terminal():
        raise ConfigError(f"{what} is needed, and there is no terminal to ask on: --passphrase-file FILE.{otherwise}")
    with warnings.catch_warnings():
        # It would go on, and show what is typed.
        warnings.simplefilter("error", getpass.GetPassWarning)
        try:
            given = Passphrase(passphrase_bytes(getpass.getpass(f"{what}: ")))
            if twice and Passphrase(passphrase_bytes(getpass.getpass("The same again: ")))() != given():
                raise ConfigError("These were two passphrases. Nothing is written.")
        except getpass.GetPassWarning:
            raise ConfigError("This terminal would show the passphrase: --passphrase-file FILE.") from None
        except EOFError:
            raise ConfigError("No passphrase was given.") from None
    return given


def shown(path: str) -> str:
    """A name as a terminal may show it: what is in it moves no cursor and writes no title."""
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape", "surrogatepass").decode() for letter in path
    )


def mode_of(folder: str, *, keys: bool = False) -> int:
    """The mode of a folder.

    :param keys: whether keys are to be there: then it has to be this user's or root's.
    :raises ConfigError: if everybody, or its owner, could replace what is there. That a group can is told.
    """
    there = os.stat(folder)
    mode = stat.S_IMODE(there.st_mode)
    where = shown(os.path.realpath(folder))
    if there.st_uid not in (os.geteuid(), 0):
        if keys:
            raise ConfigError(f"{where} belongs to another user, who could replace or remove what is there.")
        click.echo(f"Warning: {where} belongs to another user, who can replace what is there.", err=True)
    # Where the sticky bit is, others put in what is new and replace nothing.
    if mode & 0o022 and not mode & stat.S_ISVTX:
        if mode & 0o002:
            raise ConfigError(
                f"Everybody can write in {where} (mode {mode:04o}), and replace or remove what is there: chmod 0755."
            )
        click.echo(
            f"Warning: others can write in {where} (mode {mode:04o}), and replace what is there: chmod 0755", err=True
        )
    return mode


def _is_terminal() -> bool:
    if sys.stdin.isatty():
        return True
    try:
        # What is to be sealed may come by a pipe.
        with open("/dev/tty", "rb"):
            return sys.stderr.isatty()
    except OSError:
        return False


def tell_left_over(folder: str, what: str) -> None:
    """Tells what runs that were killed have left in a folder."""
    for part, is_own in left_over(folder or "."):
        why = "was left by a run that was killed, unless another runs now"
        if not is_own:
            why = "belongs to another user, whose run was killed or goes on"
        click.echo(f"Warning: {shown(part)} {why}; {what}.{' Remove it.' if is_own else ''}", err=True)


def _app(info: ScriptInfo) -> Flask | None:
    try:
        return info.load_app()
    except NoAppException:
        if info.app_import_path is not None or info.create_app is not None:
            raise
        return None


def _settings(app: Flask | None) -> OfApp:
    state = app.extensions.get(EXTENSION) if app is not None else None
    if app is None or state is None:
        return OfApp({})
    settings, root = state.settings, Path(app.root_path)
    keysets = {name: os.fspath(root / path) for name, path in settings.vault_keyset.items()}
    path = settings.vault_passphrase
    return OfApp(
        keysets,
        _Told(settings.vault_kms) if settings.vault_kms is not None else None,
        _passphrase(passphrase_of(settings.vault_passphrase, root, strict=True)),
        os.fspath(root / path) if isinstance(path, str) else None,
    )


def _passphrase(given: Callable[[], str | bytes] | None) -> Callable[[], str | bytes] | None:
    """The app's passphrase. What its function raises is told by its kind, as of a KMS."""
    if given is None:
        return None
    asked = given

    def passphrase() -> str | bytes:
        try:
            return asked()
        except RampartError:
            raise
        except Exception as error:
            failure = f"RAMPART_VAULT_PASSPHRASE: the function has failed: {type(error).__name__}."
        raise ConfigError(failure)

    return passphrase


class _Told:
    """The app's KMS, made when it is first needed. What it raises is told by its kind: it may be of any library."""

    def __init__(self, given: Any) -> None:
        self._given = given
        self._kms: Any = None

    def encrypt(self, plaintext: bytes, associated_data: bytes, /) -> bytes:
        return self._asked("encrypt", plaintext, associated_data)

    def decrypt(self, ciphertext: bytes, associated_data: bytes, /) -> bytes:
        return self._asked("decrypt", ciphertext, associated_data)

    def _asked(self, verb: str, data: bytes, associated_data: bytes) -> bytes:
        try:
            if self._kms is None:
                self._kms = kms_of(self._given)
            answer: bytes = getattr(self._kms, verb)(data, associated_data)
            return answer
        except RampartError:
            raise
        except Exception as error:
            failure = f"RAMPART_VAULT_KMS: {verb} has failed: {type(error).__name__}."
        raise ConfigError(failure)


def _end_by_exception(stack: ExitStack) -> None:
    """Lets the signals that end a process end it as an exception, so that what is half written is removed."""

    ending = (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)

    def end(number: int, frame: FrameType | None) -> NoReturn:
        # Once: a second one would stop the removal.
        for each in ending:
            signal.signal(each, signal.SIG_IGN)
        raise SystemExit(128 + number)

    for number in ending:
        # Of nohup, say: who has a signal ignored means this process, too.
        if signal.getsignal(number) is signal.SIG_IGN:
            continue
        try:
            before = signal.signal(number, end)
        except ValueError:
            return  # not the main thread: its signals are another's
        stack.callback(signal.signal, number, before)


def _os_error(error: OSError) -> str:
    # The second is what the first was to become.
    given = error.filename2 if isinstance(error.filename2, (str, bytes)) else error.filename
    name = os.fsdecode(given) if isinstance(given, (str, bytes)) else ""
    if PART.fullmatch(os.path.basename(name)):
        name = os.path.dirname(name)
    return f"{shown(name)}: {error.strerror}" if name else str(error.strerror or error)
