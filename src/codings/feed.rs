//! Bytes that came and were not decoded yet.

use std::io::{BufRead, Error, ErrorKind, Read, Result};

/// Says "not now" where there is nothing yet, and "the end" only where there will be nothing any more.
#[derive(Debug, Default)]
pub(super) struct Feed {
    bytes: Vec<u8>,
    at: usize,
    ended: bool,
}

impl Feed {
    /// Adds bytes; none are the end.
    pub(super) fn add(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            self.ended = true;
        } else if !self.ended {
            self.bytes.drain(..self.at);
            self.at = 0;
            self.bytes.extend_from_slice(bytes);
        }
    }

    pub(super) fn rest(&self) -> &[u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rest().is_empty()
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ended
    }
}

impl BufRead for Feed {
    fn fill_buf(&mut self) -> Result<&[u8]> {
        if self.is_empty() && !self.ended {
            return Err(Error::from(ErrorKind::WouldBlock));
        }
        Ok(self.rest())
    }

    fn consume(&mut self, count: usize) {
        self.at = self.at.saturating_add(count).min(self.bytes.len());
    }
}

impl Read for Feed {
    fn read(&mut self, out: &mut [u8]) -> Result<usize> {
        let count = self.fill_buf()?.read(out)?;
        self.consume(count);
        Ok(count)
    }
}
