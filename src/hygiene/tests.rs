#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
use super::*;

fn rules(encoded_slashes: bool) -> Rules {
    Rules { methods: Methods::new(["GET", "POST", "OPTIONS"]).unwrap(), encoded_slashes }
}

const HEAD: Head<'static> = Head {
    method: "GET",
    mount: "",
    path: "/",
    query: "",
    target: "",
    host: "example.com",
    length: "",
    transfer: None,
    expect: None,
    protocol: "HTTP/1.1",
    relative: false,
};

fn judged(head: Head<'_>) -> Result<(), Refusal> {
    rules(false).judge(&head)
}

/// As WSGI shows them: each byte a character.
fn shown(bytes: &[u8]) -> String {
    bytes.iter().map(|&b| char::from(b)).collect()
}

#[test]
fn a_method_is_on_the_list_letter_for_letter() {
    assert_eq!(judged(HEAD), Ok(()));
    let long = "A".repeat(100_000);
    for method in ["get", "Get", "", " GET", "GET ", "GE", "GETT", "TRACE", "CONNECT", "G\u{130}T", &long] {
        assert_eq!(judged(Head { method, ..HEAD }), Err(Refusal::Method), "{method:?}");
    }
}

#[test]
fn a_list_of_methods_that_cannot_be_meant_is_an_error() {
    let told = |names: &[&str]| Methods::new(names.iter().copied()).unwrap_err().to_string();
    for never in ["TRACE", "TRACK", "CONNECT", "trace"] {
        assert!(told(&["GET", never]).contains("never answered"));
    }
    assert!(told(&["get"]).contains("Write \"GET\""));
    assert!(told(&["GET POST"]).contains("capitals"));
    assert!(told(&[]).contains("nothing"));
    assert!(told(&[&"A".repeat(33)]).contains("32"));
    assert!(Methods::new(["UPDATEREDIRECTREF", "M-SEARCH", "GET", "GET"]).unwrap().has("M-SEARCH"));
}

#[test]
fn a_path_that_two_readers_read_in_two_ways_is_refused() {
    for (path, refusal) in [
        (&b"/a\0b"[..], Refusal::Control),
        (b"/a\nb", Refusal::Control),
        (b"/a\x7fb", Refusal::Control),
        (b"/a\xc2\x85b", Refusal::Control),
        (b"/..", Refusal::DotSegment),
        (b"/a/../b", Refusal::DotSegment),
        (b"/a/./b", Refusal::DotSegment),
        (b"/a\\..\\b", Refusal::DotSegment),
        (b"/\xc3\xa9/../b", Refusal::DotSegment),
        (b"/a\\b", Refusal::Backslash),
        (b"/\xff", Refusal::Encoding),
        // RFC 3629 section 10: an overlong slash, an overlong dot, half of a surrogate pair.
        (b"/\xc0\xaf", Refusal::Encoding),
        (b"/\xc0\xae\xc0\xae/", Refusal::Encoding),
        (b"/\xe0\x80\xaf", Refusal::Encoding),
        (b"/\xed\xa0\x80", Refusal::Encoding),
        (b"//evil.example", Refusal::Slashes),
        (b"evil.example:443", Refusal::Slashes),
        (b"*", Refusal::Slashes),
    ] {
        assert_eq!(judged(Head { path: &shown(path), ..HEAD }), Err(refusal), "{path:?}");
    }
    assert_eq!(
        judged(Head { path: "/\u{100}", ..HEAD }),
        Err(Refusal::Encoding),
        "no byte has this character"
    );
    for path in
        ["/", "", "/a//b", "/.well-known/x", "/a...b/..c/d..", "/%2e%2e/%2f", "/a;b=c", "/caf\u{c3}\u{a9}"]
    {
        assert_eq!(judged(Head { path, ..HEAD }), Ok(()), "{path}");
    }
}

#[test]
fn a_mount_is_judged_as_the_path_is() {
    assert_eq!(judged(Head { mount: "/app", path: "", ..HEAD }), Ok(()));
    assert_eq!(judged(Head { mount: "/app", path: "//x", ..HEAD }), Ok(()));
    for mount in ["//app", "/a/..", "/a\0", "app"] {
        assert!(judged(Head { mount, ..HEAD }).is_err(), "{mount}");
    }
}

#[test]
fn a_target_shows_what_decoding_hides() {
    for (target, refusal) in [
        ("/a%2fb", Refusal::EncodedSlash),
        ("/a%2Fb?x", Refusal::EncodedSlash),
        ("/a%5cb", Refusal::EncodedSlash),
        ("/a%00b", Refusal::Control),
        ("/a%0d%0ab", Refusal::Control),
        ("/%2e%2e/b", Refusal::DotSegment),
        ("/.%2E/b", Refusal::DotSegment),
        ("/a/../b", Refusal::DotSegment),
        ("/a\\b", Refusal::Backslash),
        ("/%c0%af", Refusal::Encoding),
        ("/a#b", Refusal::Target),
        ("/a?b#c", Refusal::Target),
        ("/a\u{1}", Refusal::Control),
        ("//evil.example/", Refusal::Slashes),
        ("example.com:443", Refusal::Target),
        ("ftp://example.com/", Refusal::Target),
        ("http:/example.com", Refusal::Target),
        ("http://evil.example/", Refusal::Authority),
        ("http://example.com@evil.example/", Refusal::Authority),
        ("http:///x", Refusal::Authority),
        ("http://example.com/a%2fb", Refusal::EncodedSlash),
        ("http://example.com//evil.example", Refusal::Slashes),
        ("?x", Refusal::Target),
        ("*", Refusal::Target),
    ] {
        assert_eq!(judged(Head { target, ..HEAD }), Err(refusal), "{target}");
    }
    for target in [
        "/",
        "/?a=%2f..%00/../%5c",
        "/%252f%252e%252e",
        "/%zz%",
        "/%c3%a9",
        "/a%20b",
        "HTTP://Example.com/x",
        "http://example.com",
    ] {
        assert_eq!(judged(Head { target, ..HEAD }), Ok(()), "{target}");
    }
    let of_server = Head { method: "OPTIONS", target: "*", path: "*", ..HEAD };
    assert_eq!(judged(of_server), Ok(()));
}

#[test]
fn slashes_that_are_data_still_make_no_dot_segment() {
    let judged = |target, path| rules(true).judge(&Head { target, path, ..HEAD });
    assert_eq!(judged("/a%2fb%5cc", "/a/b\\c"), Ok(()));
    for target in ["/a%2f..%2fb", "/a%5c..", "/%2e%2e%2f", "/a%2f%2e"] {
        assert_eq!(judged(target, "/"), Err(Refusal::DotSegment), "{target}");
    }
    assert_eq!(judged("/%2fevil.example", "//evil.example"), Err(Refusal::Slashes));
    assert_eq!(judged("/\\evil.example", "/evil.example"), Err(Refusal::Slashes));
    assert_eq!(judged("/%5cevil.example", "/\\evil.example"), Err(Refusal::Slashes));
}

#[test]
fn a_request_line_ends_in_a_version() {
    for protocol in ["", "HTTP/1.0", "HTTP/1.1", "HTTP/2", "HTTP/2.0", "HTTP/3"] {
        assert_eq!(judged(Head { protocol, ..HEAD }), Ok(()), "{protocol}");
    }
    for protocol in ["b HTTP/1.1", "HTTP/", "HTTP/1.1 ", "http/1.1", "RTSP/1.0", "HTTP/1.1\r\nX: y"] {
        assert_eq!(judged(Head { protocol, ..HEAD }), Err(Refusal::Protocol), "{protocol:?}");
    }
}

#[test]
fn where_a_body_ends_is_said_once() {
    for length in ["5, 5", "+5", "-5", "0x5", " 5", "5 ", "1_0", "\u{b2}", "5.0"] {
        assert_eq!(judged(Head { length, ..HEAD }), Err(Refusal::Length), "{length:?}");
    }
    for transfer in
        ["identity", "gzip, chunked", "chunked, chunked", "xchunked", "\u{a0}chunked", "chunked;q=1"]
    {
        assert_eq!(judged(Head { transfer: Some(transfer), ..HEAD }), Err(Refusal::Transfer), "{transfer:?}");
    }
    assert_eq!(judged(Head { length: "5", transfer: Some("chunked"), ..HEAD }), Err(Refusal::Transfer));
    assert_eq!(judged(Head { length: "5", transfer: Some(""), ..HEAD }), Ok(()));
    assert_eq!(judged(Head { transfer: Some(" Chunked"), ..HEAD }), Ok(()));
    for (expect, answer) in [("100-Continue", Ok(())), ("", Ok(())), ("200-ok", Err(Refusal::Expectation))] {
        assert_eq!(judged(Head { expect: Some(expect), ..HEAD }), answer, "{expect:?}");
    }
}

#[test]
fn no_control_character_is_read_wherever_it_stands() {
    for query in ["a=\u{0}", "a=\u{100}", "\u{fffd}"] {
        assert_eq!(judged(Head { query, ..HEAD }), Err(Refusal::Query), "{query:?}");
    }
    assert_eq!(judged(Head { query: "a=%00&b=%zz&c=\u{e9}", ..HEAD }), Ok(()));
    for bad in (0..0x20).filter(|&b| b != b'\t').chain([0x7f]) {
        for position in 0..40 {
            let mut value = [b'x'; 40];
            value[position] = bad;
            assert!(!may_arrive(&value) && !may_name(&value), "{bad} at {position}");
        }
    }
    assert!(may_arrive(b"a\tb \xc3\xa9") && !may_name(b"A B") && may_name(b"HTTP_X"));
}

#[test]
fn a_cookie_that_is_not_utf8_takes_no_other_with_it() {
    for (field, readable) in [
        ("a=1", "a=1"),
        ("", ""),
        ("a=\u{ff}", ""),
        ("a=\u{ff}; b=2", "b=2"),
        ("b=2;a=\u{ff}", "b=2"),
        ("\u{ff}; b=2; \u{c3}=3;c", "b=2;c"),
        // A character that is cut in two by a semicolon is none.
        ("a=\u{c3};\u{a9}=1; b=2", "b=2"),
        ("a=\u{c3}\u{a9}; b=2", "a=\u{c3}\u{a9}; b=2"),
        ("a=\u{100}; b=\"x;y\"", "b=\"x;y\""),
        ("a=\u{ed}\u{a0}\u{80}; b", "b"),
    ] {
        assert_eq!(readable_cookies(field), readable, "{field:?}");
    }
}
