//! What a set of limits is made of: entries, each of them quotas that count by one key, and what a request costs under each.

use std::num::NonZeroU32;
use std::ops::Range;

use crate::error::ConfigError;

use super::fields;
use super::key::LimitKey;
use super::quota::{Quota, Rule};
use super::remote::{self, Told};
use super::store::Stores;

/// How a key's text becomes the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A client's address, in any of its spellings, IPv6 cut to the prefix.
    Address,
    /// Any text, byte for byte.
    Text,
}

/// A key as it is given: text, or bytes that may be none.
pub trait KeyText {
    /// Byte for byte.
    fn bytes(&self) -> &[u8];
    /// None if it is no text.
    fn text(&self) -> Option<&str>;
}

impl KeyText for str {
    #[inline]
    fn bytes(&self) -> &[u8] {
        self.as_bytes()
    }

    #[inline]
    fn text(&self) -> Option<&str> {
        Some(self)
    }
}

impl KeyText for String {
    fn bytes(&self) -> &[u8] {
        self.as_bytes()
    }

    fn text(&self) -> Option<&str> {
        Some(self)
    }
}

impl KeyText for [u8] {
    fn bytes(&self) -> &[u8] {
        self
    }

    fn text(&self) -> Option<&str> {
        std::str::from_utf8(self).ok()
    }
}

impl<K: KeyText + ?Sized> KeyText for &K {
    #[inline]
    fn bytes(&self) -> &[u8] {
        (*self).bytes()
    }

    #[inline]
    fn text(&self) -> Option<&str> {
        (*self).text()
    }
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

/// What a request costs: the same under every entry, or to each its own. A cost of 0 is always there.
#[derive(Clone, Copy)]
pub enum Costs<'c> {
    /// Under every entry.
    Same(u32),
    /// One for each entry.
    Each(&'c [u32]),
}

impl Costs<'_> {
    /// Whether it costs nothing under an entry.
    pub(super) fn has_nothing(&self) -> bool {
        match self {
            Self::Same(cost) => *cost == 0,
            Self::Each(costs) => costs.contains(&0),
        }
    }

    pub(super) fn of(&self, entry: usize) -> u32 {
        match self {
            Self::Same(cost) => *cost,
            // `Limits` has looked at how many there are.
            Self::Each(costs) => costs.get(entry).copied().unwrap_or(u32::MAX),
        }
    }
}

impl From<NonZeroU32> for Costs<'_> {
    fn from(cost: NonZeroU32) -> Self {
        Self::Same(cost.get())
    }
}

impl<'c> From<&'c [u32]> for Costs<'c> {
    fn from(costs: &'c [u32]) -> Self {
        Self::Each(costs)
    }
}

/// One quota of an entry.
pub(super) struct Limit {
    pub scope: String,
    pub quota: Quota,
    pub key: LimitKey,
    /// How it counts elsewhere, unless that depends on when it is asked.
    pub told: Option<Told>,
    /// What the fields call it.
    pub name: String,
    /// The same, as they write it.
    pub written: String,
}

/// Of each entry what its key is, and which limits are its own.
pub(super) type Ranges = Vec<(Kind, Range<usize>)>;

/// The limits of all entries, in order, and which of them are of each entry.
pub(super) fn prepare(stores: &Stores, entries: Vec<Entry>) -> Result<(Vec<Limit>, Ranges), ConfigError> {
    let mut limits: Vec<Limit> = Vec::new();
    let mut ranges = Vec::new();
    let mut seen: Vec<(Kind, String, u32, u32, u64, Rule)> = Vec::new();
    for entry in entries {
        if entry.quotas.is_empty() {
            let cure = "Give one such as \"60/minute\"";
            return Err(ConfigError::new(format!("the limit {:?} has no quota. {cure}", entry.scope)));
        }
        let start = limits.len();
        for quota in entry.quotas {
            // Not by its text: "1/minute" and "1/60 seconds" are one counter.
            let rule = quota.rule().clone();
            let limit = (entry.kind, entry.scope.clone(), quota.count(), quota.burst(), quota.period(), rule);
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
            let store = match quota.rule() {
                Rule::Concurrent => &stores.places,
                _ => &stores.counters,
            };
            let key = LimitKey::new(store.seed(), &entry.scope, &quota, kind).striped(store.stripes());
            let name = unused_name(&limits, quota.text());
            let written = fields::string(&name);
            let told = remote::timeless(&quota);
            limits.push(Limit { scope: entry.scope.clone(), quota, key, told, name, written });
        }
        ranges.push((entry.kind, start..limits.len()));
    }
    if limits.is_empty() {
        return Err(ConfigError::new("a set without limits would limit nothing. Give at least one entry"));
    }
    Ok((limits, ranges))
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
