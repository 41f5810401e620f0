"""Numbers and addresses that identify a person, made by their issuers' public rules, and what people call them.

1. A value is drawn by the form that its issuer publishes, and drawn again until python-stdnum says that it is right; where
   that knows no rule, the issuer's formula stands here, with its source.
2. The labels are what forms, screens and programs write before such a number: its official name and its usual short ones.
3. ``plain`` says whether a reader can tell such a value without a label. Nine bare digits could be anything.

Nothing here knows the rules of ``src/redaction``: what is made is what the issuers say, not what is found.
"""

from __future__ import annotations

import datetime
import random
import string
from collections.abc import Callable
from dataclasses import dataclass

import stdnum.ar.cuit
import stdnum.at.vnr
import stdnum.au.abn
import stdnum.au.acn
import stdnum.au.tfn
import stdnum.be.nn
import stdnum.bg.egn
import stdnum.br.cnpj
import stdnum.br.cpf
import stdnum.ca.sin
import stdnum.ch.ssn
import stdnum.cl.rut
import stdnum.cn.ric
import stdnum.cz.rc
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
import stdnum.in_.aadhaar
import stdnum.in_.gstin
import stdnum.is_.kennitala
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
from faker import Faker
from stdnum.iso7064 import mod_11_10

Dice = random.Random
Make = Callable[[Dice, Faker], str]


@dataclass(frozen=True)
class Kind:
    """What can stand in a text: how it is made, and what stands before it."""

    entity: str
    labels: tuple[str, ...]
    make: Make
    #: Whether a reader can tell it without a label.
    plain: bool = False


def digits(dice: Dice, count: int) -> str:
    """Random digits."""
    return "".join(dice.choices(string.digits, k=count))


def fitting(dice: Dice, make: Callable[[], str], is_right: Callable[[str], bool]) -> str:
    """The first that is right."""
    for _ in range(100_000):
        value = make()
        if is_right(value):
            return value
    raise AssertionError("none is right")


def drawn(picture: str, is_right: Callable[[str], bool] = lambda _: True, *styles: Callable[[str], str]) -> Make:
    """Makes what a picture shows: ``9`` is a digit, ``A`` a letter, ``[…]`` one of these, ``%…`` a date; then one of the styles."""

    def make(dice: Dice, _: Faker) -> str:
        value = fitting(dice, lambda: _filled(picture, dice), is_right)
        return dice.choice(styles)(value) if styles else value

    return make


def _filled(picture: str, dice: Dice) -> str:
    day = datetime.date(1946, 1, 1) + datetime.timedelta(days=dice.randrange(21_000))
    for token in ("%d", "%m", "%y", "%Y"):
        # In brackets, since a 9 that a date brings is no picture of a digit.
        picture = picture.replace(token, "".join(f"[{digit}]" for digit in day.strftime(token)))
    out, rest = [], picture
    while rest:
        sign, rest = rest[0], rest[1:]
        if sign == "[":
            among, _, rest = rest.partition("]")
            sign = dice.choice(among)
        elif sign in "9A":
            sign = dice.choice(string.digits if sign == "9" else string.ascii_uppercase)
        out.append(sign)
    return "".join(out)


def grouped(*lengths: int, by: str = " ") -> Callable[[str], str]:
    """The value in groups."""

    def style(value: str) -> str:
        groups, at = [], 0
        for length in lengths:
            groups.append(value[at : at + length])
            at += length
        return by.join(groups)

    return style


def bare(value: str) -> str:
    """As it is."""
    return value


# Rules that python-stdnum does not have.


def _luhn(number: str) -> bool:
    return bool(stdnum.luhn.is_valid(number))


def _german_tax(dice: Dice, _: Faker) -> str:
    """Ten digits of which exactly one stands there twice, and the check (BZSt, "Aufbau der Identifikationsnummer")."""
    order = list(string.digits)
    dice.shuffle(order)
    ten = [*order[:9], dice.choice(order[:9])]
    dice.shuffle(ten)
    if ten[0] == "0":
        ten.reverse()
    value = "".join(ten)
    if value[0] == "0":
        value = value[1:] + "0"
    value += mod_11_10.calc_check_digit(value)
    return dice.choice((bare, bare, grouped(2, 3, 3, 3)))(value)


def _german_pension(number: str) -> bool:
    """VKVV section 4: the letter counts as two digits, products are added digit by digit."""
    plain = f"{number[:8]}{ord(number[8]) - 64:02}{number[9:]}"
    products = (int(digit) * weight for digit, weight in zip(plain, (2, 1, 2, 5, 7, 1, 2, 1, 2, 1, 2, 1), strict=False))
    return sum(product // 10 + product % 10 for product in products) % 10 == int(number[-1])


def _german_health(number: str) -> bool:
    """GKV-Spitzenverband, "Krankenversichertennummer": Luhn's sum, the letter as two digits."""
    return _luhn(f"{ord(number[0]) - 64:02}{number[1:]}")


def _medicare(number: str) -> bool:
    """Services Australia: eight digits, weighted, and the card's issue."""
    total = sum(int(digit) * weight for digit, weight in zip(number, (1, 3, 7, 9, 1, 3, 7, 9), strict=False))
    return number[8] == str(total % 10) and number[9] != "0"


def _singapore(number: str) -> bool:
    """The check letter of NRIC (S, T) and FIN (F, G)."""
    total = sum(int(digit) * weight for digit, weight in zip(number[1:8], (2, 7, 6, 5, 4, 3, 2), strict=True))
    total += 4 if number[0] in "TG" else 0
    return number[8] == ("JZIHGFEDCBA" if number[0] in "ST" else "XWUTRQPNMLK")[total % 11]


def _hong_kong(number: str) -> bool:
    """Immigration Department: weights nine to one, a blank counts 36, a letter from ten on."""
    values = [36, ord(number[0]) - 55, *map(int, number[1:7]), 10 if number[8] == "A" else int(number[8])]
    return sum(value * weight for value, weight in zip(values, range(9, 0, -1), strict=True)) % 11 == 0


def _taiwan(number: str) -> bool:
    """Ministry of the Interior: the letter is two digits, weights one, nine to one, and one."""
    letter = "ABCDEFGHJKLMNPQRSTUVXYWZIO".index(number[0]) + 10
    total = letter // 10 + letter % 10 * 9
    total += sum(int(digit) * weight for digit, weight in zip(number[1:], (8, 7, 6, 5, 4, 3, 2, 1, 1), strict=True))
    return total % 10 == 0


def _british(number: str) -> bool:
    """HMRC, NIM39110: prefixes that were never given out."""
    return number[:2] not in {"BG", "GB", "NK", "KN", "TN", "NT", "ZZ"}


def _provider(number: str) -> bool:
    return _luhn("80840" + number)


# What is a person's.

#: Beside a person's name: labels as forms and programs write them.
PEOPLE: tuple[Kind, ...] = (
    Kind("UK_NHS", ("NHS number", "NHS no.", "NHS"), drawn("9999999999", stdnum.gb.nhs.is_valid, grouped(3, 3, 4), grouped(3, 3, 4), bare, grouped(3, 3, 4, by="-"))),
    Kind("UK_NINO", ("National Insurance number", "NI number", "NINO"), drawn("[ABCEGHJKLMNOPRSTWXYZ][ABCEGHJKLMNPRSTWXYZ]999999[ABCD]", _british, grouped(2, 2, 2, 2, 1), bare), True),
    Kind("IE_PPSN", ("PPS number", "PPSN", "Personal Public Service number"), drawn("9999999A[ABHW]", stdnum.ie.pps.is_valid)),
    Kind("DE_TAX_ID", ("Steuer-ID", "Steueridentifikationsnummer", "IdNr", "tax ID"), _german_tax),
    Kind("DE_SOCIAL_SECURITY", ("Rentenversicherungsnummer", "Sozialversicherungsnummer", "RVNR"), drawn("[1]9%d%m%yA999", _german_pension, bare, grouped(2, 6, 1, 3)), True),
    Kind("DE_HEALTH_INSURANCE", ("Krankenversichertennummer", "KVNR", "Versichertennummer"), drawn("A999999999", _german_health)),
    Kind("DE_VAT_ID", ("USt-IdNr.", "VAT ID", "Umsatzsteuer-ID"), drawn("DE[123456789]99999999", lambda number: bool(mod_11_10.is_valid(number[2:]))), True),
    Kind("FR_NIR", ("numéro de sécurité sociale", "NIR", "n° de sécu"), drawn("[12]%y%m[12345678]999999999", stdnum.fr.nir.is_valid, grouped(1, 2, 2, 2, 3, 3, 2), bare)),
    Kind("NL_BSN", ("BSN", "burgerservicenummer"), drawn("999999999", stdnum.nl.bsn.is_valid)),
    Kind("BE_NN", ("rijksregisternummer", "numéro national", "NISS"), drawn("%y.%m.%d-999.99", stdnum.be.nn.is_valid, bare, lambda v: v.replace(".", "").replace("-", ""))),
    Kind("CH_AHV", ("AHV-Nummer", "AHV", "numéro AVS"), drawn("756.9999.9999.99", stdnum.ch.ssn.is_valid), True),
    Kind("AT_SVNR", ("SV-Nummer", "Sozialversicherungsnummer", "SVNR"), drawn("9999%d%m%y", stdnum.at.vnr.is_valid, bare, grouped(4, 6))),
    Kind("ES_NIF", ("DNI", "NIF", "documento nacional de identidad"), drawn("99999999A", stdnum.es.dni.is_valid, bare, bare, grouped(8, 1, by="-")), True),
    Kind("ES_NIE", ("NIE", "número de identidad de extranjero"), drawn("[XYZ]9999999A", stdnum.es.nie.is_valid, bare, bare, grouped(1, 7, 1, by="-")), True),
    Kind("PT_NIF", ("NIF", "número de contribuinte", "contribuinte"), drawn("[125]99999999", stdnum.pt.nif.is_valid, bare, grouped(3, 3, 3))),
    Kind("IT_FISCAL_CODE", ("codice fiscale", "C.F.", "cod. fisc."), drawn("[BCDFGLMNPRSTV][BCDFGLMNPRSTV][BCDLMNRSTVAEIO][BCDFGLMNPRSTV][BCDFGLMNPRSTV][BCDLMNRSTVAEIO]%y[ABCDEHLMPRST]%d[ABCDEFGHIL]999A", stdnum.it.codicefiscale.is_valid), True),
    Kind("IT_VAT_CODE", ("partita IVA", "P.IVA", "p. iva"), drawn("99999990999", stdnum.it.iva.is_valid)),
    Kind("GR_AMKA", ("ΑΜΚΑ", "AMKA"), drawn("%d%m%y99999", stdnum.gr.amka.is_valid)),
    Kind("TR_NATIONAL_ID", ("T.C. kimlik no", "TCKN", "kimlik numarası"), drawn("[123456789]9999999999", stdnum.tr.tckimlik.is_valid)),
    Kind("FI_PERSONAL_IDENTITY_CODE", ("henkilötunnus", "hetu", "personal identity code"), drawn("%d%m%y-999[0123456789ABCDEFHJKLMNPRSTUVWXY]", stdnum.fi.hetu.is_valid), True),
    Kind("SE_PERSONNUMMER", ("personnummer", "pnr", "personnr"), drawn("%Y%m%d-9999", stdnum.se.personnummer.is_valid, bare, lambda v: v[2:], lambda v: v.replace("-", ""))),
    Kind("NO_FNR", ("fødselsnummer", "fnr", "personnummer"), drawn("%d%m%y99999", stdnum.no.fodselsnummer.is_valid, bare, grouped(6, 5))),
    Kind("DK_CPR_NUMBER", ("CPR-nummer", "CPR", "CPR-nr."), drawn("%d%m%y-9999", stdnum.dk.cpr.is_valid, bare, bare, lambda v: v.replace("-", ""))),
    Kind("IS_KENNITALA", ("kennitala", "kt."), drawn("%d%m%y-999[9]", stdnum.is_.kennitala.is_valid)),
    Kind("EE_ISIKUKOOD", ("isikukood", "personal code"), drawn("[3456]%y%m%d9999", stdnum.ee.ik.is_valid)),
    Kind("LT_ASMENS_KODAS", ("asmens kodas", "a. k."), drawn("[3456]%y%m%d9999", stdnum.lt.asmens.is_valid)),
    Kind("PL_PESEL", ("PESEL", "numer PESEL", "nr PESEL"), drawn("%y%m%d99999", stdnum.pl.pesel.is_valid)),
    Kind("CZ_BIRTH_NUMBER", ("rodné číslo", "RČ", "r. č."), drawn("%y%m%d/9999", stdnum.cz.rc.is_valid)),
    Kind("RO_CNP", ("CNP", "cod numeric personal"), drawn("[12]%y%m%d999999", stdnum.ro.cnp.is_valid)),
    Kind("BG_EGN", ("ЕГН", "EGN", "единен граждански номер"), drawn("%y%m%d9999", stdnum.bg.egn.is_valid)),
    Kind("HR_OIB", ("OIB", "osobni identifikacijski broj"), drawn("99999999999", stdnum.hr.oib.is_valid)),
    Kind("SI_EMSO", ("EMŠO", "emso", "matična številka"), drawn("%d%m[9]%y509999", stdnum.si.emso.is_valid)),
    Kind("US_SSN", ("SSN", "Social Security number", "social security no."), drawn("999-99-9999", stdnum.us.ssn.is_valid), True),
    Kind("US_ITIN", ("ITIN", "individual taxpayer identification number", "taxpayer ID"), drawn("[9]99-[78][012345678]-9999", stdnum.us.itin.is_valid), True),
    Kind("US_NPI", ("NPI", "national provider identifier", "provider NPI"), drawn("1999999999", _provider)),
    Kind("US_MBI", ("MBI", "Medicare number", "Medicare beneficiary identifier"), drawn("[123456789][ACDEFGHJKMNPQRTUVWXY][ACDEFGHJKMNPQRTUVWXY0123456789]9[ACDEFGHJKMNPQRTUVWXY][ACDEFGHJKMNPQRTUVWXY0123456789]9[ACDEFGHJKMNPQRTUVWXY][ACDEFGHJKMNPQRTUVWXY]99", lambda _: True, grouped(4, 3, 4, by="-"), bare), True),
    Kind("ABA_ROUTING_NUMBER", ("routing number", "ABA", "ABA routing number", "routing no."), drawn("[0][123456789]9999999", stdnum.us.rtn.is_valid)),
    Kind("US_BANK_NUMBER", ("account number", "bank account number", "checking account", "acct. no."), drawn("[123456789]999999999", lambda _: True, bare, lambda v: v[:8], lambda v: v + "41")),
    Kind("US_PASSPORT", ("passport number", "passport no.", "US passport"), drawn("999999999", lambda _: True, bare, lambda v: "A" + v[:8])),
    Kind("CA_SIN", ("SIN", "social insurance number", "numéro d'assurance sociale"), drawn("[1234567]99999999", stdnum.ca.sin.is_valid, grouped(3, 3, 3), grouped(3, 3, 3, by="-"), bare)),
    Kind("BR_CPF", ("CPF", "Cadastro de Pessoas Físicas"), drawn("999.999.999-99", stdnum.br.cpf.is_valid), True),
    Kind("BR_CNPJ", ("CNPJ", "Cadastro Nacional da Pessoa Jurídica"), drawn("99.999.999/0001-99", stdnum.br.cnpj.is_valid), True),
    Kind("MX_CURP", ("CURP", "clave única"), drawn("[BCDFGLMNPRSTV][AEIOU][BCDFGLMNPRSTV][BCDFGLMNPRSTV]%y%m%d[HM][JDMO][CFSN][BCDFGLMNPRSTV][BCDFGLMNPRSTV][BCDFGLMNPRSTV]99", stdnum.mx.curp.is_valid), True),
    Kind("CL_RUT", ("RUT", "rol único nacional", "RUN"), drawn("[12]9.999.999-[0123456789K]", stdnum.cl.rut.is_valid, bare, bare, lambda v: v.replace(".", "")), True),
    Kind("AR_CUIT", ("CUIT", "CUIL", "CUIT/CUIL"), drawn("2[037]-99999999-9", stdnum.ar.cuit.is_valid), True),
    Kind("AU_ABN", ("ABN", "Australian Business Number"), drawn("[123456789]9999999999", stdnum.au.abn.is_valid, grouped(2, 3, 3, 3), bare)),
    Kind("AU_ACN", ("ACN", "Australian Company Number"), drawn("999999999", stdnum.au.acn.is_valid, grouped(3, 3, 3), bare)),
    Kind("AU_TFN", ("TFN", "tax file number"), drawn("[123456789]99999999", stdnum.au.tfn.is_valid, grouped(3, 3, 3), bare)),
    Kind("AU_MEDICARE", ("Medicare number", "Medicare card", "medicare no."), drawn("[23456]999999999", _medicare, grouped(4, 5, 1), bare)),
    Kind("NZ_IRD", ("IRD number", "IRD"), drawn("[1]99999999", stdnum.nz.ird.is_valid, grouped(3, 3, 3, by="-"), bare)),
    Kind("IN_AADHAAR", ("Aadhaar number", "Aadhaar", "UIDAI no."), drawn("[23456789]99999999999", stdnum.in_.aadhaar.is_valid, grouped(4, 4, 4), bare)),
    Kind("IN_PAN", ("PAN", "PAN number", "Permanent Account Number"), drawn("AAAPA9999A"), True),
    Kind("IN_GSTIN", ("GSTIN", "GST number"), drawn("[012][123456789]AAA[PCHFT]A9999A1Z[0123456789ABCDEFGHJKLMNPQRSTUVWXYZ]", stdnum.in_.gstin.is_valid), True),
    Kind("SG_NRIC_FIN", ("NRIC", "FIN", "NRIC no."), drawn("[STFG]9999999A", _singapore), True),
    Kind("KR_RRN", ("주민등록번호", "resident registration number", "RRN"), drawn("%y%m%d-[12]999999", stdnum.kr.rrn.is_valid), True),
    Kind("JP_MY_NUMBER", ("マイナンバー", "個人番号", "My Number"), drawn("999999999999", stdnum.jp.in_.is_valid, bare, grouped(4, 4, 4))),
    Kind("CN_RESIDENT_ID", ("身份证号", "身份证号码", "resident ID"), drawn("[1]10[1][0]5%Y%m%d999[0123456789X]", stdnum.cn.ric.is_valid), True),
    Kind("TW_NATIONAL_ID", ("身分證字號", "身分證", "national ID"), drawn("[ABCDEFGHJKLMNPQRSTUVXYWZIO][12]99999999", _taiwan), True),
    Kind("HK_ID", ("HKID", "香港身份證", "Hong Kong identity card no."), drawn("[ABCDEFGHKPRVYZ]999999([0123456789A])", _hong_kong), True),
    Kind("TH_TNIN", ("เลขประจำตัวประชาชน", "Thai national ID", "บัตรประชาชน"), drawn("[12345]999999999999", stdnum.th.pin.is_valid, grouped(1, 4, 5, 2, 1, by="-"), bare)),
    Kind("IL_ID", ("תעודת זהות", "Teudat Zehut", "ת.ז."), drawn("999999999", stdnum.il.idnr.is_valid)),
    Kind("ZA_ID_NUMBER", ("SA ID number", "identity number", "ID number"), drawn("%y%m%d9999089", stdnum.za.idnr.is_valid)),
)  # fmt: skip
