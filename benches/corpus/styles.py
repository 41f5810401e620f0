"""The texts that a value stands in: prose, chat, logs, JSON, CSV, configuration, code, stack traces, XML.

A style puts a mark where the value goes. What has no label is written where nothing near by says what it is; what has one has
it before (mostly), behind, or at the head of its column.
"""

from __future__ import annotations

import datetime
import json
import re
import unicodedata
from collections.abc import Callable

from faker import Faker

from .people import Dice

#: Where the value goes.
HERE = "\0"
Style = Callable[[Dice, Faker, str, str], tuple[str, str]]


def snake(label: str) -> str:
    """``NHS number`` as programs write it: ``nhs_number``. Latin letters lose their accents, other scripts stay as they are."""
    plain = "".join(_plain(sign) for sign in unicodedata.normalize("NFC", label))
    return re.sub(r"[\s.'\"/°:@-]+", "_", plain).strip("_").lower()


def _plain(sign: str) -> str:
    first = unicodedata.normalize("NFKD", sign)[0]
    return first if first.isascii() else sign


def camel(label: str) -> str:
    """``nhsNumber``."""
    first, *rest = snake(label).split("_")
    return first + "".join(word.capitalize() for word in rest)


def name_of(dice: Dice, name: str) -> str:
    """The label as a member's or column's name."""
    return dice.choice((snake, camel))(name)


def instant(dice: Dice) -> datetime.datetime:
    """Some second of three years. Faker's own end today, and tomorrow would be others."""
    return datetime.datetime(2023, 6, 1) + datetime.timedelta(seconds=dice.randrange(94_000_000))


def stamp(dice: Dice) -> str:
    """An instant, as logs have it."""
    return instant(dice).isoformat()


def day(dice: Dice) -> str:
    """A day."""
    return str(instant(dice).date())


# With a label, and the name that a program would give it. Each gives the text and the kind of file that it would stand in.


def prose(dice: Dice, fake: Faker, label: str, _: str) -> tuple[str, str]:
    """A sentence among others."""
    name, around = fake.name(), fake.sentence()
    said = dice.choice(
        (
            f"{name} wrote that the {label} is {HERE}, and asked for a copy.",
            f"Please check {label} {HERE} before {instant(dice).strftime('%A')}.",
            f"{label}: {HERE}",
            f"For {name} ({label} {HERE}) nothing was found.",
            f"The form gives {HERE} as the {label} of {name}.",
            f"{name}, {label} {HERE}, lives at {fake.street_address()}.",
        )
    )
    return dice.choice((f"{around} {said}", said, f"{said} {around}")), "txt"


def chat(dice: Dice, fake: Faker, label: str, _: str) -> tuple[str, str]:
    """A line of a chat."""
    nick = fake.user_name()
    return dice.choice(
        (
            f"<{nick}> my {label} is {HERE} thx",
            f"[{instant(dice).time()}] {nick}: {label} {HERE}?",
            f"{nick}: sure! {label.lower()}: {HERE} :)",
            f"@{nick} can you look up {label} {HERE} pls",
        )
    ), "txt"


def log(dice: Dice, fake: Faker, label: str, name: str) -> tuple[str, str]:
    """A line of a program's log."""
    key = name_of(dice, name)
    request = dice.randbytes(8).hex()
    return dice.choice(
        (
            f"{stamp(dice)}Z INFO app.views request={request} {key}={HERE} status=200 micros={dice.randrange(90, 9000)}",
            f"{instant(dice).strftime('%b %d %H:%M:%S')} web-{dice.randrange(9)} app[{dice.randrange(300, 40_000)}]: {label}: {HERE} accepted",
            f"[{stamp(dice)}] WARN  worker-{dice.randrange(16)} rejected row {dice.randrange(99_999)}, {key}='{HERE}'",
        )
    ), "log"


def document(dice: Dice, fake: Faker, _: str, name: str) -> tuple[str, str]:
    """JSON."""
    row = {"id": fake.uuid4(), "name": fake.name(), name_of(dice, name): HERE, "created": stamp(dice), "active": True}
    indent = dice.choice((None, 2))
    return json.dumps(row, ensure_ascii=False, indent=indent).replace("\\u0000", HERE), "json"


def columns(dice: Dice, fake: Faker, label: str, name: str) -> tuple[str, str]:
    """CSV: the label at the head, or in a column before."""
    by = dice.choice((",", ";", "\t"))
    if dice.random() < 0.3:
        return f"{fake.last_name()}{by}{day(dice)}{by}{label}{by}{HERE}{by}{dice.randrange(10, 99)}", "csv"
    head = by.join(("id", "name", snake(name), "since"))
    return f"{head}\n{dice.randrange(1, 9999)}{by}{fake.name()}{by}{HERE}{by}{day(dice)}", "csv"


def settings(dice: Dice, fake: Faker, _: str, name: str) -> tuple[str, str]:
    """YAML, an environment's file, INI or TOML."""
    key = snake(name)
    return dice.choice(
        (
            (f"customer:\n  name: {fake.last_name()}\n  {key}: {HERE}\n  retries: {dice.randrange(9)}", "yaml"),
            (f"DEBUG=0\n{key.upper()}={HERE}\nWORKERS={dice.randrange(1, 32)}", "env"),
            (f"[customer]\n{key} = {HERE}\ntimeout = {dice.randrange(90)}", "ini"),
            (f'[customer]\n{key} = "{HERE}"\nsince = {day(dice)}', "toml"),
        )
    )


def code(dice: Dice, fake: Faker, _: str, name: str) -> tuple[str, str]:
    """A constant in a program."""
    key = snake(name)
    return dice.choice(
        (
            (f'customer = Customer(name="{fake.last_name()}", {key}="{HERE}")', "py"),
            (f"def test_{fake.word()}():\n    {key} = '{HERE}'\n    assert find({key}) is not None", "py"),
            (f'const {camel(name)} = "{HERE}";', "js"),
            (f"UPDATE people SET {key} = '{HERE}' WHERE id = {dice.randrange(99_999)};", "sql"),
        )
    )


def trace(dice: Dice, fake: Faker, label: str, _: str) -> tuple[str, str]:
    """A stack trace whose error quotes the value."""
    return (
        f'Traceback (most recent call last):\n  File "/srv/app/{fake.word()}.py", line {dice.randrange(900)}, in {fake.word()}\n'
        f"    raise ValueError(message)\nValueError: {dice.choice(('invalid', 'unknown', 'duplicate'))} {label}: {dice.choice(('', chr(39)))}{HERE}"
    ), "log"


def markup(dice: Dice, fake: Faker, _: str, name: str) -> tuple[str, str]:
    """XML."""
    key = snake(name)
    return dice.choice(
        (f"<person><name>{fake.name()}</name><{key}>{HERE}</{key}></person>", f'<field name="{key}" value="{HERE}"/>')
    ), "xml"


LABELLED: tuple[Style, ...] = (prose, prose, chat, log, log, document, document, columns, settings, code, trace, markup)


# Without one.


def unlabelled(dice: Dice, fake: Faker) -> tuple[str, str]:
    """Nothing near by says what the value is."""
    return dice.choice(
        (
            (f"{fake.name()} left {HERE} with the desk. {fake.sentence()}", "txt"),
            (f"{fake.user_name()}: here you go {HERE}", "txt"),
            (f"{stamp(dice)}Z DEBUG app.queue handled {HERE} in {dice.randrange(900)} ms", "log"),
            (json.dumps({"rows": [[dice.randrange(99), fake.last_name(), HERE]]}).replace("\\u0000", HERE), "json"),
            (f"{dice.randrange(9999)},{fake.last_name()},{HERE},{day(dice)}", "csv"),
            (f'process("{HERE}")', "py"),
            (f"KeyError: '{HERE}'", "log"),
        )
    )


# Secrets that only a name, a scheme or a place tells.


def assigned(dice: Dice, fake: Faker, name: str) -> tuple[str, str]:
    """A secret behind its name."""
    return dice.choice(
        (
            (f"{stamp(dice)}Z INFO app.db connecting {name}={HERE} host={fake.domain_word()}", "log"),
            (json.dumps({"user": fake.user_name(), name: HERE, "port": 5432}).replace("\\u0000", HERE), "json"),
            (f"database:\n  user: {fake.user_name()}\n  {name}: {HERE}", "yaml"),
            (f"export {name.upper().replace('-', '_')}={HERE}\nexport LANG=C", "env"),
            (f"{name.replace('-', '_')} = '{HERE}'", "py"),
            (f'[client]\n{name} = "{HERE}"', "toml"),
            (f"{fake.user_name()}: {name} is now {name}: {HERE}", "txt"),
            (f"DEBUG sending headers {{'Host': 'api', '{name}': '{HERE}'}}", "log"),
        )
    )


def header(dice: Dice, fake: Faker, start: str) -> tuple[str, str]:
    """A header of a request."""
    return dice.choice(
        (
            (f"{start} {HERE}", "txt"),
            (f"curl -H '{start} {HERE}' https://{fake.domain_name()}/v1/orders", "txt"),
            (f"GET /v1/me HTTP/1.1\nHost: {fake.domain_name()}\n{start} {HERE}\nAccept: */*", "log"),
            (
                json.dumps({"headers": {"Authorization": f"{start.partition(': ')[2]} {HERE}"}}).replace(
                    "\\u0000", HERE
                ),
                "json",
            ),
        )
    )


def located(dice: Dice, fake: Faker, start: str) -> tuple[str, str]:
    """The password of a URL."""
    url = f"{start}{HERE}@{fake.domain_name()}/app"
    return dice.choice(
        (
            (f"{stamp(dice)}Z ERROR cannot connect to {url}", "log"),
            (f"DATABASE_URL={url}", "env"),
            (f'url = "{url}"', "py"),
        )
    )
