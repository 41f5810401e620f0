"""Which limits a request meets, for one extension in one app, and what a refusal answers.

A request is asked in two steps: before its view, by the limits of the app, of blueprints and by the defaults; and where
a function with limits of its own is called, by those. Of one step, all limits admit and are charged, or none is. It
does not decide where that is counted: that is ``counters``.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from flask import Flask, current_app, request
from flask.wrappers import Request
from werkzeug.wrappers import Response

from ..._native import Clock, Verdict
from ...errors import Denied
from ...exchange import EXTENSION
from ...guards import Guard, current_exchange
from ...limits import Counting, announce, keys, refused
from .config import Rules
from .constants import ExemptionScope
from .counters import Counters, told_apart
from .declared import Function
from .definitions import Limit, RuntimeLimit
from .errors import RateLimitExceeded
from .headers import StepFields
from .requests import Asked, Line, Passage
from .util import get_remote_address

if TYPE_CHECKING:
    from .extension import Limiter

FACES = "rampart-limiter"
"""Where an app keeps the faces of its extensions, in ``app.extensions``."""

_MOST_STEPS = 4096
_logger = logging.getLogger("flask-limiter")


class Step(NamedTuple):
    """What is asked of a request at one point, as far as it is known before."""

    view: Function | None
    version: int
    flags: ExemptionScope
    #: None where functions say what the limits are.
    limits: tuple[RuntimeLimit, ...] | None
    #: What counts them, where nothing but the address is still to be known; and their lines but for that.
    counting: Counting | None = None
    lines: tuple[Line, ...] = ()
    #: None for one line that costs one.
    costs: tuple[int, ...] | None = None
    #: Whether there is nothing to ask in any request.
    is_free: bool = False
    #: What answers tell of the only line, if the app wants that.
    fields: StepFields | None = None


class Face:
    """One extension in one app."""

    def __init__(self, limiter: Limiter, app: Flask, nth: int, clock: Clock | None) -> None:
        self.limiter = limiter
        self.app = app
        self._declared = limiter.declared
        self.rules = rules = Rules(limiter, app.config)
        self.counters = Counters(app, rules, nth, clock)
        # Where a request keeps its passage. An app may be called by a view of another one, each with its own request.
        self.key = f"_rampart_limiter_{nth}"
        self._steps: dict[tuple[Any, ...], Step] = {}
        #: What those who look are told of each limit, and whether it is one of the whole app.
        self.told: dict[tuple[Limit, bool], Guard] = {}
        for limit in (*rules.application, *rules.defaults, *rules.metas, *rules.fallback):
            limiter.declared.name(limit)
        rules.tell(app)

    def reset(self) -> bool:
        """Forgets what was counted, where it is this process's alone; False where others count, too."""
        self._steps.clear()
        return self.counters.reset()

    # What a request meets.

    def passage(self) -> Passage:
        """What is known of the current request."""
        return self._passage_of(request._get_current_object())  # type: ignore[attr-defined]

    def asked(self, this: Request) -> Asked | Passage | None:
        """What a request met, as it was noted; None if nothing was asked."""
        return this.__dict__.get(self.key)

    def _passage_of(self, this: Request) -> Passage:
        found = self.asked(this)
        if not isinstance(found, Passage):
            found = this.__dict__[self.key] = Passage.of(self, found)
        return found

    def identity(self) -> str:
        """What the current request is counted as."""
        identify = self.rules.identify
        return (identify() if identify is not None else None) or request.endpoint or ""

    def before_view(self) -> None:
        """Asks what is to be asked before the view."""
        this: Request = request._get_current_object()  # type: ignore[attr-defined]
        if not self.limiter.enabled:
            return
        rule = this.url_rule
        if rule is not None:
            self._ask(this, rule.endpoint, None)
        elif self.rules.identify is not None and self.rules.identify():
            # What no route matches is somebody's, too, if the app says so.
            self._ask(this, "", None)

    def before_function(self, function: Function) -> None:
        """Asks the limits of a function that is called."""
        this: Request = request._get_current_object()  # type: ignore[attr-defined]
        if this.endpoint is not None:
            self._ask(this, this.endpoint, function)

    def again(self) -> None:
        """Asks the limits of the current view once more."""
        self.passage().fell_back = False
        self.before_view()
        own = self.limiter.declared.of_view(self.app.view_functions.get(request.endpoint or ""), request.method)
        if own is not None:
            self.before_function(own)

    def within(self, limit: Limit) -> None:
        """Asks a limit of a part of a view."""
        this: Request = request._get_current_object()  # type: ignore[attr-defined]
        if this.endpoint is None or self._is_exempt(this.endpoint):
            return
        view = self.app.view_functions.get(this.endpoint)
        flags = self.limiter.declared.exemption(self.app, view, this.blueprint)
        self._evaluate(this, this.endpoint, limit.expanded(self.limiter.key_func), flags)

    def _ask(self, this: Request, endpoint: str, function: Function | None) -> None:
        view = self.app.view_functions.get(endpoint)
        key = (endpoint, this.method, function)
        step = self._steps.get(key)
        limits: tuple[RuntimeLimit, ...] | None = None
        if step is None or step.view is not view or step.version != self._declared.version:
            step, limits = self._make_step(this, endpoint, view, function)
            if len(self._steps) >= _MOST_STEPS:
                self._steps.clear()  # functions that are made and decorated in each request
            self._steps[key] = step
        if step.is_free:
            if self.key in this.__dict__:
                self._passage_of(this).met(())
            return
        if self.limiter.filters and self._is_filtered():
            return
        if step.counting is not None:
            self._evaluate_known(this, endpoint, step)
            return
        if limits is None:
            limits = step.limits
        if limits is None:
            limits = self._gather(this, endpoint, view, function, step.flags)[0]
        self._evaluate(this, endpoint, limits, step.flags)

    def _is_exempt(self, endpoint: str) -> bool:
        return self.is_of_files(endpoint) or self._is_filtered()

    def _is_filtered(self) -> bool:
        return any(admits() for admits in self.limiter.filters)

    def is_of_files(self, endpoint: str) -> bool:
        """Whether it is Flask's own view of static files. A view of the app's that is called so is one like others."""
        view = self.app.view_functions.get(endpoint)
        module = getattr(view, "__module__", None) or ""
        return endpoint.rpartition(".")[2] == "static" and module.partition(".")[0] == "flask"

    def _make_step(
        self, this: Request, endpoint: str, view: Function | None, function: Function | None
    ) -> tuple[Step, tuple[RuntimeLimit, ...]]:
        """What is known of one step, and the limits that this request meets there."""
        declared = self.limiter.declared
        version = declared.version
        if self.is_of_files(endpoint):
            return Step(view, version, ExemptionScope.NONE, (), is_free=True), ()
        flags = declared.exemption(self.app, view, this.blueprint)
        limits, is_fixed = self._gather(this, endpoint, view, function, flags)
        if not is_fixed:
            return Step(view, version, flags, None), limits
        rules = self.rules
        step = Step(view, version, flags, limits, is_free=not limits and not rules.metas)
        if not limits or rules.metas or rules.identify is not None or rules.fallback:
            return step, limits
        lines = []
        for limit in sorted(limits, key=_unit):
            if limit.exempt_when or limit.deduct_when or callable(limit.cost) or limit.meta_limits:
                return step, limits
            if callable(limit.scope) or limit.key_func is not get_remote_address:
                return step, limits
            method = limit.counted_as(this.method)
            if method is not None:
                lines.append(self._line(this, limit, endpoint, method))
        if not lines:
            return step, limits
        entries, _ = told_apart(lines)
        if len(entries) < len(lines):
            return step, limits
        counting = self.counters.set_of(tuple([(line.scope, line.limit.limit, line.kind) for line in entries]))
        costs = tuple([line.limit.deduction_amount for line in lines])
        step = step._replace(counting=counting, lines=tuple(lines), costs=None if costs == (1,) else costs)
        if rules.headers_enabled and len(lines) == 1:
            step = step._replace(fields=StepFields.of(rules, lines[0].limit.limit.amount, self.counters.clock.now))
        return step, limits

    def _gather(
        self, this: Request, endpoint: str, view: Function | None, function: Function | None, flags: ExemptionScope
    ) -> tuple[tuple[RuntimeLimit, ...], bool]:
        """The limits of one step, and whether they are the same in each request."""
        declared, rules = self.limiter.declared, self.rules
        own = declared.of_view(view, this.method)
        around: list[Limit] = []
        asked: list[Limit] = []
        found: tuple[RuntimeLimit, ...] = ()
        if function is None:
            if not flags & ExemptionScope.APPLICATION:
                asked += rules.application
            if own is not None:
                # Its own limits say whether these hold, when it is called.
                return self._expand(asked), all(limit.is_fixed for limit in asked)
        else:
            around += declared.of_function(function)
            found = self._expand(around)
        # By the quotas that there are: a function may say that there is none.
        if (function is None or function is own) and all(not quota.override_defaults for quota in found):
            above = declared.of_blueprints(self.app, this.blueprint)
            around += above
            found += self._expand(above)
        is_fixed = all(limit.is_fixed for limit in (*asked, *around))
        if (function is None or function is own) and not flags & ExemptionScope.DEFAULT:
            counted = [limit for limit in found if limit.counted_as(this.method) is not None]
            if not counted or all(not limit.override_defaults for limit in found):
                asked += rules.defaults
                is_fixed = is_fixed and all(limit.is_fixed for limit in rules.defaults)
        return (*self._expand(asked), *found), is_fixed

    def _expand(self, limits: Iterable[Limit]) -> tuple[RuntimeLimit, ...]:
        by = self.limiter.key_func
        return tuple([quota for limit in limits for quota in limit.expanded(by)])

    # Asking.

    def _line(self, this: Request, limit: RuntimeLimit, endpoint: str, method: str, *, here: bool = False) -> Line:
        rules = self.rules
        # An identity that is empty is no way out.
        identity = endpoint if rules.identify is None else (rules.identify() or endpoint)
        said = limit.scope(endpoint) if callable(limit.scope) else None
        scope = limit.scope_for(identity, method, said)
        address = this.environ.get("REMOTE_ADDR") or ""
        if limit.key_func is get_remote_address:
            kind, key, shown = "address", address, get_remote_address()
        else:
            kind, value = "text", limit.key_func()
            shown = "" if value is None else value.decode() if isinstance(value, bytes) else str(value)
            key = keys.of_value(limit.key_func, shown)
            if not key:
                key, shown = keys.of_address(address, self.counters.settings.ipv6_prefix), address
        shown_as = (rules.prefix, shown, scope) if rules.prefix else (shown, scope)
        return Line(limit, self.counters.name(limit, scope), kind, key, shown_as, here)

    def _evaluate_known(self, this: Request, endpoint: str, step: Step) -> None:
        """Limits by address alone, of which everything else is known: most are."""
        lines, counting = step.lines, step.counting
        assert counting is not None  # noqa: S101 - for types
        address = this.environ.get("REMOTE_ADDR") or ""
        if step.costs is None:
            verdict = counting.check((address,))
        else:
            verdict = counting.check((address,) * len(lines), step.costs)
        state = this.__dict__
        before = state.get(self.key)
        if verdict.admitted and (before is None or type(before) is tuple):
            # Of one limit the answer tells what was said, so that it need not be asked again.
            fields = step.fields
            state[self.key] = (step, address, verdict, 0.0 if fields is None else fields.now())
            return
        passage = self._passage_of(this)
        passage.met(lines, (), address)
        if not verdict.admitted:
            moved = tuple([line.moved(address) for line in lines])
            self._refuse(endpoint, moved, range(len(lines)), verdict, passage)

    def _evaluate(self, this: Request, endpoint: str, limits: Sequence[RuntimeLimit], flags: ExemptionScope) -> None:
        passage = self._passage_of(this)
        try:
            self._evaluate_at(this, endpoint, limits, flags, passage, here=False)
        except Denied as denied:
            if denied.problem.code != "store.unavailable" or not self.rules.fallback:
                raise
            # They stand for all limits of a request, so one that is asked in two steps is charged once.
            if not passage.fell_back:
                passage.fell_back = True
                self._evaluate_at(this, endpoint, self._expand(self.rules.fallback), flags, passage, here=True)

    def _evaluate_at(
        self,
        this: Request,
        endpoint: str,
        limits: Sequence[RuntimeLimit],
        flags: ExemptionScope,
        passage: Passage,
        *,
        here: bool,
    ) -> None:
        if not flags & ExemptionScope.META:
            self._ask_metas(this, endpoint, self._metas_of(limits), passage, here=here)
        lines = []
        for limit in sorted(limits, key=_unit):
            method = limit.counted_as(this.method)
            if method is not None and not limit.is_exempt:
                lines.append(self._line(this, limit, endpoint, method, here=here))
        if not lines:
            passage.met(())
            return
        verdict, entry_of = self.counters.charge(lines, passage)
        passage.met(tuple(lines))
        if not verdict.admitted:
            self._refuse(endpoint, tuple(lines), entry_of, verdict, passage)

    def _metas_of(self, limits: Iterable[RuntimeLimit]) -> list[RuntimeLimit]:
        above = (meta for limit in limits for meta in limit.meta_limits or ())
        return [meta for meta in (*self._expand(self.rules.metas), *above) if not meta.is_exempt]

    def _ask_metas(
        self, this: Request, endpoint: str, metas: Sequence[RuntimeLimit], passage: Passage, *, here: bool
    ) -> None:
        for meta in metas:
            line = self._line(this, meta, endpoint, this.method, here=here)
            verdict = self.counters.of(line).peek((line.key,), meta.deduction_amount)
            if verdict.admitted:
                continue
            passage.met((line,), (0,))
            passage.wait = verdict.retry_after if verdict.payable else None
            answer = self._told((meta.on_breach or self.rules.on_meta_breach,), passage.limits[0])
            self._raise(meta, answer, verdict)

    def _refuse(
        self,
        endpoint: str,
        lines: tuple[Line, ...],
        entry_of: Sequence[int],
        verdict: Verdict,
        passage: Passage,
    ) -> None:
        refusing = tuple([nth for nth, entry in enumerate(entry_of) if entry in verdict.refusing])
        if self.rules.fail_on_first_breach:
            refusing = refusing[:1]
            lines = lines[: refusing[0] + 1]
        passage.met(lines, refusing)
        passage.wait = verdict.retry_after if verdict.payable else None
        answer = None
        for nth in refusing:
            line = lines[nth]
            _logger.info("The limit %s was exceeded at %s.", line.limit.limit, line.shown[-1])
            answer = self._told((self.rules.on_breach, line.limit.on_breach), passage.limits[nth]) or answer
        self._count_metas(endpoint, [lines[nth] for nth in refusing])
        self._raise(lines[refusing[0]].limit, answer, verdict)

    def _count_metas(self, endpoint: str, failed: Sequence[Line]) -> None:
        this: Request = request._get_current_object()  # type: ignore[attr-defined]
        for meta in self._metas_of(line.limit for line in failed):
            line = self._line(this, meta, endpoint, this.method, here=failed[0].here)
            # Who is refused already stays refused, also if a store is away by now.
            with contextlib.suppress(Denied):
                self.counters.of(line).check((line.key,))

    def _told(self, callbacks: Iterable[Callable[..., Any] | None], limit: Any) -> Any:
        answer = None
        for callback in dict.fromkeys(callbacks):
            if callback is None:
                continue
            try:
                said = callback(limit)
            except Exception:
                if not self.rules.swallow_errors:
                    raise
                _logger.exception("A callback of a limit failed.")
                continue
            if isinstance(said, Response):
                answer = said
        return answer

    def _raise(self, limit: RuntimeLimit, answer: Any, verdict: Verdict) -> None:
        if EXTENSION in self.app.extensions or self.counters.settings.error_format == "problem":
            denied = refused(verdict)
            if EXTENSION in self.app.extensions:
                exchange = current_exchange()
                denied = exchange.refuse(denied)
                announce(exchange, verdict, enforced=True)
            if answer is None and self.counters.settings.error_format == "problem":
                answer = denied.to_response(current_app.response_class)
        raise RateLimitExceeded(limit, answer)


def _unit(limit: RuntimeLimit) -> int:
    return limit.limit.GRANULARITY.seconds
