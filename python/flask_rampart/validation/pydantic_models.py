"""Models of pydantic 2: classes, its dataclasses, ``TypeAdapter``, and types made of these.

1. A value is read as JSON is (pydantic's JSON mode): so strict models take dates, enums and tuples, and
   ``val_json_bytes`` holds.
2. What pydantic refuses is told by the keyword of JSON Schema that means the same, or by pydantic's own name for it,
   which a validator of the app's chooses too (``PydanticCustomError``).

What pydantic cannot say in JSON Schema, such as a plain validator, it judges alone.
"""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic.errors import PydanticInvalidForJsonSchema
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import to_json

from .generated import EXACT, Errors, bounded, member, names_of, pointer, rule
from .models import Unknown, class_of, has_instance


class PydanticModel:
    """See ``models.Model``."""

    def __init__(self, given: Any) -> None:
        self._adapter: TypeAdapter[Any] = given if isinstance(given, TypeAdapter) else TypeAdapter(given)
        self._kind = class_of(given)
        self._names = names_of(self.schema())

    def schema(self, *, answers: bool = False) -> dict[str, Any]:
        return self._adapter.json_schema(
            schema_generator=_Generate,
            mode="serialization" if answers else "validation",
            ref_template="#/$defs/{model}",
        )

    def make(self, value: Any, unknown: Unknown) -> tuple[Any, Errors]:
        try:
            return self._adapter.validate_json(to_json(value)), []
        except ValidationError as error:
            found = error.errors(include_url=False, include_context=False, include_input=False)
            return None, bounded(self._told(value, one["loc"], one["type"]) for one in found)

    def dump(self, value: Any) -> Any:
        # By the declared type: of a subclass, what is declared. Members that are not instances are left as they are.
        return self._adapter.dump_python(value, mode="json", by_alias=True, warnings=False)

    def takes(self, value: Any) -> bool:
        if self._kind is not None:
            return isinstance(value, self._kind)
        return isinstance(value, (set, frozenset)) or has_instance(value)

    def _told(self, value: Any, path: tuple[int | str, ...], kind: str) -> tuple[str, str]:
        place = pointer(path, value, self._names)
        if kind == "missing" and path and path[-1] in self._names:
            # The name is the model's, so it may be told.
            place = member(place, str(path[-1]))
        return place, _RULES.get(kind) or rule(kind)


read = PydanticModel


class _Generate(GenerateJsonSchema):
    ignored_warning_kinds = {"skipped-choice", "non-serializable-default", "skipped-discriminator"}  # noqa: RUF012

    def handle_invalid_for_json_schema(self, schema: Any, error_info: str) -> Any:
        return {}

    def decimal_schema(self, schema: Any) -> Any:
        return {**super().decimal_schema(schema), EXACT: True}

    def model_schema(self, schema: Any) -> dict[str, Any]:
        made = super().model_schema(schema)
        if self.mode == "validation" and made.get("additionalProperties", False) is not False:
            # A field that has an alias is none by its own name: as an extra it would stand in the field's place
            # wherever the model is dumped (CWE-915).
            known = made.setdefault("properties", {})
            known.update(dict.fromkeys(schema["cls"].model_fields.keys() - known.keys(), False))
        return made

    def callable_schema(self, schema: Any) -> Any:
        raise PydanticInvalidForJsonSchema("a function is nothing that JSON has")


_RULES = {
    "missing": "required",
    "extra_forbidden": "additionalProperties",
    "string_too_short": "minLength",
    "string_too_long": "maxLength",
    "string_pattern_mismatch": "pattern",
    "too_short": "minItems",
    "too_long": "maxItems",
    "greater_than": "exclusiveMinimum",
    "greater_than_equal": "minimum",
    "less_than": "exclusiveMaximum",
    "less_than_equal": "maximum",
    "multiple_of": "multipleOf",
    "enum": "enum",
    "literal_error": "enum",
    "union_tag_invalid": "oneOf",
    "union_tag_not_found": "oneOf",
    **{
        f"{kind}_{how}": "format"
        for kind in ("date", "datetime", "time", "uuid", "url", "time_delta")
        for how in (
            "parsing",
            "from_datetime_parsing",
            "from_date_parsing",
            "from_datetime_inexact",
            "syntax_violation",
        )
    },
    **{
        f"{kind}_type": "type"
        for kind in (
            *("string", "int", "float", "bool", "list", "dict", "tuple", "set", "model", "dataclass"),
            *("date", "datetime", "time", "uuid", "decimal", "bytes", "frozen_set", "url", "time_delta"),
        )
    },
    **{f"{kind}_parsing": "type" for kind in ("int", "float", "bool", "decimal")},
}
