"""Tink opens what we seal, and we open what Tink seals: against Google's own implementation, in PyPI's ``tink``."""

from __future__ import annotations

import base64
import hmac
import json
from typing import Any

import pytest
import tink
from argon2.low_level import Type, hash_secret_raw
from tink import aead, daead, json_proto_keyset_format, prf, proto_keyset_format, secret_key_access
from tink.proto import tink_pb2

from flask_rampart import IntegrityError, Keyset

aead.register()
daead.register()
prf.register()

TOKEN = secret_key_access.TOKEN
# Its Python has no ChaCha20-Poly1305 with short nonces; tests/test_vault_native.py has that against `cryptography`.
AEADS = ["AES128_GCM", "AES256_GCM", "AES128_GCM_SIV", "AES256_GCM_SIV", "XCHACHA20_POLY1305"]
PREFIXES = ["TINK", "CRUNCHY", "RAW"]
TEXTS = [b"", b"a", b"42 Main Street", bytes(range(256)) * 40]
AD = b"users.address:7"


def theirs(keyset: Keyset) -> tink.KeysetHandle:
    """Our keyset, as Tink reads it; JSON and binary are the same to it."""
    handle = json_proto_keyset_format.parse(keyset.to_cleartext_json(), TOKEN)
    binary = proto_keyset_format.parse(keyset.to_cleartext_binary(), TOKEN)
    assert proto_keyset_format.serialize(handle, TOKEN) == proto_keyset_format.serialize(binary, TOKEN)
    return handle


def ours(handle: tink.KeysetHandle) -> Keyset:
    """Tink's keyset, as we read it; JSON and binary are the same to us, and we write what it writes."""
    keyset = Keyset.from_cleartext_json(json_proto_keyset_format.serialize(handle, TOKEN))
    binary = proto_keyset_format.serialize(handle, TOKEN)
    assert Keyset.from_cleartext_binary(binary).to_cleartext_binary() == keyset.to_cleartext_binary() == binary
    return keyset


def template(name: str, prefix: str) -> tink_pb2.KeyTemplate:
    """One of Tink's templates, with another output prefix."""
    source: Any = daead.deterministic_aead_key_templates if name == "AES256_SIV" else aead.aead_key_templates
    made = tink_pb2.KeyTemplate()
    made.CopyFrom(getattr(source, name))
    made.output_prefix_type = tink_pb2.OutputPrefixType.Value(prefix)
    return made


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("name", AEADS)
def test_aead_both_ways_by_our_keys(name: str, prefix: str) -> None:
    keyset = Keyset.generate(name, prefix=prefix)
    their = theirs(keyset).primitive(aead.Aead)
    for text in TEXTS:
        assert their.decrypt(keyset.seal(text, AD), AD) == text
        assert keyset.open(their.encrypt(text, AD), AD) == text
    with pytest.raises(tink.TinkError):
        their.decrypt(keyset.seal(b"text", AD), b"other")
    with pytest.raises(IntegrityError):
        keyset.open(their.encrypt(b"text", AD), b"other")


@pytest.mark.parametrize("prefix", [*PREFIXES, "LEGACY"])
@pytest.mark.parametrize("name", AEADS)
def test_aead_both_ways_by_tinks_keys(name: str, prefix: str) -> None:
    handle = tink.new_keyset_handle(template(name, prefix))
    keyset, their = ours(handle), handle.primitive(aead.Aead)
    for text in TEXTS:
        assert their.decrypt(keyset.seal(text, AD), AD) == text
        assert keyset.open(their.encrypt(text, AD), AD) == text


@pytest.mark.parametrize("prefix", PREFIXES)
def test_deterministic_aead_is_the_same_to_the_byte(prefix: str) -> None:
    made = Keyset.generate("AES256_SIV", prefix=prefix)
    handle = tink.new_keyset_handle(template("AES256_SIV", prefix))
    for keyset, their in (
        (made, theirs(made).primitive(daead.DeterministicAead)),
        (ours(handle), handle.primitive(daead.DeterministicAead)),
    ):
        for text in TEXTS:
            for place in (AD, b""):
                sealed = keyset.seal_deterministic(text, place)
                assert sealed == their.encrypt_deterministically(text, place)
                assert (
                    their.decrypt_deterministically(sealed, place) == keyset.open_deterministic(sealed, place) == text
                )


def test_a_blind_index_is_an_hmac_by_what_tinks_prf_gives() -> None:
    made = Keyset.generate("HKDF_SHA256")
    handle = tink.new_keyset_handle(prf.prf_key_templates.HKDF_SHA256)
    for keyset, their in ((made, theirs(made)), (ours(handle), handle)):
        derived = their.primitive(prf.PrfSet).primary().compute(b"blind-index:users.email", 32)
        expected = hmac.digest(derived, b"ada@example.com", "sha256")[:16]
        assert keyset.blind_index("users.email", b"ada@example.com") == expected


def test_rotation_both_ways() -> None:
    keyset = Keyset.generate("AES128_GCM")
    sealed = [keyset.seal(b"0", AD)]
    for number, (name, prefix) in enumerate(
        [("AES256_GCM", "RAW"), ("XCHACHA20_POLY1305", "CRUNCHY"), ("AES256_GCM_SIV", "RAW"), ("AES256_GCM", "TINK")], 1
    ):
        keyset.rotate(name, prefix=prefix)
        sealed.append(keyset.seal(str(number).encode(), AD))
        their = theirs(keyset).primitive(aead.Aead)
        # All that was sealed so far, by either, is opened by either.
        assert [their.decrypt(each, AD) for each in sealed] == [str(n).encode() for n in range(number + 1)]
        assert keyset.open(their.encrypt(b"new", AD), AD) == b"new"
        assert theirs(keyset).keyset_info().primary_key_id == keyset.primary


def test_disabled_and_destroyed_keys_open_nothing_in_either() -> None:
    keyset = Keyset.generate("AES128_GCM")
    old = keyset.primary
    sealed = keyset.seal(b"old", AD)
    keyset.rotate("AES256_GCM")
    for change, opens in ((keyset.disable, False), (keyset.enable, True), (keyset.destroy, False)):
        change(old)
        their = theirs(keyset).primitive(aead.Aead)
        if opens:
            assert their.decrypt(sealed, AD) == keyset.open(sealed, AD) == b"old"
        else:
            with pytest.raises(tink.TinkError):
                their.decrypt(sealed, AD)
            with pytest.raises(IntegrityError):
                keyset.open(sealed, AD)
    statuses = [tink_pb2.KeyStatusType.Name(key.status) for key in theirs(keyset).keyset_info().key_info]
    assert statuses == [key.status for key in keyset.info()] == ["DESTROYED", "ENABLED"]


def test_keysets_that_a_kms_sealed_both_ways() -> None:
    # Tink's Aead has the shape of our KMS: its clients of cloud KMSs do as well.
    kms = tink.new_keyset_handle(aead.aead_key_templates.AES256_GCM).primitive(aead.Aead)
    keyset = Keyset.generate("AES256_GCM")
    keyset.rotate("AES256_GCM_SIV")
    for place in (b"", b"place"):
        for handle in (
            json_proto_keyset_format.parse_encrypted(keyset.to_encrypted_json(kms, associated_data=place), kms, place),
            proto_keyset_format.parse_encrypted(keyset.to_encrypted_binary(kms, associated_data=place), kms, place),
        ):
            assert proto_keyset_format.serialize(handle, TOKEN) == keyset.to_cleartext_binary()
        handle = theirs(keyset)
        json_form = json_proto_keyset_format.serialize_encrypted(handle, kms, place)
        binary = proto_keyset_format.serialize_encrypted(handle, kms, place)
        for back in (
            Keyset.from_encrypted_json(json_form, kms, associated_data=place),
            Keyset.from_encrypted_binary(binary, kms, associated_data=place),
        ):
            assert back.to_cleartext_binary() == keyset.to_cleartext_binary()
        with pytest.raises(tink.TinkError):
            Keyset.from_encrypted_json(json_form, kms, associated_data=b"another place")


def test_a_keyset_under_a_passphrase_is_opened_by_any_argon2_and_tink() -> None:
    keyset = Keyset.generate("AES256_GCM")
    outer = json.loads(keyset.to_passphrase_json(b"correct horse battery", memory=19456, passes=2, lanes=1))
    _, kind, version, costs, salt = outer["kdf"].split("$")
    assert (kind, version, costs) == ("argon2id", "v=19", "m=19456,t=2,p=1")
    key = hash_secret_raw(b"correct horse battery", base64.b64decode(salt + "=="), 2, 19456, 1, 32, Type.ID, version=19)
    raw = tink_pb2.Keyset(primary_key_id=1)
    raw.key.add(key_id=1, status=tink_pb2.ENABLED, output_prefix_type=tink_pb2.RAW).key_data.CopyFrom(
        tink_pb2.KeyData(
            type_url="type.googleapis.com/google.crypto.tink.AesGcmKey",
            value=b"\x1a\x20" + key,
            key_material_type=tink_pb2.KeyData.SYMMETRIC,
        )
    )
    kms = proto_keyset_format.parse(raw.SerializeToString(), TOKEN).primitive(aead.Aead)
    handle = json_proto_keyset_format.parse_encrypted(json.dumps(outer["keyset"]), kms, b"")
    assert proto_keyset_format.serialize(handle, TOKEN) == keyset.to_cleartext_binary()


@pytest.mark.parametrize("size", [24, 0, 15, 33])
def test_both_refuse_aes_keys_of_other_sizes(size: int) -> None:
    raw = tink_pb2.Keyset(primary_key_id=1)
    value = b"\x1a" + bytes([size]) + bytes(size)
    raw.key.add(key_id=1, status=tink_pb2.ENABLED, output_prefix_type=tink_pb2.TINK).key_data.CopyFrom(
        tink_pb2.KeyData(
            type_url="type.googleapis.com/google.crypto.tink.AesGcmKey",
            value=value,
            key_material_type=tink_pb2.KeyData.SYMMETRIC,
        )
    )
    with pytest.raises(tink.TinkError):
        proto_keyset_format.parse(raw.SerializeToString(), TOKEN).primitive(aead.Aead)
    with pytest.raises(ValueError):
        Keyset.from_cleartext_binary(raw.SerializeToString()).seal(b"", b"")


def test_a_type_that_only_tink_has_stays_in_the_keyset() -> None:
    handle = tink.new_keyset_handle(aead.aead_key_templates.AES128_EAX)
    keyset = ours(handle)
    assert keyset.primitive is None and keyset.info()[0].type == "AesEaxKey"
    with pytest.raises(ValueError, match="AesEaxKey"):
        keyset.seal(b"", b"")
    assert theirs(keyset).primitive(aead.Aead).encrypt(b"", b"")


def test_bytes_that_tink_sealed_some_time_ago() -> None:
    # Made by tink 1.16.1, so that both could not have changed together.
    keyset = Keyset.from_cleartext_json(_KEYSET)
    assert keyset.open(bytes.fromhex(_SEALED), b"place") == b"sealed by tink"


_KEYSET = """{
 "primaryKeyId": 200739552,
 "key": [
  {
   "keyData": {
    "typeUrl": "type.googleapis.com/google.crypto.tink.AesGcmSivKey",
    "value": "GhALpWxU2xpR3dhetaL8rtOP",
    "keyMaterialType": "SYMMETRIC"
   },
   "status": "ENABLED",
   "keyId": 200739552,
   "outputPrefixType": "TINK"
  }
 ]
}"""
_SEALED = "010bf70ae03eb4e0806424e369d2437e21c94b5dffb4c230c495d714466d8f5cc17349ad55a98853e10059c6fd2811"
