//! Which log a checkpoint is of: several hosts may sign with one key.
//!
//! A log is known by 32 hexadecimal digits: the first half of the hash of the first record that its book of heads ever had. That record holds
//! the random name of the writer that began it, and stands at the foot of everything: nobody makes another log of this name, with the key either, without
//! that very record. Each page of the book says it again, since the first may be removed after its time.
//!
//! It stands in the origin of each checkpoint, `<name of the key>/<log>/<writer>`, as C2SP tlog-checkpoint asks: an origin is of one log.
//!
//! # What it does not say
//! Which host a log is of. Who verifies says which log it has to be ([`super::Verify::of_log`]): a directory that another one was put
//! in the place of, or that was begun anew, is as good a log as any.

use std::fmt::Write;

use super::merkle::Hash;

/// The log whose book begins with the record of this leaf.
pub(super) fn of_first(leaf: &Hash) -> String {
    leaf[..DIGITS / 2].iter().fold(String::with_capacity(DIGITS), |mut text, byte| {
        // A String takes all that is written to it.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Whether a text may be the name of a log; those of writers look the same.
pub(super) fn is_one(text: &str) -> bool {
    text.len() == DIGITS && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Whose a checkpoint is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Origin {
    pub(super) log: String,
    pub(super) writer: String,
}

impl Origin {
    /// Reads the first line of a checkpoint. None if it is not of an audit log of this name: one key may sign for more than these.
    pub(super) fn read(text: &str, name: &str) -> Option<Self> {
        let (log, writer) = text.strip_prefix(name)?.strip_prefix('/')?.split_once('/')?;
        (is_one(log) && is_one(writer)).then(|| Self { log: log.to_owned(), writer: writer.to_owned() })
    }

    /// The line.
    pub(super) fn to_text(&self, name: &str) -> String {
        format!("{name}/{}/{}", self.log, self.writer)
    }
}

const DIGITS: usize = 32;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn an_origin_is_of_one_log_of_one_name_and_nothing_else() {
        let origin = Origin { log: of_first(&[0xa7; 32]), writer: "b".repeat(32) };
        let text = origin.to_text("api.example.com/audit");
        assert_eq!(text, format!("api.example.com/audit/{}/{}", "a7".repeat(16), "b".repeat(32)));
        assert_eq!(Origin::read(&text, "api.example.com/audit"), Some(origin));
        for (wrong, name) in [
            (text.as_str(), "api.example.com"),
            (&text, "api.example.com/audit/"),
            (&text[1..], "api.example.com/audit"),
            (&text[..text.len() - 1], "api.example.com/audit"),
            (&text.replace("a7", "A7"), "api.example.com/audit"),
            (&format!("{text}/x"), "api.example.com/audit"),
            (&text.replace("/b", "b"), "api.example.com/audit"),
        ] {
            assert_eq!(Origin::read(wrong, name), None, "{wrong}");
        }
    }
}
