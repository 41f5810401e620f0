//! Decides whether a token was revoked before its time.
//!
//! A token is revoked when one of these is listed:
//! 1. the token itself: its realm and `jti`, or, where it has none, its realm and its claims as they stand;
//! 2. its family: its realm and `sid`, which all tokens of one login share;
//! 3. its subject. A token of our own says in `gen` how often its subject had been revoked when it was begun; it is revoked
//!    when that happened once more, whatever any clock says. Another token is revoked when it began before a moment: the
//!    earlier of `iat` and `auth_time`; if it says neither, it began before any moment.
//!
//! The realm of others' tokens is their issuer. That of our own is the verifier's, so that it stays when the issuer's name
//! in the settings changes.
//!
//! The list is a copy of what a store holds, and as new as whoever keeps it makes it. An entry is dropped when every token
//! that it could concern has expired by itself.
//!
//! # What can break it in deployment
//! Where tokens have no `gen`, a subject's moment is compared with what the issuer's clock wrote: clocks that differ by a
//! second revoke a second too much or too little.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use std::mem;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::claims::Claims;
use super::seen::FirstBytes;
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

/// Names a token, family or subject of a realm, and tells nobody which: half of a SHA-256.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Mark([u8; 16]);

impl Mark {
    /// The mark of *name* in *realm*.
    pub fn of(about: About, realm: &str, name: &[u8]) -> Self {
        let mut text = Vec::with_capacity(9 + realm.len() + name.len());
        text.push(about.letter());
        // With its length, so that no realm and name together read as another pair.
        text.extend((realm.len() as u64).to_le_bytes());
        text.extend(realm.as_bytes());
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
    began: Began,
}

/// When a token began: by count where its issuer counts with us, otherwise by the clock.
#[derive(Debug, Clone, Copy)]
enum Began {
    After(u64),
    At(f64),
}

impl Marks {
    /// That of the token alone.
    pub fn token(&self) -> &Mark {
        &self.token
    }

    /// Of a token with these claims, which read as *json*; *own* is the realm, where it is one of ours.
    pub fn of(claims: &Claims, json: &[u8], own: Option<&str>) -> Self {
        let realm = own.or(claims.issuer.as_deref()).unwrap_or_default();
        let named = |about, name: &Option<Box<str>>| {
            // An empty name names nothing.
            let name = name.as_deref().filter(|name| !name.is_empty())?;
            Some(Mark::of(about, realm, name.as_bytes()))
        };
        Self {
            token: named(About::Token, &claims.token_id)
                .unwrap_or_else(|| Mark::of(About::Claims, realm, json)),
            family: named(About::Family, &claims.session),
            subject: named(About::Subject, &claims.subject),
            began: match claims.generation.filter(|_| own.is_some()) {
                Some(generation) => Began::After(generation),
                None => Began::At(began(claims.issued_at, claims.authenticated_at)),
            },
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
    /// How often this was revoked. Tokens that began after fewer times are revoked.
    generation: u64,
    /// When the entry is needed no more.
    until: f64,
}

/// A mark is half of a SHA-256: its first eight bytes are as good as any hash of it.
type Listed = HashMap<Mark, Entry, BuildHasherDefault<FirstBytes>>;

/// What was revoked. Shared by all verifiers of an app.
#[derive(Debug, Default)]
pub struct Revoked(RwLock<Listed>);

impl Revoked {
    /// Lists *mark*: tokens under it that began before *before*, or after fewer than *generation* times, are revoked; what
    /// was listed earlier is not weakened.
    pub fn put(&self, mark: Mark, before: f64, generation: u64, until: f64) {
        merge(&mut self.write(), mark, Entry { before, generation, until });
    }

    /// Lists these and nothing else.
    pub fn replace(&self, entries: impl Iterator<Item = (Mark, f64, u64, f64)>) {
        let mut fresh = Listed::default();
        for (mark, before, generation, until) in entries {
            merge(&mut fresh, mark, Entry { before, generation, until });
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

    /// Whether a token with these marks is revoked. They are asked for only if anything is.
    pub fn covers<'a>(&self, marks: impl FnOnce() -> &'a Marks) -> bool {
        let listed = self.read();
        if listed.is_empty() {
            return false;
        }
        let marks = marks();
        let has = |mark: &Mark| listed.contains_key(mark);
        let subject = marks.subject.as_ref().and_then(|mark| listed.get(mark));
        has(&marks.token)
            || marks.family.as_ref().is_some_and(has)
            || subject.is_some_and(|entry| match marks.began {
                Began::After(generation) => generation < entry.generation,
                // What cannot be compared is revoked.
                Began::At(began) => began < entry.before || began.is_nan(),
            })
    }

    /// Up to when and how often what *mark* names was revoked, if it is listed.
    pub fn entry(&self, mark: &Mark) -> Option<(f64, u64)> {
        self.read().get(mark).map(|entry| (entry.before, entry.generation))
    }

    /// Whether nothing is listed.
    pub fn is_empty(&self) -> bool {
        self.read().is_empty()
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.read().len()
    }

    // No code of others runs under the lock, so a panic there is not expected; the map stays whole if one did.
    fn read(&self) -> RwLockReadGuard<'_, Listed> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Listed> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

fn merge(listed: &mut Listed, mark: Mark, new: Entry) {
    // A moment that is no number must not read as "nothing is revoked".
    let sound = |moment: f64| if moment.is_nan() { f64::INFINITY } else { moment };
    let entry = listed.entry(mark).or_insert(new);
    entry.before = sound(entry.before).max(sound(new.before));
    entry.generation = entry.generation.max(new.generation);
    entry.until = sound(entry.until).max(sound(new.until));
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

    fn holds(revoked: &Revoked, marks: Marks) -> bool {
        revoked.covers(|| &marks)
    }

    fn is_revoked(about: About, realm: &str, name: &str, before: f64, claims: &Claims) -> bool {
        let revoked = Revoked::default();
        revoked.put(Mark::of(about, realm, name.as_bytes()), before, 1, 1e12);
        holds(&revoked, Marks::of(claims, b"{}", None))
    }

    #[test]
    fn a_token_is_revoked_by_its_name_its_family_or_its_subject() {
        for (about, name) in [(About::Token, "t-1"), (About::Family, "f-1"), (About::Subject, "ada")] {
            assert!(is_revoked(about, "https://a", name, f64::INFINITY, &claims()));
            assert!(!is_revoked(about, "https://b", name, f64::INFINITY, &claims()));
            assert!(!is_revoked(about, "https://a", "other", f64::INFINITY, &claims()));
        }
        // A name of one kind says nothing about another, nor does another cut between realm and name.
        assert!(!is_revoked(About::Token, "https://a", "ada", f64::INFINITY, &claims()));
        assert!(!is_revoked(About::Subject, "https://aad", "a", f64::INFINITY, &claims()));
    }

    #[test]
    fn anothers_subject_is_revoked_up_to_a_moment_and_not_from_it_on() {
        let at = |issued: f64| Claims { issued_at: Some(issued), ..claims() };
        assert!(is_revoked(About::Subject, "https://a", "ada", 100.5, &at(100.0)));
        assert!(!is_revoked(About::Subject, "https://a", "ada", 100.5, &at(100.5)));
        assert!(!is_revoked(About::Subject, "https://a", "ada", 100.5, &at(101.0)));
        // Whose count is not ours may claim what they like.
        let boasting = Claims { generation: Some(99), ..at(100.0) };
        assert!(is_revoked(About::Subject, "https://a", "ada", 100.5, &boasting));
    }

    #[test]
    fn our_own_subject_is_revoked_by_count_whatever_the_clocks_say() {
        let revoked = Revoked::default();
        revoked.put(Mark::of(About::Subject, "", b"ada"), 0.0, 2, 1e12);
        let own = |generation| Claims { generation, issued_at: Some(1e9), ..claims() };
        assert!(holds(&revoked, Marks::of(&own(Some(1)), b"{}", Some(""))));
        assert!(!holds(&revoked, Marks::of(&own(Some(2)), b"{}", Some(""))));
        // A token of ours without a count is judged by the clock.
        assert!(!holds(&revoked, Marks::of(&own(None), b"{}", Some(""))));
        revoked.put(Mark::of(About::Subject, "", b"ada"), 2e9, 2, 1e12);
        assert!(holds(&revoked, Marks::of(&own(None), b"{}", Some(""))));
        assert!(!holds(&revoked, Marks::of(&own(Some(2)), b"{}", Some(""))));
    }

    #[test]
    fn our_own_realm_stays_when_the_issuers_name_changes() {
        let revoked = Revoked::default();
        revoked.put(Mark::of(About::Token, "", b"t-1"), f64::INFINITY, 1, 1e12);
        for issuer in [None, Some("https://a".into()), Some("https://b".into())] {
            assert!(holds(&revoked, Marks::of(&Claims { issuer, ..claims() }, b"{}", Some(""))));
        }
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
        for name in [None, Some("".into())] {
            let nameless = Claims { token_id: name, ..claims() };
            let revoked = Revoked::default();
            revoked.put(Mark::of(About::Claims, "https://a", b"{1}"), f64::INFINITY, 1, 1e12);
            revoked.put(Mark::of(About::Token, "https://a", b""), f64::INFINITY, 1, 1e12);
            assert!(holds(&revoked, Marks::of(&nameless, b"{1}", None)));
            assert!(!holds(&revoked, Marks::of(&nameless, b"{2}", None)));
            assert!(!holds(&revoked, Marks::of(&claims(), b"{1}", None)));
        }
    }

    #[test]
    fn an_entry_is_never_weakened_and_ends_with_the_last_token() {
        let revoked = Revoked::default();
        let mark = Mark::of(About::Subject, "", b"ada");
        revoked.put(mark, 100.0, 3, 500.0);
        revoked.put(mark, 50.0, 2, 400.0);
        assert_eq!(revoked.entry(&mark), Some((100.0, 3)));
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
        revoked.put(one, 1.0, 1, 1.0);
        revoked.replace([(two, 1.0, 1, 1.0)].into_iter());
        assert_eq!((revoked.entry(&one), revoked.entry(&two)), (None, Some((1.0, 1))));
    }
}
