//! One record: a line of JSON that carries a link to the line before it.
//!
//! ```text
//! {"seq":7,"time":"2026-11-29T10:00:00.000000Z","event":"authz_fail",…,"link":"<43 characters>"}
//! ```
//!
//! All before `,"link"` is the record's *body*. Its leaf is the RFC 6962 hash of the body; its link is
//! HMAC-SHA-256 over the link before and the leaf, under a key that only this writer and those who verify can derive. So who has no
//! key cannot change, add, drop or move a line, and who has only the public key still checks leaves against signed checkpoints.
//!
//! The first link is zeros: the key is of one writer, so lines of another cannot stand there.
//!
//! Sources: RFC 2104 (HMAC); RFC 5869 (HKDF); RFC 6962 section 2.1.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::{hkdf, hmac};

use super::merkle::{self, Frontier, Hash};
use crate::error::ConfigError;
use crate::json;
use crate::time::UnixTime;

/// Makes the links of one writer.
pub(super) struct LinkKey(hmac::Key);

impl LinkKey {
    /// The key of `writer`, from the private key of the log.
    pub(super) fn derive(seed: &[u8], writer: &str) -> Result<Self, ConfigError> {
        let prk = hkdf::Salt::new(hkdf::HKDF_SHA256, SALT).extract(seed);
        let info = [writer.as_bytes()];
        let key = prk.expand(&info, hmac::HMAC_SHA256);
        let key = key.map_err(|_| ConfigError::new("The audit log's key cannot be derived."))?;
        Ok(Self(hmac::Key::from(key)))
    }

    pub(super) fn link(&self, before: &Hash, leaf: &Hash) -> Hash {
        let mut joined = [0; 64];
        joined[..32].copy_from_slice(before);
        joined[32..].copy_from_slice(leaf);
        let mut link = [0; 32];
        link.copy_from_slice(hmac::sign(&self.0, &joined).as_ref());
        link
    }
}

/// Where a chain of lines has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Place {
    /// The number of the next record.
    pub(super) seq: u64,
    /// The link of the last one.
    pub(super) link: Hash,
}

impl Place {
    /// Appends the next record and gives its leaf. `members` is empty, or JSON members with a comma before each.
    pub(super) fn seal(
        &mut self,
        key: &LinkKey,
        out: &mut Vec<u8>,
        now: UnixTime,
        event: &str,
        members: &[u8],
    ) -> Hash {
        self.seal_at(key, out, &Stamp::default().of(now), event, members)
    }

    /// As [`Place::seal`], with the time as text.
    pub(super) fn seal_at(
        &mut self,
        key: &LinkKey,
        out: &mut Vec<u8>,
        time: &[u8; RFC3339],
        event: &str,
        members: &[u8],
    ) -> Hash {
        let start = out.len();
        out.extend_from_slice(SEQ);
        json::number(out, i64::try_from(self.seq).unwrap_or(i64::MAX));
        out.extend_from_slice(TIME);
        out.extend_from_slice(time);
        out.extend_from_slice(b"\",\"event\":");
        json::string(out, event, MAX_EVENT);
        out.extend_from_slice(members);
        let leaf = merkle::leaf(&out[start..]);
        self.link = key.link(&self.link, &leaf);
        self.seq += 1;
        out.extend_from_slice(LINK);
        write_hash(out, &self.link);
        out.extend_from_slice(b"\"}\n");
        leaf
    }
}

/// The time of a record as text. All but the microseconds is that of the record before, mostly.
#[derive(Clone, Default)]
pub(super) struct Stamp {
    second: Option<u64>,
    text: [u8; RFC3339],
}

impl Stamp {
    /// As `json::time` writes it.
    pub(super) fn of(&mut self, now: UnixTime) -> [u8; RFC3339] {
        let micros = json::micros(now);
        let (second, mut rest) = (micros / 1_000_000, micros % 1_000_000);
        if self.second != Some(second) {
            let mut text = Vec::with_capacity(RFC3339);
            json::time(&mut text, now);
            self.second = Some(second);
            text.iter().zip(&mut self.text).for_each(|(from, to)| *to = *from);
        }
        for digit in self.text[MICROS..RFC3339 - 1].iter_mut().rev() {
            *digit = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        self.text
    }
}

/// A record as it was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Line<'a> {
    pub(super) seq: u64,
    /// RFC 3339 in UTC, always of the same length: times are ordered as their texts are.
    pub(super) time: &'a [u8],
    pub(super) event: &'a [u8],
    pub(super) body: &'a [u8],
    pub(super) link: Hash,
}

impl<'a> Line<'a> {
    /// Reads a line without its line break. None if it is no record, whatever else it is.
    pub(super) fn read(line: &'a [u8]) -> Option<Self> {
        let (body, tail) = line.split_at_checked(line.len().checked_sub(TAIL)?)?;
        let link = tail.strip_prefix(LINK)?.strip_suffix(b"\"}")?;
        // Canonical: the engine refuses a last character whose spare bits are not zero. It wants room for whole groups.
        let mut bytes = [0; 33];
        if URL_SAFE_NO_PAD.decode_slice(link, &mut bytes).ok()? != 32 {
            return None;
        }
        let (link, _) = bytes.split_first_chunk::<32>()?;
        let rest = body.strip_prefix(SEQ)?;
        let digits = rest.iter().position(|byte| !byte.is_ascii_digit())?;
        let (number, rest) = rest.split_at(digits);
        if number.len() > 1 && number[0] == b'0' {
            return None;
        }
        // No log comes to 2^63, and sums stay within 64 bits.
        let seq = std::str::from_utf8(number).ok()?.parse().ok().filter(|seq| *seq <= i64::MAX as u64)?;
        let (time, rest) = rest.strip_prefix(TIME)?.split_at_checked(RFC3339)?;
        let rest = rest.strip_prefix(b"\",\"event\":\"")?;
        let event = &rest[..memchr::memchr(b'"', rest)?];
        Some(Self { seq, time, event, body, link: *link })
    }

    /// The record as JSON, without its link.
    pub(super) fn members(&self) -> Option<serde_json::Value> {
        let mut whole = self.body.to_vec();
        whole.push(b'}');
        serde_json::from_slice(&whole).ok()
    }

    /// The tree over all records before this one, as it says; `members` are its own. None if it says none.
    pub(super) fn subtrees(&self, members: &serde_json::Value) -> Option<Frontier> {
        let roots = members["subtrees"].as_array()?.iter().map(|root| root.as_str().and_then(read_hash));
        Frontier::resume(self.seq, roots.collect::<Option<Vec<Hash>>>()?)
    }
}

/// Appends a hash as base64url without padding.
pub(super) fn write_hash(out: &mut Vec<u8>, hash: &Hash) {
    // Of a length that is known: an engine for any length takes twice the time.
    let mut text = [0; 44];
    for (three, four) in hash.chunks(3).zip(text.chunks_exact_mut(4)) {
        let bits =
            three.iter().enumerate().fold(0, |bits, (i, byte)| bits | u32::from(*byte) << (16 - 8 * i));
        for (i, character) in four.iter_mut().enumerate() {
            *character = URL_SAFE[(bits >> (18 - 6 * i) & 63) as usize];
        }
    }
    out.extend_from_slice(&text[..HASH]);
}

/// Reads what [`write_hash`] wrote.
pub(super) fn read_hash(text: &str) -> Option<Hash> {
    URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()
}

const URL_SAFE: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
const SALT: &[u8] = b"flask-rampart audit link v1";
const SEQ: &[u8] = b"{\"seq\":";
const TIME: &[u8] = b",\"time\":\"";
const LINK: &[u8] = b",\"link\":\"";
/// `2026-11-29T10:00:00.000000Z`
const RFC3339: usize = 27;
/// Where in it the microseconds begin.
const MICROS: usize = 20;
const HASH: usize = 43;
const TAIL: usize = LINK.len() + HASH + 2;
const MAX_EVENT: usize = 128;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn two() -> (LinkKey, Vec<u8>) {
        let key = LinkKey::derive(&[1; 32], "w").unwrap();
        let (mut place, mut out) = (Place::default(), Vec::new());
        place.seal(&key, &mut out, UnixTime(1_795_460_400.0), "authz_fail", b",\"code\":\"auth.role\"");
        place.seal(&key, &mut out, UnixTime(1_795_460_401.0), "sys_startup", b"");
        (key, out)
    }

    #[test]
    fn a_record_is_one_line_of_json_that_reads_back() {
        let (key, out) = two();
        let text = String::from_utf8(out).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].starts_with(
            r#"{"seq":0,"time":"2026-11-23T19:00:00.000000Z","event":"authz_fail","code":"auth.role","link":""#
        ));
        let mut before = [0; 32];
        for (i, text) in lines.iter().enumerate() {
            let line = Line::read(text.as_bytes()).unwrap();
            assert_eq!(line.seq, i as u64);
            assert_eq!(key.link(&before, &merkle::leaf(line.body)), line.link);
            let whole: serde_json::Value = serde_json::from_str(text).unwrap();
            assert_eq!(whole["event"], line.members().unwrap()["event"]);
            before = line.link;
        }
    }

    #[test]
    fn a_time_is_written_as_ever_whichever_was_before() {
        let mut stamp = Stamp::default();
        for now in [
            0.0,
            0.000_001,
            0.999_999_6,
            1_795_460_399.999_999,
            1_795_460_399.5,
            1_795_460_400.0,
            1_795_460_400.25,
            1_795_460_399.5,
            -5.0,
            1e300,
            f64::NAN,
        ] {
            let mut plain = Vec::new();
            json::time(&mut plain, UnixTime(now));
            assert_eq!(stamp.of(UnixTime(now)).as_slice(), plain, "{now}");
        }
    }

    #[test]
    fn a_hash_is_base64url_as_others_write_it() {
        for seed in 0..64_u8 {
            let hash = merkle::leaf(&[seed]);
            let mut out = b"x".to_vec();
            write_hash(&mut out, &hash);
            assert_eq!(out[1..], *URL_SAFE_NO_PAD.encode(hash).as_bytes());
            assert_eq!(read_hash(std::str::from_utf8(&out[1..]).unwrap()), Some(hash));
        }
    }

    #[test]
    fn an_event_with_quotes_and_breaks_stays_one_line() {
        let key = LinkKey::derive(&[1; 32], "w").unwrap();
        let mut out = Vec::new();
        Place::default().seal(&key, &mut out, UnixTime(0.0), "a\"}\n{\"seq\":1", b"");
        assert_eq!(out.iter().filter(|byte| **byte == b'\n').count(), 1);
        assert!(Line::read(out.trim_ascii_end()).is_some());
    }

    #[test]
    fn links_are_of_one_writer_and_one_log() {
        let one = LinkKey::derive(&[1; 32], "w").unwrap().link(&[0; 32], &[0; 32]);
        assert_ne!(one, LinkKey::derive(&[1; 32], "v").unwrap().link(&[0; 32], &[0; 32]));
        assert_ne!(one, LinkKey::derive(&[2; 32], "w").unwrap().link(&[0; 32], &[0; 32]));
    }

    #[test]
    fn what_is_no_record_is_not_read() {
        let (_, out) = two();
        let line = out.split(|byte| *byte == b'\n').next().unwrap();
        assert!(Line::read(line).is_some());
        for at in 0..line.len() {
            // Cut anywhere it is no record any more.
            assert_eq!(Line::read(&line[..at]), None);
        }
        for wrong in
            ["{\"seq\":00,", "{\"seq\":-1,", "{\"seq\":,", "{ \"seq\":0,", "{\"seq\":9223372036854775808,"]
        {
            let mut other = wrong.as_bytes().to_vec();
            other.extend_from_slice(&line[9..]);
            assert_eq!(Line::read(&other), None, "{wrong}");
        }
    }
}
