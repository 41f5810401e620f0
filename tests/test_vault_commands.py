"""``flask rampart vault``: keysets are made, rotated and destroyed, whole or not at all, and nothing secret is told."""

from __future__ import annotations

import json
import re
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tink
from click.testing import CliRunner
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from flask import Flask
from flask.cli import ScriptInfo
from tink import aead, json_proto_keyset_format, secret_key_access

from flask_rampart import ConfigError, IntegrityError, Keyset, Rampart
from flask_rampart.cli import commands
from flask_rampart.vault import change_keyset, keyset_templates, read_keyset, write_keyset

from .vaulting import alone, run, typed

aead.register()
App = Callable[..., Flask]
SECRET = "correct horse battery"
CHEAP = {"memory": 19 * 1024, "passes": 2, "lanes": 1}


class Kms:
    """A KMS of one key; a Tink ``Aead`` is another."""

    def __init__(self) -> None:
        self.key = AESGCM(bytes(range(32)))
        self.away = False

    def encrypt(self, plaintext: bytes, associated_data: bytes) -> bytes:
        return bytes(12) + self.key.encrypt(bytes(12), plaintext, associated_data)

    def decrypt(self, ciphertext: bytes, associated_data: bytes) -> bytes:
        if self.away:
            raise TimeoutError("token s3cr3t has expired")
        return self.key.decrypt(ciphertext[:12], ciphertext[12:], associated_data)


@pytest.fixture
def app(make_app: App) -> Callable[..., Flask]:
    def make(**config: Any) -> Flask:
        made = make_app(rampart=False)
        made.config.update(RAMPART_ACCESS_LOG="off", RAMPART_LIMIT_STORE="memory://", **config)
        Rampart(made)
        return made

    return make


@pytest.fixture
def clear(tmp_path: Path) -> Path:
    path = tmp_path / "keyset.json"
    write_keyset(path, Keyset.generate("AES256_GCM"), cleartext=True)
    return path


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "passphrase"
    path.write_text(f"{SECRET}\n")
    path.chmod(0o600)
    return path


def cheap(path: Path, keyset: Keyset, passphrase: str = SECRET) -> None:
    """A keyset under a passphrase, by the least costs that there are."""
    path.write_text(keyset.to_passphrase_json(passphrase.encode(), **CHEAP))
    path.chmod(0o600)


def leftovers(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.name.startswith(".vault-")]


# Made ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("template", [name for name, _ in keyset_templates()])
def test_a_keyset_of_every_kind_is_made_for_its_owner_alone(app: Any, tmp_path: Path, template: str) -> None:
    path = tmp_path / "new.json"
    told = run(app(), "keygen", str(path), "--template", template, "--cleartext")
    assert told.code == 0
    keyset = read_keyset(path)
    (key,) = keyset.info()
    assert key.template == template
    assert f"Key {key.id} ({template}) is primary" in told.out
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "in clear" in told.err and "Back it up" in told.err


def test_a_misspelt_template_is_told_with_the_nearest(app: Any, tmp_path: Path) -> None:
    told = run(app(), "keygen", str(tmp_path / "new"), "--template", "AES256_GMC", "--cleartext")
    assert told.code == 2
    assert "Did you mean AES256_GCM?" in told.err
    assert not (tmp_path / "new").exists()
    assert len(run(app(), "templates").out.splitlines()) == 1 + len(keyset_templates())


def test_keys_that_are_there_are_never_overwritten(app: Any, clear: Path) -> None:
    before = clear.read_bytes()
    told = run(app(), "keygen", str(clear), "--cleartext")
    assert (told.code, told.err.count("is not overwritten")) == (1, 1)
    link = clear.with_name("link")
    link.symlink_to(clear.with_name("nothing"))
    assert run(app(), "keygen", str(link), "--cleartext").code == 1
    assert clear.read_bytes() == before and not clear.with_name("nothing").exists()


def test_a_keyset_is_in_clear_only_where_that_is_said(app: Any, tmp_path: Path) -> None:
    told = run(app(), "keygen", str(tmp_path / "new"))
    assert told.code == 1
    assert "no terminal" in told.err and "--passphrase-file" in told.err and "--cleartext" in told.err
    told = run(app(), "keygen", str(tmp_path / "new"), "--cleartext", "--kms")
    assert (told.code, "one of them" in told.err) == (2, True)
    told = run(app(), "keygen", str(tmp_path / "new"), "--kms")
    assert (told.code, "RAMPART_VAULT_KMS" in told.err) == (1, True)
    assert list(tmp_path.iterdir()) == []


def test_the_apps_kms_seals_and_tink_reads_it(app: Any, tmp_path: Path) -> None:
    kms = tink.new_keyset_handle(aead.aead_key_templates.AES256_GCM).primitive(aead.Aead)
    path = tmp_path / "new"
    assert run(app(RAMPART_VAULT_KEYSET=path, RAMPART_VAULT_KMS=lambda: kms), "keygen", str(path)).code == 0
    theirs = json_proto_keyset_format.parse_encrypted(path.read_text(), kms, b"").primitive(aead.Aead)
    ours = read_keyset(path, kms=kms)
    assert theirs.decrypt(ours.seal(b"text", b"ad"), b"ad") == b"text"
    assert run(app(RAMPART_VAULT_KEYSET=path, RAMPART_VAULT_KMS=kms), "rotate").code == 0
    theirs = json_proto_keyset_format.parse_encrypted(path.read_text(), kms, b"").primitive(aead.Aead)
    assert theirs.decrypt(ours.seal(b"old", b""), b"") == b"old"
    assert read_keyset(path, kms=kms).open(theirs.encrypt(b"new", b""), b"") == b"new"


def test_what_tink_made_is_listed_rotated_and_read_by_tink(app: Any, tmp_path: Path) -> None:
    path = tmp_path / "theirs.json"
    handle = tink.new_keyset_handle(aead.aead_key_templates.AES128_GCM)
    path.write_text(json_proto_keyset_format.serialize(handle, secret_key_access.TOKEN))
    path.chmod(0o600)
    assert "AES128_GCM" in run(app(), "keys", "--keyset", str(path)).out
    assert run(app(), "rotate", "--keyset", str(path)).code == 0
    after = json_proto_keyset_format.parse(path.read_text(), secret_key_access.TOKEN)
    assert after.primitive(aead.Aead).decrypt(handle.primitive(aead.Aead).encrypt(b"old", b""), b"") == b"old"
    assert [key.template for key in read_keyset(path).info()] == ["AES128_GCM"] * 2


def test_a_passphrase_is_taken_from_a_file_or_the_app(app: Any, tmp_path: Path, secret: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    assert run(app(), "keygen", str(one), "--passphrase-file", str(secret)).code == 0
    configured = app(RAMPART_VAULT_KEYSET=two, RAMPART_VAULT_PASSPHRASE=str(secret))
    assert run(configured, "keygen", str(two)).code == 0
    assert len(read_keyset(one, passphrase=SECRET)) == 1
    cheap(two, Keyset.generate("AES256_GCM"))
    assert run(configured, "keys").out.startswith(f"default: {two}, under a passphrase, for AEAD\n")


def test_a_passphrase_comes_by_standard_input(app: Any, tmp_path: Path) -> None:
    path = tmp_path / "keyset"
    cheap(path, Keyset.generate("AES256_GCM_HKDF_4KB"))
    words = ("--keyset", str(path), "--passphrase-file", "-")
    assert run(app(), "rotate", *words, given=f"{SECRET}\n".encode()).code == 0
    assert run(app(), "rotate", *words, given=b"another horse battery").code == 3
    assert run(app(), "rotate", *words).code == 1
    told = run(app(), "encrypt", "-", "-", "--associated-data", "x", *words, given=SECRET.encode())
    assert (told.code, "SOURCE already" in told.err) == (2, True)


def test_a_passphrase_that_is_too_short_or_that_others_read_seals_nothing(app: Any, tmp_path: Path) -> None:
    weak = tmp_path / "weak"
    weak.write_text("short")
    weak.chmod(0o600)
    words = ("keygen", str(tmp_path / "new"), "--passphrase-file", str(weak))
    told = run(app(), *words)
    assert (told.code, "12 bytes" in told.err, "short" in told.err.replace("shorter", "")) == (1, True, False)
    weak.write_text(SECRET)
    weak.chmod(0o644)
    told = run(app(), *words)
    assert (told.code, "can be read by others (mode 0644): chmod 0600" in told.err) == (1, True)
    assert SECRET not in told.err
    weak.chmod(0o600)
    weak.write_text("\n")
    assert "is empty" in run(app(), *words).err
    assert not (tmp_path / "new").exists()


def test_a_folder_that_others_can_change_is_told_of(app: Any, tmp_path: Path) -> None:
    tmp_path.chmod(0o770)
    told = run(app(), "keygen", str(tmp_path / "new"), "--cleartext")
    assert (told.code, "others can write in" in told.err, "mode 0770" in told.out) == (0, True, True)
    tmp_path.chmod(0o1777)
    assert "others can write in" not in run(app(), "keygen", str(tmp_path / "newer"), "--cleartext").err
    tmp_path.chmod(0o700)


# On a terminal ------------------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_passphrase_is_asked_for_twice_and_not_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # where there is no app
    path = tmp_path / "asked.json"
    code, shown = typed([SECRET, SECRET], "keygen", str(path))
    assert code == 0, shown
    assert shown.count("<typed>") == 2
    assert SECRET not in shown
    assert len(read_keyset(path, passphrase=SECRET)) == 1
    cheap(path, Keyset.generate("AES256_GCM"))
    code, shown = typed([SECRET], "keys", "--keyset", str(path))
    assert (code, shown.count("<typed>"), SECRET in shown) == (0, 1, False)
    code, shown = typed([SECRET, "another horse battery"], "keygen", str(tmp_path / "other"))
    assert (code, "two passphrases" in shown, (tmp_path / "other").exists()) == (1, True, False)


def test_a_terminal_that_would_show_the_passphrase_is_not_asked(
    app: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As getpass does where it cannot turn the echo off: bpo-1540601.
    import getpass
    import warnings

    from flask_rampart.cli.vault import choosing

    def shows(prompt: str) -> str:
        warnings.warn("Can not control echo on the terminal.", getpass.GetPassWarning, stacklevel=2)
        raise AssertionError("it went on")

    monkeypatch.setattr(getpass, "getpass", shows)
    monkeypatch.setattr(choosing, "_is_terminal", lambda: True)
    told = run(app(), "keygen", str(tmp_path / "new"))
    assert (told.code, "would show the passphrase" in told.err) == (1, True)


# Which keyset -------------------------------------------------------------------------------------------------------


def test_which_keyset_is_meant_is_never_guessed(app: Any, clear: Path, tmp_path: Path) -> None:
    write_keyset(tmp_path / "index.json", Keyset.generate("HKDF_SHA256"), cleartext=True)
    two = app(RAMPART_VAULT_KEYSET={"data": clear, "index": tmp_path / "index.json"})
    before = clear.read_bytes()
    told = run(two, "rotate")
    assert (told.code, "data, index" in told.err) == (1, True)
    told = run(two, "rotate", "--name", "date")
    assert (told.code, "there are data, index" in told.err) == (1, True)
    assert clear.read_bytes() == before
    assert run(two, "rotate", "--name", "index").code == 0
    assert (len(read_keyset(clear)), len(read_keyset(tmp_path / "index.json"))) == (1, 2)
    told = run(app(), "rotate")
    assert (told.code, "--keyset FILE" in told.err) == (1, True)
    assert run(two, "rotate", "--name", "data", "--keyset", str(clear)).code == 2


def test_keys_are_listed_and_nothing_of_what_they_are_made_of(app: Any, clear: Path) -> None:
    keyset = Keyset.generate("AES256_GCM")
    keyset.rotate("XCHACHA20_POLY1305", prefix="RAW")
    write_keyset(clear, keyset, cleartext=True, replace=True)
    told = run(app(RAMPART_VAULT_KEYSET=clear), "keys")
    title, head, first, second = told.out.splitlines()
    assert title == f"default: {clear}, in clear, for AEAD"
    assert head.split() == ["KEY", "STATE", "KIND", "PREFIX"]
    assert first.split() == [str(keyset.info()[0].id), "ENABLED", "AES256_GCM", "TINK"]
    assert second.split(maxsplit=4)[1:] == ["ENABLED", "XCHACHA20_POLY1305", "RAW", "primary: it seals"]
    plain = run(app(RAMPART_VAULT_KEYSET=clear), "keys", "--json").out
    (found,) = json.loads(plain)
    assert [key["primary"] for key in found["keys"]] == [False, True]
    for value in re.findall(r'"value": ?"([^"]+)"', clear.read_text()):
        assert value not in told.out + plain


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_it_works_without_an_app(tmp_path: Path, secret: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    cheap(tmp_path / "k", Keyset.generate("AES256_SIV"))
    code, told = alone("rotate", "--keyset", "k", "--passphrase-file", str(secret))
    assert (code, "1 older key" in told) == (0, True), told
    assert len(read_keyset(tmp_path / "k", passphrase=SECRET)) == 2
    code, told = alone("keys", "--keyset", "k")
    assert (code, "no terminal" in told) == (1, True)


def test_an_app_that_was_named_and_is_not_there_is_told(clear: Path) -> None:
    info = ScriptInfo(app_import_path="nowhere_at_all")
    done = CliRunner().invoke(commands, ["vault", "keys", "--keyset", str(clear)], obj=info)
    assert (done.exit_code, "nowhere_at_all" in done.output) == (2, True)


# Refused ------------------------------------------------------------------------------------------------------------


def test_a_wrong_passphrase_and_a_changed_keyset_are_told_alike(app: Any, tmp_path: Path, secret: Path) -> None:
    path = tmp_path / "keyset"
    cheap(path, Keyset.generate("AES256_GCM"), "another horse battery")
    words = ("rotate", "--keyset", str(path), "--passphrase-file", str(secret))
    wrong = run(app(), *words)
    cheap(path, Keyset.generate("AES256_GCM"))
    sealed = json.loads(path.read_text())
    text = sealed["keyset"]["encryptedKeyset"]
    sealed["keyset"]["encryptedKeyset"] = ("B" if text[0] == "A" else "A") + text[1:]
    path.write_text(json.dumps(sealed))
    before = path.read_bytes()
    changed = run(app(), *words)
    assert (wrong.code, wrong.err) == (changed.code, changed.err)
    assert wrong.code == 3
    assert SECRET not in wrong.err and path.read_bytes() == before


@pytest.mark.parametrize("mode", [0o644, 0o622, 0o606])
def test_keys_that_others_can_read_or_change_are_not_used(app: Any, clear: Path, mode: int) -> None:
    clear.chmod(mode)
    for command in (("keys",), ("rotate",)):
        told = run(app(RAMPART_VAULT_KEYSET=clear), *command)
        assert (told.code, "chmod 0600" in told.err) == (1, True)


def test_keys_behind_a_symbolic_link_are_read_and_not_changed(app: Any, clear: Path) -> None:
    link = clear.with_name("link")
    link.symlink_to(clear)
    before = clear.read_bytes()
    assert run(app(), "keys", "--keyset", str(link)).code == 0
    told = run(app(), "rotate", "--keyset", str(link))
    assert (told.code, "name the file itself" in told.err) == (1, True)
    assert link.is_symlink() and clear.read_bytes() == before


def test_a_keyset_in_clear_does_not_pass_for_a_sealed_one(app: Any, clear: Path, secret: Path) -> None:
    sealed = app(RAMPART_VAULT_KEYSET=clear, RAMPART_VAULT_KMS=Kms())
    told = run(sealed, "rotate")
    assert (told.code, "would choose the key" in told.err) == (1, True)
    told = run(app(), "rotate", "--keyset", str(clear), "--passphrase-file", str(secret))
    assert (told.code, "would choose the key" in told.err) == (1, True)
    assert run(sealed, "rotate", "--cleartext").code == 0


def test_what_a_kms_raises_is_told_by_its_kind_alone(app: Any, tmp_path: Path) -> None:
    kms, path = Kms(), tmp_path / "keyset"
    write_keyset(path, Keyset.generate("AES256_GCM"), kms=kms)
    kms.away = True
    told = run(app(RAMPART_VAULT_KEYSET=path, RAMPART_VAULT_KMS=kms), "rotate")
    assert (told.code, told.err) == (1, "Error: RAMPART_VAULT_KMS: decrypt has failed: TimeoutError.\n")


def test_names_move_no_cursor(app: Any, tmp_path: Path) -> None:
    # Terminal escape sequences in file names: CVE-2003-0063 and its like.
    path = tmp_path / "a\x1b]0;owned\x07"
    told = run(app(), "keygen", str(path), "--cleartext")
    assert told.code == 0
    assert "\x1b" not in told.out + told.err
    assert "a\\x1b]0;owned\\x07" in told.out


# Rotated ------------------------------------------------------------------------------------------------------------


def test_old_keys_open_until_they_are_destroyed(app: Any, clear: Path) -> None:
    configured = app(RAMPART_VAULT_KEYSET=clear)
    old = read_keyset(clear)
    sealed, first = old.seal(b"text", b"ad"), old.primary
    told = run(configured, "rotate")
    assert told.code == 0
    assert "1 older key can still open" in told.out and "reload()" in told.err
    now = read_keyset(clear)
    assert now.primary != first
    assert now.open(sealed, b"ad") == b"text"
    with pytest.raises(IntegrityError) as raised:
        old.open(now.seal(b"text", b"ad"), b"ad")
    assert raised.value.reason == "no_key"
    assert run(configured, "disable", str(first)).code == 0
    with pytest.raises(IntegrityError):
        read_keyset(clear).open(sealed, b"ad")
    assert run(configured, "enable", str(first)).code == 0
    assert read_keyset(clear).open(sealed, b"ad") == b"text"
    told = run(configured, "destroy", str(first), "--yes")
    assert (told.code, "is enabled" in told.err, "--though-enabled" in told.err) == (1, True, True)
    assert run(configured, "disable", str(first)).code == 0
    told = run(configured, "destroy", str(first))
    assert (told.code, len(read_keyset(clear).info())) == (1, 2)
    assert f"Destroy key {first} (AES256_GCM, disabled) of {clear}?" in told.out
    assert read_keyset(clear).info()[0].status == "DISABLED"
    assert run(configured, "destroy", str(first), "--yes").code == 0
    with pytest.raises(IntegrityError) as raised:
        read_keyset(clear).open(sealed, b"ad")
    assert raised.value.reason == "no_key"
    assert [key.status for key in read_keyset(clear).info()] == ["DESTROYED", "ENABLED"]
    assert run(configured, "enable", str(first)).code == 1


def test_in_two_steps_no_process_meets_a_key_that_it_does_not_know(app: Any, clear: Path) -> None:
    configured = app(RAMPART_VAULT_KEYSET=clear)
    worker = read_keyset(clear)
    told = run(configured, "rotate", "--not-primary", "--template", "AES256_GCM_SIV")
    new = re.search(r"Key (\d+) \(AES256_GCM_SIV\) is added", told.out)
    assert told.code == 0 and new is not None
    assert f"vault promote {new[1]}" in told.err
    assert worker.open(read_keyset(clear).seal(b"text", b""), b"") == b"text"
    worker = read_keyset(clear)
    assert run(configured, "promote", new[1]).code == 0
    assert worker.open(read_keyset(clear).seal(b"text", b""), b"") == b"text"


def test_the_primary_and_strangers_are_neither_disabled_nor_destroyed(app: Any, clear: Path) -> None:
    configured = app(RAMPART_VAULT_KEYSET=clear)
    before, primary = clear.read_bytes(), str(read_keyset(clear).primary)
    for words in (
        ("disable", primary),
        ("destroy", primary, "--yes"),
        ("promote", "7"),
        ("rotate", "--template", "AES256_SIV"),
    ):
        told = run(configured, *words)
        assert (told.code, told.err.splitlines()[-1].startswith("Error: ")) == (1, True)
    assert run(configured, "promote", "0").code == 2
    assert clear.read_bytes() == before


def test_another_passphrase_opens_from_now_on_and_the_costs_stay(app: Any, tmp_path: Path, secret: Path) -> None:
    path, new = tmp_path / "keyset", tmp_path / "new"
    keyset = Keyset.generate("AES256_GCM")
    cheap(path, keyset)
    new.write_text("another horse battery")
    new.chmod(0o600)
    configured = app(RAMPART_VAULT_KEYSET=path, RAMPART_VAULT_PASSPHRASE=str(secret))
    told = run(configured, "passphrase", "--new-passphrase-file", str(new))
    assert (told.code, "RAMPART_VAULT_PASSPHRASE has to give the new one" in told.err) == (0, True)
    assert "m=19456,t=2,p=1" in path.read_text()
    with pytest.raises(IntegrityError):
        read_keyset(path, passphrase=SECRET)
    assert read_keyset(path, passphrase="another horse battery").primary == keyset.primary
    assert run(configured, "rotate").code == 3


def test_a_keyset_in_clear_is_put_under_a_passphrase(app: Any, clear: Path, secret: Path) -> None:
    primary = read_keyset(clear).primary
    told = run(app(), "passphrase", "--keyset", str(clear), "--new-passphrase-file", str(secret))
    assert told.code == 0
    assert read_keyset(clear, passphrase=SECRET).primary == primary


def test_the_kms_seals_what_was_in_clear_or_under_a_passphrase(
    app: Any, clear: Path, tmp_path: Path, secret: Path
) -> None:
    gate, under = Kms(), tmp_path / "under"
    keyset = Keyset.generate("AES256_GCM")
    cheap(under, keyset)
    configured = app(RAMPART_VAULT_KEYSET={"clear": clear, "under": under}, RAMPART_VAULT_KMS=gate)
    primary = read_keyset(clear).primary
    told = run(configured, "kms", "--name", "clear")
    assert (told.code, "would choose the key" in told.err) == (1, True)
    assert run(configured, "kms", "--name", "clear", "--cleartext").code == 0
    assert run(configured, "kms", "--name", "under", "--passphrase-file", str(secret)).code == 0
    assert run(configured, "kms", "--name", "under").code == 0  # its own, anew
    assert read_keyset(clear, kms=gate).primary == primary
    assert read_keyset(under, kms=gate).primary == keyset.primary
    assert (run(app(), "kms", "--keyset", str(clear)).code, read_keyset(clear, kms=gate).primary) == (1, primary)
    with pytest.raises(ConfigError, match="one of"):
        change_keyset(clear, new_kms=gate, new_passphrase=SECRET)


def test_mode_and_group_are_kept(app: Any, clear: Path) -> None:
    clear.chmod(0o640)
    before = clear.stat()
    assert run(app(RAMPART_VAULT_KEYSET=clear), "rotate").code == 0
    after = clear.stat()
    assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, before.st_uid, before.st_gid)
