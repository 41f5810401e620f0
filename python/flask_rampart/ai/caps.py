"""Steps that look at what a prompt or an answer is made of: how much, whose words, which parts, tools and shape; and a
check of the app's own.

1. Without ``parts()``, a prompt is text; without ``tools()``, neither a prompt names a tool nor an answer calls one.
2. Schemas are held against the whole: a text that has one is held back until its end, and so are a call's arguments.
3. A count of tokens is an estimate: only the model's own tokenizer knows.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple

from .. import _native
from .._native import JsonBounds, JsonRejected, Schema, SchemaRejected
from ..errors import ConfigError, Denied
from ..readers import nearest
from ..waiting import settle
from .filters import Stage
from .steps import Step
from .texts import made, refused
from .visiting import KEPT, Visitor, is_base64

if TYPE_CHECKING:
    from .calls import Call

_ROLES = ("developer", "system", "user", "assistant", "tool", "function")
_PARTS = (
    "text",
    "refusal",
    "image_url",
    "input_audio",
    "file",
    "input_text",
    "output_text",
    "input_image",
    "input_file",
)
IS_TEXT = frozenset(("text", "refusal", "input_text", "output_text"))


class Passage(NamedTuple):
    """One text of a prompt, as a check reads it."""

    role: str
    """Whose words it is: ``"user"``, ``"tool"``, ``"system"``, …; of what is beside the messages, ``"user"``."""
    text: str


class Reading(Visitor):
    """What a prompt is made of."""

    def __init__(self) -> None:
        self.roles: list[str] = []
        self.parts: list[tuple[str, Mapping[str, Any]]] = []
        self.tools: list[str] = []
        self.passages: list[Passage] = []
        #: Texts as they were sent, with ids and names: of one that is JSON, *passages* has the texts in it as well.
        self.texts: list[str] = []

    @property
    def chars(self) -> int:
        """How many characters (code points) its texts have in all, with ids and names of tools."""
        return sum(map(len, self.texts))

    def whole(self, text: str) -> None:
        self.texts.append(text)

    def message(self, role: str) -> None:
        self.roles.append(role)

    def part(self, kind: str, value: Mapping[str, Any]) -> None:
        self.parts.append((kind, value))

    def tool(self, name: str) -> None:
        self.tools.append(name)
        self.texts.append(name)

    def name(self, name: str, role: str) -> str:
        self.texts.append(name)
        return name

    def reference(self, given: str, role: str) -> str:
        self.texts.append(given)
        return given

    def text(self, text: str, role: str) -> str:
        self.passages.append(Passage(role, text))
        return text


def _most(step: str, given: object) -> int:
    if isinstance(given, bool) or not isinstance(given, int) or given < 1:
        raise ConfigError(f"ai.{step}({given!r}): a whole number of at least 1.")
    return given


class max_messages(Step):  # noqa: N801 - read as words in a list of steps
    """Refuses a prompt of more messages.

    >>> max_messages(50).most
    50
    """

    name: ClassVar[str] = "max_messages"
    on_input = True

    def __init__(self, most: int) -> None:
        self.most = _most(self.name, most)

    def incoming(self, call: Call, body: dict[str, Any]) -> dict[str, Any]:
        if len(call.read(body).roles) > self.most:
            raise Denied.of("ai.too_long", reason=self.name)
        return body


class max_chars(Step):  # noqa: N801
    """Refuses a prompt whose texts have more characters (code points) in all; cuts an answer there."""

    name: ClassVar[str] = "max_chars"
    on_input = on_output = True
    on_finding = "replace"

    def __init__(self, most: int) -> None:
        self.most = _most(self.name, most)
        self._plan = made(lambda: _native.CapFilter(max_characters=most), f"ai.{self.name}({most})")

    def incoming(self, call: Call, body: dict[str, Any]) -> dict[str, Any]:
        if call.read(body).chars > self.most:
            raise Denied.of("ai.too_long", reason=self.name)
        return body

    def stage(self, call: Call, channel: str) -> Stage:
        return Stage(self._plan.stream())


class max_tokens(max_chars):  # noqa: N801
    """Refuses a prompt of more tokens in all; cuts each text of an answer there, with ``finish_reason`` ``"length"``.

    The number is estimated (``ai.estimate_tokens``), without the model's tokenizer.
    """

    name: ClassVar[str] = "max_tokens"

    def __init__(self, most: int) -> None:
        self.most = _most(self.name, most)
        self._plan = made(lambda: _native.CapFilter(max_tokens=most), f"ai.{self.name}({most})")

    def incoming(self, call: Call, body: dict[str, Any]) -> dict[str, Any]:
        if sum(map(_native.estimate_tokens, call.read(body).texts)) > self.most:
            raise Denied.of("ai.too_long", reason=self.name)
        return body


def _names(step: str, given: Iterable[str] | str, known: Sequence[str] = ()) -> frozenset[str]:
    names = frozenset([given] if isinstance(given, str) else given)
    for name in names:
        if not isinstance(name, str) or not name or (known and name not in known):
            raise ConfigError(f"ai.{step}(allow=...): there is no {name!r}.{nearest(str(name), known)}")
    return names


class roles(Step):  # noqa: N801
    """Takes messages of these roles alone: ``allow=("user", "assistant")`` leaves the system prompt to the app."""

    name: ClassVar[str] = "roles"
    on_input = True

    def __init__(self, allow: Iterable[str]) -> None:
        self.allow = _names("roles", allow, _ROLES)
        if not self.allow:
            raise ConfigError("ai.roles(allow=()) would refuse every prompt.")

    def incoming(self, call: Call, body: dict[str, Any]) -> dict[str, Any]:
        if not self.allow.issuperset(call.read(body).roles):
            raise Denied.of("ai.role", reason="roles")
        return body


class parts(Step):  # noqa: N801
    """Takes parts of these kinds: ``"text"``, ``"image_url"``, ``"input_audio"``, ``"file"``, as the API names them.

    :param urls: where an image or file may be: ``"data"`` (in the request itself) or ``"https"`` (also at an address,
        which the model's server then calls).
    :param ids: whether a part may name what the model's server keeps (``file_id``, ``audio.id``). There, all your users
        are one: who knows or guesses an id has the file. True is for ids that ``ai.check`` or the view looks up.

    The data of a file or sound is base64, or a ``data:`` URL: some servers fetch what is an address there.

    Of what is no text, nobody looks at what is in it.
    """

    name: ClassVar[str] = "parts"
    on_input = True

    def __init__(self, allow: Iterable[str], *, urls: Literal["data", "https"] = "data", ids: bool = False) -> None:
        self.allow = _names("parts", allow, _PARTS) | IS_TEXT
        if urls not in ("data", "https"):
            raise ConfigError(f"ai.parts(urls={urls!r}): it is 'data' or 'https'.")
        self.urls = urls
        self.ids = ids

    def incoming(self, call: Call, body: dict[str, Any]) -> dict[str, Any]:
        for kind, value in call.read(body).parts:
            if (kind not in self.allow and kind != KEPT) or not self._is_here(kind, value):
                raise Denied.of("ai.part", reason="parts")
        return body

    def _is_here(self, kind: str, value: Mapping[str, Any]) -> bool:
        inner = value.get(kind)
        held = inner if isinstance(inner, Mapping) else value
        if not self.ids and (kind == KEPT or held.get("file_id") is not None):
            return False
        starts = ("data:",) if self.urls == "data" else ("data:", "https://")
        urls = [held.get("file_url"), held.get("url"), held.get("image_url")]
        data = [held.get("file_data"), held.get("data")]
        return all(isinstance(url, str) and url.lower().startswith(starts) for url in urls if url is not None) and all(
            isinstance(one, str) and (one[:5].lower() == "data:" or is_base64(one)) for one in data if one is not None
        )


#: What holds where no step says otherwise.
TEXT_ALONE = parts(())


class tools(Step):  # noqa: N801
    """Takes tools of these names alone: those that a prompt declares, and those that an answer calls.

    :param allow: their names; of one that the model's server runs itself, its type (``"web_search"``), and of an MCP
        server's, ``"mcp"`` and the name of each tool of it.
    :param arguments: JSON Schemas, by name, that the arguments of a call have. A tool without one may be called with
        any object.
    :param on_finding: ``"refuse"`` (a choice that calls another ends with ``content_filter``) or ``"report"``.

    Rules: ``tools.name`` and ``tools.arguments``. An answer's call is held back until it is complete, and the steps for
    texts look at each text in its arguments.
    """

    name: ClassVar[str] = "tools"
    on_input = on_output = True
    modes = ("refuse", "report")

    def __init__(
        self,
        allow: Iterable[str],
        *,
        arguments: Mapping[str, Mapping[str, Any]] | None = None,
        on_finding: Literal["refuse", "report"] | None = None,
    ) -> None:
        self.on_finding = self.mode(on_finding)
        self.allow = _names("tools", allow)
        self._schemas: dict[str, Schema] = {}
        for name, schema in (arguments or {}).items():
            if name not in self.allow:
                raise ConfigError(
                    f"ai.tools(arguments={{{name!r}: ...}}) is not in allow.{nearest(name, list(self.allow))}"
                )
            self._schemas[name] = _compiled(schema, f"ai.tools(arguments={{{name!r}: ...}})")

    def incoming(self, call: Call, body: dict[str, Any]) -> dict[str, Any]:
        for name in call.read(body).tools:
            if name not in self.allow:
                call.findings["tools.name"] += 1
                if self.on_finding == "refuse":
                    raise Denied.of("ai.tool", reason="tools.name")
        return body

    def name_wrong(self, name: str) -> str | None:
        return None if name in self.allow else "tools.name"

    def runs(self, name: str) -> bool:
        """Whether a tool of the model's server's own may be run: by its type, ``web_search`` also by those that a
        request names it by (``web_search_preview``, ``web_search_2025_08_26``). A function of the app's whose name
        begins so is another tool."""
        return name in self.allow or (name == "web_search" and any(map(_SEARCHES.fullmatch, self.allow)))

    def has_schema(self, name: str) -> bool:
        return name in self._schemas

    def arguments_wrong(self, name: str, arguments: str) -> str | None:
        """:param arguments: as they leave."""
        schema = self._schemas.get(name)
        return None if schema is None or _is_of(schema, arguments) else "tools.arguments"


#: What holds where no step says otherwise.
NO_TOOLS = tools(())


class schema(Step):  # noqa: N801
    """Holds an answer's text against a JSON Schema; it is held back until its end, streamed or not.

    :param schema: as in ``validate(body=...)``, a dict.
    :param on_finding: ``"refuse"`` (the choice ends with ``content_filter``) or ``"report"``.

    Rule: ``schema.invalid``. The steps for texts look at each text in it, unescaped. A choice that calls a tool
    instead, or refuses, has no text to judge.
    """

    name: ClassVar[str] = "schema"
    on_output = True
    modes = ("refuse", "report")

    def __init__(self, schema: Mapping[str, Any], *, on_finding: Literal["refuse", "report"] | None = None) -> None:
        self.on_finding = self.mode(on_finding)
        self._schema = _compiled(schema, "ai.schema(...)")

    def is_about(self, channel: str) -> bool:
        """Whether a text of an answer is to have the shape."""
        return channel.partition(":")[0] in ("content", "text", "output_text")

    def holds(self, text: str) -> bool:
        """Whether a text has the shape."""
        return _is_of(self._schema, text)


class check(Step):  # noqa: N801
    """Asks a function of the app's about each prompt: a classifier of injections, say.

    :param function: ``(passages) -> rule | bool | None``, sync or async: shown all texts of the prompt as
        :class:`Passage`. A text that it returns names a finding, True is ``"check"``; None, False or ``""`` is none.
    :param on_finding: ``"report"`` (the default: a mark, for whoever listens to ``ai.called``) or ``"refuse"``.

    What it raises refuses the request with 500: a check that failed has let nothing pass. No such function finds all
    injections; see ``docs/owasp-llm.md``.
    """

    name: ClassVar[str] = "check"
    on_input = True
    modes = ("report", "refuse")

    def __init__(
        self,
        function: Callable[[Sequence[Passage]], Any],
        *,
        on_finding: Literal["report", "refuse"] | None = None,
    ) -> None:
        if not callable(function):
            raise ConfigError("ai.check(function) takes a function of the prompt's passages.")
        self.on_finding = self.mode(on_finding)
        self._function = function

    def incoming(self, call: Call, body: dict[str, Any]) -> dict[str, Any]:
        said = settle(self._function, tuple(call.read(body).passages))
        if said is None or said is False or said == "":
            return body
        if said is not True and not isinstance(said, str):
            raise TypeError(f"ai.check: the function must return a text, a bool or None, not {type(said).__name__}")
        rule = "check" if said is True else f"check.{said}"
        call.findings[rule] += 1
        if self.on_finding == "refuse":
            raise refused(rule)
        return body


def _compiled(given: object, where: str) -> Schema:
    if not isinstance(given, Mapping):
        raise ConfigError(f"{where} is a JSON Schema, a dict, not {type(given).__name__}.")
    try:
        return Schema(json.dumps(given), _BOUNDS)
    except (ValueError, TypeError) as error:
        raise ConfigError(f"{where}: {error}") from None


def _is_of(schema: Schema, text: str) -> bool:
    try:
        said = schema.judge(text.encode())
    except UnicodeEncodeError:
        return False
    return not isinstance(said, (JsonRejected, SchemaRejected))


_SEARCHES = re.compile(r"web_search(?:_preview)?(?:_[0-9]{4}_[0-9]{2}_[0-9]{2})?")
_BOUNDS = JsonBounds(max_bytes=16 << 20, max_depth=64, max_keys=100_000, max_digits=309)
