//! Opens a stream as it comes, of which nobody knows how long it will be: from a pipe, say.
//!
//! 1. A segment is opened when a byte behind it has come: it is not the last, then, and is opened as such.
//! 2. What is left at the end is the last segment, and opens as the last, or the stream was cut or continued.
//! 3. After one failure nothing more is given out.
//!
//! # What it does not do
//! What it gives out is authentic at its place, and nothing is said of what follows: that a stream is whole is known when
//! what [`Follower::finish`] has announced is opened, and not before.
//!
//! It holds one segment, the largest that a key of the keyset has, and what was pushed last.

use std::sync::Arc;

use super::{Opener, StreamKeys};
use crate::crypto::Failed;

/// Opens one stream, from its beginning to its end.
pub struct Follower {
    keys: Arc<StreamKeys>,
    associated_data: Vec<u8>,
    /// What came and is not opened yet.
    held: Vec<u8>,
    opener: Option<Opener>,
    /// Number of the first segment that is held.
    next: u64,
    /// Bytes of the stream before it.
    taken: u64,
    /// Bytes and segments of what is held that can be opened now.
    ready: (usize, u64),
    stage: Stage,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Comes,
    Ends,
    Ended,
}

impl Follower {
    /// Begins to open a stream that was sealed for these associated data.
    pub fn new(keys: Arc<StreamKeys>, associated_data: &[u8]) -> Self {
        Self {
            keys,
            associated_data: associated_data.to_vec(),
            held: Vec::new(),
            opener: None,
            next: 0,
            taken: 0,
            ready: (0, 0),
            stage: Stage::Comes,
        }
    }

    /// Takes *data*, and tells how many bytes of plaintext [`Follower::tell`] opens now.
    ///
    /// # Errors
    /// If no key opens the first segment, or the stream has ended.
    pub fn push(&mut self, data: &[u8]) -> Result<usize, Failed> {
        self.stepped(|this| {
            if this.stage != Stage::Comes {
                return Err(Failed);
            }
            this.held.extend_from_slice(data);
            this.measure()
        })
    }

    /// Takes what is held for the end of the stream, and tells how many bytes of plaintext that is.
    ///
    /// # Errors
    /// If no stream ends so, or it has ended.
    pub fn finish(&mut self) -> Result<usize, Failed> {
        self.stepped(|this| {
            if this.stage != Stage::Comes || this.ready.1 > 0 {
                return Err(Failed);
            }
            this.stage = Stage::Ends;
            this.end()
        })
    }

    /// Opens what can be told now into *out*, which is as long as it was said to be.
    ///
    /// # Errors
    /// If a segment does not open; *out* is zeros then.
    pub fn tell(&mut self, out: &mut [u8]) -> Result<(), Failed> {
        self.stepped(|this| {
            let (length, segments) = std::mem::take(&mut this.ready);
            let opener = this.opener.as_ref().filter(|_| segments > 0).ok_or(Failed)?;
            opener.open(this.next, this.held.get(..length).ok_or(Failed)?, out)?;
            this.held.drain(..length);
            this.next += segments;
            this.taken += wide(length)?;
            if this.stage == Stage::Ends {
                this.stage = Stage::Ended;
            }
            Ok(())
        })
    }

    fn stepped<T>(&mut self, step: impl FnOnce(&mut Self) -> Result<T, Failed>) -> Result<T, Failed> {
        let done = step(self);
        if done.is_err() {
            self.stage = Stage::Ended;
            self.ready = (0, 0);
        }
        done
    }

    fn measure(&mut self) -> Result<usize, Failed> {
        let opener = match &self.opener {
            Some(opener) => opener,
            None => {
                // More than the first segment of any key: whichever it is, its first is not its last.
                let Some(head) =
                    self.held.get(..self.keys.head()).filter(|head| head.len() < self.held.len())
                else {
                    return Ok(0);
                };
                let opener = self.keys.endless(&self.associated_data, head)?;
                self.held.drain(..opener.header());
                self.taken = wide(opener.header())?;
                self.opener.insert(opener)
            }
        };
        let (mut length, mut segments) = (0, 0);
        while length + opener.sealed(self.next + segments) < self.held.len() {
            length += opener.sealed(self.next + segments);
            segments += 1;
        }
        self.ready = (length, segments);
        if segments == 0 { Ok(0) } else { opener.holds(self.next, length) }
    }

    fn end(&mut self) -> Result<usize, Failed> {
        let length = self.taken + wide(self.held.len())?;
        let opener = match &mut self.opener {
            Some(opener) => {
                opener.ends(length)?;
                opener
            }
            None => {
                let opener = self.keys.opener(&self.associated_data, &self.held, length)?;
                self.held.drain(..opener.header());
                self.opener.insert(opener)
            }
        };
        let segments = opener.segments().checked_sub(self.next).filter(|left| *left > 0).ok_or(Failed)?;
        self.ready = (self.held.len(), segments);
        opener.holds(self.next, self.held.len())
    }
}

fn wide(length: usize) -> Result<u64, Failed> {
    u64::try_from(length).map_err(|_| Failed)
}
