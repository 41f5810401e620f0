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

/// Lends the value of `RateLimit` for one policy, whose name is written as [`string`] writes it. Allocates nothing, unless that is
/// long: every answer has this field.
pub fn state<T>(written: &str, remaining: u32, seconds: u64, call: impl FnOnce(&str) -> T) -> T {
    let mut short = [0; SHORT];
    let mut long = Vec::new();
    let most = written.len() + ROOM;
    let all = match short.get_mut(..most) {
        Some(all) => all,
        None => {
            long.resize(most, 0);
            &mut long
        }
    };
    // From the end, which is where digits begin.
    let mut left = &mut *all;
    for (mut number, label) in [(seconds, b";t="), (u64::from(remaining), b";r=")] {
        loop {
            let Some((digit, rest)) = left.split_last_mut() else { return call("") };
            (*digit, left) = (b'0' + (number % 10) as u8, rest);
            number /= 10;
            if number == 0 {
                break;
            }
        }
        let Some((rest, place)) = left.split_last_chunk_mut() else { return call("") };
        (*place, left) = (*label, rest);
    }
    let Some(begin) = left.len().checked_sub(written.len()) else { return call("") };
    if let Some(place) = left.get_mut(begin..) {
        place.copy_from_slice(written.as_bytes());
    }
    call(all.get(begin..).and_then(|all| std::str::from_utf8(all).ok()).unwrap_or_default())
}

/// Nanoseconds as whole seconds, rounded up.
pub fn seconds(nanos: u64) -> u64 {
    nanos.div_ceil(SECOND)
}

/// An sf-string (RFC 8941 §3.3.3), which holds only printable ASCII; anything else becomes `?`.
pub fn string(text: &str) -> String {
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

/// Of a field that is made without allocating.
const SHORT: usize = 160;
/// For `;r=` and `;t=` with their numbers.
const ROOM: usize = 36;
