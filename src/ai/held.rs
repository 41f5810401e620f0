//! What is held back of a text, with its places: passed on from the front, without moving the rest each time.

use super::findings::points;

/// The end of a text, as far as it has not passed.
#[derive(Default)]
pub(super) struct Held {
    text: String,
    /// How many bytes of *text* have passed.
    front: usize,
    /// Bytes that have passed in all.
    base: u64,
    /// Code points that have passed in all.
    points: u64,
}

impl Held {
    /// Adds a piece.
    pub(super) fn push(&mut self, text: &str) {
        self.text.drain(..self.front);
        self.front = 0;
        self.text.push_str(text);
    }

    /// The place where what is held begins, and where it ends, in bytes of the whole text.
    pub(super) fn place(&self) -> u64 {
        self.base
    }

    pub(super) fn end(&self) -> u64 {
        self.base + (self.text.len() - self.front) as u64
    }

    /// The code points before what is held.
    pub(super) fn points(&self) -> u64 {
        self.points
    }

    /// Passes what stands before *place* to *out*, or drops it.
    pub(super) fn pass(&mut self, place: u64, out: Option<&mut String>) {
        let length = usize::try_from(place.saturating_sub(self.base)).unwrap_or(usize::MAX);
        let to = self.front.saturating_add(length).min(self.text.len());
        let Some(passes) = self.text.get(self.front..to) else { return };
        if let Some(out) = out {
            out.push_str(passes);
        }
        self.base += passes.len() as u64;
        self.points += points(passes);
        self.front = to;
    }

    /// Drops all of it.
    pub(super) fn clear(&mut self) {
        self.text.clear();
        self.front = 0;
    }

    pub(super) fn characters(&self) -> usize {
        self.text.get(self.front..).unwrap_or_default().chars().count()
    }
}
