//! A keyset under a passphrase: Argon2id (RFC 9106) makes a key of it, which seals the keyset by AES-256-GCM.
//!
//! Tink has no passphrases. The outer object is ours, and only says by which key derivation the inner one is opened:
//!
//! ```json
//! {
//!   "kdf": "$argon2id$v=19$m=65536,t=3,p=4$c29tZXNhbHRzb21lc2FsdA",
//!   "keyset": {"encryptedKeyset": "…", "keysetInfo": {…}}
//! }
//! ```
//!
//! `kdf` is a PHC string without its hash: memory in KiB, passes, lanes, and the salt in base64 without padding. `keyset` is
//! Tink's `EncryptedKeyset`, sealed by the 32 bytes that Argon2id gives: as Tink's `AES256_GCM_RAW` would, with no
//! associated data. So other programs open it with any Argon2 and any Tink.
//!
//! 1. The costs are within bounds: 19 MiB to 1 GiB, 2 passes to 64, 1 lane to 16, and not more than 4 GiB in all passes. A file
//!    that asks for more would stop the start-up by being read.
//! 2. The salt has 8 to 64 bytes. Ours are 16 random ones, new each time.
//! 3. A passphrase that seals has at least [`LEAST_PASSPHRASE`] bytes; one that opens, one.
//!
//! What is changed in `kdf` gives another key, which opens nothing.
//!
//! # What can break it in deployment
//! It takes some 0.2 s and 64 MiB, once, at the start of each worker. A passphrase is bytes: the same letters in another
//! Unicode normalization are another passphrase.
//!
//! Sources: RFC 9106 (section 4: the second recommended option), the PHC string format, OWASP's least costs for Argon2id.

use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use zeroize::Zeroizing;

use super::aead::{AeadCipher, aes_256_gcm};
use super::json::{self, EncryptedOut, EncryptedText};
use super::keyset::{Keyset, Random};
use super::protected::{Protected, Unprotected};
use super::sealer::Cipher;
use crate::crypto::Failed;
use crate::error::ConfigError;
use crate::secret::Secret;

/// The shortest passphrase that seals, in bytes.
pub const LEAST_PASSPHRASE: usize = 12;

/// What deriving a key costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Costs {
    /// In KiB.
    pub memory: u32,
    /// Over the memory.
    pub passes: u32,
    /// That a parallel program could compute at once.
    pub lanes: u32,
}

impl Default for Costs {
    /// The second recommended option of RFC 9106: 64 MiB, 3 passes, 4 lanes.
    fn default() -> Self {
        Self { memory: 64 * 1024, passes: 3, lanes: 4 }
    }
}

/// Seals *keyset* under *passphrase*; the JSON object.
///
/// # Errors
/// If the passphrase is too short, the costs are out of bounds, or the generator fails.
pub fn seal(
    keyset: &Keyset,
    passphrase: &[u8],
    costs: Costs,
    random: Random<'_>,
) -> Result<String, Unprotected<Failed>> {
    if passphrase.len() < LEAST_PASSPHRASE {
        return Err(Unprotected::Config(ConfigError::new(format!(
            "a passphrase for a keyset has at least {LEAST_PASSPHRASE} bytes"
        ))));
    }
    let mut salt = vec![0; 16];
    random(&mut salt).map_err(Unprotected::Wrapping)?;
    let kdf = Kdf { costs, salt };
    kdf.check()?;
    let cipher = kdf.cipher(passphrase)?;
    let protected = Protected::seal(
        keyset,
        |clear| {
            let mut out = vec![0; clear.len() + cipher.overhead()];
            cipher.seal_into(clear, b"", random, &mut out).map(|()| out)
        },
        |sealed| opened(&cipher, sealed),
    )?;
    let size = protected.as_wire().encrypted_keyset.len() * 2 + 4096;
    let outer = Outer { kdf: kdf.render(), keyset: EncryptedOut(protected.as_wire()) };
    Ok(json::text_of(&json::render(&outer, size)))
}

/// The keyset in such a JSON object.
///
/// # Errors
/// [`Unprotected::Config`] if it is none; [`Unprotected::Wrapping`] if the passphrase does not open it: it is another, or
/// the text was changed.
pub fn open(text: &str, passphrase: &[u8]) -> Result<Keyset, Unprotected<Failed>> {
    let read: OuterText = json::parse(text, "a keyset under a passphrase")?;
    let kdf = Kdf::read(&read.kdf)?;
    let protected = Protected::from_wire(read.keyset.message())?;
    if passphrase.is_empty() {
        return Err(Unprotected::Config(ConfigError::new("the passphrase is empty")));
    }
    let cipher = kdf.cipher(passphrase)?;
    protected.open(|sealed| opened(&cipher, sealed))
}

fn opened(cipher: &AeadCipher, sealed: &[u8]) -> Result<Secret, Failed> {
    let mut out = Zeroizing::new(vec![0; sealed.len().checked_sub(cipher.overhead()).ok_or(Failed)?]);
    cipher.open_into(sealed, b"", &mut out)?;
    Ok(Secret::new(std::mem::take(&mut *out)))
}

#[derive(serde::Deserialize)]
struct OuterText {
    kdf: String,
    keyset: EncryptedText,
}

#[derive(serde::Serialize)]
struct Outer<'a> {
    kdf: String,
    keyset: EncryptedOut<'a>,
}

/// How a key is made of a passphrase.
struct Kdf {
    costs: Costs,
    salt: Vec<u8>,
}

impl Kdf {
    /// Reads a PHC string; what is not written as [`Kdf::render`] writes it is refused.
    fn read(text: &str) -> Result<Self, ConfigError> {
        let found = Self::parts(text).filter(|kdf| kdf.render() == text);
        let kdf = found.ok_or_else(|| {
            ConfigError::new("the kdf of a keyset is of the form $argon2id$v=19$m=65536,t=3,p=4$<salt>")
        })?;
        kdf.check()?;
        Ok(kdf)
    }

    fn parts(text: &str) -> Option<Self> {
        let (costs, salt) = text.strip_prefix("$argon2id$v=19$m=")?.split_once('$')?;
        let (memory, rest) = costs.split_once(",t=")?;
        let (passes, lanes) = rest.split_once(",p=")?;
        let costs =
            Costs { memory: memory.parse().ok()?, passes: passes.parse().ok()?, lanes: lanes.parse().ok()? };
        Some(Self { costs, salt: STANDARD_NO_PAD.decode(salt).ok()? })
    }

    fn render(&self) -> String {
        let Costs { memory, passes, lanes } = self.costs;
        let salt = STANDARD_NO_PAD.encode(&self.salt);
        format!("$argon2id$v=19$m={memory},t={passes},p={lanes}${salt}")
    }

    fn check(&self) -> Result<(), ConfigError> {
        let Costs { memory, passes, lanes } = self.costs;
        let within = (19 * 1024..=1024 * 1024).contains(&memory)
            && (2..=64).contains(&passes)
            && (1..=16).contains(&lanes)
            && u64::from(memory) * u64::from(passes) <= 4 * 1024 * 1024;
        if !within {
            return Err(ConfigError::new(
                "Argon2id takes 19 MiB to 1 GiB, 2 to 64 passes (4 GiB in all), and 1 to 16 lanes",
            ));
        }
        if !(8..=64).contains(&self.salt.len()) {
            return Err(ConfigError::new("the salt of a kdf has 8 to 64 bytes"));
        }
        Ok(())
    }

    fn cipher(&self, passphrase: &[u8]) -> Result<AeadCipher, ConfigError> {
        let unusable = |_| ConfigError::new("Argon2id cannot be computed: too little memory");
        let Costs { memory, passes, lanes } = self.costs;
        let params = Params::new(memory, passes, lanes, Some(32)).map_err(unusable)?;
        let mut key = Zeroizing::new([0; 32]);
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into(passphrase, &self.salt, &mut *key)
            .map_err(unusable)?;
        aes_256_gcm(&*key)
    }
}
