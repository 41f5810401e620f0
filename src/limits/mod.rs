//! Decides whether a key may spend another cell of its quota *now*, for the whole host.
//!
//! 1. A quota is text (`quota`): cells per period and burst, in the grammar that Flask-Limiter's users know.
//! 2. A key (an address, a principal, any text) becomes a keyed hash (`key`, `address`): nothing that
//!    identifies a caller is stored.
//! 3. The arithmetic is GCRA (ITU-T I.371, the virtual scheduling algorithm) by the crate `governor`
//!    (`gcra`): one instant per counter, no drip process. In any span of time `s` a key is admitted at most
//!    `burst + s / interval` cells, and the wait that a refusal reports is exact. Where charges are held and given back, the bound is that of what is
//!    not given back, over any span that begins with a full counter; cells that time has repaid in it may then be spent at one instant,
//!    so up to `2 * burst - 1`.
//! 4. Several limits are one decision (`check`): all admit and all are charged, or none is charged.
//! 5. Counters live in a store of fixed capacity (`counters`): a file mapped by every worker of the host (`shm`), or a
//!    concurrent map in the memory of one process (`local`). A live counter is never evicted; a key that finds no slot is charged
//!    to an overflow counter that it shares with others, so a flood of keys makes the limits stricter, never laxer.
//!
//! It does not read clocks, choose keys, write responses, or know about HTTP beyond the text of the
//! `RateLimit` fields (`fields`).
//!
//! # Deployment caveats
//! - "The host" is one kernel and one file. Containers share a quota if they share the directory. They must
//!   then share the boot-time clock as well: a time namespace with another offset makes them disagree.
//! - The directory must be local (tmpfs or disk, not NFS) and not swept while workers live: a worker that starts
//!   after a sweep finds no file, makes one, and counts apart from those that started before. What sweeps by age leaves it while it is used.
//! - A wall clock that is set back by more than an hour makes windows of the calendar begin anew.
//! - Someone with the same user id can truncate the file under a worker, which is then killed by `SIGBUS`. So
//!   can no one else: the directory and the file are checked to be the user's alone.

pub mod address;
pub mod bans;
pub mod batches;
pub mod check;
mod counters;
mod entries;
pub mod fields;
mod gcra;
mod key;
mod leases;
pub mod local;
pub mod quota;
mod rates;
pub mod remote;
mod reservation;
pub mod shm;
pub mod spot;
pub mod store;
mod verdict;
pub mod window;

pub use check::{Limits, Spots};
pub use entries::{Costs, Entry, KeyText, Kind};
pub use quota::{Quota, Rule, Span};
pub use reservation::Reservation;
pub use spot::Now;
pub use store::{Store, Stores};
pub use verdict::Verdict;
pub use window::{Almanac, Window};

pub use crate::shared::Seed;

/// Nanoseconds in a second.
const SECOND: u64 = 1_000_000_000;

/// The longest time that a counter may take to replenish: 100 years of 360 days, in nanoseconds.
///
/// With [`LATEST`] it keeps every sum of instants below 2^63, so no arithmetic here can overflow and the top bit of a word of
/// the table is free to mark it as claimed.
const LONGEST: u64 = 100 * 360 * 86_400 * SECOND;

/// The last instant that the room tells apart, in nanoseconds: about 146 years after boot. Beyond it time
/// stands still and counters no longer replenish.
const LATEST: u64 = 1 << 62;

#[cfg(test)]
mod tests;
