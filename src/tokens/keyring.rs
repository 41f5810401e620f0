//! Several keys, found by `kid`: the current one, and those that tokens in circulation were signed with.
//!
//! Rules: no `kid` twice, and no two keys of one algorithm without `kid`; shared secrets and public keys never
//! share a ring, so that a header cannot lead from one to the other. In the ring of an issuer's set ([`super::keyset`])
//! a `kid` may stand once for each algorithm. A token
//! - with a `kid` is for the key of that name; if none has it, for the one nameless key of its `alg`, since `kid` is
//!   a hint (RFC 7515 §4.1.4) and a key without a name does not contradict it;
//! - without a `kid` is for the one key of its `alg`; if there are several, it is refused.
//!
//! The name is compared with the names here and used for nothing else: no path, no query, no address.

use std::sync::{Arc, Weak};

use super::error::Reason;
use super::header::Header;
use super::key::Key;
use crate::error::ConfigError;

/// Most keys in one ring. They are searched one by one.
const MAX_KEYS: usize = 64;

/// Keys that tokens are verified with. Never changed: rotation makes a new ring.
#[derive(Debug, Clone)]
pub struct Keyring(Arc<[Arc<Key>]>);

impl Keyring {
    /// A ring of *keys*.
    pub fn new(keys: Vec<Arc<Key>>) -> Result<Self, ConfigError> {
        let Some(first) = keys.first() else {
            return Err(ConfigError::new("a verifier needs at least one key"));
        };
        if keys.len() > MAX_KEYS {
            return Err(ConfigError::new(format!("a verifier takes at most {MAX_KEYS} keys")));
        }
        // RFC 8725 §2.1: where both are accepted, a public key may be taken for a secret.
        if keys.iter().any(|key| key.is_symmetric() != first.is_symmetric()) {
            return Err(ConfigError::new(
                "shared secrets and public keys never share a list: use two verifiers",
            ));
        }
        for (n, key) in keys.iter().enumerate() {
            if keys[..n]
                .iter()
                .any(|other| other.kid() == key.kid() && (key.kid().is_some() || other.alg() == key.alg()))
            {
                return Err(ConfigError::new(match key.kid() {
                    Some(kid) => format!("two keys have the kid {kid:?}"),
                    None => format!("two keys for {} have no kid: tokens could not say which", key.alg()),
                }));
            }
        }
        Ok(Self(keys.into()))
    }

    /// The ring of a published set: public keys, no two with both `kid` and algorithm in common. [`super::keyset`] sees
    /// to that.
    pub(super) fn of_set(keys: Vec<Arc<Key>>) -> Self {
        Self(keys.into())
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The one key that *header* may be verified with.
    pub(super) fn find(&self, header: &Header<'_>) -> Result<&Arc<Key>, Reason> {
        let of_alg = |key: &&Arc<Key>| key.alg() == header.alg;
        if let Some(kid) = header.kid.as_deref() {
            let mut named = self.0.iter().filter(|key| key.kid().is_some_and(|own| **own == *kid)).peekable();
            if named.peek().is_some() {
                return named.find(of_alg).ok_or(Reason::Algorithm);
            }
            return self.0.iter().filter(|key| key.kid().is_none()).find(of_alg).ok_or(Reason::Key);
        }
        let mut fitting = self.0.iter().filter(of_alg);
        match (fitting.next(), fitting.next()) {
            (None, _) => Err(Reason::Algorithm),
            (Some(key), None) => Ok(key),
            (Some(_), Some(_)) => Err(Reason::Key),
        }
    }

    /// Whether *key* is in this ring: that very key, not one of the same name.
    pub(super) fn holds(&self, key: &Weak<Key>) -> bool {
        self.0.iter().any(|own| std::ptr::eq(Arc::as_ptr(own), key.as_ptr()))
    }

    /// Whether some key here takes more than half a millisecond to verify with.
    pub fn verifies_slowly(&self) -> bool {
        self.0.iter().any(|key| key.verifies_slowly())
    }
}
