"""What names stand for within one module, as far as it is written there.

Followed: what is assigned to a name, also by ``:=`` and as the default of a parameter, from where the name is used
outwards, as Python looks for it, with ``global`` and ``nonlocal``; and ``Config.KEY``, where ``Config`` is a class of
the module. Of a name that is given several things, each counts, up to fifty. Not followed: what imports, loops,
``with`` and functions give, which hides a name further out all the same, and what ``exec`` does.

Of imports it is told what they are called elsewhere: ``import jwt as pyjwt``.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

_Comprehension = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp
_Scope = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | _Comprehension
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_MOST_GIVEN = 50


class Names:
    """The names of a module, and what each is given."""

    def __init__(self, tree: ast.Module) -> None:
        self._bound: dict[int, dict[str, list[ast.expr]]] = {}
        self._around: dict[int, tuple[_Scope, ...]] = {}
        self._classes: dict[str, list[ast.ClassDef]] = {}
        #: What is imported, by the name that it has here: its whole name.
        self.imported: dict[str, str] = {}
        self._elsewhere: dict[tuple[int, str], _Scope] = {}
        self._read(tree)

    def given_to(self, node: ast.expr) -> list[ast.expr]:
        """What a name may stand for where it is used; nothing, where that is not known."""
        if isinstance(node, ast.Name):
            for scope in self._around.get(id(node), ()):
                found = self._bound[id(scope)].get(node.id)
                if found is not None:
                    return found
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            return [each for scope in self._classes.get(node.value.id, ()) for each in self._of(scope, node.attr)]
        return []

    def _of(self, scope: _Scope, name: str) -> list[ast.expr]:
        return self._bound[id(scope)].get(name, [])

    def _read(self, tree: ast.Module) -> None:
        # A stack of its own: sources nest deeper than Python's.
        left: list[tuple[ast.AST, tuple[_Scope, ...]]] = [(tree, ())]
        found: list[tuple[tuple[_Scope, ...], str, ast.expr | None]] = []
        while left:
            node, around = left.pop()
            inside = around
            if isinstance(node, (ast.Module, ast.ClassDef, *_FUNCTIONS, *_COMPREHENSIONS)):
                # The names of a class are not seen by the functions in it.
                inside = (node, *(each for each in around if not isinstance(each, ast.ClassDef)))
                self._bound[id(node)] = {}
                if isinstance(node, ast.ClassDef):
                    self._classes.setdefault(node.name, []).append(node)
                if isinstance(node, _FUNCTIONS):
                    self._parameters(node)
            elif isinstance(node, ast.Name):
                self._around[id(node)] = around
            elif isinstance(node, (ast.Global, ast.Nonlocal)):
                self._declared(node, around)
            elif isinstance(node, (ast.Import, ast.ImportFrom)):
                self._imports(node)
            found += ((around, name, value) for name, value in _given(node))
            outside = _read_outside(node)
            left += [(child, around if id(child) in outside else inside) for child in _children(node)]
        for around, name, value in found:
            self._bind(around, name, value)

    def _bind(self, around: tuple[_Scope, ...], name: str, value: ast.expr | None) -> None:
        if value is not None:
            # What ``:=`` gives in a comprehension is seen around it.
            around = tuple(each for each in around if not isinstance(each, _COMPREHENSIONS))
        if not around:
            return
        scope = self._elsewhere.get((id(around[0]), name), around[0])
        given = self._bound[id(scope)].setdefault(name, [])
        if value is not None and len(given) < _MOST_GIVEN:
            given.append(value)

    def _declared(self, node: ast.Global | ast.Nonlocal, around: tuple[_Scope, ...]) -> None:
        if not around:
            return
        functions = [each for each in around[1:] if isinstance(each, _FUNCTIONS)]
        for name in node.names:
            if isinstance(node, ast.Global):
                self._elsewhere[id(around[0]), name] = around[-1]
            elif functions:
                self._elsewhere[id(around[0]), name] = functions[0]

    def _imports(self, node: ast.Import | ast.ImportFrom) -> None:
        for each in node.names:
            if isinstance(node, ast.ImportFrom):
                self.imported[each.asname or each.name] = f"{node.module or ''}.{each.name}"
            elif each.asname is not None:
                self.imported[each.asname] = each.name

    def _parameters(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> None:
        bound, given = self._bound[id(node)], node.args
        placed = [*given.posonlyargs, *given.args]
        # Whoever calls it says what these are, so no name further out is meant.
        for each in (*placed, *given.kwonlyargs, given.vararg, given.kwarg):
            if each is not None:
                bound[each.arg] = []
        for each, value in zip(placed[len(placed) - len(given.defaults) :], given.defaults, strict=True):
            bound[each.arg].append(value)
        for each, default in zip(given.kwonlyargs, given.kw_defaults, strict=True):
            if default is not None:
                bound[each.arg].append(default)


def _children(node: ast.AST) -> list[ast.AST]:
    """Parts of a node; those of a function's parameters as if they were its own."""
    children: list[ast.AST] = []
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.arguments):
            children += [*ast.iter_child_nodes(child)]
        else:
            children.append(child)
    return children


def _read_outside(node: ast.AST) -> set[int]:
    """The parts of a definition that Python reads where it stands, and not in its own scope."""
    if isinstance(node, ast.ClassDef):
        return {id(each) for each in (*node.decorator_list, *node.bases, *node.keywords)}
    if not isinstance(node, _FUNCTIONS):
        return set()
    given = node.args
    outside: list[ast.AST | None] = [*ast.iter_child_nodes(given)]
    if not isinstance(node, ast.Lambda):
        outside += [*node.decorator_list, node.returns]
    return {id(each) for each in outside if each is not None}


def _given(node: ast.AST) -> Iterator[tuple[str, ast.expr | None]]:
    """The names that a node binds, with what they are given, if that is written there."""
    if isinstance(node, ast.Assign):
        for target in node.targets:
            yield from _pairs(target, node.value)
    elif isinstance(node, (ast.AnnAssign, ast.AugAssign, ast.NamedExpr)) and node.value is not None:
        yield from _pairs(node.target, node.value)
    elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        # Also of ``for`` and ``with``: a name further out is not meant.
        yield node.id, None
    elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.ExceptHandler)):
        if node.name is not None:
            yield node.name, None
    elif isinstance(node, (ast.Import, ast.ImportFrom)):
        for each in node.names:
            yield each.asname or each.name.partition(".")[0], None


def _pairs(target: ast.expr, value: ast.expr) -> Iterator[tuple[str, ast.expr]]:
    if isinstance(target, ast.Name):
        yield target.id, value
    elif isinstance(target, (ast.Tuple, ast.List)) and isinstance(value, (ast.Tuple, ast.List)):
        for each, given in zip(target.elts, value.elts, strict=False):
            if isinstance(each, ast.Name):
                yield each.id, given
