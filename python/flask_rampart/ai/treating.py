"""Treating: what becomes of one answer, text by text and call by call, as the steps of its guard say.

Shapes ask it at each place of an answer. Rules:

1. each text of each choice passes through a filter of each step, in their order; what is cut in pieces by the stream is
   judged as a whole, and JSON in it as it reads (``unescaping``), once what is not seen is out of it;
2. a call's name must be allowed, its arguments be JSON (of a tool without a schema, any text, if it is called so), and
   have the schema of the tool; the texts in them pass through
   the same filters, unescaped;
3. an id of a call ends no answer: one that is no word, or in which a step finds something, becomes a keyed hash of it,
   which a prompt that repeats it has, too;
4. a choice that has to have a shape has a text, or calls a tool, or refuses. Its text is held until its end; then the
   texts in it pass through the filters, unescaped, and what comes of it is held against the schema.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeGuard

from .._native import JsonRejected, parse_json
from .caps import NO_TOOLS, max_chars, schema, tools
from .filters import Pipeline, Stage
from .shapes import Stop
from .texts import clean
from .unescaping import Unescaping
from .visiting import JSON_BOUNDS, Unshaped, id_of, inside, is_word, json_of

if TYPE_CHECKING:
    from .calls import Call
    from .shapes.common import Channel


class Treating:
    """One answer. What the shapes ask (``shapes.common.Out``)."""

    def __init__(self, call: Call, *, counts: bool = True) -> None:
        self._call = call
        #: Whether it is an answer of the model's.
        self.counts = counts
        self._steps = call.declared.output
        self._tools = next((step for step in self._steps if isinstance(step, tools)), NO_TOOLS)
        self._schema = next((step for step in self._steps if isinstance(step, schema)), None)
        self._channels: dict[tuple[int, str], _Counted] = {}
        self._spoke: set[int] = set()
        self._choices = call.shape.choices(call.body)
        self._members = self._held = 0
        #: Tokens of the prompt and of the answer, as the server has said until now.
        self._counted = (0, 0)
        #: Ids, and what takes their place.
        self._ids: dict[str, str] = {}
        #: The first rule that has stopped a choice.
        self.rule = ""

    @property
    def model(self) -> str:
        return self._call.model_name

    @property
    def fallback_id(self) -> str:
        return f"rampart-{self._call.exchange.id}"

    def _text(self, name: str) -> Pipeline | _Shaped:
        if self._schema is not None and self._schema.is_about(name):
            return _Shaped(self, self._schema)
        return self._pipeline(name)

    def _pipeline(self, name: str) -> Pipeline:
        stages = [stage for step in self._steps if (stage := step.stage(self._call, name)) is not None]
        if stages and name != "argument":
            # What is not seen, and is taken out later, would hide from it that this is JSON.
            before = [step for step in self._steps if isinstance(step, clean) and step.on_finding != "report"]
            stages = [*(step.stage(self._call, name) for step in before), Stage(Unescaping()), *stages]
        return Pipeline(stages, self._call.findings)

    def _asked_for(self, choice: int) -> None:
        # What is held, is held for each: the bound on a text bounds nothing if there are as many as a server likes.
        if choice >= self._choices:
            raise Unshaped("a choice that nobody has asked for")
        self._spoke.add(choice)

    def channel(self, choice: int, name: str) -> Channel:
        key = (choice, name)
        if key not in self._channels:
            if len(self._channels) >= _MOST_TEXTS:
                raise Unshaped("more texts than an answer has")
            self._channels[key] = _Counted(self, self._call, self._text(name), counts=self.counts)
        self._asked_for(choice)
        return self._channels[key]

    def whole(self, choice: int, name: str, text: str, *, is_counted: bool = False) -> str:
        self._asked_for(choice)
        channel = _Counted(self, self._call, self._text(name), counts=self.counts and not is_counted)
        before = channel.feed(text)
        try:
            return before + channel.finish()
        except Stop as stop:
            # What has passed before a cap belongs to what may be shown; before anything else, nothing is shown.
            raise Stop(stop.rule, before + stop.rest if stop.reason == "length" else "", stop.reason) from None

    def text(self, choice: int, text: str, *, is_counted: bool = False) -> str:
        return self.whole(choice, "beside", text, is_counted=is_counted)

    def heard(self, text: str) -> None:
        if self.counts:
            self._call.count(text)

    def call(self, choice: int, name: str, arguments: str, *, is_json: bool = True, is_counted: bool = False) -> str:
        call = self._call
        self._asked_for(choice)
        call.tool_calls += 1
        if not is_counted:
            self.heard(name + arguments)
        wrong = self._tools.name_wrong(name)
        if wrong is not None:
            self._tool_wrong(wrong)
            # It is only reported: then it is at least a word, and one in which no step finds anything.
            if not is_word(name) or self.member(name) != name:
                raise self.noted(Stop(wrong))
        if not is_json and not self._tools.has_schema(name):
            return self.member(arguments)
        parsed = json_of(arguments or "{}")
        if not isinstance(parsed, dict):
            self._tool_wrong("tools.arguments")
            return self.member(arguments)
        made = inside(arguments or "{}", parsed, self.member)
        wrong = self._tools.arguments_wrong(name, made)
        if wrong is not None:
            self._tool_wrong(wrong)
        return made

    def member(self, text: str) -> str:
        """A text in something that is JSON.

        :raises Unshaped: if there are more than anybody writes: each has filters of its own.
        """
        self._members += 1
        if self._members > _MOST_MEMBERS:
            raise Unshaped("more texts in JSON than an answer has")
        pipeline = self._pipeline("argument")
        try:
            return pipeline.feed(text) + pipeline.finish()
        except Stop as stop:
            # Half of an argument is another argument.
            raise self.noted(Stop(stop.rule)) from None

    def _tool_wrong(self, rule: str) -> None:
        self._call.findings[rule] += 1
        if self._tools.on_finding == "refuse":
            raise self.noted(Stop(rule))

    def hold(self, length: int) -> None:
        self._held += length
        if self._held > _MOST_ALL:
            raise Unshaped("more than an answer may keep")

    def reference(self, given: object) -> str | None:
        # Some models write the ids of their calls themselves. Most are random, and now and then one looks like a card.
        if given is None or given == "":
            return given
        name = id_of(given)
        if name not in self._ids:
            if len(self._ids) >= _MOST_MEMBERS:
                raise Unshaped("more ids than an answer has")
            self.hold(len(name))
            is_clean = is_word(name) and self._is_clean(name)
            if not is_clean:
                self.found("tools.id")
            self._ids[name] = name if is_clean else self._call.alias(name)
        return self._ids[name]

    def _is_clean(self, name: str) -> bool:
        """Whether the steps that look at what a text says leave it as it is."""
        steps = [step for step in self._steps if not isinstance(step, max_chars)]
        stages = [stage for step in steps if (stage := step.stage(self._call, "argument")) is not None]
        pipeline = Pipeline(stages, self._call.findings)
        try:
            return pipeline.feed(name) + pipeline.finish() == name
        except Stop:
            return False

    def tool(self, name: str, called: object) -> None:
        self._asked_for(0)
        self._call.tool_calls += 1
        is_right = self._tools.runs(name)
        if name == "mcp":
            is_right = is_right and isinstance(called, str) and self._tools.name_wrong(called) is None
        if not is_right:
            self._tool_wrong("tools.name")

    def reasoned(self, *, shown: bool) -> None:
        if self.counts:
            self._call.reasoned(shown=shown)

    def unknown(self) -> Stop:
        self._call.findings["shape.unknown"] += 1
        return self.noted(Stop("shape.unknown"))

    def found(self, rule: str) -> None:
        self._call.findings[rule] += 1

    def noted(self, stop: Stop) -> Stop:
        self.rule = self.rule or stop.rule
        return stop

    def used(self, prompt: object, completion: object) -> None:
        if prompt == completion == 0 or not (_is_count(prompt) and _is_count(completion)):
            return  # of servers that do not count; else whatever they say were free
        # A later count may be one of the end alone.
        self._counted = (max(self._counted[0], prompt), max(self._counted[1], completion))
        self._call.used(*self._counted)

    def finished(self, choice: int) -> None:
        if self._schema is not None and self._schema.on_finding == "refuse" and choice not in self._spoke:
            self._call.findings["schema.invalid"] += 1
            raise self.noted(Stop("schema.invalid"))

    def cut(self, text: str) -> None:
        """:raises Stop: if a text is over a cap. Half of a JSON text is none, so nothing of it is shown."""
        for step in self._steps:
            if isinstance(step, max_chars):
                stage = step.stage(self._call, "")
                try:
                    stage.feed(text)
                    stage.finish()
                except Stop as stop:
                    self._call.findings[stop.rule] += 1
                    raise Stop(stop.rule, reason=stop.reason) from None

    def close(self) -> None:
        """Counts what was found in texts that did not come to their end."""
        for channel in self._channels.values():
            channel.note()
        # They hold us: an answer is gone when it has left, and not when the collector of garbage comes by.
        self._channels.clear()


class _Shaped:
    """A text that is held until its end, and has a shape then."""

    def __init__(self, of: Treating, shape: schema) -> None:
        self._of = of
        self._shape = shape
        self._pieces: list[str] = []
        self._length = 0
        self._is_over = False

    def feed(self, text: str) -> str:
        self._pieces.append(text)
        self._length += len(text)
        self._of.hold(len(text))
        if self._length > _MOST_HELD:
            raise Unshaped("a text that does not end")
        return ""

    def finish(self) -> str:
        if self._is_over:
            return ""
        self._is_over = True
        raw = "".join(self._pieces)
        self._of.cut(raw)
        try:
            made = inside(raw, parse_json(raw.encode(), JSON_BOUNDS), self._of.member)
        except (JsonRejected, UnicodeEncodeError):
            made = self._of.member(raw)
        if not self._shape.holds(made):
            self._of.found("schema.invalid")
            if self._shape.on_finding == "refuse":
                raise Stop("schema.invalid")
        return made

    def note(self) -> None:
        """What was found in members is counted by then."""


class _Counted:
    """A text of an answer, whose length is noted as it comes."""

    __slots__ = ("_call", "_counts", "_of", "_pipeline")

    def __init__(self, of: Treating, call: Call, pipeline: Pipeline | _Shaped, *, counts: bool) -> None:
        self._counts = counts
        self._of = of
        self._call = call
        self._pipeline = pipeline

    def feed(self, text: str) -> str:
        if self._counts:
            self._call.count(text)
        try:
            return self._pipeline.feed(text)
        except Stop as stop:
            raise self._of.noted(stop) from None

    def finish(self) -> str:
        try:
            return self._pipeline.finish()
        except Stop as stop:
            raise self._of.noted(stop) from None

    def note(self) -> None:
        self._pipeline.note()


def _is_count(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MOST_TOKENS


_MOST_HELD = 4 << 20
"""Characters of a text that is held."""
_MOST_ALL = 16 << 20
"""Characters that are kept of one answer, in all its choices, calls and parts."""
_MOST_TEXTS = 4096
_MOST_MEMBERS = 10_000
_MOST_TOKENS = 1 << 40
