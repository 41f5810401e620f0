//! What a developer should hear of a cookie, each with a code that does not change.

/// Why a cookie is not what it seems to be. Never about its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Note {
    /// A comma seems to join two cookies; browsers see one.
    Joined,
    /// It has no name, and did not leave.
    Nameless,
    /// `SameSite=None` over plain HTTP without `Secure`: browsers drop it.
    NoneInsecure,
    /// More than 4,096 octets: browsers drop it.
    Oversized,
    /// `Partitioned` over plain HTTP without `Secure`: browsers drop it.
    PartitionedInsecure,
    /// A `__Host-` cookie with a `Domain`: browsers drop it.
    PrefixDomain,
    /// A `__Host-` cookie with another `Path` than `/`: browsers drop it.
    PrefixPath,
    /// It did not keep what its name promises, and does now.
    Repaired,
}

impl Note {
    const ALL: [Self; 8] = [
        Self::Joined,
        Self::Nameless,
        Self::NoneInsecure,
        Self::Oversized,
        Self::PartitionedInsecure,
        Self::PrefixDomain,
        Self::PrefixPath,
        Self::Repaired,
    ];

    /// Its stable name.
    pub fn code(self) -> &'static str {
        match self {
            Self::Joined => "joined",
            Self::Nameless => "nameless",
            Self::NoneInsecure => "none_insecure",
            Self::Oversized => "oversized",
            Self::PartitionedInsecure => "partitioned_insecure",
            Self::PrefixDomain => "prefix_domain",
            Self::PrefixPath => "prefix_path",
            Self::Repaired => "repaired",
        }
    }
}

/// Some notes, each once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Notes(u8);

impl Notes {
    pub(super) fn add(&mut self, note: Note) {
        self.0 |= 1 << note as u8;
    }

    /// Whether there is nothing to tell, as usual.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether this one is among them.
    pub fn has(self, note: Note) -> bool {
        self.0 & (1 << note as u8) != 0
    }

    /// All of them, sorted by code.
    pub fn iter(self) -> impl Iterator<Item = Note> {
        Note::ALL.into_iter().filter(move |note| self.has(*note))
    }
}
