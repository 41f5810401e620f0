//! Seals and opens one segment, under the key of one stream.
//!
//! The key comes from HKDF (RFC 5869): the keyset's key, the header's salt, and the associated data as `info`, so that other
//! associated data are another key. A segment's nonce is `prefix (7) | number (4, big-endian) | 1 for the last, else 0`: a
//! segment that was moved, repeated or cut off behind opens nowhere else.
//!
//! - AES-GCM takes these 12 bytes as nonce, and no associated data.
//! - AES-CTR-HMAC takes them and four zero bytes as first counter block; HMAC is over these 16 bytes and the ciphertext, under
//!   32 more bytes of the same HKDF. The tag is compared in constant time, before anything is decrypted.
//!
//! A segment's length is not checked here. Who seals must never give a number twice: [`super::Sealer`] sees to that.

use aes::{Aes128, Aes256};
use ctr::Ctr32BE;
use ctr::cipher::{KeyIvInit, StreamCipher};
use ring::aead::{AES_128_GCM, AES_256_GCM, Aad, Nonce};
use ring::{hkdf, hmac};

use super::format::{Cipher, Format, Hash, PREFIX};
use crate::crypto::Failed;
use crate::secret::Secret;
use crate::vault::expanded::{RingKey, spilling};

/// The cipher of one stream: its derived key, and its nonces' common beginning.
pub(super) struct Segments {
    kind: Kind,
    prefix: [u8; PREFIX],
}

enum Kind {
    CtrHmac { key: Secret, mac: hmac::Key, tag: usize },
    Gcm(RingKey),
}

const MAC_KEY: usize = 32;

impl Segments {
    /// The cipher of the stream with this salt and prefix.
    pub fn derive(
        format: &Format,
        key: &Secret,
        salt: &[u8],
        prefix: [u8; PREFIX],
        associated_data: &[u8],
    ) -> Result<Self, Failed> {
        let length = match format.cipher() {
            Cipher::CtrHmac { .. } => format.derived() + MAC_KEY,
            Cipher::Gcm => format.derived(),
        };
        let derived = spilling(|| derived(format.hkdf(), key.expose(), salt, associated_data, length))?;
        let kind = match format.cipher() {
            Cipher::CtrHmac { hash, tag } => {
                let (key, mac) = derived.expose().split_at_checked(format.derived()).ok_or(Failed)?;
                Kind::CtrHmac { key: Secret::new(key.to_vec()), mac: hmac::Key::new(hash.hmac(), mac), tag }
            }
            Cipher::Gcm => {
                let algorithm = if format.derived() == 16 { &AES_128_GCM } else { &AES_256_GCM };
                Kind::Gcm(RingKey::new(algorithm, derived.expose())?)
            }
        };
        Ok(Self { kind, prefix })
    }

    /// Seals *text* in its place, and writes the tag to *tag*, which is as long as the format says.
    pub fn seal(&self, number: u32, last: bool, text: &mut [u8], tag: &mut [u8]) -> Result<(), Failed> {
        match &self.kind {
            Kind::CtrHmac { key, mac, tag: length } => {
                let block = self.block(number, last);
                count(key, &block, text)?;
                copy(code(mac, &block, text).as_ref().get(..*length).ok_or(Failed)?, tag)
            }
            Kind::Gcm(key) => {
                let nonce = Nonce::assume_unique_for_key(self.nonce(number, last));
                let made = key.seal_in_place_separate_tag(nonce, Aad::empty(), text).map_err(|_| Failed)?;
                copy(made.as_ref(), tag)
            }
        }
    }

    /// Opens *sealed*, ciphertext and tag, into *out*, which has the length of the ciphertext. If it fails, *out* holds
    /// nothing of use.
    pub fn open(&self, number: u32, last: bool, sealed: &[u8], out: &mut [u8]) -> Result<(), Failed> {
        let (text, tag) = sealed.split_at_checked(out.len()).ok_or(Failed)?;
        match &self.kind {
            Kind::CtrHmac { key, mac, tag: length } => {
                let block = self.block(number, last);
                let code = code(mac, &block, text);
                let code = code.as_ref().get(..*length).ok_or(Failed)?;
                same(mac, code, tag)?;
                out.copy_from_slice(text);
                count(key, &block, out)
            }
            Kind::Gcm(key) => {
                let nonce = Nonce::assume_unique_for_key(self.nonce(number, last));
                let tag = tag.try_into().map_err(|_| Failed)?;
                out.copy_from_slice(text);
                let opened = key.open_in_place_separate_tag(nonce, Aad::empty(), tag, out, 0..);
                opened.map(|_| ()).map_err(|_| Failed)
            }
        }
    }

    fn nonce(&self, number: u32, last: bool) -> [u8; 12] {
        let mut nonce = [0; 12];
        nonce[..PREFIX].copy_from_slice(&self.prefix);
        nonce[PREFIX..11].copy_from_slice(&number.to_be_bytes());
        nonce[11] = u8::from(last);
        nonce
    }

    fn block(&self, number: u32, last: bool) -> [u8; 16] {
        let mut block = [0; 16];
        block[..12].copy_from_slice(&self.nonce(number, last));
        block
    }
}

/// HKDF: *length* bytes, of which there are 255 times the hash's at most.
pub(super) fn derived(
    hash: Hash,
    key: &[u8],
    salt: &[u8],
    info: &[u8],
    length: usize,
) -> Result<Secret, Failed> {
    let prk = hkdf::Salt::new(hash.hkdf(), salt).extract(key);
    let info = [info];
    let okm = prk.expand(&info, Bytes(length)).map_err(|_| Failed)?;
    let mut bytes = vec![0; length];
    okm.fill(&mut bytes).map_err(|_| Failed)?;
    Ok(Secret::new(bytes))
}

fn copy(from: &[u8], to: &mut [u8]) -> Result<(), Failed> {
    if from.len() != to.len() {
        return Err(Failed);
    }
    to.copy_from_slice(from);
    Ok(())
}

/// A length, as ring's HKDF wants to be told.
struct Bytes(usize);

impl hkdf::KeyType for Bytes {
    fn len(&self) -> usize {
        self.0
    }
}

/// Counter mode. The counter has 32 bits and begins at zero: 64 GiB, and a segment has less than 2.
fn count(key: &Secret, block: &[u8; 16], text: &mut [u8]) -> Result<(), Failed> {
    let key = key.expose();
    if key.len() == 16 {
        let mut cipher = Ctr32BE::<Aes128>::new_from_slices(key, block).map_err(|_| Failed)?;
        cipher.try_apply_keystream(text).map_err(|_| Failed)
    } else {
        let mut cipher = Ctr32BE::<Aes256>::new_from_slices(key, block).map_err(|_| Failed)?;
        cipher.try_apply_keystream(text).map_err(|_| Failed)
    }
}

fn code(mac: &hmac::Key, block: &[u8], text: &[u8]) -> hmac::Tag {
    let mut context = hmac::Context::with_key(mac);
    context.update(block);
    context.update(text);
    context.sign()
}

/// ring compares whole codes alone in constant time, and these are cut: the codes of two codes are the same when they are.
fn same(mac: &hmac::Key, one: &[u8], other: &[u8]) -> Result<(), Failed> {
    hmac::verify(mac, one, hmac::sign(mac, other).as_ref()).map_err(|_| Failed)
}
