"""What the shapes have in common: ids, counts of tokens, tools, what an answer begins with."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from ..visiting import Place, Unshaped, Visitor, flag, free, is_word, members, text, word

Event = tuple[str | None, dict[str, Any]]
"""The name of a server-sent event, and its data."""


class Channel(Protocol):
    """One text of an answer, as it comes."""

    def feed(self, text: str) -> str:
        """What may be passed on by now.

        :raises Stop: if nothing of this choice may be passed on any more.
        """

    def finish(self) -> str:
        """What was held back."""


class Out(Protocol):
    """What becomes of an answer: asked by the shapes at each place of it."""

    @property
    def model(self) -> str:
        """What the client called the model."""

    @property
    def fallback_id(self) -> str:
        """An id of ours, for an answer whose own is none."""

    def channel(self, choice: int, name: str) -> Channel:
        """The text *name* of a choice, the same each time."""

    def whole(self, choice: int, name: str, text: str) -> str:
        """The text *name* of a choice, when it is there as a whole."""

    def text(self, choice: int, text: str, *, is_counted: bool = False) -> str:
        """A whole text beside the channels.

        :param is_counted: whether its pieces were :meth:`heard`.
        """

    def call(self, choice: int, name: str, arguments: str, *, is_json: bool = True, is_counted: bool = False) -> str:
        """The arguments of a tool's call, complete.

        :param is_counted: whether its pieces were :meth:`heard`.
        """

    def heard(self, text: str) -> None:
        """A piece of the model's words that is held, or not passed on: it was made, and is paid for."""

    def hold(self, length: int) -> None:
        """So many characters are kept until the answer's end, or a call's.

        :raises Unshaped: if an answer keeps too many, in all its choices.
        """

    def reference(self, given: object) -> str | None:
        """An id that the model may have written, or what takes its place: the same for the same each time. One that is
        none, or empty, stays.

        :raises Unshaped: if it is neither a text nor a whole number.
        """

    def member(self, text: str) -> str:
        """A text in something that is JSON.

        :raises Stop: if a step stops it.
        """

    def tool(self, name: str, called: object) -> None:
        """A tool that the model's server has run by itself.

        :param called: what of it was called, where it is one of many (MCP).
        :raises Stop: if it is not allowed.
        """

    def reasoned(self, *, shown: bool) -> None:
        """The model reasons: in words that are :meth:`heard` or fed, or in tokens that nobody sees."""

    def unknown(self) -> Stop:
        """An item or a part of a kind that is not known: it ends the choice."""

    def used(self, prompt: object, completion: object) -> None:
        """How many tokens the model's server says were used."""

    def finished(self, choice: int) -> None:
        """A choice is complete."""


class Stop(Exception):
    """Nothing more of a choice may be passed on.

    :param rule: which rule said so.
    :param rest: what of the text may still be passed on.
    :param reason: what the client is told as ``finish_reason``.
    """

    def __init__(self, rule: str, rest: str = "", reason: str = "content_filter") -> None:
        super().__init__(rule)
        self.rule = rule
        self.rest = rest
        self.reason = reason


class Events(Protocol):
    """A stream of events, in order."""

    def feed(self, name: str | None, data: Mapping[str, Any]) -> Iterable[Event]:
        """What is passed on for one event.

        :raises Unshaped: if it is none of this shape.
        """

    def finish(self) -> Iterable[Event]:
        """What is passed on at the end."""

    def is_over(self, choices: int) -> bool:
        """Whether each of so many choices has come to its end."""


class Shape(Protocol):
    """What bodies of one API look like."""

    name: str

    def prompt(self, body: Any, visit: Visitor) -> dict[str, Any]:
        """A request's body, treated.

        :raises Unshaped: if it is none of this shape.
        """

    def model(self, body: Mapping[str, Any]) -> str | None:
        """The model that is asked for."""

    def with_model(self, body: dict[str, Any], model: str) -> dict[str, Any]:
        """The same body for another model."""

    def choices(self, body: Mapping[str, Any]) -> int:
        """How many answers are asked for."""

    def most(self, body: Mapping[str, Any]) -> int | None:
        """How many tokens each answer may have at most; None if nothing is said."""

    def with_most(self, body: dict[str, Any], most: int) -> dict[str, Any]:
        """The same body, with at most so many."""

    def asks_stream(self, body: Mapping[str, Any]) -> bool:
        """Whether the answer is to be streamed."""

    def asks_reasoning(self, body: Mapping[str, Any]) -> bool:
        """Whether the model is asked to reason."""

    def asking_usage(self, body: dict[str, Any]) -> dict[str, Any]:
        """The same body, which asks for the counts of tokens too."""

    def answer(self, body: Any, out: Out) -> dict[str, Any]:
        """A whole answer, treated.

        :raises Unshaped: if it is none of this shape.
        """

    def events(self, out: Out, *, wants_usage: bool) -> Events:
        """A streamed answer."""

    def failed(self, code: str, message: str) -> Event:
        """The event that says that the answer ends here, and is not whole."""

    ends: str | None
    """What is sent as data when a stream is over."""


def whole(value: object) -> int | None:
    """A whole number of at least 0."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def positive(body: Mapping[str, Any], *names: str) -> int | None:
    """The smallest of what these members say; each a whole number of at least 1."""
    found = [body[name] for name in names if body.get(name) is not None]
    for value in found:
        if whole(value) is None or value == 0:
            raise Unshaped(f"{names[0]} is no whole number of at least 1")
    return min(found) if found else None


def base(body: Mapping[str, Any], kind: str, out: Out) -> dict[str, Any]:
    """What an answer begins with. The model is called as the client has called it, and what else tells whose it is
    (``system_fingerprint``, ``service_tier``) is left out."""
    given = body.get("id")
    created = body.get("created")
    return {
        "id": given if is_word(given) else out.fallback_id,
        "object": kind,
        "created": created if whole(created) is not None else 0,
        "model": out.model,
    }


def note_usage(body: Mapping[str, Any], out: Out) -> None:
    usage = body.get("usage")
    if isinstance(usage, dict):
        out.used(usage.get("prompt_tokens"), usage.get("completion_tokens"))
        note_reasoning(usage.get("completion_tokens_details"), out)


def note_reasoning(details: object, out: Out) -> None:
    """Notes that a server counts tokens of reasoning."""
    if isinstance(details, dict) and whole(details.get("reasoning_tokens")):
        out.reasoned(shown=False)


def is_effort(value: object) -> bool:
    """Whether a request asks for reasoning."""
    return value is not None and value != "none"


def counts(value: Any) -> dict[str, Any] | None:
    """Counts of tokens: numbers, and objects of them."""
    if not isinstance(value, dict):
        return None
    found: dict[str, Any] = {}
    for name, item in value.items():
        if not is_word(name):
            continue
        if isinstance(item, dict):
            found[name] = counts(item)
        elif item is None or (isinstance(item, (int, float)) and not isinstance(item, bool) and math.isfinite(item)):
            found[name] = item
    return found


def index_of(value: Mapping[str, Any], where: str) -> int:
    found = whole(value.get("index", 0))
    if found is None or found >= MOST_CHOICES:
        raise Unshaped(f"{where}: its index is none")
    return found


def reason_of(value: object) -> str | None:
    if value is not None and not is_word(value):
        raise Unshaped("finish_reason is no word")
    return value  # type: ignore[return-value]


def choices_of(body: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The choices of a whole answer: each once."""
    found = [object_of(choice, "choices") for choice in list_of(body.get("choices"), "choices")]
    if len({index_of(choice, "choices") for choice in found}) < len(found):
        raise Unshaped("a choice that is there twice")
    return found


def text_of(value: object, where: str) -> str:
    if not isinstance(value, str):
        raise Unshaped(f"{where} is no text")
    return value


def object_of(value: object, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise Unshaped(f"{where} is no object")
    return value


def list_of(value: object, where: str) -> list[Any]:
    if not isinstance(value, list):
        raise Unshaped(f"{where} is no list")
    return value


def tool_name(value: Any, visit: Visitor, role: str) -> Any:
    name = word(value, visit, role)
    visit.tool(name)
    return name


FUNCTION: dict[str, Place] = {"name": tool_name, "description": text, "parameters": free, "strict": flag}


def tool(value: Any, visit: Visitor, role: str) -> Any:
    """A declared tool. One that the model's server runs itself is called by its type."""
    kind = object_of(value, "tools").get("type")
    if not is_word(kind):
        raise Unshaped("a tool without a type")
    if kind == "function":
        nested_function = "function" in value
        table: dict[str, Place] = {"type": word}
        table |= {"function": lambda v, s, r: members(FUNCTION, v, s, r, "function")} if nested_function else FUNCTION
        if not isinstance((value["function"] if nested_function else value).get("name"), str):
            raise Unshaped("a tool without a name")
        return members(table, value, visit, role, "tools")
    if kind == "custom":
        table = {"name": tool_name, "description": text, "format": free}
        if "custom" in value:
            inner = {"type": word, "custom": lambda v, s, r: members(table, v, s, r, "custom")}
            if not isinstance(object_of(value["custom"], "custom").get("name"), str):
                raise Unshaped("a tool without a name")
            return members(inner, value, visit, role, "tools")
        if not isinstance(value.get("name"), str):
            raise Unshaped("a tool without a name")
        return members({"type": word, **table}, value, visit, role, "tools")
    visit.tool(str(kind))
    return free(value, visit, role)


def tool_choice(value: Any, visit: Visitor, role: str) -> Any:
    if isinstance(value, str):
        return word(value, visit, role)
    named: dict[str, Place] = {"name": tool_name}
    table: dict[str, Place] = {
        "type": word,
        "name": tool_name,
        "function": lambda v, s, r: members(named, v, s, r, "function"),
        "custom": lambda v, s, r: members(named, v, s, r, "custom"),
    }
    return members(table, value, visit, role, "tool_choice")


#: What says who asks, and what a schema of the answer may say.
ABOUT: dict[str, Place] = {
    "user": text,
    "safety_identifier": text,
    "prompt_cache_key": text,
    "metadata": free,
    "service_tier": word,
    "store": flag,
    "stream": flag,
}


MOST_CHOICES = 128
