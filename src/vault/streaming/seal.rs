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

use zeroize::{Zeroize, Zeroizing};

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

    /// How long what [`Sealer::push`] writes is for so many bytes.
    ///
    /// # Errors
    /// If that is more than this machine can address, or the stream has ended or failed.
    pub fn tells(&self, length: usize, ends: bool) -> Result<usize, Failed> {
        let number = self.next.ok_or(Failed)?;
        let (room, capacity, tag) = (self.layout.room(number), self.layout.capacity(), self.layout.tag);
        let all = self.waiting.len().checked_add(length).ok_or(Failed)?;
        // A segment is told when there is a byte behind it, so that a whole one may wait.
        let behind = all.saturating_sub(room);
        let segments = if behind == 0 { 0 } else { 1 + (behind - 1) / capacity };
        let told = if segments == 0 { 0 } else { room + (segments - 1) * capacity };
        let (bytes, tags) = if ends { (all, segments + 1) } else { (told, segments) };
        tags.checked_mul(tag).and_then(|tags| bytes.checked_add(tags)).ok_or(Failed)
    }

    /// Takes *data* as what comes next, and seals into *out* what can be sealed of it, whose length [`Sealer::tells`]; with
    /// *ends*, all of it, as the end. Each byte is copied once on its way, those that wait twice.
    ///
    /// # Errors
    /// If the stream has ended, has failed, or would have more than 2^32 segments; if *out* has another length. From then on it
    /// always fails; *out* is zeros.
    pub fn push(&mut self, data: &[u8], ends: bool, out: &mut [u8]) -> Result<(), Failed> {
        let pushed = self.push_each(data, ends, out);
        if pushed.is_err() {
            // It may be plaintext.
            out.zeroize();
        }
        pushed
    }

    fn push_each(&mut self, data: &[u8], ends: bool, out: &mut [u8]) -> Result<(), Failed> {
        // Taken out, so that a failure half way leaves none.
        let mut number = self.next.take().ok_or(Failed)?;
        let (mut data, mut out) = (data, out);
        loop {
            let free = self.layout.room(number).saturating_sub(self.waiting.len());
            match data.split_at_checked(free) {
                Some((now, rest)) if !rest.is_empty() => {
                    out = self.segment(number, false, now, out)?;
                    number += 1;
                    data = rest;
                }
                _ => break,
            }
        }
        if ends {
            out = self.segment(number, true, data, out)?;
        } else {
            self.keep(number, data);
            self.next = Some(number);
        }
        if out.is_empty() {
            return Ok(());
        }
        self.next = None;
        Err(Failed)
    }

    /// Seals what waits and *rest* into the beginning of *out*; what is behind it.
    fn segment<'a>(
        &mut self,
        number: u64,
        last: bool,
        rest: &[u8],
        out: &'a mut [u8],
    ) -> Result<&'a mut [u8], Failed> {
        let number = u32::try_from(number).map_err(|_| Failed)?;
        let (text, behind) = out
            .split_at_mut_checked(self.waiting.len().checked_add(rest.len()).ok_or(Failed)?)
            .ok_or(Failed)?;
        let (tag, behind) = behind.split_at_mut_checked(self.layout.tag).ok_or(Failed)?;
        let (first, second) = text.split_at_mut_checked(self.waiting.len()).ok_or(Failed)?;
        first.copy_from_slice(&self.waiting);
        second.copy_from_slice(rest);
        self.waiting.clear();
        self.segments.seal(number, last, text, tag)?;
        Ok(behind)
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
