//! What limits say together: one verdict, which names the limit that a caller should know of.
//!
//! In a refusal that is the one with the longest wait, so whoever waits that long passes them all; else the one that has least left.

use super::fields;
use super::gcra::Outcome;

/// What a set of limits says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// Whether the request may pass.
    pub admitted: bool,
    /// The position of the limit that the rest is about: in a refusal the one with the longest wait, else
    /// the one with the fewest cells left.
    pub limit: usize,
    /// Cells left under it.
    pub remaining: u32,
    /// Nanoseconds until its counter is full.
    pub reset: u64,
    /// Nanoseconds until the same request would pass, if no other comes; 0 if admitted. One whose cost is above a burst never
    /// passes: then the time in which that limit's counter becomes full.
    pub wait: u64,
    /// Whether the same request will never pass.
    pub never: bool,
    /// The limits that refuse it, a bit for each of the first 64.
    pub refusing: u64,
    /// Those of them whose counter the key shares with others, as there was no room for one of its own: what they refuse is not its doing.
    pub shared: u64,
}

impl Verdict {
    /// Of the only limit of a set.
    #[inline(always)]
    pub(super) fn alone(outcome: &Outcome) -> Self {
        let &Outcome { admitted, remaining, reset, wait, never, shared, .. } = outcome;
        let (refusing, shared) = (u64::from(!admitted), u64::from(!admitted && shared));
        Self { admitted, limit: 0, remaining, reset, wait, never, refusing, shared }
    }

    /// Seconds for `Retry-After`, rounded up; 0 if admitted, else at least 1.
    pub fn retry_after(&self) -> u64 {
        fields::seconds(self.wait)
    }
}

/// One verdict of several limits, none of which may be missing.
pub(super) fn verdict(outcomes: &[Outcome]) -> Verdict {
    let admitted = outcomes.iter().all(|outcome| outcome.admitted);
    // `max_by` takes the last of equals; of equal limits the first is meant, but either is right.
    let strictest = outcomes.iter().enumerate().max_by(|(_, one), (_, other)| {
        if admitted {
            other.remaining.cmp(&one.remaining).then(one.reset.cmp(&other.reset))
        } else {
            // One that never passes is what the caller must know of, however long it would wait for another.
            one.never.cmp(&other.never).then(one.wait.cmp(&other.wait))
        }
    });
    match strictest {
        Some((limit, &Outcome { remaining, reset, wait, .. })) => {
            let never = outcomes.iter().any(|outcome| outcome.never);
            let bits = |of: fn(&Outcome) -> bool| {
                let outcomes = outcomes.iter().take(64).enumerate();
                outcomes.fold(0, |bits, (at, outcome)| bits | u64::from(of(outcome)) << at)
            };
            let refusing = bits(|outcome| !outcome.admitted);
            let shared = bits(|outcome| !outcome.admitted && outcome.shared);
            Verdict { admitted, limit, remaining, reset, wait, never, refusing, shared }
        }
        None => {
            let Outcome { remaining, reset, never, .. } = Outcome::NOTHING;
            let wait = super::SECOND;
            Verdict { admitted: false, limit: 0, remaining, reset, wait, never, refusing: 0, shared: 0 }
        }
    }
}
