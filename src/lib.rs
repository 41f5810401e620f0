//! Flask-Rampart's core: decides whether a request may pass, knowing nothing of requests.
//!
//! It is given values (a token's bytes, a limit's key, a body's bytes, a header list, a log line)
//! and an instant, and returns a verdict. Python, above it, knows Flask.
//!
//! # What it refuses to do
//! It does no network, reads no clock and no environment, logs nothing of its own, and opens three kinds of files:
//! tables that the workers of a host share ([`shared`]), the access log and the audit log, which threads that need no
//! interpreter write ([`redaction::Sink`], [`audit::Log`]). It holds no global state.
//! It does not know routes, status codes or WSGI.
//!
//! # The rooms
//! A room never imports another; what they share is `time`, `error`, `secret`, `credential`, `crypto`, `json`, `shared`, `suggest`,
//! `urlencoded`, `characters` and `joiners`.
//!
//! - [`ai`]: what of a prompt or an answer may go on, while it is still being written?
//! - [`anonymize`]: what stands in the place of this value, and who can still be told apart?
//! - [`apikeys`]: may this API key be trusted now?
//! - [`audit`]: what happened, and has anybody changed the record of it?
//! - [`codings`]: what does this coded body say, if it is not too much?
//! - [`cookies`]: with which attributes does this cookie leave?
//! - [`headers`]: which headers does this answer leave with?
//! - [`hygiene`]: is this head one that everybody reads alike?
//! - [`limits`]: may this key spend another cell of its quota?
//! - [`metrics`]: how often has it happened, in all workers together?
//! - [`monitor`]: is this an attack under way, and whose?
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

// One file lifts this, `shared/file.rs`, which maps the tables that workers share.
#![deny(unsafe_code)]

pub mod ai;
pub mod anonymize;
pub mod apikeys;
pub mod audit;
mod characters;
pub mod codings;
pub mod cookies;
pub mod credential;
pub mod crypto;
pub mod error;
pub mod headers;
pub mod hygiene;
mod joiners;
mod json;
pub mod limits;
pub mod metrics;
pub mod monitor;
pub mod network;
pub mod origins;
pub mod redaction;
pub mod sanitize;
pub mod secret;
pub mod shared;
mod suggest;
pub mod time;
pub mod tokens;
pub mod uploads;
pub mod urlencoded;
pub mod validation;
pub mod vault;

#[cfg(feature = "python")]
mod bindings;
