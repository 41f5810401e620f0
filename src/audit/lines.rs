//! Reads the lines of a file, in large pieces and little memory, whatever the file holds.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

use super::line::{Line, Place};

/// The lines of a file.
pub(super) struct Lines {
    file: File,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    number: u64,
    offset: u64,
    is_done: bool,
}

pub(super) struct Text<'a> {
    /// From 1.
    pub(super) number: u64,
    pub(super) bytes: &'a [u8],
    /// What it is.
    pub(super) shape: Shape,
    /// Where it ends in the file, with its line break.
    pub(super) end: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// A line break followed.
    Whole,
    /// The file ends without one.
    Unfinished,
    /// It goes on for more than 1 MiB, which no record does. Nothing follows.
    TooLong,
}

impl Lines {
    pub(super) fn of(file: File) -> Self {
        Self { file, buffer: Vec::new(), start: 0, end: 0, number: 0, offset: 0, is_done: false }
    }

    /// From a byte of the file on, before which there are so many lines.
    pub(super) fn from(mut file: File, offset: u64, number: u64) -> io::Result<Self> {
        file.seek(SeekFrom::Start(offset))?;
        Ok(Self { offset, number, ..Self::of(file) })
    }

    /// The next line, without its line break.
    pub(super) fn next(&mut self) -> io::Result<Option<Text<'_>>> {
        let mut searched = self.start;
        loop {
            if let Some(at) = memchr::memchr(b'\n', &self.buffer[searched..self.end]) {
                let (from, to) = (self.start, searched + at);
                self.start = to + 1;
                return Ok(Some(self.text(from, to, Shape::Whole)));
            }
            let is_full = self.end - self.start == PIECE;
            if self.is_done || is_full {
                let (from, to) = (self.start, self.end);
                (self.start, self.end, self.is_done) = (0, 0, true);
                let shape = if is_full { Shape::TooLong } else { Shape::Unfinished };
                return Ok((from < to).then(|| self.text(from, to, shape)));
            }
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
            searched = self.end;
            // Many files are short.
            let room = (2 * self.end).clamp(FIRST, PIECE);
            self.buffer.resize(self.buffer.len().max(room), 0);
            match self.file.read(&mut self.buffer[self.end..]) {
                Ok(0) => self.is_done = true,
                Ok(count) => self.end += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn text(&mut self, from: usize, to: usize, shape: Shape) -> Text<'_> {
        self.number += 1;
        self.offset += (to - from) as u64 + u64::from(shape == Shape::Whole);
        Text { number: self.number, bytes: &self.buffer[from..to], shape, end: self.offset }
    }
}

/// The place after the last whole line, and how many bytes there are up to its end.
///
/// Fails with `InvalidData` if that line is no record, or not within the last MiB.
pub(super) fn last_line(file: &mut File) -> io::Result<(Place, u64)> {
    let none = || io::Error::new(io::ErrorKind::InvalidData, "its last line is no record of an audit log");
    let length = file.metadata()?.len();
    let mut window = 4096;
    loop {
        let start = length.saturating_sub(window);
        file.seek(SeekFrom::Start(start))?;
        let mut tail = Vec::new();
        Read::take(&mut *file, window).read_to_end(&mut tail)?;
        let end = memchr::memrchr(b'\n', &tail);
        if end.is_none() && start == 0 {
            return Ok((Place::default(), 0));
        }
        let begin = end.and_then(|end| memchr::memrchr(b'\n', &tail[..end]).map(|at| at + 1));
        match (begin.or((start == 0).then_some(0)), end) {
            (Some(begin), Some(end)) => {
                let line = Line::read(&tail[begin..end]).ok_or_else(none)?;
                return Ok((
                    Place { seq: line.seq.saturating_add(1), link: line.link },
                    start + end as u64 + 1,
                ));
            }
            _ if window >= PIECE as u64 => return Err(none()),
            _ => window *= 4,
        }
    }
}

const FIRST: usize = 16 << 10;
const PIECE: usize = 1 << 20;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use crate::audit::line::LinkKey;
    use crate::audit::testing::Folder;
    use crate::time::UnixTime;

    fn file(folder: &Folder, bytes: &[u8]) -> File {
        let path = folder.path().join("f");
        std::fs::write(&path, bytes).unwrap();
        File::open(path).unwrap()
    }

    #[test]
    fn lines_are_told_with_their_ends_and_what_is_too_long_ends_the_file() {
        let folder = Folder::new();
        let long = vec![b'y'; 100_000];
        let text = [b"a\n\n", &long[..], b"\nrest"].concat();
        let mut lines = Lines::of(file(&folder, &text));
        let mut told = Vec::new();
        while let Some(text) = lines.next().unwrap() {
            told.push((text.number, text.bytes.len(), text.shape, text.end));
        }
        assert_eq!(
            told,
            [
                (1, 1, Shape::Whole, 2),
                (2, 0, Shape::Whole, 3),
                (3, 100_000, Shape::Whole, 100_004),
                (4, 4, Shape::Unfinished, 100_008)
            ]
        );
        let mut lines = Lines::from(file(&folder, &text), 3, 2).unwrap();
        assert_eq!(lines.next().unwrap().unwrap().end, 100_004);
        let mut lines = Lines::of(file(&folder, &vec![0; 3 * PIECE]));
        assert_eq!(lines.next().unwrap().unwrap().shape, Shape::TooLong);
        assert!(lines.next().unwrap().is_none());
    }

    #[test]
    fn a_last_line_is_found_behind_pages_and_not_looked_for_in_a_file_without_end() {
        let folder = Folder::new();
        let key = LinkKey::derive(&[1; 32], "w").unwrap();
        let (mut place, mut out) = (Place::default(), Vec::new());
        for length in [10, 5000, 50_000, 500_000] {
            let members = format!(",\"x\":\"{}\"", "y".repeat(length));
            place.seal(&key, &mut out, UnixTime(0.0), "long", members.as_bytes());
            let whole = out.len() as u64;
            assert_eq!(last_line(&mut file(&folder, &out)).unwrap(), (place, whole));
            let torn = [&out[..], b"{\"seq"].concat();
            assert_eq!(last_line(&mut file(&folder, &torn)).unwrap(), (place, whole));
        }
        assert_eq!(last_line(&mut file(&folder, b"torn")).unwrap(), (Place::default(), 0));
        // A sparse file of 1 TiB takes no room on a disk, and would fill the memory.
        let sparse = file(&folder, &out);
        File::options().write(true).open(folder.path().join("f")).unwrap().set_len(1 << 40).unwrap();
        let told = last_line(&mut { sparse }).unwrap_err();
        assert_eq!(told.kind(), io::ErrorKind::InvalidData);
    }
}
