"""``flask rampart vault encrypt`` and ``decrypt`` of folders: nothing is lost, overwritten or sealed by itself."""

from __future__ import annotations

import os
import signal
import stat
import time
from pathlib import Path
from typing import Any

import pytest

from flask_rampart import Keyset
from flask_rampart._native import StreamSealer
from flask_rampart.vault import encrypt_file, read_keyset
from flask_rampart.vault.folders import Work

from .vaulting import BOUND, SMALL, alone, content, dying_at, keys_of_files, leftovers, run_vault, some_tree  # noqa: F401


def test_a_folder_is_sealed_and_opened_again(run: Any, tree: Path, tmp_path: Path) -> None:
    sealed, back = tmp_path / "sealed", tmp_path / "back"
    told = run("encrypt", tree, sealed, *BOUND)
    assert (told.code, told.out) == (0, "7 files sealed, 0 done before.\n")
    assert told.err == ""
    assert set(content(sealed)) == set(content(tree))
    assert not set(filter(None, content(sealed).values())) & set(filter(None, content(tree).values()))
    assert {stat.S_IMODE(path.stat().st_mode) for path in sealed.rglob("*") if path.is_file()} == {0o600}
    assert stat.S_IMODE(sealed.stat().st_mode) == 0o700
    told = run("decrypt", sealed, back, *BOUND)
    assert (told.code, told.out) == (0, "7 files opened, 0 done before.\n")
    assert content(back) == content(tree)


def test_two_files_that_were_exchanged_do_not_open_where_the_path_is_bound(
    run: Any, tree: Path, tmp_path: Path
) -> None:
    sealed = tmp_path / "sealed"
    run("encrypt", tree, sealed, *BOUND)
    (sealed / "z").rename(sealed / "t")
    (sealed / "a" / "big").rename(sealed / "z")
    (sealed / "t").rename(sealed / "a" / "big")
    told = run("decrypt", sealed, tmp_path / "back", *BOUND)
    assert told.code == 3
    assert "5 files opened, 0 done before, 2 failed." in told.out
    assert "z: what was sealed cannot be opened" in told.err
    back = content(tmp_path / "back")
    assert len([each for each in back.values() if each is not None]) == 5 and "z" not in back


def test_one_place_for_all_files_is_warned_of(run: Any, tree: Path, tmp_path: Path) -> None:
    told = run("encrypt", tree, tmp_path / "sealed", "--associated-data", "backup/")
    assert told.code == 0
    assert '--associated-data "backup/{path}"' in told.err
    told = run("encrypt", tree / "z", tmp_path / "one", *BOUND)
    assert (told.code, "write out what a single file is bound to" in told.err) == (1, True)


def test_links_pipes_and_what_was_not_completed_are_left_out_and_told(run: Any, tree: Path, tmp_path: Path) -> None:
    (tree / "link").symlink_to("/etc/passwd")
    (tree / "loop").symlink_to(tree)
    os.mkfifo(tree / "pipe")
    (tree / ".vault-abc.part").write_bytes(b"half")
    told = run("encrypt", tree, tmp_path / "sealed", *BOUND)
    assert told.code == 1
    assert "7 files sealed, 0 done before, 4 left out." in told.out
    for name in ("link", "loop", "pipe"):
        assert f"{name}: left out: neither" in told.err
    assert ".vault-abc.part: left out: what a run that was killed" in told.err
    assert not {"link", "loop", "pipe"} & set(content(tmp_path / "sealed"))
    assert run("encrypt", tree, tmp_path / "again", *BOUND, "--skip-special").code == 0


def test_nothing_is_overwritten(run: Any, tree: Path, tmp_path: Path) -> None:
    sealed, back = tmp_path / "sealed", tmp_path / "back"
    sealed.mkdir()
    (sealed / "z").write_bytes(b"of somebody")
    told = run("encrypt", tree, sealed, *BOUND)
    assert (told.code, "--resume" in told.err) == (1, True)
    told = run("encrypt", tree, sealed, *BOUND, "--resume")
    assert (told.code, "z: something else has this name" in told.err) == (1, True)
    assert "6 files sealed, 0 done before, 1 failed." in told.out
    assert (sealed / "z").read_bytes() == b"of somebody"
    (sealed / "z").unlink()
    back.mkdir()
    (back / "z").write_bytes(b"of somebody")
    assert run("encrypt", tree, sealed, *BOUND, "--resume").out == "1 files sealed, 6 done before.\n"
    told = run("decrypt", sealed, back, *BOUND, "--resume")
    assert (told.code, (back / "z").read_bytes()) == (1, b"of somebody")
    (back / "a" / "deep" / "x").unlink()
    (back / "a" / "deep" / "x").symlink_to(tree / "z")
    before = (tree / "z").read_bytes()
    assert run("decrypt", sealed, back, *BOUND, "--resume").code == 1
    assert (tree / "z").read_bytes() == before


def test_a_run_is_resumed_and_what_changed_since_is_sealed_anew(run: Any, tree: Path, tmp_path: Path) -> None:
    sealed = tmp_path / "sealed"
    run("encrypt", tree, sealed, *BOUND)
    (sealed / "z").unlink()
    (tree / "a" / "big").write_bytes(b"other")
    later = time.time_ns() + 10**9
    (tree / "-r").write_bytes(b"abc")  # as long as before
    os.utime(tree / "-r", ns=(later, later))
    told = run("encrypt", tree, sealed, *BOUND, "--resume")
    assert (told.code, told.out) == (0, "3 files sealed, 4 done before.\n")
    run("decrypt", sealed, tmp_path / "back", *BOUND)
    assert content(tmp_path / "back") == content(tree)
    told = run("decrypt", sealed, tmp_path / "back", *BOUND, "--resume")
    assert told.out.startswith(("0 files opened, 7 done before", "0 files opened, 6 done before"))


def test_a_folder_with_its_own_keyset_is_not_sealed(run: Any, tree: Path, tmp_path: Path, keys: Path) -> None:
    target = tmp_path.parent / f"{tmp_path.name}-out"
    told = run("encrypt", tmp_path, target, *BOUND)
    assert (told.code, "is the keyset itself" in told.err, target.exists()) == (1, True, False)
    # By another name, too.
    os.link(keys, tree / "harmless")
    told = run("encrypt", tree, target, *BOUND)
    assert (told.code, "harmless is the keyset itself" in told.err, target.exists()) == (1, True, False)
    for command in ("encrypt", "decrypt"):
        told = run(command, keys, target, "--associated-data", "")
        assert (told.code, "is the keyset itself" in told.err) == (1, True)
    told = run("encrypt", tree / "z", keys, "--associated-data", "", "--replace")
    assert (told.code, len(read_keyset(keys))) == (1, 1)
    assert run("reencrypt", keys.parent, *BOUND).code == 1


def test_no_error_writes_to_the_terminal_what_a_name_says(run: Any, tree: Path, tmp_path: Path, keys: Path) -> None:
    # Terminal escape sequences in file names: CVE-2003-0063 and its like.
    os.link(keys, tree / "\x1b]0;owned\x07")
    told = run("encrypt", tree, tmp_path / "sealed", *BOUND)
    assert (told.code, "is the keyset itself" in told.err) == (1, True)
    (tree / "\x1b]0;owned\x07").unlink()
    (tree / "\x1b]0;link").symlink_to(keys)
    told = run("encrypt", tree, tmp_path / "sealed", *BOUND)
    assert "\\x1b]0;link: left out" in told.err
    assert "\x1b" not in told.out + told.err


def test_a_tree_without_end_has_one(tmp_path: Path) -> None:
    root = tmp_path / "root"
    deep = root.joinpath(*(["d"] * 300))
    deep.mkdir(parents=True)
    told: list[tuple[str, str]] = []
    work = Work(Keyset.generate(SMALL), "{path}", told=lambda path, what: told.append((path, what)))
    counts = work.encrypt(str(root), str(tmp_path / "sealed"))
    assert (counts.failed, [what for _, what in told]) == (1, ["nested too deeply"])


def test_folders_within_each_other_are_refused(run: Any, tree: Path, tmp_path: Path) -> None:
    before = content(tree)
    (tmp_path / "link").symlink_to(tree)
    for target in (tree, tree / "a" / "new", tmp_path / "link" / "new", tmp_path):
        told = run("encrypt", tree, target, *BOUND)
        assert (told.code, "one within the other" in told.err) == (1, True)
    assert content(tree) == before


def test_a_file_that_cannot_be_read_does_not_stop_the_others(
    run: Any, tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import flask_rampart.vault.folders as folders

    def failing(source: Any, *given: Any, **named: Any) -> None:
        if str(source).endswith("big"):
            raise PermissionError(13, "Permission denied", source)
        encrypt_file(source, *given, **named)

    monkeypatch.setattr(folders, "encrypt_file", failing)
    told = run("encrypt", tree, tmp_path / "sealed", *BOUND)
    assert (told.code, "a/big: Permission denied" in told.err) == (1, True)
    assert "1 failed" in told.out


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_killed_run_leaves_whole_files_and_is_resumed(run: Any, tree: Path, tmp_path: Path, keys: Path) -> None:
    sealed = tmp_path / "sealed"
    words = ("encrypt", str(tree), str(sealed), *BOUND, "--keyset", str(keys))
    code, _ = alone(*words, before=dying_at(4, "fsync"))
    assert code == -signal.SIGKILL
    assert len(leftovers(sealed)) == 1
    done_before = [path for path in sealed.rglob("*") if path.is_file() and path not in leftovers(sealed)]
    assert len(done_before) == 2  # each is flushed, and so is its folder
    told = run("encrypt", tree, sealed, *BOUND, "--resume")
    assert (told.code, told.out) == (0, "5 files sealed, 2 done before.\n")
    told = run("decrypt", sealed, tmp_path / "back", *BOUND)
    assert "1 left out" in told.out
    assert content(tmp_path / "back") == content(tree)


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_signal_leaves_nothing_half_written(tree: Path, tmp_path: Path, keys: Path) -> None:
    sealed = tmp_path / "sealed"
    words = ("encrypt", str(tree), str(sealed), *BOUND, "--keyset", str(keys))
    code, _ = alone(*words, before=dying_at(4, "fsync", by=signal.SIGTERM))
    assert code == 128 + signal.SIGTERM
    assert leftovers(sealed) == []


# Done before --------------------------------------------------------------------------------------------------------


def test_what_changed_and_says_that_it_did_not_is_sealed_anew(run: Any, tree: Path, tmp_path: Path) -> None:
    """rsync -t and tar give a new content its old time; ctime they cannot give."""
    sealed = tmp_path / "sealed"
    run("encrypt", tree, sealed, *BOUND)
    there = (tree / "z").stat()
    made = (sealed / "z").stat().st_mtime_ns
    while (tree / "z").stat().st_ctime_ns <= made:
        (tree / "z").write_bytes(bytes(5000))
        os.utime(tree / "z", ns=(there.st_atime_ns, there.st_mtime_ns))
    assert (tree / "z").stat().st_mtime_ns == there.st_mtime_ns
    assert run("encrypt", tree, sealed, *BOUND, "--resume").out == "1 files sealed, 6 done before.\n"
    run("decrypt", sealed, tmp_path / "back", *BOUND)
    assert (tmp_path / "back" / "z").read_bytes() == bytes(5000)


@pytest.mark.parametrize("when", ["read", "last"])
def test_a_file_that_is_written_while_it_is_sealed_is_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    """Half of the old and half of the new, of the same length, and younger than both."""
    source, target, keyset = tmp_path / "source", tmp_path / "target", Keyset.generate(SMALL)
    source.write_bytes(b"old" * 1000)

    def written() -> None:
        before = source.stat()
        while source.stat().st_ctime_ns == before.st_ctime_ns:
            source.write_bytes(b"new" * 1000)
            os.utime(source, ns=(before.st_atime_ns, before.st_mtime_ns))

    class Sealer:
        def __init__(self, *given: Any) -> None:
            self.real = StreamSealer(*given)
            self.header = self.real.header

        def push(self, data: bytes, start: int, end: int | None) -> bytes:
            if when == "read":
                written()
            return self.real.push(data, start, end)

        def finish(self) -> bytes:
            if when == "last":
                written()
            return self.real.finish()

    monkeypatch.setattr("flask_rampart.vault.writing.StreamSealer", Sealer)
    with pytest.raises(OSError, match="changed by another program meanwhile"):
        encrypt_file(source, target, keyset=keyset, associated_data="")
    assert [each.name for each in tmp_path.iterdir()] == ["source"]


def test_plaintext_that_is_not_what_was_sealed_is_not_taken_for_done(run: Any, tree: Path, tmp_path: Path) -> None:
    sealed, back = tmp_path / "sealed", tmp_path / "back"
    run("encrypt", tree, sealed, *BOUND)
    run("decrypt", sealed, back, *BOUND)
    forged = bytearray((back / "a" / "big").read_bytes())
    forged[-1] ^= 1
    (back / "a" / "big").write_bytes(forged)
    os.utime(back / "z", ns=(1, 1))
    told = run("decrypt", sealed, back, *BOUND, "--resume")
    assert (told.code, told.out) == (1, "0 files opened, 6 done before, 1 failed.\n")
    assert "a/big: something else has this name" in told.err
    assert (back / "a" / "big").read_bytes() == forged


def test_what_a_killed_run_has_left_in_the_target_is_told(run: Any, tree: Path, tmp_path: Path) -> None:
    """What a killed decrypt leaves is plaintext, and it lies in the target, which nobody walks."""
    sealed, back = tmp_path / "sealed", tmp_path / "back"
    run("encrypt", tree, sealed, *BOUND)
    run("decrypt", sealed, back, *BOUND)
    (back / ".vault-1.part").write_bytes(b"half")
    (back / "a" / "deep" / ".vault-2.part").write_bytes(b"half")
    told = run("decrypt", sealed, back, *BOUND, "--resume")
    assert told.code == 0
    assert ".vault-1.part: in the target: what a run that was killed" in told.err
    assert "a/deep/.vault-2.part: in the target: what a run that was killed" in told.err
    for target in (back / "new", back / "other"):
        told = run("decrypt", sealed / "z", target, "--associated-data", "backup/z")
        assert (told.code, "/back/.vault-1.part was left" in told.err) == (0, True)


def test_a_file_whose_name_is_no_text_is_opened_alone(run: Any, tree: Path, tmp_path: Path) -> None:
    sealed, name = tmp_path / "sealed", os.fsdecode(b"\xff\xfe")
    run("encrypt", tree, sealed, *BOUND)
    for target in (str(tmp_path / "one"), "-"):
        told = run("decrypt", sealed / name, target, "--associated-data", f"backup/{name}")
        assert told.code == 0
    assert (tmp_path / "one").read_bytes() == told.data == b"a name that is no text"
    # Bound to by the folder's name, too.
    bound = ("--associated-data", f"{name}/{{path}}")
    assert run("encrypt", tree, tmp_path / "more", *bound).code == 0
    assert run("reencrypt", tmp_path / "more", *bound).code == 0
