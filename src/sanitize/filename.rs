//! Decides under which name a file may be kept that a peer named.
//!
//! In this order:
//! 1. compatibility forms become plain ones (NFKC): a full-width `/` and the `¹` of `COM¹` are what file systems and
//!    Windows' best-fit mapping take them for; what is not seen goes, so that `gpj.exe` stays `gpj.exe` in any direction;
//! 2. of several components, divided as by Unix or Windows, the last one is the name;
//! 3. what a file system reserves (`: * ? " < > |`, so also NTFS streams), and what looks or maps like a separator,
//!    becomes `_`; blanks become one space each;
//! 4. dots, dashes of all kinds, tildes and blanks at the start go (hidden files, options of commands, homes of users), dots and blanks at the end
//!    (Windows drops them: `a.php.` is `a.php`);
//! 5. a name of a Windows device, with any extension, gets a `_` before it;
//! 6. what is longer than the limit is cut before its extension;
//! 7. if nothing is left, the fallback is the name.
//!
//! # What it does not do
//! It does not judge the extension, nor make names unique, nor undo percent-encoding (`%2e%2e%2f` is a harmless name,
//! as long as nobody decodes it later). Letters of all scripts stay.
//!
//! Sources: CWE-22, CWE-41, CWE-66 (devices), CWE-69 (streams), CWE-451; MITRE T1036.002 (right-to-left override);
//! Microsoft, "Naming Files, Paths, and Namespaces"; ASVS 5.0 V5.3.

use unicode_normalization::UnicodeNormalization;

use super::text::{Form, normalised, sifted};
use crate::characters::is_dash;
use crate::error::ConfigError;

/// How names are made: the fallback and the limit, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    fallback: String,
    limit: usize,
}

impl Names {
    /// Names of at most *limit* bytes in UTF-8, and *fallback* where there is none.
    ///
    /// # Errors
    /// If *limit* is below 32 or above 255, or *fallback* is not such a name itself.
    pub fn new(fallback: &str, limit: usize) -> Result<Self, ConfigError> {
        if !(32..=255).contains(&limit) {
            return Err(ConfigError::new(format!("limit is {limit}: names are 32 to 255 bytes long")));
        }
        match name_of(fallback, limit) {
            Some(name) if name == fallback => Ok(Self { fallback: name, limit }),
            Some(name) => Err(ConfigError::new(format!(
                "fallback {fallback:?} is no safe name. Did you mean {name:?}?"
            ))),
            None => {
                Err(ConfigError::new(format!("fallback {fallback:?} is no safe name, and nothing of it is")))
            }
        }
    }
}

/// The name under which a file may be kept that a peer calls *name*.
pub fn safe_filename(name: &str, names: &Names) -> String {
    name_of(name, names.limit).unwrap_or_else(|| names.fallback.clone())
}

fn name_of(name: &str, limit: usize) -> Option<String> {
    let plain = normalised(name, Form::Nfkc);
    // Once more, for letters and marks that meet now. Nothing after this lets others meet.
    let plain: String = sifted(&plain, false, false).nfkc().collect();
    let last = plain.rsplit(['/', '\\']).next().unwrap_or_default();

    let mut clean = String::with_capacity(last.len());
    for c in last.chars() {
        match c {
            c if c.is_whitespace() => {
                if !clean.ends_with(' ') {
                    clean.push(' ');
                }
            }
            c if is_reserved(c) => clean.push('_'),
            c => clean.push(c),
        }
    }
    let clean = clean.trim_start_matches(leads_on).trim_end_matches(['.', ' ']);
    if clean.is_empty() {
        return None;
    }
    let mut short = shortened(clean, limit);
    if is_device(&short) {
        short = shortened(&format!("_{short}"), limit);
    }
    Some(short)
}

/// What a name must not begin with: a shell and what is started by it take it for more than a letter. Dashes of all
/// kinds: code pages, and tools that make quotes and dashes typographic or plain again, take one for the other.
fn leads_on(c: char) -> bool {
    matches!(c, '.' | ' ' | '~' | '\u{2f7}' | '\u{223c}') || is_dash(c)
}

/// Reserved on Windows, or mapped to a separator by some code page of it (CVE-2024-4577 is of that family), or
/// looking like one.
fn is_reserved(c: char) -> bool {
    matches!(
        c,
        ':' | '*' | '?' | '"' | '<' | '>' | '|' | '/' | '\\'
            // Yen and Won are 0x5C in code pages 932 and 949.
            | '\u{a5}' | '\u{20a9}'
            // Slashes, and the colons and solidi that are drawn like them.
            | '\u{2044}' | '\u{2215}' | '\u{2216}' | '\u{29f5}' | '\u{29f8}' | '\u{29f9}' | '\u{2236}' | '\u{a789}'
    )
}

/// Whether Windows takes a name for a device's, whatever extension it has.
fn is_device(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or_default().trim_end().to_ascii_uppercase();
    match stem.as_bytes() {
        b"CON" | b"PRN" | b"AUX" | b"NUL" | b"CONIN$" | b"CONOUT$" | b"CLOCK$" => true,
        [b'C', b'O', b'M', digit] | [b'L', b'P', b'T', digit] => digit.is_ascii_digit(),
        _ => false,
    }
}

/// *name* in at most *limit* bytes: what is before its extension is cut.
fn shortened(name: &str, limit: usize) -> String {
    if name.len() <= limit {
        return name.to_owned();
    }
    let (stem, extension) = match name.rfind('.').map(|at| name.split_at(at)) {
        // A longer one is none: it is the end of a sentence.
        Some((stem, extension)) if extension.len() <= EXTENSION => (stem, extension),
        _ => (name, ""),
    };
    let mut end = limit - extension.len();
    while !stem.is_char_boundary(end) {
        end -= 1;
    }
    let stem = stem.get(..end).unwrap_or_default().trim_end_matches(['.', ' ']);
    format!("{stem}{extension}")
}

/// The longest extension that is kept, with its dot, in bytes. Below the smallest limit, so that something is before it.
const EXTENSION: usize = 17;

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str) -> String {
        name_of(name, 255).unwrap_or_else(|| "-".into())
    }

    #[test]
    fn only_the_last_component_is_left() {
        for (name, safe) in [
            ("../../etc/passwd", "passwd"),
            ("..\\..\\boot.ini", "boot.ini"),
            ("C:\\dir\\a.txt", "a.txt"),
            ("\\\\host\\share\\a.txt", "a.txt"),
            ("／etc／passwd", "passwd"),
            ("C:evil.exe", "C_evil.exe"),
            ("a\0.png/../b", "b"),
            ("..", "-"),
            ("", "-"),
            ("dir/", "-"),
            ("a∕b", "a_b"),
            ("a¥b₩c", "a_b_c"),
        ] {
            assert_eq!(named(name), safe, "{name:?}");
        }
    }

    #[test]
    fn names_that_windows_reserves_are_not_given() {
        for device in
            ["CON", "con.txt", "NUL.tar.gz", "Com1", "LPT9.log", "COM¹.txt", "CON .txt", "ＣＯＮ", "CONIN$"]
        {
            assert!(named(device).starts_with('_'), "{device:?}");
        }
        for other in ["CONSOLE", "com10.txt", "nullable.sql", "COMA"] {
            assert_eq!(named(other), other);
        }
        assert_eq!(named("shell.php::$DATA"), "shell.php__$DATA");
        assert_eq!(named("shell.php. . ."), "shell.php");
    }

    #[test]
    fn hidden_files_and_options_are_not_named() {
        assert_eq!(named(".htaccess"), "htaccess");
        assert_eq!(named("-rf *"), "rf _");
        assert_eq!(named(" .-. x"), "x");
        for name in [
            "~root",
            "~/x/~root",
            "～root",
            "~~.-root",
            "\u{2010}root",
            "\u{2212}root",
            "–root",
            "\u{223c}root",
            "－root",
        ] {
            assert_eq!(named(name), "root", "{name:?}");
        }
        assert_eq!(named("a~1 – b\u{2212}c.txt"), "a~1 – b\u{2212}c.txt");
        assert_eq!(named("\u{2800}.x\u{2800}.txt"), "x .txt");
    }

    #[test]
    fn an_extension_is_what_it_looks_like() {
        assert_eq!(named("invoice\u{202e}fdp.exe"), "invoicefdp.exe"); // T1036.002
        assert_eq!(named("a.pdf\u{2003}     \u{a0}  .exe"), "a.pdf .exe");
    }

    #[test]
    fn a_long_name_keeps_its_extension_and_whole_characters() {
        let name = name_of(&format!("{}.jpeg", "é".repeat(500)), 64).unwrap_or_default();
        assert!(name.len() <= 64 && name.ends_with("é.jpeg"), "{name}");
        let sentence = format!("a.{}", "b".repeat(500));
        assert_eq!(named(&sentence).len(), 255);
    }

    #[test]
    fn cutting_does_not_make_a_device() {
        for limit in 32..64 {
            for name in [format!("CON{}.txt", " x".repeat(90)), format!("CON.{}.txt", "x".repeat(90))] {
                let once = name_of(&name, limit).unwrap_or_default();
                assert!(!is_device(&once) && once.len() <= limit);
                assert_eq!(name_of(&once, limit), Some(once));
            }
        }
    }

    #[test]
    fn a_fallback_is_a_safe_name_itself() {
        assert!(Names::new("upload.bin", 255).is_ok());
        for (fallback, limit) in [("", 255), ("../x", 255), ("NUL", 255), ("file", 31), ("file", 256)] {
            assert!(Names::new(fallback, limit).is_err());
        }
    }
}
