//! Why a record of a file is refused.

use super::super::value::Refused;

/// Why a record was not passed on. It never says what was in it.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Text stands directly behind the quotation mark that closes a field. Code `quote`.
    Behind,
    /// A name is there twice in one object, so that readers disagree on its value. Code `duplicate`.
    Duplicate,
    /// More or fewer fields than columns. Code `fields`.
    Fields,
    /// Not one JSON object (RFC 8259). Code `json`.
    Json,
    /// Longer than is allowed. Code `long`.
    Long,
    /// A quotation mark is not closed. Code `quote`.
    Quote,
    /// The plan refuses it.
    Rule(Refused),
    /// Not UTF-8. Code `utf8`.
    Utf8,
}

impl Fault {
    /// A stable word for reports.
    pub fn code(self) -> &'static str {
        match self {
            Self::Duplicate => "duplicate",
            Self::Fields => "fields",
            Self::Json => "json",
            Self::Long => "long",
            Self::Behind | Self::Quote => "quote",
            Self::Rule(refused) => refused.code(),
            Self::Utf8 => "utf8",
        }
    }
}

impl From<Refused> for Fault {
    fn from(refused: Refused) -> Self {
        Self::Rule(refused)
    }
}
