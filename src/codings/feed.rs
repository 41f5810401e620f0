//! Bytes that came and were not decoded yet.

use std::io::{BufRead, Error, ErrorKind, Read, Result};

/// Says "not now" where there is nothing yet or enough was taken, and "the end" only where there will be nothing any more.
#[derive(Debug, Default)]
pub(super) struct Feed {
    bytes: Vec<u8>,
    at: usize,
    may: usize,
    ended: bool,
}

impl Feed {
    /// Adds bytes; none are the end.
    pub(super) fn add(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            self.ended = true;
        } else if !self.ended {
            // Only where more was taken than is left: each byte is moved once at most, however much waits.
            if self.at >= self.bytes.len() / 2 {
                self.bytes.drain(..self.at);
                self.at = 0;
            }
            self.bytes.extend_from_slice(bytes);
        }
    }

    /// Lets so many bytes be taken, until it is said again.
    pub(super) fn allow(&mut self, bytes: usize) {
        self.may = bytes;
    }

    /// What may be taken of the rest.
    pub(super) fn allowed(&self) -> &[u8] {
        let rest = self.rest();
        rest.get(..self.may).unwrap_or(rest)
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
        if self.allowed().is_empty() && !(self.is_empty() && self.ended) {
            return Err(Error::from(ErrorKind::WouldBlock));
        }
        Ok(self.allowed())
    }

    fn consume(&mut self, count: usize) {
        let count = count.min(self.allowed().len());
        self.at += count;
        self.may -= count;
    }
}

impl Read for Feed {
    fn read(&mut self, out: &mut [u8]) -> Result<usize> {
        let count = self.fill_buf()?.read(out)?;
        self.consume(count);
        Ok(count)
    }
}
