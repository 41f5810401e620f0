//! Counts in windows: those of the calendar (`fixed`), and the period that ends now (`sliding`).
//!
//! A window's counter is one word of the table, made to look like an instant, since that is all a table knows: the upper half is when the counter may
//! be forgotten, in units of 2^32 ns (4.3 s) and rounded up, the lower half is how many cells were spent. As long as it is remembered, it is
//! in the future.
//!
//! 1. **Fixed**: each window has a counter of its own, whose name has the window's beginning in it. So nothing is reset at midnight, and
//!    workers whose clocks differ by a second still count in the same counters.
//! 2. **Sliding**: two counters, this window's and the last one's. The last one counts for the part of it that the period still covers, rounded up: the
//!    estimate assumes that its cells were spent evenly. Windows begin at multiples of the period since boot.
//! 3. **A clock that is set back** makes a window longer than it was when the counter was named, so a counter of the calendar is kept for
//!    its period longer, an hour at most. Set back by more than that, what was spent is forgotten.
//! 4. **Overflow**: a counter that is shared with other keys outlives its window for as long as it is charged. Too strict, never too lax.
//!
//! Where a window of the calendar begins is not decided here: that takes time zones ([`Almanac`]).

use crate::error::ConfigError;

use super::counters::{Counters, Moment, OVER};
use super::gcra::Outcome;
use super::key::CounterKey;
use super::quota::Span;
use super::reservation::Piece;
use super::{LONGEST, SECOND};

/// A window of the calendar, in seconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Its first second.
    pub start: u64,
    /// The first second after it.
    pub end: u64,
    /// The end of the window after it.
    pub next_end: u64,
}

impl Window {
    /// Whether it can be right: it has this second in it, and ends within two of its nominal periods.
    pub(crate) fn is_right(&self, unix: u64, period: u64) -> bool {
        self.start <= unix
            && unix < self.end
            && self.end < self.next_end
            && self.end - unix <= 2 * (period / SECOND).max(1)
    }
}

/// Knows when windows of the calendar begin: the rules of time zones.
pub trait Almanac: Send + Sync {
    /// The window of `span` that has the second `unix` in it.
    fn window(&self, span: &Span, unix: u64) -> Result<Window, ConfigError>;
}

/// A counter in a window: how much may be spent, and for how long it counts.
#[derive(Clone, Copy)]
pub(crate) struct Tally {
    pub limit: u32,
    /// Nanoseconds from now to the window's end.
    pub left: u64,
    /// In nanoseconds. Of a window of the calendar, about.
    pub period: u64,
    /// Nanoseconds that it counts after the window's end.
    after: u64,
    /// Nanoseconds that it is kept beyond that.
    spare: u64,
}

impl Tally {
    /// Of the window that ends with the period that `now` is in, counted from boot; and the number of that window.
    pub fn sliding(limit: u32, period: u64, now: u64) -> (Self, u64) {
        // It counts through the next window as well.
        (Self { limit, left: period - now % period, period, after: period, spare: 0 }, now / period)
    }

    /// Of a window of the calendar that ends in `left` nanoseconds, by a clock that may be set back meanwhile.
    pub fn fixed(limit: u32, period: u64, left: u64) -> Self {
        Self { limit, left, period, after: 0, spare: period.min(3600 * SECOND) }
    }

    /// When it does not count any more.
    fn over(&self, now: u64) -> u64 {
        now + self.left + self.after
    }

    fn moment(&self, now: u64) -> Moment {
        // Far enough that what a store shows when it gives up is no counter of ours.
        let fill = self.period.saturating_mul(4).saturating_add(SLACK).min(LONGEST);
        Moment { spare: self.spare, ..Moment::new(now, fill) }
    }

    fn spent(&self, word: Option<u64>, now: u64) -> u32 {
        match word {
            Some(word) if word > now => {
                let given_up = now + self.period.saturating_mul(3).saturating_add(SLACK / 2);
                if word > given_up { u32::MAX } else { word as u32 }
            }
            _ => 0,
        }
    }

    /// The word for `spent` cells, to be kept as long as it counts, or as long as `old` was to be.
    fn word(&self, spent: u32, now: u64, old: Option<u64>) -> u64 {
        let until = (((self.over(now) + self.spare) >> HALF) + 1).max(old.unwrap_or(0) >> HALF);
        until << HALF | u64::from(spent)
    }
}

/// Spends `cost` cells of a window of the calendar, if they are there; otherwise changes nothing.
pub(crate) fn charge_fixed<C: Counters>(
    counters: &C,
    key: &CounterKey,
    tally: Tally,
    cost: u32,
    now: u64,
) -> Outcome {
    let decide = |word: Option<u64>| {
        let spent = tally.spent(word, now);
        match spent.checked_add(cost).filter(|&sum| sum <= tally.limit) {
            Some(sum) => Ok((sum, tally.word(sum, now, word))),
            None => Err(spent),
        }
    };
    match counters.measure_and_replace(key, tally.moment(now), &decide) {
        Ok((spent, place)) => Outcome { place, paid: tally.over(now), ..fixed(tally, spent, true) },
        Err(spent) => Outcome { wait: tally.left, ..fixed(tally, spent, false) },
    }
}

/// What [`charge_fixed`] would say, spending nothing.
pub(crate) fn peek_fixed<C: Counters>(
    counters: &C,
    key: &CounterKey,
    tally: Tally,
    cost: u32,
    now: u64,
) -> Outcome {
    let spent = tally.spent(counters.read(key, tally.moment(now)), now);
    let admitted = spent.checked_add(cost).is_some_and(|sum| sum <= tally.limit);
    Outcome { wait: if admitted { 0 } else { tally.left }, ..fixed(tally, spent, admitted) }
}

fn fixed(tally: Tally, spent: u32, admitted: bool) -> Outcome {
    let reset = if spent == 0 { 0 } else { tally.left };
    Outcome { admitted, remaining: tally.limit.saturating_sub(spent), reset, ..Outcome::NOTHING }
}

/// Spends `cost` cells of the period that ends now, if they are there; otherwise changes nothing.
pub(crate) fn charge_sliding<C: Counters>(
    counters: &C,
    keys: [&CounterKey; 2],
    tally: Tally,
    cost: u32,
    now: u64,
) -> Outcome {
    let [current, last] = keys;
    let before = last_spent(counters, last, tally, now);
    let decide = |word: Option<u64>| {
        let spent = tally.spent(word, now);
        let sum = spent.checked_add(cost).ok_or(spent)?;
        if weighted(tally, before).saturating_add(u64::from(sum)) > u64::from(tally.limit) {
            return Err(spent);
        }
        Ok((sum, tally.word(sum, now, word)))
    };
    match counters.measure_and_replace(current, tally.moment(now), &decide) {
        Ok((spent, place)) => {
            Outcome { place, paid: tally.over(now), ..sliding(tally, spent, before, cost, true) }
        }
        Err(spent) => sliding(tally, spent, before, cost, false),
    }
}

/// What [`charge_sliding`] would say, spending nothing.
pub(crate) fn peek_sliding<C: Counters>(
    counters: &C,
    keys: [&CounterKey; 2],
    tally: Tally,
    cost: u32,
    now: u64,
) -> Outcome {
    let [current, last] = keys;
    let spent = tally.spent(counters.read(current, tally.moment(now)), now);
    let before = last_spent(counters, last, tally, now);
    let sum = weighted(tally, before).saturating_add(u64::from(spent)).saturating_add(u64::from(cost));
    sliding(tally, spent, before, cost, sum <= u64::from(tally.limit))
}

/// The cells of the last window, of a counter of the key's own. What it has spent in overflow is where it began this window with.
fn last_spent<C: Counters>(counters: &C, last: &CounterKey, tally: Tally, now: u64) -> u32 {
    let moment = Moment { spills: false, ..tally.moment(now) };
    tally.spent(counters.read(last, moment), now)
}

/// The cells of the last window that count still.
fn weighted(tally: Tally, before: u32) -> u64 {
    (u128::from(before) * u128::from(tally.left)).div_ceil(u128::from(tally.period)) as u64
}

fn sliding(tally: Tally, spent: u32, before: u32, cost: u32, admitted: bool) -> Outcome {
    let sum = weighted(tally, before).saturating_add(u64::from(spent));
    let reset = match (spent, before) {
        (0, 0) => 0,
        (0, _) => tally.left,
        _ => tally.left + tally.period,
    };
    let wait = if admitted { 0 } else { sliding_wait(tally, spent, before, cost) };
    let remaining = u64::from(tally.limit).saturating_sub(sum) as u32;
    Outcome { admitted, remaining, reset, wait, ..Outcome::NOTHING }
}

/// Nanoseconds until `cost` cells pass, if nobody else comes.
fn sliding_wait(tally: Tally, spent: u32, before: u32, cost: u32) -> u64 {
    let room = u64::from(tally.limit).saturating_sub(u64::from(cost));
    // How much of a window of `count` cells may still be within the period.
    let covered = |count: u32, room: u64| match count {
        0 => tally.period,
        _ => (u128::from(room) * u128::from(tally.period) / u128::from(count)).min(u128::from(tally.period))
            as u64,
    };
    match room.checked_sub(u64::from(spent)) {
        Some(room) => tally.left.saturating_sub(covered(before, room)),
        // Not in this window: in the next one, where it is the last.
        None => tally.left + tally.period - covered(spent, room),
    }
    .max(1)
}

/// Takes `cells` off a counter of a window, which ends if none is left.
pub(crate) fn give_back(word: u64, cells: u64) -> u64 {
    match u64::from(word as u32).saturating_sub(cells) {
        0 => OVER,
        left => word >> HALF << HALF | left,
    }
}

/// Spends `cells`, whether they are there or not, up to twice the limit; says how many.
pub(crate) fn overdraw<C: Counters>(
    counters: &C,
    key: &CounterKey,
    tally: Tally,
    cells: u32,
    now: u64,
) -> Piece {
    let raise = |word: Option<u64>| {
        let seen = tally.spent(word, now);
        let spent = seen.saturating_add(cells).min(tally.limit.saturating_mul(2));
        if spent > seen { Ok((spent - seen, tally.word(spent, now, word))) } else { Err(()) }
    };
    match counters.measure_and_replace(key, tally.moment(now), &raise) {
        Ok((added, place)) => Piece { cells, added: added.into(), place, paid: tally.over(now) },
        Err(()) => Piece::NOTHING,
    }
}

const HALF: u32 = 32;
/// Above the rounding of the upper half.
const SLACK: u64 = 64 * SECOND;
