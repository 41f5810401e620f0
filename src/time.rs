//! The two kinds of time that the rooms are told.
//!
//! No room reads a clock: an instant is an argument, so that a test advances it by hand. The one
//! place that reads clocks is the border (`bindings/clock.rs`).

/// Seconds since 1970-01-01 00:00:00 UTC, as in RFC 7519 `NumericDate`. For tokens and log lines.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct UnixTime(pub f64);

/// Nanoseconds since the host booted, the same in every process of the host (`CLOCK_BOOTTIME`).
///
/// For limits: it does not jump when the wall clock is set, and goes on while the machine sleeps.
/// Never zero on a running host, so zero can mean "nothing yet".
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct HostTime(pub u64);
