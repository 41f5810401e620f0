//! The last 1,000 findings of the host, by name: the one place of the table that holds any.
//!
//! A ring of pages of 40 words. A page's first word is odd while it is written, and tells which finding it is; who reads
//! it looks at that word before and after, and leaves out what changed meanwhile, or was left unfinished by a process
//! that died.
//!
//! ```text
//! 0        twice the finding's number, and 1 while it is written
//! 1        when, in seconds since 1970 (a float)
//! 2, 3     the count, the threshold
//! 4        severity, kind of subject, response: 8 bits each, and whether it was enforced
//! 5..9     the rule, 32 bytes of UTF-8, filled up with zeros
//! 9..25    the subject, 128 bytes
//! 25..33   the route, 64 bytes
//! 33..37   the request's id, 32 bytes
//! ```

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst};
use std::sync::atomic::fence;

use super::layout::{BOOK, NEXT_PAGE};

pub(super) const PAGES: usize = 1000;
pub(super) const PAGE: usize = 40;
const RULE: (usize, usize) = (5, 4);
const SUBJECT: (usize, usize) = (9, 16);
const ROUTE: (usize, usize) = (25, 8);
const REQUEST: (usize, usize) = (33, 4);

/// A finding, as it is told.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Entry {
    /// Seconds since 1970-01-01 UTC.
    pub time: f64,
    /// What was counted.
    pub count: u64,
    /// What was too much.
    pub threshold: u64,
    /// 1 to 5, as in OCSF: informational, low, medium, high, critical.
    pub severity: u8,
    /// The place of the subject's kind in [`Subject::NAMES`](super::Subject::NAMES).
    pub subject_kind: u8,
    /// Which response; what the numbers mean is for who writes them.
    pub response: u8,
    /// Whether the response was made.
    pub enforced: bool,
    /// The rule's name.
    pub rule: String,
    /// Whom it is about.
    pub subject: String,
    /// The route of the last request, if one matched.
    pub route: String,
    /// The id of the last request.
    pub request_id: String,
}

/// The book in a table's words.
#[derive(Clone, Copy)]
pub struct Book<'a> {
    words: &'a [AtomicU64],
}

impl<'a> Book<'a> {
    /// In the words of a table of any [`Layout`](super::Layout).
    pub fn new(words: &'a [AtomicU64]) -> Self {
        Self { words }
    }

    /// Writes a finding over the oldest. Texts are cut to their places.
    pub fn write(&self, entry: &Entry) {
        let Some(next) = self.words.get(NEXT_PAGE) else { return };
        let number = next.fetch_add(1, AcqRel) + 1;
        let Some(page) = self.page(number) else { return };
        let Some(state) = page.first() else { return };
        state.store(number << 1 | 1, SeqCst);
        fence(Release);
        let meta = u64::from(entry.severity)
            | u64::from(entry.subject_kind) << 8
            | u64::from(entry.response) << 16
            | u64::from(entry.enforced) << 24;
        for (index, value) in
            [entry.time.to_bits(), entry.count, entry.threshold, meta].into_iter().enumerate()
        {
            store(page, index + 1, value);
        }
        put(page, RULE, &entry.rule);
        put(page, SUBJECT, &entry.subject);
        put(page, ROUTE, &entry.route);
        put(page, REQUEST, &entry.request_id);
        // If another has come round to this page meanwhile, it is theirs.
        let _ = state.compare_exchange(number << 1 | 1, number << 1, Release, Relaxed);
    }

    /// The last findings, the newest first.
    pub fn read(&self, limit: usize) -> Vec<Entry> {
        let last = self.words.get(NEXT_PAGE).map_or(0, |word| word.load(Acquire));
        let oldest = last.saturating_sub(PAGES.min(limit) as u64);
        (oldest + 1..=last).rev().filter_map(|number| self.entry(number)).collect()
    }

    /// How many findings there were.
    pub fn total(&self) -> u64 {
        self.words.get(NEXT_PAGE).map_or(0, |word| word.load(Acquire))
    }

    fn entry(&self, number: u64) -> Option<Entry> {
        let page = self.page(number)?;
        let state = page.first()?;
        let before = state.load(Acquire);
        let word = |index: usize| page.get(index).map_or(0, |word| word.load(Relaxed));
        let meta = word(4);
        let entry = Entry {
            time: f64::from_bits(word(1)),
            count: word(2),
            threshold: word(3),
            severity: meta as u8,
            subject_kind: (meta >> 8) as u8,
            response: (meta >> 16) as u8,
            enforced: meta >> 24 & 1 == 1,
            rule: text(page, RULE),
            subject: text(page, SUBJECT),
            route: text(page, ROUTE),
            request_id: text(page, REQUEST),
        };
        fence(Acquire);
        (before == number << 1 && state.load(Relaxed) == before).then_some(entry)
    }

    fn page(&self, number: u64) -> Option<&'a [AtomicU64]> {
        let start = BOOK + (number % PAGES as u64) as usize * PAGE;
        self.words.get(start..start + PAGE)
    }
}

fn store(page: &[AtomicU64], index: usize, value: u64) {
    if let Some(word) = page.get(index) {
        word.store(value, Relaxed);
    }
}

fn put(page: &[AtomicU64], (start, words): (usize, usize), text: &str) {
    let mut end = text.len().min(words * 8);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let bytes = text.as_bytes().get(..end).unwrap_or_default();
    for index in 0..words {
        let mut word = [0; 8];
        for (to, from) in word.iter_mut().zip(bytes.iter().skip(index * 8)) {
            *to = *from;
        }
        store(page, start + index, u64::from_le_bytes(word));
    }
}

fn text(page: &[AtomicU64], (start, words): (usize, usize)) -> String {
    let mut bytes: Vec<u8> = page
        .get(start..start + words)
        .unwrap_or_default()
        .iter()
        .flat_map(|word| word.load(Relaxed).to_le_bytes())
        .collect();
    bytes.truncate(bytes.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1));
    String::from_utf8_lossy(&bytes).into_owned()
}
