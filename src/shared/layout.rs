//! What a room says of its words, and the first page of the file that says it too.
//!
//! ```text
//! word 0  magic: whose words these are     4     boot
//!      1  version                          5, 6  seed
//!      2  shape, first word                7     checksum of words 0 to 6
//!      3  shape, second word               8     "complete", written last
//! ```
//! The rest of the page is the room's, and zero at first, as is all that follows. Words are in the machine's byte order but for
//! the header's, which is little-endian; the magic differs between the two orders.

use std::hash::Hasher;

use siphasher::sip::SipHasher24;

use super::refusal::Why;
use super::seed::Seed;

/// How a room lays out its words.
pub trait Layout: Copy + PartialEq {
    /// Whose words these are. In the machine's byte order, so that a file from another kind of machine is not taken for ours:
    /// `u64::from_ne_bytes(*b"RAMPLIM\0")`.
    const MAGIC: u64;
    /// What the words mean. Another number, another meaning.
    const VERSION: u64;
    /// What errors call the words: "counters".
    const WHAT: &'static str;

    /// Two words that say all of the layout.
    fn shape(&self) -> [u64; 2];

    /// The layout that `shape` says, if there is such a one. It is read from a file that may be damaged.
    fn of_shape(shape: [u64; 2]) -> Option<Self>;

    /// All words, the header's [`HEADER_WORDS`] included.
    fn length(&self) -> usize;
}

/// What the first page says.
#[derive(Clone, Copy)]
pub(super) struct Header<L> {
    pub layout: L,
    pub boot: u64,
    pub seed: Seed,
}

impl<L: Layout> Header<L> {
    /// The page, complete but for [`READY`], which is written when all else is.
    pub fn encode(&self) -> [u8; HEADER_BYTES as usize] {
        let seed = self.seed.bytes();
        let (low, high) = seed.split_at(8);
        let [first, second] = self.layout.shape();
        let mut fields = [L::MAGIC, L::VERSION, first, second, self.boot, le(low), le(high), 0];
        fields[7] = checksum(&fields[..7]);
        let mut page = [0; HEADER_BYTES as usize];
        for (field, word) in fields.iter().zip(page.chunks_exact_mut(8)) {
            word.copy_from_slice(&field.to_le_bytes());
        }
        page
    }

    /// The header on a page, if the page is whole, ready, and of this room, version and machine; else what it is.
    pub fn decode(page: &[u8; HEADER_BYTES as usize]) -> Result<Self, Why> {
        let mut fields = [0; 9];
        for (field, word) in fields.iter_mut().zip(page.chunks_exact(8)) {
            *field = le(word);
        }
        let [magic, version, first, second, boot, low, high, sum, ready] = fields;
        if ready == 0 && (magic == 0 || magic == L::MAGIC) {
            // All but the last word may be there, or none.
            return Err(Why::Unfinished);
        }
        if magic != L::MAGIC {
            return Err(Why::OtherKind);
        }
        if ready != READY || sum != checksum(&fields[..7]) {
            return Err(Why::Damaged);
        }
        if version != L::VERSION {
            return Err(Why::OtherVersion);
        }
        let layout = L::of_shape([first, second]).ok_or(Why::Damaged)?;
        let mut seed = [0; 16];
        seed[..8].copy_from_slice(&low.to_le_bytes());
        seed[8..].copy_from_slice(&high.to_le_bytes());
        Ok(Self { layout, boot, seed: Seed::new(seed) })
    }
}

/// The boot's name as one word. A public key: nobody gains by a collision.
pub(super) fn boot_word(boot: &[u8]) -> u64 {
    let mut hasher = SipHasher24::new();
    hasher.write(boot);
    hasher.finish()
}

fn checksum(fields: &[u64]) -> u64 {
    let mut hasher = SipHasher24::new();
    fields.iter().for_each(|field| hasher.write(&field.to_le_bytes()));
    hasher.finish()
}

fn le(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |word, &byte| word << 8 | u64::from(byte))
}

pub(crate) const HEADER_BYTES: u64 = 4096;
/// Words before the room's own. Those from the tenth on are the room's as well.
pub const HEADER_WORDS: usize = HEADER_BYTES as usize / 8;
/// Where [`READY`] is written, in bytes.
pub(super) const READY_AT: u64 = 64;
/// Marks a header as complete: a creator that died earlier has left it out.
pub(super) const READY: u64 = u64::from_le_bytes(*b"complete");
