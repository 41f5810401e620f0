//! Names of entries: where they would be written to.
//!
//! A name is relative, with `/` between its parts. No part is empty, `.` or `..`; nothing in it is a backslash, a colon or a control
//! character. A folder may end in `/`. It is at most 1024 bytes long and 32 parts deep.

use std::collections::{HashMap, HashSet};

use unicode_normalization::UnicodeNormalization as _;

use super::Bad;

const MOST_BYTES: usize = 1024;
const MOST_PARTS: usize = 32;

/// The names of an archive so far.
#[derive(Default)]
pub(super) struct Names {
    files: HashSet<String>,
    /// Whether the folder has an entry of its own.
    folders: HashMap<String, bool>,
    count: u64,
}

impl Names {
    /// How many there are.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// Takes the next name, unless it would be written elsewhere, or over another.
    pub(super) fn add(&mut self, name: &[u8], is_folder: bool) -> Result<(), Bad> {
        let bad = Bad::Archive("the name of an entry");
        let plain = match name.strip_suffix(b"/") {
            Some(plain) if is_folder => plain,
            _ => name,
        };
        if plain.is_empty() || plain.len() > MOST_BYTES {
            return Err(bad);
        }
        if plain.iter().any(|&byte| byte < 0x20 || matches!(byte, b'\\' | b':' | 0x7f)) {
            return Err(bad);
        }
        let folded = folded(plain);
        let mut parts = 0;
        for (at, part) in
            folded.match_indices('/').map(|(at, _)| at).chain([folded.len()]).scan(0, |from, at| {
                let part = folded.get(*from..at).unwrap_or_default();
                *from = at + 1;
                Some((at, part))
            })
        {
            parts += 1;
            // Windows takes dots and blanks away from the end: ".. " is "..".
            if part.trim_end_matches(['.', ' ']).is_empty() || parts > MOST_PARTS {
                return Err(bad);
            }
            let path = folded.get(..at).unwrap_or_default();
            if at < folded.len() {
                if self.files.contains(path) {
                    return Err(Bad::Archive("an entry below a file"));
                }
                self.folders.entry(path.to_owned()).or_insert(false);
            }
        }
        self.count += 1;
        let twice = Err(Bad::Archive("a name twice"));
        if is_folder {
            if self.files.contains(&folded) || self.folders.insert(folded, true) == Some(true) {
                return twice;
            }
        } else if self.folders.contains_key(&folded) || !self.files.insert(folded) {
            return twice;
        }
        Ok(())
    }
}

/// As file systems compare that do not tell capitals or composed letters apart.
fn folded(name: &[u8]) -> String {
    match std::str::from_utf8(name) {
        Ok(name) => name.nfc().collect::<String>().to_lowercase().nfc().collect(),
        // An older code page, and nothing says which. Its letters are told apart, whatever they are.
        Err(_) => name
            .iter()
            .map(|&byte| match byte {
                0x80.. => char::from_u32(0xe000 + u32::from(byte)).unwrap_or(char::REPLACEMENT_CHARACTER),
                _ => char::from(byte).to_ascii_lowercase(),
            })
            .collect(),
    }
}
