"""What the check follows in a source: names of the module, and keys that calls take by their place."""

from __future__ import annotations

import ast
import sys
from types import FrameType
from typing import Any

import pytest

from flask_rampart.check.literals import texts_of
from flask_rampart.check.names import Names

from .checking import Place, checked, of, place

__all__ = ["place"]

LITERAL = "Xk3-nQ9_wTz7Rv5LpHd2"


@pytest.mark.parametrize(
    "source, line",
    [
        (f'VALUE = "{LITERAL}"\napp.secret_key = VALUE', 1),
        (f'VALUE = os.environ.get("X", "{LITERAL}")\napp.secret_key = VALUE', 1),
        (f'first, VALUE = "a", "{LITERAL}"\nSECRET_KEY = VALUE', 1),
        (f'one = "{LITERAL}"\ntwo = one\nthree = two.encode()\nSECRET_KEY = three', 1),
        (f'one = two\ntwo = one\none = "{LITERAL}"\nSECRET_KEY = two', 3),
        (f'def make(value="{LITERAL}"):\n    app.secret_key = value', 1),
        (f'def make():\n    value = "{LITERAL}"\n    app.config["SECRET_KEY"] = value', 2),
        (f'class Config:\n    VALUE = "{LITERAL}"\napp.secret_key = Config.VALUE', 2),
        (f'VALUE = "{LITERAL}"\napp.config.update(SECRET_KEY=VALUE)', 1),
        (f'VALUE = "{LITERAL}"\nKEYS = [{{"alg": "HS256", "secret": VALUE}}]', 1),
        (f'PART = "{LITERAL}"\nDB_PASSWORD = "aa-" + PART', 2),
        ('jwt.encode(claims, "secret")', 1),
        ('jwt.decode(token, key="sunshine", algorithms=["HS256"])', 1),
        (f'KEY = "{LITERAL}"\njose.jwt.encode(claims, KEY)', 1),
        ('hmac.new(b"sunshine", data, "sha256")', 1),
        (f'URLSafeTimedSerializer("{LITERAL}")', 1),
        (f'box = Fernet(b"{LITERAL}")', 1),
        ('smtp.login("shop", "sunshine")', 1),
        (f'VALUE = "{LITERAL}"\ndef make(VALUE=VALUE):\n    app.secret_key = VALUE', 1),
        (f'VALUE = "{LITERAL}"\nmake = lambda VALUE=VALUE: jwt.encode(claims, VALUE)', 1),
        (f'VALUE = "{LITERAL}"\n@signed(Fernet(VALUE))\ndef make(VALUE): ...', 1),
        (f'VALUE = "{LITERAL}"\ndef make(VALUE: Annotated[str, Fernet(VALUE)]): ...', 1),
        (f'class Config:\n    VALUE = "{LITERAL}"\n    def make(self, key=VALUE):\n        Fernet(key)', 2),
        (f'VALUE = None\ndef begin():\n    global VALUE\n    VALUE = "{LITERAL}"\ndef make():\n    Fernet(VALUE)', 4),
        (
            "def outer():\n    value = None\n    def begin():\n        nonlocal value\n"
            f'        value = "{LITERAL}"\n    Fernet(value)',
            5,
        ),
        (f'[last := "{LITERAL}" for _ in data]\nFernet(last)', 1),
        (f'VALUE = "{LITERAL}"\n[Fernet(VALUE) for other in data]', 1),
        ('from jwt import encode\nencode(claims, "sunshine")', 2),
        ('from jwt import encode as sealed\nsealed(claims, "sunshine")', 2),
        ('import jwt as pyjwt\npyjwt.encode(claims, "sunshine")', 2),
        ('from jose import jwt as tokens\ntokens.encode(claims, "sunshine")', 2),
        ('from itsdangerous import Serializer\nSerializer("sunshine")', 2),
        ('import itsdangerous as its\nits.TimedSerializer("sunshine")', 2),
        ('get(url, auth=HTTPBasicAuth("shop", "sunshine"))', 1),
    ],
)
def test_a_secret_is_found_behind_a_name_and_where_a_call_takes_it(place: Place, source: str, line: int) -> None:
    (place.folder / "settings.py").write_text(source)
    (finding,) = of(place.app(), "RMP-105")
    assert (finding.place.file, finding.place.line) == ("settings.py", line)
    assert LITERAL not in str(finding) and "sunshine" not in str(finding)


@pytest.mark.parametrize(
    "source",
    [
        f'VALUE = "{LITERAL}"\ndef make(value):\n    app.secret_key = value',
        f'VALUE = "{LITERAL}"\ndef make(VALUE):\n    app.secret_key = VALUE',
        f'def other():\n    value = "{LITERAL}"\ndef make():\n    app.secret_key = value',
        f'class Config:\n    VALUE = "{LITERAL}"\n    def make(self):\n        app.secret_key = VALUE',
        'VALUE = os.environ["VALUE"]\napp.secret_key = VALUE',
        'VALUE = "reset-password"\nSALT = VALUE',
        "jwt.encode(claims, current_app.secret_key)",
        'jwt.decode(token, "", options={"verify_signature": False})',
        'jwt.decode(token, "-----BEGIN PUBLIC KEY-----\\nMFkw")',
        'jwt.encode(claims, f"{left}{right}")',
        "jwt.encode(*given)",
        'base64.encode(data, "secret-of-2")',
        'text.encode("utf-8", "surrogatepass")',
        "one = two\ntwo = one\nSECRET_KEY = one",
        f'VALUE = "{LITERAL}"\ndef make():\n    for VALUE in data:\n        Fernet(VALUE)',
        f'VALUE = "{LITERAL}"\ndef make():\n    with data as VALUE:\n        Fernet(VALUE)',
        f'VALUE = "{LITERAL}"\ndef make():\n    from settings import VALUE\n    Fernet(VALUE)',
        f'VALUE = "{LITERAL}"\ndef make():\n    [Fernet(VALUE) for VALUE in data]',
        'flask_login.login("ada", "next_page")',
        'page.login("ada", "dashboard")',
        'form.login("Sign in", "Cancel")',
        'Serializer("json")',
        'serializers.Serializer("sunshine")',
        'from rest_framework.serializers import Serializer\nSerializer("sunshine")',
        'jwt.decode(token, "keys/jwks.json")',
        'jwt.decode(token, "/etc/keys/public.pem")',
        'jwt.decode(token, "-----BEGIN RSA PUBLIC KEY-----\\nMFkw")',
    ],
)
def test_what_a_name_or_a_call_does_not_say_is_no_secret(place: Place, source: str) -> None:
    (place.folder / "settings.py").write_text(f"import os, jwt\n{source}\n")
    assert checked(place.app()).findings == []


def test_a_password_behind_a_name_is_in_the_address(place: Place) -> None:
    (place.folder / "settings.py").write_text('WORD = "hunter2"\nDB = f"postgresql://app:{WORD}@db/shop"\n')
    (finding,) = of(place.app(), "RMP-106")
    assert finding.place.line == 2 and "hunter2" not in finding.message


@pytest.mark.parametrize(
    "source, found",
    [
        ("KEY = os.urandom(32)\napp.secret_key = KEY", True),
        ('KEY = os.environ.get("KEY")\nif not KEY:\n    KEY = os.urandom(32)\napp.secret_key = KEY', False),
    ],
)
def test_a_secret_that_is_made_and_named_first_is_another_in_each_worker(
    place: Place, source: str, found: bool
) -> None:
    (place.folder / "settings.py").write_text(source)
    assert len(of(place.app(), "RMP-107")) == found


def test_names_that_stand_for_each_other_without_end_are_followed_in_time(place: Place) -> None:
    lines = [f"a{index} = a{index + 1} or a{index + 1}" for index in range(300)]
    (place.folder / "settings.py").write_text("\n".join([*lines, f'a5 = "{LITERAL}"', "SECRET_KEY = a0"]))
    assert len(of(place.app(), "RMP-105")) == 1


def lines_run(source: str) -> int:
    """How many lines of Python are run to say what the last expression of a source comes to."""
    tree = ast.parse(source)
    names = Names(tree)
    last = tree.body[-1]
    assert isinstance(last, ast.Expr)
    count = 0

    def traced(frame: FrameType, event: str, given: Any) -> Any:
        nonlocal count
        count += event == "line"
        return traced

    before = sys.gettrace()
    sys.settrace(traced)
    try:
        found = list(texts_of(last.value, names.given_to))
    finally:
        sys.settrace(before)
    assert found and all(len(text) < 20_000 for _, text in found)
    return count


@pytest.mark.parametrize(
    "source",
    [
        lambda number: 'x = "a"\n' * number + "x",
        lambda number: "x = 1\n" * number + 'x = "a"\nx',
        lambda number: 's = "a"' + ' + "a"' * number + '\ns + "b"',
        lambda number: 's = f"' + "{a}b" * number + '"\ns + "c"',
        lambda number: 's = ["a"' + ', "a"' * number + "]\ns",
        lambda number: 's = "a"' + ' or "a"' * number + "\ns",
        lambda number: f's = "{"a" * number * 50}"\ns',
    ],
)
def test_a_name_costs_the_same_whatever_it_stands_for(source: Any) -> None:
    # So that a file of names is read in a time that grows as the file does.
    assert lines_run(source(600)) == lines_run(source(1200))
