//! Finds the bearer token of a request: RFC 6750, section 2.1.
//!
//! A request carries a token when its one `Authorization` field has the scheme `Bearer`, in any case (RFC 9110 §11.1).
//! Another scheme is another's business. A second token beside it refuses the request (RFC 6750 §2): one that is joined
//! to the first by a comma, as servers do with repeated fields, or `access_token` in the query, however it is written.

use crate::credential::{self, Credential};

/// What the fields of a request say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bearer<'a> {
    /// No bearer token.
    None,
    /// The scheme is `Bearer`, but what follows is no token.
    Malformed,
    /// More than one credential.
    Ambiguous,
    /// One token, not yet looked at.
    Token(&'a str),
}

/// Reads the value of `Authorization` by the scheme `Bearer`, and the query without its `?`.
pub fn find<'a>(authorization: &'a str, query: &str) -> Bearer<'a> {
    find_by("bearer", authorization, query)
}

/// The same by another scheme that carries a token, such as `dpop` (RFC 9449 §7.1); *scheme* is written in lower case.
pub fn find_by<'a>(scheme: &str, authorization: &'a str, query: &str) -> Bearer<'a> {
    match credential::read(authorization, scheme) {
        Credential::None => Bearer::None,
        Credential::Malformed => Bearer::Malformed,
        // No token has a comma (RFC 6750 §2.1, `b64token`).
        Credential::Value(token) if token.contains(',') || has_token(query) => Bearer::Ambiguous,
        Credential::Value(token) => Bearer::Token(token),
    }
}

/// Whether the query has a parameter `access_token` (RFC 6750 §2.3).
fn has_token(query: &str) -> bool {
    const NAME: &[u8] = b"access_token";
    let suspicious = query.contains('%') || memchr::memmem::find(query.as_bytes(), NAME).is_some();
    suspicious
        && query.split('&').any(|part| {
            let name = part.split_once('=').map_or(part, |(name, _)| name);
            decoded(name).eq(NAME.iter().copied())
        })
}

/// The bytes of a form-encoded name.
fn decoded(name: &str) -> impl Iterator<Item = u8> + '_ {
    let bytes = name.as_bytes();
    let mut at = 0;
    std::iter::from_fn(move || {
        let byte = *bytes.get(at)?;
        let digit = |place: usize| char::from(*bytes.get(place)?).to_digit(16);
        at += 1;
        Some(match byte {
            b'+' => b' ',
            b'%' => match (digit(at), digit(at + 1)) {
                (Some(high), Some(low)) => {
                    at += 2;
                    (high << 4 | low) as u8
                }
                _ => byte,
            },
            _ => byte,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::{Bearer, find};

    #[test]
    fn a_token_follows_its_scheme_in_any_case_and_spaces() {
        for field in ["Bearer abc", "bearer abc", "BEARER  abc ", "bEaReR abc"] {
            assert_eq!(find(field, ""), Bearer::Token("abc"), "{field}");
        }
    }

    #[test]
    fn what_is_no_bearer_token_is_left_to_others() {
        for field in [
            "",
            "Basic abc",
            "Bearer",
            "Bearer ",
            "Bear abc",
            "BearerX abc",
            "Bearer9 abc",
            "Bearer-V2 abc",
            "Bearer \t",
            "Bearér abc",
            "é",
        ] {
            assert_eq!(find(field, ""), Bearer::None, "{field}");
        }
    }

    #[test]
    fn a_scheme_without_a_space_is_malformed() {
        for field in ["Bearer\tabc", "Bearer,abc", "Bearer:abc", "Bearer\"abc\""] {
            assert_eq!(find(field, ""), Bearer::Malformed, "{field:?}");
        }
    }

    #[test]
    fn a_second_token_is_ambiguous_wherever_it_is() {
        // RFC 6750 §2: one method for each request.
        assert_eq!(find("Bearer abc, Bearer def", ""), Bearer::Ambiguous);
        assert_eq!(find("Bearer abc,def", ""), Bearer::Ambiguous);
        for query in [
            "access_token=x",
            "a=1&access_token=x",
            "access_token",
            "access%5ftoken=x",
            "%61ccess_toke%6E=x",
            "a=1&%61%63%63%65%73%73%5F%74%6F%6B%65%6E=x",
        ] {
            assert_eq!(find("Bearer abc", query), Bearer::Ambiguous, "{query}");
        }
        for query in [
            "",
            "my_access_token=x",
            "access_token2=x",
            "a=access_token",
            "access+token=x",
            "%",
            "%4",
            "%zz=access_token",
        ] {
            assert_eq!(find("Bearer abc", query), Bearer::Token("abc"), "{query}");
        }
    }
}
