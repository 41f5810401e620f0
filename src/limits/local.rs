//! Counters of one process.
//!
//! The same table as the shared one, in the process's own memory: the same bound, the same overflow, the same proof. It is never
//! swept, as a full counter's slot is free by definition, and no lock of it can be held across a fork.
//!
//! Each worker counts for itself: with four workers a quota admits up to four times itself. It is for
//! tests, for apps with one worker, and for when another store is away.

use std::sync::atomic::AtomicU64;

use crate::error::ConfigError;

use super::key::Seed;
use super::shm::layout::{LANES, Shape};

/// A table in the memory of this process.
pub struct LocalTable {
    words: Box<[AtomicU64]>,
    shape: Shape,
    seed: Seed,
}

impl LocalTable {
    /// A table for at least `keys` counters, of 16 bytes each.
    pub fn new(keys: u32, seed: Seed) -> Result<Self, ConfigError> {
        if !(1..=MAX_KEYS).contains(&keys) {
            return Err(ConfigError::new(format!(
                "a table in memory holds 1 to {MAX_KEYS} keys, not {keys}"
            )));
        }
        let shape = Shape::with_slots(keys);
        let words = std::iter::repeat_with(|| AtomicU64::new(0)).take(shape.words(LANES)).collect();
        Ok(Self { words, shape, seed })
    }

    pub(crate) fn shape(&self) -> Shape {
        self.shape
    }

    pub(crate) fn seed(&self) -> Seed {
        self.seed
    }

    pub(crate) fn words(&self) -> &[AtomicU64] {
        &self.words
    }
}

const MAX_KEYS: u32 = 1 << 28;
