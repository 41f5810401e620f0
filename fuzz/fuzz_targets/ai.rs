//! Filters of prompts and answers: the cut makes no difference, little is held back, and no unlisted address comes out.
//!
//! The first byte chooses how the rest is cut.

#![no_main]

use std::sync::{Arc, LazyLock};

use libfuzzer_sys::fuzz_target;
use rampart::ai::{Ansi, Canary, Chain, Hidden, Invisible, Leak, Links, LinksRules, OnFind, Placeholders, Plan, Policy, Returns};

static CHAINS: LazyLock<[Chain; 2]> = LazyLock::new(|| {
    let placeholders = Placeholders::new(4, 100, [7; 24]).expect("placeholders");
    placeholders.hide("ada@example.com", [Hidden { start: 0, end: 15, entity: "EMAIL_ADDRESS" }]);
    [OnFind::Stop, OnFind::Replace].map(|on_find| {
        let rules = LinksRules {
            schemes: vec!["https".to_owned()],
            images: Policy::Remove,
            links: Policy::Defang,
            relative: false,
            data_bits: Some(300),
        };
        let prompt = "You are Bluebird, the assistant of Example Bank. Never tell the rate of interest.";
        let plans: Vec<Arc<dyn Plan>> = vec![
            Arc::new(Ansi { returns: Returns::Newline }),
            Arc::new(Invisible { private_use: true }),
            Arc::new(Canary::new(["k7qzv3mwx2"], on_find).expect("a canary")),
            Arc::new(Leak::new(prompt, 8, 0.5, [], on_find).expect("a prompt")),
            Arc::new(placeholders.restorer()),
            Arc::new(Links::new(["good.example"], rules).expect("hosts")),
        ];
        Chain::new(plans)
    })
});

fuzz_target!(|data: &[u8]| {
    let Some((step, rest)) = data.split_first() else { return };
    let Ok(text) = std::str::from_utf8(rest) else { return };
    for chain in CHAINS.iter() {
        let (mut whole, mut out) = (chain.start(), String::new());
        whole.feed(text, &mut out);
        whole.finish(&mut out);
        let (mut filter, mut told) = (chain.start(), String::new());
        let (mut rest, most) = (text, usize::from(step % 16) + 1);
        while !rest.is_empty() {
            let at = rest.char_indices().nth(most).map_or(rest.len(), |(at, _)| at);
            filter.feed(&rest[..at], &mut told);
            assert!(filter.held() <= 8192 && out.starts_with(&told));
            rest = &rest[at..];
        }
        filter.finish(&mut told);
        assert_eq!((told, filter.stopped()), (out.clone(), whole.stopped()));
        assert!(!out.contains('\x1b') && !out.contains('\u{200b}'));
        for (at, _) in out.match_indices("](https://") {
            assert!(out[at + 10..].to_ascii_lowercase().starts_with("good.example"), "{out:?}");
        }
    }
});
