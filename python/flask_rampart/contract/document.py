"""An OpenAPI document as a tree of places, in which references are followed.

1. It says that it is OpenAPI 3.0 or 3.1.
2. A reference is a JSON Pointer (RFC 6901) into the document, or into a file beside it: a relative path that does not
   leave the document's folder, also not through a link. Nothing is ever fetched (CWE-918), no other file is read
   (CWE-22).
3. References may go in circles where schemas do; a reference to itself says nothing and is refused.
4. What is wrong is told with its place, ``openapi.yaml#/paths/~1pets/get``.

Anchors (``#pet``) and ``$id`` are not followed.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote

from ..errors import ConfigError
from ..readers import nearest
from .loading import MOST_BYTES, checked, escaped, read_json, read_yaml

_MOST_FILES = 100
_MOST_HOPS = 32


class Document:
    """A document and the files beside it that it refers to.

    :param given: the document, or the path of its file.
    :param folder: what a relative path starts from.
    :raises ConfigError: if it cannot be read.
    """

    def __init__(self, given: Mapping[str, Any] | str | Path, folder: str | Path) -> None:
        self._folder: Path | None = None
        self._files: dict[str, Any] = {}
        if isinstance(given, Mapping):
            self.name = "the document"
            self._files[self.name] = checked(self.name, given)
        else:
            path = Path(folder) / given
            self.name = path.name
            self._folder = path.parent.resolve()
            self._files[self.name] = _read(path, self.name)
        self.root = Node(self, self.name, (), self._files[self.name])
        self.version = _version(self.root)

    def follow(self, node: Node, reference: object) -> Node:
        """What a ``$ref`` that stands in *node* refers to, which may be a reference too.

        :raises ConfigError: if it is nowhere, or elsewhere.
        """
        if not isinstance(reference, str):
            raise node.error("$ref is a text.")
        file, _, fragment = reference.partition("#")
        name = self._file(node, unquote(file)) if file else node.file
        pointer = unquote(fragment)
        if pointer and not pointer.startswith("/"):
            raise node.error(
                f"$ref {reference!r}: anchors are not followed: write a pointer, #/components/schemas/Pet."
            )
        if not pointer and name == self.name:
            raise node.error(f"$ref {reference!r} refers to the whole document, which is no part of itself.")
        found = Node(self, name, (), self._files[name])
        for part in pointer.split("/")[1:]:
            found = _step(found, part.replace("~1", "/").replace("~0", "~"), node, reference)
        return found

    def _file(self, node: Node, file: str) -> str:
        """The name of a file beside the document, once it is read."""
        if self._folder is None:
            raise node.error(f"$ref {file!r}: a document that is a dict has no files beside it.")
        if ":" in file or "\\" in file or "?" in file or file.startswith("/") or "\0" in file:
            raise node.error(
                f"$ref {file!r}: nothing is fetched, and nothing read that is not beside the document. Copy it there, "
                'and write its relative path, or put it under "components".'
            )
        path = ((self._folder / node.file).parent / file).resolve()
        if not path.is_relative_to(self._folder):
            raise node.error(f"$ref {file!r} leaves the folder of the document; what it refers to must be in there.")
        name = path.relative_to(self._folder).as_posix()
        if name not in self._files:
            if len(self._files) >= _MOST_FILES:
                raise node.error(f"$ref {file!r}: more than {_MOST_FILES} files are not read.")
            try:
                self._files[name] = _read(path, name)
            except ConfigError as error:
                raise node.error(f"$ref {file!r}: {error}") from None
        return name


class Node(NamedTuple):
    """A place in a document, and what is there."""

    document: Document
    file: str
    pointer: tuple[str, ...]
    value: Any

    @property
    def where(self) -> str:
        """How a sentence names it: ``openapi.yaml#/paths/~1pets/get``."""
        return f"{self.file}#{escaped(self.pointer)}"

    @property
    def place(self) -> tuple[str, tuple[str, ...]]:
        """What tells it from other places."""
        return self.file, self.pointer

    def error(self, message: str) -> ConfigError:
        """What is wrong here."""
        return ConfigError(f"{self.where}: {message}")

    def followed(self) -> Node:
        """Itself, or what it refers to in the end.

        :raises ConfigError: for a reference that leads nowhere.
        """
        node = self
        for _ in range(_MOST_HOPS):
            if not isinstance(node.value, dict) or "$ref" not in node.value:
                return node
            node = self.document.follow(node, node.value["$ref"])
        raise self.error("the $ref refers to itself, or through too many others.")

    def at(self, key: str) -> Node:
        """A member or item that is there."""
        value = self.value[int(key)] if isinstance(self.value, list) else self.value[key]
        return Node(self.document, self.file, (*self.pointer, key), value)

    def get(self, key: str) -> Node | None:
        """A member, or None if it is absent."""
        return self.at(key) if key in self.value else None

    def members(self) -> list[tuple[str, Node]]:
        """The members of an object of OpenAPI's own, but those that begin with ``x-``.

        :raises ConfigError: if it is none.
        """
        return [(key, member) for key, member in self.entries() if not key.startswith("x-")]

    def entries(self) -> list[tuple[str, Node]]:
        """All members of an object whose names the document's author chose: ``x-api-key`` may be one.

        :raises ConfigError: if it is none.
        """
        if not isinstance(self.value, dict):
            raise self.error("this is an object.")
        return [(key, self.at(key)) for key in self.value]

    def items(self) -> list[Node]:
        """:raises ConfigError: if it is no list."""
        if not isinstance(self.value, list):
            raise self.error("this is a list.")
        return [self.at(str(index)) for index in range(len(self.value))]

    def fields(self, *known: str) -> None:
        """:raises ConfigError: if it is no object, or has a member that is not known: misspelt, it would be no rule."""
        for key, member in self.members():
            if key not in known:
                raise member.error(f"{key!r} is not known here.{nearest(key, known)}")

    def text(self, key: str) -> str | None:
        """:raises ConfigError: if the member is there and no text."""
        value = self.value.get(key)
        if value is not None and not isinstance(value, str):
            raise self.at(key).error("this is a text.")
        return value

    def flag(self, key: str, default: bool | None = False) -> bool | None:
        """:raises ConfigError: if the member is there and neither true nor false."""
        value = self.value.get(key, default)
        if value is not default and not isinstance(value, bool):
            raise self.at(key).error(f"this is true or false, not {value!r}.")
        return value


def _step(found: Node, part: str, node: Node, reference: str) -> Node:
    value = found.value
    if isinstance(value, dict):
        if part in value:
            return found.at(part)
        hint = nearest(part, list(value))
    elif isinstance(value, list):
        if part.isascii() and part.isdigit() and len(part) < 9 and int(part) < len(value):
            return found.at(str(int(part)))
        hint = ""
    else:
        hint = ""
    raise node.error(f"$ref {reference!r} leads nowhere: there is no {part!r} in {found.where}.{hint}")


def _read(path: Path, name: str) -> Any:
    try:
        with path.open("rb") as file:
            text = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror or type(error).__name__}.") from None
    except ValueError as error:
        raise ConfigError(f"{str(path)!r} cannot be read: {error}.") from None
    return read_json(name, text) if path.suffix.lower() == ".json" else read_yaml(name, text)


def _version(root: Node) -> tuple[int, int]:
    root.fields(
        "openapi", "info", "jsonSchemaDialect", "servers", "paths", "webhooks", "components", "security", "tags",
        "externalDocs", "swagger",
    )  # fmt: skip
    said = root.value.get("openapi")
    for version in ((3, 0), (3, 1)):
        if isinstance(said, str) and said.startswith(f"3.{version[1]}."):
            return version
    if said is None:
        cure = "Swagger 2 is not read: convert the document." if "swagger" in root.value else 'Write "openapi: 3.1.0".'
        raise root.error(f"it does not say that it is OpenAPI 3.0 or 3.1. {cure}")
    raise root.at("openapi").error(f'{said!r} is not read: write "3.0.x" or "3.1.x", as a text.')
