use super::*;

const OF_NONE: Outcome = Outcome { status: 0, has_route: false, login: None, has_credential: false };

fn signs(status: u16, codes: &[&str]) -> u32 {
    Signs::of(&Outcome { status, has_route: true, ..OF_NONE }, codes.iter().copied()).0 & !Signs::REQUEST.0
}

#[test]
fn a_refusal_is_told_by_its_code_and_the_apps_own_word_by_its_status() {
    let refused = |sign: Signs| sign.with(Signs::CLIENT_ERROR).0;
    assert_eq!(signs(200, &[]), Signs::READ.0);
    assert_eq!(signs(401, &["token.invalid"]), Signs::AUTHENTICATION_FAILED.0);
    assert_eq!(signs(401, &[]), 0, "a session that is over is no guess");
    assert_eq!(signs(401, &["auth.missing"]), 0, "who says nothing guesses nothing");
    assert_eq!(signs(401, &["token.expired"]), 0, "nor does who was away");
    assert_eq!(signs(422, &["body.invalid"]), refused(Signs::INVALID));
    assert_eq!(signs(400, &["json.malformed"]), refused(Signs::INVALID));
    assert_eq!(signs(403, &["auth.scope"]), refused(Signs::FORBIDDEN));
    assert_eq!(signs(403, &["auth.policy"]), refused(Signs::OBJECT_REFUSED));
    assert_eq!(signs(404, &[]), refused(Signs::OBJECT_REFUSED));
    assert_eq!(signs(429, &["limit.exceeded"]), Signs::LIMITED.0);
    assert_eq!(signs(500, &["response.invalid"]), Signs::SERVER_ERROR.0);
    assert_eq!(signs(503, &["store.unavailable"]), Signs::SERVER_ERROR.0);
}

#[test]
fn a_401_of_the_apps_own_refused_what_was_sent_if_anything_was() {
    let sent = Outcome { status: 401, has_route: true, has_credential: true, ..OF_NONE };
    assert!(Signs::of(&sent, []).meets(Signs::AUTHENTICATION_FAILED));
    assert!(!Signs::of(&sent, ["token.expired"]).meets(Signs::AUTHENTICATION_FAILED));
    assert!(!Signs::of(&Outcome { has_credential: false, ..sent }, []).meets(Signs::AUTHENTICATION_FAILED));
}

#[test]
fn a_path_without_a_route_is_not_an_object_that_is_missing() {
    let found = Signs::of(&Outcome { status: 404, has_route: false, ..OF_NONE }, []);
    assert!(found.meets(Signs::NOT_FOUND) && !found.meets(Signs::OBJECT_REFUSED));
}

#[test]
fn a_login_that_failed_is_counted_as_one_and_as_nothing_else() {
    let found =
        Signs::of(&Outcome { status: 401, has_route: true, login: Some(false), has_credential: true }, []);
    assert!(found.meets(Signs::LOGIN) && found.meets(Signs::LOGIN_FAILED));
    assert!(!found.meets(Signs::AUTHENTICATION_FAILED));
    let found = Signs::of(&Outcome { status: 200, has_route: true, login: Some(true), ..OF_NONE }, []);
    assert!(found.meets(Signs::LOGIN) && !found.meets(Signs::LOGIN_FAILED));
}

#[test]
fn a_network_is_a_24_of_ipv4_and_the_clients_prefix_of_ipv6() {
    let of = |address: &[u8]| keys().observe(&Known { address, ..Known::default() }, 0, 0, Signs(1), 0);
    assert_eq!(of(&[10, 1, 2, 3]).network, of(&[10, 1, 2, 4]).network);
    assert_ne!(of(&[10, 1, 2, 3]).address, of(&[10, 1, 2, 4]).address);
    assert_ne!(of(&[10, 1, 2, 3]).network, of(&[10, 1, 3, 3]).network);
    assert!(of(&[9; 16]).is_v6);
    assert_eq!((of(&[]).address, of(&[]).network), (0, 0));
}
