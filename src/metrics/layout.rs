//! Where things are in the table.
//!
//! ```text
//! header      one page (`shared`); in it START and the series of each kind
//! workers     1024 words: which process has that number, 0 for none
//! timeline    720 steps of 3 words
//! recent      2048 refusals of 32 words, behind their cursor
//! counters    slots of 32 words:  hash, ready, value, born, labels
//!             one for `<other>` of each kind; 2048 for the kinds whose number is bounded; then those of routes
//! histograms  slots of 48 words:  hash, ready, microseconds, 15 buckets, born, labels
//! ```
//! A slot is written once and is then the same series for ever. Its hash is 0 while it is free. Routes have slots of their own, so that no
//! number of them leaves a refusal or a ban without one.

use crate::error::ConfigError;
use crate::shared::{HEADER_WORDS, Layout};

use super::families::{BOUNDED, FAMILIES, HISTOGRAM_BOUNDS};

/// What the words mean; in the file's name too, as workers of two versions do not share a table.
pub const VERSION: u64 = 2;

/// How large a table is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    counters: u32,
}

impl Shape {
    /// A table with room for so many series of routes: counters, and a quarter as many histograms.
    pub fn new(series: u32) -> Result<Self, ConfigError> {
        if !(MIN..=MAX).contains(&series) {
            return Err(ConfigError::new(format!(
                "a table of metrics has {MIN} to {MAX} series, not {series}. The default of 4096 is enough for about 500 routes"
            )));
        }
        Ok(Self { counters: series })
    }

    /// How many counters of routes have a slot.
    pub fn counters(self) -> usize {
        self.counters as usize
    }

    /// How many histograms have a slot.
    pub fn histograms(self) -> usize {
        self.counters as usize / 4
    }

    /// All slots of counters.
    pub(super) fn places(self) -> usize {
        ROUTED + self.counters()
    }

    /// The slot of a counter. The first of them are those of `<other>`, one for each kind.
    pub(super) fn counter(self, index: usize) -> usize {
        COUNTERS + index * COUNTER_WORDS
    }

    /// The slot of a histogram; the first is that of `<other>`.
    pub(super) fn histogram(self, index: usize) -> usize {
        self.counter(self.places()) + index * HISTOGRAM_WORDS
    }
}

impl Layout for Shape {
    const MAGIC: u64 = u64::from_ne_bytes(*b"RAMPMET\0");
    const VERSION: u64 = VERSION;
    const WHAT: &'static str = "metrics";

    fn shape(&self) -> [u64; 2] {
        [u64::from(self.counters), 0]
    }

    fn of_shape([counters, nothing]: [u64; 2]) -> Option<Self> {
        let shape = Self::new(u32::try_from(counters).ok()?).ok()?;
        (nothing == 0).then_some(shape)
    }

    fn length(&self) -> usize {
        self.histogram(1 + self.histograms())
    }
}

/// When the counting began, in microseconds since 1970; in the header's page.
pub(super) const START: usize = 64;
/// How many series each kind has, and behind them the histogram; in the header's page.
pub(super) const SERIES: usize = 128;
pub(super) const WORKERS: usize = HEADER_WORDS;
pub(super) const TIMELINE: usize = WORKERS + 1024;
pub(super) const STEPS: usize = 720;
pub(super) const STEP_WORDS: usize = 3;
/// The cursor, in a cache line of its own.
pub(super) const CURSOR: usize = TIMELINE + STEPS * STEP_WORDS + 8;
pub(super) const RECENT: usize = CURSOR + 8;
pub(super) const REFUSALS: usize = 2048;
pub(super) const REFUSAL_WORDS: usize = 32;
const COUNTERS: usize = RECENT + REFUSALS * REFUSAL_WORDS;
pub(super) const COUNTER_WORDS: usize = 32;
pub(super) const HISTOGRAM_WORDS: usize = 48;
/// The first slot of counters of a bounded kind, and how many there are.
pub(super) const KEPT: usize = FAMILIES.len();
pub(super) const KEPT_SLOTS: usize = 2048;
/// The first slot of counters of routes.
pub(super) const ROUTED: usize = KEPT + KEPT_SLOTS;
// So that one is found soon, and always.
const _: () = assert!(BOUNDED as usize * 3 < KEPT_SLOTS * 2);
/// Within a slot.
pub(super) const READY: usize = 1;
pub(super) const VALUE: usize = 2;
pub(super) const BUCKETS: usize = 3;
/// Words of a slot's labels, behind the microseconds since 1970 at which the series began.
pub(super) const COUNTER_TEXT: usize = 4;
pub(super) const HISTOGRAM_TEXT: usize = BUCKETS + HISTOGRAM_BOUNDS.len() + 2;
pub(super) const TEXT_WORDS: usize = 28;
pub(super) const TEXT_BYTES: usize = TEXT_WORDS * 8;

const MIN: u32 = 64;
const MAX: u32 = 1 << 20;
