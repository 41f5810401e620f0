//! Remembers how often something happened, for all workers of the host at once.
//!
//! 1. What is counted is fixed (`families`): each kind has a name, a help text and its labels. A label's value is a route's template, a known
//!    method, a status, a code of ours, a limit's scope or a detector's name: never what a peer chose.
//! 2. A series is a kind and the values of its labels. It has one slot in a table that every worker maps (`table`); a keyed hash says where, and
//!    adding to it is one atomic addition. So the counters are right whichever worker is asked, and outlive every worker.
//! 3. The table has a fixed size, and each kind a most. A series that finds no slot is counted under `<other>`, and that is counted too.
//!    Routes fill no slot that another kind needs.
//! 4. Beside them: requests, refusals and errors of the last hour in steps of five seconds (`timeline`); the last refusals, with who was refused,
//!    where somebody wants to look at them (`recent`); and which workers live.
//! 5. All of it is written as Prometheus' text format 0.0.4 or as OpenMetrics 1.0 (`text`).
//!
//! It reads no clock and knows no request.
//!
//! # Deployment caveats
//! - The table is this host's: a scraper asks each host.
//! - At another boot of the host everything begins at 0, as at the first start; scrapers take that for a reset.
//! - Where refusals are remembered, the file names addresses and principals. It is the user's alone (mode 0600), and in memory where `/dev/shm` is.
//!
//! Sources: prometheus.io, "Exposition formats" and "Metric and label naming"; OpenMetrics 1.0.0.

mod families;
mod labels;
mod layout;
mod recent;
mod table;
mod text;
mod timeline;

pub use families::{Counter, FAMILIES, HISTOGRAM_BOUNDS};
pub use layout::{Shape, VERSION};
pub use recent::Refusal;
pub use table::{Metrics, Request, Sample};
pub use text::{Format, Gauge};
pub use timeline::{STEP, Step};

#[cfg(test)]
mod tests;
