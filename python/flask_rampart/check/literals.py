"""What an expression in a source comes to, as far as it is written there, and whether that may be a secret.

Followed: texts beside and after each other (``"a" "b"``, ``+``, ``%``, f-strings, ``join``), what is done to one
(``strip``, ``encode``, ``b64decode``, ``fromhex``, ``SecretStr``), both ways of ``or`` and ``if``, and what stands in
where a setting is missing (``getenv("NAME", "...")``, ``default="..."``, ``Field("...")``). What a variable or a
function of the app's own holds is not.

A name is one of a secret by its last words, in whichever case. A value is none if it is empty, is its own name or
another key's, says where a secret lies, or is made of words alone: a message, a label, a header. So is a password that
is a word (``PASSWORD = "sunshine"``), which is not found; of ``SECRET_KEY`` it is.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import TypeVar

_SECRET_NAME = re.compile(
    r"(?:[A-Z0-9]+_)*(?:SECRET|SECRET_KEY|SECRET_ACCESS_KEY|SECRET_KEY_FALLBACKS|PASSWORD|PASSWD|PASSPHRASE|API_?KEY|"
    r"PRIVATE_KEY|FERNET_KEY|ENCRYPTION_KEY|SIGNING_KEY|MASTER_KEY|JWT_KEY|TOKEN|SALT)(?:_(?:PROD(?:UCTION)?|DEV|OLD|NEW|"
    r"DEFAULT|STAGING|[0-9]{1,2}))?"
)
# A path, an address, a variable, a place in a template, or a mark that something goes here.
_ELSEWHERE = re.compile(
    r"(?:\.{0,2}|~)/[a-z0-9_.-]+(?:/[\w.-]+)*|[a-z]+:(?://)?/.*|\$\{.*\}|\$[A-Z_]+|%\(\w+\)s|<[^<>]*>|\*+|[xX]{3,}|\.{3}",
    re.DOTALL,
)
_HOLE = re.compile(r"\{[A-Za-z_][\w.]*\}|\{\}|%s")
_FEWEST_BESIDE_A_HOLE = 8
# What is short and ends like that is what others begin with.
_PREFIX = re.compile(r"[A-Za-z]+(?:[_.-][A-Za-z]+)*[_:.-]")
_LONGEST_PREFIX = 16
_WORD = re.compile(r"[A-Za-z]+(?:'[a-z]+)?")
_LONGEST_WORD = 20
_MARKS = " \t\r\n_-.,:;!?()\"'/#[]*"
_DEEPEST = 40
_MOST_TEXTS = 50
# Of what is behind names: they are used again and again, and what they stand for may be as long as the file.
_MOST_STEPS = 200
_LONGEST_FOLLOWED = 1024

_OF_A_SETTING = frozenset(("get", "getenv", "setdefault", "pop", "config", "env", "str", "bytes", "Field", "getattr"))
_DONE_TO_IT = frozenset(("encode", "decode", "strip", "lstrip", "rstrip", "lower", "upper", "format", "replace", "hex"))
_MADE_OF = frozenset(
    (
        *("bytes", "str", "bytearray", "fromhex", "unhexlify", "b64decode", "urlsafe_b64decode", "b32decode"),
        *("b64encode", "urlsafe_b64encode", "SecretStr", "SecretBytes", "Secret", "dedent", "Field", "field"),
    )
)
_STANDS_IN = frozenset(("default", "default_value", "fallback", "value", "default_factory"))

_JWT = ("jwt", "jws", "api_jwt", "api_jws")
_MAIL = ("smtp", "server", "mail", "mailer", "mailserver", "imap", "ftp", "connection")
# A file with a key in it.
_FILE = re.compile(r"[\w./\\~-]+\.(?:pem|key|pub|crt|cer|der|json|jwks?|txt|ya?ml|toml)", re.IGNORECASE)
_BY_PLACE = {
    "encode": (1, "key"),
    "decode": (1, "key"),
    **dict.fromkeys(
        ("new", "digest", "AESGCM", "AESSIV", "AESCCM", "AESGCMSIV", "ChaCha20Poly1305", "Fernet"), (0, "key")
    ),
    **dict.fromkeys(("Signer", "TimestampSigner", "Serializer", "TimedSerializer"), (0, "secret_key")),
    **dict.fromkeys(("URLSafeSerializer", "URLSafeTimedSerializer"), (0, "secret_key")),
    **dict.fromkeys(("HTTPBasicAuth", "HTTPDigestAuth", "BasicAuth", "DigestAuth"), (1, "password")),
    "login": (1, "password"),
}
_ONLY_OF = {
    "encode": _JWT,
    "decode": _JWT,
    "login": _MAIL,
    "Serializer": ("itsdangerous",),
    "TimedSerializer": ("itsdangerous",),
    "new": ("hmac", "HMAC", "AES", "ChaCha20_Poly1305"),
    "digest": ("hmac",),
}


def canonical(name: str) -> str:
    """A name as settings are written: ``"secretKey"`` and ``"secret-key"`` are ``"SECRET_KEY"``."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).replace("-", "_").upper()


def is_name_of_secret(name: str) -> bool:
    """Whether a secret is kept under this name.

    >>> is_name_of_secret("jwt_secret"), is_name_of_secret("AWS_SECRET_ACCESS_KEY"), is_name_of_secret("secretary")
    (True, True, False)
    """
    return len(name) <= 64 and _SECRET_NAME.fullmatch(canonical(name)) is not None


def called(node: ast.Call) -> str:
    """The last word of what is called."""
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


_Node = TypeVar("_Node", bound=ast.AST)
Follow = Callable[[ast.expr], Sequence[ast.expr]]


def texts_of(value: ast.expr, follow: Follow | None = None) -> Iterator[tuple[int, str]]:
    """The texts that an expression may come to, each with its line; ``{}`` is what is not known.

    :param follow: tells what a name stands for.
    """
    return _Texts(follow).of(value, 0)


def key_of(node: ast.Call, imported: Mapping[str, str] = MappingProxyType({})) -> ast.expr | None:
    """What a call takes for a key or a password, by its place; None for all that is not known to.

    :param imported: whole names of what is imported, by the names that it has here.
    """
    name = called(node)
    if isinstance(node.func, ast.Attribute):
        whose = node.func.value
        of = whose.attr if isinstance(whose, ast.Attribute) else getattr(whose, "id", "")
        of = imported.get(of, of).rpartition(".")[2]
    else:
        module, _, name = imported.get(name, name).rpartition(".")
        of = module.rpartition(".")[2]
    at, by = _BY_PLACE.get(name, (-1, ""))
    if name in _ONLY_OF and of not in _ONLY_OF[name]:
        return None
    if 0 <= at < len(node.args) and not any(isinstance(each, ast.Starred) for each in node.args[: at + 1]):
        return node.args[at]
    return next((keyword.value for keyword in node.keywords if keyword.arg == by), None)


class _Texts:
    """One look at an expression. What it follows is bounded, whatever refers to what."""

    def __init__(self, follow: Follow | None) -> None:
        self._follow = follow
        self._seen: set[int] = set()
        self._left = _MOST_STEPS

    def of(self, value: ast.expr, depth: int) -> Iterator[tuple[int, str]]:
        if depth > _DEEPEST or not self._goes_on():
            return
        if isinstance(value, ast.Constant):
            if isinstance(value.value, (str, bytes)):
                yield value.lineno, self._text(value.value)
        elif isinstance(value, (ast.JoinedStr, ast.BinOp)):
            text = self._joined(value)
            if text.replace("{}", ""):
                yield value.lineno, text
        elif isinstance(value, (ast.List, ast.Tuple, ast.Set)):
            for each in value.elts[:_MOST_TEXTS]:
                yield from self.of(each, depth + 1)
        elif isinstance(value, ast.BoolOp):
            for each in self._some(value.values):
                yield from self.of(each, depth + 1)
        elif isinstance(value, ast.IfExp):
            yield from self.of(value.body, depth + 1)
            yield from self.of(value.orelse, depth + 1)
        elif isinstance(value, ast.NamedExpr):
            yield from self.of(value.value, depth + 1)
        elif isinstance(value, ast.Lambda):
            yield from self.of(value.body, depth + 1)
        elif isinstance(value, ast.Call):
            yield from self._of_call(value, depth + 1)
        elif isinstance(value, (ast.Name, ast.Attribute)):
            for each in self._followed(value):
                yield from self.of(each, depth + 1)

    def _goes_on(self) -> bool:
        """Counts a step, once a name was followed; whether there may be another."""
        if self._seen:
            self._left -= 1
        return self._left > 0

    def _some(self, values: list[_Node]) -> list[_Node]:
        return values[:_MOST_STEPS] if self._seen else values

    def _text(self, value: str | bytes) -> str:
        return as_text(value[:_LONGEST_FOLLOWED] if self._seen else value)

    def _followed(self, value: ast.expr) -> list[ast.expr]:
        """What a name stands for, each once: names may stand for each other."""
        given = self._follow(value) if self._follow is not None else ()
        new = [each for each in given if id(each) not in self._seen][: max(0, _MOST_TEXTS - len(self._seen))]
        self._seen.update(map(id, new))
        return new

    def _of_call(self, node: ast.Call, depth: int) -> Iterator[tuple[int, str]]:
        name = called(node)
        if name == "join" and node.args and isinstance(node.args[0], (ast.List, ast.Tuple)):
            parts = [self._joined(each) for each in node.args[0].elts[:_MOST_TEXTS]]
            between = self._joined(node.func.value) if isinstance(node.func, ast.Attribute) else ""
            yield node.lineno, between.join(parts)
            return
        if isinstance(node.func, ast.Attribute) and name in _DONE_TO_IT:
            yield from self.of(node.func.value, depth)
        elif isinstance(node.func, ast.Lambda):
            yield from self.of(node.func.body, depth)
        if name in _MADE_OF and len(node.args) in (1, 2):
            # bytes("...", "utf-8"), but env.str("NAME", "...")
            is_setting = isinstance(node.func, ast.Attribute) and name in ("str", "bytes")
            yield from () if is_setting else self.of(node.args[0], depth)
            if is_setting and len(node.args) == 2:
                yield from self.of(node.args[1], depth)
        elif name in _OF_A_SETTING and len(node.args) > 1:
            yield from self.of(node.args[-1 if name == "getattr" else 1], depth)
        for keyword in self._some(node.keywords):
            if keyword.arg in _STANDS_IN:
                yield from self.of(keyword.value, depth)

    def _joined(self, value: ast.expr) -> str:
        """A text made of several; without recursion along ``a + b + c ...``, whose last is the first in the tree."""
        parts: list[str] = []
        left: list[ast.expr] = [value]
        while left and self._goes_on():
            each = left.pop()
            if isinstance(each, ast.BinOp) and isinstance(each.op, ast.Add):
                left += (each.left, each.right)
            elif isinstance(each, ast.BinOp) and isinstance(each.op, ast.Mod):
                left.append(each.left)
            elif isinstance(each, ast.JoinedStr):
                left += self._some(each.values)
            elif isinstance(each, ast.FormattedValue):
                left.append(each.value)
            elif isinstance(each, ast.Constant) and isinstance(each.value, (str, bytes)):
                parts.append(self._text(each.value))
            elif isinstance(each, ast.Call) and isinstance(each.func, ast.Attribute) and each.func.attr in _DONE_TO_IT:
                left.append(each.func.value)
            elif isinstance(each, (ast.Name, ast.Attribute)) and len(given := self._followed(each)) == 1:
                left += given
            else:
                parts.append("{}")
        if left:
            parts.append("{}")
        return "".join(reversed(parts))


def as_text(value: object) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


def may_be_secret(text: str, name: str = "") -> bool:
    """Whether a text may be a secret, rather than a name or a place of one, or a sentence about it.

    >>> may_be_secret("Zk9-q2Lw8xTn4vRb7mYp"), may_be_secret("reset-password", "RESET_PASSWORD")
    (True, False)
    >>> may_be_secret("The password is wrong.", "WRONG_PASSWORD"), may_be_secret("X-API-Key", "API_KEY")
    (False, False)
    """
    plain = text.strip()
    if not plain or _ELSEWHERE.fullmatch(plain) or (len(plain) <= _LONGEST_PREFIX and _PREFIX.fullmatch(plain)):
        return False
    if len(plain) <= 128 and (is_name_of_secret(plain.replace(" ", "_")) or canonical(plain) == canonical(name)):
        return False
    left, holes = _HOLE.subn("", plain)
    if holes and (len(left.strip(_MARKS)) < _FEWEST_BESIDE_A_HOLE or is_of_words(left)):
        return False
    return canonical(name) == "SECRET_KEY" or not is_of_words(plain)


def is_text_of_key(text: str) -> bool:
    """Whether a text that is given for a key is written out, rather than put together of what is not known.

    >>> is_text_of_key("secret"), is_text_of_key(""), is_text_of_key("{}-{}"), is_text_of_key("keys/public.pem")
    (True, False, False, False)
    """
    plain = text.strip()
    if _ELSEWHERE.fullmatch(plain) or _FILE.fullmatch(plain):
        return False
    left, holes = _HOLE.subn("", plain)
    return bool(left) and (not holes or len(left.strip(_MARKS)) >= _FEWEST_BESIDE_A_HOLE)


def is_of_words(text: str) -> bool:
    """Whether there is nothing in a text but words, as a message, a label or a header has them."""
    words = [word for word in re.split(f"[{re.escape(_MARKS)}]+", text.replace("'", "")) if word]
    return bool(words) and len(text) <= 4096 and all(map(_is_word, words))


def _is_word(word: str) -> bool:
    if not _WORD.fullmatch(word) or len(word) > _LONGEST_WORD:
        return False
    if (
        word.upper() != word
        and word.lower() != word
        and not re.fullmatch(r"(?:[A-Z]?[a-z]{2,}|[A-Z]{2,4}(?![a-z]))+", word)
    ):
        return False
    lower = word.lower()
    return len(word) <= 3 or (bool(re.search("[aeiouy]", lower)) and not re.search("[^aeiouy]{5}", lower))
