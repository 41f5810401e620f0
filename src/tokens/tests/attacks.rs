//! Tokens that a forger sends.

use super::*;

#[test]
fn a_token_of_every_algorithm_is_accepted_by_its_own_key_and_by_no_other() {
    let keys: Vec<_> = all_keys().into_iter().map(Arc::new).collect();
    for signer in &keys {
        let token = signer.sign(GOOD, "JWT").unwrap();
        for own in &keys {
            let verdict = verifier(own, Rules::default()).verify(token.as_bytes(), NOW);
            assert_eq!(verdict.is_ok(), own.alg() == signer.alg(), "{} by {}", signer.alg(), own.alg());
        }
    }
}

#[test]
fn the_algorithm_in_the_header_is_never_obeyed() {
    // CVE-2022-23541, CVE-2026-22817: each key signs under every name; only its own name is accepted.
    let names = [
        "HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384",
        "EdDSA",
    ];
    for key in all_keys().into_iter().map(Arc::new) {
        let verifier = verifier(&key, Rules::default());
        for name in names.into_iter().filter(|name| *name != key.alg()) {
            let token = signed(&key, &format!(r#"{{"alg":"{name}"}}"#), GOOD);
            refused(verifier.verify(token.as_bytes(), NOW), Reason::Algorithm);
        }
    }
}

#[test]
fn a_public_key_never_verifies_an_hmac_made_with_its_own_text() {
    // RFC 8725 §2.1, CVE-2015-9235: the classic confusion, with the public PEM as the forger's secret.
    let public = vector!("rsa2048.spki.pem");
    let key = Arc::new(Key::from_pem(public, "RS256", None, false).unwrap());
    let mac = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, public);
    for alg in ["HS256", "RS256"] {
        let message = format!("{}.{}", b64(format!(r#"{{"alg":"{alg}"}}"#)), b64(GOOD));
        let token = format!("{message}.{}", b64(ring::hmac::sign(&mac, message.as_bytes())));
        assert!(verifier(&key, Rules::default()).verify(token.as_bytes(), NOW).is_err());
    }
}

#[test]
fn none_is_no_algorithm_in_any_case() {
    // CVE-2020-26244, CVE-2026-28802, CVE-2026-13089
    for key in all_keys().into_iter().map(Arc::new) {
        let verifier = verifier(&key, Rules::default());
        for none in ["none", "None", "NONE", "nOnE", "", " ", "none ", "hs256", "HS256 ", "RS256\\u0000"] {
            let message = format!("{}.{}", b64(format!(r#"{{"alg":"{none}"}}"#)), b64(GOOD));
            refused(verifier.verify(format!("{message}.").as_bytes(), NOW), Reason::Algorithm);
            refused(verifier.verify(message.as_bytes(), NOW), Reason::Parts);
            refused(verifier.verify(format!("{message}.{}", b64("x")).as_bytes(), NOW), Reason::Algorithm);
        }
    }
}

#[test]
fn an_empty_or_truncated_signature_is_refused() {
    for key in all_keys().into_iter().map(Arc::new) {
        let verifier = verifier(&key, Rules::default());
        let token = key.sign(GOOD, "JWT").unwrap();
        let (message, signature) = token.rsplit_once('.').unwrap();
        let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        for length in [0, 1, signature.len() / 2, signature.len() - 1] {
            let token = format!("{message}.{}", b64(&signature[..length]));
            refused(verifier.verify(token.as_bytes(), NOW), Reason::Signature);
        }
        for longer in [signature.len() + 1, 1024, 1025, 4000] {
            let mut padded = signature.clone();
            padded.resize(longer, 0);
            refused(verifier.verify(format!("{message}.{}", b64(padded)).as_bytes(), NOW), Reason::Signature);
        }
        for bit in [0, signature.len() * 4, signature.len() * 8 - 1] {
            let mut flipped = signature.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            refused(
                verifier.verify(format!("{message}.{}", b64(flipped)).as_bytes(), NOW),
                Reason::Signature,
            );
        }
    }
}

#[test]
fn only_three_parts_are_a_token() {
    let key = hs256();
    let verifier = verifier(&key, Rules::default());
    let token = key.sign(GOOD, "JWT").unwrap();
    let (message, signature) = token.rsplit_once('.').unwrap();
    for wrong in [
        String::new(),
        "a".into(),
        ".".into(),
        message.into(),
        format!("{token}."),
        format!("{token}.{signature}"),
        format!("{message}..{signature}"),
        format!(".{token}"),
        format!("{token}.a.b"), // five parts: JWE, CVE-2022-3102
        ".".repeat(16_000),     // CVE-2025-27144, CVE-2025-30204
    ] {
        let verdict = verifier.verify(wrong.as_bytes(), NOW).map(|_| ()).unwrap_err();
        assert!(
            matches!(verdict, TokenError::Invalid(Reason::Parts | Reason::Header | Reason::Encoding)),
            "{wrong}: {verdict}"
        );
    }
    for parts in ["..", "a..", "..a", "a.a.a"] {
        assert!(verifier.verify(parts.as_bytes(), NOW).is_err());
    }
}

#[test]
fn the_json_serializations_are_not_tokens() {
    // CVE-2026-96760, CVE-2022-39227: one reader takes the JSON, another the compact form inside it.
    let key = hs256();
    let token = key.sign(GOOD, "JWT").unwrap();
    let [header, payload, signature]: [&str; 3] = token.split('.').collect::<Vec<_>>().try_into().unwrap();
    for text in [
        format!(r#"{{"payload":"{payload}","protected":"{header}","signature":"{signature}"}}"#),
        format!(
            r#"{{"payload":"{payload}","signatures":[{{"protected":"{header}","signature":"{signature}"}}]}}"#
        ),
        format!(r#"{{"payload":"{payload}","signatures":[]}}"#),
        format!(r#"{{"{header}.{payload}.{signature}":1}}"#),
        format!(r#"{{" {token}":"","payload":"x"}}"#),
    ] {
        assert!(verifier(&key, Rules::default()).verify(text.as_bytes(), NOW).is_err(), "{text}");
    }
}

#[test]
fn base64url_is_strict_in_every_part() {
    // CVE-2022-25898, GHSA-hxm8-2xgr-2p9m. Truly signed over the odd spelling, so only the decoding can refuse.
    let key = hs256();
    let verifier = verifier(&key, Rules::default());
    // 16 and 31 bytes: both leave bits over, so that there is something to spell differently.
    let (header, claims) = (b64(r#"{"alg":"HS256"} "#), b64(r#"{"sub":"ada","exp":1800000060} "#));
    assert!(verifier.verify(signed_parts(&key, &header, &claims).as_bytes(), NOW).is_ok());
    let spoil = |text: &str| {
        let mut stray = text.to_owned();
        let last = stray.pop().unwrap();
        stray.push((last as u8 + 1) as char); // the next letter: the same bytes, but for unused bits
        vec![
            format!("{text}="),
            format!("{text}=="),
            format!("{text}\n"),
            format!(" {text}"),
            format!("{}\r\n{}", &text[..4], &text[4..]),
            format!("{}+{}", &text[..4], &text[4..]),
            format!("{}/{}", &text[..4], &text[4..]),
            format!("{}\0{}", &text[..4], &text[4..]),
            format!("{}\u{e9}{}", &text[..4], &text[4..]),
            stray,
        ]
    };
    for odd in spoil(&header) {
        refused(verifier.verify(signed_parts(&key, &odd, &claims).as_bytes(), NOW), Reason::Encoding);
    }
    for odd in spoil(&claims) {
        refused(verifier.verify(signed_parts(&key, &header, &odd).as_bytes(), NOW), Reason::Encoding);
    }
    let token = signed_parts(&key, &header, &claims);
    let (message, signature) = token.rsplit_once('.').unwrap();
    for odd in spoil(signature) {
        assert!(verifier.verify(format!("{message}.{odd}").as_bytes(), NOW).is_err());
    }
}

#[test]
fn an_extension_that_is_marked_critical_is_refused_known_or_not() {
    // CVE-2025-59420, CVE-2026-32597, CVE-2026-48525 (b64=false)
    for member in [
        r#""crit":["exp"],"exp":1"#,
        r#""crit":[]"#,
        r#""crit":null"#,
        r#""crit":"b64""#,
        r#""crit":["b64"],"b64":true"#,
        r#""b64":false"#,
        r#""b64":true"#,
        r#""cri\u0074":["x"]"#,
    ] {
        refused(judge_header(&format!(r#"{{"alg":"HS256",{member}}}"#)), Reason::Critical);
        refused(judge_header(&format!(r#"{{{member},"alg":"HS256"}}"#)), Reason::Critical);
    }
    for member in [r#""zip":"DEF""#, r#""enc":"A128GCM""#, r#""enc":null"#] {
        refused(judge_header(&format!(r#"{{"alg":"HS256",{member}}}"#)), Reason::Header);
    }
}

#[test]
fn a_header_is_one_strict_object() {
    for header in [
        r#"{"alg":"HS256","alg":"HS256"}"#,
        r#"{"alg":"none","alg":"HS256"}"#,
        r#"{"alg":"HS256","\u0061lg":"none"}"#,
        r#"{"alg":"HS256","x":1,"x":1}"#,
        r#"{"alg":"HS256","x":{"y":1,"y":2}}"#,
        r#"{"alg":"HS256","kid":"a","kid":"b"}"#,
        r#"["HS256"]"#,
        r#"["JWT","HS256"]"#,
        r#""HS256""#,
        "null",
        "",
        "{}",
        r#"{"alg":null}"#,
        r#"{"alg":["HS256"]}"#,
        r#"{"alg":256}"#,
        r#"{"Alg":"HS256"}"#,
        r#"{"alg":"HS256","typ":7}"#,
        r#"{"alg":"HS256","typ":null}"#,
        r#"{"alg":"HS256","kid":7}"#,
        r#"{"alg":"HS256","kid":null}"#,
        r#"{"alg":"HS256","kid":["a"]}"#,
        r#"{"alg":"HS256"}{}"#,
        r#"{"alg":"HS256"}x"#,
        "\u{feff}{\"alg\":\"HS256\"}",
    ] {
        refused(judge_header(header), Reason::Header);
    }
    let deep =
        |levels: usize| format!(r#"{{"alg":"HS256","x":{}{}}}"#, "[".repeat(levels), "]".repeat(levels));
    assert!(judge_header(&deep(31)).is_ok());
    refused(judge_header(&deep(32)), Reason::Header);
    refused(judge_header(&deep(2000)), Reason::Header);
}

#[test]
fn a_key_or_an_address_that_a_token_brings_along_is_not_looked_at() {
    // CVE-2018-0114, CVE-2026-27962: signed by the forger's key, which is in the header.
    let forger = Key::from_pem(P256, "ES256", None, false).unwrap();
    let ours = Key::from_jwk(super::vectors::A3_KEY.as_bytes(), None, None, true).unwrap();
    let ours = verifier(&Arc::new(ours), Rules::default());
    let jwk = forger.public_jwk().unwrap();
    for member in [
        format!(r#""jwk":{jwk}"#),
        r#""jku":"https://forger.example/jwks""#.to_owned(),
        r#""jku":"file:///dev/urandom""#.to_owned(), // CVE-2026-48522
        r#""x5u":"https://forger.example/cert""#.to_owned(),
        r#""x5c":["MIIB"],"x5t":"AA""#.to_owned(),
    ] {
        let token = signed(&forger, &format!(r#"{{"alg":"ES256",{member}}}"#), GOOD);
        refused(ours.verify(token.as_bytes(), NOW), Reason::Signature);
        // Beside a good signature they are ignored: an identity provider may send them.
        assert!(judge_header(&format!(r#"{{"alg":"HS256",{member}}}"#)).is_ok());
    }
    assert!(judge_header(r#"{"alg":"HS256","jwk":"not even a key","jku":7}"#).is_ok());
}

#[test]
fn a_kid_is_a_name_and_nothing_else() {
    // OWASP: path and SQL injection by kid.
    let key = Arc::new(Key::from_secret(SECRET, "HS256", Some("2026-11"), false).unwrap());
    let verifier = verifier(&key, Rules::default());
    for kid in [
        "../../dev/null",
        "/dev/null",
        "' OR 1=1 --",
        "2026-1",
        "2026-111",
        "2026-11\\u0000",
        "",
        "\\ud83d\\ude00",
    ] {
        let token = signed(&key, &format!(r#"{{"alg":"HS256","kid":"{kid}"}}"#), GOOD);
        refused(verifier.verify(token.as_bytes(), NOW), Reason::Key);
    }
    let long = |length| signed(&key, &format!(r#"{{"alg":"HS256","kid":"{}"}}"#, "k".repeat(length)), GOOD);
    refused(verifier.verify(long(128).as_bytes(), NOW), Reason::Key);
    refused(verifier.verify(long(129).as_bytes(), NOW), Reason::Header);
    assert!(
        verifier.verify(signed(&key, r#"{"alg":"HS256","kid":"2026-11"}"#, GOOD).as_bytes(), NOW).is_ok()
    );
}

#[test]
fn length_is_looked_at_before_anything_else() {
    // CVE-2025-61920, CVE-2026-48990: ten megabytes of header used to be parsed before the signature.
    let key = hs256();
    let verifier = verifier(&key, Rules { max_bytes: 512, ..Rules::default() });
    let token = |fill: usize| {
        signed(&key, r#"{"alg":"HS256"}"#, &format!(r#"{{"exp":1800000060,"x":"{}"}}"#, "x".repeat(fill)))
    };
    let fitting = (0..400).rev().map(token).find(|token| token.len() <= 512).unwrap();
    assert!(fitting.len() >= 511 && verifier.verify(fitting.as_bytes(), NOW).is_ok());
    refused(verifier.verify(token(400).as_bytes(), NOW), Reason::Length);
    refused(verifier.verify(&vec![b'a'; 10_000_000], NOW), Reason::Length);
    refused(verifier.verify(&vec![0xff; 513], NOW), Reason::Length);
}

#[test]
fn a_header_has_a_bound_of_its_own() {
    let key = hs256();
    let verifier = verifier(&key, Rules { max_bytes: 1 << 20, ..Rules::default() });
    let header = |fill: usize| format!(r#"{{"alg":"HS256","x":"{}"}}"#, "x".repeat(fill));
    assert!(verifier.verify(signed(&key, &header(6100), GOOD).as_bytes(), NOW).is_ok());
    refused(verifier.verify(signed(&key, &header(6200), GOOD).as_bytes(), NOW), Reason::Header);
}

#[test]
fn an_ecdsa_signature_of_zeros_of_the_order_or_in_der_is_refused() {
    // CVE-2022-21449 (psychic signatures), CVE-2021-43570
    let order_256 = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
    let order_384 =
        "ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973";
    let unhex = |hex: &str| -> Vec<u8> {
        (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
    };
    for (pem, alg, order) in [(P256, "ES256", unhex(order_256)), (P384, "ES384", unhex(order_384))] {
        let key = Arc::new(Key::from_pem(pem, alg, None, false).unwrap());
        let verifier = verifier(&key, Rules::default());
        let token = key.sign(GOOD, "JWT").unwrap();
        let (message, good) = token.rsplit_once('.').unwrap();
        let good = URL_SAFE_NO_PAD.decode(good).unwrap();
        let half = order.len();
        let (r, s) = good.split_at(half);
        let (zero, mut one) = (vec![0; half], vec![0; half]);
        one[half - 1] = 1;
        let integer = |number: &[u8]| [&[2, half as u8 + 1, 0], number].concat();
        let body = [integer(r), integer(s)].concat();
        let der = if body.len() < 128 {
            [&[0x30, body.len() as u8], &body[..]].concat()
        } else {
            [&[0x30, 0x81, body.len() as u8], &body[..]].concat()
        };
        for forged in [
            [&zero[..], &zero].concat(),
            [r, &zero].concat(),
            [&zero, s].concat(),
            [&order[..], &order].concat(),
            [r, &order].concat(),
            [&order, s].concat(),
            [&one[..], &one].concat(),
            vec![0xff; half * 2],
            [&[0], r, s].concat(),
            [r, &[0], s].concat(),
            der,
        ] {
            refused(verifier.verify(format!("{message}.{}", b64(forged)).as_bytes(), NOW), Reason::Signature);
        }
    }
}

#[test]
fn nothing_of_a_token_is_in_an_error() {
    // CVE-2025-65015: the token in the message of the exception.
    let key = hs256();
    let token = key.sign(r#"{"sub":"hunter2","exp":1}"#, "JWT").unwrap();
    let error = verifier(&key, Rules::default()).verify(token.as_bytes(), NOW).unwrap_err();
    assert_eq!(format!("{error} {error:?}"), "token.expired (expired) Expired");
    let good = judge(r#"{"sub":"hunter2","exp":1800000060}"#).unwrap();
    assert!(!format!("{good:?}").contains("hunter2"));
}
