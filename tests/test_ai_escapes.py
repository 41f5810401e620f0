"""AI endpoints: an answer that is JSON says what its escapes spell, to the filters as to whoever reads it."""

from __future__ import annotations

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
]


def test_a_link_in_json_is_removed_however_it_is_escaped() -> None:
    said = ""
    asked = Asked(
        lambda prompt: ai.stream(pieces(said, 3)) if prompt.get("stream") else saying(said),
        output=[ai.links(allow=["shop.example"])],
    )
    for number, link in enumerate(LINKS * 2):
        said = FRAMES[number % len(FRAMES)] % link
        whole = asked.ask().json["choices"][0]["message"]["content"]
        assert not leads(read(whole)), (said, whole)
        assert asked.last["findings"], said
        assert text_of(asked.ask(stream=True)) == whole


def read(text: str) -> str:
    """What whoever takes the JSON out of an answer shows of it."""
    value = json.loads(text.strip("`").removeprefix("JSON").removeprefix("\ufeff"))
    while not isinstance(value, str):
        value = value[-1] if isinstance(value, list) else value["say"]
    return value


def leads(text: str) -> bool:
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
    ],
)
def test_what_is_no_json_keeps_its_escapes(text: str) -> None:
    for size in (1, 4, 1000):
        assert through(text, size) == text


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
