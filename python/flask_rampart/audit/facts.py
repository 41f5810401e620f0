"""In which form a value of the app's stands in a record.

Values are cut: 16 members or items, 3 levels, and texts to 1,024 characters, which are redacted and only then cut to
256 (``src/bindings/audit/record.rs``): of a secret that a cut goes through, half would stay. And the fields of a record
share 192 values evenly, so that a large one takes no room from its neighbours. What is no JSON stands as the name of
its type. So no request makes a record fail by its size.

What a record says of the request itself (who, from where, the path) is composed in ``src/bindings/audit/record.rs``.
The query is left out: names in it can be spelt in many ways, and what of it is wanted is said by ``fields``.

It decides nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import Any, NamedTuple

#: Characters of a text that go on: 1,024 are looked at for what is to be redacted, and one tells that there are more.
WINDOW = 1025
_WIDTH = 16
_DEPTH = 3
_MOST = 192
_CUT = "..."


class Facts(NamedTuple):
    """The members of a record."""

    plain: dict[str, Any] | None = None
    """Ours: ids, codes, routes. They stand as they are."""
    told: dict[str, Any] | None = None
    """What peers or the app had a hand in: it is redacted."""


def json_fields(fields: Mapping[str, object]) -> dict[str, Any]:
    """Fields as a record can hold them: at most 48.

    >>> json_fields({"n": 1, "file": object()})
    {'n': 1, 'file': '<object>'}
    """
    share = max(4, _MOST // max(1, len(fields)))
    return {_name(name): _value(value, _DEPTH, [share]) for name, value in islice(fields.items(), _MOST // 4)}


def _value(value: object, depth: int, left: list[int]) -> Any:
    left[0] -= 1
    if left[0] < 0:
        return _CUT
    if isinstance(value, str):
        return _cut(value)
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, Mapping):
        if depth == 0:
            return _CUT
        made: dict[str, Any] = {}
        for name, member in value.items():
            if len(made) == _WIDTH or left[0] <= 0:
                made[_CUT] = _CUT
                break
            made[_name(name)] = _value(member, depth - 1, left)
        return made
    if isinstance(value, (list, tuple, set, frozenset)):
        if depth == 0:
            return _CUT
        items: list[Any] = []
        for item in value:
            if len(items) == _WIDTH or left[0] <= 0:
                items.append(_CUT)
                break
            items.append(_value(item, depth - 1, left))
        return items
    return f"<{type(value).__name__}>"


def _name(name: object) -> str:
    # Half of a surrogate pair in a name, which a peer may have chosen, must not make the record fail.
    return str(name)[:WINDOW].encode("utf-8", "replace").decode()


def _cut(text: object) -> str:
    return str(text)[:WINDOW]
