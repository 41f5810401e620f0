"""What a Python file takes from the incumbents, what of it is changed, and what stays and why.

1. ``from flask_limiter.util import x``: the module is changed. Names that the face does not have stay behind, in a
   statement of their own, and are told. So does a module, ``from flask_limiter import util``, by which something is
   used that its face does not have; and the whole statement where a comment would be lost.
2. ``import flask_limiter``: becomes ``import flask_rampart.compat.limiter as flask_limiter``, so that what is written
   after the name stays. Where something is used by it that the face does not have, the import stays, and that is told.
3. What is used by another name of a module counts (``L = flask_limiter``, ``getattr(flask_limiter, "x")``); what is
   asked of an extension that the face's does not have (``limiter.storage``) is told.
4. Star imports, and texts that name a module (``import_module("flask_limiter")``, ``mock.patch("flask_limiter.x")``),
   are told and stay.
5. What is written by hand under an incumbent's name, as in ``from .flask_limiter import x``, is none of it.

Only the statements that change are changed; a file that could not be read afterwards is left as it was.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache

from .incumbents import NAMED, Incumbent, face_of, has, incumbent_of, is_module, is_of_forms, moved
from .objects import lacking
from .sources import Edit, NotRead, Source

_DOTTED = re.compile(rf"(?:{NAMED.pattern})(?:\.[A-Za-z_]\w*)*")
_DEEPEST = 8


@dataclass(frozen=True)
class Left:
    """Something of an incumbent's that stays as it is."""

    line: int
    why: str
    incumbent: Incumbent


@dataclass
class Imports:
    """What was found in one file."""

    edits: list[Edit] = field(default_factory=list)
    left: list[Left] = field(default_factory=list)
    moved: dict[Incumbent, int] = field(default_factory=dict)
    """Whose imports are changed, with the first line of one."""
    needed: dict[Incumbent, int] = field(default_factory=dict)
    """Who is still imported afterwards, with a line."""

    def leave(self, line: int, why: str, incumbent: Incumbent) -> None:
        self.left.append(Left(line, why, incumbent))
        self.needed.setdefault(incumbent, line)


def parsed(source: Source) -> ast.Module:
    """The file's syntax tree.

    :raises NotRead: if it is no Python of this version.
    """
    try:
        with warnings.catch_warnings():
            # What is said of a file's own escapes is none of ours.
            warnings.simplefilter("ignore")
            return ast.parse(source.text)
    except SyntaxError as error:
        raise NotRead(f"line {error.lineno or 1} is no Python of this version: {error.msg}") from None
    except (ValueError, RecursionError, MemoryError):
        raise NotRead("it is nested too deeply") from None


def imports_of(source: Source, tree: ast.Module, own: frozenset[str] = frozenset()) -> Imports:
    """What is imported from incumbents, and what becomes of it.

    :param own: modules of the project that have an incumbent's name, and are none.
    :raises NotRead: if the file could not be read after its change.

    >>> source = Source(b"from flask_cors import CORS  # all\\n")
    >>> found = imports_of(source, parsed(source))
    >>> source.with_edits(found.edits)
    'from flask_rampart.compat.cors import CORS  # all\\n'
    """
    found = Imports()
    nodes = [node for node in ast.walk(tree) if not own or own.isdisjoint(_modules_of(node))]
    named = [each for each in nodes if isinstance(each, ast.ImportFrom) and each.level == 0]
    named = [each for each in named if incumbent_of(each.module or "")]
    if named:
        bare = {each.id for each in nodes if isinstance(each, ast.Name) and not each.id.startswith("_")}

        @cache
        def used(module: str) -> list[str]:
            return sorted(name for name in bare if moved(module, name))

        by_name = _by_name(_uses(nodes))
        for node in named:
            _names(source, node, used, by_name, found)
    statements = [each for each in nodes if isinstance(each, ast.Import)]
    statements = [each for each in statements if any(incumbent_of(alias.name) for alias in each.names)]
    if statements:
        _modules(source, statements, _by_name(_uses(nodes)), found)
    _texts(nodes, found)
    found.left += [Left(*each) for each in lacking(nodes)]
    found.edits.sort(key=lambda each: each.start)
    found.left.sort(key=lambda each: each.line)
    if found.edits:
        after = Source(source.encoded(source.with_edits(found.edits)))
        parsed(after)
    return found


def _modules(source: Source, statements: list[ast.Import], by_name: dict[str, list[_Use]], found: Imports) -> None:
    from .statements import with_modules

    lacking: dict[tuple[str, str], list[_Use]] = {}
    to: dict[tuple[str, str], str] = {}
    stays: set[str] = set()
    for node in statements:
        for alias in node.names:
            incumbent = incumbent_of(alias.name)
            if incumbent is None:
                continue
            # `import a.b` binds `a`, `import a.b as c` binds `a.b` itself.
            bound, module = alias.asname or incumbent.module, alias.name if alias.asname else incumbent.module
            face = face_of(module)
            if face is None and incumbent.is_part and module == incumbent.module:
                _forms(node, module, by_name.get(bound, []), found, incumbent)
                continue
            if face is None or face_of(alias.name) is None:
                why = f"{incumbent.face} has no {_below(alias.name)}: import {alias.name} stays"
                found.leave(node.lineno, why, incumbent)
                stays.add(bound)
                continue
            if (bound, face) not in lacking:
                lacks = [each for each in by_name.get(bound, ()) if not has(face, each.path)]
                lacking[bound, face] = lacks
                for use in _longest(lacks):
                    found.leave(use.line, f"{use} is not in {face}: import {alias.name} stays", incumbent)
            if lacking[bound, face]:
                stays.add(bound)
                found.needed.setdefault(incumbent, node.lineno)
            else:
                to[alias.name, bound] = face
    for node in statements:
        here: dict[str, tuple[str, str]] = {}
        for alias in node.names:
            incumbent = incumbent_of(alias.name)
            bound = alias.asname or alias.name.partition(".")[0]
            face = to.get((alias.name, bound))
            if face is None or incumbent is None:
                continue
            if bound in stays:
                # Two modules under one name would be one of them, by whichever import ran last.
                found.leave(node.lineno, f"import {alias.name} stays, as another import of {bound} does", incumbent)
                continue
            here[alias.name] = (face, bound)
            found.moved.setdefault(incumbent, node.lineno)
        if here:
            start, end = _span(source, node)
            _change(source, start, end, with_modules(source.text[start:end], here.get), found)


def _forms(
    node: ast.Import,
    module: str,
    uses: list[_Use],
    found: Imports,
    incumbent: Incumbent,
) -> None:
    """``import flask_wtf``, by which its forms are used, and its protection perhaps."""
    found.needed.setdefault(incumbent, node.lineno)
    for use in _longest(uses):
        if not is_of_forms(module, use.path[0]):
            name = use.path[1] if use.path[0] == "csrf" and len(use.path) > 1 else use.path[0]
            write = f": write from {incumbent.face} import {name}" if has(incumbent.face, (name,)) else ""
            found.leave(use.line, f"{use} stays{write}", incumbent)


def _names(
    source: Source,
    node: ast.ImportFrom,
    used: Callable[[str], list[str]],
    by_name: dict[str, list[_Use]],
    found: Imports,
) -> None:
    from .statements import Lost, after_each, split

    module = node.module or ""
    incumbent = incumbent_of(module)
    if incumbent is None:
        return
    if any(alias.name == "*" for alias in node.names):
        source_of = face_of(module) or incumbent.face
        names = ", ".join(used(module))
        if incumbent.is_part and module == incumbent.module:
            # Forms stay, and what stands below takes the place of what the star brought.
            found.needed.setdefault(incumbent, node.lineno)
            if names:
                why = f"from {module} import * stays, for forms: write from {source_of} import {names} below it"
                found.leave(node.lineno, why, incumbent)
            return
        write = f"from {source_of} import {names}" if names else "the names that are used"
        found.leave(node.lineno, f"from {module} import * stays: write {write}", incumbent)
        return
    to = {alias.name: there for alias in node.names if (there := moved(module, alias.name)) is not None}
    for alias in node.names:
        if alias.name in to:
            there = to[alias.name]
            own = f"{there.module}.{there.name}"
            uses = by_name.get(alias.asname or alias.name, []) if is_module(own) else []
            for use in _longest([each for each in uses if not has(own, each.path)]):
                to.pop(alias.name, None)
                found.leave(use.line, f"{use} is not in {own}: from {module} import {alias.name} stays", incumbent)
        elif is_of_forms(module, alias.name):
            found.needed.setdefault(incumbent, node.lineno)
        else:
            face = face_of(module)
            why = f"{face} has no {alias.name}" if face else f"{incumbent.face} has no {_below(module)}"
            found.leave(node.lineno, f"{why}: from {module} import {alias.name} stays", incumbent)
    if not to:
        return
    start, end = _span(source, node)
    try:
        parts = split(source.text[start:end], to.get)
    except Lost:
        why = "a comment would not stay with its name: write two statements, and this changes the one"
        found.leave(node.lineno, f"from {module} import {', '.join(to)} stays, as {why}", incumbent)
        return
    found.moved.setdefault(incumbent, node.lineno)
    first, last = source.line_at(start), source.line_at(end - 1)
    starts_at = source.place(first + 1, 0)
    before = source.text[starts_at:start]
    line = source.lines[last]
    rest = line[end - source.place(last + 1, 0) :]
    is_alone = not before.strip() and (not rest.strip() or rest.lstrip().startswith("#"))
    if is_alone and not (first and source.lines[first - 1].rstrip("\r\n").endswith("\\")):
        newline = line[len(line.rstrip("\r\n")) :] or "\n"
        text = f"{after_each(rest.rstrip())}{newline}{before}".join(parts)
    else:
        text = "; ".join(parts)
    _change(source, start, end, text, found)


def _texts(nodes: list[ast.AST], found: Imports) -> None:
    said = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
    called: dict[int, str] = {}
    for node in nodes:
        if isinstance(node, ast.Call):
            function = node.func
            name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
            called.update((id(each), name) for each in node.args[:2])
    for node in nodes:
        if not isinstance(node, ast.Constant) or not isinstance(node.value, str) or id(node) in said:
            continue
        text = node.value
        incumbent = incumbent_of(text) if len(text) <= 200 and _DOTTED.fullmatch(text) else None
        if incumbent is None or (incumbent.is_part and not text.startswith(f"{incumbent.module}.")):
            continue
        if incumbent.is_part and is_of_forms(incumbent.module, text.split(".")[1]):
            continue
        by = f" in {called[id(node)]}()" if called.get(id(node)) else ""
        there = _there(text)
        cure = f'write "{there}" if it means the module' if there else f"{incumbent.face} does not have it"
        found.leave(node.lineno, f'"{text}"{by} stays: {cure}', incumbent)


def _there(path: str) -> str | None:
    """Where what a text names is now."""
    parts = path.split(".")
    for length in range(len(parts), 0, -1):
        module, rest = ".".join(parts[:length]), tuple(parts[length:])
        face = face_of(module)
        if face is not None:
            return ".".join((face, *rest)) if has(face, rest) else None
        if rest:
            there = moved(module, rest[0])
            if there is not None and has(there.module, (there.name, *rest[1:])):
                return ".".join((there.module, there.name, *rest[1:]))
    return None


@dataclass(frozen=True)
class _Use:
    """What is written after a name, by dots: ``fl.util.x``."""

    name: str
    path: tuple[str, ...]
    line: int

    def __str__(self) -> str:
        return ".".join((self.name, *self.path))


def _modules_of(node: ast.AST) -> Iterator[str]:
    """The outermost modules that a node names."""
    if isinstance(node, ast.Import):
        yield from (alias.name.partition(".")[0] for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        yield (node.module or "").partition(".")[0]
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value.partition(".")[0]


def _uses(nodes: list[ast.AST]) -> Iterator[_Use]:
    others: dict[str, tuple[str, ...]] = {}
    for node in nodes:
        if isinstance(node, ast.Assign) and (dotted := _dotted(node.value)):
            others.update((each.id, dotted) for each in node.targets if isinstance(each, ast.Name))
    for node in nodes:
        path = _dotted(node)
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "getattr" and len(node.args) > 1:
            name = node.args[1]
            if isinstance(name, ast.Constant) and isinstance(name.value, str) and (of := _dotted(node.args[0])):
                path = (*of, name.value)
        if len(path) > 1:
            line = getattr(node, "lineno", 1)
            yield _Use(path[0], path[1:], line)
            if path[0] in others:
                known = (*others[path[0]], *path[1:])
                yield _Use(known[0], known[1:], line)


def _dotted(node: ast.AST) -> tuple[str, ...]:
    """``a.b.c`` as its names; nothing if it is more than that."""
    path: list[str] = []
    while isinstance(node, ast.Attribute) and len(path) < _DEEPEST:
        path.append(node.attr)
        node = node.value
    return (node.id, *reversed(path)) if isinstance(node, ast.Name) else ()


def _by_name(uses: Iterable[_Use]) -> dict[str, list[_Use]]:
    found: dict[str, list[_Use]] = {}
    for use in dict.fromkeys(uses):
        found.setdefault(use.name, []).append(use)
    return found


def _longest(uses: list[_Use]) -> list[_Use]:
    """Of ``a.b`` and ``a.b.c`` on one line, the latter."""
    parts = {(each.line, each.path[:length]) for each in uses for length in range(1, len(each.path))}
    return [each for each in uses if (each.line, each.path) not in parts]


def _below(module: str) -> str:
    return module.partition(".")[2] or module


def _change(source: Source, start: int, end: int, text: str, found: Imports) -> None:
    """Adds the change, without what is the same before and after."""
    before = source.text[start:end]
    same = _alike(before, text)
    tail = _alike(before[same:][::-1], text[same:][::-1])
    if before != text:
        found.edits.append(Edit(start + same, end - tail, text[same : len(text) - tail]))


def _alike(one: str, other: str) -> int:
    """How many characters two texts begin with alike."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((at for at, (a, b) in pairs if a != b), min(len(one), len(other)))


def _span(source: Source, node: ast.stmt) -> tuple[int, int]:
    start = source.place(node.lineno, node.col_offset)
    return start, source.place(node.end_lineno or node.lineno, node.end_col_offset or 0)
