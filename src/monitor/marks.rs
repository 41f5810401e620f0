//! Responses in force, and from where accounts are known: what lasts beyond a window.
//!
//! ```text
//! 0   until when it holds, in milliseconds of the rules' clock
//! 1   since when, in seconds since 1970 (32 bits), and out of which wide and narrow network (32)
//! 2   when the next try is due, in milliseconds of the rules' clock: GCRA's theoretical arrival time
//! 3   how many tries may come at once (16 bits), of which account or principal (16), how long one try takes (32)
//! 4,5 of accounts: as 2 and 3, of all networks together where the account is known
//! ```
//! They are in five regions, each of which is full for itself: from where accounts are known; the pace of an account in a
//! network; what it has been granted beside that; what is in force on accounts, whose names anybody can make up; and what
//! is in force on all others. One that is full forgets what is over. Then whoever has most gives way (`share`): of theirs,
//! what ends first; of paces, the one of which least is used up, as it is the one that is missed least. So neither
//! made-up accounts out of one network, nor one account or principal from ever other networks, push out what is others'.
//!
//! All networks where one account is known stand in the same sixteen places: so one account has at most sixteen, whatever
//! it does, and the oldest of its own goes for a new one.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};

use super::places::Holder;
use super::rule::Subject;
use super::sent::Source;
use super::share::{Held, Party};

pub(super) const WORDS: usize = 4;
/// Of a mark on an account, which has a pace for its homes as well.
pub(super) const OF_ACCOUNT: usize = WORDS + 2;
const UNTIL: usize = 0;
const SINCE: usize = 1;
const DUE: usize = 2;
const PACE: usize = 3;
const HOMES: usize = 4;
const MASK: u64 = u32::MAX as u64;
/// Where an account or a principal stands beside its pace.
const WHOSE: u32 = 32;
const BURST: u32 = 48;

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
    /// What an account that is throttled was given in a network beside its pace.
    Granted,
    /// What an account that is throttled has in all networks together where it is known: a part of the throttle.
    Homes,
    /// An account is known in a network.
    Known,
    /// What an account that is throttled has of its own in a network, or in a wider one.
    Pace,
    /// They must prove anew who they are.
    StepUp,
    /// One try at a time.
    Throttle,
}

impl Response {
    /// So many places of sixteen, and whoever has them takes their own for more; others are for who has most.
    pub(super) fn most(self) -> usize {
        match self {
            Self::Granted | Self::Pace => usize::MAX,
            _ => 4,
        }
    }
}

/// What a rule's finding is answered by, as far as it is in the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Answer {
    /// It is told, and no more; or it is not told here what else is done.
    #[default]
    Log,
    /// Of addresses and networks it is not in the table.
    Ban,
    /// They must prove anew who they are.
    StepUp,
    /// One try at a time.
    Throttle,
}

impl Answer {
    /// Each with the name that rules call it by.
    pub const NAMES: [(&'static str, Self); 4] =
        [("ban", Self::Ban), ("log", Self::Log), ("step_up", Self::StepUp), ("throttle", Self::Throttle)];

    /// What is in force then on a subject; `sent_by` is who sent what was counted, where that is not the subject itself.
    pub(super) fn on(self, subject: Subject, sent_by: Source) -> Option<Response> {
        match (self, subject) {
            (Self::Log, _) => None,
            _ if sent_by == Source::Content => Some(Response::Content),
            _ if sent_by == Source::Site => Some(Response::Crossing),
            (Self::Ban, Subject::Address | Subject::Caller | Subject::Network) => None,
            (Self::StepUp, Subject::Account) => Some(Response::AccountStepUp),
            (_, Subject::Account) => Some(Response::AccountThrottle),
            (Self::StepUp, Subject::Host | Subject::Principal | Subject::Token) => Some(Response::StepUp),
            _ => Some(Response::Throttle),
        }
    }
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
    /// Where its pace is.
    due: usize,
}

impl<'a> Marked<'a> {
    pub fn new(words: &'a [AtomicU64], at: usize) -> Option<Self> {
        Some(Self { words: words.get(at..at + WORDS)?, due: DUE })
    }

    /// Of a throttled account: with the pace of all networks together where it is known.
    pub fn at_home(words: &'a [AtomicU64], at: usize) -> Option<Self> {
        Some(Self { words: words.get(at..at + OF_ACCOUNT)?, due: HOMES })
    }

    /// Whether the place may go to another.
    pub fn holder(words: &[AtomicU64], now: u64, response: Response) -> Holder {
        let word = |index: usize| words.get(index).map_or(0, |word| word.load(Relaxed));
        match word(UNTIL) {
            until if until <= now => Holder::Gone,
            until => Holder::Of(Held {
                party: Party { source: word(SINCE) as u32, rule: (word(PACE) >> WHOSE) as u16 },
                near: if response == Response::Pace { word(DUE) } else { until },
                is_kept: false,
            }),
        }
    }

    /// Puts it in force: longer, if it was already, and since then.
    pub fn set(&self, mark: Mark, party: Party, pace: Option<(u32, u32)>) {
        let word = |index: usize| self.words.get(index);
        if let (Some(until), Some(since), Some(paced)) = (word(UNTIL), word(SINCE), word(PACE)) {
            paced.store(u64::from(party.rule) << WHOSE | packed(pace.unwrap_or_default()), Relaxed);
            since.fetch_max(mark.since.min(MASK) << 32 | u64::from(party.source), Relaxed);
            // Last: what is read as being in force is whole.
            until.fetch_max(mark.until, AcqRel);
        }
    }

    /// Says what its pace is.
    pub fn set_pace(&self, pace: (u32, u32)) {
        if let Some(word) = self.words.get(self.due + 1)
            && word.load(Relaxed) != packed(pace)
        {
            word.store(packed(pace), Relaxed);
        }
    }

    pub fn read(&self, now: u64) -> Option<Mark> {
        let until = self.words.get(UNTIL)?.load(Acquire);
        (until > now).then_some(Mark { until, since: self.words.get(SINCE)?.load(Relaxed) >> 32 })
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
        if self.words.get(UNTIL)?.load(Acquire) <= now {
            return None;
        }
        let pace = self.words.get(self.due + 1)?.load(Relaxed);
        let (each, burst) = (pace & MASK, pace >> BURST);
        Some((self.words.get(self.due)?, each, each * burst.saturating_sub(1)))
    }
}

fn packed((each, burst): (u32, u32)) -> u64 {
    u64::from(burst.min(u32::from(u16::MAX))) << BURST | u64::from(each)
}
