//! Brotli, RFC 7932: without the large windows that are no part of it.

use std::io::BufRead;

use brotli_decompressor::{BrotliDecompressStream, BrotliResult, BrotliState, StandardAlloc};

use super::feed::Feed;
use super::{Fault, Pulled};

/// One stream. Its window grows with what it has decoded, to 16 MiB.
pub(super) struct Brotli {
    pub(super) feed: Feed,
    state: BrotliState<StandardAlloc, StandardAlloc, StandardAlloc>,
    done: bool,
}

impl Default for Brotli {
    fn default() -> Self {
        let state = BrotliState::new_strict(
            StandardAlloc::default(),
            StandardAlloc::default(),
            StandardAlloc::default(),
        );
        Self { feed: Feed::default(), state, done: false }
    }
}

impl Brotli {
    pub(super) fn pull(&mut self, out: &mut [u8]) -> Result<Pulled, Fault> {
        if !self.done {
            let input = self.feed.allowed();
            let (mut waiting, mut taken) = (input.len(), 0);
            let (mut room, mut count, mut total) = (out.len(), 0, 0);
            let result = BrotliDecompressStream(
                &mut waiting,
                &mut taken,
                input,
                &mut room,
                &mut count,
                out,
                &mut total,
                &mut self.state,
            );
            self.feed.consume(taken);
            match result {
                BrotliResult::ResultFailure => return Err(Fault::Corrupt),
                BrotliResult::ResultSuccess => self.done = true,
                BrotliResult::NeedsMoreInput | BrotliResult::NeedsMoreOutput => {}
            }
            if count > 0 {
                return Ok(Pulled::Bytes(count));
            }
        }
        match (self.done, self.feed.is_empty(), self.feed.has_ended()) {
            (true, false, _) => Err(Fault::Trailing),
            (false, true, true) => Err(Fault::Truncated),
            (true, true, true) => Ok(Pulled::End),
            (false, false, true) | (_, _, false) => Ok(Pulled::Hungry),
        }
    }
}
