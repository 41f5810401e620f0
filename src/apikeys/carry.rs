//! Finds the API key of a request: in `X-API-Key`, or in `Authorization: ApiKey <key>`, in any case.
//!
//! What is empty carries nothing, so that it never reaches a check (CVE-2026-34531). Two credentials refuse the
//! request: both fields, a list in one of them (as servers join repeated fields), or a bearer token beside a key.

use crate::credential::{self, Credential};

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
/// Schemes that carry a token. Beside a key, they are a second credential.
const TOKENS: [&str; 2] = ["bearer", "dpop"];

/// Reads the values of `X-API-Key` and `Authorization`; empty where there is none.
pub fn find<'a>(field: &'a str, authorization: &'a str) -> Carried<'a> {
    let field = field.trim_matches([' ', '\t']);
    let key = match (field.is_empty(), credential::read(authorization, APIKEY)) {
        (true, Credential::None) => return Carried::None,
        (true, Credential::Malformed) => return Carried::Malformed,
        (true, Credential::Value(key)) => key,
        (false, Credential::None) if !carries_token(authorization) => field,
        (false, _) => return Carried::Ambiguous,
    };
    // No key has a comma: it joins two fields.
    if key.contains(',') { Carried::Ambiguous } else { Carried::Key(key) }
}

fn carries_token(authorization: &str) -> bool {
    TOKENS.iter().any(|scheme| credential::read(authorization, scheme) != Credential::None)
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
        assert_eq!(find("abc", "DPoP abc"), Carried::Ambiguous);
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
