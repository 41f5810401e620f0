"""Where keys are not: in what Python shows, copies, sends to other processes, or leaves in memory."""

from __future__ import annotations

import base64
import copy
import gc
import io
import json
import multiprocessing
import pickle
import subprocess
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flask_rampart import IntegrityError, Keyset, Vault
from flask_rampart._native import StreamFollower, StreamOpener, StreamSealer
from flask_rampart.vault import (
    change_keyset,
    encrypt_stream,
    keyset_templates,
    open_file,
    read_keyset,
    write_keyset,
)

# As the tests of errors do it: what a line of this file says is no variable.
PASSPHRASE = "".join(["correct", " horse", " battery"])


def secrets(keyset: Keyset) -> list[str]:
    """The bytes of its keys, as texts of the kinds in which they might be shown."""
    found = []
    for key in json.loads(keyset.to_cleartext_json())["key"]:
        value = key["keyData"]["value"]
        found += [value, value.rstrip("=")]
    return found


def holders(tmp_path: Path) -> list[Any]:
    """All that holds a key, or can open what has one."""
    aead, streaming = Keyset.generate("AES256_GCM"), Keyset.generate("AES256_GCM_HKDF_4KB")
    stream = b"".join(encrypt_stream([b"text"], keyset=streaming, associated_data=""))
    (tmp_path / "file").write_bytes(stream)
    return [
        aead,
        Vault({"default": aead, "files": streaming}),
        StreamSealer(streaming, b""),
        StreamOpener(streaming, stream, len(stream), b""),
        StreamFollower(streaming, b""),
        open_file(tmp_path / "file", keyset=streaming, associated_data="").raw,
    ]


def test_nothing_that_holds_a_key_is_copied_pickled_or_sent(tmp_path: Path) -> None:
    for holder in holders(tmp_path):
        for duplicate in (copy.copy, copy.deepcopy, *(lambda one, n=n: pickle.dumps(one, n) for n in range(6))):
            with pytest.raises(TypeError, match="cannot be pickled or copied"):
                duplicate(holder)
        # Nor within something, where a pickler looks for other ways.
        with pytest.raises(TypeError, match="cannot be pickled or copied"):
            pickle.Pickler(io.BytesIO()).dump({"held": [holder]})


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_no_key_is_sent_to_a_process_that_is_started(tmp_path: Path, method: str) -> None:
    for holder in holders(tmp_path):
        process = multiprocessing.get_context(method).Process(target=print, args=(holder,))
        with pytest.raises(TypeError, match="cannot be pickled or copied"):
            process.start()


def test_what_is_shown_of_a_holder_has_no_key(tmp_path: Path) -> None:
    for holder in holders(tmp_path):
        shown = [repr(holder), str(holder), repr(getattr(holder, "__dict__", None)), repr(dir(holder))]
        shown += [repr(getattr(holder, name, None)) for name in dir(holder)]
        keyset = holder if isinstance(holder, Keyset) else None
        for secret in [] if keyset is None else secrets(keyset):
            assert not any(secret in text for text in shown)
        with pytest.raises(TypeError):
            json.dumps(holder)
    # What the collector sees of a keyset is its type.
    keyset = Keyset.generate("AES256_GCM")
    assert gc.get_referents(keyset) in ([], [Keyset])


class Away:
    def encrypt(self, plaintext: bytes, associated_data: bytes) -> bytes:
        raise TimeoutError("the KMS is away")

    decrypt = encrypt


def test_no_traceback_has_a_key_or_a_passphrase_among_its_variables(tmp_path: Path) -> None:
    keyset = Keyset.generate("AES256_GCM")
    path, clear = tmp_path / "keyset.json", tmp_path / "clear.json"
    write_keyset(path, keyset, passphrase=PASSPHRASE)
    write_keyset(clear, keyset, cleartext=True)
    damaged = tmp_path / "damaged.json"
    damaged.write_text(clear.read_text().replace("ENABLED", "ENABELD"))
    damaged.chmod(0o600)
    (tmp_path / "there").mkdir()

    def changing() -> None:
        with change_keyset(path, passphrase=PASSPHRASE):
            raise KeyError("the app's own")

    attempts: list[Callable[[], object]] = [
        lambda: read_keyset(path, passphrase=f"{PASSPHRASE}, or so"),
        lambda: read_keyset(damaged),
        lambda: read_keyset(clear, passphrase=PASSPHRASE),
        lambda: write_keyset(tmp_path / "no" / "folder", keyset, cleartext=True),
        lambda: write_keyset(path, keyset, passphrase=PASSPHRASE),
        lambda: write_keyset(tmp_path / "there", keyset, passphrase=PASSPHRASE, replace=True),
        lambda: write_keyset(tmp_path / "kms", keyset, kms=Away()),
        lambda: keyset.to_encrypted_json(Away()),
        lambda: Keyset.from_cleartext_json(damaged.read_text()),
        changing,
        lambda: change_keyset(path, passphrase=f"{PASSPHRASE}, or so").__enter__(),
    ]
    hidden = [PASSPHRASE, *secrets(keyset)]
    for number, attempt in enumerate(attempts):
        try:
            attempt()
        except Exception as error:
            told = "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())
            # Of this function's own frame, which knows them all, the first line is enough.
            told = told.partition("in <lambda>")[2] or told.partition("in changing")[2]
            assert told, number
        else:
            raise AssertionError(f"attempt {number} did not fail")
        assert not any(secret in told for secret in hidden), number


MEMORY = r"""
import gc, json, os, sys
from flask_rampart import Keyset
from flask_rampart.vault import decrypt_stream, encrypt_stream, read_keyset

# What is looked for is never in this process as it is: its bytes are turned over, and so is what is read.
TURNED = bytes(byte ^ 0x5A for byte in range(256))
PIECE = bytearray(1 << 20)
BLANK = bytes(len(PIECE))


def count(wanted):
    found = [0] * len(wanted)
    with open("/proc/self/maps") as maps, open("/proc/self/mem", "rb", 0) as memory:
        for line in maps.readlines():
            place, mode = line.split()[:2]
            begin, end = (int(part, 16) for part in place.split("-"))
            # What is of a file is no heap and no stack.
            if not mode.startswith("rw") or "/" in line:
                continue
            for at in range(begin, end, len(PIECE) - 64):
                PIECE[:] = BLANK
                try:
                    memory.seek(at)
                    length = memory.readinto(memoryview(PIECE)[: end - at])
                except OSError:
                    break
                if PIECE == BLANK:
                    continue
                turned = PIECE.translate(TURNED)
                for number, part in enumerate(wanted):
                    found[number] += turned.count(part, 0, length)
    PIECE[:] = BLANK
    return found


def use(keyset):
    if keyset.primitive == "AEAD":
        assert keyset.open(keyset.seal(b"text", b""), b"") == b"text"
    elif keyset.primitive == "deterministic AEAD":
        assert keyset.open_deterministic(keyset.seal_deterministic(b"text", b""), b"") == b"text"
    elif keyset.primitive == "PRF":
        keyset.blind_index("purpose", b"text")
    else:
        sealed = [*encrypt_stream([b"text"], keyset=keyset, associated_data="")]
        assert b"".join(decrypt_stream(sealed, keyset=keyset, associated_data="")) == b"text"


def job(how, what, password):
    told = ""
    if how == "generated":
        keyset = Keyset.generate(what)
        told = keyset.to_passphrase_json(password.encode(), memory=19456, passes=2, lanes=1)
    else:
        keyset = read_keyset(what, passphrase=password if how == "passphrase" else None)
    use(keyset)
    if how != "held":
        del keyset
    gc.collect()
    print(json.dumps(told), flush=True)
    print(json.dumps(count([bytes.fromhex(part) for part in json.loads(input())])), flush=True)


for line in sys.argv[2:]:
    # Each in a process of its own, where nothing comes after it that would take what it has freed.
    if not (pid := os.fork()):
        job(*line.split("|"), sys.argv[1])
        os._exit(0)
    os.waitpid(pid, 0)
"""
LENGTHS = {"AES256_SIV": 64} | {name: 16 for name, _ in keyset_templates() if name.startswith("AES128")}


def parts(keyset: Keyset, name: str) -> list[str]:
    """Each 16 bytes of its key, turned over: malloc writes over the first of what is freed, and over no other."""
    data = json.loads(keyset.to_cleartext_json())["key"][0]["keyData"]
    # The key is the last field of its message, in each of the types.
    value = base64.b64decode(data["value"])[-LENGTHS.get(name, 32) :]
    return [bytes(byte ^ 0x5A for byte in value[at : at + 16]).hex() for at in range(0, len(value), 16)]


def test_no_part_of_a_key_is_in_memory_when_it_is_dropped(tmp_path: Path) -> None:
    jobs, keysets = list[tuple[str, str]](), list[tuple[str, Keyset | None]]()
    for name, _ in keyset_templates():
        keyset = Keyset.generate(name)
        write_keyset(tmp_path / name, keyset, cleartext=True)
        jobs.append(("clear", str(tmp_path / name)))
        keysets.append((name, keyset))
    for name in ("AES256_GCM_SIV", "AES256_SIV"):
        jobs.append(("generated", name))
        keysets.append((name, None))
        keyset = Keyset.generate(name)
        under = tmp_path / f"under {name}"
        under.write_text(keyset.to_passphrase_json(PASSPHRASE.encode(), memory=19456, passes=2, lanes=1))
        under.chmod(0o600)
        jobs.append(("passphrase", str(under)))
        keysets.append((name, keyset))
    jobs.append(("held", str(tmp_path / "AES256_SIV")))
    keysets.append(("AES256_SIV", read_keyset(tmp_path / "AES256_SIV")))
    command = [sys.executable, "-c", MEMORY, PASSPHRASE, *("|".join(job) for job in jobs)]
    found = {}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdin and child.stdout
        for (how, _), (name, keyset) in zip(jobs, keysets, strict=True):
            told = json.loads(child.stdout.readline())
            keyset = keyset or Keyset.from_passphrase_json(told, PASSPHRASE.encode())
            child.stdin.write(json.dumps(parts(keyset, name)) + "\n")
            child.stdin.flush()
            found[how, name] = json.loads(child.stdout.readline())
    # A key that is held is found, so that what is not found is not there.
    assert all(found.pop(("held", "AES256_SIV")))
    assert {one: times for one, times in found.items() if any(times)} == {}


def test_a_keyset_that_is_dropped_while_it_seals_is_not_missed() -> None:
    keyset = Keyset.generate("AES256_GCM_HKDF_4KB")
    pieces = encrypt_stream([b"a" * 10_000, b"b"], keyset=keyset, associated_data="")
    first = next(pieces)
    again = Keyset.from_cleartext_binary(keyset.to_cleartext_binary())
    del keyset
    gc.collect()
    stream = first + b"".join(pieces)
    opener = StreamOpener(again, stream, len(stream), b"")
    del again
    gc.collect()
    number, offset, length, start = opener.span(0, 20_000)
    assert (start, opener.open(number, stream[offset : offset + length])) == (0, b"a" * 10_000 + b"b")
    with pytest.raises(IntegrityError):
        opener.open(number, stream[offset + 1 : offset + 1 + length])
