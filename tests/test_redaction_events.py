"""Streams of events and lines: each stays one, and a text that is spread over them is redacted as one.

BerriAI/litellm#38788, #41936: the letters of a secret, each in a chunk of its own, pass a filter that looks at chunks.
"""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from flask_rampart import Redactor
from flask_rampart.redaction import Custom, fields
from flask_rampart.redaction.events import MOST_EVENT, MOST_TEXTS, EventStream

MAIL = "ada@example.com"
MARK = "[REDACTED:EMAIL_ADDRESS]"


def chat(*deltas: tuple[int, str], reason: str | None = None) -> str:
    choices = [{"index": index, "delta": {"content": text}, "finish_reason": reason} for index, text in deltas]
    return f"data: {json.dumps({'id': 'c1', 'choices': choices})}\n\n"


def events(text: str) -> list[dict[str, str]]:
    """As a browser reads them (WHATWG HTML section 9.2.6)."""
    found = []
    data: list[str] = []
    name = ""
    for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n"):
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if not line:
            if data:
                found.append({"data": "\n".join(data), "event": name})
            data, name = [], ""
        elif field == "data":
            data.append(value)
        elif field == "event":
            name = value
    return found


def said(text: str) -> dict[int, str]:
    """What each choice has said."""
    answers: dict[int, str] = {}
    for event in events(text):
        if event["data"] != "[DONE]":
            for choice in json.loads(event["data"])["choices"]:
                answers.setdefault(choice["index"], "")
                answers[choice["index"]] += choice["delta"].get("content", "")
    return answers


def through(text: Any, most: int = 0, seed: int = 1, **options: Any) -> Any:
    """*text* in chunks of up to *most* characters, or in one."""
    stream = Redactor().stream(**{"events": "sse", **options})
    dice = random.Random(seed)
    made = text[:0]
    at = 0
    while at < len(text):
        size = dice.randint(1, most) if most else len(text)
        made += stream.feed(text[at : at + size])
        at += size
    return made + stream.finish()


LETTERS = "".join(chat((0, letter)) for letter in f"Write to {MAIL} today.")
TWO = "".join(
    chat((0, one), (1, other)) for one, other in zip("to ada@example.com!", "pin: 123456, ok ....", strict=False)
)


def shape(dice: random.Random, piece: str) -> dict[str, Any]:
    """An event: mostly one of two that differ in nothing but their text, or in what Python takes for the same."""
    kind = dice.randrange(12)
    if kind < 8:
        seen: Any = [1, True, 1.0, "1"][dice.randrange(4) if dice.random() < 0.2 else 0]
        return {"id": "c1", "seen": seen, "choices": [{"index": kind % 2, "delta": {"content": piece}}]}
    return [
        {"id": "c1", "choices": [{"index": 0, "delta": {"content": piece, "refusal": piece[::-1]}}]},
        {"password": piece, "choices": [{"index": 0, "delta": {"content": piece}}]},
        {"id": "c1", "choices": [{"index": 1, "delta": {"content": piece}, "finish_reason": "stop"}]},
        {"type": "x.delta", "item_id": "m1", "output_index": 0, "delta": piece},
    ][kind - 8]


@pytest.mark.parametrize("fields", [None, ["choices[*].delta.content", "type", "id"]])
@pytest.mark.parametrize("seed", range(30))
def test_an_event_that_is_like_the_last_is_treated_as_if_it_were_the_first(
    seed: int, fields: list[str] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    dice = random.Random(seed)
    texts = ["to ada@exa", "mple.com", " and pin: 12", "3456, ", "x", "", "é\ud83d", "password=", "hunter2 ", "\n"]
    made = [json.dumps(shape(dice, dice.choice(texts))) for _ in range(60)]
    stream = "".join(f"data: {event}\n\n" for event in made)
    usual = through(stream, fields=fields)
    monkeypatch.setattr("flask_rampart.redaction.events._MOST_SHELL", -1)
    assert through(stream, fields=fields) == usual


@pytest.mark.parametrize("most", [0, 1, 7, 100])
def test_a_secret_in_letters_is_hidden_and_every_event_stays_one(most: int) -> None:
    made = through(f"{LETTERS}data: [DONE]\n\n", most)
    assert said(made) == {0: f"Write to {MARK} today."}
    assert events(made)[-1]["data"] == "[DONE]"
    assert len(events(made)) >= len(events(LETTERS))


def test_clean_letters_leave_with_the_event_that_follows_their_word() -> None:
    stream = Redactor().stream(events="sse")
    assert said(stream.feed(chat((0, "Hello")))) == {0: ""}
    assert said(stream.feed(chat((0, " world")))) == {0: "Hello "}
    assert said(stream.feed(chat((0, "."), reason="stop"))) == {0: "world."}
    assert stream.finish() == ""


def test_two_answers_are_two_texts() -> None:
    assert said(through(TWO)) == {0: f"to {MARK}!", 1: "pin: [REDACTED:PIN], ok ..."}


def test_what_is_held_leaves_before_the_end_in_an_event_of_the_same_shape() -> None:
    made = through(chat((0, "to ada@exa")) + chat((0, "mple.com")) + "data: [DONE]\n\n")
    *_, rest, done = events(made)
    assert json.loads(rest["data"])["choices"][0]["delta"]["content"] == MARK
    assert json.loads(rest["data"])["id"] == "c1" and done["data"] == "[DONE]"


def test_a_choice_that_ends_without_words_gets_its_last_ones_before() -> None:
    end = 'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
    made = through(chat((0, "bye ada@example.com")) + end)
    assert said(made) == {0: f"bye {MARK}"}
    assert json.loads(events(made)[-1]["data"])["choices"][0]["finish_reason"] == "stop"


def test_the_events_of_messages_and_responses_are_read() -> None:
    names = ("content_block_delta", "content_block_delta", "content_block_stop")
    values: list[Any] = [
        {"type": names[0], "index": 0, "delta": {"type": "text_delta", "text": "to ada@exa"}},
        {"type": names[1], "index": 0, "delta": {"type": "text_delta", "text": "mple.com"}},
        {"type": names[2], "index": 0},
    ]
    frames = "".join(f"event: {name}\ndata: {json.dumps(v)}\n\n" for name, v in zip(names, values, strict=True))
    found = events(through(frames))
    assert "".join(json.loads(event["data"]).get("delta", {}).get("text", "") for event in found) == f"to {MARK}"
    assert found[-1]["event"] == "content_block_stop"
    parts = [{"type": "response.output_text.delta", "item_id": "m", "delta": part} for part in ("ada@ex", "ample.com")]
    done = {"type": "response.output_text.done", "item_id": "m", "text": MAIL}
    found = events(through("".join(f"data: {json.dumps(value)}\n\n" for value in (*parts, done))))
    assert "".join(json.loads(event["data"]).get("delta", "") for event in found) == MARK
    assert json.loads(found[-1]["data"])["text"] == MARK


def test_an_event_in_which_nothing_is_hidden_is_the_same_bytes() -> None:
    frames = b': hello\n\nid: 7\nretry: 10\nevent: note\ndata: { "n" : 1.50, "x": "y" }\n\ndata: [DONE]\r\n\r\n'
    for most in (0, 1, 5):
        assert through(frames, most) == frames


def test_a_comment_leaves_at_once() -> None:
    stream = Redactor().stream(events="sse")
    assert stream.feed(": ping\n") == ": ping\n"


def test_events_of_plain_text_are_one_text_also_over_lines() -> None:
    made = through("data: to ada@exa\n\ndata: mple.com\ndata: ok \n\nevent: x\ndata: pin: 12\n\nevent: x\ndata: 34\n\n")
    by_name: dict[str, str] = {}
    for event in events(made):
        by_name[event["event"]] = by_name.get(event["event"], "") + event["data"]
    assert by_name == {"": f"to {MARK}\nok ", "x": "pin: [REDACTED:PIN]"}


def test_what_else_an_event_holds_is_redacted_as_a_value() -> None:
    made = through('data: {"choices":[],"user":{"email":"ada@example.com","password":"x"}}\n\n')
    assert json.loads(events(made)[0]["data"])["user"] == {"email": MARK, "password": "[REDACTED:PASSWORD]"}


def test_a_text_makes_no_new_events() -> None:
    redactor = Redactor(operators={"EMAIL_ADDRESS": Custom(lambda value: "x\r\n\r\ndata: forged\n\rid: 1")})
    stream = redactor.stream(events="sse")
    made = stream.feed(f"data: {MAIL} ok\n\n") + stream.finish()
    assert len(events(made)) <= 2 and all(line.startswith("data: ") for line in made.splitlines() if line)


def test_an_event_that_was_not_ended_leaves_redacted() -> None:
    assert MAIL not in through(f"data: {MAIL}")
    assert MARK in through(f"data: {MAIL}")
    assert MARK in through(f"data: {MAIL}\r")


def test_a_mark_of_the_byte_order_and_all_line_breaks_are_read() -> None:
    for ending in ("\n", "\r", "\r\n"):
        frames = f"\ufeffdata: to {MAIL}{ending}{ending}data: , x{ending}{ending}"
        for most in (0, 1):
            found = events(through(frames, most).removeprefix("\ufeff"))
            assert "".join(event["data"] for event in found) == f"to {MARK}, x"


@pytest.mark.parametrize(
    "hostile",
    [
        "data: " + "x" * (MOST_EVENT + 1),
        "data: x\n" * (MOST_EVENT // 2),
        'data: {"a": 1, "a": 2}\n\n',
        "".join(chat((index, "ada@")) for index in range(MOST_TEXTS + 1)),
        b"data: \xff\n\n",
    ],
    ids=["line", "lines", "twice", "texts", "bytes"],
)
def test_what_is_not_understood_ends_the_stream(hostile: Any) -> None:
    stream = Redactor().stream(events="sse")
    with pytest.raises(ValueError):
        stream.feed(hostile)
    with pytest.raises(ValueError, match="over"):
        stream.finish()
    assert stream.held == 0 and stream.is_over


def test_what_is_held_is_counted_to_the_character() -> None:
    for ending in ("\n", "\r\n", "\r"):
        stream = Redactor().stream(events="sse")
        stream.feed("".join(chat((index, "to ada@exam")) for index in range(3)).replace("\n", ending))
        stream.feed("\n" if ending == "\r" else "")
        assert stream.held == 3 * len("ada@exam")
        begun = f"id: 1{ending}event: x{ending}"
        for length, char in enumerate(begun + "data: y", 1):
            stream.feed(char)
            # Whether a return is half of a line break is known with the next character.
            assert stream.held == 3 * len("ada@exam") + length - (char == "\r")
        stream.feed(ending * 2 + chat((1, "ple.com")))
        assert stream.held == 2 * len("ada@exam") + len("ada@example.com") + len("y")
        stream.finish()
        assert stream.held == 0


def test_half_a_character_in_an_event_stays_half() -> None:
    for halves in (("\ud83d", "\ude00 x"), ("a \ud83d ", "x")):
        made = through("".join(chat((0, half)) for half in halves).encode()).decode()
        both = said(made)[0].encode("utf-16", "surrogatepass")
        assert both == "".join(halves).encode("utf-16", "surrogatepass")


def test_lines_are_redacted_each_as_json_or_text() -> None:
    lines = f'{{"mail": "{MAIL}", "n": 1}}\n{{"clean":  1.0}}\r\nto {MAIL}\n\n{{"password": "x"}}'
    for most in (0, 1, 9):
        made = through(lines, most, events="lines")
        one, two, three, four, five = made.split("\n")
        assert json.loads(one) == {"mail": MARK, "n": 1} and two == '{"clean":  1.0}\r'
        assert (three, four, json.loads(five)) == (f"to {MARK}", "", {"password": "[REDACTED:PASSWORD]"})


def test_a_text_over_lines_is_one_where_that_is_said() -> None:
    lines = "".join(
        f"{json.dumps({'message': {'content': part}, 'done': False})}\n" for part in ("ada@exam", "ple.com ")
    )
    made = through(lines, events="lines", fields=["message.content"])
    assert "".join(json.loads(line)["message"]["content"] for line in made.splitlines()) == f"{MARK} "


def test_a_name_of_an_event_is_redacted_also_where_what_was_held_leaves_under_it() -> None:
    made = through(f"event: {MAIL}\ndata: hello\n\n")
    assert MAIL not in made
    assert [event["event"] for event in events(made)] == [MARK] * len(events(made))


def test_an_empty_reason_ends_no_text() -> None:
    # Some providers send "finish_reason": "" with every piece.
    assert said(through("".join(chat((0, letter), reason="") for letter in f"to {MAIL} "))) == {0: f"to {MARK} "}


def test_two_pieces_of_one_text_in_one_event_are_not_said_twice() -> None:
    assert said(through(chat((0, "to ada@ex"), (0, "ample.com ok")))) == {0: f"to {MARK} ok"}


def test_the_texts_of_parts_are_read() -> None:
    for shape in (
        '{"choices":[{"index":0,"delta":{"content":[{"type":"text","text":%s}]}}]}',
        '{"candidates":[{"index":0,"content":{"parts":[{"text":%s}],"role":"model"}}]}',
    ):
        made = through("".join(f"data: {shape % json.dumps(letter)}\n\n" for letter in f"to {MAIL} "))
        whole = "".join("".join(_texts(json.loads(event["data"]))) for event in events(made))
        assert whole == f"to {MARK} "


def _texts(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [one for name, member in value.items() for one in ([member] if name == "text" else _texts(member))]
    return [one for member in value for one in _texts(member)] if isinstance(value, list) else []


def test_a_line_that_a_key_begins_in_still_ends() -> None:
    made = through("data: hello \n: -----BEGIN PRIVATE " + "KEY-----\ndata: you\n\n")
    assert "".join(event["data"] for event in events(made)) == "hello \nyou"


@pytest.mark.parametrize("most", [0, 1000])
def test_how_an_event_is_cut_does_not_say_how_long_it_may_be(most: int) -> None:
    # The pieces of a line were counted, and the line again.
    length = MOST_EVENT - 10
    assert len(through(f"data: {'x ' * (length // 2)}\n\n", most)) > length
    with pytest.raises(ValueError, match="longer"):
        through(f"data: {'x ' * (MOST_EVENT // 2)}\n\n", most)


@pytest.mark.parametrize("value", ["[" * 20_000 + "]" * 20_000, f'{{"a": {"1" * 5000}, "b": "\\u0061da@example.com"}}'])
@pytest.mark.parametrize("kind", ["sse", "lines"])
def test_json_that_is_not_read_does_not_pass_as_a_text(value: str, kind: Any) -> None:
    # A reader with other bounds would see the letters that are escaped in it.
    with pytest.raises(ValueError, match="nested too deeply"):
        through(f"data: {value}\n\n" if kind == "sse" else f"{value}\n", events=kind)


def test_lines_that_are_no_json_are_one_text() -> None:
    key = "-----BEGIN PRIVATE " + "KEY-----\nMIIZq9\nZq9=\n-----END PRIVATE " + "KEY-----"
    for most in (0, 1, 9):
        made = through(f'starts\n{key} x\n{{"a":1}}\ny\n', most, events="lines")
        assert made == 'starts\n[REDACTED:PRIVATE_KEY] x\n{"a":1}\ny\n'
        # One that is not over is hidden to the next line of JSON, which stays a line.
        made = through(f'{key[:40]}\n{{"a":1}}\n', most, events="lines")
        assert made == '[REDACTED:PRIVATE_KEY]\n{"a":1}\n'


def test_a_line_that_begins_with_a_colon_is_a_line_like_others_where_there_are_no_events() -> None:
    key = "-----BEGIN PRIVATE " + "KEY-----\n:MIIZq9\n: Zq9=\n-----END PRIVATE " + "KEY-----"
    for most in (0, 1, 9):
        assert through(f"starts\n{key} x\n", most, events="lines") == "starts\n[REDACTED:PRIVATE_KEY] x\n"


@pytest.mark.parametrize("apart", ["", "\n", "data: x\n\n"])
def test_a_key_over_lines_that_are_no_data_does_not_pass(apart: str) -> None:
    lines = ["-----BEGIN PRIVATE " + "KEY-----", "MIIZq9", "Zq9=", "-----END PRIVATE " + "KEY-----"]
    for field in (": ", ":", "x: ", " data: ", ""):
        text = "".join(f"{field}{line}\n{apart}" for line in lines)
        for most in (0, 1):
            made = through(f"{text}: pong\ndata: hello\n\n", most)
            assert "Zq9" not in made and "END" not in made
            assert events(made)[-1]["data"].endswith("hello")
            # Signs of life stay such.
            assert made.count("\n:") + made.startswith(":") == (5 if field.startswith(":") else 1)


def gemini(*parts: dict[str, Any]) -> str:
    return f"data: {json.dumps({'candidates': [{'content': {'role': 'model', 'parts': list(parts)}}]})}\n\n"


def listed(*parts: dict[str, Any]) -> str:
    return f"data: {json.dumps({'choices': [{'index': 0, 'delta': {'content': list(parts)}}]})}\n\n"


def parts_of(text: str) -> list[dict[str, Any]]:
    found = []
    for event in events(text):
        value = json.loads(event["data"])
        found += value["candidates"][0]["content"]["parts"] if "candidates" in value else []
        found += value["choices"][0]["delta"]["content"] if "choices" in value else []
    return found


@pytest.mark.parametrize("made", [gemini, listed])
@pytest.mark.parametrize("most", [0, 1])
def test_the_parts_of_a_candidate_are_one_text_wherever_they_stand(made: Any, most: int) -> None:
    cut = [
        made({"text": "to ada@exa"}, {"text": "mple.com ok"}),
        made({"text": "to ada@exa"}) + made({"text": ""}, {"text": "mple.com ok"}),
        made({"text": ""}, {"text": "to ada@exa"}) + made({"text": "mple.com ok"}),
        made({"text": ""}, {"text": "to "}, {"text": "ada@exa"}) + made({"text": "mple"}, {"text": ".com ok"}),
    ]
    for text in cut:
        assert "".join(part["text"] for part in parts_of(through(text, most))) == f"to {MARK} ok"


@pytest.mark.parametrize("made", [gemini, listed])
def test_thoughts_and_answers_of_one_candidate_are_two_texts(made: Any) -> None:
    thought = {"thought": True}
    text = made({"text": "I think ada@exa", **thought}, {"text": "to ada@exa"})
    text += made({"text": "mple.com ok", **thought}) + made({"text": "mple.com ok"})
    parts = parts_of(through(text))
    assert "".join(part["text"] for part in parts if part.get("thought")) == f"I think {MARK} ok"
    assert "".join(part["text"] for part in parts if not part.get("thought")) == f"to {MARK} ok"


def test_an_event_of_many_choices_that_end_one_by_one_is_not_repeated_for_each(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looks = 0

    def counting(*given: Any) -> Any:
        nonlocal looks
        looks += 1
        return place_of(*given)

    place_of = fields.place_of
    monkeypatch.setattr(fields, "place_of", counting)
    work = {}
    for count in (50, 400):
        begun = chat(*((index, f"to ada{index}@exa") for index in range(count)))
        ends = [{"choices": [{"index": i, "delta": {}, "finish_reason": "stop"}]} for i in range(count)]
        text = begun + "".join(f"data: {json.dumps(end)}\n\n" for end in ends)
        stream, looks = EventStream(Redactor(), "sse", bounded=False), 0
        left = stream.feed(text) + stream.finish()
        assert said(left) == {index: f"to ada{index}@exa" for index in range(count)}
        assert len(left) < 3 * len(text)
        work[count] = looks / count
    assert work[400] < 2 * work[50]


def test_what_is_held_of_choices_without_an_index_keeps_its_place() -> None:
    one = {"choices": [{"delta": {"content": "a ada@exa"}}, {"delta": {"content": "b bob@exa"}}]}
    two = {"choices": [{"delta": {}}, {"delta": {}, "finish_reason": "stop"}]}
    left = through("".join(f"data: {json.dumps(event)}\n\n" for event in (one, two)))
    frames = [json.loads(event["data"])["choices"] for event in events(left)]
    texts = [[choice.get("delta", {}).get("content") for choice in choices] for choices in frames]
    assert texts == [["a ", "b "], [None, "bob@exa"], [None, None], ["ada@exa"]]


def ending(count: int, begun: dict[str, Any], name: str = "") -> str:
    ends = [{"choices": [{"index": index, "finish_reason": "stop"}]} for index in range(count)]
    return "".join(f"{name}data: {json.dumps(event)}\n\n" for event in (begun, *ends))


@pytest.mark.parametrize("beside", [{"x": ["y"] * 4000}, {"x": "y" * 30_000}, {f"x{n}": n for n in range(2000)}])
@pytest.mark.parametrize("bounded", [True, False])
def test_what_stands_beside_choices_is_not_repeated_for_each_that_ends(beside: dict[str, Any], bounded: bool) -> None:
    text = ending(60, {"id": "c1", **beside, "choices": [*map(choice, range(60))]})
    stream = EventStream(Redactor(), "sse", bounded=bounded)
    left = stream.feed(text) + stream.finish()
    assert len(left) < 2 * len(text)
    assert left.count("ada@exa") == 60


def choice(index: int) -> dict[str, Any]:
    return {"index": index, "delta": {"content": "to ada@exa"}}


@pytest.mark.parametrize(
    ("event", "name"),
    [
        ({"choices": [{"delta": {"content": "to ada@exa"}}] * 500}, ""),
        ({"item_id": "i" * 20_000, "choices": [*map(choice, range(60))]}, ""),
        ({"choices": [*map(choice, range(60))]}, f"event: {'n' * 20_000}\n"),
    ],
    ids=["places", "own", "name"],
)
def test_events_that_would_be_much_longer_than_what_came_end_the_stream(event: dict[str, Any], name: str) -> None:
    first, rest = f"{name}data: {json.dumps(event)}\n\n", ending(500, {})
    stream = EventStream(Redactor(), "sse", bounded=False)
    left = stream.feed(first)
    with pytest.raises(ValueError, match="much longer"):
        for at in range(0, len(rest), 1000):
            left += stream.feed(rest[at : at + 1000])
        stream.finish()
    assert len(left) < 5 * (len(first) + len(rest)) + (1 << 16)


@pytest.mark.parametrize("own", [4111111111111111, "4111 1111 1111 1111", MAIL])
def test_a_text_whose_events_number_is_redacted_leaves_all_the_same(own: Any) -> None:
    values = [{"item_id": own, "delta": "hello ada@exa"}, {"item_id": own, "delta": "mple.com, again"}]
    values.append({"choices": [{"index": own, "delta": {"content": "and"}, "finish_reason": "stop"}]})
    found = [
        json.loads(event["data"]) for event in events(through("".join(f"data: {json.dumps(v)}\n\n" for v in values)))
    ]
    assert "".join(value.get("delta", "") for value in found) == f"hello {MARK}, again"
    assert str(own) not in json.dumps(found)
    assert [value["choices"][0]["delta"]["content"] for value in found if "choices" in value] == ["and"]


def test_parts_with_an_index_and_two_candidates_are_texts_of_their_own() -> None:
    parts = [{"index": 0, "text": "ada@"}, {"index": 1, "text": "example.com "}]
    made = through(gemini(*parts))
    assert MARK not in made
    assert sorted(part["text"] for part in parts_of(made) if part["text"].strip()) == ["ada@", "example.com"]
    both = [{"content": {"parts": [{"text": text}]}} for text in ("ada@", "example.com ")]
    made = through(f"data: {json.dumps({'candidates': both})}\n\n")
    assert MARK not in made and "ada@" in made


def test_a_text_that_is_no_json_is_over_when_the_name_of_its_events_changes() -> None:
    frames = "".join(f"event: n{at}\ndata: to {MAIL}\n\n" for at in range(MOST_TEXTS * 2))
    found = events(through(frames))
    assert [event["event"] for event in found[::2]] == [f"n{at}" for at in range(MOST_TEXTS * 2)]
    assert {f"{one['data']}{two['data']}" for one, two in zip(found[::2], found[1::2], strict=True)} == {f"to {MARK}"}
    # What stands between does not end it; each name's own words come before those of the next.
    frames = 'event: a\ndata: ada@exa\n\nevent: b\ndata: {"x":1}\n\nevent: a\ndata: mple.com\n\n'
    assert "".join(event["data"] for event in events(through(frames))) == f'{{"x":1}}{MARK}'
    frames = 'event: a\ndata: "ada"\n\nevent: b\ndata: "bob"\n\n'
    assert [(one["event"], one["data"]) for one in events(through(frames)) if one["data"] != '""'] == [
        ("a", '"ada"'),
        ("b", '"bob"'),
    ]


def test_what_ends_a_text_ends_no_other() -> None:
    def delta(item: str, output: int, content: int, text: str) -> str:
        where = {"item_id": item, "output_index": output, "content_index": content}
        return f"data: {json.dumps({'type': 'response.output_text.delta', **where, 'delta': text})}\n\n"

    def done(**where: Any) -> str:
        return f"data: {json.dumps({'type': 'response.output_text.done', **where})}\n\n"

    begun = delta("m1", 0, 0, "ada@") + delta("m1", 0, 1, "bob@") + delta("m2", 1, 0, "eve@")
    for where, left in [
        ({"item_id": "m1", "content_index": 0}, ["ada@"]),
        ({"output_index": 0}, ["ada@", "bob@"]),
        ({"content_index": 0, "output_index": 1}, ["eve@"]),
        ({"item_id": "m1", "output_index": 1}, []),
        ({"item_id": ["m1"]}, []),
        ({}, ["ada@", "bob@", "eve@"]),
    ]:
        stream = Redactor().stream(events="sse")
        stream.feed(begun)
        made = stream.feed(done(**where))
        assert [json.loads(one["data"])["delta"] for one in events(made)[:-1]] == left, where
        rest = [json.loads(one["data"])["delta"] for one in events(stream.finish())]
        assert sorted(left + rest) == ["ada@", "bob@", "eve@"]
