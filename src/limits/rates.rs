//! Checks rates as one decision, by the rules of `check`, and allocates nothing: rates are what most views have.
//!
//! 1. Each is looked at; if one refuses, that is the answer, and nothing was charged.
//! 2. Each counter becomes what was decided when it was looked at, if it has not changed since; otherwise it is charged anew. If that
//!    refuses, because another request was faster, what was charged is given back.
//!
//! It is `check` without what rates do not need: windows, places, costs of 0, a reservation that outlives the answer.

use std::num::NonZeroU32;

use crate::time::HostTime;

use super::counters::Counters as _;
use super::gcra::{self, Outcome};
use super::key::CounterKey;
use super::quota::Quota;
use super::store::{Held, Store};
use super::verdict::{Verdict, verdict};

/// More than so many on one view are for `check`.
pub(crate) const FEW: usize = 4;

/// A rate, and the counter of the key that it is asked for.
#[derive(Clone, Copy)]
pub(crate) struct Rate<'l> {
    pub quota: &'l Quota,
    pub counter: CounterKey,
    pub cost: NonZeroU32,
}

/// Charges all, or none: at most [`FEW`].
#[inline(always)]
pub(crate) fn charge(store: &Store, rates: &[Rate<'_>], now: HostTime) -> Verdict {
    let counters = &store.counters();
    match rates {
        [rate] => {
            let outcome = rate.charge(counters, now);
            if outcome.admitted {
                return Verdict::alone(&outcome);
            }
            Verdict::alone(&rate.blamed(counters, outcome))
        }
        rates => several(counters, rates, now),
    }
}

fn several(counters: &Held<'_>, rates: &[Rate<'_>], now: HostTime) -> Verdict {
    let mut outcomes = [Outcome::NOTHING; FEW];
    let Some(outcomes) = outcomes.get_mut(..rates.len()) else { return verdict(&[]) };
    let mut seen = [None; FEW];
    let mut passes = true;
    for ((rate, outcome), seen) in rates.iter().zip(&mut *outcomes).zip(&mut seen) {
        (*outcome, *seen) = gcra::look(counters, &rate.counter, rate.quota, rate.cost, now);
        passes &= outcome.admitted;
    }
    if !passes {
        return refusal(counters, rates, outcomes);
    }
    for (nth, (rate, seen)) in rates.iter().zip(seen).enumerate() {
        let Some(outcome) = outcomes.get_mut(nth) else { break };
        if seen.is_some_and(|seen| counters.replace(seen, outcome.paid)) {
            continue;
        }
        *outcome = rate.charge(counters, now);
        if outcome.admitted {
            continue;
        }
        for (rate, outcome) in rates.iter().zip(&mut *outcomes).take(nth) {
            let &mut Outcome { place, paid, .. } = outcome;
            let added = u64::from(rate.cost.get()).saturating_mul(rate.quota.interval());
            gcra::refund(counters, &rate.counter, added, now, place, paid);
            *outcome = rate.peek(counters, now);
        }
        return refusal(counters, rates, outcomes);
    }
    verdict(outcomes)
}

#[cold]
fn refusal(counters: &Held<'_>, rates: &[Rate<'_>], outcomes: &mut [Outcome]) -> Verdict {
    for (rate, outcome) in rates.iter().zip(&mut *outcomes) {
        *outcome = rate.blamed(counters, *outcome);
    }
    verdict(outcomes)
}

impl Rate<'_> {
    #[inline(always)]
    fn charge(&self, counters: &Held<'_>, now: HostTime) -> Outcome {
        gcra::charge(counters, &self.counter, self.quota, self.cost, now)
    }

    /// A refusal, with whether the key has a counter of its own that says so.
    #[cold]
    fn blamed(&self, counters: &Held<'_>, outcome: Outcome) -> Outcome {
        let is_refusal = !outcome.admitted && !outcome.never;
        Outcome { shared: is_refusal && !counters.has(&self.counter), ..outcome }
    }

    fn peek(&self, counters: &Held<'_>, now: HostTime) -> Outcome {
        gcra::peek(counters, &self.counter, self.quota, self.cost, now)
    }
}
