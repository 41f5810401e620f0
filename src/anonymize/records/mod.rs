//! Treats the records of a file as they are written: bytes in, bytes out, many records at a time.
//!
//! - `lines.rs`: JSON Lines; `walk.rs` goes through one record, `json.rs` reads what is written in it.
//! - `table.rs`: CSV; `dialect.rs` says where records and fields end.
//! - `tally.rs`: what was met, of the records that were passed on.
//! - `watch.rs`: what is measured, of the records before and after.
//!
//! Rules, in order:
//! 1. A record is passed on as the plan says, or refused with its line and a code; nothing of it is passed on then.
//! 2. What is kept is written as it was: numbers with their digits, texts with their escapes, members in their order.
//! 3. Several threads may treat pieces of one file at once. What comes out depends on the piece alone.
//!
//! # What it does not do
//! It opens no file. It calls no functions of Python's: a plan with the rule `custom` is not for it.

mod dialect;
mod fault;
mod json;
mod lines;
mod table;
mod tally;
mod walk;
mod watch;

#[cfg(test)]
mod tests;

pub use dialect::{Cutter, Dialect};
pub use fault::Fault;
pub use lines::Lines;
pub use table::Table;
pub use tally::{Counts, Tally};
pub use watch::{Measured, Watch};

/// A record that was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The line that it begins in, from 0.
    pub line: u64,
    /// Why.
    pub fault: Fault,
    /// The column, if it is one's fault.
    pub column: String,
    /// Where in the data it is, if that is not its start: the line from 0, the character of that from 1.
    pub at: Option<(u64, u64)>,
}

/// What became of some records.
#[derive(Default)]
pub struct Treated {
    /// What is passed on.
    pub out: Vec<u8>,
    /// What was met.
    pub tally: Tally,
    /// The first refusals, in order.
    pub refusals: Vec<Refusal>,
    /// Whether it is not known where records end, so that no more of them can be read.
    pub fatal: bool,
}

impl Treated {
    /// Whether the records behind this refusal are treated still.
    fn refuse(&mut self, refusal: Refusal, skip: bool) -> bool {
        *self.tally.refused.entry(refusal.fault.code()).or_default() += 1;
        if self.refusals.len() < MAX_REFUSALS {
            self.refusals.push(refusal);
        }
        skip
    }
}

const MAX_REFUSALS: usize = 20;
