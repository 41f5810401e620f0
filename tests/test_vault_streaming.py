"""Streams, as the native core seals and opens them: what the files of ``test_vault_files.py`` and its like stand on."""

from __future__ import annotations

import copy
import pickle
import random

import pytest

from flask_rampart._native import StreamOpener, StreamSealer
from flask_rampart.errors import IntegrityError
from flask_rampart.vault import Keyset, keyset_templates

TEMPLATES = [name for name, of in keyset_templates() if of == "streaming AEAD"]
HEADERS = {"AES128": 24, "AES256": 40}


def seal(keyset: Keyset, text: bytes, associated_data: bytes = b"where", step: int = 1 << 20) -> bytes:
    sealer = StreamSealer(keyset, associated_data)
    parts = [sealer.push(text[at : at + step]) for at in range(0, len(text), step)]
    return b"".join([sealer.header, *parts, sealer.finish()])


def open_all(keyset: Keyset, stream: bytes, associated_data: bytes = b"where") -> bytes:
    opener = StreamOpener(keyset, stream, len(stream), associated_data)
    first, offset, length, start = opener.span(0, max(opener.length, 1))
    assert (first, start, offset + length) == (0, 0, len(stream))
    return opener.open(first, stream[offset:])


def test_the_templates_are_tinks() -> None:
    assert sorted(TEMPLATES) == [
        "AES128_CTR_HMAC_SHA256_1MB",
        "AES128_CTR_HMAC_SHA256_4KB",
        "AES128_GCM_HKDF_1MB",
        "AES128_GCM_HKDF_4KB",
        "AES256_CTR_HMAC_SHA256_1MB",
        "AES256_CTR_HMAC_SHA256_4KB",
        "AES256_GCM_HKDF_1MB",
        "AES256_GCM_HKDF_4KB",
    ]


@pytest.mark.parametrize("template", TEMPLATES)
def test_what_was_sealed_comes_back(template: str) -> None:
    keyset = Keyset.generate(template)
    assert keyset.primitive == "streaming AEAD"
    assert keyset.info()[0].prefix == "RAW"
    text = bytes(range(251)) * 40
    stream = seal(keyset, text, step=777)
    assert stream[0] == HEADERS[template[:6]]
    assert open_all(keyset, stream) == text
    assert open_all(keyset, seal(keyset, b"")) == b""


@pytest.mark.parametrize("template", ["AES256_GCM_HKDF_4KB", "AES128_CTR_HMAC_SHA256_4KB"])
@pytest.mark.parametrize("more", [-1, 0, 1])
@pytest.mark.parametrize("segments", [1, 2, 3])
def test_sizes_round_the_borders(template: str, more: int, segments: int) -> None:
    keyset = Keyset.generate(template)
    tag = 16 if "GCM" in template else 32
    length = segments * (4096 - tag) - HEADERS[template[:6]] + more
    text = bytes(length)
    stream = seal(keyset, text)
    assert len(stream) == segments * 4096 + (more if more < 1 else tag + 1)
    assert open_all(keyset, stream) == text


def test_the_keysets_binary_form_keeps_its_keys() -> None:
    for template in TEMPLATES:
        keyset = Keyset.generate(template)
        stream = seal(keyset, b"text")
        assert open_all(Keyset.from_cleartext_binary(keyset.to_cleartext_binary()), stream) == b"text"
        assert open_all(Keyset.from_cleartext_json(keyset.to_cleartext_json()), stream) == b"text"


def test_the_key_that_opens_is_found_among_several_of_any_size() -> None:
    keyset = Keyset.generate("AES256_GCM_HKDF_4KB")
    streams = [seal(keyset, bytes(10_000))]
    for template in TEMPLATES:
        keyset.rotate(template)
        streams.append(seal(keyset, bytes(10_000)))
    assert StreamOpener.head(keyset) == 1 << 20
    for stream in streams:
        assert open_all(keyset, stream) == bytes(10_000)
    first = keyset.info()[0].id
    keyset.disable(first)
    with pytest.raises(IntegrityError):
        open_all(keyset, streams[0])
    keyset.enable(first)
    assert open_all(keyset, streams[0]) == bytes(10_000)
    keyset.destroy(first)
    with pytest.raises(IntegrityError):
        open_all(keyset, streams[0])
    assert open_all(keyset, streams[1]) == bytes(10_000)


def test_other_associated_data_another_key_and_no_stream_open_nothing() -> None:
    keyset = Keyset.generate("AES256_GCM_HKDF_4KB")
    stream = seal(keyset, b"text")
    for damaged, given in [
        (stream, b""),
        (stream, b"wher"),
        (stream, b"where\0"),
        (b"", b"where"),
        (stream[:1], b"where"),
        (stream[1:], b"where"),
        (b"\x18" + stream[1:], b"where"),
    ]:
        with pytest.raises(IntegrityError) as caught:
            open_all(keyset, damaged, given)
        assert caught.value.reason == "altered"
    with pytest.raises(IntegrityError):
        open_all(Keyset.generate("AES256_GCM_HKDF_4KB"), stream)


def test_the_length_decides_which_segment_is_last() -> None:
    keyset = Keyset.generate("AES256_GCM_HKDF_4KB")
    stream = seal(keyset, bytes(20_000))
    # As if it went on: the first segments open, and the one that ends it does not.
    opener = StreamOpener(keyset, stream, len(stream) + 4096, b"where")
    assert opener.open(1, stream[4096 : 2 * 4096]) == bytes(4080)
    last = len(stream) // 4096
    with pytest.raises(IntegrityError):
        opener.open(last, stream[last * 4096 :])
    # As if it had ended: a segment that something followed is not the last.
    opener = StreamOpener(keyset, stream, 2 * 4096, b"where")
    with pytest.raises(IntegrityError):
        opener.open(1, stream[4096 : 2 * 4096])
    # As if it had ended with an empty segment: nobody would open that one.
    with pytest.raises(IntegrityError):
        StreamOpener(keyset, stream, 2 * 4096 + 16, b"where")
    # With the first: it is not the last either.
    with pytest.raises(IntegrityError):
        StreamOpener(keyset, stream[:4096], 4096, b"where")


def test_numbers_that_no_segment_has_open_nothing() -> None:
    keyset = Keyset.generate("AES256_GCM_HKDF_4KB")
    stream = seal(keyset, bytes(20_000))
    opener = StreamOpener(keyset, stream, len(stream), b"where")
    run = stream[4096 : 2 * 4096]
    for number in (0, 2, 4, 1 << 32, (1 << 32) + 1, (1 << 64) - 1):
        with pytest.raises(IntegrityError):
            opener.open(number, run)
    for cut in (b"", run[:1], run[:16], run[:-1], run + b"\0"):
        with pytest.raises(IntegrityError):
            opener.open(1, cut)
    with pytest.raises(OverflowError):
        opener.open(-1, run)
    with pytest.raises(OverflowError):
        StreamOpener(keyset, stream, -1, b"where")


def test_a_span_beyond_the_end_is_the_last_segment() -> None:
    keyset = Keyset.generate("AES256_GCM_HKDF_4KB")
    stream = seal(keyset, bytes(10_000))
    opener = StreamOpener(keyset, stream, len(stream), b"where")
    assert opener.length == 10_000
    last = opener.span(9_999, 1)
    assert last == opener.span(1 << 60, 1 << 40) == (2, 8192, len(stream) - 8192, 2 * 4080 - 40)


def test_a_sealer_ends_once() -> None:
    sealer = StreamSealer(Keyset.generate("AES256_GCM_HKDF_4KB"), b"")
    sealer.finish()
    for attempt in (sealer.finish, lambda: sealer.push(b"more"), lambda: sealer.push(b"")):
        with pytest.raises(RuntimeError):
            attempt()


def test_neither_is_copied_which_would_repeat_nonces() -> None:
    keyset = Keyset.generate("AES256_GCM_HKDF_4KB")
    stream = seal(keyset, b"text")
    for one in (StreamSealer(keyset, b""), StreamOpener(keyset, stream, len(stream), b"where")):
        for copying in (copy.copy, copy.deepcopy, pickle.dumps):
            with pytest.raises(TypeError):
                copying(one)


def test_a_keyset_for_something_else_is_told_so() -> None:
    keyset = Keyset.generate("AES256_GCM")
    for attempt in (
        lambda: StreamSealer(keyset, b""),
        lambda: StreamOpener(keyset, b"", 0, b""),
        lambda: StreamOpener.head(keyset),
    ):
        with pytest.raises(ValueError, match="not for streams"):
            attempt()
    streams = Keyset.generate("AES256_GCM_HKDF_4KB")
    with pytest.raises(ValueError, match="AEAD"):
        streams.seal(b"", b"")
    with pytest.raises(ValueError, match="prefix TINK"):
        Keyset.generate("AES256_GCM_HKDF_4KB", prefix="TINK")


def test_no_two_streams_begin_alike() -> None:
    keyset = Keyset.generate("AES256_GCM_HKDF_4KB")
    headers = {StreamSealer(keyset, b"").header for _ in range(100)}
    assert len(headers) == 100
    assert {len(header) for header in headers} == {40}


def test_no_key_is_shown() -> None:
    keyset = Keyset.generate("AES256_GCM_HKDF_4KB")
    sealer = StreamSealer(keyset, b"where")
    sealer.push(b"hunter2")
    assert "hunter" not in repr(sealer)
    assert repr(sealer).startswith("<")


@pytest.mark.parametrize("template", ["AES256_GCM_HKDF_4KB", "AES128_CTR_HMAC_SHA256_4KB"])
def test_a_part_of_what_is_given_is_sealed_from_where_it_is(template: str) -> None:
    keyset, data = Keyset.generate(template), random.Random(3).randbytes(20_000)
    sealer = StreamSealer(keyset, b"where")
    stream = sealer.header
    for start, end in ((0, 0), (0, 5), (5, 4096), (4096, 12_345), (12_345, None), (20_000, None), (20_000, 20_000)):
        stream += sealer.push(data, start, end)
    for start, end in ((1, 0), (0, 20_001), (20_001, None), (20_001, 20_001)):
        # What is no part is not sealed, and nothing is lost by it.
        with pytest.raises(ValueError, match="no part of data"):
            sealer.push(data, start, end)
    with pytest.raises(OverflowError):
        sealer.push(data, -1)
    stream += sealer.finish()
    opener = StreamOpener(keyset, stream, len(stream), b"where")
    first, offset, length, start = opener.span(0, 20_000)
    assert (start, opener.open(first, stream[offset : offset + length])) == (0, data)
