//! Decides which key seals, and which keys are tried to open.
//!
//! 1. The primary key seals. Its prefix stands before what it made: five bytes with its id, or nothing.
//! 2. What begins with the prefix of an enabled key is opened by that key.
//! 3. If that fails, or there is none, every enabled `RAW` key is tried, in the keyset's order.
//! 4. If none opens it, nothing of it is given out: the buffer is wiped. There is one answer for a flipped bit, a wrong
//!    associated data, a truncation and a stranger's key.
//!
//! A disabled or destroyed key is not tried. A keyset with an enabled key of another kind is refused as a whole, as Tink
//! does: which of its keys would seal the next one is anybody's guess.
//!
//! # What it does not do
//! It does not hide lengths, and not which key sealed: the id is in front.
//!
//! # What can break it in deployment
//! A key that was destroyed before all was sealed anew. There is no way back.
//!
//! Source: Tink's wire format and its wrappers of AEAD and deterministic AEAD.

use std::fmt;

use zeroize::Zeroize;

use super::keyset::{Keyset, Material, Random};
use super::templates::Primitive;
use crate::crypto::Failed;
use crate::error::ConfigError;
use crate::secret::Secret;

/// A cipher of one key, without a prefix.
pub trait Cipher: Sized {
    /// What its keys are for.
    const PRIMITIVE: Primitive;

    /// Reads a key.
    ///
    /// # Errors
    /// If it is of a type that is not for this, or cannot be used. The error says nothing of the key's bytes.
    fn read(material: &Material) -> Result<Self, ConfigError>;

    /// By how many bytes what is sealed is longer.
    fn overhead(&self) -> usize;

    /// Seals *plaintext* into *out*, which is longer by [`Cipher::overhead`].
    ///
    /// # Errors
    /// If the generator fails, or the text is longer than the cipher may seal.
    fn seal_into(
        &self,
        plaintext: &[u8],
        associated_data: &[u8],
        random: Random<'_>,
        out: &mut [u8],
    ) -> Result<(), Failed>;

    /// Opens *sealed* into *out*, which is shorter by [`Cipher::overhead`]. What *out* holds after a failure is wiped
    /// by the caller.
    ///
    /// # Errors
    /// If it is not what this key has sealed with this associated data.
    fn open_into(&self, sealed: &[u8], associated_data: &[u8], out: &mut [u8]) -> Result<(), Failed>;
}

/// The ciphers of a keyset.
pub struct Sealer<C> {
    primary: usize,
    keys: Vec<Entry<C>>,
}

struct Entry<C> {
    prefix: Option<[u8; PREFIX]>,
    cipher: C,
}

/// Why something was not opened. It is an integrity failure either way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unopened {
    /// A key was tried, and it did not seal this with this associated data.
    Altered,
    /// No key that may open bears the id in front: it was disabled, destroyed, or never here.
    NoKey,
}

impl Unopened {
    /// In a word, for a log: `altered` or `no_key`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Altered => "altered",
            Self::NoKey => "no_key",
        }
    }
}

/// A key that might open something, and how long the text would be.
pub struct Attempt<'a, C> {
    cipher: &'a C,
    sealed: &'a [u8],
    plaintext_len: usize,
}

impl<C: Cipher> Sealer<C> {
    /// The ciphers of all enabled keys.
    ///
    /// # Errors
    /// If one of them is of a type that is not for this, or cannot be used.
    pub fn new(keyset: &Keyset) -> Result<Self, ConfigError> {
        let mut keys = Vec::new();
        let mut primary = None;
        for (key, material) in keyset.enabled() {
            if key.id() == keyset.primary() {
                primary = Some(keys.len());
            }
            let cipher = C::read(material).map_err(|error| {
                ConfigError::new(format!("key {} ({}): {error}", key.id(), key.type_name()))
            })?;
            keys.push(Entry { prefix: key.prefix_bytes(), cipher });
        }
        // A keyset is never without: `keyset.rs`.
        let primary = primary.ok_or_else(|| ConfigError::new("this keyset has no primary key"))?;
        Ok(Self { primary, keys })
    }

    /// How long *length* bytes are when they are sealed; `None` if that is more than there can be.
    pub fn sealed_len(&self, length: usize) -> Option<usize> {
        let key = self.keys.get(self.primary)?;
        length.checked_add(key.cipher.overhead())?.checked_add(key.prefix.map_or(0, |prefix| prefix.len()))
    }

    /// Seals *plaintext* into *out*, which is [`Sealer::sealed_len`] bytes long.
    ///
    /// # Errors
    /// If the generator fails, or the text is longer than the cipher may seal. *out* is wiped then.
    pub fn seal_into(
        &self,
        plaintext: &[u8],
        associated_data: &[u8],
        random: Random<'_>,
        out: &mut [u8],
    ) -> Result<(), Failed> {
        let done = self.try_seal(plaintext, associated_data, random, out);
        if done.is_err() {
            out.zeroize();
        }
        done
    }

    fn try_seal(
        &self,
        plaintext: &[u8],
        associated_data: &[u8],
        random: Random<'_>,
        out: &mut [u8],
    ) -> Result<(), Failed> {
        if Some(out.len()) != self.sealed_len(plaintext.len()) {
            return Err(Failed);
        }
        let key = self.keys.get(self.primary).ok_or(Failed)?;
        let prefix = key.prefix.as_ref().map_or(&[][..], |prefix| prefix);
        let (before, body) = out.split_at_mut_checked(prefix.len()).ok_or(Failed)?;
        before.copy_from_slice(prefix);
        key.cipher.seal_into(plaintext, associated_data, random, body)
    }

    /// *plaintext*, sealed.
    ///
    /// # Errors
    /// As [`Sealer::seal_into`].
    pub fn seal(
        &self,
        plaintext: &[u8],
        associated_data: &[u8],
        random: Random<'_>,
    ) -> Result<Vec<u8>, Failed> {
        let mut out = vec![0; self.sealed_len(plaintext.len()).ok_or(Failed)?];
        self.seal_into(plaintext, associated_data, random, &mut out)?;
        Ok(out)
    }

    /// The keys that are to be tried on *sealed*, in order. What is too short for a key is not tried by it.
    pub fn attempts<'a>(&'a self, sealed: &'a [u8]) -> impl Iterator<Item = Attempt<'a, C>> {
        let with_id = self.keys.iter().filter_map(move |key| {
            let body = sealed.strip_prefix(&key.prefix?[..])?;
            Attempt::on(&key.cipher, body)
        });
        let raw = self.keys.iter().filter(|key| key.prefix.is_none());
        with_id.chain(raw.filter_map(move |key| Attempt::on(&key.cipher, sealed)))
    }

    /// Why *sealed* could not be opened, after all attempts have failed.
    pub fn reason(&self, sealed: &[u8]) -> Unopened {
        let tried = |key: &Entry<C>| key.prefix.is_none_or(|prefix| sealed.starts_with(&prefix));
        if self.keys.iter().any(tried) { Unopened::Altered } else { Unopened::NoKey }
    }

    /// What *sealed* says.
    ///
    /// # Errors
    /// If no key opens it with this associated data.
    pub fn open(&self, sealed: &[u8], associated_data: &[u8]) -> Result<Secret, Unopened> {
        for attempt in self.attempts(sealed) {
            let mut out = vec![0; attempt.plaintext_len()];
            if attempt.open_into(associated_data, &mut out).is_ok() {
                return Ok(Secret::new(out));
            }
        }
        Err(self.reason(sealed))
    }
}

impl<'a, C: Cipher> Attempt<'a, C> {
    fn on(cipher: &'a C, sealed: &'a [u8]) -> Option<Self> {
        let plaintext_len = sealed.len().checked_sub(cipher.overhead())?;
        Some(Self { cipher, sealed, plaintext_len })
    }

    /// How many bytes the text has, if this key opens it.
    pub fn plaintext_len(&self) -> usize {
        self.plaintext_len
    }

    /// Opens into *out*, which is [`Attempt::plaintext_len`] bytes long; after a failure it is wiped.
    ///
    /// # Errors
    /// If this key did not seal it with this associated data.
    pub fn open_into(&self, associated_data: &[u8], out: &mut [u8]) -> Result<(), Failed> {
        if out.len() != self.plaintext_len {
            out.zeroize();
            return Err(Failed);
        }
        let done = self.cipher.open_into(self.sealed, associated_data, out);
        if done.is_err() {
            out.zeroize();
        }
        done
    }
}

impl<C> fmt::Debug for Sealer<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealer").field("keys", &self.keys.len()).finish_non_exhaustive()
    }
}

/// Bytes before what a key with a prefix makes.
const PREFIX: usize = 5;
