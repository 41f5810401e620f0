//! Spends cells that this host has taken from a store elsewhere in advance, so that most checks ask nobody.
//!
//! 1. A **batch** is cells of one counter that are charged there already. Whoever is admitted on their account was counted before: hosts need not agree.
//! 2. A batch lives for a **lease** from before it was asked for. What is left of it then is worth nothing, so in any span of time `s` no more
//!    is admitted than is charged in `s + lease`: for a rate `burst + (s + lease) / interval`, however many hosts there are. A batch of a window of the
//!    calendar also ends with it.
//! 3. **How many** are asked for: what the last batch held, twice as many if it was used up in less than a quarter of a lease, no more than are needed
//!    if it is long ago. The store gives what is needed, and of what is left beyond that a quarter at most.
//! 4. **All or nothing**: what is held is spent first, and put back if the store does not give the rest.
//! 5. **A refusal** is remembered until it can change, a lease at most: whoever is over a limit costs no question either. While more is asked for than
//!    there is, a host asks once in a sixteenth of a lease, and refuses in between: what replenishes meanwhile is there when it asks.
//! 6. What is **idle** is taken out when five eighths of its lease are over, to be given back; half a lease later at most, since whoever does
//!    that may be held up.
//!
//! Each is a word of this host's table, seen by all workers: the upper 40 bits until when it holds, in units of 2^24 ns (17 ms) and rounded
//! down, the lower 24 how many. Where there is no room for one, the store elsewhere is asked each time.
//!
//! It asks nobody itself, and knows no network: `Wanting` says what to ask, and is told.
//!
//! # Deployment caveat
//! What a host holds when it dies is lost to all until time repays it: a batch at most. Clocks of hosts need not agree, but for windows of
//! the calendar.

mod words;

use std::cell::Cell;
use std::sync::Arc;

use crate::error::ConfigError;
use crate::time::HostTime;

use super::SECOND;
use super::check::Limits;
use super::counters::{Counters as _, OVER, Place};
use super::entries::{Costs, KeyText};
use super::gcra::{Outcome, instant};
use super::key::{CounterKey, LimitKey};
use super::remote::{Answer, Question, Told};
use super::spot::Now;
use super::store::Store;
use super::verdict::Verdict;
use words::cells;

/// What this host holds of counters elsewhere.
pub struct Batches {
    store: Arc<Store>,
    lease: u64,
    /// Its sibling: what the store has said.
    held: LimitKey,
    sizes: LimitKey,
    /// Its sibling: until when it is refused.
    gates: LimitKey,
}

/// What came of trying to spend.
pub enum Spent {
    /// It was decided here.
    Told(Verdict),
    /// The store elsewhere has to be asked.
    Wanting(Wanting),
}

/// What the store elsewhere has to be asked, since this host does not hold it. Dropped, it puts back what was spent of the rest.
pub struct Wanting {
    batches: Arc<Batches>,
    now: Now,
    questions: Vec<Question>,
    /// What each says. Of what is lacking, nothing yet.
    outcomes: Vec<Outcome>,
    /// Which of them are lacking.
    lacking: Vec<Want>,
    taken: Vec<Taken>,
}

/// What is asked for.
#[derive(Clone, Copy)]
struct Want {
    /// By which question.
    position: usize,
    cells: u32,
    /// Whether there were less than that, the last time.
    scarce: bool,
}

/// Cells that were spent of what was held.
struct Taken {
    counter: CounterKey,
    /// Whether they are of a window of the calendar, in which all are worth the same until it ends.
    is_of_window: bool,
    cells: u32,
    /// When the batch that they were of ends.
    end: u64,
}

/// Cells that were given, as far as this host holds them.
#[derive(Debug)]
pub struct Batch {
    /// The counter elsewhere.
    pub name: u128,
    /// How it counts.
    pub rule: Told,
    /// By which it is given back.
    pub mark: u64,
    /// Cells for which there was no room here: to be given back at once.
    pub loose: u32,
    counter: CounterKey,
    /// How many came of it to what is held.
    given: u32,
    until: u64,
    due: u64,
}

impl Batches {
    /// Holds batches in `store` for `lease` nanoseconds.
    pub fn new(store: Arc<Store>, lease: u64) -> Result<Self, ConfigError> {
        if !(SHORTEST_LEASE..=LONGEST_LEASE).contains(&lease) {
            return Err(ConfigError::new("a lease is between 0.1 and 60 seconds"));
        }
        let key = |purpose| LimitKey::of(store.seed(), purpose);
        let [held, sizes, gates] = ["batch", "batch size", "refused"].map(key);
        Ok(Self { store, lease, held, sizes, gates })
    }

    /// Spends what it costs under every limit, if all of it is here; says a refusal that is remembered; or says what to ask.
    pub fn spend<K: KeyText>(
        self: &Arc<Self>,
        limits: &Limits,
        keys: &[K],
        costs: Costs<'_>,
        now: Now,
    ) -> Result<Spent, ConfigError> {
        let at = instant(now.host);
        // What most requests meet: one limit, of which there is enough.
        if let Some((question, quota)) = limits.lone_question(keys, costs, now)? {
            let mine = self.counter(&self.held, &question);
            if let Some((rest, _)) = self.take(&mine, question.cost, at) {
                return Ok(Spent::Told(Verdict::alone(&self.outcome(&question, quota, &mine, rest, now))));
            }
        }
        let questions = limits.questions(keys, costs, now)?;
        let mut wanting = Wanting {
            batches: self.clone(),
            now,
            outcomes: Vec::with_capacity(questions.len()),
            lacking: Vec::new(),
            taken: Vec::with_capacity(questions.len()),
            questions,
        };
        let mut is_refused = false;
        for (position, question) in wanting.questions.iter().enumerate() {
            let Some((_, quota)) = limits.limit(position) else { continue };
            let mine = self.counter(&self.held, question);
            let outcome = if let Some((rest, end)) = self.take(&mine, question.cost, at) {
                let is_of_window = matches!(question.rule, Told::Fixed { .. });
                wanting.taken.push(Taken { counter: mine, is_of_window, cells: question.cost, end });
                self.outcome(question, quota, &mine, rest, now)
            } else if let Some(wait) = self.refused(question, at) {
                is_refused = true;
                Outcome { admitted: false, wait, ..self.outcome(question, quota, &mine, 0, now) }
            } else {
                wanting.lacking.push(self.want(position, question, at));
                PASSES
            };
            wanting.outcomes.push(outcome);
        }
        if !is_refused {
            if !wanting.lacking.is_empty() {
                return Ok(Spent::Wanting(wanting));
            }
            // It is spent: nothing of it is put back.
            wanting.taken.clear();
        }
        Ok(Spent::Told(limits.said(&wanting.outcomes)))
    }

    /// Takes what is left of a batch, so that it can be given back: how many cells. Nothing, if it is not its lease any more.
    ///
    /// Of a rate no more than came of it: by its mark, no more of what came later would be given back than time has not repaid to it.
    pub fn take_out(&self, batch: &Batch, now: HostTime) -> u32 {
        let at = instant(now);
        let most = if matches!(batch.rule, Told::Rate { .. }) { batch.given } else { MOST as u32 };
        let taken = Cell::new(0);
        self.store.counters().adjust(&batch.counter, at, Place::Slot, &|word| {
            taken.set(0);
            // Another's batch may have come to it, which ends no later; one that ends later has replaced it.
            let held =
                cells(Some(word), at).filter(|&held| held > 0 && word >> BITS <= batch.until >> BITS)?;
            taken.set(held.min(most));
            Some(word - u64::from(held.min(most)))
        });
        taken.get()
    }

    /// Forgets what is known of these keys: what they hold, and that they were refused.
    pub fn clear<K: KeyText>(&self, limits: &Limits, keys: &[K], now: Now) -> Result<(), ConfigError> {
        let at = instant(now.host);
        for question in limits.questions(keys, Costs::Same(0), now)? {
            let [held, sizes, gate] =
                [&self.held, &self.sizes, &self.gates].map(|key| self.counter(key, &question));
            for counter in [held, held.sibling(), sizes, gate, gate.sibling()] {
                self.store.counters().adjust(&counter, at, Place::Slot, &|_| Some(OVER));
            }
        }
        Ok(())
    }
}

impl Wanting {
    /// What to ask: each question, and how many cells are wanted, at least its cost.
    pub fn lacking(&self) -> impl Iterator<Item = (&Question, u32)> {
        self.lacking.iter().filter_map(|want| Some((self.questions.get(want.position)?, want.cells)))
    }

    /// Takes what the store has said of what was lacking: its answer to each, the cells given and a mark to give them back by.
    ///
    /// Nothing was given to any if one of them has refused.
    pub fn answered(
        mut self,
        limits: &Limits,
        replies: &[(Answer, u32, u64)],
        now: HostTime,
    ) -> Result<(Verdict, Vec<Batch>), ConfigError> {
        // Later than the store's own answer, so that nobody is told to come back too early.
        let at = instant(now);
        if self.lacking.len() != replies.len() {
            return Err(ConfigError::new("the store has not answered for each limit"));
        }
        let is_admitted = replies.iter().all(|(answer, ..)| answer.wait == Some(0));
        let mut given = Vec::new();
        for (want, (answer, cells, mark)) in self.lacking.iter().zip(replies) {
            let Some(question) = self.questions.get(want.position) else { continue };
            // Of who has come once nothing is said from memory: a crowd of those shall not fill the table.
            if !is_admitted || *cells > question.cost || want.scarce {
                self.batches.note(question, answer, at);
            }
            if is_admitted {
                given.extend(self.batches.give(question, want, *cells, *mark, self.now));
            } else if answer.wait != Some(0) {
                self.batches.refuse(question, answer, want, at);
            }
            let mut said = answer.outcome();
            said.remaining = said.remaining.saturating_add(cells.saturating_sub(question.cost));
            if let Some(outcome) = self.outcomes.get_mut(want.position) {
                *outcome = said;
            }
        }
        if is_admitted {
            self.taken.clear();
        }
        Ok((limits.said(&self.outcomes), given))
    }
}

impl Drop for Wanting {
    fn drop(&mut self) {
        let at = instant(self.now.host);
        for taken in self.taken.drain(..) {
            self.batches.put_back(&taken, at);
        }
    }
}

impl Batches {
    /// Keeps what was given beyond what it costs.
    fn give(&self, question: &Question, want: &Want, cells: u32, mark: u64, now: Now) -> Option<Batch> {
        let at = instant(now.host);
        if matches!(question.rule, Told::Fixed { window, .. } if mark == window.end) {
            // The store is in the next window already, and what is held of this one is about to end.
            self.note_size(question, 0, false, at);
            let loose = cells.checked_sub(question.cost).filter(|&rest| rest > 0)?;
            let (name, rule, counter) = (question.name, question.rule, self.counter(&self.held, question));
            return Some(Batch { name, rule, mark, loose, counter, given: 0, until: 0, due: at });
        }
        let scarce = want.scarce && cells < want.cells;
        // What was wanted and not there is wanted again, and not twice as many.
        let size = if cells < want.cells { cells.max(want.cells / 2) } else { cells };
        self.note_size(question, size, scarce, at);
        if scarce && !matches!(question.rule, Told::Fixed { .. }) {
            // In a window of the calendar nothing replenishes: there it takes few questions to find the end.
            self.shut(question, self.pause(question), 1, at);
        }
        let rest = cells.checked_sub(question.cost).filter(|&rest| rest > 0)?;
        let lives = match question.rule {
            Told::Fixed { window, .. } => {
                window.end.saturating_mul(SECOND).saturating_sub(now.unix).min(self.lease)
            }
            _ => self.lease,
        };
        let counter = self.counter(&self.held, question);
        let (loose, end) = self.deposit(question, rest, at + lives, at);
        // What ends with an older one is due with it.
        let due = (at + lives / 8 * 5).min((end + MOST).saturating_sub(lives / 8 * 3));
        let (given, until) = (rest.saturating_sub(loose), at + lives + self.after());
        Some(Batch { name: question.name, rule: question.rule, mark, loose, counter, given, until, due })
    }
}

impl Batch {
    /// Whether what is left of it is idle, and to be given back.
    pub fn is_due(&self, now: HostTime) -> bool {
        instant(now) >= self.due
    }
}

const PASSES: Outcome = Outcome { admitted: true, ..Outcome::NOTHING };
/// Of a word that say how many.
const BITS: u32 = 24;
/// The most that they can say.
const MOST: u64 = (1 << BITS) - 1;
/// In the word that says how many were given last: whether more were asked for than there were.
const SCARCE: u32 = 1 << (BITS - 1);
const SHORTEST_LEASE: u64 = SECOND / 10;
const LONGEST_LEASE: u64 = 60 * SECOND;
