"""Sealed files: read as if they were not sealed, written whole or not at all, and loud about everything else."""

from __future__ import annotations

import copy
import csv
import errno
import gc
import gzip
import inspect
import io
import os
import pickle
import random
import re
import shutil
import signal
import stat
import subprocess
import sys
import tarfile
import textwrap
import threading
import types
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy
import pytest

from flask_rampart.errors import IntegrityError
from flask_rampart.vault import Keyset, Vault, decrypt_file, encrypt_file, open_file, write_keyset
from flask_rampart.vault.writing import SealedFile, SealedWriter

KEYSET = Keyset.generate("AES128_GCM_HKDF_4KB")
SEGMENT, HEADER, TAG = 4096, 24, 16
ROOM = SEGMENT - TAG


def write(path: Path, data: bytes, keyset: Keyset = KEYSET, bound: str = "where") -> bytes:
    with open_file(path, "wb", keyset=keyset, associated_data=bound) as file:
        file.write(data)
    return path.read_bytes()


def read(path: Path, keyset: Keyset = KEYSET, bound: str = "where") -> bytes:
    with open_file(path, keyset=keyset, associated_data=bound) as file:
        return file.read()


def refused(path: Path, bound: str = "where") -> None:
    """Neither the object nor any read gives anything."""
    with pytest.raises(IntegrityError):
        read(path, bound=bound)


def text(length: int) -> bytes:
    return random.Random(7).randbytes(length)


def leftovers(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.name.startswith(".vault-")]


# What is read


@pytest.mark.parametrize(
    "length",
    [0, 1, 15, 16, 17, 100, *(ROOM * n - HEADER + more for n in (1, 2, 3) for more in (-1, 0, 1)), 100_000],
)
def test_what_was_written_is_read(tmp_path: Path, length: int) -> None:
    data = text(length)
    sealed = write(tmp_path / "file", data)
    assert read(tmp_path / "file") == data
    assert len(sealed) == length + HEADER + TAG * max(1, -(-(length + HEADER) // ROOM))
    if length > 15:
        assert data[:16] not in sealed
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize(
    "template", ["AES256_GCM_HKDF_1MB", "AES256_CTR_HMAC_SHA256_4KB", "AES128_CTR_HMAC_SHA256_1MB"]
)
def test_every_kind_of_key_does_it(tmp_path: Path, template: str) -> None:
    keyset, data = Keyset.generate(template), text(1_200_000)
    write(tmp_path / "file", data, keyset)
    with open_file(tmp_path / "file", keyset=keyset, associated_data="where") as file:
        for at in (1_100_000, 0, 1_048_500, 1_048_600, 1_199_999):
            file.seek(at)
            assert file.read(1000) == data[at : at + 1000]
    assert read(tmp_path / "file", keyset) == data


def test_any_place_is_read_as_of_a_file_that_is_not_sealed(tmp_path: Path) -> None:
    data = text(50_000)
    write(tmp_path / "file", data)
    (tmp_path / "plain").write_bytes(data)
    dice = random.Random(11)
    with (
        open_file(tmp_path / "file", keyset=KEYSET, associated_data="where") as file,
        open(tmp_path / "plain", "rb") as plain,
    ):
        for _ in range(2000):
            match dice.randrange(8):
                case 0 | 1:
                    at = dice.randrange(60_000)
                    assert file.seek(at) == plain.seek(at)
                case 2:
                    by = dice.randrange(-3000, 3000)
                    if plain.tell() + by >= 0:
                        assert file.seek(by, io.SEEK_CUR) == plain.seek(by, io.SEEK_CUR)
                case 3:
                    by = dice.randrange(-50_000, 100)
                    assert file.seek(by, io.SEEK_END) == plain.seek(by, io.SEEK_END)
                case 4:
                    assert file.readline() == plain.readline()
                case 5:
                    mine, other = bytearray(9000), bytearray(9000)
                    assert file.readinto(mine) == plain.readinto(other)
                    assert mine == other
                case 6:
                    assert file.peek(1)[:1] == plain.peek(1)[:1]
                case _:
                    count = dice.choice([0, 1, 10, 4080, 4096, 20_000])
                    assert file.read(count) == plain.read(count)
            assert file.tell() == plain.tell()


def test_a_place_before_the_beginning_and_a_strange_whence_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "file", b"text")
    with open_file(tmp_path / "file", keyset=KEYSET, associated_data="where") as file:
        for offset, whence in ((-1, 0), (-1, 1), (-5, 2), (1 << 63, 0)):
            with pytest.raises((OSError, OverflowError, ValueError)):
                file.seek(offset, whence)
        for whence in (3, 4, -1, 99):
            with pytest.raises(ValueError):
                file.seek(0, whence)
        assert file.seek(1000) == 1000
        assert file.read() == b""
        assert file.read(5) == b""
        assert file.seek(-1, io.SEEK_END) == 3
        assert file.read() == b"t"


def test_the_raw_file_below_reads_as_well(tmp_path: Path) -> None:
    data = text(30_000)
    write(tmp_path / "file", data)
    with open_file(tmp_path / "file", keyset=KEYSET, associated_data="where") as file:
        raw = file.raw
        raw.seek(100)
        assert raw.read(10) == data[100:110]
        assert raw.readall() == data[110:]
        assert raw.readall() == b""
        assert raw.read(1) == b""


def test_it_is_a_file_object_and_gives_no_descriptor_away(tmp_path: Path) -> None:
    write(tmp_path / "file", b"text")
    file = open_file(tmp_path / "file", keyset=KEYSET, associated_data="where")
    assert isinstance(file, io.BufferedReader)
    assert (file.readable(), file.writable(), file.seekable(), file.isatty()) == (True, False, True, False)
    assert (file.name, file.mode) == (str(tmp_path / "file"), "rb")
    # Whoever had the descriptor would read, or map, what is sealed.
    with pytest.raises(io.UnsupportedOperation):
        file.fileno()
    for refusal in (lambda: file.write(b"x"), lambda: file.truncate()):
        with pytest.raises(io.UnsupportedOperation):
            refusal()
    for copying in (copy.copy, pickle.dumps, lambda one: pickle.dumps(one.raw)):
        with pytest.raises(TypeError):
            copying(file)
    file.close()
    file.close()
    assert file.closed
    for refusal in (file.read, lambda: file.seek(0), file.raw.tell, file.raw.readall, lambda: file.raw.seek(0)):
        with pytest.raises(ValueError, match="closed"):
            refusal()


def test_no_descriptor_is_left_open(tmp_path: Path) -> None:
    write(tmp_path / "file", text(10_000))
    (tmp_path / "bad").write_bytes(b"no stream")
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        read(tmp_path / "file")
        refused(tmp_path / "file", bound="elsewhere")
        refused(tmp_path / "bad")
        write(tmp_path / "again", b"text")
        with pytest.raises(FileExistsError):
            open_file(tmp_path / "again", "xb", keyset=KEYSET, associated_data="")
    assert len(os.listdir("/proc/self/fd")) == before


def test_threads_read_one_file(tmp_path: Path) -> None:
    data = text(200_000)
    write(tmp_path / "file", data)
    wrong: list[int] = []

    def work(seed: int) -> None:
        dice = random.Random(seed)
        with open_file(tmp_path / "file", keyset=KEYSET, associated_data="where") as file:
            for _ in range(100):
                at = dice.randrange(200_000)
                file.seek(at)
                if file.read(500) != data[at : at + 500]:
                    wrong.append(at)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


# Who reads through it


def test_zip_and_tar_archives_are_made_and_read_through_it(tmp_path: Path) -> None:
    data = text(30_000)
    with (
        open_file(tmp_path / "zip", "wb", keyset=KEYSET, associated_data="") as file,
        zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive,
    ):
        archive.writestr("one", data)
        archive.writestr("two", b"2" * 50_000)
    with open_file(tmp_path / "zip", keyset=KEYSET, associated_data="") as file, zipfile.ZipFile(file) as archive:
        assert archive.testzip() is None
        assert archive.read("two") == b"2" * 50_000
        assert archive.read("one") == data
    for mode in ("w", "w:gz"):
        with (
            open_file(tmp_path / "tar", "wb", keyset=KEYSET, associated_data="") as file,
            tarfile.open(fileobj=file, mode=mode) as tar,  # type: ignore[call-overload]
        ):
            for name in ("one", "two"):
                info = tarfile.TarInfo(name)
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
        with open_file(tmp_path / "tar", keyset=KEYSET, associated_data="") as file, tarfile.open(fileobj=file) as tar:
            for name in ("two", "one"):
                member = tar.extractfile(name)
                assert member is not None
                assert member.read() == data


def test_pickle_csv_gzip_and_numpy_read_and_write_through_it(tmp_path: Path) -> None:
    def through(save: Callable[[io.BufferedWriter], object], load: Callable[[io.BufferedReader], object]) -> object:
        with open_file(tmp_path / "file", "wb", keyset=KEYSET, associated_data="") as file:
            save(file)
        with open_file(tmp_path / "file", keyset=KEYSET, associated_data="") as file:
            return load(file)

    value = {"a": list(range(5000))}
    assert through(lambda file: pickle.dump(value, file), pickle.load) == value
    array = numpy.arange(10_000, dtype="<f4").reshape(100, 100)
    loaded = through(lambda file: numpy.save(file, array), numpy.load)
    assert numpy.array_equal(loaded, array)  # type: ignore[arg-type]
    both = through(lambda file: numpy.savez(file, a=array, b=array * 2), lambda file: numpy.load(file)["b"])
    assert numpy.array_equal(both, array * 2)  # type: ignore[arg-type]
    data = text(20_000)

    assert (
        through(lambda file: file.write(gzip.compress(data)), lambda file: gzip.GzipFile(fileobj=file).read()) == data
    )
    assert through(lambda file: shutil.copyfileobj(io.BytesIO(data), file, 999), lambda file: b"".join(file)) == data

    rows = [["name", "wert"], ["Zoë", "1,5"], ["a\nb", '"']]
    with open_file(tmp_path / "csv", "w", keyset=KEYSET, associated_data="", newline="") as file:
        csv.writer(file).writerows(rows)
    with open_file(tmp_path / "csv", "r", keyset=KEYSET, associated_data="", newline="") as file:
        assert list(csv.reader(file)) == rows


def test_text_is_utf_8_unless_it_is_said(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with open_file(path, "w", keyset=KEYSET, associated_data="") as file:
        file.write("Zoë\nsecond\n")
    assert read(path, bound="") == "Zoë\nsecond\n".encode()
    with open_file(path, "r", keyset=KEYSET, associated_data="", encoding="latin-1", newline="") as file:
        assert file.readline() == "ZoÃ«\n"
        place = file.tell()
        assert file.read() == "second\n"
        file.seek(place)
        assert file.readline() == "second\n"
    with open_file(path, "wt", keyset=KEYSET, associated_data="", encoding="ascii", errors="replace") as file:
        file.write("Zoë")
    assert read(path, bound="") == b"Zo?"
    with pytest.raises(LookupError):
        open_file(path, "w", keyset=KEYSET, associated_data="", encoding="no-such")
    assert read(path, bound="") == b"Zo?"
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize("mode", ["", "a", "ab", "r+", "rb+", "w+", "wx", "rw", "b", "t", "rbt", "rr", "U", "rU", "z"])
def test_other_modes_are_refused(tmp_path: Path, mode: str) -> None:
    write(tmp_path / "file", b"text")
    with pytest.raises(ValueError, match="mode"):
        open_file(tmp_path / "file", mode, keyset=KEYSET, associated_data="where")
    with pytest.raises(ValueError, match="for text"):
        open_file(tmp_path / "file", "rb", keyset=KEYSET, associated_data="where", encoding="utf-8")  # type: ignore[call-overload]
    assert read(tmp_path / "file") == b"text"


def test_what_is_no_associated_data_is_refused(tmp_path: Path) -> None:
    for data in (None, 7, ["where"], bytearray(b"where")):
        with pytest.raises(TypeError, match="associated data"):
            open_file(tmp_path / "file", "wb", keyset=KEYSET, associated_data=data)  # type: ignore[call-overload]
    with pytest.raises(TypeError):
        open_file(tmp_path / "file", "wb", keyset=KEYSET)  # type: ignore[call-overload]
    write(tmp_path / "file", b"text", bound="Zoë")
    assert open_file(tmp_path / "file", keyset=KEYSET, associated_data="Zoë".encode()).read() == b"text"
    assert list(tmp_path.iterdir()) == [tmp_path / "file"]


# What is refused


def test_any_flipped_bit_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "file"
    sealed = write(path, b"text")
    for bit in range(len(sealed) * 8):
        damaged = bytearray(sealed)
        damaged[bit // 8] ^= 1 << (bit % 8)
        path.write_bytes(damaged)
        refused(path)
    path.write_bytes(sealed)
    assert read(path) == b"text"


def test_a_flipped_bit_in_any_segment_of_a_long_file_is_refused(tmp_path: Path) -> None:
    path, target = tmp_path / "file", tmp_path / "target"
    sealed = write(path, text(5 * SEGMENT))
    dice = random.Random(3)
    places = [dice.randrange(at, min(at + SEGMENT, len(sealed))) for at in range(0, len(sealed), SEGMENT)]
    for place in (*places, 0, HEADER, SEGMENT - 1, SEGMENT, len(sealed) - 1):
        damaged = bytearray(sealed)
        damaged[place] ^= 1 << dice.randrange(8)
        path.write_bytes(damaged)
        refused(path)
        with pytest.raises(IntegrityError):
            decrypt_file(path, target, keyset=KEYSET, associated_data="where")
        assert list(tmp_path.iterdir()) == [path]


def test_every_truncation_is_refused_at_once(tmp_path: Path) -> None:
    path = tmp_path / "file"
    sealed = write(path, text(2 * SEGMENT + 100))
    for length in (
        *range(0, len(sealed), 13),
        *range(SEGMENT - 20, SEGMENT + 20),
        *range(2 * SEGMENT - 20, len(sealed)),
    ):
        path.write_bytes(sealed[:length])
        # Before anything is read: the beginning is not given out of a file that has no end.
        with pytest.raises(IntegrityError):
            open_file(path, keyset=KEYSET, associated_data="where")


def test_whatever_is_appended_is_refused_at_once(tmp_path: Path) -> None:
    path = tmp_path / "file"
    for size in (10, 2 * ROOM - HEADER):
        sealed = write(path, text(size))
        for more in (b"\0", b"\0" * 16, b"\0" * 17, sealed[-20:], sealed[-SEGMENT:], sealed, b"\0" * 3 * SEGMENT):
            path.write_bytes(sealed + more)
            with pytest.raises(IntegrityError):
                open_file(path, keyset=KEYSET, associated_data="where")


def test_segments_that_were_swapped_repeated_or_taken_from_elsewhere_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "file"
    data = text(4 * ROOM - HEADER)
    a, b, c, d = (write(path, data)[at : at + SEGMENT] for at in range(0, 4 * SEGMENT, SEGMENT))
    # Each slice was of another file: the same text, sealed anew.
    path.write_bytes(a + b + c + d)
    refused(path)
    sealed = write(path, data)
    a, b, c, d = (sealed[at : at + SEGMENT] for at in range(0, 4 * SEGMENT, SEGMENT))
    for order in (a + c + b + d, a + b + b + d, a + d + c + d, d + b + c + a, a + b + d, a + b + c + c + d, a + b + c):
        path.write_bytes(order)
        refused(path)
    path.write_bytes(a + b + c + d)
    assert read(path) == data


def test_what_is_whole_beside_a_damaged_segment_is_read_and_the_rest_is_not(tmp_path: Path) -> None:
    path = tmp_path / "file"
    data = text(40 * SEGMENT)
    sealed = bytearray(write(path, data))
    sealed[20 * SEGMENT] ^= 1
    path.write_bytes(sealed)
    with open_file(path, keyset=KEYSET, associated_data="where") as file:
        assert file.read(1000) == data[:1000]
        bad = 20 * ROOM - HEADER
        # What is before it is read, though a buffer would take more.
        file.seek(bad - 10)
        assert file.read(10) == data[bad - 10 : bad]
        for at in (bad, bad + ROOM - 1, bad - 5):
            file.seek(at)
            with pytest.raises(IntegrityError):
                file.read(10)
        file.seek(bad + ROOM)
        assert file.read(1000) == data[bad + ROOM : bad + ROOM + 1000]
        file.seek(0)
        with pytest.raises(IntegrityError):
            file.read()
        file.seek(bad - 1000)
        target = bytearray(2000)
        with pytest.raises(IntegrityError):
            file.raw.seek(bad)
            file.raw.readinto(target)
        assert target == bytes(2000)


def test_another_place_another_key_and_no_sealed_file_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write(path, b"text")
    for bound in ("", "wher", "where ", "Where"):
        refused(path, bound=bound)
    with pytest.raises(IntegrityError):
        read(path, Keyset.generate("AES128_GCM_HKDF_4KB"))
    for data in (b"", b"\0", b"text", text(100), text(10_000), bytes([24]) + text(10_000)):
        path.write_bytes(data)
        refused(path)
    with pytest.raises(ValueError, match="streams"):
        open_file(path, keyset=Keyset.generate("AES256_GCM"), associated_data="")


def test_a_file_that_becomes_shorter_while_it_is_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "file"
    data = text(10 * SEGMENT)
    write(path, data)
    with open_file(path, keyset=KEYSET, associated_data="where") as file:
        assert file.read(100) == data[:100]
        os.truncate(path, 5 * SEGMENT)
        with pytest.raises(IntegrityError):
            file.read()


def test_a_file_that_is_replaced_while_it_is_read_is_read_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "file"
    data = text(10 * SEGMENT)
    write(path, data)
    with open_file(path, keyset=KEYSET, associated_data="where") as file:
        assert file.read(100) == data[:100]
        write(path, b"another")
        assert file.read() == data[100:]
    assert read(path) == b"another"


def test_pipes_folders_and_devices_are_neither_read_nor_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path, Path("/dev/null")):
        for mode in ("rb", "wb"):
            with pytest.raises(OSError) as caught:
                open_file(path, mode, keyset=KEYSET, associated_data="")
            assert caught.value.errno in (errno.EINVAL, errno.EISDIR)
    for path in (tmp_path / "none", tmp_path / "none" / "file"):
        with pytest.raises(FileNotFoundError):
            open_file(path, keyset=KEYSET, associated_data="")
    for given in ("", str(tmp_path / "new") + "/", str(tmp_path / "none" / "file")):
        with pytest.raises(OSError):
            open_file(given, "wb", keyset=KEYSET, associated_data="")
    with pytest.raises(ValueError, match="null"):
        open_file("a\0b", "wb", keyset=KEYSET, associated_data="")
    assert os.listdir(tmp_path) == ["pipe"]


# What is written


def test_a_file_is_there_when_it_is_closed_and_not_before(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write(path, b"old")
    file = open_file(path, "wb", keyset=KEYSET, associated_data="where")
    assert (file.readable(), file.writable(), file.seekable(), file.tell()) == (False, True, False, 0)
    assert (file.name, file.mode) == (str(path), "wb")
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
    "self._guarded(bytes(view[at : at + STEP]), seal=True)",
    "length = len(view)",
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


def test_permissions_are_the_owners_alone_or_as_they_were(tmp_path: Path) -> None:
    path = tmp_path / "file"
    old = os.umask(0)
    try:
        write(path, b"text")
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        path.chmod(0o640)
        file = open_file(path, "wb", keyset=KEYSET, associated_data="where")
        (unfinished,) = leftovers(tmp_path)
        assert stat.S_IMODE((tmp_path / unfinished).stat().st_mode) == 0o600
        file.close()
        assert stat.S_IMODE(path.stat().st_mode) == 0o640
    finally:
        os.umask(old)


def group_of_what_is_there(monkeypatch: pytest.MonkeyPatch, path: Path, *later: int) -> int:
    """Lets *path* be of another group, and of the *later* ones (above it) at each further look. Its number."""
    really, group = os.lstat, path.lstat().st_gid + 1
    groups = [group, *(group + more for more in later)]

    def lstat(given: Any, **more: Any) -> os.stat_result:
        found = really(given, **more)
        if os.fspath(given) != os.fspath(path):
            return found
        values = list(found)
        values[stat.ST_GID] = groups.pop(0) if len(groups) > 1 else groups[0]
        return os.stat_result(values)

    monkeypatch.setattr(os, "lstat", lstat)
    return group


def test_what_is_replaced_keeps_its_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, given = tmp_path.resolve() / "file", []
    write(path, b"old")
    path.chmod(0o640)
    with monkeypatch.context() as patch:
        group = group_of_what_is_there(patch, path)
        # Before the mode: between the two, the writer's own group could read it.
        patch.setattr(os, "fchown", lambda file, *to: given.append((stat.S_IMODE(os.fstat(file).st_mode), *to)))
        write(path, b"new")
    assert given == [(0o600, -1, group)]
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


@pytest.mark.parametrize(
    ("before", "after"), [(0o640, 0o600), (0o660, 0o600), (0o644, 0o604), (0o654, 0o604), (0o604, 0o600)]
)
def test_where_its_group_cannot_be_given_another_gets_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: int, after: int
) -> None:
    def fchown(*_: int) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    path = tmp_path.resolve() / "file"
    write(path, b"old")
    path.chmod(before)
    with monkeypatch.context() as patch:
        group_of_what_is_there(patch, path)
        patch.setattr(os, "fchown", fchown)
        write(path, b"new")
    assert stat.S_IMODE(path.stat().st_mode) == after
    assert read(path) == b"new"


def test_permissions_that_are_taken_away_meanwhile_do_not_come_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path.resolve() / "file"
    write(path, b"old")
    path.chmod(0o644)
    file = open_file(path, "wb", keyset=KEYSET, associated_data="where")
    path.chmod(0o640)
    file.close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    with monkeypatch.context() as patch:
        group_of_what_is_there(patch, path, 1)
        patch.setattr(os, "fchown", lambda *_: None)
        write(path, b"new")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_what_became_a_symbolic_link_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    path, other = tmp_path / "file", tmp_path / "other"
    write(path, b"old")
    write(other, b"other")
    file = open_file(path, "wb", keyset=KEYSET, associated_data="where")
    path.unlink()
    path.symlink_to("other")
    with pytest.raises(OSError) as caught:
        file.close()
    assert caught.value.errno == errno.ELOOP
    assert path.is_symlink() and read(other) == b"other"
    assert leftovers(tmp_path) == []


def test_what_is_written_is_what_the_system_finds_under_the_name(tmp_path: Path) -> None:
    # os.path.abspath takes "link/.." for nothing; the system goes to where the link leads, and then up.
    (tmp_path / "a").mkdir()
    (tmp_path / "b" / "c").mkdir(parents=True)
    (tmp_path / "a" / "link").symlink_to(tmp_path / "b" / "c")
    name = tmp_path / "a" / "link" / ".." / "f"
    write(tmp_path / "a" / "f", b"a's")
    write(name, b"b's")
    assert read(name) == read(tmp_path / "b" / "f") == b"b's"
    assert read(tmp_path / "a" / "f") == b"a's"
    for work in (encrypt_file, decrypt_file):
        before = (tmp_path / "a" / "f").read_bytes()
        work(tmp_path / "a" / "f", name, keyset=KEYSET, associated_data="where", replace=True)
        assert (tmp_path / "a" / "f").read_bytes() == before
    with pytest.raises(shutil.SameFileError):
        encrypt_file(tmp_path / "b" / "f", name, keyset=KEYSET, associated_data="where", replace=True)
    (tmp_path / "b" / "f").unlink()
    (tmp_path / "b" / "f").symlink_to(tmp_path / "a" / "f")
    with pytest.raises(OSError) as caught:
        write(name, b"new")
    assert caught.value.errno == errno.ELOOP
    with pytest.raises(FileNotFoundError):
        write(tmp_path / "a" / "none" / ".." / "f", b"new")
    assert read(tmp_path / "a" / "f") == b"a's"


def test_a_folder_that_cannot_be_made_sure_of_is_refused_before_anything_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Of mode 0300, say: the file had its name when the folder was found not to open.
    really, folder = os.open, tmp_path.resolve()

    def refused(path: Any, *more: Any, **named: Any) -> int:
        if os.fspath(path) == os.fspath(folder):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
        return really(path, *more, **named)

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", refused)
        with pytest.raises(PermissionError):
            write(folder / "file", b"text")
    assert os.listdir(folder) == []


def test_a_symbolic_link_is_not_written_through(tmp_path: Path) -> None:
    write(tmp_path / "file", b"old")
    (tmp_path / "link").symlink_to("file")
    (tmp_path / "dangling").symlink_to("nowhere")
    for name in ("link", "dangling"):
        with pytest.raises(OSError) as caught:
            open_file(tmp_path / name, "wb", keyset=KEYSET, associated_data="where")
        assert caught.value.errno == errno.ELOOP
        with pytest.raises(FileExistsError):
            open_file(tmp_path / name, "xb", keyset=KEYSET, associated_data="where")
    assert read(tmp_path / "link") == b"old"
    assert sorted(os.listdir(tmp_path)) == ["dangling", "file", "link"]


def test_another_folder_meanwhile_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path)
    file = open_file("file", "wb", keyset=KEYSET, associated_data="where")
    file.write(b"text")
    monkeypatch.chdir(tmp_path / "other")
    file.close()
    assert read(tmp_path / "file") == b"text"


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


# Whole files


def test_a_file_is_sealed_and_opened_again(tmp_path: Path) -> None:
    data = text(3_000_000)
    (tmp_path / "plain").write_bytes(data)
    encrypt_file(tmp_path / "plain", tmp_path / "sealed", keyset=KEYSET, associated_data="where")
    assert read(tmp_path / "sealed") == data
    decrypt_file(tmp_path / "sealed", tmp_path / "again", keyset=KEYSET, associated_data="where")
    assert (tmp_path / "again").read_bytes() == (tmp_path / "plain").read_bytes() == data
    assert stat.S_IMODE((tmp_path / "again").stat().st_mode) == 0o600
    assert sorted(os.listdir(tmp_path)) == ["again", "plain", "sealed"]


@pytest.mark.parametrize("work", [encrypt_file, decrypt_file], ids=["encrypt", "decrypt"])
def test_nothing_is_replaced_unless_it_is_said(tmp_path: Path, work: Callable[..., None]) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    write(source, b"text")
    target.write_bytes(b"precious")
    with pytest.raises(FileExistsError):
        work(source, target, keyset=KEYSET, associated_data="where")
    assert target.read_bytes() == b"precious"
    work(source, target, keyset=KEYSET, associated_data="where", replace=True)
    assert target.read_bytes() != b"precious"
    assert read(source) == b"text"


@pytest.mark.parametrize("work", [encrypt_file, decrypt_file], ids=["encrypt", "decrypt"])
@pytest.mark.parametrize("replace", [False, True])
def test_source_and_target_are_never_the_same_file(tmp_path: Path, work: Callable[..., None], replace: bool) -> None:
    source = tmp_path / "source"
    write(source, b"text")
    (tmp_path / "soft").symlink_to(source)
    os.link(source, tmp_path / "hard")
    for given, target in [
        (source, source),
        (source, tmp_path / "." / "source"),
        (source, tmp_path / "soft"),
        (source, tmp_path / "hard"),
        (tmp_path / "soft", source),
        (tmp_path / "hard", source),
    ]:
        with pytest.raises(shutil.SameFileError):
            work(given, target, keyset=KEYSET, associated_data="where", replace=replace)
    assert read(source) == read(tmp_path / "soft") == b"text"
    assert leftovers(tmp_path) == []


def test_what_does_not_open_leaves_no_plaintext_and_what_was_there(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    sealed = bytearray(write(source, text(2_000_000)))
    sealed[1_900_000] ^= 1
    source.write_bytes(sealed)
    target.write_bytes(b"precious")
    with pytest.raises(IntegrityError):
        decrypt_file(source, target, keyset=KEYSET, associated_data="where", replace=True)
    assert target.read_bytes() == b"precious"
    with pytest.raises(IntegrityError):
        decrypt_file(source, tmp_path / "new", keyset=KEYSET, associated_data="where")
    assert sorted(os.listdir(tmp_path)) == ["source", "target"]


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    program = f"""
        import os
        from flask_rampart.vault import Keyset, decrypt_file, encrypt_file, open_file

        def peak():
            # Not by getrusage, which counts the process that started this one as well.
            with open("/proc/self/status") as status:
                return int(status.read().partition("VmHWM:")[2].split()[0])

        os.chdir({str(tmp_path)!r})
        for template in ("AES256_GCM_HKDF_1MB", "AES256_GCM_HKDF_4KB"):
            keyset = Keyset.generate(template)
            # The small one first: what that takes is the interpreter.
            for size in (100, 64 * 1024 * 1024):
                before = peak()
                with open("plain", "wb") as file:
                    file.truncate(size)
                encrypt_file("plain", "sealed", keyset=keyset, associated_data="", replace=True)
                decrypt_file("sealed", "again", keyset=keyset, associated_data="", replace=True)
                with open_file("sealed", keyset=keyset, associated_data="") as file:
                    while file.read(100_000):
                        pass
            print(peak() - before)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], capture_output=True, check=True, text=True)
    kib = [int(line) for line in done.stdout.split()]
    assert len(kib) == 2
    assert max(kib) < 16 * 1024


# The vault's own


def test_the_vault_finds_its_keyset_for_files(tmp_path: Path) -> None:
    vault = Vault({"default": Keyset.generate("AES256_GCM"), "files": KEYSET})
    with vault.open_file(tmp_path / "file", "xb", associated_data="where") as file:
        file.write(b"text")
    assert read(tmp_path / "file") == b"text"
    with vault.open_file(tmp_path / "file", associated_data="where", name="files") as file:
        assert file.read() == b"text"
    vault.decrypt_file(tmp_path / "file", tmp_path / "plain", associated_data="where")
    vault.encrypt_file(tmp_path / "plain", tmp_path / "file", associated_data="there", replace=True)
    with vault.open_file(tmp_path / "file", "r", associated_data="there", encoding="ascii") as file:
        assert file.read() == "text"
    with pytest.raises(ValueError, match="streaming AEAD"):
        vault.open_file(tmp_path / "file", associated_data="there", name="default")
    with pytest.raises(ValueError, match="AES256_GCM_HKDF_1MB"):
        Vault(Keyset.generate("AES256_GCM")).open_file(tmp_path / "file", associated_data="")


def test_the_guides_code_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    guide = (Path(__file__).parent.parent / "docs" / "vault-files.md").read_text()
    first, second = re.findall(r"```python\n(.*?)```", guide, re.S)
    write_keyset(tmp_path / "files.json", KEYSET, cleartext=True)
    monkeypatch.chdir(tmp_path)
    space: dict[str, Any] = {"__name__": "guide"}
    app = "app = Flask(__name__)"
    assert app in first
    # No module that could be found has this name.
    first = first.replace(app, f"app = Flask('guide', root_path={str(tmp_path)!r})")
    exec(compile(first.replace("/etc/myapp/files.json", "files.json"), "vault-files.md", "exec"), space)
    assert capsys.readouterr().out == "name,amount\n\n"
    with space["app"].app_context():
        header = b'{"layer.0.weight":{"dtype":"U8","shape":[3],"data_offsets":[0,3]}}'
        with space["rampart"].vault.open_file("model.safetensors", "wb", associated_data="models/7") as file:
            file.write(len(header).to_bytes(8, "little") + header + b"abc")
        exec(compile(second, "vault-files.md", "exec"), space)
    assert space["weights"].tolist() == list(b"abc")
