"""AI endpoints: an answer that is JSON says what its escapes spell, to the filters as to whoever reads it."""

from __future__ import annotations

import contextlib
import json
import random

import pytest

from flask_rampart import ai
from flask_rampart.ai.unescaping import Unescaping

from .asking import Asked, pieces, saying, text_of

LINKS = [
    r"https:\/\/evil.example\/?q=s",
    r"\u0068ttps://evil.example/?q=s",
    r"\u0068\u0074\u0074\u0070\u0073\u003a\u002f\u002f\u0065vil.example/?q=s",
    r"see ![x]\u0028https://evil.example/?q=s)",
    r"see \u0021\u005bx\u005d(//evil.example/?q=s)",
    r"\u003cimg src='https:\/\/evil.example/?q=s'\u003e",
    r"\u003Cimg src=\u0022https:\/\/evil.example/?q=s\u0022>",
    r"\u0077ww.evil.example/?q=s",
    r"//evil\u002eexample/?q=s",
]
FRAMES = [
    '{"say": "%s"}',
    ' \n[ "a \\" b", {"say": "%s"}]',
    '"%s"',
    '```JSON\n{"say": "%s"}\n```',
    '```\n["%s"]\n```',
    '\ufeff{"a": 1, "say": "%s"}',
    '````json\n{"say": "%s"}\n````',
    '~~~json\n{"say": "%s"}\n~~~',
    '~~~~\n"%s"\n~~~~',
    'Here is the JSON: {"say": "%s"}. Enjoy!',
    'Sure.\n\n```json\n[{"n": [1, true], "say": "%s"}]\n```\nAnd "this".',
    'A text:\n```json\n\n "%s"\n```',
    'A "quote, {"say": "%s"} and ["a", "b"',
    # JSON begins in what looks like a text of other JSON, behind its backslash too.
    '{"x": "{"use": "%s"}',
    '{"x": "\\{"say": "%s"}',
    'see {"x": "[{"use": ["%s"]}] "',
    '\\[ \\{"say": "%s"}',
    'say {"a": ], {"say": "%s"}',
    'say {a: ["%s"]}',
    'say ["%s", {"bad": nope}]',
]


def test_a_link_in_json_is_removed_however_it_is_escaped() -> None:
    said = ""
    asked = Asked(
        lambda prompt: ai.stream(pieces(said, 3)) if prompt.get("stream") else saying(said),
        output=[ai.links(allow=["shop.example"])],
    )
    for number, frame in enumerate(FRAMES * 2):
        said = frame % LINKS[number % len(LINKS)]
        whole = asked.ask().json["choices"][0]["message"]["content"]
        assert read(whole) and not leads(read(whole)), (said, whole)
        assert asked.last["findings"], said
        assert text_of(asked.ask(stream=True)) == whole


def read(text: str) -> list[object]:
    """All JSON that whoever looks for it finds in an answer."""
    places = [place for place, char in enumerate(text) if char in "[{"]
    if '"' in text[:12] or "```" in text:
        places += [place for place, char in enumerate(text) if char == '"']
    values = list[object]()
    for place in places:
        with contextlib.suppress(ValueError):
            values.append(json.JSONDecoder(strict=False).raw_decode(text, place)[0])
    return values


def leads(value: object) -> bool:
    if isinstance(value, dict | list):
        return any(map(leads, value.values() if isinstance(value, dict) else value))
    text = str(value)
    return any(f"{before}evil.example" in text for before in ("https://", "(//", "www.")) or text.startswith("//evil")


def test_what_other_steps_look_for_is_found_in_escapes_too() -> None:
    text = r'{"to": "bob\u0040example.com", "word": "\u0043ANARY4f1d\u0039c2ab7e0", "a": "x\u200by"}'
    steps = [ai.clean(), ai.leak(canary="CANARY4f1d9c2ab7e0", on_finding="replace"), ai.redact()]
    made = Asked(lambda prompt: saying(text), output=steps).ask().json["choices"][0]["message"]["content"]
    assert json.loads(made) == {"to": "[REDACTED:EMAIL_ADDRESS]", "word": "[canary]", "a": "xy"}


# Programs and prose have backslashes of their own.
@pytest.mark.parametrize(
    "text",
    [
        r"In JSON, \u0068 is an h, and /^https:\/\/shop\.example/ is an expression.",
        r"{x \in R: \u0061 \/ b}",
        r"[link](#here) and \u0061 \/ b",
        r"```py" + "\n" + r'"\u0061 \/"' + "\n```",
        "`json` says \\u0061",
        r"{ \"a\": \u0061",
        r"{x: 1} \u0061 and f(a[0], \"\/\")",
        r"He said: \"\u0061\". [1] \"\/\"",
        "```py\n[1]\n```\nthen\n" + r"\"\u0061 \/\"",
        "Both:\n```py\n" + r'"\u0061 \/"' + "\n```",
        r"/[^x\"']\/[\"'\/]/",
    ],
)
def test_what_is_no_json_keeps_its_escapes(text: str) -> None:
    for size in (1, 4, 1000):
        assert through(text, size) == text


# It could be in the way of what tells JSON from other text, and nobody would see it there.
def test_what_is_not_seen_hides_no_json() -> None:
    said = ""
    asked = Asked(lambda prompt: saying(said), output=[ai.clean(), ai.links(allow=["shop.example"])])
    for unseen in ("\u200b", "\x1b[0m", "\x1b]0;{x\x07", "\U000e0041"):
        for text in ('{%s"say": "%s"}', 'see {"a":%s["%s"]}', 'see {"say"%s: "%s"}'):
            said = text % (unseen, r"\u200bhttps:\/\/evil.example/?q=s")
            made = asked.ask().json["choices"][0]["message"]["content"]
            assert read(made) and not leads(read(made)), (said, made)
            assert "\u200b" not in str(read(made))


def test_no_json_in_a_text_keeps_what_it_may_say_without_an_escape() -> None:
    rng = random.Random(4)
    parts = ['{"', '"}', '"', '": "', '", "', "{", "}", "[", "]", "use", "\\", "\\/", "\\u0068", "\\u0022", "\n", "1"]
    parts += ['{"a": "', '["a\\/', '"]', '"}', '{"use": ["\\u0068', '"]}']
    found = 0
    for _ in range(300):
        text = "so " + "".join(rng.choices(parts, k=rng.randrange(4, 14)))
        whole = through(text, len(text))
        for size in (1, 3):
            assert through(text, size) == whole, text
        # With the brackets alone: a quote by itself begins no JSON.
        before, after = ([value for value in read(said) if not isinstance(value, str)] for said in (text, whole))
        assert after == before, (text, whole)
        for place, char in enumerate(whole):
            with contextlib.suppress(ValueError):
                end = json.JSONDecoder(strict=False).raw_decode(whole, place)[1] if char in "[{" else place
                assert through(" " + whole[place:end], 100) == " " + whole[place:end], (text, whole)
                found += "\\/" in text and end > place + 2
    assert found > 20


def test_json_means_the_same_without_its_escapes_however_it_is_cut() -> None:
    rng = random.Random(3)
    parts = [
        "\\\\",
        "\\n",
        "\\/",
        '\\"',
        "\\u0068",
        "\\u000a",
        "\\u0022",
        "\\u005C",
        "\\ud835\\udc21",
        "\\ud83d",
        "\\udc21",
        "u0068",
        "é",
        " ",
        "\\u00e9",
    ]
    for _ in range(150):
        text = '{"a": "' + "".join(rng.choices(parts, k=rng.randrange(12))) + '"}'
        whole = through(text, len(text))
        assert json.loads(whole) == json.loads(text), text
        assert "\\/" not in whole.replace("\\\\", "") and "\\u0068" not in whole.replace("\\\\", "")
        for size in (1, 2, 5):
            assert through(text, size) == whole, text


def test_what_json_ends_in_the_middle_of_leaves_as_it_was() -> None:
    for end in ("\\", "\\u", "\\u00", "\\ud835", "\\ud835\\", "\\ud835\\udc2"):
        assert through('{"a": "' + end, 1) == '{"a": "' + end


def through(text: str, size: int) -> str:
    reader = Unescaping()
    return "".join(reader.feed(text[at : at + size]) for at in range(0, len(text), size)) + reader.finish()
