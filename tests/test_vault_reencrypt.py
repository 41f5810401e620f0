"""``flask rampart vault reencrypt``: after a rotation all is sealed anew, each file in its place, whole or not at all."""

from __future__ import annotations

import errno
import os
import random
import stat
import tempfile
from pathlib import Path
from typing import Any

import pytest

from flask_rampart import Keyset
from flask_rampart.vault import open_file, read_keyset, reencrypt_file
from flask_rampart.vault.folders import Work

from .vaulting import BOUND, SMALL, content, dying_at, keys_of_files, leftovers, run_vault, some_tree  # noqa: F401


def test_after_a_rotation_all_is_sealed_anew_and_the_old_key_can_go(
    run: Any, tree: Path, tmp_path: Path, keys: Path
) -> None:
    sealed = tmp_path / "sealed"
    run("encrypt", tree, sealed, *BOUND)
    old = read_keyset(keys).primary
    assert run("rotate").code == 0
    (sealed / "z").chmod(0o640)
    told = run("reencrypt", sealed, *BOUND)
    assert (told.code, told.out) == (0, "7 files sealed anew, 0 by the primary key already.\n")
    assert stat.S_IMODE((sealed / "z").stat().st_mode) == 0o640
    told = run("reencrypt", sealed, *BOUND)
    assert (told.code, told.out) == (0, "0 files sealed anew, 7 by the primary key already.\n")
    told = run("reencrypt", sealed / "z", "--associated-data", "backup/z")
    assert told.out == "0 files sealed anew, 1 by the primary key already.\n"
    assert run("destroy", old, "--yes", "--though-enabled").code == 0
    assert run("decrypt", sealed, tmp_path / "back", *BOUND).code == 0
    assert content(tmp_path / "back") == content(tree)


def test_what_was_not_sealed_anew_does_not_open_after_its_key_is_destroyed(
    run: Any, tree: Path, tmp_path: Path, keys: Path
) -> None:
    run("encrypt", tree / "z", tmp_path / "sealed", "--associated-data", "x")
    old = read_keyset(keys).primary
    run("rotate")
    assert run("decrypt", tmp_path / "sealed", "-", "--associated-data", "x").code == 0
    run("destroy", old, "--yes", "--though-enabled")
    told = run("decrypt", tmp_path / "sealed", "-", "--associated-data", "x")
    assert (told.code, told.data) == (3, b"")


def test_what_was_changed_is_told_and_stays_as_it_is(run: Any, tree: Path, tmp_path: Path, keys: Path) -> None:
    sealed = tmp_path / "sealed"
    run("encrypt", tree, sealed, *BOUND)
    run("rotate")
    with open(sealed / "a" / "big", "r+b") as file:
        file.seek(100_000)
        file.write(b"changed")
    before = (sealed / "a" / "big").read_bytes()
    (sealed / "link").symlink_to(sealed / "z")
    told = run("reencrypt", sealed, *BOUND)
    assert told.code == 3
    assert "6 files sealed anew, 0 by the primary key already, 1 left out, 1 failed." in told.out
    assert "a/big: what was sealed cannot be opened" in told.err
    assert (sealed / "a" / "big").read_bytes() == before
    told = run("reencrypt", sealed / "link", "--associated-data", "backup/z")
    assert (told.code, "a symbolic link is not followed" in told.err) == (1, True)
    assert leftovers(sealed) == []


def test_what_another_program_wrote_meanwhile_is_not_lost(tmp_path: Path) -> None:
    keyset = Keyset.generate(SMALL)
    path, data = tmp_path / "file", random.Random(2).randbytes(1_000_000)

    def write(what: bytes) -> None:
        with open_file(path, "wb", keyset=keyset, associated_data="x") as file:
            file.write(what)

    write(data)
    keyset.rotate(SMALL)
    done: list[int] = []

    def progress(count: int) -> None:
        if not done:
            write(b"theirs")
        done.append(count)

    with pytest.raises(OSError, match="by another program meanwhile"):
        reencrypt_file(path, keyset=keyset, associated_data="x", progress=progress)
    with open_file(path, keyset=keyset, associated_data="x") as file:
        assert file.read() == b"theirs"
    assert leftovers(tmp_path) == []


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_killed_anywhere_a_file_is_the_old_one_or_the_new_and_the_rest_is_done_by_the_next_run(tmp_path: Path) -> None:
    keyset, root = Keyset.generate(SMALL), tmp_path / "root"
    root.mkdir()
    texts = {name: name.encode() * 3000 for name in ("a", "b", "c")}
    for name, text in texts.items():
        with open_file(root / name, "wb", keyset=keyset, associated_data=name) as file:
            file.write(text)
    old = keyset.primary
    keyset.rotate(SMALL)
    for at in range(200):
        child = os.fork()
        if child == 0:
            try:
                dying_at(at)()
                Work(keyset, "{path}").reencrypt(str(root))
            finally:
                os._exit(0)
        _, status = os.waitpid(child, 0)
        for name, text in texts.items():
            with open_file(root / name, keyset=keyset, associated_data=name) as file:
                assert file.read() == text
        if not os.WIFSIGNALED(status):
            break
    assert 5 < at < 199
    keyset.destroy(old)
    counts = Work(keyset, "{path}").reencrypt(str(root))
    assert (counts.done, counts.already, counts.failed) == (0, 3, 0)
    assert counts.left_out > 0  # what the killed ones have not completed


def test_the_owner_of_a_file_is_kept_or_it_is_not_sealed_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keyset, path = Keyset.generate(SMALL), tmp_path / "file"
    with open_file(path, "wb", keyset=keyset, associated_data="x") as file:
        file.write(b"text")
    keyset.rotate(SMALL)
    before, owner = path.read_bytes(), path.stat().st_uid
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    with pytest.raises(PermissionError, match="belongs to another user"):
        reencrypt_file(path, keyset=keyset, associated_data="x")
    monkeypatch.undo()
    assert path.read_bytes() == before
    if os.geteuid() == 0:
        os.chown(path, 12345, 23456)
        assert reencrypt_file(path, keyset=keyset, associated_data="x")
        assert (path.stat().st_uid, path.stat().st_gid) == (12345, 23456)


def test_what_is_not_there_is_told_and_does_not_stop_the_others(run: Any, tree: Path, tmp_path: Path) -> None:
    sealed, bound = tmp_path / "sealed", ("--associated-data", "z")
    run("encrypt", tree / "z", sealed, *bound)
    run("rotate")
    told = run("reencrypt", tmp_path / "none", sealed, *bound)
    assert (told.code, told.out) == (1, "1 files sealed anew, 0 by the primary key already, 1 failed.\n")
    assert f"{tmp_path}/none: No such file" in told.err


def test_other_names_of_what_is_sealed_anew_are_told(run: Any, tree: Path, tmp_path: Path) -> None:
    sealed = tmp_path / "sealed"
    run("encrypt", tree, sealed, *BOUND)
    os.link(sealed / "z", tmp_path / "z-of-yesterday")
    run("rotate")
    told = run("reencrypt", sealed, *BOUND)
    assert (told.code, told.err) == (0, "z: has 1 other names (hard links), which keep what the old key sealed\n")
    assert run("reencrypt", sealed, *BOUND).err == ""


def test_no_message_names_a_file_that_is_gone(
    run: Any, tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "out" / "sealed"
    target.parent.mkdir()

    def unlinked(path: str, target: str) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path, None, target)

    def unmade(**given: str) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), f"{given['dir']}/.vault-x.part")

    for where, name, failing, said in ((os, "link", unlinked, target), (tempfile, "mkstemp", unmade, target.parent)):
        with monkeypatch.context() as patched:
            patched.setattr(where, name, failing)
            told = run("encrypt", tree / "z", target, "--associated-data", "")
        assert (told.code, told.err) == (1, f"Error: {said}: No space left on device\n")


@pytest.mark.parametrize(("given", "said"), [("", "{path}"), ("backup", "backup/{path}"), ("a/", "a/{path}")])
def test_what_to_bind_files_to_is_told_as_it_can_be_written(
    run: Any, tree: Path, tmp_path: Path, given: str, said: str
) -> None:
    told = run("encrypt", tree, tmp_path / "sealed", "--associated-data", given)
    assert f'Write --associated-data "{said}".' in told.err
