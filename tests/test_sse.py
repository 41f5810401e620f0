"""Server-sent events, taken apart by the rules of browsers, whoever asks: redaction, and AI endpoints."""

from __future__ import annotations

import pytest

from flask_rampart import Redactor
from flask_rampart.sse import Broken, Decoder, Lines, written

# WHATWG HTML, sections 9.2.5 and 9.2.6, with the examples that stand there; web-platform-tests, eventsource/format-*.
CASES = {
    "stock ticker": ("data: YHOO\ndata: +2\ndata: 10\n\n", [(None, "YHOO\n+2\n10")]),
    "test stream": (
        ": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event",
        [(None, "first event"), (None, "second event")],
    ),
    "empty data": ("data\n\ndata\ndata\n\ndata:", [(None, ""), (None, "\n")]),
    "one blank": ("data:test\n\ndata: test\n\n", [(None, "test"), (None, "test")]),
    "byte order mark": ("\ufeffdata: 1\n\n\ufeffdata: 2\n\n", [(None, "1")]),
    "two marks": ("\ufeff\ufeffdata: 1\n\ndata: 2\n\n", [(None, "2")]),
    "comments": ("data:1\n:\0\n:\ndata:2\n:data: no\ndata:3\n\n:data:4\n\n", [(None, "1\n2\n3")]),
    "names": ("event: a\ndata: 1\n\nevent: b\n\ndata: 2\n\nevent: c\nevent: d\ndata: 3\n\n", None),
    "other fields": ("data : x\nDATA: x\n data: x\ndatax: x\nretry: 1\n\ndata: y\n\n", [(None, "y")]),
    "no blank line": ("data: 1\n\ndata: 2\n", [(None, "1")]),
    "tabs and colons": ("data:\tx: y:\n\n", [(None, "\tx: y:")]),
    "nothing": ("", []),
    "no lines of others": ("data: a\u2028b\u0085c\x0bd\n\n", [(None, "a\u2028b\u0085c\x0bd")]),
}
NAMES = [("a", "1"), (None, "2"), ("d", "3")]


def events(data: bytes, size: int) -> list[tuple[str | None, str]]:
    decoder = Decoder()
    return [event for at in range(0, len(data), size) for event in decoder.feed(data[at : at + size])]


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"], ids=["lf", "crlf", "cr"])
@pytest.mark.parametrize("case", CASES)
def test_a_stream_is_read_as_browsers_read_it_however_it_is_cut(case: str, ending: str) -> None:
    text, expected = CASES[case]
    data = text.replace("\n", ending).encode()
    for size in (1, 2, 3, 7, len(data) + 1):
        assert events(data, size) == (NAMES if expected is None else expected), size


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"], ids=["lf", "crlf", "cr"])
@pytest.mark.parametrize("case", CASES)
def test_what_redaction_lets_pass_is_read_as_the_same_events(case: str, ending: str) -> None:
    text, _ = CASES[case]
    whole = f"{text}\n\n".replace("\n", ending)
    for size in (1, 3, len(whole)):
        stream = Redactor().stream(events="sse")
        left = "".join(stream.feed(whole[at : at + size]) for at in range(0, len(whole), size)) + stream.finish()
        # What is no JSON is one text over its events, and may leave with a later one.
        assert joined(left) == joined(whole), size


def joined(text: str) -> str:
    return "".join(data for _, data in events(text.encode(), 64)).replace("\n", "")


def test_an_event_leaves_at_its_carriage_return() -> None:
    # Whether a line feed comes may be known much later, with the next event.
    decoder = Decoder()
    assert list(decoder.feed(b"data: a\r\r")) == [(None, "a")]
    assert list(decoder.feed(b"\ndata: b\r\n\r")) == [(None, "b")]
    assert list(decoder.feed(b"\n\n")) == []


def test_a_line_that_comes_byte_by_byte_is_put_together_once_and_has_an_end() -> None:
    decoder = Decoder(most=1 << 16)
    for _ in range(50_000):
        assert not list(decoder.feed(b"x"))
    with pytest.raises(Broken, match="longer than 65536"):
        for _ in range(20_000):
            list(decoder.feed(b"x"))
    lines = Decoder(most=1000)
    with pytest.raises(Broken):
        for _ in range(1000):
            list(lines.feed(b"data: x\n"))


def test_signs_of_life_before_an_event_are_of_no_length() -> None:
    decoder = Decoder(most=100)
    for _ in range(100):
        assert not list(decoder.feed(b": ping\n"))
    assert list(decoder.feed(b"data: x\n\n")) == [(None, "x")]
    with pytest.raises(Broken):
        list(decoder.feed(b"data: x\n" + b": ping\n" * 100))


def test_what_is_no_utf_8_ends_a_stream_behind_the_events_before_it() -> None:
    for size in (1, 4, 100):
        decoder, seen = Decoder(), list[tuple[str | None, str]]()
        data = b"data: \xc3\xa9\n\ndata: \xff\n\n"
        with pytest.raises(Broken, match="no UTF-8"):
            for at in range(0, len(data), size):
                for event in decoder.feed(data[at : at + size]):
                    seen.append(event)
        assert seen == [(None, "é")]
    assert list(Decoder().feed(b"data: \xf0\x9f")) == []


def test_lines_keep_every_character_that_ended_them() -> None:
    text = "a\r\nb\rc\nd\r\r\n\n"
    for size in range(1, len(text) + 1):
        lines = Lines(100)
        found = [line for at in range(0, len(text), size) for line in lines.feed(text[at : at + size])]
        last = lines.finish()
        assert "".join(line + ending for line, ending in [*found, *([last] if last else [])]) == text
        assert [line for line, _ in found if line] == ["a", "b", "c", "d"]


def test_what_is_written_is_read() -> None:
    data = written("a", {"b": "c\nd"}) + written(None, "[DONE]")
    assert events(data, 5) == [("a", '{"b":"c\\nd"}'), (None, "[DONE]")]
