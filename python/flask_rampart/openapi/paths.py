"""The paths of the document: those of the app's routes, in the words of OpenAPI.

A route's converters say what stands in a path: Flask's own are told to the letter, those of the app are texts. OpenAPI
tells paths apart by their shape alone (section 4.8.8.2), so routes that differ in nothing but the names or converters
of what they take (``/a/<int:id>``, ``/a/<name>``) are one path: the first that the app added says how it is written.

What a route cannot say: which of two hosts it is for, and that ``path`` converters take slashes.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote

from werkzeug.routing import (
    AnyConverter,
    BaseConverter,
    FloatConverter,
    IntegerConverter,
    PathConverter,
    Rule,
    UnicodeConverter,
    UUIDConverter,
)

METHODS = ("GET", "PUT", "POST", "DELETE", "PATCH", "TRACE")
"""Those that a path may have operations for, but for what Flask answers by itself."""
_SAFE = "/:@!$&'()*+,;=~-._"


def methods_of(rule: Rule) -> list[str]:
    """The methods of a route that are operations. A route without any takes all."""
    return [method for method in METHODS if rule.methods is None or method in rule.methods]


def template_of(rule: Rule) -> str:
    """A route's path as OpenAPI writes it.

    >>> from werkzeug.routing import Map
    >>> rule = Rule("/orders/<int:number>/lines", endpoint="lines")
    >>> Map([rule]) and template_of(rule)
    '/orders/{number}/lines'
    """
    # What is written in a route is decoded, and a brace would begin a name.
    return "".join(f"{{{text}}}" if is_dynamic else quote(text, safe=_SAFE) for is_dynamic, text in _trace(rule)) or "/"


def shape_of(template: str) -> str:
    """What tells a path from others."""
    return re.sub(r"\{[^{}]*\}", "{}", template)


def names_in(template: str) -> list[str]:
    """What a path takes, in its order."""
    return re.findall(r"\{([^{}]*)\}", template)


def schema_of(rule: Rule, name: str) -> dict[str, Any]:
    """The schema of what a route takes out of its path under a name."""
    converter: BaseConverter = rule._converters[name]
    kind = type(converter)
    if isinstance(converter, IntegerConverter) and kind is IntegerConverter:
        if converter.fixed_digits:
            sign = "-?" if converter.signed else ""
            return {"type": "string", "pattern": f"^{sign}[0-9]{{{converter.fixed_digits}}}$"}
        return {"type": "integer", **_between(converter)}
    if isinstance(converter, FloatConverter) and kind is FloatConverter:
        return {"type": "number", **_between(converter)}
    if isinstance(converter, AnyConverter) and kind is AnyConverter:
        return {"type": "string", "enum": sorted(converter.items)}
    if kind is UUIDConverter:
        return {"type": "string", "format": "uuid"}
    if kind is UnicodeConverter:
        return {"type": "string", **_long(converter.regex)}
    if kind is PathConverter:
        return {"type": "string", "minLength": 1, "description": "It may have slashes in it."}
    return {"type": "string"}


def _trace(rule: Rule) -> list[tuple[bool, str]]:
    """What a rule consists of, without the host."""
    trace = list(rule._trace)
    return trace[trace.index((False, "|")) + 1 :] if (False, "|") in trace else trace


def _between(converter: IntegerConverter | FloatConverter) -> dict[str, Any]:
    least = converter.min if converter.signed or converter.min is not None else 0
    if not converter.signed and least is not None:
        least = max(least, 0)
    found = {"minimum": least, "maximum": converter.max}
    return {word: value for word, value in found.items() if value is not None}


def _long(regex: str) -> dict[str, int]:
    """How long a text is that Flask's own converter takes: it keeps that in its expression alone."""
    found = re.search(r"\{(\d+)(?:,(\d*))?\}\Z", regex)
    if found is None:
        return {"minLength": 1}
    least, most = found[1], found[1] if found[2] is None else found[2]
    return {"minLength": int(least), **({"maxLength": int(most)} if most else {})}
