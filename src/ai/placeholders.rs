//! Keeps what was hidden from a model, so that it can be put back in the answer.
//!
//! A value that was found in a prompt is replaced by `<k3f9qzab_1_EMAIL_ADDRESS>`: a tag of 39 random bits that is new for each
//! request, a number, and what it is, so that the model can speak of it. In this order:
//! 1. the same value of the same kind has the same placeholder, as long as this object lives (a conversation);
//! 2. so many values and bytes are kept, and no more: what is beyond becomes `[REDACTED:<ENTITY>]`, for good;
//! 3. whoever does not know the tag can write no placeholder of another's: there is one map for each request, and none is shared.
//!
//! The tag stands first, so that an answer is held back at the tag alone, which no other text has (`restore.rs`).
//!
//! Values are wiped when the object is closed or dropped. They are not printed, and cannot be copied out of it but by an
//! answer that names them.
//!
//! # What it does not do
//! It finds nothing: it is told what is to be hidden. The prompt that the values came from, and the answer that they were put
//! back into, are the caller's, who wipes nothing.
//!
//! Sources: llm-guard's Vault, Presidio's and LangChain's reversible anonymizers (placeholders that a user can guess).

use std::collections::HashMap;
use std::hash::Hasher as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use siphasher::sip::SipHasher13;
use zeroize::Zeroizing;

use super::restore::Restore;
use crate::error::ConfigError;

/// A part of a text that is to be hidden: bytes, and what it is.
#[derive(Debug, Clone, Copy)]
pub struct Hidden<'e> {
    /// Offset of the first byte.
    pub start: usize,
    /// Offset after the last byte.
    pub end: usize,
    /// `EMAIL_ADDRESS`, ….
    pub entity: &'e str,
}

/// What one request hides. Clones are the same one.
#[derive(Clone)]
pub struct Placeholders(Arc<Mutex<Map>>);

pub(super) struct Map {
    tag: String,
    key: (u64, u64),
    entries: Vec<Entry>,
    by_value: HashMap<u64, Vec<usize>>,
    bytes: usize,
    max_entries: usize,
    max_bytes: usize,
    full: u64,
}

struct Entry {
    entity: String,
    value: Zeroizing<String>,
}

impl Placeholders {
    /// Keeps at most *max_entries* values with at most *max_bytes* together; *random* is new for each request.
    ///
    /// # Errors
    /// If a bound is zero, or above 100,000 values.
    pub fn new(max_entries: usize, max_bytes: usize, random: [u8; 24]) -> Result<Self, ConfigError> {
        if max_entries == 0 || max_bytes == 0 || max_entries > MOST {
            return Err(ConfigError::new(format!("max_entries is 1 to {MOST}, and max_bytes at least 1")));
        }
        let half =
            |from: usize| random.iter().skip(from).take(8).fold(0, |sum, byte| sum << 8 | u64::from(*byte));
        // It begins with a letter, so that no number runs into it.
        let first = random.first().map_or(b'a', |byte| b'a' + byte % 26);
        let letters = random.iter().skip(1).take(TAG - 1).map(|byte| BASE32[usize::from(byte % 32)]);
        Ok(Self(Arc::new(Mutex::new(Map {
            tag: std::iter::once(first).chain(letters).map(char::from).collect(),
            key: (half(8), half(16)),
            entries: Vec::new(),
            by_value: HashMap::new(),
            bytes: 0,
            max_entries,
            max_bytes,
            full: 0,
        }))))
    }

    /// *text* with placeholders for these parts of it, which are in order and do not overlap.
    pub fn hide<'e>(&self, text: &str, parts: impl IntoIterator<Item = Hidden<'e>>) -> String {
        let mut map = self.map();
        let (mut out, mut done) = (String::with_capacity(text.len() + 64), 0);
        for part in parts {
            let (Some(before), Some(value)) = (text.get(done..part.start), text.get(part.start..part.end))
            else {
                continue;
            };
            out.push_str(before);
            map.write(part.entity, value, &mut out);
            done = part.end;
        }
        out.push_str(text.get(done..).unwrap_or_default());
        out
    }

    /// What puts them back.
    pub fn restorer(&self) -> Restore {
        Restore::new(self.clone())
    }

    /// How many values are kept.
    pub fn len(&self) -> usize {
        self.map().entries.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many values were beyond the bounds.
    pub fn full(&self) -> u64 {
        self.map().full
    }

    /// Wipes all values. What is hidden later is hidden for good.
    pub fn close(&self) {
        let mut map = self.map();
        map.entries.clear();
        map.by_value.clear();
        (map.bytes, map.max_entries) = (0, 0);
    }

    pub(super) fn map(&self) -> MutexGuard<'_, Map> {
        // A map that somebody panicked over is as good as before: each change of it is one push.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Placeholders {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Placeholders({} values)", self.len())
    }
}

impl Map {
    pub(super) fn tag(&self) -> &str {
        &self.tag
    }

    /// The entity and the value of a number.
    pub(super) fn entry(&self, number: usize) -> Option<(&str, &str)> {
        let entry = self.entries.get(number.checked_sub(1)?)?;
        Some((&entry.entity, &entry.value))
    }

    fn write(&mut self, entity: &str, value: &str, out: &mut String) {
        let entity: String =
            entity.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_').take(ENTITY).collect();
        match self.number(&entity, value) {
            Some(number) => {
                out.push_str(&format!("<{}_{number}_{entity}>", self.tag));
            }
            None => {
                self.full += 1;
                out.push_str(&format!("[REDACTED:{entity}]"));
            }
        }
    }

    fn number(&mut self, entity: &str, value: &str) -> Option<usize> {
        // The key is random: nobody can choose values that fall together.
        let mut hasher = SipHasher13::new_with_keys(self.key.0, self.key.1);
        hasher.write(entity.as_bytes());
        hasher.write_u8(0);
        hasher.write(value.as_bytes());
        let same = self.by_value.entry(hasher.finish()).or_default();
        let known = same.iter().find(|at| {
            self.entries.get(**at).is_some_and(|entry| entry.entity == entity && *entry.value == value)
        });
        if let Some(at) = known {
            return Some(at + 1);
        }
        if self.entries.len() >= self.max_entries
            || self.bytes + value.len() > self.max_bytes
            || entity.is_empty()
        {
            return None;
        }
        same.push(self.entries.len());
        self.bytes += value.len();
        self.entries.push(Entry { entity: entity.to_owned(), value: Zeroizing::new(value.to_owned()) });
        Some(self.entries.len())
    }
}

/// Letters of a tag.
pub(super) const TAG: usize = 8;
/// Letters of an entity.
pub(super) const ENTITY: usize = 48;
/// The most values.
const MOST: usize = 100_000;
const BASE32: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
