"""Each row of the tables of docs/migrate/limiter.md: what theirs does, and what ours does."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Blueprint, Flask, jsonify, request
from flask.views import MethodView, View
from limits.storage import MemoryStorage

from flask_rampart import Clock, ConfigError

from .facing import LIMITER_FACES, limiter_app, standing_clock
from .servers import Redis

PAGE = Path(__file__).parent.parent / "docs" / "migrate" / "limiter.md"
THEIRS, OURS = LIMITER_FACES["theirs"], LIMITER_FACES["ours"]
BOTH = (THEIRS, OURS)
ROWS: set[str] = set()
AWAY = {"default_limits": ["1/day"], "storage_uri": "redis://127.0.0.1:1/0", "SECRET_KEY": "x" * 32}
F = Callable[..., None]


def row(*cells: str) -> Callable[[F], F]:
    """The rows, by their first cell, that a test is about."""
    ROWS.update(cells)
    return lambda test: test


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return standing_clock(monkeypatch)


def named(name: str) -> Callable[[], Any]:
    def view() -> Any:
        return "in", int(request.args.get("s", "200"))

    view.__name__ = view.__qualname__ = name
    return view


def export_of(decorate: Any, by: type[View] = MethodView) -> type[View]:
    """A class that answers one kind of request itself, and has a limited method for the others."""

    class Export(by):  # type: ignore[misc, valid-type]
        def dispatch_request(self) -> Any:
            return "all" if "export" in request.args else self.get()

        @decorate  # type: ignore[untyped-decorator]
        def get(self) -> str:
            return "in"

    return Export


def inheriting(decorate: Any) -> type[View]:
    """A class with a method that calls a limited one of its base."""

    class Upper(MethodView):
        @decorate  # type: ignore[untyped-decorator]
        def get(self) -> str:
            return "in"

    class Lower(Upper):
        def get(self) -> str:
            return str(super().get())

    return Lower


def statuses(app: Flask, *paths: str, count: int = 1, **how: Any) -> list[int]:
    found = []
    for path in paths:
        for _ in range(count):
            answer = app.test_client().open(path, **how)
            found.append(answer.status_code)
            answer.close()
    return found


def answers(
    clock: Clock, *paths: str, text: str = "1/day", count: int = 2, how: dict[str, Any] | None = None, **limit: Any
) -> list[list[int]]:
    """What both say to *count* requests of a view with one limit."""
    found = []
    for face in BOTH:
        app, limiter = limiter_app(face, clock)
        view = limiter.limit(text, **limit)(named("index"))
        app.add_url_rule("/", "index", view, methods=["GET", "POST"])
        found.append(statuses(app, *(paths or ("/",)), count=count, **(how or {})))
    return found


@row("`memory://`, with several workers")
def test_workers_count_together(clock: Clock, tmp_path: Path) -> None:
    found = []
    for face in BOTH:
        apps = []
        for _ in range(2):  # as two workers that were started from one file
            store = {"RAMPART_LIMIT_STORE": f"shm://{tmp_path}/counters"} if face is OURS else {}
            app, _ = limiter_app(face, clock, default_limits=["2/day"], **store)
            app.testing = False
            app.add_url_rule("/", "index", named("index"))
            apps.append(app)
        found.append([status for app in apps for status in statuses(app, "/", count=2)])
    assert found == [[200] * 4, [200, 200, 429, 429]]


@row("an IPv6 address, by `get_remote_address`")
def test_a_network_has_one_quota(clock: Clock) -> None:
    for face, prefix, last in ((THEIRS, {}, 200), (OURS, {}, 429), (OURS, {"RAMPART_IPV6_PREFIX": 128}, 200)):
        app, _ = limiter_app(face, clock, default_limits=["1/day"], **prefix)
        app.add_url_rule("/", "index", named("index"))
        found = [statuses(app, "/", environ_base={"REMOTE_ADDR": f"2001:db8::{nth}"})[0] for nth in (1, 2)]
        assert found == [200, last]


@row("`swallow_errors`")
def test_an_error_takes_no_limit_away(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    def fails() -> str:
        raise OSError("who?")

    found = []
    for face in BOTH:
        app, limiter = limiter_app(face, clock, swallow_errors=True)
        app.add_url_rule("/", "index", limiter.limit("1/day", key_func=fails)(named("index")))
        found.append(statuses(app, "/", count=2))
    assert found == [[200, 200], [500, 500]]
    assert "RATELIMIT_ON_STORE_ERROR = 'open'" in caplog.text


@row("a limit within a view, or above what the view itself calls")
def test_the_defaults_hold_beside_a_limit_that_cannot_be_seen(clock: Clock) -> None:
    for face, flags, wanted in ((THEIRS, 0, [200] * 4), (OURS, 0, [200, 200, 429, 429]), (OURS, 1, [200] * 4)):
        app, limiter = limiter_app(face, clock, default_limits=["2/day"])

        def index(limiter: Any = limiter) -> str:
            with limiter.limit("9/day"):
                return "in"

        view = limiter.exempt(index, flags=face.ExemptionScope.DEFAULT) if flags else index
        app.add_url_rule("/", "index", view)
        hidden = limiter.limit("9/day")(named("hidden"))
        app.add_url_rule("/hidden", "hidden", lambda hidden=hidden: hidden())
        answering = export_of(limiter.limit("9/day")).as_view("export")
        view = limiter.exempt(answering, flags=face.ExemptionScope.DEFAULT) if flags else answering
        app.add_url_rule("/export", "export", view)
        lower = inheriting(limiter.limit("9/day")).as_view("lower")
        app.add_url_rule(
            "/lower", "lower", limiter.exempt(lower, flags=face.ExemptionScope.DEFAULT) if flags else lower
        )
        assert statuses(app, "/", count=4) == wanted
        assert statuses(app, "/hidden", count=4) == ([200] * 4 if face is THEIRS else [200, 200, 429, 429])
        assert statuses(app, "/export", count=4) == statuses(app, "/lower", count=4) == wanted


@row("a key that is empty")
@pytest.mark.parametrize("empty", ["", None])
def test_who_has_no_key_is_counted_by_address(clock: Clock, empty: Any) -> None:
    assert answers(clock, key_func=lambda: empty) == [[200, 200], [200, 429]]
    assert answers(clock, key_func=lambda: empty, how={"environ_base": {"REMOTE_ADDR": ""}})[1] == [200, 429]


@row("a key that is `0` or `False`")
@pytest.mark.parametrize("key", [0, False])
def test_a_key_of_nothing_is_one(clock: Clock, key: Any) -> None:
    assert answers(clock, key_func=lambda: key) == [[200, 200], [200, 429]]


@row("a negative cost, or one that is no whole number")
def test_no_cost_refills_a_quota(clock: Clock) -> None:
    costs = {"theirs": [1, -1, 1, 1], "ours": [1, -1, 1]}
    found = []
    for name, face in LIMITER_FACES.items():
        said = iter(costs[name])
        app, limiter = limiter_app(face, clock)
        app.add_url_rule("/", "index", limiter.limit("1/day", cost=lambda said=said: next(said))(named("index")))
        found.append(statuses(app, "/", count=3))
    assert found == [[200, 200, 200], [200, 500, 429]]
    _, limiter = limiter_app(OURS, clock)
    with pytest.raises(ConfigError, match="refill"):
        limiter.limit("1/day", cost=-1)
    with pytest.raises(ConfigError, match="whole number"):
        limiter.limit("1/day", cost=1.5)
    assert answers(clock, text="2/day", cost=lambda: 1.5) == [[200, 429], [500, 500]]
    assert answers(clock, text="1/day", cost=lambda: True) == [[200, 429], [200, 429]]


@row("a limit that cannot be read, above a view", "a mistake in a setting or declaration")
def test_what_cannot_be_read_is_refused(clock: Clock) -> None:
    app, limiter = limiter_app(THEIRS, clock)
    app.add_url_rule("/", "index", limiter.limit("1/fortnight")(named("index")))
    assert statuses(app, "/", count=2) == [200, 200]
    app, limiter = limiter_app(OURS, clock)
    with pytest.raises(ConfigError, match="fortnight"):
        limiter.limit("1/fortnight")
    for said in ("1/fortnight", None, 5):
        app.add_url_rule(
            f"/{said!r}".replace("/'1", "/x"), str(said), limiter.limit(lambda said=said: said)(named(str(said)))
        )
    assert statuses(app, "/None", "/5") == [500, 500]
    for setting in (
        {"RATELIMIT_STRATEGY": "moving"},
        {"RATELIMIT_DEFAULT": "often"},
        {"RATELIMIT_ON_STORE_ERROR": "opened"},
        {"RATELIMIT_DEFAULT": 5},
    ):
        with pytest.raises(ConfigError):
            limiter_app(OURS, clock, **setting)
    with pytest.raises(ValueError, match="key_func"):
        OURS.Limiter("ada")


@row("`0 per minute`")
def test_nobody_is_refused_by_a_quota_of_none(clock: Clock) -> None:
    app, limiter = limiter_app(THEIRS, clock)
    app.add_url_rule("/", "index", limiter.limit("0/minute")(named("index")))
    assert statuses(app, "/") == [429]
    with pytest.raises(ConfigError, match="refuse everybody"):
        limiter_app(OURS, clock)[1].limit("0/minute")


@row("`deduct_when`, and many requests at once")
def test_what_is_under_way_counts(clock: Clock) -> None:
    found = []
    for face in BOTH:
        app, limiter = limiter_app(face, clock)
        inner: list[int] = []

        def index(app: Flask = app, inner: list[int] = inner, limiter: Any = limiter) -> Any:
            # While this one is under way, two others come.
            if "again" in request.args:
                inner += [app.test_client().get("/").status_code for _ in range(2)]
            return str(limiter.current_limit.remaining), 401

        limited = limiter.limit("2/day", deduct_when=lambda response: response.status_code == 401)(index)
        app.add_url_rule("/", "index", limited)
        rest = app.test_client().get("/?again").text
        found.append((rest, inner))
    # Theirs: three failed at 2/day, as the first is counted when it leaves.
    assert found == [("0", [401, 401]), ("0", [401, 429])]


@row('`methods=["GET"]`, and `per_method`')
def test_head_is_get(clock: Clock) -> None:
    for arguments in ({"methods": ["GET"]}, {"per_method": True}):
        found = []
        for face in BOTH:
            app, limiter = limiter_app(face, clock)
            app.add_url_rule("/", "index", limiter.limit("1/day", **arguments)(named("index")))
            found.append([*statuses(app, "/"), *statuses(app, "/", method="HEAD")])
        assert found == [[200, 200], [200, 429]]
    assert answers(clock, methods=["GET", "HEAD"], how={"method": "HEAD"}) == [[200, 429], [200, 429]]


@row("a `Limiter` without an app")
def test_a_limiter_without_an_app_lets_nobody_through() -> None:
    found = []
    for face in BOTH:
        limiter = face.Limiter(lambda: "all")
        app = Flask("bare")
        app.add_url_rule("/", "index", limiter.limit("1/day")(named("index")))
        found.append(statuses(app, "/", count=2))
    assert found == [[200, 200], [500, 500]]


@row("a view of yours that is called `static`")
def test_only_files_are_not_limited(clock: Clock, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a")
    found = []
    for face in BOTH:
        app, _ = limiter_app(face, clock, default_limits=["1/day"])
        app.static_folder = str(tmp_path)
        blueprint = Blueprint("shop", "shop", url_prefix="/shop", static_folder=str(tmp_path), static_url_path="/files")
        inner = Blueprint("inner", "inner", url_prefix="/inner")
        inner.add_url_rule("/", "static", named("static"))
        app.register_blueprint(blueprint)
        app.register_blueprint(inner)
        assert statuses(app, "/static/a.txt", "/shop/files/a.txt", count=2) == [200] * 4
        found.append(statuses(app, "/inner/", count=2))
    assert found == [[200, 200], [200, 429]]


@row("`exempt(flags=...)` with some of the flags, on a view or blueprint with limits of its own")
def test_an_exemption_takes_out_of_what_it_names(clock: Clock) -> None:
    found = []
    for face in BOTH:
        app, limiter = limiter_app(face, clock)
        scope = face.ExemptionScope
        view = limiter.exempt(limiter.limit("1/day")(named("index")), flags=scope.APPLICATION)
        app.add_url_rule("/", "index", view)
        blueprint = Blueprint("shop", "shop", url_prefix="/shop")
        blueprint.add_url_rule("/", "index", named("shop"))
        limiter.limit("1/day")(blueprint)
        limiter.exempt(blueprint, flags=scope.META)
        app.register_blueprint(blueprint)
        app.add_url_rule("/all", "all", limiter.exempt(limiter.limit("1/day")(named("all"))))
        found.append(statuses(app, "/", "/shop/", "/all", count=2))
    assert found == [[200] * 6, [200, 429, 200, 429, 200, 200]]


@row("`meta_limits` of a blueprint's limit")
def test_meta_limits_of_blueprints_hold(clock: Clock) -> None:
    found = []
    for face in BOTH:
        app, limiter = limiter_app(face, clock)
        blueprint = Blueprint("shop", "shop")
        blueprint.add_url_rule("/", "index", named("index"))
        limiter.limit("1/minute", meta_limits=["1/day"])(blueprint)
        app.register_blueprint(blueprint)
        first = statuses(app, "/", count=2)
        clock.advance(60)
        found.append([*first, *statuses(app, "/")])
    assert found == [[200, 429, 200], [200, 429, 429]]


@row("`request_identifier` that returns an empty text", "`request_identifier`")
def test_an_identity_is_no_way_out_of_limits(clock: Clock) -> None:
    found = []
    for face in BOTH:
        app, limiter = limiter_app(
            face, clock, default_limits=["1/day"], request_identifier=lambda: request.args.get("id", "")
        )
        app.add_url_rule("/", "index", named("index"))
        app.add_url_rule("/free", "free", limiter.exempt(named("free")))
        found.append([*statuses(app, "/", count=2), *statuses(app, "/free?id=x", "/nowhere?id=y", count=2)])
    assert found == [[200, 200, 200, 429, 404, 429], [200, 429, 200, 200, 404, 429]]


@row("a 429")
def test_a_refusal_says_when_to_come_back(clock: Clock) -> None:
    for face, wanted in ((THEIRS, None), (OURS, "60")):
        for is_worded in (False, True):
            app, _ = limiter_app(face, clock, default_limits=["1/minute"])
            app.add_url_rule("/", "index", named("index"))
            if is_worded:
                app.register_error_handler(429, lambda error: (jsonify(error="slow down"), 429))
            app.test_client().get("/")
            answer = app.test_client().get("/")
            assert (answer.status_code, answer.headers.get("Retry-After")) == (429, wanted)


@row("`RATELIMIT_ENABLED` that is neither True nor False")
def test_no_setting_turns_limits_off_by_being_empty(clock: Clock) -> None:
    app, _ = limiter_app(THEIRS, clock, default_limits=["1/day"], RATELIMIT_ENABLED="")
    app.add_url_rule("/", "index", named("index"))
    assert statuses(app, "/", count=2) == [200, 200]
    for value in ("", None, 0, "False"):
        with pytest.raises(ConfigError, match="RATELIMIT_ENABLED"):
            limiter_app(OURS, clock, RATELIMIT_ENABLED=value)


@row("`fixed-window`")
def test_windows_are_the_calendars(clock: Clock) -> None:
    clock.advance(30)
    found = []
    for face in BOTH:
        app, limiter = limiter_app(face, clock)
        app.add_url_rule("/", "index", limiter.limit("1/minute")(named("index")))
        app.add_url_rule("/odd", "odd", limiter.limit("1 per 7 minutes")(named("odd")))
        found.append((app, statuses(app, "/", "/odd", count=2)))
    assert [first for _, first in found] == [[200, 429] * 2] * 2
    clock.advance(30)
    assert [statuses(app, "/", "/odd") for app, _ in found] == [[429, 429], [200, 429]]
    clock.advance(14 * 60)
    assert [statuses(app, "/", "/odd") for app, _ in found] == [[200, 200], [200, 200]]


@row("`moving-window`")
def test_a_moving_window_is_counted_about(clock: Clock) -> None:
    apps = []
    for face in BOTH:
        app, limiter = limiter_app(face, clock, strategy="moving-window")
        app.add_url_rule("/", "index", limiter.limit("6/minute")(named("index")))
        assert statuses(app, "/", count=7) == [200] * 6 + [429]
        apps.append(app)
    admitted = [6, 6]
    for _ in range(19):
        clock.advance(3)
        for nth, app in enumerate(apps):
            admitted[nth] += statuses(app, "/") == [200]
    assert admitted[0] == 6 and 6 <= admitted[1] < 12
    clock.advance(120)
    assert [statuses(app, "/", count=7) for app in apps] == [[200] * 6 + [429]] * 2


@row("`sliding-window-counter`")
def test_what_is_left_of_a_window_is_counted_in_full(clock: Clock) -> None:
    clock.advance(50)
    apps = []
    for face in BOTH:
        app, limiter = limiter_app(face, clock, strategy="sliding-window-counter")
        app.add_url_rule("/", "index", limiter.limit("2/minute")(named("index")))
        assert statuses(app, "/", count=3) == [200, 200, 429]
        apps.append(app)
    found = []
    for _ in range(3):
        clock.advance(30)
        found.append([statuses(app, "/")[0] for app in apps])
    # Half a minute after its end, the window before still counts two by a half: theirs takes 1.33 for 1.
    assert found == [[200, 429], [200, 200], [200, 200]]


@row("a request that one of several limits refuses")
def test_a_refused_request_is_charged_nothing(clock: Clock) -> None:
    found = []
    for face in BOTH:
        app, limiter = limiter_app(face, clock)
        app.add_url_rule("/", "index", limiter.limit("9/hour; 1/day")(named("index")))
        app.add_url_rule("/dear", "dear", limiter.limit("4/day", cost=lambda: int(request.args["n"]))(named("dear")))
        left: list[int] = []

        @app.errorhandler(429)
        def refused(error: Any, limiter: Any = limiter, left: list[int] = left) -> Any:
            left.append(limiter.current_limits[0].remaining)
            return "no", 429

        statuses(app, "/", count=4)
        found.append((left[-1], statuses(app, "/dear?n=3", "/dear?n=3", "/dear?n=1")))
    assert found == [(5, [200, 429, 429]), (8, [200, 429, 200])]


def test_what_was_charged_before_a_view_stays_charged(clock: Clock) -> None:
    for face in BOTH:
        for how in ({}, {"application_limits_deduct_when": lambda response: response.status_code == 429}):
            app, limiter = limiter_app(face, clock, application_limits=["3/day"], **how)
            app.add_url_rule("/", "index", limiter.limit("1/day")(named("index")))
            app.add_url_rule("/other", "other", named("other"))
            assert statuses(app, "/", count=4)[:3] == [200, 429, 429]
            assert statuses(app, "/other") == [429]


@row("a limit above one method of a view class")
def test_a_limit_above_a_method_stands_in_for_the_defaults(clock: Clock) -> None:
    found = []
    for face in BOTH:
        app, limiter = limiter_app(face, clock, default_limits=["2/day"])

        class Page(MethodView):
            def get(self) -> str:
                return "in"

            @limiter.limit("4/day")  # type: ignore[untyped-decorator]
            def post(self) -> str:
                return "in"

        app.add_url_rule("/", view_func=Page.as_view("page"))
        found.append([*statuses(app, "/", count=3), *statuses(app, "/", count=5, method="POST")])
    assert found == [[200, 200] + [429] * 6, [200, 200, 429] + [200] * 4 + [429]]


@pytest.mark.parametrize("by", [MethodView, View])
def test_no_class_that_answers_itself_is_without_the_limits_around_it(clock: Clock, by: type[View]) -> None:
    found = []
    for face in BOTH:
        app, limiter = limiter_app(face, clock, default_limits=["3/day"])
        app.add_url_rule("/", view_func=export_of(limiter.limit("9/day"), by).as_view("index"))
        blueprint = Blueprint("shop", "shop", url_prefix="/shop")
        beside = export_of(limiter.limit("9/day", override_defaults=False), by)
        blueprint.add_url_rule("/", view_func=beside.as_view("index"))
        blueprint.add_url_rule("/own", view_func=export_of(limiter.limit("9/day"), by).as_view("own"))
        limiter.limit("2/day")(blueprint)
        app.register_blueprint(blueprint)
        paths = ("/?export=1", "/shop/?export=1", "/shop/own?export=1")
        found.append([statuses(app, path, count=4) for path in paths])
    assert found == [[[200] * 3 + [429], [200] * 2 + [429] * 2, [200] * 2 + [429] * 2]] * 2


@pytest.mark.parametrize("how", ["sets its method", "makes its view"])
def test_no_class_whose_method_is_not_what_answers_is_without_the_defaults(clock: Clock, how: str) -> None:
    found = []
    for face in BOTH:
        app, limiter = limiter_app(face, clock, default_limits=["3/day"])

        class Page(MethodView):
            @limiter.limit("9/day")  # type: ignore[untyped-decorator]
            def get(self) -> str:
                return "in"

            def other(self) -> str:
                return "all"

        class Setting(Page):
            def __init__(self) -> None:
                self.get = self.other

        class Making(Page):
            @classmethod
            def as_view(cls, name: str, *args: Any, **kwargs: Any) -> Any:
                def view() -> str:
                    return cls().other()

                view.__name__, view.view_class = name, cls  # type: ignore[attr-defined]
                return view

        app.add_url_rule("/", view_func=(Setting if how == "sets its method" else Making).as_view("page"))
        found.append(statuses(app, "/", count=4))
    assert found == [[200] * 3 + [429]] * 2


def test_a_class_whose_instances_may_have_a_head_is_not_without_the_defaults_for_it(clock: Clock) -> None:
    app, limiter = limiter_app(OURS, clock, default_limits=["3/day"])

    class Page(MethodView):
        @limiter.limit("9/day")  # type: ignore[untyped-decorator]
        def get(self) -> str:
            return "in"

        def __getattr__(self, name: str) -> Any:
            if name == "head":
                return lambda: "all"
            raise AttributeError(name)

    app.add_url_rule("/", view_func=Page.as_view("page"))
    client = app.test_client()
    assert [client.head("/").status_code for _ in range(4)] == [200] * 3 + [429]


def test_what_a_class_inherits_is_known_to_be_called(clock: Clock) -> None:
    app, limiter = limiter_app(OURS, clock, default_limits=["1/day"])

    class Page(MethodView):
        @limiter.limit("3/day")  # type: ignore[untyped-decorator]
        def get(self) -> str:
            return "in"

    class Other(Page):
        pass

    app.add_url_rule("/", view_func=Other.as_view("page"))
    assert statuses(app, "/", count=4) == [200] * 3 + [429]


@row("one `Limiter` in two apps, and `RATELIMIT_ENABLED = False` in the second")
@pytest.mark.parametrize("is_first", [False, True])
def test_each_app_says_whether_it_is_limited(clock: Clock, is_first: bool) -> None:
    found = []
    for face in BOTH:
        limiter = face.Limiter(face.util.get_remote_address, default_limits=["1/day"])
        apps = []
        for nth in range(2):
            app = Flask(f"app{nth}")
            app.testing = True
            is_off = nth != is_first
            app.config.update(RATELIMIT_STORAGE_URI="memory://", **({"RATELIMIT_ENABLED": False} if is_off else {}))
            limiter.init_app(app)
            app.add_url_rule("/", "index", limiter.limit("1/day")(named("index")))
            apps.append((is_off, app))
        found.append([statuses(app, "/", count=2) for _, app in sorted(apps, key=lambda one: one[0])])
    assert found == [[[200, 200]] * 2, [[200, 429], [200, 200]]]


def test_a_function_that_says_a_limit_is_called_once_for_a_request(clock: Clock) -> None:
    app, limiter = limiter_app(OURS, clock)
    calls: list[int] = []

    def text() -> str:
        calls.append(1)
        return "9/day"

    app.add_url_rule("/", "index", limiter.limit(text)(named("index")))
    assert statuses(app, "/", count=2) == [200, 200] and len(calls) == 2


def test_the_log_tells_once_how_an_app_is_counted_otherwise(caplog: pytest.LogCaptureFixture) -> None:
    def told(**arguments: Any) -> str:
        caplog.clear()
        app = Flask("told")
        app.config["RAMPART_LIMIT_STORE"] = arguments.pop("store", "memory://")
        if app.config["RAMPART_LIMIT_STORE"] is None:
            del app.config["RAMPART_LIMIT_STORE"]
        app.config.update(RAMPART_IPV6_PREFIX=arguments.pop("prefix", 128))
        if app.config["RAMPART_IPV6_PREFIX"] is None:
            del app.config["RAMPART_IPV6_PREFIX"]
        OURS.Limiter(OURS.util.get_remote_address, app=app, **arguments)
        return caplog.text

    assert told(strategy="gcra") == ""
    assert "below twice as many" in told(strategy="moving-window")
    assert "before midnight" in told()
    assert "RAMPART_LIMIT_STORE = 'memory://'" in told(store=None)
    assert "RAMPART_IPV6_PREFIX = 128" in told(prefix=None)
    assert "ExemptionScope.DEFAULT" in told(default_limits=["1/day"])


@row("a function that is limited, and called by a view")
def test_a_blueprints_limit_is_counted_once(clock: Clock) -> None:
    found = []
    for face in BOTH:
        app, limiter = limiter_app(face, clock)
        helper = limiter.limit("9/day", override_defaults=False)(named("helper"))
        blueprint = Blueprint("shop", "shop")
        blueprint.add_url_rule("/", "index", lambda helper=helper: helper())
        limiter.limit("2/day")(blueprint)
        app.register_blueprint(blueprint)
        found.append(statuses(app, "/", count=3))
    assert found == [[200, 429, 429], [200, 200, 429]]


@row("two views of one name, or a blueprint under another name")
def test_views_and_blueprints_are_told_apart_by_what_they_are(clock: Clock) -> None:
    found = []
    for face in BOTH:
        app, limiter = limiter_app(face, clock, default_limits=["1/day"])
        app.add_url_rule("/one", "one", limiter.exempt(named("view")))
        app.add_url_rule("/two", "two", named("view"))
        blueprint = Blueprint("shop", "shop", url_prefix="/shop")
        blueprint.add_url_rule("/", "index", limiter.limit("9/day", override_defaults=False)(named("shop")))
        limiter.limit("2/day", override_defaults=False)(blueprint)
        limiter.exempt(blueprint, flags=face.ExemptionScope.DEFAULT)
        app.register_blueprint(blueprint, name="store")
        found.append([*statuses(app, "/one", "/two", count=2), *statuses(app, "/shop/", count=3)])
    assert found == [[200] * 7, [200, 200, 200, 429, 200, 200, 429]]


@row("limits of several blueprints with one unit of time")
def test_the_nearest_blueprint_comes_first(clock: Clock) -> None:
    orders = []
    for face in BOTH:
        app, limiter = limiter_app(face, clock)
        inner: list[Blueprint] = []
        for nth in range(6):
            child = Blueprint(f"b{nth}", f"b{nth}", url_prefix=f"/{nth}")
            limiter.limit(f"{nth + 1}/day", override_defaults=False)(child)
            child.add_url_rule(
                "/", "index", lambda limiter=limiter: jsonify([str(one.limit) for one in limiter.current_limits])
            )
            inner.append(child)
        for outer, child in zip(inner[-2::-1], inner[:0:-1], strict=True):
            outer.register_blueprint(child)
        app.register_blueprint(inner[0])
        orders.append(app.test_client().get("/0/1/2/3/4/5/").get_json())
    assert sorted(orders[0]) == sorted(orders[1])
    assert orders[1] == [f"{nth} per 1 day" for nth in range(6, 0, -1)]


@row("two limits with key functions of two names")
def test_each_key_function_counts_apart(clock: Clock) -> None:
    def one() -> str:
        return "all"

    def other() -> str:
        return "all"

    found = []
    for face in BOTH:
        app, limiter = limiter_app(face, clock)
        for nth, by in enumerate((one, other)):
            view = limiter.shared_limit("1/day", "same", key_func=by)(named(f"v{nth}"))
            app.add_url_rule(f"/{nth}", f"v{nth}", view)
        found.append(statuses(app, "/0", "/1"))
    assert found == [[200, 429], [200, 200]]


@row("`deduct_when` and an answer that a limit has refused")
def test_a_refusal_is_not_charged_afterwards(clock: Clock) -> None:
    found = []
    for face in BOTH:
        app, limiter = limiter_app(face, clock)
        decorate = limiter.limit("3/hour", deduct_when=lambda response: True, key_func=lambda: "all")
        app.add_url_rule("/", "index", decorate(limiter.limit("1/day")(named("index"))))
        seen = [statuses(app, "/", environ_base={"REMOTE_ADDR": f"192.0.2.{address}"})[0] for address in (1, 1, 1, 2)]
        found.append(seen)
    # Theirs: the two refusals have used up what the other address needs.
    assert found == [[200, 429, 429, 429], [200, 429, 429, 200]]


@row("`RATELIMIT_DEFAULT`, `RATELIMIT_APPLICATION` or `RATELIMIT_META` as a list")
@pytest.mark.parametrize("name", ["DEFAULT", "APPLICATION", "META"])
def test_a_setting_of_several_limits_may_be_a_list(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = standing_clock(monkeypatch)
    found = []
    for module in LIMITER_FACES.values():
        app, _ = limiter_app(
            module, clock, lambda: "key", **{"RATELIMIT_DEFAULT": "1/hour", f"RATELIMIT_{name}": ["1/day"]}
        )
        app.add_url_rule("/", "index", lambda: "hello")
        client = app.test_client()
        found.append([client.get("/").status_code for _ in range(2)])
    assert found == [[500, 500], [200, 429]]


@row("a cost of 0, from a function, while all is spent")
def test_what_costs_nothing_is_admitted(clock: Clock) -> None:
    found = []
    for face in BOTH:
        app, limiter = limiter_app(face, clock)
        decorate = limiter.limit("1/day", cost=lambda: int(request.args["n"]))
        app.add_url_rule("/", "index", decorate(named("index")))
        found.append(statuses(app, "/?n=1", "/?n=1", "/?n=0"))
    assert found == [[200, 429, 429], [200, 429, 200]]


@row("`storage_options` for Redis", "`memcached://`, `mongodb://` and others")
def test_what_counters_cannot_be_kept_in_is_told(clock: Clock) -> None:
    with pytest.raises(ConfigError, match="socket_timeout"):
        limiter_app(OURS, clock, storage_uri="redis://localhost", storage_options={"socket_timeout": 3})
    for uri in ("memcached://localhost", "mongodb://localhost", "async+redis://localhost", "redis:/localhost"):
        with pytest.raises(ConfigError, match="RATELIMIT_STORAGE_URI"):
            limiter_app(OURS, clock, storage_uri=uri)


@row("a store that is away")
def test_a_store_that_is_away_takes_no_limit_away(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = {"local": [200, 429], "open": [200, 200], "closed": [503, 503]}
    for how, said in wanted.items():
        app, _ = limiter_app(OURS, clock, RATELIMIT_ON_STORE_ERROR=how, **AWAY)
        app.add_url_rule("/", "index", named("index"))
        assert statuses(app, "/", count=2) == said

    def away(*_: Any, **__: Any) -> int:
        raise ConnectionError

    app, _ = limiter_app(THEIRS, clock, default_limits=["1/day"])
    app.add_url_rule("/", "index", named("index"))
    monkeypatch.setattr(MemoryStorage, "incr", away)
    assert statuses(app, "/") == [500]


def test_other_limits_hold_while_a_store_is_away(clock: Clock) -> None:
    app, _ = limiter_app(OURS, clock, in_memory_fallback=["2/day"], **AWAY)
    app.add_url_rule("/", "index", named("index"))
    assert statuses(app, "/", count=3) == [200, 200, 429]


def test_a_redis_without_a_secret_stops_the_start_up(clock: Clock) -> None:
    for setting in ({"storage_uri": "redis://127.0.0.1:1/0"}, {"RAMPART_LIMIT_STORE": "redis://127.0.0.1:1/0"}):
        with pytest.raises(ConfigError, match="SECRET_KEY"):
            limiter_app(OURS, clock, **setting)
        limiter_app(OURS, clock, RAMPART_LIMIT_SECRET="x" * 32, **setting)


@row("one Redis for two services")
def test_each_service_has_its_counters_in_one_redis(clock: Clock, redis_server: Redis) -> None:
    import redis

    found = []
    for face, secret in ((THEIRS, {}), (OURS, {}), (OURS, {"RAMPART_LIMIT_SECRET": "y" * 32})):
        redis.Redis.from_url(redis_server.url).flushall()
        seen = []
        for name in ("shop", "news"):
            app = Flask(name)
            app.testing = True
            app.config.update(SECRET_KEY="x" * 32, RAMPART_LIMIT_STORE_TIMEOUT=10, **secret)
            clocks = {"clock": clock} if face is OURS else {}
            face.Limiter(
                face.util.get_remote_address,
                app=app,
                application_limits=["1/day"],
                storage_uri=redis_server.url,
                **clocks,
            )
            app.add_url_rule("/", "index", named("index"))
            seen += statuses(app, "/")
        found.append(seen)
    assert found == [[200, 429], [200, 200], [200, 429]]


@row("`redis://`")
def test_nobody_is_named_in_redis(clock: Clock, redis_server: Redis) -> None:
    import redis

    server = redis.Redis.from_url(redis_server.url)
    found = []
    for face in BOTH:
        server.flushall()
        app, _ = limiter_app(
            face,
            clock,
            default_limits=["1/day"],
            storage_uri=redis_server.url,
            key_prefix="shop",
            SECRET_KEY="x" * 32,
            RAMPART_LIMIT_STORE_TIMEOUT=10,
        )
        app.add_url_rule("/", "index", named("index"))
        assert statuses(app, "/", count=2, environ_base={"REMOTE_ADDR": "192.0.2.7"}) == [200, 429]
        found.append(any(b"192.0.2.7" in key for key in server.keys("*")))
    assert found == [True, False]


@row("`limiter.reset()`")
def test_what_others_count_is_not_reset(clock: Clock, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    app, limiter = limiter_app(OURS, clock, default_limits=["1/day"], RAMPART_LIMIT_STORE=f"shm://{tmp_path}/counters")
    app.add_url_rule("/", "index", named("index"))
    statuses(app, "/")
    with caplog.at_level(logging.WARNING):
        limiter.reset()
    assert "flask limiter clear" in caplog.text
    assert statuses(app, "/") == [429]


def test_each_row_of_the_tables_has_a_test() -> None:
    cells = {
        line.split(" | ")[0].removeprefix("| ")
        for line in PAGE.read_text().splitlines()
        if line.startswith("| ") and not line.startswith("| |")
    }
    assert cells == ROWS, cells ^ ROWS
