//! Reads which issuer a token says it is from, to choose the verifier that it is then judged by, and for nothing else.
//!
//! Rules, in order: the token is at most `max_bytes` long; it has two dots at least; its payload is strict base64url of
//! one JSON object without duplicate members, within the depth of [`super::json`]; `iss`, if present, is a string that is
//! not empty. The verifier reads everything again and compares `iss` itself, so that nothing said here is ever believed.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, Visitor};

use super::error::Reason;
use super::json::{Members, Skip, Text};
use super::verify::{decode, split_at_dot};

/// The `iss` of a token for which nothing is proven; `None` if it names none.
pub fn issuer(token: &[u8], max_bytes: usize) -> Result<Option<String>, Reason> {
    if token.len() > max_bytes {
        return Err(Reason::Length);
    }
    let (_, rest) = split_at_dot(token, token.iter().position(|byte| *byte == b'.'))?;
    let (payload, _) = split_at_dot(rest, rest.iter().rposition(|byte| *byte == b'.'))?;
    let json =
        decode(payload).map_err(|reason| if payload.contains(&b'.') { Reason::Parts } else { reason })?;
    let mut deserializer = serde_json::Deserializer::from_slice(&json);
    let issuer = Issuer.deserialize(&mut deserializer).map_err(|_| Reason::Claims)?;
    deserializer.end().map_err(|_| Reason::Claims)?;
    if issuer.as_deref().is_some_and(str::is_empty) { Err(Reason::Issuer) } else { Ok(issuer) }
}

/// Reads past everything but `iss`.
struct Issuer;

impl<'de> DeserializeSeed<'de> for Issuer {
    type Value = Option<String>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Issuer {
    type Value = Option<String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Self::Value, A::Error> {
        let mut issuer = None;
        let mut members = Members::new();
        while let Some(name) = object.next_key_seed(Text)? {
            if name == "iss" {
                issuer = Some(object.next_value_seed(Text)?.into_owned());
            } else {
                object.next_value_seed(Skip { depth: 2 })?;
            }
            members.insert(name)?;
        }
        Ok(issuer)
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    use super::{Reason, issuer};

    fn says(claims: &str) -> Result<Option<String>, Reason> {
        issuer(format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims)).as_bytes(), 16_384)
    }

    #[test]
    fn the_issuer_is_read_wherever_it_stands() {
        assert_eq!(says(r#"{"iss":"https://a"}"#), Ok(Some("https://a".into())));
        assert_eq!(says(r#"{"sub":"x","a":{"iss":"b"},"iss":"https:\/\/a"}"#), Ok(Some("https://a".into())));
        assert_eq!(says(r#"{"sub":"x"}"#), Ok(None));
    }

    #[test]
    fn what_two_parsers_could_read_in_two_ways_is_refused() {
        // RFC 8725 §2.4; CVE-2026-75509: a list is not an issuer.
        for claims in [
            r#"{"iss":"a","iss":"b"}"#,
            r#"{"iss":["a"]}"#,
            r#"{"iss":null}"#,
            r#"{"iss":1}"#,
            r#"{"iss":"a"} {}"#,
            r#"["iss","a"]"#,
            r#"{"iss":"\ud800"}"#,
            "",
            "null",
        ] {
            assert_eq!(says(claims), Err(Reason::Claims), "{claims}");
        }
        assert_eq!(says(r#"{"iss":""}"#), Err(Reason::Issuer));
        let deep = format!(r#"{{"a":{}1{},"iss":"a"}}"#, "[".repeat(40), "]".repeat(40));
        assert_eq!(says(&deep), Err(Reason::Claims)); // CVE-2025-53864
    }

    #[test]
    fn the_form_is_looked_at_before_anything_is_decoded() {
        assert_eq!(issuer(b"a.b.c", 4), Err(Reason::Length));
        assert_eq!(issuer(b"", 16), Err(Reason::Parts));
        assert_eq!(issuer(b"e30.e30", 16), Err(Reason::Parts));
        assert_eq!(issuer(b"e30.e30.a.b", 16), Err(Reason::Parts));
        assert_eq!(issuer(b"e30.e30=.a", 16), Err(Reason::Encoding));
    }
}
