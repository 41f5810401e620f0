//! Who is banned, for how long, and why: so many strikes within a time.
//!
//! 1. Whatever can be banned has a **token**, 128 bits of a keyed hash: no address and no name is kept. Hosts that share bans share the seed.
//! 2. A **strike** raises a count that begins with the first one and is forgotten when its time is over. The one that reaches the number bans, if
//!    nobody has meanwhile: of workers that strike at once, exactly one does. Only when the ban is there for all to see, the count ends.
//!    Who dies before that has banned nobody; then the number must be reached once more.
//! 3. A **ban** is one instant. The later end wins, so nothing shortens it but [`Bans::lift`].
//! 4. **Growing**: how often it happened is remembered for four times as long as the last ban, and for a day at least; each doubles.
//! 5. All of it is a token's own or is not kept: a flood of tokens never bans a stranger. Strikes leave half of the store to bans, so that
//!    many strikers do not keep out the bans of those who were struck before. Where there is no room, nobody is banned, and the
//!    limits themselves go on refusing.
//!
//! The store should have nothing else in it: counters of limits cost a caller nothing, while a strike costs it what the limit admits.
//!
//! Whether anybody is banned at all is one word, so a host where nobody is pays for one look.

use std::hash::Hasher;
use std::sync::Arc;

use siphasher::sip128::{Hasher128, SipHasher24};

use crate::shared::Seed;
use crate::time::HostTime;

use super::address::{AddressKey, Prefix};
use super::counters::{Counters, Moment, OVER, Place};
use super::gcra::instant;
use super::key::LimitKey;
use super::store::Store;
use super::{LONGEST, SECOND};

/// What is banned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// One client's address.
    Address,
    /// The network that it is in: 24 bits of IPv4, 48 of IPv6.
    Network,
    /// Any text.
    Key,
}

/// When strikes ban, and for how long.
#[derive(Debug, Clone, Copy)]
pub struct Penalty {
    /// So many strikes ban, at least 1.
    pub after: u32,
    /// Nanoseconds within which they must fall.
    pub within: u64,
    /// Nanoseconds that the first ban lasts.
    pub length: u64,
    /// Nanoseconds that the longest one lasts; `length`, if they do not grow.
    pub longest: u64,
}

/// A ban that has begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ban {
    /// Nanoseconds that it lasts.
    pub length: u64,
    /// The how manieth it is, as far as is remembered.
    pub level: u32,
}

/// The bans of a store.
pub struct Bans {
    store: Arc<Store>,
    prefix: Prefix,
    seed: Seed,
    any: LimitKey,
    until: LimitKey,
    strikes: LimitKey,
    levels: LimitKey,
}

impl Bans {
    /// Bans in `store`; tokens are hashed with `seed`, or with the store's own.
    pub fn new(store: Arc<Store>, prefix: Prefix, seed: Option<Seed>) -> Self {
        let own = store.seed();
        let key = |name| LimitKey::of(own, name);
        let (any, until) = (key("any ban"), key("ban until"));
        let (strikes, levels) = (key("ban strikes"), key("ban levels"));
        Self { store, prefix, seed: seed.unwrap_or(own), any, until, strikes, levels }
    }

    /// The token of a text. None for an address that cannot be read: all of those share one key, and strangers would be banned with it.
    pub fn token(&self, what: What, text: &[u8]) -> Option<u128> {
        match what {
            What::Key => Some(self.hash(what, text)),
            What::Address | What::Network => {
                let address = std::str::from_utf8(text).ok().and_then(|text| self.prefix.key(text))?;
                Some(match what {
                    What::Network => self.hash(what, network(&address)),
                    _ => self.hash(what, address.as_bytes()),
                })
            }
        }
    }

    /// Nanoseconds for which a client's address, or its network, is banned; 0 if it is not.
    pub fn address_banned(&self, address: &str, now: HostTime) -> u64 {
        if !self.any(now) {
            return 0;
        }
        let Some(address) = self.prefix.key(address) else { return 0 };
        let one = self.left(self.hash(What::Address, address.as_bytes()), now);
        one.max(self.left(self.hash(What::Network, network(&address)), now))
    }

    /// Nanoseconds for which a token is banned; 0 if it is not.
    pub fn banned(&self, token: u128, now: HostTime) -> u64 {
        if self.any(now) { self.left(token, now) } else { 0 }
    }

    /// Counts a strike of `token` by `scope`, and bans if it is one too many. None if no ban comes of it.
    pub fn strike(&self, scope: &str, token: u128, penalty: &Penalty, now: HostTime) -> Option<Ban> {
        if self.banned(token, now) > 0 {
            return None;
        }
        let at = instant(now);
        let counter = self.strikes.counter(&[scope.as_bytes(), &token.to_le_bytes()].concat());
        let count = |word: Option<u64>| -> Result<(u32, u64), ()> {
            let before = word.filter(|&word| word > at);
            if before.is_some_and(|word| word > at + LONGEST / 4) {
                // What a store shows when it gives up.
                return Err(());
            }
            let count = before.map_or(0, |word| word as u32).saturating_add(1);
            let until = before.map_or(((at + penalty.within) >> HALF) + 1, |word| word >> HALF);
            Ok((count, until << HALF | u64::from(count)))
        };
        let modest = Moment::modest(at, LONGEST / 2);
        let (count, _) = self.store.counters().measure_and_replace(&counter, modest, &count).ok()?;
        if count % penalty.after.max(1) != 0 {
            return None;
        }
        let ban = self.begin(token, penalty, at)?;
        self.store.counters().adjust(&counter, at, Place::Slot, &|_| Some(OVER));
        Some(ban)
    }

    /// Bans a token for so many nanoseconds, or for longer if it is already. False if there is no room to remember it.
    pub fn ban(&self, token: u128, length: u64, now: HostTime) -> bool {
        let at = instant(now);
        let until = at + length.clamp(1, LONGEST / 4);
        // First that there is one: a reader that sees the ban's own word has looked at this one before.
        self.raise_to(&self.any, b"", until, at)
            && self.raise_to(&self.until, &token.to_le_bytes(), until, at)
    }

    /// Ends a ban, and forgets that there were any. Says whether there was one.
    pub fn lift(&self, token: u128, now: HostTime) -> bool {
        let at = instant(now);
        let was = self.left(token, now) > 0;
        for key in [&self.until, &self.levels] {
            let counter = key.counter(&token.to_le_bytes());
            self.store.counters().adjust(&counter, at, Place::Slot, &|_| Some(OVER));
        }
        was
    }

    /// Bans a token that nobody has banned meanwhile. What it has been banned before is raised by who wins, so only once.
    fn begin(&self, token: u128, penalty: &Penalty, at: u64) -> Option<Ban> {
        let level = self.next_level(token, penalty, at);
        let length = grown(penalty, level);
        let until = at + length.clamp(1, LONGEST / 4);
        if !self.raise_to(&self.any, b"", until, at) {
            return None;
        }
        let counter = self.until.counter(&token.to_le_bytes());
        // Without room it looks as if there were one until the end of time.
        let free =
            |word: Option<u64>| if word.is_some_and(|word| word > at) { Err(()) } else { Ok(((), until)) };
        self.store.counters().measure_and_replace(&counter, moment(at), &free).ok()?;
        self.remember(token, penalty, level, at);
        Some(Ban { length, level })
    }

    fn any(&self, now: HostTime) -> bool {
        let at = instant(now);
        self.store.counters().read(&self.any.counter(b""), moment(at)).is_some_and(|until| until > at)
    }

    fn left(&self, token: u128, now: HostTime) -> u64 {
        let at = instant(now);
        let counter = self.until.counter(&token.to_le_bytes());
        self.store.counters().read(&counter, moment(at)).map_or(0, |until| until.saturating_sub(at))
    }

    fn raise_to(&self, key: &LimitKey, token: &[u8], until: u64, at: u64) -> bool {
        let decide = |word: Option<u64>| match word {
            Some(word) if word >= until => Err(word),
            _ => Ok(((), until)),
        };
        match self.store.counters().measure_and_replace(&key.counter(token), moment(at), &decide) {
            Ok(_) => true,
            // It lasts longer already; or there is no room, which looks like the end of time.
            Err(word) => word <= at + LONGEST / 4,
        }
    }

    fn next_level(&self, token: u128, penalty: &Penalty, at: u64) -> u32 {
        if penalty.longest <= penalty.length {
            return 1;
        }
        let word = self.store.counters().read(&self.levels.counter(&token.to_le_bytes()), moment(at));
        let before = word.filter(|&word| word > at && word <= at + LONGEST / 4);
        before.map_or(0, |word| word as u32 & MOST_LEVELS).saturating_add(1).min(MOST_LEVELS)
    }

    fn remember(&self, token: u128, penalty: &Penalty, level: u32, at: u64) {
        if penalty.longest <= penalty.length {
            return;
        }
        let keep = grown(penalty, level).saturating_mul(4).clamp(DAY, LONGEST / 8);
        let word = (((at + keep) >> HALF) + 1) << HALF | u64::from(level);
        // Without room it is not remembered.
        let set = |old: Option<u64>| match old {
            Some(old) if old > at + LONGEST / 4 => Err(()),
            _ => Ok(((), word)),
        };
        let _ = self.store.counters().measure_and_replace(
            &self.levels.counter(&token.to_le_bytes()),
            moment(at),
            &set,
        );
    }

    fn hash(&self, what: What, bytes: &[u8]) -> u128 {
        let mut hasher = SipHasher24::new_with_key(&self.seed.bytes());
        hasher.write(b"ban");
        hasher.write(&[match what {
            What::Address => 1,
            What::Network => 2,
            What::Key => 3,
        }]);
        hasher.write(bytes);
        hasher.finish128().as_u128()
    }
}

fn grown(penalty: &Penalty, level: u32) -> u64 {
    let doubled = 1_u64.checked_shl(level.saturating_sub(1)).unwrap_or(u64::MAX);
    penalty.length.saturating_mul(doubled).min(penalty.longest.max(penalty.length))
}

fn network(address: &AddressKey) -> &[u8] {
    let bits = match address {
        AddressKey::V4(_) => 3,
        AddressKey::V6(_) => 6,
    };
    address.as_bytes().get(..bits).unwrap_or_default()
}

fn moment(at: u64) -> Moment {
    Moment::alone(at, LONGEST / 2)
}

const HALF: u32 = 32;
const DAY: u64 = 86_400 * SECOND;
/// Doubled so often, a second is longer than the longest ban. All of its bits are ones: it masks too.
const MOST_LEVELS: u32 = 63;
