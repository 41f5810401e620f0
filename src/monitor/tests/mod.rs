//! What the room promises: thresholds, estimates, what was learned, floods, kills, and what nobody can bring about.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::atomic::AtomicU64;

use super::*;

mod again;
mod baseline;
mod engine;
mod floods;
mod late;
mod marks;
mod observation;
mod sent;
mod shares;
mod threads;

fn table(bytes: u64) -> (Layout, Vec<AtomicU64>) {
    let layout = Layout::within(bytes).unwrap();
    let words = std::iter::repeat_with(AtomicU64::default).take(layout.words()).collect();
    (layout, words)
}

fn keys() -> Keys {
    Keys::new([7; 16])
}

fn rule(name: &str, counts: Signs, by: Subject, measure: Measure, threshold: u64, window: u32) -> Rule {
    Rule {
        name: name.into(),
        counts,
        among: Signs(0),
        by,
        measure,
        threshold,
        window,
        share: 0.0,
        alone: 0,
        deviations: 6.0,
        learned: 48,
        answer: Answer::Log,
    }
}

/// What is found of one subject alone.
fn finding(rule: usize, subject: Subject, count: u64) -> Finding {
    Finding { rule, subject, count, is_shared: false, is_crossing: false, is_again: false }
}

/// A request of an address, at a second.
fn request(address: u32, at: u64, signs: Signs) -> Observation {
    let address = address.to_be_bytes();
    let known = Known { address: &address, ..Known::default() };
    keys().observe(&known, at, NOON + at, Signs::REQUEST.with(signs), 100)
}

/// 2026-11-23, a Monday, 00:00 UTC.
const NOON: u64 = 1_795_392_000;

struct Trial {
    engine: Engine,
    words: Vec<AtomicU64>,
}

impl Trial {
    fn of(rules: Vec<Rule>) -> Self {
        let (layout, words) = table(1 << 20);
        Self { engine: Engine::new(layout, rules, &keys()).unwrap(), words }
    }

    fn fold(&self, seen: &Observation) -> Vec<Finding> {
        let mut found = vec![];
        self.engine.fold(&self.words, seen, &mut |finding| found.push(finding));
        found
    }
}
