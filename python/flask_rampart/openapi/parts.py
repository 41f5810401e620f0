"""What ``validate`` declares of a request: parameters and a request body.

1. Each name of a query, path, headers or cookies is a parameter: required where the schema says so and there is no
   ``default``; written as its ``x-style`` and ``x-explode`` say.
2. A body is ``application/json``; a form is both kinds of form; with files, ``multipart/form-data`` alone. Of these,
   those that ``bounds`` lets through; what it alone speaks of is a body of these types.
3. Objects in a body or form that take no other names are closed (:mod:`.closing`); what becomes of such names is
   ``x-rampart-unknown``.
4. Rules between parameters are ``x-rampart-rules``, a reference to the whole schema.

Fields that OpenAPI says itself (``Accept``, ``Content-Type``, ``Authorization``: section 4.8.12.2.1) are no parameters.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ..guards import Guard
from ..uploads import Upload
from ..validation import Bounds, bounds, is_model, validate
from .answers import status_text
from .closing import closed
from .keywords import Object, draft_of
from .models import name_of_model, schema_of_model
from .schemas import Schemas, Source, component_name

_IN = {"path": "path", "query": "query", "headers": "header", "cookies": "cookie"}
_TOLD_ELSEWHERE = frozenset(("accept", "content-type", "authorization"))
_FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")
_SIMPLE = frozenset(
    (
        "$schema",
        "$id",
        "$comment",
        "$defs",
        "definitions",
        "type",
        "title",
        "description",
        "properties",
        "required",
        "additionalProperties",
        "unevaluatedProperties",
        "examples",
        "default",
        "deprecated",
    )
)
# Said of the parameter, and not once more of its schema.
_OF_PARAMETERS = ("description", "deprecated", "x-style", "x-explode")
_CLOSED = frozenset(("body", "form", "query"))
_NO_ARCHIVES = ("image/", "text/", "audio/", "video/", "font/", "application/pdf", "application/json")
_DELIMITED = ("spaceDelimited", "pipeDelimited")


class Parts:
    """The parts of one operation, of all ``validate`` and ``bounds`` that it meets.

    :param name: of the operation, for schemas that have none of their own.
    """

    def __init__(self, guards: Sequence[Guard], app_bounds: Bounds, schemas: Schemas, name: str) -> None:
        self._guards = [guard for guard in guards if isinstance(guard, validate)]
        self._own = [guard for guard in guards if isinstance(guard, bounds)]
        self._bounds = app_bounds
        self._schemas = schemas
        self._name = name
        #: What is said of the operation beside its parameters.
        self.more: Object = {}

    @property
    def declared(self) -> frozenset[str]:
        """Which parts are declared."""
        return frozenset(part for guard in self._guards for part in guard.given)

    def parameters(self, in_path: Mapping[str, Object]) -> list[Object]:
        """All parameters.

        :param in_path: the schemas of what the route takes out of the path.
        """
        found: dict[tuple[str, str], Object] = {}
        for name, schema in in_path.items():
            found["path", name] = {"name": name, "in": "path", "required": True, "schema": schema}
        for place in _IN:
            for guard, given in self._given(place):
                source = self._source(place, given, guard.unknown)
                for made in self._members(place, source):
                    key = made["in"], made["name"]
                    if place == "path" and key in found:
                        made["schema"] = _both(found[key]["schema"], made["schema"])
                    if place != "path" or key in found:
                        found[key] = made
                self._rules(place, source, guard.unknown)
        return list(found.values())

    def body(self) -> Object | None:
        """The request body; None if none is declared."""
        bodies = self._given("body")
        if not bodies:
            return self._form() or self._of_any_shape()
        schemas = [self._source("body", given, guard.unknown).reference() for guard, given in bodies]
        content: Object = {"schema": schemas[0] if len(schemas) == 1 else {"allOf": schemas}}
        # Of several, all but one ignore what they do not know.
        content["x-rampart-unknown"] = next(
            (guard.unknown or "reject" for guard, _ in bodies if guard.unknown != "ignore"), "ignore"
        )
        types = [kind for kind in self.types or () if kind.endswith(("/json", "+json"))]
        return {"required": True, "content": dict.fromkeys(types or ("application/json",), content)}

    @property
    def types(self) -> list[str] | None:
        """The media types that ``bounds`` lets through; None if it says nothing."""
        given = [guard.content_types for guard in self._own if guard.content_types is not None]
        if not given:
            return None
        named = dict.fromkeys(kind for ranges in given for kind in ranges)
        return [kind for kind in named if all(_is_within(kind, ranges) for ranges in given)]

    @property
    def bounds(self) -> Object:
        """The bounds of the view's own, each by its name; of several, the strictest."""
        names = sorted({name for guard in self._own for name in guard.given})
        return {name: min(guard.given[name] for guard in self._own if name in guard.given) for name in names}

    def _of_any_shape(self) -> Object | None:
        """A body of which nothing is known but its type."""
        return None if self.types is None else {"content": {kind: {} for kind in self.types}}

    def enforces_answers(self, otherwise: str | None) -> bool:
        """Whether an answer that is not what the view has promised is held back, wherever the app runs.

        :param otherwise: what becomes of it where the view does not say.
        """
        return any(
            guard.response is not None and (guard.response_mode or otherwise) == "enforce" for guard in self._guards
        )

    def responses(self) -> Object:
        """What the view answers, by status, where that has a schema."""
        found: Object = {}
        for guard in self._guards:
            for status, one in (guard.response or {}).items():
                answer: Object = {"description": status_text(status)}
                if one is not None:
                    named = "response" if len(guard.response or {}) == 1 else f"response_{status}"
                    answer["content"] = {"application/json": {"schema": self._source(named, one).reference()}}
                found[status] = answer
        return found

    def _given(self, place: str) -> list[tuple[validate, Any]]:
        return [(guard, guard.given[place]) for guard in self._guards if place in guard.given]

    def _source(self, part: str, given: Any, unknown: str | None = None) -> Source:
        text = text_of(self._bounds, part, given)
        if part in _CLOSED and unknown in (None, "reject"):
            schema = json.loads(text)
            # A form is closed as a whole, beside its files; a query by what no parameter says.
            text = json.dumps(closed(schema, draft_of(schema), around=part == "body"))
        return self._schemas.of(text, _called(given) or f"{self._name}_{part}")

    def _members(self, place: str, source: Source) -> list[Object]:
        made = []
        required = _required(source)
        for name, schemas in _properties(source).items():
            if place == "headers" and name.lower() in _TOLD_ELSEWHERE:
                continue
            one = self._together(source, schemas)
            parameter: Object = {"name": name, "in": _IN[place]}
            faces = [face for schema in schemas for face in source.faces(schema, alternatives=True)]
            if place == "path" or (name in required and not any("default" in face for face in faces)):
                parameter["required"] = True
            for word in _OF_PARAMETERS[:2]:
                told = next((face[word] for face in faces if word in face), None)
                if told:
                    parameter[word] = told
            parameter.update(_style(place, faces))
            parameter["schema"] = one
            made.append(parameter)
        others = _others(source)
        if others is not None and place == "query":
            free = "others"
            while free in _properties(source):
                free += "_"
            schema = {"type": "object", "additionalProperties": source.written(others)}
            made.append({"name": free, "in": "query", "style": "form", "explode": True, "schema": schema})
        return made

    def _together(self, source: Source, schemas: Sequence[Any]) -> Any:
        """All that is said of one name."""
        if not source.is_sure:
            # References in it point into a resource of their own: it is told what that says of it.
            return _pointed(source, schemas)
        written = [source.written(schema) for schema in schemas]
        one = written[0] if len(written) == 1 else {"allOf" if _hold_all(source, schemas) else "anyOf": written}
        if isinstance(one, dict):
            return {word: value for word, value in one.items() if word not in _OF_PARAMETERS}
        return one

    def _rules(self, place: str, source: Source, unknown: str | None) -> None:
        if place == "query" and _others(source) is None:
            self.more["x-rampart-unknown"] = unknown or "reject"
        if not isinstance(source.root, dict) or any(
            word not in _SIMPLE and not word.startswith("x-") for word in source.root
        ):
            self.more.setdefault("x-rampart-rules", {})[place] = source.reference()

    def _form(self) -> Object | None:
        forms, files = self._given("form"), self._files()
        if not forms and not files:
            return None
        schemas: list[Object] = []
        encoding: Object = {}
        is_closed = not any(guard.unknown in ("ignore", "strip") for guard in self._guards)
        for guard, given in forms:
            source = self._source("form", given, guard.unknown)
            schemas.append(source.reference())
            is_closed = is_closed and _others(source) is None
            for name, those in _properties(source).items():
                style = _style("form", [face for one in those for face in source.faces(one, alternatives=True)])
                if style:
                    encoding[name] = style
        if files:
            schemas.append(files)
            for name, file in files["properties"].items():
                encoding[name] = {"contentType": ", ".join(file.get("items", file)["x-rampart-types"])}
        schema: Object = dict(schemas[0]) if len(schemas) == 1 else {"allOf": schemas}
        if is_closed:
            schema["unevaluatedProperties"] = False
        content: Object = {"schema": schema, **({"encoding": encoding} if encoding else {})}
        unknown = next((guard.unknown for guard in self._guards if guard.unknown is not None), "reject")
        if unknown != "reject" or is_closed:
            content["x-rampart-unknown"] = unknown
        kinds = _FORMS[1:] if files else _FORMS
        return {"required": True, "content": dict.fromkeys(self._let_through(kinds) or kinds, content)}

    def _let_through(self, kinds: Sequence[str]) -> list[str]:
        """Of these media types, those that ``bounds`` lets through."""
        given = [guard.content_types for guard in self._own if guard.content_types is not None]
        return [kind for kind in kinds if all(_is_within(kind, ranges) for ranges in given)]

    def _files(self) -> Object:
        """The members of a form that are files, as the schema of an object; nothing if there are none."""
        properties: Object = {}
        required: list[str] = []
        for _, given in self._given("files"):
            for name, upload in given.items():
                one = _file(upload)
                properties[name] = one
                if upload.max_count > 1:
                    least = {"minItems": 1} if upload.required else {}
                    properties[name] = {"type": "array", "items": one, **least, "maxItems": upload.max_count}
                required += [name] if upload.required else []
        if not properties:
            return {}
        return {"type": "object", "properties": properties, **({"required": required} if required else {})}


def text_of(bounds: Bounds, part: str, given: Any) -> str:
    """The JSON Schema that was given for a part, whatever it was given as.

    :param part: its name; of an answer, one that begins with ``response``.
    """
    if is_model(given):
        return json.dumps(schema_of_model(given, answers=part.startswith("response")))
    _, text = bounds.text(part, given)
    return text


def _file(upload: Upload) -> Object:
    """One file. Told is what it may be, not how that is found out."""
    told: Object = {"type": "string", "format": "binary", "contentMediaType": "application/octet-stream"}
    told["x-rampart-types"] = list(upload.types)
    if upload.max_bytes is not None:
        told["x-rampart-max-bytes"] = upload.max_bytes
    if any(kind.startswith("image/") for kind in upload.types):
        told["x-rampart-max-pixels"] = upload.max_pixels
        told["x-rampart-max-frames"] = upload.max_frames
    if not all(kind.startswith(_NO_ARCHIVES) for kind in upload.types):
        archive = upload.archive
        told["x-rampart-archive"] = {
            "max-entries": archive.max_entries,
            "max-bytes": archive.max_bytes,
            **({} if archive.max_entry_bytes is None else {"max-entry-bytes": archive.max_entry_bytes}),
            "max-ratio": archive.max_ratio,
            "nested": archive.nested,
        }
    return told


def _is_within(kind: str, ranges: Sequence[str]) -> bool:
    """Whether a media type, or a range of them, is in one of these ranges."""
    return kind in ranges or f"{kind.partition('/')[0]}/*" in ranges or "*/*" in ranges


def _called(given: Any) -> str:
    """What a schema is called by whoever gave it: the name of its class or of its file."""
    if isinstance(given, Mapping) and not isinstance(given, type):
        return ""
    if is_model(given):
        return name_of_model(given)
    stem = str(given).replace("\\", "/").rpartition("/")[2].split(".")[0]
    return component_name("".join(word[:1].upper() + word[1:] for word in stem.replace("-", "_").split("_")))


def _properties(source: Source) -> dict[str, list[Any]]:
    """Each name that the schema of a part knows, and all that is said of it."""
    found: dict[str, list[Any]] = {}
    for face in source.faces(source.root, alternatives=True):
        properties = face.get("properties")
        for name, schema in properties.items() if isinstance(properties, dict) else ():
            found.setdefault(name, []).append(schema)
    return found


def _required(source: Source) -> set[str]:
    return {name for face in source.faces(source.root, alternatives=False) for name in face.get("required", ()) if name}


def _others(source: Source) -> Any:
    """The schema of names that the schema of a part does not know, where it speaks of them; None if it does not."""
    for face in source.faces(source.root, alternatives=False):
        for word in ("additionalProperties", "unevaluatedProperties"):
            if face.get(word, False) is not False:
                return face[word]
        if face.get("patternProperties"):
            return True
    return None


def _hold_all(source: Source, schemas: Sequence[Any]) -> bool:
    """Whether none of these is of an alternative."""
    faces = source.faces(source.root, alternatives=False)
    held = {id(schema) for face in faces for schema in face.get("properties", {}).values()}
    return all(id(schema) in held for schema in schemas)


def _pointed(source: Source, schemas: Sequence[Any]) -> Any:
    """What a resource says of one name, without a reference into it: the types alone, where it needs one."""
    if len(schemas) == 1 and not source.refers(schemas[0]) and source.draft in (2019, 2020):
        return schemas[0]
    types = {kind for schema in schemas for face in source.faces(schema, alternatives=True) for kind in _types(face)}
    return {"type": sorted(types) if len(types) > 1 else next(iter(types))} if types else {}


def _style(place: str, faces: Sequence[Object]) -> Object:
    """How a parameter is written, as far as that is not OpenAPI's default for its place."""
    style = next((face["x-style"] for face in faces if "x-style" in face), None)
    explode = next((face["x-explode"] for face in faces if "x-explode" in face), None)
    kinds = {kind for face in faces for kind in _types(face)}
    if place in ("path", "headers"):
        return {}
    if place == "cookies":
        # The default would be a cookie for each item.
        return {"style": "form", "explode": False} if "array" in kinds else {}
    if "array" not in kinds and "object" in kinds:
        return {"style": "deepObject", "explode": True}
    if style in _DELIMITED:
        return {"style": style, "explode": False}
    return {"style": "form", "explode": False} if explode is False else {}


def _types(face: Object) -> list[str]:
    named = face.get("type")
    return [named] if isinstance(named, str) else [each for each in named or () if isinstance(each, str)]


def _both(route: Object, declared: Any) -> Any:
    """What a converter lets through and a schema says, together."""
    if not isinstance(declared, dict) or route.get("type") != declared.get("type"):
        return declared
    more = {word: value for word, value in route.items() if word not in declared}
    if any(declared.get(word, value) != value for word, value in route.items()):
        return {"allOf": [route, declared]}
    return {**declared, **more}
