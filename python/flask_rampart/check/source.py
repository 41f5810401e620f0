"""Secrets and debuggers in the app's own source, found by reading it; nothing of it is run.

Looked for, in the Python files that :mod:`~flask_rampart.check.project` lists:

1. a text that is the value of a secret in use, wherever it stands, also in files of settings;
2. a text that is given to a name of a secret (:mod:`~flask_rampart.check.literals`): assigned, as a default, as an
   argument, in a dict; ``"secret"`` or ``"k"`` of a key beside its ``"alg"`` or ``"kty"``; and what calls take for a
   key by its place. Names of the module are followed (:mod:`~flask_rampart.check.names`);
3. a text with the shape of a known service's key, or of a private key, as the redaction of logs knows them;
4. an address with a password in it;
5. ``SECRET_KEY = os.urandom(32)``, which is another one in every worker;
6. ``app.run(debug=True)``.

A file that is no Python of this version is not read; that is told. In the instance folder and in ``.env``, which are no
part of the source, a value in use is a note: both are easily copied along.
"""

from __future__ import annotations

import ast
import codecs
import re
from collections.abc import Iterator
from pathlib import Path

from .._native import Redactor
from ..regular import read
from . import project
from .findings import Finding, Place, Severity
from .keys import secrets_of
from .literals import (
    as_text,
    called,
    canonical,
    is_name_of_secret,
    is_text_of_key,
    key_of,
    may_be_secret,
    texts_of,
)
from .names import Names
from .project import MOST_FILES as MOST_FILES
from .project import python_files as python_files
from .subject import Subject, found

# Most files have nothing of this, and are not parsed.
_WORTH_READING = re.compile(
    r"secret|passw|passphrase|api_?key|private|_key|token|salt|debug|://|\balg\b|\bkty\b|urandom|"
    r"jwt|hmac|fernet|AES|chacha|signer|serializer|login|Auth\(|-----BEGIN|AKIA|[A-Za-z0-9_-]{24}",
    re.IGNORECASE,
)
_CODING = re.compile(rb"\A(?:[^\r\n]*(?:\r\n?|\n))?[ \t\f]*#[^\r\n]*?coding[:=][ \t]*([-\w.]+)")
# Those that write what is looked for as ASCII does.
_AS_ASCII = re.compile(rb"utf[-_]?8(?:[-_]sig)?|(?:us[-_])?ascii|latin[-_]?1|iso[-_]?8859[-_]\d+", re.IGNORECASE)
_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]*://[^\s/:@]*:([^\s/@]+)@[^\s/]", re.ASCII)
_LEFT_OPEN = re.compile(r"\{.*\}|%s|%\(\w+\)s|\$\{?\w+\}?|<.*>|\*+|\.{3}|[xX]{3,}")
_NO_PASSWORDS = frozenset(("password", "passwd", "pass", "pw", "secret"))
_SHARED = ("SECRET_KEY", "RAMPART_LIMIT_SECRET")
_MAKERS = ("urandom", "token_bytes", "token_hex", "token_urlsafe", "uuid4", "randbytes", "generate_key")
_AROUND = ("hex", "decode", "encode", "str", "b64encode")
_IN_A_KEY = ("secret", "k", "pem")
_LOOPS = ("asyncio", "anyio", "trio", "subprocess", "uvloop")
_SHAPES = ("_KEY", "_TOKEN", "_SECRET", "_WEBHOOK")
_PUBLIC_PEM = re.compile(r"-----BEGIN (?:(?:[A-Z0-9]+ ){0,3}PUBLIC KEY|CERTIFICATE)-----")
_FEWEST_OF_A_SHAPE = 16
_FEWEST_IN_USE = 4
Told = tuple[int, str, str, str]


def check(subject: Subject) -> Iterator[Finding]:
    """What the source gives away."""
    known = {secret.value: secret.setting for secret in secrets_of(subject) if len(secret.value) >= _FEWEST_IN_USE}
    values = [value for value in known if value.isascii()]
    redactor = Redactor()
    instance = Path(subject.app.instance_path)
    for path in project.sources(subject):
        source = _read(path, subject)
        if source is None:
            continue
        # A coding of its own may hide every word that is looked for; the parser knows it (PEP 263).
        text = "secret" if is_coded(source) else source.decode("utf-8", "replace")
        if not _WORTH_READING.search(text) and not any(value in source for value in values):
            continue
        try:
            told = _Reading(known, redactor).of(ast.parse(source))
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            subject.notes.append(f"{subject.shown(path)} is not read: it is no Python of this version.")
            continue
        for line, id, message, setting in sorted(told, key=lambda each: (each[0], each[1])):
            severity = Severity.NOTE if id == "RMP-105" and path.is_relative_to(instance) else None
            yield found(id, message, Place(setting=setting or None, file=subject.shown(path), line=line), severity)
    yield from _settings(subject, {value: known[value] for value in values if len(value) >= _FEWEST_OF_A_SHAPE})


def is_coded(source: bytes) -> bool:
    """Whether a source says of itself that it is written in a coding in which a word may look like another.

    >>> is_coded(b"# -*- coding: utf-8 -*-"), is_coded(b"#!python\\r# coding: utf-7"), is_coded(b"#coding=utf8x")
    (False, True, True)
    """
    coding = _CODING.match(source)
    return coding is not None and _AS_ASCII.fullmatch(coding[1]) is None


def _settings(subject: Subject, known: dict[bytes, str]) -> Iterator[Finding]:
    """Values in use, in files of settings."""
    instance = Path(subject.app.instance_path)
    for path in project.settings_files(subject) if known else ():
        source = _as_utf8(_read(path, subject, project.MOST_BYTES_OF_SETTINGS))
        for value, setting in known.items():
            at = -1 if source is None else source.find(value)
            if source is not None and at >= 0:
                is_apart = path.is_relative_to(instance) or path.name.startswith((".env", ".flaskenv"))
                yield found(
                    "RMP-105",
                    f"The value of {setting} is written here.",
                    Place(setting=setting, file=subject.shown(path), line=source.count(b"\n", 0, at) + 1),
                    Severity.NOTE if is_apart else None,
                )


def _read(path: Path, subject: Subject, most: int = project.MOST_BYTES) -> bytes | None:
    try:
        return read(path, most)
    except OSError as error:
        subject.notes.append(f"{subject.shown(path)} is not read: {error.strerror}.")
        return None


def _as_utf8(source: bytes | None) -> bytes | None:
    """What some editors write in UTF-16, with its mark, as everybody else does."""
    if source is not None and source.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return source.decode("utf-16", "replace").encode("utf-8", "surrogatepass")
    return source


class _Reading:
    """What is in one file."""

    def __init__(self, known: dict[bytes, str], redactor: Redactor) -> None:
        self._known = known
        self._redactor = redactor
        self._found: dict[tuple[int, str], Told] = {}
        self._names = Names(ast.Module([], []))

    def of(self, tree: ast.Module) -> list[Told]:
        """Each with its line, its rule, what is said, and the setting it is about."""
        nodes = list(ast.walk(tree))
        self._names = Names(tree)
        said = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
        for node in nodes:
            if isinstance(node, ast.Assign):
                for target in node.targets:
                    self._assigned(target, node.value)
            elif isinstance(node, (ast.AnnAssign, ast.AugAssign, ast.NamedExpr)):
                self._assigned(node.target, node.value)
            elif isinstance(node, ast.arguments):
                self._arguments(node)
            elif isinstance(node, ast.Call):
                self._call(node)
            elif isinstance(node, ast.Dict):
                self._dict(node)
        # Each sum is looked at once, as a whole.
        said |= {id(side) for node in nodes if isinstance(node, ast.BinOp) for side in (node.left, node.right)} - {
            id(node) for node in nodes if isinstance(node, ast.Constant)
        }
        for node in nodes:
            if id(node) not in said and isinstance(node, (ast.Constant, ast.JoinedStr, ast.BinOp)):
                self._text(node)
        return list(self._found.values())

    def _assigned(self, target: ast.expr, value: ast.expr | None) -> None:
        if isinstance(target, (ast.Tuple, ast.List)):
            if isinstance(value, (ast.Tuple, ast.List)):
                for each, given in zip(target.elts, value.elts, strict=False):
                    self._assigned(each, given)
            return
        self._named(name_of(target), value)

    def _arguments(self, node: ast.arguments) -> None:
        placed = [*node.posonlyargs, *node.args]
        for argument, value in zip(placed[len(placed) - len(node.defaults) :], node.defaults, strict=True):
            self._named(argument.arg, value)
        for argument, default in zip(node.kwonlyargs, node.kw_defaults, strict=True):
            self._named(argument.arg, default)

    def _named(self, name: str, value: ast.expr | None) -> None:
        if value is None or not is_name_of_secret(name):
            return
        setting = canonical(name)
        for line, text in self._texts(value):
            if may_be_secret(text, name):
                self._add(line, "RMP-105", f"The value of {setting} is written here.", setting)
        # A name that is given several things may be given another where there is none.
        given = self._names.given_to(value)
        if setting in _SHARED and _is_made(given[0] if len(given) == 1 else value):
            message = f"{setting} is new at every start: sessions and tokens of another worker are refused."
            self._add(value.lineno, "RMP-107", message, setting)

    def _texts(self, value: ast.expr) -> Iterator[tuple[int, str]]:
        return texts_of(value, self._names.given_to)

    def _call(self, node: ast.Call) -> None:
        key = key_of(node, self._names.imported)
        if key is not None:
            for line, text in self._texts(key):
                if is_text_of_key(text) and not _is_public_pem(text):
                    message = f"What {called(node)}() takes for a key or a password is written here."
                    self._add(line, "RMP-105", message, "")
        for keyword in node.keywords:
            if keyword.arg is not None:
                self._named(keyword.arg, keyword.value)
        name = called(node)
        at = 1 if name == "setattr" else 0
        if len(node.args) > at + 1 and name not in ("join", "replace"):
            first = node.args[at]
            if isinstance(first, ast.Constant) and isinstance(first.value, str):
                self._named(first.value, node.args[at + 1])
        if node.args and isinstance(node.args[0], ast.Constant) and isinstance(node.args[0].value, str):
            # config("SECRET_KEY", default="...")
            for keyword in node.keywords:
                if keyword.arg in ("default", "fallback"):
                    self._named(node.args[0].value, keyword.value)
        if name == "run" and isinstance(node.func, ast.Attribute) and not _is_of_a_loop(node.func):
            debug = [keyword.value for keyword in node.keywords if keyword.arg == "debug"] + node.args[2:3]
            if any(isinstance(each, ast.Constant) and each.value in (True, 1) for each in debug):
                message = "run(debug=True) serves a debugger, in which whoever reaches it runs code on this machine."
                self._add(node.lineno, "RMP-007", message, "")

    def _dict(self, node: ast.Dict) -> None:
        names = [key.value if isinstance(key, ast.Constant) else None for key in node.keys]
        is_key = "alg" in names or "kty" in names
        for name, value in zip(names, node.values, strict=True):
            if not isinstance(name, str):
                continue
            if is_key and name in _IN_A_KEY and ("kty" not in names or name == "k"):
                for line, text in self._texts(value):
                    if may_be_secret(text) and not _is_public_pem(text):
                        self._add(line, "RMP-105", f"The {name!r} of a key is written here.", "")
            else:
                self._named(name, value)

    def _text(self, node: ast.Constant | ast.JoinedStr | ast.BinOp) -> None:
        if isinstance(node, ast.Constant):
            if not isinstance(node.value, (str, bytes)):
                return
            text = as_text(node.value)
            given = node.value if isinstance(node.value, bytes) else text.encode("utf-8", "surrogatepass")
            setting = self._known.get(given)
            if setting is not None:
                self._add(node.lineno, "RMP-105", f"The value of {setting} is written here.", setting)
            if len(text) >= _FEWEST_OF_A_SHAPE and self._has_shape(text):
                self._add(node.lineno, "RMP-105", "A text here has the shape of a key or token of a service.", "")
        else:
            text = next((each for _, each in self._texts(node)), "")
        address = _ADDRESS.match(text)
        if address is not None and address[1].lower() not in _NO_PASSWORDS and not _LEFT_OPEN.fullmatch(address[1]):
            self._add(node.lineno, "RMP-106", "The address has a password in it.", "")

    def _has_shape(self, text: str) -> bool:
        return any(
            (entity.endswith(_SHAPES) or entity == "JWT")
            and detector != "named"
            and "EXAMPLE" not in text[start:end].upper()
            for entity, start, end, detector in self._redactor.scan(text)
        )

    def _add(self, line: int, id: str, message: str, setting: str) -> None:
        # One secret on one line is one finding, by whatever rule it was found.
        self._found.setdefault((line, id), (line, id, message, setting))


def _is_of_a_loop(function: ast.Attribute) -> bool:
    """Whether ``run`` is one of those that run coroutines or commands."""
    return getattr(function.value, "id", "") in _LOOPS


def name_of(target: ast.expr) -> str:
    """The name that an assignment sets: of a variable, an attribute or a key; empty if it sets none."""
    if isinstance(target, ast.Name):
        return target.id
    if isinstance(target, ast.Attribute):
        return target.attr
    if isinstance(target, ast.Subscript) and isinstance(target.slice, ast.Constant):
        return str(target.slice.value)
    return ""


def _is_made(value: ast.expr) -> bool:
    """Whether an expression makes a secret where it stands, rather than if there is none."""
    if isinstance(value, ast.Attribute):
        return _is_made(value.value)
    if not isinstance(value, ast.Call):
        return False
    name = called(value)
    if name in _MAKERS:
        return True
    inside = [value.func.value] if isinstance(value.func, ast.Attribute) else value.args
    return name in _AROUND and any(_is_made(each) for each in inside)


def _is_public_pem(text: str) -> bool:
    return _PUBLIC_PEM.search(text) is not None
