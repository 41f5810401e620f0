//! Takes a form apart that was sent as `multipart/form-data`, as its bytes come in.
//!
//! 1. The boundary is 1 to 100 characters of RFC 2046's or of a token, named once in the content type: [`boundary`].
//! 2. The form is exactly: a delimiter, parts with a delimiter between each two, the closing delimiter. A line end before all of it and one
//!    behind it may be there; anything else around it is refused, as is a form that ends too early.
//! 3. A delimiter stands at the beginning of a line. A line that only begins as one, and one behind a bare CR or LF, are refused: there are
//!    readers who take them for delimiters, and readers who do not.
//! 4. The head of a part is lines of `name: value` that end in CRLF and name the part once: [`head`].
//! 5. A part with a file name is a file; any other is a field, which is text: UTF-8, unless it says that it is ISO-8859-1.
//! 6. Each bound is inclusive: parts, fields, files; bytes of a head, a name, a field, a file.
//!
//! How the bytes are cut into pieces changes nothing, and the work is linear in them.
//!
//! It does not store files, undo transfer encodings or nested `multipart/mixed` (RFC 7578 sections 4.3 and 4.7): such parts are refused.
//! Transport padding behind a delimiter (RFC 2046 section 5.1.1) is refused: nothing that speaks HTTP writes it.
//!
//! Sources: RFC 7578, RFC 2046 section 5.1, WHATWG HTML "multipart form data"; GHSA-q34m-jh98-gwm2 and GHSA-xg9f-g7g7-2323 (parsers that
//! buffered or searched without a bound).

mod boundary;
mod filename;
mod head;

use std::borrow::Cow;

use memchr::memmem;

pub use self::boundary::boundary;
use self::head::Head;

/// How much a form may hold.
#[derive(Debug, Clone, Copy)]
pub struct FormBounds {
    /// Most parts.
    pub parts: usize,
    /// Most fields.
    pub fields: usize,
    /// Most files.
    pub files: usize,
    /// Longest field, in bytes.
    pub field: usize,
    /// Longest file, in bytes.
    pub file: u64,
}

/// Longest head of a part, in bytes.
const MOST_HEAD: usize = 8 * 1024;
/// Longest name of a part or file, in bytes.
pub(super) const MOST_NAME: usize = 1024;

/// Why a form is not read. It holds nothing of the form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    /// It is not well formed; what is wrong, for the log.
    Malformed(&'static str),
    /// It is beyond a bound; which one, for the log.
    TooLarge(&'static str),
}

/// What a form has said.
#[derive(Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// A field, whole.
    Field(&'a str, &'a str),
    /// A file begins.
    File(&'a FileHead),
    /// A piece of the file that has begun; never empty.
    Data(&'a [u8]),
    /// The file is whole.
    FileEnd,
}

/// What the head of a file says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FileHead {
    /// Of the field.
    pub name: String,
    /// As the peer calls it; empty if a form was sent without choosing a file.
    pub filename: String,
    /// All fields of the head, in their order.
    pub fields: Vec<(String, String)>,
}

/// Why a form was not read further: its flaw, or what the receiver of its events says.
#[derive(Debug, PartialEq, Eq)]
pub enum Stop<E> {
    /// The peer's fault.
    Flaw(Flaw),
    /// The receiver's own.
    Receiver(E),
}

impl<E> From<Flaw> for Stop<E> {
    fn from(flaw: Flaw) -> Self {
        Self::Flaw(flaw)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before the first delimiter.
    Start,
    /// Behind a delimiter.
    Line,
    /// In a head.
    Head,
    /// In what a part holds.
    Content,
    /// Behind the closing delimiter.
    Closed,
    /// Behind the line end after it.
    Ended,
    /// Refused.
    Broken(Flaw),
}

/// Reads one form.
pub struct Multipart {
    bounds: FormBounds,
    finder: memmem::Finder<'static>,
    state: State,
    /// What is not decided yet: a head, or less than a delimiter with the line end before it.
    held: Vec<u8>,
    /// Up to where the end of a head was looked for.
    looked: usize,
    /// Whether nothing of the part's content was passed on.
    fresh: bool,
    head: Head,
    value: Vec<u8>,
    size: u64,
    fields: usize,
    files: usize,
}

impl Multipart {
    /// A form whose parts this boundary divides: see [`boundary`].
    pub fn new(boundary: &str, bounds: FormBounds) -> Self {
        let delimiter = format!("--{boundary}");
        Self {
            bounds,
            finder: memmem::Finder::new(delimiter.as_bytes()).into_owned(),
            state: State::Start,
            held: Vec::new(),
            looked: 0,
            fresh: true,
            head: Head::default(),
            value: Vec::new(),
            size: 0,
            fields: 0,
            files: 0,
        }
    }

    /// Reads the next bytes, and tells what they say.
    ///
    /// # Errors
    /// [`Stop::Flaw`], and the same for all that follows; what `tell` says.
    pub fn feed<E>(
        &mut self,
        bytes: &[u8],
        mut tell: impl FnMut(Event<'_>) -> Result<(), E>,
    ) -> Result<(), Stop<E>> {
        if let State::Broken(flaw) = self.state {
            return Err(flaw.into());
        }
        let mut held = std::mem::take(&mut self.held);
        held.extend_from_slice(bytes);
        let mut at = 0;
        let outcome = loop {
            match self.step(held.get(at..).unwrap_or_default(), &mut tell) {
                Ok(Some(taken)) => at += taken,
                Ok(None) => break Ok(()),
                Err(stop) => break Err(stop),
            }
        };
        // What a step leaves is shorter than a head, or than a delimiter: moving it costs a constant for each call.
        let spared = self.spared(held.len() - at);
        if outcome.is_ok() && spared > 0 {
            let content = held.get(at..at + spared).unwrap_or_default();
            if let Err(stop) = self.content(content, &mut tell) {
                return Err(self.broken(stop));
            }
            at += spared;
        }
        held.drain(..at);
        self.held = held;
        outcome.map_err(|stop| self.broken(stop))
    }

    /// The form has ended.
    ///
    /// # Errors
    /// A [`Flaw`] if it has not.
    pub fn finish(&mut self) -> Result<(), Flaw> {
        match self.state {
            State::Closed | State::Ended if self.held.is_empty() => Ok(()),
            State::Broken(flaw) => Err(flaw),
            _ => Err(Flaw::Malformed("it ends before its closing boundary")),
        }
    }

    fn broken<E>(&mut self, stop: Stop<E>) -> Stop<E> {
        let flaw = match &stop {
            Stop::Flaw(flaw) => *flaw,
            Stop::Receiver(_) => Flaw::Malformed("it was given up"),
        };
        self.state = State::Broken(flaw);
        stop
    }

    fn delimiter(&self) -> &[u8] {
        self.finder.needle()
    }

    /// How much of `length` undecided bytes of content cannot be the beginning of a delimiter, nor the line end before one.
    fn spared(&self, length: usize) -> usize {
        if self.state == State::Content { length.saturating_sub(self.delimiter().len() + 1) } else { 0 }
    }

    /// Takes the next step; gives how many bytes it took, or nothing if it needs more.
    fn step<E>(
        &mut self,
        rest: &[u8],
        tell: &mut impl FnMut(Event<'_>) -> Result<(), E>,
    ) -> Result<Option<usize>, Stop<E>> {
        match self.state {
            State::Start => self.start(rest).map_err(Stop::Flaw),
            State::Line => self.line(rest).map_err(Stop::Flaw),
            State::Head => self.begin(rest, tell),
            State::Content => self.next_delimiter(rest, tell),
            State::Closed if matches!(rest, b"" | b"\r") => Ok(None),
            State::Closed if rest == b"\r\n" => {
                self.state = State::Ended;
                Ok(Some(2))
            }
            State::Ended if rest.is_empty() => Ok(None),
            State::Closed | State::Ended => Err(Flaw::Malformed("something stands behind it").into()),
            State::Broken(flaw) => Err(flaw.into()),
        }
    }

    fn start(&mut self, rest: &[u8]) -> Result<Option<usize>, Flaw> {
        let delimiter = self.delimiter();
        // Some clients write a line end before the first delimiter as before all others.
        let skipped = if rest.first() == Some(&b'\r') { 2 } else { 0 };
        let expected = b"\r\n".iter().take(skipped).chain(delimiter);
        if rest.iter().zip(expected).any(|(one, other)| one != other) {
            return Err(Flaw::Malformed("something stands before its first boundary"));
        }
        let length = skipped + delimiter.len();
        if rest.len() < length {
            return Ok(None);
        }
        self.state = State::Line;
        Ok(Some(length))
    }

    fn line(&mut self, rest: &[u8]) -> Result<Option<usize>, Flaw> {
        match rest.get(..2) {
            Some(b"\r\n") => self.state = State::Head,
            Some(b"--") => self.state = State::Closed,
            Some(_) => return Err(Flaw::Malformed("a line begins with its boundary and goes on")),
            None => return Ok(None),
        }
        self.looked = 0;
        Ok(Some(2))
    }

    fn begin<E>(
        &mut self,
        rest: &[u8],
        tell: &mut impl FnMut(Event<'_>) -> Result<(), E>,
    ) -> Result<Option<usize>, Stop<E>> {
        let from = self.looked.saturating_sub(3);
        let end = memmem::find(rest.get(from..).unwrap_or_default(), b"\r\n\r\n").map(|at| from + at);
        self.looked = rest.len();
        let Some(end) = end.filter(|&end| end <= MOST_HEAD) else {
            return if end.is_some() || rest.len() > MOST_HEAD + 3 {
                Err(Flaw::TooLarge("the head of a part").into())
            } else {
                Ok(None)
            };
        };
        self.head = Head::read(rest.get(..end).unwrap_or_default())?;
        (self.size, self.fresh) = (0, true);
        self.value.clear();
        if self.fields + self.files >= self.bounds.parts {
            return Err(Flaw::TooLarge("parts").into());
        }
        if self.head.is_file {
            self.files += 1;
            if self.files > self.bounds.files {
                return Err(Flaw::TooLarge("files").into());
            }
            tell(Event::File(&self.head.file)).map_err(Stop::Receiver)?;
        } else {
            self.fields += 1;
            if self.fields > self.bounds.fields {
                return Err(Flaw::TooLarge("fields").into());
            }
        }
        self.state = State::Content;
        Ok(Some(end + 4))
    }

    fn next_delimiter<E>(
        &mut self,
        rest: &[u8],
        tell: &mut impl FnMut(Event<'_>) -> Result<(), E>,
    ) -> Result<Option<usize>, Stop<E>> {
        let mut from = 0;
        while let Some(found) = self.finder.find(rest.get(from..).unwrap_or_default()) {
            let at = from + found;
            let before = rest.get(..at).unwrap_or_default();
            let content = match before {
                // The blank line behind the head is the delimiter's own (RFC 2046: a part may have no body).
                [] if self.fresh => before,
                [content @ .., b'\r', b'\n'] => content,
                [.., b'\r' | b'\n'] => {
                    // Counted first, as it is where the form comes in pieces.
                    self.content(before, tell)?;
                    return Err(Flaw::Malformed("a boundary behind a bare CR or LF").into());
                }
                _ => {
                    // The next one is at the beginning of a line, or none: a content of all but boundaries costs no search for each.
                    let behind = rest.get(at + 1..).unwrap_or_default();
                    let Some(end) = memchr::memchr2(b'\r', b'\n', behind) else { break };
                    from = at + 1 + end;
                    continue;
                }
            };
            self.content(content, tell)?;
            self.end(tell)?;
            self.state = State::Line;
            return Ok(Some(at + self.delimiter().len()));
        }
        Ok(None)
    }

    fn content<E>(
        &mut self,
        content: &[u8],
        tell: &mut impl FnMut(Event<'_>) -> Result<(), E>,
    ) -> Result<(), Stop<E>> {
        if content.is_empty() {
            return Ok(());
        }
        self.fresh = false;
        self.size += content.len() as u64;
        if self.head.is_file {
            if self.size > self.bounds.file {
                return Err(Flaw::TooLarge("a file").into());
            }
            return tell(Event::Data(content)).map_err(Stop::Receiver);
        }
        if self.size > self.bounds.field as u64 {
            return Err(Flaw::TooLarge("a field").into());
        }
        self.value.extend_from_slice(content);
        Ok(())
    }

    fn end<E>(&mut self, tell: &mut impl FnMut(Event<'_>) -> Result<(), E>) -> Result<(), Stop<E>> {
        // Some readers take this many bytes, whatever the boundary says.
        if self.head.length.is_some_and(|length| length != self.size) {
            return Err(Flaw::Malformed("a part is not as long as its head says").into());
        }
        if self.head.is_file {
            return tell(Event::FileEnd).map_err(Stop::Receiver);
        }
        let text = if self.head.is_latin {
            Cow::Owned(self.value.iter().map(|&byte| char::from(byte)).collect())
        } else {
            let text = std::str::from_utf8(&self.value);
            Cow::Borrowed(text.map_err(|_| Flaw::Malformed("a field is not UTF-8"))?)
        };
        let name = &self.head.file.name;
        // RFC 7578 section 4.6: it would change how the other fields are read.
        if name == "_charset_" && !text.eq_ignore_ascii_case("utf-8") {
            return Err(Flaw::Malformed("_charset_ is not UTF-8").into());
        }
        tell(Event::Field(name, &text)).map_err(Stop::Receiver)
    }
}

#[cfg(test)]
mod tests;
