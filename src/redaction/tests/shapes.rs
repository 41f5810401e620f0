//! Tests: what is found by its shape.

use super::*;

#[test]
fn addresses_are_found_in_every_writing() {
    for (text, expected) in [
        ("<ann@example.org>", "<[REDACTED:EMAIL_ADDRESS]>"),
        ("'ann@example.org'", "'[REDACTED:EMAIL_ADDRESS]'"),
        ("b'ann@example.org'", "b'[REDACTED:EMAIL_ADDRESS]'"),
        ("o'brien@example.org.", "[REDACTED:EMAIL_ADDRESS]."),
        ("x ann%40example.org%20y", "x [REDACTED:EMAIL_ADDRESS]%20y"),
        ("mail%3Dann%2Bx%40example.org", "mail%3D[REDACTED:EMAIL_ADDRESS]"),
        ("müller@exämple.de→", "[REDACTED:EMAIL_ADDRESS]→"),
        ("用户@例子.公司", "[REDACTED:EMAIL_ADDRESS]"),
        ("ann@example.org.2", "[REDACTED:EMAIL_ADDRESS].2"),
        ("a@b.co,c@d.co", "[REDACTED:EMAIL_ADDRESS],[REDACTED:EMAIL_ADDRESS]"),
        ("a\\nann@example.org", "a\\n[REDACTED:EMAIL_ADDRESS]"),
    ] {
        assert_eq!(shown(text), expected);
    }
}

#[test]
fn cards_are_found_alone_beside_other_numbers_and_in_pairs() {
    for (text, expected) in [
        ("4111-1111-1111-1111", "[REDACTED:CREDIT_CARD]"),
        ("2026-11-23 4111 1111 1111 1111 2026", "2026-11-23 [REDACTED:CREDIT_CARD] 2026"),
        ("378282246310005 5555555555554444", "[REDACTED:CREDIT_CARD] [REDACTED:CREDIT_CARD]"),
        ("password=a1 4111 1111 1111 1111", "password=[REDACTED:PASSWORD] [REDACTED:CREDIT_CARD]"),
        ("{\"n\":4111111111111111}", "{\"n\":[REDACTED:CREDIT_CARD]}"),
        ("pay 3782 822463 10005.", "pay [REDACTED:CREDIT_CARD]."),
    ] {
        assert_eq!(shown(text), expected);
    }
}

#[test]
fn a_private_key_is_hidden_to_its_end_or_to_the_end_of_the_text() {
    let begin = concat!("-----BEGIN PRIVATE", " KEY-----");
    let end = concat!("-----END PRIVATE", " KEY-----");
    assert_eq!(shown(&format!("a\n{begin}\nMIIE\n{end}\nb")), "a\n[REDACTED:PRIVATE_KEY]\nb");
    assert_eq!(shown(&format!("a {begin}\\nMIIE\\nmore")), "a [REDACTED:PRIVATE_KEY]");
    let public = "-----BEGIN PUBLIC KEY-----\nMIIE\n-----END PUBLIC KEY-----";
    assert_eq!(shown(public), public);
}

#[test]
fn a_token_in_any_part_of_a_sentence_is_hidden_whole() {
    let jwt = rules::all().find(|rule| rule.name == "jwt").unwrap().secret;
    let parts: Vec<&str> = jwt.split('.').collect();
    for (text, expected) in [
        (format!("see {jwt}. Next"), "see [REDACTED:JWT]. Next".to_string()),
        (format!("{}.{}", parts[0], parts[1]), "[REDACTED:JWT]".to_string()),
        (format!("{}.{}.", parts[0], parts[1]), "[REDACTED:JWT].".to_string()),
        (format!("{}..{}.{}.{}", parts[0], parts[1], parts[2], parts[2]), "[REDACTED:JWT]".to_string()),
        (format!("x{jwt}"), "x[REDACTED:JWT]".to_string()),
        (format!("{jwt},{jwt}"), "[REDACTED:JWT],[REDACTED:JWT]".to_string()),
    ] {
        assert_eq!(shown(&text), expected);
    }
}
