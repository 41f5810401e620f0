//! Issuer, audience, type and time, at their boundaries.

use super::*;

#[test]
fn an_issuer_is_compared_whole() {
    // CVE-2024-53861: a part of the issuer was enough.
    let issuer = "https://login.example.com/";
    let rules = || Rules { issuers: strings(&["https://other.example.com/", issuer]), ..Rules::default() };
    let claims = |iss: &str| format!(r#"{{"exp":1800000060,"iss":{iss}}}"#);
    assert!(judge_with(rules(), &claims(&format!("{issuer:?}"))).is_ok());
    for wrong in [
        r#""""#,
        r#""https""#,
        r#""https://login.example.com""#,
        r#""https://login.example.com//""#,
        r#""HTTPS://login.example.com/""#,
        r#""https://login.example.com/ ""#,
        r#""https://login.example.com/\u0000""#,
        r#""https://login.example.com.forger.example/""#,
    ] {
        refused(judge_with(rules(), &claims(wrong)), Reason::Issuer);
    }
    refused(judge_with(rules(), &claims(r#"["https://login.example.com/"]"#)), Reason::Claims); // CVE-2026-75509
    refused(judge_with(rules(), GOOD), Reason::Issuer);
    assert!(judge(&claims(r#""anyone""#)).is_ok());
}

#[test]
fn an_audience_must_be_ours_and_may_not_be_there_for_no_one() {
    // RFC 7519 §4.1.3: a token for an audience is refused by whoever is not in it.
    let rules = || Rules { audiences: strings(&["api://orders", "api://shop"]), ..Rules::default() };
    let claims = |aud: &str| format!(r#"{{"exp":1800000060,"aud":{aud}}}"#);
    for ours in [r#""api://orders""#, r#"["x","api://shop"]"#, r#"["api://orders","api://shop"]"#] {
        assert!(judge_with(rules(), &claims(ours)).is_ok(), "{ours}");
        refused(judge(&claims(ours)), Reason::Audience);
    }
    for other in [r#""api://order""#, r#""api://orders2""#, r#""api""#, "[]", r#"["x"]"#, r#""""#] {
        refused(judge_with(rules(), &claims(other)), Reason::Audience);
    }
    refused(judge(&claims("[]")), Reason::Audience);
    refused(judge_with(rules(), GOOD), Reason::Audience);
}

#[test]
fn a_token_of_another_kind_is_refused_by_its_type() {
    // RFC 8725 §2.8, RFC 9068 §4: an ID token, a logout token or a DPoP proof is no access token.
    let key = hs256();
    let with_type = |rules: Rules, typ: &str| {
        let token = signed(&key, &format!(r#"{{"alg":"HS256"{typ}}}"#), GOOD);
        verifier(&key, rules).verify(token.as_bytes(), NOW)
    };
    for typ in [
        "JWT",
        "jwt",
        "Jwt",
        "at+jwt",
        "AT+JWT",
        "application/at+jwt",
        "Application/AT+jwt",
        "application/jwt",
    ] {
        assert!(with_type(Rules::default(), &format!(r#","typ":"{typ}""#)).is_ok(), "{typ}");
    }
    for typ in [
        "",
        "JOSE",
        "dpop+jwt",
        "logout+jwt",
        "JWT ",
        "at+jwt;x=1",
        "application/",
        "application/application/JWT",
        "text/jwt",
        "JWE",
    ] {
        refused(with_type(Rules::default(), &format!(r#","typ":"{typ}""#)), Reason::Type);
    }
    assert!(with_type(Rules::default(), "").is_ok());
    let strict = || Rules { types: strings(&["application/at+jwt"]), require_type: true, ..Rules::default() };
    refused(with_type(strict(), ""), Reason::Type);
    refused(with_type(strict(), r#","typ":"JWT""#), Reason::Type);
    assert!(with_type(strict(), r#","typ":"at+jwt""#).is_ok());
}

#[test]
fn a_token_is_refused_the_second_after_its_leeway_and_the_second_before() {
    let key = hs256();
    let at = |claims: &str, now: f64| {
        let token = key.sign(claims, "JWT").unwrap();
        verifier(&key, Rules { require_exp: false, ..Rules::default() })
            .verify(token.as_bytes(), UnixTime(now))
            .map(|_| ())
    };
    let (exp, nbf, iat) = (r#"{"exp":1000}"#, r#"{"nbf":1000}"#, r#"{"iat":1000}"#);
    assert!(at(exp, 1029.999).is_ok());
    assert_eq!(at(exp, 1030.0), Err(TokenError::Expired));
    assert!(at(nbf, 970.0).is_ok());
    assert_eq!(at(nbf, 969.999), Err(Reason::NotYet.into()));
    assert!(at(iat, 970.0).is_ok());
    assert_eq!(at(iat, 969.999), Err(Reason::Future.into()));
    assert!(at(r#"{"exp":1000.5}"#, 1030.4).is_ok());
    assert_eq!(at(r#"{"exp":0}"#, 1030.0), Err(TokenError::Expired));
    assert!(at("{}", 1030.0).is_ok());
}

#[test]
fn leeway_zero_is_exact() {
    let key = hs256();
    let verifier = verifier(&key, Rules { leeway: 0, ..Rules::default() });
    let token = key.sign(r#"{"exp":1000,"nbf":900}"#, "JWT").unwrap();
    for (now, held) in [(899.9, false), (900.0, true), (999.9, true), (1000.0, false)] {
        assert_eq!(verifier.verify(token.as_bytes(), UnixTime(now)).is_ok(), held, "{now}");
    }
}

#[test]
fn a_clock_that_cannot_be_right_refuses() {
    let key = hs256();
    let token = key.sign(GOOD, "JWT").unwrap();
    for seen in [0, 16] {
        let verifier = verifier(&key, Rules { seen, ..Rules::default() });
        for _ in 0..2 {
            for now in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 0.0, -1.0] {
                refused(verifier.verify(token.as_bytes(), UnixTime(now)), Reason::Clock);
            }
            assert!(verifier.verify(token.as_bytes(), NOW).is_ok());
        }
    }
}

#[test]
fn a_token_without_exp_is_refused_unless_it_may() {
    refused(judge(r#"{"sub":"ada"}"#), Reason::Expiry);
    assert!(judge_with(Rules { require_exp: false, ..Rules::default() }, r#"{"sub":"ada"}"#).is_ok());
}

#[test]
fn expiry_is_told_only_to_who_has_a_token_that_was_good() {
    let key = hs256();
    let verifier = verifier(&key, Rules { audiences: strings(&["us"]), ..Rules::default() });
    let say = |token: &str| verifier.verify(token.as_bytes(), NOW).unwrap_err().code();
    let expired = key.sign(r#"{"aud":"us","exp":1}"#, "JWT").unwrap();
    assert_eq!(say(&expired), "token.expired");
    let (message, _) = expired.rsplit_once('.').unwrap();
    assert_eq!(say(&format!("{message}.{}", b64([0; 32]))), "token.invalid");
    assert_eq!(say(&key.sign(r#"{"aud":"them","exp":1}"#, "JWT").unwrap()), "token.invalid");
}

#[test]
fn rules_that_would_turn_a_check_off_are_refused_at_start_up() {
    let ring = || Keyring::new(vec![hs256()]).unwrap();
    for rules in [
        Rules { issuers: strings(&[""]), ..Rules::default() },
        Rules { audiences: strings(&["a", ""]), ..Rules::default() },
        Rules { types: vec![], ..Rules::default() },
        Rules { types: strings(&["application/"]), ..Rules::default() },
        Rules { leeway: 86_401, ..Rules::default() },
        Rules { max_bytes: 63, ..Rules::default() },
        Rules { max_bytes: usize::MAX, ..Rules::default() },
        Rules { seen: usize::MAX, ..Rules::default() },
    ] {
        assert!(Verifier::new(ring(), rules).is_err());
    }
}

#[test]
fn a_ring_has_no_name_twice_and_never_mixes_secrets_with_public_keys() {
    let secret = |kid, alg| Arc::new(Key::from_secret(SECRET, alg, kid, false).unwrap());
    let public = |kid, alg| Arc::new(Key::from_pem(RSA, alg, kid, true).unwrap());
    assert!(Keyring::new(vec![]).is_err());
    assert!(Keyring::new(vec![secret(Some("a"), "HS256"), secret(Some("a"), "HS512")]).is_err());
    assert!(Keyring::new(vec![secret(None, "HS256"), secret(None, "HS256")]).is_err());
    assert!(Keyring::new(vec![secret(Some("a"), "HS256"), public(Some("b"), "RS256")]).is_err()); // RFC 8725 §2.1
    let many =
        (0..65).map(|n| Arc::new(Key::from_secret(SECRET, "HS256", Some(&format!("k{n}")), false).unwrap()));
    assert!(Keyring::new(many.collect()).is_err());
    assert!(
        Keyring::new(vec![secret(None, "HS256"), secret(None, "HS512"), secret(Some("a"), "HS256")]).is_ok()
    );
}

#[test]
fn a_token_without_kid_needs_exactly_one_key_of_its_algorithm() {
    let key = |kid, alg| Arc::new(Key::from_secret(SECRET, alg, kid, false).unwrap());
    let judge = |keys: Vec<Arc<Key>>, header: &str| {
        let verifier = Verifier::new(Keyring::new(keys).unwrap(), Rules::default()).unwrap();
        let signer =
            Key::from_secret(SECRET, if header.contains("512") { "HS512" } else { "HS256" }, None, false)
                .unwrap();
        verifier.verify(signed(&signer, header, GOOD).as_bytes(), NOW)
    };
    let (nameless, named, wide) =
        (r#"{"alg":"HS256"}"#, r#"{"alg":"HS256","kid":"b"}"#, r#"{"alg":"HS512","kid":"b"}"#);
    assert!(judge(vec![key(Some("a"), "HS256"), key(Some("b"), "HS512")], nameless).is_ok());
    refused(judge(vec![key(Some("a"), "HS256"), key(Some("b"), "HS256")], nameless), Reason::Key);
    refused(judge(vec![key(Some("a"), "HS512")], nameless), Reason::Algorithm);
    let found = judge(vec![key(Some("a"), "HS256"), key(Some("b"), "HS256")], named).unwrap();
    assert_eq!(found.kid(), Some("b"));
    // A kid that names a key of another algorithm does not fall through to one that would fit.
    refused(judge(vec![key(None, "HS512"), key(Some("b"), "HS256")], wide), Reason::Algorithm);
    // A key without a name does not contradict a token that has one; a key with another name does.
    assert_eq!(judge(vec![key(None, "HS256")], named).unwrap().kid(), None);
    refused(judge(vec![key(Some("a"), "HS256")], named), Reason::Key);
}
