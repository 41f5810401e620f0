//! What a record grants, and when it may be believed.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::format::Candidate;
use crate::crypto::same;
use crate::time::UnixTime;

/// Why a key is refused. For the log alone: a peer learns that it is not valid, and nothing else.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// Of the right form, but mistyped, or no key at all.
    Checksum,
    /// `expires` has come.
    Expired,
    /// Not the length, prefix, environment or alphabet of this app's keys.
    Form,
    /// Taken back.
    Revoked,
    /// The id is known, the secret is another.
    Secret,
    /// No key has this id.
    Unknown,
}

impl Reason {
    /// One stable word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Checksum => "checksum",
            Self::Expired => "expired",
            Self::Form => "form",
            Self::Revoked => "revoked",
            Self::Secret => "secret",
            Self::Unknown => "unknown",
        }
    }
}

/// Seconds between two notes of when a key was used.
pub const NOTE_EVERY: u64 = 60;

/// What a record says of a key.
pub struct Grant {
    /// The key's public name.
    pub id: Box<str>,
    /// The SHA-256 of the whole key.
    pub digest: [u8; 32],
    /// From when on it is refused, if ever.
    pub expires: Option<UnixTime>,
    /// Whether it was taken back.
    pub revoked: bool,
    /// Whom it speaks for.
    pub principal: Box<str>,
    /// What it may be used for.
    pub scopes: Vec<String>,
    /// What its holder is.
    pub roles: Vec<String>,
    /// Seconds since 1970 when its use was last noted; 0 for never.
    pub noted: AtomicU64,
}

impl fmt::Debug for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Grant").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Grant {
    /// Whether it holds now.
    pub fn holds(&self, now: UnixTime) -> Result<(), Reason> {
        if self.revoked {
            Err(Reason::Revoked)
        } else if self.expires.is_some_and(|expires| now >= expires) {
            Err(Reason::Expired)
        } else {
            Ok(())
        }
    }

    /// Whether its use should be noted now; true for one caller in [`NOTE_EVERY`] seconds.
    pub fn is_due(&self, now: UnixTime) -> bool {
        let now = now.0 as u64;
        let noted = self.noted.load(Ordering::Relaxed);
        now >= noted.saturating_add(NOTE_EVERY)
            && self.noted.compare_exchange(noted, now, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}

/// A key that was checked against its record. Only [`judge`] and [`super::Book::recall`] make one.
pub struct Verified<T>(pub(super) Arc<T>);

impl<T> Verified<T> {
    /// What it grants.
    pub fn grant(&self) -> &Arc<T> {
        &self.0
    }
}

/// Whether *candidate* is the key that *grant* was made for, and holds now.
pub fn judge<T: Borrow<Grant>>(
    candidate: &Candidate,
    grant: Arc<T>,
    now: UnixTime,
) -> Result<Verified<T>, Reason> {
    let known = (*grant).borrow();
    if !same(candidate.digest(), &known.digest) {
        return Err(Reason::Secret);
    }
    // Only who has the secret is told apart by what comes now, and only in the log.
    known.holds(now)?;
    Ok(Verified(grant))
}
