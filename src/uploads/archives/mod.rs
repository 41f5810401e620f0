//! Says whether an archive may be unpacked: whether it is what it says it is, and how much is really in it.
//!
//! 1. It has at most so many entries, and unpacks to at most so many bytes, as it says and as it turns out: what is deflated is inflated, to
//!    the first byte too many.
//! 2. It does not grow by more than a ratio, from 1 MiB on.
//! 3. Every name stays below where it is unpacked, and is there once, whatever capitals and composed letters a file system tells apart:
//!    [`names`].
//! 4. There are only files and folders: no links, devices or pipes.
//! 5. Nothing is encrypted. No entry is an archive or compressed again, unless that is allowed; what is in such a one is not looked at.
//! 6. No entry is a pickle, nor an array of numpy's with objects in it.
//! 7. Two readers find the same entries: [`zip`], [`tar`] say how.
//!
//! Sources: Fifield, "A better zip bomb" (2019); CVE-2018-1000544 and its kin (zip slip); CVE-2025-62518 (tar's two sizes); CWE-22, CWE-59,
//! CWE-409.

mod content;
mod gzip;
mod names;
mod tar;
mod zip;
mod zip64;

use super::source::Gone;

pub(super) use self::gzip::gzip;
pub(super) use self::tar::{Tar, is_tar};
pub(super) use self::zip::zip;

/// How much an archive may hold.
#[derive(Debug, Clone, Copy)]
pub struct ArchiveBounds {
    /// Most entries, folders too.
    pub entries: u64,
    /// Bytes of all entries together, unpacked.
    pub bytes: u64,
    /// Bytes of one entry, unpacked.
    pub entry: u64,
    /// Bytes unpacked for each byte packed.
    pub ratio: u64,
    /// Whether entries may be archives.
    pub nested: bool,
}

/// Below this, nothing is a bomb, whatever it is packed to.
const HARMLESS: u64 = 1024 * 1024;

impl ArchiveBounds {
    fn is_bomb(&self, unpacked: u64, packed: u64) -> bool {
        unpacked > HARMLESS && unpacked > packed.saturating_mul(self.ratio)
    }
}

/// Why an archive is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bad {
    /// What is wrong, for the log.
    Archive(&'static str),
    /// An entry is a pickle.
    Pickle,
    /// The file could not be read.
    Gone,
}

impl From<Gone> for Bad {
    fn from(_: Gone) -> Self {
        Self::Gone
    }
}
