"""The document: an app as OpenAPI 3.1 tells it."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from werkzeug.routing import Rule

from ..errors import ConfigError
from ..guards import AppState
from ..limits import quotas_of
from .describing import must_be_json
from .keywords import Object
from .operations import Operations
from .paths import methods_of, names_in, shape_of, template_of
from .schemas import Schemas

VERSION = "3.1.1"
Include = Callable[[Rule, str], bool]
_STATIC = "static"
#: What views of Rampart's own answer.
_KNOWN: Mapping[str, Object] = {
    "rampart_jwks": {
        "200": {
            "description": "The keys that sign this application's tokens (RFC 7517).",
            "content": {
                "application/jwk-set+json": {
                    "schema": {
                        "type": "object",
                        "required": ["keys"],
                        "properties": {"keys": {"type": "array", "items": {"type": "object"}}},
                    }
                }
            },
        },
        "304": {"description": "Not Modified"},
    },
    "rampart_resource_metadata": {
        "200": {
            "description": "Which tokens this API takes, and whose (RFC 9728).",
            "content": {"application/json": {"schema": {"type": "object", "required": ["resource"]}}},
        }
    },
}


@dataclass(frozen=True)
class Told:
    """What the document says that no route does.

    :param title: the API's name; the app's, if not given.
    :param version: of the API, not of OpenAPI.
    :param description: for people, in CommonMark.
    :param servers: addresses, or Server Objects (OpenAPI 3.1 section 4.8.5). Not given: ``RAMPART_RESOURCE``, else
        where the document is.
    :param include: whether a route's operation is told of, ``(rule, method) -> bool``; all, if not given.
    :param more: further members of the Info Object, such as ``{"contact": {"email": ...}}``.
    :raises ConfigError: for what cannot be said.
    """

    title: str | None = None
    version: str = "0"
    description: str | None = None
    servers: Sequence[str | Mapping[str, Any]] | None = None
    include: Include | None = None
    more: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        for name in ("title", "version", "description"):
            value = getattr(self, name)
            if value is not None and (not isinstance(value, str) or not value.strip()):
                raise ConfigError(f"openapi({name}=...) is a text that is not empty, not {value!r}.")
        if isinstance(self.servers, (str, Mapping)):
            raise ConfigError(
                f"openapi(servers=...) is a list, such as ['https://api.example.com'], not {self.servers!r}."
            )
        for server in self.servers or ():
            if not (isinstance(server, str) or (isinstance(server, Mapping) and isinstance(server.get("url"), str))):
                raise ConfigError(f"openapi(servers=...): {server!r} is neither an address nor a dict with 'url'.")
        must_be_json("openapi(servers=..., info=...)", [self.servers, self.more])
        if self.include is not None and not callable(self.include):
            raise ConfigError("openapi(include=...) is a function (rule, method) -> bool.")


def build(state: AppState, told: Told, hidden: frozenset[str] = frozenset()) -> Object:
    """The document of one app.

    :param hidden: endpoints that are not told of.
    :raises ConfigError: for a schema in a file that cannot be read.
    """
    schemas = Schemas()
    operations = Operations(state, schemas, _KNOWN)
    paths = _paths(state, told, operations, hidden)
    info: Object = {"title": told.title or state.app.name, "version": told.version}
    if told.description is not None:
        info["description"] = told.description
    info.update(told.more or {})
    components = {
        "schemas": schemas.components,
        "responses": operations.answers.responses,
        "headers": operations.answers.headers,
        "securitySchemes": operations.security.components,
    }
    document: Object = {"openapi": VERSION, "info": info}
    servers = _servers(state, told)
    if servers:
        document["servers"] = servers
    document["paths"] = paths
    document["components"] = {name: of for name, of in components.items() if of}
    if operations.tags:
        document["tags"] = [{"name": tag} for tag in sorted(operations.tags)]
    if state.settings.limits is not None:
        document["x-rampart-limits"] = [
            {"quota": quota.text, "by": "address"} for quota in quotas_of(state.settings.limits)
        ]
    # Nothing in it is anybody else's: what an app has given stays as it was.
    return copy.deepcopy(document)


def written(document: Object) -> bytes:
    """The document as it is served: the same bytes for the same app."""
    text = json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    # Half of a surrogate pair, from a docstring say, is an escape in JSON too.
    return text.encode("utf-8", "backslashreplace")


def _paths(state: AppState, told: Told, operations: Operations, hidden: frozenset[str]) -> Object:
    app = state.app
    by_shape: dict[str, str] = {}
    found: dict[str, Object] = {}
    for rule in app.url_map.iter_rules():
        endpoint = rule.endpoint
        if rule.build_only or rule.websocket or endpoint not in app.view_functions or endpoint in hidden:
            continue
        if endpoint == _STATIC or endpoint.endswith(f".{_STATIC}"):
            continue
        own = template_of(rule)
        path = by_shape.get(shape_of(own), own)
        names = dict(zip(names_in(own), names_in(path), strict=True))
        for method in methods_of(rule):
            if told.include is not None and not told.include(rule, method):
                continue
            if not operations.tells(rule, method):
                continue
            if method.lower() in found.get(path, {}):
                # Nothing that OpenAPI has tells the two apart.
                also = found[path][method.lower()].setdefault("x-rampart-also", [])
                also += [own] if own != path else []
                continue
            by_shape.setdefault(shape_of(own), path)
            found.setdefault(path, {})[method.lower()] = operations.make(rule, method, names, path)
    return {path: found[path] for path in sorted(found)}


def _servers(state: AppState, told: Told) -> list[Object]:
    if told.servers is None:
        return [{"url": state.settings.resource}] if state.settings.resource is not None else []
    return [{"url": server} if isinstance(server, str) else dict(server) for server in told.servers]
