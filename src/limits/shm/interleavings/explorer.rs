//! Runs the table through every order in which the steps of several processes can fall.
//!
//! A step is one operation on one word (a load, a swap, a ticket) or a nap. A process is the table's own code,
//! replayed: it is deterministic but for what memory answers, so the answers so far say where it
//! stands. The memory of its replay answers from that list, and when the list ends, unwinds with the step wanted next.
//! States that were seen are not explored again, which makes the search exhaustive and short.
//!
//! All steps are sequentially consistent, here as in `words`.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};
use std::num::NonZeroU32;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;

use super::super::layout::Shape;
use super::super::table::{Table, Tried};
use super::super::words::Words;
use crate::limits::Quota;
use crate::limits::counters::Moment;
use crate::limits::gcra;
use crate::limits::key::CounterKey;
use crate::time::HostTime;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Load(usize),
    Swap(usize, u64, u64),
    Ticket(usize),
    Nap,
}

/// Where a process stands.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Local {
    /// At a [`Point`].
    At(usize),
    Ended(u64),
    /// Patience ended.
    Tired,
    Dead,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct State {
    words: Vec<u64>,
    locals: Vec<Local>,
}

/// The round of a process's loop, what memory has answered in this round, and what follows. A new round remembers
/// nothing of the last but the clock, so neither do we.
struct Point {
    process: usize,
    round: u32,
    answers: Rc<Vec<u64>>,
    next: Next,
}

/// The points that were reached. Each is replayed once.
struct Points<'p> {
    processes: &'p [Process],
    rules: Rules,
    points: Vec<Point>,
    starts: HashMap<(usize, u32), usize>,
    steps: HashMap<(usize, u64), usize>,
}

impl Points<'_> {
    fn start(&mut self, process: usize, round: u32) -> usize {
        if let Some(&known) = self.starts.get(&(process, round)) {
            return known;
        }
        let point = self.add(process, round, Rc::default());
        self.starts.insert((process, round), point);
        point
    }

    fn after(&mut self, point: usize, answer: u64) -> usize {
        if let Some(&known) = self.steps.get(&(point, answer)) {
            return known;
        }
        let Point { process, round, ref answers, .. } = self.points[point];
        let answers = Rc::new(answers.iter().copied().chain([answer]).collect());
        let next = self.add(process, round, answers);
        self.steps.insert((point, answer), next);
        next
    }

    fn add(&mut self, process: usize, round: u32, answers: Rc<Vec<u64>>) -> usize {
        let next = replay(&self.processes[process], self.rules, round, &answers);
        self.points.push(Point { process, round, answers, next });
        self.points.len() - 1
    }
}

/// The memory of a replay. A swap is answered with what was there; whether that was expected the step tells.
pub(super) struct Replay {
    answers: Rc<Vec<u64>>,
    at: Cell<usize>,
}

impl Replay {
    fn answer(&self, step: Step) -> u64 {
        let at = self.at.get();
        self.at.set(at + 1);
        self.answers.get(at).copied().unwrap_or_else(|| resume_unwind(Box::new(step)))
    }
}

impl Words for Replay {
    fn load(&self, at: usize) -> u64 {
        self.answer(Step::Load(at))
    }

    fn compare_exchange(&self, at: usize, current: u64, new: u64) -> Result<u64, u64> {
        let found = self.answer(Step::Swap(at, current, new));
        if found == current { Ok(found) } else { Err(found) }
    }

    fn next(&self, at: usize) -> u64 {
        self.answer(Step::Ticket(at))
    }

    fn pause(&self, _round: u32) -> u64 {
        self.answer(Step::Nap)
    }
}

/// The memory of the last look at a final state, when only one process is left.
struct Alone(RefCell<Vec<u64>>);

impl Words for Alone {
    fn load(&self, at: usize) -> u64 {
        self.0.borrow()[at]
    }

    fn compare_exchange(&self, at: usize, current: u64, new: u64) -> Result<u64, u64> {
        let found = self.0.borrow()[at];
        if found != current {
            return Err(found);
        }
        self.0.borrow_mut()[at] = new;
        Ok(found)
    }

    fn next(&self, at: usize) -> u64 {
        self.0.borrow_mut()[at] += 1;
        self.0.borrow()[at] - 1
    }

    fn pause(&self, _round: u32) -> u64 {
        1_000_000
    }
}

/// Hashes states: the standard hasher takes most of an unoptimised search.
#[derive(Default)]
struct Quick(u64);

impl Hasher for Quick {
    fn write(&mut self, bytes: &[u8]) {
        for word in bytes.chunks(8) {
            let word = word.iter().fold(0, |word, &byte| word << 8 | u64::from(byte));
            self.write_u64(word);
        }
    }

    fn write_u64(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(23) ^ word).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        self.0 ^= self.0 >> 29;
    }

    fn write_usize(&mut self, word: usize) {
        self.write_u64(word as u64);
    }

    fn write_isize(&mut self, word: isize) {
        self.write_u64(word as u64);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// How a search is bounded.
#[derive(Clone, Copy)]
pub(super) struct Rules {
    /// Nanoseconds that a nap takes.
    pub(super) nap: u64,
    /// Rounds until a process gives up.
    pub(super) patience: u32,
}

/// Naps are too short for a claim to be stolen.
pub(super) const ORDERLY: Rules = Rules { nap: 0, patience: 3 };
/// Each nap outlasts a claim: whoever waits at all steals, so every claim may turn out to be that of a process that was
/// merely slow.
pub(super) const STEALING: Rules = Rules { nap: 3_000_000, patience: 2 };

/// One slot to a bucket, so that few keys already contend.
pub(super) type Small<'w, W> = Table<'w, W, 1>;

fn table<W: Words + ?Sized>(words: &W, patience: u32) -> Small<'_, W> {
    let mut table = Table::new(words, SHAPE);
    table.patience = patience;
    table
}

const SHAPE: Shape = Shape { header: 1, buckets: 2, pairs: 1, tickets: 0 };

/// A key whose home is bucket `home` of the two.
pub(super) fn key(name: u64, home: u32) -> CounterKey {
    CounterKey { name: name << 16, first: home << 31, second: (1 - home) << 31, spill: 1 }
}

/// The words of a table that holds these slots: `(name, instant)` for each bucket.
pub(super) fn holding(slots: [(u64, u64); 2]) -> Vec<u64> {
    let [(n0, t0), (n1, t1)] = slots;
    vec![1, n0 << 16, t0, n1 << 16, t1, 0, 0]
}

/// One round of what a process does, given the time waited so far; by convention it returns 1 if admitted.
pub(super) type Process = Box<dyn Fn(&Small<'_, Replay>, u64) -> Tried<u64>>;

pub(super) fn charge(key: CounterKey, quota: &str, now: u64) -> Process {
    let quota = quota_of(quota);
    let moment = Moment::new(now, quota.fill());
    // GCRA for one cell. The arithmetic is governor's elsewhere; here it is the swaps that are tried.
    let decide = move |tat: Option<u64>| {
        let next = tat.unwrap_or(now).max(now) + quota.interval();
        if next > now + quota.fill() { Err(()) } else { Ok(((), next)) }
    };
    Box::new(move |table, waited| match table.attempt(&key, moment, now + waited, &decide) {
        Tried::Done(answer) => Tried::Done(u64::from(answer.is_ok())),
        Tried::Again => Tried::Again,
    })
}

pub(super) fn refund(key: CounterKey, quota: &str, now: u64) -> Process {
    let by = quota_of(quota).interval();
    Box::new(move |table, waited| {
        match table.attempt_adjust(&key, now, now + waited, &|tat: u64| Some(tat.saturating_sub(by).max(now)))
        {
            Tried::Done(()) => Tried::Done(0),
            Tried::Again => Tried::Again,
        }
    })
}

pub(super) fn quota_of(text: &str) -> Quota {
    Quota::parse(text).unwrap().remove(0)
}

#[derive(Clone, Copy)]
enum Next {
    Wants(Step),
    Ended(u64),
    Again,
}

fn replay(process: &Process, rules: Rules, round: u32, answers: &Rc<Vec<u64>>) -> Next {
    let memory = Replay { answers: answers.clone(), at: Cell::new(0) };
    let waited = rules.nap * u64::from(round);
    match catch_unwind(AssertUnwindSafe(|| process(&table(&memory, rules.patience), waited))) {
        Ok(Tried::Done(result)) => Next::Ended(result),
        Ok(Tried::Again) => Next::Again,
        Err(payload) => Next::Wants(*payload.downcast().unwrap_or_else(|panic| resume_unwind(panic))),
    }
}

fn apply(words: &mut [u64], step: Step, rules: Rules) -> u64 {
    match step {
        Step::Load(at) => words[at],
        Step::Swap(at, current, new) => {
            let found = words[at];
            if found == current {
                words[at] = new;
            }
            found
        }
        Step::Ticket(at) => {
            words[at] += 1;
            words[at] - 1
        }
        Step::Nap => rules.nap,
    }
}

/// How an execution ended: what each process returned (0 if it lost patience, none if it died).
pub(super) struct Ending<'a> {
    pub(super) words: &'a [u64],
    pub(super) results: Vec<Option<u64>>,
    pub(super) tired: bool,
}

impl Ending<'_> {
    /// Cells of a key that a single process can still take at `now`, given several tries.
    pub(super) fn left(&self, key: CounterKey, quota: &str, now: u64) -> u64 {
        let memory = Alone(RefCell::new(self.words.to_vec()));
        let quota = quota_of(quota);
        let take = || gcra::charge(&table(&memory, 8), &key, &quota, NonZeroU32::MIN, HostTime(now)).admitted;
        (0..5).map(|_| u64::from(take())).sum()
    }

    pub(super) fn admitted(&self) -> u64 {
        self.results.iter().flatten().sum()
    }
}

/// Explores everything from `words` on; returns how many states there are. The process `mortal` may die at any step.
pub(super) fn explore(
    rules: Rules,
    words: Vec<u64>,
    processes: &[Process],
    mortal: Option<usize>,
    check: impl Fn(&Ending<'_>),
) -> usize {
    let (points, starts, steps) = (vec![], HashMap::new(), HashMap::new());
    let mut points = Points { processes, rules, points, starts, steps };
    let locals = (0..processes.len()).map(|i| Local::At(points.start(i, 0))).collect();
    let mut seen: HashSet<State, BuildHasherDefault<Quick>> = HashSet::default();
    let mut open = vec![State { words, locals }];
    let mut endings = 0;
    while let Some(state) = open.pop() {
        assert!(seen.len() < 3_000_000, "too many states to be a test");
        let mut running = false;
        for (i, local) in state.locals.iter().enumerate() {
            let &Local::At(at) = local else { continue };
            running = true;
            let mut next = state.clone();
            let Point { round, next: wanted, .. } = points.points[at];
            next.locals[i] = match wanted {
                Next::Ended(result) => Local::Ended(result),
                Next::Again if round + 1 == rules.patience => Local::Tired,
                Next::Again => Local::At(points.start(i, round + 1)),
                Next::Wants(step) => Local::At(points.after(at, apply(&mut next.words, step, rules))),
            };
            if mortal == Some(i) {
                let mut dead = state.clone();
                dead.locals[i] = Local::Dead;
                if seen.insert(dead.clone()) {
                    open.push(dead);
                }
            }
            if seen.insert(next.clone()) {
                open.push(next);
            }
            // What ends a round touches no memory, so no other order of it is worth a look.
            if mortal != Some(i) && !matches!(wanted, Next::Wants(_)) {
                break;
            }
        }
        if !running {
            endings += 1;
            let results = state.locals.iter().map(|local| match local {
                Local::Ended(result) => Some(*result),
                Local::Tired => Some(0),
                _ => None,
            });
            let tired = state.locals.contains(&Local::Tired);
            check(&Ending { words: &state.words, results: results.collect(), tired });
        }
    }
    assert!(endings > 0);
    seen.len()
}
