"""Redaction: what is remembered of a request, and what is not."""

from __future__ import annotations

import io
import json
import logging
from collections import defaultdict, namedtuple
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, Response, send_file
from flask.testing import FlaskClient

from flask_rampart import RedactingFormatter, limit, require
from flask_rampart._native import Redactor

from .conftest import bearer

App = Callable[..., Flask]
Sign = Callable[..., str]
CARD = "4111 1111 1111 1111"


class Reading(FlaskClient):
    """Reads every answer to its end, as a server does."""

    def open(self, *args: Any, buffered: bool = True, **kwargs: Any) -> Any:
        return super().open(*args, buffered=buffered, **kwargs)


@pytest.fixture
def logged(make_app: App, tmp_path: Path) -> tuple[Flask, Callable[[], list[dict[str, Any]]]]:
    path = tmp_path / "access.log"
    app = make_app(RAMPART_ACCESS_LOG=str(path))
    app.test_client_class = Reading
    return app, lambda: [json.loads(line) for line in path.read_text().splitlines()]


def test_each_request_leaves_one_line(logged: Any, token: Sign) -> None:
    app, lines = logged
    app.get("/users/<int:user>")(require()(lambda user: "hello"))
    response = app.test_client().get("/users/7?q=1", headers=bearer(token()))
    (line,) = lines()
    assert line["request_id"] == response.headers["X-Request-Id"]
    assert line["route"] == "/users/<int:user>"
    assert (line["method"], line["target"], line["status"], line["bytes"]) == ("GET", "/users/7?q=1", 200, 5)
    assert (line["principal"], line["client"], line["codes"], line["complete"]) == ("ada", "127.0.0.1", [], True)
    assert 0 < line["us"] < 60_000_000
    assert line["time"] == "2027-01-15T08:00:00.000000Z"


def test_refusals_leave_their_codes_wherever_they_happened(logged: Any) -> None:
    app, lines = logged
    app.get("/required")(require()(lambda: "x"))
    app.get("/limited")(limit("1/hour")(lambda: "x"))
    client = app.test_client()
    client.get("/required")
    client.get("/required", headers=bearer("forged"))
    client.get("/limited")
    client.get("/limited")
    client.post("/limited", environ_overrides={"CONTENT_LENGTH": "x"})
    client.get("/absent")
    assert [(line["status"], line["codes"]) for line in lines()] == [
        (401, ["auth.missing"]),
        (401, ["token.invalid"]),
        (200, []),
        (429, ["limit.exceeded"]),
        (400, ["request.malformed"]),
        (404, []),
    ]


def test_a_stream_is_noted_when_it_ends_or_is_left(logged: Any) -> None:
    app, lines = logged
    app.get("/")(lambda: Response(iter(["ab", "cd", "ef"])))
    client = app.test_client()
    response = client.get("/", buffered=False)
    assert lines() == []
    assert b"".join(response.iter_encoded()) == b"abcdef"
    response.close()
    left = client.get("/", buffered=False)
    next(iter(left.response))
    left.close()
    whole, cut = lines()
    assert (whole["bytes"], whole["complete"]) == (6, True)
    assert (cut["bytes"], cut["complete"]) == (2, False)


def test_a_stream_that_fails_and_a_file_are_noted(logged: Any) -> None:
    app, lines = logged

    def broken() -> Any:
        yield "ab"
        raise ValueError("in the middle")

    app.get("/broken")(lambda: Response(broken()))
    app.get("/file")(lambda: send_file(__file__))
    client = app.test_client()
    with pytest.raises(ValueError, match="in the middle"):
        client.get("/broken")
    client.get("/file").close()
    assert [line["complete"] for line in lines()] == [False, True]


def test_secrets_never_reach_the_access_log(logged: Any, tmp_path: Path) -> None:
    app, lines = logged
    app.get("/")(lambda: "ok")
    secrets = ["hunter2secret", "ada@example.com", "sk-ant-api03-" + "A" * 80]
    app.test_client().get(
        "/", query_string={"password": secrets[0], "mail": secrets[1], "note": secrets[2], "page": "3"}
    )
    text = (tmp_path / "access.log").read_text()
    for secret in secrets:
        assert secret not in text
    assert "page=3" in lines()[0]["target"]
    assert "password=" in lines()[0]["target"]


def test_a_line_is_one_line_whatever_is_in_it(logged: Any, token: Sign) -> None:
    # Log injection: CVE-2024-1681 (Flask-Cors).
    app, lines = logged
    app.get("/")(require()(lambda: "ok"))
    app.test_client().get("/?x=%0a{}", headers=bearer(token(sub='a\n{"forged":true}\u2028\x1b[31m')))
    app.test_client().get("/\r\n\x00\x1b")
    assert len(lines()) == 2
    assert lines()[0]["principal"].startswith("a\n")


def formatted(message: str, *args: Any, **kwargs: Any) -> str:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        RedactingFormatter(logging.Formatter("%(levelname)s %(message)s%(more)s", defaults={"more": ""}))
    )
    logger = logging.Logger("test")
    logger.addHandler(handler)
    logger.error(message, *args, **kwargs)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("message", "args"),
    [
        ("mail to ada@example.com", ()),
        ("mail to %s", ("ada@example.com",)),
        ("card %s", (CARD,)),
        ('body {"password": "hunter2secret"}', ()),
        ("url https://ada:hunter2secret@example.com/", ()),
        ("url /login?password=hunter2secret&x=1", ()),
        ("%s", ({"password": "hunter2secret", "deep": [{"api_key": "hunter2secret"}]},)),
        ("%(password)s", ({"password": "hunter2secret"},)),
        ("Authorization: Bearer hunter2secret.hunter2secret", ()),
        ("-----BEGIN PRIVATE KEY-----\nhunter2secret\n-----END PRIVATE KEY-----", ()),
    ],
)
def test_the_formatter_covers_messages_and_arguments(message: str, args: tuple[Any, ...]) -> None:
    text = formatted(message, *args)
    for secret in ("ada@example.com", CARD, "hunter2secret"):
        assert secret not in text
    assert "REDACTED" in text


def test_the_formatter_covers_tracebacks_stacks_and_extra() -> None:
    # Filters never see these: sentry-python#7620 and its kin.
    def fails(password: str) -> None:
        raise ValueError(f"cannot log in with password={password} as ada@example.com")

    try:
        fails("".join(["hunter2", "secret"]))
    except ValueError:
        text = formatted("failed", exc_info=True, stack_info=True, extra={"more": {"token": "hunter2secret"}})
    assert "Traceback" in text
    assert "hunter2secret" not in text
    assert "ada@example.com" not in text


def test_the_record_itself_is_left_as_it_was() -> None:
    record = logging.makeLogRecord({"msg": "%s", "args": ("ada@example.com",)})
    RedactingFormatter().format(record)
    assert record.args == ("ada@example.com",)
    assert record.exc_text is None


def test_what_is_too_deep_to_look_at_is_not_shown() -> None:
    deep: Any = "hunter2secret"
    for _ in range(20):
        deep = [deep]
    assert "hunter2secret" not in formatted("x", extra={"more": {"a": deep}})
    wide = {"a": [["x"] for _ in range(5000)], "b": ["hunter2secret"]}
    assert "hunter2secret" not in formatted("x", extra={"more": wide})


def test_the_apps_own_logging_is_redacted_at_once(make_app: App) -> None:
    app = make_app()
    stream = io.StringIO()
    late = logging.StreamHandler(stream)
    app.logger.addHandler(late)

    @app.get("/")
    def view() -> str:
        app.logger.error("login of ada@example.com")
        return "ok"

    app.test_client().get("/")
    app.logger.removeHandler(late)
    assert "login of [REDACTED:EMAIL_ADDRESS]" in stream.getvalue()
    assert "ada@example.com" not in stream.getvalue()


def test_names_of_ones_own_can_be_added(make_app: App, tmp_path: Path) -> None:
    path = tmp_path / "log"
    app = make_app(RAMPART_ACCESS_LOG=str(path), RAMPART_REDACT=["shoe_size"])
    app.get("/")(lambda: "ok")
    app.test_client().get("/?shoe_size=thirtynine&hat=7").get_data()
    assert "thirtynine" not in path.read_text()
    assert "hat=7" in path.read_text()
    assert Redactor(names=["shoe_size"]).is_secret_name("Shoe-Size")


@pytest.mark.parametrize("where", ["stderr", "stdout"])
def test_the_log_goes_to_a_standard_stream(make_app: App, where: str, capfd: pytest.CaptureFixture[str]) -> None:
    app = make_app(RAMPART_ACCESS_LOG=where)
    app.get("/")(lambda: "ok")
    app.test_client().get("/").get_data()
    captured = capfd.readouterr()
    text = captured.err if where == "stderr" else captured.out
    assert json.loads(text)["status"] == 200


class Unprintable:
    def __repr__(self) -> str:
        raise ValueError("hunter2secret")

    __str__ = __repr__


@pytest.mark.parametrize(
    ("message", "args"),
    [
        ("session %(session)d password=%(password)s", ({"session": 7, "password": "hunter2secret"},)),
        ("pin %(pin)04d of %(password)s", ({"pin": 1234, "password": "hunter2secret"},)),
        ("%(missing)s %(password)s", (defaultdict(str, password="hunter2secret"),)),
        ("login password=%s try %d", ("hunter2secret", "x")),
        ("%s password=%s", (Unprintable(), "hunter2secret")),
        ("%s", ({("a", "b"), ("password", "hunter2secret")},)),
        ("%s", (namedtuple("Login", "user password")("ada", "hunter2secret"),)),
        ("password=%s", ("hunter2secret", "too many")),
    ],
)
def test_a_line_that_cannot_be_formatted_is_kept_and_shows_no_secret(
    message: str, args: tuple[Any, ...], capfd: pytest.CaptureFixture[str]
) -> None:
    # Logging prints the arguments of a failed line to standard error.
    text = formatted(message, *args)
    captured = capfd.readouterr()
    assert text.strip()
    assert "hunter2secret" not in text + captured.err + captured.out


def test_a_traceback_that_came_as_text_is_kept_and_redacted() -> None:
    record = logging.makeLogRecord({"msg": "failed", "exc_text": "Traceback: password=hunter2secret"})
    text = RedactingFormatter().format(record)
    assert "Traceback" in text
    assert "hunter2secret" not in text


def test_a_kind_of_record_keeps_its_own_message() -> None:
    class Braces(logging.LogRecord):
        def getMessage(self) -> str:
            return str(self.msg).format(*self.args or ())

    record = Braces("n", logging.INFO, "p", 1, "mail {}", ("ada@example.com",), None)
    assert RedactingFormatter().format(record) == "mail [REDACTED:EMAIL_ADDRESS]"


def test_a_huge_argument_is_not_walked_to_its_end() -> None:
    text = formatted("%s", ["hunter2secret"] * 1_000_000)
    assert len(text) < 100_000
