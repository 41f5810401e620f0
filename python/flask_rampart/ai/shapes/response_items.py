"""What is in a response, built anew from what is known: its members, its items and their parts.

``instructions`` and ``tools``, which servers repeat, are left out, and so are log probabilities. Of a tool that the
model's server runs by itself (:data:`RUN`), what it did is shown if ``ai.tools`` allows it, with all texts in it
treated. An item or part of another kind ends the answer: what nobody knows, nobody can treat.

Clients put the parts of an answer together (``response.output_text``), so all its texts are one to the filters: what
one part ends with and the next goes on with is found. What a filter holds at the end of a part leaves with the next, or
with the last.

Source: OpenAI's API reference, "The response object".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..visiting import Unshaped, is_word, walked
from .common import Channel, Out, Stop, base, counts, list_of, note_reasoning, object_of, text_of


class Texts:
    """The texts of one answer: what has been passed on of each part."""

    def __init__(self, out: Out) -> None:
        self._out = out
        self._channels: dict[str, Channel] = {}
        self._said: dict[tuple[int, int], tuple[str, list[str]]] = {}
        self._last: dict[str, tuple[int, int]] = {}

    def __contains__(self, at: tuple[int, int]) -> bool:
        return at in self._said

    def begin(self, at: tuple[int, int], kind: str) -> None:
        if at not in self._said:
            self._out.hold(_PART)
            self._said[at] = (kind, [])

    def feed(self, at: tuple[int, int], kind: str, text: str) -> str:
        """What may be passed on by now, in the part at *at*.

        :raises Unshaped: if the part has another kind.
        """
        self.begin(at, kind)
        found, said = self._said[at]
        if found != kind:
            raise Unshaped("a part of two kinds")
        if kind not in self._channels:
            self._channels[kind] = self._out.channel(0, kind)
        self._last[kind] = at
        piece = self._channels[kind].feed(text)
        if piece:
            self._out.hold(len(piece))
            said.append(piece)
        return piece

    def finish(self) -> dict[tuple[int, int], tuple[str, str]]:
        """What was held: for a part, its kind and the end of its text."""
        ends = {}
        for kind, channel in self._channels.items():
            piece = channel.finish()
            if piece:
                at = self._last[kind]
                self._said[at][1].append(piece)
                ends[at] = (kind, piece)
        return ends

    def part(self, at: tuple[int, int]) -> dict[str, Any]:
        kind, said = self._said[at]
        return shown_part(kind, "".join(said))


def shown_part(kind: str, text: str) -> dict[str, Any]:
    if kind == "refusal":
        return {"type": kind, "refusal": text}
    return {"type": kind, "text": text, "annotations": []}


def stopped(stop: Stop) -> dict[str, Any]:
    reason = "max_output_tokens" if stop.reason == "length" else "content_filter"
    return {"output": [], "status": "incomplete", "incomplete_details": {"reason": reason}}


def shell(body: Mapping[str, Any], out: Out) -> dict[str, Any]:
    """An answer without its output."""
    known = base(body, "response", out)
    created = body.get("created_at")
    details, error = body.get("incomplete_details"), body.get("error")
    made: dict[str, Any] = {
        "id": known["id"],
        "object": "response",
        "created_at": created if isinstance(created, (int, float)) and abs(created) < 1e12 else 0,
        "status": body.get("status") if is_word(body.get("status")) else None,
        "error": {"code": "server_error", "message": ""} if error is not None else None,
        "incomplete_details": None,
        "instructions": None,
        "model": out.model,
        "output": [],
        "parallel_tool_calls": body.get("parallel_tool_calls") is True,
        "tool_choice": "auto",
        "tools": [],
    }
    if isinstance(details, dict) and is_word(details.get("reason")):
        made["incomplete_details"] = {"reason": details["reason"]}
    usage = body.get("usage")
    if isinstance(usage, dict):
        out.used(usage.get("input_tokens"), usage.get("output_tokens"))
        note_reasoning(usage.get("output_tokens_details"), out)
        made["usage"] = counts(usage)
    return made


def named(item: Mapping[str, Any], out: Out, *ids: str) -> dict[str, Any]:
    """What an item is called (*ids*, or ``id``), and its status."""
    made = {name: out.reference(item[name]) for name in ids or ("id",) if item.get(name) is not None}
    if item.get("status") is not None:
        if not is_word(item["status"]):
            raise Unshaped("status is no word")
        made["status"] = item["status"]
    return made


def whole_items(output: list[Any], out: Out) -> list[dict[str, Any]]:
    """The items of an answer that is there as a whole."""
    texts = Texts(out)
    made: list[dict[str, Any]] = []
    for at, value in enumerate(output):
        item = object_of(value, "output")
        if item.get("type") == "message":
            for n, part in enumerate(list_of(item.get("content"), "content")):
                texts.feed((at, n), *part_of(object_of(part, "content"), out))
            made.append({"type": "message", **named(item, out), "role": "assistant", "content": []})
        else:
            made.append(answered(item, out))
    texts.finish()
    for at, shown in enumerate(made):
        if shown["type"] == "message":
            n = 0
            while (at, n) in texts:
                shown["content"].append(texts.part((at, n)))
                n += 1
    return made


def answered(
    item: Mapping[str, Any], out: Out, *, is_counted: bool = False, is_allowed: bool = False
) -> dict[str, Any]:
    """An item that is no message.

    :param is_counted: whether its pieces were counted as they came.
    :param is_allowed: whether it was asked before if the tool may be run.
    :raises Stop: if it may not, and for an item of another kind.
    """
    kind = item.get("type")
    if kind in CALLS:
        inner = CALLS[kind]
        name = text_of(item.get("name"), "name")
        given = text_of(item.get(inner), inner)
        made = out.call(0, name, given, is_json=inner == "arguments", is_counted=is_counted)
        out.hold(len(made))
        return {"type": kind, **named(item, out, "id", "call_id"), "name": name, inner: made}
    if kind in RUN:
        tool, shown_members = RUN[kind]
        if not is_allowed:
            out.tool(tool, item.get("name"))
        did = {name: item[name] for name in shown_members if name in item}
        shown = walked(did, out.member)
        out.hold(len(repr(shown)))
        return {"type": kind, **named(item, out), **shown}
    if kind == "reasoning":
        out.reasoned(shown=False)
        summary = list_of(item.get("summary") or [], "summary")
        given_texts = [text_of(object_of(part, "summary").get("text"), "text") for part in summary]
        texts = [out.text(0, one, is_counted=is_counted) for one in given_texts]
        out.hold(sum(map(len, texts)))
        summaries = [{"type": "summary_text", "text": one} for one in texts]
        return {"type": kind, **named(item, out), "summary": summaries}
    raise out.unknown()


def part_of(part: Mapping[str, Any], out: Out) -> tuple[str, str]:
    """A part's kind and text.

    :raises Stop: for a part of another kind.
    """
    kind = part.get("type")
    if kind not in ("output_text", "refusal"):
        raise out.unknown()
    return str(kind), text_of(part.get("text" if kind == "output_text" else "refusal"), str(kind))


CALLS = {"function_call": "arguments", "custom_tool_call": "input"}
"""Calls of the app's tools, and where each has what it is called with."""
RUN: dict[Any, tuple[str, tuple[str, ...]]] = {
    "code_interpreter_call": ("code_interpreter", ("code", "outputs")),
    "file_search_call": ("file_search", ("queries", "results")),
    "mcp_call": ("mcp", ("server_label", "name", "arguments", "output", "error")),
    "web_search_call": ("web_search", ("action",)),
}
"""What tools of the model's server did: which tool, and what is shown of it."""
_PART = 256
"""What a part costs, in characters, even if it has no text."""
