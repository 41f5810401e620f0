//! Tests: values that once escaped, each in the text that let it out.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;

fn shown(text: &str) -> String {
    let redactor = Redactor::new(&[]).unwrap();
    let once = redactor.redact(text).into_owned();
    assert_eq!(redactor.redact(&once), once, "from {text:?}");
    once
}

// CWE-248: a lone surrogate, as Python passes it, is three bytes, and a cut into them is no text.
#[test]
fn the_tail_of_an_escape_is_never_cut_out_of_a_character() {
    let redactor = Redactor::new(&[]).unwrap();
    let surrogate = b"\\x\xed\xa0\x80ann@b.co";
    assert_eq!(&*redactor.redact_bytes(surrogate), b"\\[REDACTED:EMAIL_ADDRESS]");
    for (text, expected) in [
        ("\\xéann@b.co", "\\[REDACTED:EMAIL_ADDRESS]"),
        ("\\u12éann@b.co", "\\[REDACTED:EMAIL_ADDRESS]"),
        ("\\x0aann@b.co", "\\x0a[REDACTED:EMAIL_ADDRESS]"),
        ("\\u000aann@b.co", "\\u000a[REDACTED:EMAIL_ADDRESS]"),
        ("\\x@b.co", "\\[REDACTED:EMAIL_ADDRESS]"),
    ] {
        assert_eq!(shown(text), expected);
    }
}
