//! Remembers keys that were checked, so that the next request with one asks no store.
//!
//! What is remembered is the record, under the SHA-256 of the whole key, never of a part of it (CVE-2026-35030). Expiry is
//! asked on each hit. A refusal is never remembered, so nothing that a forger sends takes a place here.
//!
//! # Never older than the store
//! The records have a sequence number that grows with each change. A book is true of one number, and says
//! so: [`Recall::Stale`] to whoever comes with another. They find out what changed, and [`Book::advance`]. What was read
//! from the store before an advance is not remembered after it.
//!
//! # Bounds
//! Two generations, each of half the size: a hit in the older one moves to the younger. When the younger is full
//! it becomes the older, and what was not used for so long is forgotten.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::format::Candidate;
use super::grant::{Grant, Reason, Verified};
use crate::time::UnixTime;

/// A bounded map from keys to what they grant, as of one state of the store.
pub struct Book<T> {
    pages: Mutex<Pages<T>>,
    half: usize,
}

struct Pages<T> {
    sequence: u64,
    young: HashMap<[u8; 32], Arc<T>>,
    old: HashMap<[u8; 32], Arc<T>>,
}

/// What the book says of a key.
pub enum Recall<T> {
    /// It was checked before, and holds now.
    Verified(Verified<T>),
    /// It was checked before, and holds no longer.
    Refused(Reason),
    /// Ask the store.
    Unseen,
    /// The book is true of another state of the store, this one.
    Stale(u64),
}

impl<T: Borrow<Grant>> Book<T> {
    /// Room for *keys*; at least two.
    pub fn new(keys: usize) -> Self {
        let pages = Pages { sequence: 0, young: HashMap::new(), old: HashMap::new() };
        Self { pages: Mutex::new(pages), half: (keys / 2).max(1) }
    }

    // No code of others runs under the lock, so a panic there is not expected; the pages stay whole if one did.
    fn pages(&self) -> MutexGuard<'_, Pages<T>> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is known of *candidate* in state *sequence* of the store.
    pub fn recall(&self, candidate: &Candidate, sequence: u64, now: UnixTime) -> Recall<T> {
        let mut pages = self.pages();
        if pages.sequence != sequence {
            return Recall::Stale(pages.sequence);
        }
        let found = match pages.young.get(candidate.digest()) {
            Some(found) => Arc::clone(found),
            None => match pages.old.remove(candidate.digest()) {
                Some(found) => {
                    pages.keep(*candidate.digest(), Arc::clone(&found), self.half);
                    found
                }
                None => return Recall::Unseen,
            },
        };
        drop(pages);
        match (*found).borrow().holds(now) {
            Ok(()) => Recall::Verified(Verified(found)),
            Err(reason) => Recall::Refused(reason),
        }
    }

    /// Remembers what was verified with a record that was read in state *sequence* or later.
    pub fn remember(&self, candidate: &Candidate, verified: &Verified<T>, sequence: u64) {
        let mut pages = self.pages();
        if pages.sequence == sequence {
            pages.keep(*candidate.digest(), Arc::clone(verified.grant()), self.half);
        }
    }

    /// Goes on from state *from* to state *to*, forgetting the keys with these ids; all, for `None`.
    ///
    /// Where another went on before, its word stands, and this call only forgets.
    pub fn advance(&self, from: u64, to: u64, changed: Option<&[String]>) {
        let mut pages = self.pages();
        match changed {
            Some([]) => {}
            Some(ids) => {
                let kept = |grant: &Arc<T>| !ids.iter().any(|id| **id == *(**grant).borrow().id);
                pages.young.retain(|_, grant| kept(grant));
                pages.old.retain(|_, grant| kept(grant));
            }
            None => {
                pages.young.clear();
                pages.old.clear();
            }
        }
        if pages.sequence == from {
            pages.sequence = to;
        }
    }

    /// The state of the store that it is true of.
    pub fn sequence(&self) -> u64 {
        self.pages().sequence
    }

    /// Keys remembered now.
    pub fn len(&self) -> usize {
        let pages = self.pages();
        pages.young.len() + pages.old.len()
    }

    /// Whether none is remembered.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<T> Pages<T> {
    fn keep(&mut self, digest: [u8; 32], grant: Arc<T>, half: usize) {
        if self.young.len() >= half && !self.young.contains_key(&digest) {
            self.old = std::mem::take(&mut self.young);
        }
        self.old.remove(&digest);
        self.young.insert(digest, grant);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::super::format::Format;
    use super::super::grant::judge;
    use super::*;
    use std::sync::atomic::AtomicU64;

    const NOW: UnixTime = UnixTime(1_800_000_000.0);

    fn candidate(number: u8) -> Candidate {
        let format = Format::new("rk", "live").unwrap();
        format.read(format.generate(&[number; 64]).unwrap().expose()).unwrap()
    }

    fn grant(candidate: &Candidate) -> Grant {
        Grant {
            id: candidate.id().into(),
            digest: *candidate.digest(),
            expires: Some(UnixTime(NOW.0 + 10.0)),
            revoked: false,
            principal: "ada".into(),
            scopes: vec![],
            roles: vec![],
            noted: AtomicU64::new(0),
        }
    }

    fn verify(book: &Book<Grant>, number: u8, sequence: u64) {
        let key = candidate(number);
        let verified = judge(&key, Arc::new(grant(&key)), NOW).unwrap();
        book.remember(&key, &verified, sequence);
    }

    fn knows(book: &Book<Grant>, number: u8) -> bool {
        matches!(book.recall(&candidate(number), book.sequence(), NOW), Recall::Verified(_))
    }

    #[test]
    fn another_secret_with_a_known_id_is_refused() {
        let key = candidate(1);
        let mut record = grant(&key);
        record.digest[31] ^= 1;
        assert_eq!(judge(&key, Arc::new(record), NOW).err(), Some(Reason::Secret));
    }

    #[test]
    fn revoked_and_expired_are_told_apart_in_the_log_only_after_the_secret_held() {
        let key = candidate(1);
        let mut record = grant(&key);
        record.revoked = true;
        assert_eq!(judge(&key, Arc::new(record), NOW).err(), Some(Reason::Revoked));
        let end = UnixTime(NOW.0 + 10.0);
        assert_eq!(judge(&key, Arc::new(grant(&key)), end).err(), Some(Reason::Expired));
        let before = UnixTime(NOW.0 + 9.999);
        assert!(judge(&key, Arc::new(grant(&key)), before).is_ok());
    }

    #[test]
    fn what_is_remembered_expires_at_its_instant() {
        let book = Book::new(8);
        verify(&book, 1, 0);
        assert!(knows(&book, 1));
        let end = UnixTime(NOW.0 + 10.0);
        assert!(matches!(book.recall(&candidate(1), 0, end), Recall::Refused(Reason::Expired)));
    }

    #[test]
    fn a_book_of_another_state_of_the_store_says_so() {
        let book = Book::new(8);
        verify(&book, 1, 0);
        assert!(matches!(book.recall(&candidate(1), 3, NOW), Recall::Stale(0)));
        book.advance(0, 3, Some(&[]));
        assert!(knows(&book, 1));
        assert!(matches!(book.recall(&candidate(1), 2, NOW), Recall::Stale(3)));
    }

    #[test]
    fn what_changed_is_forgotten_and_the_rest_stays() {
        let book = Book::new(8);
        verify(&book, 1, 0);
        verify(&book, 2, 0);
        book.advance(0, 1, Some(&[candidate(1).id().to_owned()]));
        assert!(!knows(&book, 1) && knows(&book, 2));
        book.advance(1, 2, None);
        assert!(book.is_empty());
    }

    #[test]
    fn what_was_read_before_a_change_is_not_remembered_after_it() {
        let book = Book::new(8);
        book.advance(0, 1, Some(&[candidate(1).id().to_owned()]));
        verify(&book, 1, 0);
        assert!(!knows(&book, 1));
        // A slower one, who saw less, does not turn the book back.
        book.advance(0, 1, Some(&[]));
        book.advance(1, 5, Some(&[]));
        book.advance(1, 2, Some(&[]));
        assert_eq!(book.sequence(), 5);
    }

    #[test]
    fn a_book_is_bounded_and_keeps_what_is_used() {
        let book = Book::new(8);
        for number in 0..60 {
            verify(&book, number, 0);
            assert!(book.len() <= 8);
            assert!(knows(&book, 0), "{number}");
        }
        assert!(!knows(&book, 1));
    }

    #[test]
    fn a_use_is_noted_once_a_minute() {
        let record = grant(&candidate(1));
        assert!(record.is_due(NOW));
        assert!(!record.is_due(UnixTime(NOW.0 + 59.0)));
        assert!(record.is_due(UnixTime(NOW.0 + 60.0)));
    }
}
