"""Schemas of marshmallow, with their JSON Schema by apispec.

1. What is ``dump_only`` is not known in a request, what is ``load_only`` not in an answer. To marshmallow the former is
   any unknown name, and so is a field's own name beside its ``data_key``: ``INCLUDE`` lets both in, and the latter
   replaces what was validated (CWE-915). Here the outermost schema never sees them.
2. marshmallow's own rule for unknown names (``Meta.unknown``) opens a schema where it is ``INCLUDE``; where it is
   ``EXCLUDE``, what ``validate(unknown=...)`` lets through is left out; where it is marshmallow's default, what
   ``validate(unknown=...)`` says is said to marshmallow too, of the outermost schema.
3. Its messages are texts that an app words as it likes, perhaps with a value: only where they stand is told.

The core judges first: what a ``pre_load`` function makes right, it has refused before.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin
from apispec.ext.marshmallow.common import make_schema_key, resolve_schema_instance
from marshmallow import EXCLUDE, INCLUDE, RAISE, ValidationError, fields
from marshmallow import Schema as MarshmallowSchema

from .generated import EXACT, MODEL, Errors, bounded, member, names_of, pointer
from .models import Unknown, has_instance


class MarshmallowModel:
    """See ``models.Model``."""

    def __init__(self, given: Any) -> None:
        self._schema: MarshmallowSchema = given() if isinstance(given, type) else given
        self._names = names_of(self.schema())
        loaded, written = self._schema.load_fields.items(), self._schema.dump_fields.items()
        own = {(field.attribute or name).partition(".")[0] for name, field in loaded}
        own.update(field.data_key or name for name, field in written)
        self._closed = own - {field.data_key or name for name, field in loaded}

    def schema(self, *, answers: bool = False) -> dict[str, Any]:
        names: dict[Any, str] = {}

        def name(schema: Any) -> str:
            # Two of one class that differ in `only=` are two.
            made = resolve_schema_instance(schema)
            called = f"{type(made).__name__}{len(names) or ''}"
            return names.setdefault(make_schema_key(made), called)

        plugin = MarshmallowPlugin(schema_name_resolver=name)
        spec = APISpec("", "", "3.1.0", plugins=[plugin])
        # Set by the line above; its functions have no types.
        converter: Any = plugin.converter
        converter.add_attribute_function(_exact)
        root = converter.resolve_nested_schema(self._schema)
        found: dict[str, Any] = _translated({**root, "$defs": dict(spec.components.schemas)}, answers)
        return found

    def make(self, value: Any, unknown: Unknown) -> tuple[Any, Errors]:
        own = self._schema.unknown
        rule = _UNKNOWN[unknown] if own == RAISE else own
        # Of its own: a function that is called before loading may change it, and the body stays what was checked.
        given = _copied(self._let_in(value) if rule == INCLUDE else value)
        try:
            return self._schema.load(given, unknown=rule), []
        except ValidationError as error:
            return None, bounded(self._told(value, path) for path in _paths(error.messages, ()))

    def _let_in(self, value: Any) -> Any:
        """*value* without the names that ``INCLUDE`` would let in."""
        if isinstance(value, list):
            return [self._let_in(one) for one in value]
        if not isinstance(value, dict) or not self._closed & value.keys():
            return value
        return {name: one for name, one in value.items() if name not in self._closed}

    def dump(self, value: Any) -> Any:
        return self._schema.dump(value)

    def takes(self, value: Any) -> bool:
        # marshmallow dumps any object by its attributes. What is JSON already, it has dumped.
        if self._schema.many:
            return isinstance(value, (list, tuple)) and not all(self._is_dumped(one) for one in value)
        return not self._is_dumped(value)

    def _is_dumped(self, value: Any) -> bool:
        return isinstance(value, _PLAIN) and not (isinstance(value, dict) and has_instance(value))

    def _told(self, value: Any, path: tuple[Any, ...]) -> tuple[str, str]:
        place = pointer(path, value, self._names)
        *before, last = path or (None,)
        here = value
        for step in before:
            here = here[step] if _has(here, step) else None
        if isinstance(here, dict) and isinstance(last, str):
            if last not in self._names:
                return place, "additionalProperties" if last in here else MODEL
            if last not in here:
                return member(place, last), "required"
        return place, MODEL


read = MarshmallowModel


def _copied(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _copied(one) for name, one in value.items()}
    return [_copied(one) for one in value] if isinstance(value, list) else value


def _has(here: Any, step: Any) -> bool:
    if isinstance(here, list):
        return isinstance(step, int) and 0 <= step < len(here)
    return isinstance(here, dict) and step in here


def _paths(messages: Any, path: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
    # Also an error that says nothing is one: nothing told would be nothing wrong.
    if not isinstance(messages, Mapping) or not messages:
        yield path
        return
    for name, inner in messages.items():
        yield from _paths(inner, path if name == "_schema" else (*path, name))


def _exact(self: Any, field: Any, ret: dict[str, Any], **_: Any) -> dict[str, Any]:
    if not isinstance(field, fields.Decimal):
        return {}
    # apispec says number. It is read from a text as well, where no digit is lost, and Flask writes it as one.
    kinds = ret.get("type", [])
    return {EXACT: True, "type": [*([kinds] if isinstance(kinds, str) else kinds), "string"]}


def _translated(schema: Any, answers: bool) -> Any:
    """References as JSON Schema writes them; without the members that do not go this way."""
    if isinstance(schema, list):
        return [_translated(one, answers) for one in schema]
    if not isinstance(schema, Mapping):
        return schema
    made = {word: _translated(value, answers) for word, value in schema.items()}
    reference = made.get("$ref")
    if isinstance(reference, str):
        made["$ref"] = reference.replace("#/components/schemas/", "#/$defs/", 1)
    if isinstance(made.get("min"), str):
        # Of a timestamp, where apispec means a word that JSON Schema does not have.
        del made["min"]
    properties = made.get("properties")
    if isinstance(properties, dict) and made.get("type") == "object":
        other_way = "writeOnly" if answers else "readOnly"
        is_open = made.get("additionalProperties") is True
        made["properties"] = {
            name: of for name, of in properties.items() if not (isinstance(of, dict) and of.get(other_way) is True)
        }
        made["required"] = [name for name in made.get("required", ()) if name in made["properties"]]
        if is_open:
            # Where any other name is let in, this one is not.
            made["properties"] |= dict.fromkeys(properties.keys() - made["properties"].keys(), False)
        if made.get("additionalProperties") is False:
            # marshmallow's default: not said.
            del made["additionalProperties"]
    return made


_UNKNOWN: dict[Unknown, Any] = {"reject": RAISE, "ignore": INCLUDE, "strip": EXCLUDE}
_PLAIN = (dict, list, tuple, str, bytes, int, float, bool, type(None))
