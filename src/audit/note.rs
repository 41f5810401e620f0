//! Signed notes: the text that a checkpoint is, and who says so.
//!
//! A note is a text of lines, an empty line, and one line for each signature (C2SP signed-note). A checkpoint is a note of three lines:
//! which log, how many records, the root of their Merkle tree (C2SP tlog-checkpoint). Keys are named, and a key's id is made of
//! name and key, so that a signature names the key it needs.
//!
//! - [`Signer`] reads `PRIVATE+KEY+<name>+<id>+<base64>`, as Go's `sumdb/note` writes it, and signs;
//! - [`Verifier`] reads `<name>+<id>+<base64>` and opens notes; signatures by other keys are passed over, as the format says;
//! - [`Checkpoint`] is the text. It may have a line of extension, as the format allows, that says how far the book of heads had come:
//!   `heads <lines> <root>`.
//!
//! Sources: C2SP signed-note and tlog-checkpoint; RFC 8032 (Ed25519).

use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};

use super::merkle::Hash;
use crate::crypto::{fill_random, sha256};
use crate::error::ConfigError;
use crate::secret::Secret;

/// Signs notes under a name.
pub struct Signer {
    seed: Secret,
    pair: Ed25519KeyPair,
    verifier: Verifier,
}

impl Signer {
    /// A new key of this name.
    ///
    /// # Errors
    /// A name that no key can have, or a system without randomness.
    pub fn generate(name: &str) -> Result<Self, ConfigError> {
        let mut seed = vec![0; 32];
        fill_random(&mut seed).map_err(|_| ConfigError::new("The system gives no random bytes."))?;
        Self::from_seed(name, Secret::new(seed))
    }

    /// Reads `PRIVATE+KEY+<name>+<id>+<base64>`.
    ///
    /// # Errors
    /// What cannot be read, and a key that is not Ed25519. The message does not quote it.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let wrong = |what: &str| ConfigError::new(format!("An audit key cannot be read: {what}. {MAKE_ONE}"));
        let rest =
            text.trim().strip_prefix(PRIVATE).ok_or_else(|| wrong("it does not begin with PRIVATE+KEY+"))?;
        let (name, id, key) =
            parts(rest).ok_or_else(|| wrong("it is not name, id and key with + between"))?;
        let (&kind, seed) = key.split_first().ok_or_else(|| wrong("its key is empty"))?;
        if kind != ED25519_KIND || seed.len() != 32 {
            return Err(wrong("its key is not one of Ed25519"));
        }
        let signer = Self::from_seed(name, Secret::new(seed.to_vec()))?;
        if signer.verifier.id != id {
            return Err(wrong("its id is not that of the name and the key: one of them was changed"));
        }
        Ok(signer)
    }

    fn from_seed(name: &str, seed: Secret) -> Result<Self, ConfigError> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed.expose())
            .map_err(|_| ConfigError::new("An audit key cannot be used: it is not one of Ed25519."))?;
        let mut public = [0; 32];
        public.copy_from_slice(pair.public_key().as_ref());
        let verifier = Verifier::new(name, public)?;
        Ok(Self { seed, pair, verifier })
    }

    /// The text that [`Signer::parse`] reads. It is a secret.
    pub fn to_text(&self) -> Secret {
        let mut key = vec![ED25519_KIND];
        key.extend_from_slice(self.seed.expose());
        let name = &self.verifier.name;
        let text = format!("{PRIVATE}{name}+{}+{}", hex(self.verifier.id), STANDARD.encode(&key));
        drop(Secret::new(key));
        Secret::new(text.into_bytes())
    }

    /// The private key, for what is derived from it.
    pub(super) fn seed(&self) -> &[u8] {
        self.seed.expose()
    }

    /// What checks its signatures.
    pub fn verifier(&self) -> &Verifier {
        &self.verifier
    }

    /// The note of this text, which ends with a line break.
    pub fn sign(&self, text: &str) -> String {
        let mut signature = self.verifier.id.to_vec();
        signature.extend_from_slice(self.pair.sign(text.as_bytes()).as_ref());
        format!("{text}\n\u{2014} {} {}\n", self.verifier.name, STANDARD.encode(signature))
    }
}

/// Checks the signatures of one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verifier {
    name: String,
    id: [u8; 4],
    public: [u8; 32],
}

impl Verifier {
    fn new(name: &str, public: [u8; 32]) -> Result<Self, ConfigError> {
        if name.is_empty()
            || name.len() > MAX_NAME
            || name.contains(|c: char| c.is_whitespace() || c == '+' || c.is_control())
        {
            return Err(ConfigError::new(format!(
                "{name:?} cannot be the name of an audit log: it takes 1 to {MAX_NAME} characters without blanks and +, \
                 such as \"api.example.com/audit\" (C2SP signed-note)."
            )));
        }
        let mut hashed = name.as_bytes().to_vec();
        hashed.extend_from_slice(&[b'\n', ED25519_KIND]);
        hashed.extend_from_slice(&public);
        let digest = sha256(&hashed);
        Ok(Self { name: name.to_owned(), id: [digest[0], digest[1], digest[2], digest[3]], public })
    }

    /// Reads `<name>+<id>+<base64>`.
    ///
    /// # Errors
    /// What cannot be read, and a key that is not Ed25519.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let wrong = || {
            ConfigError::new(
                "A public audit key cannot be read: it is <name>+<id>+<key>, as `flask rampart audit key` shows it.",
            )
        };
        let (name, id, key) = parts(text.trim()).ok_or_else(wrong)?;
        let (&kind, public) = key.split_first().ok_or_else(wrong)?;
        let verifier = Self::new(name, public.try_into().map_err(|_| wrong())?)?;
        if kind == ED25519_KIND && verifier.id == id { Ok(verifier) } else { Err(wrong()) }
    }

    /// The text that [`Verifier::parse`] reads.
    pub fn to_text(&self) -> String {
        let mut key = vec![ED25519_KIND];
        key.extend_from_slice(&self.public);
        format!("{}+{}+{}", self.name, hex(self.id), STANDARD.encode(key))
    }

    /// The name of the key, which is that of the log.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The text of a note that this key has signed; None if it has not, or if it is no note.
    pub fn open<'a>(&self, note: &'a str) -> Option<&'a str> {
        if note.len() > MAX_NOTE {
            return None;
        }
        let split = note.rfind("\n\n")?;
        let (text, signatures) = (note.get(..=split)?, note.get(split + 2..)?);
        if !signatures.ends_with('\n') {
            return None;
        }
        let key = UnparsedPublicKey::new(&ED25519, self.public);
        let mut is_signed = false;
        for line in signatures.strip_suffix('\n')?.split('\n') {
            let (name, encoded) = line.strip_prefix("\u{2014} ")?.split_once(' ')?;
            let bytes = STANDARD.decode(encoded).ok()?;
            let (id, signature) = bytes.split_first_chunk::<4>()?;
            if name == self.name && *id == self.id {
                // One wrong signature of a key that is known makes the note worthless.
                key.verify(text.as_bytes(), signature).ok()?;
                is_signed = true;
            }
        }
        is_signed.then_some(text)
    }
}

/// How far a log had come: its name, its records, their root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Which log.
    pub origin: String,
    /// How many records.
    pub size: u64,
    /// The root of their Merkle tree.
    pub root: Hash,
    /// How many lines the book of heads had, and the root of their tree.
    pub heads: Option<(u64, Hash)>,
}

impl Checkpoint {
    /// The text of the note.
    pub fn to_text(&self) -> String {
        let mut text = format!("{}\n{}\n{}\n", self.origin, self.size, STANDARD.encode(self.root));
        if let Some((lines, root)) = self.heads {
            // A String takes all that is written to it.
            let _ = writeln!(text, "{HEADS}{lines} {}", STANDARD.encode(root));
        }
        text
    }

    /// Reads the text of a note. Lines of extensions but ours are passed over.
    pub fn parse(text: &str) -> Option<Self> {
        let mut lines = text.strip_suffix('\n')?.split('\n');
        let (origin, size, root) = (lines.next()?, lines.next()?, lines.next()?);
        if origin.is_empty() {
            return None;
        }
        let extension = lines.find_map(|line| line.strip_prefix(HEADS));
        let heads = match extension.map(|rest| rest.split_once(' ')) {
            Some(parts) => {
                let (lines, root) = parts?;
                Some((whole(lines)?, hash(root)?))
            }
            None => None,
        };
        Some(Self { origin: origin.to_owned(), size: whole(size)?, root: hash(root)?, heads })
    }
}

/// Reads a number as it would be written.
fn whole(text: &str) -> Option<u64> {
    let is_canonical =
        text == "0" || (!text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit()));
    text.parse().ok().filter(|_| is_canonical)
}

fn hash(text: &str) -> Option<Hash> {
    STANDARD.decode(text).ok()?.try_into().ok()
}

fn parts(text: &str) -> Option<(&str, [u8; 4], Vec<u8>)> {
    let (name, rest) = text.split_once('+')?;
    let (id, key) = rest.split_once('+')?;
    if id.len() != 8 || !id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
        return None;
    }
    let id = u32::from_str_radix(id, 16).ok()?.to_be_bytes();
    Some((name, id, STANDARD.decode(key).ok()?))
}

fn hex(id: [u8; 4]) -> String {
    let mut out = String::new();
    for byte in id {
        let _ = write!(out, "{byte:02x}");
    }
    out
}

const PRIVATE: &str = "PRIVATE+KEY+";
const HEADS: &str = "heads ";
const ED25519_KIND: u8 = 1;
const MAX_NAME: usize = 255;
/// C2SP signed-note lets a reader refuse what is longer than it needs.
const MAX_NOTE: usize = 16 * 1024;
const MAKE_ONE: &str = "`flask rampart audit keygen` makes one.";

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    // The key pair and the note of the documentation of Go's golang.org/x/mod/sumdb/note.
    const SKEY: &str = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz";
    const VKEY: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
    const TEXT: &str = concat!(
        "If you think cryptography is the answer to your problem,\n",
        "then you don't know what your problem is.\n",
    );
    const SIGNATURE: &str = "\u{2014} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=";

    fn note() -> String {
        format!("{TEXT}\n{SIGNATURE}\n")
    }

    #[test]
    fn keys_and_notes_are_those_of_gos_package() {
        let signer = Signer::parse(SKEY).unwrap();
        assert_eq!(signer.verifier().to_text(), VKEY);
        assert_eq!(signer.to_text().expose(), SKEY.as_bytes());
        assert_eq!(signer.sign(TEXT), note());
        assert_eq!(Verifier::parse(VKEY).unwrap().open(&note()), Some(TEXT));
    }

    #[test]
    fn a_note_that_was_changed_anywhere_is_not_opened() {
        let verifier = Verifier::parse(VKEY).unwrap();
        let whole = note();
        for at in 0..whole.len() {
            for bit in 0..8 {
                let mut bytes = whole.clone().into_bytes();
                bytes[at] ^= 1 << bit;
                if let Ok(text) = String::from_utf8(bytes) {
                    assert_eq!(verifier.open(&text), None, "byte {at}, bit {bit}");
                }
            }
            assert_eq!(verifier.open(&whole[..whole.floor_char_boundary(at)]), None);
        }
        assert_eq!(verifier.open(&format!("{whole}\n")), None);
    }

    #[test]
    fn signatures_by_others_stand_beside_and_say_nothing() {
        let (verifier, other) =
            (Verifier::parse(VKEY).unwrap(), Signer::generate("witness.example/w1").unwrap());
        let both = format!("{}{}\n", note(), other.sign(TEXT).rsplit_once("\n\n").unwrap().1.trim_end());
        assert_eq!(verifier.open(&both), Some(TEXT));
        assert_eq!(other.verifier().open(&both), Some(TEXT));
        assert_eq!(verifier.open(&other.sign(TEXT)), None);
        // The same name with another key is another key.
        assert_eq!(verifier.open(&Signer::generate("PeterNeumann").unwrap().sign(TEXT)), None);
    }

    #[test]
    fn a_key_whose_name_was_changed_is_refused_and_never_shown() {
        for wrong in [SKEY.replace("Peter", "Betty"), SKEY[..60].to_owned(), VKEY.to_owned(), String::new()] {
            let told = Signer::parse(&wrong).err().unwrap().to_string();
            assert!(
                told.contains("audit key") && !told.contains("AYEK") && !told.contains("Neumann"),
                "{told}"
            );
        }
        for name in ["", "a b", "a+b", "a\u{a0}b", "a\nb", &"a".repeat(256)] {
            assert!(Signer::generate(name).is_err(), "{name:?}");
        }
        assert!(Verifier::parse(&VKEY.replace("c74f", "c74e")).is_err());
    }

    #[test]
    fn a_checkpoint_reads_only_what_it_would_write() {
        let origin = "api.example.com/audit".to_owned();
        let point = Checkpoint { origin, size: 42, root: [7; 32], heads: None };
        let text = point.to_text();
        assert_eq!(Checkpoint::parse(&text), Some(point.clone()));
        for wrong in ["\n42\n", "042", "+42", "-1", "4 2", "18446744073709551616", ""] {
            assert_eq!(Checkpoint::parse(&text.replacen("42", wrong, 1)), None, "{wrong:?}");
        }
        assert_eq!(Checkpoint::parse(text.trim_end()), None);
        let seen = Checkpoint { heads: Some((9, [8; 32])), ..point.clone() };
        assert_eq!(Checkpoint::parse(&seen.to_text()), Some(seen.clone()));
        assert_eq!(Checkpoint::parse(&format!("{text}another 9\n")), Some(point));
        for wrong in ["heads 09 ", "heads 9", "heads -9 "] {
            assert_eq!(Checkpoint::parse(&seen.to_text().replacen("heads 9 ", wrong, 1)), None, "{wrong:?}");
        }
    }
}
