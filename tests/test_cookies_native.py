"""Cookies in the core: what leaves is what browsers need, by a reading of RFC 6265bis that is not the core's own."""

from __future__ import annotations

import string
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.cookies import SimpleCookie
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from werkzeug.http import dump_cookie
from werkzeug.test import Cookie as ClientCookie

from flask_rampart._native import CookiePolicy


def browser(line: str, *, https: bool) -> dict[str, Any] | None:
    """RFC 6265bis sections 5.6 and 5.7, step by step, for what they say of attributes; None: the cookie is ignored."""
    octets = line.encode("latin-1")
    if any(octet <= 8 or 0x0A <= octet <= 0x1F or octet == 0x7F for octet in octets):
        return None
    head, semicolon, rest = octets.partition(b";")
    unparsed = semicolon + rest
    name, equals, value = head.partition(b"=")
    if not equals:
        name, value = b"", head
    name, value = name.strip(b" \t"), value.strip(b" \t")
    if len(name) + len(value) > 4096:
        return None
    found: list[tuple[bytes, bytes]] = []
    while unparsed:
        unparsed = unparsed[1:]
        end = unparsed.find(b";")
        av, unparsed = (unparsed, b"") if end < 0 else (unparsed[:end], unparsed[end:])
        key, _, what = av.partition(b"=")
        key, what = key.strip(b" \t"), what.strip(b" \t")
        if len(what) <= 1024:
            found.append((key.lower(), what))
    last = dict(found)
    if not name and not value:
        return None
    enforcement = {b"none": "None", b"strict": "Strict", b"lax": "Lax"}.get(
        last.get(b"samesite", b"").lower(), "Default"
    )
    path = last.get(b"path", b"")
    path = path if path.startswith(b"/") else b"/default"
    cookie = {
        "name": name,
        "value": value,
        "secure": b"secure" in last,
        "httponly": b"httponly" in last,
        "samesite": enforcement,
        "partitioned": b"partitioned" in last,
        "domain": last.get(b"domain", b""),
        "path": path,
        "rest": {k: v for k, v in last.items() if k in (b"max-age", b"expires")},
    }
    start = (name or value).lower()
    if cookie["secure"] and not https:
        return None
    if enforcement == "None" and not cookie["secure"]:
        return None
    if cookie["partitioned"] and not cookie["secure"]:
        return None
    if start.startswith((b"__secure-", b"__host-", b"__http-")) and (not name or not cookie["secure"]):
        return None
    if start.startswith(b"__host-") and (cookie["domain"] or path != b"/"):
        return None
    if start.startswith((b"__http-", b"__host-http-")) and not cookie["httponly"]:
        return None
    return cookie


_blank = st.sampled_from(["", " ", "\t", "  "])
_case = st.sampled_from([str.lower, str.upper, str.title, str])
_name = st.sampled_from(
    [
        "a",
        "session",
        "__Host-a",
        "__host-a",
        "__Secure-a",
        "__HTTP-a",
        "__Host-Http-a",
        "__Hos",
        "",
        "b c",
        "\xe9",
        "secure",
    ]
)
_value = st.one_of(
    st.sampled_from(["", "1", '"1; Secure"', "a=b", "a, b=2", "x" * 4089, "x" * 4097, "\xe9" * 4080]),
    st.text(st.characters(codec="latin-1", exclude_categories=["Cc"]), max_size=12),
)
_attribute = st.one_of(
    st.tuples(
        _case,
        st.sampled_from(
            ["secure", "httponly", "samesite", "partitioned", "path", "domain", "max-age", "expires", "x", ""]
        ),
    ).map(lambda pair: pair[0](pair[1])),
    st.text(st.characters(codec="latin-1", exclude_categories=["Cc"]), max_size=8),
)
_of_attribute = st.sampled_from(
    [
        "",
        "/",
        "/b",
        "b",
        "None",
        "none",
        "Strict",
        "LAX",
        "foo",
        "0",
        "false",
        "a.example",
        "x" * 1024,
        "x" * 1025,
        "\xe9" * 1024,
    ]
)
_av = st.tuples(_blank, _attribute, _blank, st.sampled_from(["=", "", "=="]), _blank, _of_attribute, _blank).map(
    "".join
)
lines = st.tuples(
    st.tuples(_blank, _name, _blank, st.sampled_from(["=", "="]), _blank, _value).map("".join),
    st.lists(_av, max_size=6),
).map(lambda parts: ";".join([parts[0], *parts[1]]))

policy = CookiePolicy([])


@settings(max_examples=500, deadline=None)
@given(line=lines, https=st.booleans())
def test_a_browser_gets_the_same_cookie_with_what_it_lacked_and_nothing_else(line: str, https: bool) -> None:
    sent = policy.harden(line, https)
    before = browser(line, https=True)
    if not line.partition(";")[0].partition("=")[0].strip(" \t") or "=" not in line.partition(";")[0]:
        assert sent is None
        return
    assert sent is not None
    assert policy.harden(sent, https) == sent
    after = browser(sent, https=https)
    if https and before is not None:
        # Nothing that a browser takes is lost, and nothing is changed but for the better.
        assert after is not None
        assert after["secure"] and after["httponly"]
        assert after["samesite"] == ("Lax" if before["samesite"] == "Default" else before["samesite"])
        for key in ("name", "value", "domain", "path", "partitioned", "rest"):
            assert after[key] == before[key], key
    elif https and after is not None:
        # What a browser would have dropped, it takes now.
        assert after["secure"] and after["httponly"] and after["samesite"] != "Default"
    elif after is not None:
        assert not after["secure"] and after["httponly"] and after["samesite"] != "Default"


@settings(max_examples=120, deadline=None)
@given(
    value=st.text(max_size=40),
    max_age=st.none() | st.integers(-1, 10**9),
    domain=st.none() | st.just("a.example"),
    path=st.sampled_from(["/", "/b", None]),
    secure=st.booleans(),
    httponly=st.booleans(),
    samesite=st.sampled_from([None, "Lax", "Strict", "None"]),
    partitioned=st.booleans(),
)
def test_werkzeug_and_the_standard_library_read_the_same_cookie_with_more_attributes(value: str, **how: Any) -> None:
    line = dump_cookie("a", value, **how)
    sent = policy.harden(line, True)
    assert sent is not None and sent.startswith(line)
    was = ClientCookie._from_response_header("localhost", "/", line)
    now = ClientCookie._from_response_header("localhost", "/", sent)
    assert now.secure and now.http_only
    assert now.same_site == (how["samesite"] or "Lax")
    for key in ("key", "value", "decoded_value", "expires", "max_age", "domain", "path", "origin_only"):
        assert getattr(was, key) == getattr(now, key), key
    morsel = SimpleCookie(sent.replace("; Partitioned", ""))["a"]
    assert (morsel["secure"], morsel["httponly"], morsel["samesite"]) == (True, True, how["samesite"] or "Lax")
    assert sent.count("Secure") == sent.count("HttpOnly") == sent.count("SameSite") == 1


@settings(max_examples=120, deadline=None)
@given(line=st.text(st.characters(codec="latin-1"), max_size=60), https=st.booleans())
def test_no_text_breaks_it_and_twice_is_once(line: str, https: bool) -> None:
    sent = policy.harden(line, https)
    assert sent is None or policy.harden(sent, https) == sent


def test_who_listens_hears_the_name_and_a_code_and_may_fail() -> None:
    heard: list[tuple[str, str]] = []
    CookiePolicy([], lambda name, code: heard.append((name, code))).harden(
        "__Host-a=hunter2; Domain=b.c; Path=/d", True
    )
    assert heard == [("__Host-a", "prefix_domain"), ("__Host-a", "prefix_path")]
    failing = CookiePolicy([], lambda name, code: 1 // 0)
    with unraisable() as raised:
        assert failing.harden("=x", True) is None
    assert [type(error) for error in raised] == [ZeroDivisionError]


@contextmanager
def unraisable() -> Iterator[list[BaseException | None]]:
    """Collects what ends at ``sys.unraisablehook``."""
    found: list[BaseException | None] = []
    hook, sys.unraisablehook = sys.unraisablehook, lambda args: found.append(args.exc_value)
    try:
        yield found
    finally:
        sys.unraisablehook = hook


@pytest.mark.parametrize(
    "rules", [[("a", 1, None, None, None)], [("a",)], [(b"a", None, None, None, None)], "a"], ids=repr
)
def test_a_rule_of_another_type_is_refused(rules: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        CookiePolicy(rules)


def test_every_character_of_a_token_may_stand_in_a_name() -> None:
    name = string.ascii_letters + string.digits + "!#$%&'+-.^_`|~"
    assert CookiePolicy([(name, False, None, None, None)]).harden(f"{name}=1", False) == f"{name}=1; SameSite=Lax"
