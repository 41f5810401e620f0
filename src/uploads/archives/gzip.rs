//! Gzip (RFC 1952): inflated to the end, and looked at as it is; a tar in it is a tar.

use std::io::{self, BufRead as _, BufReader, Read};

use flate2::bufread::GzDecoder;

use super::super::source::{File, Reader, WINDOW};
use super::content::Content;
use super::tar::{Tar, is_tar};
use super::{ArchiveBounds, Bad};

/// Looks through what is compressed.
pub(in crate::uploads) fn gzip(file: &mut File<'_>, bounds: &ArchiveBounds) -> Result<(), Bad> {
    let packed = file.length();
    let mut reader = Reader { file, at: 0, is_gone: false };
    let said = unpack(&mut reader, packed, bounds);
    if reader.is_gone { Err(Bad::Gone) } else { said }
}

fn unpack(reader: &mut Reader<'_, '_>, packed: u64, bounds: &ArchiveBounds) -> Result<(), Bad> {
    let mut unpacked = Members::new(reader, packed);
    let mut out = vec![0; WINDOW];
    let mut total = 0_u64;
    let mut what = None;
    loop {
        // Full, but at the end: the first piece tells what it is.
        let mut length = 0;
        while let Some(room) = out.get_mut(length..).filter(|room| !room.is_empty()) {
            match unpacked.read(room) {
                Ok(0) => break,
                Ok(read) => length += read,
                Err(_) => return Err(Bad::Archive("what cannot be unpacked")),
            }
        }
        let piece = out.get(..length).unwrap_or_default();
        total += length as u64;
        if total > bounds.bytes {
            return Err(Bad::Archive("its bytes"));
        }
        if bounds.is_bomb(total, packed) {
            return Err(Bad::Archive("its ratio"));
        }
        match what.get_or_insert_with(|| {
            if is_tar(piece) { What::Tar(Box::new(Tar::new(bounds))) } else { What::Other(Content::new()) }
        }) {
            What::Tar(tar) => tar.feed(piece)?,
            What::Other(content) => content.feed(piece),
        }
        if length < WINDOW {
            return match what {
                Some(What::Tar(tar)) => tar.finish(),
                Some(What::Other(content)) => {
                    if total > bounds.entry {
                        return Err(Bad::Archive("the bytes of an entry"));
                    }
                    content.finish(bounds)
                }
                None => Ok(()),
            };
        }
    }
}

enum What {
    Tar(Box<Tar>),
    Other(Content),
}

/// What the members of a file unpack to, one behind the other (RFC 1952 section 2.2).
///
/// Each costs what it takes to begin, whatever is in it. Tools that write several cut at 16 KiB or more.
struct Members<R: Read> {
    current: Option<GzDecoder<BufReader<R>>>,
    left: u64,
}

impl<R: Read> Members<R> {
    fn new(reader: R, packed: u64) -> Self {
        Self { current: Some(GzDecoder::new(BufReader::new(reader))), left: 64 + packed / 4096 }
    }
}

impl<R: Read> Read for Members<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while let Some(member) = &mut self.current {
            let read = member.read(into)?;
            if read > 0 || into.is_empty() {
                return Ok(read);
            }
            if let Some(mut reader) = self.current.take().map(GzDecoder::into_inner)
                && !reader.fill_buf()?.is_empty()
            {
                self.left = self.left.checked_sub(1).ok_or(io::ErrorKind::InvalidData)?;
                self.current = Some(GzDecoder::new(reader));
            }
        }
        Ok(0)
    }
}
