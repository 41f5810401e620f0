"""``ai.guard``: what a prompt has to be before a view sees it, and what is done to the answer before it leaves.

It is asked last of all guards, when it is known who is calling, and in this order:

1. the body is JSON, bounded as any body is, and of the shape that was declared;
2. the caller may ask for the model that it names (``models``);
3. the input steps treat it, in their order; whatever they refuse is refused before anything is spent;
4. the budgets have room for the worst case (``budgets``);
5. the view reads the treated prompt: ``ai.prompt``, ``request.get_json()`` and ``validated.body`` are that. What is
   beside it, ``request.get_data()`` say, is still the peer's own;
6. what the view returns is treated on its way out (``leaving``).

It does not call a model, and it does not decide what a text means. No filter finds all instructions in a text.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from .._native import JsonRejected, parse_json
from ..access import require
from ..checks import Check
from ..errors import ConfigError, Denied
from ..exchange import NOT_CHECKED, Exchange
from ..guards import AppState, Guard, Stage, methods_of
from ..validation import Bounds
from ..validation.bodies import held, read_body, rejected_json
from .budgets import budget
from .calls import Call, call_of, hash_of, put
from .caps import IS_TEXT, NO_TOOLS, TEXT_ALONE, parts
from .leaving import Leaving
from .models import models, models_of
from .shapes import shape_of
from .steps import check_order
from .visiting import Unshaped, Visitor, is_word

if TYPE_CHECKING:
    from .shapes import Paths


class guard(Guard):  # noqa: N801 - read as a verb above a view
    """Guards a view that asks a model.

    :param model: which models, and who may ask for them: a name, a list of names, or :class:`~.models.models`.
    :param shape: what bodies look like: ``"chat"``, ``"completions"``, ``"responses"`` (OpenAI's), ``"prompt"``, or
        ``ai.Paths(...)``.
    :param members: further members that a request may have, such as ``["top_k"]``; all texts in them are treated.
    :param most_name: by which member the model's server is told how many tokens an answer may have, where it does not
        read ``max_completion_tokens`` (``"max_tokens"``), or by which members. What a request says by any of these is
        held to the bound.
    :param input: what is done to a prompt, in this order.
    :param output: what is done to an answer, in this order.
    :param budget: how much may be spent: an ``ai.budget(...)`` or several.
    :param overhead: what the view adds to each prompt, for budgets: its text (the system prompt), or a number of
        tokens, at most.
    :param part_tokens: how many tokens a part that is no text comes to, at most: a number, or one for each kind
        (``{"image_url": 1500}``). Only the model's server knows it, so budgets and ``ai.parts(...)`` together need it.
    :param tokens: counts the tokens of a text, for budgets; one for each byte, if not given, since no tokenizer of
        bytes makes more.
    :param errors: ``"problem"`` (RFC 9457) or ``"openai"``: in which words it is refused.
    :raises ConfigError: at import, for steps in an order that would undo what they promise; at start-up, for a model
        that asks for what nobody is asked for.

    The client receives ``ai.shape``, ``ai.model``, ``ai.role``, ``ai.part``, ``ai.tool``, ``ai.too_long``,
    ``ai.refused``, ``limit.exceeded``, or an answer that ends with ``finish_reason`` ``"content_filter"``.

    >>> from flask_rampart import ai
    >>> ai.guard(model="small", input=[ai.clean(), ai.pii()], output=[ai.clean(), ai.restore(), ai.links()])
    ai.guard(model=('small',), shape='chat', input=[clean, pii], output=[clean, restore, links])
    """

    stage = Stage.PAYLOAD
    name: ClassVar[str] = "ai.guard"
    comes_last: ClassVar[bool] = True

    def __init__(
        self,
        *,
        model: str | Sequence[str] | models,
        shape: str | Paths = "chat",
        members: Sequence[str] = (),
        most_name: str | Sequence[str] = (),
        input: Sequence[Any] = (),
        output: Sequence[Any] = (),
        budget: budget | Sequence[budget] = (),
        overhead: str | int = 0,
        part_tokens: int | Mapping[str, int] | None = None,
        tokens: Callable[[str], int] | None = None,
        errors: Literal["problem", "openai"] = "problem",
    ) -> None:
        self.models = models_of(model)
        self.shape = shape_of(shape, members, _most_names(most_name))
        self.input = check_order(input, "input")
        self.output = check_order(output, "output")
        self.budgets = _budgets(budget)
        for one in self.budgets:
            one.check(self.models.names)
        if errors not in ("problem", "openai"):
            raise ConfigError(f"ai.guard(errors={errors!r}): it is 'problem' or 'openai'.")
        self.errors = errors
        if tokens is not None and not callable(tokens):
            raise ConfigError("ai.guard(tokens=...) is a function of a text that returns how many tokens it has.")
        self._tokens = tokens
        self.overhead = _overhead(overhead)
        self.part_tokens = _part_tokens(part_tokens, self.input, bool(self.budgets))
        names = {step.name for step in self.input}
        hides = any(getattr(step, "restore", False) for step in self.input)
        puts_back = any(step.name == "restore" for step in self.output)
        if hides and not puts_back:
            raise ConfigError(
                "ai.guard: ai.pii() puts placeholders into the prompt, and nothing takes them out of the answer. Add "
                "ai.restore() to output, or say ai.pii(restore=False)."
            )
        if puts_back and not hides:
            raise ConfigError("ai.guard: ai.restore() has nothing to put back: add ai.pii() to input.")
        self._defaults = tuple(step for step in (TEXT_ALONE, NO_TOOLS) if step.name not in names)

    def __repr__(self) -> str:
        told = [f"model={self.models.names!r}", f"shape={self.shape.name!r}"]
        for way, steps in (("input", self.input), ("output", self.output)):
            if steps:
                told.append(f"{way}=[{', '.join(step.name for step in steps)}]")
        return f"ai.guard({', '.join(told)})"

    def count(self, text: str) -> int:
        """Tokens of a text, at most.

        :raises TypeError: if the app's own count is no whole number of at least 0.
        """
        if self._tokens is None:
            return len(text.encode("utf-8", "surrogatepass"))
        found = self._tokens(text)
        if isinstance(found, bool) or not isinstance(found, int) or found < 0:
            raise TypeError("ai.guard(tokens=...) must return a whole number of at least 0")
        return found

    def _counted(self, body: Any) -> int:
        return self.count(json.dumps(body, ensure_ascii=False))

    def _reserved_for(self, call: Call, body: dict[str, Any]) -> int:
        """What a prompt comes to when the view has added its own: what an image or a file holds is not in its bytes."""
        added = self.overhead if isinstance(self.overhead, int) else self._counted({"content": self.overhead})
        return self._counted(body) + added + sum(self.part_tokens.get(kind, 0) for kind, _ in call.read(body).parts)

    @classmethod
    def bind(cls, guards: Sequence[tuple[guard, str]], state: AppState, endpoint: str) -> Check:
        if len(guards) > 1:
            raise ConfigError(f"{endpoint}: ai.guard stands there twice, and one answer cannot be treated as two say.")
        declared = guards[0][0]
        if endpoint in state.app.view_functions:
            _settles_who(declared, state, endpoint)
        for step in (*declared.input, *declared.output):
            step.prepare(state, endpoint)
        declared.models.bind(state, endpoint)
        Leaving.of(state).guards[endpoint] = declared
        bounds: Bounds = state.services[Bounds]

        def check(exchange: Exchange) -> Denied | None:
            this = exchange.request()
            if this is None or call_of(this) is not None:
                raise RuntimeError("One request is one call: a view with ai.guard called another one.")
            call = Call(state, exchange, declared, endpoint)
            try:
                declared._admit(call, _body(this, exchange, bounds))
            except Unshaped as error:
                denied = Denied.of("ai.shape", reason=str(error))
            except Denied as error:
                denied = error
            except BaseException as error:
                call.give_back()
                call.end("failed", type(error).__name__)
                raise
            else:
                put(this, call)
                call.attach()
                exchange.body = call.body
                this.__dict__.pop("_cached_json", None)
                if "body" in exchange.parts:
                    # What a model of `validate` has made of the body is of what the peer has sent.
                    others = {name: part for name, part in exchange.parts.items() if name != "body"}
                    exchange.parts = MappingProxyType(others)
                return None
            call.give_back()
            code = denied.problem.code
            call.end("refused", denied.reason if code == "ai.refused" else code)
            return denied

        return check

    def _admit(self, call: Call, given: Any) -> None:
        """Treats a prompt, and reserves what it may cost."""
        shape = self.shape
        # What is refused for its shape has a hash as well.
        call.prompt_hash = hash_of(call.state, given)
        body = shape.prompt(given, _First(call))
        call.prompt_chars = call.read(body).chars
        asked_for = shape.model(body)
        if asked_for in self.models.names:
            call.model_name = asked_for or ""
        call.model_name, call.model = self.models.chosen(call.exchange, asked_for)
        for step in (*self._defaults, *self.input):
            body = step.incoming(call, body)
        body = shape.with_model(body, call.upstream)
        asked = shape.most(body)
        bounds = [call.model.most_tokens, *(one.most_tokens for one in self.budgets)]
        most = min((bound for bound in [asked, *bounds] if bound is not None), default=None)
        if most is not None:
            body = shape.with_most(body, most)
        options = body.get("stream_options")
        call.wants_usage = isinstance(options, Mapping) and options.get("include_usage") is True
        call.is_streamed = shape.asks_stream(body)
        call.asks_reasoning = shape.asks_reasoning(body)
        if self.budgets:
            body = shape.asking_usage(body)
        call.prompt_tokens = self._reserved_for(call, body) if self.budgets else self._counted(body)
        call.body = body
        for one in self.budgets:
            call.hold(one, one.reserve(call, call.exchange, call.prompt_tokens, shape.choices(body) * (most or 0)))


class _First(Visitor):
    """Looks at the shape alone, and gives ids that are no words others."""

    def __init__(self, call: Call) -> None:
        self._call = call

    def reference(self, given: str, role: str) -> str:
        return given if is_word(given) else self._call.alias(given)


def _most_names(given: object) -> tuple[str, ...]:
    found = (given,) if isinstance(given, str) else given
    if not isinstance(found, (list, tuple)) or not all(isinstance(name, str) and name for name in found):
        raise ConfigError('ai.guard(most_name=...) is the name of a member, such as "max_tokens", or a list of names.')
    return tuple(found)


def _overhead(given: object) -> str | int:
    if isinstance(given, bool) or not isinstance(given, (str, int)) or (isinstance(given, int) and given < 0):
        raise ConfigError(
            "ai.guard(overhead=...) is what the view adds to each prompt: its text, or a number of tokens, at least 0."
        )
    return given


def _part_tokens(given: Any, input: Sequence[Any], has_budget: bool) -> Mapping[str, int]:
    """How many tokens each kind of part comes to."""
    allowed = next((step.allow for step in input if isinstance(step, parts)), frozenset()) - IS_TEXT
    by_kind = given if isinstance(given, Mapping) else dict.fromkeys(allowed, 0 if given is None else given)
    if not all(isinstance(n, int) and not isinstance(n, bool) and n >= 0 for n in by_kind.values()):
        raise ConfigError("ai.guard(part_tokens=...) is a number of tokens of at least 0, or one for each kind.")
    missing = sorted(allowed if given is None else allowed - by_kind.keys())
    if has_budget and missing:
        raise ConfigError(
            f"ai.guard: ai.parts() takes {', '.join(missing)}, and a budget has to know what such a part may cost: the "
            'model\'s server counts it by what is in it. Say part_tokens=1500, or part_tokens={"image_url": 1500}.'
        )
    return MappingProxyType(dict(by_kind))


def _body(this: Any, exchange: Exchange, bounds: Bounds) -> Any:
    """What the peer has sent, as Python objects of our own."""
    if exchange.body is not NOT_CHECKED:
        return exchange.body
    if not this.is_json:
        raise Denied.of("body.media_type", reason="not JSON")
    own = held(this)
    try:
        return parse_json(read_body(this, bounds.max_bytes), bounds.json if own is None else own.json)
    except JsonRejected as rejected:
        raise rejected_json(rejected) from None


def _settles_who(declared: guard, state: AppState, endpoint: str) -> None:
    if not declared.models.demands_something:
        return
    methods = {method for rule in state.app.url_map.iter_rules(endpoint) for method in methods_of(rule)}
    for method in methods - {"HEAD", "OPTIONS"}:
        demands = [found for found, _ in state.guards_of(endpoint, method) if isinstance(found, require)]
        if declared.models.claim is not None and demands and all(found.optional for found in demands):
            raise ConfigError(
                f"{endpoint}: its ai.models(claim={declared.models.claim!r}) read a claim, and @require(optional=True) "
                "admits who has none. Write @require() above the view."
            )
        if not demands:
            raise ConfigError(
                f"{endpoint}: its ai.models ask for scopes and the like, and nobody is asked who they are. Put "
                "@require() above the view."
            )


def _budgets(given: Any) -> tuple[budget, ...]:
    found = (given,) if isinstance(given, budget) else given
    if not isinstance(found, (list, tuple)) or not all(isinstance(one, budget) for one in found):
        raise ConfigError('ai.guard(budget=...) takes ai.budget("100000/minute"), or a list of these.')
    return tuple(found)
