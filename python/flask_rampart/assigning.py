"""Which attributes a function sets on its first parameter, as far as its code says it. It runs nothing.

An assignment ``x.name = ...`` counts, in a function and those within it, unless it is seen that ``x`` is something
else:

1. ``x`` is another name than the first parameter of any of them, or an attribute (``self.form``; not ``__class__``);
2. and the first parameter of the outermost is used for nothing but its attributes, so that no other name can have it.

What is set in other ways (``setattr``, ``vars(self)``, by another function) is not seen.
"""

from __future__ import annotations

import dis
import itertools
from collections.abc import Iterator, Set
from types import CodeType

_OF_OBJECTS = frozenset(("LOAD_ATTR", "LOAD_METHOD", "STORE_ATTR", "DELETE_ATTR", "LOAD_SUPER_ATTR"))
_NOT_DONE = frozenset(("CACHE", "EXTENDED_ARG", "NOP", "NOT_TAKEN", "RESUME"))
_LOADS = ("LOAD_FAST", "LOAD_DEREF", "LOAD_CLASSDEREF", "LOAD_FROM_DICT_OR_DEREF")
_VARARGS = 4


def assigned(code: CodeType, names: Set[str]) -> str | None:
    """The first of these names that a function sets on its first parameter, or may; None if it sets none.

    >>> assigned((lambda self: None).__code__, {"get"})
    """
    codes = [*_within(code)]
    if not any(not names.isdisjoint(each.co_names) for each in codes):
        return None
    does = [[*_steps(each)] for each in codes]
    own = code.co_varnames[0] if code.co_argcount else None
    # Of `*args` alone, the first may be called anything.
    is_held = own is None and bool(code.co_flags & _VARARGS)
    is_held = is_held or any(_is_held(steps, own) for steps in does)
    first = {each.co_varnames[0] for each in codes if each.co_argcount}
    for steps in does:
        for (before, of), (what, name) in itertools.pairwise(steps):
            if what != "STORE_ATTR" or name not in names:
                continue
            is_other = of not in first if before == "LOAD" else before == "LOAD_ATTR" and of != "__class__"
            if is_held or not (is_other or before in ("LOAD_GLOBAL", "LOAD_NAME")):
                return name
    return None


def _within(code: CodeType) -> Iterator[CodeType]:
    yield code
    for each in code.co_consts:
        if isinstance(each, CodeType):
            yield from _within(each)


def _steps(code: CodeType) -> Iterator[tuple[str, str]]:
    """What code does, each with the name that it does it to. What loads or stores two names at once is two steps."""
    cells = {*code.co_cellvars, *code.co_freevars}
    for each in dis.get_instructions(code):
        what, name = each.opname, each.argval
        if what in _NOT_DONE:
            continue
        if isinstance(name, tuple) and "_FAST" in what:
            # Since 3.13: LOAD_FAST_LOAD_FAST, STORE_FAST_LOAD_FAST, LOAD_FAST_BORROW_LOAD_FAST_BORROW and others.
            second = "STORE" if what.endswith("STORE_FAST") else "LOAD"
            yield "STORE" if what.startswith("STORE") else "LOAD", str(name[0])
            yield second, str(name[1])
        elif what.startswith(_LOADS):
            # The cell of a variable for a function within, and not its value: since 3.13 it is loaded as a variable.
            yield "CELL" if "_FAST" in what and name in cells else "LOAD", str(name)
        else:
            yield what, str(name)


def _is_held(steps: list[tuple[str, str]], own: str | None) -> bool:
    """Whether the first parameter is given to anything: a name, a list, a call."""
    after = [*steps[1:], ("", "")]
    return any(
        step == ("LOAD", own) and (what not in _OF_OBJECTS or (what == "LOAD_ATTR" and name == "__class__"))
        for step, (what, name) in zip(steps, after, strict=True)
    )
