//! Finds the API key of a request: in `X-API-Key`, or in `Authorization: ApiKey <key>`, in any case.
//!
//! What is empty carries nothing, so that it never reaches a check (CVE-2026-34531). Two credentials refuse the
//! request: both fields, a list in one of them (as servers join repeated fields), or a bearer token beside a key.

/// What the fields of a request say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carried<'a> {
    /// No API key.
    None,
    /// The scheme is `ApiKey`, but what follows is no key.
    Malformed,
    /// More than one credential.
    Ambiguous,
    /// One key, not yet looked at.
    Key(&'a str),
}

const APIKEY: &str = "apikey";
const BEARER: &str = "bearer";

/// Reads the values of `X-API-Key` and `Authorization`; empty where there is none.
pub fn find<'a>(field: &'a str, authorization: &'a str) -> Carried<'a> {
    let field = field.trim_matches([' ', '\t']);
    let scheme = credentials(authorization, APIKEY);
    let key = match (field.is_empty(), scheme) {
        (true, None) => return Carried::None,
        (true, Some(None)) => return Carried::Malformed,
        (true, Some(Some(key))) => key,
        (false, Some(_)) => return Carried::Ambiguous,
        (false, None) if credentials(authorization, BEARER).is_some() => return Carried::Ambiguous,
        (false, None) => field,
    };
    // No key has a comma: it joins two fields.
    if key.contains(',') { Carried::Ambiguous } else { Carried::Key(key) }
}

/// What follows the scheme: `None` for another scheme or for nothing, `Some(None)` for what cannot be read.
fn credentials<'a>(authorization: &'a str, wanted: &str) -> Option<Option<&'a str>> {
    let (scheme, rest) = authorization.split_at_checked(wanted.len())?;
    let value = rest.trim_matches([' ', '\t']);
    if !scheme.eq_ignore_ascii_case(wanted) || value.is_empty() {
        return None;
    }
    match rest.chars().next() {
        Some(' ') => Some(Some(value)),
        // `ApiKeyX` and `ApiKey-V2` are other schemes: a scheme is a token (RFC 9110 section 5.6.2).
        Some(letter) if letter.is_alphanumeric() || "!#$%&'*+-.^_`|~".contains(letter) => None,
        _ => Some(None),
    }
}

#[cfg(test)]
mod tests {
    use super::{Carried, find};

    #[test]
    fn a_key_is_found_in_either_field_and_in_any_case() {
        assert_eq!(find("abc", ""), Carried::Key("abc"));
        assert_eq!(find(" abc\t", "Basic x"), Carried::Key("abc"));
        for field in ["ApiKey abc", "apikey abc", "APIKEY   abc "] {
            assert_eq!(find("", field), Carried::Key("abc"), "{field}");
        }
    }

    // CVE-2026-34531
    #[test]
    fn what_is_empty_carries_nothing() {
        for (field, authorization) in
            [("", ""), ("  ", ""), ("\t", "ApiKey"), ("", "ApiKey "), ("", "ApiKey   "), ("", "Bearer abc")]
        {
            assert_eq!(find(field, authorization), Carried::None, "{field:?} {authorization:?}");
        }
        assert_eq!(find(" ", "ApiKey abc"), Carried::Key("abc"));
        assert_eq!(find("abc", "Bearer "), Carried::Key("abc"));
    }

    #[test]
    fn two_credentials_are_ambiguous_wherever_they_are() {
        assert_eq!(find("abc", "ApiKey abc"), Carried::Ambiguous);
        assert_eq!(find("abc", "bearer abc"), Carried::Ambiguous);
        assert_eq!(find("abc", "Bearer\tabc"), Carried::Ambiguous);
        assert_eq!(find("abc,def", ""), Carried::Ambiguous);
        assert_eq!(find("abc, ", ""), Carried::Ambiguous);
        assert_eq!(find("", "ApiKey abc, Bearer def"), Carried::Ambiguous);
    }

    #[test]
    fn other_schemes_are_left_to_others_and_what_cannot_be_read_is_malformed() {
        for authorization in
            ["Api abc", "ApiKeyX abc", "ApiKey2 abc", "ApiKey-V2 abc", "apik\u{e9}y abc", "\u{e9}"]
        {
            assert_eq!(find("", authorization), Carried::None, "{authorization}");
        }
        for authorization in ["ApiKey\tabc", "ApiKey,abc", "ApiKey:abc", "ApiKey\"abc\""] {
            assert_eq!(find("", authorization), Carried::Malformed, "{authorization}");
        }
    }
}
