//! Flask-Rampart's core: decides whether a request may pass, knowing nothing of requests.
//!
//! It is given values (a token's bytes, a limit's key, a body's bytes, a header list, a log line)
//! and an instant, and returns a verdict. Python, above it, knows Flask.
//!
//! # What it refuses to do
//! It does no network, reads no clock and no environment, logs nothing, and opens one file: the
//! table of counters that the workers of a host share. It holds no global state.
//! It does not know methods, paths, status codes, cookies or WSGI.
//!
//! # The rooms
//! A room never imports another; what they share is `time`, `error`, `secret` and `crypto`.
//!
//! The feature `python` adds `bindings`, the only code that knows PyO3.

pub mod error;
pub mod redaction;
pub mod time;

#[cfg(feature = "python")]
mod bindings;
