"""``Redactor.stream()``: what arrives in chunks leaves as the whole text would.

Cut secrets pass elsewhere, or whole answers are held back: BerriAI/litellm#41611, #41936, #38788, #31503 (chunks that
split what is looked for), NVIDIA-NeMo/Guardrails#588, #1187 (tokens that leave before they are checked).
"""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

import pytest

from flask_rampart import ConfigError, Redactor, _native
from flask_rampart.redaction import Custom, Hash, Keep, Mask, Redact, RedactingStream, Replace
from flask_rampart.redaction.streams import MOST_VALUE

MAIL = "ada@example.com"
MARK = "[REDACTED:EMAIL_ADDRESS]"
PEM = "-----BEGIN PRIVATE " + "KEY-----\n" + "MIIEvQ+/\n" * 400 + "-----END PRIVATE " + "KEY-----"
TEXTS = (
    f"to {MAIL}, or o'brien@example.org and müller@exämple.de; 用户@例子.公司。",
    'log {"password": "hun\\"ter2", "pin": 1234, "token": null, "cards": [4111111111111111]} end',
    "https://ann:p@ss:w@example.org/x?token=abc&x=1 redis://:pw@host:6379/0",
    "Authorization: Bearer mF_9.B5f-4.1JqM\nCookie: a=b; c=d\nHost: x",
    "card 4111 1111 1111 1111, uuid 550e8400-e29b-41d4-a716-446655440000, 2026-11-29 15:00:00,123",
    "see eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJlLW9mLXRoZS10b2tlbg. Then",
    f"key {PEM} after",
    "pass\ud83dword=a\ud83d b \ude00 lone",
)
OPERATORS: dict[str, Any] = {
    "marks": None,
    "texts": {"EMAIL_ADDRESS": Replace("<{entity}>"), "DEFAULT": Redact()},
    "values": {
        "EMAIL_ADDRESS": Hash(b"k" * 32),
        "CREDIT_CARD": Mask(keep_last=4),
        "PIN": Keep(),
        "PASSWORD": Custom(lambda value: f"<{len(value)}>"),
    },
}


def streamed(redactor: Redactor, chunks: Sequence[Any]) -> Any:
    stream = redactor.stream()
    made = []
    for chunk in chunks:
        made.append(stream.feed(chunk))
        assert type(made[-1]) is type(chunk)
        assert stream.held <= stream.hold
    made.append(stream.finish())
    return chunks[0][:0].join(made), stream.findings


@pytest.mark.parametrize("operators", OPERATORS)
def test_every_way_to_cut_a_text_gives_what_the_whole_gives(operators: str) -> None:
    redactor = Redactor(operators=OPERATORS[operators])
    dice = random.Random(7)
    for text in TEXTS:
        kinds: list[Any] = [text]
        if text.isprintable() or "\ud83d" not in text:
            kinds.append(text.encode())
        for whole in kinds:
            expected = redactor.run(whole)
            step = 1 if len(whole) < 300 else 97
            cuts = [[whole[:at], whole[at:]] for at in range(0, len(whole), step)]
            cuts.append([whole[at : at + 1] for at in range(len(whole))])
            for most in (3, 20):
                places = [0]
                while places[-1] < len(whole):
                    places.append(places[-1] + dice.randint(0, most))
                cuts.append([whole[a:b] for a, b in itertools.pairwise(places)])
            for chunks in cuts:
                made, findings = streamed(redactor, chunks)
                assert made == expected.value
                if isinstance(whole, str):
                    assert findings == expected.findings


def test_every_sample_byte_by_byte() -> None:
    identifiers = [(entity, sample) for entity, _, _, sample, _ in _native.Redactor.identifiers()]
    redactor = Redactor(entities=[*Redactor().entities, *(entity for entity, _ in identifiers)])
    for _, sample in identifiers:
        text = f"x {sample} y {sample}"
        assert streamed(redactor, list(text))[0] == redactor.redact(text), sample
        assert streamed(redactor, [bytes([byte]) for byte in text.encode()])[0] == redactor.redact(text.encode())


def test_a_secret_in_two_chunks_is_hidden_and_what_is_before_it_does_not_wait() -> None:
    # BerriAI/litellm#41611: "my mail is ada@exam" "ple.com" left as it was, or with the answer's last byte.
    stream = Redactor().stream()
    assert stream.feed("My mail is ada@exam") == "My mail is "
    assert stream.held == len("ada@exam")
    assert stream.feed("ple.com and") == f"{MARK} "
    assert stream.feed(" that is") == "and that "
    assert stream.finish() == "is"


def test_a_mark_leaves_before_the_end_of_what_it_hides_is_there() -> None:
    stream = Redactor().stream()
    assert stream.feed(PEM[:60]) == "[REDACTED:PRIVATE_KEY]"
    assert "".join(stream.feed(char) for char in PEM[60:]) == ""
    assert stream.held < 80
    assert stream.feed(" after it") == " after "
    assert stream.finish() == "it"


def test_bytes_are_passed_on_in_whole_characters() -> None:
    stream = Redactor().stream()
    made = [stream.feed(bytes([byte])) for byte in "→ 😀 ok ".encode()]
    made.append(stream.finish())
    assert b"".join(made).decode() == "→ 😀 ok "
    for piece in made:
        piece.decode()


def test_what_is_longer_than_a_value_may_be_is_a_mark_whole_or_streamed() -> None:
    redactor = Redactor(operators={"DEFAULT": Mask(), "PRIVATE_KEY": Keep()})
    for length, hidden in ((MOST_VALUE, False), (MOST_VALUE + 1, True)):
        text = f"token='{'x' * length}' end"
        made = streamed(redactor, [text[at : at + 500] for at in range(0, len(text), 500)])[0]
        assert made == redactor.redact(text)
        assert ("[REDACTED:TOKEN]" in made) is hidden
        assert redactor.redact(text.encode()) == redactor.redact(text).encode()


def test_an_operator_that_fails_ends_the_stream_and_nothing_leaves() -> None:
    class Away:
        def seal(self, data: bytes, /, *, associated_data: bytes) -> bytes:
            raise OSError("away")

        open = seal

    stream = Redactor(operators={"EMAIL_ADDRESS": {"type": "encrypt", "vault": Away()}}).stream()
    assert stream.feed("to ada@example.com") == "to "
    with pytest.raises(OSError, match="away"):
        stream.feed(", and password=hunter2 ")
    assert stream.is_over and stream.held == 0
    for again in (lambda: stream.feed("x"), stream.finish):
        with pytest.raises(ValueError, match="over"):
            again()


@pytest.mark.parametrize("wrong", [b"bytes", None, 7], ids=str)
def test_a_chunk_of_another_kind_ends_the_stream(wrong: Any) -> None:
    stream = Redactor().stream()
    stream.feed("ada@")
    with pytest.raises(TypeError, match="the same throughout"):
        stream.feed(wrong)
    with pytest.raises(ValueError, match="over"):
        stream.finish()
    assert stream.held == 0


def test_what_is_held_is_bounded_whatever_comes() -> None:
    redactor = Redactor(allow=["nobody@example.com"], deny={"blue" * 200: "CODENAME"})
    for unit in ("a", "eyJ", "@", "http://u:", "password: ", "4 ", "blue", "é", "-----BEGIN ", "[REDACTED:"):
        stream = redactor.stream()
        for _ in range(3000 // len(unit)):
            stream.feed(unit)
            assert stream.held <= stream.hold <= 4096, unit


def test_findings_are_of_the_whole_text_and_bounded_in_number() -> None:
    stream = Redactor().stream()
    for _ in range(1200):
        stream.feed(f"é {MAIL} ")
    stream.finish()
    assert stream.count == 1200 and len(stream.findings) == 1000
    assert [(found.start, found.end) for found in stream.findings[:2]] == [(2, 17), (20, 35)]
    assert stream.findings[999].start == 18 * 999 + 2


def test_a_generator_is_redacted_as_it_runs_and_closed_with_it() -> None:
    closed = []

    def source() -> Iterator[str]:
        try:
            yield from ("one ", "two ada@exam", "ple.com ", "three")
        finally:
            closed.append(True)

    chunks = Redactor().iter(source())
    assert next(chunks) == "one"
    chunks.close()  # type: ignore[attr-defined]
    assert closed == [True]
    assert "".join(Redactor().iter(source())) == f"one two {MARK} three"


def test_a_generator_that_fails_shows_nothing_of_what_was_held() -> None:
    def source() -> Iterator[str]:
        yield "to ada@exam"
        raise OSError("gone")

    taken = []
    with pytest.raises(OSError, match="gone"):
        taken.extend(Redactor().iter(source()))
    made: list[str] = []
    with pytest.raises(OSError, match="gone"):
        for piece in Redactor().iter(source()):
            made.append(piece)
    assert made == ["to "]


def test_what_is_awaited_is_redacted_as_well() -> None:
    async def source() -> AsyncIterator[bytes]:
        for chunk in (b"to ada@exam", b"ple.com, ok"):
            yield chunk

    async def taken() -> bytes:
        return b"".join([piece async for piece in Redactor().aiter(source())])

    assert asyncio.run(taken()) == f"to {MARK}, ok".encode()


def test_fields_without_events_are_a_mistake() -> None:
    with pytest.raises(ConfigError, match="events"):
        Redactor().stream(fields=["a"])  # type: ignore[call-overload]
    with pytest.raises(ConfigError, match="no place"):
        Redactor().stream(events="sse", fields=["choices[0]"])
    with pytest.raises(ConfigError, match="one text"):
        Redactor().stream(events="sse", fields="choices")
    with pytest.raises(ConfigError, match="lines"):
        Redactor().stream(events="csv")  # type: ignore[call-overload]


def test_a_stream_is_of_one_redactor_and_says_nothing() -> None:
    stream = Redactor().stream()
    stream.feed(MAIL)
    assert isinstance(stream, RedactingStream) and MAIL[:4] not in repr(stream)


def test_a_name_that_is_not_looked_for_is_not_read_again_and_again() -> None:
    # CWE-1333: a line of many headers was read to its end for each of them.
    redactor = Redactor(entities=["EMAIL_ADDRESS"])
    line = "Cookie: a " * 20_000
    assert redactor.redact(line) is line
    assert (
        Redactor(entities=["BEARER"]).redact("Authorization: Bearer abc") == "Authorization: Bearer [REDACTED:BEARER]"
    )
    assert Redactor(entities=["AUTHORIZATION"]).redact("Authorization: Bearer abc") == "Authorization: Bearer abc"
