"""What a project's files say: settings with their values as far as they are written there, options of the extensions,
and the words by which it is told whether a difference concerns the project.

Words, each with the first place where it stands:

- ``limit`` a name, ``.limit`` an attribute, ``cost=`` a keyword or a key of a dict, ``limit.cost=`` a keyword of a call
  of that name, and ``force_https=False`` one with its value;
- ``JWT_ALGORITHM`` a setting that is set, ``JWT_ALGORITHM=ES512`` one of its values, ``JWT_ALGORITHM=?`` one that is
  not written there.

Kept are the words, and the texts, that :mod:`.concerns` asks for. Nothing of a project is run or imported.
"""

from __future__ import annotations

import ast
import json
import operator
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import PurePath
from typing import Any, Final

from ..check.source import name_of
from .concerns import TEXTS, VOCABULARY
from .incumbents import INCUMBENTS, Incumbent

UNKNOWN: Final = object()
"""A value that is not written where it is set."""

_PREFIXES = tuple(each.prefix for each in INCUMBENTS if each.prefix)
_SETTING = re.compile(rf"(?:{'|'.join(_PREFIXES)})[A-Z0-9_]+")
_LINE = re.compile(rf"\s*(?:export\s+|-\s+)?[\"']?(FLASK_)?({_SETTING.pattern})[\"']?\s*[=:](.*)", re.DOTALL)
_LONGEST = 200
_EXTENSIONS = ("CORS", "cross_origin", "Talisman", "Limiter")
_LATER = "init_app"
_OPERATORS: Final = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Pow: operator.pow,
}
_LARGEST, _MOST_POWER = 10**15, 16
"""Of numbers that are reckoned with."""


@dataclass(frozen=True)
class Place:
    """A line of a file, as it is shown."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


def is_of_tests(place: Place) -> bool:
    """Whether a file is one of tests, by its name or its folder's.

    >>> is_of_tests(Place("shop/tests/app.py", 1)), is_of_tests(Place("app.py", 1))
    (True, False)
    """
    path = PurePath(place.file)
    is_named = path.name.startswith(("test_", "conftest")) or path.stem.endswith("_test")
    return is_named or not {"tests", "test"}.isdisjoint(path.parts)


@dataclass(frozen=True)
class Setting:
    """A setting that a file sets."""

    name: str
    value: Any
    place: Place
    group: int = 0
    """Those that are set together, as in one class, have one."""


@dataclass(frozen=True)
class Options:
    """What a call of an extension is given."""

    function: str
    given: dict[str, Any]
    is_whole: bool
    """Whether all of it is written there."""
    place: Place


@dataclass
class Facts:
    """What all files say."""

    words: dict[str, Place] = field(default_factory=dict)
    texts: dict[str, Place] = field(default_factory=dict)
    settings: list[Setting] = field(default_factory=list)
    options: list[Options] = field(default_factory=list)
    in_app: set[str] = field(default_factory=set)
    """The words of files that are no tests: what a test sets says nothing of production."""
    open: set[str] = field(default_factory=set)
    """Words with a value, somewhere, that is not written there: nobody could judge it."""

    def add(self, word: str, place: Place) -> None:
        """Keeps a word that a difference asks for."""
        if word in VOCABULARY:
            self.words.setdefault(word, place)
            if not is_of_tests(place):
                self.in_app.add(word)

    def add_text(self, text: str, place: Place) -> None:
        """Keeps a text that a difference asks for."""
        if TEXTS.search(text[:_LONGEST]):
            self.texts.setdefault(text[:_LONGEST], place)

    def set(self, setting: Setting) -> None:
        """Keeps a setting, and its words."""
        self.settings.append(setting)
        self.add(setting.name, setting.place)
        if setting.value is UNKNOWN:
            self.open.add(setting.name)
        values = setting.value if isinstance(setting.value, (list, tuple, set)) else (setting.value,)
        for value in values:
            if value is UNKNOWN:
                self.add(f"{setting.name}=?", setting.place)
            elif isinstance(value, (str, int, timedelta, type(None))):
                self.add(f"{setting.name}={value}", setting.place)
            if isinstance(value, str):
                self.add_text(value, setting.place)

    def set_of(self, incumbent: Incumbent) -> list[Setting]:
        """Those that have its prefix."""
        prefix = incumbent.prefix
        return [each for each in self.settings if prefix and each.name.startswith(prefix)]


def read_python(tree: ast.Module, file: str, facts: Facts) -> None:
    """Adds what a file of Python says.

    >>> facts = Facts()
    >>> read_python(ast.parse("app.config['CORS_ORIGINS'] = 'https://a.example'"), "app.py", facts)
    >>> facts.settings[0].name, facts.settings[0].value, str(facts.settings[0].place)
    ('CORS_ORIGINS', 'https://a.example', 'app.py:1')
    """
    # A stack of its own: sources nest deeper than Python's.
    left: list[tuple[ast.AST, int]] = [(tree, 0)]
    nodes: list[tuple[ast.AST, int]] = []
    while left:
        node, group = left.pop()
        nodes.append((node, group))
        inside = id(node) if isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)) else group
        left += [(child, inside) for child in reversed([*ast.iter_child_nodes(node)])]
    judged = _read_options([node for node, _ in nodes], file, facts)
    for node, group in nodes:
        place = Place(file, getattr(node, "lineno", 1))
        for name, value in _set(node):
            if _SETTING.fullmatch(name):
                facts.set(Setting(name, literal(value), place, group))
        for word in _words(node):
            facts.add(word, place)
            if id(node) not in judged:
                facts.open.add(word)
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            facts.add_text(node.value, place)


def _read_options(nodes: list[ast.AST], file: str, facts: Facts) -> set[int]:
    """Adds what calls of the extensions are given; returns the nodes that are judged with them."""
    bound: dict[str, str] = {}
    for node in nodes:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
            function = _called(node.value)
            if function in _EXTENSIONS:
                bound.update((target.id, function) for target in node.targets if isinstance(target, ast.Name))
    judged: set[int] = set()
    for node in nodes:
        function = _called(node) if isinstance(node, ast.Call) else ""
        if not isinstance(node, ast.Call):
            continue
        if function == _LATER and isinstance(node.func, ast.Attribute):
            function = bound.get(getattr(node.func.value, "id", ""), "")
        if function in _EXTENSIONS:
            given = {keyword.arg: literal(keyword.value) for keyword in node.keywords if keyword.arg is not None}
            is_whole = len(given) == len(node.keywords) and all(value is not UNKNOWN for value in given.values())
            facts.options.append(Options(function, given, is_whole, Place(file, node.lineno)))
            if is_whole:
                judged |= {id(node), *(id(each) for keyword in node.keywords for each in ast.walk(keyword.value))}
    return judged


def read_lines(text: str, file: str, facts: Facts, *, is_typed: bool) -> None:
    """Adds the settings that a file of another kind names, line by line.

    :param is_typed: whether the values are those that the app gets. In ``.env`` they are texts, of which Flask reads
        those that begin with ``FLASK_`` (``from_prefixed_env``); what the app makes of others, nobody knows.
    """
    for number, line in enumerate(text.splitlines(), 1):
        # Nobody writes a setting that is longer, and a pattern is asked of each line.
        found = _LINE.fullmatch(line) if len(line) <= 2000 else None
        if found is not None:
            if is_typed:
                value = _typed(found[3].strip().removesuffix(","))
            else:
                value = _of_environment(found[3]) if found[1] else UNKNOWN
            facts.set(Setting(found[2], value, Place(file, number)))


def literal(node: ast.expr | None) -> Any:
    """What an expression is, if that is written there; ``UNKNOWN`` if not."""
    if node is None:
        return UNKNOWN
    if isinstance(node, ast.Call) and _called(node) == "timedelta":
        try:
            given = {keyword.arg or "": ast.literal_eval(keyword.value) for keyword in node.keywords}
            return timedelta(*map(ast.literal_eval, node.args), **given)
        except (ValueError, TypeError, OverflowError):
            return UNKNOWN
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return _number(node)


def _number(node: ast.expr) -> Any:
    """What ``60 * 60`` comes to, or ``10**9``."""
    reckon = _OPERATORS.get(type(node.op)) if isinstance(node, ast.BinOp) else None
    if reckon is None or not isinstance(node, ast.BinOp):
        return UNKNOWN
    left, right = literal(node.left), literal(node.right)
    are_small = all(type(each) in (int, float) and abs(each) <= _LARGEST for each in (left, right))
    if not are_small or (isinstance(node.op, ast.Pow) and not 0 <= right <= _MOST_POWER):
        return UNKNOWN
    return reckon(left, right)


def _of_environment(text: str) -> Any:
    """What ``from_prefixed_env`` makes of a line of ``.env``: what JSON says, or the text."""
    text = text.strip()
    if text[:1] in ("'", '"'):
        text, _, rest = text[1:].partition(text[0])
        if rest.strip() and not rest.lstrip().startswith("#"):
            return UNKNOWN
    else:
        text = re.split(r"(?:\A|\s)#", text, maxsplit=1)[0].strip()
    if "$" in text or "\\" in text:
        return UNKNOWN  # of other variables, or to be unescaped
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _typed(text: str) -> Any:
    text = text.partition(" #")[0].strip()
    if text in ("true", "false"):
        return text == "true"
    try:
        return ast.literal_eval(text)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return UNKNOWN


def _set(node: ast.AST) -> Iterator[tuple[str, ast.expr | None]]:
    """What a node gives a name, an attribute, a key or a keyword."""
    if isinstance(node, ast.Assign):
        for target in node.targets:
            yield from _assigned(target, node.value)
    elif isinstance(node, ast.AnnAssign):
        yield name_of(node.target), node.value
    elif isinstance(node, ast.Call):
        for keyword in node.keywords:
            yield keyword.arg or "", keyword.value
        if _called(node) in ("setdefault", "setattr", "setitem"):
            texts = [each for each in node.args if isinstance(each, ast.Constant) and isinstance(each.value, str)]
            if texts:
                yield texts[0].value, node.args[-1]  # type: ignore[misc]
    elif isinstance(node, ast.Dict):
        for key, value in zip(node.keys, node.values, strict=True):
            if isinstance(key, ast.Constant) and isinstance(key.value, str):
                yield key.value, value


def _assigned(target: ast.expr, value: ast.expr | None) -> Iterator[tuple[str, ast.expr | None]]:
    if not isinstance(target, (ast.Tuple, ast.List)):
        yield name_of(target), value
        return
    values = value.elts if isinstance(value, (ast.Tuple, ast.List)) else []
    is_each = len(values) == len(target.elts) and not any(isinstance(at, ast.Starred) for at in (*target.elts, *values))
    for place, each in enumerate(target.elts):
        yield from _assigned(each, values[place] if is_each else None)


def _words(node: ast.AST) -> Iterable[str]:
    if isinstance(node, ast.Name):
        return (node.id,)
    if isinstance(node, ast.Attribute):
        return (f".{node.attr}", node.attr)
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        return (f"def {node.name}", *(("async def",) if isinstance(node, ast.AsyncFunctionDef) else ()))
    if isinstance(node, ast.alias):
        return (node.name.rpartition(".")[2], node.name.partition(".")[0])
    if isinstance(node, ast.Dict):
        return [f"{key.value}=" for key in node.keys if isinstance(key, ast.Constant) and isinstance(key.value, str)]
    if isinstance(node, ast.Call):
        function, found = _called(node), []
        for keyword in node.keywords:
            found += [f"{keyword.arg}=", f"{function}.{keyword.arg}="]
            if isinstance(keyword.value, ast.Constant) and isinstance(keyword.value.value, (bool, type(None))):
                found.append(f"{keyword.arg}={keyword.value.value}")
        return found
    return ()


def _called(node: ast.Call) -> str:
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
