//! What an entry holds, looked at as it is unpacked.

use flate2::Crc;

use super::super::kinds::{is_archive, npy_has_objects};
use super::super::pickle::Pickle;
use super::{ArchiveBounds, Bad};

/// How much of an entry's beginning is kept.
const HEAD: usize = 4096;

pub(super) struct Content {
    pickle: Pickle,
    head: Vec<u8>,
    crc: Crc,
    size: u64,
}

impl Content {
    pub(super) fn new() -> Self {
        Self { pickle: Pickle::new(), head: Vec::new(), crc: Crc::new(), size: 0 }
    }

    pub(super) fn feed(&mut self, bytes: &[u8]) {
        let room = HEAD - self.head.len();
        self.head.extend_from_slice(bytes.get(..room.min(bytes.len())).unwrap_or_default());
        self.pickle.feed(bytes);
        self.crc.update(bytes);
        self.size += bytes.len() as u64;
    }

    pub(super) fn size(&self) -> u64 {
        self.size
    }

    pub(super) fn crc(&self) -> u32 {
        self.crc.sum()
    }

    pub(super) fn head(&self) -> &[u8] {
        &self.head
    }

    /// The entry is whole.
    pub(super) fn finish(&self, bounds: &ArchiveBounds) -> Result<(), Bad> {
        if self.pickle.is_one() || npy_has_objects(&self.head) == Some(true) {
            return Err(Bad::Pickle);
        }
        if !bounds.nested && is_archive(&self.head) {
            return Err(Bad::Archive("an archive in it"));
        }
        Ok(())
    }
}
