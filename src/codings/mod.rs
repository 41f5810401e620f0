//! Decides what a coded body says, and stops where it says too much.
//!
//! A body is decoded as it is asked for, a step at a time, and refused at the first of these:
//! 1. it decodes to more than `max_bytes`, or past `floor` to more than `ratio` times what came: a bomb is stopped one
//!    byte after its bound, whatever it would have become. Nothing is decoded ahead of the bytes that pay for it: where
//!    the beginning is dense, more is asked for first, so that it is the ratio of the whole that decides, and not how it
//!    arrived;
//! 2. it is not its coding: `gzip` (RFC 1952), whose members, at most [`MEMBERS`], stand for their concatenation;
//!    `deflate`, which is the zlib format (RFC 1950) and never bare deflate, as RFC 9110 §8.4.1.2 has it; `br` (RFC
//!    7932), whose window is at most 16 MiB;
//! 3. a check value does not fit: CRC-32 and length of each gzip member, Adler-32 of zlib (brotli has none);
//! 4. it ends before its coding does;
//! 5. anything follows its end.
//!
//! Empty blocks and members, which cost as much as full ones, are no fault: what they cost is linear in what came, and a
//! pull goes through [`SLICE`] bytes of it at most.
//!
//! No bytes at all are no content, in any coding.
//!
//! It does not know of codings in codings, media types or lengths that were declared, and reads nothing itself: bytes
//! are fed, and pulled.
//!
//! Sources: RFC 9110 §8.4, CWE-409 (data amplification).

mod brotli;
mod feed;
#[cfg(test)]
mod tests;

use std::fmt;
use std::io::{ErrorKind, Read};

use flate2::bufread::{GzDecoder, ZlibDecoder};

use self::brotli::Brotli;
use self::feed::Feed;
use crate::error::ConfigError;

/// Most members of one gzip body: each costs the decoder a new table of some 40 KiB, which twenty bytes can ask for.
pub const MEMBERS: usize = 1024;

/// Most coded bytes of one pull. Hostile ones, where every ten bits are a block for which new tables are made, take some
/// microseconds each.
pub const SLICE: usize = 128;

/// How a body can be coded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coding {
    /// Brotli, RFC 7932.
    Brotli,
    /// zlib, RFC 1950, around deflate.
    Deflate,
    /// gzip, RFC 1952.
    Gzip,
}

impl Coding {
    /// The coding that `Content-Encoding` names so, in any case; `x-gzip` is gzip (RFC 9110 §8.4.1.3).
    pub fn named(name: &str) -> Option<Self> {
        [("br", Self::Brotli), ("deflate", Self::Deflate), ("gzip", Self::Gzip), ("x-gzip", Self::Gzip)]
            .into_iter()
            .find_map(|(known, coding)| name.eq_ignore_ascii_case(known).then_some(coding))
    }
}

/// How much a body may decode to. Each bound is inclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    max_bytes: u64,
    ratio: u64,
    floor: u64,
}

impl Bounds {
    /// At most `max_bytes`, and at most `ratio` times what came, though always `floor`.
    ///
    /// # Errors
    /// A [`ConfigError`] if `max_bytes` or `ratio` is zero.
    pub fn new(max_bytes: u64, ratio: u64, floor: u64) -> Result<Self, ConfigError> {
        for (name, value) in [("max_bytes", max_bytes), ("ratio", ratio)] {
            if value == 0 {
                return Err(ConfigError::new(format!("{name} is 0; it must be at least 1")));
            }
        }
        Ok(Self { max_bytes, ratio, floor })
    }

    fn after(&self, came: u64) -> u64 {
        self.max_bytes.min(self.floor.max(came.saturating_mul(self.ratio)))
    }
}

/// What a pull has given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pulled {
    /// Nothing yet, though there is more to go through: pull again.
    Again,
    /// So many bytes, at least one; there may be more.
    Bytes(usize),
    /// The whole body has been given.
    End,
    /// Nothing, until more is fed.
    Hungry,
}

/// Why a body is not decoded. The peer's fault; it holds nothing that the peer sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// Not what its coding says, or a check value does not fit. Code `body.undecodable`.
    Corrupt,
    /// More than `ratio` times what came. Code `body.too_large`.
    Dense,
    /// More than `max_bytes`. Code `body.too_large`.
    TooLarge,
    /// More members than [`MEMBERS`]. Code `body.undecodable`.
    TooManyMembers,
    /// Something follows the end of the coding. Code `body.undecodable`.
    Trailing,
    /// The body ends before its coding does. Code `body.undecodable`.
    Truncated,
}

impl Fault {
    /// The stable code that is sent to the peer.
    pub fn code(self) -> &'static str {
        match self {
            Self::Dense | Self::TooLarge => "body.too_large",
            Self::Corrupt | Self::TooManyMembers | Self::Trailing | Self::Truncated => "body.undecodable",
        }
    }

    /// Which rule it was, for the log.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Corrupt => "corrupt",
            Self::Dense => "decodes to too many times its size",
            Self::TooLarge => "decoded length",
            Self::TooManyMembers => "too many gzip members",
            Self::Trailing => "something follows the coded body",
            Self::Truncated => "truncated",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason())
    }
}

impl std::error::Error for Fault {}

/// One body on its way out of its coding. What it said once that it is at fault for, it says again.
pub struct Decoder {
    coded: Coded,
    bounds: Bounds,
    came: u64,
    made: u64,
    over: Option<Result<(), Fault>>,
}

enum Coded {
    Brotli(Box<Brotli>),
    Gzip { member: Box<GzDecoder<Feed>>, members: usize },
    Zlib(Box<ZlibDecoder<Feed>>),
}

impl Decoder {
    /// A body of which nothing came yet.
    pub fn new(coding: Coding, bounds: Bounds) -> Self {
        let coded = match coding {
            Coding::Brotli => Coded::Brotli(Box::default()),
            Coding::Deflate => Coded::Zlib(Box::new(ZlibDecoder::new(Feed::default()))),
            Coding::Gzip => Coded::Gzip { member: Box::new(GzDecoder::new(Feed::default())), members: 1 },
        };
        Self { coded, bounds, came: 0, made: 0, over: None }
    }

    /// Holds the rest of the body to other `max_bytes`.
    pub fn hold(&mut self, max_bytes: u64) {
        self.bounds.max_bytes = max_bytes;
    }

    /// Adds what came next. No bytes are the end of the body, after which nothing is taken.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.came = self.came.saturating_add(bytes.len() as u64);
        if bytes.is_empty() && self.came == 0 {
            self.over.get_or_insert(Ok(()));
        }
        self.coded.feed().add(bytes);
    }

    /// Decodes into `out`, which has room for at least one byte.
    ///
    /// # Errors
    /// A [`Fault`], at the first byte that is too many or wrong.
    pub fn pull(&mut self, out: &mut [u8]) -> Result<Pulled, Fault> {
        match self.over {
            Some(Ok(())) => return Ok(Pulled::End),
            Some(Err(fault)) => return Err(fault),
            None => {}
        }
        let may = self.bounds.after(self.came);
        let ended = self.coded.feed().has_ended();
        // One byte more than the bound is enough to know. As long as more may come, it is not known what the ratio is.
        let spare = u64::from(ended || may == self.bounds.max_bytes || self.made > may);
        let room = may.saturating_sub(self.made).saturating_add(spare);
        if room == 0 {
            return Ok(Pulled::Hungry);
        }
        let room = usize::try_from(room).unwrap_or(usize::MAX).min(out.len());
        let waiting = self.coded.feed().rest().len();
        self.coded.feed().allow(SLICE);
        let pulled = self.coded.pull(&mut out[..room]).and_then(|pulled| {
            if let Pulled::Bytes(count) = pulled {
                self.made += count as u64;
                if self.made > self.bounds.max_bytes {
                    return Err(Fault::TooLarge);
                }
                if self.made > may {
                    return Err(Fault::Dense);
                }
            }
            let rest = self.coded.feed().rest().len();
            match pulled {
                Pulled::Hungry if rest > 0 && rest < waiting => Ok(Pulled::Again),
                // No decoder leaves bytes alone that it could use.
                Pulled::Hungry if rest > 0 && ended => Err(Fault::Truncated),
                _ => Ok(pulled),
            }
        });
        match pulled {
            Err(fault) => self.over = Some(Err(fault)),
            Ok(Pulled::End) => self.over = Some(Ok(())),
            Ok(_) => {}
        }
        pulled
    }
}

impl Coded {
    fn feed(&mut self) -> &mut Feed {
        match self {
            Self::Brotli(brotli) => &mut brotli.feed,
            Self::Gzip { member, .. } => member.get_mut(),
            Self::Zlib(zlib) => zlib.get_mut(),
        }
    }

    fn pull(&mut self, out: &mut [u8]) -> Result<Pulled, Fault> {
        match self {
            Self::Brotli(brotli) => brotli.pull(out),
            Self::Gzip { member, members } => loop {
                match read(member.as_mut(), out) {
                    Ok(0) => {}
                    Ok(count) => return Ok(Pulled::Bytes(count)),
                    Err(Stopped::Hungry) => return Ok(Pulled::Hungry),
                    // What follows a whole member and is none is no damaged body, but a body with something behind it.
                    Err(Stopped::Corrupt) if *members > 1 && member.header().is_none() => {
                        return Err(Fault::Trailing);
                    }
                    Err(Stopped::Corrupt) => return Err(Fault::Corrupt),
                    Err(Stopped::Ended) => return Err(Fault::Truncated),
                }
                let feed = member.get_mut();
                if !feed.is_empty() {
                    if *members >= MEMBERS {
                        return Err(Fault::TooManyMembers);
                    }
                    *members += 1;
                    let rest = std::mem::take(feed);
                    // A new one, whose reader is there from the start: a header is read when it is made.
                    **member = GzDecoder::new(rest);
                } else {
                    return Ok(if feed.has_ended() { Pulled::End } else { Pulled::Hungry });
                }
            },
            Self::Zlib(zlib) => match read(zlib.as_mut(), out) {
                Ok(0) => {
                    let feed = zlib.get_mut();
                    if !feed.is_empty() {
                        return Err(Fault::Trailing);
                    }
                    Ok(if feed.has_ended() { Pulled::End } else { Pulled::Hungry })
                }
                Ok(count) => Ok(Pulled::Bytes(count)),
                Err(Stopped::Hungry) => Ok(Pulled::Hungry),
                Err(Stopped::Corrupt) => Err(Fault::Corrupt),
                Err(Stopped::Ended) => Err(Fault::Truncated),
            },
        }
    }
}

enum Stopped {
    Corrupt,
    Ended,
    Hungry,
}

fn read(decoder: &mut impl Read, out: &mut [u8]) -> Result<usize, Stopped> {
    decoder.read(out).map_err(|error| match error.kind() {
        ErrorKind::WouldBlock => Stopped::Hungry,
        ErrorKind::UnexpectedEof => Stopped::Ended,
        _ => Stopped::Corrupt,
    })
}
