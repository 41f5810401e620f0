//! Seals and opens what is too long for memory, in Tink's formats for streams: AES-GCM-HKDF and AES-CTR-HMAC.
//!
//! A stream is a header of `1 | salt | 7` bytes and segments, each sealed under a key that is this stream's alone:
//! 1. the key is derived from the keyset's, the salt and the associated data (`segment.rs`);
//! 2. a segment's nonce says its number, and whether it is the last (`segment.rs`);
//! 3. where a segment lies follows from the sizes of the format (`layout.rs`, `format.rs`).
//!
//! Which of a keyset's keys it is, `keys.rs` decides; `message.rs` reads them.
//!
//! So a bit that was flipped, a segment that was moved, repeated, left out or taken from another stream, a stream that was cut
//! or continued, and other associated data open nothing. Any place can be read by itself.
//!
//! # What it does not do
//! It reads and writes no files: segments come and go as bytes. A stream's length is not hidden, and nothing says that it is
//! the newest of those that were sealed under its associated data.
//!
//! # Deployment caveat
//! Of a stream that is read as it comes, the beginning has been given out when its end turns out to be missing: see `open.rs`
//! for what can be known at once.
//!
//! Source: Tink's wire format, "Streaming AEAD"; Hoang, Reyhanitabar, Rogaway, Vizár, "Online Authenticated-Encryption and its
//! Nonce-Reuse Misuse-Resistance" (2015), whose nOAE2 this is; RFC 5869 (HKDF).

mod follow;
mod format;
mod keys;
mod layout;
mod message;
mod open;
mod seal;
mod segment;
#[cfg(test)]
mod tests;

pub use follow::Follower;
pub use format::{Cipher, Format, Hash};
pub use keys::StreamKeys;
pub use layout::Span;
pub use message::{ctr_hmac, gcm_hkdf};
pub use open::Opener;
pub use seal::Sealer;

use crate::crypto::Failed;
use crate::error::ConfigError;
use crate::secret::Secret;

/// A key of a keyset from which streams derive theirs.
pub struct StreamKey {
    format: Format,
    secret: Secret,
}

/// Shortest key, whatever it derives.
const LEAST_KEY: usize = 16;

impl StreamKey {
    /// A key for streams of this format.
    ///
    /// # Errors
    /// If it is shorter than what is derived from it.
    pub fn new(format: Format, secret: Secret) -> Result<Self, ConfigError> {
        let least = format.derived().max(LEAST_KEY);
        if secret.expose().len() < least {
            return Err(ConfigError::new(format!("a key for such streams has at least {least} bytes")));
        }
        Ok(Self { format, secret })
    }

    /// What its streams look like.
    pub fn format(&self) -> &Format {
        &self.format
    }

    /// The bytes that it was made of.
    pub fn secret(&self) -> &Secret {
        &self.secret
    }

    /// Begins a stream, bound to *associated_data*.
    ///
    /// # Errors
    /// If the system's generator gives nothing.
    pub fn sealer(&self, associated_data: &[u8]) -> Result<Sealer, Failed> {
        Sealer::new(self, associated_data)
    }

    /// What opens the stream of *length* bytes that begins with *head*, in which its first segment is whole.
    ///
    /// # Errors
    /// If its first segment was not sealed by this key, for these associated data, in a stream that is one segment long or
    /// longer, as *length* has it.
    pub fn opener(&self, associated_data: &[u8], head: &[u8], length: u64) -> Result<Opener, Failed> {
        Opener::new(self, associated_data, head, length)
    }
}
