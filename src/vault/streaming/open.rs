//! Opens a stream of known length, at any place and in any order.
//!
//! An [`Opener`] is proof that the first segment opened: with this key, these associated data, and as the last segment or
//! not, as the length says. What it opens later is authentic at its place, or refused:
//! 1. a run begins at the border of a segment, and is whole segments, as [`Opener::span`] gives it;
//! 2. every segment opens under its number, and the last one, by the length, as the last.
//!
//! One segment that does not open refuses the run, and no plaintext of it is given out.
//!
//! # What it does not do
//! A stream that was cut at a segment's border differs in its new last segment alone. Who must know at once opens that one
//! first: the length decides which one it is.

use super::StreamKey;
use super::format::PREFIX;
use super::layout::{Extent, Layout, Span};
use super::segment::Segments;
use crate::crypto::Failed;

/// Opens one stream.
pub struct Opener {
    segments: Segments,
    layout: Layout,
    extent: Extent,
    by_primary: bool,
}

impl Opener {
    /// *head* is what the stream begins with, at least its first segment.
    pub(super) fn new(
        key: &StreamKey,
        associated_data: &[u8],
        head: &[u8],
        length: u64,
    ) -> Result<Self, Failed> {
        let extent = key.format.layout().extent(length).ok_or(Failed)?;
        Self::of(key, associated_data, head, extent)
    }

    /// The same for a stream that goes on behind *head*, nobody knows how far: see [`Opener::ends`].
    pub(super) fn endless(key: &StreamKey, associated_data: &[u8], head: &[u8]) -> Result<Self, Failed> {
        let endless = Extent { ciphertext: u64::MAX, plaintext: u64::MAX, segments: u64::MAX };
        Self::of(key, associated_data, head, endless)
    }

    fn of(key: &StreamKey, associated_data: &[u8], head: &[u8], extent: Extent) -> Result<Self, Failed> {
        let layout = key.format.layout();
        let (header, rest) = head.split_at_checked(layout.header).ok_or(Failed)?;
        let (size, random) = header.split_first().ok_or(Failed)?;
        if usize::from(*size) != layout.header {
            return Err(Failed);
        }
        let (salt, prefix) = random.split_at_checked(key.format.derived()).ok_or(Failed)?;
        let prefix: [u8; PREFIX] = prefix.try_into().map_err(|_| Failed)?;
        let segments = Segments::derive(&key.format, &key.secret, salt, prefix, associated_data)?;
        let opener = Self { segments, layout, extent, by_primary: false };
        let first = opener.span(0, 1)?;
        let sealed = rest.get(..first.bytes).ok_or(Failed)?;
        let mut tried = zeroize::Zeroizing::new(vec![0; opener.holds(0, sealed.len())?]);
        opener.open(0, sealed, &mut tried)?;
        Ok(opener)
    }

    pub(super) fn by_primary(mut self, by_primary: bool) -> Self {
        self.by_primary = by_primary;
        self
    }

    /// Whether the key that sealed it is the one that seals now.
    pub fn is_by_primary(&self) -> bool {
        self.by_primary
    }

    /// Tells where a stream ends of which this was not known: its last segment opens as the last from here on.
    ///
    /// # Errors
    /// If no stream is so long.
    pub(super) fn ends(&mut self, length: u64) -> Result<(), Failed> {
        self.extent = self.layout.extent(length).ok_or(Failed)?;
        Ok(())
    }

    /// Bytes of the header, which precedes the first segment.
    pub(super) fn header(&self) -> usize {
        self.layout.header
    }

    /// Bytes of the segment of this number, unless it is the last.
    pub(super) fn sealed(&self, number: u64) -> usize {
        self.layout.room(number) + self.layout.tag
    }

    /// Bytes of plaintext in the whole stream, if it is whole.
    pub fn length(&self) -> u64 {
        self.extent.plaintext
    }

    /// How many segments there are.
    pub fn segments(&self) -> u64 {
        self.extent.segments
    }

    /// The segments that hold the *most* bytes from position *at* on; the last one for what is beyond the end.
    ///
    /// # Errors
    /// If they are more than this machine can address.
    pub fn span(&self, at: u64, most: usize) -> Result<Span, Failed> {
        self.layout.span(&self.extent, at, most).ok_or(Failed)
    }

    /// Bytes of plaintext in a run of *bytes* bytes from segment *first* on.
    ///
    /// # Errors
    /// If no run of whole segments is so long.
    pub fn holds(&self, first: u64, bytes: usize) -> Result<usize, Failed> {
        // The header takes its place in the first segment, as it does in the file.
        let header = if first == 0 { self.layout.header } else { 0 };
        let segments = bytes.checked_add(header).ok_or(Failed)?.div_ceil(self.layout.segment);
        let tags = segments.checked_mul(self.layout.tag).filter(|tags| *tags > 0).ok_or(Failed)?;
        bytes.checked_sub(tags).ok_or(Failed)
    }

    /// Opens the segments of *run*, the first of which is number *first*, into *out*, whose length [`Opener::holds`] tells.
    ///
    /// # Errors
    /// If one of them is not what was sealed at this place; *out* is zeros then.
    pub fn open(&self, first: u64, run: &[u8], out: &mut [u8]) -> Result<(), Failed> {
        let opened = self.open_each(first, run, out);
        if opened.is_err() {
            out.fill(0);
        }
        opened
    }

    fn open_each(&self, first: u64, run: &[u8], out: &mut [u8]) -> Result<(), Failed> {
        let (mut run, mut out, mut number) = (run, out, first);
        while !run.is_empty() {
            let last = number.checked_add(1) == Some(self.extent.segments);
            let sealed = self.layout.room(number) + self.layout.tag;
            // Only the last may be shorter: it is as long as it is.
            let (sealed, rest) = run.split_at_checked(sealed).unwrap_or((run, &[]));
            let text = sealed.len().checked_sub(self.layout.tag).ok_or(Failed)?;
            let (into, behind) = out.split_at_mut_checked(text).ok_or(Failed)?;
            let number_on_wire = u32::try_from(number).map_err(|_| Failed)?;
            self.segments.open(number_on_wire, last, sealed, into)?;
            (run, out) = (rest, behind);
            number += 1;
        }
        if out.is_empty() { Ok(()) } else { Err(Failed) }
    }
}
