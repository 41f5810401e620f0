//! Folds observations into the table, and says which rules' thresholds were reached.
//!
//! It holds rules and a geometry, and no memory of its own: the table's words are given with each call. So the same
//! engine counts in memory that workers share, and in that of a replay.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{AcqRel, Acquire};

use crate::error::ConfigError;

use super::baseline::{Profile, UNIT};
use super::key::{Keys, mixed};
use super::layout::{COMMON, COUNTED, EVICTIONS, Layout};
use super::observation::{Observation, Signs};
use super::places::{Holder, Put};
use super::rule::{Item, Measure, Quantity, Rule, Subject};
use super::sent::Source;
use super::share::{self, Party};
use super::window::{self, MASK, Window};

/// A threshold that was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Finding {
    /// Which of the rules.
    pub rule: usize,
    /// Whom it is about: of the observation that was folded.
    pub subject: Subject,
    /// What was counted, about.
    pub count: u64,
    /// Whether the counter was one that is shared by what finds no place: it is then about the host.
    pub is_shared: bool,
    /// Whether it was counted of what pages had browsers send: it is then the visitor's browser, and may not be the
    /// visitor.
    pub is_crossing: bool,
    /// Whether it was told before in this window, and what was done about it is no longer in force.
    pub is_again: bool,
}

impl Finding {
    fn of(rule: usize, subject: Subject, count: u64) -> Self {
        Self { rule, subject, count, is_shared: false, is_crossing: false, is_again: false }
    }
}

/// Rules, over a table of a geometry.
pub struct Engine {
    layout: Layout,
    watched: Vec<Watched>,
    /// With which signs each of these has to do: most requests have to do with few of them.
    of_signs: Vec<Signs>,
    /// Rules about what is unusual, each with its place in the order of all.
    learned: Vec<(usize, Quantity, Rule)>,
    /// Rules about the table itself.
    floods: Vec<(usize, Rule)>,
    rules: usize,
    /// How many counters of each rule are shared by what finds no place.
    shared: u64,
}

/// A rule, and what is computed of it once.
struct Watched {
    index: usize,
    rule: Rule,
    /// What tells its counters from those of other rules.
    salt: u64,
    /// Seconds of half a window.
    half: u64,
    /// Of different things, one in two to this power is counted.
    sampling: u32,
}

impl Watched {
    /// The number of the half in which a second is: never 0, which is no half.
    fn half_of(&self, at: u64) -> u32 {
        (at / self.half).saturating_add(1) as u32
    }

    /// Whether this one alone is too much: to say so needs no counter.
    fn is_enough_once(&self, seen: &Observation) -> bool {
        let one = match self.rule.measure {
            Measure::Bytes => seen.bytes,
            Measure::Switches => 0,
            _ => 1,
        };
        self.rule.share == 0.0 && one >= self.rule.threshold
    }

    /// Whether anybody may have a counter of this rule that was not over then.
    fn may_be_counted(&self, words: &[AtomicU64], at: u64) -> bool {
        self.until_of(words).is_none_or(|until| until.load(Acquire) >= at)
    }

    /// Notes that there is a counter of this rule, for a while.
    fn is_counted(&self, words: &[AtomicU64], at: u64) {
        let until = at.saturating_add(2 * self.half);
        if let Some(word) = self.until_of(words)
            && word.load(Acquire) < until
        {
            word.fetch_max(until, AcqRel);
        }
    }

    /// Rules share them, as each other's counters do no harm but that they are looked for.
    fn until_of<'a>(&self, words: &'a [AtomicU64]) -> Option<&'a AtomicU64> {
        words.get(COUNTED.start + (self.salt as usize) % COUNTED.len())
    }

    /// Counts, and gives what the threshold is of; none where nothing was added to it.
    fn measured(&self, window: &Window<'_>, seen: &Observation, item: u64, name: u64) -> Option<f64> {
        let until = seen.at.saturating_add(2 * self.half);
        match self.rule.measure {
            Measure::Bytes => {
                let units = seen.bytes.div_ceil(UNIT).min(MASK) as u32;
                Some(window.hit(units, until)? as f64 * UNIT as f64)
            }
            // Workers fold their notes in turn: an older one, of before a move, is no move back.
            Measure::Switches if window.has_later(until) => None,
            Measure::Switches => {
                if !window.switches(seen.network, seen.is_v6, seen.at) {
                    window.keep(until);
                    return None;
                }
                Some(window.hit(1, until)? as f64)
            }
            Measure::Distinct(_) => {
                // Looked at first: a late one would be met in the present half's stead.
                window.hit(1, until)?;
                let hash = mixed(item, name);
                if hash & ((1 << self.sampling) - 1) != 0 || !window.meet(hash) {
                    return None;
                }
                Some(window.distinct() * f64::from(1_u32 << self.sampling))
            }
            _ => Some(window.hit(1, until)? as f64),
        }
    }
}

impl Engine {
    /// An engine of these rules.
    ///
    /// # Errors
    /// A rule that cannot be meant.
    pub fn new(layout: Layout, rules: Vec<Rule>, keys: &Keys) -> Result<Self, ConfigError> {
        if rules.len() > MOST_RULES {
            return Err(ConfigError::new(format!("at most {MOST_RULES} rules, not {}", rules.len())));
        }
        let mut engine = Self {
            layout,
            watched: vec![],
            of_signs: vec![],
            learned: vec![],
            floods: vec![],
            rules: rules.len(),
            shared: 1,
        };
        for (index, rule) in rules.into_iter().enumerate() {
            let rule = rule.checked()?;
            match rule.measure {
                Measure::Unusual(quantity) => engine.learned.push((index, quantity, rule)),
                Measure::Evictions => engine.floods.push((index, rule)),
                _ => {
                    // Workers of two versions, with rules of one name that count otherwise, count apart.
                    let mut identity = format!(
                        "{} {:?} {:?} {} {:?}",
                        rule.name, rule.measure, rule.by, rule.window, rule.counts
                    );
                    if rule.alone > 0 {
                        identity.push_str(&format!(" {}", rule.sampling()));
                    }
                    let salt = keys.of(b'r', identity.as_bytes());
                    let (half, sampling) = (u64::from(rule.window / 2).max(1), rule.sampling());
                    engine.of_signs.push(rule.counts.with(rule.among));
                    engine.watched.push(Watched { index, rule, salt, half, sampling });
                }
            }
        }
        engine.shared = (COMMON as u64 / 2 / engine.watched.len().max(1) as u64).clamp(1, MOST_SHARED);
        Ok(engine)
    }

    /// How many rules there are.
    pub fn rules(&self) -> usize {
        self.rules
    }

    /// The geometry of the tables that it counts in.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Counts one observation. What is found is told to `found`.
    pub fn fold(&self, words: &[AtomicU64], seen: &Observation, found: &mut impl FnMut(Finding)) {
        for (watched, signs) in self.watched.iter().zip(&self.of_signs) {
            if seen.signs.meets(*signs)
                && let Some(finding) = self.count(words, watched, seen)
            {
                found(finding);
            }
        }
        if !self.learned.is_empty() && seen.principal != 0 {
            self.compare(words, seen, found);
        }
        for (index, rule) in &self.floods {
            if let Some(count) = flooded(words, rule, seen.at) {
                found(Finding::of(*index, Subject::Host, count));
            }
        }
    }

    fn count(&self, words: &[AtomicU64], watched: &Watched, seen: &Observation) -> Option<Finding> {
        let rule = &watched.rule;
        let (hits, among) = (seen.signs.meets(rule.counts), seen.signs.meets(rule.among));
        if !hits && !watched.may_be_counted(words, seen.at) {
            // Nobody has a counter of this rule, of which this request could be a part.
            return None;
        }
        let (subject, hash) = rule.by.of(seen)?;
        let item = match rule.measure {
            Measure::Distinct(item) => Some(item.of(seen)),
            Measure::Switches => Some(seen.network),
            _ => None,
        };
        // What was not said is no other thing.
        let hits = hits && item != Some(0);
        if hits && rule.among.0 != 0 {
            // Before it can be found: what comes next is a part of it.
            watched.is_counted(words, seen.at.max(seen.now));
        }
        // What a page can have a visitor's browser do is not counted with what the visitor does, nor with what the
        // principal does whose cookie the browser sends along: a finding of it is answered to such requests alone. Who
        // says falsely that it is so is found all the same, and answered as much.
        let is_crossing = seen.is_apart(subject);
        let mut salt = watched.salt
            ^ match seen.sent_by {
                Source::Content if is_crossing => CONTENT,
                Source::Site if is_crossing => CROSSING,
                _ => 0,
            };
        if seen.is_v6
            && rule.measure == Measure::Distinct(Item::Networks)
            && matches!(subject, Subject::Principal | Subject::Token)
        {
            // Who has both versions of IP is not in twice as many networks.
            salt ^= OF_V6;
        }
        let name = mixed(hash, salt);
        let at = match (subject, hits) {
            // Of these there is one for a rule, which nobody may crowd out.
            (Subject::Host, true) => self.common(words, name, seen.now),
            (Subject::Host, false) => self.layout.common.find(words, name),
            (_, true) => self.place(words, watched, name, seen),
            (_, false) => self.layout.windows.find(words, name),
        };
        let Some(at) = at else {
            if hits && watched.is_enough_once(seen) {
                return Some(Finding { is_crossing, ..Finding::of(watched.index, subject, rule.threshold) });
            }
            return if hits { self.overflow(words, watched, seen, item) } else { None };
        };
        let window = Window::new(words, at, watched.half_of(seen.at))?;
        if among {
            window.among();
        }
        if !hits {
            return None;
        }
        let value = watched.measured(&window, seen, item.unwrap_or(0), name)?;
        window.near(value, rule.threshold);
        // An estimate that is half of one below is as near as it gets.
        let count = (value + 0.5) as u64;
        let enough = rule.share == 0.0
            || window.is_share(rule.share)
            || rule.alone > 0 && count >= rule.threshold * rule.alone;
        if count < rule.threshold || !enough {
            return None;
        }
        let is_again = !window.claim(seen.now);
        if is_again {
            // It was lifted, or pushed out of a full table: what is too much is not free for the rest of the window.
            let sent_by = if is_crossing { seen.sent_by } else { Source::Sender };
            let response = rule.answer.on(subject, sent_by)?;
            if self.marked(words, response, hash, seen.now * 1000).is_some() || !window.again(seen.now) {
                return None;
            }
        }
        Some(Finding { is_crossing, is_again, ..Finding::of(watched.index, subject, count) })
    }

    /// Counts what finds no place with others that find none: nobody's share is asked for, as it is not known.
    fn overflow(
        &self,
        words: &[AtomicU64],
        watched: &Watched,
        seen: &Observation,
        item: Option<u64>,
    ) -> Option<Finding> {
        if watched.rule.measure == Measure::Switches {
            // Two tokens in two networks switch none.
            return None;
        }
        let name = mixed(watched.salt, u64::from(share::wide_of(seen.source)) % self.shared + 1);
        let at = self.common(words, name, seen.now)?;
        let window = Window::new(words, at, watched.half_of(seen.at))?;
        let value = watched.measured(&window, seen, item.unwrap_or(0), name)?;
        let count = (value + 0.5) as u64;
        (count >= watched.rule.threshold && window.claim(seen.now))
            .then_some(Finding { is_shared: true, ..Finding::of(watched.index, Subject::Host, count) })
    }

    /// The place of a counter of which there are as many as rules, whoever comes.
    fn common(&self, words: &[AtomicU64], name: u64, now: u64) -> Option<usize> {
        let holder = |body: &[AtomicU64]| match Window::holder(body, now) {
            Holder::Gone => Holder::Gone,
            _ => Holder::Kept,
        };
        self.layout.common.put(words, name, now, Party::default(), holder).at()
    }

    /// The place of a counter, new if need be.
    fn place(&self, words: &[AtomicU64], watched: &Watched, name: u64, seen: &Observation) -> Option<usize> {
        let party = Party { source: seen.source, rule: watched.salt as u16 };
        let holder = |body: &[AtomicU64]| Window::holder(body, seen.now);
        let put = self.layout.windows.put(words, name, seen.now, party, holder);
        if matches!(put, Put::Instead(_) | Put::Nowhere) {
            evicted(words, seen.at);
        }
        if let (Put::New(at) | Put::Instead(at), half) = (put, watched.half_of(seen.at)) {
            Window::new(words, at, half)?.belongs(party);
        }
        put.at()
    }

    /// Counts a request of a principal, and says whether their hour is unusual.
    ///
    /// What pages have somebody's browser do is nobody's habit, and a thief can say that it is so. It has a profile of its own,
    /// and is unusual where it is beyond both: that one's bounds, and those of what the principal does themselves.
    fn compare(&self, words: &[AtomicU64], seen: &Observation, found: &mut impl FnMut(Finding)) {
        let profiles = &self.layout.profiles;
        let is_crossing = seen.is_apart(Subject::Principal);
        let own = match is_crossing {
            // Of whom nothing is learned yet, nothing is unusual.
            true => profiles.find(words, seen.principal).and_then(|at| Profile::new(words, at)),
            false => None,
        };
        if is_crossing && own.is_none() {
            return;
        }
        let name = if is_crossing { mixed(seen.principal, CROSSING) } else { seen.principal };
        let put =
            profiles.put(words, name, seen.now, Party::default(), |body| Profile::holder(body, seen.unix));
        let Some(profile) = put.at().and_then(|at| Profile::new(words, at)) else { return };
        if !profile.count(seen) {
            return;
        }
        for (index, quantity, rule) in &self.learned {
            if !seen.signs.meets(rule.counts) {
                continue;
            }
            if let Some(count) = profile.unusual(own.as_ref(), rule, *quantity, seen.unix)
                && profile.claim(*quantity, seen.unix)
            {
                found(Finding { is_crossing, ..Finding::of(*index, Subject::Principal, count) });
            }
        }
    }

    /// Forgets what was counted of a subject: what comes then is counted anew, and told anew.
    pub fn forget(&self, words: &[AtomicU64], subject: Subject, hash: u64) {
        for watched in self.watched.iter().filter(|watched| watched.rule.by.may_be(subject)) {
            for apart in [0, CONTENT, CROSSING] {
                for version in [0, OF_V6] {
                    let name = mixed(hash, watched.salt ^ apart ^ version);
                    self.layout.windows.drop(words, name);
                    self.layout.common.drop(words, name);
                }
            }
        }
    }
}

/// Notes that somebody was forgotten for another, or that there was no place for a new one.
fn evicted(words: &[AtomicU64], at: u64) {
    let half = (at / FLOOD_HALF + 1) as u32;
    if let Some(word) = words.get(EVICTIONS.start + (half & 1) as usize) {
        window::add(word, half, 1);
    }
}

fn flooded(words: &[AtomicU64], rule: &Rule, at: u64) -> Option<u64> {
    let half = (at / FLOOD_HALF + 1) as u32;
    let count = |half: u32| {
        let word = words.get(EVICTIONS.start + (half & 1) as usize).map_or(0, |word| word.load(Acquire));
        if (word >> 32) as u32 == half { word & MASK } else { 0 }
    };
    let total = count(half) + count(half.wrapping_sub(1));
    let told = words.get(EVICTIONS.end - 1)?;
    (total >= rule.threshold && window::claim(told, half)).then_some(total)
}

/// Seconds of half the window in which evictions are counted.
const FLOOD_HALF: u64 = 300;
const MOST_RULES: usize = 200;
const MOST_SHARED: u64 = 4;
/// Tells counters of what other sites made browsers send from the others of a rule.
const CROSSING: u64 = 0x6372_6f73_7369_6e67;
/// Likewise, of what was asked for as a part of a page of one's own.
const CONTENT: u64 = 0x636f_6e74_656e_7421;
/// Tells networks of IPv6 from those of IPv4.
const OF_V6: u64 = 0x6970_7636_6970_7636;
