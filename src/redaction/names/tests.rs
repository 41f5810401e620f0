//! Tests: which names are secret.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
use super::*;

fn entity(name: &str) -> Option<Entity> {
    Names::new(&["contraseña", "license-key"]).unwrap().entity(name.as_bytes())
}

#[test]
fn a_name_is_secret_by_its_last_words_whatever_their_case_and_separators() {
    for (name, expected) in [
        ("password", "PASSWORD"),
        ("DB_PASSWORD", "PASSWORD"),
        ("user.password", "PASSWORD"),
        ("newPassword2", "PASSWORD"),
        ("dbpassword", "PASSWORD"),
        ("p%61ssword", "PASSWORD"),
        ("login%3Fpassword", "PASSWORD"),
        ("X-Api-Key", "API_KEY"),
        ("apikey", "API_KEY"),
        ("client_secret", "SECRET"),
        ("X-Amz-Signature", "TOKEN"),
        ("aws_secret_access_key", "AWS_SECRET_KEY"),
        ("HTTP_AUTHORIZATION", "AUTHORIZATION"),
        ("userPin", "PIN"),
        ("CVV2", "CVV"),
        ("session_id", "SESSION"),
        ("csrf_token", "TOKEN"),
        ("CONTRASEÑA", "SECRET"),
        ("licenseKey", "SECRET"),
        ("SECRET_KEY_FALLBACKS", "SECRET"),
        ("password_confirmation", "PASSWORD"),
        ("userPasswordConfirm", "PASSWORD"),
        ("passwords", "PASSWORD"),
        ("refresh_tokens", "TOKEN"),
        ("api_keys", "API_KEY"),
        ("passcode", "PASSWORD"),
        ("otp_code", "OTP"),
        ("client_assertion", "TOKEN"),
        ("SAMLResponse", "TOKEN"),
        ("code_verifier", "TOKEN"),
        ("id_token_hint", "TOKEN"),
    ] {
        assert_eq!(entity(name), Some(expected), "{name}");
    }
}

#[test]
fn names_that_only_contain_a_secret_word_stay() {
    for name in [
        "",
        "a",
        "mapping",
        "spin",
        "max_tokens",
        "max_new_tokens",
        "usage.prompt_tokens",
        "client_assertion_type",
        "token_type",
        "password_hint",
        "author",
        "aside",
        "level",
        "next_page_token",
        "eos_token",
        "public_key",
        "obsession",
        "design",
        "%",
        "%%%",
        "___",
        "12345",
    ] {
        assert_eq!(entity(name), None, "{name}");
    }
}

#[test]
fn silly_names_are_refused_at_start_up() {
    for name in ["", "pw", "--", "123456", "a b c", "user=name", "redacted", &"x".repeat(65)] {
        assert!(Names::new(&[name]).is_err(), "{name:?}");
    }
    let many = vec!["some_name"; MOST + 1];
    assert!(Names::new(&many).is_err());
}
