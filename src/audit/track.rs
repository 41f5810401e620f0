//! Follows numbers and links from record to record. Who writes the book and who verifies follow it alike.

use super::line::{Line, LinkKey, Place};
use super::merkle::Hash;

/// Where a chain has come to, as it was read.
#[derive(Debug, Clone)]
pub(super) struct Track {
    place: Place,
    /// Whether the record before this place was read, so that the link can be checked.
    is_linked: bool,
}

impl Default for Track {
    fn default() -> Self {
        Self { place: Place::default(), is_linked: true }
    }
}

/// What a record is to the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Next,
    Changed,
    Missing(u64, u64),
    OutOfPlace,
}

impl Track {
    pub(super) fn at(place: Place) -> Self {
        Self { place, is_linked: true }
    }

    pub(super) fn place(&self) -> Place {
        self.place
    }

    /// Records are missing here, and the next is taken as it comes.
    pub(super) fn lose(&mut self) {
        self.is_linked = false;
    }

    /// Takes the next record. One that is changed is gone on from as it stands, so that what follows it is not blamed.
    /// `leaf` is the hash of its body. Without the key, links are not checked.
    pub(super) fn step(&mut self, key: Option<&LinkKey>, line: &Line<'_>, leaf: &Hash) -> Step {
        let expected = self.place.seq;
        if line.seq < expected {
            return Step::OutOfPlace;
        }
        let after = Place { seq: line.seq.saturating_add(1), link: line.link };
        let before = std::mem::replace(&mut self.place, after);
        let is_linked = std::mem::replace(&mut self.is_linked, true);
        if line.seq > expected {
            return Step::Missing(expected, line.seq - 1);
        }
        match key {
            Some(key) if is_linked && key.link(&before.link, leaf) != line.link => Step::Changed,
            _ => Step::Next,
        }
    }
}
