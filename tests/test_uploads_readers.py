"""Uploads: what other readers find in a file is what was judged.

Each attack here loads, unpacks or decodes in Python's own readers as another thing than it shows; where that can be run, it is.
"""

from __future__ import annotations

import gzip
import io
import math
import pickle
import struct
import tarfile
import zipfile
from typing import Any

import pytest
from PIL import Image

from flask_rampart import Archive, Upload
from flask_rampart._native import file_types

ALL = tuple(file_types())


def judged(content: bytes, **more: Any) -> str:
    """The type of a file, or the rule that it breaks and why."""
    kind, _, refused = Upload(types=ALL, **more).judge.judge(io.BytesIO(content), len(content))
    return kind if refused is None else "!{}: {}".format(*refused)


CALL = b"0cplatform\nmachine\n(tR."


@pytest.mark.parametrize("number", [b"I0\0 !", b"L0\0 !", b"F0\0 !", b"Np0\0 !"], ids=["I", "L", "F", "p"])
def test_a_pickle_with_a_nul_in_a_number_is_one(number: bytes) -> None:
    # The unpickler in C ends a number at a NUL, whatever stands behind it on its line.
    program = number + b"\n" + CALL
    pickle.loads(program)
    assert judged(program) == "!type: a pickle"


def test_a_pickle_behind_another_one_is_seen() -> None:
    # PyTorch's first form is several, and its reader loads them one by one, in whatever protocol.
    content = b"L119547037146038801333356L\n.I1001\n." + CALL[1:]
    stream = io.BytesIO(content)
    assert [pickle.load(stream) for _ in range(3)][1] == 1001
    assert judged(content) == judged(content + b"text") == "!type: a pickle"
    assert judged(b"N.B. This is a text.\n") == "text/plain"


def test_an_image_that_is_a_pickle_with_a_nul_in_a_number_is_refused() -> None:
    program = b"\n" + CALL
    # A whole GIF: its head, one comment, its end.
    gif = b"GIF89a\x01\x00\x010F0\0!\xfe" + bytes([len(program)]) + program + b"\0;"
    pickle.loads(gif)
    assert judged(gif) == "!type: a pickle"


def array(descr: str) -> bytes:
    head = f"{{'descr': {descr}, 'fortran_order': False, 'shape': (1,), }}".encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head + bytes(8)


@pytest.mark.parametrize(
    "descr",
    [
        "'object'",
        "'object_'",
        "'2O'",
        "'i4,O'",
        "'O,i4'",
        r"'|\x4f'",
        "'ob' 'ject'",
        "u'O'",
        "'''O'''",
        "[('a', '(2,)O')]",
    ],
    ids=range(10),
)
def test_an_array_of_objects_is_refused_in_every_way_that_numpy_reads_one(descr: str) -> None:
    # numpy evaluates the head as a literal of Python's, and takes any spelling of a type.
    assert judged(array(descr)) == "!type: a pickle"
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("a.npy", array(descr))
    assert judged(content.getvalue()) == "!type: a pickle"


@pytest.mark.parametrize("descr", ["'<f8'", "[('Open', '<f8'), ('objects', '|S3', (2,))]", "'<M8[ns]'"], ids=range(3))
def test_an_array_of_numbers_and_texts_is_one(descr: str) -> None:
    assert judged(array(descr)) == "application/x-npy"


def head(name: str, kind: int = tarfile.USTAR_FORMAT) -> bytearray:
    return bytearray(tarfile.TarInfo(name).tobuf(kind))


def summed(block: bytearray, written: str = "{:06o}\0 ") -> bytes:
    block[148:156] = b" " * 8
    block[148:156] = written.format(sum(block[:512])).encode().ljust(8)
    return bytes(block) + bytes(1024)


def names_of(content: bytes) -> list[str]:
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        return archive.getnames()


def test_half_a_name_where_gnu_keeps_other_things_is_refused() -> None:
    block = head("passwd", tarfile.GNU_FORMAT)
    block[345:354] = b"../../etc"
    content = summed(block)
    assert names_of(content) == ["../../etc/passwd"]
    assert judged(content).startswith("!archive")
    assert judged(gzip.compress(content)).startswith("!archive")


@pytest.mark.parametrize("written", ["{:06o}\0 ", "0o{:o}", "{:o}"], ids=["as ever", "of Python's", "bare"])
def test_a_tar_of_the_oldest_form_does_not_pass_as_something_else(written: str) -> None:
    block = head("../../passwd")
    block[257:265] = bytes(8)
    content = summed(block, written)
    assert names_of(content) == ["../../passwd"]
    assert judged(content).startswith("!archive")
    assert judged(gzip.compress(content)).startswith("!archive")
    within = io.BytesIO()
    with zipfile.ZipFile(within, "w") as archive:
        archive.writestr("a", content)
    assert judged(within.getvalue()) == "!archive: an archive in it"


def test_a_tar_of_the_oldest_form_with_another_sum_does_not_pass_either() -> None:
    block = head("../../é")
    block[257:265] = bytes(8)
    block[148:156] = b" " * 8
    as_signed = sum(struct.unpack("512b", block))
    for written in (f"{as_signed:06o}\0 ".encode(), b"\x80" + sum(block).to_bytes(7, "big")):
        block[148:156] = written
        content = bytes(block) + bytes(1024)
        assert names_of(content) == ["../../é"]
        assert judged(gzip.compress(content)).startswith("!archive")


def test_a_second_directory_of_a_zip_is_refused() -> None:
    # Python looks for the locator of a zip64 right before the end, and takes what stands before that for the end.
    shown, hidden = b"good.txt", b"evil.txt"
    outer = io.BytesIO()
    with zipfile.ZipFile(outer, "w") as archive:
        info = zipfile.ZipInfo(shown.decode())
        info.comment = bytes(46 + len(hidden) + 56 + 20)
        archive.writestr(info, b"1")
    content = bytearray(outer.getvalue())
    start = content.index(b"PK\x01\x02")
    entry = bytes(content[start : start + 46 + len(shown)])
    other = entry[:32] + b"\0\0" + entry[34:46] + hidden
    at = start + len(entry)
    record = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, 1, 1, len(other), at)
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, at + len(other), 1)
    content[at : at + len(other) + 76] = other + record + locator
    assert zipfile.ZipFile(io.BytesIO(content)).namelist() == ["evil.txt"]
    assert judged(bytes(content)) == "!archive: the two ends of a zip64"


def test_a_zip64_that_says_one_thing_is_read() -> None:
    numbers = array("'<f8'")
    for content in (_streamed(numbers, seekable=True), _streamed(numbers, seekable=False)):
        # As numpy.savez writes it, and as a writer of streams does.
        assert zipfile.ZipFile(io.BytesIO(content)).testzip() is None
        assert judged(content) == "application/x-npz"
        assert judged(_ended_twice(content)) == "application/x-npz"
        assert zipfile.ZipFile(io.BytesIO(_ended_twice(content))).testzip() is None


@pytest.mark.parametrize("at", [4, 8, 20, 24, 32, 40, 48, 56 + 4, 56 + 8, 56 + 16])
def test_a_zip64_that_says_two_things_is_refused(at: int) -> None:
    content = bytearray(_ended_twice(_streamed(b"a", seekable=True)))
    start = content.index(b"PK\x06\x06")
    content[start + at] ^= 2
    assert judged(bytes(content)).startswith("!archive")


def test_the_far_sizes_of_an_entry_are_those_of_the_directory() -> None:
    for content in (_streamed(b"abc", seekable=True), _streamed(b"abc", seekable=False)):
        field = content.index(b"\x01\0\x10\0")
        for at in (field + 4, field + 12):
            wrong = bytearray(content)
            wrong[at] ^= 1
            assert judged(bytes(wrong)).startswith("!archive")


class _Pipe(io.RawIOBase):
    """What can only be written to."""

    def __init__(self) -> None:
        self.data = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.data += data
        return len(data)


def _streamed(content: bytes, *, seekable: bool) -> bytes:
    out: Any = io.BytesIO() if seekable else _Pipe()
    with (
        zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("a.npy", "w", force_zip64=True) as one,
    ):
        one.write(content)
    return bytes(out.getvalue() if seekable else out.data)


def _ended_twice(content: bytes) -> bytes:
    """The same with all numbers of its directory in their second place."""
    end = content.rindex(b"PK\x05\x06")
    start = content.index(b"PK\x01\x02")
    entry = bytearray(content[start:end])
    packed, unpacked = struct.unpack("<2L", entry[20:28])
    offset = struct.unpack("<L", entry[42:46])[0]
    entry[20:28] = b"\xff" * 8
    entry[42:46] = b"\xff" * 4
    entry[30:32] = struct.pack("<H", 28)
    entry += struct.pack("<2H3Q", 1, 24, unpacked, packed, offset)
    record = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, 1, 1, len(entry), start)
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, start + len(entry), 1)
    last = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    return content[:start] + bytes(entry) + record + locator + last


def test_a_picture_with_a_zip_behind_it_is_refused_wherever_its_directory_says_that_it_is() -> None:
    picture = PICTURES["JPEG RGB"][1]
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("a", b"1")
    content = bytearray(out.getvalue())
    start, end = content.index(b"PK\x01\x02"), content.index(b"PK\x05\x06")
    # Python counts back from the end, and moves all places by what they are wrong.
    content[end + 16 : end + 20] = struct.pack("<L", start + 0x7FFF0000)
    content[start + 42 : start + 46] = struct.pack("<L", 0x7FFF0000)
    for behind in (out.getvalue(), bytes(content), _ended_twice(out.getvalue())):
        assert zipfile.ZipFile(io.BytesIO(picture + behind)).read("a") == b"1"
        assert judged(picture + behind) == "!type: a zip at its end"


def test_names_of_an_older_code_page_are_told_apart() -> None:
    def of(*names: str) -> bytes:
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w") as archive:
            for at, _ in enumerate(names):
                archive.writestr(f"{at}xxxx", b"a")
        content = out.getvalue()
        for at, name in enumerate(names):
            content = content.replace(f"{at}xxxx".encode(), name.encode("cp866"))
        return content

    # Windows names entries in the code page of its user, without a word.
    assert judged(of("отчет", "книга")) == "application/zip"
    assert judged(of("отчет", "отчет")) == "!archive: a name twice"
    assert judged(of("../да", "книга")) == "!archive: the name of an entry"


def tiff(*entries: tuple[int, int, int, int]) -> bytes:
    packed = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return b"II*\0\x08\0\0\0" + struct.pack("<H", len(entries)) + packed + bytes(4)


@pytest.mark.parametrize(
    "entries",
    [
        [(256, 4, 1, 1), (256, 4, 1, 60_000), (257, 4, 1, 1)],
        [(256, 4, 1, 1), (256, 9, 1, 60_000), (257, 4, 1, 60_000)],
        [(256, 4, 2, 8), (257, 4, 1, 1)],
        [(256, 1, 1, 60_000), (257, 4, 1, 1)],
    ],
    ids=["twice", "of another type", "two numbers", "a byte"],
)
def test_a_tiff_whose_size_is_read_in_two_ways_is_refused(entries: list[tuple[int, int, int, int]]) -> None:
    # Pillow takes any type, the last entry of a name, and the first of several numbers, which are elsewhere then.
    assert judged(tiff((256, 4, 1, 3), (257, 3, 1, 2))) == "image/tiff"
    assert judged(tiff(*entries)).startswith("!pixels")


def test_markup_behind_many_blanks_is_no_plain_text() -> None:
    assert judged(b" " * 70_000 + b"<svg onload='x'/>") == "text/html"
    assert judged(b" " * 60_000) == "text/plain"


def test_archives_in_documents_are_taken_where_that_is_said() -> None:
    # A chart in a document is a workbook of its own.
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("[Content_Types].xml", b"<Types/>")
        archive.writestr("word/document.xml", b"<w/>")
        archive.writestr("word/embeddings/sheet.xlsx", _streamed(b"a", seekable=True))
    assert judged(out.getvalue()) == "!archive: an archive in it"
    assert judged(out.getvalue(), archive=Archive(nested=True)).endswith("wordprocessingml.document")


def _pictures() -> dict[str, tuple[str, bytes]]:
    """All that Pillow writes of the kinds that are told apart, in each of its modes."""
    Image.init()
    known = {"AVIF": "avif", "BMP": "bmp", "GIF": "gif", "ICO": "vnd.microsoft.icon", "JPEG": "jpeg", "MPO": "jpeg"}
    known |= {"PNG": "png", "TIFF": "tiff", "WEBP": "webp"}
    made = {}
    for kind, name in known.items():
        for mode in ("RGB", "RGBA", "L", "LA", "P", "1", "CMYK", "I;16", "F"):
            out = io.BytesIO()
            try:
                Image.new(mode, (40, 30)).save(out, kind)
            except (OSError, ValueError):
                continue  # which this kind does not have
            made[f"{kind} {mode}"] = (f"image/{name}", out.getvalue())
    return made


PICTURES = _pictures()


@pytest.mark.parametrize("case", PICTURES)
def test_what_pillow_writes_is_what_it_is(case: str) -> None:
    kind, content = PICTURES[case]
    assert judged(content) == kind
    # An icon holds smaller ones.
    most = math.prod(Image.open(io.BytesIO(content)).size) if kind.endswith("icon") else 1200
    assert judged(content, max_pixels=most) == kind
    assert judged(content, max_pixels=most - 1) == "!pixels: its pixels"


@pytest.mark.parametrize(
    "kind", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT], ids=["ustar", "gnu", "pax"]
)
@pytest.mark.parametrize("name", ["a", "é" * 40, f"{'n' * 90}/{'m' * 50}"], ids=["plain", "beyond ASCII", "long"])
def test_what_tarfile_writes_is_a_tar(kind: int, name: str) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=kind) as archive:
        folder = tarfile.TarInfo("./")
        folder.type = tarfile.DIRTYPE
        archive.addfile(folder)
        info = tarfile.TarInfo(f"./{name}")
        info.size, info.uid = 1000, 10_000_000 if kind != tarfile.USTAR_FORMAT else 1
        archive.addfile(info, io.BytesIO(bytes(1000)))
    assert judged(out.getvalue()) == "application/x-tar"


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED], ids=["stored", "deflated"])
@pytest.mark.parametrize("seekable", [True, False], ids=["a file", "a stream"])
def test_what_zipfile_writes_is_a_zip(method: int, seekable: bool) -> None:
    out: Any = io.BytesIO() if seekable else _Pipe()
    with zipfile.ZipFile(out, "w", method) as archive:
        archive.writestr("é/", b"")
        archive.writestr("é/a.txt", b"hello" * 100)
        with archive.open("b", "w") as entry:
            entry.write(b"x" * 5000)
        archive.comment = b"a comment"
    assert judged(bytes(out.getvalue() if seekable else out.data)) == "application/zip"
