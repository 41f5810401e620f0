//! The words of this host's table that say what is held of a counter elsewhere, and what is known of it.
//!
//! - **held**: until when, and how many cells. It stays a while longer than they may be spent, so that who gives them back may come late.
//!   Its sibling is what the store said last.
//! - **size**: how many were given last, and whether more were wanted.
//! - **gate**: until when who costs so much or more is refused. Its sibling is how long such a request would wait.

use super::{BITS, Batches, MOST, PASSES, SCARCE, Taken, Want};
use crate::limits::counters::{Counters as _, Moment, Place};
use crate::limits::gcra::{Outcome, instant};
use crate::limits::key::{CounterKey, LimitKey};
use crate::limits::quota::{Quota, Rule};
use crate::limits::remote::{Answer, Question, Told};
use crate::limits::spot::Now;
use crate::limits::{LONGEST, SECOND};

impl Batches {
    /// Takes `cost` cells of what is held; says how many are left, and when they end. A cost of 0 is always there.
    pub(super) fn take(&self, counter: &CounterKey, cost: u32, at: u64) -> Option<(u32, u64)> {
        if cost == 0 {
            let word = self.store.counters().read(counter, moment(at));
            return Some((cells(word, at + self.after()).unwrap_or(0), 0));
        }
        let spend = |word: Option<u64>| match (word, cells(word, at + self.after())) {
            (Some(word), Some(held)) if held >= cost => {
                Ok(((held - cost, word & !MOST), word - u64::from(cost)))
            }
            _ => Err(()),
        };
        self.store.counters().measure_and_replace(counter, moment(at), &spend).ok().map(|(rest, _)| rest)
    }

    /// Puts back what was taken, to whatever is held now: of a rate that ends no later then than the batch it was of. Where that is about to
    /// end, it is let go; time repays it.
    pub(super) fn put_back(&self, taken: &Taken, at: u64) {
        self.store.counters().adjust(&taken.counter, at, Place::Slot, &|word| {
            let held = cells(Some(word), at)?;
            let newer = word & !MOST;
            let end = if taken.is_of_window { newer } else { newer.min(taken.end) };
            let is_worth_it = end == newer || held == 0 || end > at + self.after() + self.lease / 8;
            let sum = u64::from(held.saturating_add(taken.cells)).min(MOST);
            (is_worth_it && end > at).then_some(end | sum)
        });
    }

    /// Adds to what is held; says how many cells there was no room for, and the end. It ends when the older of both does.
    ///
    /// What is idle by then is not worth ending the new one with it, nor may it live longer: it is let go, and of a window counts as having found no
    /// room. Of a rate, time repays it.
    pub(super) fn deposit(&self, question: &Question, given: u32, until: u64, at: u64) -> (u32, u64) {
        let given = given.min(MOST as u32);
        let until = (until & !MOST) + self.after();
        let fresh = until | u64::from(given);
        let is_rate = matches!(question.rule, Told::Rate { .. });
        let add = |word: Option<u64>| -> Result<((u32, u64), u64), ()> {
            if word.is_some_and(is_given_up(at)) {
                return Err(());
            }
            match (word, cells(word, at)) {
                (Some(word), Some(held))
                    if held > 0 && (word & !MOST) > at + self.after() + self.lease / 8 * 3 =>
                {
                    let sum = held.saturating_add(given).min(MOST as u32);
                    let end = (word & !MOST).min(until);
                    Ok(((held.saturating_add(given) - sum, end), end | u64::from(sum)))
                }
                (_, Some(held)) if !is_rate => Ok(((held, until), fresh)),
                _ => Ok(((0, until), fresh)),
            }
        };
        let counter = self.counter(&self.held, question);
        match self.store.counters().measure_and_replace(&counter, moment(at), &add) {
            Ok(((loose, end), _)) => (loose, end - self.after()),
            Err(()) => (given, until - self.after()),
        }
    }

    /// How long what is left of a batch can be given back when nobody may spend it any more: whoever does that may come late.
    pub(super) fn after(&self) -> u64 {
        (self.lease / 2) & !MOST
    }

    /// Nanoseconds for which it is known that this cost is refused.
    pub(super) fn refused(&self, question: &Question, at: u64) -> Option<u64> {
        let counters = self.store.counters();
        let counter = self.counter(&self.gates, question);
        let gate = counters.read(&counter, moment(at));
        let least = cells(gate, at).filter(|&least| question.cost >= least)?;
        let opens = gate.map_or(at, |gate| gate & !MOST);
        // A gate without its other word, for which there was no room, is no ground to refuse.
        let until = counters.read(&counter.sibling(), moment(at)).filter(|&until| until > at)?;
        (least > 0).then(|| until.max(opens) - at)
    }

    /// How many cells to ask for.
    pub(super) fn want(&self, position: usize, question: &Question, at: u64) -> Want {
        let size = self.store.counters().read(&self.counter(&self.sizes, question), moment(at));
        let Some(last) = cells(size, at) else {
            return Want { position, cells: question.cost, scarce: false };
        };
        let since = (at + 2 * self.lease).saturating_sub(size.unwrap_or(0) & !MOST);
        let (last, scarce) = (last & !SCARCE, last & SCARCE != 0);
        let next = if since < self.lease / 4 { last.saturating_mul(2) } else { last };
        Want { position, cells: next.min(SCARCE - 1).max(question.cost), scarce }
    }

    pub(super) fn note_size(&self, question: &Question, size: u32, scarce: bool, at: u64) {
        let size = size.min(SCARCE - 1) | if scarce { SCARCE } else { 0 };
        let word = ((at + 2 * self.lease) & !MOST) | u64::from(size);
        self.write(&self.counter(&self.sizes, question), word, at);
    }

    /// Remembers what the store has said of a counter.
    pub(super) fn note(&self, question: &Question, answer: &Answer, at: u64) {
        let counter = self.counter(&self.held, question).sibling();
        let word = match question.rule {
            Told::Rate { .. } => at + (answer.reset.saturating_mul(1000)).min(LONGEST / 4),
            _ => ((at + 4 * self.lease) & !MOST) | u64::from(answer.remaining).min(MOST),
        };
        self.write(&counter, word, at);
    }

    pub(super) fn refuse(&self, question: &Question, answer: &Answer, want: &Want, at: u64) {
        let Some(wait) = answer.wait.map(|micros| micros.saturating_mul(1000).min(LONGEST / 4)) else {
            // What never passes is said to whoever asks so much.
            return;
        };
        // Who wants less may find what is left.
        self.note_size(question, want.cells / 2, answer.remaining == 0, at);
        self.shut(question, wait, question.cost, at);
    }

    /// Refuses what costs so much or more for `wait` nanoseconds, a lease at most and a pause at least.
    pub(super) fn shut(&self, question: &Question, wait: u64, least: u32, at: u64) {
        let opens = (at + wait.clamp(self.pause(question), self.lease)) & !MOST;
        let gate = self.counter(&self.gates, question);
        // First the word that the other one needs.
        self.write(&gate.sibling(), at + wait, at);
        let least = u64::from(least.max(1)).min(MOST);
        self.write(&gate, opens | least, at);
    }

    /// How long not to ask when there is less than is asked for: of a rate, not so long that it would be full meanwhile; of a period, a small
    /// part of it.
    pub(super) fn pause(&self, question: &Question) -> u64 {
        let pause = (self.lease / 16).max(2 * (MOST + 1));
        match question.rule {
            Told::Rate { interval, burst } => {
                let fill = interval.saturating_mul(u64::from(burst)).saturating_mul(1000) / 16;
                pause.min(fill / 4)
            }
            Told::Sliding { period, .. } => pause.min(period.saturating_mul(1000) / 16 / 16),
            _ => pause,
        }
    }

    pub(super) fn write(&self, counter: &CounterKey, word: u64, at: u64) {
        let set = |old: Option<u64>| if old.is_some_and(is_given_up(at)) { Err(()) } else { Ok(((), word)) };
        // Without room it is not remembered.
        let _ = self.store.counters().measure_and_replace(counter, moment(at), &set);
    }

    /// What a limit says, as far as this host knows.
    pub(super) fn outcome(
        &self,
        question: &Question,
        quota: &Quota,
        counter: &CounterKey,
        held: u32,
        now: Now,
    ) -> Outcome {
        let at = instant(now.host);
        let word = self.store.counters().read(&counter.sibling(), moment(at));
        let (left, reset) = match (quota.rule(), word) {
            (Rule::Rate, word) => {
                let reset = word.filter(|&tat| tat > at && !is_given_up(at)(tat)).map_or(0, |tat| tat - at);
                ((quota.fill().saturating_sub(reset) / quota.interval().max(1)) as u32, reset)
            }
            (_, word) => {
                let reset = match question.rule {
                    Told::Fixed { window, .. } => window.end.saturating_mul(SECOND).saturating_sub(now.unix),
                    _ => quota.period(),
                };
                (cells(word, at).unwrap_or(0), reset)
            }
        };
        let remaining = left.saturating_add(held).min(quota.burst());
        Outcome { remaining, reset, ..PASSES }
    }

    /// The word of one kind for a counter elsewhere; of a window, one for each.
    pub(super) fn counter(&self, key: &LimitKey, question: &Question) -> CounterKey {
        let name = question.name.to_le_bytes();
        match question.rule {
            Told::Fixed { window, .. } => key.counter_at(&name, window.start),
            _ => key.counter(&name),
        }
    }
}

/// The lower half of a word that holds still.
pub(super) fn cells(word: Option<u64>, at: u64) -> Option<u32> {
    let word = word.filter(|&word| word >> BITS > at >> BITS && !is_given_up(at)(word))?;
    Some((word & MOST) as u32)
}

/// Whether it is what a table shows when it gives up.
fn is_given_up(at: u64) -> impl Fn(u64) -> bool {
    move |word| word > at + LONGEST / 4 + SECOND
}

fn moment(at: u64) -> Moment {
    Moment::alone(at, LONGEST / 2)
}
