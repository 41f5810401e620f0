//! How long opening a file looks again while others have it.
//!
//! 1. What passes by itself is waited for, for five seconds: somebody makes the file, or is of a release that is being
//!    replaced and has yet to finish what it began.
//! 2. What does not is looked at [`USELESS`] times in a row, for some 150 ms: it may be somebody else who opens the file, and
//!    lets go at once.
//! 3. The last look is after the end: whoever stood still for long, on a machine that has much to do, looks once more.
//!
//! Time is that of a [`Pace`], which tests advance.

use std::time::{Duration, Instant};

use super::refusal::Why;

/// A clock, and how time is let pass.
pub(super) trait Pace {
    /// How much time has passed since it began.
    fn passed(&self) -> Duration;
    /// Returns when so much more has passed.
    fn nap(&self, time: Duration);
}

/// The host's.
pub(super) struct Real(Instant);

impl Real {
    pub fn begin() -> Self {
        Self(Instant::now())
    }
}

impl Pace for Real {
    fn passed(&self) -> Duration {
        self.0.elapsed()
    }

    fn nap(&self, time: Duration) {
        std::thread::sleep(time);
    }
}

/// What is left of it, for one opening.
pub(super) struct Patience<'a, P> {
    pace: &'a P,
    looks: u32,
    /// How often in a row the file was found in use, and of no use for a reason that does not pass.
    useless: u32,
    is_over: bool,
}

impl<'a, P: Pace> Patience<'a, P> {
    pub fn new(pace: &'a P) -> Self {
        Self { pace, looks: 0, useless: 0, is_over: false }
    }

    /// Whether to look again, after a nap; `why` it was of no use, if that is known.
    pub fn again(&mut self, why: Option<Why>) -> bool {
        self.useless = if why.is_none_or(Why::passes) { 0 } else { self.useless + 1 };
        if self.is_over || self.useless >= USELESS {
            return false;
        }
        self.pace.nap(apart(self.looks));
        self.looks = self.looks.wrapping_add(1);
        self.is_over = self.pace.passed() >= LONGEST;
        true
    }
}

/// Two to four milliseconds: longer and shorter ones, so that many who open a file at once do not look at it in step,
/// each taking the others for users.
fn apart(look: u32) -> Duration {
    let apart = std::process::id().wrapping_add(look).wrapping_mul(0x9E37_79B9) >> 21;
    NAP + Duration::from_micros(u64::from(apart))
}

/// How long what passes is waited for.
pub(super) const LONGEST: Duration = Duration::from_millis(if cfg!(test) { 500 } else { 5000 });

/// How often what does not pass is looked at.
const USELESS: u32 = 50;

const NAP: Duration = Duration::from_millis(2);
