"""Sealed files as other libraries use files: what they would do with a plain one, byte for byte, or a plain refusal."""

from __future__ import annotations

import io
import mmap
import os
import random
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flask_rampart import IntegrityError, Keyset
from flask_rampart.vault import decrypt_file, encrypt_file, open_file

KEYSET = Keyset.generate("AES256_GCM_HKDF_4KB")
DATA = random.Random(1).randbytes(50_000)


def opened(path: Path, mode: str = "rb", **text: Any) -> Any:
    return open_file(path, mode, keyset=KEYSET, associated_data="where", **text)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A sealed file."""
    with opened(tmp_path / "file", "wb") as file:
        file.write(DATA)
    return tmp_path / "file"


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "U16", "utf_32", "utf-16-le", "utf-32-be", "latin-1"]
)
@pytest.mark.parametrize("newline", [None, "", "\r\n"])
def test_a_text_is_the_same_bytes_as_in_a_file_that_is_not_sealed(
    tmp_path: Path, encoding: str, newline: str | None
) -> None:
    # Python's text layer leaves the byte order mark away where it cannot seek: nobody could read such a text again.
    lines = ["Zeile\n", "é\r\n", "long " * 5000 + "\n", "end"]
    with open(tmp_path / "plain", "w", encoding=encoding, newline=newline) as file:
        file.writelines(lines)
    with opened(tmp_path / "sealed", "w", encoding=encoding, newline=newline) as file:
        file.writelines(lines)
    decrypt_file(tmp_path / "sealed", tmp_path / "back", keyset=KEYSET, associated_data="where")
    assert (tmp_path / "back").read_bytes() == (tmp_path / "plain").read_bytes()
    with (
        open(tmp_path / "plain", encoding=encoding, newline=newline) as plain,
        opened(tmp_path / "sealed", "r", encoding=encoding, newline=newline) as file,
    ):
        assert list(file) == list(plain)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_an_empty_text_is_an_empty_text(tmp_path: Path, encoding: str) -> None:
    opened(tmp_path / "file", "w", encoding=encoding).close()
    assert opened(tmp_path / "file", "r", encoding=encoding).read() == ""


def test_pandas_and_parquet_read_and_write_through_it(tmp_path: Path) -> None:
    import pandas

    table = pandas.DataFrame({"number": range(3000), "text": ["é"] * 3000})
    for write, read, mode in (
        (lambda file: table.to_csv(file, index=False), pandas.read_csv, "wb"),
        (lambda file: table.to_csv(file, index=False), pandas.read_csv, "w"),
        (lambda file: table.to_parquet(file), pandas.read_parquet, "wb"),
        (lambda file: table.to_pickle(file), pandas.read_pickle, "wb"),
    ):
        with opened(tmp_path / "file", mode) as file:
            write(file)
        with opened(tmp_path / "file") as file:
            assert read(file).equals(table)


def test_beyond_its_end_there_is_nothing_and_before_its_beginning_no_place(path: Path) -> None:
    with opened(path) as file:
        assert (file.seek(60_000), file.tell()) == (60_000, 60_000)
        assert (file.read(10), file.read(), file.peek(3)) == (b"", b"", b"")
        assert (file.seek(-10, io.SEEK_END), file.read(), file.tell()) == (49_990, DATA[-10:], 50_000)
        assert file.seek(len(DATA) - 3) and file.read(99) == DATA[-3:]
        for offset, whence in ((-1, 0), (-50_001, 2), (1 << 63, 0)):
            with pytest.raises((OSError, ValueError)):
                file.seek(offset, whence)
        assert file.seek(5) == 5 and file.read(5) == DATA[5:10]


SEALED_BYTES: list[Callable[[Any], object]] = [
    lambda file: file.fileno(),
    lambda file: file.truncate(),
    lambda file: file.truncate(3),
    lambda file: mmap.mmap(file.fileno(), 0),
    lambda file: os.sendfile(1, file.fileno(), 0, 1),
]


@pytest.mark.parametrize("use", [*SEALED_BYTES, lambda file: file.write(b"x")], ids=range(6))
def test_who_reads_reaches_no_sealed_bytes_and_changes_none(path: Path, use: Callable[[Any], object]) -> None:
    before = path.read_bytes()
    with opened(path) as file:
        with pytest.raises(io.UnsupportedOperation):
            use(file)
        assert file.read() == DATA
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "use", [*SEALED_BYTES, lambda file: file.seek(0), lambda file: file.seek(0, io.SEEK_END)], ids=range(7)
)
def test_who_writes_goes_on_where_he_is(path: Path, use: Callable[[Any], object]) -> None:
    with opened(path, "wb") as file:
        file.write(DATA)
        with pytest.raises(io.UnsupportedOperation):
            use(file)
        file.write(b"more")
    assert opened(path).read() == DATA + b"more"


@pytest.mark.parametrize("mode", ["a", "ab", "r+", "r+b", "w+b", "x+", "U", "", "rw", "bb", "rbt", "wbx", None, 7])
def test_a_mode_that_would_change_what_is_sealed_is_refused(path: Path, mode: Any) -> None:
    before = path.read_bytes()
    with pytest.raises((ValueError, TypeError)):
        opened(path, mode)
    assert path.read_bytes() == before


def test_many_threads_read_one_object_and_objects_of_their_own(path: Path) -> None:
    failures: list[Any] = []
    shared, pieces = opened(path), []

    def own(seed: int) -> None:
        dice = random.Random(seed)
        with opened(path) as file:
            for _ in range(100):
                at, length = dice.randrange(60_000), dice.randrange(9000)
                file.seek(at)
                if file.read(length) != DATA[at : at + length]:
                    failures.append((at, length))
        while piece := shared.read(777):
            pieces.append(piece)

    threads = [threading.Thread(target=own, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    # Each byte was given to one of them, and each piece is one that is there.
    assert sum(map(len, pieces)) == len(DATA) and all(piece in DATA for piece in pieces)


def test_threads_that_write_to_one_object_are_each_written_whole(tmp_path: Path) -> None:
    parts = [bytes([65 + number]) * 300_000 for number in range(4)]
    with opened(tmp_path / "file", "wb") as file:
        threads = [threading.Thread(target=file.write, args=(part,)) for part in parts]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    read = opened(tmp_path / "file").read()
    assert len(read) == 1_200_000 and all(part in read for part in parts)


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
@pytest.mark.parametrize("step", [7, 4055, 4056, 8192, 50_000])
@pytest.mark.parametrize("layer", ["buffered", "raw"])
def test_whatever_is_written_is_sealed_alike(
    tmp_path: Path, kind: Callable[[bytes], Any], step: int, layer: str
) -> None:
    # bytes are sealed from where they are; of the rest there is a copy. Neither changes what is read again.
    data = DATA if step > 7 else DATA[:5000]
    with opened(tmp_path / "file", "wb") as file:
        to = file if layer == "buffered" else file.raw
        for at in range(0, len(data), step):
            part = data[at : at + step]
            assert to.write(kind(part)) == len(part)
        assert to.write(kind(b"")) == 0 and to.tell() == len(data)
    assert opened(tmp_path / "file").read() == data


def test_an_array_is_written_as_its_bytes_are_and_one_with_gaps_is_refused(tmp_path: Path) -> None:
    with opened(tmp_path / "file", "wb") as file:
        assert file.write(memoryview(DATA).cast("B", (500, 100))) == len(DATA)
        with pytest.raises((BufferError, ValueError, TypeError)):
            file.write(memoryview(DATA)[::2])
        file.write(b"more")
    assert opened(tmp_path / "file").read() == DATA + b"more"


@pytest.mark.parametrize("length", [(1 << 20) - 1, 1 << 20, (1 << 20) + 1, (3 << 20) + 5])
@pytest.mark.parametrize("template", ["AES256_GCM_HKDF_1MB", "AES256_CTR_HMAC_SHA256_4KB"])
def test_one_long_write_is_sealed_in_parts(tmp_path: Path, template: str, length: int) -> None:
    keyset, data = Keyset.generate(template), random.Random(length).randbytes(length)
    for number, given in enumerate((data, bytearray(data))):
        target = tmp_path / str(number)
        with open_file(target, "wb", keyset=keyset, associated_data="x") as file:
            assert file.write(given) == length
        assert open_file(target, keyset=keyset, associated_data="x").read() == data
    (tmp_path / "plain").write_bytes(data)
    encrypt_file(tmp_path / "plain", tmp_path / "sealed", keyset=keyset, associated_data="x")
    assert open_file(tmp_path / "sealed", keyset=keyset, associated_data="x").read() == data


def test_what_is_changed_while_it_is_open_is_noticed_where_it_is_read(path: Path) -> None:
    data = DATA * 12  # more than is read ahead
    with opened(path, "wb") as file:
        file.write(data)
    with opened(path) as file:
        assert file.read(10) == data[:10]
        with open(path, "r+b") as sealed:
            sealed.seek(300_000)
            sealed.write(bytes(3))
        assert file.seek(4000) and file.read(4000) == data[4000:8000]
        file.seek(298_000)  # of the same segment, by the overhead of those before
        with pytest.raises(IntegrityError):
            file.read(10)
        assert file.seek(500_000) and file.read(10) == data[500_000:500_010]
        os.truncate(path, 350_000)
        file.seek(400_000)
        with pytest.raises(IntegrityError):
            file.read(10)
