"""Origins: one that was sent is one that was listed, byte for byte, or it is not. The core, through Python."""

from __future__ import annotations

import re
import string
from urllib.parse import urlsplit

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from flask_rampart._native import Origins, parse_origin

LISTED = ["https://example.com", "https://example.com:8443", "https://*.example.org", "http://localhost:*"]
HOSTS = ("example.com", "example.org", "localhost", "evil.test")


def meant(sent: str) -> bool:
    """What LISTED means, said again with another parser."""
    try:
        parts = urlsplit(sent)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return False
    plain = f"{parts.scheme}://{host}" + ("" if port is None else f":{port}")
    if sent != plain or not re.fullmatch(r"[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*", host) or len(host) > 253:
        return False
    if (parts.scheme, port) in (("https", 443), ("http", 80)) or port == 0:
        return False
    # A name that ends in a number is an address to browsers.
    if host.rsplit(".", 1)[-1].isdigit():
        return False
    if (parts.scheme, host) == ("http", "localhost"):
        return True
    if parts.scheme != "https":
        return False
    return (host == "example.com" and port in (None, 8443)) or (host.endswith(".example.org") and port is None)


labels = st.text(alphabet="ab0-_.EX\u00fc%@", min_size=0, max_size=6)
ports = st.one_of(
    st.just(""), st.integers(0, 70000).map(lambda port: f":{port}"), st.sampled_from([":", ":0443", ":x"])
)
near = st.builds(
    lambda scheme, before, host, after, port, end: f"{scheme}://{before}{host}{after}{port}{end}",
    st.sampled_from(["https", "http", "HTTPS", "ftp", "null", ""]),
    st.one_of(st.just(""), labels, labels.map(lambda label: f"{label}.")),
    st.sampled_from(HOSTS),
    st.sampled_from(["", "", "", ".evil.test", ".", "\n", "\r\nX: y", "\0", " ", "#", "?", "/"]),
    ports,
    st.sampled_from(["", "", "", "/", ", https://evil.test", "@evil.test", "\t"]),
)


@settings(max_examples=400)
@given(st.one_of(near, st.text(max_size=40)))
@example("https://a.example.org.evil.test")
@example("https://evil.test#.example.org")
@example("https://aexample.org")
@example("https://a@b.example.org")
@example("https://a.example.org:443")
@example("null")
@example("\ud800")
def test_no_origin_is_taken_that_another_parser_does_not_find_listed(sent: str) -> None:
    assert Origins(LISTED, []).has(sent) == meant(sent)


@settings(max_examples=500)
@given(st.one_of(near, st.text(max_size=40), st.text(alphabet=string.printable, max_size=400)))
def test_an_origin_that_was_read_stays_as_it_is_when_it_is_read_again(text: str) -> None:
    read = parse_origin(text)
    if read is not None:
        assert parse_origin(read) == read
        assert Origins([text], []).has(read)
        assert read.isascii() and read.isprintable() and len(read) <= 326


@given(st.text(max_size=60))
def test_a_regex_finds_what_python_finds_of_what_is_an_origin(middle: str) -> None:
    pattern = r"https://(pr-[0-9]+|[a-z]{1,3})\.example\.com(:8443)?"
    for sent in (middle, f"https://{middle}.example.com", f"https://pr-1.example.com{middle}"):
        is_origin = parse_origin(sent) == sent
        assert Origins([], [pattern]).has(sent) == (is_origin and re.fullmatch(pattern, sent) is not None)


@pytest.mark.parametrize(
    "text, cure",
    [
        ("https://example.com/", 'Did you mean "https://example.com"'),
        ("https://example.com/app", 'Did you mean "https://example.com"'),
        ("example.com", 'Did you mean "https://example.com"'),
        ("null", "sandboxed frame"),
        ("https://*.co.uk", "public suffix"),
        ("https://*.github.io", "public suffix"),
        ("https://*example.com", r"https://\*.example.com"),
        ("https://example.com:*", "only localhost"),
        ("https://user:secret@example.com", "no user"),
    ],
    ids=["slash", "path", "host", "null", "suffix", "private-suffix", "star", "ports", "user"],
)
def test_what_is_no_origin_is_refused_with_the_cure(text: str, cure: str) -> None:
    with pytest.raises(ValueError, match=cure):
        Origins([text], [])


def test_a_long_list_is_bounded() -> None:
    with pytest.raises(ValueError, match="more than 10000"):
        Origins([f"https://a{n}.example" for n in range(10_001)], [])


def test_a_regex_of_any_size_ends_in_time() -> None:
    # What doubles with each letter in a backtracking engine (CWE-1333).
    origins = Origins([], [r"https://(a+)+\.example\.com"])
    assert not origins.has("https://" + "a" * 60 + "!")
    with pytest.raises(ValueError, match="linear"):
        Origins([], [r"https://((a{1,1000}){1,1000}){1,1000}\.example\.com"])
