//! Checks several limits as one decision: all admit and each is charged, or none is.
//!
//! 1. One limit is charged directly: a refusal writes nothing.
//! 2. Of several, each is asked first; if one refuses, that is the answer, and nothing was charged.
//! 3. Then each is charged. If another request has taken the last cell of one meanwhile, those already charged are
//!    given back and the answer is a refusal. In between other requests see the charges: some may be refused that
//!    could have passed a microsecond later; none passes that should not.
//!
//! A refusal names the limit with the longest wait, so whoever waits that long passes them all.
//!
//! It has no idea of "skip": an empty key is a key, and an address that cannot be read is counted with all others of
//! its kind.

use std::num::NonZeroU32;
use std::ops::Range;
use std::sync::Arc;

use crate::error::ConfigError;
use crate::time::HostTime;

use super::address::Prefix;
use super::counters::Place;
use super::fields;
use super::gcra::{self, Outcome};
use super::key::{CounterKey, LimitKey};
use super::quota::Quota;
use super::store::Store;

/// How a key's text becomes the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A client's address, in any of its spellings, IPv6 cut to the prefix.
    Address,
    /// Any text, byte for byte.
    Text,
}

/// Quotas that count by one key.
#[derive(Debug, Clone)]
pub struct Entry {
    /// What is limited. Entries of any set with the same scope, quota and kind share counters.
    pub scope: String,
    /// At least one.
    pub quotas: Vec<Quota>,
    /// What the key is.
    pub kind: Kind,
}

/// Limits that are checked together, with all that does not depend on the request computed.
pub struct Limits {
    store: Arc<Store>,
    prefix: Prefix,
    entries: Vec<(Kind, Range<usize>)>,
    limits: Vec<Limit>,
    policy: String,
}

struct Limit {
    scope: String,
    quota: Quota,
    key: LimitKey,
    /// What the fields call it.
    name: String,
}

/// What a set of limits says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// Whether the request may pass.
    pub admitted: bool,
    /// The position of the limit that the rest is about: in a refusal the one with the longest wait, else
    /// the one with the fewest cells left.
    pub limit: usize,
    /// Cells left under it.
    pub remaining: u32,
    /// Nanoseconds until its counter is full.
    pub reset: u64,
    /// Nanoseconds until the same request would pass, if no other comes; 0 if admitted. One whose cost is above a burst never
    /// passes: then the time in which that limit's counter becomes full.
    pub wait: u64,
}

impl Verdict {
    /// Seconds for `Retry-After`, rounded up; 0 if admitted, else at least 1.
    pub fn retry_after(&self) -> u64 {
        fields::seconds(self.wait)
    }
}

impl Limits {
    /// Prepares limits on a store.
    pub fn new(store: Arc<Store>, entries: Vec<Entry>, prefix: Prefix) -> Result<Self, ConfigError> {
        let seed = store.seed();
        let mut limits: Vec<Limit> = Vec::new();
        let mut ranges = Vec::new();
        let mut seen: Vec<(Kind, String, u32, u32, u64)> = Vec::new();
        for entry in entries {
            if entry.quotas.is_empty() {
                let cure = "Give one such as \"60/minute\"";
                return Err(ConfigError::new(format!("the limit {:?} has no quota. {cure}", entry.scope)));
            }
            let start = limits.len();
            for quota in entry.quotas {
                // Not by its text: "1/minute" and "1/60 seconds" are one counter.
                let limit = (entry.kind, entry.scope.clone(), quota.count(), quota.burst(), quota.period());
                if seen.contains(&limit) {
                    return Err(ConfigError::new(format!(
                        "the limit {:?} has the quota {:?} twice, so each request would count double. Remove one",
                        entry.scope,
                        quota.text()
                    )));
                }
                seen.push(limit);
                let kind = match entry.kind {
                    Kind::Address => 1,
                    Kind::Text => 2,
                };
                let key = LimitKey::new(seed, &entry.scope, &quota, kind);
                let name = unused_name(&limits, quota.text());
                limits.push(Limit { scope: entry.scope.clone(), quota, key, name });
            }
            ranges.push((entry.kind, start..limits.len()));
        }
        if limits.is_empty() {
            return Err(ConfigError::new(
                "a set without limits would limit nothing. Give at least one entry",
            ));
        }
        let policy = fields::policy(limits.iter().map(|limit| (limit.name.as_str(), &limit.quota)));
        Ok(Self { store, prefix, entries: ranges, limits, policy })
    }

    /// Charges `cost` cells under every limit, if all have them; otherwise charges nothing.
    ///
    /// `keys` has one key for each entry, in order. A cost above the burst of a limit is always refused.
    pub fn check<K: AsRef<[u8]>>(
        &self,
        keys: &[K],
        cost: NonZeroU32,
        now: HostTime,
    ) -> Result<Verdict, ConfigError> {
        if let ([limit], [key]) = (self.limits.as_slice(), keys) {
            let counter = self.counter(limit, self.entries.first().map_or(Kind::Text, |entry| entry.0), key);
            return Ok(verdict(&[gcra::charge(&self.store.counters(), &counter, &limit.quota, cost, now)]));
        }
        let counters = self.counters(keys)?;
        let peeked = self.peek_all(&counters, cost, now);
        if peeked.iter().any(|outcome| !outcome.admitted) {
            return Ok(verdict(&peeked));
        }
        Ok(self.charge_all(&counters, cost, now))
    }

    /// What [`check`](Self::check) would say of a request that costs one cell. Charges nothing.
    pub fn peek<K: AsRef<[u8]>>(&self, keys: &[K], now: HostTime) -> Result<Verdict, ConfigError> {
        let counters = self.counters(keys)?;
        Ok(verdict(&self.peek_all(&counters, NonZeroU32::MIN, now)))
    }

    /// Gives back what an admitted [`check`](Self::check) with these keys and this cost has charged.
    ///
    /// A counter is never more than full. What was charged to an overflow counter stays there: by now others
    /// have spent from it.
    pub fn refund<K: AsRef<[u8]>>(
        &self,
        keys: &[K],
        cost: NonZeroU32,
        now: HostTime,
    ) -> Result<(), ConfigError> {
        let store = self.store.counters();
        for (limit, counter) in self.limits.iter().zip(self.counters(keys)?) {
            gcra::refund(&store, &counter, &limit.quota, cost, now, Place::Slot);
        }
        Ok(())
    }

    /// The value of `RateLimit-Policy`.
    pub fn policy(&self) -> &str {
        &self.policy
    }

    /// The scope and the quota of the limit at a position.
    pub fn limit(&self, position: usize) -> Option<(&str, &Quota)> {
        self.limits.get(position).map(|limit| (limit.scope.as_str(), &limit.quota))
    }

    /// The value of `RateLimit` that goes with a verdict of this set.
    pub fn field(&self, verdict: &Verdict) -> String {
        let name = self.limits.get(verdict.limit).map_or("", |limit| limit.name.as_str());
        let seconds = if verdict.admitted { fields::seconds(verdict.reset) } else { verdict.retry_after() };
        fields::state(name, verdict.remaining, seconds)
    }

    /// The store that the counters are in.
    pub fn store(&self) -> &Arc<Store> {
        &self.store
    }

    fn charge_all(&self, counters: &[CounterKey], cost: NonZeroU32, now: HostTime) -> Verdict {
        let store = self.store.counters();
        let mut charged = Vec::with_capacity(counters.len());
        for (limit, counter) in self.limits.iter().zip(counters) {
            let outcome = gcra::charge(&store, counter, &limit.quota, cost, now);
            if outcome.admitted {
                charged.push(outcome);
                continue;
            }
            let lost = charged.len();
            for ((limit, counter), outcome) in self.limits.iter().zip(counters).zip(&charged) {
                gcra::refund(&store, counter, &limit.quota, cost, now, outcome.place);
            }
            let mut outcomes = self.peek_all(counters, cost, now);
            if let Some(seen) = outcomes.get_mut(lost) {
                *seen = outcome;
            }
            return verdict(&outcomes);
        }
        verdict(&charged)
    }

    fn peek_all(&self, counters: &[CounterKey], cost: NonZeroU32, now: HostTime) -> Vec<Outcome> {
        let store = self.store.counters();
        let limits = self.limits.iter().zip(counters);
        limits.map(|(limit, counter)| gcra::peek(&store, counter, &limit.quota, cost, now)).collect()
    }

    fn counters<K: AsRef<[u8]>>(&self, keys: &[K]) -> Result<Vec<CounterKey>, ConfigError> {
        if keys.len() != self.entries.len() {
            return Err(ConfigError::new(format!(
                "{} keys were given for {} entries: a key for each entry, in order",
                keys.len(),
                self.entries.len()
            )));
        }
        let mut counters = Vec::with_capacity(self.limits.len());
        for ((kind, range), key) in self.entries.iter().zip(keys) {
            let limits = self.limits.get(range.clone()).unwrap_or_default();
            counters.extend(limits.iter().map(|limit| self.counter(limit, *kind, key)));
        }
        Ok(counters)
    }

    #[inline]
    fn counter<K: AsRef<[u8]>>(&self, limit: &Limit, kind: Kind, key: &K) -> CounterKey {
        match kind {
            Kind::Text => limit.key.counter(key.as_ref()),
            Kind::Address => {
                let address = std::str::from_utf8(key.as_ref()).ok().and_then(|text| self.prefix.key(text));
                // No address has no bytes, so this is the one key of all that cannot be read.
                limit.key.counter(address.as_ref().map_or(&[], |key| key.as_bytes()))
            }
        }
    }
}

/// One verdict of several limits, none of which may be missing.
fn verdict(outcomes: &[Outcome]) -> Verdict {
    let admitted = outcomes.iter().all(|outcome| outcome.admitted);
    let strictest = outcomes.iter().enumerate().max_by_key(|(_, outcome)| {
        // `max_by_key` takes the last of equals; of equal limits the first is meant, but either is right.
        if admitted { (u64::from(u32::MAX - outcome.remaining), outcome.reset) } else { (outcome.wait, 0) }
    });
    match strictest {
        Some((limit, &Outcome { remaining, reset, wait, .. })) => {
            Verdict { admitted, limit, remaining, reset, wait }
        }
        None => Verdict { admitted: false, limit: 0, remaining: 0, reset: 0, wait: super::SECOND },
    }
}

/// The quota's text, numbered if another limit of the set has it: names in the fields are distinct.
fn unused_name(limits: &[Limit], text: &str) -> String {
    let mut name = text.to_owned();
    let mut number = 2;
    while limits.iter().any(|limit| limit.name == name) {
        name = format!("{text} #{number}");
        number += 1;
    }
    name
}
