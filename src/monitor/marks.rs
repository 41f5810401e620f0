//! Responses in force, and from where accounts are known: what lasts beyond a window.
//!
//! ```text
//! 0   until when it holds, in milliseconds of the rules' clock
//! 1   since when, in seconds since 1970
//! 2   when the next try is due, in milliseconds of the rules' clock: GCRA's theoretical arrival time
//! 3   how long one try takes of it (32 bits), and how many may come at once (32)
//! ```
//! They are in four regions, each of which is full for itself: from where accounts are known; the pace of an account in a
//! network; what is in force on accounts, whose names anybody can make up; and what is in force on all others. One that
//! is full forgets what is over, then what ends first: so made-up accounts, or one account from ever other networks, push
//! out nothing but their like.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};

use super::places::Holder;

pub(super) const WORDS: usize = 4;
const UNTIL: usize = 0;
const SINCE: usize = 1;
const DUE: usize = 2;
const PACE: usize = 3;
const MASK: u64 = u32::MAX as u64;

/// What a mark is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Response {
    /// Attempts on an account are throttled.
    AccountThrottle,
    /// An attempt on an account should be asked for more.
    AccountStepUp,
    /// One try at a time, of what is a part of pages of one's own.
    Content,
    /// One try at a time, of what pages of other sites have sent.
    Crossing,
    /// One attempt to log in at a time, of those that a page had sent.
    CrossingLogin,
    /// An account is known in a network.
    Known,
    /// What an account that is throttled has of its own in a network, or in a wider one.
    Pace,
    /// They must prove anew who they are.
    StepUp,
    /// One try at a time.
    Throttle,
}

/// A response in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// Milliseconds of the rules' clock.
    pub until: u64,
    /// Seconds since 1970.
    pub since: u64,
}

/// A mark's words.
#[derive(Clone, Copy)]
pub(super) struct Marked<'a> {
    words: &'a [AtomicU64],
}

impl<'a> Marked<'a> {
    pub fn new(words: &'a [AtomicU64], at: usize) -> Option<Self> {
        Some(Self { words: words.get(at..at + WORDS)? })
    }

    /// Whether the place may go to another.
    pub fn holder(words: &[AtomicU64], now: u64) -> Holder {
        let word = |index: usize| words.get(index).map_or(0, |word| word.load(Relaxed));
        match word(UNTIL) {
            until if until <= now => Holder::Gone,
            until => Holder::Here(until),
        }
    }

    /// Puts it in force: longer, if it was already, and since then.
    pub fn set(&self, until: u64, since: u64, pace: Option<(u32, u32)>) {
        let [until_word, since_word, _, pace_word] = self.all();
        let packed = pace.map_or(0, |(each, burst)| u64::from(burst) << 32 | u64::from(each));
        if let (Some(until_word), Some(since_word), Some(pace_word)) = (until_word, since_word, pace_word) {
            pace_word.store(packed, Relaxed);
            since_word.fetch_max(since, Relaxed);
            // Last: what is read as being in force is whole.
            until_word.fetch_max(until, AcqRel);
        }
    }

    pub fn read(&self, now: u64) -> Option<Mark> {
        let [until, since, ..] = self.all();
        let until = until?.load(Acquire);
        (until > now).then_some(Mark { until, since: since?.load(Relaxed) })
    }

    /// In how many milliseconds a try is due: 0 is now. Takes none.
    pub fn wait(&self, now: u64) -> u64 {
        let Some((due, _, ahead)) = self.paced(now) else { return 0 };
        due.load(Acquire).saturating_sub(now + ahead)
    }

    /// Takes a try, if one is due; else says in how many milliseconds one is. Not in force: always.
    pub fn try_now(&self, now: u64) -> u64 {
        let Some((due, each, ahead)) = self.paced(now) else { return 0 };
        let mut seen = due.load(Acquire);
        loop {
            let tat = seen.max(now);
            if tat > now + ahead {
                return tat - now - ahead;
            }
            match due.compare_exchange_weak(seen, tat + each, AcqRel, Acquire) {
                Ok(_) => return 0,
                Err(other) => seen = other,
            }
        }
    }

    /// Of what is in force: when the next try is due, how long one takes of it, and how far ahead it may be.
    fn paced(&self, now: u64) -> Option<(&'a AtomicU64, u64, u64)> {
        let [until, _, due, pace] = self.all();
        if until?.load(Acquire) <= now {
            return None;
        }
        let pace = pace?.load(Relaxed);
        let (each, burst) = (pace & MASK, pace >> 32);
        Some((due?, each, each * burst.saturating_sub(1)))
    }

    fn all(&self) -> [Option<&'a AtomicU64>; WORDS] {
        [UNTIL, SINCE, DUE, PACE].map(|index| self.words.get(index))
    }
}
