"""Sealed files: how many bytes a second one core seals and opens, beside Tink and beside AES-GCM by the piece.

Run ``python benches/vault_files.py``. The rows of Tink and cryptography need the group ``bench``; the default file
needs 4 GB of disk, or ``--mib``.

Rates are by the processor time of this process, in the kernel too: what a disk takes on top is its own. "No seal" is
what the system takes without any. Each round runs every row once, by turns, and what is written is read back.
"""

from __future__ import annotations

import argparse
import gc
import importlib.util
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from common import Row, conclude, figure, goal, heading, lacking, mark, options, table, versions

from flask_rampart.vault import Keyset, decrypt_file, encrypt_file, open_file

STEP = 1024 * 1024
RATE = 1.5
"""GB a second and core that AES-256-GCM-HKDF in segments of 1 MiB is to seal and to open."""
MEMORY = 16
"""MiB that reading and writing may take, however long the file is."""
PIECE = random.Random(1).randbytes(STEP)

Work = Callable[[Path, int], object]


def ours(keyset: Keyset) -> tuple[Work, Work]:
    """Writing and reading by ``open_file``, a mebibyte at a time."""

    def write(path: Path, mib: int) -> None:
        with open_file(path, "wb", keyset=keyset, associated_data=b"bench") as file:
            for _ in range(mib):
                file.write(PIECE)

    def read(path: Path, mib: int) -> None:
        with open_file(path, keyset=keyset, associated_data=b"bench") as file:
            drain(file)

    return write, read


def tinks(keyset: Keyset) -> tuple[Work, Work]:
    """The same by Tink, with the same key."""
    from tink import proto_keyset_format, secret_key_access, streaming_aead

    streaming_aead.register()
    handle = proto_keyset_format.parse(keyset.to_cleartext_binary(), secret_key_access.TOKEN)
    primitive = handle.primitive(streaming_aead.StreamingAead)

    def write(path: Path, mib: int) -> None:
        with open(path, "wb") as out, primitive.new_encrypting_stream(out, b"bench") as file:
            for _ in range(mib):
                file.write(PIECE)

    def read(path: Path, mib: int) -> None:
        with open(path, "rb") as sealed, primitive.new_decrypting_stream(sealed, b"bench") as file:
            drain(file)

    return write, read


def pieces(_: Keyset) -> tuple[Work, Work]:
    """What people write by hand, by cryptography's AES-GCM: each mebibyte by itself, with no order and no end."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    key = AESGCM(bytes(32))

    def write(path: Path, mib: int) -> None:
        with open(path, "wb") as file:
            for number in range(mib):
                file.write(key.encrypt(number.to_bytes(12, "big"), PIECE, None))

    def read(path: Path, mib: int) -> None:
        with open(path, "rb") as file:
            for number in range(mib):
                same(key.decrypt(number.to_bytes(12, "big"), file.read(STEP + 16), None))

    return write, read


def unsealed(_: Keyset) -> tuple[Work, Work]:
    """The same with no seal at all, and on the disk as ours is: what the system takes of it."""

    def write(path: Path, mib: int) -> None:
        part = path.with_name("part")
        with open(part, "xb", buffering=0) as file:
            for _ in range(mib):
                file.write(PIECE)
            os.fsync(file.fileno())
        os.replace(part, path)

    def read(path: Path, mib: int) -> None:
        with open(path, "rb") as file:
            drain(file)

    return write, read


def whole(keyset: Keyset) -> tuple[Work, Work]:
    """A file into a file, by ``encrypt_file`` and ``decrypt_file``."""

    def write(path: Path, mib: int) -> None:
        encrypt_file(path.with_name("plain"), path, keyset=keyset, associated_data=b"bench", replace=True)

    def read(path: Path, mib: int) -> None:
        decrypt_file(path, path.with_name("back"), keyset=keyset, associated_data=b"bench", replace=True)

    return write, read


def drain(file: Any) -> None:
    """Reads to the end, and looks at what it read."""
    while data := file.read(STEP):
        same(data)


def same(data: bytes) -> None:
    """Raises unless it is what was written."""
    if len(data) != STEP or data[:64] != PIECE[:64] or data[-64:] != PIECE[-64:]:
        raise AssertionError("something else was read than was written")


def seconds(work: Work, path: Path, mib: int) -> float:
    """Processor time of one run."""
    gc.collect()
    before = time.process_time()
    work(path, mib)
    return time.process_time() - before


def rates(folder: Path, mib: int, rounds: int) -> list[Row]:
    """GB a second of each row."""
    kinds: dict[str, tuple[Work, Work]] = {}
    large = Keyset.generate("AES256_GCM_HKDF_1MB")
    for template in ("AES256_GCM_HKDF_1MB", "AES256_GCM_HKDF_4KB", "AES256_CTR_HMAC_SHA256_1MB"):
        kinds[f"ours, {template}"] = ours(large if template.endswith("HKDF_1MB") else Keyset.generate(template))
    with open(folder / "plain", "wb") as file:
        for _ in range(mib):
            file.write(PIECE)
    kinds["ours, AES256_GCM_HKDF_1MB, a file into a file"] = whole(large)
    kinds["no seal"] = unsealed(large)
    for name, module, make in (
        ("Tink, AES256_GCM_HKDF_1MB", "tink", tinks),
        ("cryptography, AES-256-GCM by the MiB", "cryptography", pieces),
    ):
        if importlib.util.find_spec(module) is None:
            lacking(name, "bench")
        else:
            kinds[name] = make(large)
    taken: dict[tuple[str, str], list[float]] = {}
    for _ in range(rounds):
        for name, (write, read) in kinds.items():
            taken.setdefault(("written", name), []).append(seconds(write, folder / "file", mib))
            taken.setdefault(("read", name), []).append(seconds(read, folder / "file", mib))
    rows = []
    for (group, name), found in sorted(taken.items(), key=lambda item: item[0][0], reverse=True):
        target = RATE if name == "ours, AES256_GCM_HKDF_1MB" else None
        rate = mib * STEP / statistics.median(found) / 1e9
        rows.append(Row(group, name, rate, "GB/s", target, at_least=True))
    return rows


def places(folder: Path, mib: int) -> list[Row]:
    """Microseconds of a read of 100 bytes at a random place."""
    rows = []
    for template in ("AES256_GCM_HKDF_4KB", "AES256_GCM_HKDF_1MB"):
        keyset = Keyset.generate(template)
        ours(keyset)[0](folder / "file", mib)
        dice = random.Random(2)
        with open_file(folder / "file", keyset=keyset, associated_data=b"bench") as file:
            raw, found = file.raw, []
            for _ in range(300):
                at = dice.randrange(mib * STEP - 100)
                before = time.process_time()
                raw.seek(at)
                raw.read(100)
                found.append(time.process_time() - before)
        rows.append(Row("100 bytes anywhere", f"ours, {template}", statistics.median(found) * 1e6, "us"))
    return rows


def memory(folder: Path, mib: int) -> Row:
    """MiB by which a process grows that writes the file, reads it and opens it into another."""
    command = [sys.executable, __file__, "--child", str(folder), "--mib", str(mib)]
    done = subprocess.run(command, capture_output=True, check=True, text=True)
    return Row("memory", "ours, AES256_GCM_HKDF_1MB", float(done.stdout), "MiB", MEMORY)


def child(folder: Path, mib: int) -> None:
    """What :func:`memory` starts."""
    keyset = Keyset.generate("AES256_GCM_HKDF_1MB")
    write, read = ours(keyset)
    before = peak()
    write(folder / "file", mib)
    read(folder / "file", mib)
    decrypt_file(folder / "file", folder / "opened", keyset=keyset, associated_data=b"bench")
    print((peak() - before) / 1024)
    os.unlink(folder / "opened")


def peak() -> int:
    """KiB that this process has ever had. Not by getrusage, which counts what started it as well."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0])


def main() -> int:
    parser = options(__doc__, mib=1024, rounds=5)
    parser.add_argument("--folder", type=Path, help="where the files are written; a temporary one by default")
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child is not None:
        child(arguments.child, arguments.mib)
        return 0
    about = versions("tink", "cryptography")
    heading(f"Sealed files of {arguments.mib} MiB", about)
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        rows = rates(Path(folder), arguments.mib, arguments.rounds)
        rows += places(Path(folder), min(arguments.mib, 64))
        rows.append(memory(Path(folder), arguments.mib))
    lines = [[row.group, row.name, figure(row.value), row.unit, goal(row), mark(row.met)] for row in rows]
    print(table(("", "", "", "", "target", ""), lines, left=2))
    return conclude(arguments, about, rows)


if __name__ == "__main__":
    sys.exit(main())
