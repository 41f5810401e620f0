"""Secrets that are in use: whether they can be guessed, are known, or do more than one thing.

A secret is judged by how many guesses it takes at the most: its length, times what one of its characters can be, by
the kinds of characters in it. Where words that people put into secrets (``secret``, ``key``, ``my``, ...), rows of the
keyboard or repetitions are more of it than chance makes, they count for nothing; what can be spoken counts by its
words. 112 bits are enough (NIST SP 800-131A).

No message quotes a secret or a part of one, or says how long it is.
"""

from __future__ import annotations

import base64
import math
import re
import unicodedata
from collections.abc import Iterator
from typing import NamedTuple

from .findings import Finding
from .subject import Subject, listed, settings_found

_BITS = 112
_FEWEST = 16  # bytes, of which each may be anything
_PUBLIC = frozenset(
    (
        # Flask's own documentation, now and then.
        "192b9bdd22ab9ed4d12e236c78afcb9a393ec15f71bbf5dc987d54727823bcbf",
        "5f352379324c22463451387a0aec5d2f",
        '_5#y2l"f4q8z\n\xec]/',
        "you-will-never-guess",
        "hard to guess string",
        # The pages on which people try out tokens, and libraries' examples.
        "your-256-bit-secret",
        "your-384-bit-secret",
        "your-512-bit-secret",
        "a-string-secret-at-least-256-bits-long",
        "super-secret",
        "a-valid-string-secret-that-is-at-least-512-bits-long-which-is-very-long",
        "00112233445566778899aabbccddeeff",
        "0123456789abcdef0123456789abcdef",
        "0123456789abcdef",
        # Superset's and Flask-AppBuilder's, as it is written and as Python reads it.
        "\\2\\1thisismyscretkey\\1\\2\\e\\y\\y\\h",
        "\2\1thisismyscretkey\1\2\\e\\y\\y\\h",
    )
)
_WORDS = re.compile(
    r"secret|key|passw(?:or)?d|token|change[-_ ]?(?:me|it|this)?|replace|default|example|insecure|unsafe|django|flask|"
    r"rampart|jwt|session|app|api|development|develop|dev|production|prod|test(?:ing)?|local|super|very|really|random|"
    r"string|guess|hard|never|will|your?|my|the|please|this|that|with|and|for|long|enough|here|foo|bar|baz|qwerty|"
    r"letmein|hello|world|admin|hidden|todo",
    re.IGNORECASE,
)
# Words with something between them, as people remember them.
_WORD = "(?:[A-Z]?[a-z]{1,11}|[A-Z]{2,12}|[0-9]{1,4})"
_PHRASE = re.compile(f"{_WORD}(?:[ _.-]+{_WORD})+")
_BITS_OF_A_WORD = 12.9  # one of 7776, as dice give them
# As one writes them together: of one case, or with a capital.
_CHUNK = re.compile("[A-Z][a-z]{3,}|[a-z]{4,}|[A-Z]{4,}")
_REPEATED = re.compile(r"(.{1,8}?)\1{2,}", re.DOTALL)
_RUNS = ("abcdefghijklmnopqrstuvwxyz", "0123456789", "9876543210", "qwertyuiop", "asdfghjkl", "zxcvbnm")
_ROWS = re.compile("|".join(run[at : at + 4] for run in _RUNS for at in range(len(run) - 3)), re.IGNORECASE)
_A_PART = 0.25
_SPOKEN = 0.8
_BITS_OF_A_LETTER = _BITS_OF_A_WORD / 5


class Secret(NamedTuple):
    """A secret that the app uses."""

    setting: str
    value: bytes

    def __repr__(self) -> str:
        return f"Secret({self.setting!r})"


def secrets_of(subject: Subject) -> list[Secret]:
    """The secrets that stand in the app's configuration as they are."""
    found: list[Secret] = []

    def add(setting: str, value: object) -> None:
        if isinstance(value, str) and value:
            found.append(Secret(setting, value.encode("utf-8", "surrogatepass")))
        elif isinstance(value, (bytes, bytearray)) and value:
            found.append(Secret(setting, bytes(value)))

    add("SECRET_KEY", subject.config("SECRET_KEY"))
    fallbacks = subject.config("SECRET_KEY_FALLBACKS")
    for index, value in enumerate(fallbacks if isinstance(fallbacks, (list, tuple)) else ()):
        add(f"SECRET_KEY_FALLBACKS[{index}]", value)
    add("RAMPART_LIMIT_SECRET", subject.settings.limit_secret)
    for index, key in enumerate(subject.settings.jwt_keys):
        where = f"RAMPART_JWT_KEYS[{index}]"
        add(where, key.get("secret"))
        if key.get("kty") == "oct" and isinstance(key.get("k"), str):
            text = key["k"]
            try:
                add(where, base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
            except ValueError:
                add(where, text)
    return found


def check(subject: Subject) -> Iterator[Finding]:
    """What is wrong with the secrets in use."""
    uses: dict[bytes, list[str]] = {}
    for secret in secrets_of(subject):
        uses.setdefault(secret.value, []).append(secret.setting)
        if is_public(secret.value):
            yield settings_found("RMP-103", "It is an example that is printed in manuals.", secret.setting)
        elif len(secret.value) < _FEWEST:
            yield settings_found("RMP-101", "It can be tried out: it has fewer than 16 characters.", secret.setting)
        elif bits_of(secret.value) < _BITS:
            yield settings_found(
                "RMP-102", "It is made of words, or of few characters, rather than at random.", secret.setting
            )
    for names in uses.values():
        distinct = list(dict.fromkeys(names))
        if len(distinct) > 1:
            yield settings_found("RMP-104", f"{listed(distinct)} are the same.", *distinct)


def is_public(secret: bytes) -> bool:
    """Whether it is known from manuals, or is nothing but such words.

    >>> is_public(b"dev"), is_public(b"change-me"), is_public(b"k7-Qx0_tPz3vLw9R")
    (True, True, False)
    """
    text = secret.decode("latin-1").strip().lower()
    if text in _PUBLIC or text.startswith(("django-insecure-", "insecure-")):
        return True
    return not re.sub(r"[\W\d_]+", "", _WORDS.sub("", text))


def bits_of(secret: bytes) -> float:
    """How many bits it has at most.

    >>> bits_of(b"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa") < 20
    True
    >>> bits_of(b"my-super-secret-key-for-production-of-orders") < 80
    True
    >>> bits_of(b"3f9ac1d27b8e4056a1d9c3f2e7b60548") >= 128
    True
    """
    text = _read(secret)
    if text is None:
        return 8.0 * min(len(secret), 4 * len(set(secret)))
    text = text[: _period(text)]
    if _PHRASE.fullmatch(text):
        words = {word for word in re.findall("[A-Za-z0-9]+", text.lower()) if not _WORDS.fullmatch(word)}
        return _BITS_OF_A_WORD * len(words)
    left = _without(_REPEATED, text, r"\1")
    if not re.fullmatch(r"[0-9a-fA-F]+", text):
        left = _without(_WORDS, left, "")
        left = _without(_ROWS, left, "")
        letters = sum(map(str.isalpha, left))
        spoken = sum(len(chunk) for chunk in _CHUNK.findall(left) if _is_spoken(chunk))
        if letters and spoken >= _SPOKEN * letters and letters >= len(left) / 2:
            return _BITS_OF_A_LETTER * spoken + 4.7 * (letters - spoken) + 3.5 * (len(left) - letters)
    return len(left) * math.log2(max(_kinds(left), 1))


def _read(secret: bytes) -> str | None:
    """The text that a secret is, without what cannot be seen and without accents; None if it is bytes."""
    try:
        text = unicodedata.normalize("NFKD", secret.decode("utf-8"))
    except UnicodeDecodeError:
        return None
    text = "".join(each for each in text if not unicodedata.combining(each))
    shown = "".join(each if each.isascii() else "x" for each in text if each.isprintable())
    return shown if len(shown) >= 0.75 * len(text) else None


def _period(text: str) -> int:
    """After how many characters a text only repeats itself (by Knuth, Morris and Pratt)."""
    borders = [0] * len(text)
    length = 0
    for at in range(1, len(text)):
        while length and text[at] != text[length]:
            length = borders[length - 1]
        length += text[at] == text[length]
        borders[at] = length
    period = len(text) - (borders[-1] if borders else 0)
    return period if period <= len(text) / 2 else len(text)


def _without(pattern: re.Pattern[str], text: str, instead: str) -> str:
    """A text without what matches, if that is more than comes about by chance."""
    left = pattern.sub(instead, text)
    return left if len(text) - len(left) >= _A_PART * len(text) else text


def _is_spoken(chunk: str) -> bool:
    """Whether letters can be spoken: at random, consonants stand together, or there are hardly any vowels."""
    lower = chunk.lower()
    together = 5 if len(lower) > 9 else 4  # where words meet, more stand together
    vowels = len(re.findall("[aeiou]", lower))
    return vowels >= len(lower) / 4 and not re.search(f"[^aeiouy]{{{together}}}|[aeiouy]{{5}}", lower)


def _kinds(text: str) -> float:
    """How many characters each of a text's could be."""
    if re.fullmatch(r"[0-9a-f]+|[0-9A-F]+", text):
        kinds = 16 if re.search(r"[a-fA-F]", text) else 10
    else:
        kinds = 26 * bool(re.search("[a-z]", text)) + 26 * bool(re.search("[A-Z]", text))
        kinds += 10 * bool(re.search("[0-9]", text)) + 12 * bool(re.search(r"[^a-zA-Z0-9]", text))
    if not text or not kinds:
        return 1
    # What uses few of the characters that it could is not random, however long it is.
    expected = kinds * (1 - (1 - 1 / kinds) ** len(text))
    distinct = len(set(text))
    return kinds if distinct >= 0.55 * expected else distinct
