//! Sees an attack while it runs: counts what requests were, for whom, and says when it is too much.
//!
//! 1. What a request was is told as an [`Observation`]: keyed hashes of who it was, and [`Signs`] of how it ended.
//! 2. Each [`Rule`] counts some signs by some [`Subject`], in a window of time, in a table of fixed size that all workers
//!    of a host share: so a threshold is of the host, not of a worker.
//! 3. A rule whose threshold is reached gives a [`Finding`], once for each subject and window, whichever worker it was
//!    that saw the last request.
//! 4. What became of a finding, a [`Mark`] on a subject, is in the same table: all workers heed it at their next request.
//! 5. The last findings stand in the table's [`Book`], by name: people must act on them.
//!
//! How exact it is:
//! - **Counts** are exact, of the last half to whole window: what comes within half a window is always seen, what is
//!   older than a window never. Two workers that meet a subject for the first time in the same microsecond may split its
//!   first counts, which makes an alarm later, never earlier.
//! - **Distinct** things are estimated by linear counting (Whang et al., 1990) in 256 bits for each half window: standard
//!   error 5 % up to 300, 7 % at 500. Above a threshold of 300 one in 2, 4, 8, ... is counted: 10 %.
//! - **Baselines** are decayed means and variances of the hours in which somebody was active.
//!
//! It does not read clocks, know HTTP, refuse anybody, or hold a name or an address outside the book.
//!
//! # What a flood of new subjects does
//! The table does not grow. A new subject takes an empty place, else one whose window is over, else that of one of
//! sixteen, as `share` says: those of one wide network, and of one rule, are sure of a part of the sixteen and of no
//! more, and a counter that has come a quarter of the way keeps its place within that. So a flood out of one network
//! displaces itself. What finds no place is charged to a counter that it shares with others like it: what reaches a
//! rule's threshold there is a finding of the host ([`Finding::is_shared`]). The flood itself is one, too
//! ([`Measure::Evictions`]).
//!
//! # What can break it in deployment
//! Each host counts for itself: an attack that is spread over hosts by a load balancer is seen at a fraction of its size.

mod baseline;
mod book;
mod engine;
mod force;
mod key;
mod layout;
mod marks;
mod observation;
mod places;
mod rule;
mod sent;
mod share;
mod window;

#[cfg(test)]
mod tests;

pub use book::{Book, Entry};
pub use engine::{Engine, Finding};
pub use key::{Keys, Known};
pub use layout::Layout;
pub use marks::{Answer, Mark, Response};
pub use observation::{Observation, Outcome, Signs};
pub use rule::{Item, Measure, Quantity, Rule, Subject};
pub use sent::{Sent, Source};
pub use share::Party;
