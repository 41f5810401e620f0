//! Seals a stream from its beginning to its end, in as many pieces as it comes.
//!
//! A segment is sealed when the first byte behind it comes, since the last one is sealed otherwise. So up to one segment
//! waits here, and is wiped in the end.
//!
//! What makes it safe is that no nonce is used twice: a sealer counts its segments itself, cannot be copied, draws salt and
//! prefix from the system's generator, and seals nothing after its end or after a failure.
//!
//! # What can break it in deployment
//! A process that forks has two of each sealer, which would seal different bytes under the same nonces. Whoever holds one
//! across a fork must let it go.

use zeroize::Zeroizing;

use super::StreamKey;
use super::format::PREFIX;
use super::layout::Layout;
use super::segment::Segments;
use crate::crypto::{Failed, fill_random};

/// Seals one stream.
pub struct Sealer {
    segments: Segments,
    layout: Layout,
    header: Vec<u8>,
    /// Number of the segment that is being filled; None after the end, or a failure.
    next: Option<u64>,
    waiting: Zeroizing<Vec<u8>>,
}

impl Sealer {
    pub(super) fn new(key: &StreamKey, associated_data: &[u8]) -> Result<Self, Failed> {
        let mut random = vec![0; key.format.derived() + PREFIX];
        fill_random(&mut random)?;
        Self::with(key, associated_data, &random)
    }

    /// A sealer whose salt and prefix are *random*: the same twice would break its key.
    pub(super) fn with(key: &StreamKey, associated_data: &[u8], random: &[u8]) -> Result<Self, Failed> {
        let layout = key.format.layout();
        let (salt, prefix) = random.split_at_checked(key.format.derived()).ok_or(Failed)?;
        let prefix = prefix.try_into().map_err(|_| Failed)?;
        let segments = Segments::derive(&key.format, &key.secret, salt, prefix, associated_data)?;
        let mut header = vec![u8::try_from(layout.header).map_err(|_| Failed)?];
        header.extend_from_slice(random);
        Ok(Self { segments, layout, header, next: Some(0), waiting: Zeroizing::default() })
    }

    /// What the stream begins with.
    pub fn header(&self) -> &[u8] {
        &self.header
    }

    /// Takes *data* as what comes next, and appends to *out* what can be sealed of it; with *ends*, all of it, as the end.
    ///
    /// # Errors
    /// If the stream has ended, has failed, or would have more than 2^32 segments. From then on it always fails.
    pub fn push(&mut self, data: &[u8], ends: bool, out: &mut Vec<u8>) -> Result<(), Failed> {
        // Taken out, so that a failure half way leaves none.
        let mut number = self.next.take().ok_or(Failed)?;
        let mut data = data;
        loop {
            let free = self.layout.room(number).saturating_sub(self.waiting.len());
            match data.split_at_checked(free) {
                Some((now, rest)) if !rest.is_empty() => {
                    self.segment(number, false, now, out)?;
                    number += 1;
                    data = rest;
                }
                _ => break,
            }
        }
        if ends {
            return self.segment(number, true, data, out);
        }
        self.keep(number, data);
        self.next = Some(number);
        Ok(())
    }

    fn segment(&mut self, number: u64, last: bool, rest: &[u8], out: &mut Vec<u8>) -> Result<(), Failed> {
        let number = u32::try_from(number).map_err(|_| Failed)?;
        out.reserve(self.waiting.len() + rest.len() + self.layout.tag);
        let start = out.len();
        out.extend_from_slice(&self.waiting);
        out.extend_from_slice(rest);
        self.waiting.clear();
        let sealed = self.segments.seal(number, last, out, start);
        if sealed.is_err() {
            // It may be plaintext.
            out.truncate(start);
        }
        sealed
    }

    /// Grows by copies that wipe the old ones: a vector that grows by itself leaves them behind.
    fn keep(&mut self, number: u64, data: &[u8]) {
        let needed = self.waiting.len() + data.len();
        if needed > self.waiting.capacity() {
            let most = self.layout.room(number).max(needed);
            let mut larger = Zeroizing::new(Vec::with_capacity((needed * 2).min(most)));
            larger.extend_from_slice(&self.waiting);
            self.waiting = larger;
        }
        self.waiting.extend_from_slice(data);
    }
}
