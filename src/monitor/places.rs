//! Places for subjects: found by their name, given to new ones, taken from the least suspicious.
//!
//! Where places belong to parties (`share`), those of one network, or of one rule, are sure of a share of each sixteen
//! and of no more: so nobody can fill them all.
//!
//! A region is buckets of eight names and the eight bodies that belong to them; a name may stand in either of two
//! buckets. Nothing is locked. Who takes a place first swaps its name for a **claim** (a bit, and when), empties the
//! body, and then writes the new name: so nobody counts for a subject what was another's. The claim of a process that
//! died there is void after two seconds.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};

use super::key::mixed;
use super::share::{self, Held, Party};

const LANES: usize = 8;
const HOMES: usize = 2;
const CLAIMED: u64 = 1 << 63;
const STALE: u64 = 2;

/// Buckets of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Region {
    start: usize,
    buckets: usize,
    body: usize,
}

/// Who has a place now.
pub(super) enum Holder {
    /// Their time is over.
    Gone,
    /// Of all that are here, the lowest goes first.
    Here(u64),
    /// Never goes for another.
    Kept,
    /// One of a party, whose share decides.
    Of(Held),
}

/// Where somebody was put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Put {
    Found(usize),
    New(usize),
    /// In the place of somebody whose time was not over.
    Instead(usize),
    /// Likewise, of one who had clearly more than is theirs: the newcomer was not pushed out of here before.
    Excess(usize),
    Nowhere,
}

impl Put {
    pub fn at(self) -> Option<usize> {
        match self {
            Self::Found(at) | Self::New(at) | Self::Instead(at) | Self::Excess(at) => Some(at),
            Self::Nowhere => None,
        }
    }
}

/// By what a place is found.
#[derive(Debug, Clone, Copy)]
pub(super) struct Spot {
    /// Which sixteen places may be it.
    pub among: u64,
    /// Which of those it is.
    pub hash: u64,
}

/// A place to take: where its name and body are, what the name is, and who is there.
type Choice = (usize, usize, u64, State);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Free,
    Taken,
    Excess,
}

impl Spot {
    /// Anywhere that its own hash says.
    pub fn of(hash: u64) -> Self {
        Self { among: hash, hash }
    }
}

impl Region {
    /// As many places of `body` words as fit into so many words.
    pub fn of(start: usize, words: usize, body: usize) -> Self {
        Self { start, buckets: (words / (LANES * (body + 1))).max(2), body }
    }

    pub fn end(&self) -> usize {
        self.start + self.buckets * LANES * (self.body + 1)
    }

    pub fn places(&self) -> usize {
        self.buckets * LANES
    }

    /// Where the body of this name is.
    #[inline]
    pub fn find(&self, words: &[AtomicU64], hash: u64) -> Option<usize> {
        self.find_at(words, Spot::of(hash))
    }

    /// The same, of a name that stands with others of its kind.
    #[inline]
    pub fn find_at(&self, words: &[AtomicU64], spot: Spot) -> Option<usize> {
        let name = name_of(spot.hash);
        self.homes(spot.among).into_iter().find_map(|bucket| {
            let names = words.get(bucket..bucket + LANES)?;
            let lane = names.iter().position(|word| word.load(Acquire) == name)?;
            Some(self.body_of(bucket, lane))
        })
    }

    /// Where the body of this name is, or is now: then it is empty.
    ///
    /// `party` is whose it is, of places that are shared out.
    pub fn put(
        &self,
        words: &[AtomicU64],
        hash: u64,
        at: u64,
        party: Party,
        holder: impl Fn(&[AtomicU64]) -> Holder,
    ) -> Put {
        let pick = |held: &[Held], party| share::taken(held, party).map(|index| (index, false));
        self.put_at(words, Spot::of(hash), at, party, holder, pick)
    }

    /// The same, where another one decides whose place it takes.
    #[inline]
    pub fn put_at(
        &self,
        words: &[AtomicU64],
        spot: Spot,
        at: u64,
        party: Party,
        holder: impl Fn(&[AtomicU64]) -> Holder,
        pick: impl Fn(&[Held], Party) -> Option<(usize, bool)>,
    ) -> Put {
        if let Some(found) = self.find_at(words, spot) {
            return Put::Found(found);
        }
        for _ in 0..2 {
            let Some((index, body, seen, state)) = self.choose(words, spot, at, party, &holder, &pick) else {
                return Put::Nowhere;
            };
            let Some(name) = words.get(index) else { return Put::Nowhere };
            let claim = CLAIMED | at;
            if name.compare_exchange(seen, claim, AcqRel, Acquire).is_err() {
                continue;
            }
            for word in words.get(body..body + self.body).unwrap_or_default() {
                word.store(0, Relaxed);
            }
            // If the claim was taken for a dead one's meanwhile, the place is another's.
            if name.compare_exchange(claim, name_of(spot.hash), Release, Relaxed).is_err() {
                continue;
            }
            return match state {
                State::Free => Put::New(body),
                State::Taken => Put::Instead(body),
                State::Excess => Put::Excess(body),
            };
        }
        Put::Nowhere
    }

    /// Frees the place of a name; says whether it had one.
    pub fn drop(&self, words: &[AtomicU64], hash: u64) -> bool {
        let name = name_of(hash);
        self.homes(hash).into_iter().any(|bucket| {
            words
                .get(bucket..bucket + LANES)
                .unwrap_or_default()
                .iter()
                .any(|word| word.compare_exchange(name, 0, AcqRel, Acquire).is_ok())
        })
    }

    /// The place to take.
    fn choose(
        &self,
        words: &[AtomicU64],
        spot: Spot,
        at: u64,
        party: Party,
        holder: &impl Fn(&[AtomicU64]) -> Holder,
        pick: &impl Fn(&[Held], Party) -> Option<(usize, bool)>,
    ) -> Option<Choice> {
        let mut lowest: Option<(u64, Choice)> = None;
        let mut held = [Held::default(); HOMES * LANES];
        let mut homes = [None; HOMES * LANES];
        let mut count = 0;
        for bucket in self.homes(spot.among) {
            for lane in 0..LANES {
                let index = bucket + lane;
                let seen = words.get(index)?.load(Acquire);
                let body = self.body_of(bucket, lane);
                if seen == 0 {
                    return Some((index, body, seen, State::Free));
                }
                if seen & CLAIMED != 0 {
                    // Another clock's second counts as old as well: no claim lasts for as long as a second.
                    if at.abs_diff(seen & !CLAIMED) > STALE {
                        return Some((index, body, seen, State::Free));
                    }
                    continue;
                }
                match holder(words.get(body..body + self.body)?) {
                    Holder::Gone => return Some((index, body, seen, State::Free)),
                    Holder::Here(rank) if lowest.is_none_or(|(least, _)| rank < least) => {
                        lowest = Some((rank, (index, body, seen, State::Taken)));
                    }
                    Holder::Here(_) | Holder::Kept => {}
                    Holder::Of(found) => {
                        if let (Some(held), Some(home)) = (held.get_mut(count), homes.get_mut(count)) {
                            (*held, *home) = (found, Some((index, body, seen)));
                            count += 1;
                        }
                    }
                }
            }
        }
        if let Some((_, found)) = lowest {
            return Some(found);
        }
        let (taken, is_excess) = pick(held.get(..count)?, party)?;
        let (index, body, seen) = (*homes.get(taken)?)?;
        Some((index, body, seen, if is_excess { State::Excess } else { State::Taken }))
    }

    /// Where the names of a hash's two buckets begin.
    #[inline]
    fn homes(&self, hash: u64) -> [usize; HOMES] {
        let reduced = |hash: u64| ((u128::from(hash) * self.buckets as u128) >> 64) as usize;
        let (first, second) = (reduced(hash), reduced(mixed(hash, 1)));
        let second = if second == first { (first + 1) % self.buckets } else { second };
        [first, second].map(|bucket| self.start + bucket * LANES * (self.body + 1))
    }

    fn body_of(&self, bucket: usize, lane: usize) -> usize {
        bucket + LANES + lane * self.body
    }
}

#[inline]
fn name_of(hash: u64) -> u64 {
    (hash & !CLAIMED).max(1)
}
