"""What tells of secrets and has none: lists of names, and JSON Schemas of what has a secret name.

``"required": ["password", "email"]`` is a list of two names, and no name with its value. ``"password": {"type":
"string", "minLength": 8}`` in an OpenAPI document says what a password looks like. Both are told by closed lists of
words (JSON Schema 2020-12, OpenAPI 3.1); what is not in them is hidden.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: Members that list names: of JSON Schema, of errors of validation, of OAuth's scopes, of tables.
_LISTS = frozenset(
    (
        "required",
        "loc",
        "fields",
        "enum",
        "scopes",
        "columns",
        "exclude",
        "include",
        "names",
        "missing",
        "update_fields",
    )
)

_TYPES = frozenset(("array", "boolean", "integer", "null", "number", "object", "string"))

#: Members of a schema that are values.
VALUES = frozenset(("const", "default", "enum", "example", "examples"))

#: Members that are a schema or a list of them, and those that are an object of them.
PARTS = frozenset(("additionalProperties", "allOf", "anyOf", "items", "not", "oneOf", "prefixItems"))
NAMED_PARTS = frozenset(("properties",))

# fmt: off
_KEYWORDS = frozenset((
    "$id", "$ref", "$schema", "additionalProperties", "allOf", "anyOf", "contentEncoding", "contentMediaType",
    "deprecated", "dependentRequired", "description", "enum", "exclusiveMaximum", "exclusiveMinimum",
    "externalDocs", "format", "items", "maxItems", "maxLength", "maxProperties", "maximum", "minItems",
    "minLength", "minProperties", "minimum", "multipleOf", "not", "nullable", "oneOf", "pattern", "prefixItems",
    "properties", "readOnly", "required", "title", "type", "uniqueItems", "writeOnly", "xml",
))
# fmt: on

_MOST_NAME = 64


def is_list_of_names(name: str, value: Any) -> bool:
    """Whether *value*, the member called *name*, lists names: small letters and underscores."""
    return (
        name in _LISTS
        and type(value) in (list, tuple)
        and all(isinstance(item, str) and _is_identifier(item) for item in value)
    )


def is_schema(value: Any) -> bool:
    """Whether *value* is a JSON Schema, and nothing else."""
    if not isinstance(value, Mapping) or not value or len(value) > len(_KEYWORDS):
        return False
    if not all(isinstance(key, str) and (key in _KEYWORDS or key in VALUES) for key in value):
        return False
    kind, reference = value.get("type"), value.get("$ref")
    kinds = kind if isinstance(kind, list) else [kind]
    return (
        all(isinstance(one, str) and one in _TYPES for one in kinds)
        or (isinstance(reference, str) and "/" in reference)
        or any(isinstance(value.get(key), list) for key in ("allOf", "anyOf", "oneOf"))
    )


def is_part(value: Any) -> bool:
    """Whether *value*, where a schema has another, is one; or a bound alone, such as ``{"minLength": 8}``."""
    if isinstance(value, bool) or is_schema(value):
        return True
    return isinstance(value, Mapping) and all(
        isinstance(key, str) and key in _KEYWORDS and isinstance(item, (bool, int)) for key, item in value.items()
    )


def _is_identifier(text: str) -> bool:
    return 0 < len(text) <= _MOST_NAME and text.isascii() and text.replace("_", "a").isalpha() and text == text.lower()
