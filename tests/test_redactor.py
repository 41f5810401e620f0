"""The redactor in Python: operators, findings, texts and bytes."""

from __future__ import annotations

import base64
import copy
import hashlib
import hmac
import io
import json
import logging
import pickle
import random
import re
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from flask_rampart import ConfigError, Rampart, Redactor
from flask_rampart.redaction import (
    Custom,
    Encrypt,
    Finding,
    Hash,
    Keep,
    Mask,
    Operator,
    Pseudonymize,
    Redact,
    RedactingFormatter,
    Replace,
    operators,
)

KEY = b"k" * 31 + b"!"
MAIL = "ada@example.com"


def only(operator: Any, text: str = f"mail {MAIL}!") -> str:
    return Redactor(operators={"EMAIL_ADDRESS": operator}).redact(text)


class Vault:
    """Stands for one that encrypts: what it was given is seen, and bound to its associated data."""

    def seal(self, plaintext: bytes, /, *, associated_data: bytes) -> bytes:
        context = len(associated_data).to_bytes(2, "big") + associated_data
        return b"\xfb\xff" + bytes(byte ^ 0x5A for byte in context + plaintext)

    def open(self, ciphertext: bytes, /, *, associated_data: bytes) -> bytes:
        plain = bytes(byte ^ 0x5A for byte in ciphertext[2:])
        context = len(associated_data).to_bytes(2, "big") + associated_data
        if not plain.startswith(context):
            raise ValueError("not authentic")
        return plain.removeprefix(context)


@pytest.mark.parametrize(
    ("operator", "shown"),
    [
        (Replace(), "[REDACTED:EMAIL_ADDRESS]"),
        (Replace("<{entity}>"), "<EMAIL_ADDRESS>"),
        (Replace("{0} {entity.__class__}"), "{0} {entity.__class__}"),  # no format string: nothing is looked up
        (Redact(), ""),
        (Keep(), MAIL),
        (Mask(), "***************"),
        (Mask("#", keep_first=1, keep_last=4), "a##########.com"),
        (Mask(most=3), "***@example.com"),
        (Mask(most=4, from_end=True), "ada@example****"),
        (Mask(most=99), "***************"),
        (Hash(KEY), hmac.new(KEY, MAIL.encode(), hashlib.sha256).hexdigest()),
        (Custom(lambda value: value.split("@")[1]), "example.com"),
    ],
    ids=lambda value: value.name if isinstance(value, Operator) else "",
)
def test_each_operator_does_what_its_name_says(operator: Operator, shown: str) -> None:
    assert only(operator) == f"mail {shown}!"


@pytest.mark.parametrize(
    ("given", "same"),
    [
        ({"type": "replace", "new_value": "X"}, Replace("X")),
        ({"type": "mask", "masking_char": "#", "chars_to_mask": 4, "from_end": True}, Mask("#", most=4, from_end=True)),
        ({"type": "mask", "masking_char": "#", "chars_to_mask": 4, "from_end": False}, Mask("#", most=4)),
        ({"type": "mask", "keep_last": 4, "from_end": False}, Mask(keep_last=4)),
        ({"type": "redact"}, Redact()),
        ({"type": "keep"}, Keep()),
        ("redact", Redact()),
        ({"type": "custom", "lambda": len}, Custom(len)),  # type: ignore[arg-type]
    ],
    ids=lambda value: "",
)
def test_what_presidio_calls_an_operator_config_is_taken(given: Any, same: Operator) -> None:
    @dataclass
    class OperatorConfig:
        operator_name: str
        params: dict[str, Any]

    assert operators.operator_of(given, "x") == same
    if isinstance(given, dict):
        params = {name: value for name, value in given.items() if name != "type"}
        assert operators.operator_of(OperatorConfig(given["type"], params), "x") == same


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Mask(""), "one visible character"),
        (lambda: Mask("xx"), "one visible character"),
        (lambda: Mask("7"), "one visible character"),
        (lambda: Mask('"'), "one visible character"),
        (lambda: Mask("\n"), "one visible character"),
        (lambda: Mask(keep_last=-1), "keep_last"),
        (lambda: Mask(keep_last=True), "keep_last"),
        (lambda: Mask(most=4, keep_last=4), "how many"),
        (lambda: Mask(from_end=True), "most="),
        (lambda: Replace(7), "a text"),  # type: ignore[arg-type]
        (lambda: Custom("x"), "a function"),  # type: ignore[arg-type]
        (lambda: Encrypt(KEY), "a vault"),  # type: ignore[arg-type]
        (lambda: Encrypt(Vault(), scope=7), "is a text"),  # type: ignore[arg-type]
        (lambda: Pseudonymize(KEY, scope=7), "scope"),  # type: ignore[arg-type]
        (lambda: only(Mask), "Mask(...), with parentheses"),
        (lambda: only("mesk"), "Did you mean mask?"),
        (lambda: only({"type": "mask", "keep_lats": 4}), "Did you mean keep_last?"),
        (lambda: only({"type": "hash"}), "hash needs key"),
        (lambda: only({"keep_last": 4}), "takes an operator"),
        (lambda: only(7), "takes an operator"),
        (lambda: Redactor(operators={"EMAIL_ADRESS": Redact()}), "Did you mean EMAIL_ADDRESS?"),
        (lambda: Redactor(operators=[Redact()]), "operators= is a dict"),  # type: ignore[arg-type]
        (lambda: Redactor(names="password"), "not one text"),
        (lambda: Redactor(names=[""]), "name"),
        # presidio#1845: a salt beside the hashes is no secret. Its `encrypt` is CBC with a bare key.
        (lambda: only({"type": "hash", "salt": "s"}), "a key instead of a salt"),
        (lambda: only({"type": "hash", "hash_type": "md5", "key": KEY}), "HMAC-SHA-256"),
        (lambda: only({"type": "encrypt", "key": "WmZq4t7w!z%C&F)J"}), "a vault instead of a key"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_be_meant_is_refused_when_it_is_made(make: Any, says: str) -> None:
    with pytest.raises(ConfigError) as told:
        make()
    assert says in str(told.value)


@pytest.mark.parametrize("key", [b"", b"short", "x" * 31, None, 7], ids=["empty", "short", "text", "none", "number"])
@pytest.mark.parametrize("kind", [Hash, Pseudonymize])
def test_a_hash_without_a_key_is_not_to_be_had(kind: Any, key: Any) -> None:
    # presidio#1845: the plain hash of a telephone number is that number, to whoever counts to ten billion.
    with pytest.raises(ConfigError, match="32 bytes"):
        kind(key)


def test_a_hash_is_the_same_in_each_text_and_another_for_each_key() -> None:
    # Presidio draws a salt for each call: what it hashes compares with nothing (presidio#1102).
    assert only(Hash(KEY)) == only(Hash(KEY.decode()))
    assert only(Hash(KEY)) != only(Hash(b"other key" + KEY))


def test_pseudonyms_are_stable_and_joined_by_nobody_across_scopes() -> None:
    one, other = Pseudonymize(KEY, scope="shop-1"), Pseudonymize(KEY, scope="shop-2")
    name = one.apply(MAIL, "EMAIL_ADDRESS")
    assert name == "EMAIL_ADDRESS_ryrjtkbfyh4sesbx"
    assert name == Pseudonymize(KEY, scope="shop-1").apply(MAIL, "EMAIL_ADDRESS")
    assert len({name[-16:], other.apply(MAIL, "EMAIL_ADDRESS")[-16:], one.apply(MAIL, "PERSON")[-16:]}) == 3
    # No value can be made that has the name of another in another scope.
    assert Pseudonymize(KEY, scope="ab").apply("c", "X") != Pseudonymize(KEY, scope="a").apply("bc", "X")
    assert Pseudonymize(KEY).apply("\0c", "X") != Pseudonymize(KEY).apply("c", "X\0")


def test_a_keys_repr_copy_and_pickle_show_no_key() -> None:
    for operator in (Hash(KEY), Pseudonymize(KEY, scope="s"), Encrypt(Vault())):
        redactor = Redactor(operators={"EMAIL_ADDRESS": operator})
        for text in (repr(operator), str(operator), repr(redactor)):
            assert "kkkk" not in text and "Vault" not in text
        assert copy.deepcopy(operator) is operator
        with pytest.raises(TypeError, match="holds a key"):
            pickle.dumps(operator)


def test_what_was_encrypted_opens_with_its_own_entity_alone() -> None:
    operator = Encrypt(Vault())
    sealed = only(operator, MAIL)
    assert MAIL not in sealed
    assert base64.urlsafe_b64decode(sealed + "==").startswith(b"\xfb\xff")
    assert operator.reveal(sealed, "EMAIL_ADDRESS") == MAIL
    with pytest.raises(ValueError, match="not authentic"):
        operator.reveal(sealed, "CREDIT_CARD")
    with pytest.raises(ValueError):
        operator.reveal("no base64!", "EMAIL_ADDRESS")


def test_what_was_encrypted_for_one_tenant_opens_for_no_other() -> None:
    vault = Vault()
    one, other, none = Encrypt(vault, scope="shop-1"), Encrypt(vault, scope="shop-2"), Encrypt(vault)
    sealed = only(one, MAIL)
    assert Encrypt(vault, scope="shop-1").reveal(sealed, "EMAIL_ADDRESS") == MAIL
    for wrong in (other, none):
        with pytest.raises(ValueError, match="not authentic"):
            wrong.reveal(sealed, "EMAIL_ADDRESS")
    for wrong, entity in ((one, "EMAIL_ADDRESS"), (one, "CREDIT_CARD"), (none, "CREDIT_CARD")):
        with pytest.raises(ValueError, match="not authentic"):
            wrong.reveal(only(none, MAIL), entity)
    # Where the scope ends and the entity begins is no matter of taste; what is no UTF-8 is bound as well.
    moved = Encrypt(vault, scope="ab").apply(MAIL, "C")
    with pytest.raises(ValueError, match="not authentic"):
        Encrypt(vault, scope="a").reveal(moved, "BC")
    odd = Encrypt(vault, scope="\ud800")
    assert odd.reveal(odd.apply(MAIL, "C"), "C") == MAIL


def test_a_mask_never_shows_more_than_half() -> None:
    assert Mask(keep_last=4).apply("1234", "PIN") == "****"
    assert Mask(keep_last=4).apply("1234567", "PIN") == "*******"
    assert Mask(keep_last=4).apply("12345678", "PIN") == "****5678"
    assert Mask(keep_first=3, keep_last=3).apply("", "PIN") == ""


def fails(value: str) -> str:
    raise ValueError(f"cannot read {value}")


@pytest.mark.parametrize(
    ("function", "why"), [(fails, "ValueError"), (lambda value: None, "NoneType"), (lambda value: [value], "list")]
)
def test_a_function_that_fails_hides_the_value_and_is_told_of_without_it(
    function: Any, why: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operators, "_told", {})
    redactor = Redactor(operators={"EMAIL_ADDRESS": Custom(function)})
    with caplog.at_level(logging.ERROR, "flask_rampart"):
        for _ in range(3):
            assert redactor.redact(f"to {MAIL}") == "to [REDACTED:EMAIL_ADDRESS]"
    (record,) = caplog.records
    assert why in record.getMessage()
    assert MAIL not in record.getMessage()
    assert not record.exc_info


def test_an_operator_that_fails_by_itself_shows_nothing_of_the_value() -> None:
    class Broken(Vault):
        def seal(self, plaintext: bytes, /, *, associated_data: bytes) -> bytes:
            raise OSError("the vault is away")

    redactor = Redactor(operators={"DEFAULT": Encrypt(Broken())})
    with pytest.raises(OSError) as told:
        redactor.redact(f"to {MAIL}")
    assert MAIL not in "".join(traceback.format_exception(told.value))
    # A log line is not lost for it.
    record = logging.makeLogRecord({"msg": "to %s", "args": (MAIL,)})
    assert MAIL not in RedactingFormatter(redactor=redactor).format(record)


def test_findings_say_rule_and_place_and_never_the_value() -> None:
    text = f"\U0001f600 é password=hünter2 {MAIL}"
    result = Redactor().run(text)
    assert [text[found.start : found.end] for found in result.findings] == ["hünter2", MAIL]
    assert [found.entity for found in result.findings] == ["PASSWORD", "EMAIL_ADDRESS"]
    assert all(found.rule for found in result.findings)
    assert result.text == "\U0001f600 é password=[REDACTED:PASSWORD] [REDACTED:EMAIL_ADDRESS]"
    kept = Redactor(operators={"DEFAULT": Keep()}).run(text)
    assert kept.text == text
    assert kept.findings == result.findings == Redactor().scan(text)
    for told in (result, kept, result.findings):
        assert "hünter2" not in repr(told) and MAIL not in repr(told)


def test_in_bytes_offsets_count_bytes_and_any_bytes_are_taken() -> None:
    data = "é ".encode() + b"\xff\xfe token=a\xfeb\xc3\xa9 \x00 " + MAIL.encode()
    result = Redactor(operators={"EMAIL_ADDRESS": Redact(), "TOKEN": Mask()}).run(data)
    assert [data[found.start : found.end] for found in result.findings] == [b"a\xfeb\xc3\xa9", MAIL.encode()]
    assert result.value == "é ".encode() + b"\xff\xfe token=**** \x00 "
    assert Redactor().redact(data) == data.replace(b"a\xfeb\xc3\xa9", b"[REDACTED:TOKEN]").replace(
        MAIL.encode(), b"[REDACTED:EMAIL_ADDRESS]"
    )
    assert Redactor(operators={"DEFAULT": Custom(lambda value: "\ud800\udcff")}).redact(MAIL.encode()) == b"??"


def test_a_number_of_a_json_text_becomes_a_text_there_under_every_operator() -> None:
    text = json.dumps({"pin": 12345678, "body": json.dumps({"otp": 12345678})})
    for operator, shown in ((Replace(), "[REDACTED:PIN]"), (Mask(keep_last=4), "****5678"), (Redact(), "")):
        read = json.loads(Redactor(operators={"DEFAULT": operator}).redact(text))
        assert read["pin"] == shown
        assert isinstance(json.loads(read["body"])["otp"], str)
    assert Redactor(operators={"DEFAULT": Keep()}).redact(text) == text


def test_marks_are_left_alone_the_second_time() -> None:
    redactor = Redactor(operators={"DEFAULT": Replace()})
    text = f'password=hunter2 {MAIL} {{"pin": 1234}}'
    assert redactor.redact(redactor.redact(text)) == redactor.redact(text) == Redactor().redact(text)
    assert redactor.is_plain


def test_a_clean_text_is_given_back_as_it_is() -> None:
    for redactor in (Redactor(), Redactor(operators={"DEFAULT": Mask()})):
        for value in ("nothing here", b"\xffnothing", 7, None, True, 1.5, "\ud800"):
            assert redactor.redact(value) == value


def test_a_redactor_is_immutable() -> None:
    given: dict[str, Any] = {"EMAIL_ADDRESS": Redact()}
    redactor = Redactor(operators=given)
    given["EMAIL_ADDRESS"] = Keep()
    assert redactor.redact(MAIL) == ""
    for name in ("native", "_operators", "more"):
        with pytest.raises(AttributeError):
            setattr(redactor, name, None)
    with pytest.raises(AttributeError):
        Finding("A", "a", 0, 1).end = 2  # type: ignore[misc]
    with pytest.raises(AttributeError):
        Mask().char = "#"  # type: ignore[misc]


def app_with(**config: Any) -> tuple[Flask, Rampart]:
    app = Flask(__name__)
    app.config.update(TESTING=True, RAMPART_ACCESS_LOG="off", **config)
    return app, Rampart(app)


def test_an_app_has_the_redactor_that_its_settings_say() -> None:
    app, rampart = app_with(
        RAMPART_REDACT={"names": ["shoe_size"], "operators": {"EMAIL_ADDRESS": {"type": "mask"}, "PIN": Redact()}}
    )
    with app.app_context():
        assert (
            rampart.redactor.redact(f"shoe_size=39 pin=1234 {MAIL}") == f"shoe_size=[REDACTED:SECRET] pin= {'*' * 15}"
        )
    app.logger.handlers.clear()


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({}, "RAMPART_REDACT must be"),
        (7, "RAMPART_REDACT must be"),
        ([], "RAMPART_REDACT must be"),
        ({"operator": {}}, "Did you mean operators?"),
        ({"names": []}, "RAMPART_REDACT['names'] must be"),
        ({"names": ["x"]}, "RAMPART_REDACT: "),
        ({"operators": {"EMAIL": Redact()}}, "RAMPART_REDACT: operators={'EMAIL'"),
        ({"operators": {"PIN": "hide"}}, "there is no operator 'hide'"),
    ],
    ids=str,
)
def test_a_setting_that_cannot_be_meant_stops_the_start(given: Any, says: str) -> None:
    with pytest.raises(ConfigError) as told:
        app_with(RAMPART_REDACT=given)
    assert says in str(told.value)


def test_an_apps_operators_hold_for_its_log_and_marks_for_its_access_log(tmp_path: Any, make_app: Any) -> None:
    path = tmp_path / "access.log"
    app = make_app(RAMPART_ACCESS_LOG=str(path), RAMPART_REDACT={"operators": {"DEFAULT": Keep(), "PIN": Mask()}})
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    app.logger.addHandler(handler)

    @app.get("/")
    def view() -> str:
        app.logger.error("pin=%s for %s", "1234", MAIL)
        return "ok"

    app.test_client().get(f"/?mail={MAIL}&pin=1234").get_data()
    app.logger.removeHandler(handler)
    assert f"pin=**** for {MAIL}" in stream.getvalue()
    assert MAIL not in path.read_text()
    assert "[REDACTED:PIN]" in path.read_text()


def test_the_pages_code_runs() -> None:
    page = (Path(__file__).parent.parent / "docs" / "redaction.md").read_text()
    blocks = re.findall(r"```python\n(.*?)```", page, re.S)
    assert blocks
    exec(compile("\n".join(blocks), "docs/redaction.md", "exec"), {"__name__": "redaction_page"})


# Lists and detectors: what the core is told, and what Python adds for nested values.

BADGE = {"name": "badge", "entity": "BADGE", "pattern": "BDG-[0-9]{6}", "samples": ["BDG-123456"]}


def test_only_what_is_asked_for_is_found_names_too() -> None:
    redactor = Redactor(["EMAIL_ADDRESS"])
    value = {"password": "hunter2", "mail": MAIL, "text": f"password=hunter2 {MAIL}"}
    assert redactor.redact(value) == {
        "password": "hunter2",
        "mail": "[REDACTED:EMAIL_ADDRESS]",
        "text": "password=hunter2 [REDACTED:EMAIL_ADDRESS]",
    }
    assert Redactor(["PASSWORD"]).redact(value)["password"] == "[REDACTED:PASSWORD]"


def test_what_is_denied_wins_over_what_is_allowed_and_what_is_asked_for() -> None:
    # OTel's allow list beats its block list: opentelemetry-collector-contrib#43826.
    redactor = Redactor(
        ["EMAIL_ADDRESS"], {"CODENAME": Mask()}, allow=["bluebird", MAIL], deny={"bluebird": "CODENAME"}
    )
    assert redactor.redact({"a": [f"bluebird by {MAIL}"]}) == {"a": [f"******** by {MAIL}"]}
    (found,) = redactor.scan("bluebird")
    assert (found.entity, found.rule) == ("CODENAME", "deny")


def test_an_allowed_pattern_is_left_alone() -> None:
    redactor = Redactor(allow=[re.compile(r"[a-z]+@example\.com")])
    assert redactor.redact(f"{MAIL} bob@example.org") == f"{MAIL} [REDACTED:EMAIL_ADDRESS]"


def test_a_detector_of_ones_own_is_found_and_has_its_operator() -> None:
    redactor = Redactor(operators={"BADGE": Mask(keep_last=2)}, detectors=[BADGE])
    assert redactor.redact("BDG-123456 came") == "********56 came"
    (found,) = redactor.scan("BDG-123456 came")
    assert (found.entity, found.rule, found.start, found.end) == ("BADGE", "badge", 0, 10)
    near = {"name": "room", "entity": "ROOM", "pattern": "RM-[0-9]{3}", "literals": ["RM-"], "context": ["room"]}
    assert Redactor(detectors=[near]).redact("room RM-101") == "room [REDACTED:ROOM]"
    assert Redactor(detectors=[near]).redact("part RM-102") == "part RM-102"


@pytest.mark.parametrize(
    "given",
    [
        {"entities": ["EMAIL_ADRESS"]},
        {"entities": "EMAIL_ADDRESS"},
        {"allow": "x"},
        {"allow": [7]},
        {"allow": [re.compile("x", re.IGNORECASE)]},
        {"deny": ["bluebird"]},
        {"deny": {"": "CODENAME"}},
        {"deny": {"bluebird": "code name"}},
        {"detectors": [{**BADGE, "samples": ["none"]}]},
        {"detectors": [{**BADGE, "counter_samples": ["BDG-123456"]}]},
        {"detectors": [{**BADGE, "pattern": "(BDG-[0-9]{6}"}]},
        {"detectors": [{**BADGE, "pattern": r"(?<=x)BDG-[0-9]{6}"}]},
        {"detectors": [{"name": "badge"}]},
        {"detectors": [{**BADGE, "patern": "x"}]},
        {"detectors": [lambda text: []]},
    ],
    ids=lambda given: next(iter(given)),
)
def test_lists_and_detectors_are_checked_when_the_redactor_is_made(given: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        Redactor(**given)
    with pytest.raises(ConfigError, match="RAMPART_REDACT: "):
        app_with(RAMPART_REDACT=given)


PIECES = [
    "\\", '"', "'", "{", "}", "[", ":", ",", "=", " ", "\n", "&", "%22", "\ud800", "\udcff", "é", "\U0001f600", "[REDACTED:PIN]",
    "[REDACTED:", '"pin": 1234', '"otp":99', '\\"pin\\": 1234', "pin=1234", "password", "password=", MAIL, "4111 1111 1111 1111",
    "Cookie: a=b", "token", "Bearer abc.def", "sk-ant-api03-" + "A" * 40,
]  # fmt: skip


def test_operators_write_where_marks_would_stand_whatever_the_text() -> None:
    # Each operator writes the mark itself: texts and bytes then come out as those do that Rust has marked.
    native = Redactor()
    same = Redactor(operators={entity: Replace(f"[REDACTED:{entity}]") for entity in native.entities})
    assert not same.is_plain
    dice = random.Random(7)
    for _ in range(800):
        text = "".join(dice.choice(PIECES) for _ in range(dice.randrange(1, 12)))
        assert same.redact(text) == native.redact(text), text
        data = text.encode("utf-8", "surrogatepass")
        assert same.redact(data) == native.redact(data), data
        for found in native.scan(text):
            assert 0 <= found.start < found.end <= len(text)


@pytest.mark.parametrize("char", list(" \u00a0=:&;,@%<>[]{}()\"'\\"))
def test_a_mask_is_nothing_that_ends_a_value_or_its_place(char: str) -> None:
    with pytest.raises(ConfigError, match="one visible character"):
        Mask(char=char)


def test_a_denied_word_is_hidden_in_what_is_kept() -> None:
    redactor = Redactor(deny={"bluebird": "CODENAME"}, operators={"PASSWORD": "keep"})
    text = "bluebird password=red-bluebird-1 password=red"
    clean = "[REDACTED:CODENAME] password=red-[REDACTED:CODENAME]-1 password=red"
    assert redactor.redact(text) == clean
    assert redactor.redact(text.encode()) == clean.encode()
    assert redactor.redact({"password": "bluebird"}) == {"password": "[REDACTED:CODENAME]"}
    assert [found.entity for found in redactor.run(text).findings] == ["CODENAME", "PASSWORD", "PASSWORD"]


def test_a_denied_word_is_hidden_in_what_is_allowed() -> None:
    redactor = Redactor(allow=["bluebird"], deny={"bluebird": "CODENAME"})
    clean = "[REDACTED:CODENAME] password=[REDACTED:CODENAME]"
    assert redactor.redact("bluebird password=bluebird") == clean


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("creditCard=4155 5245 1958 4712 x", "creditCard=[REDACTED:CREDIT_CARD] x"),
        ("secret: password: hunter2 x", "secret: [REDACTED:SECRET] x"),
        (
            "secret=-----BEGIN OPENSSH PRIVATE KEY-----\nb3Bl\n-----END OPENSSH PRIVATE KEY-----\nx",
            "secret=[REDACTED:SECRET]\nx",
        ),
        ("password=$ecret1", "password=[REDACTED:PASSWORD]"),
        ("password=${x}y", "password=[REDACTED:PASSWORD]"),
        ("password=********", "password=********"),
        ('password = os.environ["X"]', 'password = os.environ["X"]'),
        ("token: ${{ secrets.TOKEN }}", "token: ${{ secrets.TOKEN }}"),
    ],
    ids=["card", "name", "key", "dollar", "more", "mask", "environment", "template"],
)
def test_a_value_of_a_name_is_hidden_to_its_end_and_a_reference_stays(text: str, shown: str) -> None:
    redactor = Redactor()

    assert redactor.redact(text) == shown
    assert "".join(redactor.iter([text[:20], text[20:]])) == shown


def test_words_of_the_developers_announce_a_number() -> None:
    text = "Mitglieds-Nr: 943 476 5919, member_no=9434765870, MitgliedsNr 9434765919"
    assert Redactor(entities=["UK_NHS"]).redact(text) == text
    redactor = Redactor(entities=["UK_NHS"], context={"UK_NHS": ["mitglieds nr", "Member No"]})
    clean = "Mitglieds-Nr: [REDACTED:UK_NHS], member_no=[REDACTED:UK_NHS], MitgliedsNr [REDACTED:UK_NHS]"
    assert redactor.redact(text) == clean
    for cut in range(len(text)):
        assert "".join(redactor.iter([text[:cut], text[cut:]])) == clean
    # As a built-in word does: shortly before it, whole, on its line; and the number keeps its rules.
    for harmless in (
        "member no 943 476 5918",
        "member nothing 9434765919",
        "member no\n9434765919",
        f"member no {'.' * 64} 9434765919",
    ):
        assert redactor.redact(harmless) == harmless
    assert redactor.redact("NHS 943 476 5919") == "NHS [REDACTED:UK_NHS]"


@pytest.mark.parametrize(
    ("context", "why"),
    [
        ({"US_SSN": ["member no"]}, "Name it in entities"),
        ({"UK_NHSS": ["member no"]}, "Did you mean UK_NHS?"),
        ({"EMAIL_ADDRESS": ["to"]}, "a context of its own"),
        ({"IP_ADDRESS": ["host"]}, "without a word near it"),
        ({"UK_NHS": ["n"]}, "two letters or more"),
        ({"UK_NHS": ["no:"]}, "two letters or more"),
        ({"UK_NHS": ["w" * 64]}, "fewer than 64 bytes"),
        ({"UK_NHS": ["no"] * 1001}, "more than 1000 words"),
        ({"UK_NHS": "member no"}, "not one text"),
        (["member no"], "mapping of entities"),
        ({"UK_NHS": [7]}, "str"),
    ],
)
def test_a_context_that_announces_nothing_stops_the_start(context: Any, why: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(why)):
        Redactor(entities=["UK_NHS", "IP_ADDRESS", "EMAIL_ADDRESS"], context=context)


def test_the_settings_take_a_context() -> None:
    app, rampart = app_with(RAMPART_REDACT={"entities": ["UK_NHS"], "context": {"UK_NHS": ["member no"]}})
    with app.app_context():
        assert rampart.redactor.redact("member no 9434765919") == "member no [REDACTED:UK_NHS]"
