"""``flask rampart vault keygen``, and what becomes of a keyset's keys.

A keyset is changed under a lock and replaced whole (``flask_rampart/vault/changing.py``), in the form that it had. Told
are ids, kinds and states of keys: never what they are made of.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

import click

from ...errors import ConfigError
from ...readers import nearest
from ...vault import Keyset, KeysetKey, change_keyset, keyset_templates, read_keyset, write_keyset
from ...vault.keysets import form_of, read_file
from ..layout import print_table
from .choosing import (
    Given,
    OfApp,
    about_a_keyset,
    asked,
    mode_of,
    one_of,
    passphrase_in,
    shown,
    tell_left_over,
    with_app,
)

_FORMS = {"clear": "in clear", "kms": "sealed by a KMS", "passphrase": "under a passphrase"}
_INPUT = "-"
_RELOAD = "Processes that run know it when they read it again: rampart.vault.reload() in each, or a restart."


def _template(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    known = [name for name, _ in keyset_templates()]
    if value is None or value in known:
        return value
    raise click.BadParameter(
        f"{shown(value)!r} is no template.{nearest(value, known)} All of them: flask rampart vault templates",
        ctx,
        param,
    )


_kind = click.option("--template", callback=_template, metavar="NAME", help="The kind of key, by Tink's name.")
_prefix = click.option(
    "--prefix",
    type=click.Choice(["TINK", "CRUNCHY", "RAW"]),
    help="What stands before what the key seals; Tink's own choice if not given.",
)
_key_id = click.argument("key_id", type=click.IntRange(1, 2**32 - 1))


@click.command("templates", help="List the kinds of keys, and what each is for.")
def templates() -> None:
    print_table([("TEMPLATE", "FOR"), *keyset_templates()])


@click.command("keygen")
@click.argument("file")
@click.option(
    "--template",
    callback=_template,
    default="AES256_GCM",
    show_default=True,
    metavar="NAME",
    help="The kind of key, by Tink's name: see templates.",
)
@_prefix
@click.option("--kms", "by_kms", is_flag=True, help="Seal it by the app's RAMPART_VAULT_KMS.")
@click.option("--passphrase-file", metavar="FILE", help="Put it under the passphrase in this file.")
@click.option("--ask-passphrase", is_flag=True, help="Put it under a passphrase that is asked for, twice.")
@click.option("--cleartext", is_flag=True, help="Write it as it is: whoever reads the file reads all that it seals.")
@with_app
def keygen(
    app: OfApp,
    file: str,
    template: str,
    prefix: str | None,
    by_kms: bool,
    passphrase_file: str | None,
    ask_passphrase: bool,
    cleartext: bool,
) -> None:
    """Make a keyset of one new key, in a FILE that is not there yet.

    It is sealed as you say, or else by the app's RAMPART_VAULT_KMS, or put under its RAMPART_VAULT_PASSPHRASE, or under
    one that is asked for.
    """
    one_of(
        **{
            "--kms": by_kms,
            "--passphrase-file": passphrase_file,
            "--ask-passphrase": ask_passphrase,
            "--cleartext": cleartext,
        }
    )
    if os.path.lexists(file):
        raise ConfigError(f"{shown(file)} is there already, and is not overwritten: its keys may open something.")
    mode = mode_of(os.path.dirname(file) or ".", keys=True)
    keyset = Keyset.generate(template, prefix=prefix)
    if cleartext:
        _warn_of_clear(file)
        write_keyset(file, keyset, cleartext=True)
    elif by_kms or (app.kms is not None and not (passphrase_file or ask_passphrase)):
        if app.kms is None:
            raise ConfigError("--kms: the app has no RAMPART_VAULT_KMS. Name the app by --app.")
        write_keyset(file, keyset, kms=app.kms)
    else:
        write_keyset(file, keyset, passphrase=_new_passphrase(app, passphrase_file, ask_passphrase))
    form = form_of(read_file(file, strict=True))
    click.echo(
        f"{shown(file)}: {_FORMS[form or '']}, mode 0600, in a folder of mode {mode:04o}. Key {keyset.primary} "
        f"({template}) is primary."
    )
    click.echo("Back it up before you seal anything: nobody opens what it has sealed without it.", err=True)


@click.command(
    "keys",
    help="List keys: ids, kinds and states, and nothing of what they are made of.",
    short_help="List keys: ids, kinds and states.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@about_a_keyset
def keys(given: Given, as_json: bool) -> None:
    told = []
    for name, path in given.paths.items():
        keyset = given.opened(path)
        told.append((name, path, form_of(read_file(path, strict=True)) or "", keyset))
    if as_json:
        plain = [
            {
                "name": name,
                "path": path,
                "form": form,
                "primitive": keyset.primitive,
                "keys": [_plain(key) for key in keyset.info()],
            }
            for name, path, form, keyset in told
        ]
        click.echo(json.dumps(plain, indent=2))
        return
    for name, path, form, keyset in told:
        title = shown(path) if name == path else f"{name}: {shown(path)}"
        click.echo(f"{title}, {_FORMS[form]}, for {keyset.primitive or 'what is not known here'}")
        rows = [("KEY", "STATE", "KIND", "PREFIX", "")]
        for key in keyset.info():
            primary = "primary: it seals" if key.primary else ""
            rows.append((str(key.id), key.status, key.template or key.type or "-", key.prefix, primary))
        print_table(rows)


@click.command("rotate")
@_kind
@_prefix
@click.option("--not-primary", is_flag=True, help="Only add it: it opens, and does not yet seal.")
@about_a_keyset
def rotate(given: Given, template: str | None, prefix: str | None, not_primary: bool) -> None:
    """Add a new key, which seals from now on. The old keys still open.

    A process that has not read the keyset again cannot open what the new key seals. With more than one process, do it
    in two steps: rotate --not-primary, let all of them read it (rampart.vault.reload() or a restart), then promote.

    Without --template, the new key is of the primary's kind.
    """
    with _changed(given) as keyset:
        primary = keyset.primary
        kind = template or next((key.template for key in keyset.info() if key.primary), None)
        if kind is None:
            raise ConfigError("The primary key is of no kind that is made here: say which by --template.")
        new = keyset.add(kind, prefix=prefix) if not_primary else keyset.rotate(kind, prefix=prefix)
        opening = sum(key.status == "ENABLED" for key in keyset.info()) - 1
    _tell_left_over(given.path)
    if not_primary:
        click.echo(f"Key {new} ({kind}) is added: it opens, and key {primary} still seals.")
        click.echo(f"{_RELOAD} Then: flask rampart vault promote {new}", err=True)
        return
    older = "1 older key" if opening == 1 else f"{opening} older keys"
    click.echo(f"Key {new} ({kind}) is primary: it seals from now on. {older} can still open.")
    click.echo(f"{_RELOAD} Until then they cannot open what it seals.", err=True)


def _key_is(verb: str, what: str, told: str) -> click.Command:
    @click.command(verb, help=what)
    @_key_id
    @about_a_keyset
    def command(given: Given, key_id: int) -> None:
        with _changed(given) as keyset:
            getattr(keyset, verb)(key_id)
        click.echo(f"Key {key_id} is {told}.")
        click.echo(_RELOAD, err=True)
        _tell_left_over(given.path)

    return command


@click.command("destroy", short_help="Destroy a key for good: nobody opens what it has sealed.")
@_key_id
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--though-enabled", is_flag=True, help="Also a key that was not disabled before.")
@about_a_keyset
def destroy(given: Given, key_id: int, yes: bool, though_enabled: bool) -> None:
    """Destroy a key for good: nobody ever opens what it has sealed, from backups neither.

    It is to be disabled first, for as long as it takes to see that nothing needs it. Backups of the keyset have the key
    still.
    """
    if given.passphrase_file == _INPUT and not yes:
        raise click.UsageError("Standard input is the passphrase, and cannot answer: --yes, or --passphrase-file FILE.")
    path = given.path
    opening = given.opening(path)
    _look_at(path)
    key = _destructible(read_keyset(path, **opening), path, key_id, though_enabled)
    if not yes:
        kind = f"{key.template or key.type}, {key.status.lower()}"
        click.confirm(
            f"Destroy key {key_id} ({kind}) of {shown(path)}? What it has sealed and nothing has sealed "
            "anew is lost for good.",
            abort=True,
        )
    with change_keyset(path, **opening) as keyset:
        # Somebody may have enabled it while this was asked.
        _destructible(keyset, path, key_id, though_enabled)
        keyset.destroy(key_id)
    click.echo(f"Key {key_id} of {shown(path)} is destroyed. Backups of the keyset have it still.")
    click.echo(_RELOAD, err=True)
    _tell_left_over(path)


@click.command("passphrase", short_help="Put a keyset under another passphrase.")
@click.option("--new-passphrase-file", metavar="FILE", help="The file that holds the new passphrase.")
@about_a_keyset
def passphrase(given: Given, new_passphrase_file: str | None) -> None:
    """Put a keyset under another passphrase, whatever it was sealed by before.

    The new one is asked for, twice, unless a file is named. The keys stay the same: somebody who has the old passphrase
    and an old copy of the file has them. If that may be, rotate, and seal anew.
    """
    if given.passphrase_file == new_passphrase_file == _INPUT:
        raise click.UsageError("Standard input is one passphrase: name a file for the other.")
    path = given.path
    opening = given.opening(path)
    if new_passphrase_file is not None:
        new = passphrase_in(new_passphrase_file)
    else:
        new = asked(f"New passphrase of {shown(path)}", twice=True)
    with change_keyset(path, new_passphrase=new, **opening):
        pass
    click.echo(f"{shown(path)} is under the new passphrase.")
    if given.app.passphrase is not None and path in given.app.keysets.values():
        click.echo("RAMPART_VAULT_PASSPHRASE has to give the new one from now on.", err=True)
        others = _under_a_passphrase(given.app, path)
        if others:
            click.echo(
                f"Warning: it opens {', '.join(others)} as well. Put each under the new one, before the app reads them "
                "again: until all are under the same, the app opens none of them.",
                err=True,
            )
    _tell_left_over(path)


@click.command("kms", short_help="Seal a keyset by the app's RAMPART_VAULT_KMS.")
@about_a_keyset
def kms(given: Given) -> None:
    """Seal a keyset by the app's RAMPART_VAULT_KMS, whatever it was sealed by before.

    What the KMS has sealed itself is sealed anew, by its key of now. The keys stay the same: who has an old copy of the
    file, and what opens that, has them.
    """
    if given.app.kms is None:
        raise ConfigError("The app has no RAMPART_VAULT_KMS. Name the app by --app.")
    path = given.path
    with change_keyset(path, new_kms=given.app.kms, **given.opening(path)):
        pass
    click.echo(f"{shown(path)} is sealed by the KMS.")
    _tell_left_over(path)


def _changed(given: Given) -> change_keyset:
    path = given.path
    opening = given.opening(path)
    _look_at(path)
    return change_keyset(path, **opening)


def _look_at(path: str) -> None:
    if form_of(read_file(path, strict=True)) == "clear":
        _warn_of_clear(path)


def _tell_left_over(path: str) -> None:
    tell_left_over(os.path.dirname(path), "it may hold all keys that the keyset had then, also destroyed ones")


def _destructible(keyset: Keyset, path: str, key_id: int, though_enabled: bool) -> KeysetKey:
    key = next((key for key in keyset.info() if key.id == key_id), None)
    if key is None:
        raise ConfigError(f"{shown(path)} has no key {key_id}: flask rampart vault keys lists them.")
    if key.status == "ENABLED" and not key.primary and not though_enabled:
        raise ConfigError(
            f"Key {key_id} of {shown(path)} is enabled: something may need it. Disable it first (flask rampart vault "
            f"disable {key_id}), see that all still opens, and destroy it then; or say --though-enabled."
        )
    return key


def _under_a_passphrase(app: OfApp, but: str) -> list[str]:
    found = []
    for name, path in app.keysets.items():
        try:
            if path != but and form_of(read_file(path, strict=False)) == "passphrase":
                found.append(name)
        except ConfigError:
            continue
    return found


def _warn_of_clear(path: str) -> None:
    click.echo(
        f"Warning: {shown(path)} is in clear. Whoever reads it, or a backup of it, reads all that it seals.", err=True
    )


def _new_passphrase(app: OfApp, path: str | None, ask: bool) -> Callable[[], str | bytes]:
    if path is not None:
        return passphrase_in(path)
    if not ask and app.passphrase is not None:
        return app.passphrase
    otherwise = "" if ask else " Or seal it by the app's KMS (--kms), or write it as it is (--cleartext)."
    return asked("Passphrase for the new keyset", twice=True, otherwise=otherwise)


def _plain(key: KeysetKey) -> dict[str, Any]:
    return {
        "id": key.id,
        "status": key.status,
        "primary": key.primary,
        "template": key.template,
        "type": key.type,
        "prefix": key.prefix,
    }


promote = _key_is("promote", "Make an enabled key primary: it seals from now on.", "primary: it seals from now on")
enable = _key_is("enable", "Let a key that was disabled open again.", "enabled: it opens")
disable = _key_is(
    "disable",
    "Let a key no longer open. It can be enabled again.",
    "disabled: what it has sealed does not open until it is enabled",
)
