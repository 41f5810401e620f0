"""Steps that look at texts: what is hidden, personal data, what the model must not tell, links.

The filters are native, linear in the text, and give for a text that is cut in pieces what they give for the whole.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from .. import _native
from ..errors import ConfigError, Denied
from ..redaction import Redactor
from .filters import Stage
from .steps import Step
from .visiting import Visitor

if TYPE_CHECKING:
    from ..guards import AppState
    from .calls import Call

OnFinding = Literal["replace", "refuse", "report"]


class _Each(Visitor):
    def __init__(self, treat: Callable[[str, str], str], call: Call) -> None:
        self._treat = treat
        self._call = call

    def text(self, text: str, role: str) -> str:
        return self._treat(text, role)

    def name(self, name: str, role: str) -> str:
        return self._treat(name, role)

    def reference(self, given: str, role: str) -> str:
        try:
            is_clean = self._treat(given, role) == given
        except Denied:
            is_clean = False  # ids are random, and now and then one looks like a card: nobody is refused for that
        return given if is_clean else self._call.alias(given)


def refused(rule: str) -> Denied:
    """The refusal of a prompt in which a step has found something."""
    return Denied.of("ai.refused", reason=rule)


def made(plan: Callable[[], Any], where: str) -> Any:
    """A native filter.

    :raises ConfigError: if its parameters cannot be meant.
    """
    try:
        return plan()
    except (ValueError, TypeError) as error:
        raise ConfigError(f"{where}: {error}") from None


class clean(Step):  # noqa: N801 - read as a verb in a list of steps
    """Removes what people do not see and models, terminals and browsers do: escape sequences of terminals, tags of
    Unicode, zero-width characters, bidi controls, variation selectors that carry bytes.

    For prompts and answers. Rules: ``ansi.*`` and ``invisible.*``. What emoji and scripts need stays.

    :param private_use: whether characters of private use stay.
    :param on_finding: ``"replace"``, ``"refuse"`` or ``"report"``.
    """

    name: ClassVar[str] = "clean"
    on_input = on_output = True
    modes = ("replace", "refuse", "report")

    def __init__(self, *, private_use: bool = True, on_finding: OnFinding | None = None) -> None:
        self.on_finding = self.mode(on_finding)
        plans = [
            made(_native.AnsiFilter, "ai.clean()"),
            made(lambda: _native.InvisibleFilter(private_use=private_use), "ai.clean(private_use=...)"),
        ]
        self._plan = _native.AiChain(plans)

    def incoming(self, call: Call, body: dict[str, Any]) -> dict[str, Any]:
        def treat(text: str, role: str) -> str:
            cleaned, findings, stopped = self._plan.apply(text)
            for rule, (count, _) in findings.items():
                call.findings[rule] += count
            if stopped is not None and self.on_finding != "report":
                raise refused(stopped)
            if findings and self.on_finding == "refuse":
                raise refused(next(iter(findings)))
            return text if self.on_finding == "report" else cleaned

        return call.shape.prompt(body, _Each(treat, call))

    def stage(self, call: Call, channel: str) -> Stage:
        return Stage(self._plan.stream(), self.on_finding)


class pii(Step):  # noqa: N801
    """Takes personal data and secrets out of a prompt; with ``restore()``, the answer gets them back.

    :param entities: what is looked for, as in ``Redactor(entities=...)``; what ``RAMPART_REDACT`` says, if neither
        this nor *redactor* is given.
    :param redactor: what finds it.
    :param restore: True: each value becomes a placeholder of this request's own, ``<k3f9qzab_1_EMAIL_ADDRESS>``. False:
        what the redactor's operators say.
    :param on_finding: ``"replace"``, ``"refuse"`` or ``"report"``.

    Rules: ``pii.<ENTITY>``. A value that has neither shape nor name is not found: a name of a person, say.
    """

    name: ClassVar[str] = "pii"
    on_input = True
    modes = ("replace", "refuse", "report")

    def __init__(
        self,
        entities: Sequence[str] | None = None,
        *,
        redactor: Redactor | None = None,
        restore: bool = True,
        on_finding: OnFinding | None = None,
    ) -> None:
        self.on_finding = self.mode(on_finding)
        self.restore = restore and self.on_finding == "replace"
        self._redactor = _redactor("pii", entities, redactor)

    def prepare(self, state: AppState, endpoint: str) -> None:
        self._redactor = self._redactor or state.services[Redactor]

    def incoming(self, call: Call, body: dict[str, Any]) -> dict[str, Any]:
        redactor = self._redactor or call.state.services[Redactor]

        def treat(text: str, role: str) -> str:
            found = redactor.native.scan(text)
            if not found:
                return text
            for entity, *_ in found:
                call.findings[f"pii.{entity}"] += 1
            if self.on_finding == "refuse":
                raise refused(f"pii.{found[0][0]}")
            if self.on_finding == "report":
                return text
            return call.placeholders.hide(text, redactor.native) if self.restore else redactor.redact(text)

        return call.shape.prompt(body, _Each(treat, call))


class restore(Step):  # noqa: N801
    """Puts back into the answer what ``pii()`` has taken out of the prompt.

    Only placeholders of this very request mean something: others, whoever wrote them, are left as they stand
    (``placeholder.unknown``). Inside a URL nothing is put back (``placeholder.url``).
    """

    name: ClassVar[str] = "restore"
    on_output = True
    modes = ("replace",)
    on_finding = "replace"

    def stage(self, call: Call, channel: str) -> Stage | None:
        if not len(call.placeholders):
            return None
        return Stage(call.placeholders.restorer().stream())


class redact(Step):  # noqa: N801
    """Hides personal data and secrets that the model tells by itself.

    :param entities: as in ``pii``.
    :param redactor: as in ``pii``.
    :param on_finding: ``"replace"``, ``"refuse"`` or ``"report"``.
    """

    name: ClassVar[str] = "redact"
    on_output = True
    modes = ("replace", "refuse", "report")

    def __init__(
        self,
        entities: Sequence[str] | None = None,
        *,
        redactor: Redactor | None = None,
        on_finding: OnFinding | None = None,
    ) -> None:
        self.on_finding = self.mode(on_finding)
        self._redactor = _redactor("redact", entities, redactor)

    def prepare(self, state: AppState, endpoint: str) -> None:
        self._redactor = self._redactor or state.services[Redactor]

    def stage(self, call: Call, channel: str) -> Stage:
        redactor = self._redactor or call.state.services[Redactor]
        return Stage(_Redacting(redactor), self.on_finding)


class links(Step):  # noqa: N801
    """Lets an answer link to named hosts alone. What a page fetches by itself, an image, carries data away without
    anybody's click (CVE-2025-32711).

    :param allow: hosts: ``"docs.example"``, ``"*.docs.example"``.
    :param schemes: of what is allowed.
    :param images: ``"remove"``: none is left, wherever it is from; ``"keep"``: those of *allow* stay. Those of other
        hosts always go.
    :param others: what becomes of links to other hosts: ``"defang"`` (a reader sees where, and nothing follows it),
        ``"remove"``.
    :param relative: whether links within the same site stay.
    :param on_finding: ``"replace"``, ``"refuse"`` or ``"report"``.

    Rules: ``links.*``. Markdown of every style, HTML, and bare URLs of any scheme: ``word://``, ``//host.tld`` and
    ``mailto:`` go unless they are allowed. An e-mail address in the text stays.
    """

    name: ClassVar[str] = "links"
    on_output = True
    modes = ("replace", "refuse", "report")

    def __init__(
        self,
        allow: Iterable[str] = (),
        *,
        schemes: Iterable[str] = ("https",),
        images: Literal["remove", "keep"] = "remove",
        others: Literal["defang", "remove"] = "defang",
        relative: bool = False,
        on_finding: OnFinding | None = None,
    ) -> None:
        self.on_finding = self.mode(on_finding)
        hosts = [allow] if isinstance(allow, str) else list(allow)
        self._plan = made(
            lambda: _native.LinkFilter(
                hosts=hosts, schemes=list(schemes), images=images, links=others, relative=relative
            ),
            "ai.links(...)",
        )

    def stage(self, call: Call, channel: str) -> Stage:
        return Stage(self._plan.stream(), self.on_finding)


class leak(Step):  # noqa: N801
    """Ends an answer that tells what the model was told in confidence: a canary, or the system prompt.

    :param canary: 8 to 64 letters and digits that stand in the system prompt and nowhere else, such as
        ``ai.new_canary()`` makes; found reversed, in hex, base64, ROT13 and in letters that look alike, too.
    :param prompt: the system prompt, or a function without arguments that returns it, asked once for each answer: told
        in its own words, it is found; in others, or in another language, it is not.
    :param allow: passages of it that may be told.
    :param on_finding: ``"refuse"`` (the default: the choice ends), ``"replace"`` or ``"report"``.

    Rules: ``canary.*`` and ``leak.*``.
    """

    name: ClassVar[str] = "leak"
    on_output = True
    modes = ("refuse", "replace", "report")

    def __init__(
        self,
        *,
        canary: str | Iterable[str] | None = None,
        prompt: str | Callable[[], str] | None = None,
        allow: Iterable[str] = (),
        on_finding: OnFinding | None = None,
    ) -> None:
        self.on_finding = self.mode(on_finding)
        self._on_find: Any = "replace" if self.on_finding == "replace" else "stop"
        self._allow = list(allow)
        if canary is None and prompt is None:
            raise ConfigError("ai.leak() looks for nothing: give canary=, prompt=, or both.")
        tokens = [canary] if isinstance(canary, str) else list(canary or ())
        self._canary = (
            made(lambda: _native.CanaryFilter(tokens, on_find=self._on_find), "ai.leak(canary=...)") if tokens else None
        )
        self._prompt = prompt if callable(prompt) else None
        self._leak = self._plan(prompt) if isinstance(prompt, str) else None

    def _plan(self, prompt: str) -> Any:
        return made(lambda: _native.LeakFilter(prompt, allow=self._allow, on_find=self._on_find), "ai.leak(prompt=...)")

    def stage(self, call: Call, channel: str) -> Stage:
        # An answer has many texts, and what they are held against is made of the prompt once.
        chain = call.kept(self, self._chain)
        return Stage(chain.stream(), self.on_finding)

    def _chain(self) -> Any:
        leak = self._plan(self._prompt()) if self._prompt is not None else self._leak
        plans = [plan for plan in (self._canary, leak) if plan is not None]
        return _native.AiChain(plans) if len(plans) > 1 else plans[0]


class _Redacting:
    """A redactor's stream, as a filter."""

    stopped: str | None = None

    def __init__(self, redactor: Redactor) -> None:
        self._stream = redactor.stream()

    def feed(self, text: str) -> str:
        return self._stream.feed(text)

    def finish(self) -> str:
        return str(self._stream.finish())

    @property
    def findings(self) -> dict[str, tuple[int, Sequence[int]]]:
        counts = Counter(f"redact.{found.entity}" for found in self._stream.findings)
        return {rule: (count, ()) for rule, count in counts.items()}


def _redactor(step: str, entities: Sequence[str] | None, redactor: Redactor | None) -> Redactor | None:
    if redactor is not None and (entities is not None or not isinstance(redactor, Redactor)):
        raise ConfigError(f"ai.{step}(...) takes entities= or redactor=, a Redactor.")
    return redactor if entities is None else Redactor(entities=entities)
