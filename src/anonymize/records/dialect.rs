//! How a table is written, and where its records and fields end.
//!
//! Records are cut by the automaton that reads them (`csv-core`), so that what is cut is what is read: as Python's `csv`, pandas and
//! Arrow cut it.
//!
//! 1. A quotation mark at the start of a field opens it; inside of one that is not quoted, it is a letter.
//! 2. Two of them in a quoted field are one letter; a single one closes it. Then the field ends, or the record, or the file.
//! 3. What else stands behind it ([`Dialect::behind`]) is no CSV (RFC 4180 section 2). Readers disagree on it in strict and lenient modes; it
//!    is what is seen where an open quotation mark took other records into its field, and a later field's has closed it.

use std::borrow::Cow;
use std::io::Read;

use super::fault::Fault;

/// How a table is written.
#[derive(Clone, Copy)]
pub struct Dialect {
    /// Between fields.
    pub delimiter: u8,
    /// Around fields that need it.
    pub quote: u8,
    /// Whether records end with CR LF, in what is written; both are read.
    pub crlf: bool,
    /// What makes a text of a cell that a spreadsheet would compute; all fields are quoted then.
    pub safe: Option<fn(&str) -> Cow<'_, str>>,
}

impl Dialect {
    pub(super) fn reader<'d>(&self, data: &'d [u8]) -> csv::Reader<impl Read + 'd> {
        // A line end first: at the very start, the reader would take a byte order mark off, which is a letter in the
        // middle of a file.
        csv::ReaderBuilder::new()
            .delimiter(self.delimiter)
            .quote(self.quote)
            .has_headers(false)
            .flexible(true)
            .from_reader((b"\n" as &[u8]).chain(data))
    }

    pub(super) fn writer(&self, out: Vec<u8>) -> csv::Writer<Vec<u8>> {
        csv::WriterBuilder::new()
            .delimiter(self.delimiter)
            .quote(self.quote)
            .terminator(if self.crlf { csv::Terminator::CRLF } else { csv::Terminator::Any(b'\n') })
            .quote_style(if self.safe.is_some() {
                csv::QuoteStyle::Always
            } else {
                csv::QuoteStyle::Necessary
            })
            .flexible(true)
            .from_writer(out)
    }

    /// The fields of the first record.
    ///
    /// # Errors
    /// If they are not UTF-8, text is behind a closing quotation mark, or there is none.
    pub fn head(&self, data: &[u8]) -> Result<Vec<String>, Fault> {
        if self.behind(data).is_some() {
            return Err(Fault::Behind);
        }
        let mut record = csv::StringRecord::new();
        match self.reader(data).read_record(&mut record) {
            Ok(true) => Ok(record.iter().map(str::to_owned).collect()),
            Ok(false) => Err(Fault::Fields),
            Err(_) => Err(Fault::Utf8),
        }
    }
}

/// Text where a field should have ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Behind {
    /// Where it begins, in bytes.
    pub at: usize,
    /// Which field it is in, from 0.
    pub field: usize,
}

impl Dialect {
    /// The first text that stands directly behind the quotation mark that closes a field of this one record.
    pub(super) fn behind(&self, record: &[u8]) -> Option<Behind> {
        let letter = |at: usize| record.get(at).copied();
        let find = |from: usize, is: &dyn Fn(&[u8]) -> Option<usize>| {
            record.get(from..).and_then(is).map(|further| from + further)
        };
        memchr::memchr(self.quote, record)?;
        // Line ends before it are of the record before, or of nothing.
        let mut at = record.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        let mut field = 0;
        loop {
            if letter(at) == Some(self.quote) {
                at += 1;
                loop {
                    at = find(at, &|rest| memchr::memchr(self.quote, rest))? + 1;
                    if letter(at) != Some(self.quote) {
                        break;
                    }
                    at += 1;
                }
                match letter(at) {
                    None | Some(b'\r' | b'\n') => return None,
                    Some(letter) if letter == self.delimiter => {}
                    Some(_) => return Some(Behind { at, field }),
                }
            } else {
                at = find(at, &|rest| memchr::memchr3(self.delimiter, b'\r', b'\n', rest))?;
                if letter(at) != Some(self.delimiter) {
                    return None;
                }
            }
            at += 1;
            field += 1;
        }
    }
}

/// Finds where records end.
pub struct Cutter(Dialect);

impl Cutter {
    /// For this dialect.
    pub fn new(dialect: Dialect) -> Self {
        Self(dialect)
    }

    /// How many bytes of *data*, which begin a record, are whole records; at most *most* records.
    pub fn cut(&self, data: &[u8], most: u64) -> usize {
        let mut core = csv_core::ReaderBuilder::new().delimiter(self.0.delimiter).quote(self.0.quote).build();
        let (mut fields, mut ends) = (vec![0; 8192], vec![0; 512]);
        // As in `Dialect::reader`.
        core.read_record(b"\n", &mut fields, &mut ends);
        let (mut at, mut whole, mut records) = (0, 0, 0);
        while records < most {
            let rest = data.get(at..).unwrap_or_default();
            if rest.is_empty() {
                break;
            }
            let (result, read, _, _) = core.read_record(rest, &mut fields, &mut ends);
            at += read;
            match result {
                csv_core::ReadRecordResult::Record => {
                    records += 1;
                    // What ends with CR may go on with LF, which belongs to it.
                    let pair = data.get(at.saturating_sub(1)) == Some(&b'\r') && data.get(at) == Some(&b'\n');
                    if data.get(at.saturating_sub(1)) != Some(&b'\r') || at < data.len() {
                        whole = at + usize::from(pair);
                    }
                }
                csv_core::ReadRecordResult::InputEmpty | csv_core::ReadRecordResult::End => break,
                csv_core::ReadRecordResult::OutputFull | csv_core::ReadRecordResult::OutputEndsFull => {}
            }
        }
        whole
    }
}
