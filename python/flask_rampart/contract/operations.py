"""The operations of an OpenAPI document: what each takes, answers and demands, as it is written.

1. Path and operation are objects with known members: a misspelt ``requestbody`` would be no rule at all.
2. An operation has its path's parameters and its own, which win by name and place (3.0.3, "Path Item Object").
3. A template's names and its path parameters are the same, and these are required.
4. ``security`` and ``servers`` are those nearest to the operation.
5. In 3.0 a body of GET, HEAD or DELETE is ignored, as it says there ("requestBody SHALL be ignored").

Not read, and so not checked: ``info``, ``tags``, ``callbacks``, ``links``, ``webhooks``, ``examples``, headers of
answers, and the parts of ``components`` that nothing refers to.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from ..readers import nearest
from .document import Document, Node

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
_PLACES = ("query", "header", "path", "cookie")
_IGNORED_HEADERS = ("accept", "content-type", "authorization")
_NAME = re.compile(r"\{([^{}]*)\}")
_STATUS = re.compile(r"[1-5](?:[0-9]{2}|XX)")


@dataclass(frozen=True)
class Parameter:
    """A parameter: ``node`` is its object, ``schema`` what it has, or ``content`` its one media type."""

    name: str
    place: str
    required: bool
    node: Node
    schema: Node | None
    content: tuple[str, Node] | None
    style: str
    explode: bool
    allows_empty: bool


@dataclass(frozen=True)
class Operation:
    """One method of one path."""

    method: str
    path: str
    node: Node
    operation_id: str | None
    endpoint: str | None
    """What ``x-rampart-endpoint`` says."""
    bases: tuple[str, ...]
    """The paths of its servers."""
    parameters: tuple[Parameter, ...]
    body: Node | None
    body_required: bool
    media: tuple[tuple[str, Node], ...]
    """What its body may be: media types in small letters, without parameters."""
    responses: tuple[tuple[str, Node], ...]
    security: bool | None
    """Whether it needs a credential; None if one may be there."""
    query_keys: frozenset[str]
    """Names in the query that are credentials."""

    @property
    def label(self) -> str:
        """How it is named: ``POST /pets``."""
        return f"{self.method} {self.path}"


def operations(document: Document, note: Noted) -> list[Operation]:
    """:raises ConfigError: with a pointer, for what cannot be read."""
    root = document.root
    paths = root.get("paths")
    if paths is None:
        raise root.error('it has no "paths", so it would bind nothing.')
    found: list[Operation] = []
    shapes: dict[str, Node] = {}
    ids: dict[str, Node] = {}
    for path, item in paths.members():
        if not path.startswith("/"):
            raise item.error("a path begins with a slash.")
        shape = _NAME.sub("{}", path)
        if shape in shapes:
            raise item.error(f"{shapes[shape].where} is the same path with other names.")
        shapes[shape] = item
        for one in _of_path(document, path, item, note):
            if one.operation_id is not None:
                if one.operation_id in ids:
                    raise one.node.error(f"operationId {one.operation_id!r} is that of {ids[one.operation_id].where}.")
                ids[one.operation_id] = one.node
            found.append(one)
    if not found:
        raise paths.error("there is no operation, so it would bind nothing.")
    return found


class Noted:
    """Takes notes of what is not checked: each sentence once."""

    def __init__(self) -> None:
        self.all: dict[str, None] = {}

    def __call__(self, node: Node, message: str) -> None:
        self.all[f"{node.where}: {message}"] = None


def _of_path(document: Document, path: str, item: Node, note: Noted) -> Iterator[Operation]:
    if isinstance(item.value, dict) and "$ref" in item.value:
        if len([key for key in item.value if key not in ("summary", "description")]) > 1:
            raise item.error("what stands beside the $ref of a path has no defined meaning: put all in one place.")
        item = item.followed()
    item.fields("$ref", "summary", "description", *METHODS, "servers", "parameters")
    common = _parameters(item)
    for method in METHODS:
        node = item.get(method)
        if node is None:
            continue
        node.fields(
            "tags", "summary", "description", "externalDocs", "operationId", "parameters", "requestBody", "responses",
            "callbacks", "deprecated", "security", "servers",
        )  # fmt: skip
        parameters = tuple({**common, **_parameters(node)}.values())
        _same_names(path, parameters, node)
        body = node.get("requestBody")
        if body is not None and document.version == (3, 0) and method in ("get", "head", "delete"):
            note(body, f"a body of {method.upper()} is ignored (OpenAPI 3.0)")
            body = None
        media: tuple[tuple[str, Node], ...] = ()
        if body is not None:
            body = body.followed()
            body.fields("description", "content", "required")
            media = _media(body)
        security, keys = _security(document, node)
        servers = next((one.get("servers") for one in (node, item, document.root) if one.get("servers")), None)
        yield Operation(
            method=method.upper(),
            path=path,
            node=node,
            operation_id=node.text("operationId"),
            endpoint=node.text("x-rampart-endpoint"),
            bases=_bases(servers),
            parameters=parameters,
            body=body,
            body_required=bool(body is not None and body.flag("required")),
            media=media,
            responses=_responses(document, node),
            security=security,
            query_keys=keys,
        )


def _parameters(holder: Node) -> dict[tuple[str, str], Parameter]:
    found: dict[tuple[str, str], Parameter] = {}
    listed = holder.get("parameters")
    for item in listed.items() if listed is not None else ():
        one = _parameter(item.followed())
        key = (one.place, one.name.lower() if one.place == "header" else one.name)
        if key in found:
            raise item.error(f"there are two parameters {one.name!r} in {one.place}.")
        found[key] = one
    # OpenAPI: "the parameter definition SHALL be ignored". They have words of their own.
    return {key: one for key, one in found.items() if not (key[0] == "header" and key[1] in _IGNORED_HEADERS)}


def _parameter(node: Node) -> Parameter:
    node.fields(
        "name", "in", "description", "required", "deprecated", "allowEmptyValue", "style", "explode", "allowReserved",
        "schema", "example", "examples", "content",
    )  # fmt: skip
    name, place = node.text("name"), node.text("in")
    if not name:
        raise node.error("a parameter has a name.")
    if place not in _PLACES:
        raise node.error(f'"in" is one of {", ".join(_PLACES)}, not {place!r}.{nearest(str(place), _PLACES)}')
    required = bool(node.flag("required"))
    if place == "path" and not required:
        raise node.error("a parameter of the path is required: true.")
    schema, content = node.get("schema"), node.get("content")
    if (schema is None) == (content is None):
        raise node.error('a parameter has either "schema" or "content".')
    only: tuple[str, Node] | None = None
    if content is not None:
        kinds = content.entries()
        if len(kinds) != 1:
            raise content.error("the content of a parameter is of one media type.")
        only = (_essence(kinds[0][0]), _media_type(kinds[0][1]))
    style = node.text("style") or ("form" if place in ("query", "cookie") else "simple")
    allows_empty = bool(node.flag("allowEmptyValue"))
    if allows_empty and place != "query":
        raise node.at("allowEmptyValue").error("this is for parameters in the query.")
    explode = node.flag("explode", None)
    node.flag("allowReserved")
    return Parameter(
        name=name,
        place=place,
        required=required,
        node=node,
        schema=schema,
        content=only,
        style=style,
        explode=style == "form" if explode is None else explode,
        allows_empty=allows_empty,
    )


def _same_names(path: str, parameters: tuple[Parameter, ...], node: Node) -> None:
    names = _NAME.findall(path)
    if len(set(names)) < len(names):
        raise node.error(f"{path} has a name twice.")
    declared = [one.name for one in parameters if one.place == "path"]
    for name in names:
        if name not in declared:
            raise node.error(f'{path} has {{{name}}}, and no parameter with "in: path" declares it.')
    for name in declared:
        if name not in names:
            raise node.error(f"the parameter {name!r} is not in {path}.{nearest(name, names)}")


def _media(holder: Node) -> tuple[tuple[str, Node], ...]:
    content = holder.get("content")
    if content is None:
        raise holder.error('a body has "content".')
    found: dict[str, Node] = {}
    for key, node in content.entries():
        essence = _essence(key)
        if key.startswith("x-") and "/" not in key:
            continue
        if "/" not in essence:
            raise node.error(f"{key!r} is no media type.")
        if essence in found:
            raise node.error(f"{essence} stands there twice: parameters of media types tell nothing apart here.")
        found[essence] = _media_type(node)
    if not found:
        raise content.error("there is no media type, so nothing could be sent.")
    return tuple(found.items())


def _media_type(node: Node) -> Node:
    node.fields("schema", "example", "examples", "encoding")
    return node


def _essence(key: str) -> str:
    return key.partition(";")[0].strip().lower()


def _responses(document: Document, node: Node) -> tuple[tuple[str, Node], ...]:
    responses = node.get("responses")
    if responses is None:
        if document.version == (3, 0):
            raise node.error('an operation has "responses".')
        return ()
    found: list[tuple[str, Node]] = []
    for status, response in responses.members():
        if status != "default" and not _STATUS.fullmatch(status):
            raise response.error(f'{status!r} is no status: write "200", "2XX" or "default".')
        response = response.followed()
        response.fields("description", "headers", "content", "links")
        found.append((status, response))
    return tuple(found)


def _security(document: Document, node: Node) -> tuple[bool | None, frozenset[str]]:
    wanted = node.get("security") or document.root.get("security")
    if wanted is None:
        return False, frozenset()
    components = document.root.get("components")
    schemes = components.get("securitySchemes") if components is not None else None
    known = dict(schemes.entries()) if schemes is not None else {}
    keys: set[str] = set()
    ways = wanted.items()
    for way in ways:
        for name, scopes in way.entries():
            if name not in known:
                raise way.error(f"the security scheme {name!r} is not in components.{nearest(name, list(known))}")
            scopes.items()
            scheme = known[name].followed()
            scheme.members()
            if scheme.text("type") == "apiKey" and scheme.text("in") == "query":
                keys.add(scheme.text("name") or "")
    if not ways:
        return False, frozenset()
    return (None if any(not way.entries() for way in ways) else True), frozenset(keys - {""})


def _bases(servers: Node | None) -> tuple[str, ...]:
    found: dict[str, None] = {}
    for server in servers.items() if servers is not None else ():
        server.fields("url", "description", "variables", "name")
        url = server.text("url")
        if url is None:
            raise server.error('a server has a "url".')
        variables = server.get("variables")
        values: dict[str, str] = {}
        for name, variable in variables.entries() if variables is not None else ():
            variable.fields("enum", "default", "description")
            default = variable.text("default")
            if default is None:
                raise variable.error('a variable of a server has a "default".')
            values[name] = default
        for name in _NAME.findall(url):
            if name not in values:
                raise server.error(f"the variable {{{name}}} of the server's url is not declared.")
            url = url.replace(f"{{{name}}}", values[name])
        try:
            path = urlsplit(url).path
        except ValueError:
            raise server.error("its url is none.") from None
        path = unquote(path).rstrip("/")
        found[path if path.startswith("/") or not path else f"/{path}"] = None
    return tuple(found) or ("",)
