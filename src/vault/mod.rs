//! Seals data so that only a holder of the keys reads it, and finds out when it was changed.
//!
//! Everything is in the formats of Google's Tink: what is sealed here, Tink opens, and the other way round. Only the outer
//! object of a keyset under a passphrase is ours (`passphrase.rs`), for want of one of Tink's.
//!
//! 1. Keys live in a keyset: one seals, all that are enabled open, so that keys are changed without losing data.
//! 2. What is sealed can be bound to a place, by associated data: a row, a column, a file. It opens nowhere else.
//! 3. A flipped bit, a truncation, another place, another key: nothing of the text is given out.
//!
//! # What it does not do
//! It makes up no cipher: *ring* has AES-GCM, ChaCha20-Poly1305, HKDF and HMAC, RustCrypto the rest. It draws no random bytes;
//! they are passed in. It does not hide lengths, and not which key sealed. It does not stop a replay of an older value into the
//! same place. It knows no files and no KMS.
//!
//! # What can break it in deployment
//! A lost keyset: nothing opens what it sealed. Copies of key material that are not ours to wipe: in a Python text that a
//! keyset was read from, in *ring*'s keys for HMAC, in a core dump.
//!
//! # The rooms within
//! [`wire`] Tink's messages · [`json`] the same as JSON · [`templates`] the kinds of keys · [`keyset`] which keys there are ·
//! [`fingerprint`] which of them seals ·
//! [`protected`] keysets that are sealed themselves · [`passphrase`] under a passphrase · [`sealer`] which key is used ·
//! [`aead`], `expanded` its keys · [`daead`] · [`prf`] blind indexes · [`streaming`] what is too
//! long for memory

pub mod aead;
pub mod daead;
pub mod fingerprint;
pub mod json;
pub mod keyset;
pub mod passphrase;
pub mod prf;
pub mod protected;
pub mod sealer;
pub mod streaming;
pub mod templates;
pub mod wire;

mod expanded;

#[cfg(test)]
mod tests;

pub use aead::Aead;
pub use daead::DeterministicAead;
pub use keyset::{Key, Keyset, Material, OutputPrefix, Random, Status};
pub use passphrase::Costs;
pub use prf::Prf;
pub use protected::{Protected, Unprotected};
pub use sealer::{Attempt, Cipher, Sealer, Unopened};
pub use templates::{Primitive, TEMPLATES, Template};
