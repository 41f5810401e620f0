//! Tokens seen before: what is remembered, and what is asked again.

use super::*;

#[test]
fn a_remembered_token_is_still_refused_when_its_time_is_over() {
    let key = hs256();
    let verifier = verifier(&key, Rules::default());
    let token = key.sign(r#"{"exp":1800000060,"nbf":1799999990}"#, "JWT").unwrap();
    let at = |now: f64| verifier.verify(token.as_bytes(), UnixTime(now)).map(|_| ());
    assert!(at(1_800_000_000.0).is_ok());
    assert_eq!(verifier.remembered().1.0, 1);
    assert!(at(1_800_000_089.9).is_ok());
    // The clock was set back: the same rule as for a new token.
    assert_eq!(at(1_799_999_900.0), Err(Reason::NotYet.into()));
    assert_eq!(at(1_800_000_090.0), Err(TokenError::Expired));
    assert_eq!(verifier.remembered().1.0, 0);
    assert_eq!(at(1_800_000_090.0), Err(TokenError::Expired));
}

#[test]
fn a_remembered_token_is_refused_when_its_key_is_gone() {
    let (old, new) = (hs256(), Arc::new(Key::from_secret(&SECRET[8..], "HS256", None, false).unwrap()));
    let before = verifier(&old, Rules::default());
    let token = old.sign(GOOD, "JWT").unwrap();
    assert!(before.verify(token.as_bytes(), NOW).is_ok());
    let after = before.with_keys(Keyring::new(vec![new]).unwrap());
    refused(after.verify(token.as_bytes(), NOW), Reason::Signature);
    // The same material loaded again is another key: it verifies anew, and is remembered in its turn.
    let again = before.with_keys(Keyring::new(vec![hs256()]).unwrap());
    for _ in 0..2 {
        assert!(again.verify(token.as_bytes(), NOW).is_ok());
    }
    assert_eq!(again.remembered().1.0, 1);
}

#[test]
fn one_changed_character_is_another_token() {
    // CVE-2026-35030 (the first 20 characters were the key), CVE-2026-35039
    let key = hs256();
    let verifier = verifier(&key, Rules::default());
    let token = key.sign(GOOD, "JWT").unwrap();
    assert!(verifier.verify(token.as_bytes(), NOW).is_ok());
    for place in 0..token.len() {
        let mut changed = token.clone().into_bytes();
        changed[place] = if changed[place] == b'A' { b'B' } else { b'A' };
        assert!(verifier.verify(&changed, NOW).is_err(), "{place}");
    }
    for other in
        [token[..token.len() - 1].to_owned(), format!("{token}A"), format!("{token} "), format!("\n{token}")]
    {
        assert!(verifier.verify(other.as_bytes(), NOW).is_err());
    }
    assert_eq!(verifier.remembered().1.0, 1);
}

#[test]
fn what_is_refused_is_not_remembered() {
    let key = hs256();
    let verifier = verifier(&key, Rules { issuers: strings(&["us"]), ..Rules::default() });
    for n in 0..500 {
        let refused = key.sign(&format!(r#"{{"iss":"them","jti":"{n}","exp":1800000060}}"#), "JWT").unwrap();
        let expired = key.sign(&format!(r#"{{"iss":"us","jti":"{n}","exp":1}}"#), "JWT").unwrap();
        let forged = format!("{}x", &refused[..refused.len() - 1]);
        for token in [refused, expired, forged] {
            assert!(verifier.verify(token.as_bytes(), NOW).is_err());
        }
    }
    assert_eq!(verifier.remembered().1, (0, 0));
}

#[test]
fn a_flood_of_valid_tokens_takes_no_more_than_its_room() {
    let key = hs256();
    let verifier = verifier(&key, Rules { seen: 64, ..Rules::default() });
    let fill = "x".repeat(4000);
    for n in 0..2000 {
        let token = key.sign(&format!(r#"{{"jti":"{n}","exp":1800000060,"x":"{fill}"}}"#), "JWT").unwrap();
        assert!(verifier.verify(token.as_bytes(), NOW).is_ok());
    }
    let (_, (entries, bytes)) = verifier.remembered();
    assert!(entries <= 64 && bytes <= 128 * 1024, "{entries} {bytes}");
}

#[test]
fn forged_headers_are_not_kept_and_true_ones_are_few() {
    let key = hs256();
    let verifier = verifier(&key, Rules { seen: 0, ..Rules::default() });
    for n in 0..1000 {
        let header = b64(format!(r#"{{"alg":"HS256","x":{n}}}"#));
        let forged = format!("{header}.{}.{}", b64(GOOD), b64([0; 32]));
        refused(verifier.verify(forged.as_bytes(), NOW), Reason::Signature);
    }
    assert_eq!(verifier.remembered().0, 0);
    for n in 0..100 {
        let token = signed(&key, &format!(r#"{{"alg":"HS256","x":{n}}}"#), GOOD);
        assert!(verifier.verify(token.as_bytes(), NOW).is_ok());
        assert!(verifier.verify(token.as_bytes(), NOW).is_ok());
    }
    assert_eq!(verifier.remembered().0, 16);
    let long = signed(&key, &format!(r#"{{"alg":"HS256","x":"{}"}}"#, "x".repeat(2000)), GOOD);
    assert!(verifier.verify(long.as_bytes(), NOW).is_ok());
    assert_eq!(verifier.remembered().0, 16);
}

#[test]
fn a_remembered_header_does_not_excuse_a_bad_signature() {
    let key = hs256();
    let verifier = verifier(&key, Rules { seen: 0, ..Rules::default() });
    let good = key.sign(GOOD, "JWT").unwrap();
    assert!(verifier.verify(good.as_bytes(), NOW).is_ok());
    let (header, rest) = good.split_once('.').unwrap();
    let (_, signature) = rest.split_once('.').unwrap();
    let forged = format!("{header}.{}.{signature}", b64(r#"{"sub":"root","exp":1800000060}"#));
    refused(verifier.verify(forged.as_bytes(), NOW), Reason::Signature);
}

#[test]
fn what_is_attached_to_a_token_is_found_at_the_next_call() {
    let key = hs256();
    let verifier = verifier(&key, Rules::default());
    let token = key.sign(GOOD, "JWT").unwrap();
    let first = verifier.verify(token.as_bytes(), NOW).unwrap();
    first.attachment().set(Box::new(7u8)).unwrap();
    let second = verifier.verify(token.as_bytes(), NOW).unwrap();
    assert_eq!(second.attachment().get().and_then(|any| any.downcast_ref::<u8>()), Some(&7));
}

#[test]
fn threads_agree_on_every_token() {
    let key = hs256();
    let verifier = verifier(&key, Rules { seen: 8, ..Rules::default() });
    let tokens: Vec<_> =
        (0..32).map(|n| key.sign(&format!(r#"{{"sub":"{n}","exp":1800000060}}"#), "JWT").unwrap()).collect();
    std::thread::scope(|scope| {
        for start in 0..4 {
            let (verifier, tokens) = (&verifier, &tokens);
            scope.spawn(move || {
                for turn in 0..2000 {
                    let n = (start * 7 + turn) % tokens.len();
                    let verified = verifier.verify(tokens[n].as_bytes(), NOW).unwrap();
                    assert_eq!(verified.claims().subject.as_deref(), Some(&*n.to_string()));
                }
            });
        }
    });
}
