"""What ``validate`` has to check for an operation: its parameters and bodies as the schemas of parts.

1. A parameter's ``style`` and ``explode`` become the ``x-style`` and ``x-explode`` that the parts read. What they do
   not read is refused at start-up: ``label`` and ``matrix``, objects but as ``deepObject``, cookies' lists one by one.
2. A parameter or a form's member that is JSON (``content: application/json``, an object in ``multipart/form-data``) is
   read as text and then judged as JSON: :class:`JsonMember`.
3. A body is chosen by its media type, the most specific key first. JSON and forms are judged. Another type whose
   schema demands nothing passes as it is; one whose schema demands something cannot be checked and is refused with 415.
4. An operation without parameters in the query takes none, unless ``unknown`` says so.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from .dialect import Dialect, Schema, faces, types_of
from .document import Node
from .files import FileMember, kinds_of
from .operations import Noted, Operation, Parameter

Unknown = Literal["reject", "ignore", "strip"]
PARTS = {"query": "query", "path": "path", "header": "headers", "cookie": "cookies"}
FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")


@dataclass(frozen=True)
class JsonMember:
    """A text of a part that is JSON itself, and its schema."""

    part: str
    name: str
    schema: Schema


@dataclass
class Wanted:
    """What is checked of a request."""

    given: dict[str, Any] = field(default_factory=dict)
    """By part, as ``validate`` takes it."""
    json: list[JsonMember] = field(default_factory=list)
    files: list[FileMember] = field(default_factory=list)


def is_json(media_type: str) -> bool:
    """As Flask's ``request.is_json`` says it."""
    return media_type == "application/json" or (media_type.startswith("application/") and media_type.endswith("+json"))


def parameters(operation: Operation, dialect: Dialect, unknown: Unknown, names: dict[str, str]) -> Wanted:
    """The parts that are parameters.

    :param names: what the route calls a name of the path.
    :raises ConfigError: for what the parts do not read.
    """
    wanted = Wanted()
    for place, part in PARTS.items():
        members: dict[str, tuple[Node, Schema]] = {}
        fixed: dict[str, Schema] = {}
        required: list[str] = []
        for one in operation.parameters:
            if one.place != place:
                continue
            name = names.get(one.name, one.name) if place == "path" else one.name
            if one.content is not None:
                wanted.json.append(JsonMember(part, name, _of_content(one, dialect)))
                fixed[name] = _JSON_TEXT
            elif one.schema is not None:
                members[name] = (one.schema, _written(one, one.schema))
            if one.required:
                required.append(name)
        if place == "query":
            for key in sorted(operation.query_keys - members.keys() - fixed.keys()):
                fixed[key] = {"type": "string"}
        if members or fixed:
            wanted.given[part] = dialect.part(members, fixed, required)
        elif part == "query" and unknown == "reject":
            wanted.given[part] = NOTHING
        elif part == "query" and unknown == "ignore":
            wanted.given[part] = {"type": "object", "additionalProperties": True}
    return wanted


def bodies(
    operation: Operation, dialect: Dialect, note: Noted, unknown: Unknown = "reject"
) -> dict[str, Wanted | None]:
    """What is checked of a body, by media type; None for one that passes as it is.

    :raises ConfigError: if none of its media types can be checked.
    """
    found: dict[str, Wanted | None] = {}
    for media_type, node in operation.media:
        schema = node.get("schema")
        if media_type in FORMS and schema is not None:
            found[media_type] = _form(media_type, node, schema, dialect, unknown, note)
        elif is_json(media_type):
            # Also where its shape is free it is JSON, within its bounds.
            found[media_type] = Wanted({"body": {} if schema is None else dialect.schema(schema)})
        elif schema is None or _demands_nothing(media_type, schema):
            found[media_type] = None
        elif media_type in _RANGES:
            found[media_type] = Wanted({"body": dialect.schema(schema)})
        else:
            note(node, f"{media_type} cannot be checked and is refused with 415")
    if operation.media and not found:
        raise operation.node.at("requestBody").error(
            "none of its media types can be checked, so every body would be refused. Leave out the schema, and the "
            'body passes as it is; or add the view\'s endpoint to contract(exclude=...) and "x-" before the path.'
        )
    return found


def responses(operation: Operation, dialect: Dialect, note: Noted) -> dict[int | str, Schema]:
    """The schemas of answers: ``{200: ..., "2XX": ..., "default": {}}``; an empty one where nothing is promised that
    can be judged: without content, or not as JSON alone."""
    found: dict[int | str, Schema] = {}
    for status, node in operation.responses:
        key = int(status) if status.isdigit() else status
        content = node.get("content")
        kinds = content.entries() if content is not None else []
        schemas = [inner.get("schema") for _, inner in kinds]
        found[key] = {}
        if not kinds or all(schema is None for schema in schemas):
            continue
        if not all(is_json(kind.partition(";")[0].strip().lower()) for kind, _ in kinds):
            note(node, "its content may be something else than JSON, and is not checked")
            continue
        made = [{} if schema is None else dialect.schema(schema) for schema in schemas]
        found[key] = made[0] if len(made) == 1 else _any_of(made)
        if len(made) > 1:
            note(node, "which schema belongs to which media type is not checked: one of them must hold")
    return found


def _any_of(schemas: list[Schema]) -> Schema:
    # The same name is the same place in the document.
    definitions = {name: one for schema in schemas for name, one in schema.get("$defs", {}).items()}
    branches = [{word: value for word, value in schema.items() if word != "$defs"} for schema in schemas]
    return {"anyOf": branches, **({"$defs": definitions} if definitions else {})}


def _of_content(one: Parameter, dialect: Dialect) -> Schema:
    media_type, node = one.content or ("", one.node)
    if not is_json(media_type):
        raise node.error(f"a parameter that is {media_type} is not read; application/json is.")
    schema = node.get("schema")
    return {} if schema is None else dialect.schema(schema)


def _written(one: Parameter, schema: Node) -> Schema:
    """How texts of a parameter are written, where it is not as the parts read them anyway."""
    types = types_of(schema)
    allowed = _STYLES[one.place]
    at = one.node.get("style") or one.node
    if one.style not in allowed:
        raise at.error(f"the style {one.style!r} is not read in {one.place}; {' and '.join(allowed)} are.")
    more: Schema = {}
    if "object" in types and "array" not in types:
        if one.style != "deepObject":
            cure = 'write "style: deepObject"' if one.place == "query" else 'give it "content: application/json"'
            raise at.error(f"an object with the style {one.style!r} is not read in {one.place}; {cure}.")
    elif "array" in types:
        if one.style == "deepObject":
            raise at.error("deepObject is of objects, and this may be a list.")
        if one.place == "cookie" and one.explode:
            raise at.error('a list in cookies is read with "explode: false".')
        if one.style in ("spaceDelimited", "pipeDelimited"):
            if one.explode:
                raise at.error(f"{one.style} is read with explode: false.")
            more["x-style"] = one.style
        elif one.place == "query" and not one.explode:
            more["x-explode"] = False
    elif one.style in ("deepObject", "spaceDelimited", "pipeDelimited"):
        raise at.error(f"{one.style} is of lists or objects, and the schema names no such type.")
    if one.allows_empty:
        if types & {"array", "object"}:
            raise one.node.at("allowEmptyValue").error("this is read of what is neither list nor object.")
        more["x-empty"] = True
    return more


def _form(media_type: str, node: Node, schema: Node, dialect: Dialect, unknown: Unknown, note: Noted) -> Wanted:
    is_multipart = media_type == "multipart/form-data"
    wanted = Wanted()
    replaced: dict[str, Schema | None] = {}
    styles: dict[str, Schema] = {}
    encoding = node.get("encoding")
    encodings = dict(encoding.entries()) if encoding is not None else {}
    members, required = _members(schema)
    for name, member in members.items():
        one = encodings.pop(name, None)
        content: str | None = None
        if one is not None:
            one.fields("contentType", "headers", "style", "explode", "allowReserved")
            content = one.text("contentType")
            if one.get("headers") is not None:
                note(one, "headers of a part are not checked")
        types = types_of(member)
        if is_multipart and _is_file(member, content):
            kinds = kinds_of(member, content)
            many = member.followed().value.get("type") == "array"
            wanted.files.append(FileMember(name, name in required, many, kinds, member))
            replaced[name] = None  # a text instead of it is refused where files are judged
        elif (content is not None and is_json(content.strip().lower())) or (is_multipart and types == {"object"}):
            wanted.json.append(JsonMember("form", name, dialect.schema(member)))
            replaced[name] = _JSON_TEXT
        elif "object" in types and (one is None or one.text("style") != "deepObject"):
            raise (one or member).error(
                f"{name!r} is an object, which is read in a form as deepObject (encoding: {{{name}: {{style: "
                "deepObject}}) or as JSON (contentType: application/json)."
            )
        elif one is not None and "array" in types:
            style, explode = one.text("style"), one.flag("explode", None)
            if style in ("spaceDelimited", "pipeDelimited"):
                styles[name] = {"x-style": style}
            elif style not in (None, "form"):
                raise one.at("style").error(f"{style!r} is not read of a list in a form.")
            elif explode is False:
                styles[name] = {"x-explode": False}
    for name, one in encodings.items():
        raise one.error(f"the schema has no member {name!r}, so this is about nothing.")
    files = frozenset(one.name for one in wanted.files)
    if files:
        _always(schema, files, note)
    made = dialect.schema(schema, replaced, files) if replaced else dialect.schema(schema)
    if styles:
        definitions = {"$defs": made.pop("$defs")} if "$defs" in made else {}
        made = {"type": "object", "allOf": [made], "properties": styles, **definitions}
    if files and not members.keys() - files:
        # No name is left that is text. Where others may come, they are not looked at, or left out.
        others = made.get("additionalProperties", False)
        definitions = {word: made[word] for word in ("$defs",) if word in made}
        made = {"type": "object", "additionalProperties": others, **definitions} if others is not False else NOTHING
        if unknown == "ignore":
            made = {"type": "object", "additionalProperties": True}
        elif unknown == "strip":
            return wanted
    wanted.given["form"] = made
    return wanted


def _members(schema: Node) -> tuple[dict[str, Node], set[str]]:
    """What a form may hold, and which of it always must be there."""
    found: dict[str, Node] = {}
    required: set[str] = set()
    for face in faces(schema):
        listed = face.value.get("properties")
        if isinstance(listed, dict):
            found.update({name: face.at("properties").at(name) for name in listed if name not in found})
    for face in faces(schema, alternatives=False):
        required.update(_required(face))
    if not found:
        raise schema.error("the schema of a form is an object with properties: its fields.")
    return found, required


def _required(face: Node) -> list[str]:
    listed = face.value.get("required")
    return [name for name in listed if isinstance(name, str)] if isinstance(listed, list) else []


def _always(schema: Node, files: frozenset[str], note: Noted) -> None:
    """Files are there, or not, whatever else is: the schema of a form does not see them.

    :raises ConfigError: if it says that they depend on something.
    """
    certain = faces(schema, alternatives=False)
    for face in certain:
        for word in _CONDITIONS:
            if word in face.value:
                raise face.at(word).error(f"{word!r} is not read in a form with files.")
        for word in ("minProperties", "maxProperties"):
            if word in face.value:
                note(face.at(word), "files are not counted")
    places = {face.place for face in certain}
    for face in faces(schema):
        listed = face.value.get("properties")
        named = {*_required(face), *(listed if isinstance(listed, dict) else ())}
        if face.place not in places and (both := sorted(named & files)):
            raise face.error(f"{both[0]!r} is a file, which is not read in alternatives: say of it what always holds.")


def _is_file(member: Node, content: str | None) -> bool:
    """Whether a member of ``multipart/form-data`` is a file: bytes, or a list of them."""
    node = member.followed()
    if isinstance(node.value, dict) and node.value.get("type") == "array" and "items" in node.value:
        node = node.at("items").followed()
    if not isinstance(node.value, dict):
        return False
    is_bytes = node.value.get("format") == "binary" or (
        # OpenAPI 3.1 section 4.8.14.2: bytes as they are have a contentMediaType and no contentEncoding.
        "contentMediaType" in node.value and "contentEncoding" not in node.value
    )
    is_free = not node.value.keys() - {"description", "title"} and content is not None and not is_json(content)
    return is_bytes or is_free


def _demands_nothing(media_type: str, schema: Node) -> bool:
    node = schema.followed()
    if node.value is True:
        return True
    if not isinstance(node.value, dict):
        return False
    demands = node.value.keys() - _DESCRIBES
    if not demands:
        return True
    # Whatever it is that was sent, it is a text, or bytes.
    is_text = node.value.get("type") == "string" and node.value.get("format", "binary") == "binary"
    return is_text and not is_json(media_type) and media_type not in _RANGES and demands <= {"type", "format"}


NOTHING: Schema = {
    "type": "object",
    # A name that no text is: the schema speaks for itself of all others.
    "patternProperties": {"[^\\s\\S]": True},
    "additionalProperties": False,
}
"""Of a part in which no name is known."""
_JSON_TEXT: Schema = {"type": "string", "contentMediaType": "application/json"}
_CONDITIONS = ("not", "if", "then", "else", "dependentRequired", "dependentSchemas")
_DESCRIBES = {"title", "description", "example", "examples", "contentMediaType", "contentEncoding", "externalDocs"}
_RANGES = ("application/*", "*/*")
_STYLES = {
    "query": ("form", "spaceDelimited", "pipeDelimited", "deepObject"),
    "path": ("simple",),
    "header": ("simple",),
    "cookie": ("form",),
}
