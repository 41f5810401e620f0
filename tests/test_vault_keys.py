"""Where keys are not: in what Python shows, copies, sends to other processes, or leaves in memory."""

from __future__ import annotations

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
from flask_rampart.vault import change_keyset, encrypt_stream, open_file, read_keyset, write_keyset

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


MEMORY = """
import gc, sys
from flask_rampart import Keyset
from flask_rampart.vault import decrypt_stream, encrypt_stream

PIECE = bytearray(1 << 20)

def count(masked):
    # Nothing of what is read is copied, and what was read is gone before something else is: this would find itself.
    wanted, found = bytearray(byte ^ 0x5A for byte in masked), 0
    with open("/proc/self/maps") as maps, open("/proc/self/mem", "rb", 0) as memory:
        for line in maps.readlines():
            place, mode = line.split()[:2]
            begin, end = (int(part, 16) for part in place.split("-"))
            if not mode.startswith("rw"):
                continue
            for at in range(begin, end, len(PIECE) - 64):
                PIECE[:] = bytes(len(PIECE))
                try:
                    memory.seek(at)
                    length = memory.readinto(memoryview(PIECE)[: end - at])
                except OSError:
                    break
                found += PIECE.count(wanted, 0, length)
    PIECE[:] = bytes(len(PIECE))
    wanted[:] = bytes(len(wanted))
    return found

def masked(keyset):
    clear = keyset.to_cleartext_binary()
    at = clear.find(bytes([0x1A, 0x20])) + 2
    return bytes(byte ^ 0x5A for byte in clear[at : at + 32])

keyset = Keyset.generate(sys.argv[1])
mask = masked(keyset)
gc.collect()
made = count(mask)
if keyset.primitive == "AEAD":
    assert keyset.open(keyset.seal(b"text", b""), b"") == b"text"
else:
    sealed = [*encrypt_stream([b"text"], keyset=keyset, associated_data="")]
    assert b"".join(decrypt_stream(sealed, keyset=keyset, associated_data="")) == b"text"
used = count(mask)
del keyset
gc.collect()
print(made, used, count(mask))
"""


# Not CHACHA20_POLY1305: ring spills its key to the stack with each message, where it is until something else is.
@pytest.mark.parametrize("template", ["AES256_GCM", "AES256_GCM_SIV", "XCHACHA20_POLY1305", "AES256_GCM_HKDF_4KB"])
def test_a_key_is_in_memory_where_it_is_held_and_nowhere_when_it_is_dropped(template: str) -> None:
    done = subprocess.run([sys.executable, "-c", MEMORY, template], capture_output=True, check=True, text=True)
    made, used, dropped = map(int, done.stdout.split())
    # What looks for it has found what this process has got out in clear, which is Python's, and what the keyset holds.
    assert made >= 1
    # The expanded key of AES begins with the key itself. On its way there, it leaves nothing behind.
    assert used <= made + 1
    assert dropped <= made - 1


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
