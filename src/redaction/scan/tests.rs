//! Tests: the table as the engine takes it.

#![allow(clippy::panic, clippy::unwrap_used)]

use super::super::heads::{GLUED, HEAD, HEADS, LABEL};
use super::super::prefixes;
use super::super::rules::Extent;
use super::super::text::token68;
use super::*;

fn default_literals() -> Vec<&'static str> {
    let searched = rules::all().filter(|rule| prefixes::route(rule) == Route::Literal);
    searched.flat_map(|rule| rule.literals.iter().copied()).collect()
}

#[test]
fn every_pattern_compiles() {
    assert!(HEADS.iter().all(|head| head.regex().is_some()));
}

#[test]
fn no_literal_hides_another() {
    // At one place only the first literal is reported: none may be the start of another.
    let all = default_literals();
    for (a, b) in all.iter().flat_map(|a| all.iter().map(move |b| (a, b))) {
        assert!(a == b || !a.starts_with(b), "{a} starts with {b}");
        assert!(a.len() >= 3, "{a} is too short for the vector search");
    }
}

// The vector search takes 64 literals, the marker's among them. One more, and every text is searched slowly.
// Rows that are long words are not among them.
#[test]
fn the_literals_are_few_enough_for_the_vector_search() {
    let mut all = default_literals();
    all.push("[REDACTED:");
    all.sort_unstable();
    all.dedup();
    assert!(all.len() <= 64, "{} literals: {all:?}", all.len());
    let vectors = cfg!(all(target_arch = "aarch64", target_feature = "neon"));
    #[cfg(target_arch = "x86_64")]
    let vectors = vectors || std::is_x86_feature_detected!("ssse3");
    let engine = Engine::new(&Options::default());
    assert_eq!(engine.is_ok_and(|engine| engine.literals.has_vectors()), vectors);
}

// A stream waits for a byte that ends a token, or for so many bytes: both must say that the head was seen whole.
#[test]
fn no_head_goes_on_over_what_ends_a_token_or_is_longer_than_is_waited_for() {
    for head in HEADS.iter() {
        let rule = head.rule;
        let Ok(hir) =
            regex_syntax::ParserBuilder::new().unicode(false).utf8(false).build().parse(rule.pattern)
        else {
            panic!("{}", rule.name);
        };
        let longest = hir.properties().maximum_len().unwrap_or(usize::MAX);
        match rule.extent {
            Extent::Shape => continue,
            Extent::Pem => assert!(longest < LABEL),
            _ => assert!(longest < HEAD, "{}: {longest}", rule.name),
        }
        let all = |alphabet: fn(u8) -> bool| (0..=255).filter(|b| alphabet(*b)).all(goes_on);
        match rule.extent {
            Extent::Run(alphabet) | Extent::Exactly(alphabet) | Extent::Near { alphabet, .. } => {
                assert!(all(alphabet), "{}", rule.name);
            }
            _ => assert!(all(token68)),
        }
        if head.is_spaced() {
            assert!(matches!(
                ROUTES[HEADS.iter().position(|h| h.rule.name == rule.name).unwrap_or(0)],
                Route::Literal
            ));
        }
    }
    assert!(GLUED.iter().all(|literal| literal.iter().all(|b| goes_on(*b))));
    assert!(prefixes::is_of("a[b-d]{2}", goes_on) && !prefixes::is_of("a(?:b| c)", goes_on));
}

#[test]
fn a_sign_that_is_passed_over_announces_nothing_wherever_a_find_ended_before_it() {
    let engine = Engine::new(&Options::default()).unwrap();
    let pieces = [
        "password",
        "PASSWORD",
        "token",
        "user",
        "micros",
        "pin",
        "m",
        "ss",
        "2",
        "09",
        "_",
        "-",
        ".",
        "$",
        "%",
        "%20",
        "%61",
        "%3D",
        "%6d",
        "\u{1b}[32m",
        "\\u001b[1m",
        "[0]",
        "[]",
        "\"",
        "'",
        " ",
        ":",
        "=",
        "/",
        ",",
        "(",
        "é",
        "x",
        "api",
        "value",
        "name",
        "%6",
        "ame",
        "Key",
    ];
    let mut state = 5u32;
    let mut dice = |sides: usize| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 12) as usize % sides
    };
    let mut passed = 0;
    for _ in 0..6000 {
        let mut text: String = (0..1 + dice(5)).map(|_| pieces[dice(pieces.len())]).collect();
        let at = text.len();
        text += [": hunter22", "=hunter22", ":hunter22", "://a:b@c", ":", "="][dice(6)];
        let whole = Text::whole(text.as_bytes());
        if !engine.announces_nothing(whole, at) {
            continue;
        }
        passed += 1;
        for floor in 0..=at {
            let found = engine.sign(whole, at, floor);
            assert!(matches!(found, Ok(None)), "{text:?} at {at} after {floor}");
            assert!(!text[at..].starts_with("://"), "{text:?} may have a password in a URL");
        }
    }
    assert!(passed > 300, "{passed}");
}
