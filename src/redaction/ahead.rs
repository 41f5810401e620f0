//! A text of which the end may still be missing, and questions about what comes next in it.
//!
//! All that is decided about a text in a stream is decided here first: whether enough of it is there. A question that is
//! asked at the end of what has arrived is answered by [`More`], and whoever asked passes that on and decides nothing. So
//! whatever is decided is what would be decided with all of the text.
//!
//! `More` also says what cannot change the answer ([`More::is_answered`]): bytes that merely go on with a run. So a text that
//! arrives byte by byte is not asked about the same run again for each byte of it.

use std::ops::Deref;

use super::text::{MARKER, marker_length, percent};

/// A text, or the beginning of one.
#[derive(Clone, Copy)]
pub(super) struct Text<'t> {
    bytes: &'t [u8],
    whole: bool,
}

/// The answer depends on what has not arrived.
#[derive(Debug, Clone, Copy)]
pub(super) struct More {
    /// With so much of the text there is an answer.
    length: usize,
    /// Until then, bytes that change nothing.
    quiet: fn(u8) -> bool,
}

/// What is known of a text that may go on.
pub(super) type Known<T> = Result<T, More>;

impl More {
    /// With so much of the text there is an answer, and before it only if a byte comes that is not *quiet*.
    pub(super) fn until(length: usize, quiet: fn(u8) -> bool) -> Self {
        Self { length, quiet }
    }

    /// Whether it is worth asking again, now that *new* was added to a text that is *length* bytes long with it.
    pub(super) fn is_answered(&self, new: &[u8], length: usize) -> bool {
        length >= self.length || !new.iter().all(|b| (self.quiet)(*b))
    }

    /// The same after so many bytes were cut off in front.
    pub(super) fn shifted(self, cut: usize) -> Self {
        Self { length: self.length.saturating_sub(cut), ..self }
    }
}

impl Deref for Text<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.bytes
    }
}

impl<'t> Text<'t> {
    /// All of a text.
    pub(super) fn whole(bytes: &'t [u8]) -> Self {
        Self { bytes, whole: true }
    }

    /// What has arrived of one.
    pub(super) fn begun(bytes: &'t [u8]) -> Self {
        Self { bytes, whole: false }
    }

    /// The bytes themselves, for as long as the text lives.
    pub(super) fn bytes(self) -> &'t [u8] {
        self.bytes
    }

    #[inline]
    pub(super) fn is_whole(self) -> bool {
        self.whole
    }

    /// The same, where it is known already whether it is whole: to a compiler, too.
    #[inline]
    pub(super) fn known_whole(self, whole: bool) -> Self {
        debug_assert_eq!(self.whole, whole);
        Self { whole, ..self }
    }

    /// What is known when so much has arrived, or the text is over.
    #[inline]
    pub(super) fn need(self, length: usize, quiet: fn(u8) -> bool) -> Known<()> {
        if self.whole || self.bytes.len() >= length { Ok(()) } else { Err(More::until(length, quiet)) }
    }

    /// The byte at *at*; none at the text's end.
    #[inline]
    pub(super) fn peek(self, at: usize) -> Known<Option<u8>> {
        match self.bytes.get(at) {
            Some(byte) => Ok(Some(*byte)),
            None => self.need(at + 1, never).map(|()| None),
        }
    }

    /// How many bytes from *at* on are in *alphabet*; at most *most*.
    #[inline]
    pub(super) fn run(self, at: usize, most: usize, alphabet: fn(u8) -> bool) -> Known<usize> {
        let rest = self.bytes.get(at..).unwrap_or_default();
        let length = rest.iter().take(most).take_while(|b| alphabet(**b)).count();
        if length == rest.len() && length < most {
            self.need(at + most, alphabet)?;
        }
        Ok(length)
    }

    /// Whether the run from *at* on in *alphabet* is there to its end, or *most* bytes of it.
    #[inline]
    pub(super) fn seen(self, at: usize, most: usize, alphabet: fn(u8) -> bool) -> Known<()> {
        if self.whole { Ok(()) } else { self.run(at, most, alphabet).map(|_| ()) }
    }

    /// Whether *start* stands at *at*.
    #[inline]
    pub(super) fn starts_with(self, at: usize, start: &[u8]) -> Known<bool> {
        let rest = self.bytes.get(at..).unwrap_or_default();
        let length = rest.len().min(start.len());
        if rest[..length] != start[..length] {
            return Ok(false);
        }
        if length < start.len() {
            self.need(at + length + 1, never)?;
        }
        Ok(length == start.len())
    }

    /// The length of the replacement that starts at *at*.
    #[inline]
    pub(super) fn marker(self, at: usize) -> Known<Option<usize>> {
        if !self.starts_with(at, MARKER)? {
            return Ok(None);
        }
        self.run(at + MARKER.len(), 41, |b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')?;
        Ok(marker_length(&self.bytes[at..]))
    }

    /// The byte that `%XX` at *at* stands for.
    #[inline]
    pub(super) fn percent(self, at: usize) -> Known<Option<u8>> {
        if self.peek(at)? != Some(b'%') || !self.peek(at + 1)?.is_some_and(|b| b.is_ascii_hexdigit()) {
            return Ok(None);
        }
        self.peek(at + 2)?;
        Ok(percent(self.bytes, at))
    }

    /// Whether the character at *at*, which is none of ASCII, is there as far as it can be.
    pub(super) fn character(self, at: usize) -> Known<()> {
        let rest = self.bytes.get(at..).unwrap_or_default();
        let expected = match rest.first() {
            Some(0xC0..=0xDF) => 2,
            Some(0xE0..=0xEF) => 3,
            Some(0xF0..) => 4,
            _ => 1,
        };
        let broken = rest.iter().skip(1).any(|b| b & 0xC0 != 0x80);
        if broken { Ok(()) } else { self.need(at + expected, |b| b & 0xC0 == 0x80) }
    }

    /// The length of the colour code that starts at *at*, zero if none does.
    pub(super) fn colour(self, at: usize) -> Known<usize> {
        for start in super::text::COLOURS {
            if self.starts_with(at, start)? {
                self.run(at + start.len(), 17, |b| b.is_ascii_digit() || b == b';')?;
                return Ok(super::text::colour(self.bytes, at));
            }
        }
        Ok(0)
    }
}

/// Every byte may change the answer.
pub(super) fn never(_: u8) -> bool {
    false
}

/// No byte does, before there are enough.
pub(super) fn any(_: u8) -> bool {
    true
}
