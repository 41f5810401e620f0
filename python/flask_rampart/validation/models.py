"""Models: what a developer gives instead of a JSON Schema, and how a value becomes an instance of it.

``validate(body=Order)`` takes classes of pydantic, msgspec and marshmallow, dataclasses, typed dicts, and types made of
these, such as ``list[Order]``. Whose something is, is told in this order, and nothing is imported to find out:

1. what carries a library's mark is that library's;
2. a dataclass, a typed dict or a generic type is the library's whose classes or constraints are in it: a constraint
   that one library ignores is no constraint; ``field(init=False)`` and ``InitVar`` are pydantic's, which alone heeds
   them;
3. if there are none: msgspec's where it is installed, else pydantic's.

Each library is optional; which are read is in ``pydantic_models``, ``msgspec_models`` and ``marshmallow_models``. The
native core judges first, by the JSON Schema that the library makes of the model; the model sees only what passed.

It does not run a model's code outside a request, and never tells what a library's message says: messages quote values.
"""

from __future__ import annotations

import dataclasses
import importlib
import importlib.util
import sys
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Protocol

from ..errors import ConfigError
from .generated import Errors, judged

Unknown = Literal["reject", "ignore", "strip"]


class Model(Protocol):
    """A model, as its library reads it."""

    def schema(self, *, answers: bool = False) -> dict[str, Any]:
        """Its JSON Schema, 2020-12, as the library writes it.

        :param answers: of what is sent, instead of what is received.
        """

    def make(self, value: Any, unknown: Unknown) -> tuple[Any, Errors]:
        """The instance of a JSON value that the schema let through; or what is wrong with it."""

    def dump(self, value: Any) -> Any:
        """What an instance is as JSON; of a subclass, no more than this model declares."""

    def takes(self, value: Any) -> bool:
        """Whether :meth:`dump` is for such a value."""


def is_model(given: object) -> bool:
    """Whether *given* is a class, type or object that a library reads.

    >>> is_model({"type": "object"}), is_model("schemas/order.json"), is_model(list[int])
    (False, False, True)
    """
    return _marked(given) is not None or _is_plain(given)


def check_given(what: str, given: object) -> None:
    """:raises ConfigError: if *given* is neither a JSON Schema nor a model."""
    if isinstance(given, (Mapping, str, Path)) or is_model(given):
        return
    if not isinstance(given, type) and is_model(type(given)):
        raise ConfigError(f"validate({what}=...) takes the class {type(given).__name__}, not an instance of it.")
    raise ConfigError(
        f"validate({what}=...) takes a model (of pydantic, msgspec or marshmallow, a dataclass, a TypedDict), or a "
        f"JSON Schema as a dict, or a path, not {name_of(given)}."
    )


def name_of(given: object) -> str:
    """What a shape is called where something is said about it."""
    if isinstance(given, (str, Path)):
        return repr(str(given))
    if isinstance(given, Mapping) and not isinstance(given, type):
        return "{...}"
    return getattr(given, "__name__", None) or type(given).__name__


def model_of(given: Any) -> Model:
    """The model that *given* is, read by its library.

    :raises ConfigError: if the library is not installed, or cannot read it.
    """
    library = _marked(given) or _chosen(given)
    extra, module, needs = _LIBRARIES[library]
    missing = [need for need in needs if need not in sys.modules and importlib.util.find_spec(need) is None]
    if missing:
        raise ConfigError(f"{name_of(given)} needs {' and '.join(missing)}: pip install 'flask-rampart[{extra}]'.")
    kind = importlib.import_module(f"{__package__}.{module}").read
    try:
        model: Model = kind(given)
    except ConfigError:
        raise
    except Exception as error:
        # Whatever a library says of a class that it cannot read is about the developer's own words.
        raise ConfigError(f"{name_of(given)} cannot be read: {type(error).__name__}: {error}") from error
    return model


def json_schema(given: Any, *, answers: bool = False) -> dict[str, Any]:
    """The JSON Schema of a model as its library writes it, with titles, defaults and formats: for documents.

    :param answers: of what is sent, instead of what is received.
    :raises ConfigError: as :func:`model_of`.
    """
    return _said(given, lambda: model_of(given).schema(answers=answers))


def judging_schema(given: Any, part: str) -> dict[str, Any]:
    """The JSON Schema that the native core judges a part of a request by before the model does.

    :raises ConfigError: as :func:`model_of`.
    """
    return _said(given, lambda: judged(model_of(given).schema(), text=part != "body"))


def answering_schema(given: Any) -> dict[str, Any]:
    """The JSON Schema that the native core judges answers by.

    :raises ConfigError: as :func:`model_of`.
    """
    return _said(given, lambda: judged(model_of(given).schema(answers=True), closed=True))


def _said(given: Any, made: Any) -> dict[str, Any]:
    try:
        schema: dict[str, Any] = made()
    except ConfigError as error:
        if name_of(given) in str(error):
            raise
        raise ConfigError(f"{name_of(given)}: {error}") from None
    except Exception as error:
        raise ConfigError(f"{name_of(given)} has no JSON Schema: {type(error).__name__}: {error}") from error
    return schema


def is_instance(value: object) -> bool:
    """Whether *value* is made by a model: what a view may return as it is."""
    kind = type(value)
    return (
        hasattr(kind, "__pydantic_serializer__")
        or hasattr(kind, "__struct_fields__")
        or hasattr(kind, "__dataclass_fields__")
    )


def has_instance(value: object) -> bool:
    """Whether a model's instance is somewhere in a list or dict, or it is one itself."""
    return _has_instance(value, ())


def _has_instance(value: object, above: tuple[int, ...]) -> bool:
    if not isinstance(value, (list, tuple, dict)):
        return is_instance(value)
    # What holds itself is for the encoder of JSON to complain of.
    if id(value) in above or len(above) > _DEEPEST:
        return False
    inner = value.values() if isinstance(value, dict) else value
    above = (*above, id(value))
    return any(_has_instance(one, above) for one in inner if not isinstance(one, _SCALARS))


def class_of(given: Any) -> type | tuple[Any, ...] | None:
    """What ``isinstance`` can be asked of its instances; None for a type of which it cannot."""
    if typing.get_origin(given) is typing.Annotated:
        return class_of(typing.get_args(given)[0])
    if typing.get_origin(given) in (typing.Union, types.UnionType):
        kinds = [class_of(one) for one in typing.get_args(given)]
        return None if None in kinds else tuple(kinds)
    # Of Python 3.10, `list[int]` is a type; a typed dict is none of a dict's.
    if not isinstance(given, type) or isinstance(given, types.GenericAlias) or hasattr(given, "__required_keys__"):
        return None
    return given


def _marked(given: object) -> str | None:
    """Whose mark it carries."""
    if isinstance(given, type) and not isinstance(given, types.GenericAlias):
        if hasattr(given, "__pydantic_core_schema__") or hasattr(given, "__pydantic_validator__"):
            return "pydantic"
        if hasattr(given, "__struct_fields__"):
            return "msgspec"
        if hasattr(given, "_declared_fields") and _is_of(given, "marshmallow", "Schema"):
            return "marshmallow"
        return None
    if _is_of(type(given), "pydantic", "TypeAdapter"):
        return "pydantic"
    if _is_of(type(given), "marshmallow", "Schema"):
        return "marshmallow"
    return None


def _is_of(kind: type, library: str, name: str) -> bool:
    """Whether a class is a library's, which is asked only if somebody has imported it."""
    base = getattr(sys.modules.get(library), name, None)
    return base is not None and issubclass(kind, base)


def _is_plain(given: object) -> bool:
    """Whether it is Python's own: a dataclass, a typed dict, or a type made of others."""
    if isinstance(given, type) and not isinstance(given, types.GenericAlias):
        is_typed_dict = issubclass(given, dict) and hasattr(given, "__required_keys__")
        return dataclasses.is_dataclass(given) or is_typed_dict
    return typing.get_origin(given) is not None


def _chosen(given: Any) -> str:
    found: set[str] = set()
    _look(given, found, set())
    if len(found) > 1:
        raise ConfigError(
            f"{name_of(given)} has classes or constraints of {' and '.join(sorted(found))}, and each library ignores "
            "the other's: use those of one."
        )
    if found:
        return found.pop()
    for library in ("msgspec", "pydantic"):
        if library in sys.modules or importlib.util.find_spec(library) is not None:
            return library
    raise ConfigError(
        f"{name_of(given)} needs msgspec or pydantic: pip install 'flask-rampart[msgspec]', or "
        "'flask-rampart[pydantic]'."
    )


def _look(given: Any, found: set[str], seen: set[int]) -> None:
    """Whose classes and constraints are in a type."""
    if id(given) in seen:
        return
    seen.add(id(given))
    marked = _marked(given)
    if marked is not None:
        found.add(marked)
        return
    for metadata in getattr(given, "__metadata__", ()):
        _note(metadata, found)
    for inner in (typing.get_origin(given), *typing.get_args(given)):
        _look(inner, found, seen)
    if not (isinstance(given, type) and _is_plain(given)):
        return
    if dataclasses.is_dataclass(given):
        for field in dataclasses.fields(given):
            # `x: int = pydantic.Field(gt=0)`
            _note(field.default, found)
        if _is_set_by_itself(given):
            found.add("pydantic")
    try:
        hints = typing.get_type_hints(given, include_extras=True)
    except Exception:
        # A name that is not to be found: the library will say so, and better.
        return
    for hint in hints.values():
        _look(hint, found, seen)


def _is_set_by_itself(given: Any) -> bool:
    """Whether it has fields that its constructor does not take, or arguments that are no fields (``InitVar``).

    msgspec sets the former from a request all the same (CWE-915), and refuses the latter.
    """
    if any(not field.init for field in dataclasses.fields(given)):
        return True
    return any("INITVAR" in repr(field._field_type) for field in given.__dataclass_fields__.values())


def _note(metadata: Any, found: set[str]) -> None:
    """Whose constraint it is."""
    for kind in (type(metadata), metadata):
        library = str(getattr(kind, "__module__", "")).partition(".")[0]
        owner = {"annotated_types": "pydantic", "pydantic_core": "pydantic"}.get(library, library)
        if owner in ("pydantic", "msgspec"):
            found.add(owner)


_DEEPEST = 64
_SCALARS = (str, bytes, int, float, bool, type(None))
_LIBRARIES = {
    "pydantic": ("pydantic", "pydantic_models", ("pydantic",)),
    "msgspec": ("msgspec", "msgspec_models", ("msgspec",)),
    "marshmallow": ("marshmallow", "marshmallow_models", ("marshmallow", "apispec")),
}
