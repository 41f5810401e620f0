"""Reads tensors out of a safetensors file one by one, sealed or not: by random access, never the whole file.

The file is believed when all of these hold, checked in this order, as the format's own reader checks them:

1. its first 8 bytes say how long the header is (little-endian), at most *max_header* and at most what is there;
2. the header is a JSON object that begins with ``{``, without a name twice, and without numbers that are no lengths;
3. each tensor has a known ``dtype``, a ``shape`` of at most 64 lengths, and ``data_offsets`` that are as far apart as
   these two say;
4. tensors cover what follows the header without gaps, overlaps or a rest. ``__metadata__`` is texts by name.

So nothing that a header claims makes it read or allocate more than the file has, apart from the header itself: as
Python objects it takes some 20 times its length at most, for which it has no deeper nesting than the format's and one
member in 12 bytes (and 10,000 more; 500,000 in all). Tensors come as arrays of numpy where
that is installed and has such numbers, and else as :class:`Tensor`.

Source: the safetensors format, as its documentation and version 0.8 of its reader have it.
"""

from __future__ import annotations

import importlib
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, BinaryIO, TypeAlias

from .._native import JsonBounds, JsonRejected, parse_json

__all__ = ["Tensor", "Tensors", "load_safetensors"]

MAX_HEADER = 100_000_000
"""Longest header of the format itself, in bytes."""

Array: TypeAlias = Any
"""An array of numpy."""


@dataclass(frozen=True)
class Tensor:
    """A tensor as it stands in the file."""

    dtype: str
    """What its numbers are, as the format calls it: ``"F32"``, ``"BF16"``."""
    shape: tuple[int, ...]
    data: memoryview = field(repr=False)
    """Its numbers, little-endian and in C order. Of this program alone: they may be changed."""


class Tensors(Mapping[str, "Array | Tensor"]):
    """The tensors of a file by name, each read when it is asked for. ``load_safetensors`` makes one.

    It closes the file at the end of ``with``, or by :meth:`close`. Threads may share it.
    """

    def __init__(self, file: BinaryIO, max_header: int) -> None:
        self._file = file
        self._lock = threading.Lock()
        size = file.seek(0, 2)
        file.seek(0)
        length = int.from_bytes(_exactly(file, 8), "little") if size >= 8 else 0
        if not 2 <= length <= min(max_header, size - 8):
            raise ValueError(f"no safetensors file, or one with a header of more than {max_header} bytes")
        self._data = 8 + length
        self._places, self.metadata = _header(bytes(_exactly(file, length)), size - self._data)

    metadata: Mapping[str, str]
    """What ``__metadata__`` says."""

    def tensor(self, name: str) -> Tensor:
        """The tensor of this name, as it stands in the file.

        :raises KeyError: if there is none.
        :raises IntegrityError: if the file is sealed, and was changed where the tensor is.
        """
        place = self._places[name]
        with self._lock:
            self._file.seek(self._data + place.begin)
            data = _exactly(self._file, place.end - place.begin)
        return Tensor(place.dtype, place.shape, memoryview(data))

    def dtype(self, name: str) -> str:
        """What its numbers are; nothing is read."""
        return self._places[name].dtype

    def shape(self, name: str) -> tuple[int, ...]:
        """How many there are in each dimension; nothing is read."""
        return self._places[name].shape

    def __getitem__(self, name: str) -> Array | Tensor:
        return _array(self.tensor(name))

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, name: object) -> bool:
        return name in self._places  # without reading it

    def close(self) -> None:
        """Closes the file."""
        self._file.close()

    def __enter__(self) -> Tensors:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Tensors: {len(self._places)}>"


def load_safetensors(file: BinaryIO, *, max_header: int = 4 * 1024 * 1024) -> Tensors:
    """The tensors in a binary file that can be sought in, such as ``open_file(path, keyset=…)`` gives.

    :param max_header: longest header, in bytes; at most 100,000,000. Reading it takes some 20 times as much memory.
    :raises ValueError: if it is no safetensors file, or one whose header says what cannot be.
    :raises IntegrityError: if the file is sealed, and was changed where the header is.

    >>> import io
    >>> header = b'{"bias":{"dtype":"U8","shape":[3],"data_offsets":[0,3]}}'
    >>> tensors = load_safetensors(io.BytesIO(len(header).to_bytes(8, "little") + header + bytes([1, 2, 3])))
    >>> tensors.tensor("bias").data.tolist()
    [1, 2, 3]
    """
    if not 0 < max_header <= MAX_HEADER:
        raise ValueError(f"max_header is 1 to {MAX_HEADER}")
    return Tensors(file, max_header)


@dataclass(frozen=True)
class _Place:
    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int


# Bits of a number.
_BITS = {
    **dict.fromkeys(("F4",), 4),
    **dict.fromkeys(("F6_E2M3", "F6_E3M2"), 6),
    **dict.fromkeys(("BOOL", "U8", "I8", "F8_E5M2", "F8_E4M3", "F8_E8M0", "F8_E5M2FNUZ", "F8_E4M3FNUZ"), 8),
    **dict.fromkeys(("I16", "U16", "F16", "BF16"), 16),
    **dict.fromkeys(("I32", "U32", "F32"), 32),
    **dict.fromkeys(("I64", "U64", "F64", "C64"), 64),
}
_NUMPY = {
    "BOOL": "?",
    "U8": "u1",
    "I8": "i1",
    "U16": "<u2",
    "I16": "<i2",
    "F16": "<f2",
    "U32": "<u4",
    "I32": "<i4",
    "F32": "<f4",
    "U64": "<u8",
    "I64": "<i8",
    "F64": "<f8",
    "C64": "<c8",
}
_MOST_DIMENSIONS = 64
_MOST_KEYS = 500_000
_MOST = 1 << 63


def _header(text: bytes, room: int) -> tuple[dict[str, _Place], Mapping[str, str]]:
    if text[:1] != b"{":
        raise _wrong("its header is no JSON object")
    try:
        # An object costs many times its text. A tensor has four members in some 50 bytes; metadata may be shorter.
        keys = min(len(text) // 12 + 10_000, _MOST_KEYS)
        bounds = JsonBounds(max_bytes=len(text), max_depth=3, max_keys=keys, max_digits=20)
        said: dict[str, Any] = parse_json(text, bounds)
    except JsonRejected:
        raise _wrong("its header is no JSON that could be meant") from None
    metadata = said.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise _wrong("its __metadata__ is not texts by name")
    places = {name: _place(member) for name, member in said.items()}
    reached = 0
    for place in sorted(places.values(), key=lambda place: (place.begin, place.end)):
        if place.begin != reached:
            raise _wrong("its tensors overlap, or leave a gap")
        reached = place.end
    if reached != room:
        raise _wrong("its tensors are not all that it has, or more")
    return places, metadata


def _place(member: Any) -> _Place:
    if not isinstance(member, dict) or not member.keys() >= {"dtype", "shape", "data_offsets"}:
        raise _wrong("a tensor has dtype, shape and data_offsets")
    dtype, shape, offsets = member["dtype"], member["shape"], member["data_offsets"]
    bits = _BITS.get(dtype) if isinstance(dtype, str) else None
    if bits is None:
        raise _wrong("a tensor is of a dtype that is not known")
    if not _lengths(shape) or len(shape) > _MOST_DIMENSIONS or not _lengths(offsets) or len(offsets) != 2:
        raise _wrong("a tensor's shape or data_offsets are no lengths")
    for length in shape:
        bits *= length
        # At once: what is multiplied on and on takes longer and longer.
        if bits >= _MOST:
            raise _wrong("a tensor is larger than any file")
    begin, end = offsets
    if bits % 8 or end - begin != bits // 8:
        raise _wrong("a tensor's data_offsets are not as far apart as its dtype and shape say")
    return _Place(dtype, tuple(shape), begin, end)


def _lengths(value: Any) -> bool:
    # True is an int as well.
    return isinstance(value, list) and all(type(each) is int and 0 <= each < _MOST for each in value)


def _wrong(why: str) -> ValueError:
    return ValueError(f"no sound safetensors file: {why}")


def _exactly(file: BinaryIO, length: int) -> bytearray:
    data = bytearray(length)
    with memoryview(data) as view:
        done = 0
        while done < length:
            got = file.readinto(view[done:])  # type: ignore[attr-defined]
            if not got:
                raise ValueError("no sound safetensors file: it became shorter")
            done += got
    return data


def _array(tensor: Tensor) -> Array | Tensor:
    kind = _NUMPY.get(tensor.dtype)
    if kind is None:
        return tensor
    try:
        numpy = importlib.import_module("numpy")
    except ImportError:
        return tensor
    return numpy.frombuffer(tensor.data, dtype=kind).reshape(tensor.shape)
