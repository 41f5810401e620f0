"""What the tests of sealed files share: a keyset, and how a file of it is written and read."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from flask_rampart.errors import IntegrityError
from flask_rampart.vault import Keyset, open_file

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
