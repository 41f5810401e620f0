"""Models of msgspec: structs, and dataclasses, typed dicts and generic types as msgspec reads them.

msgspec stops at the first thing that is wrong, and names its place in a text. Of that text the path is read, and told
as far as the model could have written it; the rest may quote a value, and is not told.
"""

from __future__ import annotations

import json
import re
from typing import Any

import msgspec

from .generated import MODEL, Errors, member, names_of, pointer
from .models import Unknown, class_of, has_instance, name_of


class MsgspecModel:
    """See ``models.Model``."""

    def __init__(self, given: Any) -> None:
        self._given = given
        self._kind = class_of(given)
        schema = self.schema()
        self._names = names_of(schema)
        self._is_flat = '"$ref"' not in json.dumps(schema["$defs"])

    def schema(self, *, answers: bool = False) -> dict[str, Any]:
        (schema,), definitions = msgspec.json.schema_components([self._given], ref_template="#/$defs/{name}")
        return {**schema, "$defs": definitions}

    def make(self, value: Any, unknown: Unknown) -> tuple[Any, Errors]:
        try:
            return msgspec.convert(value, self._given, str_keys=True), []
        except msgspec.ValidationError as error:
            return None, [self._told(value, str(error))]

    def dump(self, value: Any) -> Any:
        made = msgspec.to_builtins(value, str_keys=True)
        if self._is_flat and type(value) is self._kind:
            return made
        # msgspec writes an instance of a subclass whole, at any depth; read again, it has what is declared.
        try:
            return msgspec.to_builtins(msgspec.convert(made, self._given, str_keys=True), str_keys=True)
        except msgspec.ValidationError:
            # Its message quotes values.
            raise TypeError(f"A view returned what is not its {name_of(self._given)}.") from None

    def takes(self, value: Any) -> bool:
        if self._kind is None:
            return isinstance(value, (set, frozenset)) or has_instance(value)
        return isinstance(value, self._kind)

    def _told(self, value: Any, text: str) -> tuple[str, str]:
        path = _PATH.search(text)
        steps = _STEP.findall(path[1]) if path else []
        place = pointer((int(at) if at else name for name, at in steps), value, self._names)
        if missing := _MISSING.match(text):
            return (member(place, missing[1]) if missing[1] in self._names else place), "required"
        return place, next((rule for begins, rule in _RULES if text.startswith(begins)), MODEL)


read = MsgspecModel

_PATH = re.compile(r"`\$([^`]*)`\Z")
_STEP = re.compile(r"\.([^.\[\]`]+)|\[(\d{1,9})\]")
_MISSING = re.compile(r"Object missing required field `([^`]*)`")
_RULES = (
    ("Object contains unknown field", "additionalProperties"),
    ("Expected `", "type"),
    ("Invalid enum value", "enum"),
    ("Invalid value", "enum"),
    ("Invalid ", "format"),
)
