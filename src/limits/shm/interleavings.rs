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

use super::layout::Shape;
use super::table::{Moment, Table, Tried};
use super::words::Words;
use crate::limits::Quota;
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
struct Replay {
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
struct Rules {
    /// Nanoseconds that a nap takes.
    nap: u64,
    /// Rounds until a process gives up.
    patience: u32,
}

/// Naps are too short for a claim to be stolen.
const ORDERLY: Rules = Rules { nap: 0, patience: 3 };
/// Each nap outlasts a claim: whoever waits at all steals, so every claim may turn out to be that of a process that was
/// merely slow.
const STEALING: Rules = Rules { nap: 3_000_000, patience: 2 };

/// One slot to a bucket, so that few keys already contend.
type Small<'w, W> = Table<'w, W, 1>;

fn table<W: Words + ?Sized>(words: &W, patience: u32) -> Small<'_, W> {
    let mut table = Table::new(words, SHAPE);
    table.patience = patience;
    table
}

const SHAPE: Shape = Shape { header: 1, buckets: 2, pairs: 1, tickets: 0 };

/// A key whose home is bucket `home` of the two.
fn key(name: u64, home: u32) -> CounterKey {
    CounterKey { name: name << 16, first: home, second: 1 - home, spill: 1 }
}

/// The words of a table that holds these slots: `(name, instant)` for each bucket.
fn holding(slots: [(u64, u64); 2]) -> Vec<u64> {
    let [(n0, t0), (n1, t1)] = slots;
    vec![1, n0 << 16, t0, n1 << 16, t1, 0, 0]
}

/// One round of what a process does, given the time waited so far; by convention it returns 1 if admitted.
type Process = Box<dyn Fn(&Small<'_, Replay>, u64) -> Tried<u64>>;

fn charge(key: CounterKey, quota: &str, now: u64) -> Process {
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

fn refund(key: CounterKey, quota: &str, now: u64) -> Process {
    let by = quota_of(quota).interval();
    Box::new(move |table, waited| match table.attempt_refund(&key, now, now + waited, by) {
        Tried::Done(()) => Tried::Done(0),
        Tried::Again => Tried::Again,
    })
}

fn quota_of(text: &str) -> Quota {
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
struct Ending<'a> {
    words: &'a [u64],
    results: Vec<Option<u64>>,
    tired: bool,
}

impl Ending<'_> {
    /// Cells of a key that a single process can still take at `now`, given several tries.
    fn left(&self, key: CounterKey, quota: &str, now: u64) -> u64 {
        let memory = Alone(RefCell::new(self.words.to_vec()));
        let quota = quota_of(quota);
        let take = || gcra::charge(&table(&memory, 8), &key, &quota, NonZeroU32::MIN, HostTime(now)).admitted;
        (0..5).map(|_| u64::from(take())).sum()
    }

    fn admitted(&self) -> u64 {
        self.results.iter().flatten().sum()
    }
}

/// Explores everything from `words` on; returns how many states there are. The process `mortal` may die at any step.
fn explore(
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

const NOW: u64 = 1_000_000_000_000;
const ONCE: &str = "1/year";
const TWICE: &str = "2/year";

#[test]
fn the_search_finds_a_lost_update() {
    let increment = || -> Process {
        Box::new(|table, _| {
            let seen = table.words.load(5);
            Tried::Done(table.words.compare_exchange(5, seen, seen + 1).is_ok().into())
        })
    };
    let lost = Cell::new(false);
    explore(ORDERLY, holding([(0, 0), (0, 0)]), &[increment(), increment()], None, |ending| {
        lost.set(lost.get() || ending.words[5] == 1);
    });
    assert!(lost.get());
}

#[test]
fn two_inserts_of_one_key_make_one_counter() {
    let a = key(7, 0);
    for rules in [ORDERLY, STEALING] {
        let processes = [charge(a, TWICE, NOW), charge(a, TWICE, NOW)];
        let states = explore(rules, holding([(0, 0), (0, 0)]), &processes, None, |ending| {
            let taken = ending.admitted() + ending.left(a, TWICE, NOW);
            assert!(taken <= 2, "{:?}", ending.results);
            assert!(ending.tired || taken == 2, "a cell was lost: {:?}", ending.results);
        });
        assert!(states > 500, "{states}");
    }
}

#[test]
fn three_inserts_of_one_key_make_one_counter() {
    let a = key(7, 0);
    let processes = [charge(a, TWICE, NOW), charge(a, TWICE, NOW), charge(a, TWICE, NOW)];
    let rules = Rules { patience: 1, ..ORDERLY };
    explore(rules, holding([(0, 0), (8, NOW * 9)]), &processes, None, |ending| {
        assert!(ending.admitted() + ending.left(a, TWICE, NOW) <= 2, "{:?}", ending.results);
    });
}

#[test]
fn a_charge_that_meets_a_reclaim_is_lost_by_no_one() {
    // Key 7 was quiet and is charged; key 8 wants its slot, the only free one.
    let (a, b) = (key(7, 0), key(8, 0));
    for rules in [ORDERLY, STEALING] {
        let words = holding([(7, NOW - 5), (9, NOW * 9)]);
        explore(rules, words, &[charge(a, ONCE, NOW), charge(b, ONCE, NOW)], None, |ending| {
            for (i, key) in [a, b].into_iter().enumerate() {
                let taken = ending.results[i].unwrap() + ending.left(key, ONCE, NOW);
                assert!(taken <= 1, "key {i} was admitted {taken} times: {:?}", ending.results);
            }
        });
    }
}

#[test]
fn two_keys_that_want_one_slot_are_both_counted() {
    let (a, b) = (key(7, 0), key(8, 1));
    for rules in [ORDERLY, STEALING] {
        let words = holding([(0, 0), (9, NOW * 9)]);
        explore(rules, words, &[charge(a, ONCE, NOW), charge(b, ONCE, NOW)], None, |ending| {
            for (i, key) in [a, b].into_iter().enumerate() {
                assert!(ending.results[i].unwrap() + ending.left(key, ONCE, NOW) <= 1);
            }
        });
    }
}

#[test]
fn a_process_that_dies_at_any_step_wedges_no_key() {
    let a = key(7, 0);
    for words in [holding([(0, 0), (0, 0)]), holding([(8, NOW - 5), (9, NOW * 9)])] {
        explore(ORDERLY, words, &[charge(a, TWICE, NOW)], Some(0), |ending| {
            // The next caller waits no longer than a claim is honoured. The dead one took one cell with it, or none.
            let left = ending.left(a, TWICE, NOW);
            assert!((1..=2).contains(&left), "{left} {:?}", ending.words);
        });
    }
}

#[test]
fn a_process_that_dies_at_any_step_gives_nothing_away() {
    let a = key(7, 0);
    for rules in [ORDERLY, STEALING] {
        let processes = [charge(a, ONCE, NOW), charge(a, ONCE, NOW)];
        explore(rules, holding([(0, 0), (0, 0)]), &processes, Some(0), |ending| {
            assert!(ending.admitted() + ending.left(a, ONCE, NOW) <= 1);
        });
    }
}

#[test]
fn a_claim_of_a_dead_process_is_stolen_at_once_when_it_is_old() {
    let mark = super::layout::claim_mark(NOW - 2_000_000_000, 0);
    // It died before renaming, and after.
    for name in [0, 7] {
        let a = key(7, 0);
        let rules = Rules { nap: 0, patience: 1 };
        explore(rules, holding([(name, mark), (8, NOW * 9)]), &[charge(a, ONCE, NOW)], None, |ending| {
            assert_eq!(ending.results, [Some(1)]);
            assert!(!ending.tired);
            assert_eq!(ending.left(a, ONCE, NOW), 0);
        });
    }
}

#[test]
fn an_owner_that_wakes_up_after_its_claim_was_stolen_harms_no_one() {
    // The second comes 5 ms later and so steals whatever the first has claimed, wherever that one stands still.
    let (a, b) = (key(7, 0), key(8, 0));
    let late = NOW + 5_000_000;
    for rules in [ORDERLY, STEALING] {
        let words = holding([(0, 0), (9, NOW * 9)]);
        explore(rules, words, &[charge(a, ONCE, NOW), charge(b, ONCE, late)], None, |ending| {
            for (i, key) in [a, b].into_iter().enumerate() {
                assert!(ending.results[i].unwrap() + ending.left(key, ONCE, late) <= 1);
            }
        });
        let words = holding([(0, 0), (0, 0)]);
        explore(rules, words, &[charge(a, ONCE, NOW), charge(a, ONCE, late)], None, |ending| {
            assert!(ending.admitted() + ending.left(a, ONCE, late) <= 1);
        });
    }
}

#[test]
fn an_owner_that_wakes_up_between_two_others_harms_no_one() {
    let (a, b) = (key(7, 0), key(8, 0));
    let late = NOW + 5_000_000;
    let rules = Rules { nap: 0, patience: 1 };
    let processes = [charge(a, ONCE, NOW), charge(b, ONCE, late), charge(a, ONCE, late)];
    explore(rules, holding([(0, 0), (9, NOW * 9)]), &processes, None, |ending| {
        let taken = ending.results[0].unwrap() + ending.results[2].unwrap() + ending.left(a, ONCE, late);
        assert!(taken <= 1, "{:?}", ending.results);
        assert!(ending.results[1].unwrap() + ending.left(b, ONCE, late) <= 1);
    });
}

#[test]
fn what_was_spent_in_the_overflow_is_not_forgiven_by_a_slot() {
    // For the first process both slots are live; for the second, a moment later, one has become free.
    let a = key(7, 0);
    for rules in [ORDERLY, STEALING] {
        let words = holding([(8, NOW + 50), (9, NOW * 9)]);
        explore(rules, words, &[charge(a, ONCE, NOW), charge(a, ONCE, NOW + 100)], None, |ending| {
            let taken = ending.admitted() + ending.left(a, ONCE, NOW + 100);
            assert!(taken <= 1, "{:?} {:?}", ending.results, ending.words);
        });
    }
}

#[test]
fn a_refund_that_meets_a_charge_gives_back_one_cell_once() {
    let a = key(7, 0);
    let full = NOW + quota_of(TWICE).fill();
    let processes = [charge(a, TWICE, NOW), refund(a, TWICE, NOW)];
    explore(ORDERLY, holding([(7, full), (9, NOW * 9)]), &processes, None, |ending| {
        assert!(ending.tired || ending.admitted() + ending.left(a, TWICE, NOW) == 1);
    });
}

#[test]
fn a_refund_that_meets_a_reclaim_gives_a_stranger_nothing() {
    // Key 7's charge has just run off, so its slot is key 8's for the taking.
    let (a, b) = (key(7, 0), key(8, 0));
    let words = holding([(7, NOW + 10), (9, NOW * 9)]);
    let processes = [refund(a, ONCE, NOW), charge(b, ONCE, NOW + 20)];
    explore(ORDERLY, words, &processes, None, |ending| {
        assert!(ending.admitted() + ending.left(b, ONCE, NOW + 20) <= 1, "{:?}", ending.results);
    });
}
