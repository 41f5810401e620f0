"""Outlets beside ``logging``: structlog, error trackers, what nothing has caught."""

from __future__ import annotations

import copy
import io
import json
import logging
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from flask_rampart import RedactingFormatter, Redactor
from flask_rampart.redaction import (
    Custom,
    Mask,
    rampart_redact,
    redact_event,
    redact_excepthook,
    structlog_processor,
)

MAIL = "ada@example.com"
SECRET = "hunter2secret"
MARK = "[REDACTED:EMAIL_ADDRESS]"


class Log:
    """structlog with our processor before a renderer, and what it wrote."""

    def __init__(self, renderer: Any, *before: Any, redactor: Redactor | None = None) -> None:
        self.stream = io.StringIO()
        self.logger: Any = structlog.wrap_logger(
            structlog.PrintLogger(self.stream),
            processors=[structlog.contextvars.merge_contextvars, *before, structlog_processor(redactor), renderer],
            wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG),
        )

    @property
    def text(self) -> str:
        return self.stream.getvalue()


@pytest.fixture(autouse=True)
def context() -> Iterator[None]:
    structlog.contextvars.clear_contextvars()
    yield
    structlog.contextvars.clear_contextvars()


RENDERERS: dict[str, Any] = {
    "json": structlog.processors.JSONRenderer(),
    "console": structlog.dev.ConsoleRenderer(colors=False),
    "logfmt": structlog.processors.LogfmtRenderer(),
    "repr": structlog.processors.KeyValueRenderer(),
}


@pytest.mark.parametrize("renderer", RENDERERS)
def test_nested_values_names_context_and_what_was_bound_are_covered(renderer: str) -> None:
    # structlog#152: a processor that looks at the first level alone.
    log = Log(RENDERERS[renderer])
    structlog.contextvars.bind_contextvars(token=SECRET)
    bound = log.logger.bind(password=SECRET, user={"mail": [MAIL]})
    deep = {"a": [{"headers": [("Authorization", f"Basic {SECRET}")]}]}
    bound.info(f"login of {MAIL}", mail_of_someone=MAIL, deep=deep, card=4111111111111111)
    assert "login of" in log.text
    for secret in (MAIL, SECRET, "4111"):
        assert secret not in log.text


def test_a_name_that_is_a_secret_is_one() -> None:
    log = Log(RENDERERS["json"])
    log.logger.info("seen", by={MAIL: 1})
    assert json.loads(log.text)["by"] == {MARK: 1}


class Session:
    def __repr__(self) -> str:
        return f"<Session password={SECRET}>"


def test_objects_are_redacted_as_what_renderers_write_of_them() -> None:
    for name in ("json", "repr", "console"):
        log = Log(RENDERERS[name])
        log.logger.info("seen", of=Session(), error=ValueError(f"no {MAIL}"), raw=f"to {MAIL}".encode())
        assert SECRET not in log.text and MAIL not in log.text
        assert "Session" in log.text


@pytest.mark.parametrize("renderer", RENDERERS)
@pytest.mark.parametrize("how", ["method", "true", "error", "tuple"])
def test_tracebacks_are_redacted_whoever_writes_them(renderer: str, how: str) -> None:
    # getsentry/sentry-python#4441: a message that quotes a value is a value.
    ways: list[tuple[Any, ...]] = [(), (structlog.processors.format_exc_info,)]
    if renderer != "console":  # which takes texts alone
        ways.append((structlog.processors.dict_tracebacks,))
    for before in ways:
        log = Log(RENDERERS[renderer], *before)
        try:
            password = SECRET  # in the frame's local variables
            raise ValueError(f"cannot log in {MAIL} with password={password}")
        except ValueError as error:
            if how == "method":
                log.logger.exception("failed")
            else:
                told = {"true": True, "error": error, "tuple": sys.exc_info()}[how]
                log.logger.error("failed", exc_info=told)
        assert "ValueError" in log.text
        assert MAIL not in log.text and SECRET not in log.text


def test_no_exception_is_no_traceback() -> None:
    log = Log(RENDERERS["json"])
    log.logger.info("fine", exc_info=True)
    assert json.loads(log.text) == {"event": "fine"}


def test_an_event_is_a_new_one_and_the_bound_context_stays() -> None:
    event = {"event": MAIL, "user": {"password": SECRET}}
    before = copy.deepcopy(event)
    assert rampart_redact(None, "info", event) == {"event": MARK, "user": {"password": "[REDACTED:PASSWORD]"}}
    assert event == before
    log = Log(RENDERERS["json"])
    bound = log.logger.bind(mail=MAIL)
    bound.info("x")
    assert structlog.get_context(bound)["mail"] == MAIL


def test_operators_of_ones_own_hold() -> None:
    log = Log(RENDERERS["json"], redactor=Redactor(operators={"EMAIL_ADDRESS": Mask(keep_last=4)}))
    log.logger.info("seen", mail=MAIL, pin=1234)
    assert json.loads(log.text) == {"event": "seen", "mail": "***********.com", "pin": "[REDACTED:PIN]"}


def test_what_fails_leaves_a_line_without_what_it_failed_at() -> None:
    class Away:
        def seal(self, plaintext: bytes, /, *, associated_data: bytes) -> bytes:
            raise OSError(plaintext.decode())

        open = seal

    log = Log(RENDERERS["json"], redactor=Redactor(operators={"DEFAULT": {"type": "encrypt", "vault": Away()}}))
    log.logger.info("seen", mail=MAIL)
    assert json.loads(log.text) == {
        "event": "An event could not be redacted.",
        "error": "OSError",
        "level": "info",
    }


def test_structlogs_bridge_to_logging_is_covered_at_both_ends() -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    render = structlog.stdlib.ProcessorFormatter(
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, RENDERERS["json"]],
        foreign_pre_chain=[structlog_processor()],
    )
    handler.setFormatter(RedactingFormatter(render))
    logger = logging.Logger("bridged")
    logger.addHandler(handler)
    log: Any = structlog.wrap_logger(
        logger,
        processors=[structlog_processor(), structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    log.error("seen", mail=MAIL, user={"password": SECRET})
    logger.error("foreign %s", MAIL)
    one, other = (json.loads(line) for line in stream.getvalue().splitlines())
    assert one == {"event": "seen", "mail": MARK, "user": {"password": "[REDACTED:PASSWORD]"}}
    assert other["event"] == f"foreign {MARK}"


EVENT: dict[str, Any] = {
    "level": "error",
    "exception": {
        "values": [
            {
                "type": "ValueError",
                "value": f"no {MAIL}",
                "stacktrace": {
                    "frames": [{"function": "login", "lineno": 7, "vars": {"password": f"'{SECRET}'", "n": "1"}}]
                },
            }
        ]
    },
    "request": {
        "url": f"https://example.org/?token={SECRET}",
        "headers": {"Authorization": f"Bearer {SECRET}", "Accept": "text/html"},
        "data": {"user": {"cards": [4111111111111111]}},
        "query_string": f"mail={MAIL}&page=3",
    },
    "breadcrumbs": {"values": [{"message": f"mail to {MAIL}", "data": {"api_key": SECRET}}]},
    "extra": {"sys.argv": ["app", f"--password={SECRET}"], "deep": {"a": {"b": {"c": {"d": {"e": MAIL}}}}}},
    "user": {"id": 7, "email": MAIL},
}


def test_an_event_for_a_tracker_is_redacted_to_its_leaves() -> None:
    # Sentry's own scrubber is shallow: sentry-python#7620, #4230.
    before = copy.deepcopy(EVENT)
    made = redact_event(EVENT, {"exc_info": None})
    assert made is not None and before == EVENT
    text = json.dumps(made)
    for secret in (MAIL, SECRET, "4111"):
        assert secret not in text
    frame = made["exception"]["values"][0]["stacktrace"]["frames"][0]
    assert frame == {"function": "login", "lineno": 7, "vars": {"password": "[REDACTED:PASSWORD]", "n": "1"}}
    assert made["request"]["headers"]["Accept"] == "text/html"
    assert "page=3" in made["request"]["query_string"]


def test_an_event_that_cannot_be_redacted_is_not_sent(caplog: pytest.LogCaptureFixture) -> None:
    class Odd(dict):  # type: ignore[type-arg]
        def __iter__(self) -> Iterator[Any]:
            raise RuntimeError(MAIL)

    assert redact_event(Odd(a=MAIL)) is None
    assert redact_event([MAIL]) is None
    assert "RuntimeError" in caplog.text and MAIL not in caplog.text


@pytest.fixture
def hooks() -> Iterator[None]:
    former = sys.excepthook, threading.excepthook, sys.unraisablehook
    restore = redact_excepthook()
    yield
    restore()
    assert (sys.excepthook, threading.excepthook, sys.unraisablehook) == former


def test_what_nothing_has_caught_is_written_redacted(hooks: None, capsys: pytest.CaptureFixture[str]) -> None:
    def fails() -> None:
        raise ValueError(f"no {MAIL}") from KeyError(SECRET + MAIL)

    try:
        fails()
    except ValueError:
        sys.excepthook(*sys.exc_info())  # type: ignore[arg-type]
    told = capsys.readouterr().err
    assert "Traceback" in told and "ValueError" in told and "KeyError" in told and MAIL not in told
    thread = threading.Thread(target=fails, name="worker-7")
    thread.start()
    thread.join()
    told = capsys.readouterr().err
    assert "Exception in thread worker-7" in told and "fails" in told and MAIL not in told

    class Ends:
        def __repr__(self) -> str:
            return f"<{MAIL}>"

        def __del__(self) -> None:
            fails()

    ends = Ends()
    del ends
    told = capsys.readouterr().err
    assert "ValueError" in told and MAIL not in told


def test_a_hook_that_was_asked_for_does_not_fail_itself(capsys: pytest.CaptureFixture[str]) -> None:
    class Away:
        def seal(self, plaintext: bytes, /, *, associated_data: bytes) -> bytes:
            raise OSError("away")

        open = seal

    for operator in ({"type": "encrypt", "vault": Away()}, Custom(lambda value: 1 / 0)):  # type: ignore[arg-type,return-value]
        restore = redact_excepthook(Redactor(operators={"DEFAULT": operator}))
        try:
            sys.excepthook(ValueError, ValueError(MAIL), None)
        finally:
            restore()
        told = capsys.readouterr().err
        assert "ValueError" in told and MAIL not in told
