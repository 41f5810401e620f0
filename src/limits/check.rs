//! Checks several limits as one decision: all admit and each is charged, or none is.
//!
//! 1. One limit is charged directly: a refusal writes nothing.
//! 2. Of several, each is asked first; if one refuses, that is the answer, and nothing was charged.
//! 3. Then each is charged. If another request has taken the last cell of one meanwhile, those already charged are
//!    given back and the answer is a refusal. In between other requests see the charges: some may be refused that
//!    could have passed a microsecond later; none passes that should not.
//!
//! A refusal names the limit with the longest wait, so whoever waits that long passes them all.
//!
//! What a request costs may be known only when it is over. Then it is charged an estimate before ([`Limits::reserve`]), and the difference
//! afterwards ([`Limits::settle`], by the rules of `reservation`).
//!
//! It has no idea of "skip": an empty key is a key, and an address that cannot be read is counted with all others of
//! its kind.

use std::num::NonZeroU32;
use std::ops::Range;
use std::sync::Arc;

use crate::error::ConfigError;
use crate::time::HostTime;

use super::address::Prefix;
use super::entries::{Costs, Entry, KeyText, Kind, Limit, Ranges, prepare};
use super::fields;
use super::gcra::Outcome;
use super::key::CounterKey;
use super::leases;
use super::quota::{Quota, Rule};
use super::rates::{self, Rate};
use super::remote::{self, Answer, Question};
use super::reservation::{Charge, Reservation};
use super::spot::{self, Key, Now, Spot};
use super::store::{Store, Stores};
use super::verdict::{Verdict, verdict};
use super::window::Almanac;

/// Limits that are checked together, with all that does not depend on the request computed.
pub struct Limits {
    stores: Stores,
    prefix: Prefix,
    almanac: Option<Arc<dyn Almanac>>,
    entries: Ranges,
    limits: Vec<Limit>,
    policy: String,
    has_windows: bool,
    has_places: bool,
    /// Whether they are rates alone, and few.
    is_plain: bool,
}

/// Where the key of one entry is counted at an instant, under each of its limits.
#[derive(Default)]
pub struct Spots(Vec<(usize, Spot)>);

impl Limits {
    /// Prepares limits on a store, or on one for counters and one for what is in progress. Quotas in windows of the calendar need an `almanac`.
    pub fn new(
        stores: impl Into<Stores>,
        entries: Vec<Entry>,
        prefix: Prefix,
        almanac: Option<Arc<dyn Almanac>>,
    ) -> Result<Self, ConfigError> {
        let stores = stores.into();
        let (limits, entries) = prepare(&stores, entries)?;
        let policy = fields::policy(limits.iter().map(|limit| (limit.name.as_str(), &limit.quota)));
        let has_windows = limits.iter().any(|limit| matches!(limit.quota.rule(), Rule::Fixed(_)));
        let has_places = limits.iter().any(|limit| *limit.quota.rule() == Rule::Concurrent);
        let is_plain =
            limits.len() <= rates::FEW && limits.iter().all(|limit| *limit.quota.rule() == Rule::Rate);
        Ok(Self { stores, prefix, almanac, entries, limits, policy, has_windows, has_places, is_plain })
    }

    /// Charges what it costs under every limit, if all have it; otherwise charges nothing.
    ///
    /// `keys` has one key for each entry, in order. A cost above the burst of a limit is always refused.
    pub fn check<'c, K: KeyText>(
        &self,
        keys: &[K],
        costs: impl Into<Costs<'c>>,
        now: impl Into<Now>,
    ) -> Result<Verdict, ConfigError> {
        self.check_then(keys, costs.into(), now.into(), |verdict| verdict)
    }

    /// [`check`](Self::check), of which `then` makes something else: to carry the verdict about costs as much as finding its counter.
    #[inline(always)]
    pub fn check_then<K: KeyText, T>(
        &self,
        keys: &[K],
        costs: Costs<'_>,
        now: Now,
        then: impl FnOnce(Verdict) -> T,
    ) -> Result<T, ConfigError> {
        self.as_many(keys)?;
        self.counted(costs)?;
        if self.is_plain && !costs.has_nothing() {
            return Ok(then(self.check_rates(keys, costs, now.host)));
        }
        self.check_any(keys, costs, now).map(then)
    }

    fn check_any<K: KeyText>(&self, keys: &[K], costs: Costs<'_>, now: Now) -> Result<Verdict, ConfigError> {
        if self.has_places {
            return Err(ConfigError::new(
                "what is in progress must be reserved, so that it can end: ask by `reserve`",
            ));
        }
        if let ([limit], [key]) = (self.limits.as_slice(), keys) {
            let kind = self.entries.first().map_or(Kind::Text, |entry| entry.0);
            let spot = self.spot(limit, self.key(kind, key), now)?;
            let outcome = spot.charge(&self.stores, &limit.quota, costs.of(0), now.host)?;
            return Ok(Verdict::alone(&outcome));
        }
        let mut charges = self.charges(keys, costs, now)?;
        self.charge(&mut charges, now.host)
    }

    /// As [`check`](Self::check), and remembers what was charged. Nothing is remembered of a refusal.
    ///
    /// With `capped`, what costs more than a limit can hold costs all that it holds: an estimate that is too high is no reason
    /// for refusing a request for ever.
    pub fn reserve<'c, K: KeyText>(
        &self,
        keys: &[K],
        costs: impl Into<Costs<'c>>,
        capped: bool,
        now: impl Into<Now>,
    ) -> Result<(Verdict, Option<Reservation>), ConfigError> {
        let now = now.into();
        let mut charges = self.charges(keys, costs.into(), now)?;
        if capped {
            for charge in &mut charges {
                charge.cost =
                    charge.cost.min(self.limits.get(charge.limit).map_or(0, |limit| limit.quota.burst()));
            }
        }
        let verdict = self.charge(&mut charges, now.host)?;
        let keys = || keys.iter().map(|key| key.bytes().to_vec()).collect();
        Ok((verdict, verdict.admitted.then(|| Reservation { keys: keys(), charges })))
    }

    /// What [`check`](Self::check) would say. Charges nothing.
    pub fn peek<'c, K: KeyText>(
        &self,
        keys: &[K],
        costs: impl Into<Costs<'c>>,
        now: impl Into<Now>,
    ) -> Result<Verdict, ConfigError> {
        let now = now.into();
        let charges = self.charges(keys, costs.into(), now)?;
        Ok(verdict(&self.peek_all(&charges, now.host)))
    }

    /// Makes an entry's charge what it has really cost. May be called again, when more is known.
    ///
    /// What was charged to an overflow counter is given back there.
    pub fn settle(
        &self,
        reservation: &mut Reservation,
        entry: usize,
        actual: u32,
        now: impl Into<Now>,
    ) -> Result<(), ConfigError> {
        let now = now.into();
        let spots = self.spots(reservation.key(entry), entry, now)?;
        self.settle_at(reservation, entry, actual, spots, now);
        Ok(())
    }

    /// Where an entry's key is counted now. This asks the almanac; [`settle_at`](Self::settle_at) does not, so it may be called where
    /// nothing may be waited for.
    pub fn spots(&self, key: &[u8], entry: usize, now: Now) -> Result<Spots, ConfigError> {
        let Some((kind, range)) = self.entries.get(entry) else { return Ok(Spots::default()) };
        let limits = range.clone().filter_map(|at| Some((at, self.limits.get(at)?)));
        let spot = |(at, limit)| Ok((at, self.spot(limit, self.key(*kind, key), now)?));
        Ok(Spots(limits.map(spot).collect::<Result<_, ConfigError>>()?))
    }

    /// As [`settle`](Self::settle); what is more is charged at `spots`.
    pub fn settle_at(
        &self,
        reservation: &mut Reservation,
        entry: usize,
        actual: u32,
        spots: Spots,
        now: impl Into<Now>,
    ) {
        let now = now.into();
        for (at, spot) in spots.0 {
            let Some(limit) = self.limits.get(at) else { continue };
            let mut charges = reservation.charges.iter_mut();
            if let Some(charge) = charges.find(|charge| charge.entry == entry && charge.limit == at) {
                charge.settle(&self.stores, &limit.quota, actual, now.host, spot);
            }
        }
    }

    /// Forgets what these keys have spent, and the overflow counters that they share with others. What is in progress goes on.
    pub fn clear<K: KeyText>(&self, keys: &[K], now: impl Into<Now>) -> Result<(), ConfigError> {
        let now = now.into();
        for charge in self.charges(keys, Costs::Same(0), now)? {
            charge.spot.clear(&self.stores, now.host);
        }
        Ok(())
    }

    /// Ends what was in progress. Again harmless.
    pub fn end(&self, reservation: &mut Reservation, now: impl Into<Now>) {
        let now = now.into();
        for charge in &mut reservation.charges {
            if let Some(lease) = charge.lease.take() {
                leases::release(&self.stores.places, &lease, now.host);
            }
        }
    }

    /// The value of `RateLimit-Policy`.
    pub fn policy(&self) -> &str {
        &self.policy
    }

    /// The scope and the quota of the limit at a position.
    pub fn limit(&self, position: usize) -> Option<(&str, &Quota)> {
        self.limits.get(position).map(|limit| (limit.scope.as_str(), &limit.quota))
    }

    /// The value of `RateLimit` that goes with a verdict of this set.
    pub fn field(&self, verdict: &Verdict) -> String {
        self.field_then(verdict, str::to_owned)
    }

    /// [`field`](Self::field), lent to `then`.
    pub fn field_then<T>(&self, verdict: &Verdict, then: impl FnOnce(&str) -> T) -> T {
        let name = self.limits.get(verdict.limit).map_or("\"\"", |limit| limit.written.as_str());
        fields::state(name, verdict.remaining, self.reset(verdict), then)
    }

    /// Seconds until its counter is full, rounded up; in a refusal, until the request would pass.
    pub fn reset(&self, verdict: &Verdict) -> u64 {
        if verdict.admitted { fields::seconds(verdict.reset) } else { verdict.retry_after() }
    }

    /// The entry that the limit at a position is of.
    pub fn entry_of(&self, position: usize) -> Option<usize> {
        self.entries.iter().position(|(_, range)| range.contains(&position))
    }

    /// The entries that refuse, in order.
    pub fn refusing(&self, verdict: &Verdict) -> Vec<usize> {
        self.entries_of(verdict.refusing)
    }

    /// Those that refuse for what the key itself has spent. In a flood others are refused as well, for whom there is no room.
    pub fn striking(&self, verdict: &Verdict) -> Vec<usize> {
        self.entries_of(verdict.refusing & !verdict.shared)
    }

    fn entries_of(&self, bits: u64) -> Vec<usize> {
        let refuses = |range: &Range<usize>| range.clone().any(|at| at < 64 && bits >> at & 1 == 1);
        let entries = self.entries.iter().enumerate();
        entries.filter(|(_, (_, range))| refuses(range)).map(|(entry, _)| entry).collect()
    }

    /// For a store elsewhere: each limit's counter, as 128 bits that name nobody, and what it must be asked.
    ///
    /// The store hashes by a seed that all hosts have.
    pub fn questions<K: KeyText>(
        &self,
        keys: &[K],
        costs: Costs<'_>,
        now: Now,
    ) -> Result<Vec<Question>, ConfigError> {
        self.counted(costs)?;
        self.as_many(keys)?;
        let mut questions = Vec::with_capacity(self.limits.len());
        for (entry, ((kind, range), key)) in self.entries.iter().zip(keys).enumerate() {
            let key = self.key(*kind, key);
            for at in range.clone() {
                let Some(limit) = self.limits.get(at) else { continue };
                questions.push(self.question(entry, limit, key, costs.of(entry), now)?);
            }
        }
        Ok(questions)
    }

    /// The question of a set that has one limit alone, without allocating; None if it has several.
    pub(super) fn lone_question<K: KeyText>(
        &self,
        keys: &[K],
        costs: Costs<'_>,
        now: Now,
    ) -> Result<Option<(Question, &Quota)>, ConfigError> {
        self.counted(costs)?;
        self.as_many(keys)?;
        let ([limit], [key], [(kind, _)]) = (self.limits.as_slice(), keys, self.entries.as_slice()) else {
            return Ok(None);
        };
        let question = self.question(0, limit, self.key(*kind, key), costs.of(0), now)?;
        Ok(Some((question, &limit.quota)))
    }

    fn question(
        &self,
        entry: usize,
        limit: &Limit,
        key: Key<'_>,
        cost: u32,
        now: Now,
    ) -> Result<Question, ConfigError> {
        let rule = match limit.told {
            Some(rule) => rule,
            None => remote::rule(&limit.quota, self.almanac.as_deref(), now)?,
        };
        Ok(Question { entry, name: limit.key.name(key.bytes()), cost, rule })
    }

    /// The verdict of a store elsewhere, which answered each question.
    pub fn answered(&self, answers: &[Answer]) -> Result<Verdict, ConfigError> {
        if answers.len() != self.limits.len() {
            return Err(ConfigError::new("the store has not answered for each limit"));
        }
        Ok(verdict(&answers.iter().map(Answer::outcome).collect::<Vec<_>>()))
    }

    /// One verdict of what each limit says, in order.
    pub(super) fn said(&self, outcomes: &[Outcome]) -> Verdict {
        verdict(outcomes)
    }

    /// How many entries it was made of.
    pub fn entries(&self) -> usize {
        self.entries.len()
    }

    /// How many limits each entry has.
    pub fn sizes(&self) -> Vec<usize> {
        self.entries.iter().map(|(_, range)| range.len()).collect()
    }

    /// Whether any of them is about what is in progress.
    pub fn has_places(&self) -> bool {
        self.has_places
    }

    /// Whether the wall clock matters to any of them.
    pub fn has_windows(&self) -> bool {
        self.has_windows
    }

    /// The store that the counters are in.
    pub fn store(&self) -> &Arc<Store> {
        &self.stores.counters
    }

    /// [`check`](Self::check) for few rates and nothing else, all of which cost something.
    #[inline(always)]
    fn check_rates<K: KeyText>(&self, keys: &[K], costs: Costs<'_>, now: HostTime) -> Verdict {
        let Some(Limit { quota, .. }) = self.limits.first() else { return verdict(&[]) };
        let mut rates = [Rate { quota, counter: CounterKey::NOBODY, cost: NonZeroU32::MIN }; rates::FEW];
        let mut free = rates.iter_mut();
        for (entry, ((kind, range), key)) in self.entries.iter().zip(keys).enumerate() {
            let cost = NonZeroU32::new(costs.of(entry)).unwrap_or(NonZeroU32::MIN);
            let key = self.key(*kind, key);
            let limits = self.limits.get(range.clone()).unwrap_or_default();
            let Some(first) = limits.first() else { continue };
            let hash = first.key.hash_of(|hasher| key.feed(hasher));
            for Limit { quota, key: limit, .. } in limits {
                let Some(rate) = free.next() else { break };
                *rate = Rate { quota, counter: limit.of_hash(hash), cost };
            }
        }
        rates::charge(&self.stores.counters, rates.get(..self.limits.len()).unwrap_or_default(), now)
    }

    /// Charges all, or none.
    fn charge(&self, charges: &mut [Charge], now: HostTime) -> Result<Verdict, ConfigError> {
        if charges.len() > 1 {
            let peeked = self.peek_all(charges, now);
            if peeked.iter().any(|outcome| !outcome.admitted) {
                return Ok(verdict(&peeked));
            }
        }
        let mut outcomes = Vec::with_capacity(charges.len());
        for nth in 0..charges.len() {
            let Some(charge) = charges.get_mut(nth) else { continue };
            let Some(limit) = self.limits.get(charge.limit) else { continue };
            let charged = charge.spot.charge(&self.stores, &limit.quota, charge.cost, now);
            if let Ok(outcome) = &charged
                && outcome.admitted
            {
                charge.charged(&limit.quota, outcome);
                outcomes.push(*outcome);
                continue;
            }
            for charge in charges.iter_mut().take(nth) {
                self.take_back(charge, now);
            }
            let outcome = charged?;
            let mut outcomes = self.peek_all(charges, now);
            if let Some(seen) = outcomes.get_mut(nth) {
                *seen = outcome;
            }
            return Ok(verdict(&outcomes));
        }
        Ok(verdict(&outcomes))
    }

    fn take_back(&self, charge: &mut Charge, now: HostTime) {
        if let Some(lease) = charge.lease.take() {
            leases::release(&self.stores.places, &lease, now);
        }
        if let Some(limit) = self.limits.get(charge.limit) {
            charge.take_back(&self.stores, &limit.quota, now);
        }
    }

    fn peek_all(&self, charges: &[Charge], now: HostTime) -> Vec<Outcome> {
        let look = |charge: &Charge| match self.limits.get(charge.limit) {
            Some(limit) => charge.spot.peek(&self.stores, &limit.quota, charge.cost, now),
            None => Outcome::NOTHING,
        };
        charges.iter().map(look).collect()
    }

    /// What is to be charged, and where.
    fn charges<K: KeyText>(
        &self,
        keys: &[K],
        costs: Costs<'_>,
        now: Now,
    ) -> Result<Vec<Charge>, ConfigError> {
        self.as_many(keys)?;
        self.counted(costs)?;
        let mut charges = Vec::with_capacity(self.limits.len());
        for (entry, ((kind, range), key)) in self.entries.iter().zip(keys).enumerate() {
            let key = self.key(*kind, key);
            for at in range.clone() {
                let Some(limit) = self.limits.get(at) else { continue };
                let spot = self.spot(limit, key, now)?;
                charges.push(Charge::new(entry, at, spot, costs.of(entry)));
            }
        }
        Ok(charges)
    }

    fn as_many<K>(&self, keys: &[K]) -> Result<(), ConfigError> {
        if keys.len() == self.entries.len() {
            return Ok(());
        }
        Err(ConfigError::new(format!(
            "{} keys were given for {} entries: a key for each entry, in order",
            keys.len(),
            self.entries.len()
        )))
    }

    fn counted(&self, costs: Costs<'_>) -> Result<(), ConfigError> {
        match costs {
            Costs::Each(costs) if costs.len() != self.entries.len() => Err(ConfigError::new(format!(
                "{} costs were given for {} entries: a cost for each entry, in order",
                costs.len(),
                self.entries.len()
            ))),
            _ => Ok(()),
        }
    }

    #[inline(always)]
    fn key<'k, K: KeyText + ?Sized>(&self, kind: Kind, key: &'k K) -> Key<'k> {
        match kind {
            Kind::Text => Key::Text(key.bytes()),
            Kind::Address => Key::Address(key.text().and_then(|text| self.prefix.key(text))),
        }
    }

    #[inline]
    fn spot(&self, limit: &Limit, key: Key<'_>, now: Now) -> Result<Spot, ConfigError> {
        spot::find(&limit.key, &limit.quota, self.almanac.as_deref(), key, now)
    }
}
