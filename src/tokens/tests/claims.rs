//! Claims of the wrong type, in the wrong place, or twice. All of them truly signed.

use super::*;

/// What stands in for a value, and whether it is a string, a number in range, a list of strings.
const VALUES: [(&str, &[Kind]); 16] = [
    (r#""word""#, &[Kind::Text]),
    ("1800000000", &[Kind::Date]),
    ("1800000000.5", &[Kind::Date]),
    ("true", &[]),
    ("false", &[]),
    ("null", &[]),
    ("[]", &[Kind::List]),
    (r#"["word"]"#, &[Kind::List]),
    (r#"["word",1]"#, &[]),
    ("{}", &[]),
    ("1e400", &[]),
    ("-1", &[]),
    ("9223372036854775808", &[]),
    ("9007199254740993", &[]),
    (r#""1800000000""#, &[Kind::Text]),
    ("NaN", &[]),
];

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Date,
    List,
    Text,
}

#[test]
fn a_claim_of_the_wrong_type_refuses_the_token_and_is_never_taken_for_absent() {
    // CVE-2026-25537 (a string nbf counted as absent), CVE-2026-75509 (a list as iss), CVE-2020-26160 (aud)
    use Kind::{Date, List, Text};
    let claims: [(&str, &[Kind]); 10] = [
        ("iss", &[Text]),
        ("sub", &[Text]),
        ("aud", &[Text, List]),
        ("jti", &[Text]),
        ("exp", &[Date]),
        ("nbf", &[Date]),
        ("iat", &[Date]),
        ("auth_time", &[Date]),
        ("scope", &[Text, List]),
        ("roles", &[Text, List]),
    ];
    for (claim, accepted) in claims {
        for (value, kinds) in VALUES {
            let rules = Rules {
                require_exp: false,
                audiences: if claim == "aud" { strings(&["word", "1800000000"]) } else { vec![] },
                ..Rules::default()
            };
            let verdict = judge_with(rules, &format!(r#"{{"{claim}":{value}}}"#));
            if kinds.iter().any(|kind| accepted.contains(kind)) {
                let empty = (claim, value) == ("aud", "[]");
                assert_eq!(
                    verdict.err(),
                    empty.then_some(TokenError::Invalid(Reason::Audience)),
                    "{claim} {value}"
                );
            } else {
                assert_eq!(verdict.err(), Some(TokenError::Invalid(Reason::Claims)), "{claim} {value}");
            }
        }
    }
}

#[test]
fn claims_are_one_strict_object() {
    let exp = r#""exp":1800000060"#;
    for claims in [
        r#"[1800000060,null,"ada","iss","aud"]"#.to_owned(), // a serde struct reads an array
        "\"text\"".to_owned(),
        "null".to_owned(),
        String::new(),
        format!("{{{exp}}} {{}}"),
        format!("{{{exp},{exp}}}"),
        format!(r#"{{{exp},"\u0065xp":9}}"#),
        format!(r#"{{{exp},"role":"user","role":"admin"}}"#),
        format!(r#"{{{exp},"a":{{"b":[{{"c":1,"c":2}}]}}}}"#),
        format!(r#"{{{exp},"realm_access":{{"roles":[],"roles":["admin"]}}}}"#),
        format!(r#"{{{exp},"a":{}{}}}"#, "[".repeat(32), "]".repeat(32)), // CVE-2025-53864
        format!(r#"{{{exp},"a":{}{}}}"#, "[".repeat(5000), "]".repeat(5000)),
        format!(r#"{{{exp},"a":"\ud800"}}"#),
        format!("\u{feff}{{{exp}}}"),
    ] {
        refused(judge(&claims), Reason::Claims);
        let rules = Rules { roles_claims: strings(&["realm_access.roles"]), ..Rules::default() };
        refused(judge_with(rules, &claims), Reason::Claims);
    }
    assert!(judge(&format!(r#"{{{exp},"a":{}{}}}"#, "[".repeat(31), "]".repeat(31))).is_ok());
    let key = hs256();
    let token =
        signed_parts(&key, &b64(r#"{"alg":"HS256"}"#), &b64(b"{\"exp\":1800000060,\"sub\":\"\xff\"}"));
    refused(verifier(&key, Rules::default()).verify(token.as_bytes(), NOW), Reason::Claims);
}

#[test]
fn a_date_reaches_to_two_to_the_53_and_no_further() {
    for (exp, held) in [
        ("9007199254740992", true),
        ("9007199254740993", false),
        ("9007199254740992.0", false),
        ("1e15", true),
        ("-0.0", false),
        ("1e300", false),
    ] {
        let verdict = judge(&format!(r#"{{"exp":{exp}}}"#));
        assert_eq!(verdict.is_ok(), held, "{exp}");
    }
}

#[track_caller]
fn named(rules: Rules, claims: &str) -> (Vec<String>, Vec<String>) {
    let rules = Rules { require_exp: false, ..rules };
    let verified = judge_with(rules, claims).unwrap();
    let list = |names: &[Box<str>]| names.iter().map(|name| name.to_string()).collect();
    (list(&verified.claims().scopes), list(&verified.claims().roles))
}

#[test]
fn scopes_are_words_or_a_list_and_roles_a_list_or_one() {
    let (scopes, roles) =
        named(Rules::default(), r#"{"scope":" read  write ","scp":["a b","","c"],"roles":"Global Admin"}"#);
    assert_eq!(scopes, ["read", "write", "a b", "c"]);
    assert_eq!(roles, ["Global Admin"]);
    let (scopes, roles) = named(Rules::default(), r#"{"scope":"","roles":["","x","x"]}"#);
    assert!(scopes.is_empty());
    assert_eq!(roles, ["x", "x"]);
}

#[test]
fn roles_are_found_by_name_by_path_and_by_pointer() {
    let at = |paths: &[&str]| Rules { roles_claims: strings(paths), ..Rules::default() };
    let keycloak = r#"{"realm_access":{"x":1,"roles":["a"],"y":[{}]},"resource_access":{"my.app":{"roles":["b"]},"other":{"roles":["c"]}}}"#;
    assert_eq!(named(at(&["realm_access.roles"]), keycloak).1, ["a"]);
    assert_eq!(named(at(&["realm_access.roles", "/resource_access/my.app/roles"]), keycloak).1, ["a", "b"]);
    assert_eq!(named(at(&["resource_access.other.roles"]), keycloak).1, ["c"]);
    assert!(named(at(&["roles"]), keycloak).1.is_empty());
    assert_eq!(
        named(at(&["https://app.example.com/roles"]), r#"{"https://app.example.com/roles":["a"]}"#).1,
        ["a"]
    );
    assert_eq!(named(at(&["/a~1b/c~0d"]), r#"{"a/b":{"c~d":"x"}}"#).1, ["x"]);
    // A nested member of the same name is not the claim.
    assert!(
        named(at(&["roles"]), r#"{"user":{"roles":["admin"]},"list":[{"roles":["admin"]}]}"#).1.is_empty()
    );
    // The registered claims are read at the top alone.
    assert!(named(at(&["a.roles"]), r#"{"a":{"iss":7,"exp":"x","roles":[]}}"#).1.is_empty());
    for wrong in [
        r#"{"realm_access":"admin"}"#,
        r#"{"realm_access":["roles"]}"#,
        r#"{"realm_access":null}"#,
        r#"{"realm_access":{"roles":{"admin":true}}}"#,
    ] {
        let rules = Rules { require_exp: false, ..at(&["realm_access.roles"]) };
        refused(judge_with(rules, wrong), Reason::Claims);
    }
}

#[test]
fn the_same_claim_may_give_scopes_and_roles() {
    let rules = Rules { roles_claims: strings(&["scope"]), ..Rules::default() };
    assert_eq!(named(rules, r#"{"scope":["a"]}"#), (strings(&["a"]), strings(&["a"])));
}

#[test]
fn a_place_that_cannot_be_is_refused_at_start_up() {
    let many: Vec<_> = (0..17).map(|n| format!("r{n}")).collect();
    let long = "a.".repeat(9);
    for place in ["", "sub", "exp", "aud.x", "/iss", &long, &"x".repeat(257)] {
        for rules in [
            Rules { roles_claims: strings(&[place]), ..Rules::default() },
            Rules { scopes_claims: strings(&["scope", place]), ..Rules::default() },
        ] {
            assert!(Verifier::new(Keyring::new(vec![hs256()]).unwrap(), rules).is_err(), "{place}");
        }
    }
    assert!(
        Verifier::new(Keyring::new(vec![hs256()]).unwrap(), Rules { roles_claims: many, ..Rules::default() })
            .is_err()
    );
}

#[test]
fn a_subject_is_a_whole_number_only_where_the_rules_say_so_and_is_then_its_digits() {
    for (value, subject) in [
        ("7", Some("7")),
        ("-7", Some("-7")),
        (r#""7""#, Some("7")),
        ("18446744073709551615", Some("18446744073709551615")),
        ("7.0", None),
        ("1e3", None),
        ("-0", None),
        ("18446744073709551616", None),
        ("true", None),
        ("null", None),
        ("[7]", None),
        ("{}", None),
    ] {
        let claims = format!(r#"{{"sub":{value}}}"#);
        let rules = |numeric_subject| Rules { require_exp: false, numeric_subject, ..Rules::default() };
        let found = judge_with(rules(true), &claims);
        assert_eq!(found.as_ref().ok().and_then(|held| held.claims().subject.as_deref()), subject, "{value}");
        assert_eq!(judge_with(rules(false), &claims).is_ok(), value.starts_with('"'), "{value}");
        let key = hs256();
        assert_eq!(key.sign_for(&claims, "JWT", true).is_ok(), subject.is_some(), "{value}");
        assert_eq!(key.sign(&claims, "JWT").is_ok(), value.starts_with('"'), "{value}");
    }
}
