//! Tar (POSIX ustar and pax, GNU's long names), as its bytes come in.
//!
//! 1. Each head has the checksum that it says. An entry is a file or a folder; links, devices, pipes and holes are refused.
//! 2. A longer name comes before its entry, once, in pax's way or GNU's. A size of pax's must be the head's own: readers differ in which they
//!    take (CVE-2025-62518). Neither may change what a link points to: there are none.
//! 3. Two empty blocks end it, and only empty ones follow.

use super::content::Content;
use super::names::Names;
use super::{ArchiveBounds, Bad};

const BLOCK: usize = 512;
/// Longest record before an entry, in bytes.
const MOST_RECORD: u64 = 64 * 1024;

enum State {
    Head,
    /// In an entry: bytes to come, and what fills up the block behind them.
    Content(u64, u64, Content),
    /// In a record of pax or GNU, of this kind.
    Record(u8, u64, u64, Vec<u8>),
    /// Behind so many empty blocks.
    Empty(u8),
}

/// Whether something that begins so is a tar for any reader: by its name, or by the checksum of its first head, which is all that the oldest
/// form has.
pub(in crate::uploads) fn is_tar(head: &[u8]) -> bool {
    if head.get(257..262) == Some(b"ustar") {
        return true;
    }
    let (Some(block), Some(field)) = (head.get(..BLOCK), head.get(148..156)) else { return false };
    let signed = |sum: i64, byte: u8| sum + i64::from(byte as i8);
    let blank = |(at, &byte): (usize, &u8)| if (148..156).contains(&at) { b' ' } else { byte };
    let sums = (sum_of(block) as i64, block.iter().enumerate().map(blank).fold(0, signed));
    let said = match field {
        // A number in GNU's other way, which may be below 0.
        [first @ (0x80 | 0xff), rest @ ..] => {
            let number = rest.iter().fold(0_i64, |number, &byte| number << 8 | i64::from(byte));
            if *first == 0xff { number - (1 << 56) } else { number }
        }
        // As leniently as Python reads one: `0o1_7` is a number.
        field => {
            let text = field.split(|&byte| byte == 0).next().unwrap_or_default();
            if !text.iter().all(|byte| b"01234567 \t\r\n\x0b\x0c+-_oO".contains(byte)) {
                return false;
            }
            let digits = text.iter().filter(|byte| byte.is_ascii_digit());
            digits.fold(0, |number, &byte| number << 3 | i64::from(byte - b'0'))
        }
    };
    // An empty head is the end of a tar, and has no sum.
    block.iter().any(|&byte| byte != 0) && (said == sums.0 || said == sums.1)
}

/// Of a head: its bytes, with blanks where the sum itself stands.
fn sum_of(block: &[u8]) -> u64 {
    let blank = |(at, &byte): (usize, &u8)| u64::from(if (148..156).contains(&at) { b' ' } else { byte });
    block.iter().enumerate().map(blank).sum()
}

pub(in crate::uploads) struct Tar {
    bounds: ArchiveBounds,
    state: State,
    block: Vec<u8>,
    names: Names,
    entries: u64,
    total: u64,
    /// Of the next entry.
    name: Option<Vec<u8>>,
    size: Option<u64>,
}

impl Tar {
    pub(in crate::uploads) fn new(bounds: &ArchiveBounds) -> Self {
        Self {
            bounds: *bounds,
            state: State::Head,
            block: Vec::new(),
            names: Names::default(),
            entries: 0,
            total: 0,
            name: None,
            size: None,
        }
    }

    pub(in crate::uploads) fn feed(&mut self, mut bytes: &[u8]) -> Result<(), Bad> {
        while !bytes.is_empty() {
            let cut = |bytes: &mut &[u8], left: u64| {
                let (taken, rest) =
                    bytes.split_at(bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX)));
                *bytes = rest;
                taken.to_vec()
            };
            match &mut self.state {
                State::Content(left, fill, content) => {
                    if *left > 0 {
                        let taken = cut(&mut bytes, *left);
                        content.feed(&taken);
                        *left -= taken.len() as u64;
                    } else {
                        *fill -= cut(&mut bytes, *fill).len() as u64;
                    }
                }
                State::Record(_, left, fill, record) => {
                    if *left > 0 {
                        let taken = cut(&mut bytes, *left);
                        *left -= taken.len() as u64;
                        record.extend_from_slice(&taken);
                    } else {
                        *fill -= cut(&mut bytes, *fill).len() as u64;
                    }
                }
                State::Head | State::Empty(_) => {
                    let room = (BLOCK - self.block.len()) as u64;
                    let taken = cut(&mut bytes, room);
                    self.block.extend_from_slice(&taken);
                    if self.block.len() == BLOCK {
                        let block = std::mem::take(&mut self.block);
                        self.state = self.next(&block)?;
                    }
                }
            }
            self.settle()?;
        }
        Ok(())
    }

    /// What was read to its end has said what it says.
    fn settle(&mut self) -> Result<(), Bad> {
        match &mut self.state {
            State::Content(0, 0, content) => {
                content.finish(&self.bounds)?;
                self.state = State::Head;
            }
            State::Record(kind, 0, 0, record) => {
                let (kind, record) = (*kind, std::mem::take(record));
                self.record(kind, &record)?;
                self.state = State::Head;
            }
            _ => {}
        }
        Ok(())
    }

    pub(in crate::uploads) fn finish(&self) -> Result<(), Bad> {
        match self.state {
            State::Empty(2..) if self.block.is_empty() => Ok(()),
            _ => Err(Bad::Archive("a tar without end")),
        }
    }

    fn next(&mut self, block: &[u8]) -> Result<State, Bad> {
        let is_empty = block.iter().all(|&byte| byte == 0);
        if let State::Empty(count) = self.state {
            return if is_empty {
                Ok(State::Empty(count.saturating_add(1)))
            } else {
                Err(Bad::Archive("something behind a tar"))
            };
        }
        if is_empty {
            let is_open = self.name.is_some() || self.size.is_some();
            return if is_open { Err(Bad::Archive("a name without an entry")) } else { Ok(State::Empty(1)) };
        }
        let bad = Bad::Archive("the head of an entry");
        let number = |from: usize, to: usize| octal(block.get(from..to).unwrap_or_default()).ok_or(bad);
        if number(148, 156)? != sum_of(block) || block.get(257..262) != Some(b"ustar") {
            return Err(bad);
        }
        // Where POSIX has the first half of a long name, GNU keeps other things: some readers take them for a name all the same.
        if block.get(257..263) != Some(b"ustar\0") && block.get(345) != Some(&0) {
            return Err(bad);
        }
        let size = number(124, 136)?;
        let fill = size.next_multiple_of(BLOCK as u64) - size;
        self.entries += 1;
        // Records count as well: each may be as long as an entry.
        if self.entries > self.bounds.entries.saturating_mul(3) {
            return Err(Bad::Archive("its entries"));
        }
        let kind = block.get(156).copied().unwrap_or(0);
        match kind {
            b'x' | b'g' | b'L' => {
                if size > MOST_RECORD {
                    return Err(Bad::Archive("a record of a tar"));
                }
                Ok(State::Record(kind, size, fill, Vec::new()))
            }
            0 | b'0' | b'5' => {
                let is_folder = kind == b'5';
                let name = self.name.take().unwrap_or_else(|| name_of(block));
                // Of old, a folder is a file whose name ends so.
                if !is_folder && name.ends_with(b"/") {
                    return Err(Bad::Archive("a folder that is a file"));
                }
                if self.size.take().is_some_and(|said| said != size) {
                    return Err(Bad::Archive("an entry with two sizes"));
                }
                if is_folder && size > 0 {
                    return Err(Bad::Archive("a folder that is a file"));
                }
                if is_folder && matches!(name.as_slice(), b"." | b"./") {
                    // The folder itself, as `tar -C folder .` writes it.
                    return Ok(State::Head);
                }
                let plain = name.strip_prefix(b"./").unwrap_or(&name);
                self.names.add(plain, is_folder)?;
                self.total = self.total.saturating_add(size);
                if size > self.bounds.entry {
                    return Err(Bad::Archive("the bytes of an entry"));
                }
                if self.total > self.bounds.bytes {
                    return Err(Bad::Archive("its bytes"));
                }
                if self.names.count() > self.bounds.entries {
                    return Err(Bad::Archive("its entries"));
                }
                Ok(State::Content(size, fill, Content::new()))
            }
            _ => Err(Bad::Archive("an entry that is no file")),
        }
    }

    fn record(&mut self, kind: u8, record: &[u8]) -> Result<(), Bad> {
        let bad = Bad::Archive("a record of a tar");
        if kind == b'L' {
            let name = record.split(|&byte| byte == 0).next().unwrap_or_default().to_vec();
            return if self.name.replace(name).is_some() { Err(bad) } else { Ok(()) };
        }
        let mut rest = record;
        while !rest.is_empty() {
            // "length key=value\n", the length of all of it in front (POSIX pax).
            let blank = memchr::memchr(b' ', rest).ok_or(bad)?;
            let length = std::str::from_utf8(rest.get(..blank).unwrap_or_default())
                .ok()
                .and_then(|text| text.parse().ok());
            let length: usize = length.ok_or(bad)?;
            let line = rest.get(blank + 1..length).and_then(|line| line.strip_suffix(b"\n")).ok_or(bad)?;
            let equals = memchr::memchr(b'=', line).ok_or(bad)?;
            let (key, value) =
                (line.get(..equals).unwrap_or_default(), line.get(equals + 1..).unwrap_or_default());
            let is_twice = match key {
                // For all that follows, readers differ in what it means.
                b"path" | b"size" | b"linkpath" if kind == b'g' => true,
                b"path" => self.name.replace(value.to_vec()).is_some(),
                b"size" => {
                    let size =
                        std::str::from_utf8(value).ok().and_then(|text| text.parse().ok()).ok_or(bad)?;
                    self.size.replace(size).is_some()
                }
                b"linkpath" => true,
                // Holes, in GNU's way: the size is another one.
                _ => key.starts_with(b"GNU.sparse"),
            };
            if is_twice {
                return Err(bad);
            }
            rest = rest.get(length..).unwrap_or_default();
        }
        Ok(())
    }
}

fn name_of(block: &[u8]) -> Vec<u8> {
    let text = |from: usize, to: usize| {
        block.get(from..to).unwrap_or_default().split(|&byte| byte == 0).next().unwrap_or_default()
    };
    let prefix = text(345, 500);
    if prefix.is_empty() { text(0, 100).to_vec() } else { [prefix, b"/", text(0, 100)].concat() }
}

/// A number of octal digits, with blanks or zeros around it. GNU's other way, for 8 GiB and more, is none.
fn octal(field: &[u8]) -> Option<u64> {
    let text = field.split(|&byte| byte == 0).next()?.trim_ascii();
    if text.is_empty() || !text.iter().all(|byte| (b'0'..=b'7').contains(byte)) {
        return None;
    }
    u64::from_str_radix(std::str::from_utf8(text).ok()?, 8).ok()
}
