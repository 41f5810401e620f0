//! What the room promises, room by room: a clock is advanced, never slept on.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

/// Runs each of these on a store of each kind. One left out is dead code, which the compiler reports.
macro_rules! on_either_store {
    ($($promise:ident)*) => {
        mod in_memory {
            $(#[test] fn $promise() { super::$promise(super::super::local); })*
        }
        mod in_shared_memory {
            $(#[test] fn $promise() { super::$promise(super::super::shared); })*
        }
    };
}

mod address;
mod bans;
mod batches;
mod check;
mod extremes;
mod fields;
mod file;
mod floods;
mod leases;
mod local;
mod presence;
mod quota;
mod settling;
mod window;

use std::num::NonZeroU32;
use std::sync::Arc;

use super::address::Prefix;
use super::{Entry, Kind, Limits, Quota, Reservation, Seed, Store, Verdict};
use crate::time::HostTime;

/// A limit set on a table of its own, and a clock.
struct Bench {
    limits: Limits,
    now: u64,
}

impl Bench {
    /// One entry of kind text for each string of quotas.
    fn on(store: Arc<Store>, quotas: &[&str]) -> Self {
        let entries =
            quotas.iter().enumerate().map(|(i, text)| entry(&format!("scope {i}"), text, Kind::Text));
        let limits = Limits::new(store, entries.collect(), Prefix::default(), None).unwrap();
        Self { limits, now: 1_000 * SECOND }
    }

    fn check(&self, keys: &[&str]) -> Verdict {
        self.spend(keys, 1)
    }

    fn spend(&self, keys: &[&str], cost: u32) -> Verdict {
        self.limits.check(keys, NonZeroU32::new(cost).unwrap(), HostTime(self.now)).unwrap()
    }

    fn peek(&self, keys: &[&str]) -> Verdict {
        self.limits.peek(keys, NonZeroU32::MIN, HostTime(self.now)).unwrap()
    }

    fn reserve(&self, keys: &[&str], cost: u32) -> Option<Reservation> {
        let cost = NonZeroU32::new(cost).unwrap();
        self.limits.reserve(keys, cost, false, HostTime(self.now)).unwrap().1
    }

    fn settle(&self, reservation: &mut Reservation, actual: u32) {
        self.limits.settle(reservation, 0, actual, HostTime(self.now)).unwrap();
    }
}

fn entry(scope: &str, quotas: &str, kind: Kind) -> Entry {
    Entry { scope: scope.into(), quotas: Quota::parse(quotas).unwrap(), kind }
}

fn local(keys: u32) -> Arc<Store> {
    Arc::new(Store::local(keys, Seed::new([7; 16])).unwrap())
}

fn shared(keys: u32) -> Arc<Store> {
    // The mapping outlives the file.
    file::Scratch::new().open(36_864 + u64::from(keys) * 17, "boot", 7).unwrap()
}

/// Makes a store with room for so many keys, or more.
type Make = fn(u32) -> Arc<Store>;

/// The same numbers in each run (xorshift).
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

const SECOND: u64 = super::SECOND;
