//! Tokens that are bound to their sender, and the proofs that he is it.

use super::*;
use crate::tokens::confirmation::{Confirmation, digest};
use crate::tokens::possession::{Dpop, Possession, Presented, Refusal};
use crate::tokens::proof::{Fault, Proof, Proofs, Wanted};
use crate::tokens::target::Target;
use crate::tokens::thumbprint;

/// RFC 9449 §7.1, figure 13: the token and its proof.
const TOKEN: &str = "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU";
const PROOF: &str = concat!(
    "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldW",
    "QVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19",
    ".eyJqdGkiOiJlMWozVl9iS2ljOC1MQUVCIiwiaHRtIjoiR0VUIiwiaHR1IjoiaHR0cHM6Ly9yZXNvdXJjZS5leGFtcGxlLm9yZy9wcm90ZWN0ZWRyZXNvdXJjZSIs",
    "ImlhdCI6MTU2MjI2MjYxOCwiYXRoIjoiZlVIeU8ycjJaM0RaNTNFc05yV0JiMHhXWG9hTnk1OUlpS0NBcWtzbVFFbyJ9",
    ".2oW9RP35yRqzhrtNP86L-Ey71EOptxRimPPToA1plemAgR6pxHF8y6-yqyVnmcw6Fy1dqd-jfxSYoMxhAJpLjA"
);
/// RFC 9449 §4.1, figure 2: a proof for the token endpoint, which has no `ath`.
const WITHOUT_TOKEN: &str = concat!(
    "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldW",
    "QVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19",
    ".eyJqdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIjoiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW1wbGUuY29tL3Rva2VuIiwiaWF0IjoxNTYyMjYy",
    "NjE2fQ",
    ".2-GxA6T8lP4vfrg8v-FdWP0A0zdrj8igiMLvqRMUvwnQg4PtFLbdLXiOSsX0x7NVY-FNyJK70nfbV37xRZT3Lg"
);
const JKT: &str = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I";
const URL: &str = "https://resource.example.org/protectedresource";
const MADE: f64 = 1_562_262_618.0;

/// What a check with the standard's values says, but for what *change* makes of them.
fn example(proof: &str, change: impl FnOnce(&mut Values)) -> Result<(), Fault> {
    example_by(&Proofs::new(60), proof, change)
}

fn example_by(proofs: &Proofs, proof: &str, change: impl FnOnce(&mut Values)) -> Result<(), Fault> {
    let mut values = Values { key: JKT, method: "GET", url: URL, token: TOKEN, now: MADE };
    change(&mut values);
    let (key, target) = (digest(values.key).unwrap(), Target::of(values.url));
    let wanted =
        Wanted { key: &key, method: values.method, target: target.as_ref(), token: values.token.as_bytes() };
    proofs.check(&Proof::read(proof)?, &wanted, UnixTime(values.now)).map(|_| ())
}

struct Values {
    key: &'static str,
    method: &'static str,
    url: &'static str,
    token: &'static str,
    now: f64,
}

#[test]
fn the_example_of_the_standard_is_accepted() {
    assert_eq!(b64(crate::crypto::sha256(TOKEN.as_bytes())), "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo");
    assert_eq!(example(PROOF, |_| ()), Ok(()));
    assert_eq!(
        example(PROOF, |values| values.url = "HTTPS://resource.example.org:443/%70rotectedresource?q#f"),
        Ok(())
    );
    assert_eq!(example(PROOF, |values| values.now = MADE + 60.0), Ok(()));
    assert_eq!(example(PROOF, |values| values.now = MADE - 60.0), Ok(()));
    assert_eq!(example(WITHOUT_TOKEN, |_| ()), Err(Fault::Claims));
}

#[test]
fn the_example_is_refused_for_anything_else() {
    for (change, fault) in [
        (
            (|values| values.key = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA") as fn(&mut Values),
            Fault::Thumbprint,
        ),
        (|values| values.method = "POST", Fault::Method),
        (|values| values.method = "get", Fault::Method),
        (|values| values.url = "https://resource.example.org/", Fault::Target),
        (|values| values.url = "no target", Fault::Target),
        (|values| values.token = "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxV", Fault::Token),
        (|values| values.now = MADE + 60.5, Fault::Age),
        (|values| values.now = MADE - 60.5, Fault::Age),
        (|values| values.now = f64::NAN, Fault::Clock),
        (|values| values.now = f64::INFINITY, Fault::Clock),
        (|values| values.now = 0.0, Fault::Clock),
    ] {
        assert_eq!(example(PROOF, change), Err(fault));
    }
}

#[test]
fn any_character_changed_in_a_proof_refuses() {
    let proofs = Proofs::new(60);
    assert_eq!(example_by(&proofs, PROOF, |_| ()), Ok(()));
    for place in 0..PROOF.len() {
        for letter in ["A", "B", "_", ".", ",", "="] {
            if &PROOF[place..=place] != letter {
                let changed = format!("{}{letter}{}", &PROOF[..place], &PROOF[place + 1..]);
                assert!(example_by(&proofs, &changed, |_| ()).is_err(), "{place} {letter}");
            }
        }
    }
    for changed in
        [format!("{PROOF}A"), format!("{PROOF}."), PROOF[1..].to_owned(), PROOF[..PROOF.len() - 1].to_owned()]
    {
        assert!(example(&changed, |_| ()).is_err());
    }
}

/// A proof by *key* with this JWK and these claims, word for word, truly signed.
fn proof(key: &Key, jwk: &str, claims: &str) -> String {
    signed(key, &format!(r#"{{"typ":"dpop+jwt","alg":"{}","jwk":{jwk}}}"#, key.alg()), claims)
}

fn jwk(key: &Key) -> String {
    key.public_jwk().unwrap()
}

fn claims(jti: &str) -> String {
    format!(
        r#"{{"jti":"{jti}","htm":"GET","htu":"{URL}","iat":1800000000,"ath":"{}"}}"#,
        b64(crate::crypto::sha256(TOKEN.as_bytes()))
    )
}

fn checked(proofs: &Proofs, key: &Key, text: &str) -> Result<crate::tokens::proof::Proven, Fault> {
    let own = serde_json::from_str::<serde_json::Value>(&jwk(key)).unwrap();
    let thumbprint = thumbprint::of(own.as_object().unwrap()).unwrap();
    let target = Target::of(URL);
    let wanted = Wanted { key: &thumbprint, method: "GET", target: target.as_ref(), token: TOKEN.as_bytes() };
    proofs.check(&Proof::read(text)?, &wanted, NOW)
}

#[test]
fn a_proof_of_every_asymmetric_algorithm_is_accepted_and_of_no_other() {
    let proofs = Proofs::new(60);
    for key in all_keys() {
        let Some(jwk) = key.public_jwk() else {
            let text = proof(&key, &jwk(&Key::from_pem(P256, "ES256", None, false).unwrap()), &claims("a"));
            assert_eq!(Proof::read(&text).err(), Some(Fault::Algorithm));
            continue;
        };
        for _ in 0..2 {
            checked(&proofs, &key, &proof(&key, &jwk, &claims("a"))).unwrap();
        }
        // The algorithm of the header is the JWK's, and the key's kind is the algorithm's.
        let other = if key.alg() == "PS256" { "RS256" } else { "PS256" };
        let header = format!(r#"{{"typ":"dpop+jwt","alg":"{other}","jwk":{jwk}}}"#);
        assert_eq!(checked(&proofs, &key, &signed(&key, &header, &claims("a"))).err(), Some(Fault::Key));
    }
}

#[test]
fn a_key_that_is_remembered_is_still_asked_what_it_is_for() {
    let proofs = Proofs::new(60);
    let key = Key::from_pem(P256, "ES256", None, false).unwrap();
    checked(&proofs, &key, &proof(&key, &jwk(&key), &claims("a"))).unwrap();
    for (from, to) in
        [("\"sig\"", "\"enc\""), ("\"ES256\"", "\"ES384\""), ("\"use\"", "\"key_ops\":[\"encrypt\"],\"use\"")]
    {
        let text = proof(&key, &jwk(&key).replacen(from, to, 1), &claims("a"));
        assert_eq!(checked(&proofs, &key, &text).err(), Some(Fault::Key), "{to}");
    }
}

#[test]
fn a_proof_is_named_by_its_key_and_its_jti_together() {
    let proofs = Proofs::new(60);
    let (one, other) = (
        Key::from_pem(P256, "ES256", None, false).unwrap(),
        Key::from_pem(ED25519, "EdDSA", None, false).unwrap(),
    );
    let id =
        |key: &Key, jti: &str| *checked(&proofs, key, &proof(key, &jwk(key), &claims(jti))).unwrap().id();
    assert_eq!(id(&one, "a"), id(&one, "a"));
    assert_ne!(id(&one, "a"), id(&one, "b"));
    assert_ne!(id(&one, "a"), id(&other, "a"));
    // Escapes are ways to write one jti, not several.
    assert_eq!(id(&one, "a"), id(&one, "\\u0061"));
}

const CNF: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

fn bound(cnf: &str) -> Result<Verified, TokenError> {
    judge(&format!(r#"{{"sub":"ada","exp":1800000060,"cnf":{cnf}}}"#))
}

#[test]
fn a_confirmation_is_understood_or_refuses() {
    let zero = Some([0; 32]);
    for (cnf, expected) in [
        (format!(r#"{{"jkt":"{CNF}"}}"#), Confirmation { key: zero, certificate: None }),
        (format!(r#"{{"x5t#S256":"{CNF}"}}"#), Confirmation { key: None, certificate: zero }),
        (format!(r#"{{"x5t#S256":"{CNF}","jkt":"{CNF}"}}"#), Confirmation { key: zero, certificate: zero }),
    ] {
        assert_eq!(bound(&cnf).unwrap().claims().confirmation.as_deref(), Some(&expected));
    }
    for cnf in [
        "null".into(),
        "{}".into(),
        "[]".into(),
        "true".into(),
        "1".into(),
        format!("\"{CNF}\""),
        format!(r#"["{CNF}"]"#),
        r#"{"jkt":null}"#.into(),
        r#"{"jkt":""}"#.into(),
        format!(r#"{{"jkt":["{CNF}"]}}"#),
        format!(r#"{{"jkt":{{"a":"{CNF}"}}}}"#),
        format!(r#"{{"jkt":"{CNF}","jkt":"{CNF}"}}"#),
        format!(r#"{{"jkt":"{CNF}","\u006akt":"{CNF}"}}"#),
        format!(r#"{{"jkt":"{CNF}A"}}"#),
        format!(r#"{{"jkt":"{CNF}="}}"#),
        format!(r#"{{"jkt":"{}B"}}"#, &CNF[1..]),
        format!(r#"{{"jkt":"{CNF}","kid":"a"}}"#),
        format!(r#"{{"JKT":"{CNF}"}}"#),
        format!(r#"{{"x5t#s256":"{CNF}"}}"#),
        r#"{"jwk":{"kty":"EC"}}"#.into(),
        r#"{"jku":"https://a/"}"#.into(),
    ] {
        refused(bound(&cnf), Reason::Claims);
    }
}

#[test]
fn a_bound_token_is_no_bearer_token_also_when_it_was_seen_before() {
    let key = hs256();
    let verifier = verifier(&key, Rules::default());
    let claims = format!(r#"{{"sub":"ada","exp":1800000060,"cnf":{{"jkt":"{CNF}"}}}}"#);
    let token = signed(&key, r#"{"alg":"HS256"}"#, &claims);
    for _ in 0..3 {
        refused(verifier.verify(token.as_bytes(), NOW).and_then(Verified::bearer), Reason::Bound);
    }
    let plain = signed(&key, r#"{"alg":"HS256"}"#, GOOD);
    assert!(verifier.verify(plain.as_bytes(), NOW).and_then(Verified::bearer).is_ok());
}

#[test]
fn the_table_of_who_may_present_what_holds() {
    let tokens = [
        judge(GOOD).unwrap(),
        bound(&format!(r#"{{"jkt":"{CNF}"}}"#)).unwrap(),
        bound(&format!(r#"{{"x5t#S256":"{CNF}"}}"#)).unwrap(),
        bound(&format!(r#"{{"x5t#S256":"{CNF}","jkt":"{CNF}"}}"#)).unwrap(),
    ];
    // For each token: whether it is taken as Bearer, or with more to show, and whether as DPoP.
    let expect = |dpop, certificates, bearer: [&str; 4], proven: [bool; 4]| {
        let possession = Possession::new(dpop, certificates, 60);
        for (n, token) in tokens.iter().enumerate() {
            let found = match possession.bearer(token.clone()) {
                Ok(Presented::Held(_)) => "held",
                Ok(Presented::Pending(_)) => "pending",
                Err(_) => "refused",
            };
            assert_eq!(found, bearer[n], "{dpop:?} {certificates} {n}");
            assert_eq!(possession.key(token).is_ok(), proven[n], "{dpop:?} {certificates} {n}");
        }
    };
    expect(Dpop::Off, false, ["held", "refused", "refused", "refused"], [false; 4]);
    expect(Dpop::Off, true, ["held", "refused", "pending", "refused"], [false; 4]);
    expect(Dpop::Allowed, false, ["held", "refused", "refused", "refused"], [false, true, false, false]);
    expect(Dpop::Allowed, true, ["held", "refused", "pending", "refused"], [false, true, false, true]);
    expect(Dpop::Required, false, ["refused"; 4], [false, true, false, false]);
    expect(Dpop::Required, true, ["refused"; 4], [false, true, false, true]);
}

#[test]
fn a_proof_of_one_key_admits_no_token_of_another() {
    let proofs = Proofs::new(60);
    let key = Key::from_pem(P256, "ES256", None, false).unwrap();
    let proven = checked(&proofs, &key, &proof(&key, &jwk(&key), &claims("a"))).unwrap();
    let possession = Possession::new(Dpop::Allowed, false, 60);
    let token = bound(&format!(r#"{{"jkt":"{CNF}"}}"#)).unwrap();
    let refusal = possession.proven(token, proven).err();
    assert_eq!(refusal, Some(Refusal::Proof(Fault::Thumbprint)));
    assert_eq!(refusal.map(Refusal::code), Some("proof.invalid"));
}

#[test]
fn the_certificate_that_a_token_names_admits_and_no_other() {
    let der = b"a certificate";
    let token = bound(&format!(r#"{{"x5t#S256":"{}"}}"#, b64(crate::crypto::sha256(der)))).unwrap();
    let Ok(Presented::Pending(pending)) = Possession::new(Dpop::Off, true, 60).bearer(token) else {
        panic!("it needs a certificate")
    };
    assert!(pending.needs_certificate() && pending.proof().is_none());
    assert!(pending.admit(Some(der)).is_ok());
    for other in [None, Some(&b"another"[..]), Some(b"")] {
        assert_eq!(pending.admit(other).err().map(Refusal::reason), Some("certificate"));
    }
}
