"""Fields: where texts stand in events, which text each piece belongs to, and what ends it.

A field is names with dots, and ``[*]`` for every member of a list. A member of a list is known by its ``index``,
else by its position; but the members of ``parts`` and ``content`` without one are one text, as clients put them
together, and those that are a ``thought`` another: what is held of one part leaves with the next, in its order.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from ..errors import ConfigError

#: A text's name: its field, the places in lists, and the event's own numbers.
Key = tuple[Any, ...]
Way = tuple[Any, ...]
"""The names and positions that lead to where a text stands."""
OWN = ("index", "output_index", "content_index", "item_id")
"""An event's own numbers."""
CHOICE = len(OWN)
DELTAS = (
    "choices[*].delta.content",
    "choices[*].delta.content[*].text",
    "choices[*].delta.reasoning_content",
    "choices[*].delta.refusal",
    "choices[*].delta.tool_calls[*].function.arguments",
    "choices[*].text",
    "delta",
    "delta.text",
    "delta.partial_json",
    "delta.thinking",
    "candidates[*].content.parts[*].text",
)
"""Where texts stand in the events of chat completions, completions, responses, messages and generated content."""


def texts_at(
    value: Any, steps: tuple[str, ...], places: tuple[Any, ...] = (), way: Way = (), of: str = ""
) -> Iterator[tuple[tuple[Any, ...], Any, Any, Way]]:
    """Places of texts, where they stand, and the way there; *of* is the member that *value* is."""
    step, *rest = steps
    if step == "*":
        for at, member in enumerate(value if isinstance(value, list) else ()):
            if rest:
                yield from texts_at(member, tuple(rest), (*places, place_of(member, at, of)), (*way, at))
            elif isinstance(member, str):
                yield (*places, at), value, at, (*way, at)
    elif isinstance(value, dict) and step in value:
        if rest:
            yield from texts_at(value[step], tuple(rest), places, (*way, step), step)
        elif isinstance(value[step], str):
            yield places, value, step, (*way, step)


def only(value: Any, texts: Mapping[Way, str], of: str = "") -> Any:
    """What is left of an event if there is nothing in it but these texts, each where it stood: the way there, and what
    tells whose they are. A list without ``index`` is filled up, as the place in it may be what a text is known by."""
    if () in texts:
        return texts[()]
    below: dict[Any, dict[Way, str]] = {}
    for (step, *rest), text in texts.items():
        below.setdefault(step, {})[tuple(rest)] = text
    if isinstance(value, dict):
        told = {name: value[name] for name in _TOLD if name in value and _is_told(name, value[name])}
        return told | {name: only(value[name], further, name) for name, further in below.items()}
    left = {at: only(value[at], further) for at, further in sorted(below.items())}
    if all(_index_of(value[at]) is not None or _is_part(value[at], of) for at in left):
        return [*left.values()]
    return [left[at] if at in left else _EMPTY.get(type(value[at])) for at in range(max(left) + 1)]


def place_of(member: Any, at: int, of: str = "") -> Any:
    """Which text a member of the list *of* belongs to."""
    index = _index_of(member)
    if index is not None:
        return index
    return ("thought" if member.get("thought") is True else "said") if _is_part(member, of) else at


def _index_of(member: Any) -> int | None:
    index = member.get("index") if isinstance(member, dict) else None
    return index if type(index) is int else None


def _is_part(member: Any, of: str) -> bool:
    return of in _PARTED and isinstance(member, dict)


def _is_told(name: str, value: Any) -> bool:
    # An event's own numbers are what its texts are known by, however long they are.
    return name in OWN or isinstance(value, (bool, int, float)) or (isinstance(value, str) and len(value) <= _SHORT)


def ends_of(key: Key) -> list[tuple[int, Any]]:
    """What a text's end may be told by."""
    if len(key) != 3:
        return []
    _, places, own = key
    ends = [(n, one) for n, one in enumerate(own) if one is not None]
    return [*ends, (CHOICE, places[0])] if places else ends


def steps_of(field: str) -> tuple[str, ...]:
    if not isinstance(field, str) or not _FIELD.fullmatch(field):
        raise ConfigError(
            f"stream(fields=...): {field!r} is no place of a text. Write names with dots, and [*] for every member of "
            'a list, as in "choices[*].delta.content".'
        )
    return tuple(field.replace("[*]", ".*").split("."))


_PARTED = ("parts", "content")
_TOLD = ("id", "object", "type", "model", "role", "created", "sequence_number", "thought", *OWN)
_SHORT = 256
_EMPTY: dict[type, Any] = {dict: {}, list: [], str: ""}
_FIELD = re.compile(r"[^\W\d][\w-]*(?:\[\*\]|\.[^\W\d][\w-]*)*")
