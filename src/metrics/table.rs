//! Finds the slot of a series and adds to it.
//!
//! 1. A keyed hash of the kind and its labels says where the slot may be: from there on, up to 128 slots.
//! 2. The first that bears the hash is it. The first that is free is claimed by swapping 0 for the hash; who loses looks again.
//! 3. Whoever adds to a slot that is not marked as ready writes its labels first. All who do, write the same, so a process that dies in
//!    between leaves nothing that has to be repaired, and nobody waits.
//! 4. Without room, or beyond the most of its kind, it is counted under `<other>`. Routes have room of their own, and find no other: a
//!    series of a bounded kind always has its slot.
//! 5. What the file says is not believed: whoever damages it gets wrong numbers, and nothing else.
//!
//! Two series with one hash of 64 bits would be counted as one: with a million of them, one chance in thirty million.

use std::hash::Hasher;
use std::path::Path;
use std::sync::atomic::{
    AtomicBool, AtomicU64, Ordering::AcqRel, Ordering::Acquire, Ordering::Relaxed, Ordering::Release,
};

use crate::error::ConfigError;
use crate::shared::{COUNT_BITS, COUNTS, NUMBERS, Owner, Seed, SharedWords};
use crate::time::{HostTime, UnixTime};

use super::families::{Counter, DURATION, FAMILIES, Family, Fault, HISTOGRAM_BOUNDS};
use super::labels::{OTHER, UNMATCHED, fitted, method, packed, status, unpacked};
use super::layout::{
    BUCKETS, COUNTER_TEXT, HISTOGRAM_TEXT, KEPT, KEPT_SLOTS, READY, ROUTED, SERIES, START, Shape, TEXT_BYTES,
    TEXT_WORDS, VALUE, WORKERS,
};
use super::recent::{self, Refusal};
use super::timeline::{self, Step};

/// The metrics of an app, shared by the workers of a host or of this process alone.
pub struct Metrics {
    words: SharedWords<Shape>,
    remembers: AtomicBool,
    is_known: AtomicBool,
    /// Whether it is only looked at: then nothing is written to it.
    is_seen_only: bool,
}

/// A request that has ended.
pub struct Request<'a> {
    /// The template that matched, if one did.
    pub route: Option<&'a str>,
    /// As it came.
    pub method: &'a str,
    /// Of the answer.
    pub status: i64,
    /// How long it took, in microseconds.
    pub micros: u64,
    /// Whether the answer broke off, or its client went before its end.
    pub aborted: bool,
    /// Whether somebody only looked at what is counted: that has its series, and no part in the last hour.
    pub looking: bool,
    /// The codes of its refusals.
    pub codes: &'a [&'a str],
    /// The peer's, of a request that was refused.
    pub address: &'a str,
    /// Who it was, of a request that was refused; empty if that is not known.
    pub principal: &'a str,
}

/// A series and what it has come to.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// Of a counter with `_total`.
    pub name: String,
    /// Names and values.
    pub labels: Vec<(&'static str, String)>,
    /// What it has come to.
    pub value: f64,
}

/// A series as it stands in the table.
pub(super) struct Series<'w> {
    pub slot: &'w [AtomicU64],
    /// When it began, in seconds since 1970.
    pub born: f64,
    pub family: &'static Family,
    pub bytes: [u8; TEXT_BYTES],
}

impl Series<'_> {
    pub fn labels(&self) -> Option<Vec<&str>> {
        unpacked(&self.bytes, self.family.labels.len())
    }
}

impl Metrics {
    /// The table `directory/name`, shared by every process of the host that opens it.
    pub fn shared(
        directory: &Path,
        name: &str,
        shape: Shape,
        boot: &[u8],
        seed: Seed,
    ) -> Result<Self, ConfigError> {
        SharedWords::open(directory, name, shape, boot, seed).map(Self::of)
    }

    /// The table `directory/name` as it is, whatever its size, for who only looks; none if no process has made one since the host began.
    pub fn existing(directory: &Path, name: &str, boot: &[u8]) -> Result<Option<Self>, ConfigError> {
        let found = SharedWords::open_as_is(directory, name, boot)?;
        Ok(found.map(|words| Self { is_seen_only: true, ..Self::of(words) }))
    }

    /// Of this process alone.
    pub fn private(shape: Shape, seed: Seed) -> Self {
        Self::of(SharedWords::private(shape, seed))
    }

    fn of(words: SharedWords<Shape>) -> Self {
        Self {
            words,
            remembers: AtomicBool::new(false),
            is_known: AtomicBool::new(false),
            is_seen_only: false,
        }
    }

    /// Where the file is; none for a table of this process.
    pub fn path(&self) -> Option<&Path> {
        self.words.path()
    }

    /// How many series of routes the table has room for, and how many it has: of counters and of histograms.
    pub fn room(&self) -> (usize, usize) {
        let shape = self.words.layout();
        let room = shape.counters() + shape.histograms();
        let kinds = FAMILIES.iter().map(|family| family.most).chain([None]);
        let words = self.words.words().iter().skip(SERIES).zip(kinds);
        let routed = words.filter(|(_, most)| most.is_none()).map(|(word, _)| word.load(Relaxed));
        (room, routed.fold(0_u64, u64::saturating_add).min(room as u64) as usize)
    }

    /// From now on the last refusals are remembered, with address and principal.
    pub fn remember_refusals(&self) {
        self.remembers.store(true, Relaxed);
    }

    /// Counts a request that has ended.
    pub fn request(&self, request: &Request<'_>, now: UnixTime, host: HostTime) {
        let route = request.route.map_or(UNMATCHED.into(), |route| fitted(route, ROUTE_BYTES));
        let verb = method(request.method);
        let labels = [&*route, verb, status(request.status)];
        self.add(Counter::Requests, &labels, 1, now);
        if request.aborted {
            self.add(Counter::Aborted, &labels, 1, now);
        }
        self.observe(&[&route, verb], request.micros, now);
        for code in request.codes {
            self.refused(code, 1, now);
        }
        let words = self.words.words();
        let failed = (500..600).contains(&request.status);
        if !request.looking || failed || !request.codes.is_empty() {
            timeline::count(words, now.0, !request.codes.is_empty(), failed);
        }
        if let Some(code) = request.codes.last()
            && self.remembers.load(Relaxed)
        {
            recent::remember(words, now.0, [code, request.address, request.principal, verb, &route]);
        }
        if !self.is_known.load(Relaxed) {
            self.is_known.store(true, Relaxed);
            self.begin(now, host);
        }
    }

    /// Adds to what counts refusals by this code.
    pub fn refused(&self, code: &str, count: u64, now: UnixTime) {
        self.add(Counter::Refusals, &[code], count, now);
        match Fault::of(code) {
            Fault::Credential => self.add(Counter::AuthFailures, &[code], count, now),
            Fault::Shape => self.add(Counter::ValidationFailures, &[code], count, now),
            Fault::Other => {}
        }
    }

    /// Adds to a counter with these labels, one for each that its kind has. What adds 0 has the series begin.
    pub fn add(&self, counter: Counter, labels: &[&str], count: u64, now: UnixTime) {
        let family = counter.family();
        let room = TEXT_BYTES / labels.len().max(1) - 1;
        if labels.iter().any(|label| label.len() > room) && family.most.is_some() {
            let cut: Vec<_> = labels.iter().map(|label| fitted(label, room)).collect();
            let cut: Vec<&str> = cut.iter().map(AsRef::as_ref).collect();
            return self.add(counter, &cut, count, now);
        }
        let shape = self.words.layout();
        let slots = if family.most.is_some() { (KEPT, KEPT_SLOTS) } else { (ROUTED, shape.counters()) };
        let place = |index| shape.counter(index);
        let found = self.find(counter.number(), family, labels, place, slots, COUNTER_TEXT, count, now);
        let words = self.words.words();
        if let Some(word) = words.get(found + VALUE) {
            word.fetch_add(count, Relaxed);
        }
    }

    fn observe(&self, labels: &[&str], micros: u64, now: UnixTime) {
        let shape = self.words.layout();
        let slots = (1, shape.histograms());
        let place = |index| shape.histogram(index);
        let found = self.find(FAMILIES.len(), &DURATION, labels, place, slots, HISTOGRAM_TEXT, 1, now);
        let bucket = HISTOGRAM_BOUNDS.iter().take_while(|(bound, _)| micros > *bound).count();
        let words = self.words.words();
        if let (Some(sum), Some(bucket)) = (words.get(found + VALUE), words.get(found + BUCKETS + bucket)) {
            sum.fetch_add(micros, Relaxed);
            bucket.fetch_add(1, Relaxed);
        }
    }

    /// The first word of the slot of a series. `kept` slots come before those that are found by their hash.
    #[inline]
    #[expect(clippy::too_many_arguments, reason = "counters and histograms differ in all of them")]
    fn find(
        &self,
        number: usize,
        family: &Family,
        labels: &[&str],
        place: impl Fn(usize) -> usize,
        (kept, slots): (usize, usize),
        text: usize,
        count: u64,
        now: UnixTime,
    ) -> usize {
        if labels.is_empty() {
            // There is but one of its kind, and it has a slot of its own.
            let at = place(number);
            self.name(at, number, labels, text, now);
            return at;
        }
        let words = self.words.words();
        let hash = self.hash(number, labels);
        let first = ((u128::from(hash) * slots as u128) >> 64) as usize;
        let probes = if family.most.is_some() { slots } else { PROBES.min(slots) };
        for step in 0..probes {
            let at = place(kept + (first + step) % slots);
            let Some(word) = words.get(at) else { break };
            let mut found = word.load(Acquire);
            if found == 0 {
                let series = words.get(SERIES + number);
                if series.zip(family.most).is_some_and(|(series, most)| series.load(Relaxed) >= most) {
                    break;
                }
                found = match word.compare_exchange(0, hash, AcqRel, Acquire) {
                    Ok(_) => {
                        if let Some(series) = series {
                            series.fetch_add(1, Relaxed);
                        }
                        hash
                    }
                    Err(other) => other,
                };
            }
            if found == hash {
                self.name(at, number, labels, text, now);
                return at;
            }
        }
        // What only begins a series has lost nothing.
        self.add(Counter::Overflow, &[], count.min(1), now);
        let other = [OTHER; 3];
        let at = place(if number < FAMILIES.len() { number } else { 0 });
        self.name(at, number, other.get(..labels.len()).unwrap_or_default(), text, now);
        at
    }

    /// Writes what a slot is about, if nobody has finished that.
    #[inline]
    fn name(&self, at: usize, number: usize, labels: &[&str], text: usize, now: UnixTime) {
        let words = self.words.words();
        let Some(ready) = words.get(at + READY) else { return };
        if ready.load(Acquire) != 0 {
            return;
        }
        if let Some(born) = words.get(at + text - 1) {
            let _ = born.compare_exchange(0, (now.0.max(0.0) * 1e6) as u64, Relaxed, Relaxed);
        }
        let mut bytes = [0; TEXT_BYTES];
        packed(labels, &mut bytes);
        for (word, chunk) in words.iter().skip(at + text).zip(bytes.chunks_exact(8)) {
            word.store(chunk.iter().rev().fold(0, |word, &byte| word << 8 | u64::from(byte)), Relaxed);
        }
        ready.store(1 + number as u64, Release);
    }

    fn hash(&self, number: usize, labels: &[&str]) -> u64 {
        let mut hasher = self.words.seed().quick_hasher();
        hasher.write_u8(number as u8);
        for label in labels {
            hasher.write(label.as_bytes());
            hasher.write_u8(0xff); // in no UTF-8
        }
        hasher.finish().max(1)
    }

    /// The counters, kind by kind.
    pub(super) fn counters(&self) -> Vec<Vec<Series<'_>>> {
        let shape = self.words.layout();
        let mut found: Vec<Vec<Series<'_>>> = FAMILIES.iter().map(|_| Vec::new()).collect();
        for index in 0..shape.places() {
            if let Some((number, series)) = self.series(shape.counter(index), COUNTER_TEXT, FAMILIES.get(..))
                && let Some(of_kind) = found.get_mut(number)
            {
                of_kind.push(series);
            }
        }
        found
    }

    pub(super) fn histograms(&self) -> Vec<Series<'_>> {
        let shape = self.words.layout();
        let found = (0..=shape.histograms())
            .filter_map(|index| self.series(shape.histogram(index), HISTOGRAM_TEXT, None));
        found.map(|(_, series)| series).collect()
    }

    fn series(
        &self,
        at: usize,
        text: usize,
        kinds: Option<&'static [Family]>,
    ) -> Option<(usize, Series<'_>)> {
        let slot = self.words.words().get(at..at + text + TEXT_WORDS)?;
        let number = slot[READY].load(Acquire).checked_sub(1)? as usize;
        let family = match kinds {
            Some(kinds) => kinds.get(number)?,
            None => &DURATION,
        };
        let mut bytes = [0; TEXT_BYTES];
        for (chunk, word) in bytes.chunks_exact_mut(8).zip(&slot[text..]) {
            chunk.copy_from_slice(&word.load(Relaxed).to_le_bytes());
        }
        let born = slot[text - 1].load(Relaxed) as f64 / 1e6;
        Some((number, Series { slot, born, family, bytes }))
    }

    /// All counters, and of each histogram its count and its sum.
    pub fn samples(&self) -> Vec<Sample> {
        let named = |series: &Series<'_>, name: String, value: f64| {
            let labels = series.labels()?;
            let labels =
                series.family.labels.iter().zip(labels).map(|(name, value)| (*name, value.to_owned()));
            Some(Sample { name, labels: labels.collect(), value })
        };
        let mut found = Vec::new();
        for series in self.counters().iter().flatten() {
            let value = series.slot[VALUE].load(Relaxed) as f64;
            found.extend(named(series, format!("{}_total", series.family.name), value));
        }
        for series in &self.histograms() {
            let buckets = series.slot.iter().skip(BUCKETS).take(HISTOGRAM_BOUNDS.len() + 1);
            let count = buckets.map(|word| word.load(Relaxed)).fold(0, u64::wrapping_add);
            found.extend(named(series, format!("{}_count", series.family.name), count as f64));
            let sum = series.slot[VALUE].load(Relaxed) as f64 / 1e6;
            found.extend(named(series, format!("{}_sum", series.family.name), sum));
        }
        found
    }

    /// The last hour, oldest first.
    pub fn timeline(&self, now: UnixTime) -> Vec<Step> {
        timeline::read(self.words.words(), now.0)
    }

    /// The last `limit` refusals that were remembered, newest first.
    pub fn recent(&self, limit: usize) -> Vec<Refusal> {
        recent::read(self.words.words(), limit)
    }

    /// When the first request was counted, in seconds since 1970; 0 before.
    pub fn since(&self) -> f64 {
        self.words.words().get(START).map_or(0.0, |word| word.load(Relaxed) as f64 / 1e6)
    }

    fn begin(&self, now: UnixTime, host: HostTime) {
        let words = self.words.words();
        if let Some(start) = words.get(START) {
            let _ = start.compare_exchange(0, (now.0.max(0.0) * 1e6) as u64, Relaxed, Relaxed);
        }
        // Without a number it counts all the same, and is not counted among the workers.
        if let Ok(Owner { number, taken }) = self.words.own(host.0)
            && let Some(word) = words.get(WORKERS + number as usize)
        {
            word.store(1 << COUNT_BITS | u64::from(taken), Relaxed);
        }
    }

    /// How many processes live that have counted a request.
    pub fn workers(&self, host: HostTime) -> usize {
        let mut alive = 0;
        for (number, word) in (0..NUMBERS).zip(self.words.words().iter().skip(WORKERS)) {
            let seen = word.load(Relaxed);
            if seen == 0 {
                continue;
            }
            let taken = seen as u32 & (COUNTS - 1);
            if self.words.lives(Owner { number, taken }, host.0) {
                alive += 1;
            } else if !self.is_seen_only {
                let _ = word.compare_exchange(seen, 0, Relaxed, Relaxed);
            }
        }
        if self.is_known.load(Relaxed) {
            // Touches this process's file, lest it be swept away for its age.
            let _ = self.words.own(host.0);
        }
        alive
    }

    /// To be called in a forked child: it is another worker.
    pub fn forget_parent(&self) {
        self.words.forget_parent();
        self.is_known.store(false, Relaxed);
    }
}

const PROBES: usize = 128;
/// So that a method and a status find room beside it.
const ROUTE_BYTES: usize = 200;
