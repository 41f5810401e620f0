"""Anonymisation of single values: against hashlib, hmac, cryptography's AES-SIV, datetime, ipaddress; and what is refused."""

from __future__ import annotations

import base64
import hashlib
import hmac
import ipaddress
import json
import pickle
import random
import unicodedata
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from flask_rampart import ConfigError
from flask_rampart.anonymize import (
    FF1,
    AnonymizeRefused,
    Pseudonymizer,
    Tokenizer,
    age_band,
    coarse_date,
    coarse_number,
    coarse_place,
    coarse_postcode,
    collision_chance,
    network,
)
from flask_rampart.anonymize.keyed import read_key

KEY = bytes(range(32))
WYCHEPROOF = json.loads((Path(__file__).parent / "vectors" / "wycheproof" / "aes_ff1_test.json").read_text())


def derived(use: bytes, scope: str, length: int) -> bytes:
    """The key of a use and scope, by another implementation of RFC 5869."""
    info = b"flask-rampart anonymize v1\0" + use + b"\0" + scope.encode()
    return HKDF(algorithm=SHA256(), length=length, salt=None, info=info).derive(KEY)


def code(scope: str, text: str) -> bytes:
    return hmac.new(derived(b"pseudonym", scope, 32), text.encode(), hashlib.sha256).digest()


def refused(call: Any, *args: Any, **kwargs: Any) -> str:
    with pytest.raises(AnonymizeRefused) as caught:
        call(*args, **kwargs)
    found: str = caught.value.args[0]
    return found


# Pseudonyms


@pytest.mark.parametrize("text", ["", "ann@example.org", "Ünïcødé", "\U0001f600" * 50, "x" * 100_000], ids=range(5))
def test_pseudonyms_are_those_of_hmac_and_hkdf(text: str) -> None:
    whole = code("mail", text)
    assert Pseudonymizer(KEY, scope="mail")(text) == whole[:16].hex()
    assert Pseudonymizer(KEY, scope="mail", bits=256)(text) == whole.hex()
    assert Pseudonymizer(KEY, scope="mail", bits=36)(text) == whole.hex()[:9]
    in_base_32 = base64.b32encode(whole).decode().lower()
    assert Pseudonymizer(KEY, scope="mail", form="base32")(text) == in_base_32[:26]
    assert Pseudonymizer(KEY, scope="mail", form="base32", bits=255)(text) == in_base_32[:51]
    number = 10 + int.from_bytes(whole[:16], "big") % 81
    assert Pseudonymizer(KEY, scope="mail", form="integer", low=10, high=90)(text) == number


def test_a_pseudonym_of_a_mail_address_is_one_that_reaches_nobody() -> None:
    # RFC 2606 section 2: `.invalid` is never a domain.
    made = Pseudonymizer(KEY, scope="mail", form="email")("ann@example.org")
    local = base64.b32encode(code("mail", "ann@example.org")).decode().lower()[:16]
    assert made == f"user-{local}@example.invalid"
    assert refused(Pseudonymizer(KEY, scope="mail", form="email"), "not an address") == "mail"


def test_a_hash_without_the_key_is_no_pseudonym() -> None:
    # presidio#1845: unsalted hashes of what can be listed are looked up.
    made = Pseudonymizer(KEY, scope="phone", bits=256)("+1 202 555 0100")
    for algorithm in ("sha256", "sha512", "md5", "sha1"):
        assert hashlib.new(algorithm, b"+1 202 555 0100").hexdigest()[:32] not in str(made)
    assert made != Pseudonymizer(KEY[::-1], scope="phone", bits=256)("+1 202 555 0100")


def test_pseudonyms_are_the_same_in_each_run_and_place() -> None:
    # presidio#1102, and its PR #1852: a salt for each value or each run, and nothing can be joined. This one is for ever.
    assert Pseudonymizer(KEY, scope="mail")("ann@example.org") == "cfd3cff96296c1a0024946ca643e172a"
    assert Pseudonymizer(KEY.hex(), scope="mail")("a") == Pseudonymizer(lambda: KEY, scope="mail")("a")


def test_scopes_cannot_be_joined() -> None:
    scopes = ["mail", "tenant-1/mail", "tenant-2/mail", "mail\0", "maiL", "ma", "il"]
    assert len({Pseudonymizer(KEY, scope=scope)("ann") for scope in scopes}) == len(scopes)


def test_what_is_made_equal_is_what_was_declared_and_nothing_else() -> None:
    spellings = ["Ann@Example.org", "ann@example.org", " ann@example.org ", "ann@example.org\u00a0"]
    assert len({Pseudonymizer(KEY, scope="m")(text) for text in spellings}) == 4
    declared = Pseudonymizer(KEY, scope="m", normalise=["lower", "strip"])
    assert {declared(text) for text in spellings} == {code("m", "ann@example.org")[:16].hex()}
    dice = random.Random(7)
    letters = "aA\u00c5\u212bA\u030a\u00df\u1e9e\u0130I\u0131\u017f\u03a3\u03c2\ufb01\u2460\u2121 \t\u3000"
    for form in ("NFC", "NFKC"):
        both = Pseudonymizer(KEY, scope="m", normalise=[form.lower(), "lower"])
        for _ in range(300):
            text = "".join(dice.choices(letters, k=6))
            folded = unicodedata.normalize(form, unicodedata.normalize(form, text).lower())
            assert both(text) == code("m", folded)[:16].hex(), ascii(text)


@pytest.mark.parametrize(
    "value, text",
    [
        (7, "7"),
        (-7, "-7"),
        (2**80, str(2**80)),
        (date(1984, 5, 9), "1984-05-09"),
        (datetime(1984, 5, 9, 12, tzinfo=timezone.utc), "1984-05-09T12:00:00+00:00"),
        (Decimal("1.50"), "1.50"),
        (UUID(int=7), str(UUID(int=7))),
    ],
    ids=["int", "negative", "large", "date", "moment", "decimal", "uuid"],
)
def test_a_value_with_one_text_has_the_pseudonym_of_it(value: Any, text: str) -> None:
    assert Pseudonymizer(KEY, scope="s")(value) == code("s", text)[:16].hex()


@pytest.mark.parametrize(
    "value", [1.0, True, b"x", ["x"], {"x": 1}, object, "\ud800", 10**5000],
    ids=["float", "bool", "bytes", "list", "dict", "class", "surrogate", "digits"],
)  # fmt: skip
def test_what_has_no_text_of_its_own_has_no_pseudonym(value: Any) -> None:
    assert refused(Pseudonymizer(KEY, scope="s"), value) == "kind"
    assert refused(Tokenizer(KEY, scope="s"), value) == "kind"


def test_nothing_stays_nothing() -> None:
    assert Pseudonymizer(KEY, scope="s")(None) is None  # type: ignore[arg-type]
    assert Pseudonymizer(KEY, scope="s").apply_column([None, "a"]) == [None, code("s", "a")[:16].hex()]


def test_short_pseudonyms_collide_as_often_as_is_said() -> None:
    # 32 bits, 3000 values: 1 in 1000. 2000 values of 0 to 9999: surely.
    short = Pseudonymizer(KEY, scope="s", form="integer", low=0, high=9_999)
    assert len(set(short.apply_column(range(2000)))) < 2000
    assert collision_chance(13.29, 2000) > 0.999_999
    assert 0.0009 < collision_chance(32, 3000) < 0.0012
    assert collision_chance(128, 1e9) < 2**-68
    assert collision_chance(128, 0) == collision_chance(128, 1) == 0


def test_a_key_that_is_none_is_refused_and_not_shown(tmp_path: Path) -> None:
    for key in (b"", b"short", bytes(32), b"a" * 64, "00ff", "not hex at all" * 8, "0" * 63, lambda: b"x", "é" * 64, 7):
        with pytest.raises(ConfigError) as caught:
            Pseudonymizer(key, scope="s")  # type: ignore[arg-type]
        assert "short" not in str(caught.value) and "not hex at" not in str(caught.value)
    with pytest.raises(ConfigError):
        Pseudonymizer(KEY, scope="")
    file = tmp_path / "key"
    file.write_text(f"\n {KEY.hex()}\n")
    assert read_key(key_file=file) == KEY
    file.write_bytes(b"\xff" * 40)
    for wrong in (file, tmp_path / "none", tmp_path):
        with pytest.raises(ConfigError, match="cannot be read"):
            read_key(key_file=wrong)
    with pytest.raises(ConfigError, match="one of the two"):
        read_key(KEY, tmp_path / "key")


def test_what_has_a_key_shows_it_nowhere() -> None:
    for keyed in (Pseudonymizer(KEY, scope="s"), Tokenizer(KEY, scope="s"), FF1(KEY, scope="s")):
        assert KEY.hex() not in repr(keyed) and "\\x01" not in repr(keyed) and str(KEY) not in str(vars(keyed))
        with pytest.raises(TypeError, match="never pickled"):
            pickle.dumps(keyed)


# Tokens


def test_tokens_are_those_of_aes_siv() -> None:
    siv = AESSIV(derived(b"token", "mail", 64))
    tokens = Tokenizer(KEY, scope="mail")
    for text in ("a", "ann@example.org", "Ünïcødé", "x" * 10_000):
        sealed = siv.encrypt(text.encode(), [b"mail"])
        token = base64.urlsafe_b64encode(sealed).decode().rstrip("=")
        assert tokens(text) == token
        assert tokens.open(token) == text
    assert tokens.open(tokens("")) == ""


def test_a_token_that_was_changed_or_is_of_another_scope_is_refused() -> None:
    tokens = Tokenizer(KEY, scope="mail")
    token = tokens("ann@example.org")
    for at in range(len(token)):
        changed = token[:at] + ("A" if token[at] != "A" else "B") + token[at + 1 :]
        assert refused(tokens.open, changed) == "token"
    for broken in ("", token[:-1], f"{token}=", f"{token}A", token.swapcase(), " " + token, "x" * 3_000_000):
        assert refused(tokens.open, broken) == "token"
    for stranger in (Tokenizer(KEY, scope="card"), Tokenizer(KEY[::-1], scope="mail")):
        assert refused(stranger.open, token) == "token"


def test_a_value_that_is_too_long_for_a_token_is_refused() -> None:
    assert refused(Tokenizer(KEY, scope="s"), "x" * (2**20 + 1)) == "length"


# FF1


@pytest.mark.parametrize("file", [file for file in WYCHEPROOF if "alphabet" in file], ids=lambda file: file["file"])
def test_wycheproofs_ff1_with_alphabets(file: dict[str, Any]) -> None:
    ran = 0
    for case in file["tests"]:
        key, tweak = bytes.fromhex(case["key"]), bytes.fromhex(case["tweak"])
        if "InvalidKeySize" in case["flags"]:
            with pytest.raises(ConfigError):
                FF1(key, alphabet=file["alphabet"], tweak=tweak)
            continue
        ff1 = FF1(key, alphabet=file["alphabet"], tweak=tweak)
        if case["result"] == "invalid" or file["radix"] ** len(case["msg"]) < 1_000_000:
            assert refused(ff1.encrypt, case["msg"]) in {"alphabet", "length"}
            continue
        assert (ff1.encrypt(case["msg"]), ff1.decrypt(case["ct"])) == (case["ct"], case["msg"])
        ran += 1
    assert ran > 25


def test_ff1_is_a_permutation_of_its_domain() -> None:
    ff1 = FF1(KEY, scope="pin", alphabet="digits")
    dice = random.Random(3)
    clear = {f"{dice.randrange(10**6):06}" for _ in range(3000)}
    sealed = {ff1.encrypt(text) for text in clear}
    assert len(sealed) == len(clear) and all(len(text) == 6 and text.isdigit() for text in sealed)
    assert {ff1.decrypt(text) for text in sealed} == clear
    assert sealed != {FF1(KEY, scope="pin", tweak=b"x").encrypt(text) for text in clear}


def test_ff1_refuses_small_domains_and_says_which() -> None:
    # NIST SP 800-38G Rev. 1: radix ** length is at least 1,000,000.
    ff1 = FF1(KEY, scope="s")
    assert ff1.shortest == 6
    assert refused(ff1.encrypt, "12345") == "length"
    assert refused(ff1.encrypt, "1" * 257) == "length"
    assert refused(ff1.encrypt, "12345x") == "alphabet"
    assert refused(ff1.encrypt, "\uff11\uff12\uff13\uff14\uff15\uff16") == "alphabet"
    assert refused(FF1(KEY, scope="s", separators="-").encrypt, "1-2-3-4-5") == "length"
    for wrong in ({"alphabet": "a"}, {"alphabet": "aba"}, {"separators": "0"}, {"tweak": bytes(257)}, {"scope": ""}):
        with pytest.raises(ConfigError):
            FF1(KEY, **{"scope": "s", **wrong})  # type: ignore[arg-type]
    with pytest.raises(ConfigError):
        FF1(bytes(33))


# Coarser values


def test_periods_of_dates_are_those_of_the_calendar() -> None:
    day = date(1899, 12, 25)
    for _ in range(4000):
        text = day.isoformat()
        year, week, _weekday = day.isocalendar()
        assert coarse_date(text, to="week") == f"{year:04}-W{week:02}" == coarse_date(day, to="week")
        assert coarse_date(text, to="month") == text[:7]
        assert coarse_date(text, to="quarter") == f"{day.year}-Q{(day.month + 2) // 3}"
        assert coarse_date(text, to="decade") == f"{text[:3]}0s"
        day += timedelta(days=17)


@pytest.mark.parametrize(
    "text", ["", "n/a", "1984", "1984-5-9", "2023-02-29", "09.05.1984", "1984-05-09junk", "1984-05-09T25:00", "\uff10", 19840509, 1.5, True]
)  # fmt: skip
def test_what_is_no_date_is_refused_and_never_passed_on(text: Any) -> None:
    assert refused(coarse_date, text, to="year") in {"date", "kind"}
    assert refused(age_band, text, reference="2026-01-01") in {"date", "kind"}


def test_ages_are_whole_years_on_the_day() -> None:
    dice = random.Random(5)
    for _ in range(2000):
        birth = date(1936, 1, 1) + timedelta(days=dice.randrange(32_000))
        today = birth + timedelta(days=dice.randrange(32_000))
        age = today.year - birth.year - ((today.month, today.day) < (birth.month, birth.day))
        band = age_band(birth, reference=today, width=1)
        assert band == (str(age) if age < 90 else "90+")
    assert age_band(None, reference="2026-01-01") is None
    assert refused(age_band, "2026-01-02", reference=date(2026, 1, 1)) == "range"


def test_bins_hold_what_they_say() -> None:
    dice = random.Random(11)
    for _ in range(2000):
        number = Decimal(dice.randrange(-(10**6), 10**6)) / dice.choice([1, 10, 100, 1000])
        width = dice.choice(["0.1", "0.25", "7", "100"])
        for value in (number, str(number), float(number)):
            low, high = coarse_number(value, width=float(width), origin=0.5).strip("[)").split(", ")
            assert Decimal(low) <= number < Decimal(high) and Decimal(high) - Decimal(low) == Decimal(width)
            assert (Decimal(low) - Decimal("0.5")) % Decimal(width) == 0


@pytest.mark.parametrize(
    "number",
    ["", " 1", "1,5", "1 000", "inf", "nan", "0x10", "\uff11", "1_000", float("nan"), float("inf"), True, b"1"],
)
def test_what_is_no_number_is_refused(number: Any) -> None:
    assert refused(coarse_number, number, width=10) in {"number", "kind"}


def test_numbers_keep_their_kind_when_they_are_rounded() -> None:
    assert [coarse_number(value, round=10) for value in (15, 15.0, "15", Decimal("15"))] == [20, 20.0, "20", "20"]
    assert [type(coarse_number(value, round=10)) for value in (15, 15.0)] == [int, float]
    assert coarse_number(10**12, high=1000) == 1000 and coarse_number(-5, low=0) == 0
    assert refused(coarse_number, 10**40, round=10) == "range"


def test_networks_are_those_of_ipaddress() -> None:
    dice = random.Random(13)
    for _ in range(500):
        four = ipaddress.IPv4Address(dice.getrandbits(32))
        six = ipaddress.IPv6Address(dice.getrandbits(128) | 1 << 120)
        assert network(str(four)) == str(ipaddress.ip_network(f"{four}/24", strict=False))
        assert network(str(six)) == str(ipaddress.ip_network(f"{six}/48", strict=False))
        # An IPv4 address in an IPv6 one would be one network of the whole internet.
        assert network(f"::ffff:{four}") == network(str(four))
    for none in ("", "localhost", "192.0.2.1:80", "010.0.0.1", "1", "[::1]", "::1%lo", 3232235777):
        assert refused(network, none) in {"ip", "kind"}


def test_postcodes_follow_safe_harbor_where_asked_to() -> None:
    safe: dict[str, Any] = {"keep": 3, "country": "us", "small": "us-2000"}
    assert [coarse_postcode(code, **safe) for code in ("90210", "03601", "20302-1234", None)] == [
        "902",
        "000",
        "000",
        None,
    ]
    for none in ("9021", "902 10", "ABCDE", "90210-12345", "", 90210):
        assert refused(coarse_postcode, none, **safe) in {"postcode", "kind"}
    assert refused(coarse_postcode, "123", keep=3) == "postcode"


def test_places_are_on_their_grid() -> None:
    assert coarse_place("48.8566,2.3522", decimals=0) == "49,2"
    assert coarse_place(-0.04, decimals=1) == 0
    for none in ("91,0", "0,181", "", "here", "1;2", float("nan")):
        assert refused(coarse_place, none, decimals=1) in {"range", "number"}


@pytest.mark.parametrize(
    "call",
    [
        lambda: coarse_date("", to="yeer"),  # type: ignore[arg-type]
        lambda: coarse_date("", to="year", format="%Y"),
        lambda: age_band("", reference="now"),
        lambda: age_band("", reference="2026-01-01", width=0),
        lambda: coarse_number(1),
        lambda: coarse_number(1, width=0),
        lambda: coarse_number(1, width=1, round=1),
        lambda: coarse_postcode("", keep=5, country="us"),
        lambda: network("", v4=32),
        lambda: coarse_place("", decimals=5),
        lambda: Pseudonymizer(KEY, scope="s", bits=8),
        lambda: Pseudonymizer(KEY, scope="s", form="integer"),
        lambda: Pseudonymizer(KEY, scope="s", form="hexx"),  # type: ignore[arg-type]
        lambda: Pseudonymizer(KEY, scope="s", normalise=["nfc", "nfkc"]),
    ],
    ids=range(14),
)
def test_a_rule_that_cannot_be_is_the_developers_error(call: Any) -> None:
    with pytest.raises(ConfigError) as caught:
        call()
    assert "columns" not in str(caught.value)
