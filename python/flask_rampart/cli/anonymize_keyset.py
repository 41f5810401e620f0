"""Which keysets of the vault seal the tokens of ``flask rampart anonymize``, and what opens them.

1. ``--keyset FILE``, or ``--name NAME`` of ``RAMPART_VAULT_KEYSET``, seals what rules of the plan name no keyset for.
2. A rule that names one (``keyset = "tokens"``) takes that of ``RAMPART_VAULT_KEYSET``.
3. They are opened as ``flask rampart vault`` opens them (``cli/vault/choosing.py``): in clear, under a passphrase, or
   by the app's KMS; owner and mode of the files are looked at.

An app is looked for if one of these options is given, and not otherwise.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any, TypeVar

import click

from ..vault import Keyset
from .vault.choosing import Given, of_app, one_of

Command = TypeVar("Command", bound=Callable[..., Any])

_WORDS = ("keyset", "name", "passphrase_file", "ask_passphrase", "cleartext")


def with_keyset(command: Command) -> Command:
    """A command with the options that say which keyset, as ``flask rampart vault`` has them."""
    for option in (
        click.option("--cleartext", is_flag=True, help="The keyset may be in clear, though the app has what seals it."),
        click.option("--ask-passphrase", is_flag=True, help="Ask for the keyset's passphrase on the terminal."),
        click.option(
            "--passphrase-file", metavar="FILE", help="The file with the keyset's passphrase; - is standard input."
        ),
        click.option("--name", help="A keyset of the app's RAMPART_VAULT_KEYSET instead."),
        click.option("--keyset", metavar="FILE", help="A keyset of the vault, by which tokens are sealed."),
    ):
        command = option(command)
    return command


def sealer_of(words: dict[str, Any], source: str) -> Sealer | None:
    """What seals tokens by these options; None if none is given.

    :raises click.UsageError: for options that do not go together.
    :raises ConfigError, IntegrityError: for a keyset that cannot be had.
    """
    given = {name: words[name] for name in _WORDS}
    one_of(**{"--keyset": given["keyset"], "--name": given["name"]})
    one_of(**{"--passphrase-file": given["passphrase_file"], "--ask-passphrase": given["ask_passphrase"]})
    if not (given["keyset"] or given["name"]):
        if any(given.values()):
            raise click.UsageError("A passphrase is for --keyset or --name.")
        return None
    if source == "-" and source == given["passphrase_file"]:
        raise click.UsageError("Standard input is read once: INPUT and --passphrase-file cannot both be -.")
    context = click.get_current_context()
    stack = context.with_resource(ExitStack())
    return Sealer(Given(app=of_app(context, stack), **given))


class Sealer:
    """Gives keysets by the names that rules say, each read once."""

    def __init__(self, given: Given) -> None:
        self._given = given
        self._own = given.opened(given.path)
        self._named: dict[str, Keyset] = {}
        if given.name is not None:
            self._named[given.name] = self._own

    def keyset_for(self, primitive: str, name: str | None = None) -> Keyset:
        """The keyset of this name, or else the one that was chosen: a plan says itself whether it can be used."""
        return self._own if name is None else self.keyset(name)

    def keyset(self, name: str = "default") -> Keyset:
        """The app's keyset of this name.

        :raises ConfigError: if there is none.
        """
        if name not in self._named:
            named = self._given._replace(keyset=None, name=name)
            self._named[name] = named.opened(named.path)
        return self._named[name]

    def files(self) -> tuple[str, ...]:
        """Files that must not be written over: keysets, and passphrases."""
        given = self._given
        paths = (*given.paths.values(), *given.app.keysets.values(), given.passphrase_file, given.app.passphrase_path)
        return tuple(path for path in paths if path not in (None, "-"))
