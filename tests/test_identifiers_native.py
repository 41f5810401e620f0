"""Identifiers at the border to Python, held against an independent implementation of the issuers' rules (python-stdnum)."""

from __future__ import annotations

import calendar
import hashlib
import random
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import stdnum.ar.cuit
import stdnum.at.vnr
import stdnum.au.abn
import stdnum.au.acn
import stdnum.au.tfn
import stdnum.be.nn
import stdnum.bg.egn
import stdnum.bitcoin
import stdnum.br.cnpj
import stdnum.br.cpf
import stdnum.ca.sin
import stdnum.ch.ssn
import stdnum.cl.rut
import stdnum.cn.ric
import stdnum.cz.rc
import stdnum.de.idnr
import stdnum.de.vat
import stdnum.dk.cpr
import stdnum.ee.ik
import stdnum.es.dni
import stdnum.es.nie
import stdnum.fi.hetu
import stdnum.fr.nir
import stdnum.gb.nhs
import stdnum.gr.amka
import stdnum.hr.oib
import stdnum.ie.pps
import stdnum.il.idnr
import stdnum.imei
import stdnum.in_.aadhaar
import stdnum.in_.gstin
import stdnum.in_.pan
import stdnum.is_.kennitala
import stdnum.iso7064.mod_97_10
import stdnum.it.codicefiscale
import stdnum.it.iva
import stdnum.jp.in_
import stdnum.kr.rrn
import stdnum.lt.asmens
import stdnum.luhn
import stdnum.mx.curp
import stdnum.nl.bsn
import stdnum.no.fodselsnummer
import stdnum.nz.ird
import stdnum.pl.pesel
import stdnum.pt.nif
import stdnum.ro.cnp
import stdnum.se.personnummer
import stdnum.si.emso
import stdnum.sk.rc
import stdnum.th.pin
import stdnum.tr.tckimlik
import stdnum.us.itin
import stdnum.us.rtn
import stdnum.us.ssn
import stdnum.za.idnr

from flask_rampart._native import Redactor

ROOT = Path(__file__).parent.parent
ROWS = {row[0]: row for row in Redactor.identifiers()}
# Beside all that is found without being selected.
ALL = Redactor(entities=[*Redactor().entities, *ROWS])
DIGITS = "0123456789"
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
Oracle = Callable[[str], bool]


def chinese(number: str) -> bool:
    """Without the register of counties: which there were is no rule of the number."""
    try:
        stdnum.cn.ric.get_birth_date(number)
    except Exception:
        return False
    return stdnum.cn.ric.calc_check_digit(number) == number[-1]


def provider(number: str) -> bool:
    return number[0] in "12" and stdnum.luhn.is_valid("80840" + number)


def insured(number: str) -> bool:
    return stdnum.luhn.is_valid(f"{ord(number[0]) - 64:02}{number[1:]}")


def routing(number: str) -> bool:
    """With the districts of the Federal Reserve, which the oracle does not look at."""
    district = int(number[:2])
    issued = district <= 12 or 21 <= district <= 32 or 61 <= district <= 72 or district == 80
    return issued and stdnum.us.rtn.is_valid(number)


def itin(number: str) -> bool:
    """With the ranges that the IRS opened in 2013 (50 to 65), which the oracle does not know."""
    return stdnum.us.itin.is_valid(number) or (number[0] == "9" and 50 <= int(number[4:6]) <= 65)


def account(number: str) -> bool:
    return stdnum.iso7064.mod_97_10.is_valid(number[4:] + number[:4])


# What a number looks like, its check's place (from, to), and who judges it. In a picture `9`, `A` and `X` stand for a digit, a
# letter and either; `[…]` for one of these, `y`, `m` and `d` for a date of a person who is grown up.
CASES: dict[str, list[tuple[str, tuple[int, int], Oracle]]] = {
    "AR_CUIT": [("2[0347]-99999999-9", (-1, 0), stdnum.ar.cuit.is_valid), ("[235][0134567]999999999", (-1, 0), stdnum.ar.cuit.is_valid)],
    "AT_SVNR": [("9999ddmmyy", (3, 4), stdnum.at.vnr.is_valid)],
    "AU_ABN": [("99 999 999 999", (0, 2), stdnum.au.abn.is_valid)],
    "AU_ACN": [("999 999 999", (-1, 0), stdnum.au.acn.is_valid), ("999999999", (-1, 0), stdnum.au.acn.is_valid)],
    "AU_TFN": [("999 999 999", (-1, 0), stdnum.au.tfn.is_valid), ("99999999", (-1, 0), stdnum.au.tfn.is_valid)],
    "BE_NN": [("YYmmdd99999", (-2, 0), stdnum.be.nn.is_valid), ("YY.mm.dd-999.99", (-2, 0), stdnum.be.nn.is_valid)],
    "BG_EGN": [("yymmdd9999", (-1, 0), stdnum.bg.egn.is_valid), ("99[0123456]9[0123]99999", (-1, 0), stdnum.bg.egn.is_valid)],
    "BR_CNPJ": [("99999999999999", (-2, 0), stdnum.br.cnpj.is_valid), ("XX.XXX.XXX/XXXX-99", (-2, 0), stdnum.br.cnpj.is_valid)],
    "BR_CPF": [("999.999.999-99", (-2, 0), stdnum.br.cpf.is_valid), ("99999999999", (-2, 0), stdnum.br.cpf.is_valid)],
    "CA_SIN": [("999-999-999", (-1, 0), stdnum.ca.sin.is_valid)],
    "CH_AHV": [("756.9999.9999.99", (-1, 0), stdnum.ch.ssn.is_valid), ("75[56]9999999999", (-1, 0), stdnum.ch.ssn.is_valid)],
    "CL_RUT": [("99.999.999-X", (-1, 0), stdnum.cl.rut.is_valid), ("9999999X", (-1, 0), stdnum.cl.rut.is_valid)],
    "CN_RESIDENT_ID": [("[123]1[01][01][01][12]yyyymmdd999X", (-1, 0), chinese)],
    "CZ_BIRTH_NUMBER": [("yymmdd/9999", (-1, 0), stdnum.cz.rc.is_valid), ("999999/999", (-1, 0), stdnum.cz.rc.is_valid)],
    "DE_HEALTH_INSURANCE": [("A999999999", (-1, 0), insured)],
    "DE_VAT_ID": [("DE999999999", (-1, 0), stdnum.de.vat.is_valid)],
    "DE_TAX_ID": [("99999999999", (-1, 0), stdnum.de.idnr.is_valid)],
    "DK_CPR_NUMBER": [("ddmmyy-9999", (-1, 0), stdnum.dk.cpr.is_valid), ("[0123]9[01]9yy9999", (-1, 0), stdnum.dk.cpr.is_valid)],
    "EE_ISIKUKOOD": [("[3456]yymmdd9999", (-1, 0), stdnum.ee.ik.is_valid)],
    "ES_NIE": [("A9999999A", (-1, 0), stdnum.es.nie.is_valid), ("[XYZ]9999999A", (-1, 0), stdnum.es.nie.is_valid)],
    "ES_NIF": [("99999999A", (-1, 0), stdnum.es.dni.is_valid), ("99999999-A", (-1, 0), stdnum.es.dni.is_valid)],
    "FI_PERSONAL_IDENTITY_CODE": [
        ("ddmmyy-999X", (-1, 0), stdnum.fi.hetu.is_valid),
        ("ddmmyy[ABCXYZ]999X", (-1, 0), stdnum.fi.hetu.is_valid),
        ("ddmmyy+999X", (-1, 0), stdnum.fi.hetu.is_valid),
    ],
    "FR_NIR": [("[12]yymm9999999999", (-2, 0), stdnum.fr.nir.is_valid), ("2 yy mm 2[AB] 999 999 99", (-2, 0), stdnum.fr.nir.is_valid)],
    "GR_AMKA": [("ddmmyy99999", (-1, 0), stdnum.gr.amka.is_valid), ("[0123]9[01]9yy99999", (-1, 0), stdnum.gr.amka.is_valid)],
    "HR_OIB": [("99999999999", (-1, 0), stdnum.hr.oib.is_valid)],
    "IBAN_CODE": [("DE99999999999999999999", (2, 4), account), ("GB99AAAA99999999999999", (2, 4), account), ("FR999999999999XXXXXXXXXXX99", (2, 4), account), ("MT99AAAA99999XXXXXXXXXXXXXXXXXX", (2, 4), account)],
    "IE_PPSN": [("9999999A", (-1, 0), stdnum.ie.pps.is_valid), ("9999999A[ABHWTX]", (7, 8), stdnum.ie.pps.is_valid)],
    "IL_ID": [("999999999", (-1, 0), stdnum.il.idnr.is_valid)],
    "IMEI": [("999999999999999", (-1, 0), stdnum.imei.is_valid)],
    "IN_AADHAAR": [("9999 9999 9999", (-1, 0), stdnum.in_.aadhaar.is_valid)],
    "IN_GSTIN": [("[0123]9AAA[ABCFGHJKLPT]A9999AXZX", (-1, 0), stdnum.in_.gstin.is_valid)],
    "IN_PAN": [("AAAAA9999A", (3, 4), stdnum.in_.pan.is_valid)],
    "IS_KENNITALA": [("ddmmyy-99[0123456789][09]", (-2, -1), stdnum.is_.kennitala.is_valid)],
    "IT_FISCAL_CODE": [
        ("AAAAAAyy[ABCDEHLMPRST]ddA999A", (-1, 0), stdnum.it.codicefiscale.is_valid),
        ("AAAAAA99[ABCDEHLMPRST][01234567]9AXXXA", (-1, 0), stdnum.it.codicefiscale.is_valid),
    ],
    "IT_VAT_CODE": [("99999990999", (-1, 0), stdnum.it.iva.is_valid), ("IT99999999999", (-1, 0), stdnum.it.iva.is_valid)],
    "JP_MY_NUMBER": [("999999999999", (-1, 0), stdnum.jp.in_.is_valid), ("9999 9999 9999", (-1, 0), stdnum.jp.in_.is_valid)],
    "KR_RRN": [("yymmdd-9999999", (-1, 0), stdnum.kr.rrn.is_valid)],
    "LT_ASMENS_KODAS": [("[3456]yymmdd9999", (-1, 0), stdnum.lt.asmens.is_valid)],
    "MX_CURP": [("AAAAyymmdd[HM][JDMO][CFSN]AAAX9", (-1, 0), stdnum.mx.curp.is_valid)],
    "NL_BSN": [("999999999", (-1, 0), stdnum.nl.bsn.is_valid)],
    "NO_FNR": [("ddmmyy99999", (-2, 0), stdnum.no.fodselsnummer.is_valid)],
    "NZ_IRD": [("[01]99999999", (-1, 0), stdnum.nz.ird.is_valid), ("99-999-999", (-1, 0), stdnum.nz.ird.is_valid)],
    "PL_PESEL": [("yymmdd99999", (-1, 0), stdnum.pl.pesel.is_valid), ("99[0123456789]9[0123]999999", (-1, 0), stdnum.pl.pesel.is_valid)],
    "PT_NIF": [("999999999", (-1, 0), stdnum.pt.nif.is_valid)],
    "RO_CNP": [("[123456]yymmdd999999", (-1, 0), stdnum.ro.cnp.is_valid)],
    "SE_PERSONNUMMER": [("yymmdd-9999", (-1, 0), stdnum.se.personnummer.is_valid), ("yyyymmdd-9999", (-1, 0), stdnum.se.personnummer.is_valid)],
    "SI_EMSO": [("ddmm9yy999999", (-1, 0), stdnum.si.emso.is_valid)],
    "SK_BIRTH_NUMBER": [("yymmdd/9999", (-1, 0), stdnum.sk.rc.is_valid)],
    "TH_TNIN": [("9-9999-99999-99-9", (-1, 0), stdnum.th.pin.is_valid), ("9999999999999", (-1, 0), stdnum.th.pin.is_valid)],
    "TR_NATIONAL_ID": [("99999999999", (-2, 0), stdnum.tr.tckimlik.is_valid)],
    "ABA_ROUTING_NUMBER": [("999999999", (-1, 0), routing)],
    "UK_NHS": [("999 999 9999", (-1, 0), stdnum.gb.nhs.is_valid), ("9999999999", (-1, 0), stdnum.gb.nhs.is_valid)],
    "US_ITIN": [("[89]99-99-9999", (4, 5), itin)],
    "US_NPI": [("9999999999", (-1, 0), provider)],
    "US_SSN": [("999-99-9999", (0, 1), stdnum.us.ssn.is_valid), ("[06][06][06]-[01]9-9999", (0, 1), stdnum.us.ssn.is_valid)],
    "ZA_ID_NUMBER": [("yymmdd9999[012]99", (-1, 0), stdnum.za.idnr.is_valid)],
}  # fmt: skip
TRIES = 300


def example(dice: random.Random, picture: str) -> str:
    year, month = dice.randrange(2000 if "YY" in picture else 1958, 2015), dice.randrange(1, 13)
    day = dice.randrange(1, calendar.monthrange(year, month)[1] + 1)
    short = f"{year % 100:02}"
    for token, value in (("yyyy", str(year)), ("yy", short), ("YY", short), ("mm", f"{month:02}"), ("dd", f"{day:02}")):
        picture = picture.replace(token, "".join(f"[{digit}]" for digit in value))
    alphabets = {"9": DIGITS, "A": LETTERS, "X": DIGITS + LETTERS}
    parts = re.findall(r"\[[^\]]*\]|.", picture)
    return "".join(dice.choice(part[1:-1] if part[0] == "[" else alphabets.get(part, part)) for part in parts)


def repaired(number: str, place: tuple[int, int], right: Oracle) -> str:
    """The number with the first check that makes it right, if there is one."""
    first, last = (end + len(number) if end < 0 or (end == 0 and i) else end for i, end in enumerate(place))
    checks = DIGITS + LETTERS if last - first == 1 else [f"{check:02}" for check in range(100)]
    return next((n for n in (number[:first] + c + number[last:] for c in checks) if right(n)), number)


@pytest.mark.parametrize("entity", sorted(CASES))
def test_thousands_of_numbers_are_judged_as_another_implementation_judges_them(entity: str) -> None:
    dice = random.Random(entity)
    redactor = Redactor(entities=[entity])
    word = next(iter(ROWS[entity][2]), "account")
    judged = {True: 0, False: 0}
    for picture, place, right in CASES[entity]:
        for _ in range(TRIES * (8 if entity == "DE_TAX_ID" else 1)):
            number = example(dice, picture)
            if dice.random() < 0.5:
                number = repaired(number, place, right)
            if len(set(number) & set(DIGITS + LETTERS)) == 1:
                continue
            text = f"{word} {number}"
            # What is a right card number as well is hidden as that.
            found = [find for find in redactor.scan(text) if find[0] != "CREDIT_CARD"]
            card = len(found) < len(redactor.scan(text))
            expected = [(entity, len(word) + 1, len(text), entity)] if right(number) and not card else []
            assert found == expected, (picture, number)
            judged[right(number)] += 1
    assert min(judged.values()) > 20, judged


def test_bitcoin_addresses_are_judged_as_another_implementation_judges_them() -> None:
    dice = random.Random(58)
    redactor = Redactor(entities=["CRYPTO"])
    alphabet = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
    judged = {True: 0, False: 0}
    for _ in range(500):
        payload = bytes([dice.choice((0, 5))]) + bytes(dice.choice((0, 0, 1))) + dice.randbytes(20)
        payload = payload[:21]
        data = payload + hashlib.sha256(hashlib.sha256(payload).digest()).digest()[:4]
        value, address = int.from_bytes(data, "big"), ""
        while value:
            value, digit = divmod(value, 58)
            address = alphabet[digit] + address
        address = "1" * (len(data) - len(data.lstrip(b"\0"))) + address
        if dice.random() < 0.5:
            at = dice.randrange(len(address))
            address = address[:at] + dice.choice(alphabet) + address[at + 1 :]
        right = stdnum.bitcoin.is_valid(address)
        assert redactor.scan(address) == ([("CRYPTO", 0, len(address), "CRYPTO")] if right else [])
        judged[right] += 1
    assert min(judged.values()) > 100


def test_at_least_twenty_countries_are_held_against_the_other_implementation() -> None:
    assert len({ROWS[entity][1] for entity in CASES} - {""}) >= 20


def test_every_row_finds_its_sample_and_leaves_its_harmless_one() -> None:
    plain = Redactor()
    for entity, _, _, sample, harmless in Redactor.identifiers():
        redactor = Redactor(entities=[entity])
        [(name, start, end, rule)] = redactor.scan(sample)
        assert name == rule == entity and end == len(sample)
        assert redactor.redact(sample) == f"{sample[:start]}[REDACTED:{entity}]"
        assert redactor.redact(harmless) is harmless
        assert plain.redact(sample) is sample
        assert entity in redactor.entities
    assert "UK_NHS" not in plain.entities


def test_a_number_counts_after_its_word_in_the_countrys_language() -> None:
    for text, entity in (
        ("个人\uff1a身份证号11010519491231002X。", "CN_RESIDENT_ID"),
        ("マイナンバー\uff1a6214 9832 0257", "JP_MY_NUMBER"),
        ("numéro de sécurité sociale : 255081416802538", "FR_NIR"),
        ("číslo rodné číslo: 7103192745", "CZ_BIRTH_NUMBER"),
        ('{"tax_file_number": "123456782"}', "AU_TFN"),
        ("taxFileNumber=123456782", "AU_TFN"),
        ("เลขประจำตัวประชาชน 1234545678781", "TH_TNIN"),
    ):
        assert [find[0] for find in ALL.scan(text)] == [entity], text


def test_offsets_count_code_points() -> None:
    text = "😀 ЕГН 7523169263 😀 192.0.2.1"
    assert [(entity, text[start:end]) for entity, start, end, _ in ALL.scan(text)] == [
        ("BG_EGN", "7523169263"),
        ("IP_ADDRESS", "192.0.2.1"),
    ]


@pytest.mark.parametrize("entities", ["UK_NHS", [1], ["NHS"], ["EMAIL"], 5])
def test_what_is_no_list_of_entities_is_refused_at_once(entities: object) -> None:
    with pytest.raises((TypeError, ValueError)):
        Redactor(entities=entities)  # type: ignore[arg-type]


def test_an_unknown_entity_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(ValueError, match="Did you mean UK_NHS"):
        Redactor(entities=["UKNHS"])


def test_digits_of_logs_are_not_found() -> None:
    """presidio#1173, and the false finds that make people turn redaction off."""
    dice = random.Random(7)
    found: dict[str, int] = {}
    for _ in range(1500):
        when = dice.randrange(10**9, 2 * 10**9)
        line = (
            f"2026-11-29 12:{dice.randrange(60):02}:{dice.randrange(60):02},{dice.randrange(1000):03} INFO "
            f"request {dice.randbytes(16).hex()} order {dice.randrange(10**9, 10**11)} ts={when} ms={when}{dice.randrange(1000):03} "
            f"took {dice.random():.9f}s size={dice.randrange(10**8)} pid {dice.randrange(10**7)} sha={dice.randbytes(20).hex()} "
            f"0x{dice.randrange(2**48):012x} v{dice.randrange(9)}.{dice.randrange(99)}.{dice.randrange(99)}.{dice.randrange(99)} "
            f"loss={dice.random()} step {dice.randrange(10**6)}/{dice.randrange(10**6)}"
        )
        for entity, _, _, _ in ALL.scan(line):
            found[entity] = found.get(entity, 0) + 1
    # Random digits are a right card number now and then, with or without the identifiers.
    found.pop("CREDIT_CARD", None)
    assert found == {}


def test_redacting_twice_is_redacting_once_and_finds_are_in_order() -> None:
    dice = random.Random(11)
    pieces = [row[3] for row in Redactor.identifiers()] + [row[4] for row in Redactor.identifiers()]
    pieces += [word for row in Redactor.identifiers() for word in row[2]]
    pieces += [" ", ":", "-", ".", "/", ",", "(", "+", "@", "%20", "\\n", "\n", "[REDACTED:UK_NHS]", "password=", "4111111111111111", "a", "7"]  # fmt: skip
    pieces += [
        "://",
        "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
        "ann@b.co",
        "é",
        "号",
        "::",
        "943 476 5919",
        "%2B",
        "eyJ",
    ]
    for _ in range(4000):
        parts = [dice.choice(pieces) for _ in range(dice.randrange(1, 9))]
        text = dice.choice(("", " ", " ")).join(part[: dice.randrange(1, 40)] for part in parts)
        once = ALL.redact(text)
        assert ALL.redact(once) == once, text
        at = 0
        for _, start, end, _ in ALL.scan(text):
            assert at <= start < end <= len(text)
            at = end


def test_the_page_lists_what_there_is() -> None:
    page = (ROOT / "docs" / "identifiers.md").read_text()
    rows = re.findall(r"^\| `([A-Z0-9_]+)` \| ([^|]*) \| ([^|]*) \|$", page, re.M)
    assert [row[0] for row in rows] == [row[0] for row in Redactor.identifiers()]
    for entity, country, words in rows:
        assert country.strip() == (ROWS[entity][1] or "any"), entity
        listed = [word.strip() for word in words.split(",")] if words.strip() != "none" else []
        assert listed == ROWS[entity][2], entity
