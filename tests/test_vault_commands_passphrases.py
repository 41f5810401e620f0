"""``flask rampart vault`` and passphrases: where they come from, how often, and whom a new one locks out."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from flask_rampart import Keyset, Rampart
from flask_rampart.cli.vault import choosing
from flask_rampart.vault import read_keyset, write_keyset

from .vaulting import SMALL, run, typed

SECRET, NEW = "correct horse battery", "another horse battery"
CHEAP = {"memory": 19 * 1024, "passes": 2, "lanes": 1}


@pytest.fixture
def app(make_app: Callable[..., Flask]) -> Callable[..., Flask]:
    def make(**config: Any) -> Flask:
        made = make_app(rampart=False)
        made.config.update(RAMPART_ACCESS_LOG="off", RAMPART_LIMIT_STORE="memory://", **config)
        Rampart(made)
        return made

    return make


@pytest.fixture
def two(tmp_path: Path) -> dict[str, str]:
    """Two keysets under one passphrase."""
    made = {"data": Keyset.generate("AES256_GCM"), "files": Keyset.generate(SMALL)}
    for name, keyset in made.items():
        path = tmp_path / f"{name}.json"
        path.write_text(keyset.to_passphrase_json(SECRET.encode(), **CHEAP))
        path.chmod(0o600)
    return {name: str(tmp_path / f"{name}.json") for name in made}


def test_standard_input_is_one_passphrase_for_all_keysets(app: Any, two: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "plain").write_bytes(b"text")
    configured = app(RAMPART_VAULT_KEYSET=two)
    words = ("encrypt", str(tmp_path / "plain"), str(tmp_path / "sealed"), "--associated-data", "")
    told = run(configured, *words, "--passphrase-file", "-", given=f"{SECRET}\n".encode())
    assert (told.code, told.err) == (0, "")
    told = run(configured, "keys", "--passphrase-file", "-", given=SECRET.encode())
    assert (told.code, told.out.count("primary: it seals")) == (0, 2)
    # The next command has its own.
    told = run(configured, "keys", "--passphrase-file", "-", given=b"")
    assert (told.code, "is empty" in told.err) == (1, True)


def test_two_passphrases_are_not_one_standard_input(app: Any, two: dict[str, str]) -> None:
    before = Path(two["data"]).read_bytes()
    words = ("passphrase", "--name", "data", "--passphrase-file", "-", "--new-passphrase-file", "-")
    told = run(app(RAMPART_VAULT_KEYSET=two), *words, given=SECRET.encode())
    assert (told.code, "name a file for the other" in told.err) == (2, True)
    assert Path(two["data"]).read_bytes() == before


def test_a_passphrase_that_is_too_long_is_not_cut(app: Any, two: dict[str, str]) -> None:
    told = run(app(RAMPART_VAULT_KEYSET=two), "keys", "--passphrase-file", "-", given=b"x" * (64 * 1024 + 1))
    assert (told.code, "longer than 65536 bytes" in told.err) == (1, True)


def test_a_question_is_not_answered_by_the_passphrase(app: Any, two: dict[str, str]) -> None:
    old = read_keyset(two["data"], passphrase=SECRET).primary
    configured = app(RAMPART_VAULT_KEYSET=two)
    base = ("--name", "data", "--passphrase-file", "-")
    assert run(configured, "rotate", *base, given=SECRET.encode()).code == 0
    assert run(configured, "disable", str(old), *base, given=SECRET.encode()).code == 0
    told = run(configured, "destroy", str(old), *base, given=f"{SECRET}\ny\n".encode())
    assert (told.code, "--yes" in told.err) == (2, True)
    told = run(configured, "destroy", str(old), *base, "--yes", given=SECRET.encode())
    assert (told.code, read_keyset(two["data"], passphrase=SECRET).info()[0].status) == (0, "DESTROYED")


def test_a_new_passphrase_tells_which_keysets_the_app_would_not_open(
    app: Any, two: dict[str, str], tmp_path: Path
) -> None:
    new = tmp_path / "new"
    new.write_text(NEW)
    new.chmod(0o600)
    told = run(
        app(RAMPART_VAULT_KEYSET=two, RAMPART_VAULT_PASSPHRASE=lambda: SECRET),
        *("passphrase", "--name", "data", "--new-passphrase-file", str(new)),
    )
    assert told.code == 0
    assert "Warning: it opens files as well" in told.err
    Path(two["files"]).unlink()
    write_keyset(two["files"], Keyset.generate(SMALL), cleartext=True)
    told = run(
        app(RAMPART_VAULT_KEYSET=two, RAMPART_VAULT_PASSPHRASE=lambda: NEW),
        *("passphrase", "--name", "data", "--new-passphrase-file", str(new)),
    )
    assert (told.code, "Warning" in told.err) == (0, False)


def test_what_the_function_of_a_passphrase_raises_is_told_by_its_kind(app: Any, two: dict[str, str]) -> None:
    def away() -> str:
        raise TimeoutError("token s3cr3t has expired")

    told = run(app(RAMPART_VAULT_KEYSET=two, RAMPART_VAULT_PASSPHRASE=away), "keys")
    assert told.code == 1
    assert told.err == "Error: RAMPART_VAULT_PASSPHRASE: the function has failed: TimeoutError.\n"


def test_a_keyset_in_clear_is_refused_with_the_commands_that_seal_it(app: Any, tmp_path: Path) -> None:
    path = tmp_path / "keyset.json"
    write_keyset(path, Keyset.generate("AES256_GCM"), cleartext=True)
    told = run(app(RAMPART_VAULT_KEYSET=path, RAMPART_VAULT_PASSPHRASE=lambda: SECRET), "rotate")
    assert (told.code, "vault passphrase --cleartext" in told.err) == (1, True)


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_who_mistypes_is_not_shown_how_to_do_without(tmp_path: Path) -> None:
    code, shown = typed([SECRET, NEW], "keygen", str(tmp_path / "new"))
    assert (code, "These were two passphrases" in shown, "--cleartext" in shown) == (1, True, False)


def test_a_folder_of_somebody_else_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Any) -> None:
    owner = tmp_path.stat().st_uid
    choosing.mode_of(str(tmp_path))
    assert capfd.readouterr().err == ""
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    real = os.stat
    monkeypatch.setattr(os, "stat", lambda path: Owned(real(path), owner or 4711))
    choosing.mode_of(str(tmp_path))
    assert "belongs to another user" in capfd.readouterr().err


class Owned:
    def __init__(self, status: Any, owner: int) -> None:
        self.status, self.st_uid = status, owner

    def __getattr__(self, name: str) -> Any:
        return getattr(self.status, name)
