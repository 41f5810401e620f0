//! Where things are in a table.
//!
//! ```text
//! counters   64 words: until when any mark holds, evictions, the book's next page, until when rules have counters
//! book       1,000 findings of 40 words
//! firsts     4,096 words: when a wide network's next first attempt is due that a full table cannot tell from a later one
//! common     256 counters: of the host, and those that are shared by what finds no place
//! windows    60 % of the rest: counters of rules and subjects
//! profiles   25 %: what principals usually do
//! homes      6.5 %: from where accounts are known
//! paces      3 %: of accounts that are throttled, in networks
//! grants     0.5 %: what such accounts have beside that
//! accounts   2.5 %: responses in force on accounts
//! responses  2.5 %: responses in force on all others
//! ```

use std::ops::Range;

use crate::error::ConfigError;
use crate::shared::{self, HEADER_WORDS};

use super::marks::Response;
use super::places::Region;
use super::{baseline, book, marks, window};

/// The geometry of a table of so many bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    pub(super) common: Region,
    pub(super) windows: Region,
    pub(super) profiles: Region,
    homes: Region,
    paces: Region,
    grants: Region,
    accounts: Region,
    responses: Region,
    bytes: u64,
    words: usize,
}

impl Layout {
    /// The table in at most so many bytes.
    pub fn within(bytes: u64) -> Result<Self, ConfigError> {
        if !(MIN_BYTES..=MAX_BYTES).contains(&bytes) {
            return Err(ConfigError::new(format!(
                "a table of the monitor takes {MIN_BYTES} to {MAX_BYTES} bytes, not {bytes}. The default of 8388608 \
                 watches about 35000 counters and 10000 principals at once"
            )));
        }
        let common = Region::of(FIRSTS.end, COMMON * (window::WORDS + 1), window::WORDS);
        let rest = (bytes / 8) as usize - common.end();
        let windows = Region::of(common.end(), rest * 60 / 100, window::WORDS);
        let profiles = Region::of(windows.end(), rest * 25 / 100, baseline::WORDS);
        let homes = Region::of(profiles.end(), rest * 65 / 1000, marks::WORDS);
        let paces = Region::of(homes.end(), rest * 3 / 100, marks::WORDS);
        let grants = Region::of(paces.end(), rest * 5 / 1000, marks::WORDS);
        let accounts = Region::of(grants.end(), rest * 25 / 1000, marks::OF_ACCOUNT);
        let responses = Region::of(accounts.end(), rest * 25 / 1000, marks::WORDS);
        let words = responses.end();
        Ok(Self { common, windows, profiles, homes, paces, grants, accounts, responses, bytes, words })
    }

    /// All words of the table, without the header of a file. They begin as zeros.
    pub fn words(&self) -> usize {
        self.words
    }

    /// Places for counters, profiles and responses.
    pub fn places(&self) -> [usize; 3] {
        [self.windows, self.profiles, self.responses].map(|region| region.places())
    }

    /// Where marks of a kind are.
    pub(super) fn marks(&self, response: Response) -> &Region {
        match response {
            Response::AccountStepUp | Response::AccountThrottle | Response::Homes => &self.accounts,
            Response::Granted => &self.grants,
            Response::Known => &self.homes,
            Response::Pace => &self.paces,
            Response::Content
            | Response::Crossing
            | Response::CrossingLogin
            | Response::StepUp
            | Response::Throttle => &self.responses,
        }
    }
}

impl shared::Layout for Layout {
    const MAGIC: u64 = u64::from_ne_bytes(*b"RAMPMON\0");
    const VERSION: u64 = 5;
    const WHAT: &'static str = "counters of the monitor";

    fn shape(&self) -> [u64; 2] {
        [self.bytes, 0]
    }

    fn of_shape([bytes, other]: [u64; 2]) -> Option<Self> {
        Self::within(bytes).ok().filter(|_| other == 0)
    }

    fn length(&self) -> usize {
        HEADER_WORDS + self.words
    }
}

/// Until when any mark holds, in seconds of the rules' clock.
pub(super) const MARKED_UNTIL: usize = 0;
/// The two halves of how often somebody was forgotten, and when that was told.
pub(super) const EVICTIONS: Range<usize> = 8..11;
/// The number of the next finding.
pub(super) const NEXT_PAGE: usize = 16;
/// Until when there may be counters of rules that ask for a share, in seconds of the rules' clock.
pub(super) const COUNTED: Range<usize> = 32..64;
/// Where the book begins.
pub(super) const BOOK: usize = 64;
/// Of wide networks, one word each: which share one by chance is not told apart.
pub(super) const FIRSTS: Range<usize> = FIRST..FIRST + 4096;
const FIRST: usize = BOOK + book::PAGES * book::PAGE;
/// Counters of the host, and those that are shared by what finds no place.
pub(super) const COMMON: usize = 256;
const MIN_BYTES: u64 = 1 << 20;
const MAX_BYTES: u64 = 1 << 32;
