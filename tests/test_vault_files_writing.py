"""Sealed files that are written: whole or not at all, whatever happens meanwhile, in other processes too."""

from __future__ import annotations

import errno
import gc
import inspect
import io
import os
import signal
import subprocess
import sys
import textwrap
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flask_rampart import Keyset, Vault
from flask_rampart.vault import decrypt_stream, encrypt_stream, open_file, reencrypt_file
from flask_rampart.vault.writing import SealedFile, SealedWriter

from .sealed_files import KEYSET, leftovers, read, text, write


def test_a_file_is_there_when_it_is_closed_and_not_before(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write(path, b"old")
    file = open_file(path, "wb", keyset=KEYSET, associated_data="where")
    assert (file.readable(), file.writable(), file.seekable(), file.tell()) == (False, True, False, 0)
    assert (file.name, file.mode) == (path, "wb")
    assert file.write(memoryview(text(300_000))) == 300_000
    assert file.tell() == 300_000
    file.flush()
    assert read(path) == b"old"
    for refusal in (lambda: file.seek(0), lambda: file.truncate(0), file.fileno, file.read):
        with pytest.raises(io.UnsupportedOperation):
            refusal()
    file.close()
    file.close()
    assert read(path) == text(300_000)
    with pytest.raises(ValueError):
        file.write(b"more")
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize("mode", ["wb", "w"])
def test_an_exception_leaves_the_old_file(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "file"
    write(path, b"old")
    with pytest.raises(KeyboardInterrupt), open_file(path, mode, keyset=KEYSET, associated_data="where") as file:
        file.write("new" * 100_000 if mode == "w" else b"new" * 100_000)  # type: ignore[arg-type]
        raise KeyboardInterrupt
    assert read(path) == b"old"
    exclusive = mode.replace("w", "x")
    with (
        pytest.raises(ZeroDivisionError),
        open_file(tmp_path / "new", exclusive, keyset=KEYSET, associated_data="where"),
    ):
        raise ZeroDivisionError
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.parametrize("mode", ["wb", "w"])
def test_what_is_dropped_or_discarded_leaves_the_old_file(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "file"
    write(path, b"old")
    file = open_file(path, mode, keyset=KEYSET, associated_data="where")
    file.write("new" if mode == "w" else b"new")  # type: ignore[arg-type]
    kept: list[object] = [file]
    del file
    with pytest.warns(ResourceWarning, match="nothing was written"):
        kept.clear()
    assert read(path) == b"old"
    # In a cycle, the collector ends the layers in any order.
    file = open_file(path, mode, keyset=KEYSET, associated_data="where")
    file.write("new" if mode == "w" else b"new")  # type: ignore[arg-type]
    cycle: list[object] = [file, file.buffer if mode == "w" else file.raw]  # type: ignore[union-attr]
    cycle.append(cycle)
    del file, cycle
    with pytest.warns(ResourceWarning, match="nothing was written"):
        gc.collect()
    assert read(path) == b"old"
    file = open_file(path, mode, keyset=KEYSET, associated_data="where")
    file.write("new" if mode == "w" else b"new")  # type: ignore[arg-type]
    file.discard()  # type: ignore[union-attr]
    file.write("more" if mode == "w" else b"more" * 100_000)  # type: ignore[arg-type]
    file.close()
    assert read(path) == b"old"
    assert os.listdir(tmp_path) == ["file"]


def test_a_write_that_fails_is_never_completed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    write(path, b"old")
    really, budget = os.write, 20_000

    def full(descriptor: int, data: bytes) -> int:
        nonlocal budget
        if budget <= 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        # Short, as the last write before a disk is full.
        written = really(descriptor, bytes(data)[:budget])
        budget -= written
        return written

    for broken in ("write", "fsync", "replace"):
        file = open_file(path, "wb", keyset=KEYSET, associated_data="where")
        with monkeypatch.context() as patch:
            if broken == "write":
                patch.setattr(os, "write", full)
            else:
                patch.setattr(os, broken, lambda *_: (_ for _ in ()).throw(OSError(errno.EIO, "broken")))
            with pytest.raises(OSError):
                file.write(text(100_000))
                file.close()
        # Trying again must not complete what is missing its middle.
        if broken == "write":
            with pytest.raises(OSError, match="has failed"):
                file.close()
        file.close()
        assert read(path) == b"old"
        assert os.listdir(tmp_path) == ["file"]


def test_a_write_that_failed_is_told_again_by_close(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    write(path, b"old")
    file = open_file(path, "wb", keyset=KEYSET, associated_data="where")
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda *_: (_ for _ in ()).throw(OSError(errno.ENOSPC, "full")))
        with pytest.raises(OSError, match="full"):
            file.write(text(100_000))
    with pytest.raises(OSError, match="has failed"):
        file.write(text(100_000))
    with pytest.raises(OSError, match="has failed"):
        file.close()
    assert file.closed
    assert read(path) == b"old"
    file = open_file(path, "wb", keyset=KEYSET, associated_data="where")
    with monkeypatch.context() as patch, pytest.raises(OSError, match="full"), file:
        patch.setattr(os, "write", lambda *_: (_ for _ in ()).throw(OSError(errno.ENOSPC, "full")))
        file.write(text(100_000))
    assert file.closed
    assert os.listdir(tmp_path) == ["file"]


def interrupted(line: str, work: Callable[[], object]) -> None:
    """*work*, with an exception before the *line* of ``SealedFile.write``, as a signal's handler may raise one."""
    code = SealedFile.write.__code__
    source, start = inspect.getsourcelines(SealedFile.write)
    (at,) = [start + index for index, text in enumerate(source) if text.strip() == line]
    came = 0

    def trace(frame: types.FrameType, event: str, _: object) -> Any:
        nonlocal came
        if frame.f_code is not code:
            return None
        if event == "line" and frame.f_lineno == at and not came:
            came += 1
            raise KeyboardInterrupt
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        with pytest.raises(KeyboardInterrupt):
            work()
    finally:
        sys.settrace(before)
    assert came == 1


LINES = [
    "self._open()",
    'with memoryview(data) as given, given.cast("B") as view:',
    "length = len(view)",
    "self._seal(bytes(view[at : at + STEP]))",
    "self._at += length",
]


@pytest.mark.parametrize("line", LINES, ids=range(len(LINES)))
@pytest.mark.parametrize("mode", ["wb", "w"])
def test_an_exception_while_close_writes_the_rest_completes_nothing(tmp_path: Path, mode: str, line: str) -> None:
    # Python's close ends the raw file even when flush has failed: half of the text would be sealed as the whole.
    path = tmp_path / "file"
    write(path, b"old")
    file: Any = open_file(path, mode, keyset=KEYSET, associated_data="where")
    long, rest = ("A" * 30_000, "B" * 100) if mode == "w" else (b"A" * 30_000, b"B" * 100)
    file.write(long)
    file.flush()
    file.write(rest)
    interrupted(line, file.close)
    assert file.closed
    file.close()
    assert read(path) == b"old"
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.parametrize("line", LINES[3:], ids=range(2))
def test_what_may_have_been_sealed_already_is_not_sealed_again(tmp_path: Path, line: str) -> None:
    # The layer above keeps what it believes not to be written, and writes it again.
    path = tmp_path / "file"
    write(path, b"old")
    file = open_file(path, "wb", keyset=KEYSET, associated_data="where")
    file.write(b"C" * 100)
    interrupted(line, file.flush)
    with pytest.raises(OSError, match="has failed"):
        file.close()
    assert file.closed
    assert read(path) == b"old"


def test_a_writer_that_is_dropped_half_closed_is_quiet_about_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", told.append)
    files = [open_file(tmp_path / "file", "wb", keyset=KEYSET, associated_data="where")]
    files[0].write(b"text")
    really = SealedWriter.close

    def close(self: SealedWriter) -> None:
        really(self)
        raise ValueError("flush of closed file")

    with monkeypatch.context() as patch:
        patch.setattr(SealedWriter, "close", close)
        with pytest.warns(ResourceWarning, match="nothing was written"):
            files.clear()
    assert told == []
    assert os.listdir(tmp_path) == []


def test_short_writes_are_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    really = os.write
    data = text(50_000)
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda descriptor, part: really(descriptor, bytes(part)[:1000]))
        write(tmp_path / "file", data)
    assert read(tmp_path / "file") == data


def test_where_something_is_exclusive_writing_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with open_file(path, "xb", keyset=KEYSET, associated_data="where") as file:
        file.write(b"first")
    with pytest.raises(FileExistsError):
        open_file(path, "xb", keyset=KEYSET, associated_data="where")
    # And also where it came meanwhile.
    late = tmp_path / "late"
    file = open_file(late, "xb", keyset=KEYSET, associated_data="where")
    file.write(b"mine")
    write(late, b"theirs")
    with pytest.raises(FileExistsError):
        file.close()
    assert (read(path), read(late)) == (b"first", b"theirs")
    assert leftovers(tmp_path) == []


def test_two_writers_at_once_leave_the_whole_of_one(tmp_path: Path) -> None:
    path = tmp_path / "file"
    ours = open_file(path, "wb", keyset=KEYSET, associated_data="where")
    theirs = open_file(path, "wb", keyset=KEYSET, associated_data="where")
    for _ in range(20):
        ours.write(b"a" * 5000)
        theirs.write(b"b" * 7000)
    ours.close()
    assert read(path) == b"a" * 100_000
    theirs.close()
    assert read(path) == b"b" * 140_000
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize("number", ["os.getpid()", "1"], ids=["numbered", "of one number"])
def test_a_fork_neither_seals_nor_completes_nor_removes_what_is_its_parents(tmp_path: Path, number: str) -> None:
    # Two processes that seal on would use the same nonces for different bytes.
    path = tmp_path / "file"
    program = f"""
        import os, sys
        from flask_rampart.vault import Keyset, open_file
        really = os.getpid
        # Where each is in a namespace of its own, parent and child may both be the first process.
        os.getpid = lambda: {number.replace("os.getpid", "really")}
        keyset = Keyset.from_cleartext_binary(bytes.fromhex({KEYSET.to_cleartext_binary().hex()!r}))
        file = open_file({str(path)!r}, "wb", keyset=keyset, associated_data="where")
        file.write(b"before ")
        child = os.fork()
        if child == 0:
            refused = 0
            try:
                file.write(b"x" * 100_000)
            except RuntimeError:
                refused += 1
            try:
                file.close()
            except RuntimeError:
                refused += 1
            file.close()
            sys.exit(refused)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        file.write(b"after")
        file.close()
        print(status)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], capture_output=True, check=True, text=True)
    assert done.stdout.strip() == "1"
    assert read(path) == b"before after"
    assert leftovers(tmp_path) == []


def test_a_writer_that_is_killed_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write(path, b"old")
    program = f"""
        import os, signal
        from flask_rampart.vault import Keyset, open_file
        keyset = Keyset.from_cleartext_binary(bytes.fromhex({KEYSET.to_cleartext_binary().hex()!r}))
        file = open_file({str(path)!r}, "wb", keyset=keyset, associated_data="where")
        file.write(bytes(1_000_000))
        file.flush()
        os.kill(os.getpid(), signal.SIGKILL)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert read(path) == b"old"
    assert len(leftovers(tmp_path)) == 1


def test_memory_is_not_fetched_anew_for_each_mebibyte(tmp_path: Path) -> None:
    # In a process of its own: what was freed before decides what an allocator keeps.
    program = f"""
        import resource
        from flask_rampart.vault import Keyset, open_file
        keyset, piece = Keyset.generate("AES256_GCM_HKDF_1MB"), bytes(1 << 20)
        with open_file({str(tmp_path / "file")!r}, "wb", keyset=keyset, associated_data="where") as file:
            for _ in range(4):
                file.write(piece)
            before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
            for _ in range(8):
                file.write(piece)
            print((resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) // 8)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], capture_output=True, check=True, text=True)
    assert int(done.stdout) < 200  # of 512 pages that the copy and the sealed segment have


@pytest.mark.parametrize("mode", ["wb", "w"])
@pytest.mark.parametrize("end", ["destroy", "disable"])
def test_a_file_is_not_completed_whose_key_is_gone_meanwhile(tmp_path: Path, mode: str, end: str) -> None:
    keyset, path = Keyset.generate("AES256_GCM_HKDF_4KB"), tmp_path / "file"
    with open_file(path, "wb", keyset=keyset, associated_data="where") as file:
        file.write(b"old")
    old, new = keyset.primary, keyset.rotate("AES256_GCM_HKDF_4KB")
    assert reencrypt_file(path, keyset=keyset, associated_data="where")
    keyset.promote(old)
    file = open_file(path, mode, keyset=keyset, associated_data="where")  # type: ignore[assignment]
    file.write("first" if mode == "w" else b"first")  # type: ignore[arg-type]
    keyset.promote(new)
    getattr(keyset, end)(old)
    file.write("second" if mode == "w" else b"second")  # type: ignore[arg-type]
    with pytest.raises(OSError, match=f"the key {old}, which has sealed it, was destroyed or disabled") as told:
        file.close()
    assert told.value.errno == errno.EKEYREVOKED and file.closed
    assert open_file(path, keyset=keyset, associated_data="where").read() == b"old"
    assert leftovers(tmp_path) == []


def test_a_key_that_was_superseded_or_is_enabled_again_completes_its_file(tmp_path: Path) -> None:
    keyset = Keyset.generate("AES256_GCM_HKDF_4KB")
    with open_file(tmp_path / "file", "wb", keyset=keyset, associated_data="where") as file:
        old = keyset.primary
        keyset.rotate("AES256_GCM_HKDF_4KB")
        keyset.disable(old)
        file.write(b"text")
        keyset.enable(old)
    assert open_file(tmp_path / "file", keyset=keyset, associated_data="where").read() == b"text"


def test_a_vault_that_was_reloaded_without_the_key_completes_no_file_of_it(tmp_path: Path) -> None:
    keyset = Keyset.generate("AES256_GCM_HKDF_4KB")
    later = Keyset.from_cleartext_json(keyset.to_cleartext_json())
    later.rotate("AES256_GCM_HKDF_4KB")
    given = [keyset, later]
    vault = Vault(lambda: {"files": given.pop(0) if given else later})
    for gone in (False, True):
        file = vault.open_file(tmp_path / str(gone), "wb", associated_data="where")
        file.write(b"text")
        if not gone:
            vault.reload()  # which still has the old key, and the file that is begun next has the new one
            file.close()
            assert vault.open_file(tmp_path / "False", associated_data="where").read() == b"text"
            continue
        new = later.primary
        later.promote(keyset.primary)
        later.destroy(new)
        vault.reload()
        with pytest.raises(OSError, match="destroyed or disabled"):
            file.close()
    assert [path.name for path in tmp_path.iterdir()] == ["False"]


def test_a_stream_is_not_ended_whose_key_is_gone_meanwhile() -> None:
    keyset = Keyset.generate("AES256_GCM_HKDF_4KB")
    pieces = encrypt_stream([b"text" * 4096, b"more"], keyset=keyset, associated_data="")
    begun = [next(pieces), next(pieces)]
    old = keyset.primary
    keyset.rotate("AES256_GCM_HKDF_4KB")
    keyset.disable(old)
    with pytest.raises(OSError, match="destroyed or disabled"):
        list(pieces)
    keyset.enable(old)
    pieces = encrypt_stream([b"text"], keyset=keyset, associated_data="")
    assert b"".join(decrypt_stream([*pieces], keyset=keyset, associated_data="")) == b"text" and begun
