//! What the table needs of memory.
//!
//! All operations are sequentially consistent. The proof that two processes cannot both publish a slot for
//! one key rests on each seeing the other's name or being seen (Dekker's argument), which weaker orders
//! do not give; and on x86-64 the loads of the hot path cost the same either way.

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

/// An array of words shared with other processes.
pub(crate) trait Words {
    /// The word at `at`.
    fn load(&self, at: usize) -> u64;

    /// Replaces `current` by `new`, or says what was there instead.
    fn compare_exchange(&self, at: usize, current: u64, new: u64) -> Result<u64, u64>;

    /// The word at `at`, which is then one more: no two callers get the same.
    fn next(&self, at: usize) -> u64;

    /// Lets others run. Returns nanoseconds that have certainly passed meanwhile, possibly 0.
    fn pause(&self, round: u32) -> u64;
}

impl Words for [AtomicU64] {
    #[inline]
    fn load(&self, at: usize) -> u64 {
        self[at].load(SeqCst)
    }

    #[inline]
    fn compare_exchange(&self, at: usize, current: u64, new: u64) -> Result<u64, u64> {
        self[at].compare_exchange(current, new, SeqCst, SeqCst)
    }

    fn next(&self, at: usize) -> u64 {
        self[at].fetch_add(1, SeqCst)
    }

    fn pause(&self, round: u32) -> u64 {
        match round {
            0..8 => std::hint::spin_loop(),
            8..16 => std::thread::yield_now(),
            _ => {
                std::thread::sleep(Duration::from_nanos(NAP));
                return NAP;
            }
        }
        0
    }
}

/// Nanoseconds of sleep between two looks at a slot that another process has claimed.
const NAP: u64 = 50_000;
