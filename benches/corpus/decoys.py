"""Texts in which there is nothing to hide, full of what looks like it: a find here is a false one.

Random numbers of everyday kinds (orders, times, versions, hashes, part numbers, coordinates), public halves of secrets (certificates,
public keys, digests), and what programs write where a secret would be (placeholders, references, types).
"""

from __future__ import annotations

import base64
import json
import string
from collections.abc import Callable

import stdnum.ean
import stdnum.isbn
from faker import Faker

from .people import Dice, digits, fitting
from .styles import day, stamp

AGENTS = (
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/119.0.0.0 Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_1_2 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.1 Mobile/15E148",
    "python-requests/2.32.3 urllib3/2.2.1 CPython/3.11.7",
    "okhttp/4.12.0.1",
)
Decoy = Callable[[Dice, Faker], tuple[str, str]]


def _number(dice: Dice, _: Faker) -> str:
    """What is counted, sold, measured or sent."""
    return dice.choice(
        (
            f"order {digits(dice, dice.randrange(8, 17))}",
            f"invoice no. {digits(dice, 4)}-{digits(dice, 6)}",
            f"tracking 1Z{''.join(dice.choices(string.ascii_uppercase + string.digits, k=16))}",
            f"parcel {digits(dice, 20)}",
            f"ISBN {fitting(dice, lambda: '978' + digits(dice, 10), stdnum.isbn.is_valid)}",
            f"EAN {fitting(dice, lambda: digits(dice, 13), stdnum.ean.is_valid)}",
            f"part {digits(dice, 3)}-{digits(dice, 4)}-{digits(dice, 4)}",
            f"snowflake {dice.randrange(10**17, 10**18)}",
            f"epoch {1_600_000_000 + dice.randrange(10**8)}",
            f"epoch_ms {1_600_000_000_000 + dice.randrange(10**11)}",
            f"lat {dice.uniform(-90, 90):.7f}, lon {dice.uniform(-180, 180):.7f}",
            f"total {dice.randrange(10**9):,}.{digits(dice, 2)} EUR",
            f"bytes={dice.randrange(10**12)} rows={dice.randrange(10**9)}",
            f"ratio 0.{digits(dice, 16)}",
            f"ticket {digits(dice, 3)}-{digits(dice, 3)}-{digits(dice, 4)}",
            f"pid {dice.randrange(99_999)} thread {dice.randrange(10**14, 10**15)}",
            f"version {dice.randrange(20)}.{dice.randrange(90)}.{dice.randrange(99)}.{dice.randrange(9999)}",
            f"build {dice.randrange(2020, 2027)}{digits(dice, 4)}.{dice.randrange(99)}",
            f"serial {''.join(dice.choices(string.ascii_uppercase + string.digits, k=dice.randrange(7, 14)))}",
            f"booking {''.join(dice.choices(string.ascii_uppercase + string.digits, k=6))}",
            f"sku {''.join(dice.choices(string.ascii_uppercase, k=3))}-{digits(dice, dice.randrange(5, 10))}",
            f"batch {day(dice).replace('-', '')}-{digits(dice, 4)}",
            f"range {digits(dice, 6)}-{digits(dice, 6)}",
        )
    )


def _digest(dice: Dice, fake: Faker) -> str:
    """What is hexadecimal or base64 and public."""
    return dice.choice(
        (
            f"request {fake.uuid4()}",
            f"correlation-id: {fake.uuid4().upper()}",
            f"commit {fake.sha1()}",
            f"md5 {fake.md5()}",
            f"sha256:{fake.sha256()}",
            f'etag "{fake.md5()}"',
            f"trace_id={dice.randbytes(16).hex()} span_id={dice.randbytes(8).hex()}",
            f"traceparent: 00-{dice.randbytes(16).hex()}-{dice.randbytes(8).hex()}-01",
            f"integrity sha512-{base64.b64encode(dice.randbytes(64)).decode()}",
            f"SHA256:{base64.b64encode(dice.randbytes(32)).decode().rstrip('=')} ada@laptop (ED25519)".replace(
                "ada@laptop", "laptop"
            ),
            f"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI{base64.b64encode(dice.randbytes(33)).decode()[:43]}",
            f"pod api-{dice.randbytes(5).hex()[:9]}-{''.join(dice.choices('bcdfghjklmnpqrstvwxz2456789', k=5))}",
            f"colour #{dice.randbytes(3).hex()} on #{dice.randbytes(3).hex().upper()}",
            f"src=data:image/png;base64,iVBORw0KGgo{base64.b64encode(dice.randbytes(90)).decode()}",
            f"bundle main.{dice.randbytes(10).hex()}.js",
            f"object {dice.randbytes(12).hex()}",
            f"cursor {base64.b64encode(json.dumps({'after': dice.randrange(10**9)}).encode()).decode()}",
        )
    )


def _blank(dice: Dice, fake: Faker) -> str:
    """What stands where a secret would be, and is none."""
    return dice.choice(
        (
            "password: ${DB_PASSWORD}",
            'password = os.environ["DB_PASSWORD"]',
            "api_key: <your api key>",
            "token = get_token(request)",
            '"password": {"type": "string", "minLength": 12}',
            "password: str | None = None",
            "Enter your password to go on, or reset the password",
            "The API key is read from the environment",
            "secret_key_base: {{ vault.secret_key_base }}",
            "password=********",
            f"def login(user: str, password: str) -> Token:  # {fake.word()}",
            "tokens: 1234 in, 567 out",
            "npm install @types/node@18.0.1 @babel/core@7.22.5",
            "@app.route('/login')",
            "uses: actions/checkout@v4",
            f"follow @{fake.user_name()} for news",
            "-----BEGIN CERTIFICATE-----\n"
            + base64.b64encode(dice.randbytes(96)).decode()
            + "\n-----END CERTIFICATE-----",
            "-----BEGIN PUBLIC KEY-----\n"
            + base64.b64encode(dice.randbytes(90)).decode()
            + "\n-----END PUBLIC KEY-----",
            f"https://{fake.domain_name()}/{fake.uri_path()}?page={dice.randrange(99)}",
            f"{fake.file_path(depth=4)}:{dice.randrange(999)}:{dice.randrange(99)}",
            dice.choice(AGENTS),
        )
    )


def numbers(dice: Dice, fake: Faker) -> tuple[str, str]:
    """Numbers in a sentence or a log."""
    return _put(dice, fake, _number(dice, fake))


def digests(dice: Dice, fake: Faker) -> tuple[str, str]:
    """Hashes and names of requests."""
    return _put(dice, fake, _digest(dice, fake))


def blanks(dice: Dice, fake: Faker) -> tuple[str, str]:
    """Where a secret would be."""
    return _blank(dice, fake), dice.choice(("py", "yaml", "txt"))


def words(dice: Dice, fake: Faker) -> tuple[str, str]:
    """Nothing but words."""
    return fake.paragraph(nb_sentences=dice.randrange(1, 4)), "txt"


def _put(dice: Dice, fake: Faker, what: str) -> tuple[str, str]:
    return dice.choice(
        (
            (f"{fake.sentence()} {what}. {fake.sentence()}", "txt"),
            (f"{stamp(dice)}Z INFO app.worker {what} done", "log"),
            (f"{fake.user_name()}: see {what}", "txt"),
            (json.dumps({"message": what, "at": stamp(dice)}), "json"),
            (f"# {what}\nretries: {dice.randrange(9)}", "yaml"),
        )
    )


DECOYS: tuple[Decoy, ...] = (numbers, numbers, digests, digests, blanks, words)
