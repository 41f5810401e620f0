"""Steps: what is done to prompts and answers, and in which order that makes sense.

A guard is told its steps in the order in which they are done. Some orders would undo what they promise; these are
refused at import, with the reason. In short: on the way in, first what is cheap and what is hidden, then personal data,
and only then who else is asked; on the way out, first what looks for what the model must not say, then what puts
personal data back, and last what looks at links and shape, since whatever leaves has to have been seen by these.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from ..errors import ConfigError
from ..readers import nearest

if TYPE_CHECKING:
    from ..guards import AppState
    from .calls import Call
    from .filters import Stage


class Step:
    """Something that is done to each prompt, or to each answer."""

    name: ClassVar[str] = ""
    on_input: ClassVar[bool] = False
    on_output: ClassVar[bool] = False
    #: What its findings may do; the first is what they do unless something is said.
    modes: ClassVar[tuple[str, ...]] = ("refuse",)
    on_finding: str = "refuse"

    def mode(self, given: str | None) -> str:
        """:raises ConfigError: for what its findings cannot do."""
        if given is None:
            return self.modes[0]
        if given not in self.modes:
            raise ConfigError(
                f"ai.{self.name}(on_finding={given!r}): it is one of {', '.join(map(repr, self.modes))}."
                f"{nearest(str(given), self.modes)}"
            )
        return given

    def __repr__(self) -> str:
        return f"ai.{self.name}()"

    def prepare(self, state: AppState, endpoint: str) -> None:
        """Before the first request.

        :raises ConfigError: if it cannot work in this app.
        """

    def incoming(self, call: Call, body: dict[str, Any]) -> dict[str, Any]:
        """A prompt, treated.

        :raises Denied: if it is refused.
        """
        return body

    def stage(self, call: Call, channel: str) -> Stage | None:
        """What looks at one text of an answer; None if nothing."""
        return None


def check_order(given: Sequence[Any], way: str) -> tuple[Step, ...]:
    """The steps of ``input=`` or ``output=``.

    :raises ConfigError: for what is no step, not of this way, there twice, or in an order that would not hold.
    """
    if not isinstance(given, (list, tuple)):
        raise ConfigError(f"ai.guard({way}=...) is a list of steps, such as [ai.clean()].")
    found: list[Step] = []
    for step in given:
        if isinstance(step, type) and issubclass(step, Step):
            raise ConfigError(f"ai.guard({way}=[...]): write ai.{step.name}(...), with parentheses.")
        if not isinstance(step, Step):
            raise ConfigError(f"ai.guard({way}=[...]): {type(step).__name__} is no step of flask_rampart.ai.")
        if not (step.on_input if way == "input" else step.on_output):
            other = "output" if way == "input" else "input"
            raise ConfigError(f"ai.{step.name}() is about the {other}: put it into {other}=[...].")
        if step.name != "check" and any(step.name == before.name for before in found):
            raise ConfigError(f"ai.guard({way}=[...]) has ai.{step.name}() twice; say all of it in one.")
        hides = next((before for before in found if before.name == "clean" and before.on_finding == "report"), None)
        if hides is not None and step.on_finding != "report" and step.name in ("pii", "leak", "redact", "links"):
            raise ConfigError(
                f"ai.guard({way}=[...]): ai.clean(on_finding='report') leaves where it is what nobody sees, and it "
                f"hides from ai.{step.name}() what that looks for. Say ai.clean(), or 'refuse'."
            )
        for before in found:
            reason = _NOT_BEFORE[way].get((before.name, step.name))
            if reason:
                raise ConfigError(
                    f"ai.guard({way}=[...]): ai.{before.name}() stands before ai.{step.name}(): {reason}. "
                    "Change their places."
                )
        found.append(step)
    return tuple(found)


_NOT_BEFORE: Mapping[str, Mapping[tuple[str, str], str]] = {
    "input": {
        ("pii", "clean"): "characters that nobody sees would cut an address in two, and it would not be found",
        ("check", "clean"): "the check would read another text than the model does",
        ("check", "pii"): "personal data would be handed to the check, and to whoever it asks",
        **{
            ("check", cheap): "the check would be asked about what is refused anyway"
            for cheap in ("max_chars", "max_tokens", "max_messages", "roles", "parts", "tools")
        },
    },
    "output": {
        **{
            (later, "clean"): "characters that nobody sees would hide from it what it looks for"
            for later in ("leak", "redact", "restore", "links")
        },
        ("restore", "redact"): "what was put back would be redacted at once, or take part in what redact() finds",
        ("restore", "leak"): "the client's own data, put back, would be taken for a leak, or hide one",
        ("redact", "leak"): "what redact() replaces would cut a leaked prompt into pieces that are not known again",
        ("links", "restore"): "personal data would be put back into links after these were looked at",
        ("links", "redact"): "a link would be judged by another text than the one that leaves",
        ("links", "leak"): "a prompt that is leaked in a link would be gone before it is looked for",
        **{
            ("schema", later): "the answer would be changed after it was held against its schema"
            for later in ("clean", "leak", "redact", "restore", "links", "max_tokens")
        },
        **{
            (before, "max_tokens"): "what the cap cuts off would have been looked at for nothing"
            for before in ("links", "restore")
        },
        **{
            (before, "max_chars"): "what the cap cuts off would have been looked at for nothing"
            for before in ("links", "restore")
        },
        ("schema", "max_chars"): "the answer would be changed after it was held against its schema",
    },
}
