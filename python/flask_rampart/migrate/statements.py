"""One import, rewritten by LibCST: comments, parentheses, line breaks and all that is not a name stay as they are.

It decides nothing: what goes where, and what stays, is told.
"""

from __future__ import annotations

import io
import re
import tokenize
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence

import libcst as cst

from .incumbents import Moved

_OF_TOOLS = re.compile(r"#\s*(?:noqa|type:|pragma|pylint|isort|fmt|nosec|pyright|mypy|ruff)", re.IGNORECASE)
"""Comments that a tool reads: they hold for each part of a statement that is two now."""


def with_modules(statement: str, renamed: Callable[[str], tuple[str, str] | None]) -> str:
    """``import a, b.c as d`` with other modules.

    :param renamed: gives a module's new name and the name that it is bound to if the statement says none, or None.

    >>> with_modules("import os, flask_cors", lambda name: ("new.cors", name) if name == "flask_cors" else None)
    'import os, new.cors as flask_cors'
    """
    module, small = _read(statement)
    if not isinstance(small, cst.Import):
        raise ValueError("no import")
    names = []
    for alias in small.names:
        found = renamed(_plain(alias.evaluated_name))
        if found is not None:
            dotted, binds = found
            as_name = alias.asname or cst.AsName(cst.Name(binds))
            alias = alias.with_changes(name=_dotted(dotted), asname=as_name)
        names.append(alias)
    return module.code_for_node(small.with_changes(names=names))


class Lost(ValueError):
    """A comment would be gone, be there twice, or stand with another name."""


def split(statement: str, to: Callable[[str], Moved | None]) -> list[str]:
    """``from a import b, c`` with each name from where it is now, those that stay last.

    :raises Lost: if a comment could not be kept with its name.

    >>> to = {"Limiter": Moved("new.limiter", "Limiter", "Limiter")}.get
    >>> split("from flask_limiter import Limiter as L, HEADERS", to)
    ['from new.limiter import Limiter as L', 'from flask_limiter import HEADERS']
    """
    module, small = _read(statement)
    if not isinstance(small, cst.ImportFrom) or isinstance(small.names, cst.ImportStar):
        raise ValueError("no import of names")
    groups: dict[str | None, list[int]] = {}
    names = list(small.names)
    for index, alias in enumerate(names):
        name = _plain(alias.evaluated_name)
        found = to(name)
        groups.setdefault(found.module if found is not None else None, []).append(index)
        if found is not None and found.name != name:
            as_name = alias.asname or cst.AsName(cst.Name(found.binds))
            names[index] = alias.with_changes(name=cst.Name(found.name), asname=as_name)
    parts = []
    for target in sorted(groups, key=lambda each: each is None):
        part = small if len(groups) == 1 else _only(small, names, groups[target])
        part = part.with_changes(names=names) if len(groups) == 1 else part
        if target is not None:
            part = part.with_changes(module=_dotted(target))
        parts.append(module.code_for_node(part))
    if len(parts) > 1 and _comments(statement) != sum(map(_comments, parts), Counter()):
        raise Lost("a comment")
    return parts


def after_each(rest: str) -> str:
    """What follows a statement on its line, if it holds for each part of one that is two now; else nothing.

    >>> after_each("  # noqa: F401"), after_each("  # the limits")
    ('  # noqa: F401', '')
    """
    return rest if _OF_TOOLS.match(rest.lstrip()) else ""


def _comments(statement: str) -> Counter[tuple[str, str]]:
    """The comments of a statement, each with the name before it; above all names, those for tools count once."""
    found: Counter[tuple[str, str]] = Counter()
    before = ""
    for token in tokenize.generate_tokens(io.StringIO(statement).readline):
        if token.type == tokenize.NAME:
            before = token.string
        elif token.type == tokenize.COMMENT and not (before == "import" and _OF_TOOLS.match(token.string)):
            found[before, token.string] += 1
    return found


def _plain(name: str) -> str:
    """A name as Python reads it: letters of full width are plain ones."""
    return unicodedata.normalize("NFKC", name)


def _read(statement: str) -> tuple[cst.Module, cst.BaseSmallStatement]:
    module = cst.parse_module(statement)
    line = module.body[0]
    if module.code != statement or len(module.body) != 1 or not isinstance(line, cst.SimpleStatementLine):
        raise ValueError("not one statement")
    return module, line.body[0]


def _only(small: cst.ImportFrom, names: Sequence[cst.ImportAlias], indices: Sequence[int]) -> cst.ImportFrom:
    """The statement with some of its names; the last of them ends as the last of all did."""
    kept = [names[index] for index in indices]
    if indices[-1] == len(names) - 1:
        return small.with_changes(names=kept)
    last, own = names[-1], kept[-1].comma
    after = own.whitespace_after if isinstance(own, cst.Comma) else None
    end: cst.BaseParenthesizableWhitespace = cst.SimpleWhitespace("")
    rpar = small.rpar
    if isinstance(last.comma, cst.Comma):
        end = last.comma.whitespace_after
    elif rpar is not None:
        end, rpar = rpar.whitespace_before, cst.RightParen()
    if not isinstance(after, cst.ParenthesizedWhitespace) or not (
        isinstance(end, cst.ParenthesizedWhitespace) or _has_comment(after)
    ):
        # On one line: no comma but where there was one at the end.
        kept[-1] = kept[-1].with_changes(comma=last.comma)
        return small.with_changes(names=kept)
    # Lines above the next name, which is elsewhere now, stay with this one.
    if isinstance(end, cst.ParenthesizedWhitespace):
        after = after.with_changes(indent=end.indent, last_line=end.last_line)
    else:
        after = after.with_changes(indent=False, last_line=cst.SimpleWhitespace(""))
    kept[-1] = kept[-1].with_changes(comma=cst.Comma(whitespace_after=after))
    return small.with_changes(names=kept, rpar=rpar)


def _has_comment(space: cst.ParenthesizedWhitespace) -> bool:
    return space.first_line.comment is not None or any(line.comment is not None for line in space.empty_lines)


def _dotted(name: str) -> cst.Attribute | cst.Name:
    found = cst.parse_expression(name)
    if not isinstance(found, (cst.Attribute, cst.Name)):
        raise ValueError("no name of a module")
    return found
