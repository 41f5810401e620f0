"""Tables that others have: requests are refused until these end, nobody waits twice, and nothing of it is kept."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import resource
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from flask_rampart import Clock, ConfigError, StoreError, limit, opening
from flask_rampart._native import LimitStore
from flask_rampart.limits import Limits
from flask_rampart.opening import PASSING, TableAway, TableInUse, Tries, opened
from flask_rampart.tables import Place, place_of

App = Callable[..., Flask]
REFUSAL = Path(__file__).parent.parent / "src" / "shared" / "refusal.rs"
READY_AT = 64  # bytes: a header without it was never finished (src/shared/layout.rs)


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds, which pass when a test says so."""
    time = [0.0]
    monkeypatch.setattr(Tries.__init__, "__defaults__", (lambda: time[0],))
    return time


@pytest.fixture
def waited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A directory of tables in which this process has waited for others, to no avail."""
    directory = str(tmp_path / "tables")
    monkeypatch.setattr(opening, "_in_vain", {directory})
    return directory


class Other:
    """A process that has a table which is of no use to us."""

    def __init__(self, place: Place, clock: Clock) -> None:
        self._store: LimitStore | None = LimitStore.shared(place.directory, place.name, clock, bytes=65_536)
        with Path(str(place)).open("r+b") as file:
            file.seek(READY_AT)
            file.write(bytes(8))

    def end(self) -> None:
        self._store = None


def settings(directory: str) -> dict[str, Any]:
    return {
        "TESTING": False,
        "PROPAGATE_EXCEPTIONS": False,
        "RAMPART_LIMIT_STORE": f"shm://{directory}",
        "RAMPART_LIMIT_TABLE": 65_536,
        "RAMPART_LIMITS": "20/day fixed",
        "RAMPART_MONITOR": "enforce",
        "RAMPART_METRICS": True,
    }


def serving(make_app: App, directory: str) -> Flask:
    app = make_app(**settings(directory))
    app.get("/")(limit("5/day fixed")(limit("90 concurrent")(lambda: "ok")))
    return app


@pytest.mark.parametrize("purpose", ["limits", "bans", "places", "monitor5", "metrics2"])
def test_an_app_whose_table_others_have_starts_refuses_and_answers_once_these_have_ended(
    make_app: App,
    clock: Clock,
    waited: str,
    now: list[float],
    purpose: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    name = f"{Flask('tests.conftest').import_name}\0{Path(__file__).parent}"
    place = place_of(purpose, name, f"shm://{waited}", testing=False)
    assert place is not None
    other = Other(place, clock)
    with caplog.at_level("WARNING"):
        app = serving(make_app, waited)
    # Where it is met at the start, it is told there.
    assert (str(place) in caplog.text) is (purpose in ("limits", "bans", "monitor5"))
    assert (app.import_name, app.root_path) == tuple(name.split("\0"))
    client = app.test_client()
    for _ in range(3):
        for path in ("/", "/nowhere"):
            answer = client.get(path)
            assert (answer.status_code, answer.json["code"]) == (503, "store.unavailable")
            assert (answer.headers["Retry-After"], answer.headers["X-Content-Type-Options"]) == ("1", "nosniff")
            assert waited not in answer.text
        now[0] += 1
    other.end()
    assert client.get("/").status_code == 200
    assert client.get("/nowhere").status_code == 404
    # All that was declared counts, as if nothing had been.
    answers = [client.get("/") for _ in range(9)]
    assert [answer.status_code for answer in answers] == [200] * 4 + [429] * 5
    assert 429 in [client.get("/nowhere").status_code for _ in range(20)]


def test_an_app_that_is_refused_tries_once_in_a_second(
    make_app: App, clock: Clock, waited: str, now: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    app = serving(make_app, waited)
    service = app.extensions["rampart"].services[Limits]
    tried = []

    def away(purpose: str) -> None:
        tried.append(purpose)
        raise TableInUse("somebody has it")

    monkeypatch.setattr(service, "_apart", away)
    service._ban_book = service.bans._book = None
    client = app.test_client()
    for seconds in range(3):
        now[0] = float(seconds)
        assert {client.get("/").status_code for _ in range(20)} == {503}
        assert len(tried) == seconds + 1


def test_what_the_native_side_says_of_tables_that_pass_is_what_is_told_apart_here() -> None:
    text = REFUSAL.read_text()
    passing = re.search(r"matches!\(self, ([^)]*)\)", text)
    assert passing is not None
    names = re.findall(r"Self::(\w+)", passing[1])
    said = dict(re.findall(r'Why::(\w+) => \(\s*"([^"]*)"', text))
    assert {said[name] for name in names} == set(PASSING)
    assert not any(each in said[name] for name in said.keys() - set(names) for each in PASSING)


@pytest.mark.parametrize("what", PASSING)
def test_a_process_waits_once_for_who_has_a_table(tmp_path: Path, clock: Clock, what: str) -> None:
    place = Place(str(tmp_path / "tables"), "table")
    other = Other(place, clock)
    made = []

    def make() -> str:
        made.append(1)
        raise ValueError(f"the counters {place} cannot be trusted: it {what}. Stop it")

    for _ in range(3):
        with pytest.raises(TableInUse, match=r"^RAMPART_X: "):
            opened(place, "RAMPART_X", make=make, join=lambda: None)
    assert len(made) == 1
    assert opened(place, "RAMPART_X", make=make, join=lambda: "joined") == "joined"
    other.end()
    assert opened(place, "RAMPART_X", make=lambda: "made", join=lambda: None) == "made"


def test_who_makes_a_table_is_not_joined_meanwhile(waited: str) -> None:
    Path(waited).mkdir(mode=0o700)
    place = Place(waited, "table")

    def never() -> Any:
        raise AssertionError

    with Path(str(place)).open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(TableInUse, match="is locked by another program"):
            opened(place, "RAMPART_X", make=never, join=never)


@pytest.fixture
def limited(waited: str) -> Iterator[Place]:
    Path(waited).mkdir(mode=0o700)
    place = Place(waited, "table")
    Path(str(place)).symlink_to("/dev/zero")
    yield place
    os.unlink(str(place))


def test_a_link_is_left_to_the_native_side(limited: Place, clock: Clock) -> None:
    with pytest.raises(ConfigError, match="is a symbolic link") as caught:
        opened(
            limited,
            "RAMPART_X",
            make=lambda: LimitStore.shared(*limited, clock),
            join=lambda: None,
        )
    assert not isinstance(caught.value, TableAway)


@pytest.mark.parametrize(("number", "passes"), [(28, True), (24, True), (30, False), (2, False)])
def test_what_the_host_is_short_of_may_be_there_later_and_stops_a_start_up(number: int, passes: bool) -> None:
    def make() -> None:
        raise ValueError(f"cannot allocate the counters /x: {os.strerror(number)} (os error {number}). Free some space")

    with pytest.raises(ConfigError) as caught:
        opened(Place("/nowhere", "table"), "RAMPART_X", make=make, join=lambda: None)
    assert (isinstance(caught.value, TableAway), isinstance(caught.value, TableInUse)) == (passes, False)


def test_the_native_side_tells_the_number_of_an_error(tmp_path: Path, clock: Clock) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    try:
        with pytest.raises(ValueError, match=rf"\(os error {errno.EFBIG}\)"):
            LimitStore.shared(str(tmp_path / "tables"), "table", clock)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def test_a_table_that_is_away_is_a_store_that_is_and_an_error_of_the_start_up() -> None:
    assert issubclass(TableAway, StoreError) and issubclass(TableAway, ConfigError)


def test_who_has_waited_for_its_turn_does_not_try_what_has_just_failed() -> None:
    tries = Tries(lambda: 0.0)
    with pytest.raises(StoreError, match="away"), tries.one() as failures:
        tries.check(failures)
        with pytest.raises(StoreError, match="away"), tries.one() as of_another:
            tries.check(of_another)
            raise StoreError("away")
        tries.check(failures)


def test_while_one_tries_others_are_told_at_once_but_not_for_ever() -> None:
    now = [0.0]
    tries = Tries(lambda: now[0])
    reached = []

    def attempt(error: Exception | None = None) -> None:
        with tries.one():
            reached.append(now[0])
            if error is not None:
                raise error

    with pytest.raises(StoreError, match="away"):
        attempt(StoreError("away"))
    now[0] = 0.9
    with pytest.raises(StoreError, match="away"):
        attempt()
    now[0] = 1.0
    with pytest.raises(StoreError, match="still"), tries.one():
        now[0] = 5.0
        with pytest.raises(StoreError, match="away"):
            attempt()
        # As in a child that was forked from here: nobody there ends this try.
        now[0] = 12.0
        attempt()
        raise StoreError("still")
    with pytest.raises(StoreError, match="still"):
        attempt()
    now[0] = 13.0
    with pytest.raises(KeyError):
        attempt(KeyError())
    attempt()
    assert reached == [0.0, 12.0, 13.0, 13.0]
