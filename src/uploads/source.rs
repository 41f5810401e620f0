//! A file that is looked through in pieces, wherever it is.
//!
//! Whoever owns the file gives its bytes; this keeps one window of them, so that looking on in small steps reads each byte about once.

use std::io::{self, Read};

/// The file could not be read: nobody's fault who sent it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gone;

/// Gives the bytes of a file.
pub trait Source {
    /// Fills `into` with what stands at `offset`; gives how much that is, which is less only where the file ends.
    ///
    /// # Errors
    /// [`Gone`] if it cannot be read.
    fn read_at(&mut self, offset: u64, into: &mut [u8]) -> Result<usize, Gone>;
}

impl Source for &[u8] {
    fn read_at(&mut self, offset: u64, into: &mut [u8]) -> Result<usize, Gone> {
        let rest = usize::try_from(offset).ok().and_then(|offset| self.get(offset..)).unwrap_or_default();
        let length = rest.len().min(into.len());
        if let (Some(into), Some(rest)) = (into.get_mut(..length), rest.get(..length)) {
            into.copy_from_slice(rest);
        }
        Ok(length)
    }
}

/// How much is read at once.
pub(super) const WINDOW: usize = 64 * 1024;

pub(super) struct File<'s> {
    source: &'s mut dyn Source,
    length: u64,
    at: u64,
    window: Vec<u8>,
}

impl<'s> File<'s> {
    pub(super) fn new(source: &'s mut dyn Source, length: u64) -> Self {
        Self { source, length, at: 0, window: Vec::new() }
    }

    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// The `length` bytes at `at`, or fewer where the file ends. At most a window.
    pub(super) fn bytes(&mut self, at: u64, length: usize) -> Result<&[u8], Gone> {
        let left = usize::try_from(self.length.saturating_sub(at)).unwrap_or(usize::MAX);
        let length = length.min(WINDOW).min(left);
        let end = at.saturating_add(length as u64);
        if at < self.at || end > self.at.saturating_add(self.window.len() as u64) {
            self.window.resize(WINDOW.min(left), 0);
            let read = self.source.read_at(at, &mut self.window)?;
            // A file that is shorter than it was is no longer the one that was measured.
            if read < self.window.len() {
                return Err(Gone);
            }
            self.at = at;
        }
        let start = usize::try_from(at - self.at).unwrap_or(usize::MAX);
        Ok(self.window.get(start..start + length).unwrap_or_default())
    }

    /// What of the window stands at `at` and behind it; empty at the end of the file.
    pub(super) fn piece(&mut self, at: u64) -> Result<&[u8], Gone> {
        self.bytes(at, 1)?;
        let start = usize::try_from(at.saturating_sub(self.at)).unwrap_or(usize::MAX);
        Ok(if at < self.length { self.window.get(start..).unwrap_or_default() } else { &[] })
    }
}

/// Reads a file from a place to its end.
pub(super) struct Reader<'f, 's> {
    pub(super) file: &'f mut File<'s>,
    pub(super) at: u64,
    pub(super) is_gone: bool,
}

impl Read for Reader<'_, '_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self.file.piece(self.at) {
            Ok(piece) => {
                let length = piece.len().min(into.len());
                if let (Some(into), Some(piece)) = (into.get_mut(..length), piece.get(..length)) {
                    into.copy_from_slice(piece);
                }
                self.at += length as u64;
                Ok(length)
            }
            Err(Gone) => {
                self.is_gone = true;
                Err(io::ErrorKind::Other.into())
            }
        }
    }
}

/// Numbers as they stand in files; 0 where they do not.
pub(super) fn le16(bytes: &[u8], at: usize) -> u16 {
    array(bytes, at).map_or(0, u16::from_le_bytes)
}

pub(super) fn le32(bytes: &[u8], at: usize) -> u32 {
    array(bytes, at).map_or(0, u32::from_le_bytes)
}

pub(super) fn le64(bytes: &[u8], at: usize) -> u64 {
    array(bytes, at).map_or(0, u64::from_le_bytes)
}

pub(super) fn be16(bytes: &[u8], at: usize) -> u16 {
    array(bytes, at).map_or(0, u16::from_be_bytes)
}

pub(super) fn be32(bytes: &[u8], at: usize) -> u32 {
    array(bytes, at).map_or(0, u32::from_be_bytes)
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at.checked_add(N)?)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_window_shows_what_is_there_wherever_one_looks() {
        let data: Vec<u8> = (0..200_000_u32).map(|at| ((at * 31) >> 3) as u8).collect();
        let mut source = data.as_slice();
        let mut file = File::new(&mut source, data.len() as u64);
        let mut at = 7_usize;
        for length in [0, 1, 22, 4096, WINDOW, WINDOW + 1] {
            for _ in 0..50 {
                at = (at * 48_271 + 11) % (data.len() + 100);
                let end = (at + length.min(WINDOW)).min(data.len());
                assert_eq!(file.bytes(at as u64, length), Ok(data.get(at..end).unwrap_or_default()));
                let piece = file.piece(at as u64).unwrap();
                assert!(data.get(at..).unwrap_or_default().starts_with(piece));
                assert_eq!(piece.is_empty(), at >= data.len());
            }
        }
        assert_eq!(file.bytes(u64::MAX, 10), Ok(&[][..]));
    }

    #[test]
    fn a_file_that_became_shorter_is_gone() {
        let mut source = &b"abc"[..];
        let mut file = File::new(&mut source, 4);
        assert_eq!(file.bytes(0, 1), Err(Gone));
    }
}
