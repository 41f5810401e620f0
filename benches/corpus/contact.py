"""How people are reached and how they pay: addresses, telephones, cards, accounts, wallets, devices.

Mail, cards, accounts and hosts are Faker's; telephone numbers follow the national plans (ITU-T E.164 and what the regulators
publish), written as people of the country write them; wallets are encoded by their own standards (Base58Check, BIP 173, EIP-55 in
small letters); an IMEI has Luhn's digit (3GPP TS 23.003).
"""

from __future__ import annotations

import hashlib
import string

import stdnum.imei
import stdnum.luhn
from faker import Faker

from .people import Dice, Kind, digits, fitting

IBANS = ("de_DE", "en_GB", "fr_FR", "it_IT", "nl_NL", "es_ES", "pl_PL", "de_CH", "de_AT", "pt_PT", "no_NO", "fi_FI")

#: Country, forms (``#`` is a digit, ``N`` one from 2 to 9), as they are written at home and abroad.
PHONES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("US", ("({area}) N##-####", "{area}-N##-####", "{area}.N##.####", "+1 {area} N## ####", "+1-{area}-N##-####", "+1{area}N######")),
    ("GB", ("020 7### ####", "07700 9#####", "0161 496 ####", "+44 20 7946 ####", "+44 7700 9#####", "+447700900###")),
    ("DE", ("030 2#######", "0151 2#######", "089/5######", "+49 30 2#######", "+49 151 2#######", "+49 (0)89 5######")),
    ("FR", ("01 4# ## ## ##", "06 1# ## ## ##", "06.1#.##.##.##", "+33 1 4# ## ## ##", "+33 6 1# ## ## ##", "+3361#######")),
    ("IT", ("06 698#####", "347 #######", "+39 06 698#####", "+39 347 #######")),
    ("ES", ("91 5## ## ##", "612 34# ###", "+34 91 5## ## ##", "+34 612 34# ###")),
    ("NL", ("020 5## ####", "06 1#######", "+31 20 5## ####", "+31 6 1#######")),
    ("PL", ("22 6## ## ##", "601 ### ###", "+48 22 6## ## ##", "+48 601 ### ###")),
    ("SE", ("08-123 4# ##", "070-123 4# ##", "+46 8 123 4# ##", "+46 70 123 4# ##")),
    ("CH", ("044 668 ## ##", "079 2## ## ##", "+41 44 668 ## ##", "+41 79 2## ## ##")),
    ("IN", ("98### #####", "+91 98### #####", "+91-98########", "+9198########")),
    ("AU", ("(02) 9### ####", "0412 ### ###", "+61 2 9### ####", "+61 412 ### ###")),
    ("BR", ("(11) 9####-####", "+55 11 9####-####", "+55 (21) 9####-####")),
    ("JP", ("03-3###-####", "090-1###-####", "+81 3-3###-####", "+81 90-1###-####")),
    ("CN", ("138 #### ####", "139########", "+86 138 #### ####")),
    ("MX", ("55 5### ####", "+52 55 5### ####")),
)  # fmt: skip
AREAS = (
    "202",
    "212",
    "213",
    "303",
    "305",
    "312",
    "404",
    "415",
    "503",
    "512",
    "602",
    "617",
    "646",
    "702",
    "713",
    "718",
    "786",
    "801",
    "818",
    "917",
    "919",
    "949",
)


def email(dice: Dice, fake: Faker) -> str:
    """An address of mail, also with tags, subdomains and names of other countries' domains."""
    first, last = fake.first_name().lower(), fake.last_name().lower()
    local = dice.choice(
        (
            f"{first}.{last}",
            f"{first[0]}{last}",
            f"{first}_{last}{dice.randrange(99)}",
            f"{first}+{dice.choice(('news', 'shop', 'x1'))}",
            last,
        )
    )
    domain = dice.choice(
        (fake.domain_name(), fake.free_email_domain(), f"mail.{fake.domain_name()}", f"{last}.co.uk", f"{last}-gmbh.de")
    )
    # Faker's names may have a blank in them.
    return f"{local}@{domain}".replace(" ", "")  # fmt: skip


def card(dice: Dice, fake: Faker) -> str:
    """A card's number, in one piece or grouped as on the card."""
    brand = dice.choice(("visa16", "visa16", "mastercard", "mastercard", "amex", "discover", "diners", "jcb"))
    if brand == "jcb":
        # Faker takes all of 35; issued are 3528 to 3589.
        number = fitting(dice, lambda: f"{dice.randrange(3528, 3590)}{digits(dice, 12)}", stdnum.luhn.is_valid)
    else:
        number = fake.credit_card_number(brand)
    by = dice.choice(("", "", " ", "-"))
    ends = (4, 8, 12, 16) if len(number) == 16 else (4, 10, len(number))
    return by.join(number[start:end] for start, end in zip((0, *ends), ends, strict=False))


def iban(dice: Dice, _: Faker) -> str:
    """An account of one of twelve countries, in groups of four or in one piece."""
    number = _localised(dice.choice(IBANS), dice).iban()
    return number if dice.random() < 0.5 else " ".join(number[at : at + 4] for at in range(0, len(number), 4))


_LOCAL: dict[str, Faker] = {}


def _localised(locale: str, dice: Dice) -> Faker:
    found = _LOCAL.setdefault(locale, Faker(locale))
    found.seed_instance(dice.getrandbits(64))
    return found


def phone(dice: Dice, _: Faker) -> str:
    """A telephone number of one of sixteen countries."""
    form = dice.choice(dice.choice(PHONES)[1]).format(area=dice.choice(AREAS))
    return "".join(
        dice.choice(string.digits) if sign == "#" else dice.choice("23456789") if sign == "N" else sign for sign in form
    )


def address(dice: Dice, fake: Faker) -> str:
    """A host's address."""
    return fake.ipv4_public() if dice.random() < 0.6 else fake.ipv4_private() if dice.random() < 0.4 else fake.ipv6()


def hardware(dice: Dice, fake: Faker) -> str:
    """A hardware address, by colons, hyphens or in Cisco's groups of four."""
    plain = fake.mac_address()
    joined = plain.replace(":", "")
    return dice.choice(
        (plain, plain.upper(), plain.replace(":", "-").upper(), f"{joined[:4]}.{joined[4:8]}.{joined[8:]}")
    )


def imei(dice: Dice, _: Faker) -> str:
    """A telephone's own number."""
    return fitting(dice, lambda: "35" + digits(dice, 13), stdnum.imei.is_valid)


def wallet(dice: Dice, _: Faker) -> str:
    """An address of Bitcoin (three kinds) or Ethereum."""
    kind = dice.randrange(4)
    if kind == 0:
        return "0x" + dice.randbytes(20).hex()
    if kind == 1:
        return _bech32("bc", dice.randbytes(20))
    return base58check(bytes([0 if kind == 2 else 5]) + dice.randbytes(20))


def base58check(payload: bytes) -> str:
    """Base58 with four bytes of a double SHA-256 behind."""
    alphabet = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
    full = payload + hashlib.sha256(hashlib.sha256(payload).digest()).digest()[:4]
    number, out = int.from_bytes(full, "big"), ""
    while number:
        number, rest = divmod(number, 58)
        out = alphabet[rest] + out
    return "1" * (len(full) - len(full.lstrip(b"\0"))) + out


def _bech32(prefix: str, program: bytes) -> str:
    """BIP 173, witness version 0."""
    number = int.from_bytes(program, "big")
    values = [0, *((number >> shift) & 31 for shift in range(len(program) * 8 - 5, -5, -5))]
    expanded = [ord(sign) >> 5 for sign in prefix] + [0] + [ord(sign) & 31 for sign in prefix]
    checksum = _polymod([*expanded, *values, 0, 0, 0, 0, 0, 0]) ^ 1
    values += [(checksum >> 5 * (5 - place)) & 31 for place in range(6)]
    return prefix + "1" + "".join("qpzry9x8gf2tvdw0s3jn54khce6mua7l"[value] for value in values)


def _polymod(values: list[int]) -> int:
    state = 1
    for value in values:
        top = state >> 25
        state = (state & 0x1FFFFFF) << 5 ^ value
        for bit, generator in enumerate((0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)):
            state ^= generator if top >> bit & 1 else 0
    return state


CONTACT: tuple[Kind, ...] = (
    Kind("EMAIL_ADDRESS", ("email", "e-mail", "contact"), email, True),
    Kind("CREDIT_CARD", ("card number", "credit card", "card"), card, True),
    Kind("IBAN_CODE", ("IBAN", "bank account", "Kontoverbindung"), iban, True),
    Kind("PHONE_NUMBER", ("phone", "tel.", "mobile", "telephone number", "cell"), phone),
    Kind("IP_ADDRESS", ("client", "remote address", "ip", "host"), address, True),
    Kind("MAC_ADDRESS", ("MAC", "hardware address", "device"), hardware, True),
    Kind("IMEI", ("IMEI", "IMEI number", "device IMEI"), imei),
    Kind("CRYPTO", ("wallet", "BTC address", "pay to"), wallet, True),
)
