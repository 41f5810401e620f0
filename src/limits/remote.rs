//! What a store elsewhere is told, so that it counts by the same rules, and what it says.
//!
//! It counts in ticks of 1/16 microsecond since the second 1760000000, by its own clock: whole numbers that a double holds exactly until 2043. Intervals are
//! rounded *up* to ticks, so rounding never admits more. The arithmetic itself is where the counters are: in Redis, a script.

use crate::error::ConfigError;

use super::SECOND;
use super::gcra::Outcome;
use super::quota::{Quota, Rule};
use super::spot::Now;
use super::window::{Almanac, Window};

/// What one limit is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// The entry that the limit is of.
    pub entry: usize,
    /// The counter.
    pub name: u128,
    /// Cells.
    pub cost: u32,
    /// How it counts.
    pub rule: Told,
}

/// How a limit counts, in the store's units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// By GCRA.
    Rate {
        /// Ticks for a cell, rounded up.
        interval: u64,
        /// Cells at once.
        burst: u32,
    },
    /// By the host's clock; the store's decides which window it is.
    Fixed {
        /// Cells.
        limit: u32,
        /// The window of the calendar.
        window: Window,
    },
    /// By two windows.
    Sliding {
        /// Cells.
        limit: u32,
        /// In ticks.
        period: u64,
    },
    /// So many at once.
    Concurrent {
        /// At once.
        limit: u32,
    },
}

/// What one limit says.
#[derive(Debug, Clone, Copy)]
pub struct Answer {
    /// Cells left.
    pub remaining: u32,
    /// Microseconds until its counter is full.
    pub reset: u64,
    /// Microseconds until the same request would pass: 0 if it does, none if it never will.
    pub wait: Option<u64>,
}

impl Answer {
    pub(crate) fn outcome(&self) -> Outcome {
        let nanos = |micros: u64| micros.saturating_mul(1000);
        Outcome {
            admitted: self.wait == Some(0),
            remaining: self.remaining,
            reset: nanos(self.reset),
            wait: nanos(self.wait.unwrap_or(self.reset.max(1_000_000))),
            never: self.wait.is_none(),
            ..Outcome::NOTHING
        }
    }
}

/// Says a quota's rule in the store's units.
pub(crate) fn rule(quota: &Quota, almanac: Option<&dyn Almanac>, now: Now) -> Result<Told, ConfigError> {
    match (timeless(quota), quota.rule()) {
        (Some(told), _) => Ok(told),
        (None, Rule::Fixed(span)) => {
            Ok(Told::Fixed { limit: quota.count(), window: super::spot::window(quota, span, almanac, now)? })
        }
        (None, _) => Err(ConfigError::new("a quota is a rate, a window or a number in progress")),
    }
}

/// The same of a quota that says it at any time.
pub(crate) fn timeless(quota: &Quota) -> Option<Told> {
    match quota.rule() {
        Rule::Rate => Some(Told::Rate {
            interval: ticks(quota.period()).div_ceil(u128::from(quota.count())) as u64,
            burst: quota.burst(),
        }),
        Rule::Sliding => Some(Told::Sliding { limit: quota.count(), period: ticks(quota.period()) as u64 }),
        Rule::Concurrent => Some(Told::Concurrent { limit: quota.count() }),
        Rule::Fixed(_) => None,
    }
}

fn ticks(nanos: u64) -> u128 {
    (u128::from(nanos) * TICKS).div_ceil(u128::from(SECOND))
}

/// In a second.
const TICKS: u128 = 16_000_000;
