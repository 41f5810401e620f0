"""A keyset's file is changed by one at a time, and is the old one or the new one whenever the change is killed."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from tink import aead

from flask_rampart import ConfigError, IntegrityError, Keyset, Rampart
from flask_rampart.vault import change_keyset, read_keyset, write_keyset

from .vaulting import alone, dying_at, run

aead.register()
SECRET = "correct horse battery"
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
def clear(tmp_path: Path) -> Path:
    path = tmp_path / "keyset.json"
    write_keyset(path, Keyset.generate("AES256_GCM"), cleartext=True)
    return path


def cheap(path: Path, keyset: Keyset, passphrase: str = SECRET) -> None:
    """A keyset under a passphrase, by the least costs that there are."""
    path.write_text(keyset.to_passphrase_json(passphrase.encode(), **CHEAP))
    path.chmod(0o600)


def leftovers(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.name.startswith(".vault-")]


def test_rotations_at_once_lose_no_key(clear: Path) -> None:
    first = read_keyset(clear).primary
    made: list[int] = []

    def rotate() -> None:
        for _ in range(5):
            with change_keyset(clear) as keyset:
                made.append(keyset.rotate("AES256_GCM"))

    threads = [threading.Thread(target=rotate) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {key.id for key in read_keyset(clear).info()} == {first, *made}
    assert len(made) == 30
    assert leftovers(clear.parent) == []


def test_a_change_of_another_program_is_not_written_over(clear: Path) -> None:
    theirs = Keyset.generate("AES256_GCM")
    with pytest.raises(OSError, match="by another program meanwhile"), change_keyset(clear) as keyset:
        keyset.rotate("AES256_GCM")
        write_keyset(clear.with_name("new"), theirs, cleartext=True)
        clear.with_name("new").replace(clear)
    assert read_keyset(clear).primary == theirs.primary
    assert leftovers(clear.parent) == []


def test_an_exception_leaves_the_old_keys_and_gives_the_lock_back(clear: Path) -> None:
    before = clear.read_bytes()
    for _ in range(2):
        with pytest.raises(LookupError), change_keyset(clear) as keyset:
            keyset.rotate("AES256_GCM")
            raise LookupError
    assert clear.read_bytes() == before


def test_a_lock_that_is_never_given_back_is_not_waited_for_for_ever(
    clear: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import flask_rampart.vault.locking as locking

    monkeypatch.setattr(locking, "MOST_SECONDS", 0.05)
    with change_keyset(clear), pytest.raises(ConfigError, match="does not come to an end"), change_keyset(clear):
        pass


def test_keys_of_another_user_do_not_become_ours(clear: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Root's file in a folder of ours: to replace it would take it from root.
    before = clear.read_bytes()
    owner = clear.stat().st_uid
    real = os.fstat

    class Roots:
        def __init__(self, status: os.stat_result) -> None:
            self.status = status

        def __getattr__(self, name: str) -> Any:
            return 0 if name == "st_uid" else getattr(self.status, name)

    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    monkeypatch.setattr(os, "fstat", lambda descriptor: Roots(real(descriptor)))
    with pytest.raises(OSError, match="belongs to another user"), change_keyset(clear) as keyset:
        keyset.rotate("AES256_GCM")
    assert clear.read_bytes() == before


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_rotation_that_is_killed_anywhere_leaves_the_old_keys_or_the_new(clear: Path) -> None:
    """Each call to the system that the replacement makes is the last one, in a process of its own."""
    first = read_keyset(clear).primary
    killed = 0
    for at in range(60):
        before = {key.id for key in read_keyset(clear).info()}
        child = os.fork()
        if child == 0:
            try:
                dying_at(at)()
                with change_keyset(clear) as keyset:
                    keyset.rotate("AES256_GCM")
            finally:
                os._exit(0)
        _, status = os.waitpid(child, 0)
        after = {key.id for key in read_keyset(clear).info()}
        assert before <= after and len(after) - len(before) <= 1 and first in after
        for name in leftovers(clear.parent):
            (clear.parent / name).unlink()
        if not os.WIFSIGNALED(status):
            assert len(after) == len(before) + 1
            break
        killed += 1
    assert killed > 8, "the calls were not met"


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_signal_removes_what_was_half_written(tmp_path: Path, clear: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    before = clear.read_bytes()
    code, _ = alone("rotate", "--keyset", str(clear), before=dying_at(0, "fsync", by=signal.SIGTERM))
    assert code == 128 + signal.SIGTERM
    assert clear.read_bytes() == before
    assert leftovers(tmp_path) == []


def test_a_full_disk_leaves_the_old_keys(app: Any, clear: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = clear.read_bytes()

    def full(*_: Any) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "write", full)
    told = run(app(RAMPART_VAULT_KEYSET=clear), "rotate")
    monkeypatch.undo()
    assert (told.code, "No space left" in told.err) == (1, True)
    assert clear.read_bytes() == before and leftovers(clear.parent) == []


def test_no_passphrase_is_in_variables_of_what_is_raised(tmp_path: Path) -> None:
    path = tmp_path / "keyset"
    cheap(path, Keyset.generate("AES256_GCM"))
    changing = change_keyset(path, passphrase=b"another horse battery")
    with pytest.raises(IntegrityError) as raised:
        changing.__enter__()
    frames = []
    trace = raised.value.__traceback__
    while trace is not None:
        if "flask_rampart" in trace.tb_frame.f_code.co_filename:
            frames.append(repr(trace.tb_frame.f_locals))
        trace = trace.tb_next
    assert frames and not any("horse" in frame for frame in frames)
    assert "horse" not in repr(changing)


def test_who_may_only_look_into_the_folder_holds_no_change_up(clear: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """flock takes any descriptor: a folder of mode 0755 would let every local user stop rotations."""
    monkeypatch.setattr("flask_rampart.vault.locking.MOST_SECONDS", 0.2)
    other = os.open(clear.parent, os.O_RDONLY)
    fcntl.flock(other, fcntl.LOCK_EX)
    with change_keyset(clear) as keyset:
        keyset.rotate("AES256_GCM")
    os.close(other)
    assert len(read_keyset(clear)) == 2


def test_who_has_waited_for_a_file_that_was_replaced_waits_for_the_new_one(
    clear: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, waited = fcntl.flock, threading.Event()

    def told(descriptor: int, how: int) -> None:
        try:
            real(descriptor, how)
        except OSError:
            waited.set()
            raise

    monkeypatch.setattr(fcntl, "flock", told)
    with change_keyset(clear) as keyset:
        keyset.rotate("AES256_GCM")

        def rotate() -> None:
            with change_keyset(clear) as keyset:
                keyset.rotate("AES256_GCM")

        other = threading.Thread(target=rotate)
        other.start()
        assert waited.wait(10)
    other.join()
    assert len(read_keyset(clear)) == 3


def test_a_keyset_that_is_written_anew_waits_for_a_change(clear: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flask_rampart.vault.locking.MOST_SECONDS", 0.05)
    theirs = Keyset.generate("AES256_GCM")
    with change_keyset(clear), pytest.raises(ConfigError, match="does not come to an end"):
        write_keyset(clear, theirs, cleartext=True, replace=True)
    write_keyset(clear, theirs, cleartext=True, replace=True)
    assert read_keyset(clear).primary == theirs.primary


def test_without_flock_nothing_is_changed(clear: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: Any) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    before = clear.read_bytes()
    monkeypatch.setattr(fcntl, "flock", none)
    with pytest.raises(ConfigError, match="cannot be locked"), change_keyset(clear) as keyset:
        keyset.rotate("AES256_GCM")
    assert clear.read_bytes() == before


def test_keys_that_a_killed_run_has_left_are_told(app: Any, clear: Path) -> None:
    configured = app(RAMPART_VAULT_KEYSET=clear)
    part = clear.with_name(".vault-abc.part")
    part.write_bytes(clear.read_bytes())
    first = str(read_keyset(clear).primary)
    for words in (("rotate",), ("disable", first), ("enable", first), ("destroy", first, "--yes", "--though-enabled")):
        told = run(configured, *words)
        assert (told.code, f"{part} was left by a run that was killed" in told.err) == (0, True)
    part.unlink()
    assert "was left by" not in run(configured, "rotate").err


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("number", [signal.SIGQUIT, signal.SIGHUP])
def test_every_signal_that_ends_removes_what_was_half_written(
    clear: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.chdir(clear.parent)

    def begin() -> None:
        signal.signal(number, signal.SIG_DFL)  # whoever runs the tests in the background ignores it
        dying_at(0, "fsync", by=number)()

    code, _ = alone("rotate", "--keyset", str(clear), before=begin)
    assert (code, leftovers(clear.parent), len(read_keyset(clear))) == (128 + number, [], 1)


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_signal_that_nohup_has_ignored_ends_nothing(clear: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(clear.parent)

    def begin() -> None:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        dying_at(0, "fsync", by=signal.SIGHUP)()

    code, _ = alone("rotate", "--keyset", str(clear), before=begin)
    assert (code, leftovers(clear.parent), len(read_keyset(clear))) == (0, [], 2)
