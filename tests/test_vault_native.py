"""Keysets at the border to Python: nothing leaks, nothing panics, and what was changed is not opened."""

from __future__ import annotations

import base64
import copy
import json
import logging
import pickle
import re
import sys
import threading
import traceback
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, AESSIV, ChaCha20Poly1305

from flask_rampart import ConfigError, IntegrityError, RampartError
from flask_rampart._native import Keyset, keyset_templates

AEADS = [name for name, of in keyset_templates() if of == "AEAD"]
PREFIXES = ["TINK", "CRUNCHY", "RAW"]
PASSPHRASE = b"correct horse battery"
CHEAP = {"memory": 19 * 1024, "passes": 2, "lanes": 1}


class Kms:
    """A KMS of one key, which counts what it is asked."""

    def __init__(self) -> None:
        self.key = AESGCM(bytes(range(32)))
        self.asked: list[tuple[str, bytes]] = []

    def encrypt(self, plaintext: bytes, associated_data: bytes) -> bytes:
        self.asked.append(("encrypt", associated_data))
        return bytes(12) + self.key.encrypt(bytes(12), plaintext, associated_data)

    def decrypt(self, ciphertext: bytes, associated_data: bytes) -> bytes:
        self.asked.append(("decrypt", associated_data))
        try:
            return self.key.decrypt(ciphertext[:12], ciphertext[12:], associated_data)
        except Exception:
            raise PermissionError("the KMS refuses") from None


def material(keyset: Keyset) -> list[bytes]:
    """The key bytes of a keyset, in the forms in which they could be seen."""
    found = []
    for key in json.loads(keyset.to_cleartext_json())["key"]:
        if "keyData" in key:
            value = base64.b64decode(key["keyData"]["value"])
            found += [value[-16:], value[-16:].hex().encode(), key["keyData"]["value"][-20:].encode()]
    return found


# Sealing and opening ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("template", AEADS)
@pytest.mark.parametrize("prefix", PREFIXES)
def test_no_flipped_bit_and_no_truncation_is_opened(template: str, prefix: str) -> None:
    keyset = Keyset.generate(template, prefix=prefix)
    sealed = keyset.seal(b"secret", b"place")
    assert keyset.open(sealed, b"place") == b"secret"
    for bit in range(len(sealed) * 8):
        flipped = bytearray(sealed)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises(IntegrityError):
            keyset.open(bytes(flipped), b"place")
    for length in range(len(sealed)):
        with pytest.raises(IntegrityError):
            keyset.open(sealed[:length], b"place")
    with pytest.raises(IntegrityError):
        keyset.open(sealed, b"another place")


@pytest.mark.parametrize("prefix", PREFIXES)
def test_no_flipped_bit_and_no_truncation_is_opened_of_what_is_deterministic(prefix: str) -> None:
    keyset = Keyset.generate("AES256_SIV", prefix=prefix)
    sealed = keyset.seal_deterministic(b"secret", b"place")
    assert sealed == keyset.seal_deterministic(b"secret", b"place")
    assert keyset.open_deterministic(sealed, b"place") == b"secret"
    for bit in range(len(sealed) * 8):
        flipped = bytearray(sealed)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises(IntegrityError):
            keyset.open_deterministic(bytes(flipped), b"place")
    for length in range(len(sealed)):
        with pytest.raises(IntegrityError):
            keyset.open_deterministic(sealed[:length], b"place")


@pytest.mark.parametrize("template", AEADS)
@pytest.mark.parametrize("size", [0, 1, 15, 16, 17, 65_536])
def test_any_length_is_sealed_and_opened(template: str, size: int) -> None:
    keyset = Keyset.generate(template)
    data = bytes(size)
    sealed = keyset.seal(data, b"")
    assert len(sealed) == size + (45 if template.startswith("X") else 33)
    assert keyset.open(sealed, b"") == data


def test_other_threads_run_while_much_is_sealed() -> None:
    # Above a mebibyte the interpreter's lock is given away; what is sealed is the same.
    keyset = Keyset.generate("AES256_GCM")
    data = bytes(range(256)) * 4300
    opened: list[bool] = []
    threads = [
        threading.Thread(target=lambda: opened.append(keyset.open(keyset.seal(data, b"x"), b"x") == data))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert opened == [True] * 3
    with pytest.raises(IntegrityError):
        keyset.open(keyset.seal(data, b"x")[:-1], b"x")


def test_the_bytes_are_those_of_the_standards() -> None:
    # Against another implementation, without Tink: id, nonce, ciphertext and tag stand where they should.
    def key_of(keyset: Keyset, size: int) -> bytes:
        data = json.loads(keyset.to_cleartext_json())["key"][0]["keyData"]["value"]
        return base64.b64decode(data)[-size:]

    for template, size, cipher in (("AES256_GCM", 32, AESGCM), ("CHACHA20_POLY1305", 32, ChaCha20Poly1305)):
        keyset = Keyset.generate(template)
        sealed = keyset.seal(b"text", b"place")
        assert sealed[:5] == b"\x01" + keyset.primary.to_bytes(4, "big")
        theirs: Any = cipher(key_of(keyset, size))
        assert theirs.decrypt(sealed[5:17], sealed[17:], b"place") == b"text"
        nonce = bytes(range(12))
        assert keyset.open(sealed[:5] + nonce + theirs.encrypt(nonce, b"other", b"place"), b"place") == b"other"
    keyset = Keyset.generate("AES256_SIV", prefix="CRUNCHY")
    siv = AESSIV(key_of(keyset, 64))
    for text in (b"a", b"fifteen bytes!!", b"sixteen bytes!!!", bytes(1000)):
        sealed = keyset.seal_deterministic(text, b"place")
        assert sealed == b"\x00" + keyset.primary.to_bytes(4, "big") + siv.encrypt(text, [b"place"])
    # No associated data is one empty component (RFC 5297 section 2.4), not none.
    assert keyset.seal_deterministic(b"text", b"")[5:] == siv.encrypt(b"text", [b""])


def test_why_it_was_not_opened_is_said_for_the_log() -> None:
    keyset = Keyset.generate("AES256_GCM")
    sealed = keyset.seal(b"secret", b"")
    with pytest.raises(IntegrityError, match="changed") as error:
        keyset.open(sealed, b"x")
    assert error.value.reason == "altered"
    keyset.rotate("AES256_GCM")
    keyset.disable(int.from_bytes(sealed[1:5], "big"))
    with pytest.raises(IntegrityError, match="no key") as error:
        keyset.open(sealed, b"")
    assert error.value.reason == "no_key"
    assert isinstance(error.value, RampartError) and not isinstance(error.value, ConfigError)
    again = pickle.loads(pickle.dumps(error.value))
    assert (again.reason, str(again)) == (error.value.reason, str(error.value))


def test_a_keyset_does_one_thing() -> None:
    ways: list[tuple[str, Callable[[Keyset], Any]]] = [
        ("AEAD", lambda keyset: keyset.seal(b"", b"")),
        ("deterministic AEAD", lambda keyset: keyset.seal_deterministic(b"", b"")),
        ("PRF", lambda keyset: keyset.blind_index("p", b"")),
    ]
    for name, of in keyset_templates():
        keyset = Keyset.generate(name)
        assert keyset.primitive == of
        for primitive, use in ways:
            if primitive == of:
                use(keyset)
            else:
                with pytest.raises(ValueError, match="not for"):
                    use(keyset)


@pytest.mark.parametrize(
    "wrong", ["text", None, 7, bytearray(b"x"), [1]], ids=["str", "None", "int", "bytearray", "list"]
)
def test_only_bytes_are_sealed(wrong: Any) -> None:
    keyset = Keyset.generate("AES256_GCM")
    for call in (keyset.seal, keyset.open):
        with pytest.raises(TypeError):
            call(wrong, b"")
        with pytest.raises(TypeError):
            call(b"", wrong)


# The life of keys -------------------------------------------------------------------------------------------------


def test_old_keys_open_until_they_are_destroyed() -> None:
    keyset = Keyset.generate("AES128_GCM")
    old = keyset.primary
    sealed = keyset.seal(b"old", b"")
    new = keyset.rotate("AES256_GCM_SIV", prefix="CRUNCHY")
    assert (keyset.primary, len(keyset)) == (new, 2)
    assert keyset.open(sealed, b"") == b"old"
    added = keyset.add("XCHACHA20_POLY1305")
    assert keyset.primary == new
    keyset.promote(added)
    assert keyset.seal(b"", b"")[1:5] == added.to_bytes(4, "big")
    keyset.destroy(old)
    with pytest.raises(IntegrityError):
        keyset.open(sealed, b"")
    told = [(key.id, key.status, key.type, key.prefix, key.primary) for key in keyset.info()]
    assert told == [
        (old, "DESTROYED", "", "TINK", False),
        (new, "ENABLED", "AesGcmSivKey", "CRUNCHY", False),
        (added, "ENABLED", "XChaCha20Poly1305Key", "TINK", True),
    ]
    for refused in (keyset.enable, keyset.disable, keyset.promote, keyset.destroy):
        with pytest.raises(ValueError, match=r"destroyed|DESTROYED"):
            refused(old)
    for refused in (keyset.disable, keyset.destroy):
        with pytest.raises(ValueError, match="promote another"):
            refused(added)
        with pytest.raises(ValueError, match="no key 1"):
            refused(1)


def test_destroyed_material_is_gone_from_every_form() -> None:
    keyset = Keyset.generate("AES256_GCM")
    old = keyset.primary
    seen = material(keyset)
    keyset.rotate("AES256_GCM")
    keyset.destroy(old)
    for form in (keyset.to_cleartext_json().encode(), keyset.to_cleartext_binary()):
        assert not any(part in form for part in seen)


def test_a_change_is_seen_by_threads_that_seal_meanwhile() -> None:
    keyset = Keyset.generate("AES128_GCM")
    stop = threading.Event()
    wrong: list[BaseException] = []

    def work() -> None:
        try:
            while not stop.is_set():
                assert keyset.open(keyset.seal(b"x", b""), b"") == b"x"
        except BaseException as error:
            wrong.append(error)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(50):
        keyset.rotate("AES128_GCM")
    stop.set()
    for thread in threads:
        thread.join()
    assert not wrong
    assert keyset.seal(b"", b"")[1:5] == keyset.primary.to_bytes(4, "big")
    assert len(keyset) == 51


def test_a_keyset_has_an_end() -> None:
    keyset = Keyset.generate("AES128_GCM")
    for _ in range(255):
        keyset.add("AES128_GCM")
    with pytest.raises(ValueError, match="at most 256"):
        keyset.add("AES128_GCM")
    assert len(Keyset.from_cleartext_json(keyset.to_cleartext_json())) == 256


@pytest.mark.parametrize("template", ["AES192_GCM", "aes256_gcm", "", "AES256_EAX", "AES128_SIV"])
def test_what_tink_refuses_is_not_made(template: str) -> None:
    with pytest.raises(ValueError, match="AES256_GCM"):
        Keyset.generate(template)


def test_prefixes_that_there_are() -> None:
    for wrong in ("", "tink", "LEGACY5", "WITH_ID_REQUIREMENT"):
        with pytest.raises(ValueError, match="prefix"):
            Keyset.generate("AES256_GCM", prefix=wrong)
    with pytest.raises(ValueError, match="LEGACY"):  # it is read, and not made anew
        Keyset.generate("AES256_GCM", prefix="LEGACY")
    with pytest.raises(ValueError, match="prefix"):
        Keyset.generate("HKDF_SHA256", prefix="TINK")


# What is told of it -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("template", [name for name, _ in keyset_templates()])
def test_no_key_is_in_what_is_printed(template: str) -> None:
    keyset = Keyset.generate(template)
    seen = material(keyset)
    shown = [
        repr(keyset),
        str(keyset),
        f"{keyset}",
        repr(keyset.info()),
        str(vars(type(keyset)).keys()),
        repr(dir(keyset)),
    ]
    record = logging.makeLogRecord({"msg": "%s %r", "args": (keyset, keyset)})
    shown.append(record.getMessage())
    errors = [
        lambda: keyset.open(b"x", b""),
        lambda: keyset.add("nothing"),
        lambda: keyset.destroy(keyset.primary),
        lambda: pickle.dumps(keyset),
    ]
    for fails in errors:
        try:
            fails()
        except Exception:
            shown.append(traceback.format_exc())
    assert len(shown) == 11
    for text in shown:
        assert not any(part in text.encode() for part in seen), text


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_keyset_is_not_pickled(protocol: int) -> None:
    keyset = Keyset.generate("AES256_GCM")
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(keyset, protocol)


def test_a_keyset_is_not_copied_subclassed_or_made_by_itself() -> None:
    keyset = Keyset.generate("AES256_GCM")
    for duplicate in (copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="cannot be pickled or copied"):
            duplicate(keyset)
    with pytest.raises(TypeError):
        type("Own", (Keyset,), {})
    with pytest.raises(TypeError):
        Keyset()  # type: ignore[call-arg]
    with pytest.raises(AttributeError):
        keyset.primary = 5  # type: ignore[misc]


# Forms ------------------------------------------------------------------------------------------------------------


def test_every_form_gives_the_same_keyset_back() -> None:
    keyset = Keyset.generate("AES256_GCM")
    old = keyset.primary
    keyset.rotate("XCHACHA20_POLY1305", prefix="RAW")
    keyset.add("CHACHA20_POLY1305", prefix="CRUNCHY")
    keyset.destroy(old)
    clear = keyset.to_cleartext_binary()
    kms = Kms()
    for back in (
        Keyset.from_cleartext_json(keyset.to_cleartext_json()),
        Keyset.from_cleartext_binary(clear),
        Keyset.from_encrypted_json(keyset.to_encrypted_json(kms), kms),
        Keyset.from_encrypted_binary(
            keyset.to_encrypted_binary(kms, associated_data=b"ad"), kms, associated_data=b"ad"
        ),
        Keyset.from_passphrase_json(keyset.to_passphrase_json(PASSPHRASE, **CHEAP), PASSPHRASE),
    ):
        assert back.to_cleartext_binary() == clear
    # What is written is opened again at once, with the associated data that was given.
    assert kms.asked[:2] == [("encrypt", b""), ("decrypt", b"")]
    assert kms.asked[3:5] == [("encrypt", b"ad"), ("decrypt", b"ad")]


def test_no_flipped_bit_of_a_sealed_keyset_gives_another_keyset() -> None:
    keyset = Keyset.generate("AES128_GCM")
    kms = Kms()
    sealed, clear = keyset.to_encrypted_binary(kms), keyset.to_cleartext_binary()
    start = sealed.index(bytes(12))
    length = 12 + len(clear) + 16
    for bit in range(len(sealed) * 8):
        flipped = bytearray(sealed)
        flipped[bit // 8] ^= 1 << bit % 8
        inside = start * 8 <= bit < (start + length) * 8
        try:
            back = Keyset.from_encrypted_binary(bytes(flipped), kms)
        except (PermissionError, IntegrityError, ValueError):
            continue
        # What stands in clear beside it is not needed: a field whose number was flipped is one that is not known.
        assert not inside and back.to_cleartext_binary() == clear, bit
    for end in range(start + length):
        with pytest.raises((PermissionError, ValueError)):
            Keyset.from_encrypted_binary(sealed[:end], kms)


def test_no_changed_letter_of_a_keyset_under_a_passphrase_gives_another_keyset() -> None:
    keyset = Keyset.generate("AES128_GCM")
    text, clear = keyset.to_passphrase_json(PASSPHRASE, **CHEAP), keyset.to_cleartext_binary()
    # Not each: deriving a key is slow on purpose. The sealed part is the same as a KMS', above.
    at = text.index('"encryptedKeyset": "') + 20
    places = [text.index(place) + 4 for place in ("argon2id", "v=19", "$m=", ",t=", ",p=")]
    places += [text.index("$", text.index(",p=")) + 1, at, at + 40, text.index('"', at) - 3]
    for place in places:
        other = "b" if text[place] != "b" else "c"
        with pytest.raises((IntegrityError, ValueError)):
            Keyset.from_passphrase_json(text[:place] + other + text[place + 1 :], PASSPHRASE)
    with pytest.raises(IntegrityError, match="passphrase"):
        Keyset.from_passphrase_json(text, PASSPHRASE + b"\n")
    assert Keyset.from_passphrase_json(text, PASSPHRASE).to_cleartext_binary() == clear
    for short in (b"", b"eleven chars"[:11]):
        with pytest.raises(ValueError, match="12 bytes"):
            keyset.to_passphrase_json(short, **CHEAP)


def test_what_stands_beside_a_sealed_keyset_must_be_true() -> None:
    keyset = Keyset.generate("AES128_GCM")
    kms = Kms()
    text = keyset.to_encrypted_json(kms)
    for wrong in (
        text.replace("ENABLED", "DISABLED"),
        text.replace("AesGcmKey", "AesGcmSivKey"),
        text.replace(str(keyset.primary), str(keyset.primary ^ 1)),
        text.replace('"TINK"', '"RAW"'),
    ):
        assert wrong != text
        with pytest.raises(IntegrityError):
            Keyset.from_encrypted_json(wrong, kms)
    alone = json.dumps({"encryptedKeyset": json.loads(text)["encryptedKeyset"]})
    assert Keyset.from_encrypted_json(alone, kms).primary == keyset.primary


def test_a_kms_that_does_not_give_back_what_it_took_is_noticed() -> None:
    keyset, other = Keyset.generate("AES128_GCM"), Keyset.generate("AES128_GCM")

    class Broken(Kms):
        def decrypt(self, ciphertext: bytes, associated_data: bytes) -> bytes:
            return other.to_cleartext_binary()

    with pytest.raises(IntegrityError):
        keyset.to_encrypted_json(Broken())

    class Text(Kms):
        def encrypt(self, plaintext: bytes, associated_data: bytes) -> Any:
            return "text"

    with pytest.raises(TypeError, match="bytes"):
        keyset.to_encrypted_json(Text())
    with pytest.raises(AttributeError):
        keyset.to_encrypted_json(object())
    with pytest.raises(PermissionError, match="the KMS refuses"):
        Keyset.from_encrypted_json(keyset.to_encrypted_json(Kms()), Kms(), associated_data=b"other")


def test_a_kms_may_use_the_keyset_that_it_is_sealing() -> None:
    # No lock is held while Python runs.
    keyset = Keyset.generate("AES128_GCM")

    class Curious(Kms):
        def encrypt(self, plaintext: bytes, associated_data: bytes) -> bytes:
            keyset.rotate("AES128_GCM")
            keyset.seal(b"", b"")
            return super().encrypt(plaintext, associated_data)

    sealed = keyset.to_encrypted_json(Curious())
    assert len(keyset) == 2
    assert len(Keyset.from_encrypted_json(sealed, Kms())) == 1  # as it was when it began


def document(**changes: Any) -> str:
    """A keyset in JSON with one key, some members otherwise; ``...`` leaves one out."""
    data = {
        "typeUrl": "type.googleapis.com/google.crypto.tink.AesGcmKey",
        "value": base64.b64encode(b"\x1a\x10" + bytes(range(16))).decode(),
        "keyMaterialType": "SYMMETRIC",
    }
    key = {"keyData": data, "status": "ENABLED", "keyId": 5, "outputPrefixType": "TINK"}
    for name, value in changes.items():
        for part in (key, data):
            if name in part:
                part[name] = value
    outer = {"primaryKeyId": changes.get("primaryKeyId", 5), "key": changes.get("key", [key])}
    for part in (key, data, outer):
        for name in [name for name, value in part.items() if value is ...]:
            del part[name]
    return json.dumps(outer)


HOSTILE = {
    "no keys": document(key=[]),
    "keys that are none": document(key=[5]),
    "keys as a dict": document(key={}),
    "no primary": document(primaryKeyId=...),
    "another primary": document(primaryKeyId=6),
    "a negative primary": document(primaryKeyId=-1),
    "a primary too large": document(primaryKeyId=2**32),
    "a primary that is no number": document(primaryKeyId="five"),
    "a fraction": document(primaryKeyId=5.5),
    "disabled": document(status="DISABLED"),
    "destroyed": document(status="DESTROYED"),
    "no status": document(status=...),
    "unknown status": document(status="ENABLED_"),
    "unknown prefix": document(outputPrefixType="UNKNOWN_PREFIX"),
    "a later prefix": document(outputPrefixType=5),
    "no data": document(keyData=...),
    "null data": document(keyData=None),
    "no type": document(typeUrl=...),
    "no value": document(value=...),
    "an empty value": document(value=""),
    "no base64": document(value="***"),
    "base64 with bits left": document(value="ab"),
    "two keys of one id": document(key=[json.loads(document())["key"][0]] * 2),
    "257 keys": document(key=[{**json.loads(document())["key"][0], "keyId": id} for id in range(257)]),
    "100,000 keys": '{"primaryKeyId": 5, "key": [' + ",".join(["{}"] * 80_000) + "]}",
    "too long": document() + " " * 300_000,
    "too deep": '{"key": ' + "[" * 120_000,
    "a member twice": document().replace('"keyId": 5', '"keyId": 5, "keyId": 5'),
    "an array": "[]",
    "nothing": "",
    "a BOM": "\ufeff" + document(),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_keyset_is_refused(name: str) -> None:
    with pytest.raises(ValueError) as error:
        Keyset.from_cleartext_json(HOSTILE[name])
    assert len(str(error.value)) < 200


USELESS = {
    "AES-192": document(value=base64.b64encode(b"\x1a\x18" + bytes(24)).decode()),
    "no bytes": document(value=base64.b64encode(b"\x08\x00").decode()),
    "a later version": document(value=base64.b64encode(b"\x08\x01\x1a\x10" + bytes(16)).decode()),
    "damaged": document(value=base64.b64encode(b"\x1a\x7f" + bytes(16)).decode()),
    "a huge length": document(value=base64.b64encode(b"\x1a\xff\xff\xff\xff\xff\xff\xff\xff\x7f").decode()),
    "an unknown type": document(typeUrl="type.googleapis.com/google.crypto.tink.AesEaxKey"),
    "a type of another company": document(typeUrl="type.example.com/AesGcmKey"),
    "a key of a PRF": document(typeUrl="type.googleapis.com/google.crypto.tink.HkdfPrfKey"),
}


@pytest.mark.parametrize("name", USELESS)
def test_a_key_that_cannot_be_used_is_refused_when_it_would_be(name: str) -> None:
    keyset = Keyset.from_cleartext_json(USELESS[name])
    for use in (keyset.seal, keyset.open, keyset.seal_deterministic, keyset.open_deterministic):
        with pytest.raises(ValueError, match="key 5"):
            use(b"", b"")
    with pytest.raises(ValueError, match="key 5"):
        keyset.blind_index("p", b"")


def test_no_bytes_make_it_panic() -> None:
    keyset = Keyset.generate("AES128_GCM")
    keyset.rotate("AES256_GCM")
    clear = keyset.to_cleartext_binary()
    known = 0
    for bit in range(len(clear) * 8):
        flipped = bytearray(clear)
        flipped[bit // 8] ^= 1 << bit % 8
        try:
            read = Keyset.from_cleartext_binary(bytes(flipped))
            read.open(read.seal(b"x", b""), b"")
            read.info()
            known += 1
        except (ValueError, IntegrityError):
            pass
    assert 0 < known < len(clear) * 8
    for end in range(len(clear)):
        try:
            Keyset.from_cleartext_binary(clear[:end]).info()
        except ValueError:
            pass


def test_no_part_of_a_text_is_in_an_error() -> None:
    secret = base64.b64encode(b"\x1a\x10" + b"hunter2 hunter2!").decode()
    whole = document(value=secret)
    for text in (whole[:-1], whole.replace('"SYMMETRIC"', f'"{secret}"'), whole.replace("5", f'"{secret}"', 1)):
        with pytest.raises(ValueError) as error:
            Keyset.from_cleartext_json(text)
        shown = "".join(traceback.format_exception(*sys.exc_info())) + str(error.value) + repr(error.value)
        assert secret[:12] not in shown.replace(text, "")
        assert re.search(r"line \d+, column \d+", str(error.value))
