"""Names and values as programs really write them: encoded, escaped, in parts, in pairs, below one another.

Each text is made by what makes such texts (``urllib``, ``html``, werkzeug's client, ``repr``), and is looked through whole and in
a stream, cut at every place.
"""

from __future__ import annotations

import html
import json
import shlex
from collections.abc import Callable
from http.cookiejar import Cookie
from typing import Any
from urllib.parse import quote, quote_plus, urlencode

import pytest
from flask.json.tag import TaggedJSONSerializer
from werkzeug.datastructures import Headers
from werkzeug.test import encode_multipart

from flask_rampart import Redactor

SECRET = 'Zq9 "hunter" \\2'
"""What no text may show: with a blank, quotes and a backslash, which each way to write escapes in its own."""
REST = {"user": "ann", "n": 7}
REDACTOR = Redactor()


def numbered(text: str, form: str) -> str:
    """Quotes and signs by their numbers, as .NET (``\\u0022``) and nginx (``\\x22``) log them."""
    width = 4 if form == "u" else 2
    return "".join(f"\\{form}{ord(sign):0{width}X}" if sign in "\"'\\&<>+=" else sign for sign in text)


def cookie() -> Cookie:
    return Cookie(0, "sid", "Zq9", None, False, "x.org", True, False, "/", True, False, None, False, None, None, {})


def multipart() -> str:
    return encode_multipart({"user": "ann", "password": "Zq9 x", "n": "7"}, boundary="b0undary")[1].decode()


def member(name: str, value: str) -> dict[str, str]:
    return {"name": name, "value": value}


BODY = {"password": SECRET, **REST}
WRITTEN: dict[str, Callable[[], str]] = {
    "percent": lambda: "/a?q=" + quote(json.dumps(BODY)) + "&b=1",
    "percent, compact": lambda: "/a?q=" + quote(json.dumps(BODY, separators=(",", ":"))) + "&b=1",
    "percent, as a form": lambda: "q=" + quote_plus(json.dumps(BODY)) + "&user=ann",
    "percent, colons kept": lambda: "q=" + quote(json.dumps(BODY), safe=":,") + " ann",
    "percent, twice": lambda: (
        "next=" + quote(quote("/a?" + urlencode({"password": "Zq9", "user": "ann"}), safe=""), safe="")
    ),
    ".NET": lambda: json.dumps({"m": "@"}).replace("@", numbered(json.dumps(BODY), "u")),
    "nginx": lambda: f'"POST / HTTP/1.1" 200 "{numbered(json.dumps(BODY), "x")}" ann',
    "nginx, a form": lambda: f'200 "{numbered("user=ann&password=Zq9", "x")}"',
    "a tagged session": lambda: numbered(TaggedJSONSerializer().dumps({"user": "ann", "token": SECRET}), "u"),
    "a page": lambda: f"<pre>{html.escape(json.dumps(BODY))}</pre> ann",
    "a page with a repr": lambda: f"<pre>{html.escape(str({'user': 'ann', 'password': 'Zq9 x'}))}</pre>",
    "multipart": multipart,
    "multipart, in a repr": lambda: repr(multipart().encode()),
    "multipart, in JSON": lambda: json.dumps({"body": multipart(), "user": "ann"}),
    "below, JSON": lambda: json.dumps(BODY, indent=1).replace(": ", ":\n  "),
    "below, YAML": lambda: "user: ann\npassword:\n  Zq9\nn: 7",
    "below, a block of YAML": lambda: "password: |\n  Zq9 x\n  Zq9\nuser: ann",
    "beside": lambda: json.dumps([member("user", "ann"), member("password", SECRET)]),
    "beside, before": lambda: json.dumps([{"value": SECRET, "name": "password"}, member("user", "ann")]),
    "beside, in JSON": lambda: json.dumps({"m": json.dumps([member("user", "ann"), member("pin", "Zq9")])}),
    "beside, in Python": lambda: str([member("user", "ann"), member("X-Api-Key", "Zq9")]),
    "a form's field": lambda: f'<input name="user" value="ann"><input name="password" value="{html.escape(SECRET)}">',
    "a form's field, before": lambda: f'<input value="{html.escape(SECRET)}" name="password"> ann',
    "a cookie": lambda: f"ann has {cookie()!r}",
    "a command": lambda: shlex.join(["mysql", "--user", "ann", "--password", "Zq9 x"]),
    "a command's list": lambda: str(["mysql", "--password", "Zq9 x", "--user", "ann"]),
    "full width": lambda: "user\uff1aann\uff0cpassword\uff1aZq9",
    "headers": lambda: str(list(Headers({"user": "ann", "Authorization": "Bearer Zq9"}))),
    "headers of ASGI": lambda: str([[b"user", b"ann"], [b"authorization", b"Bearer Zq9"]]),
    "headers of ASGI, as JSON": lambda: json.dumps([["user", "ann"], ["cookie", "a=Zq9; b=Zq9"]]),
}


def leaks(text: str) -> bool:
    return any(part in text for part in ("Zq9", "hunter"))


@pytest.mark.parametrize("way", WRITTEN)
def test_a_secret_is_hidden_however_it_is_written_and_what_stands_beside_it_stays(way: str) -> None:
    text = WRITTEN[way]()
    made = REDACTOR.redact(text)
    assert leaks(text)
    assert not leaks(made), made
    assert "ann" in made
    assert REDACTOR.redact(made) == made


@pytest.mark.parametrize("way", WRITTEN)
def test_a_stream_says_the_same_wherever_it_is_cut(way: str) -> None:
    text = WRITTEN[way]()
    expected = REDACTOR.redact(text)
    cuts: list[list[Any]] = [[text[:at], text[at:]] for at in range(0, len(text), 1 + len(text) // 100)]
    for chunks in [*cuts, list(text)]:
        stream = REDACTOR.stream()
        made = []
        for chunk in chunks:
            made.append(stream.feed(chunk))
            assert stream.held <= stream.hold
        assert "".join([*made, stream.finish()]) == expected


def test_json_stays_json() -> None:
    for text in (WRITTEN[way]() for way in (".NET", "multipart, in JSON", "below, JSON", "beside", "beside, in JSON")):
        made = json.loads(REDACTOR.redact(text))
        assert type(made) is type(json.loads(text))
    inner = json.loads(json.loads(REDACTOR.redact(WRITTEN[".NET"]()))["m"])
    assert inner == {"password": "[REDACTED:PASSWORD]", **REST}


@pytest.mark.parametrize(
    "text",
    [
        "password=\n2026-11-30 12:00:00,123 INFO started",
        "Enter your password: \n",
        "ValueError: invalid password:\n  must have eight letters",
        "Traceback:\n  if not token:\n    return\nclass Token:\n    pass",
        "use --password to log in; the --token option is old; usage: app [--password PASSWORD]",
        "missing fields: ['password', 'email', 'name']",
        'the part name="password"\n\nis missing',
        '{"name": "password", "type": "text"}, {"value": "ann"}',
        '<input name="password"><input value="Send">',
        "a &quot;password&quot; is needed; %22password%22 too, and \\u0022password\\u0022",
        "注意\uff1apassword",
    ],
)
def test_what_only_speaks_of_secrets_stays(text: str) -> None:
    assert REDACTOR.redact(text) == text
