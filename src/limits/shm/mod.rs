//! The table of counters: one fixed array of 64-bit words, changed by compare-and-swap alone.
//!
//! - `layout`: what each word means, and the header that says so.
//! - `words`: the four operations that the algorithm needs of memory.
//! - `table`: find, charge, read and refund a counter. `claim`: give a slot to a new counter.
//!   `spill`: the overflow counters.
//! - `place`: the directory and the file, checked to be the user's alone. `file`: the file, locked and mapped;
//!   the only `unsafe` of the project. `presence`: which processes live.
//!
//! The algorithm knows neither files nor clocks, so `interleavings` (a test) runs it through *every* order in
//! which the steps of several processes can fall, processes that die in between included.

mod claim;
#[allow(unsafe_code)]
pub mod file;
pub(crate) mod layout;
mod place;
pub(crate) mod presence;
mod spill;
pub(crate) mod table;
pub(crate) mod words;

#[cfg(test)]
mod interleavings;
