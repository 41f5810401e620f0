"""CORS: what could not be meant stops the start-up, and the error says what to write instead."""

from __future__ import annotations

import doctest
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from flask_rampart import ConfigError, cors

PAGE = "https://app.example.com"
MakeApp = Callable[..., Flask]


@pytest.mark.parametrize(
    "given, cure",
    [
        ({"ORIGINS": []}, "not empty"),
        ({"ORIGINS": ""}, "not empty"),
        ({"ORIGINS": True}, "a list of origins"),
        ({"ORIGINS": [b"https://a.example"]}, "a text"),
        ({"ORIGINS": "*", "CREDENTIALS": True}, "RAMPART_CORS_ORIGINS: '\\*' with RAMPART_CORS_CREDENTIALS"),
        ({"ORIGINS": "*", "PRIVATE_NETWORK": True}, "'\\*' with RAMPART_CORS_PRIVATE_NETWORK"),
        ({"ORIGINS": ["*", PAGE]}, "stands alone"),
        ({"ORIGINS": ["null"]}, "sandboxed frame"),
        ({"ORIGINS": [f"{PAGE}/"]}, "Did you mean"),
        ({"ORIGINS": ["https://*.github.io"]}, "public suffix"),
        ({"ORIGINS": ["http://app.example.com"], "CREDENTIALS": True}, "plain HTTP.*Write https://"),
        ({"ORIGINS": ["http://app.example.com"], "PRIVATE_NETWORK": True}, "plain HTTP"),
        ({"ORIGINS": [re.compile(r"http://[a-z]+\.example\.com")], "CREDENTIALS": True}, "plain HTTP"),
        ({"ORIGINS": [re.compile(r"https://.*example\.com")]}, "whole domain of your own"),
        ({"ORIGINS": [re.compile(r"https://a\.example\.com", re.I)]}, "has flags"),
        ({"ORIGINS": [re.compile(rb"https://a\.example\.com")]}, "re.compile"),
        ({"ORIGINS": [re.compile(r"https://(?!x)[a-z]+\.example\.com")]}, "look-around"),
        ({"CREDENTIALS": True}, "no effect without RAMPART_CORS_ORIGINS"),
        ({"MAX_AGE": 5}, "no effect without RAMPART_CORS_ORIGINS"),
        ({"ORIGINS": PAGE, "CREDENTIALS": "yes"}, "True or False"),
        ({"ORIGINS": PAGE, "MAX_AGE": -1}, "0 to 86400"),
        ({"ORIGINS": PAGE, "MAX_AGE": 86401}, "0 to 86400"),
        ({"ORIGINS": PAGE, "MAX_AGE": True}, "0 to 86400"),
        ({"ORIGINS": PAGE, "METHODS": ["TRACE"]}, "no browser lets a page send TRACE"),
        ({"ORIGINS": PAGE, "METHODS": ["connect"]}, "no browser"),
        ({"ORIGINS": PAGE, "METHODS": ["put"]}, "Write 'PUT'"),
        ({"ORIGINS": PAGE, "METHODS": ["*"]}, "leave it out"),
        ({"ORIGINS": PAGE, "METHODS": ["PU T"]}, "is no name"),
        ({"ORIGINS": PAGE, "HEADERS": ["X-A: b"]}, "is no name"),
        ({"ORIGINS": PAGE, "HEADERS": ["X-A\r\nX-B"]}, "is no name"),
        ({"ORIGINS": PAGE, "HEADERS": ["Cookie"]}, "no browser lets a page set Cookie"),
        ({"ORIGINS": PAGE, "HEADERS": ["Sec-Fetch-Site"]}, "no browser"),
        ({"ORIGINS": PAGE, "HEADERS": ["*"], "CREDENTIALS": True}, "List the names"),
        ({"ORIGINS": PAGE, "EXPOSE": ["*"], "CREDENTIALS": True}, "List the names"),
        ({"ORIGINS": PAGE, "EXPOSE": ["*", "X-A"]}, "stands alone"),
        ({"ORIGINS": PAGE, "EXPOSE": ["Set-Cookie"]}, "no browser lets a page read Set-Cookie"),
        ({"ORIGINS": PAGE, "EXPOSE": ["Access-Control-Allow-Origin"]}, "for the browser"),
        ({"ORIGIN": PAGE}, "Did you mean RAMPART_CORS_ORIGINS"),
    ],
    ids=lambda value: None if isinstance(value, dict) else re.sub(r"\W+", "-", value),
)
def test_a_setting_that_could_not_be_meant_stops_the_start_up(
    make_app: MakeApp, given: dict[str, Any], cure: str
) -> None:
    with pytest.raises(ConfigError, match=cure):
        make_app(**{f"RAMPART_CORS_{name}": value for name, value in given.items()})


@pytest.mark.parametrize(
    "origins",
    [
        ["https://ada:hunter2@app.example.com"],
        ["https://ada:hunter2@*.example.com"],
        ["https://app.example.com?token=hunter2"],
        ["http://ada:hunter2@app.example.com"],
        [re.compile(r"https://ada:hunter2@app\.example\.com", re.I)],
        [re.compile(r"https://ada:hunter2@.*")],
        ["*", "https://ada:hunter2@app.example.com"],
    ],
    ids=["user", "star", "query", "plain", "flags", "pattern", "two"],
)
def test_no_error_quotes_a_password(make_app: MakeApp, origins: list[Any]) -> None:
    with pytest.raises(ConfigError) as at_start:
        make_app(RAMPART_CORS_ORIGINS=origins, RAMPART_CORS_CREDENTIALS=True)
    with pytest.raises(ConfigError) as at_import:
        cors(origins=origins)
    assert "hunter2" not in f"{at_start.value}{at_import.value}"


@pytest.mark.parametrize(
    "given, cure",
    [
        ({"origins": "*", "credentials": True}, r"cors\(origins=...\): '\*' with cors\(credentials=...\)"),
        ({"origins": None}, r"cors\(origins=...\) is a list"),
        ({"origins": [1]}, "is a text"),
        ({"origins": PAGE, "credentials": 1}, "True or False"),
        ({"origins": PAGE, "max_age": 1.5}, "whole seconds"),
        ({"origins": PAGE, "max_age": -1}, "0 to 86400"),
        ({"origins": PAGE, "methods": 5}, r"cors\(methods=...\) is a list"),
        ({"origins": PAGE, "headers": [5]}, "is no name"),
        ({"origins": lambda: "x"}, "in parentheses"),
    ],
    ids=["star", "none", "number", "credentials", "fraction", "negative", "methods", "headers", "bare"],
)
def test_a_decorator_that_could_not_be_meant_is_an_error_where_it_is_written(given: dict[str, Any], cure: str) -> None:
    with pytest.raises(ConfigError, match=cure):
        cors(**given)


def test_what_can_be_meant_starts(make_app: MakeApp) -> None:
    make_app(
        RAMPART_CORS_ORIGINS={
            PAGE,
            "https://*.example.org:8443",
            "http://localhost:*",
            "capacitor://localhost",
            re.compile(r"https://pr-\d+\.example\.com"),
        },
        RAMPART_CORS_CREDENTIALS=True,
        RAMPART_CORS_METHODS=["PUT", "QUERY"],
        RAMPART_CORS_HEADERS="X-CSRF-Token",
        RAMPART_CORS_EXPOSE=["X-Total-Count", "x-total-count"],
        RAMPART_CORS_MAX_AGE=86400,
        RAMPART_CORS_PRIVATE_NETWORK=True,
        RAMPART_CORS_DEBUG=True,
    )
    assert repr(cors(origins=[])) == "cors(origins=[])"
    assert cors.none.policy is None


def test_the_examples_of_the_page_run(make_app: MakeApp) -> None:
    page = Path(__file__).parent.parent / "docs" / "cors.md"
    failed, ran = doctest.testfile(str(page), module_relative=False, optionflags=doctest.ELLIPSIS, encoding="utf-8")
    assert (failed, ran > 8) == (0, True)
    (block,) = re.findall(r"```python\n(.*?)```", page.read_text(), re.S)
    app = make_app(rampart=False)
    exec(compile(block, str(page), "exec"), {"app": app})
    settings = {name: value for name, value in app.config.items() if name.startswith("RAMPART_CORS_")}
    assert len(settings) == 6
    make_app(**settings)
