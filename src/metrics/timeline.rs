//! Requests, refusals and errors of the last hour, in steps of five seconds.
//!
//! A word is the number of its step in the upper half and a count in the lower. Whoever comes first in a new step swaps the old
//! count for 1, so a step is begun anew and counted in one operation, and none is lost to a race.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::layout::{STEP_WORDS, STEPS, TIMELINE};

/// Seconds of a step.
pub const STEP: u64 = 5;

/// What came in one step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// Seconds since 1970 at which it began.
    pub begins: u64,
    /// All that ended in it.
    pub requests: u32,
    /// Those that were refused, by a code of ours.
    pub refused: u32,
    /// Those that were answered with a status of the 5xx.
    pub failed: u32,
}

/// Counts a request that ended at `unix` seconds.
pub(super) fn count(words: &[AtomicU64], unix: f64, refused: bool, failed: bool) {
    let step = unix.max(0.0) as u64 / STEP;
    let at = place(step);
    for (offset, counts) in [true, refused, failed].into_iter().enumerate() {
        if counts && let Some(word) = words.get(at + offset) {
            add(word, step);
        }
    }
}

fn add(word: &AtomicU64, step: u64) {
    let mut seen = word.load(Relaxed);
    loop {
        let count = if seen >> 32 == step & LOW { (seen & LOW).saturating_add(1).min(LOW) } else { 1 };
        match word.compare_exchange_weak(seen, (step & LOW) << 32 | count, Relaxed, Relaxed) {
            Ok(_) => return,
            Err(other) => seen = other,
        }
    }
}

/// The steps up to now, oldest first; the last is still under way.
pub(super) fn read(words: &[AtomicU64], unix: f64) -> Vec<Step> {
    let now = unix.max(0.0) as u64 / STEP;
    let first = (now + 1).saturating_sub(STEPS as u64);
    let count = |step: u64, offset: usize| {
        let word = words.get(place(step) + offset).map_or(0, |word| word.load(Relaxed));
        if word >> 32 == step & LOW { word as u32 } else { 0 }
    };
    (first..=now)
        .map(|step| Step {
            begins: step * STEP,
            requests: count(step, 0),
            refused: count(step, 1),
            failed: count(step, 2),
        })
        .collect()
}

fn place(step: u64) -> usize {
    TIMELINE + (step % STEPS as u64) as usize * STEP_WORDS
}

const LOW: u64 = u32::MAX as u64;
