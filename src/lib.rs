//! Flask-Rampart's core: decides whether a request may pass, knowing nothing of requests.
//!
//! It is given values (a token's bytes, a limit's key, a body's bytes, a header list, a log line)
//! and an instant, and returns a verdict. Python, above it, knows Flask.
//!
//! # What it refuses to do
//! It does no network, reads no clock and no environment, logs nothing of its own, and opens two files:
//! the table of counters that the workers of a host share, and the access log, which a thread that needs no
//! interpreter writes ([`redaction::Sink`]). It holds no global state.
//! It does not know routes, status codes or WSGI.
//!
//! # The rooms
//! A room never imports another; what they share is `time`, `error`, `secret`, `credential`, `crypto`, `suggest` and `urlencoded`.
//!
//! - [`anonymize`]: what stands in the place of this value, and who can still be told apart?
//! - [`apikeys`]: may this API key be trusted now?
//! - [`codings`]: what does this coded body say, if it is not too much?
//! - [`cookies`]: with which attributes does this cookie leave?
//! - [`headers`]: which headers does this answer leave with?
//! - [`hygiene`]: is this head one that everybody reads alike?
//! - [`limits`]: may this key spend another cell of its quota?
//! - [`network`]: who is the peer, and by which scheme and host did it come?
//! - [`origins`]: is this page of another origin one of those that are meant?
//! - [`redaction`]: what of this text may be remembered?
//! - [`sanitize`]: what of this text may go on, and where?
//! - [`tokens`]: may this bearer token be trusted now?
//! - [`uploads`]: is this form well formed, and is this file what it may be?
//! - [`validation`]: does this body have the shape that was promised?
//! - [`vault`]: what did this sealed value say, if nobody changed it?
//!
//! The feature `python` adds `bindings`, the only code that knows PyO3.

// One file lifts this, `limits/shm/file.rs`, which maps the shared table.
#![deny(unsafe_code)]

pub mod anonymize;
pub mod apikeys;
pub mod codings;
pub mod cookies;
pub mod credential;
pub mod crypto;
pub mod error;
pub mod headers;
pub mod hygiene;
pub mod limits;
pub mod network;
pub mod origins;
pub mod redaction;
pub mod sanitize;
pub mod secret;
mod suggest;
pub mod time;
pub mod tokens;
pub mod uploads;
pub mod urlencoded;
pub mod validation;
pub mod vault;

#[cfg(feature = "python")]
mod bindings;
