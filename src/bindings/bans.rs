//! Bans for Python.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyString;

use crate::limits::address::Prefix;
use crate::limits::bans::{Bans, Penalty, What};

use super::asked::encoded;
use super::clock::Clock;
use super::errors::guarded;
use super::stores::{LimitStore, seed_of};

/// Who is banned, in a store of counters: for all workers at once.
///
/// :param ipv6_prefix: leading bits of an IPv6 address that make a client, 32 to 128.
/// :param seed: 16 bytes that tokens are hashed with, the same on all hosts that share bans; the store's own, if not given.
///
/// >>> clock = Clock.manual(1_800_000_000.0)
/// >>> book = BanBook(LimitStore.local(clock))
/// >>> token = book.token("address", "192.0.2.1")
/// >>> [book.strike("login", token, 2, 60.0, 900.0, 900.0) for _ in range(2)]
/// [None, (900.0, 1)]
/// >>> book.banned("::ffff:192.0.2.1"), book.banned("192.0.2.2")
/// (900.0, 0.0)
#[pyclass(frozen, module = "flask_rampart._native")]
pub struct BanBook {
    bans: Bans,
    clock: Py<Clock>,
}

#[pymethods]
impl BanBook {
    #[new]
    #[pyo3(signature = (store, *, ipv6_prefix=64, seed=None))]
    fn new(store: &Bound<'_, LimitStore>, ipv6_prefix: u32, seed: Option<Vec<u8>>) -> PyResult<Self> {
        let seed = seed.map(seed_of).transpose()?;
        let (store, clock) = store.get().parts(store.py());
        Ok(Self { bans: Bans::new(store, Prefix::new(ipv6_prefix)?, seed), clock })
    }

    /// Seconds for which an address, or the network that it is in, is banned; 0.0 if it is not.
    fn banned(&self, address: &Bound<'_, PyString>) -> f64 {
        seconds(self.bans.address_banned(&address.to_string_lossy(), self.clock.get().host()))
    }

    /// Seconds for which what has this token is banned; 0.0 if it is not.
    ///
    /// :raises ValueError: unless it is 32 hexadecimal digits.
    fn banned_token(&self, token: &str) -> PyResult<f64> {
        Ok(seconds(self.bans.banned(read(token)?, self.clock.get().host())))
    }

    /// The token of an ``"address"``, of the ``"network"`` that it is in, or of a ``"key"``; None for what is no address.
    ///
    /// :raises ValueError: for another *what*.
    fn token(&self, what: &str, text: &Bound<'_, PyString>) -> PyResult<Option<String>> {
        let what = match what {
            "address" => What::Address,
            "network" => What::Network,
            "key" => What::Key,
            _ => return Err(PyValueError::new_err("an \"address\", a \"network\" or a \"key\" has a token")),
        };
        Ok(self.bans.token(what, &encoded(text)?).map(|token| format!("{token:032x}")))
    }

    /// Counts a strike. While it is banned, nothing is counted.
    ///
    /// :param scope: what it is a strike against; each has a count of its own.
    /// :param after: so many strikes ban, at least 1.
    /// :param within: seconds in which they must fall, from the first on.
    /// :param length: seconds that the first ban lasts; the next ones twice as long, up to *longest*.
    /// :returns: if it is banned now: for how many seconds, and the how manieth ban it is.
    /// :raises ValueError: for a time that is negative or over 25 years.
    fn strike(
        &self,
        scope: &str,
        token: &str,
        after: u32,
        within: f64,
        length: f64,
        longest: f64,
    ) -> PyResult<Option<(f64, u32)>> {
        let penalty = Penalty {
            after: after.max(1),
            within: nanos(within)?,
            length: nanos(length)?,
            longest: nanos(longest)?,
        };
        let token = read(token)?;
        let now = self.clock.get().host();
        guarded(|| {
            let ban = self.bans.strike(scope, token, &penalty, now);
            Ok(ban.map(|ban| (seconds(ban.length), ban.level)))
        })
    }

    /// Bans for so many seconds; what is banned for longer stays so. False if there is no room to remember it.
    ///
    /// :raises ValueError: for a token or a time that is none.
    fn ban(&self, token: &str, length: f64) -> PyResult<bool> {
        Ok(self.bans.ban(read(token)?, nanos(length)?, self.clock.get().host()))
    }

    /// Ends a ban, and forgets the ones before. Says whether there was one.
    ///
    /// :raises ValueError: unless *token* is 32 hexadecimal digits.
    fn lift(&self, token: &str) -> PyResult<bool> {
        Ok(self.bans.lift(read(token)?, self.clock.get().host()))
    }
}

fn read(token: &str) -> PyResult<u128> {
    let is_one = token.len() == 32 && token.bytes().all(|byte| byte.is_ascii_hexdigit());
    let number = if is_one { u128::from_str_radix(token, 16).ok() } else { None };
    number.ok_or_else(|| PyValueError::new_err("a token has 32 hexadecimal digits"))
}

fn nanos(seconds: f64) -> PyResult<u64> {
    if !(0.0..=788_400_000.0).contains(&seconds) {
        return Err(PyValueError::new_err("a time is 0 to 788400000 seconds (25 years)"));
    }
    Ok((seconds * 1e9) as u64)
}

fn seconds(nanos: u64) -> f64 {
    nanos as f64 / 1e9
}
