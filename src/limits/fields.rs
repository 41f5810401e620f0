//! The text of the `RateLimit-Policy` and `RateLimit` fields (draft-ietf-httpapi-ratelimit-headers-10).
//!
//! A policy's name is its quota as written, so a client's developer can read it. `q` is the burst, since that is what may be spent at once, and
//! `w` the seconds in which that much comes back. `r` is what is left; `t` the seconds until the counter is full, or in
//! a refusal the same as `Retry-After`. What is in progress has a unit of its own (`qu`) and no window.
//!
//! No partition key (`pk`) is sent: it would tell callers who else shares their counter.

use super::SECOND;
use super::quota::{Quota, Rule};

/// The value of `RateLimit-Policy` for these quotas under these names.
pub fn policy<'a>(limits: impl Iterator<Item = (&'a str, &'a Quota)>) -> String {
    let item = |(name, quota): (&str, &Quota)| {
        let (name, cells) = (string(name), quota.burst());
        match quota.rule() {
            Rule::Concurrent => format!("{name};q={cells};qu=\"concurrent-requests\""),
            _ => format!("{name};q={cells};w={}", quota.window()),
        }
    };
    limits.map(item).collect::<Vec<_>>().join(", ")
}

/// The value of `RateLimit` for one policy.
pub fn state(name: &str, remaining: u32, seconds: u64) -> String {
    format!("{};r={remaining};t={seconds}", string(name))
}

/// Nanoseconds as whole seconds, rounded up.
pub fn seconds(nanos: u64) -> u64 {
    nanos.div_ceil(SECOND)
}

/// An sf-string (RFC 8941 §3.3.3), which holds only printable ASCII; anything else becomes `?`.
fn string(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for char in text.chars() {
        match char {
            '"' | '\\' => out.extend(['\\', char]),
            ' '..='~' => out.push(char),
            _ => out.push('?'),
        }
    }
    out.push('"');
    out
}
