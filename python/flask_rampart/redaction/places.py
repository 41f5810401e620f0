"""Places: which members of a nested value are redacted whatever they hold.

A path is a JSON Pointer (RFC 6901), ``/users/*/email``, or a JSONPath (RFC 9535) of names, numbers and wildcards alone,
``$.users[*].email``. A key is the name of a member, at any depth, compared by its letters and digits: ``api_key`` is
``API-Key`` and ``apiKey`` too. Rules, in order:

1. of all that name a place, one that hides wins over :class:`Keep`, a path wins over a key, and the first over the
   rest;
2. below a place that is hidden whole there is nothing left to keep;
3. below a place that is kept, what is found by shape or by a secret name stays, and what another path or key names does
   not.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from ..errors import ConfigError
from .operators import Keep, Operator, operator_of

Alive = tuple[tuple[int, int], ...]
"""Paths that may still come to name something below: each its index, and how many of its steps were taken."""


class Rule(NamedTuple):
    """What was said of one place."""

    operator: Operator
    entity: str
    name: str


class _Path(NamedTuple):
    steps: tuple[str, ...]
    rule: Rule


class Places:
    """Paths and keys with their operators, read once.

    :raises ConfigError: for a path that cannot be read, a key without letters, or no operator.
    """

    def __init__(self, paths: Mapping[str, Any] | None = None, keys: Mapping[str, Any] | None = None) -> None:
        for name, given in (("paths", paths), ("keys", keys)):
            if given is not None and not isinstance(given, Mapping):
                raise ConfigError(f'{name}= is a dict such as {{"{_EXAMPLES[name]}": Redact()}}, not {given!r}.')
        self._paths: tuple[_Path, ...] = tuple(_path(path, given) for path, given in (paths or {}).items())
        self._keys: dict[str, Rule] = {}
        for key, given in (keys or {}).items():
            folded = _folded(key) if isinstance(key, str) else ""
            if not folded:
                raise ConfigError(f"keys={{{key!r}: ...}}: a key has a letter or a digit.")
            if folded in self._keys:
                raise ConfigError(f"keys={{{key!r}: ...}} is there twice: case, - and _ make no difference.")
            self._keys[folded] = Rule(operator_of(given, f"keys={{{key!r}: ...}}"), _entity(key), f"key:{key}")

    def __bool__(self) -> bool:
        return bool(self._paths or self._keys)

    def __repr__(self) -> str:
        return f"Places({len(self._paths)} paths, {len(self._keys)} keys)"

    @property
    def start(self) -> Alive:
        """At the root."""
        return tuple((at, 0) for at in range(len(self._paths)))

    def below(self, alive: Alive, key: object) -> Alive:
        """At the member *key* of a place."""
        if not alive:
            return ()
        name = key if isinstance(key, str) else str(key) if type(key) is int else None
        found = []
        for at, taken in alive:
            steps = self._paths[at].steps
            if taken < len(steps) and (steps[taken] == "*" or steps[taken] == name):
                found.append((at, taken + 1))
        return tuple(found)

    def rule(self, alive: Alive, name: str) -> Rule | None:
        """What is said of the place where one is, which has this name in its object."""
        said = [self._paths[at].rule for at, taken in alive if taken == len(self._paths[at].steps)]
        if name and self._keys and (by_key := self._keys.get(_folded(name))) is not None:
            said.append(by_key)
        return next((rule for rule in said if not isinstance(rule.operator, Keep)), said[0] if said else None)


def _path(path: object, given: object) -> _Path:
    if not isinstance(path, str):
        raise ConfigError(f'paths={{{path!r}: ...}}: a path is a text, such as "/user/email" or "$.user.email".')
    where = f"paths={{{path!r}: ...}}"
    if path.startswith("$"):
        steps = _json_path(path, where)
    elif path == "" or path.startswith("/"):
        if re.search(r"~(?![01])", path):
            raise ConfigError(f"{where}: in a JSON Pointer, ~ is written ~0 (RFC 6901 section 4).")
        steps = tuple(step.replace("~1", "/").replace("~0", "~") for step in path.split("/")[1:])
    else:
        raise ConfigError(f'{where}: a path begins with / or $, such as "/{path}" or "$.{path}".')
    if len(steps) > _MOST_STEPS:
        raise ConfigError(f"{where} has more than {_MOST_STEPS} steps.")
    named = next((step for step in reversed(steps) if step != "*" and not step.isdecimal()), "value")
    return _Path(steps, Rule(operator_of(given, where), _entity(named), path))


def _json_path(path: str, where: str) -> tuple[str, ...]:
    steps = []
    at = 1
    while at < len(path):
        step = _STEP.match(path, at)
        if step is None:
            raise ConfigError(
                f"{where}: a JSONPath is made of .name, ['name'], [0], .* and [*] here; {path[at:]!r} is none of these."
            )
        quoted = step["single"] if step["single"] is not None else step["double"]
        steps.append(re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else step["name"] or step["at"])
        at = step.end()
    return tuple(steps)


def _entity(name: str) -> str:
    """What a mark says in the place of a member."""
    words = re.sub(r"[^A-Za-z0-9]+", "_", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)).strip("_")
    return words.upper()[:_MOST_ENTITY] or "VALUE"


def _folded(name: str) -> str:
    return "".join(filter(str.isalnum, name)).casefold()


_EXAMPLES = {"paths": "/user/email", "keys": "password"}
_STEP = re.compile(
    r"""\.(?P<name>\*|[^\W\d][\w-]*)|\[(?:(?P<at>\*|0|[1-9][0-9]*)|'(?P<single>(?:[^'\\]|\\.)*)'|"(?P<double>(?:[^"\\]|\\.)*)")\]"""
)
_MOST_STEPS = 64
_MOST_ENTITY = 64
