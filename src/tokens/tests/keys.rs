//! Keys that are refused at start-up, and keys that are not what they are said to be.

use base64::engine::general_purpose::STANDARD;

use super::vectors::{A2_KEY, A3_KEY, ED_KEY};
use super::*;

#[track_caller]
fn is_refused(key: Result<Key, crate::error::ConfigError>, because: &str) {
    let message = key.expect_err("accepted").to_string();
    assert!(message.contains(because), "{message}");
}

fn secret(bytes: impl AsRef<[u8]>) -> Result<Key, crate::error::ConfigError> {
    Key::from_secret(bytes.as_ref(), "HS256", None, false)
}

fn jwk(text: &str) -> Result<Key, crate::error::ConfigError> {
    Key::from_jwk(text.as_bytes(), None, None, false)
}

/// A JWK with one member added or changed.
fn with(text: &str, name: &str, value: &str) -> String {
    let mut object: serde_json::Map<String, serde_json::Value> = serde_json::from_str(text).unwrap();
    object.insert(name.into(), serde_json::from_str(value).unwrap());
    serde_json::to_string(&object).unwrap()
}

fn without(text: &str, names: &[&str]) -> String {
    let mut object: serde_json::Map<String, serde_json::Value> = serde_json::from_str(text).unwrap();
    names.iter().for_each(|name| drop(object.remove(*name)));
    serde_json::to_string(&object).unwrap()
}

#[test]
fn a_short_or_empty_secret_is_refused_and_one_of_the_least_length_is_not() {
    // CVE-2026-45363, CVE-2026-44351, CVE-2026-49852; RFC 7518 §3.2
    for (alg, least) in [("HS256", 32), ("HS384", 48), ("HS512", 64)] {
        for length in [0, 1, least - 1] {
            is_refused(Key::from_secret(&SECRET[..length], alg, None, false), "random bytes");
        }
        assert!(Key::from_secret(&SECRET[..least], alg, None, false).is_ok());
        let oct = |k: &[u8]| format!(r#"{{"kty":"oct","alg":"{alg}","k":"{}"}}"#, b64(k));
        is_refused(jwk(&oct(&SECRET[..least - 1])), "random bytes");
        assert!(jwk(&oct(&SECRET[..least])).is_ok());
    }
    is_refused(secret(vec![7; 20_000]), "at most");
}

/// What others may know, in every form in which it is handed round.
fn public_material() -> Vec<(String, Vec<u8>)> {
    let mut all: Vec<(String, Vec<u8>)> = vec![];
    for (name, pem) in [
        ("RSA SPKI", &vector!("rsa2048.spki.pem")[..]),
        ("RSA PKCS#1", vector!("rsa2048.pkcs1pub.pem")),
        ("RSA private", vector!("rsa2048.pkcs1.pem")),
        ("RSA 1024", vector!("rsa1024.spki.pem")),
        ("certificate", vector!("rsa2048.cert.pem")),
        ("P-256", vector!("p256.spki.pem")),
        ("P-384", vector!("p384.spki.pem")),
        ("secp256k1", vector!("k256.spki.pem")),
        ("SEC 1 private", vector!("p256.sec1.pem")),
        ("Ed25519", vector!("ed25519.spki.pem")),
        ("Ed25519 private", vector!("ed25519.pkcs8.pem")),
    ] {
        let text = std::str::from_utf8(pem).unwrap();
        let body: String = text.lines().filter(|line| !line.contains("-----")).collect();
        let der = STANDARD.decode(&body).unwrap();
        all.push((format!("{name} PEM"), pem.to_vec()));
        all.push((format!("{name} without armour"), body.into_bytes()));
        all.push((format!("{name} DER in base64url"), URL_SAFE_NO_PAD.encode(&der).into_bytes()));
        all.push((format!("{name} DER in hexadecimal"), hex(&der)));
        all.push((format!("{name} DER"), der));
    }
    for (name, line) in [
        ("ssh-rsa", &vector!("rsa2048.ssh.pub")[..]),
        ("ecdsa-sha2-nistp256", vector!("p256.ssh.pub")),
        ("ssh-ed25519", vector!("ed25519.ssh.pub")),
    ] {
        let blob = line.split(|byte| *byte == b' ').nth(1).unwrap().to_vec();
        all.push((format!("{name} line"), line.to_vec()));
        all.push((format!("{name} blob"), blob));
    }
    for (name, key) in [("RSA", A2_KEY), ("EC", A3_KEY), ("OKP", ED_KEY)] {
        let public = without(key, &["d", "p", "q", "dp", "dq", "qi"]);
        all.push((format!("{name} JWKS"), format!(r#"{{"keys":[{public}]}}"#).into_bytes()));
        all.push((format!("{name} list"), format!("[{public}]").into_bytes()));
        all.push((format!("{name} dict of Python"), public.replace('"', "'").into_bytes()));
        all.push((format!("{name} JWK in JSON"), serde_json::to_vec(&public).unwrap()));
        all.push((format!("{name} JWK"), public.into_bytes()));
    }
    all
}

fn hex(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().flat_map(|byte| format!("{byte:02x}").into_bytes()).collect()
}

#[test]
fn a_public_key_in_any_encoding_is_refused_as_a_secret() {
    // CVE-2017-11424, CVE-2022-29217, CVE-2024-33663, CVE-2024-37568, CVE-2023-48223, CVE-2026-34950,
    // CVE-2026-48526, CVE-2026-114615: each found the encoding that the last fix had missed.
    for (name, material) in public_material() {
        let latin1: String = material.iter().map(|byte| char::from(*byte)).collect();
        let utf16: Vec<u8> = material.iter().flat_map(|byte| [*byte, 0]).collect();
        for (dressing, dressed) in [
            ("as it is", material.clone()),
            ("after a byte order mark", [b"\xef\xbb\xbf", &material[..]].concat()),
            ("after white space", [b" \t\r\n\x0b", &material[..]].concat()),
            ("after junk", [b"prefix:\0", &material[..]].concat()),
            ("after words", [b"# our key\nkey = ", &material[..]].concat()),
            ("before junk", [&material[..], b"\0junk"].concat()),
            ("in UTF-16", utf16),
            ("read as Latin-1", latin1.into_bytes()),
            ("in base64", STANDARD.encode(&material).into_bytes()),
            ("in base64url", URL_SAFE_NO_PAD.encode(&material).into_bytes()),
            ("in base64 twice", STANDARD.encode(STANDARD.encode(&material)).into_bytes()),
            ("in hexadecimal", hex(&material)),
        ] {
            if dressed.len() <= 16_384 {
                let message = secret(&dressed)
                    .err()
                    .unwrap_or_else(|| panic!("accepted: {name} {dressing}"))
                    .to_string();
                assert!(message.contains("looks like a public key"), "{name} {dressing}: {message}");
            }
        }
    }
    let point = Key::from_pem(P256, "ES256", None, false).unwrap();
    let Some(crate::crypto::PublicParts::Ec { x, y, .. }) = point.verifying().public() else { panic!() };
    is_refused(secret([&[4], x, y].concat()), "looks like a public key");
    is_refused(
        jwk(&format!(r#"{{"kty":"oct","alg":"HS256","k":"{}"}}"#, b64(vector!("rsa2048.spki.pem")))),
        "looks like",
    );
}

#[test]
fn a_random_secret_is_not_taken_for_a_key_in_any_spelling() {
    for n in 0..60u32 {
        let bytes =
            [crate::crypto::sha256(&n.to_le_bytes()), crate::crypto::sha256(&(n + 9000).to_le_bytes())]
                .concat();
        for spelled in
            [bytes.clone(), hex(&bytes), STANDARD.encode(&bytes).into_bytes(), b64(&bytes).into_bytes()]
        {
            assert!(Key::from_secret(&spelled, "HS512", None, false).is_ok(), "{n}");
        }
    }
    assert!(secret("correct horse battery staple, and then some more words").is_ok());
}

#[test]
fn every_form_of_pem_gives_the_same_key() {
    let pem = |text: &[u8], alg| Key::from_pem(text, alg, None, false).unwrap();
    for alg in ["RS256", "PS512"] {
        let public = pem(RSA, alg).public_jwk();
        for (text, private) in [
            (&vector!("rsa2048.pkcs1.pem")[..], true),
            (vector!("rsa2048.spki.pem"), false),
            (vector!("rsa2048.pkcs1pub.pem"), false),
        ] {
            assert_eq!((pem(text, alg).public_jwk(), pem(text, alg).can_sign()), (public.clone(), private));
        }
    }
    for (private, public, alg) in [
        (P256, &vector!("p256.spki.pem")[..], "ES256"),
        (P384, vector!("p384.spki.pem"), "ES384"),
        (ED25519, vector!("ed25519.spki.pem"), "EdDSA"),
    ] {
        assert_eq!(pem(private, alg).public_jwk(), pem(public, alg).public_jwk());
        assert!(pem(private, alg).can_sign() && !pem(public, alg).can_sign());
    }
    let sec1 = vector!("p256.sec1.pem");
    let curve = b"-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n";
    for text in [&sec1[..], &[&curve[..], sec1].concat()] {
        assert_eq!(pem(text, "ES256").public_jwk(), pem(P256, "ES256").public_jwk());
        assert!(pem(text, "ES256").can_sign());
    }
    let crlf = String::from_utf8(P256.to_vec()).unwrap().replace('\n', "\r\n");
    assert!(Key::from_pem(crlf.as_bytes(), "ES256", None, false).is_ok());
}

#[test]
fn a_key_of_another_family_or_curve_is_refused_at_start_up() {
    let files = [("RS256", RSA), ("ES256", P256), ("ES384", P384), ("EdDSA", ED25519)];
    for (own, text) in files {
        for (alg, _) in files {
            assert_eq!(Key::from_pem(text, alg, None, false).is_ok(), own == alg, "{own} as {alg}");
        }
        for alg in
            ["HS256", "ES512", "ES256K", "Ed25519", "Ed448", "none", "None", "", "RSA1_5", "rs256", "HS1"]
        {
            assert!(Key::from_pem(text, alg, None, false).is_err(), "{own} as {alg}");
            assert!(Key::from_secret(SECRET, alg, None, false).is_err() || alg == "HS256");
        }
    }
    let publics = [
        ("RS256", &vector!("rsa2048.spki.pem")[..]),
        ("ES256", vector!("p256.spki.pem")),
        ("ES384", vector!("p384.spki.pem")),
        ("EdDSA", vector!("ed25519.spki.pem")),
    ];
    for (own, text) in publics {
        for (alg, _) in publics {
            assert_eq!(Key::from_pem(text, alg, None, false).is_ok(), own == alg, "{own} as {alg}");
        }
    }
    for k256 in [&vector!("k256.spki.pem")[..], vector!("k256.pkcs8.pem")] {
        is_refused(Key::from_pem(k256, "ES256", None, false), "P-256"); // the same length, another curve
    }
}

#[test]
fn a_pem_that_cannot_be_used_says_how_to_convert_it() {
    for (text, cure) in [
        (&vector!("rsa2048.cert.pem")[..], "openssl x509"),
        (vector!("p256.encrypted.pem"), "decrypt"),
        (b"-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n", "ssh-keygen"),
        (b"-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAAAA\n-----END RSA PRIVATE KEY-----\n", "decrypt"),
        (b"", "not a PEM"),
        (b"secret", "not a PEM"),
        (b"\x30\x82\xff\xfe", "DER"),
        (b"-----BEGIN PUBLIC KEY-----\n!!!\n-----END PUBLIC KEY-----\n", "damaged"),
        (b"-----BEGIN PUBLIC KEY-----\nMAA=\n-----END PUBLIC KEY-----\n", "damaged"),
        (b"-----BEGIN PUBLIC KEY-----\n", "damaged"),
    ] {
        is_refused(Key::from_pem(text, "ES256", None, false), cure);
    }
    is_refused(Key::from_pem(&[P256, vector!("p384.spki.pem")].concat(), "ES256", None, false), "several");
}

#[test]
fn an_rsa_key_below_2048_bits_or_unsound_is_refused() {
    is_refused(Key::from_pem(vector!("rsa1024.spki.pem"), "RS256", None, false), "this one has 1024");
    is_refused(Key::from_pem(vector!("rsa1024.pkcs8.pem"), "PS256", None, false), "2048");
    let public = with(&without(A2_KEY, &["d", "p", "q", "dp", "dq", "qi"]), "alg", "\"RS256\"");
    assert!(jwk(&public).is_ok());
    for e in ["AQ", "Ag", "AAAB", "", "AQABAQABAQAB", "AAAA"] {
        assert!(jwk(&with(&public, "e", &format!("{e:?}"))).is_err(), "{e}"); // e = 1 makes every signature its own message
    }
    let modulus = |bytes: &[u8]| with(&public, "n", &format!("\"{}\"", b64(bytes)));
    is_refused(jwk(&modulus(&[0xfe; 256])), "odd");
    is_refused(jwk(&modulus(&[[0x7f; 1], [0xff; 1]].concat())), "2048");
    is_refused(jwk(&modulus(&[[0; 200].as_slice(), &[0xff; 255]].concat())), "2040");
    is_refused(jwk(&modulus(&[0xff; 1025])), "8200");
    assert!(jwk(&modulus(&[[0; 3].as_slice(), &[0xff; 256]].concat())).is_ok()); // leading zeros are dropped
    is_refused(jwk(&with(A2_KEY, "alg", "\"RS256\"").replace("\"p\":", "\"pp\":")), "p, q");
    is_refused(jwk(&with(&with(A2_KEY, "alg", "\"RS256\""), "oth", "[]")), "third prime");
}

#[test]
fn what_a_jwk_says_of_itself_is_honoured() {
    assert!(jwk(A3_KEY).unwrap().can_sign());
    assert_eq!(jwk(ED_KEY).unwrap().alg(), "EdDSA");
    is_refused(jwk(A2_KEY), "no \"alg\"");
    for (name, value, because) in [
        ("use", "\"enc\"", "\"use\""),
        ("use", "7", "a string"),
        ("alg", "\"ES384\"", "not a key for"),
        ("alg", "\"HS256\"", "not a key for"),
        ("alg", "\"ECDH-ES\"", "not an algorithm"),
        ("alg", "null", "a string"),
        ("kty", "\"RSA\"", "does not belong"),
        ("kty", "\"oct\"", "does not belong"),
        ("kty", "\"OKP\"", "curves"),
        ("kty", "\"ec\"", "\"kty\""),
        ("crv", "\"P-384\"", "48 bytes"),
        ("crv", "\"P-521\"", "curves"),
        ("crv", "\"secp256k1\"", "curves"),
        ("key_ops", "[\"encrypt\"]", "key_ops"),
        ("key_ops", "[]", "key_ops"),
        ("key_ops", "[\"verify\",\"verify\"]", "different"),
        ("key_ops", "[\"verify\",7]", "different"),
        ("key_ops", "\"verify\"", "different"),
        ("x", "\"AAAA\"", "32 bytes"),
        ("x", "\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEX\"", "base64url"), // stray bits
        ("x", "\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU=\"", "base64url"),
        ("y", "\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\"", "damaged"),
        ("d", "\"AAAA\"", "private key"),
        ("d", "\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\"", ""),
        ("kid", "7", "a string"),
        ("kid", "\"\"", "kid"),
        ("keys", "[]", "JWKS"),
    ] {
        is_refused(jwk(&with(A3_KEY, name, value)), because);
    }
    for text in ["", "[]", "null", "{}", "{\"kty\":\"EC\",\"kty\":\"RSA\"}", &format!("[{A3_KEY}]")] {
        assert!(jwk(text).is_err(), "{text}");
    }
    // CVE-2022-23540: one key, two readings.
    assert!(Key::from_jwk(A3_KEY.as_bytes(), Some("ES384"), None, false).is_err());
    assert!(Key::from_jwk(A3_KEY.as_bytes(), Some("RS256"), None, false).is_err());
}

#[test]
fn key_ops_decide_who_signs_and_who_verifies() {
    let private = |ops: &str| jwk(&with(A3_KEY, "key_ops", ops)).map(|key| key.can_sign());
    assert_eq!(private(r#"["sign"]"#), Ok(true));
    assert_eq!(private(r#"["sign","verify"]"#), Ok(true));
    assert_eq!(private(r#"["verify"]"#), Ok(false));
    let public = without(A3_KEY, &["d"]);
    assert!(jwk(&with(&public, "key_ops", r#"["verify"]"#)).is_ok());
    assert!(jwk(&with(&public, "key_ops", r#"["sign"]"#)).is_err());
    assert!(!Key::from_jwk(A3_KEY.as_bytes(), None, None, true).unwrap().can_sign());
}

#[test]
fn a_kid_is_taken_from_the_jwk_and_not_contradicted() {
    let named = with(A3_KEY, "kid", "\"a\"");
    let kid = |given| {
        Key::from_jwk(named.as_bytes(), None, given, false).map(|key| key.kid().map(|kid| kid.to_string()))
    };
    assert_eq!(kid(None).unwrap().as_deref(), Some("a"));
    assert_eq!(kid(Some("a")).unwrap().as_deref(), Some("a"));
    assert!(kid(Some("b")).is_err());
    for wrong in ["", "a\nb", "a\0", &"k".repeat(129)] {
        assert!(Key::from_secret(SECRET, "HS256", Some(wrong), false).is_err());
    }
}

#[test]
fn an_ed25519_key_that_anyone_can_sign_for_is_refused() {
    // The points of order 1, 2, 4 and 8 (RFC 7748 §6 lists their like): [k]A is neutral for one k in eight, or more.
    let mut neutral = [0; 32];
    neutral[0] = 1;
    let mut order_two = [0xff; 32];
    (order_two[0], order_two[31]) = (0xec, 0x7f);
    let order_four = [0; 32];
    let order_eight = "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05";
    let order_eight: Vec<u8> =
        (0..64).step_by(2).map(|at| u8::from_str_radix(&order_eight[at..at + 2], 16).unwrap()).collect();
    for point in [&neutral[..], &order_two, &order_four, &order_eight] {
        let text = format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{}"}}"#, b64(point));
        is_refused(jwk(&text), "small order");
    }
    is_refused(jwk(&format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{}"}}"#, b64([9; 31]))), "32 bytes");
    is_refused(jwk(&with(ED_KEY, "x", &format!("\"{}\"", b64([9; 32])))), "");
}

#[test]
fn a_public_jwk_has_no_secret_and_loads_again() {
    for key in all_keys() {
        let Some(text) = key.public_jwk() else {
            assert!(key.is_symmetric());
            continue;
        };
        let members: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&text).unwrap();
        assert!(["d", "p", "q", "k", "dp", "dq", "qi"].iter().all(|name| !members.contains_key(*name)));
        let again = jwk(&text).unwrap();
        assert_eq!((again.alg(), again.can_sign(), again.public_jwk()), (key.alg(), false, Some(text)));
        let token = key.sign(GOOD, "JWT").unwrap();
        assert!(verifier(&Arc::new(again), Rules::default()).verify(token.as_bytes(), NOW).is_ok());
    }
}

#[test]
fn a_key_is_printed_without_its_material() {
    let key = Key::from_secret(SECRET, "HS256", Some("a"), false).unwrap();
    assert_eq!(format!("{key:?}"), r#"Key { kid: Some("a"), alg: "HS256", .. }"#);
    let error = Key::from_secret(b"hunter2", "HS256", None, false).unwrap_err();
    assert!(!error.to_string().contains("hunter2"));
}

#[test]
fn a_key_that_only_verifies_does_not_sign() {
    for key in [
        Key::from_secret(SECRET, "HS256", None, true).unwrap(),
        Key::from_pem(RSA, "RS256", None, true).unwrap(),
        Key::from_pem(vector!("p256.spki.pem"), "ES256", None, false).unwrap(),
    ] {
        assert!(!key.can_sign() && key.sign(GOOD, "JWT").is_err());
    }
}

#[test]
fn only_claims_that_could_be_read_back_are_signed() {
    let key = hs256();
    for claims in
        ["", "[]", "null", r#"{"exp":"soon"}"#, r#"{"a":1,"a":2}"#, r#"{"iss":["x"]}"#, r#"{"exp":NaN}"#]
    {
        assert!(key.sign(claims, "JWT").is_err(), "{claims}");
    }
    for typ in ["", "a b", "JWT\n", "\u{e9}", &"x".repeat(65)] {
        assert!(key.sign(GOOD, typ).is_err());
    }
    let named = Arc::new(Key::from_secret(SECRET, "HS256", Some("a\"b"), false).unwrap());
    let token = named.sign(GOOD, "at+jwt").unwrap();
    let header = URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap()).unwrap();
    let header: serde_json::Value = serde_json::from_slice(&header).unwrap();
    assert_eq!(header, serde_json::json!({"alg": "HS256", "typ": "at+jwt", "kid": "a\"b"}));
    assert_eq!(verifier(&named, Rules::default()).verify(token.as_bytes(), NOW).unwrap().kid(), Some("a\"b"));
}

#[test]
fn jsonwebtoken_signs_and_verifies_through_ring_as_well() {
    use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, jwk::Jwk};
    crate::crypto::provider::install();
    crate::crypto::provider::install();
    let claims = serde_json::json!({"sub": "ada", "exp": 1_800_000_060u64});
    let rsa = EncodingKey::from_rsa_pem(RSA).unwrap();
    for (alg, signing, public) in [
        (Algorithm::HS256, EncodingKey::from_secret(SECRET), DecodingKey::from_secret(SECRET)),
        (Algorithm::RS256, rsa.clone(), DecodingKey::from_rsa_pem(vector!("rsa2048.spki.pem")).unwrap()),
        (Algorithm::PS384, rsa, DecodingKey::from_rsa_pem(vector!("rsa2048.spki.pem")).unwrap()),
        (
            Algorithm::ES256,
            EncodingKey::from_ec_pem(P256).unwrap(),
            DecodingKey::from_ec_pem(vector!("p256.spki.pem")).unwrap(),
        ),
        (
            Algorithm::ES384,
            EncodingKey::from_ec_pem(P384).unwrap(),
            DecodingKey::from_ec_pem(vector!("p384.spki.pem")).unwrap(),
        ),
        (
            Algorithm::EdDSA,
            EncodingKey::from_ed_pem(ED25519).unwrap(),
            DecodingKey::from_ed_pem(vector!("ed25519.spki.pem")).unwrap(),
        ),
    ] {
        let token = jsonwebtoken::encode(&Header::new(alg), &claims, &signing).unwrap();
        let mut validation = Validation::new(alg);
        validation.validate_exp = false;
        assert!(jsonwebtoken::decode::<serde_json::Value>(&token, &public, &validation).is_ok(), "{alg:?}");
        // The key utilities: the same JWK from either half.
        let (ours, theirs) = (
            Jwk::from_encoding_key(&signing, alg).unwrap(),
            Jwk::from_decoding_key(&public, Some(alg)).unwrap(),
        );
        assert_eq!(ours, theirs, "{alg:?}");
        assert_eq!(ours.thumbprint(jsonwebtoken::jwk::ThumbprintHash::SHA256).unwrap().len(), 43);
    }
}

#[test]
fn an_elliptic_key_as_sec_1_writes_it_is_for_its_own_curve_and_has_its_public_half() {
    // RFC 5915, byte by byte: of P-256, where it names its curve, or not, or another one, or has no public half.
    let whole = ::pem::parse(vector!("p256.sec1.pem")).unwrap().into_contents();
    let armoured = |der: &[u8]| {
        format!("-----BEGIN EC PRIVATE KEY-----\n{}\n-----END EC PRIVATE KEY-----\n", STANDARD.encode(der))
    };
    let read = |der: &[u8], alg| Key::from_pem(armoured(der).as_bytes(), alg, None, false);
    assert_eq!((whole[1], &whole[39..41]), (0x77, &[0xa0, 0x0a][..]));
    assert!(read(&whole, "ES256").is_ok());
    let unnamed = [&[0x30, 0x6b], &whole[2..39], &whole[51..]].concat();
    assert!(read(&unnamed, "ES256").is_ok());
    let mut other = whole.clone();
    other[50] = 0x08;
    is_refused(read(&other, "ES256"), "P-256");
    let private = [&[0x30, 0x31], &whole[2..51]].concat();
    is_refused(read(&private, "ES256"), "public half");
    let mut halves = whole.clone();
    *halves.last_mut().unwrap() ^= 1;
    is_refused(read(&halves, "ES256"), "refused");
    for (alg, why) in [("ES384", "P-384"), ("RS256", "RS256"), ("EdDSA", "EdDSA")] {
        is_refused(read(&whole, alg), why);
    }
    for der in [&b""[..], b"\x30", &whole[..60], &[whole.clone(), vec![0]].concat()] {
        assert!(read(der, "ES256").is_err());
    }
}
