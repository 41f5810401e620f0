//! Decides whether an API key may be trusted *now*, and makes new ones.
//!
//! A key reads `<prefix>_<environment>_<id><secret><checksum>`, such as `rk_live_` and 48 letters and digits: 12 of the
//! id, which is public and stays the same in every log and table, 30 of the secret (178 bits), 6 of the checksum.
//! The checksum is the CRC-32 of all that stands before it, in Base62 (as in GitHub's tokens since 2021), so that
//! a scanner knows a key from other text, and a mistyped key costs no look-up.
//!
//! A key is accepted when all of these hold, checked in this order:
//! 1. it has the length, the prefix, the environment and the alphabet of this app's keys;
//! 2. its checksum is right;
//! 3. its id is known: remembered, or found by whoever keeps the records;
//! 4. its SHA-256 is the record's, compared in constant time;
//! 5. it was not revoked, and `now < expires`. This is asked each time, also of what is remembered.
//!
//! Only then is there a [`Verified`], which nothing else can make.
//!
//! # What it does not do
//! It keeps no records and asks for none: it hands out a [`Candidate`], and is told a [`Grant`]. It draws no
//! random bytes and reads no clock. A checksum is no proof of anything: whoever can read this file can make one.
//!
//! # Why one plain hash is enough
//! A slow hash protects what people can remember. A secret of 178 random bits cannot be guessed at any speed.
//!
//! # The rooms within
//! [`carry`] where a request carries a key · [`format`] reading and making keys · [`crc`] the checksum ·
//! [`grant`] what a record grants · [`book`] keys that were checked before.

pub mod book;
pub mod carry;
pub mod crc;
pub mod format;
pub mod grant;

pub use book::{Book, Recall};
pub use format::{Candidate, Format};
pub use grant::{Grant, Reason, Verified};
