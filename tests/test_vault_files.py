"""Sealed files: read at any place as if they were not sealed, and loud about what was changed."""

from __future__ import annotations

import copy
import csv
import errno
import gzip
import io
import os
import pickle
import random
import shutil
import tarfile
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy
import pytest

from flask_rampart.errors import IntegrityError
from flask_rampart.vault import Keyset, decrypt_file, open_file

from .sealed_files import HEADER, KEYSET, ROOM, SEGMENT, TAG, leftovers, read, refused, text, write


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
    for _ in range(20):
        read(tmp_path / "file")
        refused(tmp_path / "file", bound="elsewhere")
        refused(tmp_path / "bad")
        write(tmp_path / "again", b"text")
        with pytest.raises(FileExistsError):
            open_file(tmp_path / "again", "xb", keyset=KEYSET, associated_data="")
    # Of this test's files alone: what other tests left is closed whenever it is collected.
    held = [place for place in map(_place, os.listdir("/proc/self/fd")) if place.startswith(f"{tmp_path}/")]
    assert held == []
    with open(tmp_path / "file", "rb"):
        assert f"{tmp_path}/file" in map(_place, os.listdir("/proc/self/fd"))  # the look sees what is open


def _place(descriptor: str) -> str:
    try:
        return os.readlink(f"/proc/self/fd/{descriptor}")
    except OSError:
        return ""  # the one that listed them


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
