//! Tests: where keys of PuTTY's end, and what does not end them.

use super::*;

#[test]
fn a_key_of_puttys_is_hidden_whole_whatever_announces_it() {
    for line in ["\n", "\r\n", "\\n"] {
        let key = concat!(
            "PuTTY-User-Key-",
            "File-2: ssh-rsa|Encryption: none|Comment: ann|Public-Lines: 1|AAAAB3Zq9|Private-Lines: 1|AAAAZq9=|Private-",
            "MAC: 2f1e0d9c8b7a6f5e4d3c2b1a0f9e8d7c6b5a4f3e"
        );
        let key = key.replace('|', line);
        for (before, after) in [
            ("", " x"),
            ("key is ", "\nx"),
            ("ppk=", " x"),
            ("private_key=", " x"),
            ("private_key: \"", "\" x"),
        ] {
            let text = format!("{before}{key}{after}");
            assert_eq!(shown(&text), format!("{before}[REDACTED:PRIVATE_KEY]{after}"));
        }
    }
}

/// A key with *comment* in it, its lines ended by *line*.
pub(in super::super) fn puttys(comment: &str, line: &str) -> String {
    let key = concat!(
        "PuTTY-User-Key-",
        "File-3: ssh-ed25519|Encryption: none|Comment: &|Public-Lines: 1|AAAAB3Zq9|Private-Lines: 1|AAAAZq9=|Private-",
        "MAC: 2f1e0d9c8b7a6f5e4d3c2b1a0f9e8d7c6b5a4f3e"
    );
    key.replace('|', line).replace('&', comment)
}

/// Comments that speak of what ends a key.
pub(in super::super) const COMMENTS: &[&str] = &[
    "Private-MAC: 2f1e0d",
    "my Private-MAC: 2f1e0d9c8b7a6f5e",
    "no Private-Lines: here, Private-MAC: 2f",
    "Private-Lines: 1 Private-MAC: 00",
    "Private-Lines: 1 AAAA Private-MAC: 00 Private-MAC: 00",
    "Public-Lines: 1 AAAA Private-Lines: 1 AAAA Private-MAC: 00 of my friend's",
    "Public-Lines:+1 Private-Lines:%201 Private-MAC: Private-MAC:",
];

#[test]
fn a_comment_in_a_key_of_puttys_does_not_end_it() {
    for comment in COMMENTS {
        for line in ["\n", "\r\n", "\\n", " ", "%0A", "\nweb | "] {
            let text = format!("key {} x", puttys(comment, line));
            assert_eq!(shown(&text), "key [REDACTED:PRIVATE_KEY] x", "{text}");
        }
    }
}

#[test]
fn a_comment_of_any_length_in_a_key_of_puttys_does_not_end_it() {
    for comment in COMMENTS.iter().chain(&["", "Comment: Comment:", "%"]) {
        let long = [comment.to_string(), format!("{comment} {}", "word ".repeat(2000))];
        for comment in long.into_iter().flat_map(|long| [format!("{long}{comment}"), long]) {
            for line in
                ["\n", "\r\n", "\r", "\\n", "\\r\\n", "%0A", "%0d%0a", "\nweb | ", "\\\\n", "\\\\\\\\n"]
            {
                let text = format!("key {} x", puttys(&comment, line));
                assert_eq!(shown(&text), "key [REDACTED:PRIVATE_KEY] x", "{line:?} {comment:.80}");
            }
        }
    }
}

// A backslash of the comment's is two in a string, and four in a string in a string.
#[test]
fn what_a_comment_in_a_string_says_with_backslashes_is_no_line_end() {
    let forged = "Public-Lines: 1|1|Private-Lines: 1|1|Private-MAC: 00|";
    let many = r"\\".repeat(100);
    for (said, line) in [
        (r"\\n", r"\n"),
        (r"\\r\\n", r"\r\n"),
        (r"\\\\n", r"\\n"),
        (r"\\\\", r"\n"),
        ("%250A", "%0A"),
        (many.as_str(), r"\n"),
    ] {
        let comment = forged.replace('|', said) + &"word ".repeat(2000) + said;
        let text = format!("key {} x", puttys(&comment, line));
        assert_eq!(shown(&text), "key [REDACTED:PRIVATE_KEY] x", "{said} {line}");
    }
    // Where backslashes are not escaped, a line is taken for the comment's.
    let text = format!("key {} x", puttys(r"C:\", r"\n"));
    assert_eq!(shown(&text), "key [REDACTED:PRIVATE_KEY] x");
}

#[test]
fn a_key_of_puttys_with_a_passphrase_and_one_in_a_query_are_hidden_whole() {
    let derived = "|Key-Derivation: Argon2id|Argon2-Memory: 8192|Argon2-Salt: 00ff|Private-";
    let locked = puttys("ann", "|").replace("|Private-L", &format!("{derived}L")).replace('|', "\r\n");
    assert_eq!(shown(&format!("{locked} x")), "[REDACTED:PRIVATE_KEY] x");
    for (blank, colon) in [("%20", "%3A"), ("+", "%3a"), ("+", ":"), ("%20", ":")] {
        let text = puttys("ann", "%0D%0A").replace(": ", &format!("{colon}{blank}"));
        assert_eq!(shown(&format!("body {text}&n=1 x")), "body [REDACTED:PRIVATE_KEY]&n=1 x", "{text}");
    }
}

#[test]
fn keys_of_puttys_in_a_row_end_each_by_itself() {
    let key = puttys("Private-Lines: 1 Private-MAC: 00", "\n");
    let text = format!("one {key}\ntwo {key} three");
    assert_eq!(shown(&text), "one [REDACTED:PRIVATE_KEY]\ntwo [REDACTED:PRIVATE_KEY] three");
}

// What only speaks of such keys would hide a log to its end.
#[test]
fn a_first_line_of_puttys_alone_hides_a_few_kilobytes_and_no_key_behind_it() {
    let head = concat!("PuTTY-User-Key-", "File-3: is a format");
    for word in ["word ", "ü", "漢"] {
        let text = format!("{head} {} last", word.repeat(9000));
        let made = shown(&text);
        assert!(made.starts_with("[REDACTED:PRIVATE_KEY]") && made.ends_with(" last"));
        assert!((4000..4200).contains(&(text.len() - made.len())), "{}", text.len() - made.len());
    }
    for words in [1, 700, 800, 810, 2000] {
        let text = format!("{head} {} {} x", "word ".repeat(words), puttys("ann", "\n"));
        let made = shown(&text);
        assert!(made.ends_with("[REDACTED:PRIVATE_KEY] x") && !made.contains("Zq9"), "{words}: {made}");
    }
}
