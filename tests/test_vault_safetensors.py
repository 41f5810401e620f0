"""Tensors of a sealed file, read one by one; and headers that say what cannot be."""

from __future__ import annotations

import gc
import io
import json
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import numpy
import pytest
import safetensors
import safetensors.numpy

from flask_rampart.errors import IntegrityError
from flask_rampart.vault import Keyset, Tensor, Vault, load_safetensors, open_file

KEYSET = Keyset.generate("AES256_GCM_HKDF_4KB")


def made(header: Any, data: bytes = b"", text: str | None = None) -> io.BytesIO:
    encoded = (json.dumps(header) if text is None else text).encode()
    return io.BytesIO(len(encoded).to_bytes(8, "little") + encoded + data)


def u8(begin: int, end: int) -> dict[str, Any]:
    return {"dtype": "U8", "shape": [end - begin], "data_offsets": [begin, end]}


def arrays() -> dict[str, numpy.ndarray[Any, Any]]:
    kinds = ["?", "u1", "i1", "<u2", "<i2", "<f2", "<u4", "<i4", "<f4", "<u8", "<i8", "<f8", "<c8"]
    found = {f"layer.{kind}": (numpy.arange(60) % 7).astype(kind).reshape(3, 4, 5) for kind in kinds}
    return {**found, "scalar": numpy.array(7.5, dtype="<f4"), "empty": numpy.zeros((0, 3), dtype="<f4")}


def test_tensors_are_read_lazily_and_as_the_formats_own_library_wrote_them(tmp_path: Path) -> None:
    expected = arrays()
    plain = safetensors.numpy.save(expected, metadata={"format": "np"})
    vault = Vault(KEYSET)
    with vault.open_file(tmp_path / "model", "wb", associated_data="model") as file:
        file.write(plain)
    with vault.load_safetensors(tmp_path / "model", associated_data="model") as tensors:
        assert len(tensors) == len(expected)
        assert set(tensors) == set(expected)
        assert tensors.metadata == {"format": "np"}
        for name, array in expected.items():
            assert tensors.shape(name) == array.shape
            read = tensors[name]
            assert read.dtype == array.dtype
            assert numpy.array_equal(read, array)
        read = tensors["scalar"]
        read += 1  # its own copy
        assert tensors["scalar"] == 7.5
        assert "scalar" in tensors
        assert "none" not in tensors
        assert tensors.dtype("scalar") == "F32"
        with pytest.raises(KeyError):
            tensors["none"]
    with pytest.raises(ValueError, match="closed"):
        tensors["scalar"]


def test_only_what_is_asked_for_is_read(tmp_path: Path) -> None:
    data = {"first": numpy.zeros(20_000, dtype="u1"), "second": numpy.ones(20_000, dtype="u1")}
    path = tmp_path / "model"
    with open_file(path, "wb", keyset=KEYSET, associated_data="") as file:
        file.write(safetensors.numpy.save(data))
    # Damaged where the first one lies: the second is read, and the first is refused.
    sealed = bytearray(path.read_bytes())
    sealed[3 * 4096 + 100] ^= 1
    path.write_bytes(sealed)
    with open_file(path, keyset=KEYSET, associated_data="") as file:
        tensors = load_safetensors(file)
        for _ in range(2):
            assert numpy.array_equal(tensors["second"], data["second"])
            with pytest.raises(IntegrityError):
                tensors["first"]


def test_without_numpy_and_for_numbers_that_it_has_not_there_are_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    header = {
        "brain": {"dtype": "BF16", "shape": [2, 1], "data_offsets": [0, 4]},
        "plain": {"dtype": "U16", "shape": [1], "data_offsets": [4, 6]},
    }
    tensors = load_safetensors(made(header, bytes(range(6))))
    brain = tensors["brain"]
    assert isinstance(brain, Tensor)
    assert (brain.dtype, brain.shape, brain.data.tobytes()) == ("BF16", (2, 1), b"\0\1\2\3")
    assert tensors["plain"].tolist() == [0x0504]
    monkeypatch.setitem(sys.modules, "numpy", None)
    plain = tensors["plain"]
    assert isinstance(plain, Tensor)
    assert plain.data.tobytes() == b"\4\5"
    assert "\\x" not in repr(plain)


def test_numbers_below_a_byte_fill_bytes() -> None:
    good = {"t": {"dtype": "F4", "shape": [2, 3], "data_offsets": [0, 3]}}
    assert load_safetensors(made(good, b"abc")).tensor("t").data.tobytes() == b"abc"
    odd = {"t": {"dtype": "F4", "shape": [3], "data_offsets": [0, 1]}}
    with pytest.raises(ValueError, match="as far apart"):
        load_safetensors(made(odd, b"a"))


def test_an_empty_file_of_tensors_is_one_and_members_that_are_not_known_are_skipped() -> None:
    assert load_safetensors(made({"a": {**u8(0, 1), "x": 1}}, b"a")).tensor("a").data.tobytes() == b"a"
    assert dict(load_safetensors(made({}))) == {}
    assert dict(load_safetensors(made({}, text="{}      "))) == {}
    assert load_safetensors(made({"__metadata__": {"a": "b"}})).metadata == {"a": "b"}


HUGE = 1 << 62
WRONG: dict[str, io.BytesIO] = {
    "nothing": io.BytesIO(b""),
    "no length": io.BytesIO(b"\2\0\0"),
    "a length beyond the file": io.BytesIO(b"\xff\0\0\0\0\0\0\0{}"),
    "the longest length": io.BytesIO(b"\xff" * 8 + b"{}"),
    "no header": io.BytesIO(bytes(8)),
    "a list": made([]),
    "a space before": made({}, text=" {}"),
    "broken": made({}, text='{"a":'),
    "a name twice": made({}, b"ab", text=f'{{"a":{json.dumps(u8(0, 1))},"a":{json.dumps(u8(1, 2))}}}'),
    "not finite": made({}, text='{"a":NaN}'),
    "not UTF-8": io.BytesIO(b"\4\0\0\0\0\0\0\0{\xff}}"),
    "deep": made({}, text='{"a":' * 5000 + "1" + "}" * 5000),
    "a text": made({"a": "U8"}),
    "a member missing": made({"a": {"dtype": "U8", "shape": [1]}}, b"a"),
    "another dtype": made({"a": {**u8(0, 1), "dtype": "U9"}}, b"a"),
    "a dtype of a list": made({"a": {**u8(0, 1), "dtype": ["U8"]}}, b"a"),
    "a negative length": made({"a": {**u8(0, 1), "shape": [-1]}}, b"a"),
    "two negative lengths": made({"a": {**u8(0, 1), "shape": [-1, -1]}}, b"a"),
    "a fraction": made({"a": {**u8(0, 1), "shape": [1.0]}}, b"a"),
    "true": made({"a": {**u8(0, 1), "shape": [True]}}, b"a"),
    "too many dimensions": made({"a": {**u8(0, 1), "shape": [1] * 65}}, b"a"),
    "an overflow": made({"a": {**u8(0, 0), "shape": [HUGE, HUGE, 0]}}),
    "a long number": made({}, b"a", text='{"a":{"dtype":"U8","shape":[' + "9" * 5000 + '],"data_offsets":[0,1]}}'),
    "offsets that are one": made({"a": {**u8(0, 1), "data_offsets": [0]}}, b"a"),
    "offsets the wrong way": made({"a": {**u8(0, 1), "data_offsets": [1, 0]}}, b"a"),
    "offsets beyond the end": made({"a": u8(0, 2)}, b"a"),
    "negative offsets": made({"a": {**u8(0, 1), "data_offsets": [-1, 0]}}, b"a"),
    "another length than the shape": made({"a": {**u8(0, 2), "shape": [1]}}, b"ab"),
    "an overlap": made({"a": u8(0, 2), "b": u8(1, 3)}, b"abc"),
    "the same place twice": made({"a": u8(0, 2), "b": u8(0, 2)}, b"ab"),
    "a gap": made({"a": u8(0, 1), "b": u8(2, 3)}, b"abc"),
    "a gap before": made({"a": u8(1, 2)}, b"ab"),
    "a rest": made({"a": u8(0, 1)}, b"ab"),
    "metadata that is a text": made({"__metadata__": "x"}),
    "metadata of numbers": made({"__metadata__": {"a": 1}}),
}


# What the library reads: not what the format's documentation has, or more than any array's dimensions.
LAX = ("a space before", "too many dimensions")


@pytest.mark.parametrize("why", WRONG)
def test_a_header_that_says_what_cannot_be_is_refused(why: str) -> None:
    file = io.BytesIO(WRONG[why].getvalue())
    with pytest.raises(ValueError, match="safetensors"):
        load_safetensors(file)


@pytest.mark.parametrize("why", [why for why in WRONG if why not in LAX])
def test_the_formats_own_library_refuses_them_as_well(why: str) -> None:
    with pytest.raises(safetensors.SafetensorError):
        safetensors.deserialize(WRONG[why].getvalue())


def test_a_header_is_read_up_to_its_bound() -> None:
    file = made({}, text="{" + " " * 98 + "}")
    assert len(load_safetensors(file, max_header=100)) == 0
    with pytest.raises(ValueError, match="more than 99"):
        load_safetensors(file, max_header=99)
    for bound in (0, -1, 100_000_001):
        with pytest.raises(ValueError, match="max_header"):
            load_safetensors(file, max_header=bound)


MEBIBYTE = 1024 * 1024
# Much for little text: empty objects and lists, objects of one member, long names, long integers.
GREEDY = {
    "tensors of nothing": "{" + ",".join(f'"{at:x}":{{}}' for at in range(MEBIBYTE // 12)) + "}",
    "objects": '{"a":{"x":[' + "{}," * (MEBIBYTE // 3 - 10) + "{}]}}",
    "lists": '{"a":{"x":[' + "[]," * (MEBIBYTE // 3 - 10) + "[]]}}",
    "objects of one": '{"a":{"x":[' + '{"":9},' * (MEBIBYTE // 7 - 10) + "{}]}}",
    "tensors of one": "{" + ",".join(f'"{at:x}":{{"":9}}' for at in range(MEBIBYTE // 24)) + "}",
    "lengths": '{"a":{"dtype":"U8","shape":[' + "999," * (MEBIBYTE // 4 - 20) + '9],"data_offsets":[0,0]}}',
    "metadata": '{"__metadata__":[' + '"",' * (MEBIBYTE // 3 - 10) + '""]}',
}


@pytest.mark.parametrize("kind", GREEDY)
def test_a_header_takes_some_twenty_times_its_length_at_most(kind: str) -> None:
    file = made({}, text=GREEDY[kind])
    gc.collect()
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="safetensors"):
            load_safetensors(file)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 24 * MEBIBYTE


def test_a_header_has_so_many_members_as_its_length_has_room_for_and_is_four_mebibytes_long() -> None:
    def metadata(members: int) -> io.BytesIO:
        return made({}, text='{"__metadata__":{' + ",".join(f'"{at:x}":""' for at in range(members)) + "}}")

    assert len(load_safetensors(metadata(9_999)).metadata) == 9_999
    with pytest.raises(ValueError, match="no JSON that could be meant"):
        load_safetensors(metadata(250_000))
    long = made({}, text="{" + " " * (4 * MEBIBYTE - 2) + "}")
    assert len(load_safetensors(long)) == 0
    longer = made({}, text="{" + " " * (4 * MEBIBYTE - 1) + "}")
    with pytest.raises(ValueError, match="more than 4194304"):
        load_safetensors(longer)
    assert len(load_safetensors(longer, max_header=5 * MEBIBYTE)) == 0


def test_a_file_that_is_no_model_is_closed_again(tmp_path: Path) -> None:
    vault = Vault(KEYSET)
    with vault.open_file(tmp_path / "file", "wb", associated_data="") as file:
        file.write(b"no model")
    with pytest.raises(ValueError, match="safetensors"):
        vault.load_safetensors(tmp_path / "file", associated_data="")
