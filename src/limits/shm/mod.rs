//! The table of counters: one fixed array of 64-bit words, changed by compare-and-swap alone.
//!
//! - `layout`: what each word means, and the header that says so.
//! - `words`: the four operations that the algorithm needs of memory.
//! - `table`: find, charge, read and refund a counter. `claim`: give a slot to a new counter.
//!   `spill`: the overflow counters.
//!
//! The file that they are in, and which processes share it, is `shared`'s business.
//!
//! The algorithm knows neither files nor clocks, so `interleavings` (a test) runs it through *every* order in
//! which the steps of several processes can fall, processes that die in between included.

mod claim;
pub(crate) mod layout;
mod spill;
pub(crate) mod table;
pub(crate) mod words;

#[cfg(test)]
mod interleavings;
