"""The joint: the one place where guards meet requests.

A guard is declared on a view (:class:`Guard` is its own decorator), bound once to an app before the
first request, and run once for each request, in the order of its :class:`Stage`:

1. the hook, first in ``before_request``, runs all guards of the matched view, and *returns* a refusal
   (or raises it, where the app has an error handler for it);
2. the wrapper around the view runs those of its guards that have not run yet, and *raises*: whoever
   called it must not go on;
3. only Flask's automatic answer to OPTIONS skips the stages after ``ARRIVAL``; a browser's preflight, which no user
   of the app has asked for, also skips what says so (``Guard.meets_preflights``).

Fail closed: an exception in a guard refuses, with 503 if it is that records cannot be read (``checks``), and so does
what cannot be bound (:meth:`AppState.seal`); an app with guarded views that has no extension answers 503
(``uninitialised``); a guard of which nothing is known to have run, runs.

A guard that asks by itself (``Guard.asks_itself``) is met where it is written, when the view is called: the joint
knows of it, and runs it only where it was put on a blueprint or the app. What another extension of the app asks is told
to the joint by :func:`tell`, for those who look (:meth:`AppState.known_of`), and never run.

A new guard opens neither this file nor any other of the joint's: it is a subclass of :class:`Guard`.
"""

from __future__ import annotations

import enum
import weakref
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from flask import Flask, current_app, request

from . import declarations
from .checks import Check, answer, is_preflight, raised, run, undeclared, unreadable
from .config import Settings, snapshot
from .declarations import declare, declared_around, declared_on, hidden_over, wear
from .errors import ConfigError
from .exchange import ENVIRON_KEY, EXTENSION, PUT_OFF_KEY, Exchange
from .locks import Lock
from .opening import Tries
from .stores import StoreError
from .uninitialised import not_initialised

if TYPE_CHECKING:
    from types import TracebackType

    from flask import Request
    from werkzeug.routing import Rule
    from werkzeug.wrappers import Response

    from .errors import Denied

T = TypeVar("T")
_EXCHANGE = "_rampart_exchange"
_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"))
_MOST_EXTRA = 1024
_TELLING = "rampart-telling"
_TRACER = "opentelemetry.instrumentation.flask"


class Stage(enum.IntEnum):
    """When a guard runs, cheapest and least trusting first."""

    ARRIVAL = 0
    """By what the network says: address limits."""
    IDENTITY = 1
    """Who it is."""
    QUOTA = 2
    """How often, by who it is."""
    PERMISSION = 3
    """Whether they may."""
    PAYLOAD = 4
    """With what."""
    RECORD = 5
    """What is remembered: of what all others have admitted."""


class Guard:
    """Something that may refuse a request. The joint's one extension point.

    A subclass sets :attr:`stage` and :attr:`name`, and implements :meth:`bind`. An instance is a
    decorator for functions, ``async`` functions, methods and view classes.
    """

    __rampart_guard__: ClassVar[bool] = True  # declarations.MARK
    stage: Stage
    name: ClassVar[str] = "guard"
    #: Whether declaring it opens a view under ``RAMPART_DEFAULT = "deny"``.
    opens: ClassVar[bool] = False
    #: Whether it does nothing but open: then a subclass of a view class does not inherit it.
    only_opens: bool = False
    #: Whether it comes after the others of its stage, which may have done its work.
    comes_last: ClassVar[bool] = False
    #: Whether it is asked about a browser's preflights too, where Flask answers these by itself.
    meets_preflights: bool = True
    #: Whether it stands on all views unless something nearer is said: then a list of guards leaves it out.
    is_everywhere: bool = False
    #: Guards that are declared with this one, for what must happen at another stage.
    companions: tuple[Guard, ...] = ()
    #: Whether it is asked by its own wrapper alone (:meth:`ask`), each time when the view is called, also where there
    #: is no ``Rampart(app)``: for what needs what the app's ``before_request`` functions prepare.
    asks_itself: ClassVar[bool] = False
    #: Where it was first declared, ``module.qualname``: the same in every worker.
    place: str = ""

    def __call__(self, target: T) -> T:
        self.place = self.place or f"{getattr(target, '__module__', '')}.{getattr(target, '__qualname__', '')}"
        for companion in self.companions:
            target = companion(target)
        return declare(self, target, demand)

    def stands_on(self, wrapper: T) -> T:
        """Notes a guard that asks by itself on a wrapper of somebody else's that does so."""
        return wear(self, wrapper)

    def ready(self, app: Flask) -> None:
        """Called at start-up, for each view that a guard which asks by itself stands on.

        :raises ConfigError: if it cannot work in this app.
        """

    def ask(self) -> None:
        """What the wrapper of a guard that asks by itself calls before the view. Raises to refuse.

        :raises ConfigError: if a class asks by itself and does not say how.
        """
        raise ConfigError(f"{type(self).__name__} has no ask(), so it would guard nothing.")

    @classmethod
    def bind(cls, guards: Sequence[tuple[Any, str]], state: AppState, endpoint: str) -> Check | None:
        """One check for all the guards of this class and stage that stand on one view.

        :param guards: each with the place where it was declared (see ``declarations.declared_on``).
        :raises ConfigError: at start-up, if one of them cannot work in this app.
        """
        raise ConfigError(f"{cls.__name__} has no bind(), so it would guard nothing.")


class Plan:
    """The guards of one view, bound and in order."""

    __slots__ = ("arrival", "checks", "guards", "preflight", "view")

    def __init__(
        self,
        view: Any,
        guards: frozenset[Guard],
        arrival: Sequence[Check],
        rest: Sequence[Check],
        preflight: Sequence[Check],
    ):
        self.view = view
        self.guards = guards
        #: What runs even where Flask answers OPTIONS by itself.
        self.arrival = tuple(arrival)
        #: What of it runs for a browser's preflight.
        self.preflight = tuple(preflight)
        self.checks = (*arrival, *rest)


class AppState:
    """What one app keeps, at ``app.extensions["rampart"]``. Made by the extension."""

    def __init__(self, app: Flask, settings: Settings, services: dict[type, Any]) -> None:
        self.app = app
        self.settings = settings
        #: What rooms offer each other, by type; handed over at start-up, since rooms do not import rooms.
        self.services = services
        self.app_guards: tuple[Guard, ...] = ()
        #: Told of every refusal, before anybody else: it is remembered. Raises nothing.
        self.record_refusal: Callable[[Exchange, Denied], None] | None = None
        #: Endpoints of our own that must answer everybody: of the app's guards, they meet those of arrival alone.
        self.open_endpoints: set[str] = set()
        #: Endpoints of our own that no document of the app's need have.
        self.own_endpoints: set[str] = set()
        #: Those of them that show what is counted. What they answer is counted apart from the app's.
        self.looking_endpoints: set[str] = set()
        #: Asked for more guards of a view and method, which are written down in no code: in a contract, say. For the
        #: same view and method they give the same ones.
        self.sources: list[Callable[[str, str], Iterable[Guard]]] = []
        #: Called once, before the first request, when all views are known.
        self.at_seal: list[Callable[[Flask], None]] = []
        self._config = snapshot(app.config)
        self._plans: dict[tuple[str, str], Plan] = {}
        self._extra: dict[tuple[Guard, ...], Plan] = {}
        self._seat: dict[Guard, str] = {}
        self._epoch = 0
        self.sealed = False
        self._failed: Exception | None = None
        self._failed_at: TracebackType | None = None
        self._tries = Tries()
        self._lock = Lock(reentrant=True)

    def exchange(self, request: Any) -> Exchange:
        """This app's exchange for a request object."""
        state = request.__dict__
        exchange: Exchange | None = state.get(_EXCHANGE)
        if exchange is not None:
            return exchange if exchange.owner is self else self._other(state, exchange)
        seen = weakref.ref(request)
        exchange = request.environ.get(ENVIRON_KEY)
        # The edge's own, and one request's: claimed in one step, since a middleware in between may ask by several
        # threads at once, each with a copy of the environ. Whoever calls this app again, with that of a request that is
        # under way, gets another. What was decided of one of a batch says nothing of the next.
        if exchange is not None and exchange.owner is self and exchange.__dict__.setdefault("request", seen) is seen:
            request.environ.pop(ENVIRON_KEY, None)
            # A copy, as Socket.IO's is: what guards take out of the request, the view must not find.
            exchange.environ = request.environ
        else:
            exchange = self._without_edge(request.environ)
            exchange.request = seen
        state[_EXCHANGE] = exchange
        return exchange

    def _other(self, state: dict[str, Any], first: Exchange) -> Exchange:
        """For a request of another app's: somebody pushed this app's context while that one was under way."""
        others: dict[AppState, Exchange] = state.setdefault(_EXCHANGE + "s", {})
        if self not in others:
            others[self] = self._without_edge(first.environ)
            others[self].request = first.request
        return others[self]

    def _without_edge(self, environ: dict[str, Any]) -> Exchange:
        exchange = Exchange(self, environ)
        exchange.sees_answer = False
        owner, put_off = environ.get(PUT_OFF_KEY) or (None, None)
        if owner is self:
            exchange.put_off = put_off
        return exchange

    def hook(self) -> Response | None:
        """Runs all guards of the matched view. First in ``before_request``."""
        this = request._get_current_object()  # type: ignore[attr-defined]
        app = self.app
        if not self.sealed:
            denied = self._sealing(this)
            if denied is not None:
                return answer(app, denied, this.blueprints)
        exchange = self.exchange(this)
        rule = this.url_rule
        if exchange.put_off is not None:
            met = () if rule is None else self.plan(rule.endpoint, this.method).guards
            denied = exchange.put_off(exchange, met)
            if denied is not None:
                exchange.route = rule and rule.rule
                return answer(app, exchange.refuse(denied), this.blueprints)
        if rule is None:
            return None
        exchange.route = rule.rule
        if self._epoch != declarations.epoch():
            self._replan()
        plan = self._plans.get((rule.endpoint, this.method))
        if plan is None or plan.view is not app.view_functions.get(rule.endpoint):
            plan = self.plan(rule.endpoint, this.method)
        if plan.guards and plan.guards <= exchange.ran:
            return None
        if this.method == "OPTIONS" and getattr(rule, "provide_automatic_options", False):
            denied = run(exchange, plan.preflight if is_preflight(exchange) else plan.arrival)
            if denied is None:
                return None
        else:
            denied = run(exchange, plan.checks)
            if denied is None:
                exchange.ran = exchange.ran | plan.guards if exchange.ran else plan.guards
                return None
        exchange.refuse(denied)
        return answer(app, denied, this.blueprints)

    def demand(self, exchange: Exchange, guards: tuple[Guard, ...]) -> None:
        """Runs those of *guards* that have not run, and raises a refusal."""
        missing = tuple(guard for guard in guards if guard not in exchange.ran)
        if not missing:
            return
        plan = self._extra.get(missing)
        if plan is None:
            # Where a guard has a place of its own, it keeps its counters when called from elsewhere.
            seat = next((self._seat[guard] for guard in missing if guard in self._seat), None)
            endpoint = seat or missing[0].place
            plan = self._bind(None, [(guard, "") for guard in missing], endpoint)
            if len(self._extra) < _MOST_EXTRA:  # guards that are declared anew in each request end here
                self._extra[missing] = plan
        denied = run(exchange, plan.checks)
        if denied is not None:
            raise raised(exchange.refuse(denied))
        exchange.ran |= plan.guards

    def lead(self) -> None:
        """Puts the hook first again, where another extension or the app put one before it.

        Only OpenTelemetry's instrumentation of Flask stays before it: it begins the request's span and answers nothing.
        After a refusal it would not run, and the refusal would be in no span.
        """
        with self._lock:
            hooks = self.app.before_request_funcs.get(None, [])
            others = [hook for hook in hooks if hook != self.hook]
            tracing = [hook for hook in others if getattr(hook, "__module__", None) == _TRACER]
            led = [*tracing, self.hook, *(hook for hook in others if hook not in tracing)]
            if led != hooks:
                # One assignment: at no moment may another thread see a list without the hook.
                self.app.before_request_funcs[None] = led

    def _replan(self) -> None:
        """Forgets the plans: a guard was declared, or a blueprint protected, since they were made."""
        with self._lock:
            self._epoch = declarations.epoch()
            self._plans.clear()

    def _sealing(self, this: Request) -> Denied | None:
        """The refusal of a request that comes while what the guards need is away. It may be there a moment later."""
        try:
            self.seal()
        except StoreError as error:
            exchange = self.exchange(this)
            return exchange.refuse(unreadable(exchange, error))
        return None

    def seal(self) -> None:
        """Binds every view's guards. Before the first request; again raises what it raised.

        :raises StoreError: if records or a shared table are away. It is tried again, once in a second.
        """
        with self._tries.one() as failures, self._lock:
            self._tries.check(failures)
            if self._failed is not None:
                # Without the frames of those who met it before, which would grow with each request.
                raise self._failed.with_traceback(self._failed_at)
            if self.sealed:
                return
            self._epoch = declarations.epoch()
            try:
                self._seal(self.app)
            except StoreError:
                # It passes by itself.
                raise
            except Exception as error:
                # Whatever it is, it would be the same again, and cost each request as much.
                self._failed, self._failed_at = error, error.__traceback__
                raise
            self.sealed = True

    def _seal(self, app: Flask) -> None:
        if snapshot(app.config) != self._config:
            changed = [
                key for key in {**snapshot(app.config), **self._config} if app.config.get(key) != self._config.get(key)
            ]
            raise ConfigError(
                f"{', '.join(sorted(changed))} changed after Rampart had read it. Set app.config before Rampart(app) "
                "or init_app(app): a setting that comes later would silently have no effect."
            )
        for rule in app.url_map.iter_rules():
            # Sorted: a set has another order in each worker, and a guard's first place names its counters.
            for method in methods_of(rule):
                if rule.endpoint in app.view_functions:
                    self.plan(rule.endpoint, method)
        for finish in self.at_seal:
            finish(app)
        for warning in unseen(app):
            app.logger.warning("%s", warning)

    def plan(self, endpoint: str, method: str) -> Plan:
        """The bound guards of a view for a method, made anew if the view function was replaced."""
        app = self.app
        view = app.view_functions[endpoint]
        with self._lock:
            plan = self._plans.get((endpoint, method))
            if plan is not None and plan.view is view:
                return plan
            plan = self._bind(view, self.guards_of(endpoint, method), endpoint)
            # A rule without methods takes any word as one: what a peer makes up must not grow the table.
            known = any(rule.methods and method in rule.methods for rule in app.url_map.iter_rules(endpoint))
            if known or method in _METHODS:
                self._plans[(endpoint, method)] = plan
            for guard in plan.guards:
                self._seat.setdefault(guard, endpoint)
            return plan

    def guards_of(self, endpoint: str, method: str) -> list[tuple[Guard, str]]:
        """All guards that a request to this view meets, each with the place of its declaration."""
        found = dict(self.declared_for(endpoint, method))
        for source in self.sources:
            found.update(dict.fromkeys(source(endpoint, method), ""))
        return list(found.items())

    def known_of(self, endpoint: str, method: str) -> list[Guard]:
        """All that is known to stand before a view: :meth:`guards_of`, and what other extensions ask (:func:`tell`)."""
        found = dict.fromkeys(guard for guard, _ in self.guards_of(endpoint, method))
        return [*found, *told_of(self.app, endpoint, method)]

    def declared_for(self, endpoint: str, method: str) -> list[tuple[Guard, str]]:
        """Those of :meth:`guards_of` that code declares."""
        app = self.app
        found = dict.fromkeys(self.app_guards, "")
        if endpoint in self.open_endpoints:
            found = {guard: "" for guard in found if guard.stage is Stage.ARRIVAL}
        found.update(dict.fromkeys(declared_around(app, endpoint), ""))
        found.update(declared_on(app.view_functions[endpoint], method))
        return list(found.items())

    def _bind(self, view: Any, found: list[tuple[Guard, str]], endpoint: str) -> Plan:
        groups: dict[tuple[Stage, type[Guard]], list[tuple[Guard, str]]] = {}
        # On a blueprint or the app there is no wrapper that would ask.
        around = (*self.app_guards, *declared_around(self.app, endpoint))
        asked = [(guard, place) for guard, place in found if not guard.asks_itself or guard in around]
        for guard, _ in found:
            if guard.asks_itself:
                guard.ready(self.app)
        for guard, place in asked:
            groups.setdefault((guard.stage, type(guard)), []).append((guard, place))
        arrival: list[Check] = []
        rest: list[Check] = []
        preflight: list[Check] = []
        if view is not None and self.settings.default == "deny" and not any(g.opens for g, _ in found):
            rest.append(undeclared)
        for (stage, kind), group in sorted(groups.items(), key=lambda item: (item[0][0], item[0][1].comes_last)):
            check = kind.bind(group, self, endpoint)
            if check is None and not kind.opens:
                raise ConfigError(f"{kind.__name__}.bind returned no check, so it would guard nothing.")
            if check is not None:
                (arrival if stage is Stage.ARRIVAL else rest).append(check)
            met = [(guard, place) for guard, place in group if guard.meets_preflights]
            if stage is Stage.ARRIVAL and met:
                check = kind.bind(met, self, endpoint) if len(met) < len(group) else check
                preflight += [check] if check is not None else []
        return Plan(view, frozenset(guard for guard, _ in asked), arrival, rest, preflight)


def asks_who(guard: Guard) -> bool:
    """Whether a guard lets nobody through whom it does not know.

    What comes with a guard for another stage asks nobody by itself, nor does what is optional or opens alone.
    """
    return settles_who(guard) and not getattr(guard, "optional", False)


def settles_who(guard: Guard) -> bool:
    """Whether a guard finds out who is calling, and may let nobody's requests through (``optional``)."""
    return guard.stage is Stage.IDENTITY and guard.opens and not guard.only_opens


def tell(app: Flask, source: Callable[[str, str], Iterable[Guard]]) -> None:
    """Has those who look at an app know what another extension of it asks: ``flask rampart routes`` and ``check``.

    :param source: gives guards of a view and method, such as a limit that this extension counts. They are never run,
        and open no view.

    It may be called before ``Rampart(app)`` as well.
    """
    app.extensions.setdefault(_TELLING, []).append(source)


def told_of(app: Flask, endpoint: str, method: str) -> list[Guard]:
    """What other extensions say that they ask before a view (:func:`tell`)."""
    return [guard for source in app.extensions.get(_TELLING, ()) for guard in source(endpoint, method)]


def methods_of(rule: Rule) -> tuple[str, ...]:
    """The methods that a rule takes, sorted: those of RFC 9110 and PATCH, where it names none and so takes all."""
    return tuple(sorted(_METHODS if rule.methods is None else rule.methods))


def answers_itself(rule: Rule, method: str) -> bool:
    """Whether the view of a rule answers a method: to OPTIONS Flask may answer by itself.

    It goes by what Flask goes by: a rule that Flask did not make is not answered for.
    """
    return method != "OPTIONS" or not getattr(rule, "provide_automatic_options", False)


def current_exchange() -> Exchange:
    """The exchange of the current request in the current app.

    :raises RuntimeError: outside a request, or in an app without ``Rampart(app)``.
    """
    this = request._get_current_object()  # type: ignore[attr-defined]
    exchange: Exchange | None = this.__dict__.get(_EXCHANGE)
    app = current_app._get_current_object()  # type: ignore[attr-defined]
    if exchange is not None and getattr(exchange.owner, "app", None) is app:
        return exchange
    state: AppState | None = app.extensions.get(EXTENSION)
    if state is None:
        raise RuntimeError("This app has no Rampart(app).")
    return state.exchange(this)


def demand(guards: tuple[Guard, ...]) -> None:
    """What the wrapper around a view calls before it. Raises :class:`errors.Denied` to refuse."""
    try:
        this = request._get_current_object()  # type: ignore[attr-defined]
    except RuntimeError:
        raise RuntimeError(
            "A guarded view was called outside a request, where no guard can decide. In a test, use "
            "app.test_client(), or app.test_request_context()."
        ) from None
    exchange: Exchange | None = this.__dict__.get(_EXCHANGE)
    app = current_app._get_current_object()  # type: ignore[attr-defined]
    # The usual case: the hook has run them, in this app, for this very request.
    if exchange is not None and exchange.ran.issuperset(guards) and getattr(exchange.owner, "app", None) is app:
        return
    state = app.extensions.get(EXTENSION)
    if state is None:
        raise not_initialised()
    if not state.sealed:
        denied = state._sealing(this)
        if denied is not None:
            raise raised(denied)
    state.demand(state.exchange(this), guards)


def unseen(app: Flask) -> list[str]:
    """What is wrong with where guards were written: each a sentence with the cure."""
    return [
        f"{place}: a guard stands above {_ABOVE[is_above]}"
        for place, is_above in hidden_over(app.view_functions.values())
    ]


_ABOVE = {
    True: "the route and asks where it is called, so requests do not meet it. Put the route on top.",
    False: "a decorator without functools.wraps that stands above the route, so requests do not meet it. Put the route "
    "on top, or add functools.wraps to that decorator.",
}
