"""Audit: what a process notices while it runs is told at once: by the monitor, its signal and webhook, and in the app's log."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from flask import Flask

from flask_rampart.audit import Audit
from flask_rampart.audit.reading import Log
from flask_rampart.monitor import Monitor
from flask_rampart.signals import anomaly_detected

from .auditing import App, log_of, make

__all__ = ["make"]


@pytest.fixture(name="said")
def said_(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.ERROR, "flask_rampart")
    return caplog


def cut(app: Flask) -> None:
    """Cuts the book of writers back to its first line."""
    book = log_of(app).directory / "heads.jsonl"
    book.write_bytes(book.read_bytes().splitlines(keepends=True)[0])


def found(app: Flask) -> list[str]:
    return [finding.rule for finding in app.extensions["rampart"].services[Monitor].recent()]


def errors(said: pytest.LogCaptureFixture) -> list[str]:
    return [one.getMessage() for one in said.records if "was changed" in one.getMessage()]


# It was a record and nothing else: who was there for such things heard of it when somebody verified the log.
def test_a_change_that_a_process_notices_is_a_finding_and_an_error_once(
    make: App, said: pytest.LogCaptureFixture
) -> None:
    app = make(RAMPART_MONITOR="report")
    heard: list[Any] = []

    def hear(_: object, finding: Any) -> None:
        heard.append(finding)

    anomaly_detected.connect(hear, sender=app)
    log = log_of(app)
    log.event("one")
    log.checkpoint()
    assert (found(app), errors(said)) == ([], [])
    cut(app)
    for name in ("two", "three", "four"):
        log.event(name)
        log.checkpoint()
    assert found(app) == ["audit_tampering"]
    assert [(finding.rule, finding.severity) for finding in heard] == [("audit_tampering", "critical")]
    (error,) = errors(said)
    assert error.startswith("The audit log was changed: heads.jsonl, as a process noticed")
    events = [record["event"] for record in Log(log.directory).records()]
    assert events.count("audit_tampered") == events.count("monitor.audit_tampering") == 1
    # Another change is another fact.
    cut(app)
    log.event("five")
    log.checkpoint()
    assert len(errors(said)) == 2


def test_a_change_that_is_noticed_at_the_end_is_told_and_opens_no_log_anew(
    make: App, said: pytest.LogCaptureFixture
) -> None:
    app = make(RAMPART_MONITOR="report")
    log = log_of(app)
    log.event("one")
    log.checkpoint()
    cut(app)
    log.close()
    assert found(app) == ["audit_tampering"] and len(errors(said)) == 1
    assert log.writer is None and len(list(log.directory.glob("*-*.jsonl"))) == 1
    log.event("again")
    assert log.writer is not None


def test_a_change_is_an_error_where_nobody_monitors(make: App, said: pytest.LogCaptureFixture) -> None:
    app = make(RAMPART_MONITOR="off")
    for hook in (log_of(app).at_tampering, None, _fails):
        log_of(app).at_tampering = hook
        log_of(app).event("one")
        log_of(app).checkpoint()
        cut(app)
        log_of(app).event("two")
        log_of(app).checkpoint()
        assert len(errors(said)) == (2 if hook is _fails else 1), "what cannot be told is told as well"
        said.clear()


def _fails(_: str) -> None:
    raise OSError("nobody is there")


def test_a_log_that_is_opened_on_a_changed_book_tells_it(make: App, said: pytest.LogCaptureFixture) -> None:
    app = make(RAMPART_MONITOR="report")
    log: Audit = log_of(app)
    log.event("one")
    log.close()
    book = log.directory / "heads.jsonl"
    book.write_bytes(book.read_bytes().replace(b'"size":', b'"size": ', 1))
    log.event("two")
    log.checkpoint()
    assert found(app) == ["audit_tampering"] and len(errors(said)) == 1
