"""The table of reports: who makes room for whom in a flood, and how many workers share it."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flask import Flask

from flask_rampart import Clock, Settings
from flask_rampart.reports import Reports, keeping
from flask_rampart.reports.keeping import Keeper
from flask_rampart.reports.reading import Seen
from flask_rampart.reports.table import MOST_ALONE, MOST_GROUPS, MOST_NAMED, Group, Sender, Table, noted
from flask_rampart.stores import MemoryStore, Record, Records, StoreError

from .reporting import groups, old

SALT = b"s" * 32
NOW = 1_800_000_000.0


def seen(blocked: str) -> Seen:
    return Seen("csp-violation", "enforce", "img-src", blocked, "/", "", ())


def senders(count: int) -> Iterator[Sender]:
    """Senders that do not share a bit with another, as most do not."""
    taken: set[int] = set()
    at = 0
    while len(taken) < count:
        at += 1
        sender = Sender.of(f"address {at}", SALT)
        if sender.bit not in taken:
            taken.add(sender.bit)
            yield sender


def confirmed(table: Table, count: int, who: list[Sender], now: float = NOW, name: str = "real") -> set[str]:
    """Groups that all of these have reported."""
    return {
        key for at in range(count) for one in who for key in table_add(table, f"https://{name}{at}.example", one, now)
    }


def table_add(table: Table, blocked: str, who: Sender, now: float = NOW) -> list[str]:
    key, group = noted(seen(blocked), who, now)
    table.add([(key, group)])
    return [key]


def flood(table: Table, who: Sender, count: int, now: float = NOW) -> None:
    for at in range(count):
        table_add(table, f"https://{who.name}-{at}.evil.example", who, now + 1 + at)


def test_a_flood_from_one_address_pushes_out_no_group_of_others_while_it_has_most() -> None:
    flooder, *others = senders(31)
    table = Table()
    real = {key for at, one in enumerate(others) for key in table_add(table, f"https://real{at}.example", one)}
    flood(table, flooder, 5 * MOST_GROUPS)
    assert len(table.groups) == MOST_GROUPS
    assert real <= set(table.groups)
    # And a new one still gets in, at the flood's cost.
    (late,) = table_add(table, "https://late.example", others[0], NOW - 10)
    assert late in table.groups
    assert real <= set(table.groups)


def test_a_flood_pushes_out_few_of_what_several_clients_reported() -> None:
    flooder, *others = senders(4)
    table = Table()
    assert MOST_ALONE == MOST_GROUPS // 10
    real = confirmed(table, MOST_GROUPS, others[:2])
    many = confirmed(table, MOST_GROUPS - MOST_ALONE, others, name="real")
    assert many <= real
    flood(table, flooder, 5 * MOST_GROUPS)
    assert len(real & set(table.groups)) == MOST_GROUPS - MOST_ALONE
    # Those with the fewest clients gave way.
    assert many <= set(table.groups)


def test_addresses_that_confirm_each_other_push_out_nothing_that_more_clients_reported() -> None:
    *flooders, a, b, c, d = senders(7)
    table = Table()
    real = confirmed(table, 100, [a, b, c, d])
    for at in range(3 * MOST_GROUPS):
        for one in flooders:
            table_add(table, f"https://{at}.evil.example", one, NOW + at)
    assert real <= set(table.groups)
    assert len(table.groups) == MOST_GROUPS


def test_addresses_share_the_places_that_nobody_confirms() -> None:
    first, second = senders(2)
    table = Table()
    flood(table, first, MOST_GROUPS)
    flood(table, second, MOST_GROUPS, NOW + 10_000)
    owners = [group.senders[0] for group in table.groups.values()]
    assert abs(owners.count(first.name) - owners.count(second.name)) <= 1


def test_what_made_room_is_counted() -> None:
    (flooder,) = senders(1)
    table = Table()
    flood(table, flooder, MOST_GROUPS + 7)
    assert table.apart == {"replaced": 7}


def test_a_batch_makes_room_once_and_tells_what_stayed() -> None:
    (flooder,) = senders(1)
    table = Table()
    new = table.add([noted(seen(f"https://{at}.example"), flooder, NOW + at) for at in range(3 * MOST_GROUPS)])
    assert set(new) == set(table.groups)
    assert len(new) == MOST_GROUPS


@pytest.mark.parametrize("salt", range(50))
def test_a_few_clients_are_counted_exactly(salt: int) -> None:
    table = Table()
    for count in range(1, MOST_NAMED):
        for _ in range(2):
            table_add(table, "https://cdn.example", Sender.of(f"198.51.100.{count}", bytes([salt])))
        (group,) = table.groups.values()
        assert (group.clients, group.is_confirmed) == (count, count > 1)


@pytest.mark.parametrize("count", [10, 40, 100])
def test_clients_are_about_as_many_as_there_were(count: int) -> None:
    table = Table()
    for at in range(count):
        table_add(table, "https://cdn.example", Sender.of(f"198.51.100.{at}", SALT))
    (group,) = table.groups.values()
    assert 0.6 * count <= group.clients <= 1.5 * count


def test_a_table_is_read_as_it_was_written_and_a_broken_one_is_empty() -> None:
    table = Table()
    confirmed(table, 3, list(senders(2)))
    table.apart["foreign"] = 4
    again = Table.of(table.written())
    assert (again.groups, again.apart) == (table.groups, table.apart)
    for broken in (b"", b"{", b"[]", b'{"groups": {"a": [1]}, "apart": {}}', b'{"groups": [], "apart": []}', b"\xff"):
        assert Table.of(broken) == Table()
    fields = list(vars(next(iter(table.groups.values()))).values())
    for at in range(len(fields)):
        wrong = [*fields[:at], None, *fields[at + 1 :]]
        assert Table.of(json.dumps({"groups": {"a": wrong}, "apart": {}}).encode()).groups == {}


def test_the_record_is_bounded() -> None:
    table = Table()
    wide = Seen(*["x" * 250] * 6, sample=(("blocked", "b" * 200), ("source", "s" * 200), ("script", "t" * 82)))
    for at, sender in zip(range(MOST_GROUPS + 5), senders(64), strict=False):
        table.add([noted(wide._replace(page=f"{at:0250}"), sender, NOW)])
    assert len(table.written()) < MOST_GROUPS * 2200


def test_an_address_is_not_in_the_records() -> None:
    sender = Sender.of("c0000201", SALT)
    assert "c0000201" not in sender.name
    assert Sender.of("c0000201", SALT) == sender
    assert Sender.of("c0000201", b"t" * 32) != sender


class Away(MemoryStore):
    """A store that is away when it is told to be, and counts what it is asked to write."""

    def __init__(self) -> None:
        super().__init__()
        self.is_away = False
        self.writes = 0

    def get(self, kind: str, key: str) -> Record | None:
        if self.is_away:
            raise StoreError("away")
        return super().get(kind, key)

    def insert(self, kind: str, key: str, value: bytes, *, group: str = "", expires: float | None = None) -> bool:
        if self.is_away:
            raise StoreError("away")
        self.writes += 1
        return super().insert(kind, key, value, group=group, expires=expires)

    def replace(
        self, kind: str, key: str, value: bytes, version: int, *, group: str = "", expires: float | None = None
    ) -> bool:
        self.writes += 1
        return super().replace(kind, key, value, version, group=group, expires=expires)


def until(is_so: Callable[[], bool], seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end
        threading.Event().wait(0.005)


class Silent(MemoryStore):
    """A store that lets whoever asks for the table wait, until it is told to go on."""

    def __init__(self) -> None:
        super().__init__()
        self.goes_on = threading.Event()
        self.waiting = 0
        self.most = 0

    def get(self, kind: str, key: str) -> Record | None:
        self.waiting += 1
        self.most = max(self.most, self.waiting)
        self.goes_on.wait(20)
        self.waiting -= 1
        return super().get(kind, key)


@pytest.fixture
def store() -> Away:
    return Away()


def keeper(store: MemoryStore, *, at_once: bool = False) -> Keeper:
    records = Records(Settings(), "/nowhere", store=store)
    return Keeper(records, lambda: NOW, 30, at_once=lambda: at_once)


def test_many_reports_are_few_writes_and_none_is_lost(store: Away) -> None:
    one = keeper(store)
    for at in range(300):
        one.count([seen("eval")], f"address {at}")
    assert store.writes <= 3  # the secret, the first report, and perhaps a second that began meanwhile
    (group,) = one.table().groups.values()
    assert group.count == 300


def test_what_came_last_is_written_by_itself(store: Away, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeping, "EVERY", 0.05)
    one, other = keeper(store), keeper(store)
    one.count([seen("eval")], "a")
    one.count([seen("eval")], "a")
    end = time.monotonic() + 10
    while time.monotonic() < end:
        if [group.count for group in other.table().groups.values()] == [2]:
            return
        threading.Event().wait(0.02)
    raise AssertionError("not written")


def test_workers_that_write_at_once_lose_nothing(tmp_path: Path) -> None:
    records = Records(Settings(store=f"sqlite:///{tmp_path}/records.sqlite3"), str(tmp_path))
    workers = [Keeper(records, lambda: NOW, 30, at_once=lambda: True) for _ in range(4)]

    def work(one: Keeper, name: str) -> None:
        for at in range(15):
            one.count([seen("eval"), seen(f"https://{name}{at}.example")], name)

    threads = [threading.Thread(target=work, args=(one, f"w{at}")) for at, one in enumerate(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = {group.blocked: group.count for group in workers[0].table().groups.values()}
    assert found.pop("eval") == 60
    assert len(found) == 60


def test_while_the_store_is_away_reports_wait_in_bounded_memory(store: Away) -> None:
    one = keeper(store, at_once=True)
    one.count([seen("eval")], "a")
    store.is_away = True
    for at in range(3 * MOST_GROUPS):
        one.count([seen(f"https://{at}.example")], "b")
    one.count([seen("eval")], "a")
    assert len(one._pending.groups) <= 2 * MOST_GROUPS
    with pytest.raises(StoreError):
        one.table()
    store.is_away = False
    found = one.table()
    assert len(found.groups) <= MOST_GROUPS
    assert [group.count for group in found.groups.values() if group.blocked == "eval"] == [2]


def test_a_store_that_is_away_from_the_start_is_not_asked_for_each_report(store: Away) -> None:
    store.is_away = True
    one = keeper(store)
    asked = 0

    def insert(*_: object, **__: object) -> bool:
        nonlocal asked
        asked += 1
        raise StoreError("away")

    store.insert = insert  # type: ignore[assignment]
    for _ in range(50):
        one.count([seen("eval")], "a")
    until(lambda: asked == 1 and one._due > time.monotonic() + 5)
    for _ in range(50):
        one.count([seen("eval")], "a")
    assert one._timer is not None and one._due > time.monotonic() + 5
    assert asked == 1
    del store.insert
    store.is_away = False
    # What came while nobody could be asked what senders are hashed with is not lost.
    (group,) = one.table().groups.values()
    assert (group.count, group.clients) == (100, 1)


def test_nobody_who_reports_waits_for_a_silent_store_and_one_thread_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeping, "EVERY", 0.01)
    store = Silent()
    one = keeper(store)
    began = time.monotonic()
    for at in range(100):
        one.count([seen("eval")], f"address {at}")
        threading.Event().wait(0.002)  # time in which a thread for each of them would begin
    assert time.monotonic() - began < 10  # as long as it is silent, and more
    timers = [thread for thread in threading.enumerate() if isinstance(thread, threading.Timer)]
    assert len([timer for timer in timers if timer.function == one._later]) <= 1
    assert store.most == 1
    store.goes_on.set()
    (group,) = one.table().groups.values()
    assert group.count == 100


def test_a_thread_that_does_not_come_is_not_waited_for(store: Away, monkeypatch: pytest.MonkeyPatch) -> None:
    # uWSGI without --enable-threads runs none between requests.
    monkeypatch.setattr(keeping.threading.Timer, "start", lambda self: None)
    monkeypatch.setattr(keeping, "_LATE", 0.0)
    one = keeper(store)
    one.count([seen("eval")], "a")
    assert one._timer is not None
    one.count([seen("eval")], "a")
    record = store.get("reports", "table")
    assert record is not None
    assert [group.count for group in Table.of(record.value).groups.values()] == [2]


def test_a_process_that_may_begin_no_thread_answers_all_the_same(store: Away, monkeypatch: pytest.MonkeyPatch) -> None:
    def start(self: threading.Timer) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(keeping.threading.Timer, "start", start)
    one = keeper(store)
    for _ in range(3):
        one.count([seen("eval")], "a")
    one.at_exit()
    (group,) = one.table().groups.values()
    assert group.count == 3


def test_a_table_of_a_newer_version_is_left_alone_and_nothing_is_lost(
    store: Away, caplog: pytest.LogCaptureFixture
) -> None:
    value = b'{"format": 2, "rows": "of another kind"}'
    store.insert("reports", "table", value)
    app = Flask("old")
    records = Records(Settings(), "/nowhere", store=store)
    one = Keeper(records, lambda: NOW, 30, at_once=lambda: True, logger=app.logger)
    for _ in range(3):
        one.count([seen("eval")], "a")
    record = store.get("reports", "table")
    assert record is not None and record.value == value
    assert caplog.messages == [
        "reports of browsers are not written: the table of reports was written by a newer version of flask-rampart"
    ]
    with pytest.raises(StoreError, match="newer version"):
        one.table()
    store.delete("reports", "table")  # once the newer one is gone
    assert [group.count for group in one.table().groups.values()] == [3]


def test_a_group_that_this_version_does_not_know_is_dropped_and_the_others_stay() -> None:
    table = Table()
    confirmed(table, 2, list(senders(2)))
    first, second = table.groups.values()
    first.type = "made-up"
    assert [group.blocked for group in Table.of(table.written()).groups.values()] == [second.blocked]
    for hostile in ("\x1b[2J", "\u202egnp.exe", "\uff21", "a\nb"):
        second.page = hostile
        assert Table.of(table.written()).groups == {}
        second.page, second.sample = "/", {"script": hostile}
        assert Table.of(table.written()).groups == {}
        second.sample = {}


def test_a_clock_that_was_ahead_and_is_set_back_keeps_nothing_for_ever(store: Away) -> None:
    moment = NOW + 20 * 365 * 86400
    records = Records(Settings(), "/nowhere", store=store)
    one = Keeper(records, lambda: moment, 30, at_once=lambda: True)
    one.count([seen("eval")], "a")
    moment = NOW
    one.count([seen("inline")], "a")
    assert {group.last for group in one.table().groups.values()} == {NOW}
    moment = NOW + 30 * 86400 + 1
    assert one.table().groups == {}


def test_a_collector_answers_while_the_store_is_away(make_app: Callable[..., Flask]) -> None:
    app = make_app(RAMPART_REPORTS="/reports")
    app.testing = True
    assert old(app).status_code == 204
    reports: Reports = app.extensions["rampart"].services[Reports]
    store = Away()
    store.is_away = True
    reports._keeper._records._store = store
    assert old(app).status_code == 204
    store.is_away = False
    assert [group.count for group in groups(app)] == [1]


def test_a_child_does_not_count_again_what_its_parent_counted(store: Away) -> None:
    one = keeper(store)
    one.count([seen("eval")], "a")
    one.flush()
    one.count([seen("eval")], "a")  # waits
    one._process = os.getpid() + 1  # as in a child
    one.count([seen("inline")], "a")
    assert {group.blocked: group.count for group in one.table().groups.values()} == {"eval": 1, "inline": 1}


def test_a_flood_of_new_groups_is_not_a_flood_of_signals(store: Away) -> None:
    told: list[Group] = []
    records = Records(Settings(), "/nowhere", store=store)
    one = Keeper(records, lambda: NOW, 30, at_once=lambda: True, tell=lambda key, group: told.append(group))
    for at in range(100):
        one.count([seen(f"https://{at}.example")], "a")
    assert len(told) == keeping.MOST_TOLD


def test_another_process_sees_what_was_reported(make_app: Callable[..., Flask], clock: Clock) -> None:
    app, other = make_app(RAMPART_REPORTS="/reports"), make_app(RAMPART_REPORTS="/reports")
    app.testing = other.testing = True
    old(app, "2001:db8::1")
    old(other, "2001:db8::2")  # the same /64: one client
    old(other, "192.0.2.1")
    for one in (app, other):
        assert [(group.count, group.clients) for group in groups(one)] == [(3, 2)]
    reports: Reports = other.extensions["rampart"].services[Reports]
    reports.clear()
    assert groups(app) == []
