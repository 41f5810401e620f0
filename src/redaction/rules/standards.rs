//! Tokens by public standards, Flask-Rampart's own keys, and the prefixes of services whose tokens vary in length.
//!
//! Sources: RFC 7515 (JWS), RFC 7468 (PEM), RFC 6750 and 7617 (`Authorization`).

use super::{Extent, Rule, TOKEN};
use crate::redaction::checks;
use crate::redaction::text::alnum;

pub(super) const STANDARDS: &[Rule] = &[
    Rule {
        name: "jwt",
        entity: "JWT",
        literals: &["eyJ"],
        alone: false,
        pattern: r"eyJ[A-Za-z0-9_-]{7}",
        extent: Extent::Jwt,
        secret: concat!("eyJhbGciOiJIUzI1NiJ9", ".eyJzdWIiOiIxMjM0In0", ".c2lnbmF0dXJlLW9mLXRoZS10b2tlbg"),
        harmless: "cursor eyJpZCI6MTIzfQ and eyJ.eyJ.eyJ",
        ..TOKEN
    },
    Rule {
        name: "pem_private_key",
        entity: "PRIVATE_KEY",
        literals: &["BEGIN "],
        before: 5,
        alone: false,
        pattern: r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----",
        extent: Extent::Pem,
        secret: concat!(
            "-----BEGIN RSA PRIVATE",
            " KEY-----\nMIIBOgIBAAJBAK\nq1w2\n-----END RSA PRIVATE",
            " KEY-----"
        ),
        harmless: "-----BEGIN CERTIFICATE-----\nMIIBOgIBAAJBAK\n-----END CERTIFICATE-----",
        ..TOKEN
    },
    // PuTTY's own format, appendix C of its manual: with the public lines, to the code that authenticates all of it.
    Rule {
        name: "putty_private_key",
        entity: "PRIVATE_KEY",
        literals: &["PuTTY-User-Key-File-"],
        alone: false,
        pattern: r"PuTTY-User-Key-File-[1-9](?::|%3[Aa])",
        extent: Extent::Putty,
        secret: concat!(
            "PuTTY-User-Key-",
            "File-3: ssh-ed25519\nEncryption: none\nPublic-Lines: 1\nAAAAC3Nz\nPrivate-Lines: 1\nAAAAIGq1w2\nPrivate-",
            "MAC: 2f1e0d9c8b7a6f5e4d3c2b1a0f9e8d7c6b5a4f3e2d1c0b9a8f7e6d5c4b3a2f1e"
        ),
        harmless: "a PuTTY-User-Key-File-format",
        ..TOKEN
    },
    Rule {
        name: "bearer",
        entity: "BEARER",
        literals: &["earer", "EARER"],
        before: 1,
        pattern: r"[Bb](?:earer|EARER)(?:[ \t+]|%20){1,4}[A-Za-z0-9._~/-]{8}",
        extent: Extent::Credentials,
        check: checks::is_no_word,
        secret: "Bearer mF_9.B5f-4.1JqM",
        harmless: "the bearer authentication of the flag bearers",
        ..TOKEN
    },
    Rule {
        name: "basic_credentials",
        entity: "BASIC_AUTH",
        literals: &["asic ", "ASIC "],
        before: 1,
        pattern: r"[Bb](?:asic|ASIC) {1,4}[A-Za-z0-9+/_-]{8}",
        extent: Extent::Credentials,
        check: checks::is_basic_credentials,
        secret: "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==",
        harmless: "a basic understanding of Basic functionality",
        ..TOKEN
    },
];

/// Last of all: what the providers' own rows did not take.
pub(super) const OTHERS: &[Rule] = &[
    Rule {
        // Flask-Rampart's own keys, and Stripe's restricted ones, which look the same.
        name: "api_key",
        entity: "API_KEY",
        literals: &["rk_live_", "rk_test_"],
        pattern: r"rk_(?:live|test)_[0-9A-Za-z_-]{8}",
        check: checks::is_no_word,
        secret: concat!("rk_live_", "8fQ2mZ7xK4pLw9Rt_3vNcYb6HdJs5"),
        harmless: "rk_live_enabled",
        ..TOKEN
    },
    Rule {
        // Flask-Rampart's own under another prefix (RAMPART_API_KEY_PREFIX), which stays readable.
        name: "prefixed_api_key",
        entity: "API_KEY",
        literals: &["_live_", "_test_"],
        alone: false,
        pattern: r"_(?:live|test)_[0-9A-Za-z]{40}",
        extent: Extent::Run(alnum),
        check: checks::is_no_word,
        secret: concat!("_live_", "0ceIC4mF9B5f41JqMaBcDeFgHiJkLmNoPqRsTuVwXyZ01234"),
        harmless: "test_live_stream_of_a_test_case and is_live_",
        ..TOKEN
    },
    Rule {
        name: "other_service_token",
        entity: "SERVICE_TOKEN",
        literals: &["dop_v1_", "shpat_", "dckr_pat_", "glsa_", "pplx-", "xai-"],
        pattern: r"(?:dop_v1_|shpat_|dckr_pat_|glsa_|pplx-|xai-)[0-9A-Za-z_-]{24}",
        check: checks::is_no_word,
        secret: concat!("dckr_pat_", "0123456789abcdef01234567"),
        harmless: "xai-explainability and shpat_x",
        ..TOKEN
    },
];
