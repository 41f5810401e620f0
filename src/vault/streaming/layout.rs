//! Decides where the bytes of a stream lie: which segment holds a position, and how long everything is.
//!
//! A stream is a header and segments. Each segment ends in its tag. All segments but the last are `segment` bytes long, and
//! the first is shorter by the header, which counts as the beginning of its plaintext: so that a position `p` lies in segment
//! `(p + header) / (segment - tag)`.
//!
//! There is at least one segment, and at most 2^32: a segment's number has 32 bits. Only one that is alone may be empty. Another
//! empty one would be the last that a cut stream seems to have, and nobody who reads all bytes would have to open it to see
//! that it is none.
//!
//! Lengths are those that a file claims: nothing here is proof of anything. Source: Tink's wire format, "Streaming AEAD".

/// Sizes in bytes of one kind of stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Layout {
    /// A whole segment, with its tag; the first one includes the header.
    pub segment: usize,
    /// What precedes the first segment's ciphertext.
    pub header: usize,
    /// What ends every segment.
    pub tag: usize,
}

/// A run of segments to be read from a stream, whole ones, and where its plaintext begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Number of the first segment.
    pub first: u64,
    /// Where the run begins in the stream.
    pub offset: u64,
    /// How long it is there.
    pub bytes: usize,
    /// Position of its first byte of plaintext.
    pub start: u64,
}

/// What a stream of a certain length consists of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Extent {
    /// The whole stream.
    pub ciphertext: u64,
    /// What it holds.
    pub plaintext: u64,
    /// At least 1.
    pub segments: u64,
}

const MOST_SEGMENTS: u64 = 1 << 32;

impl Layout {
    /// Plaintext of a whole segment, in which the first one's header counts.
    pub fn capacity(&self) -> usize {
        self.segment - self.tag
    }

    /// Plaintext that the segment of this number can hold.
    pub fn room(&self, number: u64) -> usize {
        if number == 0 { self.capacity() - self.header } else { self.capacity() }
    }

    /// How a stream of *ciphertext* bytes is divided; None if no stream is that long.
    pub fn extent(&self, ciphertext: u64) -> Option<Extent> {
        let (segment, header, tag) = (wide(self.segment)?, wide(self.header)?, wide(self.tag)?);
        let segments = ciphertext.div_ceil(segment);
        if segments == 0 || segments > MOST_SEGMENTS {
            return None;
        }
        let last = ciphertext - (segments - 1) * segment;
        let least = if segments == 1 { header + tag } else { tag + 1 };
        if last < least {
            return None;
        }
        Some(Extent { ciphertext, plaintext: ciphertext - header - segments * tag, segments })
    }

    /// The segments that hold the *most* bytes from position *at* on: as many of them as *most* touches, and at least one,
    /// which is the last one for a position beyond the end.
    pub fn span(&self, extent: &Extent, at: u64, most: usize) -> Option<Span> {
        let (segment, header, capacity) = (wide(self.segment)?, wide(self.header)?, wide(self.capacity())?);
        let at = at.min(extent.plaintext);
        let until = at.saturating_add(wide(most)?.max(1)).min(extent.plaintext);
        let first = ((at + header) / capacity).min(extent.segments - 1);
        let last = ((until + header).saturating_sub(1) / capacity).clamp(first, extent.segments - 1);
        let offset = if first == 0 { header } else { first * segment };
        let end = ((last + 1) * segment).min(extent.ciphertext);
        Some(Span {
            first,
            offset,
            bytes: usize::try_from(end - offset).ok()?,
            start: (first * capacity).saturating_sub(if first == 0 { 0 } else { header }),
        })
    }
}

fn wide(size: usize) -> Option<u64> {
    u64::try_from(size).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::panic)]

    use super::{Extent, Layout, Span};

    const SMALL: Layout = Layout { segment: 64, header: 24, tag: 16 };

    #[test]
    fn the_first_segment_holds_less_by_the_header() {
        assert_eq!((SMALL.capacity(), SMALL.room(0), SMALL.room(1)), (48, 24, 48));
    }

    #[test]
    fn lengths_that_no_stream_has_are_refused() {
        for length in [0, 1, 39, 65, 79, 80, 128 + 15, 128 + 16] {
            assert_eq!(SMALL.extent(length), None, "{length}");
        }
        assert_eq!(SMALL.extent(40), Some(Extent { ciphertext: 40, plaintext: 0, segments: 1 }));
        assert_eq!(SMALL.extent(64), Some(Extent { ciphertext: 64, plaintext: 24, segments: 1 }));
        assert_eq!(SMALL.extent(81), Some(Extent { ciphertext: 81, plaintext: 25, segments: 2 }));
    }

    #[test]
    fn a_stream_has_at_most_as_many_segments_as_numbers() {
        let most = 64 << 32;
        assert_eq!(SMALL.extent(most).map(|extent| extent.segments), Some(1 << 32));
        assert_eq!(SMALL.extent(most + 17), None);
        assert_eq!(SMALL.extent(u64::MAX), None);
    }

    #[test]
    fn a_span_covers_what_was_asked_for_and_nothing_beyond() {
        let Some(extent) = SMALL.extent(64 + 64 + 30) else { panic!("a length of three segments") };
        assert_eq!(extent.plaintext, 24 + 48 + 14);
        let span = |at, most| SMALL.span(&extent, at, most);
        let first = Span { first: 0, offset: 24, bytes: 40, start: 0 };
        assert_eq!(span(0, 1), Some(first));
        assert_eq!(span(23, 1), Some(first));
        assert_eq!(span(0, 24), Some(first));
        assert_eq!(span(0, 25), Some(Span { bytes: 104, ..first }));
        let second = Span { first: 1, offset: 64, bytes: 64, start: 24 };
        assert_eq!(span(24, 0), Some(second));
        assert_eq!(span(71, 1), Some(second));
        assert_eq!(span(71, 2), Some(Span { bytes: 94, ..second }));
        let last = Span { first: 2, offset: 128, bytes: 30, start: 72 };
        assert_eq!(span(72, usize::MAX), Some(last));
        assert_eq!(span(86, 1), Some(last));
        assert_eq!(span(u64::MAX, usize::MAX), Some(last));
        assert_eq!(span(0, usize::MAX), Some(Span { bytes: 134, ..first }));
    }

    #[test]
    fn every_position_of_every_length_is_found_where_it_is() {
        for length in 40..400 {
            let Some(extent) = SMALL.extent(length) else { continue };
            for at in 0..extent.plaintext {
                let Some(span) = SMALL.span(&extent, at, 1) else { panic!("{length} {at}") };
                let held = span.start..span.start + span.bytes as u64 - 16;
                assert!(held.contains(&at), "{length} {at} {span:?}");
                assert!(span.offset + span.bytes as u64 <= length);
            }
        }
    }
}
