//! Reads the head of a part.
//!
//! 1. Lines end in CRLF and are not folded; a name is a token, a value has no control characters and is UTF-8.
//! 2. `Content-Disposition` is there once, is `form-data`, and names each parameter once: `name` always, `filename` for a file.
//! 3. `name*` is refused (RFC 7578 section 4.2), and `filename*` unless it says what `filename` says: see [`filename`].
//! 4. A text in quotation marks is read as browsers write it (WHATWG): a quotation mark is `%22`, a backslash is a backslash. One that stands
//!    before a quotation mark is refused: it ends the text for some readers and not for others.
//! 5. Names are UTF-8 without control characters, at most [`MOST_NAME`] bytes long; a part's name is not empty.
//! 6. `Content-Type` is there once at most, names no nested form, and for a field no character set but UTF-8, or ISO-8859-1, which is what
//!    Apache's HttpClient writes for every field: both tell all of ASCII alike.
//! 7. `Content-Transfer-Encoding` says that nothing is encoded; `Content-Length` is a number.

use super::{FileHead, Flaw, MOST_NAME, filename};

/// Most lines.
const MOST_LINES: usize = 32;

#[derive(Debug, Default)]
pub(super) struct Head {
    pub(super) file: FileHead,
    pub(super) is_file: bool,
    /// Whether the text of a field is ISO-8859-1, and else it is UTF-8.
    pub(super) is_latin: bool,
    /// Of the content, where the head says it.
    pub(super) length: Option<u64>,
}

impl Head {
    pub(super) fn read(head: &[u8]) -> Result<Self, Flaw> {
        let text = std::str::from_utf8(head).map_err(|_| Flaw::Malformed("a head is not UTF-8"))?;
        let mut read = Self::default();
        let mut parameters = None;
        let (mut kind, mut is_encoded) = (None, false);
        for line in text.split("\r\n") {
            let (name, value) = line.split_once(':').ok_or(LINE)?;
            if name.is_empty() || !name.bytes().all(is_token) || value.chars().any(is_control) {
                return Err(LINE);
            }
            let value = value.trim_matches([' ', '\t']);
            let once = |is_there: bool| {
                if is_there { Err(Flaw::Malformed("a line of a head twice")) } else { Ok(()) }
            };
            match name.to_ascii_lowercase().as_str() {
                "content-disposition" => {
                    once(parameters.is_some())?;
                    parameters = Some(Parameters::read(value)?);
                }
                "content-type" => {
                    once(kind.is_some())?;
                    kind = Some(value.to_ascii_lowercase());
                }
                "content-transfer-encoding" => {
                    once(is_encoded)?;
                    is_encoded = true;
                    if !["7bit", "8bit", "binary"].iter().any(|known| value.eq_ignore_ascii_case(known)) {
                        return Err(Flaw::Malformed("a transfer encoding"));
                    }
                }
                "content-length" => {
                    once(read.length.is_some())?;
                    let digits =
                        (1..=18).contains(&value.len()) && value.bytes().all(|byte| byte.is_ascii_digit());
                    read.length = Some(value.parse().ok().filter(|_| digits).ok_or(LINE)?);
                }
                _ => {}
            }
            read.file.fields.push((name.to_owned(), value.to_owned()));
            if read.file.fields.len() > MOST_LINES {
                return Err(Flaw::TooLarge("lines of a head"));
            }
        }
        let parameters = parameters.ok_or(DISPOSITION)?;
        read.file.name = parameters.name.ok_or(Flaw::Malformed("a part without a name"))?;
        read.is_file = parameters.filename.is_some();
        read.file.filename = parameters.filename.unwrap_or_default();
        let kind = kind.unwrap_or_default();
        if kind.starts_with("multipart/") {
            return Err(Flaw::Malformed("a form in a form"));
        }
        // With nothing else behind it, so that there is one way to read it.
        let (_, parameter) = kind.split_once(';').unwrap_or_default();
        read.is_latin =
            matches!(parameter.trim_matches(BLANK), "charset=iso-8859-1" | "charset=\"iso-8859-1\"");
        if !read.is_file && !read.is_latin && !is_utf_8(&kind) {
            return Err(Flaw::Malformed("the character set of a field"));
        }
        Ok(read)
    }
}

const LINE: Flaw = Flaw::Malformed("a line of a head");
const DISPOSITION: Flaw = Flaw::Malformed("a Content-Disposition");

#[derive(Default)]
struct Parameters {
    name: Option<String>,
    filename: Option<String>,
}

impl Parameters {
    fn read(value: &str) -> Result<Self, Flaw> {
        let (kind, mut rest) = value.split_once(';').unwrap_or((value, ""));
        if !kind.trim_end_matches(BLANK).eq_ignore_ascii_case("form-data") {
            return Err(DISPOSITION);
        }
        let mut read = Self::default();
        let mut others: Vec<String> = Vec::new();
        let mut extended = None;
        loop {
            rest = rest.trim_start_matches(BLANK);
            if rest.is_empty() {
                break;
            }
            let (name, after) = rest.split_once('=').ok_or(DISPOSITION)?;
            let name = name.to_ascii_lowercase();
            // A star in a name: see above.
            let is_plain = name.bytes().all(|byte| is_token(byte) && byte != b'*');
            if name.is_empty() || !(is_plain || name == "filename*") {
                return Err(DISPOSITION);
            }
            let (text, after) = match after.strip_prefix('"') {
                Some(quoted) => {
                    let (text, after) = quoted.split_once('"').ok_or(DISPOSITION)?;
                    if text.ends_with('\\') {
                        return Err(Flaw::Malformed("a quotation mark behind a backslash"));
                    }
                    (text.replace("%22", "\""), after)
                }
                None => {
                    let (text, after) = after.split_at(after.find([';', ' ', '\t']).unwrap_or(after.len()));
                    if text.is_empty() || !text.bytes().all(is_token) {
                        return Err(DISPOSITION);
                    }
                    (text.to_owned(), after)
                }
            };
            let after = after.trim_start_matches(BLANK);
            rest = match after.strip_prefix(';') {
                Some(rest) => rest,
                None if after.is_empty() => after,
                None => return Err(DISPOSITION),
            };
            let is_twice = match name.as_str() {
                "name" => read.name.replace(text_of(text, true)?).is_some(),
                "filename" => read.filename.replace(text_of(text, false)?).is_some(),
                "filename*" => extended.replace(text).is_some(),
                _ if others.contains(&name) || others.len() >= 8 => true,
                _ => {
                    others.push(name);
                    false
                }
            };
            if is_twice {
                return Err(Flaw::Malformed("a parameter twice"));
            }
        }
        if let Some(extended) = extended {
            let plain = read.filename.as_deref().ok_or(DISPOSITION)?;
            let name = filename::same(plain, &extended).ok_or(Flaw::Malformed("a file name in two ways"))?;
            read.filename = Some(text_of(name, false)?);
        }
        Ok(read)
    }
}

fn text_of(text: String, is_name: bool) -> Result<String, Flaw> {
    if text.len() > MOST_NAME {
        return Err(Flaw::TooLarge("a name"));
    }
    if (is_name && text.is_empty()) || text.chars().any(char::is_control) {
        return Err(Flaw::Malformed("a name"));
    }
    Ok(text)
}

/// Whether what is of this type is read as what it says. `kind` is in small letters.
fn is_utf_8(kind: &str) -> bool {
    kind.split(';').skip(1).all(|parameter| {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        let value = value.trim_matches([' ', '\t', '"']);
        // One in pieces, as RFC 2231 has it, may say anything.
        !name.trim_matches(BLANK).starts_with("charset")
            || (name.trim_matches(BLANK) == "charset"
                && matches!(value, "utf-8" | "utf8" | "us-ascii" | "ascii"))
    })
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// In the value of a line, which may have tabs in it.
fn is_control(character: char) -> bool {
    character.is_control() && character != '\t'
}

const BLANK: [char; 2] = [' ', '\t'];
