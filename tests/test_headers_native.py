"""The headers that leave with a response, and what is refused at start-up and on the way out."""

import doctest
import io
import re
from pathlib import Path
from wsgiref.handlers import SimpleHandler

import pytest

from flask_rampart._native import HeaderPolicy, new_nonce

NONCE = "A" * 22

COMMON = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": (
        "accelerometer=(), autoplay=(), camera=(), cross-origin-isolated=(), display-capture=(), "
        "encrypted-media=(), fullscreen=(), geolocation=(), gyroscope=(), keyboard-map=(), magnetometer=(), "
        "microphone=(), midi=(), payment=(), picture-in-picture=(), publickey-credentials-get=(), "
        "screen-wake-lock=(), sync-xhr=(), usb=(), web-share=(), xr-spatial-tracking=(), clipboard-read=(), "
        "clipboard-write=(), gamepad=(), hid=(), idle-detection=(), interest-cohort=(), serial=(), unload=()"
    ),
    "X-Permitted-Cross-Domain-Policies": "none",
    "X-DNS-Prefetch-Control": "off",
    "Cache-Control": "no-store, max-age=0",
}
HSTS = {"Strict-Transport-Security": "max-age=63072000; includeSubDomains"}
API_CSP = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
HTML_CSP = (
    f"default-src 'none'; script-src 'nonce-{NONCE}' 'strict-dynamic'; style-src 'self' 'nonce-{NONCE}'; "
    "img-src 'self'; font-src 'self'; connect-src 'self'; manifest-src 'self'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'; object-src 'none'; require-trusted-types-for 'script'"
)
API = {**COMMON, "Cross-Origin-Embedder-Policy": "require-corp", "Content-Security-Policy": API_CSP}
HTML = {**COMMON, "Origin-Agent-Cluster": "?1", "Content-Security-Policy": HTML_CSP}

# OWASP Secure Headers Project, headers to remove, 2026-07-19.
REMOVED = [
    "$wsep",
    "Host-Header",
    "K-Proxy-Request",
    "Liferay-Portal",
    "OracleCommerceCloud-Version",
    "Pega-Host",
    "Powered-By",
    "Product",
    "Server",
    "SourceMap",
    "X-AspNet-Version",
    "X-AspNetMvc-Version",
    "X-Atmosphere-error",
    "X-Atmosphere-first-request",
    "X-Atmosphere-tracking-id",
    "X-B3-ParentSpanId",
    "X-B3-Sampled",
    "X-B3-SpanId",
    "X-B3-TraceId",
    "X-BEServer",
    "X-Backside-Transport",
    "X-CF-Powered-By",
    "X-CMS",
    "X-CalculatedBETarget",
    "X-Cocoon-Version",
    "X-Content-Encoded-By",
    "X-Datadog-Origin",
    "X-Datadog-Parent-Id",
    "X-Datadog-Sampling-Priority",
    "X-Datadog-Tags",
    "X-Datadog-Trace-Id",
    "X-DiagInfo",
    "X-Envoy-Attempt-Count",
    "X-Envoy-External-Address",
    "X-Envoy-Internal",
    "X-Envoy-Original-Dst-Host",
    "X-Envoy-Upstream-Service-Time",
    "X-FEServer",
    "X-Framework",
    "X-Generated-By",
    "X-Generator",
    "X-Gitlab-Meta",
    "X-Jitsi-Release",
    "X-Joomla-Version",
    "X-Kong-Admin-Latency",
    "X-Kong-Client-Latency",
    "X-Kong-Proxy-Latency",
    "X-Kong-Request-Id",
    "X-Kong-Response-Latency",
    "X-Kong-Third-Party-Latency",
    "X-Kong-Total-Latency",
    "X-Kong-Upstream-Latency",
    "X-Kong-Upstream-Status",
    "X-Kubernetes-PF-FlowSchema-UI",
    "X-Kubernetes-PF-PriorityLevel-UID",
    "X-LiteSpeed-Cache",
    "X-LiteSpeed-Purge",
    "X-LiteSpeed-Tag",
    "X-LiteSpeed-Vary",
    "X-Litespeed-Cache-Control",
    "X-Mod-Pagespeed",
    "X-Nextjs-Cache",
    "X-Nextjs-Matched-Path",
    "X-Nextjs-Page",
    "X-Nextjs-Redirect",
    "X-OWA-Version",
    "X-Old-Content-Length",
    "X-OneAgent-JS-Injection",
    "X-Page-Speed",
    "X-Php-Version",
    "X-Powered-By",
    "X-Powered-By-Plesk",
    "X-Powered-CMS",
    "X-Redirect-By",
    "X-Server-Powered-By",
    "X-SourceFiles",
    "X-SourceMap",
    "X-Turbo-Charged-By",
    "X-Tyk-Trace-Id",
    "X-Umbraco-Version",
    "X-Varnish-Backend",
    "X-Varnish-Server",
    "X-Woodpecker-Version",
    "X-dtAgentId",
    "X-dtHealthCheck",
    "X-dtInjectedServlet",
    "X-ruxit-JS-Agent",
]


def sent(policy, headers=(), *, tls=True, nonce=NONCE, **kwargs):
    """What leaves, as a dict; fails where a name leaves twice."""
    result = policy.apply(list(headers), tls, nonce, **kwargs)
    assert all(type(pair) is tuple and len(pair) == 2 for pair in result)
    names = [name.lower() for name, _ in result]
    assert len(names) == len(set(names)), "a header is on the wire twice"
    return dict(result)


# What each profile sends


def test_the_api_profile_sends_what_was_measured():
    assert sent(HeaderPolicy("api")) == {**API, **HSTS}
    assert sent(HeaderPolicy("api"), tls=False) == API


def test_the_html_profile_sends_what_was_measured():
    over_tls = {**HTML, **HSTS, "Content-Security-Policy": HTML_CSP + "; upgrade-insecure-requests"}
    assert sent(HeaderPolicy("html")) == over_tls
    assert sent(HeaderPolicy("html"), tls=False) == HTML


@pytest.mark.parametrize(
    "content_type",
    ["text/html", "TEXT/HTML; Charset=UTF-8", "text/html ; a=b", "application/xhtml+xml", "Application/XHTML+xml;q=1"],
)
def test_mixed_sends_a_page_the_policy_of_pages(content_type):
    headers = sent(HeaderPolicy("mixed"), [("CONTENT-TYPE", content_type)], tls=False)
    assert headers == {"CONTENT-TYPE": content_type, **HTML}


@pytest.mark.parametrize("content_type", ["application/json", "text/plain; x=text/html", "image/svg+xml", "text/htmlx"])
def test_mixed_sends_data_the_policy_of_data(content_type):
    headers = sent(HeaderPolicy("mixed"), [("Content-Type", content_type)], tls=False)
    assert headers == {"Content-Type": content_type, **API}


def test_mixed_takes_the_stricter_policy_where_the_type_is_unknown_or_contradicts_itself():
    policy = HeaderPolicy("mixed")
    assert sent(policy, tls=False) == API
    contradicting = [("Content-Type", "text/html"), ("content-type", "image/svg+xml")]
    assert dict(policy.apply(contradicting, False))["Content-Security-Policy"] == API_CSP


# RFC 9111 §3.2: the headers of a 304 replace those of the stored page.
def test_a_304_keeps_the_policy_and_nonce_of_the_stored_page():
    for profile in ("html", "mixed"):
        headers = sent(HeaderPolicy(profile), [("ETag", '"1"')], not_modified=True)
        assert "Content-Security-Policy" not in headers
        assert "Cross-Origin-Embedder-Policy" not in headers
        assert headers["X-Content-Type-Options"] == "nosniff"
    assert sent(HeaderPolicy("api"), not_modified=True) == {**API, **HSTS}


# Flask-Talisman 1.1.0 sends HSTS over plain HTTP to whoever claims X-Forwarded-Proto; helmetjs/helmet#429
def test_what_needs_tls_is_not_sent_over_plain_http():
    policy = HeaderPolicy(
        "html",
        csp={"default-src": "'self'", "upgrade-insecure-requests": True},
        overrides={"strict-transport-security": "max-age=300"},
    )
    plain = sent(policy, [("X-Forwarded-Proto", "https")], tls=False)
    assert "Strict-Transport-Security" not in plain
    assert plain["Content-Security-Policy"] == "default-src 'self'"
    over_tls = sent(policy)
    assert over_tls["Strict-Transport-Security"] == "max-age=300"
    assert over_tls["Content-Security-Policy"] == "default-src 'self'; upgrade-insecure-requests"


# The view's word


# Flask-Talisman 1.1.0 overwrites a stricter policy and frame option that the view set.
@pytest.mark.parametrize("name", [*API, *HTML, *HSTS])
def test_what_the_view_set_stays_in_any_case(name):
    for profile in ("api", "html", "mixed"):
        for spelling in (name, name.lower(), name.upper()):
            headers = sent(HeaderPolicy(profile), [(spelling, "mine"), ("Content-Type", "text/html")])
            assert headers[spelling] == "mine"


def test_a_cacheable_view_stays_cacheable():
    headers = sent(HeaderPolicy("api"), [("cache-control", "public, max-age=60")])
    assert headers["cache-control"] == "public, max-age=60"
    assert "Cache-Control" not in headers


def test_repeated_headers_of_the_view_are_all_kept():
    cookies = [("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"), ("Vary", "Cookie"), ("Vary", "Origin")]
    assert HeaderPolicy("api").apply(cookies, False)[:4] == cookies


def test_deprecated_headers_of_the_view_stay_and_no_profile_sends_them():
    deprecated = ["X-XSS-Protection", "Feature-Policy", "Public-Key-Pins", "Expect-CT"]
    assert not set(deprecated) & set(sent(HeaderPolicy("html")))
    assert set(deprecated) <= set(sent(HeaderPolicy("html"), [(name, "0") for name in deprecated]))


def test_a_list_that_an_application_shares_is_never_changed():
    shared = [("Content-Type", "text/html"), ("Server", "x"), ("X-Frame-Options", "SAMEORIGIN")]
    before = list(shared)
    policy = HeaderPolicy("mixed")
    first, second = policy.apply(shared, True), policy.apply(shared, True)
    assert shared == before
    assert first is not shared and first is not second
    first.clear()
    second.append(("X", "y"))
    assert dict(policy.apply([], False)) == API


# Removal


def test_the_whole_removal_list_is_dropped_in_any_case():
    assert len(REMOVED) == 87
    policy = HeaderPolicy("api")
    spellings = [spelling for name in REMOVED for spelling in (name, name.upper(), name.lower())]
    headers = [("X-First", "1"), *((name, "1") for name in spellings), ("X-Last", "1")]
    assert policy.apply(headers, True)[:3] == [("X-First", "1"), ("X-Last", "1"), policy.apply([], True)[0]]


def test_a_name_that_is_kept_passes_alone():
    policy = HeaderPolicy("api", keep=["sourcemap"])
    headers = sent(policy, [("SourceMap", "/a.map"), ("X-SourceMap", "/a.map")])
    assert headers["SourceMap"] == "/a.map"
    assert "X-SourceMap" not in headers


# Nonces


def test_every_nonce_is_new_and_has_128_bits():
    nonces = {new_nonce() for _ in range(1000)}
    assert len(nonces) == 1000
    assert all(re.fullmatch(r"[A-Za-z0-9+/]{22}", nonce) for nonce in nonces)


def test_a_fresh_nonce_stands_in_scripts_and_styles_alike():
    policy = HeaderPolicy("html")
    seen = set()
    for _ in range(50):
        csp = dict(policy.apply([], True))["Content-Security-Policy"]
        script = re.search(r"script-src 'nonce-([^']+)'", csp).group(1)
        assert f"style-src 'self' 'nonce-{script}'" in csp
        seen.add(script)
    assert len(seen) == 50


def test_policies_that_enforce_and_report_share_the_nonce_of_the_response():
    policy = HeaderPolicy(
        "html",
        overrides={"content-security-policy-report-only": "script-src 'nonce'; report-to csp"},
    )
    headers = dict(policy.apply([], True))
    nonces = re.findall(r"nonce-([^']+)'", " ".join(headers.values()))
    assert len(nonces) == 3 and len(set(nonces)) == 1


@pytest.mark.parametrize(
    "nonce", ["", "short", "A" * 21, "A" * 129, "'" * 22, NONCE + "' *", NONCE + ";", NONCE + "\r\n", NONCE + "é"]
)
def test_a_nonce_cannot_end_its_source(nonce):
    for policy in (HeaderPolicy("html"), HeaderPolicy("api")):
        with pytest.raises(ValueError, match="a nonce"):
            policy.apply([], True, nonce)
        with pytest.raises(ValueError, match="a nonce"):
            policy.csp(nonce)


def test_uses_nonce_tells_whether_a_template_may_ask_for_one():
    assert HeaderPolicy("html").uses_nonce and HeaderPolicy("mixed").uses_nonce
    assert not HeaderPolicy("api").uses_nonce
    assert not HeaderPolicy("html", csp={"default-src": "'self'"}).uses_nonce
    assert HeaderPolicy("api", csp={"script-src": ["'nonce'"]}).uses_nonce


# What an application may hand over


@pytest.mark.parametrize("value", ["a\r\nSet-Cookie: b=c", "a\n", "\r", "a\0b", "\x1b[2J", "\x7f", "嘊嘍", "\ud800"])
@pytest.mark.parametrize("name", ["X-A", "Server", "X-Frame-Options", "Content-Type"])
def test_a_value_that_would_split_the_response_is_refused(name, value):
    with pytest.raises(ValueError, match=f"value of {name}") as refusal:
        HeaderPolicy("api").apply([("X-Fine", "1"), (name, value)], True)
    assert "Set-Cookie" not in str(refusal.value)


@pytest.mark.parametrize("name", ["", "X A", "X-A:", "X-A\r\nX-B", "Näme", "\ud800", "X-A\0", "a" * 70 + "\n"])
def test_a_name_that_is_no_token_is_refused(name):
    with pytest.raises(ValueError, match="token"):
        HeaderPolicy("api").apply([(name, "1")], True)


def test_tabs_and_latin_1_may_leave():
    headers = [("X-A", "a\tb"), ("X-B", "caf\xe9 \x80\xff"), ("X-C", "")]
    assert HeaderPolicy("api").apply(headers, True)[:3] == headers


@pytest.mark.parametrize(
    "entry",
    [None, 1, "ab", ("X-A",), ("X-A", "1", "2"), ["X-A", "1"], (b"X-A", b"1"), ("X-A", 1), ("X-A", None), (None, "1")],
)
def test_an_entry_that_is_no_pair_of_strings_is_a_type_error(entry):
    with pytest.raises(TypeError, match="PEP 3333"):
        HeaderPolicy("api").apply([("X-Fine", "1"), entry], True)


@pytest.mark.parametrize("headers", [None, (("X-A", "1"),), {"X-A": "1"}, "X-A: 1", iter([])])
def test_headers_are_a_list(headers):
    with pytest.raises(TypeError):
        HeaderPolicy("api").apply(headers, True)


def test_a_subclass_cannot_say_something_else_after_it_was_judged():
    class Sly(str):
        def __str__(self):
            return "x\r\nSet-Cookie: a=b"

        __format__ = lambda self, spec: str(self)  # noqa: E731

    class SlyPair(tuple):
        def __iter__(self):
            return iter(("X-A", "x\r\nSet-Cookie: a=b"))

    class SlyList(list):
        def __iter__(self):
            return iter([("X-A", "\r\n")])

        def __len__(self):
            return 0

    headers = SlyList([("X-A", Sly("fine")), SlyPair(("X-B", "fine")), (Sly("X-C"), "fine")])
    result = HeaderPolicy("api").apply(headers, True)
    assert type(result) is list
    assert [f"{name}: {value}" for name, value in result[:3]] == ["X-A: fine", "X-B: fine", "X-C: fine"]


def test_a_policy_cannot_be_changed():
    policy = HeaderPolicy("api")
    for name in ("profile", "uses_nonce", "anything"):
        with pytest.raises(AttributeError):
            setattr(policy, name, "html")


def test_a_server_takes_what_is_sent():
    policy, out = HeaderPolicy("mixed"), io.BytesIO()

    def app(environ, start_response):
        start_response("200 OK", policy.apply([("Content-Type", "text/html"), ("X-Powered-By", "x")], True, NONCE))
        return [b"hello"]

    SimpleHandler(io.BytesIO(), out, io.BytesIO(), {"SERVER_PROTOCOL": "HTTP/1.1"}).run(app)
    wire = out.getvalue().decode("latin-1")
    assert f"'nonce-{NONCE}' 'strict-dynamic'" in wire
    assert "X-Powered-By" not in wire


def test_the_documented_examples_run():
    names = {"HeaderPolicy": HeaderPolicy, "new_nonce": new_nonce}
    parser, runner = doctest.DocTestParser(), doctest.DocTestRunner()
    for item in (HeaderPolicy, HeaderPolicy.apply, new_nonce):
        example = parser.get_doctest(item.__doc__, dict(names), item.__name__, None, 0)
        assert example.examples
        runner.run(example)
    page = Path(__file__).parent.parent / "docs" / "headers.md"
    runner.run(parser.get_doctest(page.read_text(), {}, page.name, None, 0))
    assert runner.summarize(verbose=False).failed == 0
