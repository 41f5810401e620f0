//! Says whether a file is a pickle: a program that Python runs when it is loaded.
//!
//! It reads the opcodes of protocols 0 to 5 as their machine would, with a stack that only counts:
//! 1. what begins as protocols 2 to 5 do, with an opcode behind it, is one, however it goes on;
//! 2. what names something of a module and then calls or builds it is one, as soon as it does so: what follows does not undo it;
//! 3. what reads as a program to its end, and ends where the file ends, is one, and so are several behind each other.
//!
//! Rule 2 holds for files of every other type as well: a GIF may be a pickle too (its first letter is the opcode of a number).
//!
//! It says nothing of a program behind other bytes: who loads from the middle of a file knows where to. What is compressed is looked at as
//! far as it is inflated: in zip and gzip, not in bzip2, xz, zstd, 7z or rar.
//!
//! Sources: Python's `pickletools`; CVE-2025-10155 to 10157 (scanners that looked for names of modules, and were got around): there is no
//! list here of what is harmless.

/// Reads a file as a program.
pub(super) struct Pickle {
    state: State,
    /// What is on the stack, counted.
    depth: u64,
    /// How deep it was at each mark.
    marks: Vec<u64>,
    has_name: bool,
    is_first: bool,
    said: Said,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Said {
    /// Not yet.
    Nothing,
    /// It is one.
    Yes,
    /// It ended; one if nothing but a line end or another one follows.
    Ended,
    /// It is none.
    No,
}

enum State {
    Opcode,
    /// Behind 0x80 at the beginning: the number of the protocol, and then an opcode.
    Protocol(u8),
    Skip(u64),
    /// Bytes of a length that are still to come, the length so far, and how far to shift the next.
    Length(u8, u64, u32),
    Lines(Lines),
}

struct Lines {
    opcode: u8,
    left: u8,
    length: usize,
    first: u8,
    last: u8,
    is_name: bool,
    is_number: bool,
    /// Behind a NUL: a number ends there for C, whatever follows on its line.
    is_cut: bool,
}

impl Lines {
    fn new(opcode: u8, left: u8) -> Self {
        Self { opcode, left, length: 0, first: 0, last: 0, is_name: true, is_number: true, is_cut: false }
    }

    fn add(&mut self, byte: u8) {
        if self.length == 0 {
            self.first = byte;
        }
        self.last = byte;
        self.length += 1;
        self.is_name &= byte.is_ascii_alphanumeric() || b"_.-<>".contains(&byte) || byte >= 0x80;
        // As lenient as C's `strtol`, which skips blanks and reads other bases.
        self.is_cut |= byte == 0;
        self.is_number &= self.is_cut || byte.is_ascii_alphanumeric() || b"+-._ \t\r\x0b\x0c".contains(&byte);
    }

    /// Whether the line is what its opcode takes.
    fn fits(&self) -> bool {
        match self.opcode {
            b'c' | b'i' => self.is_name && self.length > 0,
            b'S' => self.length >= 2 && self.first == self.last && b"'\"".contains(&self.first),
            b'I' | b'L' | b'F' | b'g' | b'p' => self.is_number && self.length > 0,
            _ => true,
        }
    }
}

/// Most marks that are kept: each is an open list or call.
const MOST_MARKS: usize = 1 << 16;

impl Pickle {
    pub(super) fn new() -> Self {
        Self {
            state: State::Opcode,
            depth: 0,
            marks: Vec::new(),
            has_name: false,
            is_first: true,
            said: Said::Nothing,
        }
    }

    pub(super) fn feed(&mut self, mut bytes: &[u8]) {
        while !self.is_decided() {
            if let State::Skip(left) = self.state {
                let taken = bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                bytes = bytes.get(taken..).unwrap_or_default();
                let left = left - taken as u64;
                if left > 0 {
                    self.state = State::Skip(left);
                    return;
                }
                self.state = State::Opcode;
            }
            let Some((&byte, rest)) = bytes.split_first() else { return };
            bytes = rest;
            self.step(byte);
        }
    }

    /// Whether nothing that follows can change what is said.
    pub(super) fn is_decided(&self) -> bool {
        matches!(self.said, Said::Yes | Said::No)
    }

    /// Whether it is a program that calls something, as far as it was read.
    pub(super) fn is_running(&self) -> bool {
        self.said == Said::Yes
    }

    /// Whether it is a program, now that all of it was read.
    pub(super) fn is_one(&self) -> bool {
        matches!(self.said, Said::Yes | Said::Ended)
    }

    fn step(&mut self, byte: u8) {
        if self.said == Said::Ended {
            if matches!(byte, b'\n' | b'\r') {
                return;
            }
            // The next one: who loads several from a file, as PyTorch of old does, runs it.
            *self = Self::new();
        }
        let fits = match &mut self.state {
            State::Opcode => self.opcode(byte),
            State::Protocol(0) if byte <= 5 => {
                self.state = State::Protocol(1);
                true
            }
            State::Protocol(1) if is_opcode(byte) => {
                self.said = Said::Yes;
                true
            }
            State::Protocol(_) => false,
            State::Skip(_) => true,
            State::Length(left, length, shift) => {
                let length = *length | u64::from(byte).checked_shl(*shift).unwrap_or(0);
                self.state = match *left {
                    1 => State::Skip(length),
                    left => State::Length(left - 1, length, *shift + 8),
                };
                true
            }
            State::Lines(lines) if byte == b'\n' => {
                let fits = lines.fits();
                match lines.left {
                    1 => {
                        let opcode = lines.opcode;
                        self.state = State::Opcode;
                        fits && self.named(opcode)
                    }
                    left => {
                        *lines = Lines::new(lines.opcode, left - 1);
                        fits
                    }
                }
            }
            State::Lines(lines) => {
                lines.add(byte);
                true
            }
        };
        if !fits {
            self.said = Said::No;
        }
    }

    /// Behind the lines of an opcode.
    fn named(&mut self, opcode: u8) -> bool {
        match opcode {
            b'c' => self.has_name = true,
            b'i' => {
                // It calls what it names.
                self.said = if self.marks.is_empty() { Said::No } else { Said::Yes };
                return true;
            }
            b'p' => return self.depth > 0,
            _ => {}
        }
        self.push(1)
    }

    fn opcode(&mut self, byte: u8) -> bool {
        let is_first = std::mem::replace(&mut self.is_first, false);
        match byte {
            0x80 if is_first => self.state = State::Protocol(0),
            0x80 => self.state = State::Skip(1),
            0x95 => self.state = State::Skip(8),
            b'(' => {
                self.marks.push(self.depth);
                if self.marks.len() > MOST_MARKS {
                    // Nobody means that; what stands behind it is not to pass unread.
                    self.said = Said::Yes;
                }
            }
            b'.' => {
                self.said = if self.depth > 0 { Said::Ended } else { Said::No };
            }
            b'0' => return self.pop_or_mark(),
            b'1' => return self.cut_at_mark().is_some(),
            b'2' => return self.depth > 0 && self.push(1),
            b'N' | b'}' | b']' | b')' | 0x88 | 0x89 | 0x8f | 0x97 => return self.push(1),
            b'Q' => return self.take(1),
            b'a' => return self.take(2),
            b's' => return self.take(3),
            b'd' | b'l' | b't' | 0x91 => return self.cut_at_mark().is_some() && self.push(1),
            b'e' | b'u' | 0x90 => return self.cut_at_mark().is_some() && self.depth > 0,
            0x85 | 0x94 | 0x98 => return self.depth > 0,
            0x86 => return self.take(2),
            0x87 => return self.take(3),
            0x93 => {
                self.has_name = true;
                return self.take(2);
            }
            // What follows is called: REDUCE, NEWOBJ, NEWOBJ_EX, BUILD, OBJ.
            b'R' | 0x81 | b'b' => return self.take(2) && self.call(),
            0x92 => return self.take(3) && self.call(),
            b'o' => return self.cut_at_mark().is_some_and(|count| count > 0) && self.push(1) && self.call(),
            b'J' | b'j' | b'G' | b'K' | b'M' | b'h' | 0x82 | 0x83 | 0x84 => {
                self.state = State::Skip(match byte {
                    b'G' => 8,
                    b'J' | b'j' | 0x84 => 4,
                    b'M' | 0x83 => 2,
                    _ => 1,
                });
                self.has_name |= (0x82..=0x84).contains(&byte);
                return self.push(1);
            }
            b'q' | b'r' => {
                self.state = State::Skip(if byte == b'q' { 1 } else { 4 });
                return self.depth > 0;
            }
            b'U' | b'C' | 0x8c | 0x8a => return self.with_length(1),
            b'T' | b'X' | b'B' | 0x8b => return self.with_length(4),
            0x8d | 0x8e | 0x96 => return self.with_length(8),
            b'I' | b'L' | b'F' | b'S' | b'V' | b'g' | b'p' | b'P' => {
                self.state = State::Lines(Lines::new(byte, 1));
            }
            b'c' | b'i' => self.state = State::Lines(Lines::new(byte, 2)),
            _ => return false,
        }
        true
    }

    fn with_length(&mut self, bytes: u8) -> bool {
        self.state = State::Length(bytes, 0, 0);
        self.push(1)
    }

    fn call(&mut self) -> bool {
        if self.has_name {
            self.said = Said::Yes;
        }
        true
    }

    fn push(&mut self, count: u64) -> bool {
        self.depth = self.depth.saturating_add(count);
        true
    }

    /// Takes so many from the stack, above the last mark, and puts one there.
    fn take(&mut self, count: u64) -> bool {
        let floor = self.marks.last().copied().unwrap_or(0);
        if self.depth.saturating_sub(floor) < count {
            return false;
        }
        self.depth = self.depth - count + 1;
        true
    }

    fn pop_or_mark(&mut self) -> bool {
        if self.marks.last() == Some(&self.depth) {
            self.marks.pop();
            return true;
        }
        let is_there = self.depth > 0;
        self.depth = self.depth.saturating_sub(1);
        is_there
    }

    /// Takes all above the last mark, and the mark; gives how many they were.
    fn cut_at_mark(&mut self) -> Option<u64> {
        let floor = self.marks.pop()?;
        let count = self.depth.saturating_sub(floor);
        self.depth = self.depth.min(floor);
        Some(count)
    }
}

fn is_opcode(byte: u8) -> bool {
    b"(.012IJKLMNPQRSTFUVXabcdeghijloprstu}])qGBC".contains(&byte) || (0x80..=0x98).contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::Pickle;

    fn is_one(bytes: &[u8]) -> bool {
        let mut at_once = Pickle::new();
        at_once.feed(bytes);
        let mut bytewise = Pickle::new();
        bytes.chunks(1).for_each(|byte| bytewise.feed(byte));
        assert_eq!(at_once.is_one(), bytewise.is_one());
        at_once.is_one()
    }

    #[test]
    fn a_program_is_known_in_every_protocol_and_a_text_is_none() {
        for program in [
            &b"cos\nsystem\n(S'id'\ntR."[..],
            // What stands behind a call, and whether it ends, is all the same.
            b"cos\nsystem\n(S'id'\ntRhello",
            b"(S'id'\nios\nsystem\n.",
            b"(cos\nsystem\nS'id'\no.",
            b"\x80\x02cos\nsystem\nq\x00U\x02idq\x01\x85q\x02Rq\x03.",
            b"\x80\x04\x95\x1d\0\0\0\0\0\0\0\x8c\x02os\x94\x8c\x06system\x94\x93\x94\x8c\x02id\x94\x85\x94R\x94.",
            b"\x80\x05N.",
            b"(lp0\nI1\na.",
            b"(dp0\nVa\np1\nF1.5\ns.\n",
            b"I01\n.",
            b"I 1\n0cos\nsystem\n(tR.",
            // Python's own reader ends a number at a NUL.
            b"I0\0!x\n0cos\nsystem\n(tR.",
            b"L0\0!x\n0cos\nsystem\n(tR.",
            b"F\0!x\n0cos\nsystem\n(tR.",
            // Several, as PyTorch of old writes and loads them.
            b"L119547037146038801333356L\n.I1001\n.cos\nsystem\n(tR.hello",
            b"N.\x80\x02N.",
            b"N.N.",
            b"Np0\0!x\n0cos\nsystem\n(tR.",
            b"GIF89a\x01\x00\x010cos\nsystem\n(S'id'\ntR.",
            b"]q\x00(K\x01K\x02e.",
        ] {
            assert!(is_one(program), "{}", String::from_utf8_lossy(program));
        }
        let mut deep = vec![b'('; super::MOST_MARKS + 1];
        deep.extend_from_slice(b"cos\nsystem\n(tR.");
        assert!(is_one(&deep));
        for other in [
            &b""[..],
            b"hello",
            b"Some text.\n",
            b"Very well.\nNo more.\n",
            b"(copyright\nof somebody\ntReally)",
            b"cats are\nnice animals\nRight?",
            b"a,b\n1,2\n",
            b"{\"a\": 1}",
            b"\x89PNG\r\n\x1a\n",
            b".",
            b"N.hello",
            b"N.N",
            b"R",
            b"t",
            b"\x80\x80",
        ] {
            assert!(!is_one(other), "{}", String::from_utf8_lossy(other));
        }
    }
}
