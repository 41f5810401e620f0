//! What an account that is throttled has: in each network, in all of them, and where it is known.

use pyo3::prelude::*;

use crate::monitor::{Mark, Party, Response};

use super::responses::{MonitorState, millis};

/// Seconds for each try, and how many may come at once.
pub(super) type Pace = (f64, u32);

/// What an attempt on an account has.
pub(super) struct Paces {
    /// In a network where the account is not known.
    pub strange: Pace,
    /// In one where it is.
    pub home: Pace,
    /// In all of those together.
    pub homes: Pace,
    /// In all prefixes of one /48 together.
    pub wide: Pace,
}

impl MonitorState {
    /// Milliseconds until an account may be tried from an address; 0 if it may now, which is then counted.
    ///
    /// 1. An attempt takes of what its network has, and its /48; where the account is known, of what that one has; of what a
    ///    page had sent, of what such attempts have.
    /// 2. But for the first one in a network, it takes of what all have together that are like it: networks where the
    ///    account is known, and those where it is not (or of what was granted there).
    /// 3. One that found a place in the table only by taking another's is no first one, unless that was of somebody who had
    ///    clearly more than their share: it may have been pushed out. So who fills the table resets nothing; and who fills
    ///    it out of one network takes the first attempt from nobody.
    /// 4. Such a one takes, where the account is not known, the one attempt in five minutes that its wide network (/16,
    ///    /32) has free for all accounts. So who fills the table out of some hundreds of networks has one attempt more in
    ///    each, and takes the first one from whoever is in those alone.
    pub(super) fn attempt(&self, account: &str, address: &str, paces: &Paces, source: &str) -> PyResult<u64> {
        let (now, engine, words) = (self.millis(), &self.table.engine, self.table.words());
        let of_account = self.subject("account", account, None)?;
        let Some(mark) = engine.marked(words, Response::AccountThrottle, of_account, now) else {
            return Ok(0);
        };
        let (together, homes) = ((Response::AccountThrottle, of_account), (Response::Homes, of_account));
        let is_home = self.knows(account, address)?;
        let pair = self.pair(account, address)?;
        let here = Party::of(self.source(address), of_account);
        let none = (0, here, paces.strange);
        let wanted = match (source.is_empty(), is_home) {
            // Apart from each other: where an account has just become known, it has what it has at home.
            (true, true) => [none, (self.both(pair, self.table.keys.of(b'g', b"home")), here, paces.home)],
            // The widest first, so that the narrower one's place is not taken for what that refuses.
            (true, false) => {
                [(self.wide_pair(of_account, address), here, paces.wide), (pair, here, paces.strange)]
            }
            (false, _) => {
                let whose = if is_home { pair } else { of_account };
                let of_pages = self.both(whose, self.table.keys.of(b'g', source.as_bytes()));
                // That of all networks is of none of them: nobody pushes it out by what they flood theirs with.
                let party = if is_home { here } else { Party::apart(of_pages) };
                [none, (of_pages, party, paces.strange)]
            }
        };
        // An address that is not known has no network.
        let wanted = wanted.into_iter().filter(|(pair, ..)| *pair != 0);
        let has_come = |pair: u64| engine.marked(words, Response::Pace, pair, now).is_some();
        let toll = || match (source.is_empty(), is_home) {
            (true, true) => homes,
            (true, false) => self.toll(together, pair, now),
            (false, _) => together,
        };
        if is_home {
            engine.pace_homes(words, of_account, packed(paces.homes)?);
        }
        let is_first =
            !source.is_empty() || wanted.clone().next().is_some_and(|(widest, ..)| !has_come(widest));
        let mut taken: Vec<_> = wanted.clone().map(|(pair, ..)| (Response::Pace, pair)).collect();
        if !is_first {
            taken.push(toll());
        }
        // Of those that are there: who is refused makes no place for more, which others would lose.
        let wait = engine.wait_all(words, &taken, now);
        if wait > 0 {
            return Ok(wait);
        }
        let mut is_free = is_first;
        for (pair, party, pace) in wanted {
            if has_come(pair) {
                continue;
            }
            let on = (Response::Pace, pair, party);
            let is_new = engine.mark_of(words, on, now, mark, Some(packed(pace)?));
            if is_free && is_new != Some(true) {
                is_free = false;
                if !is_home && source.is_empty() && engine.try_first(words, self.source(address), now) {
                    continue;
                }
                let toll = toll();
                let wait = engine.wait_all(words, &[toll], now);
                if wait > 0 {
                    return Ok(wait);
                }
                taken.push(toll);
            }
        }
        Ok(engine.try_all(words, &taken, now))
    }

    /// Gives an account that is throttled tries in the network of an address: see :meth:`MonitorState.grant`.
    pub(super) fn give(&self, account: &str, address: &str, tries: u32, seconds: f64) -> PyResult<()> {
        let (now, engine, words) = (self.millis(), &self.table.engine, self.table.words());
        let (of_account, pair) = (self.subject("account", account, None)?, self.pair(account, address)?);
        let Some(mark) = engine.marked(words, Response::AccountThrottle, of_account, now) else {
            return Ok(());
        };
        if pair != 0 {
            let (seconds, tries) = (millis(seconds)?, tries.max(1));
            let pace = Some(((seconds / u64::from(tries)) as u32, tries));
            let on = (Response::Granted, pair, Party::of(self.source(address), of_account));
            engine.mark_of(words, on, now, Mark { until: now + seconds, ..mark }, pace);
        }
        Ok(())
    }

    /// What an attempt from a network takes that is not free: of the account's pace, or of what that network was granted.
    fn toll(&self, account: (Response, u64), pair: u64, now: u64) -> (Response, u64) {
        let (engine, words) = (&self.table.engine, self.table.words());
        let granted = (Response::Granted, pair);
        let is_granted = engine.marked(words, granted.0, granted.1, now).is_some();
        let must_wait = |of| engine.wait_all(words, &[of], now) > 0;
        if is_granted && must_wait(account) && !must_wait(granted) { granted } else { account }
    }

    /// The hash of an account in a network; 0 if either is not known.
    pub(super) fn pair(&self, account: &str, address: &str) -> PyResult<u64> {
        let (account, network) =
            (self.subject("account", account, None)?, self.subject("network", address, None)?);
        if account == 0 || network == 0 {
            return Ok(0);
        }
        Ok(self.both(account, network))
    }

    /// The hash of an account in the /48 of an address, which has many networks; 0 if it has one.
    fn wide_pair(&self, account: u64, address: &str) -> u64 {
        let Some(key) = self.table.prefix.key(address) else { return 0 };
        match *key.as_bytes() {
            [a, b, c, d, e, f, ..] if self.table.prefix.bits() > 48 => {
                self.both(account, self.table.keys.of(b's', &[a, b, c, d, e, f]))
            }
            _ => 0,
        }
    }

    /// The wide and the narrow network of an address, whose share of the table it takes.
    pub(super) fn source(&self, address: &str) -> u32 {
        let Some(key) = self.table.prefix.key(address) else { return 0 };
        let bytes = key.as_bytes();
        let network = self.table.keys.of(b'n', bytes.get(..3).unwrap_or_default());
        self.table.keys.source(bytes, network)
    }

    fn both(&self, account: u64, network: u64) -> u64 {
        self.table.keys.of(b'h', &[account.to_le_bytes(), network.to_le_bytes()].concat())
    }
}

fn packed((each, burst): Pace) -> PyResult<(u32, u32)> {
    Ok((millis(each)? as u32, burst.max(1)))
}
