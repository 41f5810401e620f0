"""Files of a form: what an operation says of them, as the ``Upload`` that ``validate(files=...)`` takes.

1. A member of ``multipart/form-data`` that is bytes is a file; a list of bytes is several of one name.
2. Its types are those of ``encoding.contentType``, or of its own ``contentMediaType`` (OpenAPI 3.1 section 4.8.14.2),
   told by what is in a file and never by what its sender calls it. ``image/*`` is every type of pictures that is told
   apart. Where a type is named that is not, or none is, the file may be anything (:class:`AnyFile`), which is noted.
3. ``maxLength`` bounds its bytes, ``maxItems`` and ``minItems`` how many there are. What else is said of bytes is noted
   as not checked.

A pickle is never taken, and a bomb or a picture without end neither, whatever the document says: see ``uploads``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import IO, Any, NamedTuple

from .._native import FileJudge, file_types
from ..errors import ConfigError
from ..uploads import FormBounds, Upload
from .document import Node
from .operations import Noted


class FileMember(NamedTuple):
    """A file of a form."""

    name: str
    required: bool
    many: bool
    media_types: tuple[str, ...]
    """Which kinds it may be of; any, if empty."""
    node: Node

    @property
    def least(self) -> int:
        """How many there are at least, where there is one."""
        return _count(self.node.followed(), "minItems") or 0 if self.many else 0


@dataclass(frozen=True)
class AnyFile(Upload):
    """A file of any type, also of one that is not told apart: that is ``application/octet-stream``."""

    types: tuple[str, ...] = tuple(file_types())

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "judge", _AnyJudge(self.judge))


class _AnyJudge:
    def __init__(self, judge: FileJudge) -> None:
        self._judge = judge

    def judge(self, stream: IO[bytes], size: int) -> tuple[str, str, tuple[str, str] | None]:
        kind, extension, refused = self._judge.judge(stream, size)
        # No other reason passes: not a pickle, nor a file that is two things.
        if refused == _OTHERS:
            return "application/octet-stream", "", None
        return kind, extension, refused


def kinds_of(member: Node, content: str | None) -> tuple[str, ...]:
    """The media types that a file may be of, without their parameters.

    :param content: what ``encoding.contentType`` says.
    """
    if content is None:
        node = member.followed()
        if node.value.get("type") == "array":
            node = node.at("items").followed()
        content = node.text("contentMediaType")
    return tuple(kind.partition(";")[0].strip().lower() for kind in content.split(",")) if content else ()


def upload_of(file: FileMember, bounds: FormBounds, note: Noted) -> Upload:
    """What ``validate`` asks of a file.

    :param bounds: of the app's forms: what a list is bounded by that the document does not bound.
    :raises ConfigError: with its place, for what can never hold.
    """
    node = file.node.followed()
    most = 1
    if file.many:
        said = _count(node, "maxItems")
        most = max(bounds.files, 2) if said is None else said
        if most < max(file.least, 1):
            raise node.error("maxItems lets no file through that minItems wants.")
        _not_checked(node, _OF_LISTS, note)
        node = node.at("items").followed()
    _not_checked(node, _OF_BYTES, note)
    size = _count(node, "maxLength")
    if size == 0:
        raise node.at("maxLength").error("a file without bytes is none.")
    given: dict[str, Any] = {"max_bytes": size, "max_count": most, "required": file.required}
    types = _types(file, note)
    try:
        return AnyFile(**given) if types is None else Upload(types=types, **given)
    except ConfigError as error:
        raise file.node.error(str(error)) from None


def _types(file: FileMember, note: Noted) -> tuple[str, ...] | None:
    """The types that a file may be of; None for any."""
    known = file_types()
    found: dict[str, None] = {}
    for kind in file.media_types:
        if "pickle" in kind:
            raise file.node.error(f"{kind}: a pickle runs what it says when it is loaded, and is never taken.")
        if kind in _ANY:
            return None
        alike = [one for one in known if one == kind or (kind.endswith("/*") and one.startswith(kind[:-1]))]
        if not alike:
            note(file.node, f"{kind} is not told apart by what is in a file, so this may be of any type")
            return None
        found.update(dict.fromkeys(alike))
    return tuple(found) or None


def _count(node: Node, word: str) -> int | None:
    value = node.value.get(word)
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 0):
        raise node.at(word).error(f"this is a whole number, not {value!r}.")
    return value


def _not_checked(node: Node, known: frozenset[str], note: Noted) -> None:
    for key, member in node.members():
        if key not in known:
            note(member, f"{key!r} is not checked of a file")


_OTHERS = ("type", "no type that is told apart")
_ANY = ("*/*", "application/octet-stream")
_DESCRIBES = frozenset(
    ("$comment", "default", "deprecated", "description", "example", "examples", "externalDocs", "title", "xml")
)
_OF_LISTS = _DESCRIBES | {"type", "items", "maxItems", "minItems"}
# `binary` is what makes it a file; of the encoding the type was read.
_OF_BYTES = _DESCRIBES | {"type", "format", "maxLength", "contentMediaType", "nullable"}
