//! Reads what `Authorization` carries by one scheme (RFC 9110 §11.4): the one place that knows how a scheme is told apart.
//!
//! Rules, in order:
//! 1. what precedes is the scheme's name, in any case (§11.1);
//! 2. what is empty carries nothing, so that it never reaches a check (CVE-2026-34531);
//! 3. after the name comes a space. A letter, a digit or another character of a token makes it another scheme
//!    (`BearerX`, `ApiKey-V2`; §5.6.2), which is another's business; anything else is malformed.
//!
//! It does not look at the value, which may be a list of two: whoever takes the scheme refuses that.

/// What a field carries by one scheme.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Credential<'a> {
    /// The scheme, but no value that can be read.
    Malformed,
    /// Nothing by this scheme.
    None,
    /// What follows the scheme, without the spaces around it.
    Value(&'a str),
}

/// Reads the value of `Authorization` by *scheme*, which is written in lower case.
pub fn read<'a>(authorization: &'a str, scheme: &str) -> Credential<'a> {
    let Some((name, rest)) = authorization.split_at_checked(scheme.len()) else { return Credential::None };
    if !name.eq_ignore_ascii_case(scheme) || rest.trim_matches([' ', '\t']).is_empty() {
        return Credential::None;
    }
    match rest.chars().next() {
        Some(' ') => Credential::Value(rest.trim_matches(' ')),
        Some(letter) if letter.is_alphanumeric() || "!#$%&'*+-.^_`|~".contains(letter) => Credential::None,
        _ => Credential::Malformed,
    }
}

#[cfg(test)]
mod tests {
    use super::{Credential, read};

    #[test]
    fn a_value_follows_its_scheme_in_any_case() {
        for field in ["DPoP abc", "dpop abc", "DPOP   abc  "] {
            assert_eq!(read(field, "dpop"), Credential::Value("abc"), "{field}");
        }
        // What is inside stays: whoever takes the scheme judges it.
        assert_eq!(read("DPoP a, b", "dpop"), Credential::Value("a, b"));
        assert_eq!(read("DPoP abc\t", "dpop"), Credential::Value("abc\t"));
    }

    #[test]
    fn what_is_empty_or_of_another_scheme_carries_nothing() {
        for field in [
            "",
            "D",
            "DPoP",
            "DPoP ",
            "DPoP \t ",
            "DPoPX a",
            "DPoP2 a",
            "DPoP-V2 a",
            "DPoP.a",
            "Bearer a",
            "dpo\u{e9} a",
        ] {
            assert_eq!(read(field, "dpop"), Credential::None, "{field:?}");
        }
    }

    #[test]
    fn a_scheme_that_nothing_separates_from_its_value_is_malformed() {
        for field in ["DPoP\tabc", "DPoP,abc", "DPoP:abc", "DPoP\"abc\"", "DPoP=abc", "DPoP\u{7f}abc"] {
            assert_eq!(read(field, "dpop"), Credential::Malformed, "{field:?}");
        }
    }
}
