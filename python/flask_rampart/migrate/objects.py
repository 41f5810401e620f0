"""What is asked of the extensions themselves, as in ``limiter.storage``, that those of the faces do not have.

An object is known where a file makes it and gives it a name: ``limiter = Limiter(...)``. What a file sets on it itself
is there. Nothing of a project is run: objects of the faces are made, and asked.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import lru_cache
from importlib import import_module

from .incumbents import INCUMBENTS, Incumbent, moved

_CLASSES = ("CORS", "CSRFProtect", "JWTManager", "Limiter", "Talisman")


def lacking(nodes: list[ast.AST]) -> Iterator[tuple[int, str, Incumbent]]:
    """The line, what is asked there, and of whose extension.

    >>> source = "from flask_limiter import Limiter\\nlimiter = Limiter(key)\\nlimiter.storage.reset()"
    >>> [(line, text) for line, text, _ in lacking([*ast.walk(ast.parse(source))])]
    [(3, 'limiter.storage is nothing that a Limiter of flask_rampart.compat.limiter has')]
    """
    classes = _classes(nodes)
    objects: dict[str, tuple[Incumbent, str]] = {}
    for node in nodes:
        if not isinstance(node, (ast.Assign, ast.AnnAssign, ast.NamedExpr)) or not isinstance(node.value, ast.Call):
            continue
        made = classes.get(ast.unparse(node.value.func)) if _is_dotted(node.value.func) else None
        if made is not None:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            objects.update((each.id, made) for each in targets if isinstance(each, ast.Name))
    if not objects:
        return
    asked = [each for each in nodes if isinstance(each, ast.Attribute) and isinstance(each.value, ast.Name)]
    own = {ast.unparse(each) for each in asked if isinstance(each.ctx, ast.Store)}
    for each in asked:
        text = ast.unparse(each)
        made = objects.get(text.partition(".")[0])
        if made is not None and text not in own and each.attr not in _attributes(*made):
            yield each.lineno, f"{text} is nothing that a {made[1]} of {made[0].face} has", made[0]


def _classes(nodes: list[ast.AST]) -> dict[str, tuple[Incumbent, str]]:
    """What a file calls the classes of the extensions, before or after its imports were changed."""
    found: dict[str, tuple[Incumbent, str]] = {}
    for incumbent in INCUMBENTS:
        for module in (incumbent.module, incumbent.face, *((f"{incumbent.module}.csrf",) if incumbent.is_part else ())):
            for node in nodes:
                if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module == module:
                    found.update(
                        (alias.asname or alias.name, (incumbent, alias.name))
                        for alias in node.names
                        if alias.name in _CLASSES
                    )
                elif isinstance(node, ast.Import):
                    for alias in node.names:
                        if alias.name == module:
                            bound = alias.asname or alias.name
                            found.update((f"{bound}.{name}", (incumbent, name)) for name in _CLASSES)
    return {name: made for name, made in found.items() if _attributes(*made)}


@lru_cache(maxsize=32)
def _attributes(incumbent: Incumbent, name: str) -> frozenset[str]:
    """What an object of the face's class has; nothing if there is no such class."""
    there = moved(f"{incumbent.module}.csrf" if incumbent.is_part else incumbent.module, name)
    kind = getattr(import_module(there.module), there.name) if there is not None else None
    if not isinstance(kind, type):
        return frozenset()
    made = kind(str) if name == "Limiter" else kind()
    return frozenset((*dir(made), *kind.__annotations__))


def _is_dotted(node: ast.expr) -> bool:
    while isinstance(node, ast.Attribute):
        node = node.value
    return isinstance(node, ast.Name)
