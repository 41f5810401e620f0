"""Policies of headers as a developer gives them: what stands in the place of the profile's, and what is refused."""

import re
from types import MappingProxyType

import pytest

from flask_rampart._native import HeaderPolicy

from .test_headers_native import API_CSP, NONCE, sent


def test_a_dict_of_directives_replaces_the_whole_policy():
    policy = HeaderPolicy(
        "html",
        csp=MappingProxyType(
            {
                "default_src": "'none'",
                "script-src": ("'nonce'", "'strict-dynamic'"),
                "IMG_SRC": ["'self'", "data:"],
                "sandbox": True,
                "media-src": None,
                "font-src": False,
            }
        ),
    )
    assert policy.csp(NONCE) == (
        f"default-src 'none'; script-src 'nonce-{NONCE}' 'strict-dynamic'; img-src 'self' data:; sandbox"
    )
    assert policy.csp() != policy.csp()
    assert policy.profile == "html"


def test_in_a_mixed_application_the_dict_is_the_policy_of_pages():
    policy = HeaderPolicy("mixed", csp={"default-src": "'self'"})
    assert policy.csp() == "default-src 'self'"
    assert sent(policy, [("Content-Type", "text/html")])["Content-Security-Policy"] == "default-src 'self'"
    assert sent(policy)["Content-Security-Policy"] == API_CSP


# `self` unquoted and `evil; script-src *` from one item are both sent as they stand by Flask-Talisman 1.1.0.
@pytest.mark.parametrize(
    ("csp", "cure"),
    [
        ({"default-src": "self"}, "\"'self'\""),
        ({"default-src": ["'self'", "unsafe-inline"]}, "\"'unsafe-inline'\""),
        ({"script-src": ['"self"']}, "\"'self'\""),
        ({"script-src": "nonce"}, "\"'nonce'\""),
        ({"script-src": "'nonce-AAAAAAAAAAAAAAAAAAAAAA'"}, "\"'nonce'\""),
        ({"script-src": "'strict-dynamic'"}, "\"'nonce'\""),
        ({"img-src": ["evil; script-src *"]}, "another directive"),
        ({"img-src": "evil; script-src *"}, "another directive"),
        ({"img-src": "a.example,b.example"}, "another policy"),
        ({"img-src": "a.example\r\nSet-Cookie: a=b"}, "single spaces"),
        ({"img-src": "a\0"}, "control character"),
        ({"img-src": "bücher.example"}, "xn--"),
        ({"img-src": ["'self' data:"]}, "each item"),
        ({"img-src": ["'none'", "data:"]}, "alone"),
        ({"img-src": "data"}, '"data:"'),
        ({"img-src": "'slef'"}, "\"'self'\""),
        ({"img-scr": "'self'"}, '"img-src"'),
        ({"script_source": "'self'"}, "not a directive"),
        ({"img-src; script-src": "*"}, "not a directive"),
        ({"img-src": "'self'", "IMG_SRC": "*"}, "twice"),
        ({"plugin-types": "a/b"}, "object-src"),
        ({"script-src": "'sha256-abc'"}, "44 characters"),
        ({"img-src": ""}, "'none'"),
        ({"img-src": True}, "'none'"),
        ({"upgrade-insecure-requests": "1"}, "True"),
        ({"img-src": 1}, "list or tuple"),
        ({"img-src": {"'self'"}}, "list or tuple"),
        ({"img-src": ["'self'", None]}, "list or tuple"),
        ({1: "'self'"}, "dict of directives"),
        ({}, "allows everything"),
        ({"img-src": None}, "allows everything"),
        ("default-src self", "single quotes"),
        (5, "dict of directives"),
    ],
)
def test_a_policy_that_would_not_protect_is_refused_with_its_cure(csp, cure):
    with pytest.raises(ValueError, match=re.escape(cure)):
        HeaderPolicy("html", csp=csp)


@pytest.mark.parametrize(
    ("options", "cure"),
    [
        ({"overrides": {"X-Frame-Option": None}}, "X-Frame-Options"),
        ({"overrides": {"X-Content-Type-Options": "nosnif"}}, "nosniff"),
        ({"overrides": {"Referrer-Policy": "no-referer"}}, "no-referrer"),
        ({"overrides": {"Strict-Transport-Security": "includeSubDomains"}}, "max-age"),
        ({"overrides": {"Server": "mine"}}, "keep"),
        ({"overrides": {"Content-Length": "0"}}, "one response"),
        ({"overrides": {"X-A": "a\r\nX-B: c"}}, "one line"),
        ({"overrides": {"X-A\r\nX-B": "c"}}, "not a header name"),
        ({"overrides": {"X-A": "1", "x-a": "2"}}, "twice"),
        ({"overrides": {"X-A": 1}}, "neither a string nor None"),
        ({"overrides": {"Content-Security-Policy": "script-src self"}}, "\"'self'\""),
        ({"overrides": {"Content-Security-Policy": None}, "csp": {"default-src": "'self'"}}, "not both"),
        ({"overrides": [("X-A", "1")]}, "dict"),
        ({"keep": "Server"}, "list or tuple"),
        ({"keep": ["X-Powerd-By"]}, "x-powered-by"),
        ({"keep": ["X-Request-Id"]}, "passes"),
    ],
)
def test_a_change_that_cannot_be_meant_is_refused_with_its_cure(options, cure):
    with pytest.raises(ValueError, match=re.escape(cure)):
        HeaderPolicy("html", **options)


def test_a_misspelt_profile_is_refused():
    with pytest.raises(ValueError, match='Did you mean "html"'):
        HeaderPolicy("htlm")
    with pytest.raises(ValueError, match="mixed"):
        HeaderPolicy("")


def test_overrides_change_remove_and_add():
    policy = HeaderPolicy(
        "html",
        overrides={
            "Cross-Origin-Embedder-Policy": "credentialless",
            "x-frame-options": None,
            "Content-Security-Policy": None,
            "X-Team": "payments",
        },
    )
    headers = sent(policy)
    assert headers["Cross-Origin-Embedder-Policy"] == "credentialless"
    assert headers["X-Team"] == "payments"
    assert "X-Frame-Options" not in headers and "Content-Security-Policy" not in headers
    assert policy.csp() == ""
