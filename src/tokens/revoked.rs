//! Decides whether a token was revoked before its time.
//!
//! A token is revoked when one of these is listed:
//! 1. the token itself: its issuer and `jti`, or, where it has none, its issuer and its claims as they stand;
//! 2. its family: its issuer and `sid`, which all tokens of one login share;
//! 3. its subject, with a moment after the token began: the earlier of `iat` and `auth_time`. A token that says neither
//!    began before any moment.
//!
//! The list is a copy of what a store holds, and as new as whoever keeps it makes it. An entry is dropped when every token
//! that it could concern has expired by itself.
//!
//! # What can break it in deployment
//! A subject's moment is compared with what the issuer's clock wrote: clocks that differ by a second revoke a second too
//! much or too little.

use std::collections::HashMap;
use std::mem;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::claims::Claims;
use crate::crypto::sha256;
use crate::time::UnixTime;

/// What an entry is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum About {
    /// One token without a `jti`, by its claims.
    Claims,
    /// All tokens of one login, by `sid`.
    Family,
    /// All tokens of a subject that began before a moment, by `sub`.
    Subject,
    /// One token, by `jti`.
    Token,
}

impl About {
    fn letter(self) -> u8 {
        match self {
            Self::Claims => b'c',
            Self::Family => b'f',
            Self::Subject => b's',
            Self::Token => b't',
        }
    }
}

/// Names a token, family or subject of an issuer, and tells nobody which: half of a SHA-256.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Mark([u8; 16]);

impl Mark {
    /// The mark of *name* at *issuer*.
    pub fn of(about: About, issuer: &str, name: &[u8]) -> Self {
        let mut text = Vec::with_capacity(9 + issuer.len() + name.len());
        text.push(about.letter());
        // With its length, so that no issuer and name together read as another pair.
        text.extend((issuer.len() as u64).to_le_bytes());
        text.extend(issuer.as_bytes());
        text.extend(name);
        let mut half = [0; 16];
        half.copy_from_slice(&sha256(&text)[..16]);
        Self(half)
    }

    /// The mark with these bytes.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    pub fn bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

/// The marks under which a token may be listed.
#[derive(Debug, Clone)]
pub struct Marks {
    token: Mark,
    family: Option<Mark>,
    subject: Option<Mark>,
    began: f64,
}

impl Marks {
    /// That of the token alone.
    pub fn token(&self) -> &Mark {
        &self.token
    }

    /// Of a token with these claims, which read as *json*.
    pub fn of(claims: &Claims, json: &[u8]) -> Self {
        let issuer = claims.issuer.as_deref().unwrap_or_default();
        let named = |about, name: &Option<Box<str>>| {
            name.as_deref().map(|name| Mark::of(about, issuer, name.as_bytes()))
        };
        Self {
            token: named(About::Token, &claims.token_id)
                .unwrap_or_else(|| Mark::of(About::Claims, issuer, json)),
            family: named(About::Family, &claims.session),
            subject: named(About::Subject, &claims.subject),
            began: began(claims.issued_at, claims.authenticated_at),
        }
    }
}

/// When a token began: the earlier of the two. A refreshed token is as old as its login.
pub fn began(issued_at: Option<f64>, authenticated_at: Option<f64>) -> f64 {
    match (issued_at, authenticated_at) {
        (Some(issued), Some(authenticated)) => issued.min(authenticated),
        (Some(only), None) | (None, Some(only)) => only,
        (None, None) => f64::NEG_INFINITY,
    }
}

/// What is known of a mark.
#[derive(Debug, Clone, Copy)]
struct Entry {
    /// Tokens that began before are revoked; infinite for all.
    before: f64,
    /// When the entry is needed no more.
    until: f64,
}

/// What was revoked. Shared by all verifiers of an app.
#[derive(Debug, Default)]
pub struct Revoked(RwLock<HashMap<Mark, Entry>>);

impl Revoked {
    /// Lists *mark*: tokens under it that began before *before* are revoked; what was listed earlier is not weakened.
    pub fn put(&self, mark: Mark, before: f64, until: f64) {
        merge(&mut self.write(), mark, before, until);
    }

    /// Lists these and nothing else.
    pub fn replace(&self, entries: impl Iterator<Item = (Mark, f64, f64)>) {
        let mut fresh = HashMap::new();
        for (mark, before, until) in entries {
            merge(&mut fresh, mark, before, until);
        }
        // The old list is given back after the lock.
        let old = mem::replace(&mut *self.write(), fresh);
        drop(old);
    }

    /// Drops what no token needs any more at *now*.
    pub fn sweep(&self, now: UnixTime) {
        let mut listed = self.write();
        listed.retain(|_, entry| entry.until > now.0);
        if listed.capacity() > 4 * listed.len() + 1024 {
            listed.shrink_to_fit();
        }
    }

    /// Whether a token with these marks is revoked.
    pub fn covers(&self, marks: &Marks) -> bool {
        let listed = self.read();
        let has =
            |mark: &Mark| listed.get(mark).is_some_and(|entry| begins_before(marks.began, entry.before));
        has(&marks.token) || marks.family.as_ref().is_some_and(has) || marks.subject.as_ref().is_some_and(has)
    }

    /// The moment of *mark*, if it is listed.
    pub fn moment(&self, mark: &Mark) -> Option<f64> {
        self.read().get(mark).map(|entry| entry.before)
    }

    /// Whether nothing is listed: then no mark need be made.
    pub fn is_empty(&self) -> bool {
        self.read().is_empty()
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.read().len()
    }

    // No code of others runs under the lock, so a panic there is not expected; the map stays whole if one did.
    fn read(&self) -> RwLockReadGuard<'_, HashMap<Mark, Entry>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, HashMap<Mark, Entry>> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

fn merge(listed: &mut HashMap<Mark, Entry>, mark: Mark, before: f64, until: f64) {
    // A moment that is no number must not read as "nothing is revoked".
    let before = if before.is_nan() { f64::INFINITY } else { before };
    let until = if until.is_nan() { f64::INFINITY } else { until };
    let entry = listed.entry(mark).or_insert(Entry { before, until });
    entry.before = entry.before.max(before);
    entry.until = entry.until.max(until);
}

/// Written so that a NaN revokes.
fn begins_before(began: f64, before: f64) -> bool {
    !(began >= before)
}

#[cfg(test)]
mod tests {
    use super::{About, Claims, Mark, Marks, Revoked, began};
    use crate::time::UnixTime;

    fn claims() -> Claims {
        Claims {
            issuer: Some("https://a".into()),
            subject: Some("ada".into()),
            token_id: Some("t-1".into()),
            session: Some("f-1".into()),
            issued_at: Some(100.0),
            ..Claims::default()
        }
    }

    fn is_revoked(about: About, issuer: &str, name: &str, before: f64, claims: &Claims) -> bool {
        let revoked = Revoked::default();
        revoked.put(Mark::of(about, issuer, name.as_bytes()), before, 1e12);
        revoked.covers(&Marks::of(claims, b"{}"))
    }

    #[test]
    fn a_token_is_revoked_by_its_name_its_family_or_its_subject() {
        for (about, name) in [(About::Token, "t-1"), (About::Family, "f-1"), (About::Subject, "ada")] {
            assert!(is_revoked(about, "https://a", name, f64::INFINITY, &claims()));
            assert!(!is_revoked(about, "https://b", name, f64::INFINITY, &claims()));
            assert!(!is_revoked(about, "https://a", "other", f64::INFINITY, &claims()));
        }
        // A name of one kind says nothing about another, nor does another cut between issuer and name.
        assert!(!is_revoked(About::Token, "https://a", "ada", f64::INFINITY, &claims()));
        assert!(!is_revoked(About::Subject, "https://aad", "a", f64::INFINITY, &claims()));
    }

    #[test]
    fn a_subject_is_revoked_up_to_a_moment_and_not_from_it_on() {
        let at = |issued: f64| Claims { issued_at: Some(issued), ..claims() };
        assert!(is_revoked(About::Subject, "https://a", "ada", 100.5, &at(100.0)));
        assert!(!is_revoked(About::Subject, "https://a", "ada", 100.5, &at(100.5)));
        assert!(!is_revoked(About::Subject, "https://a", "ada", 100.5, &at(101.0)));
    }

    #[test]
    fn a_refreshed_token_is_as_old_as_its_login() {
        let refreshed = Claims { issued_at: Some(200.0), authenticated_at: Some(100.0), ..claims() };
        assert!(is_revoked(About::Subject, "https://a", "ada", 150.0, &refreshed));
    }

    #[test]
    fn a_token_that_does_not_say_when_it_began_is_always_older() {
        assert!(began(None, None) < 0.0);
        let timeless = Claims { issued_at: None, ..claims() };
        assert!(is_revoked(About::Subject, "https://a", "ada", 1.0, &timeless));
    }

    #[test]
    fn a_token_without_a_name_is_known_by_its_claims() {
        let nameless = Claims { token_id: None, ..claims() };
        let revoked = Revoked::default();
        revoked.put(Mark::of(About::Claims, "https://a", b"{1}"), f64::INFINITY, 1e12);
        assert!(revoked.covers(&Marks::of(&nameless, b"{1}")));
        assert!(!revoked.covers(&Marks::of(&nameless, b"{2}")));
        assert!(!revoked.covers(&Marks::of(&claims(), b"{1}")));
    }

    #[test]
    fn an_entry_is_never_weakened_and_ends_with_the_last_token() {
        let revoked = Revoked::default();
        let mark = Mark::of(About::Subject, "", b"ada");
        revoked.put(mark, 100.0, 500.0);
        revoked.put(mark, 50.0, 400.0);
        assert_eq!(revoked.moment(&mark), Some(100.0));
        revoked.sweep(UnixTime(499.0));
        assert_eq!(revoked.len(), 1);
        revoked.sweep(UnixTime(500.0));
        assert!(revoked.is_empty());
    }

    #[test]
    fn a_moment_that_is_no_number_revokes_everything() {
        assert!(is_revoked(About::Subject, "https://a", "ada", f64::NAN, &claims()));
    }

    #[test]
    fn a_new_list_replaces_the_old_one() {
        let revoked = Revoked::default();
        let (one, two) = (Mark::of(About::Token, "", b"1"), Mark::of(About::Token, "", b"2"));
        revoked.put(one, 1.0, 1.0);
        revoked.replace([(two, 1.0, 1.0)].into_iter());
        assert_eq!((revoked.moment(&one), revoked.moment(&two)), (None, Some(1.0)));
    }
}
