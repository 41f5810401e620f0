//! Puts a token in the place of a value, from which whoever has the key can have the value back.
//!
//! A token is the ciphertext of the value's text in UTF-8, with the scope's name as associated data, in base 64 for URLs without
//! padding (RFC 4648 section 5). So a token of one scope is no token of another, and a changed one is refused.
//!
//! What encrypts is a [`Sealer`]: anything that authenticates. [`RawSiv`] is AES-SIV (RFC 5297) with a key of 64 bytes, one
//! component of associated data, and the synthetic IV in front: what Google Tink's `DeterministicAead` writes under a key with the output prefix `RAW`.
//! It is deterministic, so equal values have equal tokens, and a table can be joined by them. A keyset, whose keys are rotated, is
//! another `Sealer`: of deterministic AEAD, or of AEAD, which makes two tokens of two equal values.
//!
//! # What it does not do
//! It does not hide the length, nor, where it is deterministic, that two values are equal. The kind of a value is not kept: 7 and
//! "7" have one token, and "7" comes back.

use aes_siv::KeyInit;
use aes_siv::siv::Aes256Siv;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::key::{MasterKey, Use, check_scope};
use super::value::{Cell, Made, Refused};
use crate::crypto::Failed;
use crate::error::ConfigError;
use crate::secret::Secret;

/// Authenticated encryption with associated data, deterministic or not.
pub trait Sealer: Send + Sync {
    /// The ciphertext, which nobody else can make.
    fn seal(&self, plaintext: &[u8], ad: &[u8]) -> Result<Vec<u8>, Failed>;

    /// What was sealed with the same *ad*; fails for anything else.
    fn open(&self, sealed: &[u8], ad: &[u8]) -> Result<Vec<u8>, Failed>;
}

/// AES-SIV with one raw key of 64 bytes.
pub struct RawSiv(Secret);

impl RawSiv {
    /// # Errors
    /// If the key has not 64 bytes.
    pub fn new(key: Secret) -> Result<Self, ConfigError> {
        if key.expose().len() == 64 {
            return Ok(Self(key));
        }
        Err(ConfigError::new("a key of AES-SIV has 64 bytes"))
    }

    fn cipher(&self) -> Result<Aes256Siv, Failed> {
        Aes256Siv::new_from_slice(self.0.expose()).map_err(|_| Failed)
    }
}

impl Sealer for RawSiv {
    fn seal(&self, plaintext: &[u8], ad: &[u8]) -> Result<Vec<u8>, Failed> {
        self.cipher()?.encrypt([ad], plaintext).map_err(|_| Failed)
    }

    fn open(&self, sealed: &[u8], ad: &[u8]) -> Result<Vec<u8>, Failed> {
        self.cipher()?.decrypt([ad], sealed).map_err(|_| Failed)
    }
}

/// Makes and opens the tokens of one scope.
pub struct Tokenizer {
    sealer: Box<dyn Sealer>,
    scope: String,
}

/// Longest value of a token, and longest token that is opened, in bytes.
const MAX: usize = 1 << 20;

impl Tokenizer {
    /// With a key of AES-SIV that is derived for the scope.
    ///
    /// # Errors
    /// For a scope without a name.
    pub fn new(master: &MasterKey, scope: &str) -> Result<Self, ConfigError> {
        check_scope(scope)?;
        Self::with(Box::new(RawSiv::new(master.derive::<64>(Use::Token, scope)?)?), scope)
    }

    /// With another way to encrypt, a keyset say.
    ///
    /// # Errors
    /// For a scope without a name.
    pub fn with(sealer: Box<dyn Sealer>, scope: &str) -> Result<Self, ConfigError> {
        check_scope(scope)?;
        Ok(Self { sealer, scope: scope.to_owned() })
    }

    /// The token of a text, an integer or a date.
    ///
    /// # Errors
    /// [`Refused::Kind`] for anything else, [`Refused::Length`] above one MiB.
    pub fn apply(&self, cell: Cell<'_>) -> Result<Made, Refused> {
        let text = cell.text()?;
        if text.len() > MAX {
            return Err(Refused::Length);
        }
        let sealed = self.sealer.seal(text.as_bytes(), self.scope.as_bytes())?;
        Ok(Made::Text(URL_SAFE_NO_PAD.encode(sealed)))
    }

    /// The text that a token stands for.
    ///
    /// # Errors
    /// [`Refused::Token`] for what was not made with this key and scope.
    pub fn open(&self, token: &str) -> Result<String, Refused> {
        if token.len() > 2 * MAX {
            return Err(Refused::Token);
        }
        let sealed = URL_SAFE_NO_PAD.decode(token).map_err(|_| Refused::Token)?;
        let text = self.sealer.open(&sealed, self.scope.as_bytes())?;
        String::from_utf8(text).map_err(|_| Refused::Token)
    }
}
