//! Where a definition (`[label]: address`) may be: its label begins with its line (CommonMark §4.7).
//!
//! Before it may stand what begins a quote, a list or a task. Where that cannot be told, it may be one: `x[1]: y` is none.

/// What is known of the line that is written, and of the label that began with one.
pub(super) struct Lines {
    /// Whether the line has only what may stand before a definition.
    start: bool,
    label: Label,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Label {
    No,
    Maybe,
    /// With a backslash in it: its `]` may not be its end.
    Unsure,
}

impl Default for Lines {
    fn default() -> Self {
        Self { start: true, label: Label::No }
    }
}

impl Lines {
    /// Whether a `]:` ends the label of a definition.
    pub(super) fn may_define(&self) -> bool {
        self.label != Label::No
    }

    /// A `[` stands here.
    pub(super) fn opened(&mut self) {
        if self.start {
            self.label = Label::Maybe;
        }
    }

    /// Behind a `]` stands something other than `:`.
    pub(super) fn closed(&mut self) {
        if self.label == Label::Maybe {
            self.label = Label::No;
        }
    }

    /// A paragraph is over, or its definition has begun.
    pub(super) fn over(&mut self) {
        self.label = Label::No;
    }

    /// What is written now is no part of what may stand before a definition.
    pub(super) fn said(&mut self) {
        self.start = false;
    }

    /// *c* was written behind *last*.
    pub(super) fn wrote(&mut self, last: char, c: char) {
        if c == '\\' && self.label == Label::Maybe {
            self.label = Label::Unsure;
        }
        self.start = ends_line(c) || (self.start && is_marker(last, c));
    }

    /// *text* was written behind *last*, all at once.
    pub(super) fn passed(&mut self, last: char, text: &str) {
        if self.label == Label::Maybe && text.contains('\\') {
            self.label = Label::Unsure;
        }
        // The bytes that ends of lines have, and few others: most texts have none of these.
        let ends = text.bytes().any(|byte| matches!(byte, b'\n'..=b'\r' | 0xc2 | 0xe2));
        let line = match ends.then(|| text.rfind(ends_line)).flatten() {
            Some(at) => text.get(at..).unwrap_or_default(),
            None if self.start => text,
            None => return,
        };
        let mut last = last;
        self.start = line.chars().all(|c| is_marker(std::mem::replace(&mut last, c), c));
    }
}

/// What ends a line to some reader.
fn ends_line(c: char) -> bool {
    matches!(c, '\n' | '\x0b' | '\x0c' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// What may stand before a definition: blanks, and what begins quotes, lists and tasks (`[x]`).
fn is_marker(last: char, c: char) -> bool {
    c.is_whitespace()
        || c.is_ascii_digit()
        || matches!(c, '>' | '-' | '*' | '+' | '.' | ')' | ':' | '~' | '[' | ']')
        || (last == '[' && matches!(c, 'x' | 'X'))
}
