//! The certificate of a client, as servers and proxies write it.
//!
//! - PEM with one block `CERTIFICATE` (RFC 7468): `SSL_CLIENT_CERT` of Apache and of werkzeug.
//! - A structured field `:base64:` (RFC 9440 §2.1): the header field `Client-Cert`.
//! - Percent-encoded PEM: nginx's `$ssl_client_escaped_cert`.
//!
//! Each is at most [`LONGEST`] characters, which is looked at before anything is decoded, and holds one certificate. Two fields
//! that a server has joined by a comma are none of these.
//!
//! It does not read the certificate: who shows it has its key, as TLS has proven, and the token names its digest. Whom to
//! believe that it is the client's, is settled before.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;

/// Longest text, in characters.
pub const LONGEST: usize = 16_384;

/// The DER of the one certificate in a PEM.
pub fn from_pem(text: &str) -> Option<Vec<u8>> {
    if text.len() > LONGEST || text.matches("-----BEGIN").count() != 1 {
        return None;
    }
    let block = pem::parse(text).ok()?;
    let nothing_else = text.trim_ascii().starts_with("-----BEGIN") && text.trim_ascii().ends_with("-----");
    let plain = block.headers().iter().next().is_none();
    (nothing_else && plain && block.tag() == "CERTIFICATE")
        .then(|| block.into_contents())
        .filter(|der| !der.is_empty())
}

/// The DER of the certificate in a header field: by RFC 9440, or percent-encoded PEM.
pub fn from_field(value: &str) -> Option<Vec<u8>> {
    let value = value.trim_matches([' ', '\t']);
    if value.len() > LONGEST || value.contains(',') {
        return None;
    }
    if let Some(rest) = value.strip_prefix(':') {
        return STANDARD.decode(rest.strip_suffix(':')?).ok().filter(|der| !der.is_empty());
    }
    from_pem(&percent_decode_str(value).decode_utf8().ok()?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::confirmation::digest;
    use super::{LONGEST, from_field, from_pem};
    use crate::crypto::sha256;

    /// RFC 8705, appendix A.
    const PEM: &str = "-----BEGIN CERTIFICATE-----
MIIBBjCBrAIBAjAKBggqhkjOPQQDAjAPMQ0wCwYDVQQDDARtdGxzMB4XDTE4MTAx
ODEyMzcwOVoXDTIyMDUwMjEyMzcwOVowDzENMAsGA1UEAwwEbXRsczBZMBMGByqG
SM49AgEGCCqGSM49AwEHA0IABNcnyxwqV6hY8QnhxxzFQ03C7HKW9OylMbnQZjjJ
/Au08/coZwxS7LfA4vOLS9WuneIXhbGGWvsDSb0tH6IxLm8wCgYIKoZIzj0EAwID
SQAwRgIhAP0RC1E+vwJD/D1AGHGzuri+hlV/PpQEKTWUVeORWz83AiEA5x2eXZOV
bUlJSGQgjwD5vaUaKlLR50Q2DmFfQj1L+SY=
-----END CERTIFICATE-----
";
    const X5T: &str = "A4DtL2JmUMhAsvJj5tKyn64SqzmuXbMrJa0n761y5v0";

    fn base64() -> String {
        PEM.lines().filter(|line| !line.starts_with('-')).collect()
    }

    fn escaped() -> String {
        PEM.replace('+', "%2B")
            .replace('/', "%2F")
            .replace('=', "%3D")
            .replace(' ', "%20")
            .replace('\n', "%0A")
    }

    #[test]
    fn the_example_of_the_standard_is_read_in_every_spelling() {
        let expected = digest(X5T);
        for der in [
            from_pem(PEM),
            from_pem(&PEM.replace('\n', "\r\n")),
            from_pem(PEM.trim()),
            from_field(&format!(":{}:", base64())),
            from_field(&format!(" :{}:\t", base64())),
            from_field(&escaped()),
            from_field(&PEM.replace('\n', "%0A")), // a proxy that leaves `+` alone
        ] {
            assert_eq!(der.map(|der| sha256(&der)), expected);
        }
    }

    #[test]
    fn two_certificates_or_none_are_no_certificate() {
        let field = format!(":{}:", base64());
        for value in [
            String::new(),
            ":".into(),
            "::".into(),
            field[1..].into(),
            field[..field.len() - 1].into(),
            base64(),
            format!("{field},{field}"),
            format!("{field}, {field}"),
            format!("{field};a=1"),
            format!("{},{}", escaped(), escaped()),
            format!("{0}{0}", escaped()),
            field.replace('/', "_"),
            field.replace('=', ""),
            format!(": {}:", base64()),
            "(null)".into(),
            "%".into(),
            "%FF".into(),
        ] {
            assert_eq!(from_field(&value), None, "{value}");
        }
        for text in [
            String::new(),
            PEM.repeat(2),
            format!("{PEM}x"),
            format!("x{PEM}"),
            PEM.replace("CERTIFICATE", "PUBLIC KEY"),
            PEM.replacen("CERTIFICATE", "TRUSTED CERTIFICATE", 2),
            PEM.replace("-----END CERTIFICATE-----", ""),
            PEM.replacen("MII", "M!I", 1),
            "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----".into(),
        ] {
            assert_eq!(from_pem(&text), None, "{text}");
        }
    }

    #[test]
    fn a_text_that_is_too_long_is_not_decoded() {
        let room = (LONGEST - 2) / 4 * 4;
        assert!(from_field(&format!(":{}:", "A".repeat(room))).is_some());
        assert!(from_field(&format!(":{}:", "A".repeat(room + 4))).is_none());
        assert!(from_pem(&format!("{}{PEM}", "\n".repeat(LONGEST))).is_none());
    }
}
