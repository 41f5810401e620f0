//! Finds, in one branch-free pass, the few bytes of a text that are worth a closer look.
//!
//! Three kinds are marked: *signs* (`=`, `:`, `@`, `%`, `>`, `(`, `[`, a backslash, what a full-width sign begins with, and the
//! second dash of an option), which stand between a name and its value, in an e-mail address or in a URL; the *start of a run* of at least 13 digits, blanks and dashes,
//! where a card number may be; and the *start of a long word*: at least 15 letters, digits, `_` and `-`, after
//! no letter and no digit, where a token may start. Every provider's token is such a word, and few others are:
//! so the number of kinds costs nothing (`prefixes.rs`). The pass classifies 64 bytes at a time into bit masks; the
//! compiler turns the loop into vector instructions, so there is no `unsafe` and no processor-specific code.
//!
//! It decides nothing: whoever looks at a mark decides.

/// The shortest card number, and so the shortest run that is marked.
const RUN: u32 = 13;

/// The shortest word that is marked.
pub(super) const WORD: usize = 15;

const BLOCK: usize = 64;

/// What stands at a marked position.
///
/// In the order in which they are marked at one place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Mark {
    /// One of `=`, `:`, `@`, `%`, `>`, `(`, `[`, a backslash, `--`, or the first byte of a full-width sign.
    Sign,
    /// The first byte of a run of at least 13 digits, blanks and dashes.
    Digits,
    /// The first byte of at least 15 letters, digits, `_` and `-`, after no letter and no digit.
    Word,
}

/// The marks of a text, from left to right.
pub(super) struct Marks<'t> {
    text: &'t [u8],
    /// Where the current block starts.
    base: usize,
    signs: u64,
    runs: u64,
    words: u64,
    /// Classes of the block after the current one: a run is known only when its 13th byte is seen.
    next: Classes,
    /// Whether the position before the current block already belongs to a marked run.
    carry: u64,
    /// Whether the position before the current block is a letter or a digit.
    letter: u64,
    /// Whether it is a joint.
    joint: u64,
}

#[derive(Clone, Copy, Default)]
struct Classes {
    signs: u64,
    digits: u64,
    /// Letters and digits.
    alnum: u64,
    /// `_` and `-`.
    joints: u64,
}

impl<'t> Marks<'t> {
    /// The marks of *text* at and after *base*.
    pub(super) fn from(text: &'t [u8], base: usize) -> Self {
        let next = Classes::default();
        let mut marks = Self { text, base, signs: 0, runs: 0, words: 0, next, carry: 0, letter: 0, joint: 0 };
        if let Some(before) = base.checked_sub(1).and_then(|i| text.get(i)) {
            marks.letter = u64::from(before.is_ascii_alphanumeric());
            marks.joint = u64::from(matches!(before, b'-' | b'_'));
            let rest = text.get(base - 1..base - 1 + RUN as usize);
            marks.carry = u64::from(rest.is_some_and(|rest| rest.iter().all(|b| is_digit(*b))));
        }
        let first = marks.classes(base);
        marks.load(first);
        marks
    }

    /// The next mark, or none when the text is used up.
    #[inline]
    pub(super) fn next(&mut self) -> Option<(usize, Mark)> {
        while self.signs | self.runs | self.words == 0 {
            self.base += BLOCK;
            if self.base >= self.text.len() {
                return None;
            }
            self.load(self.next);
        }
        let bit = (self.signs | self.runs | self.words).trailing_zeros();
        let single = 1 << bit;
        // A sign is no part of a run or a word; a run and a word may start together.
        let (mark, mask) = if self.signs & single != 0 {
            (Mark::Sign, &mut self.signs)
        } else if self.runs & single != 0 {
            (Mark::Digits, &mut self.runs)
        } else {
            (Mark::Word, &mut self.words)
        };
        *mask &= !single;
        Some((self.base + bit as usize, mark))
    }

    fn load(&mut self, current: Classes) {
        self.next = self.classes(self.base + BLOCK);
        // The second dash of an option: a joint after a joint and before a letter.
        let joints = current.joints;
        let letters = current.alnum >> 1 | self.next.alnum << 63;
        self.signs = current.signs | (joints & (joints << 1 | self.joint) & letters);
        self.joint = joints >> 63;
        // Bit i of `run` stays set while bits i..i+13 are all set.
        let wide = u128::from(current.digits) | u128::from(self.next.digits) << BLOCK;
        let mut run = wide & (wide >> 1);
        run &= run >> 2;
        run &= run >> 4;
        run &= run >> (RUN - 8);
        let run = run as u64;
        self.runs = run & !(run << 1 | self.carry);
        self.carry = run >> 63;
        // Bit i stays set while bits i..i+15 are all set.
        let wide = u128::from(current.alnum | current.joints)
            | u128::from(self.next.alnum | self.next.joints) << BLOCK;
        let mut word = wide & (wide >> 1);
        word &= word >> 2;
        word &= word >> 4;
        word &= word >> (WORD - 8);
        self.words = word as u64 & !(current.alnum << 1 | self.letter);
        self.letter = current.alnum >> 63;
    }

    fn classes(&self, base: usize) -> Classes {
        let Some(rest) = self.text.get(base..) else { return Classes::default() };
        match rest.first_chunk::<BLOCK>() {
            Some(block) => classify(block),
            None if rest.is_empty() => Classes::default(),
            None => {
                let mut padded = [0; BLOCK];
                padded[..rest.len()].copy_from_slice(rest);
                classify(&padded)
            }
        }
    }
}

/// Up to where the marks of a text are known that goes on: a run or a word that it ends with may become long enough.
pub(super) fn known(text: &[u8]) -> usize {
    let open = |most: usize, within: fn(u8) -> bool| {
        let run = text.iter().rev().take(most - 1).take_while(|b| within(**b)).count();
        text.len() - run
    };
    open(RUN as usize, is_digit).min(open(WORD, super::text::base64url))
}

/// Digits, and what separates groups of them.
fn is_digit(byte: u8) -> bool {
    byte.is_ascii_digit() || byte == b' ' || byte == b'-'
}

/// Whether a byte is one of the signs.
#[inline]
pub(super) fn is_sign(byte: u8) -> bool {
    (byte == b'=')
        | (byte == b':')
        | (byte == b'@')
        | (byte == b'%')
        | (byte == b'>')
        | (byte == b'(')
        | (byte.wrapping_sub(b'[') < 2)
        | (byte == 0xEF)
}

#[inline]
fn classify(block: &[u8; BLOCK]) -> Classes {
    let mut marked = [0u8; BLOCK];
    for (mark, &byte) in marked.iter_mut().zip(block) {
        let number = byte.wrapping_sub(b'0') < 10;
        let dash = byte == b'-';
        let digit = number | (byte == b' ') | dash;
        let alnum = number | ((byte | 0x20).wrapping_sub(b'a') < 26);
        let joint = dash | (byte == b'_');
        *mark = u8::from(is_sign(byte)) | u8::from(digit) << 1 | u8::from(alnum) << 2 | u8::from(joint) << 3;
    }
    let mut classes = Classes::default();
    for (i, word) in marked.as_chunks::<8>().0.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        classes.signs |= gather(word & LOW) << (8 * i);
        classes.digits |= gather(word >> 1 & LOW) << (8 * i);
        classes.alnum |= gather(word >> 2 & LOW) << (8 * i);
        classes.joints |= gather(word >> 3 & LOW) << (8 * i);
    }
    classes
}

/// The lowest bit of each of eight bytes, as eight bits.
#[inline]
pub(super) fn gather(word: u64) -> u64 {
    word.wrapping_mul(0x0102_0408_1020_4080) >> 56
}

/// The lowest bit of each byte.
pub(super) const LOW: u64 = 0x0101_0101_0101_0101;

#[cfg(test)]
mod tests {
    use super::*;

    fn plainly(text: &[u8]) -> Vec<(usize, Mark)> {
        let digit = |i: usize| matches!(text.get(i), Some(b'0'..=b'9' | b' ' | b'-'));
        let long = |i: usize| (i..i + 13).all(digit);
        let word =
            |i: usize| matches!(text.get(i), Some(b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' | b'_' | b'-'));
        let marks = |i: usize| {
            let joint = |i: usize| matches!(text[i], b'-' | b'_');
            let option =
                i > 0 && joint(i - 1) && joint(i) && text.get(i + 1).is_some_and(u8::is_ascii_alphanumeric);
            let sign = (b"=:@%>([\\\xEF".contains(&text[i]) || option).then_some(Mark::Sign);
            let digits = (long(i) && (i == 0 || !long(i - 1))).then_some(Mark::Digits);
            let starts = (i..i + WORD).all(word) && (i == 0 || !text[i - 1].is_ascii_alphanumeric());
            [sign, digits, starts.then_some(Mark::Word)].into_iter().flatten().map(move |mark| (i, mark))
        };
        (0..text.len()).flat_map(marks).collect()
    }

    #[test]
    fn the_masks_mark_what_a_plain_loop_marks_at_every_block_boundary() {
        let mut state = 7u32;
        for length in (0..300).chain([1000, 4096]) {
            let kinds = if length % 2 == 0 { 31 } else { 43 };
            let text: Vec<u8> = (0..length)
                .map(|_| {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    b"0123456789 -0123456789 -a:=>(\\',Z\xEF_-09A-b_C1"[(state >> 20) as usize % kinds]
                })
                .collect();
            let mut marks = Marks::from(&text, 0);
            let found: Vec<_> = std::iter::from_fn(|| marks.next()).collect();
            assert_eq!(found, plainly(&text));
        }
    }
}
