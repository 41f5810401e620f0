//! The last refusals: a ring of 2048, for people to look at.
//!
//! Each has a ticket, which says its place. A record that was overwritten while it was read, or whose writer died, does not bear out its
//! checksum and is left out; so the order in which its words come to another process does not matter. A flood shows itself, and nothing but itself: the ring is short on purpose.

use std::hash::Hasher;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use siphasher::sip::SipHasher13;

use super::labels::{fitted, packed, unpacked};
use super::layout::{CURSOR, RECENT, REFUSAL_WORDS, REFUSALS};

/// One request that was refused.
#[derive(Debug, Clone, PartialEq)]
pub struct Refusal {
    /// Seconds since 1970.
    pub time: f64,
    /// The last code that the peer was told.
    pub code: String,
    /// The peer's.
    pub address: String,
    /// Empty if it is not known.
    pub principal: String,
    /// A known one.
    pub method: String,
    /// The template that matched.
    pub route: String,
}

/// Remembers a refusal of these `[code, address, principal, method, route]`.
pub(super) fn remember(words: &[AtomicU64], time: f64, texts: [&str; 5]) {
    let Some(cursor) = words.get(CURSOR) else { return };
    let ticket = cursor.fetch_add(1, Relaxed);
    let Some(record) = record(words, ticket) else { return };
    let mut bytes = [0; TEXT_BYTES];
    let cut: [_; 5] = std::array::from_fn(|nth| fitted(texts[nth], MOST[nth]));
    let cut: [&str; 5] = std::array::from_fn(|nth| cut[nth].as_ref());
    packed(&cut, &mut bytes);
    let mut content = [0; REFUSAL_WORDS - 1];
    content[0] = ticket;
    content[1] = (time.max(0.0) * 1e6) as u64;
    for (word, chunk) in content[2..].iter_mut().zip(bytes.chunks_exact(8)) {
        *word = le(chunk);
    }
    for (word, value) in record[1..].iter().zip(content) {
        word.store(value, Relaxed);
    }
    record[0].store(checksum(&content), Relaxed);
}

/// The last `limit` refusals, newest first.
pub(super) fn read(words: &[AtomicU64], limit: usize) -> Vec<Refusal> {
    let next = words.get(CURSOR).map_or(0, |cursor| cursor.load(Relaxed));
    let first = next.saturating_sub(REFUSALS as u64);
    (first..next).rev().filter_map(|ticket| one(words, ticket)).take(limit).collect()
}

fn one(words: &[AtomicU64], ticket: u64) -> Option<Refusal> {
    let record = record(words, ticket)?;
    let mut content = [0; REFUSAL_WORDS - 1];
    let sum = record[0].load(Relaxed);
    for (value, word) in content.iter_mut().zip(&record[1..]) {
        *value = word.load(Relaxed);
    }
    if content[0] != ticket || checksum(&content) != sum {
        return None;
    }
    let bytes: Vec<u8> = content[2..].iter().flat_map(|word| word.to_le_bytes()).collect();
    let [code, address, principal, method, route] = unpacked(&bytes, 5)?.try_into().ok()?;
    Some(Refusal {
        time: content[1] as f64 / 1e6,
        code: code.to_owned(),
        address: address.to_owned(),
        principal: principal.to_owned(),
        method: method.to_owned(),
        route: route.to_owned(),
    })
}

fn record(words: &[AtomicU64], ticket: u64) -> Option<&[AtomicU64]> {
    let at = RECENT + (ticket % REFUSALS as u64) as usize * REFUSAL_WORDS;
    words.get(at..at + REFUSAL_WORDS)
}

fn checksum(content: &[u64]) -> u64 {
    let mut hasher = SipHasher13::new();
    content.iter().for_each(|word| hasher.write_u64(*word));
    hasher.finish()
}

fn le(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |word, &byte| word << 8 | u64::from(byte))
}

const TEXT_BYTES: usize = (REFUSAL_WORDS - 3) * 8;
/// Bytes of each text: together, with their lengths, no more than there is room.
const MOST: [usize; 5] = [32, 45, 60, 10, 80];
